// Package night tells how long nights are. It is pure: a latitude and a day come in, and
// hours go out.
package night

import (
	"math"
	"time"

	"greentally"
)

// Hours returns how long the night of the day is at the latitude, in hours: from
// sunset to sunrise by the geometry of the sun's centre, with Cooper's formula for its
// declination (Solar Energy 12 (1969) 333–346). Refraction makes real nights some ten
// minutes shorter, all year round, so that ratios of nights are good to a percent.
func Hours(latitude float64, date greentally.Date) float64 {
	first := greentally.Date{Year: date.Year, Month: 1, Day: 1}
	dayOfYear := float64(int(math.Round(date.Start(time.UTC).Sub(first.Start(time.UTC)).Hours()/24)) + 1)
	declination := 23.45 * math.Pi / 180 * math.Sin(2*math.Pi*(284+dayOfYear)/365)
	return 24 - 24/math.Pi*math.Acos(-math.Tan(latitude*math.Pi/180)*math.Tan(declination))
}

// Mean returns the mean of the nights of so many days from the first on.
func Mean(latitude float64, first greentally.Date, count int) float64 {
	sum := 0.0
	for i := range count {
		sum += Hours(latitude, first.Add(i))
	}
	return sum / float64(count)
}
