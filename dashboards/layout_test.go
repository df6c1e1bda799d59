package dashboards

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"html"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var layout = flag.String("layout", "", "folder for a page of each dashboard with the simulator's data")

// TestLayout writes a page for each dashboard that shows which panel is where and what it
// found, for a human to look at. It is no Grafana: it draws roughly what Grafana draws.
func TestLayout(t *testing.T) {
	if *layout == "" {
		t.Skip("no folder is given by -layout")
	}
	if err := os.MkdirAll(*layout, 0o755); err != nil {
		t.Fatal(err)
	}
	a := asker{url: filled(t)}
	for _, d := range provisioned(t) {
		c := a.begin(t, d)
		var page strings.Builder
		fmt.Fprintf(&page, `<!doctype html><meta charset="utf-8"><title>%[1]s</title><style>%[2]s</style><h1>%[1]s <small>%[3]s</small></h1><main>`, d.Title, style, d.Description)
		bottom := 0
		for _, p := range d.Panels {
			g := p.GridPos
			bottom = max(bottom, g.Y+g.H)
			inside := ""
			if p.Type != "row" {
				inside = a.draw(t, d, p, c)
			}
			fmt.Fprintf(&page, `<section class="%s" style="left:%.4f%%;top:%dpx;width:%.4f%%;height:%dpx"><h2>%s</h2>%s</section>`,
				p.Type, float64(g.X)/24*100, g.Y*38, float64(g.W)/24*100-0.4, g.H*38-8, html.EscapeString(c.into(p.Title)), inside)
		}
		fmt.Fprintf(&page, `</main><style>main{height:%dpx}</style>`, bottom*38)
		file := filepath.Join(*layout, d.file+".html")
		if err := os.WriteFile(file, []byte(page.String()), 0o644); err != nil { //nolint:gosec // all may read it
			t.Fatal(err)
		}
		t.Logf("%s, %d high", file, bottom*38+80)
	}
}

const style = `body{background:#111217;color:#ccccdc;font:12px "Noto Sans CJK SC",sans-serif;margin:12px}main{position:relative}h1{font-size:18px}small{font-weight:normal;color:#888}
section{position:absolute;background:#181b1f;border:1px solid #2c3235;overflow:hidden;box-sizing:border-box}section.row{background:none;border:none}
h2{font-size:12px;margin:4px 8px;white-space:nowrap}table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:2px 6px;border-bottom:1px solid #2c3235;white-space:nowrap}
.big{display:inline-block;font-size:26px;margin:4px 10px;text-align:center}.big small{display:block;font-size:11px}.bar{display:flex;margin:2px 8px}.bar span{width:30%}.bar i{height:14px}.none{color:#888;padding:10px}`

// look is how a name or a column is shown.
type look map[string]json.RawMessage

func (p shown) looks(name string) look {
	l := look{}
	for _, o := range p.FieldConfig.Overrides {
		if o.Matcher.Options == name {
			for _, property := range o.Properties {
				l[property.ID] = property.Value
			}
		}
	}
	return l
}

func (l look) text(id string) (s string) {
	_ = json.Unmarshal(l[id], &s) // what is no text is shown as none
	return s
}

