// Package testserver runs real servers for tests: mosquitto and Prometheus from Debian's packages, and
// InfluxDB 1.8.10, Mailpit and NATS built through the Go module proxy, the first two from tools/influxd
// and tools/mailpit. A test whose server is missing fails, and says how to get it.
package testserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

// Server is a running server that can be stopped and started again on the same
// address with the same data.
type Server struct {
	t       testing.TB
	command func() *exec.Cmd
	ready   func() error
	url     string

	mu      sync.Mutex
	running *exec.Cmd
	exited  chan struct{} // closed when it has ended, with the error in ended
	ended   error
	log     *bytes.Buffer
}

// URL is the server's address, such as tcp://127.0.0.1:1883.
func (s *Server) URL() string { return s.url }

// Start starts the server and waits until it answers.
func (s *Server) Start() {
	s.t.Helper()
	if err := s.start(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	cmd := s.command()
	s.log = &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = s.log, s.log
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	s.running, s.exited = cmd, exited
	go func() {
		defer close(exited)
		s.ended = cmd.Wait()
	}()
	for deadline := time.Now().Add(30 * time.Second); ; {
		err := s.ready()
		if err == nil {
			return nil
		}
		select {
		case <-exited:
			s.running = nil
			return fmt.Errorf("%s ended: %w\n%s", cmd.Path, s.ended, s.log)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not answer: %w", cmd.Path, err)
		}
	}
}

// Stop kills the server and waits until it is gone.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil {
		return
	}
	_ = s.running.Process.Kill() // it may have ended by itself
	<-s.exited
	s.running = nil
}

// launch starts a server on free ports, and again on others if somebody takes them in
// between.
func launch(t testing.TB, make func() *Server) *Server {
	t.Helper()
	var err error
	for range 5 {
		s := make()
		if err = s.start(); err == nil {
			t.Cleanup(s.Stop)
			return s
		}
		s.Stop()
	}
	t.Fatal(err)
	return nil
}

// Command runs a server by its command, which is made anew each time it starts, and waits
// until it is ready. It does not look for other ports if somebody has taken its own.
func Command(t testing.TB, url string, command func() *exec.Cmd, ready func() error) *Server {
	t.Helper()
	s := &Server{t: t, url: url, command: command, ready: ready}
	t.Cleanup(s.Stop)
	s.Start()
	return s
}

// FreePort returns a port on the loopback address that was free just now. It is none of those that
// the system gives to connections, which could take it before the server does.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 20_000 + rand.IntN(12_000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return port
	}
	t.Fatal("found no free port in a hundred tries")
	return 0
}

// Mosquitto starts a broker that anyone on the machine may use. Lines of
// configuration can be added.
func Mosquitto(t testing.TB, lines ...string) *Server {
	t.Helper()
	binary, err := exec.LookPath("mosquitto")
	if err != nil {
		binary = "/usr/sbin/mosquitto"
		if _, err := os.Stat(binary); err != nil {
			t.Fatal("mosquitto is not installed; get it with: make tools (or apt-get install mosquitto)")
		}
	}
	return launch(t, func() *Server {
		dir := t.TempDir()
		port := FreePort(t)
		config := filepath.Join(dir, "mosquitto.conf")
		text := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location %s/\nmax_queued_messages 0\n%s\n",
			port, dir, strings.Join(lines, "\n"))
		if os.Getuid() == 0 {
			text += "user root\n" // else it could not write to the test's folder
		}
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		address := fmt.Sprintf("127.0.0.1:%d", port)
		return &Server{
			t: t, url: "tcp://" + address,
			command: func() *exec.Cmd { return exec.Command(binary, "-c", config) },
			ready: func() error {
				conn, err := net.Dial("tcp", address)
				if err != nil {
					return err
				}
				return conn.Close()
			},
		}
	})
}

// MosquittoPassword adds a user to a password file for mosquitto.
func MosquittoPassword(t testing.TB, file, user, password string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "mosquitto_passwd", "-b", "-c", file, user, password).CombinedOutput()
	if err != nil {
		t.Fatalf("mosquitto_passwd: %v\n%s\nit comes with mosquitto; get it with: make tools (or apt-get install mosquitto)", err, out)
	}
}

// Influxd starts InfluxDB 1.8.10, which asks for no password.
func Influxd(t testing.TB) *Server {
	t.Helper()
	binary, err := BuildInfluxd(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return launch(t, func() *Server {
		dir := t.TempDir()
		http, rpc := FreePort(t), FreePort(t)
		url := fmt.Sprintf("http://127.0.0.1:%d", http)
		return &Server{
			t: t, url: url,
			command: func() *exec.Cmd {
				cmd := exec.Command(binary, "run")
				cmd.Env = append(os.Environ(), "INFLUXDB_CONFIG_PATH=/dev/null", "HOME="+dir,
					"INFLUXDB_REPORTING_DISABLED=true",
					fmt.Sprintf("INFLUXDB_BIND_ADDRESS=127.0.0.1:%d", rpc),
					fmt.Sprintf("INFLUXDB_HTTP_BIND_ADDRESS=127.0.0.1:%d", http),
					"INFLUXDB_HTTP_LOG_ENABLED=false", "INFLUXDB_MONITOR_STORE_ENABLED=false",
					"INFLUXDB_META_DIR="+filepath.Join(dir, "meta"),
					"INFLUXDB_DATA_DIR="+filepath.Join(dir, "data"),
					"INFLUXDB_DATA_WAL_DIR="+filepath.Join(dir, "wal"),
				)
				return cmd
			},
			ready: func() error { return ping(url + "/ping") },
		}
	})
}

func ping(url string) error {
	client := http.Client{Timeout: time.Second}
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		return errors.New(response.Status)
	}
	return nil
}

// BuildInfluxd builds InfluxDB into the module's .cache/bin unless it is there, and
// returns its path.
func BuildInfluxd(ctx context.Context) (string, error) {
	return build(ctx, "influxd", "1.8.10", "-ldflags", "-X main.version=1.8.10", "github.com/influxdata/influxdb/cmd/influxd")
}

// BuildGreentally builds the program into a file, as it is released.
func BuildGreentally(ctx context.Context, file string) error {
	root, err := root(ctx)
	if err != nil {
		return err
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", file, "./cmd/greentally")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// root is the folder of the main module, also for the tests of a module inside it.
func root(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	for dir := filepath.Dir(strings.TrimSpace(string(out))); ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "cmd", "greentally")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is not inside greentally's module", strings.TrimSpace(string(out)))
		}
	}
}

// build builds a tool that has a go.mod of its own in tools/ into .cache/bin, unless that
// version is there, and returns its path.
func build(ctx context.Context, tool, version string, args ...string) (string, error) {
	root, err := root(ctx)
	if err != nil {
		return "", err
	}
	return buildIn(ctx, filepath.Join(root, "tools", tool), filepath.Join(root, ".cache", "bin", tool+"-"+version), args...)
}

// buildIn builds a program of the module in a folder, unless it is there, and returns its path.
// Packages that are tested at the same time build it once.
func buildIn(ctx context.Context, dir, binary string, args ...string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(binary), 0o755); err != nil {
		return "", err
	}
	lock := flock.New(binary + ".lock")
	if err := lock.Lock(); err != nil {
		return "", err
	}
	defer func() { _ = lock.Unlock() }() // it ends with the process at the latest
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	build := exec.CommandContext(ctx, "go", append([]string{"build", "-o", binary}, args...)...)
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s (in %s): %w\n%s", filepath.Base(binary), dir, err, out)
	}
	return binary, nil
}
