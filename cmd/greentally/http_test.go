package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oauth2-proxy/mockoidc"

	"greentally/internal/testserver"
)

// webConfig writes a web configuration file with a certificate, and more.
func webConfig(t *testing.T, certFile, keyFile, more string) string {
	t.Helper()
	return writeFile(t, "web.yml", fmt.Sprintf("tls_server_config:\n  cert_file: %q\n  key_file: %q\n%s", certFile, keyFile, more))
}

func TestInTheClear(t *testing.T) {
	certFile, keyFile := certificate(t)
	withTLS := webConfig(t, certFile, keyFile, "")
	for _, tt := range []struct {
		http httpConfig
		want bool
	}{
		{httpConfig{Listen: "127.0.0.1:80"}, false}, {httpConfig{Listen: ":80"}, true},
		{httpConfig{Listen: ":80", WebConfigFile: withTLS}, false}, {httpConfig{Listen: ":80", WebConfigFile: writeFile(t, "web.yml", "rate_limit: {interval: 1s, burst: 9}")}, true},
		{httpConfig{Listen: ":80", TrustedProxies: []string{"10.0.0.1"}}, false},
	} {
		f, err := tt.http.checkWebFile()
		if err != nil {
			t.Fatal(err)
		}
		if got := tt.http.inTheClear(f); got != tt.want {
			t.Errorf("%+v: %v", tt.http, got)
		}
	}
}

// visitor is a browser.
type visitor struct {
	t *testing.T
	*http.Client
	url string
}

func visit(t *testing.T, url string, transport http.RoundTripper) visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return visitor{t, &http.Client{Jar: jar, Transport: transport}, url}
}

// answer is the last one, wherever the first one led.
type answer struct {
	status  int
	page    string
	uri     string // of what was asked for last
	proto   int
	header  http.Header
	cookies []*http.Cookie
}

