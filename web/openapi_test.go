package web_test

import (
	_ "embed"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"greentally"
	"greentally/internal/openapitest"
	"greentally/web"
)

//go:embed openapi.yaml
var openAPI string

var readDescription = sync.OnceValues(func() (*openapitest.Description, error) { return openapitest.Read([]byte(openAPI)) })

// described returns what openapi.yaml describes. It has to be valid OpenAPI 3.1.
func described(t *testing.T) *openapitest.Description {
	t.Helper()
	d, err := readDescription()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestEveryRouteIsDescribed compares openapi.yaml with the routes in the tests, which are all of the
// server. Those with the tag Administration come from whoever makes the server.
func TestEveryRouteIsDescribed(t *testing.T) {
	operations := described(t).Operations()
	maps.DeleteFunc(operations, func(_ string, tags []string) bool { return slices.Contains(tags, "Administration") })
	var tested []string
	for _, route := range routes {
		tested = append(tested, route.pattern)
	}
	slices.Sort(tested)
	if got := slices.Sorted(maps.Keys(operations)); !slices.Equal(got, tested) {
		t.Errorf("operations in openapi.yaml:\n%s\nroutes:\n%s", strings.Join(got, "\n"), strings.Join(tested, "\n"))
	}
}

// TestTypesAreDescribed compares the schemas of answers with their Go types, field by field, and
// those of bodies with what they are read into.
func TestTypesAreDescribed(t *testing.T) {
	answers := map[string]any{
		"Community": web.Community{}, "Device": greentally.Device{}, "DeviceWithLatest": web.Device{}, "Reading": greentally.Reading{},
		"DeviceDay": greentally.DeviceDay{}, "IndicatorValue": greentally.IndicatorValue{}, "Alert": greentally.Alert{}, "Silence": greentally.Silence{},
		"Record": greentally.Record{}, "Attachment": greentally.Attachment{},
		"DeadLetter": greentally.DeadLetter{}, "Discovered": greentally.Discovered{}, "KeptExport": greentally.KeptExport{}, "Rollup": greentally.Rollup{},
		"Application": greentally.Application{}, "ApplicationWithRevisions": web.Application{},

		// What the server is given as any is compared in cmd/greentally, where it is made.
		"AuditEntry": nil, "JournalReplay": nil, "Status": nil, "Token": nil, "User": nil,
		// And these have no type.
		"DeadLetterID": nil, "Key": nil, "Name": nil, "Secret": nil, "SilenceID": nil,
	}
	if got, want := slices.Sorted(maps.Keys(answers)), described(t).Answered(); !slices.Equal(got, want) {
		t.Errorf("types are compared of %q, answered are %q", got, want)
	}
	for schema, answer := range answers {
		if answer == nil {
			continue
		}
		for _, wrong := range described(t).Answers(schema, reflect.TypeOf(answer)) {
			t.Error(wrong)
		}
	}
	for schema, body := range map[string]any{
		"NewDevice": greentally.Device{}, "NewRecord": greentally.Record{}, "FirstStep": greentally.Step{}, "NextStep": greentally.Step{}, "NewSilence": web.Wish{},
	} {
		for _, wrong := range described(t).Takes(schema, reflect.TypeOf(body)) {
			t.Error(wrong)
		}
	}
}
