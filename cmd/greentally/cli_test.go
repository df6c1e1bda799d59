package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/bcrypt"

	"greentally"
	"greentally/devices"
	"greentally/ingest"
	"greentally/internal/golden"
	"greentally/internal/strictyaml"
	"greentally/report"
	"greentally/store/sqlite"
	"greentally/web"
)

// cli runs a command of the program with nothing in its environment and returns what
// it printed.
func cli(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out, stderr bytes.Buffer
	err := run(t.Context(), args, nil, &out, &stderr)
	if stderr.Len() > 0 {
		t.Logf("standard error: %s", &stderr)
	}
	return out.String(), err
}

// cliWithInput is cli with something on standard input.
func cliWithInput(t *testing.T, input string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	root := newRoot(&out)
	root.SetIn(strings.NewReader(input))
	root.SetArgs(args)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

func newRoot(out io.Writer) *cobra.Command {
	root := (&program{out: out, err: io.Discard}).command()
	root.SetOut(out)
	root.SetErr(io.Discard)
	return root
}

// wantError checks that an error has all the parts.
func wantError(t *testing.T, what string, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", what)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: error %q lacks %q", what, err, part)
		}
	}
}

// eachCommand calls do for each command of the program, but for those that cobra adds.
func eachCommand(root *cobra.Command, do func(*cobra.Command)) {
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" && cmd.Name() != "help" {
			do(cmd)
			eachCommand(cmd, do)
		}
	}
}

func TestHelpTeaches(t *testing.T) {
	count := 0
	eachCommand(newRoot(io.Discard), func(cmd *cobra.Command) {
		count++
		words := strings.Fields(cmd.CommandPath())[1:]
		out, err := cli(t, append(words, "--help")...)
		if err != nil {
			t.Errorf("%v --help: %v", words, err)
		}
		if !strings.Contains(out, "Usage:\n  greentally "+words[0]) || cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%v --help says neither what it does nor how: %s", words, out)
		}
		main := len(words) == 1 && words[0] != "version"
		if main && cmd.Long == "" && cmd.Example == "" {
			t.Errorf("%v has neither a description nor an example", words)
		}
		for _, text := range []string{cmd.Long, cmd.Example} {
			if !strings.Contains(out, text) {
				t.Errorf("%v --help lacks %q", words, text)
			}
		}
		for line := range strings.Lines(out) {
			if flag := regexp.MustCompile(`^ +(-., )?--(\S+) *(\S+)?$`).FindStringSubmatch(strings.TrimRight(line, " \n")); flag != nil {
				t.Errorf("%v: the flag %s is not described", words, flag[2])
			}
		}
	})
	if count < 15 {
		t.Errorf("only %d commands", count)
	}
	out, err := cli(t)
	if err != nil || !strings.Contains(out, "greentally demo") || !strings.Contains(out, "Available Commands:") {
		t.Errorf("without arguments: %v, %s", err, out)
	}
}

var calls = regexp.MustCompile(`^(?:[A-Z_]+=\S+ )*(?:.*\| )?(?:go run \./cmd/)?(?:bin/)?greentally ([a-z-][^#|>]*)`)

// What the help and the documents tell people to type is what the program takes.
func TestExamplesAreRight(t *testing.T) {
	lines := map[string]string{} // line to where it is
	root := newRoot(io.Discard)
	add := func(where, text string, indent string) {
		fenced := false
		for line := range strings.Lines(text) {
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				fenced = !fenced
			}
			if fenced || strings.HasPrefix(line, indent) {
				lines[strings.TrimSpace(line)] = where
			}
		}
	}
	add("help", root.Long, "    ")
	eachCommand(root, func(cmd *cobra.Command) {
		add(cmd.CommandPath(), cmd.Long, "    ")
		add(cmd.CommandPath(), cmd.Example, "  ")
	})
	documents, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(documents, "../../README.md", "../../README.zh-CN.md", "../../CONTRIBUTING.md") {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		add(name, string(data), "    ")
	}
	found := 0
	for line, where := range lines {
		call := calls.FindStringSubmatch(line)
		if call == nil {
			continue
		}
		found++
		fresh := newRoot(io.Discard)
		cmd, rest, err := fresh.Find(strings.Fields(call[1]))
		if err == nil {
			err = cmd.ParseFlags(rest)
		}
		if err == nil {
			err = errors.Join(cmd.ValidateArgs(cmd.Flags().Args()), cmd.ValidateRequiredFlags())
		}
		if err != nil {
			t.Errorf("%s: %q: %v", where, line, err)
		}
	}
	if found < 15 {
		t.Errorf("only %d examples found", found)
	}
}

func TestCommandsThatAreNotThere(t *testing.T) {
	for _, args := range [][]string{{"frob"}, {"devices", "frob"}, {"deadletter", "frob"}, {"record", "frob"}} {
		_, err := cli(t, args...)
		wantError(t, strings.Join(args, " "), err, `unknown command "frob" for "greentally`)
	}
	for _, args := range [][]string{{"check", "frob"}, {"version", "frob"}, {"report", "frob"}, {"run", "frob"}, {"demo", "frob"}} {
		_, err := cli(t, args...)
		wantError(t, strings.Join(args, " "), err, "frob")
	}
	_, err := cli(t, "check", "--frob")
	wantError(t, "an unknown flag", err, "unknown flag: --frob")
	for _, group := range []string{"devices", "deadletter", "record"} {
		if out, err := cli(t, group); err != nil || !strings.Contains(out, "Available Commands:") {
			t.Errorf("%s alone: %v, %s; want its help", group, err, out)
		}
	}
}

func TestVersion(t *testing.T) {
	out, err := cli(t, "version")
	if err != nil || !strings.HasPrefix(out, "greentally ") || !strings.Contains(out, " "+runtime.Version()+" ") || strings.Count(out, "\n") != 1 {
		t.Errorf("version: %q, %v", out, err)
	}
}

func TestCompletion(t *testing.T) {
	for shell, want := range map[string]string{"bash": "__start_greentally", "zsh": "#compdef greentally", "fish": "complete -c greentally", "powershell": "Register-ArgumentCompleter"} {
		if out, err := cli(t, "completion", shell); err != nil || !strings.Contains(out, want) {
			t.Errorf("completion %s: %v, %d bytes without %q", shell, err, len(out), want)
		}
	}
	out, err := cli(t, "__complete", "schema", "")
	if err != nil || !strings.HasPrefix(out, "config\ncommunity\nkind\nprofile\n") {
		t.Errorf("completion of schema: %q, %v", out, err)
	}
}

func TestHashPassword(t *testing.T) {
	for _, input := range []string{"s3cret", "s3cret\r\nmore\n"} {
		out, err := cliWithInput(t, input, "hash-password")
		if err != nil {
			t.Fatal(err)
		}
		hash := strings.TrimSuffix(out, "\n")
		if err := bcrypt.CompareHashAndPassword([]byte(hash), []byte("s3cret")); err != nil {
			t.Errorf("input %q: %q is not the hash of s3cret: %v", input, hash, err)
		}
		if err := (ingest.User{Username: "a", PasswordBcrypt: hash}).Validate(); err != nil {
			t.Errorf("users_file would refuse it: %v", err)
		}
	}
	for _, input := range []string{"", "\n"} {
		_, err := cliWithInput(t, input, "hash-password")
		wantError(t, "no password", err, "no password on standard input")
	}
	_, err := cliWithInput(t, strings.Repeat("x", 73), "hash-password")
	wantError(t, "a password of 73 bytes", err, "hash password", "72")
}

