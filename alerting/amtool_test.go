package alerting

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	commonconfig "github.com/prometheus/common/config"

	"greentally"
	"greentally/internal/testserver"
)

func TestAmtool(t *testing.T) {
	hook := newHook(t)
	m := start(t, Options{Config: hook.config(t)})
	server := httptest.NewServer(m.Handler())
	t.Cleanup(server.Close)
	run := func(args ...string) string {
		t.Helper()
		return testserver.Amtool(t, append([]string{"--alertmanager.url=" + server.URL}, args...)...)
	}
	want := func(got string, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if !strings.Contains(got, part) {
				t.Errorf("amtool says %q, want %q in it", got, part)
			}
		}
	}

	a := holds("bin_overflowing", "bin-1", greentally.Critical)
	put(t, m, a)
	hook.want(t, "firing bin_overflowing/bin-1")
	want(run("alert", "query", "-o", "extended", "device=bin-1"), `alertname="bin_overflowing"`, "满溢", "active")
	want(run("config", "show"), "receiver: hook")

	id := strings.TrimSpace(run("silence", "add", "--author=wang", "--comment=a drill", "--duration=1h", "device=bin-2"))
	want(run("silence", "query"), id, "a drill")
	put(t, m, holds("fire", "bin-2", greentally.Critical))
	run("alert", "add", "Watchdog", "device=elsewhere", "--annotation=summary=alive")
	hook.want(t, "firing Watchdog/elsewhere")
	want(run("alert", "query", "-o", "extended", "--silenced"), "bin-2")
	if got := run("alert", "query", "-o", "extended", "--active"); strings.Contains(got, "bin-2") {
		t.Errorf("the silenced alert is active: %s", got)
	}
	run("silence", "expire", id)
	hook.want(t, "firing fire/bin-2")
	if got := run("silence", "query"); strings.Contains(got, id) {
		t.Errorf("the silence is still there: %s", got)
	}
}

// alertmanager starts one, from Debian's package.
func alertmanager(t *testing.T) *url.URL {
	t.Helper()
	binary, err := exec.LookPath("prometheus-alertmanager")
	if err != nil {
		t.Fatal("prometheus-alertmanager is not installed; get it with: make tools (or apt-get install prometheus-alertmanager)")
	}
	listen := fmt.Sprintf("127.0.0.1:%d", testserver.FreePort(t))
	dir, log := t.TempDir(), &bytes.Buffer{}
	file := dir + "/alertmanager.yml"
	writeFile(t, file, oneGroup)
	cmd := exec.Command(binary, "--config.file="+file, "--storage.path="+dir, "--web.listen-address="+listen, "--cluster.listen-address=")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		_ = cmd.Wait()
	})
	return &url.URL{Scheme: "http", Host: listen}
}

// TestRemote sends to two Alertmanagers, of which one comes later.
func TestRemote(t *testing.T) {
	first := alertmanager(t)
	m := start(t, Options{Config: load(t, oneGroup), Email: (&post{}).email})
	late := httptest.NewUnstartedServer(m.Handler())
	t.Cleanup(late.Close)
	second := &url.URL{Scheme: "http", Host: late.Listener.Addr().String()}

	r, err := NewRemote(RemoteOptions{URLs: []*url.URL{first, second}, HTTP: commonconfig.DefaultHTTPClientConfig, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	a, b := holds("fire", "bin-1", greentally.Critical), holds("tilted", "bin-2", greentally.Critical)
	put(t, r, a, b)
	has := func(where *url.URL, want ...string) {
		t.Helper()
		var got string
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			out, err := exec.CommandContext(t.Context(), "amtool", "--alertmanager.url="+where.String(), "alert", "query").Output()
			if err != nil {
				continue
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")[1:]
			got = strings.Join(lines, "\n")
			all := len(lines) == len(want)
			for _, w := range want {
				all = all && strings.Contains(got, w)
			}
			if all {
				return
			}
		}
		t.Fatalf("%s has\n%s\nwant %q", where, got, want)
	}
	has(first, "fire", "tilted")
	late.Start()
	has(second, "fire", "tilted")
	put(t, r, ended(a))
	has(first, "tilted")
	has(second, "tilted")
	if h := r.Holding(); len(h) != 1 {
		t.Errorf("holding %v", h)
	}
}
