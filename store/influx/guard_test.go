package influx_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"greentally"
	"greentally/store/influx"
)

func answers(status int, media, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body) // who does not listen any more has seen the status
	}
}

func sendsElsewhere(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login" {
			answers(http.StatusOK, "text/html", "<html>Log in")(w, r)
			return
		}
		http.Redirect(w, r, "/login", status)
	}
}

// others are web servers that are not InfluxDB.
var others = map[string]http.HandlerFunc{
	"page":                             answers(http.StatusOK, "text/html", "<html>Welcome"),
	"empty page":                       answers(http.StatusOK, "text/html", ""),
	"login page by 302":                sendsElsewhere(http.StatusFound),
	"login page by 303":                sendsElsewhere(http.StatusSeeOther),
	"login page by 307":                sendsElsewhere(http.StatusTemporaryRedirect),
	"API that answers":                 answers(http.StatusOK, "application/json", `{}`),
	"API that makes things":            answers(http.StatusCreated, "application/json", `{"version":"1.0"}`),
	"API that takes things":            answers(http.StatusAccepted, "application/json", `{"results":[]}`),
	"API that refuses things":          answers(http.StatusBadRequest, "application/json", `{"error":"no such field"}`),
	"page that refuses things":         answers(http.StatusBadRequest, "text/html", "<html>Bad request"),
	"page that cannot process things":  answers(http.StatusUnprocessableEntity, "text/html", "<html>Unprocessable"),
	"page that finds things too large": answers(http.StatusRequestEntityTooLarge, "text/html", "<html>Too large"),
	"page that is not there":           answers(http.StatusNotFound, "text/html", "<html>Not found"),
}

// standIn is a server that answers as InfluxDB 1.8 does, and has nothing, until it is another.
type standIn struct {
	*httptest.Server
	other atomic.Pointer[http.HandlerFunc]
}

func newStandIn(t *testing.T) *standIn {
	t.Helper()
	s := &standIn{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if other := s.other.Load(); other != nil {
			(*other)(w, r)
			return
		}
		w.Header().Set("X-Influxdb-Version", "1.8.10")
		if r.URL.Path == "/query" {
			answers(http.StatusOK, "application/json", `{"results":[{"statement_id":0}]}`)(w, r)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *standIn) is(h http.HandlerFunc) { s.other.Store(&h) }

var (
	aBin   = greentally.DeviceKey{Community: "jiayuan", Device: "bin-1"}
	aDay   = greentally.Date{Year: 2026, Month: time.October, Day: 8}
	aMonth = greentally.Month{Year: 2026, Month: time.October}
)

// asks is what a store is asked.
func asks(t *testing.T, s *influx.Store) map[string]error {
	ctx := t.Context()
	reading := func() (err error) {
		for _, err = range s.Readings(ctx, greentally.ReadingQuery{DeviceKey: aBin, Kind: "sorting_bin"}) {
		}
		return err
	}
	second := func(_ any, err error) error { return err }
	return map[string]error{
		"ready":             s.Ready(ctx),
		"write readings":    s.WriteReadings(ctx, readings(3)),
		"write device-days": s.WriteDeviceDays(ctx, []greentally.DeviceDay{{DeviceKey: aBin, Kind: "sorting_bin", Date: aDay, Start: start, Hours: 24}}),
		"write indicators":  s.WriteIndicators(ctx, []greentally.IndicatorValue{{Community: "jiayuan", Month: aMonth, Indicator: "i"}}),
		"write assessments": s.WriteAssessments(ctx, []greentally.Assessment{{Community: "jiayuan", Month: aMonth, Scheme: "s"}}),
		"write records":     s.WriteRecords(ctx, []greentally.Record{{ID: "1", Community: "jiayuan", Date: aDay}}),
		"write alerts":      s.WriteAlerts(ctx, []greentally.Alert{{Community: "jiayuan", Rule: "r", Since: start, Fired: start}}),
		"readings":          reading(),
		"device-days":       second(s.DeviceDays(ctx, greentally.DeviceDayQuery{Community: "jiayuan", From: aDay, To: aDay})),
		"indicators":        second(s.Indicators(ctx, "jiayuan", aMonth)),
		"assessments":       second(s.Assessments(ctx, "jiayuan", aMonth)),
		"records":           second(s.Records(ctx, "jiayuan", aDay, aDay)),
		"alerts":            second(s.Alerts(ctx, "jiayuan", start, start)),
	}
}

func TestNothingElseIsTakenForInfluxDB(t *testing.T) {
	for name, other := range others {
		t.Run(name, func(t *testing.T) {
			server := newStandIn(t)
			s := open(t, server.URL, "b")
			for what, err := range asks(t, s) {
				if err != nil {
					t.Fatalf("%s, of InfluxDB: %v", what, err)
				}
			}
			server.is(other)
			var refused *greentally.RefusedError
			for what, err := range asks(t, s) {
				if err == nil || errors.As(err, &refused) {
					t.Errorf("%s: %v, want an error that passes", what, err)
				}
			}
			// A server that refuses a ping may be an InfluxDB that asks for a token, so it is waited for.
			refuses := strings.Contains(name, "things") && !strings.Contains(name, "makes") && !strings.Contains(name, "takes")
			opened, err := influx.Open(t.Context(), influx.Config{URL: server.URL, Bucket: "b", DerivedBucket: "d", CreateBuckets: true})
			if refuses {
				if opened == nil || !errors.Is(err, influx.ErrUnreachable) {
					t.Errorf("open: %v, want the store with ErrUnreachable", err)
				}
			} else if opened != nil || !errors.Is(err, influx.ErrNotInfluxDB) || !strings.Contains(err.Error(), "influxdb.url") {
				t.Errorf("open: %v, want ErrNotInfluxDB, and what to look at", err)
			}
		})
	}
}

func TestAnswersThatAreNotWhole(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":           "",
		"no results":        `{}`,
		"null":              `null`,
		"empty results":     `{"results":[]}`,
		"a list":            `[]`,
		"HTML":              `<html>`,
		"cut":               `{"results":[{"statement_id":0,"series":[{"name":"sorting_bin","columns":["time","mass_kg"],"values":[[1,2],[2`,
		"cut after a chunk": `{"results":[{"statement_id":0,"series":[{"name":"sorting_bin","columns":["time","mass_kg"],"values":[[1,2]],"partial":true}],"partial":true}]}` + "\n",
		"limit of rows":     `{"results":[{"statement_id":0,"series":[{"name":"sorting_bin","columns":["time","mass_kg"],"values":[[1,2]],"partial":true}]}]}`,
		"HTML afterwards":   `{"results":[{"statement_id":0,"series":[{"name":"sorting_bin","columns":["time","mass_kg"],"values":[[1,2]]}]}]}<html>`,
	} {
		t.Run(name, func(t *testing.T) {
			server := newStandIn(t)
			s := open(t, server.URL, "b")
			server.is(answers(http.StatusOK, "application/json", body))
			err := asks(t, s)["readings"]
			if err == nil {
				t.Error("no error, as if there were no more rows")
			}
			t.Log(err)
		})
	}
}

func TestInfluxDB3SaysItsVersionInThePage(t *testing.T) {
	server := newStandIn(t)
	server.is(answers(http.StatusOK, "application/json", `{"version":"3.0.0","revision":"83b589b","process_id":"b5f1b5fc"}`))
	if err := open(t, server.URL, "b").Ready(t.Context()); err != nil {
		t.Error(err)
	}
}
