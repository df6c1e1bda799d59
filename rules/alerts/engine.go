package alerts

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"

	"greentally"
)

// Registry says what there is.
type Registry interface {
	Communities() []*greentally.Community
	Location(community string) (*time.Location, bool)
	Kind(name string) (*greentally.Kind, bool)
}

// Engine runs the rules. It is for one goroutine at a time.
type Engine struct {
	set      *Set
	registry Registry

	now     time.Time     // the latest that was seen
	watched time.Duration // for how long it has listened in all; silence is measured by this
	devices map[greentally.DeviceKey]*memory
	places  map[greentally.DeviceKey]*place // of the registry
	order   []greentally.DeviceKey          // of places, sorted
	ended   []greentally.Alert              // those that ended lately, the oldest first
	others  map[greentally.AlertKey]*greentally.Alert

	gone    []greentally.DeviceKey // left, and is still kept
	vm      vm.VM                  // evaluates all conditions
	scratch map[string]any         // what conditions see; used again for each reading
	courses [4]map[string]float64
}

// place is a device and where it stands.
type place struct {
	device    *greentally.Device
	kind      *greentally.Kind
	community *greentally.Community
	location  *time.Location
	env       deviceEnv
	facts     any // env, ready for expressions
	memory    *memory
	traced    []traced

	// The rules about the device's readings, those of its silence, and what all conditions of
	// the former ask for.
	rules             []placed
	silence           []*rule
	local, collection bool

	// The next collection, as it is for times from nextFrom to nextTo.
	next             time.Time
	nextFrom, nextTo time.Time
}

// traced is a quantity whose course is remembered, and what rules ask of it.
type traced struct {
	quantity string
	asked
}

// placed is a rule with the quantities that it needs, as bits.
type placed struct {
	*rule
	needs, before uint64
}

// bit returns the bit of a quantity of the device's kind, 0 for one that it has not. A kind
// has no 64 quantities; if it had, the last ones would count as one.
func (p *place) bit(quantity string) uint64 {
	if p.kind != nil {
		for i := range p.kind.Quantities {
			if p.kind.Quantities[i].Name == quantity {
				return 1 << min(i, 62)
			}
		}
	}
	return 0
}

// bits returns those of all quantities; one that no device of the kind has is never known.
func (p *place) bits(quantities []string) (all uint64) {
	for _, q := range quantities {
		bit := p.bit(q)
		if bit == 0 {
			bit = 1 << 63
		}
		all |= bit
	}
	return all
}

// memory is what is remembered of a device.
type memory struct {
	Heard   time.Duration      `json:"heard"` // when it spoke last, as time listened
	Last    time.Time          `json:"last"`  // time of its latest reading
	Values  map[string]*value  `json:"values"`
	Courses map[string]*course `json:"courses,omitempty"`
	Back    time.Duration      `json:"back,omitempty"` // when it spoke again after a silence, as time listened
	Emptied time.Time          `json:"emptied"`        // when it was, or when it was first heard of
	States  map[string]*state  `json:"states"`         // by rule; those that are neither waiting nor firing are left out
	changed bool               // since it was taken out
}

// state is how a rule stands with a device.
type state struct {
	Since time.Time         `json:"since"`           // when the condition began to hold
	Alert *greentally.Alert `json:"alert,omitempty"` // once it fires
}

const (
	// deaf is how much time can pass between two readings, of whatever devices, and still
	// count as listened to: what is more is a time in which nobody listened.
	deaf = 10 * time.Minute
	// clocksDiffer is by how much the clock of a device may be ahead of ours and still be believed.
	clocksDiffer = 10 * time.Minute
	// hold is for how many reporting intervals a value stands for now.
	hold = 3
	// daysLong is for how long after the beginning of its day an alert about it holds.
	daysLong = 96 * time.Hour
	// keepEnded is for how long an alert that ended is told again when all are asked for.
	keepEnded = 24 * time.Hour
	// mostEnded is of how many at the most.
	mostEnded = 1000
)

