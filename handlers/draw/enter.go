package draw

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"qunbot/drawproof"
	"qunbot/ledger"
	"qunbot/store"
)

// costKey is the key under which entering a draw is booked.
func costKey(draw, member int64) string { return store.Key("draw", draw, member) }

// An entered is what entering did.
type entered struct {
	store.DrawEntry
	draw    store.Draw
	again   bool  // the member had entered before; nothing was written
	balance int64 // after the cost; only where there is one
}

// enter enters a member whose message is of the time at. It returns a refusal
// that says why where they cannot.
func (f *feature) enter(ctx context.Context, tx *store.Tx, draw, member int64, at time.Time) (entered, error) {
	// The account first, as everywhere, so that two transactions do not wait
	// for each other.
	if _, err := tx.LockedBalance(ctx, member); err != nil {
		return entered{}, err
	}
	d, err := tx.LockedDraw(ctx, draw)
	if err != nil {
		return entered{}, err
	}
	before, err := tx.DrawEntryOf(ctx, draw, member)
	if err == nil {
		return entered{DrawEntry: before, draw: d, again: true}, nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return entered{}, err
	}
	if err := inTime(d, at, f.Zone); err != nil {
		return entered{}, err
	}
	r := entered{draw: d}
	if err := f.judge(ctx, tx, d, member, at); err != nil {
		return r, err
	}
	if d.Cost > 0 {
		r.balance, err = ledger.Spend(ctx, tx, ledger.Spending{
			Member: member, Mall: d.MallID, Rule: "draw", Points: d.Cost, Key: costKey(d.ID, member), Note: "抽奖 " + d.Name, At: at,
		})
		if err != nil {
			return r, err
		}
	}
	key, err := keyOf(d)
	if err != nil {
		return r, err
	}
	chain, err := drawproof.ParseHash(d.Chain)
	if err != nil {
		return r, fmt.Errorf("chain of draw %d: %w", d.ID, err)
	}
	number := d.Entries + 1
	if number > drawproof.MaxEntries {
		return r, refuse("“%s”报满了：最多 %d 位。", d.Name, drawproof.MaxEntries)
	}
	who := drawproof.PseudonymOf(key, member)
	chain = chain.Next(number, who)
	r.DrawEntry = store.DrawEntry{DrawID: d.ID, Number: number, MemberID: &member, Pseudonym: who.String(), Code: chain.Code(), At: at}
	r.draw.Entries, r.draw.Chain = number, chain.String()
	return r, tx.AddDrawEntry(ctx, r.DrawEntry, chain.String())
}

func keyOf(d store.Draw) (key [32]byte, err error) {
	if n, err := hex.Decode(key[:], []byte(d.EntrantKey)); err != nil || n != len(key) {
		return key, fmt.Errorf("entrants' key of draw %d is not 64 hexadecimal digits", d.ID)
	}
	return key, nil
}

// inTime returns the refusal of a message that came too late: by the time it
// was sent, not by the time it arrived; but when the list is closed, nobody
// enters any more.
func inTime(d store.Draw, at time.Time, zone *time.Location) error {
	clock := func(t time.Time) string { return t.In(zone).Format("15:04:05") }
	title := fmt.Sprintf("“%s”（#%d）", d.Name, d.Number)
	late := d.Deadline != nil && !at.Before(*d.Deadline)
	switch {
	case d.State == store.DrawCancelled:
		return refuse("%s已经取消：%s", title, d.Reason)
	case late && at.Truncate(time.Second).Equal(d.Deadline.Truncate(time.Second)):
		return refuse("%s %s 截止，你的消息正好是 %s 发出的：到点那一秒就不算了，没有报上名。", title, clock(*d.Deadline), clock(at))
	case late:
		return refuse("%s已经截止：%s 截止，你的消息是 %s 发出的。", title, toSecond(*d.Deadline, zone), toSecond(at, zone))
	case d.State == store.DrawOpen:
		return nil
	case d.ClosedAt != nil && at.Before(*d.ClosedAt):
		return refuse("你的消息是 %s 发出的，赶在了%s截止之前，可是送到这里时名单已经封存：人数和校验值已经公布，不能再加人。没有扣积分，很抱歉。", clock(at), title)
	}
	return refuse("%s已经截止，不能再报名了。", title)
}

// toSecond writes a time to the second, with its day.
func toSecond(t time.Time, zone *time.Location) string { return t.In(zone).Format("1月2日 15:04:05") }

// judge returns the refusal of a member who does not meet the conditions.
func (f *feature) judge(ctx context.Context, tx *store.Tx, d store.Draw, member int64, at time.Time) error {
	until, err := tx.SuspendedUntil(ctx, member, at)
	if err != nil {
		return err
	}
	if !until.IsZero() {
		return refuse("因为违反群规，抽奖暂停到 %s，有疑问请找群主。", toSecond(until, f.Zone))
	}
	var s standing
	if d.MinPoints > 0 || d.Cost > 0 {
		if s.points, err = ledger.Settle(ctx, tx, member, at); err != nil {
			return err
		}
	}
	if d.NotWonDays > 0 {
		if s.lastWon, err = tx.LastDrawWin(ctx, member, d.MallID); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	if d.InGroupDays > 0 {
		if s.since, err = tx.FirstSeenInMall(ctx, member, d.MallID); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	if list := missing(d, s, at, f.Zone); len(list) > 0 {
		return refuse("还不能参加“%s”：%s。", d.Name, strings.Join(list, "；"))
	}
	return nil
}
