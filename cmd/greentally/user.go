package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"greentally/access"
)

func (p *program) userCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "user", Short: "Who may log in, and see and do what",
		Long: `Users log in to the pages with a password of at least 12 characters. Roles:

  administrator  everything, also users, tokens and dead letters
  manager        reads and writes what belongs to its communities
  assessor       reads all evidence of its communities, and writes nothing

Without any user everybody on this machine is administrator, and nobody else is served. The
first user must be an administrator; from then on commands need a token: that of
http.token_file, or one made by greentally token add.`,
	}
	group(cmd)
	c := p.clientFlags(cmd)
	list := &cobra.Command{
		Use: "list", Short: "List users", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []access.User
			if err := c.call(cmd.Context(), http.MethodGet, "/api/v1/users", nil, &all); err != nil {
				return err
			}
			t := newTable(p.out)
			t.AppendHeader(table.Row{"name", "display", "roles", "logs in by", "state"})
			for _, u := range all {
				by := []string{}
				if u.Password {
					by = append(by, "password")
				}
				if u.Subject+u.Email != "" {
					by = append(by, "OpenID")
				}
				state := ""
				if u.Disabled {
					state = "disabled"
				}
				t.AppendRow(table.Row{u.Name, u.Display, bindings(u.Bindings), strings.Join(by, ", "), state})
			}
			t.Render()
			return nil
		},
	}
	var user access.User
	var role string
	var communities []string
	add := &cobra.Command{
		Use: "add NAME", Short: "Add a user; the password is read from standard input", Args: cobra.ExactArgs(1),
		Long: `Adds a user. The password is the first line of standard input, or none with --email: then the
user logs in by the OpenID provider.`,
		Example: `  printf '%s' "$PASSWORD" | greentally user add wang --role administrator
  printf '%s' "$PASSWORD" | greentally user add li --role manager --community jiayuan --display 李娜`,
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := firstLine(cmd, user.Email == "")
			if err != nil {
				return err
			}
			user.Name, user.Bindings = args[0], []access.Binding{{Role: access.Role(role), Communities: communities}}
			body := struct {
				access.User
				Secret string `json:"new_password,omitempty"`
			}{user, password}
			var added access.User
			if err := c.call(cmd.Context(), http.MethodPost, "/api/v1/users", body, &added); err != nil {
				return err
			}
			_, err = fmt.Fprintln(p.out, added.Name)
			return err
		},
	}
	add.Flags().StringVar(&role, "role", "", "administrator, manager or assessor")
	add.Flags().StringSliceVar(&communities, "community", nil, "a community of the role; may be given several times")
	add.Flags().StringVar(&user.Display, "display", "", "the name for people")
	add.Flags().StringVar(&user.Email, "email", "", "the address by which an OpenID provider knows the user")
	add.Flags().StringVar(&user.Language, "lang", "", "language of the pages: zh or en")
	_ = add.MarkFlagRequired("role") // fails only for an unknown flag

	password := &cobra.Command{
		Use: "password NAME", Short: "Set a user's password, read from standard input; its sessions end", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			secret, err := firstLine(cmd, true)
			if err != nil {
				return err
			}
			var u access.User
			return c.call(cmd.Context(), http.MethodPost, userPath(args[0])+"/password", map[string]string{"new_password": secret}, &u)
		},
	}
	remove := &cobra.Command{
		Use: "remove NAME", Short: "Remove a user; its sessions end", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var u access.User
			return c.call(cmd.Context(), http.MethodPost, userPath(args[0])+"/remove", struct{}{}, &u)
		},
	}
	cmd.AddCommand(list, add, password, remove)
	for _, disabled := range []bool{true, false} {
		use := map[bool]string{true: "disable", false: "enable"}[disabled]
		short := map[bool]string{true: "Let a user not log in any more; its sessions end", false: "Let a user log in again"}[disabled]
		cmd.AddCommand(&cobra.Command{
			Use: use + " NAME", Short: short, Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				var u access.User
				return c.call(cmd.Context(), http.MethodPost, userPath(args[0]), map[string]bool{"disabled": disabled}, &u)
			},
		})
	}
	return cmd
}

func userPath(name string) string { return "/api/v1/users/" + url.PathEscape(name) }

// bindings writes roles with their communities.
func bindings(all []access.Binding) string {
	texts := make([]string, len(all))
	for i, b := range all {
		texts[i] = string(b.Role)
		if len(b.Communities) > 0 {
			texts[i] += " of " + strings.Join(b.Communities, ", ")
		}
	}
	return strings.Join(texts, "; ")
}

