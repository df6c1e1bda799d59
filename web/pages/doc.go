// Package pages serves the pages that are built in, for sites without a Grafana: communities,
// their day, alerts, rates down to the reading, records, reports. They are made on the server,
// in zh-CN and English, and work on a phone, by keyboard and without the internet; htmx keeps
// them live and ECharts draws, both vendored from npm.
//
// It computes nothing: what it shows comes from the functions of package web, and what is sent
// goes to them. Who may see what was decided before a request comes here.
package pages
