package records_test

import (
	"errors"
	"io/fs"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"greentally"
	"greentally/internal/embeddednats"
	"greentally/records"
)

var now = time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)

// open opens the log in a folder, which takes evidence for no item.
func open(t *testing.T, dir string) (*records.Log, func()) {
	t.Helper()
	return openWith(t, dir, func(r greentally.Record) error {
		if r.Item != "" {
			return errors.New("there is no item")
		}
		return nil
	})
}

func openWith(t *testing.T, dir string, accept func(greentally.Record) error) (*records.Log, func()) {
	t.Helper()
	server, err := embeddednats.Start(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	js, err := jetstream.New(server.Conn)
	if err != nil {
		t.Fatal(err)
	}
	log, err := records.Open(t.Context(), js, 1, types(t), accept, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	return log, server.Close
}

func types(t testing.TB) *records.Types {
	t.Helper()
	all, err := records.LoadTypes(records.Shipped())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func audit() greentally.Record {
	return greentally.Record{
		Community: "jiayuan", Type: greentally.CompositionAudit, Date: greentally.Date{Year: 2026, Month: 10, Day: 8},
		Stream: greentally.Residual, By: "Li Na", Values: greentally.Values{"recyclable_ratio": 0.021, "sample_kg": 120},
	}
}

func TestRecordsOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	log, stop := open(t, dir)
	added, err := log.Add(t.Context(), audit())
	if err != nil {
		t.Fatal(err)
	}
	if added.ID == "" || !added.Recorded.Equal(now) {
		t.Errorf("added record has ID %q and time %v", added.ID, added.Recorded)
	}
	stop()

	log, _ = open(t, dir)
	var all []greentally.Record
	if err := log.All(t.Context(), func(r greentally.Record) error { all = append(all, r); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 || all[0].ID != added.ID || all[0].Values["recyclable_ratio"] != 0.021 {
		t.Errorf("after a restart: %+v, want the record that was added", all)
	}
}

func TestAddRefusesWhatIsNotARecord(t *testing.T) {
	log, _ := open(t, t.TempDir())
	tests := map[string]func(*greentally.Record){
		"no community":    func(r *greentally.Record) { r.Community = "" },
		"no author":       func(r *greentally.Record) { r.By = "" },
		"no date":         func(r *greentally.Record) { r.Date = greentally.Date{} },
		"type with blank": func(r *greentally.Record) { r.Type = "composition audit" },
		"NaN":             func(r *greentally.Record) { r.Values["sample_kg"] = math.NaN() },
		"ratio over 1":    func(r *greentally.Record) { r.Values["recyclable_ratio"] = 2.1 },
		"no sample":       func(r *greentally.Record) { delete(r.Values, "sample_kg") },
		"no stream":       func(r *greentally.Record) { r.Stream = "" },
		"unknown stream":  func(r *greentally.Record) { r.Stream = "paper" },
		"replaces nobody": func(r *greentally.Record) { r.Replaces = "01A" },
		"unknown item":    func(r *greentally.Record) { r.Item = "a/b" },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			r := audit()
			spoil(&r)
			if _, err := log.Add(t.Context(), r); !errors.Is(err, records.ErrInvalid) {
				t.Errorf("error %v, want ErrInvalid", err)
			}
		})
	}
	if err := log.All(t.Context(), func(r greentally.Record) error { return errors.New("kept " + r.ID) }); err != nil {
		t.Error(err)
	}
}

// TestWhatIsWrongIsToldAtOnce has a record of which both the form and the item are wrong.
func TestWhatIsWrongIsToldAtOnce(t *testing.T) {
	log, _ := open(t, t.TempDir())
	r := audit()
	r.Item, r.By = "a/b", ""
	_, err := log.Add(t.Context(), r)
	for _, want := range []string{"by is missing", "there is no item"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
}

// TestRecordsOutliveTheirItems has a record that was taken, and whose item is no longer
// there when the program starts again.
func TestRecordsOutliveTheirItems(t *testing.T) {
	dir := t.TempDir()
	log, stop := openWith(t, dir, func(greentally.Record) error { return nil })
	r := audit()
	r.Item = "a/b"
	kept, err := log.Add(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	stop()

	log, _ = open(t, dir)
	if _, err := log.Add(t.Context(), r); !errors.Is(err, records.ErrInvalid) {
		t.Errorf("another one: %v, want ErrInvalid", err)
	}
	if got, err := log.Get(t.Context(), kept.ID); err != nil || got.Item != "a/b" {
		t.Errorf("got %+v, %v; want the record that was kept", got, err)
	}
	r.Replaces, r.Item = kept.ID, ""
	if _, err := log.Add(t.Context(), r); err != nil {
		t.Errorf("a correction of it: %v", err)
	}
}

func TestARecordIsReplacedOnce(t *testing.T) {
	log, _ := open(t, t.TempDir())
	first, err := log.Add(t.Context(), audit())
	if err != nil {
		t.Fatal(err)
	}
	correction := audit()
	correction.Replaces, correction.Date = first.ID, greentally.Date{Year: 2026, Month: 9, Day: 30}
	second, err := log.Add(t.Context(), correction)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*greentally.Record){
		"again": func(*greentally.Record) {},
		"by another type": func(r *greentally.Record) {
			r.Replaces, r.Type, r.Values = second.ID, "survey", greentally.Values{"asked": 1}
		},
		"of another community": func(r *greentally.Record) { r.Replaces, r.Community = second.ID, "xixiang" },
	} {
		r := correction
		spoil(&r)
		if _, err := log.Add(t.Context(), r); !errors.Is(err, records.ErrInvalid) {
			t.Errorf("replace %s: %v, want ErrInvalid", name, err)
		}
	}
	for id, replaces := range map[string]string{first.ID: "", second.ID: first.ID} {
		if got, err := log.Get(t.Context(), id); err != nil || got.ID != id || got.Replaces != replaces {
			t.Errorf("got %+v, %v; want record %s", got, err, id)
		}
	}
	if _, err := log.Get(t.Context(), "01A"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("get what is not there: %v", err)
	}
}
