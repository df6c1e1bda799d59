package pages_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"greentally"
	"greentally/web"
	"greentally/web/pages"
)

var (
	china = time.FixedZone("CST", 8*60*60)
	noon  = time.Date(2026, 10, 8, 12, 0, 0, 0, china)
	bin   = &greentally.Device{Community: "jiayuan", ID: "bin-1", Name: greentally.Text{ZH: "一号桶", EN: "Bin 1"}, Kind: "sorting_bin", Site: "e1", Stream: greentally.Food, Interval: greentally.Duration(10 * time.Minute)}
	box   = &greentally.Device{Community: "jiayuan", ID: "box", Kind: "battery_box", Site: "e1", Interval: greentally.Duration(10 * time.Minute)}
	limit = 0.9
)

// newPages shows a community of which some things are known. Names are such as would break a
// page that writes them as they are.
func newPages() *pages.Pages {
	value, denominator := 0.97, 100.0
	numerator := 97.0
	rate := greentally.IndicatorValue{
		Community: "jiayuan", Month: greentally.Month{Year: 2026, Month: time.October}, Indicator: "recyclable_capture", Title: greentally.Text{ZH: "可回收垃圾回收率", EN: "Recyclable capture"},
		Unit: "ratio", Value: &value, Numerator: &numerator, Denominator: &denominator, Completeness: 1, Verdict: greentally.Pass, Target: &greentally.Target{AtLeast: &limit},
		Inputs: []greentally.InputValue{{Name: "recovered", Devices: []string{"bin-1"}}},
	}
	none := greentally.IndicatorValue{Community: "jiayuan", Month: rate.Month, Indicator: "bagged", Title: greentally.Text{ZH: "袋装率", EN: "Bagged"}, Unit: "ratio", Verdict: greentally.InsufficientData,
		Reason: greentally.Text{ZH: "没有记录", EN: "there is no record"}}
	both := []greentally.IndicatorValue{rate, none}
	return &pages.Pages{
		Person:  func(context.Context) string { return "" },
		Account: pages.Account{Me: func(context.Context) pages.Me { return pages.Me{} }},
		Server: &web.Server{
			May: func(_ context.Context, a web.Action, community string) bool {
				return a == web.Read && community != "others"
			},
			Communities: func() []*greentally.Community {
				return []*greentally.Community{
					{ID: "jiayuan", Name: greentally.Text{ZH: `嘉苑<script>alert(1)</script>`, EN: "Jiayuan & sons"}, Households: 3100, Sites: []greentally.Site{{ID: "e1", Name: greentally.Text{ZH: "一号门", EN: "Gate 1"}}}, Devices: []*greentally.Device{bin, box}},
					{ID: "others", Name: greentally.Text{ZH: "别的社区", EN: "Others"}, Households: 10},
					{ID: "quiet", Name: greentally.Text{ZH: "静园", EN: "Quiet"}, Households: 10},
				}
			},
			Latest: func(key greentally.DeviceKey) (greentally.Reading, bool) {
				return greentally.Reading{DeviceKey: key, Kind: "sorting_bin", Time: noon.Add(-2 * time.Minute), Values: []greentally.Value{{Quantity: "fill_ratio", Number: 0.95}, {Quantity: "mass_kg", Number: 31.4}}}, key == bin.Key()
			},
			Alerts: func() []greentally.Alert {
				return []greentally.Alert{{Community: "jiayuan", Rule: "bin_overflowing", Severity: greentally.Critical, Device: "bin-1", Title: greentally.Text{ZH: "垃圾桶满溢", EN: "Bin overflows"},
					Summary: greentally.Text{ZH: "95 %", EN: "95 %"}, Since: noon.Add(-time.Hour), Fired: noon.Add(-time.Hour)}}
			},
			Indicators: func(context.Context, string, greentally.Month) ([]greentally.IndicatorValue, error) { return both, nil },
			DeviceDays: func(_ context.Context, q greentally.DeviceDayQuery) ([]greentally.DeviceDay, error) {
				return []greentally.DeviceDay{{DeviceKey: bin.Key(), Date: q.From, Hours: 24, Readings: 144, Expected: 144}}, nil
			},
			Readings: func(_ context.Context, key greentally.DeviceKey, from, _ time.Time, _ int) ([]greentally.Reading, error) {
				return []greentally.Reading{{DeviceKey: key, Time: from, Values: []greentally.Value{{Quantity: "mass_kg", Number: 12.345}}}}, nil
			},
			Log: slog.New(slog.DiscardHandler),
		},
		Workings: func(context.Context, string, greentally.Month) ([]greentally.IndicatorValue, []greentally.Working, error) {
			return both, []greentally.Working{
				{Indicator: "recyclable_capture", Numerator: "recovered", Denominator: "recovered + left", Inputs: []greentally.InputWorking{{Name: "recovered", Kind: "sorting_bin", Value: "mass_kg.collected", Result: &numerator,
					Rows: []greentally.WorkingRow{{Device: "bin-1", Date: greentally.Date{Year: 2026, Month: 10, Day: 7}, Amount: 12_300_000}, {ID: "01K8", Date: greentally.Date{Year: 2026, Month: 10, Day: 6}, Amount: 1}}}}},
				{Indicator: "bagged"},
			}, nil
		},
		Assessments: func(context.Context, string, greentally.Month) ([]greentally.Assessment, error) {
			return []greentally.Assessment{{Scheme: "neimenggu", Title: greentally.Text{ZH: "内蒙古", EN: "Inner Mongolia"}, AtLeast: 10, AtMost: 98, Total: 100, Verdict: greentally.InsufficientData}}, nil
		},
		Location: func(string) (*time.Location, bool) { return china, true },
		Kind: func(string) (*greentally.Kind, bool) {
			return &greentally.Kind{Name: "sorting_bin", Quantities: []greentally.Quantity{
				{Name: "fill_ratio", Unit: "/", Limit: &limit, Title: greentally.Text{ZH: "满溢度", EN: "Filling level"}}, {Name: "mass_kg", Unit: "kg", Title: greentally.Text{ZH: "质量", EN: "Mass"}},
			}}, true
		},
		Now: func() time.Time { return noon },
	}
}

