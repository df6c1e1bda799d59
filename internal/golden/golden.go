// Package golden compares what tests get with files, and writes the files anew where a test
// is run with -update. It is for tests alone.
package golden

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write golden files, and the lists in the documentation, anew")

// Equal fails the test unless the file holds got.
func Equal(t testing.TB, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil { //nolint:gosec // all may read it
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; run the test with -update to write it", err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run the test with -update and look at what changed. Got:\n%s", file, got)
	}
}

// Between fails the test unless the file holds got between the two marks.
func Between(t testing.TB, file, from, to, got string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(data), from)
	_, tail, also := strings.Cut(rest, to)
	if !ok || !also {
		t.Fatalf("%s has no place %s … %s", file, from, to)
	}
	Equal(t, file, head+from+"\n"+got+"\n"+to+tail)
}
