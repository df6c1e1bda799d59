package main

import (
	"context"
	"slices"

	"greentally"
	"greentally/devices"
	"greentally/rules/schemes"
	"greentally/web/pages"
)

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
