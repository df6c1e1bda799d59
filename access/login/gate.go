package login

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"greentally/access"
)

// Config is what a gate needs. Only Token, Provider, Proxies and API may be left out.
type Config struct {
	Users    *access.Users
	Tokens   *access.Tokens
	Sessions *Sessions
	Audit    *access.Audit

	Token    string         // of the configuration: who bears it is administrator, also without users
	Provider *Provider      // by which people can log in, too
	Proxies  []netip.Prefix // whose X-Forwarded-For and X-Forwarded-Proto are believed
	API      []string       // beginnings of paths of which nobody is sent to /login

	Fail func(w http.ResponseWriter, r *http.Request, status int, err error) // answers with an error
	Now  func() time.Time
	Log  *slog.Logger
}

// Gate finds out who sends requests.
type Gate struct {
	Config

	addresses, pairs, names, screens *limits
	failures                         *limits       // how many failed logins of a network come to the audit log
	allFailures                      *rate.Limiter // and of all
	leftOut                          atomic.Int64  // failed logins that did not, since one that did
	blind                            atomic.Bool   // the last entry could not be written
}

// How often one may try. Nobody can hold a name back for others from one network: what comes from
// there as a pair is less than a name may have.
const (
	perAddress, addressBurst = 10 * time.Second, 30 // logins from a network
	perPair, pairBurst       = time.Minute, 10      // from a network with a name
	perName, nameBurst       = 5 * time.Second, 100 // with a name from anywhere
	perScreen, screenBurst   = 10 * time.Second, 30 // tokens of screens from a network

	perFailure, failureBurst       = time.Minute, 100        // failed logins of a network in the audit log
	perAnyFailure, anyFailureBurst = 10 * time.Second, 1_000 // and of all
)

// New returns a gate.
func New(c Config) *Gate {
	return &Gate{Config: c, addresses: newLimits(perAddress, addressBurst), pairs: newLimits(perPair, pairBurst),
		names: newLimits(perName, nameBurst), screens: newLimits(perScreen, screenBurst),
		failures: newLimits(perFailure, failureBurst), allFailures: rate.NewLimiter(rate.Every(perAnyFailure), anyFailureBurst)}
}

// Why nobody is identified.
var (
	errNobody = errors.New("log in, or send a token as Authorization: Bearer …")
	errToken  = errors.New("the token is not valid; send one as Authorization: Bearer …")
	errLocal  = errors.New("without users and without http.token_file only this machine is served, under a loopback name and by no proxy; add a user (greentally user add NAME --role administrator)")
)

// Identify puts the principal into the context of requests. Those of nobody do not come to next.
func (g *Gate) Identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := g.Principal(r)
		switch {
		case err == nil:
			if c, err := r.Cookie(g.cookieName(r, screenCookie)); err == nil && isScreen(r) && p.Is(access.RoleScreen) {
				g.setCookie(w, r, screenCookie, c.Value, screenFor) // a screen that is on goes on
			}
			next.ServeHTTP(w, r.WithContext(p.In(r.Context())))
		case errors.Is(err, errLocal):
			g.Fail(w, r, http.StatusForbidden, err)
		case errors.Is(err, errNobody) && g.isPage(r):
			http.Redirect(w, r, "/login?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		case errors.Is(err, errNobody) || errors.Is(err, errToken):
			w.Header().Set("WWW-Authenticate", `Bearer realm="greentally"`)
			g.Fail(w, r, http.StatusUnauthorized, err)
		default:
			if r.Context().Err() == nil { // else the asker has gone, or listens on and sends no more
				g.Log.Error("nobody can be identified", "path", r.URL.Path, "error", err)
			}
			g.Fail(w, r, http.StatusServiceUnavailable, errors.New("who you are cannot be looked up now; try again"))
		}
	})
}

// isPage reports whether a person asks for a page, as opposed to a program, or a script of a page
// that was there before.
func (g *Gate) isPage(r *http.Request) bool {
	return r.Header.Get("HX-Request") == "" && (r.Method == http.MethodGet || r.Method == http.MethodHead) && strings.Contains(r.Header.Get("Accept"), "text/html") &&
		!slices.ContainsFunc(g.API, func(prefix string) bool { return strings.HasPrefix(r.URL.Path, prefix) })
}

// Principal returns who sends the request. What goes on for long, such as a stream of events, has
// to ask again from time to time.
func (g *Gate) Principal(r *http.Request) (access.Principal, error) {
	address := g.address(r)
	if header := r.Header.Get("Authorization"); header != "" {
		return g.byToken(r.Context(), header, address)
	}
	if c, err := r.Cookie(g.cookieName(r, sessionCookie)); err == nil {
		u, there, err := g.bySession(r.Context(), c.Value)
		if err != nil {
			return access.Principal{}, err
		}
		if there {
			return u.Principal(address), nil
		}
	}
	if c, err := r.Cookie(g.cookieName(r, screenCookie)); err == nil && isScreen(r) {
		if t, there := g.Tokens.BySecret(r.Context(), c.Value); there && t.Role == access.RoleScreen {
			return t.Principal(address), nil
		}
	}
	if g.Token == "" && !g.Users.Any() {
		if !isLocal(r) {
			return access.Principal{}, errLocal
		}
		return administrator(access.Anyone, address), nil
	}
	return access.Principal{}, errNobody
}

