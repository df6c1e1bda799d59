package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"

	"greentally"
)

// XLSX writes the export as a workbook in the language, zh or en. Its rates are formulas: from
// what each device-day, record and alert contributes, through the sums, to numerator, value and
// verdict. So whoever changes a figure in it sees what comes of that.
func (e *Export) XLSX(w io.Writer, language string) error {
	b := &workbook{Export: e, language: language, words: sheetWords()[language], file: excelize.NewFile(), errors: map[string]bool{}, named: map[string]bool{}}
	if b.words == nil {
		return fmt.Errorf("workbook: language %q is none of zh, en", language)
	}
	err := b.write()
	if err == nil {
		err = b.file.Write(w)
	}
	if wrong := b.file.Close(); err == nil {
		err = wrong
	}
	if err != nil {
		return fmt.Errorf("workbook of %s %s: %w", e.Community.ID, e.Month, err)
	}
	return nil
}

// workbook is one that is being written.
type workbook struct {
	*Export
	language string
	words    map[string]string
	file     *excelize.File
	style    styles

	facts      map[string]string // cells of the community's facts, such as community.households
	ledgers    []*ledger
	named      map[string]bool   // sheets, in lower case
	inputs     map[inputName]int // rows
	indicators map[string]int    // rows
	errors     map[string]bool   // indicators whose formula a spreadsheet cannot compute
}

type inputName struct{ indicator, input string }

// styles are those of cells.
type styles struct{ title, head, code, text, number, percent, date, instant, pass, fail, open int }

func (b *workbook) write() error {
	if err := b.prepare(); err != nil {
		return err
	}
	for _, sheet := range []string{"overview", "charts", "indicators", "inputs", "schemes", "gaps", "daily", "devices", "application"} {
		b.named[strings.ToLower(b.words[sheet])] = true
	}
	b.arrange()
	sheets := []struct {
		name string
		fill func(*sheet) error
	}{
		{"overview", b.overview}, {"charts", b.charts}, {"indicators", b.rates}, {"inputs", b.sums}, {"schemes", b.schemes}, {"gaps", b.gaps},
		{"daily", b.daily}, {"devices", b.devices}, {"application", b.application},
	}
	var used []string
	for _, s := range sheets {
		if s.name == "application" && b.Application == nil {
			continue
		}
		used = append(used, b.words[s.name])
	}
	for _, l := range b.ledgers {
		used = append(used, l.sheet)
	}
	if err := b.file.SetSheetName("Sheet1", used[0]); err != nil {
		return err
	}
	for _, name := range used[1:] {
		if _, err := b.file.NewSheet(name); err != nil {
			return err
		}
	}
	for _, s := range sheets {
		if !slices.Contains(used, b.words[s.name]) {
			continue
		}
		if err := b.on(b.words[s.name], s.fill); err != nil {
			return fmt.Errorf("sheet %s: %w", s.name, err)
		}
	}
	for _, l := range b.ledgers {
		if err := b.on(l.sheet, func(s *sheet) error { return b.ledger(s, l) }); err != nil {
			return fmt.Errorf("sheet %s: %w", l.sheet, err)
		}
	}
	return nil
}

