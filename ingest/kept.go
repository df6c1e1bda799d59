package ingest

import (
	"sync"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// What the broker keeps for clients.
const (
	sessionsKept     = 3600     // seconds that a session stays whose client is away
	messagesKept     = 100      // for a subscriber that is away or slow
	messagesWaiting  = 100      // to be sent to a client
	keptBytes        = 64 << 20 // all messages that are kept
	maxSubscriptions = 5_000    // of all clients

	maxClientID            = 256 // bytes
	maxClientSubscriptions = 100
	maxFilter              = 1 << 10 // bytes
	maxFilterLevels        = 32
)

// kept bounds the bytes of the messages that the broker keeps for sessions: those that a subscriber
// has not acknowledged, and the state of QoS 2. The session that keeps most loses it first.
type kept struct {
	server *mqtt.Server
	most   int64
	spare  *sparing

	bytes atomic.Int64 // at the last count, and all that was put aside since
	mu    sync.Mutex   // held to count
}

// put says that a packet was put aside.
func (k *kept) put(pk packets.Packet) {
	if k.bytes.Add(packetWeight(pk)) > k.most {
		k.count()
	}
}

// count weighs anew what is kept. If it is too much, sessions lose theirs until it is well below.
func (k *kept) count() {
	k.mu.Lock()
	defer k.mu.Unlock()
	before := k.bytes.Load()
	if before <= k.most {
		return // another has counted
	}
	weights := map[*mqtt.Client]int64{}
	var all int64
	for _, client := range k.server.Clients.GetAll() {
		if client.State.Inflight.Len() == 0 {
			continue
		}
		for _, pk := range client.State.Inflight.GetAll(false) {
			weights[client] += packetWeight(pk)
		}
		all += weights[client]
	}
	k.bytes.Add(all - before)
	for all > k.most*3/4 {
		var most *mqtt.Client
		for client, weight := range weights {
			if most == nil || weight > weights[most] {
				most = client
			}
		}
		k.spare.warn("", "the MQTT broker keeps too many bytes for subscribers; the session with most of them is ended",
			"client", short(most.ID), "bytes", weights[most], "kept", all, "most", k.most)
		endSession(k.server, most)
		all -= weights[most]
		k.bytes.Add(-weights[most])
		delete(weights, most)
	}
}

// packetWeight is about how many bytes a packet takes.
func packetWeight(pk packets.Packet) int64 {
	const (
		itself   = 1 << 10
		property = 64
	)
	n := itself + len(pk.TopicName) + len(pk.Payload) + len(pk.Properties.CorrelationData) + len(pk.Properties.ContentType) + len(pk.Properties.ResponseTopic)
	for _, p := range pk.Properties.User {
		n += property + len(p.Key) + len(p.Val)
	}
	return int64(n)
}

// endSession ends a session: a client that is connected is disconnected, and the broker forgets what it
// kept for it.
func endSession(server *mqtt.Server, client *mqtt.Client) {
	client.Stop(packets.ErrQuotaExceeded)
	forgetSession(server, client)
}

// forgetSession lets the broker forget a session whose client is not connected.
func forgetSession(server *mqtt.Server, client *mqtt.Client) {
	client.ClearInflights()
	server.UnsubscribeClient(client) // unless another has taken the session over
	if now, ok := server.Clients.Get(client.ID); ok && now == client {
		server.Clients.Delete(client.ID)
	}
}
