package ingest

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/mochi-mqtt/server/v2/listeners"
	"golang.org/x/sync/semaphore"
)

// Who may be connected without having been let in. Those who flood do not keep out the others: the
// one that has been silent for longest makes room.
const (
	connectWithin     = 10 * time.Second // for the TLS handshake and CONNECT
	maxWaiting        = 1_000
	maxNetworkWaiting = 256 // from one network other than this machine
)

// listener accepts connections for the broker until it is closed. If it cannot for a while it
// waits and tries again, as net/http does.
type listener struct {
	net.Listener
	tls       *tls.Config // nil means no TLS
	maxPacket int
	budget    *semaphore.Weighted
	room      *room
	troubles  *troubles
	ended     func(*conn, error) // a connection, after it was served
	log       *slog.Logger

	closed chan struct{}
	close  func() error
	failed chan error // that ended it, although it was not closed
	mu     sync.Mutex
	open   map[*conn]struct{} // nil when it is closed
	served sync.WaitGroup
}

// Init, ID, Address and Protocol are asked for by the broker.
func (l *listener) Init(*slog.Logger) error { return nil }

// ID names the listener.
func (l *listener) ID() string { return "mqtt" }

// Address is where it listens.
func (l *listener) Address() string { return l.Addr().String() }

// Protocol is that of its address.
func (l *listener) Protocol() string { return l.Addr().Network() }

// Serve accepts connections and has each established in a goroutine of its own.
func (l *listener) Serve(establish listeners.EstablishFn) {
	var wait time.Duration
	for {
		accepted, err := l.Accept()
		if err != nil {
			select {
			case <-l.closed:
				return
			default:
			}
			if isOver(err) {
				l.failed <- fmt.Errorf("MQTT broker on %s accepts nobody any more: %w", l.Addr(), err)
				return
			}
			l.troubles.set(accepting, fmt.Errorf("accept MQTT connections: %w", err))
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			select {
			case <-time.After(wait):
			case <-l.closed:
				return
			}
			continue
		}
		if wait > 0 {
			wait = 0
			l.troubles.set(accepting, nil)
		}
		l.take(accepted, establish)
	}
}

// isOver reports whether a listener will never accept again after the error.
func isOver(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.EBADF) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSOCK)
}