func (v visitor) send(method, path, contentType, body string, headers ...string) answer {
	v.t.Helper()
	request, err := http.NewRequestWithContext(v.t.Context(), method, v.url+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	request.Header.Set("Accept", "text/html")
	request.Header.Set("Content-Type", contentType)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := v.Do(request)
	if err != nil {
		v.t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return answer{response.StatusCode, string(data), response.Request.URL.RequestURI(), response.ProtoMajor, response.Header, response.Cookies()}
}

func (v visitor) form(path string, pairs ...string) answer {
	v.t.Helper()
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return v.send("POST", path, "application/x-www-form-urlencoded", values.Encode())
}

// want checks that an answer has a status and texts, and returns it.
func (v visitor) want(a answer, status int, texts ...string) answer {
	v.t.Helper()
	if a.status != status {
		v.t.Errorf("%s: %d %s, want %d", a.uri, a.status, a.page, status)
	}
	for _, text := range texts {
		if !strings.Contains(a.page, text) {
			v.t.Errorf("%s lacks %q: %s", a.uri, text, a.page)
		}
	}
	return a
}

// TestEntry goes with one data folder from the first user on loopback to a listener for others
// with TLS: passwords, an OpenID provider, a proxy in front, client certificates.
func TestEntry(t *testing.T) {
	t.Parallel()
	provider, err := mockoidc.Run()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = provider.Shutdown() }()
	c := defaultConfig()
	c.DataDir, c.Communities = t.TempDir(), t.TempDir()
	c.Broker.Listen = "127.0.0.1:0"
	for _, name := range []string{"lakeside", "hillside"} {
		if err := os.WriteFile(filepath.Join(c.Communities, name+".yaml"), []byte(strings.ReplaceAll(recordsCommunity, "lakeside", name)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))

	c.HTTP.Listen = "0.0.0.0:0"
	ctx, stop := context.WithCancel(t.Context())
	err = serve(ctx, c, log, nil, func(running) { stop() }) // it serves everybody, and nobody can log in
	stop()
	wantError(t, "others without a user", err, "http.listen: 0.0.0.0:0 can be reached", "http.token_file", "greentally user add")

	// On loopback, behind a proxy on the same machine, with an OpenID provider.
	c.HTTP.Listen = fmt.Sprintf("127.0.0.1:%d", testserver.FreePort(t))
	c.HTTP.TrustedProxies = []string{"127.0.0.0/8"}
	c.HTTP.OpenID = openIDConfig{Issuer: provider.Issuer(), ClientID: provider.ClientID, ClientSecretFile: writeFile(t, "secret", provider.ClientSecret+"\n"),
		RedirectURL: "http://" + c.HTTP.Listen + openIDCallback}
	if err := c.check(nil); err != nil {
		t.Fatal(err)
	}
	server, finish := serving(t, c, log)
	const first, second = "three old bins", "four new bins"
	if _, err := cliWithInput(t, first+"\n", "user", "add", "wang", "--role", "administrator", "--server", server.httpURL); err != nil {
		t.Fatal(err)
	}
	wang, elsewhere := visit(t, server.httpURL, nil), visit(t, server.httpURL, nil)
	for _, v := range []visitor{wang, elsewhere} {
		v.want(v.form("/login", "name", "wang", "password", first, "next", "/account"), 200, "wang", "管理员", `href="/account"`, `action="/account/password"`)
	}
	wang.want(wang.send("POST", "/api/v1/users", "application/json", `{"name": "li", "email": "li@example.org", "language": "en", "bindings": [{"role": "manager", "communities": ["lakeside"]}]}`), 200)
	tokens := wang.want(wang.send("POST", "/api/v1/tokens", "application/json", `{"name": "ops", "role": "administrator"}`), 200, "secret")
	_, token, _ := strings.Cut(tokens.page, `"secret":"`)
	token, _, _ = strings.Cut(token, `"`)

	wang.want(wang.form("/account/password", "old", "wrong old one", "new", second, "again", second), 400, "当前密码不对")
	wang.want(wang.form("/account/password", "old", first, "new", "short", "again", "short"), 400, "新密码不符合")
	wang.want(wang.send("GET", "/account/password", "", ""), 200, "我的账户")
	wang.want(wang.form("/account/password", "old", first, "new", second, "again", second), 200, "密码已修改")
	elsewhere.want(elsewhere.send("GET", "/account", "", ""), 200, `action="/login"`)
	elsewhere.want(elsewhere.form("/login", "name", "wang", "password", first), 401, "用户名或密码不对")
	wang.want(wang.form("/account/language", "language", "en"), 200, "The language is saved", "administrator: may see")
	wang.want(wang.send("POST", "/account/password", "application/x-www-form-urlencoded", "", "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"), 403, "another origin")

	// Who is known to the provider and here gets the page that was asked for, and what is theirs.
	li := visit(t, server.httpURL, nil)
	login := li.want(li.send("GET", "/c/lakeside?month=2026-10", "", ""), 200, "用统一身份登录")
	_, begin, _ := strings.Cut(login.page, `href="/login/openid`)
	begin, _, _ = strings.Cut(begin, `"`)
	provider.QueueUser(&mockoidc.MockUser{Subject: "s-1", Email: "li@example.org", EmailVerified: true})
	came := li.want(li.send("GET", "/login/openid"+begin, "", ""), 200, "Lakeside", `href="/account"`, "Log out")
	if came.uri != "/c/lakeside?month=2026-10" {
		t.Errorf("logged in by the provider, one comes to %s", came.uri)
	}
	li.want(li.send("GET", "/account", "", ""), 200, "manager: reads and writes", `<a href="/c/lakeside">`, "there is no password here")
	li.want(li.send("GET", "/c/hillside", "", ""), 404)
	li.want(li.send("GET", "/metrics", "", ""), 403)
	stranger := visit(t, server.httpURL, nil)
	provider.QueueUser(&mockoidc.MockUser{Subject: "s-2", Email: "eve@example.org", EmailVerified: true})
	stranger.want(stranger.send("GET", "/login/openid?next=/c/lakeside", "", ""), 200, "您还不是这里的用户", `value="/c/lakeside"`)
	stranger.want(stranger.send("GET", "/login/openid/callback?code=x&state=y&lang=en", "", ""), 200, "登录没有完成")
	stranger.want(stranger.send("GET", "/api/v1/communities", "", ""), 401)

	// A proxy that is trusted says who asks, and that it is over TLS.
	through := visit(t, server.httpURL, nil)
	through.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	proxied := through.send("POST", "/login", "application/x-www-form-urlencoded", url.Values{"name": {"wang"}, "password": {second}}.Encode(), "X-Forwarded-For", "203.0.113.7", "X-Forwarded-Proto", "https")
	if cookies := proxied.cookies; len(cookies) != 1 || cookies[0].Name != "__Host-greentally" || !cookies[0].Secure {
		t.Errorf("behind a proxy with TLS: %d, cookies %v", proxied.status, cookies)
	}
	wang.want(wang.send("GET", "/api/v1/audit", "", ""), 200, `"address":"203.0.113.7","action":"login"`, `"action":"POST /account/password"`, `"action":"POST /account/language"`, `"by":"openid"`)
	if err := finish(); err != nil {
		t.Error(err)
	}

	// For others, with TLS and client certificates.
	certFile, keyFile := certificate(t)
	clientCert, clientKey := certificate(t)
	c.HTTP = httpConfig{Listen: "0.0.0.0:0", WebConfigFile: webConfig(t, certFile, keyFile, fmt.Sprintf(`  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: %q
http_server_config:
  headers: {Strict-Transport-Security: max-age=3600}
`, clientCert))}
	server, finish = serving(t, c, log)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(server.httpURL, "https://"))
	if err != nil || !strings.HasPrefix(server.httpURL, "https://") {
		t.Fatalf("it serves at %s", server.httpURL)
	}
	address := "https://127.0.0.1:" + port
	trusting := func() *http.Transport { // the certificate that the server has now
		config, err := clientTLS{CAFile: certFile, CertFile: clientCert, KeyFile: clientKey}.config()
		if err != nil {
			t.Fatal(err)
		}
		transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
		t.Cleanup(transport.CloseIdleConnections)
		return transport
	}
	wang = visit(t, address, trusting())
	in := wang.want(wang.form("/login", "name", "wang", "password", second), 200, "wang", "Lakeside")
	if in.proto != 2 || in.header.Get("Strict-Transport-Security") != "max-age=3600" || !strings.Contains(in.header.Get("Content-Security-Policy"), "default-src 'self'") {
		t.Errorf("HTTP/%d, %v", in.proto, in.header)
	}
	without := trusting()
	without.TLSClientConfig.Certificates = nil
	if response, err := (&http.Client{Transport: without}).Get(address + "/healthz"); err == nil {
		_ = response.Body.Close()
		t.Error("without a client certificate it answers")
	}
	config := writeFile(t, "greentally.yaml", fmt.Sprintf("http: {listen: %q, web_config_file: %q}\n", "127.0.0.1:"+port, c.HTTP.WebConfigFile))
	if users, err := cli(t, "user", "list", "--config", config, "--token-file", writeFile(t, "token", token), "--cert-file", clientCert, "--key-file", clientKey); err != nil || !strings.Contains(users, "li") {
		t.Errorf("a command with a client certificate: %v\n%s", err, users)
	}
	newCert, newKey := certificate(t) // what renews certificates replaces the files
	for from, to := range map[string]string{newCert: certFile, newKey: keyFile} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	wang.want(visit(t, address, trusting()).send("GET", "/healthz", "", ""), 200, "ok")
	if err := finish(); err != nil {
		t.Error(err)
	}
	for _, secret := range []string{first, second, token, provider.ClientSecret} {
		if secret == "" || strings.Contains(out.String(), secret) {
			t.Errorf("the log has the secret %q", secret)
		}
	}
	if strings.Contains(out.String(), "in the clear") {
		t.Error("it warns of passwords in the clear, and there is TLS")
	}
}
