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

// Title returns what the reason is called; its code if it is none of these.
func (r Reason) Title() Text {
	switch r {
	case UnknownTopic:
		return Text{"主题没有对应的型号规约", "no profile listens to the topic"}
	case UnknownDevice:
		return Text{"设备未登记", "unknown device"}
	case BadPayload:
		return Text{"内容不符合型号规约", "not what the profile describes"}
	case TooLarge:
		return Text{"消息过大", "too large"}
	case AbsurdTime:
		return Text{"时间不合理", "absurd time"}
	case ImpossibleValue:
		return Text{"数值不可能", "impossible value"}
	case RefusedByStore:
		return Text{"数据库拒收", "refused by the store"}
	}
	return Text{string(r), string(r)}
}

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

// Message is the message as it was received.
func (l DeadLetter) Message() Message {
	return Message{Topic: l.Topic, Payload: l.Payload, Received: l.Received, Cut: l.Cut}
}
