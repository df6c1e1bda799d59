package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/nats-io/nats.go/jetstream"

	"greentally"
	"greentally/internal/embeddednats"
	"greentally/internal/testserver"
	"greentally/store/sqlite"
)

const lakeside = `community: lake
name: {zh: 湖畔, en: Lakeside}
households: 10
sites: [{id: e1, type: estate, name: {zh: 一期, en: Phase 1}}]
devices:
- {id: bin-1, kind: sorting_bin, profile: native, stream: food, site: e1}
`

// readingsSender publishes readings of bin-1, a second apart, and remembers which were acknowledged.
type readingsSender struct {
	t      testing.TB
	client paho.Client
	next   time.Time

	mu    sync.Mutex
	acked map[int64]bool // by time, ms
}

// newPublisher connects to a broker, and again when the connection is lost.
func newPublisher(t testing.TB, broker string) *readingsSender {
	t.Helper()
	p := &readingsSender{t: t, acked: map[int64]bool{}, next: time.Now().Add(-20 * 24 * time.Hour).Truncate(time.Second)}
	p.client = paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + broker).SetClientID(t.Name()).SetCleanSession(true).
		SetConnectRetry(true).SetConnectRetryInterval(100 * time.Millisecond).SetMaxReconnectInterval(200 * time.Millisecond))
	if token := p.client.Connect(); !token.WaitTimeout(time.Minute) || token.Error() != nil {
		t.Fatalf("connect to %s: %v", broker, token.Error())
	}
	t.Cleanup(func() { p.client.Disconnect(0) })
	return p
}

// publish publishes n readings at once and returns how many are acknowledged within a time.
func (p *readingsSender) publish(n int, within time.Duration) (acked int) {
	p.t.Helper()
	type sent struct {
		at    int64
		token paho.Token
	}
	var all []sent
	for range n {
		p.next = p.next.Add(time.Second)
		at := p.next.UnixMilli()
		all = append(all, sent{at, p.client.Publish("greentally/v1/lake/bin-1/readings", 1, false, fmt.Sprintf(`{"time": %d, "mass_kg": 10, "fill_ratio": 0.1}`, at))})
	}
	end := time.Now().Add(within)
	for _, s := range all {
		if s.token.WaitTimeout(max(0, time.Until(end))) && s.token.Error() == nil {
			acked++
			p.mu.Lock()
			p.acked[s.at] = true
			p.mu.Unlock()
		}
	}
	return acked
}

