package main

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"greentally"
)

// recent computes what a month of a community comes to once for all who look at about the same
// time: people see figures that are some seconds old at most, and none from before what they wrote
// down themselves.
type recent struct {
	compute func(ctx context.Context, community string, month greentally.Month) (figures, error)
	now     func() time.Time

	flight singleflight.Group
	mu     sync.Mutex
	kept   map[recentKey]figures
	stale  map[string]time.Time // when a person last changed something, by community
}

type recentKey struct {
	community string
	month     greentally.Month
}

// figures are the indicators of a month with how each came about.
type figures struct {
	values   []greentally.IndicatorValue
	workings []greentally.Working
	at       time.Time // when they began to be computed
}

// recentFor is how old figures may be; recentMost is how many are kept.
const (
	recentFor  = 10 * time.Second
	recentMost = 32
)

func newRecent(now func() time.Time, compute func(context.Context, string, greentally.Month) (figures, error)) *recent {
	return &recent{compute: compute, now: now, kept: map[recentKey]figures{}, stale: map[string]time.Time{}}
}

// get returns the figures of a month.
func (r *recent) get(ctx context.Context, community string, month greentally.Month) (figures, error) {
	key := recentKey{community, month}
	for {
		if f, ok := r.find(key); ok {
			return f, nil
		}
		// What is begun goes on when the one who asked for it has gone: others wait for it.
		done := r.flight.DoChan(community+" "+month.String(), func() (any, error) {
			began := r.now()
			f, err := r.compute(context.WithoutCancel(ctx), community, month)
			f.at = began
			if err == nil {
				r.keep(key, f)
			}
			return f, err
		})
		select {
		case result := <-done:
			// Somebody may have changed something since it was begun: then once more.
			if f, _ := result.Val.(figures); result.Err != nil || !r.isStale(community, f) {
				return f, result.Err
			}
		case <-ctx.Done():
			return figures{}, ctx.Err()
		}
	}
}

// isStale reports whether somebody changed something after the figures began to be computed.
func (r *recent) isStale(community string, f figures) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !f.at.After(r.stale[community])
}

func (r *recent) find(key recentKey) (figures, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, ok := r.kept[key]
	return f, ok && r.now().Sub(f.at) < recentFor && f.at.After(r.stale[key.community])
}

func (r *recent) keep(key recentKey, f figures) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for other, old := range r.kept {
		if len(r.kept) >= recentMost || r.now().Sub(old.at) >= recentFor {
			delete(r.kept, other)
		}
	}
	r.kept[key] = f
}

// forget makes what is kept of a community too old, because somebody changed something.
func (r *recent) forget(community string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stale[community] = r.now()
}
