package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"golang.org/x/sync/semaphore"

	"greentally"
)

// stream is a JetStream stream of entries that followers read in order, each from
// its own place.
//
// The places are kept in a key-value bucket rather than in JetStream's consumers,
// because a durable consumer that was cut off gives new messages first and the
// unacknowledged ones only after a time-out, which would break the order of a
// device's readings.
//
// Places and entries are different files, or on different machines: a stream can lose its end,
// or be made anew, and the places not. So each place says of which stream it is, and is compared
// with the stream when that is opened and whenever an append shows that the stream went back.
// Entries are removed only when every follower has taken them; so a sequence that is passed over
// is an entry that was lost, and is told.
type stream struct {
	js      jetstream.JetStream
	reader  jetstream.JetStream // of a connection of its own, so that what followers read holds up nothing else
	name    string
	subject string
	owner   string // of places
	ahead   int    // how many entries are asked for at once
	places  jetstream.KeyValue
	metrics *Metrics
	wrong   func(error) // is told of entries that are lost
	log     *slog.Logger

	moves sync.Mutex // held while places are moved, put back or compared, and while entries are removed

	mu   sync.Mutex
	id   int64  // when the stream was made, in ns since 1970
	last uint64 // the last sequence that is known

	wentBack bool                     // the stream did, and not all places are put back yet
	handled  map[string]place         // by follower: what it has seen
	kept     map[string]place         // and what it has kept
	again    map[string]chan struct{} // by follower: closed when it is to begin anew from its place
	missed   map[string]uint64        // by follower: entries that it lost, since the start
}

// Streams say where streams are kept.
type Streams struct {
	JetStream jetstream.JetStream
	// Reader is the same over a connection of its own, by which followers read, so that what
	// waits for them holds up nothing else; JetStream if it is nil.
	Reader   jetstream.JetStream
	Replicas int         // copies in a cluster; 0 and 1 mean one
	Lost     func(error) // is told of acknowledged entries that are lost; may be nil
}

// place is how far a follower has come.
type place struct {
	sequence uint64    // all up to and including this one is done
	furthest uint64    // the furthest that it ever was in this stream; what comes up to there comes again
	owner    string    // who moved it there: each opening of a stream has a name of its own
	stream   int64     // the id of the stream; 0 if that is not known, as in what earlier versions kept
	revision uint64    // of the key, so that two writers of one place notice each other
	appended time.Time // when the entry at sequence was appended; zero if unknown
}

func (p place) encode() []byte {
	return fmt.Appendf(nil, "%d %d %s %d", p.sequence, p.stream, p.owner, max(p.furthest, p.sequence))
}

func decodePlace(e jetstream.KeyValueEntry) (p place, err error) {
	p.revision = e.Revision()
	fields := strings.Fields(string(e.Value()))
	if len(fields) == 1 { // as earlier versions kept it
		p.sequence, err = strconv.ParseUint(fields[0], 10, 64)
		p.furthest = p.sequence
		return p, err
	}
	if _, err = fmt.Sscan(string(e.Value()), &p.sequence, &p.stream, &p.owner, &p.furthest); err != nil {
		return p, fmt.Errorf("%q is no place: %w", e.Value(), err)
	}
	return p, nil
}

