package mail

import (
	"strconv"
	"strings"
	"time"

	"greentally"
)

// words are those of one language.
type words struct {
	language string
	table    map[string]greentally.Text
}

func (w words) has(key string) bool { _, ok := w.table[key]; return ok }

// get returns a word, with values put in where it names them in braces.
func (w words) get(key string, namesAndValues ...string) string {
	word := w.table[key].In(w.language)
	if len(namesAndValues) == 0 {
		return word
	}
	var pairs []string
	for i := 0; i+1 < len(namesAndValues); i += 2 {
		pairs = append(pairs, "{"+namesAndValues[i]+"}", namesAndValues[i+1])
	}
	return strings.NewReplacer(pairs...).Replace(word)
}

// count returns a word for so many, {n}; for one there may be a word of its own.
func (w words) count(key string, n int) string {
	if n == 1 && w.has(key+"_1") {
		key += "_1"
	}
	return w.get(key, "n", strconv.Itoa(n))
}

// duration returns the two largest units of a duration.
func (w words) duration(d time.Duration) string {
	minutes := int(d / time.Minute)
	if minutes < 1 {
		return w.get("moment")
	}
	units := []struct {
		key string
		n   int
	}{{"days", minutes / (24 * 60)}, {"hours", minutes / 60 % 24}, {"minutes", minutes % 60}}
	for units[0].n == 0 {
		units = units[1:]
	}
	var parts []string
	for _, unit := range units[:min(len(units), 2)] {
		if unit.n > 0 {
			parts = append(parts, w.count(unit.key, unit.n))
		}
	}
	return strings.Join(parts, " ")
}

// amount returns a value with its unit, which is one of SenML.
func (w words) amount(value float64, unit string) string {
	space := "\u00a0"
	switch unit {
	case "/":
		value, unit = value*100, "%"
		if w.language == "zh" {
			space = ""
		}
	case "Cel":
		unit = "°C"
		if w.language == "zh" {
			space = ""
		}
	case "m3":
		unit = "m³"
	case "count":
		unit = ""
	}
	decimals := 0
	if size := max(value, -value); size < 10 && unit != "%" {
		decimals = 2
	} else if size < 100 && unit != "%" {
		decimals = 1
	}
	number := strconv.FormatFloat(value, 'f', decimals, 64)
	if strings.Contains(number, ".") {
		number = strings.TrimRight(strings.TrimRight(number, "0"), ".")
	}
	if unit == "" {
		return number
	}
	return number + space + unit // on one line, by a space that does not break
}