func TestSchemaCommandRefuses(t *testing.T) {
	_, err := cli(t, "schema")
	wantError(t, "schema", err, "name one of [community config kind profile]", "--dir")
	_, err = cli(t, "schema", "frob")
	wantError(t, "schema frob", err, `there is no schema "frob"; there are [community config kind profile]`)
	_, err = cli(t, "schema", "--dir", writeFile(t, "schemas", ""))
	wantError(t, "schema --dir of a file", err, "--dir: ", "schemas")
}

const goodIndicator = `indicator: good
title: {zh: 好, en: Good}
unit: kg
source: here
inputs:
  a: {kind: sorting_bin, value: mass_kg.collected}
numerator: a
denominator: community.households
tests:
  - name: one
    community: {households: 10}
    devices: [{id: x, kind: sorting_bin, stream: food, days: [{masses: {mass_kg: {collected: 5}}}]}]
    want: {value: 0.5, verdict: no_target}
`

// folders writes files into a folder and returns it.
func folders(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCheck(t *testing.T) {
	t.Chdir(t.TempDir()) // the default folders are those of the working folder
	shipped, err := cli(t, "check")
	if err != nil || !regexp.MustCompile(`^all valid: [1-9]\d* indicators, [1-9]\d* factors, [1-9]\d* schemes, [1-9]\d* alert rules, [1-9]\d* types of records; [1-9]\d+ tests passed\n$`).MatchString(shipped) {
		t.Fatalf("check of what is shipped: %q, %v", shipped, err)
	}
	var tests, more int
	if _, err := fmt.Sscanf(shipped[strings.Index(shipped, ";"):], "; %d tests", &tests); err != nil {
		t.Fatal(err)
	}

	community, err := os.ReadFile(filepath.Join(testdata, "report/communities/lvyuan.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	door := `kind: door
title: {en: Door}
quantities: [{name: openings, nature: register, unit: count, title: {en: Openings}}]
tests:
  - name: three
    device: {id: d, kind: door, site: gate}
    payload: '{"openings": 3}'
    want: [{values: {openings: 3}}]
`
	good := map[string]string{
		"greentally.yaml": "communities: c\nkinds: k\nindicators: i\n", "c/lvyuan.yaml": string(community), "k/door.yaml": door, "i/good.yaml": goodIndicator,
	}
	dir := folders(t, good)
	out, err := cli(t, "check", "--config", filepath.Join(dir, "greentally.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(out[strings.Index(out, ";"):], "; %d tests", &more); err != nil || more != tests+2 {
		t.Errorf("%q after %q, want two tests more: that of the kind and that of the indicator", out, shipped)
	}

	for _, tt := range []struct {
		listen, web string
		note        bool
		wrong       []string // none: it is valid
	}{
		{"0.0.0.0:8080", "", true, nil},
		{"127.0.0.1:8080", "http_server_config: {http2: false, headers: {X-Frame-Options: deny}}", false, nil},
		{"0.0.0.0:8080", "tls_server_config: {cert_file: none.pem, key_file: none.key}", false, []string{"http.web_config_file: ", "web.yml: ", "none.pem"}},
		{"127.0.0.1:8080", "tls_server_confg: {}", false, []string{"http.web_config_file: ", "web.yml: ", "tls_server_confg"}},
		{"127.0.0.1:8080", "basic_auth_users: {li: $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi}", false, []string{"web.yml: basic_auth_users", "greentally user add", "greentally token add"}},
		{"127.0.0.1:8080", `http_server_config: {headers: {Content-Security-Policy: "default-src *"}}`, false, []string{"web.yml: headers: ", "Content-Security-Policy"}},
	} {
		files := maps.Clone(good)
		files["greentally.yaml"] += fmt.Sprintf("http: {listen: %q}\n", tt.listen)
		if tt.web != "" {
			files["greentally.yaml"] = strings.Replace(files["greentally.yaml"], "http: {", "http: {web_config_file: web.yml, ", 1)
			files["web.yml"] = tt.web
		}
		out, err := cli(t, "check", "--config", filepath.Join(folders(t, files), "greentally.yaml"))
		if tt.wrong != nil {
			wantError(t, tt.web, err, tt.wrong...)
		} else if noted := strings.HasPrefix(out, "note: http.listen "+tt.listen); err != nil || noted != tt.note || !strings.Contains(out, "all valid") {
			t.Errorf("%s %s: %v\n%s", tt.listen, tt.web, err, out)
		}
	}

	for _, tt := range []struct {
		name            string
		file, from, to  string
		want            []string // places and reasons
		withoutSettings bool     // name the folders by flags
	}{
		{"the configuration", "greentally.yaml", "kinds:", "kind:", []string{`greentally.yaml:2: unknown key "kind"`}, false},
		{"a community", "c/lvyuan.yaml", "kind: battery_box", "kind: battery_bx", []string{`c/lvyuan.yaml:11: device box: there is no kind "battery_bx"`}, false},
		{"a kind", "k/door.yaml", "nature: register", "nature: regster", []string{"k/door.yaml:3: quantity openings: nature:"}, false},
		{"the test of a kind", "k/door.yaml", "openings: 3}}]", "openings: 4}}]", []string{`k/door.yaml:8: test "three": openings is 3, want 4`}, false},
		{"an indicator", "i/good.yaml", "numerator: a", "numerator: b", []string{"i/good.yaml:7: numerator: unknown name b"}, false},
		{"the test of an indicator", "i/good.yaml", "value: 0.5", "value: 0.6", []string{`i/good.yaml:10: test "one"`}, false},
		{"by flags", "i/good.yaml", "value: 0.5", "value: 0.6", []string{`i/good.yaml:10: test "one"`}, true},
	} {
		files := map[string]string{}
		for name, text := range good {
			files[name] = text
		}
		files[tt.file] = strings.Replace(good[tt.file], tt.from, tt.to, 1)
		if files[tt.file] == good[tt.file] {
			t.Fatalf("%s: the test changes nothing", tt.name)
		}
		dir := folders(t, files)
		args := []string{"check", "--config", filepath.Join(dir, "greentally.yaml")}
		if tt.withoutSettings {
			args = []string{"check", "--communities", filepath.Join(dir, "c"), "--kinds", filepath.Join(dir, "k"), "--indicators", filepath.Join(dir, "i")}
		}
		out, err := cli(t, args...)
		wantError(t, tt.name, err, tt.want...)
		if out != "" {
			t.Errorf("%s: printed %q all the same", tt.name, out)
		}
	}

	// All that is wrong comes at once, whichever file it is in.
	dir = folders(t, map[string]string{
		"greentally.yaml": good["greentally.yaml"],
		"c/lvyuan.yaml":   strings.Replace(string(community), "households: 1400", "households: -1", 1),
		"k/door.yaml":     strings.Replace(door, "openings: 3}}]", "openings: 4}}]", 1),
		"i/good.yaml":     strings.Replace(goodIndicator, "value: 0.5", "value: 0.6", 1),
	})
	_, err = cli(t, "check", "--config", filepath.Join(dir, "greentally.yaml"))
	wantError(t, "all at once", err, "c/lvyuan.yaml:4: households", `k/door.yaml:8: test "three"`, `i/good.yaml:10: test "one"`)

	for _, folder := range []string{"communities", "kinds", "profiles", "indicators"} {
		_, err = cli(t, "check", "--"+folder, filepath.Join(dir, "none"))
		wantError(t, "a folder of "+folder+" that is not there", err, "read the folder "+filepath.Join(dir, "none"))
	}
	_, err = cli(t, "check", "--config", filepath.Join(dir, "none.yaml"))
	wantError(t, "a configuration that is not there", err, "none.yaml")
}

// testdata is this package's, also when a test is in another folder.
var testdata, _ = filepath.Abs("testdata")

// reportSite makes a site with a community and the device-days of February 2025.
func reportSite(t *testing.T) (config string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(testdata, "report"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "data", "greentally.db"))
	if err != nil {
		t.Fatal(err)
	}
	february := greentally.Month{Year: 2025, Month: time.February}
	kg := func(v float64) greentally.Amount { a, _ := greentally.AmountOf(v); return a }
	whole := greentally.Duration(24 * time.Hour)
	var days []greentally.DeviceDay
	add := func(device, kind string, date greentally.Date, fill func(*greentally.DeviceDay)) {
		d := greentally.DeviceDay{
			DeviceKey: greentally.DeviceKey{Community: "lvyuan", Device: device}, Kind: kind, Site: "e1", Date: date, Hours: 24,
			Readings: 144, Expected: 144, Covered: whole,
		}
		fill(&d)
		days = append(days, d)
	}
	for date := february.First(); !february.Last().Before(date); date = date.Add(1) {
		emptied := []greentally.Emptying{{Time: date.Start(time.UTC), Mass: kg(1)}}
		for device, collected := range map[string]float64{"recyclable": 20, "food": 30, "residual": 50} {
			add(device, "sorting_bin", date, func(d *greentally.DeviceDay) {
				d.Stream = greentally.Stream(device)
				m := greentally.MassDay{Deposited: kg(collected), Collected: kg(collected), Max: kg(collected), Collections: emptied}
				if device == "food" && date.Day > 26 { // not emptied on two days
					m.Collections, m.Collected, m.Last = nil, 0, m.Deposited
				}
				d.Masses = map[string]greentally.MassDay{"mass_kg": m}
				d.Gauges = map[string]greentally.GaugeDay{"fill_ratio": {Known: whole, Above: greentally.Duration(time.Hour)}}
			})
		}
		add("box", "battery_box", date, func(d *greentally.DeviceDay) {
			d.Masses = map[string]greentally.MassDay{"mass_kg": {Deposited: kg(0.1)}}
		})
		if date.Day <= 3 { // and then it is silent
			add("light", "lighting_meter", date, func(d *greentally.DeviceDay) {
				d.Registers = map[string]greentally.RegisterDay{"energy_kwh": {Rise: kg(18), Known: whole}, "operating_hours": {Rise: kg(10), Known: whole}}
			})
		}
	}
	audit := greentally.Record{
		ID: "01JKZ0000000000000000000AA", Community: "lvyuan", Type: greentally.CompositionAudit, Date: february.First(), Stream: greentally.Recyclable,
		Values: greentally.Values{"recyclable_ratio": 0.95, "sample_kg": 50}, By: "Li Na",
	}
	err = errors.Join(store.WriteDeviceDays(t.Context(), days), store.WriteRecords(t.Context(), []greentally.Record{audit}), store.Close())
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "greentally.yaml")
}

func TestReport(t *testing.T) {
	t.Parallel()
	config := reportSite(t)
	for name, args := range map[string][]string{
		"table_zh.golden": nil,
		"table_en.golden": {"--lang", "en"},
		"csv.golden":      {"--format", "csv"},
		"json.golden":     {"--format", "json"},
	} {
		out, err := cli(t, append([]string{"report", "--config", config, "--community", "lvyuan", "--month", "2025-02"}, args...)...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		golden.Equal(t, filepath.Join(testdata, "report", name), out)
	}
}

// The rates in the report are those that one computes by hand from what reportSite
// wrote, in each format.
func TestReportIsRight(t *testing.T) {
	config := reportSite(t)
	want := map[string]struct {
		value, completeness float64
		verdict             greentally.Verdict
	}{
		"batteries_per_household": {28 * 0.1 * 1000 / 1400, 1, greentally.NoTarget},
		"daily_clearance":         {54. / 56, 1, greentally.Fail},
		"lighting_saving":         {(40. - 18) / 40, 3. / 28, greentally.InsufficientData},
		"overflow_share":          {1. / 24, 1, greentally.Pass},
		"separate_collection":     {(28*20. + 26*30) / (28*20 + 26*30 + 28*50), 1, greentally.Pass},
		"recyclable_capture":      {-1, 1, greentally.InsufficientData}, // no audit of residual waste, and so no value
	}
	near := func(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 }

	var values []greentally.IndicatorValue
	out, err := cli(t, "report", "--config", config, "--community", "lvyuan", "--month", "2025-02", "--format", "json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(out), &values); err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, v := range values {
		if _, ok := want[v.Indicator]; !ok {
			continue // a newer indicator; the golden files have it
		}
		found++
		value := -1.
		if v.Value != nil {
			value = *v.Value
		}
		if w := want[v.Indicator]; !near(value, w.value) || !near(v.Completeness, w.completeness) || v.Verdict != w.verdict {
			t.Errorf("%s is %v, completeness %v, %s; want %+v", v.Indicator, value, v.Completeness, v.Verdict, w)
		}
		if (v.Verdict == greentally.InsufficientData) != (v.Reason != (greentally.Text{})) {
			t.Errorf("%s: verdict %s for the reason %q", v.Indicator, v.Verdict, v.Reason)
		}
	}
	if found != len(want) {
		t.Errorf("%d of the indicators are there, want %d", found, len(want))
	}

	if out, err = cli(t, "report", "--config", config, "--community", "lvyuan", "--month", "2025-02", "--format", "csv"); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(rows) != len(values)+1 {
		t.Fatalf("%d rows, %v, want %d", len(rows), err, len(values)+1)
	}
	for _, row := range rows[1:] {
		if _, ok := want[row[2]]; !ok {
			continue
		}
		value := -1.
		if row[4] != "" {
			if _, err := fmt.Sscan(row[4], &value); err != nil {
				t.Errorf("%v: %v", row, err)
			}
		}
		if w := want[row[2]]; row[0] != "lvyuan" || row[1] != "2025-02" || !near(value, w.value) || row[10] != string(w.verdict) {
			t.Errorf("row %q, want %+v", row, w)
		}
	}
}

// A month without any data has no rate and no verdict; it is no error.
func TestReportOfAMonthWithoutData(t *testing.T) {
	out, err := cli(t, "report", "--config", reportSite(t), "--community", "lvyuan", "--month", "2025-03", "--lang", "en")
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Count(out, "│\n") - 1 // without the head
	if rows < 6 || strings.Count(out, "insufficient data") != rows || strings.Contains(out, " pass ") || strings.Contains(out, " fail ") {
		t.Errorf("want no verdict but insufficient data:\n%s", out)
	}
}

func TestReportRefuses(t *testing.T) {
	config := reportSite(t)
	nowhere := writeFile(t, "greentally.yaml", "data_dir: none\n")
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"no month", []string{"--config", config, "--community", "lvyuan"}, []string{`required flag(s) "month" not set`}},
		{"no community", []string{"--config", config, "--month", "2025-02"}, []string{`required flag(s) "community" not set`}},
		{"month 13", []string{"--config", config, "--community", "lvyuan", "--month", "2025-13"}, []string{`--month: "2025-13" is not a month such as 2026-10`}},
		{"a day", []string{"--config", config, "--community", "lvyuan", "--month", "2025-02-01"}, []string{`--month: "2025-02-01" is not a month`}},
		{"another community", []string{"--config", config, "--community", "lvyan", "--month", "2025-02"}, []string{`there is no community "lvyan" in `, "there are [lvyuan]"}},
		{"a format", []string{"--config", config, "--community", "lvyuan", "--month", "2025-02", "--format", "pdf"}, []string{`--format "pdf" is none of table, csv, json`}},
		{"a language", []string{"--config", config, "--community", "lvyuan", "--month", "2025-02", "--lang", "fr"}, []string{`--lang "fr" is none of zh, en`}},
		{"no store", []string{"--config", nowhere, "--community", "lvyuan", "--month", "2025-02"}, []string{"there is no store", "greentally.db", "data_dir"}},
		{"no configuration", []string{"--config", nowhere + "x", "--community", "lvyuan", "--month", "2025-02"}, []string{"greentally.yamlx"}},
	} {
		out, err := cli(t, append([]string{"report"}, tt.args...)...)
		wantError(t, tt.name, err, tt.want...)
		if out != "" {
			t.Errorf("%s: printed %q all the same", tt.name, out)
		}
	}
}

// Where LANG is Chinese, tables are as wide as anywhere: terminals draw lines one
// column wide.
func TestTablesInAChineseLocale(t *testing.T) {
	t.Parallel()
	test, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), test, "-test.run=^TestReport$")
	cmd.Env = append(os.Environ(), "LC_ALL=zh_CN.UTF-8", "LC_CTYPE=zh_CN.UTF-8", "LANG=zh_CN.UTF-8")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestNumbersForPeople(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 100: "100", 12.3: "12.3", 0.12345: "0.123", -0.5: "-0.5", 1e6: "1000000"} {
		if got := number(&v); got != want {
			t.Errorf("number(%v) is %q, want %q", v, got, want)
		}
	}
	if number(nil) != "" || report.Exact(nil) != "" || show(nil, "ratio", "zh") != "–" {
		t.Error("what is missing looks like a number")
	}
	// A value just below a target does not look as if it reached it.
	if v := 0.29951; report.Exact(&v) != "0.29951" || show(&v, "ratio", "zh") != "29.95 %" || show(&v, "kg", "en") != "0.300 kg" || show(&v, "h", "zh") != "0.300 小时" {
		t.Errorf("%v is written %s, %s, %s", v, report.Exact(&v), show(&v, "ratio", "zh"), show(&v, "kg", "en"))
	}
	most := 0.05
	if got := target(greentally.IndicatorValue{Unit: "ratio", Target: &greentally.Target{AtMost: &most}}, "zh"); got != "≤ 5.00 %" {
		t.Errorf("target %q", got)
	}
}

func TestDifferences(t *testing.T) {
	for _, tt := range []struct {
		value, truth float64
		unit         string
		en, zh       string
	}{
		{0.9665, 0.9659, "ratio", "+0.06 pp", "+0.06 个百分点"},
		{0.0309, 0.0311, "ratio", "-0.02 pp", "-0.02 个百分点"},
		{0.56048, 0.56049, "ratio", "+0.00 pp", "+0.00 个百分点"},
		{2.3485, 2.348, "g/household", "+0.02 %", "+0.02 %"},
		{2.2, 2.5, "g/household", "-12.00 %", "-12.00 %"},
	} {
		if en, zh := difference(tt.value, tt.truth, tt.unit, reportWords["en"]), difference(tt.value, tt.truth, tt.unit, reportWords["zh"]); en != tt.en || zh != tt.zh {
			t.Errorf("%v of %v %s is written %q and %q, want %q and %q", tt.value, tt.truth, tt.unit, en, zh, tt.en, tt.zh)
		}
	}
	for _, language := range []string{"zh", "en"} {
		for word := range reportWords["zh"] {
			if reportWords[language][word] == "" {
				t.Errorf("%s has no word for %s", language, word)
			}
		}
	}
}

// Where there is no terminal, progress is two lines and not hundreds of bars.
func TestProgressWithoutATerminal(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var memory bytes.Buffer
	for _, out := range []io.Writer{file, &memory} {
		p := newProgress(out, 24*60, "simulating")
		for done := range 24 * 60 {
			p.set(done)
		}
		p.finish()
	}
	data, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{string(data), memory.String()} {
		if !regexp.MustCompile(`^simulating …\nsimulating: 100 % \([0-9.]+m?s\)\n$`).MatchString(got) {
			t.Errorf("progress is %q", got)
		}
	}
}

func TestDemoRefuses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	out, err := cli(t, "demo", "--lang", "fr", "--dir", dir, "--for", "1s")
	wantError(t, "a language", err, `--lang "fr" is none of zh, en`)
	if _, statErr := os.Stat(dir); out != "" || statErr == nil {
		t.Errorf("it printed %q, or made its folder, all the same", out)
	}
}

// In Chinese all that the demo shows is Chinese, but for names.
func TestDemoInChinese(t *testing.T) {
	var out, stderr buffer
	finish := background(t, func(ctx context.Context) error {
		return run(ctx, []string{"demo", "--lang", "zh", "--days", "1"}, nil, &out, &stderr)
	})
	waitFor(t, 2*time.Minute, "the demo's last line", func() bool { return strings.Contains(out.String(), "按 Ctrl-C 结束演示。\n") })
	if err := finish(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"嘉苑社区 · 78 台设备 · ", " 条读数，用时 ", "│ 差 ", " 个百分点 │", "页面      http://127.0.0.1:", "大屏      http://127.0.0.1:", "接口      http://127.0.0.1:", "监控指标  http://127.0.0.1:", "数据      ", "试试"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing", want)
		}
	}
	for _, no := range []string{"devices", "readings in", "try:", "API ", "Metrics", "Data", "go on live", "difference", "pp"} {
		if strings.Contains(out.String(), no) {
			t.Errorf("%q is not Chinese", no)
		}
	}
	if lines := strings.Split(stderr.String(), "\n"); lines[0] != "78 台设备发送 1 天的数据 …" || !strings.HasPrefix(lines[1], "78 台设备发送 1 天的数据: 100 %") || strings.Contains(stderr.String(), "\r") {
		t.Errorf("standard error: %q", stderr.String())
	}
	if t.Failed() {
		t.Log(out.String())
	}
}

// closedPort returns an address on which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return listener.Addr().String()
}

// The commands that ask a running greentally.
var asking = [][]string{
	{"devices", "list", "--community", "jiayuan"},
	{"devices", "discovered"},
	{"devices", "adopt", "bin-17", "--community", "jiayuan", "--site", "e1", "--stream", "food"},
	{"deadletter", "list"},
	{"deadletter", "show", "1"},
	{"deadletter", "replay", "1"},
	{"deadletter", "delete", "--all"},
	{"record", "list", "--community", "jiayuan", "--from", "2026-10-01", "--to", "2026-10-31"},
	{"record", "add", "-"},
	{"record", "get", "R1", "--community", "jiayuan"},
	{"record", "withdraw", "R1", "--community", "jiayuan", "--by", "Li Na", "--why", "x"},
	{"record", "attachment", "ab", "--community", "jiayuan"},
	{"status"},
}

func TestWithoutARunningGreentally(t *testing.T) {
	address := closedPort(t)
	config := writeFile(t, "greentally.yaml", "http: {listen: "+address+"}\n")
	certFile, keyFile := certificate(t)
	secure := writeFile(t, "greentally.yaml", fmt.Sprintf("http: {listen: %q, web_config_file: %q}\n", address, webConfig(t, certFile, keyFile, "")))
	for _, args := range asking {
		for _, where := range [][]string{{"--config", config}, {"--server", "http://" + address}, {"--server", "http://" + address + "/"}} {
			_, err := cliWithInput(t, `{"community": "jiayuan", "date": "2026-10-08"}`, append(slices.Clone(args), where...)...)
			wantError(t, strings.Join(args, " "), err, "is greentally running there?", "--server", `"http://`+address+"/api/v1/", "connection refused")
		}
		_, err := cliWithInput(t, `{"community": "jiayuan", "date": "2026-10-08"}`, append(slices.Clone(args), "--config", secure)...)
		wantError(t, strings.Join(args, " ")+" with TLS", err, `"https://`+address+"/api/v1/")
	}
}

// api is a running greentally without anything behind its API.
type api struct {
	url string

	mu      sync.Mutex
	letters []greentally.DeadLetter
	done    []string // what was done to letters
	added   []greentally.Record
	adopted []greentally.Device
	adopt   func(greentally.Device) error // nil takes all of the site e1
	status  status
}

func startAPI(t *testing.T, token string) *api {
	t.Helper()
	a, handler := newAPI(token)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	a.url = server.URL
	return a
}

// bearing lets those pass who bear the token; all if there is none.
func bearing(token string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if token != "" && r.Header.Get("Authorization") != "Bearer "+token {
				fail(w, r, http.StatusUnauthorized, errors.New("send the token as Authorization: Bearer …"))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func newAPI(token string) (*api, http.Handler) {
	noon := time.Date(2026, 10, 8, 4, 0, 0, 0, time.UTC)
	a := &api{letters: []greentally.DeadLetter{
		{ID: 3, Topic: "greentally/v1/jiayuan/bin-17/readings", Payload: []byte(`{"mass_kg": 3}`), Received: noon, Reason: greentally.UnknownDevice, Detail: "bin-17\nis new"},
		{ID: 7, Topic: "x", Payload: []byte("\xff\x00"), Received: noon, Reason: greentally.BadPayload, Detail: "not JSON"},
		{ID: 9, Topic: "y", Received: noon, Reason: greentally.UnknownDevice, Detail: "y"},
	}, status: status{Version: "greentally v1", Connected: true, DeadLetters: 3, Followers: map[string]ingest.Lag{
		"writer": {}, "tally": {Entries: 2, Age: greentally.Duration(90 * time.Second)},
	}}}
	key := greentally.DeviceKey{Community: "jiayuan", Device: "bin-1"}
	byID := func(action string) func(context.Context, uint64) error {
		return func(_ context.Context, id uint64) error {
			a.mu.Lock()
			defer a.mu.Unlock()
			for i, l := range a.letters {
				if l.ID == id {
					a.letters = slices.Delete(a.letters, i, i+1)
					a.done = append(a.done, fmt.Sprint(action, " ", id))
					return nil
				}
			}
			return greentally.Missingf("没有死信 %d", "there is no dead letter %d", id)
		}
	}
	s := &web.Server{
		Identify: bearing(token), May: func(context.Context, web.Action, string) bool { return true }, Audit: func(*http.Request, string, string, error) {},
		Log: slog.New(slog.DiscardHandler), Metrics: http.NotFoundHandler(),
		Communities: func() []*greentally.Community {
			return []*greentally.Community{{ID: "jiayuan", Devices: []*greentally.Device{
				{Community: "jiayuan", ID: "bin-1", Kind: "sorting_bin", Site: "e1", Stream: greentally.Food},
				{Community: "jiayuan", ID: "meter-1", Kind: "lighting_meter", Site: "e1"},
			}}}
		},
		Latest: func(k greentally.DeviceKey) (greentally.Reading, bool) {
			return greentally.Reading{Time: noon, Values: []greentally.Value{{Quantity: "mass_kg", Number: 12.3}, {Quantity: "status", State: "ok"}}}, k == key
		},
		Records: func(_ context.Context, community string, _, _ greentally.Date) ([]greentally.Record, error) {
			date := greentally.Date{Year: 2026, Month: time.October, Day: 1}
			until := date.Add(30)
			return []greentally.Record{
				{ID: "R1", Community: community, Type: "survey", Date: date, Values: greentally.Values{"asked": 200, "satisfied": 180}, By: "Li Na", Why: "at the gate"},
				{ID: "R2", Community: community, Type: "haul_ticket", Date: date.Add(1), Stream: greentally.Food, Values: greentally.Values{"kg": 1250.5}, By: "Li Na",
					Texts: map[string]string{"carrier": "环卫所", "ticket": "0017"}, Attachments: []greentally.Attachment{{Name: "a.jpg", SHA256: strings.Repeat("ab", 32)}, {Name: "b.pdf", SHA256: strings.Repeat("cd", 32)}}},
				{ID: "R3", Community: community, Type: "statistics", Date: date, Until: &until, Values: greentally.Values{"homes": 1}, By: "Li Na"},
				{ID: "R4", Community: community, Type: "statistics", Date: date, Until: &until, Values: greentally.Values{"homes": 2}, By: "Li Na", Replaces: "R3"},
				{ID: "R5", Community: community, Type: "survey", Date: date.Add(2), Values: greentally.Values{"asked": 1}, By: "Li Na"},
				{ID: "R6", Community: community, Type: "survey", Date: date.Add(2), By: "Li Na", Why: "a slip", Replaces: "R5", Withdraws: true},
			}, nil
		},
		AddRecord: func(_ context.Context, r greentally.Record) (greentally.Record, error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			if r.By == "" {
				return r, fmt.Errorf("%w: by is missing", web.ErrBadRequest)
			}
			a.added = append(a.added, r)
			r.ID = fmt.Sprint("R", len(a.added))
			return r, nil
		},
		DeadLetters: func(_ context.Context, after uint64, limit int) ([]greentally.DeadLetter, error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			page := []greentally.DeadLetter{}
			for _, l := range a.letters {
				if l.ID > after && len(page) < min(limit, 2) { // in small pages
					page = append(page, l)
				}
			}
			return page, nil
		},
		Status:           func(context.Context) (any, error) { return a.status, nil },
		ReplayDeadLetter: byID("replay"), DeleteDeadLetter: byID("delete"),
		Discovered: func(context.Context, web.DiscoveredQuery) ([]greentally.Discovered, int, error) {
			return []greentally.Discovered{
				{DeviceKey: greentally.DeviceKey{Community: "jiayuan", Device: "bin-17"}, Profile: "native", Kind: "sorting_bin", First: noon, Last: noon, Payload: `{"mass_kg": 3}`},
				{DeviceKey: greentally.DeviceKey{Community: "other", Device: "bin-18"}, Profile: "native", Kind: "sorting_bin", First: noon, Last: noon},
				{DeviceKey: greentally.DeviceKey{Device: "24e124713b492871"}, Profile: "milesight_em400_mud", First: noon, Last: noon},
				{DeviceKey: greentally.DeviceKey{Device: "24e124713b4928711"}, Profile: "milesight_em400_mud", First: noon, Last: noon},
				{DeviceKey: greentally.DeviceKey{Device: "24e124713b4928712"}, Profile: "milesight_em400_mud", First: noon, Last: noon},
			}, 5, nil
		},
		Adopt: func(_ context.Context, d greentally.Device) error {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.adopted = append(a.adopted, d)
			if a.adopt != nil {
				if err := a.adopt(d); err != nil {
					return fmt.Errorf("%w: %w", web.ErrBadRequest, err)
				}
			} else if d.Site != "e1" {
				return fmt.Errorf("%w: there is no site %q", web.ErrBadRequest, d.Site)
			}
			return nil
		},
	}
	return a, s.Handler()
}

// doneTo returns what was done to letters since the last time.
func (a *api) doneTo() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := strings.Join(a.done, ", ")
	a.done = nil
	return all
}

func TestDevices(t *testing.T) {
	a := startAPI(t, "")
	out, err := cli(t, "devices", "list", "--community", "jiayuan", "--server", a.url)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"device", "bin-1", "sorting_bin", "food", "mass_kg=12.3 status=ok", "meter-1", "never"} {
		if !strings.Contains(out, want) {
			t.Errorf("the list lacks %q:\n%s", want, out)
		}
	}
	_, err = cli(t, "devices", "list", "--community", "nobody", "--server", a.url)
	wantError(t, "nobody's devices", err, a.url, `community "nobody"`)
	_, err = cli(t, "devices", "list", "--server", a.url)
	wantError(t, "no community", err, `required flag(s) "community" not set`)

	if out, err = cli(t, "devices", "discovered", "--server", a.url); err != nil || !strings.Contains(out, "bin-17") || !strings.Contains(out, `{"mass_kg": 3}`) {
		t.Errorf("discovered: %v\n%s", err, out)
	}

	out, err = cli(t, "devices", "adopt", "bin-17", "--community", "jiayuan", "--site", "e1", "--stream", "food", "--interval", "15m", "--server", a.url)
	if err != nil || out != "adopted bin-17 into jiayuan as a sorting_bin\n" {
		t.Errorf("adopt: %q, %v", out, err)
	}
	want := greentally.Device{
		Community: "jiayuan", ID: "bin-17", Kind: "sorting_bin", Profile: "native", Site: "e1", Stream: greentally.Food, Interval: greentally.Duration(15 * time.Minute),
	}
	if got := fmt.Sprintf("%+v", a.adopted); got != fmt.Sprintf("%+v", []greentally.Device{want}) {
		t.Errorf("adopted %s, want %+v", got, want)
	}
	_, err = cli(t, "devices", "adopt", "bin-17", "--community", "jiayuan", "--site", "e9", "--server", a.url)
	wantError(t, "a site that is not there", err, `there is no site "e9"`)
	_, err = cli(t, "devices", "adopt", "bin-18", "--community", "jiayuan", "--site", "e1", "--server", a.url)
	wantError(t, "one that only another community has seen", err, "--kind")
	if out, err := cli(t, "devices", "adopt", "bin-18", "--community", "jiayuan", "--site", "e1", "--kind", "battery_box", "--server", a.url); err != nil || !strings.Contains(out, "as a battery_box") {
		t.Errorf("adopt with a kind: %q, %v", out, err)
	}
	_, err = cli(t, "devices", "adopt", "--server", a.url)
	wantError(t, "nothing to adopt", err, "accepts 1 arg")
}

// The hardware's own name and the facts that its profile asks for can be given, so that
// any device that speaks can be adopted by command.
func TestAdoptWithAddressAndFacts(t *testing.T) {
	a := startAPI(t, "")
	folder := folders(t, map[string]string{"jiayuan.yaml": "community: jiayuan\nname: {en: Jiayuan}\nhouseholds: 1\nsites: [{id: e1, type: estate}]\n"})
	live, err := devices.OpenLive(devices.Options{Communities: strictyaml.Dir(folder)})
	if err != nil {
		t.Fatal(err)
	}
	a.adopt = live.Adopt
	const eui = "24e124713b492871"
	common := []string{"--community", "jiayuan", "--site", "e1", "--server", a.url}
	facts := []string{"--fact", "empty_distance_mm=850", "--fact", "full_distance_mm=250.5"}
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"no facts", []string{eui, "--kind", "battery_box"}, []string{"asks for the fact empty_distance_mm", "asks for the fact full_distance_mm"}},
		{"a fact too many", append([]string{eui, "--kind", "battery_box", "--fact", "hight=3"}, facts...), []string{`has no use for a fact "hight"`}},
		{"an id and an address", []string{eui, "--id", "a", "--address", "b"}, []string{"give either --id or --address"}},
		{"a fact without a number", []string{eui, "--fact", "hight"}, []string{`"hight" for "--fact"`, "want a name and a number, such as"}},
		{"a fact that is no number", []string{eui, "--fact", "hight=NaN"}, []string{"want a name and a number"}},
		{"a fact without a name", []string{eui, "--fact", "=3"}, []string{"want a name and a number"}},
		{"a fact twice", []string{eui, "--fact", "hight=3", "--fact", "hight=4"}, []string{"hight is given twice"}},
	} {
		_, err := cli(t, append(append([]string{"devices", "adopt"}, tt.args...), common...)...)
		wantError(t, tt.name, err, tt.want...)
	}
	for i, args := range [][]string{{eui, "--kind", "battery_box"}, {eui + "1", "--kind", "sorting_bin", "--stream", "food", "--id", "bin-1"}, {"box-2", "--kind", "battery_box", "--address", eui + "2"}} {
		if out, err := cli(t, slices.Concat([]string{"devices", "adopt"}, args, facts, common)...); err != nil || !strings.Contains(out, "into jiayuan as a "+args[2]) {
			t.Fatalf("%v: %q, %v", args, out, err)
		}
		address := eui + []string{"", "1", "2"}[i]
		readings, err := live.Decode(greentally.Message{
			Topic: "application/x/device/" + address + "/event/up", Payload: []byte(`{"time": "2026-10-08T04:00:00Z", "object": {"distance": 550}}`),
			Received: time.Date(2026, 10, 8, 4, 0, 0, 0, time.UTC),
		})
		if want := []string{eui, "bin-1", "box-2"}[i]; err != nil || len(readings) != 1 || readings[0].Device != want {
			t.Errorf("%v: %+v, %v; want a reading of %s", args, readings, err, want)
		}
	}
	data, err := os.ReadFile(filepath.Join(folder, "jiayuan.yaml"))
	if err != nil || strings.Count(string(data), "address:") != 2 || strings.Count(string(data), "empty_distance_mm: 850\n") != 3 {
		t.Errorf("the file is now, %v\n%s", err, data)
	}
}

