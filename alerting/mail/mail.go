package mail

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	netmail "net/mail"
	"slices"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"greentally"
)

// Options say through whom a [Mailer] sends and where it learns what alerts do not say.
type Options struct {
	SMTP SMTP

	// Names returns a community, for the names of its sites and devices, and its time zone.
	// Where it knows none, mails have identifiers and UTC.
	Names func(community string) (*greentally.Community, *time.Location, bool)

	// Kinds returns a kind, for the titles and units of its quantities; may be nil.
	Kinds func(kind string) (*greentally.Kind, bool)

	// Readings returns the readings that a chart shows; nil for no charts.
	Readings func(ctx context.Context, q greentally.ReadingQuery) iter.Seq2[greentally.Reading, error]

	// Link returns the address of a page about the alert, empty if there is none; may be nil.
	Link func(greentally.Alert) string

	// Templates override the files in the folder templates; may be nil.
	Templates fs.FS

	Now func() time.Time
}

// Recipient is somebody who gets a mail.
type Recipient struct {
	Email    string
	Name     string
	Language string // zh or en
}

// Notice is what one mail tells of alerts.
type Notice struct {
	Alerts []greentally.Alert // that hold or are over
	Others []string           // who else is told, by name

	// Reminder counts the mails about the same alerts: 0 is the first one. It keeps a
	// reminder from being taken for the first mail, sent again.
	Reminder int
}

// Mailer writes and sends mails. It is safe for concurrent use.
type Mailer struct {
	options   Options
	from      *netmail.Address
	templates *templates
}

// New returns a mailer. It reads the templates and tries them out, and does not talk to
// the server.
func New(o Options) (*Mailer, error) {
	if o.Names == nil || o.Now == nil {
		return nil, errors.New("BUG: mail.Options lack Names or Now")
	}
	from, err := o.SMTP.check()
	if err != nil {
		return nil, err
	}
	t, err := load(o.Templates)
	if err != nil {
		return nil, err
	}
	return &Mailer{options: o, from: from, templates: t}, nil
}

// Send sends a mail about alerts that have begun, that still hold, or that are over. The
// same notice to the same recipient has the same Message-ID, whenever it is sent. No mail
// is sent about no alerts. An error is an [*Error].
func (m *Mailer) Send(ctx context.Context, to Recipient, n Notice) error {
	if len(n.Alerts) == 0 {
		return nil
	}
	alerts := slices.Clone(n.Alerts)
	slices.SortStableFunc(alerts, mostSerious)
	w := m.writer(to)
	page := w.notice(ctx, alerts, n)

	msg := gomail.NewMsg()
	threads := make([]string, len(alerts))
	parts := []string{"notice", to.Email, strconv.Itoa(n.Reminder)}
	told := n.Reminder > 0 // whether a mail went before this one
	for i, a := range alerts {
		threads[i] = m.thread(to, a)
		parts = append(parts, threads[i])
		if a.Ended != nil {
			parts = append(parts, a.Ended.UTC().Format(time.RFC3339Nano))
			told = true
		}
	}
	id := m.id(parts...)
	if len(alerts) == 1 && !told {
		id = threads[0]
	}
	msg.SetMessageIDWithValue(id)
	if told {
		msg.SetGenHeader(gomail.HeaderInReplyTo, "<"+threads[0]+">")
	}
	// Of several alerts each ends in a time of its own, so all their threads are named,
	// also those that no mail has begun. Few, since servers refuse long headers.
	var references []string
	for _, thread := range threads[:min(len(threads), 20)] {
		if thread != id {
			references = append(references, "<"+thread+">")
		}
	}
	if len(references) > 0 {
		msg.SetGenHeader(gomail.HeaderReferences, strings.Join(references, " "))
	}
	if alerts[0].Ended == nil && alerts[0].Severity == greentally.Critical {
		msg.SetImportance(gomail.ImportanceHigh)
	}
	return m.send(ctx, msg, to, page, "alert")
}

