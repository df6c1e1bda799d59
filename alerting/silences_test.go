package alerting

import (
	"context"
	"errors"
	"io/fs"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	commonconfig "github.com/prometheus/common/config"

	"greentally"
	"greentally/internal/testserver"
)

// silencer is what both ways of telling people can do.
type silencer interface {
	Silences(ctx context.Context, community string) ([]greentally.Silence, error)
	Silence(context.Context, greentally.Silence) (greentally.Silence, error)
	EndSilence(ctx context.Context, community, id string) error
}

// TestSilences runs one contract on Alertmanager in the process, on a real one elsewhere, and on
// one elsewhere of which the first of two is away.
func TestSilences(t *testing.T) {
	inside := start(t, Options{Config: load(t, oneGroup), Email: (&post{}).email})
	server := httptest.NewServer(inside.Handler())
	t.Cleanup(server.Close)
	elsewhere := alertmanager(t)
	remote := func(urls ...*url.URL) *Remote {
		r, err := NewRemote(RemoteOptions{URLs: urls, HTTP: commonconfig.DefaultHTTPClientConfig, Log: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		return r
	}
	up := remote(elsewhere)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := up.Silences(t.Context(), "c1"); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		silencer
		url string
	}{
		"in the process": {inside, server.URL}, "elsewhere": {up, elsewhere.String()},
		"elsewhere, the first is away": {remote(&url.URL{Scheme: "http", Host: "127.0.0.1:1"}, elsewhere), elsewhere.String()},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, now := t.Context(), time.Now().UTC().Truncate(time.Second)
			community := "c" + map[bool]string{true: "1", false: "2"}[name == "elsewhere"]
			add := func(s greentally.Silence) greentally.Silence {
				t.Helper()
				s.Community, s.Since, s.By = community, now, "li"
				made, err := tt.Silence(ctx, s)
				if err != nil || made.ID == "" {
					t.Fatalf("silence %+v: %v", s, err)
				}
				return made
			}
			long := add(greentally.Silence{Device: "bin-1", Until: now.Add(4 * time.Hour), Why: `replaced; "new" one`})
			short := add(greentally.Silence{Rule: "fire", Device: "bin-2", Until: now.Add(time.Hour), Acknowledges: true, Why: "on it"})
			rate := add(greentally.Silence{Rule: "low", Indicator: "capture", Until: now.Add(2 * time.Hour), Acknowledges: true})
			by := testserver.Amtool(t, "--alertmanager.url="+tt.url, "silence", "add", "--author=wang", "--comment=a drill", "--duration=8h", "community="+community, "severity=~warning|info")
			testserver.Amtool(t, "--alertmanager.url="+tt.url, "silence", "add", "--author=wang", "--comment=another's", "community=other")

			got, err := tt.Silences(ctx, community)
			if err != nil || len(got) != 4 {
				t.Fatalf("silences: %+v, %v", got, err)
			}
			for i, want := range []greentally.Silence{short, rate, long} {
				one := got[i]
				if one.Since = one.Since.Truncate(time.Second); !equalSilences(one, want) {
					t.Errorf("silence %d is %+v, want %+v", i, one, want)
				}
			}
			if s := got[3]; s.ID+"\n" != by || !slices.Equal(s.Further, []string{`severity=~"warning|info"`}) || s.Why != "a drill" || s.By != "wang" {
				t.Errorf("amtool's %q is %+v", by, s)
			}
			if err := tt.EndSilence(ctx, "other", long.ID); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("end the silence of another community: %v", err)
			}
			if err := tt.EndSilence(ctx, community, "none"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("end no silence: %v", err)
			}
			for _, s := range got {
				if err := tt.EndSilence(ctx, community, s.ID); err != nil {
					t.Error(err)
				}
			}
			if got, err := tt.Silences(ctx, community); err != nil || len(got) != 0 {
				t.Errorf("after all ended: %+v, %v", got, err)
			}
			if err := tt.EndSilence(ctx, community, long.ID); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("end it twice: %v", err)
			}
		})
	}
}

func equalSilences(a, b greentally.Silence) bool {
	return a.ID == b.ID && a.Community == b.Community && a.Rule == b.Rule && a.Device == b.Device && a.Indicator == b.Indicator && len(a.Further) == 0 &&
		a.Acknowledges == b.Acknowledges && a.Since.Equal(b.Since) && a.Until.Equal(b.Until) && a.By == b.By && a.Why == b.Why
}

// TestSilencesAreKept has the process killed right after a silence was made, and one ended.
func TestSilencesAreKept(t *testing.T) {
	state := &memory{}
	before := start(t, Options{Config: load(t, oneGroup), State: state, Email: (&post{}).email})
	now := time.Now().UTC()
	var ids []string
	for _, device := range []string{"bin-1", "bin-2"} {
		s, err := before.Silence(t.Context(), greentally.Silence{Community: "jiayuan", Device: device, Since: now, Until: now.Add(time.Hour), By: "li", Why: "x"})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, s.ID)
	}
	if err := before.EndSilence(t.Context(), "jiayuan", ids[0]); err != nil {
		t.Fatal(err)
	}
	after := start(t, Options{Config: load(t, oneGroup), State: &memory{values: state.values}, Email: (&post{}).email})
	if all, err := after.Silences(t.Context(), "jiayuan"); err != nil || len(all) != 1 || all[0].ID != ids[1] {
		t.Errorf("after the kill: %+v, %v", all, err)
	}
	state.fail(errors.New("the disk is full"))
	defer state.fail(nil)
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := before.Silence(short, greentally.Silence{Community: "jiayuan", Device: "bin-3", Since: now, Until: now.Add(time.Hour), By: "li", Why: "x"}); err == nil {
		t.Error("a silence that is not kept was taken")
	}
}
