package schemes

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"greentally"
)

// test is a test inside a scheme's file.
type test struct {
	Name      string           `yaml:"name"`
	Month     greentally.Month `yaml:"month"` // default 2026-10
	Community struct {
		Households int `yaml:"households"`
		Population int `yaml:"population"`
	} `yaml:"community"`
	Indicators   map[string]float64 `yaml:"indicators"`   // their values
	Complete     map[string]float64 `yaml:"complete"`     // their completeness, where it is not 1
	Estimated    map[string]float64 `yaml:"estimated"`    // share of their mass that was estimated
	Insufficient []string           `yaml:"insufficient"` // those of which their own floor says that the data do not suffice

	// What is attested, by item. An item of another scheme is written scheme/item.
	Met    []string                      `yaml:"met"`
	Unmet  []string                      `yaml:"unmet"`
	Points map[string]float64            `yaml:"points"`
	Faults map[string]map[string]float64 `yaml:"faults"`

	Records []testRecord `yaml:"records"` // where that does not do
	Want    struct {
		Verdict greentally.Verdict `yaml:"verdict"`
		Level   string             `yaml:"level"`
		Points  *interval          `yaml:"points"` // left out: the scheme has none, or is not in effect
		Barred  []string           `yaml:"barred"`
		Open    []string           `yaml:"open"`

		// Some of the items: their points, or the verdict of those without points.
		Items map[string]itemWant `yaml:"items"`
		Parts map[string]interval `yaml:"parts"`
	} `yaml:"want"`
}

type testRecord struct {
	Item   string             `yaml:"item"`
	Type   string             `yaml:"type"`
	Date   *greentally.Date   `yaml:"date"` // default the first of the month
	Until  *greentally.Date   `yaml:"until"`
	Values map[string]float64 `yaml:"values"`
}

// interval is written as one number, or as two with two dots between.
type interval struct{ low, high float64 }

// UnmarshalText reads a form such as 12 or 3..9.
func (i *interval) UnmarshalText(b []byte) error {
	low, high, two := strings.Cut(string(b), "..")
	if !two {
		high = low
	}
	var errs [2]error
	i.low, errs[0] = strconv.ParseFloat(low, 64)
	i.high, errs[1] = strconv.ParseFloat(high, 64)
	if errors.Join(errs[:]...) != nil {
		return fmt.Errorf("%q are no points such as 12 or 3..9", b)
	}
	return nil
}

func (i interval) String() string {
	if i.low == i.high {
		return fmt.Sprint(i.low)
	}
	return fmt.Sprintf("%v..%v", i.low, i.high)
}

func (i interval) is(low, high float64) bool {
	return math.Abs(i.low-low) < 1e-6 && math.Abs(i.high-high) < 1e-6
}

// itemWant is an item's points, or its verdict.
type itemWant struct {
	points  *interval
	verdict greentally.Verdict
}

// UnmarshalText reads points or a verdict.
func (w *itemWant) UnmarshalText(b []byte) error {
	switch v := greentally.Verdict(b); v {
	case greentally.Pass, greentally.Fail, greentally.InsufficientData:
		w.verdict = v
		return nil
	}
	w.points = &interval{}
	return w.points.UnmarshalText(b)
}

// Check runs the tests inside all files through [Set.Assess] and returns how many it
// ran. The error joins all failures.
func (s *Set) Check() (ran int, err error) {
	var all []error
	for _, c := range s.schemes {
		only := &Set{schemes: []*scheme{c}, named: s.named}
		for i := range c.Tests {
			ran++
			if err := c.Tests[i].run(only); err != nil {
				all = append(all, c.doc.Errorf([]any{"tests", i}, "test %q: %w", c.Tests[i].Name, err))
			}
		}
	}
	return ran, errors.Join(all...)
}

// run runs the test on a set of its scheme alone.
func (t *test) run(s *Set) error {
	c := s.schemes[0]
	e, err := t.evidence(s)
	if err != nil {
		return err
	}
	assessments, err := s.Assess(e)
	if err != nil {
		return err
	}
	return t.compare(c, &assessments[0])
}

