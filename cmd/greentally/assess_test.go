package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greentally"
	"greentally/internal/golden"
)

// assessments are what tables and JSON have to show: a scheme of which all is known, one
// with doubts and a level, and a part of one that is not in effect.
func assessments() []greentally.Assessment {
	text := func(zh, en string) greentally.Text { return greentally.Text{ZH: zh, EN: en} }
	from, until := greentally.Date{Year: 2026, Month: time.January, Day: 1}, greentally.Date{Year: 2026, Month: time.December, Day: 31}
	october := greentally.Month{Year: 2026, Month: time.October}
	basic, work := text("基本条件", "Basic conditions"), text("日常工作", "Daily work")
	return []greentally.Assessment{
		{Community: "jiayuan", Month: october, Scheme: "claims", Title: text("自报指标", "Claims"), Source: "a report", Complete: true, Verified: true,
			Items:   []greentally.ItemResult{{Item: "bagged", Title: text("袋装化", "Bagged"), Rule: "basic", Verified: true, Verdict: greentally.Pass}},
			Verdict: greentally.Pass},
		{Community: "jiayuan", Month: october, Scheme: "court", Title: text("宁静小区", "Quiet court"), Source: "宁静小区评价标准(示例)", Note: text("示例。", "An example."),
			Effective: greentally.Period{From: &from, Until: &until}, Complete: true,
			Items: []greentally.ItemResult{
				{Item: "accident", Title: text("无事故", "No accident"), Rule: "veto", Verified: true, Verdict: greentally.Pass},
				{Item: "satisfaction", Title: text("满意率", "Satisfaction"), Group: basic, Rule: "basic", AtLeast: 2, AtMost: 2, Points: 2, Verdict: greentally.Pass},
				{Item: "bins", Title: text("收集设施", "Bins"), Group: work, Rule: "deduction", Verified: true, AtLeast: 4, AtMost: 4, Points: 5, Verdict: greentally.Fail,
					Reasons: []greentally.Text{text("脏污：扣 1 分（记录 R1）", "Dirty: −1 by record R1")}, Records: []string{"R1"}},
				{Item: "diversion", Title: text("分流率", "Diversion"), Group: work, Rule: "tiers", Verified: true, AtLeast: 3, AtMost: 3, Points: 6, Verdict: greentally.Fail,
					Reasons: []greentally.Text{text("分流率 = 60%：得 3 分", "Diversion = 60%: 3 points")}, Indicators: []string{"diversion"}, EstimatedShare: 0.25},
			},
			Parts:   []greentally.PartResult{{Scheme: "voice", Weight: 10, AtLeast: 0, AtMost: 7.5}},
			AtLeast: 9, AtMost: 16.5, Total: 23, Verdict: greentally.Pass, Level: "silver", LevelTitle: text("银牌", "Silver"), Reason: text("一个原因", "a reason")},
		{Community: "jiayuan", Month: october, Scheme: "past", Title: text("旧标准", "Past"), Source: "a notice", Effective: greentally.Period{Until: &from},
			Verified: true, Items: []greentally.ItemResult{}, Verdict: greentally.NoTarget, Reason: text("本标准的施行期至 2026-01-01 止，不含 2026-10", "the scheme is in effect until 2026-01-01, so not in 2026-10")},
	}
}

func TestAssessmentsAreShown(t *testing.T) {
	for _, language := range []string{"zh", "en"} {
		var out bytes.Buffer
		writeAssessments(&out, assessments(), language)
		for _, a := range assessments() {
			if err := writeAssessment(&out, a, language); err != nil {
				t.Fatal(err)
			}
		}
		golden.Equal(t, filepath.Join(testdata, "assess", "table_"+language+".golden"), out.String())
	}
	data, err := json.MarshalIndent(assessments(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden.Equal(t, filepath.Join(testdata, "assess", "json.golden"), string(data)+"\n")
}

// TestAssess assesses a month of the report's community by what is shipped.
func TestAssess(t *testing.T) {
	t.Parallel()
	config := reportSite(t)
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"each scheme", []string{"--lang", "en"}, []string{"│ neimenggu ", "│ title ", "│ verified │", "insufficient data"}},
		{"one scheme", []string{"--scheme", "neimenggu", "--lang", "en"}, []string{
			"Source: 内蒙古自治区绿色社区评分标准及考核办法", "Only the first three groups are here", "Caution: not all of this was compared",
			"Caution: not all items of the document are here", "│ Basic conditions ", "surroundings * │", "│ leading_body "}},
		{"in Chinese", []string{"--scheme", "neimenggu"}, []string{"依据：内蒙古", "注意：未全部与原文核对", "│ 基本条件 "}},
		{"one that is not in effect", []string{"--scheme", "shanghai_2021", "--lang", "en"}, []string{"In effect from 2021-01-01 until 2021-12-31\n"}},
		{"JSON", []string{"--scheme", "shanghai_2021", "--format", "json"}, []string{`"verified": true`, `"effective": {`, `"until": "2021-12-31"`}},
	} {
		out, err := cli(t, append([]string{"assess", "--config", config, "--community", "lvyuan", "--month", "2025-02"}, tt.args...)...)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: %q is not in\n%s", tt.name, want, out)
			}
		}
	}
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"--format", "csv", "--lang", "fr"}, []string{`--format "csv" is none of table, json`, `--lang "fr" is none of zh, en`}},
		{[]string{"--scheme", "neimengu"}, []string{`there is no scheme "neimengu"; there are `, "neimenggu"}},
	} {
		_, err := cli(t, append([]string{"assess", "--config", config, "--community", "lvyuan", "--month", "2025-02"}, tt.args...)...)
		wantError(t, strings.Join(tt.args, " "), err, tt.want...)
	}
}
