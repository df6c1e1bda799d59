package records

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"greentally"
)

// CSV says how a table of records is read.
type CSV struct {
	Name string // of the file, for errors

	// Community and Type are those of rows that name none.
	Community, Type string

	// Location returns the time zone of a community, for times that are written without one.
	Location func(community string) (*time.Location, error)

	// Attach returns the attachment that is in the file at a path, as the table has it.
	Attach func(path string) (greentally.Attachment, error)
}

// Row is one record of a table.
type Row struct {
	Line   int
	Record greentally.Record
	Files  []string // paths of its attachments, as they are written
}

// column is a field that every record can have, as a column of a table.
type column struct {
	name, zh string
	set      func(c *cell) error // nil if it is for people to read
	get      func(r *greentally.Record) string
}

// cell is one cell of a row that is read.
type cell struct {
	text string
	row  *Row
	csv  *CSV
	t    *Types
}

// templateBy stands in a template in place of who attests the record.
var templateBy = greentally.Text{ZH: "示例", EN: "EXAMPLE"}

// attachedPrefix marks an attachment that is named by its hash rather than by a path.
const attachedPrefix = "sha256:"

// columns returns the fields of every record. Those that others rest on come first: type and
// community before the rest.
func columns() []column {
	return []column{
		{"id", "编号", nil, func(r *greentally.Record) string { return r.ID }},
		{"status", "状态", nil, func(*greentally.Record) string { return "" }},
		{"recorded", "登记时间", nil, func(r *greentally.Record) string { return instant(&r.Recorded) }},
		{"community", "社区", func(c *cell) error { c.row.Record.Community = c.text; return nil }, func(r *greentally.Record) string { return r.Community }},
		{"type", "类型", func(c *cell) error { c.row.Record.Type = c.t.typeNamed(c.text); return nil }, func(r *greentally.Record) string { return r.Type }},
		{"date", "日期", func(c *cell) error { return dateCell(c.text, &c.row.Record.Date) }, func(r *greentally.Record) string { return r.Date.String() }},
		{"until", "至", func(c *cell) error {
			c.row.Record.Until = &greentally.Date{}
			return dateCell(c.text, c.row.Record.Until)
		}, func(r *greentally.Record) string {
			if r.Until == nil {
				return ""
			}
			return r.Until.String()
		}},
		{"at", "时刻", func(c *cell) error { return c.instant(&c.row.Record.At) }, func(r *greentally.Record) string { return instant(r.At) }},
		{"end", "结束时刻", func(c *cell) error { return c.instant(&c.row.Record.End) }, func(r *greentally.Record) string { return instant(r.End) }},
		{"stream", "垃圾类别", func(c *cell) error { c.row.Record.Stream = streamNamed(c.text); return nil }, func(r *greentally.Record) string { return string(r.Stream) }},
		{"device", "设备", func(c *cell) error { c.row.Record.Device = c.text; return nil }, func(r *greentally.Record) string { return r.Device }},
		{"item", "条目", func(c *cell) error { c.row.Record.Item = c.text; return nil }, func(r *greentally.Record) string { return r.Item }},
		{"by", "填报人", func(c *cell) error { c.row.Record.By = c.text; return nil }, func(r *greentally.Record) string { return r.By }},
		{"why", "说明", func(c *cell) error { c.row.Record.Why = c.text; return nil }, func(r *greentally.Record) string { return r.Why }},
		{"replaces", "更正", func(c *cell) error { c.row.Record.Replaces = c.text; return nil }, func(r *greentally.Record) string { return r.Replaces }},
		{"attachments", "附件", (*cell).attach, func(r *greentally.Record) string {
			var all []string
			for _, a := range r.Attachments {
				all = append(all, attachedPrefix+a.SHA256)
			}
			return strings.Join(all, ";")
		}},
	}
}

// columnNamed returns the field of every record with the name or the Chinese title; nil if
// there is none.
func columnNamed(name string) *column {
	for _, c := range columns() {
		if strings.EqualFold(name, c.name) || name == c.zh {
			return &c
		}
	}
	return nil
}

// streamWords are what people in China call the streams.
func streamWords() map[greentally.Stream][]string {
	return map[greentally.Stream][]string{
		greentally.Recyclable: {"可回收物"}, greentally.Hazardous: {"有害垃圾"},
		greentally.Food: {"厨余垃圾", "湿垃圾"}, greentally.Residual: {"其他垃圾", "干垃圾"},
	}
}

func streamNamed(word string) greentally.Stream {
	for stream, words := range streamWords() {
		if slices.Contains(words, word) {
			return stream
		}
	}
	return greentally.Stream(word)
}

