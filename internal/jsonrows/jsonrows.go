// Package jsonrows decodes the many rows of JSON that a query of a store gives, on all cores.
//
// It is for the stores alone. Text comes in, in the order of the rows, and items go out in
// the same order.
package jsonrows

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/go-json-experiment/json"
)

// atOnce is how many rows one core takes at the least: fewer are not worth the trouble.
const atOnce = 64

// Decode decodes each row. The error is of the first row that is no T.
func Decode[T any](rows []string) ([]T, error) {
	items := make([]T, len(rows))
	cores := max(1, min(runtime.GOMAXPROCS(0), len(rows)/atOnce))
	each := (len(rows) + cores - 1) / cores
	errs := make([]error, cores)
	var wait sync.WaitGroup
	for core := range cores {
		wait.Go(func() {
			for i := core * each; i < min(len(rows), (core+1)*each); i++ {
				if err := json.Unmarshal([]byte(rows[i]), &items[i]); err != nil {
					errs[core] = fmt.Errorf("row %d: %w", i+1, err)
					return
				}
			}
		})
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return items, nil
}
