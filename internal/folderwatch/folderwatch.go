// Package folderwatch notices that files in folders change, by fsnotify.
//
// It reads no files: whoever asks reads what changed. What it tells may be nothing new,
// and one call may stand for many changes.
package folderwatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long files must rest before changed is called: editors and copying tools
// change them in several steps.
const settle = 200 * time.Millisecond

// Run calls changed when a file in one of the folders has changed, until ctx is done. It
// begins with a call, so that no change before it is missed. Names that are no folder are
// passed over until they are one.
func Run(ctx context.Context, folders []string, log *slog.Logger, changed func()) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch folders: %w", err)
	}
	defer watcher.Close()
	watch := func() (err error) {
		for _, folder := range folders {
			// The folder is watched, not its files: editors replace files.
			if info, statErr := os.Stat(folder); statErr == nil && info.IsDir() {
				err = errors.Join(err, watcher.Add(folder))
			}
		}
		return err
	}
	if err := watch(); err != nil {
		return fmt.Errorf("watch folders: %w", err)
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
			log.WarnContext(ctx, "watch folders", "error", err)
			due.Reset(settle) // events may have been lost
		case <-due.C:
			changed()
			if err := watch(); err != nil { // a folder may have been replaced
				log.WarnContext(ctx, "watch folders", "error", err)
			}
		}
	}
}
