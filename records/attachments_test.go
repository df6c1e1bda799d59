package records_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/nats-io/nats.go/jetstream"

	"greentally"
	"greentally/records"
)

// photo is a JPEG by its first bytes, of a length of one's own.
func photo(length int) []byte {
	return append([]byte("\xff\xd8\xff\xe0\x00\x10JFIF\x00"), bytes.Repeat([]byte("photo"), length/5+1)...)[:length]
}

func TestDescribe(t *testing.T) {
	jpeg, pdf := photo(100), []byte("%PDF-1.7\n")
	for _, tt := range []struct {
		name    string
		content []byte
		as      string // name and media type
		refuse  string
	}{
		{"照片.jpg", jpeg, "照片.jpg image/jpeg", ""},
		{"IMG 1.JPEG", jpeg, "IMG 1.JPEG image/jpeg", ""},
		{"a.png", []byte("\x89PNG\r\n\x1a\n"), "a.png image/png", ""},
		{"a.webp", []byte("RIFF\x00\x00\x00\x00WEBPVP8 "), "a.webp image/webp", ""},
		{"photo", jpeg, "photo.jpg image/jpeg", ""},
		{"report.html", pdf, "report.html.pdf application/pdf", ""},
		{`C:\photos\..\a.jpg`, jpeg, "a.jpg image/jpeg", ""},
		{"../../etc/a.pdf", pdf, "a.pdf application/pdf", ""},
		{"a\x00\r\n\x1b[2J\u202egpj.jpg", jpeg, "a[2Jgpj.jpg image/jpeg", ""},
		{`a";b.jpg`, jpeg, "ab.jpg image/jpeg", ""},
		{strings.Repeat("票", 200) + ".jpg", jpeg, strings.Repeat("票", 65) + ".jpg image/jpeg", ""},
		{"a." + strings.Repeat("x", 300), jpeg, "a." + strings.Repeat("x", 194) + ".jpg image/jpeg", ""},
		{"a.jpg", nil, "", `"a.jpg" is empty`},
		{"a.jpg", []byte("<html>"), "", "neither JPEG, PNG, WebP nor PDF by its content, but text/html"},
		{"a.svg", []byte(`<svg xmlns="http://www.w3.org/2000/svg">`), "", "neither JPEG"},
		{"..", jpeg, "", "needs the name of a file"},
		{"", jpeg, "", "needs the name of a file"},
		{"a/", jpeg, "a.jpg image/jpeg", ""},
		{"a.jpg", photo(greentally.MaxAttachment + 1), "", "the most is 20 MiB"},
		{"a.jpg", photo(greentally.MaxAttachment), "a.jpg image/jpeg", ""},
	} {
		got, err := records.Describe(tt.name, tt.content)
		switch {
		case tt.refuse != "":
			if !errors.Is(err, records.ErrInvalid) || !strings.Contains(err.Error(), tt.refuse) {
				t.Errorf("%.40q: %v, want %q", tt.name, err, tt.refuse)
			}
		case err != nil || got.Name+" "+got.MediaType != tt.as || got.Size != int64(len(tt.content)) || len(got.SHA256) != 64 || !utf8.ValidString(got.Name):
			t.Errorf("%.40q: %+v, %v; want %s", tt.name, got, err, tt.as)
		}
	}
}

func TestAttachments(t *testing.T) {
	dir := t.TempDir()
	log, stop := open(t, dir)
	content := photo(3 << 20) // of several chunks
	added, err := log.Attachments.Put(t.Context(), "jiayuan", "照片.jpg", content)
	if err != nil {
		t.Fatal(err)
	}
	again, err := log.Attachments.Put(t.Context(), "jiayuan", "another name.jpg", content)
	if err != nil || again != added {
		t.Errorf("put again: %+v, %v, want %+v as it was", again, err, added)
	}
	if _, err := log.Attachments.Put(t.Context(), "jiayuan", "a.html", []byte("<html>")); !errors.Is(err, records.ErrInvalid) {
		t.Errorf("a page: %v, want ErrInvalid", err)
	}
	if size := bucketSize(t, log); size > 3<<20+64<<10 {
		t.Errorf("%d bytes are kept of one content", size)
	}
	stop()

	log, _ = open(t, dir)
	got, bytesGot, err := log.Attachments.Get(t.Context(), "jiayuan", added.SHA256)
	if err != nil || got != added || !bytes.Equal(bytesGot, content) {
		t.Errorf("after a restart: %+v with %d bytes, %v; want %+v", got, len(bytesGot), err, added)
	}
	for what, of := range map[string][2]string{
		"of another community": {"xixiang", added.SHA256}, "that is not there": {"jiayuan", strings.Repeat("0", 64)},
		"by something else": {"jiayuan", "../jiayuan/" + added.SHA256}, "in capitals": {"jiayuan", strings.ToUpper(added.SHA256)},
	} {
		if _, _, err := log.Attachments.Get(t.Context(), of[0], of[1]); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("one %s: %v, want that it is not there", what, err)
		}
	}
	if _, err := log.Attachments.Put(t.Context(), "xixiang", "b.jpg", content); err != nil {
		t.Error(err)
	}
	if got, _, err = log.Attachments.Get(t.Context(), "xixiang", added.SHA256); err != nil || got.Name != "b.jpg" {
		t.Errorf("the other community's: %+v, %v", got, err)
	}
}

