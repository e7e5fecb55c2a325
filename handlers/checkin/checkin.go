// Package checkin rewards members for saying 签到 once a day.
package checkin

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"time"

	"qunbot/bot"
	"qunbot/handlers"
	"qunbot/ledger"
	"qunbot/scheduler"
	"qunbot/store"
	"qunbot/web/console"
	"qunbot/web/portal"
)

//go:embed *.html
var files embed.FS

type feature struct{ handlers.Deps }

// New returns the check-in feature.
func New(d handlers.Deps) handlers.Feature {
	f := &feature{d}
	return handlers.Feature{
		Name: "checkin",
		Commands: []bot.Command{
			{Words: []string{"签到", "打卡"}, Help: "每天一次，领积分；连续签到更多", Handle: f.checkIn},
			{Words: []string{"补签"}, Help: "补上昨天漏掉的签到", Handle: f.repair},
		},
		Jobs: []scheduler.Job{
			{Name: "checkin.remind", Title: "提醒签到", Schedule: scheduler.Daily(20, 0), Missed: scheduler.Skip, Run: f.remind},
		},
		Console: []console.Page{f.rulesPage()},
		Portal:  []portal.Page{f.memberPage()},
	}
}

// rules returns the rules in force.
func (f *feature) rules(ctx context.Context, tx *store.Tx) (Rules, error) {
	r := defaultRules
	err := tx.Setting(ctx, "checkin", &r)
	return r, err
}

// A result is what a check-in or its repair did.
type result struct {
	streak  int   // consecutive days up to the newest one
	earned  int64 // points for the day itself
	more    int64 // points that later days earn now that the day counts
	balance int64
}

// A place is where a member checked in.
type place struct {
	group, mall int64 // 0 in a 1:1 chat and on the member page
}

// checkInOn records member's check-in on the local day of at and credits its
// points. It reports done == false if that day is checked in already, and
// returns a refusal while the member is suspended. A
// check-in that arrives late, after the next day's, ends as it would have in
// order: the next day's streak grows, and with it that day's points.
func (f *feature) checkInOn(ctx context.Context, tx *store.Tx, member int64, where place, at time.Time) (r result, done bool, err error) {
	rules, err := f.rules(ctx, tx)
	if err != nil {
		return r, false, err
	}
	if _, err := tx.LockedBalance(ctx, member); err != nil { // one check-in of a member at a time
		return r, false, err
	}
	if err := f.allowed(ctx, tx, member, at); err != nil {
		return r, false, err
	}
	day := store.DayOf(at, f.Zone)
	before, later, err := f.around(ctx, tx, member, day)
	if err != nil {
		return r, false, err
	}
	r.streak = streakOn(day, before)
	added, err := tx.AddCheckIn(ctx, store.CheckIn{MemberID: member, Day: day, Streak: r.streak, GroupID: where.group, At: at})
	if err != nil || !added {
		return r, false, err
	}
	r.earned, r.balance, err = ledger.Award(ctx, tx, ledger.Earning{
		Member: member, Mall: where.mall, Rule: "checkin", Base: rules.pointsFor(r.streak),
		Key: store.Key("checkin", member, day), // the same award can be booked once only
		At:  at,
	})
	if err != nil {
		return r, false, err
	}
	for _, c := range rejoin(day, r.streak, later) {
		r.streak = c.Streak
		if err := tx.SetStreak(ctx, member, c.Day, c.Streak); err != nil {
			return r, false, err
		}
		missed := rules.pointsFor(c.Streak) - rules.pointsFor(c.was)
		if missed <= 0 || c.RepairOn != "" {
			continue
		}
		more, balance, err := ledger.Award(ctx, tx, ledger.Earning{
			Member: member, Mall: where.mall, Rule: "checkin", Base: missed,
			Key: store.Key("checkin", member, c.Day, "streak", c.Streak), Note: "连续签到补记", At: at,
		})
		if err != nil {
			return r, false, err
		}
		r.more, r.balance = r.more+more, balance
	}
	return r, true, nil
}

// around returns the check-in of the day before day (zero if there is none)
// and those after it.
func (f *feature) around(ctx context.Context, tx *store.Tx, member int64, day store.Day) (before store.CheckIn, later []store.CheckIn, err error) {
	list, err := tx.CheckInsFrom(ctx, member, day.Add(-1))
	for _, c := range list {
		switch {
		case c.Day < day:
			before = c
		case c.Day > day:
			later = append(later, c)
		}
	}
	return before, later, err
}

