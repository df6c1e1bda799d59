package greentally

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// Store keeps telemetry and what derives from it. Every write is idempotent:
// writing the same thing again changes nothing. Implementations are safe for
// concurrent use; package store/storetest checks them all against this contract.
//
// An error that is not a [*RefusedError] may pass (the network, a full disk); the
// caller tries again. One that wraps [ErrDamaged] does not pass by itself.
type Store interface {
	ReadingStore
	DeviceDayStore
	IndicatorStore
	AssessmentStore
	RecordStore
	AlertStore
	Close() error
}

// ReadingStore keeps readings.
type ReadingStore interface {
	// WriteReadings stores the readings. If some can never be stored it stores all
	// others and returns a [*RefusedError] that names those.
	WriteReadings(ctx context.Context, readings []Reading) error

	// Readings returns one device's readings in time order, each instant once. It
	// yields an error at most once, as the last thing.
	Readings(ctx context.Context, q ReadingQuery) iter.Seq2[Reading, error]
}

// DeviceDayStore keeps device-days.
type DeviceDayStore interface {
	WriteDeviceDays(ctx context.Context, days []DeviceDay) error

	// DeviceDays returns those that match, sorted by device and date.
	DeviceDays(ctx context.Context, q DeviceDayQuery) ([]DeviceDay, error)
}

// IndicatorStore keeps the latest values of indicators.
type IndicatorStore interface {
	WriteIndicators(ctx context.Context, values []IndicatorValue) error

	// Indicators returns a community's indicators of a month, sorted by name.
	Indicators(ctx context.Context, community string, month Month) ([]IndicatorValue, error)
}

// AssessmentStore keeps the latest assessments.
type AssessmentStore interface {
	WriteAssessments(ctx context.Context, assessments []Assessment) error

	// Assessments returns a community's assessments of a month, sorted by scheme.
	Assessments(ctx context.Context, community string, month Month) ([]Assessment, error)
}

// RecordStore keeps a copy of the records for reports and dashboards. Their
// durable home is the log of records.
type RecordStore interface {
	WriteRecords(ctx context.Context, records []Record) error

	// Records returns a community's records whose date is in from … to, both
	// inclusive, sorted by ID. A zero date is no bound.
	Records(ctx context.Context, community string, from, to Date) ([]Record, error)
}

// AlertStore keeps the alerts that there were, for dashboards and for indicators that rest
// on them.
type AlertStore interface {
	// WriteAlerts stores the alerts. One that fired at the same time as another of the
	// same identity takes its place: that is how an alert that holds becomes one that ended.
	WriteAlerts(ctx context.Context, alerts []Alert) error

	// Alerts returns a community's alerts that fired at from or later and before to, sorted
	// by when they fired, rule, device and indicator. A zero time is no bound.
	Alerts(ctx context.Context, community string, from, to time.Time) ([]Alert, error)
}

// ErrDamaged is wrapped by errors of a store whose data is damaged: trying again does not help,
// somebody has to put another in its place. The error says which, and how.
var ErrDamaged = errors.New("the store is damaged")

// Mark says how far a journal has been taken over into a store. It is kept in the store itself,
// so that it is lost with what it speaks of: a store that was replaced, emptied or brought back
// from a backup says that it lacks what the journal still has.
type Mark struct {
	Journal  string // identity of the journal; empty if none has been taken over yet
	Sequence uint64 // all of the journal up to and including this entry is in the store; 0 is nothing
}

// Marked is what a store can do that keeps a mark. A store need not.
type Marked interface {
	// Mark takes the place of the mark before. It is called when the readings of all entries
	// up to the mark have been written; once it has returned, the mark is as durable as they are.
	Mark(ctx context.Context, m Mark) error

	// Marked returns the mark; it is the zero mark if the store is known to have begun empty and
	// not to have been marked since. ok is false if nothing is known: the store has no mark, and
	// may have readings, because an earlier version wrote them.
	Marked(ctx context.Context) (m Mark, ok bool, err error)
}

// ReadingQuery selects readings of one device.
type ReadingQuery struct {
	DeviceKey
	Kind string // the device's kind; required

	From time.Time // inclusive; zero means from the beginning
	To   time.Time // exclusive; zero means to the end

	// With, if not empty, selects the readings that have a value of this quantity.
	With string

	Descending bool // latest first
	Limit      int  // at most so many; 0 means all
}

// DeviceDayQuery selects device-days of one community.
type DeviceDayQuery struct {
	Community string
	Device    string // empty means all
	From, To  Date   // both inclusive

	// Totals selects the days without their hours, which is a quarter of the work. A store
	// may still give some that have them.
	Totals bool
}

// RefusedError says which readings of a batch the store will never take. All
// others of the batch are stored.
type RefusedError struct {
	Refused []Refusal
}

// Refusal is one reading that was refused.
type Refusal struct {
	Index  int // in the slice that was to be written
	Reason string
}

func (e *RefusedError) Error() string {
	if len(e.Refused) == 0 {
		return "BUG: a refusal of nothing"
	}
	return fmt.Sprintf("store refused %d readings, the first because: %s", len(e.Refused), e.Refused[0].Reason)
}
