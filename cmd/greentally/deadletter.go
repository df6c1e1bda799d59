package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"greentally"
)

func (p *program) deadLetterCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deadletter",
		Short: "Messages that could not be used: list, show, replay, delete",
		Long: `A message that cannot be used is kept with the reason: unknown_topic, unknown_device,
bad_payload, too_large, absurd_time, impossible_value or refused_by_store. Mend the
cause (a profile, the registry, a limit), then replay: the message goes through the
journal again with the time at which it was first received.`,
	}
	group(cmd)
	c := p.clientFlags(cmd)

	var reason string
	var limit int
	list := &cobra.Command{
		Use: "list", Short: "List them, oldest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t := newTable(p.out)
			t.AppendHeader(table.Row{"ID", "received", "reason", "topic", "detail"})
			shown, more := 0, false
			err := eachDeadLetter(cmd.Context(), c, reason, func(l greentally.DeadLetter) error {
				if shown == limit {
					more = true
					return errEnough
				}
				shown++
				t.AppendRow(table.Row{l.ID, l.Received.Format("2006-01-02 15:04:05Z"), l.Reason, printable([]byte(shorten(l.Topic, 80))), printable([]byte(shorten(l.Detail, 80)))})
				return nil
			})
			if err != nil {
				return err
			}
			if shown == 0 && !more {
				_, err := fmt.Fprintln(p.out, "no dead letters")
				return err
			}
			t.Render()
			if more {
				_, err = fmt.Fprintf(p.out, "and more; see them with --limit\n")
			}
			return err
		},
	}
	list.Flags().StringVar(&reason, "reason", "", "only those with this reason")
	list.Flags().IntVar(&limit, "limit", 100, "show at most so many")

	show := &cobra.Command{
		Use: "show ID", Short: "Show one with its payload", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseUint(args[0], 10, 64)
			if err != nil {
				return fmt.Errorf("%q is not an ID", args[0])
			}
			var letters []greentally.DeadLetter
			if err := c.call(cmd.Context(), http.MethodGet, fmt.Sprintf("/api/v1/deadletters?after=%d&limit=1", id-1), nil, &letters); err != nil {
				return err
			}
			if len(letters) == 0 || letters[0].ID != id {
				return fmt.Errorf("there is no dead letter %d", id)
			}
			l := letters[0]
			_, err = fmt.Fprintf(p.out, "ID        %d\ntopic     %s\nreceived  %s\nreason    %s\ndetail    %s\npayload   %d bytes\n\n%s\n",
				l.ID, printable([]byte(l.Topic)), l.Received.Format("2006-01-02 15:04:05.000Z"), l.Reason, printable([]byte(l.Detail)), len(l.Payload), printable(l.Payload))
			return err
		},
	}

	var replayReason string
	var replayAll bool
	replay := &cobra.Command{
		Use: "replay [ID…]", Short: "Send them through the journal again, after mending the cause",
		Example: "  greentally deadletter replay 17 18\n  greentally deadletter replay --reason unknown_device\n  greentally deadletter replay --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.eachChosen(cmd.Context(), c, args, replayReason, replayAll, "replay", "replayed")
		},
	}
	remove := &cobra.Command{
		Use: "delete [ID…]", Short: "Delete them for good",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.eachChosen(cmd.Context(), c, args, replayReason, replayAll, "delete", "deleted")
		},
	}
	for _, sub := range []*cobra.Command{replay, remove} {
		sub.Flags().StringVar(&replayReason, "reason", "", "all with this reason")
		sub.Flags().BoolVar(&replayAll, "all", false, "all of them")
	}
	cmd.AddCommand(list, show, replay, remove)
	return cmd
}

// errEnough ends an iteration early, without being an error.
var errEnough = errors.New("enough")

// eachDeadLetter calls do for each letter, or each with the reason.
func eachDeadLetter(ctx context.Context, c *client, reason string, do func(greentally.DeadLetter) error) error {
	for after := uint64(0); ; {
		var letters []greentally.DeadLetter
		if err := c.call(ctx, http.MethodGet, fmt.Sprintf("/api/v1/deadletters?after=%d&limit=1000", after), nil, &letters); err != nil {
			return err
		}
		for _, l := range letters {
			if reason != "" && string(l.Reason) != reason {
				continue
			}
			if err := do(l); errors.Is(err, errEnough) {
				return nil
			} else if err != nil {
				return err
			}
		}
		if len(letters) == 0 {
			return nil
		}
		after = letters[len(letters)-1].ID
	}
}

// eachChosen does the action to the letters that the arguments or flags choose.
// It chooses first and acts then, since a replayed letter may come back at once.
func (p *program) eachChosen(ctx context.Context, c *client, args []string, reason string, all bool, action, done string) error {
	var ids []uint64
	for _, arg := range args {
		id, err := strconv.ParseUint(arg, 10, 64)
		if err != nil {
			return fmt.Errorf("%q is not an ID", arg)
		}
		ids = append(ids, id)
	}
	switch {
	case len(ids) > 0 && (all || reason != ""):
		return errors.New("give either IDs, or --reason, or --all")
	case len(ids) == 0 && !all && reason == "":
		return errors.New("say which: IDs, --reason or --all")
	case len(ids) == 0:
		err := eachDeadLetter(ctx, c, reason, func(l greentally.DeadLetter) error {
			ids = append(ids, l.ID)
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, id := range ids {
		var answer struct{ ID uint64 }
		if err := c.call(ctx, http.MethodPost, fmt.Sprintf("/api/v1/deadletters/%d/%s", id, action), struct{}{}, &answer); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(p.out, "%s %d\n", done, len(ids))
	return err
}

func shorten(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// printable returns the payload as text if it is some, and all of it can be seen, else quoted.
func printable(payload []byte) string {
	if utf8.Valid(payload) && !strings.ContainsFunc(string(payload), func(r rune) bool { return !unicode.IsGraphic(r) && r != '\n' && r != '\t' }) {
		return string(payload)
	}
	return strconv.QuoteToASCII(string(payload))
}
