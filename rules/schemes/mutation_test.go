package schemes_test

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"greentally"
	"greentally/rules/schemes"
)

// TestEveryFigureIsPinned changes each figure, comparison and switch of each shipped
// scheme, one at a time: the file must then be refused, or one of its tests must fail.
func TestEveryFigureIsPinned(t *testing.T) {
	names, contents, err := schemes.Shipped().Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		t.Run(path.Base(name), func(t *testing.T) {
			t.Parallel()
			text := string(contents[name])
			files := map[string]string{path.Base(name): text}
			for _, m := range regexp.MustCompile(`(?m)^- \{scheme: (\w+), weight`).FindAllStringSubmatch(text, -1) {
				files[m[1]+".yaml"] = string(contents[path.Join(path.Dir(name), m[1]+".yaml")])
			}
			if _, err := load(t, files).Check(); err != nil {
				t.Fatal(err)
			}
			mutants := mutantsOf(t, text)
			if len(mutants) == 0 {
				t.Fatal("there is nothing to change in it")
			}
			t.Logf("%d things to change", len(mutants))
			for _, m := range mutants {
				files[path.Base(name)] = m.text
				set, err := schemes.Load(units(), folder(files))
				if err == nil {
					_, err = set.Check()
				}
				if err == nil { // the mutant survives
					t.Errorf("line %d: no test notices %s", m.line, m.what)
				}
			}
		})
	}
}

type mutant struct {
	line       int
	what, text string
}

// mutantsOf returns the text of a scheme's file with one thing changed, in all ways.
func mutantsOf(t *testing.T, text string) []mutant {
	t.Helper()
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(text, "\n")
	var all []mutant
	replace := func(key string, node *yaml.Node, to string) {
		line := []rune(lines[node.Line-1])
		at := node.Column - 1
		if node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
			at++
		}
		if !strings.HasPrefix(string(line[at:]), node.Value) {
			t.Fatalf("line %d: %s is written in a form that this test does not know", node.Line, node.Value)
		}
		changed := slices.Clone(lines)
		changed[node.Line-1] = string(line[:at]) + to + string(line[at+len([]rune(node.Value)):])
		all = append(all, mutant{node.Line, fmt.Sprintf("%s: %s instead of %s", key, to, node.Value), strings.Join(changed, "")})
	}
	var walk func(node *yaml.Node)
	walk = func(node *yaml.Node) {
		if node.Kind != yaml.MappingNode {
			for _, child := range node.Content {
				walk(child)
			}
			return
		}
		for i := 0; i+1 < len(node.Content); i += 2 {
			key, value := node.Content[i].Value, node.Content[i+1]
			if key != "tests" {
				walk(value)
			}
			if value.Kind == yaml.ScalarNode {
				for _, to := range changes(key, value.Value) {
					replace(key, value, to)
				}
			}
		}
	}
	walk(&root)
	return all
}

var (
	constant   = regexp.MustCompile(`\b\d+(\.\d+)?\b`)
	comparison = regexp.MustCompile(`>=|<=|==|!=|>|<`)
	word       = regexp.MustCompile(`\band\b|\bor\b|\bnot `)
)

// changes returns what a value can be changed to.
func changes(key, value string) (to []string) {
	switch key {
	case "points", "most", "total", "weight", "at_least", "above", "at_most", "completeness":
		step := 0.01
		if key == "points" || key == "most" || key == "weight" {
			step = 0.5
		}
		return around(value, step)
	case "pass", "each", "complete":
		return []string{map[string]string{"true": "false", "false": "true"}[value]}
	case "estimated_mass":
		return []string{map[string]string{"allowed": "forbidden", "forbidden": "allowed"}[value]}
	case "from", "until":
		date, err := greentally.ParseDate(value)
		if err != nil {
			return []string{"wrong"}
		}
		return []string{date.Add(31).String(), date.Add(-31).String()}
	case "when", "of":
		splice := func(pattern *regexp.Regexp, options func(string) []string) {
			for _, at := range pattern.FindAllStringIndex(value, -1) {
				for _, o := range options(value[at[0]:at[1]]) {
					to = append(to, value[:at[0]]+o+value[at[1]:])
				}
			}
		}
		splice(constant, func(s string) []string { return around(s, 0.01) })
		others := map[string][]string{
			">=": {">", "<"}, ">": {">=", "<"}, "<=": {"<", ">"}, "<": {"<=", ">"}, "==": {"!="}, "!=": {"=="},
			"and": {"or"}, "or": {"and"}, "not ": {""},
		}
		splice(comparison, func(s string) []string { return others[s] })
		splice(word, func(s string) []string { return others[s] })
	}
	return to
}

// around returns a little more and a little less; of numbers above 1, one more and less.
func around(number string, step float64) []string {
	v, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return []string{"wrong"}
	}
	if v > 1 {
		step = max(step, 1)
	}
	return []string{strconv.FormatFloat(v+step, 'f', -1, 64), strconv.FormatFloat(v-step, 'f', -1, 64)}
}

// The test above is worth something only if it finds what it changes.
func TestChanges(t *testing.T) {
	for _, tt := range []struct{ key, value, want string }{
		{"points", "4", "5 3"},
		{"points", "0.5", "1 0"},
		{"at_least", "0.9", "0.91 0.89"},
		{"title", "90", ""},
		{"pass", "true", "false"},
		{"when", "not (bagged >= 0.9)", "not (bagged >= 0.91)|not (bagged >= 0.89)|not (bagged > 0.9)|not (bagged < 0.9)|(bagged >= 0.9)"},
		{"when", "battery_boxes == 2 or bagged < 1", "battery_boxes == 3 or bagged < 1|battery_boxes == 1 or bagged < 1|battery_boxes == 2 or bagged < 1.01|" +
			"battery_boxes == 2 or bagged < 0.99|battery_boxes != 2 or bagged < 1|battery_boxes == 2 or bagged <= 1|battery_boxes == 2 or bagged > 1|battery_boxes == 2 and bagged < 1"},
	} {
		separator := " "
		if tt.key == "when" {
			separator = "|"
		}
		if got := strings.Join(changes(tt.key, tt.value), separator); got != tt.want {
			t.Errorf("%s: %s: got %s, want %s", tt.key, tt.value, got, tt.want)
		}
	}
}
