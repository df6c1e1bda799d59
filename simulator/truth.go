package simulator

import (
	"hash/fnv"
	"math/rand/v2"
	"time"

	"greentally"
)

// Truth is what the model knows.
type Truth struct {
	Community string    `json:"community"`
	Seed      uint64    `json:"seed"`
	From      time.Time `json:"from"`
	To        time.Time `json:"to"` // up to where the model has advanced

	Readings   int `json:"readings"`   // published, each instant of a device counted once
	Messages   int `json:"messages"`   // published, repetitions included
	Duplicates int `json:"duplicates"` // readings published again
	Lost       int `json:"lost"`       // readings never published
	Malformed  int `json:"malformed"`  // messages that nobody can read

	Months map[string]Month    `json:"months"` // by month, such as 2026-10
	Days   map[string]*Day     `json:"days"`   // by local day, such as 2026-10-31
	Audits []greentally.Record `json:"audits"` // composition audits as an auditor would make them
	Events []greentally.Record `json:"events"` // what is declared, such as replaced meters
}

// Month is the truth of the days of a month that were simulated from beginning to end.
type Month struct {
	Days  int                `json:"days"`
	Rates map[string]float64 `json:"rates"` // by the name of the indicator
}

// Day is the truth of one local day, over all devices.
type Day struct {
	DepositedKg           map[greentally.Stream]float64 `json:"deposited_kg"`
	CollectedKg           map[greentally.Stream]float64 `json:"collected_kg"`
	CollectedRecyclableKg map[greentally.Stream]float64 `json:"collected_recyclable_kg"` // the recyclables among it
	Bins                  map[string]*Held              `json:"bins"`
	BinMinutes            int                           `json:"bin_minutes"`
	FullMinutes           int                           `json:"full_minutes"` // at or above the limit
	Openings              int                           `json:"openings"`     // of lids, at sites that have hours
	OutOfHours            int                           `json:"out_of_hours"` // of these, outside the hours
	BatteriesKg           float64                       `json:"batteries_kg"`
	UsedKWh               float64                       `json:"used_kwh"`
	BaselineKWh           float64                       `json:"baseline_kwh"`
}

// Held is what a bin held in a day.
type Held struct {
	Max     float64 `json:"max_kg"`
	Emptied int     `json:"emptied"`
}

func (t *Truth) day(date greentally.Date) *Day {
	d := t.Days[date.String()]
	if d == nil {
		d = &Day{DepositedKg: map[greentally.Stream]float64{}, CollectedKg: map[greentally.Stream]float64{},
			CollectedRecyclableKg: map[greentally.Stream]float64{}, Bins: map[string]*Held{}}
		t.Days[date.String()] = d
	}
	return d
}

func (d *Day) held(id string) *Held {
	h := d.Bins[id]
	if h == nil {
		h = &Held{}
		d.Bins[id] = h
	}
	return h
}

// Rates returns the true rates over the days from … to, both inclusive, by the names
// of the indicators. Those whose denominator is 0 are left out.
func (t *Truth) Rates(c *greentally.Community, from, to greentally.Date) map[string]float64 {
	streamOf := map[string]greentally.Stream{}
	for _, d := range c.Devices {
		streamOf[d.ID] = d.Stream
	}
	var recovered, left, separate, all, held, cleared, full, minutes, openings, outOfHours, batteries, used, baseline float64
	for date := from; !to.Before(date); date = date.Add(1) {
		d := t.Days[date.String()]
		if d == nil {
			continue
		}
		recovered += d.CollectedRecyclableKg[greentally.Recyclable]
		left += d.CollectedRecyclableKg[greentally.Food] + d.CollectedRecyclableKg[greentally.Residual]
		for _, s := range greentally.Streams() {
			all += d.CollectedKg[s]
			if s != greentally.Residual {
				separate += d.CollectedKg[s]
			}
		}
		for id, h := range d.Bins {
			if s := streamOf[id]; (s == greentally.Food || s == greentally.Residual) && h.Max >= 1 {
				held++
				if h.Emptied > 0 {
					cleared++
				}
			}
		}
		full += float64(d.FullMinutes)
		minutes += float64(d.BinMinutes)
		openings += float64(d.Openings)
		outOfHours += float64(d.OutOfHours)
		batteries += d.BatteriesKg
		used += d.UsedKWh
		baseline += d.BaselineKWh
	}
	rates := map[string]float64{}
	add := func(name string, numerator, denominator float64) {
		if denominator != 0 {
			rates[name] = numerator / denominator
		}
	}
	add("recyclable_capture", recovered, recovered+left)
	add("separate_collection", separate, all)
	add("daily_clearance", cleared, held)
	add("overflow_share", full, minutes)
	add("missort_window", outOfHours, openings)
	add("batteries_per_household", batteries*1000, float64(c.Households))
	add("lighting_saving", baseline-used, baseline)
	add("lighting_saved_kwh", baseline-used, 1)
	return rates
}

// summarise fills in the months and the audits.
func (t *Truth) summarise(c *greentally.Community, loc *time.Location) {
	t.Months = map[string]Month{}
	first, end := greentally.DateOf(t.From, loc), greentally.DateOf(t.To, loc) // end is not over yet
	for month := first.MonthOf(); !end.Before(month.First()); month = month.Next() {
		from, to := month.First(), month.Last()
		if from.Before(first) {
			from = first
		}
		if !to.Before(end) {
			to = end.Add(-1)
		}
		days := 0
		for date := from; !to.Before(date); date = date.Add(1) {
			days++
		}
		if days > 0 {
			t.Months[month.String()] = Month{Days: days, Rates: t.Rates(c, from, to)}
		}
	}
	t.audits(c, first, end.Add(-1))
}

// audits samples what was collected, as an auditor would: every seventh day, and on the
// first of each month, some 200 kg of each stream, sorted by hand.
func (t *Truth) audits(c *greentally.Community, first, last greentally.Date) {
	h := fnv.New64a()
	h.Write([]byte("audits"))
	random := rand.New(rand.NewPCG(t.Seed, h.Sum64()))
	t.Audits = nil
	n := 0
	for date := first; !last.Before(date); date = date.Add(1) {
		n++
		d := t.Days[date.String()]
		if d == nil || n%7 != 3 && date.Day != 1 {
			continue
		}
		for _, stream := range []greentally.Stream{greentally.Recyclable, greentally.Food, greentally.Residual} {
			if d.CollectedKg[stream] == 0 {
				continue
			}
			ratio := d.CollectedRecyclableKg[stream] / d.CollectedKg[stream] * (1 + 0.02*random.NormFloat64()*(1-d.CollectedRecyclableKg[stream]/d.CollectedKg[stream]))
			t.Audits = append(t.Audits, greentally.Record{
				Community: c.ID, Type: greentally.CompositionAudit, Date: date, Stream: stream, By: "simulator",
				Why:    "weekly composition audit",
				Values: greentally.Values{"recyclable_ratio": round(min(1, max(0, ratio)), 0.0001), "sample_kg": round(min(200, d.CollectedKg[stream]), 0.1)},
			})
		}
	}
}
