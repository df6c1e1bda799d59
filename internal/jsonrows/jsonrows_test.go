package jsonrows_test

import (
	"fmt"
	"strings"
	"testing"

	"greentally/internal/jsonrows"
)

type item struct {
	N int `json:"n"`
}

func TestDecode(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64, 129, 1000} {
		rows := make([]string, n)
		for i := range rows {
			rows[i] = fmt.Sprintf(`{"n": %d}`, i)
		}
		items, err := jsonrows.Decode[item](rows)
		if err != nil || len(items) != n {
			t.Fatalf("%d of %d items, %v", len(items), n, err)
		}
		for i, item := range items {
			if item.N != i {
				t.Fatalf("item %d of %d is %d", i, n, item.N)
			}
		}
		if n == 0 {
			continue
		}
		rows[n-1] = `{"n": "x"}`
		if _, err := jsonrows.Decode[item](rows); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("row %d: ", n)) {
			t.Errorf("a row that is none: %v", err)
		}
	}
}
