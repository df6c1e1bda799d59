package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"greentally"
	"greentally/devices"
	"greentally/ingest"
	"greentally/internal/embeddednats"
	"greentally/internal/retry"
	"greentally/internal/strictyaml"
	"greentally/records"
	"greentally/rules"
	"greentally/rules/factors"
	"greentally/rules/indicators"
	"greentally/rules/schemes"
	"greentally/store/influx"
	"greentally/store/sqlite"
)

// logger returns the program's logger.
func (p *program) logger(c config) *slog.Logger {
	level := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}[c.Log.Level]
	options := &slog.HandlerOptions{Level: level}
	if c.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(p.err, options))
	}
	return slog.New(slog.NewTextHandler(p.err, options))
}

func (c config) sqliteFile() string { return filepath.Join(c.DataDir, "greentally.db") }

// registryOptions says what the registry is made of.
func (c config) registryOptions() devices.Options {
	o := devices.Options{
		Communities: strictyaml.Dir(c.Communities),
		Limits: devices.Limits{MaxPayload: int(c.Limits.MaxPayload), MaxFuture: time.Duration(c.Limits.MaxFuture),
			MaxPast: time.Duration(c.Limits.MaxPast)},
	}
	if c.Kinds != "" {
		o.Kinds = append(o.Kinds, strictyaml.Dir(c.Kinds))
	}
	if c.Profiles != "" {
		o.Profiles = append(o.Profiles, strictyaml.Dir(c.Profiles))
	}
	return o
}

// openRegistry loads kinds, profiles and communities.
func openRegistry(c config) (*devices.Live, error) {
	registry, err := devices.OpenLive(c.registryOptions())
	if err != nil {
		return nil, fmt.Errorf("registry:\n%w", err)
	}
	return registry, nil
}

// openIndicators loads the indicators that are shipped, and the user's own.
func openIndicators(c config, kinds *devices.Registry, types *records.Types) (*indicators.Set, error) {
	figures, err := openFactors(c)
	if err != nil {
		return nil, err
	}
	watched, err := openAlertRules(c, kinds)
	if err != nil {
		return nil, err
	}
	set, err := indicators.Load(indicators.Vocabulary{Kind: kinds.Kind, RecordType: types.Type, Factor: figures.Factor, AlertRule: watched.OfDevices}, withOwn(indicators.Shipped(), c.Indicators)...)
	if err != nil {
		return nil, fmt.Errorf("indicators:\n%w", err)
	}
	return set, nil
}

// openFactors loads the dated figures that are shipped, and the user's own.
func openFactors(c config) (*factors.Set, error) {
	set, err := factors.Load(withOwn(factors.Shipped(), c.Factors)...)
	if err != nil {
		return nil, fmt.Errorf("factors:\n%w", err)
	}
	return set, nil
}

// withOwn returns the folders of what is shipped, and the user's own folder if there is one.
func withOwn(shipped strictyaml.Folder, own string) []strictyaml.Folder {
	if own == "" {
		return []strictyaml.Folder{shipped}
	}
	return []strictyaml.Folder{shipped, strictyaml.Dir(own)}
}

// openRecordTypes loads the types of records that are shipped, and the user's own.
func openRecordTypes(c config) (*records.Types, error) {
	types, err := records.LoadTypes(withOwn(records.Shipped(), c.RecordTypes)...)
	if err != nil {
		return nil, fmt.Errorf("types of records:\n%w", err)
	}
	return types, nil
}

// openSchemes loads the certification schemes that are shipped, and the user's own.
func openSchemes(c config, set *indicators.Set, types *records.Types) (*schemes.Set, error) {
	all, err := schemes.Load(schemes.Vocabulary{Units: set.Units(), RecordType: types.Type}, withOwn(schemes.Shipped(), c.Schemes)...)
	if err != nil {
		return nil, fmt.Errorf("schemes:\n%w", err)
	}
	return all, nil
}

// newWorker makes the worker that tallies, and computes rates.
func newWorker(store greentally.Store, registry *devices.Live, set *indicators.Set, log *slog.Logger) *rules.Worker {
	return &rules.Worker{
		Store: store, Registry: func() rules.Registry { return registry.Current() },
		Indicators: set, Now: time.Now, Log: log.With("part", "tally"),
	}
}

// openStore opens InfluxDB if it is configured, else SQLite in the data folder. An
// InfluxDB that does not answer yet is no error: the journal keeps everything meanwhile.
func openStore(ctx context.Context, c config, log *slog.Logger) (greentally.Store, error) {
	if c.InfluxDB.URL == "" {
		return sqlite.Open(ctx, c.sqliteFile())
	}
	token, err := secret(c.InfluxDB.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("influxdb.token_file: %w", err)
	}
	tlsConfig, err := c.InfluxDB.TLS.config()
	if err != nil {
		return nil, fmt.Errorf("influxdb.tls: %w", err)
	}
	store, err := influx.Open(ctx, influx.Config{
		URL: c.InfluxDB.URL, Org: c.InfluxDB.Org, Token: token, TLS: tlsConfig,
		Bucket: c.InfluxDB.Bucket, DerivedBucket: c.InfluxDB.DerivedBucket, CreateBuckets: *c.InfluxDB.CreateBuckets,
		Retention: time.Duration(c.InfluxDB.Retention), DerivedRetention: time.Duration(c.InfluxDB.DerivedRetention),
	})
	if errors.Is(err, influx.ErrUnreachable) && store != nil {
		log.Warn("InfluxDB does not answer; readings wait in the journal until it does", "error", err)
		go prepareLater(ctx, store, log)
		return store, nil
	}
	if err != nil {
		return nil, err
	}
	return store, nil
}

