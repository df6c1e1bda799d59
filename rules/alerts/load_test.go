package alerts_test

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"greentally"
	"greentally/internal/golden"
	"greentally/rules/alerts"
)

// aRule is a file that is right; the line of each thing that tests change is said beside it.
const aRule = `group: g
title: {zh: 组, en: Group}
rules:
- alert: full
  title: {zh: 满, en: Full}
  severity: warning
  kind: sorting_bin
  where: device.stream == "food"
  when: fill_ratio >= 0.9
  clear: fill_ratio < 0.7
  for: 5m
  labels: {team: cleaners}
  quantity: fill_ratio
  limit: device.limits["fill_ratio"]
  summary: {zh: "{{percent .fill_ratio}}", en: "{{percent .fill_ratio}}"}
  action: {zh: 清运, en: "Empty {{.device.id}}."}
  tests:
  - name: one
    device: {id: a, kind: sorting_bin, stream: food}
    values: {fill_ratio: "0.8 0.9"}
    want: [{at: 15m, state: firing, summary: {zh: 90%, en: 90 %}}]
`

func check(t *testing.T, files map[string]string) error {
	t.Helper()
	set, err := alerts.Load(kinds(t), folder(files))
	if err == nil {
		_, err = set.Check()
	}
	return err
}

// What is wrong with a file is told with its name, the line and the reason, and the file is
// refused.
func TestTextsMayHaveConditionsAndFormats(t *testing.T) {
	text := `{{/* one */}}{{if and (gt .fill_ratio 0.5) (ne .status "ok")}}{{printf "%.2f" .fill_ratio}}{{else if not .status}}x{{else}}90%{{end}}`
	if err := check(t, map[string]string{"g.yaml": strings.Replace(aRule, `zh: "{{percent .fill_ratio}}"`, "zh: '"+text+"'", 1)}); err != nil && strings.Contains(err.Error(), "summary, zh") {
		t.Error(err)
	}
}

