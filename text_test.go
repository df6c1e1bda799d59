package greentally

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestTextJSON(t *testing.T) {
	for in, want := range map[string]Text{
		`{"zh": "甲", "en": "A"}`: {"甲", "A"},
		`{"en": "A"}`:            {"", "A"},
		`"the denominator is 0"`: {"the denominator is 0", "the denominator is 0"},
		`""`:                     {},
		`null`:                   {},
	} {
		var got Text
		if err := json.Unmarshal([]byte(in), &got); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{`1`, `["A"]`, `{"cn": "甲"}`, `{"ZH": "甲"}`, `{"zh": 1}`} {
		if err := json.Unmarshal([]byte(in), &Text{}); err == nil {
			t.Errorf("%s is read", in)
		}
	}
}

// Values and assessments that were stored when a reason was one string are read.
func TestReasonsOfOld(t *testing.T) {
	var v IndicatorValue
	if err := json.Unmarshal([]byte(`{"indicator": "a", "value": null, "reason": "the denominator is 0", "inputs": []}`), &v); err != nil || v.Reason.In("zh") != "the denominator is 0" {
		t.Errorf("%+v: %v", v, err)
	}
	var a Assessment
	if err := json.Unmarshal([]byte(`{"scheme": "s", "items": [{"item": "i", "reasons": ["one", "two"]}], "reason": "three"}`), &a); err != nil ||
		!reflect.DeepEqual(a.Items[0].Reasons, []Text{{"one", "one"}, {"two", "two"}}) || a.Reason.EN != "three" {
		t.Errorf("%+v: %v", a, err)
	}
}

func TestTextf(t *testing.T) {
	survey := Text{"问卷", "survey"}
	if got, want := Textf("%[2]s 没有%[1]s", "no %s in %s", survey, "2026-10"), (Text{"2026-10 没有问卷", "no survey in 2026-10"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got, want := JoinTexts([]Text{survey, {"", "b"}}, "、", ", "), (Text{"问卷、b", "survey, b"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := JoinTexts(nil, "；", "; "); got != (Text{}) {
		t.Errorf("of none: %+v", got)
	}
}

func TestCheckText(t *testing.T) {
	for _, tt := range []struct {
		text  string
		lines bool
		want  string // empty if it is taken
	}{
		{"", false, ""},
		{"新桶 №1　♻️ 👩‍🔧", false, ""},
		{"一二三四五六七八九十一二三四五六七八九十", false, ""},
		{"一二三四五六七八九十一二三四五六七八九十一", false, "the name has 21 characters; the most is 20"},
		{"a\nb", false, `the name has a character that cannot be printed, "\n"`},
		{"a\r\n\tb", true, ""},
		{"a\x1b[2J", true, `the name has a character that cannot be printed, "\x1b"`},
		{"a\u202eb", true, `the name has a character that cannot be printed, "\u202e"`},
		{"a\u009bb", true, `the name has a character that cannot be printed, "\u009b"`},
		{"a\x00", true, `the name has a character that cannot be printed, "\x00"`},
		{"a\xff", true, `the name has a character that cannot be printed, "�"`},
		{"a�", true, ""},
	} {
		got := ""
		if err := CheckText(Text{"名称", "the name"}, tt.text, 20, tt.lines); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
		}
	}
}
