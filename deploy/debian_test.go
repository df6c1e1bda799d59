package deploy

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"greentally/internal/testserver"
)

// output runs a command that has to succeed.
func output(t *testing.T, args ...string) string {
	t.Helper()
	var stderr strings.Builder
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(args, " "), err, out, &stderr)
	}
	return string(out)
}

// debianPackage builds the Debian package as make deb does, and returns its file and the folder of its files.
func debianPackage(t *testing.T, version string) (deb, root string) {
	t.Helper()
	dir := t.TempDir()
	output(t, "make", "--silent", "-C", "..", "deb", "DIST="+dir, "VERSION="+version)
	found, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(found) != 1 {
		t.Fatalf("make deb wrote %v (%v)", found, err)
	}
	root = filepath.Join(dir, "root")
	output(t, "dpkg-deb", "--extract", found[0], root)
	return found[0], root
}

func TestDebianPackage(t *testing.T) {
	deb, root := debianPackage(t, "1.2.3~test1")

	t.Run("contents", func(t *testing.T) {
		arch := strings.TrimSpace(output(t, "dpkg", "--print-architecture"))
		if want := "greentally_1.2.3~test1_" + arch + ".deb"; filepath.Base(deb) != want {
			t.Errorf("the package is %s, want %s", filepath.Base(deb), want)
		}
		for field, want := range map[string]string{"Package": "greentally", "Version": "1.2.3~test1", "Architecture": arch} {
			if got := strings.TrimSpace(output(t, "dpkg-deb", "--field", deb, field)); got != want {
				t.Errorf("%s: %q, want %q", field, got, want)
			}
		}
		if got := strings.TrimSpace(output(t, "dpkg-deb", "--info", deb, "conffiles")); got != "/etc/greentally/greentally.yaml" {
			t.Errorf("the conffiles are %q", got)
		}
		for _, script := range []string{"postinst", "prerm", "postrm"} {
			file := filepath.Join(t.TempDir(), script)
			if err := os.WriteFile(file, []byte(output(t, "dpkg-deb", "--info", deb, script)), 0o600); err != nil {
				t.Fatal(err)
			}
			output(t, "sh", "-n", file)
		}
		var got []string
		for line := range strings.Lines(output(t, "dpkg-deb", "--contents", deb)) {
			f := strings.Fields(line) // mode, owner, size, date, time, name
			name := strings.TrimPrefix(f[5], ".")
			if f[0] == "drwxr-xr-x" && f[1] == "root/root" && !strings.HasPrefix(name, "/etc/greentally/") {
				continue // folders on the way
			}
			got = append(got, f[0]+" "+f[1]+" "+name)
		}
		want := []string{
			"drwxr-xr-x root/root /etc/greentally/", // postinst gives those below it to greentally
			"drwxr-xr-x root/root /etc/greentally/communities/",
			"-rw-r--r-- root/root /etc/greentally/greentally.yaml",
			"drwxr-xr-x root/root /etc/greentally/secrets/",
			"-rwxr-xr-x root/root /usr/bin/greentally",
			"-rw-r--r-- root/root /usr/lib/systemd/system/greentally.service",
			"-rw-r--r-- root/root /usr/lib/sysusers.d/greentally.conf",
			"-rw-r--r-- root/root /usr/share/bash-completion/completions/greentally",
			"-rw-r--r-- root/root /usr/share/doc/greentally/changelog.gz",
			"-rw-r--r-- root/root /usr/share/doc/greentally/copyright",
			"-rw-r--r-- root/root /usr/share/doc/greentally/modules.gz",
			"-rw-r--r-- root/root /usr/share/fish/vendor_completions.d/greentally.fish",
			"-rw-r--r-- root/root /usr/share/lintian/overrides/greentally",
			"-rw-r--r-- root/root /usr/share/man/man1/greentally.1.gz",
			"-rw-r--r-- root/root /usr/share/zsh/vendor-completions/_greentally",
		}
		if !slices.Equal(got, want) {
			t.Errorf("the package holds\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})

	t.Run("documents", func(t *testing.T) {
		modules := output(t, "zcat", filepath.Join(root, "usr/share/doc/greentally/modules.gz"))
		for part := range strings.SplitSeq(modules, "\n"+strings.Repeat("-", 40)+"\n") {
			module, licence, _ := strings.Cut(strings.TrimSpace(part), "\n")
			if module != "" && len(licence) < 400 {
				t.Errorf("%s has no licence", module)
			}
		}
		if !strings.Contains(modules, "github.com/nats-io/nats-server/v2 v") {
			t.Error("the licences of the modules are not there")
		}
		for name, want := range map[string]string{
			"bash-completion/completions/greentally":    "complete -o default -F __start_greentally greentally",
			"zsh/vendor-completions/_greentally":        "#compdef greentally",
			"fish/vendor_completions.d/greentally.fish": "complete -c greentally",
			"doc/greentally/copyright":                  "Apache-2.0",
			"../lib/sysusers.d/greentally.conf":         "u greentally ",
			"lintian/overrides/greentally":              "greentally: ",
		} {
			if !strings.Contains(readFile(t, filepath.Join(root, "usr/share", name)), want) {
				t.Errorf("%s lacks %q", name, want)
			}
		}
	})

	t.Run("unit", func(t *testing.T) {
		if _, err := exec.LookPath("systemd-analyze"); err != nil {
			t.Fatal("systemd-analyze is not installed; get it with: make tools (or apt-get install systemd procps)")
		}
		text := readFile(t, filepath.Join(root, "usr/lib/systemd/system/greentally.service"))
		unit := filepath.Join(t.TempDir(), "greentally.service")
		text = strings.Replace(text, "=/usr/bin/", "="+root+"/usr/bin/", 1) // it looks for the program
		if err := os.WriteFile(unit, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		output(t, "systemd-analyze", "verify", "--man=no", unit)
		output(t, "systemd-analyze", "security", "--offline=true", "--threshold=12", unit) // of 100; without the hardening 92
	})

	t.Run("configuration", func(t *testing.T) {
		program, file := filepath.Join(root, "usr/bin/greentally"), filepath.Join(root, "etc/greentally/greentally.yaml")
		output(t, program, "check", "--config", file)
		// What stands in comments is right too.
		text := regexp.MustCompile(`(?m)^#([a-z]|  [a-z])`).ReplaceAllString(readFile(t, file), "$1")
		all := filepath.Join(t.TempDir(), "all.yaml")
		if err := os.WriteFile(all, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		output(t, program, "check", "--config", all)
	})

	t.Run("runs", func(t *testing.T) { run(t, root) })
}

// run starts what the unit would start, with the package's configuration on free ports, and asks it how it is.
func run(t *testing.T, root string) {
	start := regexp.MustCompile(`(?m)^ExecStart=(.*)$`).FindStringSubmatch(readFile(t, filepath.Join(root, "usr/lib/systemd/system/greentally.service")))
	config := filepath.Join(root, "etc/greentally/greentally.yaml")
	text := strings.Replace(readFile(t, config), "/var/lib/greentally", filepath.Join(root, "var/lib/greentally"), 1)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	here := func(line string) []string {
		args := strings.Fields(line)
		for i := range args {
			if strings.HasPrefix(args[i], "/") {
				args[i] = root + args[i]
			}
		}
		return args
	}
	environment := append(os.Environ(), fmt.Sprintf("GREENTALLY_BROKER_LISTEN=127.0.0.1:%d", testserver.FreePort(t)),
		fmt.Sprintf("GREENTALLY_HTTP_LISTEN=127.0.0.1:%d", testserver.FreePort(t)))
	command := func(ctx context.Context, line string) *exec.Cmd {
		args := here(line)
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Env = environment
		return cmd
	}
	var log strings.Builder
	service := command(t.Context(), start[1])
	service.Stderr = &log
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		out, err := command(t.Context(), "/usr/bin/greentally status --config /etc/greentally/greentally.yaml").CombinedOutput()
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			_ = service.Process.Kill() // the test has failed
			_ = service.Wait()
			t.Fatalf("it is not ready: %v\n%s\n%s", err, out, &log)
		}
	}
	if err := service.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := service.Wait(); err != nil {
		t.Errorf("it ended with %v\n%s", err, &log)
	}
	if _, err := os.Stat(filepath.Join(root, "var/lib/greentally/greentally.db")); err != nil {
		t.Error(err)
	}
}
