package main

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/color"
	imagejpeg "image/jpeg"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"greentally"
	"greentally/simulator"
)

var pageScreenshots = flag.String("pages.screenshots", "", "folder for pictures of all pages of a simulated community; none are made without")

const gardenCommunity = `community: garden
name: {zh: 花园里, en: Garden Lane}
time_zone: Asia/Shanghai
households: 420
sites: [{id: gate, type: gate, name: {zh: 东门, en: East gate}}]
devices:
  - {id: bin-1, kind: sorting_bin, site: gate, stream: food, name: {zh: 一号桶, en: Bin one}}
  - {id: bin-2, kind: sorting_bin, site: gate, stream: residual, name: {zh: 二号桶, en: Bin two}}
  - {id: bin-3, kind: sorting_bin, site: gate, stream: recyclable, name: {zh: 三号桶, en: Bin three}}
  - {id: bin-4, kind: sorting_bin, site: gate, stream: hazardous, name: {zh: 四号桶, en: Bin four}}
  - {id: quiet, kind: sorting_bin, site: gate, stream: food, name: {zh: 静桶, en: Quiet bin}}
`

// photo is a picture as a phone makes it, but small.
func photo(t *testing.T, shade uint8) []byte {
	t.Helper()
	picture := image.NewRGBA(image.Rect(0, 0, 80, 60))
	for i := range picture.Pix {
		picture.Pix[i] = shade
	}
	picture.Set(3, 3, color.Black)
	var out bytes.Buffer
	if err := imagejpeg.Encode(&out, picture, nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestPagesInBrowser has a manager do a morning's work in Chromium, on a phone and at a desk, in both
// languages: log in, find the bin that overflows and silence it, write down a survey with a photo, go
// from a rate to its readings, take the workbook along, and see a reading arrive. Each page is free
// of errors, of serious faults of accessibility, and as wide as the window.
func TestPagesInBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t, []byte(gardenCommunity), "")
	s.start()
	server := []string{"--server", "http://" + s.http}
	lobby, err := cliWithInput(t, "", append([]string{"token", "add", "lobby", "--role", "screen", "--community", "garden"}, server...)...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cliWithInput(t, "a long password\n", append([]string{"user", "add", "root", "--role", "administrator"}, server...)...); err != nil {
		t.Fatal(err)
	}
	in := chromium(t)
	client := publisherOf(t, s, "garden")
	china := time.FixedZone("CST", 8*3600)
	now := time.Now()
	for bin := 1; bin <= 4; bin++ { // two days, and full at the end
		var all []string
		for at := now.Add(-48 * time.Hour).Truncate(10 * time.Minute); at.Before(now); at = at.Add(10 * time.Minute) {
			fill := 0.35
			if now.Sub(at) < 2*time.Hour {
				fill = 0.97
			}
			all = append(all, fmt.Sprintf(`{"time": %q, "fill_ratio": %v, "mass_kg": %v, "temperature_celsius": 18.5}`, at.Format(time.RFC3339), fill, 20+40*fill))
		}
		client(fmt.Sprintf("bin-%d", bin), "["+strings.Join(all, ",")+"]")
	}
	admin := newTab(in, t, "http://"+s.http, 1440, 900)
	admin.open("/")
	admin.fill(`input[name="name"]`, "root")
	admin.fill(`input[name="password"]`, "a long password")
	admin.click("form.login button")
	admin.sees("花园里", "4 紧急")

	month := greentally.DateOf(now.Add(-24*time.Hour), china).MonthOf().String()
	yesterday := greentally.DateOf(now.Add(-24*time.Hour), china).String()
	for i, tt := range []struct {
		name, language string
		width, height  int64
		axe            bool
	}{
		{"phone-zh", "zh", 390, 844, true}, {"phone-en", "en", 390, 844, false}, {"desk-zh", "zh", 1440, 900, false}, {"desk-en", "en", 1440, 900, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			say := func(zh, en string) string { return map[string]string{"zh": zh, "en": en}[tt.language] }
			bin := fmt.Sprintf("bin-%d", i+1)
			b := newTab(in, t, "http://"+s.http, tt.width, tt.height)
			looked := 0
			look := func() { // at the page that is there
				t.Helper()
				looked++
				for _, wrong := range b.complaints() {
					t.Errorf("%s: %s", value[string](b, "location.href"), wrong)
				}
				if over := value[int](b, "document.documentElement.scrollWidth - window.innerWidth"); over > 0 {
					t.Errorf("%s is %d pixels too wide", value[string](b, "location.href"), over)
				}
				if tt.axe {
					b.accessible()
				}
			}
			b.open("/c/garden")
			look() // which is the login
			b.fill(`input[name="name"]`, "root")
			b.fill(`input[name="password"]`, "wrong")
			b.click("form.login button")
			b.sees("用户名或密码不对")
			b.complaints() // that the server said 401
			b.fill(`input[name="password"]`, "a long password")
			b.click("form.login button")
			b.sees("花园里")
			if first := b.loadedBytes(); first > 1<<20 || first < 100<<10 {
				t.Errorf("the first pages weigh %d bytes", first)
			}
			if tt.language == "en" {
				b.click("a.language")
				b.sees("Garden Lane", "Fullest bins")
			}
			look()

			// The bin that overflows, and its history.
			b.sees(say("垃圾桶已满溢", "Bin overflowing"))
			b.click(`ul.alerts a[href="/c/garden/devices/` + bin + `"]`)
			b.sees("97 %", say("各日", "Days"))
			b.until(`document.querySelectorAll("figure.chart canvas").length >= 3`)
			look()
			b.click(`header nav a[href="/c/garden/alerts"]`)
			b.sees(say("我来处理", "I am on it"))
			alert := "#alert-bin_overflowing-" + bin
			b.click(alert + " summary")
			b.do(chromedp.SetValue(chromedp.CSS(alert+` select[name="for"]`), "24h"))
			b.fill(alert+` input[name="why"]`, say("换新桶", "gets a new one"))
			look()
			b.click(alert + " details button")
			b.sees(say("已静默。", "Silenced."), say("换新桶", "gets a new one"))
			look()

			// Somebody is on the other alert of the bin, which is said without leaving the page.
			value[bool](b, "window.same = true")
			b.click("#alert-bin_nearly_full-" + bin + ` button[value="acknowledge"]`)
			b.sees(say("处理中 · root", "in hand · root"))
			if !value[bool](b, "window.same === true") {
				t.Error("the page was loaded anew")
			}
			look()

			// A survey with a photo; the first time without what it has to say.
			b.click(`header nav a[href="/c/garden/records"]`)
			b.click("a.button")
			b.do(chromedp.SetValue(chromedp.CSS(`select[name="type"]`), "survey"))
			look()
			b.click("form.fields button")
			file := s.write(fmt.Sprintf("现场-%d.jpg", i), photo(t, uint8(50*i)))
			b.fill(`input[name="value.asked"]`, fmt.Sprint(200+i))
			b.fill(`input[name="value.aware"]`, fmt.Sprint(300+i)) // more than were asked
			b.do(chromedp.SetUploadFiles(chromedp.CSS(`input[type="file"]`), []string{file}))
			look()
			b.click("form.fields button")
			b.sees("aware <= asked", fmt.Sprintf("现场-%d.jpg", i))
			b.complaints() // that the server said 400
			look()
			b.fill(`input[name="value.aware"]`, fmt.Sprint(180+i))
			b.click("form.fields button")
			b.sees(say("记录已保存。", "The record is kept."), fmt.Sprint(180+i))
			b.until(`document.querySelector("ul.photos img")?.naturalWidth === 80`)
			look()
			b.click(`header nav a[href="/c/garden/records"]`)
			b.sees(fmt.Sprintf("asked = %d", 200+i))
			look()

			// From a rate to a device, its day, and a reading.
			b.open("/c/garden/indicators?month=" + month)
			b.sees(say("满溢率", "Overflow share"))
			look()
			b.click(`a[href^="/c/garden/indicators/overflow_share"]`)
			b.click(`section a[href*="device=` + bin + `"]`)
			b.sees(say("全部设备", "All devices"))
			look()
			b.click(`a[href="/c/garden/devices/` + bin + `?day=` + yesterday + `"]`)
			b.sees(yesterday)
			b.click(`section[aria-labelledby="readings"] details summary`)
			b.sees("34 kg", "35 %")
			look()

			// What is handed in.
			b.open("/c/garden/reports?month=" + month)
			look()
			b.click(`ul.downloads a[href*="format=xlsx"]`)
			book := b.downloaded()
			if files, err := zip.NewReader(bytes.NewReader(book), int64(len(book))); err != nil || files.File[0].Name == "" {
				t.Errorf("the workbook: %d bytes, %v", len(book), err)
			}

			// A reading arrives while somebody looks.
			b.open("/c/garden")
			b.until(`document.querySelector(".livesign")?.dataset.live !== undefined`)
			value[bool](b, "window.same = true")
			fill := 0.41 + 0.01*float64(i)
			client("quiet", fmt.Sprintf(`{"time": %q, "fill_ratio": %.2f}`, time.Now().Format(time.RFC3339Nano), fill))
			b.sees(fmt.Sprintf("%.1f %%", 100*fill))
			if !value[bool](b, "window.same === true") {
				t.Error("the page was loaded anew")
			}
			look()
			b.open("/c/garden/devices/quiet")
			b.click(`section[aria-labelledby="readings"] details summary`)
			b.until(`document.querySelector(".livesign")?.dataset.live !== undefined`)
			client("quiet", fmt.Sprintf(`{"time": %q, "fill_ratio": %.2f}`, time.Now().Format(time.RFC3339Nano), fill+0.2))
			b.sees(fmt.Sprintf("%.0f %%", 100*(fill+0.2)))
			if !value[bool](b, `document.querySelector('section[aria-labelledby="readings"] details').open`) {
				t.Error("news closed what was opened")
			}
			b.click(".person button")
			b.until(`location.pathname === "/login"`)
			if looked < 15 {
				t.Errorf("only %d pages were looked at", looked)
			}
		})
	}

	// The administrator adds a user and a screen's token, and finds both in the audit log.
	admin.open("/")
	admin.click(`a[href="/users"]`)
	admin.click("main > details summary")
	admin.fill(`input[name="name"]`, "li")
	admin.fill(`input[name="password"]`, "another password")
	admin.fill(`input[name="again"]`, "another password")
	admin.click(`input[name="manager"][value="garden"]`)
	admin.click("main > details button")
	admin.sees("用户已新增。", "物业经理 · 花园里")
	admin.click(`a[href="/tokens"]`)
	admin.click("main > details summary")
	admin.fill(`input[name="name"]`, "gate")
	admin.do(chromedp.SetValue(chromedp.CSS(`select[name="role"]`), "screen"))
	admin.click(`input[name="community"][value="garden"]`)
	if got := value[string](admin, `(() => {
		const held = [], form = document.querySelector('form[action="/tokens"]');
		window.addEventListener("submit", (e) => held.push(e.defaultPrevented));
		form.requestSubmit(); form.requestSubmit();
		return held.join();
	})()`); got != "false,true" {
		t.Errorf("of a double click, held back were %s", got)
	}
	admin.sees("只在此处显示这一次", "http://"+s.http+"/screen?token=greentally_")
	admin.accessible()
	admin.click(`a[href="/audit"]`)
	admin.sees("新增用户 授权 manager garden 编号 li", "新增令牌 授权 screen garden 编号 gate")

	// What only an administrator sees, the account, and the rest, on a phone.
	admin.do(chromedp.EmulateViewport(390, 844))
	for _, path := range []string{"/", "/account", "/deadletters", "/users", "/users/li", "/tokens", "/audit", "/c/garden/discovered", "/c/garden/records/new?type=haul_ticket", "/c/garden/assessments/neimenggu?month=" + month} {
		admin.open(path)
		admin.accessible()
		if over := value[int](admin, "document.documentElement.scrollWidth - window.innerWidth"); over > 0 {
			t.Errorf("%s is %d pixels too wide", path, over)
		}
		for _, wrong := range admin.complaints() {
			t.Errorf("%s: %s", path, wrong)
		}
	}

	// The big screen, with a token in the address it begins with; the server ends and comes back.
	secret := regexp.MustCompile(`greentally_[A-Za-z0-9_-]+`).FindString(lobby)
	screen := newTab(in, t, "http://"+s.http, 1920, 1080)
	screen.open("/screen?token=" + secret + "&seconds=3")
	screen.sees("花园里")
	if at := value[string](screen, "location.pathname + location.search"); at != "/screen/garden?seconds=3" {
		t.Errorf("the screen is at %s", at)
	}
	screen.accessible()
	screen.until(`document.body.dataset.at === "1"`)
	if over := value[int](screen, "document.documentElement.scrollHeight - window.innerHeight"); over > 0 {
		t.Errorf("the screen is %d pixels too high", over)
	}
	value[bool](screen, "window.same = true")
	s.stop()
	s.start()
	client = publisherOf(t, s, "garden")
	client("bin-1", fmt.Sprintf(`{"time": %q, "fill_ratio": 0.07}`, time.Now().Format(time.RFC3339Nano)))
	client("bin-2", fmt.Sprintf(`{"time": %q, "fill_ratio": 0.99}`, time.Now().Format(time.RFC3339Nano)))
	screen.until(`document.body.textContent.includes("99 %")`)
	if !value[bool](screen, "window.same === true") {
		t.Error("the screen was loaded anew")
	}
	admin.open("/tokens")
	admin.click(`tr:has(form[action="/tokens/lobby/revoke"]) summary`)
	admin.click(`form[action="/tokens/lobby/revoke"] button`)
	admin.sees("令牌已撤销")
	value[bool](screen, `window.dispatchEvent(new Event("online"))`) // it looks at once
	screen.until(`document.body.classList.contains("dark") && getComputedStyle(document.querySelector(".panel")).visibility === "hidden"`)
	screen.open("/c/garden")
	screen.sees("用户名")
}

