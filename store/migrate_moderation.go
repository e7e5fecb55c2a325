package store

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-gormigrate/gormigrate/v2"
	"gorm.io/gorm"
)

// migrateModeration makes sensitive words, rules, what met them, strikes and
// suspensions.
var migrateModeration = []*gormigrate.Migration{
	createTable("2026-11-24 sensitive_words", &sensitiveWordV1{}),
	createTable("2026-11-24 strikes", &strikeV1{}),
	createTable("2026-11-24 suspensions", &suspensionV1{}),
	createTable("2026-11-25 moderation_hits", &moderationHitV1{}),
	createTable("2026-11-25 moderation_rules", &moderationRuleV1{}),
	createTable("2026-11-25 word_imports", &wordImportV1{}),
	createTable("2026-11-25 removals", &removalV1{}),
	createIndex("2026-11-25 messages.said", &messageV2{}, "messages_said"),
	dropIndex("2026-11-25 messages.member_id", &messageV1{}, "idx_messages_member_id"),
	{ID: "2026-11-25 default moderation rules", Migrate: defaultModerationRules},
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

type moderationRuleV1 struct {
	ID        int64
	Name      string `gorm:"size:80"`
	State     string `gorm:"size:16"`
	Spec      string
	CreatedBy int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

func (moderationRuleV1) TableName() string { return "moderation_rules" }

type wordImportV1 struct {
	ID        int64
	Source    string `gorm:"size:200"`
	Body      string
	CreatedBy int64
	CreatedAt time.Time `gorm:"index"`
}

func (wordImportV1) TableName() string { return "word_imports" }

type removalV1 struct {
	StrikeID  int64 `gorm:"primaryKey;autoIncrement:false"`
	MemberID  int64 `gorm:"index"`
	GroupID   int64
	State     string `gorm:"size:16;index"`
	Tries     int
	Reason    string `gorm:"size:500"`
	CreatedAt time.Time
	UpdatedAt time.Time
}

func (removalV1) TableName() string { return "removals" }

// What a member said lately is counted by this index.
type messageV2 struct {
	ID       int64
	MemberID int64     `gorm:"index:messages_said,priority:1"`
	SentAt   time.Time `gorm:"index:messages_said,priority:2"`
}

func (messageV2) TableName() string { return "messages" }

// createIndex is a step that makes one index.
func createIndex(id string, model any, name string) *gormigrate.Migration {
	return &gormigrate.Migration{ID: id, Migrate: func(db *gorm.DB) error {
		if db.Migrator().HasIndex(model, name) {
			return nil
		}
		return db.Migrator().CreateIndex(model, name)
	}}
}

// dropIndex is a step that drops one index.
func dropIndex(id string, model any, name string) *gormigrate.Migration {
	return &gormigrate.Migration{ID: id, Migrate: func(db *gorm.DB) error {
		if !db.Migrator().HasIndex(model, name) {
			return nil
		}
		return db.Migrator().DropIndex(model, name)
	}}
}

// defaultModerationRules stores as rules what words of each level and strikes
// led to before there were rules, with the numbers that operators had set.
func defaultModerationRules(db *gorm.DB) error {
	var n int64
	if err := db.Model(&moderationRuleV1{}).Count(&n).Error; err != nil || n > 0 {
		return err // a step that was cut off after it stored them finds them
	}
	set := struct {
		DeductAt  int   `json:"deduct_at"`
		Deduct    int64 `json:"deduct"`
		SuspendAt int   `json:"suspend_at"`
		Suspend   int   `json:"suspend"`
	}{2, 10, 3, 7}
	var values []string
	if err := db.Table("settings").Where("name = ?", "moderation.rules").Pluck("value", &values).Error; err != nil {
		return err
	}
	if len(values) > 0 {
		if err := json.Unmarshal([]byte(values[0]), &set); err != nil {
			return fmt.Errorf("read setting moderation.rules: %w", err)
		}
	}
	type step struct {
		From    int    `json:"from"`
		Do      string `json:"do"`
		Points  int64  `json:"points,omitempty"`
		Suspend int    `json:"suspend,omitempty"`
		Staff   bool   `json:"staff,omitempty"`
		Owner   bool   `json:"owner,omitempty"`
	}
	type spec struct {
		Kind   string `json:"kind"`
		Level  string `json:"level"`
		Counts bool   `json:"counts,omitempty"`
		Steps  []step `json:"steps"`
	}
	ladder := func(owner bool) []step {
		steps := []step{{From: 1, Do: "warn", Staff: true, Owner: owner}}
		if set.DeductAt > 0 {
			steps = append(steps, step{From: set.DeductAt, Do: "warn", Points: set.Deduct, Staff: true, Owner: owner})
		}
		if set.SuspendAt > 0 {
			steps = append(steps, step{From: set.SuspendAt, Do: "warn", Suspend: set.Suspend, Staff: true, Owner: owner})
		}
		if len(steps) > 1 && steps[1].From == 1 {
			steps = steps[1:]
		}
		return steps
	}
	var rules []moderationRuleV1
	for _, r := range []struct {
		name string
		spec spec
	}{
		{"敏感词：提醒", spec{"words", "remind", false, []step{{From: 1, Do: "remind", Staff: true}}}},
		{"敏感词：警告", spec{"words", "warn", true, ladder(false)}},
		{"敏感词：拦截", spec{"words", "block", true, ladder(true)}},
	} {
		text, err := json.Marshal(r.spec)
		if err != nil {
			return err
		}
		rules = append(rules, moderationRuleV1{Name: r.name, State: "on", Spec: string(text), CreatedAt: time.Unix(0, 0).UTC(), UpdatedAt: time.Unix(0, 0).UTC()})
	}
	return db.Create(&rules).Error
}
