package applications_test

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"greentally"
	"greentally/applications"
)

var september = greentally.Month{Year: 2026, Month: time.September}

func on(month time.Month, day int) greentally.Date {
	return greentally.Date{Year: 2026, Month: month, Day: day}
}

// step is one that lacks nothing.
func step(to greentally.Stage, date greentally.Date) greentally.Step {
	s := greentally.Step{Application: "01A", To: to, On: date, By: "李娜", Why: "沪环〔2026〕7号"}
	switch to {
	case greentally.StageNamed:
		s.Level = greentally.City
	case greentally.StageSubmitted:
		s.Submission = &greentally.Submission{Bundle: "ab", Bytes: 2}
	}
	return s
}

func draft(date greentally.Date) greentally.Step {
	s := step(greentally.StageDraft, date)
	s.Community, s.Scheme, s.Month = "jiayuan", "neimenggu", september
	return s
}

// after takes the steps that lead to a stage.
func after(t *testing.T, stages ...greentally.Stage) greentally.Application {
	t.Helper()
	var a greentally.Application
	for i, stage := range stages {
		s := step(stage, on(time.October, 1+i))
		if i == 0 && stage == greentally.StageDraft {
			s = draft(s.On)
		}
		var err error
		if a, err = applications.Take(a, s); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

func TestCourse(t *testing.T) {
	a := after(t, greentally.StageDraft, greentally.StageSubmitted, greentally.StageSurveyed, greentally.StageAccepted, greentally.StageNamed)
	if a.Stage != greentally.StageNamed || a.Level != greentally.City || *a.Named != on(time.October, 5) || a.Community != "jiayuan" || a.Submission == nil || len(a.Steps) != 5 {
		t.Errorf("the application is %+v", a)
	}
	returned := after(t, greentally.StageDraft, greentally.StageSubmitted, greentally.StageSurveyed, greentally.StageDraft)
	if returned.Stage != greentally.StageDraft || returned.Submission != nil {
		t.Errorf("after it was returned: %+v", returned)
	}
}

// What a Chinese sentence has none of, and where it may have it.
var latin, quoted = regexp.MustCompile(`[A-Za-z!]`), regexp.MustCompile(`"[^"]*"`)

func TestRefused(t *testing.T) {
	const d, sub, sur, acc, nam = greentally.StageDraft, greentally.StageSubmitted, greentally.StageSurveyed, greentally.StageAccepted, greentally.StageNamed
	late := on(time.December, 1)
	tests := []struct {
		name   string
		before []greentally.Stage
		step   greentally.Step
		change func(*greentally.Step)
		want   string
	}{
		{"from the end", nil, step(acc, late), nil, "an application begins as a draft, named, not as accepted"},
		{"a jump", []greentally.Stage{d}, step(acc, late), nil, "the application is draft; what can follow is submitted, withdrawn, not accepted"},
		{"named at once", []greentally.Stage{d, sub}, step(nam, late), nil, "what can follow is surveyed, draft, rejected, withdrawn, not named"},
		{"the same again", []greentally.Stage{d, sub}, step(sub, late), nil, "not submitted"},
		{"after the end", []greentally.Stage{d, sub, greentally.StageRejected}, step(sur, late), nil, "rejected, and nothing comes after that"},
		{"by nobody", []greentally.Stage{d, sub}, step(sur, late), func(s *greentally.Step) { s.By = " " }, "say by whom"},
		{"by too long a name", []greentally.Stage{d, sub}, step(sur, late), func(s *greentally.Step) { s.By = strings.Repeat("x", 201) }, "by has 201 characters; the most is 200"},
		{"by a name that clears the screen", []greentally.Stage{d, sub}, step(sur, late), func(s *greentally.Step) { s.By = "Li\x1b[2J" }, "by has a character that cannot be printed"},
		{"for too long a reason", []greentally.Stage{d, sub}, step(sur, late), func(s *greentally.Step) { s.Why = strings.Repeat("x", 2001) }, "why has 2001 characters; the most is 2000"},
		{"to nowhere, at length", []greentally.Stage{d, sub}, step(greentally.Stage(strings.Repeat("x", 900_000)), late), nil, "to has 900000 characters; the most is 200"},
		{"on no day", []greentally.Stage{d, sub}, step(sur, late), func(s *greentally.Step) { s.On = greentally.Date{} }, "say on which day"},
		{"before the step before", []greentally.Stage{d, sub}, step(sur, on(time.October, 1)), nil, "it cannot be done on 2026-10-01: the step before was on 2026-10-02"},
		{"returned for no reason", []greentally.Stage{d, sub}, step(d, late), func(s *greentally.Step) { s.Why = "" }, "say why it is returned"},
		{"rejected for no reason", []greentally.Stage{d, sub}, step(greentally.StageRejected, late), func(s *greentally.Step) { s.Why = "" }, "say why it is rejected"},
		{"of no community", nil, draft(late), func(s *greentally.Step) { s.Community = "" }, "say which community"},
		{"by no scheme", nil, draft(late), func(s *greentally.Step) { s.Scheme = "" }, "say by which scheme"},
		{"of no month", nil, draft(late), func(s *greentally.Step) { s.Month = greentally.Month{} }, "figures of which month"},
		{"of another month", []greentally.Stage{d}, step(sub, late), func(s *greentally.Step) { s.Month = september }, "those of the first step"},
		{"without a bundle", []greentally.Stage{d}, step(sub, late), func(s *greentally.Step) { s.Submission = nil }, "what is frozen belongs to a submission"},
		{"a bundle with a survey", []greentally.Stage{d, sub}, step(sur, late), func(s *greentally.Step) { s.Submission = &greentally.Submission{} }, "what is frozen belongs to a submission"},
		{"of no level", []greentally.Stage{d, sub, sur, acc}, step(nam, late), func(s *greentally.Step) { s.Level = "galaxy" }, `level "galaxy" is none of national, city, district`},
		{"a level too early", []greentally.Stage{d, sub}, step(sur, late), func(s *greentally.Step) { s.Level = greentally.City }, "level and last day belong to a title"},
		{"over before it begins", []greentally.Stage{d, sub, sur, acc}, step(nam, late), func(s *greentally.Step) { e := on(time.November, 1); s.Until = &e }, "cannot end on 2026-11-01"},
		{"an old title from nowhere", nil, step(nam, late), func(s *greentally.Step) { s.Community, s.Why = "jiayuan", "" }, "which document gave the title"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var before greentally.Application
			if len(tt.before) > 0 {
				before = after(t, tt.before...)
			}
			if tt.change != nil {
				tt.change(&tt.step)
			}
			got, err := applications.Take(before, tt.step)
			if !errors.Is(err, applications.ErrRefused) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
			if zh := greentally.ErrorText(err).ZH; latin.MatchString(quoted.ReplaceAllString(zh, "")) {
				t.Errorf("in Chinese it says %s", zh)
			}
			if !reflect.DeepEqual(got, before) {
				t.Errorf("a refused step changed the application to %+v", got)
			}
		})
	}
	early := draft(on(time.September, 20))
	a, err := applications.Take(greentally.Application{}, early)
	if err == nil {
		_, err = applications.Take(a, step(greentally.StageSubmitted, on(time.September, 30)))
	}
	if err == nil || !strings.Contains(err.Error(), "2026-09 was not over on 2026-09-30") {
		t.Errorf("submitted before the month was over: %v", err)
	}
}

// TestLaws takes steps at random: what is refused changes nothing, what was taken can be taken
// again from the start and comes to the same, and days never go back.
func TestLaws(t *testing.T) {
	stages := []greentally.Stage{greentally.StageDraft, greentally.StageSubmitted, greentally.StageSurveyed, greentally.StageAccepted, greentally.StageNamed,
		greentally.StageRejected, greentally.StageWithdrawn, greentally.StageRevoked}
	rapid.Check(t, func(t *rapid.T) {
		a, err := applications.Take(greentally.Application{}, draft(on(time.October, 1)))
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(0, 12).Draw(t, "steps") {
			s := step(rapid.SampledFrom(stages).Draw(t, "to"), on(time.October, rapid.IntRange(1, 31).Draw(t, "day")))
			next, err := applications.Take(a, s)
			switch allowed := slices.Contains(applications.Next(a.Stage), s.To) && !s.On.Before(a.Steps[len(a.Steps)-1].On); {
			case allowed != (err == nil):
				t.Fatalf("%s after %s: %v", s.To, a.Stage, err)
			case err != nil && !reflect.DeepEqual(next, a):
				t.Fatalf("refused, and changed to %+v", next)
			case err == nil && (next.Submission != nil) != (next.Stage == greentally.StageSubmitted || next.Stage != greentally.StageDraft && a.Submission != nil):
				t.Fatalf("%s after %s has the submission %v", next.Stage, a.Stage, next.Submission)
			}
			a = next
		}
		var again greentally.Application
		for _, s := range a.Steps {
			if again, err = applications.Take(again, s); err != nil {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(again, a) {
			t.Fatalf("from the start it comes to %+v, not %+v", again, a)
		}
	})
}

// TestRoll counts what a city's office reports: 5 national, 27 city, 45 district, and 15 to be
// named in the year.
func TestRoll(t *testing.T) {
	var all []greentally.Application
	var communities []string
	title := func(community string, level greentally.TitleLevel, from greentally.Date, until *greentally.Date) {
		s := step(greentally.StageNamed, from)
		s.Application, s.Community, s.Level, s.Until = fmt.Sprint(len(all)), community, level, until
		a, err := applications.Take(greentally.Application{}, s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	old := greentally.Date{Year: 2024, Month: time.June, Day: 1}
	for i := range 77 {
		c := fmt.Sprintf("c%02d", i)
		communities = append(communities, c)
		title(c, greentally.District, old, nil)
		switch {
		case i < 5:
			title(c, greentally.City, old, nil)
			title(c, greentally.National, old, nil)
		case i < 5+15:
			title(c, greentally.City, old, nil)
		case i < 5+15+12:
			title(c, greentally.City, on(time.May, 4), nil)
		}
	}
	expired := greentally.Date{Year: 2026, Month: time.March, Day: 31}
	title("c80", greentally.National, old, &expired)
	all = append(all, after(t, greentally.StageDraft, greentally.StageSubmitted))
	targets := applications.Targets{2026: {greentally.City: 15}}

	got := applications.Roll(all, append(communities, "c78"), on(time.October, 20), targets)
	want := greentally.Rollup{
		On: on(time.October, 20), Communities: 80, Untitled: 3,
		Titled:  map[greentally.TitleLevel]int{greentally.National: 5, greentally.City: 27, greentally.District: 45},
		Named:   map[greentally.TitleLevel]int{greentally.National: 0, greentally.City: 12, greentally.District: 0},
		Targets: map[greentally.TitleLevel]int{greentally.City: 15},
		Stages:  map[greentally.Stage]int{greentally.StageSubmitted: 1},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("on 20 October: %+v, want %+v", got, want)
	}
	got = applications.Roll(all, communities, on(time.March, 31), targets)
	if got.Titled[greentally.City] != 15 || got.Titled[greentally.District] != 57 || got.Titled[greentally.National] != 6 || got.Named[greentally.City] != 0 || len(got.Stages) != 0 {
		t.Errorf("on 31 March: %+v", got)
	}
}
