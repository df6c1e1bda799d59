package alerts_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"greentally"
	"greentally/internal/strictyaml"
	"greentally/rules/alerts"
	"testing/fstest"
)

// few are rules of each sort.
const few = `group: few
title: {zh: 甲, en: Few}
rules:
- alert: full
  title: {zh: 满, en: Full}
  severity: critical
  kind: sorting_bin
  when: fill_ratio >= 0.9
  clear: fill_ratio < 0.7
  summary: {zh: "{{percent .fill_ratio}}", en: "{{percent .fill_ratio}}"}
  action: {zh: 清, en: Go}
  tests: [{name: x, values: {fill_ratio: "0.1"}}]
- alert: lid_open
  title: {zh: 盖, en: Lid}
  severity: warning
  kind: sorting_bin
  when: status == "lid_open"
  for: 30m
  summary: {zh: 盖, en: Lid}
  action: {zh: 关, en: Close}
  tests: [{name: x, values: {status: ok}}]
- alert: silent
  title: {zh: 离线, en: Silent}
  severity: warning
  kind: any
  absent: 3.5
  summary: {zh: 离线, en: Silent}
  action: {zh: 查, en: Look}
  tests: [{name: x, values: {fill_ratio: "0.1"}}]
- alert: filling
  title: {zh: 快, en: Filling}
  severity: info
  kind: sorting_bin
  when: rate["fill_ratio"] > 0.2 and fill_ratio > 0.3
  summary: {zh: 快, en: Fast}
  action: {zh: 查, en: Look}
  tests: [{name: x, values: {fill_ratio: "0.1"}}]
`

type registry struct {
	communities []*greentally.Community
	kinds       func(string) (*greentally.Kind, bool)
}

func (r registry) Communities() []*greentally.Community      { return r.communities }
func (r registry) Location(string) (*time.Location, bool)    { return time.UTC, true }
func (r registry) Kind(name string) (*greentally.Kind, bool) { return r.kinds(name) }

func fewRules(t testing.TB) (*alerts.Set, registry) {
	t.Helper()
	k := kinds(t)
	set, err := alerts.Load(k, strictyaml.Folder{Name: "x", FS: fstest.MapFS{"few.yaml": {Data: []byte(few)}}})
	if err != nil {
		t.Fatal(err)
	}
	c := &greentally.Community{ID: "c"}
	for _, id := range []string{"a", "b"} {
		c.Devices = append(c.Devices, &greentally.Device{Community: "c", ID: id, Kind: "sorting_bin", Stream: greentally.Food, Interval: greentally.Duration(10 * time.Minute)})
	}
	return set, registry{[]*greentally.Community{c}, k}
}

var start = time.Date(2026, 10, 8, 0, 0, 0, 0, time.UTC)

// event is a reading, and how long nothing comes after it.
type event struct {
	reading greentally.Reading
	pause   time.Duration
}

func reading(device string, minute int, values ...greentally.Value) greentally.Reading {
	return greentally.Reading{DeviceKey: greentally.DeviceKey{Community: "c", Device: device}, Kind: "sorting_bin", Time: start.Add(time.Duration(minute) * time.Minute),
		Quality: greentally.Accepted, Values: values}
}

// history draws some hours of two bins, each every ten minutes; some readings are missing.
func history(t *rapid.T) (events []event) {
	fill := map[string]float64{"a": 0.5, "b": 0.2}
	for minute := 0; minute < 600; minute += 5 {
		device := []string{"a", "b"}[minute/5%2]
		fill[device] = min(1, max(0, fill[device]+rapid.Float64Range(-0.5, 0.55).Draw(t, "change")))
		if rapid.IntRange(0, 4).Draw(t, "lost") == 0 {
			continue
		}
		status := rapid.SampledFrom([]string{"ok", "lid_open", "lid_open", "lid_open"}).Draw(t, "status")
		events = append(events, event{reading: reading(device, minute, greentally.Value{Quantity: "fill_ratio", Number: fill[device]}, greentally.Value{Quantity: "status", State: status})})
	}
	for i := range events {
		end := start.Add(600 * time.Minute)
		if i+1 < len(events) {
			end = events[i+1].reading.Time
		}
		events[i].pause = end.Sub(events[i].reading.Time)
	}
	return events
}

// told collects what an engine told, each alert's beginning and end once.
type told map[string]bool

