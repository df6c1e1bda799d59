package web_test

import (
	"encoding/json"
	"strings"
	"time"

	"greentally"
)

// What is behind the server in these tests has, as JSON and with every field that it can have.
const (
	hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" // of some content

	binFixture = `{"community": "jiayuan", "id": "bin-1", "name": {"zh": "一号桶", "en": "Bin 1"}, "kind": "sorting_bin", "profile": "native", "address": "b1",
		"site": "e1", "stream": "food", "gateway": "gateway-1", "interval": "10m0s", "capacity_litres": 240, "max_load_kg": 100, "scale_resolution_kg": 0.1,
		"density_kg_per_litre": 0.5, "limits": {"fill_ratio": 0.9}, "registers": {"drops_total": {"modulus": 1000000, "max_per_hour": 60}},
		"facts": {"depth_mm": 1000}, "meter_class": 1, "lamps": 40, "baseline": {"option": "B", "lamps": 40, "lamp_power_w": 36, "energy_kwh": 900, "days": 30,
		"follows": "night", "from": "2025-10-01", "error_ratio": 0.05}}`

	readingFixture = `{"community": "jiayuan", "device": "bin-1", "kind": "sorting_bin", "site": "e1", "stream": "food", "time": "2026-10-08T04:00:00Z", "quality": 4,
		"values": [{"quantity": "lid", "number": 0, "state": "open"}, {"quantity": "mass_kg", "number": 12.3}]}`

	dayFixture = `{"community": "jiayuan", "device": "bin-1", "kind": "sorting_bin", "site": "e1", "stream": "food", "date": "2026-10-01", "start": "2026-09-30T16:00:00Z",
		"hours": 24, "readings": 140, "expected": 144, "suspect": 1, "covered": "23h50m0s", "longest_gap": "20m0s",
		"faults": [{"time": "2026-10-01T00:00:00Z", "quantity": "mass_kg", "fault": "spike", "from": 12.3, "to": 80}],
		"gauges": {"fill_ratio": {"min": 0.1, "max": 0.95, "mean": 0.4, "known": "23h50m0s", "limit": 0.9, "above": "10m0s", "last": 0.2}},
		"masses": {"mass_kg": {"evidence": "measured", "first": 3, "last": 5.000001, "deposited": 40.000001, "collected": 38, "max": 40,
			"collections": [{"time": "2026-10-01T01:00:00Z", "mass": 38, "left": 2, "partial": true, "off_schedule": true}],
			"by_hour": [{"deposited": 40.000001, "collected": 38}]}},
		"registers": {"drops_total": {"evidence": "estimated", "rise": 60, "by_hour": [60], "outside": 4, "estimated": 2, "known": "24h0m0s"}},
		"states": {"lid": {"time": {"open": "1h0m0s", "shut": "22h50m0s"}, "known": "23h50m0s", "last": "shut"}}}`

	indicatorFixture = `{"community": "jiayuan", "month": "2026-10", "indicator": "rate", "title": {"zh": "率", "en": "Rate"}, "unit": "ratio", "value": 0.5, "numerator": 1,
		"denominator": 2, "completeness": 0.98, "uncertainty": 0.01, "assumptions": [{"zh": "", "en": "Lamps burn alike."}], "estimated_share": 0.1, "floor": 0.9,
		"target": {"at_least": 0.95}, "verdict": "fail", "reason": {"zh": "", "en": "Of the other one."}, "lacks": ["survey"], "display_only": true, "source": "DB 1", "verified": true,
		"inputs": [{"name": "mass_kg", "value": null, "completeness": 0.98, "estimated_share": 0.1, "devices": ["bin-1"], "records": ["R1"],
			"alerts": [{"device": "bin-1", "since": "2026-10-08T04:00:00Z", "ended": "2026-10-08T05:00:00Z"}], "indicator": "other",
			"factor": {"factor": "grid", "of": "east", "value": 0.6, "unit": "kg/kWh", "year": 2024, "published": "2025-12-31", "verified": true, "source": "MEE"}}]}`

	alertFixture = `{"community": "jiayuan", "rule": "full", "severity": "critical", "device": "bin-1", "kind": "sorting_bin", "site": "e1", "stream": "food", "indicator": "rate",
		"labels": {"team": "east"}, "title": {"zh": "满", "en": "Full"}, "summary": {"zh": "", "en": "Bin 1 is full."}, "action": {"zh": "", "en": "Empty it."},
		"quantity": "fill_ratio", "limit": 0.9, "since": "2026-10-08T03:00:00Z", "fired": "2026-10-08T04:00:00Z"}`

	recordFixture = `{"id": "R1", "community": "jiayuan", "type": "survey", "date": "2026-10-01", "until": "2026-10-02", "at": "2026-10-01T04:00:00Z", "end": "2026-10-01T05:00:00Z",
		"stream": "food", "device": "bin-1", "item": "scheme/item", "values": {"satisfied_ratio": 0.9}, "texts": {"carrier": "Li"},
		"attachments": [{"name": "a.jpg", "media_type": "image/jpeg", "size": 5, "sha256": "` + hash + `"}], "by": "Li Na", "why": "as planned",
		"recorded": "2026-10-08T04:00:00Z", "replaces": "R0", "withdraws": true}`

	applicationFixture = `{"id": "A1", "community": "jiayuan", "scheme": "national", "month": "2026-10", "stage": "named", "level": "city", "named": "2026-11-02",
		"until": "2029-11-01", "submission": {"bundle": "` + hash + `", "bytes": 2048, "at": "2026-11-01T04:00:00Z"},
		"steps": [{"application": "A1", "to": "named", "on": "2026-11-02", "by": "Li", "why": "No. 7", "recorded": "2026-11-02T04:00:00Z", "community": "jiayuan",
			"scheme": "national", "month": "2026-10", "level": "city", "until": "2029-11-01",
			"submission": {"bundle": "` + hash + `", "bytes": 2048, "at": "2026-11-01T04:00:00Z"}}]}`

	revisionFixture = `{"of": "indicator", "name": "rate", "what": "value", "old": "", "new": "0.5", "title": {"zh": "率", "en": "Rate"}}`

	keptFixture = `{"month": "2026-10", "made": "2026-11-01T04:00:00Z", "bundle": "` + hash + `", "bytes": 2048, "mailed": ["li@example.org"], "refused": ["wang@example.org"]}`

	rollupFixture = `{"on": "2026-12-31", "communities": 2, "titled": {"district": 0, "city": 1, "national": 0}, "untitled": 1,
		"named": {"district": 0, "city": 1, "national": 0}, "targets": {"city": 3}, "stages": {"submitted": 1}}`
	emptyRollup = `{"on": "2026-12-31", "communities": 0, "titled": {}, "untitled": 0, "named": {}, "targets": {}, "stages": {}}`

	deadLetterFixture = `{"id": 8, "topic": "greentally/v1/jiayuan/bin-7/readings", "payload": "e30=", "received": "2026-10-08T04:00:00Z", "cut": 3,
		"reason": "unknown_device", "detail": "bin-7 is not in the registry"}`

	discoveredFixture = `{"community": "jiayuan", "device": "bin-7", "profile": "native", "kind": "sorting_bin", "topic": "greentally/v1/jiayuan/bin-7/readings",
		"payload": "{}", "first_seen": "2026-10-08T04:00:00Z", "last_seen": "2026-10-08T04:00:00Z"}`

	statusFixture = `{"version": "v1.2.3", "connected": true, "followers": {"writer": {"entries": 3, "unkept": 5, "age": "1.5s"}}, "dead_letters": 2, "registry_error": "line 3",
		"troubles": [{"name": "clock_jumped", "since": "2026-10-01T00:00:00Z", "error": "an hour ahead", "stops": false}]}`
)

// with returns a fixture, an object, with another field or with another value of one.
func with(fixture, name, value string) string {
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(fixture), &object); err != nil {
		panic(err)
	}
	object[name] = json.RawMessage(value)
	data, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// read returns what a fixture is in Go.
func read[T any](fixture string) (value T) {
	decoder := json.NewDecoder(strings.NewReader(fixture))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&value); err != nil {
		panic(err)
	}
	return value
}

// silenceFixture has all that a silence can have.
func silenceFixture(community string) greentally.Silence {
	return greentally.Silence{ID: "S1", Community: community, Rule: "full", Device: "bin-1", Indicator: "rate", Further: []string{`severity="info"`}, Acknowledges: true,
		Since: noon, Until: noon.Add(time.Hour), By: "li", Why: "a drill"}
}
