package bundle

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"aead.dev/minisign"

	"greentally"
)

// Format is the version of the bundle's form.
const Format = "greentally-evidence/1"

// The files that every bundle has beside those that are packed into it.
const (
	ManifestName  = "manifest.json"
	SignatureName = "manifest.json.minisig"
	SignerName    = "signer.pub"
)

// File is a file of a bundle.
type File struct {
	Name string // with / between folders
	Data []byte
}

// Manifest says what is in a bundle.
type Manifest struct {
	Format    string           `json:"format"`
	Community string           `json:"community"`
	Month     greentally.Month `json:"month"`
	Made      time.Time        `json:"made"`
	Version   string           `json:"version"` // of the program
	Files     []Entry          `json:"files"`   // by name, without the manifest itself and its signature
}

// Entry is a file's line in the manifest.
type Entry struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // hexadecimal
}

// comment is the line of a signature that the signature does not cover.
const comment = "manifest of a greentally evidence bundle"

// Pack writes the files as a bundle, signed by the key. Of the manifest, the files and the form
// are filled in. What is more than [Open] reads is refused.
func Pack(w io.Writer, m Manifest, files []File, key minisign.PrivateKey) error {
	public, err := key.Public().(minisign.PublicKey).MarshalText()
	if err != nil {
		return fmt.Errorf("signer's key: %w", err)
	}
	files = append(slices.Clone(files), File{SignerName, append(public, '\n')})
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	m.Format, m.Files = Format, nil
	total := 0
	for _, f := range files {
		total += len(f.Data)
	}
	if total > maxBytes || len(files) > maxFiles {
		return fmt.Errorf("%d files of %d MiB are more than a bundle can have: at most %d of %d MiB", len(files), total>>20, maxFiles, maxBytes>>20)
	}
	for i, f := range files {
		if err := nameable(f.Name); err != nil {
			return err
		}
		if i > 0 && files[i-1].Name == f.Name {
			return fmt.Errorf("two files are called %s", f.Name)
		}
		m.Files = append(m.Files, Entry{f.Name, int64(len(f.Data)), sum(f.Data)})
	}
	manifest, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	manifest = append(manifest, '\n')
	trusted := fmt.Sprintf("%s %s %s", m.Community, m.Month, m.Made.UTC().Format(time.RFC3339))
	signature := minisign.SignWithComments(key, manifest, trusted, comment)
	return writeZip(w, append([]File{{ManifestName, manifest}, {SignatureName, signature}}, files...))
}

// nameable returns why a file cannot be called so: a bundle that is unpacked must stay in its
// folder, and a name that is printed must not move the cursor.
func nameable(name string) error {
	odd := func(r rune) bool { return r == '\\' || r == utf8.RuneError || !unicode.IsPrint(r) }
	if name == "" || path.IsAbs(name) || path.Clean(name) != name || strings.HasPrefix(name, "..") || strings.ContainsFunc(name, odd) || name == ManifestName || name == SignatureName {
		return fmt.Errorf("a file of a bundle cannot be called %q", name)
	}
	return nil
}

func sum(data []byte) string {
	hash := sha256.Sum256(data)
	return hex.EncodeToString(hash[:])
}

// entry is a file as it lies in the ZIP.
type entry struct {
	name       string
	method     uint16
	size       uint64
	crc        uint32
	compressed []byte
}

func writeZip(w io.Writer, files []File) error {
	entries := make([]entry, len(files))
	for i, f := range files {
		var packed bytes.Buffer
		deflate, err := flate.NewWriter(&packed, flate.DefaultCompression)
		if err == nil {
			_, err = deflate.Write(f.Data)
		}
		if err == nil {
			err = deflate.Close()
		}
		if err != nil {
			return fmt.Errorf("pack %s: %w", f.Name, err)
		}
		entries[i] = entry{f.Name, zip.Deflate, uint64(len(f.Data)), crc32.ChecksumIEEE(f.Data), packed.Bytes()}
	}
	return writeEntries(w, entries)
}

