package report

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"greentally"
	"greentally/report/paper"
)

// cover is the first page.
func (p *pdf) cover() {
	l := &p.Looks
	p.Break()
	p.Box(paper.Left, 34, 14, 1.6, paper.Frame{Fill: &l.Green})
	p.Y = 40
	p.Y += p.Block(paper.Left, p.Y, paper.Width, paper.AtLeft, p.word("title"), l.Title) + 4
	name := l.Chapter.In(l.Black)
	for ; len(p.Lines(p.name, paper.Width, name)) > 2 && name.Size > 9; name.Size-- { // a very long one
	}
	p.Y += p.Block(paper.Left, p.Y, paper.Width, paper.AtLeft, p.name, name) + 1
	month := l.Chapter
	month.Size = 13
	p.Y += p.Block(paper.Left, p.Y, paper.Width, paper.AtLeft, p.month(), month) + 5
	for _, warning := range []string{p.running(), p.revisions()} {
		if warning != "" {
			p.caution(warning)
		}
	}
	p.Y += 3
	p.Rule(paper.Left, p.Y, paper.Right, l.Black, 0.35)
	fact := func(title, text string) {
		if text == "" {
			return
		}
		p.Need(float64(len(p.Lines(text, paper.Width-38, l.Body)))*l.Body.Leading() + 2.4)
		p.Put(paper.Left, p.Y+1.2, l.Body.Leading(), paper.AtLeft, p.word(title), l.Faint)
		p.Y += p.Block(paper.Left+38, p.Y+1.2, paper.Width-38, paper.AtLeft, text, l.Body) + 2.4
		p.Rule(paper.Left, p.Y, paper.Right, l.Line, 0.15)
	}
	fact("fact_month", p.e.Month.String())
	if p.begun() {
		fact("fact_until", p.e.Through.String())
	}
	fact("fact_made", p.instant(p.e.Made))
	fact("fact_system", "greentally "+p.version)
	c := &p.e.Community
	var size []string
	for _, s := range []struct {
		word  string
		value float64
	}{{"households", float64(c.Households)}, {"population", float64(c.Population)}, {"area", c.AreaM2}} {
		if s.value > 0 {
			size = append(size, p.word(s.word, "n", rounded(s.value, 0)))
		}
	}
	fact("fact_place", strings.Join(size, p.word("comma")))
	count := map[string]int{}
	for _, d := range c.Devices {
		count[d.Kind]++
	}
	var devices []string
	for _, kind := range p.kinds() {
		if n := count[kind]; n > 0 {
			devices = append(devices, p.word("devices", "kind", p.kindTitle(kind), "n", strconv.Itoa(n)))
		}
	}
	fact("fact_device", strings.Join(devices, p.word("comma")))
	if a := p.e.Application; a != nil {
		if a.Scheme != "" {
			fact("fact_for", p.schemeTitle(a.Scheme))
		}
		fact("fact_stage", a.Stage.Title().In(p.language))
		if a.Named != nil {
			text := p.word("named", "level", a.Level.Title().In(p.language), "from", p.day(*a.Named))
			if a.Until != nil {
				text += p.word("comma") + p.word("until", "day", p.day(*a.Until))
			} else {
				text += p.word("comma") + p.word("unlimited")
			}
			fact("fact_title", text)
		}
		if s := a.Submission; s != nil {
			fact("fact_frozen", p.word("frozen", "at", p.instant(s.At), "hash", s.Bundle))
		}
	}
	// Signature and contents stand below, or on the next page if there is no place for them.
	const signature, height, contents = 238.0, 34.0, 50.0
	sign := func() {
		p.Box(paper.Left, signature, paper.Width, height, paper.Frame{Border: &l.Line, Round: 1})
		p.Put(paper.Left+5, signature+4, 6, paper.AtLeft, p.word("seal"), l.Body)
		middle := paper.Left + paper.Width*0.55
		for i, word := range []string{"sign", "signed_on"} {
			top := signature + 7 + float64(i)*12
			p.Put(middle, top, 6, paper.AtLeft, p.word(word), l.Body)
			p.Rule(middle+max(18, p.WidthOf(p.word(word), l.Body)+3), top+6.5, paper.Right-6, l.Grey, 0.2)
		}
	}
	here := p.Y < signature-4
	if here {
		sign()
	}
	if p.Y+contents > signature {
		p.Break()
		p.Y -= 8
	}
	if !here {
		sign()
	}
	p.toc = place{page: p.Pages(), y: p.Y + 8}
}

// revisions says that there are revisions.
func (p *pdf) revisions() string {
	if len(p.e.Revisions) == 0 {
		return ""
	}
	page := "  "
	if i := slices.IndexFunc(p.Headings(), func(h paper.Heading) bool { return h.Title == p.word("revisions") }); i >= 0 {
		page = strconv.Itoa(p.Headings()[i].Page)
	}
	return p.word("revised", "n", strconv.Itoa(len(p.e.Revisions)), "page", page)
}

