package ingest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
	"golang.org/x/crypto/bcrypt"

	"greentally"
)

// BrokerConfig describes the broker in the process.
type BrokerConfig struct {
	Listen string      // address; one that is not loopback needs users
	TLS    *tls.Config // nil means no TLS
	Users  []User      // empty means that anyone on the machine may connect

	// MaxPacket is the largest MQTT packet that it takes, in bytes; 1 MiB if 0. The sender
	// of a larger one is disconnected.
	MaxPacket int
}

// User may connect to the broker in the process.
type User struct {
	Username string `yaml:"username"`
	// PasswordBcrypt is the hash of the password, made by "greentally hash-password".
	PasswordBcrypt string `yaml:"password_bcrypt"`
	// Publish and Subscribe are MQTT topic filters. Publish left out means the user's
	// own topics, greentally/v1/{username}/#, with a username such as community/device.
	Publish   []string `yaml:"publish,omitempty"`
	Subscribe []string `yaml:"subscribe,omitempty"`
}

// Broker is an MQTT broker in the process that gives all it takes to the journal
// before it acknowledges it.
type Broker struct {
	// Addr is the address that it listens on.
	Addr net.Addr

	server *mqtt.Server
	cancel context.CancelFunc
}

// StartBroker starts a broker. It takes messages until ctx is done or it is closed;
// what is not acknowledged by then its senders keep.
func StartBroker(ctx context.Context, config BrokerConfig, submit func(context.Context, Delivery) error, metrics *Metrics, log *slog.Logger) (*Broker, error) {
	capabilities := mqtt.NewDefaultServerCapabilities()
	capabilities.MaximumPacketSize = uint32(cmp.Or(config.MaxPacket, 1<<20))
	server := mqtt.New(&mqtt.Options{Capabilities: capabilities, Logger: slog.New(quieter{log.Handler()})})
	ctx, cancel := context.WithCancel(ctx)
	fail := func(err error) (*Broker, error) {
		cancel()
		return nil, fmt.Errorf("MQTT broker on %s: %w", config.Listen, err)
	}
	h := &hook{ctx: ctx, submit: submit, metrics: metrics, log: log}
	if err := server.AddHook(h, nil); err != nil {
		return fail(err)
	}
	if len(config.Users) > 0 {
		h.users = map[string]User{}
		for _, u := range config.Users {
			h.users[u.Username] = u
		}
	}
	listener, err := net.Listen("tcp", config.Listen)
	if err != nil {
		return fail(err)
	}
	addr := listener.Addr()
	if config.TLS != nil {
		listener = tls.NewListener(listener, config.TLS)
	}
	if err := server.AddListener(listeners.NewNet("mqtt", listener)); err != nil {
		return fail(errors.Join(err, listener.Close()))
	}
	if err := server.Serve(); err != nil {
		return fail(errors.Join(err, listener.Close()))
	}
	return &Broker{Addr: addr, server: server, cancel: cancel}, nil
}

// Close disconnects all clients and stops the broker.
func (b *Broker) Close() error {
	b.cancel() // nobody may connect from now on
	// The server can lock itself up if a client leaves while it closes; let them leave first.
	for _, client := range b.server.Clients.GetAll() {
		client.Stop(packets.ErrServerShuttingDown)
	}
	for patience := time.Now().Add(2 * time.Second); atomic.LoadInt64(&b.server.Info.ClientsConnected) > 0 && time.Now().Before(patience); {
		time.Sleep(time.Millisecond)
	}
	return b.server.Close()
}

// hook sees each publication before the broker acknowledges it.
type hook struct {
	mqtt.HookBase
	ctx     context.Context
	submit  func(context.Context, Delivery) error
	users   map[string]User // nil means that anyone may connect
	metrics *Metrics
	log     *slog.Logger

	// verified remembers passwords that matched, since bcrypt is slow by design and
	// devices reconnect all at once.
	verified sync.Map // username → password
}

func (h *hook) ID() string { return "greentally" }

func (h *hook) Provides(b byte) bool {
	return bytes.Contains([]byte{mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnPublish, mqtt.OnWill, mqtt.OnWillSent}, []byte{b})
}

