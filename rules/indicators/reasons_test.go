package indicators_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"greentally"
	"greentally/rules/indicators"
)

// saidTwice reports whether a reason is in Chinese and in English, each without the other:
// in Chinese there are names, IDs and expressions in Latin letters, and no sentence.
func saidTwice(t *testing.T, of string, reason greentally.Text) {
	t.Helper()
	foreign := func(r rune) bool {
		return unicode.Is(unicode.Han, r) || strings.ContainsRune("（）：；，、", r)
	}
	sentence := regexp.MustCompile(`[A-Za-z]+ [A-Za-z]+ [A-Za-z]+`)
	switch {
	case !strings.ContainsFunc(reason.ZH, foreign), sentence.MatchString(reason.ZH):
		t.Errorf("%s: %q is no Chinese", of, reason.ZH)
	case reason.EN == "", strings.ContainsFunc(reason.EN, foreign):
		t.Errorf("%s: %q is no English", of, reason.EN)
	case strings.Contains(reason.ZH+reason.EN, "%!"):
		t.Errorf("%s: %q, %q", of, reason.ZH, reason.EN)
	}
}

// TestReasons has an indicator for each reason that there can be.
func TestReasons(t *testing.T) {
	const (
		bins  = "{kind: sorting_bin, value: mass_kg.collected}"
		audit = "{kind: sorting_bin, value: mass_kg.collected, times: {record: composition_audit, value: recyclable_ratio, weight: sample_kg}}"
		one   = `"1"`
	)
	month := greentally.Month{Year: 2026, Month: time.October}
	bin := &greentally.Device{Community: "c", ID: "b", Kind: "sorting_bin", Stream: greentally.Food}
	day := greentally.DeviceDay{DeviceKey: bin.Key(), Date: month.First(), Hours: 24, Covered: greentally.Duration(24 * time.Hour),
		Masses: map[string]greentally.MassDay{"mass_kg": {Collected: 5 * greentally.Unit}}}
	for _, tt := range []struct {
		name, inputs, numerator, denominator string
		more                                 string // of the file
		through                              greentally.Date
		zh, en                               string
		lacks                                string
	}{
		{name: "no record", inputs: "{a: {record: bagging_inspection, value: bagged}, b: {record: bagging_inspection, value: observed}}", numerator: "a", denominator: "b",
			zh: "2026-10 没有可用的记录：袋装化检查（bagging_inspection）", en: "no usable record in 2026-10: Bagging inspection (bagging_inspection)", lacks: "[bagging_inspection]"},
		{name: "no record in a year", inputs: "{a: {record: survey, value: aware}}", numerator: "a", denominator: one, more: "months: 12\n",
			zh: "截至 2026-10 的 12 个月没有可用的记录：问卷调查（survey），须有知晓人数", en: "no usable record in the 12 months to 2026-10: Survey (survey) with People who know", lacks: "[survey]"},
		{name: "no record on a condition", inputs: "{a: {record: complaint, where: record.closed, value: record.hours}}", numerator: "a", denominator: one,
			zh: "2026-10 没有可用的记录：投诉（complaint），条件 record.closed", en: "no usable record in 2026-10: Complaint (complaint) where record.closed", lacks: "[complaint]"},
		{name: "no record with values", inputs: "{a: {record: statistics, value: homes_occupied}, b: {record: statistics, value: homes}}", numerator: "a", denominator: "b",
			zh: "2026-10 没有可用的记录：统计数据（statistics），须有总户数、入住户数", en: "no usable record in 2026-10: Statistics (statistics) with Homes and Homes occupied", lacks: "[statistics]"},
		{name: "no record of a stream", inputs: "{a: " + audit + "}", numerator: "a", denominator: one,
			zh: "2026-10 没有厨余垃圾的可用记录：组成分析（composition_audit）", en: "no usable record of food waste in 2026-10: Composition audit (composition_audit)", lacks: "[composition_audit]"},
		{name: "no device", inputs: "{a: {kind: water_meter, value: volume_m3.rise}}", numerator: "a", denominator: one,
			zh: "没有可计入的设备：水表（water_meter）", en: "no device that counts: Water meter (water_meter)"},
		{name: "no device of these", inputs: `{a: {kind: sorting_bin, where: 'device.stream == "residual"', value: mass_kg.collected}}`, numerator: "a", denominator: one,
			zh: `没有可计入的设备：分类垃圾桶（sorting_bin），条件 device.stream == "residual"`, en: `no device that counts: Sorting bin (sorting_bin) where device.stream == "residual"`},
		{name: "no day is over", inputs: "{a: " + bins + "}", numerator: "a", denominator: one, through: month.First().Add(-1),
			zh: "本月尚无一天结束", en: "no day of the month is over yet"},
		{name: "no device-day", inputs: "{a: {kind: sorting_bin, value: fill_ratio.max}}", numerator: "a", denominator: one,
			zh: "没有可计入的设备日：分类垃圾桶 1 台", en: "no device-day that counts: 1 × Sorting bin"},
		{name: "no alert", inputs: `{a: {alert: bin_overflowing, value: "1.0"}}`, numerator: "a", denominator: one,
			zh: "2026-10 没有告警：垃圾桶已满溢", en: "no alert in 2026-10: Bin overflowing"},
		{name: "no part of a factor", inputs: `{a: ` + bins + `, f: {factor: grid_electricity_cn, of: '"mars"'}}`, numerator: "a * f", denominator: one,
			zh: "截至 2026-10-31 没有公布的数值：电力平均二氧化碳排放因子（mars）", en: "no value published by 2026-10-31: Average carbon dioxide of grid electricity (mars)"},
		{name: "nothing at all", inputs: "{a: {record: survey, value: aware}}", numerator: "a", denominator: one, more: "optional: [a]\n",
			zh: "没有任何可计入的设备或记录", en: "there is no device and no record that counts"},
		{name: "nothing of another", inputs: "{a: {indicator: bagged, part: numerator}}", numerator: "a", denominator: one,
			zh: "垃圾袋装化率：2026-10 没有可用的记录：袋装化检查（bagging_inspection）", en: "Bagging rate: no usable record in 2026-10: Bagging inspection (bagging_inspection)", lacks: "[bagging_inspection]"},
		{name: "several", inputs: "{a: {record: survey, value: aware}, b: {record: participation, value: households}, c: {kind: water_meter, value: volume_m3.rise}, d: {kind: water_meter, value: volume_m3.rise}}",
			numerator: "a", denominator: "b + c + d",
			zh:    "2026-10 没有可用的记录：问卷调查（survey），须有知晓人数；2026-10 没有可用的记录：分类参与情况（participation）；没有可计入的设备：水表（water_meter）",
			en:    "no usable record in 2026-10: Survey (survey) with People who know; no usable record in 2026-10: Participation (participation); no device that counts: Water meter (water_meter)",
			lacks: "[participation survey]"},
		{name: "a denominator of 0", inputs: "{a: " + bins + "}", numerator: "a", denominator: "community.households", zh: "分母为 0", en: "the denominator is 0"},
		{name: "too little of the month", inputs: "{a: " + bins + "}", numerator: "a", denominator: one, through: month.First().Add(2),
			zh: "完整度 33.33%，低于要求的 90%", en: "completeness 33.33% is below the 90% that is needed"},
		{name: "no number", inputs: "{a: {kind: sorting_bin, value: mass_kg.collected * 1e300}}", numerator: "a", denominator: one,
			zh: "无法计算：input a, device-day c/b 2026-10-01: 5e+300 is no amount", en: "it cannot be computed: input a, device-day c/b 2026-10-01: 5e+300 is no amount"},
	} {
		text := "indicator: tried\ntitle: {zh: 试, en: Tried}\nunit: count\nsource: here\ninputs: " + tt.inputs + "\nnumerator: " + tt.numerator + "\ndenominator: " + tt.denominator + "\n" + tt.more +
			"tests: [{name: none, want: {verdict: insufficient_data}}]\n"
		set, err := indicators.Load(words(t), indicators.Shipped(), folder(map[string]string{"tried.yaml": text}))
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		e := indicators.Evidence{Community: &greentally.Community{ID: "c", Devices: []*greentally.Device{bin}}, Month: month, Through: month.First(), Days: []greentally.DeviceDay{day}}
		if tt.through != (greentally.Date{}) {
			e.Through = tt.through
		}
		values := set.Compute(e)
		v := values[slices.IndexFunc(values, func(v greentally.IndicatorValue) bool { return v.Indicator == "tried" })]
		if want := (greentally.Text{ZH: tt.zh, EN: tt.en}); v.Reason != want || v.Verdict != greentally.InsufficientData {
			t.Errorf("%s: %s\n got %q\n     %q\nwant %q\n     %q", tt.name, v.Verdict, v.Reason.ZH, v.Reason.EN, want.ZH, want.EN)
		}
		if lacks := strings.Replace(fmt.Sprint(v.Lacks), "[]", "", 1); lacks != tt.lacks {
			t.Errorf("%s: it lacks %s, want %s", tt.name, lacks, tt.lacks)
		}
		if tt.name != "no number" { // what is wrong with a file is said as the program says it
			saidTwice(t, tt.name, v.Reason)
		}
	}
}

// TestShippedReasons has communities with nothing, and with one device of each kind and
// stream that says nothing.
func TestShippedReasons(t *testing.T) {
	set, err := indicators.Load(words(t), indicators.Shipped())
	if err != nil {
		t.Fatal(err)
	}
	month := greentally.Month{Year: 2026, Month: time.October}
	equipped := &greentally.Community{ID: "c", Households: 100, Population: 300}
	for _, kind := range []string{"battery_box", "lighting_meter", "oil_drum", "sorting_bin", "water_meter"} {
		for _, stream := range greentally.Streams() {
			equipped.Devices = append(equipped.Devices, &greentally.Device{Community: "c", ID: kind + "-" + string(stream), Kind: kind, Stream: stream, Baseline: &greentally.Baseline{Option: "A"}})
		}
	}
	for _, c := range []*greentally.Community{{ID: "c"}, equipped} {
		for _, through := range []greentally.Date{month.First().Add(-1), month.Last()} {
			for _, v := range set.Compute(indicators.Evidence{Community: c, Month: month, Through: through}) {
				if v.Verdict != greentally.InsufficientData {
					t.Errorf("%s is %s", v.Indicator, v.Verdict)
				}
				saidTwice(t, v.Indicator, v.Reason)
			}
		}
	}
}
