package moderation

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"

	"qunbot/bot"
	"qunbot/ledger"
	"qunbot/store"
)

// What follows is for the people who look at what was found: they are wired to
// it by main.

// Undo makes a strike not count, gives back what it cost and lifts its
// suspension. Later strikes keep what they led to. undone is false if it did
// not count any more; then nothing is given back again. It returns
// store.ErrNotFound if there is no such strike.
func Undo(ctx context.Context, tx *store.Tx, strike, operator int64, at time.Time) (points int64, lifted, undone bool, err error) {
	rows, err := tx.StrikeRows(ctx, store.StrikeFilter{ID: strike, Limit: 1})
	if err == nil && len(rows) == 0 {
		err = fmt.Errorf("undo strike %d: %w", strike, store.ErrNotFound)
	}
	if err != nil {
		return 0, false, false, err
	}
	if undone, err = tx.UndoStrike(ctx, strike, operator, at); err != nil || !undone {
		return 0, false, undone, err
	}
	if points = rows[0].Points; points > 0 {
		if _, err := ledger.Return(ctx, tx, spendKey(rows[0].Strike), "违规撤销，退回扣分", at); err != nil {
			return 0, false, false, err
		}
	}
	lifted, err = tx.LiftSuspension(ctx, strike, operator, at)
	return points, lifted, undone, err
}

// isAppeal reports whether text is an appeal: it may quote what was said, and
// whoever appeals must not be struck for it.
func isAppeal(text string) bool {
	fields := strings.Fields(bot.Fold(text))
	return len(fields) > 0 && strings.TrimRightFunc(fields[0], unicode.IsPunct) == "申诉"
}
