// Package tally turns the readings of one device into its device-days.
//
// It is pure: it reads no clock and no store, and the same readings give the same
// bytes, in whatever order and however often they are given. The nature of a
// quantity says how its day is tallied:
//
//   - register: the rise, split over hours by linear interpolation. Every fall is
//     classified: dip, wrap, reset, or unexplained. The days of a month sum to the
//     register's own rise, exactly.
//   - mass: collected is found as falls greater than the scale's noise; deposited
//     follows from deposited − collected = last − first. Noise is never added up.
//   - gauge: minimum, maximum, time-weighted mean, time at or above the limit.
//   - state: time in each state.
//
// Sums are kept in millionths of the unit ([greentally.Amount]), so they are exact.
package tally
