package devices

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"greentally"
)

// relativeBefore is the time, in seconds, below which a SenML time is relative to
// now (RFC 8428, section 4.5.3). Now is when the message was received.
const relativeBefore = 1 << 28

// senmlVersion is the version of SenML that RFC 8428 defines.
const senmlVersion = 10

// senmlRecord is a record of RFC 8428, section 4. The base fields stay in force for
// the records that follow.
type senmlRecord struct {
	baseName, baseUnit         string
	baseTime, baseValue, baseS float64
	baseVersion                float64

	name, unit            string
	time                  float64
	value, sum            float64
	text, data            string
	truth                 bool
	hasName, hasUnit      bool
	hasValue, hasSum      bool
	hasText, hasTruth     bool
	hasData, hasBaseValue bool

	refused string // why the whole pack cannot be used
}

// next returns the record that the following one starts from.
func (r senmlRecord) next() senmlRecord {
	return senmlRecord{
		baseName: r.baseName, baseUnit: r.baseUnit, baseTime: r.baseTime,
		baseValue: r.baseValue, baseS: r.baseS, baseVersion: r.baseVersion, hasBaseValue: r.hasBaseValue,
	}
}

// senmlValue is a value of a pack with its time.
type senmlValue struct {
	at         time.Time
	value      greentally.Value
	suspicious bool
	element    int
}

// senmlPack reads a pack and makes a reading of the records of each time.
func (d *decoding) senmlPack(j *jsontext.Decoder) error {
	if j.PeekKind() != '[' {
		kind := j.PeekKind()
		err := j.SkipValue()
		if err == nil {
			d.reject(greentally.BadPayload, "want an array of SenML records, not %s", kindName(kind))
		}
		return err
	}
	if _, err := j.ReadToken(); err != nil {
		return err
	}
	var (
		all    []senmlValue
		record senmlRecord
		device string // the part of the names before the quantity
		named  bool
	)
	for d.element = 0; j.PeekKind() != ']'; d.element++ {
		if j.PeekKind() != '{' {
			if err := d.notAnObject(j); err != nil {
				return err
			}
			continue
		}
		d.wrong, d.suspicious, d.values = false, false, d.values[:0]
		record = record.next()
		if err := d.senmlRecord(j, &record); err != nil {
			return err
		}
		if record.refused != "" {
			// The rest only has to be JSON; nothing of the pack is used.
			for j.PeekKind() != ']' {
				if err := j.SkipValue(); err != nil {
					return err
				}
			}
			d.fail("%s", record.refused)
			_, err := j.ReadToken()
			return err
		}
		if d.wrong || record.empty() {
			continue
		}
		full := record.baseName + record.name
		cut := strings.LastIndexAny(full, "/:") + 1
		if !senmlName(full) {
			d.reject(greentally.BadPayload, "%s is not a SenML name", shorten(full))
			continue
		}
		if named && full[:cut] != device {
			d.reject(greentally.BadPayload, "%s is of another device than %s; a topic is for one", shorten(full[:cut]), shorten(device))
			continue
		}
		q := d.route.kind.byName[full[cut:]]
		if q == nil {
			d.reject(greentally.BadPayload, "%s is no quantity; kind %s has %s", shorten(full[cut:]), d.route.kind.Name, d.route.kind.names)
			continue
		}
		device, named = full[:cut], true
		at, ok := d.senmlTime(record.baseTime + record.time)
		if !ok {
			continue
		}
		d.senmlJudge(q, &record)
		for _, v := range d.values {
			all = append(all, senmlValue{at, v, d.suspicious, d.element})
		}
	}
	count := d.element
	d.element = -1
	if _, err := j.ReadToken(); err != nil {
		return err
	}
	d.values = d.values[:0]
	slices.SortStableFunc(all, func(a, b senmlValue) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.value.Quantity, b.value.Quantity))
	})
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].at.Equal(all[0].at) {
			n++
		}
		d.senmlReading(all[:n])
		all = all[n:]
	}
	if len(d.readings) == 0 && len(d.rejections) == 0 {
		if count == 0 {
			d.reject(greentally.BadPayload, "the array is empty")
		} else {
			d.reject(greentally.BadPayload, "no record has a value")
		}
	}
	return nil
}

// senmlReading makes a reading of the values of one time, sorted by quantity.
func (d *decoding) senmlReading(all []senmlValue) {
	d.element = all[0].element
	ok := d.inTime(all[0].at)
	d.element = -1
	if !ok {
		return
	}
	d.values = d.values[:0]
	suspicious := false
	for i, v := range all {
		if i > 0 && v.value.Quantity == all[i-1].value.Quantity {
			d.element = v.element
			d.reject(greentally.BadPayload, "%s has a second value at %s", v.value.Quantity, v.at.Format(time.RFC3339Nano))
			d.element = -1
			continue
		}
		suspicious = suspicious || v.suspicious
		d.values = append(d.values, v.value)
	}
	d.emit(all[0].at, d.values, suspicious)
}

