package greentally

import (
	"math"
	"strconv"
)

// Verdict is the outcome of an indicator.
type Verdict string

// The verdicts.
const (
	Pass             Verdict = "pass"
	Fail             Verdict = "fail"
	InsufficientData Verdict = "insufficient_data"
	NoTarget         Verdict = "no_target" // there is a value, but nothing to hold it against
)

// Target is what an indicator is held against; one of the two is set.
type Target struct {
	AtLeast *float64 `yaml:"at_least,omitempty" json:"at_least,omitempty"`
	AtMost  *float64 `yaml:"at_most,omitempty" json:"at_most,omitempty"`
}

// In writes the target of an indicator that has the unit, such as "≥ 95%" of a ratio and
// "≤ 2.5" of anything else.
func (t Target) In(unit string) string {
	sign, bound := "≥ ", t.AtLeast
	if bound == nil {
		sign, bound = "≤ ", t.AtMost
	}
	if bound == nil {
		return ""
	}
	if unit == "ratio" {
		return sign + percent(*bound, 6)
	}
	return sign + strconv.FormatFloat(*bound, 'f', -1, 64)
}

// UnitTitle returns what the unit of an indicator is called; the unit itself if nothing is said of it.
func UnitTitle(unit string) Text {
	switch unit {
	case "ratio":
		return Text{"%", "%"}
	case "boxes":
		return Text{"个", unit}
	case "lamps":
		return Text{"盏", unit}
	case "h":
		return Text{"小时", unit}
	case "g/household":
		return Text{"g/户", unit}
	case "g/person":
		return Text{"g/人", unit}
	}
	return Text{unit, unit}
}

// Percent writes a ratio in percent, with two decimals at most.
func Percent(ratio float64) string { return percent(ratio, 2) }

func percent(ratio float64, decimals int) string {
	scale := math.Pow10(decimals)
	return strconv.FormatFloat(math.Round(100*scale*ratio)/scale, 'f', -1, 64) + "%" // 0.29 × 100 is a little less than 29
}

// IndicatorValue is one indicator of one community over one month, with all that
// it was computed from.
type IndicatorValue struct {
	Community string `json:"community"`
	Month     Month  `json:"month"`
	Indicator string `json:"indicator"`
	Title     Text   `json:"title"`
	Unit      string `json:"unit"` // "ratio", or such as "g/household"

	// Value is numerator ÷ denominator. The three are nil where the data do not
	// suffice to compute them; nil is not zero.
	Value       *float64 `json:"value"`
	Numerator   *float64 `json:"numerator"`
	Denominator *float64 `json:"denominator"`

	Completeness float64 `json:"completeness"` // 0–1, the least of its inputs'

	// Uncertainty is the expanded uncertainty of Value (coverage factor 2, some 95 %), in
	// its unit; nil where the indicator does not state one. What it rests on beside the
	// devices' own facts stands in Assumptions.
	Uncertainty *float64 `json:"uncertainty,omitempty"`
	Assumptions []Text   `json:"assumptions,omitempty"`

	// EstimatedShare is which part of the mass in it was estimated from filling levels
	// rather than weighed, 0–1, the greatest of its inputs'.
	EstimatedShare float64 `json:"estimated_share,omitempty"`

	Floor   float64 `json:"floor"` // completeness below which there is no verdict
	Target  *Target `json:"target,omitempty"`
	Verdict Verdict `json:"verdict"`
	Reason  Text    `json:"reason,omitzero"` // why the data do not suffice

	// Lacks are the types of record of which it has none that counts.
	Lacks []string `json:"lacks,omitempty"`

	// DisplayOnly says that it may be shown and must not be claimed, as a factor in it may
	// not; it has no target.
	DisplayOnly bool `json:"display_only,omitempty"`

	Source   string `json:"source"`   // of the formula
	Verified bool   `json:"verified"` // whether formula and target were read there

	Inputs []InputValue `json:"inputs"`
}

// InputValue is one input of an indicator.
type InputValue struct {
	Name         string   `json:"name"`
	Value        *float64 `json:"value"` // nil where missing
	Completeness float64  `json:"completeness"`

	EstimatedShare float64 `json:"estimated_share,omitempty"` // part of its mass that was estimated, 0–1

	Devices []string `json:"devices,omitempty"` // whose device-days were read
	Records []string `json:"records,omitempty"` // IDs of the records read

	Alerts []AlertSpan `json:"alerts,omitempty"` // that were counted

	Indicator string       `json:"indicator,omitempty"` // that it is taken from
	Factor    *FactorValue `json:"factor,omitempty"`    // that it is
}
