package scheduler

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"qunbot/store"
	"qunbot/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

func load(t testing.TB, zone string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// seeded returns the calendar of a new database.
func seeded(t testing.TB) (c Calendar) {
	t.Helper()
	err := storetest.Open(t).View(t.Context(), func(tx *store.Tx) (err error) {
		c, err = ReadCalendar(tx.Context(), tx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// dues returns when s is due after from and up to to, written in zone.
func dues(s Schedule, c Calendar, from, to string, layout string) []string {
	start, _ := time.ParseInLocation("2006-01-02 15:04", from, c.Zone)
	end, _ := time.ParseInLocation("2006-01-02 15:04", to, c.Zone)
	var list []string
	for t := s.Next(start, c); !t.IsZero() && !t.After(end); t = s.Next(t, c) {
		list = append(list, t.In(c.Zone).Format(layout))
	}
	return list
}

func TestNext(t *testing.T) {
	c := seeded(t)
	tests := []struct {
		name     string
		schedule Schedule
		from, to string
		want     []string
	}{
		{"daily, strictly after", Daily(20, 0), "2026-11-21 20:00", "2026-11-23 20:00", []string{"2026-11-22 20:00", "2026-11-23 20:00"}},
		{"daily over the leap day", Daily(0, 0), "2024-02-28 00:00", "2024-03-01 00:00", []string{"2024-02-29 00:00", "2024-03-01 00:00"}},
		{"monthly on the 31st", Monthly(31, 9, 0), "2024-01-31 09:00", "2024-05-31 09:00",
			[]string{"2024-02-29 09:00", "2024-03-31 09:00", "2024-04-30 09:00", "2024-05-31 09:00"}},
		{"monthly on the 29th, no leap day", Monthly(29, 9, 0), "2025-01-29 09:00", "2025-03-31 09:00",
			[]string{"2025-02-28 09:00", "2025-03-29 09:00"}},
		{"monthly over new year", Monthly(1, 0, 0), "2025-12-01 00:00", "2026-01-31 00:00", []string{"2026-01-01 00:00"}},
		{"every 8 hours, from midnight", Every(8 * time.Hour), "2026-11-21 23:59", "2026-11-22 16:00",
			[]string{"2026-11-22 00:00", "2026-11-22 08:00", "2026-11-22 16:00"}},
		{"every, before 2000", Every(12 * time.Hour), "1999-12-31 00:30", "2000-01-01 00:00", []string{"1999-12-31 12:00", "2000-01-01 00:00"}},
		{"cron in the zone, not in UTC", Cron("0 9 * * 1-5"), "2026-11-20 12:00", "2026-11-24 09:00", []string{"2026-11-23 09:00", "2026-11-24 09:00"}},
		{"cron with day and month", Cron("30 8 29 2 *"), "2024-03-01 00:00", "2028-12-31 00:00", []string{"2028-02-29 08:30"}},
		{"除夕", Lunar(12, 30, 18, 0), "2024-01-01 00:00", "2028-12-31 00:00",
			[]string{"2024-02-09 18:00", "2025-01-28 18:00", "2026-02-16 18:00", "2027-02-05 18:00", "2028-01-25 18:00"}},
		{"春节", Lunar(1, 1, 0, 0), "2024-01-01 00:00", "2028-12-31 00:00",
			[]string{"2024-02-10 00:00", "2025-01-29 00:00", "2026-02-17 00:00", "2027-02-06 00:00", "2028-01-26 00:00"}},
		{"中秋", Lunar(8, 15, 10, 0), "2025-01-01 00:00", "2027-12-31 00:00", []string{"2025-10-06 10:00", "2026-09-25 10:00", "2027-09-15 10:00"}},
		{"the leap month does not count", Lunar(6, 1, 8, 0), "2025-01-01 00:00", "2025-12-31 00:00", []string{"2025-06-25 08:00"}},
		{"workdays around 春节 2026", Workdays(9, 0), "2026-02-13 08:00", "2026-02-28 10:00",
			[]string{"2026-02-13 09:00", "2026-02-14 09:00", "2026-02-24 09:00", "2026-02-25 09:00", "2026-02-26 09:00", "2026-02-27 09:00", "2026-02-28 09:00"}},
		{"days off around 国庆 2025", DaysOff(10, 0), "2025-09-27 00:00", "2025-10-12 23:00",
			[]string{"2025-09-27 10:00", "2025-10-01 10:00", "2025-10-02 10:00", "2025-10-03 10:00", "2025-10-04 10:00",
				"2025-10-05 10:00", "2025-10-06 10:00", "2025-10-07 10:00", "2025-10-08 10:00", "2025-10-12 10:00"}},
		{"workdays of a year that nobody entered: weekends are off", Workdays(9, 0), "2027-10-01 00:00", "2027-10-04 10:00",
			[]string{"2027-10-01 09:00", "2027-10-04 09:00"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := dues(tt.schedule, c, tt.from, tt.to, "2006-01-02 15:04"); !slices.Equal(got, tt.want) {
				t.Errorf("%s from %s to %s\n got %v\nwant %v", tt.schedule, tt.from, tt.to, got, tt.want)
			}
		})
	}
}

func TestHolidaysKnown(t *testing.T) {
	c := seeded(t)
	for year, want := range map[int]bool{2024: false, 2025: true, 2026: true, 2027: false} {
		if got := c.HolidaysKnown(year); got != want {
			t.Errorf("HolidaysKnown(%d) = %t, want %t", year, got, want)
		}
	}
	// The notices' own sums: days off, and days on which they are worked off.
	for year, want := range map[string][2]int{"2025": {28, 5}, "2026": {33, 6}} {
		var got [2]int
		for day, h := range c.Holidays {
			switch weekday := day.Start(time.UTC).Weekday(); {
			case !strings.HasPrefix(string(day), year):
				continue
			case h.Work:
				got[1]++
				if weekday != time.Saturday && weekday != time.Sunday {
					t.Errorf("%s is worked, but a %s", day, weekday)
				}
			default:
				got[0]++
			}
		}
		if got != want {
			t.Errorf("%s: days off, days worked = %v, want %v", year, got, want)
		}
	}
}

func TestClocksThatJump(t *testing.T) {
	newYork := Calendar{Zone: load(t, "America/New_York")}
	tests := []struct {
		name     string
		schedule Schedule
		from, to string
		want     []string
	}{
		{"spring: 02:30 is left out, so due at the jump", Daily(2, 30), "2026-03-07 00:00", "2026-03-09 12:00",
			[]string{"03-07 02:30 EST", "03-08 03:00 EDT", "03-09 02:30 EDT"}},
		{"spring, by cron", Cron("30 2 * * *"), "2026-03-07 00:00", "2026-03-09 12:00",
			[]string{"03-07 02:30 EST", "03-08 03:00 EDT", "03-09 02:30 EDT"}},
		{"spring, every quarter of an hour", Cron("*/30 * * * *"), "2026-03-08 01:00", "2026-03-08 03:30",
			[]string{"03-08 01:30 EST", "03-08 03:00 EDT", "03-08 03:30 EDT"}},
		{"autumn: 01:30 comes twice, due once", Daily(1, 30), "2026-10-31 12:00", "2026-11-02 12:00",
			[]string{"11-01 01:30 EDT", "11-02 01:30 EST"}},
		{"autumn, by cron", Cron("30 1 * * *"), "2026-10-31 12:00", "2026-11-02 12:00",
			[]string{"11-01 01:30 EDT", "11-02 01:30 EST"}},
		{"every is not on the wall", Every(time.Hour), "2026-11-01 00:30", "2026-11-01 02:30",
			[]string{"11-01 01:00 EDT", "11-01 01:00 EST", "11-01 02:00 EST"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := dues(tt.schedule, newYork, tt.from, tt.to, "01-02 15:04 MST"); !slices.Equal(got, tt.want) {
				t.Errorf("%s\n got %v\nwant %v", tt.schedule, got, tt.want)
			}
		})
	}
	// Samoa left out the whole of 2011-12-30, Beirut has springs without a midnight.
	if got := dues(Daily(9, 0), Calendar{Zone: load(t, "Pacific/Apia")}, "2011-12-29 00:00", "2011-12-31 12:00", "01-02 15:04"); !slices.Equal(got,
		[]string{"12-29 09:00", "12-31 00:00", "12-31 09:00"}) {
		t.Errorf("daily in Samoa: %v", got)
	}
	if got := dues(Daily(0, 0), Calendar{Zone: load(t, "Asia/Beirut")}, "2026-03-28 12:00", "2026-03-30 00:00", "01-02 15:04"); !slices.Equal(got,
		[]string{"03-29 01:00", "03-30 00:00"}) {
		t.Errorf("midnight in Beirut: %v", got)
	}
}

func TestParse(t *testing.T) {
	tests := []struct {
		text string
		want Schedule // empty: an error that holds wrong
		err  string
	}{
		{"每天 20:00", Daily(20, 0), ""},
		{" 每天8：05", Daily(8, 5), ""},
		{"每天 ２０：３０", Daily(20, 30), ""},
		{"每90分钟", Every(90 * time.Minute), ""},
		{"每 60 分钟", Every(time.Hour), ""},
		{"每月31号09:00", Monthly(31, 9, 0), ""},
		{"农历12月30 18:00", Lunar(12, 30, 18, 0), ""},
		{"工作日09:00", Workdays(9, 0), ""},
		{"休息日　10:00", DaysOff(10, 0), ""},
		{"0  9 * * 1-5", Cron("0 9 * * 1-5"), ""},
		{"0 9 * * MON，FRI", Cron("0 9 * * MON,FRI"), ""},
		{"", "", "看不懂"},
		{"每天", "", "每天 20:00"},
		{"每天 24:00", "", "00:00 到 23:59"},
		{"每月 32 日 09:00", "", "从 1 到 31"},
		{"农历 13 月 1 日 09:00", "", "从 1 到 12"},
		{"每 0 秒", "", "最短 1 秒"},
		{"每 745 小时", "", "最长 744 小时"},
		{"每 9999999 小时", "", "最长 744 小时"},
		{"0 9 * *", "", "这里有 4 段"},
		{"0 25 * * *", "", "第 2 段“25”不对（时，0–23）"},
		{"0 9 * * 7", "", "星期，0–6"},
		{"0 0 30 2 *", "", "永远不会到"},
		{"TZ=UTC 0 9 * * *", "", "看不懂"},
		{"@every 5m", "", "看不懂"},
		{strings.Repeat("1", 201), "", "太长"},
	}
	for _, tt := range tests {
		got, err := Parse(tt.text)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("Parse(%q) = %q, %v; want %q, %q", tt.text, got, err, tt.want, tt.err)
		}
	}
	for _, bad := range []Schedule{Daily(24, 0), Daily(-1, 0), Every(0), Every(1500 * time.Millisecond), Every(-time.Hour), Monthly(0, 1, 1), Lunar(1, 31, 0, 0), Cron("@daily")} {
		if got, err := Parse(string(bad)); err == nil {
			t.Errorf("Parse(%q) = %q, want an error", bad, got)
		}
	}
}

// anySchedule draws a schedule and how to see that a wall time matches it.
func anySchedule(t *rapid.T, c Calendar) (Schedule, func(time.Time) bool) {
	hour, minute := rapid.IntRange(0, 23).Draw(t, "hour"), rapid.IntRange(0, 59).Draw(t, "minute")
	onTime := func(w time.Time) bool { return w.Hour() == hour && w.Minute() == minute && w.Second() == 0 }
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0:
		return Daily(hour, minute), onTime
	case 1:
		d := time.Duration(rapid.IntRange(1, 100_000).Draw(t, "seconds")) * time.Second
		start := time.Date(2000, 1, 1, 0, 0, 0, 0, c.Zone)
		return Every(d), func(w time.Time) bool { return w.Sub(start)%d == 0 }
	case 2:
		day := rapid.IntRange(1, 31).Draw(t, "day")
		return Monthly(day, hour, minute), func(w time.Time) bool {
			last := w.AddDate(0, 0, 1).Month() != w.Month()
			return onTime(w) && (w.Day() == day || last && w.Day() < day)
		}
	case 3:
		return Workdays(hour, minute), func(w time.Time) bool { return onTime(w) && !c.DayOff(store.DayOf(w, c.Zone)) }
	case 4:
		return DaysOff(hour, minute), func(w time.Time) bool { return onTime(w) && c.DayOff(store.DayOf(w, c.Zone)) }
	}
	weekday := rapid.IntRange(0, 6).Draw(t, "weekday")
	return Cron(fmt.Sprintf("%d %d * * %d", minute, hour, weekday)), func(w time.Time) bool { return onTime(w) && int(w.Weekday()) == weekday }
}

// The next due time is strictly later, matches, and nothing between matches;
// the latest one is not in the future, and nothing after it is past.
func TestNextIsTheFirstMatch(t *testing.T) {
	c := seeded(t)
	rapid.Check(t, func(t *rapid.T) {
		s, matches := anySchedule(t, c)
		after := time.Unix(rapid.Int64Range(1704067200, 1830297600).Draw(t, "after"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")) // 2024 to 2027
		next := s.Next(after, c)
		if !next.After(after) {
			t.Fatalf("%s: Next(%s) = %s, want it later", s, after, next)
		}
		if !matches(next.In(c.Zone)) {
			t.Fatalf("%s: Next(%s) = %s does not match", s, after, next.In(c.Zone))
		}
		for n := range 200 {
			between := after.Add(next.Sub(after) * time.Duration(n) / 200).Truncate(time.Minute)
			if between.After(after) && between.Before(next) && matches(between.In(c.Zone)) {
				t.Fatalf("%s: Next(%s) = %s left out %s", s, after, next, between)
			}
		}
		for _, now := range []time.Time{after, next, next.Add(-time.Second)} {
			last := s.latest(now, c)
			if last.After(now) || !s.Next(last, c).After(now) {
				t.Fatalf("%s: latest(%s) = %s, then %s", s, now, last, s.Next(last, c))
			}
		}
		if got := s.latest(next, c); !got.Equal(next) {
			t.Fatalf("%s: latest(%s) = %s, want the same", s, next, got)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"每天 20:00", "每 30 分钟", "每月 31 日 09:00", "农历 12 月 30 日 18:00", "工作日 09:00", "休息日 10:00",
		"0 9 * * 1-5", "*/5 8-20/2 ? JAN-MAR SUN", "TZ=", "@every 1s", "0 0 31 2 *", "０ 9 ＊ * 1－5", "\xff"} {
		f.Add(s)
	}
	c := Calendar{Zone: load(f, "America/New_York")}
	now := time.Date(2026, 3, 8, 6, 59, 59, 5, time.UTC) // a second before the clocks jump
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			if s != "" {
				t.Errorf("Parse(%q) = %q with error %v", text, s, err)
			}
			return
		}
		if again, err := Parse(string(s)); again != s || err != nil || len(s) > 200 {
			t.Errorf("Parse(%q) = %q, but Parse of that = %q, %v", text, s, again, err)
		}
		next := s.Next(now, c)
		if !next.IsZero() && !next.After(now) {
			t.Errorf("%s: Next(%s) = %s", s, now, next)
		}
	})
}
