package bench

import (
	"flag"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"greentally"
	"greentally/internal/testserver"
	"greentally/rules"
	"greentally/rules/schemes"
	"greentally/rules/tally"
	"greentally/store/influx"
	"greentally/store/sqlite"
)

var devicesWanted = flag.Int("bench.devices", 100, "devices of the month that is tallied and assessed")

// BenchmarkMonth tallies and assesses a month, in memory and from each store.
func BenchmarkMonth(b *testing.B) {
	d := newDistrict(b, *devicesWanted)
	b.Run("memory", func(b *testing.B) { b.Run("tally", d.tallyInMemory) })
	b.Run("sqlite", func(b *testing.B) {
		s, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "greentally.db"))
		if err != nil {
			b.Fatal(err)
		}
		d.benchmark(b, s, func() float64 { return 0 })
	})
	b.Run("influxd", func(b *testing.B) {
		server := testserver.Influxd(b)
		s, err := influx.Open(b.Context(), influx.Config{URL: server.URL(), Bucket: "greentally", DerivedBucket: "greentally_derived", CreateBuckets: true})
		if err != nil {
			b.Fatal(err)
		}
		d.benchmark(b, s, func() float64 { return influxdCPU(b, server.URL()) })
	})
}

// benchmark fills the store and measures. serverCPU returns the CPU seconds that the
// store's server has used, 0 if it has none.
func (d *district) benchmark(b *testing.B, s greentally.Store, serverCPU func() float64) {
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	d.fill(b, s)
	settle(serverCPU)
	b.Run("read", func(b *testing.B) { d.read(b, s, serverCPU) })
	b.Run("tally", func(b *testing.B) { d.tally(b, s, serverCPU) })
	d.copyDays(b, s)
	b.Run("days", func(b *testing.B) { d.days(b, s) })
	b.Run("assess", func(b *testing.B) { d.assess(b, s, d.whole) })
	b.Run("assess-one", func(b *testing.B) { d.assess(b, s, d.communities[0]) })
}

// read reads all readings of the month and does nothing with them: the part of tally that
// is the store's.
func (d *district) read(b *testing.B, s greentally.Store, serverCPU func() float64) {
	report := throughput(b, serverCPU)
	n := 0
	for b.Loop() {
		for _, c := range d.communities {
			for _, device := range c.Devices {
				for _, err := range s.Readings(b.Context(), greentally.ReadingQuery{DeviceKey: device.Key(), Kind: device.Kind}) {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
			}
		}
	}
	report(n)
}

// tally has the program's worker tally every day of the month: it reads the readings, writes
// the device-days, and computes and writes the indicators.
func (d *district) tally(b *testing.B, s greentally.Store, serverCPU func() float64) {
	worker := d.worker(s)
	days := 0
	worker.Tallied = func(n int, _ time.Duration) { days += n }
	var touches []rules.Touch
	for _, c := range d.communities {
		for _, device := range c.Devices {
			touches = append(touches, rules.Touch{DeviceKey: device.Key(), From: d.from, To: d.to.Add(-1)})
		}
	}
	report := throughput(b, serverCPU)
	n := 0
	for b.Loop() {
		days = 0
		if err := worker.Apply(b.Context(), slices.Clone(touches)); err != nil {
			b.Fatal(err)
		}
		if want := len(touches) * month.Last().Day; days < want {
			b.Fatalf("%d device-days were tallied, want %d", days, want)
		}
		n += d.readings
	}
	report(n)
}

// tallyInMemory tallies the month of one community without any store.
func (d *district) tallyInMemory(b *testing.B) {
	inputs, readings := d.inputs(b)
	report := throughput(b, func() float64 { return 0 })
	n := 0
	for b.Loop() {
		for _, in := range inputs {
			if day := tally.Day(in); day.Readings == 0 {
				b.Fatalf("%s %s has no readings", day.DeviceKey, day.Date)
			}
		}
		n += readings
	}
	report(n)
}

// days reads the device-days of all devices as assess does: its part that is the store's.
func (d *district) days(b *testing.B, s greentally.Store) {
	n := 0
	for b.Loop() {
		days, err := s.DeviceDays(b.Context(), greentally.DeviceDayQuery{Community: d.whole.ID, From: month.First(), To: month.Last(), Totals: true})
		if err != nil {
			b.Fatal(err)
		}
		n += len(days)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "device-days/s")
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/read")
}

// assess holds a community's month against every scheme, from the device-days and records in
// the store, as the command assess does.
func (d *district) assess(b *testing.B, s greentally.Store, c *greentally.Community) {
	worker := d.worker(s)
	cpu := processCPU(b)
	for b.Loop() {
		records, err := s.Records(b.Context(), c.ID, greentally.Date{}, greentally.Date{})
		if err != nil {
			b.Fatal(err)
		}
		values, err := worker.Report(b.Context(), c.ID, month, worker.Now())
		if err != nil {
			b.Fatal(err)
		}
		all, err := d.schemes.Assess(schemes.Evidence{Community: c, Month: month, Indicators: values, Records: records})
		if err != nil {
			b.Fatal(err)
		}
		if !slices.ContainsFunc(values, func(v greentally.IndicatorValue) bool { return v.Verdict == greentally.Pass }) || len(all) == 0 {
			b.Fatalf("no indicator of %d has passed, %d schemes", len(values), len(all))
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/assessment")
	b.ReportMetric((processCPU(b)-cpu)/float64(b.N), "cpu-s/assessment")
}

func (d *district) worker(s greentally.Store) *rules.Worker {
	return &rules.Worker{
		Store: s, Registry: func() rules.Registry { return d.registry }, Indicators: d.indicators,
		Now: func() time.Time { return d.to.Add(72 * time.Hour) }, Log: slog.New(slog.DiscardHandler),
	}
}
