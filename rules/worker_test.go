package rules_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"

	"greentally"
	"greentally/internal/strictyaml"
	"greentally/rules"
	"greentally/rules/indicators"
	"greentally/rules/tally"
	"greentally/store/memory"
)

var (
	kind = &greentally.Kind{Name: "bin", Quantities: []greentally.Quantity{
		{Name: "energy_kwh", Nature: greentally.Register}, {Name: "mass_kg", Nature: greentally.Mass},
		{Name: "fill_ratio", Nature: greentally.Gauge}, {Name: "never_there", Nature: greentally.Register},
	}}
	device    = &greentally.Device{Community: "c", ID: "d", Kind: "bin", Stream: greentally.Food, Interval: greentally.Duration(10 * time.Minute), ScaleResolutionKg: 0.1}
	community = &greentally.Community{ID: "c", TimeZone: "Asia/Shanghai", Households: 10, Devices: []*greentally.Device{device}}
	october   = greentally.Month{Year: 2026, Month: time.October}
)

// registry knows one community with one device.
type registry struct{ loc *time.Location }

func (registry) Community(id string) (*greentally.Community, bool) { return community, id == "c" }
func (r registry) Location(id string) (*time.Location, bool)       { return r.loc, id == "c" }
func (registry) Device(key greentally.DeviceKey) (*greentally.Device, bool) {
	return device, key == device.Key()
}
func (registry) Kind(name string) (*greentally.Kind, bool) { return kind, name == kind.Name }

const indicator = `indicator: collected
title: {zh: 清运量, en: Collected}
unit: kg
source: a test
inputs: {a: {kind: bin, value: mass_kg.collected}}
numerator: a
denominator: "1"
tests:
  - name: none
    want: {verdict: insufficient_data}
`

func newWorker(t interface{ Fatal(...any) }, store rules.Store) (*rules.Worker, *time.Location) {
	loc, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	set, err := indicators.Load(indicators.Vocabulary{Kind: func(name string) (*greentally.Kind, bool) { return kind, name == "bin" }},
		strictyaml.Folder{Name: "x", FS: fstest.MapFS{"collected.yaml": {Data: []byte(indicator)}}})
	if err != nil {
		t.Fatal(err)
	}
	return &rules.Worker{
		Store: store, Registry: func() rules.Registry { return registry{loc} }, Indicators: set, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC) },
	}, loc
}

// TestAssessments has a month assessed by three schemes, of which one is not in effect.
func TestAssessments(t *testing.T) {
	store := &memory.Store{}
	worker, loc := newWorker(t, store)
	record := greentally.Record{ID: "r", Community: "c", Type: "document", Date: october.First()}
	if err := store.WriteRecords(t.Context(), []greentally.Record{record}); err != nil {
		t.Fatal(err)
	}
	last := october.First().Add(-1)
	worker.Assess = func(c *greentally.Community, month greentally.Month, values []greentally.IndicatorValue, records []greentally.Record) ([]greentally.Assessment, error) {
		if c != community || month != october || len(values) != 1 || values[0].Indicator != "collected" || len(records) != 1 || records[0].ID != "r" {
			t.Errorf("assess %s in %s by %v and %v", c.ID, month, values, records)
		}
		return []greentally.Assessment{
			{Community: "c", Month: month, Scheme: "a"}, {Community: "c", Month: month, Scheme: "b"},
			{Community: "c", Month: month, Scheme: "over", Effective: greentally.Period{Until: &last}},
		}, nil
	}
	touch := []rules.Touch{{DeviceKey: greentally.DeviceKey{Community: "c"}, From: october.First().Start(loc), To: october.First().Start(loc)}}
	if err := worker.Apply(t.Context(), touch); err != nil {
		t.Fatal(err)
	}
	all, err := store.Assessments(t.Context(), "c", october)
	if err != nil || len(all) != 2 || all[0].Scheme != "a" || all[1].Scheme != "b" {
		t.Errorf("%v, %v; want the two schemes that are in effect", all, err)
	}
	worker.Assess = func(*greentally.Community, greentally.Month, []greentally.IndicatorValue, []greentally.Record) ([]greentally.Assessment, error) {
		return nil, errors.New("a scheme that is wrong")
	}
	if err := worker.Apply(t.Context(), touch); err != nil {
		t.Errorf("a scheme that cannot be evaluated stopped the tallies: %v", err)
	}
}

