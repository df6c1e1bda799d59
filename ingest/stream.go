package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"greentally"
)

// stream is a JetStream stream of entries that followers read in order, each from
// its own place.
//
// The places are kept in a key-value bucket rather than in JetStream's consumers,
// because a durable consumer that was cut off gives new messages first and the
// unacknowledged ones only after a time-out, which would break the order of a
// device's readings.
type stream struct {
	js     jetstream.JetStream
	name   string
	ahead  int // how many entries are read ahead of a follower
	places jetstream.KeyValue
	log    *slog.Logger

	mu      sync.Mutex
	current map[string]place // by follower, for lag
}

type place struct {
	sequence uint64    // all up to and including this one is done
	revision uint64    // of the key, so that two writers of one place notice each other
	appended time.Time // when the entry at sequence was appended; zero if unknown
}

// openStream creates the stream if it is not there, or brings it up to config.
func openStream(ctx context.Context, js jetstream.JetStream, config jetstream.StreamConfig, ahead int, log *slog.Logger) (*stream, error) {
	if _, err := js.CreateOrUpdateStream(ctx, config); err != nil {
		return nil, fmt.Errorf("stream %s: %w", config.Name, err)
	}
	places, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket:      config.Name + "_PLACES",
		Description: "How far each follower of " + config.Name + " has come",
		Storage:     jetstream.FileStorage,
	})
	if err != nil {
		return nil, fmt.Errorf("places in stream %s: %w", config.Name, err)
	}
	return &stream{js: js, name: config.Name, ahead: ahead, places: places, log: log, current: map[string]place{}}, nil
}

// place returns how far the follower has come.
func (s *stream) place(ctx context.Context, follower string) (place, error) {
	entry, err := s.places.Get(ctx, follower)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return place{}, nil
	}
	if err != nil {
		return place{}, fmt.Errorf("place of %s in %s: %w", follower, s.name, err)
	}
	sequence, err := strconv.ParseUint(string(entry.Value()), 10, 64)
	if err != nil {
		return place{}, fmt.Errorf("place of %s in %s: %w", follower, s.name, err)
	}
	return place{sequence: sequence, revision: entry.Revision()}, nil
}

// move moves the follower's place on, and returns its new revision. It fails if another process moved it since.
func (s *stream) move(ctx context.Context, follower string, p place) (revision uint64, err error) {
	revision, err = s.places.Update(ctx, follower, strconv.AppendUint(nil, p.sequence, 10), p.revision)
	if err != nil {
		return 0, fmt.Errorf("move the place of %s in %s (does another process follow under the same name?): %w", follower, s.name, err)
	}
	return revision, nil
}

// entry is one message of the stream, as it is handed to a follower.
type entry[T any] struct {
	sequence uint64
	appended time.Time
	value    T
}

// follow hands the entries after the follower's place to handle, in order, until
// ctx is done (it then returns nil) or handle fails. It hands over as many at once
// as are there, until their weight reaches most. Handle returns the sequence up to which
// it has kept what it made of them. The place moves there, and what lies before it never
// comes again; what lies behind it comes again if the follower stops and starts anew.
func follow[T any](ctx context.Context, s *stream, follower string, parse func([]byte) (T, int), most int, handle func(context.Context, []entry[T]) (kept uint64, err error)) error {
	at, err := s.place(ctx, follower)
	if err != nil {
		return err
	}
	if at.revision == 0 { // announce the follower, so that nothing is purged before it was here
		revision, err := s.places.Create(ctx, follower, []byte("0"))
		if err != nil {
			return fmt.Errorf("place of %s in %s: %w", follower, s.name, err)
		}
		at.revision = revision
	}
	s.mu.Lock()
	s.current[follower] = at
	s.mu.Unlock()

	consumer, err := s.js.OrderedConsumer(ctx, s.name, jetstream.OrderedConsumerConfig{
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       at.sequence + 1,
		InactiveThreshold: time.Minute,
	})
	if err != nil {
		return fmt.Errorf("follow %s as %s: %w", s.name, follower, err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(s.ahead))
	if err != nil {
		return fmt.Errorf("follow %s as %s: %w", s.name, follower, err)
	}

	ctx, cancel := context.WithCancelCause(ctx)
	ahead := make(chan jetstream.Msg, s.ahead)
	var pump sync.WaitGroup
	pump.Go(func() {
		defer close(ahead)
		for {
			msg, err := messages.Next(jetstream.NextContext(ctx))
			if err != nil {
				if ctx.Err() == nil {
					cancel(fmt.Errorf("follow %s as %s: %w", s.name, follower, err))
				}
				return
			}
			select {
			case ahead <- msg:
			case <-ctx.Done():
				return
			}
		}
	})
	defer pump.Wait()
	defer messages.Stop()
	defer cancel(nil)

	for {
		var batch []entry[T]
		weight := 0
		add := func(msg jetstream.Msg) error {
			meta, err := msg.Metadata()
			if err != nil {
				return fmt.Errorf("follow %s as %s: %w", s.name, follower, err)
			}
			value, w := parse(msg.Data())
			batch = append(batch, entry[T]{meta.Sequence.Stream, meta.Timestamp, value})
			weight += w
			return nil
		}
		msg, ok := <-ahead
		if !ok {
			if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
				return err
			}
			return nil
		}
		if err := add(msg); err != nil {
			return err
		}
	drain:
		for weight < most {
			select {
			case msg, ok := <-ahead:
				if !ok {
					break drain
				}
				if err := add(msg); err != nil {
					return err
				}
			default:
				break drain
			}
		}
		kept, err := handle(ctx, batch)
		if err != nil {
			if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
				return nil
			}
			return err
		}
		if kept > at.sequence { // what was handled is done, even if ctx is done by now
			at.sequence = kept
			if at.revision, err = s.move(context.WithoutCancel(ctx), follower, at); err != nil {
				return err
			}
		}
		last := batch[len(batch)-1]
		s.mu.Lock()
		s.current[follower] = place{sequence: last.sequence, appended: last.appended}
		s.mu.Unlock()
	}
}

