package pages

import (
	"cmp"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"time"

	"greentally"
	"greentally/web"
)

// card is a community in the list.
type card struct {
	*greentally.Community
	Critical, Warning int // alerts that hold
	Full              int // bins at or above their limit
}

// communities lists the communities, those with alerts first.
func (p *Pages) communities(v *view) (any, error) {
	var cards []card
	for _, c := range byName(p.Communities(), v.Language) {
		if !p.May(v.Context(), web.Read, c.ID) {
			continue
		}
		one := card{Community: c}
		for _, a := range p.open(c.ID) {
			switch a.Severity {
			case greentally.Critical:
				one.Critical++
			case greentally.Warning:
				one.Warning++
			case greentally.Info:
			}
		}
		for _, d := range c.Devices {
			if s := p.state(d); s.Over {
				one.Full++
			}
		}
		cards = append(cards, one)
	}
	slices.SortStableFunc(cards, func(a, b card) int { return cmp.Or(b.Critical-a.Critical, b.Warning-a.Warning) })
	return cards, nil
}

// open returns a community's alerts that hold, the most serious first, and of those the latest.
func (p *Pages) open(community string) []greentally.Alert {
	all := slices.DeleteFunc(slices.Clone(p.Alerts()), func(a greentally.Alert) bool { return a.Community != community || a.Ended != nil })
	rank := map[greentally.Severity]int{greentally.Critical: 0, greentally.Warning: 1, greentally.Info: 2}
	slices.SortStableFunc(all, func(a, b greentally.Alert) int {
		return cmp.Or(rank[a.Severity]-rank[b.Severity], b.Since.Compare(a.Since))
	})
	return all
}

// state is how a device stands.
type state struct {
	*greentally.Device
	Known   bool
	Time    time.Time
	Silent  bool // for more than three of its intervals
	Values  []shown
	Fill    float64 // 0–1
	HasFill bool
	Over    bool // at or above the limit of filling
}

// shown is a quantity of a reading.
type shown struct {
	greentally.Quantity
	Text string
}

// fillRatio is the quantity that says how full a bin or box is.
const fillRatio = "fill_ratio"

func (p *Pages) state(d *greentally.Device) state {
	s := state{Device: d}
	reading, known := p.Latest(d.Key())
	if !known {
		return s
	}
	s.Known, s.Time = true, reading.Time
	s.Silent = p.Now().Sub(reading.Time) > 3*time.Duration(d.Interval)
	kind, ok := p.Kind(d.Kind)
	if !ok {
		return s
	}
	for _, q := range kind.Quantities {
		value, has := reading.Value(q.Name)
		if !has {
			continue
		}
		s.Values = append(s.Values, shown{q, valueText(q, value)})
		if q.Name == fillRatio {
			limit := 0.9
			if own := d.Limit(q); own != nil {
				limit = *own
			}
			s.Fill, s.HasFill, s.Over = value.Number, true, value.Number >= limit
		}
	}
	return s
}

// valueText writes a value with its unit.
func valueText(q greentally.Quantity, v greentally.Value) string {
	if v.State != "" {
		return v.State
	}
	if q.Unit == "/" || q.Unit == "1" {
		return strconv.FormatFloat(math.Round(1000*v.Number)/10, 'f', -1, 64) + " %"
	}
	unit := map[string]string{"Cel": "℃", "m3": "m³", "": ""}
	name, known := unit[q.Unit]
	if !known {
		name = q.Unit
	}
	return fmt.Sprintf("%s %s", strconv.FormatFloat(math.Round(100*v.Number)/100, 'f', -1, 64), name)
}

// overview is a community's page.
type overview struct {
	Month      greentally.Month
	Indicators []greentally.IndicatorValue // with a target and evidence
	Alerts     []greentally.Alert
	Sites      []site
}

type site struct {
	greentally.Site
	Devices []state
}

