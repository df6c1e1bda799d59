package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"aead.dev/minisign"

	"greentally"
	"greentally/alerting/mail"
	"greentally/report/bundle"
	"greentally/store/memory"
)

// shelf keeps bundles in memory.
type shelf map[string][]byte

func (s shelf) Keep(_ context.Context, data []byte) (string, error) {
	sum := sha256.Sum256(data)
	s[hex.EncodeToString(sum[:])] = bytes.Clone(data)
	return hex.EncodeToString(sum[:]), nil
}

func (s shelf) Get(_ context.Context, name string) ([]byte, error) {
	if data, ok := s[name]; ok {
		return data, nil
	}
	return nil, fs.ErrNotExist
}

// noApplications is a log without any.
type noApplications struct{ applicationLog }

func (noApplications) All(context.Context, string) ([]greentally.Application, error) { return nil, nil }

// memoryState remembers in memory what was done.
type memoryState struct {
	mu     sync.Mutex
	values map[string][]byte
}

func (s *memoryState) All(context.Context) (map[string][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.values), nil
}

func (s *memoryState) Write(_ context.Context, values map[string][]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.values, values)
	return nil
}

// postbox gets the months that are mailed.
type postbox struct {
	got   []string
	fails int // so many deliveries
}

func (p *postbox) SendMonth(_ context.Context, to mail.Recipient, m mail.Month) error {
	if p.fails > 0 {
		p.fails--
		return errors.New("the mail server is away")
	}
	if len(m.Files) != 2 || len(m.Files[0].Data) < 1000 || !bytes.HasPrefix(m.Files[0].Data, []byte("%PDF")) || !bytes.HasPrefix(m.Files[1].Data, []byte("PK")) {
		return fmt.Errorf("%d files", len(m.Files))
	}
	p.got = append(p.got, m.Month.String()+" to "+to.Email)
	return nil
}

const contacts = `community: lakeside
name: {zh: 湖畔, en: Lakeside}
time_zone: Asia/Shanghai
households: 100
sites: [{id: e1, type: estate}]
devices: [{id: bin, kind: sorting_bin, site: e1, stream: food}]
contacts: [{email: wang@example.org}, {email: smith@example.org, language: en}]
`

// newMonthly makes a program's exporter with nothing around it. There is a survey in each month
// from December 1999 on.
func newMonthly(t *testing.T) (*monthly, *postbox) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "lakeside.yaml"), []byte(contacts), 0o600); err != nil {
		t.Fatal(err)
	}
	c := defaultConfig()
	c.Communities = dir
	registry, err := openRegistry(c)
	if err != nil {
		t.Fatal(err)
	}
	types, err := openRecordTypes(c)
	if err != nil {
		t.Fatal(err)
	}
	set, err := openIndicators(c, registry.Current(), types)
	if err != nil {
		t.Fatal(err)
	}
	all, err := openSchemes(c, set, types)
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := c.readRules()
	if err != nil {
		t.Fatal(err)
	}
	store, log := &memory.Store{}, slog.New(slog.DiscardHandler)
	for i := range 12 {
		date := greentally.Date{Year: 2000, Month: time.Month(i), Day: 15}
		date = greentally.DateOf(date.Start(time.UTC), time.UTC)
		r := greentally.Record{ID: fmt.Sprintf("R%02d", i), Community: "lakeside", Type: "survey", Date: date, By: "李娜", Values: greentally.Values{"asked": 200, "aware": 180}}
		if err := store.WriteRecords(t.Context(), []greentally.Record{r}); err != nil {
			t.Fatal(err)
		}
	}
	box := &postbox{}
	return &monthly{
		exporter: &exporter{config: c, worker: newWorker(store, registry, set, log), registry: registry, types: types, set: set, schemes: all, store: store,
			applications: noApplications{}, bundles: shelf{}, rules: rules, key: key, now: time.Now, settled: func(context.Context) (bool, error) { return true, nil }},
		mailer: box, state: &memoryState{values: map[string][]byte{}}, log: log,
	}, box
}

// runFor lets the program run for a while, from its start to its stop.
func (m *monthly) runFor(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := m.run(ctx); err != nil {
		t.Error(err)
	}
}

