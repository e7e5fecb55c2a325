package checkin

import (
	"context"
	"errors"
	"fmt"

	"qunbot/store"
	"qunbot/web/portal"
)

// shownDays is how many days the member's page shows.
const shownDays = 28

// memberPage is the members' page: the last weeks, 签到 and 补签.
func (f *feature) memberPage() portal.Page {
	return portal.Page{
		Path: "/checkin", Title: "签到", Menu: true, Icon: "check",
		FS: files, Template: "portal.html",
		Load: f.loadMember, Post: f.postMember, Card: f.card,
	}
}

// memberData is what the members' page shows.
type memberData struct {
	Streak int
	Done   bool // today
	Next   int64
	Days   []calendarDay
	Rules  Rules
	// CanRepair: yesterday is missing; whether the rules allow it is decided when it is asked for.
	CanRepair bool
	Fields    portal.Fields
}

// A calendarDay is one square of the calendar.
type calendarDay struct {
	Day      store.Day
	Number   int // of the month
	Done     bool
	Repaired bool
	Today    bool
}

func (f *feature) loadMember(ctx context.Context, tx *store.Tx, v portal.Visit) (any, error) {
	rules, err := f.rules(ctx, tx)
	if err != nil {
		return nil, err
	}
	today := store.DayOf(v.Now, f.Zone)
	first := today.Add(1 - shownDays)
	list, err := tx.CheckInsFrom(ctx, v.Member.ID, first)
	if err != nil {
		return nil, err
	}
	data := memberData{Rules: rules, Fields: v.Fields()}
	var last store.CheckIn
	done := map[store.Day]store.CheckIn{}
	for _, c := range list {
		done[c.Day] = c
		last = c
	}
	for i := range shownDays {
		day := first.Add(i)
		c, ok := done[day]
		data.Days = append(data.Days, calendarDay{day, day.Start(f.Zone).Day(), ok, c.RepairOn != "", day == today})
	}
	_, data.Done = done[today]
	_, yesterday := done[today.Add(-1)]
	data.CanRepair = !yesterday
	data.Streak = streakToday(today, last)
	data.Next = rules.pointsFor(streakOn(today, last))
	if data.Done {
		data.Next = rules.pointsFor(last.Streak + 1)
	}
	return data, nil
}

// postMember checks in, or repairs yesterday.
func (f *feature) postMember(ctx context.Context, tx *store.Tx, v portal.Visit) (portal.Result, error) {
	where := place{group: v.Group.ID, mall: v.Group.MallID}
	if v.Value("do") == "repair" {
		r, err := f.repairBefore(ctx, tx, v.Member.ID, where, v.Now)
		if no, refused := errors.AsType[refusal](err); refused {
			return portal.Result{}, portal.Invalid("", string(no))
		}
		return portal.Result{Message: fmt.Sprintf("补签成功！连续 %d 天，现有 %d 分", r.streak, r.balance), Celebrate: true}, err
	}
	r, done, err := f.checkInOn(ctx, tx, v.Member.ID, where, v.Now)
	if no, refused := errors.AsType[refusal](err); refused {
		return portal.Result{}, portal.Invalid("", string(no))
	}
	if err != nil {
		return portal.Result{}, err
	}
	if !done {
		return portal.Result{Message: "今天已经签到过啦，明天再来～"}, nil
	}
	return portal.Result{Message: fmt.Sprintf("签到成功！连续 %d 天，积分 +%d，现有 %d 分", r.streak, r.earned+r.more, r.balance), Celebrate: true}, nil
}

// card shows the last seven days on the home page, with its one big button.
func (f *feature) card(ctx context.Context, tx *store.Tx, v portal.Visit) (portal.Card, error) {
	loaded, err := f.loadMember(ctx, tx, v)
	if err != nil {
		return portal.Card{}, err
	}
	data := loaded.(memberData)
	card := portal.Card{
		Title: "签到", Figure: fmt.Sprint(data.Streak), Unit: "天连续", Action: "签到", Link: "/m/checkin", Post: true, Main: true, Done: data.Done,
		Text: fmt.Sprintf("今天签到 +%d 分", data.Next),
	}
	if data.Done {
		card.Action, card.Text = "今天已签到", fmt.Sprintf("明天再来，+%d 分", data.Next)
	}
	for _, d := range data.Days[shownDays-7:] {
		card.Dots = append(card.Dots, d.Done)
	}
	return card, nil
}
