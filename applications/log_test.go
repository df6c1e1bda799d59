package applications_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"greentally"
	"greentally/applications"
	"greentally/internal/embeddednats"
)

var now = time.Date(2026, 12, 1, 2, 0, 0, 0, time.UTC)

// stream starts a JetStream in the folder, until stop.
func stream(t *testing.T, dir string) (js jetstream.JetStream, stop func()) {
	t.Helper()
	server, err := embeddednats.Start(dir, embeddednats.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(server.Close)
	t.Cleanup(stop)
	js, err = jetstream.New(server.Conn)
	if err != nil {
		t.Fatal(err)
	}
	return js, stop
}

func open(t *testing.T, js jetstream.JetStream) *applications.Log {
	t.Helper()
	l, err := applications.OpenLog(t.Context(), js, 1, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestLog takes an application from draft to title, with a restart at each step.
func TestLog(t *testing.T) {
	dir := t.TempDir()
	js, stop := stream(t, dir)
	l := open(t, js)
	a, err := l.Begin(t.Context(), draft(on(time.October, 3)))
	if err != nil {
		t.Fatal(err)
	}
	for i, to := range []greentally.Stage{greentally.StageSubmitted, greentally.StageSurveyed, greentally.StageAccepted, greentally.StageNamed} {
		stop()
		js, stop = stream(t, dir)
		l = open(t, js)
		if a, err = l.Add(t.Context(), a.ID, step(to, on(time.October, 4+i))); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	js, _ = stream(t, dir)
	l = open(t, js)
	got, err := l.Get(t.Context(), a.ID)
	if err != nil || got.Stage != greentally.StageNamed || len(got.Steps) != 5 || !got.Steps[4].Recorded.Equal(now) || got.Steps[4].By != "李娜" {
		t.Errorf("after restarts: %+v, %v", got, err)
	}
	if _, err := l.Get(t.Context(), "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an application that is not there: %v", err)
	}
	if _, err := l.Add(t.Context(), "none", step(greentally.StageSurveyed, on(time.October, 9))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a step of an application that is not there: %v", err)
	}
}

func TestOneAtATime(t *testing.T) {
	js, _ := stream(t, t.TempDir())
	l := open(t, js)
	a, err := l.Begin(t.Context(), draft(on(time.October, 3)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Begin(t.Context(), draft(on(time.October, 3))); !errors.Is(err, applications.ErrRefused) || !strings.Contains(err.Error(), a.ID) {
		t.Errorf("a second application by the same scheme: %v", err)
	}
	other := draft(on(time.October, 3))
	other.Community = "xixiang"
	if _, err := l.Begin(t.Context(), other); err != nil {
		t.Errorf("another community's: %v", err)
	}
	if _, err := l.Add(t.Context(), a.ID, step(greentally.StageWithdrawn, on(time.October, 4))); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Begin(t.Context(), draft(on(time.October, 5))); err != nil {
		t.Errorf("after the first was withdrawn: %v", err)
	}
	title := step(greentally.StageNamed, on(time.May, 4))
	title.Community = "xixiang"
	if _, err := l.Begin(t.Context(), title); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Begin(t.Context(), title); !errors.Is(err, applications.ErrRefused) || !strings.Contains(err.Error(), "has that title already") {
		t.Errorf("the same title again: %v", err)
	}
	title.On = on(time.May, 5)
	if _, err := l.Begin(t.Context(), title); err != nil {
		t.Errorf("the title anew: %v", err)
	}
	all, err := l.All(t.Context(), "jiayuan")
	if err != nil || len(all) != 2 {
		t.Errorf("%d applications of the community: %v", len(all), err)
	}
	if all, err = l.All(t.Context(), ""); err != nil || len(all) != 5 {
		t.Errorf("%d applications: %v", len(all), err)
	}
}

// TestTwoPrograms has two logs of one stream take the same step at the same time: one of them
// is refused, and both see the same.
func TestTwoPrograms(t *testing.T) {
	js, _ := stream(t, t.TempDir())
	first, second := open(t, js), open(t, js)
	for range 10 {
		a, err := first.Begin(t.Context(), draft(on(time.October, 3)))
		if err != nil {
			t.Fatal(err)
		}
		var took atomic.Int32
		var both sync.WaitGroup
		for _, l := range []*applications.Log{first, second} {
			both.Go(func() {
				_, err := l.Add(context.WithoutCancel(t.Context()), a.ID, step(greentally.StageWithdrawn, on(time.October, 3)))
				if err == nil {
					took.Add(1)
				} else if !errors.Is(err, applications.ErrRefused) {
					t.Error(err)
				}
			})
		}
		both.Wait()
		got, err := second.Get(t.Context(), a.ID)
		if err != nil || took.Load() != 1 || len(got.Steps) != 2 {
			t.Fatalf("%d took the step, and there are %d steps: %v", took.Load(), len(got.Steps), err)
		}
	}
}

func TestBundles(t *testing.T) {
	dir := t.TempDir()
	js, stop := stream(t, dir)
	b, err := applications.OpenBundles(t.Context(), js, 1)
	if err != nil {
		t.Fatal(err)
	}
	bundle := bytes.Repeat([]byte("evidence "), 100_000)
	var name string
	for range 2 {
		if name, err = b.Keep(t.Context(), bundle); err != nil || len(name) != 64 {
			t.Fatalf("kept as %q: %v", name, err)
		}
	}
	stop()
	js, _ = stream(t, dir)
	if b, err = applications.OpenBundles(t.Context(), js, 1); err != nil {
		t.Fatal(err)
	}
	if back, err := b.Get(t.Context(), name); err != nil || !bytes.Equal(back, bundle) {
		t.Errorf("it comes back as %d bytes: %v", len(back), err)
	}
	if _, err := b.Get(t.Context(), "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a bundle that is not there: %v", err)
	}
}

// A step that was damaged is gone, and the log goes on without it.
func TestDamagedStep(t *testing.T) {
	dir := t.TempDir()
	js, stop := stream(t, dir)
	l := open(t, js)
	a, err := l.Begin(t.Context(), draft(on(time.October, 3)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = l.Add(t.Context(), a.ID, step(greentally.StageSubmitted, on(time.October, 4))); err != nil {
		t.Fatal(err)
	}
	stop()
	files, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "GREENTALLY_APPLICATIONS", "msgs", "*.blk"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v: %v", files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-12] ^= 1
	if err := os.WriteFile(files[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
	js, _ = stream(t, dir)
	l = open(t, js)
	if got, err := l.Get(t.Context(), a.ID); err != nil || got.Stage != greentally.StageDraft {
		t.Errorf("the application is %s: %v", got.Stage, err)
	}
	if got, err := l.Add(t.Context(), a.ID, step(greentally.StageSubmitted, on(time.October, 5))); err != nil || got.Stage != greentally.StageSubmitted {
		t.Errorf("with the step taken again it is %s: %v", got.Stage, err)
	}
}
