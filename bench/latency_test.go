package bench

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	netmail "net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"go.yaml.in/yaml/v4"

	"greentally"
	"greentally/internal/testserver"
)

var alertsWanted = flag.Int("bench.alerts", 200, "alerts that are timed on their way to the mail server")

// What goes on while alerts are timed.
const (
	trafficRate    = 2000                   // readings a second of other devices
	trafficDevices = 2000                   // that they come from
	alertEvery     = 137 * time.Millisecond // in no step with the traffic's pace
	warmUp         = 10 * time.Second       // of traffic and alerts that do not count
)

// BenchmarkAlertLatency times alerts from just before a reading is published to when the mail
// server has answered that it takes the mail, while other devices go on reporting. The program
// runs as users run it, with everything in its process and with servers of its own, and has
// the last day of all devices in its store. The rule is bin_overflowing, which waits for
// nothing, and neither does the route. It runs once, however long the time for a benchmark is.
func BenchmarkAlertLatency(b *testing.B) {
	binary := filepath.Join(b.TempDir(), "greentally")
	if err := testserver.BuildGreentally(b.Context(), binary); err != nil {
		b.Fatal(err)
	}
	b.Run("broker-and-sqlite-in-process", func(b *testing.B) {
		address := fmt.Sprintf("127.0.0.1:%d", testserver.FreePort(b))
		timeAlerts(b, binary, "tcp://"+address, fmt.Sprintf("broker: {listen: %q}\n", address))
	})
	b.Run("mosquitto-and-influxd", func(b *testing.B) {
		broker, influxd := testserver.Mosquitto(b), testserver.Influxd(b)
		timeAlerts(b, binary, broker.URL(), fmt.Sprintf("mqtt: {urls: [%q]}\ninfluxdb: {url: %q}\n", broker.URL(), influxd.URL()))
	})
}

// timeAlerts runs the program, lets devices report, has bins overflow one after the other, and
// reports how long it took until there was a mail about each.
func timeAlerts(b *testing.B, binary, broker, config string) {
	early := int(warmUp / alertEvery)
	overflows := early + *alertsWanted
	devices := town(overflows)
	mails := startTap(b, testserver.Mailpit(b).SMTP)
	program := startProgram(b, binary, devices, mails.address, config)

	gateways := connectGateways(b, broker)
	publishYesterday(b, gateways, devices)
	program.waitUntilIdle()
	others := startTraffic(b, gateways, devices[:trafficDevices])
	bins, client := devices[trafficDevices:], connect(b, broker, "bins")
	published := map[string]time.Time{}
	var acked int64
	var began time.Time
	pace := time.NewTicker(alertEvery)
	defer pace.Stop()
	for i, bin := range bins {
		<-pace.C // mails are not waited for: one that is late must not keep the next reading back
		if i == early {
			acked, began = others.acked.Load(), time.Now()
		}
		published[bin.ID] = time.Now()
		client.Publish(topic(bin), 1, false, reading("", 0.95))
	}
	rate := float64(others.acked.Load()-acked) / time.Since(began).Seconds()

	latency := map[string]time.Duration{}
	for len(latency) < overflows {
		select {
		case m := <-mails.accepted:
			bin := binName.FindString(m.subject)
			at, ok := published[bin]
			if _, again := latency[bin]; !ok || again {
				b.Fatalf("a mail that nobody waits for: %s\n%s", m.subject, program.log())
			}
			if !m.chart {
				b.Fatalf("a mail without a chart: %s", m.subject)
			}
			latency[bin] = m.at.Sub(at)
		case err := <-mails.failed:
			b.Fatal(err)
		case <-time.After(30 * time.Second):
			b.Fatalf("of %d bins that overflowed %d were told\n%s", overflows, len(latency), program.log())
		}
	}
	others.stop()
	if n := program.alerts(); n != overflows {
		b.Errorf("there are %d alerts about devices, want those of %d bins that overflowed", n, overflows)
	}

	var all []time.Duration
	for _, bin := range bins[early:] {
		all = append(all, latency[bin.ID])
	}
	slices.Sort(all)
	for _, p := range []int{50, 90, 99} {
		b.ReportMetric(percentile(all, p).Seconds()*1000, fmt.Sprintf("p%d-ms", p))
	}
	b.ReportMetric(all[len(all)-1].Seconds()*1000, "max-ms")
	b.ReportMetric(rate, "readings/s")
	b.ReportMetric(0, "ns/op") // of no meaning
	fmt.Fprintf(os.Stderr, "%s: %d alerts, from publish to accepted by the mail server, at %.0f readings/s of other devices\n%s", b.Name(), len(all), rate, histogram(all))
}

