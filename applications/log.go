package applications

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"

	"greentally"
)

// Log is the durable log of steps.
type Log struct {
	js     jetstream.JetStream
	stream jetstream.Stream
	now    func() time.Time

	mu   sync.Mutex
	read uint64                             // up to this entry
	all  map[string]*greentally.Application // by ID
}

const (
	streamName = "GREENTALLY_APPLICATIONS"
	subject    = "greentally.application"
)

// OpenLog opens the log, and makes it if it is not there. now tells the time at which steps are
// handed in.
func OpenLog(ctx context.Context, js jetstream.JetStream, replicas int, now func() time.Time) (*Log, error) {
	stream, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:        streamName,
		Description: "What was done to applications for titles",
		Subjects:    []string{subject},
		Storage:     jetstream.FileStorage,
		DenyDelete:  true,
		DenyPurge:   true,
		Replicas:    max(1, replicas),
	})
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", streamName, err)
	}
	return &Log{js: js, stream: stream, now: now, all: map[string]*greentally.Application{}}, nil
}

// Begin takes the first step of an application.
func (l *Log) Begin(ctx context.Context, s greentally.Step) (greentally.Application, error) {
	return l.add(ctx, "", s)
}

// Add takes a further step of the application with the ID. The error wraps [fs.ErrNotExist] if
// there is none.
func (l *Log) Add(ctx context.Context, id string, s greentally.Step) (greentally.Application, error) {
	return l.add(ctx, id, s)
}

// tries is how often a step is tried while others take theirs.
const tries = 5

// add returns the application when the step is on disk.
func (l *Log) add(ctx context.Context, id string, s greentally.Step) (a greentally.Application, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range tries {
		if err := l.catchUp(ctx); err != nil {
			return a, err
		}
		a = greentally.Application{}
		if id != "" {
			known, ok := l.all[id]
			if !ok {
				return a, fmt.Errorf("application %q: %w", id, fs.ErrNotExist)
			}
			a = *known
		}
		s.Application, s.Recorded = id, l.now().UTC()
		if id == "" {
			s.Application = ulid.MustNewDefault(l.now()).String()
		}
		if a, err = Take(a, s); err != nil {
			return a, err
		}
		if other := l.rival(&a); id == "" && other != nil {
			return a, fmt.Errorf("%w: %s has an application by %s already, %s, which is %s; go on with that one, or withdraw it", ErrRefused, a.Community, a.Scheme, other.ID, other.Stage)
		}
		data, err := json.Marshal(s)
		if err != nil {
			return a, fmt.Errorf("step of application %s: %w", s.Application, err)
		}
		_, err = l.js.Publish(ctx, subject, data, jetstream.WithExpectLastSequence(l.read))
		var wrong *jetstream.APIError
		if errors.As(err, &wrong) && wrong.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
			continue // another program took a step meanwhile
		}
		if err != nil {
			return a, fmt.Errorf("keep the step of application %s: %w", s.Application, err)
		}
		return a, nil
	}
	return a, errors.New("others take steps all the time; try again")
}

// rival is another application of the community by the scheme that is on its way.
func (l *Log) rival(a *greentally.Application) *greentally.Application {
	for _, other := range l.all {
		if Open(a.Stage) && other.Community == a.Community && other.Scheme == a.Scheme && Open(other.Stage) {
			return other
		}
	}
	return nil
}

// catchUp reads what came to the log since it was read last.
func (l *Log) catchUp(ctx context.Context) error {
	info, err := l.stream.Info(ctx)
	if err != nil {
		return fmt.Errorf("stream %s: %w", streamName, err)
	}
	for l.read < info.State.LastSeq {
		msg, err := l.stream.GetMsg(ctx, l.read+1)
		var s greentally.Step
		if err == nil {
			err = json.Unmarshal(msg.Data, &s)
		}
		if err != nil {
			return fmt.Errorf("stream %s entry %d: %w", streamName, l.read+1, err)
		}
		var before greentally.Application
		if known, ok := l.all[s.Application]; ok {
			before = *known
		}
		after, err := Take(before, s)
		if err != nil {
			return fmt.Errorf("stream %s entry %d: %w", streamName, l.read+1, err)
		}
		l.all[s.Application] = &after
		l.read++
	}
	return nil
}

// Get returns the application with the ID. The error wraps [fs.ErrNotExist] if there is none.
func (l *Log) Get(ctx context.Context, id string) (greentally.Application, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.catchUp(ctx); err != nil {
		return greentally.Application{}, err
	}
	a, ok := l.all[id]
	if !ok {
		return greentally.Application{}, fmt.Errorf("application %q: %w", id, fs.ErrNotExist)
	}
	return *a, nil
}

// All returns all applications, or those of a community, oldest first.
func (l *Log) All(ctx context.Context, community string) ([]greentally.Application, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.catchUp(ctx); err != nil {
		return nil, err
	}
	all := []greentally.Application{}
	for _, a := range l.all {
		if community == "" || a.Community == community {
			all = append(all, *a)
		}
	}
	slices.SortFunc(all, func(a, b greentally.Application) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}
