package rows_test

import (
	"fmt"
	"strings"
	"testing"

	"greentally/internal/rows"
)

type item struct {
	N int `json:"n"`
}

func TestDecoder(t *testing.T) {
	decode := func(n int, last string) ([]item, error) {
		d := rows.JSON[item]()
		for i := range n {
			if i == n-1 && last != "" {
				d.Add([]byte(last))
			} else {
				d.Add(fmt.Appendf(nil, `{"n": %d}`, i))
			}
		}
		return d.Items()
	}
	for _, n := range []int{0, 1, 255, 256, 257, 3000} {
		items, err := decode(n, "")
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
		if _, err := decode(n, `{"n": "x"}`); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("row %d: ", n)) {
			t.Errorf("a row that is none: %v", err)
		}
	}
}
