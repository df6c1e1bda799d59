package devices

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"time"

	"greentally"
	"greentally/internal/strictyaml"
)

// What a community's file leaves out.
const (
	defaultTimeZone     = "Asia/Shanghai"
	defaultInterval     = 10 * time.Minute
	defaultResolutionKg = 0.1
)

// The intervals that devices can report in.
const (
	minInterval = 10 * time.Second
	maxInterval = 24 * time.Hour
)

// loadCommunities reads the communities' files, by id.
func (r *Registry) loadCommunities(folder strictyaml.Folder, complete bool) (all []*community, errs []error) {
	names, contents, err := folder.Files()
	if err != nil {
		errs = append(errs, err)
	}
	docs := map[*greentally.Community]*strictyaml.Doc{}
	byID := map[string]*community{}
	for _, file := range names {
		c := &community{Community: &greentally.Community{}, file: file}
		doc, err := strictyaml.Decode(file, contents[file], c.Community)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		p := problems{doc: doc}
		c.location = r.checkCommunity(c.Community, complete, p.add)
		if before := byID[c.ID]; before != nil {
			p.add([]any{"community"}, "community %s is already in %s", c.ID, before.file)
		} else {
			byID[c.ID] = c
			all = append(all, c)
		}
		errs = append(errs, p.errs...)
		docs[c.Community] = doc
	}
	r.duplicateRoutes(all, func(d *greentally.Device, format string, args ...any) {
		c := byID[d.Community]
		errs = append(errs, docs[c.Community].Errorf([]any{"devices", slices.Index(c.Devices, d), "address"}, format, args...))
	})
	slices.SortFunc(all, func(a, b *community) int { return cmp.Compare(a.ID, b.ID) })
	return all, errs
}

// checkCommunity checks a community and sets what it leaves out. It returns the time
// zone.
func (r *Registry) checkCommunity(c *greentally.Community, complete bool, add report) *time.Location {
	if !isID(c.ID) {
		add([]any{"community"}, "community: want an id of letters, digits, _ and -, not %q", c.ID)
	}
	checkTitle(c.Name, []any{"name"}, add)
	c.TimeZone = cmp.Or(c.TimeZone, defaultTimeZone)
	location, err := time.LoadLocation(c.TimeZone)
	if err != nil || c.TimeZone == "Local" {
		add([]any{"time_zone"}, "time_zone: %q is not a time zone such as Asia/Shanghai", c.TimeZone)
		location = time.UTC
	}
	if c.Households <= 0 {
		add([]any{"households"}, "households: want how many there are, not %d", c.Households)
	}
	if c.Population < 0 {
		add([]any{"population"}, "population: cannot be negative")
	}
	positive(c.AreaM2, "area_m2", nil, add)
	if l := c.Latitude; l != nil && !(math.Abs(*l) <= 66) {
		add([]any{"latitude"}, "latitude: want degrees from -66 to 66, where every day has a night, not %v", *l)
	}
	if grids := []string{"", "north", "northeast", "east", "central", "northwest", "south", "southwest"}; !slices.Contains(grids, c.Grid) {
		add([]any{"grid"}, "grid: %q is none of %s", c.Grid, strings.Join(grids[1:], ", "))
	}
	for i, collection := range c.Collections {
		checkCollection(collection, []any{"collections", i}, add)
	}
	for i := range c.Contacts {
		checkContact(&c.Contacts[i], []any{"contacts", i}, add)
	}
	sites := checkSites(c.Sites, add)
	ids := map[string]int{}
	kept := c.Devices[:0:0]
	for i, d := range c.Devices {
		path := []any{"devices", i}
		if d == nil {
			add(path, "a device is missing after the dash")
			continue
		}
		kept = append(kept, d)
		d.Community = c.ID
		if before, ok := ids[d.ID]; ok {
			add(at(path, "id"), "device %s is already there, as number %d", d.ID, before+1)
		}
		ids[d.ID] = i
		r.checkDevice(d, sites, complete, path, add)
		if g := d.Gateway; g != "" && (g == d.ID || !slices.ContainsFunc(c.Devices, func(o *greentally.Device) bool { return o != nil && o.ID == g })) {
			add(at(path, "gateway"), "gateway: there is no other device %q", g)
		}
		if b := d.Baseline; b != nil && b.Option == "B" && b.Follows == "night" && c.Latitude == nil {
			add(at(path, "baseline"), "baseline: follows: night needs the community's latitude")
		}
	}
	if len(kept) == len(c.Devices) {
		kept = c.Devices
	}
	c.Devices = kept
	return location
}

func positive(v float64, key string, path []any, add report) {
	if v < 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		add(at(path, key), "%s: %v is not a number that this can be", key, v)
	}
}

