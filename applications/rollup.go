package applications

import (
	"maps"
	"slices"

	"greentally"
)

// Targets are how many titles of a level are to be given in a year, by year and level.
type Targets map[int]map[greentally.TitleLevel]int

// Roll counts. communities are those that are known, beside those that have applied.
func Roll(all []greentally.Application, communities []string, on greentally.Date, targets Targets) greentally.Rollup {
	levels := greentally.TitleLevels()
	r := greentally.Rollup{On: on, Titled: map[greentally.TitleLevel]int{}, Named: map[greentally.TitleLevel]int{}, Targets: map[greentally.TitleLevel]int{}, Stages: map[greentally.Stage]int{}}
	for _, level := range levels {
		r.Titled[level], r.Named[level] = 0, 0
	}
	maps.Copy(r.Targets, targets[on.Year])
	none := len(levels)
	given := map[string]bool{}  // in the year: community and level
	highest := map[string]int{} // by community: place in the levels, the highest is 0
	for _, c := range communities {
		highest[c] = none
	}
	for i := range all {
		a := &all[i]
		stage := at(a, on)
		if stage == "" {
			continue
		}
		if Open(stage) {
			r.Stages[stage]++
		}
		if _, known := highest[a.Community]; !known {
			highest[a.Community] = none
		}
		if stage != greentally.StageNamed {
			continue
		}
		if name := a.Community + " " + string(a.Level); a.Named.Year == on.Year && !given[name] {
			given[name] = true
			r.Named[a.Level]++
		}
		if a.Until == nil || !a.Until.Before(on) {
			highest[a.Community] = min(highest[a.Community], slices.Index(levels, a.Level))
		}
	}
	r.Communities = len(highest)
	for _, level := range highest {
		if level == none {
			r.Untitled++
		} else {
			r.Titled[levels[level]]++
		}
	}
	return r
}

// at is the stage that an application had on a day.
func at(a *greentally.Application, on greentally.Date) (stage greentally.Stage) {
	for i := range a.Steps {
		if !on.Before(a.Steps[i].On) {
			stage = a.Steps[i].To
		}
	}
	return stage
}
