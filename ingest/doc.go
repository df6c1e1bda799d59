// Package ingest takes messages from MQTT, keeps them in the journal, and hands
// what they say to the store.
//
// Messages come from a source: [Subscriber] takes them from the user's own broker,
// [Broker] is a broker in the process. Both submit them to the [Journal], which
// syncs them to disk and only then lets the source acknowledge them. Followers read
// the journal, each from a place of its own that outlives the process: the [Writer]
// decodes messages and writes readings to the store, the [Watch] keeps the latest
// reading of each device. What the writer cannot use goes to [DeadLetters], and the
// device-days that its readings touch go to the queue of [Touches].
//
// The package must not know what a payload means (it is given a function for that),
// nor how anything is computed from readings. Nothing in it drops a message
// without a trace: one is acknowledged only when it is in the journal, and a place
// moves on only when all before it was stored or is a dead letter.
package ingest
