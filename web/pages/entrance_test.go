package pages_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"greentally/web/pages"
)

// TestEntrance logs in and out: what was wrong is said, and what was asked for comes after.
func TestEntrance(t *testing.T) {
	tooOften, wrong := errors.New("too often"), errors.New("wrong")
	var results []error
	e := &pages.Entrance{
		LogIn: func(_ http.ResponseWriter, _ *http.Request, name, password string) error {
			if name != "li" || password != "a long password" {
				return wrong
			}
			err := results[0]
			results = results[1:]
			return err
		},
		LogOut: func(http.ResponseWriter, *http.Request) error { return nil },
		Local:  func(next string) string { return "/" + strings.TrimLeft(next, "/") },
		Wait:   func(err error) (time.Duration, bool) { return 30 * time.Second, errors.Is(err, tooOften) },
		Wrong:  func(err error) bool { return errors.Is(err, wrong) },
	}
	handlers, err := e.Handlers(first(newPages()))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(pattern, target, body string) *httptest.ResponseRecorder {
		method, _, _ := strings.Cut(pattern, " ")
		r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		handlers[pattern].ServeHTTP(w, r)
		return w
	}
	if w := ask("GET /login", "/login?next=/c/jiayuan", ""); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `value="/c/jiayuan"`) {
		t.Errorf("the page: %d %s", w.Code, w.Body)
	}
	results = []error{nil, tooOften, errors.New("the disk is full")}
	for _, tt := range []struct {
		form   string
		status int
		want   string
	}{
		{"name=li&password=a+long+password&next=/c/jiayuan", 303, ""}, {"name=li&password=a+long+password", 429, "尝试次数过多"}, {"name=li&password=a+long+password", 503, "出错了"},
		{"name=li&password=x", 401, "用户名或密码不对"}, {"name=%3Cb%3E&password=x", 401, `value="&lt;b&gt;"`},
	} {
		w := ask("POST /login", "/login", tt.form)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) || tt.status == 303 && w.Header().Get("Location") != "/c/jiayuan" || tt.status == 429 && w.Header().Get("Retry-After") != "31" {
			t.Errorf("%s: %d %v\n%s", tt.form, w.Code, w.Header(), w.Body)
		}
		if strings.Contains(w.Body.String(), "long password") {
			t.Errorf("%s: the page has the password", tt.form)
		}
	}
	if w := ask("POST /logout", "/logout", ""); w.Code != 303 || w.Header().Get("Location") != "/login" {
		t.Errorf("out: %d %v", w.Code, w.Header())
	}
	if w := ask("GET /static/", "/static/pages.css", ""); w.Code != http.StatusOK || !strings.Contains(w.Header().Get("Content-Type"), "text/css") {
		t.Errorf("the style sheet: %d %s", w.Code, w.Header())
	}
}
