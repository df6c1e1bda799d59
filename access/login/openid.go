package login

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"greentally/access"
)

// Provider is an OpenID provider: the authorization code flow with PKCE, state and nonce. It is
// asked what it can when somebody first logs in by it, so that it may be away before.
type Provider struct {
	Issuer       string // its address, such as https://id.example.org/realms/estate
	ClientID     string
	ClientSecret string       // empty for a public client
	RedirectURL  string       // where it sends people back to: ours, and /login/openid/callback or whatever the server has
	Client       *http.Client // nil is one that waits ten seconds
	Now          func() time.Time

	mu     sync.Mutex
	found  *oidc.Provider
	asking *asking   // nil while nobody asks
	failed error     // of the last time that the provider was asked,
	until  time.Time // and until when that is the answer
}

// asking is a question to the provider that is under way, for all who wait for its answer.
type asking struct {
	done  chan struct{} // closed when there is an answer
	found *oidc.Provider
	err   error
}

// patience is how long the provider has for an answer.
const patience = 10 * time.Second

// rest is how long a provider that did not answer is not asked again.
const rest = 10 * time.Second

// with returns a context by which the libraries use the provider's client.
func (p *Provider) with(ctx context.Context) context.Context {
	client := p.Client
	if client == nil {
		client = &http.Client{Timeout: patience}
	}
	return oidc.ClientContext(ctx, client)
}

// discover returns what the provider can. It is asked once for all who want to know that at the same
// time, each of whom leaves when its own context is done; and if it does not answer, it is asked again
// only after a while.
func (p *Provider) discover(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	if p.found != nil || p.failed != nil && p.Now().Before(p.until) {
		defer p.mu.Unlock()
		return p.found, p.failed
	}
	if p.asking == nil {
		p.asking = &asking{done: make(chan struct{})}
		go p.ask(context.WithoutCancel(ctx), p.asking)
	}
	a := p.asking
	p.mu.Unlock()
	select {
	case <-a.done:
		return a.found, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %s: %w", ErrAway, p.Issuer, ctx.Err())
	}
}

// ask asks the provider what it can, and tells all who wait.
func (p *Provider) ask(ctx context.Context, a *asking) {
	ctx, cancel := context.WithTimeout(p.with(ctx), patience)
	defer cancel()
	if a.found, a.err = oidc.NewProvider(ctx, p.Issuer); a.err != nil {
		a.err = fmt.Errorf("%w: %s: %w", ErrAway, p.Issuer, a.err)
	}
	p.mu.Lock()
	p.found, p.failed, p.until, p.asking = a.found, a.err, p.Now().Add(rest), nil
	p.mu.Unlock()
	close(a.done)
}

func (p *Provider) oauth(found *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{ClientID: p.ClientID, ClientSecret: p.ClientSecret, Endpoint: found.Endpoint(), RedirectURL: p.RedirectURL,
		Scopes: []string{oidc.ScopeOpenID, "email"}}
}

// ErrOpenID is wrapped by the errors of logins by a provider that have to begin again.
var ErrOpenID = errors.New("the login was not finished; begin again")

// ErrAway is wrapped by the errors of a provider that does not answer as it should.
var ErrAway = errors.New("the OpenID provider does not answer")

// errNoProvider is the error where no provider is configured.
var errNoProvider = errors.New("no OpenID provider is configured")

// pending is a login that has begun. The browser keeps it in a cookie: who has that cookie is who
// began.
type pending struct {
	state, nonce, verifier string
	next                   string // where to go afterwards
}

func (p pending) String() string {
	return strings.Join([]string{p.state, p.nonce, p.verifier, base64.RawURLEncoding.EncodeToString([]byte(p.next))}, ".")
}

func parsePending(cookie string) (pending, bool) {
	parts := strings.Split(cookie, ".")
	if len(cookie) > 4000 || len(parts) != 4 || len(parts[0]) < 26 || len(parts[1]) < 26 || len(parts[2]) < 43 {
		return pending{}, false
	}
	next, err := base64.RawURLEncoding.Strict().DecodeString(parts[3])
	return pending{parts[0], parts[1], parts[2], LocalPath(string(next))}, err == nil
}

