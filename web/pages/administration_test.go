package pages_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"greentally/access"
	"greentally/web"
	"greentally/web/pages"
)

// TestUserForm has a user added and changed by all that a form says; what cannot be taken stands in
// it again, but for the password.
func TestUserForm(t *testing.T) {
	fields := url.Values{"name": {"wang"}, "display": {" 王芳 "}, "administrator": {"yes"}, "manager": {"jiayuan", "gone"}, "assessor": {"quiet"}, "email": {"wang@example.org"}, "subject": {"s-2"}, "language": {"zh"},
		"disabled": {"yes"}, "password": {"a long s3cret"}, "again": {"a long s3cret"}, "revision": {"7"}}
	want := access.User{Name: "wang", Display: "王芳", Email: "wang@example.org", Subject: "s-2", Language: "zh", Disabled: true, Bindings: []access.Binding{
		{Role: access.RoleAdministrator}, {Role: access.RoleManager, Communities: []string{"jiayuan", "gone"}}, {Role: access.RoleAssessor, Communities: []string{"quiet"}}}}
	p, b := newPages()
	post(t, handlerOf(t, p), "/users", fields)
	if !reflect.DeepEqual(b.user, want) {
		t.Errorf("added %+v, want %+v", b.user, want)
	}
	const li = "李.li+1@x"
	post(t, handlerOf(t, p), "/users/"+url.PathEscape(li), fields)
	if want.Name, want.Revision = li, 7; !reflect.DeepEqual(b.user, want) {
		t.Errorf("changed %+v, want %+v", b.user, want)
	}
	post(t, handlerOf(t, p), "/users/"+url.PathEscape(li), url.Values{"revision": {"7"}})
	if !reflect.DeepEqual(b.user, access.User{Name: li, Revision: 7, Bindings: []access.Binding{}}) {
		t.Errorf("with nothing left: %+v", b.user)
	}

	for _, tt := range []struct {
		err   error
		path  string
		says  []string
		never string
	}{
		{access.ErrInvalid, "/users", []string{"填写有误", `value=" 王芳 "`, `name="manager" value="jiayuan" checked`, `value="zh" lang="zh-CN" selected`}, "s3cret"},
		{access.ErrLast, "/users/root", []string{"至少要有一位能登录的管理员", `value=" 王芳 "`, `name="disabled" value="yes" checked`, `name="revision" value="7"`}, "s3cret"},
		{access.ErrChanged, "/users/root", []string{"别人刚改过", `name="revision" value="1"`, `value=" 王芳 "`, "现在的内容"}, "s3cret"},
		{access.ErrLast, "/users/root/remove", []string{"至少要有一位能登录的管理员", `name="administrator" value="yes" checked`}, "王芳"},
		{access.ErrInvalid, "/users/root/password", []string{"填写有误", `name="administrator" value="yes" checked`}, "王芳"},
	} {
		p, b := newPages()
		b.err = fmt.Errorf("%w: %w", web.ErrConflict, tt.err)
		w := post(t, handlerOf(t, p), tt.path, fields)
		for _, text := range tt.says {
			if w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), text) {
				t.Errorf("%s, %v: %d lacks %q\n%s", tt.path, tt.err, w.Code, text, w.Body)
			}
		}
		if strings.Contains(w.Body.String(), tt.never) || strings.Contains(w.Body.String(), "s3cret") {
			t.Errorf("%s, %v: has %q, or the password\n%s", tt.path, tt.err, tt.never, w.Body)
		}
	}
}

// TestNobodyShutsHimselfOut has who asks change, disable, demote and remove himself: but for the
// first, nothing is done.
func TestNobodyShutsHimselfOut(t *testing.T) {
	for _, tt := range []struct {
		path   string
		fields url.Values
		says   string // empty if it is done
	}{
		{"/users/root", url.Values{"revision": {"1"}, "display": {"W"}, "administrator": {"yes"}}, ""},
		{"/users/root", url.Values{"revision": {"1"}, "display": {"W"}}, "不能停用、删除自己"},
		{"/users/root", url.Values{"revision": {"1"}, "administrator": {"yes"}, "disabled": {"yes"}}, "不能停用、删除自己"},
		{"/users/root/remove", url.Values{"revision": {"1"}}, "不能停用、删除自己"},
		{"/users/root/password", url.Values{"password": {"a long password"}, "again": {"a long password"}}, "我的账户"},
	} {
		p, b := newPages()
		p.Account.Me = func(context.Context) pages.Me { return pages.Me{Name: "root"} }
		w := post(t, handlerOf(t, p), tt.path, tt.fields)
		if done := tt.says == ""; done != (w.Code == http.StatusSeeOther) || done != (len(b.done) == 1) || !done && (w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), tt.says)) {
			t.Errorf("%s %v: %d, did %q\n%s", tt.path, tt.fields, w.Code, b.done, w.Body)
		}
	}
}

