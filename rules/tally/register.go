package tally

import (
	"cmp"
	"math/bits"
	"slices"
	"time"

	"greentally"
)

// rise is what a register counted between two of its values.
type rise struct {
	from, to time.Time
	amount   greentally.Amount
	known    bool // false where nothing explains what it showed; amount is 0 then
	reset    bool // counted from 0, what was before the reset is not known
}

// meter is what is known of a register beside its values.
type meter struct {
	greentally.RegisterFacts
	interval time.Duration // at which the device reports
	most     float64       // that it can rise in an hour, of the device or of its kind; 0 if unknown
	swaps    []swap        // in time order
}

// swap is a declared replacement of the meter.
type swap struct {
	at         time.Time
	end, start greentally.Amount // what the old one showed last, and the new one first
}

// newMeter collects what is known of the quantity.
func newMeter(in Input, q greentally.Quantity) meter {
	quantity := q.Name
	m := meter{RegisterFacts: in.Device.Registers[quantity], interval: time.Duration(in.Device.Interval)}
	m.most = cmp.Or(m.MaxPerHour, q.MaxPerHour)
	for i := range in.Events {
		e := &in.Events[i]
		if e.Type != greentally.MeterReplaced || e.Device != in.Device.ID || e.At == nil {
			continue
		}
		end, hasEnd := e.Values[quantity+"_end"]
		start, hasStart := e.Values[quantity+"_start"]
		from, ok := greentally.AmountOf(end)
		to, also := greentally.AmountOf(start)
		if hasEnd && hasStart && ok && also {
			m.swaps = append(m.swaps, swap{*e.At, from, to})
		}
	}
	slices.SortFunc(m.swaps, func(a, b swap) int { return a.at.Compare(b.at) })
	return m
}

// open returns when the device's site is open on the day, in time order; nil if always.
func open(in Input) []span {
	var all []span
	at := func(since time.Duration) time.Time {
		return time.Date(in.Date.Year, in.Date.Month, in.Date.Day, 0, int(since.Minutes()), 0, 0, in.Location)
	}
	for _, o := range in.Open {
		all = append(all, span{at(o.From), at(o.To)})
	}
	slices.SortFunc(all, func(a, b span) int { return a.from.Compare(b.from) })
	return all
}

