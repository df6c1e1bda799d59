package mail

import (
	"bytes"
	"context"
	"fmt"
	html "html/template"
	"iter"
	"math"
	"strconv"
	"time"

	"github.com/go-analyze/charts/chartdraw"
	"github.com/go-analyze/charts/chartdraw/drawing"

	"greentally"
)

// A chart is drawn for a phone, two pixels to a point; there are no words in it, so that
// it needs no font for Chinese.
const (
	chartSpan   = 24 * time.Hour
	chartWidth  = 716
	chartHeight = 300
	chartFont   = 22 // pixels

	// chartPatience is how long a mail waits for readings.
	chartPatience = 2 * time.Second

	// gapIntervals is how many of its intervals a device may be silent before the line
	// breaks, the same as for tallies.
	gapIntervals = 3
)

// curve is what a chart shows.
type curve struct {
	from, to time.Time
	points   []point
	gap      time.Duration // longer than this between two points, the line breaks
	limit    *float64
	ratio    bool // of 0 to 1
	format   func(float64) string
	location *time.Location
}

type point struct {
	time  time.Time
	value float64
}

// addCharts draws charts for the first alerts that have one.
func (w *writer) addCharts(ctx context.Context, p *Page, alerts []greentally.Alert) {
	if w.options.Readings == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, chartPatience)
	defer cancel()
	drawn := 0
	for i, a := range alerts[:len(p.Items)] {
		if drawn == mostCharts {
			return
		}
		if a.Quantity == "" || a.Device == "" || a.Ended != nil && drawn > 0 {
			continue
		}
		chart, err := w.chart(ctx, a)
		if err != nil || chart == nil { // the mail is worth more than its picture
			continue
		}
		drawn++
		chart.id = "chart-" + strconv.Itoa(drawn)
		chart.Source = html.URL("cid:" + chart.id) //nolint:gosec // not from outside
		p.Items[i].Chart = chart
	}
}

// chart returns nil if there is nothing to draw.
func (w *writer) chart(ctx context.Context, a greentally.Alert) (*Chart, error) {
	community, location := w.community(a.Community)
	quantity := greentally.Quantity{Name: a.Quantity}
	if kind := w.kind(a.Kind); kind != nil {
		if q, ok := kind.Quantity(a.Quantity); ok {
			quantity = q
		}
	}
	if quantity.Nature == greentally.State {
		return nil, nil
	}
	interval := 10 * time.Minute
	if d := findDevice(community, a.Device); d != nil && d.Interval > 0 {
		interval = time.Duration(d.Interval)
	}
	c := curve{
		from: w.now.Add(-chartSpan), to: w.now, gap: gapIntervals * interval,
		limit: a.Limit, ratio: quantity.Unit == "/", location: location,
		format: func(v float64) string { return w.words.amount(v, quantity.Unit) },
	}
	for r, err := range w.options.Readings(ctx, greentally.ReadingQuery{
		DeviceKey: greentally.DeviceKey{Community: a.Community, Device: a.Device}, Kind: a.Kind,
		From: c.from, To: c.to, With: a.Quantity,
	}) {
		if err != nil {
			return nil, err
		}
		if v, ok := r.Value(a.Quantity); ok && v.State == "" {
			c.points = append(c.points, point{r.Time, v.Number})
		}
	}
	if len(c.points) == 0 {
		return nil, nil
	}
	picture, err := c.draw()
	if err != nil {
		return nil, err
	}
	title := line(quantity.Title.In(w.words.language))
	if title == "" {
		title = line(a.Quantity)
	}
	last := c.points[len(c.points)-1]
	caption := w.words.get("chart_now", "quantity", title, "value", c.format(last.value))
	if w.now.Sub(last.time) > c.gap {
		caption = w.words.get("chart_last", "quantity", title, "value", c.format(last.value), "when", w.when(last.time, location))
	}
	if a.Limit != nil {
		caption += w.words.get("chart_limit", "limit", c.format(*a.Limit))
	}
	return &Chart{Caption: caption + w.words.get("chart_end"), png: picture}, nil
}

