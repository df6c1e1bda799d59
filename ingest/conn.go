package ingest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"golang.org/x/sync/semaphore"
)

// What a packet may take. The broker sets memory aside, twice, as soon as it has read how long a
// packet is going to be; so a connection tells it only when there is room.
const (
	smallPacket   = 4 << 10  // one up to here waits for nothing
	controlPacket = 16 << 10 // and all but PUBLISH are no larger

	packetsBytes = 64 << 20 // for all larger ones that are read or worked on, each counted twice
	userBytes    = 16 << 20 // of them, for those of one user
)

// How long a packet may take, in either direction: as long as the slowest rate needs, and a while.
const (
	packetWhile = 30 * time.Second
	slowestRate = 16 << 10 // bytes a second
)

func packetTime(length int) time.Duration {
	return packetWhile + time.Duration(length)*time.Second/slowestRate
}

// conn is a connection of a client. It follows the packets that arrive, and keeps back the end of
// the header of a large one until there is memory for it. All but Write and Close is for the one
// goroutine that serves the connection.
type conn struct {
	net.Conn
	address netip.Addr
	network string // what limits are for
	local   bool   // the address is a loopback one
	most    int    // bytes of a packet

	ctx    context.Context // done when the connection is closed
	cancel context.CancelFunc

	packets packetFollower
	rest    []byte // read, but kept back
	budget  *semaphore.Weighted
	share   *semaphore.Weighted // the user's; nil without users
	weight  int64               // bytes taken from both

	accepted  bool
	keepalive time.Duration
	client    *mqtt.Client // from when it is let in

	seat seat // in the room; guarded by it
}

// Read hands on what arrives, unchanged. Of a large packet it hands on the end of the header only
// when there is memory for it, and nothing that follows it before the next packet is asked for.
func (c *conn) Read(p []byte) (int, error) {
	if c.packets.between() {
		c.giveBack() // the one before is done
	}
	var n int
	var err error
	kept := len(c.rest) > 0
	if kept {
		n = copy(p, c.rest)
	} else {
		n, err = c.Conn.Read(p)
	}
	on := c.packets.follow(p[:n])
	if on == 0 && n > 0 {
		if err := c.admit(); err != nil {
			return 0, err
		}
		on = c.packets.follow(p[:n])
	}
	switch {
	case kept:
		c.rest = c.rest[on:]
	case on < n:
		c.rest = bytes.Clone(p[on:n])
		return on, nil // and the error comes again
	}
	return on, err
}

// admit waits until there is memory for the packet whose header ends next.
func (c *conn) admit() error {
	length := c.packets.length
	switch control := c.packets.first>>4 != packets.Publish; {
	case c.packets.broken:
		return packets.ErrMalformedVariableByteInteger
	case length >= c.most, control && length > controlPacket:
		return packets.ErrPacketTooLarge
	case !c.accepted && !control:
		return packets.ErrProtocolViolationRequireFirstConnect
	case c.accepted: // those who are not are few, and may send small packets only
		weight := min(2*int64(length), userBytes)
		if c.share != nil {
			if err := c.share.Acquire(c.ctx, weight); err != nil {
				return fmt.Errorf("wait for memory: %w", err)
			}
		}
		if err := c.budget.Acquire(c.ctx, weight); err != nil {
			if c.share != nil {
				c.share.Release(weight)
			}
			return fmt.Errorf("wait for memory: %w", err)
		}
		c.weight = weight
		// The wait was none of the sender's doing; but now it must send.
		if err := c.SetReadDeadline(time.Now().Add(packetTime(length))); err != nil {
			return err
		}
	}
	c.packets.admitted = true
	return nil
}

// giveBack gives back the memory of the last large packet.
func (c *conn) giveBack() {
	if c.weight == 0 {
		return
	}
	c.budget.Release(c.weight)
	if c.share != nil {
		c.share.Release(c.weight)
	}
	c.weight = 0
}

// Write sends p, or closes the connection: what is sent in part cannot go on.
func (c *conn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(packetTime(len(p)))); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	if err != nil {
		_ = c.Close()
	}
	return n, err
}

// SetDeadline gives the client until one and a half times its keepalive to send the next packet.
// The broker's own idea of when that is, which cannot be later than 18 hours, does not count, and
// until the client is let in the deadline stays that of CONNECT.
func (c *conn) SetDeadline(time.Time) error {
	switch {
	case !c.accepted:
		return nil
	case c.keepalive == 0:
		return c.SetReadDeadline(time.Time{})
	}
	return c.SetReadDeadline(time.Now().Add(c.keepalive * 3 / 2))
}

// Close closes the connection. What it took of the memory it has until it is served no more.
func (c *conn) Close() error {
	c.cancel()
	return c.Conn.Close()
}

// packetFollower knows where in a stream of MQTT packets the next byte belongs.
type packetFollower struct {
	where    packetPart
	first    byte // of the packet
	length   int  // of what follows its header
	shift    int  // of the next digit of the length
	left     int  // to come
	admitted bool // the packet is large, and may pass
	broken   bool // the header is none
}

type packetPart byte

const (
	beforePacket packetPart = iota
	inLength
	inBody
)

// between reports whether the next byte is the first of a packet.
func (f *packetFollower) between() bool { return f.where == beforePacket }

// follow takes in what comes next, and returns how many bytes of it may be handed on: none if the
// first one ends the header of a large packet that is not admitted, or makes no header at all;
// otherwise those before such a byte, and none beyond an admitted packet.
func (f *packetFollower) follow(b []byte) int {
	for i := 0; i < len(b); {
		switch f.where {
		case beforePacket:
			f.first, f.length, f.shift, f.where = b[i], 0, 0, inLength
			i++
		case inLength:
			more := b[i]&0x80 != 0
			if f.broken = more && f.shift == 21; f.broken {
				return i
			}
			length := f.length&(1<<f.shift-1) | int(b[i]&0x7f)<<f.shift
			if f.length = length; more {
				f.shift += 7
				i++
				continue
			}
			if length > smallPacket && !f.admitted {
				return i
			}
			f.left, f.where = length, inBody
			i++
			if length == 0 {
				f.where = beforePacket
			}
		case inBody:
			n := min(f.left, len(b)-i)
			f.left -= n
			i += n
			if f.left == 0 {
				f.where = beforePacket
				if f.admitted {
					f.admitted = false
					return i
				}
			}
		}
	}
	return len(b)
}
