package mail

import (
	"bytes"
	"image/color"
	"image/png"
	"slices"
	"strconv"
	"testing"
	"time"
)

// A gap in the data is a gap in the line, and a point on its own can be seen.
func TestGapsAreNotDrawnOver(t *testing.T) {
	to := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	from := to.Add(-chartSpan)
	c := curve{
		from: from, to: to, gap: 30 * time.Minute, ratio: true, location: time.UTC,
		format: func(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) },
	}
	add := func(hour float64) {
		c.points = append(c.points, point{from.Add(time.Duration(hour * float64(time.Hour))), 0.5})
	}
	for i := range 6 * 6 {
		add(float64(i) / 6) // 00:00 to 05:50
	}
	add(12)
	for i := range 6 * 6 {
		add(18 + float64(i)/6)
	}
	if lengths := lengths(c.pieces()); !slices.Equal(lengths, []int{36, 1, 36}) {
		t.Fatalf("pieces of %v points", lengths)
	}
	data, err := c.draw()
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	line := color.RGBA{0x15, 0x70, 0xef, 0xff}
	first, last := chartWidth, 0
	drawn := make([]bool, chartWidth)
	for x := range chartWidth {
		for y := range chartHeight {
			if color.RGBAModel.Convert(picture.At(x, y)) == line {
				drawn[x], first, last = true, min(first, x), max(last, x)
			}
		}
	}
	at := func(hour float64) bool { return drawn[first+int(hour/24*float64(last-first))] }
	for hour, want := range map[float64]bool{1: true, 5: true, 7: false, 10: false, 12: true, 14: false, 17: false, 19: true, 23: true} {
		if at(hour) != want {
			t.Errorf("at %v h there is a line: %t, want %t", hour, !want, want)
		}
	}
}

func lengths(pieces [][]point) (all []int) {
	for _, p := range pieces {
		all = append(all, len(p))
	}
	return all
}

func TestScale(t *testing.T) {
	limit := func(v float64) *float64 { return &v }
	for _, tt := range []struct {
		name            string
		values          []float64
		limit           *float64
		ratio           bool
		low, high, step float64
	}{
		{"a ratio", []float64{0.4, 0.41}, limit(0.9), true, 0, 1, 0.5},
		{"watts", []float64{12.5, 1188}, limit(50), false, 0, 1500, 500},
		{"a limit above all", []float64{18, 21}, limit(60), false, 0, 60, 20},
		{"frost", []float64{-7, 4}, nil, false, -10, 5, 5},
		{"always the same", []float64{3}, nil, false, 2, 4, 1},
		{"nothing", []float64{0, 0}, nil, false, -1, 1, 1},
		{"little of much", []float64{10000.2, 10000.9}, nil, false, 10000, 10001, 0.5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := curve{limit: tt.limit, ratio: tt.ratio}
			for _, v := range tt.values {
				c.points = append(c.points, point{value: v})
			}
			if low, high, step := c.scale(); low != tt.low || high != tt.high || step != tt.step {
				t.Errorf("%v … %v by %v, want %v … %v by %v", low, high, step, tt.low, tt.high, tt.step)
			}
		})
	}
}

// The hours are those of the local clock, also on the day when it is changed.
func TestHours(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	to := time.Date(2026, 10, 25, 13, 0, 0, 0, berlin)
	var got []string
	for hour := range (curve{from: to.Add(-chartSpan), to: to, location: berlin}).hours() {
		got = append(got, hour.Format("2 15:04"))
	}
	if want := []string{"24 18:00", "25 00:00", "25 06:00", "25 12:00"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
