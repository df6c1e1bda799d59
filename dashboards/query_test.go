package dashboards

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// grafana is what tests read of a dashboard's JSON.
type grafana struct {
	UID, Title, Description string
	Time                    struct{ From, To string }
	Panels                  []shown
	Templating              struct{ List []chosen }
	Annotations             struct {
		List []struct {
			Name       string
			Datasource dataSource
			Target     target
		}
	}
	Links []struct{ Title, URL string }

	file string
}

type shown struct {
	ID                       int
	Type, Title, Description string
	Datasource               *dataSource
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []target
	TimeFrom, Interval       string
	Transformations          []struct {
		ID      string
		Options struct {
			IndexByName   map[string]int  // organize
			ExcludeByName map[string]bool // organize
			ValueField    string          // groupingToMatrix
			Fields        map[string]struct {
				Operation    string
				Aggregations []string
			} // groupBy
		}
	}
	Options struct {
		SortBy []struct {
			DisplayName string
			Desc        bool
		}
	}
	FieldConfig struct {
		Defaults  field
		Overrides []struct {
			Matcher    struct{ ID, Options string }
			Properties []struct {
				ID    string
				Value json.RawMessage
			}
		}
	}
}

type field struct {
	Unit, NoValue string
	Decimals      int
	Min, Max      *float64
	Custom        struct{ DrawStyle string }
	Thresholds    struct {
		Steps []struct {
			Value *float64
			Color string
		}
	}
}

type target struct {
	RefID, Query, Expr, ResultFormat, Alias string
	Datasource                              dataSource
}

type dataSource struct{ Type, UID string }

type chosen struct {
	Name, Type, AllValue string
	Query                string
	IncludeAll, Multi    bool
	Datasource           *dataSource
	Current              struct{ Value any }
}

// provisioned reads the files as Grafana does.
func provisioned(t *testing.T) []grafana {
	t.Helper()
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	boards := make([]grafana, len(all))
	for i, d := range all {
		data, err := os.ReadFile(d.Name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &boards[i]); err != nil {
			t.Fatalf("%s: %v", d.Name, err)
		}
		boards[i].file = d.Name
	}
	return boards
}

// asker asks an influxd what Grafana would ask.
type asker struct {
	url  string
	seen map[string]bool
}

// series is one of an answer.
type series struct {
	Name    string
	Tags    map[string]string
	Columns []string
	Values  [][]any
}