func TestStatus(t *testing.T) {
	a := startAPI(t, "")
	out, err := cli(t, "status", "--server", a.url)
	if err != nil || !strings.Contains(out, "3 dead letters") || !strings.Contains(out, "│ tally    │              2 │ 1m30s │") || strings.Contains(out, "wrong") {
		t.Errorf("status: %v\n%s", err, out)
	}
	a.status = status{RegistryError: "jiayuan.yaml:3: no such kind"}
	out, err = cli(t, "status", "--server", a.url)
	wantError(t, "status without a broker", err, "not connected to the MQTT broker")
	if !strings.Contains(out, "jiayuan.yaml:3: no such kind") {
		t.Errorf("status says\n%s", out)
	}
}

func TestDeadLetters(t *testing.T) {
	a := startAPI(t, "")
	out, err := cli(t, "deadletter", "list", "--server", a.url)
	if err != nil {
		t.Fatal(err)
	}
	golden.Equal(t, filepath.Join(testdata, "deadletter_list.golden"), out)
	out, err = cli(t, "deadletter", "list", "--reason", "bad_payload", "--server", a.url)
	if err != nil || strings.Contains(out, "bin-17") || !strings.Contains(out, "not JSON") {
		t.Errorf("list --reason: %v\n%s", err, out)
	}
	out, err = cli(t, "deadletter", "list", "--limit", "2", "--server", a.url)
	if err != nil || strings.Contains(out, " y ") || !strings.Contains(out, "and more; see them with --limit") {
		t.Errorf("list --limit: %v\n%s", err, out)
	}
	if out, err = cli(t, "deadletter", "list", "--limit", "0", "--server", a.url); err != nil || strings.Contains(out, "no dead letters") {
		t.Errorf("list --limit 0: %v\n%s", err, out)
	}
	if out, err = cli(t, "deadletter", "list", "--reason", "too_large", "--server", a.url); err != nil || out != "no dead letters\n" {
		t.Errorf("list of none: %v\n%s", err, out)
	}

	if out, err = cli(t, "deadletter", "show", "3", "--server", a.url); err != nil || !strings.HasSuffix(out, "payload   14 bytes\n\n{\"mass_kg\": 3}\n") || !strings.Contains(out, "reason    unknown_device\n") {
		t.Errorf("show: %v\n%s", err, out)
	}
	if out, err = cli(t, "deadletter", "show", "7", "--server", a.url); err != nil || !strings.HasSuffix(out, "\n\n\"\\xff\\x00\"\n") {
		t.Errorf("show of bytes: %v\n%s", err, out)
	}
	for _, id := range []string{"0", "8", "10", "18446744073709551615"} {
		_, err = cli(t, "deadletter", "show", id, "--server", a.url)
		wantError(t, "show "+id, err, "there is no dead letter "+id)
	}
	_, err = cli(t, "deadletter", "show", "x", "--server", a.url)
	wantError(t, "show x", err, `"x" is not an ID`)

	for _, action := range []string{"replay", "delete"} {
		for _, tt := range []struct {
			args []string
			want string
		}{
			{nil, "say which: IDs, --reason or --all"},
			{[]string{"3", "--all"}, "give either IDs, or --reason, or --all"},
			{[]string{"3", "--reason", "bad_payload"}, "give either IDs, or --reason, or --all"},
			{[]string{"x"}, `"x" is not an ID`},
			{[]string{"3", "-7"}, "unknown shorthand flag"},
			{[]string{"8"}, "there is no dead letter 8"},
		} {
			_, err := cli(t, append([]string{"deadletter", action, "--server", a.url}, tt.args...)...)
			wantError(t, action+" "+strings.Join(tt.args, " "), err, tt.want)
			if done := a.doneTo(); done != "" {
				t.Errorf("%s %v did %s", action, tt.args, done)
			}
		}
	}
	for _, tt := range []struct {
		args      []string
		out, done string
	}{
		{[]string{"replay", "--reason", "bad_payload"}, "replayed 1\n", "replay 7"},
		{[]string{"delete", "9"}, "deleted 1\n", "delete 9"},
		{[]string{"replay", "--all"}, "replayed 1\n", "replay 3"},
		{[]string{"delete", "--all"}, "deleted 0\n", ""},
	} {
		out, err := cli(t, append([]string{"deadletter", "--server", a.url}, tt.args...)...)
		if done := a.doneTo(); err != nil || out != tt.out || done != tt.done {
			t.Errorf("%v: %q, %v, did %q; want %q and %q", tt.args, out, err, done, tt.out, tt.done)
		}
	}
}

