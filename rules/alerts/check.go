package alerts

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"greentally"
)

// test is a test inside a file: what a device says, one reading for each step of time, and
// the alerts that begin and end by it; or a device-day or an indicator.
type test struct {
	Name      string `yaml:"name"`
	Community struct {
		Collections []greentally.Collection `yaml:"collections"`
		Latitude    *float64                `yaml:"latitude"`
	} `yaml:"community"`
	Device greentally.Device   `yaml:"device"`
	From   time.Time           `yaml:"from"`   // of the first reading; default 2026-10-01 08:00 in Shanghai
	Every  greentally.Duration `yaml:"every"`  // default the device's interval
	Values map[string]string   `yaml:"values"` // by quantity: "0.7 0.9*3 _ 0.95"; _ is none
	Ahead  string              `yaml:"ahead"`  // by how much the device's clock is, reading by reading: "0s 2m*3"; the last stands for all further ones

	Day struct {
		Faults    map[greentally.FaultKind]int `yaml:"faults"`
		Collected map[string]float64           `yaml:"collected"`
		Rise      map[string]float64           `yaml:"rise"`
		Review    []string                     `yaml:"needs_review"` // registers
		Covered   *float64                     `yaml:"completeness"` // default 1
		Records   []string                     `yaml:"records"`      // types of those of the device, of the day
	} `yaml:"day"`

	Indicator struct {
		Value        *float64           `yaml:"value"`
		Target       *greentally.Target `yaml:"target"`
		Completeness *float64           `yaml:"completeness"` // default 1
		Day          int                `yaml:"day"`          // of the month that are over
		NoEvidence   bool               `yaml:"no_evidence"`
		Listened     *float64           `yaml:"listened"` // days; default those of the month that are over
	} `yaml:"indicator"`

	Want []want `yaml:"want"`
}

// want is an alert that begins or ends.
type want struct {
	At      greentally.Duration `yaml:"at"`    // after From; of device-days and indicators 0s
	State   string              `yaml:"state"` // firing or ended
	Summary *greentally.Text    `yaml:"summary"`

	Severity greentally.Severity `yaml:"severity"`
	Limit    *float64            `yaml:"limit"`
}

// Check runs the tests inside all files, each through an engine of its own, and returns how
// many it ran. The error joins all failures.
func (s *Set) Check() (ran int, err error) {
	var all []error
	for _, r := range s.rules {
		only := &Set{rules: []*rule{r}, kinds: s.kinds, traced: s.traced}
		for i := range r.Tests {
			ran++
			if err := r.Tests[i].run(only, r); err != nil {
				all = append(all, r.doc.Errorf(append(slices.Clone(r.path), "tests", i), "alert %s, test %q: %w", r.Alert, r.Tests[i].Name, err))
			}
		}
	}
	return ran, errors.Join(all...)
}

// testRegistry has the one device of a test.
type testRegistry struct {
	community *greentally.Community
	location  *time.Location
	kinds     func(string) (*greentally.Kind, bool)
}

func (r testRegistry) Communities() []*greentally.Community {
	return []*greentally.Community{r.community}
}
func (r testRegistry) Location(string) (*time.Location, bool)    { return r.location, true }
func (r testRegistry) Kind(name string) (*greentally.Kind, bool) { return r.kinds(name) }

func (t *test) run(s *Set, r *rule) error {
	loc, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		return err
	}
	device := t.Device
	device.Community = "test"
	if device.Interval == 0 {
		device.Interval = greentally.Duration(10 * time.Minute)
	}
	if device.ID == "" {
		device.ID, device.Kind = "a", r.Kind+r.Days
	}
	from := t.From
	if from.IsZero() {
		from = time.Date(2026, 10, 1, 8, 0, 0, 0, loc)
	}
	community := &greentally.Community{ID: "test", TimeZone: "Asia/Shanghai", Collections: t.Community.Collections, Latitude: t.Community.Latitude, Devices: []*greentally.Device{&device}}
	engine := NewEngine(s, testRegistry{community, loc, s.kinds})
	var got []greentally.Alert
	switch {
	case r.Kind != "":
		got, err = t.live(engine, &device, from)
	case r.Days != "":
		engine.now = from
		got, err = engine.SeeDay(t.day(&device, greentally.DateOf(from, loc)))
	default:
		engine.now = from
		v := greentally.IndicatorValue{Community: "test", Month: greentally.DateOf(from, loc).MonthOf(), Indicator: r.Indicator, Title: greentally.Text{ZH: "指标", EN: "Indicator"},
			Value: t.Indicator.Value, Target: t.Indicator.Target, Completeness: 1, Floor: 0.9}
		if t.Indicator.Completeness != nil {
			v.Completeness = *t.Indicator.Completeness
		}
		if !t.Indicator.NoEvidence {
			v.Inputs = []greentally.InputValue{{Name: "x", Devices: []string{"a"}}}
		}
		listened := float64(t.Indicator.Day)
		if t.Indicator.Listened != nil {
			listened = *t.Indicator.Listened
		}
		engine.watched = time.Duration(listened * float64(24*time.Hour))
		got, err = engine.SeeIndicators([]greentally.IndicatorValue{v}, t.Indicator.Day)
	}
	if err != nil {
		return err
	}
	return t.compare(got, from)
}

