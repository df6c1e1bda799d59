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
			d := tally.Day(kind, device(), october8, time.UTC, every10("energy_kwh", tt.values...))
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
	// 21.8 kWh in ten minutes is more than 1.2 × 6 kW can do; the value is small, so it
	// is a reset.
	day := tally.Day(kind, d, october8, time.UTC, every10("energy_kwh", 999990.50, 12.30, 12.4, 12.5))
	if r := day.Registers["energy_kwh"]; r.Rise != amount(12.5) || day.Faults[0].Kind != greentally.Reset {
		t.Errorf("rise %v with %+v", r.Rise, day.Faults)
	}
}

func TestRegisterIsSplitAtMidnightAndHours(t *testing.T) {
	readings := []greentally.Reading{at(-30, "energy_kwh", 10), at(30, "energy_kwh", 16), at(90, "energy_kwh", 17), at(24*60+60, "energy_kwh", 20)}
	d := tally.Day(kind, device(), october8, time.UTC, readings).Registers["energy_kwh"]
	if d.ByHour[0] != amount(3.5) || d.ByHour[1] != amount(0.5)+amount(3)*30/(22*60+30+60) {
		t.Errorf("hours %v", d.ByHour[:2])
	}
	yesterday := tally.Day(kind, device(), october8.Add(-1), time.UTC, readings).Registers["energy_kwh"]
	if yesterday.Rise != amount(3) || yesterday.ByHour[23] != amount(3) {
		t.Errorf("the day before has %v", yesterday.Rise)
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
			d := tally.Day(kind, device(), october8, time.UTC, every10("mass_kg", tt.values...))
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

func TestADayWithoutAWeighingHasNoMass(t *testing.T) {
	rs := []greentally.Reading{at(-60, "mass_kg", 20), at(1440+60, "mass_kg", 5)} // none on 8 October
	if m, has := tally.Day(kind, device(), october8, time.UTC, rs).Masses["mass_kg"]; has {
		t.Errorf("the silent day has %+v", m)
	}
	next := tally.Day(kind, device(), october8.Add(1), time.UTC, rs).Masses["mass_kg"]
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
	d := tally.Day(kind, device(), october8, time.UTC, readings)
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
	d := tally.Day(kind, device(), october8, time.UTC, []greentally.Reading{
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
	d := tally.Day(kind, device(), october8, time.UTC, []greentally.Reading{at(60, "energy_kwh", 1), bad, at(80, "energy_kwh", 2)})
	if d.Registers["energy_kwh"].Rise != amount(1) || d.Readings != 3 || d.Suspect != 1 {
		t.Errorf("rise %v, readings %d, suspect %d", d.Registers["energy_kwh"].Rise, d.Readings, d.Suspect)
	}
}

func TestContradictionIsAFault(t *testing.T) {
	d := tally.Day(kind, device(), october8, time.UTC, []greentally.Reading{at(60, "energy_kwh", 1), at(70, "energy_kwh", 3), at(70, "energy_kwh", 2)})
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
		want, err := json.Marshal(tally.Day(kind, device(), date, loc, rs))
		if err != nil {
			t.Fatal(err)
		}
		again := append(slices.Clone(rs), rapid.SliceOf(rapid.SampledFrom(rs)).Draw(t, "repeated")...)
		again = rapid.Permutation(again).Draw(t, "order")
		got, err := json.Marshal(tally.Day(kind, device(), date, loc, again))
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
		rs := series(t, loc, first, days)
		var rise, deposited, collected greentally.Amount
		var opened, closed greentally.Amount
		for i := range days {
			date := first.Add(i)
			alone := tally.Day(kind, device(), date, loc, window(rs, date, loc))
			whole := tally.Day(kind, device(), date, loc, rs)
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
			sum += tally.Day(kind, device(), date, loc, window(rs, date, loc)).Registers["energy_kwh"].Rise
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
		d := tally.Day(kind, device(), day, berlin, []greentally.Reading{{
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
		if d := tally.Day(kind, device(), october8, time.UTC, rs); d.Readings != 144 {
			b.Fatal(fmt.Sprint(d.Readings))
		}
	}
}
