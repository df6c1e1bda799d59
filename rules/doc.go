// Package rules keeps device-days, indicators and assessments up to date: told which
// stretches of time of which devices were touched, it reads the readings around them from
// the store, tallies the days that can have changed (package tally), writes them, computes
// the indicators of the months that these days lie in (package indicators), and has these
// months assessed, by whatever it is given for that.
//
// What it is told comes from the queue of touches in package ingest. The computing
// itself is pure and lies in the two packages below; only the reading and writing is
// here. It knows no broker and no journal.
package rules