func (a *asker) ask(t *testing.T, from dataSource, query string) []series {
	t.Helper()
	form := url.Values{"db": {databases[from.UID]}, "q": {query}, "epoch": {"ms"}}
	if databases[from.UID] == "" {
		t.Fatalf("unknown data source %+v", from)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.url+"/query", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Error   string
		Results []struct {
			Error  string
			Series []series
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if answer.Error != "" || len(answer.Results) != 1 || answer.Results[0].Error != "" {
		t.Errorf("%s: %s %+v", query, answer.Error, answer.Results)
		return nil
	}
	return answer.Results[0].Series
}

// choices are a value for each variable.
type choices map[string]string

const everything = ".*"

// into puts the choices into a text as Grafana does for InfluxQL: what stands in a regular
// expression is quoted for that.
func (c choices) into(text string) string {
	for name, value := range c {
		quoted := regexp.QuoteMeta(value)
		if value == everything {
			quoted = everything
		}
		text = strings.ReplaceAll(text, "/^$"+name+"$/", "/^"+quoted+"$/")
		text = strings.ReplaceAll(text, "${"+name+":singlequote}", "'"+strings.ReplaceAll(value, "'", `\'`)+"'")
		text = regexp.MustCompile(`\$\{`+name+`(:\w+)?\}|\$`+name+`\b`).ReplaceAllStringFunc(text, func(string) string { return value })
	}
	return text
}

// options asks for the values of a variable.
func (a *asker) options(t *testing.T, v chosen, c choices) (values []string) {
	t.Helper()
	switch v.Type {
	case "textbox":
		return []string{v.Query}
	case "custom":
		for option := range strings.SplitSeq(v.Query, ",") {
			_, value, _ := strings.Cut(option, " : ")
			values = append(values, strings.TrimSpace(value))
		}
		return values
	}
	for _, s := range a.ask(t, *v.Datasource, c.into(v.Query)) {
		for _, row := range s.Values {
			if value := row[1].(string); !slices.Contains(values, value) {
				values = append(values, value)
			}
		}
	}
	return values
}

// begin is the choices with which a dashboard is first shown.
func (a *asker) begin(t *testing.T, d grafana) choices {
	t.Helper()
	c := choices{}
	for _, v := range d.Templating.List {
		options := a.options(t, v, c)
		switch {
		case len(options) == 0:
			t.Errorf("%s: variable %s has no values", d.Title, v.Name)
		case v.IncludeAll:
			if v.AllValue != everything {
				t.Errorf("%s: all of %s is %q", d.Title, v.Name, v.AllValue)
			}
			c[v.Name] = everything
		default:
			c[v.Name] = options[0]
			if current, ok := v.Current.Value.(string); ok {
				if c[v.Name] = current; !slices.Contains(options, current) {
					t.Errorf("%s: variable %s is %q to begin with, which it cannot be", d.Title, v.Name, current)
				}
			}
		}
	}
	return c
}

// began is when a range of time that ends now begins, as Grafana's time picker or a panel's
// own range say it.
func began(t *testing.T, text string) time.Time {
	t.Helper()
	year, month, day := now.In(china).Date()
	switch text = strings.TrimPrefix(text, "now-"); text {
	case "now/d":
		return time.Date(year, month, day, 0, 0, 0, 0, china)
	case "now/M":
		return time.Date(year, month, 1, 0, 0, 0, 0, china)
	}
	n, err := strconv.Atoi(text[:len(text)-1])
	if err != nil {
		t.Fatalf("range of time %q: %v", text, err)
	}
	switch text[len(text)-1] {
	case 'h':
		return now.Add(-time.Duration(n) * time.Hour)
	case 'd':
		return now.AddDate(0, 0, -n)
	case 'M':
		return now.AddDate(0, -n, 0)
	}
	t.Fatalf("range of time %q", text)
	return time.Time{}
}

// query is a target's as Grafana sends it.
func (p shown) query(t *testing.T, d grafana, q target, c choices) string {
	t.Helper()
	from := d.Time.From
	if p.TimeFrom != "" {
		from = p.TimeFrom
	}
	begin := began(t, from)
	interval := now.Sub(begin) / 1000 // points that a panel has room for
	if p.Interval != "" {
		least := p.Interval
		if n, ok := strings.CutSuffix(least, "d"); ok {
			days, _ := strconv.Atoi(n)
			least = fmt.Sprintf("%dh", 24*days)
		}
		minimum, err := time.ParseDuration(least)
		if err != nil {
			t.Errorf("%s, %s: interval: %v", d.Title, p.Title, err)
		}
		interval = max(interval, minimum)
	}
	text := strings.NewReplacer(
		"$timeFilter", fmt.Sprintf("time >= %dms and time <= %dms", begin.UnixMilli(), now.UnixMilli()),
		"$__interval", fmt.Sprintf("%ds", int(interval.Seconds())),
	).Replace(q.Query)
	return c.into(text)
}

// has reports whether there is anything but times.
func has(found []series) bool {
	for _, s := range found {
		for _, row := range s.Values {
			for i, v := range row {
				if v != nil && s.Columns[i] != "time" {
					return true
				}
			}
		}
	}
	return false
}

// TestQueries asks an influxd with the simulator's data for all that the panels show, with
// each value of each variable.
func TestQueries(t *testing.T) {
	a := asker{url: filled(t), seen: map[string]bool{}}
	for _, d := range provisioned(t) {
		first := a.begin(t, d)
		a.all(t, d, first, true)
		for _, v := range d.Templating.List {
			for _, value := range a.options(t, v, first) {
				c := choices{}
				for name := range first {
					c[name] = first[name]
				}
				c[v.Name] = value
				a.all(t, d, c, false)
			}
		}
		for _, note := range d.Annotations.List {
			// No rule that is shipped about lights is critical.
			found := a.ask(t, note.Datasource, shown{}.query(t, d, note.Target, first))
			if !has(found) && (d.file != "lighting" || note.Name != "紧急告警") {
				t.Errorf("%s: annotation %s finds nothing", d.Title, note.Name)
			}
		}
	}
	t.Logf("%d different queries", len(a.seen))
	for text := range a.seen {
		// Whatever says where a device was is asked for what is current alone.
		if from := regexp.MustCompile(`FROM "(device_day|alert)" WHERE`).FindAllString(text, -1); len(from) != strings.Count(text, `"current" = true`) {
			t.Errorf("device-days or alerts that something took the place of are counted by %s", text)
		}
	}
}

// all asks for what all panels show. What narrow choices leave empty is no fault if the
// panel says what it then shows.
func (a *asker) all(t *testing.T, d grafana, c choices, wide bool) {
	t.Helper()
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			if q.Datasource.Type != "influxdb" {
				continue
			}
			text := p.query(t, d, q, c)
			if strings.Contains(text, "$") && !regexp.MustCompile(`\$/`).MatchString(text) {
				t.Errorf("%s, %s: not all variables are known: %s", d.Title, p.Title, text)
			}
			if a.seen[q.Datasource.UID+text] {
				continue
			}
			a.seen[q.Datasource.UID+text] = true
			found := a.ask(t, q.Datasource, text)
			if !has(found) && (wide || slices.Contains([]string{noData, notYet}, p.FieldConfig.Defaults.NoValue)) {
				t.Errorf("%s, %s: nothing comes back with %v from %s", d.Title, p.Title, c, text)
			}
			if q.ResultFormat == "table" {
				p.numbersHaveUnits(t, d, found)
				if wide {
					p.columnsHaveValues(t, d, found)
				}
			}
		}
	}
}

