package greentally

// Text is a label in the two languages that screens and exports speak.
type Text struct {
	ZH string `yaml:"zh,omitempty" json:"zh"`
	EN string `yaml:"en,omitempty" json:"en"`
}

// In returns the label in the language, "zh" or "en". Where that one is empty it
// returns the other.
func (t Text) In(language string) string {
	if language == "en" && t.EN != "" || t.ZH == "" {
		return t.EN
	}
	return t.ZH
}
