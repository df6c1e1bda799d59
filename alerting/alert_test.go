package alerting

import (
	"reflect"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/common/model"

	"greentally"
)

func TestConversionThereAndBack(t *testing.T) {
	limit, fired, now := 0.9, time.Date(2026, 10, 1, 8, 0, 0, 1, time.UTC), time.Date(2026, 10, 2, 0, 0, 0, 0, time.UTC)
	over := fired.Add(time.Hour)
	for name, a := range map[string]greentally.Alert{
		"all": {
			Community: "jiayuan", Rule: "bin_overflowing", Severity: greentally.Critical, Device: "bin-1", Kind: "sorting_bin",
			Site: "east", Stream: greentally.Food, Indicator: "overflow_share", Labels: map[string]string{"gateway": "g1"},
			Title:   greentally.Text{ZH: "满溢", EN: "Overflowing"},
			Summary: greentally.Text{ZH: "满了", EN: "Full"}, Action: greentally.Text{ZH: "清运", EN: "Empty it"},
			Quantity: "fill_ratio", Limit: &limit, Since: fired.Add(-time.Hour), Fired: fired, Ended: &over,
		},
		"little": {Community: "jiayuan", Rule: "clock_wrong", Title: greentally.Text{EN: "Clock wrong"}, Since: fired, Fired: fired},
	} {
		converted := toAlertmanager(a, now)
		if err := converted.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := FromAlertmanager(converted); !reflect.DeepEqual(got, a) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, a)
		}
	}
}

func TestConversionForStandardTools(t *testing.T) {
	a := greentally.Alert{Rule: "fire", Title: greentally.Text{ZH: "火", EN: "Fire"}, Summary: greentally.Text{EN: "90 °C"}}
	got := toAlertmanager(a, time.Now()).Annotations
	if got["summary"] != "火" || got["description"] != "90 °C" {
		t.Errorf("annotations %v", got)
	}
}

// TestAnEndInTheFuture is one by a clock that is ahead.
func TestAnEndInTheFuture(t *testing.T) {
	now := time.Now()
	later := now.Add(time.Hour)
	converted := toAlertmanager(greentally.Alert{Rule: "fire", Fired: later, Ended: &later}, now)
	if !converted.Resolved() || converted.Validate() != nil {
		t.Errorf("not ended: %+v", converted)
	}
}

func TestConversionOfForeignAlerts(t *testing.T) {
	at := time.Date(2026, 10, 1, 8, 0, 0, 0, time.UTC)
	soon := time.Now().Add(time.Hour)
	for name, test := range map[string]struct {
		alert *alert.Alert
		want  greentally.Alert
	}{
		"none":    {nil, greentally.Alert{}},
		"nothing": {&alert.Alert{}, greentally.Alert{}},
		"of amtool": {
			&alert.Alert{Alert: model.Alert{
				Labels:      model.LabelSet{"alertname": "Watchdog", "job": "x"},
				Annotations: model.LabelSet{"summary": "s", "description": "d", "limit": "NaN", "since": "yesterday"},
				StartsAt:    at, EndsAt: soon,
			}},
			greentally.Alert{
				Rule: "Watchdog", Labels: map[string]string{"job": "x"},
				Title: greentally.Text{ZH: "s"}, Summary: greentally.Text{ZH: "d"}, Since: at, Fired: at,
			},
		},
		"without words": {
			&alert.Alert{Alert: model.Alert{Labels: model.LabelSet{"alertname": "Watchdog"}, StartsAt: at, EndsAt: at}},
			greentally.Alert{Rule: "Watchdog", Title: greentally.Text{ZH: "Watchdog"}, Since: at, Fired: at, Ended: &at},
		},
	} {
		if got := FromAlertmanager(test.alert); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, test.want)
		}
	}
}
