package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"greentally"
	"greentally/ingest"
	"greentally/internal/embeddednats"
)

// journal is one of a test, with what it tells.
type journal struct {
	*ingest.Journal
	js      jetstream.JetStream
	server  *embeddednats.Server
	metrics *prometheus.Registry

	mu            sync.Mutex
	log           bytes.Buffer
	lost          []error
	trouble       error
	clock         error
	clockTroubles int
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.log.Write(p)
}

func (j *journal) said(text string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Contains(j.log.String(), text)
}

// counted returns the value of a counter of a follower.
func (j *journal) counted(t testing.TB, name, follower string) int {
	t.Helper()
	families, err := j.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			if follower == "" || len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == follower {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	return 0
}

// startJournal starts a server on dir and opens its journal.
func startJournal(t testing.TB, dir string, config ingest.JournalConfig) *journal {
	t.Helper()
	j := &journal{metrics: prometheus.NewRegistry()}
	log := slog.New(slog.NewTextHandler(j, nil))
	var err error
	if j.server, err = embeddednats.Start(dir, embeddednats.Options{Log: log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.server.Close)
	if j.js, err = jetstream.New(j.server.Conn); err != nil {
		t.Fatal(err)
	}
	if config.MaxBytes == 0 {
		config.MaxBytes = 64 << 20
	}
	if config.Keep == 0 {
		config.Keep = time.Hour
	}
	config.Trouble = func(err error) { j.mu.Lock(); j.trouble = err; j.mu.Unlock() }
	config.ClockTrouble = func(err error) { j.mu.Lock(); j.clock = err; j.clockTroubles++; j.mu.Unlock() }
	j.Journal, err = ingest.OpenJournal(t.Context(), ingest.Streams{JetStream: j.js, Lost: func(err error) { j.mu.Lock(); j.lost = append(j.lost, err); j.mu.Unlock() }},
		config, ingest.NewMetrics(j.metrics), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		j.GiveUp()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = j.Close(ctx) // a test may have stopped its server
	})
	return j
}

// stop closes the journal and its server as they should be.
func (j *journal) stop(t testing.TB) {
	t.Helper()
	if err := j.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	j.server.Close()
}

// add appends messages from … to, each in an entry of its own.
func (j *journal) add(t testing.TB, from, to int) {
	t.Helper()
	for i := from; i <= to; i++ {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		err := j.Append(ctx, message(i))
		cancel()
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
}

// follower follows a journal until it is stopped, and remembers what it saw.
type follower struct {
	mu   sync.Mutex
	seen []string
	stop func() error
}

func (f *follower) all() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.seen...)
}

func (f *follower) saw(text string) func() bool {
	return func() bool {
		all := f.all()
		return len(all) > 0 && all[len(all)-1] == text
	}
}

func (j *journal) follow(t testing.TB, name string) *follower {
	t.Helper()
	f := &follower{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- j.Follow(ctx, name, func(_ context.Context, entries []ingest.Entry) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			for _, e := range entries {
				for _, m := range e.Messages {
					f.seen = append(f.seen, string(m.Payload))
				}
			}
			return nil
		})
	}()
	f.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { _ = f.stop() })
	return f
}

// tidy has the journal tidied until the test ends.
func (j *journal) tidy(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var tidying sync.WaitGroup
	tidying.Go(func() { _ = j.Tidy(ctx) })
	t.Cleanup(func() { cancel(); tidying.Wait() })
}

// A journal that fills before a follower keeps its state has it kept, and goes on.
func TestJournalThatFillsBeforeStateIsKept(t *testing.T) {
	j := startJournal(t, t.TempDir(), ingest.JournalConfig{MaxBytes: 1 << 20})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	j.tidy(t)
	var last, kept atomic.Uint64
	running.Go(func() {
		_ = j.FollowKept(ctx, "alerts", func(_ context.Context, entries []ingest.Entry) error {
			last.Store(entries[len(entries)-1].Sequence)
			return nil
		}, func(_ context.Context, urgent bool) uint64 {
			if urgent { // else it would be kept in half a minute
				kept.Store(last.Load())
			}
			return kept.Load()
		})
	})
	big := greentally.Message{Topic: "t", Payload: bytes.Repeat([]byte("x"), 100<<10)}
	for i := range 50 { // five times its budget
		within, done := context.WithTimeout(t.Context(), 20*time.Second)
		err := j.Append(within, big)
		done()
		if err != nil {
			t.Fatalf("message %d was not taken: %v", i, err)
		}
	}
	lags, err := j.Lags(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if kept.Load() == 0 || lags["alerts"].Unkept == 0 && kept.Load() < last.Load() {
		t.Errorf("kept up to %d of %d, and the lag says %+v", kept.Load(), last.Load(), lags["alerts"])
	}
}

// blocks are the files of the journal's stream.
func blocks(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "GREENTALLY_JOURNAL", "msgs", "*.blk"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the journal has no files: %v", err)
	}
	return files
}

