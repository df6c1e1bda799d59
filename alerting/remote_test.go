package alerting

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	commonconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"

	"greentally"
)

// TestNothingElseIsTakenForAlertmanager sends alerts, and silences, to what is none.
func TestNothingElseIsTakenForAlertmanager(t *testing.T) {
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body) // who does not listen any more has seen the status
		}
	}
	for name, h := range map[string]http.HandlerFunc{
		"page":        answer(http.StatusOK, "<html>Welcome"),
		"other API":   answer(http.StatusOK, "{}"),
		"no content":  answer(http.StatusNoContent, ""),
		"made":        answer(http.StatusCreated, `{"silenceID":"1"}`),
		"unavailable": answer(http.StatusServiceUnavailable, ""),
		"login page": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/login" {
				return // 200, and nothing in it
			}
			http.Redirect(w, r, "/login", http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(h)
			defer server.Close()
			to, err := url.Parse(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			r, err := NewRemote(RemoteOptions{URLs: []*url.URL{to}, HTTP: commonconfig.DefaultHTTPClientConfig, Log: quiet()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = r.Close() })
			if err := r.post(t.Context(), to, []model.Alert{{}}); err == nil {
				t.Error("alerts count as told")
			}
			now := time.Now()
			if _, err := r.Silence(t.Context(), greentally.Silence{Community: "jiayuan", Rule: "fire", Since: now, Until: now.Add(time.Hour), By: "li"}); err == nil {
				t.Error("a silence counts as set")
			}
			if _, err := r.Silences(t.Context(), "jiayuan"); err == nil {
				t.Error("there seem to be no silences")
			}
			if err := r.ask(t.Context(), http.MethodDelete, "silence/1", nil, nil); err == nil {
				t.Error("a silence counts as ended")
			}
		})
	}
}
