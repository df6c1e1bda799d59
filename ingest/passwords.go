package ingest

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"hash/maphash"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
)

// How often one may be wrong before one is not heard for a while. Being right costs nothing, so a
// fleet behind one address connects all at once.
const (
	perWrongName, wrongNameBurst       = time.Minute, 10  // a user from a network
	perWrongNetwork, wrongNetworkBurst = time.Second, 100 // a network other than this machine

	checkWithin = 20 * time.Second // a password waits no longer for its turn
)

// passwords finds out whether users are who they say they are. Half of the processors at most are
// kept busy with it, and how long it takes does not tell who exists.
type passwords struct {
	users  map[string]User
	decoy  []byte // a hash of nothing, for users who are not there
	checks *semaphore.Weighted

	// verified remembers the hashes of passwords that matched, since bcrypt is slow by design
	// and devices reconnect all at once.
	verified sync.Map // username → [sha256.Size]byte

	names, networks *wrongs
}

func newPasswords(users map[string]User) *passwords {
	cost := bcrypt.MinCost
	for _, u := range users {
		if c, err := bcrypt.Cost([]byte(u.PasswordBcrypt)); err == nil {
			cost = max(cost, c)
		}
	}
	return &passwords{users: users, checks: semaphore.NewWeighted(int64(max(1, runtime.GOMAXPROCS(0)/2))),
		decoy: fmt.Appendf(nil, "$2a$%02d$......................oooooooooooooooooooooooooooooo.", cost),
		names: newWrongs(perWrongName, wrongNameBurst), networks: newWrongs(perWrongNetwork, wrongNetworkBurst)}
}

// check returns why somebody may not connect; empty if the user is there and has the password.
func (p *passwords) check(ctx context.Context, c *conn, username string, password []byte) string {
	user, known := p.users[username]
	sum := sha256.Sum256(password)
	if before, ok := p.verified.Load(username); ok {
		if before := before.([sha256.Size]byte); subtle.ConstantTimeCompare(before[:], sum[:]) == 1 {
			return ""
		}
	}
	name := c.network + " " + username
	tooMany := func() bool {
		now := time.Now()
		return p.names.usedUp(name, now) || !c.local && p.networks.usedUp(c.network, now)
	}
	if tooMany() {
		return tooManyTries
	}
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	if p.checks.Acquire(ctx, 1) != nil {
		return notChecked
	}
	defer p.checks.Release(1)
	if tooMany() { // by those who waited before
		return tooManyTries
	}
	hash := p.decoy
	if known {
		hash = []byte(user.PasswordBcrypt)
	}
	if bcrypt.CompareHashAndPassword(hash, password) != nil || !known {
		now := time.Now()
		p.names.count(name, now)
		p.networks.count(c.network, now)
		return wrongLogin
	}
	p.verified.Store(username, sum)
	return ""
}

// wrongs counts by names who is wrong too often. However many names there are it takes the same
// memory: each name has some of the limiters, by hashes that nobody outside can compute, and
// shares them with others. Many names are needed to use up those of another one.
type wrongs struct {
	every rate.Limit
	burst int
	seed  maphash.Seed

	mu       sync.Mutex
	limiters []*rate.Limiter // nil as long as it is not used
}

// limitersOfName is how many limiters a name has.
const limitersOfName = 4

func newWrongs(every time.Duration, burst int) *wrongs {
	return &wrongs{every: rate.Every(every), burst: burst, seed: maphash.MakeSeed(), limiters: make([]*rate.Limiter, 1<<14)}
}

// usedUp reports whether the name was wrong too often.
func (w *wrongs) usedUp(name string, now time.Time) bool {
	used := true
	w.each(name, func(l **rate.Limiter) { used = used && *l != nil && (*l).TokensAt(now) < 1 })
	return used
}

// count says that the name was wrong.
func (w *wrongs) count(name string, now time.Time) {
	w.each(name, func(l **rate.Limiter) {
		if *l == nil {
			*l = rate.NewLimiter(w.every, w.burst)
		}
		(*l).AllowN(now, 1)
	})
}

func (w *wrongs) each(name string, do func(**rate.Limiter)) {
	hash := maphash.String(w.seed, name)
	w.mu.Lock()
	defer w.mu.Unlock()
	for range limitersOfName {
		do(&w.limiters[hash%uint64(len(w.limiters))])
		hash /= uint64(len(w.limiters))
	}
}

// sparing logs what may happen all the time: one line a minute for each name and text, which tells
// how many were left out.
type sparing struct {
	log *slog.Logger

	mu    sync.Mutex
	lines map[string]*sparedLine
}

type sparedLine struct {
	at      time.Time // when it was logged
	leftOut int
}

const (
	everyLine = time.Minute
	mostLines = 1_000 // others share one
)

// warn logs a warning about what has the name.
func (s *sparing) warn(name, text string, attrs ...any) {
	now, key := time.Now(), text+" "+name
	s.mu.Lock()
	l := s.lines[key]
	if l == nil && len(s.lines) >= mostLines {
		for k, old := range s.lines {
			if now.Sub(old.at) >= everyLine {
				delete(s.lines, k)
			}
		}
		if len(s.lines) >= mostLines {
			key = "" // of all others
			l = s.lines[key]
		}
	}
	if l == nil {
		l = &sparedLine{}
		s.lines[key] = l
	}
	if now.Sub(l.at) < everyLine {
		l.leftOut++
		s.mu.Unlock()
		return
	}
	leftOut := l.leftOut
	*l = sparedLine{at: now}
	s.mu.Unlock()
	if leftOut > 0 {
		attrs = append(attrs, "left_out", leftOut)
	}
	s.log.Warn(text, attrs...)
}

// short is what of a text from outside comes to the log.
func short(text string) string {
	const most = 64
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}
