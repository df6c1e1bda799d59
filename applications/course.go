package applications

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"greentally"
)

// ErrRefused is wrapped by the errors of steps that may not be taken.
var ErrRefused = greentally.TextErrorf("不能登记", "refused")

// course says what may follow on each stage; an application begins with what may follow on
// none.
func course() map[greentally.Stage][]greentally.Stage {
	const (
		draft, submitted, surveyed, accepted = greentally.StageDraft, greentally.StageSubmitted, greentally.StageSurveyed, greentally.StageAccepted
		named, rejected, withdrawn, revoked  = greentally.StageNamed, greentally.StageRejected, greentally.StageWithdrawn, greentally.StageRevoked
	)
	return map[greentally.Stage][]greentally.Stage{
		"":        {draft, named}, // a title can be older than the program
		draft:     {submitted, withdrawn},
		submitted: {surveyed, draft, rejected, withdrawn}, // back to a draft: returned
		surveyed:  {accepted, draft, rejected, withdrawn},
		accepted:  {named, rejected},
		named:     {revoked},
		rejected:  {},
		withdrawn: {},
		revoked:   {},
	}
}

// How long a step's name and reason can be, in characters.
const (
	mostName = 200
	mostWhy  = 2000
)

// Open reports whether more is to come of an application at the stage before there is a title
// or none.
func Open(s greentally.Stage) bool {
	return slices.Contains([]greentally.Stage{greentally.StageDraft, greentally.StageSubmitted, greentally.StageSurveyed, greentally.StageAccepted}, s)
}

// Next returns the stages that may follow.
func Next(s greentally.Stage) []greentally.Stage { return course()[s] }

// Take returns the application after the step. The error wraps [ErrRefused] and says why the
// step may not be taken.
func Take(a greentally.Application, s greentally.Step) (greentally.Application, error) {
	if err := may(&a, &s); err != nil {
		return a, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return after(a, s), nil
}

// after is the application after a step that was taken.
func after(a greentally.Application, s greentally.Step) greentally.Application {
	if a.Stage == "" {
		a.ID, a.Community, a.Scheme, a.Month = s.Application, s.Community, s.Scheme, s.Month
	}
	switch s.To {
	case greentally.StageDraft:
		a.Submission = nil
	case greentally.StageSubmitted:
		a.Submission = s.Submission
	case greentally.StageNamed:
		on := s.On
		a.Level, a.Named, a.Until = s.Level, &on, s.Until
	}
	a.Stage = s.To
	a.Steps = append(slices.Clip(a.Steps), s)
	return a
}

// may returns why the step may not be taken.
func may(a *greentally.Application, s *greentally.Step) error {
	var all []error
	add := func(wrong bool, zh, en string, args ...any) {
		if wrong {
			all = append(all, greentally.TextErrorf(zh, en, args...))
		}
	}
	for _, text := range []struct {
		zh, en, text string
		most         int
	}{{"经办人", "by", s.By, mostName}, {"说明", "why", s.Why, mostWhy}, {"社区", "community", s.Community, mostName}, {"评价标准", "scheme", s.Scheme, mostName},
		{"阶段", "to", string(s.To), mostName}, {"级别", "level", string(s.Level), mostName}} {
		if err := greentally.CheckText(greentally.Text{ZH: text.zh, EN: text.en}, text.text, text.most, text.en == "why"); err != nil {
			all = append(all, err)
		}
	}
	if len(all) > 0 {
		return errors.Join(all...)
	}
	next := Next(a.Stage)
	first := a.Stage == ""
	switch {
	case slices.Contains(next, s.To):
	case first:
		return greentally.TextErrorf("申报从%s开始，不能从%s开始", "an application begins as a %s, not as %s", listed(next), s.To.Title())
	case len(next) == 0:
		return greentally.TextErrorf("申报%s，流程已经结束", "the application is %s, and nothing comes after that", a.Stage.Title())
	default:
		return greentally.TextErrorf("申报目前为%s，下一步可以是%s，不能是%s", "the application is %s; what can follow is %s, not %s", a.Stage.Title(), listed(next), s.To.Title())
	}
	add(strings.TrimSpace(s.By) == "", "请填写经办人", "say by whom it is done")
	add(s.On == greentally.Date{}, "请填写日期", "say on which day it is done")
	if n := len(a.Steps); n > 0 {
		add(s.On.Before(a.Steps[n-1].On), "日期不能是 %s：上一步在 %s", "it cannot be done on %s: the step before was on %s", s.On, a.Steps[n-1].On)
	}
	back := s.To == greentally.StageDraft && !first
	ends := slices.Contains([]greentally.Stage{greentally.StageRejected, greentally.StageWithdrawn, greentally.StageRevoked}, s.To)
	as := s.To.Title()
	if back {
		as = greentally.Text{ZH: "退回", EN: "returned"}
	}
	add((back || ends) && strings.TrimSpace(s.Why) == "", "请填写“%s”的原因", "say why it is %s", as)
	add(first && s.Community == "", "请填写社区", "say which community")
	add(!first && (s.Community != "" || s.Scheme != "" || s.Month != greentally.Month{}), "社区、评价标准和月份以第一步为准，不能再填", "community, scheme and month are those of the first step")
	add(s.To == greentally.StageDraft && first && s.Scheme == "", "请选择评价标准", "say by which scheme")
	add(s.To == greentally.StageDraft && first && s.Month == greentally.Month{}, "请填写用哪个月的数据", "say by the figures of which month")
	add(s.To == greentally.StageSubmitted && s.On.Before(a.Month.Next().First()), "%[2]s 时 %[1]s 还没有结束，数据尚未定稿", "%s was not over on %s, so its figures were not final", a.Month, s.On)
	add((s.To == greentally.StageSubmitted) != (s.Submission != nil), "只有提交申报时才固定数据", "what is frozen belongs to a submission")
	named := s.To == greentally.StageNamed
	add(named && !slices.Contains(greentally.TitleLevels(), s.Level), "称号级别 %q 不是%s", "level %q is none of %s", s.Level, listed(greentally.TitleLevels()))
	add(!named && (s.Level != "" || s.Until != nil), "只有命名时才填级别和有效期", "level and last day belong to a title")
	add(s.Until != nil && s.Until.Before(s.On), "%s 命名的称号不能到 %s 为止", "a title of %s cannot end on %s", s.On, s.Until)
	add(first && named && strings.TrimSpace(s.Why) == "", "请填写命名文件的文号", "say which document gave the title")
	add(first && named && (s.Scheme != "" || s.Month != greentally.Month{}), "以前获得的称号不填评价标准和月份", "a title of before has neither scheme nor month")
	return errors.Join(all...)
}

func listed[T interface{ Title() greentally.Text }](all []T) greentally.Text {
	titles := make([]greentally.Text, len(all))
	for i, one := range all {
		titles[i] = one.Title()
	}
	return greentally.JoinTexts(titles, "、", ", ")
}
