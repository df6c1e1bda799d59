package alerting

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/api"
	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/config/receiver"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/eventrecorder"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/inhibit"
	"github.com/prometheus/alertmanager/marker"
	"github.com/prometheus/alertmanager/nflog"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/provider/mem"
	"github.com/prometheus/alertmanager/silence"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/route"

	"greentally"
)

const (
	retention = 120 * time.Hour  // of notifications and of silences that ended, as in Alertmanager
	tendEvery = time.Minute      // shorter than a usual group interval
	settle    = 10 * time.Second // much longer than an alert needs to its groups
	remember  = 10 * time.Minute // that an alert is over: after a crash rules see readings again
)

// Options are what a Manager needs.
type Options struct {
	Config *config.Config // of config.Load or config.LoadFile
	State  State

	// Email makes what sends the mails of an email_config. With nil that is Alertmanager's
	// own. What it makes must heed its context, and tell as Alertmanager's do whether
	// trying again can help.
	Email func(receiver string, c *config.EmailConfig, templates *template.Template) (notify.Notifier, error)

	ExternalURL *url.URL              // where people reach Alertmanager's API, for templates; may be nil
	Registerer  prometheus.Registerer // for Alertmanager's metrics; may be nil
	Log         *slog.Logger
}

// Manager is Alertmanager in the process.
type Manager struct {
	options  Options
	keeper   *keeper
	debts    *debts
	told     *nflog.Log
	silences *silence.Silences
	silencer *silence.Silencer
	provider *mem.Alerts
	groups   marker.GroupMarker
	pipeline *notify.PipelineBuilder
	metrics  *dispatch.DispatcherMetrics
	api      *api.API
	handler  http.Handler

	live atomic.Pointer[live]

	mu   sync.Mutex // so that alerts, and configurations, come one after the other
	book book

	stop   func()
	tended chan struct{}
}

// live is what there is of one configuration.
type live struct {
	inhibitor  *inhibit.Inhibitor
	dispatcher *dispatch.Dispatcher
	stage      *stage
}

// New starts with what the state has. Alerts that are kept there are known before anything
// is sent, so that nothing is told again and no end is forgotten. Two must not be made at
// the same time, because Alertmanager's APIs in a process share something that is made
// with each.
func New(ctx context.Context, o Options) (*Manager, error) {
	if o.ExternalURL == nil {
		o.ExternalURL = &url.URL{}
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	m := &Manager{
		options:  o,
		groups:   marker.NewGroupMarker(),
		pipeline: notify.NewPipelineBuilder(o.Registerer, featurecontrol.NoopFlags{}, eventrecorder.NopRecorder()),
		metrics:  dispatch.NewDispatcherMetrics(false, o.Registerer, featurecontrol.NoopFlags{}),
		book:     newBook(),
		stop:     func() {},
		tended:   make(chan struct{}),
	}
	if err := m.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("alerting: %w", err), m.Close()) //nolint:contextcheck // it has its own time
	}
	return m, nil
}

func (m *Manager) open(ctx context.Context) error {
	o := m.options
	var err error
	m.told, err = nflog.New(nflog.Options{Retention: retention, Logger: o.Log, Metrics: o.Registerer})
	if err != nil {
		return err
	}
	m.silences, err = silence.New(silence.Options{Retention: retention, Logger: o.Log, Metrics: o.Registerer, EventRecorder: eventrecorder.NopRecorder()})
	if err != nil {
		return err
	}
	m.silencer = silence.NewSilencer(m.silences, o.Log, eventrecorder.NopRecorder())
	// It lives until Close, which is later than the context of the start.
	m.provider, err = mem.NewAlerts(context.WithoutCancel(ctx), 30*time.Minute, 0, m.silencer, o.Log, eventrecorder.NopRecorder(), o.Registerer, featurecontrol.NoopFlags{})
	if err != nil {
		return err
	}
	m.api, err = api.New(api.Options{
		Alerts:         m.provider,
		Silences:       m.silences,
		GroupMutedFunc: m.groups.Muted,
		GroupFunc: func(ctx context.Context, routes func(*dispatch.Route) bool, alerts func(*alert.Alert, time.Time) bool) (dispatch.AlertGroups, map[model.Fingerprint][]string, error) {
			return m.live.Load().dispatcher.Groups(ctx, routes, alerts)
		},
		Logger:   o.Log,
		Registry: o.Registerer,
		RequestDuration: promauto.With(o.Registerer).NewHistogramVec(prometheus.HistogramOpts{
			Name:    "alertmanager_http_request_duration_seconds",
			Help:    "Latency of requests to Alertmanager's API.",
			Buckets: prometheus.DefBuckets,
		}, []string{"handler", "method", "code"}),
	})
	if err != nil {
		return err
	}
	m.handler = m.api.Register(healthRoutes(), "/")

	m.keeper = newKeeper(context.WithoutCancel(ctx), o.State, o.Log)
	alerts, owed, err := m.keeper.load(ctx, m.told, m.silences)
	if err != nil {
		return fmt.Errorf("read what is kept: %w", err)
	}
	m.debts = &debts{keeper: m.keeper, owed: owed}
	m.told.SetBroadcast(m.keeper.notified)
	m.silences.SetBroadcast(m.keeper.silenced)
	now := time.Now()
	for _, a := range alerts {
		m.book.put(labelSet(a).Fingerprint(), a, now)
	}
	if err := m.Reload(ctx, o.Config); err != nil {
		return err
	}
	tending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	m.stop = func() { cancel(); <-m.tended }
	go m.tend(tending)
	return nil
}

