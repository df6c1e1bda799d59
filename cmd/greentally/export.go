package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"greentally"
)

func (p *program) exportCommand() *cobra.Command {
	var community, month, format, language, out string
	cmd := &cobra.Command{
		Use: "export", Short: "Write a community's month to hand in: workbook, PDF, table, JSON, or the evidence bundle", Args: cobra.NoArgs,
		Long: `Writes a community's month as a workbook whose rates are formulas (xlsx), as a document to print
(pdf), as a table (csv), as JSON, or as the signed evidence bundle that has all of these with
what they rest on (zip; its documents are in Chinese), which greentally verify checks.

By itself the program makes the bundle of the month before on the first of each month
(exports.schedule), keeps it and mails it to the contacts; greentally export list lists these.`,
		Example: `  greentally export --community jiayuan --month 2026-10 --format xlsx
  greentally export --community jiayuan --month 2026-10 --format pdf --lang en --out october.pdf`,
	}
	c := p.clientFlags(cmd)
	cmd.AddCommand(p.exportList(c), p.exportKey(c))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := errors.Join(oneOf("format", format, "xlsx", "pdf", "csv", "json", "zip"), oneOf("lang", language, "zh", "en")); err != nil {
			return err
		}
		return p.fetch(cmd, c, "/api/v1/communities/"+url.PathEscape(community)+"/exports/"+url.PathEscape(month)+"?"+url.Values{"format": {format}, "lang": {language}}.Encode(), out)
	}
	cmd.Flags().StringVar(&community, "community", "", "the community")
	cmd.Flags().StringVar(&month, "month", "", "the month, such as 2026-10")
	cmd.Flags().StringVar(&format, "format", "xlsx", "xlsx, pdf, csv, json or zip")
	cmd.Flags().StringVar(&language, "lang", "zh", "language of workbook and document: zh or en")
	cmd.Flags().StringVar(&out, "out", "", "file to write (default: its own name); - is standard output")
	for _, name := range []string{"community", "month"} {
		_ = cmd.MarkFlagRequired(name)
	}
	return cmd
}

func (p *program) exportList(c *client) *cobra.Command {
	var community string
	cmd := &cobra.Command{Use: "list", Short: "List the months that were exported by schedule", Args: cobra.NoArgs}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var all []greentally.KeptExport
		if err := c.call(cmd.Context(), http.MethodGet, "/api/v1/communities/"+url.PathEscape(community)+"/exports", nil, &all); err != nil {
			return err
		}
		t := newTable(p.out)
		t.AppendHeader(table.Row{"month", "made", "bytes", "mailed to", "refused", "bundle"})
		for _, k := range all {
			t.AppendRow(table.Row{k.Month, k.Made.Format("2006-01-02 15:04:05Z"), k.Bytes, strings.Join(k.Mailed, " "), strings.Join(k.Refused, " "), k.Bundle})
		}
		t.Render()
		return nil
	}
	cmd.Flags().StringVar(&community, "community", "", "the community")
	_ = cmd.MarkFlagRequired("community")
	return cmd
}

func (p *program) exportKey(c *client) *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "Print the public key that evidence bundles are signed with", Args: cobra.NoArgs}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var answer struct{ Key string }
		if err := c.call(cmd.Context(), http.MethodGet, "/api/v1/key", nil, &answer); err != nil {
			return err
		}
		_, err := fmt.Fprintln(p.out, answer.Key)
		return err
	}
	return cmd
}

// fetch writes a file of the server.
func (p *program) fetch(cmd *cobra.Command, c *client, path, out string) error {
	name, data, err := c.file(cmd.Context(), path)
	if err != nil {
		return err
	}
	if out == "-" {
		_, err := p.data.Write(data)
		return err
	}
	if name = cmp.Or(out, name); name == "" {
		return errors.New("the server tells no name for it; give one with --out")
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.out, name)
	return err
}
