package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	amalert "github.com/prometheus/alertmanager/alert"
	amconfig "github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/client_golang/prometheus"
	commonconfig "github.com/prometheus/common/config"

	"greentally"
	"greentally/alerting"
	"greentally/alerting/mail"
	"greentally/alerting/watch"
	"greentally/devices"
	"greentally/ingest"
	"greentally/rules/alerts"
)

// openAlertRules loads the alert rules that are shipped, and the user's own.
func openAlertRules(c config, kinds *devices.Registry) (*alerts.Set, error) {
	set, err := alerts.Load(kinds.Kind, withOwn(alerts.Shipped(), c.AlertRules)...)
	if err != nil {
		return nil, fmt.Errorf("alert rules:\n%w", err)
	}
	return set, nil
}

// openMailer makes what writes and sends mails; nil if no server is configured.
func openMailer(c config, registry *devices.Live, store greentally.ReadingStore) (*mail.Mailer, error) {
	if c.SMTP.Address == "" {
		return nil, nil
	}
	password, err := secret(c.SMTP.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("smtp.password_file: %w", err)
	}
	smtp := mail.SMTP{Address: c.SMTP.Address, From: c.SMTP.From, Hello: c.SMTP.Hello, Username: c.SMTP.Username, Password: password, TLS: c.SMTP.TLS}
	if c.SMTP.CAFile != "" {
		pem, err := os.ReadFile(c.SMTP.CAFile)
		if err != nil {
			return nil, fmt.Errorf("smtp.ca_file: %w", err)
		}
		if smtp.CAs, err = x509.SystemCertPool(); err != nil {
			return nil, fmt.Errorf("smtp.ca_file: %w", err)
		}
		if !smtp.CAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("smtp.ca_file: %s holds no certificate", c.SMTP.CAFile)
		}
	}
	link, err := linkTo(c.Alerting.Link)
	if err != nil {
		return nil, err
	}
	options := mail.Options{
		SMTP: smtp, Now: time.Now, Link: link,
		Names: func(community string) (*greentally.Community, *time.Location, bool) {
			current := registry.Current()
			c, ok := current.Community(community)
			loc, has := current.Location(community)
			return c, loc, ok && has
		},
		Kinds: func(name string) (*greentally.Kind, bool) { return registry.Current().Kind(name) },
	}
	if store != nil {
		options.Readings = store.Readings
	}
	if c.Alerting.Templates != "" {
		options.Templates = os.DirFS(c.Alerting.Templates)
	}
	m, err := mail.New(options)
	if err != nil {
		return nil, fmt.Errorf("mails (smtp, alerting.templates): %w", err)
	}
	return m, nil
}

// alertmanagerConfig is the user's own alertmanager.yml, or the defaults.
func alertmanagerConfig(c config, communities []*greentally.Community) (*amconfig.Config, string, error) {
	if c.Alerting.ConfigFile != "" {
		text, err := os.ReadFile(c.Alerting.ConfigFile)
		if err != nil {
			return nil, "", fmt.Errorf("alerting.config_file: %w", err)
		}
		own, err := amconfig.LoadFile(c.Alerting.ConfigFile)
		if err != nil {
			return nil, "", fmt.Errorf("alerting.config_file: %s: %w", c.Alerting.ConfigFile, err)
		}
		return own, string(text), nil
	}
	text, err := alerting.Defaults(communities, alerting.SMTP{Address: c.SMTP.Address, From: c.SMTP.From, Hello: c.SMTP.Hello, Username: c.SMTP.Username,
		PasswordFile: c.SMTP.PasswordFile, RequireTLS: c.SMTP.TLS != mail.NoTLS})
	if err != nil {
		return nil, "", err
	}
	loaded, err := amconfig.Load(string(text))
	if err != nil {
		return nil, "", fmt.Errorf("the default configuration of Alertmanager: %w", err)
	}
	return loaded, string(text), nil
}

