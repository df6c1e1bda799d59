package report

import (
	"errors"
	"fmt"
	"slices"

	"github.com/xuri/excelize/v2"

	"greentally"
)

// charts draws what is looked at first, beside the small tables that the charts are of.
func (b *workbook) charts(s *sheet) error {
	if err := s.widths(34, 12, 12, 12, 12, 12, 12, 12); err != nil {
		return err
	}
	rates, targets, err := b.againstTargets(s)
	if err != nil {
		return err
	}
	s.skip()
	months, columns, err := b.trend(s)
	if err != nil {
		return err
	}
	const wide, high = 900, 340
	axis := func(format string) excelize.ChartAxis {
		return excelize.ChartAxis{NumFmt: excelize.ChartNumFmt{CustomNumFmt: format}, Font: excelize.Font{Color: "333333", Size: 9}, MajorGridLines: format == "0%"}
	}
	from0 := func(a excelize.ChartAxis) excelize.ChartAxis { a.Minimum = ptr(0); return a }
	series := func(sheet string, column, from, to int, color string) excelize.ChartSeries {
		return excelize.ChartSeries{Name: cell(sheet, column, from-1), Categories: stretch(sheet, 1, from, to), Values: stretch(sheet, column, from, to),
			Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{color}}}
	}
	row := s.row + 2
	draw := func(title string, height uint, chart excelize.Chart) {
		chart.Title = excelize.ChartTitle{Paragraph: []excelize.RichTextRun{{Text: b.words[title]}}}
		chart.Dimension = excelize.ChartDimension{Width: wide, Height: height}
		if chart.Legend.Position == "" {
			chart.Legend = excelize.ChartLegend{Position: "bottom", Font: &excelize.Font{Color: "333333"}}
		}
		if err == nil {
			err = b.file.AddChart(s.name, fmt.Sprintf("A%d", row), &chart)
		}
		row += int(height)/20 + 2
	}
	if rates > 0 {
		value := axis("@")
		value.ReverseOrder = true
		draw("chart_rates", uint(120+34*rates), excelize.Chart{Type: excelize.Bar, XAxis: value, YAxis: from0(axis("0%")), Series: []excelize.ChartSeries{
			series(s.name, 2, targets, targets+rates-1, "1B5E3A"), series(s.name, 3, targets, targets+rates-1, "C9D6CE")}})
	}
	if days := b.Through.Day; b.Through.MonthOf() == b.Month && days > 0 {
		daily := b.words["daily"]
		var streams []excelize.ChartSeries
		for i, color := range []string{"2E6FB7", "C0392B", "7CB342", "5F6B64"} {
			streams = append(streams, series(daily, dailyStreams+i, firstDay, firstDay+days-1, color))
		}
		draw("chart_streams", high, excelize.Chart{Type: excelize.ColStacked, Series: streams, XAxis: axis("m-d"), YAxis: from0(axis("0"))})
		draw("chart_energy", high, excelize.Chart{Type: excelize.Col, Series: []excelize.ChartSeries{series(daily, dailyEnergy, firstDay, firstDay+days-1, "B7791F")}, XAxis: axis("m-d"), YAxis: from0(axis("0")),
			Legend: excelize.ChartLegend{Position: "none"}})
	}
	if columns > 0 {
		var lines []excelize.ChartSeries
		last := s.row
		for i, color := range []string{"1B5E3A", "2E6FB7", "B7791F", "8A1C1C", "5F6B64", "7B4B94"}[:columns] {
			line := series(s.name, 2+i, last-months+1, last, color)
			line.Line, line.Marker = excelize.LineOptions{Width: 2, Fill: line.Fill}, excelize.ChartMarker{Symbol: "circle", Size: 6, Fill: line.Fill}
			lines = append(lines, line)
		}
		draw("chart_trend", high, excelize.Chart{Type: excelize.Line, Series: lines, XAxis: axis("@"), YAxis: from0(axis("0%")), ShowBlanksAs: "gap"})
	}
	return err
}

// againstTargets writes the ratios that have a value and a target, and returns how many there
// are and the row of the first.
func (b *workbook) againstTargets(s *sheet) (n, first int, err error) {
	err = s.heads("chart_rates", "value", "target")
	first = s.row + 1
	for i := range b.Indicators {
		v := &b.Indicators[i]
		if v.Unit != "ratio" || v.Value == nil || v.Target == nil {
			continue
		}
		target := v.Target.AtMost
		if v.Target.AtLeast != nil {
			target = v.Target.AtLeast
		}
		err = errors.Join(err, s.add(b.text(v.Title.In(b.language)+" "+v.Target.In(v.Unit)), b.formula(b.style.percent, cell(b.words["indicators"], rateValue, b.indicators[v.Indicator]), *v.Value), b.percent(*target)))
		n++
	}
	return n, first, err
}

// trend writes some ratios month by month, the latest last, and returns how many months and
// ratios there are.
func (b *workbook) trend(s *sheet) (months, columns int, err error) {
	all := append(slices.Clone(b.Earlier), b.Indicators...)
	names := TrendOf(all)
	heads := []string{"chart_trend"}
	for _, name := range names {
		heads = append(heads, b.title(name))
	}
	err = s.heads(heads...)
	var seen []greentally.Month
	for _, v := range all {
		if !slices.Contains(seen, v.Month) {
			seen = append(seen, v.Month)
		}
	}
	for _, month := range seen {
		cells := []any{b.text(month.String())}
		for _, name := range names {
			value := b.text(nil)
			for _, v := range all {
				if v.Month == month && v.Indicator == name && v.Value != nil {
					value = b.percent(*v.Value)
				}
			}
			cells = append(cells, value)
		}
		err = errors.Join(err, s.add(cells...))
	}
	return len(seen), len(names), err
}

// trendLines is how many lines a chart of months has, at most.
const trendLines = 6

// TrendOf returns the ratios whose months are worth a chart: those with a target, and of these
// first the ones that rest on devices.
func TrendOf(all []greentally.IndicatorValue) []string {
	var measured, attested []string
	for _, v := range all {
		if v.Unit != "ratio" || v.Target == nil || v.Value == nil || slices.Contains(measured, v.Indicator) || slices.Contains(attested, v.Indicator) {
			continue
		}
		if slices.ContainsFunc(v.Inputs, func(in greentally.InputValue) bool { return len(in.Devices) > 0 }) {
			measured = append(measured, v.Indicator)
		} else {
			attested = append(attested, v.Indicator)
		}
	}
	names := append(measured, attested...)
	return names[:min(len(names), trendLines)]
}

func ptr(v float64) *float64 { return &v }