// Lag says how far a follower is behind.
type Lag struct {
	Entries uint64              `json:"entries"` // entries that it has not taken yet
	Age     greentally.Duration `json:"age"`     // since the last entry it has taken was appended, if it is behind; else 0
}

// lags returns the lag of each follower in this process.
func (s *stream) lags(ctx context.Context) (map[string]Lag, error) {
	st, err := s.js.Stream(ctx, s.name)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", s.name, err)
	}
	state := st.CachedInfo().State
	s.mu.Lock()
	defer s.mu.Unlock()
	lags := make(map[string]Lag, len(s.current))
	for follower, at := range s.current {
		var lag Lag
		if state.LastSeq > at.sequence {
			lag.Entries = state.LastSeq - max(at.sequence, state.FirstSeq-1)
			if !at.appended.IsZero() {
				lag.Age = greentally.Duration(time.Since(at.appended))
			}
		}
		lags[follower] = lag
	}
	return lags, nil
}

// taken returns the sequence up to which every follower has taken the stream.
func (s *stream) taken(ctx context.Context) (uint64, error) {
	keys, err := s.places.Keys(ctx)
	if errors.Is(err, jetstream.ErrNoKeysFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("places in %s: %w", s.name, err)
	}
	var least uint64
	for i, key := range keys {
		at, err := s.place(ctx, key)
		if err != nil {
			return 0, err
		}
		if i == 0 || at.sequence < least {
			least = at.sequence
		}
	}
	return least, nil
}

// tidy removes the oldest entries: those older than keep, and while the stream is
// larger than threeQuarters of its budget, more. It never removes what a follower
// has not taken.
func (s *stream) tidy(ctx context.Context, keep time.Duration, budget int64) error {
	taken, err := s.taken(ctx)
	if err != nil || taken == 0 {
		return err
	}
	st, err := s.js.Stream(ctx, s.name)
	if err != nil {
		return fmt.Errorf("stream %s: %w", s.name, err)
	}
	state := st.CachedInfo().State
	if state.Msgs == 0 {
		return nil
	}
	first, end := state.FirstSeq, min(state.LastSeq, taken)+1 // may go: first … end-1
	// Find the first that is young enough to stay.
	limit := time.Now().Add(-keep)
	old := first
	for low, high := first, end; low < high; {
		middle := low + (high-low)/2
		msg, err := st.GetMsg(ctx, middle)
		if err != nil {
			return fmt.Errorf("stream %s entry %d: %w", s.name, middle, err)
		}
		if msg.Time.Before(limit) {
			low = middle + 1
			old = low
		} else {
			high = middle
		}
	}
	if budget > 0 && int64(state.Bytes) > budget/4*3 {
		// Entries are of much the same size, so take a quarter of them.
		old = max(old, min(end, first+state.Msgs/4+1))
	}
	if old > first {
		if err := st.Purge(ctx, jetstream.WithPurgeSequence(old)); err != nil {
			return fmt.Errorf("purge stream %s: %w", s.name, err)
		}
		s.log.Debug("purged old entries", "stream", s.name, "entries", old-first)
	}
	return nil
}
