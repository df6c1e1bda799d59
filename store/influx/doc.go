// Package influx keeps telemetry, and what derives from it, in InfluxDB 1.8, 2.x or
// 3.x: writes go through the v2 API, reads through InfluxQL, which all of them answer.
//
// Readings are points of a measurement named after the kind of device, with the tags
// community, site, device and stream and a field for each quantity. Device-days,
// indicators, assessments, records and alerts are in a bucket of their own (measurements
// device_day, indicator, assessment, record and alert): what dashboards show as fields of
// their own, and the whole as JSON in the field json, from which it is read back. Months of
// device-days are read from the field packed, which is short. Only InfluxDB's own answers
// count: see ErrNotInfluxDB.
//
// The package retries nothing and buffers nothing: package ingest does, and must know.
package influx
