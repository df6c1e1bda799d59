package pages

import (
	"fmt"
	"strconv"
	"time"

	"greentally"
)

// With is the same page with other data, for parts of it.
func (f frame) With(data any) frame { return frame{f.view, data} }

// Value writes an indicator's value, ratios in percent.
func (f frame) Value(v greentally.IndicatorValue) string {
	switch {
	case v.Value == nil:
		return "–"
	case v.Unit == "ratio":
		return fmt.Sprintf("%.2f %%", 100**v.Value)
	}
	return f.Number(v.Value) + " " + v.Unit
}

// Target writes what an indicator is held against.
func (f frame) Target(v greentally.IndicatorValue) string {
	if v.Target == nil {
		return ""
	}
	return v.Target.In(v.Unit)
}

// Number writes a number that may be missing, with three places at most.
func (f frame) Number(v *float64) string {
	if v == nil {
		return "–"
	}
	amount, ok := greentally.AmountOf(*v)
	if !ok {
		return strconv.FormatFloat(*v, 'g', 6, 64)
	}
	const thousandth = greentally.Unit / 1000
	return ((amount + thousandth/2) / thousandth * thousandth).String()
}

// UTC is an instant for programs, Clock by the community's clocks.
func (f frame) UTC(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Clock writes an instant by the community's clocks.
func (f frame) Clock(t time.Time) string {
	t = t.In(f.Location)
	if greentally.DateOf(t, f.Location) == greentally.DateOf(f.Now, f.Location) {
		return t.Format("15:04")
	}
	return t.Format("2006-01-02 15:04")
}

// RowDate is when a contribution was.
func (f frame) RowDate(row greentally.WorkingRow) string {
	if !row.Time.IsZero() {
		return f.Clock(row.Time)
	}
	return row.Date.String()
}

// ValueOf writes a reading's value of a quantity.
func (f frame) ValueOf(r greentally.Reading, q greentally.Quantity) string {
	v, has := r.Value(q.Name)
	if !has {
		return ""
	}
	return valueText(q, v)
}