// openStream creates the stream if it is not there, or brings it up to config.
func openStream(ctx context.Context, at Streams, config jetstream.StreamConfig, ahead int, metrics *Metrics, log *slog.Logger) (*stream, error) {
	js, reader, wrong := at.JetStream, cmp.Or(at.Reader, at.JetStream), at.Lost
	if wrong == nil {
		wrong = func(error) {}
	}
	config.Replicas = max(1, at.Replicas)
	if _, err := js.CreateOrUpdateStream(ctx, config); err != nil {
		return nil, fmt.Errorf("stream %s: %w", config.Name, err)
	}
	places, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket:      config.Name + "_PLACES",
		Description: "How far each follower of " + config.Name + " has come",
		Storage:     jetstream.FileStorage,
		Replicas:    config.Replicas,
	})
	if err != nil {
		return nil, fmt.Errorf("places in stream %s: %w", config.Name, err)
	}
	s := &stream{js: js, reader: reader, name: config.Name, subject: config.Subjects[0], owner: nuid.Next(), ahead: ahead, places: places, metrics: metrics, wrong: wrong, log: log,
		handled: map[string]place{}, kept: map[string]place{}, again: map[string]chan struct{}{}, missed: map[string]uint64{}}
	info, err := s.info(ctx)
	if err != nil {
		return nil, err
	}
	return s, s.compare(ctx, info.Created.UnixNano(), info.State.FirstSeq, info.State.LastSeq)
}

// info asks for the state of the stream.
func (s *stream) info(ctx context.Context) (*jetstream.StreamInfo, error) {
	st, err := s.js.Stream(ctx, s.name)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", s.name, err)
	}
	return st.CachedInfo(), nil
}

