package dashboards

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"go.yaml.in/yaml/v4"

	"greentally"
	"greentally/devices"
	"greentally/internal/strictyaml"
	"greentally/internal/testserver"
	"greentally/records"
	"greentally/rules"
	"greentally/rules/alerts"
	"greentally/rules/factors"
	"greentally/rules/indicators"
	"greentally/simulator"
	"greentally/store/influx"
)

// The store is filled with some days around the beginning of a month, up to an afternoon.
var (
	china = time.FixedZone("CST", 8*60*60)
	first = time.Date(2026, 9, 28, 0, 0, 0, 0, china)
	now   = time.Date(2026, 10, 3, 16, 0, 0, 0, china)
)

// names of the databases that stand for the data sources.
var databases = map[string]string{"greentally-readings": "greentally", "greentally-derived": "greentally_derived"}

// filled starts an influxd with what two communities say in the days, and what greentally
// computes from it, and returns its URL.
func filled(t *testing.T) string {
	t.Helper()
	var demo greentally.Community
	if _, err := strictyaml.Decode("community.yaml", simulator.DemoCommunity(), &demo); err != nil {
		t.Fatal(err)
	}
	small := demo
	small.ID, small.Households, small.Population = "lvyin", 800, 2300
	small.Devices = slices.DeleteFunc(slices.Clone(demo.Devices), func(d *greentally.Device) bool {
		return d.Kind != "battery_box" && d.Site != "e1-s1" && d.Site != "e1-l1"
	})
	files := fstest.MapFS{}
	for _, c := range []greentally.Community{demo, small} {
		text, err := yaml.Dump(c)
		if err != nil {
			t.Fatal(err)
		}
		files[c.ID+".yaml"] = &fstest.MapFile{Data: text}
	}
	registry, err := devices.Load(devices.Options{Communities: strictyaml.Folder{Name: "test", FS: files}})
	if err != nil {
		t.Fatal(err)
	}
	types, err := records.LoadTypes(records.Shipped())
	if err != nil {
		t.Fatal(err)
	}
	figures, err := factors.Load(factors.Shipped())
	if err != nil {
		t.Fatal(err)
	}
	watched, err := alerts.Load(registry.Kind, alerts.Shipped())
	if err != nil {
		t.Fatal(err)
	}
	rates, err := indicators.Load(indicators.Vocabulary{Kind: registry.Kind, RecordType: types.Type, Factor: figures.Factor, AlertRule: watched.OfDevices}, indicators.Shipped())
	if err != nil {
		t.Fatal(err)
	}

	url := testserver.Influxd(t).URL()
	store, err := influx.Open(t.Context(), influx.Config{URL: url, Bucket: "greentally", DerivedBucket: "greentally_derived", CreateBuckets: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })

	engine := alerts.NewEngine(watched, registry)
	var until time.Time
	var readings []greentally.Reading
	var simulations []*simulator.Simulator
	var touches []rules.Touch
	for i, c := range registry.Communities() {
		sim, err := simulator.New(t.Context(), simulator.Options{
			Community: c, Location: china, Start: first, Seed: uint64(i + 1), Batch: 36, Log: slog.New(slog.DiscardHandler),
			Sink: func(topic string, payload []byte) {
				some, err := registry.Decode(greentally.Message{Topic: topic, Payload: payload, Received: until})
				if err != nil {
					t.Error(err)
				}
				readings = append(readings, some...)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		simulations = append(simulations, sim)
		for _, d := range c.Devices {
			touches = append(touches, rules.Touch{DeviceKey: d.Key(), From: first, To: now})
		}
	}
	var fired []greentally.Alert
	for until = first.Add(8 * time.Hour); !until.After(now); until = until.Add(8 * time.Hour) {
		readings = readings[:0]
		for _, sim := range simulations {
			if err := sim.Run(t.Context(), until.Add(-1)); err != nil {
				t.Fatal(err)
			}
		}
		slices.SortStableFunc(readings, func(a, b greentally.Reading) int { return a.Time.Compare(b.Time) })
		if err := store.WriteReadings(t.Context(), readings); err != nil {
			t.Fatal(err)
		}
		for _, r := range readings {
			changed, err := engine.See(r.Time, r)
			if err != nil {
				t.Fatal(err)
			}
			fired = append(fired, changed...)
		}
	}
	var audits []greentally.Record
	for _, sim := range simulations {
		for _, r := range sim.Truth().Audits {
			r.ID = fmt.Sprintf("%s-%03d", r.Community, len(audits))
			audits = append(audits, r)
		}
	}
	for _, c := range registry.Communities() {
		audits = append(audits, greentally.Record{
			ID: c.ID + "-survey", Community: c.ID, Type: "survey", Date: greentally.DateOf(first, china), By: "Li Na",
			Values: greentally.Values{"asked": 200, "satisfied": 150, "aware": 190}, // less than the target, and more
		})
	}
	if err := store.WriteRecords(t.Context(), audits); err != nil {
		t.Fatal(err)
	}
	worker := rules.Worker{
		Store: store, Registry: func() rules.Registry { return registry }, Indicators: rates,
		Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
	}
	if err := worker.Apply(t.Context(), touches); err != nil {
		t.Fatal(err)
	}
	if err := store.WriteAlerts(t.Context(), fired); err != nil {
		t.Fatal(err)
	}
	return url
}
