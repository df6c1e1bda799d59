package records

import "github.com/nats-io/nats.go/jetstream"

// JetStreamOf returns what is under the log.
func JetStreamOf(l *Log) jetstream.JetStream { return l.js }

// ColumnNames are what a table calls the fields of every record that it can give, in both languages.
func ColumnNames() (all []string) {
	for _, c := range columns() {
		all = append(all, "`"+c.name+"`")
		if c.set != nil {
			all = append(all, c.zh)
		}
	}
	return all
}
