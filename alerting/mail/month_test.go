package mail_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"greentally"
	"greentally/alerting/mail"
	"greentally/internal/testserver"
)

var october = greentally.Month{Year: 2026, Month: time.October}

func indicator(name, zh, en string, value, atLeast float64) greentally.IndicatorValue {
	v := greentally.IndicatorValue{
		Community: "jiayuan", Month: october, Indicator: name, Title: text(zh, en), Unit: "ratio",
		Value: &value, Numerator: &value, Denominator: pointer(1.0), Completeness: 1, Floor: 0.9, Verdict: greentally.NoTarget,
	}
	switch {
	case atLeast == 0:
		return v
	case value >= atLeast:
		v.Verdict = greentally.Pass
	default:
		v.Verdict = greentally.Fail
	}
	v.Target = &greentally.Target{AtLeast: &atLeast}
	return v
}

func lacking(name, zh, en string, reason greentally.Text, records ...string) greentally.IndicatorValue {
	v := indicator(name, zh, en, 0, 0.9)
	v.Value, v.Numerator, v.Denominator, v.Completeness = nil, nil, nil, 0
	v.Verdict, v.Reason, v.Lacks = greentally.InsufficientData, reason, records
	return v
}

// monthOver is a month in which some is as it should be, and some is not.
func monthOver() mail.Month {
	noSurvey := text("截至 2026-10 的 12 个月没有可用的记录：问卷调查（survey）", "no usable record in the 12 months to 2026-10: Survey (survey)")
	incomplete := indicator("lighting_saving", "照明节电率", "Lighting energy-saving rate", 0.55, 0.3)
	incomplete.Completeness, incomplete.Verdict, incomplete.Reason = 0.8996, greentally.InsufficientData, text("完整度 89.96%，低于要求的 90%", "completeness 89.96% is below the 90% that is needed")
	batteries := indicator("batteries_per_household", "户均废电池回收量", "Used batteries per household", 3.4567, 0)
	batteries.Unit = "g/household"
	response := indicator("overflow_response_hours", "满溢平均处置时长", "Mean time to empty an overflowing bin", 3.25, 0)
	response.Unit, response.Verdict, response.Target = "h", greentally.Fail, &greentally.Target{AtMost: pointer(2.0)}
	return mail.Month{
		Community: "jiayuan", Month: october,
		Indicators: []greentally.IndicatorValue{
			batteries,
			indicator("bagged", "垃圾袋装化率", "Bagging rate", 0.9996, 1),
			indicator("battery_boxes", "废电池回收箱完好率", "Battery boxes in order", 1, 1),
			indicator("daily_clearance", "日产日清率", "Daily clearance rate", 1, 1),
			lacking("awareness", "居民知晓率", "Awareness", noSurvey, "survey"),
			incomplete,
			indicator("lamp_coverage", "节能灯使用率", "Efficient-lamp share", 1, 1),
			lacking("purity", "纯净度", "Purity", text("2026-10 没有可回收物的可用记录：纯净度抽检（purity_audit）；没有可计入的设备：废电池回收箱（battery_box）",
				"no usable record of recyclables in 2026-10: Purity audit (purity_audit); no device that counts: Battery box (battery_box)"), "purity_audit"),
			indicator("recyclable_capture", "可回收垃圾回收率", "Recyclable capture rate", 0.962, 0.95),
			response,
			lacking("satisfaction", "居民满意率", "Satisfaction", noSurvey, "survey"),
			indicator("separate_collection", "垃圾分类收集率", "Separate-collection rate", 0.274, 0.3),
		},
		Assessments: []greentally.Assessment{
			{
				Scheme: "cn_2020", Title: text("绿色社区创建标准(试行)", "National standard for creating green communities (trial)"),
				AtLeast: 7, AtMost: 16, Total: 16, Verdict: greentally.InsufficientData,
				Items: []greentally.ItemResult{
					{Item: "sorting", AtMost: 1, Points: 1, Verdict: greentally.InsufficientData, Indicators: []string{"separate_collection"}},
					{Item: "lamps", AtMost: 1, Points: 1, Verdict: greentally.InsufficientData, Indicators: []string{"lighting_saving"}},
				},
			},
			{
				Scheme: "jiayuan_claims", Title: text("小区绿色创建自报指标", "What a compound claims of itself"), Complete: true, Verdict: greentally.Fail,
				Items: []greentally.ItemResult{
					{Item: "bagged", Title: text("垃圾袋装化率达到100%", "All waste is bagged"), Rule: "basic", Verdict: greentally.Fail, Indicators: []string{"bagged"}},
					{Item: "awareness", Title: text("知晓率达到90%", "90 % know of it"), Rule: "basic", Verdict: greentally.InsufficientData, Indicators: []string{"awareness"}},
				},
				Barred: []string{"bagged"}, Open: []string{"awareness"},
			},
			{
				Scheme: "neimenggu", Title: text("内蒙古自治区绿色社区评分标准", "Inner Mongolia green community scoring standard"),
				AtLeast: 31.5, AtMost: 86, Total: 100, Verdict: greentally.InsufficientData, Open: []string{"purity"},
				Items: []greentally.ItemResult{
					{Item: "satisfied", AtMost: 10, Points: 10, Verdict: greentally.InsufficientData, Indicators: []string{"satisfaction"}},
					{Item: "purity", Rule: "veto", Verdict: greentally.InsufficientData, Indicators: []string{"purity"}},
					{Item: "sorting", AtLeast: 2, AtMost: 2, Points: 6, Verdict: greentally.Fail, Indicators: []string{"separate_collection"}},
				},
			},
			{
				Scheme: "putuo_monthly", Title: text("普陀区居住小区生活垃圾分类实效月度测评", "Putuo monthly check of waste sorting in compounds"), Complete: true,
				AtLeast: 95, AtMost: 95, Total: 100, Verdict: greentally.Pass, Level: "meets_standard", LevelTitle: text("达标", "Meets the standard"),
			},
		},
		Files: []mail.File{
			{Name: "嘉苑社区 2026年10月 月度评估.xlsx", MediaType: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", Data: noise(183_411)},
			{Name: "嘉苑社区 2026年10月 月度评估.pdf", MediaType: "application/pdf", Data: noise(402_017)},
			{Name: "jiayuan-2026-10.zip", MediaType: "application/zip", Data: noise(1_234_567)},
		},
	}
}

// noise returns bytes that cannot be guessed from others.
func noise(n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(data)
	return data
}

// sendMonth sends a month and returns the mail as the server has it.
func sendMonth(t *testing.T, server *testserver.MailServer, o mail.Options, language string, month mail.Month) testserver.Mail {
	t.Helper()
	before := len(server.Mails())
	if err := newMailer(t, o).SendMonth(t.Context(), manager(language), month); err != nil {
		t.Fatal(err)
	}
	return server.Mails()[before]
}

// What is attached arrives as it was, under the name that it had, whatever program reads it.
func TestAttachments(t *testing.T) {
	server := testserver.Mailpit(t)
	month := monthOver()
	long := strings.Repeat("很长的名字", 30)
	month.Files = append(month.Files,
		mail.File{Name: long + ".pdf", MediaType: "application/pdf", Data: []byte("%PDF")},
		mail.File{Name: "../..\\evil\r\nX-Evil: 1\u202e\".xlsx", MediaType: "text/csv; charset=utf-8\r\nX-Evil: 1", Data: []byte("x")},
		mail.File{Name: "", MediaType: "text/csv; charset=utf-8", Data: nil},
		mail.File{Name: strings.Repeat("𠮷", 100) + ".zip", MediaType: "application/zip", Data: []byte{0}},
	)
	want := map[int]string{3: long[:60*len("长")] + ".pdf", 4: "_.._evil X-Evil_ 1_.xlsx", 5: "file", 6: strings.Repeat("𠮷", 60) + ".zip"}
	for _, language := range []string{"zh", "en"} {
		got := sendMonth(t, server, options(server.SMTP), language, month)
		if len(got.Attachments) != len(month.Files) || len(got.Inline) != 0 {
			t.Fatalf("%s: %d attachments", language, len(got.Attachments))
		}
		for i, file := range got.Attachments {
			name := month.Files[i].Name
			if other, ok := want[i]; ok {
				name = other
			}
			if file.FileName != name || !bytes.Equal(file.Content, month.Files[i].Data) {
				t.Errorf("%s: %q with %d bytes, want %q with %d", language, file.FileName, len(file.Content), name, len(month.Files[i].Data))
			}
			if !strings.Contains(got.Text, name) {
				t.Errorf("%s: the mail does not name %s", language, name)
			}
		}
		if first := got.Attachments[0].ContentType; first != month.Files[0].MediaType {
			t.Errorf("%s: %s", language, first)
		}

		raw := server.Raw(got)
		for line := range bytes.Lines(raw) {
			if len(line) > 1000 {
				t.Fatalf("%s: a line of %d bytes: %.80s…", language, len(line), line)
			}
			if bytes.HasPrefix(line, []byte("X-Evil")) {
				t.Errorf("%s: a name became a header", language)
			}
		}
		message, err := netmail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		_, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
		if err != nil {
			t.Fatal(err)
		}
		parts := multipart.NewReader(message.Body, parameters["boundary"])
		if _, err := parts.NextPart(); err != nil { // what is read
			t.Fatal(err)
		}
		part, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		disposition := part.Header.Get("Content-Disposition")
		if !strings.Contains(disposition, "filename*=utf-8''%E5%98%89") {
			t.Errorf("%s: not as RFC 2231 has it: %s", language, disposition)
		}
		_, parameters, err = mime.ParseMediaType(disposition)
		if err != nil || parameters["filename"] != month.Files[0].Name {
			t.Errorf("%s: %q in %s: %v", language, parameters["filename"], disposition, err)
		}
		_, parameters, err = mime.ParseMediaType(part.Header.Get("Content-Type"))
		old, decodeErr := new(mime.WordDecoder).DecodeHeader(parameters["name"])
		if err := errors.Join(err, decodeErr); err != nil || old != month.Files[0].Name {
			t.Errorf("%s: for old programs it is %q: %v", language, old, err)
		}
	}
}

// What many servers would refuse does not go, and the rest does.
func TestHugeAttachments(t *testing.T) {
	server := testserver.Mailpit(t)
	file := func(name string, size int) mail.File {
		return mail.File{Name: name, MediaType: "application/zip", Data: make([]byte, size)}
	}
	for _, tt := range []struct {
		name           string
		files          []mail.File
		attached, left []string
	}{
		{"the largest", []mail.File{file("a", 1e6), file("b", 30e6), file("c", 2e6)}, []string{"a", "c"}, []string{"b"}},
		{"the two largest", []mail.File{file("a", 9e6), file("b", 10e6), file("c", 11e6)}, []string{"a"}, []string{"b", "c"}},
		{"all", []mail.File{file("a", 16e6)}, nil, []string{"a"}}, // it is larger as it is sent
		{"just none", []mail.File{file("a", 14_615_370), file("b", 3)}, []string{"a", "b"}, nil},
		{"a little too much", []mail.File{file("a", 14_615_400), file("b", 3)}, []string{"b"}, []string{"a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			month := monthOver()
			month.Files = tt.files
			got := sendMonth(t, server, options(server.SMTP), "en", month)
			var attached []string
			for _, f := range got.Attachments {
				attached = append(attached, f.FileName)
			}
			if !slices.Equal(attached, tt.attached) {
				t.Errorf("attached are %q, want %q", attached, tt.attached)
			}
			_, said, has := strings.Cut(got.Text, "refuse more than 20 MB")
			for _, name := range tt.left {
				if !strings.Contains(said, "- "+name+" (") {
					t.Errorf("the mail does not say that %s is left out:\n%s", name, got.Text)
				}
			}
			if has != (len(tt.left) > 0) {
				t.Errorf("the mail says that files are left out: %t", has)
			}
			if check := strings.Contains(got.Text, "open what is attached"); check != (len(tt.attached) > 0) {
				t.Errorf("the mail says to open what is attached: %t", check)
			}
			if raw := len(server.Raw(got)); raw > 20<<20 {
				t.Errorf("the mail has %d bytes", raw)
			}
		})
	}
}

// A month that is sent again can be recognised, whatever it says then.
func TestMonthIDs(t *testing.T) {
	server := testserver.Mailpit(t)
	id := func(email string, change func(*mail.Month)) string {
		t.Helper()
		month := monthOver()
		month.Files = nil
		change(&month)
		before := len(server.Mails())
		if err := newMailer(t, options(server.SMTP)).SendMonth(t.Context(), mail.Recipient{Email: email}, month); err != nil {
			t.Fatal(err)
		}
		return server.Mails()[before].Header.Get("Message-Id")
	}
	first := id("a@example.org", func(*mail.Month) {})
	if !strings.HasSuffix(first, "@green.example.org>") {
		t.Error(first)
	}
	if again := id("a@example.org", func(m *mail.Month) { m.Indicators = m.Indicators[1:] }); again != first {
		t.Errorf("sent again: %s, was %s", again, first)
	}
	for _, other := range []string{
		id("b@example.org", func(*mail.Month) {}),
		id("a@example.org", func(m *mail.Month) { m.Month = m.Month.Next() }),
		id("a@example.org", func(m *mail.Month) { m.Community = "other" }),
	} {
		if other == first {
			t.Error("another mail has the same Message-ID")
		}
	}
}

func TestMonths(t *testing.T) {
	server := testserver.Mailpit(t)
	failing := mail.Month{Community: "jiayuan", Month: october}
	for i := range 40 {
		failing.Indicators = append(failing.Indicators, indicator(fmt.Sprintf("i%d", i), fmt.Sprintf("指标%d", i), fmt.Sprintf("Indicator %d", i), 0.1, 0.5))
	}
	failing.Assessments = []greentally.Assessment{{Scheme: "s", Total: 100, Verdict: greentally.Fail, Complete: true,
		Items: []greentally.ItemResult{{Item: "x", Points: 5, Verdict: greentally.Fail, Indicators: []string{"i33"}}}}}
	for i := range 5 {
		failing.Assessments[0].Barred = append(failing.Assessments[0].Barred, fmt.Sprintf("part/v%d", i))
	}
	passing := mail.Month{Community: "jiayuan", Month: october, Indicators: []greentally.IndicatorValue{indicator("bagged", "垃圾袋装化率", "Bagging rate", 1, 1)}}
	nothing := mail.Month{Community: "jiayuan", Month: october}
	for i := range 12 {
		nothing.Indicators = append(nothing.Indicators, lacking(fmt.Sprintf("i%d", i), "指标", "Indicator", text("没人想到的事", "something that nobody foresaw")))
	}
	filesOnly := mail.Month{Community: "unknown", Month: october, Files: monthOver().Files[2:]}

	for _, tt := range []struct {
		name    string
		month   mail.Month
		subject string
		has     []string
		hasNot  []string
	}{
		{"40 fail", failing, "[Monthly export] October 2026: 40 indicators fail · Jiayuan community",
			[]string{"Pass 0 · Fail 40 · Lack data 0", "[Fail]\n  - Indicator 33: 10% (target ≥ 50%)\n    s: costs 5 points\n  - Indicator 0:", "Indicator 18:", "and 20 more", "part/v0; part/v1; part/v2; 2 more"},
			[]string{"Indicator 19:", "record add --community", "Attached"}},
		{"all pass", passing, "[Monthly export] October 2026: 1 indicator passes · Jiayuan community",
			[]string{"Pass 1 · Fail 0 · Lack data 0", "- Apply: hand it in when it is right."}, []string{"Schemes", "Add records", "more"}},
		{"nothing is known", nothing, "[Monthly export] October 2026: 12 lack data · Jiayuan community",
			[]string{"something that nobody foresaw", "and 2 more", "greentally record add"}, []string{"--type", "[Fail]"}},
		{"nothing but a file", filesOnly, "[Monthly export] October 2026: No indicator has a verdict · unknown",
			[]string{"jiayuan-2026-10.zip (1.2\u00a0MB)", "Evidence bundle"}, []string{"Pass", "["}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := sendMonth(t, server, options(server.SMTP), "en", tt.month)
			said := strings.ReplaceAll(got.Text, "\r", "")
			if got.Subject != tt.subject {
				t.Errorf("subject %q, want %q", got.Subject, tt.subject)
			}
			for _, want := range tt.has {
				if !strings.Contains(said, want) {
					t.Errorf("it lacks %q:\n%s", want, said)
				}
			}
			for _, bad := range tt.hasNot {
				if strings.Contains(said, bad) {
					t.Errorf("it has %q:\n%s", bad, said)
				}
			}
			if strings.Contains(got.HTML, "<no value>") || len(got.HTML) > 30<<10 {
				t.Errorf("%d bytes of HTML", len(got.HTML))
			}
		})
	}

	t.Run("nothing at all", func(t *testing.T) {
		m := newMailer(t, options("127.0.0.1:1")) // where nothing listens
		if err := m.SendMonth(t.Context(), manager("zh"), mail.Month{Community: "jiayuan", Month: october}); err != nil {
			t.Error(err)
		}
	})
}

