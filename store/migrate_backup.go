package store

import (
	"time"

	"github.com/go-gormigrate/gormigrate/v2"
)

// migrateBackups makes the record of backups.
var migrateBackups = []*gormigrate.Migration{
	createTable("2026-11-25 backups", &backupV1{}),
}

type backupV1 struct {
	ID        int64
	File      string `gorm:"size:500"`
	Host      string `gorm:"size:120"`
	StartedAt time.Time
	EndedAt   time.Time
	Bytes     int64
	RowCount  int64
	Checksum  string `gorm:"size:64"`
	Problem   string `gorm:"size:500"`
}

func (backupV1) TableName() string { return "backups" }
