package greentally

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text is what is said in the two languages that screens and exports speak: a title, or
// why something is as it is.
type Text struct {
	ZH string `yaml:"zh,omitempty" json:"zh"`
	EN string `yaml:"en,omitempty" json:"en"`
}

// Textf formats in both languages. Of an argument that is a Text each has its own.
func Textf(zh, en string, args ...any) Text {
	in := func(language string) []any {
		own := make([]any, len(args))
		for i, arg := range args {
			if text, ok := arg.(Text); ok {
				arg = text.In(language)
			}
			own[i] = arg
		}
		return own
	}
	return Text{ZH: fmt.Sprintf(zh, in("zh")...), EN: fmt.Sprintf(en, in("en")...)}
}

// JoinTexts joins texts, with what stands between them in either language.
func JoinTexts(texts []Text, zh, en string) Text {
	join := func(language, separator string) string {
		own := make([]string, len(texts))
		for i, text := range texts {
			own[i] = text.In(language)
		}
		return strings.Join(own, separator)
	}
	return Text{ZH: join("zh", zh), EN: join("en", en)}
}

// WithID returns the title with an ID behind it, by which its reader can act; the ID alone
// if there is no title.
func (t Text) WithID(id string) Text {
	if t == (Text{}) {
		return Text{id, id}
	}
	return Textf("%s（%s）", "%s (%s)", t, id)
}

// In returns the text in the language, "zh" or "en". Where that one is empty it
// returns the other.
func (t Text) In(language string) string {
	if language == "en" && t.EN != "" || t.ZH == "" {
		return t.EN
	}
	return t.ZH
}

// CheckText returns why a text that came from a person or a device is not taken, by what it is called:
// it has more characters than most, or one that cannot be seen, such as one that turns round the text
// behind it. Only a text of several lines has ends of lines and tabs.
func CheckText(what Text, text string, most int, lines bool) error {
	if n := utf8.RuneCountInString(text); n > most {
		return TextErrorf("%s有 %d 个字符，最多 %d 个", "%s has %d characters; the most is %d", what, n, most)
	}
	for i, r := range text {
		switch {
		case lines && (r == '\n' || r == '\r' || r == '\t'), r == '\u200c', r == '\u200d': // the last two join, or do not
		case !unicode.IsGraphic(r), r == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)):
			return TextErrorf("%s含有不可打印的字符 %q", "%s has a character that cannot be printed, %q", what, string(r))
		}
	}
	return nil
}

// UnmarshalJSON also reads a bare string, as the same in both languages: so were reasons
// stored while they had only one. A key that is neither zh nor en is an error.
func (t *Text) UnmarshalJSON(data []byte) error {
	var both string
	if json.Unmarshal(data, &both) == nil {
		*t = Text{both, both}
		return nil
	}
	var own map[string]string
	if err := json.Unmarshal(data, &own); err != nil {
		return err
	}
	for language := range own {
		if language != "zh" && language != "en" {
			return fmt.Errorf("a text has zh and en, and no %q", language)
		}
	}
	*t = Text{own["zh"], own["en"]}
	return nil
}