// typeNamed returns the name of the type with the name or the title; the word itself if there
// is none.
func (t *Types) typeNamed(word string) string {
	for _, name := range slices.Sorted(maps.Keys(t.byName)) {
		if t.byName[name].Title.ZH == word {
			return name
		}
	}
	return word
}

func dateCell(text string, into *greentally.Date) error {
	for _, form := range []string{"2006-1-2", "2006/1/2", "2006.1.2", "2006年1月2日"} {
		if day, err := time.Parse(form, text); err == nil {
			*into = greentally.DateOf(day, time.UTC)
			return nil
		}
	}
	return fmt.Errorf("%q is not a date such as 2026-10-31", text)
}

// ParseTime reads an instant: RFC 3339, or a date and a time of day at loc.
func ParseTime(text string, loc *time.Location) (time.Time, error) {
	for _, form := range []string{time.RFC3339, "2006-1-2 15:04", "2006-1-2T15:04", "2006/1/2 15:04", "2006-1-2 15:04:05", "2006-1-2T15:04:05", "2006/1/2 15:04:05"} {
		if at, err := time.ParseInLocation(form, text, loc); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time such as 2026-10-31T08:00:00+08:00, or 2026-10-31 08:00 in the community's own time", text)
}

func instant(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func (c *cell) instant(into **time.Time) error {
	loc := time.UTC
	if _, err := time.Parse(time.RFC3339, c.text); err != nil {
		if loc, err = c.csv.Location(c.row.Record.Community); err != nil {
			return err
		}
	}
	at, err := ParseTime(c.text, loc)
	*into = &at
	return err
}

func (c *cell) attach() error {
	var all []error
	for path := range strings.SplitSeq(c.text, ";") {
		path = strings.TrimSpace(path)
		hash, kept := strings.CutPrefix(path, attachedPrefix)
		switch {
		case path == "":
		case kept:
			c.row.Record.Attachments = append(c.row.Record.Attachments, greentally.Attachment{SHA256: strings.ToLower(hash)})
		default:
			a, err := c.csv.Attach(path)
			all = append(all, err)
			c.row.Record.Attachments = append(c.row.Record.Attachments, a)
			c.row.Files = append(c.row.Files, path)
		}
	}
	return errors.Join(all...)
}

// ReadCSV reads a table of records: UTF-8, UTF-16 as Excel writes it, or GB18030; separated by
// commas, semicolons or tabs. The header names the fields of records, and the values and texts
// of their types, by name or by Chinese title. Rows whose status is said are past: they were
// replaced or withdrawn, and are left out and counted.
//
// It returns the rows that are right. The error joins all that is wrong with any of the others,
// each with file and line.
func (t *Types) ReadCSV(c CSV, data []byte) (rows []Row, past int, err error) {
	text, err := decodeText(data)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", c.Name, err)
	}
	reader := csv.NewReader(strings.NewReader(text))
	reader.Comma = separator(text)
	reader.FieldsPerRecord = -1 // a row with too many or too few is told by its line
	var all []error
	wrong := func(line int, errs ...error) {
		for _, err := range errs {
			all = append(all, fmt.Errorf("%s:%d: %w", c.Name, line, err))
		}
	}
	var header []string
	seen := map[mark]int{}
	for {
		cells, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if parse := (*csv.ParseError)(nil); errors.As(err, &parse) {
			wrong(parse.Line, fmt.Errorf("column %d: %w; a text with quotation marks in it stands between some, and has each of them twice", parse.Column, parse.Err))
			break // what follows may be a part of it
		}
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", c.Name, err)
		}
		line, _ := reader.FieldPos(0)
		for i := range cells {
			cells[i] = revived(strings.TrimSpace(cells[i]))
		}
		if header == nil {
			if header = cells; cmp.Or(header...) == "" {
				return nil, 0, fmt.Errorf("%s:%d: the first line must name the columns, such as community,type,date,by", c.Name, line)
			}
			if err := checkHeader(header); err != nil {
				return nil, 0, fmt.Errorf("%s:%d: %w", c.Name, line, err)
			}
			continue
		}
		if cmp.Or(cells...) == "" {
			continue // as Excel leaves them at the end
		}
		row, standing, faults := t.readRow(&c, header, cells)
		row.Line = line
		if standing && len(faults) == 0 {
			faults = t.clashes(row, seen)
		}
		switch {
		case !standing:
			past++
		case len(faults) > 0:
			wrong(line, faults...)
		default:
			rows = append(rows, row)
		}
	}
	if header == nil && len(all) == 0 {
		all = append(all, fmt.Errorf("%s: it is empty; the first line names the columns: greentally record template shows them", c.Name))
	}
	return rows, past, errors.Join(all...)
}

