package alerts

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
)

// longestTemplate is the longest summary or action, in bytes.
const longestTemplate = 4000

// parseText parses the template of a summary or an action, and tries it on the sample. Rules may
// come from strangers, in an evidence bundle, so what a template makes is bounded by its length:
// it has values, conditions and a few functions, but no loops, no names of its own, no templates in
// it, and no widths of three digits.
func parseText(key, language, text string, sample map[string]any) (*template.Template, error) {
	if len(text) > longestTemplate {
		return nil, fmt.Errorf("it has %d bytes; the most is %d", len(text), longestTemplate)
	}
	tmpl, err := template.New(key).Funcs(textFuncs(language)).Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, err
	}
	if len(tmpl.Templates()) > 1 {
		return nil, errors.New("it cannot define templates")
	}
	if tmpl.Tree == nil { // of nothing but a comment
		return tmpl, nil
	}
	if err := plain(tmpl.Root); err != nil {
		return nil, err
	}
	return tmpl, tmpl.Execute(io.Discard, sample)
}

// wide finds what printf would make wide.
var wide = regexp.MustCompile(`\*|\[|\d{3}`)

// plain returns what in a template is more than values, conditions and functions.
func plain(node parse.Node) error {
	all := func(nodes ...parse.Node) error {
		for _, n := range nodes {
			if err := plain(n); err != nil {
				return err
			}
		}
		return nil
	}
	list := func(l *parse.ListNode) error {
		if l == nil {
			return nil
		}
		return all(l.Nodes...)
	}
	pipe := func(p *parse.PipeNode) error {
		if len(p.Decl) > 0 {
			return fmt.Errorf("%s: it cannot have names of its own", p)
		}
		for _, c := range p.Cmds {
			if err := command(c); err != nil {
				return err
			}
			if err := all(c.Args...); err != nil {
				return err
			}
		}
		return nil
	}
	switch n := node.(type) {
	case *parse.ListNode:
		return list(n)
	case *parse.ActionNode:
		return pipe(n.Pipe)
	case *parse.PipeNode:
		return pipe(n)
	case *parse.IfNode:
		return errors.Join(pipe(n.Pipe), list(n.List), list(n.ElseList))
	case *parse.ChainNode:
		return plain(n.Node)
	case *parse.TextNode, *parse.CommentNode, *parse.FieldNode, *parse.DotNode, *parse.NilNode, *parse.StringNode, *parse.NumberNode, *parse.BoolNode:
		return nil
	case *parse.IdentifierNode:
		return callable(n.Ident)
	}
	return fmt.Errorf("%s: it can have values, if, and functions, but no loops and the like", strings.SplitN(node.String(), "\n", 2)[0])
}

func callable(name string) error {
	known := []string{"percent", "number", "seconds", "printf", "and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "index", "len"}
	if !slices.Contains(known, name) {
		return fmt.Errorf("there is no function %q; there are %s", name, strings.Join(known, ", "))
	}
	return nil
}

// command refuses the formats of printf that are not written out, or wide.
func command(c *parse.CommandNode) error {
	name, ok := c.Args[0].(*parse.IdentifierNode)
	if !ok || name.Ident != "printf" {
		return nil
	}
	if len(c.Args) < 2 {
		return errors.New("printf: its format must be written out")
	}
	format, ok := c.Args[1].(*parse.StringNode)
	if !ok || wide.MatchString(format.Text) {
		return fmt.Errorf("%s: its format must be written out, such as %%.2f, without widths of three digits", c)
	}
	return nil
}
