package dashboards

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode"

	"greentally"
	"greentally/devices"
	"greentally/internal/golden"
	"greentally/internal/strictyaml"
)

// TestUpToDate compares the files that Grafana provisions with what the code makes, and the
// files that there are with the dashboards.
func TestUpToDate(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	again, err := All()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i, d := range all {
		if string(d.JSON) != string(again[i].JSON) {
			t.Errorf("%s: made twice, it is not the same", d.Name)
		}
		golden.Equal(t, d.Name+".json", string(d.JSON))
		names = append(names, d.Name+".json")
	}
	files, err := filepath.Glob("*.json")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	if !slices.Equal(files, names) {
		t.Errorf("there are the files %v, want %v", files, names)
	}
}

// TestPanels holds all panels to what every Grafana shows and every reader understands.
func TestPanels(t *testing.T) {
	types := []string{"row", "stat", "bargauge", "gauge", "table", "timeseries", "heatmap", "piechart", "text"}
	sources := []dataSource{{"influxdb", "greentally-readings"}, {"influxdb", "greentally-derived"}, {"prometheus", "greentally-prometheus"}}
	known := map[string]bool{}
	boards := provisioned(t)
	for _, d := range boards {
		if d.UID != "greentally-"+d.file {
			t.Errorf("%s: uid is %s", d.file, d.UID)
		}
		known[d.UID] = true
	}
	for _, d := range boards {
		if !chinese(d.Title) || !chinese(d.Description) {
			t.Errorf("%s: title %q, description %q", d.UID, d.Title, d.Description)
		}
		if len(d.Links) != len(boards)-1 {
			t.Errorf("%s: %d links, want one to each other dashboard", d.UID, len(d.Links))
		}
		ids, titles := map[int]bool{}, map[string]bool{}
		for i, p := range d.Panels {
			where := d.Title + ", " + p.Title
			if ids[p.ID] {
				t.Errorf("%s: id %d is another panel's, too", where, p.ID)
			}
			ids[p.ID] = true
			if !slices.Contains(types, p.Type) {
				t.Errorf("%s: type %s", where, p.Type)
			}
			g := p.GridPos
			if g.X < 0 || g.W < 1 || g.H < 1 || g.X+g.W > 24 {
				t.Errorf("%s: lies at %+v", where, g)
			}
			for _, other := range d.Panels[:i] {
				o := other.GridPos
				if g.X < o.X+o.W && o.X < g.X+g.W && g.Y < o.Y+o.H && o.Y < g.Y+g.H {
					t.Errorf("%s: overlaps %s", where, other.Title)
				}
			}
			if !chinese(p.Title) {
				t.Errorf("%s: the title is not in Chinese", where)
			}
			if p.Type == "row" {
				continue
			}
			if titles[p.Title] {
				t.Errorf("%s: there are two panels of this title", where)
			}
			titles[p.Title] = true
			if !chinese(p.Description) || !strings.HasSuffix(p.Description, "。") {
				t.Errorf("%s: description %q", where, p.Description)
			}
			if !chinese(p.FieldConfig.Defaults.NoValue) && !strings.HasPrefix(p.FieldConfig.Defaults.NoValue, "0") {
				t.Errorf("%s: shows %q where there is nothing", where, p.FieldConfig.Defaults.NoValue)
			}
			if p.FieldConfig.Defaults.Unit == "" {
				t.Errorf("%s: has no unit", where)
			}
			if p.Datasource == nil || !slices.Contains(sources, *p.Datasource) || len(p.Targets) == 0 {
				t.Errorf("%s: data source %v, %d queries", where, p.Datasource, len(p.Targets))
			}
			for _, q := range p.Targets {
				if p.Datasource == nil || q.Datasource != *p.Datasource {
					t.Errorf("%s: a query has the data source %v, the panel %v", where, q.Datasource, p.Datasource)
				}
				if q.Datasource.Type == "influxdb" && !strings.Contains(q.Query, "$timeFilter") {
					t.Errorf("%s: a query is for all times: %s", where, q.Query)
				}
			}
		}
	}
	// Links of dashboards, panels and columns alike.
	link := regexp.MustCompile(`/d/([\w-]+)`)
	for _, d := range boards {
		text, err := os.ReadFile(d.file + ".json")
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			if !known[string(m[1])] {
				t.Errorf("%s: a link to %s, which there is not", d.Title, m[1])
			}
		}
	}
}

func chinese(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

// TestMetrics looks for the metrics of the panels in the documentation's list.
func TestMetrics(t *testing.T) {
	doc, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	metric := regexp.MustCompile(`greentally_\w+`)
	asked := 0
	for _, d := range provisioned(t) {
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				for _, name := range metric.FindAllString(q.Expr, -1) {
					asked++
					name = strings.TrimSuffix(name, "_bucket")
					if !strings.Contains(string(doc), "`"+name+"`") {
						t.Errorf("%s, %s: there is no metric %s", d.Title, p.Title, name)
					}
				}
			}
		}
	}
	if asked == 0 {
		t.Error("no panel asks for a metric")
	}
}

// TestWords compares the names of kinds and streams with what there is.
func TestWords(t *testing.T) {
	registry, err := devices.Load(devices.Options{Communities: strictyaml.Folder{Name: "none", FS: fstest.MapFS{}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, w := range kinds {
		if kind, ok := registry.Kind(name); !ok || kind.Title.ZH != w.text {
			t.Errorf("kind %s is called %s", name, w.text)
		}
	}
	for _, s := range greentally.Streams() {
		if streams[string(s)].text == "" {
			t.Errorf("stream %s has no name", s)
		}
	}
	rates, err := shippedRates()
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range rates {
		if r.Title.ZH == "" || units[r.Unit].text == "" {
			t.Errorf("indicator %s is called %q, unit %q", name, r.Title.ZH, r.Unit)
		}
	}
	for name, want := range map[string]string{"lighting_saving": "≥ 30%", "overflow_share": "≤ 5%", "battery_boxes": "≥ 2", "missort_window": ""} {
		if got := rates[name].goal(); got != want {
			t.Errorf("target of %s is written %q, want %q", name, got, want)
		}
	}
}
