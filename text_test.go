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
