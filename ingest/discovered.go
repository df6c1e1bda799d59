package ingest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"greentally"
)

// Discoveries remembers the devices that speak but are not in the registry: at most 2,000 of each
// community that there is, 2,000 of all others together, and 10,000 in all, so that a flood of
// invented names does no harm. Where there is no room, a device takes that of another when it is
// heard a second time: of those that were heard once only the one that was last heard longest ago,
// and of the others if there is none of those.
type Discoveries struct {
	// Identify tells from a message which device speaks; false if it cannot tell.
	Identify func(greentally.Message) (greentally.Discovered, bool)
	// Known reports whether there is a community; if it is nil, all are taken for known. It is set before the first message.
	Known func(community string) bool

	bucket jetstream.KeyValue
	stream jetstream.Stream // of the bucket

	mu    sync.Mutex
	heard map[greentally.DeviceKey]span // what is in the bucket
	sizes map[string]int                // of the groups; nil until the first message comes

	// The devices that there was no room for, by a hash of their keys, and when they were heard
	// first: of late, and before that.
	seed           maphash.Seed
	waiting, older map[uint64]time.Time
}

// span is when a device was heard first and last, and whose room it takes.
type span struct {
	first, last time.Time
	group       string // see [Discoveries.group]
}

// How much is remembered.
const (
	maxDiscovered = 10_000
	maxInGroup    = 2_000  // of one community
	maxHeardOnce  = 50_000 // in each of two halves; some 5 MB together
	maxTopic      = 512    // bytes that are kept of a topic
)

// OpenDiscoveries opens the memory, and makes it if it is not there.
func OpenDiscoveries(ctx context.Context, js jetstream.JetStream, replicas int, identify func(greentally.Message) (greentally.Discovered, bool)) (*Discoveries, error) {
	bucket, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket:      discoveredBucket,
		Description: "Devices that speak but are not in the registry",
		Storage:     jetstream.FileStorage,
		Replicas:    max(1, replicas),
	})
	if err != nil {
		return nil, fmt.Errorf("discovered devices: %w", err)
	}
	d := &Discoveries{Identify: identify, bucket: bucket, heard: map[greentally.DeviceKey]span{}, seed: maphash.MakeSeed(), waiting: map[uint64]time.Time{}}
	if d.stream, err = js.Stream(ctx, "KV_"+discoveredBucket); err != nil {
		return nil, fmt.Errorf("discovered devices: %w", err)
	}
	watcher, err := bucket.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fmt.Errorf("discovered devices: %w", err)
	}
	for entry := range watcher.Updates() {
		if entry == nil { // there are no more
			break
		}
		var found greentally.Discovered
		if err := json.Unmarshal(entry.Value(), &found); err != nil {
			return nil, errors.Join(fmt.Errorf("discovered device %s: %w", entry.Key(), err), watcher.Stop())
		}
		d.heard[found.DeviceKey] = span{first: found.First, last: found.Last}
	}
	if err := watcher.Stop(); err != nil {
		return nil, fmt.Errorf("discovered devices: %w", err)
	}
	return d, ctx.Err()
}

const discoveredBucket = "GREENTALLY_DISCOVERED"

// discoveredKey is the device's key in the bucket, whose keys take few characters.
func discoveredKey(k greentally.DeviceKey) string {
	plain := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return "c" + plain(k.Community) + ".d" + plain(k.Device)
}

