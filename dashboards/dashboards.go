package dashboards

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// Dashboard is one dashboard as Grafana reads it.
type Dashboard struct {
	Name string // of its file, without .json; the UID is this after "greentally-"
	JSON []byte
}

// All returns the dashboards, each the same bytes every time.
func All() ([]Dashboard, error) {
	rates, err := shippedRates()
	if err != nil {
		return nil, err
	}
	boards := []board{community(rates), bins(), batteries(rates), lighting(rates), scorecard(), city(rates), collector()}
	all := make([]Dashboard, len(boards))
	for i, b := range boards {
		text, err := b.build(boards)
		if err != nil {
			return nil, fmt.Errorf("dashboard %s: %w", b.name, err)
		}
		all[i] = Dashboard{Name: b.name, JSON: text}
	}
	return all, nil
}

// board is a dashboard before it is built.
type board struct {
	name, title, about string

	from      string // where its range of time begins
	refresh   string
	community bool       // whether it is about one community, which is chosen
	variables []variable // that are chosen besides
	alerts    string     // condition on the alerts that are marked in its charts; none if empty
	rows      []row
}

// row is panels under a heading, beside each other as far as there is room.
type row struct {
	title  string
	height uint32
	panels []panel
}

const (
	// timeZone is that of all communities: a day begins when a day begins in China, whatever
	// the browser thinks.
	timeZone = "Asia/Shanghai"
	// schema is that of Grafana 10.0; later ones bring it up to date by themselves.
	schema = 38
)

func uid(name string) string { return "greentally-" + name }

func (b board) build(all []board) ([]byte, error) {
	//nolint:staticcheck // what takes its place is for Grafana 12 and later alone
	d := dashboard.NewDashboardBuilder(b.title).Uid(uid(b.name)).Description(b.about).Tags([]string{"greentally"}).
		Timezone(timeZone).Time(b.from, "now").Refresh(b.refresh).Tooltip(dashboard.DashboardCursorSyncCrosshair)
	for _, other := range all {
		if other.name != b.name {
			url := "/d/" + uid(other.name)
			if b.community && other.community {
				url += "?var-community=${community}"
			}
			d.Link(dashboard.NewDashboardLinkBuilder(other.title).Type(dashboard.DashboardLinkTypeLink).Icon("dashboard").
				Url(url).Tooltip(other.about).IncludeVars(false).KeepTime(false))
		}
	}
	if b.community {
		d.WithVariable(oneCommunity())
	}
	for _, v := range b.variables {
		d.WithVariable(v)
	}
	if b.alerts != "" {
		d.Annotation(marked("紧急告警", "red", true, b.alerts+` AND "severity" = 'critical'`))
		d.Annotation(marked("其他告警", "orange", false, b.alerts+` AND "severity" != 'critical'`))
	}
	id := uint32(0)
	for _, r := range b.rows {
		id++
		d.WithRow(dashboard.NewRowBuilder(r.title).Id(id))
		for _, p := range r.panels {
			id++
			d.WithPanel(p.build(id, r.height))
		}
	}
	built, err := d.Build()
	if err != nil {
		return nil, err
	}
	built.SchemaVersion = schema
	for i := range built.Templating.List {
		v := &built.Templating.List[i]
		v.Auto, v.AutoMin, v.AutoCount = nil, nil, nil // are of intervals alone
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err = encoder.Encode(built)
	return text.Bytes(), err
}

// marked marks alerts in charts, from when they fired until they ended.
func marked(name, color string, enabled bool, which string) cog.Builder[dashboard.AnnotationQuery] {
	return dashboard.NewAnnotationQueryBuilder().Name(name).Datasource(derived.ref()).Enable(enabled).IconColor(color).Target(influxQL{
		RefID: "A", Datasource: derived.ref(), RawQuery: true,
		Query:           `SELECT "title_zh", "summary_zh", "severity", "device", "ended" FROM "alert" WHERE ` + which,
		FromAnnotations: true, QueryType: "tags", Name: name,
		TitleColumn: "title_zh", TextColumn: "summary_zh", TagsColumn: "device", TimeEndColumn: "ended",
	})
}

// variable is one that is chosen at the top of a dashboard.
type variable = cog.Builder[dashboard.VariableModel]

// oneCommunity lets one community be chosen; the first one is to begin with.
func oneCommunity() variable {
	return dashboard.NewQueryVariableBuilder("community").Label("社区").Datasource(derived.ref()).Query(text(tagValues("community", ""))).
		Refresh(dashboard.VariableRefreshOnDashboardLoad).Sort(dashboard.VariableSortAlphabeticalAsc)
}

// someOf lets some values of a tag of device-days be chosen; all are to begin with.
func someOf(tag, label, which string) variable {
	return dashboard.NewQueryVariableBuilder(tag).Label(label).Datasource(derived.ref()).Query(text(tagValues(tag, which))).
		Refresh(dashboard.VariableRefreshOnDashboardLoad).Sort(dashboard.VariableSortAlphabeticalAsc).
		Multi(true).IncludeAll(true).AllValue(".*").
		Current(dashboard.VariableOption{Text: several("All"), Value: several("$__all")})
}

func tagValues(tag, which string) string {
	if which != "" {
		which = " WHERE " + which
	}
	return `SHOW TAG VALUES FROM "device_day" WITH KEY = "` + tag + `"` + which
}

func text(s string) dashboard.StringOrMap { return dashboard.StringOrMap{String: &s} }

func several(s string) dashboard.StringOrArrayOfString {
	return dashboard.StringOrArrayOfString{ArrayOfString: []string{s}}
}

func single(s string) dashboard.StringOrArrayOfString {
	return dashboard.StringOrArrayOfString{String: &s}
}

func ref(kind, uid string) common.DataSourceRef { return common.DataSourceRef{Type: &kind, Uid: &uid} }
