package tally_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"greentally"
	"greentally/rules/tally"
)

func location(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

var (
	limit = 0.9
	kind  = &greentally.Kind{Name: "all", Quantities: []greentally.Quantity{
		{Name: "energy_kwh", Nature: greentally.Register},
		{Name: "mass_kg", Nature: greentally.Mass},
		{Name: "fill_ratio", Nature: greentally.Gauge, Limit: &limit},
		{Name: "light", Nature: greentally.State, States: []string{"on", "off"}},
		{Name: "connection", Nature: greentally.State, States: []string{"online", "offline"}},
	}}
	october8 = greentally.Date{Year: 2026, Month: time.October, Day: 8}
)

func device() *greentally.Device {
	return &greentally.Device{
		Community: "c", ID: "d", Kind: "all", Site: "s", Stream: greentally.Food, Interval: greentally.Duration(10 * time.Minute),
		ScaleResolutionKg: 0.1,
		Registers:         map[string]greentally.RegisterFacts{"energy_kwh": {Modulus: 1e6}},
	}
}

// at makes a reading so many minutes after the start of 8 October in UTC.
func at(minutes float64, values ...any) greentally.Reading {
	r := greentally.Reading{
		DeviceKey: greentally.DeviceKey{Community: "c", Device: "d"}, Kind: "all", Quality: greentally.Accepted,
		Time: october8.Start(time.UTC).Add(time.Duration(minutes * float64(time.Minute))),
	}
	for i := 0; i < len(values); i += 2 {
		v := greentally.Value{Quantity: values[i].(string)}
		switch x := values[i+1].(type) {
		case float64:
			v.Number = x
		case int:
			v.Number = float64(x)
		case string:
			v.State = x
		}
		r.Values = append(r.Values, v)
	}
	greentally.SortValues(r.Values)
	return r
}

// every10 makes readings of one quantity, ten minutes apart, from 01:00 on.
func every10(quantity string, values ...float64) []greentally.Reading {
	var rs []greentally.Reading
	for i, v := range values {
		rs = append(rs, at(60+float64(10*i), quantity, v))
	}
	return rs
}

func amount(v float64) greentally.Amount { return greentally.Amount(math.Round(v * 1e6)) }

func tallyDay(device *greentally.Device, date greentally.Date, loc *time.Location, readings []greentally.Reading, events ...greentally.Record) greentally.DeviceDay {
	return tally.Day(tally.Input{Kind: kind, Device: device, Date: date, Location: loc, Readings: readings, Events: events})
}

func TestRegisterFalls(t *testing.T) {
	tests := []struct {
		name   string
		values []float64
		want   float64
		faults []greentally.FaultKind
	}{
		{"none", []float64{5, 6, 6, 7.5}, 2.5, nil},
		{"wrap at the modulus", []float64{999990.50, 12.30}, 21.80, []greentally.FaultKind{greentally.Wrap}},
		{"momentary zero", []float64{13423.7, 0, 13423.8}, 0.1, []greentally.FaultKind{greentally.Dip}},
		{"two zeros", []float64{13423.7, 0, 0, 13423.8}, 0.1, []greentally.FaultKind{greentally.Dip}},
		{"one step back", []float64{100.0, 99.9, 100.1}, 0.1, []greentally.FaultKind{greentally.Dip}},
		{"two dips", []float64{100, 0, 101, 3, 102}, 2, []greentally.FaultKind{greentally.Dip, greentally.Dip}},
		{"reset that stays", []float64{100, 104, 0.5, 1, 2, 3}, 4 + 3, []greentally.FaultKind{greentally.Reset}},
		{"neither", []float64{100, 104, 60, 61, 62, 63}, 4 + 3, []greentally.FaultKind{greentally.Unexplained}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := tallyDay(device(), october8, time.UTC, every10("energy_kwh", tt.values...))
			r := d.Registers["energy_kwh"]
			if r.Rise != amount(tt.want) {
				t.Errorf("rise %v, want %v", r.Rise, tt.want)
			}
			var kinds []greentally.FaultKind
			for _, f := range d.Faults {
				kinds = append(kinds, f.Kind)
				if f.Quantity != "energy_kwh" {
					t.Errorf("fault of %q", f.Quantity)
				}
			}
			if !slices.Equal(kinds, tt.faults) {
				t.Errorf("faults %v, want %v", kinds, tt.faults)
			}
			reset := slices.Contains(kinds, greentally.Reset)
			if (r.Estimated > 0) != reset {
				t.Errorf("estimated part is %v, reset is %v", r.Estimated, reset)
			}
			if unexplained := slices.Contains(kinds, greentally.Unexplained); unexplained &&
				r.Known != greentally.Duration(time.Duration(len(tt.values)-2)*10*time.Minute) {
				t.Errorf("known for %v; the unexplained step must not count", r.Known)
			}
		})
	}
}

