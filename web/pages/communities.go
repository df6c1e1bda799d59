package pages

import (
	"cmp"
	"slices"
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
	all := slices.SortedFunc(slices.Values(p.Communities()), func(a, b *greentally.Community) int {
		return cmp.Compare(a.Name.In(v.Language), b.Name.In(v.Language))
	})
	var cards []card
	for _, c := range all {
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
			if s := p.state(v, d); s.Over {
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

// usualLimit is that of how full something may be, where nobody says another.
const usualLimit = 0.9

func (p *Pages) state(v *view, d *greentally.Device) state {
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
		s.Values = append(s.Values, shown{q, valueText(q, value, v.Language)})
		if q.Name == fillRatio {
			limit := usualLimit
			if own := d.Limit(q); own != nil {
				limit = *own
			}
			s.Fill, s.HasFill, s.Over = value.Number, true, value.Number >= limit
		}
	}
	return s
}

// overview is a community's page.
type overview struct {
	Month      greentally.Month
	Indicators []greentally.IndicatorValue // with a target and evidence
	Alerts     []told                      // the first of them
	More       int                         // alerts that are left out
	Fullest    []state
	Sites      []site
}

type site struct {
	greentally.Site
	Devices []state
}

// How many bins and alerts stand at the top of a community's page.
const (
	fullestShown = 6
	alertsShown  = 6
)

func (p *Pages) community(v *view) (any, error) {
	month, err := v.month()
	if err != nil {
		return nil, err
	}
	values, err := p.Values(v.Context(), v.Community.ID, month)
	if err != nil {
		return nil, err
	}
	o := overview{Month: month, Sites: p.sites(v)}
	if o.Alerts, _, err = p.told(v); err != nil {
		return nil, err
	}
	if o.More = max(0, len(o.Alerts)-alertsShown); o.More > 0 {
		o.Alerts = o.Alerts[:alertsShown]
	}
	for _, value := range values {
		if value.Target != nil && slices.ContainsFunc(value.Inputs, func(in greentally.InputValue) bool { return len(in.Devices)+len(in.Records) > 0 }) {
			o.Indicators = append(o.Indicators, value)
		}
	}
	o.Fullest = fullest(o.Sites, fullestShown)
	return o, nil
}

// sites returns the sites that have devices, in the order of the community's file.
func (p *Pages) sites(v *view) (all []site) {
	at := map[string][]state{}
	for _, d := range v.Community.Devices {
		at[d.Site] = append(at[d.Site], p.state(v, d))
	}
	for _, s := range v.Community.Sites {
		if devices := at[s.ID]; len(devices) > 0 {
			all = append(all, site{s, devices})
		}
	}
	return all
}

// fullest returns the bins and boxes that are fullest.
func fullest(sites []site, n int) (all []state) {
	for _, s := range sites {
		for _, d := range s.Devices {
			if d.HasFill {
				all = append(all, d)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b state) int { return cmp.Compare(b.Fill, a.Fill) })
	return all[:min(n, len(all))]
}
