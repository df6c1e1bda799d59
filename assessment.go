package greentally

// Assessment is one community, one month, one scheme: every item of the scheme with
// its points and what they rest on.
//
// Where the evidence does not suffice for an item its points are not known, and so the
// total lies between AtLeast and AtMost. There is a level only if both ends of that
// give the same.
type Assessment struct {
	Community string `json:"community"`
	Month     Month  `json:"month"`
	Scheme    string `json:"scheme"`
	Title     Text   `json:"title"`
	Source    string `json:"source"`             // where the scheme was read
	Note      Text   `json:"note,omitzero"`      // what a reader must know of the scheme
	Effective Period `json:"effective,omitzero"` // when the scheme is in effect

	Complete bool `json:"complete"` // whether the scheme's file has all items of its document
	Verified bool `json:"verified"` // whether all that is in the file was read there

	Items []ItemResult `json:"items"`
	Parts []PartResult `json:"parts,omitempty"` // of a composite of other schemes

	AtLeast float64 `json:"at_least"` // points that are certain
	AtMost  float64 `json:"at_most"`  // with all that is not known
	Total   float64 `json:"total"`    // points that can be had

	// Barred names the vetoes and basic conditions that are not met; Open those that are
	// not known.
	Barred []string `json:"barred,omitempty"`
	Open   []string `json:"open,omitempty"`

	Verdict    Verdict `json:"verdict"`
	Level      string  `json:"level,omitempty"` // ID of the level reached; empty if none is, or it is not known
	LevelTitle Text    `json:"level_title,omitzero"`
	Reason     Text    `json:"reason,omitzero"`
}

// ItemResult is one item of an assessment.
type ItemResult struct {
	Item     string `json:"item"`
	Title    Text   `json:"title"`
	Group    Text   `json:"group,omitzero"` // that it stands in
	Rule     string `json:"rule"`           // all_or_nothing, deduction, tiers, judged, veto, basic
	Verified bool   `json:"verified"`       // whether it was read in the scheme's document

	AtLeast float64 `json:"at_least"`
	AtMost  float64 `json:"at_most"` // equal to AtLeast where the evidence suffices
	Points  float64 `json:"points"`  // points that can be had

	Verdict Verdict `json:"verdict"` // pass: all points, or the condition is met
	Reasons []Text  `json:"reasons,omitempty"`

	Indicators []string `json:"indicators,omitempty"` // that it rests on
	Records    []string `json:"records,omitempty"`    // IDs of the records that it rests on

	// EstimatedShare is the greatest share of estimated mass in any of its indicators.
	EstimatedShare float64 `json:"estimated_share,omitempty"`
}

// PartResult is one part of a composite.
type PartResult struct {
	Scheme  string  `json:"scheme"`
	Weight  float64 `json:"weight"` // its share of the composite's points
	AtLeast float64 `json:"at_least"`
	AtMost  float64 `json:"at_most"`
}

// Period is a time of whole days; either end may be open.
type Period struct {
	From  *Date `yaml:"from,omitempty" json:"from,omitempty"`
	Until *Date `yaml:"until,omitempty" json:"until,omitempty"` // the last day
}

// Has reports whether the period has a day of the month.
func (p Period) Has(m Month) bool {
	return (p.From == nil || !m.Last().Before(*p.From)) && (p.Until == nil || !p.Until.Before(m.First()))
}

// Text says the period, such as "from 2026-01-01 on".
func (p Period) Text() Text {
	switch {
	case p.From != nil && p.Until != nil:
		return Textf("自 %s 起至 %s 止", "from %s until %s", p.From, p.Until)
	case p.From != nil:
		return Textf("自 %s 起", "from %s on", p.From)
	case p.Until != nil:
		return Textf("至 %s 止", "until %s", p.Until)
	}
	return Text{"不限时间", "always"}
}

func (p Period) String() string { return p.Text().EN }
