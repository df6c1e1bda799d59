package devices

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"greentally"
	"greentally/internal/strictyaml"
)

// Profile is how one hardware model speaks. It is a YAML file with its own tests.
type Profile struct {
	Name   string          `yaml:"profile" json:"profile" jsonschema:"pattern=^[a-z][a-z0-9_]*$"`
	Title  greentally.Text `yaml:"title" json:"title"`
	Source string          `yaml:"source" json:"source" jsonschema_description:"Where the format is described."`

	// Kinds are the kinds of device that the model can be. Empty means all, for
	// profiles whose payloads name quantities themselves.
	Kinds []string `yaml:"kinds,omitempty" json:"kinds,omitempty" jsonschema_description:"Kinds of device that the model can be; default all."`

	// Facts are the numbers that must be known of each device to read its messages.
	Facts []Fact `yaml:"facts,omitempty" json:"facts,omitempty" jsonschema_description:"Numbers that the registry must give for each device of this profile."`

	Messages []MessageForm `yaml:"messages" json:"messages"`
	Tests    []Test        `yaml:"tests" json:"tests"`
}

// Fact is a number about a device, such as how high its sensor sits.
type Fact struct {
	Name  string          `yaml:"name" json:"name" jsonschema:"pattern=^[a-z][a-z0-9_]*$"`
	Title greentally.Text `yaml:"title" json:"title"`
	Min   *float64        `yaml:"min,omitempty" json:"min,omitempty"`
	Max   *float64        `yaml:"max,omitempty" json:"max,omitempty"`
}

// MessageForm is one form of message that a model sends.
type MessageForm struct {
	Topic  string `yaml:"topic" json:"topic" jsonschema_description:"With {device} for the device's address and, if the topic tells it, {community}. + and # are as in MQTT."`
	Format Format `yaml:"format" json:"format" jsonschema:"enum=json,enum=senml,enum=text"`

	// Fields are the fields of a JSON payload that expressions use, and their types:
	// number, string or bool. A dot leads into an object. Other fields are ignored.
	Fields map[string]string `yaml:"fields,omitempty" json:"fields,omitempty" jsonschema_description:"Fields of a JSON payload that expressions use, by path such as object.distance: number, string or bool."`

	// Time is where the reading's time is; without it, it is the time of receipt.
	Time *TimeForm `yaml:"time,omitempty" json:"time,omitempty"`

	// Values are expressions over payload and facts, by quantity. An expression that
	// uses a field that a payload does not have gives no value; so does nil. JSON
	// without values is native: its keys are quantities.
	Values map[string]string `yaml:"values,omitempty" json:"values,omitempty" jsonschema_description:"Expressions over payload and facts, by quantity. Without them, the payload's keys are quantities."`
}

// Format is how a payload is written.
type Format string

// The formats.
const (
	JSON  Format = "json"  // one object, or an array of objects
	SenML Format = "senml" // RFC 8428
	Text  Format = "text"  // UTF-8; expressions see it as payload
)

// TimeForm says where the time of a reading is in a payload.
type TimeForm struct {
	Value string `yaml:"value" json:"value" jsonschema_description:"An expression, such as payload.time."`
	Form  string `yaml:"form" json:"form" jsonschema:"enum=rfc3339,enum=unix_s,enum=unix_ms"`
}

// profile is a profile with what decoding needs of it.
type profile struct {
	Profile
	file  string
	doc   *strictyaml.Doc
	forms []*form // as in Messages
}

// form is a message form, ready to decode.
type form struct {
	MessageForm
	pattern topicPattern
	mapping *mapping // nil if the payload names quantities itself
}

// loadProfiles is to profiles what loadKinds is to kinds.
func loadProfiles(folders []strictyaml.Folder, kinds map[string]*kind, kindsComplete bool) (profiles map[string]*profile, complete bool, errs []error) {
	profiles, complete = map[string]*profile{}, true
	for _, folder := range folders {
		names, contents, err := folder.Files()
		if err != nil {
			errs = append(errs, err)
		}
		for _, file := range names {
			p := &profile{file: file}
			doc, err := strictyaml.Decode(file, contents[file], &p.Profile)
			if err != nil {
				errs, complete = append(errs, err), false
				continue
			}
			p.doc = doc
			wrong := problems{doc: doc}
			p.check(kinds, kindsComplete, wrong.add)
			if before := profiles[p.Name]; before != nil {
				wrong.add([]any{"profile"}, "profile %s is already in %s", p.Name, before.file)
			} else {
				profiles[p.Name] = p
			}
			errs = append(errs, wrong.errs...)
		}
	}
	return profiles, complete, errs
}