func checkCollection(c greentally.Collection, path []any, add report) {
	if len(c.Streams) == 0 {
		add(at(path, "streams"), "streams: say which streams are collected")
	}
	for i, s := range c.Streams {
		checkStream(s, at(path, "streams", i), add)
		if slices.Contains(c.Streams[:i], s) {
			add(at(path, "streams", i), "stream %s is there twice", s)
		}
	}
	if len(c.At) == 0 {
		add(at(path, "at"), "at: say when, such as [\"07:30\"]")
	}
	clock := regexp.MustCompile(`^([01]\d|2[0-3]):[0-5]\d$`)
	for i, t := range c.At {
		if !clock.MatchString(t) {
			add(at(path, "at", i), "at: %q is not a time of day such as \"07:30\"", t)
		}
	}
	days := []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
	for i, day := range c.Days {
		if !slices.Contains(days, day) {
			add(at(path, "days", i), "days: %q is none of %s", day, strings.Join(days, ", "))
		}
	}
}

func checkContact(c *greentally.Contact, path []any, add report) {
	if a, err := mail.ParseAddress(c.Email); err != nil || a.Address != c.Email {
		add(at(path, "email"), "email: %q is not an address such as office@example.org", c.Email)
	}
	c.Language = cmp.Or(c.Language, "zh")
	if c.Language != "zh" && c.Language != "en" {
		add(at(path, "language"), "language: want zh or en, not %q", c.Language)
	}
	for i, s := range c.Severities {
		if s != greentally.Critical && s != greentally.Warning && s != greentally.Info {
			add(at(path, "severities", i), "severities: %q is none of critical, warning, info", s)
		}
	}
}

func checkStream(s greentally.Stream, path []any, add report) {
	if !slices.Contains(greentally.Streams(), s) {
		add(path, "stream: %q is none of recyclable, hazardous, food, residual", s)
	}
}

// checkSites returns the ids of the sites.
func checkSites(sites []greentally.Site, add report) map[string]bool {
	types := []string{"estate", "gate", "stairwell", "lift_car", "kitchen", "other"}
	known, in := map[string]bool{}, map[string]string{}
	for i, s := range sites {
		path := []any{"sites", i}
		if !isID(s.ID) {
			add(at(path, "id"), "site: want an id of letters, digits, _ and -, not %q", s.ID)
		}
		if known[s.ID] {
			add(at(path, "id"), "site %s is there twice", s.ID)
		}
		known[s.ID], in[s.ID] = true, s.In
		if !slices.Contains(types, s.Type) {
			add(at(path, "type"), "site %s: type: %q is none of %s", s.ID, s.Type, strings.Join(types, ", "))
		}
	}
	for i, s := range sites {
		path := []any{"sites", i, "in"}
		if s.In != "" && !known[s.In] {
			add(path, "site %s: there is no site %q for it to lie in", s.ID, s.In)
		}
		for outer, steps := s.In, 0; outer != ""; outer, steps = in[outer], steps+1 {
			if outer == s.ID {
				add(path, "site %s lies in itself", s.ID)
			}
			if outer == s.ID || steps > len(sites) {
				break
			}
		}
	}
	return known
}

func (r *Registry) checkDevice(d *greentally.Device, sites map[string]bool, complete bool, path []any, add report) {
	wrong := func(key, format string, args ...any) {
		add(at(path, key), "device %s: "+format, append([]any{d.ID}, args...)...)
	}
	if !isID(d.ID) {
		add(at(path, "id"), "device: want an id of letters, digits, _ and -, not %q", d.ID)
	}
	if a := address(d); len(a) > 128 || strings.ContainsAny(a, "/+#\x00") {
		wrong("address", "address: %s cannot be a level of a topic", shorten(a))
	}
	if !sites[d.Site] {
		wrong("site", "there is no site %q; there are %s", d.Site, strings.Join(slices.Sorted(maps.Keys(sites)), ", "))
	}
	if d.Stream != "" {
		checkStream(d.Stream, at(path, "stream"), add)
	}
	if d.Interval == 0 {
		d.Interval = greentally.Duration(defaultInterval)
	}
	if interval := time.Duration(d.Interval); interval < minInterval || interval > maxInterval {
		wrong("interval", "interval: %v is not between 10s and 24h", interval)
	}
	positive(d.CapacityLitres, "capacity_litres", path, add)
	positive(d.DensityKgPerLitre, "density_kg_per_litre", path, add)
	if d.DensityKgPerLitre > 0 && d.CapacityLitres == 0 {
		add(at(path, "density_kg_per_litre"), "a mass is estimated from density and capacity; give capacity_litres, too")
	}
	positive(d.MaxLoadKg, "max_load_kg", path, add)
	positive(d.ScaleResolutionKg, "scale_resolution_kg", path, add)
	if !(d.MeterClass >= 0 && d.MeterClass <= 10) {
		wrong("meter_class", "meter_class: want the limits of error in percent, such as 1 or 2, not %v", d.MeterClass)
	}
	if d.Lamps < 0 {
		wrong("lamps", "lamps: cannot be negative")
	}
	d.Profile = cmp.Or(d.Profile, nativeProfile)
	k, p := r.kinds[d.Kind], r.profiles[d.Profile]
	if p == nil && complete {
		wrong("profile", "there is no profile %q; there are %s", d.Profile, strings.Join(slices.Sorted(maps.Keys(r.profiles)), ", "))
	}
	if p != nil {
		p.checkFacts(d.Facts, path, add)
		if len(p.Kinds) > 0 && k != nil && !slices.Contains(p.Kinds, d.Kind) {
			wrong("profile", "profile %s is for %s, not for a %s", p.Name, strings.Join(p.Kinds, ", "), d.Kind)
		}
	}
	if k == nil {
		if complete {
			wrong("kind", "there is no kind %q; there are %s", d.Kind, strings.Join(slices.Sorted(maps.Keys(r.kinds)), ", "))
		}
		return
	}
	r.checkAgainstKind(d, k, wrong)
}

