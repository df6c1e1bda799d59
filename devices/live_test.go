package devices_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greentally"
	"greentally/devices"
	"greentally/internal/strictyaml"
)

// communities makes a folder of communities on disk.
func communities(t *testing.T, files map[string]string) (dir string, live *devices.Live) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		write(t, filepath.Join(dir, name), text)
	}
	live, err := devices.OpenLive(devices.Options{Communities: strictyaml.Dir(dir)})
	if err != nil {
		t.Fatal(err)
	}
	return dir, live
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
}

func readText(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func households(l *devices.Live) int {
	if c, ok := l.Current().Community("jiayuan"); ok {
		return c.Households
	}
	return 0
}

func TestReloadKeepsWhatIsInForce(t *testing.T) {
	dir, live := communities(t, map[string]string{"a.yaml": jiayuan})
	before := live.Current()

	write(t, filepath.Join(dir, "a.yaml"), strings.Replace(jiayuan, "households: 3100", "households: many", 1))
	if err := live.Reload(); err == nil || !strings.Contains(err.Error(), "a.yaml:3: ") {
		t.Errorf("got %v, want an error in line 3", err)
	}
	if live.Current() != before || live.Err() == nil {
		t.Errorf("the registry in force changed, or there is no error: %v", live.Err())
	}

	write(t, filepath.Join(dir, "a.yaml"), strings.Replace(jiayuan, "households: 3100", "households: 3101", 1))
	if err := live.Reload(); err != nil || live.Err() != nil || households(live) != 3101 {
		t.Errorf("after mending: %v, %v, %d households", err, live.Err(), households(live))
	}
}

// logged is a log that hands over its lines.
type logged chan string

func (l logged) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// wait waits for a line of the log, and then for the condition.
func (l logged) wait(t *testing.T, what, line string, is func() bool) {
	t.Helper()
	for {
		select {
		case got := <-l:
			if strings.Contains(got, line) && is() {
				return
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: it did not happen", what)
		}
	}
}

func TestWatch(t *testing.T) {
	dir, live := communities(t, map[string]string{"a.yaml": jiayuan})
	log := make(logged, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- live.Watch(ctx, slog.New(slog.NewTextHandler(log, nil))) }()
	log.wait(t, "the first reading", "registry read", func() bool { return true })

	file := filepath.Join(dir, "a.yaml")
	write(t, file, strings.Replace(jiayuan, "households: 3100", "households: 3101", 1))
	log.wait(t, "written in place", "registry read", func() bool { return households(live) == 3101 })

	// As editors do it: a new file takes the place of the old one.
	write(t, filepath.Join(dir, "a.yaml~"), strings.Replace(jiayuan, "households: 3100", "households: 3102", 1))
	if err := os.Rename(filepath.Join(dir, "a.yaml~"), file); err != nil {
		t.Fatal(err)
	}
	log.wait(t, "renamed over", "registry read", func() bool { return households(live) == 3102 })

	write(t, filepath.Join(dir, "b.yaml"), "community: lvyuan\nname: {en: Lvyuan}\nhouseholds: 1\nsites: []\ndevices: []\n")
	log.wait(t, "a file more", "registry read", func() bool { return len(live.Current().Communities()) == 2 })

	write(t, filepath.Join(dir, "b.yaml"), "community: lvyuan\n")
	log.wait(t, "a bad file", "stay in force", func() bool {
		return live.Err() != nil && len(live.Current().Communities()) == 2
	})

	if err := os.Remove(filepath.Join(dir, "b.yaml")); err != nil {
		t.Fatal(err)
	}
	log.wait(t, "a file less", "registry read", func() bool {
		return live.Err() == nil && len(live.Current().Communities()) == 1
	})

	cancel()
	if err := <-done; err != nil {
		t.Errorf("watching ended with %v", err)
	}
}

func newBin() greentally.Device {
	return greentally.Device{
		Community: "jiayuan", ID: "bin-new", Kind: "sorting_bin", Site: "s", Stream: greentally.Food,
		Name: greentally.Text{ZH: "新桶: 厨余", EN: "# new"}, Interval: greentally.Duration(5 * time.Minute),
		Limits: map[string]float64{"fill_ratio": 0.8},
	}
}

func TestAdoptLeavesTheRestOfTheFile(t *testing.T) {
	const head = "# The community of the seeds.\ncommunity: jiayuan   # never changes\nname: {en: Jiayuan}\nhouseholds: 3100\n"
	const sites = "sites:\n- {id: s,   type: gate}\n"
	const added = `- id: bin-new
  name:
    zh: '新桶: 厨余'
    en: '# new'
  kind: sorting_bin
  site: s
  stream: food
  interval: 5m0s
  limits:
    fill_ratio: 0.8
`
	indented := "  " + strings.ReplaceAll(strings.TrimSuffix(added, "\n"), "\n", "\n  ") + "\n"
	tests := map[string]struct{ before, after string }{
		"at the end": {
			head + sites + "devices:\n# the gate\n- id: box-1\n  kind:  battery_box # old\n  site: s\n",
			head + sites + "devices:\n# the gate\n- id: box-1\n  kind:  battery_box # old\n  site: s\n" + added,
		},
		"no line end at the end": {
			head + sites + "devices:\n- {id: box-1, kind: battery_box, site: s}",
			head + sites + "devices:\n- {id: box-1, kind: battery_box, site: s}\n" + added,
		},
		"indented, before other keys and their comments": {
			head + "devices:\n  - id: box-1\n    kind: battery_box\n    site: s\n    # its key is with the porter\n\n# Places.\n" + sites,
			head + "devices:\n  - id: box-1\n    kind: battery_box\n    site: s\n    # its key is with the porter\n" + indented + "\n# Places.\n" + sites,
		},
		"a text of several lines last": {
			head + sites + "devices:\n- id: box-1\n  kind: battery_box\n  site: s\n  name:\n    en: |\n      at the gate\n\n      # not a comment\n",
			head + sites + "devices:\n- id: box-1\n  kind: battery_box\n  site: s\n  name:\n    en: |\n      at the gate\n\n      # not a comment\n" + added,
		},
		"none yet":           {head + sites, head + sites + "devices:\n" + added},
		"an empty list":      {head + "devices: [] # none\n" + sites, head + "devices:  # none\n" + added + sites},
		"a key with nothing": {head + "devices:\n" + sites, head + "devices:\n" + added + sites},
		"lines as on Windows": {
			strings.ReplaceAll(head+sites+"devices:\n- {id: box-1, kind: battery_box, site: s}\n", "\n", "\r\n"),
			strings.ReplaceAll(head+sites+"devices:\n- {id: box-1, kind: battery_box, site: s}\n"+added, "\n", "\r\n"),
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir, live := communities(t, map[string]string{"a.yaml": tt.before})
			if err := live.Adopt(newBin()); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, "a.yaml")
			if got := readText(t, file); got != tt.after {
				t.Errorf("got\n%s\nwant\n%s", got, tt.after)
			}
			if d, ok := live.Current().Device(greentally.DeviceKey{Community: "jiayuan", Device: "bin-new"}); !ok || d.Name.ZH != "新桶: 厨余" {
				t.Errorf("in force is %+v, want the new device", d)
			}
			if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 {
				t.Errorf("the file's mode is %v (%v), want it as before", info.Mode(), err)
			}
			if entries, _ := os.ReadDir(dir); len(entries) != 1 {
				t.Errorf("%d files in the folder, want no other", len(entries))
			}
		})
	}
}