func TestWrapMustBePossible(t *testing.T) {
	d := device()
	d.Registers["energy_kwh"] = greentally.RegisterFacts{Modulus: 1e6, MaxPerHour: 6}
	// 21.8 kWh in ten minutes is more than 1.2 × 6 kW can do, and so is 12.3: neither a
	// wrap nor a reset.
	day := tallyDay(d, october8, time.UTC, every10("energy_kwh", 999990.50, 12.30, 12.4, 12.5))
	if r := day.Registers["energy_kwh"]; r.Rise != amount(0.2) || day.Faults[0].Kind != greentally.Unexplained || r.Evidence != greentally.NeedsReview {
		t.Errorf("rise %v, %s, with %+v", r.Rise, r.Evidence, day.Faults)
	}
}

// TestRegisterThatCannot has registers of which it is known what they can do.
func TestRegisterThatCannot(t *testing.T) {
	tests := []struct {
		name     string
		values   []float64
		want     float64
		faults   []greentally.FaultKind
		evidence greentally.Evidence
	}{
		{"nothing odd", []float64{100, 100.5, 101}, 1, nil, greentally.Measured},
		{"one value far above", []float64{100, 53_700, 100.2, 100.4}, 0.4, []greentally.FaultKind{greentally.Spike}, greentally.Measured},
		{"two values far above", []float64{100, 53_700, 53_701, 100.4}, 0.4, []greentally.FaultKind{greentally.Spike}, greentally.Measured},
		{"it stays far above", []float64{100, 5000, 5000.2, 5000.4, 5000.6}, 0.6, []greentally.FaultKind{greentally.Unexplained}, greentally.NeedsReview},
		{"momentary zero", []float64{13423.7, 0, 13423.8}, 0.1, []greentally.FaultKind{greentally.Dip}, greentally.Measured},
		{"reset", []float64{13423.7, 0.1, 0.3, 0.5}, 0.5, []greentally.FaultKind{greentally.Reset}, greentally.Estimated},
		{"wrap of DL/T 645", []float64{999_999.9, 0.3}, 0.4, []greentally.FaultKind{greentally.Wrap}, greentally.Measured},
		{"a fall to what it cannot have counted", []float64{13423.7, 900, 900.3}, 0.3, []greentally.FaultKind{greentally.Unexplained}, greentally.NeedsReview},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := device()
			d.Registers["energy_kwh"] = greentally.RegisterFacts{Modulus: 1e6, MaxPerHour: 6}
			day := tallyDay(d, october8, time.UTC, every10("energy_kwh", tt.values...))
			r := day.Registers["energy_kwh"]
			var kinds []greentally.FaultKind
			for _, f := range day.Faults {
				kinds = append(kinds, f.Kind)
			}
			if r.Rise != amount(tt.want) || !slices.Equal(kinds, tt.faults) || r.Evidence != tt.evidence {
				t.Errorf("rise %v, %v, %s; want %v, %v, %s", r.Rise, kinds, r.Evidence, tt.want, tt.faults, tt.evidence)
			}
		})
	}
}

// replaced declares that the meter was replaced so many minutes after the day began.
func replaced(minutes float64, end, start float64) greentally.Record {
	when := at(minutes).Time
	return greentally.Record{Type: greentally.MeterReplaced, Device: "d", At: &when, Values: greentally.Values{"energy_kwh_end": end, "energy_kwh_start": start}}
}

func TestDeclaredReplacement(t *testing.T) {
	// 01:00 100, 01:10 101; 01:15 out with 101.4, in with 7000; 01:20 7000.5, 01:30 7001
	readings := every10("energy_kwh", 100, 101, 7000.5, 7001)
	undeclared := tallyDay(device(), october8, time.UTC, every10("energy_kwh", 7000, 7001, 100.5, 101))
	if r := undeclared.Registers["energy_kwh"]; r.Evidence != greentally.Estimated {
		t.Errorf("undeclared, the evidence is %s", r.Evidence)
	}
	day := tallyDay(device(), october8, time.UTC, readings, replaced(75, 101.4, 7000))
	r := day.Registers["energy_kwh"]
	if r.Rise != amount(1+0.4+0.5+0.5) || r.Evidence != greentally.Measured || r.Estimated != 0 {
		t.Errorf("rise %v, %s, estimated %v; want 2.4, measured", r.Rise, r.Evidence, r.Estimated)
	}
	if len(day.Faults) != 1 || day.Faults[0].Kind != greentally.Replaced || day.Faults[0].Quantity != "energy_kwh" {
		t.Errorf("faults %+v, want the replacement", day.Faults)
	}
	other := replaced(75, 101.4, 7000)
	other.Device = "another"
	if r := tallyDay(device(), october8, time.UTC, readings, other).Registers["energy_kwh"]; r.Rise == amount(2.4) {
		t.Error("the replacement of another device's meter counts")
	}
	// Replaced before midnight, first heard of after: each day has its part.
	late := []greentally.Reading{at(-60, "energy_kwh", 50), at(60, "energy_kwh", 3)}
	swap := replaced(-30, 51, 1)
	before := tallyDay(device(), october8.Add(-1), time.UTC, late, swap).Registers["energy_kwh"].Rise
	after := tallyDay(device(), october8, time.UTC, late, swap).Registers["energy_kwh"].Rise
	if before+after != amount(1+2) || after != amount(2.0*60/90)+1 && after != amount(2.0*60/90) {
		t.Errorf("%v before midnight and %v after, want 3 in all and 1.333 after", before, after)
	}
}

