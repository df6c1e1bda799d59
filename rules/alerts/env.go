package alerts

import (
	"cmp"
	"math"
	"reflect"
	"slices"
	"time"

	"greentally"
	"greentally/internal/night"
)

// What conditions and texts see. All numbers are in the unit that the quantity's name ends
// in; times are in hours.
type (
	deviceEnv struct {
		ID             string             `expr:"id"`
		Kind           string             `expr:"kind"`
		Site           string             `expr:"site"`
		Stream         string             `expr:"stream"`
		CapacityLitres float64            `expr:"capacity_litres"`
		MaxLoadKg      float64            `expr:"max_load_kg"`
		Lamps          float64            `expr:"lamps"`
		IntervalHours  float64            `expr:"interval_hours"`
		Limits         map[string]float64 `expr:"limits"` // of gauges, the device's own or the kind's

		// BaselineKWh is what its circuit would use in a day without the saving measure; 0 if
		// it has no measured baseline. BaselineW is the power of the lamps that were replaced;
		// 0 if it is not known. Follows says what the hours of light depend on: always or
		// night; empty without a baseline.
		BaselineKWh float64 `expr:"baseline_kwh"`
		BaselineW   float64 `expr:"baseline_w"`
		Follows     string  `expr:"follows"`
	}
	localEnv struct {
		Hour     float64 `expr:"hour"`     // 0 to 24
		Weekday  string  `expr:"weekday"`  // mon … sun
		Daylight bool    `expr:"daylight"` // an hour or more after sunrise and before sunset; false if the latitude is unknown
	}
	collectionEnv struct {
		Planned bool    `expr:"planned"` // whether any is
		Hours   float64 `expr:"hours"`   // to the next
	}
	emptiedEnv struct {
		Hours float64 `expr:"hours"` // since it was emptied, or since it is known
	}
	// partEnv is a quantity of a device-day.
	partEnv struct {
		Rise        float64 `expr:"rise"`
		Deposited   float64 `expr:"deposited"`
		Collected   float64 `expr:"collected"`
		Max         float64 `expr:"max"`
		Mean        float64 `expr:"mean"`
		NeedsReview bool    `expr:"needs_review"`
	}
	dayEnv struct {
		Date         string         `expr:"date"`
		Completeness float64        `expr:"completeness"`
		Faults       map[string]int `expr:"faults"`  // how many, by kind
		Records      map[string]int `expr:"records"` // of the device, of the day or a neighbour, by type
	}
	indicatorEnv struct {
		Name         string  `expr:"name"`
		TitleZH      string  `expr:"title_zh"`
		TitleEN      string  `expr:"title_en"`
		Known        bool    `expr:"known"` // whether there is a value
		Value        float64 `expr:"value"`
		Target       float64 `expr:"target"`
		AtLeast      bool    `expr:"at_least"`   // whether the target is the least
		HasTarget    bool    `expr:"has_target"` // whether there is one
		Missed       bool    `expr:"missed"`     // whether the value misses it
		Completeness float64 `expr:"completeness"`
		Floor        float64 `expr:"floor"`
		Day          float64 `expr:"day"`  // how many days of the month are over
		Days         float64 `expr:"days"` // of the month
		Evidence     bool    `expr:"evidence"`
		Listened     float64 `expr:"listened"` // days in which somebody listened to the devices, in all
	}
)

// env returns the environment that a rule's expressions are compiled against.
func (s *Set) env(r *rule) (env map[string]any, kind *greentally.Kind, ok bool) {
	if r.Indicator != "" {
		return map[string]any{"indicator": indicatorEnv{}}, nil, true
	}
	if r.Kind == anyKind {
		env = map[string]any{"device": deviceEnv{}, "local": localEnv{}, "silent": 0.0, "ahead": 0.0, greentally.Connection: ""}
		for _, name := range common() {
			env[name] = 0.0
		}
		return env, nil, true
	}
	if kind, ok = s.kinds(r.Kind + r.Days); !ok {
		return nil, nil, false
	}
	env = map[string]any{"device": envOfDevice(&greentally.Device{}, kind)}
	numbers := map[string]float64{}
	if r.Days != "" {
		env["day"] = dayEnv{}
		for _, q := range kind.Quantities {
			if q.Nature != greentally.State {
				env[q.Name] = partEnv{}
			}
		}
		return env, kind, true
	}
	for _, q := range kind.Quantities {
		if q.Nature == greentally.State {
			env[q.Name] = ""
			continue
		}
		env[q.Name], numbers[q.Name] = 0.0, 0
	}
	env["before"], env["rate"], env["last_day"], env["coming"] = numbers, numbers, numbers, numbers
	env["local"], env["collection"], env["emptied"] = localEnv{}, collectionEnv{}, emptiedEnv{}
	env["silent"], env["ahead"] = 0.0, 0.0
	return env, kind, true
}

// anyKind stands for all kinds of device.
const anyKind = "any"

// common are the quantities that a rule about any kind can use. It holds those devices
// against it that have them.
func common() []string { return []string{"battery_ratio"} }

// named returns what expressions see as texts see it: under the same names.
func named(env map[string]any) map[string]any {
	all := make(map[string]any, len(env))
	for name, v := range env {
		of := reflect.ValueOf(v)
		if of.Kind() != reflect.Struct {
			all[name] = v
			continue
		}
		members := map[string]any{}
		for i := range of.NumField() {
			members[of.Type().Field(i).Tag.Get("expr")] = of.Field(i).Interface()
		}
		all[name] = members
	}
	return all
}