// firstDay is 1 January 1980, the first day that a ZIP knows: files of a bundle have no dates.
const firstDay = 1<<5 | 1

// writeEntries writes the ZIP around files that are compressed already: always the same bytes,
// so that a ZIP in which anything else was changed can be told from it.
func writeEntries(w io.Writer, entries []entry) error {
	z := zip.NewWriter(w)
	for _, e := range entries {
		header := &zip.FileHeader{Name: e.name, Method: e.method, CRC32: e.crc, UncompressedSize64: e.size, CompressedSize64: uint64(len(e.compressed))}
		header.ModifiedDate = firstDay //nolint:staticcheck // CreateRaw looks at no other
		to, err := z.CreateRaw(header)
		if err == nil {
			_, err = to.Write(e.compressed)
		}
		if err != nil {
			return fmt.Errorf("pack %s: %w", e.name, err)
		}
	}
	return z.Close()
}

// Bundle is a bundle that was read.
type Bundle struct {
	Manifest
	Signer minisign.PublicKey

	files map[string][]byte
	zip   *zip.Reader
}

// ErrChanged is wrapped by what is wrong with a bundle.
var ErrChanged = errors.New("not what was signed")

// The largest bundle, and what its files may come to.
const (
	maxFiles = 10_000
	maxBytes = 1 << 30
)

// Open reads a bundle, and returns all that is wrong with it: each error names the file. There
// is a bundle wherever it could be read at all, so that more can be said of it. If trusted is
// given, another signer is wrong too. Nothing is unpacked beyond what the manifest says.
func Open(data []byte, trusted *minisign.PublicKey) (*Bundle, []error) {
	none := func(err error) (*Bundle, []error) { return nil, []error{fmt.Errorf("it is no bundle: %w", err)} }
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return none(err)
	}
	b := &Bundle{files: map[string][]byte{}, zip: z}
	byName, err := b.names()
	if err != nil {
		return none(err)
	}
	for _, name := range []string{ManifestName, SignatureName, SignerName} {
		if f := byName[name]; f != nil {
			b.files[name], _ = unpack(f, maxManifest) // what is wrong with it shows below
		}
	}
	manifest, has := b.files[ManifestName]
	if !has {
		return none(fmt.Errorf("it has no %s", ManifestName))
	}
	if err := json.Unmarshal(manifest, &b.Manifest); err != nil {
		return nil, []error{fmt.Errorf("%s: %w: %w", ManifestName, ErrChanged, err)}
	}
	var wrong []error
	if b.Format != Format {
		wrong = append(wrong, fmt.Errorf("%s: the form is %q; this program reads %s", ManifestName, b.Format, Format))
	}
	if err := b.signed(manifest, trusted); err != nil {
		wrong = append(wrong, err)
	}
	wrong = append(wrong, b.unpack(byName)...)
	if err := b.wrapped(data); err != nil {
		wrong = append(wrong, err)
	}
	slices.SortStableFunc(wrong, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return b, wrong
}

// maxManifest is the largest manifest, in bytes.
const maxManifest = 16 << 20

// names returns the ZIP's files by name.
func (b *Bundle) names() (map[string]*zip.File, error) {
	if len(b.zip.File) > maxFiles+2 {
		return nil, fmt.Errorf("it has %d files", len(b.zip.File))
	}
	byName := map[string]*zip.File{}
	for _, f := range b.zip.File {
		if byName[f.Name] != nil {
			return nil, fmt.Errorf("two files are called %q", f.Name)
		}
		if f.Name != ManifestName && f.Name != SignatureName {
			if err := nameable(f.Name); err != nil {
				return nil, err
			}
		}
		byName[f.Name] = f
	}
	return byName, nil
}

