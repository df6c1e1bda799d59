package schedule_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"greentally/internal/schedule"
)

type memory struct {
	mu     sync.Mutex
	values map[string][]byte
	err    error
}

func (m *memory) All(context.Context) (map[string][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.values), nil
}

func (m *memory) Write(_ context.Context, values map[string][]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	maps.Copy(m.values, values)
	return nil
}

// program runs one job, and notes when it was done.
type program struct {
	state memory
	job   schedule.Job
	fails bool
	did   []string
}

func newProgram(t *testing.T, cron, zone string, late time.Duration) *program {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	p := &program{state: memory{values: map[string][]byte{}}}
	p.job = schedule.Job{Name: "digest.a", Cron: cron, Location: loc, Late: late, Do: func(_ context.Context, due time.Time) error {
		if p.fails {
			return errors.New("the server is away")
		}
		p.did = append(p.did, due.Format("02 15:04")+" at "+time.Now().In(loc).Format("02 15:04"))
		return nil
	}}
	return p
}

// run lets the program run for a while.
func (p *program) run(t *testing.T, d time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := schedule.Run(ctx, &p.state, func() []schedule.Job { return []schedule.Job{p.job} }, slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
}

func (p *program) check(t *testing.T, what string, want ...string) {
	t.Helper()
	if got := strings.Join(p.did, ", "); got != strings.Join(want, ", ") {
		t.Errorf("%s: done %s; want %s", what, got, want)
	}
	p.did = nil
}

// Bubbles begin at midnight UTC of 2000-01-01, 08:00 in Shanghai.
func TestOnceADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProgram(t, "30 8 * * *", "Asia/Shanghai", 4*time.Hour)
		p.run(t, 50*time.Hour)
		p.check(t, "while it runs", "01 08:30 at 01 08:30", "02 08:30 at 02 08:30", "03 08:30 at 03 08:30")
		for range 3 {
			p.run(t, time.Minute)
		}
		p.check(t, "restarts")
		time.Sleep(24 * time.Hour) // to 10:03 of the 4th
		p.run(t, time.Minute)
		p.check(t, "what passed is done late", "04 08:30 at 04 10:03")
		time.Sleep(27 * time.Hour) // to 13:04 of the 5th
		p.run(t, time.Minute)
		p.check(t, "too late is too late")
		p.run(t, 24*time.Hour)
		p.check(t, "the next day", "06 08:30 at 06 08:30")
	})
}

func TestTheFirstTimeIsStillToCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProgram(t, "30 7 * * *", "Asia/Shanghai", 4*time.Hour)
		p.run(t, 23*time.Hour)
		p.check(t, "half an hour too late for the first")
		p.run(t, time.Hour)
		p.check(t, "the next", "02 07:30 at 02 07:30")
	})
}

func TestUntilItWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProgram(t, "0 8 * * *", "Asia/Shanghai", 4*time.Hour)
		p.fails = true
		p.run(t, 90*time.Second)
		time.Sleep(30 * time.Second)
		p.fails = false
		p.run(t, time.Minute)
		p.check(t, "its first time fails, and nobody remembers it yet")
		p.fails = true
		p.run(t, 25*time.Hour) // to 09:03 of the 2nd
		p.fails = false
		p.run(t, time.Hour)
		p.check(t, "it failed for an hour", "02 08:00 at 02 09:03")
		p.state.err = errors.New("the disk is full")
		p.run(t, 22*time.Hour+58*time.Minute)
		if len(p.did) < 2 {
			t.Errorf("what cannot be remembered is done again: %v", p.did)
		}
	})
}

// In Berlin the clock is put forward on 26 March 2000, from 02:00 to 03:00, and back on
// 29 October, from 03:00 to 02:00. A time that a day does not have is left out, one that it has
// twice counts once.
func TestClockChanges(t *testing.T) {
	for name, c := range map[string]struct {
		sleep time.Duration
		want  string
	}{
		"forward": {83 * 24 * time.Hour, "24 25 27"},
		"back":    {300 * 24 * time.Hour, "28 29 30"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProgram(t, "30 2 * * *", "Europe/Berlin", 4*time.Hour)
				time.Sleep(c.sleep)
				p.run(t, 4*24*time.Hour)
				var days []string
				for _, did := range p.did {
					days = append(days, did[:2])
				}
				if got := strings.Join(days, " "); !strings.Contains(got, c.want) {
					t.Errorf("done on %s, want %s among it", got, c.want)
				}
			})
		})
	}
}

func TestOnceAMonth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProgram(t, "0 6 1 * *", "Asia/Shanghai", 72*time.Hour)
		p.run(t, time.Hour)
		time.Sleep(32 * 24 * time.Hour) // to 2 February
		p.run(t, time.Hour)
		p.check(t, "a day late", "01 06:00 at 02 09:00")
		time.Sleep(27 * 24 * time.Hour)
		p.run(t, 48*time.Hour)
		p.check(t, "the next month", "01 06:00 at 01 06:00")
	})
}

func TestValid(t *testing.T) {
	for cron, want := range map[string]bool{"0 8 * * *": true, "0 8 * * 1-5": true, "8:00": false, "": false, "61 8 * * *": false} {
		if err := schedule.Valid(cron); (err == nil) != want {
			t.Errorf("%q: %v", cron, err)
		}
	}
}
