package devices_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"greentally"
	"greentally/devices"
	"greentally/internal/strictyaml"
)

const jiayuan = `community: jiayuan
name: {zh: 虹口嘉苑, en: Hongkou Jiayuan}
households: 3100
sites:
- {id: estate-1, type: estate}
- {id: gate-1, type: gate, in: estate-1}
devices:
- {id: bin-1, kind: sorting_bin, site: estate-1, stream: food, max_load_kg: 96, limits: {fill_ratio: 0.8}}
- {id: bin-2, kind: sorting_bin, profile: senml, site: estate-1, stream: residual}
- id: bin-3
  kind: sorting_bin
  profile: milesight_em400_mud
  address: 24e124713b492871
  site: estate-1
  stream: residual
  facts: {empty_distance_mm: 850, full_distance_mm: 250}
- {id: box-1, kind: battery_box, site: gate-1, stream: hazardous, scale_resolution_kg: 0.01}
- id: meter-1
  kind: lighting_meter
  site: estate-1
  interval: 15m
  registers: {energy_kwh: {modulus: 1000000, max_per_hour: 2}}
  baseline: {option: A, lamps: 40, lamp_power_w: 40}
- {id: meter-2, kind: lighting_meter, profile: senml, site: estate-1}
`

// received is when the messages of these tests came in.
var received = time.Date(2026, 10, 1, 8, 0, 0, 0, time.UTC)

