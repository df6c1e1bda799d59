package web

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"greentally"
)

// uploadTime is how long the sending of an attachment may take: the largest one at 1 Mbit/s.
const uploadTime = 4 * time.Minute

// addAttachment keeps the body, a file, and answers with what it is as an attachment. No form
// of a web page can send it: forms have content types of their own.
func (s *Server) addAttachment(w http.ResponseWriter, r *http.Request) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/octet-stream" && media != "application/pdf" && !strings.HasPrefix(media, "image/") {
		s.fail(w, r, http.StatusUnsupportedMediaType, errors.New("send Content-Type: application/octet-stream, or that of the file, and the file as the body"))
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(uploadTime)) // a server that has none lets it take as long
	s.reply(w, r, s.audited(func(r *http.Request) (any, error) {                  //nolint:contextcheck // it has that of its own request
		c, err := s.community(r)
		if err != nil {
			return nil, err
		}
		name := r.URL.Query().Get("name")
		if name == "" {
			return nil, badRequest("name: it is missing; give the name of the file, as ?name=photo.jpg")
		}
		var a greentally.Attachment
		err = s.Upload(r, http.MaxBytesReader(w, r.Body, greentally.MaxAttachment+1), func(content []byte) error {
			a, err = s.AddAttachment(r.Context(), c.ID, name, content)
			return err
		})
		if errors.As(err, new(*http.MaxBytesError)) {
			return nil, fmt.Errorf("attachment %q: the most is %d MiB: %w", name, greentally.MaxAttachment>>20, err)
		}
		About(r, "sha256", a.SHA256)
		return a, err
	}))
}

// attachment answers with the content of an attachment, to be saved rather than shown.
func (s *Server) attachment(w http.ResponseWriter, r *http.Request) {
	c, err := s.community(r)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	a, content, err := s.Attachment(r.Context(), c.ID, r.PathValue("sha256"))
	if err != nil {
		s.failed(w, r, err)
		return
	}
	s.send(w, r, File{Name: a.Name, MediaType: a.MediaType, Data: content})
}

// disposition says that a file is to be saved under the name: in letters that every client
// knows, and as it is (RFC 6266).
func disposition(name string) string {
	plain := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune(`"\%`, r) {
			return '_'
		}
		return r
	}, name)
	header := `attachment; filename="` + plain + `"`
	if plain != name {
		header += "; filename*=UTF-8''" + strings.ReplaceAll(url.QueryEscape(name), "+", "%20")
	}
	return header
}
