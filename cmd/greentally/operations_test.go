package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	natsserver "github.com/nats-io/nats-server/v2/server"

	"greentally"
	"greentally/internal/testserver"
)

// TestDemo runs the demo as a newcomer does: the tables stand there, every rate is near
// the truth, readings go on coming, and Ctrl-C ends it without an error.
func TestDemo(t *testing.T) {
	file, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	var out, stderr buffer
	cmd := exec.CommandContext(t.Context(), file, "demo", "--lang", "en")
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watchDemo(t, &out)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("interrupted, the demo ended with %v\n%s", err, &stderr)
	}
	months := 2 // this one and the last
	if today(t).Day == 1 {
		months = 1 // no day of this one is over
	}
	checkDemo(t, out.String(), stderr.String(), months*6)
}

// TestShortDemo runs a demo of a few days in this process, and so with the race
// detector; it keeps its data where it is told to.
func TestShortDemo(t *testing.T) {
	var out, stderr buffer
	dir := t.TempDir()
	finish := background(t, func(ctx context.Context) error {
		return run(ctx, []string{"demo", "--lang", "en", "--days", "3", "--dir", dir}, nil, &out, &stderr)
	})
	watchDemo(t, &out)
	if err := finish(); err != nil {
		t.Errorf("interrupted, the demo ended with %v", err)
	}
	checkDemo(t, out.String(), stderr.String(), 6)
	if _, err := os.Stat(filepath.Join(dir, "greentally.db")); err != nil {
		t.Error(err)
	}
}

// watchDemo waits until the tables are there, and then for live readings.
func watchDemo(t *testing.T, out *buffer) {
	t.Helper()
	waitFor(t, 3*time.Minute, "the demo's tables", func() bool { return strings.Contains(out.String(), "Ctrl-C ends") })
	s := &site{t: t, http: strings.TrimPrefix(regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(out.String()), "http://")}
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		var text string
		if err := s.get(path, &text); err != nil {
			t.Error(err)
		}
	}
	stored := s.metric("greentally_readings_stored_total")
	waitFor(t, time.Minute, "live readings", func() bool { return s.metric("greentally_readings_stored_total") > stored })
}

// checkDemo checks what the demo printed.
func checkDemo(t *testing.T, out, log string, atLeast int) {
	t.Helper()
	if strings.Contains(log, "level=WARN") || strings.Contains(log, "level=ERROR") {
		t.Errorf("the log has complaints:\n%s", log)
	}
	compared := 0
	for line := range strings.Lines(out) {
		cells := strings.Split(line, "│") // rate, measured, truth, difference, …
		if len(cells) < 6 || !strings.ContainsAny(cells[4], "+-") {
			continue
		}
		var difference float64
		if _, err := fmt.Sscan(cells[4], &difference); err != nil {
			t.Fatalf("row %q: %v", line, err)
		}
		within := 1.0 // percentage point
		if strings.Contains(cells[4], "%") {
			within = 5 // percent of the truth, which is small in a month's first days
		}
		if difference > within || difference < -within {
			t.Errorf("not within %v: %s", within, line)
		}
		compared++
	}
	if compared < atLeast {
		t.Errorf("%d rates were compared with the truth, want %d or more:\n%s", compared, atLeast, out)
	}
}

