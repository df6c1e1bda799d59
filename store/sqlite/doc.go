// Package sqlite keeps telemetry, and what derives from it, in one SQLite file, so
// that a single binary is a whole system.
//
// Readings come from package ingest and are read back by the tallies; device-days,
// indicators, assessments and records are read by reports. The
// package computes nothing from them. Several processes may open the file at once. A
// damaged file is told by errors that wrap greentally.ErrDamaged.
//
// The tables can be read with the sqlite3 shell. For readings there is a view with a
// row for each value:
//
//	select * from reading_values where device = 'bin-1' order by time desc limit 10;
package sqlite
