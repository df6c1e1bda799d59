package devices

import (
	"embed"
	"io/fs"

	"greentally/internal/strictyaml"
)

//go:embed kinds/*.yaml catalog/*.yaml
var shipped embed.FS

// Kinds returns the kinds that are shipped.
func Kinds() strictyaml.Folder { return sub("kinds") }

// Catalog returns the profiles that are shipped.
func Catalog() strictyaml.Folder { return sub("catalog") }

func sub(name string) strictyaml.Folder {
	folder, err := fs.Sub(shipped, name)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return strictyaml.Folder{Name: "devices/" + name, FS: folder}
}

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