// written is a value as it is shown, and its color.
func (l look) written(p shown, v any) (text, color string) {
	var mappings []struct {
		Type    string
		Options json.RawMessage
	}
	_ = json.Unmarshal(l["mappings"], &mappings) // there may be none
	for _, m := range mappings {
		var words map[string]struct{ Text, Color string }
		var spans struct {
			From, To *float64
			Result   struct{ Text, Color string }
		}
		if m.Type == "value" && json.Unmarshal(m.Options, &words) == nil {
			if w, ok := words[fmt.Sprint(v)]; ok {
				return w.Text, w.Color
			}
		}
		if n, ok := v.(float64); ok && m.Type == "range" && json.Unmarshal(m.Options, &spans) == nil &&
			(spans.From == nil || *spans.From <= n) && (spans.To == nil || n <= *spans.To) {
			return spans.Result.Text, spans.Result.Color
		}
	}
	n, ok := v.(float64)
	if !ok {
		if v == nil {
			return "", ""
		}
		return fmt.Sprint(v), ""
	}
	unit, digits := p.FieldConfig.Defaults.Unit, p.FieldConfig.Defaults.Decimals
	if own := l.text("unit"); own != "" {
		unit, digits = own, 0
		_ = json.Unmarshal(l["decimals"], &digits) // none are 0
	}
	steps := p.FieldConfig.Defaults.Thresholds
	if own := l["thresholds"]; own != nil {
		steps.Steps = nil
		_ = json.Unmarshal(own, &steps)
	}
	for _, s := range steps.Steps {
		if s.Value == nil || *s.Value <= n {
			color = s.Color
		}
	}
	if pattern, ok := strings.CutPrefix(unit, "time:"); ok {
		at := time.UnixMilli(int64(n)).In(china)
		return at.Format(strings.NewReplacer("YYYY", "2006", "MM", "01", "DD", "02", "HH", "15", "mm", "04", "M", "1").Replace(pattern)), ""
	}
	if unit == "percentunit" {
		return strconv.FormatFloat(100*n, 'f', digits, 64) + "%", color
	}
	after := map[string]string{"celsius": " °C"}[unit]
	if suffix, ok := strings.CutPrefix(unit, "suffix:"); ok {
		after = suffix
	}
	return strconv.FormatFloat(n, 'f', digits, 64) + after, color
}

// named is a series of a panel.
type named struct {
	name, color string
	look        look
	times       []float64
	values      []float64
}

var palette = []string{"#73BF69", "#F2CC0C", "#5794F2", "#FF9830", "#F2495C", "#B877D9", "#8AB8FF", "#96D98D", "#FFB357", "#CA95E5"}

func (a *asker) draw(t *testing.T, d grafana, p shown, c choices) string {
	t.Helper()
	var all []named
	var rows []series
	for _, q := range p.Targets {
		if q.Datasource.Type != "influxdb" {
			return fmt.Sprintf(`<div class="none">%s<br>%s</div>`, html.EscapeString(q.Expr), p.FieldConfig.Defaults.Unit)
		}
		for _, s := range a.ask(t, q.Datasource, p.query(t, d, q, c)) {
			if q.ResultFormat == "table" {
				rows = append(rows, s)
				continue
			}
			name := strings.ReplaceAll(q.Alias, "$m", s.Name)
			for tag, v := range s.Tags {
				name = strings.ReplaceAll(name, "$tag_"+tag, v)
			}
			n := named{name: name, look: p.looks(name), color: palette[len(all)%len(palette)]}
			if shown := n.look.text("displayName"); shown != "" {
				n.name = shown
			}
			var fixed struct{ FixedColor string }
			if json.Unmarshal(n.look["color"], &fixed) == nil && fixed.FixedColor != "" {
				n.color = fixed.FixedColor
			}
			for _, row := range s.Values {
				if v, ok := row[1].(float64); ok {
					n.times, n.values = append(n.times, row[0].(float64)), append(n.values, v)
				}
			}
			if len(n.values) > 0 {
				all = append(all, n)
			}
		}
	}
	if len(all)+len(rows) == 0 {
		return `<div class="none">` + p.FieldConfig.Defaults.NoValue + `</div>`
	}
	for _, transformation := range p.Transformations {
		switch transformation.ID {
		case "groupingToMatrix", "sortBy":
			all, rows = byTitle(rows), nil
		case "groupBy":
			rows = p.counted(rows)
		}
	}
	switch {
	case len(rows) > 0:
		return p.table(rows)
	case p.Type == "table":
		return p.pivot(all)
	case p.Type == "stat" || p.Type == "gauge":
		return p.numbers(all)
	case p.Type == "bargauge" || p.Type == "piechart":
		return p.bars(all)
	case p.Type == "heatmap":
		return p.heat(all)
	}
	return p.chart(d, t, all)
}

// byTitle makes a series for each title of rows of time, title and value.
func byTitle(rows []series) (all []named) {
	for _, s := range rows {
		for _, row := range s.Values {
			title := row[1].(string)
			i := slices.IndexFunc(all, func(n named) bool { return n.name == title })
			if i < 0 {
				i = len(all)
				all = append(all, named{name: title, color: palette[i%len(palette)]})
			}
			all[i].times, all[i].values = append(all[i].times, row[0].(float64)), append(all[i].values, row[2].(float64))
		}
	}
	return all
}

