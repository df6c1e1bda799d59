package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver

	"greentally"
)

// Store is a store in one SQLite file.
type Store struct {
	write *sql.DB // one connection
	read  *sql.DB

	mu  sync.Mutex
	ids map[device]int64 // rows of the table devices
}

type device struct {
	greentally.DeviceKey
	kind string
}

var _ greentally.Store = (*Store)(nil)

// schemaVersion is in the file's user_version.
const schemaVersion = 1

const schema = `
create table devices (
	id        integer primary key,
	community text not null,
	device    text not null,
	kind      text not null,
	unique (community, device, kind)
) strict;

create table readings (
	device  integer not null references devices (id),
	time    integer not null, -- nanoseconds since 1970, UTC
	site    text not null,
	stream  text not null,
	quality integer not null, -- OMA LwM2M 6042: 3 suspicious, 4 accepted
	"values" text not null,   -- JSON object: quantity to number or word
	primary key (device, time)
) strict, without rowid;

create view reading_values as
	select d.community, d.device, d.kind, r.site, r.stream,
		strftime('%Y-%m-%dT%H:%M:%fZ', r.time / 1e9, 'unixepoch') as time, r.quality, v.key as quantity, v.value
	from readings r join devices d on d.id = r.device, json_each(r."values") v;

create table device_days (
	community text not null,
	device    text not null,
	date      text not null, -- 2006-01-02, the community's own
	day       text not null, -- JSON
	primary key (community, device, date)
) strict, without rowid;
create index device_days_by_date on device_days (community, date);

create table indicators (
	community text not null,
	month     text not null, -- 2006-01
	indicator text not null,
	value     real,
	verdict   text not null,
	detail    text not null, -- JSON
	primary key (community, month, indicator)
) strict, without rowid;

create table records (
	id        text primary key,
	community text not null,
	date      text not null,
	type      text not null,
	record    text not null -- JSON
) strict, without rowid;
create index records_by_date on records (community, date);
`

// Open opens the file, and makes it if it is not there.
func Open(ctx context.Context, file string) (*Store, error) {
	dsn := func(pragmas ...string) string {
		q := url.Values{"_pragma": append([]string{"busy_timeout(30000)", "foreign_keys(1)"}, pragmas...)}
		return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: file}).EscapedPath(), RawQuery: q.Encode()}).String()
	}
	// Each commit is synced: the journal forgets what is stored.
	write, err := sql.Open("sqlite", dsn("journal_mode(wal)", "synchronous(full)")+"&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("SQLite file %s: %w", file, err)
	}
	write.SetMaxOpenConns(1)
	s := &Store{write: write, ids: map[device]int64{}}
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("SQLite file %s: %w", file, err), write.Close())
	}
	if s.read, err = sql.Open("sqlite", dsn("query_only(1)")); err != nil {
		return nil, errors.Join(fmt.Errorf("SQLite file %s: %w", file, err), write.Close())
	}
	s.read.SetMaxOpenConns(8)
	return s, nil
}

func (s *Store) migrate(ctx context.Context) error {
	return s.transaction(ctx, func(tx *sql.Tx) error {
		var version int
		if err := tx.QueryRowContext(ctx, "pragma user_version").Scan(&version); err != nil {
			return err
		}
		switch version {
		case schemaVersion:
			return nil
		case 0:
			_, err := tx.ExecContext(ctx, schema+fmt.Sprintf("pragma user_version = %d", schemaVersion))
			return err
		}
		return fmt.Errorf("it was written by another version of greentally (schema %d, this one knows %d)", version, schemaVersion)
	})
}

// Close closes the file.
func (s *Store) Close() error { return errors.Join(s.read.Close(), s.write.Close()) }

