package expression_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/expr-lang/expr"

	"greentally/internal/expression"
)

func TestFormula(t *testing.T) {
	tests := []struct{ text, want string }{
		{"1 + 2 * mass_kg.collected", "(1+(2*mass_kg.collected))"},
		{"a - (b - c)", "(a-(b-c))"},
		{"(a - b) - c", "((a-b)-c)"},
		{"a / b / 24", "((a/b)/24)"},
		{"-a ** 2", "(-(a^2))"},
		{"0.0000001 * a", "(0.0000001*a)"},
		{`day.completeness >= 0.75 && mass_kg.max >= 1 ? min(mass_kg.emptied, 1.0) : 0.0`, "IF(AND((day.completeness>=0.75),(mass_kg.max>=1)),MIN(mass_kg.emptied,1),0)"},
		{`device.baseline.follows == "night" ? a : 1.0`, `IF(EXACT(device.baseline.follows,"night"),a,1)`},
		{`s != "it says \"x\""`, `NOT(EXACT(s,"it says ""x"""))`},
		{`!(a > 1 || b < 2)`, "NOT(OR((a>1),(b<2)))"},
		{`not (a == b)`, "NOT((a=b))"},
		{`s in ["food", "residual"]`, `OR(EXACT(s,"food"),EXACT(s,"residual"))`},
		{`heard != 0 ? community.devices["battery_box"] : 0.0`, "IF((heard<>0),community.devices.battery_box,0)"},
		{"abs(a) + round(b) + floor(c) + ceil(d) + int(e) + float(f) + max(a, b, 3)", "((((((ABS(a)+ROUND(b,0))+INT(c))+(-INT(-d)))+TRUNC(e))+(f))+MAX(a,b,3))"},
	}
	for _, tt := range tests {
		got, err := expression.Formula(tt.text, func(leaf string) (string, error) { return leaf, nil })
		if err != nil || got != tt.want {
			t.Errorf("%s is %s, want %s: %v", tt.text, got, tt.want, err)
		}
	}
	for _, text := range []string{`a matches "x"`, "a ?? b", "a in b", "a[1]", "len(a)", "let x = 1; x", "a % 2"} {
		if got, err := expression.Formula(text, func(leaf string) (string, error) { return leaf, nil }); !errors.Is(err, expression.ErrNoFormula) {
			t.Errorf("%s is %s, %v", text, got, err)
		}
	}
	if _, err := expression.Formula("a +", nil); err == nil {
		t.Error("half an expression is a formula")
	}
	wrong := errors.New("no such cell")
	if _, err := expression.Formula("1 + a", func(string) (string, error) { return "", wrong }); !errors.Is(err, wrong) {
		t.Errorf("error %v", err)
	}
}

// TestLong refuses what would use up the stack.
func TestLong(t *testing.T) {
	deep := strings.Repeat("(", 3_000_000) + "1"
	if _, err := expression.Leaves(deep); err == nil {
		t.Error("its leaves are looked for")
	}
	if _, err := expression.Formula(deep, nil); err == nil {
		t.Error("it is translated")
	}
	if _, err := expression.Compile(deep, nil, expr.AsBool()); err == nil {
		t.Error("it is compiled")
	}
	deep = strings.Repeat("(", 4_000) + "1" + strings.Repeat(")", 4_000)
	if got, err := expression.Formula(deep, nil); err != nil || got != "1" {
		t.Errorf("%s, %v", got, err)
	}
}

func TestLeaves(t *testing.T) {
	got, err := expression.Leaves(`a.b * a.b + device.baseline.lamps / c - (x["y z"] > 0 ? abs(d.e.f) : 1)`)
	want := []string{"a.b", "device.baseline.lamps", "c", `x["y z"]`, "d.e.f"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("leaves are %q, want %q: %v", got, want, err)
	}
}
