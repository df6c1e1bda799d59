// Package alerts finds out, from readings as they pass, when somebody should be told.
//
// A rule is an entry of a YAML file: a condition on the readings of a kind of device, on a
// device's silence, on a device-day, or on an indicator; how long it must hold; a condition
// for its end; what to say in Chinese and English; and tests. A file that is wrong is
// refused, with line and reason.
//
// The engine is a machine without a clock, a store or a network: readings, the passing of
// time, device-days and indicators come in as calls, and alerts that began or ended go out
// of them. Its time is that of the readings: while a backlog is worked off, time passes as
// it passed then, so that catching up cries no false silence. What it remembers can be taken
// out and put back, and readings that it has seen already change nothing, so that it can
// begin again from an older state. Who is told, how and how often is not its business; see
// package alerting.
package alerts
