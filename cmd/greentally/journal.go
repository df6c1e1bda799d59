package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"greentally/ingest"
	"greentally/web"
)

// journalReplay is what is asked for, and what came of it.
type journalReplay struct {
	From time.Time `json:"from"` // when entries were received first; zero means all that are there

	Entries uint64    `json:"entries"`        // that are written again
	Begins  time.Time `json:"journal_begins"` // when the first entry that is there was received
}

// journalRoutes are the requests about the journal, for administrators.
func journalRoutes(journal *ingest.Journal) map[string]func(*http.Request) (any, error) {
	return map[string]func(*http.Request) (any, error){
		"POST /api/v1/journal/replay": func(r *http.Request) (any, error) {
			var asked struct {
				From time.Time `json:"from"`
			}
			if err := web.Body(r, &asked); err != nil {
				return nil, err
			}
			replay := journalReplay{From: asked.From}
			web.About(r, "from", asked.From.UTC().Format(time.RFC3339))
			var err error
			replay.Entries, replay.Begins, err = journal.SetBackTo(r.Context(), writerFollower, asked.From)
			return replay, err
		},
	}
}

func (p *program) journalCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "journal",
		Short: "The journal of messages: replay",
		Long: `The journal keeps messages as they came, for as long as journal.keep and journal.max_bytes
say. What it has can be written to the store again.`,
	}
	group(cmd)
	c := p.clientFlags(cmd)
	var since string
	replay := &cobra.Command{
		Use:   "replay",
		Short: "Write the messages in the journal to the store again",
		Long: `Writes all messages that the journal has, or those received since a time, to the store again,
and tallies their days: after readings were lost there, or a profile was mended. Doing it twice
changes nothing. greentally does it by itself if it finds at the start that the store has less
than it was given.

See how far it has come by greentally status: the follower "writer" is behind until it is done.`,
		Example: `  greentally journal replay
  greentally journal replay --from 2026-11-01T00:00:00+08:00`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			asked := map[string]time.Time{}
			if since != "" {
				t, err := time.Parse(time.RFC3339, since)
				if err != nil {
					return fmt.Errorf("--from: %q is not a time such as 2026-11-01T00:00:00+08:00", since)
				}
				asked["from"] = t
			}
			var done journalReplay
			if err := c.call(cmd.Context(), http.MethodPost, "/api/v1/journal/replay", asked, &done); err != nil {
				return err
			}
			_, err := fmt.Fprintf(p.out, "%d entries are written again; the journal begins at %s\n", done.Entries, done.Begins.Local().Format(time.DateTime))
			return err
		},
	}
	replay.Flags().StringVar(&since, "from", "", "only what was received at this time or later (default: all that the journal has)")
	cmd.AddCommand(replay)
	return cmd
}
