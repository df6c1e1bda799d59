package dashboards

// scorecard is a community's indicators: their values, verdicts and completeness, and how
// the months compare.
func scorecard(r rates) board {
	count := func(verdict, title, about, color string) panel {
		return panel{kind: value, width: 6, title: title, about: about, unit: items, since: "now/M", none: "0 项", steps: []step{{color: color}},
			queries: []query{{derived, `SELECT count("completeness") FROM "indicator" WHERE ` + here + ` AND "verdict" = '` + verdict + `'`, title}}}
	}
	known := here + ` AND "known" = true`
	// A tag can be asked for under several names, and each be shown as something else.
	list := func(title, about, where string, height uint32, more ...column) panel {
		return panel{kind: sheet, width: height, title: title, about: about, unit: words, since: "now/M", none: "无", sort: "结论",
			queries: []query{{derived, `SELECT "indicator" AS "title", "value", "uncertainty", "indicator" AS "unit", "indicator" AS "target", "verdict", "completeness", "estimated_share" FROM "indicator" WHERE ` + where, ""}},
			columns: append([]column{
				{name: "title", title: "指标", names: r.titles(), width: 170},
			}, more...)}
	}
	verdict := column{name: "verdict", title: "结论", names: verdicts, width: 90}
	complete := column{name: "completeness", title: "数据完整度", unit: ratio, bar: true, max: 1, steps: completeness}
	return board{
		name: "scorecard", title: "认证评分卡", about: "本月各项指标、结论与数据完整度，逐月对比。",
		from: "now-13M", refresh: "5m",
		community: true,
		rows: []row{
			{title: "本月结论", height: 4, panels: []panel{
				count("pass", "达标", "本月已达到目标的指标数。", green),
				count("fail", "未达标", "本月未达到目标的指标数。", red),
				count("insufficient_data", "数据不足", "数据不够、无法下结论的指标数：缺设备、缺记录，或数据完整度低于要求。", orange),
				count("no_target", "无目标值", "有数值但没有公开目标的指标数。", grey),
			}},
			{title: "本月指标", height: 11, panels: []panel{
				list("比率", "以比率表示的指标及其目标；只计已结束的日子。", known+` AND "indicator" !~ `+r.amounts(), 14,
					column{name: "value", title: "数值", unit: ratio, digits: 2}, column{name: "uncertainty", title: "不确定度", unit: ratio, digits: 1},
					column{name: "unit", hidden: true}, column{name: "target", title: "目标", names: r.targets(), width: 80}, verdict, complete,
					column{name: "estimated_share", title: "估算占比", unit: ratio, digits: 1}),
				list("数量", "以重量、电量、件数表示的指标。", known+` AND "indicator" =~ `+r.amounts(), 10,
					column{name: "value", title: "数值", unit: number, digits: 2}, column{name: "uncertainty", hidden: true},
					column{name: "unit", title: "单位", names: r.units(), width: 100}, column{name: "target", title: "目标", names: r.targets(), width: 70}, verdict,
					column{name: "completeness", hidden: true}, column{name: "estimated_share", hidden: true}),
			}},
			{title: "数据完整度", height: 11, panels: []panel{
				{kind: ranking, width: 12, title: "有数据的指标", about: "本月数据完整度，低于 90% 时通常无法下结论。", unit: ratio, min: ptr(0), max: ptr(1), steps: completeness, since: "now/M", names: r.titles(),
					queries: []query{{derived, `SELECT last("completeness") FROM "indicator" WHERE ` + known + ` GROUP BY "indicator"`, "$tag_indicator"}}},
				{kind: sheet, width: 12, title: "还缺数据的指标", about: "尚不能计算的指标：请安装设备或登记记录（检查、问卷、台账）。完整度为 100% 的，是本月还没有可统计的事发生。", unit: words, since: "now/M", none: "无", sort: "数据完整度", desc: true,
					queries: []query{{derived, `SELECT "indicator" AS "title", "indicator" AS "target", "completeness" FROM "indicator" WHERE ` + here + ` AND "known" = false`, ""}},
					columns: []column{
						{name: "title", title: "指标", names: r.titles()},
						{name: "target", title: "目标", names: r.targets()},
						complete,
					}},
			}},
			{title: "逐月对比", height: 9, panels: []panel{
				{kind: sheet, width: 14, pivot: true, title: "各月比率", about: "每行一个月，每列一个指标；本月只计已结束的日子。", unit: ratio, decimals: 1, names: r.shares(), sort: "月份", desc: true,
					queries: []query{{derived, `SELECT "value" FROM "indicator" WHERE ` + known + ` AND "indicator" !~ ` + r.amounts() + ` GROUP BY "indicator"`, "$tag_indicator"}},
					columns: []column{{name: "Time", title: "月份", unit: month, width: 110}}},
				{kind: lines, width: 10, title: "各月走势", about: "各比率指标的逐月变化。", unit: ratio, decimals: 1, min: ptr(0), dots: true, interval: "1d", names: r.shares(),
					queries: []query{{derived, `SELECT "value" FROM "indicator" WHERE ` + known + ` AND "indicator" !~ ` + r.amounts() + ` GROUP BY "indicator"`, "$tag_indicator"}}},
			}},
		},
	}
}

var completeness = []step{{color: red}, {0.75, orange}, {0.9, green}}
