package devices

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"greentally"
	"greentally/internal/strictyaml"
)

// KindFile is the file of a kind: the kind, and tests of messages in the native
// profile. The state connection is added to every kind; no file has it.
type KindFile struct {
	greentally.Kind `yaml:",inline"`
	Tests           []Test `yaml:"tests"`
}

// connection is the state that every kind has.
func connection() greentally.Quantity {
	return greentally.Quantity{
		Name: greentally.Connection, Nature: greentally.State,
		Title:  greentally.Text{ZH: "在线状态", EN: "Connection"},
		States: []string{"online", "offline"},
		StateTitles: map[string]greentally.Text{
			"online": {ZH: "在线", EN: "online"}, "offline": {ZH: "离线", EN: "offline"},
		},
	}
}

// kind is a kind with what decoding needs of it.
type kind struct {
	greentally.Kind
	file   string
	tests  []Test
	doc    *strictyaml.Doc
	byName map[string]*quantity
	names  string // of all quantities, for messages to people
}

// quantity is a quantity with what decoding needs of it. Its numbers are bounds that
// always hold, infinite where the kind sets none.
type quantity struct {
	greentally.Quantity
	min, max float64
	words    map[string]string // a state's words in every spelling
}

func newKind(k greentally.Kind) *kind {
	k.Quantities = append(slices.Clone(k.Quantities), connection())
	all := &kind{Kind: k, byName: map[string]*quantity{}}
	var names []string
	for _, q := range k.Quantities {
		names = append(names, q.Name)
		indexed := &quantity{Quantity: q, min: math.Inf(-1), max: math.Inf(1)}
		if q.Min != nil {
			indexed.min = *q.Min
		}
		if q.Max != nil {
			indexed.max = *q.Max
		}
		if q.Nature == greentally.State {
			indexed.words = map[string]string{}
			for _, word := range q.States {
				indexed.words[word] = word
				indexed.words[camel(word)] = word
			}
		}
		all.byName[q.Name] = indexed
	}
	all.names = strings.Join(names, ", ")
	return all
}

// camel returns a word in the spelling of Smart Data Models: lid_open as lidOpen.
func camel(word string) string {
	parts := strings.Split(word, "_")
	for i, part := range parts[1:] {
		if part != "" {
			parts[i+1] = string(unicode.ToUpper(rune(part[0]))) + part[1:]
		}
	}
	return strings.Join(parts, "")
}

// loadKinds reads the kinds of all folders. Its error joins everything that is wrong.
// The map also has the kinds that are not right, so that nothing is called unknown
// on top of that; complete is false if the name of one could not be read.
func loadKinds(folders []strictyaml.Folder, u units) (kinds map[string]*kind, complete bool, errs []error) {
	kinds, complete = map[string]*kind{}, true
	for _, folder := range folders {
		names, contents, err := folder.Files()
		if err != nil {
			errs = append(errs, err)
		}
		for _, file := range names {
			var k KindFile
			doc, err := strictyaml.Decode(file, contents[file], &k)
			if err != nil {
				errs, complete = append(errs, err), false
				continue
			}
			p := problems{doc: doc}
			checkKind(&k, u, p.add)
			if before := kinds[k.Name]; before != nil {
				p.add([]any{"kind"}, "kind %s is already in %s", k.Name, before.file)
				errs = append(errs, p.errs...)
				continue
			}
			errs = append(errs, p.errs...)
			made := newKind(k.Kind)
			made.file, made.tests, made.doc = file, k.Tests, doc
			kinds[k.Name] = made
		}
	}
	return kinds, complete, errs
}

const (
	wordPattern = `^[a-z][a-z0-9_]*$`
	idPattern   = `^[A-Za-z0-9_-]{1,64}$`
)

func isWord(s string) bool { return len(s) <= 64 && regexp.MustCompile(wordPattern).MatchString(s) }

