package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"greentally/internal/testserver"
)

// binaries is a folder for the program that tests start and kill.
var binaries string

// binary builds the program once, as users do, and returns its file.
var binary = sync.OnceValues(func() (string, error) {
	file := filepath.Join(binaries, "greentally")
	return file, testserver.BuildGreentally(context.Background(), file)
})

func TestMain(m *testing.M) {
	var err error
	if binaries, err = os.MkdirTemp("", "greentally-test-"); err != nil {
		panic(err)
	}
	status := m.Run()
	_ = os.RemoveAll(binaries) // what is left in the temporary folder does no harm
	os.Exit(status)
}

// buffer is output that can be read while it is written.
type buffer struct {
	mu    sync.Mutex
	bytes bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes.String()
}

// command runs a command of the program to its end and returns what it printed.
func command(t testing.TB, args ...string) (string, error) {
	t.Helper()
	var out, stderr bytes.Buffer
	err := run(t.Context(), args, nil, &out, &stderr)
	return out.String(), err
}

// must runs a command that has to succeed.
func must(t testing.TB, args ...string) string {
	t.Helper()
	out, err := command(t, args...)
	if err != nil {
		t.Fatalf("greentally %s: %v", strings.Join(args, " "), err)
	}
	return out
}

// site is a folder with a configuration and communities, for a running greentally.
type site struct {
	t       testing.TB
	dir     string
	config  string // the configuration's file
	http    string // address of the API
	mqtt    string // of the broker in the process
	log     *buffer
	process *exec.Cmd
	exited  chan struct{} // closed when it has ended, with the error in ended
	ended   error
}

// newSite makes a site of one community. More is YAML to add to the configuration.
func newSite(t testing.TB, community []byte, more string) *site {
	t.Helper()
	dir := t.TempDir()
	s := &site{
		t: t, dir: dir, config: filepath.Join(dir, "greentally.yaml"),
		http: fmt.Sprintf("127.0.0.1:%d", testserver.FreePort(t)), mqtt: fmt.Sprintf("127.0.0.1:%d", testserver.FreePort(t)),
		log: &buffer{},
	}
	s.configure(more)
	if err := os.MkdirAll(filepath.Join(dir, "communities"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.write("communities/community.yaml", community)
	return s
}

func (s *site) configure(more string) {
	s.write("greentally.yaml", fmt.Appendf(nil, "data_dir: data\nhttp: {listen: %q}\nbroker: {listen: %q}\n%s", s.http, s.mqtt, more))
}

func (s *site) write(name string, data []byte) string {
	s.t.Helper()
	name = filepath.Join(s.dir, name)
	if err := os.WriteFile(name, data, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return name
}

// start starts the program as a process and waits until it is ready.
func (s *site) start() {
	s.t.Helper()
	s.launch()
	waitFor(s.t, time.Minute, "greentally to be ready", s.isReady)
}

// launch starts the program as a process.
func (s *site) launch() {
	s.t.Helper()
	program, err := binary()
	if err != nil {
		s.t.Fatal(err)
	}
	s.run(exec.Command(program, "run", "--config", s.config))
}

// run starts a command that is, or becomes, the program.
func (s *site) run(cmd *exec.Cmd) {
	s.t.Helper()
	cmd.Stdout, cmd.Stderr = s.log, s.log
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	exited := make(chan struct{})
	s.process, s.exited = cmd, exited
	go func() {
		defer close(exited)
		s.ended = cmd.Wait()
	}()
	s.t.Cleanup(s.kill)
}

// isReady reports whether the program says that it is ready. It must not have ended.
func (s *site) isReady() bool {
	s.t.Helper()
	select {
	case <-s.exited:
		s.process = nil
		s.t.Fatalf("greentally ended: %v\n%s", s.ended, s.log)
	default:
	}
	status, _ := s.ready()
	return status == http.StatusOK
}

// ready returns what /readyz says.
func (s *site) ready() (status int, text string) {
	response, err := http.Get("http://" + s.http + "/readyz")
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(data)
}

// kill ends the process at once, as kill -9 does.
func (s *site) kill() {
	if s.process != nil {
		_ = s.process.Process.Kill() // it may have ended by itself
		<-s.exited
		s.process = nil
	}
}

// stop asks the process to end, and checks that it does so without an error.
func (s *site) stop() {
	s.t.Helper()
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	<-s.exited
	if s.ended != nil {
		s.t.Errorf("asked to stop, greentally ended with %v\n%s", s.ended, s.log)
	}
	s.process = nil
}

// get asks the API, which has to answer as it is described.
func (s *site) get(path string, answer any) error {
	response, err := http.Get("http://" + s.http + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	asDescribed(s.t, response, data)
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", path, response.Status, data)
	}
	if text, ok := answer.(*string); ok {
		*text = string(data)
		return nil
	}
	return json.Unmarshal(data, answer)
}

// followers returns how many entries each follower is behind.
func (s *site) followers() (map[string]uint64, error) {
	var status struct {
		Followers map[string]struct{ Entries uint64 }
	}
	if err := s.get("/api/v1/status", &status); err != nil {
		return nil, err
	}
	behind := map[string]uint64{}
	for name, lag := range status.Followers {
		behind[name] = lag.Entries
	}
	return behind, nil
}

// caughtUp waits until everything in the journal is stored and tallied, and checks
// that the count of stored messages no longer moves.
func (s *site) caughtUp(within time.Duration) {
	s.t.Helper()
	var behind map[string]uint64
	var err error
	for end := time.Now().Add(within); ; time.Sleep(20 * time.Millisecond) {
		behind, err = s.followers()
		done := err == nil && len(behind) >= 3
		for _, entries := range behind {
			done = done && entries == 0
		}
		if done {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("not all was stored and tallied within %v: entries behind %v, %v\n%s", within, behind, err, s.log)
		}
	}
}

// metric returns the sum of a metric's samples.
func (s *site) metric(name string) float64 {
	s.t.Helper()
	var text string
	if err := s.get("/metrics", &text); err != nil {
		s.t.Fatal(err)
	}
	sum, found := 0.0, false
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok && (rest[0] == ' ' || rest[0] == '{') {
			fields := strings.Fields(line)
			var v float64
			if _, err := fmt.Sscan(fields[len(fields)-1], &v); err != nil {
				s.t.Fatalf("metric %q: %v", line, err)
			}
			sum, found = sum+v, true
		}
	}
	if !found {
		s.t.Fatalf("there is no metric %s", name)
	}
	return sum
}

// complaints returns the lines of the log that are warnings or errors, but for those
// that contain one of the expected texts.
func (s *site) complaints(expected ...string) []string {
	var all []string
	for line := range strings.Lines(s.log.String()) {
		known := slices.ContainsFunc(expected, func(e string) bool { return strings.Contains(line, e) })
		if !known && !strings.Contains(line, "level=INFO") {
			all = append(all, strings.TrimSpace(line))
		}
	}
	return all
}

// waitFor waits until the condition holds.
func waitFor(t testing.TB, within time.Duration, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !condition(); {
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain for %s", within, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// background runs do until the returned function is called, which waits for its end.
func background(t testing.TB, do func(context.Context) error) (finish func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	finish = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { _ = finish() })
	return finish
}
