package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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

func (p *program) recordCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "record",
		Short: "What people attest: add, import, list and withdraw records",
		Long: `Some rates need what no sensor can tell. The recyclable capture rate, for one, needs
composition audits: which part of a stream's mass, in a sample, was recyclable.
Records are only ever added: a correction names the record that it replaces, and what was
handed in by mistake is withdrawn. What is in force already is not taken a second time.
What a record of each type must say: greentally record types.`,
	}
	group(cmd)
	c := p.clientFlags(cmd)
	cmd.AddCommand(p.recordAddCommand(c), p.recordImportCommand(c), p.recordTemplateCommand(), p.recordListCommand(c), p.recordGetCommand(c),
		p.recordWithdrawCommand(c), p.recordAttachmentCommand(c), p.recordTypesCommand())
	return cmd
}

// recordsPath is where the API has a community's records.
func recordsPath(community string) string {
	return "/api/v1/communities/" + url.PathEscape(community) + "/records"
}

func attachmentsPath(community string) string {
	return "/api/v1/communities/" + url.PathEscape(community) + "/attachments"
}

func (p *program) recordGetCommand(c *client) *cobra.Command {
	var community string
	cmd := &cobra.Command{
		Use: "get ID", Short: "Show one record as JSON", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var r greentally.Record
			if err := c.call(cmd.Context(), http.MethodGet, recordsPath(community)+"/"+url.PathEscape(args[0]), nil, &r); err != nil {
				return err
			}
			return writeJSON(p.out, r)
		},
	}
	cmd.Flags().StringVar(&community, "community", "", "the community")
	_ = cmd.MarkFlagRequired("community") // fails only for an unknown flag
	return cmd
}

func (p *program) recordWithdrawCommand(c *client) *cobra.Command {
	var community, by, why string
	cmd := &cobra.Command{
		Use: "withdraw ID", Short: "Withdraw a record that was handed in by mistake", Args: cobra.ExactArgs(1),
		Long: `Withdraws a record that should never have been handed in: it no longer counts, and what
rests on it is computed again. Both stay in the log, with who withdrew it and why. What is
only wrong is better corrected: add a record that names it in "replaces".`,
		Example: `  greentally record withdraw 01M6B5CJM09SP12NE0CF8KSVPC --community jiayuan --by 李娜 --why 重复登记`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var mistaken, added greentally.Record
			if err := c.call(cmd.Context(), http.MethodGet, recordsPath(community)+"/"+url.PathEscape(args[0]), nil, &mistaken); err != nil {
				return err
			}
			r := greentally.Record{Community: community, Type: mistaken.Type, Date: mistaken.Date, By: by, Why: why, Replaces: mistaken.ID, Withdraws: true}
			if err := c.call(cmd.Context(), http.MethodPost, recordsPath(community), r, &added); err != nil {
				return err
			}
			_, err := fmt.Fprintln(p.out, added.ID)
			return err
		},
	}
	cmd.Flags().StringVar(&community, "community", "", "the community")
	cmd.Flags().StringVar(&by, "by", "", "who withdraws it")
	cmd.Flags().StringVar(&why, "why", "", "the reason")
	for _, name := range []string{"community", "by", "why"} {
		_ = cmd.MarkFlagRequired(name) // fails only for an unknown flag
	}
	return cmd
}

func (p *program) recordAttachmentCommand(c *client) *cobra.Command {
	var community, out string
	cmd := &cobra.Command{
		Use: "attachment SHA256", Short: "Fetch a photo or document that a record has attached", Args: cobra.ExactArgs(1),
		Example: `  greentally record attachment 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 --community jiayuan --out photo.jpg`,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), transferTime)
			defer cancel()
			own, content, err := c.file(ctx, attachmentsPath(community)+"/"+url.PathEscape(args[0]))
			if err != nil {
				return err
			}
			if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != args[0] {
				return errors.New("what the server sent has another hash; try again")
			}
			if out == "-" {
				_, err := p.data.Write(content)
				return err
			}
			name, mode := out, os.O_TRUNC
			if name == "" { // nobody has said that a file of that name may go
				if name, mode = own, os.O_EXCL; name == "" {
					return errors.New("the server tells no name for it; give one with --out")
				}
			}
			file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|mode, 0o644)
			if err != nil {
				return fmt.Errorf("--out: %w", err)
			}
			if _, err := file.Write(content); err != nil {
				return errors.Join(err, file.Close())
			}
			if err := file.Close(); err != nil {
				return err
			}
			_, err = fmt.Fprintln(p.out, name)
			return err
		},
	}
	cmd.Flags().StringVar(&community, "community", "", "the community")
	cmd.Flags().StringVar(&out, "out", "", "file to write; - is standard output (default: its own name, if there is no such file yet)")
	_ = cmd.MarkFlagRequired("community") // fails only for an unknown flag
	return cmd
}

func (p *program) recordTypesCommand() *cobra.Command {
	return &cobra.Command{
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
}

// named writes the name of what a record has, in brackets if it may be missing.
func named(name string, optional bool) string {
	if optional {
		return "[" + name + "]"
	}
	return name
}
