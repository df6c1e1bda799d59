package dashboards

// community is how a community stands today, and how far its rates are from their targets.
func community(r rates) board {
	return board{
		name: "community", title: "社区总览", about: "今天的状态、本月指标与目标、告警。",
		from: "now-7d", refresh: "1m", alerts: current,
		community: true,
		rows: []row{
			{title: "今日状态", height: 5, panels: []panel{
				{kind: value, width: 6, title: "近1小时在线设备", about: "最近一小时内上报过数据的设备数，按设备类型。", unit: machines, names: kinds, since: "1h",
					queries: []query{{readings, `SELECT count("seen") FROM (SELECT last("quality") AS "seen" FROM /.*/ WHERE ` + here + ` GROUP BY "device")`, "$m"}}},
				{kind: value, width: 4, title: "未结束告警", about: "仍在持续的告警数，按紧急程度。", unit: notices, names: severities, since: "90d", none: "无告警",
					queries: []query{{derived, `SELECT count("since") FROM "alert" WHERE ` + current + ` AND "firing" = true GROUP BY "severity"`, "$tag_severity"}}},
				{kind: value, width: 3, title: "满溢垃圾桶", about: "当前满溢度达到 90% 的垃圾桶数。", unit: pieces, since: "3h", steps: []step{{color: green}, {1, red}},
					queries: []query{{readings, overflowing(here), "满溢"}}},
				{kind: value, width: 3, title: "今日投放量", about: "今天零点以来投入垃圾桶的重量。", unit: kg, since: "now/d", none: "0 kg",
					queries: []query{{derived, `SELECT sum("mass_kg_deposited") FROM "device_day" WHERE ` + current + ` AND "kind" = 'sorting_bin'`, "投放量"}}},
				{kind: value, width: 3, title: "今日清运", about: "今天零点以来从垃圾桶清走的重量。", unit: kg, since: "now/d", none: "0 kg",
					queries: []query{{derived, `SELECT sum("mass_kg_collected") FROM "device_day" WHERE ` + current + ` AND "kind" = 'sorting_bin'`, "清运量"}}},
				{kind: value, width: 3, title: "今日照明用电", about: "今天零点以来公共照明的用电量。", unit: kWh, decimals: 1, since: "now/d", none: "0 kWh",
					queries: []query{{derived, `SELECT sum("energy_kwh_rise") FROM "device_day" WHERE ` + current + ` AND "kind" = 'lighting_meter'`, "用电量"}}},
				{kind: value, width: 2, title: "废电池存量", about: "电池回收箱里现有的重量。", unit: kg, decimals: 1, since: "3h",
					queries: []query{{readings, `SELECT sum("mass") FROM (SELECT last("mass_kg") AS "mass" FROM "battery_box" WHERE ` + here + ` GROUP BY "device")`, "存量"}}},
			}},
			{title: "本月指标与目标", height: 6, panels: []panel{
				r.dial("separate_collection", 4), r.dial("recyclable_capture", 4), r.dial("daily_clearance", 4),
				r.dial("food_separation", 4), r.dial("overflow_share", 4), r.dial("lighting_saving", 4),
			}},
			{title: "走势", height: 8, panels: []panel{
				{kind: lines, width: 8, title: "每日分类收集率", about: "每天清运量中可回收物、厨余垃圾、有害垃圾所占的比例；虚线为目标。当天尚未结束。", unit: ratio, decimals: 1, min: ptr(0), max: ptr(1),
					steps: r["separate_collection"].steps(), limits: true, dots: true, interval: "1d", since: "30d",
					queries: []query{{derived, separated(current), "分类收集率"}}},
				{kind: lines, width: 8, title: "每日满溢率", about: "每天垃圾桶处于满溢状态的时间比例；虚线为目标。当天尚未结束。", unit: ratio, decimals: 1, min: ptr(0),
					steps: r["overflow_share"].steps(), limits: true, dots: true, interval: "1d", since: "30d",
					queries: []query{{derived, `SELECT sum("fill_ratio_above_hours") / count("fill_ratio_above_hours") / 24 FROM "device_day" WHERE ` + current + ` AND "kind" = 'sorting_bin'` + daily + ` fill(none)`, "满溢率"}}},
				{kind: lines, width: 8, title: "逐月指标", about: "近13个月各月的主要指标；本月只计已结束的日子。", unit: ratio, decimals: 1, min: ptr(0), dots: true, interval: "1d", since: "13M",
					names:   r.called("separate_collection", "recyclable_capture", "daily_clearance", "lighting_saving"),
					queries: []query{{derived, `SELECT "value" FROM "indicator" WHERE ` + known + ` AND "indicator" =~ /^(separate_collection|recyclable_capture|daily_clearance|lighting_saving)$/ GROUP BY "indicator"`, "$tag_indicator"}}},
			}},
			{title: "投放与告警", height: 9, panels: []panel{
				{kind: bars, width: 8, title: "每日投放量", about: "每天投入垃圾桶的重量，按类别。", unit: kg, names: streams, interval: "1d", since: "30d",
					queries: []query{{derived, `SELECT sum("mass_kg_deposited") FROM "device_day" WHERE ` + current + ` AND "kind" = 'sorting_bin'` + daily + `, "stream" fill(none)`, "$tag_stream"}}},
				{kind: shares, width: 4, title: "本月投放构成", about: "本月投入垃圾桶的重量，各类别所占比例。", unit: kg, names: streams, since: "now/M", none: notYet,
					queries: []query{{derived, `SELECT sum("mass_kg_deposited") FROM "device_day" WHERE ` + current + ` AND "kind" = 'sorting_bin' GROUP BY "stream"`, "$tag_stream"}}},
				recentAlerts(12, current),
			}},
		},
	}
}

