package watch

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"greentally"
	"greentally/rules/alerts"
)

// State keeps the engine's state durably, by key.
type State interface {
	All(ctx context.Context) (map[string][]byte, error)
	Write(ctx context.Context, values map[string][]byte) error
}

// Watch runs the rules. Its methods can be called from several goroutines.
type Watch struct {
	Decode func(greentally.Message) ([]greentally.Reading, error)
	State  State
	Every  time.Duration                             // at which the state is kept
	Tell   func(context.Context, []greentally.Alert) // takes alerts that began or ended; it does not block for long
	Now    func() time.Time
	Log    *slog.Logger

	mu     sync.Mutex
	engine *alerts.Engine
	seen   time.Time // when the engine saw something last, or time passed
	last   uint64    // place of what the engine saw last
	said   map[string]time.Time

	due  time.Time // when the state is to be kept next
	kept uint64    // place up to which it is
	turn int       // how often the place was put back
	busy bool      // being kept right now
	wait sync.WaitGroup
}

// Open restores the engine, and tells of all alerts that hold or ended lately.
func (w *Watch) Open(ctx context.Context, engine *alerts.Engine) error {
	values, err := w.State.All(ctx)
	if err != nil {
		return fmt.Errorf("alert state: %w", err)
	}
	for key, data := range values {
		if err := engine.Restore(key, data); err != nil {
			w.Log.Error("a part of the alerts' state cannot be read and is begun anew", "error", err)
		}
	}
	engine.Restored() // what that ends is among all alerts
	w.engine, w.seen, w.due = engine, w.Now(), w.Now().Add(w.Every)
	if all := engine.Alerts(); len(all) > 0 {
		w.Tell(ctx, all)
	}
	return nil
}

// See lets the rules see the messages up to a place.
func (w *Watch) See(ctx context.Context, place uint64, messages []greentally.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.right()
	var changed []greentally.Alert
	before := w.engine.Now()
	for _, m := range messages {
		readings, _ := w.Decode(m) // what is rejected is the writer's to report
		more, err := w.engine.See(m.Received, readings...)
		w.complain(err)
		changed = append(changed, more...)
	}
	if w.engine.Now().After(before) { // else time goes on by Pass
		w.seen = w.Now()
	}
	w.last = place
	w.tell(ctx, changed)
	if !w.Now().Before(w.due) {
		w.keep(ctx)
	}
}

// Kept returns the place up to which the state is kept. If that is urgent, what was seen since is
// kept soon.
func (w *Watch) Kept(ctx context.Context, urgent bool) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if urgent && w.kept < w.last {
		w.keep(ctx)
	}
	return w.kept
}

// SetBack tells that messages come again from behind a place, so that what is kept counts up to there.
func (w *Watch) SetBack(place uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if place < w.last {
		w.last, w.kept = place, min(w.kept, place)
		w.turn++ // what is being kept was of before
	}
}

// right sets the rules' time right if messages were stamped by a clock that was ahead.
func (w *Watch) right() {
	if now := w.Now(); w.engine.Now().Sub(now) > ahead {
		w.Log.Warn("messages were stamped by a clock that was ahead; the alert rules forget what it dated", "ahead", w.engine.Now().Sub(now).Round(time.Second))
		w.engine.SetBack(now.UTC())
	}
}

// ahead is by how much the rules' time may be ahead of the clock.
const ahead = time.Minute

// Pass lets the time pass since the rules saw something last. It is called about once a
// second, as long as no message waits; listening says whether messages can come.
func (w *Watch) Pass(ctx context.Context, listening bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.right()
	now := w.Now()
	pass := w.engine.Pass
	if !listening {
		pass = w.engine.Miss
	}
	changed, err := pass(now.Sub(w.seen))
	w.seen = now
	w.complain(err)
	w.tell(ctx, changed)
	if len(changed) > 0 || !now.Before(w.due) { // no reading that is seen again brings it back
		w.keep(ctx)
	}
}

// Do lets the engine see something else, such as a device-day, and keeps the state if that
// began or ended an alert.
func (w *Watch) Do(ctx context.Context, do func(*alerts.Engine) ([]greentally.Alert, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	changed, err := do(w.engine)
	w.complain(err)
	if len(changed) > 0 {
		w.tell(ctx, changed)
		w.keep(ctx)
	}
}

// Alerts returns the alerts that hold, and those that ended within the last day.
func (w *Watch) Alerts() []greentally.Alert {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.engine.Alerts()
}

// Close keeps the state.
func (w *Watch) Close(ctx context.Context) error {
	w.wait.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	values, err := w.take()
	if err != nil {
		return err
	}
	if err := w.State.Write(ctx, values); err != nil {
		return fmt.Errorf("keep the alerts' state: %w", err)
	}
	return nil
}

func (w *Watch) tell(ctx context.Context, changed []greentally.Alert) {
	if len(changed) > 0 {
		w.Tell(ctx, changed)
	}
}

// take takes out what changed since it was taken out last.
func (w *Watch) take() (map[string][]byte, error) {
	values := map[string][]byte{}
	err := w.engine.Save(func(key string, data []byte) error { values[key] = data; return nil })
	return values, err
}

// keep keeps the state, while the rules go on. One write at a time: what changes meanwhile
// is kept the next time.
func (w *Watch) keep(ctx context.Context) {
	w.due = w.Now().Add(w.Every)
	if w.busy {
		return
	}
	values, err := w.take()
	if err != nil {
		w.Log.Error("the alerts' state cannot be kept", "error", err)
		return
	}
	place, turn := w.last, w.turn
	w.busy = true
	w.wait.Go(func() {
		err := w.State.Write(ctx, values)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.busy = false
		if err != nil {
			w.engine.Unsaved()
			if ctx.Err() == nil {
				w.Log.Warn("the alerts' state was not kept; it is tried again", "error", err)
			}
			return
		}
		if turn == w.turn {
			w.kept = place
		}
	})
}

// complain logs what rules could not be evaluated, each error once an hour.
func (w *Watch) complain(err error) {
	if err == nil {
		return
	}
	if w.said == nil || len(w.said) > 1000 {
		w.said = map[string]time.Time{}
	}
	if now := w.Now(); now.Sub(w.said[err.Error()]) > time.Hour {
		w.said[err.Error()] = now
		w.Log.Error("an alert rule cannot be evaluated", "error", err)
	}
}
