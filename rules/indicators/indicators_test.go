package indicators_test

import (
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"greentally"
	"greentally/devices"
	"greentally/internal/golden"
	"greentally/internal/strictyaml"
	"greentally/records"
	"greentally/rules/alerts"
	"greentally/rules/factors"
	"greentally/rules/indicators"
)

// shipped are the words of what is shipped: nothing changes them.
var shipped = sync.OnceValues(func() (none indicators.Vocabulary, err error) {
	registry, err := devices.Load(devices.Options{})
	if err != nil {
		return none, err
	}
	types, err := records.LoadTypes(records.Shipped())
	if err != nil {
		return none, err
	}
	set, err := factors.Load(factors.Shipped())
	if err != nil {
		return none, err
	}
	rules, err := alerts.Load(registry.Kind, alerts.Shipped())
	if err != nil {
		return none, err
	}
	return indicators.Vocabulary{Kind: registry.Kind, RecordType: types.Type, Factor: set.Factor, AlertRule: rules.OfDevices}, nil
})

func words(t testing.TB) indicators.Vocabulary {
	t.Helper()
	v, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestShippedIndicatorsPassTheirTests(t *testing.T) {
	set, err := indicators.Load(words(t), indicators.Shipped())
	if err != nil {
		t.Fatal(err)
	}
	ran, err := set.Check()
	if err != nil {
		t.Error(err)
	}
	if set.Len() < 6 || ran < 2*set.Len() {
		t.Errorf("%d tests of %d indicators", ran, set.Len())
	}
}

// TestDocs compares the list of what is shipped in the documentation.
func TestDocs(t *testing.T) {
	set, err := indicators.Load(words(t), indicators.Shipped())
	if err != nil {
		t.Fatal(err)
	}
	var list strings.Builder
	list.WriteString("| indicator | | unit | target | read in the source | source |\n|---|---|---|---|---|---|\n")
	for _, v := range set.Compute(indicators.Evidence{Community: &greentally.Community{ID: "c"}, Month: greentally.Month{Year: 2026, Month: 10}}) {
		target := ""
		switch {
		case v.DisplayOnly:
			target = "for display only"
		case v.Target != nil && v.Target.AtLeast != nil:
			target = fmt.Sprintf("≥ %v", *v.Target.AtLeast)
		case v.Target != nil:
			target = fmt.Sprintf("≤ %v", *v.Target.AtMost)
		}
		fmt.Fprintf(&list, "| `%s` | %s<br>%s | %s | %s | %s | %s |\n", v.Indicator, v.Title.ZH, v.Title.EN, v.Unit, target, map[bool]string{true: "yes", false: "no"}[v.Verified], v.Source)
	}
	golden.Between(t, "../../docs/indicators.md", "-update -->\n", "<!-- end -->", list.String())
}

// An error of a meter adds up over its days; those of two meters do not depend on each other.
func TestUncertaintyOfDaysAndDevices(t *testing.T) {
	set, err := indicators.Load(words(t), indicators.Shipped())
	if err != nil {
		t.Fatal(err)
	}
	month := greentally.Month{Year: 2026, Month: 10}
	saved := func(meters, days int) float64 {
		e := indicators.Evidence{Community: &greentally.Community{ID: "c"}, Month: month, Through: month.First().Add(days - 1)}
		for i := range meters {
			d := &greentally.Device{Community: "c", ID: fmt.Sprint("m", i), Kind: "lighting_meter", Baseline: &greentally.Baseline{Option: "B", EnergyKWh: 300, Days: 30}}
			e.Community.Devices = append(e.Community.Devices, d)
			for n := range days {
				e.Days = append(e.Days, greentally.DeviceDay{DeviceKey: d.Key(), Date: month.First().Add(n), Hours: 24, Covered: greentally.Duration(24 * time.Hour),
					Registers: map[string]greentally.RegisterDay{"energy_kwh": {Rise: 4 * greentally.Unit, Known: greentally.Duration(24 * time.Hour)}}})
			}
		}
		for _, v := range set.Compute(e) {
			if v.Indicator == "lighting_saved_kwh" && v.Uncertainty != nil && len(v.Assumptions) == 3 {
				return *v.Uncertainty
			}
		}
		t.Fatal("no uncertainty, or not its assumptions")
		return 0
	}
	one := saved(1, 1)
	for _, tt := range []struct {
		meters, days int
		times        float64
	}{{1, 9, 9}, {9, 1, 3}, {4, 5, 10}} {
		if got := saved(tt.meters, tt.days) / one; math.Abs(got-tt.times) > 1e-6 {
			t.Errorf("%d meters over %d days: %v times that of one over one, want %v", tt.meters, tt.days, got, tt.times)
		}
	}
}

const good = `indicator: good
title: {zh: 好, en: Good}
unit: ratio
source: here
inputs:
  a: {kind: sorting_bin, where: device.stream == "food", value: mass_kg.collected}
numerator: a
denominator: community.households
tests:
  - name: one
    community: {households: 10}
    devices: [{id: x, kind: sorting_bin, stream: food, days: [{masses: {mass_kg: {collected: 5}}}]}]
    want: {value: 0.5, verdict: no_target}
`

func TestLoadRefuses(t *testing.T) {
	tests := []struct {
		name, from, to string
		want           []string
	}{
		{"an unknown key", "unit: ratio", "unit: ratio\nunti: x", []string{"good.yaml:4: unknown key \"unti\""}},
		{"no tests", good[strings.Index(good, "tests:"):], "", []string{"good.yaml:1: there are no tests"}},
		{"a kind that is not there", "kind: sorting_bin, where", "kind: sorting_bni, where", []string{"good.yaml:6: there is no kind \"sorting_bni\""}},
		{"a quantity that is not there", "value: mass_kg.collected", "value: mas_kg.collected", []string{"good.yaml:6: value: unknown name mas_kg"}},
		{"a part that is not there", "value: mass_kg.collected", "value: mass_kg.colected", []string{"good.yaml:6: value: ", "colected"}},
		{"a device fact that is not there", "device.stream", "device.steam", []string{"good.yaml:6: where: ", "steam"}},
		{"a condition that is none", `where: device.stream == "food"`, `where: device.stream`, []string{"good.yaml:6: where: ", "bool"}},
		{"an input that is not there", "numerator: a", "numerator: b", []string{"good.yaml:7: numerator: unknown name b"}},
		{"another name", "indicator: good", "indicator: bad", []string{"good.yaml:1: the file must be called bad.yaml"}},
		{"no source", "source: here", "source: ''", []string{"good.yaml:4: source is missing"}},
		{"two targets", "unit: ratio", "unit: ratio\ntarget: {at_least: 1, at_most: 2}", []string{"good.yaml:4: target needs"}},
		{"records of a type that is not there", `{kind: sorting_bin, where: device.stream == "food", value: mass_kg.collected}`, "{record: surwey, value: asked}", []string{`good.yaml:6: there is no type of record "surwey"`}},
		{"a value that its records do not have", `{kind: sorting_bin, where: device.stream == "food", value: mass_kg.collected}`, "{record: survey, value: kg}", []string{"good.yaml:6: value: unknown name kg"}},
		{"both devices and records", "{kind: sorting_bin, where: device", "{record: survey, kind: sorting_bin, where: device", []string{"good.yaml:6: an input with kind has no record"}},
		{"a quantity that records need", `{kind: sorting_bin, where: device.stream == "food", value: mass_kg.collected}`, "{record: survey, value: asked, needs: [asked]}", []string{"good.yaml:6: an input with record has no needs"}},
		{"too many months", "{kind: sorting_bin, where: device.stream == \"food\", value: mass_kg.collected}\n", "{record: survey, value: asked}\nmonths: 61\n", []string{"good.yaml:7: months is 1 to 60"}},
		{"months of devices", "numerator: a", "months: 2\nnumerator: a", []string{"good.yaml:7: months and latest are of records"}},
		{"an error that is no expression", "value: mass_kg.collected}", "value: mass_kg.collected, error_ratio: device.klass}", []string{"good.yaml:6: error_ratio: ", "klass"}},
		{"assumptions of nothing", "numerator: a", "assumptions: [{zh: 甲, en: A}]\nnumerator: a", []string{"good.yaml:7: assumptions are of the uncertainty"}},
		{"a factor that is not there", "inputs:\n", "inputs:\n  f: {factor: gird}\n", []string{`good.yaml:6: there is no factor "gird"`}},
		{"a part of a factor that is no text", "inputs:\n", "inputs:\n  f: {factor: grid_electricity_cn, of: community.households}\n", []string{"good.yaml:6: of: "}},
		{"a target for display only", "inputs:\n", "target: {at_least: 1}\ninputs:\n  f: {factor: recycling_warm, of: '\"glass\"'}\n", []string{"good.yaml:5: a factor in it is for display only"}},
		{"an indicator that is not there", "inputs:\n", "inputs:\n  f: {indicator: beter, part: numerator}\n", []string{`good.yaml:6: there is no indicator "beter"`}},
		{"an indicator of itself", "inputs:\n", "inputs:\n  f: {indicator: good, part: numerator}\n", []string{"good.yaml:6: good itself takes from another indicator"}},
		{"no part of an indicator", "inputs:\n", "inputs:\n  f: {indicator: good, part: value}\n", []string{"good.yaml:6: part: say numerator or denominator"}},
		{"a factor of a type that is not there", "value: mass_kg.collected}", "value: mass_kg.collected, times: {record: audit, value: a, weight: b}}", []string{`good.yaml:6: there is no type of record "audit"`}},
		{"a factor that its records do not have", "value: mass_kg.collected}", "value: mass_kg.collected, times: {record: survey, value: ratio, weight: asked}}", []string{"good.yaml:6: a survey has not both of the values ratio and asked"}},
		{"all at once", "value: mass_kg.collected}\nnumerator: a", "value: mas_kg}\nnumerator: b", []string{"good.yaml:6: ", "good.yaml:7: "}},
	}
	if _, err := indicators.Load(words(t), folder(map[string]string{"good.yaml": good})); err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(good, tt.from, tt.to, 1)
			if text == good {
				t.Fatal("the test changes nothing")
			}
			_, err := indicators.Load(words(t), folder(map[string]string{"good.yaml": text}))
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
		})
	}
}

