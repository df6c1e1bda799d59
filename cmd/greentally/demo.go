package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"greentally"
	"greentally/records"
	"greentally/simulator"
)

func (p *program) demoCommand() *cobra.Command {
	var dir, language string
	var length time.Duration
	var days int
	var seed uint64
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See it all at work: a simulated community, nothing to install or configure",
		Long: `Runs everything in this one process, on loopback addresses only: an MQTT broker, the
journal, SQLite, and a simulated community whose devices are real MQTT clients. They send
35 days at full speed and then go on live. The rates of this month and the last are shown
beside what the simulator knows to be true. Ctrl-C ends it.`,
		Example: "  greentally demo\n  greentally demo --for 40s\n  greentally demo --dir my-demo   # keep the data",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := oneOf("lang", language, "zh", "en"); err != nil {
				return err
			}
			if days < 1 || days > 400 || length < 0 {
				return errors.New("--days is 1 to 400, and --for cannot be negative")
			}
			start := time.Now()
			ctx := cmd.Context()
			if length > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, length)
				defer cancel()
			}
			if dir == "" {
				temporary, err := os.MkdirTemp("", "greentally-demo-")
				if err != nil {
					return err
				}
				defer func() { _ = os.RemoveAll(temporary) }() // what is left in the temporary folder does no harm
				dir = temporary
			}
			c := defaultConfig()
			c.DataDir, c.Communities = dir, filepath.Join(dir, "communities")
			c.Broker.Listen, c.HTTP.Listen = "127.0.0.1:0", "127.0.0.1:0"
			c.Log.Level = "warn"
			if err := os.MkdirAll(c.Communities, 0o755); err != nil {
				return err
			}
			file := filepath.Join(c.Communities, "jiayuan.yaml")
			if _, err := os.Stat(file); err != nil {
				if err := os.WriteFile(file, simulator.DemoCommunity(), 0o644); err != nil {
					return err
				}
			}
			d := &demo{program: p, file: file, seed: seed, days: days, language: language, start: start, dir: dir}
			// The devices stop first, and what they sent is taken; then all else stops.
			serving, stop := context.WithCancel(context.WithoutCancel(ctx))
			defer stop()
			playing, stopPlaying := context.WithCancel(ctx)
			defer stopPlaying()
			var play errgroup.Group
			err := serve(serving, c, p.logger(c), nil, func(r running) {
				play.Go(func() error {
					defer stop()
					return d.play(playing, r)
				})
			})
			stopPlaying()
			if playErr := play.Wait(); playErr != nil && ctx.Err() == nil {
				err = errors.Join(err, playErr)
			}
			if err == nil && !d.shown && length > 0 {
				return fmt.Errorf("%v was too short to get to the table; give it longer with --for", length)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "data folder to use and keep (default: a temporary one)")
	cmd.Flags().DurationVar(&length, "for", 0, "end by itself after so long, such as 40s")
	cmd.Flags().IntVar(&days, "days", 35, "days to send at full speed before going live")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "the same seed gives the same community")
	cmd.Flags().StringVar(&language, "lang", "zh", "language of what is shown: zh or en")
	return cmd
}

// demo plays the simulated community.
type demo struct {
	*program
	file, dir, language string
	seed                uint64
	days                int
	start               time.Time
	shown               bool // the tables are on the screen
}