// TestDeadLettersComeBack sends what cannot be used, finds each with its reason, mends
// the causes, and replays.
func TestDeadLettersComeBack(t *testing.T) {
	s := newSite(t, sixty(t), "limits: {max_payload: 1KiB}\n")
	s.start()
	client := connectMQTT(t, "tcp://"+s.mqtt)
	now := time.Now().UTC()
	large := `{"time": ` + fmt.Sprint(now.Add(-time.Hour).UnixMilli()) + `, "mass_kg": 4` + strings.Repeat(" ", 2000) + `}`
	var tokens []paho.Token
	for topic, payload := range map[string]string{
		"greentally/v1/sixty/e1-s1-food/readings":     `{"mass_kg": 12.3`,                                                                  // malformed
		"greentally/v1/sixty/e1-s2-food/readings":     large,                                                                               // oversize
		"greentally/v1/sixty/newcomer/readings":       `{"mass_kg": 3, "fill_ratio": 0.1}`,                                                 // unknown device
		"greentally/v1/sixty/e1-s3-food/readings":     fmt.Sprintf(`{"time": %d, "mass_kg": 7}`, now.Add(30*24*time.Hour).UnixMilli()),     // the future
		"greentally/v1/sixty/e2-s1-food/readings":     fmt.Sprintf(`{"time": %d, "mass_kg": 7}`, now.Add(-3*365*24*time.Hour).UnixMilli()), // the past
		"greentally/v1/sixty/e2-s2-food/readings":     `{"mass_kg": 1e300}`,                                                                // impossible
		"greentally/v1/sixty/e2-s3-food/readings":     "\x00\xff\xfe",                                                                      // bytes
		"somebody/else/speaks":                        `{}`,                                                                                // unknown topic
		"greentally/v1/nowhere/e1-s1-food/readings":   `{"mass_kg": 3}`,                                                                    // unknown community
		"greentally/v1/sixty/e1-s1-residual/readings": `{"mass_kg": 3, "weight": 4}`,                                                       // unknown key
	} {
		tokens = append(tokens, client.Publish(topic, 1, false, payload))
	}
	waitTokens(t, tokens)
	want := map[string]greentally.Reason{ // by a part of the topic
		"sixty/e1-s1-food": greentally.BadPayload, "e1-s2-food": greentally.TooLarge, "newcomer": greentally.UnknownDevice,
		"e1-s3-food": greentally.AbsurdTime, "e2-s1-food": greentally.AbsurdTime, "e2-s2-food": greentally.ImpossibleValue,
		"e2-s3-food": greentally.BadPayload, "speaks": greentally.UnknownTopic, "nowhere": greentally.UnknownDevice,
		"e1-s1-residual": greentally.BadPayload,
	}
	letters := func() map[string]greentally.DeadLetter {
		var all []greentally.DeadLetter
		if err := s.get("/api/v1/deadletters?limit=1000", &all); err != nil {
			t.Fatal(err)
		}
		found := map[string]greentally.DeadLetter{}
		for _, l := range all {
			for name := range want {
				if strings.Contains(l.Topic, "/"+name) {
					found[name] = l
				}
			}
		}
		return found
	}
	waitFor(t, time.Minute, "the dead letters", func() bool { return len(letters()) == len(want) })
	for name, l := range letters() {
		if l.Reason != want[name] || l.Detail == "" {
			t.Errorf("%s: reason %s (%s), want %s", l.Topic, l.Reason, l.Detail, want[name])
		}
	}
	list := must(t, "deadletter", "list", "--config", s.config)
	for name, reason := range want {
		if !strings.Contains(list, name) || !strings.Contains(list, string(reason)) {
			t.Errorf("the list lacks %s with %s:\n%s", name, reason, list)
		}
	}
	id := fmt.Sprint(letters()["e2-s3-food"].ID)
	if out := must(t, "deadletter", "show", id, "--config", s.config); !strings.Contains(out, `\x00\xff\xfe`) {
		t.Errorf("bytes are not shown in a printable way:\n%q", out)
	}

	// One cause after another is mended: the device is adopted, the limit raised.
	if out := must(t, "devices", "discovered", "--config", s.config); !strings.Contains(out, "newcomer") {
		t.Errorf("the newcomer was not discovered:\n%s", out)
	}
	must(t, "devices", "adopt", "newcomer", "--community", "sixty", "--site", "e1-s1", "--stream", "food", "--kind", "sorting_bin", "--config", s.config)
	waitFor(t, time.Minute, "the newcomer's first message", func() bool { return readings(s, "newcomer") == 1 })
	waitFor(t, time.Minute, "the dead letter of the adopted device to go", func() bool { _, there := letters()["newcomer"]; return !there })
	if out := must(t, "devices", "discovered", "--config", s.config); strings.Contains(out, "newcomer") {
		t.Errorf("the adopted device is still to be discovered:\n%s", out)
	}

	s.stop()
	s.configure("limits: {max_payload: 64KiB}\n")
	s.start()
	if readings(s, "e1-s2-food") != 0 {
		t.Fatal("the large message was stored before it was replayed")
	}
	must(t, "deadletter", "replay", "--reason", "too_large", "--config", s.config)
	waitFor(t, time.Minute, "the large message", func() bool { return readings(s, "e1-s2-food") == 1 })

	// What was not mended comes back as a dead letter; what is deleted does not.
	must(t, "deadletter", "replay", id, "--config", s.config)
	waitFor(t, time.Minute, "the bytes to be refused again", func() bool {
		l, there := letters()["e2-s3-food"]
		return there && fmt.Sprint(l.ID) != id
	})
	must(t, "deadletter", "delete", "--all", "--config", s.config)
	if out := must(t, "deadletter", "list", "--config", s.config); !strings.Contains(out, "no dead letters") {
		t.Errorf("after all were deleted:\n%s", out)
	}
	s.stop()
}

