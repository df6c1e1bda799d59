package pages

import (
	"fmt"
	"net/http"
	"strings"

	"greentally"
	"greentally/web"
)

// reportsPage is what can be downloaded, and what is applied for.
type reportsPage struct {
	months
	Kept         []greentally.KeptExport // months that were exported by schedule
	Applications []greentally.Application
	Schemes      []Choice
	Key          string
}

func (p *Pages) reports(v *view) (any, error) {
	month, err := v.month()
	if err != nil {
		return nil, err
	}
	if v.URL.Query().Get("month") == "" && v.Method == http.MethodGet {
		month = month.First().Add(-1).MonthOf() // the one that is over is handed in
	}
	page := reportsPage{months: around(month), Schemes: p.Schemes, Key: p.Exports.Key()}
	if page.Kept, err = p.Exports.Kept(v.Context(), v.Community.ID); err != nil {
		return nil, err
	}
	page.Applications, err = p.Exports.Applications(v.Context(), v.Community.ID)
	return page, err
}

// applied is an application with what may follow, and what has become another figure.
type applied struct {
	greentally.Application
	Revisions []greentally.Revision
	Next      []greentally.Stage // that the one who looks may write down
	Levels    []greentally.TitleLevel
}

// theirs returns the application that the path names, if it is the community's.
func (p *Pages) theirs(v *view) (greentally.Application, error) {
	a, err := p.Exports.Application(v.Context(), v.PathValue("id"))
	if err == nil && a.Community != v.Community.ID {
		err = greentally.NoApplication(v.PathValue("id"))
	}
	return a, err
}

func (p *Pages) application(v *view) (any, error) {
	a, err := p.theirs(v)
	if err != nil {
		return nil, err
	}
	page := applied{Application: a, Levels: greentally.TitleLevels()}
	for _, next := range p.Next(a.Stage) {
		if p.MayStep(v.Context(), a.Community, next, false) {
			page.Next = append(page.Next, next)
		}
	}
	page.Revisions, err = p.Exports.Revisions(v.Context(), a)
	return page, err
}

// beginApplication begins an application for a scheme with the figures of a month.
func (p *Pages) beginApplication(v *view) (string, error) {
	month, err := greentally.ParseMonth(v.PostFormValue("month"))
	if err != nil {
		return "", v.wrong("no_month")
	}
	step := greentally.Step{To: greentally.StageDraft, Community: v.Community.ID, Scheme: v.PostFormValue("scheme"), Month: month,
		By: strings.TrimSpace(v.PostFormValue("by")), Why: strings.TrimSpace(v.PostFormValue("why"))}
	if step.Scheme == "" || step.By == "" {
		return "", v.wrong("no_reason")
	}
	a, err := p.Exports.Step(v.Context(), "", step)
	web.About(v.Request, "id", a.ID, "stage", string(step.To), "scheme", step.Scheme)
	return v.here("applications", a.ID) + "?done=begun", err
}

// stepsOn reports whether the asker may take any further step of applications.
func stepsOn(v *view) bool { return v.may(web.Write) || v.may(web.Judge) }

// stepApplication takes the next step.
func (p *Pages) stepApplication(v *view) (string, error) {
	a, err := p.theirs(v)
	if err != nil {
		return "", err
	}
	step := greentally.Step{To: greentally.Stage(v.PostFormValue("to")), By: strings.TrimSpace(v.PostFormValue("by")), Why: strings.TrimSpace(v.PostFormValue("why"))}
	if text := v.PostFormValue("on"); text != "" {
		if step.On, err = greentally.ParseDate(text); err != nil {
			return "", v.wrong("no_date")
		}
	}
	if step.To == greentally.StageNamed {
		step.Level = greentally.TitleLevel(v.PostFormValue("level"))
		if text := v.PostFormValue("until"); text != "" {
			until, err := greentally.ParseDate(text)
			if err != nil {
				return "", v.wrong("no_date")
			}
			step.Until = &until
		}
	}
	web.About(v.Request, "stage", string(step.To))
	if !p.MayStep(v.Context(), a.Community, step.To, false) {
		return "", web.ErrForbidden
	}
	if step.By == "" {
		return "", fmt.Errorf("%w: %s", web.ErrBadRequest, v.word("no_reason"))
	}
	_, err = p.Exports.Step(v.Context(), a.ID, step)
	return v.here("applications", a.ID) + "?done=stepped", err
}
