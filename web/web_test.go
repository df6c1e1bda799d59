package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"math"
	"mime"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"greentally"
	"greentally/internal/health"
	"greentally/web"
)

var (
	noon = time.Date(2026, 10, 8, 4, 0, 0, 0, time.UTC)
	bin  = new(read[greentally.Device](binFixture))
	box  = &greentally.Device{Community: "jiayuan", ID: "box-1", Kind: "battery_box", Profile: "native", Site: "e1", Interval: greentally.Duration(10 * time.Minute)}
)

// backend is what is behind the server in these tests. It keeps what it was asked, and
// fails with err if that is set.
type backend struct {
	err      error
	troubles []health.Trouble
	asked    []string
	audited  []string
	who      string
	record   greentally.Record
	device   greentally.Device
}

func (b *backend) ask(format string, args ...any) error {
	b.asked = append(b.asked, fmt.Sprintf(format, args...))
	return b.err
}

func newServer() (*web.Server, *backend) {
	b := &backend{}
	return &web.Server{
		Identify: func(next http.Handler) http.Handler { return next },
		May:      func(context.Context, web.Action, string) bool { return true },
		NoPage:   http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "a page", http.StatusNotFound) }),
		Audit: func(_ *http.Request, action, community string, err error) {
			b.audited = append(b.audited, fmt.Sprintf("%s %s %v", action, community, err == nil))
		},
		Communities: func() []*greentally.Community {
			return []*greentally.Community{{
				ID: "jiayuan", Name: greentally.Text{ZH: "嘉苑", EN: "Jiayuan"}, TimeZone: "Asia/Shanghai", Households: 3100, Population: 8000,
				Sites: []greentally.Site{
					{ID: "e1", Type: "estate"},
					{ID: "g1", Name: greentally.Text{EN: "Gate"}, Type: "gate", In: "e1", Open: []greentally.OpenHours{{From: 6 * time.Hour, To: 8*time.Hour + 30*time.Minute}}},
				}, Devices: []*greentally.Device{bin, box},
			}, {ID: "empty", Name: greentally.Text{EN: "Empty"}, TimeZone: "UTC", Households: 1}}
		},
		Latest: func(key greentally.DeviceKey) (greentally.Reading, bool) {
			return read[greentally.Reading](readingFixture), key == bin.Key()
		},
		Indicators: func(_ context.Context, community string, month greentally.Month) ([]greentally.IndicatorValue, error) {
			if err := b.ask("indicators %s %s", community, month); err != nil || community == "empty" {
				return nil, err
			}
			return []greentally.IndicatorValue{read[greentally.IndicatorValue](indicatorFixture)}, nil
		},
		DeviceDays: func(_ context.Context, q greentally.DeviceDayQuery) ([]greentally.DeviceDay, error) {
			if err := b.ask("days %s %s %s %s", q.Community, q.Device, q.From, q.To); err != nil || q.Device != bin.ID {
				return nil, err
			}
			return []greentally.DeviceDay{read[greentally.DeviceDay](dayFixture)}, nil
		},
		Readings: func(_ context.Context, key greentally.DeviceKey, from, to time.Time, limit int) ([]greentally.Reading, error) {
			if err := b.ask("readings %s %v %v %d", key, from, to, limit); err != nil || key != bin.Key() {
				return nil, err
			}
			return []greentally.Reading{read[greentally.Reading](readingFixture)}, nil
		},
		Records: func(_ context.Context, community string, from, to greentally.Date) ([]greentally.Record, error) {
			if err := b.ask("records %s %s %s", community, from, to); err != nil || community == "empty" {
				return nil, err
			}
			return []greentally.Record{read[greentally.Record](recordFixture)}, nil
		},
		Alerts: func() []greentally.Alert {
			a := read[greentally.Alert](alertFixture)
			ended := a
			ended.Ended = &noon
			return []greentally.Alert{a, ended}
		},
		AlertsOf: func(_ context.Context, community string, month greentally.Month) ([]greentally.Alert, error) {
			return []greentally.Alert{read[greentally.Alert](with(alertFixture, "ended", `"2026-10-08T05:00:00Z"`))}, b.ask("alerts %s %s", community, month)
		},
		Record: func(_ context.Context, community, id string) (greentally.Record, error) {
			return greentally.Record{ID: id, Community: community, Type: "survey", Date: greentally.DateOf(noon, time.UTC), Withdraws: true}, b.ask("record %s %s", community, id)
		},
		AddRecord: func(_ context.Context, r greentally.Record) (greentally.Record, error) {
			b.record = r
			r.ID = "R2"
			return r, b.ask("add record")
		},
		CheckRecord: func(_ context.Context, r greentally.Record) (greentally.Record, error) {
			return r, b.ask("check record")
		},
		AddAttachment: func(_ context.Context, community, name string, content []byte) (greentally.Attachment, error) {
			return greentally.Attachment{Name: name, MediaType: "image/jpeg", Size: int64(len(content)), SHA256: hash}, b.ask("attach %s %q", community, name)
		},
		Attachment: func(_ context.Context, community, sha256 string) (greentally.Attachment, []byte, error) {
			return greentally.Attachment{Name: "照片 1.jpg", MediaType: "image/jpeg", SHA256: sha256}, []byte("photo"), b.ask("attachment %s %s", community, sha256)
		},
		DeadLetters: func(_ context.Context, after uint64, limit int) ([]greentally.DeadLetter, error) {
			return []greentally.DeadLetter{read[greentally.DeadLetter](deadLetterFixture)}, b.ask("dead letters %d %d", after, limit)
		},
		ReplayDeadLetter: func(_ context.Context, id uint64) error { return b.ask("replay %d", id) },
		DeleteDeadLetter: func(_ context.Context, id uint64) error { return b.ask("delete %d", id) },
		Discovered: func(_ context.Context, q web.DiscoveredQuery) ([]greentally.Discovered, int, error) {
			return []greentally.Discovered{read[greentally.Discovered](discoveredFixture)}, 2417, b.ask("discovered %+v", q)
		},
		Adopt: func(_ context.Context, d greentally.Device) error {
			b.device = d
			return b.ask("adopt")
		},
		Exports: b.exports(),
		Silences: web.Silences{
			List: func(_ context.Context, community string) ([]greentally.Silence, error) {
				return []greentally.Silence{silenceFixture(community)}, b.ask("silences %s", community)
			},
			Add: func(_ context.Context, s greentally.Silence) (greentally.Silence, error) {
				s.ID = "S1"
				return s, b.ask("silence %s %s%s for %v: %s", s.Community, s.Rule, s.Device, s.Until.Sub(s.Since), s.Why)
			},
			End: func(_ context.Context, community, id string) error { return b.ask("end silence %s %s", community, id) },
			Now: func() time.Time { return noon },
			Who: func(context.Context) string { return b.who },
		},
		Status:   func(context.Context) (any, error) { return json.RawMessage(statusFixture), b.ask("status") },
		Ready:    func(context.Context) error { return b.err },
		Troubles: func() []health.Trouble { return b.troubles },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintln(w, "greentally_up 1")
		}),
		Log: slog.New(slog.DiscardHandler),
	}, b
}

