package store

import (
	"time"

	"github.com/go-gormigrate/gormigrate/v2"
)

// migrateReview makes what people decide: texts that wait for a second person,
// appeals, and the monthly reviews of the sensitive words.
var migrateReview = []*gormigrate.Migration{
	createTable("2026-11-25 approvals", &approvalV1{}),
	createTable("2026-11-25 appeals", &appealV1{}),
	createTable("2026-11-25 word_reviews", &wordReviewV1{}),
}

type approvalV1 struct {
	ID        int64
	Key       string `gorm:"size:160;uniqueIndex"`
	Kind      string `gorm:"size:24;index:approvals_object,priority:1"`
	Object    string `gorm:"size:160;index:approvals_object,priority:2"`
	Title     string `gorm:"size:200"`
	Text      string
	Hits      string `gorm:"size:1000"`
	Data      string
	Link      string `gorm:"size:200"`
	AuthorID  int64
	AskedAt   time.Time
	ExpiresAt *time.Time
	State     string `gorm:"size:16;index"`
	DecidedBy int64
	DecidedAt *time.Time
	Reason    string `gorm:"size:300"`
}

func (approvalV1) TableName() string { return "approvals" }

type appealV1 struct {
	ID        int64
	StrikeID  int64  `gorm:"index"`
	Pending   *int64 `gorm:"uniqueIndex"`
	MemberID  int64  `gorm:"index:appeals_member,priority:1"`
	Text      string
	State     string    `gorm:"size:16;index"`
	At        time.Time `gorm:"index:appeals_member,priority:2"`
	DecidedBy int64
	DecidedAt *time.Time
	Reason    string `gorm:"size:300"`
}

func (appealV1) TableName() string { return "appeals" }

type wordReviewV1 struct {
	Month     string `gorm:"primaryKey;size:7"`
	DueOn     string `gorm:"size:10"`
	CreatedAt time.Time
	DoneBy    int64
	DoneAt    *time.Time
	Note      string `gorm:"size:500"`
	Words     int64
	Added     int64
	Unused    int64
	Weak      int64
	Broad     int64
}

func (wordReviewV1) TableName() string { return "word_reviews" }
