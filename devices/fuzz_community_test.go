package devices

import (
	"strings"
	"testing"
	"testing/fstest"

	"greentally/internal/strictyaml"
)

// FuzzCommunity loads kinds and profiles once, because that takes most of the time.
func FuzzCommunity(f *testing.F) {
	definitions, complete, errs := loadDefinitions(Options{})
	if len(errs) > 0 {
		f.Fatal(errs)
	}
	f.Add([]byte("community: a\nname: {en: A}\nhouseholds: 1\nsites: [&s {id: a, type: gate, in: a}, *s]\ndevices: [null, {}]\n"))
	f.Add([]byte("community: a\nname: {en: A}\nhouseholds: 1\nsites:\n- {id: a, type: gate}\ndevices:\n" +
		"- {id: b, kind: lighting_meter, site: a, baseline: {option: B, days: 30, energy_kwh: .inf}}\n"))
	f.Add([]byte("community: a\nname: {en: A}\ntime_zone: UTC\nhouseholds: 1\npopulation: 3\narea_m2: 1.5\n" +
		"collections:\n- {streams: [food], at: [\"07:30\"], days: [mon]}\nsites:\n- {id: a, type: gate}\n- {id: b, type: other, in: a}\ndevices:\n" +
		"- {id: b, kind: sorting_bin, site: a, stream: food, interval: 1m, limits: {fill_ratio: 0.8}, registers: {lid_openings: {modulus: 9}}}\n" +
		"- {id: c, kind: oil_drum, site: b, profile: milesight_em400_mud, address: x, facts: {empty_distance_mm: 900, full_distance_mm: 90}}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		folder := strictyaml.Folder{Name: "x", FS: fstest.MapFS{"a.yaml": &fstest.MapFile{Data: data}}}
		communities, errs := definitions.loadCommunities(folder, complete)
		for _, err := range errs {
			if !strings.HasPrefix(err.Error(), "x/a.yaml:") {
				t.Fatalf("an error without a place: %v", err)
			}
		}
		if len(errs) > 0 {
			return
		}
		r := definitions.with(communities)
		for _, c := range r.Communities() {
			if _, ok := r.Location(c.ID); !ok || c.Households <= 0 {
				t.Fatalf("community %+v", c)
			}
			for _, d := range c.Devices {
				if _, ok := r.Kind(d.Kind); !ok || d.Interval <= 0 || d.Profile == "" {
					t.Fatalf("device %+v", d)
				}
				if found, ok := r.Device(d.Key()); !ok || found != d {
					t.Fatalf("device %s is not found", d.Key())
				}
			}
		}
	})
}