func TestRegisterIsSplitAtMidnightAndHours(t *testing.T) {
	readings := []greentally.Reading{at(-30, "energy_kwh", 10), at(30, "energy_kwh", 16), at(90, "energy_kwh", 17), at(24*60+60, "energy_kwh", 20)}
	d := tallyDay(device(), october8, time.UTC, readings).Registers["energy_kwh"]
	if d.ByHour[0] != amount(3.5) || d.ByHour[1] != amount(0.5)+amount(3)*30/(22*60+30+60) {
		t.Errorf("hours %v", d.ByHour[:2])
	}
	yesterday := tallyDay(device(), october8.Add(-1), time.UTC, readings).Registers["energy_kwh"]
	if yesterday.Rise != amount(3) || yesterday.ByHour[23] != amount(3) {
		t.Errorf("the day before has %v", yesterday.Rise)
	}
}

// hours reads opening hours such as 06:30-08:30.
func hours(t interface{ Fatal(...any) }, texts ...string) (all []greentally.OpenHours) {
	for _, text := range texts {
		var o greentally.OpenHours
		if err := o.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
	return all
}

func TestOutsideOpeningHours(t *testing.T) {
	// 1 by 01:10, none to 01:20, 4 by 01:30, 2 by 01:40.
	readings := every10("energy_kwh", 10, 11, 11, 15, 17)
	for _, tt := range []struct {
		name string
		open []string
		want float64
	}{
		{"open all day", []string{"00:00-24:00"}, 0},
		{"never while it counts", []string{"06:30-08:30", "18:30-20:30"}, 7},
		{"from between two readings on", []string{"01:25-02:00"}, 3},
		{"twice, not in order", []string{"01:30-01:40", "01:00-01:10"}, 4},
		{"overlapping and nested", []string{"01:00-01:30", "01:05-01:08", "01:20-01:35"}, 1},
	} {
		d := tally.Day(tally.Input{Kind: kind, Device: device(), Date: october8, Location: time.UTC, Readings: readings, Open: hours(t, tt.open...)}).Registers["energy_kwh"]
		if d.Outside == nil || *d.Outside != amount(tt.want) || d.Rise != amount(7) {
			t.Errorf("%s: %v of %v outside, want %v", tt.name, d.Outside, d.Rise, tt.want)
		}
	}
	if d := tallyDay(device(), october8, time.UTC, readings).Registers["energy_kwh"]; d.Outside != nil {
		t.Errorf("without opening hours %v is outside", *d.Outside)
	}
}

func TestMass(t *testing.T) {
	tests := []struct {
		name                 string
		values               []float64
		deposited, collected float64
		collections          int
		faults               int
	}{
		{"noise adds up to nothing", []float64{5, 5.1, 5, 4.9, 5.1, 5}, 0, 0, 0, 0},
		{"filled and emptied", []float64{5, 8, 12, 0.1, 0, 2}, 9, 11.9, 1, 0},
		{"emptied over several readings", []float64{12, 8, 4, 0}, 0, 12, 1, 0},
		{"emptied twice", []float64{12, 0, 3, 6, 0.1}, 6, 12 + 5.9, 2, 0},
		{"somebody leant on it", []float64{12, 80, 12.1, 12}, 0, 0, 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := tallyDay(device(), october8, time.UTC, every10("mass_kg", tt.values...))
			m := d.Masses["mass_kg"]
			if m.Deposited-amount(tt.deposited) > 0 || amount(tt.deposited)-m.Deposited > amount(0.1) {
				t.Errorf("deposited %v, want %v within the noise", m.Deposited, tt.deposited)
			}
			if m.Collected != amount(tt.collected) || len(m.Collections) != tt.collections {
				t.Errorf("collected %v in %d, want %v in %d", m.Collected, len(m.Collections), tt.collected, tt.collections)
			}
			if len(d.Faults) != tt.faults {
				t.Errorf("faults %+v, want %d", d.Faults, tt.faults)
			}
		})
	}
}

