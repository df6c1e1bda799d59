package schemes

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"greentally"
)

// Accept reports why the record cannot count for the item that it names, and what there is
// instead; nil if it names none. What it accepts is what [Set.Assess] takes.
func (s *Set) Accept(r greentally.Record) error {
	if r.Item == "" {
		return nil
	}
	if !strings.Contains(r.Item, "/") {
		return greentally.TextErrorf("条目 %q 应写成 标准/条目；标准有 %s", "item %q: name it as scheme/item; the schemes are %s", r.Item, strings.Join(s.Names(), ", "))
	}
	item, err := s.find(nil, r.Item)
	if err != nil {
		return fmt.Errorf("%w: %w", greentally.TextErrorf("条目 %q", "item %q", r.Item), err)
	}
	switch {
	case len(item.Evidence) == 0:
		on := strings.Join(item.Indicators, ", ")
		rests := greentally.Text{ZH: cmp.Or(on, "社区登记文件"), EN: cmp.Or(on, "the community's file")}
		return greentally.TextErrorf("条目 %s 不用记录证明，依据是%s", "item %s takes no records; it rests on %s", r.Item, rests)
	case !slices.Contains(item.Evidence, r.Type):
		return greentally.TextErrorf("条目 %s 不接受 %s，只接受 %s", "item %s takes no %s; it takes %s", r.Item, r.Type, strings.Join(item.Evidence, ", "))
	}
	var all []error
	for _, doubt := range item.doubts(r.Values) {
		all = append(all, greentally.TextErrorf("条目 %s：记录%s", "item %s: the record %s", r.Item, doubt))
	}
	return errors.Join(all...)
}

// find returns the item of the scheme, or of any if it is named as scheme/item.
func (s *Set) find(c *scheme, name string) (*Item, error) {
	if of, rest, ok := strings.Cut(name, "/"); ok {
		if c = s.named[of]; c == nil {
			return nil, greentally.TextErrorf("没有评价标准 %q；已有 %s", "there is no scheme %q; there are %s", of, strings.Join(s.Names(), ", "))
		}
		name = rest
	}
	i := slices.IndexFunc(c.Items, func(i Item) bool { return i.ID == name })
	if i < 0 {
		return nil, greentally.TextErrorf("评价标准 %s 没有条目 %q；已有 %s", "scheme %s has no item %q; there are %s", c.Name, name, strings.Join(c.everyItem(), ", "))
	}
	return &c.Items[i], nil
}

// everyItem returns the items of the scheme and its parts, as scheme/item.
func (c *scheme) everyItem() (names []string) {
	for i := range c.Items {
		names = append(names, c.Name+"/"+c.Items[i].ID)
	}
	for _, part := range c.parts {
		names = append(names, part.everyItem()...)
	}
	return names
}

// doubts says why the values are not what a record of the item says: nothing if they are.
func (i *Item) doubts(values greentally.Values) (all []greentally.Text) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if wrong := i.doubt(name, values[name]); wrong != (greentally.Text{}) {
			all = append(all, greentally.Textf("写的是 %s = %v，但%s", "says %s = %v, but %s", name, values[name], wrong))
		}
	}
	if len(all) > 0 {
		return all
	}
	switch i.Rule {
	case Deduction:
		if has(values, greentally.Met) && (values[greentally.Met] != 1 || len(values) > 1) {
			return []greentally.Text{greentally.Textf("须写明发现了哪些扣分项（%s），没有发现则只写 met: 1", "must say which faults were found, or only met: 1 if there were none; there are %s", i.faultIDs())}
		}
	case Judged:
		if !has(values, greentally.Points) {
			return []greentally.Text{greentally.Textf("没有评分，须写 points，0 到 %v", "gives no points; it must say points from 0 to %v", i.Points)}
		}
	default:
		if !has(values, greentally.Met) {
			return []greentally.Text{{ZH: "没有写明是否满足，须写 met: 1 或 met: 0", EN: "does not say whether it is met; it must say met: 1 or met: 0"}}
		}
	}
	return nil
}

// doubt says why a record of the item cannot have the value: nothing if it can.
func (i *Item) doubt(name string, value float64) greentally.Text {
	switch {
	case i.Rule == Deduction:
		return i.doubtCount(name, value)
	case i.Rule == Judged && !(name == greentally.Points && value >= 0 && value <= i.Points):
		return greentally.Textf("只能写 points，0 到 %v", "it can only say points from 0 to %v", i.Points)
	case i.Rule != Judged && !(name == greentally.Met && (value == 0 || value == 1)):
		return greentally.Text{ZH: "只能写 met: 1 或 met: 0", EN: "it can only say met: 1 or met: 0"}
	}
	return greentally.Text{}
}

// doubtCount is doubt for a count of faults.
func (i *Item) doubtCount(name string, value float64) greentally.Text {
	at := slices.IndexFunc(i.Faults, func(f Fault) bool { return f.ID == name })
	switch {
	case name == greentally.Met: // it stands for all of them
		return greentally.Text{}
	case at < 0:
		return greentally.Textf("本条目没有这个扣分项，只有 %s", "the item has no such fault; there are %s", i.faultIDs())
	case i.Faults[at].Each && !(value >= 0 && !math.IsInf(value, 0)):
		return greentally.Text{ZH: "须写次数", EN: "it is a count"}
	case !i.Faults[at].Each && value != 0 && value != 1:
		return greentally.Text{ZH: "只能是 1 或 0", EN: "it can only be 1 or 0"}
	}
	return greentally.Text{}
}

func (i *Item) faultIDs() greentally.Text {
	ids := make([]greentally.Text, len(i.Faults))
	for at := range i.Faults {
		ids[at] = greentally.Text{ZH: i.Faults[at].ID, EN: i.Faults[at].ID}
	}
	return greentally.JoinTexts(ids, "、", ", ")
}

func has(values greentally.Values, name string) bool {
	_, ok := values[name]
	return ok
}
