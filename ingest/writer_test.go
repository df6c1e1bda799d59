package ingest_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"greentally"
	"greentally/ingest"
)

var noon = time.Date(2026, 10, 8, 4, 0, 0, 0, time.UTC)

// decode reads payloads of the tests: "bad" cannot be used, "half" only in part, any
// other is a reading of the device that the topic names.
func decode(m greentally.Message) ([]greentally.Reading, error) {
	reading := greentally.Reading{
		DeviceKey: greentally.DeviceKey{Community: "c", Device: m.Topic}, Kind: "sorting_bin", Time: m.Received,
		Quality: greentally.Accepted, Values: []greentally.Value{{Quantity: "mass_kg", Number: float64(len(m.Payload))}},
	}
	switch string(m.Payload) {
	case "bad":
		return nil, greentally.Reject(greentally.BadPayload, "it is bad")
	case "half":
		return []greentally.Reading{reading}, errors.Join(greentally.Reject(greentally.ImpossibleValue, "half of it is"))
	case "stranger":
		return nil, greentally.Reject(greentally.UnknownDevice, "%s", m.Topic)
	}
	return []greentally.Reading{reading}, nil
}

// flakyStore fails the first times, and refuses readings of the device "refused".
type flakyStore struct {
	failures int
	mu       sync.Mutex
	readings []greentally.Reading
}

func (s *flakyStore) WriteReadings(_ context.Context, readings []greentally.Reading) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failures > 0 {
		s.failures--
		return errors.New("connection refused")
	}
	var refused greentally.RefusedError
	for i, r := range readings {
		if r.Device == "refused" {
			refused.Refused = append(refused.Refused, greentally.Refusal{Index: i, Reason: "field type conflict"})
			continue
		}
		s.readings = append(s.readings, r)
	}
	if len(refused.Refused) > 0 {
		return &refused
	}
	return nil
}

