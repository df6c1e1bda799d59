package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"aead.dev/minisign"

	"greentally"
	"greentally/internal/testserver"
	"greentally/report/bundle"
	"greentally/report/bundle/bundletest"
)

// gates is a community of 5,600 households with two battery boxes, a bin of each of two streams
// and a lit corridor.
const gates = `community: jiayuan
name: {zh: 虹口嘉苑, en: Jiayuan}
households: 5600
population: 17136
sites:
  - {id: e1, type: estate}
  - {id: east, type: gate, in: e1}
  - {id: west, type: gate, in: e1}
  - {id: c1, type: stairwell, in: e1}
collections:
  - {streams: [recyclable], at: ["09:00"]}
  - {streams: [residual], at: ["06:30"]}
devices:
  - {id: battery-east, kind: battery_box, site: east, interval: 30m}
  - {id: battery-west, kind: battery_box, site: west, interval: 30m}
  - {id: recyclable, kind: sorting_bin, site: e1, stream: recyclable, capacity_litres: 240, interval: 30m}
  - {id: residual, kind: sorting_bin, site: e1, stream: residual, capacity_litres: 240, interval: 30m}
  - {id: corridor, kind: lighting_meter, site: c1, interval: 30m, lamps: 40, baseline: {option: A, lamps: 40, lamp_power_w: 66}}
`

// today is the day that it is by the community's clocks.
func today(t testing.TB) greentally.Date {
	t.Helper()
	loc, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	return greentally.DateOf(time.Now(), loc)
}

// lastMonth is the month before today's.
func lastMonth(t *testing.T) greentally.Month {
	t.Helper()
	return today(t).MonthOf().First().Add(-1).MonthOf()
}

// applicant is a running site with the tools to ask it.
type applicant struct {
	*site
	month greentally.Month
}

func newApplicant(t *testing.T, more string) *applicant {
	t.Helper()
	a := &applicant{newSite(t, []byte(gates), more), lastMonth(t)}
	a.start()
	return a
}

// simulated sends the month's first days; the same again changes nothing.
func (a *applicant) simulated(days int) {
	a.t.Helper()
	must(a.t, "simulate", "--broker", "tcp://"+a.mqtt, "--community", filepath.Join(a.dir, "communities", "community.yaml"),
		"--from", a.month.First().String(), "--days", fmt.Sprint(days), "--batch", "48")
	a.caughtUp(time.Minute)
}

func (a *applicant) cli(args ...string) (string, error) {
	out, err := command(a.t, append(args, "--server", "http://"+a.http)...)
	return strings.TrimSpace(out), err
}

func (a *applicant) must(args ...string) string {
	a.t.Helper()
	out, err := a.cli(args...)
	if err != nil {
		a.t.Fatalf("%v: %v", args, err)
	}
	return out
}