// columnsHaveValues fails if a column of a table is empty from top to bottom.
func (p shown) columnsHaveValues(t *testing.T, d grafana, found []series) {
	t.Helper()
	filled := map[string]bool{}
	for _, s := range found {
		for _, row := range s.Values {
			for i, v := range row {
				filled[s.Columns[i]] = filled[s.Columns[i]] || v != nil
			}
		}
	}
	for name, has := range filled {
		if !has && !p.hidden(name) {
			t.Errorf("%s, %s: column %s is empty", d.Title, p.Title, name)
		}
	}
}

// hidden reports whether a column of a table is taken out.
func (p shown) hidden(column string) bool {
	for _, transformation := range p.Transformations {
		if transformation.Options.ExcludeByName[column] {
			return true
		}
	}
	return false
}

// becomes returns what a column of an answer is called in the panel; the empty name is that of
// values which have the panel's unit.
func (p shown) becomes(column string) string {
	if column == "time" {
		column = "Time"
	}
	for _, transformation := range p.Transformations {
		switch o := transformation.Options; {
		case transformation.ID == "groupingToMatrix" && column == "Time":
			return titledTime
		case transformation.ID == "groupingToMatrix" && column == o.ValueField, transformation.ID == "sortBy":
			return ""
		case transformation.ID == "groupBy" && o.Fields[column].Operation == "aggregate":
			return column + " (" + o.Fields[column].Aggregations[0] + ")"
		}
	}
	return column
}

// numbersHaveUnits fails unless each column of numbers of a table is hidden or has a unit.
func (p shown) numbersHaveUnits(t *testing.T, d grafana, found []series) {
	t.Helper()
	said := map[string]bool{"": true}
	for _, o := range p.FieldConfig.Overrides {
		for _, property := range o.Properties {
			if property.ID == "unit" {
				said[o.Matcher.Options] = true
			}
		}
	}
	for _, s := range found {
		for _, row := range s.Values {
			for i, v := range row {
				name := p.becomes(s.Columns[i])
				if _, is := v.(float64); is && !said[name] && !p.hidden(name) {
					t.Errorf("%s, %s: column %s has no unit", d.Title, p.Title, name)
					said[name] = true
				}
			}
		}
	}
}
