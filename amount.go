package greentally

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Amount is a decimal number with six places: a count of millionths of its unit.
// Tallies are kept in amounts, not in floats, because sums of amounts are exact
// and do not depend on their order. Its JSON form is a plain decimal number.
type Amount int64

// Unit is the amount 1.
const Unit Amount = 1_000_000

// maxAmount is the largest float that [AmountOf] takes, 9 × 10¹² units.
const maxAmount = 9e12

// AmountOf rounds v to six places, halves away from zero. NaN, infinities and
// values beyond ±9 × 10¹² are not amounts; AmountOf reports false for them.
func AmountOf(v float64) (Amount, bool) {
	if !(math.Abs(v) <= maxAmount) {
		return 0, false
	}
	return Amount(math.Round(v * float64(Unit))), true
}

// Float returns the amount as a float64.
func (a Amount) Float() float64 { return float64(a) / float64(Unit) }

// String returns the shortest exact decimal, such as "12.3" or "-0.000001".
func (a Amount) String() string {
	sign, u := "", uint64(a)
	if a < 0 {
		sign, u = "-", -u
	}
	whole, rest := u/uint64(Unit), u%uint64(Unit)
	if rest == 0 {
		return sign + strconv.FormatUint(whole, 10)
	}
	return sign + strconv.FormatUint(whole, 10) + "." + strings.TrimRight(fmt.Sprintf("%06d", rest), "0")
}

// MarshalJSON writes the amount as a decimal number.
func (a Amount) MarshalJSON() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalJSON reads a decimal number with at most six places; it does not round.
func (a *Amount) UnmarshalJSON(b []byte) error {
	parsed, err := ParseAmount(string(b))
	if err != nil {
		return err
	}
	*a = parsed
	return nil
}

// ErrNotAnAmount is wrapped by the errors of [ParseAmount].
var ErrNotAnAmount = errors.New("not a decimal number with at most six places")

// ParseAmount reads what [Amount.String] writes.
func ParseAmount(s string) (Amount, error) {
	fail := func() (Amount, error) { return 0, fmt.Errorf("%q: %w", s, ErrNotAnAmount) }
	digits, negative := strings.CutPrefix(s, "-")
	whole, fraction, dotted := strings.Cut(digits, ".")
	if whole == "" || len(fraction) > 6 || dotted && fraction == "" {
		return fail()
	}
	u, err := strconv.ParseUint(whole+fraction+strings.Repeat("0", 6-len(fraction)), 10, 64)
	if err != nil || u > math.MaxInt64 {
		return fail()
	}
	if negative {
		return -Amount(u), nil
	}
	return Amount(u), nil
}
