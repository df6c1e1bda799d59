package pages

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"greentally"
	"greentally/web"
)

// frame is what templates see.
type frame struct {
	*view
	Data any
}

// T is a word in the page's language.
func (f frame) T(name string) string { return f.word(name) }

// In is a text in the page's language.
func (f frame) In(t greentally.Text) string { return t.In(f.Language) }

// May reports whether the one who looks may do something here.
func (f frame) May(action string) bool { return f.may(web.Action(action)) }

// Other is the language that can be chosen instead.
func (f frame) Other() string {
	if f.Language == "zh" {
		return "en"
	}
	return "zh"
}

// Here is the page's own address in the other language; of a form that was sent, that of the form.
func (f frame) Here() string {
	query := f.URL.Query()
	query.Del("done")
	query.Set("lang", f.Other())
	return f.path() + "?" + query.Encode()
}

// path is the page's own, as the browser sent it, and never one that leads to another site.
func (f frame) path() string { return "/" + strings.TrimLeft(f.URL.EscapedPath(), "/") }

// Self is the page's own address, for looking again.
func (f frame) Self() string {
	query := f.URL.Query()
	query.Del("lang")
	query.Del("done")
	if len(query) == 0 {
		return f.path()
	}
	return f.path() + "?" + query.Encode()
}

// Done says what a form did that led here.
func (f frame) Done() string {
	if done := f.URL.Query().Get("done"); done != "" && f.Wrong == "" {
		if text := f.word("done_" + done); text != "done_"+done {
			return text
		}
	}
	return ""
}

// trouble is something that is wrong with the program, as a page shows it.
type trouble struct {
	Title, Says string
	Detail      string // for administrators, whom it helps
	Stops       bool
}

// Troubles is what is wrong with the program: what keeps data from coming in is for all, the rest
// for administrators.
func (f frame) Troubles() (all []trouble) {
	for _, t := range f.troubles {
		administers := f.may(web.Administer)
		if !t.Stops && !administers {
			continue
		}
		name := "trouble_" + t.Name
		shown := trouble{Title: f.word(name), Says: f.word("trouble_minor"), Stops: t.Stops}
		if t.Stops {
			shown.Says = f.word("trouble_stops")
		}
		if administers {
			shown.Detail = t.Error
		}
		all = append(all, shown)
	}
	return all
}

// Sent is what a form that cannot be taken had in a field, or the value that it begins with.
func (f frame) Sent(name string, first ...string) string {
	if f.sent != nil {
		return f.sent.Get(name)
	}
	if given := f.URL.Query().Get(name); given != "" {
		return given
	}
	if len(first) > 0 {
		return first[0]
	}
	return ""
}

// With is the same page with other data, for parts of it.
func (f frame) With(data any) frame { return frame{f.view, data} }

// Value writes an indicator's value, ratios in percent.
func (f frame) Value(v greentally.IndicatorValue) string {
	switch {
	case v.Value == nil:
		return "–"
	case v.Unit == "ratio":
		return fmt.Sprintf("%.2f %%", 100**v.Value)
	}
	return f.Number(v.Value) + " " + f.In(greentally.UnitTitle(v.Unit))
}

// Target writes what an indicator is held against.
func (f frame) Target(v greentally.IndicatorValue) string {
	if v.Target == nil {
		return ""
	}
	return v.Target.In(v.Unit)
}

// Number writes a number that may be missing, with three places at most.
func (f frame) Number(v *float64) string {
	if v == nil {
		return "–"
	}
	amount, ok := greentally.AmountOf(*v)
	if !ok {
		return strconv.FormatFloat(*v, 'g', 6, 64)
	}
	const thousandth = greentally.Unit / 1000
	return ((amount + thousandth/2) / thousandth * thousandth).String()
}

// Figure writes what a revision changed, from what or to what.
func (f frame) Figure(what, text string) string {
	switch {
	case text == "":
		return "–"
	case what == "verdict":
		return f.word(text)
	}
	return text
}

// Points writes points of a scheme.
func (f frame) Points(v float64) string {
	return strconv.FormatFloat(math.Round(100*v)/100, 'f', -1, 64)
}

// Rounded writes a number as people say it.
func (f frame) Rounded(v *float64) string {
	places := 0
	if math.Abs(*v) < 100 {
		places = 1
	}
	return strconv.FormatFloat(*v, 'f', places, 64)
}

// SiteName is what a site of the community is called.
func (f frame) SiteName(id string) string {
	for _, s := range f.Community.Sites {
		if s.ID == id {
			return cmp.Or(s.Name.In(f.Language), id)
		}
	}
	return id
}

// ValueTitle is what a value or a text of a record is called.
func (f frame) ValueTitle(t greentally.RecordType, name string) string {
	for _, value := range t.Values {
		if value.Name == name {
			return value.Title.In(f.Language)
		}
	}
	for _, text := range t.Texts {
		if text.Name == name {
			return text.Title.In(f.Language)
		}
	}
	return name
}

// link is a way to another page.
type link struct {
	Path, Word string
	Here       bool
}

// Nav are the ways to a community's pages.
func (f frame) Nav() (all []link) {
	for _, one := range []link{
		{"", "overview", false}, {"alerts", "alerts", false}, {"indicators", "indicators", false}, {"records", "records", false}, {"reports", "reports", false}, {"discovered", "discovered", false},
	} {
		path := f.here()
		if one.Path != "" {
			path = f.here(one.Path)
		}
		here := f.URL.Path == path || one.Path != "" && strings.HasPrefix(f.URL.Path, path+"/")
		all = append(all, link{path, one.Word, here})
	}
	return all
}

// Size writes a number of bytes.
func (f frame) Size(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.0f KiB", math.Ceil(float64(n)/(1<<10)))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// UTC is an instant for programs, Clock by the community's clocks.
func (f frame) UTC(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Clock writes an instant by the community's clocks.
func (f frame) Clock(t time.Time) string {
	t = t.In(f.Location)
	if greentally.DateOf(t, f.Location) == greentally.DateOf(f.Now, f.Location) {
		return t.Format("15:04")
	}
	return t.Format("2006-01-02 15:04")
}

// Today is the day by the community's clocks.
func (f frame) Today() string { return greentally.DateOf(f.Now, f.Location).String() }

// RowDate is when a contribution was.
func (f frame) RowDate(row greentally.WorkingRow) string {
	if !row.Time.IsZero() {
		return f.Clock(row.Time)
	}
	return row.Date.String()
}

// RowDay is the day of a contribution.
func (f frame) RowDay(row greentally.WorkingRow) greentally.Date {
	if !row.Time.IsZero() {
		return greentally.DateOf(row.Time, f.Location)
	}
	return row.Date
}

// ValueOf writes a reading's value of a quantity.
func (f frame) ValueOf(r greentally.Reading, q greentally.Quantity) string {
	v, has := r.Value(q.Name)
	if !has {
		return ""
	}
	return valueText(q, v, f.Language)
}

// valueText writes a value with its unit, or a state as it is called.
func valueText(q greentally.Quantity, v greentally.Value, language string) string {
	if v.State != "" {
		return q.StateTitle(v.State).In(language)
	}
	if isRatio(q) {
		return strconv.FormatFloat(math.Round(1000*v.Number)/10, 'f', -1, 64) + " %"
	}
	return strings.TrimSpace(strconv.FormatFloat(math.Round(100*v.Number)/100, 'f', -1, 64) + " " + unitOf(q))
}
