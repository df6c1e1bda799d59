package deploy

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// checkout is a copy of the files that docker-compose.yml is about, with the secrets that up.sh makes.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"deploy", "dashboards", "simulator"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join("..", name))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"deploy/secrets", "deploy/communities", "deploy/dev.env"} { // of whoever runs the tests
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "docker-compose.yml"), []byte(readFile(t, "../docker-compose.yml")), 0o600); err != nil {
		t.Fatal(err)
	}
	output(t, filepath.Join(dir, "deploy/up.sh"), "dev")
	return dir
}

// project reads docker-compose.yml as docker compose does, with the settings of .env where those are wanted.
func project(t *testing.T, dir string, settings bool) *types.Project {
	t.Helper()
	options := []cli.ProjectOptionsFn{cli.WithWorkingDirectory(dir), cli.WithProfiles([]string{"dev"}), cli.WithResolvedPaths(true)}
	if settings {
		options = append(options, cli.WithEnvFiles(filepath.Join(dir, ".env"), filepath.Join(dir, "deploy/dev.env")), cli.WithDotEnv)
	}
	o, err := cli.NewProjectOptions([]string{filepath.Join(dir, "docker-compose.yml")}, options...)
	if err != nil {
		t.Fatal(err)
	}
	p, err := o.LoadProject(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCompose(t *testing.T) {
	dir := checkout(t)
	p := project(t, dir, false)
	if want := []string{"grafana", "greentally", "influxdb", "mailpit", "mosquitto", "prometheus", "simulator"}; !slices.Equal(p.ServiceNames(), want) {
		t.Fatalf("there are the services %v, want %v", p.ServiceNames(), want)
	}
	pinned := regexp.MustCompile(`^docker\.io/\S+/\S+:v?\d+\.\d+\.\d+$`)
	for name, s := range p.Services {
		if s.Image != "greentally:local" && !pinned.MatchString(s.Image) {
			t.Errorf("%s: image %s is not pinned", name, s.Image)
		}
		if s.HealthCheck == nil || s.HealthCheck.Disable || len(s.HealthCheck.Test) < 2 {
			t.Errorf("%s: no health check", name)
		}
		if s.Restart == "" {
			t.Errorf("%s: no restart policy", name)
		}
		if s.Privileged || len(s.CapAdd) > 0 || s.NetworkMode == "host" || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s: has more privileges than it needs", name)
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %s is bound to %q", name, port.Published, port.HostIP)
			}
		}
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeBind {
				if _, err := os.Stat(v.Source); err != nil {
					t.Errorf("%s: mounts what is not there: %v", name, err)
				}
				if !v.ReadOnly && v.Target != "/communities" {
					t.Errorf("%s: may write to %s", name, v.Source)
				}
			}
		}
		for _, secret := range s.Secrets {
			file := p.Secrets[secret.Source].File
			if text, err := os.ReadFile(file); err != nil || len(text) == 0 && secret.Source != "smtp_password" {
				t.Errorf("%s: secret %s has %d bytes (%v)", name, secret.Source, len(text), err)
			}
		}
		// A file that is named below /run/secrets is one of the service's secrets.
		var text strings.Builder
		for _, part := range slices.Concat([]string(s.Command), []string(s.Entrypoint), []string(s.HealthCheck.Test)) {
			text.WriteString(part + "\n")
		}
		for key, value := range s.Environment {
			if value != nil {
				text.WriteString(key + "=" + *value + "\n")
			}
		}
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeBind && v.Target != "/communities" {
				readAll(t, v.Source, &text)
			}
		}
		for _, m := range regexp.MustCompile(`/run/secrets/(\w+)`).FindAllStringSubmatch(text.String(), -1) {
			if !slices.ContainsFunc(s.Secrets, func(secret types.ServiceSecretConfig) bool { return secret.Source == m[1] }) {
				t.Errorf("%s: names the secret %s, which it is not given", name, m[1])
			}
		}
	}
	g := p.Services["greentally"]
	if g.User == "" || strings.HasPrefix(g.User, "0") || !g.ReadOnly || !slices.Equal(g.CapDrop, []string{"ALL"}) {
		t.Errorf("greentally runs as %q, read-only %v, without %v", g.User, g.ReadOnly, g.CapDrop)
	}
	// No secret stands in a file that is committed: what up.sh made is in none of them.
	var committed strings.Builder
	readAll(t, filepath.Join(dir, "docker-compose.yml"), &committed)
	for _, name := range []string{"mosquitto", "influxdb", "greentally", "prometheus"} {
		readAll(t, filepath.Join("..", "deploy", name), &committed)
	}
	for name, secret := range p.Secrets {
		value, err := os.ReadFile(secret.File)
		if err != nil {
			t.Fatal(err)
		}
		if len(value) > 0 && len(value) < 32 {
			t.Errorf("secret %s is short", name)
		}
		if len(value) > 0 && strings.Contains(committed.String(), strings.TrimSpace(string(value))) {
			t.Errorf("secret %s stands in a file", name)
		}
	}
	if m := regexp.MustCompile(`(?im)^\s*[\w-]*(password|token|secret)[\w-]*\s*[:=]\s*["']?[\w-]{8,}["']?\s*$`).FindString(committed.String()); m != "" {
		t.Errorf("this looks like a secret: %s", m)
	}
}