func (t *test) evidence(s *Set) (Evidence, error) {
	e := Evidence{Month: t.Month, Community: &greentally.Community{ID: "test", Households: t.Community.Households, Population: t.Community.Population}}
	if e.Month == (greentally.Month{}) {
		e.Month = greentally.Month{Year: 2026, Month: time.October}
	}
	c := s.schemes[0]
	var all []error
	for name, number := range t.Indicators {
		value := greentally.IndicatorValue{
			Community: "test", Month: e.Month, Indicator: name, Value: &number, Completeness: 1, EstimatedShare: t.Estimated[name], Verdict: greentally.NoTarget,
		}
		if completeness, ok := t.Complete[name]; ok {
			value.Completeness = completeness
		}
		if slices.Contains(t.Insufficient, name) {
			value.Verdict = greentally.InsufficientData
		}
		e.Indicators = append(e.Indicators, value)
	}
	names := slices.Concat(slices.Collect(maps.Keys(t.Indicators)), slices.Collect(maps.Keys(t.Complete)), slices.Collect(maps.Keys(t.Estimated)), t.Insufficient)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if !slices.Contains(c.everyIndicator(), name) {
			all = append(all, fmt.Errorf("the scheme refers to no indicator %s", name))
		} else if _, ok := t.Indicators[name]; !ok {
			all = append(all, fmt.Errorf("the indicator %s has no value in indicators", name))
		}
	}
	add := func(r testRecord) {
		item, err := s.find(c, r.Item)
		if err != nil {
			all = append(all, err)
			return
		}
		if r.Type == "" && len(item.Evidence) > 0 {
			r.Type = item.Evidence[0]
		}
		if !strings.Contains(r.Item, "/") {
			r.Item = c.Name + "/" + r.Item
		}
		record := greentally.Record{ID: fmt.Sprintf("r%03d", len(e.Records)), Community: "test", Type: r.Type, Item: r.Item, Date: e.Month.First(), Until: r.Until, Values: r.Values, By: "test"}
		if r.Date != nil {
			record.Date = *r.Date
		}
		e.Records = append(e.Records, record)
	}
	for _, item := range t.Met {
		add(testRecord{Item: item, Values: map[string]float64{"met": 1}})
	}
	for _, item := range t.Unmet {
		add(testRecord{Item: item, Values: map[string]float64{"met": 0}})
	}
	for item, points := range t.Points {
		add(testRecord{Item: item, Values: map[string]float64{"points": points}})
	}
	for item, faults := range t.Faults {
		add(testRecord{Item: item, Values: faults})
	}
	for _, r := range t.Records {
		add(r)
	}
	return e, errors.Join(all...)
}

// everyIndicator returns the indicators that the scheme and its parts refer to.
func (c *scheme) everyIndicator() []string {
	names := c.indicators()
	for _, part := range c.parts {
		names = append(names, part.everyIndicator()...)
	}
	return names
}

func (t *test) compare(c *scheme, a *greentally.Assessment) error {
	want := &t.Want
	var all []error
	fail := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	if a.Verdict != want.Verdict {
		fail("verdict is %s (%s), want %s", a.Verdict, a.Reason.EN, want.Verdict)
	}
	if a.Level != want.Level {
		fail("level is %q, want %q", a.Level, want.Level)
	}
	got := interval{a.AtLeast, a.AtMost}
	switch {
	case want.Points == nil && a.Total > 0:
		fail("points are %s; say so in want", got)
	case want.Points != nil && !want.Points.is(a.AtLeast, a.AtMost):
		fail("points are %s, want %s", got, want.Points)
	}
	if !slices.Equal(a.Barred, want.Barred) {
		fail("barred by %q, want %q", a.Barred, want.Barred)
	}
	if !slices.Equal(a.Open, want.Open) {
		fail("open are %q, want %q", a.Open, want.Open)
	}
	for id, w := range want.Items {
		i := slices.IndexFunc(a.Items, func(r greentally.ItemResult) bool { return r.Item == id })
		switch {
		case i < 0:
			fail("the assessment has no item %q", id)
		case w.points != nil && !w.points.is(a.Items[i].AtLeast, a.Items[i].AtMost):
			fail("item %s has %s points (%s), want %s", id, interval{a.Items[i].AtLeast, a.Items[i].AtMost}, because(a.Items[i].Reasons).EN, w.points)
		case w.points == nil && w.verdict != a.Items[i].Verdict:
			fail("item %s is %s (%s), want %s", id, a.Items[i].Verdict, because(a.Items[i].Reasons).EN, w.verdict)
		}
	}
	for name, w := range want.Parts {
		i := slices.IndexFunc(a.Parts, func(r greentally.PartResult) bool { return r.Scheme == name })
		switch {
		case i < 0:
			fail("scheme %s has no part %q", c.Name, name)
		case !w.is(a.Parts[i].AtLeast, a.Parts[i].AtMost):
			fail("part %s has %s points, want %s", name, interval{a.Parts[i].AtLeast, a.Parts[i].AtMost}, w)
		}
	}
	return errors.Join(all...)
}
