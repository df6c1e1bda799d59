package records

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"

	"greentally"
)

// Log is the durable log of records.
type Log struct {
	js     jetstream.JetStream
	stream jetstream.Stream
	types  *Types
	accept func(greentally.Record) error
	now    func() time.Time
	adding sync.Mutex
	index  index
}

// index says where in the log a record is, so that none is looked for from the start. It
// reads what came to the log since it was last asked, and is made again at each start.
type index struct {
	mu         sync.Mutex
	read       uint64            // up to this entry
	at         map[string]uint64 // entry of a record by its ID
	replacedBy map[string]string
}

const (
	streamName = "GREENTALLY_RECORDS"
	subject    = "greentally.record"
)

// Open opens the log, and makes it if it is not there. It takes records of the types
// alone, and of these what accept accepts; that says why a record cannot be evidence for
// what it names. What is in the log already is not asked again: types and schemes may
// change, what was attested stays. now tells the time at which records are handed in.
func Open(ctx context.Context, js jetstream.JetStream, replicas int, types *Types, accept func(greentally.Record) error, now func() time.Time) (*Log, error) {
	stream, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:        streamName,
		Description: "What people attest",
		Subjects:    []string{subject},
		Storage:     jetstream.FileStorage,
		DenyDelete:  true,
		DenyPurge:   true,
		Replicas:    max(1, replicas),
	})
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", streamName, err)
	}
	return &Log{js: js, stream: stream, types: types, accept: accept, now: now,
		index: index{at: map[string]uint64{}, replacedBy: map[string]string{}}}, nil
}

// ErrInvalid is wrapped by the error for a record that is not taken.
var ErrInvalid = errors.New("invalid record")

var typeName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// Add gives the record its ID and time, and returns it when it is on disk. A record
// that replaces another must be of the same community and type, and the first to
// replace it.
func (l *Log) Add(ctx context.Context, r greentally.Record) (greentally.Record, error) {
	err := l.types.Validate(r)
	if wrong := l.accept(r); wrong != nil {
		err = errors.Join(err, fmt.Errorf("%w: %w", ErrInvalid, wrong))
	}
	if err != nil {
		return r, err
	}
	l.adding.Lock()
	defer l.adding.Unlock()
	if r.Replaces != "" {
		if err := l.mayReplace(ctx, r); err != nil {
			return r, err
		}
	}
	r.ID = ulid.MustNewDefault(l.now()).String()
	r.Recorded = l.now().UTC()
	data, err := json.Marshal(r)
	if err != nil {
		return r, fmt.Errorf("record %s: %w", r.ID, err)
	}
	if _, err := l.js.Publish(ctx, subject, data, jetstream.WithMsgID(r.ID)); err != nil {
		return r, fmt.Errorf("keep record %s: %w", r.ID, err)
	}
	return r, nil
}

// mayReplace reports why the record cannot replace the one that it names.
func (l *Log) mayReplace(ctx context.Context, r greentally.Record) error {
	replaced, by, err := l.find(ctx, r.Replaces)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case err != nil || replaced.Community != r.Community:
		return fmt.Errorf("%w: there is no record %s in %s to replace", ErrInvalid, r.Replaces, r.Community)
	case replaced.Type != r.Type:
		return fmt.Errorf("%w: record %s is a %s and cannot be replaced by a %s", ErrInvalid, r.Replaces, replaced.Type, r.Type)
	case by != "":
		return fmt.Errorf("%w: record %s was replaced already, by %s; replace that one", ErrInvalid, r.Replaces, by)
	}
	return nil
}

// Get returns the record with the ID. The error wraps [fs.ErrNotExist] if there is none.
func (l *Log) Get(ctx context.Context, id string) (greentally.Record, error) {
	r, _, err := l.find(ctx, id)
	return r, err
}

// find returns the record with the ID, and the ID of the one that replaces it. The error
// wraps [fs.ErrNotExist] if there is none.
func (l *Log) find(ctx context.Context, id string) (r greentally.Record, replacedBy string, err error) {
	x := &l.index
	x.mu.Lock()
	defer x.mu.Unlock()
	err = l.Since(ctx, x.read, func(sequence uint64, r greentally.Record) error {
		x.read, x.at[r.ID] = sequence, sequence
		if r.Replaces != "" {
			x.replacedBy[r.Replaces] = r.ID
		}
		return nil
	})
	if err != nil {
		return r, "", err
	}
	sequence, there := x.at[id]
	if !there {
		return r, "", fmt.Errorf("record %s: %w", id, fs.ErrNotExist)
	}
	r, err = l.entry(ctx, sequence)
	return r, x.replacedBy[id], err
}

// All calls yield for every record, oldest first, until it returns an error.
func (l *Log) All(ctx context.Context, yield func(greentally.Record) error) error {
	return l.Since(ctx, 0, func(_ uint64, r greentally.Record) error { return yield(r) })
}

// Since calls yield for every record after the one at the sequence, oldest first, until
// it returns an error.
func (l *Log) Since(ctx context.Context, sequence uint64, yield func(uint64, greentally.Record) error) error {
	info, err := l.stream.Info(ctx)
	if err != nil {
		return fmt.Errorf("stream %s: %w", streamName, err)
	}
	for seq := max(info.State.FirstSeq, sequence+1); info.State.Msgs > 0 && seq <= info.State.LastSeq; seq++ {
		r, err := l.entry(ctx, seq)
		if err != nil {
			return err
		}
		if err := yield(seq, r); err != nil {
			return err
		}
	}
	return nil
}

// entry returns the record at the sequence.
func (l *Log) entry(ctx context.Context, sequence uint64) (r greentally.Record, err error) {
	msg, err := l.stream.GetMsg(ctx, sequence)
	if err == nil {
		err = json.Unmarshal(msg.Data, &r)
	}
	if err != nil {
		return r, fmt.Errorf("stream %s entry %d: %w", streamName, sequence, err)
	}
	return r, nil
}
