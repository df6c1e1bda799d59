package tally

import (
	"cmp"
	"slices"
	"time"

	"greentally"
)

// Context is how many readings of each quantity before and after a day [Day] needs
// beside those of the day, so that it sees a fall at midnight as both days do: a value
// can be odd by those up to six away from it, and the nearest that is not may be the
// third.
const Context = 9

// hold is for how many reporting intervals a value of a gauge or state holds when
// nothing newer comes.
const hold = 3

// point is one number of one quantity.
type point struct {
	at    time.Time
	value greentally.Amount
}

// clean sorts readings by time and makes one of those with the same time. Readings
// with one time that contradict each other are a fault; the smallest value is taken,
// so that the order in which they came does not matter.
func clean(readings []greentally.Reading) (sorted []greentally.Reading, conflicts []greentally.Fault) {
	all := slices.Clone(readings)
	slices.SortStableFunc(all, func(a, b greentally.Reading) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Quality, b.Quality))
	})
	for _, r := range all {
		if n := len(sorted); n > 0 && sorted[n-1].Time.Equal(r.Time) {
			merged, found := merge(sorted[n-1], r)
			sorted[n-1] = merged
			conflicts = append(conflicts, found...)
			continue
		}
		sorted = append(sorted, r)
	}
	// Several readings may contradict each other in several ways; say it once.
	slices.SortFunc(conflicts, compareFaults)
	return sorted, slices.CompactFunc(conflicts, func(a, b greentally.Fault) bool {
		return a.Time.Equal(b.Time) && a.Quantity == b.Quantity
	})
}

func merge(a, b greentally.Reading) (greentally.Reading, []greentally.Fault) {
	var conflicts []greentally.Fault
	merged := a
	merged.Quality = min(a.Quality, b.Quality)
	merged.Values = slices.Clone(a.Values)
	for _, v := range b.Values {
		i, has := slices.BinarySearchFunc(merged.Values, v, func(x, y greentally.Value) int { return cmp.Compare(x.Quantity, y.Quantity) })
		switch {
		case !has:
			merged.Values = slices.Insert(merged.Values, i, v)
		case merged.Values[i] != v:
			low, high := merged.Values[i], v
			if high.Number < low.Number || high.Number == low.Number && high.State < low.State {
				low, high = high, low
			}
			merged.Values[i] = low
			from, _ := greentally.AmountOf(low.Number)
			to, _ := greentally.AmountOf(high.Number)
			conflicts = append(conflicts, greentally.Fault{Time: a.Time, Quantity: v.Quantity, Kind: greentally.Conflict, From: from, To: to})
		}
	}
	return merged, conflicts
}

func compareFaults(a, b greentally.Fault) int {
	return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Quantity, b.Quantity), cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
}

// points returns the accepted numbers of a quantity, in time order.
func points(readings []greentally.Reading, quantity string) []point {
	var ps []point
	for i := range readings {
		r := &readings[i]
		if r.Quality < greentally.Accepted {
			continue
		}
		if v, ok := r.Value(quantity); ok {
			if a, ok := greentally.AmountOf(v.Number); ok {
				ps = append(ps, point{r.Time, a})
			}
		}
	}
	return ps
}

// span is a stretch of time, from inclusive, to exclusive.
type span struct{ from, to time.Time }

// within returns how much of the stretch from … to lies in the span.
func (s span) within(from, to time.Time) time.Duration {
	if from.Before(s.from) {
		from = s.from
	}
	if to.After(s.to) {
		to = s.to
	}
	return max(0, to.Sub(from))
}

func (s span) has(t time.Time) bool { return !t.Before(s.from) && t.Before(s.to) }
