// Package retry does what may fail for a while, such as writing to a store that is away,
// until it works.
//
// It is for what has no limit of time and whose failure is nobody's fault: it says so when
// the trouble begins and when it is over, and little between.
package retry

import (
	"context"
	"log/slog"
	"time"
)

const (
	firstWait   = 100 * time.Millisecond
	longestWait = 5 * time.Second
	silent      = 20 // attempts between two lines of the log
)

// Do calls do until it works, and waits longer and longer between. what says what that is,
// such as "write readings to the store". The only error is that of a ctx that is done.
func Do(ctx context.Context, log *slog.Logger, what string, do func() error) error {
	wait := firstWait
	for attempt := 1; ; attempt++ {
		err := do()
		if err == nil {
			if attempt > 1 {
				log.Info("works again: "+what, "attempts", attempt)
			}
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if attempt%silent == 1 {
			log.Warn("could not "+what+"; trying until it works", "error", err, "attempt", attempt)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
		wait = min(2*wait, longestWait)
	}
}
