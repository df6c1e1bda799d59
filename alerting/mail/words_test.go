package mail

import (
	"context"
	"iter"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"greentally"
)

// Every word is there in both languages, and has the same put in.
func TestWords(t *testing.T) {
	all, err := load(nil)
	if err != nil {
		t.Fatal(err)
	}
	holes := func(s string) []string {
		found := regexp.MustCompile(`\{[a-z]+\}`).FindAllString(s, -1)
		slices.Sort(found)
		return found
	}
	han := regexp.MustCompile(`\p{Han}`)
	for key, word := range all.words {
		if word.ZH == "" || word.EN == "" {
			t.Errorf("%s is not in both languages", key)
		}
		zh, en := holes(word.ZH), holes(word.EN)
		if strings.HasSuffix(key, "_among") { // English counts the others, Chinese all
			continue
		}
		if !slices.Equal(zh, en) {
			t.Errorf("%s: %q in Chinese, %q in English", key, zh, en)
		}
		if han.MatchString(word.EN) {
			t.Errorf("%s: the English has Chinese in it", key)
		}
	}
}

func table(t *testing.T, language string) words {
	t.Helper()
	all, err := load(nil)
	if err != nil {
		t.Fatal(err)
	}
	return words{language, all.words}
}

func TestDurations(t *testing.T) {
	zh, en := table(t, "zh"), table(t, "en")
	for _, tt := range []struct {
		d      time.Duration
		zh, en string
	}{
		{-time.Minute, "不到 1 分钟", "less than a minute"},
		{59 * time.Second, "不到 1 分钟", "less than a minute"},
		{time.Minute, "1 分钟", "1 min"},
		{59*time.Minute + 59*time.Second, "59 分钟", "59 min"},
		{time.Hour, "1 小时", "1 h"},
		{23*time.Hour + 59*time.Minute, "23 小时 59 分钟", "23 h 59 min"},
		{24 * time.Hour, "1 天", "1 day"},
		{24*time.Hour + 59*time.Minute, "1 天", "1 day"},
		{49*time.Hour + 30*time.Minute, "2 天 1 小时", "2 days 1 h"},
	} {
		if got := zh.duration(tt.d); got != tt.zh {
			t.Errorf("%v: %q, want %q", tt.d, got, tt.zh)
		}
		if got := en.duration(tt.d); got != tt.en {
			t.Errorf("%v: %q, want %q", tt.d, got, tt.en)
		}
	}
}

func TestAmounts(t *testing.T) {
	zh, en := table(t, "zh"), table(t, "en")
	for _, tt := range []struct {
		value  float64
		unit   string
		zh, en string
	}{
		{0.954, "/", "95%", "95 %"},
		{1, "/", "100%", "100 %"},
		{-3.25, "Cel", "-3.25°C", "-3.25 °C"},
		{12.345, "kg", "12.3 kg", "12.3 kg"},
		{1188.4, "W", "1188 W", "1188 W"},
		{100, "count", "100", "100"},
		{0.5, "m3", "0.5 m³", "0.5 m³"},
		{7, "", "7", "7"},
	} {
		if got := strings.ReplaceAll(zh.amount(tt.value, tt.unit), "\u00a0", " "); got != tt.zh {
			t.Errorf("%v %s: %q, want %q", tt.value, tt.unit, got, tt.zh)
		}
		if got := strings.ReplaceAll(en.amount(tt.value, tt.unit), "\u00a0", " "); got != tt.en {
			t.Errorf("%v %s: %q, want %q", tt.value, tt.unit, got, tt.en)
		}
	}
}

func TestLines(t *testing.T) {
	if got := line(" a\u202eb\r\n\tc\x00\xff \u00a0d "); got != "ab c \u00a0d" {
		t.Errorf("a line: %q", got)
	}
	if got := lines(" a  b \r\n\r\n c\u200b\n"); got != "a b\n\nc" {
		t.Errorf("lines: %q", got)
	}
	if got := []rune(line(strings.Repeat("长", 500))); len(got) != 120 || got[119] != '…' {
		t.Errorf("a long line has %d characters", len(got))
	}
	if got := []rune(lines(strings.Repeat("长", 5000))); len(got) != 2000 {
		t.Errorf("a long text has %d characters", len(got))
	}
}

