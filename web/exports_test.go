package web_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"greentally"
	"greentally/web"
)

// exports hands in what the backend is asked.
func (b *backend) exports() web.Exports {
	one := read[greentally.Application](applicationFixture)
	return web.Exports{
		File: func(_ context.Context, community string, month greentally.Month, format, language string) (web.File, error) {
			return web.File{Name: "嘉苑.pdf", MediaType: "application/pdf", Data: []byte("%PDF")}, b.ask("export %s %s %s %s", community, month, format, language)
		},
		Kept: func(_ context.Context, community string) ([]greentally.KeptExport, error) {
			return []greentally.KeptExport{read[greentally.KeptExport](keptFixture)}, b.ask("kept %s", community)
		},
		Bundle: func(_ context.Context, name string) (web.File, error) {
			return web.File{Name: "a.zip", MediaType: "application/zip", Data: []byte("PK"), Community: "jiayuan"}, b.ask("bundle %s", name)
		},
		Applications: func(_ context.Context, community string) ([]greentally.Application, error) {
			return []greentally.Application{one}, b.ask("applications %s", community)
		},
		Application: func(_ context.Context, id string) (greentally.Application, error) {
			return one, b.ask("application %s", id)
		},
		Revisions: func(_ context.Context, a greentally.Application) ([]greentally.Revision, error) {
			return []greentally.Revision{read[greentally.Revision](revisionFixture)}, b.ask("revisions %s", a.ID)
		},
		Step: func(_ context.Context, id string, s greentally.Step) (greentally.Application, error) {
			return one, b.ask("step %q to %s by %s", id, s.To, s.By)
		},
		Rollup: func(_ context.Context, may func(string) bool, on greentally.Date) (greentally.Rollup, error) {
			if !may("jiayuan") {
				return read[greentally.Rollup](emptyRollup), nil
			}
			return read[greentally.Rollup](rollupFixture), b.ask("rollup %s", on)
		},
		Key: func() string { return "RWS" },
	}
}

// exportRoutes are those of exports and applications.
func exportRoutes() []route {
	return []route{
		{pattern: "GET /api/v1/communities/{community}/exports", path: "/api/v1/communities/jiayuan/exports", asked: "kept jiayuan", want: "[" + keptFixture + "]"},
		{
			pattern: "GET /api/v1/communities/{community}/exports/{month}", path: "/api/v1/communities/jiayuan/exports/2026-10?format=pdf&lang=en",
			asked: "export jiayuan 2026-10 pdf en", wantRaw: "%PDF",
		},
		{pattern: "GET /api/v1/bundles/{sha256}", path: "/api/v1/bundles/" + hash, asked: "bundle " + hash, wantRaw: "PK"},
		{pattern: "GET /api/v1/applications", path: "/api/v1/applications?community=jiayuan", asked: "applications jiayuan", want: "[" + applicationFixture + "]"},
		{pattern: "GET /api/v1/applications/{id}", path: "/api/v1/applications/A1", asked: "application A1; revisions A1", want: with(applicationFixture, "revisions", "["+revisionFixture+"]")},
		{pattern: "POST /api/v1/applications", path: "/api/v1/applications", body: `{"to": "draft", "by": "Li", "community": "jiayuan"}`, asked: `step "" to draft by Li`, want: applicationFixture},
		{pattern: "POST /api/v1/applications/{id}/steps", path: "/api/v1/applications/A1/steps", body: `{"to": "surveyed", "by": "Li"}`, asked: `application A1; step "A1" to surveyed by Li`, want: applicationFixture},
		{pattern: "GET /api/v1/rollup", path: "/api/v1/rollup?on=2026-12-31", asked: "rollup 2026-12-31", want: rollupFixture},
		{pattern: "GET /api/v1/key", path: "/api/v1/key", want: `{"key": "RWS"}`},
	}
}

func TestExportIsAFile(t *testing.T) {
	s, _ := newServer()
	w := answer(t, s, request(t, http.MethodGet, "/api/v1/communities/jiayuan/exports/2026-10", ""))
	for name, want := range map[string]string{"Content-Type": "application/pdf", "Content-Length": "4", "Content-Disposition": "filename*=UTF-8''%E5%98%89%E8%8B%91.pdf"} {
		if got := w.Header().Get(name); !strings.Contains(got, want) {
			t.Errorf("%s is %q, want %s", name, got, want)
		}
	}
}

