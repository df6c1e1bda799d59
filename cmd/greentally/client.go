package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// client asks a running greentally over its API.
type client struct {
	server, tokenFile string
	environment       []string
	config            *string
}

// clientFlags adds the flags by which a command finds the running program.
func (p *program) clientFlags(cmd *cobra.Command) *client {
	c := &client{environment: p.environment, config: &p.configFile}
	cmd.PersistentFlags().StringVar(&c.server, "server", "", "address of the running greentally (default: http.listen of the configuration)")
	cmd.PersistentFlags().StringVar(&c.tokenFile, "token-file", "", "file with its bearer token (default: http.token_file of the configuration)")
	return c
}

// call sends body, if it is not nil, and decodes the answer into the value that
// answer points to.
func (c *client) call(ctx context.Context, method, path string, body, answer any) error {
	config, err := loadConfig(*c.config, c.environment)
	if err != nil {
		return err
	}
	server, tokenFile := c.server, c.tokenFile
	if server == "" {
		scheme := "http://"
		if config.HTTP.TLS.CertFile != "" {
			scheme = "https://"
		}
		server = scheme + config.HTTP.Listen
		if tokenFile == "" {
			tokenFile = config.HTTP.TokenFile
		}
	}
	token, err := secret(tokenFile)
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
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
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(server, "/")+path, reader)
	if err != nil {
		return fmt.Errorf("--server %s: %w", server, err)
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("is greentally running there? give its address with --server: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		var refusal struct{ Error string }
		if json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&refusal) != nil || refusal.Error == "" {
			refusal.Error = response.Status
		}
		return fmt.Errorf("%s: %s", server, refusal.Error)
	}
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		return fmt.Errorf("answer of %s: %w", server, err)
	}
	return nil
}

// readFile reads a file, or standard input for "-".
func readFile(cmd *cobra.Command, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(cmd.InOrStdin())
	}
	return os.ReadFile(name)
}
