package store

import (
	"time"

	"github.com/go-gormigrate/gormigrate/v2"
)

// migrateLedger makes the points ledger.
var migrateLedger = []*gormigrate.Migration{
	createTable("2026-11-22 accounts", &accountV1{}),
	createTable("2026-11-22 entries", &entryV1{}),
	createTable("2026-11-22 lots", &lotV1{}),
	createTable("2026-11-22 lot_uses", &lotUseV1{}),
}

type accountV1 struct {
	MemberID int64 `gorm:"primaryKey;autoIncrement:false"`
	Balance  int64
}

func (accountV1) TableName() string { return "accounts" }

type entryV1 struct {
	ID       int64
	Key      string `gorm:"size:160;uniqueIndex"`
	MemberID int64  `gorm:"index"`
	MallID   int64
	Rule     string `gorm:"size:40"`
	Points   int64
	Note     string    `gorm:"size:200"`
	At       time.Time `gorm:"index"`
}

func (entryV1) TableName() string { return "entries" }

type lotV1 struct {
	ID        int64
	EntryID   int64 `gorm:"uniqueIndex"`
	MemberID  int64 `gorm:"index:lots_open,priority:1"`
	Earned    int64
	Remaining int64     `gorm:"index:lots_open,priority:2"`
	ExpiresAt time.Time `gorm:"index"`
}

func (lotV1) TableName() string { return "lots" }

type lotUseV1 struct {
	EntryID int64 `gorm:"primaryKey;autoIncrement:false"`
	LotID   int64 `gorm:"primaryKey;autoIncrement:false;index"`
	Points  int64
}

func (lotUseV1) TableName() string { return "lot_uses" }
