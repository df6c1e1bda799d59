package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/dustin/go-humanize"

	"greentally"
	"greentally/alerting/mail"
	"greentally/applications"
	"greentally/ingest"
	"greentally/internal/schedule"
	"greentally/internal/strictyaml"
)

// config is the configuration file. Each key can be overridden by an environment
// variable: GREENTALLY_ and the keys that lead to it, such as
// GREENTALLY_INFLUXDB_TOKEN_FILE.
type config struct {
	DataDir     string `yaml:"data_dir,omitempty" env:"DATA_DIR" jsonschema:"default=greentally-data" jsonschema_description:"Folder for the journal, and for SQLite when no InfluxDB is configured."`
	Communities string `yaml:"communities,omitempty" env:"COMMUNITIES" jsonschema:"default=communities" jsonschema_description:"Folder of the communities' files. They are read again when one changes, and on SIGHUP."`
	Kinds       string `yaml:"kinds,omitempty" env:"KINDS" jsonschema_description:"Folder of further kinds of devices."`
	Profiles    string `yaml:"profiles,omitempty" env:"PROFILES" jsonschema_description:"Folder of further profiles of hardware models."`
	Indicators  string `yaml:"indicators,omitempty" env:"INDICATORS" jsonschema_description:"Folder of further indicators."`
	Factors     string `yaml:"factors,omitempty" env:"FACTORS" jsonschema_description:"Folder of further factors, such as of carbon."`
	AlertRules  string `yaml:"alert_rules,omitempty" env:"ALERT_RULES" jsonschema_description:"Folder of further alert rules."`
	Schemes     string `yaml:"schemes,omitempty" env:"SCHEMES" jsonschema_description:"Folder of further certification schemes."`
	RecordTypes string `yaml:"record_types,omitempty" env:"RECORD_TYPES" jsonschema_description:"Folder of further types of records."`

	Log      logConfig      `yaml:"log,omitempty" envPrefix:"LOG_"`
	MQTT     mqttConfig     `yaml:"mqtt,omitempty" envPrefix:"MQTT_" jsonschema_description:"Your own MQTT broker. Without urls, a broker runs in the process."`
	Broker   brokerConfig   `yaml:"broker,omitempty" envPrefix:"BROKER_" jsonschema_description:"The MQTT broker in the process, for when mqtt has no urls."`
	InfluxDB influxdbConfig `yaml:"influxdb,omitempty" envPrefix:"INFLUXDB_" jsonschema_description:"Your own InfluxDB. Without url, readings are kept in SQLite in the data folder."`
	NATS     natsConfig     `yaml:"nats,omitempty" envPrefix:"NATS_" jsonschema_description:"Your own NATS cluster with JetStream. Without urls, one runs in the process and listens on nothing."`
	Journal  journalConfig  `yaml:"journal,omitempty" envPrefix:"JOURNAL_"`
	Limits   limitsConfig   `yaml:"limits,omitempty" envPrefix:"LIMITS_" jsonschema_description:"What goes to the dead letters."`
	HTTP     httpConfig     `yaml:"http,omitempty" envPrefix:"HTTP_"`
	SMTP     smtpConfig     `yaml:"smtp,omitempty" envPrefix:"SMTP_" jsonschema_description:"The mail server through which contacts are told of alerts. Without address nobody gets mails."`
	Alerting alertingConfig `yaml:"alerting,omitempty" envPrefix:"ALERTING_"`
	Exports  exportsConfig  `yaml:"exports,omitempty" envPrefix:"EXPORTS_" jsonschema_description:"What communities hand in each month."`
	Signing  signingConfig  `yaml:"signing,omitempty" envPrefix:"SIGNING_" jsonschema_description:"The key that evidence bundles are signed with."`

	Targets applications.Targets `yaml:"targets,omitempty" env:"-" jsonschema_description:"How many titles of a level are to be given in a year, such as 2026: {city: 15}."`
}

type logConfig struct {
	Level  string `yaml:"level,omitempty" env:"LEVEL" jsonschema:"enum=debug,enum=info,enum=warn,enum=error,default=info"`
	Format string `yaml:"format,omitempty" env:"FORMAT" jsonschema:"enum=text,enum=json,default=text"`
}

