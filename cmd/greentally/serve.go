package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/sync/errgroup"

	"greentally"
	"greentally/access"
	"greentally/alerting"
	"greentally/applications"
	"greentally/devices"
	"greentally/ingest"
	"greentally/internal/folderwatch"
	"greentally/internal/health"
	"greentally/internal/retry"
	"greentally/records"
	"greentally/rules"
	"greentally/rules/schemes"
	"greentally/web"
	"greentally/web/pages"
)

// running is what serve tells when all is up.
type running struct {
	mqttURL string // of the broker in the process; empty with one's own
	httpURL string

	// caughtUp reports whether everything in the journal is stored and tallied.
	caughtUp func(context.Context) (bool, error)
	// report computes a community's indicators of a month.
	report func(ctx context.Context, community string, month greentally.Month) ([]greentally.IndicatorValue, error)
	// addRecord keeps a record.
	addRecord func(context.Context, greentally.Record) (greentally.Record, error)
}

// serve runs the whole program until ctx is done: from the sources through the journal
// to the store, the rates and the API. It calls ready once when all is up. When reload
// receives, it reads the communities again.
//
// It is one straight line on purpose: each part is made from those above it. Sources
// stop first, then the journal takes what is on its way, then its followers stop, and
// what is under them is closed last.
func serve(ctx context.Context, c config, log *slog.Logger, reload <-chan os.Signal, ready func(running)) (err error) {
	var closers []func() error
	defer func() {
		for i := len(closers) - 1; i >= 0; i-- {
			err = errors.Join(err, closers[i]())
		}
	}()

	// The data folder belongs to one process.
	if err := os.MkdirAll(c.DataDir, 0o750); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	folder, err := holdFolder(c.DataDir)
	if err != nil {
		return err
	}
	closers = append(closers, folder.release)

	// What there is to know beforehand: secrets, devices, indicators and schemes.
	gate, err := c.HTTP.gate()
	if err != nil {
		return err
	}
	front, err := c.HTTP.checkWebFile()
	if err != nil {
		return err
	}
	users, err := c.Broker.users()
	if err != nil {
		return fmt.Errorf("broker.users_file: %w", err)
	}
	brokerTLS, err := c.Broker.TLS.config()
	if err != nil {
		return fmt.Errorf("broker.tls: %w", err)
	}
	if err := os.MkdirAll(c.Communities, 0o755); err != nil {
		return fmt.Errorf("folder of communities: %w", err)
	}
	registry, err := openRegistry(c)
	if err != nil {
		return err
	}
	types, err := openRecordTypes(c)
	if err != nil {
		return err
	}
	set, err := openIndicators(c, registry.Current(), types)
	if err != nil {
		return err
	}
	certification, err := openSchemes(c, set, types)
	if err != nil {
		return err
	}
	rules, err := c.readRules()
	if err != nil {
		return err
	}
	signer, err := c.signingKey()
	if err != nil {
		return err
	}

	// Where things are kept: the store, and JetStream with journal, queues and records.
	store, err := openStore(ctx, c, log)
	if err != nil {
		return err
	}
	closers = append(closers, store.Close)
	registerer := prometheus.NewRegistry()
	registerer.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), diskCollector(c.DataDir))
	board := health.New(registerer, log.With("part", "health"))
	streams, err := openJetStream(ctx, c, board.Reporter("journal_disk", true), board.Reporter("nats_away", true), damageTeller(board), log)
	if err != nil {
		return err
	}
	closers = append(closers, streams.close)
	js := streams.JetStream
	c.warnOfLittleSpace(log)
	metrics := ingest.NewMetrics(registerer)
	own := newMetrics(registerer, func() bool { return registry.Err() == nil })

	streams.Lost = board.Reporter("journal_lost_entries", false)
	journal, err := ingest.OpenJournal(ctx, streams.Streams, ingest.JournalConfig{
		MaxBytes: int64(c.Journal.MaxBytes), Keep: time.Duration(c.Journal.Keep), Followers: []string{writerFollower, watchFollower, alertsFollower},
		Trouble: streams.suspecting(board.Reporter("journal_refuses", true)), ClockTrouble: board.Reporter("clock_jumped", false),
	}, metrics, log.With("part", "journal"))
	if err != nil {
		return err
	}
	deadLetters, err := ingest.OpenDeadLetters(ctx, js, int64(c.Journal.DeadLetters), c.NATS.Replicas)
	if err != nil {
		return err
	}
	retally := make(chan struct{}, 1)
	queue, lost := streams.Streams, streams.Lost
	queue.Lost = func(err error) { // what was to be tallied is known again when its readings are written again
		lost(err)
		select {
		case retally <- struct{}{}:
		default:
		}
	}
	touches, err := ingest.OpenTouches(ctx, queue, metrics, log)
	if err != nil {
		return err
	}
	discoveries, err := ingest.OpenDiscoveries(ctx, js, c.NATS.Replicas, func(m greentally.Message) (greentally.Discovered, bool) {
		key, profile, kind, ok := registry.Current().Discover(m)
		return greentally.Discovered{DeviceKey: key, Profile: profile, Kind: kind}, ok
	})
	if err != nil {
		return err
	}
	deadLetters.Device = func(m greentally.Message) (greentally.DeviceKey, bool) {
		key, _, _, ok := registry.Current().Discover(m)
		return key, ok
	}
	discoveries.Known = func(community string) bool { _, ok := registry.Current().Location(community); return ok }
	recordLog, err := records.Open(ctx, js, c.NATS.Replicas, types, func(r greentally.Record) error {
		return errors.Join(certification.Accept(r), accept(registry.Current(), types.Type, r))
	}, time.Now)
	if err != nil {
		return err
	}
	applied, err := applications.OpenLog(ctx, js, c.NATS.Replicas, time.Now)
	if err != nil {
		return err
	}
	bundles, err := applications.OpenBundles(ctx, js, c.NATS.Replicas)
	if err != nil {
		return err
	}
	entrance, err := openAccess(ctx, js, c.NATS.Replicas, gate, log.With("part", "access"))
	if err != nil {
		return err
	}
	if err := c.HTTP.mayServe(entrance.users.Any()); err != nil {
		return err
	}
	if err := usersAreThere(c, entrance.users.Any()); err != nil {
		return err
	}
	ledger, err := openLedger(ctx, js, c.DataDir, board.Reporter("entries_missing", false))
	if err != nil {
		return err
	}
	lags := func(ctx context.Context) (map[string]ingest.Lag, error) {
		all, err := journal.Lags(ctx)
		if err != nil {
			return nil, err
		}
		more, err := touches.Lags(ctx)
		for name, lag := range more {
			all[name] = lag
		}
		return all, err
	}
	metrics.ObserveLag(lags)

	// Who follows the journal, and who follows them.
	troubles := storeTroubles{damaged: board.Reporter("store_damaged", true), refuses: board.Reporter("store_refuses", false)}
	writer := &ingest.Writer{Decode: registry.Decode, Store: store, DeadLetters: deadLetters, Touches: touches,
		Journal: journal.ID, Unknown: discoveries.Note, Metrics: metrics, Log: log.With("part", "writer"),
		Trouble: troubles.writing}
	if marked, can := store.(greentally.Marked); can {
		writer.Mark = func(ctx context.Context, sequence uint64) error {
			return marked.Mark(ctx, greentally.Mark{Journal: journal.ID(), Sequence: sequence})
		}
	}
	news := &web.News{}
	watch := &ingest.Watch{Decode: registry.Decode, Seen: news.Tell}
	metrics.ObserveLatest(watch.LatestByKind)
	worker := newWorker(store, registry, set, log)
	alertsLog := log.With("part", "alerts")
	mailer, err := openMailer(c, registry, store) //nolint:contextcheck // it tries its templates out, and dials nobody
	if err != nil {
		return err
	}
	telling, err := startAlerts(context.WithoutCancel(ctx), c, registry, store, mailer, js, registerer, news.Tell, alertsLog)
	if err != nil {
		return err
	}
	closers = append(closers, telling.close)
	done, err := alerting.OpenState(ctx, js, "GREENTALLY_DONE", "When what is done on schedule was done last", c.NATS.Replicas)
	if err != nil {
		return err
	}
	registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "greentally_alert_rules_valid", Help: "1 if the alert rules' files as they are now are in force, 0 if they do not validate.",
	}, func() float64 { return map[bool]float64{true: 0, false: 1}[telling.wrong.Load()] }))
	reporter := newWorker(store, registry, set, log) // for requests; it tallies nothing
	look := newLook(reporter, set, store, time.Now)
	worker.Tallied = own.tallied
	worker.Computed = func(values []greentally.IndicatorValue) {
		own.computed(values)
		telling.seeIndicators(ctx, values, registry.Current())
		if len(values) > 0 {
			look.values.put(values[0].Community, values[0].Month, values)
			news.Tell(values[0].Community)
		}
	}
	worker.Assess = func(c *greentally.Community, month greentally.Month, values []greentally.IndicatorValue, all []greentally.Record) ([]greentally.Assessment, error) {
		return certification.Assess(schemes.Evidence{Community: c, Month: month, Indicators: values, Records: all})
	}
	worker.Days = func(days []greentally.DeviceDay, records []greentally.Record) { telling.seeDays(ctx, days, records) }
	started := time.Now()
	settled := func(ctx context.Context) (bool, error) {
		all, err := lags(ctx)
		if err != nil || len(all) < 4 || telling.archive.Waiting() > 0 {
			return false, err
		}
		for _, lag := range all { // under steady traffic some entries are always on their way
			if lag.Entries > 0 && (time.Since(started) < time.Minute || time.Duration(lag.Age) > 10*time.Second) {
				return false, nil
			}
		}
		return true, nil
	}
	exports := &monthly{
		exporter: &exporter{config: c, worker: reporter, registry: registry, types: types, set: set, schemes: certification, store: store,
			attachments: recordLog.Attachments, applications: applied, bundles: bundles, rules: rules, key: signer, now: time.Now, settled: settled},
		state: done, log: log.With("part", "exports"),
	}
	if mailer != nil {
		exports.mailer = mailer
	}
	copies := make(chan struct{}, 1) // asks for records to be copied to the store
	keep := func(ctx context.Context, r greentally.Record) (greentally.Record, error) {
		r.Account = account(ctx)
		r, err := recordLog.Add(ctx, r)
		if err != nil {
			return r, err
		}
		if err := store.WriteRecords(ctx, []greentally.Record{r}); err != nil {
			log.Warn("a record was kept, but not copied to the store yet", "record", r.ID, "error", err)
		}
		select {
		case copies <- struct{}{}:
		default: // it is asked for already
		}
		look.forget(r.Community)
		news.Tell(r.Community)
		return r, nil
	}

	followers, followCtx := errgroup.WithContext(context.WithoutCancel(ctx))
	followCtx, stopFollowers := context.WithCancel(followCtx)
	closers = append(closers, func() error { // also if something below fails
		stopFollowers()
		return followers.Wait()
	})
	followers.Go(func() error {
		if err := refill(followCtx, store, troubles, journal, log); err != nil {
			return err
		}
		err := journal.Follow(followCtx, writerFollower, writer.Write)
		closing, cancel := context.WithTimeout(context.WithoutCancel(followCtx), 2*time.Second)
		defer cancel()
		if err := writer.Close(closing); err != nil {
			log.Info("the store could not be marked; the latest readings are written again at the next start", "part", "writer", "error", err)
		}
		return err
	})
	followers.Go(func() error { return journal.Follow(followCtx, watchFollower, watch.See) })
	followers.Go(func() error { return checkStore(followCtx, store, troubles, log) })
	followers.Go(func() error { return writeAgain(followCtx, retally, journal, log) })
	followers.Go(func() error { return telling.follow(followCtx, journal) })
	followers.Go(func() error {
		return touches.Follow(followCtx, "tally", func(ctx context.Context, all []ingest.Touch) error {
			return applyTouches(ctx, worker, all, troubles, log)
		})
	})
	followers.Go(func() error { return journal.Tidy(followCtx) })
	followers.Go(func() error { return registry.Watch(followCtx, log.With("part", "registry")) })
	adopted := newAdoptions(registry.Decode, discoveries, deadLetters, journal.Append, log.With("part", "adopted"))
	followers.Go(func() error { return adopted.run(followCtx) })
	followers.Go(func() error { return telling.archive.Run(followCtx) })
	followers.Go(func() error { return telling.sendDigests(followCtx, done, alertsLog) })
	followers.Go(func() error { return exports.run(followCtx) })
	followers.Go(func() error { return ledger.keep(followCtx) })
	followers.Go(func() error { return entrance.users.Run(followCtx) })
	followers.Go(func() error { return entrance.tokens.Run(followCtx) })
	registry.OnChange(func(r *devices.Registry) {
		for _, c := range r.Communities() {
			look.forget(c.ID)
		}
	})
	if c.AlertRules != "" {
		followers.Go(func() error {
			return folderwatch.Run(followCtx, []string{c.AlertRules}, alertsLog, func() { telling.readRules(followCtx, alertsLog) })
		})
	}
	followers.Go(func() error {
		return reloadOn(followCtx, reload, func() error { telling.readRules(followCtx, alertsLog); return registry.Reload() }, log)
	})
	followers.Go(func() error { return copyRecords(followCtx, copies, recordLog, store, touches, registry, log) })
	followers.Go(func() error { return rememberLatest(followCtx, watch, registry, store, log) })

	// Where messages come from. When the sources stop, the journal still takes what is
	// on its way, and the followers go on until then.
	sources, sourceCtx := errgroup.WithContext(ctx)
	sources.Go(func() error { // if a follower fails, all stop
		select {
		case <-followCtx.Done():
			return errors.New("stopped, because a part failed")
		case <-sourceCtx.Done():
			return nil
		}
	})
	sources.Go(func() error { return folder.watch(sourceCtx) })
	sources.Go(func() error { return rememberUsers(sourceCtx, c, entrance.users.Any) })
	sources.Go(func() error {
		<-sourceCtx.Done()
		journal.GiveUp() // or the sources would wait for it
		return nil
	})
	up := running{
		caughtUp: func(ctx context.Context) (bool, error) {
			all, err := lags(ctx)
			if err != nil || len(all) < 4 {
				return false, err
			}
			for _, lag := range all {
				if lag.Entries > 0 {
					return false, nil
				}
			}
			return true, nil
		},
		report: func(ctx context.Context, community string, month greentally.Month) ([]greentally.IndicatorValue, error) {
			return reporter.Report(ctx, community, month, time.Now())
		},
		addRecord: keep,
	}
	connected := func() bool { return true }
	if len(c.MQTT.URLs) > 0 {
		config, err := c.subscriberConfig(registry.Current().Filters())
		if err != nil {
			return err
		}
		subscriber := ingest.NewSubscriber(config, journal.Submit, metrics, log.With("part", "subscriber"))
		connected = subscriber.Connected
		telling.broker.Store(&connected)
		if len(c.MQTT.Topics) == 0 {
			registry.OnChange(func(r *devices.Registry) { subscriber.SetTopics(r.Filters()) })
		}
		sources.Go(func() error { return subscriber.Run(sourceCtx) })
	} else {
		broker, err := ingest.StartBroker(sourceCtx, ingest.BrokerConfig{Listen: c.Broker.Listen, TLS: brokerTLS, Users: users, MaxPacket: max(1<<20, 2*int(c.Limits.MaxPayload)), MaxConnections: c.Broker.MaxConnections,
			Trouble: board.Reporter("mqtt_listener", true), Crowded: board.Reporter("mqtt_crowded", false)},
			journal.Submit, metrics, log.With("part", "broker"))
		if err != nil {
			return err
		}
		up.mqttURL = "tcp://" + broker.Addr.String()
		if brokerTLS != nil {
			up.mqttURL = "tls://" + broker.Addr.String()
		}
		sources.Go(func() error {
			var failed error
			select {
			case <-sourceCtx.Done():
			case failed = <-broker.Failed():
			}
			return errors.Join(failed, broker.Close())
		})
	}

	// The API.
	administration := entrance.administration()
	maps.Copy(administration, journalRoutes(journal))
	server := &web.Server{
		Identify: entrance.gate.Identify, May: entrance.may, Audit: entrance.note, Log: log.With("part", "web"), Metrics: promhttp.HandlerFor(registerer, promhttp.HandlerOpts{}),
		Communities: func() []*greentally.Community { return registry.Current().Communities() },
		Latest:      watch.Latest,
		Alerts:      telling.watch.Alerts,
		AlertsOf: func(ctx context.Context, community string, month greentally.Month) ([]greentally.Alert, error) {
			loc, ok := registry.Current().Location(community)
			if !ok {
				return nil, greentally.NoCommunity(community)
			}
			return store.Alerts(ctx, community, month.First().Start(loc), month.Next().First().Start(loc))
		},
		Mounted:    map[string]http.Handler{alertmanagerPath: telling.handler},
		Indicators: up.report,
		DeviceDays: store.DeviceDays,
		Readings: func(ctx context.Context, key greentally.DeviceKey, from, to time.Time, limit int) (all []greentally.Reading, err error) {
			d, ok := registry.Current().Device(key)
			if !ok {
				return nil, greentally.Missingf("没有设备 %s", "there is no device %s", key)
			}
			for r, err := range store.Readings(ctx, greentally.ReadingQuery{DeviceKey: key, Kind: d.Kind, From: from, To: to, Limit: limit}) {
				if err != nil {
					return nil, err
				}
				all = append(all, r)
			}
			return all, nil
		},
		Records: store.Records,
		Record: func(ctx context.Context, community, id string) (greentally.Record, error) {
			r, err := recordLog.Get(ctx, id)
			if err == nil && r.Community != community {
				err = greentally.Missingf("没有记录 %s", "there is no record %s", id)
			}
			return r, err
		},
		AddRecord: func(ctx context.Context, r greentally.Record) (greentally.Record, error) {
			added, err := keep(ctx, r)
			return added, notTaken(err)
		},
		CheckRecord: func(ctx context.Context, r greentally.Record) (greentally.Record, error) {
			r.Account = account(ctx)
			checked, err := recordLog.Check(ctx, r)
			return checked, notTaken(err)
		},
		AddAttachment: func(ctx context.Context, community, name string, content []byte) (greentally.Attachment, error) {
			a, err := recordLog.Attachments.Put(ctx, community, name, content)
			return a, notTaken(err)
		},
		Attachment: recordLog.Attachments.Get,
		Silences:   web.Silences{List: telling.teller.Silences, Add: telling.silence(news.Tell), End: telling.endSilence(news.Tell), Now: time.Now, Who: person},
		Exports:    exports.api(), Administration: administration,
		DeadLetters: func(ctx context.Context, after uint64, limit int) ([]greentally.DeadLetter, error) {
			const most = 4 << 20 // bytes in one answer, give or take a letter; who asks goes on behind the last
			letters, size := []greentally.DeadLetter{}, 0
			err := deadLetters.List(ctx, after, func(l greentally.DeadLetter) bool {
				letters, size = append(letters, l), size+len(l.Payload)
				return len(letters) < limit && size < most
			})
			return letters, err
		},
		ReplayDeadLetter: func(ctx context.Context, id uint64) error {
			return deadLetters.Replay(ctx, []uint64{id}, journal.Append)
		},
		DeleteDeadLetter: deadLetters.Delete,
		Discovered: func(ctx context.Context, q web.DiscoveredQuery) ([]greentally.Discovered, int, error) {
			may := access.From(ctx).May // one that names no community is for administrators
			of := func(c string) bool {
				return (q.Community == "" || c == q.Community || c == "") && (may(access.Read, c) || may(access.Administer, ""))
			}
			return discoveries.List(ctx, ingest.DiscoveredQuery{Of: of, Device: q.Device, After: q.After, Limit: q.Limit})
		},
		Adopt: func(ctx context.Context, d greentally.Device) error {
			if err := registry.Adopt(d); err != nil {
				return notTaken(err)
			}
			return adopted.add(ctx, d)
		},
		Status: func(ctx context.Context) (any, error) {
			all, err := lags(ctx)
			letters, lettersErr := deadLetters.Count(ctx)
			err = errors.Join(err, lettersErr)
			now := status{Version: version(), Connected: connected(), Followers: all, DeadLetters: letters, Troubles: board.Troubles()}
			if err != nil { // that is when people look
				now.Followers, now.JournalError = map[string]ingest.Lag{}, err.Error()
			}
			if registryErr := registry.Err(); registryErr != nil {
				now.RegistryError = registryErr.Error()
			}
			return now, nil
		},
		Ready: func(context.Context) error {
			if !connected() {
				return errors.New("not connected to the MQTT broker")
			}
			return board.Ready()
		},
		Troubles: board.Troubles,
	}
	shown := &pages.Pages{
		Server: server, Person: person, Account: entrance.account(), Access: entrance.keeping(), Secure: entrance.gate.IsSecure, News: news, Now: time.Now,
		Values: look.values.get, Workings: look.workings.get, Recovered: look.recovered.get,
		Stored:      store.Indicators,
		Assessments: store.Assessments,
		Location:    func(community string) (*time.Location, bool) { return registry.Current().Location(community) },
		Kind:        func(name string) (*greentally.Kind, bool) { return registry.Current().Kind(name) },
		Types:       types.All(), Items: itemsOf(certification), Schemes: schemesOf(certification),
		Kinds: func() []*greentally.Kind { return registry.Current().Kinds() }, Profiles: func() []string { return profilesOf(registry.Current()) },
		Next: applications.Next,
	}
	if server.Pages, server.NoPage, err = shown.Handlers(); err != nil {
		return err
	}
	if server.Open, err = entrance.entrance().Handlers(shown); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", c.HTTP.Listen)
	if err != nil {
		return fmt.Errorf("http.listen: %w", err)
	}
	httpLog := log.With("part", "http")
	up.httpURL = map[bool]string{true: "https://", false: "http://"}[front.hasTLS()] + listener.Addr().String()
	if c.HTTP.inTheClear(front) {
		httpLog.Warn("passwords and tokens come in the clear, which others in the network can read; set up TLS by http.web_config_file, or name the proxy in front that speaks it in http.trusted_proxies", "listen", c.HTTP.Listen)
	}
	httpServer := &http.Server{Handler: server.Handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: 5 * time.Minute, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(httpLog.Handler(), slog.LevelWarn)}
	httpServer.RegisterOnShutdown(news.Close)
	sources.Go(func() error {
		if err := toolkit.Serve(listener, httpServer, &toolkit.FlagConfig{WebConfigFile: &c.HTTP.WebConfigFile}, httpLog); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("http: %w", err)
		}
		return nil
	})
	sources.Go(func() error {
		<-sourceCtx.Done()
		shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := httpServer.Shutdown(shutdown); err != nil {
			return httpServer.Close()
		}
		return nil
	})

	log.Info("greentally is up", "http", up.httpURL, "mqtt", up.mqttURL, "communities", len(registry.Current().Communities()), "version", version())
	ready(up)

	err = sources.Wait()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(err, journal.Close(drain))
}

