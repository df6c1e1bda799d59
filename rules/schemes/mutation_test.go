package schemes_test

import (
	"path"
	"regexp"
	"testing"

	"greentally"
	"greentally/internal/mutation"
	"greentally/rules/schemes"
)

// TestEveryFigureIsPinned changes each figure, comparison and switch of each shipped
// scheme, one at a time: the file must then be refused, or one of its tests must fail.
func TestEveryFigureIsPinned(t *testing.T) {
	names, contents, err := schemes.Shipped().Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		t.Run(path.Base(name), func(t *testing.T) {
			t.Parallel()
			text := string(contents[name])
			files := map[string]string{}
			for _, m := range regexp.MustCompile(`(?m)^- \{scheme: (\w+), weight`).FindAllStringSubmatch(text, -1) {
				files[m[1]+".yaml"] = string(contents[path.Join(path.Dir(name), m[1]+".yaml")])
			}
			mutation.Check(t, text, changes, func(text string) error {
				files[path.Base(name)] = text
				set, err := schemes.Load(words(), folder(files))
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
	case "points", "most", "total", "weight", "at_least", "above", "at_most", "completeness":
		step := 0.01
		if key == "points" || key == "most" || key == "weight" {
			step = 0.5
		}
		return mutation.Around(value, step)
	case "pass", "each", "complete":
		return []string{map[string]string{"true": "false", "false": "true"}[value]}
	case "estimated_mass":
		return []string{map[string]string{"allowed": "forbidden", "forbidden": "allowed"}[value]}
	case "from", "until":
		date, err := greentally.ParseDate(value)
		if err != nil {
			return []string{"wrong"}
		}
		return []string{date.Add(31).String(), date.Add(-31).String()}
	case "when", "of":
		return mutation.Expression(value, 0.01)
	}
	return nil
}
