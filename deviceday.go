package greentally

import (
	"maps"
	"time"
)

// DeviceDay is the tally of one device over one local day. It is a pure function
// of the device's facts and readings: the same readings give the same bytes of
// JSON. All numbers are [Amount] values in the quantity's unit, times UTC.
//
// Its CBOR form is that of [DeviceDay.Totals], for stores, which read many at once: the
// fields have numbers instead of names, each number for good.
type DeviceDay struct {
	DeviceKey
	Kind   string `json:"kind" cbor:"1,keyasint,omitempty"`
	Site   string `json:"site" cbor:"2,keyasint,omitempty"`
	Stream Stream `json:"stream,omitempty" cbor:"3,keyasint,omitempty"`

	Date  Date      `json:"date" cbor:"4,keyasint,omitempty"`
	Start time.Time `json:"start" cbor:"5,keyasint,omitempty"` // first instant of the day
	Hours int       `json:"hours" cbor:"6,keyasint,omitempty"` // length of the day, 23 to 25

	Readings   int      `json:"readings" cbor:"7,keyasint,omitempty"`          // how many were seen
	Expected   int      `json:"expected" cbor:"8,keyasint,omitempty"`          // how many the reporting interval promises
	Suspect    int      `json:"suspect" cbor:"9,keyasint,omitempty"`           // how many of those seen were left out
	Covered    Duration `json:"covered" cbor:"10,keyasint,omitempty"`          // time within a reporting interval of a reading that is not suspect
	LongestGap Duration `json:"longest_gap" cbor:"11,keyasint,omitempty"`      // longest time without a reading
	Faults     []Fault  `json:"faults,omitempty" cbor:"12,keyasint,omitempty"` // what was odd, in time order

	Gauges    map[string]GaugeDay    `json:"gauges,omitempty" cbor:"13,keyasint,omitempty"`
	Masses    map[string]MassDay     `json:"masses,omitempty" cbor:"14,keyasint,omitempty"`
	Registers map[string]RegisterDay `json:"registers,omitempty" cbor:"15,keyasint,omitempty"`
	States    map[string]StateDay    `json:"states,omitempty" cbor:"16,keyasint,omitempty"`
}

// Completeness is the share of the day that is covered by readings, 0 to 1.
func (d *DeviceDay) Completeness() float64 {
	return min(1, float64(d.Covered)/float64(time.Duration(d.Hours)*time.Hour))
}

// Totals returns the day without its hours.
func (d DeviceDay) Totals() DeviceDay {
	d.Masses, d.Registers = maps.Clone(d.Masses), maps.Clone(d.Registers)
	for q, m := range d.Masses {
		m.ByHour = nil
		d.Masses[q] = m
	}
	for q, r := range d.Registers {
		r.ByHour = nil
		d.Registers[q] = r
	}
	return d
}

// FaultKind names what was odd about a series.
type FaultKind string

// The faults.
const (
	Conflict    FaultKind = "conflict"    // two readings with one time and different values
	Spike       FaultKind = "spike"       // a value that rose and fell back at once; it is left out
	Dip         FaultKind = "dip"         // a register or a mass that fell and came back at once; it is left out
	Wrap        FaultKind = "wrap"        // a register that passed its modulus
	Reset       FaultKind = "reset"       // a register that began again near 0
	Replaced    FaultKind = "replaced"    // a register whose meter was replaced, as declared
	Unexplained FaultKind = "unexplained" // a register that fell, or rose by more than it can, and nothing explains it
)

// Evidence is the quality of a day's evidence for one quantity.
type Evidence string

// The qualities of evidence, from the best to the worst.
const (
	Measured     Evidence = "measured"     // values follow each other closely
	Interpolated Evidence = "interpolated" // a gap of more than a few intervals was bridged
	Estimated    Evidence = "estimated"    // a part rests on an assumption: what a register counted before a reset, or mass from a filling level
	NeedsReview  Evidence = "needs_review" // a part has no value, because nothing explains what the register showed
)

