package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"greentally"
)

// metrics are what the wiring itself counts: the tallies and the indicators.
type metrics struct {
	days         prometheus.Counter
	seconds      prometheus.Histogram
	value        *prometheus.GaugeVec
	completeness *prometheus.GaugeVec
	estimated    *prometheus.GaugeVec
}

func newMetrics(registerer prometheus.Registerer, registryValid func() bool) *metrics {
	m := &metrics{
		days: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "greentally_tallies_total", Help: "Device-days tallied, repetitions included."}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "greentally_tally_seconds", Help: "Time to tally the device-days of one round.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 12)}),
		value: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "greentally_indicator", Help: "Value of an indicator in a month, in its own unit."}, []string{"community", "indicator", "month"}),
		completeness: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "greentally_indicator_completeness_ratio", Help: "Completeness of an indicator in a month, 0 to 1."}, []string{"community", "indicator", "month"}),
		estimated: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "greentally_indicator_estimated_ratio", Help: "Part of the mass in an indicator that was estimated rather than weighed, 0 to 1."}, []string{"community", "indicator", "month"}),
	}
	registerer.MustRegister(m.days, m.seconds, m.value, m.completeness, m.estimated, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "greentally_registry_valid", Help: "1 if the registry's files as they are now are in force, 0 if they do not validate.",
	}, func() float64 {
		if registryValid() {
			return 1
		}
		return 0
	}))
	return m
}

func (m *metrics) tallied(days int, took time.Duration) {
	m.days.Add(float64(days))
	m.seconds.Observe(took.Seconds())
}

func (m *metrics) computed(values []greentally.IndicatorValue) {
	for _, v := range values {
		labels := []string{v.Community, v.Indicator, v.Month.String()}
		m.completeness.WithLabelValues(labels...).Set(v.Completeness)
		if v.Value == nil { // missing is not 0
			m.value.DeleteLabelValues(labels...)
			m.estimated.DeleteLabelValues(labels...)
			continue
		}
		m.value.WithLabelValues(labels...).Set(*v.Value)
		m.estimated.WithLabelValues(labels...).Set(v.EstimatedShare)
	}
}
