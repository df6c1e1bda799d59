package greentally

// Factor is a figure that a public source tells anew from time to time, such as how much
// carbon dioxide a kilowatt-hour from the grid stands for.
type Factor struct {
	Name   string `yaml:"factor" json:"factor" jsonschema:"pattern=^[a-z][a-z0-9_]*$"`
	Title  Text   `yaml:"title" json:"title"`
	Unit   string `yaml:"unit" json:"unit"`
	Source string `yaml:"source" json:"source"`

	// DisplayOnly says that it may be shown and must not be claimed: no target and no
	// scheme may rest on it.
	DisplayOnly bool `yaml:"display_only,omitempty" json:"display_only,omitempty"`

	Editions []Edition `yaml:"editions" json:"editions"` // the earliest published first
}

// Edition is a factor as it was published once.
type Edition struct {
	Year      int  `yaml:"year" json:"year"`           // of the data
	Published Date `yaml:"published" json:"published"` // from this day on it counts
	Verified  bool `yaml:"verified" json:"verified"`   // whether the value was read in the source

	Value *float64           `yaml:"value,omitempty" json:"value,omitempty"` // of the whole; null if there is none
	Of    map[string]float64 `yaml:"of,omitempty" json:"of,omitempty"`       // of its parts, such as regions or materials, by name
}

// FactorValue is what a factor was at a time.
type FactorValue struct {
	Factor    string  `json:"factor"`
	Of        string  `json:"of,omitempty"` // the part; empty for the whole
	Value     float64 `json:"value"`
	Unit      string  `json:"unit"`
	Year      int     `json:"year"`
	Published Date    `json:"published"`
	Verified  bool    `json:"verified"`
	Source    string  `json:"source"`
}

// At returns the factor, or the named part of it, in the newest edition that was
// published on the day and has it. A later edition never changes what was computed for an
// earlier day.
func (f *Factor) At(day Date, of string) (v FactorValue, ok bool) {
	for i := len(f.Editions) - 1; i >= 0; i-- {
		e := &f.Editions[i]
		if day.Before(e.Published) {
			continue
		}
		v = FactorValue{Factor: f.Name, Of: of, Unit: f.Unit, Year: e.Year, Published: e.Published, Verified: e.Verified, Source: f.Source}
		if part, ok := e.Of[of]; ok {
			v.Value = part
			return v, true
		}
		if of == "" && e.Value != nil {
			v.Value = *e.Value
			return v, true
		}
	}
	return FactorValue{}, false
}
