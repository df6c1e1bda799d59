package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"greentally/devices"
	"greentally/internal/strictyaml"
)

func (p *program) checkCommand() *cobra.Command {
	var kinds, profiles, indicatorsDir, communities string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Validate the YAML files and run the tests inside them",
		Long: `Reads the configuration, kinds, profiles, types of records, factors, indicators, alert rules, schemes and communities, and runs the tests
inside them through the same code that runs in production. Reports everything that is
wrong at once, with file and line. Exit status 1 if anything is.`,
		Example: `  greentally check
  greentally check --config greentally.yaml
  greentally check --kinds my-kinds --profiles my-profiles`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := loadConfig(p.configFile, p.environment)
			if err != nil {
				return err
			}
			for _, override := range []struct{ flag, key *string }{{&kinds, &c.Kinds}, {&profiles, &c.Profiles}, {&indicatorsDir, &c.Indicators}, {&communities, &c.Communities}} {
				if *override.flag != "" {
					*override.key = *override.flag
				}
			}
			options := c.registryOptions()
			options.Limits = defaultConfig().registryOptions().Limits // the tests in the files are about these
			if _, err := os.Stat(c.Communities); err != nil && communities == "" {
				options.Communities = strictyaml.Folder{} // none yet
			}
			ran, err := devices.Check(options)
			_, wrong := c.HTTP.checkWebFile()
			all := []error{wrong, err}
			types, err := openRecordTypes(c)
			if err != nil {
				return errors.Join(append(all, err)...)
			}
			more, err := types.Check()
			ran += more
			all = append(all, err)
			options.Communities = strictyaml.Folder{} // indicators need the kinds alone
			registry, err := devices.Load(options)
			if err != nil {
				return errors.Join(all...) // it is told already
			}
			figures, err := openFactors(c)
			if err != nil {
				return errors.Join(append(all, err)...)
			}
			more, err = figures.Check()
			ran += more
			all = append(all, err)
			set, err := openIndicators(c, registry, types)
			if err != nil {
				return errors.Join(append(all, err)...)
			}
			more, err = set.Check()
			ran += more
			all = append(all, err)
			rules, err := openAlertRules(c, registry)
			if err != nil {
				return errors.Join(append(all, err)...)
			}
			more, err = rules.Check()
			ran += more
			all = append(all, err)
			certification, err := openSchemes(c, set, types)
			if err != nil {
				return errors.Join(append(all, err)...)
			}
			more, err = certification.Check()
			ran += more
			all = append(all, err)
			if err := errors.Join(all...); err != nil {
				return err
			}
			if c.HTTP.mayServe(false) != nil {
				_, _ = fmt.Fprintf(p.out, "note: http.listen %s can be reached from other machines, so greentally starts only if there is a user, which check cannot see, or with http.token_file\n", c.HTTP.Listen)
			}
			_, err = fmt.Fprintf(p.out, "all valid: %d indicators, %d factors, %d schemes, %d alert rules, %d types of records; %d tests passed\n",
				set.Len(), figures.Len(), len(certification.Names()), rules.Len(), len(types.All()), ran)
			return err
		},
	}
	cmd.Flags().StringVar(&kinds, "kinds", "", "folder of further kinds of devices")
	cmd.Flags().StringVar(&profiles, "profiles", "", "folder of further profiles")
	cmd.Flags().StringVar(&indicatorsDir, "indicators", "", "folder of further indicators")
	cmd.Flags().StringVar(&communities, "communities", "", "folder of the communities' files")
	return cmd
}