func (p *Pages) community(v *view) (any, error) {
	month, err := v.month()
	if err != nil {
		return nil, err
	}
	values, err := p.Indicators(v.Context(), v.Community.ID, month)
	if err != nil {
		return nil, err
	}
	o := overview{Month: month, Alerts: p.open(v.Community.ID)}
	for _, value := range values {
		if value.Target != nil && slices.ContainsFunc(value.Inputs, func(in greentally.InputValue) bool { return len(in.Devices)+len(in.Records) > 0 }) {
			o.Indicators = append(o.Indicators, value)
		}
	}
	for _, s := range v.Community.Sites {
		one := site{Site: s}
		for _, d := range v.Community.Devices {
			if d.Site == s.ID {
				one.Devices = append(one.Devices, p.state(d))
			}
		}
		if len(one.Devices) > 0 {
			o.Sites = append(o.Sites, one)
		}
	}
	return o, nil
}

func (p *Pages) alerts(v *view) (any, error) { return p.open(v.Community.ID), nil }

// rates are the indicators of a month.
type rates struct {
	Month         greentally.Month
	Before, After greentally.Month
	Indicators    []greentally.IndicatorValue
	Assessments   []greentally.Assessment
}

func (p *Pages) indicators(v *view) (any, error) {
	month, err := v.month()
	if err != nil {
		return nil, err
	}
	r := rates{Month: month, Before: month.First().Add(-1).MonthOf(), After: month.Next()}
	if r.Indicators, err = p.Indicators(v.Context(), v.Community.ID, month); err != nil {
		return nil, err
	}
	order := map[greentally.Verdict]int{greentally.Fail: 0, greentally.Pass: 1, greentally.NoTarget: 2, greentally.InsufficientData: 3}
	slices.SortStableFunc(r.Indicators, func(a, b greentally.IndicatorValue) int { return order[a.Verdict] - order[b.Verdict] })
	r.Assessments, err = p.Assessments(v.Context(), v.Community.ID, month)
	return r, err
}

// working is how an indicator came about.
type working struct {
	Month greentally.Month
	Value greentally.IndicatorValue
	greentally.Working
}

// indicator goes from a rate to what each device-day and record contributes.
func (p *Pages) indicator(v *view) (any, error) {
	month, err := v.month()
	if err != nil {
		return nil, err
	}
	values, workings, err := p.Workings(v.Context(), v.Community.ID, month)
	if err != nil {
		return nil, err
	}
	name := v.PathValue("indicator")
	i := slices.IndexFunc(values, func(one greentally.IndicatorValue) bool { return one.Indicator == name })
	j := slices.IndexFunc(workings, func(one greentally.Working) bool { return one.Indicator == name })
	if i < 0 || j < 0 {
		return nil, fmt.Errorf("indicator %q: %w", name, fs.ErrNotExist)
	}
	return working{month, values[i], workings[j]}, nil
}

// history is a device with its days and, of one of them, its readings.
type history struct {
	state
	From, To greentally.Date
	Day      *greentally.Date
	Days     []greentally.DeviceDay
	Readings []greentally.Reading
	Kind     *greentally.Kind
}

// daysShown is how many days a device's page has, by default.
const daysShown = 30

func (p *Pages) device(v *view) (any, error) {
	id := v.PathValue("device")
	i := slices.IndexFunc(v.Community.Devices, func(d *greentally.Device) bool { return d.ID == id })
	if i < 0 {
		return nil, fmt.Errorf("device %q: %w", id, fs.ErrNotExist)
	}
	d := v.Community.Devices[i]
	h := history{state: p.state(d), To: greentally.DateOf(v.Now, v.Location)}
	h.From = h.To.Add(1 - daysShown)
	h.Kind, _ = p.Kind(d.Kind)
	if text := v.URL.Query().Get("day"); text != "" {
		day, err := greentally.ParseDate(text)
		if err != nil {
			return nil, fmt.Errorf("%w: day: %w", web.ErrBadRequest, err)
		}
		h.Day, h.From, h.To = &day, day.Add(-daysShown/2), day.Add(daysShown/2)
	}
	var err error
	if h.Days, err = p.DeviceDays(v.Context(), greentally.DeviceDayQuery{Community: v.Community.ID, Device: id, From: h.From, To: h.To}); err != nil || h.Day == nil {
		return h, err
	}
	h.Readings, err = p.Readings(v.Context(), d.Key(), h.Day.Start(v.Location).UTC(), h.Day.Add(1).Start(v.Location).UTC(), maxReadings)
	return h, err
}

// maxReadings is the most readings on one page.
const maxReadings = 2000
