package schemes_test

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"greentally"
)

// TestAccept hands in records for items of each rule. What is accepted counts.
func TestAccept(t *testing.T) {
	set := load(t, map[string]string{
		"court.yaml": scheme("court", 16, `
items:
- {id: plan, `+title+`, points: 3, rule: all_or_nothing, evidence: [document, inspection]}
- {id: accident, `+title+`, rule: veto, evidence: [document]}
- {id: bins, `+title+`, points: 5, rule: deduction, evidence: [inspection, document], faults: [{id: dirty, `+title+`, points: 1, each: true}, {id: none, `+title+`, points: 5}]}
- {id: looks, `+title+`, points: 4, rule: judged}
- {id: diversion, `+title+`, points: 3, rule: tiers, of: diversion, tiers: [{at_least: 0.9, points: 3}]}
- {id: size, `+title+`, points: 1, rule: all_or_nothing, when: community.households > 1000}`),
		"whole.yaml": scheme("whole", 10, "parts: [{scheme: court, weight: 10}]"),
	})
	const items = "there are court/plan, court/accident, court/bins, court/looks, court/diversion, court/size"
	for _, tt := range []struct {
		name, kind, item string
		values           greentally.Values
		want             string // lines of the error; empty: it is accepted
	}{
		{"of no item", "survey", "", greentally.Values{"asked": 3}, ""},
		{"met", "document", "court/plan", greentally.Values{"met": 1}, ""},
		{"not met", "inspection", "court/plan", greentally.Values{"met": 0}, ""},
		{"a veto", "document", "court/accident", greentally.Values{"met": 1}, ""},
		{"faults", "inspection", "court/bins", greentally.Values{"dirty": 3, "none": 0}, ""},
		{"no fault", "document", "court/bins", greentally.Values{"met": 1}, ""},
		{"nothing found", "inspection", "court/bins", nil, ""},
		{"points", "judgement", "court/looks", greentally.Values{"points": 4}, ""},

		{"no scheme is named", "document", "plan", nil, `item "plan": name it as scheme/item; the schemes are court, whole`},
		{"a scheme that is not there", "document", "cort/plan", nil, `item "cort/plan": there is no scheme "cort"; there are court, whole`},
		{"an item that is not there", "document", "court/plane", nil, `item "court/plane": scheme court has no item "plane"; ` + items},
		{"an item of an item", "document", "court/plan/a", nil, `item "court/plan/a": scheme court has no item "plan/a"; ` + items},
		{"an item of a part", "document", "whole/plan", nil, `item "whole/plan": scheme whole has no item "plan"; ` + items},
		{"another type", "inspection", "court/accident", greentally.Values{"met": 1}, "item court/accident takes no inspection; it takes document"},
		{"a judgement of what is met or not", "judgement", "court/plan", greentally.Values{"points": 3}, "item court/plan takes no judgement; it takes document, inspection"},
		{"an item of indicators", "inspection", "court/diversion", greentally.Values{"met": 1}, "item court/diversion takes no records; it rests on diversion"},
		{"an item of the community", "inspection", "court/size", greentally.Values{"met": 1}, "item court/size takes no records; it rests on the community's file"},
		{"a half", "document", "court/plan", greentally.Values{"met": 0.5}, "item court/plan: the record says met = 0.5, but it can only say met: 1 or met: 0"},
		{"a fault of what has none", "inspection", "court/plan", greentally.Values{"dirty": 1, "met": 1}, "item court/plan: the record says dirty = 1, but it can only say met: 1 or met: 0"},
		{"neither met nor not", "document", "court/plan", nil, "item court/plan: the record does not say whether it is met; it must say met: 1 or met: 0"},
		{"faults that are not there", "inspection", "court/bins", greentally.Values{"dirt": 1, "non": 1},
			"item court/bins: the record says dirt = 1, but the item has no such fault; there are dirty, none\nitem court/bins: the record says non = 1, but the item has no such fault; there are dirty, none"},
		{"less than not at all", "inspection", "court/bins", greentally.Values{"dirty": -1}, "item court/bins: the record says dirty = -1, but it is a count"},
		{"infinitely often", "inspection", "court/bins", greentally.Values{"dirty": math.Inf(1)}, "item court/bins: the record says dirty = +Inf, but it is a count"},
		{"twice what can be there once", "inspection", "court/bins", greentally.Values{"none": 2}, "item court/bins: the record says none = 2, but it can only be 1 or 0"},
		{"some fault", "document", "court/bins", greentally.Values{"met": 0}, "item court/bins: the record must say which faults were found, or only met: 1 if there were none; there are dirty, none"},
		{"too many points", "judgement", "court/looks", greentally.Values{"points": 4.5}, "item court/looks: the record says points = 4.5, but it can only say points from 0 to 4"},
		{"no points", "judgement", "court/looks", nil, "item court/looks: the record gives no points; it must say points from 0 to 4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := record("r", tt.kind, tt.item, tt.values)
			err := set.Accept(r)
			if (err == nil) != (tt.want == "") || err != nil && err.Error() != tt.want {
				t.Fatalf("got %v\nwant %s", err, tt.want)
			}
			for _, item := range assess(t, set, "court", evidence(r)).Items {
				counts := "court/"+item.Item == tt.item && item.Verdict != greentally.InsufficientData && len(item.Records) > 0
				if counts && tt.want != "" || !counts && tt.want == "" && "court/"+item.Item == tt.item {
					t.Errorf("item %s is %s by %v: %q", item.Item, item.Verdict, item.Records, item.Reasons)
				}
			}
		})
	}
}

