package store

import (
	"time"

	"github.com/go-gormigrate/gormigrate/v2"
)

// migrateMonthly makes the malls' campaign texts and the record of their posts.
var migrateMonthly = []*gormigrate.Migration{
	createTable("2026-11-23 monthly_texts", &monthlyTextV1{}),
	createTable("2026-11-23 monthly_posts", &monthlyPostV1{}),
}

type monthlyTextV1 struct {
	MallID     int64 `gorm:"primaryKey;autoIncrement:false"`
	Text       string
	DayOfMonth int
	Hour       int
	Minute     int
	Enabled    bool
	Since      time.Time
	OperatorID int64
	UpdatedAt  time.Time
}

func (monthlyTextV1) TableName() string { return "monthly_texts" }

type monthlyPostV1 struct {
	MallID    int64  `gorm:"primaryKey;autoIncrement:false"`
	Month     string `gorm:"primaryKey;size:7"`
	Text      string
	Groups    int
	Problem   string `gorm:"size:300"`
	UpdatedAt time.Time
}

func (monthlyPostV1) TableName() string { return "monthly_posts" }
