package store

import (
	"time"

	"github.com/go-gormigrate/gormigrate/v2"
)

// migrateModeration makes sensitive words, rules, what met them, strikes and
// suspensions.
var migrateModeration = []*gormigrate.Migration{
	createTable("2026-11-24 sensitive_words", &sensitiveWordV1{}),
	createTable("2026-11-24 strikes", &strikeV1{}),
	createTable("2026-11-24 suspensions", &suspensionV1{}),
	createTable("2026-11-25 moderation_hits", &moderationHitV1{}),
}

type sensitiveWordV1 struct {
	ID        int64
	GroupID   int64  `gorm:"uniqueIndex:sensitive_words_word,priority:2"`
	Folded    string `gorm:"size:200;uniqueIndex:sensitive_words_word,priority:1"`
	Text      string `gorm:"size:200"`
	Allow     bool   `gorm:"uniqueIndex:sensitive_words_word,priority:3"`
	Category  string `gorm:"size:40;index"`
	Level     string `gorm:"size:16"`
	Exact     bool
	Embedded  bool
	CreatedBy int64
	CreatedAt time.Time
}

func (sensitiveWordV1) TableName() string { return "sensitive_words" }

type strikeV1 struct {
	ID       int64
	Key      string `gorm:"size:160;uniqueIndex"`
	MemberID int64  `gorm:"index:strikes_member,priority:1"`
	GroupID  int64
	Word     string `gorm:"size:200"`
	Category string `gorm:"size:40"`
	Level    string `gorm:"size:16"`
	How      string `gorm:"size:80"`
	Number   int
	Points   int64
	At       time.Time `gorm:"index:strikes_member,priority:2;index"`
	UndoneAt *time.Time
	UndoneBy int64
}

func (strikeV1) TableName() string { return "strikes" }

type suspensionV1 struct {
	StrikeID int64 `gorm:"primaryKey;autoIncrement:false"`
	MemberID int64 `gorm:"index:suspensions_member,priority:1"`
	StartsAt time.Time
	EndsAt   time.Time `gorm:"index:suspensions_member,priority:2"`
	LiftedAt *time.Time
	LiftedBy int64
}

func (suspensionV1) TableName() string { return "suspensions" }

type moderationHitV1 struct {
	ID         int64
	Key        string `gorm:"size:160;uniqueIndex:moderation_hits_key,priority:1"`
	RuleID     int64  `gorm:"uniqueIndex:moderation_hits_key,priority:2;index"`
	MemberID   int64  `gorm:"index"`
	GroupID    int64
	Word       string `gorm:"size:200"`
	Category   string `gorm:"size:40"`
	Level      string `gorm:"size:16"`
	How        string `gorm:"size:80"`
	Start      int    `gorm:"column:start_byte"`
	End        int    `gorm:"column:end_byte"`
	Action     string `gorm:"size:40"`
	StrikeID   int64
	At         time.Time `gorm:"index"`
	Review     string    `gorm:"size:16;index"`
	ReviewedBy int64
	ReviewedAt *time.Time
}

func (moderationHitV1) TableName() string { return "moderation_hits" }
