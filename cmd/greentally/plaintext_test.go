package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"unicode"
)

// hostile is what a device, or whoever runs a server, can put into any text: it clears the screen,
// sets the window's title, rings, turns text round, and does the first again in one character.
const hostile = "x\x1b[2J\x1b]0;t\a\u202egpj\u009b31m"

// TestHostileTexts has a server answer with such texts wherever it can: none of them comes to the terminal.
func TestHostileTexts(t *testing.T) {
	text, err := json.Marshal(hostile)
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string]string{
		"/api/v1/discovered":                     `[{"community": H, "device": H, "profile": H, "kind": H, "topic": H, "payload": H, "first": "2026-11-01T00:00:00Z", "last": "2026-11-01T00:00:00Z"}]`,
		"/api/v1/communities/c/devices":          `[{"device": H, "kind": H, "site": H, "stream": H, "latest": {"community": "c", "device": H, "kind": H, "time": "2026-11-01T00:00:00Z", "values": [{"quantity": H, "state": H}]}}]`,
		"/api/v1/status":                         `{"version": H, "connected": true, "followers": {}, "dead_letters": 1, "registry_error": H}`,
		"/api/v1/communities/c/records":          `[{"record": H, "community": "c", "type": H, "by": H, "why": H, "texts": {"a": H}, "date": "2026-11-01", "recorded": "2026-11-01T00:00:00Z"}]`,
		"/api/v1/applications":                   `[{"id": H, "community": H, "scheme": H, "month": "2026-10", "stage": H, "level": H, "steps": [{"to": H, "by": H, "on": "2026-11-01", "recorded": "2026-11-01T00:00:00Z"}]}]`,
		"/api/v1/applications/a":                 `{"id": H, "community": H, "scheme": H, "month": "2026-10", "stage": H, "level": H, "steps": [{"to": H, "by": H, "why": H, "on": "2026-11-01", "recorded": "2026-11-01T00:00:00Z"}], "revisions": []}`,
		"/api/v1/users":                          `[{"name": H, "display": H, "email": H, "subject": H, "language": H, "bindings": [{"role": H, "communities": [H]}]}]`,
		"/api/v1/tokens":                         `[{"name": H, "by": H, "role": H, "communities": [H]}]`,
		"/api/v1/audit":                          `[{"id": 1, "at": "2026-11-01T00:00:00Z", "who": H, "address": H, "action": H, "community": H, "what": {"id": H}, "result": H}]`,
		"/api/v1/alerts":                         `[{"rule": H, "community": H, "device": H, "site": H, "severity": H, "title": {"zh": H, "en": H}, "message": {"zh": H, "en": H}, "value": H, "began": "2026-11-01T00:00:00Z", "fired": "2026-11-01T00:00:00Z"}]`,
		"/api/v1/communities/c/exports":          `[{"month": "2026-10", "made": "2026-11-01T00:00:00Z", "bundle": H, "bytes": 1, "mailed": [H]}]`,
		"/api/v1/deadletters":                    `[{"id": 7, "topic": H, "reason": H, "detail": H, "payload": "G1sySg==", "received": "2026-11-01T00:00:00Z"}]`,
		"/api/v1/communities/c/records/r":        `{"record": H, "community": "c", "type": H, "by": H, "date": "2026-11-01", "recorded": "2026-11-01T00:00:00Z"}`,
		"/api/v1/communities/c/attachments/none": ``,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, there := answers[r.URL.Path]
		if !there || r.Method != http.MethodGet {
			w.WriteHeader(http.StatusBadRequest)
			answer = `{"error": H}`
		}
		if r.URL.Path == "/api/v1/deadletters" && r.URL.Query().Get("after") == "7" {
			answer = "[]"
		}
		_, _ = w.Write([]byte(strings.ReplaceAll(answer, "H", string(text))))
	}))
	defer server.Close()
	for _, command := range []string{
		"devices discovered", "devices list --community c", "status", "record list --community c --all", "record list --community c --format json", "record get r --community c",
		"application list", "application show a", "application show a --format json", "user list", "token list", "audit",
		"alerts list", "deadletter list", "deadletter show 7", "deadletter list --reason x", "export list --community c",
	} {
		t.Run(command, func(t *testing.T) {
			out, err := cli(t, append(strings.Fields(command), "--server", server.URL)...)
			if err != nil {
				t.Fatal(err)
			}
			if i := strings.IndexFunc(out, func(r rune) bool { return !unicode.IsGraphic(r) && r != '\n' && r != '\t' }); i >= 0 {
				t.Errorf("the terminal is sent %q", out[i:min(len(out), i+20)])
			}
		})
	}
	t.Run("JSON says the same", func(t *testing.T) {
		out, err := cli(t, "record", "get", "r", "--community", "c", "--server", server.URL)
		var r struct{ By string }
		if err != nil || json.Unmarshal([]byte(out), &r) != nil || r.By != hostile {
			t.Errorf("%v: %q is not %q", err, r.By, hostile)
		}
	})
}

func TestPlainText(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "",
		"重量 12 %\t好\n":             "重量 12 %\t好\n",
		"a\r\nb":                   "a�\nb",
		hostile:                    "x�[2J�]0;t��gpj�31m",
		"\xff\xe9\x87":             "���",
		"é\u0301 \u3000\u00a0♻️ �": "é\u0301 \u3000\u00a0♻️ �",
	} {
		var whole, bytewise bytes.Buffer
		_, _ = (&plainText{Writer: &whole}).Write([]byte(in + "."))
		w := &plainText{Writer: &bytewise}
		for _, b := range []byte(in + ".") {
			if n, err := w.Write([]byte{b}); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		if whole.String() != want+"." || bytewise.String() != want+"." {
			t.Errorf("%q is written as %q, and byte by byte as %q; want %q", in, &whole, &bytewise, want)
		}
	}
	for _, value := range []string{hostile, "<&> 重量 \U0001f5d1 \U000e0041", "\u2028"} {
		var out bytes.Buffer
		if err := writeJSON(&out, []string{value}); err != nil {
			t.Fatal(err)
		}
		var again []string
		if err := json.Unmarshal(out.Bytes(), &again); err != nil || !reflect.DeepEqual(again, []string{value}) || plainLines(out.String()) != out.String() {
			t.Errorf("%q is written as %s", value, &out)
		}
	}
}
