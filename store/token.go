package store

import (
	"context"
	"fmt"
	"time"
)

// A Token is an access token that the replicas share, so that one of them
// fetches it and the others use it.
type Token struct {
	Name       string `gorm:"primaryKey;size:160"` // whose it is: a Key of corp and app
	Sealed     string `gorm:"size:1200"`           // encrypted by whoever stores it; empty before the first
	FetchedAt  time.Time
	ExpiresAt  time.Time
	Version    int64     // 1 for the first token, one more for each that follows
	LeaseUntil time.Time // until then a replica is fetching the next one
}

// Token returns the token of that name, or ErrNotFound.
func (tx *Tx) Token(ctx context.Context, name string) (Token, error) {
	var t Token
	err := one(tx.db.WithContext(ctx).Where("name = ?", name).Take(&t), "look up token")
	return t, err
}

// LeaseToken reserves the fetching of the token that follows version (0 where
// there is none yet). It reports false if another replica has stored that
// token already or is fetching it.
func (tx *Tx) LeaseToken(ctx context.Context, name string, version int64, now, until time.Time) (bool, error) {
	now, until = now.UTC().Truncate(time.Millisecond), until.UTC().Truncate(time.Millisecond) // as MySQL keeps them
	if version == 0 {
		free := Token{Name: name, FetchedAt: now, ExpiresAt: now, LeaseUntil: now.Add(-time.Second)}
		if _, err := tx.insert(ctx, &free); err != nil {
			return false, fmt.Errorf("add token: %w", err)
		}
	}
	res := tx.db.WithContext(ctx).Model(&Token{}).
		Where("name = ? AND version = ? AND lease_until <= ?", name, version, now).
		UpdateColumn("lease_until", until)
	if res.Error != nil {
		return false, fmt.Errorf("lease token: %w", res.Error)
	}
	return res.RowsAffected == 1, nil
}

// FreeToken gives a lease back before its time. It does nothing if a token was
// stored meanwhile.
func (tx *Tx) FreeToken(ctx context.Context, name string, version int64, now time.Time) error {
	err := tx.db.WithContext(ctx).Model(&Token{}).Where("name = ? AND version = ?", name, version).
		UpdateColumn("lease_until", now.UTC().Add(-time.Second)).Error
	if err != nil {
		return fmt.Errorf("free token: %w", err)
	}
	return nil
}

// SetToken stores t in the place of version t.Version-1 and ends the lease. It
// reports false and changes nothing if the stored token has another version.
// LeaseUntil is not read.
func (tx *Tx) SetToken(ctx context.Context, t Token) (bool, error) {
	res := tx.db.WithContext(ctx).Model(&Token{}).Where("name = ? AND version = ?", t.Name, t.Version-1).
		UpdateColumns(map[string]any{
			"sealed": t.Sealed, "fetched_at": t.FetchedAt.UTC(), "expires_at": t.ExpiresAt.UTC(),
			"version": t.Version, "lease_until": t.FetchedAt.UTC().Add(-time.Second),
		})
	if res.Error != nil {
		return false, fmt.Errorf("set token: %w", res.Error)
	}
	return res.RowsAffected == 1, nil
}
