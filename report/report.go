package report

import (
	"encoding/json"
	"io"
	"slices"
	"time"

	"greentally"
)

// Export is a community's month, with all that it rests on.
type Export struct {
	Community greentally.Community `json:"community"`
	Month     greentally.Month     `json:"month"`
	Through   greentally.Date      `json:"through"` // the last day of the month that counts
	AsOf      greentally.Date      `json:"as_of"`   // the last day that was over when it was made
	Made      time.Time            `json:"made"`
	Version   string               `json:"version"` // of the program

	Indicators  []greentally.IndicatorValue `json:"indicators"`  // by name
	Assessments []greentally.Assessment     `json:"assessments"` // by scheme
	Records     []greentally.Record         `json:"records"`     // of the community, all that may count
	Alerts      []greentally.Alert          `json:"alerts"`      // that fired in the month
	Days        []greentally.DeviceDay      `json:"-"`           // of the month, by device and date; a file of its own in the bundle

	// Earlier are the indicators of the months before, for trends; the latest eleven.
	Earlier []greentally.IndicatorValue `json:"earlier"`

	// Application is what the month is handed in for, if it is; Revisions are what came since.
	Application *greentally.Application `json:"application,omitempty"`
	Revisions   []greentally.Revision   `json:"revisions,omitempty"`

	Kinds    []greentally.Kind       `json:"-"` // of the community's devices
	Types    []greentally.RecordType `json:"-"` // of records
	Workings []greentally.Working    `json:"-"` // by indicator; what the workbook's formulas are made of
}

// HasEvidence reports whether there is any device, record or alert that the indicator rests on.
func HasEvidence(v greentally.IndicatorValue) bool {
	return slices.ContainsFunc(v.Inputs, func(in greentally.InputValue) bool { return len(in.Devices)+len(in.Records)+len(in.Alerts) > 0 })
}

// Gaps returns the indicators for which there is no evidence at all.
func (e *Export) Gaps() []greentally.IndicatorValue {
	return slices.DeleteFunc(slices.Clone(e.Indicators), HasEvidence)
}

// Counted returns the records that count for the month: those that speak of a day of it, and
// those that an indicator or an item rests on.
func (e *Export) Counted() []greentally.Record {
	rests := map[string]bool{}
	for _, v := range e.Indicators {
		for _, in := range v.Inputs {
			for _, id := range in.Records {
				rests[id] = true
			}
		}
	}
	for _, a := range e.Assessments {
		for _, item := range a.Items {
			for _, id := range item.Records {
				rests[id] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(e.Records), func(r greentally.Record) bool {
		return !rests[r.ID] && (r.Last().Before(e.Month.First()) || e.Month.Last().Before(r.Date))
	})
}

// InEffect returns the assessments by schemes that are in effect in the month.
func (e *Export) InEffect() []greentally.Assessment {
	return slices.DeleteFunc(slices.Clone(e.Assessments), func(a greentally.Assessment) bool { return !a.Effective.Has(e.Month) })
}

// JSON writes the export as one JSON object, indented.
func (e *Export) JSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(e)
}
