package mail

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	html "html/template"
	"io/fs"
	"maps"
	"slices"
	"strings"
	text "text/template"
	"time"

	"greentally"
	"greentally/internal/strictyaml"
)

//go:embed templates
var shipped embed.FS

// wordsFile has the words of all templates; frameFile what all HTML templates have in
// common.
const (
	wordsFile = "words.yaml"
	frameFile = "frame.html.tmpl"
)

// templates are parsed files.
type templates struct {
	words map[string]greentally.Text
	html  map[string]*html.Template // by alert, digest and month
	text  map[string]*text.Template
}

// load reads the shipped templates and those that override them, which may be nil, and
// tries all of them.
func load(override fs.FS) (*templates, error) {
	files, err := fs.Sub(shipped, "templates")
	if err != nil {
		return nil, err
	}
	contents := map[string]string{}
	names, err := fs.Glob(files, "*")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		contents[name] = string(data)
	}
	t := &templates{words: map[string]greentally.Text{}, html: map[string]*html.Template{}, text: map[string]*text.Template{}}
	if _, err := strictyaml.Decode(wordsFile, []byte(contents[wordsFile]), &t.words); err != nil {
		return nil, err
	}
	if override != nil {
		if err := t.override(override, contents); err != nil {
			return nil, err
		}
	}
	var errs []error
	for _, name := range []string{"alert", "digest", "month"} {
		h, err := html.New(frameFile).Parse(contents[frameFile])
		if err == nil {
			h, err = h.New(name + ".html.tmpl").Parse(contents[name+".html.tmpl"])
		}
		errs = append(errs, err)
		x, err := text.New(name + ".txt.tmpl").Parse(contents[name+".txt.tmpl"])
		errs = append(errs, err)
		t.html[name], t.text[name] = h, x
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return t, t.try()
}

// override puts the files of a user in place of those in contents.
func (t *templates) override(files fs.FS, contents map[string]string) error {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return fmt.Errorf("read the templates of mails: %w", err)
	}
	var errs []error
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() || strings.HasPrefix(name, ".") {
			continue
		}
		if _, ok := contents[name]; !ok {
			errs = append(errs, fmt.Errorf("%s:1: mails have no such template; there are %s", name, strings.Join(slices.Sorted(maps.Keys(contents)), ", ")))
			continue
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s:1: %w", name, err))
			continue
		}
		if name != wordsFile {
			contents[name] = string(data)
			continue
		}
		var own map[string]greentally.Text
		doc, err := strictyaml.Decode(name, data, &own)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for key, word := range own {
			if _, ok := t.words[key]; !ok {
				errs = append(errs, doc.Errorf([]any{key}, "mails have no word %q", key))
			}
			t.words[key] = word
		}
	}
	return errors.Join(errs...)
}

// render returns the HTML and the plain text of a mail.
func (t *templates) render(name string, page *Page) (asHTML, asText string, err error) {
	var h, x bytes.Buffer
	if err := t.html[name].Execute(&h, page); err != nil {
		return "", "", err
	}
	if err := t.text[name].Execute(&x, page); err != nil {
		return "", "", err
	}
	return h.String(), x.String(), nil
}

// try renders samples, since a template can parse and yet ask for what there is not.
func (t *templates) try() error {
	now := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	level := 0.9
	open := greentally.Alert{
		Community: "c", Rule: "r", Severity: greentally.Critical, Device: "d", Site: "s", Stream: greentally.Food,
		Title: greentally.Text{EN: "t"}, Summary: greentally.Text{EN: "t"}, Action: greentally.Text{EN: "t"},
		Quantity: "q", Limit: &level, Since: now.Add(-time.Hour), Fired: now,
	}
	over := open
	over.Ended = &now
	sample := &Mailer{templates: t, options: Options{
		Names: func(string) (*greentally.Community, *time.Location, bool) { return nil, nil, false },
		Link:  func(greentally.Alert) string { return "https://example.org" },
		Now:   func() time.Time { return now },
	}}
	value, bound := 0.25, 0.3
	month := Month{
		Community: "c", Month: greentally.Month{Year: 2026, Month: time.October},
		Indicators: []greentally.IndicatorValue{
			{Indicator: "f", Unit: "ratio", Value: &value, Target: &greentally.Target{AtLeast: &bound}, Verdict: greentally.Fail},
			{Indicator: "l", Reason: greentally.Text{EN: "t"}, Lacks: []string{"survey"}, Verdict: greentally.InsufficientData},
		},
		Assessments: []greentally.Assessment{{
			Scheme: "s", Total: 10, AtMost: 10, LevelTitle: greentally.Text{EN: "t"}, Barred: []string{"v"}, Verdict: greentally.Fail,
			Items: []greentally.ItemResult{{Item: "i", Points: 10, Indicators: []string{"f", "l"}, Verdict: greentally.Fail}},
		}},
	}
	files := []File{{Name: "a.pdf", MediaType: "application/pdf"}}
	var errs []error
	for _, language := range []string{"zh", "en"} {
		w := sample.writer(Recipient{Language: language})
		for _, alerts := range [][]greentally.Alert{{open}, {over}, {open, over}} {
			page := w.notice(context.Background(), alerts, Notice{Others: []string{"x"}})
			page.Items[0].Chart = &Chart{Source: "cid:x", Caption: "t"}
			_, _, err := t.render("alert", page)
			errs = append(errs, err)
			_, _, err = t.render("digest", w.digest(alerts))
			errs = append(errs, err)
		}
		for _, page := range []*Page{w.month(month, files, nil), w.month(month, nil, files), w.month(Month{}, files, nil)} {
			_, _, err := t.render("month", page)
			errs = append(errs, err)
		}
	}
	return first(errs)
}

// first returns the first error, since a template fails on each sample alike.
func first(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
