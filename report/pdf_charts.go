package report

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/go-analyze/charts"

	"greentally"
	"greentally/report/paper"
)

// A chart is drawn ten units to a millimetre; all of its text is 8 points.
const (
	chartUnit = 0.1
	chartText = 21.0 // points; there are 96 units to the inch
)

// The shades of charts differ in brightness, so that they differ in print, too. They are
// functions, as colours are no constants.
func dark() charts.Color   { return charts.ColorRGB(22, 62, 92) }
func middle() charts.Color { return charts.ColorRGB(74, 135, 110) }
func light() charts.Color  { return charts.ColorRGB(178, 200, 212) }

// streamColours are those of recyclable, food, residual and hazardous waste.
func streamColours() []charts.Color {
	return []charts.Color{charts.ColorRGB(40, 92, 140), charts.ColorRGB(128, 182, 148), charts.ColorRGB(212, 217, 222), charts.ColorRGB(88, 14, 14)}
}

func chartTheme(colours ...charts.Color) charts.ColorPalette {
	grey := charts.ColorRGB(88, 98, 110)
	return charts.MakeTheme(charts.ThemeOption{
		AxisStrokeColor: charts.ColorRGB(120, 128, 138), AxisSplitLineColor: charts.ColorRGB(225, 229, 233),
		BackgroundColor: charts.ColorWhite, TextColor: grey, TextColorLabel: charts.ColorRGB(29, 37, 45), TextColorLegend: charts.ColorRGB(29, 37, 45), SeriesColors: colours,
	})
}

func (p *pdf) chartFont() charts.FontStyle {
	return charts.FontStyle{FontSize: chartText, Font: p.font}
}

// chart draws what draw draws, as high as that, at the place of the sheet.
func (p *pdf) chart(height float64, draw func(*charts.Painter) error) error {
	painter := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: int(paper.Width / chartUnit), Height: int(height / chartUnit), Font: p.font})
	if err := draw(painter); err != nil {
		return fmt.Errorf("draw a chart: %w", err)
	}
	svg, err := painter.Bytes()
	if err != nil {
		return fmt.Errorf("draw a chart: %w", err)
	}
	p.Need(height)
	if err := p.Draw(svg, paper.Left, p.Y, chartUnit); err != nil {
		return err
	}
	p.Y += height + 2
	return nil
}

// charts is the chapter of charts.
func (p *pdf) charts() error {
	p.Chapter(p.word("charts"))
	for _, draw := range []func() error{p.targetCharts, p.massChart, p.energyChart, p.trendCharts} {
		if err := draw(); err != nil {
			return err
		}
	}
	return nil
}

// targetCharts draws the indicators that have a target and a value, those of each unit in
// a chart.
func (p *pdf) targetCharts() error {
	l := &p.Looks
	of := map[string][]greentally.IndicatorValue{}
	for _, v := range p.e.Indicators {
		if v.Target != nil && v.Value != nil && (v.Target.AtLeast != nil || v.Target.AtMost != nil) {
			of[v.Unit] = append(of[v.Unit], v)
		}
	}
	var alone []string // in its unit, which is not worth a chart
	for unit, values := range of {
		if v := values[0]; len(values) == 1 && unit != "ratio" {
			value, unit, _ := p.valueOf(v)
			alone = append(alone, p.word("chart_alone", "title", v.Title.In(p.language), "value", value+" "+unit, "target", targetOf(v)))
			delete(of, v.Unit)
		}
	}
	slices.Sort(alone)
	units := slices.SortedFunc(maps.Keys(of), func(a, b string) int { return cmp.Or(len(of[b])-len(of[a]), cmp.Compare(a, b)) })
	if len(units) == 0 {
		p.Section(p.word("chart_targets", "unit", "%"), 10)
		p.Paragraph(p.word("chart_no_target"), l.Body)
	}
	for n, unit := range units {
		const bars = 16 // of a chart, so that it fits on a page
		for from := 0; from < len(of[unit]); from += bars {
			some := of[unit][from:min(from+bars, len(of[unit]))]
			height := 17 + 9.5*float64(len(some))
			p.Section(p.word("chart_targets", "unit", greentally.UnitTitle(unit).In(p.language)), height)
			if n == 0 && from == 0 {
				p.tight(p.word("targets_are"), l.Faint)
				p.Y += 1
			}
			if err := p.targetChart(unit, some, height); err != nil {
				return err
			}
		}
	}
	if len(alone) > 0 {
		p.Paragraph(p.word("chart_others", "values", strings.Join(alone, p.word("semicolon"))), l.Faint)
	}
	return nil
}