// live lets the device speak, and time pass between.
func (t *test) live(engine *Engine, device *greentally.Device, from time.Time) (got []greentally.Alert, err error) {
	series := map[string][]string{}
	steps := 0
	for name, text := range t.Values {
		if kind, ok := engine.registry.Kind(device.Kind); !ok {
			return nil, fmt.Errorf("there is no kind %q", device.Kind)
		} else if _, has := kind.Quantity(name); !has && name != greentally.Connection {
			return nil, fmt.Errorf("values: a %s has no quantity %q", device.Kind, name)
		}
		if series[name], err = expand(text); err != nil {
			return nil, fmt.Errorf("values of %s: %w", name, err)
		}
		steps = max(steps, len(series[name]))
	}
	ahead, err := t.ahead()
	if err != nil {
		return nil, err
	}
	every := time.Duration(t.Every)
	if every == 0 {
		every = time.Duration(device.Interval)
	}
	for i := range steps {
		at := from.Add(time.Duration(i) * every)
		reading := greentally.Reading{DeviceKey: device.Key(), Kind: device.Kind, Site: device.Site, Stream: device.Stream, Time: at.Add(ahead[min(i, len(ahead)-1)]), Quality: greentally.Accepted}
		for _, name := range slices.Sorted(maps.Keys(series)) {
			if i >= len(series[name]) || series[name][i] == "_" {
				continue
			}
			v := greentally.Value{Quantity: name}
			if number, err := strconv.ParseFloat(series[name][i], 64); err == nil {
				v.Number = number
			} else {
				v.State = series[name][i]
			}
			reading.Values = append(reading.Values, v)
		}
		if len(reading.Values) > 0 {
			more, err := engine.See(at, reading)
			if err != nil {
				return nil, err
			}
			got = append(got, more...)
		}
		const ticks = 10
		for range ticks {
			more, err := engine.Pass(every / ticks)
			if err != nil {
				return nil, err
			}
			got = append(got, more...)
		}
	}
	return got, nil
}

func (t *test) ahead() ([]time.Duration, error) {
	words, err := expand(cmp.Or(t.Ahead, "0s"))
	if err != nil {
		return nil, fmt.Errorf("ahead: %w", err)
	}
	var all []time.Duration
	for _, word := range words {
		d, err := time.ParseDuration(word)
		if err != nil {
			return nil, fmt.Errorf("ahead: %q: want such as 2m or 90s", word)
		}
		all = append(all, d)
	}
	return all, nil
}

// expand reads a series such as "0.7 0.9*3 _ 0.95".
func expand(text string) (all []string, err error) {
	for _, word := range strings.Fields(text) {
		one, times, repeated := strings.Cut(word, "*")
		n := 1
		if repeated {
			if n, err = strconv.Atoi(times); err != nil || n < 1 || n > 10000 {
				return nil, fmt.Errorf("%q: want such as 0.9*3", word)
			}
		}
		if len(all)+n > 100_000 {
			return nil, errors.New("a series is too long; the most is 100000")
		}
		for range n {
			all = append(all, one)
		}
	}
	return all, nil
}

func (t *test) day(device *greentally.Device, date greentally.Date) (greentally.DeviceDay, []greentally.Record) {
	amount := func(v float64) greentally.Amount { a, _ := greentally.AmountOf(v); return a }
	d := greentally.DeviceDay{DeviceKey: device.Key(), Kind: device.Kind, Site: device.Site, Stream: device.Stream, Date: date, Start: date.Start(time.UTC), Hours: 24,
		Covered: greentally.Duration(24 * time.Hour), Masses: map[string]greentally.MassDay{}, Registers: map[string]greentally.RegisterDay{}}
	if t.Day.Covered != nil {
		d.Covered = greentally.Duration(*t.Day.Covered * float64(24*time.Hour))
	}
	for kind, n := range t.Day.Faults {
		for range min(n, 10_000) {
			d.Faults = append(d.Faults, greentally.Fault{Kind: kind})
		}
	}
	for q, v := range t.Day.Collected {
		d.Masses[q] = greentally.MassDay{Collected: amount(v)}
	}
	for q, v := range t.Day.Rise {
		d.Registers[q] = greentally.RegisterDay{Rise: amount(v)}
	}
	for _, q := range t.Day.Review {
		d.Registers[q] = greentally.RegisterDay{Rise: d.Registers[q].Rise, Evidence: greentally.NeedsReview}
	}
	var records []greentally.Record
	for _, kind := range t.Day.Records {
		records = append(records, greentally.Record{Community: "test", Device: device.ID, Type: kind, Date: date})
	}
	return d, records
}

func show(limit *float64) string {
	if limit == nil {
		return "missing"
	}
	return strconv.FormatFloat(*limit, 'g', -1, 64)
}

// compare compares what began and ended with what is wanted.
func (t *test) compare(got []greentally.Alert, from time.Time) error {
	var told []string
	for _, a := range got {
		at, state := a.Fired, "firing"
		if a.Ended != nil {
			at, state = *a.Ended, "ended"
		}
		told = append(told, fmt.Sprintf("%s at %v", state, at.Sub(from)))
	}
	var wanted []string
	for _, w := range t.Want {
		wanted = append(wanted, fmt.Sprintf("%s at %v", w.State, time.Duration(w.At)))
	}
	if !slices.Equal(told, wanted) {
		return fmt.Errorf("got %v, want %v", told, wanted)
	}
	for i, w := range t.Want {
		a := got[i]
		if w.Summary != nil && a.Summary != *w.Summary {
			return fmt.Errorf("the summary is %q and %q, want %q and %q", a.Summary.ZH, a.Summary.EN, w.Summary.ZH, w.Summary.EN)
		}
		if w.Severity != "" && a.Severity != w.Severity {
			return fmt.Errorf("the severity is %s, want %s", a.Severity, w.Severity)
		}
		if w.Limit != nil && (a.Limit == nil || math.Abs(*a.Limit-*w.Limit) > 1e-9) {
			return fmt.Errorf("the limit is %v, want %v", show(a.Limit), *w.Limit)
		}
	}
	return nil
}