// take serves a connection, if there is room.
func (l *listener) take(accepted net.Conn, establish listeners.EstablishFn) {
	c := &conn{Conn: accepted, address: addressOf(accepted), most: l.maxPacket, budget: l.budget}
	c.local, c.network = c.address.IsLoopback(), networkOf(c.address)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	err := accepted.SetDeadline(time.Now().Add(connectWithin))
	if l.tls != nil {
		c.Conn = tls.Server(accepted, l.tls)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || l.open == nil || !l.room.enter(c, accepted) {
		c.cancel()
		_ = accepted.Close()
		return
	}
	l.open[c] = struct{}{}
	l.served.Go(func() {
		err := l.establish(c, establish)
		l.ended(c, err)
		_ = c.Close()
		c.giveBack()
		l.room.leave(c)
		l.mu.Lock()
		delete(l.open, c)
		l.mu.Unlock()
	})
}

// establish serves a connection to its end. Nothing that arrives from one client ends the program.
func (l *listener) establish(c *conn, establish listeners.EstablishFn) (err error) {
	defer func() {
		if r := recover(); r != nil {
			l.log.Error("an MQTT packet made the broker panic; its sender is disconnected", "address", c.address, "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return establish(l.ID(), c)
}

// Close stops accepting, closes all connections, and waits until none is served. The broker's own
// way to close its clients is not gone, for it can lock itself up.
func (l *listener) Close(listeners.CloseFn) { _ = l.close() }

func (l *listener) shut() error {
	close(l.closed)
	err := l.Listener.Close()
	l.mu.Lock()
	open := l.open
	l.open = nil
	all := make([]*conn, 0, len(open))
	for c := range open {
		all = append(all, c)
	}
	l.mu.Unlock()
	var closing sync.WaitGroup
	for _, c := range all {
		closing.Go(func() { _ = c.Close() }) // which takes a while with TLS
	}
	closing.Wait()
	l.served.Wait()
	return err
}

// addressOf is the address at the other end.
func addressOf(c net.Conn) netip.Addr {
	if a, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
		return a.Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// networkOf is what limits are for: an address, or in IPv6 what one line has at most.
func networkOf(a netip.Addr) string {
	if p, err := a.Prefix(56); err == nil && a.Is6() {
		return p.String()
	}
	return a.String()
}

// seat is where in the room a connection is.
type seat struct {
	state  seatState
	silent *list.Element // among those that have sent no CONNECT yet
	cut    net.Conn      // closed at once, without a word
}

type seatState byte

const (
	outside seatState = iota
	waiting           // to be let in
	inside
)

// room counts connections, so that there are never too many.
type room struct {
	most     int // that are let in
	metrics  *Metrics
	troubles *troubles

	mu       sync.Mutex
	waiting  int
	inside   int
	silent   *list.List // of *conn: waiting, and have sent no CONNECT yet; the oldest first
	networks map[string]*struct{ waiting, inside int }
}

func newRoom(most int, metrics *Metrics, troubles *troubles) *room {
	return &room{most: most, metrics: metrics, troubles: troubles, silent: list.New(), networks: map[string]*struct{ waiting, inside int }{}}
}

// Why a connection is refused, for the metric.
const (
	noRoom       = "room"     // max_connections, or too many wait
	noRoomThere  = "network"  // too many of its network
	noConnect    = "silent"   // no CONNECT in time, or it made room for others
	wrongLogin   = "password" // no such user, or not its password
	tooManyTries = "tries"    // wrong too often
	notChecked   = "busy"     // the password, in time
	badConnect   = "connect"  // its client ID or last will
	tooLarge     = "packet"   // of a packet
)

// enter makes a connection one that waits to be let in, or reports that there is no room for it.
func (r *room) enter(c *conn, cut net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.networks[c.network]
	switch {
	case n != nil && n.waiting >= maxNetworkWaiting && !c.local:
		r.metrics.refused.WithLabelValues(noRoomThere).Inc()
		return false
	case r.waiting < maxWaiting:
	case r.silent.Len() > 0:
		oldest := r.silent.Front().Value.(*conn)
		_ = oldest.seat.cut.Close()
		r.out(oldest)
		r.metrics.refused.WithLabelValues(noConnect).Inc()
	default:
		r.full(fmt.Errorf("%d MQTT clients wait for their passwords to be checked; others are refused", r.waiting))
		return false
	}
	if n = r.networks[c.network]; n == nil {
		n = &struct{ waiting, inside int }{}
		r.networks[c.network] = n
	}
	n.waiting++
	r.waiting++
	c.seat = seat{state: waiting, silent: r.silent.PushBack(c), cut: cut}
	r.metrics.connections.Inc()
	return true
}

// spoke says that a connection has sent its CONNECT.
func (r *room) spoke(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.seat.silent != nil {
		r.silent.Remove(c.seat.silent)
		c.seat.silent = nil
	}
}

// letIn reports whether there is room inside, and lets a connection in if so. One that takes the
// place of another needs none. One network other than this machine has half of the room at most.
func (r *room) letIn(c *conn, instead bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.seat.state != waiting {
		return false
	}
	n := r.networks[c.network]
	switch {
	case instead:
	case r.inside >= r.most:
		r.full(fmt.Errorf("%d MQTT clients are connected, as many as broker.max_connections allows; others are refused", r.inside))
		return false
	case n.inside >= max(1, r.most/2) && !c.local:
		r.metrics.refused.WithLabelValues(noRoomThere).Inc()
		return false
	}
	n.waiting--
	r.waiting--
	n.inside++
	r.inside++
	c.seat.state = inside
	return true
}

// leave says that a connection is over.
func (r *room) leave(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out(c)
}

func (r *room) out(c *conn) {
	n := r.networks[c.network]
	switch c.seat.state {
	case outside:
		return
	case waiting:
		n.waiting--
		r.waiting--
	case inside:
		n.inside--
		r.inside--
	}
	if c.seat.silent != nil {
		r.silent.Remove(c.seat.silent)
	}
	if n.waiting+n.inside == 0 {
		delete(r.networks, c.network)
	}
	c.seat = seat{}
	r.metrics.connections.Dec()
	if r.inside <= r.most-max(1, r.most/20) && r.waiting <= maxWaiting-maxWaiting/20 { // and not at every turn
		r.troubles.set(crowded, nil)
	}
}

func (r *room) full(err error) {
	r.metrics.refused.WithLabelValues(noRoom).Inc()
	r.troubles.set(crowded, err)
}

// troubles tells when there is trouble, and when it is over.
type troubles struct {
	tell [2]func(error) // by kind; may be nil
	log  *slog.Logger

	mu  sync.Mutex
	now [2]error
}

// The kinds of trouble.
const (
	accepting = iota
	crowded
)

// set says that there is trouble of a kind, or with nil that there is none.
func (t *troubles) set(kind int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.now[kind]
	if t.now[kind] = err; (before == nil) == (err == nil) {
		return
	}
	if err != nil {
		t.log.Warn("MQTT clients cannot connect; trying until they can", "error", err)
	} else {
		t.log.Info("MQTT clients can connect again", "before", before)
	}
	if tell := t.tell[kind]; tell != nil {
		tell(err)
	}
}
