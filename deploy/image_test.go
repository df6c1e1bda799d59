package deploy

import (
	"slices"
	"strings"
	"testing"
)

// TestImageHasAllPackages compares the folders that the image is built from with those of the
// packages that the program is made of.
func TestImageHasAllPackages(t *testing.T) {
	ignored := strings.Fields(strings.ReplaceAll(readFile(t, "../.dockerignore"), "\n", " "))
	found := 0
	for dir := range strings.Lines(output(t, "go", "list", "-C", "..", "-deps", "-f", "{{if and .Module .Module.Main}}{{.ImportPath}}{{end}}", "./cmd/greentally")) {
		_, folder, within := strings.Cut(strings.TrimSpace(dir), "/")
		if folder, _, _ = strings.Cut(folder, "/"); !within {
			continue
		}
		found++
		if !slices.Contains(ignored, "!"+folder) {
			t.Errorf("%s is made of %s, and .dockerignore keeps that out of the image", "cmd/greentally", folder)
		}
	}
	if found < 10 {
		t.Errorf("the program is made of %d packages", found)
	}
}
