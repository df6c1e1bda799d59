package schemes_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"greentally/internal/strictyaml"
	"greentally/rules/schemes"
)

// TestLoadRefuses loads a folder of bad files at once. What is wrong with a line stands
// behind it, each after an exclamation mark.
func TestLoadRefuses(t *testing.T) {
	dir := strictyaml.Dir("testdata/bad")
	names, contents, err := dir.Files()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, name := range names {
		for i, line := range strings.Split(string(contents[name]), "\n") {
			_, comment, _ := strings.Cut(line, " # ! ")
			for message := range strings.SplitSeq(comment, " ! ") {
				if message != "" {
					want = append(want, fmt.Sprintf("%s:%d: %s", name, i+1, message))
				}
			}
		}
	}
	_, err = schemes.Load(words(), dir)
	if err == nil {
		t.Fatal("no error")
	}
	got := strings.Split(err.Error(), "\n")
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("it says, but should not: %s", line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("it does not say: %s", line)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d errors, want %d", len(got), len(want))
	}
}

// TestLoadPassesOverNothing has folders and files that would be left out in silence.
func TestLoadPassesOverNothing(t *testing.T) {
	text := scheme("s", 4, "items: [{id: a, "+title+", points: 4, rule: judged}]")
	missing := filepath.Join(t.TempDir(), "none")
	for _, tt := range []struct {
		name    string
		folders []strictyaml.Folder
		want    string
	}{
		{"a folder that is not there", []strictyaml.Folder{strictyaml.Dir(missing)}, "read the folder " + missing},
		{"a file of another name", []strictyaml.Folder{folder(map[string]string{"s.yml": text})}, "x/s.yml:1: name it .yaml"},
		{"a scheme that is there already", []strictyaml.Folder{folder(map[string]string{"s.yaml": text}), {Name: "y", FS: folder(map[string]string{"s.yaml": text}).FS}}, "y/s.yaml:1: scheme s is in x/s.yaml already"},
		{"an expression without end", []strictyaml.Folder{folder(map[string]string{"s.yaml": scheme("s", 0, "items: [{id: a, "+title+", rule: basic, when: "+strings.Repeat("bagged > 0.5 or ", 100)+" bagged > 0.5}]")})}, "x/s.yaml:8: when: the expression is longer than 1000 bytes"},
		{"two files", []strictyaml.Folder{folder(map[string]string{"a.yaml": "scheme: b\n", "b.yaml": "scheme: a\n"})}, "x/b.yaml:1: the file must be called a.yaml"},
	} {
		if _, err := schemes.Load(words(), tt.folders...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
	// An indicator that this scheme needs is not there.
	fewer := words()
	delete(fewer.Units, "bagged")
	needs := scheme("s", 0, "items: [{id: a, "+title+", rule: basic, when: bagged > 0.5}]")
	if _, err := schemes.Load(fewer, folder(map[string]string{"s.yaml": needs})); err == nil || err.Error() != "x/s.yaml:8: when: unknown name bagged, at column 1 of the expression" {
		t.Errorf("an indicator that is not there: %v", err)
	}
}

// TestCheckFails changes what the tests inside a file want, one after another.
func TestCheckFails(t *testing.T) {
	const rest = `
items:
- {id: a, title: {zh: 甲, en: A}, points: 4, rule: all_or_nothing, evidence: [document, inspection]}
- {id: b, title: {zh: 甲, en: A}, points: 2, rule: tiers, of: diversion, tiers: [{at_least: 0.9, points: 2}]}
- {id: v, title: {zh: 甲, en: A}, rule: veto, evidence: [document]}
parts: [{scheme: part, weight: 4}]
levels: [{id: good, title: {zh: 甲, en: A}, at_least: 6, pass: true}]
tests:
- name: one
  month: 2026-02
  indicators: {diversion: 0.9}
  complete: {diversion: 0.9}
  met: [a]
  unmet: [v]
  points: {part/p: 1}
  records: [{item: a, type: inspection, date: 2026-02-28, values: {met: 1}}]
  want: {verdict: fail, points: 8, barred: [v], items: {a: 4, b: pass, v: fail}, parts: {part: 2..2}}
`
	text := strings.Replace(scheme("s", 10, rest), "tests:\n- {name: nothing, want: {verdict: insufficient_data}}\n", "", 1)
	part := strings.Replace(scheme("part", 2, "items: [{id: p, "+title+", points: 2, rule: judged}]"), "{verdict: insufficient_data}", "{verdict: insufficient_data, points: 0..2}", 1)
	files := func(text string) map[string]string { return map[string]string{"s.yaml": text, "part.yaml": part} }
	if ran, err := load(t, files(text)).Check(); err != nil || ran != 2 {
		t.Fatalf("%d tests: %v", ran, err)
	}
	for _, tt := range []struct{ from, to, want string }{
		{"verdict: fail", "verdict: pass", "verdict is fail (not met: “A”), want pass"},
		{"points: 8", "level: good, points: 8", `level is "", want "good"`},
		{"points: 8", "points: 8..9", "points are 8, want 8..9"},
		{"points: 8, ", "", "points are 8; say so in want"},
		{"barred: [v]", "open: [v]", `open are [], want ["v"]`},
		{"barred: [v]", "open: [v]", `barred by ["v"], want []`},
		{"a: 4", "a: 3", "item a has 4 points (), want 3"},
		{"b: pass", "b: insufficient_data", "item b is pass (diversion = 0.9: 2 points), want insufficient_data"},
		{"b: pass", "x: pass", `the assessment has no item "x"`},
		{"part: 2..2", "part: 1..2", "part part has 2 points, want 1..2"},
		{"part: 2..2", "s: 1..2", `scheme s has no part "s"`},
		{"complete: {diversion: 0.9}", "complete: {diversion: 0.8}", "points are 6..8, want 8"},
		{"complete: {diversion: 0.9}", "insufficient: [diversion]", "points are 6..8, want 8"},
		{"complete: {diversion: 0.9}", "estimated: {bagged: 0.9}", "the scheme refers to no indicator bagged"},
		{"indicators: {diversion: 0.9}", "indicators: {}", "the indicator diversion has no value in indicators"},
		{"part/p: 1", "part/q: 1", `scheme part has no item "q"`},
		{"part/p: 1", "trap/p: 1", `there is no scheme "trap"`},
		{"date: 2026-02-28, values: {met: 1}", "date: 2026-02-28, values: {met: 0}", "item a is fail"},
		{"type: inspection, date: 2026-02-28, values: {met: 1}", "type: inspection, date: 2026-03-01, until: 2026-04-01, values: {met: 0}", ""},
	} {
		changed := strings.Replace(text, tt.from, tt.to, 1)
		if tt.want == "item a is fail" {
			changed = strings.Replace(changed, "a: 4", "a: pass", 1)
		}
		_, err := load(t, files(changed)).Check()
		if changed == text || (err == nil) != (tt.want == "") || err != nil && (!strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "x/s.yaml:15: test \"one\": ")) {
			t.Errorf("%s: %v, want %s", tt.to, err, tt.want)
		}
	}
}

// TestDocs loads the example in docs/schemes.md and runs its tests, and looks for each
// shipped scheme in the table there.
func TestDocs(t *testing.T) {
	doc, err := os.ReadFile("../../docs/schemes.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(doc), "```yaml\n# my-schemes/quiet_court.yaml")
	example, _, _ = strings.Cut(example, "```")
	if ran, err := load(t, map[string]string{"quiet_court.yaml": "#" + example}).Check(); err != nil || ran != 3 {
		t.Errorf("%d tests of the example: %v", ran, err)
	}
	set, err := schemes.Load(words(), schemes.Shipped())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range set.Schemes() {
		row := ""
		for line := range strings.Lines(string(doc)) {
			if strings.HasPrefix(line, "| `"+s.Name+"` |") {
				row = line
			}
		}
		if row == "" {
			if !strings.Contains(string(doc), s.Name) {
				t.Errorf("docs/schemes.md does not tell of %s", s.Name)
			}
			continue
		}
		if cells := strings.Split(row, " | "); strings.TrimSpace(cells[3]) != map[bool]string{true: "yes", false: "no"}[s.Complete] {
			t.Errorf("docs/schemes.md says complete %q of %s", cells[3], s.Name)
		}
		for _, item := range s.Items {
			for _, name := range item.Indicators {
				if !strings.Contains(row, "`"+name+"`") {
					t.Errorf("docs/schemes.md does not tell that %s needs %s", s.Name, name)
				}
			}
		}
	}
}
