package records

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"

	"greentally"
	"greentally/internal/expression"
	"greentally/internal/strictyaml"
)

//go:embed types/*.yaml
var shipped embed.FS

// Shipped returns the types that are shipped.
func Shipped() strictyaml.Folder {
	folder, err := fs.Sub(shipped, "types")
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return strictyaml.Folder{Name: "records/types", FS: folder}
}

// typeFile is the form of a type's file.
type typeFile struct {
	greentally.RecordType `yaml:",inline"`
	Tests                 []typeTest `yaml:"tests"`
}

// typeTest is a record, and what is said against it; nothing if Refuse is empty.
type typeTest struct {
	Name   string     `yaml:"name"`
	Record testRecord `yaml:"record"`
	Refuse string     `yaml:"refuse,omitempty"` // a part of the reason
}

// testRecord is a record of 2026-10-08, by somebody, of a community.
type testRecord struct {
	Until  *greentally.Date   `yaml:"until,omitempty"`
	At     *time.Time         `yaml:"at,omitempty"`
	End    *time.Time         `yaml:"end,omitempty"`
	Stream greentally.Stream  `yaml:"stream,omitempty"`
	Device string             `yaml:"device,omitempty"`
	Item   string             `yaml:"item,omitempty"`
	Values map[string]float64 `yaml:"values,omitempty"`
	Texts  map[string]string  `yaml:"texts,omitempty"`
}

// Types are the types of records.
type Types struct{ byName map[string]*recordType }

type recordType struct {
	typeFile
	doc    *strictyaml.Doc
	checks []*vm.Program
}

// fields says which of the fields that a type can need the record has.
func fields(r greentally.Record) map[string]bool {
	return map[string]bool{"until": r.Until != nil, "at": r.At != nil, "end": r.End != nil,
		"stream": r.Stream != "", "device": r.Device != "", "item": r.Item != ""}
}

// LoadTypes reads the types in the folders. The error joins all that is wrong with any of
// the files, each with file and line.
func LoadTypes(folders ...strictyaml.Folder) (*Types, error) {
	t := &Types{byName: map[string]*recordType{}}
	var all []error
	for _, folder := range folders {
		names, contents, err := folder.Files()
		all = append(all, err)
		for _, name := range names {
			one, err := parseType(name, contents[name])
			if err == nil && t.byName[one.Name] != nil {
				err = one.doc.Errorf([]any{"type"}, "there is a type %s already", one.Name)
			}
			if err != nil {
				all = append(all, err)
				continue
			}
			t.byName[one.Name] = one
		}
	}
	if err := errors.Join(all...); err != nil {
		return nil, err
	}
	return t, nil
}

