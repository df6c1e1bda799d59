package rules

import (
	"context"
	"iter"
	"log/slog"
	"slices"
	"time"

	"greentally"
	"greentally/rules/indicators"
	"greentally/rules/tally"
)

// Touch says that readings of a device from From to To, both inclusive, are new; with
// no device, that something else is, on which the community's indicators rest.
type Touch struct {
	greentally.DeviceKey
	From, To time.Time
}

// Store is the part of the store that a worker needs.
type Store interface {
	Readings(context.Context, greentally.ReadingQuery) iter.Seq2[greentally.Reading, error]
	greentally.DeviceDayStore
	WriteIndicators(context.Context, []greentally.IndicatorValue) error
	WriteAssessments(context.Context, []greentally.Assessment) error
	Records(ctx context.Context, community string, from, to greentally.Date) ([]greentally.Record, error)
	Alerts(ctx context.Context, community string, from, to time.Time) ([]greentally.Alert, error)
}

// Registry is what a worker must know of communities and devices.
type Registry interface {
	Community(id string) (*greentally.Community, bool)
	Location(community string) (*time.Location, bool)
	Device(greentally.DeviceKey) (*greentally.Device, bool)
	Kind(name string) (*greentally.Kind, bool)
}

// Worker keeps device-days, indicators and assessments up to date. One goroutine at a time may
// call Apply.
type Worker struct {
	Store      Store
	Registry   func() Registry // the one in force now
	Indicators *indicators.Set
	Now        func() time.Time
	Log        *slog.Logger

	// Assess, if not nil, holds a community's month against certification schemes. It is
	// given all records of the community.
	Assess func(*greentally.Community, greentally.Month, []greentally.IndicatorValue, []greentally.Record) ([]greentally.Assessment, error)

	// Tallied and Computed, if not nil, are told of each round's work.
	Tallied  func(days int, took time.Duration)
	Days     func(days []greentally.DeviceDay, records []greentally.Record) // of one device, and of its community
	Computed func([]greentally.IndicatorValue)

	// absent remembers registers and masses that a device never had, so that they are
	// not looked for again and again.
	absent map[absence]bool
}

type absence struct {
	greentally.DeviceKey
	quantity string
}

// Apply tallies the device-days that the touches can have changed, and computes the
// indicators and assessments of their months. Doing it twice changes nothing.
func (w *Worker) Apply(ctx context.Context, touches []Touch) error {
	start := w.Now()
	registry := w.Registry()
	if w.absent == nil {
		w.absent = map[absence]bool{}
	}
	months := map[string]map[greentally.Month]bool{}
	records := map[string]*attested{} // by community; a round reads them once
	recordsOf := func(community string) (*attested, error) {
		if records[community] == nil {
			a, err := w.attested(ctx, community)
			if err != nil {
				return nil, err
			}
			records[community] = a
		}
		return records[community], nil
	}
	total := 0
	touch := func(community string, month greentally.Month) {
		if months[community] == nil {
			months[community] = map[greentally.Month]bool{}
		}
		months[community][month] = true
	}
	for key, own := range byDevice(touches) {
		if key.Device == "" {
			if loc, ok := registry.Location(key.Community); ok {
				for _, t := range own {
					touch(key.Community, greentally.DateOf(t.From, loc).MonthOf())
					touch(key.Community, greentally.DateOf(t.To, loc).MonthOf())
				}
			}
			continue
		}
		var kind *greentally.Kind
		device, ok := registry.Device(key)
		if ok {
			kind, ok = registry.Kind(device.Kind)
		}
		if !ok {
			w.Log.Warn("device left the registry before its readings were tallied", "device", key.String())
			continue
		}
		community, ok := registry.Community(key.Community)
		loc, has := registry.Location(key.Community)
		if !ok || !has {
			continue
		}
		attested, err := recordsOf(key.Community)
		if err != nil {
			return err
		}
		about := tally.Input{Kind: kind, Device: device, Location: loc, Collections: community.Collections, Open: community.OpenAt(device.Site), Events: attested.events}
		for _, stretch := range stretches(own) {
			days, err := w.tally(ctx, about, stretch, attested.replaced(key, stretch))
			if err != nil {
				return err
			}
			total += len(days)
			if w.Days != nil {
				w.Days(days, attested.all)
			}
			for _, d := range days {
				touch(key.Community, d.Date.MonthOf())
			}
		}
	}
	if w.Tallied != nil {
		w.Tallied(total, w.Now().Sub(start))
	}
	for community, touched := range months {
		attested, err := recordsOf(community)
		if err != nil {
			return err
		}
		for month := range touched {
			values, err := w.compute(ctx, community, month, w.Now(), attested.all)
			if err != nil {
				return err
			}
			if err := w.Store.WriteIndicators(ctx, values); err != nil {
				return err
			}
			if w.Computed != nil {
				w.Computed(values)
			}
			if err := w.assess(ctx, registry, community, month, values, attested.all); err != nil {
				return err
			}
		}
	}
	return nil
}

