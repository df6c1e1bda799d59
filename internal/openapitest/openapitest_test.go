package openapitest_test

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"greentally"
	"greentally/internal/openapitest"
)

const api = `openapi: 3.1.0
info: {title: test, version: "1"}
paths:
  /bins/{id}:
    post:
      tags: [Bins]
      parameters:
        - {name: id, in: path, required: true, schema: {type: string}}
        - {name: check, in: query, schema: {type: boolean}}
      requestBody:
        required: true
        content: {application/json: {schema: {$ref: "#/components/schemas/Bin"}}}
      responses:
        "200":
          description: A bin.
          content: {application/json: {schema: {$ref: "#/components/schemas/Bin"}}}
        "404":
          description: None.
          content: {text/plain: {schema: {type: string}}}
components:
  schemas:
    Bin:
      allOf: [{properties: {severity: {type: string, enum: [critical, warning, info]}}}]
      properties:
        seen: {type: string, format: date-time}
        emptied: {type: [string, "null"], format: date-time}
        masses: {type: array, items: {type: number}}
      required: [severity, seen, emptied]
      unevaluatedProperties: false
`

func read(t *testing.T, changes ...string) *openapitest.Description {
	t.Helper()
	d, err := openapitest.Read([]byte(strings.NewReplacer(changes...).Replace(api)))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestTypes compares a type with its description, and with ones in which a single thing is wrong.
func TestTypes(t *testing.T) {
	bin := reflect.TypeFor[struct {
		Severity greentally.Severity `json:"severity"`
		Seen     time.Time           `json:"seen"`
		Emptied  *time.Time          `json:"emptied"`
		Masses   []float64           `json:"masses,omitempty"`
		Hidden   int                 `json:"-"`
	}]()
	for _, tt := range []struct{ old, new, want string }{
		{"", "", ""},
		{"masses:", "weights:", "masses is not described"},
		{"masses:", "weights:", "weights is described"},
		{"[severity, seen, emptied]", "[severity, seen]", "emptied is always there"},
		{"[severity, seen, emptied]", "[severity, seen, emptied, masses]", "masses is always there: false"},
		{`[string, "null"]`, "string", "emptied may be null"},
		{"{type: array", `{type: [array, "null"]`, "masses is never null"},
		{"items: {type: number}", "items: {type: integer}", "masses[]: it is a number"},
		{"seen: {type: string, format: date-time}", "seen: {type: string, format: date}", "the format of a time"},
		{"unevaluatedProperties: false", "unevaluatedProperties: true", "not ruled out"},
		{"enum: [critical, warning, info]", "enum: [critical, warning]", `constants of greentally.Severity are ["critical" "info" "warning"]`},
		{"enum: [critical, warning, info]", "enum: [critical, warning, info, bad]", `the words are ["bad"`},
		{"Bin:", "Box:", "Bin is not described"},
	} {
		wrong := read(t, tt.old, tt.new, "schemas/Bin", map[bool]string{true: "schemas/Box", false: "schemas/Bin"}[tt.new == "Box:"]).Answers("Bin", bin)
		if tt.want == "" && len(wrong) > 0 || !strings.Contains(strings.Join(wrong, "\n"), tt.want) {
			t.Errorf("%s for %s: %q, want %q", tt.new, tt.old, wrong, tt.want)
		}
	}
	if wrong := read(t).Takes("Bin", bin); len(wrong) > 0 {
		t.Errorf("taken: %q", wrong)
	}
	if wrong := read(t, "masses:", "weights:").Takes("Bin", bin); len(wrong) != 1 || !strings.Contains(wrong[0], "weights") {
		t.Errorf("taken: %q, want that weights is not", wrong)
	}
}

// TestCheck holds requests and answers against the description.
func TestCheck(t *testing.T) {
	const bin = `{"severity": "info", "seen": "2026-10-08T04:00:00Z", "emptied": null, "masses": [12.3]}`
	for _, tt := range []struct {
		name, method, path, sent string
		status                   int
		media, answered          string
		want                     string // part of the error; empty if there is none
	}{
		{"as described", "POST", "/bins/b?check=true", bin, 200, "application/json", bin, ""},
		{"refused", "POST", "/bins/b?force=1", "{", 404, "text/plain", "none", ""},
		{"another status", "POST", "/bins/b", bin, 409, "text/plain", "there", "status"},
		{"another media type", "POST", "/bins/b", bin, 200, "text/html", bin, "Content-Type"},
		{"another path", "POST", "/boxes/b", bin, 200, "application/json", bin, "no matching"},
		{"another method", "PUT", "/bins/b", bin, 200, "application/json", bin, "no matching"},
		{"another parameter", "POST", "/bins/b?force=1", bin, 200, "application/json", bin, "force is not described"},
		{"a parameter of another type", "POST", "/bins/b?check=1.5", bin, 200, "application/json", bin, "check"},
		{"no body", "POST", "/bins/b", "", 200, "application/json", bin, "the request"},
		{"a field too many is sent", "POST", "/bins/b", strings.Replace(bin, "{", `{"x": 1, `, 1), 200, "application/json", bin, "the request"},
		{"a field too many", "POST", "/bins/b", bin, 200, "application/json", strings.Replace(bin, "{", `{"x": 1, `, 1), "the answer"},
		{"a field is missing", "POST", "/bins/b", bin, 200, "application/json", strings.Replace(bin, `"emptied": null, `, "", 1), "the answer"},
		{"no time", "POST", "/bins/b", bin, 200, "application/json", strings.Replace(bin, "T04:00:00Z", "", 1), "the answer"},
		{"another word", "POST", "/bins/b", bin, 200, "application/json", strings.Replace(bin, "info", "bad", 1), "the answer"},
	} {
		request := httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, nil)
		request.Header.Set("Content-Type", "application/json")
		response := &http.Response{StatusCode: tt.status, Header: http.Header{"Content-Type": {tt.media}}}
		err := read(t).Check(request, []byte(tt.sent), response, []byte(tt.answered))
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestRead(t *testing.T) {
	if d := read(t); !slices.Equal(d.Answered(), []string{"Bin"}) || !slices.Equal(d.Operations()["POST /bins/{id}"], []string{"Bins"}) {
		t.Errorf("answered %q, operations %v", d.Answered(), d.Operations())
	}
	for name, changed := range map[string][2]string{
		"no YAML": {"info: {", "info: ["}, "OpenAPI 3.0": {"3.1.0", "3.0.3"}, "an unknown word": {"unevaluatedProperties", "unevaluated"},
		"a reference to nothing": {"schemas/Bin", "schemas/Box"}, "a parameter that is not described": {"name: id", "name: key"},
	} {
		if _, err := openapitest.Read([]byte(strings.Replace(api, changed[0], changed[1], 1))); err == nil {
			t.Errorf("%s is read", name)
		}
	}
}
