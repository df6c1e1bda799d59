package pages_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"greentally/access"
	"greentally/web/pages"
)

// TestAccount shows who one is, and changes what can be changed: what is wrong is said, and every
// try is audited.
func TestAccount(t *testing.T) {
	tooOften, wrong, invalid := errors.New("too often"), errors.New("wrong"), errors.New("invalid")
	me := pages.Me{Name: "li", Display: "李<娜>", LoggedIn: true, Password: true, Roles: []access.Binding{{Role: access.RoleManager, Communities: []string{"quiet", "gone"}}, {Role: access.RoleMonitor}}}
	var result error
	var done, audited []string
	p, _ := newPages()
	p.Account = pages.Account{
		Me: func(context.Context) pages.Me { return me },
		ChangePassword: func(_ http.ResponseWriter, _ *http.Request, old, password string) error {
			done = append(done, old+" to "+password)
			return result
		},
		SetLanguage: func(_ context.Context, language string) error {
			done = append(done, language)
			return result
		},
		Wait:    func(err error) (time.Duration, bool) { return 30 * time.Second, errors.Is(err, tooOften) },
		Wrong:   func(err error) bool { return errors.Is(err, wrong) },
		Invalid: func(err error) bool { return errors.Is(err, invalid) },
	}
	p.Audit = func(_ *http.Request, action, community string, err error) {
		audited = append(audited, fmt.Sprint(action, community, " ", err))
	}
	handler := handlerOf(t, p)
	ask := func(method, target, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	says := func(w *httptest.ResponseRecorder, want ...string) {
		t.Helper()
		for _, text := range want {
			if !strings.Contains(w.Body.String(), text) {
				t.Errorf("the page lacks %q:\n%s", text, w.Body)
			}
		}
		if strings.Contains(w.Body.String(), "secret") {
			t.Errorf("the page has a password:\n%s", w.Body)
		}
	}
	says(ask("GET", "/account", ""), "李&lt;娜&gt;", "物业经理", `<a href="/c/quiet">静园</a>`, `<a href="/c/gone">gone</a>`, "监控", "至少 12 个字符", `value="zh" lang="zh-CN" selected`)
	says(ask("GET", "/account?lang=en", ""), "manager: reads and writes", "Quiet", "At least 12 characters", "Log out")
	says(ask("GET", "/account?done=password_changed", ""), "密码已修改")
	if w := ask("GET", "/account/password?lang=en", ""); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/account?lang=en" {
		t.Errorf("the page after a form in another language: %d %v", w.Code, w.Header())
	}
	if strings.Contains(ask("GET", "/account?done=passwords_differ", "").Body.String(), "两次输入") {
		t.Error("an address makes the page say what did not happen")
	}

	form := func(again string) string {
		return url.Values{"old": {"old secret"}, "new": {"new secret"}, "again": {again}}.Encode()
	}
	for _, tt := range []struct {
		result     error
		again      string
		status     int
		zh, en     string
		retryAfter string
	}{
		{nil, "another", 400, "两次输入的新密码不一样", "not the same both times", ""},
		{wrong, "new secret", 400, "当前密码不对", "The password now is wrong", ""},
		{invalid, "new secret", 400, "新密码不符合", "not as it has to be", ""},
		{tooOften, "new secret", 429, "尝试次数过多", "Too many attempts", "31"},
		{errors.New("the disk is full"), "new secret", 503, "出错了", "Something failed", ""},
	} {
		result = tt.result
		for language, want := range map[string]string{"zh": tt.zh, "en": tt.en} {
			w := ask("POST", "/account/password?lang="+language, form(tt.again))
			says(w, want)
			if w.Code != tt.status || w.Header().Get("Retry-After") != tt.retryAfter {
				t.Errorf("%v: %d %v", tt.result, w.Code, w.Header())
			}
		}
	}
	result = nil
	if w := ask("POST", "/account/password", form("new secret")); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/account?done=password_changed" {
		t.Errorf("a good one: %d %v", w.Code, w.Header())
	}
	if w := ask("POST", "/account/language", "language=en"); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/account?done=language_changed&lang=en" {
		t.Errorf("language: %d %v", w.Code, w.Header())
	}
	if w := ask("POST", "/account/language", "language=fr"); w.Code != http.StatusBadRequest {
		t.Errorf("no language of ours: %d", w.Code)
	}
	if want := append(slices.Repeat([]string{"old secret to new secret"}, 9), "en"); !slices.Equal(done, want) {
		t.Errorf("done: %q", done)
	}
	if len(audited) != 13 || audited[0] != "POST /account/password the new password is not the same both times" || !slices.Contains(audited, "POST /account/password <nil>") || !slices.Contains(audited, "POST /account/language <nil>") {
		t.Errorf("audited: %q", audited)
	}

	me.Language = "en" // as long as the browser says nothing else
	says(ask("GET", "/account", ""), "My account", `value="en" lang="en" selected`)
	me.Password = false
	says(ask("GET", "/account", ""), "there is no password here")
	me.LoggedIn, done = false, nil
	w := ask("POST", "/account/password", form("new secret"))
	says(w, "You have not logged in as a user")
	if w.Code != http.StatusForbidden || len(done) > 0 {
		t.Errorf("not logged in: %d, done: %q", w.Code, done)
	}
}

