package indicators

import (
	"cmp"
	"errors"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm"

	"greentally"
	"greentally/internal/expression"
	"greentally/internal/night"
	"greentally/internal/strictyaml"
)

// file is the form of an indicator's file.
type file struct {
	Indicator    string             `yaml:"indicator"`
	Title        greentally.Text    `yaml:"title"`
	Unit         string             `yaml:"unit"`
	Source       string             `yaml:"source"`
	Verified     bool               `yaml:"verified"` // whether formula and target were read in the source
	Inputs       map[string]input   `yaml:"inputs"`
	Numerator    string             `yaml:"numerator"`
	Denominator  string             `yaml:"denominator"`
	Optional     []string           `yaml:"optional"` // inputs that are 0 where no device is meant by them; one must be there
	Target       *greentally.Target `yaml:"target"`
	Completeness float64            `yaml:"completeness"`
	Assumptions  []greentally.Text  `yaml:"assumptions"` // that the uncertainty rests on
	Tests        []test             `yaml:"tests"`

	// Of inputs over records: how many months up to this one are looked at, by default 1,
	// and whether the latest record alone counts. A record counts only if it has all the
	// values of its type that the file's inputs use.
	Months int  `yaml:"months"`
	Latest bool `yaml:"latest"`
}

// input is one of: a sum over device-days of a kind, a sum over records of a type, a
// factor, or a part of another indicator.
type input struct {
	Kind  string   `yaml:"kind"`
	Where string   `yaml:"where"` // which devices or records; expression over device or record, true if left out
	Needs []string `yaml:"needs"` // quantities that a day must have, beside those in value
	Value string   `yaml:"value"` // what a device-day or record contributes; expression over its quantities, device and day, or over its values and record
	Times *times   `yaml:"times"`

	// Only says which device-days count; expression as in value. One that does not is
	// missing, and so not covered.
	Only string `yaml:"only"`
	// Less is what records of the device say is to be taken off what a day contributes, at
	// the most all of it. What a record says of several days is spread evenly over them.
	Less *less `yaml:"less"`

	// ErrorRatio is by which part of it what a device-day contributes can be wrong;
	// expression over its quantities, device and day. The error is taken as one of the
	// device, the same on all its days.
	ErrorRatio string `yaml:"error_ratio"`

	Record string `yaml:"record"`

	Alert string `yaml:"alert"` // rule; with where and value over alert

	Factor string `yaml:"factor"`
	Of     string `yaml:"of"` // which part of it; expression over community

	Indicator string `yaml:"indicator"` // one that does not rest on another itself
	Part      string `yaml:"part"`      // numerator or denominator
}

// times multiplies what a device-day contributes by a value from the records of the
// device's stream: the mean over the month's records, weighted.
type times struct {
	Record string `yaml:"record"` // type of record
	Value  string `yaml:"value"`  // name of the value
	Weight string `yaml:"weight"` // name of the value that weighs it
}

type less struct {
	Record string `yaml:"record"` // type of record
	Value  string `yaml:"value"`  // name of the value
}

// Set is a set of indicators, ready to compute.
type Set struct {
	indicators []*indicator // by name
	words      Vocabulary
}

// Vocabulary is what indicators can be about.
type Vocabulary struct {
	Kind       func(name string) (*greentally.Kind, bool)
	RecordType func(name string) (greentally.RecordType, bool)
	Factor     func(name string) (greentally.Factor, bool)
	AlertRule  func(name string) (title greentally.Text, ok bool) // of those about devices
}

type indicator struct {
	file
	name                   string // of the file
	doc                    *strictyaml.Doc
	inputs                 []compiled // by name
	numerator, denominator *vm.Program
	stated                 bool // whether an uncertainty is
	displayOnly            bool
}

type compiled struct {
	input
	name         string
	where, value *vm.Program
	error, of    *vm.Program
	only         *vm.Program
	needs        []string               // quantities, or values of records
	leaves       map[string]*vm.Program // what value takes from its environment, as it is written there
	factor       greentally.Factor

	title      greentally.Text // of the kind, the type of record or the alert rule
	values     []greentally.RecordValue
	timesTitle greentally.Text // of the type of record in Times
}

// defaultFloor is the completeness below which there is no verdict, unless the file
// says otherwise.
const defaultFloor = 0.9

