package main

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"greentally"
	"greentally/devices"
)

// accept reports why a record says something that cannot be of what the registry has: of no
// community or device that there is, of a device of another kind than its type is about, of
// a register that the device does not have. Records that are kept already are not asked.
func accept(registry *devices.Registry, types func(string) (greentally.RecordType, bool), r greentally.Record) error {
	community, ok := registry.Community(r.Community)
	if !ok {
		return greentally.TextErrorf("没有社区 %q", "there is no community %q", r.Community)
	}
	if r.Device == "" {
		return nil
	}
	device, ok := registry.Device(greentally.DeviceKey{Community: r.Community, Device: r.Device})
	if !ok {
		return greentally.TextErrorf("社区 %s 没有设备 %q", "community %s has no device %q", r.Community, r.Device)
	}
	if t, ok := types(r.Type); ok && len(t.Kinds) > 0 && !slices.Contains(t.Kinds, device.Kind) {
		about := make([]greentally.Text, len(t.Kinds))
		for i, kind := range t.Kinds {
			about[i] = titled(registry, kind)
		}
		return greentally.TextErrorf("%s只能用于%s；%s 是%s", "a %s is about a %s; %s is a %s", greentally.Text{ZH: t.Title.In("zh"), EN: r.Type}, greentally.JoinTexts(about, "、", " or "), r.Device, titled(registry, device.Kind))
	}
	if r.Type != greentally.MeterReplaced {
		return nil
	}
	kind, _ := registry.Kind(device.Kind)
	var all []error
	for _, q := range kind.Quantities {
		_, end := r.Values[q.Name+"_end"]
		_, start := r.Values[q.Name+"_start"]
		if q.Nature == greentally.Register && end != start {
			all = append(all, greentally.TextErrorf("%s：请同时填写旧表止码 %[1]s_end 和新表起码 %[1]s_start", "%s: tell both %[1]s_end, what the old meter showed last, and %[1]s_start, what the new one showed first", q.Name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Values)) {
		register := strings.TrimSuffix(strings.TrimSuffix(name, "_end"), "_start")
		if q, ok := kind.Quantity(register); !ok || q.Nature != greentally.Register || register == name {
			all = append(all, greentally.TextErrorf("%s：数值名应为表码名加 _end 或 _start，而%[2]s没有表码 %[3]s", "%s: values are a register's name with _end or _start, and a %s has no register %s", name, titled(registry, kind.Name), register))
		}
	}
	if loc, ok := registry.Location(community.ID); ok && r.At != nil && greentally.DateOf(*r.At, loc) != r.Date {
		all = append(all, greentally.TextErrorf("时刻 %s 不在 %s（%s）", "at: %s is not on %s in %s", r.At.In(loc).Format("2006-01-02 15:04"), r.Date, community.TimeZone))
	}
	return errors.Join(all...)
}

// titled is what a kind is called in Chinese, and its name.
func titled(registry *devices.Registry, kind string) greentally.Text {
	called := greentally.Text{ZH: kind, EN: kind}
	if k, ok := registry.Kind(kind); ok {
		called.ZH = k.Title.In("zh")
	}
	return called
}
