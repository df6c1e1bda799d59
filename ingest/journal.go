package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

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
	Keep     time.Duration // how long entries stay, if the budget allows; those not yet taken by all followers stay anyway
	Replicas int           // copies in a cluster; 0 and 1 mean one
}

// Journal keeps messages as they came. Many messages make one entry of a JetStream
// stream: all that arrived while the entry before was being synced.
type Journal struct {
	stream  *stream
	config  JournalConfig
	metrics *Metrics
	log     *slog.Logger

	queue   chan Delivery
	closing chan struct{}
	submits sync.RWMutex // read-locked while something is put into queue, which closes under the lock
	close   sync.Once
	done    chan struct{}

	last       time.Time // the stamp given last; used by run alone
	maxPayload int
}

const (
	journalStream  = "GREENTALLY_JOURNAL"
	journalSubject = "greentally.journal"

	entryMessages = 4096    // most messages in an entry
	entryBytes    = 1 << 20 // an entry is closed when it reaches this size
)

// ErrClosed is given to the Ack of what was not yet in the journal when it closed.
var ErrClosed = errors.New("the journal is closed")

// OpenJournal opens the journal, and makes it if it is not there.
func OpenJournal(ctx context.Context, js jetstream.JetStream, config JournalConfig, metrics *Metrics, log *slog.Logger) (*Journal, error) {
	stream, err := openStream(ctx, js, jetstream.StreamConfig{
		Name:        journalStream,
		Description: "MQTT messages as they came",
		Subjects:    []string{journalSubject},
		Storage:     jetstream.FileStorage,
		MaxBytes:    config.MaxBytes,
		Discard:     jetstream.DiscardNew,
		Replicas:    max(1, config.Replicas),
		Duplicates:  time.Minute,
	}, 64, log) // entries of up to a megabyte
	if err != nil {
		return nil, err
	}
	j := &Journal{
		stream: stream, config: config, metrics: metrics, log: log,
		queue: make(chan Delivery, entryMessages), closing: make(chan struct{}), done: make(chan struct{}),
		// Leave room for a full last message, its topic of up to 64 KiB, and framing.
		maxPayload: int(js.Conn().MaxPayload())/2 - 72<<10,
	}
	if j.last, err = j.lastStamp(ctx); err != nil {
		return nil, err
	}
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
	if state.Msgs > 0 {
		msg, err := st.GetMsg(ctx, state.LastSeq)
		if err != nil {
			return time.Time{}, fmt.Errorf("stream %s entry %d: %w", journalStream, state.LastSeq, err)
		}
		messages, err := decodeEntry(msg.Data)
		if err != nil {
			return time.Time{}, fmt.Errorf("stream %s entry %d: %w", journalStream, state.LastSeq, err)
		}
		for _, m := range messages {
			if m.Received.After(last) {
				last = m.Received
			}
		}
	}
	return last, nil
}

// Submit hands a message to the journal. It returns when there is room for it in
// the queue, which is well before it is on disk; Ack tells of that. An error means
// that ctx is done or the journal closed, and that Ack will not be called.
func (j *Journal) Submit(ctx context.Context, d Delivery) error {
	j.submits.RLock()
	defer j.submits.RUnlock()
	select {
	case <-j.closing:
		return ErrClosed
	default:
	}
	select {
	case j.queue <- d:
		return nil
	case <-j.closing:
		return ErrClosed
	case <-ctx.Done():
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

// write appends one entry and returns when it is synced. It tries until it works or
// the journal is closing: a journal that is full or out of reach acknowledges
// nothing, so the senders keep their messages.
func (j *Journal) write(batch []Delivery) error {
	messages := make([]greentally.Message, len(batch))
	for i, d := range batch {
		m := d.Message
		if m.Received.IsZero() {
			// Strictly increasing, so that messages without a time of their own keep apart.
			now := time.Now().UTC().Round(0)
			if !now.After(j.last) {
				now = j.last.Add(1)
			}
			j.last, m.Received = now, now
		}
		if over := len(m.Payload) - j.maxPayload; over > 0 {
			m.Payload, m.Cut = m.Payload[:j.maxPayload], m.Cut+over
		}
		messages[i] = m
	}
	data, err := encodeEntry(messages)
	if err != nil {
		return fmt.Errorf("BUG: journal entry: %w", err)
	}
	id := nuid.Next()
	wait := 50 * time.Millisecond
	for attempt := 1; ; attempt++ {
		start := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		_, err := j.stream.js.Publish(ctx, journalSubject, data, jetstream.WithMsgID(id))
		cancel()
		if err == nil {
			j.metrics.journaled(messages, time.Since(start))
			return nil
		}
		j.metrics.journalErrors.Inc()
		if attempt == 1 || attempt%20 == 0 {
			j.log.Warn("journal does not take messages; nothing is acknowledged until it does",
				"error", err, "messages", len(messages), "attempt", attempt)
		}
		select {
		case <-time.After(wait):
		case <-j.closing:
			return ErrClosed
		}
		wait = min(2*wait, 5*time.Second)
	}
}

// Entry is one entry of the journal, as followers see it.
type Entry struct {
	Sequence uint64
	Messages []greentally.Message
	Damaged  []byte // the raw bytes, if they could not be decoded; Messages is empty then
}

// followMessages is how many messages a follower gets at once, at most (give or
// take an entry).
const followMessages = 5000

// Follow hands the entries after the follower's place to handle, in order, until
// ctx is done or handle fails. When handle returns nil the follower's place moves
// on, and what was handed over does not come again.
func (j *Journal) Follow(ctx context.Context, follower string, handle func(context.Context, []Entry) error) error {
	return j.FollowKept(ctx, follower, func(ctx context.Context, entries []Entry) (uint64, error) {
		return entries[len(entries)-1].Sequence, handle(ctx, entries)
	})
}

// FollowKept is Follow for a follower that keeps what it makes of the entries now and then:
// handle returns the sequence of the entry up to which that is kept, and the place moves
// there. What was handed over since then comes again when it follows anew.
func (j *Journal) FollowKept(ctx context.Context, follower string, handle func(context.Context, []Entry) (kept uint64, err error)) error {
	parse := func(data []byte) (Entry, int) {
		messages, err := decodeEntry(data)
		if err != nil {
			j.log.Error("journal entry is damaged", "error", err, "bytes", len(data))
			return Entry{Damaged: bytes.Clone(data)}, 1
		}
		return Entry{Messages: messages}, len(messages)
	}
	return follow(ctx, j.stream, follower, parse, followMessages, func(ctx context.Context, batch []entry[Entry]) (uint64, error) {
		entries := make([]Entry, len(batch))
		for i, e := range batch {
			entries[i] = e.value
			entries[i].Sequence = e.sequence
		}
		return handle(ctx, entries)
	})
}

// Lags returns how far each follower in this process is behind.
func (j *Journal) Lags(ctx context.Context) (map[string]Lag, error) { return j.stream.lags(ctx) }

// Tidy removes entries that every follower has taken and that are older than the
// journal keeps, or for which its budget has no room. It runs until ctx is done.
func (j *Journal) Tidy(ctx context.Context) error {
	ticker := time.NewTicker(10 * time.Second)
	defer ticker.Stop()
	for {
		if err := j.stream.tidy(ctx, j.config.Keep, j.config.MaxBytes); err != nil && ctx.Err() == nil {
			j.log.Warn("journal was not tidied; it is tried again", "error", err)
		}
		select {
		case <-ticker.C:
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
