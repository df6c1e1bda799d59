package greentally

import (
	"encoding/json"
	"fmt"
	"strings"
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
