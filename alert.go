package greentally

import (
	"cmp"
	"maps"
	"strings"
	"time"
)

// Severity says how soon an alert wants somebody.
type Severity string

// The severities.
const (
	Critical Severity = "critical" // now, also at night
	Warning  Severity = "warning"  // today
	Info     Severity = "info"     // good to know
)

// Alert says that a rule's condition holds, or held, and of what. Two with the same
// identity are of the same thing: community, rule, and device or indicator.
type Alert struct {
	Community string   `json:"community"`
	Rule      string   `json:"rule"`
	Severity  Severity `json:"severity"`

	Device    string `json:"device,omitempty"` // that it is about, with its kind, site and stream
	Kind      string `json:"kind,omitempty"`
	Site      string `json:"site,omitempty"`
	Stream    Stream `json:"stream,omitempty"`
	Indicator string `json:"indicator,omitempty"` // that it is about

	Labels map[string]string `json:"labels,omitempty"` // further ones, for routing

	Title   Text `json:"title"`   // what is the matter, such as "Bin overflowing"
	Summary Text `json:"summary"` // in a sentence, with values
	Action  Text `json:"action"`  // what to do

	// Quantity is what a chart of the last day shows, empty if nothing, and Limit the level
	// that matters in it.
	Quantity string   `json:"quantity,omitempty"`
	Limit    *float64 `json:"limit,omitempty"`

	Since time.Time  `json:"since"`           // when the condition began to hold
	Fired time.Time  `json:"fired"`           // when it had held for as long as the rule asks
	Ended *time.Time `json:"ended,omitempty"` // nil while it holds
}

// AlertSpan says how long something was the matter with a device.
type AlertSpan struct {
	Device string     `json:"device"`
	Since  time.Time  `json:"since"`
	Ended  *time.Time `json:"ended,omitempty"` // nil while it is the matter
}

// AlertKey is the identity of an alert.
type AlertKey struct{ Community, Rule, Device, Indicator string }

// Key returns the alert's identity.
func (a *Alert) Key() AlertKey { return AlertKey{a.Community, a.Rule, a.Device, a.Indicator} }

// CompareAlerts orders alerts by when they fired, rule, device and indicator.
func CompareAlerts(a, b Alert) int {
	return cmp.Or(a.Fired.Compare(b.Fired), strings.Compare(a.Community, b.Community), strings.Compare(a.Rule, b.Rule),
		strings.Compare(a.Device, b.Device), strings.Compare(a.Indicator, b.Indicator))
}

// LabelSet returns all labels, those of the identity among them, under the names that
// Alertmanager routes by. Those that are empty are left out.
func (a *Alert) LabelSet() map[string]string {
	labels := maps.Clone(a.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	for name, value := range map[string]string{
		"alertname": a.Rule, "severity": string(a.Severity), "community": a.Community, "device": a.Device,
		"kind": a.Kind, "site": a.Site, "stream": string(a.Stream), "indicator": a.Indicator,
	} {
		if value != "" {
			labels[name] = value
		}
	}
	return labels
}
