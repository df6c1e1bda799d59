package dashboards

import (
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// firstScheme is the title of the scheme that is chosen to begin with: one that is complete,
// in effect, and can be passed.
const firstScheme = "普陀区居住小区生活垃圾分类实效月度测评"

// city is communities beside each other.
func city(r rates) board {
	compared := []string{"separate_collection", "recyclable_capture", "daily_clearance", "food_separation", "overflow_share", "lighting_saving"}
	choices := make([]string, len(compared))
	for i, name := range compared {
		choices[i] = r[name].Title.ZH + " : " + name
	}
	beside := func(name string) panel {
		i := r[name]
		return panel{kind: ranking, width: 8, title: i.title(), about: "本月各社区的“" + i.Title.ZH + "”，绿色为达标。", unit: ratio, decimals: 1, min: ptr(0), max: ptr(i.max()), steps: i.steps(), since: "now/M", none: "数据不足",
			queries: []query{{derived, `SELECT last("value") FROM "indicator" WHERE ` + known + ` AND "indicator" = '` + name + `' GROUP BY "community"`, "$tag_community"}}}
	}
	verdict := func(verdict, as string) query {
		return query{derived, `SELECT count("completeness") AS "` + as + `" FROM "indicator" WHERE ` + here + ` AND "verdict" = '` + verdict + `' GROUP BY "community"`, ""}
	}
	judged := func(verdict, as string) query {
		return query{derived, `SELECT last("title_zh") AS "title", count("at_least") AS "` + as + `" FROM "assessment" WHERE ` + here + ` AND "verdict" = '` + verdict + `' GROUP BY "scheme"`, ""}
	}
	const scheme = here + ` AND "title_zh" = ${scheme:singlequote}`
	const bin = current + ` AND "kind" = 'sorting_bin'`
	return board{
		name: "city", title: "全市社区对比", about: "各社区的指标、结论、认证等级、告警与投放量对比。",
		from: "now-13M", refresh: "5m",
		variables: []variable{
			someOf("community", "社区", ""),
			dashboard.NewCustomVariableBuilder("indicator").Label("走势指标").Values(text(strings.Join(choices, ", "))).
				Current(dashboard.VariableOption{Text: single(r[compared[0]].Title.ZH), Value: single(compared[0])}),
			dashboard.NewQueryVariableBuilder("scheme").Label("认证标准").Datasource(derived.ref()).Query(text(`SELECT DISTINCT("title_zh") FROM "assessment"`)).
				Refresh(dashboard.VariableRefreshOnDashboardLoad).Sort(dashboard.VariableSortAlphabeticalAsc).
				Current(dashboard.VariableOption{Text: single(firstScheme), Value: single(firstScheme)}),
			dashboard.NewTextBoxVariableBuilder("target").Label("本年目标（个）").DefaultValue(text("15")).
				Current(dashboard.VariableOption{Text: single("15"), Value: single("15")}),
		},
		rows: []row{
			{title: "概况", height: 4, panels: []panel{
				{kind: value, width: 6, title: "社区数", about: "近24小时有数据的社区数。", unit: pieces, since: "24h",
					queries: []query{{readings, `SELECT count("seen") FROM (SELECT last("quality") AS "seen" FROM /.*/ WHERE ` + here + ` GROUP BY "community")`, "社区"}}},
				{kind: value, width: 6, title: "未结束紧急告警", about: "所选社区仍在持续的紧急告警数。", unit: notices, since: "90d", none: "无告警", steps: []step{{color: green}, {1, red}},
					queries: []query{{derived, `SELECT count("since") FROM "alert" WHERE ` + current + ` AND "firing" = true AND "severity" = 'critical'`, "紧急告警"}}},
				{kind: value, width: 6, title: "本月投放量", about: "所选社区本月投入垃圾桶的重量，含今天。", unit: kg, since: "now/M", none: "0 kg",
					queries: []query{{derived, `SELECT sum("mass_kg_deposited") FROM "device_day" WHERE ` + bin, "投放量"}}},
				{kind: value, width: 6, title: "本月照明节电量", about: "所选社区本月照明节电量之和，只计已结束的日子。", unit: kWh, since: "now/M", none: "数据不足",
					queries: []query{{derived, `SELECT sum("saved") FROM (SELECT last("value") AS "saved" FROM "indicator" WHERE ` + known + ` AND "indicator" = 'lighting_saved_kwh' GROUP BY "community")`, "节电量"}}},
			}},
			{title: "本月指标与目标", height: 6, panels: []panel{
				beside(compared[0]), beside(compared[1]), beside(compared[2]), beside(compared[3]), beside(compared[4]), beside(compared[5]),
			}},
			{title: "认证：${scheme:text}", height: 9, panels: []panel{
				{kind: dial, width: 5, title: "年度目标完成率（目标 ${target} 个）", about: "本月按所选标准达标的社区数，除以上方填写的本年目标数。", unit: ratio, min: ptr(0), max: ptr(1), steps: []step{{color: orange}, {1, green}}, since: "now/M", none: "0%",
					queries: []query{{derived, `SELECT count("at_least") / $target FROM "assessment" WHERE ` + scheme + ` AND "verdict" = 'pass'`, "完成率"}}},
				{kind: sheet, width: 7, title: "各等级社区数", about: "按所选标准，本月各等级和结论的社区数。", unit: words, since: "now/M", none: notYet, sort: "社区数", desc: true, tally: []string{"level_zh", "verdict"},
					queries: []query{{derived, `SELECT "level_zh", "verdict", "at_least" FROM "assessment" WHERE ` + scheme, ""}},
					columns: []column{
						{name: "level_zh", title: "等级", names: nothing},
						{name: "verdict", title: "结论", names: judgements},
						{name: counted, title: "社区数", unit: pieces, width: 90},
					}},
				{kind: sheet, width: 12, title: "各社区得分", about: "按所选标准，本月各社区有据可依的得分、证据齐全时可能的得分、等级与结论；点社区名查看评分卡。", unit: words, since: "now/M", none: notYet, sort: "确定得分", desc: true,
					queries: []query{{derived, `SELECT ` + certain + `, "total", "level_zh", "verdict" FROM "assessment" WHERE ` + scheme + ` GROUP BY "community"`, ""}},
					columns: []column{
						{name: "community", title: "社区", link: "/d/greentally-scorecard?var-community=${__value.raw}"},
						{name: "certain", title: "确定得分", unit: points, digits: 1, bar: true, steps: []step{{color: blue}}},
						{name: "possible", title: "可能得分", unit: points, digits: 1, width: 90},
						{name: "total", title: "满分", unit: points, width: 80, spans: []span{{ptr(0), ptr(0), word{text: "不计分"}}}},
						{name: "level_zh", title: "等级", names: nothing, width: 90},
						{name: "verdict", title: "结论", names: judgements, width: 100},
					}},
				{kind: sheet, width: 12, title: "各标准达标社区数", about: "本月按每个标准达标、未达标、尚不能判定的社区数。", unit: pieces, since: "now/M", none: "0 个", sort: "达标", desc: true,
					queries: []query{judged("pass", "pass"), judged("fail", "fail"), judged("insufficient_data", "insufficient")},
					columns: []column{
						{name: "scheme", hidden: true},
						{name: "title", title: "标准", width: 300},
						{name: "pass", title: "达标", unit: pieces, steps: []step{{color: green}}},
						{name: "fail", title: "未达标", unit: pieces, steps: []step{{color: red}}},
						{name: "insufficient", title: "尚不能判定", unit: pieces, steps: []step{{color: orange}}},
					}},
				{kind: bars, width: 12, title: "逐月达标社区数", about: "近13个月每月按所选标准达标的社区数。", unit: pieces, interval: "1d", since: "13M", none: "0 个",
					queries: []query{{derived, `SELECT count("at_least") FROM "assessment" WHERE ` + scheme + ` AND "verdict" = 'pass'` + daily + ` fill(none)`, "达标社区"}}},
			}},
			{title: "结论与走势", height: 9, panels: []panel{
				{kind: sheet, width: 12, title: "本月结论", about: "各社区本月达标、未达标和数据不足的指标数；点社区名查看该社区。", unit: items, since: "now/M", none: "0 项", sort: "达标", desc: true,
					queries: []query{verdict("pass", "pass"), verdict("fail", "fail"), verdict("insufficient_data", "insufficient")},
					columns: []column{
						{name: "community", title: "社区", link: "/d/greentally-community?var-community=${__value.raw}"},
						{name: "pass", title: "达标", unit: items, steps: []step{{color: green}}},
						{name: "fail", title: "未达标", unit: items, steps: []step{{color: red}}},
						{name: "insufficient", title: "数据不足", unit: items, steps: []step{{color: orange}}},
					}},
				{kind: lines, width: 12, title: "逐月走势：${indicator:text}", about: "上方所选指标在各社区的逐月变化。", unit: ratio, decimals: 1, min: ptr(0), dots: true, interval: "1d",
					queries: []query{{derived, `SELECT "value" FROM "indicator" WHERE ` + known + ` AND "indicator" = '$indicator' GROUP BY "community"`, "$tag_community"}}},
			}},
			{title: "投放与告警", height: 8, panels: []panel{
				{kind: bars, width: 12, title: "每日投放量", about: "近30天各社区每天投入垃圾桶的重量。", unit: kg, interval: "1d", since: "30d",
					queries: []query{{derived, `SELECT sum("mass_kg_deposited") FROM "device_day" WHERE ` + bin + daily + `, "community" fill(none)`, "$tag_community"}}},
				{kind: bars, width: 12, title: "每日告警数", about: "近30天各社区每天发生的告警数。", unit: notices, interval: "1d", since: "30d", none: "无告警",
					queries: []query{{derived, `SELECT count("since") FROM "alert" WHERE ` + current + daily + `, "community" fill(none)`, "$tag_community"}}},
			}},
		},
	}
}
