package greentally_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"greentally"
)

func TestAmountText(t *testing.T) {
	tests := []struct {
		amount greentally.Amount
		text   string
	}{
		{0, "0"}, {greentally.Unit, "1"}, {12_300_000, "12.3"}, {-1, "-0.000001"}, {-1_500_000, "-1.5"}, {math.MaxInt64, "9223372036854.775807"},
	}
	for _, tt := range tests {
		if got := tt.amount.String(); got != tt.text {
			t.Errorf("%d is %q, want %q", int64(tt.amount), got, tt.text)
		}
	}
	for _, bad := range []string{"", "-", ".5", "1.", "1.2345678", "1e3", "+1", "NaN", "99999999999999", "1 "} {
		if a, err := greentally.ParseAmount(bad); err == nil {
			t.Errorf("%q was read as %v", bad, a)
		}
	}
	for _, v := range []float64{math.NaN(), math.Inf(1), 1e13, -1e13} {
		if a, ok := greentally.AmountOf(v); ok {
			t.Errorf("%v became %v", v, a)
		}
	}
}

func TestAmountRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := greentally.Amount(rapid.Int64Min(math.MinInt64+1).Draw(t, "amount"))
		data, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		var b greentally.Amount
		if err := json.Unmarshal(data, &b); err != nil || a != b {
			t.Fatalf("%s came back as %v: %v", data, b, err)
		}
	})
}

func TestDates(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	day, err := greentally.ParseDate("2026-10-25")
	if err != nil {
		t.Fatal(err)
	}
	if length := day.Add(1).Start(berlin).Sub(day.Start(berlin)); length != 25*time.Hour {
		t.Errorf("the day on which summer time ends has %v, want 25h", length)
	}
	month := greentally.Month{Year: 2026, Month: time.December}
	if month.Last().String() != "2026-12-31" || month.Next().String() != "2027-01" || !month.First().Before(month.Last()) {
		t.Errorf("December is %v to %v, then %v", month.First(), month.Last(), month.Next())
	}
	for _, bad := range []string{"2026-13", "2026-1", "October"} {
		if m, err := greentally.ParseMonth(bad); err == nil {
			t.Errorf("%q was read as %v", bad, m)
		}
	}
}
