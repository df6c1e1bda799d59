package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/mail"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"go.yaml.in/yaml/v4"

	"greentally"
	"greentally/internal/testserver"
	"greentally/rules/alerts"
)

var (
	weekOutage = flag.Duration("week.outage", 5*time.Second, "how long the mail server is down in the week of incidents")
	weekQuiet  = flag.Bool("week.quiet", false, "play the week of incidents without faults, too")
)

// weekCommunity is quiet but for the incidents. Two people are told: one of everything in
// Chinese, one in English of what is critical.
const weekCommunity = `
community: lakeside
name: {zh: 湖畔社区, en: Lakeside}
households: 1200
population: 3600
contacts:
- {name: 王师傅, email: wang@example.org}
- {name: Duty desk, email: desk@example.org, language: en, severities: [critical]}
collections:
- {streams: [food, residual], at: ["06:00"]}
sites: [{id: gate, type: gate, name: {zh: 东门, en: East gate}}]
devices:
`

// weekDepot has the device whose clock is ahead of ours, and thereby in the month that is
// on. Of this month nothing else is known, so its indicators would all be at risk; a
// community of one oil drum has none.
const weekDepot = `
community: depot
name: {zh: 仓库, en: Depot}
households: 1
contacts:
- {name: 王师傅, email: wang@example.org}
- {name: Duty desk, email: desk@example.org, language: en, severities: [critical]}
sites: [{id: yard, type: other, name: {zh: 院子, en: Yard}}]
devices:
- {id: drum-9, name: {zh: drum-9, en: drum-9}, kind: oil_drum, site: yard}
`

// weekDevices are the devices of the community, by what their files say of them. One
// reports every ten minutes unless it says otherwise.
var weekDevices = []struct{ ids, facts string }{
	{"food-1", "kind: sorting_bin, stream: food, interval: 3m"},
	{"food-2 food-3 food-4 food-5", "kind: sorting_bin, stream: food"},
	{"residual-1 residual-2 residual-3 residual-4 residual-5", "kind: sorting_bin, stream: residual"},
	{"recyclable-1", "kind: sorting_bin, stream: recyclable, interval: 2m"},
	{"recyclable-2 recyclable-3 recyclable-4", "kind: sorting_bin, stream: recyclable"},
	{"hazardous-1 hazardous-2", "kind: sorting_bin, stream: hazardous"},
	{"hazardous-3 hazardous-4 hazardous-5", "kind: sorting_bin, stream: hazardous, gateway: gateway-1"},
	{"gateway-1", "kind: gateway, interval: 3m"},
	{"box-1 box-2 box-3 box-4 box-5", "kind: battery_box"},
	{"corridor-1 corridor-2 corridor-3 corridor-4 corridor-5 corridor-6", "kind: lighting_meter, baseline: {option: A, lamps: 10, lamp_power_w: 40, follows: night}"},
	{"lift-1", "kind: lighting_meter, baseline: {option: B, energy_kwh: 300, days: 30}"},
	{"drum-1 drum-2", "kind: oil_drum"},
	{"water-1 water-2 water-3", "kind: water_meter"},
}

// incident is something that happens to a device for a time of the week, and what people
// are told of it.
type incident struct {
	on, from, to string // device; from when until before when: day of the week and local time
	what         change // in what the device says
	told         string // the rule that people are told of before it is over, if any
	muted        string // rules that hold meanwhile and of which nobody is told
	over         string // when people have been told that it is over; the default is an hour after to
}

const (
	theEnd = "8 00:00" // over when the last device has taken the time along to now
	never  = "9 00:00" // holds after the end of the week
)

