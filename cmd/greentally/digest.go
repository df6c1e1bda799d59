package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"text/template"
	"time"

	"greentally"
	"greentally/alerting"
	"greentally/alerting/mail"
	"greentally/internal/schedule"
)

// noDigest is the time of a digest that nobody gets.
const noDigest = "never"

// digestLate is for how long after its time a digest is worth reading.
const digestLate = 4 * time.Hour

// digests returns the jobs that send each contact the list of what is open, by the clocks
// of the contact's community.
func (up *alertsUp) digests(log *slog.Logger) (jobs []schedule.Job) {
	registry := up.registry.Current()
	for _, c := range registry.Communities() {
		loc, ok := registry.Location(c.ID)
		if !ok {
			continue
		}
		for _, contact := range c.Contacts {
			sum := sha256.Sum256(fmt.Append(nil, contact.Email, contact.Language, contact.Severities))
			to := mail.Recipient{Email: contact.Email, Name: contact.Name, Language: contact.Language}
			jobs = append(jobs, schedule.Job{
				Name: "digest." + c.ID + "." + hex.EncodeToString(sum[:8]), Cron: up.config.Alerting.Digest, Location: loc, Late: digestLate,
				Do: func(ctx context.Context, _ time.Time) error {
					var open []greentally.Alert
					for _, a := range up.watch.Alerts() {
						if a.Ended == nil && a.Community == c.ID && contact.Wants(a.Severity) {
							open = append(open, a)
						}
					}
					err := up.mailer.SendDigest(ctx, to, open)
					var refused *mail.Error
					if errors.As(err, &refused) && !refused.Temporary {
						log.Error("a digest was refused for good", "to", contact.Email, "error", err)
						return nil
					}
					return err
				},
			})
		}
	}
	return jobs
}

// sendDigests sends the digests until ctx is done.
func (up *alertsUp) sendDigests(ctx context.Context, state *alerting.JetStream, log *slog.Logger) error {
	if up.mailer == nil || up.config.Alerting.Digest == noDigest {
		return nil
	}
	return schedule.Run(ctx, state, func() []schedule.Job { return up.digests(log) }, log)
}

// linkTo makes the function that returns the address of the page about an alert, from the
// template of alerting.link; nil if there is none.
func linkTo(text string) (func(greentally.Alert) string, error) {
	if text == "" {
		return nil, nil
	}
	tmpl, err := template.New("link").Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("alerting.link: %w", err)
	}
	link := func(a greentally.Alert) (string, error) {
		var address strings.Builder
		if err := tmpl.Execute(&address, a); err != nil {
			return "", err
		}
		u, err := url.Parse(address.String())
		if err == nil && (u.Scheme != "https" && u.Scheme != "http" || u.Host == "") {
			err = fmt.Errorf("%q is no address such as https://grafana.example.org/d/bins?var-device={{.Device}}", address.String())
		}
		return address.String(), err
	}
	if _, err := link(greentally.Alert{Community: "a", Device: "b", Kind: "c"}); err != nil {
		return nil, fmt.Errorf("alerting.link: %w", err)
	}
	return func(a greentally.Alert) string {
		address, err := link(a)
		if err != nil {
			return "" // what the names of this alert make of it is no address
		}
		return address
	}, nil
}
