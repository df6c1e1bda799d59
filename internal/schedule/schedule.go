// Package schedule does things at the times that cron expressions say, each time once: also
// across restarts, late if nothing ran at the time, and again until it works.
//
// It knows nothing of what it does. What was done is remembered in a [State].
package schedule

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/adhocore/gronx"
)

// Job is something to do.
type Job struct {
	Name     string         // what it is remembered by; letters, digits, hyphens and dots
	Cron     string         // minute, hour, day of the month, month, day of the week; avoid hours that summer time leaves out
	Location *time.Location // in which these are meant
	Late     time.Duration  // after so long it is no longer worth doing

	// Do does what was due at a time. After an error it is called again within a minute, until
	// it works or is too late.
	Do func(ctx context.Context, due time.Time) error
}

// Valid returns what is wrong with a cron expression.
func Valid(cron string) error {
	if !gronx.IsValid(cron) {
		return fmt.Errorf("%q is no time of the form minute hour day month weekday, such as 0 8 * * *", cron)
	}
	return nil
}

// State remembers when a job was due that is done, as text. Alerting's state is one.
type State interface {
	All(ctx context.Context) (map[string][]byte, error)
	Write(ctx context.Context, values map[string][]byte) error
}

// often is how often jobs are looked at: a clock that is put forward or back is noticed by
// the next look.
const often = time.Minute

// Run does the jobs until ctx is done. jobs is called at each look. A job that nobody
// remembers is first done at its next time, not for those that passed.
func Run(ctx context.Context, state State, jobs func() []Job, log *slog.Logger) error {
	done, err := state.All(ctx)
	if err != nil {
		return fmt.Errorf("read what was done: %w", err)
	}
	failed := map[string]time.Time{} // due when it failed first, so that it is said once
	for {
		for _, job := range jobs() {
			due, err := look(ctx, state, done, job)
			switch {
			case err == nil || ctx.Err() != nil:
			case !failed[job.Name].Equal(due):
				log.Warn("a job failed; it is tried again", "job", job.Name, "due", due, "error", err)
				failed[job.Name] = due
			}
		}
		select {
		case <-time.After(often):
		case <-ctx.Done():
			return nil
		}
	}
}

// look does the job if it is due.
func look(ctx context.Context, state State, done map[string][]byte, job Job) (due time.Time, err error) {
	now := time.Now().In(job.Location)
	if due, err = gronx.PrevTickBefore(job.Cron, now, true); err != nil {
		return now, fmt.Errorf("time %q: %w", job.Cron, err)
	}
	due = due.Truncate(time.Minute)
	if last, known := done[job.Name]; known {
		at, err := time.Parse(time.RFC3339, string(last))
		if err == nil && !due.After(at) && at.Sub(now) < wrongClock {
			return due, nil
		}
		if err == nil && !due.After(at) { // the clock was wrong, and went on by itself until then
			return due, remember(ctx, state, done, job.Name, due)
		}
		if now.Sub(due) <= job.Late {
			if err := job.Do(ctx, due); err != nil {
				return due, err
			}
		}
	} else if now.Sub(due) < often { // it is its very time
		if err := job.Do(ctx, due); err != nil {
			return due, err
		}
	}
	return due, remember(ctx, state, done, job.Name, due)
}

// wrongClock is how far ahead of now a job can have been done without the clock having been
// wrong then.
const wrongClock = 36 * time.Hour

func remember(ctx context.Context, state State, done map[string][]byte, name string, due time.Time) error {
	text := []byte(due.UTC().Format(time.RFC3339))
	if err := state.Write(ctx, map[string][]byte{name: text}); err != nil {
		return fmt.Errorf("remember that it is done: %w", err)
	}
	done[name] = text
	return nil
}
