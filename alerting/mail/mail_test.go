package mail_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"image/png"
	"io"
	"io/fs"
	"iter"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"greentally"
	"greentally/alerting/mail"
	"greentally/internal/golden"
	"greentally/internal/testserver"
)

// It is 08:25 of a November morning in Shanghai, or a little later where things are over.
var (
	shanghai = time.FixedZone("CST", 8*60*60)
	now      = time.Date(2026, 11, 24, 8, 25, 0, 0, shanghai)
	later    = now.Add(27 * time.Minute)
)

func at(clock string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04", "2026-11-"+clock, shanghai)
	if err != nil {
		panic(err)
	}
	return t
}

func text(zh, en string) greentally.Text { return greentally.Text{ZH: zh, EN: en} }

func jiayuan() *greentally.Community {
	return &greentally.Community{
		ID: "jiayuan", Name: text("嘉苑社区", "Jiayuan community"),
		Sites: []greentally.Site{
			{ID: "gate-east", Type: "gate", Name: text("东门", "East gate")},
			{ID: "e3", Type: "estate", Name: text("绿茵河畔", "Green Riverside")},
			{ID: "e3-s1", Type: "stairwell", In: "e3", Name: text("绿茵河畔1号楼门洞", "Green Riverside stairwell 1")},
		},
		Devices: []*greentally.Device{
			{Community: "jiayuan", ID: "gate-food", Kind: "sorting_bin", Site: "gate-east", Stream: greentally.Food, Interval: greentally.Duration(10 * time.Minute)},
			{Community: "jiayuan", ID: "e3-s1-corridor", Kind: "lighting_meter", Site: "e3-s1", Name: text("1号楼楼道照明", "corridor lights"), Interval: greentally.Duration(10 * time.Minute)},
		},
	}
}

func kinds(name string) (*greentally.Kind, bool) {
	kind := &greentally.Kind{Name: name}
	switch name {
	case "sorting_bin":
		kind.Title = text("分类垃圾桶", "Sorting bin")
		kind.Quantities = []greentally.Quantity{
			{Name: "fill_ratio", Nature: greentally.Gauge, Unit: "/", Title: text("满溢度", "Fill level")},
			{Name: "temperature_celsius", Nature: greentally.Gauge, Unit: "Cel", Title: text("温度", "Temperature")},
			{Name: "status", Nature: greentally.State, Title: text("状态", "Status")},
		}
	case "battery_box":
		kind.Title = text("废电池回收箱", "Battery box")
	case "lighting_meter":
		kind.Title = text("照明电表", "Lighting meter")
		kind.Quantities = []greentally.Quantity{{Name: "power_w", Nature: greentally.Gauge, Unit: "W", Title: text("功率", "Power")}}
	default:
		return nil, false
	}
	return kind, true
}

// readings are those of a bin that fills and is emptied at 18:40, with three hours
// missing in the night, and of lights that are on from 17:30.
func readings(_ context.Context, q greentally.ReadingQuery) iter.Seq2[greentally.Reading, error] {
	return func(yield func(greentally.Reading, error) bool) {
		for t := q.From.Truncate(10 * time.Minute).Add(10 * time.Minute); t.Before(q.To); t = t.Add(10 * time.Minute) {
			local := t.In(shanghai)
			hour := float64(local.Hour()) + float64(local.Minute())/60
			if hour > 0.5 && hour < 3.5 {
				continue
			}
			var v float64
			switch q.With {
			case "fill_ratio":
				switch {
				case hour > 18.6:
					v = 0.05 + (hour-18.6)*0.03
				case hour > 8.6:
					v = 0.08 + (hour-8.6)*0.07
				default:
					v = min(0.21+hour*0.0979, 0.97)
				}
			case "temperature_celsius":
				v = 18 + hour*hour/4
			case "power_w":
				v = 12.5
				if hour > 17.5 || hour < 8.6 {
					v = 1188
				}
			default:
				return
			}
			r := greentally.Reading{DeviceKey: q.DeviceKey, Kind: q.Kind, Time: t, Quality: greentally.Accepted, Values: []greentally.Value{{Quantity: q.With, Number: v}}}
			if !yield(r, nil) {
				return
			}
		}
	}
}

func pointer[T any](v T) *T { return &v }

