package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"time"

	toolkit "github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v4"

	"greentally/access/login"
)

type httpConfig struct {
	Listen         string       `yaml:"listen,omitempty" env:"LISTEN" jsonschema:"default=127.0.0.1:8080" jsonschema_description:"Pages, API, metrics and health. An address that is not loopback needs token_file, or a user."`
	TokenFile      string       `yaml:"token_file,omitempty" env:"TOKEN_FILE" jsonschema_description:"File with a bearer token; who bears it is administrator."`
	WebConfigFile  string       `yaml:"web_config_file,omitempty" env:"WEB_CONFIG_FILE" jsonschema_description:"TLS, client certificates, headers and rate limit of the listener, in a web configuration file as Prometheus's programs take it."`
	TrustedProxies []string     `yaml:"trusted_proxies,omitempty" env:"TRUSTED_PROXIES" jsonschema_description:"Addresses and networks, such as 10.0.0.0/8, of the proxies in front: who asks, and whether over TLS, is taken from their X-Forwarded-For and X-Forwarded-Proto."`
	OpenID         openIDConfig `yaml:"openid,omitempty" envPrefix:"OPENID_" jsonschema_description:"An OpenID provider by which users can log in."`
}

type openIDConfig struct {
	Issuer           string `yaml:"issuer,omitempty" env:"ISSUER" jsonschema_description:"Address of the provider, such as https://id.example.org/realms/estate."`
	ClientID         string `yaml:"client_id,omitempty" env:"CLIENT_ID"`
	ClientSecretFile string `yaml:"client_secret_file,omitempty" env:"CLIENT_SECRET_FILE" jsonschema_description:"File with the client's secret; none for a public client."`
	RedirectURL      string `yaml:"redirect_url,omitempty" env:"REDIRECT_URL" jsonschema_description:"Where people reach greentally, and /login/openid/callback; the provider must know it."`
}

// openIDCallback is where the provider sends people back to.
const openIDCallback = "/login/openid/callback"

// check finds what is wrong with the values, each at a path below http.
func (c httpConfig) check(add func(path []any, format string, args ...any)) {
	if _, err := reachable(c.Listen); err != nil {
		add([]any{"http", "listen"}, "http: %w", err)
	}
	for i, p := range c.TrustedProxies {
		if _, err := prefix(p); err != nil {
			add([]any{"http", "trusted_proxies", i}, "http: trusted proxy %w", err)
		}
	}
	o := c.OpenID
	if o.Issuer == "" {
		return
	}
	if _, err := publicURL(o.Issuer); err != nil {
		add([]any{"http", "openid", "issuer"}, "http.openid: issuer %w", err)
	}
	if o.ClientID == "" {
		add([]any{"http", "openid"}, "http.openid: client_id is missing")
	}
	if u, err := publicURL(o.RedirectURL); err != nil {
		add([]any{"http", "openid", "redirect_url"}, "http.openid: redirect_url %w", err)
	} else if u.Path != openIDCallback || u.RawQuery != "" {
		add([]any{"http", "openid", "redirect_url"}, "http.openid: redirect_url %q does not end in the page that people come back to, %s", o.RedirectURL, openIDCallback)
	}
}

// reachable reports whether others than this machine can reach an address.
func reachable(address string) (bool, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false, fmt.Errorf("listen address %q is not host:port", address)
	}
	return !login.IsLoopback(host), nil
}

// prefix reads a network, or an address, which is a network of one.
func prefix(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return p, fmt.Errorf("%q is neither an address nor a network such as 10.0.0.0/8", text)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4In6() {
		return p, fmt.Errorf("%q is of IPv4; write it so", text)
	}
	return p, nil
}

// publicURL reads an address to which browsers are sent with secrets.
func publicURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.Fragment != "":
		return nil, fmt.Errorf("%q is not an address such as https://greentally.example.org", text)
	case u.Scheme == "http" && !login.IsLoopback(u.Hostname()):
		return nil, fmt.Errorf("%q is not https", text)
	}
	return u, nil
}

