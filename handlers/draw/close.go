package draw

import (
	"context"
	"errors"
	"fmt"
	"time"

	"qunbot/drawproof"
	"qunbot/ledger"
	"qunbot/store"
)

// close closes an open draw: from here on nobody enters, and count and chain
// are public. It returns a refusal if the draw is not open.
func (f *feature) close(ctx context.Context, tx *store.Tx, draw int64, at time.Time) (store.Draw, error) {
	done, err := tx.CloseDraw(ctx, draw, at)
	if err != nil {
		return store.Draw{}, err
	}
	d, err := tx.Draw(ctx, draw)
	if err == nil && !done {
		err = refuse("“%s”（#%d）%s，不用再截止。", d.Name, d.Number, stateWords(d))
	}
	return d, err
}

// setValue stores the public value of a closed draw. It can be said once: who
// could say another one would choose the winners.
func (f *feature) setValue(ctx context.Context, tx *store.Tx, draw int64, value string, at time.Time) (store.Draw, error) {
	d, err := tx.LockedDraw(ctx, draw)
	if err != nil {
		return d, err
	}
	r, err := rulesOf(d)
	if err != nil {
		return d, err
	}
	title := fmt.Sprintf("“%s”（#%d）", d.Name, d.Number)
	switch {
	case r.Source == drawproof.NoSource:
		return d, refuse("%s新建时没有约定公证数，不能事后再加。直接开奖就行：/抽奖 开奖 %d", title, d.Number)
	case d.State == store.DrawOpen:
		return d, refuse("%s还在报名。公证数要在截止以后写：先 /抽奖 截止 %d，再写公证数。", title, d.Number)
	case d.State != store.DrawClosed:
		return d, refuse("%s%s，不能再写公证数。", title, stateWords(d))
	case d.PublicValue != "":
		return d, refuse("%s的公证数已经公布为 %s，不能改：改公证数就等于改中奖的人。写错了的话，只能取消这场抽奖。", title, d.PublicValue)
	}
	done, err := tx.SetDrawValue(ctx, draw, value, at)
	if err == nil && !done {
		err = errState
	}
	d.PublicValue, d.ValueAt = value, &at
	return d, err
}

// draw computes the winners of a closed draw, reveals its seed and gives every
// place a claim code. It returns a refusal if it cannot be drawn yet, or not
// any more.
func (f *feature) draw(ctx context.Context, tx *store.Tx, draw int64, at time.Time) (store.Draw, []store.DrawWin, error) {
	d, err := tx.LockedDraw(ctx, draw)
	if err != nil {
		return d, nil, err
	}
	r, err := rulesOf(d)
	if err != nil {
		return d, nil, err
	}
	title := fmt.Sprintf("“%s”（#%d）", d.Name, d.Number)
	switch {
	case d.State == store.DrawOpen:
		return d, nil, refuse("%s还在报名，要先截止：/抽奖 截止 %d", title, d.Number)
	case d.State != store.DrawClosed:
		return d, nil, refuse("%s%s。%s", title, stateWords(d), f.page(d))
	case r.Source != drawproof.NoSource && d.PublicValue == "":
		return d, nil, refuse("%s约定了公证数（%s），先写上公布的数：/抽奖 公证 %d 数字", title, r.Source, d.Number)
	}
	wins, err := f.rank(ctx, tx, d, r, at)
	if err != nil {
		return d, nil, err
	}
	done, err := tx.MarkDrawn(ctx, draw, at)
	if err != nil {
		return d, nil, err
	}
	if !done {
		return d, nil, errState
	}
	d.State, d.DrawnAt = store.DrawDrawn, &at
	return d, wins, tx.AddDrawWins(ctx, wins)
}

// rank returns the places of a draw by the protocol.
func (f *feature) rank(ctx context.Context, tx *store.Tx, d store.Draw, r drawproof.Rules, at time.Time) ([]store.DrawWin, error) {
	seed, err := drawproof.ParseSeed(d.Seed)
	if err != nil {
		return nil, fmt.Errorf("seed of draw %d: %w", d.ID, err)
	}
	chain, err := drawproof.ParseHash(d.Chain)
	if err != nil {
		return nil, fmt.Errorf("chain of draw %d: %w", d.ID, err)
	}
	ranked := drawproof.Rank(seed, d.PublicID, chain, d.PublicValue, d.Entries, r.Winners()+r.Alternates)
	members, err := tx.MembersOfDrawEntries(ctx, d.ID, ranked)
	if err != nil {
		return nil, err
	}
	winners, _ := r.Allot(ranked)
	until := claimUntil(d, at, f.Zone)
	wins := make([]store.DrawWin, len(ranked))
	for i, entry := range ranked {
		w := store.DrawWin{DrawID: d.ID, Place: i + 1, Entry: entry, State: store.WinWaiting}
		if member, known := members[entry]; known {
			w.MemberID = &member
		}
		if w.Code, err = f.randomText(unambiguous, codeLength); err != nil {
			return nil, err
		}
		if i < len(winners) {
			w.State, w.Prize, w.WonAt, w.ClaimUntil = store.WinOpen, winners[i].Prize, &at, &until
		}
		wins[i] = w
	}
	return wins, nil
}

// claimUntil returns when a prize won at t lapses: at the end of the day so
// many days later.
func claimUntil(d store.Draw, t time.Time, zone *time.Location) time.Time {
	return store.DayOf(t, zone).Add(d.ClaimDays + 1).Start(zone).UTC()
}

// returnsAtOnce is how many entrants get their points back in one transaction.
const returnsAtOnce = 100

