// Package devices knows what devices there are and what their messages mean.
//
// A kind (kinds/*.yaml) says which quantities a device has; a profile
// (catalog/*.yaml) says how one hardware model speaks: on which topics, in which
// format, and which field is which quantity; a community's file says which devices
// there are. Users add folders of their own kinds and profiles. Every kind and
// profile carries its own tests, which [Check] runs through [Registry.Decode].
//
// [Load] reads all of them and reports everything that is wrong, each with file and
// line. The [Registry] that it returns never changes; [Live] holds the one in force
// and replaces it when files change.
//
// Messages come from the journal and readings go to the store, but the package knows
// neither, nor any clock: what a message means depends on nothing but the message
// and the registry.
//
// # What is rejected
//
// The structure of a payload is judged as a whole: one that is not JSON, or not what
// the profile describes, gives no reading. In an array each element is judged by
// itself. An unknown key makes its element a [greentally.BadPayload]: nothing is
// dropped in silence, and a dead letter can be replayed when the kind has learnt the
// quantity.
//
// Values are judged one by one. A value outside of what its quantity can be is a
// [greentally.ImpossibleValue] and left out; the reading keeps its others. A value
// that is outside by no more than the quantity's tolerance is taken as the bound, and
// stays accepted: an overfull bin whose sensor says 1.04 is full, and grading the
// reading suspicious would leave it out of the overflow share. The payload as it came
// stays in the journal. A mass above 1.2 times what the device may carry makes the
// reading [greentally.Suspicious]. A state is one of its quantity's words, in the
// quantity's own spelling (lid_open) or in that of Smart Data Models (lidOpen);
// true and false stand for the first and the second of two words.
//
// A time later than [Limits].MaxFuture after the message was received, or earlier
// than MaxPast before, is a [greentally.AbsurdTime].
package devices