// readings returns how many readings of the last two days the store has of a device.
func readings(s *site, device string) int {
	s.t.Helper()
	var all []greentally.Reading
	now := time.Now().UTC()
	path := fmt.Sprintf("/api/v1/communities/sixty/devices/%s/readings?from=%s&to=%s", device, now.Add(-48*time.Hour).Format(time.RFC3339), now.Add(time.Hour).Format(time.RFC3339))
	if err := s.get(path, &all); err != nil {
		s.t.Fatal(err)
	}
	return len(all)
}

// TestCommunitiesAreReadAgain changes the community's file, on change and on SIGHUP; a
// file that is not valid leaves the one before in force.
func TestCommunitiesAreReadAgain(t *testing.T) {
	s := newSite(t, sixty(t), "")
	s.start()
	defer s.stop()
	households := func() int {
		var all []struct{ Households int }
		if err := s.get("/api/v1/communities", &all); err != nil {
			t.Fatal(err)
		}
		if len(all) != 1 {
			t.Fatalf("%d communities", len(all))
		}
		return all[0].Households
	}
	file := filepath.Join(s.dir, "communities", "community.yaml")
	change := func(from, to string) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(data), from) {
			t.Fatalf("%q is not in the file", from)
		}
		s.write("communities/community.yaml", []byte(strings.Replace(string(data), from, to, 1)))
	}
	change("households: 2325", "households: 2400")
	waitFor(t, time.Minute, "the change to be in force", func() bool { return households() == 2400 })

	change("households: 2400", "house_holds: 2500")
	waitFor(t, time.Minute, "the error", func() bool {
		var status struct {
			RegistryError string `json:"registry_error"`
		}
		if err := s.get("/api/v1/status", &status); err != nil {
			t.Fatal(err)
		}
		return strings.Contains(status.RegistryError, "community.yaml:5: unknown key \"house_holds\"")
	})
	if n := households(); n != 2400 {
		t.Errorf("%d households are in force, want those of the valid file", n)
	}
	if s.metric("greentally_registry_valid") != 0 {
		t.Error("the metric says that the registry is valid")
	}

	change("house_holds: 2500", "households: 2500")
	waitFor(t, time.Minute, "the mended file", func() bool { return households() == 2500 })
	if err := s.process.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	waitFor(t, time.Minute, "SIGHUP to be obeyed", func() bool { return strings.Contains(s.log.String(), "registry read, as asked") })
}