// TestEverythingTogether serves pages, the way in, what is mounted and administration beside the API.
func TestEverythingTogether(t *testing.T) {
	says := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) })
	}
	for _, administrator := range []bool{true, false} {
		s, b := newServer()
		s.Pages = map[string]http.Handler{"GET /{$}": says("page"), "GET /c/{community}": says("page")}
		s.Open, s.Mounted = map[string]http.Handler{"GET /login": says("in")}, map[string]http.Handler{"/alertmanager": says("mounted"), "/none": nil}
		s.Administration = map[string]func(*http.Request) (any, error){
			"GET /api/v1/users": func(*http.Request) (any, error) { return "users", nil }, "POST /api/v1/users": func(*http.Request) (any, error) { return "added", nil },
		}
		s.May = func(_ context.Context, a web.Action, _ string) bool { return a != web.Administer || administrator }
		refused := map[bool]int{true: 200, false: 403}[administrator]
		for _, tt := range []struct {
			method, path string
			status       int
			want         string
		}{
			{"GET", "/", 200, "page"}, {"GET", "/c/jiayuan", 200, "page"}, {"GET", "/login", 200, "in"}, {"GET", "/elsewhere", 404, ""},
			{"GET", "/alertmanager/api/v2/alerts", refused, "mounted"}, {"POST", "/alertmanager/api/v2/silences", refused, "mounted"},
			{"GET", "/api/v1/users", refused, `"users"`}, {"POST", "/api/v1/users", refused, `"added"`},
		} {
			if w := serve(s, request(t, tt.method, tt.path, "{}")); w.Code != tt.status || w.Code == 200 && !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("administrator %v, %s %s: %d %s", administrator, tt.method, tt.path, w.Code, w.Body)
			}
		}
		if want := fmt.Sprintf("POST /alertmanager/api/v2/silences  %v", administrator); !slices.Contains(b.audited, want) || slices.ContainsFunc(b.audited, func(a string) bool { return strings.HasPrefix(a, "GET ") }) {
			t.Errorf("audited %q, want %q", b.audited, want)
		}
	}
}

func TestBadExports(t *testing.T) {
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"no month", "GET", "/api/v1/communities/jiayuan/exports/October", "", 400, "month: "},
		{"no community", "GET", "/api/v1/communities/nobody/exports/2026-10", "", 404, "nobody"},
		{"nobody's exports", "GET", "/api/v1/communities/nobody/exports", "", 404, "nobody"},
		{"no day", "GET", "/api/v1/rollup?on=today", "", 400, "on: "},
		{"an unknown field", "POST", "/api/v1/applications", `{"stage": "named"}`, 400, "unknown field"},
		{"a bundle of one's own", "POST", "/api/v1/applications/A1/steps", `{"to": "submitted", "by": "Li", "submission": {"bundle": "x"}}`, 400, "not for you to say"},
		{"an account of one's own", "POST", "/api/v1/applications/A1/steps", `{"to": "surveyed", "by": "Li", "account": "wang"}`, 400, "not for you to say"},
		{"a time of one's own", "POST", "/api/v1/applications/A1/steps", `{"to": "surveyed", "by": "Li", "recorded": "2020-01-01T00:00:00Z"}`, 400, "not for you to say"},
	} {
		s, b := newServer()
		w := answer(t, s, request(t, tt.method, tt.path, tt.body))
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) || len(b.asked) > 0 {
			t.Errorf("%s: %d %s, asked %q", tt.name, w.Code, w.Body, b.asked)
		}
	}
}

// TestWhoTakesWhichStep has managers, assessors and administrators take every step: what is the
// authority's is not for managers, and what is the community's not for assessors.
func TestWhoTakesWhichStep(t *testing.T) {
	roles := map[string][]web.Action{"manager": {web.Read, web.Write}, "assessor": {web.Read, web.Judge}, "administrator": {web.Read, web.Write, web.Judge}, "stranger": nil}
	first := map[string][]string{"draft": {"manager", "administrator"}, "named": {"assessor", "administrator"}}
	next := map[string][]string{
		"submitted": {"manager", "administrator"}, "withdrawn": {"manager", "administrator"}, "draft": {"assessor", "administrator"}, "surveyed": {"assessor", "administrator"},
		"accepted": {"assessor", "administrator"}, "named": {"assessor", "administrator"}, "rejected": {"assessor", "administrator"}, "revoked": {"assessor", "administrator"},
		"gone": {"assessor", "administrator"}, // what nobody knows is refused by whoever takes it
	}
	for role, actions := range roles {
		for path, steps := range map[string]map[string][]string{"/api/v1/applications": first, "/api/v1/applications/A1/steps": next} {
			for to, who := range steps {
				t.Run(role+" "+path+" "+to, func(t *testing.T) {
					s, b := newServer()
					s.May = func(_ context.Context, a web.Action, community string) bool {
						return community == "jiayuan" && slices.Contains(actions, a)
					}
					body := `{"to": "` + to + `", "by": "City bureau", "level": "national"}`
					if path == "/api/v1/applications" {
						body = `{"to": "` + to + `", "by": "City bureau", "level": "national", "community": "jiayuan"}`
					}
					w := serve(s, request(t, http.MethodPost, path, body))
					want := http.StatusForbidden
					switch {
					case role == "stranger":
						want = http.StatusNotFound
					case slices.Contains(who, role):
						want = http.StatusOK
					}
					taken := slices.ContainsFunc(b.asked, func(asked string) bool { return strings.HasPrefix(asked, "step ") })
					if w.Code != want || taken != (want == http.StatusOK) {
						t.Errorf("%d %s, asked %q; want %d", w.Code, w.Body, b.asked, want)
					}
				})
			}
		}
	}
}
