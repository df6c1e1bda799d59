package report

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"greentally"
)

// Reasons of indicators and items are English sentences with the names of types and items in
// them. The report says those that it knows in its language and with titles, and leaves the
// others as they are.

// phrase is a reason, and how it is said. In $1 and so on stands what its groups match: $types1
// are types of records, $items1 items, $known1 what an expression rests on.
type phrase struct {
	reason *regexp.Regexp
	said   greentally.Text
}

func phrases() []phrase {
	var all []phrase
	for _, p := range [][3]string{
		{`there is no record of type (.+) for (\S+) in (\S+)`, `$3 没有本条目的“$types1”记录`, `no record of it in $3: $types1`},
		{`there is no (\w+) of the stream (\w+) in (\S+)`, `$3 没有“$stream2”的“$types1”记录`, `no record of the stream $stream2 in $3: $types1`},
		{`there is no (\w+) in the (\d+) months to (\S+) that says it`, `截至 $3 的 $2 个月内没有可用的“$types1”记录`, `no record in the $2 months to $3: $types1`},
		{`there is no (\w+) in (\S+) that says it`, `$2 没有可用的“$types1”记录`, `no record in $2: $types1`},
		{`there was no alert (\w+) in (\S+)`, `$2 没有这种告警（$1）`},
		{`no device of kind (\w+) is meant by it`, `没有“$kind1”类的设备可计入`},
		{`no day of the month is over yet`, `本月尚无一天结束`},
		{`none of (\d+) devices has a device-day`, `$1 台设备都没有设备日数据`},
		{`nothing is meant by any of them`, `没有可计入的数据`},
		{`the denominator is 0`, `分母为 0`},
		{`it cannot be computed: (.+)`, `无法计算：$1`},
		{`completeness ([\d.]+) is below the ([\d.]+) of this scheme`, `完整度 $percent1，低于本标准要求的 $percent2`, `completeness $percent1 is below the $percent2 of this scheme`},
		{`completeness ([\d.]+) is below ([\d.]+)`, `完整度 $percent1，低于要求的 $percent2`, `completeness $percent1 is below $percent2`},
		{`([\d.]+) % of its mass was estimated from filling levels, and this scheme wants it weighed`, `$1% 的质量由满溢度估算，而本标准要求称重`},
		{`the data do not suffice`, `数据不足`},
		{`it could not be computed`, `无法计算`},
		{`there is no value for the month`, `本月没有数值`},
		{`the community's file does not say`, `社区档案中没有填写`},
		{`the evidence does not suffice for ([^;]+)`, `以下条目证据不足：$items1`, `the evidence does not suffice for $items1`},
		{`not all items of the document are in the scheme's file`, `未收录原文的全部条目`},
		{`the scheme has points and no levels`, `该标准只计分，不分等级`},
		{`none of the scheme's levels counts as pass`, `该标准没有表示达标的等级`},
		{`the points are not known exactly`, `得分尚不能确定`},
		{`the level is not known`, `等级尚不能确定`},
		{`the scheme is in effect (.+), so not in (\S+)`, `该标准在 $2 不施行`},
		{`not met by record (\S+)`, `记录 $1 认定未满足`},
		{`not met: ([^;]+)`, `未满足：$known1`, `not met: $known1`},
		{`record (\S+) ([^;]+); replace it`, `记录 $1 不能采用，须更正`},
		{`([\d.]+) points by record (\S+)`, `记录 $2 评定 $1 分`},
		{`−([\d.]+) by record (\S+)`, `扣 $1 分（记录 $2）`},
		{`−([\d.]+), because ([^;]+)`, `扣 $1 分（$known2）`, `−$1, because $known2`},
		{`([^;:]+) is no number`, `$1 不是数`},
		{`below all tiers`, `未达到任何一档`},
		{`([\d.]+) points`, `得 $1 分`},
	} {
		all = append(all, phrase{regexp.MustCompile("^" + p[0] + "$"), greentally.Text{ZH: p[1], EN: p[2]}})
	}
	return all
}