func TestRecords(t *testing.T) {
	a := startAPI(t, "")
	out, err := cli(t, "record", "list", "--community", "jiayuan", "--from", "2026-10-01", "--to", "2026-10-31", "--server", a.url)
	if err != nil {
		t.Fatal(err)
	}
	golden.Equal(t, filepath.Join(testdata, "record_list.golden"), out)
	if out, err = cli(t, "record", "list", "--community", "jiayuan", "--all", "--server", a.url); err != nil {
		t.Fatal(err)
	}
	golden.Equal(t, filepath.Join(testdata, "record_list_all.golden"), out)
	if out, err = cli(t, "record", "list", "--community", "jiayuan", "--all", "--format", "csv", "--server", a.url); err != nil {
		t.Fatal(err)
	}
	golden.Equal(t, filepath.Join(testdata, "record_list.csv"), out)
	for _, tt := range []struct {
		args []string
		want string // IDs
	}{
		{nil, "R1 R2 R4"},
		{[]string{"--type", "survey"}, "R1"},
		{[]string{"--type", "survey", "--all"}, "R1 R5 R6"},
		{[]string{"--from", "2026-10-02"}, "R2"},
		{[]string{"--to", "2026-10-01"}, "R1 R4"},
		{[]string{"--from", "2026-10-04"}, ""},
	} {
		out, err := cli(t, append([]string{"record", "list", "--community", "jiayuan", "--format", "json", "--server", a.url}, tt.args...)...)
		var listed []greentally.Record
		if err == nil {
			err = json.Unmarshal([]byte(out), &listed)
		}
		var ids []string
		for _, r := range listed {
			ids = append(ids, r.ID)
		}
		if got := strings.Join(ids, " "); err != nil || got != tt.want {
			t.Errorf("list %v: %s, %v, want %s", tt.args, got, err, tt.want)
		}
	}
	_, err = cli(t, "record", "list", "--community", "jiayuan", "--format", "xml", "--server", a.url)
	wantError(t, "a format", err, `--format "xml" is none of table, json, csv`)
	_, err = cli(t, "record", "list", "--community", "jiayuan", "--from", "2026-10-02", "--to", "2026-10-01", "--server", a.url)
	wantError(t, "the wrong way round", err, "--from is after --to")
	_, err = cli(t, "record", "list", "--community", "jiayuan", "--from", "October", "--to", "2026-10-31", "--server", a.url)
	wantError(t, "a bad date", err, "from", `"October" is not a date such as 2026-10-31`)

	one := `{"community": "jiayuan", "type": "survey", "date": "2026-10-08", "by": "Li Na", "values": {"satisfied_ratio": 0.9}}`
	file := writeFile(t, "records.json", "["+one+","+one+"]")
	for _, tt := range []struct {
		name, input, file, want string
	}{
		{"one", one, "-", "R1\n"},
		{"one after another", one + "\n" + one, "-", "R2\nR3\n"},
		{"a list", "", file, "R4\nR5\n"},
		{"an empty list", "[]", "-", ""},
	} {
		if out, err := cliWithInput(t, tt.input, "record", "add", tt.file, "--server", a.url); err != nil || out != tt.want {
			t.Errorf("%s: %q, %v, want %q", tt.name, out, err, tt.want)
		}
	}
	if len(a.added) != 5 || a.added[4].By != "Li Na" || a.added[4].Values["satisfied_ratio"] != 0.9 || a.added[4].Date.String() != "2026-10-08" {
		t.Errorf("added %+v", a.added)
	}
	for _, tt := range []struct {
		name, input string
		want        []string
	}{
		{"nothing", " ", []string{"-: no records in it"}},
		{"no JSON", "survey", []string{"-: invalid character"}},
		{"an unknown field", `{"communty": "jiayuan"}`, []string{`-: json: unknown field "communty"`}},
		{"no community, in the second", one + `{"type": "survey"}`, []string{"record 2 of 2: community is missing; nothing was added"}},
		{"no date", `{"community": "jiayuan"}`, []string{"record 1 of 1: date is missing; nothing was added"}},
		{"another community", strings.Replace(one, "jiayuan", "nobody", 1), []string{"record 1 of 1", `community "nobody"`}},
		{"a list and more", "[" + one + "]" + one, []string{"-: there is more after the list"}},
	} {
		_, err := cliWithInput(t, tt.input, "record", "add", "-", "--server", a.url)
		wantError(t, tt.name, err, tt.want...)
	}
	if len(a.added) != 5 {
		t.Errorf("%d records were added, want none of those that are wrong", len(a.added)-5)
	}
	_, err = cliWithInput(t, one+`{"community": "jiayuan", "date": "2026-10-08"}`, "record", "add", "-", "--server", a.url)
	wantError(t, "refused by the server", err, "record 2 of 2 (those before were added)", "by is missing")
	_, err = cli(t, "record", "add", filepath.Join(t.TempDir(), "none.json"), "--server", a.url)
	wantError(t, "a file that is not there", err, "none.json")
}

