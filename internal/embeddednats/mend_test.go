package embeddednats_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"pgregory.net/rapid"

	"greentally/internal/embeddednats"
)

const testWithin = 30 * time.Second

// start starts a server, and stops it with the test.
func start(t testing.TB, dir string, options embeddednats.Options) (*embeddednats.Server, jetstream.JetStream) {
	t.Helper()
	server, err := embeddednats.Start(dir, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	js, err := jetstream.New(server.Conn)
	if err != nil {
		t.Fatal(err)
	}
	return server, js
}

// fill keeps n messages in a stream of a server in dir, and stops it. It returns the stream's files.
func fill(t testing.TB, dir string, n, size int) []string {
	t.Helper()
	server, js := start(t, dir, embeddednats.Options{})
	defer server.Close()
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Storage: jetstream.FileStorage}); err != nil {
		t.Fatal(err)
	}
	var acks []jetstream.PubAckFuture
	for i := range n {
		// With headers, as a message that is sent again has them, every other time.
		var options []jetstream.PublishOpt
		if i%2 == 0 {
			options = append(options, jetstream.WithMsgID(fmt.Sprint(i)))
		}
		ack, err := js.PublishAsync("s", content(i, size), options...)
		if err != nil {
			t.Fatal(err)
		}
		acks = append(acks, ack)
	}
	for _, ack := range acks {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "S", "msgs", "*.blk"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the stream's files are %v: %v", files, err)
	}
	return files
}

func content(i, size int) []byte {
	return append(fmt.Appendf(nil, "message %d ", i+1), bytes.Repeat([]byte{'x'}, size)...)
}

// opened starts a server on dir, and returns what it found damaged and the sequences of the messages that it still has.
func opened(t testing.TB, dir string, size int) (damages []embeddednats.Damage, sequences []int) {
	t.Helper()
	_, js := start(t, dir, embeddednats.Options{Damaged: func(all []embeddednats.Damage) { damages = all }})
	stream, err := js.Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	for next := uint64(1); ; {
		msg, err := stream.GetMsg(t.Context(), next, jetstream.WithGetMsgSubject("s"))
		if err != nil {
			return damages, sequences
		}
		if want := content(int(msg.Sequence)-1, size); !bytes.Equal(msg.Data, want) {
			t.Fatalf("message %d is %.40q, want %.40q", msg.Sequence, msg.Data, want)
		}
		sequences = append(sequences, int(msg.Sequence))
		next = msg.Sequence + 1
	}
}

// change rewrites a file.
func change(t testing.TB, file string, do func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, do(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

// where returns where the record of a message has its content.
func where(data []byte, message int) int {
	return bytes.Index(data, fmt.Appendf(nil, "message %d ", message))
}

func without(n int, missing ...int) (rest []int) {
	for i := 1; i <= n; i++ {
		if !slices.Contains(missing, i) {
			rest = append(rest, i)
		}
	}
	return rest
}

// One bad byte costs one message, whether the server stopped as it should or was killed.
func TestDamageCostsOnlyWhatItHits(t *testing.T) {
	const n, size = 50, 100
	for _, tt := range []struct {
		name   string
		change func([]byte) []byte
		want   []int // sequences that are left
		torn   bool
		sound  bool // there is nothing to mend
	}{
		{name: "nothing", change: func(b []byte) []byte { return b }, want: without(n), sound: true},
		{name: "a byte in the middle", change: func(b []byte) []byte { b[where(b, 25)] ^= 1; return b }, want: without(n, 25)},
		{name: "a byte of the first", change: func(b []byte) []byte { b[where(b, 1)] ^= 1; return b }, want: without(n, 1)},
		{name: "a byte of the last", change: func(b []byte) []byte { b[where(b, n)] ^= 1; return b }, want: without(n, n)},
		{name: "the length of one", change: func(b []byte) []byte { b[where(b, 30)-22-1] ^= 0x40; return b }, want: without(n, 30)},
		{name: "the length of one is huge", change: func(b []byte) []byte { b[where(b, 30)-22-1+2] = 0xff; return b }, want: without(n, 30)},
		{name: "zeros over several", change: func(b []byte) []byte { clear(b[where(b, 10) : where(b, 14)-30]); return b }, want: without(n, 10, 11, 12, 13)},
		{name: "two places", change: func(b []byte) []byte { b[where(b, 5)] ^= 1; b[where(b, 45)] ^= 1; return b }, want: without(n, 5, 45)},
		{name: "cut in the last", change: func(b []byte) []byte { return b[:len(b)-1] }, want: without(n, n), torn: true},
		{name: "cut in one before", change: func(b []byte) []byte { return b[:where(b, 40)+10] }, want: without(n, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50), torn: true},
		{name: "zeros behind the last", change: func(b []byte) []byte { return append(b, make([]byte, 4096)...) }, want: without(n), torn: true},
		{name: "rubbish behind the last", change: func(b []byte) []byte { return append(b, bytes.Repeat([]byte{0xa5}, 500)...) }, want: without(n)},
	} {
		for _, killed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/killed=%t", tt.name, killed), func(t *testing.T) {
				dir := t.TempDir()
				file := fill(t, dir, n, size)[0]
				if killed { // it is written now and then, and when the server stops
					if err := os.Remove(filepath.Join(filepath.Dir(file), "index.db")); err != nil {
						t.Fatal(err)
					}
				}
				change(t, file, tt.change)
				before, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				damages, got := opened(t, dir, size)
				if !slices.Equal(got, tt.want) {
					t.Errorf("left are %v, want %v", got, tt.want)
				}
				if tt.sound {
					if len(damages) > 0 {
						t.Errorf("found %+v where nothing is damaged", damages)
					}
					return
				}
				if len(damages) != 1 {
					t.Fatalf("found %+v, want one damage", damages)
				}
				d := damages[0]
				if d.Stream != "S" || d.File != file || d.Bytes <= 0 || d.Torn != tt.torn {
					t.Errorf("found %+v, want torn %t", d, tt.torn)
				}
				kept, err := os.ReadFile(d.Copy)
				if err != nil || !bytes.HasSuffix(before, kept) || !tt.torn && !bytes.Equal(kept, before) {
					t.Errorf("the copy has %d bytes of %d: %v", len(kept), len(before), err)
				}
			})
		}
	}
}

