package login_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oauth2-proxy/mockoidc"

	"greentally/access"
	"greentally/access/login"
)

// openID is a house with an OpenID provider, and a server over TLS.
type openID struct {
	*house
	provider *mockoidc.MockOIDC
	server   *httptest.Server
}

func withProvider(t *testing.T) *openID {
	t.Helper()
	provider, err := mockoidc.Run()
	must(t, err)
	t.Cleanup(func() { must(t, provider.Shutdown()) })
	o := &openID{provider: provider}
	o.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { o.handler().ServeHTTP(w, r) }))
	t.Cleanup(o.server.Close)
	o.house = open(t, t.TempDir(), func(c *login.Config) {
		c.Provider = &login.Provider{Issuer: provider.Issuer(), ClientID: provider.ClientID, ClientSecret: provider.ClientSecret,
			RedirectURL: o.server.URL + "/login/openid/callback", Now: time.Now}
	})
	o.people(t)
	for _, u := range []access.User{
		{Name: "mail", Email: "mail@example.org"},
		{Name: "bound", Email: "bound@example.org", Subject: "s-1"},
		{Name: "out", Subject: "s-2", Disabled: true},
	} {
		_, err := o.users.Add(t.Context(), u, "")
		must(t, err)
	}
	return o
}

// callback goes to the provider as the user, and returns where that sends the browser back to.
func (o *openID) callback(t *testing.T, b *browser, user *mockoidc.MockUser) *url.URL {
	t.Helper()
	o.provider.QueueUser(user)
	authorize, status, body := b.get(t, o.server.URL+"/login/openid?next=/a%3Fb=c")
	if authorize == nil {
		t.Fatalf("not sent to the provider: %d %s", status, body)
	}
	q := authorize.Query()
	if q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || len(q.Get("state")) < 26 || len(q.Get("nonce")) < 26 ||
		q.Get("redirect_uri") != o.server.URL+"/login/openid/callback" || q.Get("response_type") != "code" {
		t.Errorf("sent to %s", authorize)
	}
	back, status, body := b.get(t, authorize.String())
	if back == nil {
		t.Fatalf("not sent back: %d %s", status, body)
	}
	return back
}

func TestOpenID(t *testing.T) {
	o := withProvider(t)
	tests := []struct {
		name string
		user mockoidc.MockUser
		want string // whose session it is; nobody's if empty
	}{
		{"by subject", mockoidc.MockUser{Subject: "s-1"}, "bound"},
		{"by verified address", mockoidc.MockUser{Subject: "s-7", Email: "Mail@example.org", EmailVerified: true}, "mail"},
		{"by an address that is not verified", mockoidc.MockUser{Subject: "s-7", Email: "mail@example.org"}, ""},
		{"by the address of one who has a subject", mockoidc.MockUser{Subject: "s-7", Email: "bound@example.org", EmailVerified: true}, ""},
		{"not entered", mockoidc.MockUser{Subject: "s-8", Email: "eve@example.org", EmailVerified: true}, ""},
		{"whose name is a user's", mockoidc.MockUser{Subject: "root", PreferredUsername: "root"}, ""},
		{"disabled", mockoidc.MockUser{Subject: "s-2"}, ""},
	}
	for _, tt := range tests {
		b := o.browser(t, o.server)
		back := o.callback(t, b, &tt.user)
		next, status, body := b.get(t, back.String())
		if got := b.who(t).Name; got != tt.want {
			t.Errorf("%s: %q is logged in: %d %s", tt.name, got, status, body)
		}
		if tt.want != "" && (next == nil || next.RequestURI() != "/a?b=c") || tt.want == "" && status != http.StatusForbidden {
			t.Errorf("%s: %d %s to %v", tt.name, status, body, next)
		}
	}
	log := o.log(t)
	if !slices.Contains(log, "bound 127.0.0.1 login done openid") || !slices.Contains(log, " 127.0.0.1 login refused openid wrong") {
		t.Errorf("the audit log says %v", log)
	}
	bound, err := o.users.Get("bound")
	must(t, err)
	b := o.browser(t, o.server)
	b.get(t, o.callback(t, b, &mockoidc.MockUser{Subject: "s-1"}).String())
	bound.Subject = "s-3"
	_, err = o.users.Change(t.Context(), bound)
	must(t, err)
	if got := b.who(t).Name; got != "" {
		t.Errorf("whose subject is another now is logged in as %q", got)
	}
}