func folder(files map[string]string) strictyaml.Folder {
	fs := fstest.MapFS{}
	for name, text := range files {
		fs[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return strictyaml.Folder{Name: "x", FS: fs}
}

func load(tb testing.TB, o devices.Options) *devices.Registry {
	tb.Helper()
	if o.Communities.FS == nil {
		o.Communities = folder(map[string]string{"jiayuan.yaml": jiayuan})
	}
	r, err := devices.Load(o)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// text writes readings and rejections in short.
func text(readings []greentally.Reading, err error) string {
	var lines []string
	for _, r := range readings {
		line := r.Device + " " + r.Time.Format(time.RFC3339Nano)
		if r.Quality != greentally.Accepted {
			line += fmt.Sprintf(" quality %d", r.Quality)
		}
		for _, v := range r.Values {
			if v.State != "" {
				line += fmt.Sprintf(" %s=%s", v.Quantity, v.State)
			} else {
				line += fmt.Sprintf(" %s=%v", v.Quantity, v.Number)
			}
		}
		lines = append(lines, line)
	}
	for _, r := range devices.Rejections(err) {
		lines = append(lines, r.Error())
	}
	return strings.Join(lines, "\n")
}

func TestDecode(t *testing.T) {
	r := load(t, devices.Options{Limits: devices.Limits{MaxPayload: 4096}})
	const (
		native = "greentally/v1/jiayuan/bin-1/readings"
		status = "greentally/v1/jiayuan/bin-1/status"
		senml  = "greentally/v1/jiayuan/bin-2/senml"
		up     = "application/1/device/24e124713b492871/event/up"
	)
	tests := []struct {
		name, topic, payload string
		want                 []string // substrings, one for each line
	}{
		// The native profile.
		{"values are sorted", native, `{"mass_kg": 1, "fill_ratio": 0.5, "battery_ratio": 1}`,
			[]string{"bin-1 2026-10-01T08:00:00Z battery_ratio=1 fill_ratio=0.5 mass_kg=1"}},
		{"an array of one needs no time", native, `[{"fill_ratio": 0.5}]`, []string{"bin-1 2026-10-01T08:00:00Z fill_ratio=0.5"}},
		{"good elements stand beside bad ones", native,
			`[{"time": "2026-10-01T07:00:00Z", "fill_ratio": 0.1}, 7, {"time": "2026-10-01T07:10:00Z", "fil_ratio": 0.2},
			  {"time": "2030-01-01T00:00:00Z", "fill_ratio": 0.2}, {"time": "2026-10-01T07:20:00Z", "fill_ratio": 0.3}]`,
			[]string{"07:00:00Z fill_ratio=0.1", "07:20:00Z fill_ratio=0.3",
				"bad_payload: element 1: want an object, not a number",
				`bad_payload: element 2: unknown key "fil_ratio"; kind sorting_bin has fill_ratio, mass_kg, temperature_celsius, battery_ratio, lid_openings, status, connection, and time`,
				"absurd_time: element 3: 2030-01-01T00:00:00Z is more than 10m0s after"}},
		{"null is absent", native, `{"fill_ratio": null, "mass_kg": 2, "status": null, "time": null}`, []string{"mass_kg=2"}},
		{"only nulls", native, `{"fill_ratio": null}`, []string{"bad_payload: it has no value"}},
		{"empty object", native, `{}`, []string{"bad_payload: it has no value"}},
		{"only a time", native, `{"time": 1790841600000}`, []string{"bad_payload: it has no value"}},
		{"empty array", native, `[]`, []string{"bad_payload: the array is empty"}},
		{"empty payload", native, ``, []string{"bad_payload: not JSON: "}},
		{"neither object nor array", native, `"full"`, []string{"bad_payload: want an object, not a text"}},
		{"cut off", native, `[{"time": "2026-10-01T07:00:00Z", "fill_ratio": 0.1}, {"ti`, []string{"bad_payload: not JSON: "}},
		{"something follows", native, `{"fill_ratio": 0.1} {"fill_ratio": 0.2}`, []string{"bad_payload: something follows the JSON value"}},
		{"rubbish follows", native, `{"fill_ratio": 0.1}x`, []string{"bad_payload: not JSON: "}},
		{"a name twice", native, `{"fill_ratio": 0.1, "fill_ratio": 0.2}`, []string{"bad_payload: not JSON: duplicate"}},
		{"a name twice, once escaped", native, `{"fill_ratio": 0.1, "\u0066ill_ratio": 0.2}`, []string{"bad_payload: not JSON: duplicate"}},
		{"an escaped name", native, `{"\u0066ill_ratio": 0.2}`, []string{"fill_ratio=0.2"}},
		{"invalid UTF-8", native, "{\"status\": \"\xff\"}", []string{"bad_payload: not JSON: invalid UTF-8"}},
		{"NaN", native, `{"fill_ratio": NaN}`, []string{"bad_payload: not JSON: "}},
		{"too large for a number", native, `{"fill_ratio": 1e999, "mass_kg": 3}`, []string{"mass_kg=3", "impossible_value: fill_ratio: +Inf is not a finite number"}},
		{"the wrong type", native, `{"fill_ratio": "0.1", "mass_kg": 3}`, []string{"bad_payload: fill_ratio: want a number, not a text"}},
		{"an object as a value", native, `{"mass_kg": {"value": 3}}`, []string{"bad_payload: mass_kg: want a number, not an object"}},
		{"a number as a state", native, `{"status": 1}`, []string{"bad_payload: status: want one of ok, lid_open"}},
		{"true for a state of many words", native, `{"status": true}`, []string{"bad_payload: status: want one of ok"}},
		{"depth", native, `{"x": ` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `}`, []string{`bad_payload: unknown key "x"`}},
		{"a very long key", native, `{"` + strings.Repeat("k", 3000) + `": 1}`, []string{`bad_payload: unknown key "` + strings.Repeat("k", 64) + `"…`}},
		{"just as early as can be", native, `{"time": "2025-08-27T08:00:00Z", "fill_ratio": 0.1}`, []string{"bin-1 2025-08-27T08:00:00Z"}},
		{"too early", native, `{"time": "2025-08-27T07:59:59Z", "fill_ratio": 0.1}`, []string{"absurd_time: 2025-08-27T07:59:59Z is more than 9600h0m0s before"}},
		{"just as late as can be", native, `{"time": "2026-10-01T16:10:00+08:00", "fill_ratio": 0.1}`, []string{"bin-1 2026-10-01T08:10:00Z"}},
		{"too late", native, `{"time": "2026-10-01T08:10:00.000000001Z", "fill_ratio": 0.1}`, []string{"absurd_time"}},
		{"seconds", native, `{"time": 1790841600, "fill_ratio": 0.1}`, []string{"absurd_time: time: 1.7908416e+09 reads as 1970-01-21T17:27:21Z; it is in milliseconds, and these look like seconds"}},
		{"a time of no calendar", native, `{"time": 1e300, "fill_ratio": 0.1}`, []string{"absurd_time: time: 1e+300 is no time"}},
		{"a time without a zone", native, `{"time": "2026-10-01T08:00:00", "fill_ratio": 0.1}`, []string{`bad_payload: time: "2026-10-01T08:00:00" is not of the form`}},
		{"a time that is true", native, `{"time": true, "fill_ratio": 0.1}`, []string{"bad_payload: time: want RFC 3339 or milliseconds since 1970, not true or false"}},
		{"at its allowed load and a fifth", native, `{"mass_kg": 115.1}`, []string{"bin-1 2026-10-01T08:00:00Z mass_kg=115.1"}},
		{"above that", native, `{"mass_kg": 115.3}`, []string{"quality 3 mass_kg=115.3"}},
		{"beyond the tolerance", native, `{"fill_ratio": 1.11}`, []string{"impossible_value: 1.11 is above the maximum of fill_ratio, 1"}},
		{"at the tolerance", native, `{"fill_ratio": 1.1, "battery_ratio": -0.05}`, []string{"battery_ratio=0 fill_ratio=1"}},
		{"a state in its own spelling", native, `{"status": "lid_open"}`, []string{"status=lid_open"}},
		{"connection among readings", native, `{"connection": true}`, []string{"connection=online"}},

		// Text.
		{"online, with a line's end", status, "Online\n", []string{"connection=online"}},
		{"an empty status", status, "", []string{`impossible_value: connection: "" is none of online, offline`}},
		{"a status that is not text", status, "\xff", []string{"bad_payload: the text is not UTF-8"}},

		// SenML.
		{"base time and relative times", senml, `[{"bt": 1790841000.5, "n": "mass_kg", "v": 1}, {"n": "mass_kg", "t": 60, "v": 2}]`,
			[]string{"07:50:00.5Z mass_kg=1", "07:51:00.5Z mass_kg=2"}},
		{"2^28 is absolute, less is relative", senml, `[{"n": "mass_kg", "t": 268435456, "v": 1}, {"n": "mass_kg", "t": -268435455, "v": 2}, {"n": "mass_kg", "t": 300, "v": 3}]`,
			[]string{"08:05:00Z mass_kg=3",
				"absurd_time: element 0: 1978-07-04T21:24:16Z is more than",
				"absurd_time: element 1: 2018-03-30T10:35:45Z is more than"}},
		{"base value", senml, `[{"n": "mass_kg", "bv": 20, "v": 0.5}, {"n": "mass_kg", "t": -1}]`, []string{"07:59:59Z mass_kg=20", "08:00:00Z mass_kg=20.5"}},
		{"a base record alone", senml, `[{"bn": "urn:dev:ow:10e2073a01080063:", "bt": 1790841000}, {"n": "mass_kg", "v": 1}]`, []string{"07:50:00Z mass_kg=1"}},
		{"only base fields", senml, `[{"bn": "a/"}]`, []string{"bad_payload: no record has a value"}},
		{"an unknown field is ignored", senml, `[{"n": "mass_kg", "v": 1, "ut": 30, "colour": [1, {}]}]`, []string{"mass_kg=1"}},
		{"a later version", senml, `[{"n": "mass_kg", "v": 1}, {"bver": 11, "n": "fill_ratio", "v": 1}]`, []string{"bad_payload: version 11 of SenML"}},
		{"a ratio in percent of a percentage", senml, `[{"n": "fill_ratio", "u": "%", "v": 0.42}, {"n": "battery_ratio", "u": "/1000", "v": 900}]`, []string{"battery_ratio=0.9 fill_ratio=0.0042"}},
		{"a number for a state", senml, `[{"n": "status", "v": 1}]`, []string{"bad_payload: element 0: status: want one of ok"}},
		{"a text for a number", senml, `[{"n": "mass_kg", "vs": "1"}]`, []string{"bad_payload: element 0: mass_kg: want a number"}},
		{"data", senml, `[{"n": "mass_kg", "vd": "AQ"}]`, []string{"bad_payload: element 0: mass_kg: want a number"}},
		{"two values", senml, `[{"n": "mass_kg", "v": 1, "vs": "1"}]`, []string{"bad_payload: element 0: mass_kg: more than one of"}},
		{"no value", senml, `[{"n": "mass_kg"}]`, []string{"bad_payload: element 0: mass_kg: the record has no value"}},
		{"a quantity twice at one time", senml, `[{"n": "mass_kg", "v": 1}, {"n": "mass_kg", "v": 2}]`, []string{"mass_kg=1", "bad_payload: element 1: mass_kg has a second value at"}},
		{"an unknown quantity", senml, `[{"bn": "a/", "n": "mass", "v": 1}]`, []string{`bad_payload: element 0: "mass" is no quantity; kind sorting_bin has`}},
		{"not a name", senml, `[{"n": "_mass_kg", "v": 1}]`, []string{`bad_payload: element 0: "_mass_kg" is not a SenML name`}},
		{"a sum of a mass", senml, `[{"n": "mass_kg", "s": 1}]`, []string{"bad_payload: element 0: mass_kg: a sum is of a register, and this is a mass"}},
		{"a value and a sum", senml, `[{"n": "mass_kg", "v": 1, "s": 1}]`, []string{"bad_payload: element 0: mass_kg: both a value and a sum"}},
		{"one record alone", senml, `{"n": "mass_kg", "v": 1}`, []string{"bad_payload: want an array of SenML records, not an object"}},
		{"an empty pack", senml, `[]`, []string{"bad_payload: the array is empty"}},
		{"times that cancel out", senml, `[{"bt": 1e999, "t": -1e999, "n": "mass_kg", "v": 1}]`, []string{"absurd_time: element 0: time: NaN is no time"}},
		{"far in the past", senml, `[{"t": -1e18, "n": "mass_kg", "v": 1}]`, []string{"absurd_time: element 0: time: -1e+18 is no time"}},

		// Mapped.
		{"a field that the values need not", up, `{"object": {"temperature": 20.5}}`, []string{"bin-3 2026-10-01T08:00:00Z temperature_celsius=20.5"}},
		{"an array", up, `[{"time": "2026-10-01T07:00:00Z", "object": {"battery": 90}}, {"time": "2026-10-01T07:10:00Z", "object": {"battery": "full"}}]`,
			[]string{"07:00:00Z battery_ratio=0.9", "bad_payload: element 1: object.battery: want a number, not a text"}},
		{"an object that is not one", up, `{"object": 3}`, []string{"bad_payload: object: want an object, not a number"}},
		{"a time that is none", up, `{"time": "noon", "object": {"battery": 90}}`, []string{`bad_payload: time: "noon" is not of the form`}},

		// Topics.
		{"another topic", "greentally/v1/jiayuan/bin-1", `{}`, []string{`unknown_topic: no profile has a topic like "greentally/v1/jiayuan/bin-1"`}},
		{"another device", "greentally/v1/jiayuan/bin-9/readings", `{}`, []string{`unknown_device: community jiayuan has no device "bin-9"`}},
		{"another community", "greentally/v1/lvyuan/bin-1/readings", `{}`, []string{`unknown_device: there is no community "lvyuan"`}},
		{"another profile's topic", "greentally/v1/jiayuan/bin-2/readings", `{}`, []string{"unknown_topic: device jiayuan/bin-2 has profile senml, which does not have this topic; native has"}},
		{"another address", "application/1/device/24e124713b492872/event/up", `{}`, []string{`unknown_device: no device has profile milesight_em400_mud and address "24e124713b492872"`}},
		{"a large payload", native, strings.Repeat(" ", 4097), []string{"too_large: payload of 4097 bytes; the limit is 4096"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := text(r.Decode(greentally.Message{Topic: tt.topic, Payload: []byte(tt.payload), Received: received}))
			lines := strings.Split(got, "\n")
			if len(lines) != len(tt.want) {
				t.Fatalf("got %d lines, want %d:\n%s", len(lines), len(tt.want), got)
			}
			for i, want := range tt.want {
				if !strings.Contains(lines[i], want) {
					t.Errorf("line %d is\n%s\nwant in it\n%s", i, lines[i], want)
				}
			}
		})
	}
}

func TestDecodeOfACutPayload(t *testing.T) {
	r := load(t, devices.Options{})
	_, err := r.Decode(greentally.Message{Topic: "greentally/v1/jiayuan/bin-1/readings", Payload: []byte(`{"mass_kg": 1}`), Cut: 7, Received: received})
	var rejection *greentally.Rejection
	if !errors.As(err, &rejection) || rejection.Reason != greentally.TooLarge {
		t.Errorf("got %v, want too_large", err)
	}
}

func TestManyRejectionsAreCounted(t *testing.T) {
	r := load(t, devices.Options{})
	_, err := r.Decode(greentally.Message{Topic: "greentally/v1/jiayuan/bin-1/readings", Payload: []byte("[" + strings.Repeat("1,", 99) + "1]"), Received: received})
	all := devices.Rejections(err)
	if len(all) != 11 || all[10].Detail != "and 90 more" {
		t.Errorf("got %d rejections, the last %v; want ten and their number", len(all), all[len(all)-1])
	}
}

func TestDecodeTellsWhereTheDeviceIs(t *testing.T) {
	r := load(t, devices.Options{})
	got, err := r.Decode(greentally.Message{Topic: "greentally/v1/jiayuan/box-1/readings", Payload: []byte(`{"mass_kg": 4.85}`), Received: received})
	if err != nil {
		t.Fatal(err)
	}
	want := greentally.Reading{
		DeviceKey: greentally.DeviceKey{Community: "jiayuan", Device: "box-1"},
		Kind:      "battery_box", Site: "gate-1", Stream: greentally.Hazardous,
		Time: received, Quality: greentally.Accepted, Values: []greentally.Value{{Quantity: "mass_kg", Number: 4.85}},
	}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", []greentally.Reading{want}) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestDecodeIsSafeForConcurrentUse(t *testing.T) {
	r := load(t, devices.Options{})
	messages := []greentally.Message{
		{Topic: "greentally/v1/jiayuan/bin-1/readings", Payload: []byte(`{"mass_kg": 1, "fill_ratio": 0.5}`), Received: received},
		{Topic: "greentally/v1/jiayuan/bin-2/senml", Payload: []byte(`[{"n": "mass_kg", "v": 2}]`), Received: received},
		{Topic: "application/1/device/24e124713b492871/event/up", Payload: []byte(`{"object": {"distance": 550}}`), Received: received},
	}
	var want []string
	for _, m := range messages {
		want = append(want, text(r.Decode(m)))
	}
	done := make(chan error)
	for range 8 {
		go func() {
			for i := range 600 {
				if got := text(r.Decode(messages[i%3])); got != want[i%3] {
					done <- fmt.Errorf("got %s, want %s", got, want[i%3])
					return
				}
			}
			done <- nil
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestDiscover(t *testing.T) {
	r := load(t, devices.Options{})
	tests := []struct {
		name, topic, payload string
		community, device    string
		profile, kind        string
		ok                   bool
	}{
		{"a bin", "greentally/v1/jiayuan/bin-9/readings", `{"time": 1, "fill_ratio": 0.1, "lid_openings": 3}`, "jiayuan", "bin-9", "native", "sorting_bin", true},
		{"a meter, in an array", "greentally/v1/jiayuan/m-9/readings", `[{"energy_kwh": 1}]`, "jiayuan", "m-9", "native", "lighting_meter", true},
		{"a box or a drum", "greentally/v1/jiayuan/x-9/readings", `{"mass_kg": 1, "fill_ratio": 0.1}`, "jiayuan", "x-9", "native", "", true},
		{"nothing that is known", "greentally/v1/jiayuan/x-9/readings", `{"x": 1}`, "jiayuan", "x-9", "native", "", true},
		{"not JSON", "greentally/v1/jiayuan/x-9/readings", `x`, "jiayuan", "x-9", "native", "", true},
		{"SenML", "greentally/v1/jiayuan/x-9/senml", `[{"bn": "a/", "n": "volume_m3", "v": 1}]`, "jiayuan", "x-9", "senml", "water_meter", true},
		{"no community in the topic", "application/1/device/24e124713b492872/event/up", `{}`, "", "24e124713b492872", "milesight_em400_mud", "", true},
		{"a status says too little", "greentally/v1/jiayuan/bin-9/status", "online", "", "", "", "", false},
		{"a known device", "greentally/v1/jiayuan/bin-1/readings", `{"x": 1}`, "", "", "", "", false},
		{"a known device on another profile's topic", "greentally/v1/jiayuan/bin-1/senml", `[]`, "", "", "", "", false},
		{"a name that no device can have", "greentally/v1/jiayuan/b\tn/readings", `{}`, "", "", "", "", false},
		{"another topic", "x", `{}`, "", "", "", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			key, profile, kind, ok := r.Discover(greentally.Message{Topic: tt.topic, Payload: []byte(tt.payload), Received: received})
			if key.Community != tt.community || key.Device != tt.device || profile != tt.profile || kind != tt.kind || ok != tt.ok {
				t.Errorf("got %s, profile %q, kind %q, %v", key, profile, kind, ok)
			}
		})
	}
}

func TestFilters(t *testing.T) {
	got := load(t, devices.Options{}).Filters()
	want := []string{"application/+/device/+/event/up", "greentally/v1/+/+/readings", "greentally/v1/+/+/senml", "greentally/v1/+/+/status"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A kind and a profile that nobody shipped, by YAML alone.
func TestNewKindAndProfileFromFolders(t *testing.T) {
	o := devices.Options{Kinds: []strictyaml.Folder{strictyaml.Dir("testdata/kinds")}, Profiles: []strictyaml.Folder{strictyaml.Dir("testdata/profiles")}}
	shipped, err := devices.Check(devices.Options{})
	if err != nil {
		t.Fatal(err)
	}
	all, err := devices.Check(o)
	if err != nil {
		t.Fatal(err)
	}
	if all != shipped+4 {
		t.Errorf("%d tests ran, want the %d shipped and 4", all, shipped)
	}
	o.Communities = folder(map[string]string{"c.yaml": `community: jiayuan
name: {en: Jiayuan}
households: 10
sites: [{id: gate, type: gate}]
devices:
- {id: noise-1, kind: noise_meter, profile: quiet_ear, site: gate, address: "0042"}
`})
	r := load(t, o)
	got := text(r.Decode(greentally.Message{Topic: "ears/0042", Payload: []byte(`{"ts": 1790841000, "laeq": 512, "flags": 3}`), Received: received}))
	if want := "noise-1 2026-10-01T07:50:00Z alarm=yes sound_level_db=51.2"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
