package report_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"greentally"
	"greentally/report"
)

func workbook(t testing.TB, e *report.Export, language string) []byte {
	t.Helper()
	var data bytes.Buffer
	if err := e.XLSX(&data, language); err != nil {
		t.Fatal(err)
	}
	return data.Bytes()
}

// always makes LibreOffice compute all formulas when it opens a file, instead of taking the
// values that stand beside them.
const always = `<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<item oor:path="/org.openoffice.Office.Calc/Formula/Load"><prop oor:name="OOXMLRecalcMode" oor:op="fuse"><value>0</value></prop></item>
</oor:items>`

// recalculated has LibreOffice compute workbooks anew, and opens what it made of them.
func recalculated(t *testing.T, books ...[]byte) []*excelize.File {
	t.Helper()
	if _, err := exec.LookPath("soffice"); err != nil {
		t.Fatal("soffice is missing: apt-get install libreoffice-calc-nogui, or make tools")
	}
	dir := t.TempDir()
	profile := filepath.Join(dir, "profile")
	if err := os.MkdirAll(filepath.Join(profile, "user"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(profile, "user", "registrymodifications.xcu"), []byte(always), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-env:UserInstallation=file://" + profile, "--headless", "--convert-to", "xlsx:Calc MS Excel 2007 XML", "--outdir", filepath.Join(dir, "out")}
	for i, book := range books {
		name := filepath.Join(dir, fmt.Sprintf("book%d.xlsx", i))
		if err := os.WriteFile(name, book, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	if out, err := exec.CommandContext(t.Context(), "soffice", args...).CombinedOutput(); err != nil {
		t.Fatalf("soffice: %v\n%s", err, out)
	}
	var all []*excelize.File
	for i := range books {
		f, err := excelize.OpenFile(filepath.Join(dir, "out", fmt.Sprintf("book%d.xlsx", i)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		all = append(all, f)
	}
	return all
}

// rows are those of a sheet as they are, by their first column.
func rows(t *testing.T, f *excelize.File, sheet string) map[string][]string {
	t.Helper()
	all, err := f.GetRows(sheet, excelize.Options{RawCellValue: true})
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string][]string{}
	for _, row := range all {
		byName[row[0]] = row
	}
	return byName
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(b)) }

// without takes out the values that stand beside formulas.
func without(t *testing.T, book []byte) []byte {
	t.Helper()
	from, err := zip.NewReader(bytes.NewReader(book), int64(len(book)))
	if err != nil {
		t.Fatal(err)
	}
	var data bytes.Buffer
	to := zip.NewWriter(&data)
	taken := 0
	for _, f := range from.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		text = regexp.MustCompile(`(</f>)<v>[^<]*</v>`).ReplaceAllFunc(text, func([]byte) []byte { taken++; return []byte("</f>") })
		w, err := to.Create(f.Name)
		if err == nil {
			_, err = w.Write(text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	if taken < 1000 {
		t.Fatalf("only %d formulas are in the workbook", taken)
	}
	return data.Bytes()
}

// change sets the fact of a sheet's first row of a stream to a number, and returns what stood there.
func change(t *testing.T, book []byte, sheet, fact, stream string, number float64) (changed []byte, before float64) {
	t.Helper()
	f, err := excelize.OpenReader(bytes.NewReader(book))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := f.GetRows(sheet, excelize.Options{RawCellValue: true})
	if err != nil {
		t.Fatal(err)
	}
	column := slices.Index(all[1], fact) + 1
	row := slices.IndexFunc(all, func(row []string) bool { return slices.Contains(row, stream) }) + 1
	if column == 0 || row == 0 {
		t.Fatalf("sheet %s has no %s of %s: %q", sheet, fact, stream, all[1])
	}
	if before, err = strconv.ParseFloat(all[row-1][column-1], 64); err != nil {
		t.Fatal(err)
	}
	at, err := excelize.CoordinatesToCellName(column, row)
	if err != nil {
		t.Fatal(err)
	}
	var data bytes.Buffer
	if err := errors.Join(f.SetCellValue(sheet, at, number), f.Write(&data)); err != nil {
		t.Fatal(err)
	}
	return data.Bytes(), before
}

// TestRecalculates holds what LibreOffice makes of the formulas alone against what was
// computed; and that one device-day, or one audit, makes another rate.
func TestRecalculates(t *testing.T) {
	e := month(t)
	book := workbook(t, e, "zh")
	const bins, audits = "设备日 分类垃圾桶", "记录 组成分析"
	changed, was := change(t, book, bins, "mass_kg.collected", "可回收物", 1000)
	changed, ratio := change(t, changed, audits, "recyclable_ratio", "其他垃圾", 0.5)
	files := recalculated(t, without(t, book), changed, without(t, workbook(t, e, "en")))
	var of []map[string][]string
	for i, f := range files {
		of = append(of, rows(t, f, []string{"指标", "指标", "Indicators"}[i]))
	}
	values := 0
	for _, v := range e.Indicators {
		for i, words := range map[int]map[greentally.Verdict]string{
			0: {"pass": "达标", "fail": "未达标", "insufficient_data": "数据不足", "no_target": "无目标"},
			2: {"pass": "pass", "fail": "fail", "insufficient_data": "insufficient data", "no_target": "no target"},
		} {
			row := of[i][v.Indicator]
			if row == nil {
				t.Errorf("%s is not in the workbook", v.Indicator)
				continue
			}
			for column, want := range map[int]*float64{3: v.Value, 4: v.Numerator, 5: v.Denominator} {
				got := row[column]
				if want == nil {
					if got != "" {
						t.Errorf("%s column %d is %s, want nothing", v.Indicator, column, got)
					}
					continue
				}
				values++
				if number, err := strconv.ParseFloat(got, 64); err != nil || !near(number, *want) {
					t.Errorf("%s column %d is %s, want %v", v.Indicator, column, got, *want)
				}
			}
			if row[11] != words[v.Verdict] {
				t.Errorf("%s: verdict %s, want %s", v.Indicator, row[11], v.Verdict)
			}
		}
	}
	if values < 120 {
		t.Errorf("only %d values were compared", values)
	}

	figure := func(i int, indicator string, column int) float64 {
		v, err := strconv.ParseFloat(of[i][indicator][column], 64)
		if err != nil {
			t.Errorf("column %d of %s: %v", column, indicator, err)
		}
		return v
	}
	if got := figure(1, "separate_collection", 4) - figure(0, "separate_collection", 4); !near(got, 1000-was) {
		t.Errorf("with %v kg collected more separate_collection has %v more", 1000-was, got)
	}
	left := func(i int) float64 { return figure(i, "recyclable_capture", 5) - figure(i, "recyclable_capture", 4) }
	if ratio > 0.2 || left(1) < 1.5*left(0) {
		t.Errorf("an audit that finds a half instead of %v leaves %v kg instead of %v", ratio, left(1), left(0))
	}
}

// TestWorkbookSpeaksTwoLanguages finds each reason in the language of the workbook, and in the
// Chinese one no reason in English.
// TestSheetNames writes types of records whose sheets would have one name, and names that no
// sheet can have.
func TestSheetNames(t *testing.T) {
	e := month(t)
	for i, title := range []string{"一模一样的名称", "一模一样的名称", strings.Repeat("长", 40), strings.Repeat("长", 41), "a/b[c]:d*e?f'g\x00", "survey"} {
		typ := greentally.RecordType{Name: fmt.Sprintf("own_%d", i), Title: greentally.Text{ZH: title, EN: title}, Values: []greentally.RecordValue{{Name: "n"}}}
		e.Types = append(slices.Clone(e.Types), typ)
		e.Records = append(e.Records, greentally.Record{ID: typ.Name, Community: "jiayuan", Type: typ.Name, Date: october.First(), Why: "=cmd|' /C calc'!A0", Values: greentally.Values{"n": 1}})
	}
	for _, language := range []string{"zh", "en"} {
		f, err := excelize.OpenReader(bytes.NewReader(workbook(t, e, language)))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if n := len(f.GetSheetList()); n < 25 {
			t.Errorf("there are %d sheets: %q", n, f.GetSheetList())
		}
	}
}

func TestWorkbookSpeaksTwoLanguages(t *testing.T) {
	e := month(t)
	if err := e.XLSX(io.Discard, "fr"); err == nil {
		t.Error("a workbook in French is written")
	}
	reasons := map[greentally.Text]bool{}
	for _, v := range e.Indicators {
		reasons[v.Reason] = true
	}
	for _, a := range e.InEffect() {
		reasons[a.Reason] = true
		for _, item := range a.Items {
			for _, r := range item.Reasons {
				reasons[r] = true
			}
		}
	}
	delete(reasons, greentally.Text{})
	if len(reasons) < 30 {
		t.Errorf("%d reasons", len(reasons))
	}
	for language, other := range map[string]string{"zh": "en", "en": "zh"} {
		book, err := excelize.OpenReader(bytes.NewReader(workbook(t, e, language)))
		if err != nil {
			t.Fatal(err)
		}
		var cells strings.Builder
		for _, name := range book.GetSheetList() {
			rows, err := book.GetRows(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range rows {
				cells.WriteString(strings.Join(row, "\n") + "\n")
			}
		}
		for r := range reasons {
			if !strings.Contains(cells.String(), r.In(language)) || strings.Contains(cells.String(), r.In(other)) {
				t.Errorf("in %s it does not say %q alone", language, r.In(language))
			}
		}
	}
}

// TestEmptyWorkbook writes what there is of a community that nobody has measured yet.
func TestEmptyWorkbook(t *testing.T) {
	e := month(t)
	e.Days, e.Records, e.Alerts, e.Assessments = nil, nil, nil, nil
	e.Through = october.First().Add(-1)
	for i := range e.Indicators {
		v := &e.Indicators[i]
		v.Value, v.Numerator, v.Denominator, v.Verdict, v.Inputs = nil, nil, nil, greentally.InsufficientData, nil
	}
	e.Workings = nil
	f, err := excelize.OpenReader(bytes.NewReader(workbook(t, e, "zh")))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if all, err := f.GetRows("缺口"); err != nil || len(all) < 1+len(e.Indicators) {
		t.Errorf("%d lines of gaps of a month without anything: %v", len(all), err)
	}
}

// BenchmarkXLSX writes the month of some 2,000 devices.
func BenchmarkXLSX(b *testing.B) {
	e := many(month(b), 83)
	b.ReportMetric(float64(len(e.Days)), "device-days")
	for b.Loop() {
		if err := e.XLSX(io.Discard, "zh"); err != nil {
			b.Fatal(err)
		}
	}
}

// many is the export with each device so many times.
func many(e *report.Export, times int) *report.Export {
	again := *e
	again.Community.Devices, again.Days, again.Workings = nil, nil, nil
	named := func(device string, i int) string { return fmt.Sprintf("%s-%d", device, i) }
	for i := range times {
		for _, d := range e.Community.Devices {
			one := *d
			one.ID = named(d.ID, i)
			again.Community.Devices = append(again.Community.Devices, &one)
		}
		for _, d := range e.Days {
			d.Device = named(d.Device, i)
			again.Days = append(again.Days, d)
		}
	}
	for _, w := range e.Workings {
		w.Inputs = slices.Clone(w.Inputs)
		for j, in := range w.Inputs {
			if in.Kind == "" {
				continue
			}
			w.Inputs[j].Rows = nil
			for i := range times {
				for _, row := range in.Rows {
					row.Device = named(row.Device, i)
					w.Inputs[j].Rows = append(w.Inputs[j].Rows, row)
				}
			}
		}
		again.Workings = append(again.Workings, w)
	}
	return &again
}
