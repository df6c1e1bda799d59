package pages_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"greentally"
	"greentally/internal/health"
	"greentally/web"
)

func get(t *testing.T, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	handlerOf(t, first(newPages())).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w
}

func TestPages(t *testing.T) {
	for _, tt := range []struct {
		path   string
		status int
		zh, en []string
	}{
		{"/", 200, []string{"嘉苑&lt;script&gt;", "1 紧急", "1 警告", "1 个桶已满", "一切正常", "/deadletters"}, []string{"Jiayuan &amp; sons", "1 critical", "1 full", "All is well"}},
		{"/c/jiayuan", 200, []string{"垃圾桶满溢", "97.00 %", "≥ 90%", "一号桶", "95.0 %", "从未上报", "已静默 · 王芳", "最满的桶", `hx-sse:connect="/c/jiayuan/events"`}, []string{"Bin overflows", "Bin 1", "has never spoken", "silenced"}},
		{"/c/jiayuan/alerts", 200, []string{"紧急", "11:00", "请清运", "我来处理", "此设备的全部告警", "桶已倾倒", "/c/jiayuan/silences/S1/end"}, []string{"critical", "since 11:00", "I am on it"}},
		{"/c/jiayuan/alerts?done=silenced", 200, []string{"已静默。"}, []string{"Silenced."}},
		{"/c/jiayuan/alerts?done=nonsense", 200, []string{"紧急"}, nil},
		{"/c/quiet/alerts", 200, []string{"当前没有告警", "没有静默"}, []string{"No alert holds now"}},
		{"/c/jiayuan/indicators", 200, []string{"可回收垃圾回收率", "没有记录", "内蒙古", "month=2026-09", "10–98 / 100", "g/户", "/c/jiayuan/assessments/neimenggu?month=2026-10"}, []string{"Recyclable capture", "there is no record"}},
		{"/c/jiayuan/indicators?month=2026-09", 200, []string{"month=2026-08"}, nil},
		{"/c/jiayuan/indicators/recyclable_capture", 200, []string{"recovered &#43; left", "device=bin-1", "13</td>", "device=bin-2", "/c/jiayuan/records/01K8", "AUDIT1", "<td>12:00</td>", "bin-1?day=2026-10-08", "近 12 个月", "91"}, []string{"What it comes from", "The last 12 months"}},
		{"/c/jiayuan/indicators/recyclable_capture?device=bin-1", 200, []string{"12.3", "/c/jiayuan/devices/bin-1?day=2026-10-07", "mass_kg.collected = 12.3; x = true", "全部设备"}, nil},
		{"/c/jiayuan/indicators/bagged", 200, []string{"没有记录"}, []string{"there is no record"}},
		{"/c/jiayuan/assessments/neimenggu", 200, []string{"噪声", "1–5 / 5", "没有检查", "否决项", "/c/jiayuan/records/R1", "可回收垃圾回收率"}, []string{"nobody looked", "veto"}},
		{"/c/jiayuan/devices/bin-1", 200, []string{"31.4 kg", "桶盖开着", "?day=2026-09-09", "11:58", "垃圾桶满溢", "一号门", "?day=2026-10-07", `"unit":"kg"`, "投入"}, []string{"Filling level", "lid open", "put in"}},
		{"/c/jiayuan/devices/bin-1?day=2026-10-07", 200, []string{"12.35 kg", "2026-10-07 00:00", "后一天", "null"}, nil},
		{"/c/jiayuan/devices/bin-1?day=2026-01-07", 200, []string{"?day=2026-01-22"}, nil},
		{"/c/jiayuan/devices/box", 200, []string{"从未上报", "电池箱过热"}, nil},
		{"/c/jiayuan/records", 200, []string{"问卷调查", "asked = 200", "已被更正或撤回", "/c/jiayuan/records/new"}, []string{"Survey"}},
		{"/c/quiet/records?month=2026-01", 200, []string{"这个月没有记录"}, []string{"There is no record of this month"}},
		{"/c/jiayuan/records/R1", 200, []string{"调查人数", "&lt;script&gt;", "照片.jpg", "2.0 MiB", `<img src="/api/v1/communities/jiayuan/attachments/` + hash, "更正", "撤回"}, []string{"People asked"}},
		{"/c/jiayuan/records/R0", 200, []string{"已被更正或撤回"}, nil},
		{"/c/jiayuan/records/R2", 200, []string{"厨余垃圾", "清运单位", "/c/jiayuan/devices/bin-1?day=2026-10-06"}, nil},
		{"/c/jiayuan/records/new", 200, []string{"记录什么", `value="haul_ticket"`}, nil},
		{"/c/jiayuan/records/new?type=survey", 200, []string{`name="value.asked"`, "可不填", `value="2026-10-08"`, `type="file"`}, []string{"People who know"}},
		{"/c/jiayuan/records/new?type=haul_ticket", 200, []string{`name="stream"`, `name="until"`, `name="at"`, `name="item"`, "neimenggu/noise", `<option value="bin-1"`, `name="text.carrier"`, "landfill", `name="name.0"`}, nil},
		{"/c/jiayuan/records/new?replaces=R2", 200, []string{`name="replaces" value="R2"`, `value="2026-10-08T12:00"`, "&lt;script&gt;", `<option value="food" selected>`, `value="kg"`, `value="12.5"`}, nil},
		{"/c/jiayuan/reports", 200, []string{"exports/2026-09?lang=zh&amp;format=xlsx", "/api/v1/bundles/" + hash, "RWSkey", "已申报", "内蒙古"}, []string{"lang=en"}},
		{"/c/jiayuan/reports?month=2026-10", 200, []string{"exports/2026-10?lang=zh&amp;format=zip"}, nil},
		{"/c/jiayuan/applications/A1", 200, []string{"0.97", "0.96", "已调研", "&lt;script&gt;", "3.0 MiB"}, []string{"surveyed"}},
		{"/c/jiayuan/applications/A2", 200, []string{"命名级别", "国家级"}, nil},
		{"/c/jiayuan/discovered", 200, []string{"new-1", "nowhere", "&lt;script&gt;", `<option value="sorting_bin" selected>`, "<option>senml", "一号门 (e1)"}, []string{"Sorting bin"}},
		{"/deadletters", 200, []string{"内容不符合型号规约", "�&lt;script&gt;", "/deadletters/7/replay"}, []string{"not what the profile describes"}},
		{"/deadletters?after=7", 200, []string{"after 7"}, nil},
		{"/users", 200, []string{"/users/%e6%9d%8e.li&#43;1@x", "已停用", "物业经理 · <span class=\"whole\">嘉苑&lt;script&gt;", "gone", "评估员 · <span class=\"whole\">静园", "li@example.org", "s-1", "密码", `name="password"`, `name="manager" value="quiet"`, `href="/audit"`}, []string{"disabled", "assessor", "Add a user"}},
		{"/users/李.li+1@x", 200, []string{`name="revision" value="7"`, `name="manager" value="jiayuan" checked`, `name="manager" value="gone" checked`, `name="manager" value="quiet">`, `name="assessor" value="quiet" checked`, `name="administrator" value="yes">`, `name="disabled" value="yes" checked`, `value="li@example.org"`, `value="en" lang="en" selected`, "该用户现在没有密码", "/audit?who=%e6%9d%8e.li%2b1%40x"}, []string{"Remove the user"}},
		{"/users/root", 200, []string{`name="administrator" value="yes" checked`, "&lt;script&gt;", `action="/users/root/remove"`}, nil},
		{"/tokens", 200, []string{"大厅-3", "大屏 · ", "2026-10-08", "2026-10-07", "未使用", "/tokens/%e5%a4%a7%e5%8e%85-3/revoke", "大屏：显示一个社区的大屏"}, []string{"never", "Make a token"}},
		{"/audit", 200, []string{"2026-10-08</span> 04:00:00Z", "新增用户", "&lt;script&gt;", "192.0.2.1", `href="?who=root"`, "登记记录", "被拒绝", "<code>POST /api/v1/nothing/{id}</code>", "失败", "token:prometheus", "before=801"}, []string{"add a user", "refused", "Older ones"}},
		{"/audit?who=root&community=gone", 200, []string{`value="root"`, `<option value="gone" selected>`, `?before=801&amp;community=gone&amp;lang=zh&amp;who=root`}, nil},

		{"/screen/jiayuan", 200, []string{"97.0<small>%", "1234<small>kWh", "1234 小时", "650 kg", "2.3<small>kg", "102 节 5 号电池", "95 %", "请投放到空桶", "3100", "80.0 kg"}, []string{"2.3<small>kg", "Thank you"}},
		{"/screen/jiayuan?site=e2", 200, []string{"3100"}, nil},
		{"/account", 200, []string{"我的账户"}, []string{"My account"}},

		{"/c/jiayuan/nope", 404, []string{"没有这个页面"}, nil},
		{"/c/others", 404, []string{"没有这个页面"}, nil},
		{"/c/nobody", 404, []string{"没有这个页面"}, []string{"There is no such page"}},
		{"/c/jiayuan/devices/none", 404, []string{"没有这个页面"}, nil},
		{"/c/jiayuan/indicators/none", 404, []string{"没有这个页面"}, nil},
		{"/c/jiayuan/assessments/none", 404, []string{"没有这个页面"}, nil},
		{"/c/jiayuan/records/none", 404, []string{"没有这个页面"}, nil},
		{"/c/quiet/records/R1", 404, []string{"没有这个页面"}, nil},
		{"/c/jiayuan/records/new?type=none", 404, []string{"没有这个页面"}, nil},
		{"/c/jiayuan/records/new?replaces=none", 404, []string{"没有这个页面"}, nil},
		{"/c/jiayuan/applications/none", 404, []string{"没有这个页面"}, nil},
		{"/c/jiayuan/applications/theirs", 404, []string{"没有这个页面"}, nil},
		{"/c/jiayuan/indicators?month=October", 400, []string{"month"}, nil},
		{"/c/jiayuan/devices/bin-1?day=today", 400, []string{"day"}, nil},
		{"/deadletters?after=x", 400, []string{"after"}, nil},
		{"/users/none", 404, []string{"没有这个页面"}, nil},
		{"/audit?before=x", 400, []string{"before"}, nil},
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
			for _, never := range []string{"别的社区", "Others", hostile, "ZgotmplZ", "%!"} {
				if strings.Contains(body, never) {
					t.Errorf("%s has %q: %s", path, never, body)
				}
			}
			if strings.HasPrefix(tt.path, "/c/jiayuan/discovered") && strings.Contains(body, "elsewhere") {
				t.Errorf("%s shows a stranger of another community", path)
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

// post sends a form.
func post(t *testing.T, handler http.Handler, path string, fields url.Values) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(fields.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

// forms are all that can be sent, with what it does.
var forms = []struct {
	pattern, path, fields string
	next, done            string
}{
	{"POST /c/{community}/silences", "/c/jiayuan/silences", "do=acknowledge&rule=bin_overflowing&device=bin-1", "/c/jiayuan/alerts?done=acknowledged", "silence jiayuan bin_overflowing/bin-1 for 24h0m0s by 值班人员: "},
	{"POST /c/{community}/silences", "/c/jiayuan/silences", "rule=&device=bin-1&for=4h&why=new+bin", "/c/jiayuan/alerts?done=silenced", "silence jiayuan /bin-1 for 4h0m0s by 值班人员: new bin"},
	{"POST /c/{community}/silences/{id}/end", "/c/jiayuan/silences/S1/end", "", "/c/jiayuan/alerts?done=unsilenced", "end silence jiayuan S1"},
	{"POST /c/{community}/records", "/c/jiayuan/records", "type=survey&date=2026-10-08&value.asked=200&by=li", "/c/jiayuan/records/R9?done=recorded", "record jiayuan survey"},
	{"POST /c/{community}/records/{id}/withdraw", "/c/jiayuan/records/R1/withdraw", "why=twice&by=li", "/c/jiayuan/records/R1?done=withdrawn", "record jiayuan survey"},
	{"POST /c/{community}/applications", "/c/jiayuan/applications", "scheme=neimenggu&month=2026-10&by=li", "/c/jiayuan/applications/A1?done=begun", `step "" to draft of jiayuan`},
	{"POST /c/{community}/applications/{id}/steps", "/c/jiayuan/applications/A1/steps", "to=surveyed&by=li&on=2026-10-08", "/c/jiayuan/applications/A1?done=stepped", `step "A1" to surveyed of `},
	{"POST /c/{community}/applications/{id}/steps", "/c/jiayuan/applications/A2/steps", "to=named&by=li&level=city&until=2029-10-08", "/c/jiayuan/applications/A2?done=stepped", `step "A2" to named of `},
	{"POST /c/{community}/discovered", "/c/jiayuan/discovered", "id=new-1&address=new-1&kind=sorting_bin&profile=native&site=e1&stream=food&interval=15m", "/c/jiayuan/devices/new-1?done=adopted", "adopt jiayuan/new-1"},
	{"POST /deadletters/{id}/replay", "/deadletters/7/replay", "", "/deadletters?done=replayed", "replay 7"},
	{"POST /deadletters/{id}/delete", "/deadletters/7/delete", "", "/deadletters?done=deleted", "delete 7"},
	{"POST /users", "/users", "name=+wang+&administrator=yes&password=+a+long+password&again=+a+long+password", "/users?done=user_added", `add user wang with " a long password"`},
	{"POST /users/{id}", "/users/root", "revision=1&manager=quiet", "/users/root?done=user_changed", "change user root at 1"},
	{"POST /users/{id}/password", "/users/root/password", "password=a+long+password&again=a+long+password", "/users/root?done=password_set", `set password "a long password" of root`},
	{"POST /users/{id}/remove", "/users/root/remove", "revision=1", "/users?done=user_removed", "remove user root at 1"},
	{"POST /tokens", "/tokens", "name=+lobby+&role=screen&community=jiayuan", "", `add token lobby: screen of ["jiayuan"]`},
	{"POST /tokens/{id}/revoke", "/tokens/prometheus/revoke", "", "/tokens?done=token_revoked", "revoke token prometheus"},
}

func TestForms(t *testing.T) {
	for _, tt := range forms {
		fields, err := url.ParseQuery(tt.fields)
		if err != nil {
			t.Fatal(err)
		}
		p, b := newPages()
		w := post(t, handlerOf(t, p), tt.path, fields)
		status := map[bool]int{true: http.StatusOK, false: http.StatusSeeOther}[tt.next == ""]
		if w.Code != status || w.Header().Get("Location") != tt.next || strings.Join(b.done, "; ") != tt.done {
			t.Errorf("%s %s: %d to %q, did %q; want %q and %q", tt.path, tt.fields, w.Code, w.Header().Get("Location"), b.done, tt.next, tt.done)
		}
		community := map[bool]string{true: "jiayuan", false: ""}[strings.HasPrefix(tt.path, "/c/")]
		if want := []string{tt.pattern + " " + community + " true"}; !slices.Equal(b.audited, want) {
			t.Errorf("%s: audited %q, want %q", tt.path, b.audited, want)
		}

		// Whoever may only read is refused, and that is audited.
		p, b = newPages()
		p.May = func(_ context.Context, a web.Action, community string) bool { return a == web.Read && community != "" }
		if w := post(t, handlerOf(t, p), tt.path, fields); w.Code != http.StatusForbidden || len(b.done) > 0 || len(b.audited) != 1 || !strings.HasSuffix(b.audited[0], "false") {
			t.Errorf("%s by a reader: %d, did %q, audited %q", tt.path, w.Code, b.done, b.audited)
		}

		// What is refused is said on the page, and what failed is not.
		for _, refusal := range []struct {
			err    error
			status int
			want   string
		}{
			{fmt.Errorf("%w: the device is <b>known</b>", web.ErrBadRequest), 400, "未完成：the device is &lt;b&gt;known"}, {fmt.Errorf("%w: %w", web.ErrBadRequest, fmt.Errorf("%w: %w", greentally.TextErrorf("记录无效", "invalid record"), greentally.TextErrorf("请填写日期", "date is missing"))), 400, "未完成：记录无效：请填写日期<"},
			{fmt.Errorf("%w: record R1 says the same", web.ErrConflict), 409, "未完成：record R1 says the same"}, {errors.New("the disk is on fire"), 500, "出错了"},
		} {
			p, b = newPages()
			b.err = refusal.err
			w := post(t, handlerOf(t, p), tt.path, fields)
			if w.Code != refusal.status || !strings.Contains(w.Body.String(), refusal.want) || strings.Contains(w.Body.String(), "on fire") {
				t.Errorf("%s, %v: %d %s", tt.path, refusal.err, w.Code, w.Body)
			}
		}
	}
}

// TestBadForms sends forms that somebody has to mend.
func TestBadForms(t *testing.T) {
	for _, tt := range []struct {
		path, fields string
		status       int
		want         string
	}{
		{"/c/jiayuan/silences", "device=bin-1&for=4h", 400, "请填写原因"},
		{"/c/jiayuan/silences", "device=bin-1&for=long&why=x", 400, "时长无效"},
		{"/c/jiayuan/silences", "for=4h&why=x", 400, "请选择哪些告警"},
		{"/c/jiayuan/silences", "do=acknowledge&rule=none&device=bin-1", 404, "没有这个"},
		{"/c/jiayuan/records", "type=none", 404, "没有这个"},
		{"/c/jiayuan/records", "type=survey&date=today&value.asked=many&by=li", 400, "日期: 不是日期"},
		{"/c/jiayuan/records", "type=survey&date=2026-10-08&value.asked=many&by=li", 400, `调查人数: 不是数`},
		{"/c/jiayuan/records", "type=survey&date=2026-10-08&value.asked=many&by=li", 400, `value="many"`},
		{"/c/jiayuan/records", "type=haul_ticket&date=2026-10-08&until=x&at=noon&name.1=kg&number.1=y&by=li", 400, "时刻: 不是时刻"},
		{"/c/jiayuan/records/R1/withdraw", "by=li", 400, "请填写原因"},
		{"/c/jiayuan/records/none/withdraw", "by=li&why=x", 404, "没有这个"},
		{"/c/jiayuan/applications", "scheme=neimenggu&month=October&by=li", 400, "月份无效"},
		{"/c/jiayuan/applications", "scheme=neimenggu&month=2026-10", 400, "请填写原因"},
		{"/c/jiayuan/applications/A1/steps", "to=surveyed&by=li&on=x", 400, "不是日期"},
		{"/c/jiayuan/applications/A2/steps", "to=named&by=li&until=x", 400, "不是日期"},
		{"/c/jiayuan/applications/A1/steps", "to=surveyed", 400, "请填写原因"},
		{"/c/jiayuan/applications/theirs/steps", "to=surveyed&by=li", 404, "没有这个"},
		{"/c/jiayuan/discovered", "id=new-1&interval=often", 400, "时长无效"},
		{"/c/jiayuan/silences", "device=bin-1&for=4h&why=" + strings.Repeat("x", 70<<10), 400, "表单没有完整到达"},
		{"/deadletters/x/replay", "", 404, "没有这个"},
		{"/deadletters/x/delete", "", 404, "没有这个"},
		{"/users", "name=wang", 400, "请填写密码"},
		{"/users", "name=wang&manager=quiet", 400, `name="manager" value="quiet" checked`},
		{"/users", "name=wang&administrator=yes&password=a+long+password&again=a+long+passw0rd", 400, "两次输入的新密码不一样"},
		{"/users", "name=wang&password=a+long+password&again=a+long+password", 400, "请至少选择一个角色"},
		{"/users", "name=" + strings.Repeat("x", 70<<10), 400, "表单没有完整到达"},
		{"/users/root/password", "password=a+long+password&again=x", 400, "两次输入的新密码不一样"},
		{"/users/none", "revision=1", 404, "没有这个"},
		{"/users/root", "display=x", 400, "表单没有完整到达"},
		{"/users/root", "revision=1&display=" + strings.Repeat("x", 70<<10), 400, "表单没有完整到达"},
		{"/users/root/password", "", 400, "请填写新密码"},
		{"/users/root/remove", "revision=", 400, "表单没有完整到达"},
	} {
		fields, err := url.ParseQuery(tt.fields)
		if err != nil {
			t.Fatal(err)
		}
		p, b := newPages()
		w := post(t, handlerOf(t, p), tt.path, fields)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) || len(b.done) > 0 {
			t.Errorf("%s %s: %d, did %q\n%s\nwant %d and %q", tt.path, tt.fields, w.Code, b.done, w.Body, tt.status, tt.want)
		}
	}
}

// TestRecordForm hands in a record with files: all of it is kept; what is refused can be sent again
// without them.
func TestRecordForm(t *testing.T) {
	send := func(p http.Handler, fields map[string][]string, files ...string) *httptest.ResponseRecorder {
		t.Helper()
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			for _, value := range fields[name] {
				if err := form.WriteField(name, value); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, name := range files {
			part, err := form.CreateFormFile("file", name)
			if err != nil {
				t.Fatal(err)
			}
			content := "photo"
			if strings.HasPrefix(name, "huge") {
				content = strings.Repeat("x", greentally.MaxAttachment+1)
			}
			if name == "" {
				content = ""
			}
			if _, err := part.Write([]byte(content)); err != nil {
				t.Fatal(err)
			}
		}
		if err := form.Close(); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/c/jiayuan/records", &body)
		r.Header.Set("Content-Type", form.FormDataContentType())
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		return w
	}
	whole := map[string][]string{"type": {"haul_ticket"}, "date": {"2026-10-08"}, "until": {"2026-10-09"}, "at": {"2026-10-08T09:30"}, "end": {"2026-10-08T10:00"}, "stream": {"food"}, "device": {"bin-1"}, "item": {"neimenggu/noise"},
		"name.0": {"kg"}, "number.0": {"12.5"}, "text.carrier": {" 环卫所 "}, "by": {"li"}, "why": {"x"}, "replaces": {"R2"}}
	p, b := newPages()
	if w := send(handlerOf(t, p), whole, "照片.jpg", "", "b.pdf"); w.Code != http.StatusSeeOther {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	if got := strings.Join(b.done, "; "); got != "attach jiayuan 照片.jpg 5; attach jiayuan b.pdf 5; record jiayuan haul_ticket" {
		t.Errorf("did %s", got)
	}
	r := b.added
	if r.Date.String() != "2026-10-08" || r.Until.String() != "2026-10-09" || r.At.UTC().Format("15:04") != "01:30" || r.End.UTC().Format("15:04") != "02:00" || r.Stream != greentally.Food || r.Device != "bin-1" || r.Item != "neimenggu/noise" ||
		len(r.Values) != 1 || r.Values["kg"] != 12.5 || r.Texts["carrier"] != "环卫所" || r.By != "li" || r.Why != "x" || r.Replaces != "R2" || len(r.Attachments) != 2 || r.Attachments[0].SHA256 != hash {
		t.Errorf("the record is %+v", r)
	}

	p, b = newPages()
	w := send(handlerOf(t, p), map[string][]string{"type": {"survey"}, "date": {"x"}, "value.asked": {"1"}, "by": {"li"}}, "a.jpg")
	if kept := `name="kept" value="` + hash + ` a.jpg" checked`; w.Code != 400 || !strings.Contains(w.Body.String(), kept) || len(b.done) != 1 {
		t.Errorf("refused: %d, did %q, lacks %s\n%s", w.Code, b.done, kept, w.Body)
	}
	p, b = newPages()
	if w := send(handlerOf(t, p), map[string][]string{"type": {"survey"}, "date": {"2026-10-08"}, "value.asked": {"1"}, "by": {"li"}, "kept": {hash + " a.jpg", "nonsense"}}); w.Code != 303 || len(b.added.Attachments) != 1 || b.added.Attachments[0] != (greentally.Attachment{SHA256: hash}) {
		t.Errorf("sent again: %d %+v", w.Code, b.added)
	}

	many := strings.Fields(strings.Repeat("a.jpg ", 13))
	for name, tt := range map[string]struct {
		fields map[string][]string
		files  []string
		want   string
	}{
		"a file too large": {whole, []string{"huge.jpg"}, "huge.jpg: 文件超过 20 MiB"}, "too many files": {whole, many, "最多 12 个文件"},
		"a field too large": {map[string][]string{"why": {strings.Repeat("x", 70<<10)}}, nil, "表单没有完整到达"},
	} {
		p, b := newPages()
		if w := send(handlerOf(t, p), tt.fields, tt.files...); w.Code != 400 || !strings.Contains(w.Body.String(), tt.want) || strings.Contains(strings.Join(b.done, " "), "record") {
			t.Errorf("%s: %d, did %q", name, w.Code, b.done)
		}
	}
	p, b = newPages()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/c/jiayuan/records", strings.NewReader("--x\r\nContent-Disposition: form-data; name=\"type\"\r\n\r\nsur"))
	req.Header.Set("Content-Type", "multipart/form-data; boundary=x")
	rec := httptest.NewRecorder()
	handlerOf(t, p).ServeHTTP(rec, req)
	if rec.Code != 400 || len(b.done) > 0 {
		t.Errorf("half of a form: %d, did %q", rec.Code, b.done)
	}
}

// TestNobodyGetsAtOthers asks for every page, and sends every form, of a community that the asker
// may not see: nothing is done, and nothing tells that it is there.
func TestNobodyGetsAtOthers(t *testing.T) {
	p, b := newPages()
	p.May = func(_ context.Context, _ web.Action, community string) bool { return community == "jiayuan" }
	all, _, err := p.Handlers()
	if err != nil {
		t.Fatal(err)
	}
	handler := handlerOf(t, p)
	own := map[string]bool{"GET /{$}": true, "GET /events": true, "GET /account": true, "GET /account/": true, "POST /account/password": true, "POST /account/language": true}
	seen := 0
	for pattern := range all {
		method, path, _ := strings.Cut(pattern, " ")
		if own[pattern] {
			continue
		}
		seen++
		path = strings.NewReplacer("{community}", "others", "{device}", "bin-1", "{indicator}", "recyclable_capture", "{scheme}", "neimenggu", "{id}", "1").Replace(path)
		if strings.ContainsAny(path, "{}") {
			t.Fatalf("%s: the test does not know what to put for its parts", pattern)
		}
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader("by=li&why=x&for=1h&device=bin-1&type=survey&date=2026-10-08&to=surveyed&month=2026-10&scheme=neimenggu"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if method == http.MethodGet && w.Code == http.StatusSeeOther { // to the page of a form
			next := httptest.NewRequestWithContext(t.Context(), method, w.Header().Get("Location"), nil)
			w = httptest.NewRecorder()
			handler.ServeHTTP(w, next)
		}
		if w.Code != http.StatusNotFound && (w.Code != http.StatusForbidden || strings.Contains(pattern, "{community}")) {
			t.Errorf("%s: status %d", pattern, w.Code)
		}
		if strings.Contains(w.Body.String(), "别的社区") || len(b.done) > 0 {
			t.Errorf("%s: did %q, %s", pattern, b.done, w.Body)
		}
	}
	if seen < 38 {
		t.Errorf("only %d routes were tried", seen)
	}
	for _, f := range forms {
		if all[f.pattern] == nil {
			t.Errorf("there is no %s", f.pattern)
		}
	}
	for pattern := range all {
		known := slices.ContainsFunc(forms, func(f struct{ pattern, path, fields, next, done string }) bool { return f.pattern == pattern })
		if strings.HasPrefix(pattern, "POST ") && !own[pattern] && !known {
			t.Errorf("TestForms does not send %s", pattern)
		}
	}
}

// TestScreen lets a screen show its community's screen and nothing else, and the screen names nobody.
func TestScreen(t *testing.T) {
	p, _ := newPages()
	p.May = func(_ context.Context, a web.Action, community string) bool {
		return a == web.Screen && community == "jiayuan"
	}
	handler := handlerOf(t, p)
	for path, status := range map[string]int{"/screen/jiayuan": 200, "/screen/quiet": 404, "/c/jiayuan": 404, "/c/jiayuan/records/R1": 404, "/deadletters": 403} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if w.Code != status {
			t.Errorf("%s: %d, want %d", path, w.Code, status)
		}
		if path == "/screen/jiayuan" && regexp.MustCompile(`<a |<form|<input|王芳|li<`).MatchString(w.Body.String()) {
			t.Errorf("the screen has something to click, or a name:\n%s", w.Body)
		}
	}
}

// TestLanguage chooses the language: now, before, one's own, or Chinese.
func TestLanguage(t *testing.T) {
	p, _ := newPages()
	handler := handlerOf(t, p)
	ask := func(path, cookie string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		if cookie != "" {
			r.AddCookie(&http.Cookie{Name: "greentally_language", Value: cookie})
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	for _, tt := range []struct{ path, cookie, want string }{
		{"/", "", "zh-CN"}, {"/?lang=en", "", "en"}, {"/", "en", "en"}, {"/?lang=zh", "en", "zh-CN"}, {"/?lang=fr", "de", "zh-CN"},
	} {
		if w := ask(tt.path, tt.cookie); w.Header().Get("Content-Language") != tt.want || !strings.Contains(w.Body.String(), `<html lang="`+tt.want+`"`) {
			t.Errorf("%s with %q: %s", tt.path, tt.cookie, w.Header().Get("Content-Language"))
		}
	}
	for _, secure := range []bool{false, true} {
		p.Secure = func(*http.Request) bool { return secure }
		if got := ask("/?lang=en", "").Result().Cookies(); len(got) != 1 || got[0].Secure != secure || !got[0].HttpOnly {
			t.Errorf("over TLS %t: %v", secure, got)
		}
	}
	if w := ask("/nowhere?lang=en", ""); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "<h1>") {
		t.Errorf("where nothing is: %d %s", w.Code, w.Body)
	}
	if got := ask("/%2Fevil.example/x", "").Body.String(); !strings.Contains(got, `href="/%2Fevil.example/x?lang=en"`) {
		t.Errorf("an address that looks like another site's: %s", got)
	}
	if got := ask("/c/jiayuan/indicators?month=2026-09&done=silenced", "").Body.String(); !strings.Contains(got, `href="/c/jiayuan/indicators?lang=en&amp;month=2026-09"`) {
		t.Errorf("the way to the other language: %s", got)
	}
}

// TestStatic holds files for long by their version, and has them all.
func TestStatic(t *testing.T) {
	p, _ := newPages()
	page := httptest.NewRecorder()
	handlerOf(t, p).ServeHTTP(page, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	found := regexp.MustCompile(`(?:src|href)="(/static/[^"]+)"`).FindAllStringSubmatch(page.Body.String(), -1)
	if len(found) < 6 {
		t.Fatalf("the page has %q", found)
	}
	files := staticOf(t)
	for _, m := range found {
		w := httptest.NewRecorder()
		files.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, m[1], nil))
		if w.Code != http.StatusOK || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || w.Body.Len() == 0 {
			t.Errorf("%s: %d %v", m[1], w.Code, w.Header())
		}
	}
	w := httptest.NewRecorder()
	files.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/static/vendor/LICENSE-echarts", nil))
	if w.Code != http.StatusOK || strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("the licence: %d %v", w.Code, w.Header())
	}
}

// TestWhoTakesWhichStep shows an application to managers and assessors, and has them take steps: each
// sees, and takes, what is theirs.
func TestWhoTakesWhichStep(t *testing.T) {
	for role, actions := range map[string][]web.Action{"manager": {web.Read, web.Write}, "assessor": {web.Read, web.Judge}} {
		t.Run(role, func(t *testing.T) {
			p, b := newPages()
			p.May = func(_ context.Context, a web.Action, community string) bool {
				return community == "jiayuan" && slices.Contains(actions, a)
			}
			handler := handlerOf(t, p)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/c/jiayuan/applications/A2", nil)) // accepted
			assesses := role == "assessor"
			if strings.Contains(w.Body.String(), `<option value="named">`) != assesses || w.Code != http.StatusOK {
				t.Errorf("%d, the page is\n%s", w.Code, w.Body)
			}
			for to, may := range map[string]bool{"named": assesses, "rejected": assesses, "draft": assesses, "withdrawn": !assesses, "submitted": !assesses} {
				b.step = greentally.Step{}
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/c/jiayuan/applications/A2/steps", strings.NewReader("by=City+bureau&level=national&to="+to))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				if (w.Code == http.StatusSeeOther) != may || (w.Code == http.StatusForbidden) == may || (b.step.To != "") != may {
					t.Errorf("to %s: %d, took %q", to, w.Code, b.step.To)
				}
			}
		})
	}
}

// TestManyStrangers shows many discovered devices page by page.
func TestManyStrangers(t *testing.T) {
	p, b := newPages()
	b.strangers = 250
	handler := handlerOf(t, p)
	var seen []int
	for path := "/c/jiayuan/discovered"; path != ""; {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		body := w.Body.String()
		if w.Code != http.StatusOK || !strings.Contains(body, "共有设备（台）： 250") {
			t.Fatalf("%s: %d\n%s", path, w.Code, body)
		}
		seen = append(seen, strings.Count(body, `<h2>new-`))
		path = ""
		if next := regexp.MustCompile(`href="(\?after=[^"]+)"`).FindStringSubmatch(body); next != nil {
			path = "/c/jiayuan/discovered" + next[1]
		}
	}
	if !slices.Equal(seen, []int{100, 100, 50}) {
		t.Errorf("the pages show %v", seen)
	}
}

// What keeps data from coming in is told to all, with the reason to administrators; what does not, to them alone.
func TestTroubleIsShown(t *testing.T) {
	for _, tt := range []struct {
		name    string
		trouble health.Trouble
		manager bool
		want    []string
		never   []string
	}{
		{"nothing", health.Trouble{}, false, nil, []string{"class=\"trouble"}},
		{"an administrator", health.Trouble{Name: "journal_refuses", Error: "full of <entries>", Stops: true}, false, []string{"消息日志暂停接收", "请通知管理员", "full of &lt;entries&gt;"}, []string{"minor"}},
		{"a manager", health.Trouble{Name: "store_damaged", Error: "file /srv/x", Stops: true}, true, []string{"数据库文件已损坏"}, []string{"/srv/x"}},
		{"an administrator, of what is minor", health.Trouble{Name: "clock_jumped", Error: "by an hour"}, false, []string{"trouble minor", "时钟", "by an hour"}, []string{"请通知管理员"}},
		{"a manager, of what is minor", health.Trouble{Name: "clock_jumped", Error: "by an hour"}, true, nil, []string{"class=\"trouble", "时钟"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, b := newPages()
			if b.manager = tt.manager; tt.trouble.Name != "" {
				b.troubles = []health.Trouble{tt.trouble}
			}
			w := httptest.NewRecorder()
			handlerOf(t, p).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?lang=zh", nil))
			for _, text := range tt.want {
				if !strings.Contains(w.Body.String(), text) {
					t.Errorf("the page lacks %q:\n%s", text, w.Body)
				}
			}
			for _, text := range tt.never {
				if strings.Contains(w.Body.String(), text) {
					t.Errorf("the page has %q:\n%s", text, w.Body)
				}
			}
		})
	}
}
