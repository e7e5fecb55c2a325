package store

import (
	"time"

	"github.com/go-gormigrate/gormigrate/v2"
)

// migrateTokens makes the access tokens that replicas share.
var migrateTokens = []*gormigrate.Migration{
	createTable("2026-11-22 tokens", &tokenV1{}),
}

type tokenV1 struct {
	Name       string `gorm:"primaryKey;size:160"`
	Sealed     string `gorm:"size:1200"`
	FetchedAt  time.Time
	ExpiresAt  time.Time
	Version    int64
	LeaseUntil time.Time
}

func (tokenV1) TableName() string { return "tokens" }
