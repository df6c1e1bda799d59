package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"greentally"
	"greentally/internal/testserver"
	"greentally/simulator"
	"greentally/store/influx"
)

// sixty is a community of sixty devices that report every ten minutes.
func sixty(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("../../simulator/testdata/sixty.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// influxCount returns how many values of the field the server has.
func influxCount(t testing.TB, server, database, measurement, field string) int {
	t.Helper()
	query := url.Values{"db": {database}, "q": {fmt.Sprintf("SELECT count(%q) FROM %q", field, measurement)}}
	response, err := http.Get(server + "/query?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Results []struct {
			Error  string
			Series []struct{ Values [][]any }
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Results) != 1 || answer.Results[0].Error != "" {
		t.Fatalf("%s: %+v", query.Get("q"), answer)
	}
	if len(answer.Results[0].Series) == 0 {
		return 0
	}
	return int(answer.Results[0].Series[0].Values[0][1].(float64))
}

// influxReadings returns how many readings the server has: those with the quantity
// that every reading of its kind has.
func influxReadings(t testing.TB, server string) int {
	t.Helper()
	n := 0
	for kind, field := range map[string]string{"sorting_bin": "mass_kg", "battery_box": "mass_kg", "oil_drum": "mass_kg",
		"lighting_meter": "energy_kwh", "water_meter": "volume_m3"} {
		n += influxCount(t, server, "greentally", kind, field)
	}
	return n
}

// TestRatesEqualTheTruth goes the whole way: simulated devices, mosquitto, journal,
// InfluxDB, device-days, report.
func TestRatesEqualTheTruth(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		faults   []string
		seed     string
		interval time.Duration
	}{
		"without faults":             {nil, "1", 30 * time.Minute},
		"repeated and two days late": {[]string{"--faults", "loss=0,duplicate=0.05,late=48h"}, "2", 10 * time.Minute},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broker, influxd := testserver.Mosquitto(t), testserver.Influxd(t)
			community := bytes.ReplaceAll(sixty(t), []byte("interval: 10m"), fmt.Appendf(nil, "interval: %v", tt.interval))
			s := newSite(t, community, fmt.Sprintf("mqtt: {urls: [%q]}\ninfluxdb: {url: %q}\n", broker.URL(), influxd.URL()))
			s.start()
			truthFile := filepath.Join(s.dir, "truth.json")
			must(t, append([]string{"simulate", "--config", s.config, "--broker", broker.URL(), "--seed", tt.seed,
				"--community", filepath.Join(s.dir, "communities", "community.yaml"),
				"--from", "2026-10-01", "--days", "30", "--truth", truthFile, "--audits"}, tt.faults...)...)
			data, err := os.ReadFile(truthFile)
			if err != nil {
				t.Fatal(err)
			}
			var truth simulator.Truth
			if err := json.Unmarshal(data, &truth); err != nil {
				t.Fatal(err)
			}
			if want := 30 * 60 * int(24*time.Hour/tt.interval); truth.Readings != want {
				t.Fatalf("%d readings were published, want %d", truth.Readings, want)
			}
			if (truth.Duplicates > 0) != (tt.faults != nil) {
				t.Fatalf("%d readings were repeated", truth.Duplicates)
			}
			waitFor(t, 2*time.Minute, "all readings to be in InfluxDB", func() bool { return influxReadings(t, influxd.URL()) >= truth.Readings })
			s.caughtUp(2 * time.Minute)
			if n := influxReadings(t, influxd.URL()); n != truth.Readings {
				t.Errorf("InfluxDB has %d readings, %d were published", n, truth.Readings)
			}
			if n := s.metric("greentally_dead_letters_total"); n != 0 {
				t.Errorf("%v dead letters, want none", n)
			}

			var values []greentally.IndicatorValue
			if err := json.Unmarshal([]byte(must(t, "report", "--config", s.config, "--community", "sixty", "--month", "2026-10", "--format", "json")), &values); err != nil {
				t.Fatal(err)
			}
			compared := 0
			for _, v := range values {
				if _, known := truth.Months["2026-10"].Rates[v.Indicator]; !known {
					continue // it rests on records that nobody has handed in
				}
				compared++
				compare(t, v, truth.Months["2026-10"].Rates)
				if v.Verdict == greentally.InsufficientData {
					t.Errorf("%s: verdict %s, %s", v.Indicator, v.Verdict, v.Reason)
				}
			}
			if compared < 6 || compared != len(truth.Months["2026-10"].Rates) {
				t.Errorf("%d rates were compared, the truth has %d", compared, len(truth.Months["2026-10"].Rates))
			}
			s.stop()
			if all := s.complaints(); len(all) > 0 {
				t.Errorf("the log has complaints:\n%s", strings.Join(all, "\n"))
			}
		})
	}
}

