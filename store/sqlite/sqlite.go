package sqlite

import (
	"bytes"
	"cmp"
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

	"github.com/go-json-experiment/json/jsontext"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"greentally"
	"greentally/internal/rows"
)

// Store is a store in one SQLite file.
type Store struct {
	file  string
	write *sql.DB // one connection
	read  *sql.DB

	mu  sync.Mutex
	ids map[device]int64 // rows of the table devices
}

type device struct {
	greentally.DeviceKey
	kind string
}

var (
	_ greentally.Store  = (*Store)(nil)
	_ greentally.Marked = (*Store)(nil)
)

// schemaVersion is in the file's user_version.
const schemaVersion = 5

// totalsTable has the device-days without their hours, in the order in which a month is
// read: that is several times faster than from device_days.
const totalsTable = `
create table device_day_totals (
	community text not null,
	date      text not null,
	device    text not null,
	totals    text not null, -- JSON
	primary key (community, date, device)
) strict, without rowid;
`

// alertsTable has the alerts that there were.
const alertsTable = `
create table alerts (
	community text not null,
	fired     integer not null, -- nanoseconds since 1970, UTC
	rule      text not null,
	device    text not null,
	indicator text not null,
	alert     text not null, -- JSON
	primary key (community, fired, rule, device, indicator)
) strict, without rowid;
`

// assessmentsTable has the latest assessments.
const assessmentsTable = `
create table assessments (
	community  text not null,
	month      text not null, -- 2006-01
	scheme     text not null,
	verdict    text not null,
	level      text not null, -- '' if none is reached, or it is not known
	assessment text not null, -- JSON
	primary key (community, month, scheme)
) strict, without rowid;
`