// checkAgainstKind checks what a device says of its quantities.
func (r *Registry) checkAgainstKind(d *greentally.Device, k *kind, wrong func(key, format string, args ...any)) {
	if k.NeedsStream && d.Stream == "" {
		wrong("stream", "a %s needs its stream: recyclable, hazardous, food or residual", k.Name)
	}
	if has(k, func(q *quantity) bool { return q.Nature == greentally.Mass }) && d.ScaleResolutionKg == 0 {
		d.ScaleResolutionKg = defaultResolutionKg
	}
	for _, name := range slices.Sorted(maps.Keys(d.Limits)) {
		switch q := k.byName[name]; {
		case q == nil:
			wrong("limits", "limits: a %s has no quantity %q; it has %s", k.Name, name, k.names)
		case q.Nature != greentally.Gauge:
			wrong("limits", "limits: %s is a %s; only a gauge has a limit", name, q.Nature)
		default:
			if v := d.Limits[name]; !(v >= q.min && v <= q.max) {
				wrong("limits", "limits: %s", cmp.Or(outside(q.Quantity, v), fmt.Sprintf("%v is not a number", v)))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.Registers)) {
		facts := d.Registers[name]
		switch q := k.byName[name]; {
		case q == nil:
			wrong("registers", "registers: a %s has no quantity %q; it has %s", k.Name, name, k.names)
		case q.Nature != greentally.Register:
			wrong("registers", "registers: %s is a %s", name, q.Nature)
		}
		for _, fact := range []struct {
			key string
			v   float64
		}{{"modulus", facts.Modulus}, {"max_per_hour", facts.MaxPerHour}} {
			if _, ok := greentally.AmountOf(fact.v); !ok || fact.v < 0 {
				wrong("registers", "registers: %s: %s: %v is not a number that this can be", name, fact.key, fact.v)
			}
		}
	}
	if d.Baseline != nil {
		checkBaseline(d.Baseline, func(format string, args ...any) { wrong("baseline", "baseline: "+format, args...) })
		energy := func(q *quantity) bool {
			return q.Nature == greentally.Register && r.units[q.Unit].dimension == "J"
		}
		if !has(k, energy) {
			wrong("baseline", "baseline: a %s has no register of energy to compare with it", k.Name)
		}
	}
}

func has(k *kind, is func(*quantity) bool) bool {
	for _, q := range k.byName {
		if is(q) {
			return true
		}
	}
	return false
}

// minBaselineDays is how long a baseline period is at the least: two whole weeks, with
// their weekends.
const minBaselineDays = 14

func checkBaseline(b *greentally.Baseline, wrong func(format string, args ...any)) {
	switch b.Follows {
	case "", "always":
	case "night":
		if b.Option == "B" && b.From == nil {
			wrong("follows: night needs from, the first day of the period")
		}
	default:
		wrong("follows: want always or night, not %q", b.Follows)
	}
	if !(b.ErrorRatio >= 0 && b.ErrorRatio <= 1) {
		wrong("error_ratio: want the part by which it can be wrong, 0 to 1, not %v", b.ErrorRatio)
	}
	m := b.EnergyKWh != 0 || b.Days != 0
	const most = 1e9 // more is a slip of the pen
	isPositive := func(v float64) bool { return v > 0 && v <= most }
	switch b.Option {
	case "A":
		if b.Lamps <= 0 || b.Lamps > most || !isPositive(b.LampPowerW) {
			wrong("option A needs lamps, how many were replaced, and lamp_power_w, the power of each")
		}
		if m {
			wrong("energy_kwh and days belong to option B")
		}
	case "B":
		if !isPositive(b.EnergyKWh) || !isPositive(b.Days) {
			wrong("option B needs energy_kwh, what was used in the baseline period, and days, how long that was")
		}
		if b.LampPowerW != 0 || b.Lamps < 0 {
			wrong("lamp_power_w belongs to option A; lamps is how many there were in the period")
		}
		if b.Days > 0 && b.Days < minBaselineDays {
			wrong("a period of %v days is too short to stand for others; measure %d or more", b.Days, minBaselineDays)
		}
	default:
		wrong("option: want A (lamps replaced) or B (a measured period), not %q", b.Option)
	}
}
