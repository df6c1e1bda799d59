package factors

import (
	"embed"
	"errors"
	"fmt"
	"maps"
	"math"
	"path"
	"slices"

	"greentally"
	"greentally/internal/strictyaml"
)

//go:embed *.yaml
var shipped embed.FS

// Shipped returns the folder of the factors that are shipped.
func Shipped() strictyaml.Folder { return strictyaml.Folder{Name: "rules/factors", FS: shipped} }

// file is the form of a factor's file.
type file struct {
	greentally.Factor `yaml:",inline"`
	Tests             []test `yaml:"tests"`
}

// test says what the factor is on a day.
type test struct {
	Day  greentally.Date `yaml:"day"`
	Of   string          `yaml:"of"`
	Want *float64        `yaml:"want"` // left out: there is none yet
	Year int             `yaml:"year"` // of the edition that counts
}

// Set is a set of factors.
type Set struct{ byName map[string]*factor }

type factor struct {
	file
	name string // of the file
	doc  *strictyaml.Doc
}

// Load loads the YAML files in the folders. The error joins all that is wrong with any
// of them.
func Load(folders ...strictyaml.Folder) (*Set, error) {
	s := &Set{byName: map[string]*factor{}}
	var all []error
	for _, folder := range folders {
		names, contents, err := folder.Files()
		if err != nil {
			all = append(all, err)
		}
		for _, name := range names {
			f, err := parse(name, contents[name])
			if err != nil {
				all = append(all, err)
				continue
			}
			if other := s.byName[f.Name]; other != nil {
				all = append(all, f.doc.Errorf([]any{"factor"}, "factor %s is in %s already", f.Name, other.name))
				continue
			}
			s.byName[f.Name] = f
		}
	}
	if err := errors.Join(all...); err != nil {
		return nil, err
	}
	return s, nil
}

func parse(name string, data []byte) (*factor, error) {
	f := &factor{name: name}
	doc, err := strictyaml.Decode(name, data, &f.file)
	if err != nil {
		return nil, err
	}
	f.doc = doc
	var all []error
	add := func(path []any, format string, args ...any) { all = append(all, doc.Errorf(path, format, args...)) }
	if f.Name == "" || f.Name+".yaml" != path.Base(name) {
		add([]any{"factor"}, "the file must be called %s.yaml after its factor", f.Name)
	}
	if f.Title.ZH == "" || f.Title.EN == "" {
		add([]any{"title"}, "title needs zh and en")
	}
	if f.Unit == "" {
		add([]any{"unit"}, "unit is missing, such as kg/kWh")
	}
	if f.Source == "" {
		add([]any{"source"}, "source is missing: say where the figures come from")
	}
	if len(f.Editions) == 0 {
		add(nil, "there are no editions in it")
	}
	for i, e := range f.Editions {
		at := []any{"editions", i}
		if e.Year == 0 || e.Published == (greentally.Date{}) {
			add(at, "an edition needs year, that of its data, and published, the day from which on it counts")
		}
		if i > 0 && !f.Editions[i-1].Published.Before(e.Published) {
			add(at, "editions go from the earliest published to the latest; %s does not come after %s", e.Published, f.Editions[i-1].Published)
		}
		if e.Value == nil && len(e.Of) == 0 {
			add(at, "an edition needs a value, or values of parts")
		}
		values := slices.Collect(maps.Values(e.Of))
		if e.Value != nil {
			values = append(values, *e.Value)
		}
		for _, v := range values {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				add(at, "%v is no value", v)
			}
		}
	}
	if len(f.Tests) == 0 {
		add(nil, "there are no tests in it")
	}
	return f, errors.Join(all...)
}

// Factor returns the factor of that name.
func (s *Set) Factor(name string) (greentally.Factor, bool) {
	f, ok := s.byName[name]
	if !ok {
		return greentally.Factor{}, false
	}
	return f.Factor, true
}

// Len returns how many factors there are.
func (s *Set) Len() int { return len(s.byName) }

// Check runs the tests inside all files, and returns how many it ran. The error joins all
// failures.
func (s *Set) Check() (ran int, err error) {
	var all []error
	for _, name := range slices.Sorted(maps.Keys(s.byName)) {
		f := s.byName[name]
		for i, tt := range f.Tests {
			ran++
			if err := tt.run(&f.Factor); err != nil {
				all = append(all, f.doc.Errorf([]any{"tests", i}, "%s: %w", tt.Day, err))
			}
		}
	}
	return ran, errors.Join(all...)
}

func (t *test) run(f *greentally.Factor) error {
	v, ok := f.At(t.Day, t.Of)
	switch {
	case t.Want == nil && ok:
		return fmt.Errorf("it is %v, of %d, and should not be there yet", v.Value, v.Year)
	case t.Want == nil:
		return nil
	case !ok:
		return fmt.Errorf("it is not there yet, want %v, of %d", *t.Want, t.Year)
	case v.Value != *t.Want || v.Year != t.Year:
		return fmt.Errorf("it is %v, of %d, want %v, of %d", v.Value, v.Year, *t.Want, t.Year)
	}
	return nil
}
