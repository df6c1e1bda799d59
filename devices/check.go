package devices

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"greentally"
	"greentally/internal/strictyaml"
)

// Test is a message and what is to become of it. It stands in the file of a kind or
// of a profile.
type Test struct {
	Name string `yaml:"name" json:"name"`

	// Device is the sender, as in a community's file; the community is called test.
	Device greentally.Device `yaml:"device" json:"device"`

	Topic    string    `yaml:"topic,omitempty" json:"topic,omitempty" jsonschema_description:"Default: the first topic of the device's profile."`
	Payload  string    `yaml:"payload" json:"payload"`
	Received time.Time `yaml:"received,omitempty" json:"received,omitzero" jsonschema_description:"Default 2026-10-01T00:00:00Z."`

	Want   []WantReading       `yaml:"want,omitempty" json:"want,omitempty" jsonschema_description:"The readings, all of them, in order."`
	Reject []greentally.Reason `yaml:"reject,omitempty" json:"reject,omitempty" jsonschema_description:"The reasons of what is rejected, in order."`
}

// WantReading is a reading that a test wants.
type WantReading struct {
	Time    time.Time      `yaml:"time,omitempty" json:"time,omitzero" jsonschema_description:"Default: when the message was received."`
	Quality string         `yaml:"quality,omitempty" json:"quality,omitempty" jsonschema:"enum=accepted,enum=suspicious,default=accepted"`
	Values  map[string]any `yaml:"values" json:"values" jsonschema_description:"All values, by quantity: a number, or a state's word."`
}

// testCommunity is the community of the devices in tests.
const testCommunity = "test"

func testReceived() time.Time { return time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC) }

// checkTests checks that a file has tests, and that each can fail.
func checkTests(tests []Test, add report) {
	if len(tests) == 0 {
		add([]any{"tests"}, "tests: the file has none; say what is to become of at least one message")
	}
	names := map[string]bool{}
	for i, t := range tests {
		path := []any{"tests", i}
		if t.Name == "" {
			add(path, "test: want a name")
		}
		if names[t.Name] {
			add(at(path, "name"), "test %q is there twice", t.Name)
		}
		names[t.Name] = true
		if len(t.Want) == 0 && len(t.Reject) == 0 {
			add(path, "test %q: want readings (want) or reasons (reject)", t.Name)
		}
	}
}

// Check loads everything that the options name and runs the tests inside the files of
// kinds and profiles through [Registry.Decode]. It returns how many tests it ran; the
// error joins everything that is wrong and every test that fails, with file and line.
// While a kind or a profile is wrong in itself, no test runs.
func Check(o Options) (tests int, err error) {
	_, err = Load(o)
	definitions, _, errs := loadDefinitions(o)
	if len(errs) > 0 {
		return 0, err
	}
	errs = []error{err}
	for _, k := range sortedKinds(definitions.kinds) {
		for i := range k.tests {
			tests++
			errs = append(errs, definitions.run(&k.tests[i], i, nativeProfile, k.doc)...)
		}
	}
	for _, p := range definitions.sortedProfiles() {
		for i := range p.Tests {
			tests++
			errs = append(errs, definitions.run(&p.Tests[i], i, p.Name, p.doc)...)
		}
	}
	return tests, errors.Join(errs...)
}

