package influx

import (
	"reflect"
	"testing"
	"time"

	"greentally"
)

// fill sets everything that there is in v to something, each thing to something else.
func fill(t *testing.T, v reflect.Value, n *int64) {
	t.Helper()
	*n++
	if at, ok := v.Addr().Interface().(*time.Time); ok {
		*at = time.Unix(1_800_000_000+*n, *n).UTC()
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), n)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(t, key, n)
		fill(t, value, n)
		v.SetMapIndex(key, value)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0), n)
		fill(t, v.Index(1), n)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), n)
	case reflect.String:
		v.SetString(string(rune('a' + *n%26)))
	case reflect.Int, reflect.Int64:
		v.SetInt(*n)
	case reflect.Bool:
		v.SetBool(true)
	default:
		t.Fatalf("%s is new in a device-day: say how it is filled, and see that it is packed", v.Type())
	}
}

func TestPackingKeepsEverything(t *testing.T) {
	p, err := newPacking()
	if err != nil {
		t.Fatal(err)
	}
	var full greentally.DeviceDay
	fill(t, reflect.ValueOf(&full).Elem(), new(int64))
	for name, day := range map[string]greentally.DeviceDay{"full": full, "empty": {}} {
		text, err := p.pack(&day)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var back greentally.DeviceDay
		if err := p.unpack([]byte(text), &back); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if want := day.Totals(); !reflect.DeepEqual(back, want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", name, back, want)
		}
	}
}

func TestPackedLongAgo(t *testing.T) {
	p, err := newPacking()
	if err != nil {
		t.Fatal(err)
	}
	const text = "+wJEsSBnamlheXVhbiFqZTEtczEtDv4MNuIJAGUFGToYDZJUAjowAQgMgaUeEAlJigA3DQAAAhGyUANlc3Bpa2UEGgAW42AFGgXmnsANoT1lRsAULmUBEsAUGf8yqAl2WBQ2qAk6WBQEBfU6pAkAoy5ZAA7QEnmYPBChY2xpZKMBoWZjbG9zZWQVGeF7DQAYZmNsb3NlZA=="
	at := time.Date(2026, time.August, 31, 16, 0, 0, 0, time.UTC)
	limit := greentally.Amount(900_000)
	want := greentally.DeviceDay{
		DeviceKey: greentally.DeviceKey{Community: "jiayuan", Device: "e1-s1-food"}, Kind: "sorting_bin", Site: "e1-s1", Stream: greentally.Food,
		Date: greentally.Date{Year: 2026, Month: time.September, Day: 1}, Start: at, Hours: 24, Readings: 144, Expected: 144,
		Covered: greentally.Duration(24 * time.Hour), LongestGap: greentally.Duration(10 * time.Minute),
		Faults:    []greentally.Fault{{Time: at.Add(time.Hour), Quantity: "mass_kg", Kind: greentally.Spike, From: 1_500_000, To: 99_000_000}},
		Gauges:    map[string]greentally.GaugeDay{"fill_ratio": {Max: 553_000, Mean: 331_736, Known: greentally.Duration(24 * time.Hour), Limit: &limit, Last: 349_000}},
		Masses:    map[string]greentally.MassDay{"mass_kg": {Evidence: greentally.Measured, First: 21_300_000, Last: 20_600_000, Deposited: 31_000_000, Collected: 31_700_000, Max: 31_700_000, Collections: []greentally.Emptying{{Time: at.Add(13*time.Hour + 38*time.Minute + 6*time.Second), Mass: 31_700_000, OffSchedule: true}}}},
		Registers: map[string]greentally.RegisterDay{"lid_openings": {Evidence: greentally.Measured, Rise: 63_000_000, Known: greentally.Duration(24 * time.Hour)}},
		States:    map[string]greentally.StateDay{"lid": {Time: map[string]greentally.Duration{"closed": greentally.Duration(24 * time.Hour)}, Known: greentally.Duration(24 * time.Hour), Last: "closed"}},
	}
	var got greentally.DeviceDay
	if err := p.unpack([]byte(text), &got); err != nil {
		fresh, packErr := p.pack(&want)
		t.Fatalf("%v; now it would be packed as %s, %v", err, fresh, packErr)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("what was packed before reads otherwise now:\ngot  %+v\nwant %+v", got, want)
	}
}

func FuzzUnpack(f *testing.F) {
	p, err := newPacking()
	if err != nil {
		f.Fatal(err)
	}
	day := greentally.DeviceDay{Kind: "sorting_bin", Gauges: map[string]greentally.GaugeDay{"fill_ratio": {Max: 1}}}
	text, err := p.pack(&day)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text string) {
		var day greentally.DeviceDay
		if err := p.unpack([]byte(text), &day); err != nil {
			return
		}
		again, err := p.pack(&day)
		if err != nil {
			t.Fatal(err)
		}
		var back greentally.DeviceDay
		if err := p.unpack([]byte(again), &back); err != nil {
			t.Fatalf("what was unpacked cannot be packed and unpacked: %v", err)
		}
	})
}
