package report

import (
	"strings"

	"greentally"
)

// pdfWords are the words of the PDF, in two languages; names in braces are put in.
func pdfWords() map[string]greentally.Text {
	return map[string]greentally.Text{
		"title":       {ZH: "绿色社区创建月度评估报告", EN: "Monthly Green Community Assessment"},
		"month":       {ZH: "{year}年{month}月", EN: "{month} {year}"},
		"day":         {ZH: "{year}年{month}月{day}日", EN: "{day} {month} {year}"},
		"made_by":     {ZH: "由 greentally {version} 生成", EN: "Made by greentally {version}"},
		"page":        {ZH: "第 {n} / {of} 页", EN: "page {n} / {of}"},
		"running":     {ZH: "本月未结束，截至{day}", EN: "The month is not over: up to {day}"},
		"no_day":      {ZH: "本月尚无一天结束，没有可计入的数据", EN: "No day of the month is over yet, so nothing counts"},
		"contents":    {ZH: "目录", EN: "Contents"},
		"comma":       {ZH: "、", EN: ", "},
		"semicolon":   {ZH: "；", EN: "; "},
		"colon":       {ZH: "：", EN: ": "},
		"none":        {ZH: "—", EN: "—"},
		"yes":         {ZH: "是", EN: "yes"},
		"no":          {ZH: "否", EN: "no"},
		"more":        {ZH: "另有 {n} 条未列出，见工作簿。", EN: "{n} more are in the workbook."},
		"fact_month":  {ZH: "评估月份", EN: "Month"},
		"fact_until":  {ZH: "数据截至", EN: "Data up to"},
		"fact_made":   {ZH: "生成时间", EN: "Made at"},
		"fact_system": {ZH: "生成程序", EN: "Program"},
		"fact_place":  {ZH: "社区规模", EN: "Community"},
		"fact_device": {ZH: "在册设备", EN: "Devices"},
		"fact_for":    {ZH: "申报事项", EN: "Application"},
		"fact_stage":  {ZH: "申报进度", EN: "Stage"},
		"fact_title":  {ZH: "命名", EN: "Title"},
		"fact_frozen": {ZH: "数值冻结", EN: "Figures frozen"},
		"households":  {ZH: "{n} 户", EN: "{n} households"},
		"population":  {ZH: "{n} 人", EN: "{n} residents"},
		"area":        {ZH: "{n} 平方米", EN: "{n} m²"},
		"devices":     {ZH: "{kind} {n} 台", EN: "{kind}: {n}"},
		"frozen":      {ZH: "{at}；证据包 SHA-256 {hash}", EN: "{at}; SHA-256 of the evidence bundle {hash}"},
		"named":       {ZH: "{level}，自{from}起", EN: "{level}, from {from}"},
		"until":       {ZH: "至{day}止", EN: "until {day}"},
		"unlimited":   {ZH: "无截止日", EN: "without an end"},
		"seal":        {ZH: "物业服务企业（盖章）", EN: "Property manager (seal)"},
		"sign":        {ZH: "负责人", EN: "Responsible person"},
		"signed_on":   {ZH: "日期", EN: "Date"},

		"pass": {ZH: "达标", EN: "pass"}, "fail": {ZH: "未达标", EN: "fail"}, "insufficient_data": {ZH: "数据不足", EN: "insufficient"}, "no_target": {ZH: "无目标", EN: "no target"},

		"recyclable": {ZH: "可回收物", EN: "recyclable"}, "hazardous": {ZH: "有害垃圾", EN: "hazardous"}, "food": {ZH: "厨余垃圾", EN: "food"}, "residual": {ZH: "其他垃圾", EN: "residual"},
		"critical": {ZH: "紧急", EN: "critical"}, "warning": {ZH: "警告", EN: "warning"}, "info": {ZH: "提示", EN: "info"},

		"summary":      {ZH: "摘要", EN: "Summary"},
		"verdicts":     {ZH: "指标结论", EN: "Verdicts of the indicators"},
		"verdicts_of":  {ZH: "共 {n} 项指标，其中 {without} 项没有任何依据（计入“数据不足”），见“缺口与待核事项”。", EN: "{n} indicators; {without} of them have no evidence at all (they count as insufficient), see Gaps."},
		"figures":      {ZH: "主要数值", EN: "The most telling figures"},
		"no_figures":   {ZH: "本月没有可列出的数值。", EN: "There is no figure to show for the month."},
		"target":       {ZH: "目标 {target}", EN: "target {target}"},
		"schemes":      {ZH: "各标准的评定", EN: "Assessments by scheme"},
		"no_schemes":   {ZH: "没有在本月施行的标准。", EN: "No scheme is in effect in the month."},
		"scheme":       {ZH: "标准", EN: "Scheme"},
		"points":       {ZH: "得分 / 满分", EN: "Points / of"},
		"points_short": {ZH: "得分", EN: "Points"},
		"level":        {ZH: "等级", EN: "Level"},
		"verdict":      {ZH: "结论", EN: "Verdict"},
		"cautions":     {ZH: "须知", EN: "Cautions"},
		"incomplete":   {ZH: "条目不全", EN: "items missing"},
		"unverified":   {ZH: "未全部核对原文", EN: "not all compared"},
		"cautions_are": {ZH: "条目不全：未收录原文的全部条目，因此不能判定为达标。未全部核对原文：引用前请核对原文。得分为区间时，下限为现有证据可确定的分，上限为缺失证据全部补齐后可能的分。",
			EN: "Items missing: not all items of the document are here, so it cannot be passed. Not all compared: not all of it was compared with the document; compare it before you rely on it. Of a range of points the first are certain by the evidence, the last possible if all that is missing was there."},

		"revisions": {ZH: "修正", EN: "Revisions"},
		"revised": {ZH: "申报后有数据更新：若现在重新计算，{n} 项与已冻结的数值不同。本报告所载的是申报时冻结的数值，它们继续有效；修正仅供查核，见第 {page} 页。",
			EN: "Data came after submission: computed now, {n} figures would be others. This report has the figures that were frozen when they were submitted, and those stand; the revisions are for checking, see page {page}."},
		"revised_are":  {ZH: "下表列出申报之后到达的数据会改变的数值。已冻结的数值不变，以“申报时”一栏为准。", EN: "What came after submission would change these figures. The frozen ones, in the column as submitted, stand."},
		"of_indicator": {ZH: "指标", EN: "indicator"}, "of_item": {ZH: "条目", EN: "item"}, "of_assessment": {ZH: "评定", EN: "assessment"},
		"what_value": {ZH: "数值", EN: "value"}, "what_verdict": {ZH: "结论", EN: "verdict"}, "what_at_least_points": {ZH: "确定得分", EN: "certain points"}, "what_at_most_points": {ZH: "可能得分", EN: "possible points"}, "what_numerator": {ZH: "分子", EN: "numerator"}, "what_denominator": {ZH: "分母", EN: "denominator"}, "what_completeness": {ZH: "完整度", EN: "completeness"}, "what_level": {ZH: "等级", EN: "level"},
		"revised_of": {ZH: "对象", EN: "Of"}, "revised_what": {ZH: "项目", EN: "What"}, "revised_old": {ZH: "申报时", EN: "As submitted"}, "revised_new": {ZH: "现在计算", EN: "Computed now"},

		"indicators":      {ZH: "指标", EN: "Indicators"},
		"indicators_are":  {ZH: "列出有依据的全部指标。比率以百分数表示，± 为扩展不确定度（k = 2）。完整度低于指标要求的下限时，不给出结论。", EN: "All indicators that have evidence. Ratios are in percent; ± is the expanded uncertainty (k = 2). Below an indicator's floor of completeness there is no verdict."},
		"no_indicators":   {ZH: "本月没有任何有依据的指标。", EN: "No indicator has evidence in the month."},
		"indicator":       {ZH: "指标", EN: "Indicator"},
		"value":           {ZH: "数值", EN: "Value"},
		"numerator":       {ZH: "分子", EN: "Numerator"},
		"denominator":     {ZH: "分母", EN: "Denominator"},
		"completeness":    {ZH: "完整度", EN: "Compl."},
		"estimated":       {ZH: "估算", EN: "Estim."},
		"targets":         {ZH: "目标", EN: "Target"},
		"marks_are":       {ZH: "* 公式或目标未与原文核对。† 仅供展示，不得用于申报。估算：质量中由满溢度估算、未经称重的部分。", EN: "* Formula or target were not compared with the document. † For display only, not to be claimed. Compl.: completeness. Estim.: the part of the mass that was estimated from filling levels, not weighed."},
		"factor":          {ZH: "采用 {factor} {year} 年数据 {value} {unit}。", EN: "With {factor} of {year}, {value} {unit}."},
		"no_assumptions":  {ZH: "本月没有给出不确定度的指标。", EN: "No indicator of the month states an uncertainty."},
		"charts":          {ZH: "图表", EN: "Charts"},
		"chart_targets":   {ZH: "指标与目标（{unit}）", EN: "Indicators and their targets ({unit})"},
		"chart_no_target": {ZH: "没有既有目标又有数值的指标。", EN: "No indicator has both a target and a value."},
		"chart_alone":     {ZH: "{title} {value}（目标 {target}）", EN: "{title} {value} (target {target})"},
		"chart_others":    {ZH: "单位不同、未画出的：{values}。", EN: "Not drawn, as their units are others: {values}."},
		"chart_at_most":   {ZH: "（不高于）", EN: " (at most)"},
		"measured":        {ZH: "实测", EN: "measured"},
		"target_word":     {ZH: "目标", EN: "target"},
		"targets_are":     {ZH: "深色为实测，浅色为目标；标有“不高于”的，越短越好。结论为“数据不足”的在名称后注明。", EN: "Dark is measured, light is the target; where it says at most, shorter is better. Insufficient data are named as such."},
		"chart_mass":      {ZH: "每日投放质量，按类别（kg）", EN: "Mass deposited each day, by stream (kg)"},
		"mass_are":        {ZH: "自下而上：{streams}。没有柱的日子没有称重数据。", EN: "From bottom to top: {streams}. Days without a bar have no weights."},
		"no_mass":         {ZH: "本月没有分类桶的称重数据。", EN: "There are no weights of sorting bins in the month."},
		"chart_energy":    {ZH: "每日照明用电量（kWh）", EN: "Lighting energy of each day (kWh)"},
		"energy_are":      {ZH: "{n} 台照明电表，本月共 {sum} kWh；按电表读数的上升量计算。", EN: "{n} lighting meters, {sum} kWh in the month, from the rise of their registers."},
		"no_energy":       {ZH: "本月没有照明电表数据。", EN: "There are no data of lighting meters in the month."},
		"chart_trend":     {ZH: "主要比率的逐月变化", EN: "The main rates, month by month"},
		"no_trend":        {ZH: "没有以前月份的数值可比。", EN: "There are no months before to compare with."},
		"trend_are":       {ZH: "各线以点的形状区分，与图例相同。没有点的月份没有数值。", EN: "Lines differ by the shape of their points, as in the legend. A month without a point has no value."},
		"stream":          {ZH: "类别", EN: "Stream"},
		"deposited":       {ZH: "投放", EN: "Deposited"},
		"collected":       {ZH: "清运", EN: "Collected"},
		"share":           {ZH: "占投放", EN: "Share"},
		"emptied":         {ZH: "清空次数", EN: "Times emptied"},
		"total":           {ZH: "合计", EN: "Total"},
		"bins":            {ZH: "桶数", EN: "Bins"},

		"assessments":  {ZH: "按标准评定", EN: "Assessments"},
		"source":       {ZH: "依据：{source}", EN: "Source: {source}"},
		"effective":    {ZH: "施行：{period}", EN: "In effect {period}"},
		"from":         {ZH: "自{day}起", EN: "from {day}"},
		"reason":       {ZH: "原因：{reason}", EN: "Because: {reason}"},
		"item":         {ZH: "条目", EN: "Item"},
		"reasons":      {ZH: "依据与原因", EN: "Reasons"},
		"part":         {ZH: "组成：{scheme}", EN: "Part: {scheme}"},
		"est_mass":     {ZH: "{share} 的质量为估算", EN: "{share} of the mass is estimated"},
		"caution":      {ZH: "注意", EN: "Caution"},
		"unverified_i": {ZH: "未全部与原文核对（未核对的条目标有 *），引用前请核对原文。", EN: "Not all of this was compared with the document (items that were not have a *). Compare it before you rely on it."},
		"incomplete_i": {ZH: "未收录原文的全部条目，因此不能判定为达标。", EN: "Not all items of the document are here, so it cannot be passed."},
		"steps":        {ZH: "申报经过", EN: "Steps of the application"},
		"on":           {ZH: "日期", EN: "Date"}, "step": {ZH: "步骤", EN: "Step"}, "by": {ZH: "经办人", EN: "By"}, "why": {ZH: "说明", EN: "Why"},

		"evidence":      {ZH: "证据", EN: "Evidence"},
		"records":       {ZH: "计入的记录", EN: "Records that count"},
		"records_are":   {ZH: "{n} 条记录计入本月的指标或条目；另有 {other} 条未计入（已被更正，或不属于本月）。", EN: "{n} records count for indicators or items of the month; {other} more do not (they were superseded, or are not of the month)."},
		"no_records":    {ZH: "没有计入本月的记录。", EN: "No record counts for the month."},
		"type":          {ZH: "类型", EN: "Type"},
		"says":          {ZH: "内容", EN: "What it says"},
		"attested":      {ZH: "提交人", EN: "By"},
		"record_note":   {ZH: "编号 {id}，{at} 登记", EN: "{id}, recorded {at}"},
		"attached":      {ZH: "附件：{files}", EN: "attachments: {files}"},
		"for_item":      {ZH: "用于 {scheme}“{item}”", EN: "for {item} of {scheme}"},
		"of_stream":     {ZH: "类别 {stream}", EN: "stream {stream}"},
		"of_device":     {ZH: "设备 {device}", EN: "device {device}"},
		"replaces":      {ZH: "更正 {id}", EN: "replaces {id}"},
		"devices_title": {ZH: "设备", EN: "Devices"},
		"no_devices":    {ZH: "没有在册设备，也没有设备日数据。", EN: "There are no devices and no device-days."},
		"kind":          {ZH: "种类", EN: "Kind"},
		"count":         {ZH: "台数", EN: "Devices"},
		"device_days":   {ZH: "设备日（实有 / 应有）", EN: "Device-days (there / expected)"},
		"readings":      {ZH: "读数", EN: "Readings"},
		"suspect":       {ZH: "其中存疑", EN: "Suspect"},
		"below":         {ZH: "低于 90%", EN: "Below 90%"},
		"devices_are":   {ZH: "低于 90%：完整度低于 90% 的台数。完整度：一日中有可信读数覆盖的时间所占的比例，取截至日之前各日的平均；没有数据的日子按 0 计。", EN: "Below 90%: devices whose completeness is. Completeness is the share of a day that readings without suspicion cover, on average over the days that count; a day without data is 0."},
		"alerts":        {ZH: "告警", EN: "Alerts"},
		"no_alerts":     {ZH: "本月没有告警。", EN: "There was no alert in the month."},
		"alerts_are":    {ZH: "本月共 {n} 次告警，其中 {open} 次在报告生成时仍未结束。", EN: "{n} alerts in the month, {open} of them still open when this was made."},
		"alert":         {ZH: "告警", EN: "Alert"},
		"severity":      {ZH: "级别", EN: "Severity"},
		"times":         {ZH: "次数", EN: "Times"},
		"of_devices":    {ZH: "涉及设备", EN: "Devices"},
		"open":          {ZH: "未结束", EN: "Open"},
		"median":        {ZH: "持续时间中位数", EN: "Median duration"},
		"hours":         {ZH: "{n} 小时", EN: "{n} h"},
		"minutes":       {ZH: "{n} 分钟", EN: "{n} min"},
		"gaps":          {ZH: "缺口与待核事项", EN: "Gaps and what needs review"},
		"without":       {ZH: "没有任何依据的指标", EN: "Indicators without any evidence"},
		"without_are":   {ZH: "以下 {n} 项没有任何设备、记录或告警可依据，因此没有数值，也没有结论。", EN: "For these {n} there is no device, record or alert to rest on; so there is no value and no verdict."},
		"no_gaps":       {ZH: "所有指标都有依据。", EN: "All indicators have evidence."},
		"needed":        {ZH: "缺少什么", EN: "What is missing"},
		"open_items":    {ZH: "证据不足的条目", EN: "Items whose evidence does not suffice"},
		"open_are":      {ZH: "原因见“按标准评定”。", EN: "The reasons are under Assessments."},
		"open_of":       {ZH: "不足 / 全部", EN: "Open / all"},
		"no_open":       {ZH: "没有证据不足的条目。", EN: "There are none."},
		"low_devices":   {ZH: "完整度低于 90% 的设备", EN: "Devices below 90% completeness"},
		"no_low":        {ZH: "没有完整度低于 90% 的设备。", EN: "No device is below 90%."},
		"device":        {ZH: "设备", EN: "Device"},
		"worst":         {ZH: "最差的日子", EN: "Worst days"},
		"faults":        {ZH: "需要人工复核的异常", EN: "Faults that need review"},
		"no_faults":     {ZH: "没有需要人工复核的异常。", EN: "There are none."},
		"faults_are":    {ZH: "以下读数无法解释，相应时段没有计入数值。", EN: "Nothing explains these readings; the time around them is not in the figures."},
		"other_faults":  {ZH: "其他异常已自动处理：{faults}。", EN: "Others were dealt with by rule: {faults}."},
		"time":          {ZH: "时间", EN: "Time"},
		"quantity":      {ZH: "量", EN: "Quantity"},
		"fault":         {ZH: "异常", EN: "Fault"},
		"from_to":       {ZH: "前 → 后", EN: "Before → after"},
		"conflict":      {ZH: "同一时刻读数冲突", EN: "conflict"}, "spike": {ZH: "尖峰", EN: "spike"}, "dip": {ZH: "骤降后恢复", EN: "dip"}, "wrap": {ZH: "表计过零", EN: "wrap"},
		"reset": {ZH: "表计复位", EN: "reset"}, "replaced": {ZH: "表计更换", EN: "meter replaced"}, "unexplained": {ZH: "无法解释的变化", EN: "unexplained"}, "needs_review": {ZH: "当日有一部分没有数值", EN: "a part of the day has no value"},

		"check": {ZH: "核对方法", EN: "How to check"},
		"check_about": {ZH: "本报告由 greentally {version} 根据 {made} 时的设备读数与记录自动生成，任何人都可以逐项核对。",
			EN: "greentally {version} made this report from the readings and records that were there at {made}. Anyone can check all of it."},
		"check_verdicts": {ZH: "结论的含义", EN: "What the verdicts mean"},
		"check_pass":     {ZH: "数值达到目标，且数据完整度不低于要求。", EN: "The value reaches the target, and the data are as complete as is asked."},
		"check_fail":     {ZH: "数值未达到目标，且数据完整度不低于要求。", EN: "The value misses the target, and the data are as complete as is asked."},
		"check_insufficient_data": {ZH: "数据不足以下结论：缺少输入，或完整度低于下限。缺数据从不视为达标。",
			EN: "The data do not suffice for a verdict: an input is missing, or completeness is below the floor. Missing data never pass."},
		"check_no_target": {ZH: "有数值，但没有可对照的目标。", EN: "There is a value, and nothing to hold it against."},
		"part_points":     {ZH: "部分得分", EN: "partial"},
		"check_part":      {ZH: "标准的条目：得到一部分分。", EN: "An item of a scheme: it has a part of its points."},
		"check_steps":     {ZH: "怎样核对一个数值", EN: "How to check a figure"},
		"check_1":         {ZH: "同时交付的工作簿（XLSX）列出每一项指标的公式，并逐行列出所用的设备日与记录；表格软件会自行算出同样的分子、分母与数值。", EN: "The workbook (XLSX) that comes with this has each indicator's formula with the device-days and records that it sums, row by row; a spreadsheet comes to the same numerator, denominator and value by itself."},
		"check_2":         {ZH: "证据包内有全部设备日、记录及其附件，列有每个文件的 SHA-256 并经签名；不用本程序也可离线核验，用 greentally verify 可重新计算。", EN: "The evidence bundle has all device-days, records and their attachments, with the SHA-256 of each file, signed. It is checked offline without this program, and recomputed by greentally verify."},
		"check_3":         {ZH: "设备日由读数按固定规则算出：相同的读数总是得到相同的设备日。质量与电量为精确的十进制数，各日之和等于全月。", EN: "A device-day follows from its readings by fixed rules: the same readings give the same device-day. Masses and energies are exact decimals, and the days sum to the month."},
		"check_4":         {ZH: "记录由经办人提交，只增不改；更正以新的记录替代旧的记录，两者都保留。本报告列出每条记录的编号；附件列出 SHA-256 的前 12 位。", EN: "Records are handed in by the persons named, and only ever added; a correction supersedes a record, and both are kept. Each record is here with its number, attachments with the first 12 digits of their SHA-256."},
		"check_unsure":    {ZH: "不确定度与前提", EN: "Uncertainties and assumptions"},
		"check_k":         {ZH: "± 为扩展不确定度，包含因子 k = 2，约 95 % 的置信水平。没有标 ± 的数值未给出不确定度，并不表示没有误差。", EN: "± is the expanded uncertainty with a coverage factor k = 2, some 95 % confidence. A value without ± states none; that does not mean it has no error."},
		"check_capture":   {ZH: "“可回收垃圾回收率”是可回收物的捕集率，不是“生活垃圾回收利用率”；两者分母不同，不可互换。", EN: "The recyclable capture rate is a share of the recyclables, not the recycling rate of all municipal waste; they have different denominators."},
		"check_missing":   {ZH: "□ 代表字库中没有的字符；复制文字时得到的是原来的字符。", EN: "□ stands for a character that the fonts do not have; copied text has the character itself."},
		"check_sources":   {ZH: "公式与目标的出处", EN: "Where formulas and targets are from"},
		"sources_are":     {ZH: "出处按程序所附的指标文件原样列出。", EN: "As the indicators' files say."},
		"source_of":       {ZH: "出处", EN: "Source"},
		"compared":        {ZH: "已核对", EN: "Compared"},
	}
}

// word returns a word, with values put in where it names them.
func (p *pdf) word(key string, namesAndValues ...string) string {
	word := p.words[key].In(p.language)
	pairs := make([]string, len(namesAndValues))
	copy(pairs, namesAndValues)
	for i := 0; i < len(pairs); i += 2 {
		pairs[i] = "{" + pairs[i] + "}"
	}
	return strings.NewReplacer(pairs...).Replace(word)
}

// unit returns an indicator's unit as it is said.
func (p *pdf) unit(unit string) string {
	switch zh := p.language == "zh"; {
	case unit == "ratio":
		return "%"
	case unit == "boxes" && zh:
		return "个"
	case unit == "lamps" && zh:
		return "盏"
	case unit == "h" && zh:
		return "小时"
	case unit == "g/household" && zh:
		return "g/户"
	case unit == "g/person" && zh:
		return "g/人"
	}
	return unit
}
