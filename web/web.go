package web

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"golang.org/x/sync/semaphore"

	"greentally"
	"greentally/internal/health"
)

// Server answers requests by the functions that it is given. All of them are
// required. An error that wraps [fs.ErrNotExist] is answered with 404, one that
// wraps [ErrBadRequest] with 400, [ErrConflict] with 409, any other with 500.
type Server struct {
	// Identify finds out who sends a request, and lets nobody else pass; health checks do not
	// come to it. May says whether that one may do something in a community, or with what
	// belongs to none.
	Identify func(next http.Handler) http.Handler
	May      func(ctx context.Context, a Action, community string) bool

	// Administration are further requests by their patterns, such as GET /api/v1/users, for
	// those alone who may administer.
	Administration map[string]func(*http.Request) (any, error)

	// Pages are what people see, by their patterns, and NoPage where there is none of these. Open
	// are those that nobody needs to be identified for: the way in.
	Pages, Open map[string]http.Handler
	NoPage      http.Handler

	// Audit is told of every request that would change something, with what came of it.
	Audit func(r *http.Request, action, community string, err error)

	Communities func() []*greentally.Community
	Latest      func(greentally.DeviceKey) (greentally.Reading, bool)
	Indicators  func(ctx context.Context, community string, month greentally.Month) ([]greentally.IndicatorValue, error)
	DeviceDays  func(context.Context, greentally.DeviceDayQuery) ([]greentally.DeviceDay, error)
	Readings    func(ctx context.Context, key greentally.DeviceKey, from, to time.Time, limit int) ([]greentally.Reading, error)
	Alerts      func() []greentally.Alert // those that hold, and those that ended lately
	AlertsOf    func(ctx context.Context, community string, month greentally.Month) ([]greentally.Alert, error)
	Records     func(ctx context.Context, community string, from, to greentally.Date) ([]greentally.Record, error)
	Record      func(ctx context.Context, community, id string) (greentally.Record, error)
	AddRecord   func(context.Context, greentally.Record) (greentally.Record, error)
	CheckRecord func(context.Context, greentally.Record) (greentally.Record, error) // says what AddRecord would, and adds nothing

	AddAttachment func(ctx context.Context, community, name string, content []byte) (greentally.Attachment, error)
	Attachment    func(ctx context.Context, community, sha256 string) (greentally.Attachment, []byte, error)

	DeadLetters      func(ctx context.Context, after uint64, limit int) ([]greentally.DeadLetter, error)
	ReplayDeadLetter func(ctx context.Context, id uint64) error
	DeleteDeadLetter func(ctx context.Context, id uint64) error

	Exports  Exports
	Silences Silences

	// Discovered returns a page of the devices that speak and are in no file, by community and name,
	// and how many there are on all pages: those that the asker may see.
	Discovered func(context.Context, DiscoveredQuery) (page []greentally.Discovered, total int, err error)
	Adopt      func(ctx context.Context, device greentally.Device) error

	Status func(context.Context) (any, error) // lags, connections; for people
	Ready  func(context.Context) error        // nil when the program takes messages; the store may be away: the journal keeps them
	// Troubles is what is wrong now, for /readyz and for the pages.
	Troubles func() []health.Trouble
	Metrics  http.Handler
	Mounted  map[string]http.Handler // further ones, by the path under which they are served; nil ones are not there
	Log      *slog.Logger

	roomOnce sync.Once
	room     *semaphore.Weighted // see Upload
}

// Action is what somebody wants to do.
type Action string

// The actions: the first four in a community, the others with what belongs to none.
const (
	Read       Action = "read"
	Write      Action = "write"
	Judge      Action = "judge"      // steps of applications that are the authority's
	Screen     Action = "screen"     // what the big screen of a community shows
	Monitor    Action = "monitor"    // metrics and status
	Administer Action = "administer" // dead letters, and what else is of all communities
)

