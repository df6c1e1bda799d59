package records_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"greentally"
	"greentally/internal/golden"
	"greentally/internal/strictyaml"
	"greentally/records"
)

func TestTypesInTheirFiles(t *testing.T) {
	ran, err := types(t).Check()
	if err != nil {
		t.Error(err)
	}
	for _, one := range types(t).All() {
		ran -= 2 // one record that is taken, and one that is refused, or two that are taken
		if one.Title.ZH == "" {
			t.Errorf("%s has no title", one.Name)
		}
	}
	if ran < 0 {
		t.Errorf("fewer than two tests for each type")
	}
}

const visit = `type: visit
title: {zh: 走访, en: Visit}
needs: [item]
values:
  - {name: homes, title: {zh: 户数, en: Homes}, min: 1, max: 100}
texts:
  - {name: street, title: {zh: 街, en: Street}, one_of: [east, west]}
unique: [street]
checks:
  - homes != 13
tests:
  - name: one
    record: {item: a/b, values: {homes: 3}, texts: {street: east}}
`

func load(text string) (*records.Types, error) {
	return records.LoadTypes(strictyaml.Folder{Name: "x", FS: fstest.MapFS{"visit.yaml": {Data: []byte(text)}}})
}

func TestLoadTypesRefuses(t *testing.T) {
	if _, err := load(visit); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ from, to, want string }{
		{"type: visit", "type: call", "x/visit.yaml:1: the file must be called call.yaml"},
		{"zh: 走访, ", "", "x/visit.yaml:2: title needs zh and en"},
		{"needs: [item]", "needs: [place]", `x/visit.yaml:3: there is no field "place"`},
		{"name: homes", "name: Homes", `x/visit.yaml:5: the value "Homes"`},
		{"homes != 13", "houses != 13", "x/visit.yaml:10: unknown name houses"},
		{"homes != 13", "homes", "x/visit.yaml:10: expected bool"},
		{"unique: [street]", "unique: [homes]", `x/visit.yaml:8: the type has no text "homes"`},
		{"name: street", "name: homes", `x/visit.yaml:7: the text "homes" has the name or the title of another`},
		{"zh: 街", "zh: 户数", `x/visit.yaml:7: the text "street" has the name or the title of another`},
		{"zh: 户数", "zh: 日期", `x/visit.yaml:5: the value "homes" has the name or the title of another, or of a field`},
		{"name: street", "name: by", `x/visit.yaml:7: the text "by" has the name`},
		{"min: 1", "least: 1", `x/visit.yaml:5: unknown key "least"`},
		{visit[strings.Index(visit, "tests:"):], "", "x/visit.yaml:1: there are no tests in it"},
	} {
		text := strings.Replace(visit, tt.from, tt.to, 1)
		if _, err := load(text); text == visit || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.to, err, tt.want)
		}
	}
	failing := strings.Replace(visit, "homes: 3", "homes: 13", 1)
	all, err := load(failing)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := all.Check(); err == nil || !strings.Contains(err.Error(), `x/visit.yaml:12: test "one": refused: invalid record: homes != 13 must hold`) {
		t.Errorf("a test that fails: %v", err)
	}
}

