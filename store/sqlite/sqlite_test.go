package sqlite_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"greentally"
	"greentally/store/sqlite"
	"greentally/store/storetest"
)

func open(t testing.TB, file string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), file)
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
	storetest.Run(t, func(t *testing.T) greentally.Store { return open(t, filepath.Join(t.TempDir(), "a %?#'b.db")) })
}

func TestTwoProcesses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "greentally.db")
	a, b := open(t, file), open(t, file)
	for i, s := range []*sqlite.Store{a, b, a, b} {
		if err := s.WriteReadings(t.Context(), readings(i*10, 10)); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []*sqlite.Store{a, b} {
		if n, err := s.Count(t.Context()); err != nil || n != 40 {
			t.Errorf("%d readings, %v; want 40", n, err)
		}
	}
}

// A file of schema 1 had no tables of totals, alerts and assessments.
func TestSchema1(t *testing.T) {
	file := filepath.Join(t.TempDir(), "greentally.db")
	october1 := greentally.Date{Year: 2026, Month: 10, Day: 1}
	day := greentally.DeviceDay{DeviceKey: greentally.DeviceKey{Community: "jiayuan", Device: "meter-1"}, Date: october1, Hours: 24,
		Registers: map[string]greentally.RegisterDay{"energy_kwh": {Rise: 5, ByHour: make([]greentally.Amount, 24)}}}
	s, err := sqlite.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.WriteDeviceDays(t.Context(), []greentally.DeviceDay{day}), s.Close()); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), `drop table device_day_totals; drop table alerts; drop table assessments; create index device_days_by_date on device_days (community, date); pragma user_version = 1`)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	query := greentally.DeviceDayQuery{Community: "jiayuan", From: october1, To: october1, Totals: true}
	for _, want := range []int{24, 0} { // until it is written again
		s := open(t, file)
		days, err := s.DeviceDays(t.Context(), query)
		if err != nil || len(days) != 1 || len(days[0].Registers["energy_kwh"].ByHour) != want || days[0].Registers["energy_kwh"].Rise != 5 {
			t.Fatalf("%+v, %v; want %d hours", days, err, want)
		}
		if err := s.WriteDeviceDays(t.Context(), []greentally.DeviceDay{day}); err != nil {
			t.Fatal(err)
		}
	}
}

func readings(from, n int) []greentally.Reading {
	start := time.Date(2026, 10, 8, 0, 0, 0, 0, time.UTC)
	all := make([]greentally.Reading, n)
	for i := range all {
		all[i] = greentally.Reading{
			DeviceKey: greentally.DeviceKey{Community: "jiayuan", Device: "bin-1"}, Kind: "sorting_bin", Site: "s", Stream: greentally.Food,
			Time: start.Add(time.Duration(from+i) * time.Minute), Quality: greentally.Accepted,
			Values: []greentally.Value{{Quantity: "battery_ratio", Number: 0.9}, {Quantity: "fill_ratio", Number: 0.421}, {Quantity: "mass_kg", Number: 12.3}, {Quantity: "temperature_celsius", Number: 18.5}},
		}
	}
	return all
}

func BenchmarkWriteReadings(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "greentally.db"))
	n := 0
	for b.Loop() {
		if err := s.WriteReadings(b.Context(), readings(n, 5000)); err != nil {
			b.Fatal(err)
		}
		n += 5000
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "readings/s")
}

func BenchmarkReadings(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "greentally.db"))
	const n = 35 * 144
	if err := s.WriteReadings(b.Context(), readings(0, n)); err != nil {
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