// TestOpenIDEntrance comes in by a provider, or not: then the page of the login says why, and
// still knows where one wanted to go.
func TestOpenIDEntrance(t *testing.T) {
	unknown, again, away, tooOften := errors.New("unknown"), errors.New("again"), errors.New("away"), errors.New("too often")
	var result error
	e := &pages.Entrance{
		Local: func(next string) string { return "/" + strings.TrimLeft(next, "/") },
		Wait:  func(err error) (time.Duration, bool) { return 30 * time.Second, errors.Is(err, tooOften) },
		Wrong: func(err error) bool { return errors.Is(err, unknown) },
	}
	ask := func(target string) *httptest.ResponseRecorder {
		t.Helper()
		handlers, err := e.Handlers(first(newPages()))
		if err != nil {
			t.Fatal(err)
		}
		mux := http.NewServeMux()
		for pattern, handler := range handlers {
			mux.Handle(pattern, handler)
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil))
		return w
	}
	if w := ask("/login"); strings.Contains(w.Body.String(), "openid") || ask("/login/openid").Code != http.StatusNotFound {
		t.Errorf("there is a way in by a provider, and no provider: %s", w.Body)
	}
	e.OpenID = &pages.OpenID{
		Begin: func(w http.ResponseWriter, r *http.Request, next string) error {
			if result == nil {
				http.Redirect(w, r, "https://id.example.org/?"+next, http.StatusSeeOther)
			}
			return result
		},
		Finish: func(http.ResponseWriter, *http.Request) (string, error) { return "/c/jiayuan", result },
		Again:  func(err error) bool { return errors.Is(err, again) },
		Away:   func(err error) bool { return errors.Is(err, away) },
	}
	if w := ask("/login?next=/c/jiayuan%3Fmonth%3D2026-10"); !strings.Contains(w.Body.String(), `<a href="/login/openid?next=%2fc%2fjiayuan%3fmonth%3d2026-10">用统一身份登录</a>`) {
		t.Errorf("the button: %s", w.Body)
	}
	if w := ask("/login/openid?next=//evil.example"); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "https://id.example.org/?/evil.example" {
		t.Errorf("begin: %d %v", w.Code, w.Header())
	}
	if w := ask("/login/openid/callback?code=x"); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/c/jiayuan" {
		t.Errorf("finish: %d %v", w.Code, w.Header())
	}
	for _, tt := range []struct {
		err    error
		zh, en string
	}{
		{unknown, "您还不是这里的用户", "you are no user here yet"}, {again, "请重新开始", "begin again"}, {away, "暂时没有响应", "does not answer now"},
		{tooOften, "尝试次数过多", "Too many attempts"}, {errors.New("the disk is full"), "出错了", "Something failed"},
	} {
		result = tt.err
		for _, from := range []string{"/login/openid?next=/c/jiayuan", "/login/openid/callback?code=x"} {
			to := ask(from).Header().Get("Location")
			if zh, en := ask(to).Body.String(), ask(to+"&lang=en").Body.String(); !strings.Contains(zh, tt.zh) || !strings.Contains(en, tt.en) || !strings.Contains(zh, `value="/c/jiayuan"`) {
				t.Errorf("%v: %s, which says\n%s\n%s", tt.err, to, zh, en)
			}
		}
	}
	if w := ask("/login?wrong=administrator"); strings.Contains(w.Body.String(), `role="alert"`) {
		t.Errorf("an address makes the page say anything: %s", w.Body)
	}
}
