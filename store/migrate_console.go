package store

import (
	"time"

	"github.com/go-gormigrate/gormigrate/v2"
)

// migrateConsole makes operators, their sessions and what they changed.
var migrateConsole = []*gormigrate.Migration{
	createTable("2026-11-22 operators", &operatorV1{}),
	createTable("2026-11-22 login_links", &loginLinkV1{}),
	createTable("2026-11-22 sessions", &sessionV1{}),
	createTable("2026-11-22 audits", &auditV1{}),
	createTable("2026-11-22 requests", &requestV1{}),
	createTable("2026-11-22 settings", &settingV1{}),
}

type operatorV1 struct {
	ID        int64
	UserID    string `gorm:"size:64;uniqueIndex"`
	Name      string `gorm:"size:64"`
	Role      string `gorm:"size:16"`
	CreatedAt time.Time
}

func (operatorV1) TableName() string { return "operators" }

type loginLinkV1 struct {
	Hash       string `gorm:"primaryKey;size:64"`
	OperatorID int64
	ExpiresAt  time.Time
	UsedAt     *time.Time
}

func (loginLinkV1) TableName() string { return "login_links" }

type sessionV1 struct {
	Hash      string `gorm:"primaryKey;size:64"`
	Data      []byte
	ExpiresAt time.Time `gorm:"index"`
}

func (sessionV1) TableName() string { return "sessions" }

type auditV1 struct {
	ID         int64
	OperatorID int64  `gorm:"index"`
	Action     string `gorm:"size:80"`
	Object     string `gorm:"size:80"`
	Detail     string
	At         time.Time `gorm:"index"`
}

func (auditV1) TableName() string { return "audits" }

type requestV1 struct {
	Key         string `gorm:"primaryKey;size:160"`
	Fingerprint string `gorm:"size:64"`
	Status      int
	ContentType string `gorm:"size:80"`
	Body        []byte
	CreatedAt   time.Time `gorm:"index"`
}

func (requestV1) TableName() string { return "requests" }

type settingV1 struct {
	Name  string `gorm:"primaryKey;size:80"`
	Value string
}

func (settingV1) TableName() string { return "settings" }