// Load loads the YAML files in the folders. The error joins all that is wrong with any
// of them.
func Load(words Vocabulary, folders ...strictyaml.Folder) (*Set, error) {
	s := &Set{words: words}
	var all []error
	seen := map[string]string{}
	for _, folder := range folders {
		names, contents, err := folder.Files()
		if err != nil {
			all = append(all, err)
		}
		for _, name := range names {
			ind, err := s.parse(name, contents[name])
			if err != nil {
				all = append(all, err)
				continue
			}
			if other, taken := seen[ind.Indicator]; taken {
				all = append(all, ind.doc.Errorf([]any{"indicator"}, "indicator %s is in %s already", ind.Indicator, other))
				continue
			}
			seen[ind.Indicator] = name
			s.indicators = append(s.indicators, ind)
		}
	}
	slices.SortFunc(s.indicators, func(a, b *indicator) int { return strings.Compare(a.Indicator, b.Indicator) })
	for _, ind := range s.indicators {
		all = append(all, s.link(ind))
	}
	if err := errors.Join(all...); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Set) parse(name string, data []byte) (*indicator, error) {
	ind := &indicator{name: name}
	doc, err := strictyaml.Decode(name, data, &ind.file)
	if err != nil {
		return nil, err
	}
	ind.doc = doc
	var all []error
	add := func(path []any, format string, args ...any) { all = append(all, doc.Errorf(path, format, args...)) }
	if ind.Indicator == "" || ind.Indicator+".yaml" != path.Base(name) {
		add([]any{"indicator"}, "the file must be called %s.yaml after its indicator", ind.Indicator)
	}
	if ind.Title.ZH == "" || ind.Title.EN == "" {
		add([]any{"title"}, "title needs zh and en")
	}
	if ind.Unit == "" {
		add([]any{"unit"}, "unit is missing; for a rate it is ratio")
	}
	if ind.Source == "" {
		add([]any{"source"}, "source is missing: say where the formula comes from")
	}
	if len(ind.Tests) == 0 {
		add(nil, "there are no tests in it")
	}
	if t := ind.Target; t != nil && (t.AtLeast == nil) == (t.AtMost == nil) {
		add([]any{"target"}, "target needs at_least or at_most")
	}
	if t := ind.Target; t != nil && ind.Unit == "ratio" {
		for _, v := range []*float64{t.AtLeast, t.AtMost} {
			if v != nil && !(*v >= 0 && *v <= 1) {
				add([]any{"target"}, "target: a ratio is held against 0 to 1, not %v", *v)
			}
		}
	}
	if ind.Completeness == 0 {
		ind.Completeness = defaultFloor
	}
	if ind.Completeness < 0 || ind.Completeness > 1 {
		add([]any{"completeness"}, "completeness must be 0 to 1")
	}
	if ind.Months < 0 || ind.Months > 60 {
		add([]any{"months"}, "months is 1 to 60")
	}
	formula := map[string]any{"community": communityEnv{}}
	for _, inputName := range slices.Sorted(maps.Keys(ind.Inputs)) {
		in := compiled{input: ind.Inputs[inputName], name: inputName}
		at := func(key string) []any { return []any{"inputs", inputName, key} }
		formula[inputName] = 0.0
		if key, also := in.mixed(); also != "" {
			add(at(also), "an input with %s has no %s", key, also)
			continue
		}
		switch {
		case in.Record != "":
			s.parseRecordInput(&in, at, add)
		case in.Alert != "":
			s.parseAlertInput(&in, at, add)
		case in.Factor != "":
			s.parseFactorInput(&in, at, add)
			ind.displayOnly = ind.displayOnly || in.factor.DisplayOnly
		case in.Indicator != "":
			if in.Part != "numerator" && in.Part != "denominator" {
				add(at("part"), "part: say numerator or denominator")
			}
		default:
			s.parseDayInput(&in, at, add)
			ind.stated = ind.stated || in.error != nil
		}
		ind.inputs = append(ind.inputs, in)
	}
	ind.shareNeeds()
	if len(ind.Assumptions) > 0 && !ind.stated {
		add([]any{"assumptions"}, "assumptions are of the uncertainty; give inputs an error_ratio")
	}
	for i, text := range ind.Assumptions {
		if text.ZH == "" || text.EN == "" {
			add([]any{"assumptions", i}, "an assumption needs zh and en")
		}
	}
	if ind.displayOnly && ind.Target != nil {
		add([]any{"target"}, "a factor in it is for display only, so that nothing can be held against it")
	}
	if records := slices.ContainsFunc(ind.inputs, func(in compiled) bool { return in.Record != "" }); !records && (ind.Months != 0 || ind.Latest) {
		add([]any{"months"}, "months and latest are of records, and no input is")
	}
	ind.Months = max(1, ind.Months)
	if len(ind.Inputs) == 0 {
		add(nil, "there are no inputs")
	}
	for i, name := range ind.Optional {
		if _, ok := ind.Inputs[name]; !ok {
			add([]any{"optional", i}, "there is no input %q", name)
		}
	}
	for key, target := range map[string]struct {
		text string
		to   **vm.Program
	}{"numerator": {ind.Numerator, &ind.numerator}, "denominator": {ind.Denominator, &ind.denominator}} {
		if *target.to, err = expression.Compile(target.text, formula, expr.AsFloat64()); err != nil {
			add([]any{key}, "%s: %w", key, err)
		}
	}
	return ind, errors.Join(all...)
}