// caution is a framed text that a reader must not miss. That of the revisions is written
// when their page is known.
func (p *pdf) caution(text string) {
	height := float64(len(p.Lines(text, paper.Width-10, p.Looks.Small)))*p.Looks.Small.Leading() + 4
	p.Need(height + 3)
	if text == p.revisions() && text != "" {
		p.revised = append(p.revised, place{page: p.Pages(), y: p.Y})
	} else {
		p.warn(p.Y, text)
	}
	p.Y += height + 3
}

// warn draws the frame of a caution.
func (p *pdf) warn(y float64, text string) {
	l := &p.Looks
	lines := p.Lines(text, paper.Width-10, l.Small)
	height := float64(len(lines))*l.Small.Leading() + 4
	p.Box(paper.Left, y, paper.Width, height, paper.Frame{Fill: &l.Pale})
	p.Box(paper.Left, y, 1.4, height, paper.Frame{Fill: &l.Red})
	p.Block(paper.Left+5, y+2, paper.Width-10, paper.AtLeft, text, l.Small)
}

// summary is the page for who reads no other.
func (p *pdf) summary() {
	l := &p.Looks
	p.Chapter(p.word("summary"))
	for _, warning := range []string{p.running(), p.revisions()} {
		if warning != "" {
			p.caution(warning)
		}
	}
	p.Section(p.word("verdicts"), 30)
	count := map[greentally.Verdict]int{}
	for _, v := range p.e.Indicators {
		count[v.Verdict]++
	}
	const gap = 4.0
	width := (paper.Width - 3*gap) / 4
	for i, v := range []greentally.Verdict{greentally.Pass, greentally.Fail, greentally.InsufficientData, greentally.NoTarget} {
		x := paper.Left + float64(i)*(width+gap)
		p.Box(x, p.Y, width, 17, paper.Frame{Border: &l.Line, Round: 1})
		figure := l.Figure
		figure.Size = 20
		p.Put(x+5, p.Y, 17, paper.AtLeft, strconv.Itoa(count[v]), figure)
		m := *p.verdictMark(v)
		p.Mark(x+width-5-(p.WidthOf(m.Text, m.Style)+3.4)/2, p.Y+6.4, m)
	}
	p.Y += 17 + 2
	p.Paragraph(p.word("verdicts_of", "n", strconv.Itoa(len(p.e.Indicators)), "without", strconv.Itoa(len(p.e.Gaps()))), l.Faint)

	p.Section(p.word("figures"), 30)
	p.tiles()

	p.Section(p.word("schemes"), 30)
	all := p.e.inEffect()
	if len(all) == 0 {
		p.Paragraph(p.word("no_schemes"), l.Body)
		return
	}
	var rows []paper.Row
	for _, a := range all {
		var cautions []string
		if !a.Complete {
			cautions = append(cautions, p.word("incomplete"))
		}
		if !a.Verified {
			cautions = append(cautions, p.word("unverified"))
		}
		r := paper.Texts(a.Title.In(p.language), p.pointsOf(a.AtLeast, a.AtMost, a.Total), cmp.Or(a.LevelTitle.In(p.language), p.word("none")), "", strings.Join(cautions, p.word("comma")))
		r[3].Mark = p.verdictMark(a.Verdict)
		rows = append(rows, paper.Row{Cells: r})
	}
	p.Table([]paper.Column{{Title: p.word("scheme"), Width: 62}, {Title: p.word("points"), Width: 24, Align: paper.AtRight}, {Title: p.word("level"), Width: 20},
		{Title: p.word("verdict"), Width: 22, Align: paper.AtMiddle}, {Title: p.word("cautions"), Width: 46}}, rows)
	p.Paragraph(p.word("cautions_are"), l.Faint)
}

