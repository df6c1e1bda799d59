package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"aead.dev/minisign"
	"golang.org/x/sync/semaphore"

	"greentally"
	"greentally/alerting/mail"
	"greentally/applications"
	"greentally/internal/schedule"
	"greentally/web"
)

type exportsConfig struct {
	Schedule string `yaml:"schedule,omitempty" env:"SCHEDULE" jsonschema:"default=0 6 1 * *" jsonschema_description:"When the export of the month before is made and sent: minute, hour, day of the month, month, day of the week, by the community's clocks; or never."`
	Mail     *bool  `yaml:"mail,omitempty" env:"MAIL" jsonschema:"default=true" jsonschema_description:"Whether contacts get it by mail."`
}

// monthly makes each community's export of each month, once.
type monthly struct {
	*exporter
	mailer monthMailer // nil if nobody gets mails
	state  schedule.State
	log    *slog.Logger
}

// monthMailer sends a month to a contact.
type monthMailer interface {
	SendMonth(context.Context, mail.Recipient, mail.Month) error
}

// late is for how long after its time an export is still made.
const late = 366 * 24 * time.Hour

// run makes exports until ctx is done.
func (m *monthly) run(ctx context.Context) error {
	if m.config.Exports.Schedule == noDigest {
		return nil
	}
	return schedule.Run(ctx, m.state, m.jobs, m.log)
}

func (m *monthly) jobs() (jobs []schedule.Job) {
	registry := m.registry.Current()
	for _, c := range registry.Communities() {
		if loc, ok := registry.Location(c.ID); ok {
			jobs = append(jobs, schedule.Job{Name: jobName(c.ID), Cron: m.config.Exports.Schedule, Location: loc, Late: late,
				Do: func(ctx context.Context, due time.Time) error { return m.catchUp(ctx, c, greentally.DateOf(due, loc)) }})
		}
	}
	return jobs
}

// catchUp makes the export of the month before the day, and those of the months before that
// which were missed: since the job was due before, or since the last that was made.
func (m *monthly) catchUp(ctx context.Context, c *greentally.Community, due greentally.Date) error {
	all, err := m.kept(ctx, c.ID)
	if err != nil {
		return err
	}
	last := due.MonthOf().First().Add(-1).MonthOf()
	first := last
	earlier := func(month greentally.Month) {
		if month.First().Before(first.First()) {
			first = month
		}
	}
	if before, known, err := m.dueBefore(ctx, c.ID); err != nil {
		return err
	} else if known {
		earlier(before.MonthOf())
	}
	if len(all) > 0 {
		earlier(all[0].Month) // once more, in case that not all had got it
	}
	for month := first; !last.First().Before(month.First()); month = month.Next() {
		if err := m.make(ctx, c, month); err != nil {
			return fmt.Errorf("export of %s %s: %w", c.ID, month, err)
		}
	}
	return nil
}

// dueBefore returns when the job was due that was done last, or known of first.
func (m *monthly) dueBefore(ctx context.Context, community string) (date greentally.Date, known bool, err error) {
	values, err := m.state.All(ctx)
	if err != nil {
		return date, false, err
	}
	at, err := time.Parse(time.RFC3339, string(values[jobName(community)]))
	loc, ok := m.registry.Current().Location(community)
	if err != nil || !ok {
		return date, false, nil //nolint:nilerr // it is not known
	}
	return greentally.DateOf(at, loc), true, nil
}

// jobName is what a community's job is remembered by; what it has made, by keptName.
func jobName(community string) string { return "export." + community }

func keptName(community, month string) string { return "made." + community + "." + month }

