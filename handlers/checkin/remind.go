package checkin

import (
	"context"
	"time"

	"qunbot/bot"
	"qunbot/store"
)

const reminder = "今天还没有人签到，来一个？对我说“签到”就有积分。"

// remind nudges groups where nobody has checked in today. Repeating it on the
// same day posts nothing new: there is one post a place and day.
func (f *feature) remind(ctx context.Context, _ time.Time) error {
	today := store.DayOf(f.Now(), f.Zone)
	return f.Store.Update(ctx, func(tx *store.Tx) error {
		ctx := tx.Context()
		groups, err := tx.Groups(ctx)
		if err != nil {
			return err
		}
		lively, err := tx.GroupsWithCheckIn(ctx, today)
		if err != nil {
			return err
		}
		for _, lane := range quiet(groups, lively) {
			err := bot.Push(ctx, tx, bot.Post{
				Key: store.Key("checkin.remind", lane, today), Lane: lane, Reply: bot.Reply{Text: reminder},
				Delivery: bot.AtLeastOnce, Expires: today.Add(1).Start(f.Zone), Item: "checkin.remind",
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// quiet returns the places to post to, in the groups' order, of which no group
// is lively: several groups may share one.
func quiet(groups []store.Group, lively map[int64]bool) []string {
	awake := map[string]bool{}
	for _, g := range groups {
		if lively[g.ID] {
			awake[g.Lane()] = true
		}
	}
	var lanes []string
	for _, g := range groups {
		lane := g.Lane()
		if lane != "" && !awake[lane] {
			lanes = append(lanes, lane)
			awake[lane] = true // once
		}
	}
	return lanes
}
