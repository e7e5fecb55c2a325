package store

import (
	"context"
	"fmt"
	"time"
)

// RemovalState says how far a removal has come.
type RemovalState string

// The states.
const (
	RemovalPending RemovalState = "pending"
	RemovalDone    RemovalState = "done"
	RemovalFailed  RemovalState = "failed" // the platform refuses it: somebody must do it by hand
)

// A Removal is a member who is to be taken out of an app chat after a strike.
type Removal struct {
	StrikeID  int64 `gorm:"primaryKey;autoIncrement:false"`
	MemberID  int64 `gorm:"index"`
	GroupID   int64
	State     RemovalState `gorm:"size:16;index"`
	Tries     int
	Reason    string `gorm:"size:500"` // why it has not been done yet
	CreatedAt time.Time
	UpdatedAt time.Time
}

// AddRemoval stores r unless its strike has one.
func (tx *Tx) AddRemoval(ctx context.Context, r Removal) error {
	r.CreatedAt, r.UpdatedAt = r.CreatedAt.UTC(), r.UpdatedAt.UTC()
	if _, err := tx.insert(ctx, &r); err != nil {
		return fmt.Errorf("add removal: %w", err)
	}
	return nil
}

// PendingRemovals returns removals that are not done, those first that were not
// tried for longest.
func (tx *Tx) PendingRemovals(ctx context.Context, limit int) ([]Removal, error) {
	var list []Removal
	err := tx.db.WithContext(ctx).Where("state = ?", RemovalPending).Order("updated_at, strike_id").Limit(limit).Find(&list).Error
	if err != nil {
		return nil, fmt.Errorf("list removals: %w", err)
	}
	return list, nil
}

// RemovalOf returns the removal that a strike led to, or ErrNotFound.
func (tx *Tx) RemovalOf(ctx context.Context, strike int64) (Removal, error) {
	var r Removal
	err := one(tx.db.WithContext(ctx).Where("strike_id = ?", strike).Take(&r), "look up removal")
	return r, err
}

// SetRemoval notes a try of a pending removal. It reports false if it is
// pending no longer.
func (tx *Tx) SetRemoval(ctx context.Context, strike int64, state RemovalState, tries int, reason string, at time.Time) (bool, error) {
	res := tx.db.WithContext(ctx).Model(&Removal{}).Where("strike_id = ? AND state = ?", strike, RemovalPending).
		UpdateColumns(map[string]any{"state": state, "tries": tries, "reason": reason, "updated_at": at.UTC()})
	if res.Error != nil {
		return false, fmt.Errorf("set removal: %w", res.Error)
	}
	return res.RowsAffected == 1, nil
}
