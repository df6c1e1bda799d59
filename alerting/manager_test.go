package alerting

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/template"

	"greentally"
	"greentally/internal/embeddednats"
)

// oneGroup sends mails to one receiver, and repeats them after half a day.
const oneGroup = `
global: {smtp_smarthost: "localhost:25", smtp_from: a@example.org}
route: {receiver: office, group_by: [alertname], group_wait: 30s, group_interval: 5m, repeat_interval: 12h}
receivers: [{name: office, email_configs: [{to: office@example.org, send_resolved: true}]}]
`

func TestNotifiesThroughAWebhook(t *testing.T) {
	hook := newHook(t)
	m := start(t, Options{Config: hook.config(t)})
	a, b := holds("bin_overflowing", "bin-1", greentally.Critical), holds("fire", "bin-2", greentally.Critical)
	put(t, m, a)
	hook.want(t, "firing bin_overflowing/bin-1")
	put(t, m, a, b)
	hook.want(t, "firing fire/bin-2")
	put(t, m, ended(a))
	hook.want(t, "resolved bin_overflowing/bin-1")
	put(t, m, ended(a), ended(b))
	hook.want(t, "resolved fire/bin-2")
}

// TestSurvivesAKill kills the process, with its state in JetStream.
func TestSurvivesAKill(t *testing.T) {
	server, err := embeddednats.Start(t.TempDir(), embeddednats.Options{Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	js, err := jetstream.New(server.Conn)
	if err != nil {
		t.Fatal(err)
	}
	open := func() *killed {
		state, err := OpenState(t.Context(), js, "GREENTALLY_ALERTING", "", 1)
		if err != nil {
			t.Fatal(err)
		}
		return &killed{State: state}
	}
	hook := newHook(t)
	state := open()
	m := start(t, Options{Config: hook.config(t), State: state})
	a, b := holds("device_silent", "bin-1", greentally.Warning), holds("device_silent", "bin-2", greentally.Warning)
	c, d := holds("fire", "bin-3", greentally.Critical), holds("tilted", "bin-4", greentally.Critical)
	put(t, m, a, b)
	hook.want(t, "firing device_silent/bin-1, firing device_silent/bin-2")
	put(t, m, d)
	hook.want(t, "firing tilted/bin-4")
	silence := `{"matchers":[{"name":"alertname","value":"fire","isRegex":false,"isEqual":true}],
		"startsAt":%q,"endsAt":%q,"createdBy":"wang","comment":"a drill"}`
	request(t, m.Handler(), http.MethodPost, "/api/v2/silences",
		fmt.Sprintf(silence, time.Now().UTC().Format(time.RFC3339), time.Now().UTC().Add(time.Hour).Format(time.RFC3339)))
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		kept, err := state.All(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for key := range kept {
			if strings.HasPrefix(key, notificationKey) {
				n++
			}
		}
		if n == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d notifications are kept, want 2", n)
		}
	}
	put(t, m, ended(d)) // and nobody hears of it before the kill, or they do
	if err := m.keeper.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	state.kill(m)
	told := false
	select {
	case call := <-hook.calls:
		if told = true; call != "resolved tilted/bin-4" {
			t.Errorf("webhook got %q", call)
		}
	default:
	}

	m = start(t, Options{Config: hook.config(t), State: open()})
	const others, end, next = "firing device_silent/bin-1, resolved device_silent/bin-2", "resolved tilted/bin-4", "firing lid_open/bin-5"
	calls := map[string]int{end: map[bool]int{true: 1}[told]}
	await := func(awaited ...string) {
		t.Helper()
		for _, call := range awaited {
			for calls[call] == 0 {
				select {
				case got := <-hook.calls:
					calls[got]++
				case <-time.After(30 * time.Second):
					t.Fatalf("webhook got %v, want %q", calls, call)
				}
			}
		}
	}
	put(t, m, a, ended(b), c) // c is silenced
	await(others, end)
	// What comes after must be the next thing that happens; but for the end that was on its way when
	// the process was killed, which can be told twice.
	put(t, m, holds("lid_open", "bin-5", greentally.Warning))
	await(next)
	if len(calls) != 3 || calls[others] != 1 || calls[next] != 1 || calls[end] > 2 {
		t.Errorf("webhook got %v", calls)
	}
	if silences := request(t, m.Handler(), http.MethodGet, "/api/v2/silences", ""); !strings.Contains(silences, "a drill") {
		t.Errorf("silences after the kill: %s", silences)
	}
	if got := request(t, m.Handler(), http.MethodGet, "/api/v2/alerts?filter=alertname=fire", ""); !strings.Contains(got, `"state":"suppressed"`) {
		t.Errorf("the silenced alert after the kill: %s", got)
	}
}

// TestTellsNothingTwice kills the process in every state that an alert can be in, and looks
// for days whether a mail is repeated or missing.
func TestTellsNothingTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		post, state := &post{}, &killed{State: &memory{}}
		restart := func(m *Manager) *Manager {
			if m != nil {
				state.kill(m)
			}
			state = &killed{State: state.State}
			return start(t, Options{Config: load(t, oneGroup), State: state, Email: post.email})
		}
		m := restart(nil)
		a, b := holds("overflowing", "a", greentally.Warning), holds("overflowing", "b", greentally.Warning)
		put(t, m, a, b)
		m = restart(m) // before anything is told
		time.Sleep(time.Minute)
		post.want(t, "after a start", "office: +overflowing/a +overflowing/b")

		m = restart(m)
		put(t, m, a, b)
		time.Sleep(58 * time.Minute) // not in the moment of a group interval
		post.want(t, "nothing happened")

		put(t, m, ended(a))
		m = restart(m) // before the group interval is over
		time.Sleep(10 * time.Minute)
		post.want(t, "one ended", "office: +overflowing/b -overflowing/a")
		m = restart(m)
		put(t, m, ended(a), b)
		time.Sleep(11 * time.Hour)
		post.want(t, "handed in again")

		time.Sleep(time.Hour + 10*time.Minute)
		post.want(t, "after half a day", "office: +overflowing/b")
		m = restart(m)
		put(t, m, ended(b))
		time.Sleep(10 * time.Minute)
		post.want(t, "both ended", "office: -overflowing/b")
		m = restart(m)
		put(t, m, ended(a), ended(b))
		// The race detector of Go 1.26 fails after some thousand timers in virtual time
		// (golang.org/issue/78156), so this goes on for no longer than things are kept.
		time.Sleep(25 * time.Hour)
		post.want(t, "a day later")
		if kept, _ := state.All(t.Context()); len(kept) > 0 {
			t.Errorf("still kept: %v", kept)
		}
		if holding := m.Holding(); len(holding) > 0 {
			t.Errorf("still holding: %v", holding)
		}
		put(t, m, holds("overflowing", "a", greentally.Warning))
		time.Sleep(time.Minute)
		post.want(t, "again", "office: +overflowing/a")
	})
}