func overflowing() greentally.Alert {
	return greentally.Alert{
		Community: "jiayuan", Rule: "bin_overflowing", Severity: greentally.Critical,
		Device: "gate-food", Kind: "sorting_bin", Site: "gate-east", Stream: greentally.Food,
		Title:    text("已满溢", "Overflowing"),
		Summary:  text("满溢度 97%，超过警戒线 90%。", "The bin is 97\u00a0% full, above the limit of 90\u00a0%."),
		Action:   text("请安排清运。\n若半小时内无法清运，请在桶旁放置备用桶。", "Have the bin emptied.\nIf that takes more than half an hour, put a spare bin beside it."),
		Quantity: "fill_ratio", Limit: pointer(0.9), Since: at("24 07:05"), Fired: at("24 07:15"),
	}
}

func lightsOn() greentally.Alert {
	return greentally.Alert{
		Community: "jiayuan", Rule: "lights_on_in_daytime", Severity: greentally.Warning,
		Device: "e3-s1-corridor", Kind: "lighting_meter", Site: "e3-s1",
		Title:    text("白天亮灯", "Lights on in daytime"),
		Summary:  text("白天照明功率为 1188 W。", "The lights take 1188 W by day."),
		Action:   text("请检查光控开关或定时器。", "Check the light sensor or the timer."),
		Quantity: "power_w", Limit: pointer(50.0), Since: at("24 07:40"), Fired: at("24 08:10"),
	}
}

func silent() greentally.Alert {
	return greentally.Alert{
		Community: "jiayuan", Rule: "device_silent", Severity: greentally.Info,
		Device: "battery-east", Kind: "battery_box", Site: "gate-east",
		Title:   text("设备失联", "Device silent"),
		Summary: text("已有 2 天 3 小时没有数据。", "Nothing was heard for 2 days 3 h."),
		Action:  text("请检查供电和网络信号。", "Check its power and its signal."),
		Since:   at("22 05:20"), Fired: at("22 06:20"),
	}
}

func target() greentally.Alert {
	return greentally.Alert{
		Community: "jiayuan", Rule: "indicator_off_course", Severity: greentally.Warning, Indicator: "separate_collection",
		Title:   text("本月分类收集率可能不达标", "Separate-collection rate may miss its target"),
		Summary: text("截至昨日 27.4%，目标不低于 30%。", "27.4 % up to yesterday; the target is at least 30 %."),
		Action:  text("请加强厨余垃圾分类引导。", "Ask residents to sort their food waste."),
		Since:   at("20 00:00"), Fired: at("20 00:10"),
	}
}

func over(a greentally.Alert, when string) greentally.Alert {
	a.Ended = pointer(at(when))
	return a
}

// options are those of a mailer that sends to the server without encryption.
func options(address string) mail.Options {
	return mail.Options{
		SMTP: mail.SMTP{Address: address, From: "绿色社区 <alerts@green.example.org>", Hello: "test.example.org", TLS: mail.NoTLS},
		Names: func(id string) (*greentally.Community, *time.Location, bool) {
			if id != "jiayuan" {
				return nil, nil, false
			}
			return jiayuan(), shanghai, true
		},
		Kinds:    kinds,
		Readings: readings,
		Link: func(a greentally.Alert) string {
			if a.Device == "" {
				return ""
			}
			return "https://green.example.org/devices/" + a.Community + "/" + a.Device
		},
		Now: func() time.Time { return now },
	}
}

