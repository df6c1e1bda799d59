package influx_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"greentally"
	"greentally/internal/testserver"
	"greentally/store/influx"
	"greentally/store/storetest"
)

func open(t testing.TB, url, name string) *influx.Store {
	t.Helper()
	s, err := influx.Open(t.Context(), influx.Config{URL: url, Bucket: name, DerivedBucket: name + "_derived", CreateBuckets: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	server := testserver.Influxd(t)
	var n atomic.Int32
	storetest.Run(t, func(t *testing.T) greentally.Store { return open(t, server.URL(), fmt.Sprintf("test%d", n.Add(1))) })
}

func TestMarks(t *testing.T) {
	server := testserver.Influxd(t)
	run := func(statement string) func(*testing.T) {
		return func(t *testing.T) { ask(t, server.URL(), "marks", statement) }
	}
	storetest.RunMarks(t, storetest.Lasting{
		Open:   func(t *testing.T) greentally.Store { return open(t, server.URL(), "marks") },
		Close:  func(*testing.T, greentally.Store) {}, // with the test
		Unmark: run(`DROP MEASUREMENT "greentally-mark"`),
		Delete: run(`DROP DATABASE "marks"`),
	})
}

// TestMarkWithRetention marks a bucket that keeps things for the shortest time that there is.
func TestMarkWithRetention(t *testing.T) {
	s, err := influx.Open(t.Context(), influx.Config{URL: testserver.Influxd(t).URL(), Bucket: "brief", DerivedBucket: "brief",
		CreateBuckets: true, Retention: time.Hour, DerivedRetention: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	want := greentally.Mark{Journal: "a", Sequence: 42}
	if err := s.WriteAlerts(t.Context(), []greentally.Alert{{Community: "jiayuan", Rule: "r", Fired: time.Now()}}); err != nil {
		t.Fatal(err)
	}
	if m, ok, err := s.Marked(t.Context()); m != (greentally.Mark{}) || !ok || err != nil {
		t.Errorf("without readings the mark is %+v, %v, %v; want the zero mark", m, ok, err)
	}
	if err := s.Mark(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if m, ok, err := s.Marked(t.Context()); m != want || !ok || err != nil {
		t.Errorf("the mark is %+v, %v, %v; want %+v", m, ok, err, want)
	}
}

var start = time.Date(2026, 10, 8, 0, 0, 0, 0, time.UTC)

func readings(n int) []greentally.Reading {
	all := make([]greentally.Reading, n)
	for i := range all {
		all[i] = greentally.Reading{
			DeviceKey: greentally.DeviceKey{Community: "jiayuan", Device: "bin-1"}, Kind: "sorting_bin", Site: "s", Stream: greentally.Food,
			Time: start.Add(time.Duration(i) * time.Minute), Quality: greentally.Accepted,
			Values: []greentally.Value{{Quantity: "battery_ratio", Number: 0.9}, {Quantity: "fill_ratio", Number: 0.421}, {Quantity: "mass_kg", Number: 12.3}, {Quantity: "temperature_celsius", Number: 18.5}},
		}
	}
	return all
}

func count(t *testing.T, s *influx.Store) int {
	t.Helper()
	n := 0
	for _, err := range s.Readings(t.Context(), greentally.ReadingQuery{DeviceKey: greentally.DeviceKey{Community: "jiayuan", Device: "bin-1"}, Kind: "sorting_bin"}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

func TestOnlyTheBadPointsAreRefused(t *testing.T) {
	s := open(t, testserver.Influxd(t).URL(), "refuse")
	all := readings(1000)
	if err := s.WriteReadings(t.Context(), all[:1]); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{7, 500, 501, 999} {
		all[i].Values = []greentally.Value{{Quantity: "mass_kg", State: "a word where numbers are"}}
	}
	var refused *greentally.RefusedError
	if err := s.WriteReadings(t.Context(), all); !errors.As(err, &refused) {
		t.Fatalf("error %v, want a refusal", err)
	}
	var got []int
	for _, r := range refused.Refused {
		got = append(got, r.Index)
		if !strings.Contains(r.Reason, "field type conflict") {
			t.Errorf("reason of %d: %s", r.Index, r.Reason)
		}
	}
	if fmt.Sprint(got) != "[7 500 501 999]" {
		t.Errorf("refused %v", got)
	}
	if n := count(t, s); n != 996 {
		t.Errorf("%d readings are stored, want all 996 others", n)
	}
}

func TestPointsBeyondRetentionAreRefused(t *testing.T) {
	server := testserver.Influxd(t)
	s, err := influx.Open(t.Context(), influx.Config{URL: server.URL(), Bucket: "short", DerivedBucket: "short_derived",
		CreateBuckets: true, Retention: 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	all := readings(2)
	all[0].Time, all[1].Time = time.Now().Add(-time.Hour), time.Now().Add(-48*time.Hour)
	var refused *greentally.RefusedError
	if err := s.WriteReadings(t.Context(), all); !errors.As(err, &refused) || len(refused.Refused) != 1 || refused.Refused[0].Index != 1 {
		t.Fatalf("error %v, want a refusal of the second", err)
	}
}

func TestServerThatIsDown(t *testing.T) {
	server := testserver.Influxd(t)
	s := open(t, server.URL(), "down")
	if err := s.WriteReadings(t.Context(), readings(10)); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	var refused *greentally.RefusedError
	if err := s.WriteReadings(t.Context(), readings(10)); err == nil || errors.As(err, &refused) {
		t.Errorf("write to a server that is down: %v, want an error that passes", err)
	}
	if err := s.Ready(t.Context()); !errors.Is(err, influx.ErrUnreachable) {
		t.Errorf("ready: %v", err)
	}
	down, err := influx.Open(t.Context(), influx.Config{URL: server.URL(), Bucket: "down", DerivedBucket: "down_derived", CreateBuckets: true})
	if !errors.Is(err, influx.ErrUnreachable) || down == nil {
		t.Errorf("open: %v, want the store with ErrUnreachable", err)
	}
	server.Start()
	if err := s.WriteReadings(t.Context(), readings(20)); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s); n != 20 {
		t.Errorf("%d readings, want 20", n)
	}
}

func TestRetentionIsSet(t *testing.T) {
	server := testserver.Influxd(t)
	s, err := influx.Open(t.Context(), influx.Config{URL: server.URL(), Bucket: "kept", DerivedBucket: "kept_derived",
		CreateBuckets: true, Retention: 48 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL()+"/query?"+url.Values{"q": {"SHOW RETENTION POLICIES ON kept"}}.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	buf := make([]byte, 4096)
	n, _ := response.Body.Read(buf)
	if !strings.Contains(string(buf[:n]), "48h0m0s") {
		t.Errorf("policies are %s, want one of 48h", buf[:n])
	}
}

// ask returns the rows that InfluxDB itself has for a statement, without their times.
func ask(t *testing.T, server, database, statement string) [][]any {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server+"/query?"+url.Values{"db": {database}, "q": {statement}}.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Results []struct {
			Error  string
			Series []struct {
				Tags   map[string]string
				Values [][]any
			}
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || len(answer.Results) != 1 || answer.Results[0].Error != "" {
		t.Fatalf("%s: %v %+v", statement, err, answer)
	}
	var rows [][]any
	for _, series := range answer.Results[0].Series {
		for _, values := range series.Values {
			row := values[1:]
			for _, tag := range slices.Sorted(maps.Keys(series.Tags)) {
				row = append(row, series.Tags[tag])
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// TestNothingCountsTwice moves devices: whoever adds up what is current sees each device-day
// and each alert once, where it is now.
func TestNothingCountsTwice(t *testing.T) {
	server := testserver.Influxd(t)
	s := open(t, server.URL(), "moved")
	first := greentally.Date{Year: 2026, Month: time.October, Day: 8}
	day := func(device, site string, stream greentally.Stream, after int) greentally.DeviceDay {
		date := first.Add(after)
		return greentally.DeviceDay{DeviceKey: greentally.DeviceKey{Community: "jiayuan", Device: device}, Kind: "sorting_bin", Site: site, Stream: stream,
			Date: date, Start: date.Start(time.UTC), Hours: 24, Readings: 100}
	}
	alert := func(severity greentally.Severity, site string, ended *time.Time) greentally.Alert {
		return greentally.Alert{Community: "jiayuan", Rule: "r", Severity: severity, Device: "a", Kind: "sorting_bin", Site: site, Since: start, Fired: start, Ended: ended}
	}
	over := start.Add(time.Hour)
	steps := []struct {
		name   string
		days   []greentally.DeviceDay
		alerts []greentally.Alert
		want   [][]any // sum of readings, site, stream
		firing [][]any // number, severity, site
	}{
		{
			"at first",
			[]greentally.DeviceDay{day("a", "e1", "food", 0), day("a", "e1", "food", 1), day("b", "e1", "food", 0), day("lone", "", "", 0)},
			[]greentally.Alert{alert("warning", "e1", nil)},
			[][]any{{100., "", ""}, {300., "e1", "food"}}, [][]any{{1., "warning", "e1"}},
		},
		{"another stream from the second day on", []greentally.DeviceDay{day("a", "e1", "residual", 1)}, nil, [][]any{{100., "", ""}, {200., "e1", "food"}, {100., "e1", "residual"}}, nil},
		{
			"moved, tallied again from the first day on, and the alert ended",
			[]greentally.DeviceDay{day("a", "it's \\ e2", "residual", 0), day("a", "it's \\ e2", "residual", 1)},
			[]greentally.Alert{alert("critical", "e2", &over)},
			[][]any{{100., "", ""}, {100., "e1", "food"}, {200., "it's \\ e2", "residual"}}, [][]any{{1., "critical", "e2"}},
		},
		{
			"back, both on one day and in one call with others",
			[]greentally.DeviceDay{day("b", "e1", "food", 0), day("a", "e1", "food", 0), day("lone", "e1", "food", 0), day("a", "e3", "food", 1)}, nil,
			[][]any{{300., "e1", "food"}, {100., "e3", "food"}}, nil,
		},
		{"the same again", []greentally.DeviceDay{day("a", "e1", "food", 0), day("a", "e3", "food", 1)}, nil, [][]any{{300., "e1", "food"}, {100., "e3", "food"}}, nil},
	}
	for _, step := range steps {
		if err := errors.Join(s.WriteDeviceDays(t.Context(), step.days), s.WriteAlerts(t.Context(), step.alerts)); err != nil {
			t.Fatal(err)
		}
		got := ask(t, server.URL(), "moved_derived", `SELECT sum("readings") FROM "device_day" WHERE "current" = true GROUP BY "site", "stream"`)
		if !reflect.DeepEqual(got, step.want) {
			t.Errorf("%s: device-days are %v, want %v", step.name, got, step.want)
		}
		got = ask(t, server.URL(), "moved_derived", `SELECT count("since") FROM "alert" WHERE "current" = true GROUP BY "severity", "site"`)
		if step.firing != nil && !reflect.DeepEqual(got, step.firing) {
			t.Errorf("%s: alerts are %v, want %v", step.name, got, step.firing)
		}
		days, err := s.DeviceDays(t.Context(), greentally.DeviceDayQuery{Community: "jiayuan", From: first, To: first.Add(1)})
		if err != nil || len(days) != 4 {
			t.Errorf("%s: %d device-days, want 4: %v", step.name, len(days), err)
		}
	}
}

func BenchmarkWriteReadings(b *testing.B) {
	s := open(b, testserver.Influxd(b).URL(), "bench")
	all := readings(5000)
	for b.Loop() {
		for i := range all {
			all[i].Time = all[i].Time.Add(5000 * time.Minute)
		}
		if err := s.WriteReadings(context.Background(), all); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*5000/b.Elapsed().Seconds(), "readings/s")
}

func BenchmarkReadings(b *testing.B) {
	s := open(b, testserver.Influxd(b).URL(), "bench")
	const n = 35 * 144
	if err := s.WriteReadings(b.Context(), readings(n)); err != nil {
		b.Fatal(err)
	}
	q := greentally.ReadingQuery{DeviceKey: greentally.DeviceKey{Community: "jiayuan", Device: "bin-1"}, Kind: "sorting_bin"}
	for b.Loop() {
		got := 0
		for _, err := range s.Readings(b.Context(), q) {
			if err != nil {
				b.Fatal(err)
			}
			got++
		}
		if got != n {
			b.Fatal(got)
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "readings/s")
}
