package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/invopop/jsonschema"
	"github.com/spf13/cobra"

	"greentally/devices"
)

func (p *program) schemaCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "schema [NAME]",
		Short: "Print the JSON Schema of a YAML file, for editors: config, community, kind, profile",
		Example: `  greentally schema config > greentally.schema.json
  # then, as the first line of greentally.yaml:
  # yaml-language-server: $schema=greentally.schema.json`,
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: []string{"config", "community", "kind", "profile"},
		RunE: func(_ *cobra.Command, args []string) error {
			all := schemas()
			names := slices.Sorted(maps.Keys(all))
			switch {
			case dir != "":
				if err := os.MkdirAll(dir, 0o755); err != nil {
					return fmt.Errorf("--dir: %w", err)
				}
				for _, name := range names {
					data, err := json.MarshalIndent(all[name], "", "  ")
					if err != nil {
						return err
					}
					if err := os.WriteFile(filepath.Join(dir, name+".schema.json"), append(data, '\n'), 0o644); err != nil {
						return err
					}
				}
				return nil
			case len(args) == 0:
				return fmt.Errorf("name one of %v, or a folder with --dir", names)
			case all[args[0]] == nil:
				return fmt.Errorf("there is no schema %q; there are %v", args[0], names)
			}
			return writeJSON(p.out, all[args[0]])
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "write all schemas to this folder, and make it if it is not there")
	return cmd
}

// schemas returns the JSON Schemas of the YAML files, by name.
func schemas() map[string]*jsonschema.Schema {
	all := devices.Schemas()
	all["config"] = (&jsonschema.Reflector{FieldNameTag: "yaml", Mapper: devices.SchemaOfText}).Reflect(&config{})
	return all
}
