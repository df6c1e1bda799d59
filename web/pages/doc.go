// Package pages serves the pages that are built in, for sites without a Grafana: communities,
// how each stands, its devices with their days and readings, its alerts, and its rates down to
// what each device-day contributes. They are made on the server, in zh-CN and English, and work
// on a phone, by keyboard, without scripts and without the internet.
//
// It computes nothing: what it shows comes from the functions of package web, which also say who
// may see what. Who asks was found out before a request comes here; the way in is the one page
// that is for everybody.
package pages
