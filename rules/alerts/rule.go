package alerts

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm"

	"greentally"
	"greentally/internal/expression"
	"greentally/internal/strictyaml"
)

//go:embed *.yaml
var shipped embed.FS

// Shipped returns the folder of the rules that are shipped.
func Shipped() strictyaml.Folder { return strictyaml.Folder{Name: "rules/alerts", FS: shipped} }

// file is the form of a file: a group of rules.
type file struct {
	Group string          `yaml:"group"`
	Title greentally.Text `yaml:"title"`
	Rules []ruleFile      `yaml:"rules"`
}

// ruleFile is the form of a rule. It is about the readings of a kind of device, about the
// device-days of a kind (Days), or about indicators.
type ruleFile struct {
	Alert    string              `yaml:"alert"`
	Title    greentally.Text     `yaml:"title"`
	Severity greentally.Severity `yaml:"severity"`

	Kind      string `yaml:"kind"`      // any: of all kinds; then only absent and what all devices have can be used
	Days      string `yaml:"days"`      // kind whose device-days it is about
	Indicator string `yaml:"indicator"` // name, or any

	Where  string              `yaml:"where"`  // which devices; expression over device, true if left out
	When   string              `yaml:"when"`   // condition
	Clear  string              `yaml:"clear"`  // condition of its end; not When if left out
	For    greentally.Duration `yaml:"for"`    // how long the condition must hold
	Absent float64             `yaml:"absent"` // instead of When: silent for so many reporting intervals

	Labels   map[string]string `yaml:"labels"`
	Summary  greentally.Text   `yaml:"summary"` // template over what conditions see
	Action   greentally.Text   `yaml:"action"`  // what to do; the same
	Quantity string            `yaml:"quantity"`
	Limit    string            `yaml:"limit"` // expression: the level to draw in the chart of the quantity

	Tests []test `yaml:"tests"`
}

// rule is a rule, ready to run.
type rule struct {
	ruleFile
	doc  *strictyaml.Doc
	path []any // in the document

	where, when, clear, limit *vm.Program
	needs                     []string // quantities that must be known
	before                    []string // quantities whose value before must be known
	local, collection         bool     // whether the conditions ask for these
	texts                     map[string]*template.Template
}

// Set is a set of rules.
type Set struct {
	rules []*rule
	kinds func(string) (*greentally.Kind, bool)

	traced map[string]map[string]asked // quantities whose course is remembered, by kind
}

// asked is what rules ask of a course.
type asked struct{ rate, lastDay, coming bool }

// Load loads the YAML files in the folders. The error joins all that is wrong with any of
// them.
func Load(kinds func(string) (*greentally.Kind, bool), folders ...strictyaml.Folder) (*Set, error) {
	s := &Set{kinds: kinds, traced: map[string]map[string]asked{}}
	var all []error
	groups, names := map[string]string{}, map[string]string{}
	for _, folder := range folders {
		files, contents, err := folder.Files()
		if err != nil {
			all = append(all, err)
		}
		for _, name := range files {
			var f file
			doc, err := strictyaml.Decode(name, contents[name], &f)
			if err != nil {
				all = append(all, err)
				continue
			}
			add := func(path []any, format string, args ...any) { all = append(all, doc.Errorf(path, format, args...)) }
			if f.Group == "" || !strings.HasSuffix(name, "/"+f.Group+".yaml") && name != f.Group+".yaml" {
				add([]any{"group"}, "the file must be called %s.yaml after its group", f.Group)
			}
			if other, taken := groups[f.Group]; taken {
				add([]any{"group"}, "group %s is in %s already", f.Group, other)
			}
			groups[f.Group] = name
			if f.Title.ZH == "" || f.Title.EN == "" {
				add([]any{"title"}, "title needs zh and en")
			}
			if len(f.Rules) == 0 {
				add(nil, "there are no rules in it")
			}
			for i := range f.Rules {
				r := &rule{ruleFile: f.Rules[i], doc: doc, path: []any{"rules", i}}
				if other, taken := names[r.Alert]; taken {
					add(append(r.path, "alert"), "alert %s is in %s already", r.Alert, other)
				}
				names[r.Alert] = name
				all = append(all, s.parse(r)...)
				s.rules = append(s.rules, r)
			}
		}
	}
	if err := errors.Join(all...); err != nil {
		return nil, err
	}
	slices.SortFunc(s.rules, func(a, b *rule) int { return strings.Compare(a.Alert, b.Alert) })
	return s, nil
}

// Len returns how many rules there are.
func (s *Set) Len() int { return len(s.rules) }

