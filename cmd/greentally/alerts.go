package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"greentally"
	"greentally/alerting/mail"
)

func (p *program) alertsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "alerts",
		Short: "Alerts: list, silence, acknowledge; test mails; show the configuration",
		Long: `Alert rules look at readings as they pass. What they find is grouped, muted at night and
mailed by Alertmanager's own packages, in the process, to the contacts in the communities'
files. Its API is under /alertmanager, so that amtool works with it:

  amtool --alertmanager.url http://127.0.0.1:8080/alertmanager alert`,
	}
	group(cmd)
	c := p.clientFlags(cmd)
	cmd.AddCommand(p.alertsListCommand(c), p.alertsSilenceCommand(c), p.alertsAckCommand(c), p.alertsTestCommand(), p.alertsConfigCommand())
	return cmd
}

func (p *program) alertsListCommand(c *client) *cobra.Command {
	var community, state, month, language string
	cmd := &cobra.Command{
		Use: "list", Short: "List the alerts that hold, or those of a month", Args: cobra.NoArgs,
		Example: `  greentally alerts list
  greentally alerts list --community jiayuan --state all --lang en
  greentally alerts list --community jiayuan --month 2026-10`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(oneOf("lang", language, "zh", "en"), oneOf("state", state, "firing", "ended", "all")); err != nil {
				return err
			}
			path := "/api/v1/alerts?" + url.Values{"state": {state}, "community": {community}}.Encode()
			if month != "" {
				if community == "" || cmd.Flags().Changed("state") {
					return errors.New("--month lists all alerts that began in it, of the community that --community names; without --state")
				}
				path = "/api/v1/communities/" + url.PathEscape(community) + "/alerts?" + url.Values{"month": {month}}.Encode()
			}
			var all []greentally.Alert
			if err := c.call(cmd.Context(), http.MethodGet, path, nil, &all); err != nil {
				return err
			}
			if len(all) == 0 {
				_, err := fmt.Fprintln(p.out, map[string]string{"zh": "没有告警", "en": "no alerts"}[language])
				return err
			}
			words := map[string]table.Row{
				"zh": {"级别", "社区", "设备/指标", "告警", "开始", "结束", "详情"},
				"en": {"severity", "community", "device or indicator", "alert", "since", "ended", "what"},
			}
			t := newTable(p.out)
			t.AppendHeader(words[language])
			for _, a := range all {
				ended := ""
				if a.Ended != nil {
					ended = a.Ended.Local().Format("01-02 15:04")
				}
				t.AppendRow(table.Row{a.Severity, a.Community, cmp.Or(a.Device, a.Indicator), a.Title.In(language), a.Since.Local().Format("01-02 15:04"), ended, shorten(a.Summary.In(language), 60)})
			}
			t.Render()
			return nil
		},
	}
	cmd.Flags().StringVar(&community, "community", "", "only of this community")
	cmd.Flags().StringVar(&month, "month", "", "those that began in a month, such as 2026-10")
	cmd.Flags().StringVar(&state, "state", "firing", "firing, ended (within the last day) or all")
	cmd.Flags().StringVar(&language, "lang", "zh", "language: zh or en")
	return cmd
}

// silence asks for a silence.
func silence(ctx context.Context, c *client, community string, wish map[string]any) (made greentally.Silence, err error) {
	err = c.call(ctx, http.MethodPost, "/api/v1/communities/"+url.PathEscape(community)+"/silences", wish, &made)
	return made, err
}

// whoAmI is the name of who runs the command.
func whoAmI() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "somebody"
}

func (p *program) alertsSilenceCommand(c *client) *cobra.Command {
	var community, device, rule, by, why string
	var length time.Duration
	cmd := &cobra.Command{
		Use: "silence", Short: "Tell nobody of a device's or rule's alerts for a while", Args: cobra.NoArgs,
		Example: `  greentally alerts silence --community jiayuan --device e1-s1-food --for 4h --why replaced`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if device == "" && rule == "" {
				return errors.New("say which alerts: --device, --rule or both")
			}
			if length <= 0 {
				return fmt.Errorf("--for: %v is no time ahead", length)
			}
			made, err := silence(cmd.Context(), c, community, map[string]any{"device": device, "rule": rule, "for": length.String(), "by": by, "why": why})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.out, "silenced until %s: %s\n", made.Until.Local().Format("2006-01-02 15:04"), made.ID)
			return err
		},
	}
	cmd.Flags().StringVar(&community, "community", "", "the community")
	cmd.Flags().StringVar(&device, "device", "", "the device")
	cmd.Flags().StringVar(&rule, "rule", "", "the rule, such as bin_overflowing")
	cmd.Flags().DurationVar(&length, "for", 2*time.Hour, "how long")
	cmd.Flags().StringVar(&by, "by", whoAmI(), "who silences")
	cmd.Flags().StringVar(&why, "why", "", "the reason")
	for _, name := range []string{"community", "why"} {
		_ = cmd.MarkFlagRequired(name) // fails only for an unknown flag
	}
	return cmd
}

