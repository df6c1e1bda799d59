package access_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"greentally/access"
)

// TestUsers adds, changes and removes users, with a restart between.
func TestUsers(t *testing.T) {
	dir := t.TempDir()
	js, stop := stream(t, dir)
	u := openUsers(t, js)
	if u.Any() {
		t.Error("there are users before the first")
	}
	root(t, u)
	added := add(t, u, access.User{Name: " ＬｉＮａ ", Display: "李娜", Email: "Li.Na@Example.org", Language: "zh",
		Bindings: []access.Binding{{Role: access.RoleManager, Communities: []string{"jiayuan"}}, {Role: access.RoleAssessor, Communities: []string{"b", "c"}}}})
	if added.Name != "lina" || added.Email != "li.na@example.org" || !added.Password || added.Revision == 0 || added.Generation == "" {
		t.Errorf("added: %+v", added)
	}
	if _, err := u.Add(t.Context(), access.User{Name: "LINA"}, password); !errors.Is(err, access.ErrThere) {
		t.Errorf("the same again: %v", err)
	} else {
		inChinese(t, err)
	}
	stop()

	js, _ = stream(t, dir)
	u = openUsers(t, js)
	known, err := u.Get("Lina")
	if err != nil || known.Display != "李娜" || known.Revision != added.Revision || len(known.Bindings) != 2 || !u.Any() {
		t.Fatalf("after a restart: %+v, %v", known, err)
	}
	known.Bindings = known.Bindings[:1]
	changed, err := u.Change(t.Context(), known)
	if err != nil || len(changed.Bindings) != 1 || changed.Generation != known.Generation || !changed.Password || changed.Revision <= known.Revision {
		t.Errorf("changed: %+v, %v", changed, err)
	}
	if _, err := u.Change(t.Context(), known); !errors.Is(err, access.ErrChanged) {
		t.Errorf("changed once more from the same: %v", err)
	} else {
		inChinese(t, err)
	}
	changed.Disabled = true
	out, err := u.Change(t.Context(), changed)
	if err != nil || out.Generation == changed.Generation {
		t.Errorf("disabled: %+v, %v", out, err)
	}
	if err := u.EndSessions(t.Context(), "lina"); err != nil {
		t.Error(err)
	}
	if again, _ := u.Get("lina"); again.Generation == out.Generation {
		t.Error("the sessions are those of before")
	}
	if err := u.Remove(t.Context(), "lina", out.Revision); !errors.Is(err, access.ErrChanged) {
		t.Errorf("removed at an old revision: %v", err)
	}
	again, _ := u.Get("lina")
	if err := u.Remove(t.Context(), "lina", again.Revision); err != nil {
		t.Error(err)
	}
	if _, err := u.Get("lina"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a removed user: %v", err)
	}
	if second := add(t, u, access.User{Name: "lina"}); second.Generation == again.Generation || len(second.Bindings) != 0 {
		t.Errorf("another of the same name: %+v", second)
	}
	names := []string{}
	for _, one := range u.List() {
		names = append(names, one.Name)
	}
	if !slices.Equal(names, []string{"lina", "root"}) {
		t.Errorf("users %v", names)
	}
	told, err := json.Marshal(u.List())
	if err != nil || strings.Contains(string(told), "$2a$") || strings.Contains(string(told), again.Generation) {
		t.Errorf("what is told of users: %s, %v", told, err)
	}
	for _, err := range []error{
		second(u.Change(t.Context(), access.User{Name: "none"})), second(u.SetPassword(t.Context(), "none", password)), second(u.SetPassword(t.Context(), "none", "")),
		u.Remove(t.Context(), "none", 0), u.EndSessions(t.Context(), "none"),
	} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("of a user who is not there: %v", err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestLastAdministrator(t *testing.T) {
	js, _ := stream(t, t.TempDir())
	u := openUsers(t, js)
	admin := []access.Binding{{Role: access.RoleAdministrator}}
	if _, err := u.Add(t.Context(), access.User{Name: "lina", Bindings: []access.Binding{{Role: access.RoleManager, Communities: []string{"a"}}}}, password); !errors.Is(err, access.ErrLast) {
		t.Errorf("a first user who is no administrator: %v", err)
	}
	if _, err := u.Add(t.Context(), access.User{Name: "root", Bindings: admin}, ""); !errors.Is(err, access.ErrLast) {
		t.Errorf("a first user who cannot log in: %v", err)
	}
	one := root(t, u)
	add(t, u, access.User{Name: "out", Bindings: admin, Disabled: true})
	disabled, demoted := one, one
	disabled.Disabled, demoted.Bindings = true, nil
	for name, err := range map[string]error{
		"removed":            u.Remove(t.Context(), "root", one.Revision),
		"disabled":           second(u.Change(t.Context(), disabled)),
		"demoted":            second(u.Change(t.Context(), demoted)),
		"without a password": second(u.SetPassword(t.Context(), "root", "")),
	} {
		if !errors.Is(err, access.ErrLast) {
			t.Errorf("the last administrator %s: %v", name, err)
		}
		inChinese(t, err)
	}
	byProvider := access.User{Name: "two", Subject: "s-1", Bindings: admin}
	if _, err := u.Add(t.Context(), byProvider, ""); err != nil {
		t.Fatal(err)
	}
	if err := u.Remove(t.Context(), "root", one.Revision); !errors.Is(err, access.ErrLast) {
		t.Errorf("the last one who can log in without a provider: %v", err)
	}
	u.Provider = true
	if err := u.Remove(t.Context(), "root", one.Revision); err != nil {
		t.Errorf("the last but one: %v", err)
	}
}

// TestTwoPrograms has each of two programs remove the other's administrator at the same time: one
// is left, always.
func TestTwoPrograms(t *testing.T) {
	js, _ := stream(t, t.TempDir())
	programs := [2]*access.Users{openUsers(t, js), openUsers(t, js)}
	names := [2]string{"root", "second"}
	root(t, programs[0])
	for range 10 {
		for _, name := range names {
			_, err := programs[0].Add(t.Context(), access.User{Name: name, Bindings: []access.Binding{{Role: access.RoleAdministrator}}}, password)
			if err != nil && !errors.Is(err, access.ErrThere) {
				t.Fatal(err)
			}
		}
		var errs [2]error
		var both sync.WaitGroup
		for i, u := range programs {
			known, err := programs[0].Get(names[i])
			if err != nil {
				t.Fatal(err)
			}
			both.Go(func() { errs[i] = u.Remove(t.Context(), known.Name, known.Revision) })
		}
		both.Wait()
		if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs[:]...), access.ErrLast) {
			t.Fatalf("removed both or none: %v", errs)
		}
	}
}

