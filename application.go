package greentally

import "time"

// Application is a community's application for a title under a certification scheme
// (申报 → 调研 → 验收 → 命名), with the figures of one month. It is what its steps say, in
// their order.
type Application struct {
	ID        string `json:"id"` // ULID
	Community string `json:"community"`
	Scheme    string `json:"scheme,omitempty"` // empty for a title that was given before there were figures
	Month     Month  `json:"month,omitzero"`

	Stage Stage      `json:"stage"`
	Level TitleLevel `json:"level,omitempty"` // of the title, once it is named
	Named *Date      `json:"named,omitempty"` // first day of the title
	Until *Date      `json:"until,omitempty"` // last day of the title; nil if it has no end

	// Submission is what was handed in; nil before that, and again after it was returned.
	Submission *Submission `json:"submission,omitempty"`
	Steps      []Step      `json:"steps"`
}

// Stage is how far an application has come.
type Stage string

// The stages.
const (
	StageDraft     Stage = "draft"
	StageSubmitted Stage = "submitted" // the figures are frozen
	StageSurveyed  Stage = "surveyed"
	StageAccepted  Stage = "accepted"
	StageNamed     Stage = "named"
	StageRejected  Stage = "rejected"
	StageWithdrawn Stage = "withdrawn" // by the community
	StageRevoked   Stage = "revoked"   // the title was taken away
)

// Title returns what the stage is called; its code if it is none of these.
func (s Stage) Title() Text {
	switch s {
	case StageDraft:
		return Text{"草稿", "draft"}
	case StageSubmitted:
		return Text{"已申报", "submitted"}
	case StageSurveyed:
		return Text{"已调研", "surveyed"}
	case StageAccepted:
		return Text{"已验收", "accepted"}
	case StageNamed:
		return Text{"已命名", "named"}
	case StageRejected:
		return Text{"未通过", "rejected"}
	case StageWithdrawn:
		return Text{"已撤回", "withdrawn"}
	case StageRevoked:
		return Text{"已撤销", "revoked"}
	}
	return Text{string(s), string(s)}
}

// ByAuthority reports whether a step to the stage is for those who judge the application: what the
// community itself does is to draft it, the first step, to submit and to withdraw it.
func (s Stage) ByAuthority(first bool) bool {
	switch s {
	case StageDraft:
		return !first // it is returned
	case StageSubmitted, StageWithdrawn:
		return false
	}
	return true
}

// TitleLevel is who gave a title.
type TitleLevel string

// The levels.
const (
	District TitleLevel = "district"
	City     TitleLevel = "city"
	National TitleLevel = "national"
)

// Title returns what the level is called; its code if it is none of these.
func (l TitleLevel) Title() Text {
	switch l {
	case District:
		return Text{"区县级", "district"}
	case City:
		return Text{"市级", "city"}
	case National:
		return Text{"国家级", "national"}
	}
	return Text{string(l), string(l)}
}

// TitleLevels returns all levels, the highest first.
func TitleLevels() []TitleLevel { return []TitleLevel{National, City, District} }

// Step is one thing that was done to an application: the trail that an auditor follows.
type Step struct {
	Application string    `json:"application"` // ID
	To          Stage     `json:"to"`
	On          Date      `json:"on,omitzero"`       // the day on which it was done
	By          string    `json:"by"`                // who did it, as is said
	Account     string    `json:"account,omitempty"` // who handed it in: a user's name, or token: and a token's; empty in what is old, or if there were no users
	Why         string    `json:"why,omitempty"`     // reason, or the document's number
	Recorded    time.Time `json:"recorded"`          // when it was handed in

	// Of the first step.
	Community string `json:"community,omitempty"`
	Scheme    string `json:"scheme,omitempty"`
	Month     Month  `json:"month,omitzero"`

	// Of a step to StageNamed.
	Level TitleLevel `json:"level,omitempty"`
	Until *Date      `json:"until,omitempty"`

	// Of a step to StageSubmitted.
	Submission *Submission `json:"submission,omitempty"`
}

// Signed is who did it, and by which account if that says more.
func (s Step) Signed() string { return signed(s.By, s.Account) }

// signed is a name as it was said, and the account that said so.
func signed(by, account string) string {
	if account == "" || account == by {
		return by
	}
	return by + " (" + account + ")"
}

// Submission is what was handed in with an application, and does not change any more.
type Submission struct {
	Bundle string    `json:"bundle"` // SHA-256 of the evidence bundle, in hexadecimal
	Bytes  int64     `json:"bytes"`  // its size
	At     time.Time `json:"at"`     // when its figures were computed
}

// Revision is a figure that would be another one if it was computed now, because of what came
// after it was handed in.
type Revision struct {
	Of   string `json:"of"`   // indicator, item or assessment
	Name string `json:"name"` // its ID
	What string `json:"what"` // such as value, verdict, points, level
	Old  string `json:"old"`  // empty where there was none
	New  string `json:"new"`

	Title Text `json:"title"`
}

// WhatTitle returns what it is that has become another figure; its code if it is none of those that are compared.
func (r Revision) WhatTitle() Text {
	switch r.What {
	case "value":
		return Text{"数值", "value"}
	case "numerator":
		return Text{"分子", "numerator"}
	case "denominator":
		return Text{"分母", "denominator"}
	case "completeness":
		return Text{"完整度", "completeness"}
	case "verdict":
		return Text{"结论", "verdict"}
	case "at_least_points":
		return Text{"确定得分", "certain points"}
	case "at_most_points":
		return Text{"可能得分", "possible points"}
	case "level":
		return Text{"等级", "level"}
	}
	return Text{r.What, r.What}
}

// NoApplication is the error for an application that is not there; it is [fs.ErrNotExist].
func NoApplication(id string) error {
	return Missingf("没有申报 %q", "there is no application %q", id)
}

// Rollup is how a city's or district's communities stand on a day, as its office reports them.
type Rollup struct {
	On          Date `json:"on"`
	Communities int  `json:"communities"` // that there are

	// Titled counts the communities that have a title in force, each by its highest, and
	// Untitled those without.
	Titled   map[TitleLevel]int `json:"titled"`
	Untitled int                `json:"untitled"`

	// Named counts the communities to which a title of the level was given in the year, up to
	// the day; Targets says how many there should be, where anybody said.
	Named   map[TitleLevel]int `json:"named"`
	Targets map[TitleLevel]int `json:"targets"`

	// Stages counts the applications that are on their way.
	Stages map[Stage]int `json:"stages"`
}

// KeptExport is the export of a month that was made by schedule.
type KeptExport struct {
	Month  Month     `json:"month"`
	Made   time.Time `json:"made"`
	Bundle string    `json:"bundle"` // SHA-256
	Bytes  int64     `json:"bytes"`
	Mailed []string  `json:"mailed"` // to whom

	// Refused are those whose mail the server refused for good.
	Refused []string `json:"refused,omitempty"`
}
