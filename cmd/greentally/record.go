package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"greentally"
)

func (p *program) recordCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "record",
		Short: "What people attest: add and list records",
		Long: `Some rates need what no sensor can tell. The recyclable capture rate, for one, needs
composition audits: which part of a stream's mass, in a sample, was recyclable.
Records are only ever added; a correction names the record that it replaces. What a
record of each type must say: greentally record types.`,
	}
	group(cmd)
	c := p.clientFlags(cmd)

	add := &cobra.Command{
		Use:   "add FILE",
		Short: "Add records from a JSON file (an object, several, or a list); - is standard input",
		Long: `Adds records from a JSON file: an object, several, or a list. - is standard input.

A record that is evidence for an item of a certification scheme (an inspection, a document,
a judgement) names it in "item" as scheme/item, such as neimenggu/archive. Its "values" are:

  for an item that is met or not       "met": 1 or 0
  for an item that loses points        how often each fault was found, by the fault's ID:
                                       "incomplete": 2; or "met": 1 alone if there was none
  for an item that a person judges     "points"

Which items a scheme has: greentally assess --scheme. What an item does not take is
refused, with what there is.`,
		Example: `  echo '{"community": "jiayuan", "type": "composition_audit", "date": "2026-10-08",
    "stream": "residual", "by": "Li Na", "values": {"recyclable_ratio": 0.021, "sample_kg": 120}}' | greentally record add -
  echo '{"community": "jiayuan", "type": "inspection", "date": "2026-10-09", "item": "neimenggu/archive",
    "by": "Li Na", "values": {"incomplete": 2}}' | greentally record add -`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := readFile(cmd, args[0])
			if err != nil {
				return err
			}
			records, err := parseRecords(data)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			for i, r := range records {
				var missing string
				switch {
				case r.Community == "":
					missing = "community"
				case r.Date == (greentally.Date{}):
					missing = "date"
				default:
					continue
				}
				return fmt.Errorf("%s: record %d of %d: %s is missing; nothing was added", args[0], i+1, len(records), missing)
			}
			for i, r := range records {
				var added greentally.Record
				if err := c.call(cmd.Context(), http.MethodPost, "/api/v1/communities/"+url.PathEscape(r.Community)+"/records", r, &added); err != nil {
					return fmt.Errorf("record %d of %d (those before were added): %w", i+1, len(records), err)
				}
				if _, err := fmt.Fprintln(p.out, added.ID); err != nil {
					return err
				}
			}
			return nil
		},
	}

	types := &cobra.Command{
		Use: "types", Short: "List the types of records, and what each must say", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			config, err := loadConfig(p.configFile, p.environment)
			if err != nil {
				return err
			}
			all, err := openRecordTypes(config)
			if err != nil {
				return err
			}
			t := newTable(p.out)
			t.AppendHeader(table.Row{"type", "类型", "title", "needs", "values", "texts"})
			for _, one := range all.All() {
				var values, texts []string
				for _, v := range one.Values {
					values = append(values, named(v.Name, v.Optional))
				}
				if one.Open {
					values = append(values, "…")
				}
				for _, text := range one.Texts {
					texts = append(texts, named(text.Name, text.Optional))
				}
				t.AppendRow(table.Row{one.Name, one.Title.ZH, one.Title.EN, strings.Join(one.Needs, " "), strings.Join(values, " "), strings.Join(texts, " ")})
			}
			t.Render()
			return nil
		},
	}

	var community, from, to string
	list := &cobra.Command{
		Use: "list", Short: "List a community's records", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var records []greentally.Record
			path := "/api/v1/communities/" + url.PathEscape(community) + "/records?" + url.Values{"from": {from}, "to": {to}}.Encode()
			if err := c.call(cmd.Context(), http.MethodGet, path, nil, &records); err != nil {
				return err
			}
			t := newTable(p.out)
			t.AppendHeader(table.Row{"ID", "date", "type", "stream", "values", "by", "why", "replaces"})
			for _, r := range records {
				values, err := json.Marshal(r.Values)
				if err != nil {
					return err
				}
				t.AppendRow(table.Row{r.ID, r.Date, r.Type, r.Stream, string(values), r.By, r.Why, r.Replaces})
			}
			t.Render()
			return nil
		},
	}
	list.Flags().StringVar(&community, "community", "", "the community")
	list.Flags().StringVar(&from, "from", "", "first day, such as 2026-10-01")
	list.Flags().StringVar(&to, "to", "", "last day, such as 2026-10-31")
	for _, name := range []string{"community", "from", "to"} {
		_ = list.MarkFlagRequired(name) // fails only for an unknown flag
	}
	cmd.AddCommand(add, list, types)
	return cmd
}

// named writes the name of what a record has, in brackets if it may be missing.
func named(name string, optional bool) string {
	if optional {
		return "[" + name + "]"
	}
	return name
}

// parseRecords reads a list of records, or one record after another.
func parseRecords(data []byte) ([]greentally.Record, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	var records []greentally.Record
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '[' {
		if err := decoder.Decode(&records); err != nil {
			return nil, err
		}
		if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
			return nil, errors.New("there is more after the list; put all records into it")
		}
		return records, nil
	}
	for {
		var r greentally.Record
		switch err := decoder.Decode(&r); {
		case errors.Is(err, io.EOF) && len(records) > 0:
			return records, nil
		case errors.Is(err, io.EOF):
			return nil, errors.New("no records in it")
		case err != nil:
			return nil, err
		}
		records = append(records, r)
	}
}
