package wholefile_test

import (
	"os"
	"path/filepath"
	"testing"

	"greentally/internal/wholefile"
)

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a")
	for _, data := range []string{"first", "second and longer", ""} {
		if err := wholefile.Replace(file, []byte(data), 0o640); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(file)
		if err != nil || string(got) != data {
			t.Errorf("it holds %q: %v, want %q", got, err, data)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("its mode is %v: %v", info.Mode(), err)
		}
	}
	if err := wholefile.Replace(filepath.Join(dir, "none", "a"), nil, 0o640); err == nil {
		t.Error("a file in a folder that is not there was written")
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
		t.Errorf("left are %v: %v, want the file alone", all, err)
	}
}
