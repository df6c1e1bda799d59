package night_test

import (
	"math"
	"testing"

	"greentally"
	"greentally/internal/night"
)

func TestNightHours(t *testing.T) {
	for _, tt := range []struct {
		latitude float64
		date     string
		want     float64 // by the almanac, without refraction
	}{
		{31.2, "2026-12-21", 13.96}, {31.2, "2026-06-21", 9.98}, {0, "2026-03-03", 12}, {-33.9, "2026-12-21", 9.66}, {39.9, "2026-06-21", 9.15},
	} {
		date, err := greentally.ParseDate(tt.date)
		if err != nil {
			t.Fatal(err)
		}
		if got := night.Hours(tt.latitude, date); math.Abs(got-tt.want) > 0.1 {
			t.Errorf("the night of %s at %v° is %.2f h, want %.2f", tt.date, tt.latitude, got, tt.want)
		}
	}
	june := greentally.Date{Year: 2026, Month: 6, Day: 1}
	if mean := night.Mean(31.2, june, 30); mean < night.Hours(31.2, june.Add(20)) || mean > night.Hours(31.2, june) {
		t.Errorf("the mean of June's nights is %.3f h", mean)
	}
}
