package devices

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"

	"greentally"
	compiling "greentally/internal/expression"
)

// mapping turns the fields of a payload into quantities.
type mapping struct {
	fields *field // of a JSON payload; nil for text
	leaves int    // how many fields have a value
	values []mappedValue
	time   *expression // nil for the time of receipt
	form   string      // of the time
}

type mappedValue struct {
	quantity string
	expression
}

// expression is a compiled expression and the fields that it needs.
type expression struct {
	program *vm.Program
	needs   []int
}

// field is a declared field of a payload, or an object on the way to one.
type field struct {
	inner map[string]*field // nil for a field with a value
	kind  string            // number, string or bool
	leaf  int               // position among the fields with a value
	path  string
}

// functions are what expressions can call: none reads a clock or the like.
func functions() []string {
	return []string{
		"abs", "ceil", "floor", "round", "min", "max", "int", "float",
		"trim", "lower", "upper", "indexOf",
		"bitand", "bitor", "bitshl", "bitshr",
	}
}

const (
	longestText = 4096 // bytes of a text that replace makes, unless it was longer before
	maxParts    = 1000 // of a text that is split
)

// bounded are those functions of the language that could make much of little, within bounds.
func bounded() []expr.Option {
	return []expr.Option{
		expr.Function("replace", func(args ...any) (any, error) {
			text, old, by := args[0].(string), args[1].(string), args[2].(string)
			if n := len(text) + strings.Count(text, old)*(len(by)-len(old)); n > max(longestText, len(text)) {
				return nil, fmt.Errorf("replace gives a text of %d bytes; the most is %d", n, longestText)
			}
			return strings.ReplaceAll(text, old, by), nil
		}, strings.ReplaceAll),
		expr.Function("split", func(args ...any) (any, error) {
			text, by := args[0].(string), args[1].(string)
			if n := strings.Count(text, by) + 1; n > maxParts {
				return nil, fmt.Errorf("split gives %d parts; the most is %d", n, maxParts)
			}
			return strings.Split(text, by), nil
		}, strings.Split),
	}
}

// newMapping compiles and checks the expressions of a form for devices of the kinds.
func newMapping(m *MessageForm, facts []Fact, kinds []*kind, path []any, add report) *mapping {
	made := &mapping{}
	payload := types.String
	if m.Format == JSON {
		made.fields = &field{inner: map[string]*field{}}
		for _, name := range slices.Sorted(maps.Keys(m.Fields)) {
			if err := made.declare(name, m.Fields[name]); err != nil {
				add(at(path, "fields", name), "field %s: %w", name, err)
			}
		}
		payload = made.fields.typed()
	}
	factTypes := types.Map{}
	for _, f := range facts {
		factTypes[f.Name] = types.Float64
	}
	env := types.Map{"payload": payload, "facts": factTypes}

	for _, name := range slices.Sorted(maps.Keys(m.Values)) {
		here := at(path, "values", name)
		want := reflect.Invalid
		boolean := true
		for _, k := range kinds {
			q := k.byName[name]
			switch {
			case q == nil:
				add(here, "kind %s has no quantity %q; it has %s", k.Name, name, k.names)
			case q.Nature != greentally.State:
				want = reflect.Float64
			default:
				want = reflect.String
				boolean = boolean && len(q.States) == 2
			}
		}
		if want == reflect.Invalid {
			continue
		}
		e, err := made.compile(m.Values[name], env, want)
		if err != nil && want == reflect.String && boolean {
			if asBool, boolErr := made.compile(m.Values[name], env, reflect.Bool); boolErr == nil {
				e, err = asBool, nil
			}
		}
		if err != nil {
			add(here, "%s: %w", name, err)
			continue
		}
		made.values = append(made.values, mappedValue{name, *e})
	}
	if m.Time != nil {
		made.form = m.Time.Form
		want := reflect.Float64
		switch m.Time.Form {
		case "rfc3339":
			want = reflect.String
		case "unix_s", "unix_ms":
		default:
			add(at(path, "time", "form"), "form: want rfc3339, unix_s or unix_ms, not %q", m.Time.Form)
		}
		e, err := made.compile(m.Time.Value, env, want)
		if err != nil {
			add(at(path, "time", "value"), "time: %w", err)
		}
		made.time = e
	}
	return made
}

