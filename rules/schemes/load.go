package schemes

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"math"
	"path"
	"regexp"
	"slices"
	"strings"

	"greentally"
	"greentally/internal/strictyaml"
)

//go:embed *.yaml
var shipped embed.FS

// Shipped returns the folder of the schemes that are shipped.
func Shipped() strictyaml.Folder { return strictyaml.Folder{Name: "rules/schemes", FS: shipped} }

// Set is a set of schemes, ready to assess.
type Set struct {
	schemes []*scheme // by name
	named   map[string]*scheme
}

// form is the form of a scheme's file.
type form struct {
	Scheme `yaml:",inline"`
	Tests  []test `yaml:"tests"`
}

// scheme is a scheme and its expressions.
type scheme struct {
	form
	doc    *strictyaml.Doc
	items  []compiled    // as Items
	levels []*expression // as Levels; nil where there is none
	parts  []*scheme     // as Parts
}

// compiled are an item's expressions.
type compiled struct {
	*Item
	types    []greentally.Text // as Evidence: what the types of record are called
	when, of *expression       // nil where there is none
	faults   []*expression     // as Faults; nil where there is none
}

// defaultFloor is the completeness below which an indicator is missing, unless the file
// says otherwise.
const defaultFloor = 0.9

// What a scheme can say of estimated mass.
const (
	allowed   = "allowed"
	forbidden = "forbidden"
)

var identifier = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// Vocabulary is what schemes can be about.
type Vocabulary struct {
	Units      map[string]string // of the indicators that there are
	RecordType func(name string) (greentally.RecordType, bool)
}

// Load loads the YAML files in the folders. The error joins all that is wrong with any of
// the files.
func Load(words Vocabulary, folders ...strictyaml.Folder) (*Set, error) {
	s := &Set{named: map[string]*scheme{}}
	language := newLanguage(words.Units)
	var all []error
	files := map[string]string{}
	broken := map[string]bool{} // schemes whose files cannot be read at all
	for _, folder := range folders {
		names, contents, err := folder.Files()
		if err != nil {
			all = append(all, err)
		}
		for _, name := range names {
			c, err := parse(name, contents[name], language, words)
			if err != nil {
				all = append(all, err)
			}
			if c == nil {
				broken[strings.TrimSuffix(path.Base(name), ".yaml")] = true
				continue
			}
			if other, taken := files[c.Name]; taken {
				all = append(all, c.doc.Errorf([]any{"scheme"}, "scheme %s is in %s already", c.Name, other))
				continue
			}
			files[c.Name] = name
			s.named[c.Name] = c
			s.schemes = append(s.schemes, c)
		}
	}
	slices.SortFunc(s.schemes, func(a, b *scheme) int { return cmp.Compare(a.Name, b.Name) })
	for _, c := range s.schemes {
		all = append(all, s.join(c, broken)...)
	}
	if err := errors.Join(all...); err != nil {
		return nil, err
	}
	return s, nil
}

// join finds the parts of the scheme, but those that are broken. A circle is an error of
// its first scheme by name only.
func (s *Set) join(c *scheme, broken map[string]bool) (all []error) {
	for i, p := range c.Parts {
		part, ok := s.named[p.Scheme]
		if !ok && broken[p.Scheme] {
			continue
		}
		if !ok {
			all = append(all, c.doc.Errorf([]any{"parts", i, "scheme"}, "there is no scheme %q", p.Scheme))
			continue
		}
		if part.Total == 0 {
			all = append(all, c.doc.Errorf([]any{"parts", i, "scheme"}, "scheme %s has no points to weigh", p.Scheme))
		}
		if circle := s.circle(c.Name, p.Scheme, nil); circle != nil && slices.Min(circle) == c.Name {
			all = append(all, c.doc.Errorf([]any{"parts", i, "scheme"}, "the parts go in a circle: %s", strings.Join(append([]string{c.Name}, circle...), " → ")))
		}
		c.parts = append(c.parts, part)
	}
	return all
}

// circle returns the way from the scheme named at, by its parts, to the one named home;
// nil if there is none.
func (s *Set) circle(home, at string, way []string) []string {
	if slices.Contains(way, at) {
		return nil
	}
	way = append(slices.Clone(way), at)
	if at == home {
		return way
	}
	if c := s.named[at]; c != nil {
		for _, p := range c.Parts {
			if found := s.circle(home, p.Scheme, way); found != nil {
				return found
			}
		}
	}
	return nil
}

