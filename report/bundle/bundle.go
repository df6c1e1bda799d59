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
// are filled in.
func Pack(w io.Writer, m Manifest, files []File, key minisign.PrivateKey) error {
	public, err := key.Public().(minisign.PublicKey).MarshalText()
	if err != nil {
		return fmt.Errorf("signer's key: %w", err)
	}
	files = append(slices.Clone(files), File{SignerName, append(public, '\n')})
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	m.Format, m.Files = Format, nil
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
// folder.
func nameable(name string) error {
	if name == "" || path.IsAbs(name) || path.Clean(name) != name || strings.HasPrefix(name, "..") || strings.ContainsAny(name, "\\\x00\n") || name == ManifestName || name == SignatureName {
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

// writeEntries writes the ZIP around files that are compressed already: always the same bytes,
// so that a ZIP in which anything else was changed can be told from it.
func writeEntries(w io.Writer, entries []entry) error {
	z := zip.NewWriter(w)
	for _, e := range entries {
		to, err := z.CreateRaw(&zip.FileHeader{Name: e.name, Method: e.method, CRC32: e.crc, UncompressedSize64: e.size, CompressedSize64: uint64(len(e.compressed))})
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
// given, another signer is wrong too.
func Open(data []byte, trusted *minisign.PublicKey) (*Bundle, []error) {
	b := &Bundle{files: map[string][]byte{}}
	wrong, err := b.read(data)
	if err != nil {
		return nil, []error{fmt.Errorf("it is no bundle: %w", err)}
	}
	manifest, has := b.files[ManifestName]
	if !has {
		return nil, []error{fmt.Errorf("it is no bundle: it has no %s", ManifestName)}
	}
	if err := json.Unmarshal(manifest, &b.Manifest); err != nil {
		return nil, append(wrong, fmt.Errorf("%s: %w: %w", ManifestName, ErrChanged, err))
	}
	if b.Format != Format {
		wrong = append(wrong, fmt.Errorf("%s: the form is %q; this program reads %s", ManifestName, b.Format, Format))
	}
	if err := b.signed(manifest, trusted); err != nil {
		wrong = append(wrong, err)
	}
	listed := map[string]bool{ManifestName: true, SignatureName: true}
	for _, e := range b.Files {
		if listed[e.Name] {
			wrong = append(wrong, fmt.Errorf("%s: %s is in it twice", ManifestName, e.Name))
			continue
		}
		listed[e.Name] = true
		file, there := b.files[e.Name]
		switch {
		case !there:
			wrong = append(wrong, fmt.Errorf("%s: it is missing", e.Name))
		case sum(file) != e.SHA256 || int64(len(file)) != e.Bytes:
			wrong = append(wrong, fmt.Errorf("%s: %w: its SHA-256 is %s… and should be %s…", e.Name, ErrChanged, sum(file)[:12], shorten(e.SHA256)))
		}
	}
	for name := range b.files {
		if !listed[name] {
			wrong = append(wrong, fmt.Errorf("%s: it is not in the manifest", name))
		}
	}
	slices.SortStableFunc(wrong, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return b, wrong
}

func shorten(hash string) string { return hash[:min(len(hash), 12)] }

// read unpacks the ZIP. What is wrong with the ZIP itself, and no file of it, comes back
// beside.
func (b *Bundle) read(data []byte) (wrong []error, err error) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	if len(z.File) > maxFiles {
		return nil, fmt.Errorf("it has %d files", len(z.File))
	}
	b.zip = z
	var entries []entry
	left := int64(maxBytes)
	for _, f := range z.File {
		if _, twice := b.files[f.Name]; twice {
			return nil, fmt.Errorf("two files are called %s", f.Name)
		}
		if f.Name != ManifestName && f.Name != SignatureName {
			if err := nameable(f.Name); err != nil {
				return nil, err
			}
		}
		raw, err := f.OpenRaw()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		compressed, err := io.ReadAll(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		entries = append(entries, entry{f.Name, f.Method, f.UncompressedSize64, f.CRC32, compressed})
		content, err := unpack(f, left)
		left -= int64(len(content))
		if left < 0 {
			return nil, fmt.Errorf("it unpacks to more than %d bytes", int64(maxBytes))
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w: %w", f.Name, ErrChanged, err))
		}
		b.files[f.Name] = content
	}
	var again bytes.Buffer
	if err := writeEntries(&again, entries); err != nil || !bytes.Equal(again.Bytes(), data) {
		wrong = append(wrong, fmt.Errorf("the ZIP around the files: %w", ErrChanged))
	}
	return wrong, nil
}

func unpack(f *zip.File, most int64) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(r, most+1))
	return content, errors.Join(err, r.Close())
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
