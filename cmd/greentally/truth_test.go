package main

import (
	"flag"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"greentally"
	"greentally/devices"
	"greentally/internal/strictyaml"
	"greentally/rules"
	"greentally/simulator"
	"greentally/store/memory"
)

var (
	truthSeeds = flag.Int("truth.seeds", 1, "seeds of the truth bench")
	truthOut   = flag.String("truth.out", "", "file for the truth bench's table")
)

// faultMixes are what goes wrong in the truth bench.
var faultMixes = []struct{ name, faults string }{
	{"nothing", ""},
	{"5 % lost", "loss=0.05"},
	{"5 % repeated, a tenth up to 48 h late", "duplicate=0.05,late=48h"},
	{"a reset, a wrap, a declared replacement", "reset=1,wrap=1,replace=1"},
	{"two devices silent for two days", "silent=2"},
	{"all of it", "loss=0.05,duplicate=0.05,late=48h,reset=1,wrap=1,replace=1,silent=2"},
}

// TestTruth holds every rate of a simulated month against what the simulator knows to be
// true: it is within half a percentage point (or half a percent, if it is no ratio), or
// the verdict is "insufficient data"; and the completeness stated is within one point of
// the share of readings that were published.
func TestTruth(t *testing.T) {
	t.Parallel()
	type cell struct {
		worst, completeness float64
		insufficient        int
	}
	mixes := faultMixes
	if *truthOut == "" { // nothing and all of it, which is a third of the time
		mixes = append(mixes[:1:1], mixes[len(mixes)-1])
	}
	var names []string
	cells := map[string][]cell{}
	for m, mix := range mixes {
		for seed := range *truthSeeds {
			values, truth, published := simulatedMonth(t, uint64(seed+1), mix.faults)
			for _, v := range values {
				want, known := truth.Months["2026-10"].Rates[v.Indicator]
				if !known {
					continue
				}
				if cells[v.Indicator] == nil {
					names = append(names, v.Indicator)
					cells[v.Indicator] = make([]cell, len(mixes))
				}
				c := &cells[v.Indicator][m]
				if v.Verdict == greentally.InsufficientData || v.Value == nil {
					c.insufficient++
					continue
				}
				off := 100 * math.Abs(*v.Value-want)
				if v.Unit != "ratio" {
					off /= want
				}
				c.worst = max(c.worst, off)
				if off > 0.5 {
					t.Errorf("%s, seed %d: %s is %v, the truth is %v", mix.name, seed+1, v.Indicator, *v.Value, want)
				}
				is := 1.0
				for _, in := range v.Inputs {
					if share, ok := published(in.Devices); ok {
						is = min(is, share)
					}
				}
				away := 100 * math.Abs(v.Completeness-is)
				c.completeness = max(c.completeness, away)
				if away > 1 {
					t.Errorf("%s, seed %d: the completeness of %s is stated as %.4f, and is %.4f", mix.name, seed+1, v.Indicator, v.Completeness, is)
				}
			}
		}
	}
	if len(names) < 6 {
		t.Fatalf("only %v were held against the truth", names)
	}
	var table strings.Builder
	fmt.Fprintf(&table, "| what goes wrong | %s |\n|---|%s\n", strings.Join(names, " | "), strings.Repeat("---|", len(names)))
	for m, mix := range mixes {
		fmt.Fprintf(&table, "| %s |", mix.name)
		for _, name := range names {
			c := cells[name][m]
			fmt.Fprintf(&table, " %.2f (%.1f)", c.worst, c.completeness)
			if c.insufficient > 0 {
				fmt.Fprintf(&table, ", %d insufficient", c.insufficient)
			}
			table.WriteString(" |")
		}
		table.WriteString("\n")
	}
	t.Logf("greatest errors in points (and of the completeness) over %d seeds\n%s", *truthSeeds, table.String())
	if *truthOut != "" {
		text := fmt.Sprintf(`# How far from the truth

The simulator knows what really happened in a month of sixty devices that report every ten minutes; scales have noise and
drift, filling levels are off by a few thousandths. The greatest error of each rate over %d seeds, in percentage points (in
percent of the truth for what is no ratio), and in brackets that of the completeness that is stated. Written by
`+"`make truth`"+`.

%s`, *truthSeeds, table.String())
		if err := os.WriteFile(*truthOut, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// simulatedMonth sends October 2026 through decoding, tallies and indicators, and returns
// these, the truth, and which share of the readings of some devices was published.
func simulatedMonth(t *testing.T, seed uint64, faultText string) ([]greentally.IndicatorValue, simulator.Truth, func([]string) (float64, bool)) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sixty.yaml"), sixty(t), 0o600); err != nil {
		t.Fatal(err)
	}
	live, err := devices.OpenLive(devices.Options{Communities: strictyaml.Dir(dir)})
	if err != nil {
		t.Fatal(err)
	}
	c := defaultConfig()
	types, err := openRecordTypes(c)
	if err != nil {
		t.Fatal(err)
	}
	set, err := openIndicators(c, live.Current(), types)
	if err != nil {
		t.Fatal(err)
	}
	community, _ := live.Current().Community("sixty")
	loc, _ := live.Current().Location("sixty")
	faults, err := simulator.ParseFaults(faultText)
	if err != nil {
		t.Fatal(err)
	}
	store := &memory.Store{}
	start, end := greentally.Date{Year: 2026, Month: 10, Day: 1}.Start(loc), greentally.Date{Year: 2026, Month: 11, Day: 1}.Start(loc)
	distinct := map[string]map[time.Time]bool{}
	sim, err := simulator.New(t.Context(), simulator.Options{
		Community: community, Location: loc, Start: start, Seed: seed, Faults: faults, Batch: 6, Log: slog.New(slog.DiscardHandler),
		Sink: func(topic string, payload []byte) {
			readings, err := live.Decode(greentally.Message{Topic: topic, Payload: payload, Received: end.Add(72 * time.Hour)})
			if err != nil {
				t.Fatalf("%s: %v", topic, err)
			}
			if err := store.WriteReadings(t.Context(), readings); err != nil {
				t.Fatal(err)
			}
		},
		Acked: func(device string, at time.Time) {
			if distinct[device] == nil {
				distinct[device] = map[time.Time]bool{}
			}
			distinct[device][at] = true
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := sim.Run(t.Context(), end); err != nil {
		t.Fatal(err)
	}
	truth := sim.Truth()
	for i, r := range slices.Concat(truth.Audits, truth.Events) {
		r.ID = fmt.Sprintf("%03d", i)
		if err := types.Validate(r); err != nil {
			t.Fatal(err)
		}
		if err := store.WriteRecords(t.Context(), []greentally.Record{r}); err != nil {
			t.Fatal(err)
		}
	}
	worker := &rules.Worker{Store: store, Registry: func() rules.Registry { return live.Current() }, Indicators: set,
		Now: func() time.Time { return end.Add(72 * time.Hour) }, Log: slog.New(slog.DiscardHandler)}
	var touches []rules.Touch
	for _, d := range community.Devices {
		touches = append(touches, rules.Touch{DeviceKey: d.Key(), From: start, To: end.Add(-1)})
	}
	if err := worker.Apply(t.Context(), touches); err != nil {
		t.Fatal(err)
	}
	values, err := worker.Report(t.Context(), "sixty", greentally.Month{Year: 2026, Month: 10}, end.Add(72*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return values, truth, func(names []string) (float64, bool) {
		heard, of := map[greentally.Stream]int{}, map[greentally.Stream]int{}
		for _, d := range community.Devices {
			if slices.Contains(names, d.ID) {
				heard[d.Stream] += len(distinct[d.ID])
				of[d.Stream] += 31 * 144
			}
		}
		share := 1.0
		for stream, n := range of {
			share = min(share, float64(heard[stream])/float64(n))
		}
		return share, len(names) > 0
	}
}
