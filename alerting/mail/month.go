package mail

import (
	"cmp"
	"context"
	html "html/template"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"greentally"
)

// Of more than these a mail about a month says only how many there are.
const (
	mostFailing = 20
	mostLacking = 10
	mostBarred  = 3 // conditions that a scheme has and the month does not meet
)

// Month is a community's month that is over, with what is handed in for it.
type Month struct {
	Community   string
	Month       greentally.Month
	Indicators  []greentally.IndicatorValue
	Assessments []greentally.Assessment // by schemes in effect
	Files       []File
}

// SendMonth sends a month: how it stands, and its files. Files that would make the mail
// larger than many servers take are left out, the largest first, and the mail says so. Mails
// about a month to the same recipient have the same Message-ID, whatever they say. No mail is
// sent about nothing. An error is an [*Error].
func (m *Mailer) SendMonth(ctx context.Context, to Recipient, month Month) error {
	if len(month.Indicators)+len(month.Assessments)+len(month.Files) == 0 {
		return nil
	}
	attached, leftOut := fitting(month.Files)
	page := m.writer(to).month(month, attached, leftOut)

	msg := gomail.NewMsg()
	msg.SetMessageIDWithValue(m.id("month", to.Email, month.Community, month.Month.String()))
	for _, f := range attached {
		attach(msg, f)
	}
	return m.send(ctx, msg, to, page, "month")
}

// Summary is how a month stands, and what to do about it.
type Summary struct {
	Month  string  // such as October 2026
	Counts []Count // how many indicators have which verdict
	Groups []Group // the indicators to look at
	Scores []Score // one for each scheme

	Attached []Attachment
	LeftOut  []Attachment // too large to be attached

	Steps   []string // what to do
	Command []string // words of the command that adds a record of the type that is most worth it; none if no record lacks
	Note    string   // that the figures can change
}

// Count is a verdict, with how many have it.
type Count struct {
	Label string   // such as: Fail 3
	Color html.CSS // of the label, such as #b42318
}

// Group is some indicators with one verdict, those first that schemes give most for.
type Group struct {
	Label string // the verdict
	Color html.CSS
	Items []Figure
	More  string // says that there are more than these, else empty
}

// Figure is an indicator. What is not known or does not apply is empty.
type Figure struct {
	Title  string
	Value  string
	Target string // such as: (target ≥ 30%)
	Reason string // why there is no verdict
	Stake  string // what the scheme that gives most for it does not give

	lacks []string // types of record
}

// Score is what an assessment says.
type Score struct {
	Label  string // the verdict
	Color  html.CSS
	Title  string // of the scheme
	Points string // such as: 45 to 78 of 100 points; empty if the scheme has none
	Level  string // empty if none is reached, or it is not known
	Note   string // what is not met, or not known
}

// Attachment is a file.
type Attachment struct {
	Name  string
	Size  string
	About string // empty if there is nothing to say of it
}

// month returns the page about a month.
func (w *writer) month(month Month, attached, leftOut []File) *Page {
	p := &Page{Language: w.words.language, words: w.words, communityID: month.Community, list: "months"}
	p.Community = w.communityName(month.Community)
	p.Why = w.words.get("why_month", "community", p.Community)
	first := time.Date(month.Month.Year, month.Month.Month, 1, 0, 0, 0, 0, time.UTC)
	s := &Summary{Month: first.Format(map[string]string{"zh": "2006年1月", "en": "January 2006"}[w.words.language])}
	p.Month = s

	by := map[greentally.Verdict][]greentally.IndicatorValue{}
	for _, v := range month.Indicators {
		by[v.Verdict] = append(by[v.Verdict], v)
	}
	if len(month.Indicators) > 0 {
		s.Counts = w.counts(by)
	}
	passing, failing, lacking := len(by[greentally.Pass]), len(by[greentally.Fail]), len(by[greentally.InsufficientData])
	for _, g := range []Group{
		w.group(greentally.Fail, by[greentally.Fail], month.Assessments, mostFailing),
		w.group(greentally.InsufficientData, by[greentally.InsufficientData], month.Assessments, mostLacking),
	} {
		if len(g.Items) > 0 {
			s.Groups = append(s.Groups, g)
		}
	}
	for i := range month.Assessments {
		s.Scores = append(s.Scores, w.score(&month.Assessments[i]))
	}
	for _, f := range attached {
		s.Attached = append(s.Attached, w.attachment(f))
	}
	for _, f := range leftOut {
		s.LeftOut = append(s.LeftOut, w.attachment(f))
	}
	w.addSteps(s, month)

	switch {
	case failing+lacking > 0:
		var parts []string
		if failing > 0 {
			parts = append(parts, w.words.count("failing", failing))
		}
		if lacking > 0 {
			parts = append(parts, w.words.count("lacking", lacking))
		}
		p.Title = strings.Join(parts, w.words.get("and_lacking"))
	case passing > 0:
		p.Title = w.words.count("passing", passing)
	default:
		p.Title = w.words.get("no_verdicts")
	}
	p.Preview = w.words.get("month_preview", "month", s.Month)
	if len(s.Groups) > 0 {
		item := s.Groups[0].Items[0]
		p.Preview = join(w.words.get("colon"), item.Title, item.Value+item.Target+item.Reason)
	}
	p.Subject = w.subject(w.words.get("month"), join(w.words.get("colon"), s.Month, p.Title), p.Community)
	return p
}