func newMailer(t testing.TB, o mail.Options) *mail.Mailer {
	t.Helper()
	m, err := mail.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func manager(language string) mail.Recipient {
	return mail.Recipient{Email: "wang@example.org", Name: map[string]string{"zh": "王经理", "en": "Wang Fang"}[language], Language: language}
}

// samples are the mails that are compared with golden files, and shown in docs/screenshots.
func samples() []sample {
	others := map[string][]string{"zh": {"李师傅", "居委会值班"}, "en": {"Li Ming", "duty desk"}}
	notice := func(n mail.Notice, told bool) func(context.Context, *mail.Mailer, string) error {
		return func(ctx context.Context, m *mail.Mailer, language string) error {
			if told {
				n.Others = others[language]
			}
			return m.Send(ctx, manager(language), n)
		}
	}
	return []sample{
		{"raised", now, 1, notice(mail.Notice{Alerts: []greentally.Alert{overflowing()}}, true)},
		{"reminder", now, 1, notice(mail.Notice{Alerts: []greentally.Alert{overflowing()}, Reminder: 2}, false)},
		{"grouped", now, 2, notice(mail.Notice{Alerts: []greentally.Alert{silent(), over(target(), "24 08:20"), lightsOn(), overflowing()}}, true)},
		{"resolved", later, 1, notice(mail.Notice{Alerts: []greentally.Alert{over(overflowing(), "24 08:40")}}, true)},
		{"all-resolved", later, 1, notice(mail.Notice{Alerts: []greentally.Alert{over(silent(), "24 08:20"), over(lightsOn(), "24 08:40")}}, false)},
		{"digest", now, 0, func(ctx context.Context, m *mail.Mailer, language string) error {
			stairwell := silent()
			stairwell.Device, stairwell.Kind, stairwell.Site, stairwell.Stream = "e3-s1-residual", "sorting_bin", "e3-s1", greentally.Residual
			stairwell.Since = at("23 11:00")
			box := silent()
			box.Rule, box.Title, box.Since = "battery_low", text("设备电量低", "Battery low"), at("21 18:00")
			return m.SendDigest(ctx, manager(language), []greentally.Alert{stairwell, lightsOn(), silent(), target(), box, overflowing()})
		}},
		{"month", now, 0, func(ctx context.Context, m *mail.Mailer, language string) error {
			return m.SendMonth(ctx, manager(language), monthOver())
		}},
	}
}

type sample struct {
	name   string
	now    time.Time
	charts int
	send   func(ctx context.Context, m *mail.Mailer, language string) error
}

func TestMails(t *testing.T) {
	server := testserver.Mailpit(t)
	for _, s := range samples() {
		o := options(server.SMTP)
		o.Now = func() time.Time { return s.now }
		m := newMailer(t, o)
		for _, language := range []string{"zh", "en"} {
			t.Run(s.name+" "+language, func(t *testing.T) {
				before := len(server.Mails())
				if err := s.send(t.Context(), m, language); err != nil {
					t.Fatal(err)
				}
				got := server.Mails()[before]

				name := "testdata/" + s.name + "." + language
				golden.Equal(t, name+".txt", strings.ReplaceAll("Subject: "+got.Subject+"\n\n"+got.Text, "\r\n", "\n"))
				golden.Equal(t, name+".html", strings.ReplaceAll(got.HTML, "\r\n", "\n"))
				if regexp.MustCompile(`https?://`).MatchString(regexp.MustCompile(`<a [^>]*href="[^"]*"`).ReplaceAllString(got.HTML, "")) {
					t.Error("the HTML asks for something from outside")
				}

				if len(got.Inline) != s.charts {
					t.Fatalf("%d pictures, want %d", len(got.Inline), s.charts)
				}
				for _, file := range got.Inline {
					picture, err := png.Decode(bytes.NewReader(file.Content))
					if err != nil || file.ContentType != "image/png" || len(file.Content) > 30<<10 {
						t.Errorf("picture %s: %s of %d bytes: %v", file.ContentID, file.ContentType, len(file.Content), err)
					} else if picture.Bounds().Dx() < 2*320 {
						t.Errorf("picture %s is too coarse for a phone: %v", file.ContentID, picture.Bounds())
					}
					if !strings.Contains(got.HTML, `src="cid:`+file.ContentID+`"`) {
						t.Errorf("nothing shows picture %s", file.ContentID)
					}
				}

				list, kind := "alerts", "multipart/alternative"
				switch {
				case s.name == "month":
					list, kind = "months", "multipart/mixed"
				case s.charts > 0:
					kind = "multipart/related"
				}
				for name, want := range map[string]string{
					"Auto-Submitted":   "auto-generated",
					"List-Id":          "<jiayuan." + list + ".green.example.org>",
					"Content-Language": map[string]string{"zh": "zh-CN", "en": "en"}[language],
					"Precedence":       "",
					"Date":             s.now.Format(time.RFC1123Z),
				} {
					if got.Header.Get(name) != want {
						t.Errorf("%s: %q, want %q", name, got.Header.Get(name), want)
					}
				}
				if critical := got.Header.Get("Importance") != ""; critical != (s.name == "raised" || s.name == "reminder" || s.name == "grouped") {
					t.Errorf("Importance: %q", got.Header.Get("Importance"))
				}
				if !strings.HasPrefix(got.Header.Get("Content-Type"), kind) {
					t.Errorf("Content-Type: %s", got.Header.Get("Content-Type"))
				}
			})
		}
	}
}

func TestNothingToTell(t *testing.T) {
	m := newMailer(t, options("127.0.0.1:1")) // where nothing listens
	if err := m.Send(t.Context(), manager("zh"), mail.Notice{}); err != nil {
		t.Error(err)
	}
	if err := m.SendDigest(t.Context(), manager("zh"), nil); err != nil {
		t.Error(err)
	}
}

// Mails about one alert make a thread, and what is sent again can be recognised.
func TestThreads(t *testing.T) {
	server := testserver.Mailpit(t)
	m := newMailer(t, options(server.SMTP))
	send := func(to string, n mail.Notice) (id, replies string, references []string) {
		t.Helper()
		before := len(server.Mails())
		if err := m.Send(t.Context(), mail.Recipient{Email: to}, n); err != nil {
			t.Fatal(err)
		}
		h := server.Mails()[before].Header
		return h.Get("Message-Id"), h.Get("In-Reply-To"), strings.Fields(h.Get("References"))
	}
	alerts := func(all ...greentally.Alert) mail.Notice { return mail.Notice{Alerts: all} }

	raised, replies, references := send("a@example.org", alerts(overflowing()))
	if replies != "" || len(references) > 0 || !strings.HasSuffix(raised, "@green.example.org>") {
		t.Errorf("the first mail: %s replies to %q, %q", raised, replies, references)
	}
	again, _, _ := send("a@example.org", mail.Notice{Alerts: []greentally.Alert{overflowing()}, Others: []string{"b"}})
	if again != raised {
		t.Errorf("sent again: %s, was %s", again, raised)
	}
	if other, _, _ := send("b@example.org", alerts(overflowing())); other == raised {
		t.Error("mails to two recipients have one Message-ID")
	}
	next := overflowing()
	next.Fired = next.Fired.Add(time.Hour)
	if other, _, _ := send("a@example.org", alerts(next)); other == raised {
		t.Error("the next time that the rule fires is another alert")
	}

	reminder, replies, references := send("a@example.org", mail.Notice{Alerts: []greentally.Alert{overflowing()}, Reminder: 1})
	if reminder == raised || replies != raised || !slices.Equal(references, []string{raised}) {
		t.Errorf("the reminder: %s replies to %q, %q", reminder, replies, references)
	}
	resolved, replies, references := send("a@example.org", alerts(over(overflowing(), "24 08:20")))
	if resolved == raised || replies != raised || !slices.Equal(references, []string{raised}) {
		t.Errorf("resolved: %s replies to %q, %q", resolved, replies, references)
	}

	// Raised together, over one by one.
	group, replies, references := send("a@example.org", alerts(silent(), overflowing()))
	if group == raised || replies != "" || len(references) != 2 || references[0] != raised {
		t.Errorf("the group: %s replies to %q, %q", group, replies, references)
	}
	if same, _, _ := send("a@example.org", alerts(overflowing(), silent())); same != group {
		t.Error("the order of alerts changes the Message-ID")
	}
	if _, replies, _ := send("a@example.org", alerts(over(silent(), "24 08:20"))); replies != references[1] {
		t.Errorf("resolved: it replies to %q, not to %q", replies, references[1])
	}

	digest := func(when time.Time) string {
		t.Helper()
		o := options(server.SMTP)
		o.Now = func() time.Time { return when }
		before := len(server.Mails())
		if err := newMailer(t, o).SendDigest(t.Context(), manager("zh"), []greentally.Alert{overflowing()}); err != nil {
			t.Fatal(err)
		}
		return server.Mails()[before].Header.Get("Message-Id")
	}
	if first := digest(now); first != digest(now.Add(time.Minute)) || first == digest(now.Add(24*time.Hour)) {
		t.Error("a digest is the mail of a day")
	}
}

// Names and annotations are text, wherever they are put.
func TestTextIsNoMarkup(t *testing.T) {
	server := testserver.Mailpit(t)
	evil := "<script>alert(1)</script>\r\nBcc: x@example.org\r\n\r\n\u202e\"'&{{.}}"
	o := options(server.SMTP)
	o.Names = func(string) (*greentally.Community, *time.Location, bool) {
		return &greentally.Community{
			ID: "x", Name: text(evil, evil),
			Sites:   []greentally.Site{{ID: "s", Name: text(evil, evil), In: "s"}},
			Devices: []*greentally.Device{{ID: "d", Name: text(evil, evil)}},
		}, nil, true
	}
	o.Link = func(greentally.Alert) string { return "javascript:alert(1)" }
	a := overflowing()
	a.Community, a.Rule, a.Device, a.Site = "x\r\nBcc: x@example.org", evil, "d", "s"
	a.Title, a.Summary, a.Action = text(evil, evil), text(evil, evil), text(evil, evil)
	m := newMailer(t, o)
	to := mail.Recipient{Email: "wang@example.org", Name: evil, Language: "en"}
	if err := m.Send(t.Context(), to, mail.Notice{Alerts: []greentally.Alert{a}, Others: []string{evil}}); err != nil {
		t.Fatal(err)
	}
	if err := m.SendDigest(t.Context(), to, []greentally.Alert{a, overflowing()}); err != nil {
		t.Fatal(err)
	}
	for _, got := range server.Mails() {
		if bcc := got.Header.Get("Bcc"); bcc != "" {
			t.Errorf("%s: a name became a header: Bcc: %s", got.Subject, bcc)
		}
		for _, bad := range []string{"<script", "javascript:", "\u202e", "&{{.}}"} {
			if strings.Contains(got.HTML, bad) {
				t.Errorf("the HTML has %s:\n%s", bad, got.HTML)
			}
		}
		if strings.ContainsAny(got.Subject, "\r\n\u202e") || strings.HasPrefix(got.Subject, "[Critical]") && !strings.Contains(got.Subject, "<script>") {
			t.Errorf("subject %q", got.Subject)
		}
	}
}

// A mail is worth more than its picture.
func TestWithoutReadings(t *testing.T) {
	server := testserver.Mailpit(t)
	failing := func(context.Context, greentally.ReadingQuery) iter.Seq2[greentally.Reading, error] {
		return func(yield func(greentally.Reading, error) bool) {
			yield(greentally.Reading{}, errors.New("the store is down"))
		}
	}
	status := overflowing()
	status.Quantity = "status"
	for _, tt := range []struct {
		name     string
		readings func(context.Context, greentally.ReadingQuery) iter.Seq2[greentally.Reading, error]
		alert    greentally.Alert
	}{
		{"nobody keeps any", nil, overflowing()},
		{"the store is down", failing, overflowing()},
		{"there are none", func(context.Context, greentally.ReadingQuery) iter.Seq2[greentally.Reading, error] {
			return func(func(greentally.Reading, error) bool) {}
		}, overflowing()},
		{"states are not drawn", readings, status},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options(server.SMTP)
			o.Readings = tt.readings
			before := len(server.Mails())
			if err := newMailer(t, o).Send(t.Context(), manager("zh"), mail.Notice{Alerts: []greentally.Alert{tt.alert}}); err != nil {
				t.Fatal(err)
			}
			if got := server.Mails()[before]; len(got.Inline) != 0 || strings.Contains(got.HTML, "<img") {
				t.Errorf("it has %d pictures", len(got.Inline))
			}
		})
	}
}

