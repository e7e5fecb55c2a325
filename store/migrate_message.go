package store

import (
	"time"

	"github.com/go-gormigrate/gormigrate/v2"
)

// migrateMessages makes what was said, answered and why.
var migrateMessages = []*gormigrate.Migration{
	createTable("2026-11-22 answers", &answerV1{}),
	createTable("2026-11-22 messages", &messageV1{}),
	createTable("2026-11-22 decisions", &decisionV1{}),
}

type answerV1 struct {
	Key       string `gorm:"primaryKey;size:160"`
	StreamID  string `gorm:"size:40;index"`
	Body      string
	CreatedAt time.Time `gorm:"index"`
}

func (answerV1) TableName() string { return "answers" }

type messageV1 struct {
	ID       int64
	Key      string `gorm:"size:160;uniqueIndex"`
	GroupID  int64  `gorm:"index"`
	MemberID int64  `gorm:"index"`
	Text     string
	SentAt   time.Time `gorm:"index"`
}

func (messageV1) TableName() string { return "messages" }

type decisionV1 struct {
	ID       int64
	Key      string `gorm:"size:160;uniqueIndex"`
	Endpoint string `gorm:"size:48"`
	GroupID  int64  `gorm:"index"`
	MemberID int64  `gorm:"index"`
	Outcome  string `gorm:"size:16;index"`
	Rule     string `gorm:"size:80"`
	Detail   string `gorm:"size:500"`
	SentAt   time.Time
	At       time.Time `gorm:"index"`
}

func (decisionV1) TableName() string { return "decisions" }