func get(t *testing.T, path string) *httptest.ResponseRecorder {
	t.Helper()
	handler, err := newPages().Handler()
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w
}

func TestPages(t *testing.T) {
	for _, tt := range []struct {
		path   string
		status int
		zh, en []string
	}{
		{"/", 200, []string{"嘉苑&lt;script&gt;", "1 紧急", "1 个桶已满", "一切正常"}, []string{"Jiayuan &amp; sons", "1 critical", "1 bins are full", "All is well"}},
		{"/c/jiayuan", 200, []string{"垃圾桶满溢", "97.00 %", "≥ 90%", "一号桶", "95.0 %", "从未上报"}, []string{"Bin overflows", "Bin 1", "has never spoken"}},
		{"/c/jiayuan/alerts", 200, []string{"紧急", "11:00"}, []string{"critical", "since 11:00"}},
		{"/c/quiet/alerts", 200, []string{"当前没有告警"}, []string{"No alert holds now"}},
		{"/c/jiayuan/indicators", 200, []string{"可回收垃圾回收率", "没有记录", "内蒙古", "month=2026-09"}, []string{"Recyclable capture", "there is no record"}},
		{"/c/jiayuan/indicators?month=2026-09", 200, []string{"month=2026-08"}, nil},
		{"/c/jiayuan/indicators/recyclable_capture", 200, []string{"recovered &#43; left", "12.3", "/c/jiayuan/devices/bin-1?day=2026-10-07", "01K8"}, []string{"What it comes from"}},
		{"/c/jiayuan/indicators/bagged", 200, []string{"没有记录"}, []string{"there is no record"}},
		{"/c/jiayuan/devices/bin-1", 200, []string{"31.4 kg", "?day=2026-09-09", "11:58"}, []string{"Filling level"}},
		{"/c/jiayuan/devices/bin-1?day=2026-10-07", 200, []string{"12.35 kg", "2026-10-07 00:00"}, nil},
		{"/c/jiayuan/devices/box", 200, []string{"从未上报"}, nil},
		{"/c/others", 404, []string{"没有这个页面"}, nil},
		{"/c/others/indicators", 404, []string{"没有这个页面"}, nil},
		{"/c/nobody", 404, []string{"没有这个页面"}, []string{"There is no such page"}},
		{"/c/jiayuan/devices/none", 404, []string{"没有这个页面"}, nil},
		{"/c/jiayuan/indicators/none", 404, []string{"没有这个页面"}, nil},
		{"/c/jiayuan/indicators?month=October", 400, []string{"month"}, nil},
		{"/c/jiayuan/devices/bin-1?day=today", 400, []string{"day"}, nil},
	} {
		for language, want := range map[string][]string{"zh": tt.zh, "en": tt.en} {
			path := tt.path + map[bool]string{true: "&", false: "?"}[strings.Contains(tt.path, "?")] + "lang=" + language
			w := get(t, path)
			body := w.Body.String()
			if w.Code != tt.status {
				t.Errorf("%s: status %d\n%s", path, w.Code, body)
			}
			for _, text := range want {
				if !strings.Contains(body, text) {
					t.Errorf("%s lacks %q:\n%s", path, text, body)
				}
			}
			if strings.Contains(body, "别的社区") || strings.Contains(body, "Others") {
				t.Errorf("%s shows another's community", path)
			}
			if strings.Contains(body, "<script>alert") || strings.Contains(body, "ZgotmplZ") {
				t.Errorf("%s writes what it should not: %s", path, body)
			}
			if _, err := html.Parse(strings.NewReader(body)); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'self'") {
				t.Errorf("%s: policy %q", path, csp)
			}
		}
	}
}

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
	handlers, err := e.Handlers(newPages())
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

// TestWords looks for the words that templates use: each is there in both languages.
func TestWords(t *testing.T) {
	known := map[string]bool{}
	for _, file := range []string{"words.go", "account.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`"([a-z_]+)": +\{"([^"]+)", "([^"]+)"\}`).FindAllStringSubmatch(string(source), -1) {
			if known[m[1]] {
				t.Errorf("%s: %s is there twice", file, m[1])
			}
			known[m[1]] = true
		}
	}
	files, err := filepath.Glob("templates/*.html")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\.T "([a-z_]+)"`).FindAllStringSubmatch(string(text), -1) {
			if !known[m[1]] {
				t.Errorf("%s: there is no word %s", file, m[1])
			}
		}
	}
	for _, name := range []string{"pass", "fail", "insufficient_data", "no_target", "critical", "warning", "info", "recyclable", "hazardous", "food", "residual",
		"role_administrator", "role_manager", "role_assessor", "role_monitor", "role_screen", "openid_unknown", "openid_again", "openid_away", "too_often", "failed",
		"passwords_differ", "wrong_old", "password_invalid", "password_changed", "language_changed", "not_logged_in"} {
		if !known[name] {
			t.Errorf("there is no word %s", name)
		}
	}
	if len(known) < 40 {
		t.Error(fmt.Sprint("only ", len(known), " words were found"))
	}
}
