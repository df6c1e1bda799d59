package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// TestRecordsNameAnItem hands in evidence for items of the shipped schemes, to the whole
// program.
func TestRecordsNameAnItem(t *testing.T) {
	c := defaultConfig()
	c.DataDir, c.Communities = t.TempDir(), t.TempDir()
	c.Broker.Listen, c.HTTP.Listen = "127.0.0.1:0", "127.0.0.1:0"
	community, err := os.ReadFile(filepath.Join(testdata, "report", "communities", "lvyuan.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.Communities, "lvyuan.yaml"), community, 0o600); err != nil {
		t.Fatal(err)
	}
	up, ended := make(chan running, 1), make(chan error, 1)
	finish := background(t, func(ctx context.Context) error {
		err := serve(ctx, c, slog.New(slog.DiscardHandler), nil, func(r running) { up <- r })
		ended <- err
		return err
	})
	var server running
	select {
	case server = <-up:
	case err := <-ended:
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, kind, item, values string
		want                     []string // parts of the error; none: it is added
	}{
		{"faults", "inspection", "neimenggu/archive", `{"incomplete": 2}`, nil},
		{"points", "judgement", "putuo_monthly/monthly_score", `{"points": 91.5}`, nil},
		{"another scheme", "inspection", "neimengu/archive", `{"incomplete": 2}`, []string{`there is no scheme "neimengu"; there are`, "neimenggu"}},
		{"another item", "inspection", "neimenggu/archives", `{"incomplete": 2}`, []string{`scheme neimenggu has no item "archives"; there are`, "neimenggu/archive"}},
		{"another type", "judgement", "neimenggu/archive", `{"points": 2}`, []string{"item neimenggu/archive takes no judgement; it takes inspection, document"}},
		{"another fault", "inspection", "neimenggu/archive", `{"incomplet": 2}`, []string{"the item has no such fault; there are none, incomplete"}},
		{"too many points", "judgement", "putuo_monthly/monthly_score", `{"points": 101}`, []string{"it can only say points from 0 to 100"}},
	} {
		input := fmt.Sprintf(`{"community": "lvyuan", "type": %q, "date": "2026-10-08", "by": "Li Na", "item": %q, "values": %s}`, tt.kind, tt.item, tt.values)
		_, err := cliWithInput(t, input, "record", "add", "-", "--server", server.httpURL)
		switch {
		case len(tt.want) > 0:
			wantError(t, tt.name, err, append(tt.want, "record 1 of 1", "invalid record: ")...)
		case err != nil:
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if err := finish(); err != nil {
		t.Error(err)
	}
}
