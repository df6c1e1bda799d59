package main

import (
	"context"
	"slices"
	"time"

	"greentally"
	"greentally/devices"
	"greentally/rules"
	"greentally/rules/indicators"
	"greentally/rules/schemes"
	"greentally/web/pages"
)

// look is what pages show of a month, computed once for all who look.
type look struct {
	values    *recent[[]greentally.IndicatorValue]
	workings  *recent[[]pages.Computed]
	recovered *recent[map[greentally.Date]greentally.Amount]
}

// newLook computes by reporter. What the worker computes because something came is put in by its caller.
func newLook(reporter *rules.Worker, set *indicators.Set, store greentally.DeviceDayStore, now func() time.Time) *look {
	return &look{
		values: newRecent(5*time.Minute, now, func(ctx context.Context, community string, month greentally.Month) ([]greentally.IndicatorValue, error) {
			return reporter.Report(ctx, community, month, now())
		}),
		workings: newRecent(10*time.Second, now, func(ctx context.Context, community string, month greentally.Month) ([]pages.Computed, error) {
			evidence, err := reporter.Totals(ctx, community, month, now())
			if err != nil {
				return nil, err
			}
			values, workings := set.Workings(evidence)
			return pages.Together(values, workings), nil
		}),
		recovered: newRecent(10*time.Minute, now, func(ctx context.Context, community string, month greentally.Month) (map[greentally.Date]greentally.Amount, error) {
			days, err := store.DeviceDays(ctx, greentally.DeviceDayQuery{Community: community, From: month.First().Add(-pages.RecoveredBefore), To: month.Last(), Totals: true})
			return pages.Recovered(days), err
		}),
	}
}

// forget has what is shown of a community computed anew.
func (l *look) forget(community string) {
	l.values.forget(community)
	l.workings.forget(community)
	l.recovered.forget(community)
}

// itemsOf are the items of schemes that records can be evidence for.
func itemsOf(set *schemes.Set) (all []pages.Choice) {
	for _, s := range set.Schemes() {
		for _, item := range s.Items {
			if len(item.Evidence) > 0 || len(item.Faults) > 0 || item.Rule == schemes.Judged {
				all = append(all, pages.Choice{ID: s.Name + "/" + item.ID, Title: item.Title})
			}
		}
	}
	return all
}

// schemesOf are the schemes that can be applied by.
func schemesOf(set *schemes.Set) (all []pages.Choice) {
	for _, s := range set.Schemes() {
		all = append(all, pages.Choice{ID: s.Name, Title: s.Title})
	}
	return all
}

// profilesOf are the names of the profiles.
func profilesOf(registry *devices.Registry) (names []string) {
	for _, p := range registry.Profiles() {
		names = append(names, p.Name)
	}
	return slices.Compact(names)
}

// silence tells that something changed after it silenced.
func (up *alertsUp) silence(told func(community string)) func(context.Context, greentally.Silence) (greentally.Silence, error) {
	return func(ctx context.Context, s greentally.Silence) (greentally.Silence, error) {
		made, err := up.teller.Silence(ctx, s)
		told(s.Community)
		return made, err
	}
}

// endSilence tells that something changed after it ended a silence.
func (up *alertsUp) endSilence(told func(community string)) func(ctx context.Context, community, id string) error {
	return func(ctx context.Context, community, id string) error {
		err := up.teller.EndSilence(ctx, community, id)
		told(community)
		return err
	}
}
