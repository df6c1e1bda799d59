package devices

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr/vm"
	"github.com/go-json-experiment/json/jsontext"

	"greentally"
)

// Limits bound what is taken as a message. A zero field has its default.
type Limits struct {
	MaxPayload int           // bytes; default 64 KiB
	MaxFuture  time.Duration // how much later than received a reading can be; default 10 minutes
	MaxPast    time.Duration // how much earlier; default 400 days
}

func (l Limits) withDefaults() Limits {
	if l.MaxPayload == 0 {
		l.MaxPayload = 64 << 10
	}
	if l.MaxFuture == 0 {
		l.MaxFuture = 10 * time.Minute
	}
	if l.MaxPast == 0 {
		l.MaxPast = 400 * 24 * time.Hour
	}
	return l
}

// maxReadings is how many readings one message can have: an array of empty objects has one for
// three bytes where a profile's expressions need no field.
const maxReadings = 50_000

// maxDetails is how many rejections of one message are told one by one.
const maxDetails = 10

// overload is how much of its allowed load a scale can carry before the reading is
// suspicious.
const overload = 1.2

// Decode says what a message means. It may return readings and an error both: the
// error joins a [*greentally.Rejection] for each part that could not be used (of
// many, the first ten and their number). The times of all readings are within the
// limits and their values finite and within what the quantities can be. A message of more
// than 50,000 readings is a bad payload as a whole.
func (r *Registry) Decode(m greentally.Message) ([]greentally.Reading, error) {
	route, rejection := r.route(m.Topic)
	if rejection != nil {
		return nil, rejection
	}
	if m.Cut > 0 {
		return nil, greentally.Reject(greentally.TooLarge, "payload of %d bytes, of which %d were kept", len(m.Payload)+m.Cut, len(m.Payload))
	}
	if len(m.Payload) > r.limits.MaxPayload {
		return nil, greentally.Reject(greentally.TooLarge, "payload of %d bytes; the limit is %d", len(m.Payload), r.limits.MaxPayload)
	}
	s := r.scratch.Get().(*scratch)
	d := decoding{registry: r, route: route, received: m.Received.UTC(), element: -1, scratch: s, values: s.values[:0]}
	switch {
	case route.form.Format == Text:
		d.text(m.Payload)
	case route.form.Format == SenML:
		d.json(m.Payload, d.senmlPack)
	case route.form.mapping != nil:
		d.json(m.Payload, func(j *jsontext.Decoder) error { return d.elements(j, d.mapped) })
	default:
		d.json(m.Payload, func(j *jsontext.Decoder) error { return d.elements(j, d.native) })
	}
	s.values = d.values
	r.scratch.Put(s)
	if d.tooMany {
		d.fail("it has more than %d readings; send them in several messages", maxReadings)
	}
	return d.readings, d.err()
}

// scratch is memory that decoding uses again.
type scratch struct {
	buffer  bytes.Buffer
	json    *jsontext.Decoder
	machine vm.VM
	values  []greentally.Value
	name    []byte
	present []bool
}

func newScratch() any { return &scratch{json: jsontext.NewDecoder(bytes.NewBuffer(nil))} }

// decoding is the decoding of one message.
type decoding struct {
	registry *Registry
	route    *route
	received time.Time
	scratch  *scratch

	readings   []greentally.Reading
	tooMany    bool // there are more
	rejections []*greentally.Rejection
	more       int // rejections beyond maxDetails

	// Of the element of the payload that is being decoded:
	element    int // position in an array; −1 if the payload is one object
	values     []greentally.Value
	suspicious bool
	wrong      bool // it was rejected
}

func (d *decoding) reject(reason greentally.Reason, format string, args ...any) {
	d.wrong = true
	if len(d.rejections) == maxDetails {
		d.more++
		return
	}
	detail := fmt.Sprintf(format, args...)
	if d.element >= 0 {
		detail = fmt.Sprintf("element %d: %s", d.element, detail)
	}
	d.rejections = append(d.rejections, &greentally.Rejection{Reason: reason, Detail: detail})
}

func (d *decoding) err() error {
	if d.more > 0 {
		last := d.rejections[len(d.rejections)-1]
		d.rejections = append(d.rejections, greentally.Reject(last.Reason, "and %d more", d.more))
	}
	switch len(d.rejections) {
	case 0:
		return nil
	case 1:
		return d.rejections[0]
	}
	all := make([]error, len(d.rejections))
	for i, r := range d.rejections {
		all[i] = r
	}
	return errors.Join(all...)
}

