package moderation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"qunbot/bot"
	"qunbot/scheduler"
	"qunbot/store"
)

const (
	removeAtOnce = 50 // removals a run
	maxRemoves   = 10 // tries of one
)

// jobs returns the feature's jobs.
func (f *feature) jobs() []scheduler.Job {
	if f.Remove == nil {
		return nil
	}
	return []scheduler.Job{{Name: "moderation.remove", Title: "移出违规的人", Schedule: scheduler.Every(time.Minute), Missed: scheduler.RunOnce, Run: f.removeDue}}
}

// takeOut notes that a member is to be taken out of a group, where the API may
// do it: in internal groups, of members whom the platform knows by a userid.
// Whether the app made the group is not told; the API refuses where it did not.
func (f *feature) takeOut(ctx context.Context, tx *store.Tx, m bot.Message, s store.Strike) (bool, error) {
	if f.Remove == nil || m.Private() || m.Group.Kind != store.InternalGroup || m.From.Kind != store.UserID {
		return false, nil
	}
	return true, tx.AddRemoval(ctx, store.Removal{StrikeID: s.ID, MemberID: m.Member.ID, GroupID: m.Group.ID, State: store.RemovalPending,
		CreatedAt: m.SentAt, UpdatedAt: m.SentAt})
}

// removeDue takes out the members who are to be. To take out who is gone
// already changes nothing, so that a run may be repeated.
func (f *feature) removeDue(ctx context.Context, due time.Time) error {
	var list []store.Removal
	err := f.Store.View(ctx, func(tx *store.Tx) (err error) {
		list, err = tx.PendingRemovals(tx.Context(), removeAtOnce)
		return err
	})
	if err != nil {
		return err
	}
	for _, r := range list {
		if err := f.removeOne(ctx, r, due); err != nil {
			return err
		}
	}
	return nil
}

// removeOne tries one removal and notes how it went.
func (f *feature) removeOne(ctx context.Context, r store.Removal, at time.Time) error {
	var chat, user string
	err := f.Store.View(ctx, func(tx *store.Tx) error {
		g, err := tx.Group(tx.Context(), r.GroupID)
		if err != nil {
			return err
		}
		ids, err := tx.IdentitiesOf(tx.Context(), []int64{r.MemberID})
		chat, user = g.ChatID, ids[r.MemberID].Value
		return err
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	state, reason := store.RemovalDone, ""
	if err == nil && user == "" {
		err = errors.New("the member is gone")
	}
	if err == nil {
		err = f.Remove(ctx, chat, user)
	}
	if err != nil {
		state, reason = removalAfter(err, r.Tries+1), store.Clip(err.Error(), 400)
	}
	return f.Store.Update(ctx, func(tx *store.Tx) error {
		changed, err := tx.SetRemoval(tx.Context(), r.StrikeID, state, r.Tries+1, reason, at)
		if err != nil || !changed || state != store.RemovalFailed || f.Notify == nil {
			return err
		}
		text := fmt.Sprintf("【群规】没能把%s（会员 %d）移出%s：%s。\n%s", bot.Name(r.MemberID), r.MemberID,
			placeOf(r.GroupID, nil), reason, byHand(store.InternalGroup))
		return f.Notify(tx.Context(), tx, store.Key("moderation.remove", r.StrikeID), text)
	})
}

// removalAfter says how a removal stands after its n-th try failed with err.
func removalAfter(err error, n int) store.RemovalState {
	e, ok := errors.AsType[bot.SendError](err)
	if !ok || n >= maxRemoves {
		return store.RemovalFailed
	}
	switch outcome, _ := e.Outcome(); outcome {
	case bot.Passing, bot.Limited, bot.Doubtful:
		return store.RemovalPending
	}
	return store.RemovalFailed
}