// compare checks that a rate is within one percentage point of the truth; what is not
// a ratio, within one percent of it.
func compare(t *testing.T, v greentally.IndicatorValue, rates map[string]float64) {
	t.Helper()
	want := rates[v.Indicator]
	if v.Value == nil {
		t.Errorf("%s has no value: %s", v.Indicator, v.Reason)
		return
	}
	within := 0.01
	if v.Unit != "ratio" {
		within = 0.01 * math.Abs(want)
	}
	if diff := *v.Value - want; !(math.Abs(diff) <= within) {
		t.Errorf("%s is %v, the truth is %v", v.Indicator, *v.Value, want)
	}
	t.Logf("%-24s %.5f, truth %.5f", v.Indicator, *v.Value, want)
}

// TestBurstWithoutTimes publishes messages that have no time of their own as fast as it
// goes: none may overwrite another.
func TestBurstWithoutTimes(t *testing.T) {
	broker, influxd := testserver.Mosquitto(t), testserver.Influxd(t)
	s := newSite(t, sixty(t), fmt.Sprintf("mqtt: {urls: [%q]}\ninfluxdb: {url: %q}\n", broker.URL(), influxd.URL()))
	s.start()
	const n = 2000
	client := connectMQTT(t, broker.URL())
	var tokens []paho.Token
	for i := range n {
		tokens = append(tokens, client.Publish("greentally/v1/sixty/e1-s1-food/readings", 1, false, fmt.Sprintf(`{"mass_kg": %d.5, "fill_ratio": 0.5}`, i%90)))
	}
	waitTokens(t, tokens)
	waitFor(t, time.Minute, "the burst to be stored", func() bool { return s.metric("greentally_readings_stored_total") >= n })
	s.caughtUp(time.Minute)
	if got := influxCount(t, influxd.URL(), "greentally", "sorting_bin", "mass_kg"); got != n {
		t.Errorf("InfluxDB has %d readings of the %d messages", got, n)
	}
}

func connectMQTT(t testing.TB, url string) paho.Client {
	t.Helper()
	client := paho.NewClient(paho.NewClientOptions().AddBroker(url).SetClientID("test-" + fmt.Sprint(time.Now().UnixNano())).SetAutoReconnect(false))
	if token := client.Connect(); !token.WaitTimeout(20*time.Second) || token.Error() != nil {
		t.Fatalf("connect to %s: %v", url, token.Error())
	}
	t.Cleanup(func() { client.Disconnect(0) })
	return client
}

func waitTokens(t testing.TB, tokens []paho.Token) {
	t.Helper()
	for _, token := range tokens {
		if !token.WaitTimeout(time.Minute) || token.Error() != nil {
			t.Fatalf("publish: %v", token.Error())
		}
	}
}

func openInflux(t testing.TB, server string) greentally.Store {
	t.Helper()
	store, err := influx.Open(t.Context(), influx.Config{URL: server, Bucket: "greentally", DerivedBucket: "greentally_derived"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}
