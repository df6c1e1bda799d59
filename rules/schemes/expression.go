package schemes

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"

	"greentally"
	compiling "greentally/internal/expression"
)

// maxExpression bounds the length of an expression.
const maxExpression = 1000

// expression is a compiled expression, and what it refers to.
type expression struct {
	text    string
	program *vm.Program
	refs    []string // indicators, and facts of the community such as community.households
}

// communityEnv is what expressions see of the community.
type communityEnv struct {
	Households float64 `expr:"households"`
	Population float64 `expr:"population"`
}

const (
	households = "community.households"
	population = "community.population"
)

// language compiles expressions over indicators.
type language struct {
	units map[string]string // of the indicators
	env   map[string]any
}

func newLanguage(units map[string]string) language {
	env := map[string]any{"community": communityEnv{}}
	for name := range units {
		env[name] = 0.0
	}
	return language{units, env}
}

// condition compiles an expression that is true or false.
func (l language) condition(text string) (*expression, error) { return l.compile(text, expr.AsBool()) }

// number compiles an expression that is a number.
func (l language) number(text string) (*expression, error) { return l.compile(text, expr.AsFloat64()) }

func (l language) compile(text string, result expr.Option) (*expression, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("the expression is longer than %d bytes", maxExpression)
	}
	tree, err := parser.Parse(text)
	if err != nil {
		return nil, oneLine(err)
	}
	c := checker{language: l}
	ast.Walk(&tree.Node, &c)
	program, err := compiling.Compile(text, l.env, result)
	if err != nil {
		return nil, oneLine(err)
	}
	if c.err != nil {
		return nil, c.err
	}
	slices.Sort(c.refs)
	refs := slices.Compact(c.refs)
	if len(refs) == 0 {
		return nil, errors.New("it refers to no indicator and no fact of the community, so it always says the same")
	}
	return &expression{text, program, refs}, nil
}

// oneLine makes one line of an error of the library.
func oneLine(err error) error {
	var at *file.Error
	if errors.As(err, &at) {
		return fmt.Errorf("%s, at column %d of the expression", at.Message, at.Column+1)
	}
	return err
}

// checker visits an expression as it was written. It collects what the expression refers
// to and refuses what could give no number, or another one each time.
type checker struct {
	language
	refs []string
	err  error
}

func (c *checker) refuse(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// Visit sees the children of a node before the node.
func (c *checker) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		if _, ok := c.units[n.Value]; ok {
			c.refs = append(c.refs, n.Value)
		}
	case *ast.MemberNode:
		of, isName := n.Node.(*ast.IdentifierNode)
		member, isText := n.Property.(*ast.StringNode)
		if !isName || !isText || of.Value != "community" || n.Optional {
			c.refuse("%s: only the community has parts", n)
			return
		}
		c.refs = append(c.refs, "community."+member.Value)
	case *ast.BinaryNode:
		c.binary(n)
	case *ast.UnaryNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.StringNode, *ast.ConditionalNode, *ast.BuiltinNode, *ast.CallNode:
		// Texts are the names of members; elsewhere they are of the wrong type.
	default:
		c.refuse("%s: write it with numbers, comparisons, and, or, not", *node)
	}
}

func (c *checker) binary(n *ast.BinaryNode) {
	switch n.Operator {
	case "<", "<=", ">", ">=", "==", "!=":
		c.percent(n.Left, n.Right)
		c.percent(n.Right, n.Left)
	case "&&", "||", "and", "or", "+", "-", "*":
	case "/", "%":
		c.refuse("%s: there is no division, because a division by 0 gives no number; multiply the other side", n)
	default:
		c.refuse("%s: there is no operator %s", n, n.Operator)
	}
}

// percent refuses the comparison of a ratio with a percentage.
func (c *checker) percent(left, right ast.Node) {
	name, ok := left.(*ast.IdentifierNode)
	if !ok || c.units[name.Value] != "ratio" {
		return
	}
	var value float64
	switch n := right.(type) {
	case *ast.IntegerNode:
		value = float64(n.Value)
	case *ast.FloatNode:
		value = n.Value
	default:
		return
	}
	if value > 1 {
		c.refuse("%s is a ratio and at most 1; write %v for %v %%", name.Value, value/100, value)
	}
}

// isRatio reports whether the expression is the name of a ratio and nothing else.
func (l language) isRatio(text string) bool { return l.units[text] == "ratio" }

// run evaluates the expression; missing says why not, if it refers to something that is
// missing.
func (e *expression) run(known *known) (value any, missing []greentally.Text, err error) {
	for _, ref := range e.refs {
		if _, ok := known.values[ref]; !ok {
			missing = append(missing, known.missing(ref))
		}
	}
	if len(missing) > 0 {
		return nil, missing, nil
	}
	value, err = expr.Run(e.program, known.env)
	if number, ok := value.(float64); ok && (math.IsNaN(number) || math.IsInf(number, 0)) {
		return nil, []greentally.Text{greentally.Textf("%s 算不出数值", "%s is no number", e.text)}, nil
	}
	return value, nil, err
}

// shown returns the values of what the expression refers to, and the expression if it is
// more than that.
func (e *expression) shown(known *known) greentally.Text {
	var values []greentally.Text
	for _, ref := range e.refs {
		values = append(values, greentally.Textf("%s = %s", "%s = %s", known.title(ref), known.shown(ref)))
	}
	text := greentally.JoinTexts(values, "，", ", ")
	if slices.Equal(e.refs, []string{e.text}) {
		return text
	}
	return text.WithID(e.text)
}
