package greentally_test

import (
	"fmt"
	"testing"

	"greentally"
)

func TestOpenHours(t *testing.T) {
	for text, valid := range map[string]bool{
		"06:30-08:30": true, "00:00-24:00": true, "23:59-24:00": true,
		"6:30-08:30": false, "08:30-06:30": false, "08:30-08:30": false, "00:00-24:01": false, "06:60-08:30": false,
		"06:30-08:30 ": false, "06:30": false, "": false, "-1:30-08:30": false, "99:99-99:99": false,
	} {
		var o greentally.OpenHours
		err := o.UnmarshalText([]byte(text))
		if (err == nil) != valid {
			t.Errorf("%q: %v", text, err)
		}
		if back, _ := o.MarshalText(); valid && string(back) != text {
			t.Errorf("%q is written %q", text, back)
		}
	}
}

func TestOpenAt(t *testing.T) {
	morning, evening := greentally.OpenHours{From: 6e9, To: 7e9}, greentally.OpenHours{From: 8e9, To: 9e9}
	c := greentally.Community{Sites: []greentally.Site{
		{ID: "estate", Open: []greentally.OpenHours{morning}}, {ID: "stairwell", In: "estate"}, {ID: "lift", In: "stairwell"},
		{ID: "gate", In: "estate", Open: []greentally.OpenHours{evening}}, {ID: "kitchen"},
	}}
	for site, want := range map[string][]greentally.OpenHours{
		"estate": {morning}, "stairwell": {morning}, "lift": {morning}, "gate": {evening}, "kitchen": nil, "nowhere": nil,
	} {
		if got := c.OpenAt(site); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s is open %v, want %v", site, got, want)
		}
	}
}