type mqttConfig struct {
	URLs         []string  `yaml:"urls,omitempty" env:"URLS" jsonschema_description:"Such as tcp://host:1883, tls://host:8883 or wss://host/mqtt; tried in turn."`
	ClientID     string    `yaml:"client_id,omitempty" env:"CLIENT_ID" jsonschema_description:"Must stay the same and be unique at the broker. Default: made once and kept in the data folder."`
	Username     string    `yaml:"username,omitempty" env:"USERNAME"`
	PasswordFile string    `yaml:"password_file,omitempty" env:"PASSWORD_FILE"`
	TLS          clientTLS `yaml:"tls,omitempty" envPrefix:"TLS_"`
	Topics       []string  `yaml:"topics,omitempty" env:"TOPICS" jsonschema_description:"Topic filters. Default: those that the profiles name."`
	Group        string    `yaml:"group,omitempty" env:"GROUP" jsonschema_description:"Subscribe as $share/GROUP/…, so that several replicas share the messages."`
}

type clientTLS struct {
	CAFile   string `yaml:"ca_file,omitempty" env:"CA_FILE" jsonschema_description:"Certificates to trust instead of the system's."`
	CertFile string `yaml:"cert_file,omitempty" env:"CERT_FILE" jsonschema_description:"Client certificate."`
	KeyFile  string `yaml:"key_file,omitempty" env:"KEY_FILE"`
}

type serverTLS struct {
	CertFile string `yaml:"cert_file,omitempty" env:"CERT_FILE"`
	KeyFile  string `yaml:"key_file,omitempty" env:"KEY_FILE"`
}

type brokerConfig struct {
	Listen    string    `yaml:"listen,omitempty" env:"LISTEN" jsonschema:"default=127.0.0.1:1883" jsonschema_description:"An address that is not loopback needs users_file."`
	UsersFile string    `yaml:"users_file,omitempty" env:"USERS_FILE" jsonschema_description:"Who may connect, and publish to which topics. Without it, anyone on this machine."`
	TLS       serverTLS `yaml:"tls,omitempty" envPrefix:"TLS_"`

	MaxConnections int `yaml:"max_connections,omitempty" env:"MAX_CONNECTIONS" jsonschema:"default=10000,minimum=1,maximum=1000000" jsonschema_description:"Clients that are connected at once; half of them from one network other than this machine."`
}

type influxdbConfig struct {
	URL              string              `yaml:"url,omitempty" env:"URL" jsonschema_description:"Such as http://127.0.0.1:8086; 1.8, 2.x and 3.x."`
	Org              string              `yaml:"org,omitempty" env:"ORG"`
	TokenFile        string              `yaml:"token_file,omitempty" env:"TOKEN_FILE" jsonschema_description:"File with the token; for 1.8, with user:password."`
	Bucket           string              `yaml:"bucket,omitempty" env:"BUCKET" jsonschema:"default=greentally" jsonschema_description:"For readings; for 1.8 a database."`
	DerivedBucket    string              `yaml:"derived_bucket,omitempty" env:"DERIVED_BUCKET" jsonschema:"default=greentally_derived" jsonschema_description:"For device-days, indicators, assessments, records and alerts."`
	Retention        greentally.Duration `yaml:"retention,omitempty" env:"RETENTION" jsonschema_description:"How long a new bucket keeps readings, such as 17520h. Default: for ever."`
	DerivedRetention greentally.Duration `yaml:"derived_retention,omitempty" env:"DERIVED_RETENTION"`
	CreateBuckets    *bool               `yaml:"create_buckets,omitempty" env:"CREATE_BUCKETS" jsonschema:"default=true" jsonschema_description:"Create the buckets if they are not there and the token allows it."`
	TLS              clientTLS           `yaml:"tls,omitempty" envPrefix:"TLS_"`
}

type natsConfig struct {
	URLs            []string `yaml:"urls,omitempty" env:"URLS"`
	CredentialsFile string   `yaml:"credentials_file,omitempty" env:"CREDENTIALS_FILE"`
	Replicas        int      `yaml:"replicas,omitempty" env:"REPLICAS" jsonschema:"default=1,minimum=1,maximum=5" jsonschema_description:"Copies of each stream in the cluster."`
}

type journalConfig struct {
	MaxBytes    byteSize            `yaml:"max_bytes,omitempty" env:"MAX_BYTES" jsonschema:"default=2GiB" jsonschema_description:"Disk budget of the journal. When it is full of messages that are not in the store yet, no more are acknowledged."`
	Keep        greentally.Duration `yaml:"keep,omitempty" env:"KEEP" jsonschema:"default=168h" jsonschema_description:"How long messages stay after all took them, if the budget allows."`
	DeadLetters byteSize            `yaml:"dead_letters_max_bytes,omitempty" env:"DEAD_LETTERS_MAX_BYTES" jsonschema:"default=256MiB" jsonschema_description:"Disk budget of the dead letters; the oldest go first."`
}

