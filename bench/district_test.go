package bench

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"go.yaml.in/yaml/v4"

	"greentally"
	"greentally/devices"
	"greentally/internal/strictyaml"
	"greentally/records"
	"greentally/rules/alerts"
	"greentally/rules/factors"
	"greentally/rules/indicators"
	"greentally/rules/schemes"
	"greentally/rules/tally"
	"greentally/simulator"
)

// month is simulated from its first instant to its last: 30 days.
var month = greentally.Month{Year: 2026, Month: time.September}

// perCommunity is how many devices a community has.
const perCommunity = 100

// district is some communities, and one that has all their devices.
type district struct {
	communities []*greentally.Community
	whole       *greentally.Community
	registry    *devices.Registry
	indicators  *indicators.Set
	schemes     *schemes.Set
	location    *time.Location
	from, to    time.Time // of the month
	readings    int       // in a store that is filled
}

func newDistrict(b *testing.B, size int) *district {
	b.Helper()
	d, err := loadDistrict(size)
	if err != nil {
		b.Fatal(err)
	}
	return d
}

func loadDistrict(size int) (d *district, err error) {
	var demo greentally.Community
	if _, err := strictyaml.Decode("community.yaml", simulator.DemoCommunity(), &demo); err != nil {
		return nil, err
	}
	files := fstest.MapFS{}
	add := func(c greentally.Community) error {
		text, err := yaml.Dump(c)
		files[c.ID+".yaml"] = &fstest.MapFile{Data: text}
		return err
	}
	whole := demo
	whole.ID, whole.Devices, whole.Households, whole.Population = "whole", nil, 0, 0
	var ids []string
	for size > 0 {
		c := demo
		c.ID = fmt.Sprintf("c%02d", len(ids))
		c.Devices = repeated(demo.Devices, min(size, perCommunity))
		size -= len(c.Devices)
		ids = append(ids, c.ID)
		if err := add(c); err != nil {
			return nil, err
		}
		whole.Households += c.Households
		whole.Population += c.Population
		for _, device := range c.Devices {
			device.ID = idInWhole(c.ID, device.ID)
			whole.Devices = append(whole.Devices, device)
		}
	}
	if err := add(whole); err != nil {
		return nil, err
	}

	d = &district{}
	if d.registry, err = devices.Load(devices.Options{Communities: strictyaml.Folder{Name: "district", FS: files}}); err != nil {
		return nil, err
	}
	types, err := records.LoadTypes(records.Shipped())
	if err != nil {
		return nil, err
	}
	figures, err := factors.Load(factors.Shipped())
	if err != nil {
		return nil, err
	}
	watched, err := alerts.Load(d.registry.Kind, alerts.Shipped())
	if err != nil {
		return nil, err
	}
	known := indicators.Vocabulary{Kind: d.registry.Kind, RecordType: types.Type, Factor: figures.Factor, AlertRule: watched.OfDevices}
	if d.indicators, err = indicators.Load(known, indicators.Shipped()); err != nil {
		return nil, err
	}
	if d.schemes, err = schemes.Load(schemes.Vocabulary{Units: d.indicators.Units(), RecordType: types.Type}, schemes.Shipped()); err != nil {
		return nil, err
	}
	for _, id := range ids {
		c, _ := d.registry.Community(id)
		d.communities = append(d.communities, c)
	}
	d.whole, _ = d.registry.Community(whole.ID)
	d.location, _ = d.registry.Location(whole.ID)
	d.from, d.to = month.First().Start(d.location), month.Next().First().Start(d.location)
	return d, nil
}

// repeated returns n devices: copies of those, from the first one again after the last.
func repeated(of []*greentally.Device, n int) []*greentally.Device {
	all := make([]*greentally.Device, n)
	for i := range all {
		device := *of[i%len(of)]
		if round := i / len(of); round > 0 {
			device.ID = fmt.Sprintf("%s-%d", device.ID, round)
		}
		all[i] = &device
	}
	return all
}

// idInWhole is what a community's device is called in the one that has all.
func idInWhole(community, device string) string { return community + "-" + device }

