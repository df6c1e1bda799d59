package records

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"

	"greentally"
)

// Log is the durable log of records.
type Log struct {
	// Attachments are what the records rest on.
	Attachments *Attachments

	js     jetstream.JetStream
	stream jetstream.Stream
	types  *Types
	accept func(greentally.Record) error
	now    func() time.Time
	adding sync.Mutex
	index  index
}

// index says where in the log a record is and what was said already, so that nothing is
// looked for from the start. It reads what came to the log since it was last asked, and is
// made again at each start. A record takes some 200 bytes of it.
type index struct {
	mu         sync.Mutex
	read       uint64            // up to this entry
	at         map[string]uint64 // entry of a record by its ID
	replacedBy map[string]string
	withdraws  map[string]bool // IDs of those that withdraw another
	said       map[mark]string // ID of the last record that said so
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
	attachments, err := openAttachments(ctx, js, replicas)
	if err != nil {
		return nil, err
	}
	return &Log{Attachments: attachments, js: js, stream: stream, types: types, accept: accept, now: now,
		index: index{at: map[string]uint64{}, replacedBy: map[string]string{}, withdraws: map[string]bool{}, said: map[mark]string{}}}, nil
}

// ErrInvalid is wrapped by the error for a record that is not taken.
var ErrInvalid = greentally.TextErrorf("记录无效", "invalid record")

// ErrThere is wrapped by the error for a record that is not taken because the log has it
// already: nothing is lost.
var ErrThere = greentally.TextErrorf("已有这条记录", "it is there already")

var typeName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// Add gives the record its ID and time, and returns it when it is on disk. What it has
// attached must be there before. A record that replaces another must be of the same
// community and type, and the first to replace it. One that says what another says is
// refused with [ErrThere].
func (l *Log) Add(ctx context.Context, r greentally.Record) (greentally.Record, error) {
	l.adding.Lock()
	defer l.adding.Unlock()
	for range 1000 {
		r, read, err := l.examine(ctx, r, true)
		if err != nil {
			return r, err
		}
		r.ID = ulid.MustNewDefault(l.now()).String()
		r.Recorded = l.now().UTC()
		data, err := json.Marshal(r)
		if err != nil {
			return r, fmt.Errorf("record %s: %w", r.ID, err)
		}
		_, err = l.js.Publish(ctx, subject, data, jetstream.WithMsgID(r.ID), jetstream.WithExpectLastSequence(read))
		if refusal := (*jetstream.APIError)(nil); errors.As(err, &refusal) &&
			(refusal.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || refusal.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant) {
			continue // another process has added one meanwhile
		}
		if err != nil {
			return r, fmt.Errorf("keep record %s: %w", r.ID, err)
		}
		return r, nil
	}
	return r, greentally.TextErrorf("其他人正在同时登记，请重试", "others add records all the time; try again")
}

// Check reports why the record would not be added now, and returns it as it would be. Only
// what it has attached need not be there yet.
func (l *Log) Check(ctx context.Context, r greentally.Record) (greentally.Record, error) {
	r, _, err := l.examine(ctx, r, false)
	return r, err
}

// The years that records can be of.
const firstYear, lastYear = 1900, 2200

// examine reports why the record cannot be added after the entry that it returns. What can be
// known of it is filled in.
func (l *Log) examine(ctx context.Context, r greentally.Record, attached bool) (greentally.Record, uint64, error) {
	r.At, r.End = inUTC(r.At), inUTC(r.End)
	all := []error{l.types.Validate(r)}
	years := map[string]int{"date": r.Date.Year, "until": r.Last().Year}
	if r.At != nil {
		years["at"] = r.At.Year()
	}
	if r.End != nil {
		years["end"] = r.End.Year()
	}
	for _, name := range slices.Sorted(maps.Keys(years)) {
		if year := years[name]; year < firstYear || year > lastYear {
			all = append(all, fmt.Errorf("%w: %w", ErrInvalid, greentally.TextErrorf("%s：%d 不是记录可用的年份", "%s: %d is no year of a record", name, year)))
		}
	}
	if !r.Withdraws { // what is withdrawn may be of what is there no more
		if wrong := l.accept(r); wrong != nil {
			all = append(all, fmt.Errorf("%w: %w", ErrInvalid, wrong))
		}
	}
	r.Attachments = slices.Clone(r.Attachments)
	for i := range r.Attachments {
		all = append(all, l.attached(ctx, r.Community, &r.Attachments[i], attached))
	}
	if err := errors.Join(all...); err != nil {
		return r, 0, err
	}
	x := &l.index
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := l.catchUp(ctx); err != nil {
		return r, 0, err
	}
	if err := l.isNew(r); err != nil {
		return r, 0, err
	}
	return r, x.read, l.mayReplace(ctx, r)
}

