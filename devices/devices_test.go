package devices_test

import (
	"testing"

	"greentally/devices"
)

func TestShippedFilesPassTheirTests(t *testing.T) {
	n, err := devices.Check(devices.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n < 30 {
		t.Errorf("only %d tests ran", n)
	}
}
