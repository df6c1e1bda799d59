package report_test

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestJSON(t *testing.T) {
	e := month(t)
	var text bytes.Buffer
	if err := e.JSON(&text); err != nil {
		t.Fatal(err)
	}
	var back struct {
		Month      string
		Through    string
		Indicators []struct{ Indicator string }
		Records    []struct{ Type string }
	}
	if err := json.Unmarshal(text.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	t.Log(text.Len(), len(back.Indicators), len(back.Records), len(e.Days), len(e.Alerts), len(e.Gaps()))
	for _, v := range e.Indicators {
		if v.Value != nil {
			t.Log(v.Indicator, *v.Value, v.Verdict, v.Completeness, v.Reason)
		}
	}
}