func TestAChangeOfLabelsEndsTheFormer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		post := &post{}
		m := start(t, Options{Config: load(t, oneGroup), Email: post.email})
		a := holds("clock_wrong", "a", greentally.Warning)
		put(t, m, a)
		time.Sleep(time.Minute)
		post.want(t, "began", "office: +clock_wrong/a")
		a.Severity = greentally.Info
		put(t, m, a)
		if h := m.Holding(); len(h) != 1 || h[0].Severity != greentally.Info {
			t.Errorf("holding %v", h)
		}
		time.Sleep(10 * time.Minute)
		post.want(t, "changed", "office: +clock_wrong/a -clock_wrong/a")
		a.Severity = greentally.Warning
		put(t, m, ended(a)) // with the labels of before
		time.Sleep(10 * time.Minute)
		post.want(t, "ended", "office: -clock_wrong/a")
		if h := m.Holding(); len(h) != 0 {
			t.Errorf("holding %v", h)
		}
	})
}

// TestAMailServerThatIsDownLosesNothing has an alert begin and end while it is.
func TestAMailServerThatIsDownLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		post := &post{down: true}
		m := start(t, Options{Config: load(t, oneGroup), Email: post.email})
		a := holds("fire", "a", greentally.Critical)
		put(t, m, a)
		time.Sleep(10 * time.Minute)
		put(t, m, ended(a))
		time.Sleep(20 * time.Minute)
		post.want(t, "down")
		post.setDown(false)
		time.Sleep(3 * time.Minute)
		post.want(t, "up", "office: +fire/a", "office: -fire/a")
	})
}

