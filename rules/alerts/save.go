package alerts

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"greentally"
)

// clockKey is the key of what belongs to no device.
const clockKey = "clock"

// clock is what the engine remembers beside its devices.
type clock struct {
	Now     time.Time          `json:"now"`
	Watched time.Duration      `json:"watched"`
	Ended   []greentally.Alert `json:"ended,omitempty"`
	Others  []greentally.Alert `json:"others,omitempty"`
}

// Save hands over what changed since it was saved last, by key: letters, digits, dots, _
// and -; nil for what is to be forgotten. What is saved can be older than what the engine is restored with, and the other way
// round, if it then sees all readings again since the older one.
func (e *Engine) Save(put func(key string, data []byte) error) error {
	for _, key := range e.gone {
		if e.devices[key] != nil {
			continue // it is back
		}
		if err := put("device."+key.Community+"."+key.Device, nil); err != nil {
			return fmt.Errorf("alert state of %s: %w", key, err)
		}
	}
	e.gone = nil
	for key, m := range e.devices {
		if !m.changed {
			continue
		}
		data, err := json.Marshal(m)
		if err != nil {
			return fmt.Errorf("alert state of %s: %w", key, err)
		}
		if err := put("device."+key.Community+"."+key.Device, data); err != nil {
			return fmt.Errorf("alert state of %s: %w", key, err)
		}
		m.changed = false
	}
	data, err := json.Marshal(clock{Now: e.now, Watched: e.watched, Ended: e.ended, Others: e.holding()})
	if err != nil {
		return fmt.Errorf("alert state: %w", err)
	}
	if err := put(clockKey, data); err != nil {
		return fmt.Errorf("alert state: %w", err)
	}
	return nil
}

// Restored is called when all was restored. It ends what is about nothing that there is now.
func (e *Engine) Restored() (changed []greentally.Alert) { return e.arrange() }

// Unsaved says that what was handed over last was not saved, so that it is the next time.
func (e *Engine) Unsaved() {
	for _, m := range e.devices {
		m.changed = true
	}
}

// Restore puts back what was saved under the key. It is called for all keys before the
// engine sees anything; what is of no device that there is now is passed over.
func (e *Engine) Restore(key string, data []byte) error {
	if key == clockKey {
		var c clock
		if err := json.Unmarshal(data, &c); err != nil {
			return fmt.Errorf("alert state: %w", err)
		}
		e.now, e.watched, e.ended = c.Now, c.Watched, c.Ended
		for _, a := range c.Others {
			e.others[a.Key()] = &a
		}
		return nil
	}
	parts := strings.Split(key, ".")
	if len(parts) != 3 || parts[0] != "device" {
		return fmt.Errorf("alert state: %q is no key of it", key)
	}
	device := greentally.DeviceKey{Community: parts[1], Device: parts[2]}
	p, known := e.places[device]
	if !known {
		e.gone = append(e.gone, device)
		return nil
	}
	m := &memory{}
	if err := json.Unmarshal(data, m); err != nil {
		return fmt.Errorf("alert state of %s: %w", device, err)
	}
	if m.Values == nil {
		m.Values = map[string]*value{}
	}
	if m.States == nil {
		m.States = map[string]*state{}
	}
	e.devices[device], p.memory = m, m
	return nil
}