// missing returns how many of the acknowledged readings the store does not have.
func (p *readingsSender) missing(store greentally.ReadingStore) (missing int) {
	p.t.Helper()
	has := map[int64]bool{}
	for r, err := range store.Readings(p.t.Context(), greentally.ReadingQuery{DeviceKey: greentally.DeviceKey{Community: "lake", Device: "bin-1"}, Kind: "sorting_bin"}) {
		if err != nil {
			p.t.Fatal(err)
		}
		has[r.Time.UnixMilli()] = true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for at := range p.acked {
		if !has[at] {
			missing++
		}
	}
	return missing
}

// nothingMissing checks that all that was acknowledged is in the site's SQLite file. The program must be stopped.
func (p *readingsSender) nothingMissing(s *site) {
	p.t.Helper()
	store, err := sqlite.Open(p.t.Context(), filepath.Join(s.dir, "data", "greentally.db"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer store.Close()
	if missing := p.missing(store); missing > 0 {
		p.t.Errorf("%d of %d acknowledged readings are missing", missing, len(p.acked))
	}
}

// tells waits until readiness, status, metric and log tell of a trouble.
func (s *site) tells(trouble string, stops bool) {
	s.t.Helper()
	told := func() bool {
		status, text := s.ready()
		return strings.Contains(text, trouble) && (status == http.StatusServiceUnavailable) == stops
	}
	for end := time.Now().Add(time.Minute); !told(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			status, text := s.ready()
			s.t.Fatalf("readiness does not tell of %s, but says %d %s\n%s", trouble, status, text, s.log)
		}
	}
	if out, err := command(s.t, "status", "--config", s.config); !strings.Contains(out, trouble+" since ") || (err != nil) != stops {
		s.t.Errorf("status says %v:\n%s", err, out)
	}
	var text string
	if err := s.get("/metrics", &text); err != nil {
		s.t.Fatal(err)
	}
	if !strings.Contains(text, fmt.Sprintf("greentally_trouble{trouble=%q} 1\n", trouble)) {
		s.t.Errorf("the metric does not tell of %s", trouble)
	}
	if !strings.Contains(s.log.String(), "something is wrong: "+trouble) {
		s.t.Errorf("the log does not tell of %s:\n%s", trouble, s.log)
	}
}

// endsByItself waits until the process has ended with an error, and returns it.
func (s *site) endsByItself(within time.Duration) error {
	s.t.Helper()
	select {
	case <-s.exited:
	case <-time.After(within):
		s.t.Fatalf("it runs still after %v\n%s", within, s.log)
	}
	s.process = nil
	return s.ended
}

// stopInTime asks the process to end, which it has to do before Docker would kill it.
func (s *site) stopInTime() {
	s.t.Helper()
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	select {
	case <-s.exited:
		s.process = nil
	case <-time.After(gracePeriod):
		_ = s.process.Process.Signal(syscall.SIGQUIT)
		<-s.exited
		s.t.Errorf("it did not end within %v of being asked to\n%s", gracePeriod, s.log)
	}
}

// gracePeriod is how long Docker waits before it kills what it has asked to end.
const gracePeriod = 10 * time.Second

// A journal that is full of what the store does not take acknowledges nothing, says so, ends when
// it is asked to, and goes on when there is room.
func TestFullJournal(t *testing.T) {
	t.Parallel()
	influxd := testserver.Influxd(t)
	s := newSite(t, []byte(lakeside), fmt.Sprintf("influxdb: {url: %q}\njournal: {max_bytes: 64MiB}\n", influxd.URL()))
	s.start()
	p := newPublisher(t, s.mqtt)
	if n := p.publish(100, time.Minute); n != 100 {
		t.Fatalf("%d of 100 readings acknowledged", n)
	}
	influxd.Stop()
	big := bytes.Repeat([]byte("x"), 1<<20-1000)
	full := false
	for range 100 {
		if !p.client.Publish("greentally/v1/lake/bin-2/readings", 1, false, big).WaitTimeout(5 * time.Second) {
			full = true
			break
		}
	}
	if !full {
		t.Fatal("100 MB were taken into 64 MiB")
	}
	s.tells("journal_refuses", true)
	p.client.Disconnect(0)
	s.stopInTime()

	if err := os.Truncate(filepath.Join(s.dir, "data", "lock"), 0); err != nil {
		t.Fatal(err)
	}
	influxd.Start()
	s.start()
	p2 := newPublisher(t, s.mqtt)
	p2.acked, p2.next = p.acked, p.next
	if n := p2.publish(100, time.Minute); n != 100 {
		t.Errorf("%d of 100 readings acknowledged after the store came back", n)
	}
	s.caughtUp(time.Minute)
	if missing := p2.missing(openInflux(t, influxd.URL())); missing > 0 {
		t.Errorf("%d acknowledged readings are missing", missing)
	}
	s.stop()
}

// A store that is away at the very first start keeps the journal from forgetting what it has not got.
func TestStoreAwayAtTheFirstStart(t *testing.T) {
	t.Parallel()
	influxd := testserver.Influxd(t)
	influxd.Stop()
	s := newSite(t, []byte(lakeside), fmt.Sprintf("influxdb: {url: %q}\njournal: {max_bytes: 64MiB}\n", influxd.URL()))
	s.start()
	p := newPublisher(t, s.mqtt)
	if n := p.publish(100, time.Minute); n != 100 {
		t.Fatalf("%d of 100 readings acknowledged", n)
	}
	big := bytes.Repeat([]byte("x"), 1<<20-1000)
	for i := 0; p.client.Publish("greentally/v1/lake/bin-2/readings", 1, false, big).WaitTimeout(5 * time.Second); i++ {
		if i == 100 {
			t.Fatal("100 MB were taken into 64 MiB, which nothing was taken out of")
		}
	}
	s.tells("store_refuses", true) // the journal is full, too
	behind, err := s.followers()
	if err != nil || behind["writer"] < 100 {
		t.Errorf("the followers are behind by %v: %v", behind, err)
	}
	influxd.Start()
	waitFor(t, time.Minute, "readiness", s.isReady)
	s.caughtUp(time.Minute)
	if missing := p.missing(openInflux(t, influxd.URL())); missing > 0 {
		t.Errorf("%d acknowledged readings are missing", missing)
	}
	s.stop()
}

// What people wrote and is gone from its log is told, at each start until that is settled.
func TestLedger(t *testing.T) {
	dir, data := t.TempDir(), t.TempDir()
	start := func() (jetstream.JetStream, func()) {
		server, err := embeddednats.Start(dir, embeddednats.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Close)
		js, err := jetstream.New(server.Conn)
		if err != nil {
			t.Fatal(err)
		}
		for name := range personalLogs {
			if _, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{name}, Storage: jetstream.FileStorage}); err != nil {
				t.Fatal(err)
			}
		}
		return js, server.Close
	}
	add := func(js jetstream.JetStream, name string) {
		for range 3 {
			if _, err := js.Publish(t.Context(), name, []byte("written by a person")); err != nil {
				t.Fatal(err)
			}
		}
	}
	open := func(js jetstream.JetStream) (*ledger, error) {
		var told error
		l, err := openLedger(t.Context(), js, data, func(err error) { told = err })
		if err != nil {
			t.Fatal(err)
		}
		return l, told
	}
	file := func(name string) string {
		files, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", name, "msgs", "1.blk"))
		if err != nil || len(files) != 1 {
			t.Fatalf("files of %s: %v, %v", name, files, err)
		}
		return files[0]
	}
	js, stop := start()
	l, told := open(js)
	if told != nil {
		t.Errorf("at the first start it tells %v", told)
	}
	for name := range personalLogs {
		add(js, name)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.keep(ended); err != nil {
		t.Fatal(err)
	}
	stop()
	js, stop = start()
	if _, told := open(js); told != nil {
		t.Errorf("where nothing is gone it tells %v", told)
	}
	stop()
	for name, do := range map[string]func(string) error{
		"GREENTALLY_RECORDS": os.Remove,
		"KV_GREENTALLY_TOKENS": func(file string) error {
			info, err := os.Stat(file)
			return errors.Join(err, os.Truncate(file, info.Size()-1))
		},
		"KV_GREENTALLY_USERS": func(file string) error { return os.RemoveAll(filepath.Dir(filepath.Dir(file))) },
	} {
		if err := do(file(name)); err != nil {
			t.Fatal(err)
		}
	}
	for round := range 2 {
		js, stop = start()
		_, told := open(js)
		for _, want := range []string{"3 entries of GREENTALLY_RECORDS", "1 entries of KV_GREENTALLY_TOKENS", "3 entries of KV_GREENTALLY_USERS", "revoked may be valid again"} {
			if told == nil || !strings.Contains(told.Error(), want) {
				t.Errorf("start %d: it tells %v, want %q", round, told, want)
			}
		}
		if told != nil && strings.Contains(told.Error(), "APPLICATIONS") {
			t.Errorf("it tells of what is whole: %v", told)
		}
		stop()
	}
}

// Where there were users, and what keeps them is lost, nobody is administrator for want of users.
func TestUsersThatAreLost(t *testing.T) {
	c := defaultConfig()
	c.DataDir = t.TempDir()
	if err := usersAreThere(c, false); err != nil {
		t.Errorf("there never were users: %v", err)
	}
	if err := rememberUsers(t.Context(), c, func() bool { return true }); err != nil {
		t.Fatal(err)
	}
	if err := usersAreThere(c, true); err != nil {
		t.Errorf("they are there: %v", err)
	}
	if err := usersAreThere(c, false); err == nil || !strings.Contains(err.Error(), filepath.Join(c.DataDir, usersFile)) {
		t.Errorf("they are lost: %v", err)
	}
	c.HTTP.TokenFile = "token"
	if err := usersAreThere(c, false); err != nil {
		t.Errorf("there is a token: %v", err)
	}
}

// More than the journal holds passes through it, faster than the alert rules keep their state by themselves.
func TestMoreThanTheJournalHolds(t *testing.T) {
	t.Parallel()
	s := newSite(t, []byte(lakeside), "journal: {max_bytes: 64MiB, dead_letters_max_bytes: 64MiB}\n")
	s.start()
	p := newPublisher(t, s.mqtt)
	big := bytes.Repeat([]byte("x"), 1_000_000)
	for i := range 200 {
		if !p.client.Publish("greentally/v1/lake/bin-2/readings", 1, false, big).WaitTimeout(time.Minute) {
			t.Fatalf("message %d of 1 MB was not acknowledged within a minute\n%s", i, s.log)
		}
	}
	if n := p.publish(100, time.Minute); n != 100 {
		t.Errorf("%d of 100 readings acknowledged", n)
	}
	s.caughtUp(time.Minute)
	if lost := s.metric("greentally_journal_lost_entries_total"); lost > 0 {
		t.Errorf("%v entries are said to be lost", lost)
	}
	s.stop()
	p.nothingMissing(s)
}

// A disk that fills up acknowledges nothing, says so, and is got over when there is room again,
// without a start and without a loss. It is a small one of its own, in a name space of its own.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	s := newSite(t, []byte(lakeside), "journal: {max_bytes: 128MiB, dead_letters_max_bytes: 64MiB}\n")
	disk := filepath.Join(s.dir, "data")
	if err := os.MkdirAll(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	program, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	// The budgets are more than the disk has.
	cmd := exec.Command("sh", "-c", `mount -t tmpfs -o size=100m tmpfs "$1" && exec "$0" run --config "$2"`, program, disk, s.config)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}}
	s.run(cmd) // if it fails, let users make name spaces: sysctl kernel.unprivileged_userns_clone=1
	waitFor(t, time.Minute, "greentally to be ready", s.isReady)
	if !strings.Contains(s.log.String(), "has less room than") {
		t.Error("nothing is said of the small disk")
	}
	p := newPublisher(t, s.mqtt)
	if n := p.publish(500, time.Minute); n != 500 {
		t.Fatalf("%d of 500 readings acknowledged", n)
	}
	ballast := fmt.Sprintf("/proc/%d/root%s/ballast", cmd.Process.Pid, disk)
	if out, err := exec.Command("dd", "if=/dev/zero", "of="+ballast, "bs=1M").CombinedOutput(); err == nil {
		t.Fatalf("the disk was not filled: %s", out)
	}
	for p.publish(100, 2*time.Second) == 100 { // what is in blocks already has room for a while
	}
	waitFor(t, time.Minute, "readiness", func() bool { status, _ := s.ready(); return status == http.StatusServiceUnavailable })
	if out, err := command(t, "status", "--config", s.config); err == nil || !strings.Contains(out, "journal") {
		t.Errorf("status says %v:\n%s", err, out)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	waitFor(t, time.Minute, "readiness", func() bool { status, _ := s.ready(); return status == http.StatusOK })
	if n := p.publish(500, time.Minute); n != 500 {
		t.Errorf("%d of 500 readings acknowledged after there was room again\n%s", n, s.log)
	}
	s.caughtUp(time.Minute)
	// The disk ends with the process: ask it now.
	var text string
	if err := s.get("/api/v1/communities/lake/devices/bin-1/readings?"+"from="+p.next.Add(-5000*time.Second).UTC().Format(time.RFC3339)+"&to="+p.next.Add(time.Second).UTC().Format(time.RFC3339), &text); err != nil {
		t.Fatal(err)
	}
	for at := range p.acked {
		if !strings.Contains(text, time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05Z")) {
			t.Errorf("the reading of %v is missing", time.UnixMilli(at).UTC())
		}
	}
	s.stopInTime()
}

