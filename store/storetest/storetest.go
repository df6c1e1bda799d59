// Package storetest checks a store against the contract of greentally.Store. Every
// store's own test calls [Run]; what one store needs no other may be spared.
package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"greentally"
)

var (
	start = time.Date(2026, 10, 8, 0, 0, 0, 0, time.UTC)
	bin   = greentally.DeviceKey{Community: "jiayuan", Device: "bin-1"}
)

// Run runs the suite. open returns an empty store; it closes it with the test.
func Run(t *testing.T, open func(t *testing.T) greentally.Store) {
	tests := map[string]func(*testing.T, greentally.Store){
		"Readings":            testReadings,
		"ReadingsMerge":       testMerge,
		"ReadingsQuery":       testQuery,
		"ReadingsOfOneDevice": testOneDevice,
		"Burst":               testBurst,
		"LargeBatch":          testLargeBatch,
		"ConcurrentWriters":   testConcurrent,
		"Cancel":              testCancel,
		"DeviceDays":          testDeviceDays,
		"Indicators":          testIndicators,
		"Assessments":         testAssessments,
		"Records":             testRecords,
		"Alerts":              testAlerts,
		"Mark":                testMark,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func reading(key greentally.DeviceKey, at time.Time, values ...greentally.Value) greentally.Reading {
	r := greentally.Reading{DeviceKey: key, Kind: "sorting_bin", Site: "e1-s01", Stream: greentally.Food,
		Time: at, Quality: greentally.Accepted, Values: values}
	greentally.SortValues(r.Values)
	return r
}

func number(quantity string, v float64) greentally.Value {
	return greentally.Value{Quantity: quantity, Number: v}
}

func query(from, to time.Time) greentally.ReadingQuery {
	return greentally.ReadingQuery{DeviceKey: bin, Kind: "sorting_bin", From: from, To: to}
}

func write(t *testing.T, s greentally.Store, readings ...greentally.Reading) {
	t.Helper()
	if err := s.WriteReadings(t.Context(), readings); err != nil {
		t.Fatalf("write: %v", err)
	}
}

func read(t *testing.T, s greentally.Store, q greentally.ReadingQuery) []greentally.Reading {
	t.Helper()
	var all []greentally.Reading
	for r, err := range s.Readings(t.Context(), q) {
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		all = append(all, r)
	}
	return all
}

// same fails unless got and want have the same JSON.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	g, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	w, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if string(g) != string(w) {
		t.Errorf("%s is\n%s\nwant\n%s", what, g, w)
	}
}

func testReadings(t *testing.T, s greentally.Store) {
	odd := reading(bin, start.Add(2*time.Minute), number("mass_kg", -0.1), greentally.Value{Quantity: "status", State: "lid_open"})
	odd.Quality = greentally.Suspicious
	want := []greentally.Reading{
		reading(bin, start, number("mass_kg", 12.3), number("fill_ratio", 0.42)),
		reading(bin, start.Add(1), number("mass_kg", math.MaxFloat64), number("fill_ratio", math.SmallestNonzeroFloat64)),
		reading(bin, start.Add(time.Minute), number("mass_kg", 0)),
		odd,
	}
	for range 2 { // writing again changes nothing
		write(t, s, want[3], want[1], want[0], want[2], want[1])
		same(t, "what was written", read(t, s, query(time.Time{}, time.Time{})), want)
	}
	if got := read(t, s, greentally.ReadingQuery{DeviceKey: greentally.DeviceKey{Community: "jiayuan", Device: "none"}, Kind: "sorting_bin"}); len(got) != 0 {
		t.Errorf("a device that never spoke has %d readings", len(got))
	}
	if got := read(t, s, greentally.ReadingQuery{DeviceKey: bin, Kind: "no_such_kind"}); len(got) != 0 {
		t.Errorf("a kind that never spoke has %d readings", len(got))
	}
	write(t, s) // nothing is something that can be written
}

func testMerge(t *testing.T, s greentally.Store) {
	write(t, s, reading(bin, start, number("mass_kg", 1), number("fill_ratio", 0.1)))
	write(t, s, reading(bin, start, number("mass_kg", 2), number("temperature_celsius", 18)))
	same(t, "the merged reading", read(t, s, query(time.Time{}, time.Time{})), []greentally.Reading{
		reading(bin, start, number("mass_kg", 2), number("fill_ratio", 0.1), number("temperature_celsius", 18)),
	})
	// A device that was moved keeps one reading for each instant.
	moved := reading(bin, start, number("lid_openings", 7))
	moved.Site, moved.Stream = "e2-s09", greentally.Residual
	write(t, s, moved)
	got := read(t, s, query(time.Time{}, time.Time{}))
	if len(got) != 1 || len(got[0].Values) != 4 {
		t.Errorf("after the device was moved: %+v, want one reading with four values", got)
	}
}