func healthRoutes() *route.Router {
	r := route.New()
	for _, path := range []string{"/-/healthy", "/-/ready"} {
		r.Get(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("OK")) }) // the client may be gone
		r.Head(path, func(http.ResponseWriter, *http.Request) {})
	}
	return r
}

// Handler serves Alertmanager's v2 API under /api/v2/, and /-/healthy and /-/ready. It asks
// nobody who they are.
func (m *Manager) Handler() http.Handler { return m.handler }

// Reload puts a configuration in force. One that is wrong leaves the former in force. Where
// routes differ from the former, alerts that hold are told again, because the log of
// notifications has them under their routes.
func (m *Manager) Reload(ctx context.Context, c *config.Config) error {
	if c == nil || c.Route == nil {
		return errors.New("alertmanager configuration: there is none; make one with config.Load")
	}
	templates, err := template.FromGlobs(c.Templates)
	if err != nil {
		return fmt.Errorf("alertmanager configuration: templates: %w", err)
	}
	templates.ExternalURL = m.options.ExternalURL
	receivers := map[string][]notify.Integration{}
	for _, r := range c.Receivers {
		if receivers[r.Name], err = m.integrations(r, templates); err != nil {
			return fmt.Errorf("alertmanager configuration: receiver %s: %w", r.Name, err)
		}
	}
	intervals := map[string][]timeinterval.TimeInterval{}
	for _, i := range c.MuteTimeIntervals {
		intervals[i.Name] = i.TimeIntervals
	}
	for _, i := range c.TimeIntervals {
		intervals[i.Name] = i.TimeIntervals
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	// Alertmanager drops what ended some time ago. Who was told of it may have to hear that.
	if err := m.put(ctx, maps.Keys(m.book.known)); err != nil {
		return fmt.Errorf("hand alerts to Alertmanager: %w", err)
	}
	// Nothing fails from here on.
	if former := m.live.Load(); former != nil {
		former.stop()
	}
	l := &live{inhibitor: inhibit.NewInhibitor(m.provider, c.InhibitRules, m.options.Log, eventrecorder.NopRecorder())}
	l.stage = &stage{
		receivers: receivers,
		told:      m.told,
		debts:     m.debts,
		muted:     targets(c.InhibitRules),
		pipeline: m.pipeline.New(receivers, func() time.Duration { return 0 }, l.inhibitor, m.silencer,
			timeinterval.NewIntervener(intervals), m.groups, m.told, nil),
	}
	routes := dispatch.NewRoute(c.Route, nil)
	l.dispatcher = dispatch.NewDispatcher(m.provider, routes, l.stage, m.groups, timeout, tendEvery, nil,
		slog.New(calm{m.options.Log.Handler()}), eventrecorder.NopRecorder(), m.metrics, templates)
	m.api.Update(c, func(ctx context.Context, labels model.LabelSet) {
		m.live.Load().inhibitor.Mutes(ctx, labels)
		m.silencer.Mutes(ctx, labels)
	})
	// What inhibits must be known before anything is sent.
	go l.inhibitor.Run()
	l.inhibitor.WaitForLoading()
	go l.dispatcher.Run(time.Now())
	l.dispatcher.WaitForLoading()
	m.live.Store(l)
	return nil
}

func (l *live) stop() {
	l.inhibitor.Stop()
	l.dispatcher.Stop()
	l.stage.stop()
}

// integrations returns what a receiver consists of.
func (m *Manager) integrations(r config.Receiver, templates *template.Template) ([]notify.Integration, error) {
	var emails []*config.EmailConfig
	if m.options.Email != nil {
		emails, r.EmailConfigs = r.EmailConfigs, nil
	}
	all, err := receiver.BuildReceiverIntegrations(r, templates, m.options.Log)
	if err != nil {
		return nil, err
	}
	n := 0
	for _, c := range emails {
		// Each address for itself: one that is refused must not have the others told again.
		for address := range strings.SplitSeq(c.To, ",") {
			one := *c
			one.To = strings.TrimSpace(address)
			mailer, err := m.options.Email(r.Name, &one, templates)
			if err != nil {
				return nil, fmt.Errorf("email %s: %w", one.To, err)
			}
			all = append(all, notify.NewIntegration(mailer, &one, "email", n, r.Name))
			n++
		}
	}
	for i, integration := range all {
		all[i] = notify.NewIntegration(finishing{&integration, m.debts, debt{Receiver: r.Name, Index: integration.Index(), Name: integration.Name()}}, &integration, integration.Name(), integration.Index(), r.Name)
	}
	return all, nil
}

// Put takes alerts that hold and alerts that ended. Handing in one again changes nothing,
// and neither does the end of one that nobody handed in while it held. One whose labels
// differ from before takes the place of that, which ends.
//
// Alerts are on their way to people at once; Put returns when they are kept too. After an
// error they should be handed in again.
func (m *Manager) Put(ctx context.Context, alerts ...greentally.Alert) error {
	m.mu.Lock()
	now := time.Now()
	var changed []model.Fingerprint
	for _, a := range alerts {
		for _, f := range m.book.note(a, now) {
			changed = append(changed, f)
			if value := m.book.known[f].value; value != nil {
				m.keeper.set(alertKey+f.String(), value, time.Time{})
			}
		}
	}
	for _, f := range changed {
		if a := m.book.known[f].alert; a.Ended != nil {
			m.endAcknowledgement(ctx, a)
		}
	}
	err := m.put(ctx, slices.Values(changed))
	m.mu.Unlock()
	if err != nil {
		return fmt.Errorf("hand %d alerts to Alertmanager: %w", len(changed), err)
	}
	if err := m.keeper.flush(ctx); err != nil {
		return fmt.Errorf("keep %d alerts: %w", len(changed), err)
	}
	return nil
}

// put hands known alerts to Alertmanager.
func (m *Manager) put(ctx context.Context, fingerprints iter.Seq[model.Fingerprint]) error {
	var alerts []*alert.Alert
	for f := range fingerprints {
		k := m.book.known[f]
		alerts = append(alerts, toAlertmanager(k.alert, k.changed))
	}
	return m.provider.Put(ctx, alerts...)
}

// Holding returns the alerts that hold, as far as Put was told.
func (m *Manager) Holding() []greentally.Alert {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.book.holding()
}

// Close stops sending, and keeps what is not kept yet.
func (m *Manager) Close() error {
	m.stop()
	if l := m.live.Load(); l != nil {
		l.stop()
	}
	if m.provider != nil {
		m.provider.Close()
	}
	if m.keeper == nil {
		return nil
	}
	return m.keeper.close()
}

// tend forgets what has passed.
func (m *Manager) tend(ctx context.Context) {
	defer close(m.tended)
	ticks := time.NewTicker(tendEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return
		}
		err := m.tendOnce(ctx, time.Now())
		if err != nil && ctx.Err() == nil {
			m.options.Log.Warn("could not tend alerts, which goes on in a minute", "error", err)
		}
	}
}