// NewEngine returns an engine that remembers nothing.
func NewEngine(set *Set, registry Registry) *Engine {
	e := &Engine{set: set, devices: map[greentally.DeviceKey]*memory{}, others: map[greentally.AlertKey]*greentally.Alert{}, scratch: map[string]any{}}
	for i := range e.courses {
		e.courses[i] = map[string]float64{}
	}
	e.SetRegistry(registry)
	return e
}

// SetRegistry tells the engine what there is now. Alerts of what left it end.
func (e *Engine) SetRegistry(registry Registry) (changed []greentally.Alert) {
	e.registry = registry
	return e.arrange()
}

// SetRules puts other rules in force. Alerts of rules that are gone, or are about something
// else now, end.
func (e *Engine) SetRules(set *Set) (changed []greentally.Alert) {
	e.set = set
	return e.arrange()
}

// arrange finds out which rules are about which device, and ends what is about none.
func (e *Engine) arrange() (changed []greentally.Alert) {
	e.places, e.order = map[greentally.DeviceKey]*place{}, nil
	for _, c := range e.registry.Communities() {
		loc, _ := e.registry.Location(c.ID)
		for _, d := range c.Devices {
			kind, _ := e.registry.Kind(d.Kind)
			p := e.place(d, kind, c, loc)
			if p.memory = e.devices[d.Key()]; p.memory == nil {
				p.memory = &memory{Heard: e.watched, Emptied: e.now, Values: map[string]*value{}, States: map[string]*state{}, changed: true}
				e.devices[d.Key()] = p.memory
			}
			for _, v := range p.memory.Values {
				v.bit = 0 // the kind can be another
			}
			e.places[d.Key()], e.order = p, append(e.order, d.Key())
		}
	}
	slices.SortFunc(e.order, func(a, b greentally.DeviceKey) int { // what is behind a gateway asks it
		return cmp.Or(cmp.Compare(len(e.places[a].device.Gateway), 0)-cmp.Compare(len(e.places[b].device.Gateway), 0), compareKeys(a, b))
	})
	for _, key := range slices.SortedFunc(maps.Keys(e.devices), compareKeys) {
		p, m := e.places[key], e.devices[key]
		for _, name := range slices.Sorted(maps.Keys(m.States)) {
			if p == nil || !slices.ContainsFunc(p.rules, func(r placed) bool { return r.Alert == name }) &&
				!slices.ContainsFunc(p.silence, func(r *rule) bool { return r.Alert == name }) {
				changed = append(changed, e.end(m, name, e.now)...)
			}
		}
		if p == nil {
			delete(e.devices, key)
			e.gone = append(e.gone, key)
		}
	}
	for key, a := range e.others {
		_, there := e.registry.Location(a.Community)
		if a.Device != "" {
			_, there = e.places[greentally.DeviceKey{Community: a.Community, Device: a.Device}]
		}
		if !there || !slices.ContainsFunc(e.set.rules, func(r *rule) bool { return r.Alert == key.Rule && (r.ofDays(a.Kind) || r.ofIndicator(a.Indicator)) }) {
			changed = append(changed, e.endOther(a))
		}
	}
	sortAlerts(changed)
	return changed
}

// place finds the rules that are about the device.
func (e *Engine) place(d *greentally.Device, kind *greentally.Kind, c *greentally.Community, loc *time.Location) *place {
	env := envOfDevice(d, kind)
	p := &place{device: d, kind: kind, community: c, location: loc, env: env, facts: env}
	if kind != nil {
		for _, name := range slices.Sorted(maps.Keys(e.set.traced[kind.Name])) {
			p.traced = append(p.traced, traced{name, e.set.traced[kind.Name][name]})
		}
	}
	for _, r := range e.set.rules {
		if !r.of(p) {
			continue
		}
		if wanted, err := e.wants(r, p); err == nil && !wanted { // an error is told when the rule is judged
			continue
		}
		if r.Absent > 0 {
			p.silence = append(p.silence, r)
			continue
		}
		p.rules = append(p.rules, placed{r, p.bits(r.needs), p.bits(r.before)})
		p.local, p.collection = p.local || r.local, p.collection || r.collection
	}
	return p
}

