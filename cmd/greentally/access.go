package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	ratelimit "golang.org/x/time/rate"

	"greentally/access"
	"greentally/access/login"
	"greentally/web"
	"greentally/web/pages"
)

// accessUp is who may see and do what.
type accessUp struct {
	mu      sync.Mutex
	refused map[string]*refusals // by who asks

	users  *access.Users
	tokens *access.Tokens
	audit  *access.Audit
	gate   *login.Gate
	log    *slog.Logger
}

// openAccess opens users, tokens, sessions and the audit log, and sets up the gate in front with
// what is configured of it.
func openAccess(ctx context.Context, js jetstream.JetStream, replicas int, gate login.Config, log *slog.Logger) (*accessUp, error) {
	up := &accessUp{refused: map[string]*refusals{}, log: log}
	var err error
	if up.users, err = access.OpenUsers(ctx, js, replicas, 0, log); err != nil {
		return nil, err
	}
	up.users.Provider = gate.Provider != nil
	if up.tokens, err = access.OpenTokens(ctx, js, replicas, time.Now, log); err != nil {
		return nil, err
	}
	if up.audit, err = access.OpenAudit(ctx, js, replicas, time.Now); err != nil {
		return nil, err
	}
	if gate.Sessions, err = login.OpenSessions(ctx, js, replicas, 0, time.Now); err != nil {
		return nil, err
	}
	gate.Users, gate.Tokens, gate.Audit = up.users, up.tokens, up.audit
	gate.API, gate.Fail, gate.Now, gate.Log = []string{"/api/", "/metrics", alertmanagerPath}, fail, time.Now, log
	up.gate = login.New(gate)
	return up, nil
}

// fail answers with an error.
func fail(w http.ResponseWriter, _ *http.Request, status int, err error) {
	_ = web.Fail(w, status, err) // who has gone does not read it
}

// may reports whether the one who asks may do something.
func (up *accessUp) may(ctx context.Context, a web.Action, community string) bool {
	return access.From(ctx).May(access.Action(a), community)
}

// note writes into the audit log what a request did, or would have done.
func (up *accessUp) note(r *http.Request, action, community string, failed error) {
	who := access.From(r.Context())
	needed := access.Write
	if community == "" {
		needed = access.Administer
	}
	role, _ := who.As(needed, community)
	entry := access.Entry{Who: who.Name, Role: role, Address: who.Address, Action: action, Community: community, What: map[string]string{}, Result: access.Done}
	for _, name := range web.Named() {
		if value := r.PathValue(name); value != "" {
			entry.What[name] = value
		}
	}
	if judge, may := who.As(access.Judge, community); role == "" && may && !errors.Is(failed, web.ErrForbidden) {
		entry.Role = judge
	}
	switch {
	case failed == nil:
	case errors.Is(failed, web.ErrForbidden), errors.Is(failed, fs.ErrNotExist):
		entry.Result = access.Refused
	default:
		entry.Result = access.Failed
	}
	if failed != nil && !up.mayFail(who.Name, entry) {
		return
	}
	if err := up.audit.Write(context.WithoutCancel(r.Context()), entry); err != nil {
		up.log.Error("what was done is not in the audit log", "who", who.Name, "action", action, "community", community, "error", err)
	}
}

// How often what somebody could not do comes to the audit log: who may do nothing could fill it, and
// hide in it what others did.
const (
	perRefusal   = time.Minute
	refusalBurst = 100
)

// refusals are those of one who asks.
type refusals struct {
	*ratelimit.Limiter
	leftOut int // since one that was written
}

// mayFail reports whether one more failure of somebody is written, and has the entry say how many
// before were not.
func (up *accessUp) mayFail(who string, entry access.Entry) bool {
	up.mu.Lock()
	defer up.mu.Unlock()
	r := up.refused[who] // there are as many as users and tokens
	if r == nil {
		r = &refusals{Limiter: ratelimit.NewLimiter(ratelimit.Every(perRefusal), refusalBurst)}
		up.refused[who] = r
	}
	if !r.Allow() {
		r.leftOut++
		return false
	}
	if r.leftOut > 0 {
		entry.What["left_out_before"], r.leftOut = strconv.Itoa(r.leftOut), 0
	}
	return true
}