func TestWhatIsRefused(t *testing.T) {
	if err := check(t, map[string]string{"g.yaml": aRule}); err != nil {
		t.Fatal(err)
	}
	const days = "  days: battery_box\n  when: mass_kg.collected > 1\n  summary: {zh: x, en: x}\n"
	for _, tt := range []struct{ name, old, new, want string }{
		// The file.
		{"no YAML", "group: g\n", "group: [\n", "x/g.yaml:3: did not find"},
		{"an unknown key", "  for: 5m\n", "  form: 5m\n", `x/g.yaml:11: unknown key "form"`},
		{"an unknown key of a test", "    values:", "    series:", `x/g.yaml:20: unknown key "series"`},
		{"a list where a word is wanted", "severity: warning", "severity: [warning]", "x/g.yaml:6: cannot"},
		{"a number that is none", "  for: 5m\n", "  absent: long\n", "x/g.yaml:11: cannot"},
		{"no duration", "for: 5m", "for: 5", "x/g.yaml:11: "},
		{"the name of another file", "group: g", "group: h", "x/g.yaml:1: the file must be called h.yaml after its group"},
		{"no title", "title: {zh: 组, en: Group}", "title: {zh: 组}", "x/g.yaml:2: title needs zh and en"},
		{"nothing in it", aRule[strings.Index(aRule, "rules:"):], "", "x/g.yaml:1: there are no rules in it"},

		// What the rule is.
		{"no name", "alert: full", `alert: ""`, "x/g.yaml:4: alert: want a name of small letters, digits and _"},
		{"a name that Alertmanager would not match", "alert: full", "alert: Bin-Full", `x/g.yaml:4: alert: want a name of small letters, digits and _, not "Bin-Full"`},
		{"a title in one language", "title: {zh: 满, en: Full}", "title: {en: Full}", "x/g.yaml:5: title needs zh and en"},
		{"no summary", `summary: {zh: "{{percent .fill_ratio}}", en: "{{percent .fill_ratio}}"}`, "summary: {}", "x/g.yaml:15: summary needs zh and en"},
		{"no action", `action: {zh: 清运, en: "Empty {{.device.id}}."}`, "action: {zh: 清运}", "x/g.yaml:16: action needs zh and en"},
		{"an unknown severity", "severity: warning", "severity: urgent", `x/g.yaml:6: severity: "urgent" is none of critical, warning, info`},
		{"no severity", "  severity: warning\n", "", `severity: "" is none of critical, warning, info`},
		{"no tests", aRule[strings.Index(aRule, "  tests:"):], "", "x/g.yaml:4: there are no tests in it"},
		{"about two things", "  kind: sorting_bin\n", "  kind: sorting_bin\n  indicator: any\n", "x/g.yaml:7: a rule is about one of kind"},
		{"about nothing", "  kind: sorting_bin\n", "", "x/g.yaml:4: a rule is about one of kind"},
		{"an unknown kind", "  kind: sorting_bin\n", "  kind: submarine\n", `x/g.yaml:7: there is no kind "submarine"`},
		{"days of an unknown kind", "  kind: sorting_bin\n", "  days: submarine\n", `x/g.yaml:7: there is no kind "submarine"`},

		// When it holds.
		{"condition and silence", "  for: 5m\n", "  absent: 3\n", "x/g.yaml:9: a rule has either a condition (when) or so many intervals of silence (absent)"},
		{"neither", "  when: fill_ratio >= 0.9\n", "", "x/g.yaml:4: a rule has either a condition (when) or so many intervals of silence (absent)"},
		{"a silence of less than nothing", "  when: fill_ratio >= 0.9\n", "  absent: -1\n", "a rule has either a condition"},
		{"a silence that must last", "  when: fill_ratio >= 0.9\n", "  absent: 3\n", "x/g.yaml:9: absent is of devices (kind), has its own time"},
		{"for less than nothing", "for: 5m", "for: -5m", "x/g.yaml:11: "},
		{"for too long", "for: 5m", "for: 169h", "x/g.yaml:11: for: want 0s to 168h, not 169h"},
		{"an unknown quantity", "when: fill_ratio", "when: fil_ratio", "x/g.yaml:9: when: unknown name fil_ratio"},
		{"one of another kind", "when: fill_ratio >= 0.9", "when: energy_kwh > 1", "x/g.yaml:9: when: unknown name energy_kwh"},
		{"a number as a word", "when: fill_ratio >= 0.9", `when: fill_ratio == "full"`, "x/g.yaml:9: when: "},
		{"a word as a number", "when: fill_ratio >= 0.9", "when: status > 1", "x/g.yaml:9: when: "},
		{"a number for a condition", "when: fill_ratio >= 0.9", "when: fill_ratio", "x/g.yaml:9: when: expected bool"},
		{"half an expression", "when: fill_ratio >= 0.9", "when: fill_ratio >=", "x/g.yaml:9: when: unexpected token EOF"},
		{"a clock", "when: fill_ratio >= 0.9", "when: fill_ratio >= 0.9 and now().Hour() > 6", "x/g.yaml:9: when: unknown name now"},
		{"a date", "clear: fill_ratio < 0.7", `clear: date("2026-10-01").Year() > 2000`, "x/g.yaml:10: clear: unknown name date"},
		{"an unknown member", "where: device.stream", "where: device.colour", "x/g.yaml:8: where: "},
		{"where by a reading", `where: device.stream == "food"`, "where: fill_ratio > 0.1", "x/g.yaml:8: where: unknown name fill_ratio"},
		{"the rate of an unknown quantity", "when: fill_ratio >= 0.9", `when: rate["fil_ratio"] > 0.1`, `x/g.yaml:9: when: rate: a sorting_bin has no quantity "fil_ratio"`},
		{"the last day of another kind's", "when: fill_ratio >= 0.9", `when: last_day.energy_kwh > 1`, `x/g.yaml:9: when: last_day: a sorting_bin has no quantity "energy_kwh"`},
		{"the word before", "when: fill_ratio >= 0.9", `when: before["status"] > 1`, "x/g.yaml:9: when: before: status is a word, not a number"},
		{"the limit of an unknown quantity", `limit: device.limits["fill_ratio"]`, `limit: device.limits["fil_ratio"]`, `x/g.yaml:14: limit: limits: a sorting_bin has no quantity "fil_ratio"`},
		{"the limit of a mass", `limit: device.limits["fill_ratio"]`, `limit: device.limits["mass_kg"]`, "x/g.yaml:14: limit: limits: mass_kg is no gauge, so it has none"},

		// What it says.
		{"a text that is no template", `en: "Empty {{.device.id}}."`, `en: "Empty {{.device.id}."`, "x/g.yaml:16: action, en: "},
		{"a text with an unknown quantity", `summary: {zh: "{{percent .fill_ratio}}"`, `summary: {zh: "{{percent .fil_ratio}}"`, "x/g.yaml:15: summary, zh: "},
		{"a text with an unknown member", `en: "Empty {{.device.id}}."`, `en: "Empty {{.device.ID}}."`, "x/g.yaml:16: action, en: "},
		{"a text with an unknown function", `zh: "{{percent .fill_ratio}}"`, `zh: "{{now}}"`, "x/g.yaml:15: summary, zh: "},
		{"a loop", `zh: "{{percent .fill_ratio}}"`, `zh: "{{range 1000000000}}{{range 1000000000}}{{end}}{{end}}"`, "it can have values, if, and functions"},
		{"a name that doubles", `zh: "{{percent .fill_ratio}}"`, "zh: '{{$x := .device.id}}{{$x = printf `%s%s` $x $x}}'", "names of its own"},
		{"a template that calls itself", `zh: "{{percent .fill_ratio}}"`, "zh: '{{define `a`}}x{{template `a`}}{{end}}{{template `a`}}'", "cannot define templates"},
		{"a wide number", `zh: "{{percent .fill_ratio}}"`, "zh: '{{printf `%1000000d` 1}}'", "widths of three digits"},
		{"a width from elsewhere", `zh: "{{percent .fill_ratio}}"`, "zh: '{{printf `%*d` 1000000 1}}'", "widths of three digits"},
		{"a text again and again", `zh: "{{percent .fill_ratio}}"`, "zh: '{{.device.id | printf `%[1]s%[1]s` | printf `%[1]s%[1]s`}}'", "widths of three digits"},
		{"a format from elsewhere", `zh: "{{percent .fill_ratio}}"`, "zh: '{{printf .device.id 1}}'", "must be written out"},
		{"another function of the library", `zh: "{{percent .fill_ratio}}"`, "zh: '{{html .device.id}}'", `there is no function "html"`},
		{"a long text", `zh: "{{percent .fill_ratio}}"`, `zh: "` + strings.Repeat("x", 4001) + `"`, "the most is 4000"},
		{"the chart of an unknown quantity", "quantity: fill_ratio", "quantity: fil_ratio", `x/g.yaml:13: a sorting_bin has no quantity "fil_ratio"`},
		{"a limit without a chart", "  quantity: fill_ratio\n", "", "x/g.yaml:13: limit is drawn in the chart of the quantity"},
		{"a limit that is a word", `limit: device.limits["fill_ratio"]`, "limit: device.stream", "x/g.yaml:14: limit: expected float64"},

		// Device-days and indicators.
		{"a day that must last", aRule[strings.Index(aRule, "  kind:"):strings.Index(aRule, "  labels:")], days[:strings.Index(days, "  summary")] + "  for: 5m\n", "x/g.yaml:9: for is of readings"},
		{"a day with an end of its own", aRule[strings.Index(aRule, "  kind:"):strings.Index(aRule, "  for:")], days[:strings.Index(days, "  summary")] + "  clear: mass_kg.collected < 1\n", "x/g.yaml:9: clear is of readings"},
		{"an unknown fault", aRule[strings.Index(aRule, "  kind:"):strings.Index(aRule, "  labels:")], "  days: battery_box\n  when: day.faults[\"theft\"] > 0\n", `x/g.yaml:8: when: faults: there is no fault "theft"`},
		{"an indicator of some devices", aRule[strings.Index(aRule, "  kind:"):strings.Index(aRule, "  action:")],
			"  indicator: any\n  where: device.stream == \"food\"\n  when: indicator.missed\n  summary: {zh: x, en: x}\n", "x/g.yaml:8: where is of devices; of an indicator say it in when"},
		{"the chart of an indicator", aRule[strings.Index(aRule, "  kind:"):strings.Index(aRule, "  limit:")],
			"  indicator: any\n  when: indicator.missed\n  quantity: fill_ratio\n", `x/g.yaml:9: what the rule is about has no quantity "fill_ratio"`},
		{"any kind's own quantity", aRule[strings.Index(aRule, "  kind:"):strings.Index(aRule, "  where:")], "  kind: any\n", "x/g.yaml:9: when: unknown name fill_ratio"},

		// Its tests.
		{"a test that fails", "at: 15m", "at: 16m", `x/g.yaml:18: alert full, test "one": got [firing at 15m0s], want [firing at 16m0s]`},
		{"a state that there is not", "state: firing", "state: burning", `x/g.yaml:18: alert full, test "one": got [firing at 15m0s], want [burning at 15m0s]`},
		{"another summary", "en: 90 %}", "en: 91 %}", `x/g.yaml:18: alert full, test "one": the summary is "90%" and "90 %", want "90%" and "91 %"`},
		{"another severity", "state: firing,", "state: firing, severity: info,", `x/g.yaml:18: alert full, test "one": the severity is warning, want info`},
		{"another limit", "state: firing,", "state: firing, limit: 0.8,", `x/g.yaml:18: alert full, test "one": the limit is 0.9, want 0.8`},
		{"a test with an unknown quantity", `values: {fill_ratio: "0.8 0.9"}`, `values: {fil_ratio: "0.8 0.9"}`, `x/g.yaml:18: alert full, test "one": values: a sorting_bin has no quantity "fil_ratio"`},
		{"a test of a device that there is not", "device: {id: a, kind: sorting_bin,", "device: {id: a, kind: submarine,", `x/g.yaml:18: alert full, test "one": there is no kind "submarine"`},
		{"no series", `"0.8 0.9"`, `"0.8*x 0.9"`, `x/g.yaml:18: alert full, test "one": values of fill_ratio: "0.8*x": want such as 0.9*3`},
		{"a series without end", `"0.8 0.9"`, `"` + strings.Repeat("0.8*10000 ", 11) + `"`, "the most is 100000"},
		{"no clock", "    values:", "    ahead: soon\n    values:", `x/g.yaml:18: alert full, test "one": ahead: "soon": want such as 2m or 90s`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if strings.Count(aRule, tt.old) != 1 {
				t.Fatalf("%q is %d times in the file", tt.old, strings.Count(aRule, tt.old))
			}
			err := check(t, map[string]string{"g.yaml": strings.Replace(aRule, tt.old, tt.new, 1)})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
}

// All that is wrong is told at once, file by file.
func TestSeveralErrorsAtOnce(t *testing.T) {
	wrong := strings.NewReplacer("warning", "urgent", "fill_ratio >= 0.9", "fil_ratio >= 0.9", "{{.device.id}}", "{{.device.id").Replace(aRule)
	err := check(t, map[string]string{
		"a.yaml": strings.Replace(strings.Replace(aRule, "group: g", "group: a", 1), "alert: full", "alert: Full", 1),
		"g.yaml": wrong,
		"h.yaml": strings.Replace(strings.Replace(aRule, "group: g", "group: h", 1), "  for:", "  form:", 1),
	})
	if err == nil {
		t.Fatal("they are taken")
	}
	lines := strings.Split(err.Error(), "\n")
	for _, want := range []string{
		"x/a.yaml:4: alert: want a name",
		`x/g.yaml:6: severity: "urgent" is none of`,
		"x/g.yaml:9: when: unknown name fil_ratio",
		"x/g.yaml:16: action, en: ",
		`x/h.yaml:11: unknown key "form"`,
	} {
		found := 0
		for _, line := range lines {
			if strings.HasPrefix(line, want) {
				found++
			}
		}
		if found != 1 {
			t.Errorf("%q is told %d times in\n%v", want, found, err)
		}
	}
}

// A name stands for one rule, and a group for one file, wherever they are.
func TestNamesAreTakenOnce(t *testing.T) {
	other := strings.Replace(aRule, "group: g", "group: h", 1)
	err := check(t, map[string]string{"g.yaml": aRule, "h.yaml": other})
	if want := "x/h.yaml:4: alert full is in x/g.yaml already"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	twice := aRule + aRule[strings.Index(aRule, "- alert:"):]
	if err := check(t, map[string]string{"g.yaml": twice}); err == nil || !strings.Contains(err.Error(), "x/g.yaml:22: alert full is in x/g.yaml already") {
		t.Errorf("twice in a file: %v", err)
	}
	_, err = alerts.Load(kinds(t), folder(map[string]string{"g.yaml": aRule}), folder(map[string]string{"g.yaml": strings.Replace(aRule, "alert: full", "alert: fuller", 1)}))
	if want := "x/g.yaml:1: group g is in x/g.yaml already"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := alerts.Load(kinds(t), alerts.Shipped(), folder(map[string]string{"g.yaml": strings.Replace(aRule, "alert: full", "alert: bin_fire", 1)})); err == nil ||
		err.Error() != "x/g.yaml:4: alert bin_fire is in rules/alerts/bins.yaml already" {
		t.Errorf("one that is shipped: %v", err)
	}
}

// TestDocs loads the example in the documentation and runs its tests, and compares the list of
// what is shipped.
func TestDocs(t *testing.T) {
	const file = "../../docs/alerts.md"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(data), "```yaml\n# my-alerts/quiet.yaml")
	example, _, _ = strings.Cut(example, "```")
	set, err := alerts.Load(kinds(t), alerts.Shipped(), folder(map[string]string{"quiet.yaml": "#" + example}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := set.Check(); err != nil {
		t.Error(err)
	}

	names, contents, err := alerts.Shipped().Files()
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	var list strings.Builder
	list.WriteString("| alert | | severity | of | when | for |\n|---|---|---|---|---|---|\n")
	for _, name := range names {
		var group struct {
			Rules []struct {
				Alert, Severity, Kind, Days, Indicator, Where, When, For string
				Absent                                                   float64
				Title                                                    greentally.Text
			}
		}
		if err := yaml.Unmarshal(contents[name], &group); err != nil {
			t.Fatal(err)
		}
		for _, r := range group.Rules {
			rows++
			of := cmp.Or(r.Kind, r.Indicator+" indicator")
			if r.Days != "" {
				of = r.Days + "'s days"
			}
			when := fmt.Sprintf("silent for %v intervals", r.Absent)
			if r.When != "" {
				when = "`" + r.When + "`"
			}
			if r.Where != "" {
				when += "; where `" + r.Where + "`"
			}
			fmt.Fprintf(&list, "| `%s` | %s<br>%s | %s | %s | %s | %s |\n", r.Alert, r.Title.ZH, r.Title.EN, r.Severity, of, strings.ReplaceAll(when, "|", "\\|"), r.For)
		}
	}
	if rows != set.Len()-1 {
		t.Errorf("%d rows for %d rules", rows, set.Len()-1)
	}
	golden.Between(t, file, "-update -->\n", "<!-- end -->", list.String())
}

// What a manager reads on a phone is short.
func TestTextsAreShort(t *testing.T) {
	const most = 60
	_, contents, err := alerts.Shipped().Files()
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range contents {
		var group struct {
			Rules []struct {
				Alert                  string
				Title, Summary, Action greentally.Text
			}
		}
		if err := yaml.Unmarshal(data, &group); err != nil {
			t.Fatal(err)
		}
		for _, r := range group.Rules {
			for _, text := range []string{r.Title.ZH, r.Summary.ZH, r.Action.ZH} {
				if n := len([]rune(placeholder.ReplaceAllString(text, "00.0"))); n > most {
					t.Errorf("%s, %s: %d characters in %q", name, r.Alert, n, text)
				}
			}
		}
	}
}

var placeholder = regexp.MustCompile(`\{\{[^}]*\}\}`)
