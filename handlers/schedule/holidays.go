package schedule

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"qunbot/scheduler"
	"qunbot/store"
	"qunbot/web/console"
	"qunbot/web/style"
)

func (f *feature) holidaysPage() console.Page {
	return console.Page{
		Path: "/schedule/holidays", Title: "节假日", Purpose: "哪些天放假，哪些周末要上班：“工作日”“休息日”的任务按它走。",
		Group: console.Manage, Menu: "运行", Icon: "calendar",
		Role: store.Analyst, Change: store.Manager, FS: files, Template: "holidays.html", Style: "schedule.css", Load: f.loadHolidays, Post: f.setHolidays,
	}
}

type holidaysData struct {
	Year   int
	Years  []yearChip
	Listed []stretch
	Off    int // days off
	Today  store.Day
	Fields console.Fields
	Change bool
}

type yearChip struct {
	Year      int
	On, Known bool
}

// DayText writes a day as 10月1日 周四.
func (d holidaysData) DayText(day store.Day) string { return style.DayText(day, d.Today) }

func (f *feature) loadHolidays(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	now := v.Now.In(f.Zone)
	year := f.yearOf(v)
	calendar, err := scheduler.ReadCalendar(ctx, tx)
	if err != nil {
		return nil, err
	}
	data := holidaysData{Year: year, Today: store.DayOf(v.Now, f.Zone), Change: v.Operator.Role.Covers(store.Manager)}
	for y := now.Year(); y <= now.Year()+1; y++ {
		data.Years = append(data.Years, yearChip{y, y == year, calendar.HolidaysKnown(y)})
	}
	var days []store.Holiday
	for day, h := range calendar.Holidays {
		if day.Start(time.UTC).Year() != year {
			continue
		}
		days = append(days, h)
		if !h.Work {
			data.Off++
		}
	}
	slices.SortFunc(days, func(a, b store.Holiday) int { return strings.Compare(string(a.Day), string(b.Day)) })
	data.Listed, data.Fields = stretches(days), v.Fields("days", writeHolidays(days))
	return data, nil
}

// yearOf returns the year that the page is about: this one or the next.
func (f *feature) yearOf(v console.Visit) int {
	this := v.Now.In(f.Zone).Year()
	if v.Query.Get("year") == strconv.Itoa(this+1) {
		return this + 1
	}
	return this
}

func (f *feature) setHolidays(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	year := f.yearOf(v)
	days, err := readHolidays(v.Value("days"), year)
	if err != nil {
		return console.Result{}, console.Invalid("days", err.Error())
	}
	if err := f.jobs().SetHolidays(ctx, tx, year, days); err != nil {
		return console.Result{}, console.Invalid("days", err.Error())
	}
	return console.Result{
		Object: fmt.Sprintf("holidays %d", year), Detail: fmt.Sprintf("%d 天", len(days)),
		Message:  fmt.Sprintf("已保存 %d 年的节假日，任务的下次时间也跟着改了。", year),
		Redirect: fmt.Sprintf("/console/schedule/holidays?year=%d", year),
	}, nil
}

// holidayLine is "10-01 休 国庆节", or "10-01 至 10-07 休 国庆节"; the year may
// stand before.
var holidayLine = regexp.MustCompile(`^(?:(\d{4})[-/.年])?(\d{1,2})[-/.月](\d{1,2})日?(?:\s*(?:至|到|~|～|—)\s*(?:(\d{4})[-/.年])?(\d{1,2})[-/.月](\d{1,2})日?)?\s+(休|班)(?:\s+(\S.*))?$`)

// maxHolidays is more than any year has.
const maxHolidays = 120

// readHolidays reads what operators write, one line a stretch of days. The
// error, in Chinese, names the line.
func readHolidays(text string, year int) ([]store.Holiday, error) {
	var days []store.Holiday
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		wrong := func(why string) error { return fmt.Errorf("第 %d 行“%.60s”%s", n+1, line, why) }
		m := holidayLine.FindStringSubmatch(line)
		if m == nil {
			return nil, wrong("看不懂，要写成“10-01 至 10-07 休 国庆节”或“10-10 班 国庆节”这样")
		}
		first, err := dayIn(year, m[1], m[2], m[3])
		if err != nil {
			return nil, wrong(err.Error())
		}
		last := first
		if m[5] != "" {
			if last, err = dayIn(year, m[4], m[5], m[6]); err != nil {
				return nil, wrong(err.Error())
			}
		}
		if last < first {
			return nil, wrong("前后颠倒了")
		}
		for day := first; day <= last; day = day.Add(1) {
			days = append(days, store.Holiday{Day: day, Work: m[7] == "班", Name: strings.TrimSpace(m[8])})
			if len(days) > maxHolidays {
				return nil, wrong(fmt.Sprintf("太长：一年最多写 %d 天", maxHolidays))
			}
		}
	}
	return days, nil
}

func dayIn(year int, written, month, day string) (store.Day, error) {
	if written != "" && written != strconv.Itoa(year) {
		return "", fmt.Errorf("不在 %d 年", year)
	}
	mm, _ := strconv.Atoi(month) // digits
	dd, _ := strconv.Atoi(day)
	d := store.Day(fmt.Sprintf("%04d-%02d-%02d", year, mm, dd))
	if !d.Valid() {
		return "", errors.New("里没有这一天")
	}
	return d, nil
}

// writeHolidays is the inverse of readHolidays, for days in their order.
func writeHolidays(days []store.Holiday) string {
	var b strings.Builder
	for _, st := range stretches(days) {
		b.WriteString(string(st.First[5:]))
		if st.Last > st.First {
			b.WriteString(" 至 " + string(st.Last[5:]))
		}
		kind := "休"
		if st.Work {
			kind = "班"
		}
		b.WriteString(strings.TrimRight(" "+kind+" "+st.Name, " ") + "\n")
	}
	return b.String()
}

// A stretch is some days one after the other that are alike.
type stretch struct {
	First, Last store.Day
	Days        int
	Work        bool
	Name        string
}

// stretches returns days, which are in their order, as few stretches.
func stretches(days []store.Holiday) []stretch {
	var list []stretch
	for _, d := range days {
		if n := len(list); n > 0 {
			last := &list[n-1]
			if last.Last.Add(1) == d.Day && last.Work == d.Work && last.Name == d.Name {
				last.Last, last.Days = d.Day, last.Days+1
				continue
			}
		}
		list = append(list, stretch{d.Day, d.Day, 1, d.Work, d.Name})
	}
	return list
}