// mixed returns two keys that do not go together, if there are any.
func (in *input) mixed() (key, also string) {
	forms := []struct {
		key   string
		given bool
		may   []string
	}{
		{"kind", in.Kind != "", []string{"where", "needs", "value", "times", "only", "less", "error_ratio"}},
		{"record", in.Record != "", []string{"where", "value"}},
		{"alert", in.Alert != "", []string{"where", "value"}},
		{"factor", in.Factor != "", []string{"of"}},
		{"indicator", in.Indicator != "", []string{"part"}},
	}
	given := map[string]bool{"where": in.Where != "", "needs": len(in.Needs) > 0, "value": in.Value != "", "times": in.Times != nil, "only": in.Only != "", "less": in.Less != nil,
		"error_ratio": in.ErrorRatio != "", "of": in.Of != "", "part": in.Part != ""}
	for _, form := range forms {
		given[form.key] = form.given
	}
	for _, form := range forms {
		if !form.given {
			continue
		}
		for _, other := range slices.Sorted(maps.Keys(given)) {
			if given[other] && other != form.key && !slices.Contains(form.may, other) {
				return form.key, other
			}
		}
	}
	return "", ""
}

// parseDayInput compiles an input that sums over device-days.
func (s *Set) parseDayInput(in *compiled, at func(string) []any, add func([]any, string, ...any)) {
	kind, ok := s.words.Kind(in.Kind)
	if !ok {
		add(at("kind"), "there is no kind %q", in.Kind)
		return
	}
	in.title = kind.Title
	env := dayEnv(kind)
	var err error
	if in.Where != "" {
		if in.where, err = expression.Compile(in.Where, map[string]any{"device": deviceEnv{}}, expr.AsBool()); err != nil {
			add(at("where"), "where: %w", err)
		}
	}
	if in.value, err = expression.Compile(in.Value, env, expr.AsFloat64()); err != nil {
		add(at("value"), "value: %w", err)
	} else {
		in.needs, in.leaves = quantitiesIn(in.value, kind), leavesOf(in.Value, env)
	}
	if in.ErrorRatio != "" {
		if in.error, err = expression.Compile(in.ErrorRatio, env, expr.AsFloat64()); err != nil {
			add(at("error_ratio"), "error_ratio: %w", err)
		}
	}
	if in.Only != "" {
		if in.only, err = expression.Compile(in.Only, env, expr.AsBool()); err != nil {
			add(at("only"), "only: %w", err)
		} else {
			in.needs = append(in.needs, quantitiesIn(in.only, kind)...)
		}
	}
	if l := in.Less; l != nil {
		if t, ok := s.words.RecordType(l.Record); !ok {
			add(at("less"), "there is no type of record %q", l.Record)
		} else if !hasValue(t, l.Value) {
			add(at("less"), "a %s has no value %q", l.Record, l.Value)
		}
	}
	for _, q := range in.Needs {
		if _, ok := kind.Quantity(q); !ok {
			add(at("needs"), "kind %s has no quantity %q", kind.Name, q)
		}
		in.needs = append(in.needs, q)
	}
	if f := in.Times; f != nil {
		if f.Record == "" || f.Value == "" || f.Weight == "" {
			add(at("times"), "times needs record, value and weight")
		} else if t, ok := s.words.RecordType(f.Record); !ok {
			add(at("times"), "there is no type of record %q", f.Record)
		} else if !hasValue(t, f.Value) || !hasValue(t, f.Weight) {
			add(at("times"), "a %s has not both of the values %s and %s", f.Record, f.Value, f.Weight)
		} else {
			in.timesTitle = t.Title
		}
	}
}

