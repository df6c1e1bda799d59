package records

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go/jetstream"

	"greentally"
)

// Attachments keeps the photos and documents that records rest on, in JetStream's object
// store. Each community has its own, each content once, under its hash. None is changed or
// removed.
type Attachments struct {
	bucket  jetstream.ObjectStore
	putting sync.Mutex
}

const (
	bucketName = "GREENTALLY_ATTACHMENTS"
	chunkSize  = 512 << 10 // below the largest message of a server as it is installed
	patience   = time.Minute
	nameKey    = "name"
	mediaKey   = "media_type"
)

// extensions are those of the kinds of content that are taken; the first is given to a
// name that has none of them.
var extensions = map[string][]string{
	"image/jpeg":      {".jpg", ".jpeg"},
	"image/png":       {".png"},
	"image/webp":      {".webp"},
	"application/pdf": {".pdf"},
}

var sha256Hex = regexp.MustCompile(`^[0-9a-f]{64}$`)

func openAttachments(ctx context.Context, js jetstream.JetStream, replicas int) (*Attachments, error) {
	bucket, err := js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{
		Bucket:      bucketName,
		Description: "Photos and documents that records rest on",
		Storage:     jetstream.FileStorage,
		Replicas:    max(1, replicas),
	})
	if err != nil {
		return nil, fmt.Errorf("object store %s: %w", bucketName, err)
	}
	return &Attachments{bucket: bucket}, nil
}

// Describe says what a file is as an attachment. What it is is told by the content; the name
// loses its folder and what no name should have, and gets the extension of what it is. The
// error wraps [ErrInvalid] if it cannot be one.
func Describe(name string, content []byte) (greentally.Attachment, error) {
	sum := sha256.Sum256(content)
	a := greentally.Attachment{MediaType: http.DetectContentType(content), Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
	known := extensions[a.MediaType]
	a.Name = cleanName(name, known)
	switch {
	case len(content) == 0:
		return a, fmt.Errorf("%w: %w", ErrInvalid, greentally.TextErrorf("附件 %q 是空文件", "attachment %q is empty", a.Name))
	case len(content) > greentally.MaxAttachment:
		return a, fmt.Errorf("%w: %w", ErrInvalid, greentally.TextErrorf("附件 %q 有 %d 字节，最多 %d MiB", "attachment %q has %d bytes; the most is %d MiB", a.Name, len(content), greentally.MaxAttachment>>20))
	case known == nil:
		return a, fmt.Errorf("%w: %w", ErrInvalid, greentally.TextErrorf("附件 %q 的内容不是 JPEG、PNG、WebP 或 PDF，而是 %s", "attachment %q is neither JPEG, PNG, WebP nor PDF by its content, but %s", a.Name, a.MediaType))
	case a.Name == "":
		return a, fmt.Errorf("%w: an attachment needs the name of a file, not %q", ErrInvalid, name)
	}
	return a, nil
}

// cleanName returns the last part of a path in letters that can be seen, at most so long as
// file systems take, with one of the extensions. It is empty if nothing is left.
func cleanName(name string, known []string) string {
	const longest = 200 // bytes
	name = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) || strings.ContainsRune(`<>:"|?*;`, r) {
			return -1
		}
		return r
	}, path.Base(strings.ReplaceAll(name, `\`, "/")))
	name = strings.Trim(name, " .")
	if name == "" || name == "/" {
		return ""
	}
	stem, extension := name, ""
	if len(known) > 0 {
		if extension = path.Ext(name); slices.Contains(known, strings.ToLower(extension)) {
			stem = strings.TrimSuffix(name, extension)
		} else {
			extension = known[0]
		}
	}
	for len(stem)+len(extension) > longest {
		_, last := utf8.DecodeLastRuneInString(stem)
		stem = stem[:len(stem)-last]
	}
	return stem + extension
}

// Put keeps a community's attachment and returns it when it is on disk. Content that the
// community has already stays as it is, under the name that it got first. The error wraps
// [ErrInvalid] if it cannot be one.
func (a *Attachments) Put(ctx context.Context, community, name string, content []byte) (greentally.Attachment, error) {
	one, err := Describe(name, content)
	if err != nil {
		return one, err
	}
	a.putting.Lock()
	defer a.putting.Unlock()
	if kept, _, err := a.Get(ctx, community, one.SHA256); err == nil {
		return kept, nil
	} else if ctx.Err() != nil {
		return one, err
	} // it is not there, or damaged; then it is mended
	putCtx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	object := objectName(community, one.SHA256)
	_, err = a.bucket.Put(putCtx, jetstream.ObjectMeta{
		Name:     object,
		Metadata: map[string]string{nameKey: one.Name, mediaKey: one.MediaType},
		Opts:     &jetstream.ObjectMetaOptions{ChunkSize: chunkSize},
	}, bytes.NewReader(content))
	if err != nil {
		// A part of it may be there, and must not be taken for the whole.
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if deleteErr := a.bucket.Delete(clean, object); deleteErr != nil && !errors.Is(deleteErr, jetstream.ErrObjectNotFound) {
			err = errors.Join(err, deleteErr)
		}
		return one, fmt.Errorf("keep attachment %q: %w", one.Name, err)
	}
	return one, nil
}

// Get returns a community's attachment and its content, of which it checks the hash. The
// error wraps [fs.ErrNotExist] if there is none.
func (a *Attachments) Get(ctx context.Context, community, hash string) (greentally.Attachment, []byte, error) {
	fail := func(err error) (greentally.Attachment, []byte, error) {
		return greentally.Attachment{}, nil, fmt.Errorf("attachment %s of %s: %w", hash, community, err)
	}
	missing := greentally.Missingf("%[2]s 没有附件 %[1]s", "there is no attachment %s in %s", hash, community)
	if !sha256Hex.MatchString(hash) {
		return greentally.Attachment{}, nil, missing
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	object, err := a.bucket.Get(ctx, objectName(community, hash))
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return greentally.Attachment{}, nil, missing
	}
	if err != nil {
		return fail(err)
	}
	defer object.Close()
	info, err := object.Info()
	if err != nil {
		return fail(err)
	}
	content, err := io.ReadAll(io.LimitReader(object, greentally.MaxAttachment+1))
	if err != nil {
		return fail(err)
	}
	if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != hash {
		return fail(errors.New("it is damaged: what is kept has another hash; restore it from a backup, or hand it in again"))
	}
	return greentally.Attachment{Name: info.Metadata[nameKey], MediaType: info.Metadata[mediaKey], Size: int64(len(content)), SHA256: hash}, content, nil
}

// objectName says where a community's content is, so that none has that of another.
func objectName(community, hash string) string { return community + "/" + hash }
