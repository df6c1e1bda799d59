package login_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"greentally/access"
	"greentally/access/login"
)

// TestSessions logs two browsers in, over a restart, and ends their sessions in every way.
func TestSessions(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir, nil)
	h.people(t)
	server := httptest.NewUnstartedServer(nil)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.handler().ServeHTTP(w, r) })
	server.Start()
	defer server.Close()
	phone, desk := h.browser(t, server), h.browser(t, server)
	if p := phone.who(t); p.Name != "" {
		t.Errorf("before the login: %+v", p)
	}
	both := func() { phone.logIn(t, "LINA", password); desk.logIn(t, "lina", password) }
	names := func() string { return phone.who(t).Name + " " + desk.who(t).Name }
	expect := func(when, want string) {
		t.Helper()
		if got := names(); got != want {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
	both()
	expect("logged in", "lina lina")
	if p := phone.who(t); p.Display != "李娜" || p.Language != "zh" || p.Address != "127.0.0.1" || !p.Session || !p.May(access.Write, "jiayuan") {
		t.Errorf("she is %+v", p)
	}

	h.stop()
	h = open(t, dir, nil)
	expect("after a restart", "lina lina")

	if status, _ := phone.post(t, "/logout"); status != http.StatusNoContent {
		t.Errorf("logged out: %d", status)
	}
	expect("one logged out", " lina")
	phone.logIn(t, "lina", password)

	lina, err := h.users.Get("lina")
	must(t, err)
	lina.Bindings = []access.Binding{{Role: access.RoleAssessor, Communities: []string{"b"}}}
	_, err = h.users.Change(t.Context(), lina)
	must(t, err)
	if p := desk.who(t); p.May(access.Read, "jiayuan") || !p.May(access.Read, "b") || p.May(access.Write, "b") {
		t.Errorf("with other bindings: %+v", p)
	}

	const better = "blue bins, green bins"
	if status, body := phone.post(t, "/password", "old", "nonsense", "new", better); status != http.StatusForbidden {
		t.Errorf("changed with a wrong password: %d %s", status, body)
	}
	for _, bad := range []string{"", "short"} {
		if status, body := phone.post(t, "/password", "old", password, "new", bad); status != http.StatusBadRequest {
			t.Errorf("a password %q: %d %s", bad, status, body)
		}
	}
	expect("no password changed", "lina lina")
	if status, body := phone.post(t, "/password", "old", password, "new", better); status != http.StatusNoContent {
		t.Errorf("changed: %d %s", status, body)
	}
	expect("the password changed at the phone", "lina ")
	desk.logIn(t, "lina", better)

	_, err = h.users.SetPassword(t.Context(), "lina", password)
	must(t, err)
	expect("an administrator set the password", " ")
	both()
	must(t, h.users.EndSessions(t.Context(), "lina"))
	expect("an administrator logged her out", " ")
	both()
	lina, err = h.users.Get("lina")
	must(t, err)
	lina.Disabled = true
	lina, err = h.users.Change(t.Context(), lina)
	must(t, err)
	expect("disabled", " ")
	lina.Disabled = false
	lina, err = h.users.Change(t.Context(), lina)
	must(t, err)
	expect("let in again: no session is back", " ")
	h.pass(time.Hour)
	both()
	must(t, h.users.Remove(t.Context(), "lina", lina.Revision))
	_, err = h.users.Add(t.Context(), access.User{Name: "lina"}, password)
	must(t, err)
	expect("another of the same name", " ")

	h.pass(time.Hour)
	both()
	for range 20 { // nearly ten days
		h.pass(11 * time.Hour)
		expect := "lina"
		if h.now().Sub(time.Date(2026, 12, 1, 4, 0, 0, 0, time.UTC)) >= 7*24*time.Hour {
			expect = ""
		}
		if got := phone.who(t).Name; got != expect {
			t.Errorf("at %s: %q", h.now(), got)
		}
	}
	phone.logIn(t, "lina", password)
	h.pass(12*time.Hour - time.Minute)
	if phone.who(t).Name == "" {
		t.Error("the session is over too early")
	}
	h.pass(12 * time.Hour)
	expect("nothing asked for twelve hours", " ")
}

// TestNewToken logs in where somebody has a session: it has another token, and the old one has
// ended.
func TestNewToken(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	h.people(t)
	server := httptest.NewServer(h.handler())
	defer server.Close()
	b, thief := h.browser(t, server), h.browser(t, server)
	b.logIn(t, "lina", password)
	thief.Jar = copied(t, server, b)
	if thief.who(t).Name != "lina" {
		t.Fatal("the cookie alone is not enough")
	}
	b.logIn(t, "root", password)
	if got := thief.who(t).Name + b.who(t).Name; got != "root" {
		t.Errorf("the old token and the new one are %q", got)
	}
	kept := keys(t, h.js)
	if len(kept) != 1 {
		t.Errorf("sessions: %v", kept)
	}
	for _, key := range kept {
		entry, err := sessions(t, h.js).Get(t.Context(), key)
		must(t, err)
		for _, c := range b.Jar.Cookies(at(t, server)) {
			if strings.Contains(key+string(entry.Value()), c.Value) {
				t.Error("the token itself is kept")
			}
		}
	}
}

// copied is what a browser keeps of a server.
func copied(t *testing.T, server *httptest.Server, b *browser) http.CookieJar {
	t.Helper()
	jar, err := cookiejar.New(nil)
	must(t, err)
	jar.SetCookies(at(t, server), b.Jar.Cookies(at(t, server)))
	return jar
}

func at(t *testing.T, server *httptest.Server) *url.URL {
	t.Helper()
	u, err := url.Parse(server.URL)
	must(t, err)
	return u
}

func sessions(t *testing.T, js jetstream.JetStream) jetstream.KeyValue {
	t.Helper()
	bucket, err := js.KeyValue(t.Context(), "GREENTALLY_SESSIONS")
	must(t, err)
	return bucket
}

func keys(t *testing.T, js jetstream.JetStream) []string {
	t.Helper()
	all, err := sessions(t, js).ListKeys(t.Context())
	must(t, err)
	var names []string
	for key := range all.Keys() {
		names = append(names, key)
	}
	return names
}

// TestSessionsLeave has the bucket of sessions empty after a while, logged out or not, and few
// writes for many requests.
func TestSessionsLeave(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	short, err := login.OpenSessions(t.Context(), h.js, 1, 500*time.Millisecond, time.Now)
	must(t, err)
	h.gate.Sessions = short
	h.people(t)
	server := httptest.NewServer(h.handler())
	defer server.Close()
	one, two := h.browser(t, server), h.browser(t, server)
	one.logIn(t, "lina", password)
	two.logIn(t, "lina", password)
	stream, err := h.js.Stream(t.Context(), "KV_GREENTALLY_SESSIONS")
	must(t, err)
	for range 100 {
		one.who(t)
	}
	info, err := stream.Info(t.Context())
	must(t, err)
	if info.State.LastSeq > 60 || info.State.Msgs != 2 {
		t.Errorf("100 requests: %+v", info.State)
	}
	one.post(t, "/logout")
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		info, err := stream.Info(t.Context())
		must(t, err)
		if info.State.Msgs == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d keys stay", info.State.Msgs)
		}
	}
	if two.who(t).Name != "" {
		t.Error("a session without a key")
	}
}

