package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sync/semaphore"

	"greentally"
)

// maxUploads is how many bytes of files that are handed in are in memory at once, five of the
// largest: who comes then waits for a turn, and not for long.
const (
	maxUploads = 5 * greentally.MaxAttachment
	uploadWait = 10 * time.Second
)

// ErrBusy is wrapped by errors for what can be done in a while, as things are going.
var ErrBusy = greentally.TextErrorf("正在接收的文件太多，请稍后再试", "too many files are coming in; send it again in a while")

// Upload reads a file that is handed in from what is left of a request's body, and calls keep with its
// content, if there is room for it in memory. The error wraps [ErrBusy] if there is none for a
// while, and is an [*http.MaxBytesError] if the file is larger than an attachment may be.
func (s *Server) Upload(r *http.Request, from io.Reader, keep func(content []byte) error) error {
	s.roomOnce.Do(func() { s.room = semaphore.NewWeighted(maxUploads) })
	size := int64(greentally.MaxAttachment)
	if r.ContentLength >= 0 && r.ContentLength < size {
		size = r.ContentLength
	}
	wait, cancel := context.WithTimeout(r.Context(), uploadWait)
	defer cancel()
	if s.room.Acquire(wait, size) != nil {
		return ErrBusy
	}
	defer s.room.Release(size)
	content := make([]byte, size+1)
	n, err := io.ReadFull(from, content)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return keep(content[:n:n])
	case err != nil:
		return Refusedf("文件没有传完，请重新上传", "body: the file did not come in whole; send it again")
	}
	return &http.MaxBytesError{Limit: size} // there is one byte more
}

// busy says when to come again.
func busy(w http.ResponseWriter) {
	w.Header().Set("Retry-After", strconv.Itoa(int(uploadWait/time.Second)))
}
