package strictyaml

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"
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

// With returns the folder as if the file had these contents; it must be there.
func (f Folder) With(file string, contents []byte) Folder {
	instead := maps.Clone(f.instead)
	if instead == nil {
		instead = map[string][]byte{}
	}
	instead[file] = contents
	f.instead = instead
	return f
}

// Files returns the contents of the folder's YAML files by full name, and the names in
// order. The error joins all that is wrong: a folder or a file that cannot be read, and
// each file that is called .yml, which would be passed over in silence. Names and
// contents have all that could be read.
func (f Folder) Files() (names []string, contents map[string][]byte, err error) {
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
