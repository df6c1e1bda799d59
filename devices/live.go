package devices

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"greentally"
	"greentally/internal/folderwatch"
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

// Watch reads the files again when one of them changes, until ctx is done. It begins
// with reading them, so that no change between opening and watching is missed.
func (l *Live) Watch(ctx context.Context, log *slog.Logger) error {
	var folders []string
	for _, folder := range append(append([]strictyaml.Folder{l.options.Communities}, l.options.Kinds...), l.options.Profiles...) {
		if folder.FS != nil {
			folders = append(folders, folder.Name) // that of what is shipped is none on disk
		}
	}
	return folderwatch.Run(ctx, folders, log, func() {
		if err := l.Reload(); err != nil {
			log.ErrorContext(ctx, "the registry's files are not valid; the ones read before stay in force", "error", err)
			return
		}
		now := l.Current()
		log.InfoContext(ctx, "registry read", "communities", len(now.communities), "devices", len(now.devices))
	})
}