func (s *Store) transaction(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// rowsAtOnce is how many readings one statement writes.
const rowsAtOnce = 100

const columns = 6

func insertReadings(rows int) string {
	return `insert into readings (device, time, site, stream, quality, "values") values (?,?,?,?,?,?)` + strings.Repeat(",(?,?,?,?,?,?)", rows-1) +
		` on conflict (device, time) do update set site = excluded.site, stream = excluded.stream, quality = excluded.quality,
		"values" = iif("values" = excluded."values", "values", json_patch("values", excluded."values"))`
}

// WriteReadings stores the readings in one transaction.
func (s *Store) WriteReadings(ctx context.Context, readings []greentally.Reading) error {
	if len(readings) == 0 {
		return ctx.Err()
	}
	var refused greentally.RefusedError
	err := s.transaction(ctx, func(tx *sql.Tx) error {
		refused.Refused = nil
		var full *sql.Stmt
		args := make([]any, 0, rowsAtOnce*columns)
		flush := func() (err error) {
			rows := len(args) / columns
			switch {
			case rows == 0:
				return nil
			case rows == rowsAtOnce && full == nil:
				full, err = tx.PrepareContext(ctx, insertReadings(rowsAtOnce)) //nolint:sqlclosecheck // the end of the transaction closes it
				if err != nil {
					return err
				}
				fallthrough
			case rows == rowsAtOnce:
				_, err = full.ExecContext(ctx, args...)
			default:
				_, err = tx.ExecContext(ctx, insertReadings(rows), args...)
			}
			args = args[:0]
			return err
		}
		for i := range readings {
			r := &readings[i]
			values, err := encodeValues(r.Values)
			if err != nil {
				refused.Refused = append(refused.Refused, greentally.Refusal{Index: i, Reason: err.Error()})
				continue
			}
			id, err := s.deviceID(ctx, tx, device{r.DeviceKey, r.Kind})
			if err != nil {
				return err
			}
			args = append(args, id, r.Time.UnixNano(), r.Site, string(r.Stream), int(r.Quality), values)
			if len(args) == rowsAtOnce*columns {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		if err := flush(); err != nil {
			return err
		}
		if full != nil {
			return full.Close()
		}
		return nil
	})
	if err != nil {
		s.forgetIDs() // some may have been rolled back
		return fmt.Errorf("write readings to SQLite: %w", err)
	}
	if len(refused.Refused) > 0 {
		return &refused
	}
	return nil
}

// deviceID returns the row of the device, and makes it if it is not there.
func (s *Store) deviceID(ctx context.Context, tx *sql.Tx, d device) (int64, error) {
	s.mu.Lock()
	id, ok := s.ids[d]
	s.mu.Unlock()
	if ok {
		return id, nil
	}
	err := tx.QueryRowContext(ctx, `insert into devices (community, device, kind) values (?,?,?)
		on conflict do update set kind = kind returning id`, d.Community, d.Device, d.kind).Scan(&id)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	s.ids[d] = id
	s.mu.Unlock()
	return id, nil
}

func (s *Store) forgetIDs() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.ids)
}

// encodeValues writes values as a JSON object.
func encodeValues(values []greentally.Value) (string, error) {
	b := make([]byte, 0, 32*len(values)+2)
	b = append(b, '{')
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, v.Quantity)
		b = append(b, ':')
		switch {
		case v.State != "":
			b = appendString(b, v.State)
		case math.IsNaN(v.Number) || math.IsInf(v.Number, 0):
			return "", fmt.Errorf("%s is %v, which is no number", v.Quantity, v.Number)
		default:
			b = strconv.AppendFloat(b, v.Number, 'g', -1, 64)
		}
	}
	return string(append(b, '}')), nil
}

func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			quoted, err := json.Marshal(s)
			if err != nil {
				panic("BUG: " + err.Error()) // a string can always be marshalled
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func decodeValues(text []byte) ([]greentally.Value, error) {
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, err
	}
	values := make([]greentally.Value, 0, len(object))
	for quantity, v := range object {
		value := greentally.Value{Quantity: quantity}
		switch v := v.(type) {
		case float64:
			value.Number = v
		case string:
			value.State = v
		default:
			return nil, fmt.Errorf("value of %s is a %T", quantity, v)
		}
		values = append(values, value)
	}
	greentally.SortValues(values)
	return values, nil
}

// Readings returns one device's readings.
func (s *Store) Readings(ctx context.Context, q greentally.ReadingQuery) iter.Seq2[greentally.Reading, error] {
	return func(yield func(greentally.Reading, error) bool) {
		if err := s.readings(ctx, q, yield); err != nil {
			yield(greentally.Reading{}, fmt.Errorf("read readings of %s from SQLite: %w", q.DeviceKey, err))
		}
	}
}

func (s *Store) readings(ctx context.Context, q greentally.ReadingQuery, yield func(greentally.Reading, error) bool) error {
	statement := `select time, site, stream, quality, "values" from readings
		where device = (select id from devices where community = ? and device = ? and kind = ?) and time >= ? and time < ?`
	from, to := int64(math.MinInt64), int64(math.MaxInt64)
	if !q.From.IsZero() {
		from = q.From.UnixNano()
	}
	if !q.To.IsZero() {
		to = q.To.UnixNano()
	}
	args := []any{q.Community, q.Device, q.Kind, from, to}
	if q.With != "" {
		statement += ` and exists (select 1 from json_each("values") where key = ?)`
		args = append(args, q.With)
	}
	statement += " order by time"
	if q.Descending {
		statement += " desc"
	}
	if q.Limit > 0 {
		statement += " limit ?"
		args = append(args, q.Limit)
	}
	rows, err := s.read.QueryContext(ctx, statement, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		r := greentally.Reading{DeviceKey: q.DeviceKey, Kind: q.Kind}
		var nanoseconds int64
		var values sql.RawBytes
		if err := rows.Scan(&nanoseconds, &r.Site, &r.Stream, &r.Quality, &values); err != nil {
			return err
		}
		r.Time = time.Unix(0, nanoseconds).UTC()
		if r.Values, err = decodeValues(values); err != nil {
			return fmt.Errorf("at %v: %w", r.Time, err)
		}
		if !yield(r, nil) {
			return nil
		}
	}
	return rows.Err()
}

