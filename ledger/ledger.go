// Package ledger books points as if they were money: each earning is a lot
// with its own expiry, each spending takes from the lots that expire first,
// and nothing is booked twice under one key.
//
// The sum of a member's entries, the sum of what remains in the member's lots
// and the balance are always equal; [Verify] proves it.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"qunbot/store"
)

// MaxPoints is the most points that one booking may move.
const MaxPoints = 1_000_000_000

// monthsValid is how long points last: they expire at 00:00 of the day after
// the earning day plus this many calendar months.
const monthsValid = 12

var (
	// ErrInsufficient: the member does not have the points.
	ErrInsufficient = errors.New("not enough points")
	// ErrAmount: the points are zero, negative or more than MaxPoints.
	ErrAmount = errors.New("points must be between 1 and 1,000,000,000")
)

// An Earning is why a member gets points.
type Earning struct {
	Member int64
	Mall   int64  // where; 0 if nowhere in particular
	Rule   string // what for, such as "checkin"
	Base   int64  // points before multipliers, 1 to MaxPoints
	Key    string // the same key is booked once only
	Note   string // shown to the member, at most 200 characters; no names
	At     time.Time
}

// Award books an earning. It returns the points earned and the balance after
// it. A key that is booked already earns 0. It returns ErrAmount if Base is
// out of range.
func Award(ctx context.Context, tx *store.Tx, e Earning) (earned, balance int64, err error) {
	if e.Base < 1 || e.Base > MaxPoints {
		return 0, 0, fmt.Errorf("award %d to member %d: %w", e.Base, e.Member, ErrAmount)
	}
	id, added, err := tx.AddEntry(ctx, store.Entry{
		Key: e.Key, MemberID: e.Member, MallID: e.Mall, Rule: e.Rule, Points: e.Base, Note: e.Note, At: e.At,
	})
	if err != nil {
		return 0, 0, err
	}
	if added {
		earned = e.Base
		err = tx.AddLot(ctx, store.Lot{
			EntryID: id, MemberID: e.Member, Earned: earned, Remaining: earned, ExpiresAt: ExpiresAt(e.At, tx.Zone()),
		})
		if err != nil {
			return 0, 0, err
		}
	}
	balance, err = tx.LockedBalance(ctx, e.Member)
	return earned, balance, err
}

// ExpiresAt returns when points earned at t expire.
func ExpiresAt(t time.Time, zone *time.Location) time.Time {
	return store.DayOf(t, zone).AddMonths(monthsValid).Add(1).Start(zone).UTC()
}

// A Spending is what a member gives points for.
type Spending struct {
	Member int64
	Mall   int64
	Rule   string // what for, such as "checkin.repair"
	Points int64  // 1 to MaxPoints
	Key    string // the same key is booked once only
	Note   string // shown to the member, at most 200 characters; no names
	At     time.Time
}

// Spend books a spending from the lots that expire first and returns the
// balance after it. A key that is booked already spends nothing. It returns
// ErrInsufficient, with the balance, if the member has too few unexpired
// points, and ErrAmount if Points is out of range.
func Spend(ctx context.Context, tx *store.Tx, s Spending) (balance int64, err error) {
	if s.Points < 1 || s.Points > MaxPoints {
		return 0, fmt.Errorf("spend %d of member %d: %w", s.Points, s.Member, ErrAmount)
	}
	balance, err = Settle(ctx, tx, s.Member, s.At)
	if err != nil {
		return balance, err
	}
	switch _, err := tx.EntryByKey(ctx, s.Key); {
	case err == nil:
		return balance, nil
	case !errors.Is(err, store.ErrNotFound):
		return 0, err
	}
	if balance < s.Points {
		return balance, ErrInsufficient
	}
	lots, err := tx.OpenLots(ctx, s.Member)
	if err != nil {
		return 0, err
	}
	id, _, err := tx.AddEntry(ctx, store.Entry{
		Key: s.Key, MemberID: s.Member, MallID: s.Mall, Rule: s.Rule, Points: -s.Points, Note: s.Note, At: s.At,
	})
	if err != nil {
		return 0, err
	}
	if err := tx.UseLots(ctx, oldestFirst(lots, s.Points, id)); err != nil {
		return 0, err
	}
	return balance - s.Points, nil
}

// oldestFirst divides points over lots in their order.
func oldestFirst(lots []store.Lot, points, entry int64) []store.LotUse {
	var uses []store.LotUse
	for _, l := range lots {
		if points == 0 {
			break
		}
		take := min(points, l.Remaining)
		uses = append(uses, store.LotUse{EntryID: entry, LotID: l.ID, Points: take})
		points -= take
	}
	return uses
}

// Settle books the expiry of a member's lots that have expired at t, and
// returns the balance after it.
func Settle(ctx context.Context, tx *store.Tx, member int64, t time.Time) (balance int64, err error) {
	if _, err := tx.LockedBalance(ctx, member); err != nil {
		return 0, err
	}
	lots, err := tx.OpenLots(ctx, member)
	if err != nil {
		return 0, err
	}
	for _, l := range lots {
		if l.ExpiresAt.After(t) {
			break
		}
		// Points may come back to an expired lot and expire again, so the key
		// counts what was booked on the lot before.
		uses, err := tx.CountLotUses(ctx, l.ID)
		if err != nil {
			return 0, err
		}
		id, _, err := tx.AddEntry(ctx, store.Entry{
			Key: store.Key("expire", l.ID, uses), MemberID: member, Rule: "expire", Points: -l.Remaining, At: l.ExpiresAt,
		})
		if err != nil {
			return 0, err
		}
		if err := tx.UseLots(ctx, []store.LotUse{{EntryID: id, LotID: l.ID, Points: l.Remaining}}); err != nil {
			return 0, err
		}
	}
	return tx.LockedBalance(ctx, member)
}

// Return gives back what the spending with key took, to the lots it took it
// from, so that expiry stays as it was. It returns the balance after it. A
// spending that never was, or was returned already, changes nothing.
func Return(ctx context.Context, tx *store.Tx, key, note string, at time.Time) (balance int64, err error) {
	spent, err := tx.EntryByKey(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	uses, err := tx.LotUsesOf(ctx, spent.ID)
	if err != nil {
		return 0, err
	}
	id, added, err := tx.AddEntry(ctx, store.Entry{
		Key: store.Key("return", key), MemberID: spent.MemberID, MallID: spent.MallID,
		Rule: spent.Rule + ".return", Points: -spent.Points, Note: note, At: at,
	})
	if err != nil {
		return 0, err
	}
	if added {
		for i := range uses {
			uses[i].EntryID, uses[i].Points = id, -uses[i].Points
		}
		if err := tx.UseLots(ctx, uses); err != nil {
			return 0, err
		}
	}
	return tx.LockedBalance(ctx, spent.MemberID)
}

// pointsPerYuan is the redemption rate: 100 points are worth ¥1.
const pointsPerYuan = 100

// Fen returns what points are worth, in fen (¥0.01), rounded down.
func Fen(points int64) int64 { return points * 100 / pointsPerYuan }

// Yuan writes an amount of fen as members read it, such as "¥1.50".
func Yuan(fen int64) string {
	sign := ""
	if fen < 0 {
		sign, fen = "-", -fen
	}
	return fmt.Sprintf("%s¥%d.%02d", sign, fen/100, fen%100)
}