// weekPlan are 40 incidents, and the rules that must tell of them by docs/alerts.md, each
// once and once more when it is over. A row with nothing told belongs to the row before it.
//
// The week does not go on from the end of a row before that is told or muted. So a rule
// that mutes others is known before they are, as it is where minutes take minutes.
//
// Each row lasts for four readings at least beyond what its rule asks, so that it does not
// matter which are lost; and a temperature climbs by less than 10 °C in half an hour, so
// that a gap in it is no jump.
var weekPlan = []incident{
	// A bin fills up; bins for recyclables have no planned round, so nothing is forecast.
	{on: "recyclable-2", from: "1 09:00", to: "1 12:00", what: set("fill_ratio", 0.85), told: "bin_nearly_full", over: "1 16:00"},
	{on: "recyclable-2", from: "1 12:00", to: "1 15:00", what: set("fill_ratio", 0.95), told: "bin_overflowing"},
	{on: "residual-1", from: "1 09:00", to: "1 12:00", what: set("battery_ratio", 0.15), told: "device_battery_low"},
	{on: "food-2", from: "1 09:00", to: "1 12:00", what: set("status", "lid_open"), told: "lid_open"},
	{on: "corridor-1", from: "1 10:00", to: "1 12:00", what: set("light", "on", "power_w", 54), told: "lights_on_by_day"},
	{on: "box-1", from: "1 12:00", to: "1 15:00", what: set("fill_ratio", 0.95), told: "battery_box_full"},
	{on: "corridor-2", from: "1 22:00", to: "2 01:00", what: set("light", "off"), told: "lights_off_by_night"},

	// One that is full at once: what would have foretold it is muted, and so never told.
	{on: "food-1", from: "2 09:00", to: "2 09:14", what: set("fill_ratio", 0.95), told: "bin_overflowing", over: "2 16:00"},
	{on: "food-1", from: "2 09:14", to: "2 15:00", what: set("fill_ratio", 0.95), muted: "bin_nearly_full overflow_forecast"},
	{on: "food-3", from: "2 06:00", to: "2 12:00", what: set("fill_ratio", 0.4), told: "bin_not_emptied"},
	{on: "residual-2", from: "2 09:00", to: "2 12:00", what: set("status", "dropped"), told: "bin_tilted"},
	// What is about a day is told of until 96 hours after its beginning.
	{on: "box-2", from: "2 09:00", to: "2 12:00", what: fall("mass_kg", 5), told: "batteries_taken_unrecorded", over: "6 01:00"},
	{on: "hazardous-1", from: "2 12:00", to: "2 15:00", what: set("temperature_celsius", 48), told: "bin_heating_up"},
	{on: "corridor-4", from: "2 22:00", to: "3 01:00", what: set("light", "off"), told: "lights_off_by_night"},
	{on: "water-1", from: "2 20:00", to: "3 08:00", what: more("volume_m3", 0.5), told: "water_leak", over: "4 06:30"}, // judged at five

	// A fire mutes an open lid, which is closed before the fire is out.
	{on: "residual-3", from: "3 09:00", to: "3 12:00", what: climb("temperature_celsius", 16, 66), told: "bin_fire", over: "3 16:00"},
	{on: "residual-3", from: "3 12:00", to: "3 14:00", what: set("temperature_celsius", 66, "status", "lid_open"), muted: "lid_open"},
	{on: "residual-3", from: "3 14:00", to: "3 15:00", what: set("temperature_celsius", 66)},
	{on: "food-4", from: "3 09:00", to: "3 15:00", what: climb("fill_ratio", 0.16, 0.76), told: "overflow_forecast"},
	// These two look at 24 hours, so they end on the next day.
	{on: "lift-1", from: "3 09:00", to: "3 15:00", what: more("energy_kwh", 3), told: "consumption_above_baseline", over: "4 16:00"},
	{on: "corridor-5", from: "3 09:00", to: "3 15:00", what: more("energy_kwh", 3), told: "consumption_above_replaced_lamps", over: "4 16:00"},
	{on: "corridor-6", from: "3 12:00", to: "3 15:00", what: fall("energy_kwh", 400), told: "meter_unexplained", over: "7 01:00"},
	{on: "water-2", from: "3 09:00", to: "3 12:00", what: set("battery_ratio", 0.15), told: "device_battery_low"},

	// The day on which the program is killed, after one incident, during another, before two.
	{on: "recyclable-3", from: "4 08:00", to: "4 10:00", what: set("status", "vandalized"), told: "bin_tilted", over: "4 10:30"},
	{on: "drum-1", from: "4 07:00", to: "4 10:00", what: set("fill_ratio", 0.85), told: "oil_drum_nearly_full", over: "4 16:00"},
	{on: "drum-1", from: "4 10:00", to: "4 15:00", what: set("fill_ratio", 0.85)},
	{on: "box-3", from: "4 11:30", to: "4 15:00", what: set("fill_ratio", 0.95), told: "battery_box_full"},
	{on: "box-4", from: "4 12:30", to: "4 15:00", what: set("temperature_celsius", 45), told: "battery_box_heating_up"},
	// One on the edge: thirty crossings an hour are one mail.
	{on: "recyclable-1", from: "4 17:00", to: "4 19:00", what: flap("fill_ratio", 0.81, 0.79), told: "bin_nearly_full"},
	{on: "corridor-4", from: "4 22:00", to: "5 01:00", what: set("power_w", 0.4), told: "lamps_without_power"},

	// A gateway that is silent mutes the devices behind it. It is known to be so before they
	// are, for it reports more often; and it speaks again after them.
	{on: "gateway-1", from: "5 10:00", to: "5 10:25", what: silent, told: "device_silent", over: "5 14:00"},
	{on: "gateway-1", from: "5 10:25", to: "5 12:40", what: silent},
	{on: "hazardous-3", from: "5 10:00", to: "5 12:00", what: silent, muted: "device_silent"},
	{on: "hazardous-4", from: "5 10:00", to: "5 12:00", what: silent, muted: "device_silent"},
	{on: "hazardous-5", from: "5 10:00", to: "5 12:00", what: silent, muted: "device_silent"},
	{on: "residual-4", from: "5 06:00", to: "5 12:00", what: set("fill_ratio", 0.4), told: "bin_not_emptied"},
	{on: "drum-2", from: "5 09:00", to: "5 12:00", what: fall("mass_kg", 20), told: "oil_taken_unrecorded", over: theEnd},
	{on: "hazardous-2", from: "5 12:00", to: "5 15:00", what: set("status", "burning"), told: "bin_burning"},
	{on: "recyclable-4", from: "5 16:00", to: "5 18:00", what: silent, told: "device_silent", over: "5 19:30"},

	// The mail server is down from half past nine to four: of what began and ended meanwhile
	// people are told both, when it is back.
	{on: "recyclable-3", from: "6 07:00", to: "6 09:00", what: set("fill_ratio", 0.85), told: "bin_nearly_full", over: "6 17:00"},
	{on: "recyclable-3", from: "6 09:00", to: "6 12:00", what: set("fill_ratio", 0.85)},
	{on: "food-5", from: "6 10:00", to: "6 12:00", what: set("status", "burning"), told: "bin_burning"},
	{on: "residual-1", from: "6 10:00", to: "6 12:00", what: set("status", "lid_open"), told: "lid_open"},
	{on: "box-5", from: "6 10:00", to: "6 15:00", what: climb("temperature_celsius", 16, 66), told: "battery_box_hot", over: "6 19:00"},
	{on: "box-5", from: "6 15:00", to: "6 18:00", what: set("temperature_celsius", 66)},
	{on: "water-2", from: "6 18:00", to: "6 20:00", what: fall("volume_m3", 40), told: "water_meter_unexplained", over: theEnd},

	{on: "residual-5", from: "7 09:00", to: "7 15:00", what: climb("fill_ratio", 0.16, 0.76), told: "overflow_forecast"},
	// A bin that burns and lies on the ground burns otherwise: both are told. That it heats up,
	// which the same reading says, is muted.
	{on: "residual-2", from: "7 09:00", to: "7 12:00", what: set("temperature_celsius", 66), told: "bin_fire", muted: "bin_heating_up", over: "7 16:00"},
	{on: "residual-2", from: "7 12:00", to: "7 15:00", what: set("temperature_celsius", 66, "status", "dropped"), told: "bin_tilted"},
	// Its reading is of the time that is ahead of now, see playWeek.
	{on: "drum-9", from: theEnd, to: theEnd, what: set(), told: "clock_wrong", over: never},
}