// An expression that could read the clock would give another rate each time.
func TestExpressionsReadNoClock(t *testing.T) {
	for _, tt := range []struct{ name, from, to, want string }{
		{"where", `where: device.stream == "food"`, `where: now().Year() > 2025`, "x/good.yaml:6: where: unknown name now"},
		{"value", "value: mass_kg.collected", "value: mass_kg.collected + float(now().Unix())", "x/good.yaml:6: value: unknown name now"},
		{"numerator", "numerator: a", "numerator: a + float(now().Unix())", "x/good.yaml:7: numerator: unknown name now"},
		{"denominator", "denominator: community.households", "denominator: float(date('2026-10-01').Unix())", "x/good.yaml:8: denominator: unknown name date"},
		{"other functions", "numerator: a", "numerator: mean([a])", "x/good.yaml:7: numerator: unknown name mean"},
	} {
		text := strings.Replace(good, tt.from, tt.to, 1)
		_, err := indicators.Load(words(t), folder(map[string]string{"good.yaml": text}))
		if text == good || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
	pure := strings.Replace(good, "numerator: a", "numerator: min(max(abs(a), 0.0), ceil(a), floor(a), round(a), float(int(a)))", 1)
	set, err := indicators.Load(words(t), folder(map[string]string{"good.yaml": pure}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := set.Check(); err != nil {
		t.Error(err)
	}
}

// folder is a folder of the name x.
func folder(files map[string]string) strictyaml.Folder {
	all := fstest.MapFS{}
	for name, text := range files {
		all[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return strictyaml.Folder{Name: "x", FS: all}
}

// A folder that is not there, and a file that is not read, are errors; each error
// names the folder.
func TestLoadPassesOverNothing(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	for _, tt := range []struct {
		name    string
		folders []strictyaml.Folder
		want    []string
	}{
		{"a folder that is not there", []strictyaml.Folder{strictyaml.Dir(missing)}, []string{"read the folder " + missing}},
		{
			"a file of another name", []strictyaml.Folder{folder(map[string]string{"good.yaml": good, "more.yml": good})},
			[]string{"x/more.yml:1: name it .yaml; files of other names are not read"},
		},
		{
			"one that is there already", []strictyaml.Folder{folder(map[string]string{"good.yaml": good}), {Name: "y", FS: folder(map[string]string{"good.yaml": good}).FS}},
			[]string{"y/good.yaml:1: indicator good is in x/good.yaml already"},
		},
		{
			"one that is shipped", []strictyaml.Folder{indicators.Shipped(), folder(map[string]string{"overflow_share.yaml": strings.Replace(good, "indicator: good", "indicator: overflow_share", 1)})},
			[]string{"x/overflow_share.yaml:1: indicator overflow_share is in rules/indicators/overflow_share.yaml already"},
		},
		{
			"all at once", []strictyaml.Folder{strictyaml.Dir(missing), folder(map[string]string{"good.yaml": "indicator: bad\n", "more.yml": ""})},
			[]string{missing, "x/more.yml:1: ", "x/good.yaml:1: the file must be called bad.yaml"},
		},
	} {
		_, err := indicators.Load(words(t), tt.folders...)
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v lacks %q", tt.name, err, want)
			}
		}
	}
	set, err := indicators.Load(words(t), folder(map[string]string{"good.yaml": strings.Replace(good, "value: 0.5", "value: 0.6", 1)}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := set.Check(); err == nil || !strings.Contains(err.Error(), `x/good.yaml:10: test "one"`) {
		t.Errorf("a test that fails: %v, want its folder too", err)
	}
}

func TestCheckFindsWhatIsWrong(t *testing.T) {
	for from, to := range map[string]string{
		"value: 0.5,": "value: 0.6,", "verdict: no_target": "verdict: pass", "want: {value: 0.5, ": "want: {completeness: 0.5, value: 0.5, ",
	} {
		text := strings.Replace(good, from, to, 1)
		set, err := indicators.Load(words(t), folder(map[string]string{"good.yaml": text}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := set.Check(); err == nil || !strings.Contains(err.Error(), "good.yaml:10: test \"one\"") {
			t.Errorf("%s: %v, want an error with file and line", to, err)
		}
	}
}

func TestReplacedRecordsDoNotCount(t *testing.T) {
	set, err := indicators.Load(words(t), indicators.Shipped())
	if err != nil {
		t.Fatal(err)
	}
	month := greentally.Month{Year: 2026, Month: time.October}
	audit := func(id, replaces string, ratio float64) greentally.Record {
		return greentally.Record{ID: id, Replaces: replaces, Community: "c", Type: greentally.CompositionAudit, Stream: greentally.Recyclable, Date: month.First(),
			Values: greentally.Values{"recyclable_ratio": ratio, "sample_kg": 1}}
	}
	device := &greentally.Device{Community: "c", ID: "a", Kind: "sorting_bin", Stream: greentally.Recyclable}
	bin := &greentally.Device{Community: "c", ID: "b", Kind: "sorting_bin", Stream: greentally.Residual}
	values := set.Compute(indicators.Evidence{
		Community: &greentally.Community{ID: "c", Devices: []*greentally.Device{device, bin}}, Month: month, Through: month.First(),
		Days: []greentally.DeviceDay{
			{DeviceKey: device.Key(), Date: month.First(), Hours: 24, Covered: greentally.Duration(24 * time.Hour), Masses: map[string]greentally.MassDay{"mass_kg": {Collected: 10 * greentally.Unit}}},
			{DeviceKey: bin.Key(), Date: month.First(), Hours: 24, Covered: greentally.Duration(24 * time.Hour), Masses: map[string]greentally.MassDay{"mass_kg": {}}},
		},
		Records: []greentally.Record{audit("1", "", 0.1), audit("2", "1", 0.8)},
	})
	for _, v := range values {
		if v.Indicator == "recyclable_capture" {
			if v.Numerator == nil || *v.Numerator != 8 || fmt.Sprint(v.Inputs[1].Records) != "[2]" {
				t.Errorf("numerator %v from %v", v.Numerator, v.Inputs)
			}
			return
		}
	}
	t.Error("no capture rate")
}

func BenchmarkCompute(b *testing.B) {
	set, err := indicators.Load(words(b), indicators.Shipped())
	if err != nil {
		b.Fatal(err)
	}
	month := greentally.Month{Year: 2026, Month: time.October}
	e := indicators.Evidence{Community: &greentally.Community{ID: "c", Households: 3100}, Month: month, Through: month.Last()}
	for i := range 80 {
		d := &greentally.Device{Community: "c", ID: fmt.Sprint("d", i), Kind: "sorting_bin", Stream: greentally.Streams()[i%4]}
		e.Community.Devices = append(e.Community.Devices, d)
		for date := month.First(); !month.Last().Before(date); date = date.Add(1) {
			e.Days = append(e.Days, greentally.DeviceDay{DeviceKey: d.Key(), Date: date, Hours: 24, Covered: greentally.Duration(24 * time.Hour),
				Masses: map[string]greentally.MassDay{"mass_kg": {Collected: 10 * greentally.Unit, Max: 20 * greentally.Unit}},
				Gauges: map[string]greentally.GaugeDay{"fill_ratio": {Known: greentally.Duration(24 * time.Hour)}}})
		}
	}
	for b.Loop() {
		set.Compute(e)
	}
}

// One indicator that cannot be computed says so, and leaves the others alone.
func TestWhatCannotBeComputedIsNoVerdict(t *testing.T) {
	set, err := indicators.Load(words(t), indicators.Shipped())
	if err != nil {
		t.Fatal(err)
	}
	month := greentally.Month{Year: 2026, Month: 10}
	meter := &greentally.Device{Community: "c", ID: "m", Kind: "lighting_meter", Baseline: &greentally.Baseline{Option: "A", Lamps: 1e9, LampPowerW: 1e9}}
	bin := &greentally.Device{Community: "c", ID: "b", Kind: "sorting_bin", Stream: greentally.Food}
	day := func(d *greentally.Device) greentally.DeviceDay {
		return greentally.DeviceDay{DeviceKey: d.Key(), Date: month.First(), Hours: 24, Covered: greentally.Duration(24 * time.Hour),
			Registers: map[string]greentally.RegisterDay{"energy_kwh": {Rise: 5 * greentally.Unit}, "operating_hours": {Rise: 10 * greentally.Unit}},
			Masses:    map[string]greentally.MassDay{"mass_kg": {Collected: 10 * greentally.Unit}}}
	}
	values := set.Compute(indicators.Evidence{Community: &greentally.Community{ID: "c", Devices: []*greentally.Device{meter, bin}}, Month: month, Through: month.First(),
		Days: []greentally.DeviceDay{day(meter), day(bin)}})
	for _, v := range values {
		switch v.Indicator {
		case "lighting_saving":
			if v.Value != nil || v.Verdict != greentally.InsufficientData || !strings.Contains(v.Reason.EN, "cannot be computed") {
				t.Errorf("%s is %v, %s: %s", v.Indicator, v.Value, v.Verdict, v.Reason)
			}
		case "food_separation":
			if v.Value != nil { // there is no bin for residual waste
				t.Errorf("%s has a value", v.Indicator)
			}
		case "separate_collection":
			if v.Reason == (greentally.Text{}) || strings.Contains(v.Reason.EN, "cannot be computed") {
				t.Errorf("%s: %q", v.Indicator, v.Reason)
			}
		}
	}
	if len(values) != set.Len() {
		t.Errorf("%d of %d indicators", len(values), set.Len())
	}
}

// TestRecordOfCenturies computes a month of a record that speaks of all days that there are.
func TestRecordOfCenturies(t *testing.T) {
	set, err := indicators.Load(words(t), indicators.Shipped())
	if err != nil {
		t.Fatal(err)
	}
	october := greentally.Month{Year: 2026, Month: time.October}
	e := indicators.Evidence{Community: &greentally.Community{ID: "c"}, Month: october, Through: october.Last()}
	until := greentally.Date{Year: 9999, Month: time.December, Day: 31}
	for i := range 20 {
		id := fmt.Sprintf("m%d", i)
		e.Community.Devices = append(e.Community.Devices, &greentally.Device{Community: "c", ID: id, Kind: "lighting_meter", Baseline: &greentally.Baseline{Option: "B", EnergyKWh: 100, Days: 10}})
		e.Records = append(e.Records, greentally.Record{ID: id, Community: "c", Type: "energy_adjustment", Device: id, Date: greentally.Date{Year: 1, Month: time.January, Day: 1}, Until: &until, Values: map[string]float64{"kwh": 1}})
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	set.Compute(e)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
		t.Errorf("it takes %d bytes", n)
	}
}
