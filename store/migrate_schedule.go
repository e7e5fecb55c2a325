package store

import (
	"strings"
	"time"

	"github.com/go-gormigrate/gormigrate/v2"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// migrateSchedule makes when things happen, and what is known about holidays.
var migrateSchedule = []*gormigrate.Migration{
	createTable("2026-11-22 job_schedules", &jobScheduleV1{}),
	createTable("2026-11-22 firings", &firingV1{}),
	createTable("2026-11-22 holidays", &holidayV1{}),
	// 国办发明电〔2024〕12号, of 2024-11-12.
	addHolidays("2026-11-22 holidays of 2025", "2025", `
		元旦 01-01
		春节 01-28 01-29 01-30 01-31 02-01 02-02 02-03 02-04 +01-26 +02-08
		清明节 04-04 04-05 04-06
		劳动节 05-01 05-02 05-03 05-04 05-05 +04-27
		端午节 05-31 06-01 06-02
		国庆节、中秋节 10-01 10-02 10-03 10-04 10-05 10-06 10-07 10-08 +09-28 +10-11`),
	// 国务院办公厅关于2026年部分节假日安排的通知, of 2025-11-04:
	// https://politics.gmw.cn/2025-11/04/content_38391083.htm
	addHolidays("2026-11-22 holidays of 2026", "2026", `
		元旦 01-01 01-02 01-03 +01-04
		春节 02-15 02-16 02-17 02-18 02-19 02-20 02-21 02-22 02-23 +02-14 +02-28
		清明节 04-04 04-05 04-06
		劳动节 05-01 05-02 05-03 05-04 05-05 +05-09
		端午节 06-19 06-20 06-21
		中秋节 09-25 09-26 09-27
		国庆节 10-01 10-02 10-03 10-04 10-05 10-06 10-07 +09-20 +10-10`),
}

// addHolidays is a step that fills in a year: a holiday a line, its days off,
// and behind a plus the days on which they are worked off. Days that operators
// entered before stay as they are.
func addHolidays(id, year, table string) *gormigrate.Migration {
	return &gormigrate.Migration{ID: id, Migrate: func(db *gorm.DB) error {
		var rows []holidayV1
		for line := range strings.Lines(strings.TrimSpace(table)) {
			words := strings.Fields(line)
			for _, w := range words[1:] {
				day, work := strings.CutPrefix(w, "+")
				rows = append(rows, holidayV1{Day: year + "-" + day, Work: work, Name: words[0]})
			}
		}
		return db.Clauses(clause.OnConflict{DoNothing: true}).Create(&rows).Error
	}}
}

type jobScheduleV1 struct {
	Job        string `gorm:"primaryKey;size:80"`
	Expression string `gorm:"size:200"`
	Custom     bool
	Paused     bool
	NextDue    *time.Time
	LastDue    *time.Time
}

func (jobScheduleV1) TableName() string { return "job_schedules" }

type firingV1 struct {
	Job        string    `gorm:"primaryKey;size:80"`
	Due        time.Time `gorm:"primaryKey"`
	State      string    `gorm:"size:16;index:firings_open,priority:1"`
	Missed     int
	Attempts   int
	Owner      string    `gorm:"size:80"`
	LeaseUntil time.Time `gorm:"index:firings_open,priority:2"`
	StartedAt  time.Time `gorm:"index"`
	Took       time.Duration
	Error      string `gorm:"size:500"`
}

func (firingV1) TableName() string { return "firings" }

type holidayV1 struct {
	Day  string `gorm:"primaryKey;size:10"`
	Work bool
	Name string `gorm:"size:40"`
}

func (holidayV1) TableName() string { return "holidays" }
