package greentally_test

import (
	"testing"

	"greentally"
)

func TestSilenceOf(t *testing.T) {
	alert := greentally.Alert{Community: "jiayuan", Rule: "fire", Device: "bin-1"}
	for _, tt := range []struct {
		name    string
		silence greentally.Silence
		want    bool
	}{
		{"of the device", greentally.Silence{Community: "jiayuan", Device: "bin-1"}, true},
		{"of the rule", greentally.Silence{Community: "jiayuan", Rule: "fire"}, true},
		{"of both", greentally.Silence{Community: "jiayuan", Rule: "fire", Device: "bin-1"}, true},
		{"of another device", greentally.Silence{Community: "jiayuan", Rule: "fire", Device: "bin-2"}, false},
		{"of another rule", greentally.Silence{Community: "jiayuan", Rule: "full", Device: "bin-1"}, false},
		{"of an indicator", greentally.Silence{Community: "jiayuan", Rule: "fire", Indicator: "capture"}, false},
		{"of another community", greentally.Silence{Community: "binhe", Device: "bin-1"}, false},
		{"with a condition that we do not know", greentally.Silence{Community: "jiayuan", Device: "bin-1", Further: []string{`severity="info"`}}, false},
	} {
		if got := tt.silence.Of(&alert); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
