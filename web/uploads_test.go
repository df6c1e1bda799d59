package web_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"greentally"
)

// held is a body that is sent when it is released.
type held struct {
	release <-chan struct{}
	io.Reader
}

func (h held) Read(into []byte) (int, error) {
	<-h.release
	return h.Reader.Read(into)
}

// TestUploadsInMemory has more files come in than there is room for: those that find none in ten
// seconds are told to come again, and all others are kept.
func TestUploadsInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newServer()
		s.Audit = func(*http.Request, string, string, error) {}
		s.AddAttachment = func(_ context.Context, _, name string, content []byte) (greentally.Attachment, error) {
			return greentally.Attachment{Name: name, Size: int64(len(content))}, nil
		}
		handler := s.Handler()
		release := make(chan struct{})
		upload := func(size int64, known bool) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/communities/jiayuan/attachments?name=a.jpg", held{release, strings.NewReader("photo")})
			r.Header.Set("Content-Type", "application/octet-stream")
			if r.ContentLength = -1; known {
				r.ContentLength = size
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			return w
		}
		var all sync.WaitGroup
		for i := range 5 {
			all.Go(func() {
				if w := upload(greentally.MaxAttachment, i%2 == 0); w.Code != http.StatusOK {
					t.Errorf("file %d: %d %s", i, w.Code, w.Body)
				}
			})
		}
		synctest.Wait()
		for _, size := range []int64{greentally.MaxAttachment, 1000} {
			if w := upload(size, true); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "10" || !strings.Contains(w.Body.String(), "too many files") {
				t.Errorf("one more, of %d bytes: %d %s", size, w.Code, w.Body)
			}
		}
		close(release)
		all.Wait()
		if w := upload(1000, true); w.Code != http.StatusOK {
			t.Errorf("afterwards: %d %s", w.Code, w.Body)
		}
	})
}
