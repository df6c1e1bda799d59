package ingest

import (
	"context"
	"sync"
	"time"

	"greentally"
)

// Watch follows the journal, independently of the store, and keeps the latest
// reading of each device in memory.
type Watch struct {
	Decode Decode

	mu     sync.RWMutex
	latest map[greentally.DeviceKey]greentally.Reading
}

// See takes note of what the entries say. What cannot be decoded is the writer's to
// report.
func (w *Watch) See(_ context.Context, entries []Entry) error {
	for _, entry := range entries {
		for _, message := range entry.Messages {
			readings, _ := w.Decode(message)
			w.Set(readings...)
		}
	}
	return nil
}

// Set takes note of readings: each quantity keeps its latest value.
func (w *Watch) Set(readings ...greentally.Reading) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.latest == nil {
		w.latest = map[greentally.DeviceKey]greentally.Reading{}
	}
	for _, r := range readings {
		before, known := w.latest[r.DeviceKey]
		if !known {
			w.latest[r.DeviceKey] = r
			continue
		}
		older, newer := before, r
		if r.Time.Before(before.Time) {
			older, newer = r, before
		}
		merged := newer
		merged.Values = append([]greentally.Value(nil), newer.Values...)
		for _, v := range older.Values {
			if _, has := newer.Value(v.Quantity); !has {
				merged.Values = append(merged.Values, v)
			}
		}
		greentally.SortValues(merged.Values)
		w.latest[r.DeviceKey] = merged
	}
}

// Latest returns what is known of the device: the time of its latest reading and
// the latest value of each quantity.
func (w *Watch) Latest(key greentally.DeviceKey) (greentally.Reading, bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	r, ok := w.latest[key]
	return r, ok
}

// LatestByKind returns the time of the latest reading of each kind of device.
func (w *Watch) LatestByKind() map[string]time.Time {
	w.mu.RLock()
	defer w.mu.RUnlock()
	latest := map[string]time.Time{}
	for _, r := range w.latest {
		if r.Time.After(latest[r.Kind]) {
			latest[r.Kind] = r.Time
		}
	}
	return latest
}
