package greentally_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"greentally"
)

func TestErrorText(t *testing.T) {
	invalid := greentally.TextErrorf("记录无效", "invalid record")
	needs := greentally.TextErrorf("缺少%s", "it needs %s", greentally.Text{ZH: "日期", EN: "a date"})
	for _, tt := range []struct {
		err    error
		zh, en string
	}{
		{needs, "缺少日期", "it needs a date"},
		{errors.New("disk"), "disk", "disk"},
		{fmt.Errorf("%w: %w", invalid, needs), "记录无效：缺少日期", "invalid record: it needs a date"},
		{errors.Join(needs, errors.New("disk")), "缺少日期；disk", "it needs a date\ndisk"},
		{fmt.Errorf("%w: %w", invalid, errors.Join(needs, needs)), "记录无效：缺少日期；缺少日期", "invalid record: it needs a date\nit needs a date"},
		{fmt.Errorf("adopt: %w", needs), "adopt: 缺少日期", "adopt: it needs a date"},
		{fmt.Errorf("%w, and %w", invalid, needs), "invalid record, and it needs a date", "invalid record, and it needs a date"},
		{fmt.Errorf("what is (%w)", needs), "what is (it needs a date)", "what is (it needs a date)"},
	} {
		if got := greentally.ErrorText(tt.err); got.ZH != tt.zh || got.EN != tt.en || got.EN != tt.err.Error() {
			t.Errorf("%q is said %+v", tt.err, got)
		}
	}
	if !errors.Is(fmt.Errorf("%w: %w", invalid, needs), needs) {
		t.Error("the error is not found in what wraps it")
	}
	missing := fmt.Errorf("look: %w", greentally.Missingf("没有%s", "there is no %s", "bin"))
	if !errors.Is(missing, fs.ErrNotExist) || errors.Is(invalid, fs.ErrNotExist) || greentally.ErrorText(missing).ZH != "look: 没有bin" {
		t.Errorf("what is missing is %v", missing)
	}
}