func testQuery(t *testing.T, s greentally.Store) {
	for i := range 10 {
		r := reading(bin, start.Add(time.Duration(i)*time.Minute), number("mass_kg", float64(i)))
		if i%3 == 0 {
			r.Values = append(r.Values, greentally.Value{Quantity: "status", State: "ok"})
		}
		write(t, s, r)
	}
	minute := func(i int) time.Time { return start.Add(time.Duration(i) * time.Minute) }
	tests := []struct {
		name string
		q    greentally.ReadingQuery
		want []int
	}{
		{"all", query(time.Time{}, time.Time{}), []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{"from is inclusive, to exclusive", query(minute(2), minute(5)), []int{2, 3, 4}},
		{"to the nanosecond", query(minute(2).Add(1), minute(5).Add(1)), []int{3, 4, 5}},
		{"only from", query(minute(8), time.Time{}), []int{8, 9}},
		{"only to", query(time.Time{}, minute(2)), []int{0, 1}},
		{"limit", greentally.ReadingQuery{DeviceKey: bin, Kind: "sorting_bin", Limit: 2}, []int{0, 1}},
		{"the last before", greentally.ReadingQuery{DeviceKey: bin, Kind: "sorting_bin", To: minute(5), Descending: true, Limit: 1}, []int{4}},
		{"the first after", greentally.ReadingQuery{DeviceKey: bin, Kind: "sorting_bin", From: minute(5), Limit: 1}, []int{5}},
		{"with a state", greentally.ReadingQuery{DeviceKey: bin, Kind: "sorting_bin", With: "status"}, []int{0, 3, 6, 9}},
		{"with a state, the last before", greentally.ReadingQuery{DeviceKey: bin, Kind: "sorting_bin", With: "status", To: minute(9), Descending: true, Limit: 2}, []int{6, 3}},
		{"with a number", greentally.ReadingQuery{DeviceKey: bin, Kind: "sorting_bin", With: "mass_kg", From: minute(8)}, []int{8, 9}},
		{"with what nobody measured", greentally.ReadingQuery{DeviceKey: bin, Kind: "sorting_bin", With: "methane"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []int
			for _, r := range read(t, s, tt.q) {
				got = append(got, int(r.Time.Sub(start)/time.Minute))
				// Whatever is asked for, a reading comes whole.
				if want := 1 + map[bool]int{true: 1}[got[len(got)-1]%3 == 0]; len(r.Values) != want {
					t.Errorf("reading %d has %d values, want %d", got[len(got)-1], len(r.Values), want)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got minutes %v, want %v", got, tt.want)
			}
		})
	}
	n := 0
	for _, err := range s.Readings(t.Context(), query(time.Time{}, time.Time{})) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 3 {
			break // stopping early must do no harm
		}
	}
	if got := read(t, s, query(time.Time{}, time.Time{})); len(got) != 10 {
		t.Errorf("after an early stop there are %d readings", len(got))
	}
}

func testOneDevice(t *testing.T, s greentally.Store) {
	names := []greentally.DeviceKey{bin, {Community: "jiayuan", Device: "bin-10"}, {Community: "xixiang", Device: "bin-1"}}
	for i, key := range names {
		r := reading(key, start, number("mass_kg", float64(i)))
		r.Site = `东门, "A" = 'B' \ C` // whatever a site is called
		write(t, s, r)
	}
	for i, key := range names {
		got := read(t, s, greentally.ReadingQuery{DeviceKey: key, Kind: "sorting_bin"})
		if len(got) != 1 || got[0].DeviceKey != key || got[0].Values[0].Number != float64(i) || got[0].Site != `东门, "A" = 'B' \ C` {
			t.Errorf("%v has %+v", key, got)
		}
	}
	evil := greentally.DeviceKey{Community: "jiayuan", Device: `x' OR 'a'='a`}
	if got := read(t, s, greentally.ReadingQuery{DeviceKey: evil, Kind: "sorting_bin"}); len(got) != 0 {
		t.Errorf("a device name with quotes in it found %d readings", len(got))
	}
}

func testBurst(t *testing.T, s greentally.Store) {
	var burst []greentally.Reading
	for i := range 2000 {
		burst = append(burst, reading(bin, start.Add(time.Duration(i)), number("mass_kg", float64(i))))
	}
	write(t, s, burst...)
	if got := read(t, s, query(time.Time{}, time.Time{})); len(got) != len(burst) {
		t.Errorf("%d readings a nanosecond apart became %d", len(burst), len(got))
	}
}

func testLargeBatch(t *testing.T, s greentally.Store) {
	const n = 20_000
	var all []greentally.Reading
	for i := range n {
		all = append(all, reading(bin, start.Add(time.Duration(i)*time.Minute), number("mass_kg", float64(i)), number("fill_ratio", 0.5)))
	}
	write(t, s, all...)
	i := 0
	for r, err := range s.Readings(t.Context(), query(time.Time{}, time.Time{})) {
		if err != nil {
			t.Fatal(err)
		}
		if !r.Time.Equal(all[i].Time) {
			t.Fatalf("reading %d has time %v, want %v", i, r.Time, all[i].Time)
		}
		i++
	}
	if i != n {
		t.Errorf("wrote %d, read %d", n, i)
	}
}

func testConcurrent(t *testing.T, s greentally.Store) {
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := range 50 {
				if err := s.WriteReadings(t.Context(), []greentally.Reading{
					reading(bin, start.Add(time.Duration(i)*time.Second), number(fmt.Sprintf("q%d", w), 1))}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	got := read(t, s, query(time.Time{}, time.Time{}))
	if len(got) != 50 {
		t.Fatalf("%d readings, want 50", len(got))
	}
	for _, r := range got {
		if len(r.Values) != 4 {
			t.Errorf("reading has %d values, want one from each of 4 writers", len(r.Values))
		}
	}
}

func testCancel(t *testing.T, s greentally.Store) {
	write(t, s, reading(bin, start, number("mass_kg", 1)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.WriteReadings(ctx, []greentally.Reading{reading(bin, start, number("mass_kg", 2))}); !errors.Is(err, context.Canceled) {
		t.Errorf("write with a cancelled context: %v", err)
	}
	errs := 0
	for _, err := range s.Readings(ctx, query(time.Time{}, time.Time{})) {
		if err != nil {
			errs++
		}
	}
	if errs != 1 {
		t.Errorf("read with a cancelled context: %d errors, want 1", errs)
	}
}

func day(device string, date greentally.Date, rise float64) greentally.DeviceDay {
	a, _ := greentally.AmountOf(rise)
	limit := greentally.Unit
	return greentally.DeviceDay{
		DeviceKey: greentally.DeviceKey{Community: "jiayuan", Device: device}, Kind: "lighting_meter", Site: "e1", Stream: "",
		Date: date, Start: date.Start(time.UTC), Hours: 24, Readings: 144, Expected: 144, Covered: greentally.Duration(24 * time.Hour),
		LongestGap: greentally.Duration(10 * time.Minute),
		Faults:     []greentally.Fault{{Time: start.Add(1), Quantity: "energy_kwh", Kind: greentally.Dip, From: 5, To: 0}},
		Gauges:     map[string]greentally.GaugeDay{"power_w": {Min: 1, Max: 2, Mean: 1, Limit: &limit}, "x": {}},
		Masses:     map[string]greentally.MassDay{"mass_kg": {Collections: []greentally.Emptying{{Time: start, Mass: 3}}, ByHour: []greentally.MassHours{{Deposited: 1}}}},
		Registers:  map[string]greentally.RegisterDay{"energy_kwh": {Rise: a, ByHour: make([]greentally.Amount, 24)}},
		States:     map[string]greentally.StateDay{"light": {Time: map[string]greentally.Duration{"on": 5}, Last: `"on", 灯`}},
	}
}

func testDeviceDays(t *testing.T, s greentally.Store) {
	first := greentally.Date{Year: 2026, Month: time.September, Day: 30}
	days := []greentally.DeviceDay{day("a", first, 1), day("a", first.Add(1), 2), day("a", first.Add(2), 3), day("b", first.Add(1), 4)}
	bare := greentally.DeviceDay{DeviceKey: greentally.DeviceKey{Community: "xixiang", Device: "a"}, Kind: "k", Site: "s", Date: first, Start: first.Start(time.UTC), Hours: 24}
	write := func(days ...greentally.DeviceDay) {
		t.Helper()
		if err := s.WriteDeviceDays(t.Context(), days); err != nil {
			t.Fatal(err)
		}
	}
	write(days[3], days[2], days[0], bare)
	write(day("a", first.Add(1), 99))
	write(days[1]) // the latest counts
	moved := days[3]
	moved.Site = "e2"
	write(moved)
	days[3] = moved
	tests := []struct {
		name string
		q    greentally.DeviceDayQuery
		want []greentally.DeviceDay
	}{
		{"all", greentally.DeviceDayQuery{Community: "jiayuan", From: first, To: first.Add(2)}, days},
		{"October", greentally.DeviceDayQuery{Community: "jiayuan", From: first.Add(1), To: first.Add(31)}, days[1:]},
		{"one device", greentally.DeviceDayQuery{Community: "jiayuan", Device: "a", From: first, To: first.Add(1)}, days[:2]},
		{"one day", greentally.DeviceDayQuery{Community: "jiayuan", Device: "b", From: first.Add(1), To: first.Add(1)}, days[3:]},
		{"another community", greentally.DeviceDayQuery{Community: "xixiang", From: first, To: first}, []greentally.DeviceDay{bare}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := s.DeviceDays(t.Context(), tt.q)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "device-days", got, tt.want)
			tt.q.Totals = true
			if got, err = s.DeviceDays(t.Context(), tt.q); err != nil {
				t.Fatal(err)
			}
			same(t, "totals of device-days", totals(got), totals(tt.want)) // some may have their hours still
		})
	}
	got, err := s.DeviceDays(t.Context(), greentally.DeviceDayQuery{Community: "none", From: first, To: first})
	if err != nil || len(got) != 0 {
		t.Errorf("no community has %d device-days: %v", len(got), err)
	}
}

func totals(days []greentally.DeviceDay) []greentally.DeviceDay {
	short := make([]greentally.DeviceDay, len(days))
	for i, d := range days {
		short[i] = d.Totals()
	}
	return short
}

func testIndicators(t *testing.T, s greentally.Store) {
	value, month := 0.96, greentally.Month{Year: 2026, Month: time.October}
	full := greentally.IndicatorValue{Community: "jiayuan", Month: month, Indicator: "recyclable_capture", Title: greentally.Text{ZH: "可回收垃圾回收率", EN: "x"},
		Unit: "ratio", Value: &value, Numerator: &value, Denominator: &value, Completeness: 0.99, Floor: 0.9, Target: &greentally.Target{AtLeast: &value},
		Verdict: greentally.Pass, Inputs: []greentally.InputValue{{Name: "a", Value: &value, Devices: []string{"bin-1"}, Records: []string{"r"}}}}
	none := greentally.IndicatorValue{Community: "jiayuan", Month: month, Indicator: "awareness", Unit: "ratio", Verdict: greentally.InsufficientData, Reason: greentally.Text{ZH: "没有“问卷”", EN: "no \"survey\""}, Lacks: []string{"survey"}}
	other := none
	other.Month = month.Next()
	before := full
	before.Verdict = greentally.Fail
	for _, values := range [][]greentally.IndicatorValue{{before}, {full, none, other}} {
		if err := s.WriteIndicators(t.Context(), values); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Indicators(t.Context(), "jiayuan", month)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the indicators", got, []greentally.IndicatorValue{none, full})
}

func testAssessments(t *testing.T, s greentally.Store) {
	month, from := greentally.Month{Year: 2026, Month: time.October}, greentally.Date{Year: 2021, Month: time.January, Day: 1}
	full := greentally.Assessment{Community: "jiayuan", Month: month, Scheme: "neimenggu", Title: greentally.Text{ZH: "评分“标准”", EN: "x"},
		Source: `a "document"`, Effective: greentally.Period{From: &from}, Complete: true,
		Items: []greentally.ItemResult{{Item: "a", Rule: "tiers", AtLeast: 1, AtMost: 2, Points: 3, Verdict: greentally.InsufficientData,
			Reasons: []greentally.Text{{ZH: "无", EN: "none"}}, Indicators: []string{"diversion"}, Records: []string{"r"}}},
		AtLeast: 61, AtMost: 62, Total: 100, Verdict: greentally.Pass, Level: "blue", LevelTitle: greentally.Text{ZH: "蓝榜", EN: "Blue"}}
	without := greentally.Assessment{Community: "jiayuan", Month: month, Scheme: "jiayuan_claims", Items: []greentally.ItemResult{},
		Barred: []string{"led"}, Open: []string{"bagged"}, Verdict: greentally.Fail, Reason: greentally.Text{ZH: "未满足", EN: "barred"}}
	before, next, elsewhere := full, full, full
	before.AtLeast, before.Verdict, before.Level, before.LevelTitle = 0, greentally.InsufficientData, "", greentally.Text{}
	next.Month = month.Next()
	elsewhere.Community = "xixiang"
	for _, assessments := range [][]greentally.Assessment{{before}, {full, without, next, elsewhere}, {full}, nil} {
		if err := s.WriteAssessments(t.Context(), assessments); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Assessments(t.Context(), "jiayuan", month)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the assessments", got, []greentally.Assessment{without, full})
	if got, err = s.Assessments(t.Context(), "none", month); err != nil || len(got) != 0 {
		t.Errorf("no community has %d assessments: %v", len(got), err)
	}
}

func testRecords(t *testing.T, s greentally.Store) {
	october := greentally.Month{Year: 2026, Month: time.October}
	record := func(id, community string, date greentally.Date) greentally.Record {
		return greentally.Record{ID: id, Community: community, Type: greentally.CompositionAudit, Date: date, Stream: greentally.Residual,
			Values: greentally.Values{"recyclable_ratio": 0.021}, By: "李娜", Why: `report "7", page 3`, Recorded: start}
	}
	all := []greentally.Record{
		record("01A", "jiayuan", october.First().Add(-1)), record("01B", "jiayuan", october.First()),
		record("01C", "jiayuan", october.Last()), record("01D", "xixiang", october.First()), record("01E", "jiayuan", october.First()),
	}
	until := october.First().Add(6)
	at, end := start.Add(time.Hour), start.Add(2*time.Hour)
	whole := record("01F", "wanda", october.First())
	whole.Until, whole.At, whole.End, whole.Device, whole.Item, whole.Texts = &until, &at, &end, "bin-1", "a/b", map[string]string{"title": "六·五"}
	whole.Attachments = []greentally.Attachment{{Name: "照片 1.jpg", MediaType: "image/jpeg", Size: 20 << 20, SHA256: "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f"}}
	withdrawal := greentally.Record{ID: "01G", Community: "wanda", Type: whole.Type, Date: whole.Date, By: "李娜", Why: "slip", Recorded: start, Replaces: "01F", Withdraws: true}
	all = append(all, whole, withdrawal)
	for range 2 {
		if err := s.WriteRecords(t.Context(), all); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Records(t.Context(), "jiayuan", october.First(), october.Last())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the records", got, []greentally.Record{all[1], all[2], all[4]})
	if got, err = s.Records(t.Context(), "wanda", greentally.Date{}, greentally.Date{}); err != nil {
		t.Fatal(err)
	}
	same(t, "a record with everything, and what withdraws it", got, []greentally.Record{whole, withdrawal})
	for what, bounds := range map[string]struct {
		from, to greentally.Date
		want     []greentally.Record
	}{
		"no bounds":   {want: []greentally.Record{all[0], all[1], all[2], all[4]}},
		"a beginning": {from: october.First(), want: []greentally.Record{all[1], all[2], all[4]}},
		"an end":      {to: october.First(), want: []greentally.Record{all[0], all[1], all[4]}},
	} {
		got, err := s.Records(t.Context(), "jiayuan", bounds.from, bounds.to)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "the records with "+what, got, bounds.want)
	}
}

func testAlerts(t *testing.T, s greentally.Store) {
	limit, ended := 0.9, start.Add(90*time.Minute)
	full := greentally.Alert{Community: "jiayuan", Rule: "bin_overflowing", Severity: greentally.Critical, Device: "bin-1", Kind: "sorting_bin", Site: "e1-s01",
		Stream: greentally.Food, Labels: map[string]string{"gateway": "g"}, Title: greentally.Text{ZH: "满溢", EN: "Overflowing"},
		Summary: greentally.Text{ZH: `"一"`, EN: "x\ny"}, Quantity: "fill_ratio", Limit: &limit, Since: start, Fired: start.Add(time.Nanosecond)}
	over := full
	over.Ended = &ended
	other, month, later := full, full, full
	other.Device = "bin-2"
	month.Device, month.Kind, month.Site, month.Stream, month.Indicator = "", "", "", "", "recyclable_capture"
	later.Fired = start.Add(time.Hour)
	elsewhere := full
	elsewhere.Community = "xixiang"
	for _, alerts := range [][]greentally.Alert{{full, other, month, later, elsewhere}, {over}, {over}, nil} {
		if err := s.WriteAlerts(t.Context(), alerts); err != nil {
			t.Fatal(err)
		}
	}
	for what, c := range map[string]struct {
		from, to time.Time
		want     []greentally.Alert
	}{
		"no bounds":   {want: []greentally.Alert{month, over, other, later}},
		"a beginning": {from: start.Add(2 * time.Nanosecond), want: []greentally.Alert{later}},
		"an end":      {to: later.Fired, want: []greentally.Alert{month, over, other}},
		"both":        {from: full.Fired, to: full.Fired.Add(1), want: []greentally.Alert{month, over, other}},
	} {
		got, err := s.Alerts(t.Context(), "jiayuan", c.from, c.to)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "the alerts with "+what, got, c.want)
	}
}

// marked returns the mark of a store.
func marked(t *testing.T, s greentally.Store) (greentally.Mark, bool) {
	t.Helper()
	m, ok, err := s.(greentally.Marked).Marked(t.Context())
	if err != nil {
		t.Fatalf("read the mark: %v", err)
	}
	return m, ok
}

func mark(t *testing.T, s greentally.Store, m greentally.Mark) {
	t.Helper()
	if err := s.(greentally.Marked).Mark(t.Context(), m); err != nil {
		t.Fatalf("write the mark: %v", err)
	}
}

// testMark is spared by stores that keep no mark.
func testMark(t *testing.T, s greentally.Store) {
	if _, ok := s.(greentally.Marked); !ok {
		t.Skip("it keeps no mark")
	}
	if m, ok := marked(t, s); m != (greentally.Mark{}) || !ok {
		t.Errorf("an empty store has the mark %+v, %v; want the zero mark", m, ok)
	}
	for _, want := range []greentally.Mark{{Journal: "a", Sequence: 1}, {Journal: "a", Sequence: 1}, {Journal: "a", Sequence: math.MaxUint64}, {Journal: "日志 'b\"", Sequence: 7}, {}} {
		mark(t, s, want)
		if m, ok := marked(t, s); m != want || !ok {
			t.Errorf("the mark is %+v, %v; want %+v", m, ok, want)
		}
	}
	write(t, s, reading(bin, start, number("mass_kg", 1)))
	same(t, "what was written", read(t, s, query(time.Time{}, time.Time{})), []greentally.Reading{reading(bin, start, number("mass_kg", 1))})
}

// Lasting is a store that outlives the process, for [RunMarks].
type Lasting struct {
	Open   func(t *testing.T) greentally.Store // with what it has
	Close  func(t *testing.T, s greentally.Store)
	Delete func(t *testing.T) // all that it has
	Unmark func(t *testing.T) // takes the mark away, as if an earlier version had written all
}

// RunMarks checks that a mark is lost with the readings, and only then.
func RunMarks(t *testing.T, l Lasting) {
	want := greentally.Mark{Journal: "a", Sequence: 42}
	s := l.Open(t)
	write(t, s, reading(bin, start, number("mass_kg", 1)))
	mark(t, s, want)
	l.Close(t, s)

	s = l.Open(t)
	if m, ok := marked(t, s); m != want || !ok {
		t.Errorf("opened again, the mark is %+v, %v; want %+v", m, ok, want)
	}
	l.Close(t, s)

	l.Unmark(t)
	s = l.Open(t)
	if m, ok := marked(t, s); m != (greentally.Mark{}) || ok {
		t.Errorf("what an earlier version wrote has the mark %+v, %v; want none", m, ok)
	}
	mark(t, s, want)
	if m, ok := marked(t, s); m != want || !ok {
		t.Errorf("marked at last, the mark is %+v, %v; want %+v", m, ok, want)
	}
	l.Close(t, s)

	l.Delete(t)
	s = l.Open(t)
	if m, ok := marked(t, s); m != (greentally.Mark{}) || !ok {
		t.Errorf("deleted, the mark is %+v, %v; want the zero mark", m, ok)
	}
	l.Close(t, s)
}
