package store

import (
	"context"
	"database/sql"
	"fmt"
)

// What the proof of the ledger reads: whole tables, piece by piece in the order
// of their keys, so that no statement is long and no piece is large. A piece of
// rows that belong to others is asked for by the others' ids, after the last
// piece's end, so that rows without an owner come up too.

// EntriesAfter returns bookings by id, without notes and times, at most limit.
func (tx *Tx) EntriesAfter(ctx context.Context, id int64, limit int) ([]Entry, error) {
	list := make([]Entry, 0, limit)
	err := tx.query(ctx, func(rows *sql.Rows) error {
		var e Entry
		err := rows.Scan(&e.ID, &e.Key, &e.MemberID, &e.Rule, &e.Points)
		list = append(list, e)
		return err
	}, "SELECT id, `key`, member_id, rule, points FROM entries WHERE id > ? ORDER BY id LIMIT ?", id, limit)
	if err != nil {
		return nil, fmt.Errorf("read entries: %w", err)
	}
	return list, nil
}

// LotsOfEntries returns the lots of the bookings after one id, up to another.
func (tx *Tx) LotsOfEntries(ctx context.Context, after, upTo int64) ([]Lot, error) {
	return tx.readLots(ctx, "WHERE entry_id > ? AND entry_id <= ?", after, upTo)
}

// LotsAfter returns lots by id, at most limit.
func (tx *Tx) LotsAfter(ctx context.Context, id int64, limit int) ([]Lot, error) {
	return tx.readLots(ctx, "WHERE id > ? ORDER BY id LIMIT ?", id, limit)
}

func (tx *Tx) readLots(ctx context.Context, where string, args ...any) ([]Lot, error) {
	var list []Lot
	err := tx.query(ctx, func(rows *sql.Rows) error {
		var l Lot
		err := rows.Scan(&l.ID, &l.EntryID, &l.MemberID, &l.Earned, &l.Remaining)
		list = append(list, l)
		return err
	}, "SELECT id, entry_id, member_id, earned, remaining FROM lots "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read lots: %w", err)
	}
	return list, nil
}

// UsesOfEntries returns what the bookings after one id, up to another, took
// from lots.
func (tx *Tx) UsesOfEntries(ctx context.Context, after, upTo int64) ([]LotUse, error) {
	return tx.readUses(ctx, "entry_id", after, upTo)
}

// UsesOfLots returns what was taken from the lots after one id, up to another.
func (tx *Tx) UsesOfLots(ctx context.Context, after, upTo int64) ([]LotUse, error) {
	return tx.readUses(ctx, "lot_id", after, upTo)
}

func (tx *Tx) readUses(ctx context.Context, column string, after, upTo int64) ([]LotUse, error) {
	var list []LotUse
	err := tx.query(ctx, func(rows *sql.Rows) error {
		var u LotUse
		err := rows.Scan(&u.EntryID, &u.LotID, &u.Points)
		list = append(list, u)
		return err
	}, "SELECT entry_id, lot_id, points FROM lot_uses WHERE "+column+" > ? AND "+column+" <= ?", after, upTo)
	if err != nil {
		return nil, fmt.Errorf("read lot uses: %w", err)
	}
	return list, nil
}

// AccountsAfter returns accounts by member, at most limit.
func (tx *Tx) AccountsAfter(ctx context.Context, member int64, limit int) ([]Account, error) {
	var list []Account
	if err := tx.books(ctx).Where("member_id > ?", member).Order("member_id").Limit(limit).Find(&list).Error; err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	return list, nil
}

// KeysBooked returns which of the keys are booked.
func (tx *Tx) KeysBooked(ctx context.Context, keys []string) (map[string]bool, error) {
	var found []string
	if err := tx.db.WithContext(ctx).Model(&Entry{}).Where(map[string]any{"key": keys}).Pluck("key", &found).Error; err != nil {
		return nil, fmt.Errorf("look up entries: %w", err)
	}
	booked := make(map[string]bool, len(found))
	for _, k := range found {
		booked[k] = true
	}
	return booked, nil
}

// CheckedInOn returns who has a check-in on a day.
func (tx *Tx) CheckedInOn(ctx context.Context, day Day) (map[int64]bool, error) {
	members := map[int64]bool{}
	err := tx.query(ctx, func(rows *sql.Rows) error {
		var m int64
		err := rows.Scan(&m)
		members[m] = true
		return err
	}, "SELECT member_id FROM check_ins WHERE day = ?", day)
	if err != nil {
		return nil, fmt.Errorf("read check-ins of %s: %w", day, err)
	}
	return members, nil
}

// PaidDrawEntries returns how many entries each draw has that costs points.
func (tx *Tx) PaidDrawEntries(ctx context.Context) (map[int64]int64, error) {
	counts := map[int64]int64{}
	err := tx.query(ctx, func(rows *sql.Rows) error {
		var d, n int64
		err := rows.Scan(&d, &n)
		counts[d] = n
		return err
	}, "SELECT e.draw_id, COUNT(*) FROM draw_entries e JOIN draws d ON d.id = e.draw_id WHERE d.cost > 0 GROUP BY e.draw_id")
	if err != nil {
		return nil, fmt.Errorf("count entries of draws: %w", err)
	}
	return counts, nil
}
