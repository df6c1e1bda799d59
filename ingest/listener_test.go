package ingest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/semaphore"
)

// pipes is a listener without a network: what tests send it, it accepts.
type pipes struct {
	accepted chan any // of net.Conn or error
	closed   chan struct{}
	close    func()
}

func newPipes() *pipes {
	p := &pipes{accepted: make(chan any), closed: make(chan struct{})}
	p.close = sync.OnceFunc(func() { close(p.closed) })
	return p
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case next := <-p.accepted:
		if err, ok := next.(error); ok {
			return nil, &net.OpError{Op: "accept", Err: err}
		}
		return next.(net.Conn), nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.close(); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1883} }

// far is a connection from an address.
type far struct {
	net.Conn
	addr net.Addr
}

func (f far) RemoteAddr() net.Addr { return f.addr }

// client speaks MQTT byte by byte.
type client struct {
	net.Conn
	in *bufio.Reader
}

// dial connects from an address.
func (p *pipes) dial(address string) *client {
	ours, theirs := net.Pipe()
	p.accepted <- far{theirs, net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(address), 4711))}
	return &client{Conn: ours, in: bufio.NewReader(ours)}
}

// connect sends CONNECT and returns the code of CONNACK, and whether a session is there.
func (c *client) connect(t *testing.T, connect packets.ConnectParams, properties packets.Properties) (code byte, present bool) {
	t.Helper()
	version := byte(4)
	if properties.SessionExpiryIntervalFlag {
		version = 5
	}
	connect.ProtocolName = []byte("MQTT")
	connect.UsernameFlag, connect.PasswordFlag = len(connect.Username) > 0, len(connect.Password) > 0
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Connect}, ProtocolVersion: version, Connect: connect, Properties: properties}
	var b bytes.Buffer
	if err := pk.ConnectEncode(&b); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	first, body, err := c.packet()
	if err != nil || first>>4 != packets.Connack {
		t.Fatalf("got a packet %x %x, %v; want CONNACK", first, body, err)
	}
	return body[1], body[0]&1 == 1
}

// packet reads the next packet.
func (c *client) packet() (first byte, body []byte, err error) {
	if first, err = c.in.ReadByte(); err != nil {
		return 0, nil, err
	}
	n, _, err := packets.DecodeLength(c.in)
	if err != nil {
		return 0, nil, err
	}
	body = make([]byte, n)
	_, err = io.ReadFull(c.in, body)
	return first, body, err
}

// ended reports whether the broker has ended the connection.
func (c *client) ended() bool {
	_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := c.in.ReadByte()
	_ = c.SetReadDeadline(time.Time{})
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// ping reports whether the broker answers.
func (c *client) ping() bool {
	if _, err := c.Write([]byte{packets.Pingreq << 4, 0}); err != nil {
		return false
	}
	first, _, err := c.packet()
	return err == nil && first>>4 == packets.Pingresp
}

// publish sends a publication at QoS 1, and reports whether it is acknowledged.
func (c *client) publish(payload []byte) bool {
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, TopicName: "t", PacketID: 1, Payload: payload}
	var b bytes.Buffer
	if pk.PublishEncode(&b) != nil {
		return false
	}
	if _, err := c.Write(b.Bytes()); err != nil {
		return false
	}
	first, _, err := c.packet()
	return err == nil && first>>4 == packets.Puback
}

// start starts a broker that takes everything.
func start(t *testing.T, p *pipes, config BrokerConfig, log io.Writer) (*Broker, *Metrics) {
	t.Helper()
	metrics := NewMetrics(prometheus.NewRegistry())
	b, err := startBroker(t.Context(), p, config, func(_ context.Context, d Delivery) error { d.Ack(nil); return nil }, metrics, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b, metrics
}

// inBubble runs a test with a clock of its own, and a broker that is closed at its end.
func inBubble(t *testing.T, config BrokerConfig, log io.Writer, test func(t *testing.T, p *pipes, b *Broker, m *Metrics)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		b, m := start(t, p, config, log)
		test(t, p, b, m)
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}

// valueOf is the value of a counter or gauge.
func valueOf(c prometheus.Collector) float64 {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		panic(err)
	}
	m := families[0].GetMetric()[0]
	return m.GetCounter().GetValue() + m.GetGauge().GetValue()
}

