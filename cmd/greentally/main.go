// Command greentally measures what a community must prove for green-community
// certification: it takes readings over MQTT, keeps them, and computes rates that
// can be checked down to the reading.
//
// This package holds flags and wiring only: one file for each command, and the
// straight line that serve.go is.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // for machines without a time zone database

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(&plainText{Writer: os.Stderr}, "greentally:", err)
		stop()
		os.Exit(1)
	}
}

// program is what the commands share.
type program struct {
	environment []string
	out, err    io.Writer // for people
	data        io.Writer // for files and programs: as out, but for what is not plain text
	configFile  string
}

// run runs the program until it is done or ctx is.
func run(ctx context.Context, args, environment []string, out, err io.Writer) error {
	p := &program{environment: environment, out: &plainText{Writer: out}, err: err, data: out}
	root := p.command() //nolint:contextcheck // commands get theirs when they are run
	root.SetArgs(args)
	root.SetOut(p.out)
	root.SetErr(err)
	runErr := root.ExecuteContext(ctx)
	if ctx.Err() != nil && errors.Is(runErr, context.Canceled) {
		runErr = nil // asked to stop
	}
	return runErr
}

func (p *program) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "greentally",
		Short: "Rates for green-community certification, measured and checkable",
		Long: `greentally takes readings of sorting bins, battery boxes and lighting meters over
MQTT, keeps them in InfluxDB or SQLite, and computes the rates that green-community
certification (绿色社区创建) asks for. Every rate can be checked down to the reading.

Try it, with nothing installed and nothing configured:

    greentally demo

Run it on your own devices:

    greentally run --config greentally.yaml

Ask for a month's rates:

    greentally report --community jiayuan --month 2026-10`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().StringVarP(&p.configFile, "config", "c", "",
		"configuration file; without one, defaults and GREENTALLY_… variables")
	_ = root.MarkPersistentFlagFilename("config", "yaml", "yml") // only completion: fails only for an unknown flag
	root.AddCommand(
		p.demoCommand(), p.runCommand(), p.simulateCommand(), p.reportCommand(), p.assessCommand(), p.exportCommand(), p.verifyCommand(), p.checkCommand(),
		p.devicesCommand(), p.alertsCommand(), p.deadLetterCommand(), p.journalCommand(), p.recordCommand(), p.applicationCommand(),
		p.userCommand(), p.tokenCommand(), p.auditCommand(),
		p.statusCommand(), p.schemaCommand(), p.hashPasswordCommand(), p.versionCommand(),
	)
	return root
}

// group makes a command that only holds others show its help, and refuse a word that
// is none of them.
func group(cmd *cobra.Command) {
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
}
