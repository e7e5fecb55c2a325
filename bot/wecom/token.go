package wecom

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"qunbot/store"
)

const (
	// refreshEarly is how long before its end a token is replaced. In its last
	// minutes the platform gives out the same token again, with what is left
	// of its life; such a token is replaced after half of that.
	refreshEarly = 5 * time.Minute

	renewWithin = 15 * time.Second       // for one fetch, the database included
	tokenLease  = 20 * time.Second       // longer than renewWithin, so that a lease outlives its fetch
	tokenPoll   = 200 * time.Millisecond // between two looks whether another replica has fetched
	minRenewal  = 10 * time.Second       // between two fetches that bring the same refused token
	maxBackoff  = 5 * time.Minute        // between two fetches that fail
)

// A tokenSource gives out the access token of one secret. All replicas use the
// same token: one of them fetches it, the others find it in the database,
// encrypted by the secret itself.
//
// Source: https://developer.work.weixin.qq.com/document/path/91039
type tokenSource struct {
	name  string                                                                  // of the row: corp and app
	seal  cipher.AEAD                                                             // by a key from the secret
	fetch func(ctx context.Context) (token string, life time.Duration, err error) // gettoken
	db    *store.Store                                                            // nil: the token is not shared
	now   func() time.Time
	log   *slog.Logger

	renewed func(err error) // hears of each renewal; nil: nobody does

	mu       sync.Mutex
	token    accessToken
	flight   *flight   // the fetch under way, if any
	sameAt   time.Time // when fetching last brought the token that had been refused
	failures int       // in a row
	retryAt  time.Time // after a failure, not before
	lastErr  error     // of that failure
}

// An accessToken is a token as it was got.
type accessToken struct {
	value     string
	version   int64 // of the row; 0 without a database
	gotAt     time.Time
	refreshAt time.Time
	expiresAt time.Time
}

// A flight is a fetch that several calls wait for.
type flight struct {
	done  chan struct{} // closed when token and err are set
	token accessToken
	err   error
}

func newTokenSource(corpID, app, secret string, db *store.Store, now func() time.Time, log *slog.Logger) (*tokenSource, error) {
	name := store.Key(corpID, app)
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "qunbot access token "+name, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	seal, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &tokenSource{name: name, seal: seal, db: db, now: now, log: log}, nil
}

// get returns a token that is valid as far as we know. refused is one that the
// platform did not accept, or empty; a token of that value is not returned
// unless fetching brings the same one again.
func (s *tokenSource) get(ctx context.Context, refused string) (string, error) {
	s.mu.Lock()
	now, t := s.now(), s.token
	usable := t.value != "" && t.value != refused && now.Before(t.expiresAt)
	if usable && now.Before(t.refreshAt) {
		s.mu.Unlock()
		return t.value, nil
	}
	if refused != "" && refused == t.value && now.Before(s.sameAt.Add(minRenewal)) {
		s.mu.Unlock()
		return t.value, nil // another fetch would bring it again
	}
	f := s.flight
	if f == nil && !now.Before(s.retryAt) {
		f = &flight{done: make(chan struct{})}
		s.flight = f
		// It goes on when the call that began it is given up: others wait too.
		go s.renew(context.WithoutCancel(ctx), f, refused)
	}
	err := s.lastErr
	s.mu.Unlock()
	switch {
	case usable:
		return t.value, nil // good until the next one is there
	case f == nil:
		return "", err // the last fetch failed, and it is too early for the next
	}
	select {
	case <-f.done:
		return f.token.value, f.err
	case <-ctx.Done():
		return "", &APIError{Op: opGetToken, Msg: ctx.Err().Error(), class: ClassRetry}
	}
}