// between does something before each message is published.
type between struct {
	jetstream.JetStream
	do func()
}

func (b *between) PublishMsg(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	b.do()
	return b.JetStream.PublishMsg(ctx, msg, opts...)
}

// TestBetween has another program change other users after a program has looked at all of them,
// and before it writes: it looks again.
func TestBetween(t *testing.T) {
	js, _ := stream(t, t.TempDir())
	other := openUsers(t, js)
	late := &between{js, func() {}}
	u := openUsers(t, late)
	one := root(t, other)
	two := add(t, other, access.User{Name: "second", Bindings: one.Bindings})
	late.do = sync.OnceFunc(func() {
		if err := other.Remove(t.Context(), "second", two.Revision); err != nil {
			t.Error(err)
		}
	})
	if err := u.Remove(t.Context(), "root", one.Revision); !errors.Is(err, access.ErrLast) {
		t.Errorf("removed the other administrator: %v", err)
	}
	late.do = func() { add(t, other, access.User{Name: strings.ToLower(rand.Text())}) }
	if _, err := u.SetPassword(t.Context(), "root", password); err == nil || !strings.Contains(err.Error(), "try again") {
		t.Errorf("others change users all the time: %v", err)
	}
}

// TestFollow has one program see at once what another does, and what was done while it did not
// look.
func TestFollow(t *testing.T) {
	js, _ := stream(t, t.TempDir())
	one, two := openUsers(t, js), openUsers(t, js)
	root(t, one)
	lina := add(t, one, access.User{Name: "lina"})
	follow(t, two.Run)
	eventually(t, "two users", func() bool { return len(two.List()) == 2 })
	lina.Disabled = true
	lina, err := one.Change(t.Context(), lina)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "disabled", func() bool { got, _ := two.Get("lina"); return got.Disabled })
	if err := one.Remove(t.Context(), "lina", lina.Revision); err != nil {
		t.Fatal(err)
	}
	eventually(t, "removed", func() bool { return second(two.Get("lina")) != nil })
}

