// Package mutation changes YAML files, one thing at a time, so that tests can hold the
// tests inside the files to account: each figure that can be changed without any of them
// failing is one that nothing pins.
//
// It is for tests alone. Text comes in and changed texts go out; which keys can be changed,
// and to what, the caller says.
package mutation

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// Mutant is a file with one thing changed.
type Mutant struct {
	Line int
	What string // was changed
	Text string // of the whole file
}

// Of returns the text with one value changed, in all ways that changes tells for the
// value's key. What is under the key tests stays as it is.
func Of(text string, changes func(key, value string) []string) ([]Mutant, error) {
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil {
		return nil, err
	}
	f := file{lines: strings.SplitAfter(text, "\n"), changes: changes}
	if err := f.walk("", &root); err != nil {
		return nil, err
	}
	return f.mutants, nil
}

// Check fails the test if check takes a text in which something is changed, or refuses the
// one in which nothing is.
func Check(t *testing.T, text string, changes func(key, value string) []string, check func(text string) error) {
	t.Helper()
	if err := check(text); err != nil {
		t.Fatal(err)
	}
	mutants, err := Of(text, changes)
	if err != nil {
		t.Fatal(err)
	}
	if len(mutants) == 0 {
		t.Fatal("there is nothing to change in it")
	}
	t.Logf("%d things to change", len(mutants))
	for _, m := range mutants {
		if check(m.Text) == nil { // the mutant survives
			t.Errorf("line %d: no test notices %s", m.Line, m.What)
		}
	}
}

type file struct {
	lines   []string
	changes func(key, value string) []string
	mutants []Mutant
}

func (f *file) walk(key string, node *yaml.Node) error {
	switch node.Kind {
	case yaml.ScalarNode:
		for _, to := range f.changes(key, node.Value) {
			if err := f.replace(key, node, to); err != nil {
				return err
			}
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if key := node.Content[i].Value; key != "tests" {
				if err := f.walk(key, node.Content[i+1]); err != nil {
					return err
				}
			}
		}
	default: // of a list, the key is that of the list
		for _, child := range node.Content {
			if err := f.walk(key, child); err != nil {
				return err
			}
		}
	}
	return nil
}

// replace adds the file with the value changed.
func (f *file) replace(key string, node *yaml.Node, to string) error {
	changed := slices.Clone(f.lines)
	from, to := node.Value, to
	what := fmt.Sprintf("%s: %s instead of %s", key, to, from)
	if node.Style&(yaml.FoldedStyle|yaml.LiteralStyle) != 0 {
		// The value's words stand on the lines below, and nothing but their breaks changed.
		words := strings.Fields(to)
		end := node.Line
		for n := len(strings.Fields(from)); n > 0; end++ {
			n -= len(strings.Fields(f.lines[end]))
		}
		first := f.lines[node.Line]
		indent := first[:len(first)-len(strings.TrimLeft(first, " "))]
		changed = slices.Concat(f.lines[:node.Line], []string{indent + strings.Join(words, " ") + "\n"}, f.lines[end:])
	} else {
		line := []rune(f.lines[node.Line-1])
		at := node.Column - 1
		if node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
			at++
		}
		if !strings.HasPrefix(string(line[at:]), from) {
			return fmt.Errorf("line %d: %s is written in a form that this package does not know", node.Line, from)
		}
		changed[node.Line-1] = string(line[:at]) + to + string(line[at+len([]rune(from)):])
	}
	f.mutants = append(f.mutants, Mutant{node.Line, what, strings.Join(changed, "")})
	return nil
}

// Around returns a step more and a step less than the number; of numbers above 1, one more
// and one less, if the step is smaller.
func Around(number string, step float64) []string {
	v, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return []string{"wrong"}
	}
	if v > 1 {
		step = max(step, 1)
	}
	write := func(v float64) string {
		text := strconv.FormatFloat(v, 'f', -1, 64)
		if strings.Contains(number, ".") && !strings.Contains(text, ".") {
			text += ".0" // an expression tells 1.0 from 1
		}
		return text
	}
	return []string{write(v + step), write(v - step)}
}

var (
	constant   = regexp.MustCompile(`\b\d+(\.\d+)?\b`)
	comparison = regexp.MustCompile(`>=|<=|==|!=|>|<`)
	connective = regexp.MustCompile(`\band\b|\bor\b|\bnot |&&|\|\|`)
	arithmetic = regexp.MustCompile(` [-+*/] `)
	quoted     = regexp.MustCompile(`"[^"]*"`)
)

// Expression returns the expression with one constant, comparison, connective, operator or
// quoted word changed, in all ways; constants by the step.
func Expression(text string, step float64) (all []string) {
	splice := func(pattern *regexp.Regexp, options func(string) []string) {
		for _, at := range pattern.FindAllStringIndex(text, -1) {
			for _, o := range options(text[at[0]:at[1]]) {
				all = append(all, text[:at[0]]+o+text[at[1]:])
			}
		}
	}
	others := map[string][]string{
		">=": {">", "<"}, ">": {">=", "<"}, "<=": {"<", ">"}, "<": {"<=", ">"}, "==": {"!="}, "!=": {"=="},
		"and": {"or"}, "or": {"and"}, "&&": {"||"}, "||": {"&&"}, "not ": {""},
		" + ": {" - "}, " - ": {" + "}, " * ": {" / "}, " / ": {" * "},
	}
	splice(constant, func(s string) []string { return Around(s, step) })
	for _, pattern := range []*regexp.Regexp{comparison, connective, arithmetic} {
		splice(pattern, func(s string) []string { return others[s] })
	}
	splice(quoted, func(string) []string { return []string{`"something_else"`} })
	return all
}
