package login_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"greentally/access"
	"greentally/access/login"
)

// TestIdentify sends requests to servers with and without users and a token.
func TestIdentify(t *testing.T) {
	with := open(t, t.TempDir(), nil)
	with.people(t)
	monitor, err := with.tokens.Add(t.Context(), access.Token{Name: "prometheus", Binding: access.Binding{Role: access.RoleMonitor}})
	must(t, err)
	screen, err := with.tokens.Add(t.Context(), access.Token{Name: "lobby", Binding: access.Binding{Role: access.RoleScreen, Communities: []string{"jiayuan"}}})
	must(t, err)
	without := open(t, t.TempDir(), nil)
	token := open(t, t.TempDir(), func(c *login.Config) { c.Token = "s3cret" })

	const html = "text/html,application/xhtml+xml"
	tests := []struct {
		name   string
		house  *house
		path   string
		change func(*http.Request)
		status int
		want   string // in the answer, or where it sends people
	}{
		{"this machine", without, "/api/x", nil, 200, `"Name":"local:anyone"`},
		{"this machine by IPv6", without, "/api/x", func(r *http.Request) { r.Host, r.RemoteAddr = "[::1]:8080", "[::1]:5000" }, 200, "local:anyone"},
		{"this machine under another name", without, "/x", func(r *http.Request) { r.Host = "evil.example" }, 403, "loopback name"},
		{"another machine", without, "/x", func(r *http.Request) { r.RemoteAddr = "192.0.2.1:5000" }, 403, "only this machine"},
		{"another machine by a proxy here", without, "/x", func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.1") }, 403, "by no proxy"},
		{"a made-up token, though anyone may", without, "/x", func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, 401, "the token is not valid"},

		{"an API path", with, "/api/x", func(r *http.Request) { r.Header.Set("Accept", html) }, 401, "log in"},
		{"a page", with, "/a/b?c=d&e", func(r *http.Request) { r.Header.Set("Accept", html) }, 303, "/login?next=%2Fa%2Fb%3Fc%3Dd%26e"},
		{"a part of a page, asked for by its script", with, "/a", func(r *http.Request) { r.Header.Set("Accept", html); r.Header.Set("HX-Request", "true") }, 401, "log in"},
		{"a page, asked for by a program", with, "/a", func(r *http.Request) { r.Header.Set("Accept", "*/*") }, 401, "log in"},
		{"a form", with, "/a", func(r *http.Request) { r.Method = "POST"; r.Header.Set("Accept", html) }, 401, "log in"},
		{"a made-up session", with, "/api/x", func(r *http.Request) {
			r.AddCookie(&http.Cookie{Name: "greentally", Value: strings.Repeat("A", 43)})
		}, 401, "log in"},
		{"a token", with, "/api/x", func(r *http.Request) { r.Header.Set("Authorization", "bearer  "+monitor) }, 200, `"Name":"token:prometheus"`},
		{"a token in a page", with, "/x", func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer x"+monitor)
			r.Header.Set("Accept", html)
		}, 401, "the token is not valid"},
		{"a password as by RFC 7617", with, "/x", func(r *http.Request) { r.SetBasicAuth("root", password) }, 401, "the token is not valid"},
		{"no token", with, "/x", func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") }, 401, "the token is not valid"},
		{"a screen's cookie", with, "/screen/jiayuan", func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "greentally-screen", Value: screen}) }, 200, `"Name":"token:lobby"`},
		{"a screen's cookie elsewhere", with, "/x", func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "greentally-screen", Value: screen}) }, 401, "log in"},
		{"another token as a screen's cookie", with, "/screen/jiayuan", func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "greentally-screen", Value: monitor}) }, 401, "log in"},
		{"a token as a session's cookie", with, "/x", func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "greentally", Value: monitor}) }, 401, "log in"},
		{"a cookie without __Host- over TLS", with, "/x", func(r *http.Request) {
			r.TLS = &tls.ConnectionState{}
			r.AddCookie(&http.Cookie{Name: "greentally-screen", Value: screen})
		}, 401, "log in"},

		{"this machine, though there is a token", token, "/x", nil, 401, "log in"},
		{"the token of the configuration", token, "/x", func(r *http.Request) { r.Header.Set("Authorization", "Bearer s3cret") }, 200, `"Role":"administrator"`},
	}
	for _, tt := range tests {
		r := httptest.NewRequest(http.MethodGet, tt.path, nil)
		r.Host, r.RemoteAddr = "localhost:8080", "127.0.0.1:5000"
		if tt.change != nil {
			tt.change(r)
		}
		w := httptest.NewRecorder()
		tt.house.handler().ServeHTTP(w, r)
		got := strings.ReplaceAll(w.Body.String(), `"role"`, `"Role"`) + w.Header().Get("Location")
		if w.Code != tt.status || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %d %s, want %d %s", tt.name, w.Code, got, tt.status, tt.want)
		}
		if (w.Code == http.StatusUnauthorized) != (w.Header().Get("WWW-Authenticate") != "") {
			t.Errorf("%s: %d with WWW-Authenticate %q", tt.name, w.Code, w.Header().Get("WWW-Authenticate"))
		}
	}
	without.people(t)
	r := httptest.NewRequest(http.MethodGet, "/x", nil)
	r.Host, r.RemoteAddr = "localhost:8080", "127.0.0.1:5000"
	if _, err := without.gate.Principal(r); err == nil {
		t.Error("anyone is let in, though there are users now")
	}
}