func (t told) add(all []greentally.Alert) {
	for _, a := range all {
		end := ""
		if a.Ended != nil {
			end = a.Ended.Format(time.TimeOnly)
		}
		t[fmt.Sprintf("%s %s from %s, %s to %s: %s", a.Device, a.Rule, a.Since.Format(time.TimeOnly), a.Fired.Format(time.TimeOnly), end, a.Summary.EN)] = true
	}
}

func (t told) String() string { return strings.Join(slices.Sorted(maps.Keys(t)), "\n") }

// live lets an engine see events, with so many ticks between.
func live(t interface{ Fatal(...any) }, engine *alerts.Engine, events []event, ticks func() int, to told) {
	for _, e := range events {
		changed, err := engine.See(e.reading.Time, e.reading)
		if err != nil {
			t.Fatal(err)
		}
		to.add(changed)
		n := ticks()
		for range n {
			changed, err := engine.Pass(e.pause / time.Duration(n))
			if err != nil {
				t.Fatal(err)
			}
			to.add(changed)
		}
	}
}

// How often time is told to pass changes nothing, as long as that is at least each minute.
func TestLawTicks(t *testing.T) {
	set, reg := fewRules(t)
	rapid.Check(t, func(t *rapid.T) {
		events := history(t)
		a, b := told{}, told{}
		// One reporting interval can hold several ticks; both see the ends of all intervals.
		live(t, alerts.NewEngine(set, reg), events, func() int { return 5 }, a)
		live(t, alerts.NewEngine(set, reg), events, func() int { return 5 * rapid.SampledFrom([]int{1, 2, 3, 4}).Draw(t, "ticks") }, b)
		if a.String() != b.String() {
			t.Fatalf("with few ticks\n%s\nwith more\n%s", a, b)
		}
	})
}

// Readings that come twice change nothing.
func TestLawRepetitions(t *testing.T) {
	set, reg := fewRules(t)
	rapid.Check(t, func(t *rapid.T) {
		events := history(t)
		var twice []event
		for i, e := range events {
			pause := e.pause
			e.pause = 0
			twice = append(twice, e)
			if i > 0 && rapid.Bool().Draw(t, "again") {
				twice = append(twice, event{reading: events[rapid.IntRange(0, i).Draw(t, "which")].reading})
			}
			twice[len(twice)-1].pause = pause
		}
		a, b := told{}, told{}
		live(t, alerts.NewEngine(set, reg), events, func() int { return 5 }, a)
		live(t, alerts.NewEngine(set, reg), twice, func() int { return 5 }, b)
		if a.String() != b.String() {
			t.Fatalf("each once\n%s\nsome twice\n%s", a, b)
		}
	})
}

// An engine that is killed, and goes on from a state that was kept before and sees again
// what came since, tells the same.
func TestLawRestart(t *testing.T) {
	set, reg := fewRules(t)
	rapid.Check(t, func(t *rapid.T) {
		events := history(t)
		whole := told{}
		live(t, alerts.NewEngine(set, reg), events, func() int { return 5 }, whole)

		kept := rapid.IntRange(0, len(events)-1).Draw(t, "kept after")
		killed := rapid.IntRange(kept, len(events)-1).Draw(t, "killed after")
		state := map[string][]byte{}
		cut := told{}
		first := alerts.NewEngine(set, reg)
		live(t, first, events[:kept], func() int { return 5 }, cut)
		if err := first.Save(func(key string, data []byte) error { state[key] = slices.Clone(data); return nil }); err != nil {
			t.Fatal(err)
		}
		live(t, first, events[kept:killed], func() int { return 5 }, cut)

		second := alerts.NewEngine(set, reg)
		for _, key := range slices.SortedFunc(maps.Keys(state), func(a, b string) int { return cmp.Compare(b, a) }) {
			if err := second.Restore(key, state[key]); err != nil {
				t.Fatal(err)
			}
		}
		cut.add(second.Alerts())
		live(t, second, events[kept:], func() int { return 5 }, cut)
		if whole.String() != cut.String() {
			t.Fatalf("without a restart\n%s\nwith one after %d, from the state after %d\n%s", whole, killed, kept, cut)
		}
	})
}

