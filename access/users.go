package access

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"unicode"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/text/secure/precis"

	"greentally"
)

// Errors that say why something is not done.
var (
	ErrInvalid  = greentally.TextErrorf("填写有误", "invalid")                                                // what is handed in cannot be
	ErrThere    = greentally.TextErrorf("已有这个名称", "it is there already")                                  // the name is taken
	ErrChanged  = greentally.TextErrorf("别人刚改过，请重新查看", "somebody else changed it; look at it again")      // it is not at the revision that was looked at
	ErrLast     = greentally.TextErrorf("至少要有一位能登录的管理员", "there must be an administrator who can log in") // nobody could change anything any more
	ErrWrong    = errors.New("the name or the password is wrong, or the user is out")                     // which of them, is not told
	errTooOften = errors.New("others change users all the time; try again")
)

// invalid is an error that says in both languages what is wrong with what is handed in.
func invalid(zh, en string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInvalid, greentally.TextErrorf(zh, en, args...))
}

func missing(user string) error {
	return greentally.Missingf("没有用户 %q", "there is no user %q", user)
}

// of is an error about a user.
func of(user string, err error) error {
	return fmt.Errorf("%w: %w", greentally.TextErrorf("用户 %q", "user %q", user), err)
}

// User is somebody who can log in.
type User struct {
	Name     string    `json:"name"`              // in small letters
	Display  string    `json:"display,omitempty"` // for people
	Email    string    `json:"email,omitempty"`   // by which an OpenID provider knows the user, in small letters, if Subject is empty
	Subject  string    `json:"subject,omitempty"` // by which an OpenID provider knows the user
	Language string    `json:"language,omitempty"`
	Bindings []Binding `json:"bindings"`
	Disabled bool      `json:"disabled,omitempty"`

	Password   bool   `json:"password"` // the user has one; told, never taken
	Revision   uint64 `json:"revision"` // of the last change
	Generation string `json:"-"`        // of the user's sessions; those of another have ended
}

// Principal is the user who asks from an address.
func (u User) Principal(address string) Principal {
	return Principal{Name: u.Name, Display: cmp.Or(u.Display, u.Name), Language: u.Language, Bindings: u.Bindings, Address: address, Session: true}
}

// account is what is kept of a user.
type account struct {
	User       User   `json:"user"`
	Hash       string `json:"hash,omitempty"`
	Generation string `json:"generation"`
}

func (a account) user(revision uint64) User {
	u := a.User
	u.Password, u.Revision, u.Generation = a.Hash != "", revision, a.Generation
	u.Bindings = slices.Clone(u.Bindings)
	for i := range u.Bindings {
		u.Bindings[i].Communities = slices.Clone(u.Bindings[i].Communities)
	}
	return u
}

// Users are those who can log in.
type Users struct {
	// Provider says that people can log in by an OpenID provider, too. Without one who has no
	// password cannot.
	Provider bool

	accounts *mirror[account]
	js       jetstream.JetStream
	cost     int
	hashing  chan struct{} // holds one for each password that is being hashed
}

const usersBucket = "GREENTALLY_USERS"

// OpenUsers opens the bucket of users, makes it if it is not there, and reads it. cost is that
// of bcrypt; 0 is the usual one.
func OpenUsers(ctx context.Context, js jetstream.JetStream, replicas, cost int, log *slog.Logger) (*Users, error) {
	accounts, err := openMirror[account](ctx, js, usersBucket, "Who can log in", replicas, log)
	if err != nil {
		return nil, err
	}
	return &Users{accounts: accounts, js: js, cost: cmp.Or(cost, defaultCost), hashing: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}, nil
}

// Run takes in what other programs change, until ctx is done.
func (u *Users) Run(ctx context.Context) error { return u.accounts.run(ctx) }

// Any reports whether there are users.
func (u *Users) Any() bool { return u.accounts.any() }

// Get returns the user with the name. The error wraps [fs.ErrNotExist] if there is none.
func (u *Users) Get(name string) (User, error) {
	if n, err := UserName(name); err == nil {
		if a, revision, there := u.accounts.get(keyOf(n)); there {
			return a.user(revision), nil
		}
	}
	return User{}, missing(name)
}

