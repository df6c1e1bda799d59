package deploy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/compose-spec/compose-go/v2/types"
	mqtt "github.com/eclipse/paho.mqtt.golang"

	"greentally/internal/testserver"
)

// stack is what docker-compose.yml would start, as processes on this machine: the same commands, environments,
// files and secrets, with the paths and addresses that they have here. InfluxDB is 1.8.10, Prometheus Debian's; the
// images have later ones.
type stack struct {
	*testing.T
	dir       string
	project   *types.Project
	addresses map[string]string // by name and port in the containers' network
	program   string            // greentally
}

func newStack(t *testing.T) *stack {
	dir := checkout(t)
	s := &stack{T: t, dir: dir, addresses: map[string]string{}, program: filepath.Join(dir, "greentally")}
	s.must(testserver.BuildGreentally(t.Context(), s.program))
	for _, name := range []string{"mosquitto:1883", "greentally:8080", "prometheus:9090"} {
		s.addresses[name] = fmt.Sprintf("127.0.0.1:%d", testserver.FreePort(t))
	}
	return s
}

func (s *stack) address(name string) string {
	if s.addresses[name] == "" {
		s.Fatalf("there is no %s", name)
	}
	return s.addresses[name]
}

// here says what a text of a service is on this machine.
func (s *stack) here(service types.ServiceConfig, text string) string {
	type pair struct{ there, here string }
	pairs := []pair{
		{"/run/secrets", filepath.Join(s.dir, "deploy/secrets")},
		{"/usr/bin/greentally", s.program},
		{"listener 1883", "listener " + strings.TrimPrefix(s.address("mosquitto:1883"), "127.0.0.1:") + " 127.0.0.1"},
		{"0.0.0.0:8080", s.address("greentally:8080")},
		{"localhost:9090", s.address("prometheus:9090")},
		{"mosquitto_sub", "mosquitto_sub -h 127.0.0.1 -p " + strings.TrimPrefix(s.address("mosquitto:1883"), "127.0.0.1:")},
	}
	for name, address := range s.addresses {
		pairs = append(pairs, pair{name, address})
	}
	for _, v := range service.Volumes {
		source := v.Source
		if v.Type == types.VolumeTypeVolume {
			source = filepath.Join(s.dir, "volumes", v.Source)
		} else if v.ReadOnly {
			source = filepath.Join(s.dir, "here", service.Name) // where install puts it
		}
		pairs = append(pairs, pair{v.Target, source})
	}
	for _, v := range service.Tmpfs {
		target, _, _ := strings.Cut(v, ":")
		pairs = append(pairs, pair{target, filepath.Join(s.dir, "tmp", service.Name)})
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return len(b.there) - len(a.there) })
	var out strings.Builder
	for i := 0; i < len(text); {
		at := slices.IndexFunc(pairs, func(p pair) bool {
			rest, ok := strings.CutPrefix(text[i:], p.there)
			return ok && (i == 0 || !inWord(text[i-1])) && (rest == "" || !inWord(rest[0]))
		})
		if at < 0 {
			out.WriteByte(text[i])
			i++
			continue
		}
		out.WriteString(pairs[at].here)
		i += len(pairs[at].there)
	}
	return out.String()
}

func inWord(c byte) bool {
	return c == '_' || c == '-' || c == '.' || unicode.IsLetter(rune(c)) || unicode.IsDigit(rune(c))
}

// install puts the files that a service mounts where it finds them here.
func (s *stack) install(name string) types.ServiceConfig {
	s.Helper()
	service, err := s.project.GetService(name)
	if err != nil {
		s.Fatal(err)
	}
	for _, v := range service.Volumes {
		switch {
		case v.Type == types.VolumeTypeVolume:
			s.must(os.MkdirAll(filepath.Join(s.dir, "volumes", v.Source), 0o755))
		case v.ReadOnly:
			to := filepath.Join(s.dir, "here", name)
			s.must(os.CopyFS(to, os.DirFS(v.Source)))
			s.must(filepath.WalkDir(to, func(path string, d os.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				text, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				return os.WriteFile(path, []byte(s.here(service, string(text))), 0o644)
			}))
		}
	}
	s.must(os.MkdirAll(filepath.Join(s.dir, "tmp", name), 0o755))
	return service
}

func (s *stack) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// command is a service's, or that of its health check.
func (s *stack) command(service types.ServiceConfig, args ...string) *exec.Cmd {
	for i := range args {
		args[i] = s.here(service, args[i])
	}
	c := exec.Command(args[0], args[1:]...)
	c.Env = os.Environ()
	for key, value := range service.Environment {
		if value != nil {
			c.Env = append(c.Env, key+"="+s.here(service, *value))
		}
	}
	return c
}

