package ingest_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"greentally"
	"greentally/ingest"
)

// TestLettersOfADevice finds the letters of a device among those of many that were invented: what
// was written before it was known how to, and what is of no device, is looked through, too.
func TestLettersOfADevice(t *testing.T) {
	js, _ := newJetStream(t, t.TempDir())
	open := func() *ingest.DeadLetters {
		t.Helper()
		letters, err := ingest.OpenDeadLetters(t.Context(), js, 64<<20, 1)
		if err != nil {
			t.Fatal(err)
		}
		return letters
	}
	place := 0
	letter := func(topic string, reason greentally.Reason) greentally.DeadLetter {
		place++
		return greentally.DeadLetter{Origin: fmt.Sprintf("%d.0", place), Topic: topic, Payload: []byte("{}"), Received: noon, Reason: reason}
	}
	put := func(d *ingest.DeadLetters, all ...greentally.DeadLetter) {
		t.Helper()
		if err := d.Put(t.Context(), all); err != nil {
			t.Fatal(err)
		}
	}
	put(open(), letter("honest/bin-1/before", greentally.UnknownDevice), letter("flooded/x/before", greentally.UnknownDevice))
	letters := open()
	letters.Device = func(m greentally.Message) (greentally.DeviceKey, bool) {
		community, rest, _ := strings.Cut(m.Topic, "/")
		device, _, ok := strings.Cut(rest, "/")
		return greentally.DeviceKey{Community: community, Device: device}, ok
	}
	put(letters, letter("honest/bin-1/1", greentally.UnknownDevice), letter("honest/bin-1/bad", greentally.BadPayload), letter("status", greentally.UnknownDevice))
	for range 1500 {
		put(letters, letter(fmt.Sprintf("flooded/invented-%d/1", place), greentally.UnknownDevice), letter(fmt.Sprintf("honest/invented-%d/1", place), greentally.UnknownDevice))
	}
	put(letters, letter("honest/bin-2/1", greentally.UnknownDevice), letter("honest/bin-1/2", greentally.UnknownDevice))
	of := func(most int, devices ...string) (topics []string, found []greentally.DeadLetter) {
		t.Helper()
		var keys []greentally.DeviceKey
		for _, device := range devices {
			keys = append(keys, greentally.DeviceKey{Community: "honest", Device: device}, greentally.DeviceKey{Device: device})
		}
		err := letters.Of(t.Context(), keys, func(l greentally.DeadLetter) bool {
			topics, found = append(topics, l.Topic), append(found, l)
			return len(topics) < most
		})
		if err != nil {
			t.Fatal(err)
		}
		return topics, found
	}
	always := []string{"honest/bin-1/before", "flooded/x/before", "honest/bin-1/bad", "status"}
	for _, tt := range []struct {
		most    int
		devices []string
		want    []string
	}{
		{100, []string{"bin-1"}, []string{always[0], always[1], "honest/bin-1/1", always[2], always[3], "honest/bin-1/2"}},
		{100, []string{"bin-1", "bin-2"}, []string{always[0], always[1], "honest/bin-1/1", always[2], always[3], "honest/bin-2/1", "honest/bin-1/2"}},
		{100, []string{"nobody"}, always},
		{1, []string{"bin-1"}, always[:1]},
	} {
		if got, _ := of(tt.most, tt.devices...); !slices.Equal(got, tt.want) {
			t.Errorf("of %q: %q, want %q", tt.devices, got, tt.want)
		}
	}

	_, found := of(100, "bin-1")
	var taken []greentally.Message
	into := func(_ context.Context, all ...greentally.Message) error { taken = append(taken, all...); return nil }
	if err := letters.Take(t.Context(), found, into); err != nil {
		t.Fatal(err)
	}
	if err := letters.Take(t.Context(), found, into); err != nil {
		t.Errorf("what is not there any more is taken: %v", err)
	}
	if got, _ := of(100, "bin-1"); len(got) != 0 || len(taken) != 12 || taken[0].Topic != always[0] || !taken[0].Received.Equal(noon) {
		t.Errorf("after they were taken %q are there; taken %d", got, len(taken))
	}
	if n, err := letters.Count(t.Context()); err != nil || n != 3001 {
		t.Errorf("%d letters are left, %v", n, err)
	}
}

// A clock that was wrong when a message came does not decide again when the message is replayed.
func TestReplayIsJudgedByNow(t *testing.T) {
	js, _ := newJetStream(t, t.TempDir())
	letters, err := ingest.OpenDeadLetters(t.Context(), js, 64<<20, 1)
	if err != nil {
		t.Fatal(err)
	}
	past, future := time.Now().Add(-time.Hour).UTC().Truncate(time.Second), time.Now().Add(800*24*time.Hour).UTC().Truncate(time.Second)
	for i, tt := range []struct {
		name     string
		reason   greentally.Reason
		received time.Time
		keeps    bool // when it was received
	}{
		{"absurd by a clock that was ahead", greentally.AbsurdTime, future, false},
		{"absurd by a clock that was behind", greentally.AbsurdTime, time.Unix(0, 0).UTC(), false},
		{"unknown, and received in the future", greentally.UnknownDevice, future, false},
		{"unknown", greentally.UnknownDevice, past, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := letters.Put(t.Context(), []greentally.DeadLetter{{Origin: fmt.Sprintf("%d.0", i+1), Topic: "t", Payload: []byte("x"), Received: tt.received, Reason: tt.reason}}); err != nil {
				t.Fatal(err)
			}
			err := letters.Replay(t.Context(), []uint64{uint64(i + 1)}, func(_ context.Context, all ...greentally.Message) error {
				if got := all[0].Received; tt.keeps && !got.Equal(tt.received) || !tt.keeps && !got.IsZero() {
					t.Errorf("replayed as received %v", got)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}
