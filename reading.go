package greentally

import (
	"slices"
	"strings"
	"time"
)

// Quality grades a reading. The codes are those of OMA LwM2M resource 6042.
type Quality int

// The qualities in use.
const (
	Suspicious Quality = 3 // stored and counted, but left out of tallies
	Accepted   Quality = 4
)

// Value is the value of one quantity: Number for gauges, masses and registers,
// State for states.
type Value struct {
	Quantity string  `json:"quantity"`
	Number   float64 `json:"number"`
	State    string  `json:"state,omitempty"`
}

// Reading is what one device said at one instant. Device and time are its
// identity: a second reading with the same identity replaces the first, quantity
// by quantity.
type Reading struct {
	DeviceKey
	Kind   string    `json:"kind"`
	Site   string    `json:"site"`
	Stream Stream    `json:"stream,omitempty"`
	Time   time.Time `json:"time"` // UTC

	Quality Quality `json:"quality"`
	Values  []Value `json:"values"` // sorted by quantity, each quantity once
}

// Value returns the value of the quantity.
func (r *Reading) Value(quantity string) (Value, bool) {
	i, ok := slices.BinarySearchFunc(r.Values, quantity, func(v Value, q string) int { return strings.Compare(v.Quantity, q) })
	if !ok {
		return Value{}, false
	}
	return r.Values[i], true
}

// Connection is the state that every kind has: whether the device is connected to the
// broker, told by its status topic and its last will.
const Connection = "connection"

// Measures reports whether the reading has a value beside the state [Connection],
// which is no measurement: the broker tells it of devices that are gone, too.
func (r *Reading) Measures() bool {
	return len(r.Values) > 1 || len(r.Values) == 1 && r.Values[0].Quantity != Connection
}

// SortValues puts values into the order that [Reading] wants.
func SortValues(values []Value) {
	slices.SortFunc(values, func(a, b Value) int { return strings.Compare(a.Quantity, b.Quantity) })
}
