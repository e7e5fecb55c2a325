package store

import (
	"time"

	"github.com/go-gormigrate/gormigrate/v2"
)

// migratePeople makes members and what is known of them.
var migratePeople = []*gormigrate.Migration{
	createTable("2026-11-22 members", &memberV1{}),
	createTable("2026-11-22 people", &personV1{}),
	createTable("2026-11-22 identities", &identityV1{}),
}

type memberV1 struct {
	ID        int64
	CreatedAt time.Time
}

func (memberV1) TableName() string { return "members" }

type personV1 struct {
	MemberID int64 `gorm:"primaryKey;autoIncrement:false"`
	Name     string
}

func (personV1) TableName() string { return "people" }

type identityV1 struct {
	Kind     string `gorm:"primaryKey;size:24"`
	Value    string `gorm:"primaryKey;size:128"`
	MemberID int64  `gorm:"index"`
}

func (identityV1) TableName() string { return "identities" }