// BeginOpenID sends the browser to the provider. Afterwards it goes to next, a path of ours.
func (g *Gate) BeginOpenID(w http.ResponseWriter, r *http.Request, next string) error {
	if g.Provider == nil {
		return errNoProvider
	}
	found, err := g.Provider.discover(r.Context())
	if err != nil {
		return err
	}
	p := pending{rand.Text(), rand.Text(), oauth2.GenerateVerifier(), LocalPath(next)}
	g.setCookie(w, r, openIDCookie, p.String(), 10*time.Minute)
	http.Redirect(w, r, g.Provider.oauth(found).AuthCodeURL(p.state, oidc.Nonce(p.nonce), oauth2.S256ChallengeOption(p.verifier)), http.StatusSeeOther)
	return nil
}

// FinishOpenID begins a session of the user whom the provider sends back, sets its cookie, and
// returns the path where the user wanted to go, with an error too if it is known. The error wraps [access.ErrWrong] if the provider
// knows somebody who was not entered as a user, wraps [ErrOpenID] if the login is not one that
// began here or [ErrAway] if the provider does not answer, or is a [*TooManyError].
func (g *Gate) FinishOpenID(w http.ResponseWriter, r *http.Request) (next string, err error) {
	if g.Provider == nil {
		return "", errNoProvider
	}
	g.setCookie(w, r, openIDCookie, "", 0)
	address := g.address(r)
	if err := g.addresses.take(network(address), g.Now()); err != nil {
		return "", err
	}
	u, next, err := g.byProvider(r)
	if err != nil {
		g.Log.Info("a login by the OpenID provider failed", "error", err, "address", address)
		return next, g.failed(r.Context(), address, "openid", "", err)
	}
	return next, g.begin(w, r, u, "openid") //nolint:contextcheck // it goes on when the asker has gone
}

func (g *Gate) byProvider(r *http.Request) (u access.User, next string, err error) {
	wrong := func(format string, args ...any) (access.User, string, error) {
		return access.User{}, next, fmt.Errorf("%w: %w", ErrOpenID, fmt.Errorf(format, args...))
	}
	c, err := r.Cookie(g.cookieName(r, openIDCookie))
	if err != nil {
		return wrong("it did not begin in this browser, or too long ago")
	}
	p, ok := parsePending(c.Value)
	query := r.URL.Query()
	if !ok || !same(p.state, query.Get("state")) {
		return wrong("it did not begin in this browser")
	}
	next = p.next
	if iss := query.Get("iss"); iss != "" && iss != g.Provider.Issuer { // RFC 9207
		return wrong("the answer is from another provider")
	}
	if e := query.Get("error"); e != "" {
		return wrong("the provider says %.100q", e)
	}
	found, err := g.Provider.discover(r.Context())
	if err != nil {
		return u, next, err
	}
	ctx := g.Provider.with(r.Context())
	token, err := g.Provider.oauth(found).Exchange(ctx, query.Get("code"), oauth2.VerifierOption(p.verifier))
	switch {
	case errors.As(err, new(*oauth2.RetrieveError)):
		return wrong("the provider takes its own code for nothing: %w", err)
	case err != nil:
		return u, next, fmt.Errorf("%w: %s: %w", ErrAway, g.Provider.Issuer, err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := found.VerifierContext(ctx, &oidc.Config{ClientID: g.Provider.ClientID, Now: g.Provider.Now}).Verify(ctx, raw)
	if err != nil {
		return wrong("the provider's token: %w", err)
	}
	if !same(p.nonce, id.Nonce) {
		return wrong("the provider's token is for another login")
	}
	var claims struct {
		Email    string `json:"email"`
		Verified bool   `json:"email_verified"`
	}
	if err := id.Claims(&claims); err != nil {
		return wrong("the provider's token: %w", err)
	}
	if !claims.Verified {
		claims.Email = ""
	}
	known, there := g.Users.ByIdentity(id.Subject, claims.Email)
	if !there || known.Disabled {
		return u, next, fmt.Errorf("%w: the provider's subject is %.100q, and its verified email address %.100q", access.ErrWrong, id.Subject, claims.Email)
	}
	return known, next, nil
}

// same compares two texts in a time that does not tell where they differ.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