// isID is written out because it also judges every message of an unknown device.
func isID(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if digit := c >= '0' && c <= '9'; !letter && !digit && c != '_' && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// report adds something that is wrong at the place that the path leads to.
type report func(path []any, format string, args ...any)

func checkKind(k *KindFile, u units, add report) {
	if !isWord(k.Name) {
		add([]any{"kind"}, "kind: want a word such as sorting_bin, not %q", k.Name)
	}
	checkTitle(k.Title, []any{"title"}, add)
	if len(k.Quantities) == 0 {
		add([]any{"quantities"}, "quantities: a kind has at least one")
	}
	seen := map[string]bool{}
	for i, q := range k.Quantities {
		checkQuantity(q, u, []any{"quantities", i}, add)
		if seen[q.Name] {
			add([]any{"quantities", i, "name"}, "quantity %s is there twice", q.Name)
		}
		seen[q.Name] = true
	}
	checkTests(k.Tests, add)
}

func checkTitle(t greentally.Text, path []any, add report) {
	if t.ZH == "" && t.EN == "" {
		add(path, "%v: want a text, such as {zh: …, en: …}", path[len(path)-1])
	}
}

func checkQuantity(q greentally.Quantity, u units, path []any, add report) {
	wrong := func(key, format string, args ...any) {
		add(at(path, key), "quantity %s: "+format, append([]any{q.Name}, args...)...)
	}
	switch {
	case !isWord(q.Name):
		wrong("name", "want a word with its unit, such as mass_kg")
	case q.Name == "time" || q.Name == connection().Name:
		wrong("name", "the name is taken")
	}
	checkTitle(q.Title, at(path, "title"), add)
	for _, v := range []struct {
		key    string
		number *float64
	}{{"min", q.Min}, {"max", q.Max}, {"limit", q.Limit}, {"tolerance", &q.Tolerance}, {"max_per_hour", &q.MaxPerHour}} {
		if v.number == nil {
			continue
		}
		if _, ok := greentally.AmountOf(*v.number); !ok {
			wrong(v.key, "%s: %v is not a number that can be tallied", v.key, *v.number)
		}
	}
	if q.Nature == greentally.State {
		checkStates(q, wrong)
		return
	}
	if !slices.Contains([]greentally.Nature{greentally.Gauge, greentally.Mass, greentally.Register}, q.Nature) {
		wrong("nature", "nature: want gauge, mass, register or state, not %q", q.Nature)
	}
	if len(q.States)+len(q.StateTitles) > 0 {
		wrong("states", "states: only a state has them, not a %s", q.Nature)
	}
	if _, ok := u[q.Unit]; !ok {
		wrong("unit", "unit: %q is not a unit of SenML (RFC 8428, RFC 8798), such as kg, kWh, Cel, / or count", q.Unit)
	}
	if q.Nature == greentally.Mass && q.Unit != "kg" {
		wrong("unit", "unit: a mass is in kg")
	}
	if q.Min != nil && q.Max != nil && *q.Min >= *q.Max {
		wrong("max", "max: %v is not above min, %v", *q.Max, *q.Min)
	}
	if q.Tolerance < 0 {
		wrong("tolerance", "tolerance: cannot be negative")
	}
	if q.MaxPerHour != 0 && (q.Nature != greentally.Register || q.MaxPerHour < 0) {
		wrong("max_per_hour", "max_per_hour: a register has one, and it is above 0")
	}
	if q.Limit != nil {
		if q.Nature != greentally.Gauge {
			wrong("limit", "limit: only a gauge has one, not a %s", q.Nature)
		} else if message := outside(q, *q.Limit); message != "" {
			wrong("limit", "limit: %s", message)
		}
	}
}

func checkStates(q greentally.Quantity, wrong func(key, format string, args ...any)) {
	if q.Unit != "" {
		wrong("unit", "unit: a state has none")
	}
	if q.Min != nil || q.Max != nil || q.Limit != nil || q.Tolerance != 0 || q.MaxPerHour != 0 {
		wrong("nature", "a state has no min, max, tolerance, limit or max_per_hour")
	}
	if len(q.States) < 2 {
		wrong("states", "states: want at least two words")
	}
	seen := map[string]bool{}
	for _, word := range q.States {
		if !isWord(word) {
			wrong("states", "states: want words such as lid_open, not %q", word)
		}
		if seen[camel(word)] {
			wrong("states", "states: %s is there twice", word)
		}
		seen[camel(word)] = true
	}
	for _, word := range slices.Sorted(maps.Keys(q.StateTitles)) {
		if !slices.Contains(q.States, word) {
			wrong("state_titles", "state_titles: %s is none of the states", word)
		}
	}
}

// outside says in what way v is not within the bounds of q; empty if it is.
func outside(q greentally.Quantity, v float64) string {
	switch {
	case q.Min != nil && !(v >= *q.Min):
		return fmt.Sprintf("%v is below the minimum of %s, %v", v, q.Name, *q.Min)
	case q.Max != nil && !(v <= *q.Max):
		return fmt.Sprintf("%v is above the maximum of %s, %v", v, q.Name, *q.Max)
	}
	return ""
}

// sortedKinds returns the kinds by name.
func sortedKinds(kinds map[string]*kind) []*kind {
	all := make([]*kind, 0, len(kinds))
	for _, k := range kinds {
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b *kind) int { return cmp.Compare(a.Name, b.Name) })
	return all
}