// OfDevices returns the title of the rule of that name, if there is one about devices.
func (s *Set) OfDevices(name string) (title greentally.Text, ok bool) {
	i := slices.IndexFunc(s.rules, func(r *rule) bool { return r.Alert == name && r.Indicator == "" })
	if i < 0 {
		return title, false
	}
	return s.rules[i].Title, true
}

// parse checks and compiles a rule.
func (s *Set) parse(r *rule) (all []error) {
	add := func(key, format string, args ...any) {
		all = append(all, r.doc.Errorf(append(slices.Clone(r.path), key), format, args...))
	}
	if r.Alert == "" || strings.Trim(r.Alert, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
		add("alert", "alert: want a name of small letters, digits and _, not %q", r.Alert)
	}
	for _, part := range r.parts() {
		if part.text.ZH == "" || part.text.EN == "" {
			add(part.key, "%s needs zh and en", part.key)
		}
	}
	if r.Severity != greentally.Critical && r.Severity != greentally.Warning && r.Severity != greentally.Info {
		add("severity", "severity: %q is none of critical, warning, info", r.Severity)
	}
	if subjects := given(r.Kind) + given(r.Days) + given(r.Indicator); subjects != 1 {
		add("kind", "a rule is about one of kind (readings), days (device-days) and indicator")
		return all
	}
	if r.For < 0 || r.For > greentally.Duration(7*24*time.Hour) {
		add("for", "for: want 0s to 168h, not %v", r.For)
	}
	if (r.Absent == 0) == (r.When == "") || r.Absent < 0 {
		add("when", "a rule has either a condition (when) or so many intervals of silence (absent)")
		return all
	}
	if r.Absent != 0 && (r.Kind == "" || r.For != 0 || r.Clear != "") {
		add("absent", "absent is of devices (kind), has its own time, and ends when the device speaks again")
	}
	if r.Kind == "" && r.For != 0 {
		add("for", "for is of readings; a device-day or an indicator holds as long as it is")
	}
	if r.Kind == "" && r.Clear != "" {
		add("clear", "clear is of readings; a device-day or an indicator ends as soon as it no longer holds")
	}
	if r.Indicator != "" && r.Where != "" {
		add("where", "where is of devices; of an indicator say it in when")
	}
	if r.Quantity == "" && r.Limit != "" {
		add("limit", "limit is drawn in the chart of the quantity; name that in quantity")
	}
	if len(r.Tests) == 0 {
		add("tests", "there are no tests in it")
	}
	env, kind, ok := s.env(r)
	if !ok {
		add(cmp.Or(map[bool]string{true: "kind"}[r.Kind != ""], "days"), "there is no kind %q", r.Kind+r.Days)
		return all
	}
	for _, part := range []struct {
		key, text string
		to        **vm.Program
		env       map[string]any
		result    expr.Option
	}{
		{"where", r.Where, &r.where, map[string]any{"device": deviceEnv{}}, expr.AsBool()},
		{"when", r.When, &r.when, env, expr.AsBool()},
		{"clear", r.Clear, &r.clear, env, expr.AsBool()},
		{"limit", r.Limit, &r.limit, env, expr.AsFloat64()},
	} {
		if part.text == "" {
			continue
		}
		program, err := expression.Compile(part.text, part.env, part.result)
		if err != nil {
			add(part.key, "%s: %w", part.key, err)
			continue
		}
		*part.to = program
		v := membersOf(program)
		if wrong := v.unknown(r, kind); wrong != "" {
			add(part.key, "%s: %s", part.key, wrong)
		}
		if part.key == "when" || part.key == "clear" {
			s.uses(r, kind, v)
		}
	}
	if r.Quantity != "" {
		switch {
		case kind != nil:
			if _, has := kind.Quantity(r.Quantity); !has {
				add("quantity", "a %s has no quantity %q", kind.Name, r.Quantity)
			}
		case r.Kind != anyKind || !slices.Contains(common(), r.Quantity):
			add("quantity", "what the rule is about has no quantity %q", r.Quantity)
		}
	}
	r.texts = map[string]*template.Template{}
	sample := named(env)
	for _, part := range r.parts() {
		for _, language := range languages() {
			text := part.in(language)
			if part.key == "title" || text == "" {
				continue
			}
			tmpl, err := parseText(part.key, language, text, sample)
			if err != nil {
				add(part.key, "%s, %s: %w", part.key, language, err)
				continue
			}
			r.texts[part.key+"_"+language] = tmpl
		}
	}
	return all
}

// part is a text of a rule.
type part struct {
	key  string
	text greentally.Text
}

func (r *rule) parts() []part {
	return []part{{"title", r.Title}, {"summary", r.Summary}, {"action", r.Action}}
}

func languages() []string { return []string{"zh", "en"} }