// TestOpenIDAttacks changes one thing about a login that would do: nobody is logged in.
func TestOpenIDAttacks(t *testing.T) {
	o := withProvider(t)
	cookie := func(b *browser) *http.Cookie {
		for _, c := range b.Jar.Cookies(at(t, o.server)) {
			if c.Name == "__Host-greentally-openid" {
				return c
			}
		}
		t.Fatal("no cookie of the login")
		return nil
	}
	set := func(b *browser, part int, value string) {
		c := cookie(b)
		parts := strings.Split(c.Value, ".")
		parts[part] = value
		c.Value, c.Path, c.Secure = strings.Join(parts, "."), "/", true
		b.Jar.SetCookies(at(t, o.server), []*http.Cookie{c})
	}
	query := func(u *url.URL, key, value string) {
		q := u.Query()
		q.Set(key, value)
		u.RawQuery = q.Encode()
	}
	tests := []struct {
		name   string
		change func(b *browser, back *url.URL) *browser // returns who goes back
		want   string
	}{
		{"nothing", func(b *browser, _ *url.URL) *browser { return b }, ""},
		{"the issuer is told, as by RFC 9207", func(b *browser, back *url.URL) *browser { query(back, "iss", o.provider.Issuer()); return b }, ""},
		{"another browser", func(_ *browser, _ *url.URL) *browser { return o.browser(t, o.server) }, "did not begin in this browser"},
		{"another browser, which began a login, too", func(_ *browser, _ *url.URL) *browser {
			victim := o.browser(t, o.server)
			victim.get(t, o.server.URL+"/login/openid")
			return victim
		}, "did not begin in this browser"},
		{"another state", func(b *browser, back *url.URL) *browser { query(back, "state", "x"); return b }, "did not begin in this browser"},
		{"no state", func(b *browser, back *url.URL) *browser { query(back, "state", ""); set(b, 0, ""); return b }, "did not begin in this browser"},
		{"another code", func(b *browser, back *url.URL) *browser { query(back, "code", "x"); return b }, "takes its own code for nothing"},
		{"a code used before", func(b *browser, back *url.URL) *browser {
			again := o.browser(t, o.server)
			again.Jar.SetCookies(at(t, o.server), b.Jar.Cookies(at(t, o.server)))
			c := cookie(b)
			c.Path, c.Secure = "/", true
			again.Jar.SetCookies(at(t, o.server), []*http.Cookie{c})
			if _, status, body := b.get(t, back.String()); status != http.StatusSeeOther {
				t.Errorf("the first time: %d %s", status, body)
			}
			return again
		}, "takes its own code for nothing"},
		{"another verifier", func(b *browser, _ *url.URL) *browser { set(b, 2, strings.Repeat("x", 43)); return b }, "takes its own code for nothing"},
		{"another nonce", func(b *browser, _ *url.URL) *browser { set(b, 1, strings.Repeat("x", 26)); return b }, "for another login"},
		{"another issuer", func(b *browser, back *url.URL) *browser { query(back, "iss", "https://evil.example"); return b }, "from another provider"},
		{"the provider refuses", func(b *browser, back *url.URL) *browser { query(back, "error", "access_denied"); return b }, "access_denied"},
		{"a token of long ago", func(b *browser, _ *url.URL) *browser {
			o.gate.Provider.Now = func() time.Time { return time.Now().Add(24 * time.Hour) }
			return b
		}, "expired"},
	}
	for _, tt := range tests {
		b := o.browser(t, o.server)
		back := o.callback(t, b, &mockoidc.MockUser{Subject: "s-1"})
		goes := tt.change(b, back)
		_, status, body := goes.get(t, back.String())
		name := goes.who(t).Name
		if tt.want == "" && (status != http.StatusSeeOther || name != "bound") || tt.want != "" && (status != http.StatusBadRequest || name != "" || !strings.Contains(body, tt.want)) {
			t.Errorf("%s: %d %s, %q is logged in", tt.name, status, body, name)
		}
		o.pass(time.Minute) // so that there are not too many tries
	}
}

// TestOtherKeys has a provider sign with a key that it does not publish, and for another client:
// what it says counts for nothing.
func TestOtherKeys(t *testing.T) {
	for name, change := range map[string]func(*openID){
		"another key": func(o *openID) {
			other, err := mockoidc.RandomKeypair(2048)
			must(t, err)
			o.provider.Keypair = &mockoidc.Keypair{PrivateKey: other.PrivateKey, PublicKey: o.provider.Keypair.PublicKey}
		},
		"another client": func(o *openID) { o.provider.ClientID = "another" },
	} {
		o := withProvider(t)
		b := o.browser(t, o.server)
		o.gate.Provider.ClientSecret = o.provider.ClientSecret
		back := o.callback(t, b, &mockoidc.MockUser{Subject: "s-1"})
		change(o)
		if name == "another client" {
			// The mock compares what it is told with its own ID; a provider that is tricked does not.
			o.gate.Provider.Client = &http.Client{Transport: rewrite{o.gate.Provider.ClientID, "another"}}
		}
		_, status, body := b.get(t, back.String())
		if got := b.who(t).Name; got != "" || status != http.StatusBadRequest || !strings.Contains(body, "the provider's token") {
			t.Errorf("%s: %d %s, %q is logged in", name, status, body, got)
		}
	}
}

// rewrite replaces a text in the bodies of requests.
type rewrite struct{ from, to string }

func (t rewrite) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		data = bytes.ReplaceAll(data, []byte(t.from), []byte(t.to))
		r = r.Clone(r.Context())
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	}
	return http.DefaultTransport.RoundTrip(r)
}

