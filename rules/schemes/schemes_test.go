package schemes_test

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode"

	"greentally"
	"greentally/internal/strictyaml"
	"greentally/rules/schemes"
)

// units are the indicators that schemes can refer to in these tests, and their units.
func units() map[string]string {
	all := map[string]string{
		"batteries_per_household": "g/household", "battery_per_capita": "g/person", "lamps_handed_out": "count", "battery_boxes": "count", "complaint_response_hours": "h",
	}
	for _, name := range []string{
		"recyclable_capture", "separate_collection", "daily_clearance", "overflow_share", "lighting_saving",
		"msw_recycling_utilization", "msw_resource_utilization", "harmless_rate", "awareness", "participation", "satisfaction", "bagged",
		"sorting_accuracy", "purity", "container_provision", "container_intact", "food_separation", "diversion", "uco_recovery", "lamp_coverage",
		"water_saving", "signing_rate", "pest_control_effect", "occupancy", "green_space_ratio", "transit_share", "non_traditional_water",
	} {
		all[name] = "ratio"
	}
	return all
}

// words are what schemes can be about in these tests.
func words() schemes.Vocabulary {
	titles := map[string]greentally.Text{"document": {ZH: "文件", EN: "Document"}, "inspection": {ZH: "检查", EN: "Inspection"}, "judgement": {ZH: "评分", EN: "Judgement"}}
	return schemes.Vocabulary{Units: units(), RecordType: func(name string) (greentally.RecordType, bool) {
		title, ok := titles[name]
		return greentally.RecordType{Name: name, Title: title}, ok
	}}
}

// because is why an item is as it is, in English.
func because(r greentally.ItemResult) string { return greentally.JoinTexts(r.Reasons, "\n", "\n").EN }