// colorOf returns the colour of a verdict's label.
func colorOf(v greentally.Verdict) html.CSS {
	switch v {
	case greentally.Pass:
		return "#067647"
	case greentally.Fail:
		return "#b42318"
	case greentally.InsufficientData:
		return "#b54708"
	default:
		return "#475467"
	}
}

// counts returns how many indicators have which verdict.
func (w *writer) counts(by map[greentally.Verdict][]greentally.IndicatorValue) (all []Count) {
	for _, v := range []greentally.Verdict{greentally.Pass, greentally.Fail, greentally.InsufficientData, greentally.NoTarget} {
		count := Count{w.words.get(string(v)) + " " + strconv.Itoa(len(by[v])), colorOf(v)}
		if len(by[v]) == 0 {
			count.Color = colorOf(greentally.NoTarget) // neither good nor bad
		}
		if len(by[v]) > 0 || v != greentally.NoTarget {
			all = append(all, count)
		}
	}
	return all
}

// group returns the indicators that have the verdict, at most so many.
func (w *writer) group(verdict greentally.Verdict, values []greentally.IndicatorValue, assessments []greentally.Assessment, most int) Group {
	stakes := map[string]stake{}
	for _, v := range values {
		stakes[v.Indicator] = stakeOf(v, assessments)
	}
	slices.SortStableFunc(values, func(a, b greentally.IndicatorValue) int {
		return cmp.Or(stakes[b.Indicator].compare(stakes[a.Indicator]), cmp.Compare(b.Completeness, a.Completeness))
	})
	g := Group{Label: w.words.get(string(verdict)), Color: colorOf(verdict)}
	for _, v := range values[:min(len(values), most)] {
		f := Figure{Title: named(v.Title, v.Indicator, w.words.language), Stake: w.stake(v, stakes[v.Indicator])}
		if verdict == greentally.InsufficientData {
			f.Reason, f.lacks = tidy(v.Reason.In(w.words.language)), v.Lacks
		} else {
			f.Value, f.Target = w.value(v)
		}
		g.Items = append(g.Items, f)
	}
	if more := len(values) - len(g.Items); more > 0 {
		g.More = w.words.count("more_indicators", more)
	}
	return g
}

// stake is what a scheme does not give for an indicator, or not yet.
type stake struct {
	scheme     *greentally.Assessment // nil if none asks for it
	conditions int                    // without which it gives no level
	points     float64
	share      float64 // that they are of all points
}

func (s stake) compare(other stake) int {
	return cmp.Or(s.conditions-other.conditions, cmp.Compare(s.share, other.share))
}

// stakeOf returns the highest stake in an indicator. Data bring nothing where a scheme bars the
// month whatever they say.
func stakeOf(v greentally.IndicatorValue, assessments []greentally.Assessment) (highest stake) {
	for i := range assessments {
		s := stake{scheme: &assessments[i]}
		if v.Verdict != greentally.Fail && len(s.scheme.Barred) > 0 {
			continue
		}
		for _, item := range s.scheme.Items {
			switch {
			case !slices.Contains(item.Indicators, v.Indicator):
				continue
			case item.Rule == "veto" || item.Rule == "basic":
				if item.Verdict == v.Verdict {
					s.conditions++
				}
			case v.Verdict == greentally.Fail:
				s.points += item.Points - item.AtMost
			default:
				s.points += item.AtMost - item.AtLeast
			}
		}
		if s.scheme.Total > 0 {
			s.share = s.points / s.scheme.Total
		}
		if s.compare(highest) > 0 {
			highest = s
		}
	}
	return highest
}

// stake says what a stake is.
func (w *writer) stake(v greentally.IndicatorValue, s stake) string {
	key := map[bool]string{true: "lost", false: "open"}[v.Verdict == greentally.Fail]
	switch {
	case s.conditions > 0:
		return w.words.get("condition_"+key, "scheme", w.scheme(s.scheme))
	case s.points > 0:
		key = "points_" + key
		if s.points == 1 {
			key += "_1"
		}
		return w.words.get(key, "scheme", w.scheme(s.scheme), "points", points(s.points))
	}
	return ""
}

func (w *writer) scheme(a *greentally.Assessment) string {
	return named(a.Title, a.Scheme, w.words.language)
}