func TestEmptyingsAreToldApart(t *testing.T) {
	shanghai := location(t, "Asia/Shanghai")
	midnight := october8.Start(shanghai)
	in := func(values ...float64) tally.Input {
		var rs []greentally.Reading
		for i, v := range values { // from 05:30 on, ten minutes apart
			r := at(0, "mass_kg", v)
			r.Time = midnight.Add(5*time.Hour + 30*time.Minute + time.Duration(i)*10*time.Minute)
			rs = append(rs, r)
		}
		return tally.Input{Kind: kind, Device: device(), Date: october8, Location: shanghai, Readings: rs,
			Collections: []greentally.Collection{{Streams: []greentally.Stream{greentally.Food}, At: []string{"06:00"}, Days: []string{"thu"}}}}
	}
	m := tally.Day(in(20, 20.5, 0.3, 0.4)).Masses["mass_kg"]
	if len(m.Collections) != 1 || m.Collections[0].Partial || m.Collections[0].OffSchedule || m.Collections[0].Left != amount(0.3) {
		t.Errorf("emptied by the plan: %+v", m.Collections)
	}
	if m = tally.Day(in(20, 20.5, 8, 8.1)).Masses["mass_kg"]; len(m.Collections) != 1 || !m.Collections[0].Partial || m.Collections[0].Mass != amount(12.5) {
		t.Errorf("emptied in part: %+v", m.Collections)
	}
	late := in(20, 20.5, 0.3)
	for i := range late.Readings {
		late.Readings[i].Time = late.Readings[i].Time.Add(8 * time.Hour)
	}
	if m = tally.Day(late).Masses["mass_kg"]; len(m.Collections) != 1 || !m.Collections[0].OffSchedule {
		t.Errorf("removed at 13:50, planned at 06:00: %+v", m.Collections)
	}
	other := in(20, 20.5, 0.3)
	other.Collections[0].Days = []string{"mon"} // 8 October 2026 is a Thursday
	if m = tally.Day(other).Masses["mass_kg"]; !m.Collections[0].OffSchedule {
		t.Error("removed on a day on which nothing is planned, and not told")
	}
	other.Collections = nil
	if m = tally.Day(other).Masses["mass_kg"]; m.Collections[0].OffSchedule {
		t.Error("off schedule where there is none")
	}
}

// What lies on a scale for a moment is no deposit, and a scale that fails for a moment was
// not emptied.
func TestMomentaryMasses(t *testing.T) {
	for _, tt := range []struct {
		name                 string
		values               []float64
		deposited, collected float64
		faults               string
	}{
		{"one reading of 0", []float64{13, 13, 0, 13.2, 13.2}, 0.2, 0, "[dip]"},
		{"60 kg for a reading", []float64{13, 13, 73, 13.2, 13.2}, 0.2, 0, "[spike]"},
		{"60 kg for two", []float64{13, 13, 73, 73.1, 13.2, 13.2}, 0.2, 0, "[spike spike]"},
		{"60 kg for three lie there", []float64{13, 13, 73, 73, 73, 13}, 60, 60, "[]"},
		{"a bin that is emptied and stays so", []float64{13, 13, 0, 0, 13}, 13, 13, "[]"},
		{"one that is filled and emptied again", []float64{0, 3, 6, 0}, 6, 6, "[]"},
		{"not the same as before", []float64{13, 0, 11}, 11, 13, "[]"},
	} {
		d := tallyDay(device(), october8, time.UTC, every10("mass_kg", tt.values...))
		m := d.Masses["mass_kg"]
		kinds := []greentally.FaultKind{}
		for _, f := range d.Faults {
			kinds = append(kinds, f.Kind)
		}
		if m.Deposited != amount(tt.deposited) || m.Collected != amount(tt.collected) || fmt.Sprint(kinds) != tt.faults {
			t.Errorf("%s: deposited %v, collected %v, faults %v; want %v, %v, %s", tt.name, m.Deposited, m.Collected, kinds, tt.deposited, tt.collected, tt.faults)
		}
	}
}

// A register without a modulus or a greatest rise of its own has that of its kind.
func TestGreatestRiseOfTheKind(t *testing.T) {
	bounded := *kind
	bounded.Quantities = slices.Clone(kind.Quantities)
	for i := range bounded.Quantities {
		if bounded.Quantities[i].Name == "energy_kwh" {
			bounded.Quantities[i].MaxPerHour = 100
		}
	}
	for _, tt := range []struct {
		name   string
		values []float64
		rise   float64
		faults string
	}{
		{"zeros for half an hour", []float64{13464, 0, 0, 0, 13464.16, 13464.32}, 0.16, "[reset unexplained]"},
		{"one value that cannot be", []float64{100, 99999, 100.2, 100.3}, 0.3, "[spike]"},
		{"a rise that can be", []float64{100, 110}, 10, "[]"},
	} {
		plain := device()
		plain.Registers = nil
		d := tally.Day(tally.Input{Kind: &bounded, Device: plain, Date: october8, Location: time.UTC, Readings: every10("energy_kwh", tt.values...)})
		kinds := []greentally.FaultKind{}
		for _, f := range d.Faults {
			kinds = append(kinds, f.Kind)
		}
		if got := d.Registers["energy_kwh"].Rise; got != amount(tt.rise) || fmt.Sprint(kinds) != tt.faults {
			t.Errorf("%s: %v, faults %v; want %v, %s", tt.name, got, kinds, tt.rise, tt.faults)
		}
	}
}

