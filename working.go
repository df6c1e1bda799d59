package greentally

import "time"

// Working is how an indicator's value came about, down to the device-days and records, so
// that anyone can do the sum again. Expressions are those of the indicator's file.
type Working struct {
	Indicator   string
	Numerator   string             // expression over the inputs, by name, and the community's facts
	Denominator string             // the same
	Facts       map[string]float64 // of the community, such as community.households
	Inputs      []InputWorking     // by name
}

// InputWorking is how an input's value came about.
type InputWorking struct {
	Name string

	// What it sums; one of the first three. Or what it is taken from.
	Kind, Record, Alert string
	Factor              string
	Indicator, Part     string

	Value string // expression over a row's facts
	Rows  []WorkingRow
	Times *TimesWorking // nil if nothing is multiplied

	Result *float64 // the sum; nil where missing
}

// WorkingRow is what one device-day, record or alert contributes to an input: what Value comes
// to, less at most all of it, times what records say of the stream, rounded to an [Amount].
type WorkingRow struct {
	Device string
	Date   Date      // of the device-day or record
	ID     string    // of the record
	Time   time.Time // at which the alert fired
	Stream Stream    // of the device

	Facts map[string]any // float64, string or bool; what Value uses, as it is written there
	Less  float64

	Amount Amount
}

// TimesWorking is what a stream's contributions are multiplied by: the mean of a value of
// records, weighted by another.
type TimesWorking struct {
	Record, Value, Weight string              // the type of record, and the names of its values
	Records               map[Stream][]string // IDs
}