func hashedSecret(t *testing.T) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func TestBrokerAcceptsAgain(t *testing.T) {
	var log bytes.Buffer
	var told []error
	inBubble(t, BrokerConfig{Trouble: func(err error) { told = append(told, err) }}, &log, func(t *testing.T, p *pipes, b *Broker, _ *Metrics) {
		for range 5 {
			p.accepted <- syscall.EMFILE
		}
		if code, _ := p.dial("127.0.0.1").connect(t, packets.ConnectParams{ClientIdentifier: "a", Clean: true}, packets.Properties{}); code != 0 {
			t.Errorf("CONNACK %d after the trouble", code)
		}
		if len(told) != 2 || !errors.Is(told[0], syscall.EMFILE) || told[1] != nil {
			t.Errorf("told %v, want EMFILE and nil", told)
		}
		if w, i := strings.Count(log.String(), "level=WARN"), strings.Count(log.String(), "level=INFO"); w != 1 || i != 1 {
			t.Errorf("want one warning and one note that it is over:\n%s", &log)
		}
		select {
		case err := <-b.Failed():
			t.Errorf("failed: %v", err)
		default:
		}
	})
}

func TestBrokerSaysThatItFailed(t *testing.T) {
	inBubble(t, BrokerConfig{}, io.Discard, func(t *testing.T, p *pipes, b *Broker, _ *Metrics) {
		p.accepted <- syscall.EBADF
		if err := <-b.Failed(); !errors.Is(err, syscall.EBADF) {
			t.Errorf("failed with %v", err)
		}
	})
}

func TestBrokerWaitsTenSecondsForConnect(t *testing.T) {
	for name, send := range map[string][]byte{"nothing": {}, "half a CONNECT": {0x10, 0x20, 0, 4, 'M', 'Q'}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, BrokerConfig{}, io.Discard, func(t *testing.T, p *pipes, _ *Broker, m *Metrics) {
				c := p.dial("10.0.0.1")
				for _, b := range send { // one a second makes it no longer
					time.Sleep(time.Second)
					if _, err := c.Write([]byte{b}); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(9500*time.Millisecond - time.Duration(len(send))*time.Second)
				if c.ended() {
					t.Error("the connection has ended before")
				}
				time.Sleep(time.Second)
				if !c.ended() {
					t.Error("the connection is still open")
				}
				synctest.Wait()
				if n := valueOf(m.refused.WithLabelValues(noConnect)); n != 1 {
					t.Errorf("%v refused", n)
				}
				if n := valueOf(m.connections); n != 0 {
					t.Errorf("%v connections", n)
				}
			})
		})
	}
}

func TestBrokerKeepalive(t *testing.T) {
	for _, tt := range []struct {
		keepalive uint16
		idle      time.Duration
		alive     bool
	}{{10, 14 * time.Second, true}, {10, 16 * time.Second, false}, {43_691, time.Hour, true}, {65_535, time.Hour, true}, {0, time.Hour, true}} {
		t.Run(fmt.Sprint(tt.keepalive, tt.idle), func(t *testing.T) {
			inBubble(t, BrokerConfig{}, io.Discard, func(t *testing.T, p *pipes, _ *Broker, _ *Metrics) {
				c := p.dial("127.0.0.1")
				c.connect(t, packets.ConnectParams{ClientIdentifier: "a", Clean: true, Keepalive: tt.keepalive}, packets.Properties{})
				time.Sleep(tt.idle)
				if alive := c.ping(); alive != tt.alive {
					t.Errorf("alive is %v after %s", alive, tt.idle)
				}
			})
		})
	}
}

