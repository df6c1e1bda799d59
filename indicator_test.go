package greentally_test

import (
	"testing"

	"greentally"
)

func TestTargetIn(t *testing.T) {
	at := func(v float64) *float64 { return &v }
	for want, c := range map[string]struct {
		target greentally.Target
		unit   string
	}{
		"≥ 95%":   {greentally.Target{AtLeast: at(0.95)}, "ratio"},
		"≥ 29%":   {greentally.Target{AtLeast: at(0.29)}, "ratio"},
		"≤ 0.05%": {greentally.Target{AtMost: at(0.0005)}, "ratio"},
		"≥ 2":     {greentally.Target{AtLeast: at(2)}, "boxes"},
		"≤ 2.5":   {greentally.Target{AtMost: at(2.5)}, "kg"},
		"≥ 0":     {greentally.Target{AtLeast: at(0)}, "kg"},
		"":        {greentally.Target{}, "kg"},
	} {
		if got := c.target.In(c.unit); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