// parseRecordInput compiles an input that sums over records.
func (s *Set) parseRecordInput(in *compiled, at func(string) []any, add func([]any, string, ...any)) {
	t, ok := s.words.RecordType(in.Record)
	if !ok {
		add(at("record"), "there is no type of record %q", in.Record)
		return
	}
	in.title, in.values = t.Title, t.Values
	env := map[string]any{"record": recordEnv{}}
	for _, v := range t.Values {
		env[v.Name] = 0.0
	}
	var err error
	if in.where, err = expression.Compile(cmp.Or(in.Where, "true"), map[string]any{"record": recordEnv{}}, expr.AsBool()); err != nil {
		add(at("where"), "where: %w", err)
	}
	if in.value, err = expression.Compile(in.Value, env, expr.AsFloat64()); err != nil {
		add(at("value"), "value: %w", err)
		return
	}
	in.leaves = leavesOf(in.Value, env)
	found := identifiersIn(in.value)
	for _, v := range t.Values {
		if found[v.Name] {
			in.needs = append(in.needs, v.Name)
		}
	}
}

// parseAlertInput compiles an input that sums over alerts.
func (s *Set) parseAlertInput(in *compiled, at func(string) []any, add func([]any, string, ...any)) {
	var ok bool
	if in.title, ok = s.words.AlertRule(in.Alert); !ok {
		add(at("alert"), "there is no alert rule %q about devices", in.Alert)
	}
	env := map[string]any{"alert": alertEnv{}}
	var err error
	if in.where, err = expression.Compile(cmp.Or(in.Where, "true"), env, expr.AsBool()); err != nil {
		add(at("where"), "where: %w", err)
	}
	if in.value, err = expression.Compile(in.Value, env, expr.AsFloat64()); err != nil {
		add(at("value"), "value: %w", err)
	}
	in.leaves = leavesOf(in.Value, env)
}

// parseFactorInput compiles an input that is a factor.
func (s *Set) parseFactorInput(in *compiled, at func(string) []any, add func([]any, string, ...any)) {
	var ok bool
	if in.factor, ok = s.words.Factor(in.Factor); !ok {
		add(at("factor"), "there is no factor %q", in.Factor)
	}
	var err error
	if in.of, err = expression.Compile(cmp.Or(in.Of, `""`), map[string]any{"community": communityEnv{}}, expr.AsKind(reflect.String)); err != nil {
		add(at("of"), "of: %w", err)
	}
}

// shareNeeds makes records count only if they have all the values of their type that the
// inputs use, so that numerator and denominator speak of the same.
func (ind *indicator) shareNeeds() {
	all := map[string][]string{} // by type of record
	for _, in := range ind.inputs {
		if in.Record != "" {
			all[in.Record] = append(all[in.Record], in.needs...)
		}
	}
	for name, needs := range all {
		slices.Sort(needs)
		all[name] = slices.Compact(needs)
	}
	for i, in := range ind.inputs {
		if in.Record != "" {
			ind.inputs[i].needs = all[in.Record]
		}
	}
}

// link checks what an indicator takes from others.
func (s *Set) link(ind *indicator) error {
	var all []error
	for _, in := range ind.inputs {
		if in.Indicator == "" {
			continue
		}
		other := s.find(in.Indicator)
		at := []any{"inputs", in.name, "indicator"}
		switch {
		case other == nil:
			all = append(all, ind.doc.Errorf(at, "there is no indicator %q", in.Indicator))
		case slices.ContainsFunc(other.inputs, func(in compiled) bool { return in.Indicator != "" }):
			all = append(all, ind.doc.Errorf(at, "%s itself takes from another indicator; take from that one, so that nothing goes in circles", in.Indicator))
		default:
			ind.stated = ind.stated || other.stated
			ind.displayOnly = ind.displayOnly || other.displayOnly
			if ind.displayOnly && ind.Target != nil {
				all = append(all, ind.doc.Errorf([]any{"target"}, "%s is for display only, so that nothing can be held against it", in.Indicator))
			}
		}
	}
	return errors.Join(all...)
}

