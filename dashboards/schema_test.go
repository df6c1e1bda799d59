package dashboards

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestSchema holds the dashboards against the types that Grafana 10, 11 and 12 publish on npm. A dashboard with a word
// that no Grafana knows shows that it can fail.
func TestSchema(t *testing.T) {
	if _, err := os.Stat("../tools/grafana/node_modules"); err != nil {
		t.Fatal("Grafana's types are not there; get them with: make tools (or npm ci --prefix tools/grafana)")
	}
	check := func(folder string) (string, error) {
		out, err := exec.CommandContext(t.Context(), "node", "../tools/grafana/check.mjs", folder).CombinedOutput()
		return string(out), err
	}
	if out, err := check("."); err != nil {
		t.Errorf("%v\n%s", err, out)
	}

	wrong := t.TempDir()
	for name, change := range map[string][2]string{
		"community": {`"graphMode": "none"`, `"graphMode": "some"`}, // another word
		"bins":      {`"showHeader": true`, `"showHeader": 1`},      // another type
		"city":      {`"showHeader"`, `"showsHeader"`},              // not known
	} {
		text, err := os.ReadFile(name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.Replace(string(text), change[0], change[1], 1)
		if changed == string(text) {
			t.Fatalf("%s has no %s", name, change[0])
		}
		if err := os.WriteFile(wrong+"/"+name+".json", []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := check(wrong)
	for _, want := range []string{"community.json, ", `'"some"'`, "bins.json, ", "'boolean", "city.json, ", `'"showsHeader"'`} {
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("%q is not said (%v):\n%s", want, err, out)
		}
	}
}