// A session is kept for an hour, whatever the client asks for.
func TestBrokerForgetsSessions(t *testing.T) {
	v5 := packets.Properties{SessionExpiryInterval: 10, SessionExpiryIntervalFlag: true}
	for _, tt := range []struct {
		name    string
		connect packets.Properties
		leave   []byte
		away    time.Duration
		present bool
	}{
		{"3.1.1, soon", packets.Properties{}, []byte{0xe0, 0}, 59 * time.Minute, true},
		{"3.1.1, late", packets.Properties{}, []byte{0xe0, 0}, 61 * time.Minute, false},
		{"5, late", v5, []byte{0xe0, 0}, 13 * time.Second, false},
		{"5, and it asks for more as it leaves", v5, []byte{0xe0, 7, 0, 5, 17, 0xff, 0xff, 0xff, 0xff}, 61 * time.Minute, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, BrokerConfig{}, io.Discard, func(t *testing.T, p *pipes, b *Broker, _ *Metrics) {
				c := p.dial("127.0.0.1")
				c.connect(t, packets.ConnectParams{ClientIdentifier: "a"}, tt.connect)
				subscribe := []byte{0x82, 6, 0, 1, 0, 1, 'x', 1}
				if tt.connect.SessionExpiryIntervalFlag {
					subscribe = []byte{0x82, 7, 0, 1, 0, 0, 1, 'x', 1}
				}
				if _, err := c.Write(subscribe); err != nil {
					t.Fatal(err)
				}
				if first, _, err := c.packet(); first>>4 != packets.Suback {
					t.Fatalf("got %x, %v; want SUBACK", first, err)
				}
				if _, err := c.Write(tt.leave); err != nil {
					t.Fatal(err)
				}
				time.Sleep(tt.away)
				if _, present := p.dial("127.0.0.1").connect(t, packets.ConnectParams{ClientIdentifier: "a"}, tt.connect); present != tt.present {
					t.Errorf("a session is there: %v", present)
				}
				if n := atomic.LoadInt64(&b.server.Info.Subscriptions); (n == 1) != tt.present {
					t.Errorf("%d subscriptions are there", n)
				}
			})
		})
	}
}

// A large packet waits for memory, and one that does not come on cannot keep it.
func TestLargePacketsWaitForMemory(t *testing.T) {
	const large = 1 << 20
	head := func() []byte { // PUBLISH of 1 MiB less a little
		return []byte{0x32, 0xf0, 0xff, 0x3f, 0, 1, 't', 0, 1}
	}
	inBubble(t, BrokerConfig{MaxPacket: large}, io.Discard, func(t *testing.T, p *pipes, b *Broker, _ *Metrics) {
		connect := func(id string) *client {
			c := p.dial("127.0.0.1")
			c.connect(t, packets.ConnectParams{ClientIdentifier: id, Clean: true, Keepalive: 10}, packets.Properties{})
			return c
		}
		good := connect("good")
		for i := range packetsBytes/2/large + 1 { // of which each but the last takes nearly 2 MiB
			if _, err := connect(fmt.Sprint("bad", i)).Write(head()); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if !good.ping() || !good.publish(make([]byte, 1000)) {
			t.Error("a small packet had to wait")
		}
		began := time.Now()
		if !good.publish(make([]byte, 500_000)) {
			t.Error("a large message was not acknowledged")
		}
		if waited := time.Since(began); waited < 15*time.Second || waited > packetTime(large) {
			t.Errorf("it waited %s", waited)
		}
		if !good.publish(make([]byte, 500_000)) {
			t.Error("the next large message was not acknowledged")
		}
		time.Sleep(2 * packetTime(large))
		if !b.listener.budget.TryAcquire(packetsBytes) {
			t.Error("memory is still taken")
		}
	})
}

func TestSmallPacketsOnlyUntilLetIn(t *testing.T) {
	for name, tt := range map[string]struct {
		send []byte
		ends bool
	}{
		"CONNECT of 1 MiB":      {[]byte{0x10, 0xf0, 0xff, 0x3f}, true},
		"CONNECT of 16 KiB":     {[]byte{0x10, 0x80, 0x80, 0x01}, false},
		"CONNECT of 16 KiB + 1": {[]byte{0x10, 0x81, 0x80, 0x01}, true},
		"no length":             {[]byte{0x10, 0x81, 0x80, 0x81, 0x80}, true},
		"PUBLISH":               {[]byte{0x30, 0x80, 0x80, 0x01}, true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, BrokerConfig{}, io.Discard, func(t *testing.T, p *pipes, _ *Broker, _ *Metrics) {
				c := p.dial("10.0.0.1")
				_, _ = c.Write(tt.send)
				synctest.Wait()
				if c.ended() != tt.ends {
					t.Errorf("the connection has ended: %v", !tt.ends)
				}
			})
		})
	}
}