// parse reads a scheme's file. The scheme is nil if it is not even of the form.
func parse(name string, data []byte, l language, words Vocabulary) (*scheme, error) {
	c := &scheme{}
	doc, err := strictyaml.Decode(name, data, &c.form)
	if err != nil {
		return nil, err
	}
	c.doc = doc
	p := &reader{doc: doc, language: l, words: words}
	p.head(name, c)
	seen := map[string]bool{}
	for i := range c.Items {
		p.item(c, i, seen)
	}
	p.levels(c)
	p.sum(c)
	if known := c.EstimatedMass == allowed || c.EstimatedMass == forbidden; !known && (c.EstimatedMass != "" || len(c.indicators()) > 0) {
		p.add([]any{"estimated_mass"}, "estimated_mass must be %s or %s: whether an indicator counts if some of its mass was estimated", allowed, forbidden)
	}
	return c, errors.Join(p.all...)
}

// reader collects what is wrong with a file.
type reader struct {
	language
	words Vocabulary
	doc   *strictyaml.Doc
	all   []error
}

func (p *reader) add(path []any, format string, args ...any) {
	p.all = append(p.all, p.doc.Errorf(path, format, args...))
}

func (p *reader) title(path []any, t greentally.Text) {
	if t.ZH == "" || t.EN == "" {
		p.add(append(path, "title"), "title needs zh and en")
	}
}

func (p *reader) head(name string, c *scheme) {
	if !identifier.MatchString(c.Name) || c.Name+".yaml" != path.Base(name) {
		p.add([]any{"scheme"}, "the file must be called %s.yaml after its scheme: small letters, digits and _", c.Name)
	}
	p.title(nil, c.Title)
	if c.Source == "" {
		p.add([]any{"source"}, "source is missing: say which document the items come from")
	}
	if e := c.Effective; e.From != nil && e.Until != nil && e.Until.Before(*e.From) {
		p.add([]any{"effective"}, "it is in effect from %s, which is after %s", e.From, e.Until)
	}
	if c.Completeness == 0 {
		c.Completeness = defaultFloor
	}
	if !(c.Completeness > 0 && c.Completeness <= 1) {
		p.add([]any{"completeness"}, "completeness must be above 0 and at most 1")
	}
	if !isPoints(c.Total) {
		p.add([]any{"total"}, "total must be a number of points, at least 0")
	}
	if len(c.Items)+len(c.Parts) == 0 {
		p.add(nil, "there are no items and no parts in it")
	}
	if len(c.Tests) == 0 {
		p.add(nil, "there are no tests in it")
	}
}

func isPoints(v float64) bool { return v >= 0 && !math.IsInf(v, 0) }

// item checks and compiles the item at position i; seen has the IDs of those before.
func (p *reader) item(c *scheme, i int, seen map[string]bool) {
	item := &c.Items[i]
	out := compiled{Item: item}
	at := func(path ...any) []any { return append([]any{"items", i}, path...) }
	p.id(at(), item.ID, seen)
	p.title(at(), item.Title)
	if item.Verified == nil {
		item.Verified = &c.Verified
	}
	if !isPoints(item.Points) {
		p.add(at("points"), "points must be a number, at least 0")
	}
	p.keys(at, item)
	switch item.Rule {
	case AllOrNothing, Veto, Basic:
		if item.When == "" && len(item.Evidence) == 0 {
			p.add(at(), "item %s needs a condition in when, or types of record in evidence", item.ID)
		}
		if item.When != "" {
			out.when = p.condition(at("when"), item.When)
		}
	case Deduction:
		p.faults(at, item, &out)
	case Tiers:
		p.tiers(at, item, &out)
	case Judged:
		item.Evidence = []string{greentally.Judgement}
	}
	for _, name := range item.Evidence {
		t, _ := p.words.RecordType(name)
		out.types = append(out.types, t.Title.WithID(name))
	}
	for _, e := range slices.Concat([]*expression{out.when, out.of}, out.faults) {
		if e != nil {
			item.Indicators = append(item.Indicators, p.indicatorsOf(e)...)
		}
	}
	slices.Sort(item.Indicators)
	item.Indicators = slices.Compact(item.Indicators)
	c.items = append(c.items, out)
}

func (p *reader) id(path []any, id string, seen map[string]bool) {
	if !identifier.MatchString(id) {
		p.add(append(path, "id"), "id %q must be of small letters, digits and _", id)
	} else if seen[id] {
		p.add(append(path, "id"), "the id %s is taken", id)
	}
	seen[id] = true
}

