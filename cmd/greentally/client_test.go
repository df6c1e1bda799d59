package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestClientGoesNowhereElse asks servers that are not greentally.
func TestClientGoesNowhereElse(t *testing.T) {
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"a login page elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/login" {
				_, _ = w.Write([]byte(`{"id":"1"}`))
				return
			}
			http.Redirect(w, r, "/login", http.StatusFound)
		}, "it sends elsewhere, to /login"},
		"a page": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, "is that greentally?"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tt.answer)
			defer server.Close()
			config := ""
			c := &client{server: server.URL, config: &config}
			var answer map[string]any
			err := c.call(t.Context(), http.MethodPost, "/api/v1/records", map[string]int{"a": 1}, &answer)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "--server") {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}
