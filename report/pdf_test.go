package report_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"greentally"
	"greentally/report"
	"greentally/report/paper"
)

// poppler runs a tool of poppler-utils on a PDF, and returns what it writes.
func poppler(t *testing.T, pdf []byte, tool string, flags ...string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		t.Fatalf("%v; install Debian's poppler-utils, or run make tools", err)
	}
	file := filepath.Join(t.TempDir(), "x.pdf")
	if err := os.WriteFile(file, pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	args := append(flags, file)
	if tool == "pdftotext" {
		args = append(args, "-")
	}
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil || complaints.Len() > 0 {
		t.Fatalf("%s: %v %s", tool, err, complaints.String())
	}
	return out.String()
}

func pdf(t *testing.T, e *report.Export, language string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := e.PDF(&b, language); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// squeezed is the text without its spaces: lines break anywhere.
func squeezed(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text)
}

// pages returns how many pages there are, and checks that all text lies within the margins and
// that all fonts are embedded.
func pages(t *testing.T, pdf []byte) int {
	t.Helper()
	const mm = 72 / 25.4
	type word struct {
		XMin float64 `xml:"xMin,attr"`
		YMin float64 `xml:"yMin,attr"`
		XMax float64 `xml:"xMax,attr"`
		YMax float64 `xml:"yMax,attr"`
		Text string  `xml:",chardata"`
	}
	var boxes struct {
		Pages []struct {
			Words []word `xml:"word"`
		} `xml:"body>doc>page"`
	}
	if err := xml.Unmarshal([]byte(poppler(t, pdf, "pdftotext", "-bbox")), &boxes); err != nil {
		t.Fatal(err)
	}
	for n, p := range boxes.Pages {
		body := 0
		for _, w := range p.Words {
			if w.XMin < (paper.Left-0.3)*mm || w.XMax > (paper.Right+0.3)*mm || w.YMin < 11*mm || w.YMax > 288*mm {
				t.Errorf("page %d: %q lies at %.1f–%.1f, %.1f–%.1f mm, outside of the margins", n+1, w.Text, w.XMin/mm, w.XMax/mm, w.YMin/mm, w.YMax/mm)
			}
			if w.YMin > (paper.Bottom+0.5)*mm && w.YMin < 280*mm {
				t.Errorf("page %d: %q lies at %.1f mm, below the text and above the footer", n+1, w.Text, w.YMin/mm)
			}
			if w.YMin > 19*mm && w.YMax < 280*mm {
				body++
			}
		}
		if body == 0 {
			t.Errorf("page %d is empty", n+1)
		}
	}
	for line := range strings.Lines(poppler(t, pdf, "pdffonts")) {
		if f := strings.Fields(line); len(f) > 5 && strings.HasPrefix(f[0], "utf8") && f[4] != "yes" {
			t.Errorf("a font is not embedded: %s", line)
		}
	}
	return len(boxes.Pages)
}

func TestPDF(t *testing.T) {
	e := month(t)
	for _, language := range []string{"zh", "en"} {
		t.Run(language, func(t *testing.T) {
			file := pdf(t, e, language)
			if n := pages(t, file); n < 10 || n > 30 {
				t.Errorf("there are %d pages", n)
			}
			if len(file) > 1_000_000 {
				t.Errorf("it has %d bytes", len(file))
			}
			text := poppler(t, file, "pdftotext", "-raw")
			said := squeezed(text)
			verdicts := map[string][]string{"zh": {"达标", "未达标", "数据不足", "无目标"}, "en": {"pass", "fail", "insufficient", "no target"}}[language]
			want := append([]string{e.Community.Name.In(language), "greentally 1.0.0", "2026-11-01 06:00 (UTC+08:00)"}, verdicts...)
			for _, v := range e.Indicators {
				want = append(want, v.Title.In(language), v.Reason.In(language))
				if v.Value != nil && v.Unit == "ratio" {
					want = append(want, strconv.FormatFloat(100**v.Value, 'f', 2, 64)+"%")
				}
				for _, a := range v.Assumptions {
					want = append(want, a.In(language))
				}
			}
			for _, a := range e.Assessments {
				if !a.Effective.Has(e.Month) {
					continue
				}
				want = append(want, a.Title.In(language), a.Source, a.Reason.In(language))
				for _, item := range a.Items {
					want = append(want, item.Title.In(language))
					for _, r := range item.Reasons {
						want = append(want, r.In(language))
					}
				}
			}
			for _, r := range e.Records {
				want = append(want, r.By, r.Why)
			}
			for _, w := range want {
				if !strings.Contains(said, squeezed(w)) {
					t.Errorf("it does not say %q", w)
				}
			}
			for _, english := range []string{"no usable record", "does not suffice", "not met", "by record"} {
				if language == "zh" && strings.Contains(said, squeezed(english)) {
					t.Errorf("it says %q", english)
				}
			}
			info := poppler(t, file, "pdfinfo", "-isodates")
			for _, line := range []string{`Title: +.*` + e.Community.Name.In(language), `Author: +` + e.Community.Name.In(language), `CreationDate: +2026-11-01T06:00:00`, `Page size: +595.28 x 841.89 pts \(A4\)`} {
				if !regexp.MustCompile(line).MatchString(info) {
					t.Errorf("pdfinfo does not say %s:\n%s", line, info)
				}
			}
			if lang := map[string]string{"zh": "/Lang (zh-CN)", "en": "/Lang (en)"}[language]; !bytes.Contains(file, []byte(lang)) {
				t.Errorf("it does not say %s", lang)
			}
			if !bytes.Equal(file, pdf(t, e, language)) {
				t.Error("the same export gives other bytes")
			}
		})
	}
}

