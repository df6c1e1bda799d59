package login

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"time"

	"golang.org/x/time/rate"
)

// TooManyError says that somebody tried too often.
type TooManyError struct{ After time.Duration } // when to try again

func (e *TooManyError) Error() string {
	return fmt.Sprintf("too many tries; try again in %s", e.After.Round(time.Second))
}

// limits holds back what is tried too often, by names. However many names there are, it
// takes the same memory and forgets none: names share limiters, by a hash that nobody outside can
// compute.
type limits struct {
	seed     maphash.Seed
	limiters [4096]*rate.Limiter
}

func newLimits(every time.Duration, burst int) *limits {
	l := &limits{seed: maphash.MakeSeed()}
	for i := range l.limiters {
		l.limiters[i] = rate.NewLimiter(rate.Every(every), burst)
	}
	return l
}

// take counts a try, or returns a [TooManyError].
func (l *limits) take(name string, now time.Time) error {
	limiter := l.limiters[maphash.String(l.seed, name)%uint64(len(l.limiters))]
	reservation := limiter.ReserveN(now, 1)
	if after := reservation.DelayFrom(now); after > 0 {
		reservation.CancelAt(now)
		return &TooManyError{After: after}
	}
	return nil
}

// network is what limits are for: an address, or the network that one line has in IPv6.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Is4() {
		return address
	}
	p, err := a.Prefix(64)
	if err != nil {
		return address
	}
	return p.String()
}
