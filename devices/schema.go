package devices

import (
	"encoding"
	"reflect"
	"time"

	"github.com/invopop/jsonschema"

	"greentally"
)

// Schemas returns the JSON Schemas of the files of communities, kinds and profiles, by
// those names, for editors.
func Schemas() map[string]*jsonschema.Schema {
	reflector := jsonschema.Reflector{FieldNameTag: "yaml", Mapper: SchemaOfText}
	all := map[string]*jsonschema.Schema{}
	for name, file := range map[string]any{
		"community": &greentally.Community{}, "kind": &KindFile{}, "profile": &Profile{},
	} {
		all[name] = reflector.Reflect(file)
	}
	return all
}

// SchemaOfText is the schema of types that are written as text, such as a duration;
// nil for all others. It is a Mapper of a [jsonschema.Reflector].
func SchemaOfText(t reflect.Type) *jsonschema.Schema {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return &jsonschema.Schema{Type: "string", Format: "date-time"}
	case t == reflect.TypeFor[greentally.Duration]():
		return &jsonschema.Schema{Type: "string", Pattern: `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`, Examples: []any{"10m", "1h30m"}}
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return &jsonschema.Schema{Type: "string"}
	}
	return nil
}
