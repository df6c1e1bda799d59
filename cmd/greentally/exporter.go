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
	"path"
	"slices"
	"strings"
	"time"

	"aead.dev/minisign"

	"greentally"
	"greentally/applications"
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

// exporter makes what a community hands in for a month.
type exporter struct {
	config       config
	worker       *rules.Worker
	registry     *devices.Live
	types        *records.Types
	set          *indicators.Set
	schemes      *schemes.Set
	store        greentally.IndicatorStore
	attachments  *records.Attachments
	applications applicationLog
	bundles      bundleStore
	rules        []bundle.File // in force
	key          minisign.PrivateKey
	now          func() time.Time

	// settled reports whether what came in is stored and tallied, but for the latest seconds:
	// after a start, what was on its way is taken again, and figures are those of before.
	settled func(context.Context) (bool, error)
}

// applicationLog is what an exporter needs of the log of applications.
type applicationLog interface {
	Begin(context.Context, greentally.Step) (greentally.Application, error)
	Add(ctx context.Context, id string, s greentally.Step) (greentally.Application, error)
	Get(ctx context.Context, id string) (greentally.Application, error)
	All(ctx context.Context, community string) ([]greentally.Application, error)
}

// bundleStore keeps bundles by their SHA-256.
type bundleStore interface {
	Keep(ctx context.Context, bundle []byte) (sha256 string, err error)
	Get(ctx context.Context, sha256 string) ([]byte, error)
}

// figures gathers what a community's month comes to now, and what it rests on. The error wraps
// [fs.ErrNotExist] if there is no such community.
func (x *exporter) figures(ctx context.Context, community string, month greentally.Month) (*report.Export, error) {
	now := x.now()
	evidence, err := x.worker.Evidence(ctx, community, month, now)
	if err != nil {
		return nil, err
	}
	e := &report.Export{
		Community: *evidence.Community, Month: month, Through: evidence.Through, AsOf: evidence.Through, Made: now.UTC().Truncate(time.Second), Version: version(),
		Records: evidence.Records, Alerts: evidence.Alerts, Days: evidence.Days, Types: x.types.All(),
	}
	e.Days = slices.DeleteFunc(e.Days, func(d greentally.DeviceDay) bool { // of a device that has left the registry; it does not count
		return !slices.ContainsFunc(evidence.Community.Devices, func(one *greentally.Device) bool { return one.ID == d.Device })
	})
	if month.Last().Before(e.Through) {
		e.Through = month.Last()
	}
	e.Indicators, e.Workings = x.set.Workings(evidence)
	e.Assessments, err = x.schemes.Assess(schemes.Evidence{Community: evidence.Community, Month: month, Indicators: e.Indicators, Records: e.Records})
	return e, err
}

// month gathers a community's month as it stands now, for the export: its figures, the months
// before, and what it is handed in for.
func (x *exporter) month(ctx context.Context, community string, month greentally.Month) (*report.Export, error) {
	e, err := x.figures(ctx, community, month)
	if err != nil {
		return nil, err
	}
	e.Kinds = kindsOf(&e.Community, x.registry.Current().Kinds())
	before := month
	for range 11 {
		before = before.First().Add(-1).MonthOf()
		values, err := x.store.Indicators(ctx, community, before)
		if err != nil {
			return nil, err
		}
		e.Earlier = append(values, e.Earlier...)
	}
	return e, x.addApplication(ctx, e)
}

// kindsOf returns the kinds of the community's devices.
func kindsOf(c *greentally.Community, all []*greentally.Kind) (kinds []greentally.Kind) {
	for _, kind := range all {
		if slices.ContainsFunc(c.Devices, func(d *greentally.Device) bool { return d.Kind == kind.Name }) {
			kinds = append(kinds, *kind)
		}
	}
	return kinds
}