// TestMonthly runs the job over months: once per month, also across restarts, and all that was
// missed while the program was down. Bubbles begin on 2000-01-01, 08:00 in Shanghai.
func TestMonthly(t *testing.T) {
	m, box := newMonthly(t)
	synctest.Test(t, func(t *testing.T) {
		check := func(what string, want ...string) {
			t.Helper()
			if got := strings.Join(box.got, ", "); got != strings.Join(want, ", ") {
				t.Errorf("%s: mailed %s; want %s", what, got, strings.Join(want, ", "))
			}
			box.got = nil
		}
		both := func(months ...string) (all []string) {
			for _, month := range months {
				all = append(all, month+" to wang@example.org", month+" to smith@example.org")
			}
			return all
		}
		m.runFor(t, 24*time.Hour)
		check("the first day, whose hour is over")
		m.runFor(t, 31*24*time.Hour)
		check("over the first of February", both("2000-01")...)
		for range 5 {
			m.runFor(t, time.Hour)
		}
		check("restarts")
		time.Sleep(40 * 24 * time.Hour) // to the middle of March
		m.runFor(t, time.Minute)
		check("down on the first of March", both("2000-02")...)
		time.Sleep(75 * 24 * time.Hour) // to the end of May
		m.runFor(t, time.Minute)
		check("down for two months", both("2000-03", "2000-04")...)

		box.fails = 3
		m.runFor(t, 5*24*time.Hour) // over the first of June
		check("the mail server was away for three deliveries", "2000-05 to smith@example.org", "2000-05 to wang@example.org")
		kept, err := m.kept(t.Context(), "lakeside")
		if err != nil || len(kept) != 5 || kept[0].Month.String() != "2000-05" || len(kept[0].Mailed) != 2 {
			t.Errorf("kept: %+v, %v", kept, err)
		}
		b, e, err := m.opened(t.Context(), kept[0].Bundle)
		if err != nil || e.Month.String() != "2000-05" || len(b.File("export.pdf")) == 0 {
			t.Errorf("the bundle that is kept: %v", err)
		}

		time.Sleep(500 * 24 * time.Hour)
		m.runFor(t, time.Minute)
		check("months of which nothing is known, but for those that were missed", both("2000-06", "2000-07", "2000-08", "2000-09", "2000-10", "2000-11")...)
		m.config.Exports.Schedule = noDigest
		m.runFor(t, time.Minute)
		check("never")
	})
}

// TestMonthlyBeforeTheFirst installs the program in January, and has it down until the end of March.
func TestMonthlyBeforeTheFirst(t *testing.T) {
	m, box := newMonthly(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(14 * 24 * time.Hour)
		m.runFor(t, time.Hour)
		time.Sleep(75 * 24 * time.Hour)
		m.runFor(t, time.Minute)
		if got := strings.Join(box.got, ", "); strings.Count(got, "wang") != 2 || !strings.HasPrefix(got, "2000-01 to") || !strings.Contains(got, "2000-02 to") {
			t.Errorf("mailed %s", got)
		}
	})
}

// TestMonthlyOfAWrongClock has a clock that goes some months ahead, and is put right: what was
// made of months that were not over is made again when they are.
func TestMonthlyOfAWrongClock(t *testing.T) {
	m, box := newMonthly(t)
	ahead := 0 * time.Hour
	m.now = func() time.Time { return time.Now().Add(ahead) }
	synctest.Test(t, func(t *testing.T) {
		m.runFor(t, 32*24*time.Hour) // to 2 February
		box.got = nil
		ahead = 120 * 24 * time.Hour
		c := m.registry.Current().Communities()[0]
		if err := m.catchUp(t.Context(), c, greentally.Date{Year: 2000, Month: time.June, Day: 1}); err != nil {
			t.Fatal(err)
		}
		state := m.state.(*memoryState)
		state.values["export.lakeside"] = []byte("2000-05-31T22:00:00Z")
		if got := strings.Join(box.got, ", "); strings.Count(got, "wang") != 4 {
			t.Errorf("with the wrong clock: mailed %s", got)
		}
		ahead, box.got = 0, nil
		m.runFor(t, 29*24*time.Hour) // over 1 March
		if got := strings.Join(box.got, ", "); got != "2000-02 to wang@example.org, 2000-02 to smith@example.org" {
			t.Errorf("with the right one: mailed %s", got)
		}
	})
}

