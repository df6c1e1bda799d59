package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"greentally/internal/testserver"
)

// chromium starts a browser; tabs are made from its context.
func chromium(t testing.TB) context.Context {
	t.Helper()
	binary, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is not installed; get it with: make tools (or apt-get install chromium)")
	}
	ctx, cancel := chromedp.NewContext(context.Background(), chromedp.WithAllocatorOptions(
		chromedp.ExecPath(binary), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir())))
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits until it has ended; it may have before
		cancel()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("chromium: %v", err)
	}
	return ctx
}

// tab is a page in a browser, with what it complained of and what it loaded.
type tab struct {
	t     testing.TB
	ctx   context.Context
	base  string // of the server
	files string // where it keeps downloads

	mu     sync.Mutex
	wrong  []string
	loaded int64    // bytes that came over the wire, compressed as they were
	done   []string // downloads that are complete
}

// newTab opens a tab of that width and height that shares no cookies with the others.
func newTab(in context.Context, t testing.TB, base string, width, height int64) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(in, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx, base: base, files: t.TempDir()}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.ListenBrowser(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.EmulateViewport(width, height))
	for _, err := range []error{
		second(chromedp.Call(ctx, log.Enable, cdp.Empty{})), second(chromedp.Call(ctx, network.Enable, network.EnableParams{})),
		second(chromedp.CallBrowser(ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
			Behavior: browser.SetDownloadBehaviorBehaviorAllowAndName, DownloadPath: b.files, EventsEnabled: new(true), BrowserContextID: chromedp.FromContext(ctx).BrowserContextID,
		})),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func second[T any](_ T, err error) error { return err }

// hear takes note of what happens in the tab.
func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.wrong = append(b.wrong, "exception: "+e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			said := fmt.Sprintf("console.%s:", e.Type)
			for _, arg := range e.Args {
				said += fmt.Sprintf(" %s %s", arg.Value, arg.Description)
			}
			b.wrong = append(b.wrong, said)
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			b.wrong = append(b.wrong, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *network.EventLoadingFinished:
		b.loaded += int64(e.EncodedDataLength)
	case *browser.EventDownloadProgress:
		if e.State == browser.DownloadProgressStateCompleted {
			b.done = append(b.done, e.GUID)
		}
	}
}

// do does things in the tab.
func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	for _, action := range actions {
		inTab(b, action)
	}
}

// inTab does something in the tab that has a result.
func inTab[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	if err := chromedp.Do(b.ctx); err != nil { // else the tab would live as long as this action may take
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.ctx, tabPatience)
	defer cancel()
	result, err := chromedp.Run(ctx, action)
	for err != nil && ctx.Err() == nil && strings.Contains(err.Error(), "(-32000)") {
		// What it looked at was of a page that was just left: it is done on the next one.
		result, err = chromedp.Run(ctx, action)
	}
	if err != nil {
		b.fail(err)
	}
	return result
}

func (b *tab) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.base + path))
}

// click clicks what a selector finds and can be seen.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// fill writes into a field.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.do(chromedp.SetValue(chromedp.CSS(selector), text))
}

// sees waits until the page says something.
func (b *tab) sees(texts ...string) {
	b.t.Helper()
	for _, text := range texts {
		b.until(fmt.Sprintf("document.body && document.body.innerText.includes(%s)", quoted(text)))
	}
}

// until waits until an expression is true.
func (b *tab) until(expression string) {
	b.t.Helper()
	var err error
	for end := time.Now().Add(tabPatience); time.Now().Before(end); {
		ctx, cancel := context.WithDeadline(b.ctx, end)
		_, err = chromedp.Run(ctx, chromedp.Poll[bool](expression, chromedp.WithPollingInterval(50*time.Millisecond)))
		cancel()
		if err == nil {
			return
		}
		// Else the page may have been left while it was looked at: the next one is looked at.
	}
	b.fail(fmt.Errorf("%s: %w", expression, err))
}

// fail ends the test, and says what the page says.
func (b *tab) fail(err error) {
	b.t.Helper()
	at, _ := chromedp.Run(b.ctx, chromedp.Location()) // these are for the message alone
	said, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.body.innerText"))
	b.t.Fatalf("at %s: %v\n%.2000s\n%s", at, err, said, strings.Join(b.complaints(), "\n"))
}

// tabPatience is how long a page has for anything; it takes a tenth of a second on an idle machine.
const tabPatience = 30 * time.Second

func quoted(text string) string {
	data, err := json.Marshal(text)
	if err != nil {
		panic(err) // of no text
	}
	return string(data)
}

// value returns what an expression comes to; a promise is waited for.
func value[T any](b *tab, expression string) T {
	b.t.Helper()
	return inTab(b, chromedp.Evaluate[T](expression, func(p *runtime.EvaluateParams) { p.AwaitPromise = new(true) }))
}

// loadedBytes is how much came over the wire.
func (b *tab) loadedBytes() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.loaded
}

// complaints are what was wrong since they were asked for.
func (b *tab) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	wrong := b.wrong
	b.wrong = nil
	return wrong
}

// downloaded waits for one more download than before, and returns it.
func (b *tab) downloaded() []byte {
	b.t.Helper()
	var name string
	waitFor(b.t, time.Minute, "a download", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.done) > 0 {
			name, b.done = b.done[0], b.done[1:]
		}
		return name != ""
	})
	data, err := os.ReadFile(filepath.Join(b.files, name))
	if err != nil {
		b.t.Fatal(err)
	}
	return data
}

// axe reads axe-core, which looks for faults of accessibility.
var axe = sync.OnceValues(func() (string, error) {
	data, err := os.ReadFile("../../tools/pages/node_modules/axe-core/axe.min.js")
	if err != nil {
		return "", fmt.Errorf("%w; get it with: make tools", err)
	}
	return string(data), nil
})

// accessible fails the test for each serious fault of accessibility.
func (b *tab) accessible() {
	b.t.Helper()
	script, err := axe()
	if err != nil {
		b.t.Fatal(err)
	}
	found := value[[]string](b, script+`; axe.run().then(r => {
		if (r.passes.length < 10) return ["axe looked at little: " + r.passes.length];
		return r.violations.filter(v => v.impact === "serious" || v.impact === "critical")
			.map(v => v.id + ": " + v.help + ": " + v.nodes.slice(0, 3).map(n => n.html + " " + n.failureSummary).join("; "));
	})`)
	for _, fault := range found {
		b.t.Errorf("%s: %s", value[string](b, "location.pathname"), fault)
	}
}

// shoot writes a picture of the whole page, or of the window alone.
func (b *tab) shoot(file string, whole bool) {
	b.t.Helper()
	take := chromedp.CaptureScreenshot()
	if whole {
		take = chromedp.FullScreenshot(100)
	}
	picture, err := png.Decode(bytes.NewReader(inTab(b, take)))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(file, testserver.SmallPNG(b.t, picture, picture.Bounds()), 0o644); err != nil {
		b.t.Fatal(err)
	}
}
