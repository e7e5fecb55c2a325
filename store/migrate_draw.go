package store

import (
	"time"

	"github.com/go-gormigrate/gormigrate/v2"
)

// migrateDraw makes lucky draws.
var migrateDraw = []*gormigrate.Migration{
	createTable("2026-11-22 draws", &drawV1{}),
	createTable("2026-11-22 draw_counters", &drawCounterV1{}),
	createTable("2026-11-22 draw_entries", &drawEntryV1{}),
	createTable("2026-11-22 draw_wins", &drawWinV1{}),
}

type drawV1 struct {
	ID          int64
	PublicID    string `gorm:"size:10;uniqueIndex:draws_public_id"`
	MallID      int64  `gorm:"uniqueIndex:draws_number,priority:1"`
	Number      int64  `gorm:"uniqueIndex:draws_number,priority:2"`
	GroupID     int64
	OperatorID  int64
	Name        string     `gorm:"size:40"`
	State       string     `gorm:"size:16;index:draws_due,priority:1"`
	Deadline    *time.Time `gorm:"index:draws_due,priority:2"`
	Rules       string
	MinPoints   int64
	NotWonDays  int
	InGroupDays int
	Cost        int64
	ClaimDays   int
	Commitment  string `gorm:"size:64"`
	Seed        string `gorm:"size:64"`
	EntrantKey  string `gorm:"size:64"`
	Entries     int
	Chain       string `gorm:"size:64"`
	PublicValue string `gorm:"size:100"`
	Reason      string `gorm:"size:200"`
	Refunded    int
	CreatedAt   time.Time
	ClosedAt    *time.Time
	ValueAt     *time.Time
	DrawnAt     *time.Time
	CancelledAt *time.Time
}

func (drawV1) TableName() string { return "draws" }

type drawCounterV1 struct {
	MallID int64 `gorm:"primaryKey;autoIncrement:false"`
	Last   int64
}

func (drawCounterV1) TableName() string { return "draw_counters" }

type drawEntryV1 struct {
	DrawID    int64  `gorm:"primaryKey;autoIncrement:false;uniqueIndex:draw_entries_member,priority:1"`
	Number    int    `gorm:"primaryKey;autoIncrement:false"`
	MemberID  *int64 `gorm:"index;uniqueIndex:draw_entries_member,priority:2"`
	Pseudonym string `gorm:"size:32"`
	Code      string `gorm:"size:8"`
	At        time.Time
}

func (drawEntryV1) TableName() string { return "draw_entries" }

type drawWinV1 struct {
	ID         int64
	DrawID     int64  `gorm:"uniqueIndex:draw_wins_place,priority:1"`
	Place      int    `gorm:"uniqueIndex:draw_wins_place,priority:2"`
	Entry      int    //
	MemberID   *int64 `gorm:"index"`
	Prize      int
	State      string     `gorm:"size:16;index:draw_wins_due,priority:1"`
	ClaimUntil *time.Time `gorm:"index:draw_wins_due,priority:2"`
	Code       string     `gorm:"size:16;uniqueIndex:draw_wins_code"`
	WonAt      *time.Time
	ClaimedAt  *time.Time
	ClaimedBy  int64
}

func (drawWinV1) TableName() string { return "draw_wins" }