func (d *demo) play(ctx context.Context, r running) error {
	community, loc, err := loadCommunity(d.file, d.program)
	if err != nil {
		return err
	}
	today := greentally.DateOf(time.Now(), loc)
	first := today.Add(-d.days).Start(loc)
	now := time.Now()
	words := reportWords[d.language]
	shown := newProgress(d.err, int(now.Sub(first)/time.Minute), fmt.Sprintf(words["sending"], len(community.Devices), d.days))
	sim, err := simulator.New(ctx, simulator.Options{
		Community: community, Location: loc, Start: first, Seed: d.seed, Brokers: []string{r.mqttURL}, Batch: 36,
		Progress: func(until time.Time, _ int) { shown.set(int(until.Sub(first) / time.Minute)) },
		Log:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	defer sim.Close()
	if err := sim.Run(ctx, now); err != nil {
		return err
	}
	shown.finish()
	truth := sim.Truth()
	for _, audit := range truth.Audits {
		if _, err := r.addRecord(ctx, audit); err != nil && !errors.Is(err, records.ErrThere) {
			return err
		}
	}
	if err := waitUntil(ctx, r.caughtUp); err != nil {
		return err
	}
	sent := time.Since(d.start)
	live := make(chan error, 1)
	go func() { live <- sim.Live(ctx) }()

	fmt.Fprintf(d.out, "\n"+words["sent"]+"\n\n", community.Name.In(d.language), len(community.Devices), truth.Readings, sent.Round(100*time.Millisecond))
	month := today.MonthOf()
	previous := month.First().Add(-1).MonthOf()
	for _, m := range []greentally.Month{month, previous} {
		known, ok := truth.Months[m.String()]
		if !ok {
			continue
		}
		values, err := r.report(ctx, community.ID, m)
		if err != nil {
			return err
		}
		d.table(m, known, values)
	}
	fmt.Fprintf(d.out, words["places"], fmt.Sprintf("%s/?lang=%s", r.httpURL, d.language), fmt.Sprintf("%s/screen/%s?lang=%s", r.httpURL, community.ID, d.language), r.mqttURL, r.mqttURL[len("tcp://127.0.0.1:"):],
		fmt.Sprintf("%s/api/v1/communities/%s/indicators?month=%s", r.httpURL, community.ID, month), r.httpURL+"/metrics", d.dir)
	d.shown = true
	return <-live
}

// table shows a month's rates beside the truth.
func (d *demo) table(month greentally.Month, truth simulator.Month, values []greentally.IndicatorValue) {
	words := reportWords[d.language]
	t := newTable(d.out)
	t.SetTitle("%s (%d %s)", month, truth.Days, words["days"])
	var right []table.ColumnConfig
	for n := 2; n <= 6; n++ {
		right = append(right, table.ColumnConfig{Number: n, Align: text.AlignRight})
	}
	t.SetColumnConfigs(right)
	t.AppendHeader([]any{words["indicator"], words["measured"], words["truth"], words["difference"], words["completeness"], words["target"], words["verdict"]})
	for _, v := range values {
		known, has := truth.Rates[v.Indicator]
		if !has && v.Value == nil {
			continue // it rests on what people attest, and nobody does here
		}
		shown, away := "–", "–"
		if has {
			shown = show(&known, v.Unit, d.language)
		}
		if has && v.Value != nil {
			away = difference(*v.Value, known, v.Unit, words)
		}
		t.AppendRow([]any{v.Title.In(d.language), show(v.Value, v.Unit, d.language), shown, away, fmt.Sprintf("%.1f %%", 100*v.Completeness), target(v, d.language), words[string(v.Verdict)]})
	}
	t.Render()
	for _, v := range values {
		if v.Verdict == greentally.InsufficientData && v.Value != nil {
			fmt.Fprintf(d.out, words["why"]+"\n", truth.Days, 100*v.Completeness, 100*v.Floor)
			break
		}
	}
	fmt.Fprintln(d.out)
}

// difference writes how far a value is from the truth: for a ratio in percentage points,
// else in percent of the truth.
func difference(value, truth float64, unit string, words map[string]string) string {
	part, written := value-truth, words["points"]
	if unit != "ratio" {
		part, written = part/math.Max(math.Abs(truth), 1e-9), "%"
	}
	return fmt.Sprintf("%+.2f %s", math.Round(1e4*part)/100+0, written) // + 0, so that none is -0.00
}

// waitUntil waits until the condition holds.
func waitUntil(ctx context.Context, condition func(context.Context) (bool, error)) error {
	for {
		if ok, err := condition(ctx); err != nil || ok {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
