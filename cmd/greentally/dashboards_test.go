package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"greentally/internal/testserver"
)

// TestDashboardsOfMetrics has a Prometheus scrape the program, which is given what can be used
// and what cannot, and asks it for all that Grafana's panels show of metrics.
func TestDashboardsOfMetrics(t *testing.T) {
	t.Parallel()
	s := newSite(t, []byte(alertsCommunity), "")
	s.start()
	server := testserver.Prometheus(t, fmt.Sprintf(`
global: {scrape_interval: 500ms, scrape_timeout: 500ms}
scrape_configs:
- {job_name: greentally, static_configs: [{targets: [%q]}]}
`, s.http))
	publish := publisher(t, s)
	questions := questionsOfMetrics(t)
	var wrong []string
	for end := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		publish("bin-1", `{"fill_ratio": 0.5, "mass_kg": 12}`)
		publish("bin-1", "not to be read")
		if wrong = withoutData(t, server, questions); len(wrong) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatal(strings.Join(wrong, "\n"))
		}
	}
}

// question is what a panel asks of metrics.
type question struct{ panel, text string }

func questionsOfMetrics(t *testing.T) (all []question) {
	t.Helper()
	files, err := filepath.Glob("../../dashboards/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var board struct {
			Panels []struct {
				Title   string
				Targets []struct {
					Expr       string
					Datasource struct{ Type string }
				}
			}
		}
		if err := json.Unmarshal(data, &board); err != nil {
			t.Fatal(err)
		}
		for _, p := range board.Panels {
			for _, q := range p.Targets {
				if q.Datasource.Type == "prometheus" {
					text := strings.ReplaceAll(q.Expr, "$__rate_interval", "1m") // as Grafana does with its own defaults
					all = append(all, question{file + ", " + p.Title, text})
				}
			}
		}
	}
	if len(all) == 0 {
		t.Fatal("no panel asks for a metric")
	}
	return all
}

// withoutData says which questions give no number in the last minute.
func withoutData(t *testing.T, server *testserver.Monitor, questions []question) (wrong []string) {
	t.Helper()
	for _, q := range questions {
		values, err := server.Range(q.text, time.Now().Add(-time.Minute), time.Now(), time.Second)
		if err != nil {
			t.Fatalf("%s: %s: %v", q.panel, q.text, err)
		}
		if !slices.ContainsFunc(values, func(v float64) bool { return !math.IsNaN(v) }) {
			wrong = append(wrong, fmt.Sprintf("%s: nothing comes back from %s", q.panel, q.text))
		}
	}
	return wrong
}
