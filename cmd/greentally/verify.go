package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"aead.dev/minisign"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"greentally"
	"greentally/devices"
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

What is wrong is listed, with the file and the figure; then the exit status is 1. A bundle that is
not as it was signed is not computed again: its rules may be anybody's.`,
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
				return fmt.Errorf("%s: %s", args[0], plain(errors.Join(wrong...).Error()))
			}
			v := &verification{Bundle: b, out: p.out, wrong: wrong}
			v.say("%s %s, made %s by %s", b.Community, b.Month, b.Made.Format(time.RFC3339), b.Version)
			v.say("signed by %s", b.Signer)
			v.done("%d files, their SHA-256 and the signature", len(b.Files))
			if len(wrong) > 0 {
				v.say("nothing was computed again, because the files are not those that were signed: the rules among them may be anybody's")
			} else if err := v.recompute(); err != nil {
				v.wrong = append(v.wrong, err)
			} else if fromStore {
				if err := p.recount(cmd.Context(), v); err != nil {
					return err
				}
			}
			if len(v.wrong) > 0 {
				lines := make([]string, len(v.wrong))
				for i, err := range v.wrong {
					lines[i] = "\n  " + plain(strings.ReplaceAll(err.Error(), "\n", "; "))
				}
				return fmt.Errorf("%s is NOT as it was handed in:%s", args[0], strings.Join(lines, ""))
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

	location *time.Location
}

func (v *verification) kind(name string) (*greentally.Kind, bool) {
	i := slices.IndexFunc(v.kinds, func(k *greentally.Kind) bool { return k.Name == name })
	if i < 0 {
		return nil, false
	}
	return v.kinds[i], true
}

func (v *verification) say(format string, args ...any) {
	_, _ = fmt.Fprintln(v.out, plain(fmt.Sprintf(format, args...)))
}

// plain replaces what would move the cursor, or hide: what is printed comes from strangers.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, text)
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
	certification, err := v.rules()
	if err != nil {
		return err
	}
	for _, r := range greentally.InForce(e.Records) {
		if err := v.types.Validate(r); err != nil {
			v.say("note: record %s by %s of %s is not as its type demands now: %v", r.ID, r.By, r.Date, err)
		}
	}
	again := *e
	again.Kinds, again.Types = kindsOf(&e.Community, v.kinds), v.types.All()
	again.Indicators, again.Workings = v.set.Workings(indicators.Evidence{Community: &e.Community, Month: e.Month, Through: e.AsOf, Days: e.Days, Records: e.Records, Alerts: e.Alerts, Location: v.location})
	again.Assessments, err = certification.Assess(schemes.Evidence{Community: &e.Community, Month: e.Month, Indicators: again.Indicators, Records: e.Records})
	if err != nil {
		return fmt.Errorf("rules/schemes: %w", err)
	}
	for _, r := range report.Compare(e, &again) {
		v.found("%s: %s %s: %s is %s, and comes to %s when it is computed again", exportName, r.Of, r.Name, r.What, cmp.Or(r.Old, "nothing"), cmp.Or(r.New, "nothing"))
	}
	compareAll(v, "indicator", e.Indicators, again.Indicators, func(i greentally.IndicatorValue) string { return i.Indicator })
	compareAll(v, "assessment by", e.Assessments, again.Assessments, func(a greentally.Assessment) string { return a.Scheme })
	v.done("%d indicators and %d assessments, from %d device-days, %d records and %d alerts", len(e.Indicators), len(e.Assessments), len(e.Days), len(e.Records), len(e.Alerts))
	return v.documents(&again)
}