// between makes buckets that do something before a key is updated.
type between struct {
	jetstream.JetStream
	do func()
}

func (b *between) CreateOrUpdateKeyValue(ctx context.Context, c jetstream.KeyValueConfig) (jetstream.KeyValue, error) {
	bucket, err := b.JetStream.CreateOrUpdateKeyValue(ctx, c)
	return &betweenBucket{bucket, b}, err
}

type betweenBucket struct {
	jetstream.KeyValue
	of *between
}

func (b *betweenBucket) Update(ctx context.Context, key string, value []byte, last uint64) (uint64, error) {
	b.of.do()
	return b.KeyValue.Update(ctx, key, value, last)
}

// TestLoggedOutStaysOut logs out while another request is on its way that writes down that the
// session was seen: that does not bring it back.
func TestLoggedOutStaysOut(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	h.people(t)
	server := httptest.NewServer(h.handler())
	defer server.Close()
	b := h.browser(t, server)
	other := h.browser(t, server)
	slow := &between{JetStream: h.js}
	sessions, err := login.OpenSessions(t.Context(), slow, 1, 0, h.now)
	must(t, err)
	b.logIn(t, "lina", password)
	other.Jar = copied(t, server, b)
	h.pass(time.Hour)
	fast, asked := h.gate.Sessions, 0
	slow.do = func() {
		asked++
		h.gate.Sessions = fast
		other.post(t, "/logout")
	}
	h.gate.Sessions = sessions
	b.who(t)
	if got := b.who(t).Name; got != "" || asked != 1 || len(keys(t, h.js)) != 0 {
		t.Errorf("after the logout, asked %d times: %q, %v", asked, got, keys(t, h.js))
	}
}

