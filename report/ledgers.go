package report

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/xuri/excelize/v2"

	"greentally"
	"greentally/internal/expression"
)

// ledger is a sheet with a row for each device-day of a kind, record of a type, or alert of a
// rule: who and when, then the facts, then what the row contributes to each input that sums it.
type ledger struct {
	sheet string
	lead  []string // words of the first columns
	facts []string // names of what is known of a row
	kind  greentally.Kind
	typ   greentally.RecordType

	rows []line
	at   map[lineKey]int // row number

	inputs []contribution
}

// line is a row of a ledger.
type line struct {
	key   lineKey
	lead  []excelize.Cell
	facts map[string]any
}

type lineKey struct {
	id   string // of the device or record
	date greentally.Date
	time time.Time
}

// contribution is the column, or two, of an input.
type contribution struct {
	name   inputName
	title  string
	input  greentally.InputWorking
	rows   map[lineKey]greentally.WorkingRow
	less   int // column; 0 if nothing is taken off
	column int
}

// firstLine is below two rows of headings: for people, and as expressions write it.
const firstLine = 3

func (l *ledger) last() int { return firstLine + len(l.rows) - 1 }

func (l *ledger) column(fact string) int {
	if i := slices.Index(l.facts, fact); i >= 0 {
		return len(l.lead) + i + 1
	}
	return 0
}

// arrange decides what is in which ledger, and where.
func (b *workbook) arrange() {
	b.inputs, b.indicators, b.facts = map[inputName]int{}, map[string]int{}, map[string]string{}
	for _, kind := range b.Kinds {
		b.addLedger(b.daysOf(kind), func(in greentally.InputWorking) bool { return in.Kind == kind.Name })
	}
	for _, typ := range b.Types {
		b.addLedger(b.recordsOf(typ), func(in greentally.InputWorking) bool { return in.Record == typ.Name })
	}
	var rules []string
	for _, a := range b.Alerts {
		if a.Device != "" && !slices.Contains(rules, a.Rule) {
			rules = append(rules, a.Rule)
		}
	}
	slices.Sort(rules)
	b.addLedger(b.alertsOf(rules), func(in greentally.InputWorking) bool { return in.Alert != "" })
	row := firstRate
	for _, w := range b.Workings {
		b.indicators[w.Indicator] = row
		row++
	}
	row = firstSum
	for _, w := range b.Workings {
		for _, in := range w.Inputs {
			b.inputs[inputName{w.Indicator, in.Name}] = row
			row++
		}
	}
}

// addLedger adds a ledger that has rows, with the columns of the inputs that sum it.
func (b *workbook) addLedger(l *ledger, sums func(greentally.InputWorking) bool) {
	if len(l.rows) == 0 {
		return
	}
	l.at = map[lineKey]int{}
	for i, row := range l.rows {
		l.at[row.key] = firstLine + i
	}
	for w := range b.Workings {
		for _, in := range b.Workings[w].Inputs {
			if !sums(in) || in.Result == nil || len(in.Rows) == 0 {
				continue
			}
			c := contribution{name: inputName{b.Workings[w].Indicator, in.Name}, title: b.title(b.Workings[w].Indicator), input: in, rows: map[lineKey]greentally.WorkingRow{}}
			for _, row := range in.Rows {
				key := keyOf(in, row)
				c.rows[key] = row
				if at, ok := l.at[key]; ok {
					for name, fact := range row.Facts {
						l.rows[at-firstLine].facts[name] = fact
					}
				}
			}
			l.inputs = append(l.inputs, c)
		}
	}
	names := map[string]bool{}
	for _, row := range l.rows {
		for name := range row.facts {
			names[name] = true
		}
	}
	l.facts = slices.SortedFunc(maps.Keys(names), func(a, b string) int {
		own := func(name string) int { // the device's own facts after what was measured
			if strings.HasPrefix(name, "device.") {
				return 1
			}
			return 0
		}
		return cmp.Or(own(a)-own(b), strings.Compare(a, b))
	})
	column := len(l.lead) + len(l.facts)
	for i := range l.inputs {
		c := &l.inputs[i]
		for _, row := range c.rows {
			if row.Less != 0 && c.less == 0 {
				column++
				c.less = column
			}
		}
		column++
		c.column = column
	}
	b.ledgers = append(b.ledgers, l)
}

func keyOf(in greentally.InputWorking, row greentally.WorkingRow) lineKey {
	switch {
	case in.Record != "":
		return lineKey{id: row.ID}
	case in.Alert != "":
		return lineKey{id: in.Alert + " " + row.Device, time: row.Time.UTC()}
	}
	return lineKey{id: row.Device, date: row.Date}
}

