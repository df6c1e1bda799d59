package alerts_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"greentally"
	"greentally/rules/alerts"
)

// BenchmarkSee lets the shipped rules see readings of 10,000 sorting bins that report every
// ten minutes and have done so for a day; 12 rules are about each of them.
func BenchmarkSee(b *testing.B) {
	k := kinds(b)
	set, err := alerts.Load(k, alerts.Shipped())
	if err != nil {
		b.Fatal(err)
	}
	const devices = 10_000
	latitude := 31.2
	c := &greentally.Community{ID: "c", Latitude: &latitude, Collections: []greentally.Collection{{Streams: []greentally.Stream{greentally.Food}, At: []string{"06:30", "19:30"}}}}
	for i := range devices {
		c.Devices = append(c.Devices, &greentally.Device{Community: "c", ID: fmt.Sprint("bin-", i), Kind: "sorting_bin", Stream: greentally.Food, Interval: greentally.Duration(10 * time.Minute)})
	}
	engine := alerts.NewEngine(set, registry{[]*greentally.Community{c}, k})
	const perDay = 144
	see := func(n int) (told int) {
		round, i := n/devices, n%devices
		at := start.Add(time.Duration(round)*10*time.Minute + time.Duration(i)*50*time.Millisecond)
		fill := 0.05 + 0.35*float64((round+i)%perDay)/perDay // and emptied once a day
		changed, err := engine.See(at, greentally.Reading{DeviceKey: c.Devices[i].Key(), Kind: "sorting_bin", Stream: greentally.Food, Time: at, Quality: greentally.Accepted,
			Values: []greentally.Value{
				{Quantity: "battery_ratio", Number: 0.8}, {Quantity: "fill_ratio", Number: fill}, {Quantity: "lid_openings", Number: float64(n)},
				{Quantity: "mass_kg", Number: fill * 40}, {Quantity: "status", State: "ok"}, {Quantity: "temperature_celsius", Number: 21},
			}})
		if err != nil {
			b.Fatal(err)
		}
		return len(changed)
	}
	n := 0
	for ; n < devices*perDay; n++ {
		see(n)
	}
	b.ReportAllocs()
	told, before := 0, cpu(b)
	for b.Loop() {
		told += see(n)
		n++
	}
	b.ReportMetric(float64(told)/float64(b.N), "alerts/op")
	b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// cpu returns the time that the process has used on all cores: on a busy machine it says
// more than that of the wall.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
