package alerting

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"greentally"
	"greentally/internal/testserver"
)

func communities() []*greentally.Community {
	return []*greentally.Community{
		{ID: "jiayuan", TimeZone: "Asia/Shanghai", Contacts: []greentally.Contact{
			{Name: "Wang", Email: "wang@example.org", Language: "zh"},
			{Name: "Li", Email: "li@example.org", Language: "en", Severities: []greentally.Severity{greentally.Critical, greentally.Warning}},
		}},
		{ID: "lvyuan", TimeZone: "Asia/Urumqi", Contacts: []greentally.Contact{
			{Email: "wang@example.org"},
			{Email: "wang@example.org", Language: "en", Severities: []greentally.Severity{greentally.Info}},
		}},
		{ID: "nobodys"},
	}
}

func smtp() SMTP {
	return SMTP{Address: "mail.example.org:587", From: "Green <green@example.org>", Hello: "green.example.org", Username: "green", PasswordFile: "/etc/greentally/smtp-password", RequireTLS: true}
}

func TestDefaultsAreAFileThatAlertmanagerReads(t *testing.T) {
	for name, test := range map[string]struct {
		communities []*greentally.Community
		smtp        SMTP
	}{"with contacts": {communities(), smtp()}, "without": {nil, smtp()}, "without a server": {communities(), SMTP{}}} {
		text, err := Defaults(test.communities, test.smtp)
		if err != nil {
			t.Fatal(err)
		}
		load(t, string(text))
		file := filepath.Join(t.TempDir(), "alertmanager.yml")
		writeFile(t, file, string(text))
		if out := testserver.Amtool(t, "check-config", file); !strings.Contains(out, "SUCCESS") {
			t.Errorf("%s: %s", name, out)
		}
		if name == "with contacts" {
			for labels, want := range map[string]string{
				"community=jiayuan severity=warning": "jiayuan/wang@example.org,jiayuan/li@example.org",
				"community=jiayuan severity=info":    "jiayuan/wang@example.org",
				"community=nobodys severity=info":    nobody,
			} {
				args := append([]string{"config", "routes", "test", "--config.file=" + file}, strings.Fields(labels)...)
				if got := strings.TrimSpace(testserver.Amtool(t, args...)); got != want {
					t.Errorf("%s goes to %s, want %s", labels, got, want)
				}
			}
		}
	}
	c := load(t, string(must(t, communities(), smtp())))
	if len(c.Receivers) != 5 || c.Receivers[4].Name != "lvyuan/wang@example.org (2)" {
		t.Errorf("receivers %+v", c.Receivers)
	}
	email := c.Receivers[2].EmailConfigs[0]
	if email.To != "li@example.org" || email.Headers["Content-Language"] != "en" || !email.SendResolved() ||
		email.Smarthost.String() != "mail.example.org:587" || email.AuthPasswordFile != "/etc/greentally/smtp-password" || !*email.RequireTLS {
		t.Errorf("email %+v", email)
	}
}