// TestAnEndAtNightIsToldInTheMorning has an alert end while it is muted, and begin again
// the next day.
func TestAnEndAtNightIsToldInTheMorning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		post, state := &post{}, &killed{State: &memory{}}
		text, err := Defaults(communities(), SMTP{Address: "localhost:25", From: "a@example.org"})
		if err != nil {
			t.Fatal(err)
		}
		log := &bytes.Buffer{}
		options := func() Options {
			return Options{Config: load(t, string(text)), State: state, Email: post.email, Log: slog.New(slog.NewTextHandler(log, nil))}
		}
		m := start(t, options())
		untilShanghai(t, 21, 50)
		a, b := holds("bin_nearly_full", "a", greentally.Warning), holds("lid_open", "b", greentally.Warning)
		put(t, m, a)
		time.Sleep(2 * time.Minute)
		post.want(t, "in the evening", "jiayuan/wang@example.org: +bin_nearly_full/a", "jiayuan/li@example.org: +bin_nearly_full/a")
		untilShanghai(t, 23, 0)
		put(t, m, ended(a), b)
		time.Sleep(time.Hour)
		put(t, m, ended(b)) // began and ended at night: of no interest
		time.Sleep(time.Hour)
		state.kill(m)
		state = &killed{State: state.State}
		m = start(t, options())
		if err := m.Reload(t.Context(), load(t, string(text))); err != nil {
			t.Fatal(err)
		}
		untilShanghai(t, 6, 59)
		post.want(t, "at night")
		untilShanghai(t, 7, 10)
		post.want(t, "in the morning", "jiayuan/wang@example.org: -bin_nearly_full/a", "jiayuan/li@example.org: -bin_nearly_full/a")
		put(t, m, holds("bin_nearly_full", "a", greentally.Warning))
		time.Sleep(2 * time.Minute)
		post.want(t, "again", "jiayuan/wang@example.org: +bin_nearly_full/a", "jiayuan/li@example.org: +bin_nearly_full/a")
		if strings.Contains(log.String(), "level=ERROR") || strings.Contains(log.String(), "level=WARN") {
			t.Errorf("log:\n%s", log)
		}
	})
}

// untilShanghai passes the time until it is that time in Shanghai.
func untilShanghai(t *testing.T, hour, minute int) {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().In(zone)
	then := time.Date(now.Year(), now.Month(), now.Day(), hour, minute, 0, 0, zone)
	if !then.After(now) {
		then = then.AddDate(0, 0, 1)
	}
	time.Sleep(then.Sub(now))
}

func TestAWrongConfigurationLeavesTheFormerInForce(t *testing.T) {
	hook := newHook(t)
	m := start(t, Options{Config: hook.config(t), Email: func(string, *config.EmailConfig, *template.Template) (notify.Notifier, error) {
		return nil, errors.New("no such language")
	}})
	broken := filepath.Join(t.TempDir(), "broken.tmpl")
	writeFile(t, broken, "{{ define")
	withTemplate := hook.config(t)
	withTemplate.Templates = []string{broken}
	for _, test := range []struct {
		name   string
		config *config.Config
		want   string
	}{
		{"none", nil, "there is none"},
		{"a broken template", withTemplate, "templates: "},
		{"a receiver that cannot be", load(t, oneGroup), "receiver office: email office@example.org: no such language"},
	} {
		if err := m.Reload(t.Context(), test.config); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", test.name, err, test.want)
		}
	}
	put(t, m, holds("fire", "a", greentally.Critical))
	hook.want(t, "firing fire/a")

	if m, err := New(t.Context(), Options{Config: withTemplate, State: &memory{}, Log: quiet()}); err == nil {
		_ = m.Close()
		t.Error("started with a broken template")
	}
	if m, err := New(t.Context(), Options{Config: hook.config(t), State: &memory{err: errors.New("no disk")}, Log: quiet()}); err == nil || !strings.Contains(err.Error(), "no disk") {
		_ = m.Close()
		t.Errorf("started without its state: %v", err)
	}
}

func TestANewConfigurationTellsNothingAgain(t *testing.T) {
	hook, other := newHook(t), newHook(t)
	m := start(t, Options{Config: hook.config(t)})
	a, b := holds("lid_open", "a", greentally.Warning), holds("lid_open", "b", greentally.Warning)
	put(t, m, a)
	hook.want(t, "firing lid_open/a")
	if err := m.Reload(t.Context(), hook.config(t)); err != nil {
		t.Fatal(err)
	}
	put(t, m, b)
	hook.want(t, "firing lid_open/a, firing lid_open/b")
	if err := m.Reload(t.Context(), other.config(t)); err != nil { // with another address, the same name
		t.Fatal(err)
	}
	put(t, m, ended(a))
	other.want(t, "firing lid_open/b, resolved lid_open/a")
}

