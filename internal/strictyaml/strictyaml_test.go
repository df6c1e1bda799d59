package strictyaml_test

import (
	"strings"
	"testing"

	"greentally"
	"greentally/internal/strictyaml"
)

func TestDecodeErrors(t *testing.T) {
	tests := map[string]struct {
		yaml string
		want []string
	}{
		"unknown keys, all at once": {
			"community: x\nfoo: 1\ndevices:\n- id: a\n  bar: 3\n",
			[]string{`x.yaml:2: unknown key "foo"`, `x.yaml:5: unknown key "bar"`},
		},
		"wrong type":       {"households: many\n", []string{"x.yaml:1: cannot construct"}},
		"duplicate key":    {"community: x\ncommunity: y\n", []string{"x.yaml:2: ", "already defined"}},
		"not YAML":         {"a: [1\nb: 2\n", []string{"x.yaml:"}},
		"a text that errs": {"community: a\n\ndevices:\n- id: a\n  interval: soon\n", []string{"x.yaml:5:", "not a duration"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var c greentally.Community
			_, err := strictyaml.Decode("x.yaml", []byte(tt.yaml), &c)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
		})
	}
}

func TestErrorfNamesTheLine(t *testing.T) {
	var c greentally.Community
	doc, err := strictyaml.Decode("x.yaml", []byte("community: x\ndevices:\n- id: a\n- id: b\n  kind: bin\n"), &c)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		path []any
		want string
	}{
		{[]any{"devices", 1, "kind"}, "x.yaml:5: oh"},
		{[]any{"devices", 1, "site"}, "x.yaml:4: oh"},
		{[]any{"devices", 7}, "x.yaml:2: oh"},
		{nil, "x.yaml:1: oh"},
	}
	for _, tt := range tests {
		if got := doc.Errorf(tt.path, "oh").Error(); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.path, got, tt.want)
		}
	}
}