func (b *workbook) prepare() error {
	made := b.Made.UTC().Format(time.RFC3339)
	title := fmt.Sprintf("%s %s %s", b.Community.Name.In(b.language), b.Month, b.words["report"])
	if err := b.file.SetDocProps(&excelize.DocProperties{Title: title, Creator: b.Version, LastModifiedBy: b.Version, Created: made, Modified: made,
		Language: map[string]string{"zh": "zh-CN", "en": "en"}[b.language]}); err != nil {
		return err
	}
	if b.language == "zh" {
		if err := b.file.SetDefaultFont("微软雅黑"); err != nil {
			return err
		}
	}
	border := []excelize.Border{{Type: "bottom", Color: "D0D7D2", Style: 1}}
	top := &excelize.Alignment{Vertical: "top"}
	decimals, day, moment := "0.######", "yyyy-mm-dd", "yyyy-mm-dd hh:mm"
	for _, s := range []struct {
		to *int
		is excelize.Style
	}{
		{&b.style.title, excelize.Style{Font: &excelize.Font{Bold: true, Size: 16, Color: "1B5E3A"}}},
		{&b.style.head, excelize.Style{Font: &excelize.Font{Bold: true, Color: "FFFFFF"}, Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"1B5E3A"}}, Alignment: &excelize.Alignment{Vertical: "center", WrapText: true}}},
		{&b.style.code, excelize.Style{Font: &excelize.Font{Size: 8, Color: "6B7A70"}, Alignment: &excelize.Alignment{WrapText: true}}},
		{&b.style.text, excelize.Style{Border: border, Alignment: top}},
		{&b.style.number, excelize.Style{Border: border, Alignment: top, CustomNumFmt: &decimals}},
		{&b.style.percent, excelize.Style{Border: border, Alignment: top, NumFmt: 10}},
		{&b.style.date, excelize.Style{Border: border, Alignment: &excelize.Alignment{Vertical: "top", Horizontal: "left"}, CustomNumFmt: &day}},
		{&b.style.instant, excelize.Style{Border: border, Alignment: &excelize.Alignment{Vertical: "top", Horizontal: "left"}, CustomNumFmt: &moment}},
	} {
		id, err := b.file.NewStyle(&s.is)
		if err != nil {
			return err
		}
		*s.to = id
	}
	for _, s := range []struct {
		to          *int
		ink, ground string
	}{{&b.style.pass, "1B5E3A", "D5F0DF"}, {&b.style.fail, "8A1C1C", "FBDADA"}, {&b.style.open, "6B5200", "FFF1C2"}} {
		id, err := b.file.NewConditionalStyle(&excelize.Style{Font: &excelize.Font{Bold: true, Color: s.ink}, Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{s.ground}}})
		if err != nil {
			return err
		}
		*s.to = id
	}
	return nil
}

// sheet is one that is being written from top to bottom.
type sheet struct {
	name   string
	stream *excelize.StreamWriter
	book   *workbook
	row    int // the last that was written
}

// on fills a sheet.
func (b *workbook) on(name string, fill func(*sheet) error) error {
	wide, landscape, a4, many, yes := 1, "landscape", 9, 0, true
	if err := b.file.SetSheetProps(name, &excelize.SheetPropsOptions{FitToPage: &yes}); err != nil { // before its first byte is written
		return err
	}
	stream, err := b.file.NewStreamWriter(name)
	if err != nil {
		return err
	}
	s := &sheet{name: name, stream: stream, book: b}
	if err := fill(s); err != nil {
		return err
	}
	if err := b.file.SetPageLayout(name, &excelize.PageLayoutOptions{Size: &a4, Orientation: &landscape, FitToWidth: &wide, FitToHeight: &many}); err != nil {
		return err
	}
	footer := fmt.Sprintf("&L%s %s&C&A&R&P / &N", strings.ReplaceAll(b.Community.Name.In(b.language), "&", "&&"), b.Month)
	if err := b.file.SetHeaderFooter(name, &excelize.HeaderFooterOptions{OddFooter: footer}); err != nil {
		return err
	}
	return stream.Flush()
}

// add writes the next row.
func (s *sheet) add(cells ...any) error { return s.addHigh(0, cells...) }

// addHigh writes the next row with a height, in points; 0 is that of one line.
func (s *sheet) addHigh(height float64, cells ...any) error {
	s.row++
	at, err := excelize.CoordinatesToCellName(1, s.row)
	if err != nil {
		return err
	}
	return s.stream.SetRow(at, cells, excelize.RowOpts{Height: height})
}

// twoLines is the height of a heading.
const twoLines = 34

// skip leaves a row empty.
func (s *sheet) skip() { s.row++ }

// widths sets those of the first columns, in characters; before anything is written.
func (s *sheet) widths(all ...float64) error {
	for i, width := range all {
		if err := s.stream.SetColWidth(i+1, i+1, width); err != nil {
			return err
		}
	}
	return nil
}

