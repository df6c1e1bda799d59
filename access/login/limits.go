package login

import (
	"fmt"
	"hash/maphash"
	"math"
	"net/netip"
	"time"

	"golang.org/x/time/rate"
)

// TooManyError says that somebody tried too often.
type TooManyError struct{ After time.Duration } // when to try again

func (e *TooManyError) Error() string {
	return fmt.Sprintf("too many tries; try again in %s", e.After.Round(time.Second))
}

// limits holds back what is tried too often, by names. However many names there are, it takes the
// same memory and forgets none: each name has some of the limiters, by hashes that nobody outside
// can compute, and shares them with others. It is held back when all of its are used up, so that
// many names are needed to hold back another one.
type limits struct {
	seed     maphash.Seed
	limiters [1 << 14]*rate.Limiter
}

// limitersOfName is how many limiters a name has.
const limitersOfName = 4

func newLimits(every time.Duration, burst int) *limits {
	l := &limits{seed: maphash.MakeSeed()}
	for i := range l.limiters {
		l.limiters[i] = rate.NewLimiter(rate.Every(every), burst)
	}
	return l
}

// take counts a try, or returns a [TooManyError].
func (l *limits) take(name string, now time.Time) error {
	hash, taken := maphash.String(l.seed, name), false
	after := time.Duration(math.MaxInt64)
	for range limitersOfName {
		reservation := l.limiters[hash%uint64(len(l.limiters))].ReserveN(now, 1)
		if wait := reservation.DelayFrom(now); wait > 0 {
			reservation.CancelAt(now)
			after = min(after, wait)
		} else {
			taken = true
		}
		hash /= uint64(len(l.limiters))
	}
	if !taken {
		return &TooManyError{After: after}
	}
	return nil
}

// network is what limits are for: an address, or in IPv6 what one line has at most.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Is4() {
		return address
	}
	p, err := a.Prefix(56)
	if err != nil {
		return address
	}
	return p.String()
}
