package openapitest

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
)

// Answers returns how the schema of the name is not what encoding/json makes of the Go type, a type of
// this module: fields and words that only one of them has, others' types, and what is left out or
// null in one alone.
func (d *Description) Answers(schema string, of reflect.Type) []string {
	return d.compare(comparison{}, schema, of)
}

// Takes returns which fields of the schema the Go type does not take as they are described. It may
// take more.
func (d *Description) Takes(schema string, into reflect.Type) []string {
	return d.compare(comparison{taken: true}, schema, into)
}

func (d *Description) compare(c comparison, schema string, t reflect.Type) []string {
	s := d.doc.Components.Schemas[schema]
	if s == nil {
		return []string{schema + " is not described"}
	}
	c.value(schema, s.Value, t)
	slices.Sort(c.wrong)
	return c.wrong
}

// comparison is of a schema and a Go type.
type comparison struct {
	taken bool // what is handed in, rather than answered
	wrong []string
}

func (c *comparison) add(at, format string, args ...any) {
	c.wrong = append(c.wrong, at+": "+fmt.Sprintf(format, args...))
}

// value compares the schema at a place with a type.
func (c *comparison) value(at string, s *openapi3.Schema, t reflect.Type) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	s, _ = withoutNull(s)
	if own := marshalsItself(t); own != "" {
		switch {
		case !s.Type.Is(own):
			c.add(at, "it is written as a %s and described as %v", own, s.Type)
		case t == reflect.TypeFor[time.Time]() && s.Format != "date-time":
			c.add(at, "the format of a time is date-time, not %q", s.Format)
		case own == openapi3.TypeString && s.Format == "" && s.Pattern == "":
			c.add(at, "%v is of a form; describe it by a format or a pattern", t)
		}
		return
	}
	var want string
	switch t.Kind() {
	case reflect.String:
		want = openapi3.TypeString
	case reflect.Bool:
		want = openapi3.TypeBoolean
	case reflect.Int, reflect.Int64, reflect.Uint64:
		want = openapi3.TypeInteger
	case reflect.Float64:
		want = openapi3.TypeNumber
	case reflect.Slice:
		want = openapi3.TypeArray
		if t.Elem().Kind() == reflect.Uint8 {
			want = openapi3.TypeString // in Base64
		}
	case reflect.Map:
		want = openapi3.TypeObject
	case reflect.Struct:
		if c.taken && reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
			return // it takes more than it writes
		}
		c.fields(at, s, t)
		return
	default:
		c.add(at, "no schema can be held against %v", t)
		return
	}
	switch {
	case !s.Type.Is(want):
		c.add(at, "it is a %s and described as %v", want, s.Type)
	case !c.taken && (t.Kind() == reflect.String || t.Kind() == reflect.Int) && t.PkgPath() != "":
		c.words(at, s, t)
	case want == openapi3.TypeArray && s.Items == nil:
		c.add(at, "its items are not described")
	case want == openapi3.TypeArray:
		c.value(at+"[]", s.Items.Value, t.Elem())
	case want == openapi3.TypeObject && s.AdditionalProperties.Schema == nil:
		c.add(at, "its values are not described; describe them as additionalProperties")
	case want == openapi3.TypeObject:
		c.value(at+"{}", s.AdditionalProperties.Schema.Value, t.Elem())
	}
}

// words compares the words, or the codes, that a schema names with the constants of the Go type.
func (c *comparison) words(at string, s *openapi3.Schema, t reflect.Type) {
	want, err := constants(t)
	if err != nil {
		c.add(at, "%v", err)
	}
	var got []string
	for _, word := range s.Enum {
		got = append(got, fmt.Sprint(word))
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		c.add(at, "the words are %q, and the constants of %v are %q", got, t, want)
	}
}

// fields compares an object with a struct.
func (c *comparison) fields(at string, s *openapi3.Schema, t reflect.Type) {
	properties, required := openapi3.Schemas{}, map[string]bool{}
	collect(s, properties, required)
	if !isFalse(s.AdditionalProperties) && !isFalse(s.UnevaluatedProperties) {
		c.add(at, "other fields are not ruled out")
	}
	described := maps.Clone(properties)
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() || f.Anonymous && name == "" {
			continue
		}
		property := described[name]
		delete(described, name)
		if property == nil {
			if !c.taken {
				c.add(at, "%s is not described", name)
			}
			continue
		}
		_, null := withoutNull(property.Value)
		always := !strings.Contains(options, "omit")
		kind := f.Type.Kind()
		pointer, list := kind == reflect.Pointer, kind == reflect.Slice || kind == reflect.Map // a list may be made never to be nil
		switch {
		case c.taken:
		case always != required[name]:
			c.add(at, "%s is always there: %v; required: %v", name, always, required[name])
		case null && (!always || !pointer && !list):
			c.add(at, "%s is never null", name)
		case always && pointer && !null:
			c.add(at, "%s may be null", name)
		}
		c.value(at+"."+name, property.Value, f.Type)
	}
	for name := range described {
		c.add(at, "%s is described, and %v has no such field", name, t)
	}
}

// collect collects the properties of a schema and of those that it consists of.
func collect(s *openapi3.Schema, properties openapi3.Schemas, required map[string]bool) {
	for _, part := range s.AllOf {
		collect(part.Value, properties, required)
	}
	maps.Copy(properties, s.Properties)
	for _, name := range s.Required {
		required[name] = true
	}
}

func isFalse(additional openapi3.BoolSchema) bool {
	return additional.Has != nil && !*additional.Has
}

// withoutNull returns what a schema describes beside null, and whether it allows that.
func withoutNull(s *openapi3.Schema) (*openapi3.Schema, bool) {
	if s.Type.Includes(openapi3.TypeNull) {
		without := *s
		types := openapi3.Types(slices.DeleteFunc(slices.Clone(s.Type.Slice()), func(t string) bool { return t == openapi3.TypeNull }))
		without.Type = &types
		return &without, true
	}
	for i, one := range s.OneOf {
		if len(s.OneOf) == 2 && one.Value.Type.Is(openapi3.TypeNull) {
			return s.OneOf[1-i].Value, true
		}
	}
	return s, false
}

// marshalsItself returns the JSON type of values that write themselves, and empty for others.
func marshalsItself(t reflect.Type) string {
	zero := reflect.New(t).Interface()
	_, isJSON := zero.(json.Marshaler)
	_, isText := zero.(encoding.TextMarshaler)
	if !isJSON && !isText {
		return ""
	}
	data, err := json.Marshal(zero)
	if err == nil && data[0] != '"' {
		return openapi3.TypeNumber
	}
	return openapi3.TypeString
}