func bucketSize(t *testing.T, log *records.Log) uint64 {
	t.Helper()
	status, err := bucket(t, log).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return status.Size()
}

// bucket returns what is under the attachments.
func bucket(t *testing.T, log *records.Log) jetstream.ObjectStore {
	t.Helper()
	b, err := records.JetStreamOf(log).ObjectStore(t.Context(), "GREENTALLY_ATTACHMENTS")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What was changed on the disk is not handed out, and is mended when it is handed in again.
func TestDamagedAttachments(t *testing.T) {
	log, _ := open(t, t.TempDir())
	content := photo(1000)
	added, err := log.Attachments.Put(t.Context(), "jiayuan", "a.jpg", content)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bucket(t, log).PutBytes(t.Context(), "jiayuan/"+added.SHA256, photo(999)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := log.Attachments.Get(t.Context(), "jiayuan", added.SHA256); err == nil || !strings.Contains(err.Error(), "it is damaged") {
		t.Errorf("damaged: %v", err)
	}
	if mended, err := log.Attachments.Put(t.Context(), "jiayuan", "a.jpg", content); err != nil || mended != added {
		t.Errorf("handed in again: %+v, %v", mended, err)
	}
	if _, got, err := log.Attachments.Get(t.Context(), "jiayuan", added.SHA256); err != nil || !bytes.Equal(got, content) {
		t.Errorf("mended: %d bytes, %v", len(got), err)
	}
}

// Who goes away half-way leaves nothing that could be taken for the whole.
func TestPutThatIsGivenUp(t *testing.T) {
	log, _ := open(t, t.TempDir())
	content := photo(1000)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	one, err := log.Attachments.Put(ctx, "jiayuan", "a.jpg", content)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want that it was given up", err)
	}
	if _, _, err := log.Attachments.Get(t.Context(), "jiayuan", one.SHA256); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("afterwards: %v", err)
	}
}

func TestRecordsWithAttachments(t *testing.T) {
	log, _ := open(t, t.TempDir())
	kept, err := log.Attachments.Put(t.Context(), "jiayuan", "a.jpg", photo(1000))
	if err != nil {
		t.Fatal(err)
	}
	missing, err := records.Describe("b.jpg", photo(1001))
	if err != nil {
		t.Fatal(err)
	}
	with := func(all ...greentally.Attachment) greentally.Record {
		r := audit()
		r.Attachments = all
		return r
	}
	renamed, smaller := kept, kept
	renamed.Name, smaller.Size = "c.jpg", 1
	for _, tt := range []struct {
		name   string
		record greentally.Record
		check  bool // would it be taken, if the file were there
		refuse string
	}{
		{"not there", with(missing), true, "there is no attachment"},
		{"no hash", with(greentally.Attachment{Name: "a.jpg"}), false, "name it by its sha256"},
		{"another name", with(renamed), false, `is "a.jpg", image/jpeg, 1000 bytes, not "c.jpg"`},
		{"another size", with(smaller), false, "not \"a.jpg\", image/jpeg, 1 bytes"},
		{"twice", with(kept, kept), false, "is there twice"},
	} {
		if _, err := log.Check(t.Context(), tt.record); (err == nil) != tt.check {
			t.Errorf("%s: check: %v", tt.name, err)
		}
		if _, err := log.Add(t.Context(), tt.record); !errors.Is(err, records.ErrInvalid) || !strings.Contains(err.Error(), tt.refuse) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.refuse)
		}
	}
	other := with(kept)
	other.Community = "xixiang"
	if _, err := log.Add(t.Context(), other); !errors.Is(err, records.ErrInvalid) {
		t.Errorf("of another community: %v, want ErrInvalid", err)
	}
	added, err := log.Add(t.Context(), with(greentally.Attachment{SHA256: kept.SHA256}))
	if err != nil || len(added.Attachments) != 1 || added.Attachments[0] != kept {
		t.Errorf("by its hash alone: %+v, %v", added, err)
	}
	if _, err := log.Add(t.Context(), with(kept)); !errors.Is(err, records.ErrThere) {
		t.Errorf("in full: %v, want that it is there", err)
	}
	if _, err := log.Add(t.Context(), audit()); err != nil {
		t.Errorf("without it: %v", err)
	}
}
