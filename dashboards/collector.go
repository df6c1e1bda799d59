package dashboards

// collector is how well greentally itself works, by what it shows at /metrics.
func collector() board {
	ask := func(text, series string) []query { return []query{{metrics, text, series}} }
	valid := []span{{ptr(1), ptr(1), word{"正常", green}}, {ptr(0), ptr(0), word{"有误", red}}}
	bad := []step{{color: green}, {1, red}}
	return board{
		name: "collector", title: "采集系统健康", about: "消息、日志、入库与计算是否正常。",
		from: "now-24h", refresh: "30s",
		rows: []row{
			{title: "现在", height: 4, panels: []panel{
				{kind: value, width: 4, title: "接收速率", about: "近5分钟平均每秒收到的 MQTT 消息数。", unit: perSec, decimals: 1,
					queries: ask(`sum(rate(greentally_messages_received_total[5m]))`, "接收")},
				{kind: value, width: 4, title: "入库滞后", about: "写库落后多久；零表示没有积压。", unit: seconds, steps: []step{{color: green}, {60, orange}, {600, red}},
					queries: ask(`max(greentally_follower_lag_seconds{follower="writer"})`, "滞后")},
				{kind: value, width: 4, title: "24小时无法使用的消息", about: "近24小时的死信数；用 greentally deadletter list 查看原因。", unit: notices, steps: bad, none: "0 条",
					queries: ask(`sum(increase(greentally_dead_letters_total[24h])) or vector(0)`, "死信")},
				{kind: value, width: 4, title: "24小时写入失败", about: "近24小时写日志和写库的失败次数，均会自动重试。", unit: times, steps: bad,
					queries: ask(`sum(increase(greentally_journal_append_errors_total[24h])) + sum(increase(greentally_store_write_errors_total[24h]))`, "失败")},
				{kind: value, width: 4, title: "设备登记文件", about: "社区、设备类型等文件是否有效；有误时沿用上一份。", unit: number, values: valid,
					queries: ask(`min(greentally_registry_valid)`, "登记文件")},
				{kind: value, width: 4, title: "告警规则文件", about: "告警规则文件是否有效；有误时沿用上一份。", unit: number, values: valid,
					queries: ask(`min(greentally_alert_rules_valid)`, "规则文件")},
			}},
			{title: "异常", height: 6, panels: []panel{
				{kind: lines, width: 12, title: "异常", about: "1 表示该异常正在发生；用 greentally status 查看详情。", unit: number, min: ptr(0), names: troubles,
					queries: ask(`max by (trouble) (greentally_trouble)`, "{{trouble}}")},
				{kind: value, width: 6, title: "24小时丢失的日志条目", about: "已确认、但在处理之前丢失的日志条目数，例如因磁盘损坏；详情见程序日志。", unit: entries, steps: bad,
					queries: ask(`sum(increase(greentally_journal_lost_entries_total[24h]))`, "丢失")},
				{kind: value, width: 6, title: "数据盘剩余空间", about: "数据目录所在磁盘的剩余空间。", unit: memory, steps: []step{{color: red}, {512 << 20, orange}, {3 << 30, green}},
					queries: ask(`min(greentally_data_free_bytes)`, "剩余")},
			}},
			{title: "消息", height: 8, panels: []panel{
				{kind: lines, width: 8, title: "消息与读数", about: "每秒收到的消息、写入日志的消息和入库的读数。", unit: perSec, decimals: 1, min: ptr(0),
					queries: []query{
						{metrics, `sum(rate(greentally_messages_received_total[$__rate_interval]))`, "收到的消息"},
						{metrics, `sum(rate(greentally_journal_messages_total[$__rate_interval]))`, "写入日志"},
						{metrics, `sum(rate(greentally_readings_stored_total[$__rate_interval]))`, "入库读数"},
					}},
				{kind: lines, width: 8, title: "距最近读数", about: "每类设备的最近一条读数是多久以前。", unit: seconds, min: ptr(0), names: kinds,
					queries: ask(`time() - max by (kind) (greentally_last_reading_timestamp_seconds)`, "{{kind}}")},
				{kind: bars, width: 8, title: "无法使用的消息", about: "每小时的死信数，按原因。", unit: notices, min: ptr(0), interval: "1h", names: reasons, none: "0 条",
					queries: ask(`sum by (reason) (increase(greentally_dead_letters_total[1h]))`, "{{reason}}")},
			}},
			{title: "积压与写入", height: 8, panels: []panel{
				{kind: lines, width: 8, title: "积压条目", about: "各环节尚未处理的日志条目数；持续上升说明处理不过来。", unit: entries, min: ptr(0), names: followers,
					queries: ask(`max by (follower) (greentally_follower_lag_entries)`, "{{follower}}")},
				{kind: lines, width: 8, title: "写入耗时（99%）", about: "99% 的写入在此时间内完成。", unit: seconds, decimals: 3, min: ptr(0),
					queries: []query{
						{metrics, `histogram_quantile(0.99, sum by (le) (rate(greentally_journal_append_seconds_bucket[$__rate_interval])))`, "写日志"},
						{metrics, `histogram_quantile(0.99, sum by (le) (rate(greentally_store_write_seconds_bucket[$__rate_interval])))`, "写库"},
						{metrics, `histogram_quantile(0.99, sum by (le) (rate(greentally_tally_seconds_bucket[$__rate_interval])))`, "统计"},
					}},
				{kind: lines, width: 8, title: "写入失败", about: "每小时失败的写入次数，均会自动重试。", unit: failures, min: ptr(0),
					queries: []query{
						{metrics, `sum(increase(greentally_journal_append_errors_total[1h]))`, "写日志"},
						{metrics, `sum(increase(greentally_store_write_errors_total[1h]))`, "写库"},
					}},
			}},
			{title: "计算与资源", height: 8, panels: []panel{
				{kind: lines, width: 8, title: "统计的设备日", about: "每小时统计的设备日数，含重算。", unit: pieces, min: ptr(0),
					queries: ask(`sum(increase(greentally_tallies_total[1h]))`, "设备日")},
				{kind: lines, width: 8, title: "内存", about: "进程占用的内存。", unit: memory, min: ptr(0),
					queries: ask(`max(process_resident_memory_bytes and on (job, instance) greentally_registry_valid)`, "内存")},
				{kind: lines, width: 8, title: "处理器", about: "进程占用的处理器，100% 为一个核。", unit: ratio, decimals: 1, min: ptr(0),
					queries: ask(`sum(rate(process_cpu_seconds_total[$__rate_interval]) and on (job, instance) greentally_registry_valid)`, "处理器")},
			}},
		},
	}
}

var (
	followers = map[string]word{"writer": {"写库", blue}, "watch": {"告警", orange}, "tally": {"统计", green}}
	troubles  = map[string]word{
		"journal_disk": {text: "磁盘已满"}, "journal_refuses": {text: "日志不收消息"}, "journal_lost_entries": {text: "日志条目丢失"}, "journal_damaged": {text: "日志文件损坏"},
		"entries_missing": {text: "记录缺失"}, "clock_jumped": {text: "时钟跳变"}, "store_damaged": {text: "数据库损坏"}, "store_refuses": {text: "数据库写入失败"}, "mqtt_listener": {text: "设备连接受阻"}, "mqtt_crowded": {text: "设备连接已满"}, "nats_away": {text: "NATS 连接中断"},
	}
	reasons = map[string]word{
		"unknown_topic": {text: "未知主题"}, "unknown_device": {text: "未知设备"}, "bad_payload": {text: "内容有误"}, "too_large": {text: "过大"},
		"absurd_time": {text: "时间离谱"}, "impossible_value": {text: "数值不可能"}, "refused_by_store": {text: "数据库拒收"},
	}
)
