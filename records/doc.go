// Package records keeps what people attest: audits, surveys, inspections. The log
// is only ever added to; it lives in JetStream, synced on each append. A copy goes
// to the store for reports and dashboards. What is attached to records is in JetStream's
// object store, by community and hash.
//
// A type of record is one YAML file with its tests inside: which values and texts it
// has, and what must hold between them. The package judges no record's content beyond
// that form; what a record is worth is for tallies, indicators and schemes to say. Whether
// one that is handed in can be evidence for what it names it asks a function.
//
// Tables of records are read and written as spreadsheets in China make them.
package records
