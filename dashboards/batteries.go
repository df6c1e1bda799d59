package dashboards

// batteries is the boxes for used batteries at the gates: how much is in them, and whether
// they get warm.
func batteries(r rates) board {
	const box = byDevice + isCurrent + ` AND "kind" = 'battery_box'`
	const within = `"community" =~ /^$community$/ AND "kind" = 'battery_box'`
	warm := []step{{color: green}, {40, orange}, {60, red}} // as the rules of alerts
	return board{
		name: "batteries", title: "废电池回收箱", about: "存量、回收量与温度安全。",
		from: "now-7d", refresh: "1m", alerts: current + ` AND "kind" = 'battery_box'`,
		community: true,
		variables: []variable{someOf("site", "点位", within), someOf("device", "设备", within+` AND "site" =~ /^$site$/`)},
		rows: []row{
			{title: "现在", height: 5, panels: []panel{
				{kind: value, width: 5, title: "现有存量", about: "所选回收箱里现有的废电池重量。", unit: kg, decimals: 1, since: "3h",
					queries: []query{{readings, `SELECT sum("mass") FROM (SELECT last("mass_kg") AS "mass" FROM "battery_box" WHERE ` + byDevice + ` GROUP BY "device")`, "存量"}}},
				{kind: value, width: 5, title: "本月回收量", about: "本月投入的废电池重量，含今天。", unit: kg, decimals: 1, values: []span{{ptr(-0.05), ptr(0.05), word{text: "0.0 kg"}}}, since: "now/M", none: "0 kg",
					queries: []query{{derived, `SELECT sum("mass_kg_deposited") FROM "device_day" WHERE ` + box, "回收量"}}},
				{kind: value, width: 5, title: "本月户均回收量", about: "本月已结束各天的回收量除以户数，全社区。", unit: grams, decimals: 2, since: "now/M", none: "数据不足", values: []span{{ptr(-0.005), ptr(0.005), word{text: "0.00 g/户"}}},
					queries: []query{{derived, `SELECT last("value") FROM "indicator" WHERE ` + known + ` AND "indicator" = 'batteries_per_household'`, "户均"}}},
				{kind: dial, width: 4, title: "最高温度", about: "所选回收箱当前的最高温度；40 °C 起须留意，60 °C 立即处置。", unit: celsius, decimals: 1, min: ptr(0), max: ptr(80), steps: warm, since: "3h",
					queries: []query{{readings, `SELECT max("temperature") FROM (SELECT last("temperature_celsius") AS "temperature" FROM "battery_box" WHERE ` + byDevice + ` GROUP BY "device")`, "温度"}}},
				{kind: ranking, width: 5, title: "各箱满溢度", about: "每个回收箱的当前满溢度。", unit: ratio, min: ptr(0), max: ptr(1), steps: fill, since: "3h",
					queries: []query{{readings, `SELECT last("fill_ratio") FROM "battery_box" WHERE ` + byDevice + ` GROUP BY "device"`, "$tag_device"}}},
			}},
			{title: "走势", height: 8, panels: []panel{
				{kind: lines, width: 12, title: "箱内重量", about: "每个回收箱的重量；下降表示取走。", unit: kg, decimals: 1, min: ptr(0), interval: "10m",
					queries: []query{{readings, `SELECT mean("mass_kg") FROM "battery_box" WHERE ` + byDevice + ` GROUP BY time($__interval), "device" fill(none)`, "$tag_device"}}},
				{kind: lines, width: 12, title: "箱内温度", about: "每个回收箱的最高温度；虚线为 40 °C 和 60 °C。", unit: celsius, decimals: 1, steps: []step{{color: "transparent"}, {40, orange}, {60, red}}, limits: true, interval: "10m",
					queries: []query{{readings, `SELECT max("temperature_celsius") FROM "battery_box" WHERE ` + byDevice + ` GROUP BY time($__interval), "device" fill(none)`, "$tag_device"}}},
				{kind: bars, width: 12, title: "每日回收量", about: "每天投入的废电池重量，按回收箱。", unit: kg, decimals: 2, interval: "1d", since: "30d",
					queries: []query{{derived, `SELECT sum("mass_kg_deposited") FROM "device_day" WHERE ` + box + daily + `, "device" fill(none)`, "$tag_device"}}},
				{kind: bars, width: 12, title: "每日取走量", about: "每天从回收箱取走的重量；取走须有移交记录。", unit: kg, decimals: 2, interval: "1d", since: "30d",
					queries: []query{{derived, `SELECT sum("mass_kg_collected") FROM "device_day" WHERE ` + box + daily + `, "device" fill(none)`, "$tag_device"}}},
			}},
			{title: "设备明细与逐月回收", height: 8, panels: []panel{
				{kind: sheet, width: 14, title: "设备明细", about: "每个回收箱的最新读数。", unit: words, since: "24h", sort: "满溢度", desc: true,
					queries: []query{{readings, `SELECT last("fill_ratio") AS "fill", last("mass_kg") AS "mass", last("temperature_celsius") AS "temperature", last("battery_ratio") AS "battery" FROM "battery_box" WHERE ` + byDevice + ` GROUP BY "site", "device"`, ""}},
					columns: []column{
						{name: "device", title: "设备"},
						{name: "site", title: "点位"},
						{name: "fill", title: "满溢度", unit: ratio, bar: true, max: 1, steps: fill},
						{name: "mass", title: "重量", unit: kg, digits: 1},
						{name: "temperature", title: "温度", unit: celsius, digits: 1, steps: warm},
						{name: "battery", title: "电量", unit: ratio, steps: power},
					}},
				{kind: bars, width: 10, title: r["batteries_per_household"].Title.ZH + "（逐月）", about: "近13个月；本月只计已结束的日子。", unit: grams, decimals: 2, interval: "30d", since: "13M",
					queries: []query{{derived, `SELECT "value" FROM "indicator" WHERE ` + known + ` AND "indicator" = 'batteries_per_household'`, r["batteries_per_household"].Title.ZH}}},
			}},
		},
	}
}