// ledgerOf finds the ledger that has the column of an input.
func (b *workbook) ledgerOf(name inputName) (*ledger, *contribution) {
	for _, l := range b.ledgers {
		for i := range l.inputs {
			if l.inputs[i].name == name {
				return l, &l.inputs[i]
			}
		}
	}
	return nil, nil
}

func (b *workbook) daysOf(kind greentally.Kind) *ledger {
	l := &ledger{kind: kind, sheet: b.sheetName("device_days", kind.Title), lead: []string{"date", "device", "site", "stream", "readings", "expected", "suspect", "completeness", "faults"}}
	for i := range b.Days {
		d := &b.Days[i]
		if d.Kind != kind.Name || d.Date.MonthOf() != b.Month || b.Through.Before(d.Date) {
			continue
		}
		lead := []excelize.Cell{b.day(d.Date), b.text(d.Device), b.text(d.Site), b.text(b.word(string(d.Stream))), b.text(d.Readings), b.text(d.Expected), b.text(d.Suspect),
			b.percent(d.Completeness()), b.text(len(d.Faults))}
		l.rows = append(l.rows, line{lineKey{id: d.Device, date: d.Date}, lead, figures(d)})
	}
	return l
}

// figures are a device-day's own, by the names that expressions have for them.
func figures(d *greentally.DeviceDay) map[string]any {
	all := map[string]any{}
	for q, m := range d.Masses {
		all[q+".deposited"], all[q+".collected"], all[q+".collections"] = m.Deposited.Float(), m.Collected.Float(), float64(len(m.Collections))
	}
	for q, g := range d.Gauges {
		all[q+".max"], all[q+".mean"] = g.Max.Float(), g.Mean.Float()
	}
	for q, r := range d.Registers {
		all[q+".rise"] = r.Rise.Float()
	}
	return all
}

func (b *workbook) recordsOf(typ greentally.RecordType) *ledger {
	l := &ledger{typ: typ, sheet: b.sheetName("records", typ.Title), lead: []string{"date", "until", "ID", "stream", "device", "item", "by", "recorded", "why", "texts"}}
	for _, r := range greentally.InForce(b.Records) {
		if r.Type != typ.Name {
			continue
		}
		until := b.text(nil)
		if r.Until != nil {
			until = b.day(*r.Until)
		}
		var texts []string
		for _, t := range typ.Texts {
			if text := r.Texts[t.Name]; text != "" {
				texts = append(texts, t.Title.In(b.language)+": "+b.word(text))
			}
		}
		lead := []excelize.Cell{b.day(r.Date), until, b.text(r.ID), b.text(b.word(string(r.Stream))), b.text(r.Device), b.text(r.Item), b.text(r.Signed()),
			b.instant(r.Recorded), b.text(r.Why), b.text(strings.Join(texts, "; "))}
		facts := map[string]any{}
		for name, number := range r.Values {
			facts[name] = number
		}
		l.rows = append(l.rows, line{lineKey{id: r.ID}, lead, facts})
	}
	slices.SortStableFunc(l.rows, func(a, b line) int {
		return a.lead[0].Value.(time.Time).Compare(b.lead[0].Value.(time.Time))
	})
	return l
}

func (b *workbook) alertsOf(rules []string) *ledger {
	l := &ledger{sheet: b.sheetName("alerts", greentally.Text{}), lead: []string{"since", "fired", "ended", "rule", "alert", "severity", "site", "device"}}
	for i := range b.Alerts {
		a := &b.Alerts[i]
		if !slices.Contains(rules, a.Rule) {
			continue
		}
		ended := b.text(nil)
		if a.Ended != nil {
			ended = b.instant(*a.Ended)
		}
		lead := []excelize.Cell{b.instant(a.Since), b.instant(a.Fired), ended, b.text(a.Rule), b.text(a.Title.In(b.language)), b.text(b.word(string(a.Severity))), b.text(a.Site), b.text(a.Device)}
		l.rows = append(l.rows, line{lineKey{id: a.Rule + " " + a.Device, time: a.Fired.UTC()}, lead, map[string]any{}})
	}
	return l
}

// sheetName names a sheet, within the 31 characters that a workbook allows, and not like
// another.
func (b *workbook) sheetName(word string, title greentally.Text) string {
	name := b.words[word] + " " + strings.Map(func(r rune) rune {
		switch {
		case strings.ContainsRune(`/\?*:`, r) || !unicode.IsPrint(r):
			return ' '
		case r == '[':
			return '('
		case r == ']':
			return ')'
		case r == '\'':
			return '’'
		}
		return r
	}, title.In(b.language))
	for n := 1; ; n++ {
		ending := ""
		if n > 1 {
			ending = fmt.Sprintf(" (%d)", n)
		}
		cut := []rune(name)
		cut = cut[:min(len(cut), 31-len(ending))]
		one := strings.TrimSpace(string(cut)) + ending
		if same := strings.ToLower(one); !b.named[same] {
			b.named[same] = true
			return one
		}
	}
}

