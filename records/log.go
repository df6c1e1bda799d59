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
	now    func() time.Time
	adding sync.Mutex
}

const (
	streamName = "GREENTALLY_RECORDS"
	subject    = "greentally.record"
)

// Open opens the log, and makes it if it is not there. It takes records of the types
// alone; now tells the time at which they are handed in.
func Open(ctx context.Context, js jetstream.JetStream, replicas int, types *Types, now func() time.Time) (*Log, error) {
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
	return &Log{js: js, stream: stream, types: types, now: now}, nil
}

// ErrInvalid is wrapped by the error for a record whose form is wrong.
var ErrInvalid = errors.New("invalid record")

var typeName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// Add gives the record its ID and time, and returns it when it is on disk. A record
// that replaces another must be of the same community and type, and the first to
// replace it.
func (l *Log) Add(ctx context.Context, r greentally.Record) (greentally.Record, error) {
	if err := l.types.Validate(r); err != nil {
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
	var replaced, by *greentally.Record
	err := l.All(ctx, func(other greentally.Record) error {
		if other.ID == r.Replaces {
			replaced = &other
		}
		if other.Replaces == r.Replaces {
			by = &other
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case replaced == nil || replaced.Community != r.Community:
		return fmt.Errorf("%w: there is no record %s in %s to replace", ErrInvalid, r.Replaces, r.Community)
	case replaced.Type != r.Type:
		return fmt.Errorf("%w: record %s is a %s and cannot be replaced by a %s", ErrInvalid, r.Replaces, replaced.Type, r.Type)
	case by != nil:
		return fmt.Errorf("%w: record %s was replaced already, by %s; replace that one", ErrInvalid, r.Replaces, by.ID)
	}
	return nil
}

// Get returns the record with the ID. The error wraps [fs.ErrNotExist] if there is none.
func (l *Log) Get(ctx context.Context, id string) (greentally.Record, error) {
	var found *greentally.Record
	err := l.All(ctx, func(r greentally.Record) error {
		if r.ID == id {
			found = &r
		}
		return nil
	})
	if err != nil {
		return greentally.Record{}, err
	}
	if found == nil {
		return greentally.Record{}, fmt.Errorf("record %s: %w", id, fs.ErrNotExist)
	}
	return *found, nil
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
		msg, err := l.stream.GetMsg(ctx, seq)
		if err != nil {
			return fmt.Errorf("stream %s entry %d: %w", streamName, seq, err)
		}
		var r greentally.Record
		if err := json.Unmarshal(msg.Data, &r); err != nil {
			return fmt.Errorf("stream %s entry %d: %w", streamName, seq, err)
		}
		if err := yield(seq, r); err != nil {
			return err
		}
	}
	return nil
}