// Count returns how many readings there are.
func (s *Store) Count(ctx context.Context) (n int64, err error) {
	err = s.read.QueryRowContext(ctx, "select count(*) from readings").Scan(&n)
	return n, err
}

// WriteDeviceDays stores the device-days.
func (s *Store) WriteDeviceDays(ctx context.Context, days []greentally.DeviceDay) error {
	return upsert(ctx, s, "device-days", `insert into device_days (community, device, date, day) values (?,?,?,?)
		on conflict do update set day = excluded.day`, days, func(d greentally.DeviceDay, text string) []any {
		return []any{d.Community, d.Device, d.Date.String(), text}
	})
}

// DeviceDays returns those that match.
func (s *Store) DeviceDays(ctx context.Context, q greentally.DeviceDayQuery) ([]greentally.DeviceDay, error) {
	statement := "select day from device_days where community = ? and date >= ? and date <= ?"
	args := []any{q.Community, q.From.String(), q.To.String()}
	if q.Device != "" {
		statement += " and device = ?"
		args = append(args, q.Device)
	}
	return list[greentally.DeviceDay](ctx, s, "device-days", statement+" order by device, date", args...)
}

// WriteIndicators stores the indicators.
func (s *Store) WriteIndicators(ctx context.Context, values []greentally.IndicatorValue) error {
	return upsert(ctx, s, "indicators", `insert into indicators (community, month, indicator, value, verdict, detail) values (?,?,?,?,?,?)
		on conflict do update set value = excluded.value, verdict = excluded.verdict, detail = excluded.detail`, values,
		func(v greentally.IndicatorValue, text string) []any {
			return []any{v.Community, v.Month.String(), v.Indicator, v.Value, string(v.Verdict), text}
		})
}

// Indicators returns a community's indicators of a month.
func (s *Store) Indicators(ctx context.Context, community string, month greentally.Month) ([]greentally.IndicatorValue, error) {
	return list[greentally.IndicatorValue](ctx, s, "indicators",
		"select detail from indicators where community = ? and month = ? order by indicator", community, month.String())
}

// WriteRecords stores the records.
func (s *Store) WriteRecords(ctx context.Context, records []greentally.Record) error {
	return upsert(ctx, s, "records", `insert into records (id, community, date, type, record) values (?,?,?,?,?)
		on conflict do update set record = excluded.record`, records, func(r greentally.Record, text string) []any {
		return []any{r.ID, r.Community, r.Date.String(), r.Type, text}
	})
}

// Records returns a community's records.
func (s *Store) Records(ctx context.Context, community string, from, to greentally.Date) ([]greentally.Record, error) {
	return list[greentally.Record](ctx, s, "records",
		"select record from records where community = ? and date >= ? and (date <= ? or ?) order by id",
		community, from.String(), to.String(), to == greentally.Date{})
}

// upsert writes the items, each as JSON and with the columns that args gives.
func upsert[T any](ctx context.Context, s *Store, what, statement string, items []T, args func(item T, text string) []any) error {
	if len(items) == 0 {
		return nil
	}
	err := s.transaction(ctx, func(tx *sql.Tx) error {
		prepared, err := tx.PrepareContext(ctx, statement)
		if err != nil {
			return err
		}
		defer prepared.Close()
		for _, item := range items {
			text, err := json.Marshal(item)
			if err != nil {
				return err
			}
			if _, err := prepared.ExecContext(ctx, args(item, string(text))...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write %s to SQLite: %w", what, err)
	}
	return nil
}

// list decodes the one column of JSON that the statement selects.
func list[T any](ctx context.Context, s *Store, what, statement string, args ...any) (items []T, err error) {
	rows, err := s.read.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, fmt.Errorf("read %s from SQLite: %w", what, err)
	}
	defer rows.Close()
	for rows.Next() {
		var text sql.RawBytes
		var item T
		if err := rows.Scan(&text); err != nil {
			return nil, fmt.Errorf("read %s from SQLite: %w", what, err)
		}
		if err := json.Unmarshal(text, &item); err != nil {
			return nil, fmt.Errorf("read %s from SQLite: %w", what, err)
		}
		items = append(items, item)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read %s from SQLite: %w", what, err)
	}
	return slices.Clip(items), nil
}