// cancel ends a draw without winners. The seed is revealed all the same, so
// that everybody can see who would have won. Points go back to the first
// entrants at once, and to the others by the job.
func (f *feature) cancel(ctx context.Context, tx *store.Tx, draw int64, reason string, at time.Time) (store.Draw, error) {
	done, err := tx.CancelDraw(ctx, draw, reason, at)
	if err != nil {
		return store.Draw{}, err
	}
	d, err := tx.Draw(ctx, draw)
	if err != nil {
		return d, err
	}
	if !done {
		return d, refuse("“%s”（#%d）%s，不能取消。", d.Name, d.Number, stateWords(d))
	}
	_, err = f.giveBack(ctx, tx, d, at)
	return d, err
}

// giveBack returns the cost to the next entrants of a cancelled draw, and
// reports whether there are more. Repeating it changes nothing.
func (f *feature) giveBack(ctx context.Context, tx *store.Tx, d store.Draw, at time.Time) (more bool, err error) {
	if d.Cost == 0 || d.Refunded >= d.Entries {
		return false, nil
	}
	entries, err := tx.DrawEntries(ctx, d.ID, d.Refunded, returnsAtOnce)
	if err != nil || len(entries) == 0 {
		return false, err
	}
	var members []int64
	for _, e := range entries {
		if e.MemberID != nil {
			members = append(members, *e.MemberID)
		}
	}
	if len(members) > 0 {
		if err := tx.LockAccounts(ctx, members); err != nil {
			return false, err
		}
	}
	for _, m := range members {
		if _, err := ledger.Return(ctx, tx, costKey(d.ID, m), "抽奖取消 "+d.Name, at); err != nil {
			return false, err
		}
	}
	last := entries[len(entries)-1].Number
	return last < d.Entries, tx.SetDrawRefunded(ctx, d.ID, last)
}

// grace is how long after its deadline the job leaves a draw open, for
// messages that were sent in time and are still on their way.
const grace = 10 * time.Second

// closeDue is the job: it closes the draws whose deadline has passed, draws
// those that wait for no public value, returns points, and passes prizes on
// that nobody claimed. Draws do not hold each other up.
func (f *feature) closeDue(ctx context.Context, _ time.Time) error {
	now := f.Now()
	var due, closed, owing []store.Draw
	var lapsed []store.DrawWin
	err := f.Store.View(ctx, func(tx *store.Tx) (err error) {
		ctx := tx.Context()
		if due, err = tx.DueDraws(ctx, now.Add(-grace), 100); err != nil {
			return err
		}
		if closed, err = tx.Draws(ctx, store.DrawFilter{States: []store.DrawState{store.DrawClosed}, Limit: 1000}); err != nil {
			return err
		}
		if owing, err = tx.UnreturnedDraws(ctx, 100); err != nil {
			return err
		}
		lapsed, err = tx.LapsedDrawWins(ctx, now, 500)
		return err
	})
	if err != nil {
		return err
	}
	var errs []error
	// try runs one step; another replica or an operator having done it first
	// is no error.
	try := func(step func(tx *store.Tx) error) {
		err := f.Store.Update(ctx, step)
		if _, refused := errors.AsType[refusal](err); refused || errors.Is(err, errState) {
			return
		}
		errs = append(errs, err)
	}
	for _, d := range due {
		try(func(tx *store.Tx) error { return f.closeByItself(tx, d.ID, now) })
	}
	for _, d := range append(closed, due...) {
		r, err := rulesOf(d)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if r.Source == drawproof.NoSource {
			try(func(tx *store.Tx) error { return f.drawByItself(tx, d.ID, now) })
		}
	}
	for _, d := range owing {
		for more := true; more && ctx.Err() == nil; {
			more = false
			try(func(tx *store.Tx) error {
				fresh, err := tx.Draw(tx.Context(), d.ID)
				if err != nil {
					return err
				}
				more, err = f.giveBack(tx.Context(), tx, fresh, now)
				return err
			})
		}
	}
	for _, w := range lapsed {
		try(func(tx *store.Tx) error { return f.passOn(tx, w, now) })
	}
	return errors.Join(errs...)
}

func (f *feature) closeByItself(tx *store.Tx, draw int64, now time.Time) error {
	d, err := f.close(tx.Context(), tx, draw, now)
	if err != nil {
		return err
	}
	text, err := f.closedText(d)
	if err != nil {
		return err
	}
	return f.announce(tx.Context(), tx, d, 0, "closed", text)
}

func (f *feature) drawByItself(tx *store.Tx, draw int64, now time.Time) error {
	d, wins, err := f.draw(tx.Context(), tx, draw, now)
	if err != nil {
		return err
	}
	text, err := f.drawnText(d, wins)
	if err != nil {
		return err
	}
	return f.announce(tx.Context(), tx, d, 0, "drawn", text)
}

// passOn gives a prize that nobody claimed to the next alternate.
func (f *feature) passOn(tx *store.Tx, w store.DrawWin, now time.Time) error {
	ctx := tx.Context()
	d, err := tx.LockedDraw(ctx, w.DrawID)
	if err != nil {
		return err
	}
	done, err := tx.LapseDrawWin(ctx, w.ID, now)
	if err != nil || !done {
		return err
	}
	next, err := tx.PromoteDrawWin(ctx, d.ID, w.Prize, now, claimUntil(d, now, f.Zone))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	text, err := f.passedOnText(d, w, next)
	if err != nil {
		return err
	}
	return f.announce(ctx, tx, d, 0, store.Key("passed", w.Place), text)
}
