package tally

import (
	"math/bits"
	"time"

	"greentally"
)

// rise is what a register counted between two of its values.
type rise struct {
	from, to time.Time
	amount   greentally.Amount
	known    bool // false where a fall is not explained; amount is 0 then
	reset    bool // counted from 0, what was before the reset is not known
}

// maxDip is how many values in a row can be a dip. It is less than [Context], so that
// both days at a midnight see the whole dip.
const maxDip = Context - 1

// registerDay tallies a register.
func registerDay(day span, hours int, facts greentally.RegisterFacts, ps []point) (greentally.RegisterDay, []greentally.Fault, bool) {
	rises, faults := rises(facts, ps)
	d := greentally.RegisterDay{ByHour: make([]greentally.Amount, hours)}
	known := false
	for _, p := range ps {
		known = known || day.has(p.at)
	}
	for _, r := range rises {
		if day.within(r.from, r.to) == 0 {
			continue
		}
		known = true
		if !r.known {
			continue
		}
		d.Known += greentally.Duration(day.within(r.from, r.to))
		first := max(0, int(r.from.Sub(day.from)/time.Hour))
		counted := r.until(day.from.Add(time.Duration(first) * time.Hour))
		for h := min(first, hours-1); h < hours && counted < r.amount; h++ {
			end := day.to
			if h < hours-1 {
				end = day.from.Add(time.Duration(h+1) * time.Hour)
			}
			part := r.until(end) - counted
			counted += part
			d.ByHour[h] += part
			d.Rise += part
			if r.reset {
				d.Estimated += part
			}
		}
	}
	var mine []greentally.Fault
	for _, f := range faults {
		if day.has(f.Time) {
			mine = append(mine, f)
		}
	}
	return d, mine, known
}

// until returns how much of the rise lies before t, by linear interpolation. It is
// rounded down from a running total, so that parts always sum to the whole.
func (r rise) until(t time.Time) greentally.Amount {
	if !t.After(r.from) {
		return 0
	}
	if !t.Before(r.to) {
		return r.amount
	}
	// amount × (t − from) ÷ (to − from), in 128 bits. The rise is never negative.
	high, low := bits.Mul64(uint64(r.amount), uint64(t.Sub(r.from)))
	part, _ := bits.Div64(high, low, uint64(r.to.Sub(r.from)))
	return greentally.Amount(part)
}

// rises classifies the steps between the values of a register. The classification of
// a step depends on the values next to it alone, so that every day that sees the
// step sees it alike.
func rises(facts greentally.RegisterFacts, ps []point) (rs []rise, faults []greentally.Fault) {
	for i := 0; i+1 < len(ps); {
		a, b := ps[i], ps[i+1]
		if b.value >= a.value {
			rs = append(rs, rise{from: a.at, to: b.at, amount: b.value - a.value, known: true})
			i++
			continue
		}
		fault := greentally.Fault{Time: b.at, From: a.value, To: b.value}
		if up := recovers(ps, i); up > 0 {
			fault.Kind = greentally.Dip
			rs = append(rs, rise{from: a.at, to: ps[up].at, amount: ps[up].value - a.value, known: true})
			faults = append(faults, fault)
			i = up
			continue
		}
		r := rise{from: a.at, to: b.at}
		switch wrapped, ok := wrap(facts, a, b); {
		case ok:
			fault.Kind = greentally.Wrap
			r.amount, r.known = wrapped, true
		case b.value >= 0 && b.value <= a.value/10:
			fault.Kind = greentally.Reset
			r.amount, r.known, r.reset = b.value, true, true
		default:
			fault.Kind = greentally.Unexplained
		}
		rs = append(rs, r)
		faults = append(faults, fault)
		i++
	}
	return rs, faults
}

// recovers returns the position of the value that ends a dip after position i, or 0
// if there is no dip.
func recovers(ps []point, i int) int {
	for j := i + 2; j <= i+1+maxDip && j < len(ps); j++ {
		if ps[j].value >= ps[i].value {
			return j
		}
	}
	return 0
}

// wrap returns the rise from a to b if the register may have passed its modulus
// between them: if the rise is not more than it can do in the time or, where that is
// not known, not more than a twentieth of the modulus.
func wrap(facts greentally.RegisterFacts, a, b point) (greentally.Amount, bool) {
	modulus, ok := greentally.AmountOf(facts.Modulus)
	if !ok || modulus <= 0 || a.value >= modulus || b.value < 0 {
		return 0, false
	}
	risen := modulus - a.value + b.value
	most := facts.Modulus / 20
	if facts.MaxPerHour > 0 {
		most = 1.2 * facts.MaxPerHour * b.at.Sub(a.at).Hours()
	}
	return risen, risen.Float() <= most
}
