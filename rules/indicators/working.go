package indicators

import (
	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"

	"greentally"
	"greentally/internal/expression"
)

// working says how the indicator came about from the inputs that it has.
func (ind *indicator) working(g *gathered, inputs []summed) greentally.Working {
	w := greentally.Working{Indicator: ind.Indicator, Numerator: ind.Numerator, Denominator: ind.Denominator, Facts: map[string]float64{}}
	formula := map[string]any{"community": envOfCommunity(g.Community)}
	for _, in := range ind.inputs {
		formula[in.name] = 0.0
	}
	for _, text := range []string{ind.Numerator, ind.Denominator} {
		for name, program := range leavesOf(text, formula) {
			if number, ok := run(program, formula).(float64); ok && formula[name] == nil {
				w.Facts[name] = number
			}
		}
	}
	for _, in := range ind.inputs {
		one := greentally.InputWorking{Name: in.name, Kind: in.Kind, Record: in.Record, Alert: in.Alert, Factor: in.Factor, Indicator: in.Indicator, Part: in.Part, Value: in.Value}
		none := 0.0 // of one that may be missing, and is
		one.Result = &none
		for _, sum := range inputs {
			if sum.Name == in.name {
				one.Rows, one.Times, one.Result = sum.rows, sum.times, sum.Value
			}
		}
		w.Inputs = append(w.Inputs, one)
	}
	return w
}

// facts returns what the value takes from its environment.
func (in *compiled) facts(env map[string]any) map[string]any {
	facts := make(map[string]any, len(in.leaves))
	for name, program := range in.leaves {
		if fact := run(program, env); fact != nil {
			facts[name] = fact
		}
	}
	return facts
}

// leavesOf compiles what an expression, which compiles itself, takes from its environment.
func leavesOf(text string, env map[string]any) map[string]*vm.Program {
	programs := map[string]*vm.Program{}
	names, err := expression.Leaves(text)
	if err != nil {
		return nil // the expression itself is in error, and was said to be
	}
	for _, name := range names {
		if program, err := expression.Compile(name, env, expr.AsAny()); err == nil {
			programs[name] = program
		}
	}
	return programs
}

// run returns what is at a leaf; nil if nothing is there.
func run(program *vm.Program, env map[string]any) any {
	found, err := expr.Run(program, env)
	if err != nil {
		return nil
	}
	return found
}