// declare adds a field by its path.
func (m *mapping) declare(path, kind string) error {
	if !slices.Contains([]string{"number", "string", "bool"}, kind) {
		return fmt.Errorf("want number, string or bool, not %q", kind)
	}
	place := m.fields
	parts := strings.Split(path, ".")
	for i, part := range parts {
		if part == "" {
			return errors.New("a part of its path is empty")
		}
		next := place.inner[part]
		last := i == len(parts)-1
		switch {
		case next == nil && last:
			next = &field{kind: kind, leaf: m.leaves, path: path}
			m.leaves++
			place.inner[part] = next
		case next == nil:
			next = &field{inner: map[string]*field{}, path: strings.Join(parts[:i+1], ".")}
			place.inner[part] = next
		case last || next.inner == nil:
			return fmt.Errorf("%s cannot be both a value and an object", next.path)
		}
		place = next
	}
	return nil
}

// typed returns the field's type for expressions.
func (f *field) typed() types.Type {
	switch {
	case f.inner != nil:
		all := types.Map{}
		for name, inner := range f.inner {
			all[name] = inner.typed()
		}
		return all
	case f.kind == "number":
		return types.Float64
	case f.kind == "string":
		return types.String
	}
	return types.Bool
}

// compile compiles an expression that must yield the kind (or nil), and finds the
// fields that it needs.
func (m *mapping) compile(text string, env types.Map, want reflect.Kind) (*expression, error) {
	options := append(bounded(), expr.Env(env))
	// Compiling for a kind would also cast to it, and a nil cannot be cast. So this
	// only checks, and what runs is compiled without.
	if _, err := compiling.CompileWith(text, functions(), append(slices.Clone(options), expr.AsKind(want), expr.WarnOnAny())...); err != nil {
		return nil, readable(err)
	}
	program, err := compiling.CompileWith(text, functions(), options...)
	if err != nil {
		return nil, readable(err)
	}
	e := &expression{program: program}
	if m.fields == nil {
		return e, nil
	}
	node := program.Node()
	found := fieldFinder{root: m.fields, needs: map[int]bool{}}
	ast.Walk(&node, &found)
	if found.whole != found.reached {
		return nil, errors.New("payload must lead to a declared field, such as payload.distance")
	}
	e.needs = slices.Sorted(maps.Keys(found.needs))
	return e, nil
}

// readable makes one line of an error of package expr.
func readable(err error) error {
	var at *file.Error
	if errors.As(err, &at) {
		return fmt.Errorf("%s (at character %d)", at.Message, at.Column+1)
	}
	text := strings.ReplaceAll(err.Error(), "float64", "number")
	if strings.Contains(text, "got unknown") {
		text += "; if it mixes whole numbers and others, write 1.0 instead of 1"
	}
	return errors.New(text)
}

// fieldFinder finds the declared fields that an expression uses.
type fieldFinder struct {
	root    *field
	needs   map[int]bool
	whole   int // how often payload is named
	reached int // how often that leads to a field with a value
}

// Visit implements [ast.Visitor].
func (f *fieldFinder) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		if n.Value == "payload" {
			f.whole++
		}
	case *ast.MemberNode:
		if found := f.follow(n); found != nil && found.inner == nil {
			f.reached++
			f.needs[found.leaf] = true
		}
	}
}

// follow returns the field that a chain of members leads to.
func (f *fieldFinder) follow(node ast.Node) *field {
	switch n := node.(type) {
	case *ast.IdentifierNode:
		if n.Value == "payload" {
			return f.root
		}
	case *ast.ChainNode:
		return f.follow(n.Node)
	case *ast.MemberNode:
		base := f.follow(n.Node)
		name, ok := n.Property.(*ast.StringNode)
		if base != nil && ok {
			return base.inner[name.Value]
		}
	}
	return nil
}