func compareKeys(a, b greentally.DeviceKey) int {
	return cmp.Or(strings.Compare(a.Community, b.Community), strings.Compare(a.Device, b.Device))
}

// See takes readings, in the order in which they arrived, and returns the alerts that began
// or ended by them. A reading that is older than what is known of its device changes
// nothing. The error joins what rules could not be evaluated; all others were.
func (e *Engine) See(received time.Time, readings ...greentally.Reading) (changed []greentally.Alert, err error) {
	var all []error
	for i := range readings {
		more, err := e.see(received, &readings[i])
		changed = append(changed, more...)
		all = append(all, err)
	}
	return changed, errors.Join(all...)
}

func (e *Engine) see(received time.Time, r *greentally.Reading) (changed []greentally.Alert, err error) {
	at := r.Time
	if received.Before(at) {
		at = received // a clock that is ahead does not take the others along
	}
	if at.After(e.now) {
		if !e.now.IsZero() {
			e.watched += min(deaf, at.Sub(e.now))
		}
		e.now = at
	}
	p, known := e.places[r.DeviceKey]
	if !known || r.Quality < greentally.Accepted {
		return nil, nil
	}
	m := p.memory
	if m.Emptied.IsZero() {
		m.Emptied = r.Time
	}
	if r.Measures() && r.Time.After(m.Last) { // a repetition is no sign of life
		m.Heard, m.changed = e.watched, true
	}
	var all []error
	if len(m.States) > 0 && r.Time.After(m.Last) {
		if changed, err = e.due(p, m, r.Time); err != nil {
			all = append(all, err)
		}
	}
	var news, fresh, before uint64
	changedAny := false
	for _, v := range r.Values {
		if m.take(p, v, r.Time) {
			changedAny = true
			news |= m.Values[v.Quantity].bit
		}
	}
	if r.Time.After(m.Last) {
		m.Last = r.Time
	}
	if !changedAny {
		return changed, errors.Join(all...)
	}
	m.changed = true
	e.trace(p, m)
	longest := hold * time.Duration(p.device.Interval)
	for name, v := range m.Values {
		if v.bit == 0 {
			v.bit = p.bit(name)
		}
		if r.Time.Sub(v.At) <= longest {
			fresh |= v.bit
		}
		if v.HasBefore && v.At.Sub(v.BeforeTime) <= longest {
			before |= v.bit
		}
	}
	delay := received.Sub(r.Time)
	env := e.envOf(p, m, delay, false)
	for _, rule := range p.rules {
		if rule.needs != 0 && rule.needs&news == 0 || rule.needs&^fresh != 0 || rule.before&^before != 0 {
			continue // it has been judged with what there is, or something is not known
		}
		more, err := e.judge(rule.rule, p, m, env, delay, r.Time)
		changed = append(changed, more...)
		if err != nil {
			all = append(all, err)
		}
	}
	return changed, errors.Join(all...)
}

// take remembers a value, and reports whether it is news.
func (m *memory) take(p *place, v greentally.Value, at time.Time) bool {
	known := m.Values[v.Quantity]
	if known != nil && (at.Before(known.At) || at.Equal(known.At) && known.Number == v.Number && known.Word == v.State) {
		return false
	}
	if known == nil {
		known = &value{}
		m.Values[v.Quantity] = known
	} else if at.After(known.At) {
		known.Before, known.HasBefore, known.BeforeTime = known.Number, true, known.At
	}
	known.At, known.Number, known.Word = at, v.Number, v.State
	if known.bit == 0 {
		known.bit = p.bit(v.Quantity)
	}
	if p.kind == nil {
		return true
	}
	q, ok := p.kind.Quantity(v.Quantity)
	if !ok || q.Nature == greentally.State {
		return true
	}
	level := q.Nature == greentally.Mass || q.Unit == "/" && q.Limit != nil // what can be emptied, and no temperature
	if known.HasBefore && level && emptiedBy(q.Nature, p.device, known.Before, known.Number) && at.After(m.Emptied) {
		m.Emptied = at
	}
	return true
}