// TestAStateThatFails has alerts told all the same, and kept as soon as that works.
func TestAStateThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		post, state, log := &post{}, &memory{}, &bytes.Buffer{}
		m := start(t, Options{Config: load(t, oneGroup), State: state, Email: post.email, Log: slog.New(slog.NewTextHandler(log, nil))})
		state.fail(errors.New("no quorum"))
		a := holds("fire", "a", greentally.Critical)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := m.Put(ctx, a); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Put returned %v while nothing can be kept", err)
		}
		time.Sleep(time.Minute)
		post.want(t, "without state", "office: +fire/a")
		if n := strings.Count(log.String(), "no quorum"); n < 1 || n > 3 {
			t.Errorf("the log tells of it %d times:\n%s", n, log)
		}
		state.fail(nil)
		put(t, m, a)
		again := start(t, Options{Config: load(t, oneGroup), State: state, Email: post.email})
		time.Sleep(time.Hour)
		post.want(t, "kept")
		if h := again.Holding(); len(h) != 1 {
			t.Errorf("holding %v", h)
		}
	})
}

func TestWhatCannotBeReadIsPassedOver(t *testing.T) {
	hook, log := newHook(t), &bytes.Buffer{}
	state := &memory{values: map[string][]byte{
		"alert.1": []byte("{"), "notification.1": []byte("\xff"), "notification.2": nil, "silence.1": []byte("x"), "other": []byte("y"),
	}}
	m := start(t, Options{Config: hook.config(t), State: state, Log: slog.New(slog.NewTextHandler(log, nil))})
	put(t, m, holds("fire", "a", greentally.Critical))
	hook.want(t, "firing fire/a")
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "passed over"); n != 4 {
		t.Errorf("the log tells of %d, want 4:\n%s", n, log)
	}
}

func TestHealth(t *testing.T) {
	m := start(t, Options{Config: load(t, oneGroup)})
	for _, path := range []string{"/-/healthy", "/-/ready", "/api/v2/status"} {
		if got := request(t, m.Handler(), http.MethodGet, path, ""); got == "" {
			t.Errorf("%s answers nothing", path)
		}
	}
}

// TestAReloadWaitsForWhatIsBeingSent has a mail server that takes its time.
func TestAReloadWaitsForWhatIsBeingSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		post := &post{}
		email := func(receiver string, c *config.EmailConfig, templates *template.Template) (notify.Notifier, error) {
			quick, err := post.email(receiver, c, templates)
			return sender(func(ctx context.Context, alerts ...*alert.Alert) (bool, error) {
				select {
				case <-time.After(3 * time.Second):
					return quick.Notify(ctx, alerts...)
				case <-ctx.Done():
					return true, ctx.Err()
				}
			}), err
		}
		m := start(t, Options{Config: load(t, oneGroup), Email: email})
		put(t, m, holds("fire", "a", greentally.Critical))
		time.Sleep(31 * time.Second) // it is being sent
		if err := m.Reload(t.Context(), load(t, oneGroup)); err != nil {
			t.Fatal(err)
		}
		post.want(t, "when the new configuration is in force", "office: +fire/a")
		time.Sleep(time.Hour)
		post.want(t, "later")
	})
}

// TestNewsInTheWrongOrder has an alert that ended arrive in its group before it began.
func TestNewsInTheWrongOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		post := &post{}
		m := start(t, Options{Config: load(t, oneGroup), Email: post.email})
		a := holds("fire", "a", greentally.Critical)
		put(t, m, a)
		time.Sleep(time.Minute + time.Second)
		post.want(t, "began", "office: +fire/a")
		late := toAlertmanager(a, time.Now())
		put(t, m, ended(a))
		synctest.Wait()
		if err := m.provider.Put(t.Context(), late); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		post.want(t, "ended", "office: -fire/a")
	})
}

// TestAnAlertThatOverlapsTheFormer began, by its device's clock, before that had ended.
func TestAnAlertThatOverlapsTheFormer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		post := &post{}
		m := start(t, Options{Config: load(t, oneGroup), Email: post.email})
		a := holds("lid_open", "a", greentally.Warning)
		put(t, m, a)
		time.Sleep(20 * time.Minute)
		put(t, m, ended(a))
		a.Fired = a.Fired.Add(19 * time.Minute)
		time.Sleep(9 * time.Minute)
		post.want(t, "ended", "office: +lid_open/a", "office: -lid_open/a")
		put(t, m, a)
		time.Sleep(40 * time.Second)
		post.want(t, "again", "office: +lid_open/a")
	})
}
