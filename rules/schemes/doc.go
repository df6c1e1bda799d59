// Package schemes holds a community's month against certification schemes.
//
// A scheme is one YAML file: the document that it comes from, its items with their
// points and how each is scored, its levels, and tests. An item rests on indicators,
// which package rules/indicators computes, or on what a person attested with a record.
// Out comes one assessment for each scheme, for reports and pages to show.
//
// What is not known is never guessed: an item without evidence has an interval of
// points, the total is an interval, and there is a level or a verdict only if both ends
// of it give the same. A condition that refers to something missing is not evaluated,
// so that a negation of it cannot pass.
//
// The package is pure: indicators and records come in as arguments. It reads no store
// and no clock, computes no indicator, and knows no device, no reading and no report.
package schemes