type limitsConfig struct {
	MaxPayload byteSize            `yaml:"max_payload,omitempty" env:"MAX_PAYLOAD" jsonschema:"default=64KiB"`
	MaxFuture  greentally.Duration `yaml:"max_future,omitempty" env:"MAX_FUTURE" jsonschema:"default=10m" jsonschema_description:"How far a reading's time may be after its receipt."`
	MaxPast    greentally.Duration `yaml:"max_past,omitempty" env:"MAX_PAST" jsonschema:"default=9600h" jsonschema_description:"How far a reading's time may be before its receipt."`
}

type smtpConfig struct {
	Address      string `yaml:"address,omitempty" env:"ADDRESS" jsonschema_description:"host:port, such as smtp.example.org:587."`
	From         string `yaml:"from,omitempty" env:"FROM" jsonschema_description:"Address that the mails come from."`
	Hello        string `yaml:"hello,omitempty" env:"HELLO" jsonschema:"default=localhost" jsonschema_description:"How the client calls itself."`
	Username     string `yaml:"username,omitempty" env:"USERNAME"`
	PasswordFile string `yaml:"password_file,omitempty" env:"PASSWORD_FILE" jsonschema_description:"File that holds nothing but the password."`
	TLS          string `yaml:"tls,omitempty" env:"TLS" jsonschema:"enum=starttls,enum=tls,enum=none,default=starttls"`
	CAFile       string `yaml:"ca_file,omitempty" env:"CA_FILE" jsonschema_description:"Certificates of further authorities, PEM."`
}

type alertingConfig struct {
	ConfigFile  string   `yaml:"config_file,omitempty" env:"CONFIG_FILE" jsonschema_description:"An alertmanager.yml of your own, instead of the defaults that greentally alerts config prints."`
	URLs        []string `yaml:"urls,omitempty" env:"URLS" jsonschema_description:"An Alertmanager elsewhere, all of its cluster, instead of the one in the process."`
	Templates   string   `yaml:"templates,omitempty" env:"TEMPLATES" jsonschema_description:"Folder of templates of mails that replace those that are shipped."`
	Digest      string   `yaml:"digest,omitempty" env:"DIGEST" jsonschema:"default=0 8 * * *" jsonschema_description:"When contacts get the list of what is open: minute, hour, day of the month, month, day of the week, by the community's clocks; or never."`
	Link        string   `yaml:"link,omitempty" env:"LINK" jsonschema_description:"Address of the page about an alert, a template over it."`
	ExternalURL string   `yaml:"external_url,omitempty" env:"EXTERNAL_URL" jsonschema_description:"Where people reach greentally, for links in templates."`
}

// byteSize is a number of bytes, written such as 64KiB or 2GiB.
type byteSize int64

// UnmarshalText reads a size.
func (b *byteSize) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n == 0 || n > 1<<50 {
		return fmt.Errorf("%q is not a size such as 64KiB or 2GiB", text)
	}
	*b = byteSize(n)
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (b byteSize) MarshalText() ([]byte, error) { return []byte(humanize.IBytes(uint64(b))), nil } //nolint:unparam // encoding.TextMarshaler

func defaultConfig() config {
	create, mailed := true, true
	return config{
		DataDir:     "greentally-data",
		Communities: "communities",
		Log:         logConfig{Level: "info", Format: "text"},
		Broker:      brokerConfig{Listen: "127.0.0.1:1883", MaxConnections: 10_000},
		InfluxDB:    influxdbConfig{Bucket: "greentally", DerivedBucket: "greentally_derived", CreateBuckets: &create},
		NATS:        natsConfig{Replicas: 1},
		Journal:     journalConfig{MaxBytes: 2 << 30, Keep: greentally.Duration(7 * 24 * time.Hour), DeadLetters: 256 << 20},
		Limits:      limitsConfig{MaxPayload: 64 << 10, MaxFuture: greentally.Duration(10 * time.Minute), MaxPast: greentally.Duration(400 * 24 * time.Hour)},
		Alerting:    alertingConfig{Digest: "0 8 * * *"},
		Exports:     exportsConfig{Schedule: "0 6 1 * *", Mail: &mailed},
		HTTP:        httpConfig{Listen: "127.0.0.1:8080"},
		SMTP:        smtpConfig{Hello: "localhost", TLS: mail.StartTLS},
	}
}

