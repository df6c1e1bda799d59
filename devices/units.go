package devices

import "math"

// unit says how a unit converts to the first unit of its dimension:
// value × mul ÷ div + add. Two numbers instead of one factor keep 7 % at 0.07.
type unit struct {
	dimension     string // the first unit of the dimension
	mul, div, add float64
}

// conversions are the units that can be converted: those of RFC 8428 and of
// RFC 8798, "Additional Units for SenML", that have more than one unit to a
// dimension.
func conversions() map[string]unit {
	return map[string]unit{
		"kg": {"kg", 1, 1, 0}, "g": {"kg", 1, 1000, 0},
		"J": {"J", 1, 1, 0}, "Wh": {"J", 3600, 1, 0}, "kWh": {"J", 3_600_000, 1, 0},
		"W": {"W", 1, 1, 0}, "kW": {"W", 1000, 1, 0},
		"VA": {"VA", 1, 1, 0}, "kVA": {"VA", 1000, 1, 0},
		"VAs": {"VAs", 1, 1, 0}, "kVAh": {"VAs", 3_600_000, 1, 0},
		"var": {"var", 1, 1, 0}, "kvar": {"var", 1000, 1, 0},
		"vars": {"vars", 1, 1, 0}, "varh": {"vars", 3600, 1, 0}, "kvarh": {"vars", 3_600_000, 1, 0},
		"V": {"V", 1, 1, 0}, "mV": {"V", 1, 1000, 0},
		"A": {"A", 1, 1, 0}, "mA": {"A", 1, 1000, 0},
		"C": {"C", 1, 1, 0}, "Ah": {"C", 3600, 1, 0},
		"Cel": {"Cel", 1, 1, 0}, "K": {"Cel", 1, 1, -273.15},
		"/": {"/", 1, 1, 0}, "%": {"/", 1, 100, 0}, "/100": {"/", 1, 100, 0}, "/1000": {"/", 1, 1000, 0},
		"ppm": {"/", 1, 1_000_000, 0}, "%EL": {"/", 1, 100, 0},
		"%RH": {"%RH", 1, 1, 0},
		"s":   {"s", 1, 1, 0}, "ms": {"s", 1, 1000, 0}, "min": {"s", 60, 1, 0}, "h": {"s", 3600, 1, 0}, "EL": {"s", 1, 1, 0},
		"m": {"m", 1, 1, 0}, "mm": {"m", 1, 1000, 0}, "cm": {"m", 1, 100, 0}, "km": {"m", 1000, 1, 0},
		"m/s": {"m/s", 1, 1, 0}, "km/h": {"m/s", 1000, 3600, 0}, "mm/h": {"m/s", 1, 3_600_000, 0},
		"m3": {"m3", 1, 1, 0}, "l": {"m3", 1, 1000, 0},
		"m3/s": {"m3/s", 1, 1, 0}, "l/s": {"m3/s", 1, 1000, 0},
		"Pa": {"Pa", 1, 1, 0}, "hPa": {"Pa", 100, 1, 0},
		"kg/m3": {"kg/m3", 1, 1, 0}, "ug/m3": {"kg/m3", 1, 1_000_000_000, 0},
		"1/s": {"1/s", 1, 1, 0}, "1/min": {"1/s", 1, 60, 0}, "rpm": {"1/s", 1, 60, 0},
		"dBW": {"dBW", 1, 1, 0}, "dBm": {"dBW", 1, 1, -30},
		"B": {"B", 1, 1, 0}, "KiB": {"B", 1024, 1, 0},
		"J/m": {"J/m", 1, 1, 0}, "Wh/km": {"J/m", 3.6, 1, 0},
		"rad": {"rad", 1, 1, 0}, "deg": {"rad", math.Pi, 180, 0},
	}
}

// plainUnits are the other units of RFC 8428, section 12.1; none converts to another.
func plainUnits() []string {
	return []string{
		"cd", "mol", "Hz", "sr", "N", "F", "Ohm", "S", "Wb", "T", "H", "lm", "lx", "Bq", "Gy", "Sv", "kat", "m2",
		"m/s2", "W/m2", "cd/m2", "bit", "bit/s", "lat", "lon", "pH", "dB", "Bspl", "count", "beat/min", "beats", "S/m",
	}
}

// units converts between SenML units.
type units map[string]unit

func newUnits() units {
	all := units(conversions())
	for _, name := range plainUnits() {
		all[name] = unit{name, 1, 1, 0}
	}
	return all
}

// convert returns v, in the unit from, in the unit to; false if the two do not
// measure the same.
func (u units) convert(v float64, from, to string) (float64, bool) {
	if from == to {
		return v, true
	}
	f, ok := u[from]
	t, ok2 := u[to]
	if !ok || !ok2 || f.dimension != t.dimension {
		return 0, false
	}
	if f.add == 0 && t.add == 0 {
		return v * (f.mul * t.div) / (f.div * t.mul), true
	}
	return (v*f.mul/f.div + f.add - t.add) * t.div / t.mul, true
}

// integral returns the unit of a sum over time of values in the unit, and by what
// the sum is to be multiplied to be in that unit; false if it has none here.
// (RFC 8428, section 4.2: a sum is in the unit times seconds.)
func (u units) integral(name string) (of string, factor float64, ok bool) {
	of, ok = map[string]string{
		"W": "J", "A": "C", "m3/s": "m3", "1/s": "count", "VA": "VAs", "var": "vars", "m/s": "m", "bit/s": "bit",
	}[u[name].dimension]
	if !ok {
		return "", 0, false
	}
	return of, u[name].mul / u[name].div, true
}
