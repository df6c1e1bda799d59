package main

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"greentally/ingest"
	"greentally/internal/health"
)

// status is how a running greentally is, as its API says it.
type status struct {
	Version       string                `json:"version"`
	Connected     bool                  `json:"connected"` // to the MQTT broker; always with the one in the process
	Followers     map[string]ingest.Lag `json:"followers"`
	DeadLetters   uint64                `json:"dead_letters"`
	RegistryError string                `json:"registry_error,omitempty"`
	JournalError  string                `json:"journal_error,omitempty"` // why the followers and dead letters are not known
	Troubles      []health.Trouble      `json:"troubles"`                // what is wrong now
}

func (p *program) statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how the running greentally is; fails unless it takes messages",
		Long: `Shows how far each follower of the journal is behind, how many dead letters there are, and
whether the registry's files are right, and what is wrong. It fails if no greentally answers, if
it is not connected to the MQTT broker, or if it takes or keeps no messages, and so serves as a
health check.`,
		Example: `  greentally status --config greentally.yaml`,
		Args:    cobra.NoArgs,
	}
	c := p.clientFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var s status
		if err := c.call(cmd.Context(), http.MethodGet, "/api/v1/status", nil, &s); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(p.out, "%s\n%d dead letters\n", s.Version, s.DeadLetters); err != nil {
			return err
		}
		t := newTable(p.out)
		t.AppendHeader(table.Row{"follower", "entries behind", "for", "not kept"})
		for _, name := range slices.Sorted(maps.Keys(s.Followers)) {
			lag := s.Followers[name]
			t.AppendRow(table.Row{name, lag.Entries, time.Duration(lag.Age).Round(time.Second), lag.Unkept})
		}
		t.Render()
		if s.RegistryError != "" {
			if _, err := fmt.Fprintf(p.out, "the registry's files are wrong, those before them are in force:\n%s\n", s.RegistryError); err != nil {
				return err
			}
		}
		if s.JournalError != "" {
			if _, err := fmt.Fprintf(p.out, "the journal does not answer: %s\n", plain(s.JournalError)); err != nil {
				return err
			}
		}
		var stopped []error
		for _, trouble := range s.Troubles {
			if _, err := fmt.Fprintf(p.out, "%s since %s: %s\n", trouble.Name, trouble.Since.Local().Format(time.DateTime), plain(trouble.Error)); err != nil {
				return err
			}
			if trouble.Stops {
				stopped = append(stopped, errors.New(trouble.Name))
			}
		}
		if len(stopped) > 0 {
			return fmt.Errorf("it takes or keeps no messages now: %w", errors.Join(stopped...))
		}
		if !s.Connected {
			return errors.New("it is not connected to the MQTT broker")
		}
		return nil
	}
	return cmd
}
