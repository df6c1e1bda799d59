package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"greentally/access"
)

// LogIn begins a session of the user with the name and the password, and sets its cookie.
// Otherwise the error is [access.ErrWrong] or a [*TooManyError], whether there is such a user or
// not. It is another one if the audit log cannot be written, for a right password and a wrong one.
func (g *Gate) LogIn(w http.ResponseWriter, r *http.Request, name, password string) (access.User, error) {
	address := g.address(r)
	u, err := g.verify(r.Context(), address, name, password)
	if err != nil {
		return access.User{}, g.failed(r.Context(), address, "password", name, err)
	}
	return u, g.begin(w, r, u, "password") //nolint:contextcheck // it goes on when the asker has gone
}

// checkWait is how long somebody waits while the passwords of others are checked.
const checkWait = 10 * time.Second

// settleWait is how long what has begun may take when nobody waits for it any more.
const settleWait = 10 * time.Second

// settled returns the request with a context that goes on when the asker has gone, for a while:
// what was found out about a password is written down, and a session that ends does end.
func settled(r *http.Request) (*http.Request, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), settleWait)
	return r.WithContext(ctx), cancel
}

// verify checks a password, unless somebody tries too often, or has gone.
func (g *Gate) verify(ctx context.Context, address, name, password string) (access.User, error) {
	key, err := access.UserName(name)
	if err != nil {
		key = name
	}
	from, now := network(address), g.Now()
	for _, limit := range []struct {
		*limits
		of string
	}{{g.addresses, from}, {g.pairs, from + " " + key}, {g.names, key}} {
		if err := limit.take(limit.of, now); err != nil {
			return access.User{}, err
		}
	}
	if err := ctx.Err(); err != nil {
		return access.User{}, fmt.Errorf("check a password: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, checkWait)
	defer cancel()
	u, err := g.Users.Verify(ctx, name, password)
	if errors.Is(err, context.DeadlineExceeded) {
		err = &TooManyError{After: checkWait}
	}
	return u, err
}

// begin begins a session of a user in place of the one that the browser had.
func (g *Gate) begin(w http.ResponseWriter, r *http.Request, u access.User, by string) error {
	r, cancel := settled(r)
	defer cancel()
	token, err := g.Sessions.begin(r.Context(), u)
	if err != nil {
		return err
	}
	err = g.Audit.Write(r.Context(), access.Entry{Who: u.Name, Address: g.address(r), Action: "login", What: map[string]string{"by": by}, Result: access.Done})
	if err != nil {
		return errors.Join(g.unwritten(err), g.Sessions.end(r.Context(), token))
	}
	if err := g.endSession(r); err != nil {
		return err
	}
	g.setCookie(w, r, sessionCookie, token, longest)
	return nil
}

// endSession ends the session that the browser has, if it has one.
func (g *Gate) endSession(r *http.Request) error {
	c, err := r.Cookie(g.cookieName(r, sessionCookie))
	if err != nil {
		return nil //nolint:nilerr // it has none
	}
	return g.Sessions.end(r.Context(), c.Value)
}

// errUnwritten is the error of logins that cannot be written to the audit log: the same for all,
// so that nobody learns without a trace which passwords are right.
var errUnwritten = errors.New("the audit log cannot be written, and without it nobody can log in")

// unwritten is the error of a login whose entry could not be written.
func (g *Gate) unwritten(err error) error {
	g.blind.Store(true)
	g.Log.Error("a login was not written to the audit log", "error", err)
	return errUnwritten
}

// failed writes a failed login to the audit log, also if the asker has gone, and returns why it
// failed. A name that nobody has is left out: people type
// passwords there. So are entries when a network has many, and what was not even looked at because
// of that; the next entry says how many they were.
func (g *Gate) failed(ctx context.Context, address, by, name string, why error) error {
	now := g.Now()
	if errors.As(why, new(*TooManyError)) {
		g.leftOut.Add(1)
		return why
	}
	many := g.failures.take(network(address), now) != nil || !g.allFailures.AllowN(now, 1)
	if many && !g.blind.Load() { // one that could not be written is made up for first
		g.leftOut.Add(1)
		return why
	}
	e := access.Entry{Address: address, Action: "login", What: map[string]string{"by": by, "why": reason(why)}, Result: access.Refused}
	if known, err := g.Users.Get(name); err == nil {
		e.Who = known.Name
	}
	n := g.leftOut.Swap(0)
	if n > 0 {
		e.What["left_out_before"] = strconv.FormatInt(n, 10)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleWait)
	defer cancel()
	if err := g.Audit.Write(ctx, e); err != nil {
		g.leftOut.Add(n + 1)
		return g.unwritten(err)
	}
	g.blind.Store(false)
	return why
}

// reason is what the audit log says of an error, which may hold what others wrote.
func reason(err error) string {
	switch {
	case errors.Is(err, access.ErrWrong):
		return "wrong"
	case errors.As(err, new(*TooManyError)):
		return "too often"
	case errors.Is(err, ErrOpenID):
		return "not finished"
	}
	return "error"
}

// LogOut ends the session that the browser has, and takes its cookie away.
func (g *Gate) LogOut(w http.ResponseWriter, r *http.Request) error {
	r, cancel := settled(r)
	defer cancel()
	p, err := g.Principal(r)
	if err != nil || !p.Session {
		g.setCookie(w, r, sessionCookie, "", 0)
		return nil // who is not logged in is out already
	}
	if err := g.endSession(r); err != nil {
		return err
	}
	g.setCookie(w, r, sessionCookie, "", 0)
	return g.Audit.Write(r.Context(), access.Entry{Who: p.Name, Address: p.Address, Action: "logout", Result: access.Done})
}

// ChangePassword gives the user who asks another password for the old one, and logs the user out
// everywhere else. The error is as those of [Gate.LogIn], or wraps [access.ErrInvalid] and says
// what is wrong with the new one.
//
//nolint:contextcheck // what is written goes on when the asker has gone, see settled
func (g *Gate) ChangePassword(w http.ResponseWriter, r *http.Request, old, password string) error {
	p, err := g.Principal(r)
	if err != nil {
		return err
	}
	if !p.Session {
		return fmt.Errorf("%w: %s has no password", access.ErrInvalid, p.Name)
	}
	if _, err := g.verify(r.Context(), p.Address, p.Name, old); err != nil {
		return g.failed(r.Context(), p.Address, "old password", p.Name, err)
	}
	r, cancel := settled(r)
	defer cancel()
	if password == "" {
		return fmt.Errorf("%w: the new password is empty", access.ErrInvalid)
	}
	u, err := g.Users.SetPassword(r.Context(), p.Name, password)
	if err != nil {
		return err
	}
	return g.begin(w, r, u, "another password")
}
