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
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/semaphore"

	"greentally"
)

// BrokerConfig describes the broker in the process.
type BrokerConfig struct {
	Listen string      // address; one that is not loopback needs users
	TLS    *tls.Config // nil means no TLS
	Users  []User      // empty means that anyone on the machine may connect

	// MaxPacket is the largest MQTT packet that it takes, in bytes; 1 MiB if 0. The sender
	// of a larger one is disconnected, and so is that of one larger than 16 KiB that
	// publishes nothing.
	MaxPacket int

	// MaxConnections is how many clients are connected at once, 10,000 if 0; half of them from
	// one network (an IPv4 address, or an IPv6 /56) other than this machine.
	MaxConnections int

	// Trouble is told why connections cannot be accepted, and Crowded that there is no room for more;
	// and nil when that is over. They may be nil, and must not wait for the broker. The latter can be
	// brought about by strangers, so nobody should take the broker out of service for it.
	Trouble, Crowded func(error)
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

	server   *mqtt.Server
	listener *listener
	close    func() error
}

// StartBroker starts a broker. It takes messages until ctx is done or it is closed;
// what is not acknowledged by then its senders keep.
func StartBroker(ctx context.Context, config BrokerConfig, submit func(context.Context, Delivery) error, metrics *Metrics, log *slog.Logger) (*Broker, error) {
	accept, err := net.Listen("tcp", config.Listen)
	if err != nil {
		return nil, fmt.Errorf("MQTT broker on %s: %w", config.Listen, err)
	}
	b, err := startBroker(ctx, accept, config, submit, metrics, log)
	if err != nil {
		return nil, fmt.Errorf("MQTT broker on %s: %w", config.Listen, errors.Join(err, accept.Close()))
	}
	return b, nil
}

func startBroker(ctx context.Context, accept net.Listener, config BrokerConfig, submit func(context.Context, Delivery) error, metrics *Metrics, log *slog.Logger) (*Broker, error) {
	maxPacket, maxConnections := cmp.Or(config.MaxPacket, 1<<20), cmp.Or(config.MaxConnections, 10_000)
	capabilities := mqtt.NewDefaultServerCapabilities()
	capabilities.MaximumPacketSize = uint32(maxPacket)
	capabilities.MaximumClients = int64(maxConnections) + maxWaiting // the room says when it is full
	capabilities.MaximumSessionExpiryInterval = sessionsKept
	capabilities.MaximumInflight = messagesKept
	capabilities.MaximumClientWritesPending = messagesWaiting
	capabilities.TopicAliasMaximum = 0                             // the broker tells nobody that there are any
	capabilities.Compatibilities.NoInheritedPropertiesOnAck = true // a QoS 2 message's would be kept
	server := mqtt.New(&mqtt.Options{Capabilities: capabilities, Logger: slog.New(quieter{log.Handler()})})

	ctx, cancel := context.WithCancel(ctx)
	spare := &sparing{log: log, lines: map[string]*sparedLine{}}
	troubles := &troubles{tell: [2]func(error){config.Trouble, config.Crowded}, log: log}
	h := &hook{ctx: ctx, server: server, submit: submit, metrics: metrics, log: log, spare: spare, maxPacket: maxPacket,
		room: newRoom(maxConnections, metrics, troubles), kept: &kept{server: server, most: keptBytes, spare: spare}}
	if len(config.Users) > 0 {
		h.users, h.shares = map[string]User{}, map[string]*semaphore.Weighted{}
		for _, u := range config.Users {
			h.users[u.Username], h.shares[u.Username] = u, semaphore.NewWeighted(userBytes)
		}
		h.passwords = newPasswords(h.users)
	}
	l := &listener{Listener: accept, tls: config.TLS, maxPacket: maxPacket, budget: semaphore.NewWeighted(packetsBytes),
		room: h.room, troubles: troubles, ended: h.ended, log: log,
		closed: make(chan struct{}), failed: make(chan error, 1), open: map[*conn]struct{}{}}
	l.close = sync.OnceValue(l.shut)
	if err := errors.Join(server.AddHook(h, nil), server.AddListener(l)); err != nil {
		cancel()
		return nil, err
	}
	if err := server.Serve(); err != nil {
		cancel()
		return nil, err
	}
	return &Broker{Addr: accept.Addr(), server: server, listener: l, close: sync.OnceValue(func() error {
		cancel() // nobody may connect from now on
		return errors.Join(l.close(), server.Close())
	})}, nil
}

