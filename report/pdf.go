package report

import (
	_ "embed" // the fonts
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/golang/freetype/truetype"

	"greentally"
	"greentally/report/paper"
)

//go:embed fonts/regular.ttf.zst
var regularFont []byte

//go:embed fonts/bold.ttf.zst
var boldFont []byte

// PDF writes the month as a document of A4 pages in the language, zh or en: verdicts, indicators,
// charts, assessments, evidence, gaps, and how to check them.
func (e *Export) PDF(w io.Writer, language string) error {
	if language != "zh" && language != "en" {
		return fmt.Errorf("there is no PDF in the language %q; there are zh and en", language)
	}
	fonts, err := paper.Load(regularFont, boldFont)
	if err != nil {
		return err
	}
	picture, err := fonts.Picture()
	if err != nil {
		return fmt.Errorf("font of charts: %w", err)
	}
	p := &pdf{e: e, language: language, zone: e.location(), font: picture, words: pdfWords()}
	p.name = e.Community.Name.In(language)
	if p.name == "" {
		p.name = e.Community.ID
	}
	p.version = strings.TrimPrefix(e.Version, "greentally ")
	made := p.word("made_by", "version", p.version)
	p.Sheet = paper.New(fonts, paper.Info{
		Title: p.name + " " + p.month() + " " + p.word("title"), Author: p.name, Subject: p.word("title"), Creator: made,
		Language: map[string]string{"zh": "zh-CN", "en": "en"}[language], Made: e.Made.In(p.zone),
	})

	p.cover()
	p.summary()
	if len(e.Revisions) > 0 {
		p.revisionsChapter()
	}
	p.indicators()
	if err := p.charts(); err != nil {
		return err
	}
	p.assessments()
	p.evidence()
	p.gaps()
	p.check()
	p.contents()
	p.frames(made)
	if err := p.Write(w); err != nil {
		return fmt.Errorf("PDF: %w", err)
	}
	return nil
}

// pdf is an export on its way to paper.
type pdf struct {
	*paper.Sheet
	e        *Export
	language string
	zone     *time.Location
	font     *truetype.Font // of charts
	words    map[string]greentally.Text

	name, version string

	toc     place   // of the contents
	revised []place // that name the page of the revisions
}

// place is where something is still to be written.
type place struct {
	page int
	y    float64
}

// month is the month as it is said.
func (p *pdf) month() string {
	return p.word("month", "year", strconv.Itoa(p.e.Month.Year), "month", p.monthName(p.e.Month.Month))
}

func (p *pdf) monthName(m time.Month) string {
	if p.language == "en" {
		return m.String()
	}
	return strconv.Itoa(int(m))
}

func (p *pdf) day(d greentally.Date) string {
	return p.word("day", "year", strconv.Itoa(d.Year), "month", p.monthName(d.Month), "day", strconv.Itoa(d.Day))
}

// instant is a time as it is at the community.
func (p *pdf) instant(t time.Time) string {
	return t.In(p.zone).Format("2006-01-02 15:04 (UTC-07:00)")
}

// begun reports whether a day of the month counts.
func (p *pdf) begun() bool { return !p.e.Through.Before(p.e.Month.First()) }

// running says that the month is not over, if it is not.
func (p *pdf) running() string {
	switch {
	case !p.begun():
		return p.word("no_day")
	case p.e.Through.Before(p.e.Month.Last()):
		return p.word("running", "day", p.day(p.e.Through))
	}
	return ""
}

// verdictMark is the mark of a verdict: a different shape for each.
func (p *pdf) verdictMark(v greentally.Verdict) *paper.Mark {
	l := &p.Looks
	m := paper.Mark{Text: p.word(string(v)), Style: l.Mark, Frame: paper.Frame{Round: 1}}
	switch v {
	case greentally.Pass:
		m.Style.Ink, m.Frame.Border = l.Green, &l.Green
	case greentally.Fail:
		m.Style.Ink, m.Style.Bold, m.Frame.Fill = l.White, true, &l.Red
	case greentally.InsufficientData:
		m.Style.Ink, m.Frame.Border, m.Frame.Dashed = l.Grey, &l.Grey, true
	case greentally.NoTarget:
		m.Style.Ink = l.Grey
	default:
		return nil
	}
	return &m
}

// partMark is the mark of an item that has a part of its points.
func (p *pdf) partMark() *paper.Mark {
	m := p.verdictMark(greentally.Pass)
	m.Text, m.Style.Ink, m.Frame.Border = p.word("part_points"), p.Looks.Black, &p.Looks.Black
	return m
}

// verdicts in the order in which a reader wants them.
func verdicts() []greentally.Verdict {
	return []greentally.Verdict{greentally.Fail, greentally.InsufficientData, greentally.Pass, greentally.NoTarget}
}

// most is the most that is written with all its digits.
const most = 1e13

// percent writes a share.
func percent(v float64, places int) string {
	if !(math.Abs(v) < most) {
		return rounded(100*v, 0) + "%"
	}
	return strconv.FormatFloat(100*v, 'f', places, 64) + "%"
}

