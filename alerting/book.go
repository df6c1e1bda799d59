package alerting

import (
	"bytes"
	"cmp"
	"encoding/json"
	"time"

	"github.com/prometheus/common/model"

	"greentally"
)

// book has the alerts that hold, and those that ended and of which not all have heard.
type book struct {
	known  map[model.Fingerprint]known
	latest map[greentally.AlertKey]model.Fingerprint // of the alerts that have the key
}

type known struct {
	alert   greentally.Alert
	value   []byte // the alert as it is kept; nil if it cannot be
	changed time.Time
}

func newBook() book {
	return book{known: map[model.Fingerprint]known{}, latest: map[greentally.AlertKey]model.Fingerprint{}}
}

// note notes an alert, and returns of what there is news, in order. An end of what did not
// hold is none, for nobody was told that it does. An alert whose labels differ from before
// is another to Alertmanager, so the former one ends. After a crash readings are seen again:
// that an alert holds of which it is known that it is over is no news.
func (b *book) note(a greentally.Alert, now time.Time) (news []model.Fingerprint) {
	fingerprint := labelSet(a).Fingerprint()
	latest, there := b.latest[a.Key()]
	before := b.known[latest].alert
	if there && before.Ended != nil && a.Ended == nil && a.Fired.Equal(before.Fired) {
		return nil
	}
	there = there && before.Ended == nil
	if there && latest != fingerprint {
		before.Ended = cmp.Or(a.Ended, &now)
		b.put(latest, before, now)
		news = append(news, latest)
	}
	if a.Ended == nil || there && latest == fingerprint {
		if b.put(fingerprint, a, now) {
			news = append(news, fingerprint)
		}
	}
	return news
}

// put reports whether that is new.
func (b *book) put(fingerprint model.Fingerprint, a greentally.Alert, now time.Time) bool {
	value, err := json.Marshal(a)
	if err != nil { // of a limit that is no number
		value = nil
	}
	if before, there := b.known[fingerprint]; there && value != nil && bytes.Equal(before.value, value) {
		return false
	}
	b.known[fingerprint] = known{a, value, now}
	if _, there := b.latest[a.Key()]; !there || a.Ended == nil {
		b.latest[a.Key()] = fingerprint
	}
	return true
}

func (b *book) forget(fingerprint model.Fingerprint) {
	former := b.known[fingerprint].alert
	key := former.Key()
	delete(b.known, fingerprint)
	if b.latest[key] == fingerprint {
		delete(b.latest, key)
	}
}

func (b *book) holding() (all []greentally.Alert) {
	for _, k := range b.known {
		if k.alert.Ended == nil {
			all = append(all, k.alert)
		}
	}
	return all
}