// counted counts the rows that agree in all columns that are texts.
func (p shown) counted(rows []series) []series {
	out := series{Columns: []string{"time"}}
	counts := map[string]int{}
	for _, s := range rows {
		for _, row := range s.Values {
			line := []any{nil}
			for i, v := range row[:len(row)-1] {
				if i > 0 {
					line = append(line, v)
				}
			}
			key := fmt.Sprint(line)
			if counts[key]++; counts[key] == 1 {
				out.Values = append(out.Values, line)
			}
		}
		out.Columns = append(slices.Clone(s.Columns[:len(s.Columns)-1]), counted)
	}
	for i, line := range out.Values {
		out.Values[i] = append(line, float64(counts[fmt.Sprint(line)]))
	}
	return []series{out}
}

func (p shown) numbers(all []named) (out string) {
	for _, n := range all {
		text, color := n.look.written(p, n.values[len(n.values)-1])
		out += fmt.Sprintf(`<div class="big" style="color:%s">%s<small>%s</small></div>`, color, text, n.name)
	}
	return out
}

func (p shown) bars(all []named) (out string) {
	most := 0.0
	if p.FieldConfig.Defaults.Max != nil {
		most = *p.FieldConfig.Defaults.Max
	}
	if most == 0 {
		for _, n := range all {
			most = max(most, n.values[len(n.values)-1])
		}
	}
	for _, n := range all {
		v := n.values[len(n.values)-1]
		text, color := n.look.written(p, v)
		if n.look["color"] != nil || p.Type == "piechart" {
			color = n.color
		}
		out += fmt.Sprintf(`<div class="bar"><span>%s</span><i style="width:%.1f%%;background:%s"></i>&nbsp;%s</div>`, n.name, 50*v/most, color, text)
	}
	return out
}

func (p shown) table(rows []series) string {
	var head []string
	var body []map[string]any
	for _, s := range rows {
		for _, row := range s.Values {
			line := map[string]any{}
			for tag, v := range s.Tags {
				line[tag] = v
			}
			for i, name := range s.Columns {
				if name == "time" {
					name = "Time"
				}
				line[name] = row[i]
			}
			if head == nil {
				head = append(head, "Time")
				for tag := range s.Tags {
					head = append(head, tag)
				}
				slices.Sort(head[1:])
				head = append(head, s.Columns[1:]...)
			}
			for name := range line {
				if !slices.Contains(head, name) {
					head = append(head, name)
				}
			}
			if i := slices.IndexFunc(body, func(other map[string]any) bool { return alike(line, other) }); i >= 0 && len(p.Transformations) > 0 {
				maps.Copy(body[i], line)
			} else {
				body = append(body, line)
			}
		}
	}
	if by := p.Options.SortBy; len(by) > 0 {
		slices.SortStableFunc(body, func(a, b map[string]any) int {
			for _, name := range head {
				if p.looks(name).text("displayName") != by[0].DisplayName {
					continue
				}
				x, isNumber := a[name].(float64)
				y, _ := b[name].(float64)
				order := cmp.Compare(x, y)
				if !isNumber {
					order = cmp.Compare(fmt.Sprint(a[name]), fmt.Sprint(b[name]))
				}
				if by[0].Desc {
					order = -order
				}
				return order
			}
			return 0
		})
	}
	for _, transformation := range p.Transformations {
		o := transformation.Options
		head = slices.DeleteFunc(head, func(name string) bool { return o.ExcludeByName[name] })
		slices.SortStableFunc(head, func(a, b string) int { return cmp.Compare(o.IndexByName[a], o.IndexByName[b]) })
	}
	var out strings.Builder
	out.WriteString("<table><tr>")
	for _, name := range head {
		fmt.Fprintf(&out, "<th>%s", p.looks(name).text("displayName"))
	}
	for _, line := range body {
		out.WriteString("<tr>")
		for _, name := range head {
			text, color := p.looks(name).written(p, line[name])
			fmt.Fprintf(&out, `<td style="color:%s">%s`, color, html.EscapeString(text))
		}
	}
	return out.String() + "</table>"
}

// alike reports whether rows agree in what both have.
func alike(a, b map[string]any) bool {
	for name, v := range a {
		if other, ok := b[name]; ok && other != v {
			return false
		}
	}
	return true
}

