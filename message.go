package greentally

import (
	"fmt"
	"time"
)

// Message is one MQTT publication as it arrived, before anything is made of it.
type Message struct {
	Topic   string
	Payload []byte

	// Received is when the message came in, UTC. The journal stamps it, strictly
	// increasing, so that messages without a time of their own keep apart. It is
	// part of the message from then on: a replay does not change it.
	Received time.Time

	// Cut is how many bytes at the end of the payload were not kept, because the
	// payload was larger than the journal takes. It is 0 for all usual messages.
	Cut int
}

// Reason says why a message, or a part of it, could not be used.
type Reason string

// The reasons for a dead letter.
const (
	UnknownTopic    Reason = "unknown_topic"    // no profile listens to this topic
	UnknownDevice   Reason = "unknown_device"   // the device is not in the registry
	BadPayload      Reason = "bad_payload"      // not what the profile describes
	TooLarge        Reason = "too_large"        // over the limit on payload size
	AbsurdTime      Reason = "absurd_time"      // too far in the future or in the past
	ImpossibleValue Reason = "impossible_value" // NaN, or outside what the quantity can be
	RefusedByStore  Reason = "refused_by_store" // the store will never take it
)

// Rejection is the error of a message, or of a part of it, that cannot be used.
// It is final until its cause is mended; trying again does not help.
type Rejection struct {
	Reason Reason
	Detail string
}

// Reject makes a [Rejection].
func Reject(reason Reason, format string, args ...any) *Rejection {
	return &Rejection{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

func (r *Rejection) Error() string { return string(r.Reason) + ": " + r.Detail }

// DeadLetter is a message that could not be used, or not in all its parts.
type DeadLetter struct {
	ID       uint64    `json:"id"`
	Topic    string    `json:"topic"`
	Payload  []byte    `json:"payload"`
	Received time.Time `json:"received"`
	Cut      int       `json:"cut,omitempty"` // bytes of the payload that were not kept
	Reason   Reason    `json:"reason"`        // the first, if there are several
	Detail   string    `json:"detail"`

	// Origin names the place in the journal; writing a letter with the same origin
	// again replaces the first.
	Origin string `json:"-"`
}
