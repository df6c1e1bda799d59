package pages

import (
	"slices"
	"time"

	"greentally"
)

// told is an alert with the silence because of which nobody is told of it, if there is one.
type told struct {
	greentally.Alert
	Silence *greentally.Silence
}

// told returns the alerts that hold, and the silences that there are.
func (p *Pages) told(v *view) (all []told, silences []greentally.Silence, err error) {
	if silences, err = p.Silences.List(v.Context(), v.Community.ID); err != nil {
		return nil, nil, err
	}
	for _, a := range p.open(v.Community.ID) {
		one := told{Alert: a}
		for i := range silences {
			if silences[i].Of(&a) && !v.Now.Before(silences[i].Since) {
				one.Silence = &silences[i]
			}
		}
		all = append(all, one)
	}
	return all, silences, nil
}

// alertsPage is the page of alerts.
type alertsPage struct {
	Alerts   []told
	Ended    []greentally.Alert // lately, the latest first
	Silences []greentally.Silence
}

// endedShown is how many alerts that are over stand on the page.
const endedShown = 20

func (p *Pages) alerts(v *view) (any, error) {
	all, silences, err := p.told(v)
	if err != nil {
		return nil, err
	}
	page := alertsPage{Alerts: all, Silences: silences}
	for _, a := range p.Alerts() {
		if a.Community == v.Community.ID && a.Ended != nil {
			page.Ended = append(page.Ended, a)
		}
	}
	slices.SortFunc(page.Ended, func(a, b greentally.Alert) int { return b.Ended.Compare(*a.Ended) })
	page.Ended = page.Ended[:min(endedShown, len(page.Ended))]
	return page, nil
}

// silence silences alerts for a while, or acknowledges one.
func (p *Pages) silence(v *view) (string, error) {
	s := greentally.Silence{Community: v.Community.ID, Rule: v.PostFormValue("rule"), Device: v.PostFormValue("device"), Indicator: v.PostFormValue("indicator"),
		By: v.Person, Why: v.PostFormValue("why")}
	if s.By == "" {
		s.By = v.word("somebody")
	}
	if v.PostFormValue("do") == "acknowledge" {
		s.Acknowledges = true
		_, err := p.Silence(v.Request, s, 0)
		return v.here("alerts") + "?done=acknowledged", err
	}
	if s.Why == "" {
		return "", v.wrong("no_reason")
	}
	length, err := time.ParseDuration(v.PostFormValue("for"))
	if err != nil {
		return "", v.wrong("no_time")
	}
	_, err = p.Silence(v.Request, s, length)
	return v.here("alerts") + "?done=silenced", err
}

func (p *Pages) endSilence(v *view) (string, error) {
	return v.here("alerts") + "?done=unsilenced", p.Silences.End(v.Context(), v.Community.ID, v.PathValue("id"))
}
