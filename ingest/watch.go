package ingest

import (
	"context"
	"slices"
	"sync"
	"time"

	"greentally"
)

// Watch follows the journal, independently of the store, and keeps the latest
// reading of each device in memory.
type Watch struct {
	Decode Decode
	Seen   func(community string) // is told of what came; may be nil
	Now    func() time.Time       // time.Now if it is nil

	mu     sync.RWMutex
	latest map[greentally.DeviceKey]*latest
}

// See takes note of what the entries say. What cannot be decoded is the writer's to
// report.
func (w *Watch) See(_ context.Context, entries []Entry) error {
	seen := map[string]bool{}
	for _, entry := range entries {
		for _, message := range entry.Messages {
			readings, _ := w.Decode(message)
			w.Set(readings...)
			for i := range readings {
				seen[readings[i].Community] = true
			}
		}
	}
	if w.Seen != nil {
		for community := range seen {
			w.Seen(community)
		}
	}
	return nil
}

// Set takes note of readings: each quantity keeps its latest value.
func (w *Watch) Set(readings ...greentally.Reading) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.latest == nil {
		w.latest = map[greentally.DeviceKey]*latest{}
	}
	now := time.Now()
	if w.Now != nil {
		now = w.Now()
	}
	absurd := now.Add(clocksDiffer)
	for _, r := range readings {
		known := w.latest[r.DeviceKey]
		if known == nil {
			known = &latest{times: map[string]time.Time{}}
			w.latest[r.DeviceKey] = known
		}
		known.add(r, absurd)
	}
}

// latest is what is known of a device.
type latest struct {
	reading  greentally.Reading
	times    map[string]time.Time // of its values, by quantity
	measured time.Time            // of the latest reading that measures something; zero if there is none
}

// clocksDiffer is by how much the clock of a device may be ahead of ours and still be believed.
const clocksDiffer = 10 * time.Minute

// add takes note of a reading. One that is older than what is known changes nothing, unless that is
// dated absurdly: by a clock that was ahead then.
func (l *latest) add(r greentally.Reading, absurd time.Time) {
	older := func(than time.Time) bool {
		return r.Time.Before(than) && (!than.After(absurd) || r.Time.After(absurd))
	}
	values := slices.Clone(l.reading.Values) // others may hold the ones before
	for _, v := range r.Values {
		if older(l.times[v.Quantity]) {
			continue
		}
		l.times[v.Quantity] = r.Time
		if i := slices.IndexFunc(values, func(o greentally.Value) bool { return o.Quantity == v.Quantity }); i >= 0 {
			values[i] = v
		} else {
			values = append(values, v)
		}
	}
	greentally.SortValues(values)
	if r.Measures() && !older(l.measured) {
		l.reading, l.measured = r, r.Time
	} else if l.measured.IsZero() {
		l.reading = r
	}
	l.reading.Values = values
}

// Latest returns what is known of the device: the time of its latest reading that
// measures something (of its status, if there is none) and the latest value of each
// quantity.
func (w *Watch) Latest(key greentally.DeviceKey) (greentally.Reading, bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	l, ok := w.latest[key]
	if !ok {
		return greentally.Reading{}, false
	}
	return l.reading, true
}

// LatestByKind returns the time of the latest reading that measures something, of each kind of
// device.
func (w *Watch) LatestByKind() map[string]time.Time {
	w.mu.RLock()
	defer w.mu.RUnlock()
	times := map[string]time.Time{}
	for _, l := range w.latest {
		if l.measured.After(times[l.reading.Kind]) {
			times[l.reading.Kind] = l.measured
		}
	}
	return times
}
