package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"greentally"
	"greentally/devices"
	"greentally/ingest"
	"greentally/internal/strictyaml"
)

// key is one key of the configuration.
type key struct {
	path     string // such as mqtt.tls.ca_file
	env      string // such as GREENTALLY_MQTT_TLS_CA_FILE
	index    []int  // of the field
	tag      reflect.StructTag
	fallback string // the documented default; empty if there is none
}

func (k key) of(c config) reflect.Value { return reflect.ValueOf(c).FieldByIndex(k.index) }

// document returns YAML that sets the key alone.
func (k key) document(value string) string {
	return strings.ReplaceAll(k.path, ".", ": {") + ": " + value + strings.Repeat("}", strings.Count(k.path, ".")) + "\n"
}

// isFile reports whether the key names a file or a folder.
func (k key) isFile() bool {
	return strings.HasSuffix(k.path, "_file") || slices.Contains([]string{"data_dir", "communities", "kinds", "profiles", "indicators"}, k.path)
}

var yamlName = regexp.MustCompile(`^([a-z][a-z0-9_]*)(,|$)`)

// allKeys returns all keys of the configuration, by reflection.
func allKeys(t *testing.T) []key {
	t.Helper()
	var all []key
	var walk func(typ reflect.Type, path, prefix string, index []int)
	walk = func(typ reflect.Type, path, prefix string, index []int) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			name := yamlName.FindStringSubmatch(f.Tag.Get("yaml"))
			if name == nil {
				t.Fatalf("%s.%s has no YAML key", typ, f.Name)
			}
			at := append(slices.Clone(index), i)
			if f.Type.Kind() == reflect.Struct {
				walk(f.Type, path+name[1]+".", prefix+f.Tag.Get("envPrefix"), at)
				continue
			}
			k := key{path: path + name[1], env: prefix + f.Tag.Get("env"), index: at, tag: f.Tag}
			for part := range strings.SplitSeq(f.Tag.Get("jsonschema"), ",") {
				if v, ok := strings.CutPrefix(part, "default="); ok {
					k.fallback = v
				}
			}
			all = append(all, k)
		}
	}
	walk(reflect.TypeFor[config](), "", "GREENTALLY_", nil)
	if len(all) < 30 {
		t.Fatalf("only %d keys found", len(all))
	}
	return all
}

// writeFile writes a file into a folder of its own and returns its name.
func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// Each file in testdata/bad says at the end of its lines what is wrong with them:
// exactly that is reported, all at once, with file and line.
func TestBadConfigurations(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for i, line := range strings.Split(string(data), "\n") {
				if _, reason, ok := strings.Cut(line, " # want: "); ok {
					want = append(want, fmt.Sprintf("%s:%d: %s", file, i+1, reason))
				}
			}
			if len(want) == 0 {
				t.Fatal("the file does not say what is wrong with it")
			}
			_, err = loadConfig(file, nil)
			if err == nil {
				t.Fatal("no error")
			}
			got := strings.Split(err.Error(), "\n")
			if got[0] != "configuration:" {
				t.Errorf("the error begins with %q", got[0])
			}
			got = got[1:]
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			for range 10 { // in the same order each time
				if _, again := loadConfig(file, nil); again.Error() != err.Error() {
					t.Fatalf("now\n%v\nand now\n%v", err, again)
				}
			}
		})
	}
}

func TestConfigurationThatIsNotThere(t *testing.T) {
	_, err := loadConfig(filepath.Join(t.TempDir(), "none.yaml"), nil)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("%v, want an error that names the file", err)
	}
}

// What a file does not say is the default, also where a key stands without a value.
func TestWhatIsLeftOutIsTheDefault(t *testing.T) {
	for name, text := range map[string]string{
		"an empty file":    "",
		"comments":         "# data_dir: data\n\n  # http:\n",
		"an empty mapping": "{}\n",
		"sections without keys": `log:
mqtt:
broker:
influxdb:
nats:
journal:
limits:
http:
`,
	} {
		file := writeFile(t, "greentally.yaml", text)
		got, err := loadConfig(file, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := defaultConfig()
		want.relativeTo(filepath.Dir(file))
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want the defaults", name, got)
		}
	}
	for _, k := range allKeys(t) {
		file := writeFile(t, "greentally.yaml", k.document(""))
		got, err := loadConfig(file, nil)
		if err != nil {
			t.Errorf("%s without a value: %v", k.path, err)
			continue
		}
		want := defaultConfig()
		want.relativeTo(filepath.Dir(file))
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s without a value: got %+v, want the default", k.path, k.of(got))
		}
	}
	got, err := loadConfig("", []string{"GREENTALLY_HTTP_LISTEN=", "OTHER=x"})
	if err != nil || !reflect.DeepEqual(got, defaultConfig()) {
		t.Errorf("neither file nor environment: got %+v, %v, want the defaults", got, err)
	}
}

