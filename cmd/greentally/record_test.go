package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"greentally"
)

// lvyuan runs the whole program in this process, with a community of that name.
func lvyuan(t *testing.T) (server running, finish func() error) {
	t.Helper()
	c := defaultConfig()
	c.DataDir, c.Communities = t.TempDir(), t.TempDir()
	c.Broker.Listen, c.HTTP.Listen = "127.0.0.1:0", "127.0.0.1:0"
	community, err := os.ReadFile(filepath.Join(testdata, "report", "communities", "lvyuan.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.Communities, "lvyuan.yaml"), community, 0o600); err != nil {
		t.Fatal(err)
	}
	return serving(t, c, slog.New(slog.DiscardHandler))
}

// serving runs the whole program in this process until finish is called.
func serving(t *testing.T, c config, log *slog.Logger) (server running, finish func() error) {
	t.Helper()
	up, ended := make(chan running, 1), make(chan error, 1)
	finish = background(t, func(ctx context.Context) error {
		err := serve(ctx, c, log, nil, func(r running) { up <- r })
		ended <- err
		return err
	})
	select {
	case server = <-up:
	case err := <-ended:
		t.Fatal(err)
	}
	return server, finish
}

// TestRecordsNameAnItem hands in evidence for items of the shipped schemes, to the whole
// program.
func TestRecordsNameAnItem(t *testing.T) {
	server, finish := lvyuan(t)
	for _, tt := range []struct {
		name, kind, item, values string
		want                     []string // parts of the error; none: it is added
	}{
		{"faults", "inspection", "neimenggu/archive", `{"incomplete": 2}`, nil},
		{"points", "judgement", "putuo_monthly/monthly_score", `{"points": 91.5}`, nil},
		{"another scheme", "inspection", "neimengu/archive", `{"incomplete": 2}`, []string{`there is no scheme "neimengu"; there are`, "neimenggu"}},
		{"another item", "inspection", "neimenggu/archives", `{"incomplete": 2}`, []string{`scheme neimenggu has no item "archives"; there are`, "neimenggu/archive"}},
		{"another type", "judgement", "neimenggu/archive", `{"points": 2}`, []string{"item neimenggu/archive takes no judgement; it takes inspection, document"}},
		{"another fault", "inspection", "neimenggu/archive", `{"incomplet": 2}`, []string{"the item has no such fault; there are none, incomplete"}},
		{"too many points", "judgement", "putuo_monthly/monthly_score", `{"points": 101}`, []string{"it can only say points from 0 to 100"}},
	} {
		input := fmt.Sprintf(`{"community": "lvyuan", "type": %q, "date": "2026-10-08", "by": "Li Na", "item": %q, "values": %s}`, tt.kind, tt.item, tt.values)
		_, err := cliWithInput(t, input, "record", "add", "-", "--server", server.httpURL)
		switch {
		case len(tt.want) > 0:
			wantError(t, tt.name, err, append(tt.want, "record 1 of 1", "invalid record: ")...)
		case err != nil:
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if err := finish(); err != nil {
		t.Error(err)
	}
}

// jpeg is a photo by its first bytes.
func jpeg(text string) []byte { return []byte("\xff\xd8\xff\xe0\x00\x10JFIF\x00" + text) }

// value returns a community's indicator of October 2026, nil if it has none.
func (s *site) value(community, indicator string) *float64 {
	s.t.Helper()
	var all []greentally.IndicatorValue
	if err := s.get("/api/v1/communities/"+community+"/indicators?month=2026-10", &all); err != nil {
		s.t.Fatal(err)
	}
	for _, v := range all {
		if v.Indicator == indicator {
			return v.Value
		}
	}
	s.t.Fatalf("there is no indicator %s", indicator)
	return nil
}

const recordsCommunity = `community: lakeside
name: {zh: 湖畔, en: Lakeside}
households: 100
sites: [{id: e1, type: estate}]
devices: [{id: meter, kind: lighting_meter, site: e1}]
`

// TestEvidenceOutlivesAKill adds a record with a photo, and has both after kill -9; what is
// withdrawn counts no more.
func TestEvidenceOutlivesAKill(t *testing.T) {
	t.Parallel()
	s := newSite(t, []byte(recordsCommunity), "")
	s.start()
	photo := jpeg(strings.Repeat("the gate at noon ", 100_000))
	file := s.write("现场 1.jpg", photo)
	server := []string{"--community", "lakeside", "--server", "http://" + s.http}
	record := func(args ...string) (string, error) {
		out, err := command(t, append(append([]string{"record"}, args...), server...)...)
		return strings.TrimSpace(out), err
	}
	survey := []string{"add", "--type", "survey", "--date", "2026-10-08", "--by", "李娜", "--value", "asked=200", "--value", "aware=180", "--attach", file}
	id, err := record(survey...)
	if err != nil {
		t.Fatal(err)
	}
	s.kill()
	s.start()

	out, err := record("get", id)
	var got greentally.Record
	if err == nil {
		err = json.Unmarshal([]byte(out), &got)
	}
	if err != nil || len(got.Attachments) != 1 || got.Attachments[0].Name != "现场 1.jpg" || got.Attachments[0].MediaType != "image/jpeg" || got.Values["aware"] != 180 {
		t.Fatalf("after kill -9: %+v, %v", got, err)
	}
	hash, kept := got.Attachments[0].SHA256, filepath.Join(s.dir, "kept.jpg")
	if _, err := record("attachment", hash, "--out", kept); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(kept); err != nil || !bytes.Equal(data, photo) {
		t.Errorf("the photo is %d bytes, %v; want the %d that were handed in", len(data), err, len(photo))
	}
	_, err = record(survey...)
	wantError(t, "a second time", err, "nothing was added", "it is there already: record "+id+" says the same")

	waitFor(t, 10*time.Second, "the survey to count", func() bool { v := s.value("lakeside", "awareness"); return v != nil && *v == 0.9 })
	withdrawn, err := record("withdraw", id, "--by", "李娜", "--why", "duplicate")
	if err != nil {
		t.Fatal(err)
	}
	if v := s.value("lakeside", "awareness"); v != nil {
		t.Errorf("awareness is %v when its survey is withdrawn, want none", *v)
	}
	_, err = record("withdraw", id, "--by", "李娜", "--why", "duplicate")
	wantError(t, "withdraw a second time", err, "it is there already", withdrawn)
	_, err = record("attachment", strings.Repeat("0", 64))
	wantError(t, "an attachment that is not there", err, "attachment 0000")
	_, err = record("get", "01A")
	wantError(t, "a record that is not there", err, "record 01A")
	if complaints := s.complaints(); len(complaints) > 0 {
		t.Errorf("the log complains: %q", complaints)
	}
}

// TestWithdrawnEventIsTalliedAgain declares that a meter was replaced, and withdraws that.
func TestWithdrawnEventIsTalliedAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t, []byte(recordsCommunity), "limits: {max_past: 200000h}\n")
	s.start()
	publish := publisher(t, s)
	for _, payload := range []string{`{"time": "2026-10-08T08:00:00+08:00", "energy_kwh": 100}`, `{"time": "2026-10-08T09:00:00+08:00", "energy_kwh": 110}`,
		`{"time": "2026-10-08T10:00:00+08:00", "energy_kwh": 3}`} {
		publish("meter", payload)
	}
	rise := func() string {
		var days []greentally.DeviceDay
		if err := s.get("/api/v1/communities/lakeside/devices/meter/days?from=2026-10-08&to=2026-10-08", &days); err != nil {
			t.Fatal(err)
		}
		if len(days) != 1 {
			return ""
		}
		return fmt.Sprint(days[0].Registers["energy_kwh"].Rise)
	}
	s.caughtUp(20 * time.Second)
	before := rise()
	server := []string{"--community", "lakeside", "--server", "http://" + s.http}
	id := strings.TrimSpace(must(t, append([]string{"record", "add", "--type", "meter_replaced", "--date", "2026-10-08", "--at", "2026-10-08T09:30", "--device", "meter", "--by", "李娜",
		"--value", "energy_kwh_end=114", "--value", "energy_kwh_start=0"}, server...)...))
	waitFor(t, 20*time.Second, "the new meter to count", func() bool { return rise() == "17" })
	must(t, append([]string{"record", "withdraw", id, "--by", "李娜", "--why", "another meter"}, server...)...)
	waitFor(t, 20*time.Second, "the day to be tallied as before, "+before, func() bool { return rise() == before })
	if before == "17" || before == "" {
		t.Errorf("before, the rise was %q", before)
	}
}

func TestImport(t *testing.T) {
	t.Parallel()
	server, finish := lvyuan(t)
	table, err := simplifiedchinese.GBK.NewEncoder().String(strings.Join([]string{
		"日期,填报人,垃圾类别,质量(kg),清运单位,去向,treatment,票号,附件",
		"2026/10/8,李娜,厨余垃圾,1250.5,环卫所,湿垃圾处理厂,composting,0017,照片/1.jpg;照片/2.pdf",
		"2026/10/9,李娜,其他垃圾,900,环卫所,焚烧厂,incineration,0018,",
		",,,,,,,,",
	}, "\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	dir := folders(t, map[string]string{"tickets.csv": table, "照片/1.jpg": string(jpeg("1")), "照片/2.pdf": "%PDF-1.7\n"})
	file := filepath.Join(dir, "tickets.csv")
	run := func(args ...string) (string, error) {
		out, err := command(t, append([]string{"record", "import"}, append(args, "--community", "lvyuan", "--type", "haul_ticket", "--server", server.httpURL)...)...)
		return strings.ReplaceAll(out, dir+string(filepath.Separator), ""), err
	}
	list := func(args ...string) string {
		return must(t, append([]string{"record", "list", "--community", "lvyuan", "--server", server.httpURL}, args...)...)
	}
	if out, err := run(file, "--check"); err != nil || out != "2 can be added, 0 there already\n" {
		t.Errorf("check: %q, %v", out, err)
	}
	if out := list("--format", "json"); out != "[]\n" {
		t.Errorf("checking added %s", out)
	}
	out, err := run(file)
	if err != nil || strings.Count(out, ": added 01") != 2 || !strings.HasPrefix(out, "tickets.csv:2: added 01") || !strings.HasSuffix(out, "\n2 added, 0 there already\n") {
		t.Errorf("import: %q, %v", out, err)
	}
	out, err = run(file)
	if err != nil || !strings.HasPrefix(out, "tickets.csv:2: skipped: ") || !strings.Contains(out, "it is there already: record 01") || !strings.HasSuffix(out, "\n0 added, 2 there already\n") {
		t.Errorf("import again: %q, %v", out, err)
	}

	var kept []greentally.Record
	if err := json.Unmarshal([]byte(list("--format", "json")), &kept); err != nil || len(kept) != 2 || kept[0].Texts["destination"] != "湿垃圾处理厂" || len(kept[0].Attachments) != 2 || kept[0].Attachments[1].Name != "2.pdf" {
		t.Fatalf("kept %+v, %v", kept, err)
	}
	// What is listed as a table can be imported: there is nothing new in it.
	must(t, "record", "withdraw", kept[1].ID, "--community", "lvyuan", "--by", "Li Na", "--why", "a slip", "--server", server.httpURL)
	listed := filepath.Join(dir, "listed.csv")
	for _, tt := range []struct{ args, want string }{{"", "0 added, 1 there already"}, {"--all", "0 added, 1 there already, 2 left out that were replaced or withdrawn"}} {
		if err := os.WriteFile(listed, []byte(list(append([]string{"--format", "csv"}, strings.Fields(tt.args)...)...)), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := run(listed); err != nil || !strings.HasSuffix(out, tt.want+"\n") {
			t.Errorf("import of what was listed %s: %q, %v; want %s", tt.args, out, err, tt.want)
		}
	}
	if out, err := run(file); err != nil || !strings.HasSuffix(out, "\n1 added, 1 there already\n") {
		t.Errorf("import of what was withdrawn: %q, %v", out, err)
	}

	// One row is new, the others are wrong in all ways: nothing is added.
	wrong := "community,date,by,stream,kg,carrier,destination,treatment,ticket,attachments\n" +
		"lvyuan,2026-10-10,李娜,food,1,a,b,composting,0019,\nlvyuan,2026-10-10,李娜,food,1,a,b,burning,,\nnobody,2026-10-10,李娜,food,1,a,b,composting,,\n" +
		"lvyuan,2026-10-10,李娜,food,7,a,b,composting,0017,\nlvyuan,2026-10-10,李娜,food,1,a,b,composting,,照片/3.jpg\nlvyuan,2026-10-10,李娜,food,1,a,b,composting,,tickets.csv\n"
	_, err = run(filepath.Join(folderWith(t, dir, "wrong.csv", wrong), "wrong.csv"))
	wantError(t, "wrong rows", err, `wrong.csv:3: treatment "burning" is none of`, `wrong.csv:4: `, `community "nobody"`, `wrong.csv:5: `, `ticket "0017" is that of record 01`,
		"wrong.csv:6: attachments: ", "3.jpg", "wrong.csv:7: attachments: ", "neither JPEG", "\nnothing was added")
	if err := json.Unmarshal([]byte(list("--format", "json")), &kept); err != nil || len(kept) != 2 {
		t.Errorf("%d records are in force, %v, want 2", len(kept), err)
	}
	_, err = run(filepath.Join(dir, "none.csv"))
	wantError(t, "no file", err, "none.csv")
	if err := finish(); err != nil {
		t.Error(err)
	}
}

// folderWith writes a file into a folder and returns the folder.
func folderWith(t *testing.T, dir, name, text string) string {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRecordAddByFlags(t *testing.T) {
	a := startAPI(t, "")
	if out, err := cli(t, "record", "add", "--community", "jiayuan", "--type", "complaint", "--date", "2026-10-08", "--until", "2026-10-09", "--at", "2026-10-08T09:30:00+08:00",
		"--end", "2026-10-08 10:00", "--stream", "food", "--device", "bin-1", "--item", "a/b", "--value", "n=-1.5", "--text", "about=a, b=c", "--by", "李娜", "--why", "w", "--replaces", "R0",
		"--server", a.url); err != nil || out != "R1\n" {
		t.Fatalf("%q, %v", out, err)
	}
	data, err := json.Marshal(a.added[0])
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"id":"","community":"jiayuan","type":"complaint","date":"2026-10-08","until":"2026-10-09","at":"2026-10-08T09:30:00+08:00","end":"2026-10-08T10:00:00Z",` +
		`"stream":"food","device":"bin-1","item":"a/b","values":{"n":-1.5},"texts":{"about":"a, b=c"},"by":"李娜","why":"w","recorded":"0001-01-01T00:00:00Z","replaces":"R0"}`
	if string(data) != want {
		t.Errorf("added %s, want %s", data, want)
	}
	photo := writeFile(t, "a.jpg", string(jpeg("a")))
	two := writeFile(t, "two.json", `[{"community": "jiayuan", "date": "2026-10-08"}, {"community": "jiayuan", "date": "2026-10-08"}]`)
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"nothing", nil, []string{"give FILE, or a record by flags", "greentally record types"}},
		{"a photo alone", []string{"--attach", photo}, []string{"give FILE, or a record by flags"}},
		{"a file and flags", []string{two, "--by", "x"}, []string{"give either FILE, or a record by flags"}},
		{"no community", []string{"--date", "2026-10-08"}, []string{"the flags: record 1 of 1: community is missing; nothing was added"}},
		{"no date", []string{"--community", "jiayuan"}, []string{"date is missing; nothing was added"}},
		{"all wrong", []string{"--date", "x", "--until", "y", "--at", "z", "--end", "z", "--text", "a", "--text", "=b"}, []string{`--date: "x"`, `--until: "y"`, "--at: ", "--end: ", `--text: "a": want a name and a text`, `"=b"`}},
		{"a time in a community that is not there", []string{"--community", "nobody", "--at", "2026-10-08 09:30"}, []string{`--at: there is no community "nobody"`}},
		{"a time that is none", []string{"--community", "jiayuan", "--at", "noon"}, []string{`--at: "noon" is not a time such as`}},
		{"a text twice", []string{"--text", "a=1", "--text", "a=2"}, []string{`--text: "a=2"`, "each name once"}},
		{"a photo for two", []string{two, "--attach", photo}, []string{"--attach: there are 2 records in", "nothing was added"}},
		{"no photo", []string{"--community", "jiayuan", "--date", "2026-10-08", "--attach", photo + "x"}, []string{"nothing was added", "a.jpgx"}},
		{"what is no photo", []string{"--community", "jiayuan", "--date", "2026-10-08", "--attach", two}, []string{"nothing was added", `attachment "two.json" is neither JPEG`}},
	} {
		_, err := cli(t, append([]string{"record", "add", "--server", a.url}, tt.args...)...)
		wantError(t, tt.name, err, tt.want...)
	}
	if len(a.added) != 1 {
		t.Errorf("%d records were added, want one", len(a.added))
	}
}

func TestRecordTemplate(t *testing.T) {
	if out, err := cli(t, "record", "template", "--type", "haul_ticket"); err != nil || out != "\ufeff社区,类型,日期,至,垃圾类别,质量(kg),清运单位,去向,处置方式,票号,填报人,说明,附件\n"+
		"jiayuan,清运联单,2026-10-08,,厨余垃圾,1250,环卫所,湿垃圾处理厂,composting,,示例,,\n" {
		t.Errorf("%s, %v", out, err)
	}
	if out, err := cli(t, "record", "template", "--type", "complaint", "--lang", "en"); err != nil || out != "community,type,date,until,at,end,about,by,why,attachments\n"+
		"jiayuan,complaint,2026-10-08,,2026-10-08T01:00:00Z,,垃圾满溢,EXAMPLE,,\n" {
		t.Errorf("%s, %v", out, err)
	}
	_, err := cli(t, "record", "template", "--type", "call")
	wantError(t, "no such type", err, `there is no type of record "call"; there are activity`)
	_, err = cli(t, "record", "template", "--type", "survey", "--lang", "fr")
	wantError(t, "a language", err, `--lang "fr" is none of zh, en`)
}

// TestImportOfOthers imports tables that name files of elsewhere on the disk: none is read, let
// alone sent.
func TestImportOfOthers(t *testing.T) {
	sent := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/api/v1/communities":
			_, _ = io.WriteString(w, `[{"community": "c", "time_zone": "Asia/Shanghai"}]`)
		case strings.HasSuffix(r.URL.Path, "/attachments"):
			sent[r.URL.Query().Get("name")] = true
			_, _ = io.WriteString(w, "{}")
		default:
			_, _ = io.WriteString(w, "{}")
		}
	}))
	defer server.Close()
	private := folders(t, map[string]string{"contract.pdf": "%PDF-1.7\nprivate"})
	dir := folders(t, map[string]string{"table/own.jpg": string(jpeg("1")), "beside.pdf": "%PDF-1.7\nbeside", "table/long.pdf": "%PDF-1.7\n" + strings.Repeat("x", greentally.MaxAttachment)})
	table := filepath.Join(dir, "table")
	for name, to := range map[string]string{"link.pdf": filepath.Join(private, "contract.pdf"), "up.pdf": filepath.Join("..", "beside.pdf"), "folder": private, "inside.jpg": "own.jpg"} {
		if err := os.Symlink(to, filepath.Join(table, name)); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		filepath.Join(private, "contract.pdf"): "not in the folder of the table",
		"../beside.pdf":                        "not in the folder of the table",
		"a/../../beside.pdf":                   "not in the folder of the table",
		"/dev/zero":                            "not in the folder of the table",
		"link.pdf":                             "escapes",
		"up.pdf":                               "escapes",
		"folder/contract.pdf":                  "escapes",
		".":                                    "no file",
		"long.pdf":                             "longer than an attachment may be, 20 MiB",
		"own.jpg":                              "",
		"./own.jpg":                            "",
		"inside.jpg":                           "",
	} {
		t.Run(path, func(t *testing.T) {
			clear(sent)
			file := filepath.Join(table, "t.csv")
			row := "community,type,date,by,stream,kg,carrier,destination,treatment,ticket,attachments\nc,haul_ticket,2026-10-08,Li,food,1,a,b,composting,1," + path + "\n"
			if err := os.WriteFile(file, []byte(row), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := cli(t, "record", "import", file, "--server", server.URL)
			if want != "" {
				wantError(t, path, err, "t.csv:2: attachments: ", want)
			} else if err != nil {
				t.Error(err)
			}
			if (len(sent) > 0) != (want == "") {
				t.Errorf("sent %v", sent)
			}
		})
	}
}