// tiles shows the figures that tell most.
func (p *pdf) tiles() {
	l := &p.Looks
	shown := slices.DeleteFunc(slices.Clone(p.e.Indicators), func(v greentally.IndicatorValue) bool { return v.Value == nil || v.DisplayOnly || !HasEvidence(v) })
	first := TrendOf(shown)
	slices.SortStableFunc(shown, func(a, b greentally.IndicatorValue) int {
		rank := func(v greentally.IndicatorValue) int {
			if i := slices.Index(first, v.Indicator); i >= 0 {
				return i
			}
			return len(first)
		}
		return rank(a) - rank(b)
	})
	if len(shown) == 0 {
		p.Paragraph(p.word("no_figures"), l.Body)
		return
	}
	const gap, height = 4.0, 27.0
	width := (paper.Width - 2*gap) / 3
	for i, v := range shown[:min(len(shown), 6)] {
		x, y := paper.Left+float64(i%3)*(width+gap), p.Y+float64(i/3)*(height+gap)
		p.Box(x, y, width, height, paper.Frame{Fill: &l.Pale, Round: 1})
		p.Put(x+4, y+2.4, 5, paper.AtLeft, p.Short(v.Title.In(p.language), width-8, l.Small), l.Small)
		value, unit, uncertainty := p.valueOf(v)
		value = p.Short(value, width-8, l.Figure)
		p.Put(x+4, y+7.5, 10, paper.AtLeft, value, l.Figure)
		p.Put(x+4+p.WidthOf(value, l.Figure)+1.5, y+9, 9, paper.AtLeft, p.Short(strings.TrimSpace(uncertainty+" "+unit), width-8-p.WidthOf(value, l.Figure), l.Faint), l.Faint)
		if m := p.verdictMark(v.Verdict); m != nil {
			mark := p.WidthOf(m.Text, m.Style) + 3.4
			p.Mark(x+width-3.5-mark/2, y+19.5, *m)
		}
		if v.Target != nil {
			p.Put(x+4, y+19.5, 4.2, paper.AtLeft, p.word("target", "target", targetOf(v)), l.Faint)
		}
	}
	p.Y += float64((min(len(shown), 6)+2)/3)*(height+gap) - gap + 2
}

// revisionsChapter is what would be another figure now.
func (p *pdf) revisionsChapter() {
	p.Chapter(p.word("revisions"))
	p.Paragraph(p.word("revised_are"), p.Looks.Body)
	var rows []paper.Row
	for _, r := range p.e.Revisions {
		before, after := p.revisedFigure(r, r.Old), p.revisedFigure(r, r.New)
		if before == after { // they differ in digits that are not shown
			before, after = r.Old, r.New
		}
		c := paper.Texts(cmp.Or(r.Title.In(p.language), r.Name), r.WhatTitle().In(p.language), before, after)
		c[0].Below = p.word("of_"+r.Of) + " " + r.Name
		c[2].Strong = true
		rows = append(rows, paper.Row{Cells: c})
	}
	p.Table([]paper.Column{{Title: p.word("revised_of"), Width: 78}, {Title: p.word("revised_what"), Width: 24},
		{Title: p.word("revised_old"), Width: 36, Align: paper.AtRight}, {Title: p.word("revised_new"), Width: 36, Align: paper.AtRight}}, rows)
}

// revisedFigure writes an old or a new figure as it is written elsewhere.
func (p *pdf) revisedFigure(r greentally.Revision, text string) string {
	v, err := strconv.ParseFloat(text, 64)
	switch said, ok := p.words[text]; {
	case text == "":
		return p.word("none")
	case ok && r.What == "verdict":
		return said.In(p.language)
	case err != nil:
		return text
	case r.What == "value":
		value, unit, _ := p.valueOf(greentally.IndicatorValue{Unit: p.indicatorUnit(r.Name), Value: &v})
		return strings.TrimSpace(value + " " + unit)
	case r.What == "completeness":
		return percent(v, 1)
	}
	return rounded(v, 3)
}

// indicators is the table of all that have evidence.
func (p *pdf) indicators() {
	l := &p.Looks
	p.Chapter(p.word("indicators"))
	var rows []paper.Row
	for _, verdict := range verdicts() {
		of := slices.DeleteFunc(slices.Clone(p.e.Indicators), func(v greentally.IndicatorValue) bool { return v.Verdict != verdict || !HasEvidence(v) })
		if len(of) > 0 {
			rows = append(rows, paper.Row{Group: p.word(string(verdict)) + " · " + strconv.Itoa(len(of))})
		}
		for _, v := range of {
			value, unit, uncertainty := p.valueOf(v)
			c := paper.Texts(p.titleOf(v), strings.TrimSpace(value+" "+unit), p.amount(v.Numerator), p.amount(v.Denominator), percent(v.Completeness, 1), p.word("none"), cmp.Or(targetOf(v), p.word("none")), "")
			c[0].Strong, c[1].Strong, c[1].Below = true, true, uncertainty
			if v.EstimatedShare > 0 {
				c[5].Text = percent(v.EstimatedShare, 1)
			}
			c[7].Mark = p.verdictMark(v.Verdict)
			var notes []string
			if why := v.Reason.In(p.language); why != "" {
				notes = append(notes, why)
			}
			for _, in := range v.Inputs {
				if f := in.Factor; f != nil && v.Value != nil {
					notes = append(notes, p.word("factor", "factor", strings.TrimSpace(f.Factor+" "+f.Of), "year", strconv.Itoa(f.Year), "value", rounded(f.Value, 6), "unit", f.Unit))
				}
			}
			rows = append(rows, paper.Row{Cells: c, Note: strings.Join(notes, p.word("semicolon"))})
		}
	}
	if len(rows) == 0 {
		p.Paragraph(p.word("no_indicators"), l.Body)
		return
	}
	p.tight(p.word("indicators_are"), l.Faint)
	p.Paragraph(p.word("marks_are"), l.Faint)
	p.Table([]paper.Column{{Title: p.word("indicator"), Width: 44}, {Title: p.word("value"), Width: 24, Align: paper.AtRight}, {Title: p.word("numerator"), Width: 22, Align: paper.AtRight},
		{Title: p.word("denominator"), Width: 22, Align: paper.AtRight}, {Title: p.word("completeness"), Width: 15, Align: paper.AtRight}, {Title: p.word("estimated"), Width: 13, Align: paper.AtRight},
		{Title: p.word("targets"), Width: 15, Align: paper.AtRight}, {Title: p.word("verdict"), Width: 19, Align: paper.AtMiddle}}, rows)
}

