package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"greentally/internal/testserver"
)

const alertsCommunity = `
community: lakeside
name: {zh: 湖畔社区, en: Lakeside}
households: 10
contacts:
- {name: 王师傅, email: wang@example.org}
- {name: Duty desk, email: desk@example.org, language: en, severities: [critical]}
sites: [{id: gate, type: gate, name: {zh: 东门, en: East gate}}]
devices:
- {id: bin-1, kind: sorting_bin, site: gate, stream: food, interval: 1h}
`

// alertsQuick are routes like the default ones, for people in a hurry.
const alertsQuick = `
global: {smtp_smarthost: %q, smtp_from: greentally@example.org, smtp_require_tls: false}
route:
  receiver: nobody
  group_by: [community, alertname]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 24h
  routes: [{matchers: ['device="bin-1"'], receiver: desk, continue: true}, {matchers: ['device="bin-1"'], receiver: wang}]
receivers:
- {name: nobody}
- {name: wang, email_configs: [{to: wang@example.org, send_resolved: true}]}
- {name: desk, email_configs: [{to: desk@example.org, send_resolved: true}]}
`

// publisher publishes what devices of lakeside say to the broker in the process.
func publisher(t testing.TB, s *site) func(device, payload string) {
	t.Helper()
	return publisherOf(t, s, "lakeside")
}

func publisherOf(t testing.TB, s *site, community string) func(device, payload string) {
	t.Helper()
	client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + s.mqtt).SetClientID("test"))
	if token := client.Connect(); token.WaitTimeout(10*time.Second) && token.Error() != nil {
		t.Fatal(token.Error())
	}
	t.Cleanup(func() { client.Disconnect(0) })
	return func(device, payload string) {
		t.Helper()
		if token := client.Publish("greentally/v1/"+community+"/"+device+"/readings", 1, false, payload); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
			t.Fatalf("publish: %v", token.Error())
		}
	}
}

// A bin that overflows is told of once, in each contact's language, also if the program is
// killed; and its end is told of, in the same thread.
func TestOverflowingBinIsTold(t *testing.T) {
	t.Parallel()
	server := testserver.Mailpit(t)
	s := newSite(t, []byte(alertsCommunity), fmt.Sprintf("smtp: {address: %q, from: greentally@example.org, tls: none}\nalerting: {config_file: alertmanager.yml}\n", server.SMTP))
	s.write("alertmanager.yml", fmt.Appendf(nil, alertsQuick, server.SMTP))
	s.start()
	publish := publisher(t, s)
	mails := func(to string) (all []testserver.Mail) {
		for _, m := range server.Mails() {
			if strings.Contains(m.Header.Get("To"), to) {
				all = append(all, m)
			}
		}
		return all
	}
	now := time.Now().UTC()
	at := func(ago time.Duration, fill float64) string {
		return fmt.Sprintf(`{"time": %q, "fill_ratio": %v}`, now.Add(-ago).Format(time.RFC3339), fill)
	}
	for hour := 12; hour > 0; hour-- { // for the chart
		publish("bin-1", at(time.Duration(hour)*time.Hour, 0.5))
	}
	s.caughtUp(30 * time.Second)
	publish("bin-1", at(2*time.Minute, 0.95))
	waitFor(t, 30*time.Second, "both contacts to be told", func() bool { return len(mails("wang")) == 1 && len(mails("desk")) == 1 })
	if zh, en := mails("wang")[0], mails("desk")[0]; !strings.Contains(zh.Subject, "满溢") || !strings.Contains(en.Subject, "overflow") || len(zh.Inline) != 1 {
		t.Errorf("subjects %q and %q, %d pictures", zh.Subject, en.Subject, len(zh.Inline))
	}

	s.kill()
	s.start()
	publish = publisher(t, s)
	publish("bin-1", at(time.Minute, 0.97)) // still full
	s.caughtUp(30 * time.Second)
	if out := must(t, "alerts", "list", "--config", s.config); !strings.Contains(out, "bin-1") || !strings.Contains(out, "critical") {
		t.Errorf("the list says\n%s", out)
	}
	publish("bin-1", at(0, 0.05))
	waitFor(t, 30*time.Second, "both to be told that it was emptied", func() bool { return len(mails("wang")) == 2 && len(mails("desk")) == 2 })
	if raised, over := mails("desk")[0], mails("desk")[1]; !strings.Contains(over.Header.Get("References"), strings.Trim(raised.Header.Get("Message-Id"), "<>")) {
		t.Errorf("the end refers to %q, the beginning is %q", over.Header.Get("References"), raised.Header.Get("Message-Id"))
	}
	if out := must(t, "alerts", "list", "--config", s.config, "--lang", "en"); strings.Contains(out, "bin-1") {
		t.Errorf("the list says\n%s", out)
	}
	month := now.In(time.FixedZone("", 8*3600)).Add(-2 * time.Minute).Format("2006-01")
	if out := must(t, "alerts", "list", "--config", s.config, "--community", "lakeside", "--month", month, "--lang", "en"); strings.Count(out, "Bin overflowing") != 1 {
		t.Errorf("the month's list says\n%s", out)
	}
	if all := s.complaints("Filestore ["); len(all) > 0 { // after a kill it says that it mends itself
		t.Errorf("the log has\n%s", strings.Join(all, "\n"))
	}
}

