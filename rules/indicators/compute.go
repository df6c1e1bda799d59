package indicators

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/expr-lang/expr"

	"greentally"
)

// Evidence is what the indicators of one community over one month are computed from.
type Evidence struct {
	Community *greentally.Community
	Month     greentally.Month

	// Through is the last day that counts: the last of the month, or the last that is
	// over. If it is before the month, no day counts.
	Through greentally.Date

	Days    []greentally.DeviceDay // of the month; others are left out
	Records []greentally.Record    // all of the community, as far back as inputs look; those that none replaces count
}

// Compute computes all indicators, sorted by name. One that cannot be computed from the
// evidence has no value, and says why.
func (s *Set) Compute(e Evidence) []greentally.IndicatorValue {
	g := gather(e)
	values := make([]greentally.IndicatorValue, 0, len(s.indicators))
	for _, ind := range s.indicators {
		v, err := ind.compute(g)
		if err != nil { // of this indicator alone, and no trying again helps
			v.Value, v.Numerator, v.Denominator, v.Verdict = nil, nil, nil, greentally.InsufficientData
			v.Reason = "it cannot be computed: " + err.Error()
		}
		values = append(values, v)
	}
	return values
}

// gathered is evidence, arranged.
type gathered struct {
	Evidence
	expected int                             // days that count
	days     map[string][]*dayOf             // by device
	devices  []*greentally.Device            // by ID
	envs     map[string]deviceEnv            // by device
	records  map[string][]*greentally.Record // by type
}

type dayOf struct {
	*greentally.DeviceDay
	env map[string]any // made when it is first used
}

func gather(e Evidence) *gathered {
	g := &gathered{Evidence: e, days: map[string][]*dayOf{}, envs: map[string]deviceEnv{}, records: map[string][]*greentally.Record{}}
	last := e.Through
	if e.Month.Last().Before(last) {
		last = e.Month.Last()
	}
	for d := e.Month.First(); !last.Before(d); d = d.Add(1) {
		g.expected++
	}
	g.devices = slices.SortedFunc(slices.Values(e.Community.Devices), func(a, b *greentally.Device) int { return strings.Compare(a.ID, b.ID) })
	for _, d := range g.devices {
		g.envs[d.ID] = envOfDevice(d, e.Community.Latitude)
	}
	for i := range e.Days {
		d := &e.Days[i]
		if d.Community == e.Community.ID && !d.Date.Before(e.Month.First()) && !last.Before(d.Date) {
			g.days[d.Device] = append(g.days[d.Device], &dayOf{DeviceDay: d})
		}
	}
	records := greentally.InForce(e.Records)
	for i := range records {
		r := &records[i]
		if r.Community == e.Community.ID {
			g.records[r.Type] = append(g.records[r.Type], r)
		}
	}
	return g
}

func envOfCommunity(c *greentally.Community) communityEnv {
	env := communityEnv{float64(c.Households), float64(c.Population), c.AreaM2, map[string]float64{}}
	for _, d := range c.Devices {
		env.Devices[d.Kind]++
	}
	return env
}

func (ind *indicator) compute(g *gathered) (greentally.IndicatorValue, error) {
	v := greentally.IndicatorValue{
		Community: g.Community.ID, Month: g.Month, Indicator: ind.Indicator, Title: ind.Title, Unit: ind.Unit,
		Floor: ind.Completeness, Target: ind.Target, Completeness: 1, Verdict: greentally.InsufficientData,
	}
	formula := map[string]any{"community": envOfCommunity(g.Community)}
	type lack struct{ inputs, reason string }
	var missing []lack
	present := false
	for i := range ind.inputs {
		sum := ind.inputs[i].sum
		if ind.inputs[i].Record != "" {
			sum = ind.inputs[i].sumRecords
		}
		in, reason, err := sum(g)
		if err != nil {
			return v, err
		}
		if len(in.Devices)+len(in.Records) == 0 && slices.Contains(ind.Optional, in.Name) {
			formula[in.Name] = 0.0
			continue
		}
		present = true
		v.Inputs = append(v.Inputs, in)
		v.Completeness = min(v.Completeness, in.Completeness)
		v.EstimatedShare = max(v.EstimatedShare, in.EstimatedShare)
		if in.Value == nil {
			if n := len(missing); n > 0 && missing[n-1].reason == reason { // say it once
				missing[n-1].inputs += ", " + in.Name
			} else {
				missing = append(missing, lack{in.Name, reason})
			}
			continue
		}
		formula[in.Name] = *in.Value
	}
	if !present {
		v.Completeness = 0
		missing = append(missing, lack{"inputs", "nothing is meant by any of them"})
	}
	if len(missing) > 0 {
		for i, m := range missing {
			if i > 0 {
				v.Reason += "; "
			}
			v.Reason += m.inputs + ": " + m.reason
		}
		return v, nil
	}
	for _, part := range []struct {
		to   **float64
		from func() (any, error)
	}{
		{&v.Numerator, func() (any, error) { return expr.Run(ind.numerator, formula) }},
		{&v.Denominator, func() (any, error) { return expr.Run(ind.denominator, formula) }},
	} {
		result, err := part.from()
		if err != nil {
			return v, err
		}
		number := result.(float64)
		*part.to = &number
	}
	if *v.Denominator == 0 {
		v.Reason = "the denominator is 0"
		return v, nil
	}
	value := *v.Numerator / *v.Denominator
	v.Value = &value
	switch {
	case v.Completeness < v.Floor:
		v.Reason = fmt.Sprintf("completeness %.3f is below %.3f", v.Completeness, v.Floor)
	case v.Target == nil:
		v.Verdict = greentally.NoTarget
	case v.Target.AtLeast != nil && value >= *v.Target.AtLeast, v.Target.AtMost != nil && value <= *v.Target.AtMost:
		v.Verdict = greentally.Pass
	default:
		v.Verdict = greentally.Fail
	}
	return v, nil
}

