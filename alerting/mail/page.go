package mail

import (
	"bytes"
	"context"
	"fmt"
	html "html/template"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"greentally"
)

// Of more alerts than these a mail says only how many there are.
const (
	mostItems       = 30
	mostDigestItems = 100
	mostCharts      = 3
)

// Page is what a template sees. All of its text is in the recipient's language, and times
// are those of the community's clocks.
type Page struct {
	Language  string // zh or en
	Subject   string
	Title     string // what is the matter
	Preview   string // what a list of mails shows beside the subject
	Community string // empty if the alerts are of several

	Items    []Item    // of a mail about alerts, the most serious first
	Sections []Section // of a digest
	Month    *Summary  // of a mail about a month, else nil
	More     string    // says that there are more alerts than these, else empty

	Told string // who else was told; empty in mails that are not about alerts that begin or end
	Why  string // why the recipient gets the mail

	communityID string // empty if there are several
	list        string // in List-Id
	words       words
}

// HTMLLanguage is the language as HTML names it.
func (p *Page) HTMLLanguage() string {
	if p.Language == "zh" {
		return "zh-CN"
	}
	return p.Language
}

// Word returns a word of words.yaml.
func (p *Page) Word(key string) (string, error) {
	if _, ok := p.words.table[key]; !ok {
		return "", fmt.Errorf("there is no word %q in %s", key, wordsFile)
	}
	return p.words.get(key), nil
}

func (p *Page) charts() []*Chart {
	var all []*Chart
	for _, item := range p.Items {
		if item.Chart != nil {
			all = append(all, item.Chart)
		}
	}
	return all
}

// Item is an alert. What is not known or does not apply is empty.
type Item struct {
	Severity string   // critical, warning or info
	Label    string   // the severity as a word, or that it is over
	Color    html.CSS // of the label, such as #b42318
	Over     bool

	Title   string
	Summary string // what is the matter, with values; only while it holds
	Action  string // what to do, in lines; only while it holds

	Device string // such as: Food waste bin
	Where  string // such as: Green Riverside › stairwell 1
	Since  string
	Ended  string
	Lasted string // until now, while it holds
	Link   string
	Chart  *Chart // nil if there is none

	short string // what the subject says
}

// Section is a part of a digest: the alerts of one severity.
type Section struct {
	Label string
	Color html.CSS
	Sites []Site
}

// Site is a part of a section: the alerts at one place.
type Site struct {
	Where string
	Items []Item
}

// Chart is a picture.
type Chart struct {
	Source  html.URL // for the img element
	Caption string   // says in words what is most important in it

	id  string
	png []byte
}

func (c *Chart) reader() io.ReadSeeker { return bytes.NewReader(c.png) }

// writer writes the pages for one recipient.
type writer struct {
	*Mailer
	words words
	now   time.Time
}

func (m *Mailer) writer(to Recipient) *writer {
	language := "zh"
	if to.Language == "en" {
		language = "en"
	}
	return &writer{Mailer: m, words: words{language, m.templates.words}, now: m.options.Now()}
}

// notice returns the page about alerts, which are in order.
func (w *writer) notice(ctx context.Context, alerts []greentally.Alert, n Notice) *Page {
	p := w.page(alerts)
	over := 0
	for _, a := range alerts {
		if a.Ended != nil {
			over++
		}
	}
	for _, a := range alerts[:min(len(alerts), mostItems)] {
		item := w.item(a, p.communityID == "")
		if n.Reminder > 0 && !item.Over {
			item.Label = w.words.get("reminder", "severity", item.Label)
		}
		p.Items = append(p.Items, item)
	}
	w.addCharts(ctx, p, alerts)
	p.More = w.more(len(alerts) - len(p.Items))

	first, open := p.Items[0], len(alerts)-over
	about := first.short
	p.Preview = first.Summary
	if first.Over {
		p.Preview = w.words.get("over_preview", "when", first.Ended, "duration", first.Lasted)
	}
	switch {
	case len(alerts) == 1:
		p.Title = first.Title
	case open == 0:
		p.Title = w.words.count("over", over)
		about = w.words.get("over_among", "first", first.short, "n", strconv.Itoa(over), "more", strconv.Itoa(over-1))
	default:
		p.Title = w.words.count("open", open)
		if over > 0 {
			p.Title += w.words.count("and_over", over)
		}
		if open > 1 {
			about = w.words.get("open_among", "first", first.short, "n", strconv.Itoa(open), "more", strconv.Itoa(open-1))
		}
		if over > 0 {
			about += w.words.count("and_over", over)
		}
	}
	p.Subject = w.subject(first.Label, about, p.Community)
	if len(n.Others) == 0 {
		p.Told = w.words.get("told_nobody")
	} else {
		var others []string
		for _, other := range n.Others {
			others = append(others, line(other))
		}
		p.Told = w.words.get("told", "names", strings.Join(others, w.words.get("comma")))
	}
	return p
}