// folder is a folder of the name x.
func folder(files map[string]string) strictyaml.Folder {
	all := fstest.MapFS{}
	for name, text := range files {
		all[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return strictyaml.Folder{Name: "x", FS: all}
}

func load(t testing.TB, files map[string]string) *schemes.Set {
	t.Helper()
	set, err := schemes.Load(words(), folder(files))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func month() greentally.Month { return greentally.Month{Year: 2026, Month: time.October} }

// value is an indicator's value of the month, complete and weighed.
func value(name string, v float64) greentally.IndicatorValue {
	return greentally.IndicatorValue{Community: "c", Month: month(), Indicator: name, Value: &v, Completeness: 1, Verdict: greentally.NoTarget}
}

// record is of the month.
func record(id, kind, item string, values greentally.Values) greentally.Record {
	return greentally.Record{ID: id, Community: "c", Type: kind, Item: item, Date: month().First(), Values: values, By: "test"}
}

func evidence(parts ...any) schemes.Evidence {
	e := schemes.Evidence{Community: &greentally.Community{ID: "c", Households: 3100}, Month: month()}
	for _, p := range parts {
		switch p := p.(type) {
		case greentally.IndicatorValue:
			e.Indicators = append(e.Indicators, p)
		case greentally.Record:
			e.Records = append(e.Records, p)
		}
	}
	return e
}

func assess(t testing.TB, set *schemes.Set, scheme string, e schemes.Evidence) greentally.Assessment {
	t.Helper()
	all, err := set.Assess(e)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(a greentally.Assessment) bool { return a.Scheme == scheme })
	if i < 0 {
		t.Fatalf("no assessment by %s", scheme)
	}
	for _, a := range all {
		saidTwice(t, a)
	}
	return all[i]
}

// saidTwice checks that the reasons in an assessment are in Chinese and in English, each
// without the other: in Chinese there are names, IDs and expressions in Latin letters, and
// no sentence.
func saidTwice(t testing.TB, a greentally.Assessment) {
	t.Helper()
	var reasons []greentally.Text
	if a.Reason != (greentally.Text{}) {
		reasons = append(reasons, a.Reason)
	}
	for _, item := range a.Items {
		reasons = append(reasons, item.Reasons...)
	}
	foreign := func(r rune) bool {
		return unicode.Is(unicode.Han, r) || strings.ContainsRune("（）：；，、", r)
	}
	sentence := regexp.MustCompile(`[A-Za-z]+ [A-Za-z]+ [A-Za-z]+`)
	for _, r := range reasons {
		switch {
		case !strings.ContainsFunc(r.ZH, foreign), sentence.MatchString(r.ZH):
			t.Errorf("%s: %q is no Chinese", a.Scheme, r.ZH)
		case r.EN == "", strings.ContainsFunc(r.EN, foreign):
			t.Errorf("%s: %q is no English", a.Scheme, r.EN)
		case strings.Contains(r.ZH+r.EN, "%!"):
			t.Errorf("%s: %q, %q", a.Scheme, r.ZH, r.EN)
		}
	}
}

// TestShippedSchemes loads what is shipped and runs the tests inside.
func TestShippedSchemes(t *testing.T) {
	set, err := schemes.Load(words(), schemes.Shipped())
	if err != nil {
		t.Fatal(err)
	}
	ran, err := set.Check()
	if err != nil {
		t.Error(err)
	}
	if n := len(set.Names()); n < 15 || ran < 4*n {
		t.Errorf("%d tests of %d schemes", ran, n)
	}
	for _, s := range set.Schemes() {
		if s.Complete && s.Total == 0 && len(s.Levels) > 0 {
			t.Errorf("%s has levels and no points", s.Name)
		}
	}
}

// scheme makes a scheme's file of the items, the levels and so on.
func scheme(name string, total float64, rest string) string {
	return fmt.Sprintf("scheme: %s\ntitle: {zh: 甲, en: A}\nsource: here\ncomplete: true\nverified: true\nestimated_mass: allowed\ntotal: %v\n%s\n", name, total, strings.TrimLeft(rest, "\n")) +
		"tests:\n- {name: nothing, want: {verdict: insufficient_data}}\n"
}

const title = "title: {zh: 甲, en: A}"

// TestRules scores one item of each rule on all sorts of evidence.
func TestRules(t *testing.T) {
	const (
		when     = "items: [{id: a, " + title + ", points: 4, rule: all_or_nothing, when: awareness >= 0.9}]"
		negated  = "items: [{id: a, " + title + ", points: 4, rule: all_or_nothing, when: not (awareness < 0.9)}]"
		either   = "items: [{id: a, " + title + ", points: 4, rule: all_or_nothing, when: awareness >= 0.9 or participation >= 0.8}]"
		homes    = "items: [{id: a, " + title + ", points: 4, rule: all_or_nothing, when: community.households >= 2000 && community.population > 0}]"
		attested = "items: [{id: a, " + title + ", points: 4, rule: all_or_nothing, evidence: [inspection, document]}]"
		both     = "items: [{id: a, " + title + ", points: 4, rule: all_or_nothing, evidence: [inspection], when: awareness >= 0.9}]"
		faults   = "items: [{id: a, " + title + ", points: 4, rule: deduction, evidence: [inspection], faults: [" +
			"{id: none, " + title + ", points: 4}, {id: poor, " + title + ", points: 1, each: true, most: 3}, {id: late, " + title + ", points: 0.5, each: true}]}]"
		automatic = "items: [{id: a, " + title + ", points: 6, rule: deduction, evidence: [inspection], faults: [" +
			"{id: bags, " + title + ", points: 2, when: bagged < 1}, {id: bins, " + title + ", points: 3}]}]"
		alone  = "items: [{id: a, " + title + ", points: 4, rule: deduction, faults: [{id: bags, " + title + ", points: 3, when: bagged < 1}, {id: bins, " + title + ", points: 3, when: container_intact < 1}]}]"
		up     = "items: [{id: a, " + title + ", points: 4, rule: tiers, of: diversion, tiers: [{at_least: 0.9, points: 4}, {at_least: 0.5, points: 1.5}]}]"
		down   = "items: [{id: a, " + title + ", points: 4, rule: tiers, of: complaint_response_hours * 60.0, tiers: [{at_most: 60, points: 4}, {at_most: 120, points: 1}, {at_most: 240, points: 0}]}]"
		judged = "items: [{id: a, " + title + ", points: 4, rule: judged}]"
	)
	attest := func(id, kind string, met float64) greentally.Record {
		return record(id, kind, "s/a", greentally.Values{"met": met})
	}
	found := func(values greentally.Values) greentally.Record { return record("r", "inspection", "s/a", values) }
	given := func(points float64) greentally.Record {
		return record("r", "judgement", "s/a", greentally.Values{"points": points})
	}
	later := func(r greentally.Record, days int) greentally.Record { r.Date = r.Date.Add(days); return r }
	for _, tt := range []struct {
		name     string
		items    string
		evidence schemes.Evidence
		want     string // points and verdict
		reason   string // part of the reasons, if any
	}{
		{"a condition that holds", when, evidence(value("awareness", 0.9)), "4..4 pass", ""},
		{"one that does not", when, evidence(value("awareness", 0.899)), "0..0 fail", "not met: awareness = 0.899 (awareness >= 0.9)"},
		{"on nothing", when, evidence(), "0..4 insufficient_data", "awareness: there is no value for the month"},
		{"a negation", negated, evidence(value("awareness", 0.9)), "4..4 pass", ""},
		{"a negation on nothing does not pass", negated, evidence(), "0..4 insufficient_data", "awareness: there"},
		{"half of an or is not evaluated", either, evidence(value("awareness", 1)), "0..4 insufficient_data", "participation: there"},
		{"a fact that is not told", homes, evidence(), "0..4 insufficient_data", "population: the community's file does not say"},

		{"attested", attested, evidence(attest("r", "document", 1)), "4..4 pass", ""},
		{"attested otherwise", attested, evidence(attest("r", "inspection", 0)), "0..0 fail", "not met by record r"},
		{"the later record counts", attested, evidence(later(attest("a", "document", 1), 9), attest("b", "inspection", 0)), "4..4 pass", ""},
		{"the one that was handed in later counts", attested, evidence(attest("b", "document", 1), func() greentally.Record {
			r := attest("a", "inspection", 0)
			r.Recorded = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
			return r
		}()), "0..0 fail", "record a"},
		{"a record of another type", attested, evidence(attest("r", "survey", 1)), "0..4 insufficient_data", "no record in 2026-10: Inspection (inspection) or Document (document), item s/a"},
		{"a record of another month", attested, evidence(later(attest("r", "document", 1), -1)), "0..4 insufficient_data", ""},
		{"a record of the month after", attested, evidence(later(attest("r", "document", 1), 31)), "0..4 insufficient_data", ""},
		{"a record that speaks of the year", attested, evidence(func() greentally.Record {
			r := later(attest("r", "document", 1), -100)
			until := month().First()
			r.Until = &until
			return r
		}()), "4..4 pass", ""},
		{"a record of another item", attested, evidence(record("r", "document", "t/a", greentally.Values{"met": 1})), "0..4 insufficient_data", ""},
		{"a record of another community", attested, evidence(func() greentally.Record { r := attest("r", "document", 1); r.Community = "d"; return r }()), "0..4 insufficient_data", ""},
		{"a record that is replaced", attested, evidence(attest("a", "document", 1), func() greentally.Record { r := attest("b", "document", 0); r.Replaces = "a"; return r }()), "0..0 fail", "record b"},
		{"neither met nor not", attested, evidence(attest("r", "document", 0.5)), "0..4 insufficient_data", "record r says met = 0.5, but it can only say met: 1 or met: 0; replace it"},
		{"a record that says nothing", attested, evidence(record("r", "document", "s/a", nil)), "0..4 insufficient_data", "record r does not say whether it is met"},
		{"a condition and a record", both, evidence(value("awareness", 0.9), attest("r", "inspection", 1)), "4..4 pass", ""},
		{"a condition without its record", both, evidence(value("awareness", 0.9)), "0..4 insufficient_data", "no record in 2026-10: Inspection (inspection), item s/a"},
		{"a record without its condition", both, evidence(attest("r", "inspection", 1)), "0..4 insufficient_data", "awareness: there"},
		{"a condition that fails needs no record", both, evidence(value("awareness", 0.8)), "0..0 fail", ""},
		{"a record that fails needs no condition", both, evidence(attest("r", "inspection", 0)), "0..0 fail", ""},

		{"no fault found", faults, evidence(found(nil)), "4..4 pass", ""},
		{"faults are counted", faults, evidence(found(greentally.Values{"poor": 2, "late": 1})), "1.5..1.5 fail", "A: −2 by record r"},
		{"but no further than most", faults, evidence(found(greentally.Values{"poor": 9})), "1..1 fail", "A: −3"},
		{"and never below 0", faults, evidence(found(greentally.Values{"late": 99})), "0..0 fail", ""},
		{"a fault that is not counted", faults, evidence(found(greentally.Values{"none": 1})), "0..0 fail", ""},
		{"it cannot be there twice", faults, evidence(found(greentally.Values{"none": 2})), "0..4 insufficient_data", "none = 2, but it can only be 1 or 0"},
		{"nor less than not at all", faults, evidence(found(greentally.Values{"poor": -1})), "0..4 insufficient_data", "it is a count"},
		{"a fault that the item does not know", faults, evidence(found(greentally.Values{"pour": 1})), "0..4 insufficient_data", "the item has no such fault"},
		{"none of them", faults, evidence(found(greentally.Values{"met": 1})), "4..4 pass", ""},
		{"some of them, but which", faults, evidence(found(greentally.Values{"met": 0})), "0..4 insufficient_data", "record r must say which faults were found"},
		{"none of them and one of them", faults, evidence(found(greentally.Values{"met": 1, "poor": 1})), "0..4 insufficient_data", "record r must say which"},
		{"none of them says nothing of a condition", automatic, evidence(found(greentally.Values{"met": 1})), "4..6 insufficient_data", "bagged: there"},
		{"no inspection", faults, evidence(), "0..4 insufficient_data", "no record in 2026-10: Inspection (inspection), item s/a"},
		{"a condition and an inspection", automatic, evidence(value("bagged", 0.99), found(nil)), "4..4 fail", "A: −2, because bagged = 0.99 (bagged < 1)"},
		{"a condition alone", automatic, evidence(value("bagged", 1)), "3..6 insufficient_data", ""},
		{"a condition alone, and a fault", automatic, evidence(value("bagged", 0.5)), "1..4 insufficient_data", ""},
		{"an inspection that says nothing of it", automatic, evidence(found(nil)), "4..6 insufficient_data", "bagged: there"},
		{"an inspection that does", automatic, evidence(found(greentally.Values{"bags": 0, "bins": 1})), "3..3 fail", "A: −3"},
		{"an inspection finds more than the condition", automatic, evidence(value("bagged", 1), found(greentally.Values{"bags": 1})), "4..4 fail", "A: −2 by record r"},
		{"nothing at all", automatic, evidence(), "1..6 insufficient_data", ""},
		{"more faults than points", alone, evidence(value("bagged", 0), value("container_intact", 0)), "0..0 fail", ""},
		{"one of two conditions", alone, evidence(value("bagged", 0)), "0..1 insufficient_data", "container_intact: there"},
		{"both hold", alone, evidence(value("bagged", 1), value("container_intact", 1)), "4..4 pass", ""},

		{"the first tier", up, evidence(value("diversion", 0.9)), "4..4 pass", ""},
		{"between tiers", up, evidence(value("diversion", 0.8999)), "1.5..1.5 fail", "diversion = 0.8999: 1.5 points"},
		{"below all tiers", up, evidence(value("diversion", 0.4999)), "0..0 fail", "below all tiers"},
		{"a tier on nothing", up, evidence(), "0..4 insufficient_data", "diversion: there"},
		{"no number", up, evidence(value("diversion", math.NaN())), "0..4 insufficient_data", "could not be computed"},
		{"no more than", down, evidence(value("complaint_response_hours", 1)), "4..4 pass", ""},
		{"a little more", down, evidence(value("complaint_response_hours", 1.01)), "1..1 fail", ""},
		{"a tier for nothing", down, evidence(value("complaint_response_hours", 4)), "0..0 fail", ": 0 points"},
		{"too much", down, evidence(value("complaint_response_hours", 5)), "0..0 fail", "below all tiers"},
		{"a number that overflows", down, evidence(value("complaint_response_hours", math.MaxFloat64)), "0..4 insufficient_data", "is no number"},

		{"points that are given", judged, evidence(given(2.5)), "2.5..2.5 fail", "2.5 points by record r"},
		{"all of them", judged, evidence(given(4)), "4..4 pass", ""},
		{"none", judged, evidence(given(0)), "0..0 fail", ""},
		{"more than there are", judged, evidence(given(4.5)), "0..4 insufficient_data", "points = 4.5, but it can only say points from 0 to 4"},
		{"no judgement", judged, evidence(), "0..4 insufficient_data", "no record in 2026-10: Judgement (judgement), item s/a"},
		{"a judgement without points", judged, evidence(record("r", "judgement", "s/a", nil)), "0..4 insufficient_data", "gives no points"},
		{"an inspection is no judgement", judged, evidence(found(greentally.Values{"points": 4})), "0..4 insufficient_data", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			total := 4.0
			if tt.items == automatic {
				total = 6
			}
			a := assess(t, load(t, map[string]string{"s.yaml": scheme("s", total, tt.items)}), "s", tt.evidence)
			r := a.Items[0]
			if got := fmt.Sprintf("%v..%v %s", r.AtLeast, r.AtMost, r.Verdict); got != tt.want {
				t.Errorf("got %s (%q), want %s", got, r.Reasons, tt.want)
			}
			if reasons := because(r); !strings.Contains(reasons, tt.reason) || r.Verdict != greentally.Pass && reasons == "" {
				t.Errorf("reasons %q lack %q", reasons, tt.reason)
			}
			if a.AtLeast != r.AtLeast || a.AtMost != r.AtMost || a.Total != total {
				t.Errorf("the total %v..%v of %v is not that of the only item", a.AtLeast, a.AtMost, a.Total)
			}
		})
	}
}

// TestBarred holds vetoes and basic conditions against all that can be said of them.
func TestBarred(t *testing.T) {
	set := load(t, map[string]string{"s.yaml": scheme("s", 10, `
items:
- {id: veto, `+title+`, rule: veto, evidence: [document]}
- {id: basic, `+title+`, rule: basic, points: 2, when: satisfaction > 0.8}
- {id: rest, `+title+`, rule: judged, points: 8}
levels:
- {id: gold, `+title+`, at_least: 9, pass: true}
- {id: green, `+title+`, at_least: 6, pass: true}
- {id: red, `+title+`, at_least: 0}`)})
	veto := func(met float64) greentally.Record {
		return record("v", "document", "s/veto", greentally.Values{"met": met})
	}
	rest := func(points float64) greentally.Record {
		return record("p", "judgement", "s/rest", greentally.Values{"points": points})
	}
	for _, tt := range []struct {
		name     string
		evidence schemes.Evidence
		want     string // points, verdict, level, barred, open
	}{
		{"all is well", evidence(veto(1), value("satisfaction", 0.81), rest(8)), "10..10 pass gold [] []"},
		{"a lower level", evidence(veto(1), value("satisfaction", 0.81), rest(4)), "6..6 pass green [] []"},
		{"a level that is no pass", evidence(veto(1), value("satisfaction", 0.81), rest(3)), "5..5 fail red [] []"},
		{"a veto", evidence(veto(0), value("satisfaction", 0.81), rest(8)), "10..10 fail  [veto] []"},
		{"not commended", evidence(veto(1), value("satisfaction", 0.8), rest(8)), "8..8 fail  [basic] []"},
		{"both", evidence(veto(0), value("satisfaction", 0.8)), "0..8 fail  [veto basic] []"},
		{"a veto that is not known", evidence(value("satisfaction", 0.81), rest(8)), "10..10 insufficient_data  [] [veto]"},
		{"a veto that is not known makes nothing better", evidence(value("satisfaction", 0.81), rest(1)), "3..3 fail  [] [veto]"},
		{"a condition that is not known", evidence(veto(1), rest(8)), "8..10 insufficient_data  [] [basic]"},
		{"one is barred, the other open", evidence(veto(0)), "0..10 fail  [veto] [basic]"},
		{"points that are not known, across a level", evidence(veto(1), value("satisfaction", 0.81)), "2..10 insufficient_data  [] []"},
		{"nothing", evidence(), "0..10 insufficient_data  [] [veto basic]"},
	} {
		a := assess(t, set, "s", tt.evidence)
		if got := fmt.Sprintf("%v..%v %s %s %v %v", a.AtLeast, a.AtMost, a.Verdict, a.Level, a.Barred, a.Open); got != tt.want {
			t.Errorf("%s: got %q (%s), want %q", tt.name, got, a.Reason, tt.want)
		}
		if (len(a.Barred) > 0 || a.Verdict == greentally.InsufficientData) && a.Reason == (greentally.Text{}) {
			t.Errorf("%s: there is no reason", tt.name)
		}
	}
}

// TestLevels gives a level only where both ends of the interval give it.
func TestLevels(t *testing.T) {
	const items = "items: [{id: a, " + title + ", points: 6, rule: judged}, {id: b, " + title + ", points: 4, rule: judged}]\n"
	const levels = "levels: [{id: best, " + title + ", at_least: 8, when: lighting_saving > 0.3, pass: true}, {id: good, " + title + ", above: 5, pass: true}, {id: fair, " + title + ", at_least: 5}]"
	points := func(item string, n float64) greentally.Record {
		return record(item, "judgement", "s/"+item, greentally.Values{"points": n})
	}
	for _, tt := range []struct {
		name     string
		text     string
		evidence schemes.Evidence
		want     string
	}{
		{"the best", levels, evidence(points("a", 4), points("b", 4), value("lighting_saving", 0.31)), "8..8 pass best"},
		{"its condition does not hold", levels, evidence(points("a", 4), points("b", 4), value("lighting_saving", 0.3)), "8..8 pass good"},
		{"its condition is not known, but both pass", levels, evidence(points("a", 4), points("b", 4)), "8..8 pass "},
		{"its condition does not matter", levels, evidence(points("a", 3.5), points("b", 4)), "7.5..7.5 pass good"},
		{"above is more than", levels, evidence(points("a", 1), points("b", 4)), "5..5 fail fair"},
		{"below all", levels, evidence(points("a", 1), points("b", 3)), "4..4 fail "},
		{"an interval within a level", levels, evidence(points("a", 6), value("lighting_saving", 0.1)), "6..10 pass good"},
		{"an interval across passes", levels, evidence(points("a", 6), value("lighting_saving", 0.5)), "6..10 pass "},
		{"an interval across the pass", levels, evidence(points("a", 5)), "5..9 insufficient_data "},
		{"an interval below the pass", levels, evidence(points("b", 0), points("a", 4)), "4..4 fail "},
		{"an interval across what fails", levels, evidence(points("a", 1)), "1..5 fail "},
		{"levels of which none is a pass", strings.ReplaceAll(levels, ", pass: true", ""), evidence(points("a", 1), points("b", 4)), "5..5 no_target fair"},
		{"none of these is known", strings.ReplaceAll(levels, ", pass: true", ""), evidence(points("a", 1)), "1..5 insufficient_data "},
		{"no levels", "", evidence(points("a", 1), points("b", 4)), "5..5 no_target "},
		{"no levels and nothing known", "", evidence(points("a", 1)), "1..5 insufficient_data "},
	} {
		a := assess(t, load(t, map[string]string{"s.yaml": scheme("s", 10, items+tt.text)}), "s", tt.evidence)
		if got := fmt.Sprintf("%v..%v %s %s", a.AtLeast, a.AtMost, a.Verdict, a.Level); got != tt.want {
			t.Errorf("%s: got %q (%s), want %q", tt.name, got, a.Reason, tt.want)
		}
	}
}

// TestIndicatorsThatDoNotCount has a value that would pass, and each way in which it is
// missing all the same.
func TestIndicatorsThatDoNotCount(t *testing.T) {
	text := scheme("s", 4, "items: [{id: a, "+title+", points: 4, rule: all_or_nothing, when: not (overflow_share > 0.05)}]")
	forbidden := strings.Replace(text, "estimated_mass: allowed", "estimated_mass: forbidden", 1)
	strict := strings.Replace(text, "total:", "completeness: 0.95\ntotal:", 1)
	with := func(change func(*greentally.IndicatorValue)) schemes.Evidence {
		v := value("overflow_share", 0.01)
		change(&v)
		return evidence(v)
	}
	for _, tt := range []struct {
		name, text string
		change     func(*greentally.IndicatorValue)
		want       string // reason; empty: it counts
	}{
		{"as it is", text, func(*greentally.IndicatorValue) {}, ""},
		{"just complete enough", text, func(v *greentally.IndicatorValue) { v.Completeness = 0.9 }, ""},
		{"too little of it, though its own floor is lower", text, func(v *greentally.IndicatorValue) { v.Completeness, v.Floor = 0.899, 0.5 }, "overflow_share: completeness 89.9% is below the 90% of this scheme"},
		{"a scheme that wants more", strict, func(v *greentally.IndicatorValue) { v.Completeness = 0.949 }, "is below the 95%"},
		{"below its own floor", text, func(v *greentally.IndicatorValue) {
			v.Verdict, v.Completeness, v.Floor, v.Reason = greentally.InsufficientData, 0.95, 0.99, greentally.Text{ZH: "完整度 95%，低于要求的 99%", EN: "completeness 95% is below the 99% that is needed"}
		}, "overflow_share: completeness 95% is below the 99% that is needed"},
		{"no value", text, func(v *greentally.IndicatorValue) {
			v.Value, v.Reason = nil, greentally.Text{ZH: "没有设备", EN: "there is no device"}
		}, "overflow_share: there is no device"},
		{"it failed its own target, which is not ours", text, func(v *greentally.IndicatorValue) { v.Verdict = greentally.Fail }, ""},
		{"estimated", text, func(v *greentally.IndicatorValue) { v.EstimatedShare = 1 }, ""},
		{"estimated, which is forbidden", forbidden, func(v *greentally.IndicatorValue) { v.EstimatedShare = 0.001 }, "overflow_share: 0.1% of its mass was estimated from filling levels, and this scheme wants it weighed"},
		{"weighed, where estimating is forbidden", forbidden, func(*greentally.IndicatorValue) {}, ""},
		{"of another month", text, func(v *greentally.IndicatorValue) { v.Month = v.Month.Next() }, "overflow_share: there is no value"},
		{"of another community", text, func(v *greentally.IndicatorValue) { v.Community = "d" }, "overflow_share: there is no value"},
	} {
		e := with(tt.change)
		a := assess(t, load(t, map[string]string{"s.yaml": tt.text}), "s", e)
		r := a.Items[0]
		if reasons := because(r); (r.Verdict == greentally.Pass) != (tt.want == "") || !strings.Contains(reasons, tt.want) {
			t.Errorf("%s: %s, %q, want %q", tt.name, r.Verdict, reasons, tt.want)
		}
		if v := e.Indicators[0]; v.Community == "c" && v.Month == month() && r.EstimatedShare != v.EstimatedShare {
			t.Errorf("%s: the estimated share is %v", tt.name, r.EstimatedShare)
		}
	}
	twice := evidence(value("overflow_share", 0.01), value("overflow_share", 0.5))
	if _, err := load(t, map[string]string{"s.yaml": text}).Assess(twice); err == nil || err.Error() != "assess c in 2026-10: the indicator overflow_share is there twice" {
		t.Errorf("an indicator that is there twice: %v", err)
	}
}

// TestEffect assesses in the months around the time in which a scheme is in effect.
func TestEffect(t *testing.T) {
	text := scheme("s", 4, "items: [{id: a, "+title+", points: 4, rule: judged}]")
	for _, tt := range []struct{ effective, want string }{
		{"", ""},
		{"{from: 2026-10-31}", ""},
		{"{from: 2026-11-01}", "the scheme is in effect from 2026-11-01 on, so not in 2026-10"},
		{"{until: 2026-10-01}", ""},
		{"{until: 2026-09-30}", "the scheme is in effect until 2026-09-30, so not in 2026-10"},
		{"{from: 2026-10-05, until: 2026-10-06}", ""},
		{"{from: 2025-01-01, until: 2025-12-31}", "the scheme is in effect from 2025-01-01 until 2025-12-31, so not in 2026-10"},
	} {
		text := text
		if tt.effective != "" {
			text = strings.Replace(text, "total:", "effective: "+tt.effective+"\ntotal:", 1)
		}
		a := assess(t, load(t, map[string]string{"s.yaml": text}), "s", evidence(record("r", "judgement", "s/a", greentally.Values{"points": 4})))
		inEffect := a.Total == 4 && a.AtLeast == 4 && len(a.Items) == 1
		if inEffect != (tt.want == "") || tt.want != "" && (a.Reason.EN != tt.want || a.Verdict != greentally.NoTarget || a.Total != 0 || len(a.Items) != 0) {
			t.Errorf("effective %s: %+v", tt.effective, a)
		}
	}
}

// TestPartialFile has a file without all items of its document: what is not there is not
// known, and so it can fail but not pass.
func TestPartialFile(t *testing.T) {
	partial := func(text string) map[string]string {
		return map[string]string{"s.yaml": strings.Replace(text, "complete: true", "complete: false", 1)}
	}
	points := func(n float64) schemes.Evidence {
		return evidence(record("r", "judgement", "s/a", greentally.Values{"points": n}))
	}
	items := "items: [{id: a, " + title + ", points: 6, rule: judged}]\nlevels: [{id: good, " + title + ", at_least: 8, pass: true}]"
	for _, tt := range []struct {
		points float64
		want   string
	}{{6, "6..10 insufficient_data "}, {4, "4..8 insufficient_data "}, {3, "3..7 fail "}} {
		a := assess(t, load(t, partial(scheme("s", 10, items))), "s", points(tt.points))
		if got := fmt.Sprintf("%v..%v %s %s", a.AtLeast, a.AtMost, a.Verdict, a.Level); got != tt.want || a.Complete {
			t.Errorf("%v points: got %q (%s), want %q", tt.points, got, a.Reason, tt.want)
		}
	}
	conditions := scheme("s", 0, "items: [{id: a, "+title+", rule: veto, evidence: [document]}]")
	met := evidence(record("r", "document", "s/a", greentally.Values{"met": 1}))
	if a := assess(t, load(t, map[string]string{"s.yaml": conditions}), "s", met); a.Verdict != greentally.Pass || a.Reason != (greentally.Text{}) {
		t.Errorf("all conditions are met: %s (%s)", a.Verdict, a.Reason)
	}
	if a := assess(t, load(t, partial(conditions)), "s", met); a.Verdict != greentally.InsufficientData || a.Reason.EN != "not all items of the document are in the scheme's file" {
		t.Errorf("some conditions are met: %s (%s)", a.Verdict, a.Reason)
	}
}

// TestComposites weighs schemes in another.
func TestComposites(t *testing.T) {
	files := map[string]string{
		"whole.yaml": scheme("whole", 100, `
items: [{id: own, `+title+`, points: 10, rule: judged}]
parts: [{scheme: test, weight: 60}, {scheme: voice, weight: 30}]
levels: [{id: good, `+title+`, at_least: 80, pass: true}]`),
		"test.yaml": scheme("test", 20, `
items: [{id: score, `+title+`, points: 20, rule: judged}, {id: veto, `+title+`, rule: veto, evidence: [document]}]`),
		"voice.yaml": scheme("voice", 4, `
items: [{id: score, `+title+`, points: 4, rule: tiers, of: satisfaction, tiers: [{at_least: 0.9, points: 4}, {at_least: 0.6, points: 1}]}]`),
	}
	points := func(item string, n float64) greentally.Record {
		return record(item, "judgement", item, greentally.Values{"points": n})
	}
	veto := func(met float64) greentally.Record {
		return record("v", "document", "test/veto", greentally.Values{"met": met})
	}
	for _, tt := range []struct {
		name     string
		evidence schemes.Evidence
		want     string
	}{
		{"all", evidence(points("whole/own", 9), points("test/score", 19), veto(1), value("satisfaction", 0.9)), "96..96 pass good test 57..57 voice 30..30 [] []"},
		{"a veto in a part", evidence(points("whole/own", 9), points("test/score", 19), veto(0), value("satisfaction", 0.9)), "96..96 fail  test 57..57 voice 30..30 [test/veto] []"},
		{"a part that is not known", evidence(points("whole/own", 9), points("test/score", 20), veto(1)), "69..99 insufficient_data  test 60..60 voice 0..30 [] []"},
		{"a veto that is not known", evidence(points("whole/own", 9), points("test/score", 20), value("satisfaction", 0.7)), "76.5..76.5 fail  test 60..60 voice 7.5..7.5 [] [test/veto]"},
		{"nothing", evidence(), "0..100 insufficient_data  test 0..60 voice 0..30 [] [test/veto]"},
	} {
		a := assess(t, load(t, files), "whole", tt.evidence)
		got := fmt.Sprintf("%v..%v %s %s", a.AtLeast, a.AtMost, a.Verdict, a.Level)
		for _, p := range a.Parts {
			got += fmt.Sprintf(" %s %v..%v", p.Scheme, p.AtLeast, p.AtMost)
		}
		if got += fmt.Sprintf(" %v %v", a.Barred, a.Open); got != tt.want {
			t.Errorf("%s: got %q (%s), want %q", tt.name, got, a.Reason, tt.want)
		}
	}

	all := evidence(points("whole/own", 10), points("test/score", 20), veto(1), value("satisfaction", 0.9))
	changed := maps.Clone(files)
	changed["voice.yaml"] = strings.Replace(files["voice.yaml"], "total:", "effective: {until: 2026-09-30}\ntotal:", 1)
	if a := assess(t, load(t, changed), "whole", all); a.Verdict != greentally.InsufficientData || a.AtLeast != 70 || a.AtMost != 100 || a.Reason.EN != "the evidence does not suffice for “A”" {
		t.Errorf("a part that is not in effect: %+v", a)
	}
	changed["voice.yaml"] = strings.Replace(files["voice.yaml"], "complete: true", "complete: false", 1)
	if a := assess(t, load(t, changed), "whole", all); a.Verdict != greentally.InsufficientData || a.Complete || a.AtLeast != 100 {
		t.Errorf("a part that is not complete: %+v", a)
	}
}

// TestSetTells has what a program that shows schemes asks for.
func TestSetTells(t *testing.T) {
	set := load(t, map[string]string{
		"b.yaml": scheme("b", 4, "items: [{id: a, "+title+", points: 4, rule: judged}]\nlevels: [{id: l, "+title+", at_least: 1, when: bagged == 1 and community.households > 1}]"),
		"a.yaml": scheme("a", 8, "items: [{id: a, "+title+", points: 4, rule: all_or_nothing, verified: false, when: purity > 0.5 or awareness > 0.5 or purity > 0.9}, "+
			"{id: b, "+title+", points: 4, rule: deduction, faults: [{id: f, "+title+", points: 1, when: bagged < 1}]}]"),
	})
	if got := set.Names(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("names %q", got)
	}
	if got := set.Indicators(); !slices.Equal(got, []string{"awareness", "bagged", "purity"}) {
		t.Errorf("indicators %q", got)
	}
	a, b := set.Schemes()[0], set.Schemes()[1]
	if got := a.Items[0].Indicators; !slices.Equal(got, []string{"awareness", "purity"}) || *a.Items[0].Verified || !*a.Items[1].Verified {
		t.Errorf("items %+v", a.Items)
	}
	if got := b.Items[0].Evidence; !slices.Equal(got, []string{greentally.Judgement}) {
		t.Errorf("evidence %q", got)
	}
}
