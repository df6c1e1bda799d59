package influx

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/influxdata/influxdb-client-go/v2/api/write"
)

// A device's site, stream or kind can be changed in the community's file, and what was
// derived before is then written again under other tags: another point for InfluxDB, which
// would be counted beside the first. So the points that a user's own queries may add up have
// a field "current", which is false in those that another has taken the place of. They are
// marked and not deleted, because InfluxDB 3 cannot delete, and 2 asks for another right.

// labels is tags and their values in an order; those without a value are not written.
type labels [][2]string

func (l labels) addTo(p *write.Point) *write.Point {
	for _, tag := range l {
		if tag[1] != "" {
			p.AddTag(tag[0], tag[1])
		}
	}
	return p
}

// superseded returns points which mark those that stand at one of the times, with the same
// identity but placed elsewhere, as not current.
func (s *Store) superseded(ctx context.Context, measurement string, identity, placement labels, times []time.Time) ([]*write.Point, error) {
	if len(times) == 0 {
		return nil, nil
	}
	names, same, other := make([]string, len(placement)), make([]string, len(identity)), make([]string, len(placement))
	for i, t := range identity {
		same[i] = tag(t[0], t[1])
	}
	for i, t := range placement {
		names[i] = identifier(t[0])
		other[i] = differs(t[0], t[1])
	}
	statement := "SELECT " + identifier(fieldWritten) + ", " + strings.Join(names, ", ") + " FROM " + identifier(measurement) +
		" WHERE " + strings.Join(same, " AND ") + " AND (" + strings.Join(other, " OR ") + ") AND " +
		between(slices.MinFunc(times, time.Time.Compare), slices.MaxFunc(times, time.Time.Compare).Add(1))
	var marks []*write.Point
	var wrong error
	err := s.query(ctx, s.config.DerivedBucket, statement, func(_ columns, row []jsontext.Value) bool { // time, written, placement
		var nanoseconds int64
		if nanoseconds, wrong = strconv.ParseInt(string(row[0]), 10, 64); wrong != nil {
			return false
		}
		at := time.Unix(0, nanoseconds)
		if !slices.ContainsFunc(times, at.Equal) {
			return true
		}
		mark := identity.addTo(write.NewPointWithMeasurement(measurement).SetTime(at)).AddField(fieldCurrent, false)
		for i, t := range placement {
			if row[2+i].Kind() != '"' {
				continue
			}
			var value []byte
			if value, wrong = jsontext.AppendUnquote(nil, row[2+i]); wrong != nil {
				return false
			}
			labels{{t[0], string(value)}}.addTo(mark)
		}
		marks = append(marks, mark)
		return true
	})
	if err == nil {
		err = wrong
	}
	return marks, err
}
