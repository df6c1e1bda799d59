package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"golang.org/x/sync/semaphore"

	"greentally"
)

// Delivery is a message that a source hands over.
type Delivery struct {
	Message greentally.Message

	// Ack is called once: with nil when the message is on disk, or with an error when
	// it will not be, because the journal is closing. The source acknowledges the
	// message to its sender in the first case only. Ack must not block.
	Ack func(error)
}

// JournalConfig says how much the journal keeps.
type JournalConfig struct {
	MaxBytes int64         // disk budget; when it is full of entries not yet taken, nothing more is acknowledged
	Keep     time.Duration // how long entries stay, if the budget allows; those not yet kept by all followers stay anyway

	// Followers are those that will follow. They have places from the beginning, so that nothing is
	// removed before they took it, although they may begin late, as while the store is away.
	Followers []string

	// Trouble is told of what keeps the journal from taking messages, again while it lasts, and nil
	// when that is over. ClockTrouble is told when the clock jumped, and nil when it did not for an
	// hour. Both may be nil.
	Trouble, ClockTrouble func(error)
	// Now is the clock; time.Now if it is nil.
	Now func() time.Time
}

// Journal keeps messages as they came. Many messages make one entry of a JetStream
// stream: all that arrived while the entry before was being synced.
type Journal struct {
	stream  *stream
	config  JournalConfig
	metrics *Metrics
	log     *slog.Logger

	queue   chan Delivery
	room    *semaphore.Weighted // in bytes, for what is in queue or being written
	closing chan struct{}
	trying  context.Context // ends when what does not work is given up
	giveUp  context.CancelFunc
	submits sync.RWMutex // read-locked while something is put into queue, which closes under the lock
	close   sync.Once
	done    chan struct{}
	full    chan struct{} // holds a value when an entry found no room
	pressed atomic.Bool   // there is little room, or none: followers are to keep what they have at once

	last       time.Time // the stamp given last; used by run alone
	read       time.Time // when the clock was read last, with its monotonic part; used by run alone
	jumped     time.Time // when the clock jumped last, zero if nobody needs to know any more; used by run alone
	maxPayload int
}

const (
	journalStream  = "GREENTALLY_JOURNAL"
	journalSubject = "greentally.journal"

	entryMessages = 4096    // most messages in an entry
	entryBytes    = 1 << 20 // an entry is closed when it reaches this size

	// queueBytes is how many bytes of messages wait for the disk, at most; who has more waits.
	queueBytes = 16 << 20
	// clockSlack is how far the clock may be behind what was stamped before, or jump ahead, before
	// somebody is told.
	clockSlack = time.Minute
	// clockTold is for how long that is told.
	clockTold = time.Hour
)

// ErrClosed is given to the Ack of what was not yet in the journal when it closed.
var ErrClosed = errors.New("the journal is closed")

