package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"greentally"
	"greentally/devices"
	"greentally/internal/strictyaml"
	"greentally/simulator"
)

func (p *program) simulateCommand() *cobra.Command {
	var broker, file, speedText, truthFile, faultText, from, username, passwordFile string
	var tlsFiles clientTLS
	var days, batch int
	var seed uint64
	var sendAudits, live bool
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Publish what a simulated community's devices would say",
		Long: `Simulates a community: households, collections, scales with noise, lamps at night. Each of
its devices is an MQTT client that publishes at QoS 1. The command ends when the broker has
acknowledged everything, and writes what the model knows to be true: masses, energies,
rates, and how many readings were published. With --live it sends what was until now, and
goes on as time goes until it is stopped.

Faults, as a list such as loss=0.05,duplicate=0.02,late=48h,reset=1,malformed=0.01:
  loss       share of readings never sent
  duplicate  share of messages sent twice
  late       a tenth of the messages come up to so much later
  reset      so many energy registers begin again at 0
  wrap       so many pass their modulus
  replace    so many meters are replaced, and declared so (see --audits)
  silent     so many devices say nothing for two days
  malformed  extra messages that nobody can read`,
		Example: `  greentally simulate --broker tcp://127.0.0.1:1883 --community communities/jiayuan.yaml --days 30 --truth truth.json
  greentally simulate --broker tcp://127.0.0.1:1883 --community communities/jiayuan.yaml --days 1 --speed 600 --faults loss=0.05
  greentally simulate --broker tcp://127.0.0.1:1883 --community communities/jiayuan.yaml --from 2026-10-01 --live`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			community, loc, err := loadCommunity(file, p)
			if err != nil {
				return err
			}
			faults, err := simulator.ParseFaults(faultText)
			if err != nil {
				return fmt.Errorf("--faults: %w", err)
			}
			speed, err := parseSpeed(speedText)
			if err != nil {
				return err
			}
			last := greentally.DateOf(time.Now(), loc)
			first := last.Add(-days)
			if from != "" {
				if first, err = greentally.ParseDate(from); err != nil {
					return fmt.Errorf("--from: %w", err)
				}
				last = first.Add(days)
			}
			password, err := secret(passwordFile)
			if err != nil {
				return fmt.Errorf("--password-file: %w", err)
			}
			tlsConfig, err := tlsFiles.config()
			if err != nil {
				return err
			}
			until := last.Start(loc)
			if live {
				until = time.Now()
			}
			shown := newProgress(p.err, int(until.Sub(first.Start(loc))/time.Minute), "simulating")
			sim, err := simulator.New(cmd.Context(), simulator.Options{
				Community: community, Location: loc, Start: first.Start(loc), Seed: seed, Faults: faults,
				Brokers: []string{broker}, Username: username, Password: password, TLS: tlsConfig, Batch: batch, Speed: speed,
				Progress: func(until time.Time, _ int) { shown.set(int(until.Sub(first.Start(loc)) / time.Minute)) },
			})
			if err != nil {
				return err
			}
			defer sim.Close()
			if err := sim.Run(cmd.Context(), until); err != nil {
				return err
			}
			shown.finish()
			if live {
				return sim.Live(cmd.Context())
			}
			truth := sim.Truth()
			if sendAudits {
				c := &client{environment: p.environment, config: &p.configFile}
				for _, r := range append(truth.Audits, truth.Events...) {
					var added greentally.Record
					if err := c.call(cmd.Context(), http.MethodPost, "/api/v1/communities/"+url.PathEscape(r.Community)+"/records", r, &added); err != nil && !isThere(err) {
						return fmt.Errorf("hand in an audit: %w", err)
					}
				}
			}
			if truthFile != "" {
				data, err := json.MarshalIndent(truth, "", "  ")
				if err != nil {
					return err
				}
				if err := os.WriteFile(truthFile, append(data, '\n'), 0o644); err != nil {
					return err
				}
			}
			_, err = fmt.Fprintf(p.out, "published %d readings in %d messages (%d readings repeated, %d lost, %d messages malformed)\n",
				truth.Readings, truth.Messages, truth.Duplicates, truth.Lost, truth.Malformed)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&broker, "broker", "tcp://127.0.0.1:1883", "URL of the MQTT broker")
	f.StringVar(&username, "username", "", "user at the broker")
	f.StringVar(&passwordFile, "password-file", "", "file with the password")
	f.StringVar(&tlsFiles.CAFile, "ca-file", "", "certificates to trust")
	f.StringVar(&tlsFiles.CertFile, "cert-file", "", "client certificate")
	f.StringVar(&tlsFiles.KeyFile, "key-file", "", "key of the client certificate")
	f.StringVar(&file, "community", "", "the community's file (default: the demo's)")
	f.IntVar(&days, "days", 1, "days to simulate")
	f.StringVar(&from, "from", "", "first day, such as 2026-10-01 (default: so that the last day is yesterday)")
	f.StringVar(&speedText, "speed", "max", "max, realtime, or how many times faster than time")
	f.Uint64Var(&seed, "seed", 1, "the same seed gives the same community")
	f.IntVar(&batch, "batch", 1, "readings of a device in one message, at most")
	f.StringVar(&faultText, "faults", "", "what goes wrong, see above")
	f.StringVar(&truthFile, "truth", "", "write what the model knows to this file")
	f.BoolVar(&live, "live", false, "go on as time goes, until it is stopped")
	f.BoolVar(&sendAudits, "audits", false, "hand in the auditor's records to the running greentally (see http.listen)")
	for _, flag := range []string{"truth", "audits"} { // of what is over
		cmd.MarkFlagsMutuallyExclusive("live", flag)
	}
	return cmd
}

