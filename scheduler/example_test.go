package scheduler_test

import (
	"fmt"
	"time"

	"qunbot/scheduler"
)

func ExampleSchedule_Next() {
	cal := scheduler.Calendar{Zone: time.FixedZone("CST", 8*60*60)}
	from := time.Date(2026, 11, 22, 12, 0, 0, 0, cal.Zone)
	for _, s := range []scheduler.Schedule{
		scheduler.Daily(20, 0),
		scheduler.Monthly(31, 9, 0),
		scheduler.Lunar(12, 30, 18, 0),
		scheduler.Cron("0 9 * * 1-5"),
	} {
		fmt.Println(s, "→", s.Next(from, cal).Format("2006-01-02 15:04"))
	}
	// Output:
	// 每天 20:00 → 2026-11-22 20:00
	// 每月 31 日 09:00 → 2026-11-30 09:00
	// 农历 12 月 30 日 18:00 → 2027-02-05 18:00
	// 0 9 * * 1-5 → 2026-11-23 09:00
}

func ExampleParse() {
	s, err := scheduler.Parse("每天8：30")
	fmt.Println(s, err)
	_, err = scheduler.Parse("0 25 * * *")
	fmt.Println(err)
	// Output:
	// 每天 08:30 <nil>
	// 看不懂“0 25 * * *”：第 2 段“25”不对（时，0–23）
}