// What nobody can name is called by its identifier, and times are UTC.
func TestUnknownNames(t *testing.T) {
	server := testserver.Mailpit(t)
	o := options(server.SMTP)
	o.Names = func(string) (*greentally.Community, *time.Location, bool) { return nil, nil, false }
	o.Kinds, o.Link, o.Readings = nil, nil, nil
	a, b := silent(), silent()
	b.Community = "other"
	m := newMailer(t, o)
	if err := m.Send(t.Context(), mail.Recipient{Email: "a@example.org", Language: "en"}, mail.Notice{Alerts: []greentally.Alert{a, b}}); err != nil {
		t.Fatal(err)
	}
	got := server.Mails()[0]
	if want := "[Info] gate-east, battery-east: Device silent, and 1 more"; got.Subject != want {
		t.Errorf("subject %q, want %q", got.Subject, want)
	}
	for _, want := range []string{"Where: jiayuan › gate-east", "Where: other › gate-east", "Since: 21 Nov 21:20\nFor: 2 days 3 h"} {
		if !strings.Contains(strings.ReplaceAll(got.Text, "\r", ""), want) {
			t.Errorf("no %q in\n%s", want, got.Text)
		}
	}
	if id := got.Header.Get("List-Id"); id != "<alerts.green.example.org>" {
		t.Errorf("List-Id %s", id)
	}
}