// check checks the profile and makes its forms.
func (p *profile) check(kinds map[string]*kind, kindsComplete bool, add report) {
	if !isWord(p.Name) {
		add([]any{"profile"}, "profile: want a word such as milesight_em400_mud, not %q", p.Name)
	}
	checkTitle(p.Title, []any{"title"}, add)
	if p.Source == "" {
		add([]any{"source"}, "source: say where the format is described")
	}
	fits := slices.Collect(maps.Values(kinds)) // the kinds that the profile is for
	if len(p.Kinds) > 0 {
		fits = nil
	}
	for i, name := range p.Kinds {
		if k := kinds[name]; k != nil {
			fits = append(fits, k)
		} else if kindsComplete {
			add([]any{"kinds", i}, "there is no kind %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
		}
	}
	slices.SortFunc(fits, func(a, b *kind) int { return cmp.Compare(a.Name, b.Name) })
	facts := map[string]bool{}
	for i, f := range p.Facts {
		path := []any{"facts", i, "name"}
		if !isWord(f.Name) {
			add(path, "fact %q: want a word with its unit, such as height_mm", f.Name)
		}
		if facts[f.Name] {
			add(path, "fact %s is there twice", f.Name)
		}
		facts[f.Name] = true
		checkTitle(f.Title, []any{"facts", i, "title"}, add)
		if f.Min != nil && f.Max != nil && !(*f.Min < *f.Max) {
			add(path, "fact %s: max is not above min", f.Name)
		}
	}
	if len(p.Messages) == 0 {
		add([]any{"messages"}, "messages: a profile has at least one")
	}
	topics := map[string]bool{}
	for i, m := range p.Messages {
		path := []any{"messages", i}
		f := &form{MessageForm: m}
		p.forms = append(p.forms, f)
		var err error
		if f.pattern, err = parseTopic(m.Topic); err != nil {
			add(at(path, "topic"), "topic %s: %w", m.Topic, err)
		}
		if topics[m.Topic] {
			add(at(path, "topic"), "topic %s is there twice", m.Topic)
		}
		topics[m.Topic] = true
		f.check(p, fits, path, add)
	}
	checkTests(p.Tests, add)
}

func (f *form) check(p *profile, fits []*kind, path []any, add report) {
	if f.Format != JSON && (len(f.Fields) > 0 || f.Time != nil) {
		add(path, "fields and time are for format json")
	}
	switch f.Format {
	case JSON:
		if len(f.Values) == 0 {
			if len(f.Fields) > 0 || f.Time != nil {
				add(path, "without values the payload's keys are quantities; there are no fields and no time to name")
			}
			return
		}
		if len(f.Fields) == 0 {
			add(path, "fields: name the payload's fields that values use, and their types")
		}
	case SenML:
		if len(f.Values) > 0 {
			add(at(path, "values"), "values: SenML names quantities itself")
		}
		return
	case Text:
		if len(f.Values) == 0 {
			add(path, "values: say which quantity the text is")
		}
	default:
		add(at(path, "format"), "format: want json, senml or text, not %q", f.Format)
		return
	}
	f.mapping = newMapping(&f.MessageForm, p.Facts, fits, path, add)
}

// checkFacts checks what the registry says of a device against what its profile asks for.
func (p *profile) checkFacts(facts map[string]float64, path []any, add report) {
	known := map[string]bool{}
	for _, f := range p.Facts {
		known[f.Name] = true
		v, ok := facts[f.Name]
		switch {
		case !ok:
			add(path, "profile %s asks for the fact %s (%s)", p.Name, f.Name, f.Title.In("en"))
		case math.IsNaN(v) || math.IsInf(v, 0), f.Min != nil && v < *f.Min, f.Max != nil && v > *f.Max:
			add(at(path, "facts", f.Name), "fact %s: %v is not %s", f.Name, v, f.bounds())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(facts)) {
		if !known[name] {
			add(at(path, "facts", name), "profile %s has no use for a fact %q", p.Name, name)
		}
	}
}

func (f Fact) bounds() string {
	switch {
	case f.Min != nil && f.Max != nil:
		return fmt.Sprintf("between %v and %v", *f.Min, *f.Max)
	case f.Min != nil:
		return fmt.Sprintf("at least %v", *f.Min)
	case f.Max != nil:
		return fmt.Sprintf("at most %v", *f.Max)
	}
	return "a finite number"
}
