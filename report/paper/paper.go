package paper

import (
	"io"
	"strings"
	"time"
	"unicode"

	"codeberg.org/go-pdf/fpdf"
	"github.com/rivo/uniseg"
)

// All lengths are millimetres, but for the size of a font. A page is A4, 210 by 297.

// Where the text of a page begins and ends, from left to right and from top to bottom.
const (
	Left   = 18.0
	Right  = 192.0
	Top    = 27.0
	Bottom = 274.0

	// Width is how wide the text is.
	Width = Right - Left
)

// point is the unit of a font's size.
const point = 25.4 / 72

// Ink is a colour: red, green, blue.
type Ink [3]int

// Style is how a text looks.
type Style struct {
	Size float64 // points
	Bold bool
	Ink  Ink
}

// Leading is how far apart the lines are.
func (st Style) Leading() float64 { return st.Size * point * 1.5 }

// In returns the style in another colour.
func (st Style) In(c Ink) Style {
	st.Ink = c
	return st
}

// Align says which part of a text is at its place.
type Align int

// The alignments.
const (
	AtLeft Align = iota
	AtMiddle
	AtRight
)

// Sheet is a document with a place, Y, that moves down its last page.
type Sheet struct {
	Y     float64
	Looks Looks

	pdf   *fpdf.Fpdf
	fonts *Fonts
	heads []Heading
}

// Heading is a heading of the document.
type Heading struct {
	Title string
	Page  int
	Level int // 0 for a chapter

	link int
}

// Info is what is known of a document without opening it.
type Info struct {
	Title, Author, Subject, Creator string

	Language string // BCP 47
	Made     time.Time
}

// New is a document without a page.
func New(f *Fonts, info Info) *Sheet {
	s := &Sheet{pdf: fpdf.New("P", "mm", "A4", ""), fonts: f, Looks: looks()}
	s.pdf.AddUTF8FontFromBytes("noto", "", f.regular.file)
	s.pdf.AddUTF8FontFromBytes("noto", "B", f.bold.file)
	s.pdf.SetAutoPageBreak(false, 0)
	s.pdf.SetTitle(plain(info.Title), true)
	s.pdf.SetAuthor(plain(info.Author), true)
	s.pdf.SetSubject(plain(info.Subject), true)
	s.pdf.SetCreator(plain(info.Creator), true)
	s.pdf.SetProducer("greentally, go-pdf/fpdf", true)
	s.pdf.SetLang(info.Language)
	s.pdf.SetCreationDate(info.Made)
	s.pdf.SetModificationDate(info.Made)
	s.pdf.SetCatalogSort(true) // the same bytes each time
	s.pdf.SetDisplayMode("fullpage", "continuous")
	return s
}

// Write ends the document.
func (s *Sheet) Write(w io.Writer) error { return s.pdf.Output(w) }

// Pages is how many pages there are.
func (s *Sheet) Pages() int { return s.pdf.PageCount() }

// Back goes to a page that was written before, to add something to it.
func (s *Sheet) Back(page int) { s.pdf.SetPage(page) }

// Break begins a new page.
func (s *Sheet) Break() {
	s.pdf.AddPage()
	s.Y = Top
}

// Need begins a new page if there is not so much left of this one.
func (s *Sheet) Need(height float64) {
	if s.Y+height > Bottom {
		s.Break()
	}
}

// Headings returns all headings so far.
func (s *Sheet) Headings() []Heading { return s.heads }

// use takes the style's font, the regular one if the bold one cannot draw it.
func (s *Sheet) use(st Style, bold bool) {
	weight := ""
	if st.Bold && bold {
		weight = "B"
	}
	s.pdf.SetFont("noto", weight, st.Size)
	s.pdf.SetTextColor(st.Ink[0], st.Ink[1], st.Ink[2])
}

// WidthOf is how wide the text is in one line.
func (s *Sheet) WidthOf(text string, st Style) float64 {
	shown, bold := s.fonts.drawn(text)
	s.use(st, bold)
	return s.pdf.GetStringWidth(shown)
}

// Put draws a line of text at x, in the middle between top and top + height.
func (s *Sheet) Put(x, top, height float64, align Align, text string, st Style) {
	s.write(x, top+height/2+0.36*st.Size*point, align, text, st)
}

