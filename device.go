package greentally

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Nature says how a day of a quantity is tallied.
type Nature string

// The natures. See package rules/tally for what each becomes.
const (
	Gauge    Nature = "gauge"    // a level: minimum, maximum, time-weighted mean
	Mass     Nature = "mass"     // what lies on a scale: deposited and collected
	Register Nature = "register" // a counter that only rises: the rise
	State    Nature = "state"    // one of a few words: time in each
)

// Quantity is one measured thing, with its unit in its name.
type Quantity struct {
	Name   string `yaml:"name" json:"name" jsonschema:"pattern=^[a-z][a-z0-9_]*$"`
	Nature Nature `yaml:"nature" json:"nature" jsonschema:"enum=gauge,enum=mass,enum=register,enum=state"`
	Unit   string `yaml:"unit,omitempty" json:"unit"` // a SenML unit (RFC 8428, RFC 8798); empty for a state
	Title  Text   `yaml:"title" json:"title"`

	// Min and Max bound what the quantity can be at all. A value outside is not a
	// measurement; it goes to the dead letters.
	Min *float64 `yaml:"min,omitempty" json:"min,omitempty"`
	Max *float64 `yaml:"max,omitempty" json:"max,omitempty"`

	// Tolerance is how far outside Min and Max a measurement can still be, through
	// the sensor's own error; it is then taken as the bound.
	Tolerance float64 `yaml:"tolerance,omitempty" json:"tolerance,omitempty"`

	// Limit is the level of a gauge at and above which time is counted, unless the
	// device sets its own.
	Limit *float64 `yaml:"limit,omitempty" json:"limit,omitempty"`

	// MaxPerHour is the most that a register can rise in an hour, in its unit, unless the
	// device says itself. A greater rise is not a count but an error.
	MaxPerHour float64 `yaml:"max_per_hour,omitempty" json:"max_per_hour,omitempty"`

	// States are the words that a state can be.
	States []string `yaml:"states,omitempty" json:"states,omitempty"`

	// StateTitles are what states are called, by their words.
	StateTitles map[string]Text `yaml:"state_titles,omitempty" json:"state_titles,omitempty"`
}

// StateTitle returns what a state is called; its word if nothing is said of it.
func (q Quantity) StateTitle(word string) Text {
	return cmp.Or(q.StateTitles[word], Text{word, word})
}

// Kind is a kind of device: which quantities it has.
type Kind struct {
	Name       string     `yaml:"kind" json:"kind" jsonschema:"pattern=^[a-z][a-z0-9_]*$"`
	Title      Text       `yaml:"title" json:"title"`
	Quantities []Quantity `yaml:"quantities" json:"quantities"`

	// NeedsStream says that a device of this kind must name the stream that it takes.
	NeedsStream bool `yaml:"needs_stream,omitempty" json:"needs_stream,omitempty"`
}

// Quantity returns the quantity of that name.
func (k *Kind) Quantity(name string) (Quantity, bool) {
	i := slices.IndexFunc(k.Quantities, func(q Quantity) bool { return q.Name == name })
	if i < 0 {
		return Quantity{}, false
	}
	return k.Quantities[i], true
}

// Stream is what a bin takes. The codes follow GB/T 19095-2019.
type Stream string

// The streams.
const (
	Recyclable Stream = "recyclable" // 可回收物
	Hazardous  Stream = "hazardous"  // 有害垃圾
	Food       Stream = "food"       // 厨余(湿)垃圾
	Residual   Stream = "residual"   // 其他(干)垃圾
)

// Title returns what the stream is called; its code if it is none of these.
func (s Stream) Title() Text {
	switch s {
	case Recyclable:
		return Text{"可回收物", "recyclables"}
	case Hazardous:
		return Text{"有害垃圾", "hazardous waste"}
	case Food:
		return Text{"厨余垃圾", "food waste"}
	case Residual:
		return Text{"其他垃圾", "residual waste"}
	}
	return Text{string(s), string(s)}
}

// Streams returns all streams, in the order of GB/T 19095.
func Streams() []Stream { return []Stream{Recyclable, Hazardous, Food, Residual} }

// DeviceKey names a device: its community, and its own name within that.
type DeviceKey struct {
	Community string `yaml:"-" json:"community" cbor:"-1,keyasint"`
	Device    string `yaml:"-" json:"device" cbor:"-2,keyasint"`
}

func (k DeviceKey) String() string { return k.Community + "/" + k.Device }

