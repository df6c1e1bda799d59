package devices

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"greentally"
)

// Discover tells from a message of a device that is not in the registry what that
// device seems to be: its key (the community is empty if the topic does not tell it),
// its profile and, if its payload fits one kind better than any other, its kind. It
// reports false if the device is known, or cannot be told. A status says too little,
// so that a device is discovered by its first reading.
func (r *Registry) Discover(m greentally.Message) (key greentally.DeviceKey, profile, kind string, ok bool) {
	for _, p := range r.patterns {
		community, address, match := p.match(m.Topic)
		if !match || !mayBeAddress(address) || p.tellsCommunity() && !mayBeAddress(community) {
			continue
		}
		key = greentally.DeviceKey{Community: community, Device: address}
		if p.routes[key] != nil || r.addressed(key) != nil {
			return greentally.DeviceKey{}, "", "", false
		}
		for _, f := range p.forms {
			if f.Format != Text {
				return key, f.profile.Name, r.guessKind(f, m.Payload), true
			}
		}
	}
	return greentally.DeviceKey{}, "", "", false
}

// mayBeAddress reports whether a part of a topic can be what a device calls itself: short
// text without control characters.
func mayBeAddress(s string) bool {
	return s != "" && len(s) <= 128 && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// guessKind returns the kind that has all quantities of the payload and the fewest
// others; empty if there is none, or more than one.
func (r *Registry) guessKind(f *patternForm, payload []byte) string {
	if len(payload) > r.limits.MaxPayload {
		return ""
	}
	if len(f.profile.Kinds) == 1 {
		return f.profile.Kinds[0]
	}
	if f.mapping != nil {
		return ""
	}
	names := quantityNames(payload, f.Format)
	if len(names) == 0 {
		return ""
	}
	best, fewest, tie := "", 0, false
	for _, k := range sortedKinds(r.kinds) {
		if slices.ContainsFunc(names, func(name string) bool { return k.byName[name] == nil }) {
			continue
		}
		switch n := len(k.Quantities); {
		case best == "" || n < fewest:
			best, fewest, tie = k.Name, n, false
		case n == fewest:
			tie = true
		}
	}
	if tie {
		return ""
	}
	return best
}

// quantityNames returns the names of quantities in a payload, if it is JSON: the keys
// of its first object, or the last parts of the names in a SenML pack.
func quantityNames(payload []byte, format Format) (names []string) {
	j := jsontext.NewDecoder(bytes.NewBuffer(payload))
	d := decoding{scratch: &scratch{}}
	if j.PeekKind() == '[' {
		if _, err := j.ReadToken(); err != nil {
			return nil
		}
	} else if format == SenML {
		return nil
	}
	base := ""
	for j.PeekKind() == '{' {
		record := senmlRecord{baseName: base}
		var err error
		if format == SenML {
			err = d.senmlRecord(j, &record)
			base = record.baseName
			full := record.baseName + record.name
			if !record.empty() {
				names = append(names, full[strings.LastIndexAny(full, "/:")+1:])
			}
		} else {
			err = d.object(j, func(name []byte) error {
				if string(name) != "time" {
					names = append(names, string(name))
				}
				return j.SkipValue()
			})
		}
		if err != nil {
			return nil
		}
		if format != SenML {
			break
		}
	}
	return names
}
