// Package report writes what a community hands in for a month: the export as XLSX, PDF, CSV
// and JSON.
//
// All of it comes in as one [Export]; the package reads no store and no clock. It computes no rate: what it writes was computed by
// rules/indicators and rules/schemes, and the formulas of the workbook are translated from
// those of the indicators, so that a spreadsheet comes to the same values by itself.
package report
