package report

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/xuri/excelize/v2"

	"greentally"
)

// overview writes whose month it is, and how it stands.
func (b *workbook) overview(s *sheet) error {
	if err := s.widths(30, 22, 22, 22, 22, 22); err != nil {
		return err
	}
	pair := func(name string, value excelize.Cell) error {
		return s.add(excelize.Cell{StyleID: b.style.text, Value: b.word(name)}, value)
	}
	fact := func(name string, value float64) error {
		err := pair(name, b.number(&value))
		b.facts[name] = cell(s.name, 2, s.row)
		return err
	}
	err := errors.Join(
		s.add(excelize.Cell{StyleID: b.style.title, Value: b.Community.Name.In(b.language) + " " + b.Month.String() + " " + b.words["report"]}),
		pair("community", b.text(b.Community.ID)), pair("month", b.text(b.Month.String())), pair("through", b.day(b.Through)),
		pair("made", b.instant(b.Made)), pair("version", b.text(b.Version)),
		fact("community.households", float64(b.Community.Households)), fact("community.population", float64(b.Community.Population)), fact("community.area_m2", b.Community.AreaM2),
	)
	for _, kind := range b.Kinds {
		n := 0.0
		for _, d := range b.Community.Devices {
			if d.Kind == kind.Name {
				n++
			}
		}
		err = errors.Join(err, fact("community.devices."+kind.Name, n))
	}
	if b.Through.Before(b.Month.Last()) {
		err = errors.Join(err, pair("running", b.day(b.Through)))
	}
	s.skip()
	verdicts := stretch(b.words["indicators"], rateVerdict, firstRate, firstRate+len(b.Indicators)-1)
	counts := map[greentally.Verdict]int{}
	for _, v := range b.Indicators {
		counts[v.Verdict]++
	}
	err = errors.Join(err, s.heads("verdict", "number"))
	for _, v := range []greentally.Verdict{greentally.Pass, greentally.Fail, greentally.InsufficientData, greentally.NoTarget} {
		word := b.words[string(v)]
		err = errors.Join(err, s.add(b.text(word), b.formula(b.style.number, fmt.Sprintf(`COUNTIF(%s,"%s")`, verdicts, word), counts[v])))
	}
	s.skip()
	err = errors.Join(err, s.heads("scheme", "at_least_points", "at_most_points", "total", "level", "verdict"))
	from := s.row + 1
	for _, a := range b.Assessments {
		if !a.Effective.Has(b.Month) {
			continue
		}
		err = errors.Join(err, s.add(b.text(a.Title.In(b.language)), b.number(&a.AtLeast), b.number(&a.AtMost), b.number(&a.Total), b.text(a.LevelTitle.In(b.language)), b.text(b.words[string(a.Verdict)])))
	}
	return errors.Join(err, b.verdicts(s.name, 6, from, s.row))
}

// schemes writes the assessments, item by item.
func (b *workbook) schemes(s *sheet) error {
	err := errors.Join(s.widths(26, 14, 40, 14, 12, 12, 12, 14, 50, 30, 10), s.freeze(0, 1),
		s.heads("scheme", "item", "title", "rule", "at_least_points", "at_most_points", "points", "verdict", "reasons", "indicators", "verified"))
	for _, a := range b.Assessments {
		if !a.Effective.Has(b.Month) {
			continue
		}
		for _, item := range a.Items {
			err = errors.Join(err, s.add(b.text(a.Title.In(b.language)), b.text(item.Item), b.text(item.Title.In(b.language)), b.text(b.word(item.Rule)), b.number(&item.AtLeast), b.number(&item.AtMost),
				b.number(&item.Points), b.text(b.words[string(item.Verdict)]), b.text(b.reasons(item)), b.text(strings.Join(item.Indicators, ", ")), b.text(b.word(strconv.FormatBool(item.Verified)))))
		}
		err = errors.Join(err, s.add(b.text(a.Title.In(b.language)), b.text(""), b.text(b.words["total"]), b.text(""), b.number(&a.AtLeast), b.number(&a.AtMost), b.number(&a.Total),
			b.text(b.words[string(a.Verdict)]), b.text(a.Reason.In(b.language))))
	}
	return errors.Join(err, b.verdicts(s.name, 8, 2, s.row))
}