// TestAway has JetStream away: nobody is let in, and nobody is told that the session is over.
func TestAway(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	h.people(t)
	server := httptest.NewServer(h.handler())
	defer server.Close()
	b := h.browser(t, server)
	b.logIn(t, "lina", password)
	h.stop()
	if _, status, body := b.get(t, server.URL+"/x"); status != http.StatusServiceUnavailable || strings.Contains(body, "nats") {
		t.Errorf("%d %s", status, body)
	}
}

// TestProxiesWithoutUsers has proxies on this machine send what they do as they come: nobody is
// administrator by them. Browsers, Prometheus, curl and the commands are let in.
func TestProxiesWithoutUsers(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	status := func(change func(*http.Request)) int {
		r := httptest.NewRequest(http.MethodGet, "/x", nil)
		r.Host, r.RemoteAddr = "127.0.0.1:8080", "127.0.0.1:5000"
		change(r)
		w := httptest.NewRecorder()
		h.handler().ServeHTTP(w, r)
		return w.Code
	}
	for name, value := range map[string]string{
		"X-Forwarded-For": "192.0.2.1", "x-forwarded-host": "greentally.example.org", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "443",
		"X-Forwarded-Server": "proxy", "X-Forwarded-Scheme": "https", "X-Forwarded": "192.0.2.1", "Forwarded": "for=192.0.2.1", "Via": "1.1 varnish", "X-Real-IP": "192.0.2.1",
		"CF-Connecting-IP": "192.0.2.1", "CF-Ray": "1", "True-Client-IP": "192.0.2.1", "X-Client-IP": "192.0.2.1", "X-Cluster-Client-IP": "192.0.2.1",
		"Fastly-Client-IP": "192.0.2.1", "X-Envoy-External-Address": "192.0.2.1", "X-Original-Forwarded-For": "192.0.2.1", "CDN-Loop": "cloudflare", "X-Amzn-Trace-Id": "Root=1",
	} {
		t.Run(name, func(t *testing.T) {
			for _, value := range []string{value, ""} {
				if got := status(func(r *http.Request) { r.Header.Set(name, value) }); got != http.StatusForbidden {
					t.Errorf("with %s: %q: %d", name, value, got)
				}
			}
		})
	}
	t.Run("nginx as it comes", func(t *testing.T) {
		got := status(func(r *http.Request) {
			r.Proto, r.ProtoMinor = "HTTP/1.0", 0
			r.Header.Set("Connection", "close")
			r.Header.Set("User-Agent", "Mozilla/5.0")
		})
		if got != http.StatusForbidden {
			t.Error(got)
		}
	})
	for name, headers := range map[string]http.Header{
		"a browser": {"User-Agent": {"Mozilla/5.0"}, "Accept": {"text/html"}, "Accept-Language": {"zh-CN"}, "Accept-Encoding": {"gzip, br"}, "Connection": {"keep-alive"},
			"Sec-Fetch-Site": {"none"}, "Sec-Ch-Ua": {`"Chromium";v="130"`}, "Upgrade-Insecure-Requests": {"1"}, "Hx-Request": {"true"}, "Referer": {"http://127.0.0.1:8080/"}},
		"Prometheus":      {"User-Agent": {"Prometheus/3.5.0"}, "Accept": {"application/openmetrics-text;version=1.0.0"}, "X-Prometheus-Scrape-Timeout-Seconds": {"10"}, "Accept-Encoding": {"gzip"}},
		"a command":       {"User-Agent": {"Go-http-client/1.1"}, "Content-Type": {"application/json"}, "Accept-Encoding": {"gzip"}},
		"curl":            {"User-Agent": {"curl/8.5.0"}, "Accept": {"*/*"}},
		"one that closes": {"Connection": {"close"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := status(func(r *http.Request) { r.Header = headers }); got != http.StatusOK {
				t.Error(got)
			}
		})
	}
}

