package pages

import "maps"

// word returns a word in the page's language, or its name if there is none.
func (v *view) word(name string) string {
	pair, ok := v.words[name]
	switch {
	case !ok:
		return name
	case v.Language == "en":
		return pair[1]
	}
	return pair[0]
}

// words are those of the pages, in zh and en.
func words() map[string][2]string {
	all := accountWords()
	maps.Copy(all, map[string][2]string{
		"title": {"绿色社区", "Green communities"}, "communities": {"社区", "Communities"}, "overview": {"今日", "Today"}, "alerts": {"告警", "Alerts"}, "indicators": {"指标", "Indicators"},
		"devices": {"设备", "Devices"}, "device": {"设备", "Device"}, "month": {"月份", "Month"}, "skip": {"跳到正文", "Skip to the content"}, "language": {"English", "中文"},
		"not_found": {"没有这个页面、社区或设备。", "There is no such page, community or device."}, "failed": {"出错了，请稍后再试；原因在程序日志中。", "Something failed. Try again; the program's log tells why."},
		"error": {"出错", "Error"}, "households": {"户", "households"}, "critical": {"紧急", "critical"}, "warning": {"警告", "warning"}, "info": {"提示", "info"}, "full_bins": {"个桶已满", "bins are full"},
		"all_well": {"一切正常", "All is well"}, "no_alerts": {"当前没有告警。", "No alert holds now."}, "since": {"开始于", "since"}, "rates": {"本月指标", "This month's rates"},
		"pass": {"达标", "pass"}, "fail": {"未达标", "fail"}, "insufficient_data": {"数据不足", "insufficient data"}, "no_target": {"无目标", "no target"},
		"value": {"数值", "value"}, "target": {"目标", "target"}, "completeness": {"完整度", "completeness"}, "verdict": {"结论", "verdict"}, "numerator": {"分子", "numerator"}, "denominator": {"分母", "denominator"},
		"reason": {"原因", "reason"}, "before": {"上月", "month before"}, "after": {"下月", "month after"}, "never": {"从未上报", "has never spoken"}, "silent": {"未按时上报", "silent"}, "latest": {"最近上报", "latest reading"},
		"site": {"点位", "site"}, "stream": {"类别", "stream"}, "recyclable": {"可回收物", "recyclable"}, "hazardous": {"有害垃圾", "hazardous"}, "food": {"厨余垃圾", "food"}, "residual": {"其他垃圾", "residual"},
		"schemes": {"标准", "Schemes"}, "points": {"得分", "points"}, "level": {"等级", "level"}, "input": {"输入", "input"}, "formula": {"算式", "formula"}, "contributes": {"贡献", "contributes"}, "rows": {"行", "rows"},
		"date": {"日期", "date"}, "record": {"记录", "record"}, "source": {"依据", "source"}, "days": {"各日", "days"}, "readings": {"读数", "readings"}, "time": {"时间", "time"}, "expected": {"应有", "expected"}, "suspect": {"可疑", "suspect"},
		"month_form": {"看另一个月", "Another month"}, "go": {"查看", "Show"}, "no_readings": {"这一天没有读数。", "There is no reading of this day."}, "no_days": {"这段时间没有设备日。", "There is no device-day in this time."},
		"log_in": {"登录", "Log in"}, "log_out": {"退出", "Log out"}, "name": {"用户名", "Name"}, "password": {"密码", "Password"},
		"wrong_login": {"用户名或密码不对。", "Name or password is wrong."}, "too_often": {"尝试次数过多，请稍候再试。", "Too many attempts. Wait a little and try again."},
		"inputs_of": {"由什么得来", "What it comes from"}, "less": {"扣减", "less"},
	})
	return all
}
