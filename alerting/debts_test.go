package alerting

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"greentally"
)

// Of an alert that begins and ends while the mail server is down people hear both when it
// is back, whatever else happens meanwhile.
func TestBegunAndEndedWhileMailIsDown(t *testing.T) {
	for name, meanwhile := range map[string]func(t *testing.T, state *killed, o Options, m *Manager) *Manager{
		"nothing": func(_ *testing.T, _ *killed, _ Options, m *Manager) *Manager { return m },
		"killed": func(t *testing.T, state *killed, o Options, m *Manager) *Manager {
			state.kill(m)
			o.State = state.State
			return start(t, o)
		},
		"a contact is added": func(t *testing.T, _ *killed, o Options, m *Manager) *Manager {
			if err := m.Reload(t.Context(), o.Config); err != nil {
				t.Fatal(err)
			}
			return m
		},
		"more than an hour passes": func(_ *testing.T, _ *killed, _ Options, m *Manager) *Manager {
			time.Sleep(time.Hour)
			return m
		},
		"a day passes": func(_ *testing.T, _ *killed, _ Options, m *Manager) *Manager {
			time.Sleep(24 * time.Hour)
			return m
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				post := &post{}
				post.setDown(true)
				state := &killed{State: &memory{}}
				o := Options{Config: load(t, string(must(t, communities(), smtp()))), Email: post.email, State: state, Log: quiet()}
				m, err := New(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				a := holds("bin_overflowing", "a", greentally.Critical)
				put(t, m, a)
				time.Sleep(10 * time.Minute)
				put(t, m, ended(a))
				time.Sleep(time.Minute)
				last := meanwhile(t, state, o, m)
				post.setDown(false)
				time.Sleep(2 * time.Hour)
				if last == m {
					_ = m.Close()
				}
				told := post.all()
				got := slices.Sorted(slices.Values(told))
				const want = "jiayuan/li@example.org: +bin_overflowing/a, jiayuan/li@example.org: -bin_overflowing/a, " +
					"jiayuan/wang@example.org: +bin_overflowing/a, jiayuan/wang@example.org: -bin_overflowing/a"
				if strings.Join(got, ", ") != want {
					t.Errorf("told %s\nwant %s", strings.Join(told, ", "), want)
				}
			})
		})
	}
}

// What is over before anybody could be told of it, because it was muted, stays untold.
func TestSilencedWhileMailIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		post := &post{}
		post.setDown(true)
		m := start(t, Options{Config: load(t, string(must(t, communities(), smtp()))), Email: post.email, Log: quiet()})
		a := holds("bin_overflowing", "a", greentally.Critical)
		put(t, m, a)
		time.Sleep(time.Minute)
		hush(t, m, "a drill", 12*time.Hour, a)
		put(t, m, ended(a))
		time.Sleep(2 * time.Hour)
		post.setDown(false)
		time.Sleep(24 * time.Hour)
		if told := post.all(); len(told) > 0 {
			t.Errorf("told %v", told)
		}
		m.debts.mu.Lock()
		defer m.debts.mu.Unlock()
		if len(m.debts.owed) > 0 {
			t.Errorf("still owed: %v", m.debts.owed)
		}
	})
}

// An acknowledgement keeps reminders away, and ends with its alert; a silence does not.
func TestAcknowledgement(t *testing.T) {
	for comment, want := range map[string]string{
		Acknowledged + ": on my way": "+bin_overflowing/a -bin_overflowing/a +bin_overflowing/a",
		"a drill":                    "+bin_overflowing/a",
	} {
		synctest.Test(t, func(t *testing.T) {
			post := &post{}
			m := start(t, Options{Config: load(t, string(must(t, communities(), smtp()))), Email: post.email, Log: quiet()})
			a := holds("bin_overflowing", "a", greentally.Critical)
			put(t, m, a)
			time.Sleep(time.Minute)
			hush(t, m, comment, 24*time.Hour, a)
			time.Sleep(5 * time.Hour) // a reminder would have come
			put(t, m, ended(a))
			time.Sleep(30 * time.Minute)
			again := a
			again.Since, again.Fired = time.Now(), time.Now()
			put(t, m, again)
			time.Sleep(time.Hour)
			var wang []string
			for _, mail := range post.all() {
				if what, ok := strings.CutPrefix(mail, "jiayuan/wang@example.org: "); ok {
					wang = append(wang, what)
				}
			}
			if got := strings.Join(wang, " "); got != want {
				t.Errorf("%s: told %s, want %s", comment, got, want)
			}
		})
	}
}
