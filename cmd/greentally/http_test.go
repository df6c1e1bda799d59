package main

import (
	"fmt"
	"testing"
)

// webConfig writes a web configuration file with a certificate, and more.
func webConfig(t *testing.T, certFile, keyFile, more string) string {
	t.Helper()
	return writeFile(t, "web.yml", fmt.Sprintf("tls_server_config:\n  cert_file: %q\n  key_file: %q\n%s", certFile, keyFile, more))
}

func TestInTheClear(t *testing.T) {
	certFile, keyFile := certificate(t)
	withTLS := webConfig(t, certFile, keyFile, "")
	for _, tt := range []struct {
		http httpConfig
		want bool
	}{
		{httpConfig{Listen: "127.0.0.1:80"}, false}, {httpConfig{Listen: ":80"}, true},
		{httpConfig{Listen: ":80", WebConfigFile: withTLS}, false}, {httpConfig{Listen: ":80", WebConfigFile: writeFile(t, "web.yml", "rate_limit: {interval: 1s, burst: 9}")}, true},
		{httpConfig{Listen: ":80", TrustedProxies: []string{"10.0.0.1"}}, false},
	} {
		f, err := tt.http.checkWebFile()
		if err != nil {
			t.Fatal(err)
		}
		if got := tt.http.inTheClear(f); got != tt.want {
			t.Errorf("%+v: %v", tt.http, got)
		}
	}
}