// lamps returns how many lamps the device's circuit has on the day, as was declared last.
func (g *gathered) lamps(device *greentally.Device, date greentally.Date) float64 {
	lamps := float64(device.Lamps)
	var since greentally.Date
	for _, r := range g.records[greentally.LampsChanged] {
		if r.Device == device.ID && !date.Before(r.Date) && !r.Date.Before(since) {
			lamps, since = r.Values["lamps"], r.Date
		}
	}
	return lamps
}

// recordsOf returns the records of the type whose date is in so many months up to the
// month of the evidence, oldest first.
func (g *gathered) recordsOf(name string, months int) []*greentally.Record {
	first := g.Month
	for range months - 1 {
		first = first.First().Add(-1).MonthOf()
	}
	var found []*greentally.Record
	for _, r := range g.records[name] {
		if !r.Date.Before(first.First()) && !g.Month.Last().Before(r.Date) {
			found = append(found, r)
		}
	}
	slices.SortStableFunc(found, func(a, b *greentally.Record) int {
		return cmp.Or(strings.Compare(a.Date.String(), b.Date.String()), strings.Compare(a.ID, b.ID))
	})
	return found
}

// sumRecords adds up what the records contribute.
func (in *compiled) sumRecords(g *gathered) (v greentally.InputValue, reason string, err error) {
	v.Name = in.name
	var total greentally.Amount
	var counted []*greentally.Record
	for _, r := range g.recordsOf(in.Record, in.Months) {
		if slices.ContainsFunc(in.needs, func(name string) bool { _, has := r.Values[name]; return !has }) {
			continue
		}
		wanted, err := expr.Run(in.where, map[string]any{"record": envOfRecord(r)})
		if err != nil {
			return v, "", err
		}
		if wanted.(bool) {
			counted = append(counted, r)
		}
	}
	if in.Latest && len(counted) > 1 {
		counted = counted[len(counted)-1:]
	}
	for _, r := range counted {
		env := map[string]any{"record": envOfRecord(r)}
		for name, number := range r.Values {
			env[name] = number
		}
		result, err := expr.Run(in.value, env)
		if err != nil {
			return v, "", fmt.Errorf("input %s, record %s: %w", in.name, r.ID, err)
		}
		amount, ok := greentally.AmountOf(result.(float64))
		if !ok {
			return v, "", fmt.Errorf("input %s, record %s: %v is no amount", in.name, r.ID, result)
		}
		if total, ok = plus(total, amount); !ok {
			return v, "", fmt.Errorf("input %s: the sum is too large", in.name)
		}
		v.Records = append(v.Records, r.ID)
	}
	if len(counted) == 0 {
		when := "in " + g.Month.String()
		if in.Months > 1 {
			when = fmt.Sprintf("in the %d months to %s", in.Months, g.Month)
		}
		return v, fmt.Sprintf("there is no %s %s that says it", in.Record, when), nil
	}
	value := total.Float()
	v.Value, v.Completeness = &value, 1
	return v, "", nil
}

// plus adds two amounts; false if the sum is none.
func plus(a, b greentally.Amount) (greentally.Amount, bool) {
	sum := a + b
	return sum, (sum > a) == (b > 0)
}

