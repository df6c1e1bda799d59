package pages

import (
	"net/http"
	"net/url"
	"slices"
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

	OpenID *OpenID // nil without a provider
}

// OpenID lets people in whom an OpenID provider knows.
type OpenID struct {
	// Begin sends the browser to the provider; Finish begins a session for whom it sends back, and
	// tells the page to go on to, with an error too if it can. Who is no user here gets an error that is [Entrance.Wrong], who
	// tries too often one with a [Entrance.Wait].
	Begin  func(w http.ResponseWriter, r *http.Request, next string) error
	Finish func(w http.ResponseWriter, r *http.Request) (next string, err error)
	// Again reports whether the error says that the login must begin again, Away whether it says
	// that the provider does not answer.
	Again, Away func(err error) bool
}

// entry is what the page of the login shows.
type entry struct {
	Next, Name, Wrong string
	OpenID            bool // one can log in by a provider, too
}

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
		data.OpenID = e.OpenID != nil
		p.answer(w, r, set, status, "login", data)
	}
	say := func(w http.ResponseWriter, r *http.Request, status int, word string) {
		v, err := p.view(w, r)
		p.render(w, r, set, v, status, "error", v.word(word), err)
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
			show(w, r, http.StatusTooManyRequests, entry{Next: next, Name: name, Wrong: "too_often"})
		case e.Wrong(err):
			show(w, r, http.StatusUnauthorized, entry{Next: next, Name: name, Wrong: "wrong_login"})
		default:
			p.Log.Error("nobody can log in", "error", err)
			show(w, r, http.StatusServiceUnavailable, entry{Next: next, Name: name, Wrong: "failed"})
		}
	}
	out := func(w http.ResponseWriter, r *http.Request) {
		if err := e.LogOut(w, r); err != nil {
			p.Log.Error("a session is not ended", "error", err)
			say(w, r, http.StatusServiceUnavailable, "failed")
			return
		}
		http.Redirect(w, r, "/login", http.StatusSeeOther)
	}
	// The token stands in the address that a kiosk's browser begins with; then it has a cookie, and
	// the address is without it.
	enter := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Referrer-Policy", "no-referrer") // which would hold the token
		community, err := e.EnterScreen(w, r, r.FormValue("token"))
		wait, tooOften := e.Wait(err)
		switch {
		case err == nil:
			query := r.URL.Query()
			query.Del("token")
			http.Redirect(w, r, "/screen/"+url.PathEscape(community)+"?"+query.Encode(), http.StatusSeeOther)
		case tooOften:
			w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
			say(w, r, http.StatusTooManyRequests, "too_often")
		case e.Wrong(err):
			say(w, r, http.StatusUnauthorized, "screen_wrong_token")
		default:
			p.Log.Error("no screen can be entered", "error", err)
			say(w, r, http.StatusServiceUnavailable, "failed")
		}
	}
	handlers := map[string]http.Handler{
		"GET /screen": http.HandlerFunc(enter),
		"GET /login": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			data := entry{Next: e.Local(r.URL.Query().Get("next"))}
			if wrong := r.URL.Query().Get("wrong"); slices.Contains(wrongs(), wrong) {
				data.Wrong = wrong
			}
			show(w, r, http.StatusOK, data)
		}),
		"POST /login":  http.HandlerFunc(in),
		"POST /logout": http.HandlerFunc(out),
		"GET /static/": files,
	}
	if e.OpenID != nil {
		handlers["GET /login/openid"] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next := e.Local(r.URL.Query().Get("next"))
			if err := e.OpenID.Begin(w, r, next); err != nil {
				e.back(w, r, p, next, err)
			}
		})
		handlers["GET /login/openid/callback"] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next, err := e.OpenID.Finish(w, r)
			if err != nil {
				e.back(w, r, p, e.Local(next), err)
				return
			}
			http.Redirect(w, r, next, http.StatusSeeOther)
		})
	}
	return handlers, nil
}

// wrongs are the words for why nobody came in by the provider.
func wrongs() []string {
	return []string{"openid_unknown", "openid_again", "openid_away", "too_often", "failed"}
}

// back goes back to the page of the login, which says why. It is not shown at once: the address
// has what the provider sent, and asked for again, in another language, that is worth nothing.
func (e *Entrance) back(w http.ResponseWriter, r *http.Request, p *Pages, next string, err error) {
	wrong := "failed"
	_, tooOften := e.Wait(err)
	switch {
	case tooOften:
		wrong = "too_often"
	case e.Wrong(err):
		wrong = "openid_unknown"
	case e.OpenID.Again(err):
		wrong = "openid_again"
	case e.OpenID.Away(err):
		wrong = "openid_away"
		p.Log.Error("nobody can log in by the OpenID provider", "error", err)
	default:
		p.Log.Error("nobody can log in", "error", err)
	}
	http.Redirect(w, r, "/login?"+url.Values{"wrong": {wrong}, "next": {next}}.Encode(), http.StatusSeeOther)
}
