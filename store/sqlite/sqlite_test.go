package sqlite_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

func TestMarks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "greentally.db")
	storetest.RunMarks(t, storetest.Lasting{
		Open: func(t *testing.T) greentally.Store {
			s, err := sqlite.Open(t.Context(), file)
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		Close: func(t *testing.T, s greentally.Store) {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		},
		Unmark: func(t *testing.T) { execute(t, file, "drop table mark; pragma user_version = 4") },
		Delete: func(t *testing.T) {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		},
	})
}

// A file of an earlier version that has no readings lacks what the journal has.
func TestMarkOfAnEmptyFileOfAnEarlierVersion(t *testing.T) {
	file := filepath.Join(t.TempDir(), "greentally.db")
	if err := open(t, file).Close(); err != nil {
		t.Fatal(err)
	}
	execute(t, file, "drop table mark; pragma user_version = 4")
	if m, ok, err := open(t, file).Marked(t.Context()); m != (greentally.Mark{}) || !ok || err != nil {
		t.Errorf("mark %+v, %v, %v; want the zero mark", m, ok, err)
	}
}

// execute changes the file by other hands.
func execute(t *testing.T, file, statements string) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), statements)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestDamage damages one page after the other.
func TestDamage(t *testing.T) {
	const page = 4096
	file := filepath.Join(t.TempDir(), "greentally.db")
	s, err := sqlite.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	days := make([]greentally.DeviceDay, 100)
	for i := range days {
		days[i] = greentally.DeviceDay{DeviceKey: greentally.DeviceKey{Community: "jiayuan", Device: "bin-1"}, Date: greentally.Date{Year: 2026, Month: 1, Day: 1}.Add(i)}
	}
	if err := errors.Join(s.WriteReadings(t.Context(), readings(0, 300)), s.WriteDeviceDays(t.Context(), days), s.Check(t.Context()), s.Close()); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(file)
	if err != nil || len(whole)%page != 0 {
		t.Fatalf("%d bytes: %v", len(whole), err)
	}
	found := map[string]int{} // what failed, in how many files
	try := func(what string, err error) {
		if err == nil {
			return
		}
		found[what]++
		if !errors.Is(err, greentally.ErrDamaged) || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "move the file away") {
			t.Errorf("%s: %v, want that the file is damaged, and what to do", what, err)
		}
	}
	for at := 0; at < len(whole); at += page {
		damaged := slices.Clone(whole)
		for i := range 200 { // where SQLite keeps what the page is
			damaged[at+i] ^= 0xa5
		}
		if err := os.WriteFile(file, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := sqlite.Open(t.Context(), file)
		try("open", err)
		if err != nil {
			continue
		}
		for _, err := range s.Readings(t.Context(), greentally.ReadingQuery{DeviceKey: greentally.DeviceKey{Community: "jiayuan", Device: "bin-1"}, Kind: "sorting_bin"}) {
			try("read", err)
		}
		_, err = s.DeviceDays(t.Context(), greentally.DeviceDayQuery{Community: "jiayuan", From: days[0].Date, To: days[99].Date})
		try("read days", err)
		_, _, err = s.Marked(t.Context())
		try("read mark", err)
		try("check", s.Check(t.Context()))
		try("write", s.WriteReadings(t.Context(), readings(0, 300)))
		try("write days", s.WriteDeviceDays(t.Context(), days))
		try("mark", s.Mark(t.Context(), greentally.Mark{Journal: "a", Sequence: 1}))
		_ = s.Close() // it may say what is damaged once more
	}
	if opened := len(whole)/page - found["open"]; found["check"] < opened {
		t.Errorf("the check found damage in %d of %d files that could be opened", found["check"], opened)
	}
	for _, what := range []string{"open", "read", "read days", "read mark", "write", "write days", "mark"} {
		if found[what] == 0 {
			t.Errorf("%s never met damage, so nothing is known of it", what)
		}
	}
}

func TestNoSQLiteFile(t *testing.T) {
	for name, content := range map[string]string{"text": strings.Repeat("not a database\n", 500), "another header": "SQLite format 4\x00" + strings.Repeat("\x00", 4096)} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "greentally.db")
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := sqlite.Open(t.Context(), file); !errors.Is(err, greentally.ErrDamaged) || !strings.Contains(err.Error(), file) {
				t.Errorf("error %v, want one of damage that names the file", err)
			}
		})
	}
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

// A file of schema 1 had no tables of totals, alerts, assessments and the mark.
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
	execute(t, file, `drop table device_day_totals; drop table alerts; drop table assessments; drop table mark;
		create index device_days_by_date on device_days (community, date); pragma user_version = 1`)
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
