package store

import (
	"time"

	"github.com/go-gormigrate/gormigrate/v2"
)

// migrateOutbox makes what the program says on its own, and the limits of that.
var migrateOutbox = []*gormigrate.Migration{
	createTable("2026-11-23 posts", &postV1{}),
	createTable("2026-11-23 lanes", &laneV1{}),
	createTable("2026-11-23 send_quota", &sendQuotaV1{}),
}

// migrateRichPosts gives posts another form than plain text.
var migrateRichPosts = []*gormigrate.Migration{
	addColumn("2026-11-25 posts.form", &postV2{}, "Form"),
	addColumn("2026-11-25 posts.rich", &postV2{}, "Rich"),
}

type postV2 struct {
	ID   int64
	Form string  `gorm:"size:16;not null;default:''"`
	Rich *string // null: there is none
}

func (postV2) TableName() string { return "posts" }

type postV1 struct {
	ID           int64      `gorm:"primaryKey;index:posts_lane,priority:3;index:posts_state,priority:2"`
	Key          string     `gorm:"size:160;uniqueIndex"`
	Lane         string     `gorm:"size:255;index:posts_lane,priority:1;index:posts_due,priority:3"`
	State        string     `gorm:"size:16;index:posts_lane,priority:2;index:posts_state,priority:1;index:posts_due,priority:1;index:posts_expiry,priority:1;index:posts_waiting,priority:1"`
	DueAt        time.Time  `gorm:"index:posts_due,priority:2"`
	WaitingSince *time.Time `gorm:"index:posts_waiting,priority:2"`
	ExpiresAt    *time.Time `gorm:"index:posts_expiry,priority:2"`
	Text         string
	Delivery     string `gorm:"size:16"`
	Item         string `gorm:"size:160;index"`
	Reason       string `gorm:"size:500"`
	Attempts     int
	Failures     int
	Doubts       int
	Fence        int64
	Receipt      string     `gorm:"size:160"`
	EndedAt      *time.Time `gorm:"index"`
}

func (postV1) TableName() string { return "posts" }

type laneV1 struct {
	Lane       string `gorm:"primaryKey;size:255"`
	LeaseUntil time.Time
	Owner      string `gorm:"size:120"`
	Fence      int64
	WaitUntil  time.Time
	Waits      int
	Booked     string
	DeadAt     *time.Time `gorm:"index"`
	DeadReason string     `gorm:"size:500"`
}

func (laneV1) TableName() string { return "lanes" }

type sendQuotaV1 struct {
	Name    string `gorm:"primaryKey;size:120"`
	Booked  string
	Version int64
}

func (sendQuotaV1) TableName() string { return "send_quota" }
