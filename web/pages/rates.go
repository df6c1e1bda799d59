package pages

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"greentally"
)

// months leads from a month to those beside it.
type months struct{ Month, Before, After greentally.Month }

func around(month greentally.Month) months {
	return months{month, month.First().Add(-1).MonthOf(), month.Next()}
}

// rates are the indicators of a month, and what they come to by the schemes.
type rates struct {
	months
	Indicators  []greentally.IndicatorValue
	Assessments []greentally.Assessment
}

func (p *Pages) indicators(v *view) (any, error) {
	month, err := v.month()
	if err != nil {
		return nil, err
	}
	r := rates{months: around(month)}
	values, err := p.Values(v.Context(), v.Community.ID, month)
	if err != nil {
		return nil, err
	}
	r.Indicators = slices.Clone(values)
	order := map[greentally.Verdict]int{greentally.Fail: 0, greentally.Pass: 1, greentally.NoTarget: 2, greentally.InsufficientData: 3}
	slices.SortStableFunc(r.Indicators, func(a, b greentally.IndicatorValue) int { return order[a.Verdict] - order[b.Verdict] })
	r.Assessments, err = p.Assessments(v.Context(), v.Community.ID, month)
	return r, err
}

// working is how an indicator came about.
type working struct {
	months
	Value greentally.IndicatorValue
	greentally.Working
	Inputs []input
	Trend  []chart // one, over the months before, if there is anything to compare
}

// input is one of an indicator: what each device gives to it, or of one device what each of its
// days does; and records and alerts.
type input struct {
	greentally.InputWorking
	Devices []share
	Device  string // whose days are shown
	Rows    []greentally.WorkingRow
	More    int // rows that are left out
}

// share is what a device gives to an input.
type share struct {
	Device string
	Stream greentally.Stream
	Days   int
	Amount greentally.Amount
}

// rowsShown is how many rows of an input stand on a page.
const rowsShown = 400

// indicator goes from a rate to what each device, day and record contributes.
func (p *Pages) indicator(v *view) (any, error) {
	month, err := v.month()
	if err != nil {
		return nil, err
	}
	all, err := p.Workings(v.Context(), v.Community.ID, month)
	if err != nil {
		return nil, err
	}
	name := v.PathValue("indicator")
	i := slices.IndexFunc(all, func(one Computed) bool { return one.Indicator == name })
	if i < 0 {
		return nil, greentally.Missingf("没有指标 %q", "there is no indicator %q", name)
	}
	w := working{months: around(month), Value: all[i].IndicatorValue, Working: all[i].Working}
	for _, in := range all[i].Working.Inputs {
		w.Inputs = append(w.Inputs, drill(in, v.URL.Query().Get("device")))
	}
	w.Trend, err = p.trend(v, w.Value)
	return w, err
}

// drill sorts what an input comes from: device-days by device, or those of one device; and all else.
func drill(in greentally.InputWorking, device string) input {
	one := input{InputWorking: in}
	shares := map[string]*share{}
	for _, row := range in.Rows {
		ofDay := row.Device != "" && row.ID == "" && row.Time.IsZero()
		switch {
		case ofDay && device == "":
			s := shares[row.Device]
			if s == nil {
				s = &share{Device: row.Device, Stream: row.Stream}
				shares[row.Device] = s
			}
			s.Days++
			s.Amount += row.Amount
		case ofDay && device != row.Device: // another's
		default:
			if ofDay {
				one.Device = device
			}
			one.Rows = append(one.Rows, row)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(shares)) {
		one.Devices = append(one.Devices, *shares[id])
	}
	slices.SortStableFunc(one.Devices, func(a, b share) int { return cmp.Compare(b.Amount, a.Amount) })
	if one.More = max(0, len(one.Rows)-rowsShown); one.More > 0 {
		one.Rows = one.Rows[:rowsShown]
	}
	return one
}

// FactsOf writes what the value of a row was computed from.
func (f frame) FactsOf(row greentally.WorkingRow) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(row.Facts)) {
		switch fact := row.Facts[name].(type) {
		case float64:
			all = append(all, name+" = "+f.Number(&fact))
		default:
			all = append(all, fmt.Sprintf("%s = %v", name, fact))
		}
	}
	return strings.Join(all, "; ")
}

// monthsCompared is how many months a trend has.
const monthsCompared = 12

// trend draws an indicator over the months up to this one.
func (p *Pages) trend(v *view, now greentally.IndicatorValue) ([]chart, error) {
	unit := now.Unit
	as := func(value *float64) *float64 {
		if value == nil {
			return nil
		}
		return scaled(greentally.Quantity{Unit: map[bool]string{true: "/", false: unit}[unit == "ratio"]}, *value)
	}
	c := chart{Title: v.word("trend"), Bars: true, Unit: unit}
	if unit == "ratio" {
		c.Unit = "%"
	}
	if t := now.Target; t != nil {
		c.Limit, c.Name = as(cmp.Or(t.AtLeast, t.AtMost)), v.word("target")
	}
	values := []*float64{as(now.Value)}
	labels := []string{now.Month.String()}
	known := 0
	for month := now.Month; len(values) < monthsCompared; {
		month = month.First().Add(-1).MonthOf()
		all, err := p.Stored(v.Context(), v.Community.ID, month)
		if err != nil {
			return nil, err
		}
		var value *float64
		if i := slices.IndexFunc(all, func(one greentally.IndicatorValue) bool { return one.Indicator == now.Indicator }); i >= 0 && all[i].Value != nil {
			value = as(all[i].Value)
			known++
		}
		values, labels = append(values, value), append(labels, month.String())
	}
	if known == 0 {
		return nil, nil
	}
	slices.Reverse(values)
	slices.Reverse(labels)
	c.Labels, c.Series = labels, []series{{Name: now.Title.In(v.Language), Values: values}}
	return []chart{c}, nil
}

// assessment is a month by a scheme.
type assessment struct {
	months
	greentally.Assessment
	Month  greentally.Month
	Titles map[string]greentally.Text // of indicators
}

func (p *Pages) assessment(v *view) (any, error) {
	month, err := v.month()
	if err != nil {
		return nil, err
	}
	all, err := p.Assessments(v.Context(), v.Community.ID, month)
	if err != nil {
		return nil, err
	}
	name := v.PathValue("scheme")
	i := slices.IndexFunc(all, func(a greentally.Assessment) bool { return a.Scheme == name })
	if i < 0 {
		return nil, greentally.Missingf("没有按 %q 的评价", "there is no assessment by %q", name)
	}
	a := assessment{months: around(month), Assessment: all[i], Month: month, Titles: map[string]greentally.Text{}}
	values, err := p.Values(v.Context(), v.Community.ID, month)
	for _, value := range values {
		a.Titles[value.Indicator] = value.Title
	}
	return a, err
}