// request is a request as a program on this machine sends it.
func request(t *testing.T, method, path, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Host = "127.0.0.1:8080"
	switch {
	case method == http.MethodPost && strings.Contains(path, "/attachments"):
		r.Header.Set("Content-Type", "application/octet-stream")
	case method == http.MethodPost:
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func serve(s *web.Server, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

// answer serves a request, and fails the test if it or its answer is not as openapi.yaml says.
func answer(t *testing.T, s *web.Server, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	sent, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(sent))
	w := serve(s, r)
	if err := described(t).Check(r, sent, w.Result(), w.Body.Bytes()); err != nil {
		t.Error(err)
	}
	return w
}

// A range of one day, or of no time at all, is one that can be asked for.
func TestShortRanges(t *testing.T) {
	s, b := newServer()
	for _, path := range []string{
		"/api/v1/communities/jiayuan/devices/bin-1/days?from=2026-10-08&to=2026-10-08",
		"/api/v1/communities/jiayuan/records?from=2026-10-08&to=2026-10-08",
		"/api/v1/communities/jiayuan/devices/bin-1/readings?from=2026-10-08T00:00:00Z&to=2026-10-08T08:00:00%2B08:00",
	} {
		if w := answer(t, s, request(t, http.MethodGet, path, "")); w.Code != http.StatusOK {
			t.Errorf("%s: status %d, %s", path, w.Code, w.Body)
		}
	}
	if len(b.asked) != 3 {
		t.Errorf("asked %q", b.asked)
	}
}

// reason returns the reason in the answer to a request that failed.
func reason(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var refusal struct{ Error string }
	if err := json.Unmarshal(w.Body.Bytes(), &refusal); err != nil {
		t.Errorf("answer %q is not JSON with an error: %v", w.Body, err)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type of an error is %q", got)
	}
	return refusal.Error
}

const (
	recordBody = `{"type": "survey", "date": "2026-10-08", "by": "Li Na", "values": {"satisfied_ratio": 0.9}}`
	deviceBody = `{"id": "bin-9", "kind": "sorting_bin", "site": "e1", "stream": "food", "interval": "15m"}`
)

// route is a route of the server, with a request that it answers.
type route struct {
	pattern string
	open    bool // answers without a token
	path    string
	body    string
	asked   string // what is asked of the backend
	want    string // the answer; JSON
	wantRaw string // the answer; not JSON
}

// routes are all of them. TestRoutesAreAllTested keeps the list whole.
var routes = append(exportRoutes(), []route{
	{pattern: "GET /healthz", open: true, path: "/healthz", wantRaw: "ok\n"},
	{pattern: "GET /readyz", open: true, path: "/readyz", wantRaw: "ok\n"},
	{pattern: "GET /metrics", path: "/metrics", wantRaw: "greentally_up 1\n"},
	{pattern: "GET /api/v1/openapi.yaml", path: "/api/v1/openapi.yaml", wantRaw: openAPI},
	{pattern: "GET /api/v1/status", path: "/api/v1/status", asked: "status", want: statusFixture},
	{
		pattern: "GET /api/v1/communities", path: "/api/v1/communities",
		want: `[{"community": "jiayuan", "name": {"zh": "嘉苑", "en": "Jiayuan"}, "time_zone": "Asia/Shanghai", "households": 3100, "population": 8000,
			"sites": [{"id": "e1", "type": "estate"}, {"id": "g1", "name": {"zh": "", "en": "Gate"}, "type": "gate", "in": "e1", "open": ["06:00-08:30"]}], "devices": 2},
			{"community": "empty", "name": {"zh": "", "en": "Empty"}, "time_zone": "UTC", "households": 1, "sites": [], "devices": 0}]`,
	},
	{
		pattern: "GET /api/v1/communities/{community}/devices", path: "/api/v1/communities/jiayuan/devices",
		want: "[" + with(binFixture, "latest", readingFixture) + `,
			{"community": "jiayuan", "id": "box-1", "kind": "battery_box", "profile": "native", "site": "e1", "interval": "10m0s", "latest": null}]`,
	},
	{
		pattern: "GET /api/v1/communities/{community}/indicators", path: "/api/v1/communities/jiayuan/indicators?month=2026-10",
		asked: "indicators jiayuan 2026-10",
		want:  "[" + indicatorFixture + "]",
	},
	{
		pattern: "GET /api/v1/communities/{community}/devices/{device}/days",
		path:    "/api/v1/communities/jiayuan/devices/bin-1/days?from=2026-10-01&to=2026-10-31",
		asked:   "days jiayuan bin-1 2026-10-01 2026-10-31",
		want:    "[" + dayFixture + "]",
	},
	{
		pattern: "GET /api/v1/communities/{community}/devices/{device}/readings",
		path:    "/api/v1/communities/jiayuan/devices/bin-1/readings?from=2026-10-08T12:00:00%2B08:00&to=2026-10-09T00:00:00Z",
		asked:   "readings jiayuan/bin-1 2026-10-08 04:00:00 +0000 UTC 2026-10-09 00:00:00 +0000 UTC 10000",
		want:    "[" + readingFixture + "]",
	},
	{
		pattern: "GET /api/v1/communities/{community}/records", path: "/api/v1/communities/jiayuan/records?from=2026-10-01&to=2026-10-31",
		asked: "records jiayuan 2026-10-01 2026-10-31",
		want:  "[" + recordFixture + "]",
	},
	{
		pattern: "POST /api/v1/communities/{community}/records", path: "/api/v1/communities/jiayuan/records", body: recordBody,
		asked: "add record",
		want: `{"id": "R2", "community": "jiayuan", "type": "survey", "date": "2026-10-08", "values": {"satisfied_ratio": 0.9}, "by": "Li Na",
			"recorded": "0001-01-01T00:00:00Z"}`,
	},
	{
		pattern: "GET /api/v1/communities/{community}/records/{id}", path: "/api/v1/communities/jiayuan/records/R7", asked: "record jiayuan R7",
		want: `{"id": "R7", "community": "jiayuan", "type": "survey", "date": "2026-10-08", "values": null, "by": "",
			"recorded": "0001-01-01T00:00:00Z", "withdraws": true}`,
	},
	{
		pattern: "POST /api/v1/communities/{community}/attachments", path: "/api/v1/communities/jiayuan/attachments?name=%E7%85%A7.jpg", body: "photo",
		asked: `attach jiayuan "照.jpg"`, want: `{"name": "照.jpg", "media_type": "image/jpeg", "size": 5, "sha256": "` + hash + `"}`,
	},
	{
		pattern: "GET /api/v1/communities/{community}/attachments/{sha256}", path: "/api/v1/communities/jiayuan/attachments/" + hash,
		asked: "attachment jiayuan " + hash, wantRaw: "photo",
	},
	{pattern: "GET /api/v1/deadletters", path: "/api/v1/deadletters?after=7&limit=3", asked: "dead letters 7 3", want: "[" + deadLetterFixture + "]"},
	{pattern: "POST /api/v1/deadletters/{id}/replay", path: "/api/v1/deadletters/7/replay", body: "{}", asked: "replay 7", want: `{"id": 7}`},
	{pattern: "POST /api/v1/deadletters/{id}/delete", path: "/api/v1/deadletters/7/delete", body: "{}", asked: "delete 7", want: `{"id": 7}`},
	{pattern: "GET /api/v1/alerts", path: "/api/v1/alerts", want: "[" + alertFixture + "]"},
	{pattern: "GET /api/v1/communities/{community}/alerts", path: "/api/v1/communities/jiayuan/alerts?month=2026-10", asked: "alerts jiayuan 2026-10", want: "[" + with(alertFixture, "ended", `"2026-10-08T05:00:00Z"`) + "]"},
	{
		pattern: "GET /api/v1/communities/{community}/silences", path: "/api/v1/communities/jiayuan/silences", asked: "silences jiayuan",
		want: `[{"id": "S1", "community": "jiayuan", "rule": "full", "device": "bin-1", "indicator": "rate", "further": ["severity=\"info\""], "acknowledges": true,
			"since": "2026-10-08T04:00:00Z", "until": "2026-10-08T05:00:00Z", "by": "li", "why": "a drill"}]`,
	},
	{
		pattern: "POST /api/v1/communities/{community}/silences", path: "/api/v1/communities/jiayuan/silences", body: `{"device": "bin-1", "for": "2h", "by": "li", "why": "replaced"}`,
		asked: "silence jiayuan bin-1 for 2h0m0s: replaced",
		want:  `{"id": "S1", "community": "jiayuan", "device": "bin-1", "since": "2026-10-08T04:00:00Z", "until": "2026-10-08T06:00:00Z", "by": "li", "why": "replaced"}`,
	},
	{pattern: "POST /api/v1/communities/{community}/silences/{id}/end", path: "/api/v1/communities/jiayuan/silences/S1/end", body: "{}", asked: "end silence jiayuan S1", want: `{"id": "S1"}`},
	{pattern: "GET /api/v1/discovered", path: "/api/v1/discovered?community=jiayuan&device=bin-7&after=jiayuan%2Fbin-6&limit=20", asked: "discovered {Community:jiayuan Device:bin-7 After:jiayuan/bin-6 Limit:20}", want: "[" + discoveredFixture + "]"},
	{
		pattern: "POST /api/v1/communities/{community}/devices", path: "/api/v1/communities/jiayuan/devices", body: deviceBody, asked: "adopt",
		want: `{"community": "jiayuan", "id": "bin-9", "kind": "sorting_bin", "profile": "", "site": "e1", "stream": "food", "interval": "15m0s"}`,
	},
}...)

func method(pattern string) string {
	m, _, _ := strings.Cut(pattern, " ")
	return m
}

// The routes in the source are those of the tests, so that a new one cannot stay
// without a test, nor without a token by accident.
func TestRoutesAreAllTested(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 2 {
				return true
			}
			literal, ok := call.Args[0].(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			path, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			callee := ""
			switch f := call.Fun.(type) {
			case *ast.Ident: // get or post, or file, which is got
				callee = strings.ToUpper(strings.Replace(f.Name, "file", "get", 1)) + " "
			case *ast.SelectorExpr:
				callee = f.Sel.Name
			}
			switch {
			case callee == "Handle" && path == "/": // all that is not open
			case callee == "Handle" || callee == "HandleFunc":
				found[path] = true
			case strings.HasPrefix(path, "/"):
				found[callee+path] = true
			}
			return true
		})
	}
	tested := map[string]bool{}
	for _, route := range routes {
		tested[route.pattern] = true
	}
	if got, want := slices.Sorted(maps.Keys(tested)), slices.Sorted(maps.Keys(found)); !slices.Equal(got, want) {
		t.Errorf("routes in the tests:\n%s\nroutes in the source:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestEveryRouteIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range routes {
		if !strings.Contains(string(doc), "`"+route.pattern+"`") {
			t.Errorf("docs/configuration.md does not mention `%s`", route.pattern)
		}
	}
}

func TestEveryRouteAnswers(t *testing.T) {
	for _, route := range routes {
		t.Run(route.pattern, func(t *testing.T) {
			s, b := newServer()
			w := answer(t, s, request(t, method(route.pattern), route.path, route.body))
			if w.Code != http.StatusOK {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			if got := strings.Join(b.asked, "; "); got != route.asked {
				t.Errorf("asked %q of the backend, want %q", got, route.asked)
			}
			if route.wantRaw != "" {
				if w.Body.String() != route.wantRaw {
					t.Errorf("answer %q, want %q", w.Body, route.wantRaw)
				}
				return
			}
			if got := w.Header().Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type %q, want application/json", got)
			}
			sameJSON(t, w.Body.Bytes(), []byte(route.want))
		})
	}
}

func sameJSON(t *testing.T, got, want []byte) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal(want, &w); err != nil {
		t.Fatalf("the test itself: %v", err)
	}
	if err := json.Unmarshal(got, &g); err != nil {
		t.Fatalf("answer %q: %v", got, err)
	}
	if !reflect.DeepEqual(g, w) {
		t.Errorf("answer\n%s\nwant\n%s", got, want)
	}
}