// TestSecondProcessIsRefused starts the program twice on one data folder.
func TestSecondProcessIsRefused(t *testing.T) {
	s := newSite(t, sixty(t), "")
	s.start()
	_, err := command(t, "run", "--config", s.config)
	if err == nil || !strings.Contains(err.Error(), "in use by another greentally") {
		t.Errorf("the second process: %v", err)
	}
	s.stop()
}

// TestBrokerWithCertificates connects to a broker that asks for a client certificate,
// a user and a password; the first of its two URLs answers nothing.
func TestBrokerWithCertificates(t *testing.T) {
	dir := t.TempDir()
	certificates(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "password"), []byte("geheim\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// user "greentally", password "geheim", as mosquitto_passwd writes it
	testserver.MosquittoPassword(t, filepath.Join(dir, "users"), "greentally", "geheim")
	tlsPort, plain := testserver.FreePort(t), testserver.Mosquitto
	broker := plain(t, "password_file "+filepath.Join(dir, "users"), fmt.Sprintf("listener %d 127.0.0.1", tlsPort),
		"cafile "+filepath.Join(dir, "ca.pem"), "certfile "+filepath.Join(dir, "server.pem"), "keyfile "+filepath.Join(dir, "server.key"),
		"require_certificate true", "allow_anonymous false")
	s := newSite(t, sixty(t), fmt.Sprintf(`mqtt:
  urls: ["tls://127.0.0.1:%d", "tls://127.0.0.1:%d"]
  username: greentally
  password_file: %[3]s/password
  tls: {ca_file: %[3]s/ca.pem, cert_file: %[3]s/client.pem, key_file: %[3]s/client.key}
`, testserver.FreePort(t), tlsPort, dir))
	s.start()
	out := must(t, "simulate", "--broker", fmt.Sprintf("tls://127.0.0.1:%d", tlsPort), "--username", "greentally", "--password-file", filepath.Join(dir, "password"),
		"--ca-file", filepath.Join(dir, "ca.pem"), "--cert-file", filepath.Join(dir, "client.pem"), "--key-file", filepath.Join(dir, "client.key"),
		"--community", filepath.Join(s.dir, "communities", "community.yaml"), "--days", "1", "--batch", "24")
	if !strings.Contains(out, "published 8640 readings") {
		t.Error(out)
	}
	waitFor(t, time.Minute, "the readings", func() bool { return s.metric("greentally_readings_stored_total") >= 8640 })
	s.stop()
	if all := s.complaints("MQTT broker not reached"); len(all) > 0 {
		t.Errorf("the log has complaints:\n%s", strings.Join(all, "\n"))
	}
	if strings.Contains(s.log.String(), "geheim") {
		t.Error("the password is in the log")
	}
	_ = broker
}

// certificates writes ca.pem, and server and client as .pem and .key.
func certificates(t *testing.T, dir string) {
	t.Helper()
	write := func(name, kind string, der []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	template := func(serial int64, name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}
	}
	caKey, ca := key(), template(1, "test CA")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage, ca.ExtKeyUsage, ca.IPAddresses = true, true, x509.KeyUsageCertSign, nil, nil
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	write("ca.pem", "CERTIFICATE", der)
	for i, name := range []string{"server", "client"} {
		k := key()
		der, err := x509.CreateCertificate(rand.Reader, template(int64(i)+2, name), ca, &k.PublicKey, caKey)
		if err != nil {
			t.Fatal(err)
		}
		write(name+".pem", "CERTIFICATE", der)
		keyDER, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		write(name+".key", "PRIVATE KEY", keyDER)
	}
}

// TestNATSOfOnesOwn keeps the journal in a NATS server outside the process.
func TestNATSOfOnesOwn(t *testing.T) {
	nats, err := natsserver.NewServer(&natsserver.Options{Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	nats.Start()
	t.Cleanup(func() { nats.Shutdown(); nats.WaitForShutdown() })
	if !nats.ReadyForConnections(20 * time.Second) {
		t.Fatal("NATS does not start")
	}
	s := newSite(t, sixty(t), fmt.Sprintf("nats: {urls: [%q]}\n", nats.ClientURL()))
	s.start()
	must(t, "simulate", "--broker", "tcp://"+s.mqtt, "--community", filepath.Join(s.dir, "communities", "community.yaml"), "--days", "2", "--batch", "24")
	waitFor(t, time.Minute, "the readings", func() bool { return s.metric("greentally_readings_stored_total") >= 2*8640 })
	if _, err := os.Stat(filepath.Join(s.dir, "data", "journal")); err == nil {
		t.Error("there is a journal in the data folder, too")
	}
	s.stop()
}

// TestRecordsChangeTheIndicators adds audits and a correction that is dated in another
// month: stored indicators and reports follow.
func TestRecordsChangeTheIndicators(t *testing.T) {
	t.Parallel()
	s := newSite(t, sixty(t), "")
	s.start()
	must(t, "simulate", "--broker", "tcp://"+s.mqtt, "--community", filepath.Join(s.dir, "communities", "community.yaml"), "--from", "2026-10-01", "--days", "3", "--batch", "24")
	waitFor(t, time.Minute, "the readings", func() bool { return s.metric("greentally_readings_stored_total") >= 3*8640 })
	s.caughtUp(time.Minute)
	capture := func() *float64 {
		var values []greentally.IndicatorValue
		if err := json.Unmarshal([]byte(must(t, "report", "--config", s.config, "--community", "sixty", "--month", "2026-10", "--format", "json")), &values); err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			if v.Indicator == "recyclable_capture" {
				return v.Value
			}
		}
		t.Fatal("there is no recyclable_capture")
		return nil
	}
	if v := capture(); v != nil {
		t.Errorf("without an audit the rate is %v", *v)
	}
	add := func(stream, date string, ratio float64, replaces string) string {
		file := s.write("record.json", fmt.Appendf(nil,
			`{"community": "sixty", "type": "composition_audit", "date": %q, "stream": %q, "by": "Li Na", "values": {"recyclable_ratio": %v, "sample_kg": 100}, "replaces": %q}`,
			date, stream, ratio, replaces))
		return strings.TrimSpace(must(t, "record", "add", file, "--config", s.config))
	}
	add("recyclable", "2026-10-02", 0.95, "")
	add("food", "2026-10-02", 0.004, "")
	wrong := add("residual", "2026-10-02", 0.9, "")
	low := capture()
	if low == nil || *low > 0.7 {
		t.Fatalf("with the wrong audit the rate is %v", *low)
	}
	waitFor(t, time.Minute, "the stored indicator", func() bool { return strings.Contains(metricsText(s), `indicator="recyclable_capture"`) })
	// Of another month, so that no audit of the residual stream is left in October.
	right := add("residual", "2026-11-02", 0.02, wrong)
	if v := capture(); v != nil {
		t.Errorf("the replaced audit still counts: %v", *v)
	}
	waitFor(t, time.Minute, "the stored indicator to go", func() bool {
		return !strings.Contains(metricsText(s), `indicator="recyclable_capture",month="2026-10"`)
	})
	add("residual", "2026-10-02", 0.02, right)
	if v := capture(); v == nil || *v < 0.9 {
		t.Errorf("with the right audit the rate is %v", v)
	}
	if _, err := command(t, "record", "add", s.write("record.json", []byte(`{"community": "sixty", "type": "composition_audit", "date": "2026-10-02", "stream": "paper", "by": "x", "values": {"recyclable_ratio": 1, "sample_kg": 1}}`)), "--config", s.config); err == nil || !strings.Contains(err.Error(), "paper") {
		t.Errorf("an unknown stream: %v", err)
	}
	s.stop()
}

// metricsText returns the values of indicators, without their completeness.
func metricsText(s *site) string {
	s.t.Helper()
	var text string
	if err := s.get("/metrics", &text); err != nil {
		s.t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "greentally_indicator{") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}