// fail makes the whole message a bad payload: no reading of it is used.
func (d *decoding) fail(format string, args ...any) {
	d.readings, d.rejections, d.more, d.element = nil, nil, 0, -1
	d.reject(greentally.BadPayload, format, args...)
}

// number judges a number and keeps it as the value of q. An impossible one is
// rejected, and kept out.
func (d *decoding) number(q *quantity, v float64) {
	if !(v >= q.min && v <= q.max) {
		switch {
		case v < q.min && v >= q.min-q.Tolerance:
			v = q.min
		case v > q.max && v <= q.max+q.Tolerance:
			v = q.max
		case math.IsNaN(v) || math.IsInf(v, 0):
			d.impossible("%s: %v is not a finite number", q.Name, v)
			return
		default:
			d.impossible("%s", outside(q.Quantity, v))
			return
		}
	}
	if _, ok := greentally.AmountOf(v); !ok {
		d.impossible("%s: %v is not a number that can be tallied", q.Name, v)
		return
	}
	if load := d.route.device.MaxLoadKg; q.Nature == greentally.Mass && load > 0 && v > overload*load {
		d.suspicious = true
	}
	d.values = append(d.values, greentally.Value{Quantity: q.Name, Number: v})
}

// word judges a state and keeps it as the value of q.
func (d *decoding) word(q *quantity, word string, known bool) {
	if !known {
		d.impossible("%s: %s is none of %s", q.Name, shorten(word), strings.Join(q.States, ", "))
		return
	}
	d.values = append(d.values, greentally.Value{Quantity: q.Name, State: word})
}

// truth keeps true or false as the value of q, a state of two words.
func (d *decoding) truth(q *quantity, v bool) {
	if len(q.States) != 2 {
		d.reject(greentally.BadPayload, "%s: want one of %s, not %v", q.Name, strings.Join(q.States, ", "), v)
		return
	}
	i := 1
	if v {
		i = 0
	}
	d.values = append(d.values, greentally.Value{Quantity: q.Name, State: q.States[i]})
}

// impossible rejects one value and lets the rest of its element stand.
func (d *decoding) impossible(format string, args ...any) {
	wrong := d.wrong
	d.reject(greentally.ImpossibleValue, format, args...)
	d.wrong = wrong
}

// inTime rejects a time outside of the limits.
func (d *decoding) inTime(t time.Time) bool {
	limits := d.registry.limits
	switch ahead := t.Sub(d.received); {
	case ahead > limits.MaxFuture:
		d.reject(greentally.AbsurdTime, "%s is more than %v after it was received, %s", stamp(t), limits.MaxFuture, stamp(d.received))
	case ahead < -limits.MaxPast:
		d.reject(greentally.AbsurdTime, "%s is more than %v before it was received, %s", stamp(t), limits.MaxPast, stamp(d.received))
	default:
		return true
	}
	return false
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// unixTime returns the instant v units after 1970, to the microsecond. One that no
// calendar reaches is rejected.
func (d *decoding) unixTime(v float64, unit time.Duration) (time.Time, bool) {
	seconds := v / float64(time.Second/unit)
	if !(math.Abs(seconds) < 1e11) {
		d.reject(greentally.AbsurdTime, "time: %v is no time", v)
		return time.Time{}, false
	}
	whole := math.Floor(seconds)
	if unit == time.Millisecond && v == math.Trunc(v) {
		return time.UnixMilli(int64(v)).UTC(), true
	}
	return time.Unix(int64(whole), int64(math.Round((seconds-whole)*1e6))*1000).UTC(), true
}

func (d *decoding) rfc3339(text string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		d.reject(greentally.BadPayload, "time: %s is not of the form 2026-10-01T08:00:00Z", shorten(text))
		return time.Time{}, false
	}
	return t.UTC(), true
}

