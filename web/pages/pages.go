package pages

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"greentally"
	"greentally/internal/health"
	"greentally/web"
)

// Pages shows what the server's functions tell. All of its own are required, too.
type Pages struct {
	*web.Server

	// Person is who looks at the page, for people; empty if nobody has logged in.
	Person  func(ctx context.Context) string
	Account Account
	Access  Access
	// Secure reports whether the browser sent the request over TLS.
	Secure func(*http.Request) bool
	// News tells browsers that they should look again.
	News *web.News

	// Values returns a month's indicators as they are, Workings with how each came about, and
	// Stored as they were kept last, for comparing months.
	Values   func(ctx context.Context, community string, month greentally.Month) ([]greentally.IndicatorValue, error)
	Workings func(ctx context.Context, community string, month greentally.Month) ([]Computed, error)
	Stored   func(ctx context.Context, community string, month greentally.Month) ([]greentally.IndicatorValue, error)
	// Recovered returns what was put into the bins for recyclables on each day of a month and of
	// [RecoveredBefore] days before.
	Recovered   func(ctx context.Context, community string, month greentally.Month) (map[greentally.Date]greentally.Amount, error)
	Assessments func(ctx context.Context, community string, month greentally.Month) ([]greentally.Assessment, error)

	Location func(community string) (*time.Location, bool)
	Kind     func(name string) (*greentally.Kind, bool)
	Now      func() time.Time

	// What forms can choose from.
	Types    []greentally.RecordType
	Items    []Choice // of schemes, that records can be evidence for
	Schemes  []Choice
	Kinds    func() []*greentally.Kind
	Profiles func() []string
	Next     func(greentally.Stage) []greentally.Stage // what may follow on a stage of an application
}

// Computed is an indicator with how it came about.
type Computed struct {
	greentally.IndicatorValue
	Working greentally.Working
}

// Together joins indicators with their workings.
func Together(values []greentally.IndicatorValue, workings []greentally.Working) []Computed {
	by := map[string]greentally.Working{}
	for _, w := range workings {
		by[w.Indicator] = w
	}
	all := make([]Computed, len(values))
	for i, v := range values {
		all[i] = Computed{v, by[v.Indicator]}
	}
	return all
}

// Choice is one of several.
type Choice struct {
	ID    string
	Title greentally.Text
}

