package health_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"greentally/internal/health"
)

func TestBoard(t *testing.T) {
	var log bytes.Buffer
	registry := prometheus.NewRegistry()
	board := health.New(registry, slog.New(slog.NewTextHandler(&log, nil)))
	clock, journal, store := board.Reporter("clock_jumped", false), board.Reporter("journal_refuses", true), board.Reporter("store_damaged", true)
	metrics := func() (values []int) { // by name
		t.Helper()
		families, err := registry.Gather()
		if err != nil || len(families) != 1 || families[0].GetName() != "greentally_trouble" {
			t.Fatalf("gathered %v: %v", families, err)
		}
		for _, m := range families[0].GetMetric() {
			values = append(values, int(m.GetGauge().GetValue()))
		}
		return values
	}
	for _, step := range []struct {
		name    string
		do      func()
		wrong   string // names, in their order
		ready   string
		metrics []int  // of clock, journal, store
		log     string // what is new in it
	}{
		{"nothing", func() { clock(nil) }, "", "", []int{0, 0, 0}, ""},
		{"the clock", func() { clock(errors.New("an hour ahead")) }, "clock_jumped", "", []int{1, 0, 0}, `level=ERROR msg="something is wrong: clock_jumped" error="an hour ahead"`},
		{"the journal, too", func() { journal(errors.New("full")) }, "journal_refuses clock_jumped", "journal_refuses: full", []int{1, 1, 0}, `msg="something is wrong: journal_refuses"`},
		{"the same in other words", func() { journal(errors.New("away")) }, "journal_refuses clock_jumped", "journal_refuses: away", []int{1, 1, 0}, ""},
		{"and the store", func() { store(errors.New("bad page")) }, "journal_refuses store_damaged clock_jumped", "journal_refuses: away\nstore_damaged: bad page", []int{1, 1, 1}, `msg="something is wrong: store_damaged"`},
		{"the journal works", func() { journal(nil); journal(nil) }, "store_damaged clock_jumped", "store_damaged: bad page", []int{1, 0, 1}, `level=INFO msg="no longer wrong: journal_refuses"`},
		{"all works", func() { store(nil); clock(nil) }, "", "", []int{0, 0, 0}, `no longer wrong: store_damaged`},
	} {
		t.Run(step.name, func(t *testing.T) {
			log.Reset()
			step.do()
			var names []string
			for _, trouble := range board.Troubles() {
				names = append(names, trouble.Name)
			}
			if got := strings.Join(names, " "); got != step.wrong {
				t.Errorf("wrong is %q, want %q", got, step.wrong)
			}
			if err := board.Ready(); fmt.Sprint(err) != step.ready && (err != nil || step.ready != "") {
				t.Errorf("ready says %v, want %q", err, step.ready)
			}
			if step.log == "" && log.Len() > 0 || !strings.Contains(log.String(), step.log) {
				t.Errorf("the log says %q, want %q", log.String(), step.log)
			}
			if got := metrics(); !slices.Equal(got, step.metrics) {
				t.Errorf("the metrics are %v, want %v", got, step.metrics)
			}
		})
	}
}