// OpenJournal opens the journal, and makes it if it is not there.
func OpenJournal(ctx context.Context, streams Streams, config JournalConfig, metrics *Metrics, log *slog.Logger) (*Journal, error) {
	for _, told := range []*func(error){&config.Trouble, &config.ClockTrouble} {
		if *told == nil {
			*told = func(error) {}
		}
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	stream, err := openStream(ctx, streams, jetstream.StreamConfig{
		Name:        journalStream,
		Description: "MQTT messages as they came",
		Subjects:    []string{journalSubject},
		Storage:     jetstream.FileStorage,
		MaxBytes:    config.MaxBytes,
		Discard:     jetstream.DiscardNew,
		Duplicates:  time.Minute,
	}, 4, metrics, log) // entries of up to a megabyte, or of one message of up to four
	if err != nil {
		return nil, err
	}
	j := &Journal{
		stream: stream, config: config, metrics: metrics, log: log,
		queue: make(chan Delivery, entryMessages), room: semaphore.NewWeighted(queueBytes),
		closing: make(chan struct{}), done: make(chan struct{}), full: make(chan struct{}, 1),
		// Leave room for a full last message, its topic of up to 64 KiB, and framing.
		maxPayload: int(streams.JetStream.Conn().MaxPayload())/2 - 72<<10,
	}
	if j.last, err = j.lastStamp(ctx); err != nil {
		return nil, err
	}
	for _, name := range config.Followers {
		if _, err := stream.announce(ctx, name); err != nil {
			return nil, err
		}
	}
	j.trying, j.giveUp = context.WithCancel(context.WithoutCancel(ctx))
	go j.run() //nolint:contextcheck // it goes on until Close, to finish what it has taken
	return j, nil
}

// lastStamp returns a time that is not before any stamp in the journal.
func (j *Journal) lastStamp(ctx context.Context) (time.Time, error) {
	st, err := j.stream.js.Stream(ctx, journalStream)
	if err != nil {
		return time.Time{}, fmt.Errorf("stream %s: %w", journalStream, err)
	}
	state := st.CachedInfo().State
	last := state.LastTime
	if state.Msgs == 0 {
		return last, nil
	}
	msg, err := st.GetMsg(ctx, state.LastSeq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		j.log.Error("the last entry of the journal cannot be read; its time stands in for those of its messages", "entry", state.LastSeq, "time", last)
		return last, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("stream %s entry %d: %w", journalStream, state.LastSeq, err)
	}
	messages, err := decodeEntry(msg.Data)
	if err != nil {
		j.log.Error("the last entry of the journal is damaged; its time stands in for those of its messages", "entry", state.LastSeq, "time", last, "error", err)
		return last, nil
	}
	for _, m := range messages {
		if m.Received.After(last) {
			last = m.Received
		}
	}
	return last, nil
}

// ID tells this journal from another, also from one that was made anew in its place.
func (j *Journal) ID() string {
	j.stream.mu.Lock()
	defer j.stream.mu.Unlock()
	return strconv.FormatInt(j.stream.id, 10)
}

// Submit hands a message to the journal. It returns when there is room for it in
// the queue, which is well before it is on disk; Ack tells of that. An error means
// that ctx is done or the journal closed, and that Ack will not be called.
//
// Messages of at most 16 MiB wait for the disk at a time; Submit waits until there is room.
func (j *Journal) Submit(ctx context.Context, d Delivery) error {
	if over := len(d.Message.Payload) - j.maxPayload; over > 0 {
		// A copy, so that the rest is not kept in memory.
		d.Message.Payload, d.Message.Cut = bytes.Clone(d.Message.Payload[:j.maxPayload]), d.Message.Cut+over
	}
	size := min(int64(weight(d.Message)), queueBytes)
	if err := j.room.Acquire(ctx, size); err != nil {
		return err
	}
	ack := d.Ack
	d.Ack = func(err error) {
		j.room.Release(size)
		ack(err)
	}
	j.submits.RLock()
	defer j.submits.RUnlock()
	select {
	case <-j.closing:
		j.room.Release(size)
		return ErrClosed
	default:
	}
	select {
	case j.queue <- d:
		return nil
	case <-j.closing:
		j.room.Release(size)
		return ErrClosed
	case <-ctx.Done():
		j.room.Release(size)
		return ctx.Err()
	}
}

// Append hands over messages and waits until they are on disk.
func (j *Journal) Append(ctx context.Context, messages ...greentally.Message) error {
	acks := make(chan error, len(messages))
	for _, m := range messages {
		if err := j.Submit(ctx, Delivery{Message: m, Ack: func(err error) { acks <- err }}); err != nil {
			return err
		}
	}
	for range messages {
		select {
		case err := <-acks:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// GiveUp makes the journal try no longer what does not work: a message that is not on disk by then
// is written if that works at once, and else is its sender's to keep. It is for when the sources
// stop, which wait for their messages.
func (j *Journal) GiveUp() { j.giveUp() }

// Close makes the journal take nothing more, and returns when all that it took is
// on disk and acknowledged, or ctx is done.
func (j *Journal) Close(ctx context.Context) error {
	j.close.Do(func() {
		close(j.closing)
		j.submits.Lock()
		close(j.queue)
		j.submits.Unlock()
	})
	select {
	case <-j.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the journal still had messages to write: %w", ctx.Err())
	}
}

func (j *Journal) run() {
	defer close(j.done)
	for first := range j.queue {
		batch := []Delivery{first}
		size := weight(first.Message)
		for len(batch) < entryMessages && size < min(entryBytes, j.maxPayload) {
			select {
			case d, ok := <-j.queue:
				if ok {
					batch = append(batch, d)
					size += weight(d.Message)
					continue
				}
			default:
			}
			break
		}
		err := j.write(batch)
		for _, d := range batch {
			d.Ack(err)
		}
	}
}

// weight is about how many bytes a message takes in an entry.
func weight(m greentally.Message) int { return len(m.Payload) + len(m.Topic) + 32 }

// stamp returns the time at which a message is received: now, and strictly later than all before,
// so that messages without a time of their own keep apart. A clock that was ahead and is right
// again must not go on being wrong, so what it stamped counts only if it is not too far away.
func (j *Journal) stamp() time.Time {
	before, read := j.read, j.config.Now()
	j.read = read
	if !before.IsZero() {
		// What the clock says went by, less what did.
		if jump := read.Round(0).Sub(before.Round(0)) - read.Sub(before); jump.Abs() > clockSlack {
			j.clockJumped(read, fmt.Errorf("the clock was set from %s to %s, or the machine slept; messages without a time of their own are stamped by it",
				before.UTC().Format(time.RFC3339), read.UTC().Format(time.RFC3339)))
		}
	}
	if !j.jumped.IsZero() && read.Sub(j.jumped) > clockTold {
		j.jumped = time.Time{}
		j.config.ClockTrouble(nil)
	}
	now := read.UTC().Round(0)
	switch ahead := j.last.Sub(now); {
	case ahead > clockSlack:
		j.clockJumped(read, fmt.Errorf("the clock says %s, and messages before were stamped up to %s: it was ahead then, or is behind now; look at the time of this machine, and for readings that are dated later than now",
			now.Format(time.RFC3339), j.last.UTC().Format(time.RFC3339)))
		j.last = now
	case ahead >= 0:
		j.last = j.last.Add(1)
	default:
		j.last = now
	}
	return j.last
}

func (j *Journal) clockJumped(now time.Time, err error) {
	j.jumped = now
	j.metrics.clockJumps.Inc()
	j.log.Error("the clock jumped", "error", err)
	j.config.ClockTrouble(err)
}

// write appends one entry and returns when it is synced. It tries until it works, or
// the journal is closing or gives up: a journal that is full or out of reach acknowledges
// nothing, so the senders keep their messages.
func (j *Journal) write(batch []Delivery) error {
	messages := make([]greentally.Message, len(batch))
	for i, d := range batch {
		m := d.Message
		if m.Received.IsZero() {
			m.Received = j.stamp()
		}
		messages[i] = m
	}
	data, err := encodeEntry(messages)
	if err != nil {
		return fmt.Errorf("BUG: journal entry: %w", err)
	}
	id := nuid.Next()
	wait, began := 50*time.Millisecond, time.Now()
	said := time.Time{}
	for attempt := 1; ; attempt++ {
		start := time.Now()
		err := j.try(data, id)
		if err == nil {
			j.metrics.journaled(messages, time.Since(start))
			j.config.Trouble(nil)
			return nil
		}
		j.metrics.journalErrors.Inc()
		if IsFull(err) {
			j.pressed.Store(true)
			select {
			case j.full <- struct{}{}:
			default: // it is known
			}
			err = fmt.Errorf("it is full of entries that a follower has not taken, see: greentally status: %w", err)
		}
		if time.Since(began) > time.Second { // what is over in a moment is no trouble
			j.config.Trouble(fmt.Errorf("the journal does not take messages, and nothing is acknowledged: %w", err))
		}
		if time.Since(said) > time.Minute {
			said = time.Now()
			j.log.Warn("journal does not take messages; nothing is acknowledged until it does",
				"error", err, "messages", len(messages), "attempt", attempt)
		}
		select {
		case <-time.After(wait):
		case <-j.closing:
			return ErrClosed
		case <-j.trying.Done():
			return ErrClosed
		}
		wait = min(2*wait, 5*time.Second)
		if IsFull(err) { // room is made soon
			wait = min(wait, 200*time.Millisecond)
		}
	}
}

// try tries to append an entry once.
func (j *Journal) try(data []byte, id string) error {
	ctx, cancel := outlast(j.trying, 10*time.Second)
	defer cancel()
	return j.stream.append(ctx, data, jetstream.WithMsgID(id))
}

// IsFull reports whether an error says that the journal's budget is used up.
func IsFull(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && strings.Contains(api.Description, "maximum bytes exceeded")
}

// Entry is one entry of the journal, as followers see it.
type Entry struct {
	Sequence uint64
	Again    bool // the follower took it before, and was set back since
	Messages []greentally.Message
	Damaged  []byte // the raw bytes, if they could not be decoded; Messages is empty then
}

// followMessages is how many messages a follower gets at once, at most (give or
// take an entry).
const followMessages = 5000

// Follow hands the entries after the follower's place to handle, in order, until
// ctx is done or handle fails. When handle returns nil the follower's place moves
// on, and what was handed over does not come again.
func (j *Journal) Follow(ctx context.Context, name string, handle func(context.Context, []Entry) error) error {
	return j.follow(ctx, name, handle, nil)
}

// FollowKept is Follow for a follower that keeps what it makes of the entries now and then, in
// its own time. kept returns the sequence up to which that is kept; it is asked after each
// handing over and once a second, and the place moves there. What was handed over since then
// comes again when it follows anew. urgent says that the journal needs the room of what was
// handled last: the follower is to keep what it has now.
func (j *Journal) FollowKept(ctx context.Context, name string, handle func(context.Context, []Entry) error, kept func(ctx context.Context, urgent bool) uint64) error {
	return j.follow(ctx, name, handle, func(ctx context.Context) uint64 { return kept(ctx, j.pressed.Load()) })
}

func (j *Journal) follow(ctx context.Context, name string, handle func(context.Context, []Entry) error, kept func(context.Context) uint64) error {
	parse := func(data []byte) (Entry, int) {
		messages, err := decodeEntry(data)
		if err != nil {
			j.log.Error("journal entry is damaged", "error", err, "bytes", len(data))
			return Entry{Damaged: bytes.Clone(data)}, 1
		}
		return Entry{Messages: messages}, len(messages)
	}
	return follow(ctx, j.stream, follower[Entry]{name: name, parse: parse, most: followMessages, kept: kept, handle: func(ctx context.Context, batch []entry[Entry]) error {
		entries := make([]Entry, len(batch))
		for i, e := range batch {
			entries[i] = e.value
			entries[i].Sequence, entries[i].Again = e.sequence, e.again
		}
		return handle(ctx, entries)
	}})
}

// SetBack has a follower take the entries after a sequence again. It returns how many entries
// come again, 0 if the follower is not further than that.
func (j *Journal) SetBack(ctx context.Context, name string, sequence uint64) (again uint64, err error) {
	from, to, err := j.stream.setBack(ctx, name, sequence)
	return from - to, err
}

// SetBackTo has a follower take again the entries that were appended at t or later. It returns how
// many these are, and when the first of the journal was appended: what came before that is not
// in it any more.
func (j *Journal) SetBackTo(ctx context.Context, name string, t time.Time) (again uint64, first time.Time, err error) {
	info, err := j.stream.info(ctx)
	if err != nil {
		return 0, time.Time{}, err
	}
	state := info.State
	sequence, err := j.stream.since(ctx, t, state.FirstSeq, state.LastSeq+1)
	if err != nil {
		return 0, time.Time{}, err
	}
	again, err = j.SetBack(ctx, name, max(sequence, 1)-1)
	return again, state.FirstTime, err
}

// Place returns the sequence up to which a follower has taken the journal, as it is kept on disk,
// and the first one that is there; 0 for a follower that was never here.
func (j *Journal) Place(ctx context.Context, name string) (sequence, first uint64, err error) {
	info, err := j.stream.info(ctx)
	if err != nil {
		return 0, 0, err
	}
	at, err := j.stream.place(ctx, name)
	return at.sequence, info.State.FirstSeq, err
}

// Lags returns how far each follower in this process is behind.
func (j *Journal) Lags(ctx context.Context) (map[string]Lag, error) { return j.stream.lags(ctx) }

// Tidy removes entries that every follower has taken and that are older than the
// journal keeps, or for which its budget has no room. It runs until ctx is done.
func (j *Journal) Tidy(ctx context.Context) error {
	const often, seldom = 200 * time.Millisecond, 10 * time.Second
	for {
		pressed, err := j.stream.tidy(ctx, j.config.Keep, j.config.MaxBytes)
		if err != nil && ctx.Err() == nil {
			j.log.Warn("journal was not tidied; it is tried again", "error", err)
		}
		wait := seldom
		if err == nil {
			j.pressed.Store(pressed)
		}
		if j.pressed.Load() {
			wait = often
		}
		select {
		case <-time.After(wait):
		case <-j.full:
			select { // not all the time
			case <-time.After(often):
			case <-ctx.Done():
				return nil
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// wireMessage is the form of a message in an entry: a CBOR array.
type wireMessage struct {
	_        struct{} `cbor:",toarray"`
	Topic    string
	Payload  []byte
	Received int64 // ns since 1970
	Cut      int
}

func encodeEntry(messages []greentally.Message) ([]byte, error) {
	wire := make([]wireMessage, len(messages))
	for i, m := range messages {
		wire[i] = wireMessage{Topic: m.Topic, Payload: m.Payload, Received: m.Received.UnixNano(), Cut: m.Cut}
	}
	return cbor.Marshal(wire)
}

func decodeEntry(data []byte) ([]greentally.Message, error) {
	var wire []wireMessage
	if err := cbor.Unmarshal(data, &wire); err != nil {
		return nil, fmt.Errorf("journal entry: %w", err)
	}
	messages := make([]greentally.Message, len(wire))
	for i, w := range wire {
		messages[i] = greentally.Message{Topic: w.Topic, Payload: w.Payload, Received: time.Unix(0, w.Received).UTC(), Cut: w.Cut}
	}
	return messages, nil
}