// assessments are the schemes with all their items.
func (p *pdf) assessments() {
	l := &p.Looks
	p.Chapter(p.word("assessments"))
	if a := p.e.Application; a != nil && len(a.Steps) > 0 {
		p.Section(p.word("steps"), 25)
		var rows []paper.Row
		for _, step := range a.Steps {
			rows = append(rows, paper.Row{Cells: paper.Texts(step.On.String(), step.To.Title().In(p.language), step.Signed(), step.Why)})
		}
		p.Table([]paper.Column{{Title: p.word("on"), Width: 26}, {Title: p.word("step"), Width: 28}, {Title: p.word("by"), Width: 40}, {Title: p.word("why"), Width: 80}}, rows)
	}
	all := p.e.inEffect()
	if len(all) == 0 {
		p.Paragraph(p.word("no_schemes"), l.Body)
	}
	for _, a := range all {
		p.assessment(a)
	}
}

func (p *pdf) assessment(a greentally.Assessment) {
	l := &p.Looks
	p.Section(a.Title.In(p.language), 45)
	x := paper.Left
	for _, part := range [][2]string{{"points_short", p.pointsOf(a.AtLeast, a.AtMost, a.Total)}, {"level", cmp.Or(a.LevelTitle.In(p.language), p.word("none"))}} {
		title := p.word(part[0]) + " "
		p.Put(x, p.Y, 5, paper.AtLeft, title, l.Faint)
		x += p.WidthOf(title, l.Faint) + 1
		text := p.Short(part[1], 70, l.Strong)
		p.Put(x, p.Y, 5, paper.AtLeft, text, l.Strong)
		x += p.WidthOf(text, l.Strong) + 8
	}
	if m := p.verdictMark(a.Verdict); m != nil {
		p.Mark(x+(p.WidthOf(m.Text, m.Style)+3.4)/2, p.Y+0.4, *m)
	}
	p.Y += 7
	lines := []string{p.word("source", "source", a.Source)}
	if e := a.Effective; e != (greentally.Period{}) {
		var ends []string
		if e.From != nil {
			ends = append(ends, p.word("from", "day", p.day(*e.From)))
		}
		if e.Until != nil {
			ends = append(ends, p.word("until", "day", p.day(*e.Until)))
		}
		lines = append(lines, p.word("effective", "period", strings.Join(ends, p.word("comma"))))
	}
	lines = append(lines, a.Note.In(p.language))
	if why := a.Reason.In(p.language); why != "" {
		lines = append(lines, p.word("reason", "reason", why))
	}
	for _, line := range lines {
		p.tight(line, l.Faint)
	}
	if !a.Verified {
		p.tight(p.word("caution")+p.word("colon")+p.word("unverified_i"), l.Small)
	}
	if !a.Complete {
		p.tight(p.word("caution")+p.word("colon")+p.word("incomplete_i"), l.Small)
	}
	p.Y += 1.5
	var rows []paper.Row
	var group greentally.Text
	for _, item := range a.Items {
		if item.Group != group {
			group = item.Group
			if title := group.In(p.language); title != "" {
				rows = append(rows, paper.Row{Group: title})
			}
		}
		title := item.Title.In(p.language)
		if !item.Verified {
			title += "\u00a0*"
		}
		var reasons []string
		for _, r := range item.Reasons {
			reasons = append(reasons, r.In(p.language))
		}
		if item.EstimatedShare > 0 {
			reasons = append(reasons, p.word("est_mass", "share", percent(item.EstimatedShare, 1)))
		}
		var rests []string
		if len(reasons) == 0 {
			for _, name := range item.Indicators {
				if i := slices.IndexFunc(p.e.Indicators, func(v greentally.IndicatorValue) bool { return v.Indicator == name }); i >= 0 {
					value, unit, _ := p.valueOf(p.e.Indicators[i])
					rests = append(rests, strings.TrimSpace(p.indicatorTitle(name)+" "+value+" "+unit))
				}
			}
		}
		c := paper.Texts(title, p.pointsOf(item.AtLeast, item.AtMost, item.Points), "", strings.Join(append(rests, reasons...), p.word("semicolon")))
		c[2].Mark = p.verdictMark(item.Verdict)
		if item.Verdict == greentally.Fail && item.AtLeast > 0 { // no condition that is missed, but less than all points
			c[2].Mark = p.partMark()
		}
		rows = append(rows, paper.Row{Cells: c})
	}
	for _, part := range a.Parts {
		rows = append(rows, paper.Row{Cells: paper.Texts(p.word("part", "scheme", p.schemeTitle(part.Scheme)), p.pointsOf(part.AtLeast, part.AtMost, part.Weight), "", "")})
	}
	if len(rows) > 0 {
		p.Table([]paper.Column{{Title: p.word("item"), Width: 70}, {Title: p.word("points_short"), Width: 22, Align: paper.AtRight},
			{Title: p.word("verdict"), Width: 20, Align: paper.AtMiddle}, {Title: p.word("reasons"), Width: 62}}, rows)
	}
}

