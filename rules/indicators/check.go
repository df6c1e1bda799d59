package indicators

import (
	"embed"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"greentally"
	"greentally/internal/strictyaml"
)

//go:embed *.yaml
var shipped embed.FS

// Shipped returns the folder of the indicators that are shipped.
func Shipped() strictyaml.Folder { return strictyaml.Folder{Name: "rules/indicators", FS: shipped} }

// test is a test inside an indicator's file.
type test struct {
	Name      string `yaml:"name"`
	Community struct {
		Households int      `yaml:"households"`
		Population int      `yaml:"population"`
		AreaM2     float64  `yaml:"area_m2"`
		Latitude   *float64 `yaml:"latitude"`
		Grid       string   `yaml:"grid"`

		Sites []greentally.Site `yaml:"sites"`
	} `yaml:"community"`
	Devices []testDevice `yaml:"devices"`
	Records []testRecord `yaml:"records"`
	Alerts  []testAlert  `yaml:"alerts"`
	Want    struct {
		Value        *float64           `yaml:"value"` // left out: there is none
		Completeness *float64           `yaml:"completeness"`
		Uncertainty  *float64           `yaml:"uncertainty"`
		Estimated    float64            `yaml:"estimated_share"`
		Verdict      greentally.Verdict `yaml:"verdict"`
	} `yaml:"want"`
}

// testDevice is a device and its days, from the first of the month on.
type testDevice struct {
	greentally.Device `yaml:",inline"`
	Days              []testDay `yaml:"days"`
	Copies            int       `yaml:"copies"` // how many such devices there are; default 1
}

// testDay is a device-day; one that is not there is written missing: true.
type testDay struct {
	Missing      bool                `yaml:"missing"`
	Completeness *float64            `yaml:"completeness"` // default 1
	Masses       map[string]testMass `yaml:"masses"`
	Gauges       map[string]struct {
		Above greentally.Duration `yaml:"above"`
		Known greentally.Duration `yaml:"known"`
	} `yaml:"gauges"`
	Registers map[string]struct {
		Rise    float64             `yaml:"rise"`
		Outside *float64            `yaml:"outside"`
		Known   greentally.Duration `yaml:"known"` // default 24h
	} `yaml:"registers"`
}

// mostInTests is how many devices and collections one line of a test can stand for.
const mostInTests = 10_000

type testMass struct {
	Deposited   float64 `yaml:"deposited"`
	Collected   float64 `yaml:"collected"`
	Collections int     `yaml:"collections"`
	Max         float64 `yaml:"max"`
	Partial     int     `yaml:"partial"`   // of the collections, those that left a good part
	Estimated   bool    `yaml:"estimated"` // from filling levels
}

type testRecord struct {
	Device string             `yaml:"device"`
	Date   *greentally.Date   `yaml:"date"` // default the first of the month, 2026-10
	Until  *greentally.Date   `yaml:"until"`
	At     *time.Time         `yaml:"at"`
	End    *time.Time         `yaml:"end"`
	Texts  map[string]string  `yaml:"texts"`
	Type   string             `yaml:"type"`
	Stream greentally.Stream  `yaml:"stream"`
	Values map[string]float64 `yaml:"values"`
}

// testAlert is an alert that fired when the matter began.
type testAlert struct {
	Alert  string            `yaml:"alert"` // rule
	Device string            `yaml:"device"`
	Site   string            `yaml:"site"`
	Stream greentally.Stream `yaml:"stream"`
	Since  time.Time         `yaml:"since"`
	Ended  *time.Time        `yaml:"ended"`
}

// Check runs the tests inside all files through [Set.Compute] and returns how many it
// ran. The error joins all failures.
func (s *Set) Check() (ran int, err error) {
	var all []error
	for _, ind := range s.indicators {
		only := s.with(ind)
		for i := range ind.Tests {
			ran++
			if err := ind.Tests[i].run(only, ind.Indicator); err != nil {
				all = append(all, ind.doc.Errorf([]any{"tests", i}, "test %q: %w", ind.Tests[i].Name, err))
			}
		}
	}
	return ran, errors.Join(all...)
}

// with returns the set of the indicator and those that it takes from.
func (s *Set) with(ind *indicator) *Set {
	only := &Set{indicators: []*indicator{ind}, words: s.words}
	for _, in := range ind.inputs {
		if in.Indicator != "" && only.find(in.Indicator) == nil {
			only.indicators = append(only.indicators, s.find(in.Indicator))
		}
	}
	return only
}

