// Package bench measures the whole way from stored readings to an assessment at the size
// that a large site has: a month of 2,000 devices that report every ten minutes. It holds
// nothing but benchmarks.
//
// The readings come from the simulator, are decoded by the registry and written to real
// stores, in the order in which they would arrive; the code that is timed is the program's
// own: rules.Worker tallies and computes indicators, rules/schemes assesses. Another
// benchmark starts the program itself and times alerts, from a reading that is published to
// a mail that is accepted. Where the time goes is printed by the benchmarks, and what was
// measured is in docs/performance.md.
//
// It asserts no time, because machines differ, and no other package may import it.
package bench