// tight is a paragraph with nothing below it.
func (p *pdf) tight(text string, st paper.Style) {
	if text != "" {
		p.Paragraph(text, st)
		p.Y -= 1.1
	}
}

// evidence is what the figures rest on.
func (p *pdf) evidence() {
	p.Chapter(p.word("evidence"))
	p.records()
	p.devices()
	p.alerts()
}

func (p *pdf) records() {
	l := &p.Looks
	p.Section(p.word("records"), 25)
	counts := map[string]bool{}
	for _, v := range p.e.Indicators {
		for _, in := range v.Inputs {
			for _, id := range in.Records {
				counts[id] = true
			}
		}
	}
	for _, a := range p.e.inEffect() {
		for _, item := range a.Items {
			for _, id := range item.Records {
				counts[id] = true
			}
		}
	}
	var rows []paper.Row
	for _, r := range p.e.Records {
		if !counts[r.ID] {
			continue
		}
		date := r.Date.String()
		if r.Until != nil {
			date += " – " + r.Until.String()
		}
		note := p.word("record_note", "id", r.ID, "at", p.instant(r.Recorded))
		if r.Recorded.IsZero() {
			note = r.ID
		}
		if r.Replaces != "" {
			note += p.word("semicolon") + p.word("replaces", "id", r.Replaces)
		}
		if files := attachmentsOf(r); len(files) > 0 {
			note += p.word("semicolon") + p.word("attached", "files", strings.Join(files, p.word("comma")))
		}
		c := paper.Texts(date, p.typeTitle(r.Type), p.says(r), r.Why, r.Signed())
		c[1].Strong = true
		rows = append(rows, paper.Row{Cells: c, Note: note})
	}
	if len(rows) == 0 {
		p.Paragraph(p.word("no_records"), l.Body)
		return
	}
	p.Paragraph(p.word("records_are", "n", strconv.Itoa(len(rows)), "other", strconv.Itoa(len(p.e.Records)-len(rows))), l.Body)
	p.Table([]paper.Column{{Title: p.word("on"), Width: 21}, {Title: p.word("type"), Width: 26}, {Title: p.word("says"), Width: 63}, {Title: p.word("why"), Width: 44}, {Title: p.word("attested"), Width: 20}}, rows)
}

// attachmentsOf lists a record's attachments: their names, and the first digits of their SHA-256.
func attachmentsOf(r greentally.Record) (all []string) {
	for _, a := range r.Attachments {
		all = append(all, a.Name+" ("+a.SHA256[:min(len(a.SHA256), 12)]+")")
	}
	return all
}

