package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/gofrs/flock"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"greentally"
	"greentally/ingest"
	"greentally/internal/embeddednats"
	"greentally/internal/health"
	"greentally/internal/retry"
	"greentally/internal/wholefile"
)

// heldFolder is the data folder, which belongs to one process.
type heldFolder struct {
	dir  string
	lock *flock.Flock
	file os.FileInfo // of the lock
}

// holdFolder takes the data folder, and makes it if it is not there.
func holdFolder(dir string) (*heldFolder, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	h := &heldFolder{dir: dir, lock: flock.New(filepath.Join(dir, "lock"))}
	if locked, err := h.lock.TryLock(); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	} else if !locked {
		return nil, fmt.Errorf("data folder %s is in use by another greentally; stop that, or choose another data_dir", dir)
	}
	var err error
	if h.file, err = os.Stat(h.lock.Path()); err != nil {
		return nil, errors.Join(fmt.Errorf("data folder: %w", err), h.release())
	}
	return h, h.check() // it may have gone in between
}

func (h *heldFolder) release() error { return h.lock.Unlock() }

// lookAtFolder is how often it is looked whether the data folder is still there.
const lookAtFolder = 5 * time.Second

// watch returns an error when the folder is not the one that is held any more, because it was
// removed, or something else was put or mounted over it: what is acknowledged then is kept in
// files that nobody will find.
func (h *heldFolder) watch(ctx context.Context) error {
	tick := time.NewTicker(lookAtFolder)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := h.check(); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (h *heldFolder) check() error {
	now, err := os.Stat(h.lock.Path())
	if err != nil {
		return fmt.Errorf("data folder %s was removed while it was in use: %w; what was acknowledged in the last %v may be lost; put the folder back, or start with a new one", h.dir, err, lookAtFolder)
	}
	if !os.SameFile(h.file, now) {
		return fmt.Errorf("data folder %s was replaced while it was in use; what was acknowledged in the last %v may be lost; see that one greentally alone uses it", h.dir, lookAtFolder)
	}
	return nil
}

// damageTeller returns what tells of damage in the journal's files: all of it in one trouble, which
// stays told until the next start.
func damageTeller(board *health.Board) func([]embeddednats.Damage) {
	tell := board.Reporter("journal_damaged", false)
	var mu sync.Mutex
	var found []error
	return func(damages []embeddednats.Damage) {
		mu.Lock()
		defer mu.Unlock()
		for _, d := range damages {
			means := personalLogs[d.Stream].means
			if d.Torn && means == "" { // an unfinished write, or places tell what is missing
				continue
			}
			found = append(found, fmt.Errorf("%d bytes of %s were damaged and are cut out; a copy is %s%s", d.Bytes, d.Stream, d.Copy, means))
		}
		tell(errors.Join(found...))
	}
}

// personalLogs are the streams of what people wrote, and of what is kept for them, which nothing can make
// again and of which nobody else notices that their end is missing.
var personalLogs = map[string]struct {
	whole bool   // nothing is ever removed from it
	means string // what it may mean that its end is missing; an end that is torn is told if this is said
}{
	"GREENTALLY_RECORDS":      {true, "; the latest records may be missing: see the copy of them in the store"},
	"GREENTALLY_APPLICATIONS": {true, "; the latest steps of applications may be missing"},
	"GREENTALLY_AUDIT":        {false, "; the latest entries of the audit log may be missing"},
	"GREENTALLY_DEAD_LETTERS": {},
	"KV_GREENTALLY_USERS":     {false, "; the latest changes of users may be undone: look at who may do what"},
	"KV_GREENTALLY_TOKENS":    {false, "; the latest changes of tokens may be undone: one that was revoked may be valid again"},
}

// ledger remembers, in a file of the data folder, how far the logs were that hold what people wrote and
// nothing can make again. It so tells when one has lost its end, or was made anew.
type ledger struct {
	js   jetstream.JetStream
	file string
	logs map[string]ledgerEntry
}

// ledgerEntry is how far a log was.
type ledgerEntry struct {
	Made time.Time `json:"made"`
	Last uint64    `json:"last"`           // its last entry
	Lost uint64    `json:"lost,omitempty"` // entries of its end that were gone at some start
}

// openLedger compares the logs with what was remembered of them, and tells what they lack. That stays
// told until the file is removed.
func openLedger(ctx context.Context, js jetstream.JetStream, dir string, tell func(error)) (*ledger, error) {
	l := &ledger{js: js, file: filepath.Join(dir, "ledger.json"), logs: map[string]ledgerEntry{}}
	data, err := os.ReadFile(l.file)
	if err == nil {
		err = json.Unmarshal(data, &l.logs)
	}
	var all []error
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		all = append(all, fmt.Errorf("%s cannot be read, so that nobody knows whether logs lack entries; it is begun anew: %w", l.file, err))
		l.logs = map[string]ledgerEntry{}
	}
	for _, name := range slices.Sorted(maps.Keys(personalLogs)) {
		before := l.logs[name]
		now, state, err := l.look(ctx, name)
		if err != nil {
			return nil, err
		}
		now.Lost = before.Lost
		switch {
		case before.Made.IsZero():
		case !before.Made.Equal(now.Made):
			now.Lost += before.Last
		case now.Last < before.Last:
			now.Lost += before.Last - now.Last
		}
		l.logs[name] = now
		missing := now.Lost
		if personalLogs[name].whole {
			missing += now.Last - state.Msgs
		}
		if missing > 0 {
			all = append(all, fmt.Errorf("%d entries of %s are gone, as by a damaged disk%s; look for them in a backup of the data folder, and remove %s when that is settled", missing, name, personalLogs[name].means, l.file))
		}
	}
	tell(errors.Join(all...))
	return l, l.write()
}