// emit makes a reading of the values.
func (d *decoding) emit(t time.Time, values []greentally.Value, suspicious bool) {
	if len(d.readings) == maxReadings {
		d.tooMany = true
		return
	}
	quality := greentally.Accepted
	if suspicious {
		quality = greentally.Suspicious
	}
	kept := slices.Clone(values)
	greentally.SortValues(kept)
	device := d.route.device
	d.readings = append(d.readings, greentally.Reading{
		DeviceKey: device.Key(), Kind: device.Kind, Site: device.Site, Stream: device.Stream,
		Time: t, Quality: quality, Values: kept,
	})
}

// json runs read on the payload as JSON. Whatever is not JSON as a whole gives
// nothing: duplicate names, invalid UTF-8 and what follows the value included.
func (d *decoding) json(payload []byte, read func(*jsontext.Decoder) error) {
	d.scratch.buffer = *bytes.NewBuffer(payload)
	d.scratch.json.Reset(&d.scratch.buffer)
	err := read(d.scratch.json)
	if err == nil {
		if _, end := d.scratch.json.ReadToken(); end == nil {
			d.fail("something follows the JSON value")
		} else if !errors.Is(end, io.EOF) {
			err = end
		}
	}
	if err != nil {
		d.fail("not JSON: %s", strings.TrimPrefix(err.Error(), "jsontext: "))
	}
	d.scratch.buffer = bytes.Buffer{}
}

// elements reads one object, or an array of objects, and makes a reading of each.
// Read decodes an object; it returns the object's time, if it has one.
func (d *decoding) elements(j *jsontext.Decoder, read func(*jsontext.Decoder) (at time.Time, timed bool, err error)) error {
	switch j.PeekKind() {
	case '{':
		_, err := d.one(j, read)
		return err
	case '[':
	default:
		return d.notAnObject(j)
	}
	if _, err := j.ReadToken(); err != nil {
		return err
	}
	untimed := false // the first element has no time, and became a reading
	for d.element = 0; j.PeekKind() != ']'; d.element++ {
		if j.PeekKind() != '{' {
			if err := d.notAnObject(j); err != nil {
				return err
			}
			continue
		}
		before := len(d.readings)
		timed, err := d.one(j, read)
		if err != nil {
			return err
		}
		if !timed && len(d.readings) > before {
			if d.element == 0 {
				untimed = true
			} else {
				d.readings = d.readings[:before]
				d.needsTime()
			}
		}
	}
	count := d.element
	d.element = -1
	if count == 0 {
		d.reject(greentally.BadPayload, "the array is empty")
	}
	if untimed && count > 1 {
		d.element = 0
		d.needsTime()
		d.readings = d.readings[1:]
	}
	_, err := j.ReadToken()
	return err
}

func (d *decoding) needsTime() {
	d.reject(greentally.BadPayload, "no time; in an array of more than one object every one needs its time")
}

func (d *decoding) notAnObject(j *jsontext.Decoder) error {
	kind := j.PeekKind()
	if err := j.SkipValue(); err != nil {
		return err
	}
	d.reject(greentally.BadPayload, "want an object, not %s", kindName(kind))
	return nil
}

// one reads one object and makes a reading of it.
func (d *decoding) one(j *jsontext.Decoder, read func(*jsontext.Decoder) (time.Time, bool, error)) (timed bool, err error) {
	d.values, d.suspicious, d.wrong = d.values[:0], false, false
	rejected := len(d.rejections) + d.more
	at, timed, err := read(j)
	if err != nil || d.wrong {
		return timed, err
	}
	if !timed {
		at = d.received
	}
	switch {
	case !d.inTime(at):
	case len(d.values) > 0:
		d.emit(at, d.values, d.suspicious)
	case len(d.rejections)+d.more == rejected:
		d.reject(greentally.BadPayload, "it has no value of any quantity; kind %s has %s", d.route.kind.Name, d.route.kind.names)
	}
	return timed, nil
}

// object reads an object and calls member for the value of each name. The name is
// valid until member peeks or reads; member reads exactly one value.
func (d *decoding) object(j *jsontext.Decoder, member func(name []byte) error) error {
	if _, err := j.ReadToken(); err != nil {
		return err
	}
	for j.PeekKind() == '"' {
		raw, err := j.ReadValue()
		if err != nil {
			return err
		}
		name, err := d.unquote(raw)
		if err != nil {
			return err
		}
		if err := member(name); err != nil {
			return err
		}
	}
	_, err := j.ReadToken()
	return err
}

