package report

import (
	"slices"
	"strconv"

	"greentally"
)

// Compare returns what is another figure in the new indicators and assessments than in the old
// ones: values, numerators, denominators and verdicts of indicators, points and verdicts of
// items, and what assessments come to. Those of indicators come first; each in the order of
// the new.
func Compare(old, now *Export) []greentally.Revision {
	var all []greentally.Revision
	add := func(of, name string, title greentally.Text, what, before, after string) {
		if before != after {
			all = append(all, greentally.Revision{Of: of, Name: name, Title: title, What: what, Old: before, New: after})
		}
	}
	for i := range now.Indicators {
		v := &now.Indicators[i]
		before := greentally.IndicatorValue{}
		if j := slices.IndexFunc(old.Indicators, func(o greentally.IndicatorValue) bool { return o.Indicator == v.Indicator }); j >= 0 {
			before = old.Indicators[j]
		}
		add("indicator", v.Indicator, v.Title, "value", Exact(before.Value), Exact(v.Value))
		add("indicator", v.Indicator, v.Title, "numerator", Exact(before.Numerator), Exact(v.Numerator))
		add("indicator", v.Indicator, v.Title, "denominator", Exact(before.Denominator), Exact(v.Denominator))
		add("indicator", v.Indicator, v.Title, "completeness", Exact(&before.Completeness), Exact(&v.Completeness))
		add("indicator", v.Indicator, v.Title, "verdict", string(before.Verdict), string(v.Verdict))
	}
	for i := range now.Assessments {
		a := &now.Assessments[i]
		before := greentally.Assessment{}
		if j := slices.IndexFunc(old.Assessments, func(o greentally.Assessment) bool { return o.Scheme == a.Scheme }); j >= 0 {
			before = old.Assessments[j]
		}
		for _, item := range a.Items {
			was := greentally.ItemResult{}
			if j := slices.IndexFunc(before.Items, func(o greentally.ItemResult) bool { return o.Item == item.Item }); j >= 0 {
				was = before.Items[j]
			}
			name := a.Scheme + "/" + item.Item
			add("item", name, item.Title, "at_least_points", Exact(&was.AtLeast), Exact(&item.AtLeast))
			add("item", name, item.Title, "at_most_points", Exact(&was.AtMost), Exact(&item.AtMost))
			add("item", name, item.Title, "verdict", string(was.Verdict), string(item.Verdict))
		}
		add("assessment", a.Scheme, a.Title, "at_least_points", Exact(&before.AtLeast), Exact(&a.AtLeast))
		add("assessment", a.Scheme, a.Title, "at_most_points", Exact(&before.AtMost), Exact(&a.AtMost))
		add("assessment", a.Scheme, a.Title, "verdict", string(before.Verdict), string(a.Verdict))
		add("assessment", a.Scheme, a.Title, "level", before.Level, a.Level)
	}
	return all
}

// Exact writes a number that may be missing with all its digits.
func Exact(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'f', -1, 64)
}