func rewrite(t testing.TB, file string, do func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, do(data), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// asKilled leaves the files as a kill does: without the summary that is written at the end.
func asKilled(t testing.TB, dir string) {
	t.Helper()
	for _, file := range blocks(t, dir) {
		if err := os.Remove(filepath.Join(filepath.Dir(file), "index.db")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

// Whatever was lost of the journal, what is acknowledged afterwards is not, and it is told.
func TestFollowersAheadOfTheirJournal(t *testing.T) {
	folder := func(t testing.TB, dir string) string { return filepath.Dir(filepath.Dir(blocks(t, dir)[0])) }
	for _, tt := range []struct {
		name   string
		damage func(t testing.TB, dir string)
	}{
		{"the end is cut off", func(t testing.TB, dir string) {
			rewrite(t, blocks(t, dir)[0], func(b []byte) []byte { return b[:len(b)/2] })
		}},
		{"the file is empty", func(t testing.TB, dir string) {
			rewrite(t, blocks(t, dir)[0], func([]byte) []byte { return nil })
		}},
		{"the file is gone", func(t testing.TB, dir string) {
			if err := os.Remove(blocks(t, dir)[0]); err != nil {
				t.Fatal(err)
			}
		}},
		{"a record that is not the last is damaged", func(t testing.TB, dir string) {
			rewrite(t, blocks(t, dir)[0], func(b []byte) []byte { b[len(b)/3] ^= 1; return b })
		}},
		{"the last record is damaged", func(t testing.TB, dir string) {
			rewrite(t, blocks(t, dir)[0], func(b []byte) []byte { b[len(b)-12] ^= 1; return b })
		}},
		{"the stream is gone", func(t testing.TB, dir string) {
			if err := os.RemoveAll(folder(t, dir)); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		for _, behind := range []bool{false, true} {
			killed := behind // else it stopped as it should
			t.Run(fmt.Sprintf("%s/behind=%t", tt.name, behind), func(t *testing.T) {
				dir := t.TempDir()
				j := startJournal(t, dir, ingest.JournalConfig{})
				writer, watch := j.follow(t, "writer"), j.follow(t, "watch")
				j.add(t, 1, 20)
				waitFor(t, "both", func() bool { return writer.saw("20")() && watch.saw("20")() })
				if err := writer.stop(); err != nil {
					t.Fatal(err)
				}
				if behind { // the store is away, say
					j.add(t, 21, 40)
					waitFor(t, "the watch", watch.saw("40"))
				}
				if err := watch.stop(); err != nil {
					t.Fatal(err)
				}
				j.stop(t)
				if killed {
					asKilled(t, dir)
				}
				tt.damage(t, dir)

				for round := range 2 { // and so at the start after that
					j = startJournal(t, dir, ingest.JournalConfig{})
					from := 100 + 100*round
					j.add(t, from, from+9)
					for _, name := range []string{"writer", "watch"} {
						f := j.follow(t, name)
						waitFor(t, name, f.saw(fmt.Sprint(from+9)))
						news := 0
						for _, text := range f.all() {
							if len(text) == 3 {
								news++
							}
						}
						if news != 10 {
							t.Errorf("round %d: %s saw %d of 10 new messages: %v", round, name, news, f.all())
						}
						if err := f.stop(); err != nil {
							t.Fatal(err)
						}
					}
					lost := j.counted(t, "greentally_journal_lost_entries_total", "writer")
					if wantLost := behind && round == 0; lost > 0 && !wantLost || lost == 0 && wantLost && !strings.HasPrefix(tt.name, "a record") {
						t.Errorf("round %d: %d entries are said to be lost to the writer", round, lost)
					}
					if round == 0 && !j.said("level=ERROR") && (behind || !j.said("level=WARN")) {
						t.Errorf("nothing is said of it:\n%s", j.log.String())
					}
					j.stop(t)
				}
			})
		}
	}
}

// What a follower had not taken and is gone is counted exactly.
func TestLostEntriesAreCounted(t *testing.T) {
	for _, tt := range []struct {
		name   string
		damage func(b []byte) []byte
		want   int // of 20 that the writer had not taken
	}{
		{"one is damaged", func(b []byte) []byte { b[bytes.Index(b, []byte("Nats-Msg-Id"))+len(b)/2] ^= 1; return b }, 1},
		{"the last is damaged", func(b []byte) []byte { b[len(b)-12] ^= 1; return b }, 1},
		{"the last is cut", func(b []byte) []byte { return b[:len(b)-1] }, 1},
		{"all are gone", func([]byte) []byte { return nil }, 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			j := startJournal(t, dir, ingest.JournalConfig{})
			writer := j.follow(t, "writer")
			waitFor(t, "the writer", func() bool { lags, err := j.Lags(t.Context()); _, here := lags["writer"]; return err == nil && here })
			if err := writer.stop(); err != nil {
				t.Fatal(err)
			}
			watch := j.follow(t, "watch")
			j.add(t, 1, 20)
			waitFor(t, "the watch", watch.saw("20"))
			if err := watch.stop(); err != nil {
				t.Fatal(err)
			}
			j.stop(t)
			asKilled(t, dir)
			rewrite(t, blocks(t, dir)[0], tt.damage)

			j = startJournal(t, dir, ingest.JournalConfig{})
			j.add(t, 99, 99)
			writer = j.follow(t, "writer")
			waitFor(t, "what is new", writer.saw("99"))
			if got := j.counted(t, "greentally_journal_lost_entries_total", "writer"); got != tt.want {
				t.Errorf("%d are counted as lost, want %d; it saw %v", got, tt.want, writer.all())
			}
			if n := len(writer.all()); n != 20-tt.want+1 {
				t.Errorf("it saw %d messages: %v", n, writer.all())
			}
			j.mu.Lock()
			defer j.mu.Unlock()
			if len(j.lost) == 0 {
				t.Error("nobody is told")
			}
		})
	}
}

// A stream that is made anew while the program runs, as in a cluster of one's own, is noticed
// before a message is acknowledged that followers would pass over.
func TestStreamMadeAnewWhileItIsFollowed(t *testing.T) {
	j := startJournal(t, t.TempDir(), ingest.JournalConfig{})
	writer := j.follow(t, "writer")
	j.add(t, 1, 20)
	waitFor(t, "the first", writer.saw("20"))
	stream, err := j.js.Stream(t.Context(), "GREENTALLY_JOURNAL")
	if err != nil {
		t.Fatal(err)
	}
	if err := j.js.DeleteStream(t.Context(), "GREENTALLY_JOURNAL"); err != nil {
		t.Fatal(err)
	}
	if _, err := j.js.CreateStream(t.Context(), stream.CachedInfo().Config); err != nil {
		t.Fatal(err)
	}
	j.add(t, 100, 109)
	waitFor(t, "what came afterwards", writer.saw("109"))
	if n := len(writer.all()); n != 30 {
		t.Errorf("it saw %d messages, want 30: %v", n, writer.all())
	}
}

// Followers outlive a server that goes and comes again.
func TestFollowersOutliveTheirServer(t *testing.T) {
	j := startJournal(t, t.TempDir(), ingest.JournalConfig{})
	writer := j.follow(t, "writer")
	for round := range 3 {
		j.add(t, 10*round, 10*round+9)
		waitFor(t, "the messages", writer.saw(fmt.Sprint(10*round+9)))
		j.server.Suspect() // starts it anew
		waitFor(t, "the start", func() bool {
			j.mu.Lock()
			defer j.mu.Unlock()
			return strings.Count(j.log.String(), "runs again") == round+1
		})
	}
	if err := writer.stop(); err != nil {
		t.Error(err)
	}
	if got := j.counted(t, "greentally_journal_lost_entries_total", "writer"); got != 0 {
		t.Errorf("%d entries are said to be lost", got)
	}
}

// A place as earlier versions kept it, a number alone, is understood.
func TestPlaceOfAnEarlierVersion(t *testing.T) {
	dir := t.TempDir()
	j := startJournal(t, dir, ingest.JournalConfig{})
	j.add(t, 1, 5)
	places, err := j.js.KeyValue(t.Context(), "GREENTALLY_JOURNAL_PLACES")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := places.Put(t.Context(), "writer", []byte("3")); err != nil {
		t.Fatal(err)
	}
	j.stop(t)
	j = startJournal(t, dir, ingest.JournalConfig{})
	writer := j.follow(t, "writer")
	waitFor(t, "the rest", writer.saw("5"))
	if got := fmt.Sprint(writer.all()); got != "[4 5]" {
		t.Errorf("it saw %s", got)
	}
}

// Entries come again when that is asked for, from a sequence or a time on.
func TestSetBack(t *testing.T) {
	j := startJournal(t, t.TempDir(), ingest.JournalConfig{})
	writer := j.follow(t, "writer")
	j.add(t, 1, 10)
	waitFor(t, "all", writer.saw("10"))
	place := func() uint64 {
		at, _, err := j.Place(t.Context(), "writer")
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	waitFor(t, "the place", func() bool { return place() == 10 })
	if again, err := j.SetBack(t.Context(), "writer", 7); again != 3 || err != nil {
		t.Errorf("%d come again: %v, want 3", again, err)
	}
	waitFor(t, "three", func() bool { return len(writer.all()) == 13 })
	waitFor(t, "the place", func() bool { return place() == 10 })
	if again, err := j.SetBack(t.Context(), "writer", 10); again != 0 || err != nil {
		t.Errorf("%d come again from where it is: %v", again, err)
	}
	if again, _, err := j.SetBackTo(t.Context(), "writer", time.Now().Add(time.Hour)); again != 0 || err != nil {
		t.Errorf("%d come again from in an hour on: %v", again, err)
	}
	if again, _, err := j.SetBackTo(t.Context(), "writer", time.Time{}); again != 10 || err != nil {
		t.Errorf("%d come again from the beginning: %v, want 10", again, err)
	}
	waitFor(t, "all again", func() bool { return len(writer.all()) == 23 })
	if got := fmt.Sprint(writer.all()); got != "[1 2 3 4 5 6 7 8 9 10 8 9 10 1 2 3 4 5 6 7 8 9 10]" {
		t.Errorf("it saw %s", got)
	}
}

// What waits while the journal takes nothing is given up when the program stops.
func TestJournalThatTakesNothingIsGivenUp(t *testing.T) {
	j := startJournal(t, t.TempDir(), ingest.JournalConfig{MaxBytes: 1 << 20})
	results := make(chan error, 100)
	big := bytes.Repeat([]byte("x"), 300<<10)
	if err := j.Append(t.Context(), greentally.Message{Topic: "t", Payload: big}); err != nil {
		t.Fatal(err)
	}
	const n = 20
	for range n {
		err := j.Submit(t.Context(), ingest.Delivery{Message: greentally.Message{Topic: "t", Payload: big}, Ack: func(err error) { results <- err }})
		if err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, "the trouble", func() bool { j.mu.Lock(); defer j.mu.Unlock(); return j.trouble != nil })
	if text := j.trouble.Error(); !strings.Contains(text, "is full") {
		t.Errorf("the trouble is %q", text)
	}
	j.GiveUp()
	taken := 1
	for range n {
		switch err := <-results; {
		case err == nil:
			taken++
		case !errors.Is(err, ingest.ErrClosed):
			t.Errorf("answered with %v", err)
		}
	}
	if taken > 3 {
		t.Errorf("%d messages of 300 KiB were taken into 1 MiB", taken)
	}
}

// Large messages that wait for the disk are bounded in bytes.
func TestMessagesThatWaitAreBoundedInBytes(t *testing.T) {
	j := startJournal(t, t.TempDir(), ingest.JournalConfig{MaxBytes: 1 << 20})
	big := bytes.Repeat([]byte("x"), 1<<20)
	for n := 0; ; n++ {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		err := j.Submit(ctx, ingest.Delivery{Message: greentally.Message{Topic: "t", Payload: big}, Ack: func(error) {}})
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			if n < 12 {
				t.Errorf("only %d of 1 MiB are taken", n)
			}
			return
		}
		if err != nil || n > 24 {
			t.Fatalf("%d messages of 1 MiB wait: %v", n, err)
		}
	}
}

// A clock that was ahead, and is right again, stamps rightly at once; also over a restart.
func TestClockThatWasAhead(t *testing.T) {
	dir := t.TempDir()
	base := time.Now()
	var offset atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	j := startJournal(t, dir, ingest.JournalConfig{Now: now})
	stamp := func(i int) time.Time {
		t.Helper()
		j.add(t, i, i)
		got := collect(t, j.Journal, "writer", 1)
		return got[0].Received
	}
	near := func(got time.Time) bool { return got.Sub(base).Abs() < time.Hour }
	if at := stamp(1); !near(at) {
		t.Errorf("stamped %v", at)
	}
	offset.Store(int64(800 * 24 * time.Hour))
	if at := stamp(2); at.Sub(base) < 799*24*time.Hour {
		t.Errorf("stamped %v by a clock that is ahead", at)
	}
	offset.Store(0)
	j.stop(t)
	j = startJournal(t, dir, ingest.JournalConfig{Now: now})
	first := stamp(3)
	if second := stamp(4); !near(first) || !second.After(first) {
		t.Errorf("after the clock was right again: stamped %v, then %v", first, second)
	}
	if j.counted(t, "greentally_clock_jumps_total", "") == 0 || !j.said("the clock jumped") {
		t.Errorf("nothing is said of it:\n%s", j.log.String())
	}
	j.mu.Lock()
	if j.clock == nil {
		t.Error("the clock is no trouble")
	}
	j.mu.Unlock()
	offset.Store(int64(2 * time.Hour)) // it is told for an hour
	stamp(5)
	offset.Store(int64(4 * time.Hour))
	stamp(6)
}

// Stamps a little ahead, of a clock that is set back by seconds, still keep apart.
func TestClockSetBackALittle(t *testing.T) {
	var offset atomic.Int64
	j := startJournal(t, t.TempDir(), ingest.JournalConfig{Now: func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }})
	j.add(t, 1, 1)
	offset.Store(int64(-30 * time.Second))
	j.add(t, 2, 3)
	got := collect(t, j.Journal, "writer", 3)
	if !got[1].Received.After(got[0].Received) || !got[2].Received.After(got[1].Received) || got[2].Received.Sub(got[0].Received) > time.Second {
		t.Errorf("stamped %v, %v, %v", got[0].Received, got[1].Received, got[2].Received)
	}
}

// The queue of what is to be tallied is looked after in the same way, and can be tidied over a gap.
func TestTouchesAheadOfTheirStream(t *testing.T) {
	dir := t.TempDir()
	open := func() (*embeddednats.Server, *ingest.Touches, *[]error) {
		server, err := embeddednats.Start(dir, embeddednats.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Close)
		js, err := jetstream.New(server.Conn)
		if err != nil {
			t.Fatal(err)
		}
		var lost []error
		touches, err := ingest.OpenTouches(t.Context(), ingest.Streams{JetStream: js, Lost: func(err error) { lost = append(lost, err) }},
			ingest.NewMetrics(prometheus.NewRegistry()), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return server, touches, &lost
	}
	put := func(touches *ingest.Touches, from, to int) {
		for i := from; i <= to; i++ {
			at := time.Unix(int64(i), 0).UTC()
			if err := touches.Put(t.Context(), []ingest.Touch{{DeviceKey: greentally.DeviceKey{Community: "c", Device: "d"}, From: at, To: at}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	take := func(touches *ingest.Touches, last int) (seen []int64) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := touches.Follow(ctx, "tally", func(_ context.Context, all []ingest.Touch) error {
			for _, touch := range all {
				seen = append(seen, touch.From.Unix())
			}
			if seen[len(seen)-1] == int64(last) {
				cancel()
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return seen
	}
	server, touches, _ := open()
	put(touches, 1, 5)
	take(touches, 5)
	put(touches, 6, 15)
	server.Close()
	files, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "GREENTALLY_TOUCHES", "msgs", "*.blk"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the queue has no files: %v", err)
	}
	rewrite(t, files[len(files)-1], func(b []byte) []byte { b[len(b)*2/3] ^= 1; return b })
	_, touches, lost := open()
	put(touches, 16, 16)
	if seen := take(touches, 16); len(seen) != 10 {
		t.Errorf("it saw %v", seen)
	}
	if len(*lost) != 1 {
		t.Errorf("told %v", *lost)
	}
	put(touches, 17, 17)
	take(touches, 17) // tidying over the gap
}

// What was removed because all had taken it is not lost when a follower is set back to before it.
func TestSetBackToWhatIsRemoved(t *testing.T) {
	j := startJournal(t, t.TempDir(), ingest.JournalConfig{Keep: time.Nanosecond})
	writer := j.follow(t, "writer")
	j.add(t, 1, 10)
	waitFor(t, "all", writer.saw("10"))
	j.tidy(t)
	waitFor(t, "the removal", func() bool { _, first, err := j.Place(t.Context(), "writer"); return err == nil && first > 5 })
	_, first, err := j.Place(t.Context(), "writer")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := j.SetBack(t.Context(), "writer", 0); err != nil || again > 11-first {
		t.Errorf("%d come again, of those from %d on: %v", again, first, err)
	}
	j.add(t, 11, 11)
	waitFor(t, "the next", writer.saw("11"))
	if got := j.counted(t, "greentally_journal_lost_entries_total", "writer"); got != 0 {
		t.Errorf("%d are said to be lost", got)
	}
}

// Who is named at the start has a place from then on: nothing is removed before it was here.
func TestExpectedFollowersHavePlaces(t *testing.T) {
	j := startJournal(t, t.TempDir(), ingest.JournalConfig{MaxBytes: 1 << 20, Followers: []string{"writer", "watch"}})
	watch := j.follow(t, "watch")
	j.tidy(t)
	big := greentally.Message{Topic: "t", Payload: bytes.Repeat([]byte("x"), 100<<10)}
	taken := 0
	for range 30 {
		within, done := context.WithTimeout(t.Context(), time.Second)
		err := j.Append(within, big)
		done()
		if err != nil {
			break
		}
		taken++
	}
	if taken == 0 || taken > 10 {
		t.Errorf("%d messages of 100 KiB were taken into 1 MiB that the writer has taken nothing of", taken)
	}
	writer := j.follow(t, "writer")
	waitFor(t, "the writer", func() bool { return len(writer.all()) >= taken })
	if err := errors.Join(watch.stop(), writer.stop()); err != nil {
		t.Error(err)
	}
}

// A follower stops also while its server is away.
func TestFollowerStopsWhileItsServerIsAway(t *testing.T) {
	j := startJournal(t, t.TempDir(), ingest.JournalConfig{})
	writer := j.follow(t, "writer")
	j.add(t, 1, 3)
	waitFor(t, "all", writer.saw("3"))
	j.server.Close()
	if err := writer.stop(); err != nil {
		t.Error(err)
	}
}

// A stream that is described as another one, and has all its entries, is taken again, and reported once.
func TestStreamOfAnotherDescription(t *testing.T) {
	dir := t.TempDir()
	j := startJournal(t, dir, ingest.JournalConfig{})
	j.add(t, 1, 5)
	places, err := j.js.KeyValue(t.Context(), "GREENTALLY_JOURNAL_PLACES")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := places.Put(t.Context(), "writer", []byte("5 12345 somebody 5")); err != nil {
		t.Fatal(err)
	}
	j.stop(t)
	j = startJournal(t, dir, ingest.JournalConfig{})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	again, news := 0, 0
	j.add(t, 6, 6)
	err = j.Follow(ctx, "writer", func(_ context.Context, entries []ingest.Entry) error {
		for _, e := range entries {
			if e.Again {
				again++
			} else {
				news++
			}
		}
		if again+news == 6 {
			cancel()
		}
		return nil
	})
	if err != nil || again != 5 || news != 1 {
		t.Errorf("%d came again, and %d anew: %v", again, news, err)
	}
	if got := j.counted(t, "greentally_journal_lost_entries_total", "writer"); got != 0 || !j.said("has all its entries") {
		t.Errorf("%d are said to be lost:\n%s", got, j.log.String())
	}
}
