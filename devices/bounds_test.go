package devices_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"greentally"
	"greentally/devices"
	"greentally/internal/strictyaml"
)

// profileOf is a profile of one device, with these expressions for its values and its time.
func profileOf(time string, values ...string) devices.Options {
	profile := `
profile: own
title: {zh: 自有, en: Own}
kinds: [sorting_bin]
source: https://example.org
tests:
- {name: nothing, device: {id: d, kind: sorting_bin, profile: own, site: s, stream: food}, topic: own/d, received: 2026-10-01T08:00:00Z, payload: "7", reject: [bad_payload]}
messages:
- topic: own/{device}
  format: json
  fields: {s: string, n: number}
  time: {value: '` + time + `', form: rfc3339}
  values:
`
	for i, text := range values {
		profile += fmt.Sprintf("    %s: '%s'\n", []string{"fill_ratio", "mass_kg", "temperature_celsius", "battery_ratio", "lid_openings"}[i], text)
	}
	return devices.Options{
		Profiles:    []strictyaml.Folder{folder(map[string]string{"own.yaml": profile})},
		Communities: folder(map[string]string{"a.yaml": "community: a\nname: {zh: 甲, en: A}\nhouseholds: 1\ntime_zone: Asia/Shanghai\nsites: [{id: s, type: estate, name: {zh: 点, en: S}}]\ndevices: [{id: d, kind: sorting_bin, profile: own, site: s, stream: food}]\n"}),
	}
}

// TestExpressionsAreBounded decodes the largest payload by expressions that make much of it.
func TestExpressionsAreBounded(t *testing.T) {
	long := strings.Repeat("x", 60<<10)
	for name, text := range map[string]string{
		"between all letters":  `replace(payload.s, "", "` + strings.Repeat("y", 1000) + `") == "" ? 1.0 : 0.0`,
		"again and again":      strings.Repeat("replace(", 20) + "payload.s" + strings.Repeat(`, "x", "xxxxxxxxxx")`, 20) + ` == "" ? 1.0 : 0.0`,
		"split":                `split(payload.s, "")[0] == "x" ? 1.0 : 0.0`,
		"split again":          `[split(payload.s, ""), split(payload.s, ""), split(payload.s, "")] == [] ? 1.0 : 0.0`,
		"upper, many times":    "[" + strings.TrimSuffix(strings.Repeat("upper(lower(upper(payload.s))), ", 50), ", ") + "] == [] ? 1.0 : 0.0",
		"a number of the text": "float(payload.s)",
		"shift":                "bitshl(1, int(payload.n)) * 1.0",
		"power":                "payload.n ** payload.n ** payload.n",
	} {
		t.Run(name, func(t *testing.T) {
			r := load(t, profileOf(`"2026-10-01T08:00:00Z"`, text))
			m := greentally.Message{Topic: "own/d", Payload: []byte(`{"n": 1e300, "s": "` + long + `"}`), Received: received}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := r.Decode(m)
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 40<<20 {
				t.Errorf("it takes %d bytes", n)
			}
			if err != nil && len(err.Error()) > 1000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
	for name, text := range map[string]string{
		"let":          "let a = payload.s; float(a)",
		"added texts":  "float(payload.s + payload.s)",
		"a range":      "1.0 * len(1..1000000)",
		"own patterns": "payload.s matches payload.s ? 1.0 : 0.0",
	} {
		if _, err := devices.Load(profileOf(`payload.s`, text)); err == nil {
			t.Errorf("%s: %s is taken", name, text)
		}
	}
}

func TestReplaceAndSplit(t *testing.T) {
	r := load(t, profileOf(`replace(payload.s, " ", "T")`, `payload.n`, `float(split(replace(payload.s, ":", "-"), "-")[1])`))
	m := greentally.Message{Topic: "own/d", Payload: []byte(`{"n": 0.5, "s": "2026-10-01 08:00:00Z"}`), Received: received}
	if got := text(r.Decode(m)); got != "d 2026-10-01T08:00:00Z fill_ratio=0.5 mass_kg=10" {
		t.Error(got)
	}
}

func TestTooManyReadings(t *testing.T) {
	o := profileOf(`"2026-10-01T08:00:00Z"`, "0.5", "1.0", "2.0", "0.5", "3.0")
	o.Limits.MaxPayload = 4 << 20
	r := load(t, o)
	for _, tt := range []struct {
		n    int
		want bool
	}{{50_000, true}, {50_001, false}} {
		m := greentally.Message{Topic: "own/d", Payload: []byte("[" + strings.TrimSuffix(strings.Repeat("{},", tt.n), ",") + "]"), Received: received}
		readings, err := r.Decode(m)
		if tt.want && (len(readings) != tt.n || err != nil) || !tt.want && (len(readings) > 0 || err == nil || !strings.Contains(err.Error(), "more than 50000 readings")) {
			t.Errorf("of %d elements: %d readings, %v", tt.n, len(readings), err)
		}
	}
}