// applyTouches tallies what was touched, tries until it works, and then rests for as
// long as ten times the work took, at most a while, so that much comes together.
func applyTouches(ctx context.Context, worker *rules.Worker, all []ingest.Touch, troubles storeTroubles, log *slog.Logger) error {
	touches := make([]rules.Touch, len(all))
	for i, t := range all {
		touches[i] = rules.Touch{DeviceKey: t.DeviceKey, From: t.From, To: t.To}
	}
	var start time.Time // of the attempt that works
	err := retry.Do(ctx, log, "tally device-days", func() error {
		start = time.Now()
		return troubles.seen(worker.Apply(ctx, touches))
	})
	if err != nil {
		return err
	}
	select {
	case <-time.After(min(10*time.Since(start), 2*time.Second)):
	case <-ctx.Done():
	}
	return nil
}

// reloadOn reads the registry again on each signal.
func reloadOn(ctx context.Context, signals <-chan os.Signal, reload func() error, log *slog.Logger) error {
	for {
		select {
		case <-signals:
			if err := reload(); err != nil {
				log.Error("the registry's files are not valid; the ones read before stay in force", "error", err)
			} else {
				log.Info("registry read, as asked")
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// copyRecords gives the store its copy of the records, at the start and whenever it is
// asked to, and has the indicators of their months computed again.
func copyRecords(ctx context.Context, asked <-chan struct{}, from *records.Log, to greentally.RecordStore,
	touches *ingest.Touches, registry *devices.Live, log *slog.Logger) error {
	copied := uint64(0) // up to where the log is copied
	pass := func() error {
		at, touched := copied, map[ingest.Touch]bool{}
		touch := func(r greentally.Record) {
			if loc, ok := registry.Current().Location(r.Community); ok {
				day := r.Date.Start(loc)
				touched[ingest.Touch{DeviceKey: greentally.DeviceKey{Community: r.Community}, From: day, To: day}] = true
				if r.Device != "" && r.At != nil { // a declared event
					touched[ingest.Touch{DeviceKey: greentally.DeviceKey{Community: r.Community, Device: r.Device}, From: *r.At, To: *r.At}] = true
				}
			}
		}
		err := from.Since(ctx, copied, func(sequence uint64, r greentally.Record) error {
			at = sequence
			touch(r)
			if r.Replaces != "" {
				replaced, err := from.Get(ctx, r.Replaces)
				if err == nil {
					touch(replaced)
				} else if !errors.Is(err, fs.ErrNotExist) { // it was damaged, and told
					return err
				}
			}
			return to.WriteRecords(ctx, []greentally.Record{r})
		})
		if err != nil {
			return err
		}
		if err := touches.Put(ctx, slices.Collect(maps.Keys(touched))); err != nil {
			return err
		}
		copied = at
		return nil
	}
	for retry.Do(ctx, log, "copy records to the store", pass) == nil {
		select {
		case <-asked:
		case <-ctx.Done():
			return nil
		}
	}
	return nil // Do fails only when it is asked to stop
}

// rememberLatest tells the watch the latest readings in the store, for devices that
// have not spoken since the start. It tries until the store answers.
func rememberLatest(ctx context.Context, watch *ingest.Watch, registry *devices.Live, store greentally.ReadingStore, log *slog.Logger) error {
	all := func() error {
		for _, c := range registry.Current().Communities() {
			for _, d := range c.Devices {
				for r, err := range store.Readings(ctx, greentally.ReadingQuery{DeviceKey: d.Key(), Kind: d.Kind, Descending: true, Limit: 1}) {
					if err != nil {
						return err
					}
					watch.Set(r)
				}
			}
		}
		return nil
	}
	_ = retry.Do(ctx, log, "read the latest readings from the store", all) // it fails only when it is asked to stop
	return nil
}

// notTaken makes the API answer 400 for a record or a device that is not valid, and 409 for one
// that is there already, or that there is no way to enter now.
func notTaken(err error) error {
	switch {
	case errors.Is(err, records.ErrThere) || errors.Is(err, devices.ErrThere) || errors.Is(err, devices.ErrFile):
		return fmt.Errorf("%w: %w", web.ErrConflict, err)
	case errors.Is(err, records.ErrInvalid) || errors.Is(err, devices.ErrInvalid):
		return fmt.Errorf("%w: %w", web.ErrBadRequest, err)
	}
	return err
}