// TestLawOrderDoesNotMatter checks that readings that arrive in any order, in any
// pieces, with repetitions, end in the device-days that one look at all of them gives.
func TestLawOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		store := &memory.Store{}
		worker, loc := newWorker(t, store)
		var all []greentally.Reading
		energy, mass := 0.0, 0.0
		start := october.First().Add(4).Start(loc)
		end := start.Add(6 * 24 * time.Hour)
		for now := start; now.Before(end); now = now.Add(time.Duration(rapid.Int64Range(int64(time.Minute), int64(20*time.Hour)).Draw(t, "step"))) {
			energy += rapid.Float64Range(0, 3).Draw(t, "rise")
			mass += rapid.Float64Range(0, 5).Draw(t, "drop")
			if rapid.IntRange(0, 9).Draw(t, "event") == 0 {
				energy, mass = 0, 0
			}
			r := greentally.Reading{DeviceKey: device.Key(), Kind: "bin", Stream: device.Stream, Time: now, Quality: greentally.Accepted,
				Values: []greentally.Value{{Quantity: "fill_ratio", Number: mass / 100}}}
			if rapid.Bool().Draw(t, "has energy") {
				r.Values = append(r.Values, greentally.Value{Quantity: "energy_kwh", Number: energy})
			}
			if rapid.Bool().Draw(t, "has mass") {
				r.Values = append(r.Values, greentally.Value{Quantity: "mass_kg", Number: mass})
			}
			greentally.SortValues(r.Values)
			all = append(all, r)
		}
		arriving := append(rapid.SliceOfN(rapid.SampledFrom(all), 0, 5).Draw(t, "repeated"), all...)
		arriving = rapid.Permutation(arriving).Draw(t, "order")
		for len(arriving) > 0 {
			piece := arriving[:rapid.IntRange(1, len(arriving)).Draw(t, "piece")]
			arriving = arriving[len(piece):]
			if err := store.WriteReadings(context.Background(), piece); err != nil {
				t.Fatal(err)
			}
			var touches []rules.Touch
			for _, r := range piece {
				touches = append(touches, rules.Touch{DeviceKey: r.DeviceKey, From: r.Time, To: r.Time})
			}
			if err := worker.Apply(context.Background(), touches); err != nil {
				t.Fatal(err)
			}
		}
		days, err := store.DeviceDays(context.Background(), greentally.DeviceDayQuery{Community: "c", From: october.First(), To: october.Last()})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[greentally.Date]bool{}
		for _, got := range days {
			seen[got.Date] = true
			want := tally.Day(tally.Input{Kind: kind, Device: device, Date: got.Date, Location: loc, Readings: all})
			g, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			w, err := json.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			if string(g) != string(w) {
				t.Fatalf("%s is\n%s\nwant\n%s", got.Date, g, w)
			}
		}
		first, last := greentally.DateOf(all[0].Time, loc), greentally.DateOf(all[len(all)-1].Time, loc)
		for date := first; !last.Before(date); date = date.Add(1) {
			if !seen[date] {
				t.Fatalf("%s was not tallied", date)
			}
		}
	})
}