// simulate lets the communities live through the month, and hands over what their devices
// say, six hours at a time, in the order in which it arrives.
func (d *district) simulate(ctx context.Context, communities []*greentally.Community, take func(until time.Time, some []greentally.Reading) error) ([]*simulator.Simulator, error) {
	var some []greentally.Reading
	var until time.Time
	var failed error
	sink := func(topic string, payload []byte) {
		readings, err := d.registry.Decode(greentally.Message{Topic: topic, Payload: payload, Received: until})
		if err != nil {
			failed = fmt.Errorf("decode a message to %s: %w", topic, err)
		}
		some = append(some, readings...)
	}
	var all []*simulator.Simulator
	for i, c := range communities {
		s, err := simulator.New(ctx, simulator.Options{Community: c, Location: d.location, Start: d.from, Seed: uint64(i + 1), Sink: sink, Batch: 100, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			return nil, fmt.Errorf("simulate community %s: %w", c.ID, err)
		}
		all = append(all, s)
	}
	for until = d.from.Add(6 * time.Hour); !until.After(d.to); until = until.Add(6 * time.Hour) {
		some = some[:0]
		for _, s := range all {
			if err := s.Run(ctx, until.Add(-1)); err != nil {
				return nil, err
			}
		}
		if failed != nil {
			return nil, failed
		}
		slices.SortStableFunc(some, func(a, b greentally.Reading) int { return a.Time.Compare(b.Time) })
		if err := take(until, some); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// fill writes the month's readings to the store, and the records that go with them.
func (d *district) fill(b *testing.B, s greentally.Store) {
	b.Helper()
	begin, n := time.Now(), 0
	simulated, err := d.simulate(b.Context(), d.communities, func(until time.Time, some []greentally.Reading) error {
		n += len(some)
		if days := until.Sub(d.from).Hours() / 24; math.Mod(days, 5) == 0 {
			fmt.Fprintf(os.Stderr, "%s: filled with %d readings of %.0f days in %v\n", b.Name(), n, days, time.Since(begin).Round(time.Second))
		}
		return s.WriteReadings(b.Context(), some)
	})
	if err != nil {
		b.Fatal(err)
	}
	d.readings = n
	var all []greentally.Record
	for i, sim := range simulated {
		for j, r := range sim.Truth().Audits {
			r.ID = fmt.Sprintf("%s-%03d", r.Community, j)
			all = append(all, r)
			if i == 0 {
				r.ID, r.Community = fmt.Sprintf("%s-%03d", d.whole.ID, j), d.whole.ID
				all = append(all, r)
			}
		}
	}
	if err := s.WriteRecords(b.Context(), all); err != nil {
		b.Fatal(err)
	}
}

// copyDays gives the community that has all devices the device-days of the others.
func (d *district) copyDays(b *testing.B, s greentally.Store) {
	b.Helper()
	for _, c := range d.communities {
		days, err := s.DeviceDays(b.Context(), greentally.DeviceDayQuery{Community: c.ID, From: month.First(), To: month.Last()})
		if err != nil {
			b.Fatal(err)
		}
		for i := range days {
			days[i].DeviceKey = greentally.DeviceKey{Community: d.whole.ID, Device: idInWhole(c.ID, days[i].Device)}
		}
		if err := s.WriteDeviceDays(b.Context(), days); err != nil {
			b.Fatal(err)
		}
	}
}

// inputs returns what the days of the first community are tallied from, and how many
// readings these days have.
func (d *district) inputs(b *testing.B) (inputs []tally.Input, readings int) {
	b.Helper()
	c := d.communities[0]
	byDevice := map[string][]greentally.Reading{}
	_, err := d.simulate(b.Context(), []*greentally.Community{c}, func(_ time.Time, some []greentally.Reading) error {
		for _, r := range some {
			byDevice[r.Device] = append(byDevice[r.Device], r)
		}
		readings += len(some)
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	for _, device := range c.Devices {
		kind, _ := d.registry.Kind(device.Kind)
		all := byDevice[device.ID]
		at := func(t time.Time) int {
			i, _ := slices.BinarySearchFunc(all, t, func(r greentally.Reading, t time.Time) int { return r.Time.Compare(t) })
			return i
		}
		for date := month.First(); !month.Last().Before(date); date = date.Add(1) {
			first, last := at(date.Start(d.location))-tally.Context, at(date.Add(1).Start(d.location))+tally.Context
			inputs = append(inputs, tally.Input{Kind: kind, Device: device, Date: date, Location: d.location,
				Readings: all[max(0, first):min(len(all), last)], Collections: c.Collections, Open: c.OpenAt(device.Site)})
		}
	}
	return inputs, readings
}
