package greentally

import (
	"io/fs"
	"strings"
)

// TextError is an error that people are told of in their language, and programs in English.
type TextError struct {
	Text
	is error
}

func (e *TextError) Error() string { return e.EN }

// Is reports whether the error is one of another text, too.
func (e *TextError) Is(target error) bool { return e.is != nil && e.is == target }

// TextErrorf returns an error that is formatted in both languages; see [Textf].
func TextErrorf(zh, en string, args ...any) error { return &TextError{Textf(zh, en, args...), nil} }

// Missingf returns an error for what is not there: it is [fs.ErrNotExist], without its words.
func Missingf(zh, en string, args ...any) error {
	return &TextError{Textf(zh, en, args...), fs.ErrNotExist}
}

// ErrorText says an error in both languages, as far as the errors in it do: what is none of them, or
// is said around them, stays as it is.
func ErrorText(err error) Text {
	text := err.Error()
	switch e := err.(type) { //nolint:errorlint // it goes down by itself
	case *TextError:
		return e.Text
	case interface{ Unwrap() []error }:
		var texts []Text
		for _, one := range e.Unwrap() {
			texts = append(texts, ErrorText(one))
		}
		for en, zh := range map[string]string{"\n": "；", ": ": "："} {
			if joined := JoinTexts(texts, zh, en); joined.EN == text {
				return joined
			}
		}
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			if before, is := strings.CutSuffix(text, inner.Error()); is {
				return Text{ZH: before + ErrorText(inner).ZH, EN: text}
			}
		}
	}
	return Text{text, text}
}
