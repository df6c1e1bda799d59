// Package dashboards is Grafana's dashboards, written in Go: what a property manager looks
// at, in zh-CN. Each file that is named after a dashboard reads like a table of its panels;
// the JSON files beside it are made from it by the tests' flag -update, and Grafana
// provisions them as they are.
//
// The panels ask for what store/influx writes (readings, device-days, indicators,
// assessments, alerts) and what the program shows at /metrics. Titles and targets of the
// indicators that have a panel of their own are those of the files in rules/indicators; tables
// of all indicators and schemes take them from the store, so that they know a user's own, too.
// Data sources are named by the UIDs that are provisioned:
// greentally-readings and greentally-derived (InfluxQL), greentally-prometheus.
//
// To look at them without a Grafana: go test ./dashboards -run TestLayout -layout=FOLDER
//
// The package computes no rate: where a panel needs more than sums and shares of what is
// stored, the place for it is an indicator. It connects to nothing, and needs no plug-in of
// Grafana's that is not there from the beginning.
package dashboards
