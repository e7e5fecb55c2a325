package scheduler

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"qunbot/store"
)

// A Schedule says when something is due, in the words in which operators read
// and write it:
//
//	每天 20:00
//	每 30 分钟              also 秒 and 小时; counted from midnight of 2000-01-01
//	每月 31 日 09:00        in a month without that day: on its last day
//	农历 12 月 30 日 18:00  in a month of 29 days: on its last day, so this is 除夕; leap months do not count
//	工作日 09:00            Monday to Friday and 调休 make-up days, but no public holidays
//	休息日 10:00            all other days
//	0 9 * * 1-5             cron: minute, hour, day, month, weekday (0 is Sunday)
//
// Times are on the wall of the store's zone. One that the clocks jump over in
// spring is due when they jump; one that comes twice in autumn is due the first
// time.
type Schedule string

// Daily is due every day at hour (0 to 23) and minute (0 to 59).
func Daily(hour, minute int) Schedule { return at("每天", hour, minute) }

// Every is due again and again, d apart: whole seconds, from 1 second to 31 days.
func Every(d time.Duration) Schedule {
	switch {
	case d%time.Hour == 0:
		return Schedule(fmt.Sprintf("每 %d 小时", d/time.Hour))
	case d%time.Minute == 0:
		return Schedule(fmt.Sprintf("每 %d 分钟", d/time.Minute))
	case d%time.Second == 0:
		return Schedule(fmt.Sprintf("每 %d 秒", d/time.Second))
	}
	return Schedule("每 " + d.String()) // Parse refuses it
}

// Monthly is due on a day (1 to 31) of each month, or on the last one of a
// shorter month.
func Monthly(day, hour, minute int) Schedule {
	return at(fmt.Sprintf("每月 %d 日", day), hour, minute)
}

// Lunar is due once a lunar year, on a day (1 to 30) of a month (1 to 12), or
// on the last one of a shorter month: Lunar(12, 30, …) is New Year's Eve.
func Lunar(month, day, hour, minute int) Schedule {
	return at(fmt.Sprintf("农历 %d 月 %d 日", month, day), hour, minute)
}

// Workdays is due on the days on which offices work, see [Calendar.DayOff].
func Workdays(hour, minute int) Schedule { return at("工作日", hour, minute) }

// DaysOff is due on the days on which offices are closed, see [Calendar.DayOff].
func DaysOff(hour, minute int) Schedule { return at("休息日", hour, minute) }

// Cron is due when a cron expression of five fields says so.
func Cron(expr string) Schedule { return Schedule(expr) }

func at(days string, hour, minute int) Schedule {
	return Schedule(fmt.Sprintf("%s %02d:%02d", days, hour, minute))
}

// Parse reads a schedule that somebody typed and returns it as this package
// writes it. Its error is in Chinese and says what can be written instead.
func Parse(text string) (Schedule, error) {
	s, _, err := parse(text)
	return s, err
}

// Next returns the first time after that at which s is due, or the zero time
// if there is none or s is not valid.
func (s Schedule) Next(after time.Time, c Calendar) time.Time {
	_, r, err := parse(string(s))
	if err != nil {
		return time.Time{}
	}
	return r.next(after, c)
}

// latest returns the last time up to now at which s was due, or the zero time
// if there is none within the last eight years.
func (s Schedule) latest(now time.Time, c Calendar) time.Time {
	_, r, err := parse(string(s))
	if err != nil {
		return time.Time{}
	}
	for back := time.Second; back < 9*366*24*time.Hour; back *= 2 {
		var last time.Time
		for t := r.next(now.Add(-back), c); !t.IsZero() && !t.After(now); t = r.next(t, c) {
			last = t
		}
		if !last.IsZero() {
			return last
		}
	}
	return time.Time{}
}