// ErrBadRequest is wrapped by errors that the asker can mend.
var ErrBadRequest = errors.New("bad request")

// ErrConflict is wrapped by errors for what is there already.
var ErrConflict = errors.New("conflict")

// ErrForbidden is wrapped by errors for what the asker may see and not do.
var ErrForbidden = errors.New("you may not do this")

// maxBody is the largest request body, in bytes.
const maxBody = 1 << 20

// description is the API's, in OpenAPI 3.1.
//
//go:embed openapi.yaml
var description []byte

// maxReadings is the most readings in one answer.
const maxReadings = 10_000

// Handler returns the server's routes.
func (s *Server) Handler() http.Handler {
	api := http.NewServeMux()
	get := func(path string, answer func(r *http.Request) (any, error)) {
		api.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) { s.reply(w, r, answer) })
	}
	post := func(path string, answer func(r *http.Request) (any, error)) {
		api.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
				s.fail(w, r, http.StatusUnsupportedMediaType, errors.New("send Content-Type: application/json"))
				return
			}
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			s.reply(w, r, s.audited(answer))
		})
	}
	// What belongs to no community is for those who may do the action. What names one in its
	// path is checked by s.community, which all of them ask.
	only := func(a Action, answer func(r *http.Request) (any, error)) func(r *http.Request) (any, error) {
		return func(r *http.Request) (any, error) {
			if !s.May(r.Context(), a, "") {
				return nil, ErrForbidden
			}
			return answer(r)
		}
	}
	api.HandleFunc("GET /api/v1/openapi.yaml", func(w http.ResponseWriter, r *http.Request) {
		s.send(w, r, File{Name: "openapi.yaml", MediaType: "application/yaml", Data: description})
	})
	get("/api/v1/status", only(Monitor, func(r *http.Request) (any, error) { return s.Status(r.Context()) }))
	get("/api/v1/communities", func(r *http.Request) (any, error) { return s.communities(r.Context()), nil })
	get("/api/v1/communities/{community}/devices", s.devices)
	get("/api/v1/communities/{community}/indicators", s.indicators)
	get("/api/v1/communities/{community}/devices/{device}/days", s.days)
	get("/api/v1/communities/{community}/devices/{device}/readings", s.readings)
	get("/api/v1/communities/{community}/alerts", s.alertsOf)
	get("/api/v1/communities/{community}/records", s.records)
	get("/api/v1/communities/{community}/records/{id}", s.record)
	post("/api/v1/communities/{community}/records", s.addRecord)
	api.HandleFunc("GET /api/v1/communities/{community}/attachments/{sha256}", s.attachment)
	api.HandleFunc("POST /api/v1/communities/{community}/attachments", s.addAttachment)
	get("/api/v1/deadletters", only(Administer, s.deadLetters))
	post("/api/v1/deadletters/{id}/replay", only(Administer, s.byID(func(ctx context.Context, id uint64) error { return s.ReplayDeadLetter(ctx, id) })))
	post("/api/v1/deadletters/{id}/delete", only(Administer, s.byID(func(ctx context.Context, id uint64) error { return s.DeleteDeadLetter(ctx, id) })))
	api.HandleFunc("GET /api/v1/discovered", func(w http.ResponseWriter, r *http.Request) {
		s.reply(w, r, func(r *http.Request) (any, error) { return s.discovered(w, r) })
	})
	post("/api/v1/communities/{community}/devices", s.adopt)
	get("/api/v1/alerts", s.alerts)
	s.routeExports(api, get, post)
	s.routeSilences(get, post)
	for pattern, answer := range s.Administration {
		if path, is := strings.CutPrefix(pattern, "POST "); is {
			post(path, only(Administer, answer))
		} else {
			get(strings.TrimPrefix(pattern, "GET "), only(Administer, answer))
		}
	}
	for pattern, page := range s.Pages {
		api.Handle(pattern, page)
	}
	api.Handle("GET /metrics", s.onlyFor(Monitor, s.Metrics))
	for path, handler := range s.Mounted {
		if handler != nil {
			api.Handle(path+"/", s.noted(s.onlyFor(Administer, http.StripPrefix(path, handler))))
		}
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := s.Ready(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		} else {
			_, _ = fmt.Fprintln(w, "ok")
		}
		for _, t := range s.Troubles() {
			if !t.Stops {
				_, _ = fmt.Fprintf(w, "%s: %s\n", t.Name, t.Error)
			}
		}
	})
	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, http.StatusForbidden, errors.New("a page of another origin may not do this"))
	}))
	for pattern, handler := range s.Open {
		mux.Handle(pattern, handler)
	}
	mux.Handle("/", s.Identify(s.orNothing(api)))
	return headers(compressed(sameOrigin.Handler(mux)))
}

