package dashboards

import (
	"cmp"
	"maps"
	"slices"

	"github.com/grafana/grafana-foundation-sdk/go/bargauge"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/gauge"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/piechart"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// kind is how a panel shows what it found.
type kind int

const (
	value   kind = iota // a large number, or some
	dial                // a number on a scale
	ranking             // bars beside each other, one for each series
	lines               // over time
	bars                // over time, stacked
	shares              // of a whole
	heat                // over time, a row for each series
	sheet               // a table
)

// panel is one before it is built.
type panel struct {
	kind  kind
	width uint32 // a dashboard is 24 wide

	title, about string
	unit         string
	decimals     float64
	min, max     *float64
	steps        []step
	names        map[string]word // of series
	queries      []query

	since    string // its own range of time, such as 24h or now/M; else the dashboard's
	interval string // the least that points lie apart
	none     string // what is shown where there is nothing, which is then no fault; else that there is none
	values   []span // numbers that are shown as words
	limits   bool   // of lines: show steps as lines
	dots     bool   // of lines: a dot for each point

	columns []column // of a table
	sort    string   // title of the column that a table is sorted by
	desc    bool
	tally   []string // of a table: a row for all that agree in these, and how many they are
	titled  bool     // a series for each title_zh that the query gives beside a value; of a table: a column
	named   bool     // of ranking: a bar for each row that the query gives: a title and a value
}

// step is a color from a value on; the first one's value means nothing.
type step struct {
	from  float64
	color string
}

// span is a range of values, both ends inclusive, and how it is shown; an end that is nil
// is open.
type span struct {
	from, to *float64
	word
}

// column is one of a table.
type column struct {
	name  string // as the query calls it
	title string
	unit  string
	names map[string]word
	steps []step
	bar   bool // shown as a bar, up to max if that is not 0
	max   float64
	width float64
	link  string

	hidden bool
	spans  []span

	digits float64
}

// counted is the column that tally makes, titledTime that of the times of titled.
const (
	counted    = "at_least (count)"
	titledTime = `Time\title_zh`
)

// noData is what a panel shows that should not be empty.
const noData = "暂无数据"

// notYet is what a panel of a month shows in its first hours.
const notYet = "本月尚无数据"

func ptr(v float64) *float64 { return &v }

// fluent is what the builders of all kinds of panels have.
type fluent[B any] interface {
	cog.Builder[dashboard.Panel]
	Id(uint32) B
	Title(string) B
	Description(string) B
	Datasource(common.DataSourceRef) B
	Height(uint32) B
	Span(uint32) B
	WithTarget(cog.Builder[variants.Dataquery]) B
	Unit(string) B
	Decimals(float64) B
	Min(float64) B
	Max(float64) B
	Mappings([]dashboard.ValueMapping) B
	Thresholds(cog.Builder[dashboard.ThresholdsConfig]) B
	ColorScheme(cog.Builder[dashboard.FieldColor]) B
	NoValue(string) B
	TimeFrom(string) B
	HideTimeOverride(bool) B
	Interval(string) B
	OverrideByName(string, []dashboard.DynamicConfigValue) B
	WithTransformation(dashboard.DataTransformerConfig) B
}

func (p panel) build(id, height uint32) cog.Builder[dashboard.Panel] {
	last := common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"}).Values(p.named)
	if p.named {
		last.Limit(100)
	}
	switch p.kind {
	case value:
		return finish(stat.NewPanelBuilder().ReduceOptions(last).GraphMode(common.BigValueGraphModeNone).Orientation(common.VizOrientationAuto).
			ColorMode(common.BigValueColorModeValue), p, id, height)
	case dial:
		return finish(gauge.NewPanelBuilder().ReduceOptions(last).Orientation(common.VizOrientationAuto), p, id, height)
	case ranking:
		return finish(bargauge.NewPanelBuilder().ReduceOptions(last).Orientation(common.VizOrientationHorizontal).
			DisplayMode(common.BarGaugeDisplayModeBasic).ValueMode(common.BarGaugeValueModeText), p, id, height)
	case shares:
		return finish(piechart.NewPanelBuilder().ReduceOptions(last).PieType(piechart.PieChartTypeDonut).Orientation(common.VizOrientationAuto).
			Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeSingle).Sort(common.SortOrderNone)).
			DisplayLabels([]piechart.PieChartLabels{piechart.PieChartLabelsPercent}).
			Legend(piechart.NewPieChartLegendOptionsBuilder().ShowLegend(true).DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom)), p, id, height)
	case heat:
		return finish(heatmap.NewPanelBuilder().Calculate(false).CellValues(heatmap.NewCellValuesBuilder().Unit(p.unit).Decimals(float32(p.decimals))).
			Color(heatmap.NewHeatmapColorOptionsBuilder().Mode(heatmap.HeatmapColorModeScheme).Scheme("YlGn").Steps(32).Exponent(0.5)).
			YAxis(heatmap.NewYAxisConfigBuilder().AxisPlacement(common.AxisPlacementLeft)).
			Tooltip(heatmap.NewHeatmapTooltipBuilder().Mode(common.TooltipDisplayModeSingle)), p, id, height)
	case sheet:
		t := table.NewPanelBuilder().ShowHeader(true).Footer(common.NewTableFooterOptionsBuilder().Show(false).Reducer([]string{}))
		if p.sort != "" {
			t.SortBy([]cog.Builder[common.TableSortByFieldState]{common.NewTableSortByFieldStateBuilder().DisplayName(p.sort).Desc(p.desc)})
		}
		return finish(t, p, id, height)
	}
	s := timeseries.NewPanelBuilder().LineWidth(2).FillOpacity(5).ShowPoints(common.VisibilityModeNever).
		Legend(common.NewVizLegendOptionsBuilder().ShowLegend(true).DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom)).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	if p.kind == bars {
		s.DrawStyle(common.GraphDrawStyleBars).FillOpacity(80).LineWidth(1).
			Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal).Group("A"))
	}
	if p.dots {
		s.ShowPoints(common.VisibilityModeAlways).PointSize(8)
	}
	if p.limits {
		s.ThresholdsStyle(common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed))
	}
	return finish(s, p, id, height)
}

