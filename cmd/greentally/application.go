package main

import (
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

// applied is an application as the API tells it.
type applied struct {
	greentally.Application
	Revisions []greentally.Revision `json:"revisions"`
}

func (p *program) applicationCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "application",
		Short: "What communities apply for: draft, submit, survey, accept, name",
		Long: `A community applies for a title under a certification scheme with the figures of a month
(申报 → 调研 → 验收 → 命名). Submitting freezes the figures in a signed evidence bundle: what comes
later does not change them, and shows as a revision. Each step is kept with who, when and why, and
a step that cannot follow is refused.`,
	}
	group(cmd)
	c := p.clientFlags(cmd)
	cmd.AddCommand(p.applicationList(c), p.applicationShow(c), p.applicationDraft(c), p.applicationTitle(c), p.applicationBundle(c), p.applicationRollup(c))
	for _, step := range []struct {
		use, short string
		to         greentally.Stage
	}{
		{"submit", "Hand a draft in: its figures are frozen (申报)", greentally.StageSubmitted},
		{"survey", "Write down that it was surveyed (调研)", greentally.StageSurveyed},
		{"accept", "Write down that it was accepted (验收)", greentally.StageAccepted},
		{"name", "Write down that the title was given (命名)", greentally.StageNamed},
		{"return", "Give it back to be mended: it is a draft again (退回)", greentally.StageDraft},
		{"reject", "Write down that it was rejected (未通过)", greentally.StageRejected},
		{"withdraw", "Take it back (撤回)", greentally.StageWithdrawn},
		{"revoke", "Write down that the title was taken away (撤销)", greentally.StageRevoked},
	} {
		cmd.AddCommand(p.applicationStep(c, step.use, step.short, step.to))
	}
	return cmd
}

// stepFlags adds the flags that every step has.
func stepFlags(cmd *cobra.Command, s *greentally.Step, on *string) {
	cmd.Flags().StringVar(&s.By, "by", "", "who does it")
	cmd.Flags().StringVar(&s.Why, "why", "", "reason, or the document's number")
	cmd.Flags().StringVar(on, "on", "", "the day on which it was done, such as 2026-11-03 (default: today)")
	_ = cmd.MarkFlagRequired("by") // fails only for an unknown flag
}

// titleFlags adds the flags of a title.
func titleFlags(cmd *cobra.Command, s *greentally.Step, until *string) {
	cmd.Flags().StringVar((*string)(&s.Level), "level", "", "district, city or national")
	cmd.Flags().StringVar(until, "until", "", "last day of the title (default: it has no end)")
	_ = cmd.MarkFlagRequired("level")
}

// stepDays reads the days of a step.
func stepDays(s *greentally.Step, on, until string) (err error) {
	if on != "" {
		if s.On, err = greentally.ParseDate(on); err != nil {
			return fmt.Errorf("--on: %w", err)
		}
	}
	if until != "" {
		date, err := greentally.ParseDate(until)
		if err != nil {
			return fmt.Errorf("--until: %w", err)
		}
		s.Until = &date
	}
	return nil
}

func (p *program) applicationStep(c *client, use, short string, to greentally.Stage) *cobra.Command {
	step := greentally.Step{To: to}
	var on, until string
	cmd := &cobra.Command{
		Use: use + " ID", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := stepDays(&step, on, until); err != nil {
				return err
			}
			return p.takeStep(cmd, c, applicationPath(args[0])+"/steps", step)
		},
	}
	stepFlags(cmd, &step, &on)
	if to == greentally.StageNamed {
		titleFlags(cmd, &step, &until)
	}
	return cmd
}

func applicationPath(id string) string { return "/api/v1/applications/" + url.PathEscape(id) }