func TestApplyComputesTheMonthsIndicators(t *testing.T) {
	store := &memory.Store{}
	worker, loc := newWorker(t, store)
	var touches []rules.Touch
	for i := range 31 * 144 {
		at := october.First().Start(loc).Add(time.Duration(i) * 10 * time.Minute)
		r := greentally.Reading{DeviceKey: device.Key(), Kind: "bin", Time: at, Quality: greentally.Accepted,
			Values: []greentally.Value{{Quantity: "mass_kg", Number: float64(i % 144)}}}
		if err := store.WriteReadings(t.Context(), []greentally.Reading{r}); err != nil {
			t.Fatal(err)
		}
		touches = append(touches, rules.Touch{DeviceKey: r.DeviceKey, From: at, To: at})
	}
	tallied := 0
	worker.Tallied = func(days int, _ time.Duration) { tallied += days }
	if err := worker.Apply(t.Context(), touches); err != nil {
		t.Fatal(err)
	}
	if tallied < 31 || tallied > 33 {
		t.Errorf("%d days were tallied, want each day of October once", tallied)
	}
	values, err := store.Indicators(t.Context(), "c", october)
	if err != nil {
		t.Fatal(err)
	}
	if len(values) != 1 || values[0].Value == nil || *values[0].Value != 30*143 || values[0].Completeness != 1 {
		t.Errorf("indicators %+v, want 30 emptyings of 143 kg", values)
	}
	// Half-way through the month only the days that are over count.
	values, err = worker.Report(t.Context(), "c", october, october.First().Add(10).Start(loc).Add(5*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if *values[0].Value != 9*143 {
		t.Errorf("after ten days %v, want 9 emptyings", *values[0].Value)
	}
	if _, err := worker.Report(t.Context(), "nowhere", october, time.Now()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a community that is not there: %v", err)
	}
}

// TestApplyAcrossASilence has a device speak half a year after the last value of its scale.
func TestApplyAcrossASilence(t *testing.T) {
	tests := map[string]struct {
		says     string
		replaced bool
		want     int // days that are tallied
	}{
		"no value of the scale":                {"fill_ratio", false, 1},
		"a value of the scale":                 {"mass_kg", false, 181},
		"no value, and its meter was replaced": {"fill_ratio", true, 181},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			store := &memory.Store{}
			worker, loc := newWorker(t, store)
			noon := october.First().Start(loc).Add(12 * time.Hour)
			if err := store.WriteReadings(t.Context(), []greentally.Reading{
				{DeviceKey: device.Key(), Kind: "bin", Time: noon.AddDate(0, 0, -180), Quality: greentally.Accepted, Values: []greentally.Value{{Quantity: "mass_kg", Number: 5}}},
				{DeviceKey: device.Key(), Kind: "bin", Time: noon, Quality: greentally.Accepted, Values: []greentally.Value{{Quantity: tt.says, Number: 0.5}}},
			}); err != nil {
				t.Fatal(err)
			}
			if tt.replaced {
				record := greentally.Record{ID: "r", Community: "c", Device: "d", Type: greentally.MeterReplaced, Date: october.First(), At: &noon}
				if err := store.WriteRecords(t.Context(), []greentally.Record{record}); err != nil {
					t.Fatal(err)
				}
			}
			tallied := 0
			worker.Tallied = func(days int, _ time.Duration) { tallied = days }
			if err := worker.Apply(t.Context(), []rules.Touch{{DeviceKey: device.Key(), From: noon, To: noon}}); err != nil {
				t.Fatal(err)
			}
			if tallied != tt.want {
				t.Errorf("%d days were tallied, want %d", tallied, tt.want)
			}
		})
	}
}

func TestApplyOutlivesADeviceThatIsGone(t *testing.T) {
	worker, _ := newWorker(t, &memory.Store{})
	gone := rules.Touch{DeviceKey: greentally.DeviceKey{Community: "c", Device: "gone"}}
	if err := worker.Apply(t.Context(), []rules.Touch{gone}); err != nil {
		t.Error(err)
	}
}

// readOnce counts how often the records of a community are read.
type readOnce struct {
	*memory.Store
	reads map[string]int
}

func (s *readOnce) Records(ctx context.Context, community string, from, to greentally.Date) ([]greentally.Record, error) {
	s.reads[community]++
	return s.Store.Records(ctx, community, from, to)
}

// TestApplyReadsRecordsOnceARound touches a device in two months, and the community.
func TestApplyReadsRecordsOnceARound(t *testing.T) {
	store := &readOnce{&memory.Store{}, map[string]int{}}
	worker, loc := newWorker(t, store)
	at := october.First().Start(loc)
	r := greentally.Reading{DeviceKey: device.Key(), Kind: "bin", Time: at, Quality: greentally.Accepted, Values: []greentally.Value{{Quantity: "mass_kg", Number: 1}}}
	if err := store.WriteReadings(t.Context(), []greentally.Reading{r}); err != nil {
		t.Fatal(err)
	}
	months := map[greentally.Month]int{}
	worker.Computed = func(values []greentally.IndicatorValue) { months[values[0].Month]++ }
	for round := 1; round <= 2; round++ {
		err := worker.Apply(t.Context(), []rules.Touch{
			{DeviceKey: device.Key(), From: at.Add(-time.Hour), To: at.Add(time.Hour)},
			{DeviceKey: greentally.DeviceKey{Community: "c"}, From: at.AddDate(0, 2, 0), To: at.AddDate(0, 2, 0)},
		})
		if err != nil {
			t.Fatal(err)
		}
		if store.reads["c"] != round || len(months) != 3 || months[october] != round {
			t.Errorf("round %d: read %v times, computed %v; want the records once and three months", round, store.reads, months)
		}
	}
}