// TestBroken has an entry that no version of ours wrote: it lets nobody in, and does not count as
// if there were no users.
func TestBroken(t *testing.T) {
	js, _ := stream(t, t.TempDir())
	openUsers(t, js)
	if _, err := bucket(t, js, "GREENTALLY_USERS").Put(t.Context(), "cm9vdA", []byte("{")); err != nil {
		t.Fatal(err)
	}
	u := openUsers(t, js)
	if !u.Any() || len(u.List()) != 0 {
		t.Errorf("any users: %v, %v", u.Any(), u.List())
	}
	root(t, u) // takes its place
	if _, err := u.Verify(t.Context(), "root", password); err != nil {
		t.Error(err)
	}
}

func TestInvalidUsers(t *testing.T) {
	js, _ := stream(t, t.TempDir())
	u := openUsers(t, js)
	root(t, u)
	add(t, u, access.User{Name: "lina", Email: "lina@example.org", Subject: "s-1"})
	bound := func(r access.Role, communities ...string) []access.Binding {
		return []access.Binding{{Role: r, Communities: communities}}
	}
	tests := []struct {
		name string
		user access.User
		want string
	}{
		{"no name", access.User{}, "a user's name is of"},
		{"a name with a blank", access.User{Name: "li na"}, "a user's name is of"},
		{"the name of anyone", access.User{Name: access.Anyone}, "a user's name is of"},
		{"the name of a token", access.User{Name: "token:a"}, "a user's name is of"},
		{"no role", access.User{Name: "x", Bindings: bound("")}, `role "" is none of`},
		{"an unknown role", access.User{Name: "x", Bindings: bound("owner", "a")}, `role "owner" is none of`},
		{"a manager of nothing", access.User{Name: "x", Bindings: bound(access.RoleManager)}, "name the communities"},
		{"a manager of no name", access.User{Name: "x", Bindings: bound(access.RoleManager, "a", "")}, "name the communities"},
		{"twice the same", access.User{Name: "x", Bindings: bound(access.RoleAssessor, "a", "b", "a")}, "names a community twice"},
		{"an administrator of a", access.User{Name: "x", Bindings: bound(access.RoleAdministrator, "a")}, "is not bound to communities"},
		{"a screen", access.User{Name: "x", Bindings: bound(access.RoleScreen, "a")}, "a screen is a token"},
		{"a monitor", access.User{Name: "x", Bindings: bound(access.RoleMonitor)}, "a monitor is a token"},
		{"a language", access.User{Name: "x", Language: "fr"}, `language "fr"`},
		{"an address", access.User{Name: "x", Email: "x"}, "no email address"},
		{"a long name", access.User{Name: "x", Display: strings.Repeat("x", 201)}, "too long"},
		{"an address of another", access.User{Name: "x", Email: "LINA@example.org"}, `user "lina" has the email address`},
		{"a subject of another", access.User{Name: "x", Subject: "s-1"}, `user "lina" has the subject`},
	}
	for _, tt := range tests {
		_, err := u.Add(t.Context(), tt.user, password)
		if !errors.Is(err, access.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
		inChinese(t, err)
	}
	if len(u.List()) != 2 {
		t.Errorf("users: %v", u.List())
	}
}

func TestPasswords(t *testing.T) {
	js, _ := stream(t, t.TempDir())
	u := openUsers(t, js)
	root(t, u)
	add(t, u, access.User{Name: "property"})
	tests := []struct{ password, want string }{
		{"绿色社区垃圾分类从我做起", ""},
		{strings.Repeat("0123456789ab", 6), ""},
		{"short words", "at least 12 characters"},
		{"绿色社区垃圾分类从我", "at least 12 characters"},
		{strings.Repeat("0123456789ab", 6) + "c", "at most 72 bytes"},
		{strings.Repeat("绿", 100000), "at most 72 bytes"},
		{"aaaaaaaaaaaaaaa", "among the first"},
		{"PassWord1234", "among the first"},
		{"CorrectHorseBatteryStaple", "among the first"},
		{"Property2026!", "little more than the user's name"},
		{"with a tab\tin it", "printable"},
		{"no such bytes \xff", "printable"},
	}
	for _, tt := range tests {
		_, err := u.SetPassword(t.Context(), "property", tt.password)
		if tt.want == "" && err != nil || tt.want != "" && (!errors.Is(err, access.ErrInvalid) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%.30q: %v", tt.password, err)
		}
		if err == nil {
			continue
		}
		if inChinese(t, err); strings.Contains(err.Error(), tt.password) {
			t.Errorf("the error tells the password: %v", err)
		}
	}
	// The same characters, composed by another keyboard.
	if _, err := u.SetPassword(t.Context(), "property", "zwölf Häuser hier"); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Verify(t.Context(), "property", "zwo\u0308lf Ha\u0308user hier"); err != nil {
		t.Errorf("a password with combining characters: %v", err)
	}
}

func TestVerify(t *testing.T) {
	js, _ := stream(t, t.TempDir())
	u := openUsers(t, js)
	root(t, u)
	add(t, u, access.User{Name: "out", Disabled: true})
	if _, err := u.Add(t.Context(), access.User{Name: "oidc", Subject: "s-1"}, ""); err != nil {
		t.Fatal(err)
	}
	if got, err := u.Verify(t.Context(), " Root", password); err != nil || got.Name != "root" || got.Generation == "" {
		t.Errorf("the right password: %+v, %v", got, err)
	}
	for name, try := range map[string][2]string{
		"wrong": {"root", password + "!"}, "empty": {"root", ""}, "another case": {"root", strings.ToUpper(password)}, "nobody's": {"none", password},
		"of no name": {"", password}, "of one who is out": {"out", password}, "of one without": {"oidc", ""}, "long": {"root", strings.Repeat("x", 1000)},
	} {
		if got, err := u.Verify(t.Context(), try[0], try[1]); !errors.Is(err, access.ErrWrong) || got.Name != "" {
			t.Errorf("a password that is %s: %+v, %v", name, got, err)
		}
	}
}

// TestVerifyTakesTheSameTime compares the fastest of some tries for a name that is there with
// those for names that are not. A look-up without bcrypt is a thousand times faster.
func TestVerifyTakesTheSameTime(t *testing.T) {
	js, _ := stream(t, t.TempDir())
	u, err := access.OpenUsers(t.Context(), js, 1, 7, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	root(t, u)
	add(t, u, access.User{Name: "out", Disabled: true})
	names := []string{"root", "nobody", "no name", "out"}
	fastest := map[string]time.Duration{}
	for range 100 { // others may be busy on this machine
		for _, name := range names {
			start := time.Now()
			if _, err := u.Verify(t.Context(), name, "this is not the one"); !errors.Is(err, access.ErrWrong) {
				t.Fatal(err)
			}
			if took := time.Since(start); fastest[name] == 0 || took < fastest[name] {
				fastest[name] = took
			}
		}
		if !slices.ContainsFunc(names, func(n string) bool {
			return fastest[n] < fastest["root"]*2/3 || fastest[n] > fastest["root"]*3/2
		}) {
			return
		}
	}
	t.Errorf("it takes %v", fastest)
}

func TestByIdentity(t *testing.T) {
	js, _ := stream(t, t.TempDir())
	u := openUsers(t, js)
	root(t, u)
	add(t, u, access.User{Name: "mail", Email: "mail@example.org"})
	add(t, u, access.User{Name: "both", Email: "both@example.org", Subject: "s-2"})
	tests := []struct{ subject, email, want string }{
		{"s-2", "", "both"}, {"s-2", "mail@example.org", "both"}, {"s-9", "Mail@Example.org", "mail"},
		{"s-9", "both@example.org", ""}, // whose subject is another's
		{"s-9", "", ""}, {"", "", ""}, {"", "mail@example.org", ""},
	}
	for _, tt := range tests {
		if got, known := u.ByIdentity(tt.subject, tt.email); got.Name != tt.want || known != (tt.want != "") {
			t.Errorf("%q, %q is %q", tt.subject, tt.email, got.Name)
		}
	}
}

func FuzzUserName(f *testing.F) {
	for _, seed := range []string{"lina", "李娜", " ＬｉＮａ ", "li.na@example.org", "a\u0308", "ǅ", "..", "\x00", "ﬁ", "１２"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		n, err := access.UserName(name)
		if err != nil {
			return
		}
		if again, err := access.UserName(n); err != nil || again != n {
			t.Errorf("%q becomes %q, and that %q, %v", name, n, again, err)
		}
		if strings.ContainsAny(n, ":/ *>\"<\n") || n == "" {
			t.Errorf("%q becomes %q", name, n)
		}
	})
}
