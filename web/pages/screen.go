package pages

import (
	"cmp"
	"math"
	"slices"

	"greentally"
)

// screenPage is what the big screen in the lobby shows. What is not known is left out; nothing of
// it is about a person.
type screenPage struct {
	Month greentally.Month
	Rate  *greentally.IndicatorValue // part of the recyclables that is recovered
	Saved *float64                   // by lighting, kWh
	Hours float64                    // for which Saved runs an air conditioner of a kilowatt
	CO2   *float64                   // that Saved spares, kg
	Cells *float64                   // kg of batteries that were brought to the boxes
	AA    float64                    // how many of size AA that is
	Bins  []bin
	Trend []chart // one, of the last weeks, if anything is known
	Put   *float64
}

// bin is one of the nearest bins.
type bin struct {
	Site greentally.Text
	state
	Percent int
}

// The indicators on the screen, and what they come to.
const (
	captureRate  = "recyclable_capture"
	savedEnergy  = "lighting_saved_kwh"
	sparedCarbon = "lighting_carbon"
	batteries    = "batteries_per_household"

	kilowatt = 1.0  // an air conditioner's
	gramsAA  = 23.0 // of an alkaline cell of size AA
	massKg   = "mass_kg"
	binsMost = 6  // on the screen
	trendFor = 14 // days
)

// RecoveredBefore is how many days before a month are needed for a screen in it.
const RecoveredBefore = trendFor

// screen shows a community's big screen; with ?site= the bins of that site.
func (p *Pages) screen(v *view) (any, error) {
	today := greentally.DateOf(v.Now, v.Location)
	s := screenPage{Month: today.MonthOf(), Bins: p.nearest(v)}
	values, err := p.Values(v.Context(), v.Community.ID, s.Month)
	if err != nil {
		return nil, err
	}
	for i := range values {
		value := &values[i]
		if value.Value == nil || value.Verdict == greentally.InsufficientData {
			continue
		}
		switch value.Indicator {
		case captureRate:
			s.Rate = value
		case savedEnergy:
			s.Saved, s.Hours = value.Value, *value.Value/kilowatt
		case sparedCarbon:
			s.CO2 = value.Value
		case batteries:
			if value.Numerator != nil {
				kg := *value.Numerator / 1000
				s.Cells, s.AA = &kg, math.Floor(*value.Numerator/gramsAA)
			}
		}
	}
	sums, err := p.Recovered(v.Context(), v.Community.ID, s.Month)
	if err != nil {
		return nil, err
	}
	s.Trend, s.Put = recovered(v, sums)
	return s, nil
}

// nearest are the bins of a site, or else the fullest of the community.
func (p *Pages) nearest(v *view) (all []bin) {
	wanted := v.URL.Query().Get("site")
	if !slices.ContainsFunc(v.Community.Sites, func(s greentally.Site) bool { return s.ID == wanted }) {
		wanted = ""
	}
	for _, site := range p.sites(v) {
		if wanted != "" && site.ID != wanted {
			continue
		}
		for _, d := range site.Devices {
			if d.HasFill && !d.Silent && d.Stream != "" {
				all = append(all, bin{site.Name, d, int(100 * min(1, d.Fill))})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b bin) int { return cmp.Compare(b.Fill, a.Fill) })
	return all[:min(binsMost, len(all))]
}

// Recovered sums what was put into the bins for recyclables on each day.
func Recovered(days []greentally.DeviceDay) map[greentally.Date]greentally.Amount {
	sums := map[greentally.Date]greentally.Amount{}
	for _, d := range days {
		if mass, has := d.Masses[massKg]; has && d.Stream == greentally.Recyclable {
			sums[d.Date] += mass.Deposited
		}
	}
	return sums
}

// recovered draws the last days of those sums, and sums them.
func recovered(v *view, sums map[greentally.Date]greentally.Amount) ([]chart, *float64) {
	if len(sums) == 0 {
		return nil, nil
	}
	c := chart{Title: v.word("recyclables_by_day"), Unit: "kg", Bars: true, Series: []series{{Name: greentally.Recyclable.Title().In(v.Language)}}}
	whole, today := greentally.Amount(0), greentally.DateOf(v.Now, v.Location)
	for day := today.Add(-trendFor); day.Before(today); day = day.Add(1) {
		var value *float64
		if sum, known := sums[day]; known {
			kg := math.Round(10*sum.Float()) / 10
			value, whole = &kg, whole+sum
		}
		c.Labels = append(c.Labels, day.String()[5:])
		c.Series[0].Values = append(c.Series[0].Values, value)
	}
	if whole == 0 {
		return nil, nil
	}
	total := whole.Float()
	return []chart{c}, &total
}
