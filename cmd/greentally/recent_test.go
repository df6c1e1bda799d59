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
		r := newRecent(10*time.Second, time.Now, func(context.Context, string, greentally.Month) (int, error) {
			computed++
			n := computed
			time.Sleep(time.Second) // on the test's clock
			return n, failing
		})
		ask := func(want int) {
			t.Helper()
			if got, err := r.get(t.Context(), "jiayuan", october); err != nil || got != want {
				t.Errorf("got number %d, %v; want %d", got, err, want)
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
		r.put("jiayuan", october, 70)
		ask(70)
		time.Sleep(10 * time.Second)
		ask(8)
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
