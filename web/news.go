package web

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// News tells listeners that something changed in a community, and not what: they look again. The
// zero value is ready for use.
type News struct {
	mu        sync.Mutex
	listeners map[chan struct{}]func(community string) bool
	closed    bool
}

// Tell tells all who listen to the community. It never blocks.
func (n *News) Tell(community string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for told, wants := range n.listeners {
		if wants(community) {
			select {
			case told <- struct{}{}:
			default: // it is told already, and has not looked yet
			}
		}
	}
}

// listen returns a channel that has something when there is news of a community that is wanted. It
// is closed when there will be none.
func (n *News) listen(wants func(community string) bool) (told <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed || len(n.listeners) >= newsMost {
		close(c)
		return c, func() {}
	}
	if n.listeners == nil {
		n.listeners = map[chan struct{}]func(string) bool{}
	}
	n.listeners[c] = wants
	return c, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.listeners, c)
	}
}

// Close ends all streams, so that a server that stops need not wait for them.
func (n *News) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	for c := range n.listeners {
		close(c)
	}
	n.listeners = nil
}

// How a stream of news goes.
const (
	newsEvery   = 2 * time.Second  // it tells at most so often
	newsAlive   = 20 * time.Second // it says that it lives, so that nothing on the way takes it for dead
	newsFor     = 5 * time.Minute  // then the browser asks again, and is asked who it is
	newsPatient = 10 * time.Second // for somebody to take what is sent
	newsMost    = 1000             // streams; who comes then is sent away, and comes again
)

// Stream sends server-sent events "news" as long as the request lasts, five minutes at most.
func (n *News) Stream(w http.ResponseWriter, r *http.Request, wants func(community string) bool) {
	if r.Method == http.MethodHead { // there is nothing to wait for
		w.Header().Set("Content-Type", "text/event-stream")
		return
	}
	told, stop := n.listen(wants)
	defer stop()
	ctx, cancel := context.WithTimeout(r.Context(), newsFor)
	defer cancel()
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{}) // else the server's would end it
	send := func(text string) bool {
		_ = c.SetWriteDeadline(time.Now().Add(newsPatient)) // a server that has none waits longer
		if _, err := fmt.Fprint(w, text); err != nil {
			return false
		}
		return c.Flush() == nil
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // for nginx
	alive := time.NewTicker(newsAlive)
	defer alive.Stop()
	var rest <-chan time.Time // while it rests
	waiting := false          // there was news meanwhile
	news := func() bool {
		rest, waiting = time.After(newsEvery), false
		return send("event: news\ndata:\n\n")
	}
	for ok := send(": hello\n\n"); ok; {
		select {
		case _, more := <-told:
			switch {
			case !more:
				return
			case rest != nil:
				waiting = true
			default:
				ok = news()
			}
		case <-rest:
			rest = nil
			if waiting {
				ok = news()
			}
		case <-alive.C:
			ok = send(":\n\n")
		case <-ctx.Done():
			return
		}
	}
}
