package pages

import (
	"math"
	"time"

	"greentally"
)

// chart is what the script of the pages draws. All that is in it stands in a table of the page, too.
type chart struct {
	Title string `json:"-"`

	Bars   bool     `json:"bars,omitempty"`
	Unit   string   `json:"unit,omitempty"`
	Labels []string `json:"labels,omitempty"` // of the points; none if these have times
	Series []series `json:"series"`
	Limit  *float64 `json:"limit,omitempty"` // a line across
	Top    *float64 `json:"top,omitempty"`   // where the axis ends
	Name   string   `json:"limit_name,omitempty"`
}

// series are points of one colour.
type series struct {
	Name   string        `json:"name"`
	Points [][2]*float64 `json:"points,omitempty"` // time and value; null is a gap
	Values []*float64    `json:"values,omitempty"` // by label
}

// clockMillis are the milliseconds of an instant by the community's clocks, as if these went by
// UTC: the script shows times as they are told here, wherever the browser is.
func clockMillis(t time.Time, loc *time.Location) *float64 {
	_, offset := t.In(loc).Zone()
	ms := float64(t.UnixMilli() + int64(offset)*1000)
	return &ms
}

// scaled is a value as charts show it, with three places at most.
func scaled(q greentally.Quantity, v float64) *float64 {
	if isRatio(q) {
		v *= 100
	}
	v = math.Round(1000*v) / 1000
	return &v
}

func isRatio(q greentally.Quantity) bool { return q.Unit == "/" || q.Unit == "1" }

// unitOf is the unit of a quantity for people.
func unitOf(q greentally.Quantity) string {
	if isRatio(q) {
		return "%"
	}
	if name, known := map[string]string{"Cel": "℃", "m3": "m³", "count": ""}[q.Unit]; known {
		return name
	}
	return q.Unit
}

// dayCharts draw the readings of a day, each quantity that has any. A gap of more than three
// intervals stays one.
func dayCharts(v *view, d *greentally.Device, kind *greentally.Kind, readings []greentally.Reading) (all []chart) {
	if kind == nil {
		return nil
	}
	for _, q := range kind.Quantities {
		if q.Nature == greentally.State {
			continue
		}
		c := chart{Title: q.Title.In(v.Language), Unit: unitOf(q)}
		var points [][2]*float64
		var last time.Time
		for i := range readings {
			value, has := readings[i].Value(q.Name)
			if !has {
				continue
			}
			t := readings[i].Time
			if !last.IsZero() && t.Sub(last) > 3*time.Duration(d.Interval) {
				points = append(points, [2]*float64{clockMillis(last.Add(time.Millisecond), v.Location), nil})
			}
			points, last = append(points, [2]*float64{clockMillis(t, v.Location), scaled(q, value.Number)}), t
		}
		if len(points) == 0 {
			continue
		}
		if limit := d.Limit(q); limit != nil && q.Nature == greentally.Gauge {
			c.Limit, c.Name = scaled(q, *limit), v.word("limit")
		}
		if isRatio(q) {
			hundred := 100.0
			c.Top = &hundred
		}
		c.Series = []series{{Name: c.Title, Points: points}}
		all = append(all, c)
	}
	return all
}

// monthCharts draw days: what was put in and taken out of a mass, the rise of a register, the
// highest of a gauge that has a limit.
func monthCharts(v *view, d *greentally.Device, kind *greentally.Kind, days []greentally.DeviceDay) (all []chart) {
	if kind == nil || len(days) == 0 {
		return nil
	}
	var labels []string
	for _, day := range days {
		labels = append(labels, day.Date.String()[5:])
	}
	amounts := func(q greentally.Quantity, name string, of func(greentally.DeviceDay) (greentally.Amount, bool)) series {
		s := series{Name: v.word(name)}
		for _, day := range days {
			if amount, has := of(day); has {
				s.Values = append(s.Values, scaled(q, amount.Float()))
			} else {
				s.Values = append(s.Values, nil)
			}
		}
		return s
	}
	for _, q := range kind.Quantities {
		c := chart{Title: q.Title.In(v.Language), Unit: unitOf(q), Labels: labels, Bars: true}
		switch q.Nature {
		case greentally.Mass:
			c.Series = []series{
				amounts(q, "deposited", func(d greentally.DeviceDay) (greentally.Amount, bool) {
					m, has := d.Masses[q.Name]
					return m.Deposited, has
				}),
				amounts(q, "collected", func(d greentally.DeviceDay) (greentally.Amount, bool) {
					m, has := d.Masses[q.Name]
					return m.Collected, has
				}),
			}
		case greentally.Register:
			c.Series = []series{amounts(q, "rise", func(d greentally.DeviceDay) (greentally.Amount, bool) {
				r, has := d.Registers[q.Name]
				return r.Rise, has
			})}
		case greentally.Gauge:
			limit := d.Limit(q)
			if limit == nil {
				continue
			}
			c.Bars, c.Limit, c.Name = false, scaled(q, *limit), v.word("limit")
			c.Series = []series{amounts(q, "highest", func(d greentally.DeviceDay) (greentally.Amount, bool) {
				g, has := d.Gauges[q.Name]
				return g.Max, has
			})}
		case greentally.State:
			continue
		}
		if hasValue(c.Series) {
			all = append(all, c)
		}
	}
	return all
}

func hasValue(all []series) bool {
	for _, s := range all {
		for _, v := range s.Values {
			if v != nil {
				return true
			}
		}
	}
	return false
}