func TestRoom(t *testing.T) {
	var told []error
	log := slog.New(slog.DiscardHandler)
	metrics := NewMetrics(prometheus.NewRegistry())
	r := newRoom(10, metrics, &troubles{tell: [2]func(error){crowded: func(err error) { told = append(told, err) }}, log: log})
	enter := func(network string) (*conn, bool) {
		a, _ := net.Pipe()
		c := &conn{network: network, local: network == "local"}
		return c, r.enter(c, a)
	}

	// Silent ones make room for others, and one network cannot keep out another.
	var flood []*conn
	for i := range maxNetworkWaiting + 1 {
		c, in := enter("flood")
		if want := i < maxNetworkWaiting; in != want {
			t.Fatalf("connection %d of a network: %v", i, in)
		}
		flood = append(flood, c)
	}
	for i := range maxWaiting {
		if _, in := enter(fmt.Sprint(i)); !in {
			t.Fatalf("connection %d of another network is refused", i)
		}
	}
	if flood[0].seat.state != outside || r.waiting != maxWaiting {
		t.Errorf("%d wait, and the oldest still does", r.waiting)
	}
	if len(told) != 0 {
		t.Errorf("told %v, although there was room", told)
	}

	// Inside, a network has half of the room, but this machine all of it.
	var inside []*conn
	for i := range 11 {
		network := "one"
		if i >= 5 {
			network = "local"
		}
		c, in := enter(network)
		if !in {
			t.Fatal("no room to wait")
		}
		r.spoke(c)
		if want := i < 10; r.letIn(c, false) != want {
			t.Fatalf("client %d is let in: %v", i, !want)
		}
		inside = append(inside, c)
		if i == 4 {
			again, _ := enter("one")
			if r.letIn(again, false) {
				t.Error("a network has more than half of the room")
			}
			r.leave(again)
		}
	}
	if len(told) != 1 || told[0] == nil {
		t.Errorf("told %v, want that there is no room", told)
	}
	if !r.letIn(inside[10], true) {
		t.Error("one that takes the place of another is not let in")
	}
	for _, c := range inside {
		r.leave(c)
		r.leave(c)
	}
	for r.silent.Len() > 0 {
		r.leave(r.silent.Front().Value.(*conn))
	}
	if len(told) != 2 || told[1] != nil {
		t.Errorf("told %v, want that it is over", told)
	}
	if len(r.networks) != 0 || r.waiting != 0 || r.inside != 0 || valueOf(metrics.connections) != 0 {
		t.Errorf("%d networks, %d, %d and %v connections remain", len(r.networks), r.waiting, r.inside, valueOf(metrics.connections))
	}
}