// kept returns the months of a community that were exported, the latest first.
func (m *monthly) kept(ctx context.Context, community string) ([]greentally.KeptExport, error) {
	values, err := m.state.All(ctx)
	if err != nil {
		return nil, err
	}
	all := []greentally.KeptExport{}
	for name, value := range values {
		if !strings.HasPrefix(name, keptName(community, "")) {
			continue
		}
		var k greentally.KeptExport
		if err := json.Unmarshal(value, &k); err != nil {
			return nil, fmt.Errorf("what is known of %s: %w", name, err)
		}
		if !k.Made.After(m.now()) { // else the clock was wrong then, and it is made again
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(a, b greentally.KeptExport) int { return cmp.Compare(b.Month.String(), a.Month.String()) })
	return all, nil
}

// make makes a month's export and keeps it, unless that was done, and sends it to the contacts
// who have not got it.
func (m *monthly) make(ctx context.Context, c *greentally.Community, month greentally.Month) error {
	all, err := m.kept(ctx, c.ID)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(all, func(k greentally.KeptExport) bool { return k.Month == month }); i >= 0 {
		return m.send(ctx, c, all[i])
	}
	k, err := m.keepMonth(ctx, c, month)
	if err != nil || k == nil {
		return err
	}
	return m.send(ctx, c, *k)
}

// keepMonth makes a month's export and keeps it; none of a month of which nothing is known.
func (m *monthly) keepMonth(ctx context.Context, c *greentally.Community, month greentally.Month) (*greentally.KeptExport, error) {
	if err := m.settle(ctx); err != nil {
		return nil, err
	}
	e, err := m.month(ctx, c.ID, month)
	if err != nil {
		return nil, err
	}
	if len(e.Days) == 0 && !slices.ContainsFunc(e.Records, func(r greentally.Record) bool { return r.Date.MonthOf() == month }) {
		return nil, nil
	}
	made, err := m.keep(ctx, e)
	if err != nil {
		return nil, err
	}
	k := greentally.KeptExport{Month: month, Made: made.At, Bundle: made.Bundle, Bytes: made.Bytes, Mailed: []string{}}
	m.log.Info("the month's export is made", "community", c.ID, "month", month.String(), "bundle", k.Bundle, "bytes", k.Bytes)
	return &k, m.remember(ctx, c.ID, k)
}

func (m *monthly) remember(ctx context.Context, community string, k greentally.KeptExport) error {
	data, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return m.state.Write(ctx, map[string][]byte{keptName(community, k.Month.String()): data})
}

// send sends a month's export to the contacts who have not got it.
func (m *monthly) send(ctx context.Context, c *greentally.Community, k greentally.KeptExport) error {
	if m.mailer == nil || !*m.config.Exports.Mail {
		return nil
	}
	b, e, err := m.opened(ctx, k.Bundle)
	if err != nil {
		return err
	}
	var failed []error
	for _, contact := range c.Contacts {
		if slices.Contains(k.Mailed, contact.Email) || slices.Contains(k.Refused, contact.Email) {
			continue
		}
		files := []mail.File{{Name: fileName(c.ID, k.Month, "pdf"), MediaType: formats()["pdf"], Data: b.File("export.pdf")}, {Name: fileName(c.ID, k.Month, "xlsx"), MediaType: formats()["xlsx"], Data: b.File("export.xlsx")}}
		err := m.mailer.SendMonth(ctx, mail.Recipient{Email: contact.Email, Name: contact.Name, Language: contact.Language},
			mail.Month{Community: c.ID, Month: k.Month, Indicators: e.Indicators, Assessments: e.InEffect(), Files: files})
		var refused *mail.Error
		switch {
		case errors.As(err, &refused) && !refused.Temporary:
			m.log.Error("the month's export was refused for good", "to", contact.Email, "error", err)
			k.Refused = append(k.Refused, contact.Email)
		case err != nil:
			failed = append(failed, err)
			continue
		default:
			k.Mailed = append(k.Mailed, contact.Email)
		}
		if err := m.remember(ctx, c.ID, k); err != nil {
			return err
		}
	}
	return errors.Join(failed...)
}

// api answers requests for exports and applications.
func (m *monthly) api() web.Exports {
	asked := func(err error) error { // what the asker can mend
		if errors.Is(err, applications.ErrRefused) || errors.Is(err, errBehind) {
			return fmt.Errorf("%w: %w", web.ErrConflict, err)
		}
		return err
	}
	turn := semaphore.NewWeighted(atOnce)
	return web.Exports{
		File: func(ctx context.Context, community string, month greentally.Month, format, language string) (web.File, error) {
			format, language = cmp.Or(format, "json"), cmp.Or(language, "zh")
			media, known := formats()[format]
			if !known || !contains(language, "zh", "en") {
				return web.File{}, fmt.Errorf("%w: format is xlsx, pdf, csv, json or zip, and lang zh or en", web.ErrBadRequest)
			}
			if err := turn.Acquire(ctx, 1); err != nil {
				return web.File{}, err
			}
			defer turn.Release(1)
			e, err := m.month(ctx, community, month)
			if err != nil {
				return web.File{}, err
			}
			data, err := m.write(ctx, e, format, language)
			return web.File{Name: fileName(community, month, format), MediaType: media, Data: data}, err
		},
		Kept: m.kept,
		Bundle: func(ctx context.Context, name string) (web.File, error) {
			data, b, err := m.keptBundle(ctx, name)
			if err != nil {
				return web.File{}, err
			}
			return web.File{Name: fileName(b.Community, b.Month, "zip"), MediaType: formats()["zip"], Data: data, Community: b.Community}, nil
		},
		Applications: m.applications.All,
		Application:  m.applications.Get,
		Revisions: func(ctx context.Context, a greentally.Application) ([]greentally.Revision, error) {
			if err := turn.Acquire(ctx, 1); err != nil {
				return nil, err
			}
			defer turn.Release(1)
			return m.revisions(ctx, &a)
		},
		Step: func(ctx context.Context, id string, s greentally.Step) (greentally.Application, error) {
			if err := turn.Acquire(ctx, 1); err != nil {
				return greentally.Application{}, err
			}
			defer turn.Release(1)
			a, err := m.step(ctx, id, s)
			return a, asked(err)
		},
		Rollup: func(ctx context.Context, may func(community string) bool, on greentally.Date) (greentally.Rollup, error) {
			all, err := m.applications.All(ctx, "")
			if err != nil {
				return greentally.Rollup{}, err
			}
			all = slices.DeleteFunc(all, func(a greentally.Application) bool { return !may(a.Community) })
			known, registry := []string(nil), m.registry.Current()
			today := greentally.Date{} // where it is latest, so that what was done today counts everywhere
			for _, c := range registry.Communities() {
				if !may(c.ID) {
					continue
				}
				known = append(known, c.ID)
				if loc, ok := registry.Location(c.ID); ok {
					if there := greentally.DateOf(m.now(), loc); today.Before(there) {
						today = there
					}
				}
			}
			return applications.Roll(all, known, cmp.Or(on, today, greentally.DateOf(m.now(), time.UTC)), m.config.Targets), nil
		},
		Key: func() string { return m.key.Public().(minisign.PublicKey).String() },
	}
}

// atOnce is how many requests compute months at the same time: one holds a month in memory
// several times over. The others wait.
const atOnce = 2