// nobody lets nobody in.
func nobody(http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = web.Fail(w, http.StatusUnauthorized, errors.New("log in"))
	})
}

func TestEveryRouteButHealthAsksWhoComes(t *testing.T) {
	for _, route := range routes {
		s, b := newServer()
		s.Identify = nobody
		w := answer(t, s, request(t, method(route.pattern), route.path, route.body))
		if open := w.Code == http.StatusOK; open != route.open || !open && (w.Code != http.StatusUnauthorized || len(b.asked) > 0) {
			t.Errorf("%s for nobody: status %d and asked %q", route.pattern, w.Code, b.asked)
		}
	}
}

// What of others may be asked for, because the answer is without them; empty where nothing is.
var withoutOthers = map[string]string{
	"GET /api/v1/communities": "[]", "GET /api/v1/alerts": "[]", "GET /api/v1/applications": "[]", "GET /api/v1/rollup": `"communities":0`,
	"GET /api/v1/openapi.yaml": "", "GET /api/v1/key": "", "GET /api/v1/discovered": "", // the latter is asked with who asks
}

// TestNobodyGetsAtOthers asks all routes of one community as a manager of another: nothing is
// read, nothing is done, and nothing tells that the community is there.
func TestNobodyGetsAtOthers(t *testing.T) {
	for _, route := range routes {
		if route.open {
			continue
		}
		s, b := newServer()
		s.May = func(_ context.Context, a web.Action, community string) bool {
			return community == "empty" && (a == web.Read || a == web.Write)
		}
		w := answer(t, s, request(t, method(route.pattern), route.path, route.body))
		if want, may := withoutOthers[route.pattern]; may {
			if w.Code != http.StatusOK || want != "" && !strings.Contains(strings.ReplaceAll(w.Body.String(), `{"community":"empty"`, "[]"), want) {
				t.Errorf("%s: %d %s", route.pattern, w.Code, w.Body)
			}
			continue
		}
		if w.Code != http.StatusForbidden && w.Code != http.StatusNotFound {
			t.Errorf("%s: status %d %s", route.pattern, w.Code, w.Body)
		}
		if strings.Contains(route.pattern, "{community}") && (w.Code != http.StatusNotFound || len(b.asked) > 0) {
			t.Errorf("%s: status %d, asked %q; want 404 and nothing", route.pattern, w.Code, b.asked)
		}
		for _, asked := range b.asked {
			if !strings.HasPrefix(asked, "application ") && !strings.HasPrefix(asked, "bundle ") {
				t.Errorf("%s: asked %q", route.pattern, asked)
			}
		}
	}
}