func (l *ledger) look(ctx context.Context, name string) (ledgerEntry, jetstream.StreamState, error) {
	stream, err := l.js.Stream(ctx, name)
	if err != nil {
		return ledgerEntry{}, jetstream.StreamState{}, fmt.Errorf("stream %s: %w", name, err)
	}
	info := stream.CachedInfo()
	return ledgerEntry{Made: info.Created.UTC(), Last: info.State.LastSeq}, info.State, nil
}

// keep remembers how far the logs are, now and then until ctx is done, and once more then.
func (l *ledger) keep(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.take(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			l.take(last)
			return nil
		}
	}
}

// take remembers how far the logs are, if they can be asked.
func (l *ledger) take(ctx context.Context) {
	changed := false
	for name, before := range l.logs {
		now, _, err := l.look(ctx, name)
		if err != nil {
			return
		}
		if now.Last > before.Last && now.Made.Equal(before.Made) {
			before.Last, changed = now.Last, true
			l.logs[name] = before
		}
	}
	if changed {
		_ = l.write() // it is written again the next time
	}
}

func (l *ledger) write() error {
	data, err := json.MarshalIndent(l.logs, "", "  ")
	if err != nil {
		return err
	}
	return wholefile.Replace(l.file, data, 0o600)
}

// usersFile is in the data folder once there were users.
const usersFile = "users"

// usersAreThere refuses to begin without users where there were some, and no token: else everybody on this
// machine, and who comes by a proxy on it, would be administrator because a file was lost.
func usersAreThere(c config, there bool) error {
	file := filepath.Join(c.DataDir, usersFile)
	if _, err := os.Stat(file); there || errors.Is(err, fs.ErrNotExist) || c.HTTP.TokenFile != "" {
		return nil
	}
	return fmt.Errorf("there were users, and now there are none: what keeps them in %s was lost; bring it back from a backup, or, to begin without users, where everybody on this machine is administrator, remove %s",
		filepath.Join(c.DataDir, "journal"), file)
}

// rememberUsers keeps in the data folder that there are users, as soon as there are.
func rememberUsers(ctx context.Context, c config, there func() bool) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for !there() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
	return os.WriteFile(filepath.Join(c.DataDir, usersFile), []byte("There are users. Without this file greentally may begin without them.\n"), 0o600)
}

// suspecting has the journal in the process looked at while it takes no messages.
func (all *jetStreams) suspecting(tell func(error)) func(error) {
	return func(err error) {
		tell(err)
		if err != nil && all.inProcess != nil && !ingest.IsFull(err) {
			all.inProcess.Suspect()
		}
	}
}

// warnOfLittleSpace warns if the disk has less room than the journal may need.
func (c config) warnOfLittleSpace(log *slog.Logger) {
	if len(c.NATS.URLs) > 0 {
		return
	}
	budget := uint64(c.Journal.MaxBytes) + uint64(c.Journal.DeadLetters)
	if left, err := embeddednats.Free(c.DataDir); err == nil && left < budget {
		log.Warn("the disk of the data folder has less room than journal.max_bytes and journal.dead_letters_max_bytes; when it is full, no messages are taken",
			"folder", c.DataDir, "free", humanize.IBytes(left), "budgets", humanize.IBytes(budget))
	}
}