// attested are a community's records.
type attested struct {
	all    []greentally.Record // of any month, because a correction may be dated in another
	events []greentally.Record // those in force of the declared events that tallies respect
}

func (w *Worker) attested(ctx context.Context, community string) (*attested, error) {
	all, err := w.Store.Records(ctx, community, greentally.Date{}, greentally.Date{})
	if err != nil {
		return nil, err
	}
	events := slices.DeleteFunc(greentally.InForce(all), func(r greentally.Record) bool { return r.Type != greentally.MeterReplaced })
	return &attested{all, events}, nil
}

// replaced reports whether the device's meter was declared to be replaced in the stretch,
// also if that is withdrawn.
func (a *attested) replaced(key greentally.DeviceKey, t Touch) bool {
	return slices.ContainsFunc(a.all, func(r greentally.Record) bool {
		return r.Type == greentally.MeterReplaced && r.Device == key.Device && r.At != nil && !r.At.Before(t.From) && !r.At.After(t.To)
	})
}

// Report computes a community's indicators of a month from the device-days and
// records in the store. Only days that are over at asOf count. The error wraps
// [fs.ErrNotExist] if there is no such community.
func (w *Worker) Report(ctx context.Context, community string, month greentally.Month, asOf time.Time) ([]greentally.IndicatorValue, error) {
	e, err := w.Totals(ctx, community, month, asOf)
	if err != nil {
		return nil, err
	}
	return w.Indicators.Compute(e), nil
}

// Evidence returns what [Worker.Report] computes the indicators from, the device-days with
// their hours.
func (w *Worker) Evidence(ctx context.Context, community string, month greentally.Month, asOf time.Time) (indicators.Evidence, error) {
	return w.gather(ctx, community, month, asOf, false)
}

// Totals returns what [Worker.Report] computes the indicators from.
func (w *Worker) Totals(ctx context.Context, community string, month greentally.Month, asOf time.Time) (indicators.Evidence, error) {
	return w.gather(ctx, community, month, asOf, true)
}

func (w *Worker) gather(ctx context.Context, community string, month greentally.Month, asOf time.Time, totals bool) (indicators.Evidence, error) {
	attested, err := w.attested(ctx, community)
	if err != nil {
		return indicators.Evidence{}, err
	}
	return w.evidence(ctx, community, month, asOf, attested.all, totals)
}

// compute is Report with the community's records at hand.
func (w *Worker) compute(ctx context.Context, community string, month greentally.Month, asOf time.Time, records []greentally.Record) ([]greentally.IndicatorValue, error) {
	e, err := w.evidence(ctx, community, month, asOf, records, true)
	if err != nil {
		return nil, err
	}
	return w.Indicators.Compute(e), nil
}

func (w *Worker) evidence(ctx context.Context, community string, month greentally.Month, asOf time.Time, records []greentally.Record, totals bool) (e indicators.Evidence, err error) {
	registry := w.Registry()
	c, ok := registry.Community(community)
	loc, has := registry.Location(community)
	if !ok || !has {
		return e, greentally.NoCommunity(community)
	}
	e = indicators.Evidence{Community: c, Month: month, Through: greentally.DateOf(asOf, loc).Add(-1), Records: records, Location: loc}
	if e.Days, err = w.Store.DeviceDays(ctx, greentally.DeviceDayQuery{Community: community, From: month.First(), To: month.Last(), Totals: totals}); err != nil {
		return e, err
	}
	e.Alerts, err = w.Store.Alerts(ctx, community, month.First().Start(loc), month.Next().First().Start(loc))
	return e, err
}

// assess writes a community's assessments of a month by the schemes that are in effect then.
// A scheme that cannot be evaluated stops nothing else: trying again would not help.
func (w *Worker) assess(ctx context.Context, registry Registry, community string, month greentally.Month, values []greentally.IndicatorValue, records []greentally.Record) error {
	c, ok := registry.Community(community)
	if w.Assess == nil || !ok {
		return nil
	}
	all, err := w.Assess(c, month, values, records)
	if err != nil {
		w.Log.Error("the month cannot be held against the schemes", "community", community, "month", month.String(), "error", err)
		return nil
	}
	return w.Store.WriteAssessments(ctx, slices.DeleteFunc(all, func(a greentally.Assessment) bool { return !a.Effective.Has(month) }))
}

