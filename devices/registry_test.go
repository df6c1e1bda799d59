package devices_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greentally"
	"greentally/devices"
	"greentally/internal/golden"
	"greentally/internal/strictyaml"
)

// All that is wrong with any file comes at once, with file and line.
func TestLoadReportsEverything(t *testing.T) {
	_, err := devices.Load(devices.Options{
		Kinds:       []strictyaml.Folder{strictyaml.Dir("testdata/bad/kinds")},
		Profiles:    []strictyaml.Folder{strictyaml.Dir("testdata/bad/profiles")},
		Communities: strictyaml.Dir("testdata/bad/communities"),
	})
	if err == nil {
		t.Fatal("no error")
	}
	golden.Equal(t, "testdata/bad/errors.golden", err.Error()+"\n")
}

func TestLoadOfAFolderThatIsNotThere(t *testing.T) {
	_, err := devices.Load(devices.Options{Communities: strictyaml.Dir(filepath.Join(t.TempDir(), "none"))})
	if err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("got %v, want an error that names the folder", err)
	}
}

func TestLoadSetsWhatFilesLeaveOut(t *testing.T) {
	r := load(t, devices.Options{})
	c, ok := r.Community("jiayuan")
	if !ok || c.TimeZone != "Asia/Shanghai" {
		t.Fatalf("community is %+v, want it in Asia/Shanghai", c)
	}
	location, ok := r.Location("jiayuan")
	if noon := time.Date(2026, 10, 1, 4, 0, 0, 0, time.UTC); !ok || noon.In(location).Hour() != 12 {
		t.Errorf("location is %v, want that of Shanghai", location)
	}
	device := func(id string) *greentally.Device {
		t.Helper()
		d, ok := r.Device(greentally.DeviceKey{Community: "jiayuan", Device: id})
		if !ok {
			t.Fatalf("there is no device %s", id)
		}
		return d
	}
	if d := device("bin-1"); d.Profile != "native" || time.Duration(d.Interval) != 10*time.Minute || d.ScaleResolutionKg != 0.1 {
		t.Errorf("bin-1 is %+v, want the defaults", d)
	}
	if d := device("box-1"); d.ScaleResolutionKg != 0.01 {
		t.Errorf("box-1 has a resolution of %v kg, want its own", d.ScaleResolutionKg)
	}
	if d := device("meter-1"); time.Duration(d.Interval) != 15*time.Minute || d.ScaleResolutionKg != 0 {
		t.Errorf("meter-1 is %+v, want its own interval and no scale", d)
	}
	if k, ok := r.Kind("water_meter"); !ok {
		t.Error("there is no kind water_meter")
	} else if q, ok := k.Quantity("connection"); !ok || q.Nature != greentally.State {
		t.Errorf("water_meter has %+v, want a state connection", k.Quantities)
	}
	if n := len(r.Communities()); n != 1 {
		t.Errorf("%d communities, want 1", n)
	}
	if _, ok := r.Community("none"); ok {
		t.Error("a community that is not there was found")
	}
}

// A test inside a file that does not hold is reported with its place.
func TestCheckReportsTestsThatFail(t *testing.T) {
	kinds := folder(map[string]string{"door.yaml": `kind: door
title: {en: Door}
quantities:
- {name: openings, nature: register, unit: count, title: {en: Openings}}
tests:
- name: wrong value
  device: {id: door-1, kind: door, site: gate}
  payload: '{"openings": 3}'
  want:
  - values: {openings: 4}
- name: wrong reason
  device: {id: door-1, kind: door, site: gate}
  payload: '{"openings": "3"}'
  reject: [absurd_time]
- name: a reading too many
  device: {id: door-1, kind: door, site: gate}
  payload: '{"openings": 3}'
  reject: [bad_payload]
- name: wrong in all ways
  device: {id: door-1, kind: door, site: gate}
  payload: '{"openings": 3}'
  want:
  - time: 2026-10-01T00:00:01Z
    quality: suspicious
    values: {connection: online}
- name: no such device
  device: {id: door-1, kind: door, site: gate, interval: 1s}
  payload: '{"openings": 3}'
  want:
  - values: {openings: 3}
`})
	n, err := devices.Check(devices.Options{Kinds: []strictyaml.Folder{kinds}})
	if err == nil {
		t.Fatal("no error")
	}
	golden.Equal(t, "testdata/check.golden", err.Error()+"\n")
	if shipped, _ := devices.Check(devices.Options{}); n != shipped+5 {
		t.Errorf("%d tests ran, want %d", n, shipped+5)
	}
}

func TestSchemasKnowEveryKey(t *testing.T) {
	all := devices.Schemas()
	for name, key := range map[string]string{"community": "households", "kind": "quantities", "profile": "messages"} {
		schema := all[name]
		if schema == nil {
			t.Errorf("there is no schema of a %s", name)
			continue
		}
		data, err := schema.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`"` + key + `"`, `"additionalProperties":false`} {
			if !strings.Contains(string(data), want) {
				t.Errorf("the schema of a %s lacks %s: %s", name, want, data)
			}
		}
	}
}

// The community that the simulator plays is one that the registry takes.
func TestTheSimulatorsCommunity(t *testing.T) {
	r := load(t, devices.Options{Communities: folder(map[string]string{"community.yaml": readText(t, "../simulator/community.yaml")})})
	all := r.Communities()
	if len(all) != 1 || len(all[0].Devices) == 0 {
		t.Errorf("%d communities, want one with devices", len(all))
	}
}