func newWriter(t *testing.T, store ingest.ReadingWriter) (*ingest.Writer, *ingest.DeadLetters, *ingest.Touches) {
	t.Helper()
	js, _ := newJetStream(t, t.TempDir())
	letters, err := ingest.OpenDeadLetters(t.Context(), js, 64<<20, 1)
	if err != nil {
		t.Fatal(err)
	}
	touches, err := ingest.OpenTouches(t.Context(), ingest.Streams{JetStream: js}, ingest.NewMetrics(prometheus.NewRegistry()), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return &ingest.Writer{
		Decode: decode, Store: store, DeadLetters: letters, Touches: touches,
		Metrics: ingest.NewMetrics(prometheus.NewRegistry()), Log: slog.New(slog.DiscardHandler),
	}, letters, touches
}

func entry(seq uint64, topicsAndPayloads ...string) ingest.Entry {
	e := ingest.Entry{Sequence: seq}
	for i := 0; i < len(topicsAndPayloads); i += 2 {
		e.Messages = append(e.Messages, greentally.Message{
			Topic: topicsAndPayloads[i], Payload: []byte(topicsAndPayloads[i+1]),
			Received: noon.Add(time.Duration(seq)*time.Minute + time.Duration(i)),
		})
	}
	return e
}

func listLetters(t *testing.T, d *ingest.DeadLetters) []greentally.DeadLetter {
	t.Helper()
	var all []greentally.DeadLetter
	if err := d.List(t.Context(), 0, func(l greentally.DeadLetter) bool { all = append(all, l); return true }); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestWriterStoresWhatItCanAndKeepsTheRestWithItsReason(t *testing.T) {
	store := &flakyStore{failures: 2}
	w, letters, touches := newWriter(t, store)
	var unknown []string
	w.Unknown = func(_ context.Context, m greentally.Message) error { unknown = append(unknown, m.Topic); return nil }

	entries := []ingest.Entry{
		entry(1, "a", "1", "b", "bad", "c", "half"),
		entry(2, "refused", "1", "d", "stranger", "a", "2"),
	}
	entries = append(entries, ingest.Entry{Sequence: 3, Damaged: []byte("\xff")})
	for range 2 { // the second time is what happens after a kill: nothing may change
		if err := w.Write(t.Context(), entries); err != nil {
			t.Fatal(err)
		}
	}

	var stored []string
	for _, r := range store.readings[:3] {
		stored = append(stored, r.Device)
	}
	if want := []string{"a", "c", "a"}; !slices.Equal(stored, want) {
		t.Errorf("stored readings of %v, want %v", stored, want)
	}
	got := map[string]greentally.Reason{}
	all := listLetters(t, letters)
	for _, l := range all {
		got[l.Topic] = l.Reason
	}
	want := map[string]greentally.Reason{
		"b": greentally.BadPayload, "c": greentally.ImpossibleValue, "refused": greentally.RefusedByStore,
		"d": greentally.UnknownDevice, "": greentally.BadPayload,
	}
	if len(all) != len(want) {
		t.Errorf("%d dead letters, want %d: one for each message, also when it is written twice", len(all), len(want))
	}
	for topic, reason := range want {
		if got[topic] != reason {
			t.Errorf("dead letter of %q has reason %q, want %q", topic, got[topic], reason)
		}
	}
	if !slices.Contains(unknown, "d") || slices.Contains(unknown, "b") {
		t.Errorf("told of unknown devices %v, want d alone", unknown)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var touch *ingest.Touch
	err := touches.Follow(ctx, "tally", func(_ context.Context, ts []ingest.Touch) error {
		for _, x := range ts {
			if x.Device == "a" {
				touch = &x
			}
		}
		cancel()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if touch == nil || !touch.From.Equal(noon.Add(time.Minute)) || !touch.To.Equal(noon.Add(2*time.Minute+4)) {
		t.Errorf("touch of a is %+v, want from its first to its last reading", touch)
	}
}

func TestWriterGivesUpOnlyWhenAskedToStop(t *testing.T) {
	w, _, _ := newWriter(t, &flakyStore{failures: 1 << 30})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := w.Write(ctx, []ingest.Entry{entry(1, "a", "1")}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want that of the context", err)
	}
}

func TestReplayBringsBackTheMessageAsItWasReceived(t *testing.T) {
	w, letters, _ := newWriter(t, &flakyStore{})
	if err := w.Write(t.Context(), []ingest.Entry{entry(1, "b", "bad", "x", "bad")}); err != nil {
		t.Fatal(err)
	}
	all := listLetters(t, letters)
	var again []greentally.Message
	err := letters.Replay(t.Context(), []uint64{all[0].ID}, func(_ context.Context, m ...greentally.Message) error {
		again = append(again, m...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(again) != 1 || again[0].Topic != "b" || string(again[0].Payload) != "bad" || !again[0].Received.Equal(noon.Add(time.Minute)) {
		t.Errorf("replayed %+v, want the message as it was received", again)
	}
	// The newest letter is gone, too, after this: a list must not wait for it.
	if err := w.Write(t.Context(), []ingest.Entry{entry(2, "y", "bad")}); err != nil {
		t.Fatal(err)
	}
	newest := listLetters(t, letters)
	if err := letters.Delete(t.Context(), newest[len(newest)-1].ID); err != nil {
		t.Fatal(err)
	}
	if rest := listLetters(t, letters); len(rest) != 1 || rest[0].Topic != "x" {
		t.Errorf("left are %+v, want the letter that was not replayed", rest)
	}
	if err := letters.Delete(t.Context(), all[0].ID); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("delete what is gone: %v, want fs.ErrNotExist", err)
	}
	if _, err := letters.Get(t.Context(), all[0].ID); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("get what is gone: %v, want fs.ErrNotExist", err)
	}
}

func TestWatchKeepsTheLatestOfEachQuantity(t *testing.T) {
	var w ingest.Watch
	key := greentally.DeviceKey{Community: "c", Device: "a"}
	reading := func(minute int, values ...greentally.Value) greentally.Reading {
		return greentally.Reading{DeviceKey: key, Kind: "sorting_bin", Time: noon.Add(time.Duration(minute) * time.Minute), Values: values}
	}
	w.Set(
		reading(2, greentally.Value{Quantity: "mass_kg", Number: 2}),
		reading(1, greentally.Value{Quantity: "fill_ratio", Number: 0.1}, greentally.Value{Quantity: "mass_kg", Number: 1}),
		reading(3, greentally.Value{Quantity: "connection", State: "offline"}),
	)
	got, ok := w.Latest(key)
	if !ok || !got.Time.Equal(noon.Add(2*time.Minute)) {
		t.Fatalf("latest is %+v, want that of minute 2: a status is no measurement", got)
	}
	want := []greentally.Value{{Quantity: "connection", State: "offline"}, {Quantity: "fill_ratio", Number: 0.1}, {Quantity: "mass_kg", Number: 2}}
	if !slices.Equal(got.Values, want) {
		t.Errorf("values %+v, want %+v", got.Values, want)
	}
	if w.LatestByKind()["sorting_bin"] != noon.Add(2*time.Minute) {
		t.Errorf("latest by kind %v", w.LatestByKind())
	}
}

// What a clock that was ahead dated does not stand for the latest until then.
func TestWatchForgetsWhatIsDatedAbsurdly(t *testing.T) {
	now := noon
	w := ingest.Watch{Now: func() time.Time { return now }}
	key := greentally.DeviceKey{Community: "c", Device: "a"}
	set := func(at time.Time, kg float64) {
		w.Set(greentally.Reading{DeviceKey: key, Kind: "sorting_bin", Time: at, Values: []greentally.Value{{Quantity: "mass_kg", Number: kg}}})
	}
	ahead := noon.Add(800 * 24 * time.Hour)
	for _, tt := range []struct {
		name string
		at   time.Time
		kg   float64
		want float64
	}{
		{"by the clock that is ahead", ahead, 1, 1},
		{"again", ahead.Add(time.Minute), 2, 2},
		{"by the clock that is right", noon, 3, 3},
		{"a late one", noon.Add(-time.Hour), 4, 3},
		{"a little ahead, which devices may be", noon.Add(5 * time.Minute), 5, 5},
		{"the right time again", noon.Add(time.Minute), 6, 5},
	} {
		set(tt.at, tt.kg)
		got, _ := w.Latest(key)
		if len(got.Values) != 1 || got.Values[0].Number != tt.want {
			t.Errorf("%s: the latest is %+v, want %v", tt.name, got, tt.want)
		}
	}
}

// The store is marked now and then, and when the writer ends; what comes again is written, and not
// reported again.
func TestWriterMarksAndReportsOnce(t *testing.T) {
	var marks []uint64
	store := &flakyStore{}
	w, letters, _ := newWriter(t, store)
	w.Mark = func(_ context.Context, sequence uint64) error { marks = append(marks, sequence); return nil }
	for sequence := range uint64(3) {
		if err := w.Write(t.Context(), []ingest.Entry{entry(sequence+1, "a", "1", "a", "bad")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(marks, []uint64{1, 3}) {
		t.Errorf("marked %v, want once and at the end", marks)
	}
	if n := len(listLetters(t, letters)); n != 3 {
		t.Fatalf("%d letters, want 3", n)
	}
	for _, l := range listLetters(t, letters) { // somebody has dealt with them
		if err := letters.Delete(t.Context(), l.ID); err != nil {
			t.Fatal(err)
		}
	}
	again := entry(2, "a", "1", "a", "bad")
	again.Again = true
	if err := w.Write(t.Context(), []ingest.Entry{again}); err != nil {
		t.Fatal(err)
	}
	if n := len(listLetters(t, letters)); n != 0 {
		t.Errorf("%d letters came back", n)
	}
}

// Letters of a journal that was made anew do not take the place of those of the one before.
func TestLettersOfTwoJournals(t *testing.T) {
	w, letters, _ := newWriter(t, &flakyStore{})
	for _, id := range []string{"1", "2", "2"} {
		w.Journal = func() string { return id }
		if err := w.Write(t.Context(), []ingest.Entry{entry(1, "a", "bad")}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(listLetters(t, letters)); n != 2 {
		t.Errorf("%d letters, want one of each journal", n)
	}
}

func TestDiscoveriesRememberWhoSpoke(t *testing.T) {
	js, _ := newJetStream(t, t.TempDir())
	identify := func(m greentally.Message) (greentally.Discovered, bool) {
		community, device, ok := strings.Cut(m.Topic, "/")
		return greentally.Discovered{DeviceKey: greentally.DeviceKey{Community: community, Device: device}, Profile: "native"}, ok
	}
	d, err := ingest.OpenDiscoveries(t.Context(), js, 1, identify)
	if err != nil {
		t.Fatal(err)
	}
	for i, topic := range []string{"c/b", "c/a", "nothing", "c/b"} {
		m := greentally.Message{Topic: topic, Payload: []byte("\xff{}"), Received: noon.Add(time.Duration(i) * time.Minute)}
		if err := d.Note(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	everything := ingest.DiscoveredQuery{Of: func(string) bool { return true }, Limit: 100}
	all, _, err := d.List(t.Context(), everything)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || all[0].Device != "a" || all[1].Device != "b" {
		t.Fatalf("discovered %+v, want a and b", all)
	}
	if b := all[1]; !b.First.Equal(noon) || !b.Last.Equal(noon.Add(3*time.Minute)) {
		t.Errorf("b was seen %v to %v", b.First, b.Last)
	}
	if err := d.Forget(t.Context(), all[0].DeviceKey); err != nil {
		t.Fatal(err)
	}
	if all, _, err = d.List(t.Context(), everything); err != nil || len(all) != 1 {
		t.Errorf("after forgetting one: %+v, %v", all, err)
	}
}
