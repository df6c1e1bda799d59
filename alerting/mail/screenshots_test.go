package mail_test

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"greentally/internal/testserver"
)

var screenshots = flag.String("mail.screenshots", "", "folder for pictures of the mails in Chromium; none are made without")

// TestScreenshots sends the samples, has Chromium show them as the server has them, at
// the widths of a phone and of a desktop, and keeps the pictures to be looked at.
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("for pictures: make mail-screenshots")
	}
	server := testserver.Mailpit(t)
	for _, s := range samples() {
		o := options(server.SMTP)
		o.Now = func() time.Time { return s.now }
		m := newMailer(t, o)
		for _, language := range []string{"zh", "en"} {
			for _, view := range []struct {
				name   string
				width  int
				scheme string
			}{{"phone", 390, "light"}, {"desktop", 900, "light"}, {"dark", 390, "dark"}} {
				name := fmt.Sprintf("%s-%s-%s", s.name, view.name, language)
				t.Run(name, func(t *testing.T) {
					before := len(server.Mails())
					if err := s.send(t.Context(), m, language); err != nil {
						t.Fatal(err)
					}
					page := server.URL() + "/view/" + server.Mails()[before].ID + ".html"
					shoot(t, page, view.width, view.scheme, filepath.Join(*screenshots, "mail-"+name+".png"))
				})
			}
		}
	}
}

// shoot writes a picture of the page at that width. A window of Chromium cannot be as
// narrow as a phone, so the page stands in a frame.
func shoot(t *testing.T, url string, width int, scheme, file string) {
	t.Helper()
	const height = 2400
	frame := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!DOCTYPE html><html style="color-scheme:%s"><body style="margin:0;background:#fe01fe"><iframe src="%s" width="%d" height="%d" style="border:0;display:block;color-scheme:%s"></iframe>`, scheme, url, width, height, scheme)
	}))
	defer frame.Close()
	shot := filepath.Join(t.TempDir(), "shot.png")
	args := []string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--user-data-dir=" + t.TempDir(),
		"--virtual-time-budget=5000", fmt.Sprintf("--window-size=%d,%d", max(width, 900)+20, height), "--screenshot=" + shot,
	}
	if scheme == "dark" {
		args = append(args, "--blink-settings=preferredColorScheme=0")
	}
	if out, err := exec.CommandContext(t.Context(), "chromium", append(args, frame.URL)...).CombinedOutput(); err != nil {
		t.Fatalf("chromium: %v\n%s\nget it with: apt-get install chromium", err, out)
	}
	data, err := os.ReadFile(shot)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	area := image.Rect(0, 0, width, bottom(picture, width))
	if err := os.WriteFile(file, testserver.SmallPNG(t, picture, area), 0o644); err != nil {
		t.Fatal(err)
	}
}

// bottom returns where the page ends: below it all is of one colour.
func bottom(picture image.Image, width int) int {
	last := picture.Bounds().Dy() - 1
	background := color.RGBAModel.Convert(picture.At(1, last))
	for y := last; y > 0; y-- {
		for x := range width {
			if color.RGBAModel.Convert(picture.At(x, y)) != background {
				return min(y+12, last)
			}
		}
	}
	return last
}
