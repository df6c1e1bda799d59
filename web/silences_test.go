package web_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestSilence asks for silences: what can be one, and who is told to have asked.
func TestSilence(t *testing.T) {
	for _, tt := range []struct {
		name, who, body string
		status          int
		want            string // of what was asked, or of the reason
	}{
		{"a device", "", `{"device": "bin-1", "for": "2h", "by": "li", "why": "replaced"}`, 200, "bin-1 for 2h0m0s: replaced"},
		{"who is known is who asks", "王芳", `{"device": "bin-1", "for": "2h", "by": "li", "why": "replaced"}`, 200, `"by":"王芳"`},
		{"a rule", "li", `{"rule": "full", "for": "168h", "why": "x"}`, 200, "full for 168h0m0s: x"},
		{"an acknowledgement", "li", `{"rule": "full", "device": "bin-1", "indicator": "rate", "acknowledges": true}`, 200, "for 24h0m0s"},
		{"of an alert that does not hold", "li", `{"rule": "full", "device": "box-1", "acknowledges": true}`, 404, "does not hold"},
		{"of one that is over", "li", `{"rule": "fire", "device": "bin-1", "acknowledges": true}`, 404, "does not hold"},
		{"nobody", "", `{"device": "bin-1", "for": "2h", "why": "replaced"}`, 400, "by: "},
		{"everything", "li", `{"for": "2h", "why": "x"}`, 400, "say which alerts"},
		{"without a reason", "li", `{"device": "bin-1", "for": "2h"}`, 400, "why: "},
		{"for no time", "li", `{"device": "bin-1", "why": "x"}`, 400, "for: "},
		{"of a device that is not there", "li", `{"device": "bin-2", "for": "2h", "why": "x"}`, 400, "has no device"},
		{"of a long rule", "li", `{"rule": "` + strings.Repeat("x", 101) + `", "for": "2h", "why": "x"}`, 400, "rule: at most 100"},
		{"for a long reason", "li", `{"rule": "full", "for": "2h", "why": "` + strings.Repeat("满", 401) + `"}`, 400, "why: at most 400"},
		{"for a strange reason", "li", `{"rule": "full", "for": "2h", "why": "a\u0000b"}`, 400, "none of them of control"},
		{"for ever", "li", `{"device": "bin-1", "for": "8800h", "why": "x"}`, 400, "for: "},
		{"of another community by the body", "li", `{"community": "empty", "device": "bin-1", "for": "2h", "why": "x"}`, 400, "unknown field"},
	} {
		s, b := newServer()
		b.who = tt.who
		r := request(t, http.MethodPost, "/api/v1/communities/jiayuan/silences", tt.body)
		w := serve(s, r)
		got := strings.Join(b.asked, " ") + w.Body.String()
		if w.Code != tt.status || !strings.Contains(got, tt.want) || tt.status != 200 && len(b.asked) > 0 {
			t.Errorf("%s: status %d, %s; want %d and %q", tt.name, w.Code, got, tt.status, tt.want)
		}
	}
}
