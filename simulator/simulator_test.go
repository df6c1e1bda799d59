package simulator

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"greentally"
	"greentally/internal/strictyaml"
	"greentally/internal/testserver"
)

func load(t testing.TB, data []byte) (*greentally.Community, *time.Location) {
	t.Helper()
	var c greentally.Community
	if _, err := strictyaml.Decode("community.yaml", data, &c); err != nil {
		t.Fatal(err)
	}
	for _, d := range c.Devices {
		d.Community = c.ID
	}
	loc, err := time.LoadLocation(c.TimeZone)
	if err != nil {
		t.Fatal(err)
	}
	return &c, loc
}

var october = greentally.Date{Year: 2026, Month: time.October, Day: 1}

// simulate runs the model for some days and returns it with a hash of all readings.
func simulate(t testing.TB, data []byte, seed uint64, days int) (*model, string, int) {
	t.Helper()
	c, loc := load(t, data)
	m, err := newModel(c, loc, october.Start(loc), seed)
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	n := 0
	end := october.Add(days).Start(loc)
	for _, d := range m.devices {
		m.readings(d, end, func(r reading) {
			h.Write(encode([]reading{r}))
			n++
		})
	}
	m.truth.To = end
	m.truth.summarise(c, loc)
	return m, fmt.Sprintf("%x", h.Sum(nil)), n
}

func TestSameSeedSameCommunity(t *testing.T) {
	_, a, n := simulate(t, DemoCommunity(), 1, 3)
	_, b, _ := simulate(t, DemoCommunity(), 1, 3)
	_, c, _ := simulate(t, DemoCommunity(), 2, 3)
	if a != b || a == c {
		t.Errorf("seed 1 gives %s and %s, seed 2 %s", a, b, c)
	}
	if want := 78 * 3 * 144; n != want {
		t.Errorf("%d readings, want %d", n, want)
	}
}

func TestMassIsConserved(t *testing.T) {
	before, _, _ := simulate(t, DemoCommunity(), 1, 0)
	m, _, _ := simulate(t, DemoCommunity(), 1, 10)
	for _, stream := range greentally.Streams() {
		var deposited, collected, left float64
		for _, d := range m.truth.Days {
			deposited += d.DepositedKg[stream]
			collected += d.CollectedKg[stream]
		}
		for i, d := range m.devices {
			if b, ok := d.world.(*bin); ok && b.Stream == stream {
				left += b.kg - before.devices[i].world.(*bin).kg
			}
		}
		if diff := deposited - collected - left; diff > 1e-6 || diff < -1e-6 {
			t.Errorf("%s: %v deposited, %v collected, %v more left", stream, deposited, collected, left)
		}
		if deposited == 0 {
			t.Errorf("%s: nothing was deposited", stream)
		}
	}
}

func TestRatesArePlausible(t *testing.T) {
	m, _, _ := simulate(t, DemoCommunity(), 1, 31)
	rates := m.truth.Months["2026-10"].Rates
	t.Logf("true rates: %v", rates)
	for name, bounds := range map[string][2]float64{
		"recyclable_capture": {0.95, 0.99}, "separate_collection": {0.7, 0.8}, "daily_clearance": {0.97, 0.9999},
		"overflow_share": {0.0005, 0.05}, "batteries_per_household": {1, 6}, "lighting_saving": {0.5, 0.8},
	} {
		if v, ok := rates[name]; !ok || v < bounds[0] || v > bounds[1] {
			t.Errorf("%s is %v, want within %v", name, v, bounds)
		}
	}
	if n := len(m.truth.Audits); n < 12 || n > 18 {
		t.Errorf("%d audits in a month", n)
	}
}

func TestNightsAreLongerInWinter(t *testing.T) {
	_, loc := load(t, DemoCommunity())
	length := func(date greentally.Date) float64 {
		sunset, sunrise := night(date, loc)
		return float64(1440-sunset+sunrise) / 60
	}
	winter, summer := length(greentally.Date{Year: 2026, Month: 12, Day: 21}), length(greentally.Date{Year: 2026, Month: 6, Day: 21})
	if winter < 13.5 || winter > 14.2 || summer < 9.8 || summer > 10.3 {
		t.Errorf("nights of %.1f h in December and %.1f h in June; at 31° north they are 13.9 h and 10 h", winter, summer)
	}
}