// unpack unpacks the files in the manifest, and returns what is wrong with them.
func (b *Bundle) unpack(byName map[string]*zip.File) (wrong []error) {
	listed := map[string]bool{ManifestName: true, SignatureName: true}
	left := int64(maxBytes)
	for _, e := range b.Files {
		if listed[e.Name] {
			wrong = append(wrong, fmt.Errorf("%s: %q is in it twice", ManifestName, e.Name))
			continue
		}
		listed[e.Name] = true
		f := byName[e.Name]
		if f == nil {
			wrong = append(wrong, fmt.Errorf("%q: it is missing", e.Name))
			continue
		}
		if left -= e.Bytes; e.Bytes < 0 || left < 0 {
			return append(wrong, fmt.Errorf("%s: the files come to more than %d MiB", ManifestName, maxBytes>>20))
		}
		content, err := unpack(f, e.Bytes)
		b.files[e.Name] = content
		if err != nil || sum(content) != e.SHA256 {
			wrong = append(wrong, fmt.Errorf("%s: %w: its SHA-256 should be %s…", e.Name, ErrChanged, shorten(e.SHA256)))
		}
	}
	for name := range byName {
		if !listed[name] {
			wrong = append(wrong, fmt.Errorf("%s: it is not in the manifest", name))
		}
	}
	return wrong
}

func shorten(hash string) string { return hash[:min(len(hash), 12)] }

// unpack returns a file's content, which is so many bytes.
func unpack(f *zip.File, size int64) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(r, size+1))
	if err == nil && int64(len(content)) > size {
		content, err = content[:size], errors.New("it is longer than it should be")
	}
	return content, errors.Join(err, r.Close())
}

// wrapped checks the ZIP around the files: what would be written around them is what is there.
func (b *Bundle) wrapped(data []byte) error {
	var entries []entry
	for _, f := range b.zip.File {
		raw, err := f.OpenRaw()
		if err != nil {
			return fmt.Errorf("%s: %w: %w", f.Name, ErrChanged, err)
		}
		compressed, err := io.ReadAll(raw)
		if err != nil {
			return fmt.Errorf("%s: %w: %w", f.Name, ErrChanged, err)
		}
		entries = append(entries, entry{f.Name, f.Method, f.UncompressedSize64, f.CRC32, compressed})
	}
	var again bytes.Buffer
	if err := writeEntries(&again, entries); err != nil || !bytes.Equal(again.Bytes(), data) {
		return fmt.Errorf("the ZIP around the files: %w", ErrChanged)
	}
	return nil
}

// signed checks the manifest's signature.
func (b *Bundle) signed(manifest []byte, trusted *minisign.PublicKey) error {
	text, has := b.files[SignatureName]
	if !has {
		return fmt.Errorf("%s: it is missing", SignatureName)
	}
	if err := b.Signer.UnmarshalText(bytes.TrimSuffix(b.files[SignerName], []byte("\n"))); err != nil {
		return fmt.Errorf("%s: %w", SignerName, err)
	}
	key := b.Signer
	if trusted != nil {
		key = *trusted
	}
	var signature minisign.Signature
	if err := signature.UnmarshalText(text); err != nil {
		return fmt.Errorf("%s: %w: %w", SignatureName, ErrChanged, err)
	}
	// What is written otherwise can say the same; and one line of it is not covered.
	if again, err := signature.MarshalText(); err != nil || !bytes.Equal(again, text) || signature.UntrustedComment != comment {
		return fmt.Errorf("%s: %w", SignatureName, ErrChanged)
	}
	switch {
	case minisign.Verify(key, manifest, text):
		return nil
	case trusted != nil && !trusted.Equal(b.Signer):
		return fmt.Errorf("%s: it was signed by the key %s, not by %s", SignatureName, b.Signer, trusted)
	}
	return fmt.Errorf("%s: the signature in %s is not of it: %w", ManifestName, SignatureName, ErrChanged)
}

// File returns a file of the bundle; nil if it is not there.
func (b *Bundle) File(name string) []byte { return b.files[name] }

// FS returns the bundle's files as a file system.
func (b *Bundle) FS() fs.FS { return b.zip }
