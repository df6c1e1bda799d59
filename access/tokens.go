package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"greentally"
)

// Token lets a machine or a screen in.
type Token struct {
	Name    string           `json:"name"` // such as prometheus, or lobby-3
	Binding                  // what it may do
	Created time.Time        `json:"created"`
	By      string           `json:"by,omitempty"`   // who made it
	Used    *greentally.Date `json:"used,omitempty"` // the last day, in UTC
}

// Principal is who bears the token and asks from an address.
func (t Token) Principal(address string) Principal {
	return Principal{Name: "token:" + t.Name, Display: t.Name, Bindings: []Binding{t.Binding}, Address: address}
}

// minted is what is kept of a token.
type minted struct {
	Token  Token  `json:"token"`
	SHA256 string `json:"sha256"` // of the secret, in hexadecimal
}

// Tokens are those that let machines and screens in.
type Tokens struct {
	minted *mirror[minted]
	now    func() time.Time
	log    *slog.Logger

	mu    sync.Mutex
	noted map[string]greentally.Date // last day on which a token's use was noted, by its hash
}

// OpenTokens opens the bucket of tokens, makes it if it is not there, and reads it. now tells
// when tokens are made and used.
func OpenTokens(ctx context.Context, js jetstream.JetStream, replicas int, now func() time.Time, log *slog.Logger) (*Tokens, error) {
	m, err := openMirror[minted](ctx, js, "GREENTALLY_TOKENS", "What lets machines and screens in", replicas, log)
	if err != nil {
		return nil, err
	}
	return &Tokens{minted: m, now: now, log: log, noted: map[string]greentally.Date{}}, nil
}

// Run takes in what other programs change, until ctx is done.
func (t *Tokens) Run(ctx context.Context) error { return t.minted.run(ctx) }

// secretPrefix lets people, and programs that look for leaked secrets, see what a token is.
const secretPrefix = "greentally_"

var tokenName = regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{N}._-]{0,63}$`)

// Add makes a token, and tells its secret, this once. The error wraps [ErrThere] if the name is
// taken.
func (t *Tokens) Add(ctx context.Context, token Token) (secret string, err error) {
	if !tokenName.MatchString(token.Name) {
		return "", invalid("令牌名称由 1 到 64 个文字、数字和 . _ - 组成，以文字或数字开头", "a token's name is of 1 to 64 letters, digits and . _ -, the first of them a letter or a digit")
	}
	if err := token.validate(); err != nil {
		return "", err
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random) // it never fails
	secret = secretPrefix + base64.RawURLEncoding.EncodeToString(random)
	token.Created, token.Used = t.now().UTC(), nil
	data, err := json.Marshal(minted{token, hashed(secret)})
	if err != nil {
		return "", fmt.Errorf("token %q: %w", token.Name, err)
	}
	key := keyOf(token.Name)
	revision, err := t.minted.bucket.Create(ctx, key, data)
	if errors.Is(err, jetstream.ErrKeyExists) {
		return "", fmt.Errorf("%w: %w", greentally.TextErrorf("令牌 %q", "token %q", token.Name), ErrThere)
	}
	if err != nil {
		return "", fmt.Errorf("keep token %q: %w", token.Name, err)
	}
	t.minted.take(key, revision, data)
	return secret, nil
}

// Revoke takes a token out of force at once. The error wraps [fs.ErrNotExist] if there is none of
// the name.
func (t *Tokens) Revoke(ctx context.Context, name string) error {
	key := keyOf(name)
	if _, err := t.minted.load(ctx); err != nil {
		return err
	}
	if _, _, there := t.minted.get(key); !there {
		return greentally.Missingf("没有令牌 %q", "there is no token %q", name)
	}
	if err := t.minted.bucket.Delete(ctx, key); err != nil {
		return fmt.Errorf("revoke token %q: %w", name, err)
	}
	_, err := t.minted.load(ctx)
	return err
}

// List returns all tokens, by name.
func (t *Tokens) List() []Token {
	all := []Token{}
	for _, m := range t.minted.all() {
		all = append(all, m.Token)
	}
	slices.SortFunc(all, func(a, b Token) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// ByName returns the token with the name.
func (t *Tokens) ByName(name string) (Token, bool) {
	m, _, there := t.minted.get(keyOf(name))
	return m.Token, there
}

// BySecret returns the token that has the secret, and notes the day on which it was used.
func (t *Tokens) BySecret(ctx context.Context, secret string) (Token, bool) {
	if !strings.HasPrefix(secret, secretPrefix) {
		return Token{}, false
	}
	want := hashed(secret)
	for key, m := range t.minted.all() {
		if subtle.ConstantTimeCompare([]byte(m.SHA256), []byte(want)) == 1 {
			t.note(ctx, key, m)
			return m.Token, true
		}
	}
	return Token{}, false
}

// note writes down that a token was used today, unless that was written down. That it cannot be
// written now holds nobody up: it is not tried again today.
func (t *Tokens) note(ctx context.Context, key string, m minted) {
	today := greentally.DateOf(t.now(), time.UTC)
	t.mu.Lock()
	known := t.noted[m.SHA256] == today || m.Token.Used != nil && *m.Token.Used == today
	t.noted[m.SHA256] = today
	t.mu.Unlock()
	if known {
		return
	}
	_, revision, there := t.minted.get(key)
	m.Token.Used = &today
	data, err := json.Marshal(m)
	if err == nil && there {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		revision, err = t.minted.bucket.Update(ctx, key, data, revision) // not if it was revoked meanwhile
	}
	switch {
	case err == nil && there:
		t.minted.take(key, revision, data)
	case err != nil:
		t.log.Warn("that a token was used could not be noted", "token", m.Token.Name, "error", err)
	}
}

func hashed(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