func TestAddress(t *testing.T) {
	proxies := open(t, t.TempDir(), func(c *login.Config) { c.Proxies, c.Token = localProxy, "t" })
	none := open(t, t.TempDir(), func(c *login.Config) { c.Token = "t" })
	tests := []struct {
		name      string
		house     *house
		remote    string
		forwarded []string
		want      string
	}{
		{"no proxy", none, "192.0.2.1:5000", nil, "192.0.2.1"},
		{"what nobody believes", none, "127.0.0.1:5000", []string{"192.0.2.9"}, "127.0.0.1"},
		{"a proxy", proxies, "127.0.0.1:5000", []string{"192.0.2.9"}, "192.0.2.9"},
		{"a proxy of IPv6 that is one of IPv4", proxies, "[::ffff:127.0.0.1]:5000", []string{"2001:db8::1"}, "2001:db8::1"},
		{"two proxies, and what the asker made up", proxies, "127.0.0.1:5000", []string{"198.51.100.1, 192.0.2.9", "10.1.2.3"}, "192.0.2.9"},
		{"not by the proxy", proxies, "192.0.2.1:5000", []string{"192.0.2.9"}, "192.0.2.1"},
		{"nonsense", proxies, "127.0.0.1:5000", []string{"x, 10.0.0.1"}, "10.0.0.1"},
		{"nothing", proxies, "127.0.0.1:5000", []string{""}, "127.0.0.1"},
		{"no address", proxies, "@", []string{"192.0.2.9"}, ""},
	}
	for _, tt := range tests {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr, r.Header["X-Forwarded-For"] = tt.remote, tt.forwarded
		r.Header.Set("Authorization", "Bearer t")
		if p, err := tt.house.gate.Principal(r); err != nil || p.Address != tt.want {
			t.Errorf("%s: %q, %v, want %q", tt.name, p.Address, err, tt.want)
		}
	}
}

// TestCookies looks at the cookies over TLS, behind a proxy, and without either.
func TestCookies(t *testing.T) {
	h := open(t, t.TempDir(), func(c *login.Config) { c.Proxies = localProxy })
	h.people(t)
	for name, tt := range map[string]struct {
		change func(*http.Request)
		want   string
	}{
		"plain":                {func(*http.Request) {}, "greentally=X; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax"},
		"TLS":                  {func(r *http.Request) { r.TLS = &tls.ConnectionState{} }, "__Host-greentally=X; Path=/; Max-Age=604800; HttpOnly; Secure; SameSite=Lax"},
		"TLS at a proxy":       {func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") }, "__Host-greentally=X; Path=/; Max-Age=604800; HttpOnly; Secure; SameSite=Lax"},
		"TLS, says somebody":   {func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1"; r.Header.Set("X-Forwarded-Proto", "https") }, "greentally=X; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax"},
		"no TLS, says a proxy": {func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "http") }, "greentally=X; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax"},
	} {
		r := httptest.NewRequest(http.MethodPost, "/login", strings.NewReader(url.Values{"name": {"lina"}, "password": {password}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.RemoteAddr = "127.0.0.1:5000"
		tt.change(r)
		w := httptest.NewRecorder()
		h.handler().ServeHTTP(w, r)
		got := w.Header().Get("Set-Cookie")
		if cookies := w.Result().Cookies(); len(cookies) == 1 && len(cookies[0].Value) == 43 {
			got = strings.Replace(got, cookies[0].Value, "X", 1)
		}
		if w.Code != http.StatusNoContent || got != tt.want {
			t.Errorf("%s: %d %s, want %s", name, w.Code, got, tt.want)
		}
	}
}

// TestOtherOrigins sends what a page of another origin makes a browser send.
func TestOtherOrigins(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	h.people(t)
	server := httptest.NewServer(h.handler())
	defer server.Close()
	b := h.browser(t, server)
	b.logIn(t, "lina", password)
	for header, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"} {
		for _, path := range []string{"/logout", "/login", "/password", "/x"} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+path, nil)
			must(t, err)
			r.Header.Set(header, value)
			if _, status, _ := b.send(t, r); status != http.StatusForbidden {
				t.Errorf("%s with %s: %s: %d", path, header, value, status)
			}
		}
	}
	if b.who(t).Name != "lina" {
		t.Error("another origin logged her out")
	}
}

