package devices

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"greentally/internal/strictyaml"
)

// Folder is a folder of YAML files; those below it are not read. Name stands before
// the names of its files in errors.
type Folder struct {
	Name string
	FS   fs.FS

	instead map[string][]byte // contents that stand for those of files, by their names
}

// Dir returns the folder of that path on disk.
func Dir(path string) Folder { return Folder{Name: path, FS: os.DirFS(path)} }

//go:embed kinds/*.yaml catalog/*.yaml
var shipped embed.FS

// Kinds returns the kinds that are shipped.
func Kinds() Folder { return sub("kinds") }

// Catalog returns the profiles that are shipped.
func Catalog() Folder { return sub("catalog") }

func sub(name string) Folder {
	folder, err := fs.Sub(shipped, name)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return Folder{Name: "devices/" + name, FS: folder}
}

// files returns the contents of the folder's YAML files by full name, and the names
// in order.
func (f Folder) files() (names []string, contents map[string][]byte, err error) {
	entries, err := fs.ReadDir(f.FS, ".")
	if err != nil {
		return nil, nil, fmt.Errorf("read the folder %s: %w", f.Name, err)
	}
	contents = map[string][]byte{}
	var errs []error
	for _, entry := range entries {
		name := f.full(entry.Name())
		switch ext := path.Ext(entry.Name()); {
		case entry.IsDir() || strings.HasPrefix(entry.Name(), "."):
		case ext == ".yml":
			errs = append(errs, fmt.Errorf("%s:1: name it .yaml; files of other names are not read", name))
		case ext == ".yaml":
			data, ok := f.instead[entry.Name()]
			if !ok {
				var err error
				if data, err = fs.ReadFile(f.FS, entry.Name()); err != nil {
					errs = append(errs, fmt.Errorf("%s:1: %w", name, err))
					continue
				}
			}
			names = append(names, name)
			contents[name] = data
		}
	}
	return names, contents, errors.Join(errs...)
}

func (f Folder) full(file string) string { return filepath.ToSlash(filepath.Join(f.Name, file)) }

// problems collects what is wrong with one file.
type problems struct {
	doc  *strictyaml.Doc
	errs []error
}

func (p *problems) add(path []any, format string, args ...any) {
	p.errs = append(p.errs, p.doc.Errorf(path, format, args...))
}

// at appends steps to a path without touching it.
func at(path []any, steps ...any) []any { return append(append([]any{}, path...), steps...) }
