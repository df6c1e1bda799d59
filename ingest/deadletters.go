package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"greentally"
)

// DeadLetters keeps what the writer could not use, until it is replayed or deleted,
// or the disk budget is needed for newer ones.
type DeadLetters struct {
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
		msg := &nats.Msg{Subject: deadLetterSubject + letter.Origin, Data: data}
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

// Replay puts the messages of the letters back into the journal, as they were
// received, and removes the letters. Those whose cause was not mended come back as
// new letters.
func (d *DeadLetters) Replay(ctx context.Context, ids []uint64, append func(context.Context, ...greentally.Message) error) error {
	for _, id := range ids {
		letter, err := d.Get(ctx, id)
		if err != nil {
			return err
		}
		message := greentally.Message{Topic: letter.Topic, Payload: letter.Payload, Received: letter.Received, Cut: letter.Cut}
		if err := append(ctx, message); err != nil {
			return fmt.Errorf("replay dead letter %d: %w", id, err)
		}
		if err := d.Delete(ctx, id); err != nil && !errors.Is(err, fs.ErrNotExist) {
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