func TestManyAlerts(t *testing.T) {
	server := testserver.Mailpit(t)
	var all []greentally.Alert
	for i := range 120 {
		a := overflowing()
		a.Device = fmt.Sprintf("bin-%d", i)
		all = append(all, a)
	}
	m := newMailer(t, options(server.SMTP))
	if err := m.Send(t.Context(), manager("en"), mail.Notice{Alerts: all}); err != nil {
		t.Fatal(err)
	}
	if err := m.SendDigest(t.Context(), manager("zh"), all); err != nil {
		t.Fatal(err)
	}
	mails := server.Mails()
	if n := len(mails[0].Inline); n != 3 || !strings.Contains(mails[0].Text, "90 more alerts are not listed.") {
		t.Errorf("%d pictures in\n%s", n, mails[0].Text)
	}
	if !strings.Contains(mails[1].Text, "另有 20 项告警未列出。") {
		t.Errorf("%s", mails[1].Text)
	}
}

func TestLogin(t *testing.T) {
	dir := t.TempDir()
	hash, err := bcrypt.GenerateFromPassword([]byte("a secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	users := filepath.Join(dir, "users")
	if err := os.WriteFile(users, []byte("green:"+string(hash)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cert, key, ca := certificate(t, dir)
	encrypted := []string{"--smtp-auth-file", users, "--smtp-tls-cert", cert, "--smtp-tls-key", key}
	starttls := testserver.Mailpit(t, append(encrypted, "--smtp-require-starttls")...)
	implicit := testserver.Mailpit(t, append(encrypted, "--smtp-require-tls")...)
	open := testserver.Mailpit(t, "--smtp-auth-file", users, "--smtp-auth-allow-insecure")

	send := func(server *testserver.MailServer, change func(*mail.SMTP)) (arrived int, err error) {
		t.Helper()
		o := options(server.SMTP)
		o.SMTP.Username, o.SMTP.Password, o.SMTP.TLS, o.SMTP.CAs = "green", "a secret", "", ca
		change(&o.SMTP)
		before := len(server.Mails())
		err = newMailer(t, o).Send(t.Context(), manager("zh"), mail.Notice{Alerts: []greentally.Alert{overflowing()}})
		return len(server.Mails()) - before, err
	}
	for _, tt := range []struct {
		name   string
		server *testserver.MailServer
		change func(*mail.SMTP)
		wrong  string
	}{
		{"STARTTLS", starttls, func(*mail.SMTP) {}, ""},
		{"TLS from the start", implicit, func(s *mail.SMTP) { s.TLS = mail.TLS }, ""},
		{"wrong password", starttls, func(s *mail.SMTP) { s.Password = "another" }, "535"},
		{"wrong password, TLS from the start", implicit, func(s *mail.SMTP) { s.TLS, s.Password = mail.TLS, "another" }, "535"},
		{"no login where one is asked for", starttls, func(s *mail.SMTP) { s.Username, s.Password = "", "" }, "530"},
		{"nobody vouches for the server", starttls, func(s *mail.SMTP) { s.CAs = nil }, "x509"},
		{"nobody vouches for the server, TLS from the start", implicit, func(s *mail.SMTP) { s.TLS, s.CAs = mail.TLS, nil }, "x509"},
		{"a server that cannot encrypt", open, func(*mail.SMTP) {}, "STARTTLS"},
		{"a server that is not encrypted from the start", open, func(s *mail.SMTP) { s.TLS = mail.TLS }, "tls"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wire := tap(t, tt.server.SMTP)
			n, err := send(tt.server, func(s *mail.SMTP) { s.Address = wire.address; tt.change(s) })
			if tt.wrong == "" {
				if err != nil || n != 1 {
					t.Errorf("%d mails, %v", n, err)
				}
			} else {
				var e *mail.Error
				if !errors.As(err, &e) || !e.Temporary || !strings.Contains(err.Error(), tt.wrong) || n != 0 {
					t.Errorf("%d mails, %v; want none and a temporary error with %q", n, err, tt.wrong)
				}
			}
			if sent := wire.sent(); strings.Contains(sent, "AUTH ") {
				t.Errorf("a login without encryption:\n%s", sent)
			}
		})
	}

	o := options(open.SMTP)
	o.SMTP.Username, o.SMTP.Password = "green", "a secret"
	if _, err := mail.New(o); err == nil || !strings.Contains(err.Error(), "unencrypted") {
		t.Errorf("a password without encryption: %v", err)
	}
}

// wiretap is a connection to a server that keeps what goes there.
type wiretap struct {
	address string

	mu   sync.Mutex
	data bytes.Buffer
}

func tap(t *testing.T, server string) *wiretap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	w := &wiretap{address: l.Addr().String()}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close()
				conn, err := net.Dial("tcp", server)
				if err != nil {
					return
				}
				defer conn.Close()
				go func() { _, _ = io.Copy(client, conn); client.Close() }()
				_, _ = io.Copy(io.MultiWriter(w, conn), client)
			}()
		}
	}()
	return w
}

