package alerting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/silence"
	"github.com/prometheus/alertmanager/silence/silencepb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"greentally"
)

// Acknowledged is what the comment of a silence begins with that lasts as long as its alert
// holds: who acknowledged it hears that it is over, and of the next one.
const Acknowledged = "acknowledged"

// matcher is a condition of a silence, as Alertmanager's API writes it.
type matcher struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	IsRegex bool   `json:"isRegex"`
	IsEqual bool   `json:"isEqual"`
}

func (m matcher) String() string {
	sign := map[[2]bool]string{{false, true}: "=", {false, false}: "!=", {true, true}: "=~", {true, false}: "!~"}[[2]bool{m.IsRegex, m.IsEqual}]
	return fmt.Sprintf("%s%s%q", m.Name, sign, m.Value)
}

// conditions are the matchers of a silence of ours.
func conditions(s greentally.Silence) (all []matcher) {
	for _, pair := range [][2]string{{"community", s.Community}, {"alertname", s.Rule}, {"device", s.Device}, {"indicator", s.Indicator}} {
		if pair[1] != "" {
			all = append(all, matcher{Name: pair[0], Value: pair[1], IsEqual: true})
		}
	}
	return all
}

// commentOf is what Alertmanager keeps of why.
func commentOf(s greentally.Silence) string {
	switch {
	case !s.Acknowledges:
		return s.Why
	case s.Why == "":
		return Acknowledged
	}
	return Acknowledged + ": " + s.Why
}

// silenceOf is a silence as Alertmanager has it.
func silenceOf(all []matcher, comment string) greentally.Silence {
	s := greentally.Silence{Why: comment}
	if why, is := strings.CutPrefix(comment, Acknowledged); is {
		s.Acknowledges, s.Why = true, strings.TrimPrefix(why, ": ")
	}
	places := map[string]*string{"community": &s.Community, "alertname": &s.Rule, "device": &s.Device, "indicator": &s.Indicator}
	for _, m := range all {
		if place := places[m.Name]; place != nil && m.IsEqual && !m.IsRegex && *place == "" {
			*place = m.Value
		} else {
			s.Further = append(s.Further, m.String())
		}
	}
	return s
}

