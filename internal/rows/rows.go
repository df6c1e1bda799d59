// Package rows decodes the many rows that a query of a store gives, on all cores.
//
// It is for the stores alone. Rows come in, in the order of the query, and items go out in
// the same order.
package rows

import (
	"fmt"
	"runtime"
	"slices"

	"github.com/go-json-experiment/json"
	"golang.org/x/sync/errgroup"
)

// atOnce is how many rows one core takes: fewer are not worth the trouble.
const atOnce = 256

// Decoder decodes rows into items on all cores, while more rows come in.
type Decoder[T any] struct {
	unmarshal func(row []byte, item *T) error
	rows      [][]byte // not yet given to a core
	parts     [][]T    // in order; each belongs to a core until all are done
	cores     errgroup.Group
}

// JSON returns a decoder of rows of JSON.
func JSON[T any]() *Decoder[T] {
	return New(func(row []byte, item *T) error { return json.Unmarshal(row, item) })
}

// New returns a decoder of rows that unmarshal understands; it may be called by many
// goroutines at a time.
func New[T any](unmarshal func(row []byte, item *T) error) *Decoder[T] {
	d := &Decoder[T]{unmarshal: unmarshal}
	d.cores.SetLimit(runtime.GOMAXPROCS(0))
	return d
}

// Add gives the decoder the next row, which then belongs to it.
func (d *Decoder[T]) Add(row []byte) {
	if d.rows = append(d.rows, row); len(d.rows) == atOnce {
		d.decode()
	}
}

func (d *Decoder[T]) decode() {
	rows, items, before := d.rows, make([]T, len(d.rows)), len(d.parts)*atOnce
	d.rows, d.parts = nil, append(d.parts, items)
	d.cores.Go(func() error {
		for i, row := range rows {
			if err := d.unmarshal(row, &items[i]); err != nil {
				return fmt.Errorf("row %d: %w", before+i+1, err)
			}
		}
		return nil
	})
}

// Items returns all items, after which the decoder is of no more use. The error is of a
// row that is no T.
func (d *Decoder[T]) Items() ([]T, error) {
	d.decode()
	if err := d.cores.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(d.parts...), nil
}