// percentile returns the least of the sorted durations that p percent of them do not exceed.
func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[(len(sorted)*p+99)/100-1]
}

// histogram draws how sorted durations are distributed, a line for each range.
func histogram(sorted []time.Duration) string {
	const widest = 50
	limits := []int{0, 10, 20, 30, 40, 50, 60, 80, 100, 120, 150, 200, 250, 300, 400, 500, 700, 1000, 1500, 2000, 3000, 5000, 10_000, 60_000}
	below := make([]int, len(limits)) // how many are below each limit
	most := 0                         // in one range
	for i, limit := range limits {
		below[i], _ = slices.BinarySearch(sorted, time.Duration(limit)*time.Millisecond)
		most = max(most, below[i]-below[max(0, i-1)])
	}
	var s strings.Builder
	for i := 1; i < len(limits) && below[i-1] < len(sorted); i++ {
		if below[i] > 0 {
			n := below[i] - below[i-1]
			fmt.Fprintf(&s, "%6d to %5d ms %5d %6.1f %% %s\n", limits[i-1], limits[i], n, 100*float64(below[i])/float64(len(sorted)), strings.Repeat("#", (n*widest+most-1)/most))
		}
	}
	return s.String()
}

// town returns the devices that report, and behind them those that overflow, in communities
// of perCommunity devices. All are sorting bins, the kind that most rules are about.
func town(overflows int) (all []*greentally.Device) {
	for i := range trafficDevices + overflows {
		id := fmt.Sprintf("bin-%04d", i)
		all = append(all, &greentally.Device{
			Community: fmt.Sprintf("c%02d", i/perCommunity), ID: id, Name: greentally.Text{ZH: id, EN: id},
			Kind: "sorting_bin", Site: "gate", Stream: greentally.Recyclable,
			Interval: greentally.Duration(historyEvery),
		})
	}
	return all
}

func topic(d *greentally.Device) string {
	return "greentally/v1/" + d.Community + "/" + d.ID + "/readings"
}

// reading is what a bin says, now if no time is given. Only the level can be an alert.
func reading(at string, fill float64) string {
	return fmt.Sprintf(`{%s"fill_ratio": %.3f, "mass_kg": %.1f, "temperature_celsius": 18.5, "battery_ratio": 0.9, "lid_openings": 1207, "status": "ok"}`, at, fill, 40*fill)
}

// historyEvery is the devices' interval, and that of the readings of the day before.
const historyEvery = 15 * time.Minute

// publishYesterday lets all devices tell of their last 24 hours, with which the mails' charts
// are drawn: an hour of each device, then the next hour, so that none seems silent.
func publishYesterday(b *testing.B, gateways []mqtt.Client, all []*greentally.Device) {
	now := time.Now().UTC()
	for hour := now.Add(-24 * time.Hour); hour.Before(now); hour = hour.Add(time.Hour) {
		var tokens []mqtt.Token
		for i, d := range all {
			var some []string
			for at := hour; at.Before(hour.Add(time.Hour)); at = at.Add(historyEvery) {
				some = append(some, reading(fmt.Sprintf(`"time": %q, `, at.Format(time.RFC3339)), 0.3))
			}
			tokens = append(tokens, gateways[i%len(gateways)].Publish(topic(d), 1, false, "["+strings.Join(some, ",")+"]"))
		}
		for _, token := range tokens {
			if !token.WaitTimeout(time.Minute) || token.Error() != nil {
				b.Fatalf("publish the day before: %v", cmp.Or(token.Error(), context.DeadlineExceeded))
			}
		}
	}
}

