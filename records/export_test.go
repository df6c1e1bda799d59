package records

import "github.com/nats-io/nats.go/jetstream"

// JetStreamOf returns what is under the log.
func JetStreamOf(l *Log) jetstream.JetStream { return l.js }
