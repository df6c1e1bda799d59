package devices

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"

	"greentally"
	"greentally/internal/strictyaml"
)

// Live holds the registry in force and replaces it when its files change. Files that
// do not validate leave the registry in force as it is. It is safe for concurrent use.
type Live struct {
	options Options
	current atomic.Pointer[Registry]

	mu  sync.Mutex // held while files are read or written
	err error

	changed []func(*Registry)
}

// OpenLive loads the registry for the first time.
func OpenLive(o Options) (*Live, error) {
	r, err := Load(o)
	if err != nil {
		return nil, err
	}
	l := &Live{options: o}
	l.current.Store(r)
	return l, nil
}

// Current returns the registry in force.
func (l *Live) Current() *Registry { return l.current.Load() }

// Decode decodes a message by the registry in force.
func (l *Live) Decode(m greentally.Message) ([]greentally.Reading, error) {
	return l.Current().Decode(m)
}

// Err says why the files as they were last read are not in force; nil if they are.
func (l *Live) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Reload reads all files again. If they do not validate, the registry in force stays,
// and the error says why.
func (l *Live) Reload() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reload()
}

func (l *Live) reload() error {
	r, err := Load(l.options)
	l.err = err
	if err == nil {
		l.current.Store(r)
		for _, changed := range l.changed {
			changed(r)
		}
	}
	return err
}

// OnChange makes changed be called with each registry that comes into force from now
// on. It must not block, nor call the Live.
func (l *Live) OnChange(changed func(*Registry)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed = append(l.changed, changed)
}

// settle is how long files must rest before they are read: editors and copying tools
// change them in several steps.
const settle = 200 * time.Millisecond

// Watch reads the files again when one of them changes, until ctx is done. It begins
// with reading them, so that no change between opening and watching is missed.
func (l *Live) Watch(ctx context.Context, log *slog.Logger) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch the registry's folders: %w", err)
	}
	defer watcher.Close()
	watch := func() (err error) {
		for _, folder := range append(append([]strictyaml.Folder{l.options.Communities}, l.options.Kinds...), l.options.Profiles...) {
			// The folder is watched, not its files: editors replace files. Only
			// folders on disk can be watched, and only they change.
			if info, statErr := os.Stat(folder.Name); folder.FS != nil && statErr == nil && info.IsDir() {
				err = errors.Join(err, watcher.Add(folder.Name))
			}
		}
		return err
	}
	if err := watch(); err != nil {
		return fmt.Errorf("watch the registry's folders: %w", err)
	}
	due := time.NewTimer(0)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-watcher.Events:
			due.Reset(settle)
		case err := <-watcher.Errors:
			log.WarnContext(ctx, "watch the registry's folders", "error", err)
			due.Reset(settle) // events may have been lost
		case <-due.C:
			before := l.Current()
			if err := l.Reload(); err != nil {
				log.ErrorContext(ctx, "the registry's files are not valid; the ones read before stay in force", "error", err)
			} else if after := l.Current(); before != after {
				log.InfoContext(ctx, "registry read", "communities", len(after.communities), "devices", len(after.devices))
			}
			if err := watch(); err != nil { // a folder may have been replaced
				log.WarnContext(ctx, "watch the registry's folders", "error", err)
			}
		}
	}
}