// digest returns the page about what is open; the alerts are in order.
func (w *writer) digest(alerts []greentally.Alert) *Page {
	p := w.page(alerts)
	shown := alerts[:min(len(alerts), mostDigestItems)]
	p.More = w.more(len(alerts) - len(shown))
	critical := 0
	for _, a := range alerts {
		if a.Severity == greentally.Critical {
			critical++
		}
	}
	for _, a := range shown {
		item := w.item(a, p.communityID == "")
		if i := len(p.Sections) - 1; i < 0 || p.Sections[i].Label != item.Label {
			p.Sections = append(p.Sections, Section{Label: item.Label, Color: item.Color})
		}
		section := &p.Sections[len(p.Sections)-1]
		i := slices.IndexFunc(section.Sites, func(s Site) bool { return s.Where == item.Where })
		if i < 0 {
			i = len(section.Sites)
			section.Sites = append(section.Sites, Site{Where: item.Where})
		}
		section.Sites[i].Items = append(section.Sites[i].Items, item)
	}
	_, location := w.community(alerts[0].Community)
	p.Title = w.words.count("open", len(alerts))
	p.Preview = w.words.get("digest_at", "when", w.when(w.now, location))
	about := w.words.count("digest_subject", len(alerts))
	if critical > 0 {
		about += w.words.get("digest_critical", "n", strconv.Itoa(critical))
	}
	p.Subject = w.subject(w.words.get("digest"), about, p.Community) + " · " + w.day(w.now.In(location))
	return p
}

func (w *writer) page(alerts []greentally.Alert) *Page {
	p := &Page{Language: w.words.language, words: w.words, communityID: alerts[0].Community, list: "alerts"}
	for _, a := range alerts {
		if a.Community != p.communityID {
			p.communityID = ""
			p.Why = w.words.get("why")
			return p
		}
	}
	p.Community = w.communityName(p.communityID)
	p.Why = w.words.get("why_community", "community", p.Community)
	return p
}

func (w *writer) subject(label, about, community string) string {
	s := w.words.get("subject", "label", label, "about", about)
	if community != "" {
		s += " · " + community
	}
	return s
}

func (w *writer) more(n int) string {
	if n <= 0 {
		return ""
	}
	return w.words.count("more", n)
}

func (w *writer) item(a greentally.Alert, withCommunity bool) Item {
	community, location := w.community(a.Community)
	language := w.words.language
	item := Item{
		Severity: string(a.Severity), Over: a.Ended != nil,
		Title:  line(a.Title.In(language)),
		Device: w.device(community, a), Where: w.where(community, a.Site),
		Since: w.when(a.Since, location),
	}
	if item.Title == "" {
		item.Title = line(a.Rule)
	}
	item.short = w.short(community, a, item)
	if withCommunity {
		item.Where = join(" › ", w.communityName(a.Community), item.Where)
	}
	switch {
	case item.Over:
		item.Label, item.Color = w.words.get("resolved"), "#067647"
	case a.Severity == greentally.Critical:
		item.Label, item.Color = w.words.get("critical"), "#b42318"
	case a.Severity == greentally.Warning:
		item.Label, item.Color = w.words.get("warning"), "#b54708"
	default:
		item.Label, item.Color = w.words.get("info"), "#175cd3"
	}
	if item.Over { // its values and advice were those of then
		item.Ended = w.when(*a.Ended, location)
		item.Lasted = w.words.duration(a.Ended.Sub(a.Since))
	} else {
		item.Lasted = w.words.duration(w.now.Sub(a.Since))
		item.Summary, item.Action = lines(a.Summary.In(language)), lines(a.Action.In(language))
	}
	if w.options.Link != nil {
		item.Link = w.options.Link(a)
	}
	return item
}

