package report

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/xuri/excelize/v2"

	"greentally"
	"greentally/internal/expression"
)

// Where the rows of indicators and inputs begin.
const (
	firstRate = 2
	firstSum  = 2
)

// Columns of the sheet of indicators that formulas name.
const (
	rateValue = 4 + iota
	rateNumerator
	rateDenominator
	rateUncertainty
	rateCompleteness
	rateFloor
	rateAtLeast
	rateAtMost
	rateVerdict
)

// Columns of the sheet of inputs that formulas name.
const (
	sumValue  = 7
	sumFactor = 12 // of the first stream; the others follow
)

// factorColumn is the column of what a stream's contributions are multiplied by.
func factorColumn(stream greentally.Stream) int {
	return sumFactor + max(0, slices.Index(greentally.Streams(), stream))
}

// rates writes the indicators.
func (b *workbook) rates(s *sheet) error {
	if err := errors.Join(s.widths(26, 30, 10, 12, 14, 14, 12, 12, 10, 10, 10, 12, 12, 40, 50, 10), s.freeze(2, 1),
		s.heads("indicator", "title", "unit", "value", "numerator", "denominator", "uncertainty", "completeness", "floor", "at_least", "at_most", "verdict", "estimated_share", "reason", "source", "verified")); err != nil {
		return err
	}
	for i := range b.Indicators {
		v := &b.Indicators[i]
		cells, err := b.rate(v, b.indicators[v.Indicator])
		if err != nil {
			return fmt.Errorf("indicator %s: %w", v.Indicator, err)
		}
		if err := s.add(cells...); err != nil {
			return err
		}
	}
	return b.verdicts(s.name, rateVerdict, firstRate, s.row)
}

// rate is the row of an indicator.
func (b *workbook) rate(v *greentally.IndicatorValue, row int) ([]any, error) {
	style := b.style.number
	if v.Unit == "ratio" {
		style = b.style.percent
	}
	value, numerator, denominator, verdict := b.text(nil), b.text(nil), b.text(nil), b.text(b.words[string(v.Verdict)])
	at := func(column int) string {
		name, _ := excelize.CoordinatesToCellName(column, row)
		return name
	}
	i := slices.IndexFunc(b.Workings, func(w greentally.Working) bool { return w.Indicator == v.Indicator })
	if v.Numerator != nil && v.Denominator != nil && i >= 0 {
		w := &b.Workings[i]
		var texts [2]string
		for j, text := range []string{w.Numerator, w.Denominator} {
			var err error
			texts[j], err = expression.Formula(text, func(leaf string) (string, error) { return b.leafOfRate(w, leaf) })
			if errors.Is(err, expression.ErrNoFormula) {
				b.errors[v.Indicator] = true
				continue
			}
			if err != nil {
				return nil, err
			}
		}
		numerator, denominator = b.formula(b.style.number, texts[0], *v.Numerator), b.formula(b.style.number, texts[1], *v.Denominator)
		if v.Value != nil {
			value = b.formula(style, fmt.Sprintf(`IF(%[2]s=0,"",%[1]s/%[2]s)`, at(rateNumerator), at(rateDenominator)), *v.Value)
			verdict = b.formula(b.style.text, b.verdict(v, at), b.words[string(v.Verdict)])
		}
	}
	least, most := b.text(nil), b.text(nil)
	if t := v.Target; t != nil {
		for _, bound := range []struct {
			of *float64
			to *excelize.Cell
		}{{t.AtLeast, &least}, {t.AtMost, &most}} {
			if bound.of != nil {
				*bound.to = excelize.Cell{StyleID: style, Value: *bound.of}
			}
		}
	}
	uncertainty := b.text(nil)
	if v.Uncertainty != nil {
		uncertainty = excelize.Cell{StyleID: style, Value: *v.Uncertainty}
	}
	reason := v.Reason.In(b.language)
	if b.errors[v.Indicator] {
		reason = strings.TrimSpace(reason + " " + b.words["no_formula"])
	}
	return []any{b.text(v.Indicator), b.text(v.Title.In(b.language)), b.text(v.Unit), value, numerator, denominator, uncertainty, b.percent(v.Completeness), b.percent(v.Floor),
		least, most, verdict, b.percent(v.EstimatedShare), b.text(reason), b.text(v.Source), b.text(b.word(strconv.FormatBool(v.Verified)))}, nil
}

// verdict is the formula of a verdict.
func (b *workbook) verdict(v *greentally.IndicatorValue, at func(int) string) string {
	word := func(name string) string { return expression.Literal(b.words[name]) }
	held := word("no_target")
	if t := v.Target; t != nil {
		meets := fmt.Sprintf("%s<=%s", at(rateValue), at(rateAtMost))
		if t.AtLeast != nil {
			meets = fmt.Sprintf("%s>=%s", at(rateValue), at(rateAtLeast))
		}
		held = fmt.Sprintf("IF(%s,%s,%s)", meets, word("pass"), word("fail"))
	}
	return fmt.Sprintf(`IF(OR(%s="",%s<%s),%s,%s)`, at(rateValue), at(rateCompleteness), at(rateFloor), word("insufficient_data"), held)
}

