package testserver

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

// Amtool runs Alertmanager's tool, from Debian's package, and returns what it printed.
func Amtool(t testing.TB, args ...string) string {
	t.Helper()
	binary, err := exec.LookPath("amtool")
	if err != nil {
		t.Fatal("amtool is not installed; get it with: make tools (or apt-get install prometheus-alertmanager)")
	}
	command, warnings := exec.CommandContext(t.Context(), binary, args...), &bytes.Buffer{}
	command.Stderr = warnings
	out, err := command.Output()
	if err != nil {
		t.Fatalf("amtool %s: %v\n%s%s", strings.Join(args, " "), err, out, warnings)
	}
	return string(out)
}
