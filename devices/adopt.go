package devices

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"greentally"
	"greentally/internal/strictyaml"
	"greentally/internal/wholefile"
)

// Why a device is not adopted, by who can mend it.
var (
	ErrInvalid = greentally.TextErrorf("设备资料有误", "invalid device")                                 // who asks
	ErrThere   = greentally.TextErrorf("设备已登记", "the device is there already")                     // nobody
	ErrFile    = greentally.TextErrorf("须先修正登记文件", "the registry's files have to be mended first") // who keeps the files
)

// Adopt adds a device to the file of its community and takes the file into force. The
// rest of the file stays as it is, to the byte. The folder must be valid before and
// after, and be on disk; the device must be new. The error wraps [ErrInvalid], [ErrThere]
// or [ErrFile], unless the disk failed.
func (l *Live) Adopt(device greentally.Device) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.reload(); err != nil {
		return fmt.Errorf("%w: %w", ErrFile, err)
	}
	c := l.Current().community(device.Community)
	if c == nil {
		return fmt.Errorf("%w: %w", ErrInvalid, greentally.TextErrorf("没有社区 %q", "there is no community %q", device.Community))
	}
	if err := checkTexts(device); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if _, ok := l.Current().Device(device.Key()); ok {
		return fmt.Errorf("%w: %w", ErrThere, greentally.TextErrorf("%s 在 %s 中", "%s is in %s", device.Key(), filepath.Base(c.file)))
	}
	file, err := filepath.EvalSymlinks(filepath.FromSlash(c.file))
	if err != nil {
		return fmt.Errorf("adopt device %s: %w", device.Key(), err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("adopt device %s: %w", device.Key(), err)
	}
	name := filepath.Base(c.file)
	changed, err := appendDevice(name, data, device)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFile, err)
	}
	candidate := l.options
	candidate.Communities = candidate.Communities.With(name, changed)
	candidate.Communities.Name = "" // it is nobody's business where the files are
	if _, err := Load(candidate); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := replaceFile(file, changed); err != nil {
		return fmt.Errorf("adopt device %s: %w", device.Key(), err)
	}
	return l.reload()
}

// How long a text of an adopted device can be, in characters, and how many limits, registers and
// facts it can have.
const (
	mostText  = 200
	mostFacts = 100
)

// checkTexts reports which texts of a device are too long for a community's file, or cannot be
// printed. Whether they make sense is asked afterwards.
func checkTexts(d greentally.Device) error {
	var all []error
	line := func(zh, en, text string) {
		all = append(all, greentally.CheckText(greentally.Text{ZH: zh, EN: en}, text, mostText, false))
	}
	line("设备编号", "id", d.ID)
	line("中文名称", "name in Chinese", d.Name.ZH)
	line("英文名称", "name in English", d.Name.EN)
	line("设备类型", "kind", d.Kind)
	line("协议", "profile", d.Profile)
	line("地址", "address", d.Address)
	line("点位", "site", d.Site)
	line("类别", "stream", string(d.Stream))
	line("网关", "gateway", d.Gateway)
	if b := d.Baseline; b != nil {
		line("基准方案", "baseline.option", b.Option)
		line("基准随动", "baseline.follows", b.Follows)
	}
	if n := max(len(d.Limits), len(d.Registers), len(d.Facts)); n > mostFacts {
		return errors.Join(append(all, greentally.TextErrorf("限值、表码和参数各最多 %[2]d 个，现有 %[1]d 个", "there are %d limits, registers or facts; the most is %d of each", n, mostFacts))...)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Limits)) {
		line("限值名", "the name of a limit", name)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Registers)) {
		line("表码名", "the name of a register", name)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Facts)) {
		line("参数名", "the name of a fact", name)
	}
	return errors.Join(all...)
}

// errShape is the error for a file that text cannot simply be added to.
var errShape = greentally.TextErrorf("设备不是逐行登记的；请写成 devices: 后面每行一个短横线的列表",
	"its devices are not written one below another; write devices: and a list of lines that begin with a dash")

// appendDevice returns the community's file with the device after its last one.
func appendDevice(file string, data []byte, device greentally.Device) ([]byte, error) {
	var root yaml.Node
	if err := yaml.Load(data, &root); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(root.Content) != 1 || root.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s: %w", file, errShape)
	}
	top := root.Content[0].Content
	key := -1
	for i := 0; i < len(top); i += 2 {
		if top[i].Value == "devices" {
			key = i
		}
	}
	lines := strings.SplitAfter(string(data), "\n")
	if last := len(lines) - 1; lines[last] == "" {
		lines = lines[:last]
	} else {
		lines[last] += "\n"
	}
	end := "\n"
	if bytes.Contains(data, []byte("\r\n")) {
		end = "\r\n"
	}
	indent, place := 0, len(lines)
	if key < 0 {
		lines = append(lines, "devices:"+end)
		place++
	} else {
		if key+2 < len(top) {
			place = top[key+2].Line - 1
		}
		value := top[key+1]
		switch {
		case value.Kind == yaml.SequenceNode && value.Style&yaml.FlowStyle == 0 && len(value.Content) > 0:
			indent = value.Column - 1
		case value.Kind == yaml.SequenceNode && len(value.Content) == 0 && value.Line == top[key].Line:
			line := &lines[value.Line-1]
			*line = strings.Replace(*line, "[]", "", 1)
		case value.Kind != yaml.ScalarNode || value.Tag != "!!null" || value.Value != "":
			return nil, fmt.Errorf("%s:%d: %w", file, top[key].Line, errShape)
		}
		// What stands before the next key, or at the end, belongs to that.
		for place > top[key].Line && besides(lines[place-1], indent) {
			place--
		}
	}
	text, err := yaml.Dump([]greentally.Device{device})
	if err != nil {
		return nil, fmt.Errorf("write the device: %w", err)
	}
	var added []string
	for line := range strings.SplitSeq(strings.TrimSuffix(string(text), "\n"), "\n") {
		added = append(added, strings.Repeat(" ", indent)+line+end)
	}
	changed := []byte(strings.Join(slices.Insert(lines, place, added...), ""))
	return changed, onlyAdded(file, data, changed, device)
}

// besides reports whether a line is empty or a comment that is not indented deeper
// than the list's dashes.
func besides(line string, indent int) bool {
	text := strings.TrimSpace(line)
	return text == "" || text[0] == '#' && strings.IndexByte(line, '#') <= indent
}

// onlyAdded checks that the changed file says what the old one says, and the device.
func onlyAdded(file string, before, after []byte, device greentally.Device) error {
	var old, changed greentally.Community
	if _, err := strictyaml.Decode(file, before, &old); err != nil {
		return err
	}
	if _, err := strictyaml.Decode(file, after, &changed); err != nil {
		return err
	}
	old.Devices = append(old.Devices, &device)
	want, err := yaml.Dump(old)
	if err != nil {
		return err
	}
	got, err := yaml.Dump(changed)
	if err != nil {
		return err
	}
	if !bytes.Equal(want, got) {
		return fmt.Errorf("%s: %w", file, errShape)
	}
	return nil
}

// replaceFile replaces a file that is there in one step, and leaves its mode.
func replaceFile(path string, data []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return wholefile.Replace(path, data, info.Mode().Perm())
}