// Handlers returns the pages by their patterns, and what is shown where there is none.
func (p *Pages) Handlers() (pages map[string]http.Handler, none http.Handler, err error) {
	set, err := parse()
	if err != nil {
		return nil, nil, err
	}
	all := map[string]http.Handler{}
	page := func(path, name string, show func(*view) (any, error)) {
		all["GET "+path] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.show(w, r, set, name, show) })
	}
	// A form does something and leads to a page; where that cannot be done, it is shown again and
	// says why. One that leads to none is shown again with what came of it.
	form := func(path string, most int64, do func(*view) (next string, err error), name string, again func(*view) (any, error)) {
		all["POST "+path] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, most)
			p.take(w, r, set, writes, do, name, again)
		})
	}
	page("/{$}", "communities", p.communities)
	all["GET /events"] = http.HandlerFunc(p.allNews)
	page("/c/{community}", "community", p.community)
	all["GET /c/{community}/events"] = http.HandlerFunc(p.news)
	page("/c/{community}/devices/{device}", "device", p.device)
	page("/c/{community}/indicators", "indicators", p.indicators)
	page("/c/{community}/indicators/{indicator}", "indicator", p.indicator)
	page("/c/{community}/assessments/{scheme}", "assessment", p.assessment)

	page("/c/{community}/alerts", "alerts", p.alerts)
	form("/c/{community}/silences", maxFields, p.silence, "alerts", p.alerts)
	form("/c/{community}/silences/{id}/end", maxFields, p.endSilence, "alerts", p.alerts)

	page("/c/{community}/records", "records", p.records)
	page("/c/{community}/records/new", "recordform", p.newRecord)
	page("/c/{community}/records/{id}", "record", p.record)
	form("/c/{community}/records", maxUpload, p.addRecord, "recordform", p.newRecord)
	form("/c/{community}/records/{id}/withdraw", maxFields, p.withdrawRecord, "record", p.record)

	page("/c/{community}/reports", "reports", p.reports)
	page("/c/{community}/applications/{id}", "application", p.application)
	form("/c/{community}/applications", maxFields, p.beginApplication, "reports", p.reports)
	all["POST /c/{community}/applications/{id}/steps"] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxFields)
		p.take(w, r, set, stepsOn, p.stepApplication, "application", p.application)
	})

	page("/c/{community}/discovered", "discovered", p.discovered)
	form("/c/{community}/discovered", maxFields, p.adopt, "discovered", p.discovered)
	page("/deadletters", "deadletters", administrators(p.deadLetters))
	form("/deadletters/{id}/replay", maxFields, p.replay, "deadletters", p.deadLetters)
	form("/deadletters/{id}/delete", maxFields, p.remove, "deadletters", p.deadLetters)

	page("/users", "users", administrators(p.users))
	form("/users", maxFields, p.addUser, "users", p.users)
	page("/users/{id}", "user", administrators(p.user))
	form("/users/{id}", maxFields, p.changeUser, "user", p.user)
	form("/users/{id}/password", maxFields, p.setPassword, "user", p.user)
	form("/users/{id}/remove", maxFields, p.removeUser, "user", p.user)
	page("/tokens", "tokens", administrators(p.tokens))
	form("/tokens", maxFields, p.addToken, "tokens", p.tokens)
	form("/tokens/{id}/revoke", maxFields, p.revokeToken, "tokens", p.tokens)
	page("/audit", "audit", administrators(p.audit))

	page("/screen/{community}", "screen", p.screen)
	// Who asks for a form's address, such as for it in another language, gets the page that it is on.
	back := func(path string, to func(r *http.Request) string) {
		all["GET "+path] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, to(r)+"?"+r.URL.RawQuery, http.StatusSeeOther)
		})
	}
	under := func(parts ...string) func(*http.Request) string {
		return func(r *http.Request) string {
			path := "/c/" + url.PathEscape(r.PathValue("community"))
			for _, part := range parts {
				path += "/" + strings.ReplaceAll(part, "{id}", url.PathEscape(r.PathValue("id")))
			}
			return path
		}
	}
	back("/c/{community}/silences", under("alerts"))
	back("/c/{community}/silences/{id}/end", under("alerts"))
	back("/c/{community}/records/{id}/withdraw", under("records", "{id}"))
	back("/c/{community}/applications", under("reports"))
	back("/c/{community}/applications/{id}/steps", under("applications", "{id}"))
	for path, to := range map[string]string{"/deadletters/{id}/replay": "/deadletters", "/deadletters/{id}/delete": "/deadletters",
		"/users/{id}/password": "/users/{id}", "/users/{id}/remove": "/users/{id}", "/tokens/{id}/revoke": "/tokens"} {
		back(path, func(r *http.Request) string { return strings.ReplaceAll(to, "{id}", url.PathEscape(r.PathValue("id"))) })
	}
	p.routeAccount(all, set)
	none = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.show(w, r, set, "error", func(*view) (any, error) { return nil, fs.ErrNotExist })
	})
	return all, none, nil
}

// view is a page that is asked for.
type view struct {
	*http.Request
	w http.ResponseWriter

	Language string // zh or en
	words    map[string][2]string
	may      func(web.Action) bool
	named    func(community string) *greentally.Community

	Person    string                // who looks at it
	Community *greentally.Community // if the path names one
	Location  *time.Location
	Now       time.Time

	troubles []health.Trouble // with the program

	Wrong string // why what a form was to do is not done
	sent  url.Values
	stale bool       // somebody else changed meanwhile what the form is about
	made  *madeToken // by the form
}

