package tally

import (
	"slices"
	"time"

	"greentally"
)

// scale is what is known of a mass beside its values.
type scale struct {
	noise     greentally.Amount // the fall of a value above which it is a removal, at the least
	interval  time.Duration
	plan      plan
	estimated bool // it is no scale: the mass is estimated
}

// newScale returns what is known of the device's scale. Its noise is five times its
// resolution, at least half a percent of its greatest load.
func newScale(in Input) scale {
	n, _ := greentally.AmountOf(max(5*in.Device.ScaleResolutionKg, in.Device.MaxLoadKg/200))
	return scale{noise: n, interval: time.Duration(in.Device.Interval), plan: newPlan(in)}
}

// massPoints returns the masses that the device weighed. Where it has no scale, but a
// density, they are estimated from how full it is; an ultrasonic level is good to a few
// hundredths, so that less than a twentieth of the bin is noise.
func massPoints(in Input, readings []greentally.Reading, quantity string) ([]point, scale) {
	ps, s := points(readings, quantity), newScale(in)
	full, ok := greentally.AmountOf(in.Device.CapacityLitres * in.Device.DensityKgPerLitre)
	if len(ps) > 0 || !ok || full <= 0 {
		return ps, s
	}
	s.estimated, s.noise = true, full/20
	for _, p := range points(readings, FillRatio) {
		if kg, ok := greentally.AmountOf(p.value.Float() * full.Float()); ok {
			ps = append(ps, point{p.at, kg})
		}
	}
	return ps, s
}

// FillRatio is the quantity from which mass is estimated where there is no scale.
const FillRatio = "fill_ratio"

// own returns the noise that the scale shows itself in the day, if that is more than
// what is known of it. Rises are deposits, but the falls of an ordinary day are noise
// but for a few removals, so their median tells: five times their standard deviation.
func (s scale) own(day span, ps []point) greentally.Amount {
	const enough = 12
	var falls []greentally.Amount
	for i := 1; i < len(ps); i++ {
		if fall := ps[i-1].value - ps[i].value; fall > 0 && day.has(ps[i-1].at) && day.has(ps[i].at) {
			falls = append(falls, fall)
		}
	}
	if len(falls) < enough {
		return s.noise
	}
	slices.Sort(falls)
	// The median of a half-normal distribution is 0.6745 standard deviations.
	own, _ := greentally.AmountOf(5 * falls[len(falls)/2].Float() / 0.6745)
	return max(s.noise, own)
}

// massDay tallies a mass. The opening of a day is the last value before it, so that
// a day opens with what the day before closed with. It reports false if the day has no
// value of its own; what changed over such days counts when the next value comes.
func massDay(day span, hours int, s scale, ps []point) (greentally.MassDay, []greentally.Fault, bool) {
	ps, spikes := despike(day, s.noise, ps) // by what does not depend on the day, so that neighbours agree
	noise := s.own(day, ps)
	m := greentally.MassDay{Evidence: greentally.Measured, ByHour: make([]greentally.MassHours, hours)}
	if s.estimated {
		m.Evidence = greentally.Estimated
	}
	known, seen := false, false // whether there was a value at all, and in the day
	var before point            // the latest value
	falling := false            // whether the step before was part of a removal
	for _, p := range ps {
		if !p.at.Before(day.to) {
			break
		}
		if p.at.Before(day.from) {
			falling = known && before.value-p.value > noise
			before, known = p, true
			m.First, m.Last, m.Max = p.value, p.value, p.value
			continue
		}
		seen = true
		if !known {
			before, known = p, true
			m.First, m.Max = p.value, p.value
		}
		if p.at.Sub(before.at) > hold*s.interval {
			m.Evidence = worse(m.Evidence, greentally.Interpolated)
		}
		hour := &m.ByHour[min(hours-1, int(p.at.Sub(day.from)/time.Hour))]
		if fall := before.value - p.value; fall > noise {
			hour.Collected += fall
			m.Collected += fall
			off := s.plan.away(before.at, p.at)
			if n := len(m.Collections); falling && n > 0 {
				e := &m.Collections[n-1]
				e.Time, e.Mass, e.Left, e.OffSchedule = p.at, e.Mass+fall, p.value, e.OffSchedule && off
			} else {
				m.Collections = append(m.Collections, greentally.Emptying{Time: p.at, Mass: fall, Left: p.value, OffSchedule: off})
			}
			e := &m.Collections[len(m.Collections)-1]
			e.Partial = e.Left > max(noise, (e.Left+e.Mass)/4) // something may have come in since
			falling = true
		} else {
			hour.Deposited -= fall
			m.Deposited -= fall
			falling = false
		}
		before = p
		m.Last = p.value
		m.Max = max(m.Max, p.value)
	}
	return m, spikes, seen
}

