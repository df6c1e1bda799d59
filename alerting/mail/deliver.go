package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"strconv"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// The ways to a server.
const (
	StartTLS = "starttls" // the default: a connection that becomes encrypted, usually at port 587
	TLS      = "tls"      // one that is encrypted from the start, usually at port 465
	NoTLS    = "none"     // one that anybody on the way can read, for a server on the same machine
)

// SMTP says through which server mails go.
type SMTP struct {
	Address  string // host:port
	From     string // such as: Green community <alerts@example.org>
	Hello    string // how the client calls itself; default the machine's name
	Username string // empty for no login
	Password string
	TLS      string         // StartTLS, TLS or NoTLS
	CAs      *x509.CertPool // who may vouch for the server; nil for those of the system
}

// Error says that a mail was not delivered, or that nobody knows whether it was.
type Error struct {
	To  string
	Err error

	// Temporary says that trying again later may help: the server cannot be reached, is
	// busy, or something about its settings or ours can be mended. Otherwise it refuses
	// this mail or this recipient for good.
	Temporary bool
}

func (e *Error) Error() string { return fmt.Sprintf("mail to %s: %v", e.To, e.Err) }

func (e *Error) Unwrap() error { return e.Err }

// check returns the sender's address.
func (s SMTP) check() (*netmail.Address, error) {
	host, port, err := net.SplitHostPort(s.Address)
	if n, numErr := strconv.Atoi(port); err != nil || host == "" || numErr != nil || n < 1 || n > 65535 {
		return nil, fmt.Errorf("the SMTP server's address %q is not of the form host:port, such as mail.example.org:587", s.Address)
	}
	from, err := netmail.ParseAddress(s.From)
	if err != nil {
		return nil, fmt.Errorf("the sender %q is not a mail address such as Name <name@example.org>: %w", s.From, err)
	}
	switch s.TLS {
	case "", StartTLS, TLS:
	case NoTLS:
		if s.Password != "" {
			return nil, fmt.Errorf("a password would go to %s unencrypted; use %s or %s, or leave the password out", s.Address, StartTLS, TLS)
		}
	default:
		return nil, fmt.Errorf("%q is not a way to an SMTP server; there are %s, %s and %s", s.TLS, StartTLS, TLS, NoTLS)
	}
	if (s.Username == "") != (s.Password == "") {
		return nil, errors.New("a login at the SMTP server takes a username and a password; one is missing")
	}
	return from, nil
}

// deliver hands the message to the server. The mail counts as delivered when the server
// has taken its contents, whatever happens to the connection afterwards.
func (m *Mailer) deliver(ctx context.Context, msg *gomail.Msg) (temporary bool, err error) {
	s := m.options.SMTP
	host, portText, err := net.SplitHostPort(s.Address)
	if err != nil {
		return true, err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return true, err
	}
	config := &tls.Config{ServerName: host, RootCAs: s.CAs, MinVersion: tls.VersionTLS12}
	const connecting = 30 * time.Second
	patience := connecting
	if len(msg.GetAttachments()) > 0 {
		patience = 10 * time.Minute // 20 MB over a slow line
	}
	options := []gomail.Option{gomail.WithPort(port), gomail.WithTLSConfig(config), gomail.WithTimeout(patience)}
	switch s.TLS {
	case TLS:
		options = append(options, gomail.WithSSL())
	case NoTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if s.Hello != "" {
		options = append(options, gomail.WithHELO(s.Hello))
	}
	if s.Username != "" {
		// The connection is encrypted, so the simplest mechanisms come first: they work
		// everywhere.
		options = append(options, gomail.WithUsername(s.Username), gomail.WithPassword(s.Password),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthPlain, gomail.SMTPAuthLogin, gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthCramMD5))
	}
	// go-mail heeds the context only until it is connected.
	hangUp := func() {}
	options = append(options, gomail.WithDialContextFunc(func(dialing context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{Timeout: connecting}).DialContext(dialing, network, address)
		if err != nil {
			return nil, err
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		hangUp = func() { stop(); _ = conn.Close() } // go-mail leaves it open when a login fails
		if s.TLS != TLS {
			return conn, nil
		}
		encrypted := tls.Client(conn, config)
		if err := encrypted.HandshakeContext(dialing); err != nil {
			return nil, err
		}
		return encrypted, nil
	}))
	client, err := gomail.NewClient(host, options...)
	if err != nil {
		return true, fmt.Errorf("mail client: %w", err)
	}
	err = client.DialAndSendWithContext(ctx, msg)
	hangUp()
	if err == nil || msg.IsDelivered() {
		return false, nil
	}
	if ctx.Err() != nil {
		return true, fmt.Errorf("SMTP server %s: %w (%w)", s.Address, ctx.Err(), err)
	}
	return !refused(err), fmt.Errorf("SMTP server %s: %w", s.Address, err)
}

// refused reports whether the server refuses this mail or its recipient for good. What
// it says before that, to the login and to the sender, is about settings, which
// somebody can mend before the mail is sent again.
func refused(err error) bool {
	var e *gomail.SendError
	if !errors.As(err, &e) || e.ErrorCode()/100 != 5 || e.ErrorCode() == 530 { // 530: log in first
		return false
	}
	switch e.Reason {
	case gomail.ErrSMTPRcptTo, gomail.ErrSMTPData, gomail.ErrSMTPDataClose:
		return true
	default:
		return false
	}
}
