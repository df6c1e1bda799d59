package alerts_test

import (
	"testing"

	"greentally"
	"greentally/devices"
	"greentally/rules/alerts"
)

// kinds are those that are shipped.
func kinds(t testing.TB) func(string) (*greentally.Kind, bool) {
	t.Helper()
	registry, err := devices.Load(devices.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return registry.Kind
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
