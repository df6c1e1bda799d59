package greentally

import "time"

// Record is what a person attests: an audit, a survey, an inspection, a declared event.
// Records are only ever added; a correction names the record that it supersedes, and so does
// one that withdraws what was handed in by mistake.
type Record struct {
	ID        string `json:"id"` // ULID
	Community string `json:"community"`
	Type      string `json:"type"` // such as composition_audit

	// Date is the day that it speaks of. One that speaks of a longer time has its last
	// day in Until.
	Date  Date  `json:"date"`
	Until *Date `json:"until,omitempty"`
	// At is the instant that it speaks of, where the day is not enough, and End when what
	// began then was over. UTC.
	At  *time.Time `json:"at,omitempty"`
	End *time.Time `json:"end,omitempty"`

	Stream Stream `json:"stream,omitempty"`
	Device string `json:"device,omitempty"` // the device that it is about
	Item   string `json:"item,omitempty"`   // the item of a scheme that it is evidence for, as scheme/item

	Values Values            `json:"values"`
	Texts  map[string]string `json:"texts,omitempty"` // such as carrier and destination

	Attachments []Attachment `json:"attachments,omitempty"` // the evidence itself

	By       string    `json:"by"`                 // who attests it, as is said
	Account  string    `json:"account,omitempty"`  // who handed it in: a user's name, or token: and a token's; empty in what is old, or if there were no users
	Why      string    `json:"why,omitempty"`      // reason, or where the evidence lies
	Recorded time.Time `json:"recorded"`           // when it was handed in
	Replaces string    `json:"replaces,omitempty"` // ID of the record that it supersedes

	// Withdraws says that the record that it supersedes should never have been handed in.
	// Such a one says nothing else, and is never in force.
	Withdraws bool `json:"withdraws,omitempty"`
}

// Signed is who attests it, and by which account it was handed in if that says more.
func (r Record) Signed() string { return signed(r.By, r.Account) }

// Attachment is a photo or a document that a record rests on. Its content is kept under its
// hash, by community, and never changes.
type Attachment struct {
	Name      string `json:"name"`       // of the file, without a folder
	MediaType string `json:"media_type"` // such as image/jpeg
	Size      int64  `json:"size"`       // in bytes
	SHA256    string `json:"sha256"`     // of the content; 64 hexadecimal digits
}

// MaxAttachment is the size of the largest attachment, in bytes.
const MaxAttachment = 20 << 20

// Values are a record's numbers by name, unit in the name.
type Values map[string]float64

// RecordType is a type of record: what it must say.
type RecordType struct {
	Name  string `yaml:"type" json:"type" jsonschema:"pattern=^[a-z][a-z0-9_]*$"`
	Title Text   `yaml:"title" json:"title"`

	// Needs are the fields that a record of the type must have, beside its values: until,
	// at, end, stream, device, item.
	Needs []string `yaml:"needs,omitempty" json:"needs,omitempty"`

	// Kinds are the kinds of device that it can be about; any if there are none.
	Kinds []string `yaml:"kinds,omitempty" json:"kinds,omitempty"`

	Values []RecordValue `yaml:"values,omitempty" json:"values,omitempty"`
	Texts  []RecordText  `yaml:"texts,omitempty" json:"texts,omitempty"`

	// Unique are the texts that no two records of the type in force in a community have in
	// common, such as the number of a ticket.
	Unique []string `yaml:"unique,omitempty" json:"unique,omitempty"`

	// Open says that a record can have values of other names, too.
	Open bool `yaml:"open,omitempty" json:"open,omitempty"`

	// Checks are expressions over the values that must be true.
	Checks []string `yaml:"checks,omitempty" json:"checks,omitempty"`
}

// RecordValue is a number that records of a type have.
type RecordValue struct {
	Name     string   `yaml:"name" json:"name" jsonschema:"pattern=^[a-z][a-z0-9_]*$"`
	Title    Text     `yaml:"title" json:"title"`
	Min      *float64 `yaml:"min,omitempty" json:"min,omitempty"`
	Max      *float64 `yaml:"max,omitempty" json:"max,omitempty"`
	Optional bool     `yaml:"optional,omitempty" json:"optional,omitempty"` // 0 in expressions where it is missing
}

// RecordText is a text that records of a type have.
type RecordText struct {
	Name     string `yaml:"name" json:"name" jsonschema:"pattern=^[a-z][a-z0-9_]*$"`
	Title    Text   `yaml:"title" json:"title"`
	Optional bool   `yaml:"optional,omitempty" json:"optional,omitempty"`

	// OneOf are the words that it can be; empty means any text.
	OneOf []string `yaml:"one_of,omitempty" json:"one_of,omitempty"`
}

// Last returns the last day that the record speaks of.
func (r *Record) Last() Date {
	if r.Until != nil {
		return *r.Until
	}
	return r.Date
}

// InForce returns the records that no other of them replaces or withdraws, in their order.
func InForce(records []Record) []Record {
	replaced := map[string]bool{}
	for i := range records {
		if id := records[i].Replaces; id != "" {
			replaced[id] = true
		}
	}
	var kept []Record
	for _, r := range records {
		if !replaced[r.ID] && !r.Withdraws {
			kept = append(kept, r)
		}
	}
	return kept
}

// MeterReplaced is the type of a record that declares that a device's meter was replaced
// at At: Values has for each of its registers what the old one showed in the end and the
// new one in the beginning, as <quantity>_end and <quantity>_start.
const MeterReplaced = "meter_replaced"

// LampsChanged is the type of a record that declares that a lighting circuit has another
// number of lamps from its date on: Device, and the value lamps.
const LampsChanged = "lamps_changed"

// CompositionAudit is the type of a record that says which part of a stream's mass
// is recyclable: Values has recyclable_ratio (0–1) and sample_kg.
const CompositionAudit = "composition_audit"

// Judgement is the type of a record by which a person gives points to an item of a scheme:
// Item, and the value [Points].
const Judgement = "judgement"

// Met is the value of a record that attests a condition of a scheme's item: 1 if it is
// met, 0 if not. Of an item with faults, 1 alone says that none was found; otherwise
// Values has how often each fault was found, by its ID.
const Met = "met"

// Points is the value of a judgement: the points that it gives, at most those of the item.
const Points = "points"