// Device is one piece of hardware and its own facts.
type Device struct {
	Community string `yaml:"-" json:"community"`

	ID      string `yaml:"id" json:"id" jsonschema:"pattern=^[A-Za-z0-9_-]{1\\,64}$"`
	Name    Text   `yaml:"name,omitempty" json:"name,omitzero"`
	Kind    string `yaml:"kind" json:"kind"`
	Profile string `yaml:"profile,omitempty" json:"profile" jsonschema:"default=native"`
	Address string `yaml:"address,omitempty" json:"address,omitempty"` // what the hardware calls itself in its topic; default the id
	Site    string `yaml:"site" json:"site"`
	Stream  Stream `yaml:"stream,omitempty" json:"stream,omitempty" jsonschema:"enum=recyclable,enum=hazardous,enum=food,enum=residual"`

	// Gateway is the device through which this one speaks, if any.
	Gateway string `yaml:"gateway,omitempty" json:"gateway,omitempty"`

	// Interval is how often the device reports when all is well.
	Interval Duration `yaml:"interval,omitempty" json:"interval" jsonschema:"default=10m"`

	CapacityLitres    float64 `yaml:"capacity_litres,omitempty" json:"capacity_litres,omitempty"`
	MaxLoadKg         float64 `yaml:"max_load_kg,omitempty" json:"max_load_kg,omitempty"`
	ScaleResolutionKg float64 `yaml:"scale_resolution_kg,omitempty" json:"scale_resolution_kg,omitempty"` // default 0.1

	// DensityKgPerLitre is how much what a bin takes weighs. A bin that has it and no
	// scale has its mass estimated: filling level × capacity × density. Such mass is
	// marked wherever it is used.
	DensityKgPerLitre float64 `yaml:"density_kg_per_litre,omitempty" json:"density_kg_per_litre,omitempty"`

	// Limits replace the kind's limits of gauges, by quantity.
	Limits map[string]float64 `yaml:"limits,omitempty" json:"limits,omitempty"`

	// Registers are facts about the device's registers, by quantity.
	Registers map[string]RegisterFacts `yaml:"registers,omitempty" json:"registers,omitempty"`

	// Facts are the numbers about the device that its profile asks for, by name.
	Facts map[string]float64 `yaml:"facts,omitempty" json:"facts,omitempty"`

	// MeterClass is the accuracy class of the device's meter: its limits of error in
	// percent, such as 1 or 2 for a meter of IEC 62053-21 (GB/T 17215.321); 0 if unknown.
	MeterClass float64 `yaml:"meter_class,omitempty" json:"meter_class,omitempty"`

	// Lamps is how many lamps the meter's circuit feeds now.
	Lamps    int       `yaml:"lamps,omitempty" json:"lamps,omitempty"`
	Baseline *Baseline `yaml:"baseline,omitempty" json:"baseline,omitempty"`
}

// Limit returns the limit of a gauge that is in force for the device: its own, or else the
// kind's; nil if there is none.
func (d *Device) Limit(q Quantity) *float64 {
	if own, ok := d.Limits[q.Name]; ok {
		return &own
	}
	return q.Limit
}

// Key returns the device's name.
func (d *Device) Key() DeviceKey { return DeviceKey{d.Community, d.ID} }

// RegisterFacts are what is known of a register beforehand.
type RegisterFacts struct {
	// Modulus is where the register starts again at 0, in its unit; 0 if unknown.
	// A DL/T 645-2007 energy register has 1 000 000 kWh.
	Modulus float64 `yaml:"modulus,omitempty" json:"modulus,omitempty"`
	// MaxPerHour is the most that it can rise in an hour, in its unit; 0 takes that of the kind.
	MaxPerHour float64 `yaml:"max_per_hour,omitempty" json:"max_per_hour,omitempty"`
}

// Baseline is what a lighting circuit would use without the saving measure
// (IPMVP options A and B, retrofit isolation).
type Baseline struct {
	// Option is A (metered hours × power of the lamps replaced) or B (a baseline
	// period measured with the same meter).
	Option string `yaml:"option" json:"option" jsonschema:"enum=A,enum=B"`

	Lamps      int     `yaml:"lamps,omitempty" json:"lamps,omitempty"`               // option A: lamps replaced; B: lamps in the period, if their number may change
	LampPowerW float64 `yaml:"lamp_power_w,omitempty" json:"lamp_power_w,omitempty"` // option A: power of each, W

	EnergyKWh float64 `yaml:"energy_kwh,omitempty" json:"energy_kwh,omitempty"` // option B: used in the baseline period
	Days      float64 `yaml:"days,omitempty" json:"days,omitempty"`             // option B: length of the period

	// Follows says what the hours of light depend on: always (the default), or night, by
	// whose length option B is then adjusted; From says when its period began.
	Follows string `yaml:"follows,omitempty" json:"follows,omitempty" jsonschema:"enum=always,enum=night,default=always"`
	From    *Date  `yaml:"from,omitempty" json:"from,omitempty"`

	// ErrorRatio is by which part of it the baseline can be wrong, beside the meter's own
	// error: option A, how well the power of the lamps is known; B, how well the period
	// stands for others. 0 if nobody stated it.
	ErrorRatio float64 `yaml:"error_ratio,omitempty" json:"error_ratio,omitempty"`
}

// Site is a place in a community.
type Site struct {
	ID   string `yaml:"id" json:"id" jsonschema:"pattern=^[A-Za-z0-9_-]{1\\,64}$"`
	Name Text   `yaml:"name,omitempty" json:"name,omitzero"`
	Type string `yaml:"type" json:"type" jsonschema:"enum=estate,enum=gate,enum=stairwell,enum=lift_car,enum=kitchen,enum=other"`
	In   string `yaml:"in,omitempty" json:"in,omitempty"` // the site that this one lies in

	// Open are the hours in which residents may drop their waste here, such as
	// 06:30-08:30; none mean always. A site without any has those of the site it lies in.
	Open []OpenHours `yaml:"open,omitempty" json:"open,omitempty"`
}

