package watch_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"greentally"
	"greentally/alerting/watch"
)

// store keeps alerts, if it is there.
type store struct {
	mu    sync.Mutex
	away  bool
	tries int
	kept  map[string]greentally.Alert // by device
}

func (s *store) WriteAlerts(_ context.Context, alerts []greentally.Alert) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tries++; s.away {
		return errors.New("the store is away")
	}
	for _, a := range alerts {
		s.kept[a.Device] = a
	}
	return nil
}

func (s *store) be(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

func (s *store) now() (kept map[string]greentally.Alert, tries int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.kept), s.tries
}

func TestArchive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{kept: map[string]greentally.Alert{}}
		archive := &watch.Archive{Store: s, Log: slog.New(slog.DiscardHandler)}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- archive.Run(ctx) }()
		now := time.Now()
		alert := func(device string, ended *time.Time) greentally.Alert {
			return greentally.Alert{Community: "c", Rule: "full", Device: device, Since: now, Fired: now, Ended: ended}
		}
		archive.Put(alert("a", nil))
		synctest.Wait()
		if kept, _ := s.now(); len(kept) != 1 || kept["a"].Ended != nil {
			t.Fatalf("kept %v", kept)
		}

		s.be(true)
		archive.Put(alert("a", &now), alert("b", nil))
		time.Sleep(time.Minute)
		archive.Put(alert("b", &now), alert("c", nil))
		time.Sleep(time.Minute)
		if _, tries := s.now(); tries < 10 {
			t.Errorf("tried %d times in two minutes", tries)
		}
		s.be(false)
		time.Sleep(10 * time.Second)
		if kept, _ := s.now(); len(kept) != 3 || kept["a"].Ended == nil || kept["b"].Ended == nil || kept["c"].Ended != nil {
			t.Errorf("kept %v", kept)
		}

		archive.Put(alert("d", nil))
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if kept, _ := s.now(); len(kept) != 4 {
			t.Errorf("what waited when it stopped is not kept: %v", kept)
		}
	})
}

func TestArchiveStopsWithoutItsStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		archive := &watch.Archive{Store: &store{away: true}, Log: slog.New(slog.DiscardHandler)}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- archive.Run(ctx) }()
		archive.Put(greentally.Alert{Device: "a"})
		time.Sleep(time.Minute)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