// community returns what is known of a community, which may have nothing but its ID.
func (w *writer) community(id string) (*greentally.Community, *time.Location) {
	community, location, ok := w.options.Names(id)
	if !ok || community == nil {
		community = &greentally.Community{ID: id}
	}
	if location == nil {
		location = time.UTC
	}
	return community, location
}

func (w *writer) communityName(id string) string {
	community, _ := w.community(id)
	return named(community.Name, id, w.words.language)
}

// device returns what residents call the device: its own name, or what it is.
func (w *writer) device(community *greentally.Community, a greentally.Alert) string {
	if d := findDevice(community, a.Device); d != nil && d.Name != (greentally.Text{}) {
		return line(d.Name.In(w.words.language))
	}
	if key := "bin_" + string(a.Stream); a.Stream != "" && w.words.has(key) {
		return w.words.get(key)
	}
	if kind := w.kind(a.Kind); kind != nil && a.Device != "" {
		return line(kind.Title.In(w.words.language))
	}
	return line(a.Device)
}

func (w *writer) kind(name string) *greentally.Kind {
	if w.options.Kinds == nil {
		return nil
	}
	kind, ok := w.options.Kinds(name)
	if !ok {
		return nil
	}
	return kind
}

// where returns the site and those it lies in, the largest first. A site that is called
// after the one around it does not say that name again.
func (w *writer) where(community *greentally.Community, site string) string {
	var names []string
	for range len(community.Sites) + 1 { // a site cannot lie deeper than there are sites
		if site == "" {
			break
		}
		s := findSite(community, site)
		names = append(names, named(s.Name, site, w.words.language))
		site = s.In
	}
	slices.Reverse(names)
	whole := slices.Clone(names)
	for i := 1; i < len(names); i++ {
		if rest := strings.TrimSpace(strings.TrimPrefix(whole[i], whole[i-1])); rest != "" {
			names[i] = rest
		}
	}
	return strings.Join(names, " › ")
}

// short returns the alert in a few words, for the subject.
func (w *writer) short(community *greentally.Community, a greentally.Alert, item Item) string {
	about := item.Device
	if a.Site != "" {
		site := named(findSite(community, a.Site).Name, a.Site, w.words.language)
		if !strings.Contains(about, site) {
			about = join(w.words.get("site_device"), site, about)
		}
	}
	return join(w.words.get("colon"), about, item.Title)
}

// when returns a time by the community's clock, with the year only if it is another one.
func (w *writer) when(t time.Time, location *time.Location) string {
	return w.day(t.In(location)) + t.In(location).Format(" 15:04")
}

func (w *writer) day(t time.Time) string {
	layout := map[bool]map[string]string{
		true:  {"zh": "1月2日", "en": "2 Jan"},
		false: {"zh": "2006年1月2日", "en": "2 Jan 2006"},
	}[t.Year() == w.now.In(t.Location()).Year()]
	return t.Format(layout[w.words.language])
}

func findDevice(c *greentally.Community, id string) *greentally.Device {
	if i := slices.IndexFunc(c.Devices, func(d *greentally.Device) bool { return d.ID == id }); i >= 0 && id != "" {
		return c.Devices[i]
	}
	return nil
}

func findSite(c *greentally.Community, id string) greentally.Site {
	if i := slices.IndexFunc(c.Sites, func(s greentally.Site) bool { return s.ID == id }); i >= 0 {
		return c.Sites[i]
	}
	return greentally.Site{ID: id}
}

func named(name greentally.Text, id, language string) string {
	if s := line(name.In(language)); s != "" {
		return s
	}
	return line(id)
}

// join joins what is not empty.
func join(separator string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), separator)
}

// line makes one line of reasonable length of a name that anybody may have written,
// without characters that cannot be seen, such as those that turn the direction of text.
func line(s string) string {
	const most = 120
	s = tidy(s)
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most-1]) + "…"
	}
	return s
}

// lines does the same to a text of several lines.
func lines(s string) string {
	const most = 2000
	var all []string
	for l := range strings.Lines(s) {
		all = append(all, tidy(l))
	}
	s = strings.TrimSpace(strings.Join(all, "\n"))
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most-1]) + "…"
	}
	return s
}

func tidy(s string) string {
	const unbroken = '\u00a0' // between a number and its unit
	visible := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) && r != unbroken:
			return ' '
		case unicode.Is(unicode.C, r): // controls, formats, unassigned
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	return strings.Join(strings.FieldsFunc(visible, func(r rune) bool { return r == ' ' }), " ")
}
