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

	Value string // expression over a row's facts; its sum over the rows is the input's value
	Rows  []WorkingRow

	Result *float64 // nil where missing
}

// WorkingRow is what one device-day, record or alert contributes to an input:
// (Value − Less, at least 0) × Times, rounded to an [Amount].
type WorkingRow struct {
	Device string
	Date   Date      // of the device-day or record
	ID     string    // of the record
	Time   time.Time // at which the alert fired

	// Facts are the numbers, words and truths that Value uses, by name, such as mass_kg.collected.
	Facts map[string]any
	Less  float64 // what records take off
	Times float64 // what records say that it is multiplied by; 1 if nothing

	Amount Amount
}