// TestNoProvider has no way in but a password.
func TestNoProvider(t *testing.T) {
	p, b := newPages()
	p.Access.Provider = false
	fields := url.Values{"name": {"wang"}, "administrator": {"yes"}, "email": {"wang@example.org"}}
	if w := post(t, handlerOf(t, p), "/users", fields); w.Code != http.StatusBadRequest || len(b.done) > 0 || !strings.Contains(w.Body.String(), "请填写密码") {
		t.Errorf("%d, did %q\n%s", w.Code, b.done, w.Body)
	}
}

// TestTokenIsShownOnce makes a token of a screen: the answer has it, and its address as the browser
// knows this server. Nothing else does.
func TestTokenIsShownOnce(t *testing.T) {
	p, b := newPages()
	handler := handlerOf(t, p)
	ask := func(method string, secure bool, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), method, "/tokens", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		p.Secure = func(*http.Request) bool { return secure }
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	for _, tt := range []struct {
		secure        bool
		role, address string
	}{
		{false, "screen", "<code>http://example.com/screen?token=greentally_s3cret</code>"}, {true, "screen", "<code>https://example.com/screen?token=greentally_s3cret</code>"}, {false, "monitor", ""},
	} {
		w := ask(http.MethodPost, tt.secure, "name=lobby&community=jiayuan&role="+tt.role)
		if body := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(body, "<code>greentally_s3cret</code>") || !strings.Contains(body, tt.address) || strings.Contains(body, "screen?") != (tt.address != "") || strings.Contains(body, `value="lobby"`) || len(w.Header()["Location"]) > 0 {
			t.Errorf("%s: %d %v\n%s", tt.role, w.Code, w.Header(), body)
		}
	}
	b.err = fmt.Errorf("%w: %w", web.ErrConflict, access.ErrThere)
	again := ask(http.MethodPost, false, "name=lobby&community=jiayuan&role=screen")
	for _, text := range []string{"已有这个名称", `value="lobby"`, `name="community" value="jiayuan" checked`, `<option value="screen" selected>`} {
		if !strings.Contains(again.Body.String(), text) {
			t.Errorf("a second time: lacks %q\n%s", text, again.Body)
		}
	}
	if strings.Contains(again.Body.String()+ask(http.MethodGet, false, "").Body.String()+strings.Join(b.audited, ""), "s3cret") {
		t.Error("the secret is told again")
	}
}

// TestAuditDetailsHaveWords finds a word for every name that a detail of an entry can have.
func TestAuditDetailsHaveWords(t *testing.T) {
	p, _ := newPages()
	for _, name := range append(web.Named(), "by", "why", "left_out_before") {
		p.Access.Entries = func(*http.Request) ([]access.Entry, error) {
			return []access.Entry{{Action: "login", What: map[string]string{name: "x y"}}}, nil
		}
		w := httptest.NewRecorder()
		handlerOf(t, p).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/audit", nil))
		if !strings.Contains(w.Body.String(), `<span class="long">x y</span>`) || strings.Contains(w.Body.String(), "<small>"+name+"<") {
			t.Errorf("there is no word for %s", name)
		}
	}
	p.Access.Entries = func(*http.Request) ([]access.Entry, error) {
		return []access.Entry{{Action: "login", What: map[string]string{"by": "old password", "why": "too often"}}}, nil
	}
	w := httptest.NewRecorder()
	handlerOf(t, p).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/audit", nil))
	for _, text := range []string{"原密码", "尝试过多"} {
		if !strings.Contains(w.Body.String(), text) {
			t.Errorf("lacks %s\n%s", text, w.Body)
		}
	}
}

// TestAuditHasWords finds a word for everything that the API and the pages can be asked to do.
func TestAuditHasWords(t *testing.T) {
	description, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	actions := []string{"login", "logout"}
	for _, path := range regexp.MustCompile(`(?m)^  (/\S+):\n(?:    get:\n(?:     .*\n)+)?    post:`).FindAllStringSubmatch(string(description), -1) {
		actions = append(actions, "POST "+path[1])
	}
	p, _ := newPages()
	all, _, err := p.Handlers()
	if err != nil {
		t.Fatal(err)
	}
	for pattern := range all {
		if strings.HasPrefix(pattern, "POST ") {
			actions = append(actions, pattern)
		}
	}
	if len(actions) < 30 {
		t.Errorf("only %q", actions)
	}
	for _, action := range actions {
		p.Access.Entries = func(*http.Request) ([]access.Entry, error) { return []access.Entry{{Action: action}}, nil }
		w := httptest.NewRecorder()
		handlerOf(t, p).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/audit", nil))
		if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "<code>") {
			t.Errorf("there is no word for %s", action)
		}
	}
}