// orNothing tells people by a page that there is nothing at an address; programs, and who asks for
// the API, are told as ever.
func (s *Server) orNothing(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		looks := (r.Method == http.MethodGet || r.Method == http.MethodHead) && !strings.HasPrefix(r.URL.Path, "/api/")
		if looks && strings.Contains(r.Header.Get("Accept"), "text/html") {
			if _, pattern := mux.Handler(r); pattern == "" {
				s.NoPage.ServeHTTP(w, r)
				return
			}
		}
		mux.ServeHTTP(w, r)
	})
}

// compressed lets answers be compressed for who takes that, but for streams of events, which are
// sent at once.
func compressed(next http.Handler) http.Handler {
	wrap, err := gzhttp.NewWrapper(gzhttp.ContentTypeFilter(func(media string) bool {
		return !strings.HasPrefix(media, "text/event-stream") && gzhttp.DefaultContentTypeFilter(media)
	}))
	if err != nil {
		panic("BUG: " + err.Error()) // the options are as they are
	}
	return wrap(next)
}

// onlyFor lets those pass who may do an action with what belongs to no community.
func (s *Server) onlyFor(a Action, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.May(r.Context(), a, "") {
			s.failed(w, r, ErrForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// noted tells of requests that would change something in what is mounted.
func (s *Server) noted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			var refused error
			if !s.May(r.Context(), Administer, "") {
				refused = ErrForbidden
			}
			s.Audit(r, r.Method+" "+r.URL.Path, "", refused)
		}
		next.ServeHTTP(w, r)
	})
}

// audited tells of a request and of what came of it.
func (s *Server) audited(answer func(*http.Request) (any, error)) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		value, err := answer(r)
		s.Audit(r, r.Pattern, r.PathValue("community"), err)
		return value, err
	}
}

// Named are the names under which a request's path values say what it is about: those of the paths,
// and those that are set because the body says it or it was made. The audit tells them.
func Named() []string {
	return []string{"id", "device", "month", "record", "silence", "rule", "indicator", "scheme", "stage", "sha256", "check", "grants", "disabled"}
}

// About sets what a request is about, by names of [Named] and values, for the audit.
func About(r *http.Request, pairs ...string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			r.SetPathValue(pairs[i], pairs[i+1])
		}
	}
}

