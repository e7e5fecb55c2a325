package checkin

import (
	"context"
	"fmt"
	"html/template"
	"strconv"
	"strings"

	"qunbot/ledger"
	"qunbot/store"
	"qunbot/web/console"
	"qunbot/web/style"
)

// rulesPage is the operators' page: today's check-ins, and the rules.
func (f *feature) rulesPage() console.Page {
	return console.Page{
		Path: "/checkins", Title: "签到", Purpose: "今天谁签到了，签到给多少分。", Group: console.Daily, Menu: "会员", Icon: "check",
		Role: store.Analyst, Change: store.Manager,
		FS: files, Template: "console.html", Load: f.consolePage, Post: f.changeRules,
	}
}

// consoleData is what the operators' page shows.
type consoleData struct {
	Day      store.Day
	Today    int64            // members who checked in today
	Past     []store.DayCount // the last two weeks, the newest last
	Chart    template.HTML
	CheckIns console.Rows[checkInRow]
	Rules    Rules
	Monthly  int64  // points a month of a member who never misses a day
	Worth    string // the same in ¥
	Fields   console.Fields
}

type checkInRow struct {
	store.CheckIn
	Name string
}

// consolePage shows today's check-ins and the rules.
func (f *feature) consolePage(ctx context.Context, tx *store.Tx, v console.Visit) (any, error) {
	rules, err := f.rules(ctx, tx)
	if err != nil {
		return nil, err
	}
	today := store.DayOf(v.Now, f.Zone)
	list, err := tx.CheckInsOn(ctx, today, v.Before, v.Limit)
	if err != nil {
		return nil, err
	}
	counts, err := tx.CheckInCounts(ctx, today.Add(1-chartDays), today)
	if err != nil {
		return nil, err
	}
	rows, err := named(ctx, tx, list)
	if err != nil {
		return nil, err
	}
	data := consoleData{
		Day: today, Past: everyDay(counts, today), Rules: rules,
		CheckIns: console.Paged(v, rows, func(r checkInRow) int64 { return r.MemberID }),
		Monthly:  rules.monthlyPoints(), Worth: ledger.Yuan(ledger.Fen(rules.monthlyPoints())),
		Fields: v.Fields("ladder", joinInts(rules.Ladder), "cap", rules.Cap,
			"repair_cost", rules.RepairCost, "repair_every", rules.RepairEvery),
	}
	var bars []style.Bar
	for _, d := range data.Past {
		bars = append(bars, style.Bar{Label: string(d.Day[5:]), Value: d.Count})
	}
	data.Today = data.Past[chartDays-1].Count
	data.Chart = style.Bars("人", bars)
	return data, nil
}

// chartDays is how many days the chart shows, today included.
const chartDays = 14

// everyDay returns the counts up to today with the days on which nothing
// happened.
func everyDay(counts []store.DayCount, today store.Day) []store.DayCount {
	byDay := map[store.Day]int64{}
	for _, c := range counts {
		byDay[c.Day] = c.Count
	}
	days := make([]store.DayCount, chartDays)
	for i := range days {
		day := today.Add(i + 1 - chartDays)
		days[i] = store.DayCount{Day: day, Count: byDay[day]}
	}
	return days
}

func named(ctx context.Context, tx *store.Tx, list []store.CheckIn) ([]checkInRow, error) {
	ids := make([]int64, len(list))
	for i, c := range list {
		ids[i] = c.MemberID
	}
	names, err := tx.Names(ctx, ids)
	rows := make([]checkInRow, len(list))
	for i, c := range list {
		rows[i] = checkInRow{c, names[c.MemberID]}
	}
	return rows, err
}

// changeRules stores new rules. They hold from the next check-in.
func (f *feature) changeRules(ctx context.Context, tx *store.Tx, v console.Visit) (console.Result, error) {
	var rules Rules
	var err error
	if rules.Ladder, err = parseInts(v.Value("ladder")); err != nil {
		return console.Result{}, console.Invalid("ladder", "写成用空格分开的整数，例如 5 10")
	}
	for _, field := range []struct {
		name string
		into *int64
	}{{"cap", &rules.Cap}, {"repair_cost", &rules.RepairCost}} {
		if *field.into, err = strconv.ParseInt(v.Value(field.name), 10, 64); err != nil {
			return console.Result{}, console.Invalid(field.name, "要写一个整数")
		}
	}
	if rules.RepairEvery, err = strconv.Atoi(v.Value("repair_every")); err != nil {
		return console.Result{}, console.Invalid("repair_every", "要写一个整数")
	}
	if err := rules.check(); err != nil {
		return console.Result{}, console.Invalid("", err.Error())
	}
	if err := tx.SetSetting(ctx, "checkin", rules); err != nil {
		return console.Result{}, err
	}
	return console.Result{Object: "签到规则", Detail: fmt.Sprintf("%+v", rules), Message: "已保存，下一次签到起生效"}, nil
}

func parseInts(text string) ([]int64, error) {
	var list []int64
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,，、　", r) }) {
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, nil
}

func joinInts(list []int64) string {
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = strconv.FormatInt(n, 10)
	}
	return strings.Join(words, " ")
}