// Failed receives why the broker takes no connections any more although nobody closed it. It
// should be closed then, and the program end.
func (b *Broker) Failed() <-chan error { return b.listener.failed }

// Close disconnects all clients and stops the broker.
func (b *Broker) Close() error { return b.close() }

// hook sees each publication before the broker acknowledges it.
type hook struct {
	mqtt.HookBase
	ctx       context.Context
	server    *mqtt.Server
	submit    func(context.Context, Delivery) error
	users     map[string]User                // nil means that anyone may connect
	shares    map[string]*semaphore.Weighted // of the memory for packets, by user
	passwords *passwords                     // nil without users
	maxPacket int
	room      *room
	kept      *kept
	metrics   *Metrics
	log       *slog.Logger
	spare     *sparing // for what clients can make happen all the time
}

func (h *hook) ID() string { return "greentally" }

func (h *hook) Provides(b byte) bool {
	switch b {
	case mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnSubscribe, mqtt.OnPublish, mqtt.OnQosPublish, mqtt.OnWill, mqtt.OnWillSent,
		mqtt.OnPacketRead, mqtt.OnClientExpired:
		return true
	}
	return false
}

// OnConnectAuthenticate reports whether the client may connect. One whose last will is
// for a topic that it may not publish to may not: the broker publishes a will without
// asking again.
func (h *hook) OnConnectAuthenticate(client *mqtt.Client, pk packets.Packet) bool {
	c, ok := client.Net.Conn.(*conn)
	if !ok {
		return false
	}
	h.room.spoke(c)
	if h.ctx.Err() != nil {
		return h.refuse(client, packets.ErrServerShuttingDown)
	}
	username, will := string(pk.Connect.Username), pk.Connect.WillTopic
	no := func(reason, why string, code packets.Code, attrs ...any) bool {
		h.metrics.refused.WithLabelValues(reason).Inc()
		h.spare.warn(c.network, "MQTT client refused: "+why, append([]any{"address", c.address, "client", short(client.ID), "username", short(username)}, attrs...)...)
		return h.refuse(client, code)
	}
	switch {
	case len(client.ID) > maxClientID:
		return no(badConnect, fmt.Sprintf("its client ID is longer than %d bytes", maxClientID), packets.ErrClientIdentifierNotValid)
	case pk.Connect.WillFlag && !mqtt.IsValidFilter(will, true):
		return no(badConnect, "the topic of its last will is none to publish to", packets.ErrTopicNameInvalid, "topic", short(will))
	}
	if h.users != nil {
		switch reason := h.passwords.check(h.ctx, c, username, pk.Connect.Password); reason {
		case "":
		case wrongLogin:
			return no(reason, "no such user, or not its password", packets.ErrBadUsernameOrPassword)
		case tooManyTries:
			return no(reason, "too many wrong passwords", packets.ErrBadUsernameOrPassword)
		default:
			return no(reason, "too many passwords are to be checked", packets.ErrServerBusy)
		}
		if pk.Connect.WillFlag && !h.users[username].may(will, true) {
			return no(badConnect, "it may not publish to the topic of its last will", packets.ErrBadUsernameOrPassword, "topic", short(will))
		}
		// Sessions belong to a user: the same client ID is another one for another user. No
		// username has a # in it.
		client.ID = username + "#" + client.ID
		c.share = h.shares[username]
	}
	before, there := h.server.Clients.Get(client.ID)
	instead := there && !before.Closed()
	if !h.room.letIn(c, instead) {
		h.spare.warn(c.network, "MQTT client refused: too many are connected", "address", c.address, "client", short(client.ID))
		return h.refuse(client, packets.ErrServerBusy)
	}
	if instead {
		// The broker says goodbye to it, and must not wait for one that does not listen.
		_ = before.Net.Conn.SetWriteDeadline(time.Now().Add(time.Second))
	}
	c.accepted, c.client, c.keepalive = true, client, time.Duration(pk.Connect.Keepalive)*time.Second
	h.bound(client)
	return true
}

