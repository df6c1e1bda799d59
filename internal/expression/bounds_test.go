package expression_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/expr-lang/expr"

	"greentally/internal/expression"
)

type thing struct {
	Name   string             `expr:"name"`
	Limits map[string]float64 `expr:"limits"`
}

// Length is what a value brings with it.
func (t thing) Length() int { return len(t.Name) }

func environment() map[string]any {
	return map[string]any{"a": 1.5, "n": 3, "s": "food", "b": true, "list": []string{"x", "y"},
		"of": thing{"bin-1", map[string]float64{"fill_ratio": 0.9}}}
}

func TestWhatCouldGrowIsRefused(t *testing.T) {
	double := "let a0 = s;"
	for i := range 40 {
		double += fmt.Sprintf("let a%d = a%d + a%d;", i+1, i, i)
	}
	refused := map[string]string{
		"a text that is doubled":            double + "a40 == s",
		"numbers by name":                   "let x = n; x + x > 1",
		"texts that are added":              "s + s == s",
		"a text and its own":                `of.name + "x" == s`,
		"one that may be a text":            `(b ? s : 1) + (b ? s : 1) == s`,
		"a range":                           "n in 1..1000000",
		"ranges of ranges":                  "len(map(1..100000, map(1..100000, #))) > 1",
		"a loop":                            "all(list, # == s)",
		"a loop in a loop":                  "count(list, count(list, true) > 0) > 0",
		"a reduction":                       "reduce(list, #acc + #, s) == s",
		"a map":                             "{a: 1}.a == 1",
		"parts one after the other":         "1; b",
		"what a value brings with it":       "of.Length() > 1",
		"text of a value":                   "string(of) == s",
		"JSON":                              "toJSON(of) == s",
		"repetition":                        `repeat(s, 1000000000) == s`,
		"another text":                      `replace(s, "", s) == s`,
		"an array of parts":                 `split(s, "") == []`,
		"a pattern that is not written out": "s matches s",
		"a long pattern":                    `s matches "` + strings.Repeat("a{1000}", 50) + `"`,
		"many parts":                        "a" + strings.Repeat(" + a", 600) + " > 1",
		"a long one":                        strings.Repeat(" ", 10_001) + "b",
	}
	for name, text := range refused {
		t.Run(name, func(t *testing.T) {
			if _, err := expression.Compile(text, environment(), expr.AsBool()); err == nil {
				t.Errorf("%.200s compiles", text)
			}
		})
	}
	for _, text := range []string{
		"a + n > 1", `s in ["food", "residual"]`, `s startsWith "f" and not (s contains "x")`, `s matches "^f.*d$"`, "(of.limits[s] ?? 1.0) > 0.5",
		"(b ? a : 2.0) ** 2 > 1", "n % 2 == 1", "min(a, n, 2) >= 1", "list[0] == s", `s[1:3] == "oo"`, "of?.name == s",
	} {
		if _, err := expression.Compile(text, environment(), expr.AsBool()); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestFormulasAreBounded(t *testing.T) {
	text := "s"
	for range 100 {
		text = "(" + text + " in [1,2,3,4,5,6,7,8,9])"
	}
	if formula, err := expression.Formula(text, func(leaf string) (string, error) { return leaf, nil }); err == nil {
		t.Errorf("a formula of %d characters", len(formula))
	}
}

// write writes an expression of any kind, also of those that are refused.
func write(r *rand.Rand, depth int) string {
	leaves := []string{"a", "n", "s", "b", "list", "of", "of.name", `of.limits["fill_ratio"]`, "1", "0", "2.5", "1e300", "99999999", `"text"`, `""`, "nil", "true", "[]", "#", "x0", "x1"}
	if depth == 0 {
		return leaves[r.IntN(len(leaves))]
	}
	one := func() string { return write(r, depth-1) }
	operators := []string{"+", "+", "-", "*", "/", "%", "**", "==", "<", "and", "or", "??", "in", "contains", "matches", "..", "|"}
	calls := []string{"abs", "int", "float", "round", "min", "max", "string", "repeat", "split", "replace", "join", "upper", "map", "filter", "reduce", "sum", "toJSON", "concat", "flatten", "duration", "date", "now", "bitshl", "trim", "sort"}
	switch r.IntN(9) {
	case 0, 1, 2:
		return "(" + one() + " " + operators[r.IntN(len(operators))] + " " + one() + ")"
	case 3:
		return "(" + one() + " ? " + one() + " : " + one() + ")"
	case 4:
		return calls[r.IntN(len(calls))] + "(" + one() + ")"
	case 5:
		return calls[r.IntN(len(calls))] + "(" + one() + ", " + one() + ")"
	case 6:
		return "[" + one() + ", " + one() + "]"
	case 7:
		return fmt.Sprintf("let x%d = %s; %s", r.IntN(2), one(), one())
	default:
		return one() + []string{"[0]", "[1:]", ".name", ".Length()", "?.limits"}[r.IntN(5)]
	}
}

// TestBoundedMemory evaluates whatever compiles.
func TestBoundedMemory(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	compiled := 0
	for range 20_000 {
		compiled += evaluate(t, write(r, 1+r.IntN(4)))
	}
	if compiled < 500 {
		t.Errorf("%d of the expressions compile, which are too few to know anything", compiled)
	}
}

// evaluate compiles and runs the text, and returns how many times it could.
func evaluate(t *testing.T, text string) int {
	t.Helper()
	const most = 4 << 20 // bytes
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	program, err := expression.Compile(text, environment(), expr.AsAny())
	if err == nil {
		_, _ = expr.Run(program, environment()) // an error is an answer
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > most {
		t.Errorf("%.300s takes %d bytes", text, n)
	}
	if err != nil {
		return 0
	}
	return 1
}

func FuzzBoundedMemory(f *testing.F) {
	for _, text := range []string{"a + n > 1", `s in ["food"]`, "let x = s; x", "1..9", "map(list, #)", `replace(s, "", s)`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { evaluate(t, text) })
}
