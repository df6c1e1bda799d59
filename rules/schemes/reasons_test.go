package schemes_test

import (
	"strings"
	"testing"

	"greentally"
	"greentally/rules/schemes"
)

// TestReasons has what is said in each language, with titles. That nothing is said in one of
// them alone, all the tests here check.
func TestReasons(t *testing.T) {
	const (
		met    = "{id: plan, title: {zh: 有方案, en: There is a plan}, points: 4, rule: all_or_nothing, evidence: [inspection, document]}"
		when   = "{id: known, title: {zh: 知晓, en: People know}, points: 4, rule: all_or_nothing, when: awareness >= 0.9 and community.households > 5000}"
		faults = "{id: bins, title: {zh: 桶, en: Bins}, points: 4, rule: deduction, evidence: [inspection], faults: [{id: dirty, title: {zh: 脏污, en: Dirty}, points: 0.1, each: true}, " +
			"{id: open, title: {zh: 未盖, en: Open}, points: 1}]}"
		automatic = "{id: bins, title: {zh: 桶, en: Bins}, points: 4, rule: deduction, faults: [{id: bags, title: {zh: 未袋装, en: No bags}, points: 2, when: awareness < 0.9}]}"
		tiers     = "{id: t, title: {zh: 分档, en: Tiers}, points: 4, rule: tiers, of: awareness, tiers: [{at_least: 0.9, points: 4}, {at_least: 0.5, points: 1.5}]}"
		judged    = "{id: looks, title: {zh: 观感, en: Looks}, points: 4, rule: judged}"
		veto      = "{id: v, title: {zh: 无事故, en: No accident}, rule: veto, evidence: [document]}"
		levels    = "\nlevels: [{id: good, title: {zh: 良, en: Good}, at_least: 3, pass: true}]"
	)
	aware := func(v float64) greentally.IndicatorValue {
		a := value("awareness", v)
		a.Title, a.Unit = greentally.Text{ZH: "居民知晓率", EN: "Awareness"}, "ratio"
		return a
	}
	says := func(kind, item string, values greentally.Values) greentally.Record {
		return record("r", kind, "s/"+item, values)
	}
	for _, tt := range []struct {
		name, items string
		total       float64
		evidence    schemes.Evidence
		zh, en      string // the reasons of the items, and of the assessment after a bar
	}{
		{"no record", met, 4, evidence(), "2026-10 没有记录：检查（inspection）或文件（document），条目 s/plan|以下条目证据不足：“有方案”",
			"no record in 2026-10: Inspection (inspection) or Document (document), item s/plan|the evidence does not suffice for “There is a plan”"},
		{"a record that says no", met, 4, evidence(says("document", "plan", greentally.Values{"met": 0})), "记录 r 认定未满足|本标准只计分，不分等级", "not met by record r|the scheme has points and no levels"},
		{"one that says nothing", met, 4, evidence(says("document", "plan", nil)), "记录 r 没有写明是否满足，须写 met: 1 或 met: 0；请更正|以下条目证据不足：“有方案”",
			"record r does not say whether it is met; it must say met: 1 or met: 0; replace it|the evidence does not suffice for “There is a plan”"},
		{"one that says two things wrongly", met, 4, evidence(says("document", "plan", greentally.Values{"met": 2, "x": 1})), "记录 r 写的是 met = 2，但只能写 met: 1 或 met: 0，且写的是 x = 1，但只能写 met: 1 或 met: 0；请更正|以下条目证据不足：“有方案”",
			"record r says met = 2, but it can only say met: 1 or met: 0, and says x = 1, but it can only say met: 1 or met: 0; replace it|the evidence does not suffice for “There is a plan”"},
		{"a condition", when, 4, evidence(aware(0.684)), "未满足：居民知晓率 = 68.4%，户数 = 3100（awareness >= 0.9 and community.households > 5000）|本标准只计分，不分等级",
			"not met: Awareness = 68.4%, households = 3100 (awareness >= 0.9 and community.households > 5000)|the scheme has points and no levels"},
		{"faults", faults, 4, evidence(says("inspection", "bins", greentally.Values{"dirty": 3, "open": 1})), "脏污：扣 0.3 分（记录 r）；未盖：扣 1 分（记录 r）|本标准只计分，不分等级",
			"Dirty: −0.3 by record r; Open: −1 by record r|the scheme has points and no levels"},
		{"faults that there are not", faults, 4, evidence(says("inspection", "bins", greentally.Values{"dirt": 3})), "记录 r 写的是 dirt = 3，但本条目没有这个扣分项，只有 dirty、open；请更正|以下条目证据不足：“桶”",
			"record r says dirt = 3, but the item has no such fault; there are dirty, open; replace it|the evidence does not suffice for “Bins”"},
		{"a fault by a condition", automatic, 4, evidence(aware(0.5)), "未袋装：扣 2 分，因居民知晓率 = 50%（awareness < 0.9）|本标准只计分，不分等级", "No bags: −2, because Awareness = 50% (awareness < 0.9)|the scheme has points and no levels"},
		{"a tier", tiers, 4, evidence(aware(0.684)), "居民知晓率 = 68.4%：得 1.5 分|本标准只计分，不分等级", "Awareness = 68.4%: 1.5 points|the scheme has points and no levels"},
		{"no tier", tiers, 4, evidence(aware(0.4)), "居民知晓率 = 40%：未达到任何一档|本标准只计分，不分等级", "Awareness = 40%: below all tiers|the scheme has points and no levels"},
		{"too little", tiers, 4, evidence(func() greentally.IndicatorValue { v := aware(1); v.Completeness = 0.8; return v }()), "居民知晓率：完整度 80%，低于本标准要求的 90%|以下条目证据不足：“分档”",
			"Awareness: completeness 80% is below the 90% of this scheme|the evidence does not suffice for “Tiers”"},
		{"points", judged, 4, evidence(says("judgement", "looks", greentally.Values{"points": 2.5})), "2.5 分（记录 r）|本标准只计分，不分等级", "2.5 points by record r|the scheme has points and no levels"},
		{"too many points", judged, 4, evidence(says("judgement", "looks", greentally.Values{"points": 5})), "记录 r 写的是 points = 5，但只能写 points，0 到 4；请更正|以下条目证据不足：“观感”",
			"record r says points = 5, but it can only say points from 0 to 4; replace it|the evidence does not suffice for “Looks”"},
		{"a veto", veto, 0, evidence(says("document", "v", greentally.Values{"met": 0})), "记录 r 认定未满足|未满足：“无事故”", "not met by record r|not met: “No accident”"},
		{"a level that is not known", judged + levels, 4, evidence(), "2026-10 没有记录：评分（judgement），条目 s/looks|以下条目证据不足：“观感”", "no record in 2026-10: Judgement (judgement), item s/looks|the evidence does not suffice for “Looks”"},
	} {
		items, rest, _ := strings.Cut(tt.items, "\n")
		a := assess(t, load(t, map[string]string{"s.yaml": scheme("s", tt.total, "items: ["+items+"]\n"+rest)}), "s", tt.evidence)
		said := greentally.JoinTexts([]greentally.Text{greentally.JoinTexts(a.Items[0].Reasons, "；", "; "), a.Reason}, "|", "|")
		if want := (greentally.Text{ZH: tt.zh, EN: tt.en}); said != want {
			t.Errorf("%s:\n got %s\n     %s\nwant %s\n     %s", tt.name, said.ZH, said.EN, want.ZH, want.EN)
		}
	}
}

// TestManyReasons has more items without evidence than are named, and parts that bar.
func TestManyReasons(t *testing.T) {
	five := "items: ["
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		five += "{id: " + id + ", " + title + ", points: 1, rule: judged},"
	}
	a := assess(t, load(t, map[string]string{"s.yaml": scheme("s", 5, five+"]")}), "s", evidence())
	if want := (greentally.Text{ZH: "5 个条目证据不足", EN: "the evidence does not suffice for 5 items"}); a.Reason != want {
		t.Errorf("%+v", a.Reason)
	}

	files := map[string]string{
		"s.yaml":    scheme("s", 4, "parts: [{scheme: part, weight: 4}]"),
		"part.yaml": scheme("part", 4, "items: [{id: v, title: {zh: 无事故, en: No accident}, rule: veto, evidence: [document]}, {id: a, "+title+", points: 4, rule: judged}]"),
	}
	a = assess(t, load(t, files), "s", evidence(record("r", "document", "part/v", greentally.Values{"met": 0})))
	if want := (greentally.Text{ZH: "未满足：“无事故”", EN: "not met: “No accident”"}); a.Reason != want {
		t.Errorf("%+v", a.Reason)
	}
}