func TestAdoptRefuses(t *testing.T) {
	const file = "community: jiayuan\nname: {en: Jiayuan}\nhouseholds: 1\nsites: [{id: s, type: gate}]\n"
	const list = "devices:\n- {id: box-1, kind: battery_box, site: s}\n"
	tests := map[string]struct {
		before string
		change func(*greentally.Device)
		is     error
		want   string
	}{
		"a device that is there": {file + list, func(d *greentally.Device) { d.ID = "box-1" }, devices.ErrThere, "already: jiayuan/box-1 is in a.yaml"},
		"a name of two lines":    {file + list, func(d *greentally.Device) { d.Name.ZH = "a\n- id: b" }, devices.ErrInvalid, "cannot be printed"},
		"a name too long":        {file + list, func(d *greentally.Device) { d.Name.EN = strings.Repeat("x", 900_000) }, devices.ErrInvalid, "invalid device: name in English has 900000 characters; the most is 200"},
		"a site too long":        {file + list, func(d *greentally.Device) { d.Site = strings.Repeat("x", 900_000) }, devices.ErrInvalid, "invalid device: site has 900000 characters; the most is 200"},
		"an address of control":  {file + list, func(d *greentally.Device) { d.Address = "a\u009bb" }, devices.ErrInvalid, "invalid device: address has a character that cannot be printed"},
		"a gateway turned round": {file + list, func(d *greentally.Device) { d.Gateway = "a\u202eb" }, devices.ErrInvalid, "invalid device: gateway has a character that cannot be printed"},
		"too many facts": {file + list, func(d *greentally.Device) {
			d.Facts = map[string]float64{}
			for i := range 101 {
				d.Facts[fmt.Sprint("f", i)] = 1
			}
		}, devices.ErrInvalid, "there are 101 limits, registers or facts; the most is 100 of each"},
		"another community":   {file + list, func(d *greentally.Device) { d.Community = "x" }, devices.ErrInvalid, `no community "x"`},
		"what is not valid":   {file + list, func(d *greentally.Device) { d.Site = "x" }, devices.ErrInvalid, `invalid device: a.yaml:12: device bin-new: there is no site "x"`},
		"devices in one line": {file + "devices: [{id: box-1, kind: battery_box, site: s}]\n", func(*greentally.Device) {}, devices.ErrFile, "first: a.yaml:5: its devices are not written one below another"},
		"all in one line":     {"{community: jiayuan, name: {en: J}, households: 1, sites: [{id: s, type: gate}]}\n", func(*greentally.Device) {}, devices.ErrFile, "a.yaml"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir, live := communities(t, map[string]string{"a.yaml": tt.before})
			d := newBin()
			tt.change(&d)
			if err := live.Adopt(d); !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.want) || len(err.Error()) > 1000 {
				t.Errorf("got %.1000v, want in it %s", err, tt.want)
			}
			if got := readText(t, filepath.Join(dir, "a.yaml")); got != tt.before {
				t.Errorf("the file changed:\n%s", got)
			}
			if err := live.Err(); err != nil {
				t.Errorf("the registry has an error: %v", err)
			}
		})
	}
}

func TestAdoptRefusesWhileTheFolderIsNotValid(t *testing.T) {
	dir, live := communities(t, map[string]string{"a.yaml": jiayuan})
	write(t, filepath.Join(dir, "b.yaml"), "community: lvyuan\n")
	if err := live.Adopt(newBin()); !errors.Is(err, devices.ErrFile) || !strings.Contains(err.Error(), "b.yaml:1") {
		t.Errorf("got %v, want the error of b.yaml", err)
	}
	if got := readText(t, filepath.Join(dir, "a.yaml")); got != jiayuan {
		t.Errorf("the file changed:\n%s", got)
	}
}