func TestBatteriesComeByTheGramme(t *testing.T) {
	box := device()
	box.ScaleResolutionKg, box.MaxLoadKg = 0.001, 0
	// AAA, AA, D: 11.5, 23 and 141 g at a time, in a scale that shows grammes.
	values := []float64{1.002, 1.001, 1.013, 1.012, 1.036, 1.035, 1.176, 1.177, 1.176}
	m := tallyDay(box, october8, time.UTC, every10("mass_kg", values...)).Masses["mass_kg"]
	if m.Collected != 0 || m.Deposited != amount(0.174) {
		t.Errorf("deposited %v, collected %v; want 0.174 and nothing", m.Deposited, m.Collected)
	}
	values = append(values, 0.9) // somebody took some
	if m = tallyDay(box, october8, time.UTC, every10("mass_kg", values...)).Masses["mass_kg"]; m.Collected != amount(0.276) || !m.Collections[0].Partial {
		t.Errorf("collected %v, %+v", m.Collected, m.Collections)
	}
}

func TestScaleThatIsNoisierThanItSays(t *testing.T) {
	// It is said to be good to 0.1 kg, and wavers by 1 kg; only the last fall is a removal.
	var values []float64
	for i := range 30 {
		values = append(values, 20+[]float64{0, 1.1, -0.9, 0.6, -1.2, 0.9}[i%6])
	}
	values = append(values, 2)
	m := tallyDay(device(), october8, time.UTC, every10("mass_kg", values...)).Masses["mass_kg"]
	if len(m.Collections) != 1 || m.Collected < amount(17) || m.Collected > amount(20) {
		t.Errorf("collected %v in %d, want about 19 in one", m.Collected, len(m.Collections))
	}
}

func TestMassFromTheFillingLevel(t *testing.T) {
	bin := device()
	bin.CapacityLitres, bin.DensityKgPerLitre = 240, 0.25
	readings := every10("fill_ratio", 0.1, 0.3, 0.5, 0.02, 0.04)
	m := tallyDay(bin, october8, time.UTC, readings).Masses["mass_kg"]
	if m.Evidence != greentally.Estimated || m.Collected != amount(0.48*60) || m.Deposited != amount(0.4*60+0.02*60) {
		t.Errorf("%s, collected %v, deposited %v; want estimated, 28.8 and 25.2", m.Evidence, m.Collected, m.Deposited)
	}
	weighed := append(slices.Clone(readings), at(65, "mass_kg", 3.0), at(75, "mass_kg", 4.0))
	if m = tallyDay(bin, october8, time.UTC, weighed).Masses["mass_kg"]; m.Evidence == greentally.Estimated || m.Deposited != amount(1) {
		t.Errorf("%s, deposited %v; a scale goes before an estimate", m.Evidence, m.Deposited)
	}
	if _, has := tallyDay(device(), october8, time.UTC, readings).Masses["mass_kg"]; has {
		t.Error("a mass was estimated without a density")
	}
}

func TestADayWithoutAWeighingHasNoMass(t *testing.T) {
	rs := []greentally.Reading{at(-60, "mass_kg", 20), at(1440+60, "mass_kg", 5)} // none on 8 October
	if m, has := tallyDay(device(), october8, time.UTC, rs).Masses["mass_kg"]; has {
		t.Errorf("the silent day has %+v", m)
	}
	next := tallyDay(device(), october8.Add(1), time.UTC, rs).Masses["mass_kg"]
	if next.First != amount(20) || next.Collected != amount(15) {
		t.Errorf("the day after opens with %v and collects %v, want what changed meanwhile", next.First, next.Collected)
	}
}