// reason returns a reason in the language, with numbers shortened.
func (p *pdf) reason(text string, items map[string]string) string {
	text = p.longNumber.ReplaceAllStringFunc(text, func(number string) string {
		v, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return number
		}
		return strconv.FormatFloat(math.Round(v*1e4)/1e4, 'f', -1, 64)
	})
	if said, ok := p.said(text, items); ok { // also one with a semicolon in it
		return said
	}
	var parts []string
	for part := range strings.SplitSeq(text, "; ") {
		parts = append(parts, p.clause(part, items))
	}
	return strings.Join(parts, p.word("semicolon"))
}

// clause is a part of a reason, with what it is a reason of before a colon: an indicator, its
// inputs, a fault, an expression.
func (p *pdf) clause(text string, items map[string]string) string {
	if said, ok := p.said(text, items); ok {
		return said
	}
	name, rest, ok := strings.Cut(text, ": ")
	if !ok {
		return p.known(text)
	}
	of, isSaid := p.said(name, items)
	switch title := p.indicatorTitle(name); {
	case isSaid:
		name = of
	case title != name:
		name = title
	case strings.Contains(name, " with "):
		name = p.known(name)
	case !strings.HasPrefix(rest, "−") && !strings.Contains(strings.ReplaceAll(name, ", ", ""), " "):
		return p.clause(rest, items) // inputs have names and no titles; the workbook has them
	}
	return name + p.word("colon") + p.clause(rest, items)
}

// said says a whole reason that is known.
func (p *pdf) said(text string, items map[string]string) (string, bool) {
	for _, ph := range p.phrases {
		m := ph.reason.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		form := ph.said.EN
		if p.language == "zh" {
			form = ph.said.ZH
		}
		if form == "" {
			return text, true
		}
		var pairs []string
		for i := len(m) - 1; i > 0; i-- {
			n := strconv.Itoa(i)
			var types []string
			for name := range strings.SplitSeq(m[i], " or ") {
				types = append(types, p.typeTitle(name))
			}
			v, _ := strconv.ParseFloat(m[i], 64)
			pairs = append(pairs, "$types"+n, strings.Join(types, p.word("or")), "$stream"+n, p.word(m[i]), "$kind"+n, p.kindTitle(m[i]),
				"$percent"+n, percent(v, 1), "$items"+n, p.itemTitles(m[i], items), "$known"+n, p.known(p.itemTitles(m[i], items)), "$"+n, m[i])
		}
		return strings.NewReplacer(pairs...).Replace(form), true
	}
	return text, false
}

// itemTitles replaces the IDs of items in a list by their titles, and a long list by a number.
func (p *pdf) itemTitles(list string, items map[string]string) string {
	ids := strings.Split(list, ", ")
	if !slices.ContainsFunc(ids, func(id string) bool { return items[id] != "" }) {
		return list
	}
	if len(ids) > 4 {
		return p.word("items_below", "n", strconv.Itoa(len(ids)))
	}
	for i, id := range ids {
		ids[i] = cmp.Or(items[id], id)
	}
	return strings.Join(ids, p.word("comma"))
}

// known writes "diversion > 0.5 with diversion = 0.4685" as the title and the value of what it
// rests on.
func (p *pdf) known(text string) string {
	expression, values, ok := strings.Cut(text, " with ")
	if !ok {
		return text
	}
	var all []string
	for pair := range strings.SplitSeq(values, ", ") {
		name, value, _ := strings.Cut(pair, " = ")
		title := p.indicatorTitle(name)
		if v, err := strconv.ParseFloat(value, 64); err == nil && p.indicatorUnit(name) == "ratio" {
			value = percent(v, 2)
		}
		all = append(all, title+" = "+value)
	}
	said := strings.Join(all, p.word("comma"))
	if p.indicatorTitle(expression) != expression { // a name alone
		return said
	}
	return p.word("by_expression", "said", said, "expression", expression)
}