// connectGateways connects what the devices stand behind. The broker in the process takes one
// message after the other from each connection, so there are many.
func connectGateways(b *testing.B, broker string) []mqtt.Client {
	gateways := make([]mqtt.Client, 100)
	for i := range gateways {
		gateways[i] = connect(b, broker, fmt.Sprintf("gateway-%02d", i))
	}
	return gateways
}

func connect(b *testing.B, broker, id string) mqtt.Client {
	b.Helper()
	client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(broker).SetClientID(id))
	if token := client.Connect(); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		b.Fatalf("connect to %s: %v", broker, token.Error())
	}
	b.Cleanup(func() { client.Disconnect(0) })
	return client
}

// traffic is what other devices publish.
type traffic struct {
	acked atomic.Int64 // readings that the broker acknowledged
	stop  func()
}

// startTraffic lets the devices report one after the other, at trafficRate all together. What
// is late is made up for: devices do not wait for each other.
func startTraffic(b *testing.B, gateways []mqtt.Client, devices []*greentally.Device) *traffic {
	t := &traffic{}
	ctx, cancel := context.WithCancel(b.Context())
	tokens := make(chan mqtt.Token, 10*trafficRate)
	var running sync.WaitGroup
	t.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	b.Cleanup(t.stop)
	running.Go(func() {
		defer close(tokens)
		pace := time.NewTicker(10 * time.Millisecond)
		defer pace.Stop()
		start := time.Now()
		for n := 0; ; {
			for due := int(time.Since(start).Seconds() * trafficRate); n < due; n++ {
				d := devices[n%len(devices)]
				tokens <- gateways[n%len(gateways)].Publish(topic(d), 1, false, reading("", 0.3+float64(n%7)/1000))
			}
			select {
			case <-pace.C:
			case <-ctx.Done():
				return
			}
		}
	})
	running.Go(func() {
		for token := range tokens {
			if !token.WaitTimeout(time.Minute) || token.Error() != nil {
				b.Errorf("publish: %v", cmp.Or(token.Error(), context.DeadlineExceeded))
			}
			t.acked.Add(1)
		}
	})
	return t
}

// alertmanagerConfig lets each bin that overflows be told by itself, at once. What else there
// is to say, such as that a month with one day has too little evidence, goes to nobody.
const alertmanagerConfig = `
global: {smtp_smarthost: %q, smtp_from: greentally@example.org, smtp_require_tls: false}
route:
  receiver: nobody
  routes:
  - {receiver: desk, matchers: ['alertname="bin_overflowing"'], group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 24h}
receivers:
- {name: nobody}
- {name: desk, email_configs: [{to: desk@example.org, headers: {Content-Language: en}}]}
`

// program is a greentally that runs.
type program struct {
	b    *testing.B
	url  string
	file string // its log
}

// startProgram starts the program with a file for each community and waits until it is ready.
// Config is YAML that says where its messages come from and go to.
func startProgram(b *testing.B, binary string, devices []*greentally.Device, smtp, config string) *program {
	dir := b.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "communities"), 0o755); err != nil {
		b.Fatal(err)
	}
	for some := range slices.Chunk(devices, perCommunity) {
		c := greentally.Community{
			ID: some[0].Community, Name: greentally.Text{ZH: some[0].Community, EN: some[0].Community}, Households: 1000,
			Sites:   []greentally.Site{{ID: "gate", Type: "gate", Name: greentally.Text{ZH: "东门", EN: "East gate"}}},
			Devices: some,
		}
		text, err := yaml.Dump(c)
		if err != nil {
			b.Fatal(err)
		}
		write(filepath.Join("communities", c.ID+".yaml"), string(text))
	}
	write("alertmanager.yml", fmt.Sprintf(alertmanagerConfig, smtp))
	api := fmt.Sprintf("127.0.0.1:%d", testserver.FreePort(b))
	write("greentally.yaml", fmt.Sprintf("data_dir: data\nhttp: {listen: %q}\nsmtp: {address: %q, from: greentally@example.org, tls: none}\nalerting: {config_file: alertmanager.yml}\n%s", api, smtp, config))

	p := &program{b: b, url: "http://" + api, file: filepath.Join(dir, "log")}
	log, err := os.Create(p.file)
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(binary, "run", "--config", filepath.Join(dir, "greentally.yaml"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		_ = cmd.Wait()         // and was killed
	})
	p.wait("be ready", func() bool { return p.get("/readyz", nil) == nil })
	return p
}