// says is what a record says, beside when, by whom and why.
func (p *pdf) says(r greentally.Record) string {
	var all []string
	if r.Item != "" {
		scheme, item, _ := strings.Cut(r.Item, "/")
		for i := range p.e.Assessments {
			if a := &p.e.Assessments[i]; a.Scheme == scheme {
				for _, known := range a.Items {
					if known.Item == item {
						item = known.Title.In(p.language)
					}
				}
			}
		}
		all = append(all, p.word("for_item", "scheme", p.schemeTitle(scheme), "item", item))
	}
	if r.Stream != "" {
		all = append(all, p.word("of_stream", "stream", p.word(string(r.Stream))))
	}
	if r.Device != "" {
		all = append(all, p.word("of_device", "device", p.deviceTitle(r.Device)))
	}
	for _, t := range []*time.Time{r.At, r.End} {
		if t != nil {
			all = append(all, t.In(p.zone).Format("2006-01-02 15:04"))
		}
	}
	t := p.recordType(r.Type)
	said := map[string]bool{}
	for _, v := range t.Values {
		if value, ok := r.Values[v.Name]; ok {
			said[v.Name] = true
			all = append(all, cmp.Or(v.Title.In(p.language), v.Name)+" "+rounded(value, 4))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Values)) {
		if !said[name] {
			all = append(all, name+" "+rounded(r.Values[name], 4))
		}
	}
	for _, v := range t.Texts {
		if text, ok := r.Texts[v.Name]; ok {
			all = append(all, cmp.Or(v.Title.In(p.language), v.Name)+" "+text)
		}
	}
	return strings.Join(all, p.word("semicolon"))
}

// kinds are the names of the kinds of the community's devices: first those that are known, in
// their order.
func (p *pdf) kinds() []string {
	var all []string
	for i := range p.e.Kinds {
		all = append(all, p.e.Kinds[i].Name)
	}
	var others []string
	for _, d := range p.e.Community.Devices {
		others = append(others, d.Kind)
	}
	for i := range p.e.Days {
		others = append(others, p.e.Days[i].Kind)
	}
	slices.Sort(others)
	for _, kind := range slices.Compact(others) {
		if !slices.Contains(all, kind) {
			all = append(all, kind)
		}
	}
	return all
}

func (p *pdf) devices() {
	p.Section(p.word("devices_title"), 30)
	days := 0
	for date := p.e.Month.First(); !p.e.Through.Before(date); date = date.Add(1) {
		days++
	}
	var rows []paper.Row
	for _, kind := range p.kinds() {
		n, there, low, complete := 0, 0, 0, 0.0
		for _, d := range p.e.Devices() {
			if d.Kind != kind {
				continue
			}
			n++
			there += d.Days
			complete += d.Completeness
			if d.Completeness < completeEnough {
				low++
			}
		}
		readings, suspect := 0, 0
		for i := range p.e.Days {
			if d := &p.e.Days[i]; d.Kind == kind {
				readings += d.Readings
				suspect += d.Suspect
			}
		}
		if n > 0 {
			rows = append(rows, paper.Row{Cells: paper.Texts(p.kindTitle(kind), strconv.Itoa(n), strconv.Itoa(there)+" / "+strconv.Itoa(n*days),
				rounded(float64(readings), 0), strconv.Itoa(suspect), percent(complete/float64(n), 1), strconv.Itoa(low))})
		}
	}
	if len(rows) == 0 {
		p.Paragraph(p.word("no_devices"), p.Looks.Body)
		return
	}
	right := paper.AtRight
	p.Table([]paper.Column{{Title: p.word("kind"), Width: 44}, {Title: p.word("count"), Width: 16, Align: right}, {Title: p.word("device_days"), Width: 36, Align: right},
		{Title: p.word("readings"), Width: 20, Align: right}, {Title: p.word("suspect"), Width: 16, Align: right}, {Title: p.word("completeness"), Width: 18, Align: right}, {Title: p.word("below"), Width: 24, Align: right}}, rows)
	p.Paragraph(p.word("devices_are"), p.Looks.Faint)
}

// worst returns the days on which a device was the least complete.
func (p *pdf) worst(device string) string {
	type day struct {
		date greentally.Date
		of   float64
	}
	known := map[greentally.Date]float64{}
	for i := range p.e.Days {
		if d := &p.e.Days[i]; d.Device == device {
			known[d.Date] = d.Completeness()
		}
	}
	var all []day
	for date := p.e.Month.First(); !p.e.Through.Before(date); date = date.Add(1) {
		all = append(all, day{date, known[date]})
	}
	slices.SortStableFunc(all, func(a, b day) int { return cmp.Compare(a.of, b.of) })
	var texts []string
	for _, d := range all[:min(len(all), 5)] {
		if d.of < completeEnough {
			texts = append(texts, d.date.String()+"\u00a0("+percent(d.of, 0)+")")
		}
	}
	return strings.Join(texts, p.word("comma"))
}

