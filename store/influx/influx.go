package influx

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	influxdb "github.com/influxdata/influxdb-client-go/v2"
	"github.com/influxdata/influxdb-client-go/v2/api"
	apihttp "github.com/influxdata/influxdb-client-go/v2/api/http"
	"github.com/influxdata/influxdb-client-go/v2/api/write"
	"github.com/influxdata/influxdb-client-go/v2/domain"

	"greentally"
	"greentally/internal/rows"
)

// Config says where InfluxDB is and what to use there.
type Config struct {
	URL   string // such as http://127.0.0.1:8086
	Org   string // 2.x only
	Token string // for 1.8: user:password, or empty if it asks for none
	TLS   *tls.Config

	Bucket        string // for readings; for 1.8 a database, or database/policy
	DerivedBucket string // for device-days, indicators, assessments, records and alerts

	// CreateBuckets makes the buckets if they are not there; Retention and
	// DerivedRetention are how long they then keep things, 0 for ever.
	CreateBuckets               bool
	Retention, DerivedRetention time.Duration
}

// Store is a store in InfluxDB.
type Store struct {
	config   Config
	client   influxdb.Client
	http     *http.Client
	readings api.WriteAPIBlocking
	derived  api.WriteAPIBlocking
	packing  *packing
}

var _ greentally.Store = (*Store)(nil)

// requestTimeout bounds one write, and the wait for the beginning of an answer.
const requestTimeout = 30 * time.Second