func TestCommandsBearTheToken(t *testing.T) {
	a := startAPI(t, "s3cret")
	address := strings.TrimPrefix(a.url, "http://")
	token := writeFile(t, "token", "s3cret\n")
	config := writeFile(t, "greentally.yaml", fmt.Sprintf("http: {listen: %q, token_file: %q}\n", address, token))
	for _, args := range [][]string{{"--config", config}, {"--server", a.url, "--token-file", token}, {"--server", a.url + "/", "--token-file", token}} {
		if out, err := cli(t, append([]string{"deadletter", "list"}, args...)...); err != nil || !strings.Contains(out, "bin-17") {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	empty := writeFile(t, "empty", "")
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"no token", []string{"--server", a.url}, []string{a.url, "Authorization: Bearer"}},
		{"another token", []string{"--server", a.url, "--token-file", config}, []string{a.url, "Authorization: Bearer"}},
		{"an empty file", []string{"--server", a.url, "--token-file", empty}, []string{"token: ", "is empty"}},
		{"no file", []string{"--server", a.url, "--token-file", empty + "x"}, []string{"token: ", "emptyx"}},
		// The configuration's token is for the configuration's address.
		{"another server", []string{"--config", config, "--server", a.url}, []string{a.url, "Authorization: Bearer"}},
	} {
		_, err := cli(t, append([]string{"deadletter", "list"}, tt.args...)...)
		wantError(t, tt.name, err, tt.want...)
	}
}

