package store

import (
	"context"
	"fmt"
	"time"
)

// A Backup is one attempt at writing all of the database into a file.
type Backup struct {
	ID        int64
	File      string    `gorm:"size:500"` // where, on Host
	Host      string    `gorm:"size:120"` // the machine
	StartedAt time.Time // everything committed before is in it
	EndedAt   time.Time
	Bytes     int64  // of the file
	RowCount  int64  // of all tables together
	Checksum  string `gorm:"size:64"`  // SHA-256 of the file but for its last line, hex
	Problem   string `gorm:"size:500"` // why there is no good file; empty: it was read back and is good
}

// AddBackup records an attempt.
func (tx *Tx) AddBackup(ctx context.Context, b Backup) error {
	if err := tx.db.WithContext(ctx).Create(&b).Error; err != nil {
		return fmt.Errorf("add backup: %w", err)
	}
	return nil
}

// Backups returns the last attempts, the newest first, at most limit.
func (tx *Tx) Backups(ctx context.Context, limit int) ([]Backup, error) {
	var list []Backup
	if err := tx.db.WithContext(ctx).Order("id DESC").Limit(limit).Find(&list).Error; err != nil {
		return nil, fmt.Errorf("list backups: %w", err)
	}
	return list, nil
}

// LastBackup returns when the newest good backup began, in UTC: what was
// committed before is safe. It is the zero time if there is none.
func (tx *Tx) LastBackup(ctx context.Context) (time.Time, error) {
	var last []Backup
	err := tx.db.WithContext(ctx).Where("problem = ?", "").Order("id DESC").Limit(1).Find(&last).Error
	if err != nil {
		return time.Time{}, fmt.Errorf("find the last backup: %w", err)
	}
	if len(last) == 0 {
		return time.Time{}, nil
	}
	return last[0].StartedAt.UTC(), nil
}