func (w *wiretap) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.data.Write(b)
}

func (w *wiretap) sent() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.data.String()
}

// certificate writes a certificate for the loopback address and returns who vouches for it.
func certificate(t *testing.T, dir string) (cert, key string, ca *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail server"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, data []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	ca = x509.NewCertPool()
	ca.AddCert(parsed)
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", secret), ca
}

// An error says whether it helps to try again.
func TestErrors(t *testing.T) {
	picky := testserver.Mailpit(t, "--smtp-allowed-recipients", `^wang@`)
	busy := testserver.Mailpit(t, "--chaos-triggers", "Recipient:451:100")
	sender := testserver.Mailpit(t, "--chaos-triggers", "Sender:550:100")
	for _, tt := range []struct {
		name      string
		server    *testserver.MailServer
		to        string
		temporary bool
		want      string
	}{
		{"a recipient that the server does not know", picky, "nobody@example.org", false, "550"},
		{"a server that is busy", busy, "wang@example.org", true, "451"},
		{"a sender that the server does not take", sender, "wang@example.org", true, "550"},
		{"no address", picky, "wang", false, "not a mail address"},
		{"an address with a header", picky, "wang@example.org\r\nBcc: x@example.org", false, "not a mail address"},
		{"an address with a name", picky, "Wang <wang@example.org>", false, "not a mail address"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := newMailer(t, options(tt.server.SMTP)).Send(t.Context(), mail.Recipient{Email: tt.to}, mail.Notice{Alerts: []greentally.Alert{overflowing()}})
			var e *mail.Error
			if !errors.As(err, &e) || e.Temporary != tt.temporary || e.To != tt.to || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v (%+v), want one with %q, temporary %t", err, e, tt.want, tt.temporary)
			}
			if n := len(tt.server.Mails()); n != 0 {
				t.Errorf("%d mails came", n)
			}
		})
	}

	t.Run("a server that is down for a while", func(t *testing.T) {
		m := newMailer(t, options(picky.SMTP))
		send := func() error {
			return m.Send(t.Context(), manager("zh"), mail.Notice{Alerts: []greentally.Alert{overflowing()}})
		}
		picky.Stop()
		var e *mail.Error
		if err := send(); !errors.As(err, &e) || !e.Temporary {
			t.Errorf("%v, want a temporary error", err)
		}
		picky.Start()
		if err := send(); err != nil || len(picky.Mails()) != 1 {
			t.Errorf("%d mails, %v", len(picky.Mails()), err)
		}
	})

	for _, tt := range []struct {
		name, answer string
		want         func(*mail.Error) bool
	}{
		{"a server that breaks down when it has the mail", "250 taken\r\n", func(e *mail.Error) bool { return e == nil }},
		{"a server that breaks down before it says so", "", func(e *mail.Error) bool { return e != nil && e.Temporary }},
		{"a server that refuses what the mail says", "554 spam\r\n", func(e *mail.Error) bool { return e != nil && !e.Temporary }},
		{"a server whose disk is full", "452 full\r\n", func(e *mail.Error) bool { return e != nil && e.Temporary }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMailer(t, options(breaksDown(t, tt.answer)))
			err := m.Send(t.Context(), manager("zh"), mail.Notice{Alerts: []greentally.Alert{overflowing()}})
			var e *mail.Error
			if errors.As(err, &e); !tt.want(e) {
				t.Errorf("%+v", err)
			}
		})
	}

	t.Run("a server that says nothing, and a caller that has to go", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			conn, err := l.Accept()
			if err == nil {
				defer conn.Close()
				_, _ = io.WriteString(conn, "220 hello\r\n")
				_, _ = conn.Read(make([]byte, 1)) // it is connected, and has said EHLO
				cancel()
				_, _ = io.Copy(io.Discard, conn)
			}
		}()
		err = newMailer(t, options(l.Addr().String())).Send(ctx, manager("zh"), mail.Notice{Alerts: []greentally.Alert{overflowing()}})
		var e *mail.Error
		if !errors.Is(err, context.Canceled) || !errors.As(err, &e) || !e.Temporary {
			t.Errorf("%v, want that it was cancelled", err)
		}
	})
}