// keys checks that the item has the keys that belong to its rule, and no others.
func (p *reader) keys(at func(...any) []any, item *Item) {
	belongs := map[string][]string{
		AllOrNothing: {"points", "when", "evidence"},
		Deduction:    {"points", "faults", "evidence"},
		Tiers:        {"points", "of", "tiers"},
		Judged:       {"points"},
		Veto:         {"when", "evidence"},
		Basic:        {"points", "when", "evidence"},
	}[item.Rule]
	if belongs == nil {
		p.add(at("rule"), "there is no rule %q; the rules are %s, %s, %s, %s, %s and %s", item.Rule, AllOrNothing, Deduction, Tiers, Judged, Veto, Basic)
		return
	}
	for _, key := range []struct {
		name  string
		there bool
	}{
		{"points", item.Points != 0},
		{"when", item.When != ""},
		{"evidence", len(item.Evidence) > 0},
		{"faults", len(item.Faults) > 0},
		{"of", item.Of != ""},
		{"tiers", len(item.Tiers) > 0},
	} {
		if key.there && !slices.Contains(belongs, key.name) {
			p.add(at(key.name), "%s does not belong to the rule %s", key.name, item.Rule)
		}
	}
	if item.Points == 0 && item.Rule != Veto && item.Rule != Basic {
		p.add(at("points"), "item %s has no points", item.ID)
	}
	for i, kind := range item.Evidence {
		if kind == "" || slices.Contains(item.Evidence[:i], kind) {
			p.add(at("evidence", i), "evidence %q is empty, or there already", kind)
		}
	}
}

func (p *reader) faults(at func(...any) []any, item *Item, out *compiled) {
	if len(item.Faults) == 0 {
		p.add(at("faults"), "item %s has no faults to deduct for", item.ID)
	}
	seen := map[string]bool{}
	for i := range item.Faults {
		f := &item.Faults[i]
		in := func(path ...any) []any { return at(append([]any{"faults", i}, path...)...) }
		p.id(in(), f.ID, seen)
		if f.ID == greentally.Met {
			p.add(in("id"), "a fault cannot be called %s: by that records say that there is none", greentally.Met)
		}
		p.title(in(), f.Title)
		if !(f.Points > 0 && f.Points <= item.Points) {
			p.add(in("points"), "fault %s must cost points: above 0 and at most the item's %v", f.ID, item.Points)
		}
		switch {
		case f.Most == 0:
		case !f.Each:
			p.add(in("most"), "most belongs to faults that are counted; say each: true as well")
		case !(f.Most >= f.Points && f.Most <= item.Points):
			p.add(in("most"), "most must be at least the fault's points and at most the item's %v", item.Points)
		}
		var when *expression
		switch {
		case f.When != "" && f.Each:
			p.add(in("when"), "a condition says that a fault is there, not how often; leave out each")
		case f.When != "":
			when = p.condition(in("when"), f.When)
		case len(item.Evidence) == 0:
			p.add(in(), "nothing says whether fault %s is there: give it a condition in when, or the item types of record in evidence", f.ID)
		}
		out.faults = append(out.faults, when)
	}
}

func (p *reader) tiers(at func(...any) []any, item *Item, out *compiled) {
	if item.Of == "" {
		p.add(at("of"), "item %s needs the number that its tiers are of", item.ID)
	} else {
		var err error
		if out.of, err = p.number(item.Of); err != nil {
			p.add(at("of"), "of: %w", err)
		}
	}
	if len(item.Tiers) == 0 {
		p.add(at("tiers"), "item %s has no tiers", item.ID)
		return
	}
	if item.Tiers[0].Points != item.Points {
		p.add(at("tiers", 0), "the first tier must give all %v points of the item", item.Points)
	}
	for i, t := range item.Tiers {
		bound, sign := t.bound()
		switch {
		case sign == 0 || math.IsNaN(bound) || math.IsInf(bound, 0):
			p.add(at("tiers", i), "a tier needs at_least or at_most")
		case p.isRatio(item.Of) && bound > 1:
			p.add(at("tiers", i), "%s is a ratio and at most 1; write %v for %v %%", item.Of, bound/100, bound)
		}
		if !(t.Points >= 0 && t.Points <= item.Points) {
			p.add(at("tiers", i, "points"), "a tier's points must be at least 0 and at most the item's %v", item.Points)
		}
		if i == 0 {
			continue
		}
		before := item.Tiers[i-1]
		lastBound, lastSign := before.bound()
		if sign != lastSign || !(bound*sign < lastBound*sign) || !(t.Points < before.Points) {
			p.add(at("tiers", i), "tiers must go from the best down: of one sort, each easier to reach than the one before and for fewer points")
		}
	}
}

