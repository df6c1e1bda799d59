package access

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// mirror is a copy of a bucket in memory.
type mirror[T any] struct {
	bucket jetstream.KeyValue
	stream jetstream.Stream // that the bucket is made of
	log    *slog.Logger

	mu   sync.RWMutex
	held map[string]held[T] // by key
}

// held is the last that is known of a key.
type held[T any] struct {
	value    T
	revision uint64
	gone     bool
	broken   bool // it is there, and cannot be decoded
}

// openMirror opens the bucket, makes it if it is not there, and reads it.
func openMirror[T any](ctx context.Context, js jetstream.JetStream, name, description string, replicas int, log *slog.Logger) (*mirror[T], error) {
	bucket, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: name, Description: description, Storage: jetstream.FileStorage, Replicas: max(1, replicas),
	})
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", name, err)
	}
	// A removed key leaves a mark, which nobody else removes. The marks of the last half hour
	// may be news to another program.
	if err := bucket.PurgeDeletes(ctx); err != nil && !errors.Is(err, jetstream.ErrNoKeysFound) {
		return nil, fmt.Errorf("bucket %s: remove what was removed before: %w", name, err)
	}
	stream, err := js.Stream(ctx, "KV_"+name)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", name, err)
	}
	m := &mirror[T]{bucket: bucket, stream: stream, log: log, held: map[string]held[T]{}}
	_, err = m.load(ctx)
	return m, err
}

// keyOf is the key of a name in a bucket, whose keys take few characters.
func keyOf(name string) string { return base64.RawURLEncoding.EncodeToString([]byte(name)) }

// get returns the value of a key and its revision.
func (m *mirror[T]) get(key string) (T, uint64, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	h, there := m.held[key]
	return h.value, h.revision, there && !h.gone && !h.broken
}

// all returns the values by their keys.
func (m *mirror[T]) all() map[string]T {
	m.mu.RLock()
	defer m.mu.RUnlock()
	all := make(map[string]T, len(m.held))
	for key, h := range m.held {
		if !h.gone && !h.broken {
			all[key] = h.value
		}
	}
	return all
}

// any reports whether there is a key, and be it one that cannot be decoded.
func (m *mirror[T]) any() bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, h := range m.held {
		if !h.gone {
			return true
		}
	}
	return false
}

// take takes in what the bucket has at a revision; nil is a key that is gone.
func (m *mirror[T]) take(key string, revision uint64, data []byte) {
	now := held[T]{revision: revision, gone: data == nil}
	if data != nil {
		if err := json.Unmarshal(data, &now.value); err != nil {
			now.broken = true
			m.log.Error("an entry cannot be read, and counts for nothing; remove it, or go back to the version that wrote it",
				"bucket", m.bucket.Bucket(), "key", key, "error", err)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if revision >= m.held[key].revision {
		m.held[key] = now
	}
}

func (m *mirror[T]) takeEntry(e jetstream.KeyValueEntry) {
	if e.Operation() == jetstream.KeyValuePut {
		m.take(e.Key(), e.Revision(), append([]byte{}, e.Value()...))
	} else {
		m.take(e.Key(), e.Revision(), nil)
	}
}

// load reads the whole bucket, and returns the revision of its last change before that.
func (m *mirror[T]) load(ctx context.Context) (uint64, error) {
	info, err := m.stream.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("bucket %s: %w", m.bucket.Bucket(), err)
	}
	last := info.State.LastSeq
	entries, err := m.bucket.WatchAll(ctx)
	if err != nil {
		return 0, fmt.Errorf("bucket %s: %w", m.bucket.Bucket(), err)
	}
	defer func() { _ = entries.Stop() }() // it ends with the connection at the latest
	return last, m.catchUp(ctx, entries, last)
}

// errEnded is the error of a watch that ended by itself.
var errEnded = errors.New("the watch ended")

// catchUp takes in what the bucket has when a watch of it begins. What the watch does not tell
// of, and was there at the revision, has gone and left no mark.
func (m *mirror[T]) catchUp(ctx context.Context, entries jetstream.KeyWatcher, last uint64) error {
	told := map[string]bool{}
	for {
		select {
		case e, more := <-entries.Updates():
			if !more {
				return fmt.Errorf("bucket %s: %w", m.bucket.Bucket(), errEnded)
			}
			if e != nil {
				told[e.Key()] = true
				m.takeEntry(e)
				continue
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			for key, h := range m.held {
				if !told[key] && h.revision <= last {
					delete(m.held, key)
				}
			}
			return nil
		case <-ctx.Done():
			return fmt.Errorf("bucket %s: %w", m.bucket.Bucket(), ctx.Err())
		}
	}
}

// run follows the bucket until ctx is done.
func (m *mirror[T]) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := m.follow(ctx); err != nil && ctx.Err() == nil {
			m.log.Warn("lost sight of a bucket; looking again", "bucket", m.bucket.Bucket(), "error", err)
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
	}
	return nil
}

func (m *mirror[T]) follow(ctx context.Context) error {
	info, err := m.stream.Info(ctx)
	if err != nil {
		return err
	}
	entries, err := m.bucket.WatchAll(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = entries.Stop() }()
	if err := m.catchUp(ctx, entries, info.State.LastSeq); err != nil {
		return err
	}
	for {
		select {
		case e, more := <-entries.Updates():
			if !more {
				return errEnded
			}
			m.takeEntry(e)
		case <-ctx.Done():
			return nil
		}
	}
}