// says is what a device says at an instant: values by quantity.
type says map[string]any

// change changes what a device says, when the incident began so long ago and lasts or
// lasted so long. It is asked after the end, too, because registers and scales go on from
// where they are.
type change func(s says, since, lasts time.Duration)

// set gives quantities other values: name, value, name, value.
func set(pairs ...any) change {
	return func(s says, since, lasts time.Duration) {
		for i := 0; i < len(pairs) && since < lasts; i += 2 {
			s[pairs[i].(string)] = pairs[i+1]
		}
	}
}

// silent says nothing.
func silent(s says, since, lasts time.Duration) {
	if since < lasts {
		clear(s)
	}
}

// climb adds so much an hour, up to a value.
func climb(quantity string, perHour, top float64) change {
	return func(s says, since, lasts time.Duration) {
		if since < lasts {
			s[quantity] = min(top, s[quantity].(float64)+perHour*since.Hours())
		}
	}
}

// flap goes to and fro from reading to reading, after half an hour at the first value.
func flap(quantity string, first, second float64) change {
	return func(s says, since, lasts time.Duration) {
		switch n := int(since / (2 * time.Minute)); {
		case since >= lasts:
		case n < 15 || n%2 == 1:
			s[quantity] = first
		default:
			s[quantity] = second
		}
	}
}

