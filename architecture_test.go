package greentally_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestImportsAreAsDrawn compares the packages' imports with the drawing in
// docs/architecture.md: an arrow that is missing on either side is an error.
func TestImportsAreAsDrawn(t *testing.T) {
	doc, err := os.ReadFile("docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)<!-- imports -->\\s*```mermaid\n(.*?)```").FindSubmatch(doc)
	if block == nil {
		t.Fatal("docs/architecture.md has no drawing after <!-- imports -->")
	}
	var drawn []string
	for _, m := range regexp.MustCompile(`(?m)^\s*(\S+) --> (.+)$`).FindAllSubmatch(block[1], -1) {
		for to := range strings.SplitSeq(string(m[2]), " & ") {
			drawn = append(drawn, string(m[1])+" --> "+strings.TrimSpace(to))
		}
	}

	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var found []string
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for _, i := range p.Imports {
			if i == "greentally" || strings.HasPrefix(i, "greentally/") {
				found = append(found, short(p.ImportPath)+" --> "+short(i))
			}
		}
	}
	for _, arrow := range found {
		if !slices.Contains(drawn, arrow) {
			t.Errorf("%s is in the code but not in the drawing", arrow)
		}
	}
	for _, arrow := range drawn {
		if !slices.Contains(found, arrow) {
			t.Errorf("%s is in the drawing but not in the code", arrow)
		}
	}
	if len(found) == 0 {
		t.Error("go list found no imports at all")
	}
}

// short returns the package's folder, "root" for the module's own.
func short(path string) string {
	if path == "greentally" {
		return "root"
	}
	return strings.TrimPrefix(path, "greentally/")
}
