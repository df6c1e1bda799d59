package testserver

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// Monitor is a Prometheus.
type Monitor struct{ *Server }

// Prometheus starts a Prometheus, from Debian's package, with the configuration: what is
// scraped, and how often.
func Prometheus(t testing.TB, config string) *Monitor {
	t.Helper()
	binary, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatal("prometheus is not installed; get it with: make tools (or apt-get install prometheus)")
	}
	return &Monitor{launch(t, func() *Server {
		dir := t.TempDir()
		file := filepath.Join(dir, "prometheus.yml")
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		address := fmt.Sprintf("127.0.0.1:%d", FreePort(t))
		return &Server{
			t: t, url: "http://" + address,
			command: func() *exec.Cmd {
				return exec.Command(binary, "--config.file", file, "--storage.tsdb.path", filepath.Join(dir, "data"),
					"--web.listen-address", address, "--log.level", "warn")
			},
			ready: func() error { return ping("http://" + address + "/-/ready") },
		}
	})}
}

// Range evaluates an expression at each step from … to, and returns the values of all series.
func (m *Monitor) Range(expression string, from, to time.Time, step time.Duration) ([]float64, error) {
	form := url.Values{"query": {expression}, "start": {from.Format(time.RFC3339Nano)}, "end": {to.Format(time.RFC3339Nano)}, "step": {step.String()}}
	response, err := http.PostForm(m.url+"/api/v1/query_range", form)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Values [][2]any // seconds, and the value as text
			}
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("%s: %w", response.Status, err)
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("%s: %s", response.Status, answer.Error)
	}
	var all []float64
	for _, series := range answer.Data.Result {
		for _, pair := range series.Values {
			value, err := strconv.ParseFloat(pair[1].(string), 64)
			if err != nil {
				return nil, err
			}
			all = append(all, value)
		}
	}
	return all, nil
}