// Whatever is damaged, what lies outside of it is left, and nothing is made up.
func TestDamageAnywhere(t *testing.T) {
	const n, size = 20, 40
	whole, err := os.ReadFile(fill(t, t.TempDir(), n, size)[0])
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(r *rapid.T) {
		from := rapid.IntRange(0, len(whole)-1).Draw(r, "from")
		to := min(len(whole), from+rapid.IntRange(1, 300).Draw(r, "length"))
		damaged := bytes.Clone(whole)
		copy(damaged[from:to], rapid.SliceOfN(rapid.Byte(), to-from, to-from).Draw(r, "rubbish"))
		good, bad, _ := embeddednats.Sound(damaged, "S", 1)
		if len(good)+bad != len(whole) {
			r.Errorf("%d bytes are good and %d bad, of %d", len(good), bad, len(whole))
		}
		if again, bad, _ := embeddednats.Sound(good, "S", 1); bad != 0 || !bytes.Equal(again, good) {
			r.Errorf("of what is good %d bytes are bad", bad)
		}
		for _, message := range without(n) {
			begin, end := where(whole, message)-100, len(whole) // its record, and some more
			if message < n {
				end = where(whole, message+1)
			}
			if hit := begin < to && from < end; !hit && where(good, message) < 0 {
				r.Errorf("bytes %d to %d were damaged, and message %d at %d is gone", from, to, message, where(whole, message))
			}
		}
	})
}

// A server on a disk with little room opens its streams: their budgets bound them.
func TestStreamsOfMoreThanTheDiskHas(t *testing.T) {
	_, js := start(t, t.TempDir(), embeddednats.Options{})
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Storage: jetstream.FileStorage, MaxBytes: 1 << 50}); err != nil {
		t.Error(err)
	}
}

// A server whose file could not be written takes messages again when there is room, with all that
// was confirmed; its clients need not do anything.
func TestServerIsStartedAnewWhenThereIsRoom(t *testing.T) {
	var log bytes.Buffer
	told := make(chan error, 100)
	room := make(chan uint64, 2)
	server, js := start(t, t.TempDir(), embeddednats.Options{
		Log:     slog.New(slog.NewTextHandler(&log, nil)),
		Trouble: func(err error) { told <- err },
		Free:    func(string) (uint64, error) { return <-room, nil },
	})
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Storage: jetstream.FileStorage}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "s", []byte("before")); err != nil {
		t.Fatal(err)
	}
	server.Suspect()
	room <- 1 << 20
	if err := <-told; err == nil || !strings.Contains(err.Error(), "is full") {
		t.Errorf("told %v of a full disk", err)
	}
	room <- 1 << 30
	if err := <-told; err != nil {
		t.Fatalf("told %v when there is room", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testWithin)
	defer cancel()
	var err error
	for {
		try, cancel := context.WithTimeout(ctx, time.Second) // what was sent to the one before is not answered
		_, err = js.Publish(try, "s", []byte("after"))
		cancel()
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		t.Fatalf("%v; the log is\n%s", err, log.String())
	}
	stream, err := js.Stream(ctx, "S")
	if err != nil {
		t.Fatal(err)
	}
	if msg, err := stream.GetMsg(ctx, 1); err != nil || string(msg.Data) != "before" {
		t.Errorf("the first message is %v: %v", msg, err)
	}
}

// What is found damaged when a server is started anew is told as at the start.
func TestDamageFoundWhenStartedAnew(t *testing.T) {
	dir := t.TempDir()
	file := fill(t, dir, 10, 100)[0]
	told, again := make(chan []embeddednats.Damage, 1), make(chan error, 1)
	server, _ := start(t, dir, embeddednats.Options{
		Damaged: func(all []embeddednats.Damage) { told <- all },
		Trouble: func(err error) { again <- err },
	})
	change(t, file, func(b []byte) []byte { b[where(b, 5)] ^= 1; return b })
	server.Suspect()
	if all := <-told; len(all) != 1 || all[0].Stream != "S" || all[0].Torn {
		t.Errorf("told %+v", all)
	}
	if err := <-again; err != nil {
		t.Error(err)
	}
}

// BenchmarkMend looks at the files of a stream of some 200 MB, in which nothing is damaged.
func BenchmarkMend(b *testing.B) {
	dir := b.TempDir()
	size := 0
	for _, file := range fill(b, dir, 2000, 100_000) {
		if info, err := os.Stat(file); err == nil {
			size += int(info.Size())
		}
	}
	b.SetBytes(int64(size))
	for b.Loop() {
		if damages, err := embeddednats.Mend(dir); err != nil || len(damages) > 0 {
			b.Fatal(damages, err)
		}
	}
}