// more adds so much an hour to a register.
func more(quantity string, perHour float64) change {
	return func(s says, since, lasts time.Duration) {
		s[quantity] = s[quantity].(float64) + perHour*min(since, lasts).Hours()
	}
}

// fall takes so much off a register or a scale.
func fall(quantity string, by float64) change {
	return func(s says, _, _ time.Duration) { s[quantity] = s[quantity].(float64) - by }
}

// quiet is what a device says when nothing happens, on a day of the week from 0, at an
// hour of it: no rule is about that. Bins and their like are emptied at six, lights are on
// from half past six in the evening until half past five.
func quiet(kind string, day, hour float64) says {
	hours := day*24 + hour
	sinceSix := math.Mod(hour+18, 24)
	warm := 20 + 5*math.Sin((hour-9)*math.Pi/12)
	switch kind {
	case "sorting_bin":
		return says{"fill_ratio": 0.05 + 0.35*sinceSix/24, "temperature_celsius": warm, "battery_ratio": 0.9, "status": "ok"}
	case "battery_box":
		return says{"mass_kg": 10 + 0.02*hours/24, "fill_ratio": 0.3, "temperature_celsius": warm, "battery_ratio": 0.9}
	case "oil_drum":
		return says{"mass_kg": 60 + 0.5*hours/24, "fill_ratio": 0.35, "temperature_celsius": warm, "battery_ratio": 0.9}
	case "water_meter":
		return says{"volume_m3": 100 + day*5.04 + 0.01*min(hour, 6) + 0.31*min(max(hour-6, 0), 16) + 0.01*max(hour-22, 0), "battery_ratio": 0.9}
	case "gateway":
		return says{"uptime_hours": 1000 + hours, "temperature_celsius": warm + 20}
	}
	lit, light, power := day*11+min(hour, 5.5)+max(hour-18.5, 0), "off", 0.5
	if hour < 5.5 || hour >= 18.5 {
		light, power = "on", 54.0
	}
	return says{"energy_kwh": 1000 + 0.054*lit, "operating_hours": 2000 + lit, "light": light, "power_w": power}
}

// published is a reading on its way.
type published struct {
	at             time.Time // of its arrival, by the time that is simulated
	topic, payload string
}

