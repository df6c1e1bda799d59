package alerts

import (
	"math"
	"slices"
	"time"

	"greentally"
)

// value is the latest value of a quantity, and the one before.
type value struct {
	At     time.Time `json:"at"`
	Number float64   `json:"n,omitempty"`
	Word   string    `json:"w,omitempty"`

	Before     float64   `json:"b,omitempty"`
	HasBefore  bool      `json:"hb,omitempty"`
	BeforeTime time.Time `json:"bt,omitzero"`

	bit uint64 // of the quantity; 0 where it is not known yet
}

// course is how a quantity went over the last day: one point for each stretch of time.
type course struct {
	Times  []int64   `json:"t"` // seconds since 1970
	Values []float64 `json:"v"`
}

const (
	courseStep   = 10 * 60 // seconds between its points, at the least
	courseLength = 26 * 3600
	rateOver     = 6 * 3600
	dayLong      = 24 * 3600
)

func (c *course) add(at time.Time, v float64) {
	t := at.Unix()
	if n := len(c.Times); n > 0 && t-c.Times[n-1] < courseStep {
		return
	}
	c.Times, c.Values = append(c.Times, t), append(c.Values, v)
	old := 0
	for t-c.Times[old] > courseLength {
		old++
	}
	c.Times, c.Values = slices.Delete(c.Times, 0, old), slices.Delete(c.Values, 0, old)
}

// rate is by how much the quantity rises in an hour: over the last hours, since it last
// fell by more than a tenth of its greatest value in that time; what is odd is left out. It
// is 0 with less than an hour of points.
func (c *course) rate() float64 {
	n := len(c.Times)
	if n < 2 {
		return 0
	}
	first, most := n-1, 0.0
	for i := n - 1; i >= 0 && c.Times[n-1]-c.Times[i] <= rateOver; i-- {
		if !c.odd(i) {
			most = max(most, c.Values[i])
		}
	}
	for i := n - 2; i >= 0 && c.Times[n-1]-c.Times[i] <= rateOver; i-- {
		if c.odd(i) {
			continue
		}
		if c.Values[i]-c.Values[first] > most/10 {
			break
		}
		first = i
	}
	hours := float64(c.Times[n-1]-c.Times[first]) / 3600
	if hours < 1 {
		return 0
	}
	return (c.Values[n-1] - c.Values[first]) / hours
}

// lastDay is by how much the quantity rose over the last 24 hours, falls and what is odd
// left out; NaN while less than 23 hours of it are known.
func (c *course) lastDay() float64 {
	n := len(c.Times)
	if n < 2 {
		return math.NaN()
	}
	since := c.Times[n-1] - dayLong
	rise := 0.0
	first, last := -1, -1
	for i := range c.Times {
		if c.Times[i] < since || c.odd(i) {
			continue
		}
		if first < 0 {
			first, last = i, i
			continue
		}
		rise += max(0, c.Values[i]-c.Values[last])
		last = i
	}
	if c.Times[n-1]-c.Times[first] < dayLong-3600 {
		return math.NaN()
	}
	return rise
}

// coming is by how much the quantity rose a day ago, in so many hours from then on, without
// the falls by which it was emptied: what to expect of the hours to come. It is NaN while less
// than 23 hours are known.
func (c *course) coming(hours float64) float64 {
	n := len(c.Times)
	if n < 2 || c.Times[n-1]-c.Times[0] < dayLong-3600 {
		return math.NaN()
	}
	from := c.Times[n-1] - dayLong
	to := from + int64(min(hours, 24)*3600)
	rise, last := 0.0, -1
	for i := range c.Times {
		if c.Times[i] < from || c.odd(i) {
			continue
		}
		if last >= 0 {
			if step := c.Values[i] - c.Values[last]; step > -fallOf {
				rise += step
			}
		}
		if last = i; c.Times[i] >= to {
			break
		}
	}
	return rise
}

// fallOf is the least fall of a level that is an emptying and no noise.
const fallOf = 0.1

// odd reports whether the quantity went away and came back at once: a meter that is read
// wrongly, such as a 0 in between.
func (c *course) odd(i int) bool {
	if i == 0 || i == len(c.Values)-1 {
		return false
	}
	before, v, after := c.Values[i-1], c.Values[i], c.Values[i+1]
	return after >= before && (v < before || v > after)
}

// emptiedBy reports whether a fall of the quantity means that the device was emptied: by
// more than half of what was there, and by more than a little.
func emptiedBy(nature greentally.Nature, device *greentally.Device, from, to float64) bool {
	little := 0.15 // of a filling level
	switch nature {
	case greentally.Mass:
		little = max(1, 10*device.ScaleResolutionKg)
		if device.ScaleResolutionKg > 0 && device.ScaleResolutionKg < 0.05 { // such as a box for batteries
			little = 20 * device.ScaleResolutionKg
		}
	case greentally.Gauge:
	default:
		return false
	}
	return from-to > little && to < from/2
}
