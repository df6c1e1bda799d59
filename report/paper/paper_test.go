package paper

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func fonts(t *testing.T) *Fonts {
	t.Helper()
	var files [2][]byte
	for i, name := range []string{"regular", "bold"} {
		var err error
		if files[i], err = os.ReadFile("../fonts/" + name + ".ttf.zst"); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Load(files[0], files[1])
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestDrawn(t *testing.T) {
	f := fonts(t)
	tests := []struct {
		text, want string
		bold       bool
	}{
		{"绿色社区 CO₂ ≥ 95%，±3 ①", "绿色社区 CO₂ ≥ 95%，±3 ①", true},
		{"a\tb\u00a0c\u3000d", "a b\u00a0c\u3000d", true},
		{"张😀", "张□", true},
		{"a\x00\u200d\ufe0fb", "ab", true},
		{"\ue000", "□", true}, // nothing of ours
		{"驎", "驎", false},     // of no standard table
		{"\ufffd", "□", true},
	}
	for _, tt := range tests {
		if got, bold := f.drawn(tt.text); got != tt.want || bold != tt.bold {
			t.Errorf("%q is drawn as %q, bold %v; want %q, %v", tt.text, got, bold, tt.want, tt.bold)
		}
	}
	// of the standard table, and beyond U+FFFF
	if got, bold := f.drawn("𬱖"); got == "□" || len(got) != 3 || bold {
		t.Errorf("𬱖 is drawn as %q, bold %v", got, bold)
	}
}

// TestLines breaks texts at all widths: no line is too wide, none begins with a closing mark or
// ends with an opening one, and nothing is lost.
func TestLines(t *testing.T) {
	s := New(fonts(t), Info{Made: time.Unix(0, 0)})
	s.Break()
	st := s.Looks.Body
	for _, text := range []string{
		"本报告由 greentally 生成（见“核对方法”），任何人都可以核对；完整度低于 90% 时，不给出结论。《办法》第3条：“日产日清”！真的？是的、对。",
		"The quick (brown) fox, ≥ 95% of it; jumped \"over\" e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.",
		"张😀\u200d😀李𬱖 é",
		"一\n二\n\n三",
	} {
		for width := 26.0; width < 120; width += 3 {
			lines := s.Lines(text, width, st)
			for i, line := range lines {
				if w := s.WidthOf(line, st); w > width {
					t.Errorf("%q is %.1f wide, more than %.1f", line, w, width)
				}
				first, _ := utf8.DecodeRuneInString(line)
				last, _ := utf8.DecodeLastRuneInString(line)
				if i > 0 && strings.ContainsRune("，。；：、！？）》%", first) || strings.ContainsRune("（《", last) {
					t.Errorf("a line is %q at width %.0f", line, width)
				}
			}
			bare := func(s string) string { return strings.Join(strings.Fields(s), "") }
			if got := bare(strings.Join(lines, "")); got != bare(text) {
				t.Errorf("of %q is left %q", text, got)
			}
		}
	}
	if got := s.Lines("", 10, st); len(got) != 1 || got[0] != "" {
		t.Errorf("no text has the lines %q", got)
	}
}

func TestDraw(t *testing.T) {
	s := New(fonts(t), Info{Made: time.Unix(0, 0)})
	s.Break()
	const begin, end = `<svg xmlns="http://www.w3.org/2000/svg">`, `</svg>`
	for _, good := range []string{
		`<path d="M 0 0` + "\n" + `L 700.5 -3 Q 1,2 3,4 Z" style="stroke-width:1;stroke:rgb(1,2,3);fill:none" stroke-dasharray="4, 2"/>`,
		`<circle cx="1" cy="2" r="3" style="stroke:none;fill:white"/>`,
		`<text x="1" y="2" style="stroke:none;fill:rgb(1,2,3);font-size:16px">a &amp; b 绿</text>`,
	} {
		if err := s.Draw([]byte(begin+good+end), 10, 10, 0.1); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		`<image/>`, `<path d="A 1 2 3" style="fill:white"/>`, `<path d="M 1..2 3" style="fill:white"/>`, `<text x="1" y="2" transform="rotate(3)">a</text>`, `<path`,
	} {
		if err := s.Draw([]byte(begin+bad+end), 10, 10, 0.1); err == nil {
			t.Errorf("%s is drawn", bad)
		}
	}
	var b bytes.Buffer
	if err := s.Write(&b); err != nil {
		t.Fatal(err)
	}
}