// readingsOfWeek returns what the devices say in a week, in the order in which it arrives.
// With faults one reading in twenty is lost, one comes twice, and one ten minutes late.
func readingsOfWeek(t *testing.T, communities []*greentally.Community, begins time.Time, faults bool) (all []published) {
	t.Helper()
	random := rand.New(rand.NewPCG(7, 40))
	for _, c := range communities {
		for n, d := range c.Devices {
			for at := time.Duration(n) * time.Second; at < weekTime("8 00:00"); at += time.Duration(d.Interval) {
				s := quiet(d.Kind, float64(at/(24*time.Hour)), (at % (24 * time.Hour)).Hours())
				for _, i := range weekPlan {
					if since := at - weekTime(i.from); i.on == d.ID && since >= 0 {
						i.what(s, since, weekTime(i.to)-weekTime(i.from))
					}
				}
				if len(s) == 0 {
					continue
				}
				r := published{begins.Add(at), readingsTopic(c.ID, d.ID), payload(t, begins.Add(at), s)}
				switch fate := random.Float64(); {
				case !faults || fate >= 0.15:
				case fate < 0.05:
					continue
				case fate < 0.10:
					all = append(all, r)
				default:
					r.at = r.at.Add(10 * time.Minute)
				}
				all = append(all, r)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b published) int { return a.at.Compare(b.at) })
	return all
}

func readingsTopic(community, device string) string {
	return "greentally/v1/" + community + "/" + device + "/readings"
}

func payload(t *testing.T, at time.Time, s says) string {
	t.Helper()
	s = maps.Clone(s)
	for quantity, v := range s {
		if number, ok := v.(float64); ok {
			s[quantity] = math.Round(number*10000) / 10000
		}
	}
	s["time"] = at.UTC()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// weekTime returns how long after the beginning of the week a time such as "2 09:30" of
// the plan is.
func weekTime(text string) time.Duration {
	var day, hour, minute time.Duration
	if _, err := fmt.Sscanf(text, "%d %d:%d", &day, &hour, &minute); err != nil {
		panic(fmt.Sprintf("BUG: the plan has the time %q: %v", text, err))
	}
	return (day-1)*24*time.Hour + hour*time.Hour + minute*time.Minute
}

// weekMail is a mail of the plan.
type weekMail struct {
	to       string // address
	over     bool   // whether it says that the incident is over
	text     string // the subject without its label
	rule, on string
}

func (m weekMail) String() string { return mailLine(m.to, m.over, m.text) }

func mailLine(to string, over bool, text string) string {
	return to + map[bool]string{false: " holds: ", true: " over:  "}[over] + text
}

// mailsOf returns the mails that say of an incident that it holds, or that it is over.
func mailsOf(rules map[string]shippedRule, i incident, over bool) []weekMail {
	r := rules[i.told]
	zh, en := "东门 %s：%s · 湖畔社区", "East gate, %s: %s · Lakeside"
	if i.on == "drum-9" {
		zh, en = "院子 %s：%s · 仓库", "Yard, %s: %s · Depot"
	}
	mails := []weekMail{{"wang@example.org", over, fmt.Sprintf(zh, i.on, r.Title.ZH), i.told, i.on}}
	if r.Severity == greentally.Critical {
		mails = append(mails, weekMail{"desk@example.org", over, fmt.Sprintf(en, i.on, r.Title.EN), i.told, i.on})
	}
	return mails
}

// shippedRule is what mails say of a rule.
type shippedRule struct {
	Alert    string
	Title    greentally.Text
	Severity greentally.Severity
}

func shippedRules(t *testing.T) map[string]shippedRule {
	t.Helper()
	_, files, err := alerts.Shipped().Files()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]shippedRule{}
	for name, data := range files {
		var file struct{ Rules []shippedRule }
		if err := yaml.Unmarshal(data, &file); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, r := range file.Rules {
			all[r.Alert] = r
		}
	}
	return all
}

// A week with 40 incidents gives the mails of the plan and no others; also if readings are
// lost, come twice or late, if the program is killed, and if the mail server is away.
func TestWeekOfIncidents(t *testing.T) {
	t.Parallel()
	told := 0
	for _, i := range weekPlan {
		if i.told != "" {
			told++
		}
	}
	if told != 40 {
		t.Errorf("the plan tells of %d incidents, not of 40", told)
	}
	if *weekQuiet { // what goes wrong with it goes wrong with faults, too
		t.Run("quiet", func(t *testing.T) { playWeek(t, false) })
	}
	t.Run("faults", func(t *testing.T) { playWeek(t, true) })
}

// weekPlay is a week that is played.
type weekPlay struct {
	*site
	mails  *testserver.MailServer
	client mqtt.Client

	begins   time.Time   // at a midnight
	readings []published // of the week
	played   int         // how many of them are published

	due  []weekMail // all that have to be there by now, or as soon as the mail server is up
	down time.Time  // when the mail server went down; zero while it is up
}

// event is what happens when all that arrives before it is published.
type event struct {
	at time.Duration // since the week began
	do func()
}

func playWeek(t *testing.T, faults bool) {
	t.Parallel()
	p := newWeekPlay(t, faults)
	rules := shippedRules(t)
	var plan []weekMail
	var events []event
	for _, i := range weekPlan {
		var begun, over []weekMail
		if i.told != "" {
			begun = mailsOf(rules, i, false)
		}
		if i.told != "" && i.over != never {
			over = mailsOf(rules, i, true)
		}
		plan = append(plan, slices.Concat(begun, over)...)
		ended := weekTime(i.to) + time.Hour
		if i.over != "" {
			ended = weekTime(i.over)
		}
		events = append(events,
			event{weekTime(i.to), func() { p.expect(begun); p.expectMuted(i) }},
			event{ended, func() { p.expect(over) }})
	}
	if faults {
		events = append(events,
			event{weekTime("4 12:00"), func() { p.killUntil(weekTime("4 14:00")) }},
			event{weekTime("6 09:30"), p.stopMails},
			event{weekTime("6 16:00"), p.startMails})
	}
	// A clock that is ahead is so by ours. Its reading takes the rules' time along to now, at
	// least ten days later, when what was about a day of the week has been told of for long enough.
	events = append(events, event{weekTime("8 00:00") - 1, func() {
		p.must(p.publish(published{topic: readingsTopic("depot", "drum-9"), payload: payload(t, time.Now().Add(5*time.Minute), quiet("oil_drum", 7, 0))}))
	}})
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })

	began := time.Now()
	for _, e := range events {
		p.must(p.publishUntil(e.at))
		e.do()
	}
	p.caughtUp(time.Minute)
	if open := p.open(); len(open) != 1 || open["clock_wrong of drum-9"] != "active" {
		t.Errorf("in the end Alertmanager has %v, want the clock that is wrong and nothing else", open)
	}
	if letters := p.metric("greentally_dead_letters_total"); letters != 0 {
		t.Errorf("%v dead letters, want none", letters)
	}
	p.stop() // which waits for mails that are being sent
	t.Logf("%d readings, and %d mails for %d planned, in %v", p.played, len(p.mails.Mails()), len(plan), time.Since(began).Round(time.Millisecond))
	p.compare(plan)
	var expected []string
	if faults {
		expected = []string{"Filestore [", "Notify attempt failed"} // after a kill; while the mail server is down
	}
	if all := p.complaints(expected...); len(all) > 0 {
		t.Errorf("the log has\n%s", strings.Join(all, "\n"))
	}
}

