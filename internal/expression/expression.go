// Package expression compiles the expressions in rules: of indicators, schemes and alerts, and
// those of devices' profiles and of types of records. Text and the names that it can use come in,
// and a program goes out. What a program may call is said here, once: nothing that reads a clock,
// so that the same evidence always gives the same answer.
//
// Whoever writes an expression may be a stranger: it can stand in an evidence bundle. So one that
// compiles takes no more time and memory than its length and that of its input say; see
// [CompileWith].
package expression

import (
	"cmp"
	"fmt"
	"reflect"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
)

// functions are what expressions can call.
func functions() []string {
	return []string{"abs", "ceil", "floor", "round", "min", "max", "int", "float"}
}

const (
	longest  = 10_000 // bytes of an expression: the parser goes as deep as brackets do
	maxNodes = 500    // numbers, names, operators and the like in an expression

	longestPattern = 200 // bytes of a regular expression
)

func short(text string) error {
	if len(text) > longest {
		return fmt.Errorf("it has %d bytes; the most is %d", len(text), longest)
	}
	return nil
}

// Compile compiles an expression over what the environment has; result is what it must
// yield, such as [expr.AsBool].
func Compile(text string, env map[string]any, result expr.Option) (*vm.Program, error) {
	return CompileWith(text, functions(), expr.Env(env), result)
}

// CompileWith compiles an expression that can call these functions of the language, and those
// that options add. None of them may give more than it takes, or only up to a bound.
//
// Every part of what it compiles is computed once at most: there are no loops and no names of its
// own (let), and texts are not added. So time and memory are bounded by the 500 parts that an
// expression can have, each of which gives a number, or a text of the input or of itself.
func CompileWith(text string, functions []string, options ...expr.Option) (*vm.Program, error) {
	if err := short(text); err != nil {
		return nil, err
	}
	tree, err := parser.Parse(text)
	if err != nil {
		return nil, err
	}
	var b bounds
	ast.Walk(&tree.Node, &b)
	if b.early != nil { // compiling computes what is constant already
		return nil, b.early
	}
	var s sums
	all := []expr.Option{expr.DisableAllBuiltins(), expr.MaxNodes(maxNodes), expr.Patch(&s)}
	for _, name := range functions {
		all = append(all, expr.EnableBuiltin(name))
	}
	program, err := expr.Compile(text, append(all, options...)...)
	if err != nil {
		return nil, err
	}
	if err := cmp.Or(b.late, s.err); err != nil {
		return nil, err
	}
	return program, nil
}

// bounds finds what in an expression could take more time or memory than its length says: early
// when it is compiled, late when it runs. What the compiler finds wrong is worth more than the
// latter.
type bounds struct{ early, late error }

// Visit implements [ast.Visitor].
func (b *bounds) Visit(node *ast.Node) {
	refuse := func(err *error, format string, args ...any) {
		if *err == nil {
			*err = fmt.Errorf(format, args...)
		}
	}
	switch n := (*node).(type) {
	case *ast.NilNode, *ast.IdentifierNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.StringNode,
		*ast.UnaryNode, *ast.ConditionalNode, *ast.ChainNode, *ast.MemberNode, *ast.SliceNode, *ast.ArrayNode, *ast.BuiltinNode:
	case *ast.CallNode:
		if _, named := n.Callee.(*ast.IdentifierNode); !named {
			refuse(&b.late, "only the functions of the language can be called, and not what a value brings with it")
		}
	case *ast.BinaryNode:
		switch n.Operator {
		case "+", "-", "*", "/", "%", "**", "^", "==", "!=", "<", "<=", ">", ">=", "and", "&&", "or", "||", "??", "in", "contains", "startsWith", "endsWith":
		case "matches":
			if pattern, constant := n.Right.(*ast.StringNode); !constant || len(pattern.Value) > longestPattern {
				refuse(&b.early, "a regular expression must be written out, with %d bytes at most", longestPattern)
			}
		default:
			refuse(&b.early, "there is no operator %s", n.Operator)
		}
	case *ast.VariableDeclaratorNode, *ast.SequenceNode:
		refuse(&b.late, "there is no let and no ;")
	case *ast.PredicateNode, *ast.PointerNode:
		refuse(&b.late, "there are no loops, such as filter, map and sum")
	default:
		refuse(&b.late, "write it with numbers, texts, names, comparisons and arithmetic")
	}
}

// sums finds texts that are added, which could make one much longer than the expression. It runs
// when the types are known.
type sums struct{ err error }

// Visit implements [ast.Visitor].
func (s *sums) Visit(node *ast.Node) {
	n, ok := (*node).(*ast.BinaryNode)
	if ok && n.Operator == "+" && s.err == nil && (!isNumber(n.Left) || !isNumber(n.Right)) {
		s.err = fmt.Errorf("only numbers can be added; one side of + is of type %v, the other of type %v", n.Left.Type(), n.Right.Type())
	}
}

func isNumber(n ast.Node) bool {
	switch n.Type().Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64:
		return true
	}
	return false
}
