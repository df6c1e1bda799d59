package alerting

import (
	"math"
	"strconv"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/common/model"

	"greentally"
)

// The annotations of an alert. Standard tools show the last two.
const (
	titleZH, titleEN     = "title_zh", "title_en"
	summaryZH, summaryEN = "summary_zh", "summary_en"
	actionZH, actionEN   = "action_zh", "action_en"
	quantity, limit      = "quantity", "limit"
	since                = "since"
	summary, description = "summary", "description"
)

// toAlertmanager converts an alert that changed at that time, which is before now.
func toAlertmanager(a greentally.Alert, changed time.Time) *alert.Alert {
	to := &alert.Alert{
		Alert: model.Alert{Labels: labelSet(a), Annotations: model.LabelSet{}, StartsAt: a.Fired.UTC()},
		// Alertmanager joins what overlaps in time. Of two that do, the later says whether
		// the alert holds, and this lets it.
		Timeout:   true,
		UpdatedAt: changed,
	}
	text := func(name, value string) {
		if value != "" {
			to.Annotations[model.LabelName(name)] = model.LabelValue(value)
		}
	}
	text(titleZH, a.Title.ZH)
	text(titleEN, a.Title.EN)
	text(summaryZH, a.Summary.ZH)
	text(summaryEN, a.Summary.EN)
	text(actionZH, a.Action.ZH)
	text(actionEN, a.Action.EN)
	text(summary, a.Title.In("zh"))
	text(description, a.Summary.In("zh"))
	text(quantity, a.Quantity)
	if a.Limit != nil {
		text(limit, strconv.FormatFloat(*a.Limit, 'g', -1, 64))
	}
	text(since, a.Since.UTC().Format(time.RFC3339Nano))
	if a.Ended != nil {
		// A device's clock may be ahead of ours, but an end in the future would be none yet.
		to.EndsAt = a.Ended.UTC()
		if to.EndsAt.After(changed) {
			to.EndsAt = changed.UTC()
		}
		if to.StartsAt.After(to.EndsAt) {
			to.StartsAt = to.EndsAt // Alertmanager's API refuses it otherwise
		}
	}
	return to
}

func labelSet(a greentally.Alert) model.LabelSet {
	labels := model.LabelSet{}
	for name, value := range a.LabelSet() {
		labels[model.LabelName(name)] = model.LabelValue(value)
	}
	return labels
}

// FromAlertmanager converts an alert back. Of one that did not come through Put, such as
// by amtool, it makes the best of what is there.
func FromAlertmanager(a *alert.Alert) greentally.Alert {
	if a == nil {
		return greentally.Alert{}
	}
	text := func(name string) string { return string(a.Annotations[model.LabelName(name)]) }
	both := func(zh, en, plain string) greentally.Text {
		t := greentally.Text{ZH: text(zh), EN: text(en)}
		if t == (greentally.Text{}) {
			t.ZH = plain
		}
		return t
	}
	from := greentally.Alert{
		Summary:  both(summaryZH, summaryEN, text(description)),
		Action:   both(actionZH, actionEN, ""),
		Quantity: text(quantity),
		Since:    a.StartsAt.UTC(),
		Fired:    a.StartsAt.UTC(),
	}
	for name, value := range a.Labels {
		switch value := string(value); name {
		case model.AlertNameLabel:
			from.Rule = value
		case "severity":
			from.Severity = greentally.Severity(value)
		case "community":
			from.Community = value
		case "device":
			from.Device = value
		case "kind":
			from.Kind = value
		case "site":
			from.Site = value
		case "stream":
			from.Stream = greentally.Stream(value)
		case "indicator":
			from.Indicator = value
		default:
			if from.Labels == nil {
				from.Labels = map[string]string{}
			}
			from.Labels[string(name)] = value
		}
	}
	from.Title = both(titleZH, titleEN, text(summary))
	if from.Title == (greentally.Text{}) {
		from.Title.ZH = from.Rule
	}
	if v, err := strconv.ParseFloat(text(limit), 64); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
		from.Limit = &v
	}
	if at, err := time.Parse(time.RFC3339Nano, text(since)); err == nil {
		from.Since = at
	}
	if !a.EndsAt.IsZero() && a.Resolved() {
		ended := a.EndsAt.UTC()
		from.Ended = &ended
	}
	return from
}