// TestScreen turns a screen on, and revokes its token.
func TestScreen(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	h.people(t)
	secret, err := h.tokens.Add(t.Context(), access.Token{Name: "lobby", Binding: access.Binding{Role: access.RoleScreen, Communities: []string{"jiayuan"}}})
	must(t, err)
	monitor, err := h.tokens.Add(t.Context(), access.Token{Name: "m", Binding: access.Binding{Role: access.RoleMonitor}})
	must(t, err)
	server := httptest.NewTLSServer(h.handler())
	defer server.Close()
	b := h.browser(t, server)
	for _, wrong := range []string{"", "x", monitor} {
		if status, _ := b.post(t, "/screen", "token", wrong); status != http.StatusForbidden {
			t.Errorf("%q turns a screen on: %d", wrong, status)
		}
	}
	if status, body := b.post(t, "/screen", "token", secret); status != http.StatusNoContent {
		t.Fatal(status, body)
	}
	if p := b.who(t); p.Name != "" {
		t.Errorf("the screen's cookie makes %+v of who asks for anything else", p)
	}
	if p := b.whoAt(t, "/screen/jiayuan"); !p.May(access.Screen, "jiayuan") || p.May(access.Read, "jiayuan") || p.May(access.Screen, "b") || p.Session {
		t.Errorf("the screen is %+v", p)
	}
	w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/screen/jiayuan", nil)
	r.AddCookie(&http.Cookie{Name: "greentally-screen", Value: secret})
	h.handler().ServeHTTP(w, r)
	if got := w.Header().Get("Set-Cookie"); !strings.Contains(got, "greentally-screen="+secret) || !strings.Contains(got, "Max-Age=34560000") {
		t.Errorf("the cookie of a screen that is on is %q", got)
	}
	must(t, h.tokens.Revoke(t.Context(), "lobby"))
	if p := b.whoAt(t, "/screen/jiayuan"); p.Name != "" {
		t.Errorf("a screen without a token is %+v", p)
	}
}

func FuzzLocalPath(f *testing.F) {
	for _, seed := range []string{"/", "", "/a?b=c#d", "//evil.example", "///evil.example", "/\\evil.example", "https://evil.example", "/login?next=/login", "/\t/evil.example", "javascript:x", "/%2f/evil.example", "/a/../../b"} {
		f.Add(seed)
	}
	base, err := url.Parse("https://green.example/login")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, next string) {
		got := login.LocalPath(next)
		u, err := base.Parse(got)
		if err != nil || u.Host != "green.example" || u.Scheme != "https" || got[0] != '/' || strings.HasPrefix(got, "//") || strings.ContainsAny(got, "\\\t\n\r") {
			t.Errorf("%q leads to %q: %v", next, got, u)
		}
		if login.LocalPath(got) != got {
			t.Errorf("%q becomes %q, and that %q", next, got, login.LocalPath(got))
		}
	})
}

func FuzzRequest(f *testing.F) {
	h := open(f, f.TempDir(), func(c *login.Config) { c.Proxies = localProxy })
	h.people(f)
	f.Add("Bearer x", "greentally=x; __Host-greentally=y", "192.0.2.1, 10.0.0.1", "/x")
	f.Add("", "greentally="+strings.Repeat("A", 43)+"; greentally-screen=greentally_", ",,", "/api/")
	f.Fuzz(func(t *testing.T, authorization, cookie, forwarded, path string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path = path
		r.RemoteAddr = "127.0.0.1:5000"
		r.Header = http.Header{"Authorization": {authorization}, "Cookie": {cookie}, "X-Forwarded-For": {forwarded}}
		p, err := h.gate.Principal(r)
		if err == nil {
			t.Errorf("%+v is let in", p)
		}
		r.Header.Set("Authorization", "")
		w := httptest.NewRecorder()
		h.gate.Identify(http.NotFoundHandler()).ServeHTTP(w, r)
		if !slices.Contains([]int{http.StatusUnauthorized, http.StatusSeeOther}, w.Code) {
			t.Errorf("answered with %d", w.Code)
		}
		if _, err := netip.ParseAddr(p.Address); p.Address != "" && err != nil {
			t.Errorf("address %q", p.Address)
		}
	})
}