// rounded writes a number with so many places at most, and commas between thousands.
func rounded(v float64, places int) string {
	if !(math.Abs(v) < most) {
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
	scale := math.Pow10(places)
	return humanize.Commaf(math.Round(v*scale) / scale)
}

// amount writes a number that may be missing.
func (p *pdf) amount(v *float64) string {
	if v == nil {
		return p.word("none")
	}
	return rounded(*v, 3)
}

// valueOf writes an indicator's value with its unit, and its uncertainty.
func (p *pdf) valueOf(v greentally.IndicatorValue) (value, unit, uncertainty string) {
	write := func(number float64) string { return rounded(number, 3) }
	switch {
	case v.Value == nil:
		return p.word("none"), "", ""
	case v.Unit == "ratio":
		write = func(number float64) string { return percent(number, 2) }
	default:
		unit = greentally.UnitTitle(v.Unit).In(p.language)
	}
	if v.Uncertainty != nil {
		uncertainty = "±\u00a0" + write(*v.Uncertainty)
	}
	return write(*v.Value), unit, uncertainty
}

// targetOf writes an indicator's target.
func targetOf(v greentally.IndicatorValue) string {
	if v.Target == nil {
		return ""
	}
	return strings.ReplaceAll(v.Target.In(v.Unit), " ", "\u00a0")
}

// pointsOf writes points, or the range in which they are, of those that can be had.
func (p *pdf) pointsOf(least, most, of float64) string {
	if of == 0 {
		return p.word("none")
	}
	text := rounded(least, 2)
	if most != least {
		text += "–" + rounded(most, 2)
	}
	return text + " / " + rounded(of, 2)
}

// inEffect is InEffect with the one that was applied for first.
func (e *Export) inEffect() []greentally.Assessment {
	all := e.InEffect()
	if e.Application != nil {
		slices.SortStableFunc(all, func(a, b greentally.Assessment) int {
			rank := map[bool]int{true: 0, false: 1}
			return rank[a.Scheme == e.Application.Scheme] - rank[b.Scheme == e.Application.Scheme]
		})
	}
	return all
}

// Titles of what has an ID; the ID where there is none.

func (p *pdf) indicatorTitle(id string) string {
	for i := range p.e.Indicators {
		if v := &p.e.Indicators[i]; v.Indicator == id {
			return v.Title.In(p.language)
		}
	}
	return id
}

func (p *pdf) indicatorUnit(id string) string {
	for i := range p.e.Indicators {
		if v := &p.e.Indicators[i]; v.Indicator == id {
			return v.Unit
		}
	}
	return ""
}

func (p *pdf) schemeTitle(id string) string {
	for i := range p.e.Assessments {
		if a := &p.e.Assessments[i]; a.Scheme == id {
			return a.Title.In(p.language)
		}
	}
	return id
}

func (p *pdf) kindTitle(name string) string {
	for i := range p.e.Kinds {
		if k := &p.e.Kinds[i]; k.Name == name {
			return k.Title.In(p.language)
		}
	}
	return name
}

func (p *pdf) quantityTitle(kind, name string) string {
	for i := range p.e.Kinds {
		if q, ok := p.e.Kinds[i].Quantity(name); ok && p.e.Kinds[i].Name == kind {
			return q.Title.In(p.language)
		}
	}
	return name
}

func (p *pdf) recordType(name string) *greentally.RecordType {
	i := slices.IndexFunc(p.e.Types, func(t greentally.RecordType) bool { return t.Name == name })
	if i < 0 {
		return &greentally.RecordType{Name: name}
	}
	return &p.e.Types[i]
}

func (p *pdf) typeTitle(name string) string {
	if title := p.recordType(name).Title.In(p.language); title != "" {
		return title
	}
	return name
}

// deviceTitle is a device's name, with its ID if the name is another.
func (p *pdf) deviceTitle(id string) string {
	for _, d := range p.e.Community.Devices {
		if name := d.Name.In(p.language); d.ID == id && name != "" && name != id {
			return name + " (" + id + ")"
		}
	}
	return id
}

// titleOf is an indicator's title, with the marks that a reader must see.
func (p *pdf) titleOf(v greentally.IndicatorValue) string {
	title := v.Title.In(p.language)
	if title == "" {
		title = v.Indicator
	}
	if !v.Verified {
		title += "\u00a0*"
	}
	if v.DisplayOnly {
		title += "\u00a0†"
	}
	return title
}

// contents writes on the cover what stands where.
func (p *pdf) contents() {
	l := &p.Looks
	var chapters []paper.Heading
	for _, h := range p.Headings() {
		if h.Level == 0 {
			chapters = append(chapters, h)
		}
	}
	p.Back(p.toc.page)
	y := p.toc.y
	p.Put(paper.Left, y, 6, paper.AtLeft, p.word("contents"), l.Section)
	y += 8
	half := (len(chapters) + 1) / 2
	const gap = 10.0
	width := (paper.Width - gap) / 2
	for i, h := range chapters {
		x, top := paper.Left+float64(i/half)*(width+gap), y+float64(i%half)*6.6
		p.Put(x, top, 6, paper.AtLeft, h.Title, l.Body)
		p.Put(x+width, top, 6, paper.AtRight, strconv.Itoa(h.Page), l.Body)
		p.Rule(x, top+6.1, x+width, l.Line, 0.15)
		p.Link(x, top, width, 6, h)
	}
	for _, note := range p.revised {
		p.Back(note.page)
		p.warn(note.y, p.revisions())
	}
}

// frames writes header and footer on all pages.
func (p *pdf) frames(made string) {
	l := &p.Looks
	st := l.Faint
	st.Size = 7.5
	name := p.Short(p.name, 105, st)
	for n := 1; n <= p.Pages(); n++ {
		p.Back(n)
		p.Put(paper.Left, 13, 4, paper.AtLeft, name, st)
		p.Put(paper.Right, 13, 4, paper.AtRight, p.month()+" · "+p.word("title"), st)
		p.Rule(paper.Left, 18.2, paper.Right, l.Line, 0.2)
		p.Rule(paper.Left, 280, paper.Right, l.Line, 0.2)
		p.Put(paper.Left, 281.5, 4, paper.AtLeft, made, st)
		p.Put(paper.Right, 281.5, 4, paper.AtRight, p.word("page", "n", strconv.Itoa(n), "of", strconv.Itoa(p.Pages())), st)
	}
}