func (p *pdf) targetChart(unit string, of []greentally.IndicatorValue, height float64) error {
	scale := 1.0
	if unit == "ratio" {
		scale = 100
	}
	var labels []string
	values := make([][]float64, 2)
	for _, v := range slices.Backward(of) { // the first one is drawn lowest
		target := v.Target.AtLeast
		label := v.Title.In(p.language)
		if target == nil {
			target = v.Target.AtMost
			label += p.word("chart_at_most")
		}
		if v.Verdict == greentally.InsufficientData {
			label += p.word("comma") + p.word(string(v.Verdict))
		}
		labels = append(labels, p.chartLabel(label, 58))
		values[0] = append(values[0], *v.Value*scale)
		values[1] = append(values[1], *target*scale)
	}
	opt := charts.NewBarChartOptionWithData(values)
	opt.Horizontal = true
	opt.Theme = chartTheme(dark(), light())
	opt.Padding = charts.Box{Top: 10, Left: 0, Right: 130, Bottom: 0, IsSet: true}
	opt.Legend = charts.LegendOption{SeriesNames: []string{p.word("measured"), p.word("target_word")}, FontStyle: p.chartFont()}
	opt.CategoryAxis.Labels = labels
	opt.CategoryAxis.LabelFontStyle = p.chartFont()
	opt.ValueAxis[0].LabelFontStyle = p.chartFont()
	most := max(slices.Max(values[0]), slices.Max(values[1]))
	if unit == "ratio" {
		most = max(most, 100)
	}
	scaleOf(&opt.ValueAxis[0], most)
	opt.BarSize = 0.8
	opt.ValueFormatter = func(v float64) string { return rounded(v, 2) }
	for i := range opt.SeriesList {
		opt.SeriesList[i].Label = charts.SeriesLabel{Show: charts.Ptr(true), FontStyle: p.chartFont(), ValueFormatter: func(v float64) string { return rounded(v, 2) }}
	}
	return p.chart(height, func(painter *charts.Painter) error { return painter.BarChart(opt) })
}

// chartLabel is a label that is no wider than so many millimetres.
func (p *pdf) chartLabel(text string, width float64) string {
	st := p.Looks.Faint
	st.Size = chartText * 96 * chartUnit / 25.4
	return p.Short(text, width, st)
}

// scaleOf makes an axis go from 0 to a round number that is no less.
func scaleOf(axis *charts.ValueAxisOption, most float64) {
	step := 1.0
	if most > 0 {
		step = math.Pow(10, math.Floor(math.Log10(most/4)))
	}
	for _, more := range []float64{2, 2.5, 2} { // 1, 2, 5, 10
		if most/step > 5 {
			step *= more
		}
	}
	steps := max(1, math.Ceil(most/step-1e-9))
	axis.Min, axis.Max, axis.LabelCount = charts.Ptr(0.0), charts.Ptr(steps*step), int(steps)+1
	axis.RangeValuePaddingScale = charts.Ptr(0.0)
}

// byDate sums something of the month's device-days by date; nil where there is nothing.
func (p *pdf) byDate(of func(*greentally.DeviceDay) (greentally.Amount, bool)) (all []*float64) {
	sums := map[greentally.Date]greentally.Amount{}
	for i := range p.e.Days {
		if amount, ok := of(&p.e.Days[i]); ok {
			sums[p.e.Days[i].Date] += amount
		}
	}
	for date := p.e.Month.First(); !p.e.Month.Last().Before(date); date = date.Add(1) {
		if sum, ok := sums[date]; ok {
			v := sum.Float()
			all = append(all, &v)
		} else {
			all = append(all, nil)
		}
	}
	return all
}

