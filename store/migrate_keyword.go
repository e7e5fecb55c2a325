package store

import (
	"time"

	"github.com/go-gormigrate/gormigrate/v2"
)

// migrateKeyword makes keyword rules and their cool-downs.
var migrateKeyword = []*gormigrate.Migration{
	createTable("2026-11-22 keyword_rules", &keywordRuleV1{}),
	createTable("2026-11-22 keyword_cooldowns", &keywordCooldownV1{}),
}

type keywordRuleV1 struct {
	ID              int64
	GroupID         int64  `gorm:"uniqueIndex:keyword_rules_word,priority:2"`
	Kind            string `gorm:"size:16;uniqueIndex:keyword_rules_word,priority:3"`
	Folded          string `gorm:"size:200;uniqueIndex:keyword_rules_word,priority:1"`
	Pattern         string `gorm:"size:200"`
	Priority        int
	Replies         string
	CooldownSeconds int
	FromMinute      int
	ToMinute        int
	Enabled         bool
	Hits            int64
	LastHitAt       *time.Time
	CreatedAt       time.Time
}

func (keywordRuleV1) TableName() string { return "keyword_rules" }

type keywordCooldownV1 struct {
	RuleID     int64 `gorm:"primaryKey;autoIncrement:false"`
	GroupID    int64 `gorm:"primaryKey;autoIncrement:false"`
	AnsweredAt time.Time
}

func (keywordCooldownV1) TableName() string { return "keyword_cooldowns" }