func TestUnknownKindIsAnError(t *testing.T) {
	c, loc := load(t, DemoCommunity())
	c.Devices = append(c.Devices, &greentally.Device{ID: "x", Kind: "noise_meter"})
	if _, err := newModel(c, loc, october.Start(loc), 1); err == nil || !strings.Contains(err.Error(), "noise_meter") {
		t.Errorf("error %v, want one that names the kind", err)
	}
}

func TestParseFaults(t *testing.T) {
	got, err := ParseFaults("loss=0.05,duplicate=0.02,late=48h,reset=1,wrap=2,replace=3,silent=4,malformed=0.01")
	want := Faults{Loss: 0.05, Duplicate: 0.02, Late: 48 * time.Hour, Reset: 1, Wrap: 2, Replace: 3, Silent: 4, Malformed: 0.01}
	if err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for _, bad := range []string{"los=1", "loss=2", "loss=x", "late=2", "reset=-1", "loss", ","} {
		if f, err := ParseFaults(bad); err == nil {
			t.Errorf("%q was read as %+v", bad, f)
		}
	}
}

// TestPublishesWhatItSays counts, at a real broker, what is published under faults.
func TestPublishesWhatItSays(t *testing.T) {
	broker := testserver.Mosquitto(t)
	var mu sync.Mutex
	messages, online, unreadable := 0, map[string]string{}, 0
	readings := map[string]int{}
	o := paho.NewClientOptions().AddBroker(broker.URL()).SetClientID("counter").SetOrderMatters(true)
	o.SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
		mu.Lock()
		defer mu.Unlock()
		if strings.HasSuffix(m.Topic(), "/status") {
			online[m.Topic()] = string(m.Payload())
			return
		}
		messages++
		text := string(m.Payload())
		if !strings.HasSuffix(text, "]") && !strings.HasSuffix(text, "}") || strings.HasPrefix(text, "[") && !strings.HasSuffix(text, "]") {
			unreadable++
			return
		}
		for part := range strings.SplitSeq(text, `{"time":`) {
			if at, _, ok := strings.Cut(part, ","); ok && at != "[" {
				readings[m.Topic()+at]++
			}
		}
	})
	counter := paho.NewClient(o)
	if token := counter.Connect(); token.Wait() && token.Error() != nil {
		t.Fatal(token.Error())
	}
	defer counter.Disconnect(100)
	if token := counter.Subscribe("greentally/v1/#", 1, nil); token.Wait() && token.Error() != nil {
		t.Fatal(token.Error())
	}

	data, err := os.ReadFile("testdata/sixty.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, loc := load(t, data)
	acked := 0
	s, err := New(t.Context(), Options{
		Community: c, Location: loc, Start: october.Start(loc), Seed: 7, Brokers: []string{broker.URL()}, Batch: 5,
		Faults: Faults{Loss: 0.05, Duplicate: 0.1, Late: 24 * time.Hour, Reset: 2, Malformed: 0.02}, Log: slog.New(slog.DiscardHandler),
		Acked: func(string, time.Time) { acked++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context(), october.Add(1).Start(loc)); err != nil {
		t.Fatal(err)
	}
	truth := s.Truth()
	s.Close()
	for end := time.Now().Add(20 * time.Second); ; {
		mu.Lock()
		offline := 0
		for _, word := range online {
			if word == "offline" {
				offline++
			}
		}
		done := messages == truth.Messages && offline == 60
		mu.Unlock()
		if done {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d messages and %d statuses arrived, want %d and 60 offline", messages, len(online), truth.Messages)
		}
		time.Sleep(5 * time.Millisecond)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(readings) != truth.Readings || truth.Readings+truth.Lost != 60*144 {
		t.Errorf("%d distinct readings arrived, the truth says %d and %d lost", len(readings), truth.Readings, truth.Lost)
	}
	if acked != truth.Readings+truth.Duplicates {
		t.Errorf("%d readings were acknowledged, want %d", acked, truth.Readings+truth.Duplicates)
	}
	if unreadable != truth.Malformed || truth.Malformed == 0 || truth.Lost == 0 || truth.Duplicates == 0 {
		t.Errorf("%d unreadable messages, %+v", unreadable, truth)
	}
}

func BenchmarkModel(b *testing.B) {
	n := 0
	for b.Loop() {
		_, _, readings := simulate(b, DemoCommunity(), 1, 35)
		n += readings
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "readings/s")
}
