package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"greentally"
	"greentally/records"
)

// recordFlags are a record as it is given by flags.
type recordFlags struct {
	community, kind, date, until, at, end string
	stream, device, item                  string
	by, why, replaces                     string
	values                                numbers
	texts                                 []string
}

func (p *program) recordAddCommand(c *client) *cobra.Command {
	var f recordFlags
	var files []string
	cmd := &cobra.Command{
		Use:   "add [FILE]",
		Short: "Add a record by flags, or records from a JSON file",
		Long: `Adds a record that flags describe, or records from a JSON file: an object, several, or a
list. - is standard input. --attach puts photos and documents (JPEG, PNG, WebP, PDF) to a
record. Prints the ID of each record that was added.

A record that is evidence for an item of a certification scheme (an inspection, a document,
a judgement) names it in "item" as scheme/item, such as neimenggu/archive. Its "values" are:

  for an item that is met or not       "met": 1 or 0
  for an item that loses points        how often each fault was found, by the fault's ID:
                                       "incomplete": 2; or "met": 1 alone if there was none
  for an item that a person judges     "points"

Which items a scheme has: greentally assess --scheme. What an item does not take is
refused, with what there is.`,
		Example: `  greentally record add --community jiayuan --type survey --date 2026-10-08 --by 李娜 --value asked=200 --value aware=180 --attach photo.jpg
  greentally record add --community jiayuan --type haul_ticket --date 2026-10-08 --by 李娜 --stream food --value kg=1250 --text carrier=环卫所 --text destination=湿垃圾处理厂 --text treatment=composting --text ticket=0017334
  echo '{"community": "jiayuan", "type": "composition_audit", "date": "2026-10-08",
    "stream": "residual", "by": "Li Na", "values": {"recyclable_ratio": 0.021, "sample_kg": 120}}' | greentally record add -
  echo '{"community": "jiayuan", "type": "inspection", "date": "2026-10-09", "item": "neimenggu/archive",
    "by": "Li Na", "values": {"incomplete": 2}}' | greentally record add -`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			described := false
			cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) { described = described || f.Changed && f.Name != "attach" })
			var all []greentally.Record
			source := "the flags"
			switch {
			case len(args) == 1 && described:
				return errors.New("give either FILE, or a record by flags; with FILE, only --attach")
			case len(args) == 1:
				data, err := readFile(cmd, args[0])
				if err != nil {
					return err
				}
				if all, err = parseRecords(data); err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
				source = args[0]
			case !described:
				return errors.New("give FILE, or a record by flags: --community, --type, --date, --by and what its type must say, see greentally record types")
			default:
				r, err := f.record(c.locations(cmd.Context()))
				if err != nil {
					return err
				}
				all = []greentally.Record{r}
			}
			for i, r := range all {
				var missing string
				switch {
				case r.Community == "":
					missing = "community"
				case r.Date == (greentally.Date{}):
					missing = "date"
				default:
					continue
				}
				return fmt.Errorf("%s: record %d of %d: %s is missing; nothing was added", source, i+1, len(all), missing)
			}
			if len(files) > 0 && len(all) != 1 {
				return fmt.Errorf("--attach: there are %d records in %s, and it is not said to which one; nothing was added", len(all), source)
			}
			for i, r := range all {
				added, err := c.handIn(cmd.Context(), r, files)
				switch {
				case err != nil && len(args) == 0:
					return fmt.Errorf("nothing was added: %w", err)
				case err != nil:
					return fmt.Errorf("record %d of %d (those before were added): %w", i+1, len(all), err)
				}
				if _, err := fmt.Fprintln(p.out, added.ID); err != nil {
					return err
				}
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.community, "community", "", "the community")
	flags.StringVar(&f.kind, "type", "", "the type, such as survey")
	flags.StringVar(&f.date, "date", "", "the day that it speaks of, such as 2026-10-08")
	flags.StringVar(&f.until, "until", "", "the last day, if it speaks of several")
	flags.StringVar(&f.at, "at", "", "the instant that it speaks of, such as 2026-10-08T09:30 in the community's time, or with an offset")
	flags.StringVar(&f.end, "end", "", "when what began then was over")
	flags.StringVar(&f.stream, "stream", "", "recyclable, hazardous, food or residual")
	flags.StringVar(&f.device, "device", "", "the device that it is about")
	flags.StringVar(&f.item, "item", "", "the item of a scheme that it is evidence for, as scheme/item")
	flags.Var(&f.values, "value", "a number that it says; once for each")
	flags.StringArrayVar(&f.texts, "text", nil, "a text that it says, as name=text; once for each")
	flags.StringVar(&f.by, "by", "", "who attests it")
	flags.StringVar(&f.why, "why", "", "the reason, or where the evidence lies")
	flags.StringVar(&f.replaces, "replaces", "", "ID of the record that it corrects")
	flags.StringArrayVar(&files, "attach", nil, "a photo or document to attach; once for each")
	return cmd
}

