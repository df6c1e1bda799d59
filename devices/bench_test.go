package devices_test

import (
	"fmt"
	"strings"
	"testing"

	"greentally"
	"greentally/devices"
)

func BenchmarkDecode(b *testing.B) {
	r := load(b, devices.Options{})
	element := func(i int) string {
		return fmt.Sprintf(`{"time": %d, "fill_ratio": 0.42, "mass_kg": 12.3, "temperature_celsius": 18.5, "battery_ratio": 0.9}`, 1790841000000+i)
	}
	var hundred []string
	for i := range 100 {
		hundred = append(hundred, element(i))
	}
	for _, bb := range []struct {
		name, topic, payload string
		readings             int
	}{
		{"native", "greentally/v1/jiayuan/bin-1/readings", element(0), 1},
		{"native_rfc3339", "greentally/v1/jiayuan/bin-1/readings", strings.Replace(element(0), "1790841000000", `"2026-10-01T07:50:00Z"`, 1), 1},
		{"native_array_of_100", "greentally/v1/jiayuan/bin-1/readings", "[" + strings.Join(hundred, ",") + "]", 100},
		{"senml", "greentally/v1/jiayuan/bin-2/senml", `[{"bn":"a/","bt":1790841000,"n":"fill_ratio","u":"%","v":42},{"n":"mass_kg","u":"kg","v":12.3},{"n":"temperature_celsius","u":"Cel","v":18.5},{"n":"battery_ratio","u":"/","v":0.9}]`, 1},
		{"mapped", "application/1/device/24e124713b492871/event/up", `{"time": "2026-10-01T08:00:00.205+00:00", "deviceInfo": {"deviceName": "stairwell 3"}, "fPort": 85, "object": {"battery": 92, "temperature": 25.7, "distance": 550, "position": "normal"}}`, 1},
		{"status", "greentally/v1/jiayuan/bin-1/status", "online", 1},
	} {
		b.Run(bb.name, func(b *testing.B) {
			m := greentally.Message{Topic: bb.topic, Payload: []byte(bb.payload), Received: received}
			b.ReportAllocs()
			for b.Loop() {
				readings, err := r.Decode(m)
				if err != nil || len(readings) != bb.readings {
					b.Fatal(len(readings), err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(bb.readings), "ns/reading")
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	var all strings.Builder
	all.WriteString(jiayuan)
	for i := range 1000 {
		fmt.Fprintf(&all, "- {id: b-%d, kind: sorting_bin, site: estate-1, stream: food}\n", i)
	}
	o := devices.Options{Communities: folder(map[string]string{"a.yaml": all.String()})}
	for b.Loop() {
		if _, err := devices.Load(o); err != nil {
			b.Fatal(err)
		}
	}
}