// loadConfig reads the file (none if the name is empty), lets the environment
// override it, and checks the whole. Relative names in the file are relative to its
// folder.
func loadConfig(name string, environment []string) (config, error) {
	c := defaultConfig()
	doc := (*strictyaml.Doc)(nil)
	if name != "" {
		data, err := os.ReadFile(name)
		if err != nil {
			return c, fmt.Errorf("configuration: %w", err)
		}
		if len(bytes.TrimSpace(comment.ReplaceAll(data, nil))) > 0 { // else it sets nothing
			if doc, err = strictyaml.Decode(name, data, &c); err != nil {
				return c, fmt.Errorf("configuration:\n%w", err)
			}
		}
		if c.InfluxDB.CreateBuckets == nil { // the key stands there without a value
			c.InfluxDB.CreateBuckets = defaultConfig().InfluxDB.CreateBuckets
		}
		if c.Exports.Mail == nil {
			c.Exports.Mail = defaultConfig().Exports.Mail
		}
		c.relativeTo(filepath.Dir(name))
	}
	if err := c.override(env.ToMap(environment)); err != nil {
		return c, fmt.Errorf("configuration from the environment:\n%w", err)
	}
	if err := c.check(doc); err != nil {
		return c, fmt.Errorf("configuration:\n%w", err)
	}
	return c, nil
}

var comment = regexp.MustCompile(`(?m)^\s*#.*$`)

// override sets what the environment has, one variable after another, so that errors
// can name the variable.
func (c *config) override(environment map[string]string) error {
	const prefix = "GREENTALLY_"
	known, err := env.GetFieldParamsWithOptions(c, env.Options{Prefix: prefix})
	if err != nil {
		return err
	}
	lists := map[reflect.Type]env.ParserFunc{reflect.TypeFor[[]string](): splitList}
	var all []error
	for _, k := range known {
		one := map[string]string{k.Key: environment[k.Key]}
		if one[k.Key] == "" {
			continue
		}
		err := env.ParseWithOptions(c, env.Options{Prefix: prefix, Environment: one, FuncMap: lists})
		var parsing env.ParseError
		if errors.As(err, &parsing) {
			err = parsing.Err // the rest of it names Go's fields
		}
		if err != nil {
			all = append(all, fmt.Errorf("%s: %w", k.Key, err))
		}
	}
	return errors.Join(all...)
}

// splitList splits a list as it stands in the environment: "a, b".
func splitList(text string) (any, error) {
	list := strings.Split(text, ",")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list, nil
}

func (c *config) relativeTo(dir string) {
	for _, p := range []*string{
		&c.DataDir, &c.Communities, &c.Kinds, &c.Profiles, &c.Indicators, &c.Factors, &c.AlertRules, &c.SMTP.PasswordFile, &c.SMTP.CAFile, &c.Alerting.ConfigFile, &c.Alerting.Templates, &c.Schemes, &c.RecordTypes,
		&c.MQTT.PasswordFile, &c.MQTT.TLS.CAFile, &c.MQTT.TLS.CertFile, &c.MQTT.TLS.KeyFile,
		&c.Broker.UsersFile, &c.Broker.TLS.CertFile, &c.Broker.TLS.KeyFile,
		&c.InfluxDB.TokenFile, &c.InfluxDB.TLS.CAFile, &c.InfluxDB.TLS.CertFile, &c.InfluxDB.TLS.KeyFile,
		&c.NATS.CredentialsFile, &c.HTTP.TokenFile, &c.HTTP.WebConfigFile, &c.HTTP.OpenID.ClientSecretFile, &c.Signing.KeyFile, &c.Signing.PasswordFile,
	} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}