var (
	everyForm = regexp.MustCompile(`^每(\d{1,7})(秒|分钟|小时)$`)
	dayForm   = regexp.MustCompile(`^(每天|每月(\d{1,2})[日号]|农历(\d{1,2})月(\d{1,2})日?|工作日|休息日)(\d{1,2}):(\d{2})$`)
	cronForm  = regexp.MustCompile(`^[-0-9A-Za-z*/,? ]+$`)
	// What an input method for Chinese makes of digits and signs.
	halfWidth = strings.NewReplacer("　", " ", "：", ":", "，", ",", "－", "-", "／", "/", "＊", "*",
		"０", "0", "１", "1", "２", "2", "３", "3", "４", "4", "５", "5", "６", "6", "７", "7", "８", "8", "９", "9")
)

var errUnreadable = errors.New("可以写：每天 20:00、每 30 分钟、每月 31 日 09:00（没有 31 日的月份用最后一天）、" +
	"农历 12 月 30 日 18:00、工作日 09:00、休息日 10:00，或者 cron 五段：分 时 日 月 星期，例如 0 9 * * 1-5")

// parse returns text in its canonical form and what computes its times.
func parse(text string) (Schedule, rule, error) {
	if len(text) > 200 {
		return "", nil, fmt.Errorf("时间写得太长（%d 字节，最多 200）。%w", len(text), errUnreadable)
	}
	words := strings.Join(strings.Fields(halfWidth.Replace(text)), " ")
	joined := strings.ReplaceAll(words, " ", "")
	if m := everyForm.FindStringSubmatch(joined); m != nil {
		unit := map[string]time.Duration{"秒": time.Second, "分钟": time.Minute, "小时": time.Hour}[m[2]]
		d := time.Duration(number(m[1])) * unit
		if d < time.Second || d > 31*24*time.Hour {
			return "", nil, fmt.Errorf("“%s”不行：间隔最短 1 秒，最长 744 小时（31 天）", text)
		}
		return Every(d), every(d), nil
	}
	if m := dayForm.FindStringSubmatch(joined); m != nil {
		return parseDays(text, m)
	}
	if cronForm.MatchString(words) {
		return parseCron(words)
	}
	return "", nil, fmt.Errorf("看不懂“%s”。%w", text, errUnreadable)
}

func parseDays(text string, m []string) (Schedule, rule, error) {
	hour, minute := number(m[5]), number(m[6])
	if hour > 23 || minute > 59 {
		return "", nil, fmt.Errorf("“%s”不行：时刻从 00:00 到 23:59", text)
	}
	switch {
	case m[1] == "每天":
		return Daily(hour, minute), days{hour, minute, everyDay}, nil
	case m[1] == "工作日":
		return Workdays(hour, minute), days{hour, minute, workday}, nil
	case m[1] == "休息日":
		return DaysOff(hour, minute), days{hour, minute, dayOff}, nil
	case m[2] != "":
		day := number(m[2])
		if day < 1 || day > 31 {
			return "", nil, fmt.Errorf("“%s”不行：每月的日子从 1 到 31", text)
		}
		return Monthly(day, hour, minute), days{hour, minute, monthDay(day)}, nil
	}
	month, day := number(m[3]), number(m[4])
	if month < 1 || month > 12 || day < 1 || day > 30 {
		return "", nil, fmt.Errorf("“%s”不行：农历的月份从 1 到 12，日子从 1 到 30", text)
	}
	return Lunar(month, day, hour, minute), days{hour, minute, lunarDay(month, day)}, nil
}

// cronFields are the parts of a cron expression, as robfig/cron reads them.
var cronFields = []struct {
	option cron.ParseOption
	name   string
}{
	{cron.Minute, "分，0–59"},
	{cron.Hour, "时，0–23"},
	{cron.Dom, "日，1–31"},
	{cron.Month, "月，1–12"},
	{cron.Dow, "星期，0–6，0 是星期日"},
}

func parseCron(words string) (Schedule, rule, error) {
	fields := strings.Fields(words)
	if len(fields) != len(cronFields) {
		return "", nil, fmt.Errorf("看不懂“%s”：cron 要有五段，这里有 %d 段。%w", words, len(fields), errUnreadable)
	}
	for i, f := range cronFields {
		if _, err := cron.NewParser(f.option).Parse(fields[i]); err != nil {
			return "", nil, fmt.Errorf("看不懂“%s”：第 %d 段“%s”不对（%s）", words, i+1, fields[i], f.name)
		}
	}
	spec, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse(words)
	if err != nil {
		return "", nil, fmt.Errorf("看不懂“%s”。%w", words, errUnreadable)
	}
	if spec.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return "", nil, fmt.Errorf("“%s”永远不会到：没有这样的日子", words)
	}
	return Cron(words), cronRule{spec}, nil
}