// Nobody is called silent for a time in which nobody listened.
func TestCatchingUpCriesNoSilence(t *testing.T) {
	set, reg := fewRules(t)
	engine := alerts.NewEngine(set, reg)
	seen := told{}
	fill := greentally.Value{Quantity: "fill_ratio", Number: 0.1}
	see := func(minute int) {
		for _, device := range []string{"a", "b"} {
			live(t, engine, []event{{reading: reading(device, minute, fill)}}, func() int { return 1 }, seen)
		}
	}
	see(0)
	see(10)
	see(10 + 300) // five hours later, and at once
	see(10 + 310)
	if len(seen) != 0 {
		t.Errorf("after a pause\n%s", seen)
	}
	for range 40 {
		changed, err := engine.Pass(time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		seen.add(changed)
	}
	if len(seen) != 2 {
		t.Errorf("when both are silent for forty minutes\n%s", seen)
	}
}

// A reading that comes late changes nothing.
func TestLateReadings(t *testing.T) {
	set, reg := fewRules(t)
	engine := alerts.NewEngine(set, reg)
	at := func(minute int, fill float64) string {
		changed, err := engine.See(start.Add(time.Hour), reading("a", minute, greentally.Value{Quantity: "fill_ratio", Number: fill}))
		if err != nil {
			t.Fatal(err)
		}
		states := []string{}
		for _, a := range changed {
			states = append(states, fmt.Sprint(a.Rule, a.Ended != nil))
		}
		return strings.Join(states, " ")
	}
	for _, tt := range []struct {
		minute int
		fill   float64
		want   string
	}{{0, 0.5, ""}, {20, 0.95, "fullfalse"}, {10, 0.5, ""}, {30, 0.2, "fulltrue"}, {25, 0.99, ""}} {
		if got := at(tt.minute, tt.fill); got != tt.want {
			t.Errorf("minute %d: %q, want %q", tt.minute, got, tt.want)
		}
	}
}

// Alerts of devices and rules that are gone end.
func TestWhatIsGoneEnds(t *testing.T) {
	set, reg := fewRules(t)
	engine := alerts.NewEngine(set, reg)
	for _, device := range []string{"a", "b"} {
		if changed, err := engine.See(start, reading(device, 0, greentally.Value{Quantity: "fill_ratio", Number: 0.95})); err != nil || len(changed) != 1 {
			t.Fatalf("%v, %v", changed, err)
		}
	}
	less := *reg.communities[0]
	less.Devices = less.Devices[:1]
	changed := engine.SetRegistry(registry{[]*greentally.Community{&less}, reg.kinds})
	if len(changed) != 1 || changed[0].Device != "b" || changed[0].Ended == nil {
		t.Errorf("a device is gone: %v", changed)
	}
	none, err := alerts.Load(reg.kinds)
	if err != nil {
		t.Fatal(err)
	}
	changed = engine.SetRules(none)
	if len(changed) != 1 || changed[0].Device != "a" || changed[0].Ended == nil {
		t.Errorf("all rules are gone: %v", changed)
	}
	if all := engine.Alerts(); len(all) != 2 {
		t.Errorf("%d are told again", len(all))
	}
}

// What becomes due between two readings is told, whether time passes there or readings come
// one upon the other.
func TestDueBetweenReadings(t *testing.T) {
	for name, tick := range map[string]bool{"live": true, "in a backlog": false} {
		set, reg := fewRules(t)
		engine := alerts.NewEngine(set, reg)
		got := told{}
		for i, status := range []string{"ok", "lid_open", "lid_open", "lid_open", "ok"} {
			minute := []int{0, 10, 20, 30, 50}[i]
			changed, err := engine.See(start.Add(time.Duration(minute)*time.Minute), reading("a", minute, greentally.Value{Quantity: "status", State: status}))
			if err != nil {
				t.Fatal(err)
			}
			got.add(changed)
			for range 9 {
				if tick && minute < 50 {
					changed, err := engine.Pass(time.Minute)
					if err != nil {
						t.Fatal(err)
					}
					got.add(changed)
				}
			}
			if tick && minute == 30 {
				changed, err := engine.Pass(2 * time.Minute)
				if err != nil {
					t.Fatal(err)
				}
				got.add(changed)
			}
		}
		const want = "a lid_open from 00:10:00, 00:40:00 to 00:50:00: Lid\na lid_open from 00:10:00, 00:40:00 to : Lid"
		maps.DeleteFunc(got, func(text string, _ bool) bool { return strings.Contains(text, "silent") }) // b never spoke
		if got.String() != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
}

// A gateway's silence is known before that of what is behind it, also if all speak equally
// often; and what is behind it is given time when the gateway is back.
func TestSilenceBehindAGateway(t *testing.T) {
	set, reg := fewRules(t)
	c := &greentally.Community{ID: "c"}
	for _, id := range []string{"a", "b", "z"} {
		d := &greentally.Device{Community: "c", ID: id, Kind: "sorting_bin", Interval: greentally.Duration(10 * time.Minute), Gateway: "z"}
		if id == "z" {
			d.Kind, d.Gateway = "gateway", ""
		}
		c.Devices = append(c.Devices, d)
	}
	engine := alerts.NewEngine(set, registry{[]*greentally.Community{c}, reg.kinds})
	var got []string
	note := func(minute int, changed []greentally.Alert, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range changed {
			got = append(got, fmt.Sprint(minute, " ", a.Device, map[bool]string{true: " fires", false: " ends"}[a.Ended == nil]))
		}
	}
	say := func(device string, minute int) {
		r := reading(device, minute, greentally.Value{Quantity: "battery_ratio", Number: 0.9})
		if device == "z" {
			r.Kind = "gateway"
		}
		changed, err := engine.See(r.Time, r)
		note(minute, changed, err)
	}
	for minute := 0; minute <= 160; minute++ {
		if minute == 0 || minute >= 100 && minute%10 == 0 { // the gateway speaks last, and first
			say("z", minute)
		}
		if minute == 0 || minute >= 105 && minute%10 == 5 {
			say("a", minute)
		}
		changed, err := engine.Pass(time.Minute)
		note(minute+1, changed, err)
	}
	// b never speaks again: it is told of 45 minutes after the gateway is back.
	const want = "35 z fires, 45 a fires, 45 b fires, 101 z ends, 101 a ends, 101 b ends, 146 b fires"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("%s\nwant %s", s, want)
	}
}

// What left is forgotten for good: a device that comes back begins anew.
func TestADeviceThatIsBackBeginsAnew(t *testing.T) {
	set, reg := fewRules(t)
	kept := map[string][]byte{}
	keep := func(e *alerts.Engine) {
		if err := e.Save(func(key string, data []byte) error {
			kept[key] = data
			if data == nil {
				delete(kept, key)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	engine := alerts.NewEngine(set, reg)
	if _, err := engine.See(start, reading("a", 0, greentally.Value{Quantity: "fill_ratio", Number: 0.95})); err != nil {
		t.Fatal(err)
	}
	keep(engine)
	less := *reg.communities[0]
	less.Devices = less.Devices[1:]
	engine.SetRegistry(registry{[]*greentally.Community{&less}, reg.kinds})
	keep(engine)
	engine = alerts.NewEngine(set, reg)
	for key, data := range kept {
		if err := engine.Restore(key, data); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range engine.Alerts() {
		if a.Ended == nil {
			t.Errorf("it holds without a reading: %s of %s", a.Rule, a.Device)
		}
	}
}

// A repetition is no news, also of a clock that is ahead.
func TestARepetitionEndsNothing(t *testing.T) {
	_, reg := fewRules(t)
	set, err := alerts.Load(kinds(t), alerts.Shipped())
	if err != nil {
		t.Fatal(err)
	}
	engine := alerts.NewEngine(set, reg)
	r := reading("a", 3, greentally.Value{Quantity: "fill_ratio", Number: 0.1})
	if changed, err := engine.See(start, r); err != nil || len(changed) != 1 {
		t.Fatalf("%v, %v", changed, err)
	}
	if changed, err := engine.See(start.Add(150*time.Second), r); err != nil || len(changed) != 0 {
		t.Errorf("a repetition changed %v, %v", changed, err)
	}
}

// While nobody listens nobody is silent, but what holds goes on.
func TestMiss(t *testing.T) {
	set, reg := fewRules(t)
	engine := alerts.NewEngine(set, reg)
	got := told{}
	for _, device := range []string{"a", "b"} {
		changed, err := engine.See(start, reading(device, 0, greentally.Value{Quantity: "status", State: "lid_open"}))
		if err != nil {
			t.Fatal(err)
		}
		got.add(changed)
	}
	for range 120 {
		changed, err := engine.Miss(time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		got.add(changed)
	}
	const want = "a lid_open from 00:00:00, 00:30:00 to : Lid\nb lid_open from 00:00:00, 00:30:00 to : Lid"
	if got.String() != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
