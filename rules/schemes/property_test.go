package schemes_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"greentally"
	"greentally/internal/strictyaml"
	"greentally/rules/schemes"
)

// TestEvidenceNeverWidens hands in one thing after another of a month's evidence, in any
// order. The interval of points never grows, what was certain stays, and the total with
// everything lies within each interval on the way.
func TestEvidenceNeverWidens(t *testing.T) {
	set, err := schemes.Load(words(), schemes.Shipped())
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		e := evidence(rapid.Permutation(everything(t, set)).Draw(t, "order")...)
		full, err := set.Assess(e)
		if err != nil {
			t.Fatal(err)
		}
		before, err := set.Assess(schemes.Evidence{Community: e.Community, Month: e.Month})
		if err != nil {
			t.Fatal(err)
		}
		indicators, records := 0, 0
		for indicators < len(e.Indicators) || records < len(e.Records) {
			if records == len(e.Records) || indicators < len(e.Indicators) && rapid.Bool().Draw(t, "indicator next") {
				indicators = min(len(e.Indicators), indicators+1+rapid.IntRange(0, 9).Draw(t, "more"))
			} else {
				records = min(len(e.Records), records+1+rapid.IntRange(0, 19).Draw(t, "more"))
			}
			part := e
			part.Indicators, part.Records = e.Indicators[:indicators], e.Records[:records]
			now, err := set.Assess(part)
			if err != nil {
				t.Fatal(err)
			}
			for i := range now {
				if wrong := compare(before[i], now[i], full[i]); wrong != "" {
					t.Fatalf("%s: %s\nbefore %+v\nnow %+v\nwith everything %+v", now[i].Scheme, wrong, before[i], now[i], full[i])
				}
			}
			before = now
		}
	})
}

// everything draws a value for each indicator that is referred to, and a record for each
// item that can be attested. A fault that has a condition is left to it.
func everything(t *rapid.T, set *schemes.Set) (all []any) {
	for _, name := range set.Indicators() {
		top := 2000
		if units()[name] == "ratio" {
			top = 1000
		}
		v := value(name, float64(rapid.IntRange(0, top).Draw(t, name))/1000)
		v.EstimatedShare = rapid.SampledFrom([]float64{0, 0, 0.2}).Draw(t, "estimated")
		v.Completeness = rapid.SampledFrom([]float64{1, 1, 0.8}).Draw(t, "completeness")
		all = append(all, v)
	}
	for _, s := range set.Schemes() {
		for _, item := range s.Items {
			if len(item.Evidence) == 0 || rapid.IntRange(0, 9).Draw(t, "left out") == 0 {
				continue
			}
			values := greentally.Values{}
			switch item.Rule {
			case schemes.Judged:
				values["points"] = rapid.Float64Range(0, item.Points).Draw(t, "points")
			case schemes.Deduction:
				for _, f := range item.Faults {
					if f.When == "" {
						values[f.ID] = float64(rapid.IntRange(0, 1).Draw(t, f.ID))
					}
				}
			default:
				values["met"] = float64(rapid.IntRange(0, 1).Draw(t, "met"))
			}
			name := s.Name + "/" + item.ID
			all = append(all, record(name, item.Evidence[0], name, values))
		}
	}
	return all
}

func compare(before, now, full greentally.Assessment) string {
	const tiny = 1e-5
	outside := func(outer, inner [2]float64) bool { return inner[0] < outer[0]-tiny || inner[1] > outer[1]+tiny }
	for _, pair := range []struct {
		what         string
		outer, inner greentally.Assessment
	}{{"the interval grew", before, now}, {"the total lies outside", now, full}} {
		if outside([2]float64{pair.outer.AtLeast, pair.outer.AtMost}, [2]float64{pair.inner.AtLeast, pair.inner.AtMost}) {
			return pair.what
		}
		for i, item := range pair.outer.Items {
			other := pair.inner.Items[i]
			if outside([2]float64{item.AtLeast, item.AtMost}, [2]float64{other.AtLeast, other.AtMost}) {
				return pair.what + " of " + item.Item
			}
			if item.Verdict != greentally.InsufficientData && item.Verdict != other.Verdict {
				return "the verdict changed of " + item.Item
			}
		}
		if v := pair.outer.Verdict; v != greentally.InsufficientData && v != pair.inner.Verdict {
			return "the verdict changed"
		}
		if pair.outer.Level != "" && pair.outer.Level != pair.inner.Level && len(pair.inner.Barred) == 0 {
			return "the level changed"
		}
		if slices.ContainsFunc(pair.outer.Barred, func(id string) bool { return !slices.Contains(pair.inner.Barred, id) }) {
			return "something no longer bars"
		}
	}
	if now.AtLeast > now.AtMost || now.AtLeast < 0 || now.AtMost > now.Total {
		return "it is no interval within the total"
	}
	return ""
}

// FuzzLoad feeds files to the parser. It must refuse with file and line, or give a set
// that can assess; nothing panics.
func FuzzLoad(f *testing.F) {
	names, contents, err := schemes.Shipped().Files()
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		f.Add(string(contents[name]))
	}
	f.Add(scheme("s", 4, "items: [{id: a, "+title+", points: 4, rule: tiers, of: diversion, tiers: [{at_least: 0.9, points: 4}]}]"))
	f.Fuzz(func(t *testing.T, text string) {
		set, err := schemes.Load(words(), strictyaml.Folder{Name: "x", FS: fstest.MapFS{"s.yaml": {Data: []byte(text)}}})
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if strings.HasPrefix(line, "x/s.yaml:") {
					return
				}
			}
			t.Fatalf("an error without file and line: %v", err)
		}
		if _, err := set.Assess(evidence(value("diversion", 0.9), record("r", "document", "s/a", greentally.Values{"met": 1}))); err != nil {
			t.Fatal(err)
		}
		if ran, _ := set.Check(); ran == 0 {
			t.Fatal(fmt.Errorf("there are no tests in it: %s", text))
		}
	})
}