// number reads digits that a form has matched.
func number(digits string) int {
	n, _ := strconv.Atoi(digits)
	return n
}

// A rule computes the times of a schedule.
type rule interface {
	// next returns the first due time after that, or the zero time.
	next(after time.Time, c Calendar) time.Time
}

// every is a fixed distance, counted from one instant, so that every replica
// finds the same times.
type every time.Duration

func (e every) next(after time.Time, c Calendar) time.Time {
	d := time.Duration(e)
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, c.Zone)
	n := after.Sub(start) / d
	if after.Before(start) {
		n-- // the division rounds toward zero
	}
	for t := start.Add(n * d); ; t = t.Add(d) {
		if t.After(after) {
			return t
		}
	}
}

// cronRule computes on a wall without time zones, because robfig/cron leaves
// out the times that the clocks jump over.
type cronRule struct{ spec cron.Schedule }

func (r cronRule) next(after time.Time, c Calendar) time.Time {
	w := after.In(c.Zone)
	wall := time.Date(w.Year(), w.Month(), w.Day(), w.Hour(), w.Minute(), w.Second(), 0, time.UTC)
	for {
		if wall = r.spec.Next(wall); wall.IsZero() {
			return time.Time{}
		}
		if t := instant(store.DayOf(wall, time.UTC), wall.Hour(), wall.Minute(), c.Zone); t.After(after) {
			return t
		}
	}
}

// days is one time of day on some days.
type days struct {
	hour, minute int
	first        func(from store.Day, c Calendar) store.Day // the first such day from that one on; empty for none
}

func (r days) next(after time.Time, c Calendar) time.Time {
	for from := store.DayOf(after, c.Zone); ; {
		day := r.first(from, c)
		if day == "" {
			return time.Time{}
		}
		if t := instant(day, r.hour, r.minute, c.Zone); t.After(after) {
			return t
		}
		from = day.Add(1)
	}
}

// instant returns the moment when the clocks of zone show a time on day. If
// they jump over it, that is the jump; if they show it twice, the first.
func instant(day store.Day, hour, minute int, zone *time.Location) time.Time {
	d, _ := time.Parse(time.DateOnly, string(day))
	t := time.Date(d.Year(), d.Month(), d.Day(), hour, minute, 0, 0, zone)
	start, end := t.ZoneBounds()
	switch shown := time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), 0, 0, time.UTC); {
	case shown.Before(d.Add(clock(hour, minute))):
		return end
	case shown.After(d.Add(clock(hour, minute))):
		return start
	}
	if start.IsZero() {
		return t
	}
	_, offset := t.Zone()
	_, before := start.Add(-time.Second).Zone()
	if first := t.Add(time.Duration(offset-before) * time.Second); first.Before(start) && before > offset {
		return first
	}
	return t
}

func clock(hour, minute int) time.Duration {
	return time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute
}

func everyDay(from store.Day, _ Calendar) store.Day { return from }

// monthDay is the day of that number, or a shorter month's last.
func monthDay(number int) func(store.Day, Calendar) store.Day {
	return func(from store.Day, _ Calendar) store.Day {
		first := from[:8] + "01"
		if day := min(first.Add(number-1), first.AddMonths(1).Add(-1)); day >= from {
			return day
		}
		first = first.AddMonths(1)
		return min(first.Add(number-1), first.AddMonths(1).Add(-1))
	}
}

func workday(from store.Day, c Calendar) store.Day {
	return search(from, func(d store.Day) bool { return !c.DayOff(d) })
}

func dayOff(from store.Day, c Calendar) store.Day { return search(from, c.DayOff) }

// search returns the first day of the next year that matches.
func search(from store.Day, matches func(store.Day) bool) store.Day {
	for n := range 366 {
		if d := from.Add(n); matches(d) {
			return d
		}
	}
	return ""
}