func (s *Set) find(name string) *indicator {
	i := slices.IndexFunc(s.indicators, func(ind *indicator) bool { return ind.Indicator == name })
	if i < 0 {
		return nil
	}
	return s.indicators[i]
}

func hasValue(t greentally.RecordType, name string) bool {
	return slices.ContainsFunc(t.Values, func(v greentally.RecordValue) bool { return v.Name == name })
}

// quantitiesIn returns the quantities of the kind that the expression uses.
func quantitiesIn(p *vm.Program, kind *greentally.Kind) []string {
	found := identifiersIn(p)
	var quantities []string
	for _, q := range kind.Quantities {
		if found[q.Name] {
			quantities = append(quantities, q.Name)
		}
	}
	return quantities
}

func identifiersIn(p *vm.Program) map[string]bool {
	v := &identifiers{found: map[string]bool{}}
	node := p.Node()
	ast.Walk(&node, v)
	return v.found
}

type identifiers struct{ found map[string]bool }

func (v *identifiers) Visit(node *ast.Node) {
	if n, ok := (*node).(*ast.IdentifierNode); ok {
		v.found[n.Value] = true
	}
}

// What expressions see. All numbers are in the unit that the quantity's name ends in;
// times are in hours.
type (
	communityEnv struct {
		Households float64 `expr:"households"`
		Population float64 `expr:"population"`
		AreaM2     float64 `expr:"area_m2"`
		Grid       string  `expr:"grid"` // regional grid; empty if not said

		Devices map[string]float64 `expr:"devices"` // how many there are, by kind
	}
	deviceEnv struct {
		Kind           string      `expr:"kind"`
		Site           string      `expr:"site"`
		Stream         string      `expr:"stream"`
		CapacityLitres float64     `expr:"capacity_litres"`
		MaxLoadKg      float64     `expr:"max_load_kg"`
		OpenHours      float64     `expr:"open_hours"`  // of a day in which its site is open; 0 if always
		MeterClass     float64     `expr:"meter_class"` // limits of error, percent; 0 if unknown
		Lamps          float64     `expr:"lamps"`
		Baseline       baselineEnv `expr:"baseline"`
	}
	baselineEnv struct {
		Option     string  `expr:"option"` // A, B, or empty where there is none
		Lamps      float64 `expr:"lamps"`
		LampPowerW float64 `expr:"lamp_power_w"`
		EnergyKWh  float64 `expr:"energy_kwh"`
		Days       float64 `expr:"days"`
		Follows    string  `expr:"follows"`     // always or night
		NightHours float64 `expr:"night_hours"` // mean length of the period's nights; 0 if unknown
		ErrorRatio float64 `expr:"error_ratio"` // 0 if nobody stated it
	}
	alertEnv struct {
		Device string  `expr:"device"`
		Site   string  `expr:"site"`
		Stream string  `expr:"stream"`
		Hours  float64 `expr:"hours"` // from the beginning of the matter to its end, or to the end of what counts
		Ended  bool    `expr:"ended"`
	}
	dateEnv struct {
		NightHours   float64 `expr:"night_hours"` // length of the night; 0 if the community has no latitude
		Hours        float64 `expr:"hours"`
		Completeness float64 `expr:"completeness"`
	}
	massEnv struct {
		Deposited   float64 `expr:"deposited"`
		Collected   float64 `expr:"collected"`
		Collections float64 `expr:"collections"` // removals of all kinds
		Emptied     float64 `expr:"emptied"`     // of these, those that left next to nothing
		OffSchedule float64 `expr:"off_schedule"`
		Estimated   float64 `expr:"estimated"` // 1 if the masses are estimated, else 0
		First       float64 `expr:"first"`
		Last        float64 `expr:"last"`
		Max         float64 `expr:"max"`
	}
	gaugeEnv struct {
		Min        float64 `expr:"min"`
		Max        float64 `expr:"max"`
		Mean       float64 `expr:"mean"`
		KnownHours float64 `expr:"known_hours"`
		AboveHours float64 `expr:"above_hours"`
	}
	registerEnv struct {
		Rise       float64 `expr:"rise"`
		Outside    float64 `expr:"outside"` // of Rise, outside the hours in which the site is open
		Estimated  float64 `expr:"estimated"`
		KnownHours float64 `expr:"known_hours"`
	}
	recordEnv struct {
		Stream string            `expr:"stream"`
		Device string            `expr:"device"`
		Texts  map[string]string `expr:"texts"`
		Closed bool              `expr:"closed"` // whether it has an end
		Hours  float64           `expr:"hours"`  // from at to end, 0 without
	}
	stateEnv struct {
		Hours      map[string]float64 `expr:"hours"`
		KnownHours float64            `expr:"known_hours"`
	}
)