// sorted leaves the silences of a community, those that end first before the others.
func sorted(all []greentally.Silence, community string) []greentally.Silence {
	all = slices.DeleteFunc(all, func(s greentally.Silence) bool { return s.Community != community })
	slices.SortFunc(all, func(a, b greentally.Silence) int {
		if c := a.Until.Compare(b.Until); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all
}

// has returns an error that wraps [fs.ErrNotExist] if a community has no such silence.
func has(ctx context.Context, in interface {
	Silences(ctx context.Context, community string) ([]greentally.Silence, error)
}, community, id string) error {
	all, err := in.Silences(ctx, community)
	if err == nil && !slices.ContainsFunc(all, func(s greentally.Silence) bool { return s.ID == id }) {
		err = greentally.Missingf("社区 %[2]q 没有静默 %[1]q", "there is no silence %q in community %q", id, community)
	}
	return err
}

// Silences returns the silences of a community that are in force, or will be.
func (m *Manager) Silences(ctx context.Context, community string) ([]greentally.Silence, error) {
	found, _, err := m.silences.Query(ctx, silence.QState(silence.SilenceStateActive, silence.SilenceStatePending))
	if err != nil {
		return nil, fmt.Errorf("silences: %w", err)
	}
	var all []greentally.Silence
	for _, one := range found {
		s := silenceOf(matchersOf(one), one.Comment)
		s.ID, s.Since, s.Until, s.By = one.Id, one.StartsAt.AsTime(), one.EndsAt.AsTime(), one.CreatedBy
		all = append(all, s)
	}
	return sorted(all, community), nil
}

// matchersOf returns the conditions of a silence; of several sets of them, which are alternatives,
// none that are ours.
func matchersOf(s *silencepb.Silence) (all []matcher) {
	matchers := s.Matchers
	if len(s.MatcherSets) == 1 { // the newer form
		matchers = s.MatcherSets[0].Matchers
	}
	if len(s.MatcherSets) > 1 || len(s.ReceiverMatcherSets) > 0 {
		return nil
	}
	for _, one := range matchers {
		all = append(all, matcher{Name: one.Name, Value: one.Pattern,
			IsRegex: one.Type == silencepb.Matcher_REGEXP || one.Type == silencepb.Matcher_NOT_REGEXP,
			IsEqual: one.Type == silencepb.Matcher_EQUAL || one.Type == silencepb.Matcher_REGEXP})
	}
	return all
}

// Silence tells nobody of the alerts from now on, and returns the silence when it is kept.
func (m *Manager) Silence(ctx context.Context, s greentally.Silence) (greentally.Silence, error) {
	made := &silencepb.Silence{StartsAt: timestamppb.New(s.Since), EndsAt: timestamppb.New(s.Until), CreatedBy: s.By, Comment: commentOf(s)}
	set := &silencepb.MatcherSet{}
	for _, c := range conditions(s) {
		set.Matchers = append(set.Matchers, &silencepb.Matcher{Type: silencepb.Matcher_EQUAL, Name: c.Name, Pattern: c.Value})
	}
	made.MatcherSets = []*silencepb.MatcherSet{set}
	if err := m.silences.Set(ctx, made); err != nil {
		return s, fmt.Errorf("silence: %w", err)
	}
	if err := m.keeper.flush(ctx); err != nil {
		return s, fmt.Errorf("keep a silence: %w", err)
	}
	s.ID = made.Id
	return s, nil
}

// EndSilence ends a silence of a community. The error wraps [fs.ErrNotExist] if there is none.
func (m *Manager) EndSilence(ctx context.Context, community, id string) error {
	if err := has(ctx, m, community, id); err != nil {
		return err
	}
	if err := m.silences.Expire(ctx, id); err != nil {
		return fmt.Errorf("end silence %s: %w", id, err)
	}
	return m.keeper.flush(ctx)
}

// endAcknowledgement ends the silences that are acknowledgements of the alert.
func (m *Manager) endAcknowledgement(ctx context.Context, a greentally.Alert) {
	all, err := m.Silences(ctx, a.Community)
	if err != nil {
		m.options.Log.Warn("an acknowledgement may outlive its alert", "rule", a.Rule, "device", a.Device, "error", err)
		return
	}
	for _, s := range all {
		if !s.Acknowledges || s.Rule != a.Rule || s.Device != a.Device || s.Indicator != a.Indicator {
			continue
		}
		if err := m.silences.Expire(ctx, s.ID); err != nil {
			m.options.Log.Warn("an acknowledgement outlives its alert", "silence", s.ID, "error", err)
		}
	}
}

// remoteSilence is a silence as the API of Alertmanager writes it.
type remoteSilence struct {
	ID        string    `json:"id,omitempty"`
	Matchers  []matcher `json:"matchers"`
	StartsAt  time.Time `json:"startsAt"`
	EndsAt    time.Time `json:"endsAt"`
	CreatedBy string    `json:"createdBy"`
	Comment   string    `json:"comment"`
	Status    *struct {
		State string `json:"state"`
	} `json:"status,omitempty"`
}

// Silences returns the silences of a community that are in force, or will be.
func (r *Remote) Silences(ctx context.Context, community string) ([]greentally.Silence, error) {
	var found []remoteSilence
	filter := url.Values{"filter": {matcher{Name: "community", Value: community, IsEqual: true}.String()}}
	if err := r.ask(ctx, http.MethodGet, "silences?"+filter.Encode(), nil, &found); err != nil {
		return nil, err
	}
	var all []greentally.Silence
	for _, one := range found {
		if one.Status != nil && one.Status.State == "expired" {
			continue
		}
		s := silenceOf(one.Matchers, one.Comment)
		s.ID, s.Since, s.Until, s.By = one.ID, one.StartsAt.UTC(), one.EndsAt.UTC(), one.CreatedBy
		all = append(all, s)
	}
	return sorted(all, community), nil
}

// Silence tells nobody of the alerts from now on.
func (r *Remote) Silence(ctx context.Context, s greentally.Silence) (greentally.Silence, error) {
	var made struct {
		ID string `json:"silenceID"`
	}
	err := r.ask(ctx, http.MethodPost, "silences", remoteSilence{Matchers: conditions(s), StartsAt: s.Since, EndsAt: s.Until, CreatedBy: s.By, Comment: commentOf(s)}, &made)
	if err == nil && made.ID == "" {
		err = errors.New("alertmanager: the answer does not say the silence's ID, so it is not Alertmanager's; look at its URL")
	}
	s.ID = made.ID
	return s, err
}

// EndSilence ends a silence of a community. The error wraps [fs.ErrNotExist] if there is none.
func (r *Remote) EndSilence(ctx context.Context, community, id string) error {
	if err := has(ctx, r, community, id); err != nil {
		return err
	}
	return r.ask(ctx, http.MethodDelete, "silence/"+url.PathEscape(id), nil, nil)
}

// ask asks the Alertmanagers in turn until one answers: they tell each other.
func (r *Remote) ask(ctx context.Context, method, path string, body, into any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	var failed []error
	for _, u := range r.urls {
		err := r.askOne(ctx, method, u, path, data, into)
		if err == nil {
			return nil
		}
		failed = append(failed, fmt.Errorf("alertmanager %s: %w", u.Redacted(), err))
	}
	return errors.Join(failed...)
}

func (r *Remote) askOne(ctx context.Context, method string, of *url.URL, path string, body []byte, into any) error {
	response, err := r.request(ctx, method, of, path, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return err
	}
	if response.StatusCode/100 > 3 {
		return fmt.Errorf("%s: %.200s", response.Status, answer)
	}
	if into == nil && taken(response, answer) {
		return nil
	}
	if into == nil || response.StatusCode != http.StatusOK || json.Unmarshal(answer, into) != nil {
		return notAlertmanager(response)
	}
	return nil
}

// maxAnswer is the most that is read of an answer, in bytes.
const maxAnswer = 16 << 20
