package pages_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestWords looks for the words that templates use: each is there in both languages.
func TestWords(t *testing.T) {
	known := map[string]bool{}
	for _, file := range []string{"words.go", "account.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`"([a-z_]+)": +\{"([^"]+)", "([^"]+)"\}`).FindAllStringSubmatch(string(source), -1) {
			if known[m[1]] {
				t.Errorf("%s: %s is there twice", file, m[1])
			}
			known[m[1]] = true
		}
	}
	files, err := filepath.Glob("templates/*.html")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\.(?:T|word|wrong) "([a-z_]+)"`).FindAllStringSubmatch(string(text), -1) {
			if !known[m[1]] {
				t.Errorf("%s: there is no word %s", file, m[1])
			}
		}
	}
	used := map[string]bool{}
	code, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range code {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?:\.word\("|\.wrong\("|note\([^,]+, "|field\("|amounts\(q, "|done=)([a-z_]+)`).FindAllStringSubmatch(string(text), -1) {
			name := m[1]
			if strings.HasPrefix(m[0], "done=") && !known[name] {
				name = "done_" + name
			}
			if used[name] = true; !known[name] && name != "done_" {
				t.Errorf("%s: there is no word %s", file, name)
			}
		}
	}
	if len(used) < 30 {
		t.Errorf("only %d words are used by the code", len(used))
	}
	for _, name := range []string{"pass", "fail", "insufficient_data", "no_target", "critical", "warning", "info", "recyclable", "hazardous", "food", "residual",
		"users", "tokens", "audit", "deadletters", "result_done", "result_refused", "result_failed",
		"overview", "alerts", "indicators", "records", "reports", "discovered",
		"role_administrator", "role_manager", "role_assessor", "role_monitor", "role_screen", "openid_unknown", "openid_again", "openid_away", "too_often", "failed",
		"passwords_differ", "wrong_old", "password_invalid", "password_changed", "language_changed", "not_logged_in"} {
		if !known[name] {
			t.Errorf("there is no word %s", name)
		}
	}
	if len(known) < 200 {
		t.Error(fmt.Sprint("only ", len(known), " words were found"))
	}
}
