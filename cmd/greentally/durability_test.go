package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"greentally"
	"greentally/internal/testserver"
	"greentally/simulator"
	"greentally/store/sqlite"
)

// rate is how many readings a second the tests publish: sixty devices that report
// every ten minutes make 0.1 a second, so time must go so much faster.
const (
	rate  = 5000
	speed = rate / 0.1
)

// load publishes what sixty devices say, until it is stopped.
type load struct {
	t     testing.TB
	sim   *simulator.Simulator
	acked atomic.Int64 // readings that the broker acknowledged
	stop  context.CancelFunc
	done  chan error

	took    time.Duration // spent waiting for acknowledgements
	counted int64         // acknowledgements in that time

	mu       sync.Mutex
	readings map[string]map[int64]bool // acknowledged, by device and time
}

// startLoad starts to publish rate readings a second to the broker, each in a message
// of its own, until finish is called.
func startLoad(t testing.TB, broker string) *load {
	t.Helper()
	file := filepath.Join(t.TempDir(), "community.yaml")
	if err := os.WriteFile(file, sixty(t), 0o600); err != nil {
		t.Fatal(err)
	}
	community, loc, err := loadCommunity(file, &program{})
	if err != nil {
		t.Fatal(err)
	}
	l := &load{t: t, done: make(chan error, 1), readings: map[string]map[int64]bool{}}
	start := greentally.Date{Year: 2026, Month: time.May, Day: 1}.Start(loc)
	l.sim, err = simulator.New(t.Context(), simulator.Options{
		Community: community, Location: loc, Start: start, Seed: 3, Brokers: []string{broker}, Speed: speed,
		Acked: func(device string, at time.Time) {
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.readings[device] == nil {
				l.readings[device] = map[int64]bool{}
			}
			l.readings[device][at.UnixMilli()] = true
			l.acked.Add(1)
		},
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	l.stop = cancel
	go func() { l.done <- l.sim.Run(ctx, start.Add(170*24*time.Hour)) }()
	t.Cleanup(func() { cancel(); l.sim.Close() })
	return l
}

// more waits until n more readings are acknowledged. It does not count the time until
// the first of them: devices may have to connect again.
func (l *load) more(n int64) {
	l.t.Helper()
	before := l.acked.Load()
	waitFor(l.t, time.Minute, "an acknowledgement", func() bool { return l.acked.Load() > before })
	start, first := time.Now(), l.acked.Load()
	waitFor(l.t, time.Minute, fmt.Sprintf("%d more acknowledgements", n), func() bool { return l.acked.Load() >= before+n })
	l.took += time.Since(start)
	l.counted += l.acked.Load() - first
}

// perSecond returns how many readings were acknowledged in a second, while it was
// waited for some.
func (l *load) perSecond() int { return int(float64(l.counted) / l.took.Seconds()) }

// finish stops publishing and returns how many readings were acknowledged.
func (l *load) finish() int {
	l.t.Helper()
	l.stop()
	select {
	case err := <-l.done:
		if err != nil && !strings.Contains(err.Error(), context.Canceled.Error()) {
			l.t.Fatalf("publish: %v", err)
		}
	case <-time.After(time.Minute):
		l.t.Fatal("the publisher does not stop")
	}
	l.sim.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, times := range l.readings {
		n += len(times)
	}
	return n
}

// missing returns how many of the acknowledged readings the store does not have.
func (l *load) missing(store greentally.ReadingStore) (missing, stored int) {
	l.t.Helper()
	community, _, err := loadCommunity(filepath.Join("..", "..", "simulator", "testdata", "sixty.yaml"), &program{})
	if err != nil {
		l.t.Fatal(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range community.Devices {
		has := map[int64]bool{}
		for r, err := range store.Readings(l.t.Context(), greentally.ReadingQuery{DeviceKey: d.Key(), Kind: d.Kind}) {
			if err != nil {
				l.t.Fatal(err)
			}
			if len(r.Values) > 1 { // not only whether it is connected
				has[r.Time.UnixMilli()] = true
			}
		}
		stored += len(has)
		for at := range l.readings[d.ID] {
			if !has[at] {
				missing++
			}
		}
	}
	return missing, stored
}

var (
	durabilityKills  = flag.Int("durability.kills", 4, "how often the program is killed in a test")
	durabilityOutage = flag.Duration("durability.outage", 10*time.Second, "how long the store is away in a test")
)

// TestKillLosesNothing kills the program again and again while devices publish to
// the broker inside it: what it acknowledged must be in the store in the end.
func TestKillLosesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, sixty(t), "")
	s.start()
	l := startLoad(t, "tcp://"+s.mqtt)
	kills := *durabilityKills
	for i := range kills {
		l.more(500 + rand.Int64N(4000))
		s.kill()
		s.start()
		if i == kills/2 { // and once more before it has caught its breath
			s.kill()
			s.start()
		}
	}
	l.more(5000)
	acked := l.finish()
	s.caughtUp(3 * time.Minute)
	s.stop()
	store, err := sqlite.Open(t.Context(), filepath.Join(s.dir, "data", "greentally.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	missing, stored := l.missing(store)
	t.Logf("%d readings acknowledged over %d kills, %d a second while it ran; %d stored", acked, kills+1, l.perSecond(), stored)
	if missing > 0 {
		t.Errorf("%d of %d acknowledged readings are missing", missing, acked)
	}
	if acked < kills*500 {
		t.Errorf("only %d readings were acknowledged: the test did not test", acked)
	}
}

// TestKillLosesNothingFromAnotherBroker does the same with mosquitto and InfluxDB: the
// broker keeps what the program did not acknowledge.
func TestKillLosesNothingFromAnotherBroker(t *testing.T) {
	t.Parallel()
	broker, influxd := testserver.Mosquitto(t), testserver.Influxd(t)
	s := newSite(t, sixty(t), fmt.Sprintf("mqtt: {urls: [%q]}\ninfluxdb: {url: %q}\n", broker.URL(), influxd.URL()))
	s.start()
	l := startLoad(t, broker.URL())
	kills := *durabilityKills
	for range kills {
		l.more(500 + rand.Int64N(4000))
		s.kill()
		s.start()
	}
	l.more(5000)
	acked := l.finish()
	waitFor(t, 2*time.Minute, "all acknowledged readings to be in InfluxDB", func() bool { return influxReadings(t, influxd.URL()) >= acked })
	s.caughtUp(3 * time.Minute)
	missing, stored := l.missing(openInflux(t, influxd.URL()))
	t.Logf("%d readings acknowledged over %d kills, %d a second; %d stored", acked, kills, l.perSecond(), stored)
	if missing > 0 {
		t.Errorf("%d of %d acknowledged readings are missing", missing, acked)
	}
	if letters := s.metric("greentally_dead_letters_total"); letters != 0 {
		t.Errorf("%v dead letters, want none", letters)
	}
}

// TestStoreOutage stops InfluxDB for a while under load. Acknowledgements and the
// watch, which alerts will follow, must go on meanwhile.
func TestStoreOutage(t *testing.T) {
	t.Parallel()
	influxd := testserver.Influxd(t)
	s := newSite(t, sixty(t), fmt.Sprintf("influxdb: {url: %q}\n", influxd.URL()))
	s.start()
	l := startLoad(t, "tcp://"+s.mqtt)
	l.more(5000)
	t.Logf("%d readings a second", l.perSecond())

	influxd.Stop()
	const stall = 5 * time.Second
	stopped := time.Now()
	acked, seen := l.acked.Load(), latest(t, s)
	ackedAt, seenAt := stopped, stopped
	var longestAck, longestSeen time.Duration
	began := acked
	for time.Since(stopped) < *durabilityOutage {
		if n := l.acked.Load(); n > acked {
			acked, ackedAt = n, time.Now()
		}
		if at := latest(t, s); at.After(seen) {
			seen, seenAt = at, time.Now()
		}
		longestAck, longestSeen = max(longestAck, time.Since(ackedAt)), max(longestSeen, time.Since(seenAt))
		if longestAck > stall || longestSeen > stall {
			t.Fatalf("stalled: the last acknowledgement was %v ago, the last news of the watch %v ago\n%s", time.Since(ackedAt), time.Since(seenAt), s.log)
		}
		time.Sleep(10 * time.Millisecond) // do not take the processor from the program
	}
	behind, err := s.followers()
	if err != nil {
		t.Fatal(err)
	}
	if behind["writer"] == 0 {
		t.Error("the writer is not behind: was the store really away?")
	}
	t.Logf("%d readings acknowledged during the outage; longest time without one %v, without news of the watch %v",
		acked-began, longestAck.Round(time.Millisecond), longestSeen.Round(time.Millisecond))
	influxd.Start()

	l.more(5000)
	all := l.finish()
	s.caughtUp(2 * time.Minute)
	missing, stored := l.missing(openInflux(t, influxd.URL()))
	if missing > 0 {
		t.Errorf("%d of %d acknowledged readings are missing, %d are stored", missing, all, stored)
	}
	s.stop()
	if complaints := s.complaints("could not write readings to the store", "could not tally device-days", "could not read the latest readings", "could not write alerts to the store", "something is wrong: store_refuses"); len(complaints) > 0 {
		t.Errorf("the log has complaints:\n%s", strings.Join(complaints, "\n"))
	}
}

// latest returns the time of the latest reading that the watch knows.
func latest(t testing.TB, s *site) time.Time {
	t.Helper()
	var devices []struct{ Latest *greentally.Reading }
	if err := s.get("/api/v1/communities/sixty/devices", &devices); err != nil {
		t.Fatal(err)
	}
	var last time.Time
	for _, d := range devices {
		if d.Latest != nil && d.Latest.Time.After(last) && len(d.Latest.Values) > 1 && d.Latest.Time.Before(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)) {
			last = d.Latest.Time
		}
	}
	return last
}