// languageCookie remembers the language that was chosen.
const languageCookie = "greentally_language"

func (p *Pages) view(w http.ResponseWriter, r *http.Request) (*view, error) {
	v := &view{Request: r, w: w, words: words(), named: p.named, Location: time.UTC, Now: p.Now(), Person: p.Person(r.Context()), troubles: p.Troubles()}
	v.Language = p.language(w, r)
	id := r.PathValue("community")
	ctx := r.Context()
	v.may = func(a web.Action) bool { return p.May(ctx, a, id) }
	if id == "" {
		return v, nil
	}
	needed := web.Read
	if r.Pattern == "GET /screen/{community}" {
		needed = web.Screen
	}
	all := p.Communities()
	i := slices.IndexFunc(all, func(c *greentally.Community) bool { return c.ID == id })
	loc, ok := p.Location(id)
	if i < 0 || !ok || !v.may(needed) {
		return v, greentally.NoCommunity(id)
	}
	v.Community, v.Location = all[i], loc
	v.Now = v.Now.In(loc)
	return v, nil
}

// language is the one that was chosen now or before, or that the one who looks has.
func (p *Pages) language(w http.ResponseWriter, r *http.Request) string {
	known := func(l string) bool { return l == "zh" || l == "en" }
	if chosen := r.URL.Query().Get("lang"); known(chosen) {
		http.SetCookie(w, &http.Cookie{Name: languageCookie, Value: chosen, Path: "/", MaxAge: 365 * 24 * 3600, HttpOnly: true, Secure: p.Secure(r), SameSite: http.SameSiteLaxMode})
		return chosen
	}
	if c, err := r.Cookie(languageCookie); err == nil && known(c.Value) {
		return c.Value
	}
	if own := p.Account.Me(r.Context()).Language; known(own) {
		return own
	}
	return "zh"
}

// show answers with a page.
func (p *Pages) show(w http.ResponseWriter, r *http.Request, set *template.Template, name string, do func(*view) (any, error)) {
	v, err := p.view(w, r)
	var data any
	if err == nil {
		data, err = do(v)
	}
	p.render(w, r, set, v, http.StatusOK, name, data, err)
}

// answer answers with a page whose data are there already.
func (p *Pages) answer(w http.ResponseWriter, r *http.Request, set *template.Template, status int, name string, data any) {
	v, err := p.view(w, r)
	p.render(w, r, set, v, status, name, data, err)
}

// writes reports whether the asker may do what forms ask for: in a community who may write there, all
// else administrators.
func writes(v *view) bool {
	if v.PathValue("community") == "" {
		return v.may(web.Administer)
	}
	return v.may(web.Write)
}

// take does what a form asks for, for those who may.
func (p *Pages) take(w http.ResponseWriter, r *http.Request, set *template.Template, may func(*view) bool, do func(*view) (string, error), name string, again func(*view) (any, error)) {
	v, err := p.view(w, r)
	next := ""
	if err == nil && !may(v) {
		err = web.ErrForbidden
	}
	if err == nil && r.ParseForm() != nil {
		err = v.wrong("bad_form")
	}
	if err == nil {
		next, err = do(v)
	}
	p.Audit(r, r.Pattern, r.PathValue("community"), err)
	var status int
	switch {
	case err == nil && next != "":
		http.Redirect(w, r, next, http.StatusSeeOther)
		return
	case err == nil:
		status = http.StatusOK
	case errors.Is(err, web.ErrConflict):
		status = http.StatusConflict
	case errors.Is(err, web.ErrBadRequest):
		status = http.StatusBadRequest
	case errors.Is(err, web.ErrBusy):
		status = http.StatusServiceUnavailable
	default:
		p.render(w, r, set, v, 0, name, nil, err)
		return
	}
	if err != nil {
		v.Wrong = v.reason(err)
	}
	data, err := again(v)
	p.render(w, r, set, v, status, name, data, err)
}