func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "same-origin")
		w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func (s *Server) reply(w http.ResponseWriter, r *http.Request, answer func(*http.Request) (any, error)) {
	value, err := answer(r)
	var data []byte
	if err == nil {
		data, err = json.Marshal(value)
	}
	if err != nil {
		s.failed(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(append(data, '\n')); err != nil {
		s.Log.Debug("answer not sent", "path", r.URL.Path, "error", err)
	}
}

// failed answers with an error by what it is.
func (s *Server) failed(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.fail(w, r, http.StatusNotFound, err)
	case errors.As(err, new(*http.MaxBytesError)):
		s.fail(w, r, http.StatusRequestEntityTooLarge, err)
	case errors.Is(err, ErrBusy):
		busy(w)
		s.fail(w, r, http.StatusServiceUnavailable, err)
	case errors.Is(err, ErrForbidden):
		s.fail(w, r, http.StatusForbidden, err)
	case errors.Is(err, ErrConflict):
		s.fail(w, r, http.StatusConflict, err)
	case errors.Is(err, ErrBadRequest):
		s.fail(w, r, http.StatusBadRequest, err)
	case r.Context().Err() != nil: // the asker has gone, or listens on and sends no more
		s.fail(w, r, http.StatusServiceUnavailable, errors.New("the request was given up"))
	default:
		s.Log.Error("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
		s.fail(w, r, http.StatusInternalServerError, err)
	}
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, status int, err error) {
	if err := Fail(w, status, err); err != nil {
		s.Log.Debug("answer not sent", "path", r.URL.Path, "error", err)
	}
}

// Fail answers with an error as the API does.
func Fail(w http.ResponseWriter, status int, err error) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
}

// Refusedf returns an error for what the asker can mend, that pages tell, too.
func Refusedf(zh, en string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrBadRequest, greentally.TextErrorf(zh, en, args...))
}

func badRequest(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrBadRequest, fmt.Errorf(format, args...))
}

// community is what the API says of a community in a list.
type community struct {
	ID         string            `json:"community"`
	Name       greentally.Text   `json:"name"`
	TimeZone   string            `json:"time_zone"`
	Households int               `json:"households"`
	Population int               `json:"population,omitempty"`
	Sites      []greentally.Site `json:"sites"`
	Devices    int               `json:"devices"`
}

func (s *Server) communities(ctx context.Context) []community {
	all := []community{}
	for _, c := range s.Communities() {
		if !s.May(ctx, Read, c.ID) {
			continue
		}
		sites := c.Sites
		if sites == nil {
			sites = []greentally.Site{}
		}
		all = append(all, community{c.ID, c.Name, c.TimeZone, c.Households, c.Population, sites, len(c.Devices)})
	}
	return all
}

// community returns the community that the path names, if the request may get at it.
func (s *Server) community(r *http.Request) (*greentally.Community, error) {
	id := r.PathValue("community")
	if err := s.allowed(r, id); err != nil {
		return nil, err
	}
	for _, c := range s.Communities() {
		if c.ID == id {
			return c, nil
		}
	}
	return nil, greentally.NoCommunity(id)
}