// run runs test i of a file and returns how it fails.
func (r *Registry) run(t *Test, i int, profile string, doc *strictyaml.Doc) (errs []error) {
	fail := func(path []any, format string, args ...any) {
		errs = append(errs, doc.Errorf(append([]any{"tests", i}, path...), "test %q: %w", t.Name, fmt.Errorf(format, args...)))
	}
	device := t.Device
	if device.Profile == "" {
		device.Profile = profile
	}
	c := &greentally.Community{
		ID: testCommunity, Name: greentally.Text{EN: testCommunity}, TimeZone: "UTC", Households: 1,
		Sites:   []greentally.Site{{ID: device.Site, Type: "other"}},
		Devices: []*greentally.Device{&device},
	}
	location := r.checkCommunity(c, true, func(path []any, format string, args ...any) {
		if path[0] == "devices" {
			path = at([]any{"device"}, path[2:]...)
		} else {
			path = []any{"device"}
		}
		fail(path, format, args...)
	})
	if p := r.profiles[device.Profile]; len(errs) > 0 || len(p.forms) == 0 {
		return errs
	}
	m := greentally.Message{Topic: t.Topic, Payload: []byte(t.Payload), Received: t.Received}
	if m.Topic == "" {
		m.Topic = r.profiles[device.Profile].forms[0].pattern.example(testCommunity, address(&device))
	}
	if m.Received.IsZero() {
		m.Received = testReceived()
	}
	registry := r.with([]*community{{Community: c, location: location}})
	readings, err := registry.Decode(m)

	var reasons []greentally.Reason
	for _, rejection := range Rejections(err) {
		reasons = append(reasons, rejection.Reason)
	}
	if !slices.Equal(reasons, t.Reject) {
		fail([]any{"reject"}, "rejects %v, want %v; in full: %v", reasons, t.Reject, err)
	}
	if len(readings) != len(t.Want) {
		fail([]any{"want"}, "%d readings, want %d: %s", len(readings), len(t.Want), show(readings))
		return errs
	}
	for n, reading := range readings {
		want := t.Want[n]
		if want.Time.IsZero() {
			want.Time = m.Received
		}
		quality := "accepted"
		if reading.Quality == greentally.Suspicious {
			quality = "suspicious"
		}
		path := []any{"want", n}
		if !reading.Time.Equal(want.Time) {
			fail(at(path, "time"), "time is %s, want %s", reading.Time.Format(time.RFC3339Nano), want.Time.UTC().Format(time.RFC3339Nano))
		}
		if want.Quality != quality && (want.Quality != "" || quality != "accepted") {
			fail(at(path, "quality"), "quality is %s", quality)
		}
		for _, problem := range compareValues(reading, want.Values) {
			fail(at(path, "values"), "%s", problem)
		}
	}
	return errs
}

// Rejections returns the rejections that an error of [Registry.Decode] joins.
func Rejections(err error) []*greentally.Rejection {
	switch err := err.(type) { //nolint:errorlint // it takes the error apart
	case *greentally.Rejection:
		return []*greentally.Rejection{err}
	case interface{ Unwrap() []error }:
		var all []*greentally.Rejection
		for _, one := range err.Unwrap() {
			all = append(all, Rejections(one)...)
		}
		return all
	}
	return nil
}

func compareValues(reading greentally.Reading, want map[string]any) (problems []string) {
	for _, v := range reading.Values {
		if _, ok := want[v.Quantity]; !ok {
			problems = append(problems, fmt.Sprintf("%s is %s, which is not wanted", v.Quantity, showValue(v)))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		v, ok := reading.Value(name)
		if !ok {
			problems = append(problems, fmt.Sprintf("%s is missing", name))
			continue
		}
		same := false
		switch w := want[name].(type) {
		case string:
			same = v.State == w
		case int:
			same = v.State == "" && near(v.Number, float64(w))
		case float64:
			same = v.State == "" && near(v.Number, w)
		}
		if !same {
			problems = append(problems, fmt.Sprintf("%s is %s, want %v", name, showValue(v), want[name]))
		}
	}
	return problems
}

// near allows for the rounding of floats.
func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(a), math.Abs(b)) }

func showValue(v greentally.Value) string {
	if v.State != "" {
		return v.State
	}
	return fmt.Sprint(v.Number)
}

func show(readings []greentally.Reading) string {
	var all []string
	for _, r := range readings {
		var values []string
		for _, v := range r.Values {
			values = append(values, v.Quantity+": "+showValue(v))
		}
		all = append(all, r.Time.Format(time.RFC3339Nano)+" {"+strings.Join(values, ", ")+"}")
	}
	return strings.Join(all, "; ")
}