// A silence keeps mails away, and one sample mail can always be sent.
func TestSilenceAndSampleMail(t *testing.T) {
	t.Parallel()
	server := testserver.Mailpit(t)
	s := newSite(t, []byte(alertsCommunity), fmt.Sprintf("smtp: {address: %q, from: greentally@example.org, tls: none}\nalerting: {config_file: alertmanager.yml}\n", server.SMTP))
	s.write("alertmanager.yml", fmt.Appendf(nil, alertsQuick, server.SMTP))
	s.start()
	out := must(t, "alerts", "silence", "--config", s.config, "--community", "lakeside", "--device", "bin-1", "--why", "it is being replaced")
	if !strings.HasPrefix(out, "silenced until ") {
		t.Errorf("silence says %q", out)
	}
	publish := publisher(t, s)
	publish("bin-1", `{"fill_ratio": 0.95}`)
	waitFor(t, 30*time.Second, "the alert", func() bool {
		return strings.Contains(must(t, "alerts", "list", "--config", s.config), "bin-1")
	})
	if out := must(t, "alerts", "test", "--config", s.config, "--to", "boss@example.org"); !strings.Contains(out, "boss@example.org") {
		t.Errorf("test says %q", out)
	}
	waitFor(t, 10*time.Second, "the sample", func() bool { return len(server.Mails()) > 0 })
	if all := server.Mails(); len(all) != 1 || !strings.Contains(all[0].Header.Get("To"), "boss@example.org") {
		t.Errorf("%d mails, the first to %s: %s\n%s", len(all), all[0].Header.Get("To"), all[0].Subject, s.log)
	}
	if out := must(t, "alerts", "config", "--config", s.config); !strings.Contains(out, "group_wait: 0s") {
		t.Errorf("config says\n%s", out)
	}
	amtool := func(args ...string) string {
		return testserver.Amtool(t, append([]string{"--alertmanager.url=http://" + s.http + "/alertmanager"}, args...)...)
	}
	if out := amtool("alert", "query", "-o", "extended", "--silenced", "device=bin-1"); !strings.Contains(out, "bin_overflowing") {
		t.Errorf("amtool lists\n%s", out)
	}
	id := strings.TrimSpace(amtool("silence", "query", "-q"))
	if out := amtool("silence", "query", "-o", "extended"); !strings.Contains(out, "it is being replaced") || id == "" {
		t.Errorf("amtool knows the silences %q\n%s", id, out)
	}
	amtool("silence", "expire", id)
	waitFor(t, 30*time.Second, "the mail that was silenced", func() bool { return len(server.Mails()) >= 3 })
	amtool("silence", "add", "--author=wang", "--comment=a drill", "--duration=1h", "device=bin-1")
	publish("bin-1", `{"fill_ratio": 0.05}`)
	waitFor(t, 30*time.Second, "the end of the alert", func() bool {
		return !strings.Contains(must(t, "alerts", "list", "--config", s.config), "bin-1")
	})
	if all := server.Mails(); len(all) != 3 {
		t.Errorf("%d mails, want the sample and two of the beginning\n%s", len(all), s.log)
	}
	s.stop()
	s.configure(fmt.Sprintf("smtp: {address: %q, from: greentally@example.org, tls: none}\n", server.SMTP))
	if out := must(t, "alerts", "config", "--config", filepath.Join(s.dir, "greentally.yaml")); !strings.Contains(out, "wang@example.org") {
		t.Errorf("the defaults are\n%s", out)
	}
}