func TestBrokerHoldsBackWrongPasswords(t *testing.T) {
	var log bytes.Buffer
	users := []User{{Username: "u", PasswordBcrypt: hashedSecret(t)}, {Username: "v", PasswordBcrypt: hashedSecret(t)}}
	inBubble(t, BrokerConfig{Users: users}, &log, func(t *testing.T, p *pipes, _ *Broker, m *Metrics) {
		try := func(address, username, password string) byte {
			t.Helper()
			code, _ := p.dial(address).connect(t, packets.ConnectParams{ClientIdentifier: "a", Clean: true, Username: []byte(username), Password: []byte(password)}, packets.Properties{})
			return code
		}
		if code := try("10.0.0.9", "v", "secret"); code != 0 {
			t.Fatalf("CONNACK %d", code)
		}
		for range wrongNetworkBurst {
			if try("10.0.0.1", "u", "wrong") == 0 || try("10.0.0.1", "nobody", "secret") == 0 {
				t.Fatal("a wrong password was accepted")
			}
		}
		if n := valueOf(m.refused.WithLabelValues(wrongLogin)); n != 2*wrongNameBurst {
			t.Errorf("%v passwords were checked, want %d", n, 2*wrongNameBurst)
		}
		for i := range wrongNetworkBurst {
			try("10.0.0.1", fmt.Sprint("nobody", i), "secret")
		}
		if n := valueOf(m.refused.WithLabelValues(wrongLogin)); n != wrongNetworkBurst {
			t.Errorf("%v passwords were checked, want %d", n, wrongNetworkBurst)
		}
		if code := try("10.0.0.1", "u", "secret"); code == 0 {
			t.Error("after all that, the next one was checked")
		}
		if code := try("10.0.0.1", "v", "secret"); code != 0 {
			t.Errorf("CONNACK %d for a password that was right before", code)
		}
		if code := try("10.0.0.2", "u", "secret"); code != 0 {
			t.Errorf("CONNACK %d from another network", code)
		}
		if n := strings.Count(log.String(), "\n"); n > 3 {
			t.Errorf("%d lines in the log:\n%s", n, &log)
		}
		time.Sleep(perWrongName)
		if code := try("10.0.0.1", "u", "secret"); code != 0 {
			t.Errorf("CONNACK %d after a while", code)
		}
		try("10.0.0.1", "u", "wrong")
		if want := "left_out="; !strings.Contains(log.String(), want) {
			t.Errorf("the log does not tell how much it leaves out:\n%s", &log)
		}
	})
}

// To find that somebody is not there takes as much as to find that a password is wrong.
func TestDecoyHasTheCostOfTheUsers(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), 6)
	if err != nil {
		t.Fatal(err)
	}
	p := newPasswords(map[string]User{"a": {PasswordBcrypt: hashedSecret(t)}, "b": {PasswordBcrypt: string(hash)}})
	if cost, err := bcrypt.Cost(p.decoy); cost != 6 || err != nil || !isBcrypt(string(p.decoy)) {
		t.Errorf("cost %d, %v", cost, err)
	}
	if err := bcrypt.CompareHashAndPassword(p.decoy, nil); !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		t.Errorf("%v; want that it was computed and does not match", err)
	}
}

// All devices reconnect at once, and each of them comes in.
func TestBrokerLetsInAFleet(t *testing.T) {
	var users []User
	hash := hashedSecret(t)
	for i := range 100 {
		users = append(users, User{Username: fmt.Sprint("d", i), PasswordBcrypt: hash})
	}
	p := newPipes()
	start(t, p, BrokerConfig{Users: users}, io.Discard)
	var fleet sync.WaitGroup
	for i, u := range users {
		c := p.dial(fmt.Sprintf("10.0.0.%d", 1+i%3))
		fleet.Go(func() {
			if code, _ := c.connect(t, packets.ConnectParams{ClientIdentifier: "a", Clean: true, Username: []byte(u.Username), Password: []byte("secret")}, packets.Properties{}); code != 0 {
				t.Errorf("CONNACK %d", code)
			}
		})
	}
	fleet.Wait()
}

