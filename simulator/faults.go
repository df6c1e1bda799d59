package simulator

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Faults is what goes wrong between the devices' sensors and the broker.
type Faults struct {
	Loss      float64       // share of readings never sent
	Duplicate float64       // share of messages sent twice
	Late      time.Duration // up to how much later a tenth of the messages is sent
	Reset     int           // energy registers that begin again at 0, once
	Wrap      int           // energy registers that pass their modulus soon
	Replace   int           // meters that are replaced, and declared so
	Silent    int           // devices that say nothing for two days
	Malformed float64       // extra messages that nobody can read, as a share of all
}

// lateShare is the share of messages that Faults.Late delays.
const lateShare = 0.1

// ParseFaults reads a list such as loss=0.05,duplicate=0.02,late=48h,reset=1.
func ParseFaults(text string) (Faults, error) {
	var f Faults
	if text == "" {
		return f, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, "=")
		var err error
		share := func(to *float64) {
			*to, err = strconv.ParseFloat(value, 64)
			if err == nil && !(*to >= 0 && *to <= 1) {
				err = fmt.Errorf("must be 0 to 1")
			}
		}
		switch name {
		case "loss":
			share(&f.Loss)
		case "duplicate":
			share(&f.Duplicate)
		case "malformed":
			share(&f.Malformed)
		case "late":
			f.Late, err = time.ParseDuration(value)
			if err == nil && f.Late < 0 {
				err = fmt.Errorf("must not be negative")
			}
		case "reset", "wrap", "replace", "silent":
			to := map[string]*int{"reset": &f.Reset, "wrap": &f.Wrap, "replace": &f.Replace, "silent": &f.Silent}[name]
			*to, err = strconv.Atoi(value)
			if err == nil && *to < 0 {
				err = fmt.Errorf("must not be negative")
			}
		default:
			return f, fmt.Errorf("fault %q is none of loss, duplicate, late, reset, wrap, replace, silent, malformed", name)
		}
		if err != nil {
			return f, fmt.Errorf("fault %s: %q: %w", name, value, err)
		}
	}
	return f, nil
}