func (p *program) log() string {
	text, err := os.ReadFile(p.file)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// get asks the API.
func (p *program) get(path string, answer any) error {
	response, err := http.Get(p.url + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(answer)
}

// wait asks again and again until something is done, at most some minutes.
func (p *program) wait(what string, done func() bool) {
	p.b.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(5 * time.Minute); !done(); <-again.C {
		if time.Now().After(end) {
			p.b.Fatalf("greentally does not come to %s\n%s", what, p.log())
		}
	}
}

// waitUntilIdle waits until all that was published is stored, tallied and seen by the rules.
func (p *program) waitUntilIdle() {
	p.b.Helper()
	p.wait("an end with what was published", func() bool {
		var status struct {
			Followers map[string]struct{ Entries int }
		}
		if err := p.get("/api/v1/status", &status); err != nil {
			p.b.Fatal(err)
		}
		behind := 0
		for _, f := range status.Followers {
			behind += f.Entries
		}
		return len(status.Followers) >= 4 && behind == 0
	})
}

// alerts returns how many alerts there are about devices.
func (p *program) alerts() (n int) {
	var all []greentally.Alert
	if err := p.get("/api/v1/alerts", &all); err != nil {
		p.b.Fatal(err)
	}
	for _, a := range all {
		if a.Device != "" {
			n++
		}
	}
	return n
}

// tap stands before a mail server and notes when that accepts a mail.
type tap struct {
	address  string
	server   string
	accepted chan acceptedMail
	failed   chan error
}

// acceptedMail is a mail that the server took.
type acceptedMail struct {
	subject string
	chart   bool // whether it has a picture
	at      time.Time
}

var binName = regexp.MustCompile(`bin-\d+`)

func startTap(b *testing.B, server string) *tap {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = listener.Close() }) // whoever still speaks is of no interest
	t := &tap{address: listener.Addr().String(), server: server, accepted: make(chan acceptedMail, 100_000), failed: make(chan error, 1)}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // closed
			}
			go func() {
				if err := t.pass(client); err != nil && !errors.Is(err, io.EOF) {
					select {
					case t.failed <- err:
					default: // the first one is enough
					}
				}
			}()
		}
	}()
	return t
}

// pass lets client and server speak: in SMTP they take turns.
func (t *tap) pass(client net.Conn) error {
	defer client.Close()
	server, err := net.Dial("tcp", t.server)
	if err != nil {
		return err
	}
	defer server.Close()
	said, answered := bufio.NewReader(client), bufio.NewReader(server)
	var contents []byte // of a mail that is being sent
	for {
		answer, err := hand(answered, client, func(line []byte) bool { return len(line) > 3 && line[3] == ' ' })
		at := time.Now()
		if err != nil {
			return err
		}
		last := func([]byte) bool { return true } // a command is a line
		code := string(answer[:3])
		switch {
		case code == "250" && contents != nil:
			mail, err := netmail.ReadMessage(bytes.NewReader(contents))
			if err != nil {
				return err
			}
			subject, err := new(mime.WordDecoder).DecodeHeader(mail.Header.Get("Subject"))
			if err != nil {
				return err
			}
			t.accepted <- acceptedMail{subject, bytes.Contains(contents, []byte("image/png")), at}
		case code == "354": // go on
			last = func(line []byte) bool { return string(line) == ".\r\n" }
		case code[0] > '3':
			return fmt.Errorf("the mail server answers %q", answer)
		}
		text, err := hand(said, server, last)
		if err != nil {
			return err
		}
		if contents = nil; code == "354" {
			contents = text
		}
	}
}

// hand hands lines on until one is the last, and returns them.
func hand(from *bufio.Reader, to io.Writer, last func(line []byte) bool) ([]byte, error) {
	var all []byte
	for {
		line, err := from.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		if all = append(all, line...); last(line) {
			break
		}
	}
	_, err := to.Write(all)
	return all, err
}