// moment is for how long, at the most, something that is no deposit can lie on a scale.
const moment = time.Hour

// despike leaves out values that stick out of their neighbours for a moment while these
// agree: one above them, or two that are alike, because somebody leant on the bin, and one
// below, because the scale failed. A bin that is emptied and filled again to the same mass
// by the next reading looks like that, too, and is rare.
func despike(day span, noise greentally.Amount, ps []point) (kept []point, spikes []greentally.Fault) {
	odd := make([]bool, len(ps))
	for i := range ps {
		for k := i + 2; k <= i+3 && k < len(ps); k++ {
			a, b := ps[i].value, ps[k].value
			if a-b > noise || b-a > noise || ps[k].at.Sub(ps[i].at) > moment {
				continue
			}
			above, below := true, k == i+2
			for _, p := range ps[i+1 : k] {
				above = above && p.value-a > noise && p.value-b > noise && p.value-ps[i+1].value <= noise && ps[i+1].value-p.value <= noise
				below = below && a-p.value > noise && b-p.value > noise
			}
			for j := i + 1; (above || below) && j < k; j++ {
				odd[j] = true
			}
		}
	}
	for i, p := range ps {
		if !odd[i] {
			kept = append(kept, p)
			continue
		}
		if day.has(p.at) {
			kind := greentally.Spike
			if p.value < ps[i-1].value {
				kind = greentally.Dip
			}
			spikes = append(spikes, greentally.Fault{Time: p.at, Kind: kind, From: ps[i-1].value, To: p.value})
		}
	}
	return kept, spikes
}

// plan is when a bin is meant to be emptied.
type plan struct {
	any   bool        // whether that is planned at all
	times []time.Time // around the day
}

// How much earlier and later than planned a collection can come.
const (
	early = time.Hour
	late  = 3 * time.Hour
)

// newPlan returns the collections that the community plans for the device's stream on
// the day and its neighbours.
func newPlan(in Input) plan {
	weekdays := []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
	var p plan
	for _, c := range in.Collections {
		if !slices.Contains(c.Streams, in.Device.Stream) {
			continue
		}
		p.any = true
		for _, date := range []greentally.Date{in.Date.Add(-1), in.Date, in.Date.Add(1)} {
			start := date.Start(in.Location).In(in.Location)
			if len(c.Days) > 0 && !slices.Contains(c.Days, weekdays[start.Weekday()]) {
				continue
			}
			for _, at := range c.At {
				if clock, err := time.Parse("15:04", at); err == nil {
					p.times = append(p.times, time.Date(start.Year(), start.Month(), start.Day(), clock.Hour(), clock.Minute(), 0, 0, in.Location))
				}
			}
		}
	}
	return p
}

// away reports whether a removal between two instants is away from all that is planned.
func (p plan) away(from, to time.Time) bool {
	return p.any && !slices.ContainsFunc(p.times, func(at time.Time) bool {
		return !to.Before(at.Add(-early)) && !from.After(at.Add(late))
	})
}
