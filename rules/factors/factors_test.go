package factors_test

import (
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"greentally"
	"greentally/internal/mutation"
	"greentally/internal/strictyaml"
	"greentally/rules/factors"
)

func folder(name, text string) strictyaml.Folder {
	return strictyaml.Folder{Name: "x", FS: fstest.MapFS{name: {Data: []byte(text)}}}
}

const good = `factor: good
title: {zh: 好, en: Good}
unit: kg/kWh
source: here
editions:
- {year: 2022, published: 2024-12-20, value: 0.5}
- {year: 2023, published: 2026-01-31, of: {north: 0.6}}
tests:
- {day: 2024-12-19}
- {day: 2026-10-31, want: 0.5, year: 2022}
- {day: 2026-10-31, of: north, want: 0.6, year: 2023}
`

func TestLoadRefuses(t *testing.T) {
	for _, tt := range []struct{ name, from, to, want string }{
		{"an unknown key", "unit:", "unti:", `x/good.yaml:3: unknown key "unti"`},
		{"another name", "factor: good", "factor: bad", "x/good.yaml:1: the file must be called bad.yaml"},
		{"no source", "source: here", "source: ''", "x/good.yaml:4: source is missing"},
		{"no tests", good[strings.Index(good, "tests:"):], "", "x/good.yaml:1: there are no tests"},
		{"no day", "published: 2024-12-20, ", "", "x/good.yaml:6: an edition needs year"},
		{"no value", ", value: 0.5", "", "x/good.yaml:6: an edition needs a value"},
		{"a value that is none", "0.5}", ".nan}", "x/good.yaml:6: NaN is no value"},
		{"the wrong order", "2026-01-31", "2024-12-20", "x/good.yaml:7: editions go from the earliest"},
	} {
		text := strings.Replace(good, tt.from, tt.to, 1)
		if _, err := factors.Load(folder("good.yaml", text)); text == good || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v lacks %q", tt.name, err, tt.want)
		}
	}
	if _, err := factors.Load(folder("good.yaml", good), folder("good.yaml", good)); err == nil || !strings.Contains(err.Error(), "factor good is in x/good.yaml already") {
		t.Errorf("twice: %v", err)
	}
}

func TestCheck(t *testing.T) {
	for text, want := range map[string]string{
		good: "",
		strings.Replace(good, "day: 2024-12-19", "day: 2024-12-20", 1):             "x/good.yaml:9: 2024-12-20: it is 0.5, of 2022, and should not be there yet",
		strings.Replace(good, "want: 0.5, year: 2022", "want: 0.5, year: 2023", 1): "x/good.yaml:10: 2026-10-31: it is 0.5, of 2022, want 0.5, of 2023",
		strings.Replace(good, "of: north, want", "of: nort, want", 1):              `x/good.yaml:11: 2026-10-31: it is not there yet, want 0.6, of 2023`,
	} {
		set, err := factors.Load(folder("good.yaml", text))
		if err != nil {
			t.Fatal(err)
		}
		ran, err := set.Check()
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != want) || ran != 3 {
			t.Errorf("%d tests ran: %v, want %q", ran, err, want)
		}
	}
}

// TestEveryFigureIsPinned changes each figure and date of each shipped factor, one at a
// time: the file must then be refused, or one of its tests must fail.
func TestEveryFigureIsPinned(t *testing.T) {
	names, contents, err := factors.Shipped().Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		check := func(text string) error {
			set, err := factors.Load(folder(path.Base(name), text))
			if err == nil {
				_, err = set.Check()
			}
			return err
		}
		if err := check(string(contents[name])); err != nil {
			t.Fatal(err)
		}
		mutants, err := mutation.Of(string(contents[name]), func(key, value string) []string {
			if key == "published" {
				day, err := greentally.ParseDate(value)
				if err != nil {
					t.Fatal(err)
				}
				return []string{day.Add(1).String(), day.Add(-1).String()}
			}
			if strings.Trim(value, "0123456789.-") == "" && key != "" {
				return mutation.Around(value, 0.0001)
			}
			return nil
		})
		if err != nil || len(mutants) < 10 {
			t.Fatalf("%s: %d mutants, %v", name, len(mutants), err)
		}
		for _, m := range mutants {
			if check(m.Text) == nil {
				t.Errorf("%s:%d: no test notices %s", name, m.Line, m.What)
			}
		}
	}
}
