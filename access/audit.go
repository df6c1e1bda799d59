package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/nats-io/nats.go/jetstream"
)

// Entry says that somebody did something, or tried to.
type Entry struct {
	ID        uint64            `json:"id"` // its place in the log
	At        time.Time         `json:"at"`
	Who       string            `json:"who,omitempty"`  // [Principal.Name]; empty if that is not known
	Role      Role              `json:"role,omitempty"` // by which it may
	Address   string            `json:"address,omitempty"`
	Action    string            `json:"action"` // such as login, record.add, user.change
	Community string            `json:"community,omitempty"`
	What      map[string]string `json:"what,omitempty"` // a few words on what it was done to; no secrets
	Result    Result            `json:"result"`
}

// Result is what came of an action.
type Result string

// The results.
const (
	Done    Result = "done"
	Refused Result = "refused" // it was not allowed
	Failed  Result = "failed"  // it went wrong
)

// Audit is the log of who did what. It is only ever added to; entries leave it after three
// years, because they say where people were and when.
type Audit struct {
	js     jetstream.JetStream
	stream jetstream.Stream
	now    func() time.Time
}

const (
	auditStream  = "GREENTALLY_AUDIT"
	auditSubject = "greentally.audit"
	auditKeep    = 3 * 365 * 24 * time.Hour
)

// OpenAudit opens the log, and makes it if it is not there. now tells when things are done.
func OpenAudit(ctx context.Context, js jetstream.JetStream, replicas int, now func() time.Time) (*Audit, error) {
	stream, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:        auditStream,
		Description: "Who did what",
		Subjects:    []string{auditSubject + ".*.*"},
		Storage:     jetstream.FileStorage,
		MaxAge:      auditKeep,
		DenyDelete:  true,
		DenyPurge:   true,
		Replicas:    max(1, replicas),
	})
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", auditStream, err)
	}
	return &Audit{js: js, stream: stream, now: now}, nil
}

// What an entry takes at most; more is cut off.
const (
	maxWords = 16  // of What
	maxWord  = 200 // characters
)

// Write adds an entry, and returns when it is on disk.
func (a *Audit) Write(ctx context.Context, e Entry) error {
	e.ID, e.At = 0, a.now().UTC()
	e.Who, e.Address, e.Action, e.Community = short(e.Who), short(e.Address), short(e.Action), short(e.Community)
	what := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(e.What)) {
		if len(what) < maxWords {
			what[short(key)] = short(e.What[key])
		}
	}
	e.What = what
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	if _, err := a.js.Publish(ctx, subjectOf(e.Who)+"."+word(e.Community), data); err != nil {
		return fmt.Errorf("audit log: keep that %s did %s: %w", e.Who, e.Action, err)
	}
	return nil
}

// subjectOf and word write what may be any text as parts of a subject.
func subjectOf(who string) string { return auditSubject + "." + word(who) }
func word(text string) string     { return "w" + keyOf(text) }

// short cuts a text, and takes what cannot be printed for blanks.
func short(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text[:min(len(text), 4*maxWord)], "�"))
	if runes := []rune(text); len(runes) > maxWord {
		text = string(runes[:maxWord-1]) + "…"
	}
	return text
}

// Query says which entries are wanted.
type Query struct {
	Who       string // all if empty
	Community string // all if empty
	Before    uint64 // those before this place; the latest if 0
	Limit     int    // at most so many
}

// Read returns the entries that are wanted, latest first. The next page is before the last of
// them.
func (a *Audit) Read(ctx context.Context, q Query) ([]Entry, error) {
	info, err := a.stream.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", auditStream, err)
	}
	subject := auditSubject + ".*.*"
	if q.Who != "" {
		subject = strings.Replace(subject, "*", word(q.Who), 1)
	}
	if q.Community != "" {
		subject = strings.TrimSuffix(subject, "*") + word(q.Community)
	}
	// JetStream finds the next entry with a subject, not the one before: so it is asked for all
	// in a stretch, and then in the stretch before that, which is longer.
	all := []Entry{}
	end := info.State.LastSeq + 1 // of the stretch; it is not in it
	if q.Before > 0 {
		end = min(end, q.Before)
	}
	for length := uint64(max(1, q.Limit)); len(all) < q.Limit && end > max(1, info.State.FirstSeq); length = min(2*length, 4096) {
		start := max(info.State.FirstSeq, end-min(end, length), 1)
		found, err := a.between(ctx, subject, start, end)
		if err != nil {
			return nil, err
		}
		slices.Reverse(found)
		all = append(all, found...)
		end = start
	}
	return all[:min(len(all), max(0, q.Limit))], nil
}

// between returns the entries of a stretch, oldest first.
func (a *Audit) between(ctx context.Context, subject string, start, end uint64) ([]Entry, error) {
	var all []Entry
	for start < end {
		msg, err := a.stream.GetMsg(ctx, start, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && msg.Sequence >= end {
			return all, nil
		}
		var e Entry
		if err == nil {
			err = json.Unmarshal(msg.Data, &e)
		}
		if err != nil {
			return nil, fmt.Errorf("stream %s after entry %d: %w", auditStream, start-1, err)
		}
		e.ID = msg.Sequence
		all = append(all, e)
		start = msg.Sequence + 1
	}
	return all, nil
}
