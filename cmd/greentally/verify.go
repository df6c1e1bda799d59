package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"aead.dev/minisign"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"greentally"
	"greentally/internal/strictyaml"
	"greentally/records"
	"greentally/report"
	"greentally/report/bundle"
	"greentally/rules"
	"greentally/rules/alerts"
	"greentally/rules/factors"
	"greentally/rules/indicators"
	"greentally/rules/schemes"
)

func (p *program) verifyCommand() *cobra.Command {
	var keyText string
	var fromStore bool
	cmd := &cobra.Command{
		Use:   "verify BUNDLE",
		Short: "Check an evidence bundle, and compute everything in it again",
		Long: `Checks the bundle's signature and the SHA-256 of every file, and computes the month again from
the device-days, records and rules in it: every indicator, every item of every scheme; then it
writes table, workbook and PDF again and compares them. It needs neither the network nor a
running greentally.

Without --key it takes the signer's key from the bundle and prints it: compare it with the one
that the community has published (greentally export key). With --from-store it also tallies the
device-days again, from the readings in the store of the configuration, and compares records
and alerts with those in the store.

What is wrong is listed, with the file and the figure; then the exit status is 1.`,
		Example: `  greentally verify jiayuan-2026-10-evidence.zip
  greentally verify jiayuan-2026-10-evidence.zip --key community.pub
  greentally verify jiayuan-2026-10-evidence.zip --from-store`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := readFile(cmd, args[0])
			if err != nil {
				return err
			}
			trusted, err := publicKey(keyText)
			if err != nil {
				return fmt.Errorf("--key: %w", err)
			}
			b, wrong := bundle.Open(data, trusted)
			if b == nil {
				return fmt.Errorf("%s: %w", args[0], errors.Join(wrong...))
			}
			v := &verification{Bundle: b, out: p.out, wrong: wrong}
			v.say("%s %s, made %s by %s", b.Community, b.Month, b.Made.Format(time.RFC3339), b.Version)
			v.say("signed by %s", b.Signer)
			v.done("%d files, their SHA-256 and the signature", len(b.Files))
			if err := v.recompute(); err != nil {
				v.wrong = append(v.wrong, err)
			} else if fromStore {
				if err := p.recount(cmd.Context(), v); err != nil {
					return err
				}
			}
			if len(v.wrong) > 0 {
				return fmt.Errorf("%s is NOT as it was handed in:\n  %s", args[0], strings.ReplaceAll(errors.Join(v.wrong...).Error(), "\n", "\n  "))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&keyText, "key", "", "public key that it must be signed by, or a file with it")
	cmd.Flags().BoolVar(&fromStore, "from-store", false, "tally the device-days again from the readings in the store")
	return cmd
}

// publicKey reads a key, or a file with one.
func publicKey(text string) (*minisign.PublicKey, error) {
	if text == "" {
		return nil, nil
	}
	if data, err := os.ReadFile(text); err == nil {
		text = strings.TrimSpace(string(data))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var key minisign.PublicKey
	if err := key.UnmarshalText([]byte(text)); err != nil {
		return nil, fmt.Errorf("%q is neither a key nor a file with one: %w", text, err)
	}
	return &key, nil
}

// verification is a bundle that is being checked.
type verification struct {
	*bundle.Bundle
	out   io.Writer
	wrong []error // what was found; each names the file

	export *report.Export
	kinds  []*greentally.Kind
	types  *records.Types
	set    *indicators.Set
}

func (v *verification) kind(name string) (*greentally.Kind, bool) {
	i := slices.IndexFunc(v.kinds, func(k *greentally.Kind) bool { return k.Name == name })
	if i < 0 {
		return nil, false
	}
	return v.kinds[i], true
}

func (v *verification) say(format string, args ...any) {
	_, _ = fmt.Fprintf(v.out, format+"\n", args...)
}

// done says what is right, unless anything was found.
func (v *verification) done(format string, args ...any) {
	if len(v.wrong) == 0 {
		v.say("✓ "+format, args...)
	}
}

func (v *verification) found(format string, args ...any) {
	v.wrong = append(v.wrong, fmt.Errorf(format, args...))
}

// recompute computes what is in the bundle from what it rests on. The error is about what
// cannot be read.
func (v *verification) recompute() error {
	if err := v.read(); err != nil {
		return err
	}
	e := v.export
	v.attachments()
	loc, err := time.LoadLocation(e.Community.TimeZone)
	if err != nil {
		return fmt.Errorf("%s: %w", exportName, err)
	}
	certification, err := v.rules()
	if err != nil {
		return err
	}
	again := *e
	again.Kinds, again.Types = kindsOf(&e.Community, v.kinds), v.types.All()
	again.Indicators, again.Workings = v.set.Workings(indicators.Evidence{Community: &e.Community, Month: e.Month, Through: e.AsOf, Days: e.Days, Records: e.Records, Alerts: e.Alerts, Location: loc})
	again.Assessments, err = certification.Assess(schemes.Evidence{Community: &e.Community, Month: e.Month, Indicators: again.Indicators, Records: e.Records})
	if err != nil {
		return fmt.Errorf("rules/schemes: %w", err)
	}
	for _, r := range report.Compare(e, &again) {
		v.found("%s: %s %s: %s is %s, and comes to %s when it is computed again", exportName, r.Of, r.Name, r.What, or(r.Old, "nothing"), or(r.New, "nothing"))
	}
	compareAll(v, "indicator", e.Indicators, again.Indicators, func(i greentally.IndicatorValue) string { return i.Indicator })
	compareAll(v, "assessment by", e.Assessments, again.Assessments, func(a greentally.Assessment) string { return a.Scheme })
	v.done("%d indicators and %d assessments, from %d device-days, %d records and %d alerts", len(e.Indicators), len(e.Assessments), len(e.Days), len(e.Records), len(e.Alerts))
	return v.documents(&again)
}

// read reads the export and the device-days. Nothing may stand in them twice, or unknown: what
// people see must be what is computed with.
func (v *verification) read() error {
	strict := jsonv2.RejectUnknownMembers(v.Version == version())
	var e report.Export
	if err := jsonv2.Unmarshal(v.File(exportName), &e, strict); err != nil {
		return fmt.Errorf("%s: %w", exportName, err)
	}
	v.export = &e
	for line := range bytes.Lines(v.File(daysName)) {
		var d greentally.DeviceDay
		if err := jsonv2.Unmarshal(line, &d, strict); err != nil {
			return fmt.Errorf("%s: line %d: %w", daysName, len(e.Days)+1, err)
		}
		e.Days = append(e.Days, d)
	}
	last := e.Month.Last()
	if e.AsOf.Before(last) {
		last = e.AsOf
		v.say("note: the month was not over; the figures are up to %s", e.Through)
	}
	switch {
	case e.Community.ID != v.Community || e.Month != v.Month || !e.Made.Equal(v.Made):
		v.found("%s: it is of %s %s, made %s; the manifest says otherwise", exportName, e.Community.ID, e.Month, e.Made.Format(time.RFC3339))
	case e.Through != last:
		v.found("%s: through is %s, and comes to %s", exportName, e.Through, last)
	}
	return nil
}

// documents writes what people read again, and compares it.
func (v *verification) documents(again *report.Export) error {
	var table, book, paper bytes.Buffer
	table.WriteString("\ufeff")
	if err := report.CSV(&table, again.Indicators); err != nil {
		return err
	}
	if !bytes.Equal(table.Bytes(), v.File("export.csv")) {
		v.found("export.csv: it does not say what the figures come to")
	}
	if v.Version != version() {
		for _, err := range report.CheckXLSX(v.File("export.xlsx"), again.Indicators) {
			v.found("export.xlsx: %w", err)
		}
		v.done("the table, and the values of the indicators in the workbook")
		v.say("note: made by %s, checked by %s: export.pdf and the rest of the workbook are covered by the signature alone", v.Version, version())
		return nil
	}
	if err := errors.Join(again.XLSX(&book, "zh"), again.PDF(&paper, "zh")); err != nil {
		return err
	}
	differ, err := report.SameXLSX(v.File("export.xlsx"), book.Bytes())
	if err != nil {
		v.found("export.xlsx: %w", err)
	}
	for _, part := range differ {
		v.found("export.xlsx: %s is not what the figures come to", part)
	}
	if !bytes.Equal(paper.Bytes(), v.File("export.pdf")) {
		v.found("export.pdf: it is not what the figures come to")
	}
	v.done("the table, the workbook and the PDF, written again")
	return nil
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// compareAll finds what is different in anything else than the figures that were compared.
func compareAll[T any](v *verification, what string, stated, again []T, name func(T) string) {
	have := map[string][]byte{}
	for _, one := range stated {
		have[name(one)], _ = json.Marshal(one)
	}
	for _, one := range again {
		text, _ := json.Marshal(one)
		if !bytes.Equal(text, have[name(one)]) && !slices.ContainsFunc(v.wrong, func(err error) bool { return strings.Contains(err.Error(), " "+name(one)) }) {
			v.found("%s: %s %s is not what it comes to when it is computed again", exportName, what, name(one))
		}
		delete(have, name(one))
	}
	for name := range have {
		v.found("%s: %s %s is in it, and no rule computes it", exportName, what, name)
	}
}

// attachments checks that what records have attached is there.
func (v *verification) attachments() {
	n, named := 0, map[string]bool{}
	for _, r := range v.export.Records {
		for _, a := range r.Attachments {
			n++
			named[attachmentName(a)] = true
			content := v.File(attachmentName(a))
			if described, err := records.Describe(a.Name, content); err != nil || described.SHA256 != a.SHA256 || described.Size != a.Size {
				v.found("%s: it is not what record %s has attached as %s", attachmentName(a), r.ID, a.Name)
			}
		}
	}
	for _, e := range v.Files {
		if strings.HasPrefix(e.Name, attachmentsName+"/") && !named[e.Name] {
			v.found("%s: no record has attached it", e.Name)
		}
	}
	v.done("%d attachments of records", n)
}

// rules reads the rules in the bundle.
func (v *verification) rules() (*schemes.Set, error) {
	if err := jsonv2.Unmarshal(v.File(kindsName), &v.kinds); err != nil {
		return nil, fmt.Errorf("%s: %w", kindsName, err)
	}
	folder := func(name string) strictyaml.Folder {
		sub, err := fs.Sub(v.FS(), rulesName+"/"+name)
		if err != nil {
			return strictyaml.Folder{Name: name, FS: v.FS()}
		}
		return strictyaml.Folder{Name: rulesName + "/" + name, FS: sub}
	}
	if err := v.strange(); err != nil {
		return nil, err
	}
	var err error
	if v.types, err = records.LoadTypes(folder("records")); err != nil {
		return nil, err
	}
	figures, err := factors.Load(folder("factors"))
	if err != nil {
		return nil, err
	}
	watched, err := alerts.Load(v.kind, folder("alerts"))
	if err != nil {
		return nil, err
	}
	if v.set, err = indicators.Load(indicators.Vocabulary{Kind: v.kind, RecordType: v.types.Type, Factor: figures.Factor, AlertRule: watched.OfDevices}, folder("indicators")); err != nil {
		return nil, err
	}
	return schemes.Load(schemes.Vocabulary{Units: v.set.Units(), RecordType: v.types.Type}, folder("schemes"))
}

// strange says which rules are not those that this program ships: an assessor reads them.
func (v *verification) strange() error {
	shipped := map[string][]byte{}
	for name, folders := range (config{}).ruleFolders() {
		_, contents, err := folders[0].Files()
		if err != nil {
			return err
		}
		for file, data := range contents {
			shipped[rulesName+"/"+name+"/"+path.Base(file)] = data
		}
	}
	var own, changed []string
	for _, e := range v.Files {
		original, known := shipped[e.Name]
		switch {
		case !strings.HasPrefix(e.Name, rulesName+"/") || e.Name == kindsName:
		case !known:
			own = append(own, e.Name)
		case !bytes.Equal(original, v.File(e.Name)):
			changed = append(changed, e.Name)
		}
	}
	if len(own) > 0 {
		v.say("note: rules of the community's own: %s", strings.Join(own, ", "))
	}
	if len(changed) > 0 {
		v.say("note: rules that are NOT as this program ships them: %s", strings.Join(changed, ", "))
	}
	return nil
}

// recount tallies the device-days of the bundle from the readings in the store.
func (p *program) recount(ctx context.Context, v *verification) (err error) {
	c, err := loadConfig(p.configFile, p.environment)
	if err != nil {
		return err
	}
	store, err := openStore(ctx, c, p.logger(c))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	loc, err := time.LoadLocation(v.export.Community.TimeZone)
	if err != nil {
		return err
	}
	again := &counted{ReadingStore: store, records: v.export.Records, days: map[string]greentally.DeviceDay{}}
	worker := rules.Worker{Store: again, Registry: func() rules.Registry { return bundled{v, loc} }, Indicators: v.set, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	var touches []rules.Touch
	for _, d := range v.export.Community.Devices {
		touches = append(touches, rules.Touch{DeviceKey: d.Key(), From: v.export.Month.First().Start(loc), To: v.export.Month.Next().First().Start(loc).Add(-1)})
	}
	if err := worker.Apply(ctx, touches); err != nil {
		return err
	}
	stated := map[string]bool{}
	for i := range v.export.Days {
		d := &v.export.Days[i]
		name := d.Device + " " + d.Date.String()
		stated[name] = true
		said, _ := json.Marshal(d)
		var counted []byte
		if day, ok := again.days[name]; ok {
			counted, _ = json.Marshal(day)
		}
		if !bytes.Equal(said, counted) {
			v.found("%s: line %d: device-day %s: the readings in the store give another: %s", daysName, i+1, name, whereParted(said, counted))
		}
	}
	for name, d := range again.days {
		if !stated[name] && d.Date.MonthOf() == v.export.Month && !v.export.Through.Before(d.Date) && d.Readings > 0 {
			v.found("%s: device-day %s is missing: there are %d readings of it in the store", daysName, name, d.Readings)
		}
	}
	v.done("%d device-days, from the readings in the store", len(v.export.Days))
	return v.attested(ctx, store, loc)
}

// attested compares records and alerts with those in the store.
func (v *verification) attested(ctx context.Context, store greentally.Store, loc *time.Location) error {
	e := v.export
	kept, err := store.Records(ctx, e.Community.ID, greentally.Date{}, greentally.Date{})
	if err != nil {
		return err
	}
	missing := map[string]greentally.Record{}
	for _, r := range kept {
		missing[r.ID] = r
	}
	for _, r := range e.Records {
		said, _ := json.Marshal(r)
		there, _ := json.Marshal(missing[r.ID])
		if !bytes.Equal(said, there) {
			v.found("%s: record %s is another in the store, or is not there", exportName, r.ID)
		}
		delete(missing, r.ID)
	}
	for id, r := range missing {
		if !r.Recorded.After(e.Made) {
			v.found("%s: record %s is missing: the store has it, from before", exportName, id)
		}
	}
	fired, err := store.Alerts(ctx, e.Community.ID, e.Month.First().Start(loc), e.Month.Next().First().Start(loc))
	if err != nil {
		return err
	}
	type instance struct {
		greentally.AlertKey
		fired int64
	}
	alerts := map[instance]greentally.Alert{}
	for _, a := range fired {
		alerts[instance{a.Key(), a.Fired.UnixNano()}] = a
	}
	for _, a := range e.Alerts {
		key := instance{a.Key(), a.Fired.UnixNano()}
		there, ok := alerts[key]
		switch {
		case !ok:
			v.found("%s: alert %s of %s at %s is not in the store", exportName, a.Rule, a.Device, a.Fired.Format(time.RFC3339))
		case !a.Since.Equal(there.Since) || a.Ended != nil && (there.Ended == nil || !a.Ended.Equal(*there.Ended)):
			v.found("%s: alert %s of %s at %s began or ended at another time in the store", exportName, a.Rule, a.Device, a.Fired.Format(time.RFC3339))
		}
		delete(alerts, key)
	}
	for _, a := range alerts {
		if !a.Fired.After(e.Made) {
			v.found("%s: alert %s of %s at %s is missing: the store has it", exportName, a.Rule, a.Device, a.Fired.Format(time.RFC3339))
		}
	}
	v.done("%d records and %d alerts, as they are in the store", len(e.Records), len(e.Alerts))
	return nil
}

// whereParted says where two texts of JSON part.
func whereParted(stated, counted []byte) string {
	if counted == nil {
		return "there are no readings"
	}
	at := 0
	for at < min(len(stated), len(counted)) && stated[at] == counted[at] {
		at++
	}
	from := max(0, bytes.LastIndexByte(stated[:at], ','))
	piece := func(text []byte) string { return strconv.Quote(string(text[from:min(len(text), at+40)])) }
	return "stated …" + piece(stated) + ", counted …" + piece(counted)
}

// counted is a store from which readings come, and in which tallies stay.
type counted struct {
	greentally.ReadingStore
	records []greentally.Record
	days    map[string]greentally.DeviceDay
}

func (s *counted) Readings(ctx context.Context, q greentally.ReadingQuery) iter.Seq2[greentally.Reading, error] {
	return s.ReadingStore.Readings(ctx, q)
}

func (s *counted) WriteDeviceDays(_ context.Context, days []greentally.DeviceDay) error {
	for _, d := range days {
		s.days[d.Device+" "+d.Date.String()] = d
	}
	return nil
}

func (s *counted) DeviceDays(context.Context, greentally.DeviceDayQuery) ([]greentally.DeviceDay, error) {
	return nil, nil
}
func (s *counted) WriteIndicators(context.Context, []greentally.IndicatorValue) error { return nil }
func (s *counted) WriteAssessments(context.Context, []greentally.Assessment) error    { return nil }
func (s *counted) Alerts(context.Context, string, time.Time, time.Time) ([]greentally.Alert, error) {
	return nil, nil
}
func (s *counted) Records(context.Context, string, greentally.Date, greentally.Date) ([]greentally.Record, error) {
	return s.records, nil
}

// bundled is the registry of a bundle.
type bundled struct {
	*verification
	location *time.Location
}

func (b bundled) Community(string) (*greentally.Community, bool) { return &b.export.Community, true }
func (b bundled) Location(string) (*time.Location, bool)         { return b.location, true }
func (b bundled) Kind(name string) (*greentally.Kind, bool)      { return b.kind(name) }
func (b bundled) Device(key greentally.DeviceKey) (*greentally.Device, bool) {
	for _, d := range b.export.Community.Devices {
		if d.Key() == key {
			return d, true
		}
	}
	return nil, false
}
