package alerting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/template"

	"greentally"
)

// memory is a State that a test can break.
type memory struct {
	mu     sync.Mutex
	values map[string][]byte
	err    error
}

func (m *memory) All(context.Context) (map[string][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.values), m.err
}

func (m *memory) Write(_ context.Context, values map[string][]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	if m.values == nil {
		m.values = map[string][]byte{}
	}
	for key, value := range values {
		if value == nil {
			delete(m.values, key)
		} else {
			m.values[key] = value
		}
	}
	return nil
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

// killed is a State of a process that was killed: it writes nothing any more.
type killed struct {
	State
	mu   sync.Mutex
	dead bool
}

func (k *killed) Write(ctx context.Context, values map[string][]byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dead {
		return nil
	}
	return k.State.Write(ctx, values)
}

// kill ends the manager as a kill would: what is not kept by now is not.
func (k *killed) kill(m *Manager) {
	k.mu.Lock()
	k.dead = true
	k.mu.Unlock()
	_ = m.Close()
}

// post stands for the mail server and the post office.
type post struct {
	mu    sync.Mutex
	down  bool
	mails []string
}

// email makes what sends mails to the post. A mail reads:
// receiver: +rule/device of those that hold, -rule/device of those that ended.
func (p *post) email(receiver string, _ *config.EmailConfig, _ *template.Template) (notify.Notifier, error) {
	return notifier(func(_ context.Context, alerts []greentally.Alert) (bool, error) {
		time.Sleep(time.Millisecond) // as it takes; the log of notifications needs time between two
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.down {
			return true, errors.New("the mail server is down")
		}
		p.mails = append(p.mails, receiver+":"+summarize(alerts))
		return false, nil
	}), nil
}

func summarize(alerts []greentally.Alert) string {
	var parts []string
	for _, a := range alerts {
		sign := " +"
		if a.Ended != nil {
			sign = " -"
		}
		parts = append(parts, sign+strings.TrimSuffix(a.Rule+"/"+a.Device, "/"))
	}
	slices.Sort(parts)
	return strings.Join(parts, "")
}

type notifier func(context.Context, []greentally.Alert) (bool, error)

func (n notifier) Notify(ctx context.Context, alerts ...*alert.Alert) (bool, error) {
	var converted []greentally.Alert
	for _, a := range alerts {
		converted = append(converted, FromAlertmanager(a))
	}
	return n(ctx, converted)
}

// sender is a notify.Notifier.
type sender func(context.Context, ...*alert.Alert) (bool, error)

func (s sender) Notify(ctx context.Context, alerts ...*alert.Alert) (bool, error) {
	return s(ctx, alerts...)
}

// all returns all mails so far.
func (p *post) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.mails)
}

func (p *post) setDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

// want compares the mails since it was last asked.
func (p *post) want(t *testing.T, when string, want ...string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	got := p.mails
	p.mails = nil
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s: mails\n got %q\nwant %q", when, got, want)
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func load(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Load(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return c
}

func start(t *testing.T, o Options) *Manager {
	t.Helper()
	if o.Log == nil {
		o.Log = quiet()
	}
	if o.State == nil {
		o.State = &memory{}
	}
	m, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func put(t *testing.T, m interface {
	Put(context.Context, ...greentally.Alert) error
}, alerts ...greentally.Alert) {
	t.Helper()
	if err := m.Put(t.Context(), alerts...); err != nil {
		t.Fatal(err)
	}
}

// holds returns an alert that began now.
func holds(rule, device string, severity greentally.Severity) greentally.Alert {
	now := time.Now().UTC()
	return greentally.Alert{
		Community: "jiayuan", Rule: rule, Device: device, Severity: severity,
		Title: greentally.Text{ZH: "满溢", EN: "Overflowing"}, Since: now.Add(-time.Minute), Fired: now,
	}
}

func with(a greentally.Alert, labels ...string) greentally.Alert {
	a.Labels = map[string]string{}
	for i := 0; i < len(labels); i += 2 {
		if labels[i] == "kind" {
			a.Kind = labels[i+1]
		} else {
			a.Labels[labels[i]] = labels[i+1]
		}
	}
	return a
}

func ended(a greentally.Alert) greentally.Alert {
	now := time.Now().UTC()
	a.Ended = &now
	return a
}

// hook is a receiver of webhooks.
type hook struct {
	URL   string
	calls chan string
}

func newHook(t *testing.T) *hook {
	h := &hook{calls: make(chan string, 100)}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var message struct {
			Alerts []struct {
				Status string            `json:"status"`
				Labels map[string]string `json:"labels"`
			} `json:"alerts"`
		}
		if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
			t.Error(err)
		}
		var parts []string
		for _, a := range message.Alerts {
			parts = append(parts, fmt.Sprintf("%s %s/%s", a.Status, a.Labels["alertname"], a.Labels["device"]))
		}
		slices.Sort(parts)
		h.calls <- strings.Join(parts, ", ")
	}))
	t.Cleanup(server.Close)
	h.URL = server.URL
	return h
}

// want waits for the next call.
func (h *hook) want(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-h.calls:
		if got != want {
			t.Errorf("webhook got %q, want %q", got, want)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("webhook was not called, want %q", want)
	}
}

// config groups by rule and waits for as good as nothing.
func (h *hook) config(t *testing.T) *config.Config {
	t.Helper()
	return load(t, fmt.Sprintf(`
route: {receiver: hook, group_by: [alertname], group_wait: 10ms, group_interval: 50ms, repeat_interval: 1h}
receivers: [{name: hook, webhook_configs: [{url: %q}]}]
`, h.URL))
}

// request asks the API.
func request(t *testing.T, handler http.Handler, method, path, body string) string {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	answer, err := io.ReadAll(w.Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("%s %s: %d %s %v", method, path, w.Code, answer, err)
	}
	return string(answer)
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// hush silences the alert for so long.
func hush(t *testing.T, m *Manager, comment string, length time.Duration, a greentally.Alert) {
	t.Helper()
	request(t, m.Handler(), http.MethodPost, "/api/v2/silences", fmt.Sprintf(`{"matchers":[
		{"name":"community","value":%q,"isRegex":false,"isEqual":true},{"name":"alertname","value":%q,"isRegex":false,"isEqual":true},
		{"name":"device","value":%q,"isRegex":false,"isEqual":true}],"startsAt":%q,"endsAt":%q,"createdBy":"li","comment":%q}`,
		a.Community, a.Rule, a.Device, time.Now().UTC().Format(time.RFC3339), time.Now().UTC().Add(length).Format(time.RFC3339), comment))
}
