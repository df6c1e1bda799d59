package main

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"greentally"
	"greentally/devices"
	"greentally/internal/strictyaml"
	"greentally/records"
)

func TestAccept(t *testing.T) {
	registry, err := devices.Load(devices.Options{Communities: strictyaml.Folder{Name: "x", FS: fstest.MapFS{"c.yaml": {Data: []byte(`
community: c
name: {zh: 社区}
households: 10
sites: [{id: s, type: gate}]
devices:
- {id: meter, kind: lighting_meter, site: s}
- {id: bin, kind: sorting_bin, site: s, stream: food}
`)}}}})
	if err != nil {
		t.Fatal(err)
	}
	types, err := records.LoadTypes(records.Shipped())
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string) *time.Time {
		instant, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return &instant
	}
	october8 := greentally.Date{Year: 2026, Month: 10, Day: 8}
	both := greentally.Values{"energy_kwh_end": 100, "energy_kwh_start": 0}
	for _, tt := range []struct {
		name   string
		record greentally.Record
		refuse string
	}{
		{"of the community", greentally.Record{Community: "c", Type: "survey"}, ""},
		{"of none that there is", greentally.Record{Community: "d", Type: "survey"}, `there is no community "d"`},
		{"of a device", greentally.Record{Community: "c", Type: "energy_adjustment", Device: "meter"}, ""},
		{"of none that there is", greentally.Record{Community: "c", Type: "energy_adjustment", Device: "metre"}, `community c has no device "metre"`},
		{"of another kind", greentally.Record{Community: "c", Type: "energy_adjustment", Device: "bin"}, "a energy_adjustment is about a lighting_meter; bin is a sorting_bin"},
		{"a meter replaced in the morning", greentally.Record{Community: "c", Type: "meter_replaced", Device: "meter", Date: october8, At: at("2026-10-07T16:00:00Z"), Values: both}, ""},
		{"on another day", greentally.Record{Community: "c", Type: "meter_replaced", Device: "meter", Date: october8, At: at("2026-10-07T15:59:00Z"), Values: both}, "2026-10-07 23:59 is not on 2026-10-08 in Asia/Shanghai"},
		{"a slip of the pen", greentally.Record{Community: "c", Type: "meter_replaced", Device: "meter", Date: october8, Values: greentally.Values{"energy_kwh_emd": 100, "energy_kwh_start": 0}}, "energy_kwh: tell both"},
		{"half of it", greentally.Record{Community: "c", Type: "meter_replaced", Device: "meter", Date: october8, Values: greentally.Values{"energy_kwh_end": 100}}, "energy_kwh: tell both"},
		{"no register", greentally.Record{Community: "c", Type: "meter_replaced", Device: "meter", Date: october8, Values: greentally.Values{"power_w_end": 1, "power_w_start": 2}}, "power_w_end: values are a register's name"},
	} {
		err := accept(registry, types.Type, tt.record)
		if (err == nil) != (tt.refuse == "") || err != nil && !strings.Contains(err.Error(), tt.refuse) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.refuse)
		}
	}
}