// newWeekPlay starts the program and its servers. Alertmanager has the default routes for
// people in a hurry, with a mail for each alert, and without nights, for these go by our clock.
//
// The week ends a day before the end of a month that is over. In one that is on, indicators
// would be at risk for want of evidence, and when that is told depends on the day of the test.
func newWeekPlay(t *testing.T, faults bool) *weekPlay {
	broker, influxd := testserver.Mosquitto(t), testserver.Influxd(t)
	p := &weekPlay{mails: testserver.Mailpit(t)}
	var community strings.Builder
	community.WriteString(weekCommunity)
	for _, d := range weekDevices {
		for id := range strings.FieldsSeq(d.ids) {
			fmt.Fprintf(&community, "- {id: %s, name: {zh: %s, en: %s}, site: gate, %s}\n", id, id, id, d.facts)
		}
	}
	config := fmt.Sprintf("mqtt: {urls: [%q]}\ninfluxdb: {url: %q}\nsmtp: {address: %q, from: greentally@example.org, tls: none}\n", broker.URL(), influxd.URL(), p.mails.SMTP)
	p.site = newSite(t, []byte(community.String()), config)
	p.write("communities/depot.yaml", []byte(weekDepot))
	routes := must(t, "alerts", "config", "--config", p.config)
	for _, change := range []struct{ from, to string }{
		{`group_wait: \S+`, "group_wait: 1s"},
		{`group_interval: \S+`, "group_interval: 200ms"},
		{`group_by: \[.*\]`, "group_by: [community, alertname, device]"},
		{`.*mute_time_intervals: .*\n`, ""},
	} {
		routes = regexp.MustCompile(change.from).ReplaceAllString(routes, change.to)
	}
	p.write("alertmanager.yml", []byte(routes))
	p.configure(config + "alerting: {config_file: alertmanager.yml, digest: never}\n")
	p.start()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log:\n%s", p.log)
		}
	})

	var communities []*greentally.Community
	for _, file := range []string{"community.yaml", "depot.yaml"} {
		c, loc, err := loadCommunity(filepath.Join(p.dir, "communities", file), &program{})
		if err != nil {
			t.Fatal(err)
		}
		communities = append(communities, c)
		ago := time.Now().In(loc).AddDate(0, 0, -10) // longer than anything about a day is told of
		p.begins = time.Date(ago.Year(), ago.Month(), 1-8, 0, 0, 0, 0, loc)
	}
	p.readings = readingsOfWeek(t, communities, p.begins, faults)
	p.client = mqtt.NewClient(mqtt.NewClientOptions().AddBroker(broker.URL()).SetClientID("week"))
	token := p.client.Connect()
	token.WaitTimeout(10 * time.Second)
	p.must(token.Error())
	t.Cleanup(func() { p.client.Disconnect(0) })
	return p
}

