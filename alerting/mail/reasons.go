package mail

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"greentally"
)

// reason says in the reader's language why there is no verdict on an indicator, and which type
// of record it lacks, if it does. Of a reason that was written for people and that no pattern
// knows it says what was written.
func (w *writer) reason(v greentally.IndicatorValue) (reason, record string) {
	switch {
	case v.Value != nil && v.Completeness < v.Floor:
		return w.words.get("too_incomplete", "have", percent(v.Completeness, &v.Floor), "need", percent(v.Floor, nil)), ""
	case v.Value == nil && v.Denominator != nil && *v.Denominator == 0:
		return w.words.get("denominator_zero"), ""
	}
	patterns := lacks()
	var all []string
	for part := range strings.SplitSeq(v.Reason, "; ") {
		said, lacking := w.lack(patterns, part)
		if !slices.Contains(all, said) {
			all = append(all, said)
		}
		record = cmp.Or(record, lacking)
	}
	return line(strings.Join(all, w.words.get("semicolon"))), record
}

// lacks returns patterns of what an input can lack, by the words for it.
func lacks() map[string]*regexp.Regexp {
	const record = `there is no (?P<record>[a-z0-9_]+) `
	patterns := map[string]string{
		"no_record":        record + `in \S+ that says it`,
		"no_record_months": record + `in the (?P<n>\d+) months to \S+ that says it`,
		"no_record_stream": record + `of the stream (?P<stream>[a-z]+) in \S+`,
		"no_device":        `no device of kind (?P<kind>[a-z0-9_]+) is meant by it`,
		"no_device_days":   `none of (?P<n>\d+) devices has a device-day`,
		"no_alert":         `there was no alert (?P<alert>[a-z0-9_]+) in \S+`,
		"no_evidence":      `nothing is meant by any of them`,
	}
	compiled := map[string]*regexp.Regexp{}
	for word, pattern := range patterns {
		compiled[word] = regexp.MustCompile("(?:^|: )" + pattern + "$") // behind the names of inputs
	}
	return compiled
}

// lack says what an input lacks, and which type of record that is, if it is one.
func (w *writer) lack(patterns map[string]*regexp.Regexp, reason string) (said, record string) {
	for word, pattern := range patterns {
		match := pattern.FindStringSubmatch(reason)
		if match == nil {
			continue
		}
		var put []string
		for i, name := range pattern.SubexpNames() {
			value := match[i]
			switch name {
			case "":
				continue
			case "record":
				record = value
				value = w.recordType(value)
			case "kind":
				if kind := w.kind(value); kind != nil {
					value = named(kind.Title, value, w.words.language)
				}
			case "stream":
				if key := "stream_" + value; w.words.has(key) {
					value = w.words.get(key)
				}
			}
			put = append(put, name, value)
		}
		return w.words.get(word, put...), record
	}
	return line(reason), ""
}

// recordType returns what a type of record is called, with its name, by which it is added.
func (w *writer) recordType(name string) string {
	if w.options.RecordTypes != nil {
		if t, ok := w.options.RecordTypes(name); ok {
			return w.words.get("record_type", "title", named(t.Title, name, w.words.language), "name", name)
		}
	}
	return name
}