// breaksDown returns the address of a server that takes one mail, answers it and hangs up.
func breaksDown(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		say := func(s string) { _, _ = io.WriteString(conn, s) }
		say("220 hello\r\n")
		contents := false
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			switch {
			case contents && lines.Text() == ".":
				say(answer)
				return
			case contents:
			case lines.Text() == "DATA":
				contents = true
				say("354 go on\r\n")
			default:
				say("250 yes\r\n")
			}
		}
	}()
	return l.Addr().String()
}

func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*mail.SMTP)
		want   string
	}{
		{"no port", func(s *mail.SMTP) { s.Address = "mail.example.org" }, "host:port"},
		{"a port in words", func(s *mail.SMTP) { s.Address = "mail.example.org:smtp" }, "host:port"},
		{"no host", func(s *mail.SMTP) { s.Address = ":25" }, "host:port"},
		{"no sender", func(s *mail.SMTP) { s.From = "" }, "sender"},
		{"another encryption", func(s *mail.SMTP) { s.TLS = "ssl" }, "starttls, tls and none"},
		{"half a login", func(s *mail.SMTP) { s.Username = "x" }, "username and a password"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options("127.0.0.1:25")
			tt.change(&o.SMTP)
			if _, err := mail.New(o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestOverrides(t *testing.T) {
	server := testserver.Mailpit(t)
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	o := options(server.SMTP)
	o.Templates = fstest.MapFS{
		"alert.txt.tmpl": file("{{range .Items}}{{.Title}} {{$.Word \"critical\"}}{{end}}"),
		"words.yaml":     file("critical: {zh: 特急, en: Now}\n"),
		".hidden":        file("not a template"), "README/x": file("not one either"),
	}
	if err := newMailer(t, o).Send(t.Context(), manager("zh"), mail.Notice{Alerts: []greentally.Alert{overflowing()}}); err != nil {
		t.Fatal(err)
	}
	got := server.Mails()[0]
	if strings.TrimSpace(got.Text) != "已满溢 特急" || !strings.HasPrefix(got.Subject, "【特急】") || !strings.Contains(got.HTML, "处理建议") {
		t.Errorf("%s: %s", got.Subject, got.Text)
	}

	for _, tt := range []struct{ name, file, text, want string }{
		{"no end", "alert.html.tmpl", "<p>\n{{if .Title}}\n</p>", "alert.html.tmpl:3"},
		{"no such field", "digest.txt.tmpl", "\n\n{{.Titel}}", "digest.txt.tmpl:3"},
		{"no such field of an alert", "alert.txt.tmpl", "{{range .Items}}\n{{.Nothing}}{{end}}", "alert.txt.tmpl:2"},
		{"no such word", "alert.txt.tmpl", "\n{{.Word \"x\"}}", "alert.txt.tmpl:2"},
		{"no such file", "alert.tmpl", "x", "alert.tmpl:1: mails have no such template; there are alert.html.tmpl, "},
		{"no such word to override", "words.yaml", "critical: {zh: 特急}\ncritcal: {zh: 特急}\n", "words.yaml:2"},
		{"no YAML", "words.yaml", "critical: [", "words.yaml:2"},
		{"no language", "words.yaml", "critical: {fr: x}\n", "words.yaml:1"},
		{"half an attribute", "frame.html.tmpl", "{{define \"head\"}}<p title=\"{{end}}{{define \"foot\"}}{{end}}{{define \"label\"}}{{end}}", "alert.html.tmpl"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options("127.0.0.1:25")
			o.Templates = fstest.MapFS{tt.file: file(tt.text)}
			if _, err := mail.New(o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want an error with %q", err, tt.want)
			}
		})
	}
	o.Templates = os.DirFS(filepath.Join(t.TempDir(), "none"))
	if _, err := mail.New(o); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}
