package expression

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
)

// ErrNoFormula is wrapped by the error for an expression that a spreadsheet cannot compute.
var ErrNoFormula = errors.New("a spreadsheet cannot compute it")

// longestFormula is the longest formula that a spreadsheet takes, in characters.
const longestFormula = 8192

// Formula translates an expression into the formula of a spreadsheet, without the sign =. cell
// returns what stands there for a leaf: a cell's name, or a literal. One that would be longer
// than spreadsheets take is none.
func Formula(text string, cell func(leaf string) (string, error)) (string, error) {
	if err := short(text); err != nil {
		return "", err
	}
	tree, err := parser.Parse(text)
	if err != nil {
		return "", err
	}
	return formula(tree.Node, cell)
}

// formula bounds each part on the way: a part may be written several times in the next.
func formula(node ast.Node, cell func(string) (string, error)) (string, error) {
	text, err := unbounded(node, cell)
	if err == nil && len(text) > longestFormula {
		return "", fmt.Errorf("it has more than %d characters: %w", longestFormula, ErrNoFormula)
	}
	return text, err
}

func unbounded(node ast.Node, cell func(string) (string, error)) (string, error) {
	if isLeaf(node) {
		return cell(node.String())
	}
	all := func(nodes ...ast.Node) ([]any, error) {
		parts := make([]any, len(nodes))
		for i, n := range nodes {
			part, err := formula(n, cell)
			if err != nil {
				return nil, err
			}
			parts[i] = part
		}
		return parts, nil
	}
	write := func(format string, nodes ...ast.Node) (string, error) {
		parts, err := all(nodes...)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf(format, parts...), nil
	}
	switch n := node.(type) {
	case *ast.IntegerNode:
		return strconv.Itoa(n.Value), nil
	case *ast.FloatNode:
		return strconv.FormatFloat(n.Value, 'f', -1, 64), nil
	case *ast.BoolNode:
		return strings.ToUpper(strconv.FormatBool(n.Value)), nil
	case *ast.StringNode:
		return Literal(n.Value), nil
	case *ast.UnaryNode:
		switch n.Operator {
		case "-", "+":
			return write("("+n.Operator+"%s)", n.Node)
		case "!", "not":
			return write("NOT(%s)", n.Node)
		}
	case *ast.ConditionalNode:
		return write("IF(%s,%s,%s)", n.Cond, n.Exp1, n.Exp2)
	case *ast.BinaryNode:
		if n.Operator == "in" {
			return oneOf(n, cell)
		}
		if format, ok := operator(n.Operator); ok {
			if isText(n.Left) || isText(n.Right) { // a spreadsheet's = takes Food for food
				format = strings.NewReplacer("(%s=%s)", "EXACT(%s,%s)", "(%s<>%s)", "NOT(EXACT(%s,%s))").Replace(format)
			}
			return write(format, n.Left, n.Right)
		}
	case *ast.BuiltinNode:
		if format, ok := call(n.Name); ok && len(n.Arguments) == 1 {
			return write(format, n.Arguments[0])
		}
		if n.Name == "min" || n.Name == "max" {
			parts, err := all(n.Arguments...)
			if err != nil {
				return "", err
			}
			return fmt.Sprintf(strings.ToUpper(n.Name)+"("+strings.TrimSuffix(strings.Repeat("%s,", len(parts)), ",")+")", parts...), nil
		}
	}
	return "", fmt.Errorf("%s: %w", node, ErrNoFormula)
}

// oneOf writes that something is one of a list.
func oneOf(n *ast.BinaryNode, cell func(string) (string, error)) (string, error) {
	list, ok := n.Right.(*ast.ArrayNode)
	if !ok || len(list.Nodes) == 0 {
		return "", fmt.Errorf("%s: %w", n, ErrNoFormula)
	}
	parts := make([]string, len(list.Nodes))
	for i, one := range list.Nodes {
		part, err := formula(&ast.BinaryNode{Operator: "==", Left: n.Left, Right: one}, cell)
		if err != nil {
			return "", err
		}
		parts[i] = part
	}
	return "OR(" + strings.Join(parts, ",") + ")", nil
}

func isText(node ast.Node) bool {
	_, ok := node.(*ast.StringNode)
	return ok
}

// operator returns how a spreadsheet writes an operator between two operands.
func operator(name string) (format string, ok bool) {
	switch name {
	case "+", "-", "*", "/", "^", "<", "<=", ">", ">=":
		return "(%s" + name + "%s)", true
	case "**":
		return "(%s^%s)", true
	case "==":
		return "(%s=%s)", true
	case "!=":
		return "(%s<>%s)", true
	case "&&", "and":
		return "AND(%s,%s)", true
	case "||", "or":
		return "OR(%s,%s)", true
	}
	return "", false
}

// call returns how a spreadsheet writes the call of a function of one argument.
func call(name string) (format string, ok bool) {
	switch name {
	case "abs":
		return "ABS(%s)", true
	case "round":
		return "ROUND(%s,0)", true
	case "floor":
		return "INT(%s)", true
	case "ceil":
		return "(-INT(-%s))", true
	case "int":
		return "TRUNC(%s)", true
	case "float":
		return "(%s)", true
	}
	return "", false
}

// Literal writes a fact in a formula.
func Literal(fact any) string {
	switch v := fact.(type) {
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strings.ToUpper(strconv.FormatBool(v))
	case string:
		return `"` + strings.ReplaceAll(v, `"`, `""`) + `"`
	}
	return `""`
}
