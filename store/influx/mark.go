package influx

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/influxdata/influxdb-client-go/v2/api/write"

	"greentally"
)

var _ greentally.Marked = (*Store)(nil)

// measurementMark is where marks are, in the bucket of the readings, so that they are lost with
// them. No kind can be called so.
const measurementMark = "greentally-mark"

// Mark keeps the mark, as a point of the present minute: one of a fixed time might be older than
// what the bucket keeps. All that are written within a minute are one point.
func (s *Store) Mark(ctx context.Context, m greentally.Mark) error {
	p := write.NewPointWithMeasurement(measurementMark).SetTime(time.Now().Truncate(time.Minute)).
		AddField("journal", m.Journal).AddField("sequence", strconv.FormatUint(m.Sequence, 10))
	if err := s.readings.WritePoint(ctx, p); err != nil {
		return fmt.Errorf("write the mark to InfluxDB: %w", err)
	}
	return nil
}

// Marked returns the mark.
func (s *Store) Marked(ctx context.Context) (m greentally.Mark, ok bool, err error) {
	// A clock that was wrong once must not hide all marks after it.
	soon := strconv.FormatInt(time.Now().Add(time.Minute).UnixNano(), 10)
	var wrong error
	err = s.query(ctx, s.config.Bucket, `SELECT "journal", "sequence" FROM `+identifier(measurementMark)+" WHERE time <= "+soon+" ORDER BY time DESC LIMIT 1",
		func(_ columns, row []jsontext.Value) bool { // time, journal, sequence
			var journal, sequence []byte
			if journal, wrong = jsontext.AppendUnquote(nil, row[1]); wrong != nil {
				return false
			}
			if sequence, wrong = jsontext.AppendUnquote(nil, row[2]); wrong != nil {
				return false
			}
			m.Journal = string(journal)
			m.Sequence, wrong = strconv.ParseUint(string(sequence), 10, 64)
			ok = wrong == nil
			return ok
		})
	if err == nil {
		err = wrong
	}
	if err == nil && !ok {
		ok, err = s.isEmpty(ctx)
	}
	switch {
	case err == nil:
		return m, ok, nil
	case strings.Contains(err.Error(), "database not found"): // 3.x makes it when something is written
		return greentally.Mark{}, true, nil
	default:
		return greentally.Mark{}, false, fmt.Errorf("read the mark from InfluxDB: %w", err)
	}
}

// isEmpty reports whether there is nothing in the bucket of the readings. What is derived from
// them does not count, if it is in another policy of the same database.
func (s *Store) isEmpty(ctx context.Context) (bool, error) {
	var wrong error
	empty := true
	err := s.query(ctx, s.config.Bucket, "SHOW MEASUREMENTS", func(_ columns, row []jsontext.Value) bool {
		var name []byte
		if name, wrong = jsontext.AppendUnquote(nil, row[len(row)-1]); wrong != nil {
			return false
		}
		switch string(name) {
		case measurementMark, "device_day", "indicator", "assessment", "record", "alert":
		default:
			empty = false
		}
		return empty
	})
	if err == nil {
		err = wrong
	}
	return empty && err == nil, err
}