// TestPDFInEnglish finds Chinese in the English PDF only where what it is of has no English.
func TestPDFInEnglish(t *testing.T) {
	e := month(t)
	var names strings.Builder
	for _, v := range e.Indicators {
		names.WriteString(v.Source)
	}
	for _, a := range e.Assessments {
		names.WriteString(a.Source + "\n")
	}
	for _, r := range e.Records {
		names.WriteString(r.By + "\n" + r.Why + "\n")
		for _, text := range r.Texts {
			names.WriteString(text + "\n")
		}
	}
	known := squeezed(names.String())
	for _, chinese := range regexp.MustCompile(`\p{Han}+`).FindAllString(poppler(t, pdf(t, e, "en"), "pdftotext", "-raw"), -1) {
		if !strings.Contains(known, chinese) {
			t.Errorf("it says %s", chinese)
		}
	}
}

func TestPDFOfOddMonths(t *testing.T) {
	bare := func() *report.Export {
		return &report.Export{
			Community: greentally.Community{ID: "c", Name: greentally.Text{ZH: "嘉苑社区", EN: "Jiayuan"}, TimeZone: "Asia/Shanghai"},
			Month:     october, Through: october.Last(), Made: time.Date(2026, 11, 1, 1, 0, 0, 0, time.UTC), Version: "1.2.3",
		}
	}
	full := month(t)
	of := func(change func(*report.Export)) *report.Export {
		e := *full
		change(&e)
		return &e
	}
	named, until := greentally.Date{Year: 2026, Month: 12, Day: 1}, greentally.Date{Year: 2029, Month: 11, Day: 30}
	long := strings.Repeat("上海市虹口区广中路街道商业一村第二居民区（北块），", 6)
	tests := []struct {
		name   string
		export *report.Export
		most   int // pages
		want   []string
	}{
		{"nothing at all", bare(), 9, []string{"没有在册设备", "没有计入本月的记录", "本月没有告警", "没有在本月施行的标准", "没有以前月份的数值可比", "本月没有分类桶的称重数据"}},
		{"not over", of(func(e *report.Export) { e.Through = greentally.Date{Year: 2026, Month: 10, Day: 23} }), 30, []string{"本月未结束，截至2026年10月23日"}},
		{"not begun", of(func(e *report.Export) {
			e.Through, e.Days = october.First().Add(-1), nil
		}), 30, []string{"本月尚无一天结束"}},
		{"a long name", of(func(e *report.Export) { e.Community.Name = greentally.Text{ZH: long} }), 30, []string{long}},
		{"no name and no time zone", of(func(e *report.Export) { e.Community.Name, e.Community.TimeZone = greentally.Text{}, "" }), 30, []string{"jiayuan", "UTC+00:00"}},
		{"200 records", of(func(e *report.Export) {
			var ids []string
			for i := range 200 {
				r := greentally.Record{ID: fmt.Sprintf("01K8GTB%019d", i), Type: "survey", Date: october.First(), Values: greentally.Values{"asked": 1e9 / 3, "unknown": 1}, By: "王秀英", Why: strings.Repeat("入户问卷。", i%40)}
				e.Records, ids = append(slices.Clone(e.Records), r), append(ids, r.ID)
			}
			e.Indicators = slices.Clone(e.Indicators)
			e.Indicators[0].Inputs = []greentally.InputValue{{Name: "x", Records: ids}}
		}), 60, []string{"01K8GTB0000000000000000199", "王秀英"}},
		{"a reason longer than a page", of(func(e *report.Export) {
			e.Indicators = slices.Clone(e.Indicators)
			e.Indicators[0].Reason = greentally.Text{ZH: strings.Repeat("无法判断，", 2000) + "完。"}
		}), 40, []string{"无法判断，完。"}},
		{"applied for and revised", of(func(e *report.Export) {
			e.Application = &greentally.Application{
				Scheme: "neimenggu", Month: october, Stage: greentally.StageNamed, Level: greentally.District, Named: &named, Until: &until,
				Submission: &greentally.Submission{Bundle: strings.Repeat("0123456789abcdef", 4), At: e.Made},
				Steps: []greentally.Step{{To: greentally.StageDraft, On: october.Last(), By: "李娜"}, {To: greentally.StageSubmitted, On: october.Last(), By: "李娜"},
					{To: greentally.StageNamed, On: named, By: "区文明办", Why: "虹文明办〔2026〕12号", Level: greentally.District, Until: &until}},
			}
			e.Revisions = []greentally.Revision{{Of: "indicator", Name: "lighting_saving", What: "value", Old: "0.5637", New: "0.5702", Title: greentally.Text{ZH: "照明节电率"}},
				{Of: "indicator", Name: "daily_clearance", What: "verdict", Old: "fail", New: "pass", Title: greentally.Text{ZH: "日产日清率"}}}
		}), 30, []string{"已命名", "区县级，自2026年12月1日起、至2029年11月30日止", "虹文明办〔2026〕12号", strings.Repeat("0123456789abcdef", 4), "修正", "57.02%", "2项与已冻结的数值不同", "见第3页"}},
		{"attachments", of(func(e *report.Export) {
			e.Records = slices.Clone(e.Records)
			e.Records[0].Attachments = []greentally.Attachment{{Name: "入户问卷.pdf", SHA256: strings.Repeat("0123456789abcdef", 4)}, {Name: "x", SHA256: "ab"}}
		}), 30, []string{"附件：入户问卷.pdf (0123456789ab)、x (ab)"}},
		{"all that a cover can have", of(func(e *report.Export) {
			e.Community.Name, e.Through = greentally.Text{ZH: long}, october.Last().Add(-1)
			e.Application = &greentally.Application{Scheme: "neimenggu", Stage: greentally.StageSubmitted, Submission: &greentally.Submission{Bundle: strings.Repeat("0", 64), At: e.Made}}
			e.Revisions = []greentally.Revision{{Of: "item", Name: "neimenggu/archive", What: "at_least_points", Old: "2", Title: greentally.Text{ZH: "档案"}}}
			for i := range 60 {
				e.Community.Devices = append(slices.Clone(e.Community.Devices), &greentally.Device{ID: fmt.Sprint("x", i), Kind: fmt.Sprint("kind_of_a_device_", i)})
			}
		}), 32, []string{"物业服务企业（盖章）", "目录"}},
		{"a fault that nothing explains", of(func(e *report.Export) {
			e.Days = slices.Clone(e.Days)
			i := slices.IndexFunc(e.Days, func(d greentally.DeviceDay) bool { return d.Kind == "lighting_meter" })
			for range 100 {
				e.Days[i].Faults = append(slices.Clone(e.Days[i].Faults), greentally.Fault{Time: e.Days[i].Start, Quantity: "energy_kwh", Kind: greentally.Unexplained, From: 100 * greentally.Unit, To: 3 * greentally.Unit})
			}
		}), 30, []string{"无法解释的变化", "100 → 3", "另有40条未列出"}},
		{"rare characters", of(func(e *report.Export) {
			e.Community.Name = greentally.Text{ZH: "嘉苑社区\x00𫖯\xff"}
			e.Records = slices.Clone(e.Records)
			e.Records[1].By, e.Records[2].By, e.Records[3].By = "王𬱖", "张😀𠮷㐂", "ᠮᠣ 李\u200d娜\ufe0f"
		}), 30, []string{"嘉苑社区", "王𬱖", "张😀𠮷㐂", "𫖯"}},
		{"values that are no numbers", of(func(e *report.Export) {
			e.Indicators = slices.Clone(e.Indicators)
			zero, huge := 0.0, 1e300
			for i := range e.Indicators {
				e.Indicators[i].Value = []*float64{nil, &zero, &huge}[i%3]
				e.Indicators[i].Numerator, e.Indicators[i].Denominator = &zero, nil
			}
		}), 60, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.export.PDF(io.Discard, "en"); err != nil {
				t.Error(err)
			}
			file := pdf(t, tt.export, "zh")
			if n := pages(t, file); n > tt.most || n < 6 {
				t.Errorf("there are %d pages", n)
			}
			said := squeezed(poppler(t, file, "pdftotext", "-raw"))
			for _, want := range tt.want {
				if !strings.Contains(said, squeezed(want)) {
					t.Errorf("it does not say %q", want)
				}
			}
		})
	}
}

func TestPDFInNoLanguage(t *testing.T) {
	if err := (&report.Export{}).PDF(io.Discard, "fr"); err == nil {
		t.Error("there is a PDF in French")
	}
}

// BenchmarkPDF writes the PDF of a month.
func BenchmarkPDF(b *testing.B) {
	e := month(b)
	for b.Loop() {
		var out bytes.Buffer
		if err := e.PDF(&out, "zh"); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(out.Len()), "bytes")
	}
}