// The defaults in force are those that the schema, and with it the documentation, tells.
func TestDefaultsAreTheDocumentedOnes(t *testing.T) {
	for _, k := range allKeys(t) {
		got := k.of(defaultConfig())
		if k.fallback == "" {
			if !got.IsZero() {
				t.Errorf("%s has the default %v, which its schema does not tell", k.path, got)
			}
			continue
		}
		var c config
		if _, err := strictyaml.Decode("default", []byte(k.document(k.fallback)), &c); err != nil {
			t.Errorf("%s: documented default: %v", k.path, err)
			continue
		}
		if want := k.of(c); !reflect.DeepEqual(got.Interface(), want.Interface()) {
			t.Errorf("%s has the default %v, documented is %s", k.path, got, k.fallback)
		}
	}
}

func TestDefaultsListenOnLoopbackOnly(t *testing.T) {
	c := defaultConfig()
	if err := c.check(nil); err != nil {
		t.Error(err)
	}
	for _, address := range []string{c.HTTP.Listen, c.Broker.Listen} {
		if !strings.HasPrefix(address, "127.0.0.1:") {
			t.Errorf("listens on %s", address)
		}
	}
}

func TestWhoMayListen(t *testing.T) {
	for _, tt := range []struct {
		name, yaml string
		ok         bool
	}{
		{"other names of this machine", `{http: {listen: "localhost:80"}, broker: {listen: "[::1]:1883"}}`, true},
		{"all of 127", `{http: {listen: "127.9.9.9:80"}}`, true},
		{"others, when there will be a token or a user", `{http: {listen: ":8080"}}`, true},
		{"others with users", `{broker: {listen: "0.0.0.0:1883", users_file: users.yaml}}`, true},
		{"a broker that does not run", `{mqtt: {urls: ["tcp://h:1883"]}, broker: {listen: "0.0.0.0:1883"}}`, true},
		{"a token is not for MQTT", `{broker: {listen: ":1883"}, http: {token_file: token}}`, false},
		{"a certificate is no credential", `{broker: {listen: ":1883", tls: {cert_file: c, key_file: k}}}`, false},
	} {
		if _, err := loadConfig(writeFile(t, "greentally.yaml", tt.yaml), nil); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	for _, tt := range []struct {
		http  httpConfig
		users bool
		ok    bool
	}{
		{httpConfig{Listen: "127.0.0.1:80"}, false, true}, {httpConfig{Listen: "[::1]:80"}, false, true}, {httpConfig{Listen: "localhost:80"}, false, true},
		{httpConfig{Listen: ":80", TokenFile: "token"}, false, true}, {httpConfig{Listen: "0.0.0.0:80"}, true, true},
		{httpConfig{Listen: ":80"}, false, false}, {httpConfig{Listen: "[::]:80"}, false, false}, {httpConfig{Listen: "green.example.org:80"}, false, false},
		{httpConfig{Listen: "0.0.0.0:80", WebConfigFile: "web.yml"}, false, false}, {httpConfig{Listen: "0.0.0.0:80", TrustedProxies: []string{"10.0.0.1"}}, false, false},
	} {
		err := tt.http.mayServe(tt.users)
		if (err == nil) != tt.ok {
			t.Errorf("%+v, users: %v: %v", tt.http, tt.users, err)
		}
		if !tt.ok {
			wantError(t, tt.http.Listen, err, "http.listen: "+tt.http.Listen, "http.token_file", "greentally user add NAME --role administrator")
		}
	}
}

// noVariable is what keys have whose value is more than a text.
const noVariable = "GREENTALLY_-"

// Each key can be overridden by the variable that its path makes.
func TestEnvironmentOverridesEveryKey(t *testing.T) {
	// The file says something else.
	file := writeFile(t, "greentally.yaml", "data_dir: other\n")
	plain, err := loadConfig(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	special := map[string]string{"log.level": "debug", "log.format": "json", "http.listen": "localhost:9", "alerting.digest": "30 7 * * *", "exports.schedule": "30 7 2 * *", "broker.listen": "localhost:9",
		"http.openid.issuer": "https://id.example.org", "http.openid.redirect_url": "https://g.example.org/login/openid/callback"}
	for _, k := range allKeys(t) {
		if k.env == noVariable {
			continue
		}
		if want := "GREENTALLY_" + strings.ToUpper(strings.ReplaceAll(k.path, ".", "_")); k.env != want {
			t.Errorf("%s has the variable %s, want %s", k.path, k.env, want)
		}
		value, want := "", any(nil)
		switch kind := k.of(defaultConfig()).Interface().(type) {
		case string:
			value = "x"
			if s, ok := special[k.path]; ok {
				value = s
			}
			want = value
		case []string:
			value, want = "tcp://a:1883,tcp://b:1883", []string{"tcp://a:1883", "tcp://b:1883"}
			if k.path == "http.trusted_proxies" {
				value, want = "10.0.0.0/8,::1", []string{"10.0.0.0/8", "::1"}
			}
		case int:
			value, want = "3", 3
		case *bool:
			no := false
			value, want = "false", &no
		case byteSize:
			value, want = "300MiB", byteSize(300<<20) // a budget
			if k.path == "limits.max_payload" {
				value, want = "3KiB", byteSize(3<<10)
			}
		case greentally.Duration:
			value, want = "1h30m", greentally.Duration(90*time.Minute)
		default:
			t.Fatalf("%s: no test for a %T", k.path, kind)
		}
		environment := []string{"GREENTALLY=y", k.env + "=" + value}
		if other, ok := strings.CutSuffix(k.env, "CERT_FILE"); ok {
			environment = append(environment, other+"KEY_FILE=y")
		}
		if other, ok := strings.CutSuffix(k.env, "KEY_FILE"); ok {
			environment = append(environment, other+"CERT_FILE=y")
		}
		if k.path == "http.openid.issuer" {
			environment = append(environment, "GREENTALLY_HTTP_OPENID_CLIENT_ID=y", "GREENTALLY_HTTP_OPENID_REDIRECT_URL=https://g.example.org/login/openid/callback")
		}
		got, err := loadConfig(file, environment)
		if err != nil {
			t.Errorf("%s=%s: %v", k.env, value, err)
			continue
		}
		if v := k.of(got).Interface(); !reflect.DeepEqual(v, want) {
			t.Errorf("%s=%s: %s is %v", k.env, value, k.path, v)
		}
		for _, o := range allKeys(t) {
			set := slices.ContainsFunc(environment, func(e string) bool { return strings.HasPrefix(e, o.env+"=") })
			if !set && !reflect.DeepEqual(o.of(got).Interface(), o.of(plain).Interface()) {
				t.Errorf("%s=%s also changed %s to %v", k.env, value, o.path, o.of(got))
			}
		}
	}
}

// A space after a comma is no part of what follows it.
func TestListsInTheEnvironment(t *testing.T) {
	c, err := loadConfig("", []string{"GREENTALLY_MQTT_URLS=tcp://a:1883, tcp://b:1883 ,\ttcp://c:1883", "GREENTALLY_MQTT_TOPICS= a b/# "})
	if want := []string{"tcp://a:1883", "tcp://b:1883", "tcp://c:1883"}; err != nil || !slices.Equal(c.MQTT.URLs, want) {
		t.Errorf("got %q, %v, want %q", c.MQTT.URLs, err, want)
	}
	if want := []string{"a b/#"}; !slices.Equal(c.MQTT.Topics, want) {
		t.Errorf("got %q, want %q", c.MQTT.Topics, want)
	}
}

func TestBadEnvironment(t *testing.T) {
	for _, tt := range []struct {
		environment []string
		want        []string // lines of the error, without the first
	}{
		{[]string{"GREENTALLY_JOURNAL_MAX_BYTES=plenty"}, []string{`GREENTALLY_JOURNAL_MAX_BYTES: "plenty" is not a size such as 64KiB or 2GiB`}},
		{[]string{"GREENTALLY_LIMITS_MAX_PAST=7d"}, []string{`GREENTALLY_LIMITS_MAX_PAST: "7d" is not a duration such as 10m or 1h30m`}},
		{
			[]string{"GREENTALLY_NATS_REPLICAS=two", "GREENTALLY_INFLUXDB_CREATE_BUCKETS=perhaps"},
			[]string{
				`GREENTALLY_INFLUXDB_CREATE_BUCKETS: strconv.ParseBool: parsing "perhaps": invalid syntax`,
				`GREENTALLY_NATS_REPLICAS: strconv.ParseInt: parsing "two": invalid syntax`,
			},
		},
		{[]string{"GREENTALLY_BROKER_MAX_CONNECTIONS=-1"}, []string{"broker.max_connections: -1 is not within 1 to 1000000"}},
		{[]string{"GREENTALLY_LOG_LEVEL=loud"}, []string{`log level "loud" is none of debug, info, warn, error`}},
		{
			[]string{"GREENTALLY_HTTP_TRUSTED_PROXIES=10.0.0.1, proxy", "GREENTALLY_BROKER_LISTEN=0.0.0.0:1883"},
			[]string{
				"broker: 0.0.0.0:1883 can be reached from other machines; set broker.users_file, or listen on 127.0.0.1",
				`http: trusted proxy "proxy" is neither an address nor a network such as 10.0.0.0/8`,
			},
		},
		{[]string{"GREENTALLY_MQTT_TLS_CERT_FILE=cert.pem"}, []string{"mqtt: cert_file and key_file go together"}},
	} {
		_, err := loadConfig("", tt.environment)
		if err == nil {
			t.Errorf("%v: no error", tt.environment)
			continue
		}
		if got := strings.Split(err.Error(), "\n"); !slices.Equal(got[1:], tt.want) || !strings.HasPrefix(got[0], "configuration") {
			t.Errorf("%v: got\n%s\nwant\n%s", tt.environment, err, strings.Join(tt.want, "\n"))
		}
	}
}

// Relative names in a file are relative to its folder, whatever the working folder;
// those in the environment and absolute ones are left alone.
func TestRelativeNames(t *testing.T) {
	var files []key
	parts := map[string]any{}
	for _, k := range allKeys(t) {
		if !k.isFile() {
			continue
		}
		files = append(files, k)
		at := parts
		steps := strings.Split(k.path, ".")
		for _, step := range steps[:len(steps)-1] {
			if at[step] == nil {
				at[step] = map[string]any{}
			}
			at = at[step].(map[string]any)
		}
		at[steps[len(steps)-1]] = "sub/" + strings.ReplaceAll(k.path, ".", "-")
	}
	if len(files) < 15 {
		t.Fatalf("only %d keys name files", len(files))
	}
	data, err := json.Marshal(parts) // JSON is YAML
	if err != nil {
		t.Fatal(err)
	}
	file := writeFile(t, "greentally.yaml", string(data))
	t.Chdir(t.TempDir())
	c, err := loadConfig(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range files {
		if got, want := k.of(c).String(), filepath.Join(filepath.Dir(file), "sub", strings.ReplaceAll(k.path, ".", "-")); got != want {
			t.Errorf("%s is %s, want %s", k.path, got, want)
		}
		if strings.HasSuffix(k.path, "cert_file") || strings.HasSuffix(k.path, "key_file") {
			continue // they go together; the loop above has seen them
		}
		if c, err := loadConfig(file, []string{k.env + "=here/x"}); err != nil || k.of(c).String() != "here/x" {
			t.Errorf("%s from the environment is %v, %v; want it as it is", k.path, k.of(c), err)
		}
		absolute := filepath.Join(t.TempDir(), "x")
		if c, err := loadConfig(writeFile(t, "greentally.yaml", k.document(absolute)), nil); err != nil || k.of(c).String() != absolute {
			t.Errorf("%s is %v, %v; want %s, which is absolute", k.path, k.of(c), err, absolute)
		}
	}
}

func TestValuesAreReadAsTheyAreWritten(t *testing.T) {
	c, err := loadConfig(writeFile(t, "greentally.yaml", `
mqtt:
  urls: [tls://a:8883, wss://b/mqtt]
  topics: ["a/+/up", "b/#"]
limits: {max_payload: 65537, max_future: 1h30m}
journal: {max_bytes: 1.5GiB, dead_letters_max_bytes: 100 MB, keep: 0s}
influxdb: {create_buckets: false, retention: 17520h}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := defaultConfig()
	no := false
	want.MQTT.URLs, want.MQTT.Topics = []string{"tls://a:8883", "wss://b/mqtt"}, []string{"a/+/up", "b/#"}
	want.Limits.MaxPayload, want.Limits.MaxFuture = 65537, greentally.Duration(90*time.Minute)
	want.Journal = journalConfig{MaxBytes: 3 << 29, DeadLetters: 100_000_000}
	want.InfluxDB.CreateBuckets, want.InfluxDB.Retention = &no, greentally.Duration(17520*time.Hour)
	want.DataDir, want.Communities = c.DataDir, c.Communities
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got\n%+v\nwant\n%+v", c, want)
	}
	for size, text := range map[byteSize]string{2 << 30: "2.0 GiB", 64 << 10: "64 KiB"} {
		written, err := size.MarshalText()
		if err != nil || string(written) != text {
			t.Errorf("%d is written %q, %v, want %q", size, written, err, text)
		}
		var again byteSize
		if err := again.UnmarshalText(written); err != nil || again != size {
			t.Errorf("%q is read as %d, %v, want %d", written, again, err, size)
		}
	}
}

func TestSecrets(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	for _, tt := range []struct {
		name, file, want string
		reason           string // part of the error; empty for none
	}{
		{"no name", "", "", ""},
		{"a secret", writeFile(t, "token", "s3cret"), "s3cret", ""},
		{"a line", writeFile(t, "token", "s3cret\n"), "s3cret", ""},
		{"a line from elsewhere", writeFile(t, "token", "s3 cret\r\n"), "s3 cret", ""},
		{"a missing file", missing, "", missing},
		{"an empty file", writeFile(t, "empty-token", ""), "", "empty-token is empty"},
		{"a blank file", writeFile(t, "blank-token", " \n\n"), "", "blank-token is empty"},
		{"a folder", t.TempDir(), "", "is a directory"},
	} {
		got, err := secret(tt.file)
		if got != tt.want || (err != nil) != (tt.reason != "") || err != nil && !strings.Contains(err.Error(), tt.reason) {
			t.Errorf("%s: got %q, %v; want %q, error %q", tt.name, got, err, tt.want, tt.reason)
		}
	}
}

// A secret that cannot be read stops the program, and the error says which key names it.
func TestSecretsThatCannotBeRead(t *testing.T) {
	empty := writeFile(t, "empty", "")
	_, err := config{MQTT: mqttConfig{PasswordFile: empty}}.subscriberConfig(nil)
	if err == nil || !strings.Contains(err.Error(), "mqtt.password_file: ") {
		t.Errorf("subscriber: %v", err)
	}
	c := defaultConfig()
	c.InfluxDB.URL, c.InfluxDB.TokenFile = "http://127.0.0.1:1", empty
	if _, err = openStore(t.Context(), c, nil); err == nil || !strings.Contains(err.Error(), "influxdb.token_file: ") {
		t.Errorf("store: %v", err)
	}
	c.InfluxDB.TokenFile, c.InfluxDB.TLS.CAFile = "", writeFile(t, "ca.pem", "no certificate")
	if _, err = openStore(t.Context(), c, nil); err == nil || !strings.Contains(err.Error(), "influxdb.tls: ") || !strings.Contains(err.Error(), "ca.pem holds no certificate in PEM form") {
		t.Errorf("store: %v", err)
	}
}

// certificate writes a certificate that signs itself, and its key.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, data []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}))
	}
	return writeFile(t, "cert.pem", block("CERTIFICATE", cert)), writeFile(t, "key.pem", block("PRIVATE KEY", private))
}

// A client that trusts the certificate and bears one of its own speaks with a server
// that shows it.
func TestTLS(t *testing.T) {
	certFile, keyFile := certificate(t)
	server, err := serverTLS{CertFile: certFile, KeyFile: keyFile}.config()
	if err != nil {
		t.Fatal(err)
	}
	client, err := clientTLS{CAFile: certFile, CertFile: certFile, KeyFile: keyFile}.config()
	if err != nil {
		t.Fatal(err)
	}
	server.ClientAuth = tls.RequireAnyClientCert
	listener, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.(*tls.Conn).HandshakeContext(t.Context()) // the client sees whether it works
			_, _ = conn.Write([]byte("hello"))
			_ = conn.Close()
		}
	}()
	dial := func(config *tls.Config) error {
		dialer := &tls.Dialer{Config: config}
		conn, err := dialer.DialContext(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		_, err = conn.Read(make([]byte, 5))
		return err
	}
	if err := dial(client); err != nil {
		t.Errorf("with both certificates: %v", err)
	}
	client.Certificates = nil
	if err := dial(client); err == nil {
		t.Error("the client's certificate made no difference")
	}
	var unknown x509.UnknownAuthorityError
	if err := dial(nil); !errors.As(err, &unknown) {
		t.Errorf("without the certificate to trust: %v", err)
	}

	if c, err := (clientTLS{}).config(); c != nil || err != nil {
		t.Errorf("nothing set: %v, %v, want Go's defaults", c, err)
	}
	if c, err := (serverTLS{}).config(); c != nil || err != nil {
		t.Errorf("nothing set: %v, %v, want no TLS", c, err)
	}
	for name, load := range map[string]func() (*tls.Config, error){
		"no file to trust":   clientTLS{CAFile: certFile + "x"}.config,
		"a key that is none": clientTLS{CertFile: certFile, KeyFile: certFile}.config, "a missing key": serverTLS{CertFile: certFile, KeyFile: keyFile + "x"}.config,
	} {
		if c, err := load(); c != nil || err == nil {
			t.Errorf("%s: %v, %v, want an error", name, c, err)
		}
	}
}

func TestTheSubscribersConfiguration(t *testing.T) {
	c := config{DataDir: t.TempDir(), MQTT: mqttConfig{
		URLs: []string{"tcp://a:1883", "tcp://b:1883"}, Username: "u", PasswordFile: writeFile(t, "password", "s3cret\n"), Group: "g",
	}}
	filters := []string{"greentally/v1/+/+/readings"}
	got, err := c.subscriberConfig(filters)
	if err != nil {
		t.Fatal(err)
	}
	want := ingest.SubscriberConfig{URLs: c.MQTT.URLs, ClientID: got.ClientID, Username: "u", Password: "s3cret", Topics: filters, Group: "g"}
	if !reflect.DeepEqual(got, want) || got.ClientID == "" {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if again, err := c.subscriberConfig(filters); err != nil || again.ClientID != got.ClientID {
		t.Errorf("the client ID was %s, and is %s, %v", got.ClientID, again.ClientID, err)
	}
	c.MQTT.Topics, c.MQTT.ClientID = []string{"own/#"}, "me"
	if got, err = c.subscriberConfig(filters); err != nil || got.ClientID != "me" || !slices.Equal(got.Topics, c.MQTT.Topics) {
		t.Errorf("got %+v, %v, want what is configured", got, err)
	}
}

// A value that is missing has no sample; it is not 0, nor what it was before.
func TestMetricsOfIndicators(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	m := newMetrics(registry, func() bool { return false })
	half := 0.5
	value := greentally.IndicatorValue{Community: "c", Month: greentally.Month{Year: 2026, Month: time.October}, Indicator: "rate", Value: &half, Completeness: 1}
	samples := func() map[string]float64 {
		t.Helper()
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]float64{}
		for _, family := range families {
			for _, sample := range family.GetMetric() {
				if sample.GetGauge() != nil {
					found[family.GetName()] = sample.GetGauge().GetValue()
				}
			}
		}
		return found
	}
	m.computed([]greentally.IndicatorValue{value})
	if got, want := samples(), map[string]float64{"greentally_indicator": 0.5, "greentally_indicator_estimated_ratio": 0, "greentally_indicator_completeness_ratio": 1, "greentally_registry_valid": 0}; !maps.Equal(got, want) {
		t.Errorf("samples %v, want %v", got, want)
	}
	value.Value, value.Completeness = nil, 0.25
	m.computed([]greentally.IndicatorValue{value})
	if got, want := samples(), map[string]float64{"greentally_indicator_completeness_ratio": 0.25, "greentally_registry_valid": 0}; !maps.Equal(got, want) {
		t.Errorf("samples of a missing value %v, want %v", got, want)
	}
}

func TestTheClientIDIsKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mqtt-client-id")
	first, err := keptClientID(file)
	if err != nil {
		t.Fatal(err)
	}
	again, err := keptClientID(file)
	if err != nil || again != first {
		t.Errorf("first %q, then %q, %v: the broker would keep a session for nobody", first, again, err)
	}
	if other, err := keptClientID(filepath.Join(t.TempDir(), "id")); err != nil || other == first || !regexp.MustCompile(`^greentally-[a-z0-9]{10}$`).MatchString(first) {
		t.Errorf("IDs %q and %q, %v; want two that differ, with at most 23 letters", first, other, err)
	}
}

func TestBrokerUsers(t *testing.T) {
	const hash = "$2a$04$0123456789012345678901234567890123456789012345678901e" // only its form matters
	for _, tt := range []struct {
		name, yaml string
		want       []string // lines of the error, without the file; none if it is right
	}{
		{"right", "users:\n- {username: jiayuan/bin-1, password_bcrypt: " + hash + "}\n- {username: reader, password_bcrypt: " + hash + ", publish: [], subscribe: ['#']}\n", nil},
		{"no users", "users: []\n", []string{":1: no users"}},
		{"an unknown key", "users:\n- username: a\n  password: b\n", []string{`:3: unknown key "password"`}},
		{
			"two of one name", "users:\n- {username: a, password_bcrypt: " + hash + "}\n- password_bcrypt: " + hash + "\n  username: a\n",
			[]string{":4: user a is there twice"},
		},
		{
			"all at once", "users:\n- {username: a, password_bcrypt: secret}\n- {username: 'a/#', password_bcrypt: " + hash + "}\n",
			[]string{":2: password_bcrypt of a is not a bcrypt hash; make one with: greentally hash-password", `:3: username "a/#" is empty or has + or # in it`},
		},
	} {
		file := writeFile(t, "users.yaml", tt.yaml)
		users, err := brokerConfig{UsersFile: file}.users()
		if tt.want == nil {
			if err != nil || len(users) != 2 || users[0].Publish != nil || users[1].Publish == nil {
				t.Errorf("%s: %+v, %v; want two users, the second of whom may publish nothing", tt.name, users, err)
			}
			continue
		}
		for i := range tt.want {
			tt.want[i] = file + tt.want[i]
		}
		if err == nil || err.Error() != strings.Join(tt.want, "\n") {
			t.Errorf("%s: got\n%v\nwant\n%s", tt.name, err, strings.Join(tt.want, "\n"))
		}
	}
	if users, err := (brokerConfig{}).users(); users != nil || err != nil {
		t.Errorf("without a file: %v, %v", users, err)
	}
	if _, err := (brokerConfig{UsersFile: filepath.Join(t.TempDir(), "none")}).users(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// The documentation lists every key by its path and by its variable, with its default.
func TestEveryKeyIsDocumented(t *testing.T) {
	data, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(data)
	for _, k := range allKeys(t) {
		for _, want := range []string{k.path, k.env} {
			if want != noVariable && !strings.Contains(doc, "`"+want+"`") {
				t.Errorf("docs/configuration.md does not mention `%s`", want)
			}
		}
	}
	known := map[string]bool{}
	for _, k := range allKeys(t) {
		known[k.env] = true
	}
	for _, found := range regexp.MustCompile("`(GREENTALLY_[A-Z0-9_]+)`").FindAllStringSubmatch(doc, -1) {
		if !known[found[1]] {
			t.Errorf("docs/configuration.md mentions %s, which there is not", found[1])
		}
	}
}

// node is the part of a JSON Schema that the tests look at.
type node struct {
	Ref                  string           `json:"$ref"`
	Defs                 map[string]*node `json:"$defs"`
	Type                 string           `json:"type"`
	Pattern              string           `json:"pattern"`
	Properties           map[string]*node `json:"properties"`
	Required             []string         `json:"required"`
	Items                *node            `json:"items"`
	AdditionalProperties json.RawMessage  `json:"additionalProperties"`
}

func TestSchemas(t *testing.T) {
	types := map[string]reflect.Type{
		"config": reflect.TypeFor[config](), "community": reflect.TypeFor[greentally.Community](),
		"kind": reflect.TypeFor[devices.KindFile](), "profile": reflect.TypeFor[devices.Profile](),
	}
	if got, want := slices.Sorted(maps.Keys(schemas())), slices.Sorted(maps.Keys(types)); !slices.Equal(got, want) {
		t.Errorf("there are schemas of %v, want %v", got, want)
	}
	dir := filepath.Join(t.TempDir(), "docs", "schema") // it is made
	if out, err := cli(t, "schema", "--dir", dir); err != nil || out != "" {
		t.Errorf("schema --dir: %q, %v", out, err)
	}
	for name, typ := range types {
		t.Run(name, func(t *testing.T) {
			out, err := cli(t, "schema", name)
			if err != nil {
				t.Fatal(err)
			}
			if data, err := os.ReadFile(filepath.Join(dir, name+".schema.json")); err != nil || string(data) != out {
				t.Errorf("schema --dir wrote something else than schema %s prints: %v", name, err)
			}
			committed, err := os.ReadFile("../../docs/schema/" + name + ".schema.json")
			if err != nil || string(committed) != out {
				t.Errorf("docs/schema/%s.schema.json is not up to date (%v); run: make schemas", name, err)
			}
			var root node
			if err := json.Unmarshal([]byte(out), &root); err != nil {
				t.Fatal(err)
			}
			s := schemaOf{t, &root}
			s.compare(&root, typ, name)
		})
	}
}

type schemaOf struct {
	t    *testing.T
	root *node
}

// compare checks that the schema n lists each key of files of the type, and no other.
func (s schemaOf) compare(n *node, typ reflect.Type, path string) {
	s.t.Helper()
	if n == nil {
		s.t.Errorf("%s is not in the schema", path)
		return
	}
	if n.Ref != "" {
		name := strings.TrimPrefix(n.Ref, "#/$defs/")
		if n = s.root.Defs[name]; n == nil {
			s.t.Errorf("%s refers to %s, which is not there", path, name)
			return
		}
	}
	if _, err := regexp.Compile(n.Pattern); err != nil {
		s.t.Errorf("%s: %v", path, err)
	}
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	want := map[reflect.Kind]string{
		reflect.Struct: "object", reflect.Map: "object", reflect.Slice: "array", reflect.String: "string", reflect.Bool: "boolean",
		reflect.Int: "integer", reflect.Float64: "number",
	}[typ.Kind()]
	if reflect.PointerTo(typ).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		want = "string"
	}
	if n.Type != want && typ.Kind() != reflect.Interface {
		s.t.Errorf("%s is a %q in the schema, want %q", path, n.Type, want)
	}
	switch {
	case want == "array":
		s.compare(n.Items, typ.Elem(), path+"[]")
	case typ.Kind() == reflect.Struct && want == "object":
		if string(n.AdditionalProperties) != "false" {
			s.t.Errorf("%s: additionalProperties is %q, want false", path, n.AdditionalProperties)
		}
		keys, required := map[string]reflect.Type{}, []string{}
		yamlKeys(s.t, typ, keys, &required)
		for name, of := range keys {
			s.compare(n.Properties[name], of, path+"."+name)
		}
		for name := range n.Properties {
			if keys[name] == nil {
				s.t.Errorf("%s.%s is in the schema, but not a key", path, name)
			}
		}
		slices.Sort(required)
		if got := slices.Sorted(slices.Values(n.Required)); !slices.Equal(got, required) {
			s.t.Errorf("%s requires %v, want %v", path, got, required)
		}
	}
}

// yamlKeys adds the keys of a struct, and those that cannot be left out.
func yamlKeys(t *testing.T, typ reflect.Type, keys map[string]reflect.Type, required *[]string) {
	t.Helper()
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case options == "inline":
			yamlKeys(t, f.Type, keys, required)
			continue
		case name == "-" || !f.IsExported():
			continue
		case name == "":
			t.Fatalf("%s.%s has no YAML key", typ, f.Name)
		}
		keys[name] = f.Type
		if options != "omitempty" {
			*required = append(*required, name)
		}
	}
}

// The patterns in the schemas take what the program takes.
func TestPatternsOfSchemas(t *testing.T) {
	for name, data := range map[string]string{"community": "bin-1_A", "kind": "sorting_bin"} {
		out, err := cli(t, "schema", name)
		if err != nil {
			t.Fatal(err)
		}
		var root node
		if err := json.Unmarshal([]byte(out), &root); err != nil {
			t.Fatal(err)
		}
		pattern := root.Defs[strings.TrimPrefix(root.Ref, "#/$defs/")].Properties[name].Pattern
		if !regexp.MustCompile(pattern).MatchString(data) || regexp.MustCompile(pattern).MatchString("bin 1") {
			t.Errorf("pattern %q of a %s does not tell %q from \"bin 1\"", pattern, name, data)
		}
	}
	duration := devices.SchemaOfText(reflect.TypeFor[greentally.Duration]()).Pattern
	for text, ok := range map[string]bool{"10m": true, "1h30m": true, "0.5s": true, "17520h": true, "7d": false, "10": false, "": false} {
		if regexp.MustCompile(duration).MatchString(text) != ok {
			t.Errorf("the pattern of a duration takes %q: %v", text, !ok)
		}
	}
}