// overflowing counts the bins that are full now.
func overflowing(where string) string {
	return `SELECT sum("full") FROM (SELECT floor(last("fill_ratio") / 0.9) AS "full" FROM "sorting_bin" WHERE ` + where + ` GROUP BY "community", "device")`
}

// separated is the share of what is collected each day that is not residual waste.
func separated(where string) string {
	of := func(name, which string) string {
		return `(SELECT "mass_kg_collected" AS "` + name + `" FROM "device_day" WHERE ` + where + ` AND "kind" = 'sorting_bin'` + which + `)`
	}
	return `SELECT sum("separate") / sum("all") FROM ` + of("separate", ` AND "stream" != 'residual'`) + `, ` + of("all", "") + ` WHERE ` + during + daily + ` fill(none)`
}

// dial is this month's value of an indicator against its target.
func (all rates) dial(name string, width uint32) panel {
	r := all[name]
	return panel{
		kind: dial, width: width, title: r.title(), about: "本月已结束各天的“" + r.Title.ZH + "”，绿色为达标。明细见“认证评分卡”。",
		unit: ratio, decimals: 1, min: ptr(0), max: ptr(r.max()), steps: r.steps(), since: "now/M", none: "数据不足",
		queries: []query{{derived, `SELECT last("value") FROM "indicator" WHERE ` + known + ` AND "indicator" = '` + name + `'`, r.Title.ZH}},
	}
}

// recentAlerts are the latest alerts.
func recentAlerts(width uint32, where string) panel {
	return panel{
		kind: sheet, width: width, title: "最近告警", about: "最近的50条告警，最新的在上。", unit: words, none: "无告警", sort: "时间", desc: true,
		queries: []query{{derived, `SELECT "severity", "title_zh", "site", "device", "firing", "hours" FROM "alert" WHERE ` + where + ` ORDER BY time DESC LIMIT 50`, ""}},
		columns: []column{
			{name: "Time", title: "时间", unit: instant, width: 110},
			{name: "severity", title: "级别", names: severities, width: 60},
			{name: "title_zh", title: "告警"},
			{name: "site", title: "点位", width: 90},
			{name: "device", title: "设备"},
			{name: "firing", title: "状态", names: whetherFiring, width: 80},
			{name: "hours", title: "持续", unit: hours, digits: 1, width: 90},
		},
	}
}