func (p *pdf) alerts() {
	p.Section(p.word("alerts"), 30)
	if len(p.e.Alerts) == 0 {
		p.Paragraph(p.word("no_alerts"), p.Looks.Body)
		return
	}
	type figures struct {
		of      greentally.Alert
		n, open int
		devices map[string]bool
		took    []time.Duration
	}
	var all []*figures
	open := 0
	for _, a := range p.e.Alerts {
		i := slices.IndexFunc(all, func(f *figures) bool { return f.of.Rule == a.Rule && f.of.Severity == a.Severity })
		if i < 0 {
			i = len(all)
			all = append(all, &figures{of: a, devices: map[string]bool{}})
		}
		f := all[i]
		f.n++
		if a.Device != "" {
			f.devices[a.Device] = true
		}
		if a.Ended == nil {
			f.open++
			open++
		} else {
			f.took = append(f.took, a.Ended.Sub(a.Since))
		}
	}
	rank := []greentally.Severity{greentally.Critical, greentally.Warning, greentally.Info}
	slices.SortStableFunc(all, func(a, b *figures) int {
		return cmp.Or(slices.Index(rank, a.of.Severity)-slices.Index(rank, b.of.Severity), b.n-a.n, cmp.Compare(a.of.Rule, b.of.Rule))
	})
	p.Paragraph(p.word("alerts_are", "n", strconv.Itoa(len(p.e.Alerts)), "open", strconv.Itoa(open)), p.Looks.Body)
	var rows []paper.Row
	for _, f := range all {
		median := p.word("none")
		if n := len(f.took); n > 0 {
			slices.Sort(f.took)
			if t := f.took[n/2]; t < time.Hour {
				median = p.word("minutes", "n", strconv.Itoa(int(t.Minutes())))
			} else {
				median = p.word("hours", "n", rounded(t.Hours(), 1))
			}
		}
		rows = append(rows, paper.Row{Cells: paper.Texts(cmp.Or(f.of.Title.In(p.language), f.of.Rule), p.word(string(f.of.Severity)), strconv.Itoa(f.n), strconv.Itoa(len(f.devices)), strconv.Itoa(f.open), median)})
	}
	right := paper.AtRight
	p.Table([]paper.Column{{Title: p.word("alert"), Width: 70}, {Title: p.word("severity"), Width: 22}, {Title: p.word("times"), Width: 18, Align: right},
		{Title: p.word("of_devices"), Width: 20, Align: right}, {Title: p.word("open"), Width: 16, Align: right}, {Title: p.word("median"), Width: 28, Align: right}}, rows)
}

// mostFaults is how many are listed.
const mostFaults = 60

// gaps is what is missing and what somebody must look at.
func (p *pdf) gaps() {
	l := &p.Looks
	p.Chapter(p.word("gaps"))
	p.Section(p.word("without"), 25)
	if gaps := p.e.Gaps(); len(gaps) == 0 {
		p.Paragraph(p.word("no_gaps"), l.Body)
	} else {
		p.Paragraph(p.word("without_are", "n", strconv.Itoa(len(gaps))), l.Body)
		var rows []paper.Row
		for _, v := range gaps {
			rows = append(rows, paper.Row{Cells: paper.Texts(p.titleOf(v), cmp.Or(targetOf(v), p.word("none")), v.Reason.In(p.language))})
		}
		p.Table([]paper.Column{{Title: p.word("indicator"), Width: 62}, {Title: p.word("targets"), Width: 18, Align: paper.AtRight}, {Title: p.word("needed"), Width: 94}}, rows)
	}

	p.Section(p.word("open_items"), 25)
	var rows []paper.Row
	for _, a := range p.e.inEffect() {
		var open []string
		for _, item := range a.Items {
			if item.Verdict == greentally.InsufficientData {
				open = append(open, item.Title.In(p.language))
			}
		}
		if len(open) > 0 {
			rows = append(rows, paper.Row{Cells: paper.Texts(a.Title.In(p.language), strconv.Itoa(len(open))+" / "+strconv.Itoa(len(a.Items)), strings.Join(open, p.word("semicolon")))})
		}
	}
	if len(rows) == 0 {
		p.Paragraph(p.word("no_open"), l.Body)
	} else {
		p.Paragraph(p.word("open_are"), l.Body)
		p.Table([]paper.Column{{Title: p.word("scheme"), Width: 48}, {Title: p.word("open_of"), Width: 22, Align: paper.AtRight}, {Title: p.word("item"), Width: 104}}, rows)
	}

	p.Section(p.word("low_devices"), 25)
	rows = nil
	for _, d := range p.e.Devices() {
		if p.begun() && d.Completeness < completeEnough {
			rows = append(rows, paper.Row{Cells: paper.Texts(p.deviceTitle(d.ID), p.kindTitle(d.Kind), percent(d.Completeness, 1), p.worst(d.ID))})
		}
	}
	if len(rows) == 0 {
		p.Paragraph(p.word("no_low"), l.Body)
	} else {
		p.Table([]paper.Column{{Title: p.word("device"), Width: 58}, {Title: p.word("kind"), Width: 30}, {Title: p.word("completeness"), Width: 18, Align: paper.AtRight}, {Title: p.word("worst"), Width: 68}}, rows)
	}
	p.faults()
}

