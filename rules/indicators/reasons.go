package indicators

import (
	"cmp"
	"slices"
	"strings"

	"greentally"
)

// What an input can lack, said for who is to mend it: a record, a device or an alert with
// its title, and with its ID where that is needed to add one.

// noRecord says that no record in so many months counts.
func noRecord(what greentally.Text, month greentally.Month, months int) greentally.Text {
	if months > 1 {
		return greentally.Textf("截至 %[3]s 的 %[2]d 个月没有可用的记录：%[1]s", "no usable record in the %[2]d months to %[3]s: %[1]s", what, months, month)
	}
	return greentally.Textf("%[2]s 没有可用的记录：%[1]s", "no usable record in %[2]s: %[1]s", what, month)
}

// noRecordOf says that no record of the stream counts.
func noRecordOf(stream greentally.Stream, what greentally.Text, month greentally.Month) greentally.Text {
	if stream == "" {
		return noRecord(what, month, 1)
	}
	return greentally.Textf("%[3]s 没有%[1]s的可用记录：%[2]s", "no usable record of %[1]s in %[3]s: %[2]s", stream.Title(), what, month)
}

func noDevice(what greentally.Text) greentally.Text {
	return greentally.Textf("没有可计入的设备：%s", "no device that counts: %s", what)
}

func noDays(devices int, kind greentally.Text) greentally.Text {
	return greentally.Textf("没有可计入的设备日：%[2]s %[1]d 台", "no device-day that counts: %[1]d × %[2]s", devices, kind)
}

func noAlert(title greentally.Text, month greentally.Month) greentally.Text {
	return greentally.Textf("%[2]s 没有告警：%[1]s", "no alert in %[2]s: %[1]s", title, month)
}

// noFactor says that the factor, or the part of it, was not published by the day.
func noFactor(f *greentally.Factor, of string, day greentally.Date) greentally.Text {
	what := f.Title
	if of != "" {
		what = what.WithID(of)
	}
	return greentally.Textf("截至 %[2]s 没有公布的数值：%[1]s", "no value published by %[2]s: %[1]s", what, day)
}

// meant says which devices or records the input is over: their title and ID, the values that
// not each of these records has, and the condition.
func (in *compiled) meant() greentally.Text {
	what := in.title.WithID(cmp.Or(in.Kind, in.Record))
	var values []greentally.Text
	for _, v := range in.values {
		if v.Optional && slices.Contains(in.needs, v.Name) {
			values = append(values, v.Title)
		}
	}
	if len(values) > 0 {
		what = greentally.Textf("%s，须有%s", "%s with %s", what, greentally.JoinTexts(values, "、", " and "))
	}
	if in.Where != "" {
		what = greentally.Textf("%s，条件 %s", "%s where %s", what, strings.Join(strings.Fields(in.Where), " "))
	}
	return what
}

// because joins reasons, each of them once.
func because(reasons []greentally.Text) greentally.Text {
	var once []greentally.Text
	for _, r := range reasons {
		if !slices.Contains(once, r) {
			once = append(once, r)
		}
	}
	return greentally.JoinTexts(once, "；", "; ")
}
