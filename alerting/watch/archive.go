package watch

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"greentally"
	"greentally/internal/retry"
)

// Archive writes alerts to a store, in the background and until it works, so that a store
// that is away keeps nobody from being told. What is not written when the program ends is
// told again by [Watch.Open], if it ended within the last day.
type Archive struct {
	Store interface {
		WriteAlerts(context.Context, []greentally.Alert) error
	}
	Log *slog.Logger

	once    sync.Once
	wake    chan struct{}
	mu      sync.Mutex
	waiting map[archived]greentally.Alert
	writing int
}

type archived struct {
	greentally.AlertKey
	fired int64
}

func (a *Archive) open() {
	a.once.Do(func() { a.wake, a.waiting = make(chan struct{}, 1), map[archived]greentally.Alert{} })
}

// Put takes alerts to be written.
func (a *Archive) Put(alerts ...greentally.Alert) {
	a.open()
	a.mu.Lock()
	for _, alert := range alerts {
		a.waiting[archived{alert.Key(), alert.Fired.UnixNano()}] = alert
	}
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default: // it is awake
	}
}

// Waiting returns how many alerts are not in the store yet.
func (a *Archive) Waiting() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.waiting) + a.writing
}

// Run writes what was put, until ctx is done. What waits then is tried once more.
func (a *Archive) Run(ctx context.Context) error {
	a.open()
	for ctx.Err() == nil {
		select {
		case <-a.wake:
		case <-ctx.Done():
		}
		a.mu.Lock()
		some := slices.SortedFunc(maps.Values(a.waiting), greentally.CompareAlerts)
		clear(a.waiting)
		a.writing = len(some)
		a.mu.Unlock()
		if len(some) == 0 {
			continue
		}
		write := func(ctx context.Context) error { return a.Store.WriteAlerts(ctx, some) }
		if err := retry.Do(ctx, a.Log, "write alerts to the store", func() error { return write(ctx) }); err == nil {
			a.mu.Lock()
			a.writing = 0
			a.mu.Unlock()
			continue
		}
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if err := write(last); err != nil {
			a.Log.Warn("the latest alerts are not in the store yet; they are written after the next start", "error", err)
		}
	}
	return nil
}
