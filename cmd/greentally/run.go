package main

import (
	"math"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// softMemory is how much memory the program uses before it looks for what can be freed all the
// time, in bytes. Buffers of the journal are freed late otherwise: a flood of large messages would
// take as much as is written to disk in ten seconds.
const softMemory = 640 << 20

func (p *program) runCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Take readings, keep them, and compute rates",
		Long: `Runs until it is asked to stop (Ctrl-C, SIGTERM). Your own MQTT broker and InfluxDB are
named in the configuration file; what is left out runs in the process: an MQTT broker on
127.0.0.1:1883, the journal, and SQLite in the data folder.

Communities are YAML files in the folder "communities". They are read again when one
changes, and on SIGHUP; files that do not validate leave the ones before in force.`,
		Example: `  greentally run --config greentally.yaml
  GREENTALLY_INFLUXDB_URL=http://127.0.0.1:8086 greentally run`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(p.configFile, p.environment)
			if err != nil {
				return err
			}
			reload := make(chan os.Signal, 1)
			signal.Notify(reload, syscall.SIGHUP)
			defer signal.Stop(reload)
			log := p.logger(c)
			if debug.SetMemoryLimit(-1) == math.MaxInt64 { // GOMEMLIMIT is not set
				debug.SetMemoryLimit(softMemory)
			}
			for {
				err := serve(cmd.Context(), c, log, reload, func(running) {})
				if cmd.Context().Err() != nil || !outOfReach(err) {
					return err
				}
				// What was acknowledged is in the journal, and nothing else is taken meanwhile.
				log.Error("JetStream did not answer in time; greentally starts anew", "error", err)
				select {
				case <-time.After(time.Second):
				case <-cmd.Context().Done():
					return err
				}
			}
		},
	}
}