// record returns the record that the flags describe.
func (f *recordFlags) record(location func(community string) (*time.Location, error)) (greentally.Record, error) {
	r := greentally.Record{
		Community: f.community, Type: f.kind, Stream: greentally.Stream(f.stream), Device: f.device, Item: f.item,
		By: f.by, Why: f.why, Replaces: f.replaces, Values: greentally.Values(f.values), Texts: map[string]string{},
	}
	var all []error
	add := func(flag string, err error) {
		if err != nil {
			all = append(all, fmt.Errorf("--%s: %w", flag, err))
		}
	}
	if f.date != "" {
		var err error
		r.Date, err = greentally.ParseDate(f.date)
		add("date", err)
	}
	if f.until != "" {
		until, err := greentally.ParseDate(f.until)
		r.Until = &until
		add("until", err)
	}
	instant := func(flag, text string) *time.Time {
		if text == "" {
			return nil
		}
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			var loc *time.Location
			if loc, err = location(f.community); err == nil {
				at, err = records.ParseTime(text, loc)
			}
		}
		add(flag, err)
		return &at
	}
	r.At, r.End = instant("at", f.at), instant("end", f.end)
	for _, pair := range f.texts {
		name, text, ok := strings.Cut(pair, "=")
		if _, twice := r.Texts[name]; twice || !ok || name == "" {
			add("text", fmt.Errorf("%q: want a name and a text, such as carrier=环卫所, and each name once", pair))
		}
		r.Texts[name] = text
	}
	return r, errors.Join(all...)
}

// transferTime is how long the transfer of a file may take.
const transferTime = 5 * time.Minute

// handIn adds a record with the files attached. It asks first whether the record would be
// taken, so that no file is sent in vain.
func (c *client) handIn(ctx context.Context, r greentally.Record, files []string) (added greentally.Record, err error) {
	if len(files) > 0 {
		asked := r
		for _, file := range files {
			a, err := describeFile(file, readAttachment)
			if err != nil {
				return added, err
			}
			asked.Attachments = append(asked.Attachments[:len(asked.Attachments):len(asked.Attachments)], a)
		}
		if err := c.call(ctx, http.MethodPost, recordsPath(r.Community)+"?check=true", asked, &added); err != nil {
			return added, err
		}
		if err := c.upload(ctx, r.Community, files, readAttachment); err != nil {
			return added, err
		}
		r = asked
	}
	err = c.call(ctx, http.MethodPost, recordsPath(r.Community), r, &added)
	return added, err
}

// readAttachment reads a file that the user named, so far that it can be told whether it is too
// long for an attachment.
func readAttachment(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readBounded(file)
}

func readBounded(file *os.File) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(file, greentally.MaxAttachment+1))
	if err == nil && len(content) > greentally.MaxAttachment {
		err = fmt.Errorf("%s is longer than an attachment may be, %d MiB", file.Name(), greentally.MaxAttachment>>20)
	}
	return content, err
}

// describeFile returns a file as an attachment by its hash alone: what else is kept of it the
// server knows.
func describeFile(file string, read func(name string) ([]byte, error)) (greentally.Attachment, error) {
	content, err := read(file)
	if err != nil {
		return greentally.Attachment{}, err
	}
	a, err := records.Describe(filepath.Base(file), content)
	return greentally.Attachment{SHA256: a.SHA256}, err
}

// upload keeps the files as attachments of the community.
func (c *client) upload(ctx context.Context, community string, files []string, read func(name string) ([]byte, error)) error {
	for _, file := range files {
		content, err := read(file)
		if err == nil {
			err = c.attach(ctx, community, filepath.Base(file), content)
		}
		if err != nil {
			return fmt.Errorf("attach %s: %w", file, err)
		}
	}
	return nil
}

func (c *client) attach(ctx context.Context, community, name string, content []byte) error {
	ctx, cancel := context.WithTimeout(ctx, transferTime)
	defer cancel()
	response, err := c.send(ctx, http.MethodPost, attachmentsPath(community)+"?"+url.Values{"name": {name}}.Encode(), "application/octet-stream", bytes.NewReader(content))
	if err != nil {
		return err
	}
	return decode(response, &greentally.Attachment{})
}

// parseRecords reads a list of records, or one record after another.
func parseRecords(data []byte) ([]greentally.Record, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	var records []greentally.Record
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '[' {
		if err := decoder.Decode(&records); err != nil {
			return nil, err
		}
		if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
			return nil, errors.New("there is more after the list; put all records into it")
		}
		return records, nil
	}
	for {
		var r greentally.Record
		switch err := decoder.Decode(&r); {
		case errors.Is(err, io.EOF) && len(records) > 0:
			return records, nil
		case errors.Is(err, io.EOF):
			return nil, errors.New("no records in it")
		case err != nil:
			return nil, err
		}
		records = append(records, r)
	}
}
