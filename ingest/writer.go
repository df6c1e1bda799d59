package ingest

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"greentally"
	"greentally/internal/retry"
)

// Decode says what a message means. It may return readings and an error both: the
// error joins a [*greentally.Rejection] for each part that could not be used.
type Decode func(greentally.Message) ([]greentally.Reading, error)

// Writer follows the journal and writes what the messages say to the store. It is
// the only follower that reports what it cannot use.
//
// The order of its work makes it safe to be killed anywhere: readings, then touches,
// then dead letters, then its place; each can be done twice.
type Writer struct {
	Decode Decode
	Store  ReadingWriter
	// Journal tells this journal from others, for the origins of dead letters: sequences begin again in
	// one that was made anew. May be nil.
	Journal func() string
	// Mark has the store remember up to which entry it has the journal; may be nil. It is called now
	// and then, after what is before that entry was written.
	Mark        func(ctx context.Context, sequence uint64) error
	DeadLetters interface {
		Put(context.Context, []greentally.DeadLetter) error
	}
	Touches interface {
		Put(context.Context, []Touch) error
	}
	// Unknown is told of messages from devices that are not in the registry.
	Unknown func(context.Context, greentally.Message) error

	// Trouble is told of an error that keeps the store from being written, again while it lasts, and
	// nil when that is over; may be nil.
	Trouble func(error)

	Metrics *Metrics
	Log     *slog.Logger

	last   uint64    // the entry that was written last
	marked time.Time // when the store was marked last
}

// ReadingWriter is the part of the store that the writer needs.
type ReadingWriter interface {
	WriteReadings(context.Context, []greentally.Reading) error
}

// writeReadings is how many readings are written to the store at once, at most.
const writeReadings = 10_000

// Write stores what the entries say. It tries until it works or ctx is done.
func (w *Writer) Write(ctx context.Context, entries []Entry) error {
	var b batch
	for _, entry := range entries {
		// What comes again because the store had lost it was reported then; its letters may have been
		// replayed or deleted since.
		report := !entry.Again
		place := w.place(entry)
		if entry.Damaged != nil && report {
			b.letters = append(b.letters, greentally.DeadLetter{
				Origin: place + ".0", Payload: entry.Damaged,
				Reason: greentally.BadPayload, Detail: "the journal entry itself is damaged",
			})
		}
		for i, message := range entry.Messages {
			origin := place + "." + strconv.Itoa(i)
			readings, err := w.Decode(message)
			if err != nil && report {
				letter := deadLetter(message, origin, err)
				b.letters = append(b.letters, letter)
				if letter.Reason == greentally.UnknownDevice && w.Unknown != nil {
					if err := retry.Do(ctx, w.Log, "note an unknown device", func() error { return w.Unknown(ctx, message) }); err != nil {
						return err
					}
				}
			}
			for range readings {
				b.sources = append(b.sources, source{message, origin})
			}
			b.readings = append(b.readings, readings...)
			if len(b.readings) >= writeReadings {
				if err := w.flush(ctx, &b); err != nil {
					return err
				}
			}
		}
	}
	if err := w.flush(ctx, &b); err != nil {
		return err
	}
	return w.mark(ctx, entries[len(entries)-1].Sequence)
}

// place names an entry, for the origins of letters of its messages.
func (w *Writer) place(entry Entry) string {
	place := strconv.FormatUint(entry.Sequence, 10)
	if w.Journal != nil {
		place += "-" + w.Journal()
	}
	return place
}

// markEvery is how often the store is marked. What it was given since then it is given again if it
// loses its end.
const markEvery = 10 * time.Second

func (w *Writer) mark(ctx context.Context, sequence uint64) error {
	w.last = sequence
	if w.Mark == nil || time.Since(w.marked) < markEvery {
		return nil
	}
	err := retry.Do(ctx, w.Log, "mark in the store up to where it has the journal", func() error { return w.Mark(ctx, sequence) })
	w.marked = time.Now()
	return err
}

