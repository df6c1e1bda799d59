package dashboards

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
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
	"greentally/rules/schemes"
	"greentally/simulator"
	"greentally/store/influx"
)

// The store is filled with 35 days and an afternoon.
var (
	china = time.FixedZone("CST", 8*60*60)
	first = now.Add(-16*time.Hour).AddDate(0, 0, -35)
	now   = time.Date(2026, 10, 3, 16, 0, 0, 0, china)
)

// names of the databases that stand for the data sources.
var databases = map[string]string{"greentally-readings": "greentally", "greentally-derived": "greentally_derived"}

// What goes wrong: these devices are silent for the third of a day before quiet, and in the end
// this one says that it is hot.
var (
	silent = []string{"battery-west", "e1-l1-light"}
	quiet  = now.AddDate(0, 0, -2)
	hot    = greentally.DeviceKey{Community: "jiayuan", Device: "battery-east"}
)

// filled starts an influxd with what two communities say in the days, and what greentally
// computes from it, and returns its URL.
func filled(t *testing.T) string {
	t.Helper()
	registry := communities(t)
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
	rates, err := indicators.Load(indicators.Vocabulary{Kind: registry.Kind, RecordType: types.Type, Factor: figures.Factor, AlertRule: watched.OfDevices},
		indicators.Shipped(), strictyaml.Folder{Name: "own", FS: fstest.MapFS{"residual_collected.yaml": {Data: []byte(ownIndicator)}}})
	if err != nil {
		t.Fatal(err)
	}
	certification, err := schemes.Load(schemes.Vocabulary{Units: rates.Units(), RecordType: types.Type}, schemes.Shipped(),
		strictyaml.Folder{Name: "own", FS: fstest.MapFS{"own_street.yaml": {Data: []byte(ownScheme)}}})
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
	var fired []greentally.Alert
	fire := func(changed []greentally.Alert, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		fired = append(fired, changed...)
	}
	simulations := simulate(t, registry, func(readings []greentally.Reading) {
		if err := store.WriteReadings(t.Context(), readings); err != nil {
			t.Fatal(err)
		}
		for _, r := range readings {
			if r.Time.Hour() != engine.Now().Hour() {
				fire(engine.Pass(time.Second)) // else nobody would notice who is silent
			}
			fire(engine.See(r.Time, r))
		}
	})
	if err := store.WriteAlerts(t.Context(), fired); err != nil {
		t.Fatal(err)
	}
	all := attested(registry, simulations)
	for _, r := range all {
		if err := errors.Join(types.Validate(r), certification.Accept(r)); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.WriteRecords(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	worker := rules.Worker{
		Store: store, Registry: func() rules.Registry { return registry }, Indicators: rates,
		Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
		Assess: func(c *greentally.Community, m greentally.Month, values []greentally.IndicatorValue, all []greentally.Record) ([]greentally.Assessment, error) {
			return certification.Assess(schemes.Evidence{Community: c, Month: m, Indicators: values, Records: all})
		},
	}
	var touches []rules.Touch
	for _, c := range registry.Communities() {
		for _, d := range c.Devices {
			touches = append(touches, rules.Touch{DeviceKey: d.Key(), From: first, To: now})
		}
	}
	if err := worker.Apply(t.Context(), touches); err != nil {
		t.Fatal(err)
	}
	return url
}

// communities are two: the demo's with a stairwell and a lift of each estate, and a smaller
// one. Their devices speak every 20 minutes.
func communities(t *testing.T) *devices.Registry {
	t.Helper()
	var demo greentally.Community
	if _, err := strictyaml.Decode("community.yaml", simulator.DemoCommunity(), &demo); err != nil {
		t.Fatal(err)
	}
	small := demo
	small.ID, small.Name, small.Households, small.Population = "lvyin", greentally.Text{ZH: "绿茵社区", EN: "Lvyin community"}, 320, 950 // a few too many for its bins
	demo.Households, demo.Population = demo.Households/4, demo.Population/4
	without := func(c *greentally.Community, out func(site string) bool) {
		c.Devices = slices.DeleteFunc(slices.Clone(c.Devices), func(d *greentally.Device) bool { return out(d.Site) })
	}
	without(&demo, func(site string) bool {
		return strings.Contains(site, "-") && strings.ContainsAny(site[len(site)-1:], "234")
	})
	without(&small, func(site string) bool { return site != "e1-s1" && site != "e1-l1" && !strings.HasPrefix(site, "gate") })
	for _, d := range slices.Concat(demo.Devices, small.Devices) {
		d.Interval = greentally.Duration(20 * time.Minute)
	}
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
	return registry
}

// simulate hands over what the communities' devices say in the days, in order of time and
// some hours at once.
func simulate(t *testing.T, registry *devices.Registry, take func([]greentally.Reading)) []*simulator.Simulator {
	t.Helper()
	const step = 8 * time.Hour
	until := first
	var readings []greentally.Reading
	decode := func(topic string, payload []byte) {
		some, err := registry.Decode(greentally.Message{Topic: topic, Payload: payload, Received: until})
		if err != nil {
			t.Error(err)
		}
		readings = append(readings, some...)
	}
	var simulations []*simulator.Simulator
	for i, c := range registry.Communities() {
		sim, err := simulator.New(t.Context(), simulator.Options{
			Community: c, Location: china, Start: first, Seed: uint64(i + 1), Batch: 36, Log: slog.New(slog.DiscardHandler),
			Sink: func(topic string, payload []byte) {
				if until.Equal(quiet) && slices.ContainsFunc(silent, func(device string) bool { return strings.Contains(topic, "/"+device+"/") }) {
					return
				}
				decode(topic, bytes.Clone(payload))
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		simulations = append(simulations, sim)
	}
	for until.Before(now) {
		until = until.Add(step)
		readings = readings[:0]
		for _, sim := range simulations {
			if err := sim.Run(t.Context(), until.Add(-1)); err != nil {
				t.Fatal(err)
			}
		}
		if until.Equal(now) {
			decode("greentally/v1/"+hot.String()+"/readings", fmt.Appendf(nil, `{"time": %q, "temperature_celsius": 63}`, until.Add(-time.Minute).Format(time.RFC3339)))
		}
		slices.SortStableFunc(readings, func(a, b greentally.Reading) int { return a.Time.Compare(b.Time) })
		take(readings)
	}
	return simulations
}

// attested is what people attest of the days.
func attested(registry *devices.Registry, simulations []*simulator.Simulator) (all []greentally.Record) {
	for _, sim := range simulations {
		for _, r := range sim.Truth().Audits {
			r.ID = fmt.Sprintf("%s-%03d", r.Community, len(all))
			all = append(all, r)
		}
	}
	last := greentally.DateOf(now, china).MonthOf()
	for i, c := range registry.Communities() {
		for m := greentally.DateOf(first, china).MonthOf(); m != last.Next(); m = m.Next() {
			all = append(all, greentally.Record{
				ID: c.ID + "-score-" + m.String(), Community: c.ID, Type: greentally.Judgement, Item: "putuo_monthly/monthly_score", Date: m.First(), By: "Li Na",
				Values: greentally.Values{"points": 96 - 10*float64(i)}, // enough are more than 90
			})
		}
		all = append(all, greentally.Record{
			ID: c.ID + "-survey", Community: c.ID, Type: "survey", Date: last.First().Add(-3), By: "Li Na",
			Values: greentally.Values{"asked": 200, "satisfied": 150, "aware": 190}, // less than the target, and more
		})
	}
	return all
}

// An indicator and a scheme such as users add, of which the dashboards know nothing.
const (
	ownIndicator = `
indicator: residual_collected
title: {zh: 其他垃圾清运量（自定义）, en: Residual waste collected}
unit: kg
source: ours
verified: false
inputs:
  collected: {kind: sorting_bin, where: device.stream == "residual", value: mass_kg.collected}
numerator: collected
denominator: "1"
target: {at_most: 2000}
tests:
- name: none
  want: {verdict: insufficient_data}
`
	ownScheme = `
scheme: own_street
title: {zh: "街道'自评'（自定义）", en: The street's own}
source: ours
complete: true
verified: true
estimated_mass: allowed
total: 10
items:
- {id: residual, title: {zh: 其他垃圾少于2000公斤, en: Less than 2000 kg}, points: 10, rule: all_or_nothing, when: residual_collected < 2000}
levels:
- {id: good, title: {zh: 良好, en: Good}, at_least: 10, pass: true}
tests:
- {name: less, indicators: {residual_collected: 1}, want: {verdict: pass, level: good, points: 10}}
`
)
