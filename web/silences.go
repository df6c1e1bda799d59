package web

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"greentally"
)

// Silences are how people are told nothing of some alerts for a while. All functions are required.
type Silences struct {
	List func(ctx context.Context, community string) ([]greentally.Silence, error) // in force, or to be
	Add  func(context.Context, greentally.Silence) (greentally.Silence, error)
	End  func(ctx context.Context, community, id string) error
	Now  func() time.Time
	Who  func(ctx context.Context) string // asks; empty if that is not known
}

// acknowledgedFor is how long an acknowledgement lasts at most; it ends with its alert.
const acknowledgedFor = 24 * time.Hour

// longestSilence is how long a silence can be.
const longestSilence = 366 * 24 * time.Hour

// wish is a silence as it is asked for.
type wish struct {
	Rule         string              `json:"rule,omitempty"`
	Device       string              `json:"device,omitempty"`
	Indicator    string              `json:"indicator,omitempty"`
	For          greentally.Duration `json:"for,omitempty"` // such as 2h; not of an acknowledgement
	Acknowledges bool                `json:"acknowledges,omitempty"`
	By           string              `json:"by,omitempty"` // who it is if that is not known
	Why          string              `json:"why,omitempty"`
}

func (s *Server) routeSilences(get, post func(string, func(*http.Request) (any, error))) {
	get("/api/v1/communities/{community}/silences", func(r *http.Request) (any, error) {
		c, err := s.community(r)
		if err != nil {
			return nil, err
		}
		all, err := s.Silences.List(r.Context(), c.ID)
		if all == nil {
			all = []greentally.Silence{}
		}
		return all, err
	})
	post("/api/v1/communities/{community}/silences", func(r *http.Request) (any, error) {
		c, err := s.community(r)
		if err != nil {
			return nil, err
		}
		var w wish
		if err := Body(r, &w); err != nil {
			return nil, err
		}
		return s.Silence(r, greentally.Silence{Community: c.ID, Rule: w.Rule, Device: w.Device, Indicator: w.Indicator, Acknowledges: w.Acknowledges, By: w.By, Why: w.Why}, time.Duration(w.For))
	})
	post("/api/v1/communities/{community}/silences/{id}/end", func(r *http.Request) (any, error) {
		c, err := s.community(r)
		if err != nil {
			return nil, err
		}
		id := r.PathValue("id")
		return map[string]string{"id": id}, s.Silences.End(r.Context(), c.ID, id)
	})
}

// What a silence can say, in characters.
const (
	maxOf  = 100 // of which alerts, and by whom
	maxWhy = 400
)

// Silence makes a silence that lasts for a while from now; an acknowledgement needs an alert that
// holds, and lasts as long as that. Who is known to ask is who silences.
func (s *Server) Silence(r *http.Request, one greentally.Silence, length time.Duration) (greentally.Silence, error) {
	ctx := r.Context()
	if who := s.Silences.Who(ctx); who != "" {
		one.By = who
	}
	if one.By == "" {
		return one, Refusedf("请填写您是谁", "by: say who it is")
	}
	if one.Rule == "" && one.Device == "" && one.Indicator == "" {
		return one, Refusedf("请选择哪些告警：规则、设备或指标", "say which alerts: rule, device or indicator")
	}
	for name, text := range map[string]string{"rule": one.Rule, "device": one.Device, "indicator": one.Indicator, "by": one.By, "why": one.Why} {
		most := map[bool]int{true: maxWhy, false: maxOf}[name == "why"]
		if utf8.RuneCountInString(text) > most || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
			return one, Refusedf("%s：最多 %d 个字符，不能有控制字符", "%s: at most %d characters, none of them of control", name, most)
		}
	}
	About(r, "rule", one.Rule, "device", one.Device, "indicator", one.Indicator)
	if one.Device != "" && !s.hasDevice(one.Community, one.Device) {
		return one, Refusedf("社区 %s 没有设备 %q", "device: community %s has no device %q", one.Community, one.Device)
	}
	if one.Acknowledges {
		holds := slices.ContainsFunc(s.Alerts(), func(a greentally.Alert) bool {
			return a.Ended == nil && a.Key() == greentally.AlertKey{Community: one.Community, Rule: one.Rule, Device: one.Device, Indicator: one.Indicator}
		})
		if !holds {
			return one, greentally.Missingf("%[4]s 的 %[2]s%[3]s 现在没有告警 %[1]s", "alert %s of %s%s in %s does not hold", one.Rule, one.Device, one.Indicator, one.Community)
		}
		length = acknowledgedFor
	} else if one.Why == "" {
		return one, Refusedf("请填写原因", "why: give the reason")
	}
	if length <= 0 || length > longestSilence {
		return one, Refusedf("时长 %v 不在 0 到 %d 天之间", "for: %v is not a time between none and %d days", length, longestSilence/(24*time.Hour))
	}
	one.Since = s.Silences.Now().UTC()
	one.Until = one.Since.Add(length)
	made, err := s.Silences.Add(ctx, one)
	About(r, "silence", made.ID)
	return made, err
}

func (s *Server) hasDevice(community, device string) bool {
	return slices.ContainsFunc(s.Communities(), func(c *greentally.Community) bool {
		return c.ID == community && slices.ContainsFunc(c.Devices, func(d *greentally.Device) bool { return d.ID == device })
	})
}