// A data folder that is removed, or something else in its place, ends the program.
func TestDataFolderThatIsGone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		do   func(data string) error
		want string
	}{
		{"removed", os.RemoveAll, "was removed while it was in use"},
		{"moved away, and another in its place", func(data string) error {
			if err := os.Rename(data, data+".old"); err != nil {
				return err
			}
			if err := os.Mkdir(data, 0o755); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(data, "lock"), nil, 0o600)
		}, "was replaced while it was in use"},
		{"only its lock", func(data string) error { return os.Remove(filepath.Join(data, "lock")) }, "was removed while it was in use"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, []byte(lakeside), "")
			s.start()
			if err := tt.do(filepath.Join(s.dir, "data")); err != nil {
				t.Fatal(err)
			}
			if err := s.endsByItself(time.Minute); err == nil || !strings.Contains(s.log.String(), tt.want) {
				t.Errorf("it ended with %v; the log is\n%s", err, s.log)
			}
		})
	}
}

// A store that is lost is filled again from the journal; one that is damaged is told.
func TestLostStore(t *testing.T) {
	t.Parallel()
	s := newSite(t, []byte(lakeside), "")
	file := filepath.Join(s.dir, "data", "greentally.db")
	remove := func() {
		for _, f := range []string{file, file + "-wal", file + "-shm"} {
			if err := os.RemoveAll(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.start()
	p := newPublisher(t, s.mqtt)
	if n := p.publish(2000, time.Minute); n != 2000 {
		t.Fatalf("%d of 2000 readings acknowledged", n)
	}
	s.caughtUp(time.Minute)
	s.stop()

	remove()
	s.start()
	s.caughtUp(time.Minute)
	if !strings.Contains(s.log.String(), "the store lacks what it was given before") {
		t.Errorf("nothing is said of it:\n%s", s.log)
	}
	s.stop()
	p.nothingMissing(s)

	// Killed, and the latest of the store's file gone with its log.
	s.start()
	p2 := newPublisher(t, s.mqtt)
	p2.acked, p2.next = p.acked, p.next
	p2.publish(500, time.Minute)
	s.kill()
	if err := os.RemoveAll(file + "-wal"); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.caughtUp(time.Minute)
	if out := must(t, "journal", "replay", "--config", s.config); !strings.Contains(out, "entries are written again") {
		t.Errorf("replay says %q", out)
	}
	s.caughtUp(time.Minute)
	s.stop()
	p2.nothingMissing(s)

	// Damaged.
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for at := 4096; at < len(data); at += 4096 { // all pages but the first
		clear(data[at : at+100])
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s.launch()
	p3 := newPublisher(t, s.mqtt)
	p3.acked, p3.next = p2.acked, p2.next
	if n := p3.publish(10, time.Minute); n != 10 { // the journal takes them
		t.Errorf("%d of 10 readings acknowledged", n)
	}
	s.tells("store_damaged", true)
	s.stopInTime()
	remove()
	s.start()
	s.caughtUp(time.Minute)
	s.stop()
	p3.nothingMissing(s)
}

var natsOutages = flag.Int("nats.outages", 1, "how often NATS is killed in a test")

// A NATS server of one's own that is away, and comes again, ends nothing and loses nothing; nor
// need it be there at the start.
func TestNATSThatGoesAndComes(t *testing.T) {
	t.Parallel()
	nats := testserver.NATS(t)
	s := newSite(t, []byte(lakeside), fmt.Sprintf("nats: {urls: [%q]}\n", nats.URL()))
	nats.Stop()
	s.launch()
	waitFor(t, time.Minute, "it to say that it waits", func() bool { return strings.Contains(s.log.String(), "could not reach NATS") })
	nats.Start()
	waitFor(t, time.Minute, "it to be ready", s.isReady)
	p := newPublisher(t, s.mqtt)
	for round := range *natsOutages {
		if n := p.publish(200, time.Minute); n != 200 {
			t.Fatalf("round %d: %d of 200 readings acknowledged\n%s", round, n, s.log)
		}
		nats.Stop()
		token := p.client.Publish("greentally/v1/lake/bin-1/status", 1, false, `{}`)
		waitFor(t, time.Minute, "readiness to say so", func() bool { status, _ := s.ready(); return status == http.StatusServiceUnavailable })
		nats.Start()
		waitFor(t, time.Minute, "it to be ready again", s.isReady)
		if !token.WaitTimeout(time.Minute) {
			t.Fatalf("round %d: what was published meanwhile is not acknowledged\n%s", round, s.log)
		}
	}
	s.caughtUp(time.Minute)
	nats.Stop()
	p.client.Publish("greentally/v1/lake/bin-1/status", 1, false, `{}`)
	waitFor(t, time.Minute, "readiness to say so", func() bool { status, _ := s.ready(); return status == http.StatusServiceUnavailable })
	p.client.Disconnect(0)
	s.stopInTime()
	p.nothingMissing(s)
}

// mostMemory is what the program stays below under a flood of the largest messages, in bytes; see
// docs/configuration.md.
const mostMemory = 1 << 30

// A flood of large messages while the store is away, and the start on a journal that is full of
// them, stay within the bound of memory.
func TestMemoryUnderAFloodOfLargeMessages(t *testing.T) {
	t.Parallel()
	influxd := testserver.Influxd(t)
	s := newSite(t, []byte(lakeside), fmt.Sprintf("influxdb: {url: %q}\njournal: {max_bytes: 1GiB}\n", influxd.URL()))
	s.start()
	influxd.Stop()
	big := bytes.Repeat([]byte("x"), 1_000_000)
	var clients sync.WaitGroup
	for c := range 8 {
		client := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + s.mqtt).SetClientID(fmt.Sprint("flood-", c)))
		if token := client.Connect(); !token.WaitTimeout(time.Minute) || token.Error() != nil {
			t.Fatal(token.Error())
		}
		clients.Go(func() {
			defer client.Disconnect(0)
			for range 75 {
				if !client.Publish("greentally/v1/lake/bin-2/readings", 1, false, big).WaitTimeout(time.Minute) {
					t.Error("a message was not acknowledged within a minute")
					return
				}
			}
		})
	}
	clients.Wait()
	peak := s.peakMemory()
	s.kill()
	s.start()
	waitFor(t, time.Minute, "the watch to catch up", func() bool {
		behind, err := s.followers()
		return err == nil && len(behind) >= 3 && behind["watch"] == 0 && behind["alerts"] == 0
	})
	again := s.peakMemory()
	t.Logf("600 messages of 1 MB with the store away: at most %d MiB; started on them: %d MiB", peak>>20, again>>20)
	if peak > mostMemory || again > mostMemory {
		t.Errorf("it took %d MiB, and %d MiB after the start; want less than %d", peak>>20, again>>20, mostMemory>>20)
	}
	influxd.Start()
	s.caughtUp(2 * time.Minute)
	if last := s.peakMemory(); last > mostMemory {
		t.Errorf("it took %d MiB to catch up, want less than %d", last>>20, mostMemory>>20)
	}
	s.stop()
}

// peakMemory returns the most resident memory that the process had, in bytes.
func (s *site) peakMemory() int {
	s.t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			if err != nil {
				s.t.Fatal(err)
			}
			return kib << 10
		}
	}
	s.t.Fatal("the kernel does not say how much memory it took")
	return 0
}
