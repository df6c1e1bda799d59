// Package health knows what is wrong with the program now, so that readiness, status, log and
// metric say the same.
//
// The parts of the program tell it of their trouble by a function each, and of its end; it
// decides nothing, and mends nothing.
package health

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Trouble is something that is wrong.
type Trouble struct {
	Name  string    `json:"name"`
	Since time.Time `json:"since"`
	Error string    `json:"error"`
	// Stops says that messages are not taken, or not kept, while it lasts.
	Stops bool `json:"stops"`
}

// Board is where it is told. Its methods can be called from several goroutines.
type Board struct {
	log   *slog.Logger
	gauge *prometheus.GaugeVec

	mu  sync.Mutex
	now map[string]Trouble
}

// New returns a board on which nothing is wrong. It registers the metric greentally_trouble, which
// is 1 for each trouble that there is, and 0 for those that there could be.
func New(registerer prometheus.Registerer, log *slog.Logger) *Board {
	b := &Board{log: log, now: map[string]Trouble{}, gauge: prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "greentally_trouble", Help: "1 while something is wrong with the program, by what it is; greentally status says more.",
	}, []string{"trouble"})}
	registerer.MustRegister(b.gauge)
	return b
}

// Reporter returns the function by which a part tells of its trouble: an error when there is
// some, again if it changes, and nil when there is none any more. stops says whether the program
// takes or keeps no messages meanwhile, and so is not ready.
func (b *Board) Reporter(name string, stops bool) func(error) {
	gauge := b.gauge.WithLabelValues(name)
	gauge.Set(0)
	return func(err error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		before, there := b.now[name]
		switch {
		case err == nil && there:
			delete(b.now, name)
			gauge.Set(0)
			b.log.Info("no longer wrong: "+name, "for", time.Since(before.Since).Round(time.Second))
		case err != nil && !there:
			b.now[name] = Trouble{name, time.Now(), err.Error(), stops}
			gauge.Set(1)
			b.log.Error("something is wrong: "+name, "error", err)
		case err != nil:
			before.Error = err.Error()
			b.now[name] = before
		}
	}
}

// Troubles returns what is wrong now, what stops messages first, then by name.
func (b *Board) Troubles() []Trouble {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]Trouble, 0, len(b.now))
	for _, t := range b.now {
		all = append(all, t)
	}
	slices.SortFunc(all, func(x, y Trouble) int {
		if x.Stops != y.Stops {
			return map[bool]int{true: -1, false: 1}[x.Stops]
		}
		return strings.Compare(x.Name, y.Name)
	})
	return all
}

// Ready returns what keeps messages from being taken or kept; nil if nothing does.
func (b *Board) Ready() error {
	var all []error
	for _, t := range b.Troubles() {
		if t.Stops {
			all = append(all, fmt.Errorf("%s: %s", t.Name, t.Error))
		}
	}
	return errors.Join(all...)
}