// check finds all that is wrong with the values. doc may be nil.
func (c *config) check(doc *strictyaml.Doc) error {
	var all []error
	add := func(path []any, format string, args ...any) {
		if doc != nil {
			all = append(all, doc.Errorf(path, format, args...))
		} else {
			all = append(all, fmt.Errorf(format, args...))
		}
	}
	if !contains(c.Log.Level, "debug", "info", "warn", "error") {
		add([]any{"log", "level"}, "log level %q is none of debug, info, warn, error", c.Log.Level)
	}
	if !contains(c.Log.Format, "text", "json") {
		add([]any{"log", "format"}, "log format %q is none of text, json", c.Log.Format)
	}
	for _, pair := range []struct{ what, cert, key string }{
		{"mqtt", c.MQTT.TLS.CertFile, c.MQTT.TLS.KeyFile},
		{"influxdb", c.InfluxDB.TLS.CertFile, c.InfluxDB.TLS.KeyFile},
		{"broker", c.Broker.TLS.CertFile, c.Broker.TLS.KeyFile},
	} {
		if (pair.cert == "") != (pair.key == "") {
			add([]any{pair.what, "tls"}, "%s: cert_file and key_file go together", pair.what)
		}
	}
	for _, length := range []struct {
		part, key string
		value     greentally.Duration
	}{
		{"influxdb", "retention", c.InfluxDB.Retention},
		{"influxdb", "derived_retention", c.InfluxDB.DerivedRetention},
		{"journal", "keep", c.Journal.Keep},
		{"limits", "max_future", c.Limits.MaxFuture},
		{"limits", "max_past", c.Limits.MaxPast},
	} {
		if length.value < 0 {
			add([]any{length.part, length.key}, "%s: %s cannot be negative", length.part, length.key)
		}
	}
	if n := c.Broker.MaxConnections; n < 1 || n > 1_000_000 {
		add([]any{"broker", "max_connections"}, "broker.max_connections: %d is not within 1 to 1000000", n)
	}
	if len(c.MQTT.URLs) == 0 {
		if others, err := reachable(c.Broker.Listen); err != nil {
			add([]any{"broker", "listen"}, "broker: %w", err)
		} else if others && c.Broker.UsersFile == "" {
			add([]any{"broker", "listen"}, "broker: %s can be reached from other machines; set broker.users_file, or listen on 127.0.0.1", c.Broker.Listen)
		}
	}
	c.HTTP.check(add)
	if c.Alerting.Digest != noDigest {
		if err := schedule.Valid(c.Alerting.Digest); err != nil {
			add([]any{"alerting", "digest"}, "alerting.digest: %w, or never", err)
		}
	}
	if c.Exports.Schedule != noDigest {
		if err := schedule.Valid(c.Exports.Schedule); err != nil {
			add([]any{"exports", "schedule"}, "exports.schedule: %w, or never", err)
		}
	}
	for year, targets := range c.Targets {
		for level, n := range targets {
			if !slices.Contains(greentally.TitleLevels(), level) || n < 0 {
				add([]any{"targets", year}, "targets: %d titles of the level %q in %d: the levels are district, city and national", n, level, year)
			}
		}
	}
	if c.NATS.Replicas < 1 || c.NATS.Replicas > 5 {
		add([]any{"nats", "replicas"}, "nats: replicas must be 1 to 5")
	}
	for _, budget := range []struct {
		key   string
		value byteSize
	}{{"max_bytes", c.Journal.MaxBytes}, {"dead_letters_max_bytes", c.Journal.DeadLetters}} {
		if budget.value < minBudget {
			add([]any{"journal", budget.key}, "journal: %s is at least %s, for the largest entry must fit", budget.key, humanize.IBytes(minBudget))
		}
	}
	if c.Limits.MaxPayload > 4<<20 {
		add([]any{"limits", "max_payload"}, "limits: max_payload is at most 4MiB")
	}
	return errors.Join(all...)
}

// minBudget is the least disk budget of the journal and of the dead letters, bytes.
const minBudget = 64 << 20

func contains(s string, of ...string) bool {
	for _, o := range of {
		if s == o {
			return true
		}
	}
	return false
}

// secret reads a file that holds nothing but a secret; no name gives no secret.
func secret(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	s := strings.TrimSpace(string(data))
	if s == "" {
		return "", fmt.Errorf("%s is empty", name)
	}
	return s, nil
}

// config returns the TLS configuration; nil, the default one, if nothing is set.
func (c clientTLS) config() (*tls.Config, error) {
	if c == (clientTLS{}) {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		data, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, err
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("%s holds no certificate in PEM form", c.CAFile)
		}
	}
	if c.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, err
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

// config returns the TLS configuration of a server; nil, no TLS, if nothing is set.
func (c serverTLS) config() (*tls.Config, error) {
	if c.CertFile == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}, nil
}

// users reads the users of the broker in the process.
func (c brokerConfig) users() ([]ingest.User, error) {
	if c.UsersFile == "" {
		return nil, nil
	}
	data, err := os.ReadFile(c.UsersFile)
	if err != nil {
		return nil, err
	}
	var file struct {
		Users []ingest.User `yaml:"users"`
	}
	doc, err := strictyaml.Decode(c.UsersFile, data, &file)
	if err != nil {
		return nil, err
	}
	if len(file.Users) == 0 {
		return nil, doc.Errorf(nil, "no users")
	}
	var all []error
	names := map[string]bool{}
	for i, u := range file.Users {
		if err := u.Validate(); err != nil {
			all = append(all, doc.Errorf([]any{"users", i}, "%w", err))
		}
		if names[u.Username] {
			all = append(all, doc.Errorf([]any{"users", i, "username"}, "user %s is there twice", u.Username))
		}
		names[u.Username] = true
	}
	return file.Users, errors.Join(all...)
}