// compare holds the places against the stream, which has the entries from first to last, and
// puts back those that are ahead of it: else what is appended from now on would be passed over
// until it has caught up with them.
func (s *stream) compare(ctx context.Context, id int64, first, last uint64) error {
	s.moves.Lock()
	defer s.moves.Unlock()
	places, err := s.allPlaces(ctx)
	if err != nil {
		return err
	}
	var top uint64 // the last entry that is known to have been there
	anew := false
	for _, at := range places {
		anew = anew || at.stream != 0 && at.stream != id
		top = max(top, at.sequence, at.furthest)
	}
	s.mu.Lock()
	s.id, s.last, s.wentBack = id, last, anew || top > last
	s.mu.Unlock()
	if !anew && top <= last {
		return nil
	}
	for _, follower := range slices.Sorted(maps.Keys(places)) {
		at := places[follower]
		to := place{sequence: min(at.sequence, last), stream: id, revision: at.revision}
		if anew {
			to.sequence = max(first, 1) - 1 // all that is there comes, if need be again
			if last >= top {
				to.furthest = at.furthest // only what describes the stream was
			}
		}
		if _, err := s.move(ctx, follower, to); err != nil {
			return err
		}
		lost := top - max(at.sequence, min(last, top))
		if anew && last < top {
			lost = top - at.sequence
		}
		if lost > 0 {
			s.lost(follower, lost, "the stream ends before them; it was damaged, restored or made anew", "entries", fmt.Sprintf("%d to %d", top-lost+1, top))
		}
	}
	if top > last {
		s.log.Error("a stream has fewer entries than its followers have taken; they go on from its end", "stream", s.name, "taken", top, "last", last, "made_anew", anew)
	} else {
		s.log.Error("a stream is described as another one than before, and has all its entries; they are taken again", "stream", s.name, "last", last)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wentBack = false
	for follower, again := range s.again {
		close(again)
		delete(s.again, follower)
	}
	return nil
}

// lost tells that a follower will never see some entries.
func (s *stream) lost(follower string, entries uint64, why string, args ...any) {
	s.metrics.lost.WithLabelValues(follower).Add(float64(entries))
	s.log.Error("entries that were acknowledged are lost: "+why, append([]any{"stream", s.name, "follower", follower, "lost", entries}, args...)...)
	s.mu.Lock()
	s.missed[follower] += entries
	all := s.missed[follower]
	s.mu.Unlock()
	s.wrong(fmt.Errorf("%d entries of %s that were acknowledged, and that %s had not taken, are lost since the start; the log says which", all, s.name, follower))
}

// append appends an entry and returns when it is synced. If the stream turns out to have gone
// back, the followers are put back before it returns, so that they see the entry.
func (s *stream) append(ctx context.Context, data []byte, options ...jetstream.PublishOpt) error {
	s.mu.Lock()
	before := s.last
	s.mu.Unlock()
	ack, err := s.js.Publish(ctx, s.subject, data, options...)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.wentBack = s.wentBack || ack.Sequence <= before && !ack.Duplicate
	wentBack := s.wentBack // also if it could not be compared when it was noticed
	s.mu.Unlock()
	if wentBack {
		info, err := s.info(ctx)
		if err != nil {
			return err
		}
		if err := s.compare(ctx, info.Created.UnixNano(), info.State.FirstSeq, ack.Sequence-1); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.last = max(s.last, ack.Sequence)
	s.mu.Unlock()
	return nil
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
	p, err := decodePlace(entry)
	if err != nil {
		return place{}, fmt.Errorf("place of %s in %s: %w", follower, s.name, err)
	}
	return p, nil
}

// allPlaces returns the places of all followers that were ever here.
func (s *stream) allPlaces(ctx context.Context) (map[string]place, error) {
	keys, err := s.places.Keys(ctx)
	if err != nil && !errors.Is(err, jetstream.ErrNoKeysFound) {
		return nil, fmt.Errorf("places in %s: %w", s.name, err)
	}
	all := map[string]place{}
	for _, key := range keys {
		if all[key], err = s.place(ctx, key); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// errTaken is the error of a place that somebody else moved.
var errTaken = errors.New("another process follows under the same name; stop one of them")

// move moves the follower's place, and returns its new revision. An error that wraps
// [errTaken] says that another process moved it since.
func (s *stream) move(ctx context.Context, follower string, p place) (revision uint64, err error) {
	p.owner = s.owner
	for attempt := 1; ; attempt++ {
		revision, err = s.places.Update(ctx, follower, p.encode(), p.revision)
		if err == nil {
			break
		}
		if !errors.Is(err, jetstream.ErrKeyRevisionMismatch) || attempt > 3 {
			return 0, fmt.Errorf("move the place of %s in %s: %w", follower, s.name, err)
		}
		// Perhaps it was a move of ours whose answer did not come, as while a cluster was away.
		now, placeErr := s.place(ctx, follower)
		if placeErr != nil {
			return 0, placeErr
		}
		if now.owner != s.owner {
			return 0, fmt.Errorf("move the place of %s in %s: %w: %w", follower, s.name, errTaken, err)
		}
		p.revision = now.revision
	}
	p.revision = revision
	s.mu.Lock()
	s.kept[follower] = p
	s.mu.Unlock()
	return revision, nil
}

// setBack puts a follower's place back to a sequence, and has it follow from there. It does
// nothing if the follower is not further. It returns where the place was, and where it is.
func (s *stream) setBack(ctx context.Context, follower string, sequence uint64) (from, to uint64, err error) {
	s.moves.Lock()
	defer s.moves.Unlock()
	at, err := s.place(ctx, follower)
	if err != nil || at.revision == 0 || at.sequence <= sequence {
		return at.sequence, at.sequence, err
	}
	info, err := s.info(ctx)
	if err != nil {
		return at.sequence, at.sequence, err
	}
	// What was removed before, because all had taken it, is not lost.
	if sequence = max(sequence, max(info.State.FirstSeq, 1)-1); at.sequence <= sequence {
		return at.sequence, at.sequence, nil
	}
	s.mu.Lock()
	back := place{sequence: sequence, stream: s.id, revision: at.revision, furthest: max(at.furthest, at.sequence)}
	s.mu.Unlock()
	if _, err = s.move(ctx, follower, back); err != nil {
		return at.sequence, at.sequence, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if again, following := s.again[follower]; following {
		close(again)
		delete(s.again, follower)
	}
	return at.sequence, sequence, nil
}

// entry is one message of the stream, as it is handed to a follower.
type entry[T any] struct {
	sequence uint64
	again    bool // the follower has taken it before
	appended time.Time
	value    T
}

// follower is who follows a stream, and how.
type follower[T any] struct {
	name  string
	parse func([]byte) (value T, weight int)
	most  int // weight of what is handed over at once, give or take an entry

	// handle takes entries, in order. What it was handed does not come again, but for what it
	// has not kept when it follows anew.
	handle func(context.Context, []entry[T]) error
	// kept returns the sequence up to which the follower has kept what it made of the entries; it
	// is asked after each time that it was handed some and once a second. Nil means that all that
	// was handled is kept.
	kept func(context.Context) uint64
}

const (
	// mostBytes is how many bytes a follower is handed at once, and how many are read ahead of it;
	// give or take an entry of each.
	mostBytes = 4 << 20
	// mostAhead is how many entries are read ahead of a follower within these bytes.
	mostAhead = 4096
	// keepEvery is how often a follower is asked what it has kept.
	keepEvery = time.Second
	// followAgain is how long a follower that lost sight of the stream waits.
	followAgain = 500 * time.Millisecond
	// moveWithin is how long a place may take to be moved before that is tried anew.
	moveWithin = 10 * time.Second
)

// follow hands the entries after the follower's place to it until ctx is done (it then returns
// nil), it fails, or its place was moved by another process. What keeps it from reading the
// stream for a while is told, and tried again.
func follow[T any](ctx context.Context, s *stream, f follower[T]) error {
	for attempt := 1; ; attempt++ {
		progress, err := followOnce(ctx, s, f)
		if progress {
			attempt = 1
		}
		var passing *passingError
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // it is asked to stop
		case err == nil: // its place was put back
			continue
		case !errors.As(err, &passing):
			return err
		}
		if attempt%20 == 1 {
			s.log.Warn("a follower lost sight of its stream; it goes on when it can", "stream", s.name, "follower", f.name, "error", err, "attempt", attempt)
		}
		select {
		case <-time.After(followAgain):
		case <-ctx.Done():
			return nil
		}
	}
}

// passingError is what may go by itself, such as a stream that is out of reach.
type passingError struct{ err error }

func (e *passingError) Error() string { return e.err.Error() }
func (e *passingError) Unwrap() error { return e.err }

// announce returns the follower's place. One that was never here gets one before the first entry,
// so that nothing is purged before it was here.
func (s *stream) announce(ctx context.Context, name string) (place, error) {
	s.moves.Lock() // not while entries are removed
	defer s.moves.Unlock()
	at, err := s.place(ctx, name)
	if err != nil {
		return at, err
	}
	if at.revision == 0 {
		info, err := s.info(ctx)
		if err != nil {
			return at, err
		}
		at = place{sequence: max(info.State.FirstSeq, 1) - 1, stream: info.Created.UnixNano(), owner: s.owner}
		if at.revision, err = s.places.Create(ctx, name, at.encode()); err != nil {
			return at, fmt.Errorf("place of %s in %s: %w", name, s.name, err)
		}
	}
	s.metrics.lost.WithLabelValues(name) // so that it shows as 0
	s.mu.Lock()
	s.handled[name], s.kept[name] = at, at
	s.mu.Unlock()
	return at, nil
}

// followOnce follows until the follower is to begin anew, and reports whether it was handed something.
func followOnce[T any](ctx context.Context, s *stream, f follower[T]) (progress bool, err error) {
	again := make(chan struct{})
	s.mu.Lock()
	s.again[f.name] = again
	s.mu.Unlock()
	at, err := s.announce(ctx, f.name)
	if err != nil {
		return false, &passingError{err}
	}
	passing := func(err error) error {
		return &passingError{fmt.Errorf("follow %s as %s: %w", s.name, f.name, err)}
	}
	consumer, err := s.reader.OrderedConsumer(ctx, s.name, jetstream.OrderedConsumerConfig{
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       at.sequence + 1,
		InactiveThreshold: time.Minute,
		MaxResetAttempts:  3, // then it is told, and begun anew
	})
	if err != nil {
		return false, passing(err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(s.ahead))
	if err != nil {
		return false, passing(err)
	}

	reading, cancel := context.WithCancelCause(ctx)
	ahead := make(chan jetstream.Msg, mostAhead)
	room := semaphore.NewWeighted(mostBytes) // for what is in ahead
	weigh := func(msg jetstream.Msg) int64 { return min(int64(len(msg.Data())), mostBytes) }
	go func() { // it may wait for a server that is away for longer than anybody waits for it
		for {
			msg, err := messages.Next(jetstream.NextContext(reading))
			if err != nil {
				if reading.Err() == nil {
					cancel(passing(err))
				}
				return
			}
			if room.Acquire(reading, weigh(msg)) != nil {
				return
			}
			select {
			case ahead <- msg:
			case <-reading.Done():
				return
			}
		}
	}()
	defer func() { go messages.Stop() }()
	defer cancel(nil)

	keep := func(handled uint64) error {
		kept := handled
		if f.kept != nil {
			kept = min(handled, f.kept(ctx))
		}
		if kept <= at.sequence {
			return nil
		}
		s.moves.Lock()
		defer s.moves.Unlock()
		select {
		case <-again:
			return nil // it was put back meanwhile
		default:
		}
		to := place{sequence: kept, stream: at.stream, revision: at.revision, furthest: max(at.furthest, kept)}
		if to.stream == 0 {
			s.mu.Lock()
			to.stream = s.id
			s.mu.Unlock()
		}
		moving, cancel := outlast(ctx, moveWithin) // what was handled is done, even if ctx is done by now
		defer cancel()
		revision, err := s.move(moving, f.name, to)
		if errors.Is(err, errTaken) {
			return err
		}
		if err != nil {
			return &passingError{err}
		}
		at = to
		at.revision = revision
		return nil
	}

	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	handled, known := at.sequence, at.sequence > 0 || at.stream != 0 // earlier versions began at 0, whatever had been removed before
	var appended time.Time                                           // of the entry before
	for {
		var batch []entry[T]
		weight, size := 0, 0
		last := handled
		add := func(msg jetstream.Msg) error {
			room.Release(weigh(msg))
			meta, err := msg.Metadata()
			if err != nil {
				return passing(err)
			}
			if gap := meta.Sequence.Stream - last - 1; gap > 0 && known {
				s.lost(f.name, gap, "they are not in the stream any more, and nobody removed them", "entries", fmt.Sprintf("%d to %d", last+1, meta.Sequence.Stream-1),
					"after", appended, "before", meta.Timestamp)
			}
			last, appended, known = meta.Sequence.Stream, meta.Timestamp, true
			value, w := f.parse(msg.Data())
			batch = append(batch, entry[T]{meta.Sequence.Stream, meta.Sequence.Stream <= at.furthest, meta.Timestamp, value})
			weight += w
			size += len(msg.Data())
			return nil
		}
		select {
		case <-again:
			return progress, nil
		case <-tick.C:
			if err := keep(handled); err != nil {
				return progress, err
			}
			continue
		case <-reading.Done(): // which ctx ends, too
			return progress, context.Cause(reading)
		case msg := <-ahead:
			if err := add(msg); err != nil {
				return progress, err
			}
		}
	drain:
		for weight < f.most && size < mostBytes {
			select {
			case msg := <-ahead:
				if err := add(msg); err != nil {
					return progress, err
				}
			default:
				break drain
			}
		}
		if err := f.handle(ctx, batch); err != nil {
			return progress, err
		}
		handled, progress = last, true
		s.mu.Lock()
		s.handled[f.name] = place{sequence: handled, appended: appended}
		s.mu.Unlock()
		if err := keep(handled); err != nil {
			return progress, err
		}
	}
}

// outlast returns a context that ends after a time, and a little after ctx if that ends before: for
// what is to be finished when the program stops, if that is possible soon.
func outlast(ctx context.Context, within time.Duration) (context.Context, context.CancelFunc) {
	outlasting, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(aLittle):
			cancel()
		case <-outlasting.Done():
		}
	})
	return outlasting, func() { stop(); cancel() }
}

// aLittle is how long what is under way may take when the program stops.
const aLittle = time.Second

// Lag says how far a follower is behind.
type Lag struct {
	Entries uint64              `json:"entries"` // entries that it has not taken yet
	Unkept  uint64              `json:"unkept"`  // entries that it has not kept yet, and would take again after a kill; they cannot be removed
	Age     greentally.Duration `json:"age"`     // since the last entry it has taken was appended, if it is behind; else 0
}

// lags returns the lag of each follower in this process.
func (s *stream) lags(ctx context.Context) (map[string]Lag, error) {
	info, err := s.info(ctx)
	if err != nil {
		return nil, err
	}
	state := info.State
	s.mu.Lock()
	defer s.mu.Unlock()
	behind := func(sequence uint64) uint64 {
		return max(state.LastSeq, sequence, max(state.FirstSeq, 1)-1) - max(sequence, max(state.FirstSeq, 1)-1)
	}
	lags := make(map[string]Lag, len(s.handled))
	for follower, at := range s.handled {
		lag := Lag{Entries: behind(at.sequence), Unkept: behind(s.kept[follower].sequence)}
		if lag.Entries > 0 && !at.appended.IsZero() {
			lag.Age = greentally.Duration(max(0, time.Since(at.appended)))
		}
		lags[follower] = lag
	}
	return lags, nil
}

// since returns the first sequence from first on, and before end, of an entry that was appended
// at t or later; end if there is none.
func (s *stream) since(ctx context.Context, t time.Time, first, end uint64) (uint64, error) {
	st, err := s.js.Stream(ctx, s.name)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", s.name, err)
	}
	for first < end {
		middle := first + (end-first)/2
		msg, err := st.GetMsg(ctx, middle, jetstream.WithGetMsgSubject(s.subject)) // or the next after it
		if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && msg.Sequence >= end {
			end = middle // there are none from there on
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("stream %s entry %d: %w", s.name, middle, err)
		}
		if msg.Time.Before(t) {
			first = msg.Sequence + 1
		} else {
			end = middle
		}
	}
	return first, nil
}

// tidy removes the oldest entries: those older than keep, and while the stream is
// larger than three quarters of its budget, more. It never removes what a follower
// has not kept. It reports whether the stream still is so large.
func (s *stream) tidy(ctx context.Context, keep time.Duration, budget int64) (pressed bool, err error) {
	s.moves.Lock() // no newcomer, and nobody put back, meanwhile
	defer s.moves.Unlock()
	info, err := s.info(ctx)
	if err != nil {
		return false, err
	}
	state := info.State
	pressed = budget > 0 && int64(state.Bytes) > budget/4*3
	first, end := state.FirstSeq, state.LastSeq+1 // first … end-1 may go
	s.mu.Lock()
	for _, at := range s.kept {
		end = min(end, at.sequence+1)
	}
	known := len(s.kept)
	s.mu.Unlock()
	if state.Msgs == 0 || known == 0 || end <= first {
		return pressed, nil
	}
	old, err := s.since(ctx, time.Now().Add(-keep), first, end)
	if err != nil {
		return pressed, err
	}
	if pressed {
		// Entries are of much the same size, so take a quarter of them.
		old = max(old, min(end, first+state.Msgs/4+1))
	}
	if old > first { // there may be followers that are not here now
		places, err := s.allPlaces(ctx)
		if err != nil {
			return pressed, err
		}
		for _, at := range places {
			old = min(old, at.sequence+1)
		}
	}
	if old > first {
		st, err := s.js.Stream(ctx, s.name)
		if err == nil {
			err = st.Purge(ctx, jetstream.WithPurgeSequence(old))
		}
		if err != nil {
			return pressed, fmt.Errorf("purge stream %s: %w", s.name, err)
		}
		s.log.Debug("purged old entries", "stream", s.name, "entries", old-first)
	}
	return pressed, nil
}