// read reads the export and the device-days. Nothing may stand in them twice, or unknown: what
// people see must be what is computed with.
func (v *verification) read() error {
	if err := v.tooMuch(); err != nil {
		return err
	}
	strict := jsonv2.RejectUnknownMembers(true)
	var e report.Export
	if err := jsonv2.Unmarshal(v.File(exportName), &e, strict); err != nil {
		return fmt.Errorf("%s: %w", exportName, err)
	}
	if slices.Contains(e.Community.Devices, nil) {
		return fmt.Errorf("%s: a device is null", exportName)
	}
	v.export = &e
	for line := range bytes.Lines(v.File(daysName)) {
		var d greentally.DeviceDay
		if err := jsonv2.Unmarshal(line, &d, strict); err != nil {
			return fmt.Errorf("%s: line %d: %w", daysName, len(e.Days)+1, err)
		}
		e.Days = append(e.Days, d)
	}
	loc, err := time.LoadLocation(e.Community.TimeZone)
	if err != nil {
		return fmt.Errorf("%s: %w", exportName, err)
	}
	v.location = loc
	v.say("%s %s (%s), %d households, figures up to %s", e.Community.Name.In("zh"), e.Month, e.Community.ID, e.Community.Households, e.Through)
	asOf, last := greentally.DateOf(e.Made, loc).Add(-1), e.Month.Last()
	if asOf.Before(last) {
		last = asOf
		v.say("note: the month was not over when this was made")
	}
	switch {
	case e.Community.ID != v.Community || e.Month != v.Month || !e.Made.Equal(v.Made) || e.Version != v.Version:
		return fmt.Errorf("%s: it is of %s %s, made %s by %s; the manifest says otherwise", exportName, e.Community.ID, e.Month, e.Made.Format(time.RFC3339), e.Version)
	case e.AsOf != asOf || e.Through != last:
		return fmt.Errorf("%s: as_of is %s and through %s; what was made %s is of %s and %s", exportName, e.AsOf, e.Through, e.Made.Format(time.RFC3339), asOf, last)
	}
	if a := e.Application; a != nil {
		v.say("note: it says of itself that it belongs to application %s, %s by %s; that is not computed", a.ID, a.Stage, a.Scheme)
	}
	v.known()
	return nil
}

// What a bundle can have at most, so that a stranger's does not use up the memory: a few bytes of
// text become hundreds when they are read.
const (
	maxBundleDays    = 1_000_000 // device-days
	maxBundleObjects = 1_000_000 // in export.json
	maxBundleRules   = 8 << 20   // bytes
)

func (v *verification) tooMuch() error {
	if n := bytes.Count(v.File(daysName), []byte("\n")); n > maxBundleDays {
		return fmt.Errorf("%s: it has %d device-days; the most is %d", daysName, n, maxBundleDays)
	}
	if n := bytes.Count(v.File(exportName), []byte("{")); n > maxBundleObjects {
		return fmt.Errorf("%s: it has %d objects; the most is %d", exportName, n, maxBundleObjects)
	}
	rules := 0
	for _, e := range v.Files {
		if strings.HasPrefix(e.Name, rulesName+"/") {
			rules += len(v.File(e.Name))
		}
	}
	if rules > maxBundleRules {
		return fmt.Errorf("%s: the rules come to %d bytes; the most is %d", rulesName, rules, maxBundleRules)
	}
	return nil
}

// known finds files that nothing explains.
func (v *verification) known() {
	for _, e := range v.Files {
		switch {
		case strings.HasPrefix(e.Name, rulesName+"/"), strings.HasPrefix(e.Name, attachmentsName+"/"):
		case !slices.Contains([]string{exportName, "export.xlsx", "export.pdf", "export.csv", daysName, readmeName, bundle.SignerName}, e.Name):
			v.found("%s: no bundle has such a file", e.Name)
		}
	}
	if string(v.File(readmeName)) != bundleReadme && v.Version == version() {
		v.found("%s: it says something else", readmeName)
	}
}