// keeping is how users and tokens are kept and the audit log is read, by API and pages. What the
// asker can mend is an error that both answer.
func (up *accessUp) keeping() pages.Access {
	wrong := func(err error) error {
		switch {
		case errors.Is(err, access.ErrInvalid):
			return fmt.Errorf("%w: %w", web.ErrBadRequest, err)
		case errors.Is(err, access.ErrThere), errors.Is(err, access.ErrChanged), errors.Is(err, access.ErrLast):
			return fmt.Errorf("%w: %w", web.ErrConflict, err)
		}
		return err
	}
	return pages.Access{
		Provider: up.gate.Provider != nil,
		Users:    up.users.List, User: up.users.Get,
		AddUser: func(ctx context.Context, u access.User, password string) (access.User, error) {
			u, err := up.users.Add(ctx, u, password)
			return u, wrong(err)
		},
		ChangeUser: func(ctx context.Context, u access.User) (access.User, error) {
			u, err := up.users.Change(ctx, u)
			return u, wrong(err)
		},
		SetPassword: func(ctx context.Context, name, password string) (access.User, error) {
			u, err := up.users.SetPassword(ctx, name, password)
			return u, wrong(err)
		},
		RemoveUser: func(ctx context.Context, name string, revision uint64) error {
			return wrong(up.users.Remove(ctx, name, revision))
		},
		Tokens: up.tokens.List,
		AddToken: func(ctx context.Context, t access.Token) (string, error) {
			t.By = access.From(ctx).Name
			secret, err := up.tokens.Add(ctx, t)
			return secret, wrong(err)
		},
		RevokeToken: func(ctx context.Context, name string) error { return wrong(up.tokens.Revoke(ctx, name)) },
		Entries: func(r *http.Request) ([]access.Entry, error) {
			q := access.Query{Who: r.FormValue("who"), Community: r.FormValue("community"), Limit: pages.EntriesShown}
			if text := r.FormValue("before"); text != "" {
				before, err := strconv.ParseUint(text, 10, 64)
				if err != nil {
					return nil, web.Refusedf("%q 不是条目的编号", "before: %q is not the place of an entry", text)
				}
				q.Before = before
			}
			return up.audit.Read(r.Context(), q)
		},
	}
}

// administration are the requests by which users and tokens are kept, and the audit log is read.
func (up *accessUp) administration() map[string]func(*http.Request) (any, error) {
	keep := up.keeping()
	type person struct {
		access.User
		Secret string `json:"new_password,omitempty"`
	}
	return map[string]func(*http.Request) (any, error){
		"GET /api/v1/users": func(*http.Request) (any, error) { return keep.Users(), nil },
		"POST /api/v1/users": func(r *http.Request) (any, error) {
			var p person
			if err := web.Body(r, &p); err != nil {
				return nil, err
			}
			web.About(r, "id", p.Name, "grants", access.Granted(p.Bindings...))
			return keep.AddUser(r.Context(), p.User, p.Secret)
		},
		"POST /api/v1/users/{id}": func(r *http.Request) (any, error) {
			before, err := keep.User(r.PathValue("id"))
			if err != nil {
				return nil, err
			}
			p := person{User: before}
			p.Bindings = nil // or it is read into those before
			if err := web.Body(r, &p); err != nil {
				return nil, err
			}
			if p.Name = before.Name; p.Bindings == nil {
				p.Bindings = before.Bindings
			}
			pages.AboutUser(r, p.User)
			return keep.ChangeUser(r.Context(), p.User)
		},
		"POST /api/v1/users/{id}/password": func(r *http.Request) (any, error) {
			var p struct {
				Secret string `json:"new_password"`
			}
			if err := web.Body(r, &p); err != nil {
				return nil, err
			}
			return keep.SetPassword(r.Context(), r.PathValue("id"), p.Secret)
		},
		"POST /api/v1/users/{id}/remove": func(r *http.Request) (any, error) {
			u, err := keep.User(r.PathValue("id"))
			if err == nil {
				err = keep.RemoveUser(r.Context(), u.Name, u.Revision)
			}
			return map[string]string{"name": u.Name}, err
		},
		"GET /api/v1/tokens": func(*http.Request) (any, error) { return keep.Tokens(), nil },
		"POST /api/v1/tokens": func(r *http.Request) (any, error) {
			var t access.Token
			if err := web.Body(r, &t); err != nil {
				return nil, err
			}
			web.About(r, "id", t.Name, "grants", access.Granted(t.Binding))
			secret, err := keep.AddToken(r.Context(), t)
			return map[string]string{"name": t.Name, "secret": secret}, err
		},
		"POST /api/v1/tokens/{id}/revoke": func(r *http.Request) (any, error) {
			return map[string]string{"name": r.PathValue("id")}, keep.RevokeToken(r.Context(), r.PathValue("id"))
		},
		"GET /api/v1/audit": func(r *http.Request) (any, error) { return keep.Entries(r) },
	}
}

