package dashboards

// bins is the sorting bins: how full they are, when they will be, and when they are emptied.
func bins() board {
	const bin = byStream + isCurrent + ` AND "kind" = 'sorting_bin'`
	const within = `"community" =~ /^$community$/ AND "kind" = 'sorting_bin'`
	return board{
		name: "bins", title: "分类垃圾桶", about: "各点位满溢度、预计装满时间、清运与投放。",
		from: "now-3d", refresh: "1m", alerts: current + ` AND "kind" = 'sorting_bin'`,
		community: true,
		variables: []variable{
			someOf("site", "点位", within),
			someOf("stream", "类别", within),
			someOf("device", "设备", within+` AND "site" =~ /^$site$/ AND "stream" =~ /^$stream$/`),
		},
		rows: []row{
			{title: "现在", height: 4, panels: []panel{
				{kind: value, width: 4, title: "满溢垃圾桶", about: "当前满溢度达到 90% 的垃圾桶数。", unit: pieces, since: "3h", steps: []step{{color: green}, {1, red}},
					queries: []query{{readings, overflowing(byStream), "满溢"}}},
				{kind: value, width: 4, title: "最满的桶", about: "当前最高的满溢度。", unit: ratio, since: "3h", steps: fill,
					queries: []query{{readings, `SELECT max("fill") FROM (SELECT last("fill_ratio") AS "fill" FROM "sorting_bin" WHERE ` + byStream + ` GROUP BY "device")`, "满溢度"}}},
				{kind: value, width: 4, title: "今日清运次数", about: "今天零点以来的清运次数。", unit: times, since: "now/d", none: "0 次",
					queries: []query{{derived, `SELECT sum("mass_kg_collections") FROM "device_day" WHERE ` + bin, "清运"}}},
				{kind: value, width: 4, title: "今日满溢时长", about: "今天零点以来各桶处于满溢状态的时间之和。", unit: minutes, since: "now/d", none: "0 分钟", steps: []step{{color: green}, {30, orange}, {120, red}},
					queries: []query{{derived, `SELECT 60 * sum("fill_ratio_above_hours") FROM "device_day" WHERE ` + bin, "满溢时长"}}},
				{kind: value, width: 4, title: "今日投放次数", about: "今天零点以来的开盖次数。", unit: times, since: "now/d", none: "0 次",
					queries: []query{{derived, `SELECT sum("lid_openings_rise") FROM "device_day" WHERE ` + bin, "开盖"}}},
				{kind: value, width: 4, title: "最低电量", about: "所选设备中最低的电池电量；低于 20% 请更换电池。", unit: ratio, since: "24h", steps: power,
					queries: []query{{readings, `SELECT min("battery") FROM (SELECT last("battery_ratio") AS "battery" FROM "sorting_bin" WHERE ` + byStream + ` GROUP BY "device")`, "电量"}}},
			}},
			{title: "满溢与清运", height: 11, panels: []panel{
				{kind: ranking, width: 8, title: "各点位满溢度", about: "每个点位最满的桶的当前满溢度。", unit: ratio, min: ptr(0), max: ptr(1), steps: fill, since: "3h",
					queries: []query{{readings, `SELECT max("fill") FROM (SELECT last("fill_ratio") AS "fill" FROM "sorting_bin" WHERE ` + byStream + ` GROUP BY "site", "device") WHERE ` + during + ` GROUP BY "site"`, "$tag_site"}}},
				{kind: sheet, width: 16, title: "预计装满时间", about: "按近24小时的上升速度估算到 90% 还需多久，最急的在上。清运会让满溢度回落，之后重新估算。", unit: words, since: "24h", sort: "预计装满",
					queries: []query{{readings, `SELECT last("fill") AS "fill", sum("rise") AS "speed", (0.9 - last("fill")) / (sum("rise") / 24 + 0.0001) AS "left" FROM (SELECT last("fill_ratio") AS "fill", non_negative_difference(last("fill_ratio")) AS "rise" FROM "sorting_bin" WHERE ` + byStream + ` GROUP BY time(1h), "site", "stream", "device" fill(none)) WHERE ` + during + ` GROUP BY "site", "stream", "device"`, ""}},
					columns: []column{
						{name: "device", title: "设备", link: "/d/greentally-bins?var-community=${community}&var-device=${__value.raw}"},
						{name: "site", title: "点位"},
						{name: "stream", title: "类别", names: streams},
						{name: "fill", title: "满溢度", unit: ratio, bar: true, max: 1, steps: fill},
						{name: "speed", title: "近24小时累计上升", unit: ratio},
						{name: "left", title: "预计装满", unit: hours, digits: 1, steps: []step{{color: red}, {3, orange}, {12, green}},
							spans: []span{{nil, ptr(0), word{"已满", red}}, {ptr(72), nil, word{"三天以上", green}}}},
					}},
			}},
			{title: "走势", height: 8, panels: []panel{
				{kind: lines, width: 12, title: "各类别平均满溢度", about: "所选垃圾桶满溢度的平均值，按类别。", unit: ratio, min: ptr(0), max: ptr(1), names: streams, interval: "10m",
					queries: []query{{readings, `SELECT mean("fill_ratio") FROM "sorting_bin" WHERE ` + byStream + ` GROUP BY time($__interval), "stream" fill(none)`, "$tag_stream"}}},
				{kind: bars, width: 12, title: "每日投放量", about: "每天投入的重量，按类别。", unit: kg, names: streams, interval: "1d", since: "30d",
					queries: []query{{derived, `SELECT sum("mass_kg_deposited") FROM "device_day" WHERE ` + bin + daily + `, "stream" fill(none)`, "$tag_stream"}}},
				{kind: bars, width: 12, title: "每日清运次数", about: "每天的清运次数，按类别。", unit: times, names: streams, interval: "1d", since: "30d",
					queries: []query{{derived, `SELECT sum("mass_kg_collections") FROM "device_day" WHERE ` + bin + daily + `, "stream" fill(none)`, "$tag_stream"}}},
				{kind: bars, width: 12, title: "每日满溢时长", about: "每天各桶满溢分钟数之和，按类别。", unit: minutes, names: streams, interval: "1d", since: "30d",
					queries: []query{{derived, `SELECT 60 * sum("fill_ratio_above_hours") FROM "device_day" WHERE ` + bin + daily + `, "stream" fill(none)`, "$tag_stream"}}},
			}},
			{title: "投放规律", height: 10, panels: []panel{
				{kind: heat, width: 16, title: "投放热力图", about: "每小时的开盖次数，每行一个点位；颜色越深，投放越集中。", unit: times, interval: "1h",
					queries: []query{{readings, `SELECT sum("drops") FROM (SELECT non_negative_difference(last("lid_openings")) AS "drops" FROM "sorting_bin" WHERE ` + byStream + ` GROUP BY time(1h), "site", "device" fill(none)) WHERE ` + during + ` GROUP BY time(1h), "site" fill(none)`, "$tag_site"}}},
				{kind: ranking, width: 8, title: "各点位近7天满溢时长", about: "近7天各点位满溢分钟数之和。", unit: minutes, min: ptr(0), steps: []step{{color: green}, {60, orange}, {360, red}}, since: "7d",
					queries: []query{{derived, `SELECT 60 * sum("fill_ratio_above_hours") FROM "device_day" WHERE ` + bin + ` GROUP BY "site"`, "$tag_site"}}},
			}},
			{title: "设备明细（可在上方选择设备）", height: 9, panels: []panel{
				{kind: sheet, width: 24, title: "设备明细", about: "每个垃圾桶的最新读数；点设备名只看该设备。", unit: words, since: "24h", sort: "满溢度", desc: true,
					queries: []query{{readings, `SELECT last("fill_ratio") AS "fill", last("mass_kg") AS "mass", last("temperature_celsius") AS "temperature", last("battery_ratio") AS "battery" FROM "sorting_bin" WHERE ` + byStream + ` GROUP BY "site", "stream", "device"`, ""}},
					columns: []column{
						{name: "device", title: "设备", link: "/d/greentally-bins?var-community=${community}&var-device=${__value.raw}"},
						{name: "site", title: "点位"},
						{name: "stream", title: "类别", names: streams},
						{name: "fill", title: "满溢度", unit: ratio, bar: true, max: 1, steps: fill},
						{name: "mass", title: "重量", unit: kg, digits: 1},
						{name: "temperature", title: "温度", unit: celsius, digits: 1, steps: []step{{color: "text"}, {50, orange}, {70, red}}},
						{name: "battery", title: "电量", unit: ratio, steps: power},
					}},
				{kind: lines, width: 12, title: "单桶满溢度", about: "每个桶一条曲线；选择一个或几个设备后更清楚。", unit: ratio, min: ptr(0), max: ptr(1), steps: []step{{color: "transparent"}, {0.9, red}}, limits: true, interval: "10m",
					queries: []query{{readings, `SELECT mean("fill_ratio") FROM "sorting_bin" WHERE ` + byStream + ` GROUP BY time($__interval), "device" fill(none)`, "$tag_device"}}},
				{kind: lines, width: 12, title: "单桶重量", about: "每个桶一条曲线；下降表示清运。", unit: kg, decimals: 1, min: ptr(0), interval: "10m",
					queries: []query{{readings, `SELECT mean("mass_kg") FROM "sorting_bin" WHERE ` + byStream + ` GROUP BY time($__interval), "device" fill(none)`, "$tag_device"}}},
			}},
		},
	}
}

// fill is how full is too full, power how little is too little of a battery.
var (
	fill  = []step{{color: green}, {0.8, orange}, {0.9, red}}
	power = []step{{color: red}, {0.2, orange}, {0.4, green}}
)