// leafOfRate is where the numerator and denominator find an input, or a fact of the community.
func (b *workbook) leafOfRate(w *greentally.Working, leaf string) (string, error) {
	if row, ok := b.inputs[inputName{w.Indicator, leaf}]; ok {
		return cell(b.words["inputs"], sumValue, row), nil
	}
	if at, ok := b.facts[leaf]; ok {
		return at, nil
	}
	if fact, ok := w.Facts[leaf]; ok {
		return expression.Literal(fact), nil
	}
	return "", fmt.Errorf("nothing is known of %s", leaf)
}

// sums writes the inputs of all indicators.
func (b *workbook) sums(s *sheet) error {
	heads := []string{"indicator", "title", "input", "of", "expression", "rows", "value", "completeness", "devices", "records", "factor"}
	for _, stream := range greentally.Streams() {
		heads = append(heads, "times_"+string(stream))
	}
	if err := errors.Join(s.widths(26, 30, 16, 24, 40, 8, 16, 12, 10, 10, 30, 14, 14, 14, 14), s.freeze(3, 1), s.heads(heads...)); err != nil {
		return err
	}
	for i := range b.Workings {
		w := &b.Workings[i]
		for j := range w.Inputs {
			if err := s.add(b.sum(w, &w.Inputs[j])...); err != nil {
				return err
			}
		}
	}
	return nil
}

// sum is the row of an input.
func (b *workbook) sum(w *greentally.Working, in *greentally.InputWorking) []any {
	name := inputName{w.Indicator, in.Name}
	var found greentally.InputValue
	for i := range b.Indicators {
		if b.Indicators[i].Indicator == w.Indicator {
			for _, v := range b.Indicators[i].Inputs {
				if v.Name == in.Name {
					found = v
				}
			}
		}
	}
	value := b.number(in.Result)
	var of, factor string
	switch {
	case in.Factor != "":
		of = b.words["factor"] + " " + in.Factor
		if f := found.Factor; f != nil {
			factor = strings.TrimSpace(fmt.Sprintf("%s %s %d %s", f.Factor, f.Of, f.Year, f.Unit))
		}
	case in.Indicator != "":
		of = b.words["indicator"] + " " + in.Indicator + " " + b.words[in.Part]
		if row := b.indicators[in.Indicator]; row != 0 && in.Result != nil {
			column := rateNumerator
			if in.Part == "denominator" {
				column = rateDenominator
			}
			value = b.formula(b.style.number, cell(b.words["indicators"], column, row), *in.Result)
		}
	default:
		of = strings.TrimSpace(in.Kind + in.Record + in.Alert)
		if l, c := b.ledgerOf(name); l != nil {
			value = b.formula(b.style.number, "SUM("+stretch(l.sheet, c.column, firstLine, l.last())+")", *in.Result)
		}
	}
	cells := []any{b.text(w.Indicator), b.text(b.title(w.Indicator)), b.text(in.Name), b.text(of), b.text(in.Value), b.text(len(in.Rows)), value,
		b.percent(found.Completeness), b.text(len(found.Devices)), b.text(len(found.Records)), b.text(factor)}
	for _, stream := range greentally.Streams() {
		cells = append(cells, b.factor(in.Times, stream))
	}
	return cells
}

// termsInFormula is how many records a weighted mean names one by one, at most: a formula has
// 8,192 characters.
const termsInFormula = 60

// factor is the weighted mean that a stream's contributions are multiplied by.
func (b *workbook) factor(t *greentally.TimesWorking, stream greentally.Stream) excelize.Cell {
	if t == nil || len(t.Records[stream]) == 0 {
		return b.text(nil)
	}
	var l *ledger
	for _, one := range b.ledgers {
		if one.typ.Name == t.Record {
			l = one
		}
	}
	if l == nil {
		return b.text(nil)
	}
	var above, below []string
	var sum, weights float64
	for _, id := range t.Records[stream] {
		row, ok := l.at[lineKey{id: id}]
		if !ok {
			continue
		}
		facts := l.rows[row-firstLine].facts
		value, _ := facts[t.Value].(float64)
		weight, _ := facts[t.Weight].(float64)
		sum, weights = sum+value*weight, weights+weight
		v, w := cell(l.sheet, l.column(t.Value), row), cell(l.sheet, l.column(t.Weight), row)
		above, below = append(above, v+"*"+w), append(below, w)
	}
	if weights == 0 {
		return b.text(nil)
	}
	mean := sum / weights
	if len(above) > termsInFormula {
		return b.number(&mean)
	}
	return b.formula(b.style.number, "("+strings.Join(above, "+")+")/("+strings.Join(below, "+")+")", mean)
}