// refuse tells a client why it may not connect, and disconnects it.
func (h *hook) refuse(client *mqtt.Client, code packets.Code) bool {
	if _, known := packets.V5CodesToV3[code]; !known && client.Properties.ProtocolVersion < 5 {
		switch code {
		case packets.ErrServerBusy, packets.ErrServerShuttingDown:
			code = packets.ErrServerUnavailable
		default:
			code = packets.ErrBadUsernameOrPassword
		}
	}
	_ = h.server.SendConnack(client, code, false, nil) // it may be gone
	client.Stop(code)
	return false
}

// bound keeps of what a client sends to connect only what is needed, and of its session only as
// much as there is memory for.
func (h *hook) bound(client *mqtt.Client) {
	p := &client.Properties
	p.Username = bytes.Clone(p.Username) // not with the whole packet, password and all
	p.Props.User, p.Props.AuthenticationMethod, p.Props.AuthenticationData = nil, "", nil
	p.Props.TopicAliasMaximum = 0
	client.State.TopicAliases.Outbound = mqtt.NewOutboundTopicAliases(0)
	if int64(h.server.Clients.Len())-atomic.LoadInt64(&h.server.Info.ClientsConnected) >= int64(h.room.most) {
		p.Clean, p.Props.SessionExpiryInterval, p.Props.SessionExpiryIntervalFlag = true, 0, true
		h.spare.warn("", "the MQTT broker keeps as many sessions as it can; others end when their clients leave", "sessions", h.room.most)
	}
	p.Will.TopicName, p.Will.Payload = strings.Clone(p.Will.TopicName), bytes.Clone(p.Will.Payload)
	p.Will.User = nil
	p.Will.WillDelayInterval = min(p.Will.WillDelayInterval, p.Props.SessionExpiryInterval, sessionsKept) // then its session ends
}

// OnPacketRead lets no client prolong its session, as it leaves, beyond what is allowed.
func (h *hook) OnPacketRead(_ *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if pk.FixedHeader.Type == packets.Disconnect {
		pk.Properties.SessionExpiryInterval = min(pk.Properties.SessionExpiryInterval, sessionsKept)
	}
	return pk, nil
}

// ended tidies up after a connection.
func (h *hook) ended(c *conn, err error) {
	switch {
	case errors.Is(err, packets.ErrPacketTooLarge):
		h.metrics.refused.WithLabelValues(tooLarge).Inc()
		h.spare.warn(c.network, "MQTT client disconnected: its packet was too large", "address", c.address, "most", h.maxPacket)
	case !c.accepted && errors.Is(err, os.ErrDeadlineExceeded):
		h.metrics.refused.WithLabelValues(noConnect).Inc()
	}
	if client := c.client; client != nil {
		// The broker does not end the session of one that left while it connected.
		p := client.Properties
		if p.ProtocolVersion == 5 && p.Props.SessionExpiryInterval == 0 || p.ProtocolVersion < 5 && p.Clean {
			forgetSession(h.server, client)
		}
	}
	h.log.Debug("MQTT connection ended", "address", c.address, "error", err)
}

// OnClientExpired ends a session whose client stays away. The broker forgets the rest, but not
// what it subscribed to; nor would it keep a last will that was to be sent now.
func (h *hook) OnClientExpired(client *mqtt.Client) {
	if will := client.Properties.Will; atomic.LoadUint32(&client.Properties.Will.Flag) == 1 && will.WillDelayInterval > 0 {
		h.OnWillSent(client, packets.Packet{TopicName: will.TopicName, Payload: will.Payload})
	}
	forgetSession(h.server, client)
}