// SendDigest sends the list of what is open, the mail of a day: two that are sent to the
// same recipient on one day have the same Message-ID. No mail is sent about nothing. An
// error is an [*Error].
func (m *Mailer) SendDigest(ctx context.Context, to Recipient, open []greentally.Alert) error {
	if len(open) == 0 {
		return nil
	}
	alerts := slices.Clone(open)
	slices.SortStableFunc(alerts, mostSerious)
	w := m.writer(to)
	page := w.digest(alerts)

	msg := gomail.NewMsg()
	_, location := w.community(alerts[0].Community)
	msg.SetMessageIDWithValue(m.id("digest", to.Email, w.now.In(location).Format(time.DateOnly)))
	return m.send(ctx, msg, to, page, "digest")
}

func (m *Mailer) send(ctx context.Context, msg *gomail.Msg, to Recipient, page *Page, template string) error {
	failed := func(temporary bool, err error) error { return &Error{To: to.Email, Temporary: temporary, Err: err} }
	address, err := netmail.ParseAddress(to.Email)
	if err != nil || address.Address != to.Email {
		return failed(false, fmt.Errorf("%q is not a mail address such as name@example.org", to.Email))
	}
	html, text, err := m.templates.render(template, page)
	if err != nil {
		// It can be mended, and the mail is worth waiting for that.
		return failed(true, fmt.Errorf("mend the template: %w", err))
	}

	msg.FromMailAddress(m.from)
	msg.ToMailAddress(&netmail.Address{Name: line(to.Name), Address: to.Email})
	msg.SetDateWithValue(m.options.Now())
	if page.Language == "zh" {
		msg.SetEncoding(gomail.EncodingB64) // quoted-printable would be twice as long
	}
	msg.Subject(page.Subject)
	msg.SetGenHeader(gomail.HeaderContentLang, page.HTMLLanguage())
	msg.SetGenHeader("Auto-Submitted", "auto-generated")        // RFC 3834
	msg.SetGenHeader(gomail.HeaderXAutoResponseSuppress, "All") // the same for Exchange
	msg.SetGenHeader("List-Id", "<"+m.listID(page)+">")         // for filters
	msg.SetUserAgent("greentally")
	msg.SetBodyString(gomail.TypeTextPlain, text)
	msg.AddAlternativeString(gomail.TypeTextHTML, html)
	for _, chart := range page.charts() {
		msg.EmbedReadSeeker(chart.id+".png", chart.reader(), gomail.WithFileContentID(chart.id), gomail.WithFileContentType("image/png"))
	}
	if temporary, err := m.deliver(ctx, msg); err != nil {
		return failed(temporary, err)
	}
	return nil
}

// thread is the Message-ID of the mail that begins the thread about an alert.
func (m *Mailer) thread(to Recipient, a greentally.Alert) string {
	return m.id("alert", to.Email, a.Community, a.Rule, a.Device, a.Indicator, a.Fired.UTC().Format(time.RFC3339Nano))
}

// id returns a Message-ID that nobody can guess parts from.
func (m *Mailer) id(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16]) + "@" + m.domain()
}

// listID is that of RFC 2919.
func (m *Mailer) listID(page *Page) string {
	id := page.list + "." + m.domain()
	if label := plain(page.communityID); label != "" {
		id = label + "." + id
	}
	return id
}

// plain returns what letters, digits, hyphens and underscores there are in an identifier.
func plain(id string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return -1
	}, id)
}

func (m *Mailer) domain() string {
	return m.from.Address[strings.LastIndexByte(m.from.Address, '@')+1:]
}

// mostSerious orders alerts: those that hold before those that are over, then by
// severity, then the oldest first.
func mostSerious(a, b greentally.Alert) int {
	rank := func(a greentally.Alert) int {
		over := 0
		if a.Ended != nil {
			over = 4
		}
		switch a.Severity {
		case greentally.Critical:
			return over
		case greentally.Warning:
			return over + 1
		default:
			return over + 2
		}
	}
	if c := rank(a) - rank(b); c != 0 {
		return c
	}
	if c := a.Since.Compare(b.Since); c != 0 {
		return c
	}
	ka, kb := a.Key(), b.Key()
	return strings.Compare(ka.Community+"/"+ka.Rule+"/"+ka.Device+"/"+ka.Indicator, kb.Community+"/"+kb.Rule+"/"+kb.Device+"/"+kb.Indicator)
}