// trace remembers the courses of the quantities that rules ask for.
func (e *Engine) trace(p *place, m *memory) {
	for _, t := range p.traced {
		name := t.quantity
		v, c := m.Values[name], m.Courses[name]
		if v == nil {
			continue
		}
		if c == nil {
			c = &course{}
			if m.Courses == nil {
				m.Courses = map[string]*course{}
			}
			m.Courses[name] = c
		}
		if n := len(c.Times); n == 0 || v.At.Unix() > c.Times[n-1] {
			c.add(v.At, v.Number)
		}
	}
}

// of reports whether the rule is about the readings of the device.
func (r *rule) of(p *place) bool {
	return r.Kind != "" && (r.Kind == anyKind || p.kind != nil && r.Kind == p.kind.Name)
}

// ofDays reports whether the rule is about device-days of the kind.
func (r *rule) ofDays(kind string) bool { return r.Days != "" && r.Days == kind }

// ofIndicator reports whether the rule is about the indicator.
func (r *rule) ofIndicator(name string) bool {
	return r.Indicator != "" && name != "" && (r.Indicator == anyKind || r.Indicator == name)
}

// envOf is what rules see of a device now: all of it, or what the conditions about the
// device ask for. It is good until the next call.
func (e *Engine) envOf(p *place, m *memory, delay time.Duration, all bool) map[string]any {
	env := e.scratch
	clear(env)
	env["device"], env["emptied"], env["silent"], env["ahead"] = p.facts, emptiedEnv{m.Last.Sub(m.Emptied).Hours()}, (e.watched - m.Heard).Hours(), -delay.Hours()
	if all || p.local {
		env["local"] = localOf(m.Last, p.community, p.location)
	}
	var next collectionEnv
	if all || p.collection {
		next = p.nextCollection(m.Last)
		env["collection"] = next
	}
	before, rate, lastDay, coming := e.courses[0], e.courses[1], e.courses[2], e.courses[3]
	for _, c := range e.courses {
		clear(c)
	}
	for name, v := range m.Values {
		if v.Word != "" {
			env[name] = v.Word
			continue
		}
		env[name] = v.Number
		if v.HasBefore {
			before[name] = v.Before
		}
	}
	for _, t := range p.traced {
		c := m.Courses[t.quantity]
		if c == nil {
			c = &course{}
		}
		if all || t.rate {
			rate[t.quantity] = c.rate()
		}
		if all || t.lastDay {
			lastDay[t.quantity] = c.lastDay()
		}
		if all || t.coming {
			coming[t.quantity] = c.coming(next.Hours)
		}
	}
	env["before"], env["rate"], env["last_day"], env["coming"] = before, rate, lastDay, coming
	return env
}

// judge holds the device against the rule at an instant.
func (e *Engine) judge(r *rule, p *place, m *memory, env map[string]any, delay time.Duration, at time.Time) (changed []greentally.Alert, err error) {
	known := m.States[r.Alert]
	if known != nil && known.Alert != nil && r.clear != nil {
		over, err := e.says(r, "clear", r.clear, p, env)
		if err != nil || !over {
			return nil, err
		}
		return e.end(m, r.Alert, at), nil
	}
	holds, err := e.says(r, "when", r.when, p, env)
	switch {
	case err != nil:
		return nil, err
	case !holds:
		return e.end(m, r.Alert, at), nil
	case known == nil || known.Alert == nil && r.gap(m, hold*time.Duration(p.device.Interval)): // nobody knows whether it held meanwhile
		known = &state{Since: at}
		m.States[r.Alert] = known
		m.changed = true
	}
	if known.Alert == nil && r.due(known, at) {
		return e.fire(r, p, m, delay, known.Since.Add(time.Duration(r.For)))
	}
	return nil, nil
}

