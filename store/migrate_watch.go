package store

import (
	"time"

	"github.com/go-gormigrate/gormigrate/v2"
)

// migrateWatch makes what the service notes about itself.
var migrateWatch = []*gormigrate.Migration{
	createTable("2026-11-25 replicas", &replicaV1{}),
	createTable("2026-11-25 outages", &outageV1{}),
	createTable("2026-11-25 alerts", &alertV1{}),
}

type replicaV1 struct {
	Name       string `gorm:"primaryKey;size:80"`
	Host       string `gorm:"size:60"`
	Version    string `gorm:"size:60"`
	StartedAt  time.Time
	BeatAt     time.Time
	Stopped    bool
	Offset     time.Duration
	Answers    int64
	MeanAnswer time.Duration
	P50        time.Duration
	P99        time.Duration
	LastMinute int64
	TurnedAway int64
	Waiting    int
	DBErrors   int64
}

func (replicaV1) TableName() string { return "replicas" }

type outageV1 struct {
	ID      int64
	BeganAt time.Time `gorm:"uniqueIndex"`
	EndedAt time.Time `gorm:"index"`
}

func (outageV1) TableName() string { return "outages" }

type alertV1 struct {
	ID      int64
	Name    string  `gorm:"size:80"`
	Title   string  `gorm:"size:80"`
	Open    *string `gorm:"size:80;uniqueIndex"`
	Detail  string  `gorm:"size:500"`
	BeganAt time.Time
	SeenAt  time.Time
	ToldAt  time.Time
	EndedAt *time.Time `gorm:"index"`
	AckedAt *time.Time
	AckedBy int64
}

func (alertV1) TableName() string { return "alerts" }