// registerDay tallies a register.
func registerDay(day span, hours int, m meter, open []span, ps []point) (greentally.RegisterDay, []greentally.Fault, bool) {
	known := slices.ContainsFunc(ps, func(p point) bool { return day.has(p.at) })
	var all []rise
	var faults []greentally.Fault
	for _, s := range m.swaps {
		n, _ := slices.BinarySearchFunc(ps, s.at, func(p point, at time.Time) int { return p.at.Compare(at) })
		rs, fs := m.rises(append(slices.Clone(ps[:n]), point{s.at, s.end}))
		all, faults = append(all, rs...), append(faults, fs...)
		faults = append(faults, greentally.Fault{Time: s.at, Kind: greentally.Replaced, From: s.end, To: s.start})
		ps = append([]point{{s.at, s.start}}, ps[n:]...)
	}
	rs, fs := m.rises(ps)
	all, faults = append(all, rs...), append(faults, fs...)

	d := greentally.RegisterDay{Evidence: greentally.Measured, ByHour: make([]greentally.Amount, hours)}
	for _, r := range all {
		within := day.within(r.from, r.to)
		if within == 0 {
			continue
		}
		known = true
		if !r.known {
			d.Evidence = worse(d.Evidence, greentally.NeedsReview)
			continue
		}
		if r.to.Sub(r.from) > hold*m.interval {
			d.Evidence = worse(d.Evidence, greentally.Interpolated)
		}
		if r.reset {
			d.Evidence = worse(d.Evidence, greentally.Estimated)
		}
		d.Known += greentally.Duration(within)
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
	if len(open) > 0 {
		outside := d.Rise
		for _, r := range all {
			counted := day.from // up to here; opening hours may overlap
			for _, o := range open {
				if o.from.After(counted) {
					counted = o.from
				}
				if o.to.After(counted) {
					outside -= r.until(o.to) - r.until(counted)
					counted = o.to
				}
			}
		}
		d.Outside = &outside
	}
	var mine []greentally.Fault
	for _, f := range faults {
		if day.has(f.Time) {
			mine = append(mine, f)
		}
	}
	return d, mine, known
}

// worse returns the worse of two qualities of evidence.
func worse(a, b greentally.Evidence) greentally.Evidence {
	order := []greentally.Evidence{greentally.Measured, greentally.Interpolated, greentally.Estimated, greentally.NeedsReview}
	if slices.Index(order, b) > slices.Index(order, a) {
		return b
	}
	return a
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

// rises classifies the steps between the values of one meter, but for the odd ones.
func (m *meter) rises(ps []point) (rs []rise, faults []greentally.Fault) {
	if len(ps) == 0 {
		return nil, nil
	}
	odd := m.odd(ps)
	last := -1 // the latest value that is not odd
	for i, p := range ps {
		if odd[i] != "" {
			if i > 0 && odd[i-1] == "" { // told once for all values in a row
				faults = append(faults, greentally.Fault{Time: p.at, Kind: odd[i], From: ps[i-1].value, To: p.value})
			}
			continue
		}
		if last >= 0 {
			r, kind := m.step(ps[last], p)
			rs = append(rs, r)
			if kind != "" {
				faults = append(faults, greentally.Fault{Time: p.at, Kind: kind, From: ps[last].value, To: p.value})
			}
		}
		last = i
	}
	return rs, faults
}

// step classifies the step between two values that are not odd.
func (m *meter) step(a, b point) (rise, greentally.FaultKind) {
	r := rise{from: a.at, to: b.at}
	switch {
	case b.value >= a.value && m.can(b.value-a.value, a, b):
		r.amount, r.known = b.value-a.value, true
		return r, ""
	case m.wraps(a, b):
		modulus, _ := greentally.AmountOf(m.Modulus)
		r.amount, r.known = modulus-a.value+b.value, true
		return r, greentally.Wrap
	case b.value >= 0 && b.value <= a.value/10 && m.can(b.value, a, b):
		r.amount, r.known, r.reset = b.value, true, true
		return r, greentally.Reset
	}
	return r, greentally.Unexplained
}

// maxOdd is how many values in a row can be odd. With more, none of them is: the
// register then really shows something else.
const maxOdd = 2

// odd finds the values that stick out: dips, below both the value before and the one
// after, and spikes, above what the register can have counted, while it goes on after
// them from where it was before. Whether a value is odd depends on those near it alone,
// [Context] − maxOdd − 1 on either side, so that all days that see a step see it alike.
func (m *meter) odd(ps []point) []greentally.FaultKind {
	dips := m.between(ps, nil, func(p, before, _ point) bool { return p.value < before.value })
	spikes := m.between(ps, dips, func(p, before, after point) bool {
		return p.value > after.value && !m.can(p.value-before.value, before, p)
	})
	odd := make([]greentally.FaultKind, len(ps))
	for from := 0; from < len(ps); {
		to := from
		for to < len(ps) && (dips[to] || spikes[to]) {
			to++
		}
		if to-from <= maxOdd {
			for i := from; i < to; i++ {
				odd[i] = greentally.Dip
				if spikes[i] {
					odd[i] = greentally.Spike
				}
			}
		}
		from = to + 1
	}
	return odd
}

// between marks the values that stick out between two others, at most maxOdd of them in a
// row, from the first of which the register can have come to the second. Those that are
// not anchors cannot be one of the two.
func (m *meter) between(ps []point, notAnchors []bool, sticksOut func(p, before, after point) bool) []bool {
	marked := make([]bool, len(ps))
	for i := range ps {
		if notAnchors != nil && notAnchors[i] {
			continue
		}
		for k := i + 2; k <= i+1+maxOdd && k < len(ps); k++ {
			a, b := ps[i], ps[k]
			if notAnchors != nil && notAnchors[k] || b.value < a.value || !m.can(b.value-a.value, a, b) {
				continue
			}
			all := true
			for j := i + 1; j < k; j++ {
				all = all && sticksOut(ps[j], a, b)
			}
			for j := i + 1; all && j < k; j++ {
				marked[j] = true
			}
		}
	}
	return marked
}

// headroom is by how much more a register may rise than it is said to do at most.
const headroom = 1.2

// can reports whether the register can have counted the amount between two values, as
// far as that is known. A value may be as old as the reporting interval when it is sent.
func (m *meter) can(amount greentally.Amount, a, b point) bool {
	return m.most <= 0 || amount.Float() <= headroom*m.most*(b.at.Sub(a.at)+m.interval).Hours()
}

// wraps reports whether the register may have passed its modulus between two values: if
// it can have risen so much in the time and, where the device itself does not say how much
// that is, by not more than a twentieth of the modulus.
func (m *meter) wraps(a, b point) bool {
	modulus, ok := greentally.AmountOf(m.Modulus)
	if !ok || modulus <= 0 || a.value >= modulus || b.value < 0 || b.value >= a.value {
		return false
	}
	risen := modulus - a.value + b.value
	return m.can(risen, a, b) && (m.MaxPerHour > 0 || risen <= modulus/20)
}