func (b *workbook) reasons(item greentally.ItemResult) string {
	return greentally.JoinTexts(item.Reasons, "；", "; ").In(b.language)
}

// gaps writes for what there is no evidence, or too little.
func (b *workbook) gaps(s *sheet) error {
	err := errors.Join(s.widths(26, 40, 20, 60), s.freeze(0, 1), s.heads("gap", "title", "ID", "reason"))
	for _, v := range b.Gaps() {
		err = errors.Join(err, s.add(b.text(b.words["no_evidence"]), b.text(v.Title.In(b.language)), b.text(v.Indicator), b.text(v.Reason.In(b.language))))
	}
	for _, v := range b.Indicators {
		if HasEvidence(v) && v.Verdict == greentally.InsufficientData {
			err = errors.Join(err, s.add(b.text(b.words["insufficient_data"]), b.text(v.Title.In(b.language)), b.text(v.Indicator), b.text(v.Reason.In(b.language))))
		}
	}
	for _, a := range b.Assessments {
		for _, item := range a.Items {
			if item.AtLeast != item.AtMost && a.Effective.Has(b.Month) {
				err = errors.Join(err, s.add(b.text(b.words["open_item"]), b.text(a.Title.In(b.language)+" "+item.Title.In(b.language)), b.text(a.Scheme+"/"+item.Item), b.text(b.reasons(item))))
			}
		}
	}
	for _, d := range b.Devices() {
		if d.Completeness < completeEnough {
			err = errors.Join(err, s.add(b.text(b.words["gap_device"]), b.text(d.Name.In(b.language)), b.text(d.ID), b.percent(d.Completeness)))
		}
	}
	return err
}

// completeEnough is the completeness of a month below which a device is a gap.
const completeEnough = 0.9

// DeviceMonth is a device, and how much of the month it covered.
type DeviceMonth struct {
	*greentally.Device
	Days         int     // that have a tally
	Completeness float64 // over all days of the month up to the last that counts
}

// Devices returns the community's devices, by kind and ID, with what they covered.
func (e *Export) Devices() []DeviceMonth {
	expected := 0
	for d := e.Month.First(); !e.Through.Before(d) && d.MonthOf() == e.Month; d = d.Add(1) {
		expected++
	}
	covered, days := map[string]float64{}, map[string]int{}
	for i := range e.Days {
		if day := &e.Days[i]; day.Date.MonthOf() == e.Month && !e.Through.Before(day.Date) {
			days[day.Device]++
			covered[day.Device] += day.Completeness()
		}
	}
	var all []DeviceMonth
	for _, d := range e.Community.Devices {
		one := DeviceMonth{Device: d, Days: days[d.ID]}
		if expected > 0 {
			one.Completeness = covered[d.ID] / float64(expected)
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b DeviceMonth) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.ID, b.ID))
	})
	return all
}

// devices writes the devices with their facts.
func (b *workbook) devices(s *sheet) error {
	err := errors.Join(s.widths(22, 30, 18, 14, 14, 18, 12, 12, 10, 12, 14, 14, 14, 14), s.freeze(1, 1),
		s.heads("device", "title", "kind", "site", "stream", "profile", "interval", "capacity_litres", "days", "completeness", "meter_class", "lamps", "option", "baseline"))
	for _, d := range b.Devices() {
		option, baseline := "", ""
		if base := d.Baseline; base != nil {
			option = base.Option
			if base.Option == "A" {
				baseline = fmt.Sprintf("%d × %v W", base.Lamps, base.LampPowerW)
			} else {
				baseline = fmt.Sprintf("%v kWh / %v d", base.EnergyKWh, base.Days)
			}
		}
		err = errors.Join(err, s.add(b.text(d.ID), b.text(d.Name.In(b.language)), b.text(d.Kind), b.text(d.Site), b.text(b.word(string(d.Stream))), b.text(d.Profile), b.text(d.Interval.String()),
			b.number(ifSet(true, d.CapacityLitres)), b.text(d.Days), b.percent(d.Completeness), b.number(ifSet(true, d.MeterClass)), b.number(ifSet(true, float64(d.Lamps))), b.text(option), b.text(baseline)))
	}
	return err
}