// prepareLater makes the buckets when the server answers at last.
func prepareLater(ctx context.Context, store *influx.Store, log *slog.Logger) {
	for {
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
			return
		}
		err := store.Prepare(ctx)
		if err == nil {
			return
		}
		if !errors.Is(err, influx.ErrUnreachable) {
			log.Error("InfluxDB answers, but cannot be used", "error", err)
		}
	}
}

// jetStreams are JetStream: in the process, or a cluster of the user's.
type jetStreams struct {
	ingest.Streams
	inProcess *embeddednats.Server // nil with a cluster
	closers   []func()
}

// openJetStream connects to the user's NATS cluster, or starts a server in the process. It waits
// for a cluster that is out of reach until ctx is done.
func openJetStream(ctx context.Context, c config, disk, away func(error), damaged func([]embeddednats.Damage), log *slog.Logger) (all *jetStreams, err error) {
	all = &jetStreams{}
	all.Replicas = c.NATS.Replicas
	connect := func(name string) (*nats.Conn, error) {
		options := []nats.Option{nats.Name(name), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true),
			nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
				away(fmt.Errorf("the connection to NATS is lost, and nothing is taken until it is there again: %w", cmp.Or(err, nats.ErrDisconnected)))
			}),
			nats.ReconnectHandler(func(*nats.Conn) { away(nil) })}
		if c.NATS.CredentialsFile != "" {
			options = append(options, nats.UserCredentials(c.NATS.CredentialsFile))
		}
		conn, err := nats.Connect(strings.Join(c.NATS.URLs, ","), options...)
		if err != nil {
			return nil, fmt.Errorf("nats.urls: %w", err)
		}
		all.closers = append(all.closers, conn.Close)
		return conn, nil
	}
	if len(c.NATS.URLs) == 0 {
		all.inProcess, err = embeddednats.Start(filepath.Join(c.DataDir, "journal"), embeddednats.Options{Log: log.With("part", "journal"), Trouble: disk, Damaged: damaged})
		if err != nil {
			return nil, err
		}
		all.closers = append(all.closers, all.inProcess.Close)
		connect = all.inProcess.Connect
	}
	for name, js := range map[string]*jetstream.JetStream{"greentally": &all.JetStream, "greentally followers": &all.Reader} {
		conn, err := connect(name)
		if err == nil {
			*js, err = jetstream.New(conn)
		}
		if err != nil {
			return nil, errors.Join(err, all.close())
		}
	}
	err = retry.Do(ctx, log, "reach NATS and its JetStream (nats.urls)", func() error {
		_, err := all.JetStream.AccountInfo(ctx)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, all.close())
	}
	return all, nil
}

func (all *jetStreams) close() error {
	for _, closeIt := range slices.Backward(all.closers) {
		closeIt()
	}
	return nil
}

// outOfReach reports whether an error is that of JetStream that did not answer in time, as while a
// cluster chooses its leader.
func outOfReach(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, jetstream.ErrJetStreamNotEnabled) ||
		errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrDisconnected) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &api) && api.Code == 503
}

// subscriberConfig describes the user's own broker.
func (c config) subscriberConfig(filters []string) (ingest.SubscriberConfig, error) {
	password, err := secret(c.MQTT.PasswordFile)
	if err != nil {
		return ingest.SubscriberConfig{}, fmt.Errorf("mqtt.password_file: %w", err)
	}
	tlsConfig, err := c.MQTT.TLS.config()
	if err != nil {
		return ingest.SubscriberConfig{}, fmt.Errorf("mqtt.tls: %w", err)
	}
	topics := c.MQTT.Topics
	if len(topics) == 0 {
		topics = filters
	}
	id := c.MQTT.ClientID
	if id == "" {
		if id, err = keptClientID(filepath.Join(c.DataDir, "mqtt-client-id")); err != nil {
			return ingest.SubscriberConfig{}, fmt.Errorf("mqtt.client_id: %w", err)
		}
	}
	return ingest.SubscriberConfig{URLs: c.MQTT.URLs, ClientID: id, Username: c.MQTT.Username, Password: password,
		TLS: tlsConfig, Topics: slices.Clone(topics), Group: c.MQTT.Group}, nil
}

// keptClientID makes a client ID once, so that the broker keeps the session over
// restarts.
func keptClientID(file string) (string, error) {
	if data, err := os.ReadFile(file); err == nil {
		return strings.TrimSpace(string(data)), nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	id := "greentally-" + strings.ToLower(rand.Text()[:10])
	return id, os.WriteFile(file, []byte(id+"\n"), 0o600)
}
