package pages

import (
	"fmt"
	"slices"

	"greentally"
	"greentally/web"
)

// history is a device with the readings of a day and the days around it.
type history struct {
	state
	Day, Before, After greentally.Date
	Last               bool // the day is today
	Kind               *greentally.Kind
	Alerts             []told
	Readings           []greentally.Reading
	DayCharts          []chart
	Days               []greentally.DeviceDay
	DaysCharts         []chart
}

// What a device's page shows.
const (
	daysShown    = 30   // up to today, or half of them before and after another day
	readingsMost = 2000 // of a day
)

func (p *Pages) device(v *view) (any, error) {
	id := v.PathValue("device")
	i := slices.IndexFunc(v.Community.Devices, func(d *greentally.Device) bool { return d.ID == id })
	if i < 0 {
		return nil, greentally.Missingf("没有设备 %q", "there is no device %q", id)
	}
	d := v.Community.Devices[i]
	today := greentally.DateOf(v.Now, v.Location)
	h := history{state: p.state(v, d), Day: today}
	from, to := today.Add(1-daysShown), today
	if text := v.URL.Query().Get("day"); text != "" {
		day, err := greentally.ParseDate(text)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", web.ErrBadRequest, err)
		}
		if h.Day = day; day.Before(from) {
			from, to = day.Add(-daysShown/2), day.Add(daysShown/2)
		}
	}
	h.Last = !h.Day.Before(today)
	h.Before, h.After = h.Day.Add(-1), h.Day.Add(1)
	h.Kind, _ = p.Kind(d.Kind)
	all, _, err := p.told(v)
	if err != nil {
		return nil, err
	}
	h.Alerts = slices.DeleteFunc(all, func(a told) bool { return a.Device != id })
	if h.Readings, err = p.Readings(v.Context(), d.Key(), h.Day.Start(v.Location).UTC(), h.After.Start(v.Location).UTC(), readingsMost); err != nil {
		return nil, err
	}
	if h.Days, err = p.DeviceDays(v.Context(), greentally.DeviceDayQuery{Community: v.Community.ID, Device: id, From: from, To: to}); err != nil {
		return nil, err
	}
	h.DayCharts, h.DaysCharts = dayCharts(v, d, h.Kind, h.Readings), monthCharts(v, d, h.Kind, h.Days)
	return h, nil
}