// TestApplication takes a community with what it has to show from a draft to a title: by the
// command line, over restarts; what comes late is a revision.
func TestApplication(t *testing.T) {
	t.Parallel()
	a := newApplicant(t, "targets: {"+fmt.Sprint(today(t).Year)+": {city: 15}}\n")
	a.simulated(a.month.Last().Day - 1)
	day := a.month.First().Add(14).String()
	photo := a.write("问卷.jpg", jpeg("survey"))
	a.must("record", "add", "--community", "jiayuan", "--type", "survey", "--date", day, "--by", "李娜", "--value", "asked=200", "--value", "aware=180", "--attach", photo)
	a.must("record", "add", "--community", "jiayuan", "--type", "lamps_handed_out", "--date", day, "--by", "李娜", "--value", "lamps=200")

	draft := strings.Fields(a.must("application", "draft", "--community", "jiayuan", "--scheme", "jiayuan_claims", "--month", a.month.String(), "--by", "李娜"))
	id := draft[0]
	_, err := a.cli("application", "accept", id, "--by", "王")
	wantError(t, "accepted from a draft", err, "the application is draft; what can follow is submitted, withdrawn, not accepted")
	_, err = a.cli("application", "draft", "--community", "jiayuan", "--scheme", "jiayuan_claims", "--month", a.month.String(), "--by", "李娜")
	wantError(t, "a second draft", err, id)
	a.must("application", "submit", id, "--by", "李娜", "--why", "第一次申报")
	file := filepath.Join(a.dir, "bundle.zip")
	a.must("application", "bundle", id, "--out", file)
	a.kill()
	a.start()

	var before applied
	waitFor(t, 30*time.Second, "all to be as it was before kill -9", func() bool { // alerts are told to the store again
		err := a.get("/api/v1/applications/"+id, &before)
		return err == nil && before.Stage == greentally.StageSubmitted && len(before.Revisions) == 0
	})
	a.simulated(a.month.Last().Day) // the last day comes late
	a.must("record", "add", "--community", "jiayuan", "--type", "survey", "--date", day, "--by", "李娜", "--value", "asked=100", "--value", "aware=60")
	var after applied
	if err := a.get("/api/v1/applications/"+id, &after); err != nil {
		t.Fatal(err)
	}
	revised := func(indicator, what string) greentally.Revision {
		i := slices.IndexFunc(after.Revisions, func(r greentally.Revision) bool { return r.Name == indicator && r.What == what })
		if i < 0 {
			t.Fatalf("%s of %s is not revised; these are: %+v", what, indicator, after.Revisions)
		}
		return after.Revisions[i]
	}
	if r := revised("awareness", "value"); r.Old != "0.9" || r.New != "0.8" {
		t.Errorf("awareness is revised from %s to %s", r.Old, r.New)
	}
	if r := revised("batteries_per_household", "completeness"); r.Old >= r.New {
		t.Errorf("completeness is revised from %s to %s by readings that came late", r.Old, r.New)
	}
	if shown := a.must("application", "show", id); !strings.Contains(shown, "What was handed in stands") || !strings.Contains(shown, "│ 0.9 ") {
		t.Errorf("it is shown as\n%s", shown)
	}
	again := filepath.Join(a.dir, "again.zip")
	a.must("application", "bundle", id, "--out", again)
	first, second := contents(t, file), contents(t, again)
	if !bytes.Equal(first, second) || *after.Submission != *before.Submission {
		t.Error("what was handed in is another after evidence came late")
	}

	a.must("application", "survey", id, "--by", "街道 张")
	a.must("application", "accept", id, "--by", "验收组", "--why", "验收意见3号")
	a.must("application", "name", id, "--by", "区创建办", "--level", "city", "--until", a.month.First().Add(1000).String(), "--why", "沪环2026-7")
	var named applied
	if err := a.get("/api/v1/applications/"+id, &named); err != nil {
		t.Fatal(err)
	}
	var trail []string
	for _, s := range named.Steps {
		if s.Recorded.IsZero() || s.On.Year == 0 {
			t.Errorf("nobody knows when: %+v", s)
		}
		trail = append(trail, fmt.Sprintf("%s by %s", s.To, s.By))
	}
	if got := strings.Join(trail, ", "); got != "draft by 李娜, submitted by 李娜, surveyed by 街道 张, accepted by 验收组, named by 区创建办" {
		t.Errorf("the trail is %s", got)
	}
	a.must("application", "title", "--community", "jiayuan", "--level", "district", "--on", "2024-06-05", "--by", "区创建办", "--why", "虹环2024-12")
	if out := a.must("application", "rollup"); !regexp.MustCompile(`city +│ +1 │ 1 +│ 15`).MatchString(out) || !regexp.MustCompile(`district +│ +0 │ 0`).MatchString(out) {
		t.Errorf("the roll-up is\n%s", out)
	}

	// What was handed in is right by what was known then, and by the readings of the days that it has.
	if out, err := verify(t, file, "--from-store", "--config", a.config, "--key", a.must("export", "key")); err == nil || !strings.Contains(err.Error(), "device-day") {
		t.Errorf("the last day was not handed in, and the store knows it: %s %v", out, err)
	}
	if out, err := verify(t, file); err != nil || strings.Count(out, "✓") != 4 {
		t.Errorf("verify: %v\n%s", err, out)
	}
	if complaints := a.complaints(); len(complaints) > 0 {
		t.Errorf("it complained: %s", complaints)
	}
}

