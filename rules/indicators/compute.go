package indicators

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"

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

	// Alerts that fired in the month count, unless after Through; what ended after Through
	// counts up to its end. Location says when days begin; nil is UTC.
	Alerts   []greentally.Alert
	Location *time.Location
}

// Compute computes all indicators, sorted by name. One that cannot be computed from the
// evidence has no value, and says why.
func (s *Set) Compute(e Evidence) []greentally.IndicatorValue {
	values, _ := s.compute(gather(e))
	return values
}

// Workings computes all indicators, and returns how each came about, too.
func (s *Set) Workings(e Evidence) ([]greentally.IndicatorValue, []greentally.Working) {
	g := gather(e)
	g.working = true
	return s.compute(g)
}

func (s *Set) compute(g *gathered) ([]greentally.IndicatorValue, []greentally.Working) {
	values := make([]computed, len(s.indicators))
	for _, first := range []bool{true, false} { // those that others take from, and then the others
		var these []int
		for i, ind := range s.indicators {
			if first != slices.ContainsFunc(ind.inputs, func(in compiled) bool { return in.Indicator != "" }) {
				these = append(these, i)
			}
		}
		onAllCores(len(these), func(n int) {
			ind := s.indicators[these[n]]
			v, parts, inputs, err := ind.compute(g)
			if err != nil { // of this indicator alone, and no trying again helps
				v.Value, v.Numerator, v.Denominator, v.Uncertainty, v.Verdict = nil, nil, nil, nil, greentally.InsufficientData
				v.Reason, v.Lacks = greentally.Textf("无法计算：%v", "it cannot be computed: %v", err), nil
				parts = nil
			}
			values[these[n]] = computed{v, parts, inputs}
		})
		for _, i := range these {
			g.done[s.indicators[i].Indicator] = values[i]
		}
	}
	all := make([]greentally.IndicatorValue, len(values))
	var workings []greentally.Working
	for i, v := range values {
		all[i] = v.IndicatorValue
		if g.working {
			workings = append(workings, s.indicators[i].working(g, v.inputs))
		}
	}
	return all, workings
}