// pivot is a table with a column for each series.
func (p shown) pivot(all []named) string {
	var times []float64
	for _, n := range all {
		times = append(times, n.times...)
	}
	slices.Sort(times)
	times = slices.Compact(times)
	out := "<table><tr><th>" + p.looks(titledTime).text("displayName")
	for _, n := range all {
		out += "<th>" + n.name
	}
	for _, at := range slices.Backward(times) {
		when, _ := p.looks(titledTime).written(p, at)
		out += "<tr><td>" + when
		for _, n := range all {
			out += "<td>"
			if i := slices.Index(n.times, at); i >= 0 {
				text, _ := n.look.written(p, n.values[i])
				out += text
			}
		}
	}
	return out + "</table>"
}

// chart draws lines, or bars on top of each other.
func (p shown) chart(d grafana, t *testing.T, all []named) string {
	t.Helper()
	const w, h = 1000.0, 200.0
	from := d.Time.From
	if p.TimeFrom != "" {
		from = p.TimeFrom
	}
	begin, end := float64(began(t, from).UnixMilli()), float64(now.UnixMilli())
	stacked := p.FieldConfig.Defaults.Custom.DrawStyle == "bars"
	least, most := math.Inf(1), math.Inf(-1)
	sums := map[float64]float64{}
	for _, n := range all {
		for i, v := range n.values {
			sums[n.times[i]] += v
			if stacked {
				v = sums[n.times[i]]
			}
			least, most = min(least, v), max(most, v)
		}
	}
	if stacked {
		least = 0
	}
	if v := p.FieldConfig.Defaults.Min; v != nil {
		least = *v
	}
	if v := p.FieldConfig.Defaults.Max; v != nil {
		most = *v
	}
	most = max(most, least+1e-9)
	x := func(at float64) float64 { return w * (at - begin) / (end - begin) }
	y := func(v float64) float64 { return h - h*(v-least)/(most-least) }
	out := fmt.Sprintf(`<svg viewBox="0 0 %g %g" preserveAspectRatio="none" style="width:96%%;height:62%%;margin:0 2%%">`, w, h)
	clear(sums)
	legend := ""
	for _, n := range all {
		line := ""
		for i, v := range n.values {
			at := n.times[i]
			if stacked {
				out += fmt.Sprintf(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`, x(at), y(sums[at]+v), max(4, 0.7*w/max(7, float64(len(n.times)+1))/6), h*v/(most-least), n.color)
				sums[at] += v
			} else {
				line += fmt.Sprintf("%.1f,%.1f ", x(at), y(v))
				out += fmt.Sprintf(`<circle cx="%.1f" cy="%.1f" r="1.5" fill="%s"/>`, x(at), y(v), n.color)
			}
		}
		out += fmt.Sprintf(`<polyline points="%s" fill="none" stroke="%s" stroke-width="1.5"/>`, line, n.color)
		legend += fmt.Sprintf(`<b style="color:%s">▬</b> %s `, n.color, n.name)
	}
	low, _ := look{}.written(p, least)
	high, _ := look{}.written(p, most)
	return out + `</svg><div class="none" style="padding:2px 10px">` + low + " … " + high + "<br>" + legend + `</div>`
}

func (p shown) heat(all []named) string {
	most, begin, end := 0.0, math.Inf(1), math.Inf(-1)
	for _, n := range all {
		most = max(most, slices.Max(n.values))
		begin, end = min(begin, n.times[0]), max(end, n.times[len(n.times)-1])
	}
	out := `<table style="font-size:9px">`
	for _, n := range all {
		out += "<tr><td style='width:60px'>" + n.name + `<td><svg viewBox="0 0 1000 20" preserveAspectRatio="none" style="width:100%;height:14px">`
		for i, v := range n.values {
			out += fmt.Sprintf(`<rect x="%.1f" y="0" width="%.1f" height="20" fill="#73BF69" opacity="%.2f"/>`, 1000*(n.times[i]-begin)/(end-begin+3.6e6), 1000*3.6e6/(end-begin+3.6e6), math.Sqrt(v/most))
		}
		out += "</svg>"
	}
	return out + "</table>"
}