// application writes the steps of what the month is handed in for, and what came since.
func (b *workbook) application(s *sheet) error {
	a := b.Application
	err := errors.Join(s.widths(22, 22, 22, 50, 22), s.add(b.text(b.words["scheme"]), b.text(a.Scheme)), s.add(b.text(b.words["stage"]), b.text(a.Stage.Title().In(b.language))))
	s.skip()
	err = errors.Join(err, s.heads("on", "stage", "by", "why", "recorded"))
	for _, step := range a.Steps {
		err = errors.Join(err, s.add(b.day(step.On), b.text(step.To.Title().In(b.language)), b.text(step.Signed()), b.text(step.Why), b.instant(step.Recorded)))
	}
	if len(b.Revisions) > 0 {
		s.skip()
		err = errors.Join(err, s.heads("revision", "title", "what", "old", "new"))
		for _, r := range b.Revisions {
			err = errors.Join(err, s.add(b.text(r.Name), b.text(r.Title.In(b.language)), b.text(b.word(r.What)), b.text(r.Old), b.text(r.New)))
		}
	}
	return err
}

// Columns of the sheet of days.
const (
	dailyStreams = 2 // the first of them
	dailyEnergy  = dailyStreams + 4
	firstDay     = 2
)

// daily writes what was dropped and used each day, for the charts: sums over the device-days.
func (b *workbook) daily(s *sheet) error {
	heads := []string{"date"}
	for _, stream := range greentally.Streams() {
		heads = append(heads, string(stream))
	}
	err := errors.Join(s.widths(12, 14, 14, 14, 14, 14), s.freeze(1, 1), s.heads(append(heads, "energy_kwh")...))
	for date := b.Month.First(); !b.Through.Before(date) && date.MonthOf() == b.Month; date = date.Add(1) {
		cells := []any{b.day(date)}
		for _, stream := range greentally.Streams() {
			cells = append(cells, b.sumOfDay(s.row+1, date, "sorting_bin", "mass_kg.deposited", stream))
		}
		err = errors.Join(err, s.add(append(cells, b.sumOfDay(s.row+1, date, "lighting_meter", "energy_kwh.rise", ""))...))
	}
	return err
}

// sumOfDay sums a figure over a kind's device-days of a date, of a stream if there is one.
func (b *workbook) sumOfDay(row int, date greentally.Date, kind, figure string, stream greentally.Stream) excelize.Cell {
	i := slices.IndexFunc(b.ledgers, func(l *ledger) bool { return l.kind.Name == kind })
	if i < 0 || b.ledgers[i].column(figure) == 0 {
		return b.text(nil)
	}
	l := b.ledgers[i]
	column := func(name string) string { return stretch(l.sheet, slices.Index(l.lead, name)+1, firstLine, l.last()) }
	day, _ := excelize.CoordinatesToCellName(1, row)
	text := fmt.Sprintf("SUMIFS(%s,%s,%s", stretch(l.sheet, l.column(figure), firstLine, l.last()), column("date"), day)
	if stream != "" {
		text += fmt.Sprintf(`,%s,"%s"`, column("stream"), b.word(string(stream)))
	}
	var sum greentally.Amount
	for i := range b.Days {
		if d := &b.Days[i]; d.Kind == kind && d.Date == date && (stream == "" || d.Stream == stream) {
			if v, ok := figures(d)[figure].(float64); ok {
				amount, _ := greentally.AmountOf(v)
				sum += amount
			}
		}
	}
	return b.formula(b.style.number, text+")", sum.Float())
}