func (p part) in(language string) string {
	if language == "zh" {
		return p.text.ZH
	}
	return p.text.EN
}

func given(text string) int {
	if text == "" {
		return 0
	}
	return 1
}

// uses takes note of what the condition needs to be known.
func (s *Set) uses(r *rule, kind *greentally.Kind, v *visitor) {
	if r.Kind == anyKind {
		for _, name := range common() {
			if slices.Contains(v.names, name) && !slices.Contains(r.needs, name) {
				r.needs = append(r.needs, name)
			}
		}
	}
	r.local, r.collection = r.local || slices.Contains(v.names, "local"), r.collection || slices.Contains(v.names, "collection")
	if kind == nil {
		return
	}
	add := func(to *[]string, name string) {
		if _, has := kind.Quantity(name); has && !slices.Contains(*to, name) {
			*to = append(*to, name)
		}
	}
	for _, name := range v.names {
		add(&r.needs, name)
	}
	for _, member := range v.members {
		switch member[0] {
		case "before":
			add(&r.before, member[1])
		case "rate", "last_day", "coming":
			if s.traced[kind.Name] == nil {
				s.traced[kind.Name] = map[string]asked{}
			}
			a := s.traced[kind.Name][member[1]]
			s.traced[kind.Name][member[1]] = asked{a.rate || member[0] == "rate", a.lastDay || member[0] == "last_day", a.coming || member[0] == "coming"}
		}
	}
}

// visitor collects the names in an expression, and the members of those that are maps:
// rate["mass_kg"], device.limits["fill_ratio"].
type visitor struct {
	names   []string
	members [][2]string
}

func membersOf(program *vm.Program) *visitor {
	v := &visitor{}
	node := program.Node()
	ast.Walk(&node, v)
	return v
}

// unknown tells what is asked of a map that can never have it.
func (v *visitor) unknown(r *rule, kind *greentally.Kind) string {
	for _, member := range v.members {
		of, name := member[0], member[1]
		switch of {
		case "before", "rate", "last_day", "coming", "limits":
			if kind == nil {
				continue
			}
			q, has := kind.Quantity(name)
			switch {
			case !has:
				return fmt.Sprintf("%s: a %s has no quantity %q", of, kind.Name, name)
			case q.Nature == greentally.State:
				return fmt.Sprintf("%s: %s is a word, not a number", of, name)
			case of == "limits" && q.Nature != greentally.Gauge:
				return fmt.Sprintf("limits: %s is no gauge, so it has none", name)
			}
		case "faults":
			if r.Days != "" && !slices.Contains(faults(), greentally.FaultKind(name)) {
				return fmt.Sprintf("faults: there is no fault %q", name)
			}
		}
	}
	return ""
}

func faults() []greentally.FaultKind {
	return []greentally.FaultKind{greentally.Conflict, greentally.Spike, greentally.Dip, greentally.Wrap, greentally.Reset, greentally.Replaced, greentally.Unexplained}
}

func (v *visitor) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		v.names = append(v.names, n.Value)
	case *ast.MemberNode:
		name, named := n.Property.(*ast.StringNode)
		if !named {
			return
		}
		switch of := n.Node.(type) {
		case *ast.IdentifierNode:
			v.members = append(v.members, [2]string{of.Value, name.Value})
		case *ast.MemberNode:
			if of, is := of.Property.(*ast.StringNode); is {
				v.members = append(v.members, [2]string{of.Value, name.Value})
			}
		}
	}
}

// textFuncs are what templates of summaries and actions can call.
func textFuncs(language string) template.FuncMap {
	unit := " %"
	if language == "zh" {
		unit = "%"
	}
	write := func(v float64, digits int) string {
		text := strconv.FormatFloat(v, 'f', digits, 64)
		if strings.Contains(text, ".") {
			text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
		}
		return text
	}
	return template.FuncMap{
		"percent": func(v float64) string { return write(100*v, 0) + unit },
		"number":  func(v float64) string { return write(v, 1) },
		"seconds": func(hours float64) string { return write(3600*hours, 0) },
	}
}

// say fills in the texts.
func (r *rule) say(env map[string]any) (summary, action greentally.Text, err error) {
	var all []error
	data := named(env)
	fill := func(key string) string {
		var text bytes.Buffer
		if err := r.texts[key].Execute(&text, data); err != nil {
			all = append(all, fmt.Errorf("alert %s: %w", r.Alert, err))
			return r.Title.EN
		}
		return text.String()
	}
	summary = greentally.Text{ZH: fill("summary_zh"), EN: fill("summary_en")}
	action = greentally.Text{ZH: fill("action_zh"), EN: fill("action_en")}
	return summary, action, errors.Join(all...)
}
