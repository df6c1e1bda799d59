package alerting

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/alertmanager/nflog"
	"github.com/prometheus/alertmanager/nflog/nflogpb"
	"github.com/prometheus/alertmanager/silence"
	"github.com/prometheus/alertmanager/silence/silencepb"
	"google.golang.org/protobuf/encoding/protodelim"

	"greentally"
	"greentally/internal/retry"
)

// State keeps values durably. Keys consist of letters, digits, dots and hyphens.
type State interface {
	// All returns all values, by key.
	All(ctx context.Context) (map[string][]byte, error)
	// Write writes values, and removes those that are nil. What it did before an error it
	// may do again.
	Write(ctx context.Context, values map[string][]byte) error
}

// JetStream is a State in a key-value bucket.
type JetStream struct{ bucket jetstream.KeyValue }

// OpenState opens the bucket of a state in JetStream, and makes it if it is not there.
func OpenState(ctx context.Context, js jetstream.JetStream, name, description string, replicas int) (*JetStream, error) {
	bucket, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket:      name,
		Description: description,
		Storage:     jetstream.FileStorage,
		Replicas:    max(1, replicas),
	})
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", name, err)
	}
	// A removed key leaves a mark, which nobody else removes.
	if err := bucket.PurgeDeletes(ctx, jetstream.DeleteMarkersOlderThan(-1)); err != nil && !errors.Is(err, jetstream.ErrNoKeysFound) {
		return nil, fmt.Errorf("bucket %s: remove what was removed before: %w", name, err)
	}
	return &JetStream{bucket}, nil
}

// All implements State.
func (s *JetStream) All(ctx context.Context) (map[string][]byte, error) {
	entries, err := s.bucket.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", s.bucket.Bucket(), err)
	}
	defer func() { _ = entries.Stop() }() // it ends with the connection at the latest
	all := map[string][]byte{}
	for {
		select {
		case entry := <-entries.Updates():
			if entry == nil { // that was all
				return all, nil
			}
			all[entry.Key()] = entry.Value()
		case <-ctx.Done():
			return nil, fmt.Errorf("bucket %s: %w", s.bucket.Bucket(), ctx.Err())
		}
	}
}

// Write implements State.
func (s *JetStream) Write(ctx context.Context, values map[string][]byte) error {
	for key, value := range values {
		var err error
		if value == nil {
			err = s.bucket.Purge(ctx, key)
		} else {
			_, err = s.bucket.Put(ctx, key, value)
		}
		if err != nil {
			return fmt.Errorf("bucket %s, key %s: %w", s.bucket.Bucket(), key, err)
		}
	}
	return nil
}

// The kinds of keys.
const (
	alertKey        = "alert."
	notificationKey = "notification."
	silenceKey      = "silence."
)

// keeper writes changes to the state behind the backs of those who make them.
//
// Alertmanager tells of a change while it holds a lock, so that waiting for the disk, or
// for a cluster that is away, would hold up all notifications. A process that is killed
// between a notification and the write of it, some milliseconds later, repeats the
// notification at its next start. While the state cannot be written that time is longer:
// everything told since then would be repeated, and silences set since then forgotten. It
// is tried until it works.
type keeper struct {
	state State
	log   *slog.Logger

	mu      sync.Mutex
	pending map[string][]byte    // not written yet
	expires map[string]time.Time // of the keys that end by themselves
	changes uint64               // made until now
	written uint64               // of these
	wrote   chan struct{}        // closed when written rises
	more    chan struct{}        // holds a value when something is pending

	stop func()
	done chan struct{}
}

func newKeeper(ctx context.Context, state State, log *slog.Logger) *keeper {
	ctx, cancel := context.WithCancel(ctx)
	k := &keeper{
		state: state, log: log,
		pending: map[string][]byte{}, expires: map[string]time.Time{},
		wrote: make(chan struct{}), more: make(chan struct{}, 1),
		stop: cancel, done: make(chan struct{}),
	}
	go k.run(ctx)
	return k
}

// set has the value written; nil removes it. One with a time ends then by itself.
func (k *keeper) set(key string, value []byte, expires time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.changes++
	k.pending[key] = value
	if value == nil || expires.IsZero() {
		delete(k.expires, key)
	} else {
		k.expires[key] = expires
	}
	select {
	case k.more <- struct{}{}:
	default:
	}
}

// expire removes what has ended.
func (k *keeper) expire(now time.Time) {
	k.mu.Lock()
	ended := map[string]bool{}
	for key, at := range k.expires {
		if !at.After(now) {
			ended[key] = true
		}
	}
	k.mu.Unlock()
	for key := range ended {
		k.set(key, nil, time.Time{})
	}
}