func TestKeptIsBounded(t *testing.T) {
	server := mqtt.New(&mqtt.Options{Logger: slog.New(slog.DiscardHandler)})
	k := &kept{server: server, most: 1 << 20, spare: &sparing{log: slog.New(slog.DiscardHandler), lines: map[string]*sparedLine{}}}
	put := func(id string, packet uint16, size int) {
		client, there := server.Clients.Get(id)
		if !there {
			client = server.NewClient(nil, "mqtt", id, false)
			server.Clients.Add(client)
		}
		pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish}, PacketID: packet, Payload: make([]byte, size)}
		client.State.Inflight.Set(pk)
		k.put(pk)
	}
	put("thin", 1, 1000)
	for i := range 100 {
		put("fat", uint16(i), 60_000)
		put("quick", 1, 100) // and acknowledged at once
	}
	if thin, there := server.Clients.Get("thin"); !there || thin.State.Inflight.Len() != 1 {
		t.Error("the session that keeps least has lost it")
	}
	var all int64
	for _, c := range server.Clients.GetAll() {
		for _, pk := range c.State.Inflight.GetAll(false) {
			all += packetWeight(pk)
		}
	}
	if all > k.most || k.bytes.Load() < all {
		t.Errorf("%d bytes are kept, %d by count; most is %d", all, k.bytes.Load(), k.most)
	}
}

// chunks is a connection that gives what it has in chunks of given sizes.
type chunks struct {
	net.Conn
	data  []byte
	sizes []byte
	next  int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	n := min(len(p), len(c.data), 1<<15)
	if len(c.sizes) > 0 {
		n = min(n, 1+int(c.sizes[c.next%len(c.sizes)]))
		c.next++
	}
	copy(p, c.data[:n])
	c.data = c.data[n:]
	return n, nil
}

func (c *chunks) SetReadDeadline(time.Time) error { return nil }

// What is handed on is what arrived, whatever the chunks; and of a large packet nothing before there
// is memory for it, and nothing beyond it as long as that is taken.
func FuzzConnHandsOnWhatArrives(f *testing.F) {
	large := append([]byte{0x30, 0x88, 0x27}, make([]byte, 5000)...)
	f.Add([]byte{0x10, 2, 1, 2, 0xc0, 0}, []byte{0}, uint16(10))
	f.Add(append(append([]byte{0xc0, 0}, large...), 0xc0, 0), []byte{1, 200, 3}, uint16(2048))
	f.Add(append(large, large...), []byte{255}, uint16(7))
	f.Add([]byte{0x30, 0xff, 0xff, 0xff, 0x7f, 1}, []byte{}, uint16(1))
	f.Add([]byte{0x30, 0x80, 0x80, 0x80, 0x80, 0x80, 0}, []byte{}, uint16(100))
	f.Add([]byte{0x30, 0x80, 0x00, 0xe0, 0x80, 0x80, 0x00}, []byte{2}, uint16(3))
	f.Fuzz(func(t *testing.T, data, sizes []byte, size uint16) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		c := &conn{Conn: &chunks{data: bytes.Clone(data), sizes: sizes}, most: 1 << 28, ctx: ctx, cancel: cancel,
			budget: semaphore.NewWeighted(userBytes), share: semaphore.NewWeighted(userBytes), accepted: true}
		var got []byte
		var err error
		check, sent := packetFollower{admitted: true}, 0
		for p := make([]byte, max(1, int(size))); err == nil; {
			var n int
			if n, err = c.Read(p); n == 0 && err == nil {
				t.Fatal("read nothing")
			}
			got = append(got, p[:n]...)
			for ; sent < len(got); sent++ { // by a follower that sees one byte at a time, and lets all pass
				was := check.where
				check.follow(got[sent : sent+1])
				if was == inLength && check.where == inBody {
					check.admitted = true
					if check.length > smallPacket && c.weight != min(2*int64(check.length), userBytes) {
						t.Fatalf("a packet of %d bytes was handed on, but %d taken for it", check.length, c.weight)
					}
					if check.length <= smallPacket && c.weight != 0 {
						t.Fatal("the memory of a packet is taken while the next one is handed on")
					}
				}
				check.admitted = true
			}
		}
		if !bytes.HasPrefix(data, got) {
			t.Fatalf("%x arrived, %x was handed on", data, got)
		}
		if errors.Is(err, io.EOF) && len(got) != len(data) {
			t.Fatalf("%d bytes arrived, %d were handed on", len(data), len(got))
		}
		c.giveBack()
		if !c.budget.TryAcquire(userBytes) || !c.share.TryAcquire(userBytes) {
			t.Fatal("memory was not given back")
		}
	})
}