// A value that misses its target never looks as if it reached it.
func TestBesideTargets(t *testing.T) {
	for _, tt := range []struct {
		ratio, bound float64
		want         string
	}{
		{0.274, 0.3, "27.4%"}, {0.3, 0.3, "30%"}, {0.2999, 0.3, "29.99%"}, {0.29999999, 0.3, "29.999999%"}, {0.29, 0.29, "29%"},
		{0.0500001, 0.05, "5.00001%"}, {1, 1, "100%"}, {0, 0.5, "0%"}, {1.2345, 0.5, "123.5%"},
	} {
		if got := percent(tt.ratio, &tt.bound); got != tt.want {
			t.Errorf("%v beside %v is %s, want %s", tt.ratio, tt.bound, got, tt.want)
		}
	}
	if got := percent(0.29996, nil); got != "30%" {
		t.Errorf("beside nothing: %s", got)
	}
}

func TestSites(t *testing.T) {
	w := &writer{words: table(t, "en")}
	site := func(id, in, name string) greentally.Site {
		return greentally.Site{ID: id, In: in, Name: greentally.Text{EN: name}}
	}
	c := &greentally.Community{Sites: []greentally.Site{
		site("e", "", "Garden"), site("s", "e", "Garden stairwell 1"), site("l", "s", "Garden stairwell 1 lift"),
		site("same", "e", "Garden"), site("x", "y", ""), site("y", "x", "Loop"), site("o", "gone", "Orphan"),
	}}
	for id, want := range map[string]string{
		"":   "",
		"e":  "Garden",
		"s":  "Garden › stairwell 1",
		"l":  "Garden › stairwell 1 › lift",
		"o":  "gone › Orphan",
		"no": "no",

		"same": "Garden › Garden",
	} {
		if got := w.where(c, id); got != want {
			t.Errorf("%q is %q, want %q", id, got, want)
		}
	}
	if got := w.where(c, "x"); !strings.HasSuffix(got, "Loop › x") { // it ends
		t.Errorf("sites in each other: %q", got)
	}
}

func TestOtherYears(t *testing.T) {
	w := &writer{words: table(t, "zh"), now: time.Date(2027, 1, 1, 1, 0, 0, 0, time.UTC)}
	for at, want := range map[time.Time]string{
		time.Date(2027, 1, 1, 0, 30, 0, 0, time.UTC):   "1月1日 00:30",
		time.Date(2026, 12, 31, 23, 5, 0, 0, time.UTC): "2026年12月31日 23:05",
	} {
		if got := w.when(at, time.UTC); got != want {
			t.Errorf("%v: %q, want %q", at, got, want)
		}
	}
}

// BenchmarkPage writes a mail with a chart of a day of readings every ten minutes, all but
// its sending.
func BenchmarkPage(b *testing.B) {
	now := time.Date(2026, 11, 24, 8, 25, 0, 0, time.UTC)
	limit := 0.9
	m, err := New(Options{
		SMTP:  SMTP{Address: "127.0.0.1:25", From: "a@example.org"},
		Names: func(string) (*greentally.Community, *time.Location, bool) { return nil, nil, false },
		Now:   func() time.Time { return now },
		Readings: func(_ context.Context, q greentally.ReadingQuery) iter.Seq2[greentally.Reading, error] {
			return func(yield func(greentally.Reading, error) bool) {
				for t := q.From; t.Before(q.To); t = t.Add(10 * time.Minute) {
					v := greentally.Value{Quantity: q.With, Number: float64(t.Hour()) / 24}
					if !yield(greentally.Reading{Time: t, Values: []greentally.Value{v}}, nil) {
						return
					}
				}
			}
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	alerts := []greentally.Alert{{Community: "c", Rule: "r", Device: "d", Severity: greentally.Critical, Quantity: "fill_ratio", Limit: &limit, Since: now, Fired: now}}
	for b.Loop() {
		page := m.writer(Recipient{}).notice(b.Context(), alerts, Notice{Alerts: alerts})
		if _, _, err := m.templates.render("alert", page); err != nil || page.Items[0].Chart == nil {
			b.Fatal(err)
		}
	}
}