func (k *keeper) run(ctx context.Context) {
	defer close(k.done)
	for {
		select {
		case <-k.more:
		case <-ctx.Done():
			return
		}
		var taken map[string][]byte
		var upTo uint64
		take := func() error { // a newer value takes the place of one that could not be written
			k.mu.Lock()
			if taken == nil {
				taken = map[string][]byte{}
			}
			maps.Copy(taken, k.pending)
			clear(k.pending)
			upTo = k.changes
			k.mu.Unlock()
			attempt, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			return k.state.Write(attempt, taken)
		}
		if retry.Do(ctx, k.log, "keep alerts, notifications and silences", take) != nil {
			return
		}
		k.mu.Lock()
		k.written = upTo
		close(k.wrote)
		k.wrote = make(chan struct{})
		k.mu.Unlock()
	}
}

// flush waits until all that was set before is written.
func (k *keeper) flush(ctx context.Context) error {
	k.mu.Lock()
	upTo := k.changes
	k.mu.Unlock()
	for {
		k.mu.Lock()
		written, wrote := k.written, k.wrote
		k.mu.Unlock()
		if written >= upTo {
			return nil
		}
		select {
		case <-wrote:
		case <-k.done:
			return errors.New("the state is closed")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// close writes what is pending, if that can be done soon.
func (k *keeper) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := k.flush(ctx)
	k.stop()
	<-k.done
	if err != nil {
		return fmt.Errorf("not all alerts, notifications and silences are kept; some may be told again: %w", err)
	}
	return nil
}

// notified keeps an entry of the notification log, in Alertmanager's own form.
func (k *keeper) notified(entry []byte) {
	e, err := decodeNotification(entry)
	if err != nil {
		k.log.Warn("cannot keep a notification, which may be repeated after a restart", "error", err)
		return
	}
	r := e.Entry.Receiver
	hash := sha256.Sum256(fmt.Appendf(nil, "%q %q %d %q", r.GroupName, r.Integration, r.Idx, e.Entry.GroupKey))
	k.set(notificationKey+hex.EncodeToString(hash[:16]), entry, e.ExpiresAt.AsTime())
}

// silenced keeps a silence, in Alertmanager's own form.
func (k *keeper) silenced(entry []byte) {
	e, err := decodeSilence(entry)
	if err != nil {
		k.log.Warn("cannot keep a silence, which will not be there after a restart", "error", err)
		return
	}
	k.set(silenceKey+e.Silence.Id, entry, e.ExpiresAt.AsTime())
}

func decodeNotification(entry []byte) (*nflogpb.MeshEntry, error) {
	e := &nflogpb.MeshEntry{}
	if err := protodelim.UnmarshalFrom(bytes.NewReader(entry), e); err != nil {
		return nil, err
	}
	if e.Entry == nil || e.Entry.Receiver == nil || e.ExpiresAt == nil {
		return nil, errors.New("not a notification")
	}
	return e, nil
}

func decodeSilence(entry []byte) (*silencepb.MeshSilence, error) {
	e := &silencepb.MeshSilence{}
	if err := protodelim.UnmarshalFrom(bytes.NewReader(entry), e); err != nil {
		return nil, err
	}
	if e.Silence == nil || e.ExpiresAt == nil {
		return nil, errors.New("not a silence")
	}
	return e, nil
}

// load reads the state: notifications and silences to where Alertmanager keeps them, and
// returns the alerts and the debts. What cannot be read is passed over, for it must not keep the program
// from telling the rest.
func (k *keeper) load(ctx context.Context, notifications *nflog.Log, silences *silence.Silences) (alerts []greentally.Alert, owed map[debt]bool, err error) {
	all, err := k.state.All(ctx)
	if err != nil {
		return nil, nil, err
	}
	owed = map[debt]bool{}
	for key, value := range all {
		var expires time.Time
		var err error
		switch {
		case strings.HasPrefix(key, notificationKey):
			var e *nflogpb.MeshEntry
			if e, err = decodeNotification(value); err == nil {
				expires, err = e.ExpiresAt.AsTime(), notifications.Merge(value)
			}
		case strings.HasPrefix(key, silenceKey):
			var e *silencepb.MeshSilence
			if e, err = decodeSilence(value); err == nil {
				expires, err = e.ExpiresAt.AsTime(), silences.Merge(value)
			}
		case strings.HasPrefix(key, alertKey):
			var a greentally.Alert
			if err = json.Unmarshal(value, &a); err == nil {
				alerts = append(alerts, a)
			}
		case strings.HasPrefix(key, debtKey):
			var d debt
			if err = json.Unmarshal(value, &d); err == nil {
				owed[d], expires = true, time.Now().Add(retention)
			}
		}
		if err != nil {
			k.log.Warn("passed over something kept about alerts that cannot be read", "key", key, "error", err)
		}
		if !expires.IsZero() {
			k.mu.Lock()
			k.expires[key] = expires
			k.mu.Unlock()
		}
	}
	return alerts, owed, nil
}