// verify runs the program as it is built: one version makes bundles and checks them.
func verify(t *testing.T, args ...string) (string, error) {
	t.Helper()
	program, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	var out, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, append([]string{"verify"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%w: %s", err, stderr.String())
	}
	return out.String(), nil
}

func contents(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestVerify changes one digit here and there in a bundle that the program made: each is found,
// and said where; also if the bundle is then signed again with the community's own key.
func TestVerify(t *testing.T) {
	t.Parallel()
	a := newApplicant(t, "")
	a.simulated(a.month.Last().Day)
	day := a.month.First().Add(14).String()
	a.must("record", "add", "--community", "jiayuan", "--type", "survey", "--date", day, "--by", "李娜", "--value", "asked=200", "--value", "aware=180", "--attach", a.write("问卷.jpg", jpeg("survey")))
	for _, format := range []string{"xlsx", "pdf", "csv", "json", "zip"} {
		out := filepath.Join(a.dir, "out."+format)
		a.must("export", "--community", "jiayuan", "--month", a.month.String(), "--format", format, "--out", out)
		if info, err := os.Stat(out); err != nil || info.Size() < 1000 {
			t.Errorf("%s: %v", format, err)
		}
	}
	file := filepath.Join(a.dir, "out.zip")
	data := contents(t, file)
	key := a.must("export", "key")
	if out, err := verify(t, file, "--from-store", "--config", a.config, "--key", key); err != nil || strings.Count(out, "✓") != 6 {
		t.Fatalf("verify: %v\n%s", err, out)
	}
	other, _, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = verify(t, file, "--key", other.String())
	wantError(t, "another key", err, "it was signed by the key "+key)

	// Every file, any byte.
	b, wrong := bundle.Open(data, nil)
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	names := []string{bundle.ManifestName, bundle.SignatureName}
	for _, e := range b.Files {
		names = append(names, e.Name)
	}
	for i, name := range names {
		changed := bundletest.Replace(t, data, name, func(content []byte) []byte {
			content[len(content)*(i%7)/7] ^= 1
			return content
		})
		_, wrong := bundle.Open(changed, nil)
		if !slices.ContainsFunc(wrong, func(err error) bool {
			return strings.Contains(err.Error(), name) || name == bundle.SignerName
		}) {
			t.Errorf("a byte of %s is changed, and it is said: %v", name, wrong)
		}
	}

	// What is forged is not computed again, for then its rules would run.
	forgery := a.write("forgery.zip", bundletest.Replace(t, data, "rules/indicators/awareness.yaml", func(content []byte) []byte {
		return bytes.Replace(content, []byte("numerator: aware"), []byte(`numerator: "`+doubling(33)+`"`), 1)
	}))
	said, err := verify(t, forgery)
	wantError(t, "a forgery", err, "rules/indicators/awareness.yaml: not what was signed")
	if !strings.Contains(said, "nothing was computed again") || strings.Contains(err.Error(), "there is no let") {
		t.Errorf("of a forgery it is said:\n%s%v", said, err)
	}

	// What the community itself would change, and sign.
	private := contents(t, filepath.Join(a.dir, "data", "minisign.key"))
	tests := []struct {
		file, pattern, with string
		fromStore           bool
		want                []string // what is said to be wrong; without any it is only noted
		note                string
	}{
		{file: "device_days.jsonl", pattern: `("stream":"recyclable".*?"collected":)([1-9])`, with: `${1}9${2}`, want: []string{"export.json: indicator separate_collection: value is"}},
		{file: "device_days.jsonl", pattern: `"first":[0-9.]+`, with: `"first":77`, fromStore: true, want: []string{"device_days.jsonl: line 1: device-day battery-east", `\"first\":77`}},
		{file: "device_days.jsonl", pattern: `(?m)^.*"device":"residual".*\n`, with: ``, fromStore: true, want: []string{"device-day residual " + a.month.First().String() + " is missing: there are"}},
		{file: "export.json", pattern: `("indicator": "awareness",(?s:.*?)"value": )0.9`, with: `${1}0.95`, want: []string{"export.json: indicator awareness: value is 0.95, and comes to 0.9"}},
		{file: "export.json", pattern: `"aware": 180`, with: `"aware": 190`, want: []string{"indicator awareness: value is 0.9, and comes to 0.95"}},
		{file: "export.json", pattern: `"by": "李娜"`, with: `"by": "王娜"`, fromStore: true, want: []string{"is another in the store"}},
		{file: "export.json", pattern: `("verdict": )"pass"`, with: `${1}"fail"`, want: []string{"verdict is fail, and comes to pass"}},
		{file: "export.json", pattern: `"households": 5600`, with: `"households": 560`, want: []string{"indicator batteries_per_household: value"}},
		{file: "export.json", pattern: `"aware": 180`, with: `"aware": 200, "aware": 180`, want: []string{"export.json: ", "duplicate object member name"}},
		{file: "export.json", pattern: `"households": 5600`, with: `"households": 5600, "remark": "all is well"`, want: []string{"export.json: ", "unknown object member name"}},
		{file: "export.json", pattern: `"month": "` + a.month.String(), with: `"month": "1999-01`, want: []string{"the manifest says otherwise"}},
		{file: "export.json", pattern: `"through": "[0-9-]+"`, with: `"through": "1999-01-01"`, want: []string{"through 1999-01-01; what was made"}},
		{file: "export.json", pattern: `"as_of": "[0-9-]+"`, with: `"as_of": "` + a.month.First().Add(2).String() + `"`, want: []string{"as_of is " + a.month.First().Add(2).String()}},
		{file: "export.json", pattern: `"devices": \[`, with: `"devices": [null,`, want: []string{"a device is null"}},
		{file: "export.json", pattern: `"indicators": \[`, with: `"Indicators": [], "indicators": [`, want: []string{"unknown object member name"}},
		{file: "export.json", pattern: `"aware": 180`, with: `"aware": 400`, note: "", want: []string{"indicator awareness: value is 0.9, and comes to 2"}},
		{file: "rules/kinds.json", pattern: `\[`, with: `[null,`, want: []string{"a kind is null"}},
		{file: "rules/indicators/awareness.yaml", pattern: `numerator: aware`, with: `numerator: "` + strings.Repeat("(", 100_000) + `"`, want: []string{"rules/indicators/awareness.yaml", "the most is"}},
		{file: "rules/indicators/awareness.yaml", pattern: `numerator: aware`, with: `numerator: "` + doubling(33) + `"`, want: []string{"rules/indicators/awareness.yaml", "there is no let"}},
		{file: "README.txt", pattern: `SHA-256`, with: `SHA-1`, want: []string{"README.txt: it says something else"}},
		{file: "export.csv", pattern: `180`, with: `190`, want: []string{"export.csv: it does not say"}},
		{file: "export.pdf", pattern: `/Producer`, with: `/Producet`, want: []string{"export.pdf: it is not what the figures come to"}},
		{file: "rules/indicators/awareness.yaml", pattern: `numerator: aware`, with: `numerator: asked`, want: []string{"indicator awareness: numerator is 180, and comes to 200"}},
		{file: "rules/indicators/awareness.yaml", pattern: `at_least: 0.9\d*`, with: `at_least: 0.5`, want: []string{"awareness"}},
		{file: "rules/indicators/awareness.yaml", pattern: `tests:`, with: `tests: # ours`, note: "NOT as this program ships them: rules/indicators/awareness.yaml"},
		{file: "rules/kinds.json", pattern: `"limit": [0-9.]+`, with: `"limit": 0.1`, fromStore: true, note: "NOT as this program ships them: rules/kinds.json "},
		{file: "attachments/", pattern: `survey`, with: `Survey`, want: []string{"attachments/", "it is not what record"}},
	}
	for _, tt := range tests {
		name := tt.file
		if i := slices.IndexFunc(b.Files, func(e bundle.Entry) bool { return strings.HasPrefix(e.Name, tt.file) }); strings.HasSuffix(name, "/") && i >= 0 {
			name = b.Files[i].Name
		}
		forged := resigned(t, b, private, name, func(content []byte) []byte {
			pattern := regexp.MustCompile(tt.pattern)
			at := pattern.FindSubmatchIndex(content)
			if at == nil {
				t.Fatalf("%s has no %s", name, tt.pattern)
			}
			return slices.Concat(content[:at[0]], pattern.Expand(nil, []byte(tt.with), content, at), content[at[1]:])
		})
		args := []string{a.write("forged.zip", forged)}
		if tt.fromStore {
			args = append(args, "--from-store", "--config", a.config)
		}
		out, err := verify(t, args...)
		if len(tt.want) == 0 {
			if err != nil || !strings.Contains(out, tt.note) {
				t.Errorf("%s %s: %v\n%s", name, tt.with, err, out)
			}
			continue
		}
		wantError(t, name+" "+tt.with, err, tt.want...)
	}

	// A file more, and a rule less.
	forged := a.write("forged.zip", resigned(t, b, private, "more", nil, bundle.File{Name: "more.html", Data: []byte("<b>all is well</b>")}))
	_, err = verify(t, forged)
	wantError(t, "a file more", err, "more.html: no bundle has such a file")
	forged = a.write("forged.zip", resigned(t, b, private, "rules/indicators/purity.yaml", nil))
	out, err := verify(t, forged)
	wantError(t, "a rule less", err, "indicator purity is in it, and no rule computes it")
	if !strings.Contains(out, "NOT in it: rules/indicators/purity.yaml") {
		t.Errorf("a rule less: %s", out)
	}

	// The registry changes after the month: device-days are of their time, and an honest bundle is right.
	changed := strings.NewReplacer("{id: recyclable, kind: sorting_bin, site: e1,", "{id: recyclable, kind: sorting_bin, site: west, limits: {fill_ratio: 0.5},",
		"  - {id: battery-west, kind: battery_box, site: west, interval: 30m}\n", "").Replace(gates)
	a.write("communities/community.yaml", []byte(changed))
	waitFor(t, 30*time.Second, "the registry to be read again", func() bool {
		var devices []greentally.Device
		return a.get("/api/v1/communities/jiayuan/devices", &devices) == nil && len(devices) == 4
	})
	later := filepath.Join(a.dir, "later.zip")
	a.must("export", "--community", "jiayuan", "--month", a.month.String(), "--format", "zip", "--out", later)
	out, err = verify(t, later, "--from-store", "--config", a.config)
	if err != nil || !strings.Contains(out, `device-days of recyclable are of when it was at site "e1"`) || !strings.Contains(out, "device-days of battery-west, which is not among the devices") {
		t.Errorf("after the registry has changed: %v\n%s", err, out)
	}
}

// doubling is an expression that doubles a text so many times.
func doubling(times int) string {
	text := `let a0 = 'xxxxxxxx'; `
	for i := range times {
		text += fmt.Sprintf("let a%d = a%d + a%[2]d; ", i+1, i)
	}
	return text + fmt.Sprintf("a%d == '' ? 1.0 : 0.0", times)
}

// resigned is a bundle with a file changed, signed again. Without a change the file is left out; more can be added.
func resigned(t *testing.T, b *bundle.Bundle, private []byte, name string, change func([]byte) []byte, more ...bundle.File) []byte {
	t.Helper()
	var key minisign.PrivateKey
	if err := key.UnmarshalText(bytes.TrimSpace(private)); err != nil {
		t.Fatal(err)
	}
	files := more
	for _, e := range b.Files {
		content := bytes.Clone(b.File(e.Name))
		switch {
		case e.Name == bundle.SignerName || e.Name == name && change == nil:
			continue
		case e.Name == name:
			content = change(content)
		}
		files = append(files, bundle.File{Name: e.Name, Data: content})
	}
	var out bytes.Buffer
	if err := bundle.Pack(&out, b.Manifest, files, key); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestApplicationAPI asks what only the API can be asked.
func TestApplicationAPI(t *testing.T) {
	server, finish := lvyuan(t)
	post := func(path, body string) (int, string) {
		t.Helper()
		return postJSON(t, server.httpURL+path, body)
	}
	month := lastMonth(t).String()
	for _, tt := range []struct {
		path, body string
		status     int
		want       string
	}{
		{"/api/v1/applications", `{"to": "draft", "community": "lvyuan", "scheme": "neimenggu", "month": "` + month + `", "by": "李娜", "submission": {"bundle": "x"}}`, 400, "not for you to say"},
		{"/api/v1/applications", `{"to": "draft", "community": "lvyuan", "scheme": "nowhere", "month": "` + month + `", "by": "李娜"}`, 409, `there is no scheme`},
		{"/api/v1/applications", `{"to": "draft", "community": "nowhere", "scheme": "neimenggu", "month": "` + month + `", "by": "李娜"}`, 404, `community \"nowhere\"`},
		{"/api/v1/applications", `{"to": "draft", "community": "lvyuan", "scheme": "neimenggu", "month": "` + month + `", "by": "李娜", "on": "2999-01-01"}`, 409, `it is not 2999-01-01 yet`},
		{"/api/v1/applications", `{"to": "draft", "who": "me"}`, 400, `unknown field`},
		{"/api/v1/applications/none/steps", `{"to": "submitted", "by": "李娜"}`, 404, `application`},
		{"/api/v1/applications", `{"to": "draft", "community": "lvyuan", "scheme": "neimenggu", "month": "` + month + `", "by": "李娜"}`, 200, `"stage":"draft"`},
	} {
		if status, answer := post(tt.path, tt.body); status != tt.status || !strings.Contains(answer, tt.want) {
			t.Errorf("%s: %d %s, want %d %s", tt.body, status, answer, tt.status, tt.want)
		}
	}
	var all []greentally.Application
	if _, answer := getText(t, server.httpURL+"/api/v1/applications?community=lvyuan"); json.Unmarshal([]byte(answer), &all) != nil || len(all) != 1 {
		t.Fatalf("applications are %s", answer)
	}
	if status, answer := post("/api/v1/applications/"+all[0].ID+"/steps", `{"to": "submitted", "by": "李娜"}`); status != 200 || !strings.Contains(answer, `"bundle":"`) {
		t.Errorf("submitted: %d %s", status, answer)
	}
	for _, step := range []struct{ body, want string }{
		{`{"to": "named", "by": "区创建办", "level": "city"}`, "what can follow is surveyed, draft, rejected, withdrawn, not named"},
		{`{"to": "surveyed", "by": "街道"}`, ""}, {`{"to": "accepted", "by": "验收组"}`, ""},
		{`{"to": "named", "by": "区创建办"}`, "is none of national, city, district"},
		{`{"to": "named", "by": "区创建办", "level": "city", "until": "2099-12-31"}`, ""},
		{`{"to": "withdrawn", "by": "李娜", "why": "x"}`, "what can follow is revoked"},
	} {
		status, answer := post("/api/v1/applications/"+all[0].ID+"/steps", step.body)
		if (status == 200) != (step.want == "") || step.want != "" && (status != 409 || !strings.Contains(answer, step.want)) {
			t.Errorf("%s: %d %s", step.body, status, answer)
		}
	}
	if _, answer := getText(t, server.httpURL+"/api/v1/rollup"); !strings.Contains(answer, `"titled":{"city":1,"district":0,"national":0}`) {
		t.Errorf("the roll-up is %s", answer)
	}
	if err := finish(); err != nil {
		t.Error(err)
	}
}

func postJSON(t *testing.T, url, body string) (status int, answer string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	return answered(t, request)
}

func getText(t *testing.T, url string) (status int, answer string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return answered(t, request)
}

func answered(t *testing.T, request *http.Request) (status int, answer string) {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
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

// TestMonthIsMailed has the whole program make the month's export by schedule and mail it, once:
// also after kill -9. What it mails is what it keeps, and right.
func TestMonthIsMailed(t *testing.T) {
	t.Parallel()
	server := testserver.Mailpit(t)
	smtp := fmt.Sprintf("smtp: {address: %q, from: greentally@example.org, tls: none}\n", server.SMTP)
	a := &applicant{newSite(t, []byte(gates+"contacts: [{email: wang@example.org, name: 王, }, {email: smith@example.org, language: en}]\n"), smtp+"exports: {schedule: never}\n"), lastMonth(t)}
	a.start()
	a.must("record", "add", "--community", "jiayuan", "--type", "survey", "--date", a.month.First().Add(14).String(), "--by", "李娜", "--value", "asked=200", "--value", "aware=180")
	a.stop()
	a.configure(smtp + "exports: {schedule: '* * * * *'}\n")
	a.start()
	waitFor(t, time.Minute, "a mail to each contact", func() bool { return len(server.Mails()) >= 2 })
	a.kill()
	a.start()
	var all []greentally.KeptExport
	waitFor(t, time.Minute, "both mails to be remembered", func() bool {
		err := a.get("/api/v1/communities/jiayuan/exports", &all)
		return err == nil && len(all) == 1 && len(all[0].Mailed) == 2
	})
	if all[0].Month != a.month {
		t.Errorf("the export is of %s", all[0].Month)
	}
	mails := server.Mails()
	if len(mails) > 3 { // killed between a mail and the note of it
		t.Errorf("%d mails", len(mails))
	}
	file := filepath.Join(a.dir, "kept.zip")
	if out := a.must("export", "list", "--community", "jiayuan"); !strings.Contains(out, all[0].Bundle) {
		t.Errorf("the list is\n%s", out)
	}
	_, data := getText(t, "http://"+a.http+"/api/v1/bundles/"+all[0].Bundle)
	a.write("kept.zip", []byte(data))
	if out, err := verify(t, file); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
	b, wrong := bundle.Open([]byte(data), nil)
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	for _, m := range mails {
		attached := map[string][]byte{}
		for _, f := range m.Attachments {
			attached[f.FileName] = f.Content
		}
		name := "jiayuan-" + a.month.String()
		if !bytes.Equal(attached[name+".pdf"], b.File("export.pdf")) || !bytes.Equal(attached[name+".xlsx"], b.File("export.xlsx")) {
			t.Errorf("%q has attached %v", m.Subject, slices.Sorted(maps.Keys(attached)))
		}
	}
}