// reason is what an error says to people, without the words by which programs tell errors apart.
func (v *view) reason(err error) string {
	if both, ok := err.(interface{ Unwrap() []error }); ok {
		if parts := both.Unwrap(); len(parts) == 2 && (parts[0] == web.ErrBadRequest || parts[0] == web.ErrConflict) { //nolint:errorlint // these themselves
			return v.reason(parts[1])
		}
	}
	said := greentally.ErrorText(err).In(v.Language)
	for _, of := range []error{web.ErrBadRequest, web.ErrConflict} {
		said = strings.ReplaceAll(said, of.Error()+": ", "")
		said = strings.ReplaceAll(said, of.Error()+"：", "")
	}
	return said
}

// render writes a page, or that there was an error.
func (p *Pages) render(w http.ResponseWriter, r *http.Request, set *template.Template, v *view, status int, name string, data any, err error) {
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist):
		status, name, data = http.StatusNotFound, "error", v.word("not_found")
	case errors.Is(err, web.ErrForbidden):
		word := "forbidden"
		if v.Community == nil {
			word = "administrators_only"
		}
		status, name, data = http.StatusForbidden, "error", v.word(word)
	case errors.Is(err, web.ErrBadRequest):
		status, name, data = http.StatusBadRequest, "error", v.reason(err)
	case r.Context().Err() != nil:
		return // the asker has gone
	default:
		p.Log.Error("page failed", "path", r.URL.Path, "error", err)
		status, name, data = http.StatusInternalServerError, "error", v.word("failed")
	}
	var out bytes.Buffer
	if err := set.ExecuteTemplate(&out, name, frame{v, data}); err != nil {
		p.Log.Error("page failed", "path", r.URL.Path, "error", err)
		http.Error(w, v.word("failed"), http.StatusInternalServerError)
		return
	}
	p.send(w, r, v, status, out.Bytes())
}

func (p *Pages) send(w http.ResponseWriter, r *http.Request, v *view, status int, page []byte) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", map[string]string{"zh": "zh-CN", "en": "en"}[v.Language])
	// Charts set styles of what they draw; scripts come from here alone.
	w.Header().Set("Content-Security-Policy", "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	w.WriteHeader(status)
	if _, err := w.Write(page); err != nil {
		p.Log.Debug("page not sent", "path", r.URL.Path, "error", err)
	}
}

// allNews streams that something changed in any community of which one may read.
func (p *Pages) allNews(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	p.News.Stream(w, r, func(community string) bool { return p.May(ctx, web.Read, community) })
}

// news streams that something changed in a community.
func (p *Pages) news(w http.ResponseWriter, r *http.Request) {
	v, err := p.view(w, r)
	if err != nil {
		http.Error(w, v.word("not_found"), http.StatusNotFound)
		return
	}
	p.News.Stream(w, r, func(community string) bool { return community == v.Community.ID })
}

// here is a path below the community's.
func (v *view) here(parts ...string) string {
	path := "/c/" + url.PathEscape(v.Community.ID)
	for _, part := range parts {
		path += "/" + url.PathEscape(part)
	}
	return path
}

// month is the month that was asked for, or the one that is.
func (v *view) month() (greentally.Month, error) {
	text := v.URL.Query().Get("month")
	if text == "" {
		return greentally.DateOf(v.Now, v.Location).MonthOf(), nil
	}
	month, err := greentally.ParseMonth(text)
	if err != nil {
		return month, fmt.Errorf("%w: %w", web.ErrBadRequest, err)
	}
	return month, nil
}

// wrong is an error that the person who sent a form can mend, in the page's language.
func (v *view) wrong(word string) error { return fmt.Errorf("%w: %s", web.ErrBadRequest, v.word(word)) }