// senmlRecord reads a record. One that has a field that must be understood and is
// not, or is of a later version, refuses the whole pack.
func (d *decoding) senmlRecord(j *jsontext.Decoder, r *senmlRecord) error {
	err := d.object(j, func(raw []byte) error {
		name := string(raw)
		kind := j.PeekKind()
		number := func(into *float64, has *bool) error {
			if kind != '0' {
				d.reject(greentally.BadPayload, "%s: want a number, not %s", name, kindName(kind))
				return j.SkipValue()
			}
			v, err := readNumber(j)
			*into = v
			if has != nil {
				*has = true
			}
			return err
		}
		text := func(into *string, has *bool) error {
			if kind != '"' {
				d.reject(greentally.BadPayload, "%s: want a text, not %s", name, kindName(kind))
				return j.SkipValue()
			}
			raw, err := j.ReadValue()
			if err != nil {
				return err
			}
			s, err := d.unquote(raw)
			*into = string(s)
			if has != nil {
				*has = true
			}
			return err
		}
		switch name {
		case "bn":
			return text(&r.baseName, nil)
		case "bu":
			return text(&r.baseUnit, nil)
		case "bt":
			return number(&r.baseTime, nil)
		case "bv":
			return number(&r.baseValue, &r.hasBaseValue)
		case "bs":
			return number(&r.baseS, nil)
		case "bver":
			return number(&r.baseVersion, nil)
		case "n":
			return text(&r.name, &r.hasName)
		case "u":
			return text(&r.unit, &r.hasUnit)
		case "t":
			return number(&r.time, nil)
		case "v":
			return number(&r.value, &r.hasValue)
		case "s":
			return number(&r.sum, &r.hasSum)
		case "vs":
			return text(&r.text, &r.hasText)
		case "vd":
			return text(&r.data, &r.hasData)
		case "vb":
			if kind != 't' && kind != 'f' {
				d.reject(greentally.BadPayload, "vb: want true or false, not %s", kindName(kind))
			}
			r.truth, r.hasTruth = kind == 't', true
			return j.SkipValue()
		}
		if len(name) > 0 && name[len(name)-1] == '_' {
			r.refused = fmt.Sprintf("field %s must be understood, and is not", shorten(name))
		}
		return j.SkipValue()
	})
	if r.baseVersion > senmlVersion {
		r.refused = fmt.Sprintf("version %v of SenML; the latest known is %d", r.baseVersion, senmlVersion)
	}
	return err
}

// empty reports whether the record only sets base fields.
func (r *senmlRecord) empty() bool {
	return !r.hasName && !r.hasValue && !r.hasSum && !r.hasText && !r.hasTruth && !r.hasData
}

// senmlTime resolves a time in seconds, to the microsecond.
func (d *decoding) senmlTime(seconds float64) (time.Time, bool) {
	if seconds >= relativeBefore || math.IsNaN(seconds) {
		return d.unixTime(seconds, time.Second)
	}
	if seconds < -9e9 {
		d.reject(greentally.AbsurdTime, "time: %v is no time", seconds)
		return time.Time{}, false
	}
	whole := math.Floor(seconds)
	return d.received.Add(time.Duration(whole)*time.Second + time.Duration(math.Round((seconds-whole)*1e6))*time.Microsecond), true
}

// senmlJudge judges the value of a record and keeps it as the value of q.
func (d *decoding) senmlJudge(q *quantity, r *senmlRecord) {
	values := 0
	for _, has := range []bool{r.hasValue, r.hasText, r.hasTruth, r.hasData} {
		if has {
			values++
		}
	}
	unit := r.baseUnit
	if r.hasUnit {
		unit = r.unit
	}
	state := q.Nature == greentally.State
	switch {
	case values > 1:
		d.reject(greentally.BadPayload, "%s: more than one of v, vs, vb and vd", q.Name)
	case values == 1 && r.hasSum:
		d.reject(greentally.BadPayload, "%s: both a value and a sum; give the sum a record of its own, with a register's name", q.Name)
	case r.hasText && state:
		d.text2word(q, []byte(r.text))
	case r.hasTruth && state:
		d.truth(q, r.truth)
	case r.hasSum && !state:
		d.senmlSum(q, r.baseS+r.sum, unit)
	case (r.hasValue || values == 0 && r.hasBaseValue) && !state:
		v := r.baseValue + r.value
		if unit != "" {
			converted, ok := d.registry.units.convert(v, unit, q.Unit)
			if !ok {
				d.reject(greentally.BadPayload, "%s: unit %s does not convert to %s", q.Name, shorten(unit), q.Unit)
				return
			}
			v = converted
		}
		d.number(q, v)
	case values == 0:
		d.reject(greentally.BadPayload, "%s: the record has no value", q.Name)
	default:
		d.reject(greentally.BadPayload, "%s: want %s", q.Name, wanted(q))
	}
}

// senmlSum keeps a sum over time. Its unit is the record's times seconds; without a
// unit it is taken to be in the quantity's.
func (d *decoding) senmlSum(q *quantity, sum float64, unit string) {
	if q.Nature != greentally.Register {
		d.reject(greentally.BadPayload, "%s: a sum is of a register, and this is a %s", q.Name, q.Nature)
		return
	}
	if unit != "" {
		of, factor, ok := d.registry.units.integral(unit)
		if ok {
			sum, ok = d.registry.units.convert(sum*factor, of, q.Unit)
		}
		if !ok {
			d.reject(greentally.BadPayload, "%s: a sum of %s over seconds does not convert to %s", q.Name, shorten(unit), q.Unit)
			return
		}
	}
	d.number(q, sum)
}

// senmlName reports whether a name is as RFC 8428, section 4.5.1, has it.
func senmlName(s string) bool {
	if len(s) > 256 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && (i == 0 || !strings.ContainsRune("-:./_", rune(c))) {
			return false
		}
	}
	return s != ""
}
