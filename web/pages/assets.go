package pages

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"slices"
	"strings"

	"greentally"
)

//go:embed templates/*.html
var templates embed.FS

//go:embed static
var static embed.FS

// parse reads the templates.
func parse() (*template.Template, error) {
	version, err := staticVersion()
	if err != nil {
		return nil, err
	}
	set := template.New("pages").Funcs(template.FuncMap{
		"percent": func(v float64) string { return fmt.Sprintf("%.1f", 100*v) },
		"static":  func(name string) string { return "/static/" + name + "?v=" + version },
		"text":    func(data []byte) string { return strings.ToValidUTF8(string(data), "�") },
		"ptr":     func(v float64) *float64 { return &v },
		"deref":   func(v *float64) float64 { return *v },
		"has":     func(all []greentally.Stage, one string) bool { return slices.Contains(all, greentally.Stage(one)) },
	})
	set, err = set.ParseFS(templates, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("templates of the pages: %w", err)
	}
	return set, nil
}

// staticVersion is another one whenever a file is, so that browsers can keep the files for long.
func staticVersion() (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(static, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := static.ReadFile(path)
		fmt.Fprintf(sum, "%s %d ", path, len(data))
		sum.Write(data)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil))[:12], err
}

// staticFiles serves what the pages are made with; nobody needs to be identified for it.
func staticFiles() (http.Handler, error) {
	files, err := fs.Sub(static, "static")
	if err != nil {
		return nil, err
	}
	server := http.StripPrefix("/static/", http.FileServerFS(files))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keep := "public, max-age=3600"
		if r.URL.Query().Has("v") {
			keep = "public, max-age=31536000, immutable"
		}
		w.Header().Set("Cache-Control", keep)
		server.ServeHTTP(w, r)
	}), nil
}