// TestUpAgain starts over what is there: nothing that was made changes.
func TestUpAgain(t *testing.T) {
	dir := checkout(t)
	read := func() string {
		var text strings.Builder
		readAll(t, filepath.Join(dir, "deploy/secrets"), &text)
		readAll(t, filepath.Join(dir, "deploy/dev.env"), &text)
		return text.String()
	}
	before := read()
	output(t, filepath.Join(dir, "deploy/up.sh"), "dev")
	if after := read(); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
	info, err := os.Stat(filepath.Join(dir, "deploy/secrets"))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder of the secrets has mode %v (%v)", info.Mode(), err)
	}

	device := filepath.Join(dir, "deploy/device.sh")
	first, second := output(t, device, "jiayuan/bin-1"), output(t, device, "jiayuan/bin.1")
	again := output(t, device, "jiayuan/bin-1")
	output(t, device, "lora-gateway")
	users := readFile(t, filepath.Join(dir, "deploy/secrets/mqtt_users"))
	password := func(said string) string { return strings.TrimSpace(said[strings.LastIndex(said, " ")+1:]) }
	if first == again || strings.Contains(users, password(first)) || strings.Count(users, "\n") != 5 ||
		!strings.Contains(users, "jiayuan/bin-1:"+password(again)+"\n") || !strings.Contains(users, "jiayuan/bin.1:"+password(second)+"\n") {
		t.Errorf("the users are\n%s", users)
	}
	output(t, filepath.Join(dir, "deploy/up.sh")) // without the simulator
	if users := readFile(t, filepath.Join(dir, "deploy/secrets/mqtt_users")); strings.Contains(users, "simulator") || !strings.Contains(users, "lora-gateway:") {
		t.Errorf("without the simulator the users are\n%s", users)
	}
	for _, bad := range []string{"", "greentally", "simulator", "a/b/c", "a:b/c", "/b", "a/", "a/#", "a/b\nc"} {
		if out, err := exec.CommandContext(t.Context(), device, bad).CombinedOutput(); err == nil || !strings.Contains(string(out), "usage") {
			t.Errorf("%q is a name: %v %s", bad, err, out)
		}
	}
}

// readAll reads a file, or all files of a folder, into the text.
func readAll(t *testing.T, name string, text *strings.Builder) {
	t.Helper()
	err := filepath.WalkDir(name, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		text.Write(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDocumentedOverrides merges each docker-compose.override.yml of docs/deploying.md with docker-compose.yml, as docker
// compose would.
func TestDocumentedOverrides(t *testing.T) {
	dir := checkout(t)
	blocks := regexp.MustCompile("(?s)```yaml\n# docker-compose.override.yml\n(.*?)```").FindAllStringSubmatch(readFile(t, "../docs/deploying.md"), -1)
	if len(blocks) < 4 {
		t.Fatalf("there are %d", len(blocks))
	}
	for _, b := range blocks {
		file := filepath.Join(dir, "docker-compose.override.yml")
		if err := os.WriteFile(file, []byte(b[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		o, err := cli.NewProjectOptions([]string{filepath.Join(dir, "docker-compose.yml"), file}, cli.WithWorkingDirectory(dir))
		if err != nil {
			t.Fatal(err)
		}
		p, err := o.LoadProject(t.Context())
		if err != nil {
			t.Errorf("%v in\n%s", err, b[1])
			continue
		}
		if err := p.CheckContainerNameUnicity(); err != nil || len(p.Services) == 0 {
			t.Errorf("%d services (%v) with\n%s", len(p.Services), err, b[1])
		}
		for name, s := range p.Services {
			for other := range s.DependsOn {
				if _, ok := p.Services[other]; !ok {
					t.Errorf("%s depends on %s, which is not there with\n%s", name, other, b[1])
				}
			}
			for _, port := range s.Ports {
				if port.HostIP != "127.0.0.1" && port.Target != 8883 {
					t.Errorf("%s: port %d is bound to %s with\n%s", name, port.Target, port.HostIP, b[1])
				}
			}
		}
	}
}
