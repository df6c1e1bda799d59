package pages

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Entrance lets people in and out.
type Entrance struct {
	// LogIn begins a session for who has the password; the error says nothing of what was wrong.
	LogIn  func(w http.ResponseWriter, r *http.Request, name, password string) error
	LogOut func(w http.ResponseWriter, r *http.Request) error
	// Local makes of an address one that leads to a page of this server.
	Local func(next string) string
	// Wait returns for how long who tried too often must wait, from the error of LogIn.
	Wait func(err error) (time.Duration, bool)
	// Wrong reports whether the error of LogIn or EnterScreen says that name, password or token
	// are wrong.
	Wrong func(err error) bool
	// EnterScreen lets a browser show the big screen of a community, by a token.
	EnterScreen func(w http.ResponseWriter, r *http.Request, token string) (community string, err error)
}

// entry is what the page of the login shows.
type entry struct{ Next, Name, Wrong string }

// Handlers returns the pages that nobody needs to be identified for, by their patterns.
func (e *Entrance) Handlers(p *Pages) (map[string]http.Handler, error) {
	set, err := parse()
	if err != nil {
		return nil, err
	}
	files, err := staticFiles()
	if err != nil {
		return nil, err
	}
	show := func(w http.ResponseWriter, r *http.Request, status int, data entry) {
		v, err := p.view(w, r)
		var out bytes.Buffer
		if err == nil {
			if data.Wrong != "" {
				data.Wrong = v.word(data.Wrong)
			}
			err = set.ExecuteTemplate(&out, "login", frame{v, data})
		}
		if err != nil {
			p.Log.Error("page failed", "path", r.URL.Path, "error", err)
			http.Error(w, "the page failed", http.StatusInternalServerError)
			return
		}
		p.send(w, r, v, status, out.Bytes())
	}
	in := func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
		name, next := r.PostFormValue("name"), e.Local(r.PostFormValue("next"))
		err := e.LogIn(w, r, name, r.PostFormValue("password"))
		wait, tooOften := e.Wait(err)
		switch {
		case err == nil:
			http.Redirect(w, r, next, http.StatusSeeOther)
		case tooOften:
			w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
			show(w, r, http.StatusTooManyRequests, entry{next, name, "too_often"})
		case e.Wrong(err):
			show(w, r, http.StatusUnauthorized, entry{next, name, "wrong_login"})
		default:
			p.Log.Error("nobody can log in", "error", err)
			show(w, r, http.StatusServiceUnavailable, entry{next, name, "failed"})
		}
	}
	out := func(w http.ResponseWriter, r *http.Request) {
		if err := e.LogOut(w, r); err != nil {
			p.Log.Error("a session is not ended", "error", err)
			http.Error(w, errors.New("your session could not be ended; try again").Error(), http.StatusServiceUnavailable)
			return
		}
		http.Redirect(w, r, "/login", http.StatusSeeOther)
	}
	// The token stands in the address that a kiosk's browser begins with; then it has a cookie, and
	// the address is without it.
	enter := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Referrer-Policy", "no-referrer")
		community, err := e.EnterScreen(w, r, r.FormValue("token"))
		wait, tooOften := e.Wait(err)
		switch {
		case err == nil:
			http.Redirect(w, r, "/screen/"+url.PathEscape(community), http.StatusSeeOther)
		case tooOften:
			w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
			http.Error(w, "too many attempts; try again later", http.StatusTooManyRequests)
		case e.Wrong(err):
			http.Error(w, "this is no token of a screen; make one with: greentally token add NAME --role screen --community COMMUNITY", http.StatusUnauthorized)
		default:
			p.Log.Error("no screen can be entered", "error", err)
			http.Error(w, "try again later", http.StatusServiceUnavailable)
		}
	}
	return map[string]http.Handler{
		"GET /screen": http.HandlerFunc(enter),
		"GET /login": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			show(w, r, http.StatusOK, entry{Next: e.Local(r.URL.Query().Get("next"))})
		}),
		"POST /login":  http.HandlerFunc(in),
		"POST /logout": http.HandlerFunc(out),
		"GET /static/": files,
	}, nil
}