func (p *weekPlay) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// publishUntil publishes what arrives before that time of the week.
func (p *weekPlay) publishUntil(end time.Duration) error {
	n := p.played
	for n < len(p.readings) && p.readings[n].at.Before(p.begins.Add(end)) {
		n++
	}
	all := p.readings[p.played:n]
	p.played = n
	return p.publish(all...)
}

// publish publishes readings in that order, and returns when the broker has them.
func (p *weekPlay) publish(all ...published) error {
	var tokens []mqtt.Token
	for _, r := range all {
		tokens = append(tokens, p.client.Publish(r.topic, 1, false, r.payload))
	}
	for _, token := range tokens {
		if !token.WaitTimeout(time.Minute) {
			return errors.New("the broker does not take what is published")
		}
		if err := token.Error(); err != nil {
			return err
		}
	}
	return nil
}

// killUntil kills the program, and starts it again while the week goes on until then.
func (p *weekPlay) killUntil(end time.Duration) {
	p.t.Helper()
	p.kill()
	done := make(chan error, 1)
	go func() { done <- p.publishUntil(end) }()
	p.start()
	p.must(<-done)
}

func (p *weekPlay) stopMails() {
	p.mails.Stop()
	p.down = time.Now()
}

func (p *weekPlay) startMails() {
	p.t.Helper()
	waitFor(p.t, *weekOutage+time.Second, "the outage to be over", func() bool { return time.Since(p.down) >= *weekOutage })
	p.mails.Start()
	p.down = time.Time{}
	p.expect(nil)
}