// attached fills in what is known of an attachment, and reports why a record cannot have it.
func (l *Log) attached(ctx context.Context, community string, a *greentally.Attachment, must bool) error {
	kept, _, err := l.Attachments.Get(ctx, community, a.SHA256)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !must && sha256Hex.MatchString(a.SHA256):
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", ErrInvalid, greentally.TextErrorf("%[2]s 没有附件 %[1]q；请先上传文件", "there is no attachment %q in %s; hand in the file first, and name it by its sha256", a.SHA256, community))
	case err != nil:
		return err
	}
	named := *a
	if named.Name == "" {
		named.Name = kept.Name
	}
	if named.MediaType == "" {
		named.MediaType = kept.MediaType
	}
	if named.Size == 0 {
		named.Size = kept.Size
	}
	if named != kept {
		return fmt.Errorf("%w: attachment %s is %q, %s, %d bytes, not %q, %s, %d bytes; its sha256 alone is enough",
			ErrInvalid, a.SHA256, kept.Name, kept.MediaType, kept.Size, named.Name, named.MediaType, named.Size)
	}
	*a = kept
	return nil
}

func inUTC(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	utc := t.UTC()
	return &utc
}

// mark stands for something that a record says.
type mark [sha256.Size]byte

// says returns the mark of all that a record says of its subject: of two that say the same it
// is the same. Which it replaces, why, and when and by whom it was handed in is not of its subject.
func says(r greentally.Record) mark {
	r.ID, r.Why, r.Replaces, r.Account, r.Recorded = "", "", "", "", time.Time{}
	r.At, r.End = inUTC(r.At), inUTC(r.End)
	if r.Values == nil {
		r.Values = greentally.Values{}
	}
	r.Texts = maps.Clone(r.Texts)
	maps.DeleteFunc(r.Texts, func(_, text string) bool { return text == "" })
	var hashes []string
	for _, a := range r.Attachments {
		hashes = append(hashes, a.SHA256)
	}
	slices.Sort(hashes)
	r.Attachments = nil
	data, err := json.Marshal(r)
	if err != nil {
		return mark{} // of no record that is valid
	}
	return sha256.Sum256(append(data, strings.Join(hashes, " ")...))
}

// unique returns the marks of the record's texts that no other of its type can have, by name.
func (t *Types) unique(r greentally.Record) map[string]mark {
	one := t.byName[r.Type]
	if one == nil {
		return nil
	}
	marks := map[string]mark{}
	for _, name := range one.Unique {
		if text := r.Texts[name]; text != "" {
			marks[name] = sha256.Sum256([]byte(strings.Join([]string{"unique", r.Community, r.Type, name, text}, "\x00")))
		}
	}
	return marks
}

// isNew reports which record says already what this one says. The index is up to date and
// locked.
func (l *Log) isNew(r greentally.Record) error {
	if r.Withdraws {
		return nil
	}
	x := &l.index
	if id, there := x.said[says(r)]; there {
		last := x.last(id)
		switch {
		case x.withdraws[last]:
		case last == id:
			return fmt.Errorf("%w: %w", ErrThere, greentally.TextErrorf("记录 %s 内容相同", "record %s says the same", id))
		case r.Replaces == "":
			return fmt.Errorf("%w: %w", ErrThere, greentally.TextErrorf("记录 %s 内容相同，已由 %s 取代；如有误请更正后者", "record %s said the same, and %s took its place; if that one is wrong, replace it", id, last))
		}
	}
	var all []error
	marks := l.types.unique(r)
	for _, name := range slices.Sorted(maps.Keys(marks)) {
		id, there := x.said[marks[name]]
		if there && id != r.Replaces && x.last(id) == id {
			all = append(all, fmt.Errorf("%w: %w", ErrInvalid, greentally.TextErrorf("%s %q 已用于记录 %s；如有误请更正那一条", "%s %q is that of record %s; if that one is wrong, replace it", name, r.Texts[name], id)))
		}
	}
	return errors.Join(all...)
}