// write draws a line of text on a baseline.
func (s *Sheet) write(x, baseline float64, align Align, text string, st Style) {
	text = strings.ToValidUTF8(text, string(missing))
	shown, bold := s.fonts.drawn(text)
	if shown == "" {
		return
	}
	s.use(st, bold)
	switch align {
	case AtRight:
		x -= s.pdf.GetStringWidth(shown)
	case AtMiddle:
		x -= s.pdf.GetStringWidth(shown) / 2
	}
	if shown == text {
		s.pdf.Text(x, baseline, shown)
		return
	}
	begin, end := actual(text)
	s.pdf.RawWriteStr(begin)
	s.pdf.Text(x, baseline, shown)
	s.pdf.RawWriteStr(end)
}

// Lines breaks the text into lines that are no wider, by the rules of Unicode: no line begins
// with a closing mark. What has no place to break in is broken where it is full.
func (s *Sheet) Lines(text string, width float64, st Style) (all []string) {
	line, state := "", -1
	for rest := strings.ToValidUTF8(strings.TrimSpace(text), string(missing)); rest != ""; {
		var piece string
		var must bool
		piece, rest, must, state = uniseg.FirstLineSegmentInString(rest, state)
		if line != "" && s.WidthOf(trimRight(line+piece), st) > width {
			all, line = append(all, trimRight(line)), ""
		}
		line += piece
		for s.WidthOf(trimRight(line), st) > width {
			head := s.head(line, width, st)
			if head == line {
				break
			}
			all, line = append(all, head), line[len(head):]
		}
		if must && rest != "" {
			all, line = append(all, trimRight(line)), ""
		}
	}
	if line = trimRight(line); line != "" || len(all) == 0 {
		all = append(all, line)
	}
	return all
}

func trimRight(line string) string { return strings.TrimRightFunc(line, unicode.IsSpace) }

// head returns as many characters as fit, at least one.
func (s *Sheet) head(text string, width float64, st Style) string {
	n := 0
	for clusters := uniseg.NewGraphemes(text); clusters.Next(); {
		_, to := clusters.Positions()
		if n > 0 && s.WidthOf(text[:to], st) > width {
			break
		}
		n = to
	}
	return text[:n]
}

// Short returns the text, or its beginning with dots if it is too wide.
func (s *Sheet) Short(text string, width float64, st Style) string {
	if s.WidthOf(text, st) <= width {
		return text
	}
	return s.head(text, width-s.WidthOf("…", st), st) + "…"
}

// Block draws the text in lines from top on, and returns how high it is.
func (s *Sheet) Block(x, top, width float64, align Align, text string, st Style) float64 {
	lines := s.Lines(text, width, st)
	for i, line := range lines {
		s.Put(align.in(x, width), top+float64(i)*st.Leading(), st.Leading(), align, line, st)
	}
	return float64(len(lines)) * st.Leading()
}

// in returns the place for what is to lie between x and x + width.
func (a Align) in(x, width float64) float64 { return x + width*float64(a)/2 }

// Paragraph draws the text, over several pages if it must.
func (s *Sheet) Paragraph(text string, st Style) { s.flow("", text, st, 1.6) }

// Item draws a paragraph with a dot before it.
func (s *Sheet) Item(text string, st Style) { s.flow("•", text, st, 0.9) }

func (s *Sheet) flow(dot, text string, st Style, space float64) {
	if text == "" {
		return
	}
	x := Left
	if dot != "" {
		x += 4.5
	}
	lines := s.Lines(text, Right-x, st)
	for i, line := range lines {
		together := 1 // the first two lines and the last two are not torn apart
		if left := len(lines) - i; i == 0 && left > 1 || left == 2 {
			together = 2
		}
		s.Need(float64(together) * st.Leading())
		if i == 0 {
			s.Put(Left+1.2, s.Y, st.Leading(), AtLeft, dot, st)
		}
		s.Put(x, s.Y, st.Leading(), AtLeft, line, st)
		s.Y += st.Leading()
	}
	s.Y += space
}

// Chapter begins a page with a title.
func (s *Sheet) Chapter(title string) {
	s.Break()
	s.heading(title, 0)
	s.Y += s.Block(Left, s.Y, Width, AtLeft, title, s.Looks.Chapter) + 1.2
	s.Rule(Left, s.Y, Right, s.Looks.Green, 0.5)
	s.Y += 5
}

