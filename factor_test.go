package greentally_test

import (
	"strings"
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
		refuse        string
	}{
		{"the newest", "2026-10-31", "", 0.3, 2023, ""},
		{"on the day that it is published", "2026-01-31", "", 0.3, 2023, ""},
		{"the day before, the one before counts", "2026-01-30", "", 0.5, 2022, ""},
		{"a part that the newest does not have", "2026-10-31", "west", 0.4, 2022, ""},
		{"before the first", "2024-12-19", "", 0, 0, "no edition of the factor grid was published by 2024-12-19"},
		{"a part that there never was", "2026-10-31", "east", 0, 0, `has a value for "east"`},
	} {
		day, err := greentally.ParseDate(tt.day)
		if err != nil {
			t.Fatal(err)
		}
		v, err := f.At(day, tt.of)
		switch {
		case tt.refuse != "" && (err == nil || !strings.Contains(err.Error(), tt.refuse)):
			t.Errorf("%s: error %v lacks %q", tt.name, err, tt.refuse)
		case tt.refuse == "" && (err != nil || v.Value != tt.value || v.Year != tt.year || v.Factor != "grid" || v.Of != tt.of):
			t.Errorf("%s: %+v, %v", tt.name, v, err)
		}
	}
}
