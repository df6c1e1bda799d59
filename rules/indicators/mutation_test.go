package indicators_test

import (
	"path"
	"regexp"
	"testing"

	"greentally/internal/mutation"
	"greentally/rules/indicators"
)

// TestEveryFigureIsPinned changes each figure, comparison, operator and word of each
// shipped indicator, one at a time: the file must then be refused, or one of its tests must
// fail.
func TestEveryFigureIsPinned(t *testing.T) {
	names, contents, err := indicators.Shipped().Files()
	if err != nil {
		t.Fatal(err)
	}
	vocabulary := words(t)
	for _, name := range names {
		t.Run(path.Base(name), func(t *testing.T) {
			t.Parallel()
			text := string(contents[name])
			files := map[string]string{}
			for _, m := range regexp.MustCompile(`\{indicator: (\w+), part`).FindAllStringSubmatch(text, -1) {
				files[m[1]+".yaml"] = string(contents[path.Join(path.Dir(name), m[1]+".yaml")])
			}
			mutation.Check(t, text, changes, func(text string) error {
				files[path.Base(name)] = text
				set, err := indicators.Load(vocabulary, folder(files))
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
	case "at_least", "at_most", "completeness":
		return mutation.Around(value, 0.001)
	case "months":
		return mutation.Around(value, 1)
	case "latest":
		return []string{map[string]string{"true": "false", "false": "true"}[value]}
	case "part":
		return []string{map[string]string{"numerator": "denominator", "denominator": "numerator"}[value]}
	case "where", "value", "only", "numerator", "denominator", "error_ratio", "of":
		return mutation.Expression(value, 0.001)
	}
	return nil
}
