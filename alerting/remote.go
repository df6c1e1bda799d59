package alerting

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	commonconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"

	"greentally"
	"greentally/internal/retry"
)

// How alerts are sent to Alertmanagers elsewhere: as Prometheus does it.
const (
	resend      = time.Minute
	holdsFor    = 4 * time.Minute  // an alert of which nothing is heard any more
	endedFor    = 15 * time.Minute // the end of an alert is sent again
	postTimeout = 10 * time.Second
	batch       = 256 // alerts in a request
)

// RemoteOptions are what a Remote needs.
type RemoteOptions struct {
	URLs []*url.URL // of all Alertmanagers of a cluster, such as https://alertmanager.example.org
	HTTP commonconfig.HTTPClientConfig
	Log  *slog.Logger
}

// Remote brings alerts to Alertmanagers elsewhere. It keeps nothing: after a start all that
// holds must be put in again, and what ended while nobody looked, Alertmanager takes for
// ended some minutes after it was last sent.
type Remote struct {
	urls   []*url.URL
	client *http.Client
	log    *slog.Logger
	stop   func()
	sent   sync.WaitGroup

	mu   sync.Mutex
	book book
	news []chan struct{} // one for each Alertmanager; holds a value if there is any
}

// NewRemote starts sending.
func NewRemote(o RemoteOptions) (*Remote, error) {
	if len(o.URLs) == 0 {
		return nil, errors.New("alertmanager: name the URL of at least one")
	}
	client, err := commonconfig.NewClientFromConfig(o.HTTP, "alertmanager")
	if err != nil {
		return nil, fmt.Errorf("alertmanager: %w", err)
	}
	client.Timeout = postTimeout
	// Alertmanager sends nobody elsewhere; what does is a login page, or a wrong address.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	ctx, cancel := context.WithCancel(context.Background())
	r := &Remote{urls: o.URLs, client: client, log: o.Log, stop: cancel, book: newBook()}
	for _, u := range o.URLs {
		news := make(chan struct{}, 1)
		r.news = append(r.news, news)
		r.sent.Go(func() { r.send(ctx, u, news) })
	}
	return r, nil
}

// Put takes alerts that hold and alerts that ended, as that of a Manager does, and returns
// at once.
func (r *Remote) Put(_ context.Context, alerts ...greentally.Alert) error {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range alerts {
		r.book.note(a, now)
	}
	for _, news := range r.news {
		select {
		case news <- struct{}{}:
		default:
		}
	}
	return nil
}

// Holding returns the alerts that hold, as far as Put was told.
func (r *Remote) Holding() []greentally.Alert {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.book.holding()
}

// Close stops sending.
func (r *Remote) Close() error {
	r.stop()
	r.sent.Wait()
	return nil
}

// send sends all that is known to one Alertmanager, when there is news and every minute.
func (r *Remote) send(ctx context.Context, to *url.URL, news <-chan struct{}) {
	ticks := time.NewTicker(resend)
	defer ticks.Stop()
	for {
		select {
		case <-news:
		case <-ticks.C:
		case <-ctx.Done():
			return
		}
		err := retry.Do(ctx, r.log, "send alerts to "+to.Redacted(), func() error {
			for alerts := range slices.Chunk(r.toSend(time.Now()), batch) {
				if err := r.post(ctx, to, alerts); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return // closed
		}
	}
}

// toSend returns the alerts as they are now, and forgets those that ended long ago.
func (r *Remote) toSend(now time.Time) []model.Alert {
	r.mu.Lock()
	defer r.mu.Unlock()
	var alerts []model.Alert
	for fingerprint, k := range r.book.known {
		if k.alert.Ended != nil && now.Sub(k.changed) > endedFor {
			r.book.forget(fingerprint)
			continue
		}
		a := toAlertmanager(k.alert, k.changed).Alert
		if k.alert.Ended == nil {
			a.EndsAt = now.Add(holdsFor)
		}
		alerts = append(alerts, a)
	}
	return alerts
}

// post sends alerts. What is refused is not tried again before there is other news, for it
// would be refused again.
func (r *Remote) post(ctx context.Context, to *url.URL, alerts []model.Alert) error {
	body, err := json.Marshal(alerts)
	if err != nil {
		return err
	}
	response, err := r.request(ctx, http.MethodPost, to, "alerts", body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10)) // to be told on; the status is what counts
	switch {
	case taken(response, said):
		return nil
	case response.StatusCode/100 <= 3:
		return notAlertmanager(response)
	case response.StatusCode/100 == 4 && response.StatusCode != http.StatusTooManyRequests:
		r.log.Error("Alertmanager refuses alerts; look at its URL and credentials", "url", to.Redacted(), "status", response.Status, "answer", string(said))
		return nil
	default:
		return fmt.Errorf("%s: %s", response.Status, said)
	}
}

// taken reports whether an answer is the one by which Alertmanager says that it has done what it
// was told: 200, and nothing more. Other servers greet with a page.
func taken(response *http.Response, said []byte) bool {
	return response.StatusCode == http.StatusOK && len(bytes.TrimSpace(said)) == 0
}

func notAlertmanager(response *http.Response) error {
	return fmt.Errorf("what answers with %s and %q is not Alertmanager; look at its URL, and at login pages in between", response.Status, response.Header.Get("Content-Type"))
}

// request sends JSON to the API of one Alertmanager. The path may have a query.
func (r *Remote) request(ctx context.Context, method string, to *url.URL, path string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(to.String(), "/")+"/api/v2/"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	return r.client.Do(request)
}
