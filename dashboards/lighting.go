package dashboards

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

// lighting is what public lighting uses, and what it saves against its baseline.
func lighting(r rates) board {
	const meter = bySite + isCurrent + ` AND "device" =~ /^$device$/ AND "kind" = 'lighting_meter'`
	const within = `"community" =~ /^$community$/ AND "kind" = 'lighting_meter'`
	of := func(what, indicator string) []query {
		return []query{{derived, `SELECT last(` + what + `) FROM "indicator" WHERE ` + known + ` AND "indicator" = '` + indicator + `'`, r[indicator].Title.ZH}}
	}
	monthly := func(what, as string) query {
		return query{derived, `SELECT ` + what + ` FROM "indicator" WHERE ` + known + ` AND "indicator" = 'lighting_saving'`, as}
	}
	return board{
		name: "lighting", title: "公共照明节能", about: "用电与改造前基准对比、节电量与电费、各回路排名。",
		from: "now-7d", refresh: "1m", alerts: current + ` AND "kind" = 'lighting_meter'`,
		community: true,
		variables: []variable{
			someOf("site", "点位", within), someOf("device", "回路", within+` AND "site" =~ /^$site$/`),
			dashboard.NewTextBoxVariableBuilder("price").Label("电价（元/kWh）").DefaultValue(text("0.6")).
				Current(dashboard.VariableOption{Text: single("0.6"), Value: single("0.6")}),
		},
		rows: []row{
			{title: "本月节能（全社区，已结束的日子）", height: 5, panels: []panel{
				r.dial("lighting_saving", 5),
				{kind: value, width: 4, title: "节电量", about: "本月相对改造前基准少用的电量。", unit: kWh, since: "now/M", none: "数据不足", steps: []step{{color: red}, {0, green}},
					queries: of(`"value"`, "lighting_saved_kwh")},
				{kind: value, width: 4, title: "节省电费", about: "节电量乘以上方填写的电价；请按电费单填写。", unit: yuan, since: "now/M", none: "数据不足", steps: []step{{color: red}, {0, green}},
					queries: []query{{derived, `SELECT last("value") * $price FROM "indicator" WHERE ` + known + ` AND "indicator" = 'lighting_saved_kwh'`, "节省电费"}}},
				{kind: value, width: 4, title: "减排二氧化碳", about: "节电量乘以生态环境部公布的电网平均排放因子。", unit: kg, since: "now/M", none: "数据不足",
					queries: of(`"value"`, "lighting_carbon")},
				{kind: ranking, width: 7, title: "用电与基准", about: "本月用电量，与改造前灯具在同样条件下会用的电量。", unit: kWh, min: ptr(0), since: "now/M", none: "数据不足", names: map[string]word{"used": {"实际用电", orange}, "baseline": {"改造前基准", grey}},
					queries: []query{
						{derived, `SELECT "denominator" - "numerator" FROM "indicator" WHERE ` + here + ` AND "indicator" = 'lighting_saving' AND "known" = true`, "used"},
						{derived, `SELECT "denominator" FROM "indicator" WHERE ` + here + ` AND "indicator" = 'lighting_saving' AND "known" = true`, "baseline"},
					}},
			}},
			{title: "逐月（全社区）", height: 8, panels: []panel{
				{kind: bars, width: 12, title: "基准的去向：用电与节电", about: "每月柱高为改造前基准，分为实际用电和节约的部分。", unit: kWh, interval: "30d", since: "13M",
					names:   map[string]word{"used": {"实际用电", orange}, "saved": {"节电", green}},
					queries: []query{monthly(`"denominator" - "numerator"`, "used"), monthly(`"numerator"`, "saved")}},
				{kind: lines, width: 12, title: "逐月节电率", about: "近13个月的节电率；虚线为目标。", unit: ratio, decimals: 1, min: ptr(0), max: ptr(1), steps: r["lighting_saving"].steps(), limits: true, dots: true, interval: "1d", since: "13M",
					queries: []query{monthly(`"value"`, "节电率")}},
			}},
			{title: "用电走势（所选回路）", height: 8, panels: []panel{
				{kind: bars, width: 8, title: "每日用电量", about: "所选回路每天的用电量。", unit: kWh, decimals: 1, interval: "1d", since: "30d",
					queries: []query{{derived, `SELECT sum("energy_kwh_rise") FROM "device_day" WHERE ` + meter + daily + ` fill(none)`, "用电量"}}},
				{kind: lines, width: 8, title: "平均亮灯时间", about: "所选回路每天平均亮灯多久。", unit: hours, decimals: 1, min: ptr(0), max: ptr(24), dots: true, interval: "1d", since: "30d",
					queries: []query{{derived, `SELECT mean("operating_hours_rise") FROM "device_day" WHERE ` + meter + daily + ` fill(none)`, "亮灯时间"}}},
				{kind: lines, width: 8, title: "总功率", about: "所选回路的功率之和；白天应接近零。", unit: watts, min: ptr(0), interval: "10m",
					queries: []query{{readings, `SELECT sum("power") FROM (SELECT mean("power_w") AS "power" FROM "lighting_meter" WHERE ` + byDevice + ` GROUP BY time($__interval), "device" fill(none)) WHERE ` + during + ` GROUP BY time($__interval) fill(none)`, "功率"}}},
			}},
			{title: "回路排名", height: 12, panels: []panel{
				{kind: sheet, width: 24, title: "本月各回路", about: "按用电量从高到低。用电量、亮灯时间与亮灯时的平均功率；同类回路相差很大时，请检查灯具与感应开关。", unit: words, since: "now/M", none: notYet, sort: "用电量", desc: true,
					queries: []query{{derived, `SELECT sum("energy_kwh_rise") AS "used", sum("energy_kwh_rise") * $price AS "money", sum("operating_hours_rise") AS "lit", 1000 * sum("energy_kwh_rise") / sum("operating_hours_rise") AS "power" FROM "device_day" WHERE ` + meter + ` GROUP BY "site", "device"`, ""}},
					columns: []column{
						{name: "device", title: "回路", link: "/d/greentally-lighting?var-community=${community}&var-device=${__value.raw}"},
						{name: "site", title: "点位"},
						{name: "used", title: "用电量", unit: kWh, digits: 1, bar: true, steps: []step{{color: orange}}},
						{name: "money", title: "电费", unit: yuan, digits: 2},
						{name: "lit", title: "亮灯时间", unit: hours, digits: 1},
						{name: "power", title: "亮灯时平均功率", unit: watts},
					}},
			}},
		},
	}
}