func envOfDevice(d *greentally.Device, kind *greentally.Kind) deviceEnv {
	env := deviceEnv{ID: d.ID, Kind: d.Kind, Site: d.Site, Stream: string(d.Stream), CapacityLitres: d.CapacityLitres, MaxLoadKg: d.MaxLoadKg,
		Lamps: float64(d.Lamps), IntervalHours: time.Duration(d.Interval).Hours(), Limits: map[string]float64{}}
	if kind != nil {
		for _, q := range kind.Quantities {
			if q.Limit != nil {
				env.Limits[q.Name] = *q.Limit
			}
		}
	}
	for name, limit := range d.Limits {
		env.Limits[name] = limit
	}
	if b := d.Baseline; b != nil {
		env.Follows, env.BaselineW = cmp.Or(b.Follows, "always"), float64(b.Lamps)*b.LampPowerW
		if b.Option == "B" && b.Days > 0 {
			env.BaselineKWh = b.EnergyKWh / b.Days
		}
	}
	return env
}

// localOf tells the local time.
func localOf(at time.Time, c *greentally.Community, loc *time.Location) localEnv {
	l := at.In(loc)
	env := localEnv{Hour: float64(l.Hour()) + float64(l.Minute())/60 + float64(l.Second())/3600,
		Weekday: [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}[l.Weekday()]}
	if c.Latitude != nil {
		// Noon of the sun is off that of the clock by up to an hour and more; the hour that
		// is taken off the day on either side is for that, and for dusk.
		half := 12 - night.Hours(*c.Latitude, greentally.DateOf(at, loc))/2
		env.Daylight = math.Abs(env.Hour-12) <= half-1
	}
	return env
}

// nextCollection tells when the bin will be emptied next. The answer is remembered until
// then: readings come in order, give or take a few.
func (p *place) nextCollection(at time.Time) collectionEnv {
	if at.Before(p.nextFrom) || !at.Before(p.nextTo) {
		found := nextCollection(at, p.device, p.community, p.location)
		p.next, p.nextFrom, p.nextTo = time.Time{}, at, at.Add(24*time.Hour)
		if found.Planned {
			p.next = at.Add(time.Duration(math.Round(found.Hours * float64(time.Hour))))
			p.nextTo = p.next
		}
	}
	if p.next.IsZero() {
		return collectionEnv{}
	}
	return collectionEnv{true, p.next.Sub(at).Hours()}
}

// nextCollection tells when the bin will be emptied next.
func nextCollection(at time.Time, d *greentally.Device, c *greentally.Community, loc *time.Location) collectionEnv {
	var next time.Time
	today := greentally.DateOf(at, loc)
	for _, plan := range c.Collections {
		if !slices.Contains(plan.Streams, d.Stream) {
			continue
		}
		found := false // the first day that has one has the plan's next
		for n := 0; n < 8 && !found; n++ {
			date := today.Add(n)
			if len(plan.Days) > 0 && !slices.Contains(plan.Days, localOf(date.Start(loc), c, loc).Weekday) {
				continue
			}
			for _, text := range plan.At {
				clock, err := time.Parse("15:04", text)
				if err != nil {
					continue
				}
				when := time.Date(date.Year, date.Month, date.Day, clock.Hour(), clock.Minute(), 0, 0, loc)
				if !when.After(at) {
					continue
				}
				found = true
				if next.IsZero() || when.Before(next) {
					next = when
				}
			}
		}
	}
	if next.IsZero() {
		return collectionEnv{}
	}
	return collectionEnv{true, next.Sub(at).Hours()}
}

// envOfDeviceDay is what rules about device-days see.
func envOfDeviceDay(d *greentally.DeviceDay, device deviceEnv, records []greentally.Record) map[string]any {
	day := dayEnv{Date: d.Date.String(), Completeness: d.Completeness(), Faults: map[string]int{}, Records: map[string]int{}}
	for _, f := range d.Faults {
		day.Faults[string(f.Kind)]++
	}
	for _, r := range records {
		if r.Device == d.Device && !d.Date.Add(1).Before(r.Date) && !r.Last().Before(d.Date.Add(-1)) {
			day.Records[r.Type]++
		}
	}
	env := map[string]any{"device": device, "day": day}
	for q, g := range d.Gauges {
		env[q] = partEnv{Max: g.Max.Float(), Mean: g.Mean.Float()}
	}
	for q, m := range d.Masses {
		env[q] = partEnv{Deposited: m.Deposited.Float(), Collected: m.Collected.Float(), Max: m.Max.Float()}
	}
	for q, r := range d.Registers {
		env[q] = partEnv{Rise: r.Rise.Float(), NeedsReview: r.Evidence == greentally.NeedsReview}
	}
	return env
}

// envOfIndicator is what rules about indicators see, when so many days of its month are
// over, and greentally has listened for so long in all.
func envOfIndicator(v *greentally.IndicatorValue, over int, listened time.Duration) map[string]any {
	env := indicatorEnv{Name: v.Indicator, TitleZH: v.Title.In("zh"), TitleEN: v.Title.In("en"), Known: v.Value != nil, Completeness: v.Completeness, Floor: v.Floor,
		Day: float64(over), Days: float64(v.Month.Last().Day), Listened: listened.Hours() / 24}
	for _, in := range v.Inputs {
		env.Evidence = env.Evidence || len(in.Devices)+len(in.Records) > 0
	}
	if v.Value != nil {
		env.Value = *v.Value
	}
	if t := v.Target; t != nil {
		env.HasTarget = true
		switch {
		case t.AtLeast != nil:
			env.Target, env.AtLeast = *t.AtLeast, true
			env.Missed = env.Known && env.Value < env.Target
		case t.AtMost != nil:
			env.Target = *t.AtMost
			env.Missed = env.Known && env.Value > env.Target
		}
	}
	return map[string]any{"indicator": env}
}
