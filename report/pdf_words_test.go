package report

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// TestPDFWords finds each word that the source asks for, and no word of which one language lacks
// or says something that the other does not.
func TestPDFWords(t *testing.T) {
	words := pdfWords()
	names := regexp.MustCompile(`\{\w+\}`)
	for key, w := range words {
		if w.ZH == "" || w.EN == "" || strings.ContainsFunc(w.EN, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
			t.Errorf("%s: %q, %q", key, w.ZH, w.EN)
		}
		for _, name := range names.FindAllString(w.ZH+w.EN, -1) {
			if strings.Contains(w.ZH, name) != strings.Contains(w.EN, name) {
				t.Errorf("%s: %s is in one language alone", key, name)
			}
		}
	}
	files, err := filepath.Glob("pdf*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`p\.word\("(\w+)"[,)]`).FindAllSubmatch(source, -1) {
			if _, ok := words[string(m[1])]; !ok {
				t.Errorf("%s: there is no word %s", file, m[1])
			}
		}
	}
}