// firstLine reads a password from standard input.
func firstLine(cmd *cobra.Command, needed bool) (string, error) {
	if !needed {
		return "", nil
	}
	lines := bufio.NewScanner(cmd.InOrStdin())
	if !lines.Scan() || lines.Text() == "" {
		return "", errors.Join(errors.New("no password on standard input"), lines.Err())
	}
	return lines.Text(), nil
}

func (p *program) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "token", Short: "Tokens for programs and big screens",
		Long: `A token is what a program bears instead of logging in: Prometheus (role monitor), a script
(manager, assessor, administrator), or a big screen in a lobby (screen, of one community).`,
	}
	group(cmd)
	c := p.clientFlags(cmd)
	list := &cobra.Command{
		Use: "list", Short: "List tokens, and the last day on which each was used", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []access.Token
			if err := c.call(cmd.Context(), http.MethodGet, "/api/v1/tokens", nil, &all); err != nil {
				return err
			}
			t := newTable(p.out)
			t.AppendHeader(table.Row{"name", "role", "created", "by", "used"})
			for _, one := range all {
				used := ""
				if one.Used != nil {
					used = one.Used.String()
				}
				t.AppendRow(table.Row{one.Name, bindings([]access.Binding{one.Binding}), one.Created.Format("2006-01-02"), one.By, used})
			}
			t.Render()
			return nil
		},
	}
	var token access.Token
	add := &cobra.Command{
		Use: "add NAME", Short: "Make a token; it is shown once", Args: cobra.ExactArgs(1),
		Example: `  greentally token add prometheus --role monitor
  greentally token add lobby --role screen --community jiayuan`,
		RunE: func(cmd *cobra.Command, args []string) error {
			token.Name = args[0]
			var answer struct{ Secret string }
			if err := c.call(cmd.Context(), http.MethodPost, "/api/v1/tokens", token, &answer); err != nil {
				return err
			}
			_, err := fmt.Fprintln(p.out, answer.Secret)
			return err
		},
	}
	add.Flags().StringVar((*string)(&token.Role), "role", "", "administrator, manager, assessor, monitor or screen")
	add.Flags().StringSliceVar(&token.Communities, "community", nil, "a community of the role; may be given several times")
	_ = add.MarkFlagRequired("role")
	revoke := &cobra.Command{
		Use: "revoke NAME", Short: "Take a token back", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var answer struct{ Name string }
			return c.call(cmd.Context(), http.MethodPost, "/api/v1/tokens/"+url.PathEscape(args[0])+"/revoke", struct{}{}, &answer)
		},
	}
	cmd.AddCommand(list, add, revoke)
	return cmd
}

func (p *program) auditCommand() *cobra.Command {
	var who, community string
	var before uint64
	cmd := &cobra.Command{
		Use: "audit", Short: "Who did what: the latest entries of the audit log", Args: cobra.NoArgs,
		Long: `Lists the latest 100 entries of the audit log, the latest first: logins, failed ones too, and
every request that changed something or was refused. Those before them are got by --before and
the lowest id.`,
		Example: `  greentally audit --community jiayuan
  greentally audit --before 1204`,
	}
	c := p.clientFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		query := url.Values{"who": {who}, "community": {community}}
		if before > 0 {
			query.Set("before", strconv.FormatUint(before, 10))
		}
		var all []access.Entry
		if err := c.call(cmd.Context(), http.MethodGet, "/api/v1/audit?"+query.Encode(), nil, &all); err != nil {
			return err
		}
		t := newTable(p.out)
		t.AppendHeader(table.Row{"id", "at", "who", "role", "address", "action", "community", "what", "result"})
		for _, e := range all {
			what := []string{}
			for name, value := range e.What {
				what = append(what, name+"="+value)
			}
			slices.Sort(what)
			t.AppendRow(table.Row{e.ID, e.At.Format("2006-01-02 15:04:05Z"), e.Who, e.Role, e.Address, e.Action, e.Community, strings.Join(what, " "), e.Result})
		}
		t.Render()
		return nil
	}
	cmd.Flags().StringVar(&who, "who", "", "only what this one did")
	cmd.Flags().StringVar(&community, "community", "", "only what was done in this one")
	cmd.Flags().Uint64Var(&before, "before", 0, "only what was done before the entry with this id")
	return cmd
}