// notifier sends the mails of one email_config.
type notifier struct {
	mailer   *mail.Mailer
	to       []mail.Recipient
	registry *devices.Live
}

// Notify implements Alertmanager's interface; the answer says whether trying again can help.
func (n *notifier) Notify(ctx context.Context, all ...*amalert.Alert) (retry bool, err error) {
	notice := mail.Notice{}
	var latest time.Time
	for _, a := range all {
		own := alerting.FromAlertmanager(a)
		notice.Alerts = append(notice.Alerts, own)
		latest = later(latest, own.Fired)
		if own.Ended != nil {
			latest = later(latest, *own.Ended)
		}
	}
	if reason, ok := notify.NotificationReason(ctx); ok && reason == notify.ReasonRepeatIntervalElapsed {
		notice.Reminder = max(1, int(time.Since(latest).Hours())) // one more than before
	}
	var failed []error
	for _, to := range n.to {
		notice.Others = n.others(to, notice.Alerts)
		err := n.mailer.Send(ctx, to, notice)
		var refused *mail.Error
		if errors.As(err, &refused) {
			retry = retry || refused.Temporary
		} else if err != nil {
			retry = true
		}
		failed = append(failed, err)
	}
	return retry, errors.Join(failed...)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// others are the names of who else is told.
func (n *notifier) others(to mail.Recipient, told []greentally.Alert) (names []string) {
	for _, a := range told {
		c, ok := n.registry.Current().Community(a.Community)
		if !ok {
			continue
		}
		for _, contact := range c.Contacts {
			name := cmp.Or(contact.Name, contact.Email)
			if contact.Email != to.Email && contact.Wants(a.Severity) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// recipients are those of an email_config, each with the language and the name that its
// community's file says.
func recipients(c *amconfig.EmailConfig, communities []*greentally.Community) (all []mail.Recipient) {
	for _, address := range strings.Split(c.To, ",") {
		to := mail.Recipient{Email: strings.TrimSpace(address), Language: c.Headers["Content-Language"]}
		for _, community := range communities {
			for _, contact := range community.Contacts {
				if contact.Email == to.Email {
					to.Name, to.Language = contact.Name, cmp.Or(to.Language, contact.Language)
				}
			}
		}
		to.Language = cmp.Or(to.Language, "zh")
		all = append(all, to)
	}
	return all
}

// teller takes alerts, and sees to it that people hear of them.
type teller interface {
	Put(context.Context, ...greentally.Alert) error
	Holding() []greentally.Alert
	Silences(ctx context.Context, community string) ([]greentally.Silence, error)
	Silence(context.Context, greentally.Silence) (greentally.Silence, error)
	EndSilence(ctx context.Context, community, id string) error
	Close() error
}

// alertsUp is what tells of alerts in a program that runs.
type alertsUp struct {
	config   config
	registry *devices.Live
	watch    *watch.Watch
	archive  *watch.Archive
	mailer   *mail.Mailer // nil if no server is configured, or Alertmanager is elsewhere
	teller   teller
	handler  http.Handler // of Alertmanager's API; nil if that is elsewhere
	reload   func(context.Context) error
	broker   atomic.Pointer[func() bool] // whether the broker can be reached; nil as long as none is asked
	wrong    atomic.Bool                 // whether the rules' files as they were last read are not in force
}

// startAlerts starts the rules and what they tell to. The mailer is nil if no server is configured.
// told hears of each community whose alerts change.
func startAlerts(ctx context.Context, c config, registry *devices.Live, store greentally.Store, mailer *mail.Mailer, js jetstream.JetStream, registerer prometheus.Registerer, told func(community string), log *slog.Logger) (up *alertsUp, err error) {
	set, err := openAlertRules(c, registry.Current())
	if err != nil {
		return nil, err
	}
	up = &alertsUp{config: c, registry: registry, archive: &watch.Archive{Store: store, Log: log}, reload: func(context.Context) error { return nil }}
	if len(c.Alerting.URLs) > 0 {
		options := alerting.RemoteOptions{HTTP: commonconfig.DefaultHTTPClientConfig, Log: log}
		for _, text := range c.Alerting.URLs {
			u, err := url.Parse(text)
			if err != nil || u.Host == "" {
				return nil, fmt.Errorf("alerting.urls: %q is not a URL such as http://alertmanager:9093", text)
			}
			options.URLs = append(options.URLs, u)
		}
		if up.teller, err = alerting.NewRemote(options); err != nil { //nolint:contextcheck // it goes on until Close
			return nil, err
		}
	} else if err := up.startManager(ctx, c, registry, mailer, js, registerer, log); err != nil {
		return nil, err
	}
	state, err := alerting.OpenState(ctx, js, "GREENTALLY_ALERT_RULES", "How alert rules stand with devices", c.NATS.Replicas)
	if err != nil {
		return nil, errors.Join(err, up.teller.Close())
	}
	up.watch = &watch.Watch{
		Decode: registry.Decode, State: state, Every: 30 * time.Second, Now: time.Now, Log: log,
		Tell: func(ctx context.Context, changed []greentally.Alert) {
			for _, a := range changed {
				log.Info("alert", "state", map[bool]string{true: "firing", false: "ended"}[a.Ended == nil], "rule", a.Rule, "community", a.Community,
					"device", a.Device, "indicator", a.Indicator, "since", a.Since)
			}
			up.archive.Put(changed...)
			if err := up.teller.Put(ctx, changed...); err != nil && ctx.Err() == nil {
				log.Error("alerts were not handed on", "error", err)
			}
			for _, a := range changed {
				told(a.Community)
			}
		},
	}
	if err := up.watch.Open(ctx, alerts.NewEngine(set, registry.Current())); err != nil {
		return nil, errors.Join(err, up.teller.Close())
	}
	changed := make(chan struct{}, 1) // the registry tells of itself while it is locked
	registry.OnChange(func(*devices.Registry) {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	go func() {
		for {
			select {
			case <-changed:
				up.watch.Do(ctx, func(e *alerts.Engine) ([]greentally.Alert, error) { return e.SetRegistry(registry.Current()), nil })
				up.readRules(ctx, log) // they speak of kinds
				if err := up.reload(ctx); err != nil {
					log.Error("Alertmanager's configuration is not in force; the former stays", "error", err)
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return up, nil
}

// readRules puts the rules' files in force as they are now. If one of them does not
// validate, the rules in force stay.
func (up *alertsUp) readRules(ctx context.Context, log *slog.Logger) {
	set, err := openAlertRules(up.config, up.registry.Current())
	up.wrong.Store(err != nil)
	if err != nil {
		log.Error("the alert rules' files are not valid; the ones read before stay in force", "error", err)
		return
	}
	up.watch.Do(ctx, func(e *alerts.Engine) ([]greentally.Alert, error) { return e.SetRules(set), nil })
	log.Info("alert rules read", "rules", set.Len())
}

// startManager starts Alertmanager in the process.
func (up *alertsUp) startManager(ctx context.Context, c config, registry *devices.Live, mailer *mail.Mailer, js jetstream.JetStream, registerer prometheus.Registerer, log *slog.Logger) error {
	conf, text, err := alertmanagerConfig(c, registry.Current().Communities())
	if err != nil {
		return err
	}
	state, err := alerting.OpenState(ctx, js, "GREENTALLY_ALERTING", "Alerts, whom they were told to, and silences", c.NATS.Replicas)
	if err != nil {
		return err
	}
	options := alerting.Options{Config: conf, State: state, Registerer: registerer, Log: log}
	if c.Alerting.ExternalURL != "" {
		if options.ExternalURL, err = url.Parse(strings.TrimRight(c.Alerting.ExternalURL, "/") + alertmanagerPath); err != nil {
			return fmt.Errorf("alerting.external_url: %w", err)
		}
	}
	if mailer != nil {
		options.Email = func(_ string, c *amconfig.EmailConfig, _ *template.Template) (notify.Notifier, error) {
			return &notifier{mailer, recipients(c, registry.Current().Communities()), registry}, nil
		}
	}
	up.mailer = mailer
	manager, err := alerting.New(ctx, options)
	if err != nil {
		return err
	}
	up.teller, up.handler = manager, manager.Handler()
	up.reload = func(ctx context.Context) error {
		conf, now, err := alertmanagerConfig(c, registry.Current().Communities())
		if err != nil || now == text {
			return err
		}
		text = now
		return manager.Reload(ctx, conf)
	}
	return nil
}

// alertmanagerPath is where the API of Alertmanager in the process is served.
const alertmanagerPath = "/alertmanager"

// listening reports whether messages can come.
func (up *alertsUp) listening() bool {
	connected := up.broker.Load()
	return connected == nil || (*connected)()
}

// follow runs the rules while messages pass, and while none pass.
func (up *alertsUp) follow(ctx context.Context, journal *ingest.Journal) error {
	passed := make(chan struct{})
	go func() {
		defer close(passed)
		settled := false
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			lags, err := journal.Lags(ctx)
			if lag, following := lags[alertsFollower]; err != nil || !following || lag.Entries > 0 {
				continue
			}
			up.watch.Pass(ctx, up.listening())
			if !settled { // with what it was told before the start, and rules may know no more
				settled = up.settle(ctx) == nil
			}
		}
	}()
	defer func() { <-passed }()
	return journal.FollowKept(ctx, alertsFollower, func(ctx context.Context, entries []ingest.Entry) error {
		up.watch.SetBack(entries[0].Sequence - 1) // what comes again is not kept
		var messages []greentally.Message
		for _, e := range entries {
			messages = append(messages, e.Messages...)
		}
		up.watch.See(ctx, entries[len(entries)-1].Sequence, messages)
		return nil
	}, up.watch.Kept)
}

const alertsFollower = "alerts"

// settle ends the alerts that no rule knows, such as those of a rule that left.
func (up *alertsUp) settle(ctx context.Context) error {
	holds := map[greentally.AlertKey]bool{}
	for _, a := range up.watch.Alerts() {
		if a.Ended == nil {
			holds[a.Key()] = true
		}
	}
	var over []greentally.Alert
	now := time.Now().UTC()
	for _, a := range up.teller.Holding() {
		if !holds[a.Key()] {
			a.Ended = &now
			over = append(over, a)
		}
	}
	up.archive.Put(over...)
	return up.teller.Put(ctx, over...)
}

// seeDays and seeIndicators take what the worker computes.
func (up *alertsUp) seeDays(ctx context.Context, days []greentally.DeviceDay, records []greentally.Record) {
	up.watch.Do(ctx, func(e *alerts.Engine) (changed []greentally.Alert, err error) {
		for _, d := range days {
			more, dayErr := e.SeeDay(d, records)
			changed, err = append(changed, more...), errors.Join(err, dayErr)
		}
		return changed, err
	})
}

func (up *alertsUp) seeIndicators(ctx context.Context, values []greentally.IndicatorValue, registry *devices.Registry) {
	if len(values) == 0 {
		return
	}
	loc, ok := registry.Location(values[0].Community)
	if !ok {
		return
	}
	over := 0
	today := greentally.DateOf(time.Now(), loc)
	for d := values[0].Month.First(); d.Before(today) && !values[0].Month.Last().Before(d); d = d.Add(1) {
		over++
	}
	up.watch.Do(ctx, func(e *alerts.Engine) ([]greentally.Alert, error) { return e.SeeIndicators(values, over) })
}

// close keeps the state of the rules, and stops telling.
func (up *alertsUp) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	return errors.Join(up.watch.Close(ctx), up.teller.Close())
}
