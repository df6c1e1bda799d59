// Package openapitest holds requests, answers and Go types against an OpenAPI description, for
// tests.
package openapitest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// Description is an OpenAPI description of an API.
type Description struct {
	doc    *openapi3.T
	router routers.Router
}

// Read reads a description. It has to be valid OpenAPI 3.1.
func Read(data []byte) (*Description, error) {
	doc, err := openapi3.NewLoader().LoadFromData(data)
	if err != nil {
		return nil, fmt.Errorf("description: %w", err)
	}
	if !doc.IsOpenAPI31OrLater() {
		return nil, fmt.Errorf("description: it is OpenAPI %s; write openapi: 3.1.0", doc.OpenAPI)
	}
	router, err := legacy.NewRouter(doc) // it validates the document, too
	if err != nil {
		return nil, fmt.Errorf("description: %w", err)
	}
	return &Description{doc, router}, nil
}

// Operations returns the tags of the operations by method and path, such as GET /healthz.
func (d *Description) Operations() map[string][]string {
	all := map[string][]string{}
	for path, item := range d.doc.Paths.Map() {
		for method, operation := range item.Operations() {
			all[method+" "+path] = operation.Tags
		}
	}
	return all
}

// Answered returns the names of the schemas by which operations answer, alone or in a list.
func (d *Description) Answered() []string {
	names := map[string]bool{}
	for _, item := range d.doc.Paths.Map() {
		for _, operation := range item.Operations() {
			media := operation.Responses.Status(http.StatusOK).Value.Content["application/json"]
			if media == nil || media.Schema == nil {
				continue // a file, or a text
			}
			schema := media.Schema
			if schema.Value.Items != nil {
				schema = schema.Value.Items
			}
			names[strings.TrimPrefix(schema.Ref, "#/components/schemas/")] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// Check returns how the answer to a request, or the request itself, is not as described. A request
// that was refused may be anything; its answer may not. sent and answered are the bodies.
func (d *Description) Check(request *http.Request, sent []byte, response *http.Response, answered []byte) error {
	route, parameters, err := d.router.FindRoute(request)
	if err != nil {
		return fmt.Errorf("%s %s: %w", request.Method, request.URL.Path, err)
	}
	asked := request.Clone(context.Background())
	asked.Body, asked.ContentLength = io.NopCloser(bytes.NewReader(sent)), int64(len(sent))
	options := &openapi3filter.Options{
		IncludeResponseStatus: true, RejectWhenRequestBodyNotSpecified: true, SkipSettingDefaults: true, MultiError: true,
		AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
	}
	options.WithCustomSchemaErrorFunc(func(err *openapi3.SchemaError) string { return err.Reason }) // without schema and value
	in := &openapi3filter.RequestValidationInput{Request: asked, PathParams: parameters, Route: route, Options: options}
	if response.StatusCode < http.StatusBadRequest {
		for name := range asked.URL.Query() {
			if !slices.ContainsFunc(slices.Concat(route.PathItem.Parameters, route.Operation.Parameters), func(p *openapi3.ParameterRef) bool {
				return p.Value.In == openapi3.ParameterInQuery && p.Value.Name == name
			}) {
				return fmt.Errorf("%s %s: the query parameter %s is not described", route.Method, route.Path, name)
			}
		}
		if err := openapi3filter.ValidateRequest(asked.Context(), in); err != nil {
			return fmt.Errorf("%s %s: the request: %w", route.Method, route.Path, err)
		}
	}
	if err := openapi3filter.ValidateResponse(asked.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: response.StatusCode, Header: response.Header,
		Body: io.NopCloser(bytes.NewReader(answered)), Options: options,
	}); err != nil {
		return fmt.Errorf("%s %s: the answer %d %.500s: %w", route.Method, route.Path, response.StatusCode, answered, err)
	}
	return nil
}