// TestDocsAccept hands in the record that docs/schemes.md shows, for the example there.
func TestDocsAccept(t *testing.T) {
	doc, err := os.ReadFile("../../docs/schemes.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(doc), "```yaml\n# my-schemes/quiet_court.yaml")
	example, rest, _ := strings.Cut(example, "```")
	var r greentally.Record
	if err := json.NewDecoder(strings.NewReader(rest[strings.Index(rest, `{"type": "inspection"`):])).Decode(&r); err != nil {
		t.Fatal(err)
	}
	if err := load(t, map[string]string{"quiet_court.yaml": "#" + example}).Accept(r); err != nil || r.Item == "" {
		t.Errorf("%+v: %v", r, err)
	}
}

// TestAssessmentTellsOfItsScheme has what a reader must know of the scheme beside the points.
func TestAssessmentTellsOfItsScheme(t *testing.T) {
	text := func(verified, itemVerified string) string {
		return strings.Replace(scheme("s", 4, "items: [{id: a, "+title+", group: {zh: 组, en: Group}, points: 4, verified: "+itemVerified+", rule: judged}]\n"+
			"levels: [{id: good, title: {zh: 良, en: Good}, at_least: 3, pass: true}]"),
			"verified: true", "note: {zh: 注, en: Note}\neffective: {from: 2026-10-31}\nverified: "+verified, 1)
	}
	for _, tt := range []struct {
		scheme, item string // whether they are verified
		want         bool
	}{{"true", "true", true}, {"true", "false", false}, {"false", "true", false}} {
		set := load(t, map[string]string{"s.yaml": text(tt.scheme, tt.item), "whole.yaml": scheme("whole", 4, "parts: [{scheme: s, weight: 4}]")})
		e := evidence(record("r", greentally.Judgement, "s/a", greentally.Values{greentally.Points: 3}))
		a := assess(t, set, "s", e)
		if a.Source != "here" || a.Note.EN != "Note" || a.Effective.String() != "from 2026-10-31 on" || a.Verified != tt.want ||
			a.Items[0].Group.EN != "Group" || a.Items[0].Verified != (tt.item == "true") || a.Level != "good" || a.LevelTitle.ZH != "良" {
			t.Errorf("scheme verified %s, item verified %s: %+v", tt.scheme, tt.item, a)
		}
		if whole := assess(t, set, "whole", e); whole.Verified != tt.want || whole.LevelTitle != (greentally.Text{}) {
			t.Errorf("scheme verified %s, item verified %s: the whole is %+v", tt.scheme, tt.item, whole)
		}
		e.Month = greentally.Month{Year: 2026, Month: 9}
		if a := assess(t, set, "s", e); a.Verdict != greentally.NoTarget || a.Source != "here" || a.Verified != tt.want {
			t.Errorf("not in effect: %+v", a)
		}
	}
}