// onAllCores calls do for 0 to n-1 and returns when all are done.
func onAllCores(n int, do func(int)) {
	var wait sync.WaitGroup
	var next atomic.Int64
	for range min(n, runtime.GOMAXPROCS(0)) {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	wait.Wait()
}

// computed is an indicator that others can take from.
type computed struct {
	greentally.IndicatorValue
	uncertainties map[string]float64 // standard, of numerator and denominator, by these names
	inputs        []summed
}

// gathered is evidence, arranged.
type gathered struct {
	Evidence
	expected int                             // days that count
	days     map[string][]*dayOf             // by device
	devices  []*greentally.Device            // by ID
	envs     map[string]deviceEnv            // by device
	records  map[string][]*greentally.Record // by type
	done     map[string]computed             // indicators, by name
	working  bool                            // whether it is kept how all comes about
}

type dayOf struct {
	*greentally.DeviceDay
	env map[string]any
}

func gather(e Evidence) *gathered {
	g := &gathered{Evidence: e, days: map[string][]*dayOf{}, envs: map[string]deviceEnv{}, records: map[string][]*greentally.Record{}, done: map[string]computed{}}
	last := e.Through
	if e.Month.Last().Before(last) {
		last = e.Month.Last()
	}
	for d := e.Month.First(); !last.Before(d); d = d.Add(1) {
		g.expected++
	}
	g.devices = slices.SortedFunc(slices.Values(e.Community.Devices), func(a, b *greentally.Device) int { return strings.Compare(a.ID, b.ID) })
	for _, d := range g.devices {
		g.envs[d.ID] = envOfDevice(d, e.Community)
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
	onAllCores(len(g.devices), func(i int) {
		device := g.devices[i]
		for _, day := range g.days[device.ID] {
			own := g.envs[device.ID]
			own.Lamps = g.lamps(device, day.Date)
			day.env = envOfDay(day.DeviceDay, own, e.Community.Latitude)
		}
	})
	return g
}

func envOfCommunity(c *greentally.Community) communityEnv {
	env := communityEnv{float64(c.Households), float64(c.Population), c.AreaM2, c.Grid, map[string]float64{}}
	for _, d := range c.Devices {
		env.Devices[d.Kind]++
	}
	return env
}

// summed is an input, summed up.
type summed struct {
	greentally.InputValue
	size, estimated float64 // of what it sums, if that rests on masses, and of that the estimated part
	uncertainty     float64 // standard

	reason greentally.Text // why there is no value
	lacks  []string        // types of record, of which there would have to be one

	rows  []greentally.WorkingRow // if these are kept
	times *greentally.TimesWorking
}

// compute also returns the standard uncertainties of numerator and denominator.
func (ind *indicator) compute(g *gathered) (v greentally.IndicatorValue, parts map[string]float64, inputs []summed, err error) {
	v = greentally.IndicatorValue{
		Community: g.Community.ID, Month: g.Month, Indicator: ind.Indicator, Title: ind.Title, Unit: ind.Unit,
		Source: ind.Source, Verified: ind.Verified, DisplayOnly: ind.displayOnly,
		Floor: ind.Completeness, Target: ind.Target, Completeness: 1, Verdict: greentally.InsufficientData,
	}
	formula := map[string]any{"community": envOfCommunity(g.Community)}
	var missing []greentally.Text
	present := false
	var size, estimated float64
	for i := range ind.inputs {
		in, err := ind.inputs[i].sum(g, ind)
		if err != nil {
			return v, nil, inputs, err
		}
		if len(in.Devices)+len(in.Records)+len(in.Alerts) == 0 && slices.Contains(ind.Optional, in.Name) {
			formula[in.Name] = 0.0
			continue
		}
		present = present || in.Factor == nil
		inputs = append(inputs, in)
		v.Inputs = append(v.Inputs, in.InputValue)
		v.Completeness = min(v.Completeness, in.Completeness)
		size += in.size
		estimated += in.estimated
		if in.Value == nil {
			missing = append(missing, in.reason)
			v.Lacks = append(v.Lacks, in.lacks...)
			continue
		}
		formula[in.Name] = *in.Value
	}
	if size > 0 {
		v.EstimatedShare = estimated / size
	}
	if !present {
		v.Completeness = 0
		missing = append(missing, greentally.Text{ZH: "没有任何可计入的设备或记录", EN: "there is no device and no record that counts"})
	}
	if len(missing) > 0 {
		slices.Sort(v.Lacks)
		v.Reason, v.Lacks = because(missing), slices.Compact(v.Lacks)
		return v, nil, inputs, nil
	}
	numerator, denominator, err := ind.evaluate(formula)
	if err != nil {
		return v, nil, inputs, err
	}
	v.Numerator, v.Denominator = &numerator, &denominator
	if denominator == 0 {
		v.Reason = greentally.Text{ZH: "分母为 0", EN: "the denominator is 0"}
		return v, nil, inputs, nil
	}
	value := numerator / denominator
	v.Value = &value
	if ind.stated {
		of, err := ind.propagate(formula, inputs)
		if err != nil {
			return v, nil, inputs, err
		}
		expanded := 2 * of["value"]
		v.Uncertainty, v.Assumptions, parts = &expanded, ind.Assumptions, of
		for _, in := range inputs {
			v.Assumptions = append(slices.Clip(v.Assumptions), g.done[in.Indicator].Assumptions...)
		}
	}
	switch {
	case v.Completeness < v.Floor:
		v.Reason = greentally.Textf("完整度 %s，低于要求的 %s", "completeness %s is below the %s that is needed", greentally.Percent(v.Completeness), greentally.Percent(v.Floor))
	case v.Target == nil:
		v.Verdict = greentally.NoTarget
	case v.Target.AtLeast != nil && value >= *v.Target.AtLeast, v.Target.AtMost != nil && value <= *v.Target.AtMost:
		v.Verdict = greentally.Pass
	default:
		v.Verdict = greentally.Fail
	}
	return v, parts, inputs, nil
}

func (ind *indicator) evaluate(formula map[string]any) (numerator, denominator float64, err error) {
	n, err := expr.Run(ind.numerator, formula)
	if err != nil {
		return 0, 0, err
	}
	d, err := expr.Run(ind.denominator, formula)
	if err != nil {
		return 0, 0, err
	}
	return n.(float64), d.(float64), nil
}

// propagate returns the standard uncertainties of numerator, denominator and value: each
// input is moved by its own to either side, and what the result moves by is added in
// quadrature (JCGM 100:2008, 5.1.2 and 5.1.3 note 2, for inputs that do not depend on each
// other; a meter's error in use and baseline pulls the same way, so that this states more
// than there is rather than less).
func (ind *indicator) propagate(formula map[string]any, inputs []summed) (map[string]float64, error) {
	squares := map[string]float64{}
	for _, in := range inputs {
		if in.uncertainty == 0 {
			continue
		}
		moved := maps.Clone(formula)
		moved[in.Name] = *in.Value + in.uncertainty
		n1, d1, err := ind.evaluate(moved)
		if err != nil {
			return nil, err
		}
		moved[in.Name] = *in.Value - in.uncertainty
		n2, d2, err := ind.evaluate(moved)
		if err != nil {
			return nil, err
		}
		if d1 == 0 || d2 == 0 {
			return nil, fmt.Errorf("the uncertainty of %s is as large as the denominator", in.Name)
		}
		for name, change := range map[string]float64{"numerator": n1 - n2, "denominator": d1 - d2, "value": n1/d1 - n2/d2} {
			squares[name] += change * change / 4
		}
	}
	for name, square := range squares {
		squares[name] = math.Sqrt(square)
	}
	return squares, nil
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

// sum adds up what the input means. If there is no value, the reason says why.
func (in *compiled) sum(g *gathered, ind *indicator) (summed, error) {
	switch {
	case in.Record != "":
		return in.sumRecords(g, ind)
	case in.Alert != "":
		return in.sumAlerts(g)
	case in.Factor != "":
		return in.takeFactor(g)
	case in.Indicator != "":
		return in.takePart(g), nil
	}
	return in.sumDays(g)
}

// sumAlerts adds up what the alerts of the rule contribute. One that did not end yet counts
// as if it ended with what counts.
func (in *compiled) sumAlerts(g *gathered) (v summed, err error) {
	v.Name, v.Completeness = in.name, 1 // of alerts; how much of the month was watched, other inputs say
	loc := cmp.Or(g.Location, time.UTC)
	from, to, until := g.Month.First().Start(loc), g.Month.Next().First().Start(loc), g.Through.Add(1).Start(loc)
	var total greentally.Amount
	for i := range g.Alerts {
		a := &g.Alerts[i]
		if a.Rule != in.Alert || a.Community != g.Community.ID || a.Fired.Before(from) || !a.Fired.Before(to) || !a.Fired.Before(until) {
			continue
		}
		env := alertEnv{a.Device, a.Site, string(a.Stream), until.Sub(a.Since).Hours(), false}
		if a.Ended != nil && a.Ended.Before(until) {
			env.Hours, env.Ended = a.Ended.Sub(a.Since).Hours(), true
		}
		wanted, err := expr.Run(in.where, map[string]any{"alert": env})
		if err != nil {
			return v, err
		}
		if !wanted.(bool) {
			continue
		}
		result, err := expr.Run(in.value, map[string]any{"alert": env})
		if err != nil {
			return v, fmt.Errorf("input %s, alert of %s at %s: %w", in.name, a.Device, a.Fired, err)
		}
		amount, ok := greentally.AmountOf(result.(float64))
		if !ok {
			return v, fmt.Errorf("input %s, alert of %s at %s: %v is no amount", in.name, a.Device, a.Fired, result)
		}
		if total, ok = plus(total, amount); !ok {
			return v, fmt.Errorf("input %s: the sum is too large", in.name)
		}
		if g.working {
			v.rows = append(v.rows, greentally.WorkingRow{Device: a.Device, Time: a.Fired, Stream: a.Stream, Facts: in.facts(map[string]any{"alert": env}), Amount: amount})
		}
		v.Alerts = append(v.Alerts, greentally.AlertSpan{Device: a.Device, Since: a.Since, Ended: a.Ended})
	}
	if len(v.Alerts) == 0 {
		v.reason = noAlert(in.title, g.Month)
		return v, nil
	}
	value := total.Float()
	v.Value = &value
	return v, nil
}

// takeFactor takes the factor as it was at the end of the month.
func (in *compiled) takeFactor(g *gathered) (s summed, err error) {
	s.Name = in.name
	of, err := expr.Run(in.of, map[string]any{"community": envOfCommunity(g.Community)})
	if err != nil {
		return s, err
	}
	v, ok := in.factor.At(g.Month.Last(), of.(string))
	if !ok {
		s.reason = noFactor(&in.factor, of.(string), g.Month.Last())
		return s, nil
	}
	s.Value, s.Completeness, s.Factor = &v.Value, 1, &v
	return s, nil
}

// takePart takes a part of another indicator.
func (in *compiled) takePart(g *gathered) (s summed) {
	other := g.done[in.Indicator]
	s.Name, s.Indicator, s.Completeness, s.EstimatedShare = in.name, in.Indicator, other.Completeness, other.EstimatedShare
	s.reason, s.lacks = greentally.Textf("%s：%s", "%s: %s", other.Title, other.Reason), other.Lacks
	for _, input := range other.Inputs {
		s.Devices = append(s.Devices, input.Devices...)
		s.Records = append(s.Records, input.Records...)
	}
	slices.Sort(s.Devices)
	slices.Sort(s.Records)
	s.Devices, s.Records = slices.Compact(s.Devices), slices.Compact(s.Records)
	s.Value = map[string]*float64{"numerator": other.Numerator, "denominator": other.Denominator}[in.Part]
	s.uncertainty = other.uncertainties[in.Part]
	s.size, s.estimated = 1, other.EstimatedShare
	return s
}

// sumRecords adds up what the records contribute.
func (in *compiled) sumRecords(g *gathered, ind *indicator) (v summed, err error) {
	v.Name = in.name
	var total greentally.Amount
	var counted []*greentally.Record
	for _, r := range g.recordsOf(in.Record, ind.Months) {
		if slices.ContainsFunc(in.needs, func(name string) bool { _, has := r.Values[name]; return !has }) {
			continue
		}
		wanted, err := expr.Run(in.where, map[string]any{"record": envOfRecord(r)})
		if err != nil {
			return v, err
		}
		if wanted.(bool) {
			counted = append(counted, r)
		}
	}
	if ind.Latest && len(counted) > 1 {
		counted = counted[len(counted)-1:]
	}
	for _, r := range counted {
		env := map[string]any{"record": envOfRecord(r)}
		for name, number := range r.Values {
			env[name] = number
		}
		result, err := expr.Run(in.value, env)
		if err != nil {
			return v, fmt.Errorf("input %s, record %s: %w", in.name, r.ID, err)
		}
		amount, ok := greentally.AmountOf(result.(float64))
		if !ok {
			return v, fmt.Errorf("input %s, record %s: %v is no amount", in.name, r.ID, result)
		}
		if total, ok = plus(total, amount); !ok {
			return v, fmt.Errorf("input %s: the sum is too large", in.name)
		}
		if g.working {
			v.rows = append(v.rows, greentally.WorkingRow{Device: r.Device, Date: r.Date, ID: r.ID, Stream: r.Stream, Facts: in.facts(env), Amount: amount})
		}
		v.Records = append(v.Records, r.ID)
	}
	if len(counted) == 0 {
		v.reason, v.lacks = noRecord(in.meant(), g.Month, ind.Months), []string{in.Record}
		return v, nil
	}
	value := total.Float()
	v.Value, v.Completeness = &value, 1
	return v, nil
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

// sumDays adds up what the device-days contribute. Contributions are rounded to
// millionths before they are added, so that the sum does not depend on their order.
func (in *compiled) sumDays(g *gathered) (v summed, err error) {
	v.Name = in.name
	var total greentally.Amount
	var size, estimated greentally.Amount // of the contributions, signs aside
	var squares float64
	covered, expected := map[greentally.Stream]float64{}, map[greentally.Stream]int{}
	counted := 0
	factors := map[greentally.Stream]*mean{}
	for _, device := range g.devices {
		if device.Kind != in.Kind {
			continue
		}
		if in.where != nil {
			wanted, err := expr.Run(in.where, map[string]any{"device": g.envs[device.ID]})
			if err != nil {
				return v, err
			}
			if !wanted.(bool) {
				continue
			}
		}
		v.Devices = append(v.Devices, device.ID)
		expected[device.Stream] += g.expected
		adjustments := in.adjustments(g, device.ID)
		var limit greentally.Amount // of the device's error
		for _, day := range g.days[device.ID] {
			if slices.ContainsFunc(in.needs, func(q string) bool { return day.env[q] == nil }) {
				continue // missing, and so not covered
			}
			if in.only != nil {
				wanted, err := expr.Run(in.only, day.env)
				if err != nil {
					return v, err
				}
				if !wanted.(bool) {
					continue
				}
			}
			contribution, err := in.run(in.value, day)
			if err != nil {
				return v, err
			}
			less := adjustments[day.Date]
			if less != nil {
				contribution -= min(contribution, less.amount)
				v.Records = append(v.Records, less.records...)
			}
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
				return v, fmt.Errorf("input %s, device-day %s %s: %v is no amount", in.name, day.DeviceKey, day.Date, contribution)
			}
			if total, ok = plus(total, amount); !ok {
				return v, fmt.Errorf("input %s: the sum is too large", in.name)
			}
			if g.working {
				row := greentally.WorkingRow{Device: device.ID, Date: day.Date, Stream: device.Stream, Facts: in.facts(day.env), Amount: amount}
				if less != nil {
					row.Less = less.amount
				}
				v.rows = append(v.rows, row)
			}
			size += max(amount, -amount)
			if in.restsOnEstimates(day) {
				estimated += max(amount, -amount)
			}
			if in.error != nil {
				ratio, err := in.run(in.error, day)
				if err != nil {
					return v, err
				}
				wrong, ok := greentally.AmountOf(ratio * contribution)
				if !ok || ratio < 0 {
					return v, fmt.Errorf("input %s, device-day %s %s: error_ratio: %v is no part that it can be wrong by", in.name, day.DeviceKey, day.Date, ratio)
				}
				limit += wrong // signed, as an error of the device is the same on all its days
			}
			covered[device.Stream] += day.Completeness()
			counted++
		}
		squares += limit.Float() * limit.Float()
	}
	// The error of a device is anywhere within its limits (JCGM 100:2008, 4.3.7).
	v.uncertainty = math.Sqrt(squares / 3)
	// Streams are not alike: much of one does not make up for little of another.
	v.Completeness = 1
	for stream, n := range expected {
		if n > 0 {
			v.Completeness = min(v.Completeness, covered[stream]/float64(n))
		}
	}
	if len(v.Devices) == 0 || g.expected == 0 {
		v.Completeness = 0
	}
	slices.Sort(v.Records)
	v.Records = slices.Compact(v.Records)
	if in.Times != nil {
		v.times = &greentally.TimesWorking{Record: in.Times.Record, Value: in.Times.Value, Weight: in.Times.Weight, Records: map[greentally.Stream][]string{}}
	}
	for _, stream := range slices.Sorted(maps.Keys(factors)) {
		f := factors[stream]
		v.times.Records[stream] = f.records
		v.Records = append(v.Records, f.records...)
		if len(f.records) == 0 {
			v.reason, v.lacks = noRecordOf(stream, in.timesTitle.WithID(in.Times.Record), g.Month), []string{in.Times.Record}
			return v, nil
		}
	}
	switch {
	case len(v.Devices) == 0:
		v.reason = noDevice(in.meant())
		return v, nil
	case g.expected == 0:
		v.reason = greentally.Text{ZH: "本月尚无一天结束", EN: "no day of the month is over yet"}
		return v, nil
	case counted == 0:
		v.reason = noDays(len(v.Devices), cmp.Or(in.title, greentally.Text{ZH: in.Kind, EN: in.Kind}))
		return v, nil
	}
	value := total.Float()
	v.Value = &value
	if size > 0 {
		v.EstimatedShare = estimated.Float() / size.Float()
		v.size, v.estimated = size.Float(), estimated.Float()
	}
	return v, nil
}

// adjustment is what records say of a device's day.
type adjustment struct {
	amount  float64
	records []string
}

// adjustments returns what the records of the device take off, by day.
func (in *compiled) adjustments(g *gathered, device string) map[greentally.Date]*adjustment {
	if in.Less == nil {
		return nil
	}
	days := map[greentally.Date]*adjustment{}
	for _, r := range g.records[in.Less.Record] {
		value, has := r.Values[in.Less.Value]
		if r.Device != device || !has || r.Last().Before(g.Month.First()) || g.Month.Last().Before(r.Date) {
			continue
		}
		each := value / float64(daysBetween(r.Date, r.Last())+1)
		first, last := r.Date, r.Last()
		if first.Before(g.Month.First()) {
			first = g.Month.First()
		}
		if g.Month.Last().Before(last) {
			last = g.Month.Last()
		}
		for date := first; !last.Before(date); date = date.Add(1) { // of the month; a record may speak of centuries
			if days[date] == nil {
				days[date] = &adjustment{}
			}
			days[date].amount += each
			days[date].records = append(days[date].records, r.ID)
		}
	}
	return days
}

// run evaluates an expression over a device-day.
func (in *compiled) run(program *vm.Program, day *dayOf) (float64, error) {
	result, err := expr.Run(program, day.env)
	if err != nil {
		return 0, fmt.Errorf("input %s, device-day %s %s: %w", in.name, day.DeviceKey, day.Date, err)
	}
	return result.(float64), nil
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

func (f *times) mean(records []*greentally.Record, stream greentally.Stream) *mean {
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

// daysBetween returns how many days later to is than from.
func daysBetween(from, to greentally.Date) int {
	return int((to.Start(time.UTC).Unix() - from.Start(time.UTC).Unix()) / (24 * 60 * 60))
}