// allowed returns why the request may not get at the community. To those who may not read of it
// it is not there.
func (s *Server) allowed(r *http.Request, community string) error {
	if !s.May(r.Context(), Read, community) {
		return greentally.NoCommunity(community)
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead && !s.May(r.Context(), Write, community) {
		return ErrForbidden
	}
	return nil
}

// device returns the device that the path names.
func (s *Server) device(r *http.Request) (*greentally.Community, *greentally.Device, error) {
	c, err := s.community(r)
	if err != nil {
		return nil, nil, err
	}
	id := r.PathValue("device")
	for _, d := range c.Devices {
		if d.ID == id {
			return c, d, nil
		}
	}
	return nil, nil, greentally.Missingf("社区 %[2]q 没有设备 %[1]q", "there is no device %q in community %q", id, c.ID)
}

// device is a device with its latest reading.
type device struct {
	*greentally.Device
	Latest *greentally.Reading `json:"latest"` // null if it has not spoken
}

func (s *Server) devices(r *http.Request) (any, error) {
	c, err := s.community(r)
	if err != nil {
		return nil, err
	}
	all := []device{}
	for _, d := range c.Devices {
		entry := device{Device: d}
		if latest, ok := s.Latest(d.Key()); ok {
			entry.Latest = &latest
		}
		all = append(all, entry)
	}
	return all, nil
}

func (s *Server) indicators(r *http.Request) (any, error) { return ofMonth(s, r, s.Indicators) }

// alertsOf answers with the alerts of a month, by when they fired.
func (s *Server) alertsOf(r *http.Request) (any, error) { return ofMonth(s, r, s.AlertsOf) }

// ofMonth answers with what get returns of the community and month of the request.
func ofMonth[T any](s *Server, r *http.Request, get func(context.Context, string, greentally.Month) ([]T, error)) (any, error) {
	c, err := s.community(r)
	if err != nil {
		return nil, err
	}
	month, err := greentally.ParseMonth(r.URL.Query().Get("month"))
	if err != nil {
		return nil, badRequest("month: %w", err)
	}
	all, err := get(r.Context(), c.ID, month)
	if all == nil {
		all = []T{}
	}
	return all, err
}

// dates reads the query parameters from and to.
func dates(r *http.Request) (from, to greentally.Date, err error) {
	if from, err = greentally.ParseDate(r.URL.Query().Get("from")); err != nil {
		return from, to, badRequest("from: %w", err)
	}
	if to, err = greentally.ParseDate(r.URL.Query().Get("to")); err != nil {
		return from, to, badRequest("to: %w", err)
	}
	if to.Before(from) {
		return from, to, badRequest("from: %s is after to, %s", from, to)
	}
	return from, to, nil
}

func (s *Server) days(r *http.Request) (any, error) {
	c, d, err := s.device(r)
	if err != nil {
		return nil, err
	}
	from, to, err := dates(r)
	if err != nil {
		return nil, err
	}
	days, err := s.DeviceDays(r.Context(), greentally.DeviceDayQuery{Community: c.ID, Device: d.ID, From: from, To: to})
	if days == nil {
		days = []greentally.DeviceDay{}
	}
	return days, err
}

func (s *Server) readings(r *http.Request) (any, error) {
	_, d, err := s.device(r)
	if err != nil {
		return nil, err
	}
	var times [2]time.Time
	for i, name := range []string{"from", "to"} {
		if times[i], err = time.Parse(time.RFC3339, r.URL.Query().Get(name)); err != nil {
			return nil, badRequest("%s: %q is not a time such as 2026-10-31T08:00:00Z", name, r.URL.Query().Get(name))
		}
		// What no nanosecond clock can tell; "to the end of time" is a common idiom.
		if year := times[i].Year(); year < 1700 {
			times[i] = time.Date(1700, 1, 1, 0, 0, 0, 0, time.UTC)
		} else if year > 2200 {
			times[i] = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
		}
	}
	if times[0].After(times[1]) {
		return nil, badRequest("from: %s is after to, %s", times[0].Format(time.RFC3339Nano), times[1].Format(time.RFC3339Nano))
	}
	readings, err := s.Readings(r.Context(), d.Key(), times[0].UTC(), times[1].UTC(), maxReadings)
	if readings == nil {
		readings = []greentally.Reading{}
	}
	return readings, err
}

// records answers with the records dated in a range; a date that is not given is no bound.
func (s *Server) records(r *http.Request) (any, error) {
	c, err := s.community(r)
	if err != nil {
		return nil, err
	}
	var bounds [2]greentally.Date
	for i, name := range []string{"from", "to"} {
		text := r.URL.Query().Get(name)
		if text == "" {
			continue
		}
		if bounds[i], err = greentally.ParseDate(text); err != nil {
			return nil, badRequest("%s: %w", name, err)
		}
	}
	from, to := bounds[0], bounds[1]
	if to != (greentally.Date{}) && to.Before(from) {
		return nil, badRequest("from: %s is after to, %s", from, to)
	}
	records, err := s.Records(r.Context(), c.ID, from, to)
	if records == nil {
		records = []greentally.Record{}
	}
	return records, err
}

// Body decodes the request's body, one JSON value, strictly.
func Body(r *http.Request, into any) error {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return badRequest("body: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return badRequest("body: there is more than one JSON value in it; send one at a time")
	}
	return nil
}

func (s *Server) addRecord(r *http.Request) (any, error) {
	c, err := s.community(r)
	if err != nil {
		return nil, err
	}
	var record greentally.Record
	if err := Body(r, &record); err != nil {
		return nil, err
	}
	record.Community = c.ID
	switch check := r.URL.Query().Get("check"); check {
	case "true":
		About(r, "check", check)
		return s.CheckRecord(r.Context(), record)
	case "", "false":
		added, err := s.AddRecord(r.Context(), record)
		About(r, "record", added.ID)
		return added, err
	default:
		return nil, badRequest("check: %q is neither true nor false", check)
	}
}

func (s *Server) record(r *http.Request) (any, error) {
	c, err := s.community(r)
	if err != nil {
		return nil, err
	}
	return s.Record(r.Context(), c.ID, r.PathValue("id"))
}

func (s *Server) deadLetters(r *http.Request) (any, error) {
	after, limit := uint64(0), uint64(100)
	for name, value := range map[string]*uint64{"after": &after, "limit": &limit} {
		if text := r.URL.Query().Get(name); text != "" {
			n, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				return nil, badRequest("%s: %q is not a number", name, text)
			}
			*value = n
		}
	}
	return s.DeadLetters(r.Context(), after, int(min(max(limit, 1), 1000)))
}