// TestPageScreenshots takes pictures of all pages of a simulated community, to be looked at.
func TestPageScreenshots(t *testing.T) {
	if *pageScreenshots == "" {
		t.Skip("for pictures: make page-screenshots")
	}
	s := newSite(t, simulator.DemoCommunity(), "")
	s.start()
	ctx, stop := context.WithCancel(t.Context())
	live := make(chan error, 1)
	defer func() {
		ended := ctx.Err() != nil
		stop()
		if err := <-live; err != nil && !ended && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}()
	go func() {
		live <- run(ctx, []string{"simulate", "--broker", "tcp://" + s.mqtt, "--community", s.dir + "/communities/community.yaml", "--from", time.Now().AddDate(0, 0, -40).Format(time.DateOnly), "--live", "--batch", "36"}, nil, io.Discard, io.Discard)
	}()
	server := []string{"--server", "http://" + s.http, "--community", "jiayuan"}
	var days []greentally.DeviceDay
	today := today(t)
	waitFor(t, 5*time.Minute, "the readings until now", func() bool {
		err := s.get("/api/v1/communities/jiayuan/devices/e3-s4-food/days?from="+today.String()+"&to="+today.String(), &days)
		return err == nil && len(days) == 1
	})
	s.caughtUp(time.Minute)
	month := today.MonthOf()
	if today.Day < 3 {
		month = today.Add(-3).MonthOf()
	}
	for _, stream := range []string{"recyclable", "food", "residual"} {
		share := map[string]string{"recyclable": "0.95", "food": "0.004", "residual": "0.012"}[stream]
		must(t, append([]string{"record", "add", "--type", "composition_audit", "--date", month.First().String(), "--by", "王芳", "--stream", stream, "--value", "recyclable_ratio=" + share, "--value", "sample_kg=60"}, server...)...)
	}
	survey := strings.TrimSpace(must(t, append([]string{"record", "add", "--type", "survey", "--date", month.First().String(), "--by", "李娜", "--value", "asked=200", "--value", "aware=186", "--attach", s.write("现场.jpg", photo(t, 140))}, server...)...))
	publisherOf(t, s, "jiayuan")("new-bin", `{"fill_ratio": 0.2, "mass_kg": 4.1}`)
	publisherOf(t, s, "jiayuan")("e1-s1-food", `{"fill_ratio": "half"}`)
	in := chromium(t)
	type page struct{ name, path string }
	shoot := func(before func(*tab), pages []page) {
		for _, size := range []struct {
			name          string
			width, height int64
			language      string
		}{{"desk-zh", 1440, 900, "zh"}, {"phone-zh", 390, 844, "zh"}, {"desk-en", 1440, 900, "en"}} {
			b := newTab(in, t, "http://"+s.http, size.width, size.height)
			before(b)
			for _, one := range pages {
				b.open(one.path + map[bool]string{true: "&", false: "?"}[strings.Contains(one.path, "?")] + "lang=" + size.language)
				b.until(`document.readyState === "complete" && [...document.querySelectorAll("img")].every(i => i.complete) && document.querySelectorAll("figure.chart").length === document.querySelectorAll("figure.chart canvas").length`)
				b.shoot(filepath.Join(*pageScreenshots, "page-"+one.name+"-"+size.name+".png"), true)
			}
		}
	}
	shoot(func(*tab) {}, []page{
		{"communities", "/"}, {"community", "/c/jiayuan"}, {"alerts", "/c/jiayuan/alerts"}, {"device", "/c/jiayuan/devices/e1-s1-residual"},
		{"indicators", "/c/jiayuan/indicators?month=" + month.String()}, {"indicator", "/c/jiayuan/indicators/recyclable_capture?month=" + month.String()},
		{"indicator-device", "/c/jiayuan/indicators/recyclable_capture?device=e1-s1-recyclable&month=" + month.String()}, {"assessment", "/c/jiayuan/assessments/neimenggu?month=" + month.String()},
		{"records", "/c/jiayuan/records?month=" + month.String()}, {"record", "/c/jiayuan/records/" + survey}, {"record-form", "/c/jiayuan/records/new?type=haul_ticket"},
		{"reports", "/c/jiayuan/reports"}, {"discovered", "/c/jiayuan/discovered"}, {"deadletters", "/deadletters"}, {"login", "/login"}, {"account", "/account"},
	})
	screen := newTab(in, t, "http://"+s.http, 1920, 1080)
	screen.open("/screen/jiayuan?seconds=3")
	for i := range value[int](screen, `document.querySelectorAll(".panel").length`) {
		screen.until(fmt.Sprintf(`document.body.dataset.at === "%d"`, i))
		screen.shoot(filepath.Join(*pageScreenshots, fmt.Sprintf("screen-%d-zh.png", i+1)), false)
	}

	// What administrators keep is shown with users, who have to log in.
	must(t, append([]string{"token", "add", "lobby-1", "--role", "screen"}, server...)...)
	server = server[:2]
	must(t, append([]string{"token", "add", "prometheus", "--role", "monitor"}, server...)...)
	key := s.write("commands.token", []byte(must(t, append([]string{"token", "add", "commands", "--role", "administrator"}, server...)...)))
	for _, user := range [][]string{
		{"wang", "--display", "王芳", "--role", "administrator"}, {"lina", "--display", "李娜", "--role", "manager", "--community", "jiayuan"},
		{"zhang", "--display", "张伟", "--role", "assessor", "--community", "jiayuan", "--email", "zhang@example.org", "--lang", "en"}, {"sun", "--role", "manager", "--community", "jiayuan"},
	} {
		if _, err := cliWithInput(t, "a long password\n", append(append([]string{"user", "add", "--token-file", key}, user...), server...)...); err != nil {
			t.Fatal(err)
		}
	}
	must(t, append([]string{"user", "disable", "sun", "--token-file", key}, server...)...)
	shoot(func(b *tab) {
		b.open("/login?next=/users")
		b.fill(`input[name="name"]`, "wang")
		b.fill(`input[name="password"]`, "a long password")
		b.click("form.login button")
		b.sees("王芳")
	}, []page{{"users", "/users"}, {"user", "/users/lina"}, {"tokens", "/tokens"}, {"audit", "/audit"}})
}