func (t *test) run(s *Set, indicator string) error {
	month := greentally.Month{Year: 2026, Month: time.October}
	e := Evidence{Month: month, Community: &greentally.Community{ID: "test", Households: t.Community.Households, Population: t.Community.Population, AreaM2: t.Community.AreaM2,
		Latitude: t.Community.Latitude, Grid: t.Community.Grid, Sites: t.Community.Sites}}
	length := 0
	for i := range t.Devices {
		td := &t.Devices[i]
		td.Community = "test"
		length = max(length, len(td.Days))
		for copy := range min(max(1, td.Copies), mostInTests) {
			device := td.Device
			if copy > 0 {
				device.ID = fmt.Sprintf("%s-%d", td.ID, copy+1)
			}
			e.Community.Devices = append(e.Community.Devices, &device)
			for n, day := range td.Days {
				if !day.Missing {
					e.Days = append(e.Days, day.build(&device, month.First().Add(n)))
				}
			}
		}
	}
	e.Through = month.First().Add(length - 1)
	for i, r := range t.Records {
		date := month.First()
		if r.Date != nil {
			date = *r.Date
		}
		e.Records = append(e.Records, greentally.Record{ID: fmt.Sprintf("r%d", i), Community: "test", Type: r.Type, Stream: r.Stream, Device: r.Device,
			Date: date, Until: r.Until, At: r.At, End: r.End, Values: r.Values, Texts: r.Texts, By: "test"})
	}
	for _, a := range t.Alerts {
		e.Alerts = append(e.Alerts, greentally.Alert{Community: "test", Rule: a.Alert, Device: a.Device, Site: a.Site, Stream: a.Stream, Since: a.Since, Fired: a.Since, Ended: a.Ended})
	}
	values := s.Compute(e)
	got, want := values[slices.IndexFunc(values, func(v greentally.IndicatorValue) bool { return v.Indicator == indicator })], t.Want
	var all []error
	switch {
	case (got.Value == nil) != (want.Value == nil), got.Value != nil && math.Abs(*got.Value-*want.Value) > 1e-9:
		all = append(all, fmt.Errorf("value is %s, want %s", show(got.Value), show(want.Value)))
	}
	if want.Completeness != nil && math.Abs(got.Completeness-*want.Completeness) > 1e-9 {
		all = append(all, fmt.Errorf("completeness is %v, want %v", got.Completeness, *want.Completeness))
	}
	if want.Uncertainty != nil && (got.Uncertainty == nil || math.Abs(*got.Uncertainty-*want.Uncertainty) > 1e-9) {
		all = append(all, fmt.Errorf("uncertainty is %s, want %v", show(got.Uncertainty), *want.Uncertainty))
	}
	if math.Abs(got.EstimatedShare-want.Estimated) > 1e-9 {
		all = append(all, fmt.Errorf("the share of estimated mass is %v, want %v", got.EstimatedShare, want.Estimated))
	}
	if got.Verdict != want.Verdict {
		all = append(all, fmt.Errorf("verdict is %s (%s), want %s", got.Verdict, got.Reason.EN, want.Verdict))
	}
	return errors.Join(all...)
}

func show(v *float64) string {
	if v == nil {
		return "missing"
	}
	return fmt.Sprint(*v)
}

func (t testDay) build(device *greentally.Device, date greentally.Date) greentally.DeviceDay {
	amount := func(v float64) greentally.Amount {
		a, _ := greentally.AmountOf(v)
		return a
	}
	d := greentally.DeviceDay{
		DeviceKey: device.Key(), Kind: device.Kind, Site: device.Site, Stream: device.Stream, Date: date, Hours: 24,
		Covered: greentally.Duration(24 * time.Hour),
		Masses:  map[string]greentally.MassDay{}, Gauges: map[string]greentally.GaugeDay{}, Registers: map[string]greentally.RegisterDay{},
	}
	if t.Completeness != nil {
		d.Covered = greentally.Duration(*t.Completeness * float64(24*time.Hour))
	}
	for q, m := range t.Masses {
		mass := greentally.MassDay{Evidence: greentally.Measured, Deposited: amount(m.Deposited), Collected: amount(m.Collected), Max: amount(m.Max),
			Collections: make([]greentally.Emptying, max(0, min(m.Collections, mostInTests)))}
		for i := range min(m.Partial, len(mass.Collections)) {
			mass.Collections[i].Partial = true
		}
		if m.Estimated {
			mass.Evidence = greentally.Estimated
		}
		d.Masses[q] = mass
	}
	for q, g := range t.Gauges {
		d.Gauges[q] = greentally.GaugeDay{Above: g.Above, Known: g.Known}
	}
	for q, r := range t.Registers {
		known := r.Known
		if known == 0 {
			known = greentally.Duration(24 * time.Hour)
		}
		register := greentally.RegisterDay{Rise: amount(r.Rise), Known: known}
		if r.Outside != nil {
			outside := amount(*r.Outside)
			register.Outside = &outside
		}
		d.Registers[q] = register
	}
	return d
}
