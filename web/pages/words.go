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
		"forbidden": {"您可以查看，但无权更改。", "You may see this, and not change it."}, "administrators_only": {"只有管理员可以查看。", "Only administrators may see this."}, "error": {"出错", "Error"}, "not_done": {"未完成：", "Not done:"},
		"live": {"实时", "live"}, "offline": {"连接中断，正在重连…", "connection lost, trying again…"}, "home": {"首页", "Home"}, "back": {"返回", "Back"},

		"trouble_stops":        {"新数据暂时收不到或存不下，页面上的数字可能不是最新。请通知管理员。", "New data are not taken or not kept now, and figures may not be the latest. Tell an administrator."},
		"trouble_minor":        {"数据仍在接收。", "Data are taken still."},
		"trouble_journal_disk": {"磁盘已满。", "The disk is full."}, "trouble_journal_refuses": {"消息日志暂停接收。", "The journal takes no messages."}, "trouble_nats_away": {"与 NATS 的连接中断。", "The connection to NATS is lost."},
		"trouble_mqtt_listener": {"设备连接受阻。", "Devices cannot connect."}, "trouble_mqtt_crowded": {"设备连接数已满，新设备暂时连不上。", "There is no room for more devices to connect."}, "trouble_store_damaged": {"数据库文件已损坏。", "The store is damaged."}, "trouble_store_refuses": {"数据库暂时无法写入，新数据先留在消息日志中。", "The store cannot be written; new data wait in the journal."},
		"trouble_journal_damaged": {"启动时发现消息日志文件有损坏，已修复。", "Files of the journal were damaged at the start, and are mended."}, "trouble_journal_lost_entries": {"有已确认的消息丢失。", "Messages that were acknowledged are lost."}, "trouble_entries_missing": {"人工记录或申报步骤有缺失。", "Records or steps of applications are missing."}, "trouble_clock_jumped": {"服务器时钟发生跳变。", "The server's clock jumped."},

		"households": {"户", "households"}, "critical": {"紧急", "critical"}, "warning": {"警告", "warning"}, "info": {"提示", "info"}, "full_bins": {"个桶已满", "full"},
		"sites": {"点位", "Sites"}, "more_alerts": {"其余告警：", "More alerts:"}, "all_well": {"一切正常", "All is well"}, "fullest": {"最满的桶", "Fullest bins"}, "full": {"已满", "full"}, "filled": {"满溢度", "Filling level"},
		"site": {"点位", "Site"}, "stream": {"类别", "Stream"}, "recyclable": {"可回收物", "recyclable"}, "hazardous": {"有害垃圾", "hazardous"}, "food": {"厨余垃圾", "food"}, "residual": {"其他垃圾", "residual"},

		"no_alerts": {"当前没有告警。", "No alert holds now."}, "since": {"开始于", "since"}, "until": {"至", "Until"}, "ended": {"最近结束的告警", "Alerts that ended lately"}, "to_do": {"处置", "What to do"},
		"silences": {"静默", "Silences"}, "no_silences": {"没有静默。", "There is no silence."}, "silence": {"静默", "Silence"}, "acknowledge": {"我来处理", "I am on it"}, "end_silence": {"取消静默", "End the silence"},
		"silenced": {"已静默", "silenced"}, "acknowledged": {"处理中", "in hand"}, "for": {"时长", "For"}, "an_hour": {"1 小时", "1 hour"}, "four_hours": {"4 小时", "4 hours"}, "a_day": {"1 天", "1 day"}, "a_week": {"7 天", "7 days"},
		"why": {"原因", "Reason"}, "which": {"范围", "Which"}, "this_alert": {"此告警", "This alert"}, "this_device": {"此设备的全部告警", "All alerts of the device"}, "by": {"经办人", "By"}, "somebody": {"值班人员", "somebody on duty"},

		"rates": {"本月指标", "This month's rates"}, "pass": {"达标", "pass"}, "fail": {"未达标", "fail"}, "insufficient_data": {"数据不足", "insufficient data"}, "no_target": {"无目标", "no target"},
		"value": {"数值", "Value"}, "target": {"目标", "Target"}, "completeness": {"完整度", "Completeness"}, "verdict": {"结论", "Verdict"}, "numerator": {"分子", "Numerator"}, "denominator": {"分母", "Denominator"},
		"uncertainty": {"不确定度", "Uncertainty"}, "reason": {"说明", "Why"}, "before": {"上月", "month before"}, "after": {"下月", "month after"}, "trend": {"近 12 个月", "The last 12 months"},
		"schemes": {"标准", "Schemes"}, "points": {"得分", "Points"}, "level": {"等级", "Level"}, "formula": {"算式", "Formula"}, "contributes": {"贡献", "Contributes"}, "rows": {"行", "rows"},
		"times": {"乘以记录的", "times the records'"}, "mean_of": {"均值，权重", "mean, weighted by"}, "inputs_of": {"由什么得来", "What it comes from"}, "facts": {"依据数值", "From"}, "days_of": {"天", "days"}, "all_devices": {"全部设备", "All devices"}, "more_rows": {"行未显示；完整明细见报表。", "rows are not shown; reports have all of them."},
		"item": {"条目", "Item"}, "veto": {"否决项", "veto"}, "basic": {"基本条件", "basic condition"}, "evidence": {"依据", "Evidence"}, "assessment": {"评估", "Assessment"},

		"never": {"从未上报", "has never spoken"}, "silent": {"未按时上报", "silent"}, "latest": {"最近上报", "latest reading"}, "limit": {"限值", "limit"},
		"date": {"日期", "Date"}, "record": {"记录", "Record"}, "source": {"出处", "Source"}, "days": {"各日", "Days"}, "readings": {"读数", "Readings"}, "time": {"时间", "Time"}, "expected": {"应有", "Expected"}, "suspect": {"可疑", "Suspect"},
		"no_readings": {"这一天没有读数。", "There is no reading of this day."}, "no_days": {"这段时间没有设备日。", "There is no device-day in this time."}, "as_table": {"表格", "As a table"}, "day_before": {"前一天", "day before"}, "day_after": {"后一天", "day after"},
		"deposited": {"投入", "put in"}, "collected": {"清运", "taken out"}, "rise": {"当日增量", "rise of the day"}, "highest": {"当日最高", "highest of the day"}, "chart": {"图", "Chart"},

		"records": {"记录", "Records"}, "no_records": {"这个月没有记录。", "There is no record of this month."}, "new_record": {"新增记录", "Write down a record"}, "type": {"类型", "Type"}, "choose_type": {"记录什么？", "What is it about?"}, "next": {"下一步", "Next"},
		"at": {"时刻", "At"}, "end": {"结束时刻", "End"}, "photos": {"照片和文件", "Photos and documents"}, "photos_hint": {"JPEG、PNG、WebP 或 PDF，最多 12 个，每个不超过 20 MiB", "JPEG, PNG, WebP or PDF; at most 12 of 20 MiB each"}, "keep": {"保存", "Save"}, "optional": {"可不填", "optional"}, "choose": {"请选择", "choose"},
		"attested_by": {"填报人", "Attested by"}, "recorded": {"登记时间", "Handed in"}, "replaced": {"已被更正或撤回", "corrected or withdrawn"}, "withdraw": {"撤回", "Withdraw"}, "correct": {"更正", "Correct"}, "withdraws": {"此记录撤回", "This record withdraws"},
		"replaces": {"更正", "Corrects"}, "other_value": {"数值名称", "Name of the value"}, "number": {"数值", "Number"}, "sent_already": {"已上传", "Sent already"}, "values": {"数值", "Values"},

		"reports": {"报表", "Reports"}, "download": {"下载", "Download"}, "workbook": {"Excel 工作簿（公式可核对）", "Workbook with formulas (XLSX)"}, "pdf": {"评估报告（PDF）", "Assessment (PDF)"}, "csv": {"指标表（CSV）", "Indicators (CSV)"}, "json": {"数据（JSON）", "Data (JSON)"},
		"bundle": {"证据包（签名，可离线核验）", "Evidence bundle (signed, to be verified offline)"}, "kept": {"按月自动生成", "Made by schedule"}, "no_kept": {"还没有自动生成的报表。", "None was made by schedule yet."}, "made": {"生成时间", "Made"}, "key": {"签名公钥", "Public key of the signatures"},
		"applications": {"申报", "Applications"}, "no_applications": {"没有申报。", "There is no application."}, "begin": {"开始申报", "Begin an application"}, "scheme": {"标准", "Scheme"}, "stage": {"阶段", "Stage"}, "steps": {"过程", "Steps"}, "step": {"下一步", "Next step"},
		"on": {"日期", "On"}, "revisions": {"申报后的变化", "What has become another figure since"}, "no_revisions": {"没有变化。", "Nothing."}, "was": {"申报时", "Handed in"}, "is": {"现在", "Now"},
		"title_until": {"有效期至", "Title until"}, "title_level": {"命名级别", "Level of the title"}, "submit_hint": {"“已申报”会冻结本月数据并生成签名证据包。", "“Submitted” freezes the month's figures in a signed evidence bundle."},

		"discovered": {"接入设备", "New devices"}, "discovered_total": {"共有设备（台）：", "Devices in all:"}, "discovered_hint": {"这些设备正在上报，但不在社区文件中。", "These devices speak and are in no community's file."}, "no_discovered": {"没有未登记的设备。", "No unknown device speaks."}, "adopt": {"接入", "Adopt"}, "topic": {"主题", "Topic"}, "payload": {"内容", "Payload"},
		"last_seen": {"最近上报", "Last seen"}, "kind": {"种类", "Kind"}, "profile": {"协议", "Profile"}, "interval": {"上报间隔", "Interval"}, "device_id": {"编号", "ID"}, "device_name": {"名称", "Name"},
		"deadletters": {"死信", "Dead letters"}, "deadletters_hint": {"未能使用的报文及原因。排除原因后可重放。", "Messages that could not be used, and why. Replay them after the cause is mended."}, "no_deadletters": {"没有死信。", "There is no dead letter."}, "replay": {"重放", "Replay"}, "delete": {"删除", "Delete"}, "later": {"后面的", "Later ones"},
		"received": {"收到时间", "Received"},

		"administration": {"管理", "Administration"}, "users": {"用户", "Users"}, "tokens": {"令牌", "Tokens"}, "audit": {"审计日志", "Audit log"},
		"logs_in_by": {"登录方式", "Logs in by"}, "user_language": {"语言", "Language"}, "any_language": {"未指定", "none chosen"}, "disabled": {"已停用", "disabled"}, "disable": {"停用：不能登录，已有的登录立即退出", "Disabled: cannot log in, and is logged out at once"},
		"no_users": {"还没有用户，所以本机上的任何人都是管理员。第一位用户必须是管理员；此后都要登录。", "There is no user yet, so everybody on this machine is administrator. The first user must be one; from then on all log in."}, "new_user": {"新增用户", "Add a user"},
		"email": {"电子邮箱", "Email address"}, "email_hint": {"可不填；统一身份凭它认出用户", "optional; by which your organisation's login knows the user"}, "subject": {"统一身份标识（subject）", "Subject"}, "subject_hint": {"可不填；填了就不再看邮箱", "optional; takes the place of the address there"},
		"password_or_openid": {"至少 12 个字符；只用统一身份登录的可不填", "at least 12 characters; none for who logs in by your organisation alone"}, "no_way_in": {"请填写密码；用统一身份登录的，请填写电子邮箱或标识。", "Give a password, or an email address or subject for your organisation's login."},
		"password_length": {"至少 12 个字符", "at least 12 characters"}, "password_missing": {"请填写密码。", "Give a password."}, "no_role": {"请至少选择一个角色。", "Choose a role at least."}, "not_oneself": {"不能停用、删除自己，也不能去掉自己的管理员角色；请由另一位管理员操作。", "You cannot disable or remove yourself, nor give up being administrator; another administrator can."},
		"own_password": {"自己的密码请在“我的账户”中修改。", "Change your own password in your account."}, "this_is_you": {"这是您自己。", "This is you."}, "now_is": {"现在的内容", "As it is now"}, "stale_hint": {"下面仍是您填写的内容；再次保存将以它为准。", "Below stands what you filled in; saving it again puts that in its place."},
		"first_user_hint":    {"有了第一位用户，本机的命令行也要凭令牌使用；请先新增一个管理员令牌。", "With the first user, commands on this machine need a token, too; make one for an administrator before."},
		"screen_wrong_token": {"大屏令牌无效或已撤销；请管理员在“令牌”页新增一个。", "The screen's token is not valid, or was revoked; an administrator makes another on the page Tokens."},
		"did_what":           {"做过什么", "What this user did"}, "has_no_password": {"该用户现在没有密码。", "The user has no password now."}, "set_password": {"设置密码", "Set the password"}, "no_password_given": {"请填写新密码。", "Give the new password."},
		"set_password_hint": {"至少 12 个字符，几个词连起来就很好；设置后该用户在各处的登录都会退出", "at least 12 characters; a few words do. Afterwards the user is logged out everywhere"}, "remove_user": {"删除用户", "Remove the user"}, "remove_hint": {"该用户立即退出，不能再登录。做过的事仍在审计日志中。", "The user is logged out at once and cannot log in again. What the user did stays in the audit log."},
		"done_user_added": {"用户已新增。", "The user is added."}, "done_user_changed": {"已保存。", "Saved."}, "done_password_set": {"密码已设置。", "The password is set."}, "done_user_removed": {"用户已删除。", "The user is removed."}, "done_token_revoked": {"令牌已撤销。", "The token is revoked."},
		"tokens_hint": {"程序和大屏凭令牌进入，不用登录。", "By a token a program or a big screen comes in without a login."}, "token": {"令牌", "Token"}, "token_name": {"名称", "Name"}, "token_made": {"令牌已生成", "The token is made"}, "shown_once": {"只在此处显示这一次，请立即保存到安全的地方。", "It is shown here this once. Keep it in a safe place now."},
		"screen_address": {"大屏浏览器的起始地址", "Address that the screen's browser begins with"}, "last_used": {"最近使用", "Last used"}, "never_used": {"未使用", "never"}, "revoke": {"撤销", "Revoke"}, "no_tokens": {"没有令牌。", "There is no token."}, "new_token": {"新增令牌", "Make a token"},
		"token_communities_hint": {"管理员和监控不选，大屏选一个", "none for administrators and monitors, one for a screen"}, "role": {"角色", "Role"}, "who": {"用户或令牌", "Who"}, "community": {"社区", "Community"}, "all_communities": {"全部社区", "all communities"}, "look": {"查看", "Show"}, "what": {"操作", "What"},
		"result": {"结果", "Result"}, "result_done": {"完成", "done"}, "result_refused": {"被拒绝", "refused"}, "result_failed": {"失败", "failed"}, "address": {"地址", "Address"}, "older": {"更早的", "Older ones"}, "no_entries": {"没有这样的记录。", "There is no such entry."},
		"detail_id": {"编号", "id"}, "detail_from": {"自", "from"}, "detail_device": {"设备", "device"}, "detail_month": {"月份", "month"}, "detail_record": {"记录", "record"}, "detail_silence": {"静默", "silence"}, "detail_rule": {"规则", "rule"}, "detail_indicator": {"指标", "indicator"},
		"detail_scheme": {"标准", "scheme"}, "detail_stage": {"阶段", "stage"}, "detail_sha256": {"SHA-256", "SHA-256"}, "detail_check": {"只检查", "check only"}, "detail_check_true": {"是", "yes"}, "detail_check_false": {"否", "no"},
		"detail_grants": {"授权", "grants"}, "detail_disabled": {"停用", "disabled"}, "detail_disabled_true": {"是", "yes"}, "detail_left_out_before": {"此前未逐条列出", "left out before"}, "detail_by": {"方式", "by"}, "detail_by_password": {"密码", "password"}, "detail_by_old_password": {"原密码", "old password"}, "detail_by_openid": {"统一身份", "OpenID"}, "detail_by_another_password": {"新密码", "another password"},
		"detail_why": {"原因", "why"}, "detail_why_wrong": {"用户名或密码不对", "wrong name or password"}, "detail_why_too_often": {"尝试过多", "too often"}, "detail_why_not_finished": {"没有完成", "not finished"}, "detail_why_error": {"出错", "error"},
		"did_login": {"登录", "log in"}, "did_logout": {"退出", "log out"}, "did_users": {"新增用户", "add a user"}, "did_users_id": {"修改用户", "change a user"}, "did_users_id_password": {"设置用户的密码", "set a user's password"}, "did_users_id_remove": {"删除用户", "remove a user"},
		"did_tokens": {"新增令牌", "make a token"}, "did_tokens_id_revoke": {"撤销令牌", "revoke a token"}, "did_account_password": {"修改自己的密码", "change the own password"}, "did_account_language": {"选择语言", "choose the language"},
		"did_records": {"登记记录", "write a record down"}, "did_records_id_withdraw": {"撤回记录", "withdraw a record"}, "did_attachments": {"上传文件", "hand a file in"}, "did_silences": {"静默告警", "silence alerts"}, "did_silences_id_end": {"取消静默", "end a silence"},
		"did_applications": {"开始申报", "begin an application"}, "did_applications_id_steps": {"登记申报的一步", "take a step of an application"}, "did_devices": {"接入设备", "adopt a device"}, "did_discovered": {"接入设备", "adopt a device"},
		"did_journal_replay": {"将消息日志重新入库", "write the journal again"}, "did_deadletters_id_replay": {"重放死信", "replay a dead letter"}, "did_deadletters_id_delete": {"删除死信", "delete a dead letter"},

		"log_in": {"登录", "Log in"}, "log_out": {"退出", "Log out"}, "name": {"用户名", "Name"}, "password": {"密码", "Password"},
		"wrong_login": {"用户名或密码不对。", "Name or password is wrong."}, "too_often": {"尝试次数过多，请稍候再试。", "Too many attempts. Wait a little and try again."},

		"no_reason": {"请填写原因和经办人。", "Give the reason, and say who you are."}, "no_time": {"时长无效。", "This is no length of time."}, "no_date": {"不是日期", "is not a date"}, "no_clock": {"不是时刻", "is not a time"}, "no_number": {"不是数", "is not a number"}, "no_month": {"月份无效。", "This is no month."},
		"bad_form": {"表单没有完整到达，请重试。", "The form did not arrive as a whole. Try again."}, "file_too_large": {"文件超过 20 MiB", "the file has more than 20 MiB"}, "too_many_files": {"最多 12 个文件。", "There can be 12 files at most."},
		"done_silenced": {"已静默。", "Silenced."}, "done_acknowledged": {"已登记：处理中，不再重复提醒。", "You are on it; nobody is reminded any more."}, "done_unsilenced": {"静默已取消。", "The silence has ended."}, "done_recorded": {"记录已保存。", "The record is kept."}, "done_withdrawn": {"记录已撤回。", "The record is withdrawn."},
		"done_begun": {"申报已开始。", "The application has begun."}, "done_stepped": {"已登记。", "The step is taken."}, "done_adopted": {"设备已接入。", "The device is adopted."}, "done_replayed": {"已重放。", "Replayed."}, "done_deleted": {"已删除。", "Deleted."},

		"screen": {"大屏", "Big screen"}, "this_month": {"本月", "this month"}, "screen_goal": {"目标", "goal"}, "screen_saved": {"楼道和电梯照明节电", "saved by LED lights in corridors and lifts"},
		"screen_hours": {"够一台 1 千瓦的空调运行", "enough to run a 1 kW air conditioner for"}, "hours": {"小时", "hours"}, "screen_carbon": {"少排放二氧化碳", "of carbon dioxide spared"}, "screen_batteries": {"废电池没有进垃圾桶", "of used batteries kept out of the bin"},
		"screen_cells": {"约合", "that is about"}, "cells": {"节 5 号电池", "AA cells"}, "screen_bins": {"身边的垃圾桶", "The bins near you"}, "recyclables_by_day": {"每日可回收物", "Recyclables by day"}, "two_weeks": {"近两周，大家分出了可回收物", "sorted out by all of us in two weeks"},
		"thanks": {"感谢每一户居民的参与！", "Thank you, every household!"}, "thanks_more": {"户家庭，一起让社区更绿。", "households make this place greener."}, "screen_empty": {"请投放到空桶", "Please use another bin"},
	})
	return all
}