// TestRollupToday counts by the communities' clocks, whatever the server's say.
func TestRollupToday(t *testing.T) {
	m, _ := newMonthly(t)
	m.now = func() time.Time { return time.Date(2026, time.December, 31, 16, 30, 0, 0, time.UTC) }
	for _, tt := range []struct {
		sees bool
		want string
	}{{true, "2027-01-01"}, {false, "2026-12-31"}} {
		got, err := m.api().Rollup(t.Context(), func(string) bool { return tt.sees }, greentally.Date{})
		if err != nil || got.On.String() != tt.want {
			t.Errorf("who sees a community in Shanghai: %t: %+v %v, want one on %s", tt.sees, got, err, tt.want)
		}
	}
}

// TestMonthlyRefused does not say that a mail was sent that was refused.
func TestMonthlyRefused(t *testing.T) {
	m, _ := newMonthly(t)
	c, month := m.registry.Current().Communities()[0], greentally.Month{Year: 2000, Month: time.March}
	m.mailer = refusing{}
	for range 2 {
		if err := m.make(t.Context(), c, month); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := m.kept(t.Context(), c.ID)
	if err != nil || len(kept) != 1 || len(kept[0].Mailed) != 0 || len(kept[0].Refused) != 2 {
		t.Errorf("kept: %+v, %v", kept, err)
	}
}

// refusing takes no mail.
type refusing struct{}

func (refusing) SendMonth(_ context.Context, to mail.Recipient, _ mail.Month) error {
	return &mail.Error{To: to.Email, Err: errors.New("no such user")}
}

// TestMonthlyKilled loses what was done after the mail to the first contact: the other still
// gets it, the first not again.
func TestMonthlyKilled(t *testing.T) {
	m, box := newMonthly(t)
	c := m.registry.Current().Communities()[0]
	month := greentally.Month{Year: 2000, Month: time.March}
	box.fails = 0
	m.config.Exports.Mail = new(bool)
	if err := m.make(t.Context(), c, month); err != nil || len(box.got) != 0 {
		t.Fatalf("with mails off: %v, %v", box.got, err)
	}
	*m.config.Exports.Mail = true
	m.mailer = &killed{box, 1}
	if err := m.make(t.Context(), c, month); err == nil {
		t.Fatal("nothing failed")
	}
	m.mailer = box
	for range 2 {
		if err := m.make(t.Context(), c, month); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(box.got, ", "); got != "2000-03 to wang@example.org, 2000-03 to smith@example.org" {
		t.Errorf("mailed %s", got)
	}
	if len(m.bundles.(shelf)) != 1 {
		t.Errorf("%d bundles were made", len(m.bundles.(shelf)))
	}
}

// killed lets some mails out and fails then.
type killed struct {
	*postbox
	left int
}

func (k *killed) SendMonth(ctx context.Context, to mail.Recipient, m mail.Month) error {
	if k.left == 0 {
		return errors.New("killed")
	}
	k.left--
	return k.postbox.SendMonth(ctx, to, m)
}

// TestMonthlyWaits makes nothing of a month while what came in is not tallied.
func TestMonthlyWaits(t *testing.T) {
	m, box := newMonthly(t)
	var settled atomic.Bool
	m.settled = func(context.Context) (bool, error) { return settled.Load(), nil }
	c, month := m.registry.Current().Communities()[0], greentally.Month{Year: 2000, Month: time.March}
	synctest.Test(t, func(t *testing.T) {
		if err := m.make(t.Context(), c, month); !errors.Is(err, errBehind) || len(box.got) > 0 {
			t.Errorf("it was made, %v: %v", box.got, err)
		}
		go func() {
			time.Sleep(10 * time.Second)
			settled.Store(true)
		}()
		if err := m.make(t.Context(), c, month); err != nil || len(box.got) != 2 {
			t.Errorf("after it had settled: %v, %v", box.got, err)
		}
	})
}

func TestBundleOfAMonth(t *testing.T) {
	m, _ := newMonthly(t)
	e, err := m.month(t.Context(), "lakeside", greentally.Month{Year: 2000, Month: time.March})
	if err != nil {
		t.Fatal(err)
	}
	data, err := m.write(t.Context(), e, "zip", "zh")
	if err != nil {
		t.Fatal(err)
	}
	if _, wrong := bundle.Open(data, nil); len(wrong) > 0 {
		t.Error(wrong)
	}
	if _, err := m.month(t.Context(), "none", e.Month); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no community: %v", err)
	}
	if _, err := m.write(t.Context(), e, "doc", "zh"); err == nil {
		t.Error("a document of no format is written")
	}
}
