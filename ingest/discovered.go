package ingest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"greentally"
)

// Discoveries remembers the devices that speak but are not in the registry.
type Discoveries struct {
	// Identify tells from a message which device speaks; false if it cannot tell.
	Identify func(greentally.Message) (greentally.Discovered, bool)

	bucket jetstream.KeyValue
	mu     sync.Mutex
	noted  map[greentally.DeviceKey]time.Time // when its entry was last written
}

// maxDiscovered bounds how many are remembered, so that a flood of invented names
// does no harm.
const maxDiscovered = 10_000

// OpenDiscoveries opens the memory, and makes it if it is not there.
func OpenDiscoveries(ctx context.Context, js jetstream.JetStream, replicas int, identify func(greentally.Message) (greentally.Discovered, bool)) (*Discoveries, error) {
	bucket, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket:      "GREENTALLY_DISCOVERED",
		Description: "Devices that speak but are not in the registry",
		Storage:     jetstream.FileStorage,
		Replicas:    max(1, replicas),
	})
	if err != nil {
		return nil, fmt.Errorf("discovered devices: %w", err)
	}
	return &Discoveries{Identify: identify, bucket: bucket, noted: map[greentally.DeviceKey]time.Time{}}, nil
}

// discoveredKey is the device's key in the bucket, whose keys take few characters.
func discoveredKey(k greentally.DeviceKey) string {
	plain := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return "c" + plain(k.Community) + ".d" + plain(k.Device)
}

// Note remembers the device that the message is from.
func (d *Discoveries) Note(ctx context.Context, m greentally.Message) error {
	found, ok := d.Identify(m)
	if !ok {
		return nil
	}
	d.mu.Lock()
	last, known := d.noted[found.DeviceKey]
	full := len(d.noted) >= maxDiscovered
	d.mu.Unlock()
	if known && m.Received.Sub(last) < time.Minute || !known && full {
		return nil
	}
	found.Topic = m.Topic
	found.Payload = strings.ToValidUTF8(string(m.Payload[:min(len(m.Payload), 512)]), "�")
	found.First, found.Last = m.Received, m.Received
	entry, err := d.bucket.Get(ctx, discoveredKey(found.DeviceKey))
	switch {
	case err == nil:
		var before greentally.Discovered
		if json.Unmarshal(entry.Value(), &before) == nil {
			found.First = before.First
			if before.Last.After(found.Last) { // a replay
				found.Last = before.Last
			}
		}
	case !errors.Is(err, jetstream.ErrKeyNotFound):
		return fmt.Errorf("discovered device %s: %w", found.DeviceKey, err)
	}
	data, err := json.Marshal(found)
	if err != nil {
		return fmt.Errorf("discovered device %s: %w", found.DeviceKey, err)
	}
	if _, err := d.bucket.Put(ctx, discoveredKey(found.DeviceKey), data); err != nil {
		return fmt.Errorf("discovered device %s: %w", found.DeviceKey, err)
	}
	d.mu.Lock()
	d.noted[found.DeviceKey] = m.Received
	d.mu.Unlock()
	return nil
}

// List returns the devices, sorted by name.
func (d *Discoveries) List(ctx context.Context) ([]greentally.Discovered, error) {
	keys, err := d.bucket.ListKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("discovered devices: %w", err)
	}
	var all []greentally.Discovered
	for key := range keys.Keys() {
		entry, err := d.bucket.Get(ctx, key)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("discovered devices: %w", err)
		}
		var found greentally.Discovered
		if err := json.Unmarshal(entry.Value(), &found); err != nil {
			return nil, fmt.Errorf("discovered device %s: %w", key, err)
		}
		all = append(all, found)
	}
	slices.SortFunc(all, func(a, b greentally.Discovered) int { return strings.Compare(a.String(), b.String()) })
	return all, nil
}

// Forget removes a device, because it was adopted or is of no interest.
func (d *Discoveries) Forget(ctx context.Context, key greentally.DeviceKey) error {
	if err := d.bucket.Delete(ctx, discoveredKey(key)); err != nil {
		return fmt.Errorf("forget device %s: %w", key, err)
	}
	d.mu.Lock()
	delete(d.noted, key)
	d.mu.Unlock()
	return nil
}
