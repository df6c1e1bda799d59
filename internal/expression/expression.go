// Package expression compiles the expressions in rules: of indicators, schemes and alerts.
// Text and the names that it can use come in, and a program goes out. What a program may
// call is said here, once: nothing that reads a clock, so that the same evidence always
// gives the same answer.
package expression

import (
	"fmt"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
)

// functions are what expressions can call.
func functions() []string {
	return []string{"abs", "ceil", "floor", "round", "min", "max", "int", "float"}
}

// longest is the longest expression, in bytes: the parser goes as deep as brackets do.
const longest = 10_000

func short(text string) error {
	if len(text) > longest {
		return fmt.Errorf("it has %d bytes; the most is %d", len(text), longest)
	}
	return nil
}

// Compile compiles an expression over what the environment has; result is what it must
// yield, such as [expr.AsBool].
func Compile(text string, env map[string]any, result expr.Option) (*vm.Program, error) {
	if err := short(text); err != nil {
		return nil, err
	}
	options := []expr.Option{expr.Env(env), result, expr.DisableAllBuiltins()}
	for _, name := range functions() {
		options = append(options, expr.EnableBuiltin(name))
	}
	return expr.Compile(text, options...)
}
