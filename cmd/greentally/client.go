package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

// client asks a running greentally over its API.
type client struct {
	server, tokenFile string
	files             clientTLS
	environment       []string
	config            *string
	http              *http.Client // made by the first call
}

// clientFlags adds the flags by which a command finds the running program.
func (p *program) clientFlags(cmd *cobra.Command) *client {
	c := &client{environment: p.environment, config: &p.configFile}
	cmd.PersistentFlags().StringVar(&c.server, "server", "", "address of the running greentally (default: http.listen of the configuration)")
	cmd.PersistentFlags().StringVar(&c.tokenFile, "token-file", "", "file with its bearer token (default: http.token_file of the configuration; with --server, none)")
	cmd.PersistentFlags().StringVar(&c.files.CAFile, "ca-file", "", "certificates to trust (default: the system's and that in http.web_config_file of the configuration; with --server, the system's)")
	cmd.PersistentFlags().StringVar(&c.files.CertFile, "cert-file", "", "client certificate, if the server asks for one")
	cmd.PersistentFlags().StringVar(&c.files.KeyFile, "key-file", "", "key of the client certificate")
	return c
}

// refusal is the answer of a server that does not do what it was asked.
type refusal struct {
	server string
	status int
	reason string
}

func (r *refusal) Error() string { return r.server + ": " + r.reason }

// isThere reports whether the server refused what it has already.
func isThere(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.status == http.StatusConflict
}

// call sends body, if it is not nil, and decodes the answer into the value that
// answer points to.
func (c *client) call(ctx context.Context, method, path string, body, answer any) error {
	var reader io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(data)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	response, err := c.send(ctx, method, path, "application/json", reader)
	if err != nil {
		return err
	}
	return decode(response, answer)
}

// file fetches a file, and returns the name that the server gives it, if it gives one.
func (c *client) file(ctx context.Context, path string) (name string, data []byte, err error) {
	response, err := c.send(ctx, http.MethodGet, path, "application/json", nil)
	if err != nil {
		return "", nil, err
	}
	defer response.Body.Close()
	if data, err = io.ReadAll(response.Body); err != nil {
		return "", nil, fmt.Errorf("answer of %s: %w", response.Request.URL.Host, err)
	}
	_, parameters, _ := mime.ParseMediaType(response.Header.Get("Content-Disposition"))
	if name = filepath.Base(parameters["filename"]); strings.HasPrefix(name, ".") { // none, or a hidden one, which no server has to make
		name = ""
	}
	return name, data, nil
}

// decode reads the answer as JSON into the value that it points to.
func decode(response *http.Response, answer any) error {
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		return fmt.Errorf("answer of %s://%s; is that greentally? give its address with --server: %w", response.Request.URL.Scheme, response.Request.URL.Host, err)
	}
	return nil
}

// send sends body and returns the answer, which has status 200 and must be closed. The error
// is a [refusal] if the server answers with another one.
func (c *client) send(ctx context.Context, method, path, media string, body io.Reader) (*http.Response, error) {
	config, err := loadConfig(*c.config, c.environment)
	if err != nil {
		return nil, err
	}
	server, tokenFile, own := c.server, c.tokenFile, webFile{}
	if server == "" {
		if own, err = config.HTTP.webFile(); err != nil {
			return nil, err
		}
		server = map[bool]string{true: "https://", false: "http://"}[own.hasTLS()] + config.HTTP.Listen
		if tokenFile == "" {
			tokenFile = config.HTTP.TokenFile
		}
	}
	token, err := secret(tokenFile)
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(server, "/")+path, body)
	if err != nil {
		return nil, fmt.Errorf("--server %s: %w", server, err)
	}
	request.Header.Set("Content-Type", media)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if c.http == nil {
		tlsConfig, err := c.tls(own, request.URL.Hostname())
		if err != nil {
			return nil, err
		}
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.TLSClientConfig = tlsConfig
		// A followed redirect turns a POST into a GET; greentally sends none of these calls elsewhere.
		c.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("is greentally running there? give its address with --server: %w", err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	if to := response.Header.Get("Location"); response.StatusCode/100 == 3 {
		return nil, &refusal{server, response.StatusCode, fmt.Sprintf("it sends elsewhere, to %s; is greentally there? give its own address with --server", to)}
	}
	var said struct{ Error string }
	if json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&said) != nil || said.Error == "" {
		said.Error = response.Status
	}
	return nil, &refusal{server, response.StatusCode, said.Error}
}

// locations returns a function that tells a community's time zone, and asks the server once.
func (c *client) locations(ctx context.Context) func(community string) (*time.Location, error) {
	ask := sync.OnceValues(func() (map[string]string, error) {
		var all []struct {
			Community string
			TimeZone  string `json:"time_zone"`
		}
		err := c.call(ctx, http.MethodGet, "/api/v1/communities", nil, &all)
		zones := map[string]string{}
		for _, one := range all {
			zones[one.Community] = one.TimeZone
		}
		return zones, err
	})
	return func(community string) (*time.Location, error) {
		zones, err := ask()
		if err != nil {
			return nil, err
		}
		zone, ok := zones[community]
		if !ok {
			return nil, fmt.Errorf("there is no community %q, so the time zone is not known", community)
		}
		return time.LoadLocation(zone)
	}
}

// tls returns the TLS configuration for a server; nil for the default one. If the server is the
// configured one, own has its certificate: that is trusted, and where it does not bear the address
// that the server listens on, such as 0.0.0.0, the server is asked for by the name that it does
// bear.
func (c *client) tls(own webFile, host string) (*tls.Config, error) {
	t, err := c.files.config()
	if err != nil {
		return nil, fmt.Errorf("--ca-file, --cert-file, --key-file: %w", err)
	}
	if c.files.CAFile != "" || !own.hasTLS() {
		return t, nil
	}
	trusted, err := own.certificate()
	if err != nil {
		return nil, fmt.Errorf("certificate to trust the server by, in http.web_config_file: %w", err)
	}
	block, _ := pem.Decode(trusted)
	if block == nil {
		return nil, fmt.Errorf("http.web_config_file: the server's certificate %s is none in PEM form", own.TLS.CertFile)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("http.web_config_file: the server's certificate %s: %w", own.TLS.CertFile, err)
	}
	if t == nil {
		t = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if t.RootCAs, err = x509.SystemCertPool(); err != nil {
		t.RootCAs = x509.NewCertPool() // the system has none
	}
	t.RootCAs.AppendCertsFromPEM(trusted)
	if cert.VerifyHostname(host) != nil {
		switch {
		case len(cert.DNSNames) > 0:
			t.ServerName = cert.DNSNames[0]
		case len(cert.IPAddresses) > 0:
			t.ServerName = cert.IPAddresses[0].String()
		}
	}
	return t, nil
}

// readFile reads a file, or standard input for "-".
func readFile(cmd *cobra.Command, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(cmd.InOrStdin())
	}
	return os.ReadFile(name)
}
