package strictyaml

import (
	"errors"
	"fmt"
	"regexp"

	"go.yaml.in/yaml/v4"
)

// Doc is a decoded file that still knows where its parts stand.
type Doc struct {
	file string
	root *yaml.Node
}

// Decode decodes data, the contents of file, into the struct that into points to.
// The error joins one error for each thing that is wrong, each of the form
// "file:line: reason". The Doc is nil if the file is not YAML at all.
func Decode(file string, data []byte, into any) (*Doc, error) {
	var root yaml.Node
	if err := yaml.Load(data, &root); err != nil {
		return nil, located(file, err)
	}
	doc := &Doc{file: file, root: &root}
	if err := yaml.Load(data, into, yaml.WithKnownFields()); err != nil {
		return doc, located(file, err)
	}
	return doc, nil
}

// Errorf returns an error at the place that path leads to: keys as strings,
// positions in lists as ints. Where the path ends early, the place is the last
// part of it that exists.
func (d *Doc) Errorf(path []any, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %w", d.file, d.line(path), fmt.Errorf(format, args...))
}

func (d *Doc) line(path []any) int {
	node := d.root
	if node.Kind == yaml.DocumentNode && len(node.Content) > 0 {
		node = node.Content[0]
	}
	line := max(node.Line, 1)
	for _, step := range path {
		var next *yaml.Node
		switch step := step.(type) {
		case int:
			if node.Kind == yaml.SequenceNode && step >= 0 && step < len(node.Content) {
				next = node.Content[step]
				line = next.Line
			}
		case string:
			for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
				if node.Content[i].Value == step {
					next = node.Content[i+1]
					line = node.Content[i].Line
				}
			}
		}
		if next == nil {
			break
		}
		node = next
	}
	return line
}

var unknownField = regexp.MustCompile(`^field (.+) not found in type .+$`)

func located(file string, err error) error {
	var all []error
	add := func(e *yaml.LoadError) {
		message := unknownField.ReplaceAllString(e.Message, `unknown key "$1"`)
		all = append(all, fmt.Errorf("%s:%d: %s", file, max(e.Mark.Line, 1), message))
	}
	var many *yaml.LoadErrors
	var one *yaml.LoadError
	switch {
	case errors.As(err, &many):
		for _, e := range many.Errors {
			add(e)
		}
	case errors.As(err, &one):
		add(one)
	default:
		all = append(all, fmt.Errorf("%s:1: %w", file, err))
	}
	return errors.Join(all...)
}