// wants reports whether the rule is about the device, as far as where says.
func (e *Engine) wants(r *rule, p *place) (bool, error) {
	if r.where == nil {
		return true, nil
	}
	return e.says(r, "where", r.where, p, map[string]any{"device": p.facts})
}

// says evaluates a condition of the rule.
func (e *Engine) says(r *rule, what string, condition *vm.Program, p *place, env map[string]any) (bool, error) {
	answer, err := e.vm.Run(condition, env)
	if err != nil {
		return false, fmt.Errorf("alert %s, device %s: %s: %w", r.Alert, p.device.Key(), what, err)
	}
	return answer.(bool), nil
}

// gap reports whether a value that the condition needs was not known for a while before it
// came last.
func (r *rule) gap(m *memory, longest time.Duration) bool {
	return slices.ContainsFunc(r.needs, func(q string) bool {
		v := m.Values[q]
		return v != nil && v.HasBefore && v.At.Sub(v.BeforeTime) > longest
	})
}

// due reports whether the condition has held for as long as the rule asks.
func (r *rule) due(s *state, at time.Time) bool { return at.Sub(s.Since) >= time.Duration(r.For) }

// fire begins an alert.
func (e *Engine) fire(r *rule, p *place, m *memory, delay time.Duration, at time.Time) ([]greentally.Alert, error) {
	a := greentally.Alert{Community: p.device.Community, Rule: r.Alert, Severity: r.Severity, Device: p.device.ID, Kind: p.device.Kind, Site: p.device.Site,
		Stream: p.device.Stream, Labels: r.Labels, Title: r.Title, Quantity: r.Quantity, Since: m.States[r.Alert].Since, Fired: at}
	if gateway := p.device.Gateway; gateway != "" {
		a.Labels = with(a.Labels, "gateway", gateway)
	} else if p.device.Kind == "gateway" {
		a.Labels = with(a.Labels, "gateway", p.device.ID)
	}
	err := r.finish(&a, e.envOf(p, m, delay, true))
	m.States[r.Alert].Alert = &a
	m.changed = true
	return []greentally.Alert{a}, err
}