// faults are what nothing explains, and how many others there were.
func (p *pdf) faults() {
	l := &p.Looks
	p.Section(p.word("faults"), 25)
	var rows []paper.Row
	others := map[greentally.FaultKind]int{}
	for i := range p.e.Days {
		d := &p.e.Days[i]
		shown := map[string]bool{} // quantities
		for _, f := range d.Faults {
			if f.Kind != greentally.Unexplained {
				others[f.Kind]++
				continue
			}
			shown[f.Quantity] = true
			rows = append(rows, paper.Row{Cells: paper.Texts(f.Time.In(p.zone).Format("2006-01-02 15:04"), p.deviceTitle(d.Device), p.quantityTitle(d.Kind, f.Quantity), p.word(string(f.Kind)), f.From.String()+" → "+f.To.String())})
		}
		quality := map[string]greentally.Evidence{}
		for q, m := range d.Masses {
			quality[q] = m.Evidence
		}
		for q, r := range d.Registers {
			quality[q] = r.Evidence
		}
		for _, q := range slices.Sorted(maps.Keys(quality)) {
			if quality[q] == greentally.NeedsReview && !shown[q] {
				rows = append(rows, paper.Row{Cells: paper.Texts(d.Date.String(), p.deviceTitle(d.Device), p.quantityTitle(d.Kind, q), p.word("needs_review"), p.word("none"))})
			}
		}
	}
	if len(rows) == 0 {
		p.Paragraph(p.word("no_faults"), l.Body)
	} else {
		p.Paragraph(p.word("faults_are"), l.Body)
		p.Table([]paper.Column{{Title: p.word("time"), Width: 28}, {Title: p.word("device"), Width: 50}, {Title: p.word("quantity"), Width: 28}, {Title: p.word("fault"), Width: 32}, {Title: p.word("from_to"), Width: 36}}, rows[:min(len(rows), mostFaults)])
		if more := len(rows) - mostFaults; more > 0 {
			p.Paragraph(p.word("more", "n", strconv.Itoa(more)), l.Faint)
		}
	}
	var counts []string
	for _, kind := range slices.Sorted(maps.Keys(others)) {
		counts = append(counts, p.word(string(kind))+" "+strconv.Itoa(others[kind]))
	}
	if len(counts) > 0 {
		p.Paragraph(p.word("other_faults", "faults", strings.Join(counts, p.word("comma"))), l.Faint)
	}
}

// check is how anybody can check the report.
func (p *pdf) check() {
	l := &p.Looks
	p.Chapter(p.word("check"))
	p.Paragraph(p.word("check_about", "version", p.version, "made", p.instant(p.e.Made)), l.Body)

	p.Section(p.word("check_verdicts"), 25)
	explain := func(m *paper.Mark, text string) {
		p.Need(12)
		p.Mark(paper.Left+12, p.Y+0.4, *m)
		p.Y += p.Block(paper.Left+27, p.Y, paper.Width-27, paper.AtLeft, text, l.Body) + 1.8
	}
	for _, v := range []greentally.Verdict{greentally.Pass, greentally.Fail, greentally.InsufficientData, greentally.NoTarget} {
		explain(p.verdictMark(v), p.word("check_"+string(v)))
	}
	explain(p.partMark(), p.word("check_part"))
	p.Section(p.word("check_steps"), 25)
	for _, word := range []string{"check_1", "check_2", "check_3", "check_4"} {
		p.Item(p.word(word), l.Body)
	}
	p.Section(p.word("check_unsure"), 25)
	p.Item(p.word("check_k"), l.Body)
	var assumed []string
	for _, v := range p.e.Indicators {
		for _, a := range v.Assumptions {
			if text := a.In(p.language); !slices.Contains(assumed, text) {
				assumed = append(assumed, text)
			}
		}
	}
	for _, text := range assumed {
		p.Item(text, l.Body)
	}
	if len(assumed) == 0 {
		p.Item(p.word("no_assumptions"), l.Body)
	}
	p.Item(p.word("check_capture"), l.Body)
	p.Item(p.word("check_missing"), l.Body)

	var rows []paper.Row
	for _, v := range p.e.Indicators {
		if HasEvidence(v) {
			rows = append(rows, paper.Row{Cells: paper.Texts(p.titleOf(v), v.Source, p.word(map[bool]string{true: "yes", false: "no"}[v.Verified]))})
		}
	}
	if len(rows) > 0 {
		p.Section(p.word("check_sources"), 25)
		p.Paragraph(p.word("sources_are"), l.Body)
		p.Table([]paper.Column{{Title: p.word("indicator"), Width: 48}, {Title: p.word("source_of"), Width: 108}, {Title: p.word("compared"), Width: 18, Align: paper.AtMiddle}}, rows)
	}
}
