package strictyaml_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"greentally/internal/strictyaml"
)

func TestFolder(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	folder := strictyaml.Folder{Name: "x/y", FS: fstest.MapFS{
		"b.yaml": file("b"), "a.yaml": file("a"), ".hidden.yaml": file("no"), "notes.txt": file("no"), "below/c.yaml": file("no"),
	}}
	changed := folder.With("a.yaml", []byte("A")).With("b.yaml", []byte("B"))
	for _, tt := range []struct {
		name   string
		folder strictyaml.Folder
		want   string
	}{
		{"as it is", folder, "a b"},
		{"with others", changed, "A B"},
		{"as it was, after all that", folder.With("a.yaml", []byte("A")), "A b"},
	} {
		names, contents, err := tt.folder.Files()
		if err != nil || !slices.Equal(names, []string{"x/y/a.yaml", "x/y/b.yaml"}) || len(contents) != 2 {
			t.Fatalf("%s: %v, %q, %v", tt.name, names, contents, err)
		}
		if got := string(contents[names[0]]) + " " + string(contents[names[1]]); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// What cannot be read is told, and what can be read is there all the same.
func TestFolderErrors(t *testing.T) {
	file := &fstest.MapFile{}
	names, contents, err := strictyaml.Folder{Name: "x", FS: fstest.MapFS{"a.yml": file, "b.yaml": file, "c.yml": file}}.Files()
	if want := "x/a.yml:1: name it .yaml; files of other names are not read\nx/c.yml:1: name it .yaml; files of other names are not read"; err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if _, ok := contents["x/b.yaml"]; !ok || len(names) != 1 {
		t.Errorf("read %v, want x/b.yaml", names)
	}
	missing := filepath.Join(t.TempDir(), "none")
	if _, _, err := strictyaml.Dir(missing).Files(); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "read the folder "+missing) {
		t.Errorf("a folder that is not there: %v", err)
	}
}
