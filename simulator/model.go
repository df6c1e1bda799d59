package simulator

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	_ "embed"

	"greentally"
)

//go:embed community.yaml
var demoCommunity []byte

// DemoCommunity returns the YAML file of the demo's community.
func DemoCommunity() []byte { return demoCommunity }

// reading is what a device says at an instant.
type reading struct {
	at     time.Time
	values []greentally.Value // in the order of the device's kind
}

// device is one device of the model.
type device struct {
	*greentally.Device
	random   *rand.Rand
	interval time.Duration
	next     time.Time // of its next reading
	now      time.Time // up to where its world has advanced
	today    *Day      // of now
	midnight time.Time // when that day ends
	world    world
}

// world is the true state of what a device measures.
type world interface {
	// step advances by one minute that ends at t.
	step(t time.Time, day *Day)
	// read returns what the device would say at t.
	read(t time.Time) []greentally.Value
}

// model is a community in virtual time.
type model struct {
	community *greentally.Community
	location  *time.Location
	start     time.Time
	devices   []*device
	truth     *Truth
}

// newModel makes a community that begins at start, which is the first instant of a
// local day.
func newModel(community *greentally.Community, location *time.Location, start time.Time, seed uint64) (*model, error) {
	m := &model{community: community, location: location, start: start,
		truth: &Truth{Community: community.ID, Seed: seed, From: start, To: start, Days: map[string]*Day{}}}
	bins := map[greentally.Stream]int{}
	for _, d := range community.Devices {
		if d.Kind == "sorting_bin" {
			bins[d.Stream]++
		}
	}
	boxes, meters := 0, 0
	for _, d := range community.Devices {
		switch d.Kind {
		case "battery_box":
			boxes++
		case "water_meter":
			meters++
		}
	}
	population := float64(community.Population)
	if population == 0 {
		population = 3.06 * float64(community.Households)
	}
	var errs []error
	for _, d := range community.Devices {
		h := fnv.New64a()
		h.Write([]byte(d.ID))
		random := rand.New(rand.NewPCG(seed, h.Sum64()))
		one := &device{Device: d, random: random, interval: time.Duration(d.Interval), now: start}
		if one.interval == 0 {
			one.interval = 10 * time.Minute
		}
		one.next = start.Add(time.Duration(random.Int64N(int64(one.interval/time.Second))) * time.Second)
		switch d.Kind {
		case "sorting_bin":
			one.world = newBin(d, location, community, population/float64(bins[d.Stream]), random)
		case "battery_box":
			one.world = newBatteryBox(d, location, float64(community.Households)/float64(boxes), random)
		case "lighting_meter":
			one.world = newLighting(d, location, random)
		case "water_meter":
			one.world = newWater(location, population/float64(meters), random)
		case "oil_drum":
			one.world = newOilDrum(d, location, random)
		default:
			errs = append(errs, fmt.Errorf("device %s: the simulator has no model of the kind %q", d.ID, d.Kind))
		}
		m.devices = append(m.devices, one)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	// Begin in the middle of life: the day before happens, but nobody keeps account.
	account := m.truth
	m.truth = &Truth{Days: map[string]*Day{}}
	for _, d := range m.devices {
		d.now = start.Add(-24 * time.Hour)
		m.advance(d, start)
		d.midnight = time.Time{}
	}
	m.truth = account
	return m, nil
}

// readings advances the device to until, and calls yield for each reading before it.
func (m *model) readings(d *device, until time.Time, yield func(reading)) {
	for !d.next.After(until) {
		m.advance(d, d.next)
		yield(reading{d.next, d.world.read(d.next)})
		d.next = d.next.Add(d.interval)
	}
	m.advance(d, until)
}

func (m *model) advance(d *device, until time.Time) {
	for {
		t := d.now.Add(time.Minute)
		if t.After(until) {
			return
		}
		if !d.now.Before(d.midnight) { // the minute belongs to the day in which it begins
			date := greentally.DateOf(d.now, m.location)
			d.today, d.midnight = m.truth.day(date), date.Add(1).Start(m.location)
		}
		d.world.step(t, d.today)
		d.now = t
		if t.After(m.truth.To) {
			m.truth.To = t
		}
	}
}

// poisson draws how many events happen when rate of them are expected.
func poisson(r *rand.Rand, rate float64) int {
	n := 0
	for p, limit := r.Float64(), math.Exp(-rate); p > limit; p *= r.Float64() {
		n++
	}
	return n
}

// round rounds to a resolution, and then to a millionth, as short decimals are sent.
func round(v, resolution float64) float64 {
	if resolution > 0 {
		v = math.Round(v/resolution) * resolution
	}
	return math.Round(v*1e6) / 1e6
}

// minuteOfDay returns the local minute in which t lies.
func minuteOfDay(t time.Time, loc *time.Location) int {
	l := t.In(loc)
	return l.Hour()*60 + l.Minute()
}

// dropShape is how the day's drops are spread over its minutes, with mean 1: peaks at
// 6:30–8:30 and 17:30–20:30, little at night.
func dropShape(minute int) float64 {
	switch {
	case minute >= 6*60+30 && minute < 8*60+30, minute >= 17*60+30 && minute < 20*60+30:
		return 3.4
	case minute < 6*60 || minute >= 23*60:
		return 0.05
	}
	return 0.53
}

// outdoors is the air temperature, °C.
func outdoors(t time.Time, loc *time.Location) float64 {
	l := t.In(loc)
	year := -math.Cos(2 * math.Pi * float64(l.YearDay()-20) / 365)
	day := -math.Cos(2 * math.Pi * (float64(minuteOfDay(t, loc)) - 180) / 1440)
	return 17 + 12*year + 4*day
}

// scale is a load cell with white noise, a drift with temperature, and a resolution.
type scale struct {
	resolution, noise, drift float64 // kg, kg, kg/K
	random                   *rand.Rand
}

func newScale(d *greentally.Device, random *rand.Rand) scale {
	resolution := d.ScaleResolutionKg
	if resolution == 0 {
		resolution = 0.1
	}
	load := d.MaxLoadKg
	if load == 0 {
		load = 1000 * resolution
	}
	return scale{resolution: resolution, noise: 0.35 * resolution, drift: 0.00003 * load * random.NormFloat64(), random: random}
}

func (s *scale) weigh(kg, celsius float64) float64 {
	return round(kg+s.noise*s.random.NormFloat64()+s.drift*(celsius-17), s.resolution)
}

// battery is the charge of a device that lasts for years.
type battery struct{ full, perDay float64 }

func newBattery(random *rand.Rand) battery {
	return battery{full: 0.7 + 0.3*random.Float64(), perDay: 1.0 / (365 * 4)}
}

func (b battery) ratio(days float64) float64 { return round(max(0.05, b.full-b.perDay*days), 0.01) }

// Habits of the residents, by stream. Generation is 0.23 kg per person and day
// (113 households in Beijing).
var habits = map[greentally.Stream]struct {
	share      float64 // of what a person generates
	drop       float64 // mean mass of a drop, kg
	density    float64 // kg per litre in the bin
	recyclable float64 // mean share of recyclables in a drop
}{
	greentally.Recyclable: {0.240, 0.50, 0.052, 0.95},
	greentally.Hazardous:  {0.0006, 0.06, 0.20, 0},
	greentally.Food:       {0.520, 0.80, 0.60, 0.004},
	greentally.Residual:   {0.2394, 0.70, 0.155, 0.025},
}

const generation = 0.23 // kg per person and day

// bin is a sorting bin.
type bin struct {
	*greentally.Device
	loc        *time.Location
	random     *rand.Rand
	scale      scale
	battery    battery
	people     float64
	density    float64
	fillBias   float64
	limit      float64
	kg         float64 // in it
	recyclable float64 // of these, recyclables
	openings   int
	open       []greentally.OpenHours // in which its site is open; none if always
	born       time.Time
	plan       []time.Time     // collections still to come, in time order
	planned    greentally.Date // day up to which collections are planned
	rounds     []greentally.Collection
}

func newBin(d *greentally.Device, loc *time.Location, c *greentally.Community, people float64, random *rand.Rand) *bin {
	b := &bin{Device: d, loc: loc, random: random, scale: newScale(d, random), battery: newBattery(random), people: people, open: c.OpenAt(d.Site),
		density: habits[d.Stream].density * (0.93 + 0.14*random.Float64()), fillBias: 0.004 * random.NormFloat64(), limit: 0.9}
	if own, ok := d.Limits["fill_ratio"]; ok {
		b.limit = own
	}
	for _, c := range c.Collections {
		for _, stream := range c.Streams {
			if stream == d.Stream {
				b.rounds = append(b.rounds, c)
			}
		}
	}
	return b
}

var weekdays = map[string]time.Weekday{"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}

// plans plans the collections of the local day of t. One in seventy is missed; they
// come up to 40 minutes late.
func (b *bin) plans(t time.Time) {
	date := greentally.DateOf(t, b.loc)
	if b.planned == date {
		return
	}
	b.planned = date
	weekday := date.Start(b.loc).In(b.loc).Weekday()
	for _, c := range b.rounds {
		wanted := len(c.Days) == 0
		for _, day := range c.Days {
			wanted = wanted || weekdays[day] == weekday
		}
		for _, at := range c.At {
			clock, err := time.Parse("15:04", at)
			missed, late := b.random.IntN(70) == 0, time.Duration(b.random.IntN(40))*time.Minute
			if err != nil || !wanted || missed {
				continue
			}
			l := date.Start(b.loc).In(b.loc)
			b.plan = append(b.plan, time.Date(l.Year(), l.Month(), l.Day(), clock.Hour(), clock.Minute(), 0, 0, b.loc).Add(late))
		}
	}
}

func (b *bin) step(t time.Time, day *Day) {
	if b.born.IsZero() {
		b.born = t
	}
	b.plans(t.Add(-time.Minute))
	h := habits[b.Stream]
	rate := b.people * generation * h.share / h.drop / 1440 * dropShape(minuteOfDay(t.Add(-time.Minute), b.loc))
	if wd := t.In(b.loc).Weekday(); wd == time.Saturday || wd == time.Sunday {
		rate *= 1.15
	}
	drops := poisson(b.random, rate)
	if len(b.open) > 0 {
		day.Openings += drops
		if !slices.ContainsFunc(b.open, func(o greentally.OpenHours) bool {
			minute := time.Duration(minuteOfDay(t.Add(-time.Minute), b.loc)) * time.Minute
			return o.From <= minute && minute < o.To
		}) {
			day.OutOfHours += drops
		}
	}
	for range drops {
		kg := h.drop * (0.4 + 0.6*b.random.ExpFloat64())
		b.kg += kg
		b.recyclable += kg * min(1, h.recyclable*(0.9+0.2*b.random.Float64()))
		b.openings++
		day.DepositedKg[b.Stream] += kg
	}
	held := day.held(b.ID)
	held.Max = max(held.Max, b.kg)
	for len(b.plan) > 0 && !t.Before(b.plan[0]) {
		b.plan = b.plan[1:]
		left := b.kg * 0.01 * b.random.Float64()
		taken := b.kg - left
		if b.kg > 0 {
			day.CollectedRecyclableKg[b.Stream] += b.recyclable * taken / b.kg
			b.recyclable *= left / b.kg
		}
		day.CollectedKg[b.Stream] += taken
		b.kg = left
		if taken > 0 {
			held.Emptied++
		}
	}
	day.BinMinutes++
	if b.fill() >= b.limit {
		day.FullMinutes++
	}
}

func (b *bin) fill() float64 {
	if b.CapacityLitres == 0 {
		return 0
	}
	return min(1.2, b.kg/b.density/b.CapacityLitres)
}

func (b *bin) read(t time.Time) []greentally.Value {
	celsius := outdoors(t, b.loc) + 2
	// An ultrasonic sensor in the lid: some error of the distance, some of the
	// temperature that it does not know.
	fill := b.fill() + b.fillBias + 0.004*b.random.NormFloat64()
	return []greentally.Value{
		{Quantity: "battery_ratio", Number: b.battery.ratio(t.Sub(b.born).Hours() / 24)},
		{Quantity: "fill_ratio", Number: round(min(1, max(0, fill)), 0.001)},
		{Quantity: "lid_openings", Number: float64(b.openings)},
		{Quantity: "mass_kg", Number: b.scale.weigh(b.kg, celsius)},
		{Quantity: "temperature_celsius", Number: round(celsius+0.3*b.random.NormFloat64(), 0.1)},
	}
}

// batteryBox collects used batteries; somebody empties it once a month.
type batteryBox struct {
	*greentally.Device
	loc        *time.Location
	random     *rand.Rand
	scale      scale
	battery    battery
	households float64
	kg         float64
	born       time.Time
}

func newBatteryBox(d *greentally.Device, loc *time.Location, households float64, random *rand.Rand) *batteryBox {
	return &batteryBox{Device: d, loc: loc, random: random, scale: newScale(d, random), battery: newBattery(random), households: households}
}

// cells are the masses of common batteries, kg, and how common they are.
var cells = []struct{ kg, share float64 }{{0.023, 0.5}, {0.0115, 0.33}, {0.066, 0.06}, {0.141, 0.04}, {0.046, 0.04}, {0.003, 0.03}}

func (b *batteryBox) step(t time.Time, day *Day) {
	if b.born.IsZero() {
		b.born = t
	}
	// One household in 1,050 comes on a day, with a handful of cells.
	for range poisson(b.random, b.households/1050/1440*dropShape(minuteOfDay(t.Add(-time.Minute), b.loc))) {
		for range 1 + b.random.IntN(6) {
			p := b.random.Float64()
			for _, cell := range cells {
				if p -= cell.share; p <= 0 {
					b.kg += cell.kg
					day.BatteriesKg += cell.kg
					break
				}
			}
		}
	}
	if l := t.In(b.loc); l.Day() == 15 && l.Hour() == 10 && l.Minute() == 0 {
		b.kg = 0
	}
}

func (b *batteryBox) read(t time.Time) []greentally.Value {
	celsius := outdoors(t, b.loc)
	capacity := b.CapacityLitres
	if capacity == 0 {
		capacity = 20
	}
	return []greentally.Value{
		{Quantity: "battery_ratio", Number: b.battery.ratio(t.Sub(b.born).Hours() / 24)},
		{Quantity: "fill_ratio", Number: round(min(1, b.kg/1.5/capacity), 0.01)},
		{Quantity: "mass_kg", Number: b.scale.weigh(b.kg, celsius)},
		{Quantity: "temperature_celsius", Number: round(celsius+0.3*b.random.NormFloat64(), 0.1)},
	}
}

// lighting is a lighting circuit with its meter: in a corridor it is lit from sunset to
// sunrise, in a lift car when somebody is there.
type lighting struct {
	*greentally.Device
	loc      *time.Location
	random   *rand.Rand
	watts    float64 // lit
	standby  float64
	car      bool
	lit      bool
	kwh      float64 // true, since the beginning
	hours    float64
	offset   float64 // what the register showed at the beginning; below 0 after a reset
	start    float64 // hours shown at the beginning
	duskDawn map[greentally.Date][2]int
}

func newLighting(d *greentally.Device, loc *time.Location, random *rand.Rand) *lighting {
	l := &lighting{Device: d, loc: loc, random: random, offset: round(20000*random.Float64(), 0.01), start: round(30000*random.Float64(), 0.01),
		duskDawn: map[greentally.Date][2]int{}}
	lamps := float64(d.Lamps)
	if lamps == 0 {
		lamps = 4
	}
	l.car = d.Baseline != nil && d.Baseline.Option == "B"
	l.watts, l.standby = lamps*18*(0.98+0.04*random.Float64()), 0.5
	if l.car {
		l.watts = lamps * 6 * (0.98 + 0.04*random.Float64())
	}
	return l
}

// latitude is Shanghai's, in degrees.
const latitude = 31.2

// night returns the minutes of the day at which the sun sets and rises, by the usual
// declination formula; clocks and the equation of time are ignored.
func night(date greentally.Date, loc *time.Location) (sunset, sunrise int) {
	day := float64(date.Start(loc).In(loc).YearDay())
	declination := 23.44 * math.Pi / 180 * math.Sin(2*math.Pi*(284+day)/365)
	half := math.Acos(-math.Tan(latitude*math.Pi/180)*math.Tan(declination)) / math.Pi * 720 // minutes
	return 12*60 + int(half), 12*60 - int(half)
}

func (l *lighting) step(t time.Time, day *Day) {
	begin := t.Add(-time.Minute)
	minute := minuteOfDay(begin, l.loc)
	if l.car {
		l.lit = l.random.Float64() < min(0.9, 0.12+0.22*dropShape(minute))
	} else {
		date := greentally.DateOf(begin, l.loc)
		times, ok := l.duskDawn[date]
		if !ok {
			sunset, sunrise := night(date, l.loc)
			times = [2]int{sunset, sunrise}
			l.duskDawn[date] = times
		}
		l.lit = minute >= times[0] || minute < times[1]
	}
	used := l.standby / 60_000
	if l.lit {
		used += l.watts / 60_000
		l.hours += 1.0 / 60
	}
	l.kwh += used
	b := l.Baseline
	if b == nil {
		return
	}
	switch b.Option {
	case "A":
		day.UsedKWh += used
		if l.lit {
			day.BaselineKWh += float64(b.Lamps) * b.LampPowerW / 60_000
		}
	case "B":
		day.UsedKWh += used
		day.BaselineKWh += b.EnergyKWh / b.Days / 1440
	}
}

// modulus is where the meter's register starts again at 0, kWh (DL/T 645).
const modulus = 1e6

// reset sets the meter's register to 0.
func (l *lighting) reset() { l.offset = -l.kwh }

// nearWrap sets the register to a little less than its modulus.
func (l *lighting) nearWrap() { l.offset = modulus - 4.5 - l.kwh }

// shown is what the registers show.
func (l *lighting) shown() (kwh, hours float64) {
	return floor(math.Mod(l.offset+l.kwh, modulus), 0.01), floor(l.start+l.hours, 0.01)
}

// replace puts another meter in the place of this one, and returns what is attested.
func (l *lighting) replace(at time.Time, location *time.Location) greentally.Record {
	kwh, hours := l.shown()
	l.offset, l.start = 0.35-l.kwh, 0.5-l.hours
	newKWh, newHours := l.shown()
	return greentally.Record{
		Community: l.Community, Type: greentally.MeterReplaced, Date: greentally.DateOf(at, location), At: &at, Device: l.ID, By: "simulator", Why: "meter replaced",
		Values: greentally.Values{"energy_kwh_end": kwh, "energy_kwh_start": newKWh, "operating_hours_end": hours, "operating_hours_start": newHours},
	}
}

func (l *lighting) read(time.Time) []greentally.Value {
	kwh, hours := l.shown()
	power, word := l.standby, "off"
	if l.lit {
		power, word = l.standby+l.watts, "on"
	}
	return []greentally.Value{
		{Quantity: "energy_kwh", Number: kwh},
		{Quantity: "light", State: word},
		{Quantity: "operating_hours", Number: hours},
		{Quantity: "power_w", Number: round(power*(1+0.005*l.random.NormFloat64()), 0.1)},
	}
}

// floor is what a register shows: it moves on when the next digit is full.
func floor(v, resolution float64) float64 {
	return round(math.Floor(v/resolution+1e-9)*resolution, 0)
}

// water is a water meter.
type water struct {
	loc     *time.Location
	random  *rand.Rand
	battery battery
	people  float64
	m3      float64
	born    time.Time
}

func newWater(loc *time.Location, people float64, random *rand.Rand) *water {
	return &water{loc: loc, random: random, battery: newBattery(random), people: people, m3: 5000 * random.Float64()}
}

func (w *water) step(t time.Time, _ *Day) {
	if w.born.IsZero() {
		w.born = t
	}
	// 120 litres per person and day.
	w.m3 += w.people * 0.120 / 1440 * dropShape(minuteOfDay(t.Add(-time.Minute), w.loc)) * (0.8 + 0.4*w.random.Float64())
}

func (w *water) read(t time.Time) []greentally.Value {
	return []greentally.Value{
		{Quantity: "battery_ratio", Number: w.battery.ratio(t.Sub(w.born).Hours() / 24)},
		{Quantity: "volume_m3", Number: floor(w.m3, 0.001)},
	}
}

// oilDrum collects the used oil of a kitchen; it is fetched once a month.
type oilDrum struct {
	*greentally.Device
	loc     *time.Location
	random  *rand.Rand
	scale   scale
	battery battery
	kg      float64
	born    time.Time
}

func newOilDrum(d *greentally.Device, loc *time.Location, random *rand.Rand) *oilDrum {
	return &oilDrum{Device: d, loc: loc, random: random, scale: newScale(d, random), battery: newBattery(random)}
}

func (o *oilDrum) step(t time.Time, _ *Day) {
	if o.born.IsZero() {
		o.born = t
	}
	l := t.In(o.loc)
	if (l.Hour() == 14 || l.Hour() == 20) && l.Minute() == 0 {
		o.kg += 0.3 + 0.6*o.random.Float64()
	}
	if l.Day() == 20 && l.Hour() == 15 && l.Minute() == 30 {
		o.kg = 0
	}
}

func (o *oilDrum) read(t time.Time) []greentally.Value {
	celsius := outdoors(t, o.loc)
	capacity := o.CapacityLitres
	if capacity == 0 {
		capacity = 60
	}
	return []greentally.Value{
		{Quantity: "battery_ratio", Number: o.battery.ratio(t.Sub(o.born).Hours() / 24)},
		{Quantity: "fill_ratio", Number: round(min(1, o.kg/0.9/capacity), 0.01)},
		{Quantity: "mass_kg", Number: o.scale.weigh(o.kg, celsius)},
		{Quantity: "temperature_celsius", Number: round(celsius, 0.1)},
	}
}
