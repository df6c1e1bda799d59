package access_test

import (
	"context"
	"log/slog"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/crypto/bcrypt"

	"greentally"
	"greentally/access"
	"greentally/internal/embeddednats"
)

var now = time.Date(2026, 12, 1, 2, 0, 0, 0, time.UTC)

// stream starts a JetStream in the folder, until stop.
func stream(t testing.TB, dir string) (js jetstream.JetStream, stop func()) {
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

func openUsers(t *testing.T, js jetstream.JetStream) *access.Users {
	t.Helper()
	u, err := access.OpenUsers(t.Context(), js, 1, bcrypt.MinCost, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// follow runs something until the test is over.
func follow(t *testing.T, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within ten seconds", what)
		}
	}
}

// inChinese fails the test for an error that people are told of and has words of English alone.
func inChinese(t *testing.T, err error) {
	t.Helper()
	text := greentally.ErrorText(err)
	if english := regexp.MustCompile(`[a-z]{3,} [a-z]{2,}|[a-z]: `).FindString(text.ZH); english != "" || text.EN != err.Error() {
		t.Errorf("in Chinese %q says %q", err, text.ZH)
	}
}

const password = "green bins, blue bins"

// root is the first user of tests.
func root(t *testing.T, u *access.Users) access.User {
	t.Helper()
	return add(t, u, access.User{Name: "root", Bindings: []access.Binding{{Role: access.RoleAdministrator}}})
}

func add(t *testing.T, u *access.Users, user access.User) access.User {
	t.Helper()
	user, err := u.Add(t.Context(), user, password)
	if err != nil {
		t.Fatal(err)
	}
	return user
}

func bucket(t *testing.T, js jetstream.JetStream, name string) jetstream.KeyValue {
	t.Helper()
	b, err := js.KeyValue(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