// TestProviderAway has the provider away when the program starts: people log in by password, and
// by the provider when it is back.
func TestProviderAway(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := listener.Addr().String()
	must(t, listener.Close())
	o := &openID{}
	passed := time.Duration(0) // of the provider's clock
	o.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { o.handler().ServeHTTP(w, r) }))
	defer o.server.Close()
	o.house = open(t, t.TempDir(), func(c *login.Config) {
		c.Provider = &login.Provider{Issuer: "http://" + address + "/oidc", ClientID: "c", RedirectURL: o.server.URL + "/login/openid/callback", Now: func() time.Time { return time.Now().Add(passed) }}
	})
	o.people(t)
	b := o.browser(t, o.server)
	if _, status, body := b.get(t, o.server.URL+"/login/openid"); status != http.StatusBadGateway || !strings.Contains(body, address) {
		t.Errorf("away: %d %s", status, body)
	}
	b.logIn(t, "lina", password)
	passed = 10 * time.Second // a failure is remembered until then

	o.provider, err = mockoidc.NewServer(nil)
	must(t, err)
	listener, err = net.Listen("tcp", address)
	must(t, err)
	must(t, o.provider.Start(listener, nil))
	defer func() { must(t, o.provider.Shutdown()) }()
	o.gate.Provider.ClientID, o.gate.Provider.ClientSecret = o.provider.ClientID, o.provider.ClientSecret
	_, err = o.users.Add(t.Context(), access.User{Name: "bound", Subject: "s-1"}, "")
	must(t, err)
	b.get(t, o.callback(t, b, &mockoidc.MockUser{Subject: "s-1"}).String())
	if got := b.who(t).Name; got != "bound" {
		t.Errorf("back: %q is logged in", got)
	}

	b = o.browser(t, o.server)
	back := o.callback(t, b, &mockoidc.MockUser{Subject: "s-1"})
	o.gate.Provider.Client = &http.Client{Transport: away{}}
	if _, status, body := b.get(t, back.String()); status != http.StatusBadGateway || b.who(t).Name != "" {
		t.Errorf("away in the middle: %d %s", status, body)
	}
}

// away is how one reaches who is not there.
type away struct{}

func (away) RoundTrip(*http.Request) (*http.Response, error) { return nil, net.ErrClosed }

// TestNoProvider asks for a login by a provider where there is none.
func TestNoProvider(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	for _, path := range []string{"/login/openid", "/login/openid/callback?code=x&state=y"} {
		w := httptest.NewRecorder()
		h.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusInternalServerError || len(w.Result().Cookies()) > 0 {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// hanging is the way to a provider that takes questions and does not answer, until it does.
type hanging struct {
	mu      sync.Mutex
	asked   int
	answers bool
}

func (h *hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	h.mu.Lock()
	h.asked++
	answers := h.answers
	h.mu.Unlock()
	if !answers {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	body := `{"issuer": "https://id.example", "authorization_endpoint": "https://id.example/a", "token_endpoint": "https://id.example/t", "jwks_uri": "https://id.example/k"}`
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// TestProviderThatHangs has many ask for a login by a provider that does not answer: they wait
// together and not one after another, who leaves is not kept, and nobody waits again just afterwards.
func TestProviderThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		way := &hanging{}
		gate := login.New(login.Config{Now: time.Now, Log: slog.New(slog.DiscardHandler),
			Provider: &login.Provider{Issuer: "https://id.example", ClientID: "c", RedirectURL: "https://we.example/login/openid/callback", Client: &http.Client{Transport: way}, Now: time.Now}})
		begin := func(ctx context.Context) error {
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/login/openid", nil)
			return gate.BeginOpenID(httptest.NewRecorder(), r, "/")
		}
		start := time.Now()
		var all sync.WaitGroup
		for range 300 {
			all.Go(func() {
				if err := begin(t.Context()); !errors.Is(err, login.ErrAway) {
					t.Error(err)
				}
			})
		}
		gone, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		if err := begin(gone); err == nil || time.Since(start) != time.Second {
			t.Errorf("who left after a second is told %v after %v", err, time.Since(start))
		}
		all.Wait()
		if waited := time.Since(start); waited > 10*time.Second || way.asked != 1 {
			t.Errorf("300 waited %v, and the provider was asked %d times", waited, way.asked)
		}
		way.mu.Lock()
		way.answers = true
		way.mu.Unlock()
		start = time.Now()
		if err := begin(t.Context()); !errors.Is(err, login.ErrAway) || time.Since(start) > 0 || way.asked != 1 {
			t.Errorf("just afterwards: %v after %v, asked %d times", err, time.Since(start), way.asked)
		}
		time.Sleep(10 * time.Second)
		if err := begin(t.Context()); err != nil || way.asked != 2 {
			t.Errorf("ten seconds later: %v, asked %d times", err, way.asked)
		}
		if err := begin(t.Context()); err != nil || way.asked != 2 {
			t.Errorf("once it is known what it can: %v, asked %d times", err, way.asked)
		}
	})
}
