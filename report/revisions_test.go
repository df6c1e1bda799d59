package report_test

import (
	"slices"
	"testing"

	"greentally"
	"greentally/report"
)

// TestRevisionsAreTitled compares a month with nothing: each thing that is another figure is called something.
func TestRevisionsAreTitled(t *testing.T) {
	one := 1.0
	now := &report.Export{
		Indicators: []greentally.IndicatorValue{{Indicator: "capture", Value: &one, Numerator: &one, Denominator: &one, Completeness: 1, Verdict: greentally.Pass}},
		Assessments: []greentally.Assessment{{Scheme: "court", AtLeast: 1, AtMost: 2, Verdict: greentally.Pass, Level: "gold",
			Items: []greentally.ItemResult{{Item: "plan", AtLeast: 1, AtMost: 2, Verdict: greentally.Pass}}}},
	}
	var compared []string
	for _, r := range report.Compare(&report.Export{}, now) {
		compared = append(compared, r.What)
		if title := r.WhatTitle(); title.EN == "" || title.ZH == r.What {
			t.Errorf("%s of %s %s is called %+v", r.What, r.Of, r.Name, title)
		}
	}
	slices.Sort(compared)
	if compared = slices.Compact(compared); len(compared) != 8 {
		t.Errorf("compared are %q", compared)
	}
}
