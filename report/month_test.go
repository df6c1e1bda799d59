package report_test

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"go.yaml.in/yaml/v4"

	"greentally"
	"greentally/devices"
	"greentally/internal/strictyaml"
	"greentally/records"
	"greentally/report"
	"greentally/rules"
	"greentally/rules/alerts"
	"greentally/rules/factors"
	"greentally/rules/indicators"
	"greentally/rules/schemes"
	"greentally/simulator"
	"greentally/store/memory"
)

var (
	china   = time.FixedZone("CST", 8*60*60)
	october = greentally.Month{Year: 2026, Month: time.October}
)

// built is the month that all tests write; it is simulated once.
var built struct {
	once   sync.Once
	export *report.Export
}

// month is a community's October: a part of the demo's devices, with what its people attest.
// Two devices are silent for some days. A test may put other things into it.
func month(t testing.TB) *report.Export {
	t.Helper()
	built.once.Do(func() { built.export = simulated(t) })
	if built.export == nil {
		t.Fatal("another test could not build the month")
	}
	e := *built.export
	e.Community.Devices = slices.Clone(e.Community.Devices)
	e.Indicators, e.Assessments, e.Records, e.Alerts = slices.Clone(e.Indicators), slices.Clone(e.Assessments), slices.Clone(e.Records), slices.Clone(e.Alerts)
	for i := range e.Assessments {
		e.Assessments[i].Items = slices.Clone(e.Assessments[i].Items)
	}
	e.Days, e.Earlier, e.Workings = slices.Clone(e.Days), slices.Clone(e.Earlier), slices.Clone(e.Workings)
	return &e
}

func simulated(t testing.TB) *report.Export {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	registry := community(t)
	types, err := records.LoadTypes(records.Shipped())
	must(err)
	figures, err := factors.Load(factors.Shipped())
	must(err)
	watched, err := alerts.Load(registry.Kind, alerts.Shipped())
	must(err)
	rates, err := indicators.Load(indicators.Vocabulary{Kind: registry.Kind, RecordType: types.Type, Factor: figures.Factor, AlertRule: watched.OfDevices}, indicators.Shipped())
	must(err)
	certification, err := schemes.Load(schemes.Vocabulary{Units: rates.Units(), RecordType: types.Type}, schemes.Shipped())
	must(err)

	c, _ := registry.Community("jiayuan")
	store := &memory.Store{}
	engine := alerts.NewEngine(watched, registry)
	start, end := october.First().Add(-2).Start(china), october.Next().First().Start(china)
	var readings []greentally.Reading
	served := *c // by the devices that are left
	served.Households, served.Population = c.Households/4, c.Population/4
	sim, err := simulator.New(t.Context(), simulator.Options{
		Community: &served, Location: china, Start: start, Seed: 1, Batch: 36, Log: slog.New(slog.DiscardHandler),
		Sink: func(topic string, payload []byte) {
			some, err := registry.Decode(greentally.Message{Topic: topic, Payload: slices.Clone(payload), Received: end.AddDate(0, 0, 3)})
			if err != nil {
				t.Error(err)
			}
			readings = append(readings, some...)
		},
	})
	must(err)
	must(sim.Run(t.Context(), end.Add(6*time.Hour)))
	silent := map[string]greentally.Period{
		"battery-west": {From: &greentally.Date{Year: 2026, Month: time.October, Day: 11}, Until: &greentally.Date{Year: 2026, Month: time.October, Day: 16}},
		"e1-l1-light":  {From: &greentally.Date{Year: 2026, Month: time.October, Day: 20}, Until: &greentally.Date{Year: 2026, Month: time.October, Day: 21}},
	}
	readings = slices.DeleteFunc(readings, func(r greentally.Reading) bool {
		p, has := silent[r.Device]
		date := greentally.DateOf(r.Time, china)
		return has && !date.Before(*p.From) && !p.Until.Before(date)
	})
	slices.SortStableFunc(readings, func(a, b greentally.Reading) int { return a.Time.Compare(b.Time) })
	var fired []greentally.Alert
	for _, r := range readings {
		changed, err := engine.See(r.Time, r)
		must(err)
		fired = append(fired, changed...)
	}
	attested := attested(sim.Truth().Audits)
	for _, r := range attested {
		must(errors.Join(types.Validate(r), certification.Accept(r)))
	}
	must(errors.Join(store.WriteReadings(t.Context(), readings), store.WriteAlerts(t.Context(), fired), store.WriteRecords(t.Context(), attested)))

	made := time.Date(2026, 11, 1, 6, 0, 0, 0, china)
	worker := rules.Worker{Store: store, Registry: func() rules.Registry { return registry }, Indicators: rates,
		Now: func() time.Time { return made }, Log: slog.New(slog.DiscardHandler)}
	var touches []rules.Touch
	for _, d := range c.Devices {
		touches = append(touches, rules.Touch{DeviceKey: d.Key(), From: start, To: end})
	}
	must(worker.Apply(t.Context(), touches))
	evidence, err := worker.Evidence(t.Context(), c.ID, october, made)
	must(err)
	e := &report.Export{Community: *c, Month: october, Through: october.Last(), AsOf: evidence.Through, Made: made.UTC(), Version: "greentally 1.0.0",
		Records: evidence.Records, Alerts: evidence.Alerts, Days: evidence.Days, Types: types.All()}
	e.Indicators, e.Workings = rates.Workings(evidence)
	e.Assessments, err = certification.Assess(schemes.Evidence{Community: c, Month: october, Indicators: e.Indicators, Records: e.Records})
	must(err)
	for _, name := range []string{"sorting_bin", "battery_box", "lighting_meter"} {
		kind, _ := registry.Kind(name)
		e.Kinds = append(e.Kinds, *kind)
	}
	e.Earlier = earlier(e.Indicators)
	return e
}