// OnACLCheck reports whether the client may publish or subscribe to the topic.
func (h *hook) OnACLCheck(client *mqtt.Client, topic string, write bool) bool {
	if h.users == nil {
		return true
	}
	if !write && mqtt.IsSharedFilter(topic) { // $share/group/filter
		if parts := strings.SplitN(topic, "/", 3); len(parts) == 3 {
			topic = parts[2]
		}
	}
	return h.users[string(client.Properties.Username)].may(topic, write)
}

// OnSubscribe bounds what a client subscribes to. A filter that is too much is refused as invalid.
func (h *hook) OnSubscribe(client *mqtt.Client, pk packets.Packet) packets.Packet {
	left := min(maxClientSubscriptions-int64(client.State.Subscriptions.Len()), maxSubscriptions-atomic.LoadInt64(&h.server.Info.Subscriptions))
	pk.Filters = slices.Clone(pk.Filters)
	for i := range pk.Filters {
		filter := &pk.Filters[i].Filter
		if _, there := client.State.Subscriptions.Get(*filter); there {
			continue
		}
		if left <= 0 || len(*filter) > maxFilter || strings.Count(*filter, "/") >= maxFilterLevels {
			h.spare.warn(client.ID, "MQTT client may not subscribe to so much", "client", short(client.ID), "filter", short(*filter),
				"subscriptions", client.State.Subscriptions.Len())
			*filter = ""
			continue
		}
		left--
		*filter = strings.Clone(*filter) // not with the whole packet
	}
	return pk
}

// OnQosPublish counts what the broker keeps for a client: a message until it is acknowledged, and
// that one of QoS 2 has come.
func (h *hook) OnQosPublish(_ *mqtt.Client, pk packets.Packet, _ int64, _ int) {
	if kind := pk.FixedHeader.Type; kind == packets.Publish || kind == packets.Pubrec {
		h.kept.put(pk)
	}
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
// filter allowed. What begins with $ no filter names that begins with a wildcard.
func covers(allowed, topic string) bool {
	if strings.HasPrefix(topic, "$") && !strings.HasPrefix(allowed, "$") {
		return false
	}
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

// quieter lets the broker's notes come to the log as debugging only: what a client does wrong is
// the client's matter, and there is no end of it.
type quieter struct{ slog.Handler }

func (q quieter) Enabled(ctx context.Context, level slog.Level) bool {
	return q.Handler.Enabled(ctx, lower(level))
}

func (q quieter) Handle(ctx context.Context, r slog.Record) error {
	r.Level = lower(r.Level)
	return q.Handler.Handle(ctx, r)
}

func lower(level slog.Level) slog.Level {
	if level < slog.LevelError {
		return min(level, slog.LevelDebug)
	}
	return level
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
	cost, err := bcrypt.Cost([]byte(u.PasswordBcrypt))
	if err != nil || !isBcrypt(u.PasswordBcrypt) {
		return fmt.Errorf("password_bcrypt of %s is not a bcrypt hash; make one with: greentally hash-password", u.Username)
	}
	if cost > maxCost {
		return fmt.Errorf("password_bcrypt of %s has cost %d, which takes too long to check; it must be %d to %d; make one with: greentally hash-password", u.Username, cost, bcrypt.MinCost, maxCost)
	}
	return nil
}

// maxCost is the highest cost of bcrypt that is taken; a second or two.
const maxCost = 14

// isBcrypt reports whether a hash has the form of bcrypt's: $2b$10$, 22 characters of salt, and 31
// of hash.
func isBcrypt(hash string) bool {
	const alphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	parts := strings.Split(hash, "$")
	return len(parts) == 4 && strings.HasPrefix(parts[1], "2") && len(parts[3]) == 53 && strings.Trim(parts[3], alphabet) == ""
}
