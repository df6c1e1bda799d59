package retry_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"greentally/internal/retry"
)

var errAway = errors.New("the store is away")

func TestDo(t *testing.T) {
	for _, tt := range []struct {
		name     string
		failures int
		took     time.Duration
		log      []string // what its lines have in them
	}{
		{"it works", 0, 0, nil},
		{"it works again", 2, 300 * time.Millisecond, []string{
			`level=WARN msg="could not write; trying until it works" error="the store is away" attempt=1`, `level=INFO msg="works again: write" attempts=3`}},
		{"it is away for long", 30, 6300*time.Millisecond + 24*5*time.Second, []string{"attempt=1", "attempt=21", "attempts=31"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				start, calls := time.Now(), 0
				err := retry.Do(t.Context(), slog.New(slog.NewTextHandler(&out, nil)), "write", func() error {
					if calls++; calls <= tt.failures {
						return errAway
					}
					return nil
				})
				if took := time.Since(start); err != nil || calls != tt.failures+1 || took != tt.took {
					t.Errorf("%d calls in %v: %v, want %d in %v", calls, took, err, tt.failures+1, tt.took)
				}
				lines := strings.Split(strings.TrimSpace(out.String()), "\n")
				if len(tt.log) == 0 && out.Len() > 0 || len(tt.log) > 0 && len(lines) != len(tt.log) {
					t.Fatalf("the log is\n%s", out.String())
				}
				for i, want := range tt.log {
					if !strings.Contains(lines[i], want) {
						t.Errorf("the log says %q, want %q", lines[i], want)
					}
				}
			})
		})
	}
}

func TestDoStops(t *testing.T) {
	for _, tt := range []struct {
		name string
		stop time.Duration // when the context is done
		want int           // calls
	}{
		{"before the first call", 0, 1},
		{"between two calls", 250 * time.Millisecond, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tt.stop)
				defer cancel()
				calls, start := 0, time.Now()
				err := retry.Do(ctx, slog.New(slog.DiscardHandler), "write", func() error { calls++; return errAway })
				if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || calls != tt.want || took != tt.stop {
					t.Errorf("%d calls in %v: %v, want %d in %v", calls, took, err, tt.want, tt.stop)
				}
			})
		})
	}
}
