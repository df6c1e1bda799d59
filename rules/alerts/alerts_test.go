package alerts_test

import (
	"os"
	"path/filepath"
	"testing"

	"greentally"
	"greentally/internal/strictyaml"
	"greentally/rules/alerts"
)

// kinds reads the kinds that are shipped.
func kinds(t testing.TB) func(string) (*greentally.Kind, bool) {
	t.Helper()
	files, err := filepath.Glob("../../devices/kinds/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no kinds: %v", err)
	}
	all := map[string]*greentally.Kind{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var kind struct {
			greentally.Kind `yaml:",inline"`
			Tests           any `yaml:"tests"`
		}
		if _, err := strictyaml.Decode(file, data, &kind); err != nil {
			t.Fatal(err)
		}
		all[kind.Name] = &kind.Kind
	}
	return func(name string) (*greentally.Kind, bool) { k, ok := all[name]; return k, ok }
}

func TestShippedRulesPassTheirTests(t *testing.T) {
	set, err := alerts.Load(kinds(t), alerts.Shipped())
	if err != nil {
		t.Fatal(err)
	}
	ran, err := set.Check()
	if err != nil {
		t.Error(err)
	}
	if ran < 2*set.Len() {
		t.Errorf("%d tests of %d rules", ran, set.Len())
	}
}
