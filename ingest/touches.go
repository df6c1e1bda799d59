package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/nats-io/nats.go/jetstream"

	"greentally"
)

// Touch says that readings of a device, within a stretch of time, were stored, so
// that its device-days there must be tallied again. With no device it says that the
// community's indicators of the months there must be computed again.
type Touch struct {
	greentally.DeviceKey
	From, To time.Time // of the earliest and the latest reading
}

// Touches is a durable queue of touches.
type Touches struct {
	stream *stream
}

const (
	touchStream  = "GREENTALLY_TOUCHES"
	touchSubject = "greentally.touched"
)

// OpenTouches opens the queue, and makes it if it is not there.
//
// Of touches that were lost only Lost is told; their device-days are right again once the readings are
// written again.
func OpenTouches(ctx context.Context, streams Streams, metrics *Metrics, log *slog.Logger) (*Touches, error) {
	stream, err := openStream(ctx, streams, jetstream.StreamConfig{
		Name:        touchStream,
		Description: "Stretches of time of devices that are to be tallied again",
		Subjects:    []string{touchSubject},
		Storage:     jetstream.FileStorage,
	}, 256, metrics, log) // entries of up to some dozens of kilobytes
	if err != nil {
		return nil, err
	}
	return &Touches{stream}, nil
}

// touchesInEntry is how many touches an entry holds at most: a few dozen kilobytes.
const touchesInEntry = 1000

// Put adds touches and returns when they are on disk.
func (t *Touches) Put(ctx context.Context, touches []Touch) error {
	for some := range slices.Chunk(touches, touchesInEntry) {
		if err := t.put(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

func (t *Touches) put(ctx context.Context, touches []Touch) error {
	wire := make([]wireTouch, len(touches))
	for i, touch := range touches {
		wire[i] = wireTouch{Community: touch.Community, Device: touch.Device, From: touch.From.UnixNano(), To: touch.To.UnixNano()}
	}
	data, err := cbor.Marshal(wire)
	if err != nil {
		return fmt.Errorf("BUG: touches: %w", err)
	}
	if err := t.stream.append(ctx, data); err != nil {
		return fmt.Errorf("queue device-days to be tallied: %w", err)
	}
	return nil
}

// followTouches is how many touches a follower gets at once, at most (give or take an
// entry). Many, because those of one device and time come together to one tally.
const followTouches = 200_000

// Follow hands touches to handle until ctx is done or handle fails. What was handled
// is gone from the queue; what was not comes again.
func (t *Touches) Follow(ctx context.Context, name string, handle func(context.Context, []Touch) error) error {
	parse := func(data []byte) ([]Touch, int) {
		var wire []wireTouch
		if err := cbor.Unmarshal(data, &wire); err != nil {
			t.stream.log.Error("entry of touched device-days is damaged; run a tally of the last days", "error", err)
			return nil, 1
		}
		touches := make([]Touch, len(wire))
		for i, w := range wire {
			touches[i] = Touch{greentally.DeviceKey{Community: w.Community, Device: w.Device},
				time.Unix(0, w.From).UTC(), time.Unix(0, w.To).UTC()}
		}
		return touches, len(touches)
	}
	return follow(ctx, t.stream, follower[[]Touch]{name: name, parse: parse, most: followTouches, handle: func(ctx context.Context, batch []entry[[]Touch]) error {
		var touches []Touch
		for _, e := range batch {
			touches = append(touches, e.value...)
		}
		if err := handle(ctx, touches); err != nil {
			return err
		}
		// One follower at a time: all before this entry was handled, too.
		if _, err := t.stream.tidy(ctx, 0, 0); err != nil && ctx.Err() == nil {
			t.stream.log.Warn("queue of touched device-days was not tidied; it is tried again", "error", err)
		}
		return nil
	}})
}

// Lags returns how far each follower in this process is behind.
func (t *Touches) Lags(ctx context.Context) (map[string]Lag, error) { return t.stream.lags(ctx) }

// wireTouch is the form of a touch in the queue: a CBOR array.
type wireTouch struct {
	_                 struct{} `cbor:",toarray"`
	Community, Device string
	From, To          int64 // ns since 1970
}