func (p *reader) condition(path []any, text string) *expression {
	e, err := p.language.condition(text)
	if err != nil {
		p.add(path, "when: %w", err)
	}
	return e
}

func (p *reader) indicatorsOf(e *expression) []string {
	var names []string
	for _, ref := range e.refs {
		if _, ok := p.units[ref]; ok {
			names = append(names, ref)
		}
	}
	return names
}

func (p *reader) levels(c *scheme) {
	seen := map[string]bool{}
	for i := range c.Levels {
		level := &c.Levels[i]
		at := func(path ...any) []any { return append([]any{"levels", i}, path...) }
		p.id(at(), level.ID, seen)
		p.title(at(), level.Title)
		bound, ok := level.bound()
		switch {
		case !ok || !isPoints(bound):
			p.add(at(), "level %s needs at_least or above, in points", level.ID)
		case bound > c.Total || bound == c.Total && level.Above != nil:
			p.add(at(), "level %s is out of reach: the total is %v", level.ID, c.Total)
		}
		var when *expression
		if level.When != "" {
			when = p.condition(at("when"), level.When)
		}
		c.levels = append(c.levels, when)
		if i == 0 {
			continue
		}
		before := &c.Levels[i-1]
		last, _ := before.bound()
		harder := before.When != "" || before.Above != nil && level.Above == nil
		if bound > last || bound == last && !harder {
			p.add(at(), "level %s must be easier to reach than %s before it: the highest comes first", level.ID, before.ID)
		}
		if level.Pass && !before.Pass {
			p.add(at("pass"), "level %s counts as pass, but %s, which is higher, does not", level.ID, before.ID)
		}
	}
}

// sum checks that the points add up.
func (p *reader) sum(c *scheme) {
	var items, weights float64
	for i := range c.Items {
		items += c.Items[i].Points
	}
	seen := map[string]bool{}
	for i, part := range c.Parts {
		if !(part.Weight > 0) {
			p.add([]any{"parts", i, "weight"}, "weight must be above 0")
		}
		if seen[part.Scheme] {
			p.add([]any{"parts", i, "scheme"}, "scheme %s is a part already", part.Scheme)
		}
		seen[part.Scheme] = true
		weights += part.Weight
	}
	sum := tidy(items + weights)
	what := fmt.Sprintf("the items have %v points", sum)
	switch {
	case len(c.Items) == 0:
		what = fmt.Sprintf("the parts weigh %v points", sum)
	case len(c.Parts) > 0:
		what = fmt.Sprintf("items and parts have %v points", sum)
	}
	switch {
	case sum > c.Total:
		p.add([]any{"total"}, "%s, which is more than the total of %v", what, c.Total)
	case sum < c.Total && c.Complete:
		p.add([]any{"total"}, "%s, which is less than the total of %v; if items are missing, say complete: false", what, c.Total)
	}
}

// tidy rounds to millionths, so that sums of decimals come out as they are written.
func tidy(v float64) float64 { return math.Round(v*1e6) / 1e6 }

// Names returns the names of the schemes, in order.
func (s *Set) Names() []string {
	names := make([]string, len(s.schemes))
	for i, c := range s.schemes {
		names[i] = c.Name
	}
	return names
}

// Schemes returns what the schemes' files say, by name.
func (s *Set) Schemes() []Scheme {
	all := make([]Scheme, len(s.schemes))
	for i, c := range s.schemes {
		all[i] = c.Scheme
	}
	return all
}

// Indicators returns the names of the indicators that any of the schemes refers to, in
// order.
func (s *Set) Indicators() []string {
	names := []string{}
	for _, c := range s.schemes {
		names = append(names, c.indicators()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// indicators returns the indicators that the scheme's items and levels refer to.
func (c *scheme) indicators() (names []string) {
	for _, item := range c.items {
		names = append(names, item.Indicators...)
	}
	for _, e := range c.levels {
		if e != nil {
			names = append(names, slices.DeleteFunc(slices.Clone(e.refs), isFact)...)
		}
	}
	return names
}

// isFact reports whether what an expression refers to is a fact of the community.
func isFact(ref string) bool { return ref == households || ref == population }
