// Package records keeps what people attest: audits, surveys, inspections. The log
// is only ever added to; it lives in JetStream, synced on each append. A copy goes
// to the store for reports and dashboards.
//
// The package judges no record's content beyond its form; what a record is worth
// is for the indicators to say.
package records