// decodeText returns the text of a file as spreadsheets write them.
func decodeText(data []byte) (string, error) {
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")):
		text, err := unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder().Bytes(data)
		return string(text), err
	case utf8.Valid(data):
		return strings.TrimPrefix(string(data), byteOrderMark), nil
	}
	text, err := simplifiedchinese.GB18030.NewDecoder().Bytes(data)
	if err != nil || bytes.ContainsRune(text, utf8.RuneError) {
		return "", errors.New("it is neither UTF-8 nor GB18030 text; save it as CSV, not as a workbook")
	}
	return string(text), nil
}

// separator returns what stands most often between the columns of the first line.
func separator(text string) rune {
	first, _, _ := strings.Cut(strings.TrimLeft(text, "\r\n"), "\n")
	most := ','
	for _, r := range ";\t" {
		if strings.Count(first, string(r)) > strings.Count(first, string(most)) {
			most = r
		}
	}
	return most
}

// checkHeader reports columns that are there twice.
func checkHeader(header []string) error {
	seen := map[string]int{}
	var all []error
	for i, name := range header {
		key := name
		if c := columnNamed(name); c != nil {
			key = c.name
		}
		if before, twice := seen[key]; twice && name != "" {
			all = append(all, fmt.Errorf("columns %d and %d are both %s", before+1, i+1, key))
		}
		seen[key] = i
	}
	return errors.Join(all...)
}

// readRow reads one row. It is standing unless the table says that it was replaced or
// withdrawn.
func (t *Types) readRow(c *CSV, header, cells []string) (row Row, standing bool, faults []error) {
	row.Record.Community, row.Record.Type = c.Community, c.Type
	of := map[string]string{} // cells of the fields of every record, by name
	for i, text := range cells {
		switch {
		case text == "":
		case i >= len(header) || header[i] == "":
			faults = append(faults, fmt.Errorf("%q is in column %d, which has no name", text, i+1))
		default:
			if field := columnNamed(header[i]); field != nil {
				of[field.name] = text
			}
		}
	}
	if of["status"] != "" {
		return row, false, nil
	}
	for _, field := range columns() { // in an order of their own, since some rest on others
		if field.set == nil || of[field.name] == "" {
			continue
		}
		if err := field.set(&cell{text: of[field.name], row: &row, csv: c, t: t}); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", field.name, err))
		}
	}
	if row.Record.By == templateBy.ZH || row.Record.By == templateBy.EN {
		return row, true, []error{errors.New("this is the example of the template; put a record in its place, or remove the line")}
	}
	r := &row.Record
	r.Values = greentally.Values{}
	one := t.byName[r.Type]
	for i, text := range cells {
		if text == "" || i >= len(header) || header[i] == "" || columnNamed(header[i]) != nil || one == nil {
			continue
		}
		if err := one.setCell(r, header[i], text); err != nil {
			faults = append(faults, err)
		}
	}
	if len(faults) > 0 {
		return row, true, faults // what is missing may only be written wrong
	}
	return row, true, t.faults(*r)
}

// clashes reports what the row has in common with one before it that it must not, and marks it
// as seen.
func (t *Types) clashes(row Row, seen map[mark]int) (all []error) {
	clash := func(m mark, format string, args ...any) {
		if line, there := seen[m]; there {
			all = append(all, fmt.Errorf(format+" line %d", append(args, line)...))
			return
		}
		seen[m] = row.Line
	}
	clash(says(row.Record), "leave this one out, or say in what it differs: it says the same as")
	marks := t.unique(row.Record)
	for _, name := range slices.Sorted(maps.Keys(marks)) {
		clash(marks[name], "%s %q is that of", name, row.Record.Texts[name])
	}
	if id := row.Record.Replaces; id != "" {
		clash(sha256.Sum256([]byte("replaces\x00"+id)), "record %s is replaced by that of", id)
	}
	return all
}

// setCell sets the value or the text that a column names.
func (t *recordType) setCell(r *greentally.Record, name, text string) error {
	if i := slices.IndexFunc(t.Texts, func(x greentally.RecordText) bool { return x.Name == name || x.Title.ZH == name }); i >= 0 {
		if r.Texts == nil {
			r.Texts = map[string]string{}
		}
		r.Texts[t.Texts[i].Name] = text
		return nil
	}
	value := name
	if i := slices.IndexFunc(t.Values, func(x greentally.RecordValue) bool { return x.Name == name || x.Title.ZH == name }); i >= 0 {
		value = t.Values[i].Name
	} else if !t.Open || !typeName.MatchString(name) {
		return fmt.Errorf("%s: a %s has no such value or text; leave the cell empty", name, t.Name)
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return fmt.Errorf("%s: %q is not a number such as 1250.5", name, text)
	}
	r.Values[value] = number
	return nil
}

