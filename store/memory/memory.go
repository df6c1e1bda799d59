// Package memory is a store in memory, for tests of what uses a store. It passes the
// same suite as the real ones. Nothing outlives the process.
package memory

import (
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"greentally"
)

// Store is a store in memory. Its zero value is empty and ready.
type Store struct {
	mu         sync.RWMutex
	readings   map[series]map[int64]greentally.Reading
	days       map[dayKey][]byte // JSON, so that nothing is shared with the caller
	indicators map[monthKey][]byte
	assessed   map[monthKey][]byte
	records    map[string][]byte
	alerts     map[alertKey][]byte
	mark       greentally.Mark
}

type series struct {
	greentally.DeviceKey
	kind string
}

type dayKey struct {
	greentally.DeviceKey
	date greentally.Date
}

type monthKey struct {
	community string
	month     greentally.Month
	name      string // of the indicator or the scheme
}

type alertKey struct {
	greentally.AlertKey
	fired int64
}

var (
	_ greentally.Store  = (*Store)(nil)
	_ greentally.Marked = (*Store)(nil)
)

// WriteReadings stores the readings.
func (s *Store) WriteReadings(ctx context.Context, readings []greentally.Reading) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readings == nil {
		s.readings = map[series]map[int64]greentally.Reading{}
	}
	for _, r := range readings {
		key := series{r.DeviceKey, r.Kind}
		if s.readings[key] == nil {
			s.readings[key] = map[int64]greentally.Reading{}
		}
		r.Values = slices.Clone(r.Values)
		r.Time = r.Time.UTC().Round(0)
		if before, ok := s.readings[key][r.Time.UnixNano()]; ok {
			for _, v := range before.Values {
				if _, has := r.Value(v.Quantity); !has {
					r.Values = append(r.Values, v)
					greentally.SortValues(r.Values)
				}
			}
		}
		s.readings[key][r.Time.UnixNano()] = r
	}
	return nil
}

// Readings returns one device's readings.
func (s *Store) Readings(ctx context.Context, q greentally.ReadingQuery) iter.Seq2[greentally.Reading, error] {
	return func(yield func(greentally.Reading, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(greentally.Reading{}, err)
			return
		}
		s.mu.RLock()
		var all []greentally.Reading
		for _, r := range s.readings[series{q.DeviceKey, q.Kind}] {
			if _, has := r.Value(q.With); q.With != "" && !has {
				continue
			}
			if r.Time.Before(q.From) || !q.To.IsZero() && !r.Time.Before(q.To) {
				continue
			}
			r.Values = slices.Clone(r.Values)
			all = append(all, r)
		}
		s.mu.RUnlock()
		slices.SortFunc(all, func(a, b greentally.Reading) int { return a.Time.Compare(b.Time) })
		if q.Descending {
			slices.Reverse(all)
		}
		for i, r := range all {
			if q.Limit > 0 && i == q.Limit {
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Count returns how many readings there are.
func (s *Store) Count() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n := 0
	for _, rs := range s.readings {
		n += len(rs)
	}
	return n
}

// write stores values as JSON, each under its key.
func write[K comparable, V any](s *Store, m *map[K][]byte, values []V, key func(V) K) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if *m == nil {
		*m = map[K][]byte{}
	}
	for _, v := range values {
		data, err := json.Marshal(v)
		if err != nil {
			return err
		}
		(*m)[key(v)] = data
	}
	return nil
}

// WriteDeviceDays stores the device-days.
func (s *Store) WriteDeviceDays(_ context.Context, days []greentally.DeviceDay) error {
	return write(s, &s.days, days, func(d greentally.DeviceDay) dayKey { return dayKey{d.DeviceKey, d.Date} })
}

// DeviceDays returns those that match.
func (s *Store) DeviceDays(_ context.Context, q greentally.DeviceDayQuery) ([]greentally.DeviceDay, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var all []greentally.DeviceDay
	for key, data := range s.days {
		if key.Community != q.Community || q.Device != "" && key.Device != q.Device || key.date.Before(q.From) || q.To.Before(key.date) {
			continue
		}
		var d greentally.DeviceDay
		if err := json.Unmarshal(data, &d); err != nil {
			return nil, err
		}
		if q.Totals {
			d = d.Totals()
		}
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b greentally.DeviceDay) int {
		return cmp.Or(strings.Compare(a.Device, b.Device), strings.Compare(a.Date.String(), b.Date.String()))
	})
	return all, nil
}

// WriteIndicators stores the indicators.
func (s *Store) WriteIndicators(_ context.Context, values []greentally.IndicatorValue) error {
	return write(s, &s.indicators, values, func(v greentally.IndicatorValue) monthKey { return monthKey{v.Community, v.Month, v.Indicator} })
}

// Indicators returns a community's indicators of a month.
func (s *Store) Indicators(_ context.Context, community string, month greentally.Month) ([]greentally.IndicatorValue, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return ofMonth[greentally.IndicatorValue](s.indicators, community, month)
}

// ofMonth returns what there is of a community's month, sorted by name.
func ofMonth[V any](m map[monthKey][]byte, community string, month greentally.Month) ([]V, error) {
	var keys []monthKey
	for key := range m {
		if key.community == community && key.month == month {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b monthKey) int { return strings.Compare(a.name, b.name) })
	all := make([]V, len(keys))
	for i, key := range keys {
		if err := json.Unmarshal(m[key], &all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// WriteAssessments stores the assessments.
func (s *Store) WriteAssessments(_ context.Context, assessments []greentally.Assessment) error {
	return write(s, &s.assessed, assessments, func(a greentally.Assessment) monthKey { return monthKey{a.Community, a.Month, a.Scheme} })
}

// Assessments returns a community's assessments of a month.
func (s *Store) Assessments(_ context.Context, community string, month greentally.Month) ([]greentally.Assessment, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return ofMonth[greentally.Assessment](s.assessed, community, month)
}

// WriteRecords stores the records.
func (s *Store) WriteRecords(_ context.Context, records []greentally.Record) error {
	return write(s, &s.records, records, func(r greentally.Record) string { return r.ID })
}

// Records returns a community's records.
func (s *Store) Records(_ context.Context, community string, from, to greentally.Date) ([]greentally.Record, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var all []greentally.Record
	for _, data := range s.records {
		var r greentally.Record
		if err := json.Unmarshal(data, &r); err != nil {
			return nil, err
		}
		if r.Community == community && !r.Date.Before(from) && (to == greentally.Date{} || !to.Before(r.Date)) {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b greentally.Record) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// WriteAlerts stores the alerts.
func (s *Store) WriteAlerts(_ context.Context, alerts []greentally.Alert) error {
	return write(s, &s.alerts, alerts, func(a greentally.Alert) alertKey { return alertKey{a.Key(), a.Fired.UnixNano()} })
}

// Alerts returns a community's alerts.
func (s *Store) Alerts(_ context.Context, community string, from, to time.Time) ([]greentally.Alert, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var all []greentally.Alert
	for _, data := range s.alerts {
		var a greentally.Alert
		if err := json.Unmarshal(data, &a); err != nil {
			return nil, err
		}
		if a.Community == community && !a.Fired.Before(from) && (to.IsZero() || a.Fired.Before(to)) {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, greentally.CompareAlerts)
	return all, nil
}

// Mark keeps the mark.
func (s *Store) Mark(ctx context.Context, m greentally.Mark) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mark = m
	return nil
}

// Marked returns the mark.
func (s *Store) Marked(ctx context.Context) (greentally.Mark, bool, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.mark, true, ctx.Err()
}

// Close does nothing.
func (s *Store) Close() error { return nil }
