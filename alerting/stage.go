package alerting

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/alertmanager/alert"
	commonconfig "github.com/prometheus/alertmanager/config/common"
	"github.com/prometheus/alertmanager/inhibit"
	"github.com/prometheus/alertmanager/nflog"
	"github.com/prometheus/alertmanager/nflog/nflogpb"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/pkg/labels"
)

// patience is how long a notification is tried, before newer news of the same alerts take
// its place. Alertmanager by itself takes the group interval; then nobody would ever hear
// of an alert that began and ended while the mail server was down. The price is that of
// two integrations in one receiver the one that is down holds up the other, by no more
// than this.
const patience = time.Hour

func timeout(groupInterval time.Duration) time.Duration { return max(groupInterval, patience) }

// stage is Alertmanager's pipeline, and three things around it.
//
// An alert that ends while it is muted, Alertmanager forgets: who was told in the evening
// that it holds would not hear that it is over, and when it holds again the next day,
// would not hear that either, because it was told already. So an alert that somebody was
// told of stays in its group until they hear that it ended.
//
// An alert waits a moment for those that mute it, see together; and one that ends before
// those who are to know could be told is told all the same, see debts.
//
// And what is being sent when the configuration changes, or the program ends, is waited
// for, lest it be sent again; see finishing, too.
type stage struct {
	pipeline  notify.Stage
	receivers map[string][]notify.Integration
	told      *nflog.Log
	debts     *debts
	muted     []labels.Matchers // what inhibition rules can mute

	mu      sync.Mutex
	stopped bool
	running sync.WaitGroup // what is being sent; nothing is added when it is stopped
}

// errMuted says that news must wait. It goes to no log: see calm.
var errMuted = errors.New("who was told that an alert holds is told that it ended when it is no longer muted")

// Exec implements notify.Stage.
func (s *stage) Exec(ctx context.Context, log *slog.Logger, alerts ...*alert.Alert) (context.Context, []*alert.Alert, error) {
	if !s.begin() {
		return ctx, nil, context.Canceled
	}
	defer s.running.Done()
	s.wait(ctx, alerts)
	name, _ := notify.ReceiverName(ctx)
	given := slices.Clone(alerts)
	for i, a := range given {
		if a.Resolved() && s.debts.owes(name, a) { // first that it holds, and then its end
			holds := *a
			holds.EndsAt = time.Time{}
			given[i] = &holds
		}
	}
	after, left, err := s.pipeline.Exec(ctx, log, given...)
	if err != nil {
		return after, left, err
	}
	for i, a := range given {
		if a != alerts[i] {
			s.debts.forget(name, a) // it is told, or muted and over
		}
	}
	untold, err := s.untold(ctx, log, alerts)
	if err == nil && untold {
		err = errMuted
	}
	return after, left, err
}

// together is within what time alerts become known that begin together. Alertmanager sends at
// once what began longer ago than the group waits, such as what readings say that come late;
// what mutes it can be known a moment later.
const together = 500 * time.Millisecond

// wait waits until what could mute the alerts must be known.
func (s *stage) wait(ctx context.Context, alerts []*alert.Alert) {
	var until time.Time
	for _, a := range alerts {
		if !a.Resolved() && slices.ContainsFunc(s.muted, func(m labels.Matchers) bool { return m.Matches(a.Labels) }) && until.Before(a.UpdatedAt.Add(together)) {
			until = a.UpdatedAt.Add(together)
		}
	}
	select {
	case <-time.After(time.Until(until)):
	case <-ctx.Done():
	}
}

// targets are what the rules mute.
func targets(rules []commonconfig.InhibitRule) (all []labels.Matchers) {
	for _, r := range rules {
		all = append(all, inhibit.NewInhibitRule(r).TargetMatchers)
	}
	return all
}

// untold reports whether somebody was told of an alert that ended, and not of its end.
func (s *stage) untold(ctx context.Context, log *slog.Logger, alerts []*alert.Alert) (bool, error) {
	if !slices.ContainsFunc(alerts, func(a *alert.Alert) bool { return a.Resolved() }) {
		return false, nil
	}
	name, _ := notify.ReceiverName(ctx)
	group, _ := notify.GroupKey(ctx)
	for i := range s.receivers[name] {
		integration := &s.receivers[name][i]
		receiver := &nflogpb.Receiver{GroupName: name, Integration: integration.Name(), Idx: uint32(integration.Index())}
		told, err := s.told.Query(nflog.QGroupKey(group), nflog.QReceiver(receiver))
		if errors.Is(err, nflog.ErrNotFound) {
			continue
		}
		if err != nil {
			return false, err
		}
		// The log has hashes of alerts, which this stage computes.
		hashed, _, err := notify.NewDedupStage(integration, s.told, receiver).Exec(ctx, log, alerts...)
		if err != nil {
			return false, err
		}
		ended, _ := notify.ResolvedAlerts(hashed)
		for _, entry := range told {
			for _, hash := range ended {
				if slices.Contains(entry.FiringAlerts, hash) {
					return true, nil
				}
			}
		}
	}
	return false, nil
}

// stop waits until nothing is being sent, and lets nothing be sent from then on.
func (s *stage) stop() {
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	s.running.Wait()
}

// begin reports whether something may be sent.
func (s *stage) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.running.Add(1)
	}
	return !s.stopped
}

// finishing lets an attempt that has begun come to its end, for a while, when its
// notifications are stopped: nobody could tell whether one that was cut off had arrived.
type finishing struct {
	notify.Notifier
	debts *debts
	owed  debt // of what, but for the alert
}

const finishTime = 5 * time.Second

// Notify implements notify.Notifier.
func (f finishing) Notify(ctx context.Context, alerts ...*alert.Alert) (retry bool, err error) {
	attempt, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		select {
		case <-time.After(finishTime):
			cancel()
		case <-attempt.Done():
		}
	})()
	retry, err = f.Notifier.Notify(attempt, alerts...)
	if err == nil || retry { // a refusal for good is neither
		f.debts.note(f.owed, err != nil, alerts)
	}
	return retry, err
}

// calm is a handler of logs that leaves out what the dispatcher says of errMuted, which it
// takes for a failure.
type calm struct{ slog.Handler }

// WithAttrs implements slog.Handler.
func (c calm) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		if err, ok := a.Value.Any().(error); ok && errors.Is(err, errMuted) {
			return slog.DiscardHandler
		}
	}
	return calm{c.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (c calm) WithGroup(name string) slog.Handler { return calm{c.Handler.WithGroup(name)} }