// renew ends f with the next token.
func (s *tokenSource) renew(ctx context.Context, f *flight, refused string) {
	ctx, cancel := context.WithTimeout(ctx, renewWithin)
	defer cancel()
	f.token, f.err = s.next(ctx, refused)
	if s.renewed != nil {
		s.renewed(f.err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight = nil
	if f.err == nil && f.token.value == refused {
		s.sameAt = s.now()
	}
	if f.err == nil {
		s.token, s.failures, s.lastErr = f.token, 0, nil
	} else {
		s.failures++
		s.lastErr = f.err
		s.retryAt = s.now().Add(min(maxBackoff, time.Second<<min(s.failures-1, 10)))
		if e, ok := errors.AsType[*APIError](f.err); ok && e.RetryAt.After(s.retryAt) {
			s.retryAt = e.RetryAt
		}
		s.log.Warn("access token not renewed", "app", s.name, "failures", s.failures, "err", f.err)
	}
	close(f.done)
}

// next returns the token that another replica has stored, or fetches one and
// stores it. While another replica is fetching, it waits for that.
func (s *tokenSource) next(ctx context.Context, refused string) (accessToken, error) {
	if s.db == nil {
		return s.fetchOne(ctx)
	}
	for {
		stored, err := s.stored(ctx)
		if err != nil {
			return accessToken{}, err
		}
		now := s.now()
		if stored.value != "" && stored.value != refused && now.Before(stored.refreshAt) {
			return stored, nil
		}
		var mine bool
		err = s.db.Update(ctx, func(tx *store.Tx) (err error) {
			mine, err = tx.LeaseToken(tx.Context(), s.name, stored.version, now, now.Add(tokenLease))
			return err
		})
		if err != nil {
			return accessToken{}, s.storageError(err)
		}
		if mine {
			return s.fetchAndStore(ctx, stored.version)
		}
		select {
		case <-time.After(tokenPoll):
		case <-ctx.Done():
			return accessToken{}, s.storageError(ctx.Err())
		}
	}
}

// stored returns the token of the database. Its value is empty if there is
// none, or none that this secret can open.
func (s *tokenSource) stored(ctx context.Context) (accessToken, error) {
	var row store.Token
	err := s.db.View(ctx, func(tx *store.Tx) (err error) {
		row, err = tx.Token(tx.Context(), s.name)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return accessToken{}, nil
	}
	if err != nil {
		return accessToken{}, s.storageError(err)
	}
	t := timed(s.open(row.Sealed), row.FetchedAt, row.ExpiresAt)
	t.version = row.Version
	return t, nil
}

// fetchAndStore fetches the token after version under our lease.
func (s *tokenSource) fetchAndStore(ctx context.Context, version int64) (accessToken, error) {
	t, err := s.fetchOne(ctx)
	if err != nil {
		free := s.db.Update(ctx, func(tx *store.Tx) error { return tx.FreeToken(tx.Context(), s.name, version, s.now()) })
		if free != nil { // the lease runs out by itself
			s.log.Warn("lease of access token not given back", "app", s.name, "err", free)
		}
		return t, err
	}
	t.version = version + 1
	row := store.Token{Name: s.name, Sealed: s.sealed(t.value), FetchedAt: t.gotAt, ExpiresAt: t.expiresAt, Version: t.version}
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.SetToken(tx.Context(), row) // not stored: another replica was quicker, and ours is good too
		return err
	})
	if err != nil {
		s.log.Warn("access token not shared", "app", s.name, "err", err)
	}
	return t, nil
}

func (s *tokenSource) fetchOne(ctx context.Context) (accessToken, error) {
	began := s.now()
	value, life, err := s.fetch(ctx)
	if err != nil {
		return accessToken{}, err
	}
	return timed(value, began, began.Add(life)), nil
}

// timed says when a token is to be replaced.
func timed(value string, gotAt, expiresAt time.Time) accessToken {
	life := expiresAt.Sub(gotAt)
	return accessToken{value: value, gotAt: gotAt, refreshAt: gotAt.Add(max(life-refreshEarly, life/2)), expiresAt: expiresAt}
}

func (s *tokenSource) sealed(token string) string {
	return base64.StdEncoding.EncodeToString(s.seal.Seal(nil, nil, []byte(token), nil))
}

// open returns what sealed made, or "" if it was made with another secret.
func (s *tokenSource) open(text string) string {
	box, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(box) < s.seal.Overhead() {
		return ""
	}
	token, err := s.seal.Open(nil, nil, box, nil)
	if err != nil {
		return ""
	}
	return string(token)
}

func (s *tokenSource) storageError(err error) error {
	return &APIError{Op: opGetToken, Msg: fmt.Sprintf("share access token: %v", err), class: ClassRetry}
}