// Open connects, and makes the buckets if it is to. It does not need the server to be
// up: without it, Open returns a store whose writes fail until it is, and reports that
// by an error that wraps [ErrUnreachable] together with the store. The error wraps
// [ErrNotInfluxDB] if something else answers.
func Open(ctx context.Context, config Config) (*Store, error) {
	if _, err := url.Parse(config.URL); err != nil {
		return nil, fmt.Errorf("InfluxDB URL: %w", err)
	}
	packing, err := newPacking()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = config.TLS
	transport.ResponseHeaderTimeout = requestTimeout
	transport.DisableCompression = true // it takes influxd longer than all else in an answer
	client := &http.Client{Transport: guard{transport}}
	options := influxdb.DefaultOptions().SetHTTPClient(client).SetPrecision(time.Nanosecond).SetLogLevel(0)
	s := &Store{config: config, http: client, packing: packing, client: influxdb.NewClientWithOptions(config.URL, config.Token, options)}
	s.readings = s.client.WriteAPIBlocking(config.Org, config.Bucket)
	s.derived = s.client.WriteAPIBlocking(config.Org, config.DerivedBucket)
	if err := s.Prepare(ctx); err != nil {
		if errors.Is(err, ErrUnreachable) {
			return s, err
		}
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// ErrUnreachable is wrapped by errors of a server that does not answer.
var ErrUnreachable = errors.New("InfluxDB does not answer")

// Prepare makes the buckets if it is to and they are not there.
func (s *Store) Prepare(ctx context.Context) error {
	version, err := s.version(ctx)
	if err != nil {
		return err
	}
	if !s.config.CreateBuckets {
		return nil
	}
	for bucket, retention := range map[string]time.Duration{s.config.Bucket: s.config.Retention, s.config.DerivedBucket: s.config.DerivedRetention} {
		var err error
		switch {
		case strings.HasPrefix(version, "1."):
			err = s.createDatabase(ctx, bucket, retention)
		case strings.HasPrefix(strings.TrimPrefix(version, "v"), "2."):
			err = s.createBucket(ctx, bucket, retention)
		default: // 3.x makes databases by itself
		}
		if err != nil {
			return fmt.Errorf("make the bucket %q in InfluxDB: %w; make it yourself and set create_buckets: false, or give a token that may", bucket, err)
		}
	}
	return nil
}

// version returns the server's version, such as 1.8.10 or v2.7.6.
func (s *Store) version(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	response, err := s.request(ctx, http.MethodGet, "/ping", nil)
	if errors.Is(err, ErrNotInfluxDB) {
		return "", err
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer response.Body.Close()
	if version := response.Header.Get("X-Influxdb-Version"); version != "" {
		return version, nil
	}
	var answer struct{ Version, Revision string } // of the first of 3.x
	text, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err == nil && json.Unmarshal(text, &answer) == nil && answer.Version != "" && answer.Revision != "" {
		return answer.Version, nil
	}
	return "", notInfluxDB(response, "it does not say its version")
}

// Ready reports whether the server answers, and is InfluxDB.
func (s *Store) Ready(ctx context.Context) error {
	_, err := s.version(ctx)
	return err
}

func (s *Store) createDatabase(ctx context.Context, bucket string, retention time.Duration) error {
	database, _, _ := strings.Cut(bucket, "/")
	statement := "CREATE DATABASE " + identifier(database)
	if retention > 0 {
		statement += " WITH DURATION " + strconv.FormatInt(int64(retention/time.Second), 10) + "s"
	}
	response, err := s.request(ctx, http.MethodPost, "/query", url.Values{"q": {statement}})
	if err != nil {
		return err
	}
	return eachResult(response, func(columns, []jsontext.Value) bool { return true })
}

func (s *Store) createBucket(ctx context.Context, name string, retention time.Duration) error {
	buckets := s.client.BucketsAPI()
	if _, err := buckets.FindBucketByName(ctx, name); err == nil {
		return nil
	}
	org, err := s.client.OrganizationsAPI().FindOrganizationByName(ctx, s.config.Org)
	if err != nil {
		return err
	}
	var rules []domain.RetentionRule
	if retention > 0 {
		rules = append(rules, domain.RetentionRule{EverySeconds: int64(retention / time.Second)})
	}
	_, err = buckets.CreateBucketWithName(ctx, org, name, rules...)
	return err
}

// Close closes idle connections.
func (s *Store) Close() error {
	s.client.Close()
	s.http.CloseIdleConnections()
	return nil
}

// pointsAtOnce is how many points one request writes.
const pointsAtOnce = 5000

// WriteReadings stores the readings.
func (s *Store) WriteReadings(ctx context.Context, readings []greentally.Reading) error {
	points := make([]*write.Point, len(readings))
	for i := range readings {
		points[i] = readingPoint(&readings[i])
	}
	var refused greentally.RefusedError
	for from := 0; from < len(points); from += pointsAtOnce {
		to := min(from+pointsAtOnce, len(points))
		if err := s.writeSome(ctx, points[from:to], from, &refused); err != nil {
			return fmt.Errorf("write readings to InfluxDB: %w", err)
		}
	}
	if len(refused.Refused) > 0 {
		if err := s.Ready(ctx); err != nil { // what is refused is given up, so let it be InfluxDB that refuses it
			return fmt.Errorf("readings are refused, but not by InfluxDB: %w", err)
		}
		return &refused
	}
	return ctx.Err()
}

// writeSome writes points, of which the first is number first of all. If the server
// refuses some it halves them until it has found which: every half is written, so that
// all others are stored.
func (s *Store) writeSome(ctx context.Context, points []*write.Point, first int, refused *greentally.RefusedError) error {
	err := s.readings.WritePoint(ctx, points...)
	var answer *apihttp.Error
	if err == nil || !errors.As(err, &answer) {
		return err
	}
	switch answer.StatusCode {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		if len(points) == 1 {
			refused.Refused = append(refused.Refused, greentally.Refusal{Index: first, Reason: strings.TrimSpace(answer.Message)})
			return nil
		}
	case http.StatusRequestEntityTooLarge:
		if len(points) == 1 {
			return err
		}
	default:
		return err
	}
	half := len(points) / 2
	if err := s.writeSome(ctx, points[:half], first, refused); err != nil {
		return err
	}
	return s.writeSome(ctx, points[half:], first+half, refused)
}

// The names of tags and fields that are not quantities.
const (
	tagCommunity = "community"
	tagSite      = "site"
	tagDevice    = "device"
	tagStream    = "stream"
	tagKind      = "kind"

	fieldQuality = "quality"
	fieldJSON    = "json"
	fieldPacked  = "packed"  // of a device-day: the same without its hours, see packing
	fieldWritten = "written" // when a derived point was written, so that the latest counts
	fieldCurrent = "current" // false if another point has taken the place of this, see superseded
)

func readingPoint(r *greentally.Reading) *write.Point {
	p := write.NewPointWithMeasurement(r.Kind).AddTag(tagCommunity, r.Community).AddTag(tagDevice, r.Device)
	if r.Site != "" {
		p.AddTag(tagSite, r.Site)
	}
	if r.Stream != "" {
		p.AddTag(tagStream, string(r.Stream))
	}
	p.AddField(fieldQuality, int64(r.Quality))
	for _, v := range r.Values {
		if v.State != "" {
			p.AddField(v.Quantity, v.State)
		} else {
			p.AddField(v.Quantity, v.Number)
		}
	}
	return p.SetTime(r.Time)
}

// Readings returns one device's readings.
func (s *Store) Readings(ctx context.Context, q greentally.ReadingQuery) iter.Seq2[greentally.Reading, error] {
	return func(yield func(greentally.Reading, error) bool) {
		if err := s.scan(ctx, q, yield); err != nil {
			yield(greentally.Reading{}, fmt.Errorf("read readings of %s from InfluxDB: %w", q.DeviceKey, err))
		}
	}
}

func (s *Store) scan(ctx context.Context, q greentally.ReadingQuery, yield func(greentally.Reading, error) bool) error {
	if q.Limit == 0 {
		_, err := s.merge(ctx, q, "*", 0, func(r greentally.Reading) bool { return yield(r, nil) })
		return err
	}
	// A device that was moved has two series, and so perhaps two rows for an instant:
	// ask for more until there are enough instants.
	what := "*"
	if q.With != "" {
		what = identifier(q.With)
	}
	for rows := 2 * q.Limit; ; rows *= 4 {
		var found []greentally.Reading
		seen, err := s.merge(ctx, q, what, rows, func(r greentally.Reading) bool {
			found = append(found, r)
			return len(found) < q.Limit
		})
		if err != nil {
			return err
		}
		if len(found) < q.Limit && seen == rows {
			continue
		}
		if q.With == "" || len(found) == 0 {
			for _, r := range found {
				if !yield(r, nil) {
					return nil
				}
			}
			return nil
		}
		// That found the instants; now read them whole.
		whole := q
		whole.Limit = 0
		whole.From, whole.To = found[0].Time, found[len(found)-1].Time.Add(1)
		if q.Descending {
			whole.From, whole.To = found[len(found)-1].Time, found[0].Time.Add(1)
		}
		return s.scan(ctx, whole, yield)
	}
}

// merge selects rows, at most limit if it is not 0, and makes one reading of those
// with the same time. It returns how many rows there were.
func (s *Store) merge(ctx context.Context, q greentally.ReadingQuery, what string, limit int, yield func(greentally.Reading) bool) (rows int, err error) {
	statement := "SELECT " + what + " FROM " + identifier(q.Kind) + " WHERE " + tag(tagCommunity, q.Community) + " AND " + tag(tagDevice, q.Device)
	if !q.From.IsZero() {
		statement += " AND time >= " + strconv.FormatInt(q.From.UnixNano(), 10)
	}
	if !q.To.IsZero() {
		statement += " AND time < " + strconv.FormatInt(q.To.UnixNano(), 10)
	}
	statement += " ORDER BY time"
	if q.Descending {
		statement += " DESC"
	}
	if limit > 0 {
		statement += " LIMIT " + strconv.Itoa(limit)
	}
	var pending *greentally.Reading
	stopped := false
	emit := func() bool {
		if pending == nil {
			return true
		}
		r := *pending
		pending = nil
		if _, has := r.Value(q.With); q.With != "" && !has {
			return true
		}
		if !yield(r) {
			stopped = true
		}
		return !stopped
	}
	var rowErr error
	err = s.query(ctx, s.config.Bucket, statement, func(names columns, row []jsontext.Value) bool {
		rows++
		var r greentally.Reading
		if r, rowErr = parseReading(q, names, row); rowErr != nil {
			return false
		}
		if pending != nil && pending.Time.Equal(r.Time) {
			for _, v := range r.Values {
				if _, has := pending.Value(v.Quantity); !has {
					pending.Values = append(pending.Values, v)
					greentally.SortValues(pending.Values)
				}
			}
			return true
		}
		if !emit() {
			return false
		}
		pending = &r
		return true
	})
	if err = errors.Join(err, rowErr); err == nil && !stopped {
		emit()
	}
	return rows, err
}

func parseReading(q greentally.ReadingQuery, names columns, row []jsontext.Value) (greentally.Reading, error) {
	r := greentally.Reading{DeviceKey: q.DeviceKey, Kind: q.Kind, Values: make([]greentally.Value, 0, len(names))}
	for i, name := range names {
		var err error
		switch v := row[i]; {
		case v.Kind() == 'n' || name == tagCommunity || name == tagDevice:
		case name == "time":
			var nanoseconds int64
			nanoseconds, err = strconv.ParseInt(string(v), 10, 64)
			r.Time = time.Unix(0, nanoseconds).UTC()
		case name == fieldQuality:
			var quality int
			quality, err = strconv.Atoi(string(v))
			r.Quality = greentally.Quality(quality)
		case v.Kind() == '0':
			var number float64
			number, err = strconv.ParseFloat(string(v), 64)
			r.Values = append(r.Values, greentally.Value{Quantity: name, Number: number})
		default:
			var text []byte
			text, err = jsontext.AppendUnquote(nil, v)
			switch name {
			case tagSite:
				r.Site = string(text)
			case tagStream:
				r.Stream = greentally.Stream(text)
			default:
				r.Values = append(r.Values, greentally.Value{Quantity: name, State: string(text)})
			}
		}
		if err != nil {
			return r, fmt.Errorf("column %s has %s: %w", name, row[i], err)
		}
	}
	greentally.SortValues(r.Values)
	return r, nil
}

// columns is the names of a row's columns.
type columns []string

// query runs an InfluxQL statement and calls row for each row until it returns false.
func (s *Store) query(ctx context.Context, bucket, statement string, row func(columns, []jsontext.Value) bool) error {
	database, policy, _ := strings.Cut(bucket, "/")
	form := url.Values{"db": {database}, "q": {statement}, "epoch": {"ns"}, "chunked": {"true"}, "chunk_size": {"1000"}}
	if policy != "" {
		form.Set("rp", policy)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // a scan that stops early leaves the rest
	response, err := s.request(ctx, http.MethodPost, "/query", form)
	if err != nil {
		return err
	}
	return eachResult(response, row)
}

// request sends a form and returns an answer with status 2xx.
func (s *Store) request(ctx context.Context, method, path string, form url.Values) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(s.config.URL, "/")+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	request.Header.Set("Accept", "application/json")
	if s.config.Token != "" {
		request.Header.Set("Authorization", "Token "+s.config.Token)
	}
	response, err := s.http.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode/100 != 2 {
		defer response.Body.Close()
		text, err := io.ReadAll(io.LimitReader(response.Body, 4096))
		reason := ""
		if err == nil {
			reason = reasonIn(text)
		}
		switch {
		case reason != "":
			return nil, fmt.Errorf("%s: %s", response.Status, reason)
		case response.StatusCode == http.StatusNotFound && !isOurs(response): // the one that comes from a wrong address
			return nil, notInfluxDB(response, "it does not know the path")
		}
		return nil, errors.New(response.Status)
	}
	return response, nil
}

// reasonIn returns the reason in the text of an answer that refuses something, if there is one.
func reasonIn(text []byte) string {
	var answer struct{ Error, Message string }
	if json.Unmarshal(text, &answer) != nil {
		return ""
	}
	return answer.Error + answer.Message
}

// eachResult calls row for each row of an answer to InfluxQL, chunked or not, and closes the
// answer. An answer without a result, or one that ends before its results do, is an error: it
// must not look as if there were no rows.
func eachResult(response *http.Response, row func(columns, []jsontext.Value) bool) error {
	defer response.Body.Close()
	decoder := jsontext.NewDecoder(response.Body, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	results, more := 0, false
	for {
		var chunk struct {
			Error   string `json:"error"`
			Results []struct {
				Error   string `json:"error"`
				Partial bool   `json:"partial"`
				Series  []struct {
					Columns columns            `json:"columns"`
					Values  [][]jsontext.Value `json:"values"`
					Partial bool               `json:"partial"`
				} `json:"series"`
			} `json:"results"`
		}
		switch err := jsonv2.UnmarshalDecode(decoder, &chunk); {
		case err == nil:
		case errors.Is(err, io.EOF) && results == 0:
			return notInfluxDB(response, "the answer is empty")
		case errors.Is(err, io.EOF) && more:
			return errors.New("InfluxDB's answer ends before its rows do; is there a limit of rows (max-row-limit), or a proxy that cuts answers?")
		case errors.Is(err, io.EOF):
			return nil
		case isSyntactic(err):
			return fmt.Errorf("%w: %w", notInfluxDB(response, "that is no JSON"), err)
		default:
			return err
		}
		if chunk.Error != "" {
			return errors.New(chunk.Error)
		}
		if len(chunk.Results) == 0 {
			return notInfluxDB(response, "there is no result in it")
		}
		for _, result := range chunk.Results {
			if result.Error != "" {
				return errors.New(result.Error)
			}
			results++
			more = result.Partial
			for _, series := range result.Series {
				more = more || series.Partial
				for _, values := range series.Values {
					if len(values) != len(series.Columns) {
						return fmt.Errorf("a row of %d values under %d columns", len(values), len(series.Columns))
					}
					if !row(series.Columns, values) {
						return nil
					}
				}
			}
		}
	}
}

// isSyntactic reports whether a text is no JSON, or not of the form that was asked for. One that
// ends too early is neither.
func isSyntactic(err error) bool {
	var syntactic *jsontext.SyntacticError
	var semantic *jsonv2.SemanticError
	return !errors.Is(err, io.ErrUnexpectedEOF) && (errors.As(err, &syntactic) || errors.As(err, &semantic))
}

// identifier quotes a name for InfluxQL.
func identifier(name string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(name) + `"`
}

// tag is the condition that a tag has a value.
func tag(name, value string) string {
	return identifier(name) + " = " + literal(value)
}

// differs is the condition that a tag has another value, or none.
func differs(name, value string) string {
	return identifier(name) + " != " + literal(value)
}

func literal(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`).Replace(value) + "'"
}

// writeDerived writes points to the derived bucket, each with the whole as JSON.
func (s *Store) writeDerived(ctx context.Context, what string, points []*write.Point) error {
	for some := range slices.Chunk(points, 500) {
		if err := s.derived.WritePoint(ctx, some...); err != nil {
			return fmt.Errorf("write %s to InfluxDB: %w", what, err)
		}
	}
	return nil
}

// derivedPoint makes a point that carries v as JSON.
func derivedPoint(measurement string, at time.Time, v any) (*write.Point, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return write.NewPointWithMeasurement(measurement).SetTime(at).AddField(fieldJSON, string(text)).AddField(fieldWritten, time.Now().UnixNano()), nil
}

// WriteDeviceDays stores the device-days.
func (s *Store) WriteDeviceDays(ctx context.Context, days []greentally.DeviceDay) error {
	points := make([]*write.Point, len(days))
	for i := range days {
		d := &days[i]
		p, err := derivedPoint("device_day", d.Start, d)
		if err != nil {
			return fmt.Errorf("device-day %s %s: %w", d.DeviceKey, d.Date, err)
		}
		packed, err := s.packing.pack(d)
		if err != nil {
			return fmt.Errorf("device-day %s %s: %w", d.DeviceKey, d.Date, err)
		}
		p.AddField(fieldPacked, packed).AddField(fieldCurrent, true)
		identity, placement := labelsOfDay(d)
		placement.addTo(identity.addTo(p))
		p.AddField("readings", int64(d.Readings)).AddField("suspect", int64(d.Suspect)).AddField("completeness", d.Completeness())
		for q, g := range d.Gauges {
			p.AddField(q+"_min", g.Min.Float()).AddField(q+"_max", g.Max.Float()).AddField(q+"_mean", g.Mean.Float()).
				AddField(q+"_above_hours", time.Duration(g.Above).Hours())
		}
		for q, m := range d.Masses {
			p.AddField(q+"_deposited", m.Deposited.Float()).AddField(q+"_collected", m.Collected.Float()).AddField(q+"_collections", int64(len(m.Collections)))
		}
		for q, r := range d.Registers {
			p.AddField(q+"_rise", r.Rise.Float())
		}
		for q, state := range d.States {
			for word, held := range state.Time {
				p.AddField(q+"_"+word+"_hours", time.Duration(held).Hours())
			}
		}
		points[i] = p
	}
	for some := range ofOnePlace(days) {
		identity, placement := labelsOfDay(&some[0])
		times := make([]time.Time, len(some))
		for i := range some {
			times[i] = some[i].Start
		}
		marks, err := s.superseded(ctx, "device_day", identity, placement, times)
		if err != nil {
			return fmt.Errorf("look in InfluxDB for device-days of %s in other places: %w", some[0].DeviceKey, err)
		}
		points = append(points, marks...)
	}
	return s.writeDerived(ctx, "device-days", points)
}

func labelsOfDay(d *greentally.DeviceDay) (identity, placement labels) {
	return labels{{tagCommunity, d.Community}, {tagDevice, d.Device}}, labels{{tagKind, d.Kind}, {tagSite, d.Site}, {tagStream, string(d.Stream)}}
}

// ofOnePlace cuts device-days into pieces of one device in one place.
func ofOnePlace(days []greentally.DeviceDay) iter.Seq[[]greentally.DeviceDay] {
	return func(yield func([]greentally.DeviceDay) bool) {
		for from := 0; from < len(days); {
			to := from + 1
			for d := &days[from]; to < len(days) && days[to].DeviceKey == d.DeviceKey && days[to].Kind == d.Kind && days[to].Site == d.Site && days[to].Stream == d.Stream; to++ {
			}
			if !yield(days[from:to]) {
				return
			}
			from = to
		}
	}
}

// DeviceDays returns those that match.
func (s *Store) DeviceDays(ctx context.Context, q greentally.DeviceDayQuery) ([]greentally.DeviceDay, error) {
	condition := tag(tagCommunity, q.Community)
	if q.Device != "" {
		condition += " AND " + tag(tagDevice, q.Device)
	}
	// Days start up to 14 hours away from those of UTC.
	condition += " AND " + between(q.From.Start(time.UTC).Add(-14*time.Hour), q.To.Add(1).Start(time.UTC).Add(14*time.Hour))
	type key struct {
		device string
		date   greentally.Date
	}
	byDate := func(d greentally.DeviceDay) key { return key{d.Device, d.Date} }
	var days []greentally.DeviceDay
	err := errNoField
	if q.Totals {
		days, err = latest(ctx, s, "device_day", fieldPacked, condition, rows.New(s.packing.unpack), byDate)
	}
	if errors.Is(err, errNoField) {
		days, err = latest(ctx, s, "device_day", fieldJSON, condition, rows.JSON[greentally.DeviceDay](), byDate)
	}
	if err != nil {
		return nil, err
	}
	days = slices.DeleteFunc(days, func(d greentally.DeviceDay) bool { return d.Date.Before(q.From) || q.To.Before(d.Date) })
	slices.SortFunc(days, func(a, b greentally.DeviceDay) int {
		return cmp.Or(strings.Compare(a.Device, b.Device), a.Start.Compare(b.Start))
	})
	return days, nil
}

// WriteIndicators stores the indicators.
func (s *Store) WriteIndicators(ctx context.Context, values []greentally.IndicatorValue) error {
	points := make([]*write.Point, len(values))
	for i := range values {
		v := &values[i]
		p, err := derivedPoint("indicator", v.Month.First().Start(time.UTC), v)
		if err != nil {
			return fmt.Errorf("indicator %s: %w", v.Indicator, err)
		}
		p.AddTag(tagCommunity, v.Community).AddTag("indicator", v.Indicator).
			AddField("completeness", v.Completeness).AddField("verdict", string(v.Verdict)).AddField("known", v.Value != nil).
			AddField("estimated_share", v.EstimatedShare).
			AddField("unit", v.Unit).AddField("title_zh", v.Title.ZH).AddField("title_en", v.Title.EN).AddField("target", "")
		if v.Target != nil {
			p.AddField("target", v.Target.In(v.Unit))
		}
		for name, number := range map[string]*float64{"value": v.Value, "numerator": v.Numerator, "denominator": v.Denominator, "uncertainty": v.Uncertainty} {
			if number != nil {
				p.AddField(name, *number)
			}
		}
		points[i] = p
	}
	return s.writeDerived(ctx, "indicators", points)
}

// Indicators returns a community's indicators of a month.
func (s *Store) Indicators(ctx context.Context, community string, month greentally.Month) ([]greentally.IndicatorValue, error) {
	at := month.First().Start(time.UTC)
	values, err := latest(ctx, s, "indicator", fieldJSON, tag(tagCommunity, community)+" AND "+between(at, at.Add(1)), rows.JSON[greentally.IndicatorValue](),
		func(v greentally.IndicatorValue) string { return v.Indicator })
	slices.SortFunc(values, func(a, b greentally.IndicatorValue) int { return strings.Compare(a.Indicator, b.Indicator) })
	return values, err
}

// WriteAssessments stores the assessments.
func (s *Store) WriteAssessments(ctx context.Context, assessments []greentally.Assessment) error {
	points := make([]*write.Point, len(assessments))
	for i := range assessments {
		a := &assessments[i]
		p, err := derivedPoint("assessment", a.Month.First().Start(time.UTC), a)
		if err != nil {
			return fmt.Errorf("assessment by %s: %w", a.Scheme, err)
		}
		p.AddTag(tagCommunity, a.Community).AddTag("scheme", a.Scheme).
			AddField("at_least", a.AtLeast).AddField("at_most", a.AtMost).AddField("total", a.Total).
			AddField("verdict", string(a.Verdict)).AddField("complete", a.Complete).AddField("verified", a.Verified).
			AddField("title_zh", a.Title.ZH).AddField("title_en", a.Title.EN).
			AddField("level", a.Level).AddField("level_zh", a.LevelTitle.ZH).AddField("level_en", a.LevelTitle.EN)
		if a.Total > 0 {
			p.AddField("share_at_least", a.AtLeast/a.Total).AddField("share_at_most", a.AtMost/a.Total)
		}
		points[i] = p
	}
	return s.writeDerived(ctx, "assessments", points)
}

// Assessments returns a community's assessments of a month.
func (s *Store) Assessments(ctx context.Context, community string, month greentally.Month) ([]greentally.Assessment, error) {
	at := month.First().Start(time.UTC)
	assessments, err := latest(ctx, s, "assessment", fieldJSON, tag(tagCommunity, community)+" AND "+between(at, at.Add(1)), rows.JSON[greentally.Assessment](),
		func(a greentally.Assessment) string { return a.Scheme })
	slices.SortFunc(assessments, func(a, b greentally.Assessment) int { return strings.Compare(a.Scheme, b.Scheme) })
	return assessments, err
}

// WriteRecords stores the records.
func (s *Store) WriteRecords(ctx context.Context, records []greentally.Record) error {
	points := make([]*write.Point, len(records))
	for i := range records {
		r := &records[i]
		p, err := derivedPoint("record", r.Date.Start(time.UTC), r)
		if err != nil {
			return fmt.Errorf("record %s: %w", r.ID, err)
		}
		p.AddTag(tagCommunity, r.Community).AddTag("type", r.Type).AddTag("id", r.ID)
		for name, number := range r.Values {
			p.AddField("value_"+name, number)
		}
		points[i] = p
	}
	return s.writeDerived(ctx, "records", points)
}

// Records returns a community's records.
func (s *Store) Records(ctx context.Context, community string, from, to greentally.Date) ([]greentally.Record, error) {
	condition := tag(tagCommunity, community)
	if from != (greentally.Date{}) {
		condition += " AND time >= " + strconv.FormatInt(from.Start(time.UTC).UnixNano(), 10)
	}
	if to != (greentally.Date{}) {
		condition += " AND time < " + strconv.FormatInt(to.Add(1).Start(time.UTC).UnixNano(), 10)
	}
	records, err := latest(ctx, s, "record", fieldJSON, condition, rows.JSON[greentally.Record](),
		func(r greentally.Record) string { return r.ID })
	slices.SortFunc(records, func(a, b greentally.Record) int { return strings.Compare(a.ID, b.ID) })
	return records, err
}

// WriteAlerts stores the alerts.
func (s *Store) WriteAlerts(ctx context.Context, alerts []greentally.Alert) error {
	points := make([]*write.Point, len(alerts))
	var superseded []*write.Point
	for i := range alerts {
		a := &alerts[i]
		p, err := derivedPoint("alert", a.Fired, a)
		if err != nil {
			return fmt.Errorf("alert %s: %w", a.Rule, err)
		}
		identity := labels{{tagCommunity, a.Community}, {"rule", a.Rule}, {tagDevice, a.Device}, {"indicator", a.Indicator}}
		placement := labels{{"severity", string(a.Severity)}, {tagKind, a.Kind}, {tagSite, a.Site}, {tagStream, string(a.Stream)}}
		placement.addTo(identity.addTo(p)).AddField(fieldCurrent, true)
		marks, err := s.superseded(ctx, "alert", identity, placement, []time.Time{a.Fired})
		if err != nil {
			return fmt.Errorf("look in InfluxDB for alerts of %s in other places: %w", a.Rule, err)
		}
		superseded = append(superseded, marks...)
		p.AddField("firing", a.Ended == nil).AddField("since", a.Since.UnixMilli()).
			AddField("title_zh", a.Title.ZH).AddField("title_en", a.Title.EN).AddField("summary_zh", a.Summary.ZH).AddField("summary_en", a.Summary.EN)
		if a.Ended != nil {
			p.AddField("ended", a.Ended.UnixMilli()).AddField("hours", a.Ended.Sub(a.Since).Hours())
		}
		points[i] = p
	}
	return s.writeDerived(ctx, "alerts", append(points, superseded...))
}

// Alerts returns a community's alerts.
func (s *Store) Alerts(ctx context.Context, community string, from, to time.Time) ([]greentally.Alert, error) {
	condition := tag(tagCommunity, community)
	if !from.IsZero() {
		condition += " AND time >= " + strconv.FormatInt(from.UnixNano(), 10)
	}
	if !to.IsZero() {
		condition += " AND time < " + strconv.FormatInt(to.UnixNano(), 10)
	}
	type key struct {
		greentally.AlertKey
		fired int64
	}
	alerts, err := latest(ctx, s, "alert", fieldJSON, condition, rows.JSON[greentally.Alert](),
		func(a greentally.Alert) key { return key{a.Key(), a.Fired.UnixNano()} })
	slices.SortFunc(alerts, greentally.CompareAlerts)
	return alerts, err
}

// between is the condition that a time is in from … to, the end exclusive.
func between(from, to time.Time) string {
	return "time >= " + strconv.FormatInt(from.UnixNano(), 10) + " AND time < " + strconv.FormatInt(to.UnixNano(), 10)
}

// latest reads things back from the text in the field; of several with the same key it
// takes the one written last.
func latest[T any, K comparable](ctx context.Context, s *Store, measurement, field, condition string, decoder *rows.Decoder[T], key func(T) K) ([]T, error) {
	var written []int64
	var rowErr error
	err := s.query(ctx, s.config.DerivedBucket, "SELECT "+field+", "+fieldWritten+" FROM "+identifier(measurement)+" WHERE "+condition,
		func(_ columns, row []jsontext.Value) bool { // time, field, written
			if row[1].Kind() != '"' {
				rowErr = errNoField
				return false
			}
			var text []byte
			var at int64
			if text, rowErr = jsontext.AppendUnquote(nil, row[1]); rowErr == nil {
				at, rowErr = strconv.ParseInt(string(row[2]), 10, 64)
			}
			decoder.Add(text)
			written = append(written, at)
			return rowErr == nil
		})
	items, wrong := decoder.Items()
	if err = errors.Join(err, rowErr, wrong); err != nil {
		return nil, fmt.Errorf("read %s from InfluxDB: %w", measurement, err)
	}
	kept, newest := 0, make(map[K]int, len(items)) // where in kept
	for i := range items {
		k := key(items[i])
		at, known := newest[k]
		switch {
		case !known:
			newest[k] = kept
			items[kept], written[kept] = items[i], written[i]
			kept++
		case written[at] <= written[i]:
			items[at], written[at] = items[i], written[i]
		}
	}
	return items[:kept], nil
}

// errNoField says that a point does not have the field, because it was written by an earlier
// version.
var errNoField = errors.New("a point lacks the field")