// expect waits until the mails are there, and those that were expected while the mail
// server was down. While it is, it waits until the program has tried to send those of what
// began; of what ended it tells when it could tell that it began.
func (p *weekPlay) expect(mails []weekMail) {
	p.t.Helper()
	p.due = append(p.due, mails...)
	if p.down.IsZero() {
		var lack []string
		defer func() {
			if len(lack) > 0 {
				p.t.Logf("mails that lack:\n%s", strings.Join(lack, "\n"))
			}
		}()
		// Alertmanager tries again after a minute and a half at the latest.
		waitFor(p.t, 2*time.Minute, "mails", func() bool {
			lack, _ = differ(p.due, p.received())
			return len(lack) == 0
		})
		return
	}
	for _, m := range mails {
		if !m.over {
			waitFor(p.t, 30*time.Second, "an attempt to send: "+m.String(), func() bool { return p.tried(m) })
		}
	}
}

// tried reports whether the log says that the mail could not be sent.
func (p *weekPlay) tried(m weekMail) bool {
	for line := range strings.Lines(p.log.String()) {
		if strings.Contains(line, "Notify attempt failed") && strings.Contains(line, m.to) &&
			strings.Contains(line, `alertname=\"`+m.rule+`\"`) && strings.Contains(line, `device=\"`+m.on+`\"`) {
			return true
		}
	}
	return false
}

// expectMuted waits until the rules hold that the incident mutes.
func (p *weekPlay) expectMuted(i incident) {
	p.t.Helper()
	for rule := range strings.FieldsSeq(i.muted) {
		alert := rule + " of " + i.on
		waitFor(p.t, 30*time.Second, alert+" to be muted", func() bool { return p.open()[alert] == "suppressed" })
	}
}

// open returns the alerts that Alertmanager has, and whether it tells of them.
func (p *weekPlay) open() map[string]string {
	p.t.Helper()
	var all []struct {
		Labels map[string]string
		Status struct{ State string }
	}
	p.must(p.get("/alertmanager/api/v2/alerts", &all))
	states := map[string]string{}
	for _, a := range all {
		states[a.Labels["alertname"]+" of "+a.Labels["device"]+a.Labels["indicator"]] = a.Status.State
	}
	return states
}

// subjects have a label and then say what is the matter, and where.
var subjects = regexp.MustCompile(`^(?:【(.+?)】|\[(.+?)\] )(.+)$`)

// received returns the mails that have come, as the plan writes them.
func (p *weekPlay) received() (lines []string) {
	p.t.Helper()
	for _, m := range p.mails.Mails() {
		to, err := mail.ParseAddress(m.Header.Get("To"))
		parts := subjects.FindStringSubmatch(m.Subject)
		if err != nil || parts == nil {
			lines = append(lines, m.Header.Get("To")+": "+m.Subject)
			continue
		}
		lines = append(lines, mailLine(to.Address, parts[1] == "已恢复" || parts[2] == "Resolved", parts[3]))
	}
	return lines
}

// compare holds the mails that have come against the plan, and looks into each.
func (p *weekPlay) compare(plan []weekMail) {
	p.t.Helper()
	lack, more := differ(plan, p.received())
	if len(lack)+len(more) > 0 {
		p.t.Errorf("mails that lack:\n%s\nmails that nobody planned:\n%s", strings.Join(lack, "\n"), strings.Join(more, "\n"))
	}
	for _, m := range p.mails.Mails() {
		language, where := "zh-CN", "位置"
		if strings.Contains(m.Header.Get("To"), "desk@") {
			language, where = "en", "Where"
		}
		if got := m.Header.Get("Content-Language"); got != language || !strings.Contains(m.Text, where) || m.HTML == "" {
			p.t.Errorf("mail %q: language %q, want %q; text:\n%s", m.Subject, got, language, m.Text)
		}
	}
}

// differ returns what of the plan has not come, and what has come beyond it, in order.
func differ(plan []weekMail, received []string) (lack, more []string) {
	more = slices.Sorted(slices.Values(received))
	for _, m := range plan {
		if i, found := slices.BinarySearch(more, m.String()); found {
			more = slices.Delete(more, i, i+1)
		} else {
			lack = append(lack, m.String())
		}
	}
	slices.Sort(lack)
	return lack, more
}