func envOfRecord(r *greentally.Record) recordEnv {
	env := recordEnv{Stream: string(r.Stream), Device: r.Device, Texts: r.Texts, Closed: r.End != nil}
	if env.Texts == nil {
		env.Texts = map[string]string{}
	}
	if r.At != nil && r.End != nil {
		env.Hours = r.End.Sub(*r.At).Hours()
	}
	return env
}

// sum adds up what the device-days contribute. If the value is missing, reason says
// why. Contributions are rounded to millionths before they are added, so that the sum
// does not depend on their order.
func (in *compiled) sum(g *gathered) (v greentally.InputValue, reason string, err error) {
	v.Name = in.name
	var total greentally.Amount
	var size, estimated greentally.Amount // of the contributions, signs aside
	var covered float64
	expected, counted := 0, 0
	factors := map[greentally.Stream]*mean{}
	for _, device := range g.devices {
		if device.Kind != in.Kind {
			continue
		}
		if in.where != nil {
			wanted, err := expr.Run(in.where, map[string]any{"device": g.envs[device.ID]})
			if err != nil {
				return v, "", err
			}
			if !wanted.(bool) {
				continue
			}
		}
		v.Devices = append(v.Devices, device.ID)
		expected += g.expected
		for _, day := range g.days[device.ID] {
			if day.env == nil {
				own := g.envs[device.ID]
				own.Lamps = g.lamps(device, day.Date)
				day.env = envOfDay(day.DeviceDay, own, g.Community.Latitude)
			}
			if slices.ContainsFunc(in.needs, func(q string) bool { return day.env[q] == nil }) {
				continue // missing, and so not covered
			}
			result, err := expr.Run(in.value, day.env)
			if err != nil {
				return v, "", fmt.Errorf("input %s, device-day %s %s: %w", in.name, day.DeviceKey, day.Date, err)
			}
			contribution := result.(float64)
			if in.Times != nil && contribution != 0 {
				factor := factors[device.Stream]
				if factor == nil {
					factor = in.Times.mean(g.recordsOf(in.Times.Record, 1), device.Stream)
					factors[device.Stream] = factor
				}
				contribution *= factor.value
			}
			amount, ok := greentally.AmountOf(contribution)
			if !ok {
				return v, "", fmt.Errorf("input %s, device-day %s %s: %v is no amount", in.name, day.DeviceKey, day.Date, contribution)
			}
			if total, ok = plus(total, amount); !ok {
				return v, "", fmt.Errorf("input %s: the sum is too large", in.name)
			}
			size += max(amount, -amount)
			if in.restsOnEstimates(day) {
				estimated += max(amount, -amount)
			}
			covered += day.Completeness()
			counted++
		}
	}
	if expected > 0 {
		v.Completeness = covered / float64(expected)
	}
	for _, stream := range slices.Sorted(maps.Keys(factors)) {
		f := factors[stream]
		v.Records = append(v.Records, f.records...)
		if len(f.records) == 0 {
			reason = fmt.Sprintf("there is no %s of the stream %s in %s", in.Times.Record, stream, g.Month)
			return v, reason, nil
		}
	}
	switch {
	case len(v.Devices) == 0:
		return v, fmt.Sprintf("no device of kind %s is meant by it", in.Kind), nil
	case g.expected == 0:
		return v, "no day of the month is over yet", nil
	case counted == 0:
		return v, fmt.Sprintf("none of %d devices has a device-day", len(v.Devices)), nil
	}
	value := total.Float()
	v.Value = &value
	if size > 0 {
		v.EstimatedShare = estimated.Float() / size.Float()
	}
	return v, "", nil
}

// restsOnEstimates reports whether a mass that the input uses is estimated on the day.
func (in *compiled) restsOnEstimates(day *dayOf) bool {
	return slices.ContainsFunc(in.needs, func(q string) bool {
		m, ok := day.Masses[q]
		return ok && m.Evidence == greentally.Estimated
	})
}

// mean is a weighted mean over records.
type mean struct {
	value   float64
	records []string
}

func (f *factor) mean(records []*greentally.Record, stream greentally.Stream) *mean {
	var m mean
	var sum, weights float64
	for _, r := range records {
		value, has := r.Values[f.Value]
		weight := r.Values[f.Weight]
		if r.Stream != stream || !has || weight <= 0 {
			continue
		}
		sum += value * weight
		weights += weight
		m.records = append(m.records, r.ID)
	}
	if weights > 0 {
		m.value = sum / weights
	}
	return &m
}