// List returns all users, by name.
func (u *Users) List() []User {
	all := []User{}
	for key := range u.accounts.all() {
		if a, revision, there := u.accounts.get(key); there {
			all = append(all, a.user(revision))
		}
	}
	slices.SortFunc(all, func(a, b User) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// ByIdentity returns the user whom an OpenID provider knows by a subject, or by an email address
// that it has verified; empty if it has not.
func (u *Users) ByIdentity(subject, email string) (User, bool) {
	email = strings.ToLower(email)
	var byEmail *User
	for _, one := range u.List() {
		switch {
		case subject == "":
		case one.Subject == subject:
			return one, true
		case one.Subject == "" && email != "" && one.Email == email:
			byEmail = &one
		}
	}
	if byEmail == nil {
		return User{}, false
	}
	return *byEmail, true
}

// Verify returns the user who has the name and the password, and may log in. Otherwise the error
// is [ErrWrong], after as long a time for one reason as for another.
func (u *Users) Verify(ctx context.Context, name, password string) (User, error) {
	user, hash, usable := User{}, decoy(u.cost), false
	if n, err := UserName(name); err == nil {
		a, revision, there := u.accounts.get(keyOf(n))
		if usable = there && a.Hash != "" && !a.User.Disabled; usable {
			user, hash = a.user(revision), a.Hash
		}
	}
	p, err := plain(password)
	matches, waited := u.matches(ctx, hash, p)
	switch {
	case waited != nil:
		return User{}, waited
	case !usable || err != nil || !matches:
		return User{}, ErrWrong
	}
	return user, nil
}

// Add adds a user; without a password it can only come by an OpenID provider. The error wraps
// [ErrThere] if the name is taken.
func (u *Users) Add(ctx context.Context, user User, password string) (User, error) {
	name, err := UserName(user.Name)
	if err != nil {
		return User{}, err
	}
	user.Name = name
	hash := ""
	if password != "" {
		if hash, err = u.hash(ctx, user.Name, password); err != nil {
			return User{}, err
		}
	}
	return u.change(ctx, user.Name, func(before *account, _ uint64) (*account, error) {
		if before != nil {
			return nil, of(user.Name, ErrThere)
		}
		return &account{User: user, Hash: hash, Generation: rand.Text()}, nil
	})
}

// Change changes everything but the password of the user with the name, who must be at the
// revision: otherwise the error wraps [ErrChanged]. What the user may do changes at once; who is
// disabled, or known to the provider as another, is logged out.
func (u *Users) Change(ctx context.Context, user User) (User, error) {
	return u.change(ctx, user.Name, func(before *account, revision uint64) (*account, error) {
		switch {
		case before == nil:
			return nil, missing(user.Name)
		case revision != user.Revision:
			return nil, of(user.Name, ErrChanged)
		}
		after := *before
		after.User = user
		after.User.Name = before.User.Name
		if user.Disabled || user.Subject != before.User.Subject || !strings.EqualFold(user.Email, before.User.Email) {
			after.Generation = rand.Text()
		}
		return &after, nil
	})
}

// SetPassword gives a user another password, and logs the user out everywhere. An empty one
// takes it away.
func (u *Users) SetPassword(ctx context.Context, name, password string) (User, error) {
	hash := ""
	if password != "" {
		known, err := u.Get(name)
		if err != nil {
			return User{}, err
		}
		if hash, err = u.hash(ctx, known.Name, password); err != nil {
			return User{}, err
		}
	}
	return u.change(ctx, name, func(before *account, _ uint64) (*account, error) {
		if before == nil {
			return nil, missing(name)
		}
		after := *before
		after.Hash, after.Generation = hash, rand.Text()
		return &after, nil
	})
}

// EndSessions logs a user out everywhere.
func (u *Users) EndSessions(ctx context.Context, name string) error {
	_, err := u.change(ctx, name, func(before *account, _ uint64) (*account, error) {
		if before == nil {
			return nil, missing(name)
		}
		after := *before
		after.Generation = rand.Text()
		return &after, nil
	})
	return err
}

// Remove removes the user with the name, who must be at the revision.
func (u *Users) Remove(ctx context.Context, name string, revision uint64) error {
	_, err := u.change(ctx, name, func(before *account, at uint64) (*account, error) {
		switch {
		case before == nil:
			return nil, missing(name)
		case at != revision:
			return nil, of(name, ErrChanged)
		}
		return nil, nil
	})
	return err
}

// tries is how often a change is tried while others make theirs.
const tries = 10

// change keeps what alter makes of a user, nil to remove it, if all users together are as they
// should be then. Nothing is kept that was made of users who are others by now: each change
// names the last one of the whole bucket.
func (u *Users) change(ctx context.Context, name string, alter func(before *account, revision uint64) (*account, error)) (User, error) {
	name, err := UserName(name)
	if err != nil {
		return User{}, err
	}
	key := keyOf(name)
	for range tries {
		last, err := u.accounts.load(ctx)
		if err != nil {
			return User{}, err
		}
		all := u.accounts.all()
		var before *account
		known, revision, there := u.accounts.get(key)
		if there {
			before = &known
		}
		after, err := alter(before, revision)
		if err != nil {
			return User{}, err
		}
		msg := nats.NewMsg("$KV." + usersBucket + "." + key)
		if after == nil {
			delete(all, key)
			msg.Header.Set("KV-Operation", "DEL")
		} else {
			tidy(after)
			all[key] = *after
			msg.Data, err = json.Marshal(after)
		}
		if err = errors.Join(err, validate(key, all, u.Provider)); err != nil {
			return User{}, err
		}
		ack, err := u.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequence(last))
		var refusal *jetstream.APIError
		if errors.As(err, &refusal) && (refusal.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || refusal.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant) {
			continue // somebody else changed users meanwhile
		}
		if err != nil {
			return User{}, fmt.Errorf("keep user %q: %w", name, err)
		}
		u.accounts.take(key, ack.Sequence, msg.Data)
		if after == nil {
			return User{}, nil
		}
		return after.user(ack.Sequence), nil
	}
	return User{}, errTooOften
}

// tidy brings a user into the form in which it is kept.
func tidy(a *account) {
	u := a.user(0)
	u.Password = false
	u.Display, u.Email = strings.TrimSpace(u.Display), strings.ToLower(strings.TrimSpace(u.Email))
	a.User = u
}

// validate reports why one of the users cannot be as it is, or all together cannot. By a provider
// one logs in without a password.
func validate(key string, all map[string]account, provider bool) error {
	u := all[key].User
	var wrong []error
	add := func(is bool, zh, en string, args ...any) {
		if is {
			wrong = append(wrong, invalid(zh, en, args...))
		}
	}
	if _, there := all[key]; there {
		for _, b := range u.Bindings {
			wrong = append(wrong, b.validate())
			add(b.Role == RoleScreen || b.Role == RoleMonitor, "“%s”只用于令牌，不用于用户", "a %s is a token, not a user", b.Role.Title())
		}
		add(!slices.Contains([]string{"", "zh", "en"}, u.Language), "语言 %q 既不是 zh 也不是 en", "language %q is neither zh nor en", u.Language)
		add(len(u.Display) > 200 || len(u.Email) > 254 || len(u.Subject) > 255, "姓名、电子邮箱或统一身份标识太长：最多 200、254 和 255 个字节", "the display name, the email address or the subject is too long: the most is 200, 254 and 255 bytes")
		add(strings.ContainsFunc(u.Display+u.Email+u.Subject, func(r rune) bool { return !unicode.IsPrint(r) }), "姓名、电子邮箱或统一身份标识含有不可打印的字符", "the display name, the email address or the subject has characters that cannot be printed")
		add(u.Email != "" && !strings.Contains(u.Email, "@"), "%q 不是电子邮箱", "%q is no email address", u.Email)
	}
	can := 0
	for _, other := range slices.Sorted(maps.Keys(all)) {
		a := all[other]
		if !a.User.Disabled && (a.Hash != "" || provider && a.User.Subject+a.User.Email != "") && a.User.Principal("").Is(RoleAdministrator) {
			can++
		}
		add(other != key && u.Email != "" && u.Email == a.User.Email, "用户 %q 已用电子邮箱 %s", "user %q has the email address %s", a.User.Name, u.Email)
		add(other != key && u.Subject != "" && u.Subject == a.User.Subject, "用户 %q 已用统一身份标识 %s", "user %q has the subject %s", a.User.Name, u.Subject)
	}
	if can == 0 {
		wrong = append(wrong, ErrLast)
	}
	return errors.Join(wrong...)
}

var userName = regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{N}\p{M}._@+-]{0,63}$`)

// UserName returns a user's name in the form in which it is kept, by RFC 8265: in small letters,
// and the same for letters of any width. It consists of letters and digits of any script, and of
// . _ - @ +, and begins with a letter or a digit.
func UserName(name string) (string, error) {
	wrong := invalid("用户名由 1 到 64 个文字、数字和 . _ - @ + 组成，以文字或数字开头", "a user's name is of 1 to 64 letters, digits and . _ - @ +, the first of them a letter or a digit")
	if len(name) > 1000 {
		return "", wrong
	}
	n, err := precis.UsernameCaseMapped.String(strings.TrimSpace(name))
	if err != nil || !userName.MatchString(n) {
		return "", wrong
	}
	return n, nil
}
