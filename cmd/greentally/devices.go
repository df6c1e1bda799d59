package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"greentally"
	"greentally/web"
)

func (p *program) devicesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "devices",
		Short: "Devices of a community, and those that speak but are not known yet",
		Long: `A device is known when it is in its community's YAML file. One that speaks and is not
there shows as discovered, and its messages wait among the dead letters; adopt it, and
they are taken.`,
	}
	group(cmd)
	c := p.clientFlags(cmd)

	var community string
	list := &cobra.Command{
		Use: "list", Short: "List a community's devices with their latest readings", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []struct {
				greentally.Device
				Latest *greentally.Reading `json:"latest"`
			}
			if err := c.call(cmd.Context(), http.MethodGet, "/api/v1/communities/"+url.PathEscape(community)+"/devices", nil, &all); err != nil {
				return err
			}
			t := newTable(p.out)
			t.AppendHeader([]any{"device", "kind", "site", "stream", "last reading", "values"})
			for _, d := range all {
				when, values := "never", ""
				if d.Latest != nil {
					when = d.Latest.Time.Local().Format("2006-01-02 15:04:05")
					var parts []string
					for _, v := range d.Latest.Values {
						text := v.State
						if text == "" {
							text = number(&v.Number)
						}
						parts = append(parts, v.Quantity+"="+text)
					}
					values = strings.Join(parts, " ")
				}
				t.AppendRow([]any{d.ID, d.Kind, d.Site, d.Stream, when, values})
			}
			t.Render()
			return nil
		},
	}
	list.Flags().StringVar(&community, "community", "", "the community")
	_ = list.MarkFlagRequired("community") // fails only for an unknown flag

	var limit int
	discovered := &cobra.Command{
		Use: "discovered", Short: "List devices that speak but are not in a community's file", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []greentally.Discovered
			var more bool
			for after := ""; ; {
				var page []greentally.Discovered
				if err := c.call(cmd.Context(), http.MethodGet, "/api/v1/discovered?"+url.Values{"after": {after}}.Encode(), nil, &page); err != nil {
					return err
				}
				all = append(all, page...)
				if more = len(all) > limit; more {
					all = all[:limit]
				}
				if more || len(page) < web.DiscoveredShown || page[len(page)-1].String() <= after {
					break
				}
				after = page[len(page)-1].String()
			}
			if len(all) == 0 {
				_, err := fmt.Fprintln(p.out, "no unknown devices have spoken")
				return err
			}
			t := newTable(p.out)
			t.AppendHeader([]any{"community", "device", "profile", "kind (a guess)", "first seen", "last seen", "latest payload"})
			for _, d := range all {
				t.AppendRow([]any{printable([]byte(d.Community)), printable([]byte(d.Device)), d.Profile, d.Kind,
					d.First.Local().Format(time.DateTime), d.Last.Local().Format(time.DateTime), printable([]byte(shorten(d.Payload, 60)))})
			}
			t.Render()
			if more {
				_, err := fmt.Fprintln(p.out, "and more; see them with --limit")
				return err
			}
			return nil
		},
	}
	discovered.Flags().IntVar(&limit, "limit", 100, "show at most so many")

	var d greentally.Device
	var id, address, stream string
	var facts numbers
	var interval time.Duration
	adopt := &cobra.Command{
		Use:   "adopt DEVICE",
		Short: "Add a discovered device to its community's file",
		Long: `Adds the device to the community's YAML file, which is otherwise left as it is, takes the
file into force, and sends the device's dead letters through the journal again, so that
what it said before is not lost. Profile and kind are taken from what was discovered
unless they are given.

DEVICE is what the device calls itself in its topic, and becomes its id; give it another
with --id. Or DEVICE is the id, and --address says what the device calls itself. Some
profiles ask for facts about the device; the error names those that are missing.`,
		Example: `  greentally devices adopt bin-17 --community jiayuan --site e1-s1 --stream food
  greentally devices adopt 24e124713b492871 --id box-2 --community jiayuan --site gate --kind battery_box --fact empty_distance_mm=850 --fact full_distance_mm=250`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if id != "" && address != "" {
				return errors.New("give either --id or --address; DEVICE is the other")
			}
			d.ID, d.Address = cmp.Or(id, args[0]), cmp.Or(address, args[0])
			d.Stream, d.Facts, d.Interval = greentally.Stream(stream), facts, greentally.Duration(interval)
			var all []greentally.Discovered
			query := url.Values{"device": {d.Address}, "community": {community}}
			if err := c.call(cmd.Context(), http.MethodGet, "/api/v1/discovered?"+query.Encode(), nil, &all); err != nil {
				return err
			}
			for _, found := range all {
				if found.Device == d.Address && (found.Community == "" || found.Community == community) {
					d.Kind = cmp.Or(d.Kind, found.Kind)
					d.Profile = cmp.Or(d.Profile, found.Profile)
				}
			}
			if d.Address == d.ID {
				d.Address = "" // the default
			}
			if d.Kind == "" && d.Stream != "" {
				d.Kind = "sorting_bin" // the only kind that takes a stream
			}
			if d.Kind == "" {
				return errors.New("the kind cannot be told from what the device says; give it with --kind")
			}
			var adopted greentally.Device
			if err := c.call(cmd.Context(), http.MethodPost, "/api/v1/communities/"+url.PathEscape(community)+"/devices", d, &adopted); err != nil {
				return err
			}
			_, err := fmt.Fprintf(p.out, "adopted %s into %s as a %s\n", d.ID, community, d.Kind)
			return err
		},
	}
	adopt.Flags().StringVar(&community, "community", "", "the community")
	adopt.Flags().StringVar(&id, "id", "", "its id in the community (default: DEVICE)")
	adopt.Flags().StringVar(&address, "address", "", "what it calls itself in its topic, such as a DevEUI (default: DEVICE)")
	adopt.Flags().StringVar(&d.Site, "site", "", "the site where it stands")
	adopt.Flags().StringVar(&d.Kind, "kind", "", "its kind")
	adopt.Flags().StringVar(&d.Profile, "profile", "", "its profile")
	adopt.Flags().StringVar(&stream, "stream", "", "for a bin: recyclable, hazardous, food or residual")
	adopt.Flags().Float64Var(&d.CapacityLitres, "capacity-litres", 0, "its capacity")
	adopt.Flags().Float64Var(&d.MaxLoadKg, "max-load-kg", 0, "its greatest load")
	adopt.Flags().Float64Var(&d.ScaleResolutionKg, "scale-resolution-kg", 0, "its scale's resolution")
	adopt.Flags().Var(&facts, "fact", "a number about it that its profile asks for; once for each")
	adopt.Flags().DurationVar(&interval, "interval", 0, "how often it reports (default 10m)")
	for _, name := range []string{"community", "site"} {
		_ = adopt.MarkFlagRequired(name) // fails only for an unknown flag
	}
	cmd.AddCommand(list, discovered, adopt)
	return cmd
}

// numbers are given by flags, each with its name. They implement pflag.Value.
type numbers map[string]float64

func (f *numbers) String() string { return "" } // of the default, for the help: there are none

// Type is what the help calls a value.
func (f *numbers) Type() string { return "name=number" }

// Set adds one.
func (f *numbers) Set(text string) error {
	name, number, _ := strings.Cut(text, "=")
	v, err := strconv.ParseFloat(number, 64)
	if name == "" || err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return errors.New("want a name and a number, such as height_mm=850")
	}
	if _, ok := (*f)[name]; ok {
		return fmt.Errorf("%s is given twice", name)
	}
	if *f == nil {
		*f = numbers{}
	}
	(*f)[name] = v
	return nil
}
