package login

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// TestStrangersAreNotHeldBack uses up what 256 networks may, and then asks for others, which share
// limiters with them.
func TestStrangersAreNotHeldBack(t *testing.T) {
	l, now := newLimits(perAddress, addressBurst), time.Unix(0, 0)
	for i := range 256 {
		taken := 0
		for range 2 * addressBurst {
			if l.take(network(fmt.Sprintf("2001:db8:1:%x::1", i<<8)), now) == nil {
				taken++
			}
		}
		if taken < addressBurst || taken > addressBurst+2 {
			t.Errorf("network %d may try %d times", i, taken)
		}
	}
	held := 0
	for i := range 10_000 {
		if l.take(network(fmt.Sprintf("10.0.%d.%d", i/250, i%250)), now) != nil {
			held++
		}
	}
	if held > 10 {
		t.Errorf("%d of 10,000 strangers are held back", held)
	}
	var many *TooManyError
	if err := l.take(network("2001:db8:1:12::1"), now); !errors.As(err, &many) || many.After <= 0 || many.After > perAddress {
		t.Errorf("held back: %v", err)
	}
	if err := l.take(network("2001:db8:1:12::1"), now.Add(perAddress)); err != nil {
		t.Errorf("after that: %v", err)
	}
}
