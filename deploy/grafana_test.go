package deploy

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// TestGrafana holds what Grafana is provisioned with against the dashboards, and against what docker-compose.yml gives
// Grafana. Keys that Grafana's documentation does not have are errors here, as they would be ignored there.
func TestGrafana(t *testing.T) {
	dir := checkout(t)
	compose := project(t, dir, false)
	grafana, err := compose.GetService("grafana")
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string, into any) string {
		text := readFile(t, filepath.Join(dir, "dashboards/provisioning", name))
		loader, err := yaml.NewLoader(strings.NewReader(text), yaml.WithKnownFields())
		if err != nil {
			t.Fatal(err)
		}
		if err := loader.Load(into); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return text
	}
	var sources struct {
		APIVersion  int `yaml:"apiVersion"`
		Datasources []struct {
			Name, UID, Type, Access, URL, User, Database string
			JSONData                                     struct {
				DBName       string `yaml:"dbName"`
				HTTPMode     string `yaml:"httpMode"`
				HTTPMethod   string `yaml:"httpMethod"`
				Version      string `yaml:"version"`
				TimeInterval string `yaml:"timeInterval"`
			} `yaml:"jsonData"`
			SecureJSONData struct{ Password string } `yaml:"secureJsonData"`
			Editable       bool
		}
	}
	var providers struct {
		APIVersion int `yaml:"apiVersion"`
		Providers  []struct {
			Name, Folder, Type    string
			FolderUID             string `yaml:"folderUid"`
			DisableDeletion       bool   `yaml:"disableDeletion"`
			AllowUIUpdates        bool   `yaml:"allowUiUpdates"`
			UpdateIntervalSeconds int    `yaml:"updateIntervalSeconds"`
			Options               struct{ Path string }
		}
	}
	text := read("datasources/greentally.yaml", &sources) + read("dashboards/greentally.yaml", &providers)

	provisioned := map[string]string{}
	for _, s := range sources.Datasources {
		provisioned[s.UID] = s.Type
		if s.Access != "proxy" || s.Database != s.JSONData.DBName {
			t.Errorf("%s: access %s, database %s and %s", s.Name, s.Access, s.Database, s.JSONData.DBName)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "dashboards/*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards (%v)", err)
	}
	asked := map[string]string{}
	for _, file := range files {
		for _, m := range regexp.MustCompile(`"type": "(\w+)",\s*"uid": "(greentally-[\w-]+)"`).FindAllStringSubmatch(readFile(t, file), -1) {
			asked[m[2]] = m[1]
		}
	}
	if !maps.Equal(asked, provisioned) {
		t.Errorf("dashboards ask %v, provisioned are %v", asked, provisioned)
	}

	set := func(name string) string {
		if value := grafana.Environment[name]; value != nil {
			return *value
		}
		return ""
	}
	for _, m := range regexp.MustCompile(`(?m)\$([A-Z][A-Z_]+)|\$__file\{/run/secrets/(\w+)\}`).FindAllStringSubmatch(text, -1) {
		if m[1] != "" && set(m[1]) == "" {
			t.Errorf("provisioning needs %s, which Grafana's environment does not have", m[1])
		}
	}
	home := set("GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH")
	if len(providers.Providers) != 1 || providers.Providers[0].Options.Path != "$GREENTALLY_DASHBOARDS" {
		t.Errorf("dashboards are looked for in %+v", providers.Providers)
	}
	mounted := false
	for _, v := range grafana.Volumes {
		if v.Target == set("GREENTALLY_DASHBOARDS") {
			mounted = true
			if _, err := os.Stat(filepath.Join(v.Source, strings.TrimPrefix(home, v.Target))); err != nil {
				t.Errorf("the home dashboard: %v", err)
			}
		}
	}
	if !mounted || !strings.HasPrefix(home, set("GREENTALLY_DASHBOARDS")+"/") {
		t.Errorf("dashboards are in %q, home is %q, mounted is %v", set("GREENTALLY_DASHBOARDS"), home, mounted)
	}
	services := compose.ServiceNames()
	for _, name := range []string{"INFLUXDB_URL", "PROMETHEUS_URL"} {
		host := regexp.MustCompile(`^http://(\w+):\d+$`).FindStringSubmatch(set(name))
		if host == nil || !slices.Contains(services, host[1]) {
			t.Errorf("%s is %q", name, set(name))
		}
	}
	if m := regexp.MustCompile(`--username (\w+)`).FindStringSubmatch(readFile(t, "influxdb/setup.sh")); m == nil || m[1] != sources.Datasources[0].User {
		t.Errorf("setup.sh makes the user %v, Grafana is %s", m, sources.Datasources[0].User)
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
