package pages

import (
	"bytes"
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	"greentally"
	"greentally/web"
)

//go:embed templates/*.html
var templates embed.FS

//go:embed static
var static embed.FS

// Pages shows what the server's functions tell. All of its own are required, too.
type Pages struct {
	*web.Server

	// Person is who looks at the page, for people; empty if nobody has logged in.
	Person  func(ctx context.Context) string
	Account Account

	// Workings returns a month's indicators with how each came about.
	Workings    func(ctx context.Context, community string, month greentally.Month) ([]greentally.IndicatorValue, []greentally.Working, error)
	Assessments func(ctx context.Context, community string, month greentally.Month) ([]greentally.Assessment, error)
	Location    func(community string) (*time.Location, bool)
	Kind        func(name string) (*greentally.Kind, bool)
	Now         func() time.Time
}

// Handler returns the pages' routes.
func (p *Pages) Handler() (http.Handler, error) {
	set, err := parse()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	page := func(path, name string, show func(*view) (any, error)) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) { p.show(w, r, set, name, show) })
	}
	page("/{$}", "communities", p.communities)
	page("/c/{community}", "community", p.community)
	page("/c/{community}/devices/{device}", "device", p.device)
	page("/c/{community}/indicators", "indicators", p.indicators)
	page("/c/{community}/indicators/{indicator}", "indicator", p.indicator)
	page("/c/{community}/alerts", "alerts", p.alerts)
	p.routeAccount(mux, set)
	return mux, nil
}

// static serves what the pages are made with; nobody needs to be identified for it.
func (p *Pages) static() (http.Handler, error) {
	files, err := fs.Sub(static, "static")
	if err != nil {
		return nil, err
	}
	return http.StripPrefix("/static/", cached(http.FileServerFS(files))), nil
}

// cached lets browsers keep the files for a while: their names carry their version.
func cached(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=86400")
		next.ServeHTTP(w, r)
	})
}

// view is a page that is asked for.
type view struct {
	*http.Request
	Language string // zh or en
	words    map[string][2]string

	Person    string                // who looks at it
	Community *greentally.Community // if the path names one
	Location  *time.Location
	Now       time.Time
}

// languageCookie remembers the language that was chosen.
const languageCookie = "greentally_language"

func (p *Pages) view(w http.ResponseWriter, r *http.Request) (*view, error) {
	v := &view{Request: r, Language: cmp.Or(p.Account.Me(r.Context()).Language, "zh"), words: words(), Location: time.UTC, Now: p.Now(), Person: p.Person(r.Context())}
	if c, err := r.Cookie(languageCookie); err == nil && (c.Value == "zh" || c.Value == "en") {
		v.Language = c.Value
	}
	if chosen := r.URL.Query().Get("lang"); chosen == "zh" || chosen == "en" {
		v.Language = chosen
		http.SetCookie(w, &http.Cookie{Name: languageCookie, Value: chosen, Path: "/", MaxAge: 365 * 24 * 3600, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	}
	if id := r.PathValue("community"); id != "" {
		all := p.Communities()
		i := slices.IndexFunc(all, func(c *greentally.Community) bool { return c.ID == id })
		loc, ok := p.Location(id)
		if i < 0 || !ok || !p.May(r.Context(), web.Read, id) {
			return v, fmt.Errorf("community %q: %w", id, fs.ErrNotExist)
		}
		v.Community, v.Location = all[i], loc
		v.Now = v.Now.In(loc)
	}
	return v, nil
}

// show answers with a page.
func (p *Pages) show(w http.ResponseWriter, r *http.Request, set *template.Template, name string, do func(*view) (any, error)) {
	v, err := p.view(w, r)
	var data any
	if err == nil {
		data, err = do(v)
	}
	status := http.StatusOK
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist):
		status, name, data = http.StatusNotFound, "error", v.word("not_found")
	case errors.Is(err, web.ErrBadRequest):
		status, name, data = http.StatusBadRequest, "error", err.Error()
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

// frame is what templates see.
type frame struct {
	*view
	Data any
}

// T is a word in the page's language.
func (f frame) T(name string) string { return f.word(name) }

// In is a text in the page's language.
func (f frame) In(t greentally.Text) string { return t.In(f.Language) }

// Other is the language that can be chosen instead.
func (f frame) Other() string {
	if f.Language == "zh" {
		return "en"
	}
	return "zh"
}

// Here is the page's own address, in the other language.
func (f frame) Here() string {
	query := f.URL.Query()
	query.Set("lang", f.Other())
	return f.URL.Path + "?" + query.Encode()
}

// month is the month that was asked for, or the one that is.
func (v *view) month() (greentally.Month, error) {
	text := v.URL.Query().Get("month")
	if text == "" {
		return greentally.DateOf(v.Now, v.Location).MonthOf(), nil
	}
	month, err := greentally.ParseMonth(text)
	if err != nil {
		return month, fmt.Errorf("%w: month: %w", web.ErrBadRequest, err)
	}
	return month, nil
}

func parse() (*template.Template, error) {
	set := template.New("pages").Funcs(template.FuncMap{
		"percent": func(v float64) string { return fmt.Sprintf("%.1f", 100*v) },
		"lower":   strings.ToLower,
	})
	set, err := set.ParseFS(templates, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("templates of the pages: %w", err)
	}
	return set, nil
}

// byName sorts communities as people look for them.
func byName(all []*greentally.Community, language string) []*greentally.Community {
	return slices.SortedFunc(slices.Values(all), func(a, b *greentally.Community) int {
		return cmp.Compare(a.Name.In(language), b.Name.In(language))
	})
}