// finish sets what panels of all kinds have.
func finish[B fluent[B]](b B, p panel, id, height uint32) B {
	b.Id(id).Title(p.title).Description(p.about).Datasource(p.queries[0].source.ref()).
		Height(height).Span(p.width).Unit(p.unit).Decimals(p.decimals)
	for i, q := range p.queries {
		b.WithTarget(q.build(i, p.kind == sheet || p.titled || p.named))
	}
	if p.min != nil {
		b.Min(*p.min)
	}
	if p.max != nil {
		b.Max(*p.max)
	}
	b.Thresholds(thresholds(p.steps))
	color := dashboard.FieldColorModeIdThresholds
	if p.kind == lines || p.kind == bars || p.kind == shares {
		color = dashboard.FieldColorModeIdPaletteClassic
	}
	b.ColorScheme(dashboard.NewFieldColorBuilder().Mode(color))
	if len(p.values) > 0 {
		b.Mappings(spanMappings(p.values))
	}
	b.NoValue(cmp.Or(p.none, noData))
	if p.since != "" {
		b.TimeFrom(p.since).HideTimeOverride(true)
	}
	if p.interval != "" {
		b.Interval(p.interval)
	}
	for _, name := range slices.Sorted(maps.Keys(p.names)) {
		w := p.names[name]
		properties := []dashboard.DynamicConfigValue{{Id: "displayName", Value: w.text}}
		if w.color != "" {
			properties = append(properties, dashboard.DynamicConfigValue{Id: "color", Value: map[string]string{"mode": "fixed", "fixedColor": w.color}})
		}
		b.OverrideByName(name, properties)
	}
	for _, o := range p.overrides() {
		b.OverrideByName(o.name, o.properties)
	}
	for _, t := range p.transformations() {
		b.WithTransformation(t)
	}
	return b
}