// A certificate that signs itself locks nobody out: that of the configuration is
// trusted, under whatever name it bears, and another can be named.
func TestCommandsTrustTheCertificate(t *testing.T) {
	a, handler := newAPI("s3cret")
	certFile, keyFile := certificate(t)
	tlsConfig, err := serverTLS{CertFile: certFile, KeyFile: keyFile}.config()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	server.TLS = tlsConfig
	server.StartTLS()
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	token := writeFile(t, "token", "s3cret\n")
	listening := func(address, certFile string) string {
		return writeFile(t, "greentally.yaml", fmt.Sprintf("http: {listen: %q, token_file: %q, web_config_file: %q}\n", address, token, webConfig(t, certFile, keyFile, "")))
	}
	config := listening("127.0.0.1:"+port, certFile)
	otherFile, _ := certificate(t)
	for _, args := range [][]string{
		{"--config", config},
		{"--config", listening(":"+port, certFile)},
		{"--config", listening("0.0.0.0:"+port, certFile)},
		{"--config", listening("localhost:"+port, certFile)},
		{"--config", listening("127.0.0.1:"+port, otherFile), "--ca-file", certFile},
		{"--server", server.URL, "--token-file", token, "--ca-file", certFile},
	} {
		if out, err := cli(t, append([]string{"deadletter", "delete", "--reason", "too_large"}, args...)...); err != nil || out != "deleted 0\n" {
			t.Errorf("%v: %q, %v", args, out, err)
		}
	}
	if out, err := cli(t, "deadletter", "delete", "--all", "--config", config); err != nil || out != "deleted 3\n" || len(a.letters) != 0 {
		t.Errorf("many calls: %q, %v", out, err)
	}
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"another certificate", []string{"--config", listening("127.0.0.1:"+port, otherFile)}, []string{"certificate signed by unknown authority"}},
		// What the configuration says is for the server that it names.
		{"another server", []string{"--config", config, "--server", server.URL, "--token-file", token}, []string{"certificate signed by unknown authority"}},
		{"the certificate of another", []string{"--config", config, "--ca-file", otherFile}, []string{"certificate signed by unknown authority"}},
		{"no file", []string{"--config", config, "--ca-file", certFile + "x"}, []string{"--ca-file", "cert.pemx"}},
		{"a file that holds none", []string{"--config", config, "--ca-file", token}, []string{"--ca-file", "token holds no certificate in PEM form"}},
		{"no file in the configuration", []string{"--config", listening("127.0.0.1:"+port, certFile+"x")}, []string{"http.web_config_file: ", "cert.pemx"}},
		{"none in the configuration", []string{"--config", listening("127.0.0.1:"+port, token)}, []string{"http.web_config_file: ", "token is none in PEM form"}},
	} {
		_, err := cli(t, append([]string{"deadletter", "list"}, tt.args...)...)
		wantError(t, tt.name, err, tt.want...)
	}
	for _, command := range []string{"devices", "deadletter", "record"} {
		out, err := cli(t, command, "--help")
		if err != nil || !strings.Contains(out, "http.token_file of the configuration; with --server, none)") {
			t.Errorf("%s --help does not say where the token is from: %v\n%s", command, err, out)
		}
	}
}