// score says what an assessment says.
func (w *writer) score(a *greentally.Assessment) Score {
	s := Score{Label: w.words.get("scheme_" + string(a.Verdict)), Color: colorOf(a.Verdict), Title: w.scheme(a), Level: line(a.LevelTitle.In(w.words.language))}
	if s.Level == "" {
		s.Level = line(a.Level)
	}
	if s.Level != "" {
		s.Level = w.words.get("level", "level", s.Level)
	}
	switch {
	case a.Total <= 0:
	case a.AtLeast == a.AtMost:
		s.Points = w.words.get("points", "points", points(a.AtLeast), "total", points(a.Total))
	default:
		s.Points = w.words.get("points_between", "least", points(a.AtLeast), "most", points(a.AtMost), "total", points(a.Total))
	}
	var notes []string
	if len(a.Barred) > 0 {
		var titles []string
		for _, id := range a.Barred[:min(len(a.Barred), mostBarred)] {
			title := line(id)
			if i := slices.IndexFunc(a.Items, func(item greentally.ItemResult) bool { return item.Item == id }); i >= 0 {
				title = named(a.Items[i].Title, id, w.words.language)
			}
			titles = append(titles, title)
		}
		if more := len(a.Barred) - len(titles); more > 0 {
			titles = append(titles, w.words.count("more_conditions", more))
		}
		notes = append(notes, w.words.get("barred", "titles", strings.Join(titles, w.words.get("semicolon"))))
	}
	unknown := 0
	for _, item := range a.Items {
		if item.Verdict == greentally.InsufficientData {
			unknown++
		}
	}
	for _, part := range a.Parts {
		if part.AtLeast < part.AtMost {
			unknown++
		}
	}
	if unknown > 0 {
		notes = append(notes, w.words.count("unknown_items", unknown))
	}
	if !a.Complete {
		notes = append(notes, w.words.get("incomplete_scheme"))
	}
	s.Note = strings.Join(notes, w.words.get("semicolon"))
	return s
}

// points writes points, which are tenths or hundredths at the finest.
func points(p float64) string { return strconv.FormatFloat(math.Round(p*100)/100, 'f', -1, 64) }

// value returns an indicator's value and target.
func (w *writer) value(v greentally.IndicatorValue) (value, target string) {
	unit := w.unit(v.Unit)
	var bound *float64
	if v.Target != nil {
		bound = cmp.Or(v.Target.AtLeast, v.Target.AtMost)
		target = w.words.get("target", "target", v.Target.In(v.Unit)+strings.TrimPrefix(unit, "%"))
	}
	if v.Value == nil {
		return "", target
	}
	if v.Unit == "ratio" {
		return percent(*v.Value, bound), target
	}
	return beside(*v.Value, bound, 2) + unit, target
}

// unit returns what stands behind a value.
func (w *writer) unit(unit string) string {
	if unit == "ratio" {
		return "%"
	}
	if key := "unit_" + unit; w.words.has(key) {
		unit = w.words.get(key)
	}
	if unit = line(unit); unit != "" {
		unit = "\u00a0" + unit
	}
	return unit
}

// percent writes a ratio beside the bound that it is held against, if there is one.
func percent(ratio float64, bound *float64) string {
	hundredfold := func(v float64) float64 { return math.Round(1e8*v) / 1e6 } // 0.29 × 100 is a little less than 29
	if bound != nil {
		b := hundredfold(*bound)
		bound = &b
	}
	return beside(hundredfold(ratio), bound, 1) + "%"
}

// beside writes a value with so many decimals, and with more where it would otherwise seem to
// reach a bound that it misses.
func beside(value float64, bound *float64, decimals int) string {
	for ; ; decimals++ {
		number := strconv.FormatFloat(value, 'f', decimals, 64)
		rounded, err := strconv.ParseFloat(number, 64)
		if bound == nil || err != nil || decimals >= 6 || cmp.Compare(rounded, *bound) == cmp.Compare(value, *bound) {
			if strings.Contains(number, ".") {
				number = strings.TrimRight(strings.TrimRight(number, "0"), ".")
			}
			return number
		}
	}
}

// attachment says what a file is.
func (w *writer) attachment(f File) Attachment {
	size := strconv.Itoa((len(f.Data)+999)/1000) + "\u00a0kB"
	if len(f.Data) >= 1e6 {
		size = strconv.FormatFloat(float64(len(f.Data))/1e6, 'f', 1, 64) + "\u00a0MB"
	}
	about := map[string]string{
		"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "file_workbook",
		"application/pdf": "file_report",
		"application/zip": "file_bundle",
	}[f.MediaType]
	return Attachment{Name: fileName(f.Name), Size: size, About: w.words.get(about)}
}

// addSteps says what to do.
func (w *writer) addSteps(s *Summary, month Month) {
	s.Note = w.words.get("late_data")
	if len(s.Attached) > 0 {
		s.Steps = append(s.Steps, w.words.get("step_check"))
	}
	if len(s.Groups) == 0 {
		s.Steps = append(s.Steps, w.words.get("step_apply"))
		return
	}
	s.Steps = append(s.Steps, w.words.get("step_add"), w.words.get("step_apply_then"))
	for _, g := range s.Groups {
		for _, f := range g.Items {
			if len(f.lacks) > 0 && s.Command == nil {
				s.Command = strings.Fields(w.words.get("add_record", "community", plain(month.Community), "type", plain(f.lacks[0]), "date", month.Month.Last().String()))
			}
		}
	}
}