// TestWhoMayReadCannotWrite asks all routes as one who may read everything.
func TestWhoMayReadCannotWrite(t *testing.T) {
	for _, route := range routes {
		s, b := newServer()
		s.May = func(_ context.Context, a web.Action, community string) bool { return community != "" && a == web.Read }
		w := answer(t, s, request(t, method(route.pattern), route.path, route.body))
		switch {
		case method(route.pattern) == http.MethodPost && (w.Code != http.StatusForbidden || len(b.asked) > 0 && !strings.HasPrefix(b.asked[0], "application ")):
			t.Errorf("%s: status %d and asked %q", route.pattern, w.Code, b.asked)
		case strings.Contains(route.pattern, "GET /api/v1/communities/{community}") && w.Code != http.StatusOK:
			t.Errorf("%s: status %d", route.pattern, w.Code)
		}
	}
}

// TestWhatIsDoneIsAudited finds every request that changes something in the audit, refused or not.
func TestWhatIsDoneIsAudited(t *testing.T) {
	for _, route := range routes {
		for _, may := range []bool{true, false} {
			s, b := newServer()
			s.May = func(context.Context, web.Action, string) bool { return may }
			answer(t, s, request(t, method(route.pattern), route.path, route.body))
			want := 0
			if method(route.pattern) == http.MethodPost {
				want = 1
			}
			if len(b.audited) != want || want == 1 && (!strings.HasPrefix(b.audited[0], route.pattern) || !strings.HasSuffix(b.audited[0], fmt.Sprint(may))) {
				t.Errorf("%s, %v: audited %q", route.pattern, may, b.audited)
			}
			if may && want == 1 && !strings.Contains(route.pattern, "deadletters") && !strings.Contains(b.audited[0], " jiayuan ") {
				t.Errorf("%s: audited %q without the community", route.pattern, b.audited)
			}
		}
	}
}