// draw returns the picture as PNG.
func (c curve) draw() ([]byte, error) {
	var (
		grid = drawing.ColorFromHex("e4e7ec")
		text = drawing.ColorFromHex("475467")
		blue = drawing.ColorFromHex("1570ef")
		red  = drawing.ColorFromHex("d92d20")
	)
	line := chartdraw.Style{StrokeColor: blue, StrokeWidth: 4, FillColor: blue.WithAlpha(28)}
	dot := chartdraw.Style{StrokeColor: blue, StrokeWidth: 0, DotColor: blue, DotWidth: 5}

	low, high, step := c.scale()
	x := func(t time.Time) float64 { return chartdraw.TimeToFloat64(t) }
	chart := chartdraw.Chart{
		Width: chartWidth, Height: chartHeight, DPI: 72, // so that points are pixels
		Background: chartdraw.Style{FillColor: drawing.ColorWhite, Padding: chartdraw.Box{Top: 22, Left: 34, Right: 10, Bottom: 10, IsSet: true}},
		Canvas:     chartdraw.Style{FillColor: drawing.ColorWhite},
		XAxis: chartdraw.XAxis{
			Style:          chartdraw.Style{FontStyle: chartdraw.FontStyle{FontSize: chartFont, FontColor: text}, StrokeColor: grid, StrokeWidth: 2},
			GridMajorStyle: chartdraw.Style{StrokeColor: grid, StrokeWidth: 2},
		},
		YAxis: chartdraw.YAxis{
			Style:          chartdraw.Style{FontStyle: chartdraw.FontStyle{FontSize: chartFont, FontColor: text}, StrokeColor: grid, StrokeWidth: 2},
			GridMajorStyle: chartdraw.Style{StrokeColor: grid, StrokeWidth: 2},
		},
		YAxisSecondary: chartdraw.HideYAxis(),
	}
	// The first and the last tick say where an axis begins and ends.
	chart.XAxis.Ticks = []chartdraw.Tick{{Value: x(c.from)}}
	for t := range c.hours() {
		chart.XAxis.Ticks = append(chart.XAxis.Ticks, chartdraw.Tick{Value: x(t), Label: t.Format("15:04")})
		chart.XAxis.GridLines = append(chart.XAxis.GridLines, chartdraw.GridLine{Value: x(t)})
	}
	chart.XAxis.Ticks = append(chart.XAxis.Ticks, chartdraw.Tick{Value: x(c.to)})
	for i := range int(math.Round((high-low)/step)) + 1 {
		v := low + step*float64(i)
		chart.YAxis.Ticks = append(chart.YAxis.Ticks, chartdraw.Tick{Value: v, Label: c.format(v)})
		chart.YAxis.GridLines = append(chart.YAxis.GridLines, chartdraw.GridLine{Value: v})
	}
	for _, piece := range c.pieces() {
		s := chartdraw.TimeSeries{Style: line}
		if len(piece) == 1 {
			s.Style = dot
		}
		for _, p := range piece {
			s.XValues, s.YValues = append(s.XValues, p.time), append(s.YValues, p.value)
		}
		chart.Series = append(chart.Series, s)
	}
	if c.limit != nil {
		chart.Series = append(chart.Series, chartdraw.TimeSeries{
			Style:   chartdraw.Style{StrokeColor: red, StrokeWidth: 3, StrokeDashArray: []float64{12, 8}},
			XValues: []time.Time{c.from, c.to}, YValues: []float64{*c.limit, *c.limit},
		})
	}
	last := c.points[len(c.points)-1]
	dot.DotWidth = 8
	chart.Series = append(chart.Series, chartdraw.TimeSeries{Style: dot, XValues: []time.Time{last.time}, YValues: []float64{last.value}})

	var b bytes.Buffer
	if err := chart.Render(chartdraw.PNG, &b); err != nil {
		return nil, fmt.Errorf("draw the chart: %w", err)
	}
	return b.Bytes(), nil
}

// scale returns what the vertical axis spans, which is the values and the limit, and the
// step of its at most five ticks.
func (c curve) scale() (low, high, step float64) {
	low, high = c.points[0].value, c.points[0].value
	for _, p := range c.points {
		low, high = min(low, p.value), max(high, p.value)
	}
	if c.limit != nil {
		low, high = min(low, *c.limit), max(high, *c.limit)
	}
	if c.ratio {
		low, high = min(low, 0), max(high, 1)
	}
	if low == high {
		low, high = low-1, high+1
	}
	step = math.Pow(10, math.Floor(math.Log10((high-low)/3)))
	for _, more := range []float64{2, 2.5, 2} { // 1, 2, 5, 10
		if (high-low)/step > 3 {
			step *= more
		}
	}
	return math.Floor(low/step) * step, math.Ceil(high/step) * step, step
}

// hours yields every sixth hour of the local clock.
func (c curve) hours() iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		from := c.from.In(c.location)
		for hour := 0; ; hour += 6 {
			t := time.Date(from.Year(), from.Month(), from.Day(), hour, 0, 0, 0, c.location)
			if t.After(c.to) || !t.Before(c.from) && !yield(t) {
				return
			}
		}
	}
}

// pieces returns the stretches without gaps.
func (c curve) pieces() [][]point {
	var all [][]point
	for i, p := range c.points {
		if i == 0 || p.time.Sub(c.points[i-1].time) > c.gap {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], p)
	}
	return all
}
