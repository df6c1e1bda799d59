package schemes

import (
	"greentally"
)

// Scheme is what a scheme's file says, without its tests.
type Scheme struct {
	Name     string          `yaml:"scheme" json:"scheme"`
	Title    greentally.Text `yaml:"title" json:"title"`
	Source   string          `yaml:"source" json:"source"`               // where it was read
	Document Document        `yaml:"document,omitempty" json:"document"` // that it comes from
	Note     greentally.Text `yaml:"note,omitempty" json:"note"`         // what a reader of an assessment must know

	Effective greentally.Period `yaml:"effective,omitempty" json:"effective"` // a month counts if a day of it does

	// Complete says whether the file has all items of the document. A file that does not
	// can fail a community but never pass it.
	Complete bool `yaml:"complete" json:"complete"`
	// Verified says whether what the file says was read in the document; an item can say
	// otherwise of itself.
	Verified bool `yaml:"verified" json:"verified"`

	// Completeness is the floor below which an indicator is missing for this scheme.
	Completeness float64 `yaml:"completeness,omitempty" json:"completeness"`
	// EstimatedMass is allowed or forbidden: whether an indicator counts here if some of
	// its mass was estimated from filling levels. A scheme without indicators need not say.
	EstimatedMass string `yaml:"estimated_mass,omitempty" json:"estimated_mass,omitempty"`

	Total  float64 `yaml:"total,omitempty" json:"total"` // points that can be had; 0 if it has none
	Items  []Item  `yaml:"items,omitempty" json:"items,omitempty"`
	Levels []Level `yaml:"levels,omitempty" json:"levels,omitempty"` // highest first
	Parts  []Part  `yaml:"parts,omitempty" json:"parts,omitempty"`
}

// Document names the document that a scheme comes from.
type Document struct {
	Number string `yaml:"number,omitempty" json:"number,omitempty"`
	Issuer string `yaml:"issuer,omitempty" json:"issuer,omitempty"`
}

// The rules by which an item is scored.
const (
	AllOrNothing = "all_or_nothing" // all points if the condition is met
	Deduction    = "deduction"      // all points, less those of the faults found
	Tiers        = "tiers"          // points by how high a number is
	Judged       = "judged"         // points that a person gives
	Veto         = "veto"           // not met, the community is disqualified
	Basic        = "basic"          // not met, the community cannot be commended
)

// Item is one item of a scheme. Which of the last fields it has depends on its rule.
type Item struct {
	ID     string          `yaml:"id" json:"id"`
	Title  greentally.Text `yaml:"title" json:"title"`
	Group  greentally.Text `yaml:"group,omitempty" json:"group"`
	Points float64         `yaml:"points,omitempty" json:"points"`
	Rule   string          `yaml:"rule" json:"rule"`

	// Evidence lists the types of record that can attest the item, each as well as the
	// others.
	Evidence []string `yaml:"evidence,omitempty" json:"evidence,omitempty"`
	// Verified says whether the item was read in the document; left out, it is as the
	// scheme says.
	Verified *bool `yaml:"verified,omitempty" json:"verified"`

	When   string  `yaml:"when,omitempty" json:"when,omitempty"`     // all_or_nothing, veto, basic: the condition
	Faults []Fault `yaml:"faults,omitempty" json:"faults,omitempty"` // deduction
	Of     string  `yaml:"of,omitempty" json:"of,omitempty"`         // tiers: the number
	Tiers  []Tier  `yaml:"tiers,omitempty" json:"tiers,omitempty"`   // tiers: the first that fits counts

	Indicators []string `yaml:"-" json:"indicators,omitempty"` // that its expressions refer to
}

// Fault is something that costs points.
type Fault struct {
	ID     string          `yaml:"id" json:"id"`
	Title  greentally.Text `yaml:"title" json:"title"`
	Points float64         `yaml:"points" json:"points"`
	Each   bool            `yaml:"each,omitempty" json:"each,omitempty"` // the points are lost for each one counted
	Most   float64         `yaml:"most,omitempty" json:"most,omitempty"` // of each: no more than this
	When   string          `yaml:"when,omitempty" json:"when,omitempty"` // condition on which it is there
}

// worst returns the most points that the fault can cost of the item's.
func (f *Fault) worst(points float64) float64 {
	switch {
	case f.Most > 0:
		return f.Most
	case f.Each:
		return points
	}
	return f.Points
}

// Tier gives points for a number; one of the two bounds is set.
type Tier struct {
	AtLeast *float64 `yaml:"at_least,omitempty" json:"at_least,omitempty"`
	AtMost  *float64 `yaml:"at_most,omitempty" json:"at_most,omitempty"`
	Points  float64  `yaml:"points" json:"points"`
}

// bound returns the tier's bound and its sign: 1 for at_least, −1 for at_most, and 0 if
// not exactly one is set.
func (t Tier) bound() (bound, sign float64) {
	switch {
	case t.AtLeast != nil && t.AtMost == nil:
		return *t.AtLeast, 1
	case t.AtMost != nil && t.AtLeast == nil:
		return *t.AtMost, -1
	}
	return 0, 0
}

// Level is a level that a total reaches; one of the two bounds is set, in points.
type Level struct {
	ID      string          `yaml:"id" json:"id"`
	Title   greentally.Text `yaml:"title" json:"title"`
	AtLeast *float64        `yaml:"at_least,omitempty" json:"at_least,omitempty"`
	Above   *float64        `yaml:"above,omitempty" json:"above,omitempty"` // more than this
	When    string          `yaml:"when,omitempty" json:"when,omitempty"`   // what must hold besides
	Pass    bool            `yaml:"pass,omitempty" json:"pass,omitempty"`   // whether the level counts as pass
}

// bound returns the level's bound, and false if not exactly one is set.
func (l *Level) bound() (float64, bool) {
	switch {
	case l.AtLeast != nil && l.Above == nil:
		return *l.AtLeast, true
	case l.Above != nil && l.AtLeast == nil:
		return *l.Above, true
	}
	return 0, false
}

func (l *Level) reached(points float64) bool {
	if l.Above != nil {
		return points > *l.Above
	}
	return points >= *l.AtLeast
}

// Part is another scheme that counts in this one.
type Part struct {
	Scheme string  `yaml:"scheme" json:"scheme"`
	Weight float64 `yaml:"weight" json:"weight"` // points of this scheme for all points of that one
}