// person is who looks at a page, for people; empty while there are no users.
func person(ctx context.Context) string {
	who := access.From(ctx)
	if who.Name == access.Anyone {
		return ""
	}
	return cmp.Or(who.Display, who.Name)
}

// account is the user or the token that asks, for what stays written down; empty while there are no
// users, or if the program does something by itself.
func account(ctx context.Context) string {
	who := access.From(ctx)
	if who.Name == access.Anyone {
		return ""
	}
	return who.Name
}

// entrance is the way in, as the pages show it.
func (up *accessUp) entrance() *pages.Entrance {
	in := &pages.Entrance{
		LogIn: func(w http.ResponseWriter, r *http.Request, name, password string) error {
			_, err := up.gate.LogIn(w, r, name, password)
			return err
		},
		LogOut: up.gate.LogOut,
		Local:  login.LocalPath,
		Wait:   wait,
		Wrong:  isWrong,
		EnterScreen: func(w http.ResponseWriter, r *http.Request, token string) (string, error) {
			t, err := up.gate.EnterScreen(w, r, token)
			if err != nil {
				return "", err
			}
			return t.Communities[0], nil // a screen is of one
		},
	}
	if up.gate.Provider != nil {
		in.OpenID = &pages.OpenID{
			Begin: up.gate.BeginOpenID, Finish: up.gate.FinishOpenID,
			Again: func(err error) bool { return errors.Is(err, login.ErrOpenID) },
			Away:  func(err error) bool { return errors.Is(err, login.ErrAway) },
		}
	}
	return in
}

// account is what the pages show of who asks, and let them change.
func (up *accessUp) account() pages.Account {
	return pages.Account{
		Me: func(ctx context.Context) pages.Me {
			who := access.From(ctx)
			me := pages.Me{Name: who.Name, Display: who.Display, Language: who.Language, Roles: who.Bindings, LoggedIn: who.Session}
			if u, err := up.users.Get(who.Name); err == nil {
				me.Password = who.Session && u.Password
			}
			return me
		},
		ChangePassword: up.gate.ChangePassword,
		SetLanguage: func(ctx context.Context, language string) error {
			u, err := up.users.Get(access.From(ctx).Name)
			if err != nil {
				return err
			}
			u.Language = language
			_, err = up.users.Change(ctx, u)
			return err
		},
		Wait:    wait,
		Wrong:   isWrong,
		Invalid: func(err error) bool { return errors.Is(err, access.ErrInvalid) },
	}
}

// wait returns for how long who tried too often must wait.
func wait(err error) (time.Duration, bool) {
	var tooMany *login.TooManyError
	if !errors.As(err, &tooMany) {
		return 0, false
	}
	return tooMany.After, true
}

func isWrong(err error) bool { return errors.Is(err, access.ErrWrong) }