// markTable has the mark, in one row. In a file that had readings before there were marks there
// is none, until it is marked.
const markTable = `
create table mark (
	one      integer primary key check (one = 1),
	journal  text not null,
	sequence integer not null
) strict;
insert into mark select 1, '', 0 where not exists (select 1 from readings);
`

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
` + totalsTable + `
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
` + alertsTable + assessmentsTable + markTable

// Open opens the file, and makes it if it is not there. The error wraps
// [greentally.ErrDamaged] if the file is damaged, or no SQLite file at all.
func Open(ctx context.Context, file string) (*Store, error) {
	dsn := func(pragmas ...string) string {
		q := url.Values{"_pragma": append([]string{"busy_timeout(30000)", "foreign_keys(1)"}, pragmas...)}
		return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: file}).EscapedPath(), RawQuery: q.Encode()}).String()
	}
	// Each commit is synced, the log of what is written ahead with it: the journal forgets what
	// is stored.
	write, err := sql.Open("sqlite", dsn("journal_mode(wal)", "synchronous(full)")+"&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("SQLite file %s: %w", file, err)
	}
	write.SetMaxOpenConns(1)
	s := &Store{file: file, write: write, ids: map[device]int64{}}
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("SQLite file %s: %w", file, s.told(err)), write.Close())
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
		case 1: // the hours may stay in
			_, err := tx.ExecContext(ctx, totalsTable+`
				insert into device_day_totals select community, date, device, day from device_days;
				drop index device_days_by_date;`)
			if err != nil {
				return err
			}
			fallthrough
		case 2:
			if _, err := tx.ExecContext(ctx, alertsTable); err != nil {
				return err
			}
			fallthrough
		case 3:
			if _, err := tx.ExecContext(ctx, assessmentsTable); err != nil {
				return err
			}
			fallthrough
		case 4:
			_, err := tx.ExecContext(ctx, markTable+"pragma user_version = 5")
			return err
		}
		return fmt.Errorf("it was written by another version of greentally (schema %d, this one knows %d)", version, schemaVersion)
	})
}

// told makes an error of SQLite say, and wrap [greentally.ErrDamaged], if the file is damaged.
func (s *Store) told(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch code := e.Code(); {
	case code&0xff == sqlite3.SQLITE_CORRUPT, code&0xff == sqlite3.SQLITE_NOTADB, code == sqlite3.SQLITE_IOERR_CORRUPTFS:
		return s.damaged(err)
	}
	return err
}

func (s *Store) damaged(err error) error {
	return fmt.Errorf("%w: file %s; stop greentally, move the file away together with %[2]s-wal and %[2]s-shm, and start again: what the journal still has is filled in, older readings come from a backup: %w",
		greentally.ErrDamaged, s.file, err)
}

// Check reads the whole file, and returns an error that wraps [greentally.ErrDamaged] if it is damaged.
// It takes some seconds for each gigabyte; others can read and write meanwhile.
func (s *Store) Check(ctx context.Context) error {
	var found string
	if err := s.read.QueryRowContext(ctx, "pragma quick_check(1)").Scan(&found); err != nil {
		return fmt.Errorf("check the SQLite file: %w", s.told(err))
	}
	if found != "ok" {
		return fmt.Errorf("check the SQLite file: %w", s.damaged(errors.New(found)))
	}
	return nil
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
		return fmt.Errorf("write readings to SQLite: %w", s.told(err))
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

// values reads what encodeValues writes.
type values struct {
	decoder *jsontext.Decoder
	names   map[string]string // of quantities, by their JSON, because there are few
}

func newValues() *values {
	return &values{jsontext.NewDecoder(&bytes.Buffer{}), map[string]string{}}
}

func (d *values) decode(text []byte) ([]greentally.Value, error) {
	d.decoder.Reset(bytes.NewBuffer(text))
	if t, err := d.decoder.ReadToken(); err != nil {
		return nil, err
	} else if t.Kind() != '{' {
		return nil, fmt.Errorf("values are %v, want an object", t)
	}
	all := make([]greentally.Value, 0, max(4, len(d.names)))
	for d.decoder.PeekKind() == '"' {
		raw, err := d.decoder.ReadValue()
		if err != nil {
			return nil, err
		}
		name, known := d.names[string(raw)]
		if !known {
			unquoted, err := jsontext.AppendUnquote(nil, raw)
			if err != nil {
				return nil, err
			}
			name = string(unquoted)
			d.names[string(raw)] = name
		}
		value := greentally.Value{Quantity: name}
		t, err := d.decoder.ReadToken()
		if err != nil {
			return nil, err
		}
		switch t.Kind() {
		case '0':
			if value.Number, err = t.Float(); err != nil {
				return nil, err
			}
		case '"':
			value.State = t.String()
		default:
			return nil, fmt.Errorf("value of %s is %v, want a number or a word", name, t)
		}
		all = append(all, value)
	}
	if _, err := d.decoder.ReadToken(); err != nil {
		return nil, err
	}
	greentally.SortValues(all)
	return all, nil
}

// Readings returns one device's readings.
func (s *Store) Readings(ctx context.Context, q greentally.ReadingQuery) iter.Seq2[greentally.Reading, error] {
	return func(yield func(greentally.Reading, error) bool) {
		if err := s.readings(ctx, q, yield); err != nil {
			yield(greentally.Reading{}, fmt.Errorf("read readings of %s from SQLite: %w", q.DeviceKey, s.told(err)))
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
	for decoder := newValues(); rows.Next(); {
		r := greentally.Reading{DeviceKey: q.DeviceKey, Kind: q.Kind}
		var nanoseconds int64
		var text sql.RawBytes
		if err := rows.Scan(&nanoseconds, &r.Site, &r.Stream, &r.Quality, &text); err != nil {
			return err
		}
		r.Time = time.Unix(0, nanoseconds).UTC()
		if r.Values, err = decoder.decode(text); err != nil {
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
	return n, s.told(err)
}

// Mark keeps the mark.
func (s *Store) Mark(ctx context.Context, m greentally.Mark) error {
	_, err := s.write.ExecContext(ctx, `insert into mark values (1, ?, ?)
		on conflict do update set journal = excluded.journal, sequence = excluded.sequence`, m.Journal, int64(m.Sequence)) //nolint:gosec // read back the same way
	if err != nil {
		return fmt.Errorf("write the mark to SQLite: %w", s.told(err))
	}
	return nil
}

// Marked returns the mark.
func (s *Store) Marked(ctx context.Context) (m greentally.Mark, ok bool, err error) {
	var sequence int64
	err = s.read.QueryRowContext(ctx, "select journal, sequence from mark").Scan(&m.Journal, &sequence)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return greentally.Mark{}, false, nil
	case err != nil:
		return greentally.Mark{}, false, fmt.Errorf("read the mark from SQLite: %w", s.told(err))
	}
	m.Sequence = uint64(sequence) //nolint:gosec // written the same way
	return m, true, nil
}

// WriteDeviceDays stores the device-days.
func (s *Store) WriteDeviceDays(ctx context.Context, days []greentally.DeviceDay) error {
	return s.writeJSON(ctx, "device-days", func(tx *sql.Tx) error {
		err := upsert(ctx, tx, `insert into device_days (community, device, date, day) values (?,?,?,?)
			on conflict do update set day = excluded.day`, days, func(d greentally.DeviceDay) ([]any, any) {
			return []any{d.Community, d.Device, d.Date.String()}, d
		})
		if err != nil {
			return err
		}
		return upsert(ctx, tx, `insert into device_day_totals (community, date, device, totals) values (?,?,?,?)
			on conflict do update set totals = excluded.totals`, days, func(d greentally.DeviceDay) ([]any, any) {
			return []any{d.Community, d.Date.String(), d.Device}, d.Totals()
		})
	})
}

// DeviceDays returns those that match.
func (s *Store) DeviceDays(ctx context.Context, q greentally.DeviceDayQuery) ([]greentally.DeviceDay, error) {
	statement := "select day from device_days"
	if q.Totals {
		statement = "select totals from device_day_totals"
	}
	statement += " where community = ? and date >= ? and date <= ?"
	args := []any{q.Community, q.From.String(), q.To.String()}
	if q.Device != "" {
		statement += " and device = ?"
		args = append(args, q.Device)
	}
	days, err := list[greentally.DeviceDay](ctx, s, "device-days", statement, args...)
	slices.SortFunc(days, func(a, b greentally.DeviceDay) int {
		return cmp.Or(strings.Compare(a.Device, b.Device), a.Start.Compare(b.Start))
	})
	return days, err
}

// WriteIndicators stores the indicators.
func (s *Store) WriteIndicators(ctx context.Context, values []greentally.IndicatorValue) error {
	return s.writeJSON(ctx, "indicators", func(tx *sql.Tx) error {
		return upsert(ctx, tx, `insert into indicators (community, month, indicator, value, verdict, detail) values (?,?,?,?,?,?)
			on conflict do update set value = excluded.value, verdict = excluded.verdict, detail = excluded.detail`, values,
			func(v greentally.IndicatorValue) ([]any, any) {
				return []any{v.Community, v.Month.String(), v.Indicator, v.Value, string(v.Verdict)}, v
			})
	})
}

// Indicators returns a community's indicators of a month.
func (s *Store) Indicators(ctx context.Context, community string, month greentally.Month) ([]greentally.IndicatorValue, error) {
	return list[greentally.IndicatorValue](ctx, s, "indicators",
		"select detail from indicators where community = ? and month = ? order by indicator", community, month.String())
}

// WriteAssessments stores the assessments.
func (s *Store) WriteAssessments(ctx context.Context, assessments []greentally.Assessment) error {
	return s.writeJSON(ctx, "assessments", func(tx *sql.Tx) error {
		return upsert(ctx, tx, `insert into assessments (community, month, scheme, verdict, level, assessment) values (?,?,?,?,?,?)
			on conflict do update set verdict = excluded.verdict, level = excluded.level, assessment = excluded.assessment`, assessments,
			func(a greentally.Assessment) ([]any, any) {
				return []any{a.Community, a.Month.String(), a.Scheme, string(a.Verdict), a.Level}, a
			})
	})
}

// Assessments returns a community's assessments of a month.
func (s *Store) Assessments(ctx context.Context, community string, month greentally.Month) ([]greentally.Assessment, error) {
	return list[greentally.Assessment](ctx, s, "assessments",
		"select assessment from assessments where community = ? and month = ? order by scheme", community, month.String())
}

// WriteRecords stores the records.
func (s *Store) WriteRecords(ctx context.Context, records []greentally.Record) error {
	return s.writeJSON(ctx, "records", func(tx *sql.Tx) error {
		return upsert(ctx, tx, `insert into records (id, community, date, type, record) values (?,?,?,?,?)
			on conflict do update set record = excluded.record`, records, func(r greentally.Record) ([]any, any) {
			return []any{r.ID, r.Community, r.Date.String(), r.Type}, r
		})
	})
}

// Records returns a community's records.
func (s *Store) Records(ctx context.Context, community string, from, to greentally.Date) ([]greentally.Record, error) {
	return list[greentally.Record](ctx, s, "records",
		"select record from records where community = ? and date >= ? and (date <= ? or ?) order by id",
		community, from.String(), to.String(), to == greentally.Date{})
}

// WriteAlerts stores the alerts.
func (s *Store) WriteAlerts(ctx context.Context, alerts []greentally.Alert) error {
	return s.writeJSON(ctx, "alerts", func(tx *sql.Tx) error {
		return upsert(ctx, tx, `insert into alerts (community, fired, rule, device, indicator, alert) values (?,?,?,?,?,?)
			on conflict do update set alert = excluded.alert`, alerts, func(a greentally.Alert) ([]any, any) {
			return []any{a.Community, a.Fired.UnixNano(), a.Rule, a.Device, a.Indicator}, a
		})
	})
}

// Alerts returns a community's alerts.
func (s *Store) Alerts(ctx context.Context, community string, from, to time.Time) ([]greentally.Alert, error) {
	first, last := int64(math.MinInt64), int64(math.MaxInt64)
	if !from.IsZero() {
		first = from.UnixNano()
	}
	if !to.IsZero() {
		last = to.UnixNano()
	}
	return list[greentally.Alert](ctx, s, "alerts",
		"select alert from alerts where community = ? and fired >= ? and fired < ? order by fired, rule, device, indicator", community, first, last)
}

// writeJSON writes what do does, in one transaction.
func (s *Store) writeJSON(ctx context.Context, what string, do func(*sql.Tx) error) error {
	if err := s.transaction(ctx, do); err != nil {
		return fmt.Errorf("write %s to SQLite: %w", what, s.told(err))
	}
	return nil
}

// upsert writes the items: for each the columns that row returns, and what goes into the
// last column, as JSON.
func upsert[T any](ctx context.Context, tx *sql.Tx, statement string, items []T, row func(T) (columns []any, last any)) error {
	prepared, err := tx.PrepareContext(ctx, statement)
	if err != nil {
		return err
	}
	defer prepared.Close()
	for _, item := range items {
		columns, last := row(item)
		text, err := json.Marshal(last)
		if err != nil {
			return err
		}
		if _, err := prepared.ExecContext(ctx, append(columns, string(text))...); err != nil {
			return err
		}
	}
	return nil
}

// list decodes the one column of JSON that the statement selects.
func list[T any](ctx context.Context, s *Store, what, statement string, args ...any) (items []T, err error) {
	found, err := s.read.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, fmt.Errorf("read %s from SQLite: %w", what, s.told(err))
	}
	defer found.Close()
	decoder := rows.JSON[T]()
	for found.Next() {
		var text []byte
		if err := found.Scan(&text); err != nil {
			return nil, fmt.Errorf("read %s from SQLite: %w", what, s.told(err))
		}
		decoder.Add(text)
	}
	if err := found.Err(); err != nil {
		return nil, fmt.Errorf("read %s from SQLite: %w", what, s.told(err))
	}
	if items, err = decoder.Items(); err != nil {
		return nil, fmt.Errorf("read %s from SQLite: %w", what, s.told(err))
	}
	return items, nil
}