// Names are text in this mail, too.
func TestMonthIsNoMarkup(t *testing.T) {
	server := testserver.Mailpit(t)
	evil := "<script>alert(1)</script>\r\nBcc: x@example.org\r\n\r\n\u202e\"'&{{.}}"
	o := options(server.SMTP)
	o.Names = func(string) (*greentally.Community, *time.Location, bool) {
		return &greentally.Community{ID: "x", Name: text(evil, evil)}, nil, true
	}
	bad := indicator(evil, evil, evil, 0.1, 0.5)
	bad.Unit = evil
	month := mail.Month{
		Community: "x\r\nBcc: x@example.org; rm -rf ~", Month: october,
		Indicators: []greentally.IndicatorValue{bad, lacking("a", evil, evil, text(evil, evil)), lacking("b", evil, evil, text(evil, evil), "survey; rm -rf ~")},
		Assessments: []greentally.Assessment{{Scheme: evil, Title: text(evil, evil), LevelTitle: text(evil, evil), Total: 1, AtMost: 1, Verdict: greentally.Fail, Barred: []string{evil, "i"},
			Items: []greentally.ItemResult{{Item: "i", Title: text(evil, evil), AtMost: 1, Points: 1, Indicators: []string{evil, "a"}}}}},
		Files: []mail.File{{Name: evil, MediaType: evil, Data: []byte("x")}},
	}
	for _, language := range []string{"zh", "en"} {
		got := sendMonth(t, server, o, language, month)
		if bcc := got.Header.Get("Bcc"); bcc != "" {
			t.Errorf("a name became a header: Bcc: %s", bcc)
		}
		for _, bad := range []string{"<script", "\u202e", "&{{.}}"} {
			if strings.Contains(got.HTML, bad) {
				t.Errorf("the HTML has %s:\n%s", bad, got.HTML)
			}
		}
		if strings.Contains(got.Text, "\u202e") || strings.ContainsAny(got.Subject, "\r\n\u202e") {
			t.Errorf("subject %q, text %s", got.Subject, got.Text)
		}
		if !strings.Contains(got.Text, "--community xBccxexampleorgrm-rf --type surveyrm-rf --date 2026-10-31") {
			t.Errorf("no command that is safe to copy:\n%s", got.Text)
		}
	}
}