// Close marks the store, if that can be done at once. Nothing may be written any more.
func (w *Writer) Close(ctx context.Context) error {
	if w.Mark == nil || w.last == 0 {
		return nil
	}
	return w.Mark(ctx, w.last)
}

// tell tells of an error by which the store was not written, once it is one that lasts.
func (w *Writer) tell(err error, attempt int) {
	if w.Trouble != nil && (err == nil || attempt >= 3 || errors.Is(err, greentally.ErrDamaged)) {
		w.Trouble(err)
	}
}

// batch is what is written at once.
type batch struct {
	readings []greentally.Reading
	sources  []source // of readings, by index
	letters  []greentally.DeadLetter
}

type source struct {
	message greentally.Message
	origin  string
}

func (w *Writer) flush(ctx context.Context, b *batch) error {
	if len(b.readings) > 0 {
		var refused *greentally.RefusedError
		attempt := 0
		err := retry.Do(ctx, w.Log, "write readings to the store", func() error {
			start := time.Now()
			attempt++
			err := w.Store.WriteReadings(ctx, b.readings)
			if err == nil || errors.As(err, &refused) {
				w.Metrics.storeSeconds.Observe(time.Since(start).Seconds())
				w.tell(nil, attempt)
				return nil
			}
			w.Metrics.storeErrors.Inc()
			w.tell(err, attempt)
			return err
		})
		if err != nil {
			return err
		}
		stored := len(b.readings)
		var lost []int
		if refused != nil {
			for _, r := range refused.Refused {
				s := b.sources[r.Index]
				b.letters = append(b.letters, deadLetter(s.message, s.origin, greentally.Reject(greentally.RefusedByStore, "%s", r.Reason)))
				lost = append(lost, r.Index)
			}
			stored -= len(lost)
		}
		w.Metrics.stored.Add(float64(stored))
		if err := retry.Do(ctx, w.Log, "queue device-days to be tallied", func() error {
			return w.Touches.Put(ctx, touched(b.readings))
		}); err != nil {
			return err
		}
	}
	if len(b.letters) > 0 {
		if err := retry.Do(ctx, w.Log, "keep dead letters", func() error { return w.DeadLetters.Put(ctx, b.letters) }); err != nil {
			return err
		}
		for _, letter := range b.letters {
			w.Metrics.deadLettered.WithLabelValues(string(letter.Reason)).Inc()
		}
	}
	*b = batch{readings: b.readings[:0], sources: b.sources[:0], letters: b.letters[:0]}
	return nil
}

// touched returns a touch of each device, from its earliest reading to its
// latest, for each day (of UTC) on which it has some.
func touched(readings []greentally.Reading) []Touch {
	type day struct {
		key greentally.DeviceKey
		day int64
	}
	days := map[day]Touch{}
	for _, r := range readings {
		d := day{r.DeviceKey, r.Time.Unix() / 86_400}
		t, ok := days[d]
		if !ok {
			t = Touch{r.DeviceKey, r.Time, r.Time}
		}
		if r.Time.Before(t.From) {
			t.From = r.Time
		}
		if r.Time.After(t.To) {
			t.To = r.Time
		}
		days[d] = t
	}
	touches := make([]Touch, 0, len(days))
	for _, t := range days {
		touches = append(touches, t)
	}
	slices.SortFunc(touches, func(a, b Touch) int { return a.From.Compare(b.From) })
	return touches
}

// deadLetter makes the letter of a message from the error that it met.
func deadLetter(m greentally.Message, origin string, err error) greentally.DeadLetter {
	letter := greentally.DeadLetter{Origin: origin, Topic: m.Topic, Payload: m.Payload, Received: m.Received, Cut: m.Cut,
		Reason: greentally.BadPayload, Detail: err.Error()}
	if rejection, ok := errors.AsType[*greentally.Rejection](err); ok {
		letter.Reason = rejection.Reason
		if err.Error() == rejection.Error() { // it is the only one; say the reason once
			letter.Detail = rejection.Detail
		}
	}
	return letter
}