// Fault is one oddity, kept with the day so that an assessor can see it.
type Fault struct {
	Time     time.Time `json:"time" cbor:"1,keyasint,omitempty"` // of the first reading that shows it
	Quantity string    `json:"quantity" cbor:"2,keyasint,omitempty"`
	Kind     FaultKind `json:"fault" cbor:"3,keyasint,omitempty"`
	From     Amount    `json:"from" cbor:"4,keyasint,omitempty"` // value before
	To       Amount    `json:"to" cbor:"5,keyasint,omitempty"`   // value at Time
}

// GaugeDay is the day of a gauge.
type GaugeDay struct {
	Min   Amount   `json:"min" cbor:"1,keyasint,omitempty"`
	Max   Amount   `json:"max" cbor:"2,keyasint,omitempty"`
	Mean  Amount   `json:"mean" cbor:"3,keyasint,omitempty"`            // time-weighted over Known
	Known Duration `json:"known" cbor:"4,keyasint,omitempty"`           // time for which a value is known
	Limit *Amount  `json:"limit,omitempty" cbor:"5,keyasint,omitempty"` // the limit in force, if any
	Above Duration `json:"above" cbor:"6,keyasint,omitempty"`           // of Known, time at or above Limit
	Last  Amount   `json:"last" cbor:"7,keyasint,omitempty"`
}

// MassDay is the day of a mass. It obeys deposited − collected = last − first.
type MassDay struct {
	Evidence    Evidence    `json:"evidence" cbor:"1,keyasint,omitempty"`
	First       Amount      `json:"first" cbor:"2,keyasint,omitempty"` // what lay there when the day began
	Last        Amount      `json:"last" cbor:"3,keyasint,omitempty"`  // and when it ended
	Deposited   Amount      `json:"deposited" cbor:"4,keyasint,omitempty"`
	Collected   Amount      `json:"collected" cbor:"5,keyasint,omitempty"`
	Max         Amount      `json:"max" cbor:"6,keyasint,omitempty"`
	Collections []Emptying  `json:"collections,omitempty" cbor:"7,keyasint,omitempty"`
	ByHour      []MassHours `json:"by_hour" cbor:"-"` // one for each hour of the day; they sum to the day
}

// MassHours is one hour of a mass.
type MassHours struct {
	Deposited Amount `json:"deposited"`
	Collected Amount `json:"collected"`
}

// Emptying is one removal of mass.
type Emptying struct {
	Time time.Time `json:"time" cbor:"1,keyasint,omitempty"` // of the first reading after it
	Mass Amount    `json:"mass" cbor:"2,keyasint,omitempty"`
	Left Amount    `json:"left" cbor:"3,keyasint,omitempty"` // what still lay there

	// Partial says that more than a quarter was left, so that the bin was not emptied.
	Partial bool `json:"partial,omitempty" cbor:"4,keyasint,omitempty"`
	// OffSchedule says that it lies away from the collections that the community
	// plans for the stream; it is false where none are planned.
	OffSchedule bool `json:"off_schedule,omitempty" cbor:"5,keyasint,omitempty"`
}

// RegisterDay is the day of a register. The days of a month sum to the rise of
// the register over the month, exactly.
type RegisterDay struct {
	Evidence Evidence `json:"evidence" cbor:"1,keyasint,omitempty"`

	Rise   Amount   `json:"rise" cbor:"2,keyasint,omitempty"`
	ByHour []Amount `json:"by_hour" cbor:"-"` // one for each hour of the day; they sum to Rise

	// Outside is the part of Rise outside the hours in which the device's site is open;
	// null where it always is.
	Outside *Amount `json:"outside,omitempty" cbor:"3,keyasint,omitempty"`

	// Estimated is the part of Rise that rests on a reset: what the register
	// counted between the last reading and the reset is not known.
	Estimated Amount `json:"estimated" cbor:"4,keyasint,omitempty"`
	// Known is the time for which the rise is known; gaps that an interpolation
	// bridges count, intervals with an unexplained fall do not.
	Known Duration `json:"known" cbor:"5,keyasint,omitempty"`
}

// StateDay is the day of a state.
type StateDay struct {
	Time  map[string]Duration `json:"time" cbor:"1,keyasint,omitempty"` // time in each state
	Known Duration            `json:"known" cbor:"2,keyasint,omitempty"`
	Last  string              `json:"last" cbor:"3,keyasint,omitempty"`
}