// transformations make of what the queries give what the panel shows.
func (p panel) transformations() (all []dashboard.DataTransformerConfig) {
	add := func(id string, options any) {
		all = append(all, dashboard.DataTransformerConfig{Id: id, Options: options})
	}
	if p.titled {
		add("groupingToMatrix", map[string]string{"columnField": "title_zh", "rowField": "Time", "valueField": "value", "emptyValue": "null"})
		add("convertFieldType", map[string]any{"conversions": []map[string]string{{"targetField": titledTime, "destinationType": "time"}}})
		return all
	}
	if p.named {
		add("sortBy", map[string]any{"fields": struct{}{}, "sort": []map[string]any{{"field": "value", "desc": true}}})
	}
	if p.kind != sheet {
		return all
	}
	if len(p.queries) > 1 { // a row for those that agree in all that they have in common
		add("merge", struct{}{})
	}
	if len(p.tally) > 0 {
		type operation struct {
			Operation    string   `json:"operation"`
			Aggregations []string `json:"aggregations"`
		}
		fields := map[string]operation{"at_least": {"aggregate", []string{"count"}}}
		for _, name := range p.tally {
			fields[name] = operation{"groupby", []string{}}
		}
		add("groupBy", map[string]any{"fields": fields})
	}
	return append(all, p.order())
}

// override is what is different about one column.
type override struct {
	name       string
	properties []dashboard.DynamicConfigValue
}

// overrides say how the columns of a table look.
func (p panel) overrides() (all []override) {
	for _, c := range p.columns {
		var properties []dashboard.DynamicConfigValue
		set := func(id string, value any) {
			properties = append(properties, dashboard.DynamicConfigValue{Id: id, Value: value})
		}
		if c.hidden {
			continue
		}
		set("displayName", c.title)
		if c.unit != "" {
			set("unit", c.unit)
			set("decimals", c.digits)
		}
		if c.width != 0 {
			set("custom.width", c.width)
		}
		if c.names != nil || c.spans != nil {
			set("mappings", append(wordMappings(c.names), spanMappings(c.spans)...))
		}
		if c.steps != nil {
			steps, _ := thresholds(c.steps).Build()
			set("thresholds", steps)
			set("color", map[string]string{"mode": "thresholds"})
		}
		switch {
		case c.bar:
			set("min", 0)
			if c.max != 0 {
				set("max", c.max)
			}
			set("custom.cellOptions", map[string]string{"type": "gauge", "mode": "basic"})
		case c.steps != nil || c.colored():
			set("custom.cellOptions", map[string]string{"type": "color-text"})
		}
		if c.link != "" {
			set("links", []map[string]string{{"title": "查看详情", "url": c.link}})
		}
		all = append(all, override{c.name, properties})
	}
	return all
}

// order puts the columns of a table in order, which those of tags are not by themselves, and
// takes out those that are hidden.
func (p panel) order() dashboard.DataTransformerConfig {
	at, without := map[string]int{}, map[string]bool{"Time": true}
	for i, c := range p.columns {
		at[c.name] = i
		without[c.name] = c.hidden
	}
	return dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{"indexByName": at, "excludeByName": without, "renameByName": struct{}{}}}
}

func (c column) colored() bool {
	for _, w := range c.names {
		if w.color != "" {
			return true
		}
	}
	return false
}

func thresholds(steps []step) cog.Builder[dashboard.ThresholdsConfig] {
	if len(steps) == 0 {
		steps = []step{{color: "text"}}
	}
	all := make([]dashboard.Threshold, len(steps))
	for i, s := range steps {
		all[i].Color = s.color
		if i > 0 {
			all[i].Value = &s.from
		}
	}
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(all)
}

func wordMappings(names map[string]word) []dashboard.ValueMapping {
	if len(names) == 0 {
		return nil
	}
	options := map[string]dashboard.ValueMappingResult{}
	for i, name := range slices.Sorted(maps.Keys(names)) {
		options[name] = names[name].result(i)
	}
	return []dashboard.ValueMapping{{ValueMap: &dashboard.ValueMap{Type: dashboard.MappingTypeValueToText, Options: options}}}
}

func spanMappings(spans []span) []dashboard.ValueMapping {
	var all []dashboard.ValueMapping
	for i, s := range spans {
		all = append(all, dashboard.ValueMapping{RangeMap: &dashboard.RangeMap{Type: dashboard.MappingTypeRangeToText,
			Options: dashboard.DashboardRangeMapOptions{From: s.from, To: s.to, Result: s.result(i)}}})
	}
	return all
}

func (w word) result(number int) dashboard.ValueMappingResult {
	index := int32(number) //nolint:gosec // there are few
	r := dashboard.ValueMappingResult{Text: &w.text, Index: &index}
	if w.color != "" {
		r.Color = &w.color
	}
	return r
}
