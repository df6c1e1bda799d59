package tally

import (
	"slices"
	"time"

	"greentally"
)

// Input is what a device-day is tallied from.
type Input struct {
	Kind     *greentally.Kind
	Device   *greentally.Device
	Date     greentally.Date
	Location *time.Location // of the community

	// Readings are those of the day and, for each quantity, up to [Context] before and
	// after it that have a value of the quantity; more do no harm. Their order does not
	// matter, and repetitions change nothing.
	Readings []greentally.Reading

	Collections []greentally.Collection // that the community plans
	Open        []greentally.OpenHours  // in which the device's site is open; none if always
	Events      []greentally.Record     // declared events in force; those of other devices are passed over
}

// Day tallies one device over one local day.
func Day(in Input) greentally.DeviceDay {
	kind, device, date := in.Kind, in.Device, in.Date
	day := span{date.Start(in.Location), date.Add(1).Start(in.Location)}
	sorted, conflicts := clean(in.Readings)
	d := greentally.DeviceDay{
		DeviceKey: device.Key(), Kind: device.Kind, Site: device.Site, Stream: device.Stream,
		Date: date, Start: day.from, Hours: int(day.to.Sub(day.from).Round(time.Hour) / time.Hour),
	}
	interval := time.Duration(device.Interval)
	d.Expected = int(day.to.Sub(day.from) / interval)
	cover(&d, day, interval, sorted)
	for _, f := range conflicts {
		if day.has(f.Time) {
			d.Faults = append(d.Faults, f)
			d.Suspect++
		}
	}
	for _, q := range kind.Quantities {
		switch q.Nature {
		case greentally.Gauge:
			if g, ok := gaugeDay(day, interval, device.Limit(q), points(sorted, q.Name)); ok {
				put(&d.Gauges, q.Name, g)
			}
		case greentally.Mass:
			ps, scale := massPoints(in, sorted, q.Name)
			if m, faults, ok := massDay(day, d.Hours, scale, ps); ok {
				put(&d.Masses, q.Name, m)
				d.Faults = append(d.Faults, name(faults, q.Name)...)
			}
		case greentally.Register:
			if r, faults, ok := registerDay(day, d.Hours, newMeter(in, q), open(in), points(sorted, q.Name)); ok {
				put(&d.Registers, q.Name, r)
				d.Faults = append(d.Faults, name(faults, q.Name)...)
			}
		case greentally.State:
			most := hold * interval
			if q.Name == greentally.Connection { // holds until the next
				most = 1<<63 - 1
			}
			if s, ok := stateDay(day, most, q.Name, sorted); ok {
				put(&d.States, q.Name, s)
			}
		}
	}
	slices.SortFunc(d.Faults, compareFaults)
	return d
}

// put adds to a map that may not be there yet.
func put[V any](m *map[string]V, key string, v V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[key] = v
}

func name(faults []greentally.Fault, quantity string) []greentally.Fault {
	for i := range faults {
		faults[i].Quantity = quantity
	}
	return faults
}

// cover counts the day's readings and the time that they cover.
func cover(d *greentally.DeviceDay, day span, interval time.Duration, readings []greentally.Reading) {
	reach := interval + interval/10
	last := day.from // of the latest reading, or the start of the day
	gap := func(to time.Time) {
		if g := greentally.Duration(to.Sub(last)); g > d.LongestGap {
			d.LongestGap = g
		}
	}
	var covered time.Time // up to where time is counted already
	for i := range readings {
		r := &readings[i]
		if !r.Measures() || !r.Time.Before(day.to) {
			continue
		}
		if day.has(r.Time) {
			d.Readings++
			if r.Quality < greentally.Accepted {
				d.Suspect++
			}
			gap(r.Time)
			last = r.Time
		}
		if r.Quality < greentally.Accepted {
			continue
		}
		from := r.Time
		if from.Before(covered) {
			from = covered
		}
		covered = r.Time.Add(reach)
		d.Covered += greentally.Duration(day.within(from, covered))
	}
	gap(day.to)
}

// gaugeDay tallies a gauge: each value holds until the next, at most for [hold]
// intervals. It reports false if no value is known in the day.
func gaugeDay(day span, interval time.Duration, limit *float64, ps []point) (greentally.GaugeDay, bool) {
	var g greentally.GaugeDay
	if limit != nil {
		if a, ok := greentally.AmountOf(*limit); ok {
			g.Limit = &a
		}
	}
	var weighted float64 // value × seconds
	seen := false
	for i, p := range ps {
		to := p.at.Add(hold * interval)
		if i+1 < len(ps) && ps[i+1].at.Before(to) {
			to = ps[i+1].at
		}
		held := day.within(p.at, to)
		if held == 0 && !day.has(p.at) {
			continue
		}
		if !seen || p.value < g.Min {
			g.Min = p.value
		}
		if !seen || p.value > g.Max {
			g.Max = p.value
		}
		seen = true
		g.Last = p.value
		g.Known += greentally.Duration(held)
		weighted += p.value.Float() * held.Seconds()
		if g.Limit != nil && p.value >= *g.Limit {
			g.Above += greentally.Duration(held)
		}
	}
	if g.Known > 0 {
		g.Mean, _ = greentally.AmountOf(weighted / time.Duration(g.Known).Seconds())
	} else {
		g.Mean = g.Last
	}
	return g, seen
}

// stateDay tallies a state: each word holds until the next, at most for most.
func stateDay(day span, most time.Duration, quantity string, readings []greentally.Reading) (greentally.StateDay, bool) {
	s := greentally.StateDay{Time: map[string]greentally.Duration{}}
	var at time.Time
	word := ""
	add := func(until time.Time) {
		if word == "" {
			return
		}
		if limit := at.Add(most); most < 1<<62 && until.After(limit) {
			until = limit
		}
		if held := greentally.Duration(day.within(at, until)); held > 0 {
			s.Time[word] += held
			s.Known += held
			s.Last = word
		}
	}
	for i := range readings {
		r := &readings[i]
		v, ok := r.Value(quantity)
		if !ok || r.Quality < greentally.Accepted {
			continue
		}
		add(r.Time)
		at, word = r.Time, v.State
	}
	add(day.to)
	return s, s.Known > 0
}