// addApplication adds what the month is handed in for, the latest if there are several, and
// what has become another figure since.
func (x *exporter) addApplication(ctx context.Context, e *report.Export) error {
	all, err := x.applications.All(ctx, e.Community.ID)
	if err != nil {
		return err
	}
	for i := range all {
		if all[i].Month == e.Month && all[i].Stage != greentally.StageWithdrawn {
			e.Application = &all[i]
		}
	}
	if e.Application == nil || e.Application.Submission == nil {
		return nil
	}
	e.Revisions, err = x.revised(ctx, e.Application, e)
	return err
}

// revised compares what was handed in with an application with the month's figures now, by the
// indicators and the scheme that was applied by.
func (x *exporter) revised(ctx context.Context, a *greentally.Application, now *report.Export) ([]greentally.Revision, error) {
	_, frozen, err := x.opened(ctx, a.Submission.Bundle)
	if err != nil {
		return nil, err
	}
	only := func(e *report.Export) *report.Export {
		some := *e
		some.Assessments = slices.DeleteFunc(slices.Clone(e.Assessments), func(one greentally.Assessment) bool { return one.Scheme != a.Scheme })
		return &some
	}
	return report.Compare(only(frozen), only(now)), nil
}

// keptBundle returns a bundle that is kept, as it is and read.
func (x *exporter) keptBundle(ctx context.Context, name string) ([]byte, *bundle.Bundle, error) {
	data, err := x.bundles.Get(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	b, wrong := bundle.Open(data, nil)
	if len(wrong) > 0 {
		return nil, nil, fmt.Errorf("bundle %s: %w", name, errors.Join(wrong...))
	}
	return data, b, nil
}

// opened returns a bundle that is kept, and the export in it.
func (x *exporter) opened(ctx context.Context, name string) (*bundle.Bundle, *report.Export, error) {
	_, b, err := x.keptBundle(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	var e report.Export
	if err := json.Unmarshal(b.File(exportName), &e); err != nil {
		return nil, nil, fmt.Errorf("bundle %s: %s: %w", name, exportName, err)
	}
	return b, &e, nil
}

// formats are what an export can be written as, with the media types.
func formats() map[string]string {
	return map[string]string{
		"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "pdf": "application/pdf",
		"csv": "text/csv; charset=utf-8", "json": "application/json", "zip": "application/zip",
	}
}

// write writes the export in a format.
func (x *exporter) write(ctx context.Context, e *report.Export, format, language string) ([]byte, error) {
	if format != "zip" {
		return document(e, format, language)
	}
	var out bytes.Buffer
	err := x.bundle(ctx, &out, e)
	return out.Bytes(), err
}

// document writes the export in a format that needs nothing else.
func document(e *report.Export, format, language string) ([]byte, error) {
	var out bytes.Buffer
	var err error
	switch format {
	case "xlsx":
		err = e.XLSX(&out, language)
	case "pdf":
		err = e.PDF(&out, language)
	case "csv":
		out.WriteString("\ufeff") // or Excel takes it for GBK
		err = report.CSV(&out, e.Indicators)
	case "json":
		err = e.JSON(&out)
	default:
		err = fmt.Errorf("format %q is none of xlsx, pdf, csv, json, zip", format)
	}
	return out.Bytes(), err
}

// fileName names an export.
func fileName(community string, month greentally.Month, format string) string {
	name := community + "-" + month.String()
	if format == "zip" {
		name += "-evidence"
	}
	return name + "." + format
}

// The files of a bundle.
const (
	exportName      = "export.json"
	daysName        = "device_days.jsonl"
	kindsName       = "rules/kinds.json"
	readmeName      = "README.txt"
	attachmentsName = "attachments"
	rulesName       = "rules"
)

// bundle packs the export with all that it rests on.
func (x *exporter) bundle(ctx context.Context, out *bytes.Buffer, e *report.Export) error {
	days, err := jsonLines(e.Days)
	if err != nil {
		return err
	}
	kinds, err := json.MarshalIndent(x.registry.Current().Kinds(), "", "  ")
	if err != nil {
		return err
	}
	files := []bundle.File{{Name: daysName, Data: days}, {Name: kindsName, Data: kinds}, {Name: readmeName, Data: []byte(bundleReadme)}}
	for _, format := range []string{"json", "xlsx", "pdf", "csv"} {
		data, err := document(e, format, "zh")
		if err != nil {
			return err
		}
		files = append(files, bundle.File{Name: "export." + format, Data: data})
	}
	attached, err := x.attached(ctx, e)
	if err != nil {
		return err
	}
	m := bundle.Manifest{Community: e.Community.ID, Month: e.Month, Made: e.Made, Version: e.Version}
	return bundle.Pack(out, m, slices.Concat(files, attached, x.rules), x.key)
}

// bundleReadme tells who unpacks a bundle what it is.
const bundleReadme = `证据包 · Evidence bundle

export.pdf export.xlsx export.csv export.json   月度评估 · the month's assessment
device_days.jsonl                               设备日 · the device-days, one a line
attachments/                                    记录的附件 · what records have attached, by SHA-256
rules/                                          计算所用的规则 · the rules that the figures were computed by
manifest.json manifest.json.minisig signer.pub  文件清单与签名 · the list of files with their SHA-256, and its signature

验证签名 · To check the signature:        minisign -Vm manifest.json -p signer.pub
验证并重算全部数据 · To compute it all again:  greentally verify FILE.zip
`

// attached returns what the records that count have attached, each content once.
func (x *exporter) attached(ctx context.Context, e *report.Export) (files []bundle.File, err error) {
	seen := map[string]bool{}
	for _, r := range e.Counted() {
		for _, a := range r.Attachments {
			name := attachmentName(a)
			if seen[name] {
				continue
			}
			seen[name] = true
			_, content, err := x.attachments.Get(ctx, e.Community.ID, a.SHA256)
			if err != nil {
				return nil, fmt.Errorf("attachment %s of record %s: %w", a.Name, r.ID, err)
			}
			files = append(files, bundle.File{Name: name, Data: content})
		}
	}
	return files, nil
}

// attachmentName is what an attachment is called in a bundle.
func attachmentName(a greentally.Attachment) string {
	return attachmentsName + "/" + a.SHA256 + strings.ToLower(path.Ext(a.Name))
}

// ruleFolders are the rules that figures are computed by, by their folder in a bundle.
func (c config) ruleFolders() map[string][]strictyaml.Folder {
	return map[string][]strictyaml.Folder{
		"indicators": withOwn(indicators.Shipped(), c.Indicators), "factors": withOwn(factors.Shipped(), c.Factors), "schemes": withOwn(schemes.Shipped(), c.Schemes),
		"alerts": withOwn(alerts.Shipped(), c.AlertRules), "records": withOwn(records.Shipped(), c.RecordTypes),
	}
}

// readRules reads the files of the rules, as bundles have them: once, when they are put in force.
func (c config) readRules() (files []bundle.File, err error) {
	for name, folders := range c.ruleFolders() {
		for _, folder := range folders {
			_, contents, err := folder.Files()
			if err != nil {
				return nil, err
			}
			for file, data := range contents {
				files = append(files, bundle.File{Name: rulesName + "/" + name + "/" + path.Base(file), Data: data})
			}
		}
	}
	return files, nil
}

func jsonLines[T any](all []T) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	for i := range all {
		if err := encoder.Encode(&all[i]); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// patience is how long one waits for what came in to be tallied.
const patience = 20 * time.Second

// settle waits until what came in is stored and tallied.
func (x *exporter) settle(ctx context.Context) error {
	for end := time.Now().Add(patience); ; {
		settled, err := x.settled(ctx)
		if err != nil || settled {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("%w: %w", errBehind, greentally.TextErrorf("收到的数据还在写入和统计，几分钟后重试，或查看 greentally status",
				"what came in is still being stored and tallied; try again in a few minutes, and see greentally status"))
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// errBehind is wrapped by the error for figures that are not those of all that came in.
var errBehind = greentally.TextErrorf("请稍后再试", "not yet")

// submit freezes a draft's figures as they are now, and hands them in.
func (x *exporter) submit(ctx context.Context, id string, s greentally.Step) (greentally.Application, error) {
	a, err := x.applications.Get(ctx, id)
	if err != nil {
		return a, err
	}
	s.Submission = &greentally.Submission{} // what is frozen comes when all else is right
	if _, err := applications.Take(a, s); err != nil {
		return a, err
	}
	if err := x.settle(ctx); err != nil {
		return a, err
	}
	e, err := x.month(ctx, a.Community, a.Month)
	if err != nil {
		return a, err
	}
	if s.Submission, err = x.keep(ctx, e); err != nil {
		return a, err
	}
	return x.applications.Add(ctx, id, s)
}

// keep keeps the export's bundle, after it was checked as anyone may check it.
func (x *exporter) keep(ctx context.Context, e *report.Export) (*greentally.Submission, error) {
	data, err := x.write(ctx, e, "zip", "zh")
	if err != nil {
		return nil, err
	}
	b, wrong := bundle.Open(data, nil)
	if b != nil {
		v := &verification{Bundle: b, out: io.Discard, wrong: wrong}
		if err := v.recompute(); err != nil {
			v.found("%w", err)
		}
		wrong = v.wrong
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("the bundle does not verify, and so is not kept: %w", err)
	}
	name, err := x.bundles.Keep(ctx, data)
	return &greentally.Submission{Bundle: name, Bytes: int64(len(data)), At: e.Made}, err
}

// step takes a step of an application.
func (x *exporter) step(ctx context.Context, id string, s greentally.Step) (greentally.Application, error) {
	var err error
	s.Account = account(ctx)
	if s, err = x.dated(ctx, id, s); err != nil {
		return greentally.Application{}, err
	}
	switch {
	case s.Submission != nil:
		return greentally.Application{}, fmt.Errorf("%w: %w", applications.ErrRefused, greentally.TextErrorf("固定的数据由本系统生成", "what is frozen is made here"))
	case id == "":
		return x.begin(ctx, s)
	case s.To == greentally.StageSubmitted:
		return x.submit(ctx, id, s)
	}
	return x.applications.Add(ctx, id, s)
}

// dated gives a step today's date by the community's clocks if it has none, and refuses one of
// a day to come.
func (x *exporter) dated(ctx context.Context, id string, s greentally.Step) (greentally.Step, error) {
	community := s.Community
	if id != "" {
		a, err := x.applications.Get(ctx, id)
		if err != nil {
			return s, err
		}
		community = a.Community
	}
	loc, ok := x.registry.Current().Location(community)
	if !ok {
		if id == "" {
			return s, greentally.NoCommunity(community)
		}
		loc = time.UTC // it has left the registry, and its application goes on
	}
	today := greentally.DateOf(x.now(), loc)
	s.On = cmp.Or(s.On, today)
	if today.Before(s.On) {
		return s, fmt.Errorf("%w: %w", applications.ErrRefused, greentally.TextErrorf("日期不能晚于今天（%[1]s）", "it is not %[2]s yet", today, s.On))
	}
	return s, nil
}

// begin begins an application.
func (x *exporter) begin(ctx context.Context, s greentally.Step) (greentally.Application, error) {
	if s.Scheme != "" && !slices.Contains(x.schemes.Names(), s.Scheme) {
		return greentally.Application{}, fmt.Errorf("%w: %w", applications.ErrRefused, greentally.TextErrorf("没有评价标准 %q；已有 %s", "there is no scheme %q; there are %s", s.Scheme, strings.Join(x.schemes.Names(), ", ")))
	}
	return x.applications.Begin(ctx, s)
}

// revisions returns what has become another figure since an application was handed in.
func (x *exporter) revisions(ctx context.Context, a *greentally.Application) ([]greentally.Revision, error) {
	none := []greentally.Revision{}
	if a.Submission == nil {
		return none, nil
	}
	e, err := x.figures(ctx, a.Community, a.Month)
	if errors.Is(err, fs.ErrNotExist) { // the community has left the registry; nothing comes any more
		return none, nil
	}
	if err != nil {
		return nil, err
	}
	all, err := x.revised(ctx, a, e)
	return append(none, all...), err
}