func must(t *testing.T, communities []*greentally.Community, smtp SMTP) []byte {
	t.Helper()
	text, err := Defaults(communities, smtp)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestDefaultsRefuse(t *testing.T) {
	for _, smtp := range []SMTP{{Address: "mail.example.org", From: "a@example.org"}, {Address: "mail.example.org:25"}} {
		if _, err := Defaults(nil, smtp); err == nil {
			t.Errorf("no error for %+v", smtp)
		}
	}
}

// TestDefaultsTellTheRightPeople passes days in virtual time under the defaults.
func TestDefaultsTellTheRightPeople(t *testing.T) {
	const wang, li = "jiayuan/wang@example.org:", "jiayuan/li@example.org:"
	critical, warning, info := greentally.Critical, greentally.Warning, greentally.Info
	type step struct {
		after time.Duration
		put   []greentally.Alert // that begin
		want  []string           // what was told since the step before
	}
	for name, steps := range map[string][]step{ // all begin at 08:00 in Shanghai
		"what is critical is told at once, at night, and repeated every four hours": {
			{15 * time.Hour, []greentally.Alert{holds("fire", "a", critical)}, nil},
			{6 * time.Second, nil, []string{wang + " +fire/a", li + " +fire/a"}},
			{3 * time.Hour, nil, nil},
			{70 * time.Minute, nil, []string{wang + " +fire/a", li + " +fire/a"}},
		},
		"warnings come in one mail, after a while, and the next day": {
			{0, []greentally.Alert{holds("bin_nearly_full", "a", warning), holds("bin_nearly_full", "b", warning)}, nil},
			{20 * time.Second, []greentally.Alert{holds("bin_nearly_full", "c", warning)}, nil},
			{20 * time.Second, nil, []string{wang + " +bin_nearly_full/a +bin_nearly_full/b +bin_nearly_full/c", li + " +bin_nearly_full/a +bin_nearly_full/b +bin_nearly_full/c"}},
			{23 * time.Hour, nil, nil},
			{70 * time.Minute, nil, []string{wang + " +bin_nearly_full/a +bin_nearly_full/b +bin_nearly_full/c", li + " +bin_nearly_full/a +bin_nearly_full/b +bin_nearly_full/c"}},
		},
		"warnings of the evening come until ten": {
			{13*time.Hour + 55*time.Minute, []greentally.Alert{holds("lid_open", "a", warning)}, nil},
			{time.Minute, nil, []string{wang + " +lid_open/a", li + " +lid_open/a"}},
			{5 * time.Minute, []greentally.Alert{holds("tilted", "a", warning)}, nil},
			{8*time.Hour + 58*time.Minute, nil, nil},
			{7 * time.Minute, nil, []string{wang + " +tilted/a", li + " +tilted/a"}},
		},
		"what is good to know comes until nine, to who wants it": {
			{12*time.Hour + 58*time.Minute, []greentally.Alert{holds("clock_wrong", "a", info)}, nil},
			{time.Minute, nil, []string{wang + " +clock_wrong/a"}},
			{2 * time.Minute, []greentally.Alert{holds("battery_low", "a", info)}, nil},
			{9*time.Hour + 57*time.Minute, nil, nil},
			{7 * time.Minute, nil, []string{wang + " +battery_low/a"}},
		},
		"another community, another clock": { // two hours later than in Shanghai
			{15*time.Hour + 30*time.Minute, []greentally.Alert{in("lvyuan", holds("lid_open", "a", warning)), in("lvyuan", holds("clock_wrong", "a", info))}, nil},
			{9*time.Hour + 20*time.Minute, nil, []string{"lvyuan/wang@example.org: +lid_open/a"}},
			{20 * time.Minute, nil, []string{"lvyuan/wang@example.org: +clock_wrong/a", "lvyuan/wang@example.org (2): +clock_wrong/a"}},
		},
		"nobody is told of other communities, or of no severity": {
			{0, []greentally.Alert{in("nobodys", holds("fire", "a", critical)), in("", holds("fire", "a", critical)), holds("fire", "a", "")}, nil},
			{time.Hour, nil, nil},
		},
		"a bin that overflows": {
			{2 * time.Hour, []greentally.Alert{
				holds("bin_overflowing", "a", critical), holds("bin_nearly_full", "a", warning), holds("bin_not_emptied", "a", warning), holds("overflow_forecast", "a", warning),
				holds("lid_open", "a", warning), holds("bin_nearly_full", "b", warning), in("lvyuan", holds("bin_nearly_full", "a", warning)),
			}, nil},
			{time.Hour, nil, []string{
				wang + " +bin_overflowing/a", li + " +bin_overflowing/a", wang + " +lid_open/a", li + " +lid_open/a",
				wang + " +bin_nearly_full/b", li + " +bin_nearly_full/b", "lvyuan/wang@example.org: +bin_nearly_full/a",
			}},
		},
		"a gateway that is silent": {
			{0, []greentally.Alert{
				with(holds("device_silent", "g1", warning), "kind", "gateway", "gateway", "g1"),
				with(holds("device_silent", "g2", warning), "kind", "gateway", "gateway", "g2"),
				with(holds("device_silent", "a", warning), "kind", "sorting_bin", "gateway", "g1"),
				with(holds("device_silent", "b", warning), "kind", "sorting_bin", "gateway", "g3"),
				with(holds("device_silent", "c", warning), "kind", "sorting_bin"),
				with(holds("battery_low", "a", warning), "kind", "sorting_bin", "gateway", "g1"),
			}, nil},
			{time.Hour, nil, []string{
				wang + " +device_silent/b +device_silent/c +device_silent/g1 +device_silent/g2", li + " +device_silent/b +device_silent/c +device_silent/g1 +device_silent/g2",
				wang + " +battery_low/a", li + " +battery_low/a",
			}},
		},
		"a gateway without the label": {
			{0, []greentally.Alert{with(holds("device_silent", "g1", warning), "kind", "gateway"), with(holds("device_silent", "a", warning), "kind", "sorting_bin")}, nil},
			{time.Hour, nil, []string{wang + " +device_silent/a +device_silent/g1", li + " +device_silent/a +device_silent/g1"}},
		},
		"a fire": {
			{0, []greentally.Alert{
				holds("bin_fire", "a", critical), holds("bin_tilted", "a", warning), holds("bin_overflowing", "a", critical), holds("lid_open", "a", warning), holds("lid_open", "b", warning), holds("bin_heating_up", "a", critical), holds("behind", "", warning),
			}, nil},
			{time.Hour, nil, []string{
				wang + " +bin_fire/a", li + " +bin_fire/a", wang + " +bin_tilted/a", li + " +bin_tilted/a", wang + " +lid_open/b", li + " +lid_open/b", wang + " +behind", li + " +behind",
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				post := &post{}
				m := start(t, Options{Config: load(t, string(must(t, communities(), smtp()))), Email: post.email})
				for i, s := range steps {
					time.Sleep(s.after)
					post.want(t, name+", step "+string(rune('1'+i)), s.want...)
					for _, a := range s.put {
						a.Fired = time.Now()
						put(t, m, a)
					}
				}
			})
		})
	}
}

func in(community string, a greentally.Alert) greentally.Alert {
	a.Community = community
	return a
}