// community is the seed's: 5,600 households. Of the demo's devices it has those of one
// stairwell and one lift of each estate; they speak every 20 minutes.
func community(t testing.TB) *devices.Registry {
	t.Helper()
	var c greentally.Community
	if _, err := strictyaml.Decode("community.yaml", simulator.DemoCommunity(), &c); err != nil {
		t.Fatal(err)
	}
	c.Devices = slices.DeleteFunc(c.Devices, func(d *greentally.Device) bool {
		return strings.Contains(d.Site, "-") && strings.ContainsAny(d.Site[len(d.Site)-1:], "234")
	})
	for _, d := range c.Devices {
		d.Interval = greentally.Duration(20 * time.Minute)
	}
	text, err := yaml.Dump(c)
	if err != nil {
		t.Fatal(err)
	}
	registry, err := devices.Load(devices.Options{Communities: strictyaml.Folder{Name: "test", FS: fstest.MapFS{"jiayuan.yaml": {Data: text}}}})
	if err != nil {
		t.Fatal(err)
	}
	return registry
}

// attested is what people attest of the month.
func attested(audits []greentally.Record) (all []greentally.Record) {
	add := func(r greentally.Record) {
		r.ID = fmt.Sprintf("01K8GTA%019d", len(all))
		r.Community, r.By, r.Recorded = "jiayuan", "李娜", r.Date.Start(china).Add(10*time.Hour).UTC()
		all = append(all, r)
	}
	for _, r := range audits {
		add(r)
	}
	at := func(day, hour int) *time.Time {
		t := time.Date(2026, 10, day, hour, 0, 0, 0, china).UTC()
		return &t
	}
	on := func(day int) greentally.Date { return greentally.Date{Year: 2026, Month: time.October, Day: day} }
	add(greentally.Record{Type: "survey", Date: on(18), Values: greentally.Values{"asked": 200, "aware": 180, "satisfied": 171}, Why: "入户问卷 200 份，见附件"})
	add(greentally.Record{Type: "lamps_handed_out", Date: on(12), Values: greentally.Values{"lamps": 200}, Why: "LED 节能灯，发放登记表"})
	add(greentally.Record{Type: "participation", Date: on(19), Values: greentally.Values{"households": 5600, "taking_part": 4704}})
	add(greentally.Record{Type: "haul_ticket", Date: on(6), Stream: greentally.Recyclable, Values: greentally.Values{"kg": 1260.5}, Texts: map[string]string{"carrier": "绿源再生", "destination": "虹口分拣中心", "treatment": "recycling"}})
	add(greentally.Record{Type: "haul_ticket", Date: on(7), Stream: greentally.Food, Values: greentally.Values{"kg": 5210}, Texts: map[string]string{"carrier": "环卫二队", "destination": "湿垃圾厂", "treatment": "composting"}})
	add(greentally.Record{Type: "haul_ticket", Date: on(7), Stream: greentally.Residual, Values: greentally.Values{"kg": 7340}, Texts: map[string]string{"carrier": "环卫二队", "destination": "老港", "treatment": "incineration"}})
	add(greentally.Record{Type: "complaint", Date: on(9), At: at(9, 8), End: at(9, 11), Texts: map[string]string{"about": "3号楼桶满"}})
	add(greentally.Record{Type: "activity", Date: on(17), Values: greentally.Values{"participants": 85}, Texts: map[string]string{"title": "废旧电池回收宣传日"}})
	add(greentally.Record{Type: "inspection", Date: on(9), Item: "neimenggu/archive", Values: greentally.Values{"incomplete": 2}})
	add(greentally.Record{Type: greentally.Judgement, Date: on(30), Item: "putuo_monthly/monthly_score", Values: greentally.Values{"points": 96}, Why: "区分类办月度检查"})
	return all
}

// earlier is what the three months before came to: a little less each.
func earlier(now []greentally.IndicatorValue) (all []greentally.IndicatorValue) {
	for back := 3; back >= 1; back-- {
		for _, v := range now {
			v.Month = greentally.Month{Year: 2026, Month: time.Month(10 - back)}
			if v.Value != nil {
				less := *v.Value * (1 - 0.03*float64(back))
				v.Value = &less
			}
			all = append(all, v)
		}
	}
	return all
}
