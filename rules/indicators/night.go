package indicators

import (
	"math"
	"time"

	"greentally"
)

// nightHours returns how long the night of the day is at the latitude, in hours: from
// sunset to sunrise by the geometry of the sun's centre, with Cooper's formula for its
// declination (Solar Energy 12 (1969) 333–346). Refraction makes real nights some ten
// minutes shorter, all year round, so that ratios of nights are good to a percent.
func nightHours(latitude float64, date greentally.Date) float64 {
	first := greentally.Date{Year: date.Year, Month: 1, Day: 1}
	dayOfYear := float64(daysBetween(first, date) + 1)
	declination := 23.45 * math.Pi / 180 * math.Sin(2*math.Pi*(284+dayOfYear)/365)
	return 24 - 24/math.Pi*math.Acos(-math.Tan(latitude*math.Pi/180)*math.Tan(declination))
}

// meanNight returns the mean of the nights of so many days from the first on.
func meanNight(latitude float64, first greentally.Date, count int) float64 {
	sum := 0.0
	for i := range count {
		sum += nightHours(latitude, first.Add(i))
	}
	return sum / float64(count)
}

// daysBetween returns how many days later to is than from.
func daysBetween(from, to greentally.Date) int {
	return int(math.Round(to.Start(time.UTC).Sub(from.Start(time.UTC)).Hours() / 24))
}
