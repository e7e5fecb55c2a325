package store

import (
	"time"

	"github.com/go-gormigrate/gormigrate/v2"
)

// migrateGroups makes malls and groups.
var migrateGroups = []*gormigrate.Migration{
	createTable("2026-11-22 malls", &mallV1{}),
	createTable("2026-11-22 groups", &groupV1{}),
	createTable("2026-11-22 group_members", &groupMemberV1{}),
}

type mallV1 struct {
	ID   int64
	Name string `gorm:"size:100;uniqueIndex"`
}

func (mallV1) TableName() string { return "malls" }

type groupV1 struct {
	ID        int64
	ChatID    string `gorm:"size:64;uniqueIndex"`
	Kind      string `gorm:"size:16"`
	Name      string `gorm:"size:100"`
	MallID    int64  `gorm:"index"`
	CreatedAt time.Time
}

func (groupV1) TableName() string { return "groups" }

type groupMemberV1 struct {
	GroupID  int64 `gorm:"primaryKey;autoIncrement:false"`
	MemberID int64 `gorm:"primaryKey;autoIncrement:false;index"`
	JoinedAt time.Time
}

func (groupMemberV1) TableName() string { return "group_members" }