// DiscoveredQuery says which discovered devices are wanted.
type DiscoveredQuery struct {
	Community string // those of it, and of none; of any if it is empty
	Device    string // that call themselves so; any if it is empty
	After     string // the page begins behind this one, as community/device
	Limit     int    // at most so many
}

// DiscoveredShown is the most discovered devices in one answer.
const DiscoveredShown = 100

// totalHeader says how many there are of what an answer is a page of.
const totalHeader = "X-Total-Count"

// discovered answers with a page of the devices that speak and are in no file, and says in the
// header how many there are.
func (s *Server) discovered(w http.ResponseWriter, r *http.Request) (any, error) {
	q := DiscoveredQuery{Community: r.FormValue("community"), Device: r.FormValue("device"), After: r.FormValue("after"), Limit: DiscoveredShown}
	if text := r.FormValue("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > DiscoveredShown {
			return nil, badRequest("limit: %q is not a number from 1 to %d", text, DiscoveredShown)
		}
		q.Limit = n
	}
	page, total, err := s.Discovered(r.Context(), q)
	if page == nil {
		page = []greentally.Discovered{}
	}
	w.Header().Set(totalHeader, strconv.Itoa(total))
	return page, err
}

func (s *Server) byID(do func(context.Context, uint64) error) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
		if err != nil {
			return nil, badRequest("%q is not the ID of a dead letter", r.PathValue("id"))
		}
		return map[string]uint64{"id": id}, do(r.Context(), id)
	}
}

func (s *Server) adopt(r *http.Request) (any, error) {
	c, err := s.community(r)
	if err != nil {
		return nil, err
	}
	var d greentally.Device
	if err := Body(r, &d); err != nil {
		return nil, err
	}
	d.Community = c.ID
	About(r, "device", d.ID)
	return d, s.Adopt(r.Context(), d)
}

// alerts answers with the alerts that hold; with state=ended those that ended lately, and
// with state=all both.
func (s *Server) alerts(r *http.Request) (any, error) {
	state, community := r.FormValue("state"), r.FormValue("community")
	if state != "" && state != "firing" && state != "ended" && state != "all" {
		return nil, fmt.Errorf("%w: state %q is none of firing, ended, all", ErrBadRequest, state)
	}
	found := []greentally.Alert{}
	for _, a := range s.Alerts() {
		ended := a.Ended != nil
		if !s.May(r.Context(), Read, a.Community) {
			continue
		}
		if community != "" && a.Community != community || state == "ended" && !ended || (state == "" || state == "firing") && ended {
			continue
		}
		found = append(found, a)
	}
	return found, nil
}