// checkIn answers 签到.
func (f *feature) checkIn(ctx context.Context, tx *store.Tx, m bot.Message) (bot.Reply, error) {
	r, done, err := f.checkInOn(ctx, tx, m.Member.ID, placeOf(m), m.SentAt)
	no, refused := errors.AsType[refusal](err)
	switch {
	case refused:
		return bot.Reply{Text: string(no)}, nil
	case err != nil:
		return bot.Reply{}, err
	case !done:
		return bot.Textf("今天已经签到过啦，明天再来～"), nil
	case r.more > 0:
		return bot.Textf("签到成功！连续 %d 天，积分 +%d，之后的连续奖励补记 +%d，现有 %d 分", r.streak, r.earned, r.more, r.balance), nil
	}
	return bot.Textf("签到成功！连续 %d 天，积分 +%d，现有 %d 分", r.streak, r.earned, r.balance), nil
}

func placeOf(m bot.Message) place { return place{group: m.Group.ID, mall: m.Group.MallID} }

// What may be in the way of a check-in or a 补签, in words for the member.
type refusal string

func (r refusal) Error() string { return string(r) }

// allowed returns the refusal of a member who is suspended at a time.
func (f *feature) allowed(ctx context.Context, tx *store.Tx, member int64, at time.Time) error {
	until, err := tx.SuspendedUntil(ctx, member, at)
	if err != nil || until.IsZero() {
		return err
	}
	return refusal("因为违反群规，签到和积分暂停到 " + until.In(f.Zone).Format("1月2日 15:04") + "。有疑问请找群主。")
}

// repairBefore buys the check-in of the day before at's. The day counts for
// the streak and earns nothing. It returns a refusal if the rules forbid it.
func (f *feature) repairBefore(ctx context.Context, tx *store.Tx, member int64, where place, at time.Time) (r result, err error) {
	rules, err := f.rules(ctx, tx)
	if err != nil {
		return r, err
	}
	if _, err := tx.LockedBalance(ctx, member); err != nil {
		return r, err
	}
	if err := f.allowed(ctx, tx, member, at); err != nil {
		return r, err
	}
	today := store.DayOf(at, f.Zone)
	yesterday := today.Add(-1)
	list, err := tx.CheckInsFrom(ctx, member, yesterday)
	if err != nil {
		return r, err
	}
	if len(list) > 0 && list[0].Day == yesterday {
		return r, refusal("昨天已经签到过啦，不用补签。")
	}
	last, err := tx.LastRepair(ctx, member)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return r, err
	}
	if again := rules.repairableFrom(last.RepairOn); last.RepairOn != "" && today < again {
		return r, refusal(fmt.Sprintf("%d 天内只能补签一次，%s 起可以再补。", rules.RepairEvery, again))
	}
	before, later, err := f.around(ctx, tx, member, yesterday)
	if err != nil {
		return r, err
	}
	r.balance, err = ledger.Spend(ctx, tx, ledger.Spending{
		Member: member, Mall: where.mall, Rule: "checkin.repair", Points: rules.RepairCost,
		Key: store.Key("checkin.repair", member, yesterday), Note: "补签 " + string(yesterday), At: at,
	})
	if errors.Is(err, ledger.ErrInsufficient) {
		return r, refusal(fmt.Sprintf("补签要 %d 分，你现在有 %d 分，还差 %d 分。", rules.RepairCost, r.balance, rules.RepairCost-r.balance))
	}
	if err != nil {
		return r, err
	}
	r.streak = streakOn(yesterday, before)
	_, err = tx.AddCheckIn(ctx, store.CheckIn{
		MemberID: member, Day: yesterday, Streak: r.streak, GroupID: where.group, RepairOn: today, At: at,
	})
	if err != nil {
		return r, err
	}
	for _, c := range rejoin(yesterday, r.streak, later) {
		r.streak = c.Streak
		if err := tx.SetStreak(ctx, member, c.Day, c.Streak); err != nil {
			return r, err
		}
	}
	return r, nil
}

// repair answers 补签.
func (f *feature) repair(ctx context.Context, tx *store.Tx, m bot.Message) (bot.Reply, error) {
	r, err := f.repairBefore(ctx, tx, m.Member.ID, placeOf(m), m.SentAt)
	if no, refused := errors.AsType[refusal](err); refused {
		return bot.Reply{Text: string(no)}, nil
	}
	if err != nil {
		return bot.Reply{}, err
	}
	return bot.Textf("补签成功！昨天补上了，连续 %d 天，现有 %d 分", r.streak, r.balance), nil
}