// takeStep sends a step, and writes what the application is after it.
func (p *program) takeStep(cmd *cobra.Command, c *client, path string, step greentally.Step) error {
	var a applied
	if err := c.call(cmd.Context(), http.MethodPost, path, step, &a); err != nil {
		return err
	}
	_, err := fmt.Fprintln(p.out, a.ID, a.Stage)
	if err == nil && a.Stage == greentally.StageSubmitted {
		_, err = fmt.Fprintln(p.out, "bundle", a.Submission.Bundle)
	}
	return err
}

func (p *program) applicationDraft(c *client) *cobra.Command {
	step := greentally.Step{To: greentally.StageDraft}
	var on, month string
	cmd := &cobra.Command{
		Use: "draft", Short: "Begin an application", Args: cobra.NoArgs,
		Example: `  greentally application draft --community jiayuan --scheme neimenggu --month 2026-10 --by 李娜`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if step.Month, err = greentally.ParseMonth(month); err != nil {
				return fmt.Errorf("--month: %w", err)
			}
			if err := stepDays(&step, on, ""); err != nil {
				return err
			}
			return p.takeStep(cmd, c, "/api/v1/applications", step)
		},
	}
	stepFlags(cmd, &step, &on)
	cmd.Flags().StringVar(&step.Community, "community", "", "the community")
	cmd.Flags().StringVar(&step.Scheme, "scheme", "", "the certification scheme")
	cmd.Flags().StringVar(&month, "month", "", "the month whose figures are handed in, such as 2026-10")
	for _, name := range []string{"community", "scheme", "month"} {
		_ = cmd.MarkFlagRequired(name)
	}
	return cmd
}

func (p *program) applicationTitle(c *client) *cobra.Command {
	step := greentally.Step{To: greentally.StageNamed}
	var on, until string
	cmd := &cobra.Command{
		Use: "title", Short: "Write down a title that was given before there were figures", Args: cobra.NoArgs,
		Example: `  greentally application title --community jiayuan --level district --on 2024-06-05 --by 李娜 --why 虹环〔2024〕12号`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := stepDays(&step, on, until); err != nil {
				return err
			}
			return p.takeStep(cmd, c, "/api/v1/applications", step)
		},
	}
	stepFlags(cmd, &step, &on)
	titleFlags(cmd, &step, &until)
	cmd.Flags().StringVar(&step.Community, "community", "", "the community")
	_ = cmd.MarkFlagRequired("community")
	_ = cmd.MarkFlagRequired("why")
	return cmd
}

func (p *program) applicationList(c *client) *cobra.Command {
	var community string
	cmd := &cobra.Command{
		Use: "list", Short: "List applications", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []greentally.Application
			if err := c.call(cmd.Context(), http.MethodGet, "/api/v1/applications?"+url.Values{"community": {community}}.Encode(), nil, &all); err != nil {
				return err
			}
			t := newTable(p.out)
			t.AppendHeader(table.Row{"ID", "community", "scheme", "month", "stage", "level", "since", "until"})
			for _, a := range all {
				month, until := "", ""
				if a.Month != (greentally.Month{}) {
					month = a.Month.String()
				}
				if a.Until != nil {
					until = a.Until.String()
				}
				t.AppendRow(table.Row{a.ID, a.Community, a.Scheme, month, a.Stage, a.Level, a.Steps[len(a.Steps)-1].On, until})
			}
			t.Render()
			return nil
		},
	}
	cmd.Flags().StringVar(&community, "community", "", "only this one's")
	return cmd
}

func (p *program) applicationShow(c *client) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show an application: its steps, and what would be another figure now", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf("format", format, "table", "json"); err != nil {
				return err
			}
			var a applied
			if err := c.call(cmd.Context(), http.MethodGet, applicationPath(args[0]), nil, &a); err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(p.out, a)
			}
			return writeApplication(p.out, a)
		},
	}
	cmd.Flags().StringVar(&format, "format", "table", "table or json")
	return cmd
}