// unquote returns what is in a JSON string. It is valid as long as raw is, and until
// the next call.
func (d *decoding) unquote(raw jsontext.Value) ([]byte, error) {
	if bytes.IndexByte(raw, '\\') < 0 && len(raw) >= 2 {
		return raw[1 : len(raw)-1], nil
	}
	var err error
	d.scratch.name, err = jsontext.AppendUnquote(d.scratch.name[:0], []byte(raw))
	return d.scratch.name, err
}

// readNumber reads a number; one too large for a float64 is infinite.
func readNumber(j *jsontext.Decoder) (float64, error) {
	token, err := j.ReadToken()
	if err != nil {
		return 0, err
	}
	v, _ := token.Float() // the only error of a JSON number is its range, and then v is infinite
	return v, nil
}

func kindName(k jsontext.Kind) string {
	switch k {
	case '"':
		return "a text"
	case '0':
		return "a number"
	case 't', 'f':
		return "true or false"
	case 'n':
		return "null"
	case '{':
		return "an object"
	}
	return "an array"
}

// shorten quotes what came from outside, and bounds its length.
func shorten(s string) string {
	const most = 64
	if len(s) > most {
		return fmt.Sprintf("%.*q…", most, s)
	}
	return fmt.Sprintf("%q", s)
}

// native reads an object of the native profile: time, and quantities by name.
func (d *decoding) native(j *jsontext.Decoder) (at time.Time, timed bool, err error) {
	err = d.object(j, func(name []byte) error {
		q := d.route.kind.byName[string(name)]
		if q == nil && string(name) == "time" {
			at, timed, err = d.nativeTime(j)
			return err
		}
		if q == nil {
			d.reject(greentally.BadPayload, "unknown key %s; kind %s has %s, and time", shorten(string(name)), d.route.kind.Name, d.route.kind.names)
			return j.SkipValue()
		}
		switch kind := j.PeekKind(); {
		case kind == 'n':
			return j.SkipValue()
		case q.Nature != greentally.State && kind == '0':
			v, err := readNumber(j)
			if err == nil {
				d.number(q, v)
			}
			return err
		case q.Nature == greentally.State && kind == '"':
			raw, err := j.ReadValue()
			if err != nil {
				return err
			}
			text, err := d.unquote(raw)
			if err != nil {
				return err
			}
			d.text2word(q, text)
			return nil
		case q.Nature == greentally.State && (kind == 't' || kind == 'f'):
			d.truth(q, kind == 't')
			return j.SkipValue()
		default:
			err := j.SkipValue()
			if err == nil {
				d.reject(greentally.BadPayload, "%s: want %s, not %s", q.Name, wanted(q), kindName(kind))
			}
			return err
		}
	})
	return at, timed, err
}

func (d *decoding) text2word(q *quantity, text []byte) {
	if word, known := q.words[string(text)]; known {
		d.word(q, word, true)
	} else {
		d.word(q, string(text), false)
	}
}

func wanted(q *quantity) string {
	if q.Nature == greentally.State {
		return "one of " + strings.Join(q.States, ", ")
	}
	return "a number"
}

// nativeTime reads a time: RFC 3339, or milliseconds since 1970. ok is false if
// there is none.
func (d *decoding) nativeTime(j *jsontext.Decoder) (at time.Time, ok bool, err error) {
	switch kind := j.PeekKind(); kind {
	case 'n':
		return at, false, j.SkipValue()
	case '0':
		v, err := readNumber(j)
		if err != nil {
			return at, false, err
		}
		at, ok = d.unixTime(v, time.Millisecond)
		if ok && v > 1e9 && v < 1e10 && d.received.Sub(at) > d.registry.limits.MaxPast {
			d.reject(greentally.AbsurdTime, "time: %v reads as %s; it is in milliseconds, and these look like seconds", v, stamp(at))
			return at, false, nil
		}
		return at, ok, nil
	case '"':
		raw, err := j.ReadValue()
		if err != nil {
			return at, false, err
		}
		text, err := d.unquote(raw)
		if err != nil {
			return at, false, err
		}
		at, ok = d.rfc3339(string(text))
		return at, ok, nil
	default:
		err := j.SkipValue()
		if err == nil {
			d.reject(greentally.BadPayload, "time: want RFC 3339 or milliseconds since 1970, not %s", kindName(kind))
		}
		return at, false, err
	}
}