// Section is a title within a chapter, with so much of what follows on the same page.
func (s *Sheet) Section(title string, following float64) {
	st := s.Looks.Section
	if s.Y > Top {
		s.Y += 4
		s.Need(float64(len(s.Lines(title, Width, st)))*st.Leading() + 1.5 + following)
	}
	s.heading(title, 1)
	s.Y += s.Block(Left, s.Y, Width, AtLeft, title, st) + 1.5
}

// heading notes a heading for the outline and for links.
func (s *Sheet) heading(title string, level int) {
	s.use(s.Looks.Body, true) // the outline takes the encoding of the font
	s.pdf.Bookmark(plain(title), level, s.Y)
	h := Heading{Title: title, Page: s.pdf.PageNo(), Level: level, link: s.pdf.AddLink()}
	s.pdf.SetLink(h.link, s.Y, h.Page)
	s.heads = append(s.heads, h)
}

// Link makes a place of the page lead to a heading.
func (s *Sheet) Link(x, y, width, height float64, to Heading) {
	s.pdf.Link(x, y, width, height, to.link)
}

// Rule is a line from x1 to x2.
func (s *Sheet) Rule(x1, y, x2 float64, c Ink, width float64) {
	s.pdf.SetDrawColor(c[0], c[1], c[2])
	s.pdf.SetLineWidth(width)
	s.pdf.Line(x1, y, x2, y)
}

// Frame is how a rectangle looks.
type Frame struct {
	Fill, Border *Ink
	Dashed       bool
	Round        float64
}

// Box is a rectangle.
func (s *Sheet) Box(x, y, width, height float64, f Frame) {
	kind := ""
	if f.Fill != nil {
		s.pdf.SetFillColor(f.Fill[0], f.Fill[1], f.Fill[2])
		kind += "F"
	}
	if f.Border != nil {
		s.pdf.SetDrawColor(f.Border[0], f.Border[1], f.Border[2])
		s.pdf.SetLineWidth(0.25)
		kind += "D"
	}
	if f.Dashed {
		s.pdf.SetDashPattern([]float64{0.8, 0.6}, 0)
		defer s.pdf.SetDashPattern(nil, 0)
	}
	if f.Round == 0 {
		s.pdf.Rect(x, y, width, height, kind)
		return
	}
	s.pdf.RoundedRect(x, y, width, height, f.Round, "1234", kind)
}

// Mark is a word in a frame, which tells by its shape and not by its colour alone.
type Mark struct {
	Text  string
	Style Style
	Frame Frame
}

const markHeight = 4.2

// Mark draws a mark with its middle at x, and returns how wide it is.
func (s *Sheet) Mark(x, top float64, m Mark) float64 {
	width := s.WidthOf(m.Text, m.Style) + 3.4
	if m.Frame.Fill != nil || m.Frame.Border != nil {
		s.Box(x-width/2, top, width, markHeight, m.Frame)
	}
	s.Put(x, top, markHeight, AtMiddle, m.Text, m.Style)
	return width
}

// Looks are the styles and colours of a document.
type Looks struct {
	Title, Chapter, Section     Style
	Body, Strong, Small, Faint  Style
	Cell, CellStrong, CellFaint Style
	Head, Figure, Mark          Style

	Black, Grey, Line, Pale, Green, Red, White Ink
}

func looks() Looks {
	l := Looks{
		Black: Ink{29, 37, 45}, Grey: Ink{88, 98, 110}, Line: Ink{205, 211, 218}, Pale: Ink{243, 245, 247},
		Green: Ink{11, 92, 62}, Red: Ink{150, 27, 20}, White: Ink{255, 255, 255},
	}
	l.Title = Style{25, true, l.Black}
	l.Chapter = Style{16, true, l.Green}
	l.Section = Style{11, true, l.Black}
	l.Body = Style{9.5, false, l.Black}
	l.Strong = Style{9.5, true, l.Black}
	l.Small = Style{8.2, false, l.Black}
	l.Faint = Style{8.2, false, l.Grey}
	l.Cell = Style{7.8, false, l.Black}
	l.CellStrong = Style{7.8, true, l.Black}
	l.CellFaint = Style{7, false, l.Grey}
	l.Head = Style{7.4, true, l.Grey}
	l.Figure = Style{17, true, l.Black}
	l.Mark = Style{7, false, l.Black}
	return l
}