func (m *Manager) tendOnce(ctx context.Context, now time.Time) error {
	m.keeper.expire(now)
	_, errTold := m.told.GC()
	_, errSilences := m.silences.GC()

	m.mu.Lock()
	defer m.mu.Unlock()
	groups, _, err := m.live.Load().dispatcher.Groups(ctx,
		func(*dispatch.Route) bool { return true },
		func(*alert.Alert, time.Time) bool { return true })
	if err != nil {
		return err
	}
	type states struct{ holding, ended bool } // in one group or the other
	grouped := map[model.Fingerprint]states{}
	for _, g := range groups {
		for _, a := range g.Alerts {
			s := grouped[a.Fingerprint()]
			grouped[a.Fingerprint()] = states{s.holding || !a.Resolved(), s.ended || a.Resolved()}
		}
	}
	var amiss []model.Fingerprint
	for fingerprint, k := range m.book.known {
		if now.Sub(k.changed) < settle {
			continue
		}
		holds, in := k.alert.Ended == nil, grouped[fingerprint]
		switch {
		case holds && (in.ended || !in.holding), !holds && in.holding:
			// Alertmanager brings alerts to their groups by several goroutines, so that the
			// news of one that changes twice in a moment can arrive in the wrong order.
			amiss = append(amiss, fingerprint)
		case !holds && !in.ended && now.Sub(k.changed) > remember:
			// It left its groups, for all have heard who are to.
			m.book.forget(fingerprint)
			m.keeper.set(alertKey+fingerprint.String(), nil, time.Time{})
		}
	}
	return errors.Join(errTold, errSilences, m.put(ctx, slices.Values(amiss)))
}
