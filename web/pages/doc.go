// Package pages serves the pages that are built in, for sites without a Grafana: how each community
// stands, its devices with charts of their readings, its alerts to be silenced or acknowledged, its
// rates down to what each device-day contributes, records with photos, reports and applications,
// unknown devices, dead letters, users, tokens and the audit log, and the big screen in the lobby.
//
// Pages are made on the server, in zh-CN and English. htmx fetches them again when there is news and
// changes them in place, ECharts draws; both are vendored from npm in static/vendor. Without scripts
// and without the internet pages tell the same, in tables; they work on a phone and by keyboard.
//
// It computes nothing: what it shows comes from the functions of package web and its own, and what
// forms say goes there, where it is checked. Who may see and do what is asked at each request. Who
// asks was found out before; the way in, and the files that pages are made with, are for everybody.
package pages