// TestFailures looks at what the audit log has of logins.
func TestFailures(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	h.people(t)
	server := httptest.NewServer(h.handler())
	defer server.Close()
	b := h.browser(t, server)
	answers := map[string]bool{}
	for _, try := range [][2]string{{"lina", "wrong"}, {"nobody", password}, {"my password is hunter2", "x"}, {"", ""}} {
		status, body := b.post(t, "/login", "name", try[0], "password", try[1])
		answers[fmt.Sprint(status, body)] = true
	}
	if len(answers) != 1 {
		t.Errorf("failed logins are answered with %v", answers)
	}
	b.logIn(t, "lina", password)
	b.post(t, "/logout")
	b.post(t, "/logout")
	want := []string{
		"lina 127.0.0.1 logout done", "lina 127.0.0.1 login done password", " 127.0.0.1 login refused password wrong",
		" 127.0.0.1 login refused password wrong", " 127.0.0.1 login refused password wrong", "lina 127.0.0.1 login refused password wrong",
	}
	if got := h.log(t); !slices.Equal(got, want) {
		t.Errorf("the audit log says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestLimits tries many passwords of one name from everywhere, and many names from one network.
func TestLimits(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	h.people(t)
	try := func(address, name, password string) int {
		r := httptest.NewRequest(http.MethodPost, "/login?name="+name, strings.NewReader("password="+password))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.RemoteAddr = address
		w := httptest.NewRecorder()
		h.handler().ServeHTTP(w, r)
		return w.Code
	}
	count := func(n int, address func(int) string, name func(int) string) (checked int) {
		for i := range n {
			switch status := try(address(i), name(i), "wrong"); status {
			case http.StatusForbidden:
				checked++
			case http.StatusTooManyRequests:
			default:
				t.Fatal(status)
			}
		}
		return checked
	}
	anywhere := func(i int) string { return fmt.Sprintf("198.51.%d.%d:5", i/200, i%200) }
	spelt := func(i int) string { return []string{"lina", "LINA", "%20lina"}[i%3] }
	if n := count(25, func(int) string { return "203.0.113.9:5" }, spelt); n != 10 {
		t.Errorf("%d passwords of one name were checked from one network", n)
	}
	if status := try("192.0.2.78:5", "lina", password); status != http.StatusNoContent {
		t.Errorf("from another one meanwhile: %d", status)
	}
	if n := count(150, anywhere, spelt); n != 100-11 {
		t.Errorf("%d passwords of one name were checked from everywhere", n)
	}
	if status := try("192.0.2.77:5", "lina", password); status != http.StatusTooManyRequests {
		t.Errorf("the right one after them: %d", status)
	}
	if one, two := try("192.0.2.77:5", "root", password), try("192.0.2.77:5", "second", "x"); one != http.StatusNoContent && two != http.StatusForbidden {
		t.Errorf("other users: %d, %d", one, two) // one alone may share lina's limit, by chance
	}
	h.pass(time.Minute)
	if status := try("192.0.2.77:5", "lina", password); status != http.StatusNoContent {
		t.Errorf("a minute later: %d", status)
	}
	line := func(i int) string { return fmt.Sprintf("[2001:db8:1:2%02x::%x]:5", i, i) }
	if n := count(50, line, func(i int) string { return fmt.Sprint("name", i) }); n < 25 || n > 30 {
		t.Errorf("%d names from one line were checked", n)
	}
	before := len(h.log(t))
	count(300, func(int) string { return "203.0.113.200:5" }, func(i int) string { return fmt.Sprint("flood", i) })
	if n := len(h.log(t)) - before; n > 30 {
		t.Errorf("a flood leaves %d entries", n)
	}
	try("203.0.113.1:5", "lina", "wrong") // which is not lost in it
	said := strings.Fields(h.log(t)[0])
	if n, err := strconv.Atoi(said[len(said)-1]); err != nil || n < 270 || !strings.HasPrefix(h.log(t)[0], "lina 203.0.113.1 login refused password wrong ") {
		t.Errorf("after the flood: %s", said)
	}
}

// TestHalfClosed sends logins by connections whose sending side is shut down, so that the request's
// context is done while its answer is still awaited: there is an entry of each, and the answer of a
// right password is that of a wrong one.
func TestHalfClosed(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	h.people(t)
	handler := h.handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		<-r.Context().Done()
		handler.ServeHTTP(w, r)
	}))
	defer server.Close()
	logIn := func(password string) int {
		t.Helper()
		conn, err := net.Dial("tcp", at(t, server).Host)
		must(t, err)
		defer func() { _ = conn.Close() }()
		form := url.Values{"name": {"lina"}, "password": {password}}.Encode()
		_, err = fmt.Fprintf(conn, "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(form), form)
		must(t, err)
		must(t, conn.(*net.TCPConn).CloseWrite())
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		must(t, err)
		must(t, answer.Body.Close())
		return answer.StatusCode
	}
	for i, password := range []string{"wrong", password, "wrong", password} {
		if got := logIn(password); got != http.StatusInternalServerError {
			t.Errorf("password %q of one who has gone: %d", password, got)
		}
		if entries := h.log(t); len(entries) != i+1 || !strings.HasPrefix(entries[0], "lina 127.0.0.1 login refused password") {
			t.Fatalf("after %d logins of one who has gone the audit log says %q", i+1, entries)
		}
	}

}

// TestGoneMeanwhile has the asker go when the password was checked, and log out: both are written
// down, and the session ends.
func TestGoneMeanwhile(t *testing.T) {
	var h *house
	asked, leave := 0, func() {}
	h = open(t, t.TempDir(), func(c *login.Config) {
		c.Now = func() time.Time {
			if asked++; asked == 2 { // first for the limits, and then for the entry
				leave()
			}
			return h.now()
		}
	})
	h.people(t)
	server := httptest.NewServer(h.handler())
	defer server.Close()
	b := h.browser(t, server)
	b.logIn(t, "lina", password)
	request := func() (*http.Request, context.CancelFunc) {
		ctx, cancel := context.WithCancel(t.Context())
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", nil)
		r.RemoteAddr = "127.0.0.1:1"
		r.AddCookie(b.Jar.Cookies(at(t, server))[0])
		return r, cancel
	}
	for what, try := range map[string]func(http.ResponseWriter, *http.Request) error{
		"password wrong": func(w http.ResponseWriter, r *http.Request) error {
			_, err := h.gate.LogIn(w, r, "lina", "wrong")
			return err
		},
		"old password wrong": func(w http.ResponseWriter, r *http.Request) error {
			return h.gate.ChangePassword(w, r, "wrong", "blue bins, green bins")
		},
	} {
		r, cancel := request()
		asked, leave = 0, cancel
		if err := try(httptest.NewRecorder(), r); !errors.Is(err, access.ErrWrong) || r.Context().Err() == nil {
			t.Errorf("%s: %v", what, err)
		}
		if got := h.log(t)[0]; got != "lina 127.0.0.1 login refused "+what {
			t.Errorf("of one who has gone the audit log says %q, want %q", got, what)
		}
	}
	r, cancel := request()
	cancel()
	if err := h.gate.LogOut(httptest.NewRecorder(), r); err != nil {
		t.Error(err)
	}
	if got := h.log(t)[0]; got != "lina 127.0.0.1 logout done" || b.who(t).Name != "" {
		t.Errorf("logged out by one who has gone: %q, and is %q", got, b.who(t).Name)
	}
}

// TestAuditLogAway has the audit log refuse entries: then no answer tells a right password from a
// wrong one, and nobody is logged in.
func TestAuditLogAway(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	h.people(t)
	server := httptest.NewServer(h.handler())
	defer server.Close()
	b := h.browser(t, server)
	b.logIn(t, "lina", password)
	must(t, h.js.DeleteStream(t.Context(), "GREENTALLY_AUDIT"))
	answers := map[string]bool{}
	for _, try := range [][]string{{"/login", "name", "lina", "password", "wrong"}, {"/login", "name", "lina", "password", password},
		{"/login", "name", "nobody", "password", password}, {"/password", "old", "wrong", "new", "blue bins, green bins"}} {
		status, body := b.post(t, try[0], try[1:]...)
		answers[fmt.Sprint(status, body)] = true
	}
	if len(answers) != 1 {
		t.Errorf("without an audit log logins are answered with %v", answers)
	}
	if got := keys(t, h.js); len(got) != 1 {
		t.Errorf("sessions: %v", got)
	}
	_, err := access.OpenAudit(t.Context(), h.js, 1, h.now)
	must(t, err)
	b.post(t, "/login", "name", "lina", "password", "wrong")
	if got := h.log(t); !slices.Equal(got, []string{"lina 127.0.0.1 login refused password wrong 3"}) {
		t.Errorf("when it is back it says %q", got)
	}
}

// TestScreensHoldNobodyBack asks for a screen with wrong tokens, as any page can have a browser do:
// logins from there go on.
func TestScreensHoldNobodyBack(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	h.people(t)
	server := httptest.NewServer(h.handler())
	defer server.Close()
	b := h.browser(t, server)
	refused := 0
	for range 40 {
		if status, _ := b.post(t, "/screen", "token", "greentally_wrong"); status == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused != 10 {
		t.Errorf("%d of 40 tries were too many", refused)
	}
	b.logIn(t, "lina", password)
}