func TestGaugeAndState(t *testing.T) {
	readings := []greentally.Reading{
		at(-10, "fill_ratio", 0.5, "light", "on"),
		at(10, "fill_ratio", 0.9, "light", "off"),
		at(20, "fill_ratio", 0.3, "light", "on"), // holds for 30 minutes, then nothing is known
		at(120, "fill_ratio", 1.0),
		at(23*60+50, "fill_ratio", 0.95),
	}
	d := tallyDay(device(), october8, time.UTC, readings)
	g := d.Gauges["fill_ratio"]
	if g.Known != greentally.Duration(90*time.Minute) || g.Above != greentally.Duration(50*time.Minute) {
		t.Errorf("known %v, above %v; want 1h30m and 50m", g.Known, g.Above)
	}
	if g.Min != amount(0.3) || g.Max != amount(1) || g.Last != amount(0.95) {
		t.Errorf("min %v max %v last %v", g.Min, g.Max, g.Last)
	}
	if want := (10*0.5 + 10*0.9 + 30*0.3 + 30*1.0 + 10*0.95) / 90; g.Mean != amount(want) {
		t.Errorf("mean %v, want %v", g.Mean, want)
	}
	s := d.States["light"]
	if s.Time["on"] != greentally.Duration(40*time.Minute) || s.Time["off"] != greentally.Duration(10*time.Minute) {
		t.Errorf("states %v", s.Time)
	}
	if d.Readings != 4 || d.Expected != 144 {
		t.Errorf("readings %d of %d, want 4 of 144", d.Readings, d.Expected)
	}
	// The one before midnight reaches to 00:01, the others 11, 11, 11 and 10 minutes,
	// of which one minute is counted once only.
	if want := greentally.Duration((1 + 10 + 11 + 11 + 10) * time.Minute); d.Covered != want {
		t.Errorf("covered %v, want %v", d.Covered, want)
	}
	if d.LongestGap != greentally.Duration((23*60+50-120)*time.Minute) {
		t.Errorf("longest gap %v", d.LongestGap)
	}
}

func TestConnectionIsNoMeasurement(t *testing.T) {
	d := tallyDay(device(), october8, time.UTC, []greentally.Reading{
		at(-1000, "connection", "online"), at(60, "connection", "offline"), at(120, "connection", "online"),
	})
	if d.Readings != 0 || d.Covered != 0 {
		t.Errorf("readings %d, covered %v; want none", d.Readings, d.Covered)
	}
	if c := d.States["connection"]; c.Time["offline"] != greentally.Duration(time.Hour) || c.Time["online"] != greentally.Duration(23*time.Hour) {
		t.Errorf("connection %v", c.Time)
	}
}

func TestSuspiciousReadingsAreCountedAndLeftOut(t *testing.T) {
	bad := at(70, "energy_kwh", 5000)
	bad.Quality = greentally.Suspicious
	d := tallyDay(device(), october8, time.UTC, []greentally.Reading{at(60, "energy_kwh", 1), bad, at(80, "energy_kwh", 2)})
	if d.Registers["energy_kwh"].Rise != amount(1) || d.Readings != 3 || d.Suspect != 1 {
		t.Errorf("rise %v, readings %d, suspect %d", d.Registers["energy_kwh"].Rise, d.Readings, d.Suspect)
	}
}

func TestContradictionIsAFault(t *testing.T) {
	d := tallyDay(device(), october8, time.UTC, []greentally.Reading{at(60, "energy_kwh", 1), at(70, "energy_kwh", 3), at(70, "energy_kwh", 2)})
	if len(d.Faults) != 1 || d.Faults[0].Kind != greentally.Conflict || d.Suspect != 1 || d.Registers["energy_kwh"].Rise != amount(1) {
		t.Errorf("%+v rise %v", d.Faults, d.Registers["energy_kwh"].Rise)
	}
}

// series draws readings of some days: a register with dips, resets and wraps, a mass
// with collections, a gauge and a state; at odd times, with gaps.
func series(t *rapid.T, loc *time.Location, first greentally.Date, days int) []greentally.Reading {
	energy := rapid.Float64Range(0, 999_999).Draw(t, "energy")
	mass := 0.0
	var rs []greentally.Reading
	end := first.Add(days).Start(loc)
	for now := first.Start(loc).Add(-2 * time.Hour); now.Before(end.Add(2 * time.Hour)); {
		r := greentally.Reading{DeviceKey: greentally.DeviceKey{Community: "c", Device: "d"}, Kind: "all", Time: now, Quality: greentally.Accepted}
		energy += rapid.Float64Range(0, 3).Draw(t, "rise")
		shown := energy
		switch rapid.IntRange(0, 30).Draw(t, "event") {
		case 0:
			shown = energy * rapid.Float64Range(0, 1).Draw(t, "dip")
		case 1:
			energy = rapid.Float64Range(0, 2).Draw(t, "reset")
		case 2:
			r.Quality = greentally.Suspicious
		case 3:
			mass = 0
		}
		energy = math.Mod(energy, 1e6)
		mass += rapid.Float64Range(-0.1, 4).Draw(t, "drop")
		if rapid.IntRange(0, 5).Draw(t, "has energy") > 0 {
			r.Values = append(r.Values, greentally.Value{Quantity: "energy_kwh", Number: shown})
		}
		if rapid.IntRange(0, 5).Draw(t, "has mass") > 0 {
			r.Values = append(r.Values, greentally.Value{Quantity: "mass_kg", Number: mass})
		}
		r.Values = append(r.Values,
			greentally.Value{Quantity: "fill_ratio", Number: rapid.Float64Range(0, 1).Draw(t, "fill")},
			greentally.Value{Quantity: "light", State: rapid.SampledFrom([]string{"on", "off"}).Draw(t, "light")})
		greentally.SortValues(r.Values)
		rs = append(rs, r)
		now = now.Add(time.Duration(rapid.Int64Range(1, int64(5*time.Hour)).Draw(t, "step")))
	}
	return rs
}

