package mutation_test

import (
	"strings"
	"testing"

	"greentally/internal/mutation"
)

func TestOf(t *testing.T) {
	const text = `a: 5
b: {a: '5', c: 7}
list: [a, b]
when: >-
  x > 1
  and y
after: 5
tests: [{a: 5}]
`
	mutants, err := mutation.Of(text, func(key, value string) []string {
		switch key {
		case "a":
			return []string{"6", "4"}
		case "list":
			return []string{value + value}
		case "when":
			return mutation.Expression(value, 1)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		line int
		diff string
	}{
		{1, "a: 6"}, {1, "a: 4"}, {2, "b: {a: '6', c: 7}"}, {2, "b: {a: '4', c: 7}"}, {3, "list: [aa, b]"}, {3, "list: [a, bb]"},
		{4, "  x > 2 and y"}, {4, "  x > 0 and y"}, {4, "  x >= 1 and y"}, {4, "  x < 1 and y"}, {4, "  x > 1 or y"},
	} {
		if i >= len(mutants) {
			t.Fatalf("%d mutants, want more", len(mutants))
		}
		m := mutants[i]
		if m.Line != want.line || !strings.Contains("\n"+m.Text, "\n"+want.diff+"\n") || !strings.HasSuffix(m.Text, "after: 5\ntests: [{a: 5}]\n") {
			t.Errorf("mutant %d is of line %d: %s\n%s", i, m.Line, m.What, m.Text)
		}
	}
	if len(mutants) != 11 {
		t.Errorf("%d mutants, want 11", len(mutants))
	}
}

func TestExpression(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"not (bagged >= 0.9)", "not (bagged >= 0.91)|not (bagged >= 0.89)|not (bagged > 0.9)|not (bagged < 0.9)|(bagged >= 0.9)"},
		{"a == 2 or b < 1", "a == 3 or b < 1|a == 1 or b < 1|a == 2 or b < 1.01|a == 2 or b < 0.99|a != 2 or b < 1|a == 2 or b <= 1|a == 2 or b > 1|a == 2 and b < 1"},
		{`a in ["x"] ? 1.0 : m3 - c`, `a in ["x"] ? 1.01 : m3 - c|a in ["x"] ? 0.99 : m3 - c|a in ["x"] ? 1.0 : m3 + c|a in ["something_else"] ? 1.0 : m3 - c`},
		{"a * b / c", "a / b / c|a * b * c"},
	} {
		if got := strings.Join(mutation.Expression(tt.text, 0.01), "|"); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.text, got, tt.want)
		}
	}
}
