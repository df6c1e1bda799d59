package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// source is a data source that is provisioned.
type source string

const (
	readings source = "readings" // the bucket of the readings
	derived  source = "derived"  // that of device-days, indicators, records and alerts
	metrics  source = "prometheus"
)

func (s source) ref() common.DataSourceRef {
	if s == metrics {
		return ref("prometheus", "greentally-prometheus")
	}
	return ref("influxdb", "greentally-"+string(s))
}

// query is what a panel asks a source. What it calls a series can use $tag_x in InfluxQL,
// {{label}} in PromQL.
type query struct {
	source source
	text   string
	series string
}

// Conditions that queries have in common. Where they stand in a subquery the outer query
// has the range of time too, without which it could not be grouped by time.
const (
	during   = `$timeFilter`
	here     = during + ` AND "community" =~ /^$community$/`
	known    = here + ` AND "known" = true` // of indicators: a value that was known before stays beside what says that it is not
	current  = here + isCurrent
	bySite   = here + ` AND "site" =~ /^$site$/`
	byDevice = bySite + ` AND "device" =~ /^$device$/`
	byStream = byDevice + ` AND "stream" =~ /^$stream$/`

	// isCurrent is of device-days and alerts: what was derived while a device was at another site
	// or had another stream stays beside what took its place.
	isCurrent = ` AND "current" = true`

	// daily groups by days that begin in China. An offset needs no time zones on the server.
	daily = ` GROUP BY time(1d, -8h)`
)

// build makes the query ready for a panel; number counts those of one panel.
func (q query) build(number int, table bool) cog.Builder[variants.Dataquery] {
	id := string(rune('A' + number))
	if q.source == metrics {
		return prometheus.NewDataqueryBuilder().RefId(id).Datasource(q.source.ref()).Expr(q.text).LegendFormat(q.series).Range()
	}
	format := "time_series"
	if table {
		format = "table"
	}
	return influxQL{RefID: id, Datasource: q.source.ref(), Query: q.text, RawQuery: true, ResultFormat: format, Alias: q.series}
}

// influxQL is a query to InfluxDB, which the SDK does not have; as a query and its builder
// in one.
type influxQL struct {
	RefID        string               `json:"refId"`
	Datasource   common.DataSourceRef `json:"datasource"`
	Query        string               `json:"query"`
	RawQuery     bool                 `json:"rawQuery"`
	ResultFormat string               `json:"resultFormat,omitempty"`
	Alias        string               `json:"alias,omitempty"`

	// Of annotations: what the columns are for.
	FromAnnotations bool   `json:"fromAnnotations,omitempty"`
	QueryType       string `json:"queryType,omitempty"`
	Name            string `json:"name,omitempty"`
	TitleColumn     string `json:"titleColumn,omitempty"`
	TextColumn      string `json:"textColumn,omitempty"`
	TagsColumn      string `json:"tagsColumn,omitempty"`
	TimeEndColumn   string `json:"timeEndColumn,omitempty"`
}

func (q influxQL) Build() (variants.Dataquery, error)   { return q, nil }
func (q influxQL) ImplementsDataqueryVariant()          {}
func (q influxQL) DataqueryType() string                { return "influxdb" }
func (q influxQL) Validate() error                      { return nil }
func (q influxQL) Equals(other variants.Dataquery) bool { return other == variants.Dataquery(q) }
