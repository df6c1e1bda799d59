package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"greentally"
	"greentally/ingest"
	"greentally/internal/retry"
)

// adoptions take in what devices said before they were adopted: their dead letters go through the
// journal again. That can take long, and whoever adopts does not wait for it.
type adoptions struct {
	decode      func(greentally.Message) ([]greentally.Reading, error)
	discoveries *ingest.Discoveries
	letters     *ingest.DeadLetters
	append      func(context.Context, ...greentally.Message) error
	log         *slog.Logger

	mu      sync.Mutex
	waiting []greentally.Device
	asked   chan struct{} // holds one while devices wait
}

func newAdoptions(decode func(greentally.Message) ([]greentally.Reading, error), discoveries *ingest.Discoveries, letters *ingest.DeadLetters,
	appendTo func(context.Context, ...greentally.Message) error, log *slog.Logger,
) *adoptions {
	return &adoptions{decode: decode, discoveries: discoveries, letters: letters, append: appendTo, log: log, asked: make(chan struct{}, 1)}
}

// unknownAs returns the keys by which a device was known before it was adopted: its topic tells its
// community, or does not.
func unknownAs(d greentally.Device) []greentally.DeviceKey {
	address := cmp.Or(d.Address, d.ID)
	return []greentally.DeviceKey{{Community: d.Community, Device: address}, {Device: address}}
}

// add says that a device was adopted.
func (a *adoptions) add(ctx context.Context, d greentally.Device) error {
	for _, key := range unknownAs(d) {
		if err := a.discoveries.Forget(ctx, key); err != nil {
			return err
		}
	}
	a.mu.Lock()
	a.waiting = append(a.waiting, d)
	a.mu.Unlock()
	select {
	case a.asked <- struct{}{}:
	default:
	}
	return nil
}

// run takes in what the adopted devices said, those together that were adopted meanwhile, until ctx
// is done.
func (a *adoptions) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.asked:
		}
		a.mu.Lock()
		devices := a.waiting
		a.waiting = nil
		a.mu.Unlock()
		taken := 0
		if err := retry.Do(ctx, a.log, "take in what adopted devices said before", func() error { return a.take(ctx, devices, &taken) }); err != nil {
			a.log.Warn("what adopted devices said before was not all taken in; see greentally deadletter replay --reason unknown_device", "devices", len(devices), "taken", taken)
			return nil //nolint:nilerr // it was asked to stop
		}
		if taken > 0 {
			a.log.Info("what adopted devices said before was taken in", "devices", len(devices), "messages", taken)
		}
	}
}

// together is how many letters go into the journal at once, and progressEvery how many are taken
// between two lines of the log.
const together, progressEvery = 500, 10_000

// take sends the dead letters of devices through the journal again, and counts them.
func (a *adoptions) take(ctx context.Context, devices []greentally.Device, taken *int) error {
	var keys []greentally.DeviceKey
	adopted := map[greentally.DeviceKey]bool{}
	for _, d := range devices {
		keys = append(keys, unknownAs(d)...)
		adopted[d.Key()] = true
	}
	var some []greentally.DeadLetter
	var failed error
	flush := func() bool {
		if failed = a.letters.Take(ctx, some, a.append); failed != nil {
			return false
		}
		before := *taken
		*taken += len(some)
		if before/progressEvery < *taken/progressEvery {
			a.log.Info("taking in what adopted devices said before", "messages", *taken)
		}
		some = some[:0]
		return true
	}
	for part := range slices.Chunk(keys, 100) { // a consumer has so many filters
		err := a.letters.Of(ctx, part, func(l greentally.DeadLetter) bool {
			if l.Reason != greentally.UnknownDevice {
				return true
			}
			readings, _ := a.decode(l.Message())
			if len(readings) == 0 || !adopted[readings[0].DeviceKey] {
				return true
			}
			some = append(some, l)
			return len(some) < together || flush()
		})
		if failed != nil {
			return failed
		}
		if err != nil {
			return fmt.Errorf("adopted devices: %w", err)
		}
	}
	flush()
	return failed
}
