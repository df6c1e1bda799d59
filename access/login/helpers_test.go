package login_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/crypto/bcrypt"

	"greentally/access"
	"greentally/access/login"
	"greentally/internal/embeddednats"
)

const password = "green bins, blue bins"

// house is a server behind a gate.
type house struct {
	js     jetstream.JetStream
	stop   func() // of JetStream
	users  *access.Users
	tokens *access.Tokens
	audit  *access.Audit
	gate   *login.Gate

	mu    sync.Mutex
	clock time.Time
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clock
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock = h.clock.Add(d)
}

// open opens a house in a folder.
func open(t testing.TB, dir string, change func(*login.Config)) *house {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	server, err := embeddednats.Start(dir, embeddednats.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{stop: sync.OnceFunc(server.Close), clock: time.Date(2026, 12, 1, 2, 0, 0, 0, time.UTC)}
	t.Cleanup(h.stop)
	h.js, err = jetstream.New(server.Conn)
	must(t, err)
	ctx := context.Background()
	h.users, err = access.OpenUsers(ctx, h.js, 1, bcrypt.MinCost, log)
	must(t, err)
	h.tokens, err = access.OpenTokens(ctx, h.js, 1, h.now, log)
	must(t, err)
	h.audit, err = access.OpenAudit(ctx, h.js, 1, h.now)
	must(t, err)
	sessions, err := login.OpenSessions(ctx, h.js, 1, 0, h.now)
	must(t, err)
	c := login.Config{Users: h.users, Tokens: h.tokens, Sessions: sessions, Audit: h.audit, API: []string{"/api/"}, Fail: fail, Now: h.now, Log: log}
	if change != nil {
		change(&c)
	}
	h.users.Provider = c.Provider != nil
	h.gate = login.New(c)
	return h
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func fail(w http.ResponseWriter, _ *http.Request, status int, err error) {
	w.WriteHeader(status)
	_, _ = io.WriteString(w, err.Error())
}

// people adds an administrator, root, and lina, who manages jiayuan.
func (h *house) people(t testing.TB) {
	t.Helper()
	for _, u := range []access.User{
		{Name: "root", Bindings: []access.Binding{{Role: access.RoleAdministrator}}},
		{Name: "lina", Display: "李娜", Language: "zh", Bindings: []access.Binding{{Role: access.RoleManager, Communities: []string{"jiayuan"}}}},
	} {
		_, err := h.users.Add(context.Background(), u, password)
		must(t, err)
	}
}

// handler is a server as the program's is put together.
func (h *house) handler() http.Handler {
	answer := func(w http.ResponseWriter, r *http.Request, err error) {
		switch {
		case err == nil:
			w.WriteHeader(http.StatusNoContent)
		case errors.As(err, new(*login.TooManyError)):
			fail(w, r, http.StatusTooManyRequests, err)
		case errors.Is(err, access.ErrWrong):
			fail(w, r, http.StatusForbidden, err)
		case errors.Is(err, access.ErrInvalid), errors.Is(err, login.ErrOpenID):
			fail(w, r, http.StatusBadRequest, err)
		case errors.Is(err, login.ErrAway):
			fail(w, r, http.StatusBadGateway, err)
		default:
			fail(w, r, http.StatusInternalServerError, err)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		_, err := h.gate.LogIn(w, r, r.FormValue("name"), r.FormValue("password"))
		answer(w, r, err)
	})
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) { answer(w, r, h.gate.LogOut(w, r)) }) //nolint:contextcheck // it goes on when the asker has gone
	mux.HandleFunc("POST /password", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, h.gate.ChangePassword(w, r, r.FormValue("old"), r.FormValue("new")))
	})
	mux.HandleFunc("POST /screen", func(w http.ResponseWriter, r *http.Request) {
		_, err := h.gate.EnterScreen(w, r, r.FormValue("token"))
		answer(w, r, err)
	})
	mux.HandleFunc("GET /login/openid", func(w http.ResponseWriter, r *http.Request) {
		if err := h.gate.BeginOpenID(w, r, r.FormValue("next")); err != nil {
			answer(w, r, err)
		}
	})
	mux.HandleFunc("GET /login/openid/callback", func(w http.ResponseWriter, r *http.Request) {
		next, err := h.gate.FinishOpenID(w, r)
		if err != nil {
			answer(w, r, err)
			return
		}
		http.Redirect(w, r, next, http.StatusSeeOther)
	})
	mux.Handle("/", h.gate.Identify(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(access.From(r.Context()))
	})))
	return http.NewCrossOriginProtection().Handler(mux)
}

// browser is one at a server.
type browser struct {
	*http.Client
	url string
}

func (h *house) browser(t testing.TB, server *httptest.Server) *browser {
	t.Helper()
	client := *server.Client()
	client.Jar, _ = cookiejar.New(nil)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{&client, server.URL}
}

// post sends a form, and returns the status and the answer.
func (b *browser) post(t testing.TB, path string, form ...string) (int, string) {
	t.Helper()
	values := url.Values{}
	for i := 0; i < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, b.url+path, strings.NewReader(values.Encode()))
	must(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	_, status, body := b.send(t, r)
	return status, body
}

// get asks for a page.
func (b *browser) get(t testing.TB, address string) (next *url.URL, status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, address, nil)
	must(t, err)
	return b.send(t, r)
}

// send returns the status, the answer, and where it leads to, if it does.
func (b *browser) send(t testing.TB, r *http.Request) (next *url.URL, status int, body string) {
	t.Helper()
	answer, err := b.Do(r)
	must(t, err)
	defer func() { _ = answer.Body.Close() }()
	data, err := io.ReadAll(answer.Body)
	must(t, err)
	if next, err = answer.Location(); err != nil {
		next = nil
	}
	return next, answer.StatusCode, string(data)
}

// who is whom the server takes the browser for; nobody if it answers with anything but 200.
func (b *browser) who(t testing.TB) access.Principal {
	t.Helper()
	return b.whoAt(t, "/api/me")
}

// whoAt is who the browser is at a path.
func (b *browser) whoAt(t testing.TB, path string) access.Principal {
	t.Helper()
	_, status, body := b.get(t, b.url+path)
	var p access.Principal
	if status == http.StatusOK {
		must(t, json.Unmarshal([]byte(body), &p))
	}
	return p
}

func (b *browser) logIn(t testing.TB, name, password string) {
	t.Helper()
	if status, body := b.post(t, "/login", "name", name, "password", password); status != http.StatusNoContent {
		t.Fatalf("%s is not logged in: %d %s", name, status, body)
	}
}

// log is what the audit log says, latest first, a line for each entry.
func (h *house) log(t testing.TB) []string {
	t.Helper()
	entries, err := h.audit.Read(context.Background(), access.Query{Limit: 1000})
	must(t, err)
	var lines []string
	for _, e := range entries {
		line := []string{e.Who, e.Address, e.Action, string(e.Result)}
		for _, key := range []string{"by", "why", "left_out_before"} {
			if e.What[key] != "" {
				line = append(line, e.What[key])
			}
		}
		lines = append(lines, strings.Join(line, " "))
	}
	return lines
}

var localProxy = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
