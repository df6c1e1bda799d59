package testserver

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// NATS starts a NATS server with JetStream that anyone on the machine may use, of the version that
// runs in the process, too.
func NATS(t testing.TB) *Server {
	t.Helper()
	binary, err := BuildNATS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return launch(t, func() *Server {
		dir, port := t.TempDir(), FreePort(t)
		address := fmt.Sprintf("127.0.0.1:%d", port)
		return &Server{
			t: t, url: "nats://" + address,
			command: func() *exec.Cmd {
				return exec.Command(binary, "-a", "127.0.0.1", "-p", fmt.Sprint(port), "-js", "-sd", dir)
			},
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

// BuildNATS builds the NATS server into the module's .cache/bin unless it is there, and returns its
// path.
func BuildNATS(ctx context.Context) (string, error) {
	const module = "github.com/nats-io/nats-server/v2"
	root, err := root(ctx)
	if err != nil {
		return "", err
	}
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Version}}", module)
	list.Dir = root
	version, err := list.Output()
	if err != nil {
		return "", fmt.Errorf("which version of %s: %w", module, err)
	}
	return buildIn(ctx, root, filepath.Join(root, ".cache", "bin", "nats-server-"+strings.TrimSpace(string(version))), module)
}
