package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestAccess has users of two communities log in to the whole program: each sees and does what is
// theirs, also after kill -9, and the audit log tells of it.
func TestAccess(t *testing.T) {
	t.Parallel()
	s := newSite(t, []byte(recordsCommunity), "")
	s.write("communities/hillside.yaml", []byte(strings.NewReplacer("lakeside", "hillside", "湖畔", "山麓", "Lakeside", "Hillside").Replace(recordsCommunity)))
	s.start()
	server := []string{"--server", "http://" + s.http}
	add := func(name, password string, more ...string) error {
		_, err := cliWithInput(t, password+"\n", append(append([]string{"user", "add", name}, more...), server...)...)
		return err
	}
	wantError(t, "a manager first", add("li", "a long password", "--role", "manager", "--community", "lakeside"), "administrator")
	wantError(t, "a short password", add("wang", "short", "--role", "administrator"), "12")
	if err := add("wang", "a long password", "--role", "administrator"); err != nil {
		t.Fatal(err)
	}
	wantError(t, "nobody any more", add("li", "a long password", "--role", "manager", "--community", "lakeside"), "log in")

	type person struct{ *http.Client }
	do := func(p person, method, path, contentType, body string) (int, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.http+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept", "text/html")
		request.Header.Set("Content-Type", contentType)
		response, err := p.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		data, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		asDescribed(t, response, data)
		return response.StatusCode, string(data)
	}
	logIn := func(name, password string) person {
		t.Helper()
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		p := person{&http.Client{Jar: jar}}
		if status, page := do(p, "POST", "/login", "application/x-www-form-urlencoded", url.Values{"name": {name}, "password": {password}, "next": {"/"}}.Encode()); status != 200 || !strings.Contains(page, name) {
			t.Fatalf("%s logs in: %d %s", name, status, page)
		}
		return p
	}
	wang := logIn("wang", "a long password")
	for name, role := range map[string]string{"li": "manager", "zhang": "assessor"} {
		if status, answer := do(wang, "POST", "/api/v1/users", "application/json", `{"name": "`+name+`", "new_password": "another password", "bindings": [{"role": "`+role+`", "communities": ["lakeside"]}]}`); status != 200 {
			t.Fatalf("add %s: %d %s", name, status, answer)
		}
	}
	if status, answer := do(wang, "POST", "/api/v1/tokens", "application/json", `{"name": "prometheus", "role": "monitor"}`); status != 200 {
		t.Fatalf("add a token: %d %s", status, answer)
	}
	li, zhang := logIn("li", "another password"), logIn("zhang", "another password")
	s.kill()
	s.start()
	const record = `{"type": "survey", "date": "2026-10-08", "by": "li", "values": {"asked": 10, "aware": 9}}`
	for _, tt := range []struct {
		who                person
		method, path, body string
		status             int
		want               string
	}{
		{wang, "GET", "/", "", 200, "山麓"}, {li, "GET", "/", "", 200, "湖畔"}, {li, "GET", "/c/lakeside", "", 200, "湖畔"}, {li, "GET", "/c/hillside", "", 404, ""},
		{li, "POST", "/api/v1/communities/lakeside/records", record, 200, `"by":"li","account":"li"`}, {li, "POST", "/api/v1/communities/hillside/records", record, 404, "hillside"},
		{zhang, "GET", "/api/v1/communities/lakeside/records", "", 200, "survey"}, {zhang, "POST", "/api/v1/communities/lakeside/records", record, 403, "may not"},
		{li, "GET", "/api/v1/users", "", 403, ""}, {li, "GET", "/metrics", "", 403, ""}, {wang, "GET", "/metrics", "", 200, "greentally_"},
		{wang, "GET", "/api/v1/audit?community=lakeside", "", 200, `"who":"zhang","role":"","address":"127.0.0.1","action":"POST /api/v1/communities/{community}/records","community":"lakeside","result":"refused"`},
		{li, "POST", "/api/v1/applications", `{"to": "named", "community": "lakeside", "level": "national", "by": "City bureau", "why": "12", "on": "2024-06-05"}`, 403, "may not"},
		{zhang, "POST", "/api/v1/applications", `{"to": "named", "community": "lakeside", "level": "city", "by": "City bureau", "why": "12", "on": "2024-06-05"}`, 200, `"by":"City bureau","account":"zhang"`},
		{zhang, "POST", "/api/v1/applications", `{"to": "named", "community": "hillside", "level": "city", "by": "City bureau", "why": "12", "on": "2024-06-05"}`, 404, "hillside"},
		{zhang, "POST", "/api/v1/applications", `{"to": "draft", "community": "lakeside", "scheme": "neimenggu", "month": "2026-10", "by": "zhang"}`, 403, "may not"},
		{li, "POST", "/api/v1/applications", `{"to": "draft", "community": "lakeside", "scheme": "neimenggu", "month": "2026-10", "by": "Li Na"}`, 200, `"by":"Li Na","account":"li"`},
		{li, "POST", "/api/v1/applications", `{"to": "draft", "community": "lakeside", "scheme": "neimenggu", "month": "2026-10", "by": "Li Na", "account": "zhang"}`, 400, "not for you to say"},
		{wang, "GET", "/api/v1/audit?who=zhang", "", 200, `"who":"zhang","role":"assessor","address":"127.0.0.1","action":"POST /api/v1/applications"`},
		{person{http.DefaultClient}, "GET", "/c/lakeside", "", 200, "/login"},
	} {
		status, answer := do(tt.who, tt.method, tt.path, "application/json", tt.body)
		if status != tt.status || !strings.Contains(strings.ReplaceAll(answer, `"who":"zhang","address"`, `"who":"zhang","role":"","address"`), tt.want) {
			t.Errorf("%s %s: %d %s, want %d %s", tt.method, tt.path, status, answer, tt.status, tt.want)
		}
		if tt.who == li && strings.Contains(answer, "山麓") {
			t.Errorf("%s %s shows another's community: %s", tt.method, tt.path, answer)
		}
	}
	for _, path := range []string{"/users", "/users/wang", "/tokens", "/audit", "/deadletters"} {
		for p, want := range map[person]int{wang: 200, li: 403, zhang: 403} {
			if status, page := do(p, "GET", path, "", ""); status != want || want == 403 && strings.Contains(page, "prometheus") {
				t.Errorf("%s: %d, want %d: %s", path, status, want, page)
			}
		}
	}
	const form = "application/x-www-form-urlencoded"
	_, own := do(wang, "GET", "/users/wang", "", "")
	revision := strings.NewReplacer(`" value="`, "=").Replace(regexp.MustCompile(`revision" value="\d+`).FindString(own))
	for _, tt := range []struct {
		path, body string
		status     int // for an administrator
		want       string
	}{
		{"/users", "name=zhao&manager=lakeside&password=a+third+passw0rd&again=a+third+passw0rd", 200, "用户已新增"}, {"/users", "name=zhao&manager=lakeside&password=a+third+passw0rd&again=a+third+passw0rd", 409, "用户 &#34;zhao&#34;：已有这个名称"},
		{"/users", "name=qian&manager=lakeside&password=sh0rt&again=sh0rt", 400, "密码至少 12 个字符"}, {"/users/zhao", "revision=1&assessor=lakeside", 409, "别人刚改过"}, {"/users/zhao/password", "password=another+passw0rd&again=another+passw0rd", 200, "密码已设置"},
		{"/users/wang", revision + "&administrator=yes&disabled=yes", 400, "不能停用、删除自己"}, {"/users/wang/remove", revision, 400, "不能停用、删除自己"},
		{"/tokens", "name=lobby&role=screen", 400, "请选择角色“大屏”的社区"}, {"/tokens", "name=lobby&role=screen&community=lakeside", 200, "http://" + s.http + "/screen?token=greentally_"}, {"/tokens/lobby/revoke", "", 200, "令牌已撤销"},
	} {
		if status, page := do(li, "POST", tt.path, form, tt.body); status != 403 {
			t.Errorf("%s %s by a manager: %d %s", tt.path, tt.body, status, page)
		}
		if status, page := do(wang, "POST", tt.path, form, tt.body); status != tt.status || !strings.Contains(page, tt.want) || strings.Contains(page, "passw0rd") {
			t.Errorf("%s %s: %d, want %d and %s: %s", tt.path, tt.body, status, tt.status, tt.want, page)
		}
	}
	for _, tt := range []struct {
		body   string
		status int
		want   string
	}{ // roles that are sent take the place of all before
		{`{"bindings": [{"role": "manager"}]}`, 400, "name the communities"}, {`{"display": "李"}`, 200, `"communities":["lakeside"]`},
	} {
		_, known := do(wang, "GET", "/api/v1/users", "", "")
		at := regexp.MustCompile(`"name":"li"[^}]*}[^}]*"revision":(\d+)`).FindStringSubmatch(known)
		if at == nil {
			t.Fatalf("the users are %s", known)
		}
		if status, answer := do(wang, "POST", "/api/v1/users/li", "application/json", strings.Replace(tt.body, "{", `{"revision": `+at[1]+", ", 1)); status != tt.status || !strings.Contains(answer, tt.want) {
			t.Errorf("%s: %d %s", tt.body, status, answer)
		}
	}
	publish := publisher(t, s)
	publish("meter", `{"energy_kwh": 100}`)
	publish("stranger", `{"energy_kwh": 100}`)
	today := time.Now().UTC()
	from, to := today.AddDate(0, 0, -1).Format(time.DateOnly), today.AddDate(0, 0, 1).Format(time.DateOnly)
	for _, tt := range []struct{ path, want string }{ // all that can be read, which do holds against its description
		{"/api/v1/communities", "hillside"}, {"/api/v1/communities/lakeside/devices", `"latest":{`},
		{"/api/v1/communities/lakeside/devices/meter/readings?from=" + from + "T00:00:00Z&to=" + to + "T00:00:00Z", `"number":100`},
		{"/api/v1/communities/lakeside/devices/meter/days?from=" + from + "&to=" + to, `"rise":`},
		{"/api/v1/communities/lakeside/indicators?month=2026-10", `"value":0.9`}, {"/api/v1/communities/lakeside/records", `"aware":9`},
		{"/api/v1/communities/lakeside/alerts?month=2026-10", "[]"}, {"/api/v1/alerts?state=all", "["},
		{"/api/v1/communities/lakeside/exports", "[]"}, {"/api/v1/communities/lakeside/exports/2026-10?format=csv&lang=en", "lakeside"},
		{"/api/v1/applications", `"account":"zhang"`}, {"/api/v1/rollup", `"untitled":1`}, {"/api/v1/key", "key"},
		{"/api/v1/discovered", "stranger"}, {"/api/v1/deadletters", "unknown_device"}, {"/api/v1/status", `"dead_letters":1`},
		{"/api/v1/users", "zhang"}, {"/api/v1/tokens", "prometheus"}, {"/api/v1/audit", "POST /api/v1/tokens"}, {"/api/v1/openapi.yaml", "openapi: 3.1"},
		{"/metrics", "greentally_"}, {"/healthz", "ok"}, {"/readyz", "ok"},
	} {
		waitFor(t, 30*time.Second, tt.path+" to say "+tt.want, func() bool {
			status, answer := do(wang, "GET", tt.path, "", "")
			return status == 200 && strings.Contains(answer, tt.want)
		})
	}
	for _, want := range []string{ // what was done, and to what
		`"action":"POST /api/v1/users","what":{"grants":"manager lakeside","id":"li"},"result":"done"`, `"action":"POST /api/v1/communities/{community}/records","community":"lakeside","what":{"record":"01`,
		`"who":"wang","role":"administrator","address":"127.0.0.1","action":"POST /users","what":{"grants":"manager lakeside","id":"zhao"},"result":"done"`, `"action":"POST /tokens","what":{"grants":"screen lakeside","id":"lobby"},"result":"done"`, `"who":"li","address":"127.0.0.1","action":"POST /users/{id}/remove","what":{"id":"wang"},"result":"refused"`,
	} {
		if _, log := do(wang, "GET", "/api/v1/audit", "", ""); !strings.Contains(log, want) || strings.Contains(log, "passw0rd") || strings.Contains(log, "greentally_") {
			t.Errorf("the audit log lacks %s:\n%s", want, log)
		}
	}
	do(wang, "POST", alertmanagerPath+"/api/v2/silences", "application/json", "{}")
	if _, log := do(wang, "GET", "/api/v1/audit?who=wang", "", ""); !strings.Contains(log, `"action":"POST `+alertmanagerPath+`/api/v2/silences"`) {
		t.Errorf("the audit log lacks what went to Alertmanager:\n%s", log)
	}
	for range refusalBurst + 20 { // who may do nothing cannot fill the log
		do(zhang, "POST", "/api/v1/communities/hillside/records", "application/json", record)
	}
	if _, log := do(wang, "GET", "/api/v1/audit?who=zhang&before=100000", "", ""); strings.Count(log, `"who":"zhang"`) > 100 || strings.Contains(log, "left_out_before") {
		t.Errorf("the audit log has too much:\n%s", log)
	}
	if status, _ := do(li, "POST", "/logout", "application/x-www-form-urlencoded", ""); status != 200 {
		t.Errorf("out: %d", status)
	}
	if status, answer := do(li, "GET", "/api/v1/communities", "", ""); status != http.StatusUnauthorized {
		t.Errorf("after that: %d %s", status, answer)
	}
}