const warmRules = `group: warm
title: {zh: 温, en: Warm}
rules:
- alert: bin_warm
  title: {zh: 垃圾桶偏热, en: Bin warm}
  severity: warning
  kind: sorting_bin
  when: temperature_celsius >= %s
  summary: {zh: "{{number .temperature_celsius}} ℃", en: "{{number .temperature_celsius}} °C"}
  action: {zh: 查看, en: Look}
  tests: [{name: x, values: {temperature_celsius: "20"}}]
`

// A file of rules comes into force when it is written; one with an error does not, is named
// with its line, and leaves the former rules in force.
func TestRulesAreReadAgain(t *testing.T) {
	s := newSite(t, []byte(alertsCommunity), "alert_rules: my-rules\n")
	if err := os.Mkdir(filepath.Join(s.dir, "my-rules"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.start()
	publish := publisher(t, s)
	sent := 0
	say := func(celsius int) { // what was said before is no news, so that each is later
		sent++
		publish("bin-1", fmt.Sprintf(`{"time": %q, "temperature_celsius": %d}`, time.Now().Add(time.Duration(sent-100)*time.Second).UTC().Format(time.RFC3339), celsius))
		s.caughtUp(30 * time.Second)
	}
	holds := func() bool {
		return strings.Contains(must(t, "alerts", "list", "--config", s.config, "--lang", "en"), "Bin warm")
	}
	say(35)
	if holds() {
		t.Fatal("an alert without a rule")
	}
	s.write("my-rules/warm.yaml", fmt.Appendf(nil, warmRules, "30"))
	waitFor(t, 10*time.Second, "the rules to be read", func() bool { return strings.Contains(s.log.String(), "rules=29") })
	if say(36); !holds() {
		t.Fatalf("no alert by the new rule\n%s", s.log)
	}

	s.write("my-rules/warm.yaml", fmt.Appendf(nil, warmRules, "warm"))
	waitFor(t, 10*time.Second, "the error to be told", func() bool { return s.metric("greentally_alert_rules_valid") == 0 })
	if log := s.log.String(); !strings.Contains(log, "warm.yaml:8:") || !strings.Contains(log, "unknown name warm") {
		t.Errorf("the log does not say what is wrong where\n%s", log)
	}
	say(20)
	if holds() {
		t.Error("the former rule does not end its alert")
	}
	if say(31); !holds() {
		t.Error("the former rule is not in force")
	}

	if err := os.Remove(filepath.Join(s.dir, "my-rules", "warm.yaml")); err != nil {
		t.Fatal(err)
	}
	waitFor(t, 10*time.Second, "the rules to be read", func() bool { return s.metric("greentally_alert_rules_valid") == 1 })
	if waitFor(t, 10*time.Second, "the alert to end", func() bool { return !holds() }); strings.Count(s.log.String(), "rule=bin_warm") != 4 {
		t.Errorf("not two alerts that began and ended\n%s", s.log)
	}
}
