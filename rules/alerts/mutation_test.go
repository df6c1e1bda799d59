package alerts_test

import (
	"path"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"greentally/internal/mutation"
	"greentally/internal/strictyaml"
	"greentally/rules/alerts"
)

// TestEveryFigureIsPinned changes each figure, comparison, operator and word of each shipped
// rule, and how urgent it is, one at a time: the file must then be refused, or one of its
// tests must fail.
func TestEveryFigureIsPinned(t *testing.T) {
	names, contents, err := alerts.Shipped().Files()
	if err != nil {
		t.Fatal(err)
	}
	kinds := kinds(t)
	for _, name := range names {
		t.Run(path.Base(name), func(t *testing.T) {
			t.Parallel()
			mutation.Check(t, string(contents[name]), changes, func(text string) error {
				set, err := alerts.Load(kinds, folder(map[string]string{path.Base(name): text}))
				if err == nil {
					_, err = set.Check()
				}
				return err
			})
		})
	}
}

// changes returns what a value can be changed to.
func changes(key, value string) []string {
	switch key {
	case "when", "clear", "where", "limit":
		return mutation.Expression(value, 0.001)
	case "for":
		d, err := time.ParseDuration(value)
		if err != nil {
			return []string{"wrong"}
		}
		return []string{(d + time.Minute).String(), (d - time.Minute).String()}
	case "absent":
		return mutation.Around(value, 0.1)
	case "severity":
		return slices.DeleteFunc([]string{"critical", "warning", "info"}, func(other string) bool { return other == value })
	}
	return nil
}

func folder(files map[string]string) strictyaml.Folder {
	in := fstest.MapFS{}
	for name, text := range files {
		in[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return strictyaml.Folder{Name: "x", FS: in}
}
