package store

import (
	"time"

	"github.com/go-gormigrate/gormigrate/v2"
)

// migrateKF makes what is known of the talks with customers at service
// accounts.
var migrateKF = []*gormigrate.Migration{
	createTable("2026-11-24 kf_accounts", &kfAccountV1{}),
	createTable("2026-11-24 kf_sessions", &kfSessionV1{}),
	createTable("2026-11-24 kf_sends", &kfSendV1{}),
	createTable("2026-11-24 kf_touches", &kfTouchV1{}),
}

type kfAccountV1 struct {
	Account    string `gorm:"primaryKey;size:64"`
	NextCursor string `gorm:"size:255"`
	CreatedAt  time.Time
	PulledAt   time.Time
	LeaseUntil time.Time
	Owner      string `gorm:"size:120"`
}

func (kfAccountV1) TableName() string { return "kf_accounts" }

type kfSessionV1 struct {
	Account   string `gorm:"primaryKey;size:64"`
	Customer  string `gorm:"primaryKey;size:128"`
	State     int
	StateAt   time.Time
	Servicer  string `gorm:"size:64"`
	HeardAt   time.Time
	Sent      int
	AskedAt   *time.Time `gorm:"index"`
	AskedKey  string     `gorm:"size:160"`
	CheckedAt time.Time
	ProfileAt time.Time
}

func (kfSessionV1) TableName() string { return "kf_sessions" }

type kfSendV1 struct {
	ID       string    `gorm:"primaryKey;size:32"`
	Account  string    `gorm:"size:64;index:kf_sends_talk,priority:1"`
	Customer string    `gorm:"size:128;index:kf_sends_talk,priority:2"`
	BookedAt time.Time `gorm:"index;index:kf_sends_talk,priority:3"`
	State    string    `gorm:"size:16"`
}

func (kfSendV1) TableName() string { return "kf_sends" }

type kfTouchV1 struct {
	MemberID    int64  `gorm:"primaryKey;autoIncrement:false"`
	FirstSource string `gorm:"size:64"`
	FirstAt     time.Time
	LastSource  string `gorm:"size:64"`
	LastAt      time.Time
}

func (kfTouchV1) TableName() string { return "kf_touches" }

// migrateKFLinks keeps the addresses of the accounts, and the posters that
// links to them are printed on.
var migrateKFLinks = []*gormigrate.Migration{
	addColumn("2026-11-26 kf_accounts.contact_url", &kfAccountV2{}, "ContactURL"),
	addColumn("2026-11-26 kf_accounts.contact_problem", &kfAccountV2{}, "ContactProblem"),
	addColumn("2026-11-26 kf_accounts.contact_again_at", &kfAccountV2{}, "ContactAgainAt"),
	createTable("2026-11-26 kf_posters", &kfPosterV1{}),
}

type kfAccountV2 struct {
	Account        string `gorm:"primaryKey;size:64"`
	ContactURL     string `gorm:"size:500;not null;default:''"`
	ContactProblem string `gorm:"size:500;not null;default:''"`
	ContactAgainAt *time.Time
}

func (kfAccountV2) TableName() string { return "kf_accounts" }

type kfPosterV1 struct {
	Code      string `gorm:"primaryKey;size:32"`
	Label     string `gorm:"size:100"`
	CreatedAt time.Time
}

func (kfPosterV1) TableName() string { return "kf_posters" }