// freeze keeps the first rows and columns in sight, and the rows on each page that is printed;
// before anything is written.
func (s *sheet) freeze(columns, rows int) error {
	corner, err := excelize.CoordinatesToCellName(columns+1, rows+1)
	if err != nil {
		return err
	}
	if err := s.book.file.SetDefinedName(&excelize.DefinedName{Name: "_xlnm.Print_Titles", Scope: s.name,
		RefersTo: fmt.Sprintf("'%s'!$1:$%d", strings.ReplaceAll(s.name, "'", "''"), rows)}); err != nil {
		return err
	}
	pane := "bottomRight"
	if columns == 0 {
		pane = "bottomLeft"
	}
	return s.stream.SetPanes(&excelize.Panes{Freeze: true, XSplit: columns, YSplit: rows, TopLeftCell: corner, ActivePane: pane})
}

// heads writes a row of headings by their words.
func (s *sheet) heads(names ...string) error {
	cells := make([]any, len(names))
	for i, name := range names {
		cells[i] = excelize.Cell{StyleID: s.book.style.head, Value: s.book.word(name)}
	}
	return s.addHigh(twoLines, cells...)
}

// word returns a word in the language, or what was to be said itself.
func (b *workbook) word(name string) string {
	if word, ok := b.words[name]; ok {
		return word
	}
	return name
}

func (b *workbook) text(v any) excelize.Cell { return excelize.Cell{StyleID: b.style.text, Value: v} }

// number is a number that may be missing.
func (b *workbook) number(v *float64) excelize.Cell {
	if v == nil {
		return b.text(nil)
	}
	return excelize.Cell{StyleID: b.style.number, Value: *v}
}

func (b *workbook) percent(v float64) excelize.Cell {
	return excelize.Cell{StyleID: b.style.percent, Value: v}
}

func (b *workbook) day(d greentally.Date) excelize.Cell {
	return excelize.Cell{StyleID: b.style.date, Value: d.Start(time.UTC)}
}

// instant is a moment by the community's clocks.
func (b *workbook) instant(t time.Time) excelize.Cell {
	local := t.In(b.location())
	return excelize.Cell{StyleID: b.style.instant, Value: time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), local.Second(), 0, time.UTC)}
}

// location is the community's; UTC if the machine does not know it.
func (e *Export) location() *time.Location {
	if loc, err := time.LoadLocation(e.Community.TimeZone); err == nil {
		return loc
	}
	return time.UTC
}

// formula is a formula, with the value that it comes to.
func (b *workbook) formula(style int, text string, value any) excelize.Cell {
	return excelize.Cell{StyleID: style, Formula: text, Value: value}
}

// cell names a cell of a sheet for formulas elsewhere.
func cell(sheet string, column, row int) string {
	name, _ := excelize.CoordinatesToCellName(column, row, true) // fails only for what is no column or row
	return "'" + strings.ReplaceAll(sheet, "'", "''") + "'!" + name
}

// stretch names a column of a sheet from a row to another.
func stretch(sheet string, column, from, to int) string {
	last, _ := excelize.CoordinatesToCellName(column, to, true)
	return cell(sheet, column, from) + ":" + last
}

// verdicts colours the verdicts in a column.
func (b *workbook) verdicts(sheet string, column, from, to int) error {
	if to < from {
		return nil
	}
	first, err := excelize.CoordinatesToCellName(column, from)
	if err != nil {
		return err
	}
	last, err := excelize.CoordinatesToCellName(column, to)
	if err != nil {
		return err
	}
	var all []excelize.ConditionalFormatOptions
	for word, style := range map[string]*int{"pass": &b.style.pass, "fail": &b.style.fail, "insufficient_data": &b.style.open} {
		all = append(all, excelize.ConditionalFormatOptions{Type: "cell", Criteria: "==", Format: style, Value: `"` + b.words[word] + `"`})
	}
	slices.SortFunc(all, func(a, b excelize.ConditionalFormatOptions) int { return strings.Compare(a.Value, b.Value) })
	return b.file.SetConditionalFormat(sheet, first+":"+last, all)
}