// last returns the record that stands now for the one with the ID: itself if none replaces it.
func (x *index) last(id string) string {
	for x.replacedBy[id] != "" {
		id = x.replacedBy[id]
	}
	return id
}

// mayReplace reports why the record cannot replace the one that it names. The index is up to
// date and locked.
func (l *Log) mayReplace(ctx context.Context, r greentally.Record) error {
	if r.Replaces == "" {
		return nil
	}
	x := &l.index
	sequence, there := x.at[r.Replaces]
	var replaced greentally.Record
	if there {
		var err error
		if replaced, err = l.entry(ctx, sequence); err != nil {
			return err
		}
	}
	by := x.replacedBy[r.Replaces]
	switch {
	case !there || replaced.Community != r.Community:
		return fmt.Errorf("%w: %w", ErrInvalid, greentally.TextErrorf("%[2]s 没有可更正的记录 %[1]s", "there is no record %s in %s to replace", r.Replaces, r.Community))
	case replaced.Type != r.Type:
		return fmt.Errorf("%w: record %s is a %s and cannot be replaced by a %s", ErrInvalid, r.Replaces, replaced.Type, r.Type)
	case replaced.Withdraws:
		return fmt.Errorf("%w: record %s only withdraws %s; hand in what holds as a record of its own", ErrInvalid, r.Replaces, replaced.Replaces)
	case x.withdraws[by] && r.Withdraws:
		return fmt.Errorf("%w: %w", ErrThere, greentally.TextErrorf("记录 %s 已被 %s 撤回", "record %s was withdrawn, by %s", r.Replaces, by))
	case x.withdraws[by]:
		return fmt.Errorf("%w: %w", ErrInvalid, greentally.TextErrorf("记录 %s 已被 %s 撤回；请另行登记", "record %s was withdrawn, by %s; hand in what holds as a record of its own", r.Replaces, by))
	case by != "":
		return fmt.Errorf("%w: %w", ErrInvalid, greentally.TextErrorf("记录 %s 已由 %s 更正；请更正后者", "record %s was replaced already, by %s; replace that one", r.Replaces, by))
	}
	return nil
}

// Get returns the record with the ID. The error wraps [fs.ErrNotExist] if there is none.
func (l *Log) Get(ctx context.Context, id string) (greentally.Record, error) {
	x := &l.index
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := l.catchUp(ctx); err != nil {
		return greentally.Record{}, err
	}
	sequence, there := x.at[id]
	if !there {
		return greentally.Record{}, greentally.Missingf("没有记录 %s", "there is no record %s", id)
	}
	return l.entry(ctx, sequence)
}

// catchUp reads what came to the log since the index, which is locked, was last asked.
func (l *Log) catchUp(ctx context.Context) error {
	x := &l.index
	info, err := l.stream.Info(ctx)
	if err != nil {
		return fmt.Errorf("stream %s: %w", streamName, err)
	}
	err = l.Since(ctx, x.read, func(sequence uint64, r greentally.Record) error {
		x.read, x.at[r.ID] = sequence, sequence
		if r.Replaces != "" {
			x.replacedBy[r.Replaces] = r.ID
		}
		if r.Withdraws {
			x.withdraws[r.ID] = true
			return nil
		}
		x.said[says(r)] = r.ID
		for _, m := range l.types.unique(r) {
			x.said[m] = r.ID
		}
		return nil
	})
	if err == nil {
		x.read = max(x.read, info.State.LastSeq) // also if the last ones are gone, because they were damaged
	}
	return err
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
		// Or the next after it: an entry that was damaged is gone, and the others count all the same.
		msg, err := l.stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("stream %s entry %d: %w", streamName, seq, err)
		}
		seq = msg.Sequence
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
