package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"greentally"
)

// DeadLetters keeps what the writer could not use, until it is replayed or deleted,
// or the disk budget is needed for newer ones.
type DeadLetters struct {
	// Device tells which device a message is from that nobody knows, by its topic; false if it cannot
	// tell. By it the letters of a device are found among many. It is set before the first letter;
	// without it all letters are looked through.
	Device func(greentally.Message) (greentally.DeviceKey, bool)

	js     jetstream.JetStream
	stream jetstream.Stream
}

const (
	deadLetterStream  = "GREENTALLY_DEAD_LETTERS"
	deadLetterSubject = "greentally.deadletter."
)

// OpenDeadLetters opens the dead letters, and makes their stream if it is not there.
func OpenDeadLetters(ctx context.Context, js jetstream.JetStream, maxBytes int64, replicas int) (*DeadLetters, error) {
	stream, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:              deadLetterStream,
		Description:       "Messages that could not be used, with the reason",
		Subjects:          []string{deadLetterSubject + ">"},
		Storage:           jetstream.FileStorage,
		MaxBytes:          maxBytes,
		MaxMsgsPerSubject: 1, // one letter for each place in the journal
		Discard:           jetstream.DiscardOld,
		Replicas:          max(1, replicas),
	})
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", deadLetterStream, err)
	}
	return &DeadLetters{js: js, stream: stream}, nil
}