func TestServersThatAreNoGreentally(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   []string
	}{
		{"a page", 200, "<html>", []string{"answer of http://127.0.0.1:", "invalid character '<'"}},
		{"nothing there", 404, "404 page not found\n", []string{"404 Not Found"}},
		{"an error", 500, `{"error": "disk on fire"}`, []string{"disk on fire"}},
		{"a proxy", 502, "", []string{"502 Bad Gateway"}},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tt.status)
			_, _ = fmt.Fprint(w, tt.body)
		}))
		_, err := cli(t, "deadletter", "list", "--server", server.URL)
		wantError(t, tt.name, err, tt.want...)
		server.Close()
	}
	_, err := cli(t, "deadletter", "list", "--server", "127.0.0.1:8080")
	wantError(t, "an address without a scheme", err, "--server", "127.0.0.1:8080")
}

// Who presses Ctrl-C has asked for the end, and sees no error.
func TestAskedToStop(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	defer server.Close()
	if err := run(ctx, []string{"deadletter", "list", "--server", server.URL}, nil, io.Discard, io.Discard); err != nil {
		t.Errorf("error %v, want none", err)
	}
}

func TestCommandsReadTheConfiguration(t *testing.T) {
	bad := filepath.Join(testdata, "bad", "bad_replicas.yaml")
	commands := append(slices.Clone(asking), []string{"check"}, []string{"run"}, []string{"report", "--community", "c", "--month", "2025-02"})
	for _, args := range commands {
		if args[0] == "record" && args[1] == "add" {
			continue // it reads the records first; TestWithoutARunningGreentally covers it
		}
		_, err := cli(t, append(slices.Clone(args), "--config", bad)...)
		wantError(t, strings.Join(args, " "), err, "bad_replicas.yaml:2: nats: replicas must be 1 to 5")
	}
	var out bytes.Buffer
	err := run(t.Context(), []string{"check"}, []string{"GREENTALLY_NATS_REPLICAS=6"}, &out, io.Discard)
	wantError(t, "a bad environment", err, "replicas must be 1 to 5")
}

func TestPayloadsForPeople(t *testing.T) {
	for payload, want := range map[string]string{
		"": "", "{\n\t\"a\": \"重\"}": "{\n\t\"a\": \"重\"}", "\xff": `"\xff"`, "a\x00": `"a\x00"`, "\x1b[2J": `"\x1b[2J"`, "del\x7f": `"del\x7f"`,
		"\u009b2J": `"\u009b2J"`, "a\u202etxt.exe": `"a\u202etxt.exe"`, "a\u3000b": "a\u3000b",
	} {
		if got := printable([]byte(payload)); got != want {
			t.Errorf("printable(%q) is %q, want %q", payload, got, want)
		}
	}
	for text, want := range map[string]string{"a\n b": "a b", "abcde": "abcde", "abcdef": "abcd…", "重量不是数字": "重量不是…"} {
		if got := shorten(text, 5); got != want {
			t.Errorf("shorten(%q, 5) is %q, want %q", text, got, want)
		}
	}
}
