package openapitest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// constants returns the values of the constants that the source declares of a type of this module.
func constants(t reflect.Type) ([]string, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	_, folder, _ := strings.Cut(t.PkgPath(), "/")
	files, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
	if err != nil {
		return nil, err
	}
	var all []string
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			return nil, err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if of, ok := spec.Type.(*ast.Ident); !ok || of.Name != t.Name() || len(spec.Values) != 1 {
				return true
			}
			if literal, ok := spec.Values[0].(*ast.BasicLit); ok {
				word := literal.Value
				if literal.Kind == token.STRING {
					word, _ = strconv.Unquote(word) // it is parsed
				}
				all = append(all, word)
			}
			return true
		})
	}
	slices.Sort(all)
	return all, nil
}

// moduleRoot returns the folder of the go.mod that is above the folder in which a test runs.
func moduleRoot() (string, error) {
	folder, err := os.Getwd()
	for err == nil {
		if _, err = os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder, nil
		}
		if above := filepath.Dir(folder); errors.Is(err, fs.ErrNotExist) && above != folder {
			folder, err = above, nil
		}
	}
	return "", fmt.Errorf("find go.mod: %w", err)
}