func with(labels map[string]string, name, value string) map[string]string {
	labels = maps.Clone(labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[name] = value
	return labels
}

// finish says in words what is the matter.
func (r *rule) finish(a *greentally.Alert, env map[string]any) error {
	var err error
	a.Summary, a.Action, err = r.say(env)
	if r.limit != nil {
		limit, limitErr := expr.Run(r.limit, env)
		if limitErr != nil {
			return errors.Join(err, fmt.Errorf("alert %s: limit: %w", r.Alert, limitErr))
		}
		if v := limit.(float64); !math.IsNaN(v) && !math.IsInf(v, 0) {
			a.Limit = &v
		}
	}
	return err
}

// end ends what there is of the rule with the device: an alert, or the waiting for one.
func (e *Engine) end(m *memory, rule string, at time.Time) []greentally.Alert {
	s := m.States[rule]
	if s == nil {
		return nil
	}
	delete(m.States, rule)
	m.changed = true
	if s.Alert == nil {
		return nil
	}
	if at.Before(s.Alert.Fired) {
		at = s.Alert.Fired
	}
	return []greentally.Alert{e.over(*s.Alert, at)}
}

// over remembers an alert that ended.
func (e *Engine) over(a greentally.Alert, at time.Time) greentally.Alert {
	a.Ended = &at
	e.ended = append(e.ended, a)
	return a
}

// Pass lets time pass without readings, and returns what began or ended by that: silence,
// and conditions that have held for long enough. It is called often, and only while nothing
// waits to be seen.
func (e *Engine) Pass(d time.Duration) (changed []greentally.Alert, err error) {
	e.watched += max(0, d)
	return e.Miss(d)
}

// Miss lets time pass like Pass, in which nobody listened, so that nobody was silent.
func (e *Engine) Miss(d time.Duration) (changed []greentally.Alert, err error) {
	if e.now.IsZero() || d <= 0 {
		return nil, nil
	}
	e.now = e.now.Add(d)
	return e.look()
}

// SetBack tells the engine that it is no later than now, and that what it saw of a later time was
// dated by a clock that was ahead: it forgets that, or nothing of what comes would count until
// then. Alerts that hold go on holding until what comes ends them.
func (e *Engine) SetBack(now time.Time) {
	if !e.now.After(now) {
		return
	}
	e.now = now
	limit := now.Add(clocksDiffer)
	for _, m := range e.devices {
		if !m.Last.After(limit) {
			continue
		}
		m.Last, m.changed = now, true
		clear(m.Values)
		m.Courses = nil
		if m.Emptied.After(limit) {
			m.Emptied = now
		}
		for _, s := range m.States {
			if s.Since.After(limit) {
				s.Since = now
			}
		}
	}
}

// Now is the engine's time.
func (e *Engine) Now() time.Time { return e.now }

// look looks at all devices for what time alone brings.
func (e *Engine) look() (changed []greentally.Alert, err error) {
	var all []error
	for _, key := range e.order {
		p := e.places[key]
		m := p.memory
		for _, r := range p.silence {
			more, err := e.silence(r, p, m)
			changed, all = append(changed, more...), append(all, err)
		}
		if len(m.States) > 0 {
			more, err := e.due(p, m, e.now)
			changed, all = append(changed, more...), append(all, err)
		}
	}
	for _, a := range e.holding() {
		if a.Device != "" && e.now.Sub(a.Since) > daysLong {
			changed = append(changed, e.endOther(e.others[a.Key()]))
		}
	}
	for len(e.ended) > 0 && (len(e.ended) > mostEnded || e.now.Sub(*e.ended[0].Ended) > keepEnded) {
		e.ended = e.ended[1:]
	}
	return changed, errors.Join(all...)
}

// due begins the alerts that became due, up to an instant, while what was known last of the
// device still stood for now.
func (e *Engine) due(p *place, m *memory, until time.Time) (changed []greentally.Alert, err error) {
	var all []error
	for _, r := range p.rules {
		s := m.States[r.Alert]
		if s != nil && s.Alert == nil && r.due(s, until) && s.Since.Add(time.Duration(r.For)).Sub(m.Last) <= hold*time.Duration(p.device.Interval) {
			more, err := e.fire(r.rule, p, m, 0, s.Since.Add(time.Duration(r.For)))
			changed, all = append(changed, more...), append(all, err)
		}
	}
	return changed, errors.Join(all...)
}

// silence begins and ends the alert of a device that does not speak.
func (e *Engine) silence(r *rule, p *place, m *memory) ([]greentally.Alert, error) {
	limit := time.Duration(r.Absent * float64(p.device.Interval))
	heard := m.Heard
	if gateway, ok := e.places[greentally.DeviceKey{Community: p.device.Community, Device: p.device.Gateway}]; ok {
		// The silence of the gateway is to be known first, and while that holds nobody can
		// hear the device.
		limit += time.Duration(p.device.Interval)
		heard = max(heard, gateway.memory.Back)
	}
	s, silent := m.States[r.Alert], e.watched-heard
	switch {
	case silent < limit:
		if s != nil {
			m.Back = e.watched
		}
		at := m.Last
		if heard != m.Heard {
			at = e.now
		}
		return e.end(m, r.Alert, at), nil
	case s == nil:
		since := e.now.Add(-silent)
		m.States[r.Alert] = &state{Since: since}
		return e.fire(r, p, m, 0, since.Add(limit))
	}
	return nil, nil
}

// SeeDay takes a device-day, and what people attest of the device; records that others
// replace do not count.
func (e *Engine) SeeDay(d greentally.DeviceDay, records []greentally.Record) (changed []greentally.Alert, err error) {
	p, ok := e.places[d.DeviceKey]
	if !ok || e.now.IsZero() || e.now.Sub(d.Start) > 72*time.Hour { // of what was long ago nobody wants a mail
		return nil, nil
	}
	var all []error
	var env map[string]any
	for _, r := range e.set.rules {
		if p.kind == nil || !r.ofDays(p.kind.Name) {
			continue
		}
		if env == nil {
			env = envOfDeviceDay(&d, p.env, greentally.InForce(records))
		}
		if slices.ContainsFunc(r.needs, func(q string) bool { return env[q] == nil }) {
			continue // the day lacks what the rule is about
		}
		more, err := e.other(r, env, greentally.Alert{Community: d.Community, Device: d.Device, Kind: d.Kind, Site: d.Site, Stream: d.Stream, Since: d.Start}, d.Date.String())
		changed, all = append(changed, more...), append(all, err)
	}
	return changed, errors.Join(all...)
}

// SeeIndicators takes the indicators of a community's month, when so many days of it are over.
func (e *Engine) SeeIndicators(values []greentally.IndicatorValue, over int) (changed []greentally.Alert, err error) {
	var all []error
	for i := range values {
		v := &values[i]
		loc, ok := e.registry.Location(v.Community)
		if !ok || greentally.DateOf(e.now, loc).MonthOf() != v.Month {
			continue
		}
		for _, r := range e.set.rules {
			if r.ofIndicator(v.Indicator) {
				more, err := e.other(r, envOfIndicator(v, over, e.watched), greentally.Alert{Community: v.Community, Indicator: v.Indicator, Since: e.now}, v.Month.String())
				changed, all = append(changed, more...), append(all, err)
			}
		}
	}
	return changed, errors.Join(all...)
}

// other holds something that is no reading against a rule. of is which day or month it is
// about: that of a day is ended by the same day, when that is tallied again, or after some
// days; that of a month by a later one, too.
func (e *Engine) other(r *rule, env map[string]any, about greentally.Alert, of string) ([]greentally.Alert, error) {
	about.Rule, about.Severity, about.Title, about.Quantity = r.Alert, r.Severity, r.Title, r.Quantity
	about.Labels = with(r.Labels, "of", of)
	key := about.Key()
	known := e.others[key]
	if p, ok := e.places[greentally.DeviceKey{Community: about.Community, Device: about.Device}]; ok {
		if wanted, err := e.wants(r, p); err != nil || !wanted {
			return nil, err
		}
	}
	holds, err := e.vm.Run(r.when, env)
	if err != nil {
		return nil, fmt.Errorf("alert %s, %s: when: %w", r.Alert, cmp.Or(about.Device, about.Indicator), err)
	}
	switch {
	case !holds.(bool) && known != nil && (known.Labels["of"] == of || known.Device == "" && known.Labels["of"] < of):
		return []greentally.Alert{e.endOther(known)}, nil
	case holds.(bool) && known == nil:
		about.Fired = e.now
		err := r.finish(&about, env)
		e.others[key] = &about
		return []greentally.Alert{about}, err
	}
	return nil, nil
}

// holding returns the alerts about days and indicators that hold, in order.
func (e *Engine) holding() []greentally.Alert {
	all := make([]greentally.Alert, 0, len(e.others))
	for _, a := range e.others {
		all = append(all, *a)
	}
	sortAlerts(all)
	return all
}

func (e *Engine) endOther(a *greentally.Alert) greentally.Alert {
	delete(e.others, a.Key())
	return e.over(*a, e.now)
}

// Alerts returns those that hold, and those that ended within the last day.
func (e *Engine) Alerts() []greentally.Alert {
	all := slices.Clone(e.ended)
	for _, m := range e.devices {
		for _, s := range m.States {
			if s.Alert != nil {
				all = append(all, *s.Alert)
			}
		}
	}
	all = append(all, e.holding()...)
	sortAlerts(all)
	return all
}

func sortAlerts(all []greentally.Alert) { slices.SortStableFunc(all, greentally.CompareAlerts) }