func byDevice(touches []Touch) map[greentally.DeviceKey][]Touch {
	m := map[greentally.DeviceKey][]Touch{}
	for _, t := range touches {
		m[t.DeviceKey] = append(m[t.DeviceKey], t)
	}
	return m
}

// stretches joins touches that are less than a day apart.
func stretches(touches []Touch) []Touch {
	slices.SortFunc(touches, func(a, b Touch) int { return a.From.Compare(b.From) })
	var joined []Touch
	for _, t := range touches {
		if n := len(joined); n > 0 && !t.From.After(joined[n-1].To.Add(24*time.Hour)) {
			if t.To.After(joined[n-1].To) {
				joined[n-1].To = t.To
			}
			continue
		}
		joined = append(joined, t)
	}
	return joined
}

// tally tallies and writes the days that readings in the stretch can have changed: its
// own, and those up to the values next to it, because an interval between two values
// may lie across midnights. A device that says no more than that it is connected changes no
// interval, and may have been silent for months before; unless its meter was replaced.
func (w *Worker) tally(ctx context.Context, in tally.Input, t Touch, replaced bool) ([]greentally.DeviceDay, error) {
	device, kind, loc := in.Device, in.Kind, in.Location
	s := &series{worker: w, ctx: ctx, device: device, kind: kind}
	if err := s.load(t.From.Add(-36*time.Hour), t.To.Add(36*time.Hour)); err != nil {
		return nil, err
	}
	first, last := t.From, t.To
	balances := s.balances()
	changed := balances
	if !replaced && !hasAny(s.between(t.From, t.To.Add(1)), balances) {
		changed = nil
	}
	for _, q := range changed {
		before, err := s.before(q, t.From)
		if err != nil {
			return nil, err
		}
		if n := len(before); n > 0 && before[0].Time.Before(first) {
			first = before[0].Time
		}
		after, err := s.after(q, t.To.Add(1))
		if err != nil {
			return nil, err
		}
		if n := len(after); n > 0 && after[n-1].Time.After(last) {
			last = after[n-1].Time
		}
	}
	// A value of a gauge or state holds into the next day.
	last = latest(last, t.To.Add(3*time.Duration(device.Interval)))
	from, to := greentally.DateOf(first, loc), greentally.DateOf(last, loc)
	if err := s.load(from.Start(loc).Add(-36*time.Hour), to.Add(1).Start(loc).Add(36*time.Hour)); err != nil {
		return nil, err
	}
	var days []greentally.DeviceDay
	for date := from; !to.Before(date); date = date.Add(1) {
		start, end := date.Start(loc), date.Add(1).Start(loc)
		readings := s.between(start.Add(-4*time.Duration(device.Interval)), end)
		for _, q := range balances {
			before, err := s.before(q, start)
			if err != nil {
				return nil, err
			}
			after, err := s.after(q, end)
			if err != nil {
				return nil, err
			}
			readings = append(append(readings, before...), after...)
		}
		in.Date, in.Readings = date, readings
		days = append(days, tally.Day(in))
	}
	if err := w.Store.WriteDeviceDays(ctx, days); err != nil {
		return nil, err
	}
	return days, nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// series is the readings of one device, as far as they are loaded.
type series struct {
	worker *Worker
	ctx    context.Context
	device *greentally.Device
	kind   *greentally.Kind

	from, to time.Time
	loaded   []greentally.Reading // of from … to, in time order
	has      map[string]bool      // registers and masses among the loaded
}

// load loads the readings of from … to, to exclusive, as far as they are not loaded yet.
func (s *series) load(from, to time.Time) error {
	if s.from.IsZero() {
		s.from, s.to = from, from
	}
	if from.Before(s.from) {
		earlier, err := s.query(greentally.ReadingQuery{From: from, To: s.from})
		if err != nil {
			return err
		}
		s.from, s.loaded = from, append(earlier, s.loaded...)
	}
	if to.After(s.to) {
		later, err := s.query(greentally.ReadingQuery{From: s.to, To: to})
		if err != nil {
			return err
		}
		s.to, s.loaded = to, append(s.loaded, later...)
	}
	s.has = map[string]bool{}
	for i := range s.loaded {
		for _, v := range s.loaded[i].Values {
			s.has[v.Quantity] = true
		}
	}
	for _, q := range s.kind.Quantities {
		if s.has[q.Name] {
			delete(s.worker.absent, absence{s.device.Key(), q.Name})
		}
	}
	return nil
}

func (s *series) query(q greentally.ReadingQuery) ([]greentally.Reading, error) {
	q.DeviceKey, q.Kind = s.device.Key(), s.kind.Name
	var readings []greentally.Reading
	for r, err := range s.worker.Store.Readings(s.ctx, q) {
		if err != nil {
			return nil, err
		}
		readings = append(readings, r)
	}
	return readings, nil
}

// balances returns the quantities whose days depend on values far away: registers and
// masses, and what masses are estimated from.
func (s *series) balances() []string {
	var names []string
	for _, q := range s.kind.Quantities {
		if q.Nature == greentally.Register || q.Nature == greentally.Mass || q.Name == tally.FillRatio && s.device.DensityKgPerLitre > 0 {
			names = append(names, q.Name)
		}
	}
	return names
}

// hasAny reports whether a reading has a value of one of the quantities.
func hasAny(readings []greentally.Reading, quantities []string) bool {
	return slices.ContainsFunc(readings, func(r greentally.Reading) bool {
		return slices.ContainsFunc(r.Values, func(v greentally.Value) bool { return slices.Contains(quantities, v.Quantity) })
	})
}

// between returns the loaded readings of from … to, to exclusive.
func (s *series) between(from, to time.Time) []greentally.Reading {
	i, _ := slices.BinarySearchFunc(s.loaded, from, compareTime)
	j, _ := slices.BinarySearchFunc(s.loaded, to, compareTime)
	return slices.Clone(s.loaded[i:j])
}

func compareTime(r greentally.Reading, t time.Time) int { return r.Time.Compare(t) }

// before returns the last accepted readings before t that have a value of the
// quantity, at most tally.Context, in time order.
func (s *series) before(quantity string, t time.Time) ([]greentally.Reading, error) {
	var found []greentally.Reading
	i, _ := slices.BinarySearchFunc(s.loaded, t, compareTime)
	for i--; i >= 0 && len(found) < tally.Context; i-- {
		if accepted(&s.loaded[i], quantity) {
			found = append(found, s.loaded[i])
		}
	}
	found, err := s.further(found, greentally.ReadingQuery{To: s.from, With: quantity, Descending: true})
	slices.Reverse(found)
	return found, err
}

// after returns the first accepted readings at or after t that have a value of the
// quantity, at most tally.Context, in time order.
func (s *series) after(quantity string, t time.Time) ([]greentally.Reading, error) {
	var found []greentally.Reading
	i, _ := slices.BinarySearchFunc(s.loaded, t, compareTime)
	for ; i < len(s.loaded) && len(found) < tally.Context; i++ {
		if accepted(&s.loaded[i], quantity) {
			found = append(found, s.loaded[i])
		}
	}
	return s.further(found, greentally.ReadingQuery{From: s.to, With: quantity})
}

// further looks for what is not loaded. The loaded stretch reaches well over a day
// beyond what is asked for, so that this is rare.
func (s *series) further(found []greentally.Reading, q greentally.ReadingQuery) ([]greentally.Reading, error) {
	missing := absence{s.device.Key(), q.With}
	if len(found) == tally.Context || s.worker.absent[missing] {
		return found, nil
	}
	for limit := tally.Context; ; limit *= 4 {
		q.Limit = limit
		more, err := s.query(q)
		if err != nil {
			return nil, err
		}
		if len(more) == 0 && len(found) == 0 && !s.has[q.With] {
			return found, s.noteAbsence(missing)
		}
		all := slices.Clone(found)
		for i := range more {
			if len(all) < tally.Context && accepted(&more[i], q.With) {
				all = append(all, more[i])
			}
		}
		if len(all) == tally.Context || len(more) < limit {
			return all, nil
		}
	}
}

// noteAbsence remembers that the device never had the quantity, if that is so.
func (s *series) noteAbsence(missing absence) error {
	any, err := s.query(greentally.ReadingQuery{With: missing.quantity, Limit: 1})
	if err == nil && len(any) == 0 {
		s.worker.absent[missing] = true
	}
	return err
}

func accepted(r *greentally.Reading, quantity string) bool {
	if r.Quality < greentally.Accepted {
		return false
	}
	_, has := r.Value(quantity)
	return has
}
