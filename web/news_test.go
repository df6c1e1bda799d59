package web_test

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"greentally/web"
)

// TestNews has somebody listen to one community of two: there is an event for what is of it, and
// none for the other; then the server closes, and the stream ends by itself.
func TestNews(t *testing.T) {
	var n web.News
	listening := make(chan struct{})
	var once sync.Once
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Stream(w, r, func(community string) bool {
			once.Do(func() { close(listening) })
			return community == "jiayuan"
		})
	}))
	server.Config.ReadTimeout = 50 * time.Millisecond // which must not end a stream
	server.Start()
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if got := response.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("Content-Type %q", got)
	}
	lines := bufio.NewScanner(response.Body)
	next := func() string {
		t.Helper()
		for lines.Scan() {
			if text := lines.Text(); text != "" {
				return text
			}
		}
		return "end"
	}
	if got := next(); got != ": hello" {
		t.Fatalf("first: %q", got)
	}
	n.Tell("binhe") // of which nobody is told
	<-listening
	for range 3 { // which are one event
		n.Tell("jiayuan")
	}
	if event, data := next(), next(); event != "event: news" || !strings.HasPrefix(data, "data:") {
		t.Errorf("news is %q, %q", event, data)
	}
	time.AfterFunc(200*time.Millisecond, n.Close) // longer than the server waits for requests
	for {
		got := next()
		if got == "end" {
			break
		}
		if got != "event: news" && !strings.HasPrefix(got, "data:") { // what was told while it rested
			t.Errorf("then %q", got)
		}
	}
	if ctx.Err() != nil {
		t.Error("the stream did not end when it was closed")
	}
	if response, err := http.Get(server.URL); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("after the close: %v, %v", response, err)
	} else if err := response.Body.Close(); err != nil {
		t.Error(err)
	}
}
