package tally

import (
	"time"

	"greentally"
)

// noise returns the fall of a scale's value, above which it is a removal: five times
// the scale's resolution, at least half a percent of its greatest load.
func noise(device *greentally.Device) greentally.Amount {
	n, _ := greentally.AmountOf(max(5*device.ScaleResolutionKg, device.MaxLoadKg/200))
	return n
}

// massDay tallies a mass. The opening of a day is the last value before it, so that
// a day opens with what the day before closed with. It reports false if the day has no
// value of its own; what changed over such days counts when the next value comes.
func massDay(day span, hours int, noise greentally.Amount, ps []point) (greentally.MassDay, []greentally.Fault, bool) {
	ps, spikes := despike(day, noise, ps)
	m := greentally.MassDay{ByHour: make([]greentally.MassHours, hours)}
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
		hour := &m.ByHour[min(hours-1, int(p.at.Sub(day.from)/time.Hour))]
		if fall := before.value - p.value; fall > noise {
			hour.Collected += fall
			m.Collected += fall
			if n := len(m.Collections); falling && n > 0 {
				m.Collections[n-1].Time = p.at
				m.Collections[n-1].Mass += fall
			} else {
				m.Collections = append(m.Collections, greentally.Emptying{Time: p.at, Mass: fall})
			}
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

// despike leaves out values that stick out of both their neighbours while these
// agree: somebody leant on the bin.
func despike(day span, noise greentally.Amount, ps []point) (kept []point, spikes []greentally.Fault) {
	for i, p := range ps {
		if i > 0 && i+1 < len(ps) {
			a, b := ps[i-1].value, ps[i+1].value
			if p.value-a > noise && p.value-b > noise && a-b <= noise && b-a <= noise {
				if day.has(p.at) {
					spikes = append(spikes, greentally.Fault{Time: p.at, Kind: greentally.Spike, From: a, To: p.value})
				}
				continue
			}
		}
		kept = append(kept, p)
	}
	return kept, spikes
}