// OpenHours are hours of every day, in local time. The text form is 06:30-08:30.
type OpenHours struct{ From, To time.Duration } // since midnight; From is before To

func (o OpenHours) String() string { return clock(o.From) + "-" + clock(o.To) }

func clock(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d", int(d.Hours()), int(d.Minutes())%60)
}

// MarshalText writes the form 06:30-08:30.
func (o OpenHours) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads the form 06:30-08:30. The end may be 24:00.
func (o *OpenHours) UnmarshalText(b []byte) error {
	var h1, m1, h2, m2 int
	n, err := fmt.Sscanf(string(b), "%2d:%2d-%2d:%2d", &h1, &m1, &h2, &m2)
	read := OpenHours{time.Duration(h1)*time.Hour + time.Duration(m1)*time.Minute, time.Duration(h2)*time.Hour + time.Duration(m2)*time.Minute}
	if err != nil || n != 4 || read.String() != string(b) || read.From < 0 || read.From >= read.To || read.To > 24*time.Hour {
		return fmt.Errorf("%q are no hours of a day such as 06:30-08:30", b)
	}
	*o = read
	return nil
}

// Collection is when bins are meant to be emptied.
type Collection struct {
	Streams []Stream `yaml:"streams" json:"streams"`
	At      []string `yaml:"at" json:"at"`                         // local times, 15:04
	Days    []string `yaml:"days,omitempty" json:"days,omitempty"` // mon … sun; default every day
}

// Contact is somebody who gets mails.
type Contact struct {
	Name     string `yaml:"name,omitempty"`
	Email    string `yaml:"email"`
	Language string `yaml:"language,omitempty" jsonschema:"enum=zh,enum=en,default=zh"`

	// Severities are those that the contact gets mails about; none mean all.
	Severities []Severity `yaml:"severities,omitempty" jsonschema:"enum=critical,enum=warning,enum=info"`
}

// Wants reports whether the contact gets mails about alerts of the severity.
func (c *Contact) Wants(s Severity) bool {
	return len(c.Severities) == 0 || slices.Contains(c.Severities, s)
}

// Community is the unit that is certified.
type Community struct {
	ID         string  `yaml:"community" json:"community" jsonschema:"pattern=^[A-Za-z0-9_-]{1\\,64}$"`
	Name       Text    `yaml:"name" json:"name"`
	TimeZone   string  `yaml:"time_zone,omitempty" json:"time_zone" jsonschema:"default=Asia/Shanghai"`
	Households int     `yaml:"households" json:"households"`
	Population int     `yaml:"population,omitempty" json:"population,omitempty"`
	AreaM2     float64 `yaml:"area_m2,omitempty" json:"area_m2,omitempty"`

	// Latitude tells how long nights are, in degrees, north positive; null if unknown.
	Latitude *float64 `yaml:"latitude,omitempty" json:"latitude,omitempty" jsonschema:"minimum=-66,maximum=66"`

	// Grid is the regional grid that supplies the community, for factors of carbon; empty
	// takes the national average.
	Grid string `yaml:"grid,omitempty" json:"grid,omitempty" jsonschema:"enum=north,enum=northeast,enum=east,enum=central,enum=northwest,enum=south,enum=southwest"`

	// Contacts get mails about the community, as far as Alertmanager's configuration does
	// not say otherwise.
	Contacts []Contact `yaml:"contacts,omitempty" json:"-"`

	Collections []Collection `yaml:"collections,omitempty" json:"collections,omitempty"`
	Sites       []Site       `yaml:"sites" json:"sites"`
	Devices     []*Device    `yaml:"devices" json:"devices"`
}

// OpenAt returns the hours in which the site is open, none if always.
func (c *Community) OpenAt(site string) []OpenHours {
	for range c.Sites { // a site cannot lie deeper than there are sites
		i := slices.IndexFunc(c.Sites, func(s Site) bool { return s.ID == site })
		if i < 0 {
			return nil
		}
		if len(c.Sites[i].Open) > 0 {
			return c.Sites[i].Open
		}
		site = c.Sites[i].In
	}
	return nil
}

// NoCommunity is the error for a community that is not there; it is [fs.ErrNotExist].
func NoCommunity(id string) error {
	return Missingf("没有社区 %q", "there is no community %q", id)
}

// Discovered is a device that speaks but is not in the registry.
type Discovered struct {
	DeviceKey           // the community is empty if the topic does not tell it
	Profile   string    `json:"profile"`
	Kind      string    `json:"kind,omitempty"` // a guess from the payload
	Topic     string    `json:"topic"`
	Payload   string    `json:"payload"` // the latest, shortened
	First     time.Time `json:"first_seen"`
	Last      time.Time `json:"last_seen"` // to the minute
}
