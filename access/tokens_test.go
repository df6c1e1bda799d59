package access_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"greentally/access"
)

func openTokens(t *testing.T, js jetstream.JetStream, now func() time.Time) *access.Tokens {
	t.Helper()
	all, err := access.OpenTokens(t.Context(), js, 1, now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestTokens makes a token, uses it on two days, and revokes it, with a restart between.
func TestTokens(t *testing.T) {
	dir := t.TempDir()
	js, stop := stream(t, dir)
	clock := now
	tokens := openTokens(t, js, func() time.Time { return clock })
	screen := access.Binding{Role: access.RoleScreen, Communities: []string{"jiayuan"}}
	secret, err := tokens.Add(t.Context(), access.Token{Name: "大厅-3", Binding: screen, By: "root"})
	if err != nil || !strings.HasPrefix(secret, "greentally_") || len(secret) != len("greentally_")+43 {
		t.Fatalf("%q, %v", secret, err)
	}
	if _, err := tokens.Add(t.Context(), access.Token{Name: "大厅-3", Binding: screen}); !errors.Is(err, access.ErrThere) {
		t.Errorf("the same again: %v", err)
	} else {
		inChinese(t, err)
	}
	if _, err := tokens.Add(t.Context(), access.Token{Name: "a b", Binding: screen}); !errors.Is(err, access.ErrInvalid) {
		t.Errorf("a name with a blank: %v", err)
	} else {
		inChinese(t, err)
	}
	other, err := tokens.Add(t.Context(), access.Token{Name: "prometheus", Binding: access.Binding{Role: access.RoleMonitor}})
	if err != nil || other == secret {
		t.Fatal(err)
	}
	stop()
	js, _ = stream(t, dir)
	tokens = openTokens(t, js, func() time.Time { return clock })
	for day := range 2 {
		for range 3 {
			got, there := tokens.BySecret(t.Context(), secret)
			if !there || got.Name != "大厅-3" {
				t.Fatalf("day %d: %+v", day, got)
			}
		}
		if got, there := tokens.ByName("大厅-3"); !there || got.Used == nil || got.Used.Day != 1+day || !got.Created.Equal(now) || got.By != "root" {
			t.Errorf("day %d: %+v", day, got)
		}
		clock = clock.Add(24 * time.Hour)
	}
	info, err := bucket(t, js, "GREENTALLY_TOKENS").Status(t.Context())
	if err != nil || info.(*jetstream.KeyValueBucketStatus).StreamInfo().State.LastSeq != 4 {
		t.Errorf("two tokens and two days took other than 4 writes: %v", err)
	}
	p := first(tokens.BySecret(t.Context(), secret)).Principal("192.0.2.1")
	if p.Name != "token:大厅-3" || p.Address != "192.0.2.1" || p.Session || !p.May(access.Screen, "jiayuan") || p.May(access.Read, "jiayuan") {
		t.Errorf("who bears it: %+v", p)
	}
	told, err := json.Marshal(tokens.List())
	if err != nil || len(tokens.List()) != 2 || strings.Contains(string(told), "sha256") || !strings.Contains(string(told), `"role":"screen"`) {
		t.Errorf("what is told of tokens: %s, %v", told, err)
	}
	for _, wrong := range []string{"", "greentally_", secret[:len(secret)-1], secret + "A", strings.ToLower(secret), "大厅-3"} {
		if got, there := tokens.BySecret(t.Context(), wrong); there {
			t.Errorf("%q is the token %+v", wrong, got)
		}
	}

	elsewhere := openTokens(t, js, func() time.Time { return clock })
	follow(t, elsewhere.Run)
	if err := tokens.Revoke(t.Context(), "大厅-3"); err != nil {
		t.Fatal(err)
	}
	if _, there := tokens.BySecret(t.Context(), secret); there {
		t.Error("a revoked token is in force")
	}
	eventually(t, "revoked in another program", func() bool { _, there := elsewhere.BySecret(t.Context(), secret); return !there })
	if err := tokens.Revoke(t.Context(), "大厅-3"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("revoked again: %v", err)
	}
	if again, err := tokens.Add(t.Context(), access.Token{Name: "大厅-3", Binding: screen}); err != nil || again == secret {
		t.Errorf("another of the name: %v", err)
	}
}

func first[A, B any](a A, _ B) A { return a }

// TestRevokedStaysRevoked has a program that does not know yet that a token was revoked note that
// it was used.
func TestRevokedStaysRevoked(t *testing.T) {
	js, _ := stream(t, t.TempDir())
	one := openTokens(t, js, func() time.Time { return now })
	secret, err := one.Add(t.Context(), access.Token{Name: "a", Binding: access.Binding{Role: access.RoleMonitor}})
	if err != nil {
		t.Fatal(err)
	}
	late := openTokens(t, js, func() time.Time { return now })
	if err := one.Revoke(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	late.BySecret(t.Context(), secret)
	if all := openTokens(t, js, time.Now).List(); len(all) != 0 {
		t.Errorf("there are %v", all)
	}
}

func TestInvalidTokens(t *testing.T) {
	js, _ := stream(t, t.TempDir())
	tokens := openTokens(t, js, time.Now)
	for name, token := range map[string]access.Token{
		"no name":              {Binding: access.Binding{Role: access.RoleMonitor}},
		"a name with a blank":  {Name: "a b", Binding: access.Binding{Role: access.RoleMonitor}},
		"no role":              {Name: "a"},
		"a screen of two":      {Name: "a", Binding: access.Binding{Role: access.RoleScreen, Communities: []string{"a", "b"}}},
		"a monitor of one":     {Name: "a", Binding: access.Binding{Role: access.RoleMonitor, Communities: []string{"a"}}},
		"an assessor of none":  {Name: "a", Binding: access.Binding{Role: access.RoleAssessor}},
		"an unknown role of a": {Name: "a", Binding: access.Binding{Role: "owner", Communities: []string{"a"}}},
	} {
		if _, err := tokens.Add(t.Context(), token); !errors.Is(err, access.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzSecret(f *testing.F) {
	js, _ := stream(f, f.TempDir())
	tokens, err := access.OpenTokens(context.Background(), js, 1, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	secret, err := tokens.Add(context.Background(), access.Token{Name: "a", Binding: access.Binding{Role: access.RoleMonitor}})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", "greentally_", secret[:50], secret + "=", "greentally_\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if _, there := tokens.BySecret(t.Context(), s); there != (s == secret) {
			t.Errorf("%q is a token: %v", s, there)
		}
	})
}
