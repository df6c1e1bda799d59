// Package greentally holds the nouns of the project: message, device, quantity,
// reading, device-day, record, indicator and the contract of the store.
//
// It imports no other package of the module and does no I/O: it reads no clock,
// no file and no network. Every other package speaks these words; data enters as
// a [Message], becomes [Reading] values, is tallied into [DeviceDay] values, and
// leaves as an [IndicatorValue].
package greentally
