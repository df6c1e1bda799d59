package main

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"greentally"
)

// recent computes something of a community's month once for all who look at about the same time.
// What people see is a while old at most, and never from before what they changed themselves.
type recent[T any] struct {
	compute func(ctx context.Context, community string, month greentally.Month) (T, error)
	keep    time.Duration // how old it may be
	now     func() time.Time

	flight singleflight.Group
	mu     sync.Mutex
	kept   map[recentKey]aged[T]
	stale  map[string]time.Time // since when what is kept of a community is too old
}

type recentKey struct {
	community string
	month     greentally.Month
}

// aged is something with when it began to be computed.
type aged[T any] struct {
	value T
	at    time.Time
}

// recentMost is how much is kept.
const recentMost = 32

func newRecent[T any](keep time.Duration, now func() time.Time, compute func(context.Context, string, greentally.Month) (T, error)) *recent[T] {
	return &recent[T]{compute: compute, keep: keep, now: now, kept: map[recentKey]aged[T]{}, stale: map[string]time.Time{}}
}

// get returns what there is of a month.
func (r *recent[T]) get(ctx context.Context, community string, month greentally.Month) (none T, err error) {
	key := recentKey{community, month}
	for {
		if value, ok := r.find(key); ok {
			return value, nil
		}
		// What is begun goes on when the one who asked for it has gone: others wait for it.
		done := r.flight.DoChan(community+" "+month.String(), func() (any, error) {
			began := r.now()
			value, err := r.compute(context.WithoutCancel(ctx), community, month)
			if err == nil {
				r.add(key, value, began)
			}
			return aged[T]{value, began}, err
		})
		select {
		case result := <-done:
			if result.Err != nil {
				return none, result.Err
			}
			// Somebody may have changed something since it was begun: then once more.
			if computed, ok := result.Val.(aged[T]); ok && !r.isStale(community, computed.at) {
				return computed.value, nil
			}
		case <-ctx.Done():
			return none, ctx.Err()
		}
	}
}

func (r *recent[T]) find(key recentKey) (value T, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, ok := r.kept[key]
	return found.value, ok && r.now().Sub(found.at) < r.keep && found.at.After(r.stale[key.community])
}

func (r *recent[T]) isStale(community string, at time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !at.After(r.stale[community])
}

// put keeps what somebody else has computed.
func (r *recent[T]) put(community string, month greentally.Month, value T) {
	r.add(recentKey{community, month}, value, r.now())
}

func (r *recent[T]) add(key recentKey, value T, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for other, old := range r.kept {
		if len(r.kept) >= recentMost || r.now().Sub(old.at) >= r.keep {
			delete(r.kept, other)
		}
	}
	r.kept[key] = aged[T]{value, at}
}

// forget makes what is kept of a community too old, because somebody changed something.
func (r *recent[T]) forget(community string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stale[community] = r.now()
}
