package devices_test

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"greentally"
	"greentally/devices"
)

// decodeAndCheck decodes a message and checks what holds for any.
func decodeAndCheck(t *testing.T, r *devices.Registry, m greentally.Message) []greentally.Reading {
	payload := bytes.Clone(m.Payload)
	readings, err := r.Decode(m)
	if len(readings) == 0 && err == nil {
		t.Fatal("neither a reading nor a rejection")
	}
	if !bytes.Equal(payload, m.Payload) {
		t.Fatal("decoding changed the payload")
	}
	rejections := devices.Rejections(err)
	if err != nil && len(rejections) == 0 {
		t.Fatalf("an error that is no rejection: %v", err)
	}
	for _, rejection := range rejections {
		if rejection.Detail == "" || len(rejection.Detail) > 2000 {
			t.Fatalf("detail of %d bytes", len(rejection.Detail))
		}
	}
	for _, reading := range readings {
		checkReading(t, r, m, reading)
	}
	if again := text(r.Decode(m)); again != text(readings, err) {
		t.Fatalf("decoding again gives\n%s\nnot\n%s", again, text(readings, err))
	}
	return readings
}

func checkReading(t *testing.T, r *devices.Registry, m greentally.Message, reading greentally.Reading) {
	if d := reading.Time.Sub(m.Received); d > 10*time.Minute || d < -400*24*time.Hour {
		t.Fatalf("time %v is not within the limits", reading.Time)
	}
	if reading.Time.Location() != time.UTC {
		t.Fatalf("time %v is not in UTC", reading.Time)
	}
	if len(reading.Values) == 0 {
		t.Fatal("a reading without values")
	}
	if !slices.IsSortedFunc(reading.Values, func(a, b greentally.Value) int { return strings.Compare(a.Quantity, b.Quantity) }) {
		t.Fatalf("values are not sorted: %v", reading.Values)
	}
	kind, ok := r.Kind(reading.Kind)
	if !ok {
		t.Fatalf("unknown kind %q", reading.Kind)
	}
	for i, v := range reading.Values {
		q, ok := kind.Quantity(v.Quantity)
		switch {
		case !ok:
			t.Fatalf("unknown quantity %q", v.Quantity)
		case i > 0 && reading.Values[i-1].Quantity == v.Quantity:
			t.Fatalf("two values of %s", v.Quantity)
		case q.Nature == greentally.State:
			if !slices.Contains(q.States, v.State) || v.Number != 0 {
				t.Fatalf("state %+v", v)
			}
		case v.State != "" || math.IsNaN(v.Number) || math.IsInf(v.Number, 0):
			t.Fatalf("number %+v", v)
		case q.Min != nil && v.Number < *q.Min || q.Max != nil && v.Number > *q.Max:
			t.Fatalf("%+v is out of range", v)
		}
	}
}

// fuzzDecode fuzzes the payloads of one topic.
func fuzzDecode(f *testing.F, topic string, payloads ...string) {
	r := load(f, devices.Options{})
	for _, p := range payloads {
		f.Add([]byte(p))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		m := greentally.Message{Topic: topic, Payload: payload, Received: received}
		decodeAndCheck(t, r, m)
		m.Topic = strings.NewReplacer("bin-1", "x", "bin-2", "x", "24e124713b492871", "x").Replace(topic)
		if _, _, kind, ok := r.Discover(m); kind != "" {
			if _, known := r.Kind(kind); !ok || !known {
				t.Fatalf("guesses the kind %q", kind)
			}
		}
	})
}

func FuzzNative(f *testing.F) {
	fuzzDecode(f, "greentally/v1/jiayuan/bin-1/readings",
		`{"time": "2026-10-01T07:40:00+08:00", "fill_ratio": 0.42, "mass_kg": 12.3, "status": "lidOpen", "connection": true}`,
		`[{"time": 1790841000000, "fill_ratio": 1.04}, {"time": 1790841000000.5, "mass_kg": null}]`,
		`[{"fill_ratio": 1e999}, {"x": [[[]]]}]`, `{"fill_ratio": 1, "fill_ratio": 2}`, `[{}]`)
}

func FuzzSenML(f *testing.F) {
	fuzzDecode(f, "greentally/v1/jiayuan/bin-2/senml",
		`[{"bn": "urn:dev:mac:0024befffe804ff1/", "bt": 1790841000, "bu": "%", "bver": 5, "n": "fill_ratio", "v": 7}, {"n": "status", "vs": "ok", "t": -5}]`,
		`[{"n": "mass_kg", "u": "g", "bv": 3, "v": 12}, {"n": "lid_openings", "u": "1/s", "bs": 2, "s": 3}]`,
		`[{"n": "connection", "vb": true, "x_": 1}]`, `[{"n": "temperature_celsius", "u": "K", "v": 1e999}]`)
}

func FuzzMapped(f *testing.F) {
	fuzzDecode(f, "application/1/device/24e124713b492871/event/up",
		`{"time": "2026-10-01T08:00:00.205+00:00", "object": {"battery": 92, "temperature": 25.7, "distance": 550}}`,
		`[{"object": {"distance": 1e400}}, {"object": []}, {"time": ""}]`)
}

func FuzzStatus(f *testing.F) {
	fuzzDecode(f, "greentally/v1/jiayuan/bin-1/status", "online", "offline\n", "", "\xff")
}

func FuzzTopic(f *testing.F) {
	r := load(f, devices.Options{})
	for _, topic := range []string{
		"greentally/v1/jiayuan/bin-1/readings", "greentally/v1/jiayuan/bin-1/status", "greentally/v1//x/readings",
		"application/1/device/24e124713b492871/event/up", "application//device//event/up", "", "/", "#",
	} {
		f.Add(topic)
	}
	f.Fuzz(func(t *testing.T, topic string) {
		m := greentally.Message{Topic: topic, Payload: []byte(`{"fill_ratio": 0.1}`), Received: received}
		readings := decodeAndCheck(t, r, m)
		for _, reading := range readings {
			if !strings.Contains(topic, reading.Device) && reading.Device != "bin-3" {
				t.Fatalf("%q is taken to be of %s", topic, reading.Device)
			}
		}
		key, profile, _, ok := r.Discover(m)
		if ok != (profile != "" && key.Device != "") {
			t.Fatalf("discovers %v, profile %q, %v", key, profile, ok)
		}
		if _, known := r.Device(key); ok && known {
			t.Fatalf("discovers %s, which is known", key)
		}
	})
}