func parseType(name string, data []byte) (*recordType, error) {
	t := &recordType{}
	doc, err := strictyaml.Decode(name, data, &t.typeFile)
	if err != nil {
		return nil, err
	}
	t.doc = doc
	var all []error
	add := func(path []any, format string, args ...any) { all = append(all, doc.Errorf(path, format, args...)) }
	if !typeName.MatchString(t.Name) || t.Name+".yaml" != path.Base(name) {
		add([]any{"type"}, "the file must be called %s.yaml after its type", t.Name)
	}
	if t.Title.ZH == "" || t.Title.EN == "" {
		add([]any{"title"}, "title needs zh and en")
	}
	known := fields(greentally.Record{})
	for i, need := range t.Needs {
		if _, ok := known[need]; !ok {
			add([]any{"needs", i}, "there is no field %q; there are %s", need, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
	}
	env := map[string]any{}
	for i, v := range t.Values {
		if _, twice := env[v.Name]; twice || !typeName.MatchString(v.Name) {
			add([]any{"values", i, "name"}, "the value %q is there twice, or its name is not one such as sample_kg", v.Name)
		}
		env[v.Name] = 0.0
	}
	t.checkNames(add)
	for i, text := range t.Checks {
		program, err := expression.CompileWith(text, nil, expr.Env(env), expr.AsBool())
		if err != nil {
			add([]any{"checks", i}, "%w", err)
		}
		t.checks = append(t.checks, program)
	}
	if len(t.Tests) == 0 {
		add(nil, "there are no tests in it")
	}
	return t, errors.Join(all...)
}

// checkNames reports what tables of records of the type could not tell apart.
func (t *recordType) checkNames(add func(path []any, format string, args ...any)) {
	texts, words := map[string]bool{}, map[string]bool{}
	for i, v := range t.Values {
		if words[v.Title.ZH] || columnNamed(v.Title.ZH) != nil || columnNamed(v.Name) != nil {
			add([]any{"values", i}, "the value %q has the name or the title of another, or of a field of every record", v.Name)
		}
		words[v.Name], words[v.Title.ZH] = true, v.Title.ZH != ""
	}
	for i, text := range t.Texts {
		if words[text.Name] || words[text.Title.ZH] || !typeName.MatchString(text.Name) || columnNamed(text.Title.ZH) != nil || columnNamed(text.Name) != nil {
			add([]any{"texts", i}, "the text %q has the name or the title of another or of a field of every record, or its name is not one such as carrier", text.Name)
		}
		texts[text.Name], words[text.Name], words[text.Title.ZH] = true, true, text.Title.ZH != ""
	}
	for i, name := range t.Unique {
		if !texts[name] {
			add([]any{"unique", i}, "the type has no text %q", name)
		}
	}
}

// Type returns the type of that name.
func (t *Types) Type(name string) (greentally.RecordType, bool) {
	one := t.byName[name]
	if one == nil {
		return greentally.RecordType{}, false
	}
	return one.RecordType, true
}

// All returns the types by name.
func (t *Types) All() []greentally.RecordType {
	var all []greentally.RecordType
	for _, name := range slices.Sorted(maps.Keys(t.byName)) {
		all = append(all, t.byName[name].RecordType)
	}
	return all
}

// Check runs the tests inside all files and returns how many it ran. The error joins all
// failures.
func (t *Types) Check() (ran int, err error) {
	var all []error
	for _, name := range slices.Sorted(maps.Keys(t.byName)) {
		one := t.byName[name]
		for i, test := range one.Tests {
			ran++
			err := t.Validate(test.record(name))
			switch {
			case test.Refuse == "" && err != nil:
				all = append(all, one.doc.Errorf([]any{"tests", i}, "test %q: refused: %w", test.Name, err))
			case test.Refuse != "" && (err == nil || !strings.Contains(err.Error(), test.Refuse)):
				all = append(all, one.doc.Errorf([]any{"tests", i}, "test %q: want a refusal with %q, got: %v", test.Name, test.Refuse, err))
			}
		}
	}
	return ran, errors.Join(all...)
}

// record returns the record of the test, of the type.
func (t *typeTest) record(name string) greentally.Record {
	return greentally.Record{Community: "test", Type: name, Date: greentally.Date{Year: 2026, Month: time.October, Day: 8}, By: "test",
		Until: t.Record.Until, At: t.Record.At, End: t.Record.End, Stream: t.Record.Stream, Device: t.Record.Device,
		Item: t.Record.Item, Values: t.Record.Values, Texts: t.Record.Texts}
}

// Validate reports all that is wrong with the form of a record. The error wraps
// [ErrInvalid].
func (t *Types) Validate(r greentally.Record) error {
	if err := errors.Join(t.faults(r)...); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// How long a name and a text can be, in characters: records are printed.
const (
	mostName = 200
	mostText = 2000
)

// mostNumbers is how many values, and how many texts, a record has at most.
const mostNumbers = 100

// mostAttachments is how many attachments a record has at most.
const mostAttachments = 20

func (t *Types) faults(r greentally.Record) (all []error) {
	add := func(zh, en string, args ...any) { all = append(all, greentally.TextErrorf(zh, en, args...)) }
	if r.Community == "" {
		add("缺少社区", "community is missing")
	}
	if r.By == "" {
		add("请填写填报人", "by is missing: say who attests it")
	}
	missing := len(all)
	text := func(zh, en, text string, most int, lines bool) {
		if n := utf8.RuneCountInString(text); lines && n > most {
			add("%s有 %d 个字符，最多 %d 个；其余请放入附件", "%s has %d characters; the most is %d, and the rest goes into an attachment", greentally.Text{ZH: zh, EN: en}, n, most)
		} else if err := greentally.CheckText(greentally.Text{ZH: zh, EN: en}, text, most, lines); err != nil {
			all = append(all, err)
		}
	}
	for _, name := range []struct{ zh, en, text string }{{"社区", "community", r.Community}, {"类型", "type", r.Type}, {"类别", "stream", string(r.Stream)}, {"设备", "device", r.Device},
		{"条目", "item", r.Item}, {"更正", "replaces", r.Replaces}, {"填报人", "by", r.By}} {
		text(name.zh, name.en, name.text, mostName, false)
	}
	text("说明", "why", r.Why, mostText, true)
	if n := max(len(r.Values), len(r.Texts)); n > mostNumbers {
		add("数值或文字有 %d 个，各最多 %d 个", "there are %d values or texts; the most is %d of each", n, mostNumbers)
		return all
	}
	for _, name := range slices.Sorted(maps.Keys(r.Texts)) {
		text(name, name, r.Texts[name], mostText, true)
	}
	for _, name := range slices.Concat(slices.Sorted(maps.Keys(r.Texts)), slices.Sorted(maps.Keys(r.Values))) {
		text("名称", "the name of a value or a text", name, mostName, false)
	}
	if len(all) > missing {
		return all // what is said of the rest would repeat what is too long
	}
	if r.Date == (greentally.Date{}) {
		add("请填写日期", "date is missing: say which day it speaks of")
	}
	if r.Until != nil && r.Until.Before(r.Date) {
		add("截止日期 %s 早于日期 %s", "until, %s, is before the date, %s", r.Until, r.Date)
	}
	if r.End != nil && (r.At == nil || r.End.Before(*r.At)) {
		add("结束时刻应晚于开始时刻", "end comes after at: say when it began, and when it was over")
	}
	if r.Stream != "" && !slices.Contains(greentally.Streams(), r.Stream) {
		add("类别 %q 不在 %v 之中", "stream %q is none of %v", r.Stream, greentally.Streams())
	}
	attached := map[string]bool{}
	for _, a := range r.Attachments {
		if attached[a.SHA256] {
			add("附件 %s 重复", "attachment %s is there twice", a.SHA256)
		}
		attached[a.SHA256] = true
	}
	if len(r.Attachments) > mostAttachments {
		add("有 %d 个附件，最多 %d 个", "there are %d attachments; the most is %d", len(r.Attachments), mostAttachments)
	}
	if r.Withdraws {
		if r.Replaces == "" {
			add("请说明撤回哪条记录", "replaces is missing: say which record is withdrawn")
		}
		if r.Why == "" {
			add("请填写撤回原因", "why is missing: say why the record is withdrawn")
		}
		if len(r.Values)+len(r.Texts) > 0 {
			add("撤回不带数值和文字；更正才带", "what withdraws a record has no values or texts; a correction has them, and does not withdraw")
		}
		return all // its type may be there no more
	}
	one := t.byName[r.Type]
	if one == nil {
		add("没有记录类型 %q；现有 %s", "there is no type of record %q; there are %s", r.Type, strings.Join(slices.Sorted(maps.Keys(t.byName)), ", "))
		return all
	}
	has := fields(r)
	for _, need := range one.Needs {
		if !has[need] {
			add("%s需要填写%s", "a %s needs %s", one.called(), fieldCalled(need))
		}
	}
	env, whole := one.values(r, add)
	one.texts(r, add)
	for i, check := range one.checks {
		if !whole {
			break
		}
		if holds, err := expr.Run(check, env); err != nil || holds != true {
			add("应满足 %s", "%s must hold", one.Checks[i])
		}
	}
	return all
}

// called is what the type is called for people, and by programs.
func (t *recordType) called() greentally.Text { return greentally.Text{ZH: t.Title.ZH, EN: t.Name} }

// fieldCalled is what a field that a type can need is called.
func fieldCalled(name string) greentally.Text {
	zh := map[string]string{"until": "截止日期", "at": "时刻", "end": "结束时刻", "stream": "类别", "device": "设备", "item": "条目"}
	return greentally.Text{ZH: zh[name], EN: name}
}

// values checks a record's values and returns them for expressions; whole is false if one
// is wrong.
func (t *recordType) values(r greentally.Record, add func(zh, en string, args ...any)) (env map[string]any, whole bool) {
	env, whole = map[string]any{}, true
	wrong := func(zh, en string, args ...any) {
		whole = false
		add(zh, en, args...)
	}
	known := map[string]bool{}
	for _, v := range t.Values {
		known[v.Name] = true
		number, has := r.Values[v.Name]
		env[v.Name] = number
		switch {
		case !has && !v.Optional:
			wrong("%s需要填写%[3]s（%[2]s）", "a %s needs the value %s, %s", t.called(), v.Name, v.Title)
		case has && v.Min != nil && number < *v.Min:
			wrong("%s 为 %v，至少应为 %v", "%s is %v, and is at least %v", v.Name, number, *v.Min)
		case has && v.Max != nil && number > *v.Max:
			wrong("%s 为 %v，至多应为 %v", "%s is %v, and is at most %v", v.Name, number, *v.Max)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Values)) {
		if _, ok := greentally.AmountOf(r.Values[name]); !ok {
			wrong("%s 不是可以计算的数", "%s is not a number that can be tallied", name)
		}
		if !known[name] && (!t.Open || !typeName.MatchString(name)) {
			wrong("%s没有数值 %q", "a %s has no value %q", t.called(), name)
		}
	}
	return env, whole
}

func (t *recordType) texts(r greentally.Record, add func(zh, en string, args ...any)) {
	const longest = 2000
	known := map[string]bool{}
	for _, text := range t.Texts {
		known[text.Name] = true
		word := r.Texts[text.Name]
		switch {
		case word == "" && !text.Optional:
			add("%s需要填写%[3]s（%[2]s）", "a %s needs the text %s, %s", t.called(), text.Name, text.Title)
		case word != "" && len(text.OneOf) > 0 && !slices.Contains(text.OneOf, word):
			add("%s %q 不在 %s 之中", "%s %q is none of %s", text.Name, word, strings.Join(text.OneOf, ", "))
		case len(word) > longest:
			add("%s 超过 %d 字节", "%s is longer than %d bytes", text.Name, longest)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Texts)) {
		if !known[name] {
			add("%s没有文字 %q", "a %s has no text %q", t.called(), name)
		}
	}
}