func TestPagesOfOthersCannotPost(t *testing.T) {
	for name, tt := range map[string]struct {
		header, value string
		allowed       bool
	}{
		"an origin elsewhere":        {"Origin", "http://evil.example", false},
		"an origin on another port":  {"Origin", "http://127.0.0.1:9999", false},
		"no origin at all":           {"Origin", "null", false},
		"a browser says cross-site":  {"Sec-Fetch-Site", "cross-site", false},
		"a browser says same-site":   {"Sec-Fetch-Site", "same-site", false},
		"the own origin":             {"Origin", "http://127.0.0.1:8080", true},
		"a browser says same-origin": {"Sec-Fetch-Site", "same-origin", true},
		"no browser":                 {"User-Agent", "curl/8", true},
	} {
		for _, route := range routes {
			s, b := newServer()
			r := request(t, method(route.pattern), route.path, route.body)
			r.Header.Set(tt.header, tt.value)
			w := answer(t, s, r)
			if method(route.pattern) == http.MethodGet { // they change nothing, and no page elsewhere may read the answer
				if w.Code != http.StatusOK || w.Header().Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("%s, %s: status %d, headers %v", name, route.pattern, w.Code, w.Header())
				}
				continue
			}
			if tt.allowed != (w.Code == http.StatusOK) || !tt.allowed && (w.Code != http.StatusForbidden || len(b.asked) > 0) {
				t.Errorf("%s, %s: status %d and asked %q", name, route.pattern, w.Code, b.asked)
			}
			if !tt.allowed && !strings.Contains(reason(t, w), "another origin") {
				t.Errorf("%s, %s: %s, want why it is refused", name, route.pattern, w.Body)
			}
		}
	}
}

func TestSecurityHeadersAreOnEveryAnswer(t *testing.T) {
	requests := map[string]*http.Request{
		"nothing there": request(t, http.MethodGet, "/nothing", ""),
		"wrong method":  request(t, http.MethodDelete, "/healthz", ""),
		"an error":      request(t, http.MethodGet, "/api/v1/communities/nobody/devices", ""),
		"a redirect":    request(t, http.MethodGet, "/api//v1/status", ""),
	}
	for _, route := range routes {
		requests[route.pattern] = request(t, method(route.pattern), route.path, route.body)
	}
	for _, in := range []bool{true, false} {
		for name, r := range requests {
			s, _ := newServer()
			if !in {
				s.Identify = nobody
			}
			w := serve(s, r)
			for header, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Cache-Control": "no-store",
			} {
				if got := w.Header().Get(header); got != want {
					t.Errorf("%s, let in: %v, status %d: %s is %q, want %q", name, in, w.Code, header, got, want)
				}
			}
		}
	}
}