// isScreen reports whether the request is for a big screen: for nothing else its cookie counts, so
// that who tried a screen out is asked to log in as anyone is.
func isScreen(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/screen/") }

func administrator(name, address string) access.Principal {
	return access.Principal{Name: name, Display: name, Address: address, Bindings: []access.Binding{{Role: access.RoleAdministrator}}}
}

// byToken returns who bears the token in a header.
func (g *Gate) byToken(ctx context.Context, header, address string) (access.Principal, error) {
	scheme, token, _ := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return access.Principal{}, errToken
	}
	got, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(g.Token))
	if g.Token != "" && subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
		return administrator("token:http.token_file", address), nil
	}
	if t, there := g.Tokens.BySecret(ctx, token); there {
		return t.Principal(address), nil
	}
	return access.Principal{}, errToken
}

// bySession returns the user whose session has the token.
func (g *Gate) bySession(ctx context.Context, token string) (access.User, bool, error) {
	found, there, err := g.Sessions.find(ctx, token)
	if err != nil || !there {
		return access.User{}, false, err
	}
	u, err := g.Users.Get(found.User)
	if err != nil || u.Disabled || u.Generation != found.Generation {
		return access.User{}, false, nil //nolint:nilerr // a user who is not there has no sessions
	}
	return u, true, nil
}

// isLocal reports whether a request comes from this machine and is addressed to it by a loopback
// name, so that a page from elsewhere cannot reach the API under a name of its own, nor anyone
// through a proxy that runs here and can be told.
func isLocal(r *http.Request) bool {
	remote, _, err := net.SplitHostPort(r.RemoteAddr)
	return err == nil && IsLoopback(remote) && IsLoopback(hostOf(r.Host)) && !isForwarded(r)
}

// isForwarded reports whether a proxy can be told from a request: by a header that proxies add,
// or by HTTP/1.0, which nginx up to 1.29.6 speaks to what is behind it unless it is told otherwise, and
// no browser, no Prometheus and no command of ours. A proxy that adds nothing and speaks HTTP/1.1
// cannot be told from a browser.
func isForwarded(r *http.Request) bool {
	if !r.ProtoAtLeast(1, 1) {
		return true
	}
	for name := range r.Header {
		switch name {
		case "Forwarded", "Via", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "X-Proxyuser-Ip", "Client-Ip", "True-Client-Ip",
			"Fastly-Client-Ip", "X-Azure-Clientip", "X-Appengine-User-Ip", "X-Original-Forwarded-For", "X-Original-Host", "X-Original-Url",
			"X-Scheme", "X-Amzn-Trace-Id", "Cdn-Loop":
			return true
		}
		if strings.HasPrefix(name, "X-Forwarded") || strings.HasPrefix(name, "Cf-") || strings.HasPrefix(name, "X-Envoy-") {
			return true
		}
	}
	return false
}

func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}

// IsLoopback reports whether a host is this machine, by a loopback name or address.
func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// byProxy reports whether the request comes through a proxy that is believed.
func (g *Gate) byProxy(address netip.Addr) bool {
	return slices.ContainsFunc(g.Proxies, func(p netip.Prefix) bool { return p.Contains(address) })
}

func remote(r *http.Request) (netip.Addr, bool) {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	return a.Addr().Unmap().WithZone(""), err == nil
}

// address is the IP address that the request comes from: of those that proxies tell, the last
// that is none of the proxies that are believed.
func (g *Gate) address(r *http.Request) string {
	a, ok := remote(r)
	if !ok {
		return ""
	}
	for _, hop := range slices.Backward(strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")) {
		before, err := netip.ParseAddr(strings.TrimSpace(hop))
		if !g.byProxy(a) || err != nil {
			break
		}
		a = before.Unmap().WithZone("")
	}
	return a.String()
}

// IsSecure reports whether the browser sent the request over TLS.
func (g *Gate) IsSecure(r *http.Request) bool {
	a, ok := remote(r)
	return r.TLS != nil || ok && g.byProxy(a) && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// The cookies.
const (
	sessionCookie = "greentally"
	screenCookie  = "greentally-screen"
	openIDCookie  = "greentally-openid"
)

func (g *Gate) cookieName(r *http.Request, name string) string {
	if g.IsSecure(r) {
		return "__Host-" + name
	}
	return name
}

// setCookie sets a cookie for a while; none removes it.
func (g *Gate) setCookie(w http.ResponseWriter, r *http.Request, name, value string, while time.Duration) {
	http.SetCookie(w, &http.Cookie{Name: g.cookieName(r, name), Value: value, Path: "/", MaxAge: cmp.Or(int(while/time.Second), -1),
		HttpOnly: true, Secure: g.IsSecure(r), SameSite: http.SameSiteLaxMode})
}

// LocalPath returns next, where somebody wanted to go before logging in, if it is a page of ours,
// and otherwise the first page.
func LocalPath(next string) string {
	u, err := url.Parse(next)
	strange := strings.ContainsFunc(next, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' })
	if err != nil || strange || len(next) > 2000 || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || u.Scheme != "" || u.Host != "" {
		return "/"
	}
	if u.Path == "/login" || strings.HasPrefix(u.Path, "/login/") {
		return "/"
	}
	return next
}

// screenFor is how long a screen can be off before it has to be told its token again; browsers keep
// no cookie for longer.
const screenFor = 400 * 24 * time.Hour

// EnterScreen gives a browser the cookie of a big screen, whose token it was told. It lasts until
// the token is revoked, or the screen is not on for a year.
func (g *Gate) EnterScreen(w http.ResponseWriter, r *http.Request, secret string) (access.Token, error) {
	address := g.address(r)
	if err := g.screens.take(network(address), g.Now()); err != nil {
		return access.Token{}, err
	}
	t, there := g.Tokens.BySecret(r.Context(), secret)
	if !there || t.Role != access.RoleScreen {
		return access.Token{}, fmt.Errorf("%w: this is no token of a screen", access.ErrWrong)
	}
	g.setCookie(w, r, screenCookie, secret, screenFor)
	return t, nil
}
