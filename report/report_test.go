package report_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"greentally"
)

// TestJSON reads the JSON back: every figure of the indicators is in it as it is.
func TestJSON(t *testing.T) {
	e := month(t)
	var text bytes.Buffer
	if err := e.JSON(&text); err != nil {
		t.Fatal(err)
	}
	var back struct {
		Month      greentally.Month
		Through    greentally.Date
		Community  struct{ Households int }
		Indicators []greentally.IndicatorValue
		Records    []greentally.Record
	}
	if err := json.Unmarshal(text.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(back.Indicators)
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.Marshal(e.Indicators)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("indicators are %s, want %s", got, want)
	}
	if back.Month != october || back.Through != october.Last() || back.Community.Households != e.Community.Households || len(back.Records) != len(e.Records) {
		t.Errorf("read back: %s %s, %d households, %d records", back.Month, back.Through, back.Community.Households, len(back.Records))
	}
}

func TestGaps(t *testing.T) {
	e := month(t)
	if gaps := e.Gaps(); len(gaps) == 0 || len(gaps) == len(e.Indicators) {
		t.Errorf("%d gaps of %d indicators", len(gaps), len(e.Indicators))
	}
	for _, d := range e.Devices() {
		if incomplete := d.Completeness < 0.95; incomplete != (d.ID == "battery-west" || d.ID == "e1-l1-light") {
			t.Errorf("%s covered %v of the month", d.ID, d.Completeness)
		}
	}
}
