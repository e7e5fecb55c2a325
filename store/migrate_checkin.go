package store

import (
	"time"

	"github.com/go-gormigrate/gormigrate/v2"
)

// migrateCheckIn makes check-ins.
var migrateCheckIn = []*gormigrate.Migration{
	createTable("2026-11-22 check_ins", &checkInV1{}),
}

type checkInV1 struct {
	MemberID int64  `gorm:"primaryKey;autoIncrement:false"`
	Day      string `gorm:"primaryKey;size:10;index"`
	Streak   int
	GroupID  int64
	RepairOn string `gorm:"size:10"`
	At       time.Time
}

func (checkInV1) TableName() string { return "check_ins" }