// formulaSigns begin what a spreadsheet takes for a formula.
const formulaSigns = "=+-@\t\r"

// inert writes a text so that no spreadsheet takes it for a formula; revived reads it back.
func inert(text string) string {
	if text != "" && strings.ContainsRune(formulaSigns, rune(text[0])) || revived(text) != text {
		return "'" + text
	}
	return text
}

func revived(cell string) string {
	if text, ok := strings.CutPrefix(cell, "'"); ok && text != "" && strings.ContainsRune(formulaSigns, rune(text[0])) {
		return text
	}
	return cell
}

// WriteCSV writes the records as a table that [Types.ReadCSV] reads, and Excel, too. Status says what became
// of a record, and is empty for one that is in force.
func WriteCSV(out io.Writer, records []greentally.Record, status func(greentally.Record) string) error {
	names := map[string]bool{}
	for _, r := range records {
		for name := range r.Values {
			names[name] = true
		}
		for name := range r.Texts {
			names[name] = true
		}
	}
	more := slices.Sorted(maps.Keys(names))
	var head []string
	for _, c := range columns() {
		head = append(head, c.name)
	}
	rows := [][]string{append(head, more...)}
	for _, r := range records {
		var cells []string
		for _, c := range columns() {
			if c.name == "status" {
				cells = append(cells, status(r))
				continue
			}
			cells = append(cells, inert(c.get(&r)))
		}
		for _, name := range more {
			number, is := r.Values[name]
			switch {
			case is:
				cells = append(cells, strconv.FormatFloat(number, 'f', -1, 64))
			default:
				cells = append(cells, inert(r.Texts[name]))
			}
		}
		rows = append(rows, cells)
	}
	if _, err := io.WriteString(out, byteOrderMark); err != nil {
		return err
	}
	return csv.NewWriter(out).WriteAll(rows)
}

// byteOrderMark tells Excel that a table is UTF-8.
const byteOrderMark = "\ufeff"

// WriteTemplate writes the header of a table for records of a type, and an example that
// [Types.ReadCSV] refuses as long as it stands there. For zh it begins as Excel needs it to see
// that it is UTF-8.
func (t *Types) WriteTemplate(out io.Writer, name, language string) error {
	one := t.byName[name]
	if one == nil {
		return fmt.Errorf("there is no type of record %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(t.byName)), ", "))
	}
	chinese := language == "zh"
	example := one.example()
	example.Community, example.By = "jiayuan", templateBy.In(language)
	shown := []string{"community", "type", "date", "until"}
	for _, field := range []string{"at", "stream", "device", "item"} {
		if slices.Contains(one.Needs, field) {
			shown = append(shown, field)
		}
	}
	if slices.Contains(shown, "at") {
		shown = append(shown, "end")
	}
	var head, cells []string
	field := func(name string) {
		c := columnNamed(name)
		cell := c.get(&example)
		title := c.name
		if chinese {
			title = c.zh
			switch {
			case name == "type":
				cell = one.Title.In(language)
			case name == "stream" && cell != "":
				cell = streamWords()[example.Stream][0]
			case cell != "" && (name == "at" || name == "end"):
				at := map[string]*time.Time{"at": example.At, "end": example.End}[name]
				cell = at.In(time.FixedZone("", 8*60*60)).Format("2006-01-02 15:04")
			}
		}
		head, cells = append(head, title), append(cells, cell)
	}
	further := func(name string, title greentally.Text, cell string) {
		if chinese && title.ZH != "" {
			name = title.ZH
		}
		head, cells = append(head, name), append(cells, cell)
	}
	for _, name := range shown {
		field(name)
	}
	known := map[string]bool{}
	for _, v := range one.Values {
		known[v.Name] = true
		text := ""
		if number, has := example.Values[v.Name]; has {
			text = strconv.FormatFloat(number, 'f', -1, 64)
		}
		further(v.Name, v.Title, text)
	}
	for _, name := range slices.Sorted(maps.Keys(example.Values)) {
		if !known[name] { // of a type that is open
			further(name, greentally.Text{}, strconv.FormatFloat(example.Values[name], 'f', -1, 64))
		}
	}
	for _, text := range one.Texts {
		further(text.Name, text.Title, example.Texts[text.Name])
	}
	for _, name := range []string{"by", "why", "attachments"} {
		field(name)
	}
	if chinese {
		if _, err := io.WriteString(out, byteOrderMark); err != nil {
			return err
		}
	}
	return csv.NewWriter(out).WriteAll([][]string{head, cells})
}

// example returns the record of the first test of the type that is taken.
func (t *recordType) example() greentally.Record {
	for _, test := range t.Tests {
		if test.Refuse == "" {
			return test.record(t.Name)
		}
	}
	return greentally.Record{Type: t.Name}
}