func writeApplication(out io.Writer, a applied) error {
	head := strings.TrimSpace(fmt.Sprintf("%s %s", a.Community, a.Scheme))
	if a.Scheme != "" {
		head += " " + a.Month.String()
	}
	if _, err := fmt.Fprintf(out, "%s: %s\n", head, a.Stage); err != nil {
		return err
	}
	t := newTable(out)
	t.AppendHeader(table.Row{"on", "to", "by", "why", "recorded"})
	for _, s := range a.Steps {
		to := string(s.To)
		if s.Level != "" {
			to += " " + string(s.Level)
		}
		if s.Until != nil {
			to += " until " + s.Until.String()
		}
		t.AppendRow(table.Row{s.On, to, s.Signed(), s.Why, s.Recorded.Format("2006-01-02 15:04:05Z")})
	}
	t.Render()
	if a.Submission == nil {
		return nil
	}
	if _, err := fmt.Fprintf(out, "handed in %s, bundle %s\n", a.Submission.At.Format("2006-01-02 15:04:05Z"), a.Submission.Bundle); err != nil {
		return err
	}
	if len(a.Revisions) == 0 {
		_, err := fmt.Fprintln(out, "Computed now, all figures are those that were handed in.")
		return err
	}
	if _, err := fmt.Fprintln(out, "What was handed in stands. Computed now, these would be other figures:"); err != nil {
		return err
	}
	t = newTable(out)
	t.AppendHeader(table.Row{"of", "name", "what", "handed in", "now"})
	for _, r := range a.Revisions {
		t.AppendRow(table.Row{r.Of, r.Name, r.What, r.Old, r.New})
	}
	t.Render()
	return nil
}

func (p *program) applicationBundle(c *client) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: "bundle ID", Short: "Fetch the evidence bundle that was handed in", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var a applied
			if err := c.call(cmd.Context(), http.MethodGet, applicationPath(args[0]), nil, &a); err != nil {
				return err
			}
			if a.Submission == nil {
				return errors.New("nothing was handed in with it yet")
			}
			return p.fetch(cmd, c, "/api/v1/bundles/"+a.Submission.Bundle, out)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "file to write (default: its own name)")
	return cmd
}

func (p *program) applicationRollup(c *client) *cobra.Command {
	var on, format string
	cmd := &cobra.Command{
		Use: "rollup", Short: "How many communities have which title, against the year's target", Args: cobra.NoArgs,
		Long: `Counts the communities by the highest title that they have on a day, the titles given in that
year against its target (targets in the configuration), and the applications on their way.`,
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := oneOf("format", format, "table", "json"); err != nil {
			return err
		}
		var r greentally.Rollup
		if err := c.call(cmd.Context(), http.MethodGet, "/api/v1/rollup?"+url.Values{"on": {on}}.Encode(), nil, &r); err != nil {
			return err
		}
		if format == "json" {
			return writeJSON(p.out, r)
		}
		t := newTable(p.out)
		t.AppendHeader(table.Row{"level", "communities", fmt.Sprintf("named in %d", r.On.Year), "target"})
		for _, level := range greentally.TitleLevels() {
			target := ""
			if n, has := r.Targets[level]; has {
				target = fmt.Sprint(n)
			}
			t.AppendRow(table.Row{level, r.Titled[level], r.Named[level], target})
		}
		t.AppendRow(table.Row{"none", r.Untitled, "", ""})
		t.AppendFooter(table.Row{"all", r.Communities})
		t.Render()
		for _, stage := range []greentally.Stage{greentally.StageDraft, greentally.StageSubmitted, greentally.StageSurveyed, greentally.StageAccepted} {
			if n := r.Stages[stage]; n > 0 {
				if _, err := fmt.Fprintf(p.out, "%s: %d\n", stage, n); err != nil {
					return err
				}
			}
		}
		return nil
	}
	cmd.Flags().StringVar(&on, "on", "", "the day, such as 2026-12-31 (default: today)")
	cmd.Flags().StringVar(&format, "format", "table", "table or json")
	return cmd
}
