package pages_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"greentally/web/pages"
)

// vendored says where in npm's packages the files of static/vendor are from.
var vendored = map[string]string{
	"htmx.min.js": "htmx.org/dist/htmx.min.js", "hx-sse.min.js": "htmx.org/dist/ext/hx-sse.min.js", "LICENSE-htmx": "htmx.org/LICENSE",
	"echarts.common.min.js": "echarts/dist/echarts.common.min.js", "LICENSE-echarts": "echarts/LICENSE", "NOTICE-echarts": "echarts/NOTICE", "LICENSE-echarts-d3": "echarts/licenses/LICENSE-d3",
}

// TestVendored compares what is vendored with npm's packages at the versions of tools/pages, which
// npm holds against their hashes.
func TestVendored(t *testing.T) {
	files, err := filepath.Glob("static/vendor/*")
	if err != nil || len(files) != len(vendored) {
		t.Errorf("there are %q, %v", files, err)
	}
	for name, from := range vendored {
		own, err := os.ReadFile(filepath.Join("static/vendor", name))
		if err != nil {
			t.Error(err)
			continue
		}
		theirs, err := os.ReadFile(filepath.Join("../../tools/pages/node_modules", from))
		if err != nil {
			t.Fatalf("%v; get it with: make tools", err)
		}
		if !bytes.Equal(own, theirs) {
			t.Errorf("%s is not npm's %s; copy it again, or set the version in tools/pages/package.json", name, from)
		}
	}
}

// staticOf returns what serves the files that pages are made with.
func staticOf(t *testing.T) http.Handler {
	t.Helper()
	all, err := (&pages.Entrance{}).Handlers(first(newPages()))
	if err != nil {
		t.Fatal(err)
	}
	return all["GET /static/"]
}
