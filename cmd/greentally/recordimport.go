package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"greentally"
	"greentally/records"
)

func (p *program) recordImportCommand(c *client) *cobra.Command {
	var community, kind string
	var check bool
	cmd := &cobra.Command{
		Use:   "import FILE.csv",
		Short: "Add records from a table as spreadsheets save it",
		Long: `Adds records from a table: CSV in UTF-8 or GBK, separated by commas, semicolons or tabs, as
Excel and WPS save it. - is standard input. The first line names the columns:

  community type date until at end stream device item by why replaces attachments
  社区 类型 日期 至 时刻 结束时刻 垃圾类别 设备 条目 填报人 说明 更正 附件

Each other column is a value or a text of the row's type, by its name or its Chinese title:
asked or 调查人数. Cells that do not concern a row are empty. "attachments" are paths of
photos and documents, separated by ";". They are in the folder of the table, or below: a
table that others made takes nothing from elsewhere. Begin with a template:

    greentally record template --type survey > survey.csv

All rows are checked before any is added, and all errors of all rows are told at once. Rows
that the log has already are skipped, so a table can be imported again when it has grown.`,
		Example: `  greentally record import survey.csv
  greentally record import tickets.csv --community jiayuan --type haul_ticket --check`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := loadConfig(p.configFile, p.environment)
			if err != nil {
				return err
			}
			types, err := openRecordTypes(config)
			if err != nil {
				return err
			}
			data, err := readFile(cmd, args[0])
			if err != nil {
				return err
			}
			folder, err := os.OpenRoot(filepath.Dir(args[0]))
			if err != nil {
				return err
			}
			defer folder.Close()
			i := importing{program: p, client: c, name: args[0], folder: folder}
			rows, past, err := types.ReadCSV(records.CSV{
				Name: args[0], Community: community, Type: kind, Location: c.locations(cmd.Context()),
				Attach: func(path string) (greentally.Attachment, error) { return describeFile(path, i.read) },
			}, data)
			return i.run(cmd.Context(), rows, past, err, check)
		},
	}
	cmd.Flags().StringVar(&community, "community", "", "the community of rows that name none")
	cmd.Flags().StringVar(&kind, "type", "", "the type of rows that name none")
	cmd.Flags().BoolVar(&check, "check", false, "only check: add nothing")
	return cmd
}

// importing adds the rows of a table.
type importing struct {
	*program
	client *client
	name   string
	folder *os.Root  // of the table
	shown  *progress // nil for a short table
	done   int
}

// read reads a file of which the table has the path. The table may be of somebody who is not meant
// to have other files of this disk: it must be a regular one in its folder or below, also behind
// symbolic links, and not too long for an attachment.
func (i *importing) read(path string) ([]byte, error) {
	name := filepath.FromSlash(path)
	if !filepath.IsLocal(name) {
		return nil, fmt.Errorf("%s is not in the folder of the table; put the file there, and give its path from there", path)
	}
	info, err := i.folder.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file", path)
	}
	if err != nil {
		return nil, err
	}
	file, err := i.folder.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readBounded(file)
}

func (i *importing) step() {
	if i.done++; i.shown != nil {
		i.shown.set(i.done)
	}
}

// run asks the server of all rows first, and adds them if nothing is wrong with any of the
// table's. Wrong is what is known to be wrong already.
func (i *importing) run(ctx context.Context, rows []records.Row, past int, wrong error, check bool) error {
	const few = 50
	if len(rows) > few {
		i.shown = newProgress(i.err, 2*len(rows), "importing")
	}
	skipped := map[int]error{} // by line
	all := []error{wrong}
	for _, row := range rows {
		err := i.client.call(ctx, http.MethodPost, recordsPath(row.Record.Community)+"?check=true", row.Record, &greentally.Record{})
		switch {
		case isThere(err):
			skipped[row.Line] = err
		case errors.As(err, new(*refusal)):
			all = append(all, i.at(row, err))
		case err != nil:
			return errors.Join(append(all, err, errors.New("nothing was added"))...)
		}
		i.step()
	}
	if err := errors.Join(all...); err != nil {
		return fmt.Errorf("%w\nnothing was added", err)
	}
	var lines []string
	say := func(row records.Row, format string, args ...any) {
		lines = append(lines, fmt.Sprintf("%s:%d: ", i.name, row.Line)+fmt.Sprintf(format, args...))
	}
	added := 0
	for _, row := range rows {
		err := skipped[row.Line]
		var kept greentally.Record
		if err == nil && !check {
			kept, err = i.add(ctx, row)
		}
		switch {
		case isThere(err):
			skipped[row.Line] = err
			say(row, "skipped: %s", shortReason(err))
		case err != nil:
			err = fmt.Errorf("%w\n%d were added before; import the table again when it is mended, and they are skipped", i.at(row, err), added)
			return errors.Join(err, i.print(lines))
		default:
			added++
			if !check {
				say(row, "added %s", kept.ID)
			}
		}
		i.step()
	}
	if i.shown != nil {
		i.shown.finish()
	}
	verb := "added"
	if check {
		verb = "can be added"
	}
	summary := fmt.Sprintf("%d %s, %d there already", added, verb, len(skipped))
	if past > 0 {
		summary += fmt.Sprintf(", %d left out that were replaced or withdrawn", past)
	}
	return i.print(append(lines, summary))
}

func (i *importing) add(ctx context.Context, row records.Row) (added greentally.Record, err error) {
	if err := i.client.upload(ctx, row.Record.Community, row.Files, i.read); err != nil {
		return added, err
	}
	err = i.client.call(ctx, http.MethodPost, recordsPath(row.Record.Community), row.Record, &added)
	return added, err
}

// at says of an error in which line its cause is.
func (i *importing) at(row records.Row, err error) error {
	return fmt.Errorf("%s:%d: %w", i.name, row.Line, err)
}

func (i *importing) print(lines []string) error {
	_, err := fmt.Fprintln(i.out, strings.Join(lines, "\n"))
	return err
}

// shortReason returns what a server said, without which server it was.
func shortReason(err error) string {
	if r := (*refusal)(nil); errors.As(err, &r) {
		return r.reason
	}
	return err.Error()
}

func (p *program) recordTemplateCommand() *cobra.Command {
	var kind, language string
	cmd := &cobra.Command{
		Use: "template", Short: "Print the header and an example of a table to import", Args: cobra.NoArgs,
		Example: `  greentally record template --type haul_ticket > tickets.csv`,
		RunE: func(*cobra.Command, []string) error {
			if err := oneOf("lang", language, "zh", "en"); err != nil {
				return err
			}
			config, err := loadConfig(p.configFile, p.environment)
			if err != nil {
				return err
			}
			types, err := openRecordTypes(config)
			if err != nil {
				return err
			}
			return types.WriteTemplate(p.data, kind, language)
		},
	}
	cmd.Flags().StringVar(&kind, "type", "", "the type of the records, such as survey")
	cmd.Flags().StringVar(&language, "lang", "zh", "language of the header: zh or en")
	_ = cmd.MarkFlagRequired("type") // fails only for an unknown flag
	return cmd
}
