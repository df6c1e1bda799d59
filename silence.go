package greentally

import "time"

// Silence says that nobody is told of some alerts of a community for a while. They are still
// there, and are listed.
type Silence struct {
	ID        string `json:"id"`
	Community string `json:"community"`

	// Which alerts; what is empty says nothing of them. One of the three is set.
	Rule      string `json:"rule,omitempty"`
	Device    string `json:"device,omitempty"`
	Indicator string `json:"indicator,omitempty"`

	// Further are conditions beside these, as Alertmanager writes them, such as
	// severity="warning". Only silences that were made by its own API have some.
	Further []string `json:"further,omitempty"`

	// Acknowledges says that somebody is on it: the silence ends with its alert.
	Acknowledges bool `json:"acknowledges,omitempty"`

	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	By    string    `json:"by"` // who silenced
	Why   string    `json:"why,omitempty"`
}

// Of reports whether the silence is certainly of the alert; of one with further conditions that is
// not known.
func (s *Silence) Of(a *Alert) bool {
	fits := func(want, has string) bool { return want == "" || want == has }
	return len(s.Further) == 0 && s.Community == a.Community && fits(s.Rule, a.Rule) && fits(s.Device, a.Device) && fits(s.Indicator, a.Indicator)
}
