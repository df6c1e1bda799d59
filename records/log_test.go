package records_test

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
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
	server, err := embeddednats.Start(dir, embeddednats.Options{Log: slog.New(slog.DiscardHandler)})
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
		"far away":        func(r *greentally.Record) { r.Date.Year = 9999 },
		"year of no JSON": func(r *greentally.Record) { at := time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC); r.At = &at },
		"end of no year":  func(r *greentally.Record) { end := time.Time{}; r.End = &end },
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
	if _, err := log.Add(t.Context(), correction); !errors.Is(err, records.ErrThere) || !strings.Contains(err.Error(), second.ID) {
		t.Errorf("replace again: %v, want that %s is there", err, second.ID)
	}
	for name, spoil := range map[string]func(*greentally.Record){
		"with something else": func(r *greentally.Record) { r.By = "Wang Wei" },
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

func add(t *testing.T, log *records.Log, r greentally.Record) greentally.Record {
	t.Helper()
	added, err := log.Add(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return added
}

// withdrawal returns a record that withdraws another.
func withdrawal(of greentally.Record) greentally.Record {
	return greentally.Record{Community: of.Community, Type: of.Type, Date: of.Date, By: "Li Na", Why: "a slip", Replaces: of.ID, Withdraws: true}
}

func TestWithdraw(t *testing.T) {
	dir := t.TempDir()
	log, stop := open(t, dir)
	first := add(t, log, audit())
	for name, spoil := range map[string]func(*greentally.Record){
		"nothing":              func(r *greentally.Record) { r.Replaces = "" },
		"without a reason":     func(r *greentally.Record) { r.Why = "" },
		"and say something":    func(r *greentally.Record) { r.Values = greentally.Values{"sample_kg": 1} },
		"as another type":      func(r *greentally.Record) { r.Type = "survey" },
		"of another community": func(r *greentally.Record) { r.Community = "xixiang" },
		"what is not there":    func(r *greentally.Record) { r.Replaces = "01A" },
	} {
		r := withdrawal(first)
		spoil(&r)
		if _, err := log.Add(t.Context(), r); !errors.Is(err, records.ErrInvalid) {
			t.Errorf("withdraw %s: %v, want ErrInvalid", name, err)
		}
	}
	withdrawn := add(t, log, withdrawal(first))
	stop()

	log, _ = open(t, dir)
	if _, err := log.Add(t.Context(), withdrawal(first)); !errors.Is(err, records.ErrThere) || !strings.Contains(err.Error(), withdrawn.ID) {
		t.Errorf("withdraw again: %v, want that it is there", err)
	}
	if _, err := log.Add(t.Context(), withdrawal(withdrawn)); !errors.Is(err, records.ErrInvalid) || !strings.Contains(err.Error(), "a record of its own") {
		t.Errorf("withdraw a withdrawal: %v", err)
	}
	correction := audit()
	correction.Replaces = first.ID
	if _, err := log.Add(t.Context(), correction); !errors.Is(err, records.ErrInvalid) || !strings.Contains(err.Error(), "was withdrawn") {
		t.Errorf("correct what was withdrawn: %v", err)
	}
	second := add(t, log, audit()) // what was withdrawn can be said again
	var all []greentally.Record
	if err := log.All(t.Context(), func(r greentally.Record) error { all = append(all, r); return nil }); err != nil {
		t.Fatal(err)
	}
	if kept := greentally.InForce(all); len(all) != 3 || len(kept) != 1 || kept[0].ID != second.ID {
		t.Errorf("in force of %d: %+v, want %s", len(all), kept, second.ID)
	}
}

// Withdrawing does not ask whether the record would still be taken.
func TestWithdrawWhatIsTakenNoMore(t *testing.T) {
	dir := t.TempDir()
	log, stop := openWith(t, dir, func(greentally.Record) error { return nil })
	first := add(t, log, audit())
	stop()
	log, _ = openWith(t, dir, func(greentally.Record) error { return errors.New("there is no such stream any more") })
	add(t, log, withdrawal(first))
}

func TestTheSameThingTwice(t *testing.T) {
	dir := t.TempDir()
	log, stop := open(t, dir)
	at := now.In(time.FixedZone("", 8*60*60))
	complaint := greentally.Record{Community: "jiayuan", Type: "complaint", Date: audit().Date, At: &at, By: "Li Na", Texts: map[string]string{"about": "垃圾满溢"}}
	first, second := add(t, log, audit()), add(t, log, complaint)
	stop()

	log, _ = open(t, dir)
	there := func(what string, r greentally.Record, id string) {
		t.Helper()
		if _, err := log.Check(t.Context(), r); !errors.Is(err, records.ErrThere) {
			t.Errorf("check %s: %v, want that it is there", what, err)
		}
		if _, err := log.Add(t.Context(), r); !errors.Is(err, records.ErrThere) || !strings.Contains(err.Error(), id) {
			t.Errorf("%s: %v, want that it is there as %s", what, err, id)
		}
	}
	there("again", audit(), first.ID)
	utc := at.UTC()
	complaint.At, complaint.Why, complaint.Values = &utc, "by telephone", greentally.Values{}
	there("in another zone, for another reason", complaint, second.ID)
	byOther := audit()
	byOther.Account = "token:commands"
	there("by another account", byOther, first.ID)

	other := audit()
	other.Community = "xixiang"
	add(t, log, other)
	correction := audit()
	correction.Replaces, correction.Values = first.ID, greentally.Values{"recyclable_ratio": 0.03, "sample_kg": 120}
	if checked, err := log.Check(t.Context(), correction); err != nil || checked.ID != "" {
		t.Errorf("check a correction: %+v, %v", checked, err)
	}
	third := add(t, log, correction)
	there("what was corrected", audit(), third.ID)
	there("the correction", correction, third.ID)
	correction.Replaces = ""
	there("the correction as a record of its own", correction, third.ID)
	back := audit()
	back.Replaces = third.ID
	add(t, log, back)
}

func TestUniqueTexts(t *testing.T) {
	dir := t.TempDir()
	log, stop := open(t, dir)
	haul := func(ticket string, kg float64) greentally.Record {
		return greentally.Record{Community: "jiayuan", Type: "haul_ticket", Date: audit().Date, Stream: greentally.Food, By: "Li Na", Values: greentally.Values{"kg": kg},
			Texts: map[string]string{"carrier": "环卫所", "destination": "x", "treatment": "composting", "ticket": ticket}}
	}
	first := add(t, log, haul("7", 1250))
	add(t, log, haul("", 1250))
	add(t, log, haul("", 1251))
	stop()

	log, _ = open(t, dir)
	if _, err := log.Add(t.Context(), haul("7", 900)); !errors.Is(err, records.ErrInvalid) || errors.Is(err, records.ErrThere) || !strings.Contains(err.Error(), `ticket "7" is that of record `+first.ID) {
		t.Errorf("the ticket again: %v", err)
	}
	other := haul("7", 900)
	other.Community = "xixiang"
	add(t, log, other)
	correction := haul("7", 900)
	correction.Replaces = first.ID
	second := add(t, log, correction)
	third := haul("8", 900)
	third.Replaces = second.ID
	add(t, log, third)
	again := add(t, log, haul("7", 10))
	add(t, log, withdrawal(again))
	add(t, log, haul("7", 11))
}

// Of many that hand in the same at once, through logs of their own as of processes of their
// own, one succeeds.
func TestTheSameThingAtOnce(t *testing.T) {
	log, _ := open(t, t.TempDir())
	other, err := records.Open(t.Context(), records.JetStreamOf(log), 1, types(t), func(greentally.Record) error { return nil }, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	errs := make(chan error)
	for i := range 20 {
		go func() {
			_, err := []*records.Log{log, other}[i%2].Add(t.Context(), audit())
			errs <- err
		}()
	}
	added := 0
	for range 20 {
		if err := <-errs; err == nil {
			added++
		} else if !errors.Is(err, records.ErrThere) {
			t.Error(err)
		}
	}
	if added != 1 {
		t.Errorf("%d of them were added", added)
	}
}

// A record that was damaged is gone, and the others are read and added to as before, wherever it was.
func TestDamagedRecord(t *testing.T) {
	for name, hit := range map[string]int{"the first": 0, "one between": 2, "the last": 3, "all": -1} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			log, stop := open(t, dir)
			var ids []string
			for i := range 4 {
				r := audit()
				r.Date.Day = i + 1
				added, err := log.Add(t.Context(), r)
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, added.ID)
			}
			stop()
			files, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "GREENTALLY_RECORDS", "msgs", "*.blk"))
			if err != nil || len(files) != 1 {
				t.Fatalf("files %v: %v", files, err)
			}
			data, err := os.ReadFile(files[0])
			if err != nil {
				t.Fatal(err)
			}
			left := 0
			for i, id := range ids {
				if hit == i || hit < 0 {
					data[bytes.LastIndex(data, []byte(id))] ^= 1
				} else {
					left++
				}
			}
			if err := os.WriteFile(files[0], data, 0o600); err != nil {
				t.Fatal(err)
			}
			log, _ = open(t, dir)
			count := func() (n int) {
				if err := log.All(t.Context(), func(greentally.Record) error { n++; return nil }); err != nil {
					t.Fatal(err)
				}
				return n
			}
			if n := count(); n != left {
				t.Errorf("%d records are read, want %d", n, left)
			}
			r := audit()
			r.Date.Day = 20
			if _, err := log.Add(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if n := count(); n != left+1 {
				t.Errorf("with another one %d records are read, want %d", n, left+1)
			}
		})
	}
}