// daily draws bars for each day of the month, one above the other.
func (p *pdf) daily(height float64, values [][]float64, names []string, colours []charts.Color) error {
	nothing := make([]float64, p.e.Month.Last().Day) // without it, the axis of some small values begins below 0
	opt := charts.NewBarChartOptionWithData(append(slices.Clone(values), nothing))
	opt.StackSeries = charts.Ptr(true)
	opt.Theme = chartTheme(append(colours, charts.ColorWhite)...)
	opt.Padding = charts.Box{Top: 10, Left: 0, Right: 10, Bottom: 0, IsSet: true}
	if len(names) > 1 {
		opt.Legend = charts.LegendOption{SeriesNames: names, FontStyle: p.chartFont()}
	}
	for day := 1; day <= p.e.Month.Last().Day; day++ {
		opt.CategoryAxis.Labels = append(opt.CategoryAxis.Labels, strconv.Itoa(day))
	}
	opt.CategoryAxis.LabelCount = len(opt.CategoryAxis.Labels)
	opt.CategoryAxis.LabelFontStyle = p.chartFont()
	opt.ValueAxis[0].LabelFontStyle = p.chartFont()
	most := 0.0
	for day := range values[0] {
		sum := 0.0
		for _, series := range values {
			sum += series[day]
		}
		most = max(most, sum)
	}
	scaleOf(&opt.ValueAxis[0], most)
	opt.ValueFormatter = func(v float64) string { return rounded(v, 1) }
	opt.BarSize = 0.7
	return p.chart(height, func(painter *charts.Painter) error { return painter.BarChart(opt) })
}

// massChart draws what was deposited in sorting bins.
func (p *pdf) massChart() error {
	l := &p.Looks
	const height = 68.0
	p.Section(p.word("chart_mass"), height+30)
	streams := []greentally.Stream{greentally.Recyclable, greentally.Food, greentally.Residual, greentally.Hazardous}
	var values [][]float64
	var names []string
	var colours []charts.Color
	var rows []paper.Row
	var all, taken greentally.Amount
	bins := map[greentally.Stream]map[string]bool{}
	deposited, collected, emptied := map[greentally.Stream]greentally.Amount{}, map[greentally.Stream]greentally.Amount{}, map[greentally.Stream]int{}
	for i := range p.e.Days {
		d := &p.e.Days[i]
		m, ok := d.Masses["mass_kg"]
		if !ok || d.Kind != "sorting_bin" {
			continue
		}
		deposited[d.Stream] += m.Deposited
		collected[d.Stream] += m.Collected
		emptied[d.Stream] += len(m.Collections)
		if bins[d.Stream] == nil {
			bins[d.Stream] = map[string]bool{}
		}
		bins[d.Stream][d.Device] = true
		all += m.Deposited
		taken += m.Collected
	}
	for i, stream := range streams {
		if bins[stream] == nil {
			continue
		}
		var series []float64
		for _, v := range p.byDate(func(d *greentally.DeviceDay) (greentally.Amount, bool) {
			m, ok := d.Masses["mass_kg"]
			return m.Deposited, ok && d.Kind == "sorting_bin" && d.Stream == stream
		}) {
			if v == nil {
				series = append(series, 0)
			} else {
				series = append(series, max(0, *v))
			}
		}
		values, names, colours = append(values, series), append(names, p.word(string(stream))), append(colours, streamColours()[i])
		share := p.word("none")
		if all > 0 {
			share = percent(deposited[stream].Float()/all.Float(), 1)
		}
		rows = append(rows, paper.Row{Cells: paper.Texts(p.word(string(stream)), strconv.Itoa(len(bins[stream])), rounded(deposited[stream].Float(), 1), share, rounded(collected[stream].Float(), 1), strconv.Itoa(emptied[stream]))})
	}
	if len(values) == 0 {
		p.Paragraph(p.word("no_mass"), l.Body)
		return nil
	}
	if err := p.daily(height, values, names, colours); err != nil {
		return err
	}
	p.Paragraph(p.word("mass_are", "streams", strings.Join(names, p.word("comma"))), l.Faint)
	total := paper.Texts(p.word("total"), "", rounded(all.Float(), 1), "", rounded(taken.Float(), 1), "")
	total[0].Strong, total[2].Strong, total[4].Strong = true, true, true
	right := paper.AtRight
	p.Table([]paper.Column{{Title: p.word("stream"), Width: 44}, {Title: p.word("bins"), Width: 20, Align: right}, {Title: p.word("deposited") + " (kg)", Width: 32, Align: right},
		{Title: p.word("share"), Width: 22, Align: right}, {Title: p.word("collected") + " (kg)", Width: 32, Align: right}, {Title: p.word("emptied"), Width: 24, Align: right}}, append(rows, paper.Row{Cells: total}))
	return nil
}

