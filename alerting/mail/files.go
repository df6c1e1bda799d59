package mail

import (
	"bytes"
	"mime"
	"path"
	"slices"
	"strings"

	gomail "github.com/wneessen/go-mail"
)

// mostAttached is how many bytes the attachments of a mail can have, as they are sent. Many
// servers refuse more than 20 MB.
const mostAttached = 20e6

// File is a file that goes with a mail.
type File struct {
	Name      string
	MediaType string
	Data      []byte
}

// sent returns how many bytes the file has in a mail: those of base64, in lines of 76.
func (f File) sent() int {
	n := (len(f.Data) + 2) / 3 * 4
	return n + n/76*2
}

// fitting returns the files that a mail can have, and those that it cannot, in their order. The
// largest are left out first.
func fitting(files []File) (fit, leftOut []File) {
	var largest []int
	total := 0
	for i, f := range files {
		largest = append(largest, i)
		total += f.sent()
	}
	slices.SortStableFunc(largest, func(a, b int) int { return len(files[b].Data) - len(files[a].Data) })
	n := 0
	for total > mostAttached {
		total -= files[largest[n]].sent()
		n++
	}
	for i, f := range files {
		if slices.Contains(largest[:n], i) {
			leftOut = append(leftOut, f)
		} else {
			fit = append(fit, f)
		}
	}
	return fit, leftOut
}

// attach attaches a file. Its name can be Chinese: it is written as RFC 2231 says, and once more
// as programs read it that are older than that.
func attach(msg *gomail.Msg, f File) {
	name := fileName(f.Name)
	mediaType := "application/octet-stream"
	if parsed, parameters, err := mime.ParseMediaType(f.MediaType); err == nil {
		mediaType = mime.FormatMediaType(parsed, parameters)
	}
	msg.AttachReadSeeker(name, bytes.NewReader(f.Data), gomail.WithFileContentType(gomail.ContentType(mediaType)), func(file *gomail.File) {
		file.Header.Set(gomail.HeaderContentDisposition.String(), mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	})
}

// fileName makes a name that every system takes, and that is not too long for a header.
func fileName(s string) string {
	const most = 60
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, tidy(s))
	s = strings.TrimLeft(s, ".")
	extension := path.Ext(s)
	if len(extension) > 10 {
		extension = ""
	}
	stem := []rune(strings.TrimSuffix(s, extension))
	if len(stem) == 0 {
		stem = []rune("file")
	}
	return string(stem[:min(len(stem), most)]) + extension
}
