package devices

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"greentally"
)

// text decodes a text through the form's mapping.
func (d *decoding) text(payload []byte) {
	if !utf8.Valid(payload) {
		d.fail("the text is not UTF-8")
		return
	}
	env := map[string]any{"payload": string(payload), "facts": d.route.facts}
	d.evaluate(env, nil)
	switch {
	case d.wrong:
	case len(d.values) > 0:
		if d.inTime(d.received) {
			d.emit(d.received, d.values, d.suspicious)
		}
	case len(d.rejections) == 0:
		d.reject(greentally.BadPayload, "the text %s gives no value", shorten(string(payload)))
	}
}

// mapped reads an object through the form's mapping.
func (d *decoding) mapped(j *jsontext.Decoder) (at time.Time, timed bool, err error) {
	m := d.route.form.mapping
	present := d.scratch.present[:0]
	for range m.leaves {
		present = append(present, false)
	}
	d.scratch.present = present
	payload, err := d.fields(j, m.fields, present)
	if err != nil || d.wrong {
		return at, false, err
	}
	env := map[string]any{"payload": payload, "facts": d.route.facts}
	d.evaluate(env, present)
	if m.time == nil || d.wrong || !m.time.ready(present) {
		return at, false, nil
	}
	v, err := d.scratch.machine.Run(m.time.program, env)
	if err != nil {
		d.reject(greentally.BadPayload, "time: %s", oneLine(err))
		return at, false, nil
	}
	switch v := v.(type) {
	case string:
		at, timed = d.rfc3339(v)
	case float64, int:
		unit := time.Second
		if m.form == "unix_ms" {
			unit = time.Millisecond
		}
		at, timed = d.unixTime(toFloat(v), unit)
	}
	return at, timed, nil
}

// fields reads the declared fields of an object and passes over all others.
func (d *decoding) fields(j *jsontext.Decoder, declared *field, present []bool) (map[string]any, error) {
	found := make(map[string]any, len(declared.inner))
	err := d.object(j, func(name []byte) error {
		f := declared.inner[string(name)]
		kind := j.PeekKind() // from here on the name is not valid
		if f == nil || kind == 'n' {
			return j.SkipValue()
		}
		key := lastPart(f.path)
		switch {
		case f.inner != nil && kind == '{':
			inner, err := d.fields(j, f, present)
			found[key] = inner
			return err
		case f.kind == "number" && kind == '0':
			v, err := readNumber(j)
			found[key], present[f.leaf] = v, true
			return err
		case f.kind == "string" && kind == '"':
			raw, err := j.ReadValue()
			if err != nil {
				return err
			}
			text, err := d.unquote(raw)
			found[key], present[f.leaf] = string(text), true
			return err
		case f.kind == "bool" && (kind == 't' || kind == 'f'):
			found[key], present[f.leaf] = kind == 't', true
			return j.SkipValue()
		}
		want := "an object"
		if f.inner == nil {
			want = "a " + f.kind
		}
		err := j.SkipValue()
		if err == nil {
			d.reject(greentally.BadPayload, "%s: want %s, not %s", f.path, want, kindName(kind))
		}
		return err
	})
	return found, err
}

func lastPart(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// ready reports whether the payload has all fields that the expression needs.
func (e *expression) ready(present []bool) bool {
	for _, i := range e.needs {
		if !present[i] {
			return false
		}
	}
	return true
}

// evaluate runs the mapping's expressions and keeps their values.
func (d *decoding) evaluate(env map[string]any, present []bool) {
	for i := range d.route.form.mapping.values {
		e := &d.route.form.mapping.values[i]
		if !e.ready(present) {
			continue
		}
		q := d.route.kind.byName[e.quantity]
		v, err := d.scratch.machine.Run(e.program, env)
		if err != nil {
			d.reject(greentally.BadPayload, "%s: %s", e.quantity, oneLine(err))
			continue
		}
		switch v := v.(type) {
		case nil:
		case float64, int:
			d.number(q, toFloat(v))
		case string:
			d.text2word(q, []byte(v))
		case bool:
			d.truth(q, v)
		default:
			d.reject(greentally.BadPayload, "%s: the expression gives a %T", e.quantity, v)
		}
	}
}

func toFloat(v any) float64 {
	if i, ok := v.(int); ok {
		return float64(i)
	}
	f, _ := v.(float64)
	return f
}

// oneLine is what an error says, without what it quotes of the payload beyond some length.
func oneLine(err error) string {
	const most = 300
	line, _, _ := strings.Cut(err.Error(), "\n")
	if len(line) > most {
		line = strings.ToValidUTF8(line[:most], "") + "…"
	}
	return line
}
