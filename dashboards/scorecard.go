package dashboards

// scorecard is a community's indicators, with their verdicts and completeness, its points by
// certification schemes, and how the months compare. Titles, units and targets are those in
// the store, so that they are right for indicators and schemes of the user's own, too.
func scorecard() board {
	count := func(verdict, title, about, color string) panel {
		return panel{kind: value, width: 6, title: title, about: about, unit: items, since: "now/M", none: "0 项", steps: []step{{color: color}},
			queries: []query{{derived, `SELECT count("completeness") FROM "indicator" WHERE ` + here + ` AND "verdict" = '` + verdict + `'`, title}}}
	}
	const inRatio, inOther = ` AND "unit" = 'ratio'`, ` AND "unit" != 'ratio'`
	list := func(title, about, where string, width uint32, more ...column) panel {
		return panel{kind: sheet, width: width, title: title, about: about, unit: words, since: "now/M", none: "无", sort: "结论",
			queries: []query{{derived, `SELECT "title_zh", "value", "uncertainty", "unit", "target", "verdict", "completeness", "estimated_share" FROM "indicator" WHERE ` + known + where, ""}},
			columns: append([]column{{name: "title_zh", title: "指标", width: 170}}, more...)}
	}
	monthly := func(kind kind, width uint32, title, about, what string) panel {
		return panel{kind: kind, width: width, titled: true, title: title, about: about, unit: ratio, decimals: 1, min: ptr(0), dots: true, interval: "1d", sort: "月份", desc: true,
			queries: []query{{derived, `SELECT "title_zh", ` + what, ""}},
			columns: []column{{name: titledTime, title: "月份", unit: month, width: 110}}}
	}
	const (
		rated  = `"value" FROM "indicator" WHERE ` + known + inRatio
		scored = `"share_at_least" AS "value" FROM "assessment" WHERE ` + here + ` AND "total" > 0`
	)
	target := column{name: "target", title: "目标", names: nothing, width: 80}
	verdict := column{name: "verdict", title: "结论", names: verdicts, width: 90}
	complete := column{name: "completeness", title: "数据完整度", unit: ratio, bar: true, max: 1, steps: completeness}
	return board{
		name: "scorecard", title: "认证评分卡", about: "本月各项指标、结论、数据完整度与各认证标准的得分，逐月对比。",
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
				list("比率", "以比率表示的指标及其目标；只计已结束的日子。", inRatio, 14,
					column{name: "value", title: "数值", unit: ratio, digits: 2}, column{name: "uncertainty", title: "不确定度", unit: ratio, digits: 1},
					column{name: "unit", hidden: true}, target, verdict, complete,
					column{name: "estimated_share", title: "估算占比", unit: ratio, digits: 1}),
				list("数量", "以重量、电量、件数表示的指标。", inOther, 10,
					column{name: "value", title: "数值", unit: number, digits: 2, spans: []span{{ptr(-0.005), ptr(0.005), word{text: "0.00"}}}}, column{name: "uncertainty", hidden: true},
					column{name: "unit", title: "单位", names: units, width: 100}, target, verdict,
					column{name: "completeness", hidden: true}, column{name: "estimated_share", hidden: true}),
			}},
			{title: "认证标准", height: 12, panels: []panel{
				{kind: sheet, width: 24, title: "本月各标准得分", about: "确定得分有据可依；可能得分为缺少证据的条目全部得分时的分数。两者对应同一等级时才有等级。依据与明细用 greentally assess 查看。", unit: words, since: "now/M", none: notYet, sort: "确定得分率", desc: true,
					queries: []query{{derived, `SELECT "title_zh", "share_at_least", ` + certain + `, "total", "level_zh", "verdict" FROM "assessment" WHERE ` + here, ""}},
					columns: []column{
						{name: "title_zh", title: "标准", width: 320},
						{name: "share_at_least", title: "确定得分率", unit: ratio, bar: true, max: 1, steps: []step{{color: blue}}},
						{name: "certain", title: "确定得分", unit: points, digits: 1, width: 100},
						{name: "possible", title: "可能得分", unit: points, digits: 1, width: 100},
						{name: "total", title: "满分", unit: points, width: 90, spans: []span{{ptr(0), ptr(0), word{text: "不计分"}}}},
						{name: "level_zh", title: "等级", names: nothing, width: 120},
						{name: "verdict", title: "结论", names: judgements, width: 110},
					}},
			}},
			{title: "数据完整度", height: 11, panels: []panel{
				{kind: ranking, named: true, width: 12, title: "有数据的指标", about: "本月数据完整度，低于 90% 时通常无法下结论。", unit: ratio, min: ptr(0), max: ptr(1), steps: completeness, since: "now/M", none: notYet,
					queries: []query{{derived, `SELECT "title_zh", "completeness" AS "value" FROM "indicator" WHERE ` + known, ""}}},
				{kind: sheet, width: 12, title: "还缺数据的指标", about: "尚不能计算的指标：请安装设备或登记记录（检查、问卷、台账）。完整度为 100% 的，是本月还没有可统计的事发生。", unit: words, since: "now/M", none: "无", sort: "数据完整度", desc: true,
					queries: []query{{derived, `SELECT "title_zh", "target", "completeness" FROM "indicator" WHERE ` + here + ` AND "known" = false`, ""}},
					columns: []column{{name: "title_zh", title: "指标"}, target, complete}},
			}},
			{title: "逐月对比：指标", height: 9, panels: []panel{
				monthly(sheet, 14, "各月比率", "每行一个月，每列一个指标；本月只计已结束的日子。", rated),
				monthly(lines, 10, "各月走势", "各比率指标的逐月变化。", rated),
			}},
			{title: "逐月对比：认证标准", height: 8, panels: []panel{
				monthly(sheet, 24, "各月确定得分率", "每行一个月，每列一个标准：有据可依的得分占满分的比例。", scored),
				monthly(lines, 24, "得分率走势", "各标准确定得分率的逐月变化。", scored),
			}},
		},
	}
}

// certain are the points of an assessment, which schemes that give none do not have.
const certain = `"share_at_least" * "total" AS "certain", "share_at_most" * "total" AS "possible"`

var completeness = []step{{color: red}, {0.75, orange}, {0.9, green}}
