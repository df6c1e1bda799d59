package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"greentally"
)

// TestRecent computes once for all who look at about the same time, and again for who changed
// something.
func TestRecent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		october := greentally.Month{Year: 2026, Month: time.October}
		computed, failing := 0, error(nil)
		r := newRecent(time.Now, func(_ context.Context, community string, _ greentally.Month) (figures, error) {
			computed++
			n := float64(computed)
			time.Sleep(time.Second) // on the test's clock
			return figures{values: []greentally.IndicatorValue{{Community: community, Value: &n}}}, failing
		})
		ask := func(want float64) {
			t.Helper()
			f, err := r.get(t.Context(), "jiayuan", october)
			if err != nil || *f.values[0].Value != want {
				t.Errorf("figures %+v, %v; want those computed as number %v", f, err, want)
			}
		}
		for range 3 {
			go ask(1)
		}
		ask(1)
		time.Sleep(8 * time.Second)
		ask(1)
		time.Sleep(2 * time.Second)
		ask(2)

		r.forget("binhe") // another's
		ask(2)
		go func() {
			time.Sleep(time.Millisecond)
			r.forget("jiayuan") // while it is computed
		}()
		time.Sleep(11 * time.Second)
		go ask(4) // for the third is too old when it is there
		synctest.Wait()
		r.forget("jiayuan")
		time.Sleep(10 * time.Millisecond)
		ask(4)

		time.Sleep(20 * time.Second)
		failing = errors.New("the store is away")
		if _, err := r.get(t.Context(), "jiayuan", october); !errors.Is(err, failing) {
			t.Errorf("the store is away: %v", err)
		}
		failing = nil
		ask(6) // what failed is not kept
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		time.Sleep(11 * time.Second)
		if _, err := r.get(gone, "jiayuan", october); !errors.Is(err, context.Canceled) {
			t.Errorf("who has gone: %v", err)
		}
		ask(7) // which was begun
		for year := range recentMost + 5 {
			if _, err := r.get(t.Context(), "jiayuan", greentally.Month{Year: 2000 + year, Month: time.May}); err != nil {
				t.Error(err)
			}
		}
		if len(r.kept) > recentMost {
			t.Errorf("%d months are kept", len(r.kept))
		}
	})
}