// A template of a user is tried out before a month is over, and one that fails nevertheless can
// be mended.
func TestMonthTemplates(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	server := testserver.Mailpit(t)
	o := options(server.SMTP)
	o.Templates = fstest.MapFS{
		"month.txt.tmpl": file(`{{.Month.Month}} {{range .Month.Groups}}{{.Label}} {{end}}{{.Word "action"}}`),
		"words.yaml":     file("insufficient_data: {zh: 缺数据, en: Gaps}\n"),
	}
	got := sendMonth(t, server, o, "zh", monthOver())
	if strings.TrimSpace(got.Text) != "2026年10月 未达标 缺数据 处理建议" || !strings.Contains(got.HTML, "缺数据 4") {
		t.Errorf("%s", got.Text)
	}

	for _, tt := range []struct{ name, file, text, want string }{
		{"no such field", "month.txt.tmpl", "\n\n{{.Month.Titel}}", "month.txt.tmpl:3"},
		{"no such field of an attachment", "month.html.tmpl", "{{range .Month.Attached}}\n{{.Nothing}}{{end}}", "month.html.tmpl:2"},
		{"no such word", "month.txt.tmpl", "\n{{.Word \"x\"}}", "month.txt.tmpl:2"},
		{"no end", "month.html.tmpl", "{{if .Title}}\n", "month.html.tmpl:2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options("127.0.0.1:25")
			o.Templates = fstest.MapFS{tt.file: file(tt.text)}
			if _, err := mail.New(o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want an error with %q", err, tt.want)
			}
		})
	}

	o.Templates = fstest.MapFS{"month.txt.tmpl": file(`{{if eq (len .Month.Scores) 4}}{{index .Month.Scores 4}}{{end}}`)}
	err := newMailer(t, o).SendMonth(t.Context(), manager("zh"), monthOver())
	var e *mail.Error
	if !errors.As(err, &e) || !e.Temporary || !strings.Contains(err.Error(), "mend the template") || len(server.Mails()) != 1 {
		t.Errorf("%v after %d mails, want a temporary error", err, len(server.Mails()))
	}
}

// An error says whether it helps to try again.
func TestMonthErrors(t *testing.T) {
	picky := testserver.Mailpit(t, "--smtp-allowed-recipients", `^wang@`)
	for _, tt := range []struct {
		name, server, to string
		temporary        bool
		want             string
	}{
		{"a recipient that the server does not know", picky.SMTP, "nobody@example.org", false, "550"},
		{"no address", picky.SMTP, "wang", false, "not a mail address"},
		{"a server that is not there", "127.0.0.1:1", "wang@example.org", true, "127.0.0.1:1"},
		{"a server that finds the mail too large", breaksDown(t, "552 too large\r\n"), "wang@example.org", false, "552"},
		{"a server whose disk is full", breaksDown(t, "452 full\r\n"), "wang@example.org", true, "452"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := newMailer(t, options(tt.server)).SendMonth(t.Context(), mail.Recipient{Email: tt.to}, monthOver())
			var e *mail.Error
			if !errors.As(err, &e) || e.Temporary != tt.temporary || e.To != tt.to || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v (%+v), want one with %q, temporary %t", err, e, tt.want, tt.temporary)
			}
		})
	}
}