// window returns what Day is to be given for one day: its readings and, for each
// quantity, Context readings on either side.
func window(rs []greentally.Reading, date greentally.Date, loc *time.Location) []greentally.Reading {
	from, to := date.Start(loc), date.Add(1).Start(loc)
	before, after := map[string]int{}, map[string]int{}
	var chosen []greentally.Reading
	take := func(r greentally.Reading, count map[string]int) {
		wanted := false
		for _, v := range r.Values {
			if r.Quality == greentally.Accepted && count[v.Quantity] < tally.Context {
				count[v.Quantity]++
				wanted = true
			}
		}
		if wanted {
			chosen = append(chosen, r)
		}
	}
	for i := len(rs) - 1; i >= 0; i-- {
		if rs[i].Time.Before(from) {
			take(rs[i], before)
		}
	}
	for _, r := range rs {
		switch {
		case r.Time.Before(from):
		case r.Time.Before(to):
			chosen = append(chosen, r)
		default:
			take(r, after)
		}
	}
	return chosen
}

func zone(t *rapid.T) *time.Location {
	name := rapid.SampledFrom([]string{"Asia/Shanghai", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe"}).Draw(t, "zone")
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func TestLawSameReadingsSameBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		loc := zone(t)
		date := greentally.Date{Year: 2026, Month: 10, Day: rapid.IntRange(23, 27).Draw(t, "day")}
		rs := series(t, loc, date, 1)
		want, err := json.Marshal(tallyDay(device(), date, loc, rs))
		if err != nil {
			t.Fatal(err)
		}
		again := append(slices.Clone(rs), rapid.SliceOf(rapid.SampledFrom(rs)).Draw(t, "repeated")...)
		again = rapid.Permutation(again).Draw(t, "order")
		got, err := json.Marshal(tallyDay(device(), date, loc, again))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Fatalf("in another order, with repetitions:\n%s\nwant\n%s", got, want)
		}
	})
}

// TestLawDaysSum checks that days tallied one by one, each from its own window, give
// what one look at the whole series gives: registers sum exactly, masses are
// conserved and close where the next day opens.
func TestLawDaysSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		loc := zone(t)
		first := greentally.Date{Year: 2026, Month: 10, Day: 23}
		const days = 4
		law := device()
		if rapid.Bool().Draw(t, "its greatest rise is known") {
			law.Registers["energy_kwh"] = greentally.RegisterFacts{Modulus: 1e6, MaxPerHour: 2}
		}
		rs := series(t, loc, first, days)
		var events []greentally.Record
		for range rapid.IntRange(0, 3).Draw(t, "replacements") {
			when := first.Start(loc).Add(time.Duration(rapid.Int64Range(0, int64(days*24*time.Hour)).Draw(t, "replaced at")))
			events = append(events, greentally.Record{Type: greentally.MeterReplaced, Device: "d", At: &when, Values: greentally.Values{
				"energy_kwh_end": rapid.Float64Range(0, 1e6).Draw(t, "end"), "energy_kwh_start": rapid.Float64Range(0, 1e6).Draw(t, "start")}})
		}
		var rise, deposited, collected greentally.Amount
		var opened, closed greentally.Amount
		for i := range days {
			date := first.Add(i)
			alone := tallyDay(law, date, loc, window(rs, date, loc), events...)
			whole := tallyDay(law, date, loc, rs, events...)
			a, err := json.Marshal(alone)
			if err != nil {
				t.Fatal(err)
			}
			b, err := json.Marshal(whole)
			if err != nil {
				t.Fatal(err)
			}
			if string(a) != string(b) {
				t.Fatalf("%v from its window is\n%s\nfrom the whole series\n%s", date, a, b)
			}
			r, m := alone.Registers["energy_kwh"], alone.Masses["mass_kg"]
			rise += r.Rise
			deposited += m.Deposited
			collected += m.Collected
			var hours, in, out greentally.Amount
			for _, h := range r.ByHour {
				hours += h
			}
			for _, h := range m.ByHour {
				in, out = in+h.Deposited, out+h.Collected
			}
			if hours != r.Rise || in != m.Deposited || out != m.Collected {
				t.Fatalf("%v: hours sum to %v, %v, %v; the day has %v, %v, %v", date, hours, in, out, r.Rise, m.Deposited, m.Collected)
			}
			if m.Deposited-m.Collected != m.Last-m.First {
				t.Fatalf("%v: %v − %v is not %v − %v", date, m.Deposited, m.Collected, m.Last, m.First)
			}
			if i == 0 {
				opened = m.First
			} else if len(alone.Masses) > 0 && m.First != closed {
				t.Fatalf("%v opens with %v, the day before closed with %v", date, m.First, closed)
			}
			if len(alone.Masses) > 0 {
				closed = m.Last
			}
		}
		if deposited-collected != closed-opened {
			t.Fatalf("mass: %v − %v is not %v − %v", deposited, collected, closed, opened)
		}
	})
}

