package bundle_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aead.dev/minisign"

	"greentally"
	"greentally/report/bundle"
	"greentally/report/bundle/bundletest"
)

func key(t testing.TB) (minisign.PublicKey, minisign.PrivateKey) {
	t.Helper()
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return public, private
}

func packed(t testing.TB, private minisign.PrivateKey, files ...bundle.File) []byte {
	t.Helper()
	var data bytes.Buffer
	m := bundle.Manifest{Community: "jiayuan", Month: greentally.Month{Year: 2026, Month: time.October}, Made: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Version: "greentally 1.0.0"}
	if err := bundle.Pack(&data, m, files, private); err != nil {
		t.Fatal(err)
	}
	return data.Bytes()
}

func some() []bundle.File {
	return []bundle.File{
		{Name: "export.json", Data: []byte(`{"value": 0.9669}`)},
		{Name: "device_days.jsonl", Data: bytes.Repeat([]byte(`{"device":"bin-1","readings":144}`+"\n"), 50)},
		{Name: "attachments/照片.jpg", Data: []byte{0xff, 0xd8, 0, 1, 2, 3}},
		{Name: "empty.txt"},
	}
}

func TestPacked(t *testing.T) {
	public, private := key(t)
	data := packed(t, private, some()...)
	b, wrong := bundle.Open(data, &public)
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	if b.Community != "jiayuan" || len(b.Files) != 5 || !b.Signer.Equal(public) {
		t.Errorf("manifest %+v, signer %s", b.Manifest, b.Signer)
	}
	for _, f := range some() {
		if !bytes.Equal(b.File(f.Name), f.Data) {
			t.Errorf("%s comes back as %q", f.Name, b.File(f.Name))
		}
	}
	if got, err := fs.ReadDir(b.FS(), "attachments"); err != nil || len(got) != 1 || got[0].Name() != "照片.jpg" {
		t.Errorf("attachments are %v: %v", got, err)
	}
	if _, wrong := bundle.Open(data, nil); len(wrong) > 0 {
		t.Errorf("without a key that is trusted: %v", wrong)
	}
	other, _ := key(t)
	if _, wrong := bundle.Open(data, &other); len(wrong) != 1 || !strings.Contains(wrong[0].Error(), "not by") {
		t.Errorf("signed by another: %v", wrong)
	}
	if !bytes.Equal(data, packed(t, private, some()...)) {
		t.Error("the same files make two bundles")
	}
}

func TestNames(t *testing.T) {
	_, private := key(t)
	for _, name := range []string{"", "/etc/passwd", "../x", "a/../../x", `a\b`, "a//b", "manifest.json", "manifest.json.minisig", "signer.pub", "a\nb"} {
		if err := bundle.Pack(io.Discard, bundle.Manifest{}, []bundle.File{{Name: name}}, private); err == nil {
			t.Errorf("a file is called %q", name)
		}
	}
	if err := bundle.Pack(io.Discard, bundle.Manifest{}, []bundle.File{{Name: "a"}, {Name: "a"}}, private); err == nil {
		t.Error("two files have one name")
	}
}

// TestEveryByteCounts flips each byte of each file: that is found, and the file named.
func TestEveryByteCounts(t *testing.T) {
	public, private := key(t)
	data := packed(t, private, some()...)
	b, _ := bundle.Open(data, nil)
	names := []string{bundle.ManifestName, bundle.SignatureName}
	for _, e := range b.Files {
		names = append(names, e.Name)
	}
	for _, name := range names {
		for i := range b.File(name) {
			if i > 100 && i%13 != 0 {
				continue
			}
			changed := bundletest.Replace(t, data, name, func(content []byte) []byte {
				content[i] ^= 1 << (i % 8)
				return content
			})
			for _, trusted := range []*minisign.PublicKey{nil, &public} {
				_, wrong := bundle.Open(changed, trusted)
				said := false
				for _, err := range wrong {
					said = said || strings.Contains(err.Error(), name) || name == bundle.SignerName && strings.Contains(err.Error(), bundle.ManifestName)
				}
				if !said {
					t.Fatalf("byte %d of %s was changed, and it is said: %v", i, name, wrong)
				}
			}
		}
		if _, wrong := bundle.Open(bundletest.Replace(t, data, name, func([]byte) []byte { return nil }), nil); len(wrong) == 0 || !strings.Contains(errors.Join(wrong...).Error(), name) {
			t.Errorf("%s is missing, and it is said: %v", name, wrong)
		}
	}
}

// TestEveryByteOfTheZipCounts flips bytes of the bundle itself: either that is found, or all
// files are what they were.
func TestEveryByteOfTheZipCounts(t *testing.T) {
	public, private := key(t)
	data := packed(t, private, some()...)
	for i := range data {
		changed := bytes.Clone(data)
		changed[i] ^= 1 << rand.IntN(8)
		b, wrong := bundle.Open(changed, &public)
		if len(wrong) > 0 {
			continue
		}
		for _, f := range some() { // bits behind the end of what is compressed mean nothing
			if !bytes.Equal(b.File(f.Name), f.Data) {
				t.Fatalf("byte %d was changed, and %s is another", i, f.Name)
			}
		}
	}
	for what, changed := range map[string][]byte{"more behind": append(bytes.Clone(data), 0), "more before": append([]byte("x"), data...), "half": data[:len(data)/2], "nothing": nil} {
		if _, wrong := bundle.Open(changed, &public); len(wrong) == 0 {
			t.Errorf("%s is not found", what)
		}
	}
}

// TestForged signs a changed bundle with another key.
func TestForged(t *testing.T) {
	public, private := key(t)
	_, forger := key(t)
	files := some()
	files[0].Data = []byte(`{"value": 0.99}`)
	forged := packed(t, forger, files...)
	if _, wrong := bundle.Open(forged, &public); len(wrong) == 0 {
		t.Error("another signer is taken for the community")
	}
	original, _ := bundle.Open(packed(t, private, some()...), nil)
	forged = bundletest.Replace(t, forged, bundle.SignerName, func([]byte) []byte { return original.File(bundle.SignerName) })
	if _, wrong := bundle.Open(forged, nil); len(wrong) == 0 {
		t.Error("another signer with the community's key is taken for it")
	}
}

// TestMinisign has the standard tool check the signature.
func TestMinisign(t *testing.T) {
	tool, err := exec.LookPath("minisign")
	if err != nil {
		t.Fatal("minisign is missing: apt-get install minisign, or make tools")
	}
	_, private := key(t)
	b, wrong := bundle.Open(packed(t, private, some()...), nil)
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	dir := t.TempDir()
	for _, name := range []string{bundle.ManifestName, bundle.SignatureName, bundle.SignerName} {
		if err := os.WriteFile(filepath.Join(dir, name), b.File(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	verify := func() (string, error) {
		cmd := exec.CommandContext(t.Context(), tool, "-Vm", bundle.ManifestName, "-p", bundle.SignerName)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := verify(); err != nil || !strings.Contains(out, "jiayuan 2026-10 2026-11-01T00:00:00Z") {
		t.Errorf("minisign: %v\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(dir, bundle.ManifestName), append(b.File(bundle.ManifestName), ' '), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := verify(); err == nil {
		t.Errorf("minisign takes a manifest that was changed: %s", out)
	}
}

func FuzzOpen(f *testing.F) {
	_, private := key(f)
	f.Add(packed(f, private, some()...))
	f.Add([]byte("PK"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if b, wrong := bundle.Open(data, nil); b == nil && len(wrong) == 0 {
			t.Error("neither a bundle nor what is wrong")
		}
	})
}
