package influx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// ErrNotInfluxDB is wrapped by errors of an answer that InfluxDB would not give: that of another
// web server, of a login page, or of a proxy in between. Nothing was stored, and nothing was
// refused either.
var ErrNotInfluxDB = errors.New("what answers is not InfluxDB; look at influxdb.url, and at proxies and login pages in between")

// guard lets through what InfluxDB answers and makes errors of all else, so that nobody takes the
// word of another server for InfluxDB's. No redirect is followed: InfluxDB sends none, and a
// followed one turns a write into a GET.
type guard struct{ http.RoundTripper }

// writePath is what points are posted to.
const writePath = "/api/v2/write"

func (g guard) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := g.RoundTripper.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	wrong := ""
	switch status := response.StatusCode; {
	case status/100 == 3:
		wrong = "it sends elsewhere, to " + response.Header.Get("Location")
	case !strings.HasSuffix(request.URL.Path, writePath):
	case status/100 == 2 && status != http.StatusNoContent:
		wrong = "a write is answered by 204 No Content" // by 1.8, 2.x and 3.x alike
	case status == http.StatusBadRequest, status == http.StatusUnprocessableEntity, status == http.StatusRequestEntityTooLarge:
		// Points that InfluxDB refuses are not sent again; so it must be InfluxDB.
		if !isOurs(response) {
			wrong = "InfluxDB says what it refuses"
		}
	}
	if wrong == "" {
		return response, nil
	}
	return nil, errors.Join(notInfluxDB(response, wrong), response.Body.Close())
}

func notInfluxDB(response *http.Response, wrong string) error {
	return fmt.Errorf("%w (%s of %s %s, %s: %s)", ErrNotInfluxDB, response.Status, response.Request.Method,
		response.Request.URL.Redacted(), mediaOf(response), wrong)
}

func mediaOf(response *http.Response) string {
	if media := response.Header.Get("Content-Type"); media != "" {
		return media
	}
	return "no content type"
}

// isOurs reports whether an answer that refuses something is InfluxDB's: 1.8 and 2.x say so in a
// header, and all give the reason as JSON.
func isOurs(response *http.Response) bool {
	for name := range response.Header {
		if strings.HasPrefix(name, "X-Influxdb-") || strings.HasPrefix(name, "X-Platform-Error-") {
			return true
		}
	}
	const most = 1 << 20
	text, err := io.ReadAll(io.LimitReader(response.Body, most))
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(text), response.Body), response.Body}
	return err == nil && reasonIn(text) != ""
}