// documents writes what people read again, and compares it.
func (v *verification) documents(again *report.Export) error {
	written := map[string][]byte{}
	for _, format := range []string{"csv", "xlsx", "pdf"} {
		var err error
		if written[format], err = document(again, format, "zh"); err != nil {
			return err
		}
	}
	if !bytes.Equal(written["csv"], v.File("export.csv")) {
		v.found("export.csv: it does not say what the figures come to")
	}
	differ, err := report.SameXLSX(v.File("export.xlsx"), written["xlsx"])
	if err != nil {
		v.found("export.xlsx: %w", err)
	}
	same := bytes.Equal(written["pdf"], v.File("export.pdf"))
	if v.Version != version() && (len(differ) > 0 || !same) {
		for _, err := range report.CheckXLSX(v.File("export.xlsx"), again.Indicators) {
			v.found("export.xlsx: %w", err)
		}
		v.done("the table, and the values of the indicators in the workbook")
		v.say("note: made by %s, checked by %s, which writes workbook and PDF otherwise: let %s check them", v.Version, version(), v.Version)
		return nil
	}
	if n := len(differ); n > 0 {
		v.found("export.xlsx: %s is not what the figures come to, of %d parts that differ", differ[n-1], n)
	}
	if !same {
		v.found("export.pdf: it is not what the figures come to")
	}
	v.done("the table, the workbook and the PDF, written again")
	return nil
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
	for _, r := range v.export.Counted() {
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
	if slices.Contains(v.kinds, nil) {
		return nil, fmt.Errorf("%s: a kind is null", kindsName)
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
	files, err := (config{}).readRules()
	if err != nil {
		return err
	}
	for _, f := range files {
		shipped[f.Name] = f.Data
	}
	var own, changed, missing []string
	for name := range shipped {
		if v.File(name) == nil {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
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
	definitions, err := devices.Load(devices.Options{})
	if err != nil {
		return err
	}
	for _, k := range v.kinds {
		if original, known := definitions.Kind(k.Name); !known {
			own = append(own, kindsName+" "+k.Name)
		} else if !sameJSON(original, k) {
			changed = append(changed, kindsName+" "+k.Name)
		}
	}
	if len(own) > 0 {
		v.say("note: rules of the community's own: %s", strings.Join(own, ", "))
	}
	if len(missing) > 0 {
		v.say("note: rules that this program ships and that are NOT in it: %s", strings.Join(missing, ", "))
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
	stated := map[string]*greentally.DeviceDay{}
	for i := range v.export.Days {
		d := &v.export.Days[i]
		stated[d.Device+" "+d.Date.String()] = d
	}
	counted, err := v.count(ctx, store, v.export.Community.Devices)
	if err != nil {
		return err
	}
	different := map[string]int{} // lines
	for i := range v.export.Days {
		d := &v.export.Days[i]
		if day, ok := counted[d.Device+" "+d.Date.String()]; !ok || !sameJSON(day, d) {
			different[d.Device+" "+d.Date.String()] = i + 1
		}
	}
	if err := v.elsewhere(ctx, store, stated, different); err != nil {
		return err
	}
	for name, line := range different {
		d := stated[name]
		said, _ := json.Marshal(d)
		var again []byte
		if day, ok := counted[name]; ok {
			again, _ = json.Marshal(day)
		}
		v.found("%s: line %d: device-day %s: the readings in the store give another: %s", daysName, line, name, whereParted(said, again))
	}
	for name, d := range counted {
		if stated[name] == nil && d.Date.MonthOf() == v.export.Month && !v.export.Through.Before(d.Date) && d.Readings > 0 {
			v.found("%s: device-day %s is missing: there are %d readings of it in the store", daysName, name, d.Readings)
		}
	}
	if err := v.strangers(ctx, store); err != nil {
		return err
	}
	v.done("%d device-days, from the readings in the store", len(v.export.Days))
	return v.attested(ctx, store)
}

// count tallies the month of devices from the readings in the store.
func (v *verification) count(ctx context.Context, store greentally.ReadingStore, devices []*greentally.Device) (map[string]greentally.DeviceDay, error) {
	again := &counted{ReadingStore: store, records: v.export.Records, days: map[string]greentally.DeviceDay{}}
	worker := rules.Worker{Store: again, Registry: func() rules.Registry { return bundled{v, devices} }, Indicators: v.set, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	var touches []rules.Touch
	for _, d := range devices {
		touches = append(touches, rules.Touch{DeviceKey: d.Key(), From: v.export.Month.First().Start(v.location), To: v.export.Month.Next().First().Start(v.location).Add(-1)})
	}
	return again.days, worker.Apply(ctx, touches)
}

// elsewhere counts again what is different, with the device at the site, for the stream and with
// the limits that the device-day itself has: the registry may have said so then, and a device-day
// keeps what was true of its day. What is the same then is noted.
func (v *verification) elsewhere(ctx context.Context, store greentally.ReadingStore, stated map[string]*greentally.DeviceDay, different map[string]int) error {
	asThen := map[string]*greentally.Device{} // by what was true then
	days := map[string][]string{}
	for name := range different {
		d := stated[name]
		i := slices.IndexFunc(v.export.Community.Devices, func(one *greentally.Device) bool { return one.ID == d.Device })
		if i < 0 {
			continue // a day of no device that there is
		}
		then := *v.export.Community.Devices[i]
		then.Site, then.Stream, then.Kind, then.Limits = d.Site, d.Stream, d.Kind, maps.Clone(then.Limits)
		for q, g := range d.Gauges {
			if g.Limit != nil {
				if then.Limits == nil {
					then.Limits = map[string]float64{}
				}
				then.Limits[q] = g.Limit.Float()
			}
		}
		facts := fmt.Sprint(then.ID, " ", then.Site, " ", then.Stream, " ", then.Kind, " ", then.Limits)
		asThen[facts] = &then
		days[facts] = append(days[facts], name)
	}
	for _, facts := range slices.Sorted(maps.Keys(asThen)) {
		counted, err := v.count(ctx, store, []*greentally.Device{asThen[facts]})
		if err != nil {
			return err
		}
		same := 0
		for _, name := range days[facts] {
			if day, ok := counted[name]; ok && sameJSON(day, stated[name]) {
				delete(different, name)
				same++
			}
		}
		if then := asThen[facts]; same > 0 {
			v.say("note: %d device-days of %s are of when it was at site %q for stream %q with the limits %v; the registry says otherwise now", same, then.ID, then.Site, then.Stream, then.Limits)
		}
	}
	return nil
}

func sameJSON(a, b any) bool {
	one, _ := json.Marshal(a)
	other, _ := json.Marshal(b)
	return bytes.Equal(one, other)
}

// strangers notes devices that have device-days in the month and are not in the registry.
func (v *verification) strangers(ctx context.Context, store greentally.DeviceDayStore) error {
	days, err := store.DeviceDays(ctx, greentally.DeviceDayQuery{Community: v.export.Community.ID, From: v.export.Month.First(), To: v.export.Month.Last(), Totals: true})
	if err != nil {
		return err
	}
	unknown := map[string]int{}
	for _, d := range days {
		if !slices.ContainsFunc(v.export.Community.Devices, func(one *greentally.Device) bool { return one.ID == d.Device }) {
			unknown[d.Device]++
		}
	}
	for _, device := range slices.Sorted(maps.Keys(unknown)) {
		v.say("note: the store has %d device-days of %s, which is not among the devices of the community: it does not count", unknown[device], device)
	}
	return nil
}

// attested compares records and alerts with those in the store.
func (v *verification) attested(ctx context.Context, store greentally.Store) error {
	e, loc := v.export, v.location
	kept, err := store.Records(ctx, e.Community.ID, greentally.Date{}, greentally.Date{})
	if err != nil {
		return err
	}
	missing := map[string]greentally.Record{}
	for _, r := range kept {
		missing[r.ID] = r
	}
	for _, r := range e.Records {
		if !sameJSON(r, missing[r.ID]) {
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

// bundled is the registry of a bundle, with some devices.
type bundled struct {
	*verification
	devices []*greentally.Device
}

func (b bundled) Community(string) (*greentally.Community, bool) { return &b.export.Community, true }
func (b bundled) Location(string) (*time.Location, bool)         { return b.location, true }
func (b bundled) Kind(name string) (*greentally.Kind, bool)      { return b.kind(name) }
func (b bundled) Device(key greentally.DeviceKey) (*greentally.Device, bool) {
	for _, d := range b.devices {
		if d.Key() == key {
			return d, true
		}
	}
	return nil, false
}