// mayServe refuses to be reached by others while nobody could log in or bear a token. The users
// are known only when the program is up, so it is no part of check.
func (c httpConfig) mayServe(users bool) error {
	if others, err := reachable(c.Listen); err != nil || !others || c.TokenFile != "" || users {
		return err
	}
	return fmt.Errorf("http.listen: %s can be reached from other machines, and there is neither a token nor a user; set http.token_file, "+
		"or start with http.listen 127.0.0.1:8080 and add the first user: greentally user add NAME --role administrator", c.Listen)
}

// inTheClear reports whether passwords and tokens come over the network so that others can read
// them: the listener is not for this machine alone, and neither it nor a proxy in front speaks TLS.
func (c httpConfig) inTheClear(f webFile) bool {
	others, err := reachable(c.Listen)
	return err == nil && others && !f.hasTLS() && len(c.TrustedProxies) == 0
}

// gate returns what the configuration says of who is let in.
func (c httpConfig) gate() (login.Config, error) {
	var g login.Config
	var err error
	if g.Token, err = secret(c.TokenFile); err != nil {
		return g, fmt.Errorf("http.token_file: %w", err)
	}
	for _, text := range c.TrustedProxies {
		p, err := prefix(text)
		if err != nil {
			return g, fmt.Errorf("http.trusted_proxies: %w", err)
		}
		g.Proxies = append(g.Proxies, p)
	}
	if o := c.OpenID; o.Issuer != "" {
		clientSecret, err := secret(o.ClientSecretFile)
		if err != nil {
			return g, fmt.Errorf("http.openid.client_secret_file: %w", err)
		}
		g.Provider = &login.Provider{Issuer: o.Issuer, ClientID: o.ClientID, ClientSecret: clientSecret, RedirectURL: o.RedirectURL, Now: time.Now}
	}
	return g, nil
}

// webFile is what has to be known here of a web configuration file; the toolkit reads the rest.
type webFile struct {
	TLS struct {
		Cert     string `yaml:"cert"`
		CertFile string `yaml:"cert_file"`
	} `yaml:"tls_server_config"`
	HTTP struct {
		Headers map[string]string `yaml:"headers"`
	} `yaml:"http_server_config"`
	Users map[string]string `yaml:"basic_auth_users"`
}

// webFile reads http.web_config_file, so far as it has to be known here. Without one there is no TLS.
func (c httpConfig) webFile() (webFile, error) {
	var f webFile
	if c.WebConfigFile == "" {
		return f, nil
	}
	data, err := os.ReadFile(c.WebConfigFile)
	if err == nil {
		err = yaml.Unmarshal(data, &f)
	}
	if err != nil {
		return f, c.wrongWebFile(err)
	}
	if f.TLS.CertFile != "" && !filepath.IsAbs(f.TLS.CertFile) {
		f.TLS.CertFile = filepath.Join(filepath.Dir(c.WebConfigFile), f.TLS.CertFile)
	}
	return f, nil
}

// checkWebFile reads http.web_config_file, and finds what is wrong with it and with the
// certificates that it names.
func (c httpConfig) checkWebFile() (webFile, error) {
	if err := toolkit.Validate(c.WebConfigFile); err != nil {
		return webFile{}, c.wrongWebFile(err)
	}
	f, err := c.webFile()
	switch {
	case err != nil:
	case len(f.Users) > 0: // a browser cannot send both these and a session's or a token
		err = c.wrongWebFile(errors.New("basic_auth_users would be asked for a second password; take them out, add users by greentally user add, and a token for Prometheus by greentally token add"))
	case f.HTTP.Headers["Content-Security-Policy"] != "":
		err = c.wrongWebFile(errors.New("headers: the pages say their Content-Security-Policy themselves; take it out"))
	}
	return f, err
}

func (c httpConfig) wrongWebFile(err error) error {
	return fmt.Errorf("http.web_config_file: %s: %w", c.WebConfigFile, err)
}

func (f webFile) hasTLS() bool { return f.TLS.Cert+f.TLS.CertFile != "" }

// certificate returns the server's certificate, PEM; nothing without TLS.
func (f webFile) certificate() ([]byte, error) {
	if f.TLS.CertFile == "" {
		return []byte(f.TLS.Cert), nil
	}
	return os.ReadFile(f.TLS.CertFile)
}
