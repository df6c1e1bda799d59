package alerting

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"sync"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/common/model"
)

// debts are the alerts that somebody was to be told of, and could not be yet: the mail
// server is down. When such an alert ends, Alertmanager takes it for one that never
// mattered; but people are owed to hear of it.
type debts struct {
	keeper *keeper

	mu   sync.Mutex
	owed map[debt]bool
}

// debt is an alert that an integration of a receiver is owed.
type debt struct {
	Receiver string            `json:"receiver"`
	Index    int               `json:"index"` // of the integration
	Name     string            `json:"name"`
	Alert    model.Fingerprint `json:"alert"`
}

const debtKey = "owed."

func (d debt) key() string {
	text, _ := json.Marshal(d) // of strings and numbers
	hash := sha256.Sum256(text)
	return debtKey + hex.EncodeToString(hash[:16])
}

// note notes whether an attempt to tell of the alerts failed, for now.
func (d *debts) note(of debt, failed bool, alerts []*alert.Alert) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range alerts {
		of.Alert = a.Fingerprint()
		switch {
		case failed && !a.Resolved() && !d.owed[of]:
			d.owed[of] = true
			if text, err := json.Marshal(of); err == nil {
				d.keeper.set(of.key(), text, time.Now().Add(retention))
			}
		case !failed && d.owed[of]:
			d.drop(of)
		}
	}
}

// owes reports whether somebody of the receiver is owed the alert.
func (d *debts) owes(receiver string, a *alert.Alert) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for of := range d.owed {
		if of.Receiver == receiver && of.Alert == a.Fingerprint() {
			return true
		}
	}
	return false
}

// forget forgets what the receiver is owed of the alert.
func (d *debts) forget(receiver string, a *alert.Alert) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for of := range d.owed {
		if of.Receiver == receiver && of.Alert == a.Fingerprint() {
			d.drop(of)
		}
	}
}

func (d *debts) drop(of debt) {
	delete(d.owed, of)
	d.keeper.set(of.key(), nil, time.Time{})
}