// loadCommunity reads and checks a community's file, the demo's if the name is empty.
func loadCommunity(name string, p *program) (*greentally.Community, *time.Location, error) {
	c, err := loadConfig(p.configFile, p.environment)
	if err != nil {
		return nil, nil, err
	}
	data := simulator.DemoCommunity()
	base := "jiayuan.yaml"
	if name != "" {
		if data, err = os.ReadFile(name); err != nil {
			return nil, nil, fmt.Errorf("--community: %w", err)
		}
		base = filepath.Base(name)
	}
	// The registry checks a folder; give it one with this file alone.
	dir, err := os.MkdirTemp("", "greentally-")
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a file in the temporary folder does no harm
	if err := os.WriteFile(filepath.Join(dir, base), data, 0o600); err != nil {
		return nil, nil, err
	}
	options := c.registryOptions()
	options.Communities = strictyaml.Folder{Name: filepath.Dir(name), FS: os.DirFS(dir)}
	registry, err := devices.Load(options)
	if err != nil {
		return nil, nil, fmt.Errorf("--community:\n%w", err)
	}
	all := registry.Communities()
	if len(all) != 1 {
		return nil, nil, errors.New("--community: there is no community in the file")
	}
	loc, _ := registry.Location(all[0].ID)
	return all[0], loc, nil
}

// parseSpeed returns how many times faster than time, 0 for as fast as it goes.
func parseSpeed(text string) (float64, error) {
	switch text {
	case "max":
		return 0, nil
	case "realtime":
		return 1, nil
	}
	v, err := strconv.ParseFloat(strings.TrimSuffix(text, "x"), 64)
	if err != nil || !(v > 0 && v <= 1e6) {
		return 0, fmt.Errorf("--speed %q is none of max, realtime, or a number such as 600", text)
	}
	return v, nil
}

// progress shows how far something long has come: on a terminal by a bar that leaves
// nothing behind, elsewhere by a line at the start and one at the end.
type progress struct {
	out   io.Writer
	what  string
	start time.Time
	bar   *progressbar.ProgressBar // nil if it is no terminal
}

func newProgress(out io.Writer, steps int, what string) *progress {
	p := &progress{out: out, what: what, start: time.Now()}
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.bar = progressbar.NewOptions(steps, progressbar.OptionSetWriter(out), progressbar.OptionSetDescription(what),
			progressbar.OptionSetWidth(30), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(),
			progressbar.OptionShowElapsedTimeOnFinish(), progressbar.OptionSetPredictTime(true))
	} else {
		fmt.Fprintf(out, "%s …\n", what)
	}
	return p
}

// set says how many steps are done.
func (p *progress) set(done int) {
	if p.bar != nil {
		_ = p.bar.Set(done) // only for people to see
	}
}

func (p *progress) finish() {
	if p.bar != nil {
		_ = p.bar.Finish() // only for people to see
		return
	}
	fmt.Fprintf(p.out, "%s: 100 %% (%s)\n", p.what, time.Since(p.start).Round(100*time.Millisecond))
}