// diskCollector is the metric of what the disk of the data folder has left.
func diskCollector(dir string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "greentally_data_free_bytes", Help: "Room that the disk of the data folder has left, in bytes.",
	}, func() float64 {
		left, err := embeddednats.Free(dir)
		if err != nil {
			return 0
		}
		return float64(left)
	})
}

// storeTroubles are what is told of the store.
type storeTroubles struct {
	damaged func(error) // stays told: somebody has to act, and start anew
	refuses func(error)
}

// writing tells of an error of the writer, and that there is none.
func (t storeTroubles) writing(err error) {
	if err := t.seen(err); !errors.Is(err, greentally.ErrDamaged) {
		t.refuses(err)
	}
}

// seen tells of an error if it is damage, which does not pass by itself, and returns it.
func (t storeTroubles) seen(err error) error {
	if errors.Is(err, greentally.ErrDamaged) {
		t.damaged(err)
	}
	return err
}

// checkStore reads a store that can be checked once from end to end, and tells if it is damaged: what is
// seldom read would else be found damaged when it is needed.
func checkStore(ctx context.Context, store greentally.Store, troubles storeTroubles, log *slog.Logger) error {
	checked, can := store.(interface{ Check(context.Context) error })
	if !can {
		return nil
	}
	if err := troubles.seen(checked.Check(ctx)); err != nil && ctx.Err() == nil {
		log.Error("the store was not found sound", "error", err)
	}
	return nil
}

// The followers of the journal, beside [alertsFollower].
const (
	writerFollower = "writer"
	watchFollower  = "watch"
)

// refill has the writer begin further back if the store has less than the journal says it was
// given: its file was removed, is an older copy, or has lost its end. It waits until the store
// answers.
func refill(ctx context.Context, store greentally.Store, troubles storeTroubles, journal *ingest.Journal, log *slog.Logger) error {
	marked, can := store.(greentally.Marked)
	if !can {
		return nil
	}
	var mark greentally.Mark
	var known bool
	attempt := 0
	if err := retry.Do(ctx, log, "ask the store up to where it has the journal", func() (err error) {
		mark, known, err = marked.Marked(ctx)
		if attempt++; attempt >= 3 || errors.Is(err, greentally.ErrDamaged) { // what is over in a moment is no trouble
			troubles.writing(err)
		}
		return err
	}); err != nil || !known {
		return nil //nolint:nilerr // it is asked to stop, or the store was filled by a version that left no mark
	}
	if mark.Journal != journal.ID() {
		mark.Sequence = 0 // of another journal, or of none: this one may have what it lacks
		if err := retry.Do(ctx, log, "mark the store as one of this journal", func() error {
			return troubles.seen(marked.Mark(ctx, greentally.Mark{Journal: journal.ID()}))
		}); err != nil {
			return nil //nolint:nilerr // it is asked to stop
		}
	}
	var again, place, first uint64
	err := retry.Do(ctx, log, "compare the store with the journal", func() (err error) {
		if place, first, err = journal.Place(ctx, writerFollower); err == nil {
			again, err = journal.SetBack(ctx, writerFollower, mark.Sequence)
		}
		return err
	})
	if err != nil {
		return nil //nolint:nilerr // it is asked to stop
	}
	if attempt >= 3 {
		troubles.writing(nil)
	}
	switch {
	case place <= mark.Sequence:
	case mark.Sequence > 0: // it is marked now and then; or it is an older copy, or has lost its end
		log.Info("the store is marked further back than it was written; what is between is written again", "part", "writer", "entries", again, "marked", mark.Sequence, "written", place)
	default:
		log.Error("the store lacks what it was given before, because it was removed or replaced; it is filled again from the journal", "part", "writer", "entries", again)
	}
	if first > mark.Sequence+1 && place > mark.Sequence {
		log.Error("a part of what the store may lack is not in the journal any more; if it does, bring it back from a backup of the store", "part", "writer", "entries", min(first-1, place)-mark.Sequence)
	}
	return nil
}

// writeAgain has all that is in the journal written again, whenever it is asked to: so all
// device-days that it touches are tallied.
func writeAgain(ctx context.Context, asked <-chan struct{}, journal *ingest.Journal, log *slog.Logger) error {
	for {
		select {
		case <-asked:
		case <-ctx.Done():
			return nil
		}
		log.Error("what was to be tallied is not known for certain any more; all readings in the journal are written and tallied again")
		if retry.Do(ctx, log, "have the journal written again", func() error {
			_, err := journal.SetBack(ctx, writerFollower, 0)
			return err
		}) != nil {
			return nil //nolint:nilerr // it is asked to stop
		}
	}
}
