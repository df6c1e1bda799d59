package main

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"greentally"
	"greentally/records"
)

func (p *program) recordListCommand(c *client) *cobra.Command {
	var community, from, to, kind, format string
	var all bool
	cmd := &cobra.Command{
		Use: "list", Short: "List a community's records", Args: cobra.NoArgs,
		Long: `Lists a community's records by when they were handed in: those in force, or with --all those
too that were replaced or withdrawn, and those that withdraw. CSV can be imported again;
there, attachments are named by their hashes.`,
		Example: `  greentally record list --community jiayuan --from 2026-10-01 --to 2026-10-31
  greentally record list --community jiayuan --type haul_ticket --format csv > tickets.csv`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := oneOf("format", format, "table", "json", "csv"); err != nil {
				return err
			}
			first, last, err := bounds(from, to)
			if err != nil {
				return err
			}
			// All are asked for, since what replaces a record can be of another day.
			var known []greentally.Record
			if err := c.call(cmd.Context(), http.MethodGet, recordsPath(community), nil, &known); err != nil {
				return err
			}
			fate := fates(known)
			shown := slices.DeleteFunc(known, func(r greentally.Record) bool {
				return r.Date.Before(first) || last != (greentally.Date{}) && last.Before(r.Date) || kind != "" && r.Type != kind || !all && fate[r.ID] != ""
			})
			switch format {
			case "json":
				return writeJSON(p.out, shown)
			case "csv":
				for i := range shown {
					if !all {
						shown[i].Replaces = "" // what it replaces is not in the table
					}
				}
				return records.WriteCSV(p.data, shown, func(r greentally.Record) string { return fate[r.ID] })
			}
			t := newTable(p.out)
			header := table.Row{"ID", "date", "type", "of", "says", "attachments", "by", "why"}
			if all {
				header = append(header, "status")
			}
			t.AppendHeader(header)
			for _, r := range shown {
				row := table.Row{r.ID, days(r), r.Type, strings.Join(nonEmpty(string(r.Stream), r.Device, r.Item), " "), sayings(r), attachmentNames(r), r.Signed(), shorten(r.Why, 60)}
				if all {
					row = append(row, fate[r.ID])
				}
				t.AppendRow(row)
			}
			t.Render()
			return nil
		},
	}
	cmd.Flags().StringVar(&community, "community", "", "the community")
	cmd.Flags().StringVar(&from, "from", "", "first day, such as 2026-10-01 (default: no bound)")
	cmd.Flags().StringVar(&to, "to", "", "last day, such as 2026-10-31 (default: no bound)")
	cmd.Flags().StringVar(&kind, "type", "", "only records of this type")
	cmd.Flags().StringVar(&format, "format", "table", "table, json or csv")
	cmd.Flags().BoolVar(&all, "all", false, "those that are no longer in force, too")
	_ = cmd.MarkFlagRequired("community") // fails only for an unknown flag
	return cmd
}

// bounds reads the flags from and to; what is empty is no bound.
func bounds(from, to string) (first, last greentally.Date, err error) {
	if from != "" {
		if first, err = greentally.ParseDate(from); err != nil {
			return first, last, fmt.Errorf("--from: %w", err)
		}
	}
	if to != "" {
		if last, err = greentally.ParseDate(to); err != nil {
			return first, last, fmt.Errorf("--to: %w", err)
		}
		if last.Before(first) {
			return first, last, errors.New("--from is after --to")
		}
	}
	return first, last, nil
}

// fates says what became of the records that are not in force.
func fates(all []greentally.Record) map[string]string {
	fate := map[string]string{}
	for _, r := range all {
		switch {
		case r.Withdraws:
			fate[r.Replaces], fate[r.ID] = "withdrawn by "+r.ID, "withdraws "+r.Replaces
		case r.Replaces != "":
			fate[r.Replaces] = "replaced by " + r.ID
		}
	}
	return fate
}

func days(r greentally.Record) string {
	if r.Until != nil {
		return r.Date.String() + " – " + r.Until.String()
	}
	return r.Date.String()
}

func nonEmpty(words ...string) []string {
	return slices.DeleteFunc(words, func(word string) bool { return word == "" })
}

// sayings writes a record's values and texts, by name.
func sayings(r greentally.Record) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(r.Values)) {
		all = append(all, name+"="+strconv.FormatFloat(r.Values[name], 'f', -1, 64))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Texts)) {
		all = append(all, name+"="+shorten(r.Texts[name], 60))
	}
	return strings.Join(all, " ")
}

func attachmentNames(r greentally.Record) string {
	var all []string
	for _, a := range r.Attachments {
		all = append(all, a.Name)
	}
	return strings.Join(all, ", ")
}
