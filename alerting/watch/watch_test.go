package watch_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"greentally"
	"greentally/alerting/watch"
	"greentally/internal/strictyaml"
	"greentally/rules/alerts"
)

const rules = `group: few
title: {zh: 甲, en: Few}
rules:
- alert: full
  title: {zh: 满, en: Full}
  severity: critical
  kind: bin
  when: fill_ratio >= 0.9
  summary: {zh: 满, en: Full}
  action: {zh: 清, en: Go}
  tests: [{name: x, values: {fill_ratio: "0.1"}}]
- alert: silent
  title: {zh: 离线, en: Silent}
  severity: warning
  kind: any
  absent: 3
  summary: {zh: 离线, en: Silent}
  action: {zh: 查, en: Look}
  tests: [{name: x, values: {fill_ratio: "0.1"}}]
`

var bin = &greentally.Kind{Name: "bin", Quantities: []greentally.Quantity{{Name: "fill_ratio", Nature: greentally.Gauge, Unit: "/"}}}

type registry struct{}

func (registry) Communities() []*greentally.Community {
	return []*greentally.Community{{ID: "c", Devices: []*greentally.Device{{Community: "c", ID: "a", Kind: "bin", Interval: greentally.Duration(10 * time.Minute)}}}}
}
func (registry) Location(string) (*time.Location, bool)    { return time.UTC, true }
func (registry) Kind(name string) (*greentally.Kind, bool) { return bin, name == "bin" }

// state is a State in memory that can fail.
type state struct {
	mu     sync.Mutex
	values map[string][]byte
	err    error
}

func (s *state) All(context.Context) (map[string][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.values), nil
}

func (s *state) Write(_ context.Context, values map[string][]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	if s.values == nil {
		s.values = map[string][]byte{}
	}
	maps.Copy(s.values, values)
	maps.DeleteFunc(s.values, func(_ string, value []byte) bool { return value == nil })
	return nil
}

// open makes a watch on the state; what it tells goes to told.
func open(t *testing.T, s *state, told *[]string) *watch.Watch {
	t.Helper()
	set, err := alerts.Load(registry{}.Kind, strictyaml.Folder{Name: "x", FS: fstest.MapFS{"few.yaml": {Data: []byte(rules)}}})
	if err != nil {
		t.Fatal(err)
	}
	w := &watch.Watch{
		State: s, Every: 30 * time.Second, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Decode: func(m greentally.Message) ([]greentally.Reading, error) {
			var fill float64
			if _, err := fmt.Sscan(string(m.Payload), &fill); err != nil {
				return nil, err
			}
			return []greentally.Reading{{DeviceKey: greentally.DeviceKey{Community: "c", Device: "a"}, Kind: "bin", Time: m.Received, Quality: greentally.Accepted,
				Values: []greentally.Value{{Quantity: "fill_ratio", Number: fill}}}}, nil
		},
		Tell: func(_ context.Context, all []greentally.Alert) {
			for _, a := range all {
				*told = append(*told, fmt.Sprint(a.Rule, map[bool]string{true: " fires", false: " ends"}[a.Ended == nil]))
			}
		},
	}
	if err := w.Open(t.Context(), alerts.NewEngine(set, registry{})); err != nil {
		t.Fatal(err)
	}
	return w
}

func say(payload string) []greentally.Message {
	return []greentally.Message{{Payload: []byte(payload), Received: time.Now()}}
}

func TestStateIsKeptAndGoneOnFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &state{}
		var told []string
		w := open(t, s, &told)
		w.See(t.Context(), 1, say("0.5"))
		if kept := w.Kept(t.Context(), false); kept != 0 {
			t.Errorf("kept up to %d before it was time", kept)
		}
		time.Sleep(31 * time.Second)
		s.err = errors.New("the disk is full")
		w.See(t.Context(), 2, say("0.95"))
		synctest.Wait()
		w.See(t.Context(), 3, say("nonsense"))
		if kept := w.Kept(t.Context(), false); kept != 0 {
			t.Errorf("kept up to %d by a disk that is full", kept)
		}
		s.err = nil
		time.Sleep(31 * time.Second)
		w.Pass(t.Context(), true)
		synctest.Wait()
		if kept := w.Kept(t.Context(), false); kept != 3 {
			t.Errorf("kept up to %d, want 3", kept)
		}
		if got := strings.Join(told, ", "); got != "full fires" {
			t.Errorf("told %s", got)
		}

		told = nil // killed
		w = open(t, s, &told)
		w.See(t.Context(), 5, say("0.2"))
		for range 31 {
			time.Sleep(time.Minute)
			w.Pass(t.Context(), true)
		}
		if got := strings.Join(told, ", "); got != "full fires, full ends, silent fires" {
			t.Errorf("after a restart it told %s", got)
		}
		if all := w.Alerts(); len(all) != 2 {
			t.Errorf("%d alerts hold or ended lately", len(all))
		}
		if err := w.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Messages that say nothing, such as those of a device in no file, do not stop the time.
func TestTimePassesAmongMessagesThatSayNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		w := open(t, &state{}, &told)
		w.See(t.Context(), 1, say("0.5"))
		for second := range uint64(3600) {
			for n := range uint64(5) {
				time.Sleep(200 * time.Millisecond)
				w.See(t.Context(), 2+5*second+n, say("nonsense"))
			}
			w.Pass(t.Context(), true)
		}
		if got := strings.Join(told, ", "); got != "silent fires" {
			t.Errorf("told %s", got)
		}
	})
}

// The place moves on without another message, at once if the journal needs the room.
func TestStateIsKeptAtOnceIfThatIsUrgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &state{}, new([]string))
		w.See(t.Context(), 7, say("0.5"))
		for _, urgent := range []bool{false, true} {
			w.Kept(t.Context(), urgent)
			synctest.Wait() // it is kept in the background
			if kept, want := w.Kept(t.Context(), false), map[bool]uint64{true: 7}[urgent]; kept != want {
				t.Errorf("urgent %t: kept up to %d, want %d", urgent, kept, want)
			}
		}
	})
}

// A clock that was ahead and is right again does not make a device silent for as long as it went ahead.
func TestClockThatWasAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		w := open(t, &state{}, &told)
		w.See(t.Context(), 1, say("0.5"))
		glitch := say("0.95")
		glitch[0].Received = time.Now().Add(800 * 24 * time.Hour)
		w.See(t.Context(), 2, glitch)
		told = nil
		for n := range uint64(12) { // it goes on reporting, by the right clock
			w.See(t.Context(), 3+n, say([]string{"0.5", "0.95"}[n%2]))
			for range 600 {
				time.Sleep(time.Second)
				w.Pass(t.Context(), true)
			}
		}
		if got := strings.Join(told, ", "); !strings.HasPrefix(got, "full ends, full fires, full ends") || strings.Contains(got, "silent") {
			t.Errorf("told %s", got)
		}
	})
}
