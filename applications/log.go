package applications

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
				return a, greentally.NoApplication(id)
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
		if err := l.rival(&a); id == "" && err != nil {
			return a, fmt.Errorf("%w: %w", ErrRefused, err)
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
	return a, greentally.TextErrorf("其他人正在同时登记，请重试", "others take steps all the time; try again")
}

// rival returns why an application cannot begin beside another of the community: one by the
// scheme is on its way, or the title was written down already.
func (l *Log) rival(a *greentally.Application) error {
	for _, other := range l.all {
		switch {
		case other.Community != a.Community:
		case Open(a.Stage) && Open(other.Stage) && other.Scheme == a.Scheme:
			return greentally.TextErrorf("%[1]s 按 %[2]s 的申报 %[3]s 正在进行（%[4]s）；请继续办理或先撤回", "%s has an application by %s already, %s, which is %s; go on with that one, or withdraw it", a.Community, a.Scheme, other.ID, other.Stage.Title())
		case a.Stage == greentally.StageNamed && other.Stage == greentally.StageNamed && other.Level == a.Level && *other.Named == *a.Named:
			return greentally.TextErrorf("%s 已登记这一称号（%s）", "%s has that title already, %s", a.Community, other.ID)
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
		// Or the next after it: a step that was damaged is gone, and the others count all the same.
		msg, err := l.stream.GetMsg(ctx, l.read+1, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			l.read = info.State.LastSeq
			return nil
		}
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
		taken := after(before, s) // what was taken stays taken, also if the course is another by now
		l.all[s.Application] = &taken
		l.read = msg.Sequence
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
		return greentally.Application{}, greentally.NoApplication(id)
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
