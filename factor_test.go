package greentally_test

import (
	"testing"

	"greentally"
)

func TestFactorAt(t *testing.T) {
	half, third := 0.5, 0.3
	f := greentally.Factor{Name: "grid", Editions: []greentally.Edition{
		{Year: 2022, Published: greentally.Date{Year: 2024, Month: 12, Day: 20}, Value: &half, Of: map[string]float64{"west": 0.4}},
		{Year: 2023, Published: greentally.Date{Year: 2026, Month: 1, Day: 31}, Value: &third},
	}}
	for _, tt := range []struct {
		name, day, of string
		value         float64
		year          int
		missing       bool
	}{
		{"the newest", "2026-10-31", "", 0.3, 2023, false},
		{"on the day that it is published", "2026-01-31", "", 0.3, 2023, false},
		{"the day before, the one before counts", "2026-01-30", "", 0.5, 2022, false},
		{"a part that the newest does not have", "2026-10-31", "west", 0.4, 2022, false},
		{"before the first", "2024-12-19", "", 0, 0, true},
		{"a part that there never was", "2026-10-31", "east", 0, 0, true},
	} {
		day, err := greentally.ParseDate(tt.day)
		if err != nil {
			t.Fatal(err)
		}
		v, ok := f.At(day, tt.of)
		if ok == tt.missing || ok && (v.Value != tt.value || v.Year != tt.year || v.Factor != "grid" || v.Of != tt.of) {
			t.Errorf("%s: %+v, %v", tt.name, v, ok)
		}
	}
}
