package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version and what it was built from",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(p.out, version())
			return err
		},
	}
}

// version describes the build, from what the Go toolchain stamped into it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "greentally (built without module information)"
	}
	setting := map[string]string{}
	for _, s := range info.Settings {
		setting[s.Key] = s.Value
	}
	v := "greentally " + info.Main.Version
	if revision := setting["vcs.revision"]; revision != "" {
		v += " revision " + revision[:min(12, len(revision))]
		if setting["vcs.modified"] == "true" {
			v += " (modified)"
		}
	}
	return v + " " + info.GoVersion + " " + setting["GOOS"] + "/" + setting["GOARCH"]
}