// Put adds letters and returns when they are on disk.
func (d *DeadLetters) Put(ctx context.Context, letters []greentally.DeadLetter) error {
	for some := range slices.Chunk(letters, 1000) { // fewer than may be on their way at once
		if err := d.put(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

func (d *DeadLetters) put(ctx context.Context, letters []greentally.DeadLetter) error {
	futures := make([]jetstream.PubAckFuture, 0, len(letters))
	for _, letter := range letters {
		data, err := json.Marshal(letter)
		if err != nil {
			return fmt.Errorf("dead letter %s: %w", letter.Origin, err)
		}
		msg := &nats.Msg{Subject: d.subject(letter), Data: data}
		future, err := d.js.PublishMsgAsync(msg)
		if err != nil {
			return fmt.Errorf("dead letter %s: %w", letter.Origin, err)
		}
		futures = append(futures, future)
	}
	for _, future := range futures {
		select {
		case <-future.Ok():
		case err := <-future.Err():
			return fmt.Errorf("dead letter %s: %w", future.Msg().Subject, err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// subject is where a letter is kept: a place in the journal, which has two parts, and for a device
// that nobody knows a third one, by which it is found.
func (d *DeadLetters) subject(letter greentally.DeadLetter) string {
	subject := deadLetterSubject + letter.Origin
	if letter.Reason == greentally.UnknownDevice && d.Device != nil {
		if key, ok := d.Device(letter.Message()); ok {
			subject += "." + deviceToken(key)
		}
	}
	return subject
}

// deviceToken stands for a device in a subject.
func deviceToken(key greentally.DeviceKey) string {
	sum := sha256.Sum256([]byte(discoveredKey(key)))
	return hex.EncodeToString(sum[:10])
}

// Of calls yield for each letter that may be of one of the devices, which nobody knew by the keys
// when they were written, oldest first, until yield returns false. Those of which it was not told
// whose they are, such as all from before that was written down, are among them.
func (d *DeadLetters) Of(ctx context.Context, keys []greentally.DeviceKey, yield func(greentally.DeadLetter) bool) error {
	filters := []string{deadLetterSubject + "*.*"}
	for _, key := range keys {
		filters = append(filters, deadLetterSubject+"*.*."+deviceToken(key))
	}
	slices.Sort(filters)
	consumer, err := d.stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{FilterSubjects: slices.Compact(filters), InactiveThreshold: time.Minute})
	if err != nil {
		return fmt.Errorf("dead letters of devices: %w", err)
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return fmt.Errorf("dead letters of devices: %w", err)
	}
	if info.NumPending == 0 {
		return nil
	}
	letters, err := consumer.Messages()
	if err != nil {
		return fmt.Errorf("dead letters of devices: %w", err)
	}
	defer letters.Stop()
	for {
		wait, cancel := context.WithTimeout(ctx, deletedMeanwhile)
		msg, err := letters.Next(jetstream.NextContext(wait))
		cancel()
		if err != nil && wait.Err() != nil && ctx.Err() == nil {
			return nil // those that were still to come were deleted meanwhile
		}
		if err != nil {
			return fmt.Errorf("dead letters of devices: %w", err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("dead letters of devices: %w", err)
		}
		letter, err := parseDeadLetter(meta.Sequence.Stream, msg.Data())
		if err != nil {
			return err
		}
		if !yield(letter) || meta.NumPending == 0 {
			return nil
		}
	}
}

// deletedMeanwhile is how long a letter that was announced may take to come.
const deletedMeanwhile = 10 * time.Second

// Count returns how many there are.
func (d *DeadLetters) Count(ctx context.Context) (uint64, error) {
	info, err := d.stream.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", deadLetterStream, err)
	}
	return info.State.Msgs, nil
}

// List calls yield for each letter whose ID is greater than after, oldest first,
// until yield returns false.
func (d *DeadLetters) List(ctx context.Context, after uint64, yield func(greentally.DeadLetter) bool) error {
	for after < math.MaxUint64 {
		msg, err := d.stream.GetMsg(ctx, after+1, jetstream.WithGetMsgSubject(deadLetterSubject+">")) // or the next after it
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list dead letters: %w", err)
		}
		letter, err := parseDeadLetter(msg.Sequence, msg.Data)
		if err != nil {
			return err
		}
		if !yield(letter) {
			return nil
		}
		after = msg.Sequence
	}
	return nil
}

// Get returns one letter. The error is [fs.ErrNotExist] if it is not there.
func (d *DeadLetters) Get(ctx context.Context, id uint64) (greentally.DeadLetter, error) {
	msg, err := d.stream.GetMsg(ctx, id)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return greentally.DeadLetter{}, missing(id)
	}
	if err != nil {
		return greentally.DeadLetter{}, fmt.Errorf("dead letter %d: %w", id, err)
	}
	return parseDeadLetter(id, msg.Data)
}

func missing(id uint64) error {
	return greentally.Missingf("没有死信 %d", "there is no dead letter %d", id)
}

// Delete removes a letter. The error is [fs.ErrNotExist] if it is not there.
func (d *DeadLetters) Delete(ctx context.Context, id uint64) error {
	err := d.stream.DeleteMsg(ctx, id)
	if errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		return missing(id)
	}
	if err != nil {
		return fmt.Errorf("delete dead letter %d: %w", id, err)
	}
	return nil
}

// Replay puts the messages of the letters with the IDs back into the journal; see [DeadLetters.Take].
// The error is [fs.ErrNotExist] if one is not there.
func (d *DeadLetters) Replay(ctx context.Context, ids []uint64, append func(context.Context, ...greentally.Message) error) error {
	for _, id := range ids {
		letter, err := d.Get(ctx, id)
		if err != nil {
			return err
		}
		if err := d.Take(ctx, []greentally.DeadLetter{letter}, append); err != nil {
			return err
		}
	}
	return nil
}

// Take puts the messages of letters back into the journal, as they were received, and then
// removes the letters. One that was found absurdly old or new counts as received now, and so does
// one that would have been received in the future: the clock by which it was judged may have been wrong. Those whose cause was not mended come back as new letters. Taken twice, a
// message is stored once.
func (d *DeadLetters) Take(ctx context.Context, letters []greentally.DeadLetter, append func(context.Context, ...greentally.Message) error) error {
	if len(letters) == 0 {
		return nil
	}
	messages := make([]greentally.Message, len(letters))
	for i, letter := range letters {
		messages[i] = letter.Message()
		if letter.Reason == greentally.AbsurdTime || letter.Received.After(time.Now().Add(clockSlack)) {
			messages[i].Received = time.Time{} // the journal stamps it
		}
	}
	if err := append(ctx, messages...); err != nil {
		return fmt.Errorf("replay %d dead letters from %d on: %w", len(letters), letters[0].ID, err)
	}
	for _, letter := range letters {
		if err := d.Delete(ctx, letter.ID); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func parseDeadLetter(id uint64, data []byte) (greentally.DeadLetter, error) {
	var letter greentally.DeadLetter
	if err := json.Unmarshal(data, &letter); err != nil {
		return greentally.DeadLetter{}, fmt.Errorf("dead letter %d: %w", id, err)
	}
	letter.ID = id
	return letter, nil
}