// OnConnectAuthenticate reports whether the client may connect. One whose last will is
// for a topic that it may not publish to may not: the broker publishes a will without
// asking again.
func (h *hook) OnConnectAuthenticate(client *mqtt.Client, pk packets.Packet) bool {
	if h.ctx.Err() != nil {
		return false // stopping
	}
	if h.users == nil {
		return true
	}
	username, password := string(pk.Connect.Username), string(pk.Connect.Password)
	user, known := h.users[username]
	if !known {
		h.log.Warn("MQTT client refused: unknown user", "client", client.ID, "username", username)
		return false
	}
	if before, ok := h.verified.Load(username); !ok || before != password {
		if bcrypt.CompareHashAndPassword([]byte(user.PasswordBcrypt), []byte(password)) != nil {
			h.log.Warn("MQTT client refused: wrong password", "client", client.ID, "username", username)
			return false
		}
		h.verified.Store(username, password)
	}
	if topic := pk.Connect.WillTopic; pk.Connect.WillFlag && !user.may(topic, true) {
		h.log.Warn("MQTT client refused: it may not publish to the topic of its last will", "client", client.ID, "username", username, "topic", topic)
		return false
	}
	return true
}

// OnACLCheck reports whether the client may publish or subscribe to the topic.
func (h *hook) OnACLCheck(client *mqtt.Client, topic string, write bool) bool {
	if h.users == nil {
		return true
	}
	return h.users[string(client.Properties.Username)].may(topic, write)
}

// may reports whether the user may publish or subscribe to the topic.
func (u User) may(topic string, publish bool) bool {
	filters := u.Subscribe
	if publish {
		filters = u.Publish
		if filters == nil {
			filters = []string{"greentally/v1/" + u.Username + "/#"}
		}
	}
	return slices.ContainsFunc(filters, func(filter string) bool { return covers(filter, topic) })
}

// covers reports whether everything that the filter or topic names is within the
// filter allowed.
func covers(allowed, topic string) bool {
	a, t := strings.Split(allowed, "/"), strings.Split(topic, "/")
	for i, level := range a {
		switch {
		case level == "#":
			return true
		case i >= len(t) || t[i] == "#":
			return false
		case level != "+" && level != t[i]:
			return false
		}
	}
	return len(a) == len(t)
}

// OnPublish keeps the publication in the journal. If that is impossible the broker
// neither acknowledges nor forwards it. The broker retains nothing: the journal has it,
// and what devices let it retain would fill its memory.
func (h *hook) OnPublish(_ *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if err := h.keep(pk); err != nil {
		return pk, packets.ErrRejectPacket
	}
	pk.FixedHeader.Retain = false
	return pk, nil
}

// OnWill lets the broker retain no last will either.
func (h *hook) OnWill(_ *mqtt.Client, will mqtt.Will) (mqtt.Will, error) {
	will.Retain = false
	return will, nil
}

// OnWillSent keeps a client's last will, which does not pass OnPublish.
func (h *hook) OnWillSent(client *mqtt.Client, pk packets.Packet) {
	if err := h.keep(pk); err != nil && h.ctx.Err() == nil {
		h.log.Warn("the last will of a client was not kept", "client", client.ID, "error", err)
	}
}

func (h *hook) keep(pk packets.Packet) error {
	h.metrics.received.WithLabelValues("broker").Inc()
	done := make(chan error, 1)
	message := greentally.Message{Topic: pk.TopicName, Payload: pk.Payload}
	if err := h.submit(h.ctx, Delivery{Message: message, Ack: func(err error) { done <- err }}); err != nil {
		return err
	}
	return <-done
}

// quieter lowers the broker's notes by one level: what a client does wrong is the
// client's matter, and a closed connection is none.
type quieter struct{ slog.Handler }

func (q quieter) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError || q.Handler.Enabled(ctx, level-4)
}

func (q quieter) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelError {
		r.Level -= 4
	}
	r.Message = cmp.Or(r.Message, "MQTT connection ended")
	return q.Handler.Handle(ctx, r)
}

func (q quieter) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quieter{q.Handler.WithAttrs(attrs)}
}
func (q quieter) WithGroup(name string) slog.Handler { return quieter{q.Handler.WithGroup(name)} }

// Validate reports what is wrong with the user.
func (u User) Validate() error {
	if u.Username == "" || strings.ContainsAny(u.Username, "+#") {
		return fmt.Errorf("username %q is empty or has + or # in it", u.Username)
	}
	if _, err := bcrypt.Cost([]byte(u.PasswordBcrypt)); err != nil {
		return fmt.Errorf("password_bcrypt of %s is not a bcrypt hash; make one with: greentally hash-password", u.Username)
	}
	return nil
}