func TestValidateSaysEverythingAtOnce(t *testing.T) {
	all, err := load(visit)
	if err != nil {
		t.Fatal(err)
	}
	err = all.Validate(greentally.Record{Type: "visit", Stream: "paper", Values: greentally.Values{"homes": 101, "cats": 2}, Texts: map[string]string{"street": "north", "note": "x"}})
	for _, want := range []string{"community is missing", "by is missing", "date is missing", `stream "paper" is none of`, "needs item",
		"homes is 101, and is at most 100", `no value "cats"`, `street "north" is none of east, west`, `no text "note"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
	if !errors.Is(err, records.ErrInvalid) {
		t.Errorf("error %v does not wrap ErrInvalid", err)
	}
	shipped := greentally.Record{Community: "c", Type: "composition_audit", Date: greentally.Date{Year: 2026, Month: 10, Day: 8}, By: "x", Stream: greentally.Food,
		Values: greentally.Values{"recyclable_ratio": 0.9, "sample_kg": 1.7e308}}
	if err := types(t).Validate(shipped); err == nil || !strings.Contains(err.Error(), "sample_kg is not a number that can be tallied") {
		t.Errorf("a sample heavier than the sun: %v", err)
	}
	if err := all.Validate(greentally.Record{Type: "call"}); err == nil || !strings.Contains(err.Error(), `no type of record "call"; there are visit`) {
		t.Errorf("an unknown type: %v", err)
	}
}

// TestDocs compares the list of the types that are shipped in the documentation.
func TestDocs(t *testing.T) {
	var list strings.Builder
	list.WriteString("| type | | needs | values | texts |\n|---|---|---|---|---|\n")
	for _, one := range types(t).All() {
		var values, texts []string
		called := func(name string, title greentally.Text, optional bool) string {
			name = "`" + name + "` " + title.ZH
			if optional {
				name = "[" + name + "]"
			}
			return name
		}
		for _, v := range one.Values {
			values = append(values, called(v.Name, v.Title, v.Optional))
		}
		if one.Open {
			values = append(values, "…")
		}
		for _, text := range one.Texts {
			words := called(text.Name, text.Title, text.Optional)
			if len(text.OneOf) > 0 {
				words += " (" + strings.Join(text.OneOf, ", ") + ")"
			}
			texts = append(texts, words)
		}
		of := ""
		if len(one.Kinds) > 0 {
			of = "(" + strings.Join(one.Kinds, ", ") + ")"
		}
		fmt.Fprintf(&list, "| `%s` | %s<br>%s | %s | %s | %s |\n", one.Name, one.Title.ZH, one.Title.EN,
			strings.TrimSpace(strings.Join(one.Needs, ", ")+" "+of), strings.Join(values, "<br>"), strings.Join(texts, "<br>"))
	}
	golden.Between(t, "../docs/records.md", "-update -->\n", "<!-- end -->", list.String())
}

// TestDocsTellTheColumns looks for each column of a table in the documentation.
func TestDocsTellTheColumns(t *testing.T) {
	doc, err := os.ReadFile("../docs/records.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range records.ColumnNames() {
		if !strings.Contains(string(doc), name) {
			t.Errorf("docs/records.md does not tell of the column %s", name)
		}
	}
}

// TestTextsHaveBounds hands in what no person says: each is refused, in few words.
func TestTextsHaveBounds(t *testing.T) {
	types, err := records.LoadTypes(records.Shipped())
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 900_000)
	for name, tt := range map[string]struct {
		change func(*greentally.Record)
		want   string
	}{
		"a type":              {func(r *greentally.Record) { r.Type = long }, "type has 900000 characters; the most is 200"},
		"a device":            {func(r *greentally.Record) { r.Device = long }, "device has 900000 characters; the most is 200"},
		"an item":             {func(r *greentally.Record) { r.Item = long }, "item has 900000 characters; the most is 200"},
		"a stream":            {func(r *greentally.Record) { r.Stream = greentally.Stream(long) }, "stream has 900000 characters; the most is 200"},
		"a record":            {func(r *greentally.Record) { r.Replaces = long }, "replaces has 900000 characters; the most is 200"},
		"who":                 {func(r *greentally.Record) { r.By = long }, "by has 900000 characters; the most is 200"},
		"why":                 {func(r *greentally.Record) { r.Why = long }, "why has 900000 characters; the most is 2000, and the rest goes into an attachment"},
		"a text":              {func(r *greentally.Record) { r.Texts = map[string]string{"a": long} }, "a has 900000 characters; the most is 2000"},
		"a name":              {func(r *greentally.Record) { r.Texts = map[string]string{long: "a"} }, "the name of a value or a text has 900000 characters; the most is 200"},
		"who, two lines":      {func(r *greentally.Record) { r.By = "Li\nNa" }, `by has a character that cannot be printed, "\n"`},
		"why, a screen":       {func(r *greentally.Record) { r.Why = "a\n\x1b[2J" }, `why has a character that cannot be printed, "\x1b"`},
		"a text turned round": {func(r *greentally.Record) { r.Texts = map[string]string{"a": "\u202eb"} }, `a has a character that cannot be printed, "\u202e"`},
		"many values": {func(r *greentally.Record) {
			for i := range 101 {
				r.Values[fmt.Sprint("v", i)] = 1
			}
		}, "the most is 100 of each"},
	} {
		t.Run(name, func(t *testing.T) {
			r := greentally.Record{Community: "c", Type: "survey", Date: greentally.Date{Year: 2026, Month: 10, Day: 8}, By: "Li Na", Values: greentally.Values{"asked": 20, "aware": 10}, Why: "by hand,\nat the gate"}
			if err := types.Validate(r); err != nil {
				t.Fatal(err)
			}
			tt.change(&r)
			if err := types.Validate(r); !errors.Is(err, records.ErrInvalid) || !strings.Contains(err.Error(), tt.want) || len(err.Error()) > 1000 {
				t.Errorf("%.1000v, want %s", err, tt.want)
			}
		})
	}
}
