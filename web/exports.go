package web

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"greentally"
)

// Exports are what communities hand in, and what they apply for with it. All functions are
// required.
type Exports struct {
	// File writes a community's month in a format, and returns its name and media type.
	File func(ctx context.Context, community string, month greentally.Month, format, language string) (File, error)
	// Kept lists the months that were exported by schedule, the latest first.
	Kept func(ctx context.Context, community string) ([]greentally.KeptExport, error)
	// Bundle returns the evidence bundle with the SHA-256.
	Bundle func(ctx context.Context, sha256 string) (File, error)

	Applications func(ctx context.Context, community string) ([]greentally.Application, error) // of all communities if it is empty
	Application  func(ctx context.Context, id string) (greentally.Application, error)
	Revisions    func(ctx context.Context, a greentally.Application) ([]greentally.Revision, error) // what became another figure since it was handed in
	// Step takes a step of the application with the ID, or begins one if that is empty.
	Step func(ctx context.Context, id string, step greentally.Step) (greentally.Application, error)
	// Rollup counts titles of communities on a day; today if it is zero.
	Rollup func(ctx context.Context, communities func(id string) bool, on greentally.Date) (greentally.Rollup, error)

	Key func() string // public, that bundles are signed with
}

// File is a file to hand out.
type File struct {
	Name, MediaType string
	Data            []byte
	Community       string // whose it is
}

// application is an application with what has become another figure since it was handed in.
type application struct {
	greentally.Application
	Revisions []greentally.Revision `json:"revisions"`
}

// exportTime is how long an export may take to be made and sent.
const exportTime = 15 * time.Minute

func (s *Server) routeExports(api *http.ServeMux, get, post func(string, func(*http.Request) (any, error))) {
	x := s.Exports
	file := func(path string, answer func(r *http.Request) (File, error)) {
		api.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(exportTime)) // a server that has none lets it take as long
			f, err := answer(r)
			if err != nil {
				s.failed(w, r, err)
				return
			}
			s.send(w, r, f)
		})
	}
	file("/api/v1/communities/{community}/exports/{month}", func(r *http.Request) (File, error) {
		c, err := s.community(r)
		if err != nil {
			return File{}, err
		}
		month, err := greentally.ParseMonth(r.PathValue("month"))
		if err != nil {
			return File{}, badRequest("month: %w", err)
		}
		return x.File(r.Context(), c.ID, month, r.FormValue("format"), r.FormValue("lang"))
	})
	get("/api/v1/communities/{community}/exports", func(r *http.Request) (any, error) {
		c, err := s.community(r)
		if err != nil {
			return nil, err
		}
		return x.Kept(r.Context(), c.ID)
	})
	file("/api/v1/bundles/{sha256}", func(r *http.Request) (File, error) {
		f, err := x.Bundle(r.Context(), r.PathValue("sha256"))
		if err == nil && s.allowed(r, f.Community) != nil {
			err = greentally.Missingf("没有证据包 %s", "there is no bundle %s", r.PathValue("sha256"))
		}
		if err != nil {
			return File{}, err
		}
		return f, nil
	})
	get("/api/v1/applications", func(r *http.Request) (any, error) {
		ctx := r.Context()
		all, err := x.Applications(ctx, r.FormValue("community"))
		return slices.DeleteFunc(all, func(a greentally.Application) bool { return !s.May(ctx, Read, a.Community) }), err
	})
	// known returns why the application is not there for the asker.
	known := func(r *http.Request, a greentally.Application) error {
		if !s.May(r.Context(), Read, a.Community) {
			return greentally.NoApplication(r.PathValue("id"))
		}
		return nil
	}
	get("/api/v1/applications/{id}", func(r *http.Request) (any, error) {
		a, err := x.Application(r.Context(), r.PathValue("id"))
		if err == nil {
			err = known(r, a)
		}
		if err != nil {
			return nil, err
		}
		revisions, err := x.Revisions(r.Context(), a)
		return application{a, revisions}, err
	})
	step := func(r *http.Request) (any, error) {
		var step greentally.Step
		if err := Body(r, &step); err != nil {
			return nil, err
		}
		if step.Application != "" || step.Account != "" || step.Submission != nil || !step.Recorded.IsZero() {
			return nil, badRequest("application, account, submission and recorded are not for you to say")
		}
		id, community := r.PathValue("id"), step.Community
		if id != "" {
			a, err := x.Application(r.Context(), id)
			if err == nil {
				err = known(r, a)
			}
			if err != nil {
				return nil, err
			}
			community = a.Community
		} else if !s.May(r.Context(), Read, community) {
			return nil, greentally.NoCommunity(community)
		}
		r.SetPathValue("community", community) // for the audit
		if !s.MayStep(r.Context(), community, step.To, id == "") {
			return nil, ErrForbidden
		}
		a, err := x.Step(r.Context(), id, step)
		About(r, "id", a.ID, "stage", string(step.To), "scheme", step.Scheme)
		return a, err
	}
	post("/api/v1/applications", step)
	post("/api/v1/applications/{id}/steps", step)
	get("/api/v1/rollup", func(r *http.Request) (any, error) {
		var on greentally.Date
		if text := r.FormValue("on"); text != "" {
			var err error
			if on, err = greentally.ParseDate(text); err != nil {
				return nil, badRequest("on: %w", err)
			}
		}
		ctx := r.Context()
		return x.Rollup(ctx, func(community string) bool { return s.May(ctx, Read, community) }, on)
	})
	get("/api/v1/key", func(*http.Request) (any, error) { return map[string]string{"key": x.Key()}, nil })
}

// MayStep reports whether the asker may take a step of an application of the community: what is the
// authority's only who may judge there, all else who may write there.
func (s *Server) MayStep(ctx context.Context, community string, to greentally.Stage, first bool) bool {
	if to.ByAuthority(first) {
		return s.May(ctx, Judge, community)
	}
	return s.May(ctx, Write, community)
}

// send hands out a file.
func (s *Server) send(w http.ResponseWriter, r *http.Request, f File) {
	w.Header().Set("Content-Type", f.MediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(f.Data)))
	w.Header().Set("Content-Disposition", disposition(f.Name))
	if _, err := w.Write(f.Data); err != nil {
		s.Log.Debug("answer not sent", "path", r.URL.Path, "error", err)
	}
}
