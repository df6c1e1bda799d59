// Package indicators computes rates from device-days and records.
//
// An indicator is one YAML file: its inputs, a numerator and a denominator over them,
// where the formula comes from, a target, and tests. Expressions are checked against
// what there is when the file is loaded. A file without tests is refused.
//
// The package is pure: device-days come in as arguments and values go out; it reads
// no store and no clock. What is not known is a missing value, never 0 and never NaN:
// it lowers the completeness, and below the floor there is no verdict.
package indicators
