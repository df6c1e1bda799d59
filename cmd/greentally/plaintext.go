package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// plainText is a writer for people's terminals. Much of what commands print was written by
// strangers: devices, contractors, servers. What would move the cursor, ring, hide text or turn it
// round is written as � instead.
type plainText struct {
	io.Writer
	rest []byte // of the last write: the beginning of a character
}

// Write writes the text, but for the beginning of a character at its end, which waits for the rest.
func (w *plainText) Write(text []byte) (int, error) {
	all := append(w.rest, text...)
	end := len(all)
	for back := 1; back < utf8.UTFMax && back <= len(all); back++ {
		if start := len(all) - back; utf8.RuneStart(all[start]) {
			if !utf8.FullRune(all[start:]) {
				end = start
			}
			break
		}
	}
	w.rest = append([]byte(nil), all[end:]...)
	if _, err := io.WriteString(w.Writer, plainLines(string(all[:end]))); err != nil {
		return 0, err
	}
	return len(text), nil
}

// plainLines returns text with � for all that cannot be seen but blanks, tabs and ends of lines.
func plainLines(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) && r != '\n' && r != '\t' {
			return utf8.RuneError
		}
		return r
	}, text)
}

// writeJSON writes a value, indented, as JSON in which only what can be seen stands as it is.
func writeJSON(out io.Writer, value any) error {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return err
	}
	var plain strings.Builder
	for _, r := range text.String() { // outside of ASCII it is in a JSON string
		switch {
		case r == '\n' || unicode.IsGraphic(r):
			plain.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&plain, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&plain, `\u%04x`, r)
		}
	}
	_, err := io.WriteString(out, plain.String())
	return err
}
