package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"greentally"
	"greentally/alerting/watch"
	"greentally/internal/testserver"
	"greentally/rules/alerts"
)

// nothing is a state that keeps nothing.
type nothing struct{}

func (nothing) All(context.Context) (map[string][]byte, error) { return nil, nil }
func (nothing) Write(context.Context, map[string][]byte) error { return nil }

// Each contact has a digest of what it is told of, and nobody one about nothing.
func TestDigest(t *testing.T) {
	server := testserver.Mailpit(t)
	s := newSite(t, []byte(alertsCommunity), fmt.Sprintf("smtp: {address: %q, from: greentally@example.org, tls: none}\n", server.SMTP))
	c, err := loadConfig(s.config, nil)
	if err != nil {
		t.Fatal(err)
	}
	registry, err := openRegistry(c)
	if err != nil {
		t.Fatal(err)
	}
	set, err := openAlertRules(c, registry.Current())
	if err != nil {
		t.Fatal(err)
	}
	mailer, err := openMailer(c, registry, nil)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	up := &alertsUp{config: c, registry: registry, mailer: mailer, watch: &watch.Watch{State: nothing{}, Now: time.Now, Log: log, Every: time.Hour,
		Tell: func(context.Context, []greentally.Alert) {}}}
	if err := up.watch.Open(t.Context(), alerts.NewEngine(set, registry.Current())); err != nil {
		t.Fatal(err)
	}
	send := func(want ...string) {
		t.Helper()
		before := len(server.Mails())
		for _, job := range up.digests(log) {
			if job.Cron != "0 8 * * *" || job.Location.String() != "Asia/Shanghai" {
				t.Errorf("%s is due %s in %s", job.Name, job.Cron, job.Location)
			}
			if err := job.Do(t.Context(), time.Now()); err != nil {
				t.Error(err)
			}
		}
		var got []string
		for _, m := range server.Mails()[before:] {
			got = append(got, m.Header.Get("To")+": "+m.Subject)
		}
		if len(got) != len(want) {
			t.Fatalf("%q, want %q", got, want)
		}
		for i := range want {
			if !strings.Contains(strings.Join(got, "\n"), want[i]) {
				t.Errorf("%q, want %q among it", got, want[i])
			}
		}
	}
	send()
	for i, device := range registry.Current().Communities()[0].Devices {
		fill := greentally.Value{Quantity: "fill_ratio", Number: 0.95}
		temperature := greentally.Value{Quantity: "battery_ratio", Number: 0.1}
		for minute := range 3 {
			up.watch.Do(t.Context(), func(e *alerts.Engine) ([]greentally.Alert, error) {
				at := time.Now().Add(time.Duration(minute-3) * time.Hour)
				return e.See(at, greentally.Reading{DeviceKey: device.Key(), Kind: device.Kind, Time: at, Quality: greentally.Accepted, Values: []greentally.Value{temperature, fill}[:2-i]})
			})
		}
	}
	open := 0
	for _, a := range up.watch.Alerts() {
		if a.Ended == nil {
			open++
		}
	}
	if open < 2 {
		t.Fatalf("%d alerts are open", open)
	}
	send("wang@example.org>", "desk@example.org>")
}

func TestLinks(t *testing.T) {
	link, err := linkTo("https://grafana.example.org/d/bins?var-community={{.Community}}&var-device={{urlquery .Device}}")
	if err != nil {
		t.Fatal(err)
	}
	if got := link(greentally.Alert{Community: "lakeside", Device: "bin 1"}); got != "https://grafana.example.org/d/bins?var-community=lakeside&var-device=bin+1" {
		t.Errorf("the link is %s", got)
	}
	for text, want := range map[string]string{
		"https://example.org/{{.Bin}}": "can't evaluate field Bin",
		"https://example.org/{{.":      "template: link:1",
		"javascript:alert(1)":          "is no address",
		"/d/bins":                      "is no address",
	} {
		if _, err := linkTo(text); err == nil || !strings.Contains(err.Error(), "alerting.link: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