// healthy runs a service's health check.
func (s *stack) healthy(service types.ServiceConfig) error {
	args := slices.Clone([]string(service.HealthCheck.Test))
	if args[0] == "CMD-SHELL" {
		args = []string{"CMD", "sh", "-c", args[1]}
	}
	out, err := s.command(service, args[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// start starts a service and waits until its health check, or what stands for it, succeeds.
func (s *stack) start(name string, ready func(types.ServiceConfig) error, args ...string) types.ServiceConfig {
	s.Helper()
	service := s.install(name)
	testserver.Command(s, "", func() *exec.Cmd {
		return s.command(service, slices.Concat(args, service.Entrypoint, service.Command)...)
	}, func() error { return ready(service) })
	return service
}

// get asks a service by HTTP.
func (s *stack) get(address, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(s.Context(), http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return nil, err
	}
	token, err := os.ReadFile(filepath.Join(s.dir, "deploy/secrets/http_token"))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+string(token))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s %s", path, response.Status, body)
	}
	return body, err
}

// wait waits until a condition holds.
func (s *stack) wait(what string, condition func() error) {
	s.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.Fatalf("%s: %v", what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// client connects to the broker as a device.
func (s *stack) client(user, password string) (mqtt.Client, error) {
	options := mqtt.NewClientOptions().AddBroker("tcp://" + s.address("mosquitto:1883")).SetClientID("test-" + strings.ReplaceAll(user, "/", "-")).
		SetUsername(user).SetPassword(password).SetConnectRetry(false).SetAutoReconnect(false)
	c := mqtt.NewClient(options)
	token := c.Connect()
	if !token.WaitTimeout(10 * time.Second) {
		return nil, fmt.Errorf("connect as %s: no answer", user)
	}
	return c, token.Error()
}

func (s *stack) publish(c mqtt.Client, topic, payload string) {
	s.Helper()
	if token := c.Publish(topic, 1, false, payload); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		s.Fatalf("publish to %s: %v", topic, token.Error())
	}
}

// TestStart starts what docker-compose.yml would start with its profile dev, and sends a simulated day through it.
func TestStart(t *testing.T) {
	s := newStack(t)
	settings := readFile(t, filepath.Join(s.dir, "deploy/dev.env"))
	yesterday := time.Now().UTC().Add(8*time.Hour).AddDate(0, 0, -1).Format(time.DateOnly)
	_, rest, found := strings.Cut(settings, "\n")
	if !found || !strings.HasPrefix(settings, "SIMULATE_FROM=") {
		t.Fatalf("the settings are\n%s", settings)
	}
	s.must(os.WriteFile(filepath.Join(s.dir, "deploy/dev.env"), []byte("SIMULATE_FROM="+yesterday+"\n"+rest), 0o600))
	s.project = project(t, s.dir, true)

	mails := testserver.Mailpit(t)
	influxd := testserver.Influxd(t)
	s.addresses["mailpit:1025"] = mails.SMTP
	s.addresses["influxdb:8086"] = strings.TrimPrefix(influxd.URL(), "http://")

	// A device of one's own besides the simulated ones.
	said := output(t, filepath.Join(s.dir, "deploy/device.sh"), "jiayuan/lobby")
	password := strings.TrimSpace(said[strings.LastIndex(said, " ")+1:])
	communities := filepath.Join(s.dir, "deploy/communities/jiayuan.yaml")
	s.must(os.WriteFile(communities, []byte(readFile(t, communities)+"  - {id: lobby, kind: sorting_bin, site: gate-east, stream: hazardous, interval: 1h}\n"), 0o644))

	mosquittoConfig := filepath.Join(s.dir, "deploy/mosquitto/mosquitto.conf")
	if os.Getuid() == 0 { // else it could not read the test's folder
		s.must(os.WriteFile(mosquittoConfig, []byte(readFile(t, mosquittoConfig)+"user root\n"), 0o644))
	}
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin")
	for _, tool := range []string{"mosquitto", "mosquitto_sub", "mosquitto_passwd", "prometheus", "promtool"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is not installed; get it with: make tools", tool)
		}
	}
	mosquitto := s.start("mosquitto", func(types.ServiceConfig) error {
		conn, err := net.Dial("tcp", s.address("mosquitto:1883"))
		if err != nil {
			return err
		}
		return conn.Close()
	})
	greentally := s.start("greentally", s.healthy, "/usr/bin/greentally")
	if c, err := s.client("jiayuan/lobby", "wrong"); err == nil {
		t.Error("a wrong password is taken")
		c.Disconnect(0)
	}
	lobby, err := s.client("jiayuan/lobby", password)
	s.must(err)

	s.start("simulator", s.healthy, "/usr/bin/greentally")
	first := func(database, query string) (float64, error) {
		body, err := s.get(s.address("influxdb:8086"), "/query?db="+database+"&q="+url.QueryEscape(query))
		if err != nil {
			return 0, err
		}
		var answer struct {
			Results []struct{ Series []struct{ Values [][]any } }
		}
		if err := json.Unmarshal(body, &answer); err != nil {
			return 0, err
		}
		if len(answer.Results) != 1 || len(answer.Results[0].Series) == 0 {
			return 0, fmt.Errorf("%s: %s", query, body)
		}
		n, _ := answer.Results[0].Series[0].Values[0][1].(float64)
		return n, nil
	}
	s.wait("yesterday's device-days of all 78 devices", func() error {
		n, err := first("greentally_derived", `SELECT count("complete") FROM (SELECT last("completeness") AS "complete" FROM "device_day" WHERE "completeness" > 0.9 AND time = '`+yesterday+`' - 8h GROUP BY "device")`)
		if err == nil && n < 78 {
			err = fmt.Errorf("there are %v", n)
		}
		return err
	})
	s.wait("this month's indicators", func() error {
		_, err := first("greentally_derived", `SELECT last("value") FROM "indicator" WHERE "indicator" = 'daily_clearance'`)
		return err
	})

	// What a device says of itself raises an alert; what it says of another is not heard.
	lobby.Publish("greentally/v1/jiayuan/e1-s1-food/readings", 1, false, `{"fill_ratio": 0.31415}`).WaitTimeout(10 * time.Second) // the broker may end it
	lobby.Disconnect(0)
	lobby, err = s.client("jiayuan/lobby", password)
	s.must(err)
	defer lobby.Disconnect(0)
	s.publish(lobby, "greentally/v1/jiayuan/lobby/readings", `{"fill_ratio": 0.97}`)
	s.wait("a mail to each contact", func() error {
		var all []string
		zh, en := false, false
		for _, m := range mails.Mails() {
			all = append(all, m.Subject)
			zh, en = zh || strings.Contains(m.Subject, "东大门 有害垃圾桶：垃圾桶已满溢"), en || strings.Contains(m.Subject, "East gate, Hazardous waste bin: Bin overflowing")
		}
		if !zh || !en {
			return fmt.Errorf("the mails are\n%s", strings.Join(all, "\n"))
		}
		return nil
	})
	s.wait("the reading in the store", func() error {
		_, err := first("greentally", `SELECT "fill_ratio" FROM "sorting_bin" WHERE "device" = 'lobby'`)
		return err
	})
	if _, err := first("greentally", `SELECT "fill_ratio" FROM "sorting_bin" WHERE "fill_ratio" = 0.31415`); err == nil {
		t.Error("a device was heard of another")
	}

	// Prometheus takes the metrics, and its rules and its tools find nothing wrong with them.
	s.start("prometheus", func(types.ServiceConfig) error {
		_, err := s.get(s.address("prometheus:9090"), "/-/ready")
		return err
	}, "prometheus", "--web.listen-address="+s.address("prometheus:9090"))
	output(t, "promtool", "check", "config", filepath.Join(s.dir, "here/prometheus/prometheus.yml"))
	for _, query := range []string{`up{job="greentally"} == 1`, `greentally_readings_stored_total > 10000`, `greentally_registry_valid == 1`} {
		s.wait(query, func() error {
			body, err := s.get(s.address("prometheus:9090"), "/api/v1/query?query="+url.QueryEscape(query))
			if err == nil && !bytes.Contains(body, []byte(`"value"`)) {
				err = fmt.Errorf("%s", body)
			}
			return err
		})
	}
	metrics, err := s.get(s.address("greentally:8080"), "/metrics")
	s.must(err)
	lint := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
	lint.Stdin = bytes.NewReader(metrics)
	if out, err := lint.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool says of the metrics (%v)\n%s", err, out)
	}
	body, err := s.get(s.address("prometheus:9090"), "/api/v1/rules")
	s.must(err)
	if n := bytes.Count(body, []byte(`"name":"Greentally`)); n != 10 || bytes.Contains(body, []byte(`"health":"err"`)) {
		t.Errorf("%d rules: %s", n, body)
	}

	for _, service := range []types.ServiceConfig{mosquitto, greentally} {
		if err := s.healthy(service); err != nil {
			t.Errorf("%s is not healthy: %v", service.Name, err)
		}
	}
}