// dayEnv is the environment of expressions over a device-day of the kind.
func dayEnv(kind *greentally.Kind) map[string]any {
	env := map[string]any{"device": deviceEnv{}, "day": dateEnv{}}
	for _, q := range kind.Quantities {
		switch q.Nature {
		case greentally.Mass:
			env[q.Name] = massEnv{}
		case greentally.Gauge:
			env[q.Name] = gaugeEnv{}
		case greentally.Register:
			env[q.Name] = registerEnv{}
		case greentally.State:
			env[q.Name] = stateEnv{}
		}
	}
	return env
}

func envOfDevice(d *greentally.Device, c *greentally.Community) deviceEnv {
	env := deviceEnv{Kind: d.Kind, Site: d.Site, Stream: string(d.Stream), CapacityLitres: d.CapacityLitres, MaxLoadKg: d.MaxLoadKg,
		MeterClass: d.MeterClass, Lamps: float64(d.Lamps)}
	for _, o := range c.OpenAt(d.Site) {
		env.OpenHours += (o.To - o.From).Hours()
	}
	if b := d.Baseline; b != nil {
		env.Baseline = baselineEnv{Option: b.Option, Lamps: float64(b.Lamps), LampPowerW: b.LampPowerW, EnergyKWh: b.EnergyKWh, Days: b.Days,
			Follows: cmp.Or(b.Follows, "always"), ErrorRatio: b.ErrorRatio}
		if c.Latitude != nil && b.From != nil && b.Days >= 1 {
			env.Baseline.NightHours = night.Mean(*c.Latitude, *b.From, int(b.Days))
		}
	}
	return env
}

// envOfDay returns the environment of a device-day; quantities without a tally are
// not in it.
func envOfDay(d *greentally.DeviceDay, device deviceEnv, latitude *float64) map[string]any {
	hours := func(d greentally.Duration) float64 { return time.Duration(d).Hours() }
	day := dateEnv{Hours: float64(d.Hours), Completeness: d.Completeness()}
	if latitude != nil {
		day.NightHours = night.Hours(*latitude, d.Date)
	}
	env := map[string]any{"device": device, "day": day}
	for q, m := range d.Masses {
		mass := massEnv{Deposited: m.Deposited.Float(), Collected: m.Collected.Float(), Collections: float64(len(m.Collections)),
			First: m.First.Float(), Last: m.Last.Float(), Max: m.Max.Float()}
		for _, e := range m.Collections {
			if !e.Partial {
				mass.Emptied++
			}
			if e.OffSchedule {
				mass.OffSchedule++
			}
		}
		if m.Evidence == greentally.Estimated {
			mass.Estimated = 1
		}
		env[q] = mass
	}
	for q, g := range d.Gauges {
		env[q] = gaugeEnv{g.Min.Float(), g.Max.Float(), g.Mean.Float(), hours(g.Known), hours(g.Above)}
	}
	for q, r := range d.Registers {
		register := registerEnv{Rise: r.Rise.Float(), Estimated: r.Estimated.Float(), KnownHours: hours(r.Known)}
		if r.Outside != nil {
			register.Outside = r.Outside.Float()
		}
		env[q] = register
	}
	for q, s := range d.States {
		held := map[string]float64{}
		for word, time := range s.Time {
			held[word] = hours(time)
		}
		env[q] = stateEnv{held, hours(s.Known)}
	}
	return env
}

// Units returns the units of the indicators that schemes can rest on, by name.
func (s *Set) Units() map[string]string {
	units := map[string]string{}
	for _, ind := range s.indicators {
		if !ind.displayOnly {
			units[ind.Indicator] = ind.Unit
		}
	}
	return units
}

// Len returns how many indicators there are.
func (s *Set) Len() int { return len(s.indicators) }