// title is an indicator's.
func (b *workbook) title(indicator string) string {
	for i := range b.Indicators {
		if b.Indicators[i].Indicator == indicator {
			return b.Indicators[i].Title.In(b.language)
		}
	}
	return indicator
}

// ledger writes a ledger.
func (b *workbook) ledger(s *sheet, l *ledger) error {
	var titles, codes []any
	var widths []float64
	head := func(title, code string, width float64) {
		titles = append(titles, excelize.Cell{StyleID: b.style.head, Value: title})
		codes = append(codes, excelize.Cell{StyleID: b.style.code, Value: code})
		widths = append(widths, width)
	}
	for _, name := range l.lead {
		head(b.word(name), "", map[string]float64{"date": 12, "until": 12, "device": 22, "ID": 30, "why": 30, "texts": 30, "item": 22, "alert": 22, "rule": 22, "since": 17, "fired": 17, "ended": 17, "recorded": 17}[name])
	}
	for i, width := range widths {
		widths[i] = cmp.Or(width, 11)
	}
	for _, name := range l.facts {
		head(b.factTitle(l, name), name, 14)
	}
	for i := range l.inputs {
		c := &l.inputs[i]
		if c.less != 0 {
			head(c.title+" · "+b.words["less"], c.name.indicator+"."+c.name.input+" "+b.words["less"], 16)
		}
		head(c.title+" · "+c.name.input, c.name.indicator+"."+c.name.input+" = "+c.input.Value, 20)
	}
	if err := errors.Join(s.widths(widths...), s.freeze(2, firstLine-1)); err != nil {
		return err
	}
	if err := errors.Join(s.addHigh(twoLines, titles...), s.addHigh(twoLines, codes...)); err != nil {
		return err
	}
	for i, row := range l.rows {
		cells := make([]any, 0, len(titles))
		for _, c := range row.lead {
			cells = append(cells, c)
		}
		for _, name := range l.facts {
			cells = append(cells, b.fact(row.facts[name]))
		}
		for j := range l.inputs {
			c := &l.inputs[j]
			counted, ok := c.rows[row.key]
			if c.less != 0 {
				cells = append(cells, b.number(ifSet(ok, counted.Less)))
			}
			if !ok {
				cells = append(cells, b.text(nil))
				continue
			}
			cells = append(cells, b.contributes(l, c, firstLine+i, counted))
		}
		if err := s.add(cells...); err != nil {
			return err
		}
	}
	return nil
}

// ifSet returns the number if it is one.
func ifSet(ok bool, v float64) *float64 {
	if !ok || v == 0 {
		return nil
	}
	return &v
}

// fact is a cell for what is known of a row.
func (b *workbook) fact(v any) excelize.Cell {
	if number, ok := v.(float64); ok {
		return b.number(&number)
	}
	return b.text(v)
}

// contributes is the cell of what a row contributes to an input.
func (b *workbook) contributes(l *ledger, c *contribution, row int, counted greentally.WorkingRow) excelize.Cell {
	text, err := expression.Formula(c.input.Value, func(leaf string) (string, error) {
		column := l.column(leaf)
		if column == 0 || counted.Facts[leaf] == nil {
			return "0", nil // such as the hours in a state that never was
		}
		return excelize.CoordinatesToCellName(column, row)
	})
	if err != nil {
		b.errors[c.name.indicator] = true
		amount := counted.Amount.Float()
		return b.number(&amount)
	}
	if counted.Less != 0 {
		less, _ := excelize.CoordinatesToCellName(c.less, row)
		text = fmt.Sprintf("(%s-MIN(%s,%s))", text, text, less)
	}
	if c.input.Times != nil {
		text = fmt.Sprintf("(%s*%s)", text, cell(b.words["inputs"], factorColumn(counted.Stream), b.inputs[c.name]))
	}
	return b.formula(b.style.number, "ROUND("+text+",6)", counted.Amount.Float())
}

// factTitle says for people what a fact is.
func (b *workbook) factTitle(l *ledger, name string) string {
	of, part, _ := strings.Cut(name, ".")
	if q, ok := l.kind.Quantity(of); ok {
		return q.Title.In(b.language) + " " + b.word(part)
	}
	for _, v := range l.typ.Values {
		if v.Name == name {
			return v.Title.In(b.language)
		}
	}
	return b.word(name)
}
