package main

import (
	"io"
	"maps"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"greentally/access"
	"greentally/access/login"
	"greentally/internal/openapitest"
)

var readDescription = sync.OnceValues(func() (*openapitest.Description, error) {
	data, err := os.ReadFile("../../web/openapi.yaml")
	if err != nil {
		return nil, err
	}
	return openapitest.Read(data)
})

// described returns what web/openapi.yaml describes.
func described(t testing.TB) *openapitest.Description {
	t.Helper()
	d, err := readDescription()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// asDescribed fails the test if what was asked of the API, or what it answered, is not as described.
// Pages and Alertmanager's API are not.
func asDescribed(t testing.TB, response *http.Response, answer []byte) {
	t.Helper()
	request := response.Request
	if !strings.HasPrefix(request.URL.Path, "/api/") && !slices.Contains([]string{"/metrics", "/healthz", "/readyz"}, request.URL.Path) {
		return
	}
	var sent []byte
	if request.GetBody != nil {
		body, err := request.GetBody()
		if err != nil {
			t.Fatal(err)
		}
		if sent, err = io.ReadAll(body); err != nil {
			t.Fatal(err)
		}
	}
	if err := described(t).Check(request, sent, response, answer); err != nil {
		t.Error(err)
	}
}

// TestAdministrationIsDescribed finds the requests that administer in web/openapi.yaml and in the
// documentation, and no others in the former. Those of the server itself are tested where it is.
func TestAdministrationIsDescribed(t *testing.T) {
	operations := described(t).Operations()
	maps.DeleteFunc(operations, func(_ string, tags []string) bool { return !slices.Contains(tags, "Administration") })
	requests := (&accessUp{gate: &login.Gate{}}).administration()
	maps.Copy(requests, journalRoutes(nil))
	got, want := slices.Sorted(maps.Keys(operations)), slices.Sorted(maps.Keys(requests))
	if !slices.Equal(got, want) {
		t.Errorf("operations in openapi.yaml:\n%s\nrequests:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	doc, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range want {
		if !strings.Contains(string(doc), "`"+pattern+"`") {
			t.Errorf("docs/configuration.md does not mention `%s`", pattern)
		}
	}
}

// TestAnswersAreDescribed compares schemas with the Go types of what the server is given to answer
// with, and to administer.
func TestAnswersAreDescribed(t *testing.T) {
	for schema, answer := range map[string]any{
		"Status": status{}, "JournalReplay": journalReplay{}, "User": access.User{}, "Token": access.Token{}, "AuditEntry": access.Entry{},
	} {
		for _, wrong := range described(t).Answers(schema, reflect.TypeOf(answer)) {
			t.Error(wrong)
		}
	}
	type person struct {
		access.User
		Secret string `json:"new_password"`
	}
	for schema, body := range map[string]any{"NewUser": person{}, "ChangedUser": access.User{}, "NewToken": access.Token{}} {
		for _, wrong := range described(t).Takes(schema, reflect.TypeOf(body)) {
			t.Error(wrong)
		}
	}
}
