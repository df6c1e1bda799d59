package login

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"greentally/access"
)

// Sessions are kept in a bucket of JetStream, so that they outlive the process. Those that are
// over leave it by themselves.
type Sessions struct {
	bucket jetstream.KeyValue
	idle   time.Duration
	now    func() time.Time
}

// How long sessions last.
const (
	defaultIdle = 12 * time.Hour     // after the last request
	longest     = 7 * 24 * time.Hour // after the login
)

// session is what is kept of one, under the hash of its token.
type session struct {
	User       string    `json:"user"`
	Generation string    `json:"generation"` // of the user's sessions when it began
	Began      time.Time `json:"began"`
	Seen       time.Time `json:"seen"` // a request, give or take [Sessions.rest]
}

// OpenSessions opens the bucket of sessions, and makes it if it is not there. A session ends when
// nothing was asked for idle; 0 is 12 hours.
func OpenSessions(ctx context.Context, js jetstream.JetStream, replicas int, idle time.Duration, now func() time.Time) (*Sessions, error) {
	if idle == 0 {
		idle = defaultIdle
	}
	s := &Sessions{idle: idle, now: now}
	bucket, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: "GREENTALLY_SESSIONS", Description: "Who is logged in", Storage: jetstream.FileStorage, Replicas: max(1, replicas),
		TTL: idle + s.rest(),
	})
	if err != nil {
		return nil, fmt.Errorf("bucket of sessions: %w", err)
	}
	s.bucket = bucket
	return s, nil
}

// rest is how long a request is not written down after one that was: a write is synced to disk,
// next to the journal's.
func (s *Sessions) rest() time.Duration { return s.idle / 72 }

// tokenBytes is the length of what is in a session's cookie, before base64.
const tokenBytes = 32

// sessionKey is the key of a session, false for what cannot be a session's token.
func sessionKey(token string) (string, bool) {
	if len(token) != base64.RawURLEncoding.EncodedLen(tokenBytes) {
		return "", false
	}
	if _, err := base64.RawURLEncoding.Strict().DecodeString(token); err != nil {
		return "", false
	}
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:]), true
}

// begin makes a session of a user, and returns its token.
func (s *Sessions) begin(ctx context.Context, u access.User) (string, error) {
	random := make([]byte, tokenBytes)
	_, _ = rand.Read(random) // it never fails
	token := base64.RawURLEncoding.EncodeToString(random)
	key, _ := sessionKey(token)
	now := s.now().UTC()
	data, err := json.Marshal(session{u.Name, u.Generation, now, now})
	if err == nil {
		_, err = s.bucket.Create(ctx, key, data)
	}
	if err != nil {
		return "", fmt.Errorf("begin a session: %w", err)
	}
	return token, nil
}

// find returns the session with the token that is not over, and writes down that it was seen.
func (s *Sessions) find(ctx context.Context, token string) (session, bool, error) {
	key, ok := sessionKey(token)
	if !ok {
		return session{}, false, nil
	}
	entry, err := s.bucket.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return session{}, false, nil
	}
	var found session
	if err == nil {
		err = json.Unmarshal(entry.Value(), &found)
	}
	if err != nil {
		return session{}, false, fmt.Errorf("find a session: %w", err)
	}
	now := s.now()
	if now.Sub(found.Seen) >= s.idle || now.Sub(found.Began) >= longest {
		return session{}, false, nil
	}
	if now.Sub(found.Seen) < s.rest() {
		return found, true, nil
	}
	found.Seen = now.UTC()
	data, err := json.Marshal(found)
	if err == nil {
		_, err = s.bucket.Update(ctx, key, data, entry.Revision())
	}
	// Another request may have written it down, or ended the session, which must stay so.
	var refusal *jetstream.APIError
	if errors.Is(err, jetstream.ErrKeyExists) || errors.As(err, &refusal) && refusal.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		err = nil
	}
	if err != nil {
		return session{}, false, fmt.Errorf("keep a session: %w", err)
	}
	return found, true, nil
}

// end ends the session with the token, if there is one.
func (s *Sessions) end(ctx context.Context, token string) error {
	key, ok := sessionKey(token)
	if !ok {
		return nil
	}
	if _, err := s.bucket.Get(ctx, key); errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil
	}
	if err := s.bucket.Delete(ctx, key); err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}
