package ingest

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"greentally"
)

// Metrics are what the package counts.
type Metrics struct {
	received      *prometheus.CounterVec
	messages      prometheus.Counter
	entries       prometheus.Counter
	appendSeconds prometheus.Histogram
	journalErrors prometheus.Counter
	lost          *prometheus.CounterVec
	clockJumps    prometheus.Counter

	stored       prometheus.Counter
	deadLettered *prometheus.CounterVec
	storeSeconds prometheus.Histogram
	storeErrors  prometheus.Counter

	connections prometheus.Gauge
	refused     *prometheus.CounterVec

	lag    *lagCollector
	latest *latestCollector
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	m := &Metrics{
		received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "greentally_messages_received_total", Help: "MQTT messages received, by source."}, []string{"source"}),
		messages: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "greentally_journal_messages_total", Help: "Messages synced to the journal."}),
		entries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "greentally_journal_entries_total", Help: "Entries synced to the journal; one holds many messages."}),
		appendSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "greentally_journal_append_seconds", Help: "Time to sync one entry to the journal.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 12)}),
		journalErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "greentally_journal_append_errors_total", Help: "Failed tries to append to the journal; each is tried again."}),
		lost: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "greentally_journal_lost_entries_total", Help: "Entries of the journal, or of the queue of what is to be tallied, that were acknowledged and are gone before a follower took them."}, []string{"follower"}),
		clockJumps: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "greentally_clock_jumps_total", Help: "Times that the clock of this machine was set by more than a minute, as far as messages show it."}),
		stored: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "greentally_readings_stored_total", Help: "Readings written to the store, repetitions included."}),
		deadLettered: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "greentally_dead_letters_total", Help: "Messages that could not be used, by reason."}, []string{"reason"}),
		storeSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "greentally_store_write_seconds", Help: "Time to write one batch of readings to the store.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 12)}),
		storeErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "greentally_store_write_errors_total", Help: "Failed tries to write to the store; each is tried again."}),
		connections: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "greentally_mqtt_connections", Help: "Connections to the MQTT broker in the process."}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "greentally_mqtt_connections_refused_total", Help: "Connections that the MQTT broker in the process refused or ended, by reason."}, []string{"reason"}),
		lag:    &lagCollector{},
		latest: &latestCollector{},
	}
	for _, reason := range []greentally.Reason{greentally.UnknownTopic, greentally.UnknownDevice, greentally.BadPayload,
		greentally.TooLarge, greentally.AbsurdTime, greentally.ImpossibleValue, greentally.RefusedByStore} {
		m.deadLettered.WithLabelValues(string(reason)) // so that it shows as 0
	}
	for _, reason := range []string{noRoom, noRoomThere, noConnect, wrongLogin, tooManyTries, notChecked, badConnect, tooLarge} {
		m.refused.WithLabelValues(reason)
	}
	registerer.MustRegister(m.connections, m.refused, m.received, m.messages, m.entries, m.appendSeconds, m.journalErrors, m.lost, m.clockJumps,
		m.stored, m.deadLettered, m.storeSeconds, m.storeErrors, m.lag, m.latest)
	return m
}

func (m *Metrics) journaled(messages []greentally.Message, took time.Duration) {
	m.messages.Add(float64(len(messages)))
	m.entries.Inc()
	m.appendSeconds.Observe(took.Seconds())
}

// ObserveLag makes the metrics report the lag of the followers of the journal.
func (m *Metrics) ObserveLag(lags func(context.Context) (map[string]Lag, error)) { m.lag.set(lags) }

// ObserveLatest makes the metrics report the time of the latest reading by kind.
func (m *Metrics) ObserveLatest(latest func() map[string]time.Time) { m.latest.set(latest) }

// lagCollector asks for the lags when it is scraped.
type lagCollector struct {
	mu   sync.Mutex
	lags func(context.Context) (map[string]Lag, error)
}

var (
	lagEntries = prometheus.NewDesc("greentally_follower_lag_entries",
		"Journal entries that a follower has not taken yet.", []string{"follower"}, nil)
	unkeptEntries = prometheus.NewDesc("greentally_follower_unkept_entries",
		"Journal entries that a follower has not kept on disk yet, and that cannot be removed.", []string{"follower"}, nil)
	lagSeconds = prometheus.NewDesc("greentally_follower_lag_seconds",
		"Age of the last entry that a follower took, if it is behind; else 0.", []string{"follower"}, nil)
	latestSeconds = prometheus.NewDesc("greentally_last_reading_timestamp_seconds",
		"Time of the latest reading of a kind of device, in seconds since 1970.", []string{"kind"}, nil)
)

func (c *lagCollector) set(lags func(context.Context) (map[string]Lag, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lags = lags
}

func (c *lagCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- lagEntries
	ch <- unkeptEntries
	ch <- lagSeconds
}

func (c *lagCollector) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	lags := c.lags
	c.mu.Unlock()
	if lags == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	all, err := lags(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(lagEntries, err)
		return
	}
	for follower, lag := range all {
		ch <- prometheus.MustNewConstMetric(lagEntries, prometheus.GaugeValue, float64(lag.Entries), follower)
		ch <- prometheus.MustNewConstMetric(unkeptEntries, prometheus.GaugeValue, float64(lag.Unkept), follower)
		ch <- prometheus.MustNewConstMetric(lagSeconds, prometheus.GaugeValue, time.Duration(lag.Age).Seconds(), follower)
	}
}

// latestCollector asks for the latest readings when it is scraped.
type latestCollector struct {
	mu     sync.Mutex
	latest func() map[string]time.Time
}

func (c *latestCollector) set(latest func() map[string]time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.latest = latest
}

func (c *latestCollector) Describe(ch chan<- *prometheus.Desc) { ch <- latestSeconds }

func (c *latestCollector) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	latest := c.latest
	c.mu.Unlock()
	if latest == nil {
		return
	}
	for kind, t := range latest() {
		ch <- prometheus.MustNewConstMetric(latestSeconds, prometheus.GaugeValue, float64(t.UnixMilli())/1000, kind)
	}
}