// energyChart draws what lighting meters counted.
func (p *pdf) energyChart() error {
	l := &p.Looks
	const height = 58.0
	p.Section(p.word("chart_energy"), height+10)
	energy := func(d *greentally.DeviceDay) (greentally.Amount, bool) {
		r, ok := d.Registers["energy_kwh"]
		return r.Rise, ok && d.Kind == "lighting_meter"
	}
	meters := map[string]bool{}
	for i := range p.e.Days {
		if _, ok := energy(&p.e.Days[i]); ok {
			meters[p.e.Days[i].Device] = true
		}
	}
	if len(meters) == 0 {
		p.Paragraph(p.word("no_energy"), l.Body)
		return nil
	}
	var series []float64
	total := 0.0
	for _, v := range p.byDate(energy) {
		if v == nil {
			series = append(series, 0)
			continue
		}
		series = append(series, max(0, *v))
		total += *v
	}
	if err := p.daily(height, [][]float64{series}, nil, []charts.Color{middle()}); err != nil {
		return err
	}
	p.Paragraph(p.word("energy_are", "n", strconv.Itoa(len(meters)), "sum", rounded(total, 1)), l.Faint)
	return nil
}

// trendCharts draws rates over the months before and this one.
func (p *pdf) trendCharts() error {
	l := &p.Looks
	const height, lines = 68.0, 3
	months := []greentally.Month{p.e.Month}
	for _, v := range p.e.Earlier {
		if !slices.Contains(months, v.Month) {
			months = append(months, v.Month)
		}
	}
	slices.SortFunc(months, func(a, b greentally.Month) int { return cmp.Or(a.Year-b.Year, int(a.Month-b.Month)) })
	of := map[string]map[greentally.Month]float64{}
	for _, v := range slices.Concat(p.e.Earlier, p.e.Indicators) {
		if v.Value != nil && v.Unit == "ratio" {
			if of[v.Indicator] == nil {
				of[v.Indicator] = map[greentally.Month]float64{}
			}
			of[v.Indicator][v.Month] = *v.Value
		}
	}
	var shown []greentally.IndicatorValue
	names := TrendOf(slices.Concat(p.e.Indicators, p.e.Earlier))
	for _, v := range p.e.Indicators {
		if slices.Contains(names, v.Indicator) && len(of[v.Indicator]) > 0 && len(months) > 1 {
			shown = append(shown, v)
		}
	}
	p.Section(p.word("chart_trend"), height+6)
	if len(shown) == 0 {
		p.Paragraph(p.word("no_trend"), l.Body)
		return nil
	}
	symbols := []charts.SymbolShape{charts.SymbolDot, charts.SymbolSquare, charts.SymbolDiamond, charts.SymbolCircle}
	colours := []charts.Color{dark(), charts.ColorRGB(150, 27, 20), charts.ColorRGB(74, 135, 110), charts.ColorRGB(140, 150, 160)}
	for some := range slices.Chunk(shown, lines) {
		var values [][]float64
		var names []string
		for _, v := range some {
			var series []float64
			for _, m := range months {
				if value, ok := of[v.Indicator][m]; ok {
					series = append(series, 100*value)
				} else {
					series = append(series, charts.GetNullValue())
				}
			}
			values, names = append(values, series), append(names, p.chartLabel(v.Title.In(p.language), 60))
		}
		opt := charts.NewLineChartOptionWithData(values)
		opt.Theme = chartTheme(colours...)
		opt.Padding = charts.Box{Top: 10, Left: 0, Right: 40, Bottom: 0, IsSet: true}
		opt.Legend = charts.LegendOption{SeriesNames: names, FontStyle: p.chartFont()}
		opt.XAxis.Labels = nil
		for _, m := range months {
			opt.XAxis.Labels = append(opt.XAxis.Labels, m.String())
		}
		opt.XAxis.LabelFontStyle = p.chartFont()
		opt.XAxis.LabelCount = len(months)
		opt.YAxis[0].LabelFontStyle = p.chartFont()
		most := 100.0
		for _, v := range some {
			for _, value := range of[v.Indicator] {
				most = max(most, 100*value)
			}
		}
		scaleOf(&opt.YAxis[0], most)
		opt.LineStrokeWidth = 4
		opt.ValueFormatter = func(v float64) string { return rounded(v, 1) + "%" }
		for i := range opt.SeriesList {
			opt.SeriesList[i].Symbol = charts.Symbol{Shape: symbols[i], Size: 11}
		}
		if err := p.chart(height, func(painter *charts.Painter) error { return painter.LineChart(opt) }); err != nil {
			return err
		}
	}
	p.Paragraph(p.word("trend_are"), l.Faint)
	return nil
}
