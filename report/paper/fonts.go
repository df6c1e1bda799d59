package paper

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/golang/freetype/truetype"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/image/font/sfnt"
)

// missing is drawn for a character that no font has.
const missing = '□'

// Fonts are those of a document. The bold one may have fewer characters.
type Fonts struct {
	regular, bold face

	// second is where the regular font has what lies beyond U+FFFF a second time, in the
	// private use area: fpdf addresses nothing else.
	second map[sfnt.GlyphIndex]rune
}

// face is a font, unpacked.
type face struct {
	file []byte
	font *sfnt.Font
}

// The private use area.
const firstPrivate, lastPrivate = rune(0xE000), rune(0xF8FF)

// Load unpacks two TrueType fonts that were packed by zstd.
func Load(regular, bold []byte) (*Fonts, error) {
	unpack, err := zstd.NewReader(nil)
	if err != nil {
		return nil, fmt.Errorf("fonts: %w", err)
	}
	defer unpack.Close()
	load := func(packed []byte) (f face, err error) {
		if f.file, err = unpack.DecodeAll(packed, nil); err == nil {
			f.font, err = sfnt.Parse(f.file)
		}
		return f, err
	}
	f := &Fonts{second: map[sfnt.GlyphIndex]rune{}}
	if f.regular, err = load(regular); err != nil {
		return nil, fmt.Errorf("regular font: %w", err)
	}
	if f.bold, err = load(bold); err != nil {
		return nil, fmt.Errorf("bold font: %w", err)
	}
	for r := firstPrivate; r <= lastPrivate; r++ {
		if i := f.regular.index(r); i != 0 {
			f.second[i] = r
		}
	}
	return f, nil
}

// index is the place of a character in the font, 0 if it has none.
func (f face) index(r rune) sfnt.GlyphIndex {
	i, err := f.font.GlyphIndex(nil, r)
	if err != nil {
		return 0
	}
	return i
}

// Picture returns the regular font for go-analyze/charts.
func (f *Fonts) Picture() (*truetype.Font, error) { return truetype.Parse(f.regular.file) }

// drawn returns what is drawn for the text, and whether the bold font has all of it.
func (f *Fonts) drawn(text string) (shown string, bold bool) {
	bold = true
	shown = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			if r != '\u00a0' && r != '\u3000' {
				r = ' '
			}
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Variation_Selector):
			return -1
		default:
			i := f.regular.index(r)
			if r > 0xFFFF {
				r = f.second[i]
			} else if r >= firstPrivate && r <= lastPrivate {
				i = 0
			}
			if i == 0 || r == 0 || r == utf8.RuneError {
				r = missing
			}
		}
		bold = bold && f.bold.index(r) != 0
		return r
	}, text)
	return shown, bold
}

// actual begins and ends the marked content that says what the text really is that is drawn
// within it.
func actual(text string) (begin, end string) {
	var hex strings.Builder
	for _, u := range utf16.Encode([]rune(text)) {
		fmt.Fprintf(&hex, "%04X", u)
	}
	return "/Span <</ActualText <FEFF" + hex.String() + ">>> BDC\n", "EMC\n"
}

// plain replaces what fpdf cannot write outside of pages.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r > 0xFFFF {
			return missing
		}
		return r
	}, strings.ToValidUTF8(text, string(missing)))
}