func TestBadRequests(t *testing.T) {
	const (
		c = "/api/v1/communities/jiayuan"
		d = c + "/devices/bin-1"
	)
	tests := []struct {
		name, method, path, body string
		status                   int
		reason                   []string // parts of it
	}{
		{"no month", "GET", c + "/indicators", "", 400, []string{"month", `"" is not a month such as 2026-10`}},
		{"month 13", "GET", c + "/indicators?month=2026-13", "", 400, []string{"month", `"2026-13" is not a month`}},
		{"a day for a month", "GET", c + "/indicators?month=2026-10-01", "", 400, []string{`"2026-10-01" is not a month`}},
		{"no from", "GET", d + "/days?to=2026-10-31", "", 400, []string{"from", `"" is not a date such as 2026-10-31`}},
		{"no to", "GET", d + "/days?from=2026-10-01", "", 400, []string{"to: ", `"" is not a date`}},
		{"30 February", "GET", d + "/days?from=2026-02-30&to=2026-10-31", "", 400, []string{"from", `"2026-02-30" is not a date`}},
		{"no date for records", "GET", c + "/records?from=yesterday&to=2026-10-31", "", 400, []string{"from", `"yesterday" is not a date`}},
		{"a date for a time", "GET", d + "/readings?from=2026-10-01&to=2026-10-31", "", 400, []string{"from", `"2026-10-01" is not a time such as 2026-10-31T08:00:00Z`}},
		{"no end", "GET", d + "/readings?from=2026-10-01T00:00:00Z", "", 400, []string{"to: ", `"" is not a time`}},
		{"days from the end", "GET", d + "/days?from=2026-10-31&to=2026-10-30", "", 400, []string{"from: 2026-10-31 is after to, 2026-10-30"}},
		{"neither checked nor added", "POST", c + "/records?check=1", recordBody, 400, []string{`check: "1" is neither true nor false`}},
		{"an attachment without a name", "POST", c + "/attachments", "photo", 400, []string{"name: it is missing"}},
		{"a page of devices too large", "GET", "/api/v1/discovered?limit=101", "", 400, []string{"limit:", "1 to 100"}},
		{"an attachment too large", "POST", c + "/attachments?name=a.jpg", strings.Repeat("x", 20<<20+1), 413, []string{`attachment "a.jpg": the most is 20 MiB`}},
		{"nobody's attachment", "GET", "/api/v1/communities/nobody/attachments/" + hash, "", 404, []string{`community "nobody"`}},
		{"an attachment for nobody", "POST", "/api/v1/communities/nobody/attachments?name=a.jpg", "photo", 404, []string{`community "nobody"`}},
		{"nobody's record", "GET", "/api/v1/communities/nobody/records/R1", "", 404, []string{`community "nobody"`}},
		{"records from the end", "GET", c + "/records?from=2026-10-31&to=2026-09-30", "", 400, []string{"from: 2026-10-31 is after to, 2026-09-30"}},
		{
			"readings from the end", "GET", d + "/readings?from=2026-10-01T00:00:00.5Z&to=2026-10-01T08:00:00%2B08:00", "", 400,
			[]string{"from: 2026-10-01T00:00:00.5Z is after to, 2026-10-01T08:00:00+08:00"},
		},
		{"a plus sign that is a space", "GET", d + "/readings?from=2026-10-01T00:00:00+08:00&to=2026-10-01T00:00:00Z", "", 400, []string{"from", "00:00:00 08:00"}},
		{"not a number", "GET", "/api/v1/deadletters?limit=many", "", 400, []string{"limit", `"many" is not a number`}},
		{"a negative number", "GET", "/api/v1/deadletters?after=-1", "", 400, []string{"after", `"-1" is not a number`}},
		{"no ID", "POST", "/api/v1/deadletters/x/replay", "{}", 400, []string{`"x" is not the ID of a dead letter`}},
		{"a negative ID", "POST", "/api/v1/deadletters/-1/delete", "{}", 400, []string{`"-1" is not the ID of a dead letter`}},
		{"an ID too large", "POST", "/api/v1/deadletters/18446744073709551616/delete", "{}", 400, []string{"is not the ID of a dead letter"}},

		{"no body", "POST", c + "/records", "", 400, []string{"body"}},
		{"no JSON", "POST", c + "/records", "type=survey", 400, []string{"body", "invalid character"}},
		{"half of a body", "POST", c + "/records", recordBody[:30], 400, []string{"body", "unexpected EOF"}},
		{"an unknown field of a record", "POST", c + "/records", `{"typ": "survey"}`, 400, []string{"body", `unknown field "typ"`}},
		{"a bad date", "POST", c + "/records", `{"date": "8 October"}`, 400, []string{"body", `"8 October" is not a date`}},
		{"text for a number", "POST", c + "/records", `{"values": {"sample_kg": "12"}}`, 400, []string{"body", "string", "values"}},
		{"a list", "POST", c + "/records", "[" + recordBody + "]", 400, []string{"body", "array"}},
		{"two records", "POST", c + "/records", recordBody + "\n" + recordBody, 400, []string{"body", "more than one"}},
		{"garbage behind it", "POST", c + "/devices", deviceBody + "}", 400, []string{"body", "more than one"}},
		{"an unknown field of a device", "POST", c + "/devices", `{"id": "a", "colour": "green"}`, 400, []string{"body", `unknown field "colour"`}},
		{"a bad interval", "POST", c + "/devices", `{"id": "a", "interval": "often"}`, 400, []string{"body", `"often" is not a duration`}},
		{"just not too large", "POST", c + "/records", `{"wy": "` + strings.Repeat("x", 1<<20-10) + `"}`, 400, []string{"unknown field"}},
		{"too large", "POST", c + "/records", `{"why": "` + strings.Repeat("x", 1<<20) + `"}`, 413, []string{"body", "too large"}},

		{"nobody's devices", "GET", "/api/v1/communities/nobody/devices", "", 404, []string{`community "nobody"`}},
		{"nobody's indicators", "GET", "/api/v1/communities/nobody/indicators?month=2026-10", "", 404, []string{`community "nobody"`}},
		{"nobody's records", "GET", "/api/v1/communities/nobody/records?from=2026-10-01&to=2026-10-31", "", 404, []string{`community "nobody"`}},
		{"a record for nobody", "POST", "/api/v1/communities/nobody/records", recordBody, 404, []string{`community "nobody"`}},
		{"a device for nobody", "POST", "/api/v1/communities/nobody/devices", deviceBody, 404, []string{`community "nobody"`}},
		{"days of a device of nobody", "GET", "/api/v1/communities/nobody/devices/bin-1/days?from=2026-10-01&to=2026-10-31", "", 404, []string{`community "nobody"`}},
		{"days of no device", "GET", c + "/devices/none/days?from=2026-10-01&to=2026-10-31", "", 404, []string{`device "none"`, `community "jiayuan"`}},
		{"readings of no device", "GET", c + "/devices/none/readings?from=2026-10-01T00:00:00Z&to=2026-10-02T00:00:00Z", "", 404, []string{`device "none"`}},
		{"another's device", "GET", "/api/v1/communities/empty/devices/bin-1/days?from=2026-10-01&to=2026-10-31", "", 404, []string{`device "bin-1"`, `community "empty"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, b := newServer()
			w := answer(t, s, request(t, tt.method, tt.path, tt.body))
			if w.Code != tt.status {
				t.Fatalf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			got := reason(t, w)
			for _, part := range tt.reason {
				if !strings.Contains(got, part) {
					t.Errorf("reason %q lacks %q", got, part)
				}
			}
			if len(b.asked) > 0 {
				t.Errorf("the backend was asked %q all the same", b.asked)
			}
		})
	}
}

func TestPostsMustBeJSON(t *testing.T) {
	for _, route := range routes {
		if method(route.pattern) != http.MethodPost || strings.HasSuffix(route.pattern, "/attachments") {
			continue
		}
		for media, status := range map[string]int{
			"": 415, "text/plain": 415, "application/x-www-form-urlencoded": 415, "application/json;": 200, "application/json; charset=utf-8": 200,
		} {
			s, b := newServer()
			r := request(t, http.MethodPost, route.path, route.body)
			r.Header.Del("Content-Type")
			if media != "" {
				r.Header.Set("Content-Type", media)
			}
			w := answer(t, s, r)
			if w.Code != status {
				t.Errorf("%s with Content-Type %q: status %d, want %d", route.pattern, media, w.Code, status)
			}
			if status == 415 && (len(b.asked) > 0 || !strings.Contains(reason(t, w), "Content-Type: application/json")) {
				t.Errorf("%s with Content-Type %q: %s, asked %q", route.pattern, media, w.Body, b.asked)
			}
		}
	}
}

func TestOtherPathsAndMethods(t *testing.T) {
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/", 404},
		{"GET", "/api/v1", 404},
		{"GET", "/api/v1/communities/jiayuan", 404},
		{"GET", "/api/v2/status", 404},
		{"POST", "/api/v1/status", 405},
		{"DELETE", "/api/v1/deadletters", 405},
		{"GET", "/api/v1/deadletters/7/replay", 405},
		{"PUT", "/api/v1/communities/jiayuan/records", 405},
		{"HEAD", "/healthz", 200},
	} {
		s, b := newServer()
		if w := serve(s, request(t, tt.method, tt.path, "")); w.Code != tt.status || len(b.asked) > 0 {
			t.Errorf("%s %s: status %d and asked %q, want %d", tt.method, tt.path, w.Code, b.asked, tt.status)
		}
		s.Identify = nobody
		if w := serve(s, request(t, tt.method, tt.path, "")); tt.status != 200 && tt.method != "DELETE" && w.Code != http.StatusUnauthorized {
			t.Errorf("%s %s for nobody: status %d, want 401", tt.method, tt.path, w.Code)
		}
	}
}

// TestNoPage shows people a page where there is nothing, and programs none.
func TestNoPage(t *testing.T) {
	for _, tt := range []struct {
		method, path, accept string
		status               int
		page                 bool
	}{
		{"GET", "/elsewhere", "text/html,*/*", 404, true}, {"HEAD", "/elsewhere", "text/html", 404, true}, {"GET", "/elsewhere", "application/json", 404, false}, {"GET", "/elsewhere", "", 404, false},
		{"POST", "/elsewhere", "text/html", 404, false}, {"GET", "/api/v1/communities", "text/html", 200, false}, {"GET", "/api/v1/deadletters/7/replay", "text/html", 405, false}, {"GET", "/api/v2", "text/html", 404, false}, {"POST", "/api/v1/status", "text/html", 405, false},
	} {
		s, _ := newServer()
		r := request(t, tt.method, tt.path, "")
		r.Header.Set("Accept", tt.accept)
		if w := serve(s, r); w.Code != tt.status || (w.Body.String() == "a page\n") != tt.page {
			t.Errorf("%s %s as %s: %d %s", tt.method, tt.path, tt.accept, w.Code, w.Body)
		}
	}
}

// A failure behind the server is an answer, never a panic: what is not there is 404,
// what the asker can mend 400, all else 500 and a line in the log.
func TestErrorsOfTheBackend(t *testing.T) {
	internal := errors.New("disk on fire")
	for _, route := range routes {
		if route.asked == "" {
			continue
		}
		for _, tt := range []struct {
			err    error
			status int
			logged bool
		}{
			{fmt.Errorf("dead letter 7: %w", fs.ErrNotExist), 404, false},
			{fmt.Errorf("%w: by is missing", web.ErrBadRequest), 400, false},
			{errors.Join(web.ErrBadRequest, internal), 400, false},
			{fmt.Errorf("%w: record R1 says the same", web.ErrConflict), 409, false},
			{internal, 500, true},
			{context.DeadlineExceeded, 500, true},
		} {
			s, b := newServer()
			var log bytes.Buffer
			s.Log = slog.New(slog.NewTextHandler(&log, nil))
			b.err = tt.err
			r := request(t, method(route.pattern), route.path, route.body)
			var w *httptest.ResponseRecorder
			if tt.status == http.StatusInternalServerError {
				w = answer(t, s, r)
			} else {
				w = serve(s, r) // not every one of these comes of every route, and so not all are described
			}
			if w.Code != tt.status {
				t.Errorf("%s: %v gave status %d, want %d", route.pattern, tt.err, w.Code, tt.status)
			}
			if got := reason(t, w); got != tt.err.Error() {
				t.Errorf("%s: reason %q, want %q", route.pattern, got, tt.err)
			}
			path, _, _ := strings.Cut(route.path, "?")
			if logged := strings.Contains(log.String(), path) && strings.Contains(log.String(), tt.err.Error()); logged != tt.logged {
				t.Errorf("%s: %v left in the log %q", route.pattern, tt.err, log.String())
			}
		}
	}
}

func TestWhoHasGoneIsNoError(t *testing.T) {
	s, b := newServer()
	var log bytes.Buffer
	s.Log = slog.New(slog.NewTextHandler(&log, nil))
	b.err = context.Canceled
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	serve(s, request(t, http.MethodGet, "/api/v1/status", "").WithContext(ctx))
	if log.Len() > 0 {
		t.Errorf("logged %q", log.String())
	}
}

// What cannot be written as JSON is an error, not an empty answer that looks right.
func TestAnswersThatAreNotJSON(t *testing.T) {
	s, _ := newServer()
	var log bytes.Buffer
	s.Log = slog.New(slog.NewTextHandler(&log, nil))
	s.Status = func(context.Context) (any, error) { return map[string]float64{"lag": math.NaN()}, nil }
	w := answer(t, s, request(t, http.MethodGet, "/api/v1/status", ""))
	if w.Code != http.StatusInternalServerError {
		t.Errorf("status %d, want 500", w.Code)
	}
	if got := reason(t, w); !strings.Contains(got, "NaN") || !strings.Contains(log.String(), "NaN") {
		t.Errorf("reason %q, log %q; want both to say NaN", got, log.String())
	}
}

func TestReadySaysWhyNot(t *testing.T) {
	s, b := newServer()
	b.err = errors.New("not connected to the MQTT broker")
	w := answer(t, s, request(t, http.MethodGet, "/readyz", ""))
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), b.err.Error()) {
		t.Errorf("status %d: %s, want 503 with the reason", w.Code, w.Body)
	}
	if w := answer(t, s, request(t, http.MethodGet, "/healthz", "")); w.Code != http.StatusOK {
		t.Errorf("health is %d while not ready, want 200: the process lives", w.Code)
	}
	b.err, b.troubles = nil, []health.Trouble{{Name: "clock_jumped", Error: "an hour ahead"}}
	if w := answer(t, s, request(t, http.MethodGet, "/readyz", "")); w.Code != http.StatusOK || w.Body.String() != "ok\nclock_jumped: an hour ahead\n" {
		t.Errorf("it takes messages, and something is wrong: status %d: %s", w.Code, w.Body)
	}
}

// The path says whose a record or a device is, whatever the body says.
func TestThePathNamesTheCommunity(t *testing.T) {
	s, b := newServer()
	answer(t, s, request(t, http.MethodPost, "/api/v1/communities/jiayuan/records", with(recordBody, "community", `"other"`)))
	if b.record.Community != "jiayuan" || b.record.Type != "survey" || b.record.Values["satisfied_ratio"] != 0.9 {
		t.Errorf("added %+v", b.record)
	}
	answer(t, s, request(t, http.MethodPost, "/api/v1/communities/jiayuan/devices", with(deviceBody, "community", `"other"`)))
	if b.device.Key() != (greentally.DeviceKey{Community: "jiayuan", Device: "bin-9"}) || time.Duration(b.device.Interval) != 15*time.Minute {
		t.Errorf("adopted %+v", b.device)
	}
}

// The numbers are as large as they can be, and larger than the description has them read.
func TestDeadLettersAreLimited(t *testing.T) {
	for query, want := range map[string]string{
		"": "dead letters 0 100", "?limit=0": "dead letters 0 1", "?limit=5000": "dead letters 0 1000",
		"?limit=18446744073709551615": "dead letters 0 1000", "?after=18446744073709551615": "dead letters 18446744073709551615 100",
	} {
		s, b := newServer()
		if w := serve(s, request(t, http.MethodGet, "/api/v1/deadletters"+query, "")); w.Code != http.StatusOK || strings.Join(b.asked, ";") != want {
			t.Errorf("%q: status %d, asked %q, want %q", query, w.Code, b.asked, want)
		}
	}
}

// Nothing to list is an empty list, so that scripts need no special case.
func TestNothingIsAnEmptyList(t *testing.T) {
	for _, path := range []string{
		"/api/v1/communities/empty/devices",
		"/api/v1/communities/empty/indicators?month=2026-10",
		"/api/v1/communities/empty/records?from=2026-10-01&to=2026-10-31",
		"/api/v1/communities/jiayuan/devices/box-1/days?from=2026-10-01&to=2026-10-31",
		"/api/v1/communities/jiayuan/devices/box-1/readings?from=2026-10-01T00:00:00Z&to=2026-10-31T00:00:00Z",
	} {
		s, _ := newServer()
		if w := answer(t, s, request(t, http.MethodGet, path, "")); w.Code != http.StatusOK || w.Body.String() != "[]\n" {
			t.Errorf("%s: status %d: %s, want []", path, w.Code, w.Body)
		}
	}
	s, _ := newServer()
	s.Communities = func() []*greentally.Community { return nil }
	if w := answer(t, s, request(t, http.MethodGet, "/api/v1/communities", "")); w.Body.String() != "[]\n" {
		t.Errorf("communities: %s, want []", w.Body)
	}
}

// A form cannot send a file here, whatever page it is on.
func TestAttachmentsAreNoForms(t *testing.T) {
	for media, status := range map[string]int{
		"": 415, "text/plain": 415, "application/x-www-form-urlencoded": 415, "multipart/form-data; boundary=x": 415, "application/json": 415,
		"application/octet-stream": 200, "image/jpeg": 200, "application/pdf": 200,
	} {
		s, b := newServer()
		r := request(t, http.MethodPost, "/api/v1/communities/jiayuan/attachments?name=a.jpg", "photo")
		r.Header.Set("Content-Type", media)
		w := answer(t, s, r)
		if w.Code != status || status == 415 && (len(b.asked) > 0 || !strings.Contains(reason(t, w), "application/octet-stream")) {
			t.Errorf("Content-Type %q: status %d, %s, asked %q; want %d", media, w.Code, w.Body, b.asked, status)
		}
	}
}

// An attachment is saved under its name, and never shown as a page of ours.
func TestAttachmentsAreSaved(t *testing.T) {
	for name, want := range map[string]string{
		"a 1.jpg":       `attachment; filename="a 1.jpg"`,
		"照片 1.jpg":      `attachment; filename="__ 1.jpg"; filename*=UTF-8''%E7%85%A7%E7%89%87%201.jpg`,
		`a"\%41.jpg`:    `attachment; filename="a___41.jpg"; filename*=UTF-8''a%22%5C%2541.jpg`,
		"a\r\nX: y.jpg": `attachment; filename="a__X: y.jpg"; filename*=UTF-8''a%0D%0AX%3A%20y.jpg`,
	} {
		s, _ := newServer()
		s.Attachment = func(context.Context, string, string) (greentally.Attachment, []byte, error) {
			return greentally.Attachment{Name: name, MediaType: "image/jpeg"}, []byte("photo"), nil
		}
		w := answer(t, s, request(t, http.MethodGet, "/api/v1/communities/jiayuan/attachments/"+hash, ""))
		if got := w.Header().Get("Content-Disposition"); got != want {
			t.Errorf("%q: Content-Disposition %s, want %s", name, got, want)
		}
		if _, fields, err := mime.ParseMediaType(w.Header().Get("Content-Disposition")); err != nil || fields["filename"] != name {
			t.Errorf("%q: clients read %q, %v", name, fields["filename"], err)
		}
		if h := w.Header(); h.Get("Content-Type") != "image/jpeg" || h.Get("Content-Length") != "5" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("headers %v", h)
		}
	}
}

func TestCheckAddsNothing(t *testing.T) {
	s, b := newServer()
	if w := answer(t, s, request(t, http.MethodPost, "/api/v1/communities/jiayuan/records?check=true", recordBody)); w.Code != http.StatusOK || strings.Join(b.asked, ";") != "check record" {
		t.Errorf("status %d, asked %q", w.Code, b.asked)
	}
}

// Records can be asked for without bounds.
func TestAllRecords(t *testing.T) {
	for query, want := range map[string]string{
		"": "records jiayuan 0000-00-00 0000-00-00", "?from=2026-10-01": "records jiayuan 2026-10-01 0000-00-00", "?to=2026-10-01": "records jiayuan 0000-00-00 2026-10-01",
	} {
		s, b := newServer()
		if w := answer(t, s, request(t, http.MethodGet, "/api/v1/communities/jiayuan/records"+query, "")); w.Code != http.StatusOK || strings.Join(b.asked, ";") != want {
			t.Errorf("%q: status %d, asked %q, want %q", query, w.Code, b.asked, want)
		}
	}
}