func (p *program) alertsAckCommand(c *client) *cobra.Command {
	var community, device, rule, by, why string
	cmd := &cobra.Command{
		Use: "ack", Short: "Acknowledge an alert: somebody is on it, so that nobody is reminded", Args: cobra.NoArgs,
		Long: `Silences one alert for as long as it holds, at most a day: nobody is reminded of it
meanwhile. The silence says who is on it.`,
		Example: `  greentally alerts ack --community jiayuan --device e1-s1-food --rule bin_overflowing --by Li`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []greentally.Alert
			if err := c.call(cmd.Context(), http.MethodGet, "/api/v1/alerts?"+url.Values{"community": {community}}.Encode(), nil, &all); err != nil {
				return err
			}
			for _, a := range all {
				if a.Rule == rule && cmp.Or(a.Device, a.Indicator) == device {
					made, err := silence(cmd.Context(), c, community, map[string]any{"device": a.Device, "indicator": a.Indicator, "rule": rule, "acknowledges": true, "by": by, "why": why})
					if err != nil {
						return err
					}
					_, err = fmt.Fprintf(p.out, "acknowledged: %s\n", made.ID)
					return err
				}
			}
			return fmt.Errorf("no alert %s of %s holds in %s; see greentally alerts list", rule, device, community)
		},
	}
	cmd.Flags().StringVar(&community, "community", "", "the community")
	cmd.Flags().StringVar(&device, "device", "", "the device, or the indicator")
	cmd.Flags().StringVar(&rule, "rule", "", "the rule, such as bin_overflowing")
	cmd.Flags().StringVar(&by, "by", whoAmI(), "who is on it")
	cmd.Flags().StringVar(&why, "why", "", "what is being done")
	for _, name := range []string{"community", "device", "rule"} {
		_ = cmd.MarkFlagRequired(name) // fails only for an unknown flag
	}
	return cmd
}

func (p *program) alertsTestCommand() *cobra.Command {
	var to, language string
	cmd := &cobra.Command{
		Use: "test", Short: "Send a sample mail through the mail server of the configuration", Args: cobra.NoArgs,
		Example: `  greentally alerts test --to office@example.org`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := oneOf("lang", language, "zh", "en"); err != nil {
				return err
			}
			c, err := loadConfig(p.configFile, p.environment)
			if err != nil {
				return err
			}
			if c.SMTP.Address == "" {
				return errors.New("there is no mail server: set smtp.address and smtp.from")
			}
			registry, err := openRegistry(c)
			if err != nil {
				return err
			}
			mailer, err := openMailer(c, registry, nil)
			if err != nil {
				return err
			}
			now, limit := time.Now(), 0.9
			sample := greentally.Alert{Community: "sample", Rule: "sample", Severity: greentally.Info, Kind: "sorting_bin", Stream: greentally.Food,
				Title:   greentally.Text{ZH: "测试邮件", EN: "A test"},
				Summary: greentally.Text{ZH: "这是一封测试邮件，邮件配置可用。", EN: "This is a test: mails can be sent."},
				Action:  greentally.Text{ZH: "无需处理。", EN: "Nothing needs to be done."}, Limit: &limit, Since: now, Fired: now}
			if all := registry.Current().Communities(); len(all) > 0 {
				sample.Community = all[0].ID
			}
			if err := mailer.Send(cmd.Context(), mail.Recipient{Email: to, Language: language}, mail.Notice{Alerts: []greentally.Alert{sample}}); err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.out, "%s took a mail to %s\n", c.SMTP.Address, to)
			return err
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "address of the recipient")
	cmd.Flags().StringVar(&language, "lang", "zh", "language of the mail: zh or en")
	_ = cmd.MarkFlagRequired("to") // fails only for an unknown flag
	return cmd
}

func (p *program) alertsConfigCommand() *cobra.Command {
	return &cobra.Command{
		Use: "config", Short: "Print the alertmanager.yml in force, to begin one of your own with", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := loadConfig(p.configFile, p.environment)
			if err != nil {
				return err
			}
			var communities []*greentally.Community
			if _, err := os.Stat(c.Communities); err == nil {
				registry, err := openRegistry(c)
				if err != nil {
					return err
				}
				communities = registry.Current().Communities()
			}
			_, text, err := alertmanagerConfig(c, communities)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(p.out, text)
			return err
		},
	}
}
