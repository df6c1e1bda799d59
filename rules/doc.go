// Package rules keeps device-days and indicators up to date: told which stretches of
// time of which devices were touched, it reads the readings around them from the
// store, tallies the days that can have changed (package tally), writes them, and
// computes the indicators of the months that these days lie in (package indicators).
//
// What it is told comes from the queue of touches in package ingest. The computing
// itself is pure and lies in the two packages below; only the reading and writing is
// here. It knows no broker and no journal.
package rules
