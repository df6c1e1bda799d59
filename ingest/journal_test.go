package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"greentally"
	"greentally/ingest"
	"greentally/internal/embeddednats"
)

// newJetStream starts an embedded server on dir and stops it with the test.
func newJetStream(t testing.TB, dir string) (jetstream.JetStream, func()) {
	t.Helper()
	server, err := embeddednats.Start(dir, embeddednats.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(server.Close)
	t.Cleanup(stop)
	js, err := jetstream.New(server.Conn)
	if err != nil {
		t.Fatal(err)
	}
	return js, stop
}

func openJournal(t testing.TB, js jetstream.JetStream, config ingest.JournalConfig) *ingest.Journal {
	t.Helper()
	j, err := ingest.OpenJournal(t.Context(), ingest.Streams{JetStream: js}, config, ingest.NewMetrics(prometheus.NewRegistry()), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = j.Close(ctx) // a test may have closed it, or its server, before
	})
	return j
}

func message(i int) greentally.Message {
	return greentally.Message{Topic: "t", Payload: fmt.Appendf(nil, "%d", i)}
}

// collect follows the journal until it has seen n messages.
func collect(t testing.TB, j *ingest.Journal, follower string, n int) []greentally.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var got []greentally.Message
	err := j.Follow(ctx, follower, func(_ context.Context, entries []ingest.Entry) error {
		for _, e := range entries {
			got = append(got, e.Messages...)
		}
		if len(got) >= n {
			cancel()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != n {
		t.Fatalf("%s got %d messages, want %d", follower, len(got), n)
	}
	return got
}

func TestJournalKeepsOrderBytesAndDistinctStamps(t *testing.T) {
	js, _ := newJetStream(t, t.TempDir())
	j := openJournal(t, js, ingest.JournalConfig{MaxBytes: 64 << 20, Keep: time.Hour})

	const n = 3000
	var acked sync.WaitGroup
	for i := range n {
		acked.Add(1)
		err := j.Submit(t.Context(), ingest.Delivery{Message: message(i), Ack: func(err error) {
			if err != nil {
				t.Error(err)
			}
			acked.Done()
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	acked.Wait()

	got := collect(t, j, "writer", n)
	for i, m := range got {
		if string(m.Payload) != fmt.Sprint(i) || m.Topic != "t" {
			t.Fatalf("message %d is %q on %q", i, m.Payload, m.Topic)
		}
		if i > 0 && !m.Received.After(got[i-1].Received) {
			t.Fatalf("message %d was stamped %v, not after %v", i, m.Received, got[i-1].Received)
		}
	}
}

func TestFollowersHavePlacesOfTheirOwnThatOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	js, stop := newJetStream(t, dir)
	j := openJournal(t, js, ingest.JournalConfig{MaxBytes: 64 << 20, Keep: time.Hour})
	for i := range 10 {
		if err := j.Append(t.Context(), message(i)); err != nil {
			t.Fatal(err)
		}
	}
	collect(t, j, "writer", 10)
	stamp := collect(t, j, "watch", 10)[9].Received
	if err := j.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := j.Append(t.Context(), message(0)); !errors.Is(err, ingest.ErrClosed) {
		t.Errorf("append to a closed journal: %v, want ErrClosed", err)
	}
	stop()

	js, _ = newJetStream(t, dir)
	j = openJournal(t, js, ingest.JournalConfig{MaxBytes: 64 << 20, Keep: time.Hour})
	if err := j.Append(t.Context(), message(10)); err != nil {
		t.Fatal(err)
	}
	if got := collect(t, j, "writer", 1)[0]; string(got.Payload) != "10" || !got.Received.After(stamp) {
		t.Errorf("after a restart the writer got %q of %v, want \"10\" after %v", got.Payload, got.Received, stamp)
	}
	collect(t, j, "newcomer", 11)
}

// A follower that keeps its state now and then gets again what came since.
func TestFollowerGetsAgainWhatItHasNotKept(t *testing.T) {
	js, _ := newJetStream(t, t.TempDir())
	j := openJournal(t, js, ingest.JournalConfig{MaxBytes: 64 << 20, Keep: time.Hour})
	follow := func(keep int) (seen []string) { // keeps each message up to that
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var kept uint64
		err := j.FollowKept(ctx, "alerts", func(_ context.Context, entries []ingest.Entry) error {
			for _, e := range entries {
				for _, m := range e.Messages {
					seen = append(seen, string(m.Payload))
				}
				if len(seen) <= keep {
					kept = e.Sequence
				}
			}
			if seen[len(seen)-1] == "5" {
				cancel()
			}
			return nil
		}, func(context.Context, bool) uint64 { return kept })
		if err != nil {
			t.Fatal(err)
		}
		return seen
	}
	for i := range 6 {
		if err := j.Append(t.Context(), message(i)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		keep int
		want string
	}{{2, "[0 1 2 3 4 5]"}, {0, "[2 3 4 5]"}, {3, "[2 3 4 5]"}, {1, "[5]"}} {
		if got := fmt.Sprint(follow(tt.keep)); got != tt.want {
			t.Errorf("it saw %v, want %v", got, tt.want)
		}
	}
}

func TestFollowerThatFailsGetsTheSameAgain(t *testing.T) {
	js, _ := newJetStream(t, t.TempDir())
	j := openJournal(t, js, ingest.JournalConfig{MaxBytes: 64 << 20, Keep: time.Hour})
	if err := j.Append(t.Context(), message(0), message(1)); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if err := j.Follow(t.Context(), "writer", func(context.Context, []ingest.Entry) error { return broken }); !errors.Is(err, broken) {
		t.Fatalf("follow: %v, want the handler's error", err)
	}
	collect(t, j, "writer", 2)
}

func TestReplayedMessageKeepsItsStamp(t *testing.T) {
	js, _ := newJetStream(t, t.TempDir())
	j := openJournal(t, js, ingest.JournalConfig{MaxBytes: 64 << 20, Keep: time.Hour})
	old := message(1)
	old.Received = time.Date(2026, 10, 1, 8, 0, 0, 123, time.UTC)
	if err := j.Append(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if got := collect(t, j, "writer", 1)[0].Received; !got.Equal(old.Received) {
		t.Errorf("stamp %v, want %v", got, old.Received)
	}
}

func TestFullJournalAcknowledgesNothingAndLosesNothing(t *testing.T) {
	js, _ := newJetStream(t, t.TempDir())
	j := openJournal(t, js, ingest.JournalConfig{MaxBytes: 1 << 20, Keep: time.Hour})
	big := greentally.Message{Topic: "t", Payload: []byte(strings.Repeat("x", 100<<10))}
	appended := 0
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		err := j.Append(ctx, big)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			break // full
		}
		if err != nil {
			t.Fatal(err)
		}
		if appended++; appended > 20 {
			t.Fatal("the journal took more than its budget")
		}
	}
	// The one that waits goes in as soon as a follower makes room.
	tidy, cancel := context.WithCancel(t.Context())
	var tidied sync.WaitGroup
	defer tidied.Wait()
	defer cancel()
	got := 0
	ctx, done := context.WithTimeout(t.Context(), 60*time.Second)
	defer done()
	err := j.Follow(ctx, "writer", func(_ context.Context, entries []ingest.Entry) error {
		for _, e := range entries {
			got += len(e.Messages)
		}
		if got == appended {
			tidied.Go(func() { _ = j.Tidy(tidy) })
		}
		if got > appended {
			done()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got != appended+1 {
		t.Errorf("got %d messages, want the %d acknowledged and the one that waited", got, appended)
	}
}

func BenchmarkJournal(b *testing.B) {
	js, _ := newJetStream(b, b.TempDir())
	j := openJournal(b, js, ingest.JournalConfig{MaxBytes: 4 << 30, Keep: time.Hour})
	payload := []byte(`{"time":1793404800000,"fill_ratio":0.42,"mass_kg":12.3,"temperature_celsius":18.5,"battery_ratio":0.9}`)
	var acked sync.WaitGroup
	b.ReportAllocs()
	for b.Loop() {
		acked.Add(1)
		err := j.Submit(b.Context(), ingest.Delivery{
			Message: greentally.Message{Topic: "greentally/v1/jiayuan/bin-1/readings", Payload: payload},
			Ack:     func(error) { acked.Done() }})
		if err != nil {
			b.Fatal(err)
		}
	}
	acked.Wait()
}