// TestLawOutsideAndInside checks that what is counted outside some opening hours and what
// is counted outside all the others is the whole rise, exactly, whatever the register does.
func TestLawOutsideAndInside(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		loc := zone(t)
		first := greentally.Date{Year: 2026, Month: 10, Day: 24} // the clocks of Berlin go back on the 25th
		rs := series(t, loc, first, 3)
		from := time.Duration(rapid.IntRange(1, 24*60-2).Draw(t, "from")) * time.Minute
		to := time.Duration(rapid.IntRange(int(from.Minutes())+1, 24*60-1).Draw(t, "to")) * time.Minute
		outside := func(date greentally.Date, open ...greentally.OpenHours) greentally.RegisterDay {
			return tally.Day(tally.Input{Kind: kind, Device: device(), Date: date, Location: loc, Readings: window(rs, date, loc), Open: open}).Registers["energy_kwh"]
		}
		for i := range 3 {
			date := first.Add(i)
			in := outside(date, greentally.OpenHours{From: from, To: to})
			out := outside(date, greentally.OpenHours{To: from}, greentally.OpenHours{From: to, To: 24 * time.Hour})
			if in.Outside == nil {
				continue // the register has no value on the day
			}
			if *in.Outside+*out.Outside != in.Rise || *in.Outside < 0 || *out.Outside < 0 {
				t.Fatalf("%v: %v and %v are not %v", date, *in.Outside, *out.Outside, in.Rise)
			}
		}
	})
}

// TestLawRegisterSumsToItsOwnRise checks, for a register that never falls, that the
// days of a month sum to the register's difference, exactly.
func TestLawRegisterSumsToItsOwnRise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		loc := zone(t)
		month := greentally.Month{Year: 2026, Month: time.Month(rapid.IntRange(1, 12).Draw(t, "month"))}
		var rs []greentally.Reading
		add := func(at time.Time, kwh float64) {
			rs = append(rs, greentally.Reading{Time: at, Quality: greentally.Accepted, Values: []greentally.Value{{Quantity: "energy_kwh", Number: kwh}}})
		}
		from, to := month.First().Start(loc), month.Next().First().Start(loc)
		kwh := rapid.Float64Range(0, 1e6).Draw(t, "first")
		first := kwh
		add(from, kwh)
		for now := from; ; {
			now = now.Add(time.Duration(rapid.Int64Range(1, int64(100*time.Hour)).Draw(t, "step")))
			if !now.Before(to) {
				break
			}
			kwh += rapid.Float64Range(0, 50).Draw(t, "rise")
			add(now, kwh)
		}
		kwh += 1.234567
		add(to, kwh)
		var sum greentally.Amount
		for date := month.First(); !month.Last().Before(date); date = date.Add(1) {
			sum += tallyDay(device(), date, loc, window(rs, date, loc)).Registers["energy_kwh"].Rise
		}
		if want := amount(kwh) - amount(first); sum != want {
			t.Fatalf("the days sum to %v, the register rose by %v", sum, want)
		}
	})
}

func TestDayLengths(t *testing.T) {
	berlin := location(t, "Europe/Berlin")
	for date, hours := range map[string]int{"2026-03-29": 23, "2026-10-25": 25, "2026-10-26": 24} {
		day, err := greentally.ParseDate(date)
		if err != nil {
			t.Fatal(err)
		}
		d := tallyDay(device(), day, berlin, []greentally.Reading{{
			Time: day.Start(berlin), Quality: greentally.Accepted, Values: []greentally.Value{{Quantity: "energy_kwh", Number: 1}}}})
		if d.Hours != hours || len(d.Registers["energy_kwh"].ByHour) != hours || d.Expected != hours*6 {
			t.Errorf("%s has %d hours, %d bins and expects %d readings; want %d", date, d.Hours, len(d.Registers["energy_kwh"].ByHour), d.Expected, hours)
		}
	}
}

func BenchmarkDay(b *testing.B) {
	var rs []greentally.Reading
	for i := range 144 + 2*tally.Context {
		rs = append(rs, at(float64(10*(i-tally.Context)), "energy_kwh", 100+float64(i)/10, "mass_kg", float64(i%70), "fill_ratio", float64(i%70)/70, "light", []string{"on", "off"}[i%2]))
	}
	b.ReportAllocs()
	for b.Loop() {
		if d := tallyDay(device(), october8, time.UTC, rs); d.Readings != 144 {
			b.Fatal(fmt.Sprint(d.Readings))
		}
	}
}