// Note remembers the device that the message is from. One that is known already is written at
// most once a minute.
func (d *Discoveries) Note(ctx context.Context, m greentally.Message) error {
	found, ok := d.Identify(m)
	if !ok {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count()
	before, known := d.heard[found.DeviceKey]
	group := before.group
	if !known {
		group = d.group(found.Community)
	}
	switch {
	case known && m.Received.Sub(before.last) < time.Minute:
		return nil
	case !known && d.full(group):
		first, again := d.wait(found.DeviceKey, m.Received)
		if !again {
			return nil
		}
		if err := d.makeRoom(ctx, group); err != nil {
			return err
		}
		before = span{first: first, last: first}
	}
	found.Topic = strings.ToValidUTF8(m.Topic[:min(len(m.Topic), maxTopic)], "�")
	found.Payload = strings.ToValidUTF8(string(m.Payload[:min(len(m.Payload), 512)]), "�")
	found.First, found.Last = m.Received, m.Received
	if before != (span{}) {
		found.First = before.first
		if before.last.After(found.Last) { // a replay
			found.Last = before.last
		}
	}
	data, err := json.Marshal(found)
	if err != nil {
		return fmt.Errorf("discovered device %s: %w", found.DeviceKey, err)
	}
	if _, err := d.bucket.Put(ctx, discoveredKey(found.DeviceKey), data); err != nil {
		return fmt.Errorf("discovered device %s: %w", found.DeviceKey, err)
	}
	d.heard[found.DeviceKey] = span{found.First, found.Last, group}
	if !known {
		d.sizes[group]++
	}
	return nil
}

// group is whose room a community's devices take: those that nobody has entered share one.
func (d *Discoveries) group(community string) string {
	if d.Known != nil && !d.Known(community) {
		return ""
	}
	return community
}

// count counts the devices of each group, once. A community that is entered, or goes, changes the
// group of what was heard before only at the next start.
func (d *Discoveries) count() {
	if d.sizes != nil {
		return
	}
	d.sizes = map[string]int{}
	for key, s := range d.heard {
		s.group = d.group(key.Community)
		d.heard[key] = s
		d.sizes[s.group]++
	}
}

// full reports whether there is no room for a further device of a group.
func (d *Discoveries) full(group string) bool {
	return len(d.heard) >= maxDiscovered || d.sizes[group] >= maxInGroup
}

// wait remembers that a device was heard for which there is no room. If it was heard before, a
// minute ago or more, it waits no more, and wait returns when that was.
func (d *Discoveries) wait(key greentally.DeviceKey, now time.Time) (first time.Time, again bool) {
	hash := maphash.String(d.seed, discoveredKey(key))
	first, there := d.waiting[hash]
	if !there {
		first, there = d.older[hash]
	}
	if there && now.Sub(first) >= time.Minute {
		delete(d.waiting, hash)
		delete(d.older, hash)
		return first, true
	}
	if !there {
		if len(d.waiting) >= maxHeardOnce {
			d.waiting, d.older = map[uint64]time.Time{}, d.waiting
		}
		d.waiting[hash] = now
	}
	return now, false
}

// makeRoom forgets a device for one of a group: one of the same, or of the largest if all together
// are too many. What is too much from before is forgotten by and by.
func (d *Discoveries) makeRoom(ctx context.Context, group string) error {
	for range 10 {
		if !d.full(group) {
			return nil
		}
		from := group
		if d.sizes[group] < maxInGroup {
			for other, n := range d.sizes {
				if n > d.sizes[from] || n == d.sizes[from] && other < from {
					from = other
				}
			}
		}
		if err := d.forget(ctx, d.least(from)); err != nil {
			return err
		}
	}
	return nil
}

// least is the device of a group that is forgotten first.
func (d *Discoveries) least(group string) (least greentally.DeviceKey) {
	var of span
	found := false
	for key, s := range d.heard {
		if s.group != group {
			continue
		}
		once, leastOnce := s.first.Equal(s.last), of.first.Equal(of.last)
		if !found || once && !leastOnce || once == leastOnce && s.last.Before(of.last) {
			least, of, found = key, s, true
		}
	}
	return least
}

// DiscoveredQuery says which discovered devices are wanted, and which page of them.
type DiscoveredQuery struct {
	Of     func(community string) bool // of communities that it is true of
	Device string                      // that call themselves so; any if it is empty
	After  string                      // the page begins behind this one, as community/device
	Limit  int                         // at most so many
}

// List returns a page of the devices, sorted by community and name, and how many there are on all
// pages.
func (d *Discoveries) List(ctx context.Context, q DiscoveredQuery) (page []greentally.Discovered, total int, err error) {
	var keys []greentally.DeviceKey
	d.mu.Lock()
	for key := range d.heard {
		if q.Of(key.Community) && (q.Device == "" || q.Device == key.Device) {
			keys = append(keys, key)
		}
	}
	d.mu.Unlock()
	slices.SortFunc(keys, func(a, b greentally.DeviceKey) int { return strings.Compare(a.String(), b.String()) })
	for _, key := range keys {
		if key.String() <= q.After && q.After != "" {
			continue
		}
		if len(page) >= q.Limit {
			break
		}
		entry, err := d.bucket.Get(ctx, discoveredKey(key))
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			continue // it was forgotten meanwhile
		}
		var found greentally.Discovered
		if err == nil {
			err = json.Unmarshal(entry.Value(), &found)
		}
		if err != nil {
			return nil, 0, fmt.Errorf("discovered device %s: %w", key, err)
		}
		page = append(page, found)
	}
	return page, len(keys), nil
}

// Forget removes a device, because it was adopted or is of no interest.
func (d *Discoveries) Forget(ctx context.Context, key greentally.DeviceKey) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.forget(ctx, key)
}

// forget removes a device without a trace: as many as there were would be left of a flood.
func (d *Discoveries) forget(ctx context.Context, key greentally.DeviceKey) error {
	if err := d.stream.Purge(ctx, jetstream.WithPurgeSubject("$KV."+discoveredBucket+"."+discoveredKey(key))); err != nil {
		return fmt.Errorf("forget device %s: %w", key, err)
	}
	if s, there := d.heard[key]; there && d.sizes != nil {
		d.sizes[s.group]--
	}
	delete(d.heard, key)
	return nil
}
