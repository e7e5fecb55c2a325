package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// An Account is a member's points balance: a cache over the lots, and the row
// that whoever changes them locks first.
type Account struct {
	MemberID int64 `gorm:"primaryKey;autoIncrement:false"`
	Balance  int64 // points, the sum of the lots' Remaining
}

// An Entry is one booking of points. Entries are never changed or deleted.
type Entry struct {
	ID       int64
	Key      string `gorm:"size:160;uniqueIndex"` // the same cause cannot be booked twice
	MemberID int64  `gorm:"index"`
	MallID   int64
	Rule     string    `gorm:"size:40"` // what it was for, such as "checkin"
	Points   int64     // positive when earned, negative when spent or expired
	Note     string    `gorm:"size:200"`
	At       time.Time `gorm:"index"`
}

// A Lot is points earned at once, that expire at once.
type Lot struct {
	ID        int64
	EntryID   int64     `gorm:"uniqueIndex"` // the earning
	MemberID  int64     `gorm:"index:lots_open,priority:1"`
	Earned    int64     // points, at least 1
	Remaining int64     `gorm:"index:lots_open,priority:2"` // points neither spent nor expired
	ExpiresAt time.Time `gorm:"index"`
}

// A LotUse says how many points of a lot an entry spent, so that they can go
// back where they came from.
type LotUse struct {
	EntryID int64 `gorm:"primaryKey;autoIncrement:false"`
	LotID   int64 `gorm:"primaryKey;autoIncrement:false;index"`
	Points  int64 // positive: taken from the lot
}

// LockAccounts makes the accounts that are missing and locks all of them until
// the transaction ends, in member order, so that two transactions cannot wait
// for each other.
func (tx *Tx) LockAccounts(ctx context.Context, members []int64) error {
	members = slices.Clone(members)
	slices.Sort(members)
	members = slices.Compact(members)
	locked, err := tx.lockedAccounts(ctx, members)
	if err != nil {
		return err
	}
	if len(locked) < len(members) {
		var missing []Account
		for _, m := range members {
			if locked[m] == nil {
				missing = append(missing, Account{MemberID: m})
			}
		}
		if _, err := tx.insert(ctx, &missing); err != nil {
			return fmt.Errorf("add accounts: %w", err)
		}
		if locked, err = tx.lockedAccounts(ctx, members); err != nil {
			return err
		}
	}
	if tx.accounts == nil {
		tx.accounts = locked
		return nil
	}
	for id, a := range locked {
		tx.accounts[id] = a
	}
	return nil
}

func (tx *Tx) lockedAccounts(ctx context.Context, members []int64) (map[int64]*Account, error) {
	var rows []Account
	err := tx.forUpdate(tx.books(ctx)).Where("member_id IN ?", members).Order("member_id").Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("lock accounts: %w", err)
	}
	locked := make(map[int64]*Account, len(rows))
	for i := range rows {
		locked[rows[i].MemberID] = &rows[i]
	}
	return locked, nil
}

// LockedBalance returns a member's balance and holds it against other
// transactions until this one ends.
func (tx *Tx) LockedBalance(ctx context.Context, member int64) (int64, error) {
	if a := tx.accounts[member]; a != nil {
		return a.Balance, nil
	}
	if err := tx.LockAccounts(ctx, []int64{member}); err != nil {
		return 0, err
	}
	return tx.accounts[member].Balance, nil
}

// AddEntry books e and moves the balance by its points. It returns the entry's
// id, or added == false and changes nothing if its key is booked already.
func (tx *Tx) AddEntry(ctx context.Context, e Entry) (id int64, added bool, err error) {
	if _, err := tx.LockedBalance(ctx, e.MemberID); err != nil {
		return 0, false, err
	}
	res, err := tx.exec(ctx, "INSERT INTO entries (`key`, member_id, mall_id, rule, points, note, at) VALUES (?, ?, ?, ?, ?, ?, ?)"+
		tx.unlessThere("id"), e.Key, e.MemberID, e.MallID, e.Rule, e.Points, e.Note, e.At)
	if err != nil {
		return 0, false, fmt.Errorf("add entry: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return 0, false, err
	}
	if id, err = res.LastInsertId(); err != nil {
		return 0, false, fmt.Errorf("add entry: %w", err)
	}
	tx.accounts[e.MemberID].Balance += e.Points
	if tx.moved == nil {
		tx.moved = map[int64]bool{}
	}
	tx.moved[e.MemberID] = true
	return id, true, nil
}

// AddLot stores the lot of an earning, at the latest when the transaction
// commits: many lots are written by one statement.
func (tx *Tx) AddLot(ctx context.Context, l Lot) error {
	tx.lots = append(tx.lots, l)
	return nil
}

// books is where lots and accounts are read: what was put off is written first.
// Should that fail, a statement made of it does nothing and returns the error.
func (tx *Tx) books(ctx context.Context) *gorm.DB {
	db := tx.db.WithContext(ctx)
	if err := tx.flush(ctx); err != nil {
		_ = db.AddError(err)
	}
	return db
}

// flush writes what AddEntry and AddLot have put off. The commit does too.
func (tx *Tx) flush(ctx context.Context) error {
	if len(tx.lots) > 0 {
		if err := tx.db.WithContext(ctx).Create(&tx.lots).Error; err != nil {
			return fmt.Errorf("add lots: %w", err)
		}
		tx.lots = nil
	}
	if len(tx.moved) > 0 {
		var rows []Account
		for m := range tx.moved {
			rows = append(rows, *tx.accounts[m])
		}
		slices.SortFunc(rows, func(a, b Account) int { return cmp.Compare(a.MemberID, b.MemberID) })
		if err := tx.db.WithContext(ctx).Clauses(clause.OnConflict{UpdateAll: true}).Create(&rows).Error; err != nil {
			return fmt.Errorf("move balances: %w", err)
		}
		tx.moved = nil
	}
	return nil
}

// OpenLots returns a member's lots that have points left, the next to expire first.
func (tx *Tx) OpenLots(ctx context.Context, member int64) ([]Lot, error) {
	var lots []Lot
	err := tx.books(ctx).Where("member_id = ? AND remaining > 0", member).Order("expires_at, id").Find(&lots).Error
	if err != nil {
		return nil, fmt.Errorf("list lots: %w", err)
	}
	return lots, nil
}

// UseLots takes points from lots for an entry: each use's points leave its lot.
func (tx *Tx) UseLots(ctx context.Context, uses []LotUse) error {
	if len(uses) == 0 {
		return nil
	}
	if err := tx.books(ctx).Create(&uses).Error; err != nil {
		return fmt.Errorf("note lot uses: %w", err)
	}
	for _, u := range uses {
		res := tx.db.WithContext(ctx).Model(&Lot{}).Where("id = ? AND remaining >= ?", u.LotID, u.Points).
			UpdateColumn("remaining", gorm.Expr("remaining - ?", u.Points))
		if res.Error != nil {
			return fmt.Errorf("use lot: %w", res.Error)
		}
		if res.RowsAffected == 0 {
			return fmt.Errorf("use lot %d: it does not hold %d points", u.LotID, u.Points)
		}
	}
	return nil
}

// EntryByKey returns the booking with this key, or ErrNotFound.
func (tx *Tx) EntryByKey(ctx context.Context, key string) (Entry, error) {
	var e Entry
	err := one(tx.db.WithContext(ctx).Where(map[string]any{"key": key}).Take(&e), "look up entry")
	return e, err
}

// EntriesOf returns a member's bookings, the newest first, at most limit,
// older than the entry before (0: from the newest).
func (tx *Tx) EntriesOf(ctx context.Context, member, before int64, limit int) ([]Entry, error) {
	q := tx.db.WithContext(ctx).Where("member_id = ?", member)
	if before > 0 {
		q = q.Where("id < ?", before)
	}
	var entries []Entry
	if err := q.Order("id DESC").Limit(limit).Find(&entries).Error; err != nil {
		return nil, fmt.Errorf("list entries: %w", err)
	}
	return entries, nil
}

// LotUsesOf returns what an entry took from which lots.
func (tx *Tx) LotUsesOf(ctx context.Context, entry int64) ([]LotUse, error) {
	var uses []LotUse
	if err := tx.db.WithContext(ctx).Where("entry_id = ?", entry).Order("lot_id").Find(&uses).Error; err != nil {
		return nil, fmt.Errorf("list lot uses: %w", err)
	}
	return uses, nil
}

// CountLotUses returns how many bookings used a lot.
func (tx *Tx) CountLotUses(ctx context.Context, lot int64) (int64, error) {
	var n int64
	if err := tx.books(ctx).Model(&LotUse{}).Where("lot_id = ?", lot).Count(&n).Error; err != nil {
		return 0, fmt.Errorf("count lot uses: %w", err)
	}
	return n, nil
}

// Balance returns a member's points that have not expired at t, booked or not.
func (tx *Tx) Balance(ctx context.Context, member int64, t time.Time) (int64, error) {
	var sum int64
	err := tx.books(ctx).Model(&Lot{}).Where("member_id = ? AND remaining > 0 AND expires_at > ?", member, t).
		Select("COALESCE(SUM(remaining), 0)").Scan(&sum).Error
	if err != nil {
		return 0, fmt.Errorf("sum lots: %w", err)
	}
	return sum, nil
}

// MembersWithExpiredLots returns members whose expiry at t is not booked yet,
// at most limit.
func (tx *Tx) MembersWithExpiredLots(ctx context.Context, t time.Time, limit int) ([]int64, error) {
	var members []int64
	err := tx.books(ctx).Model(&Lot{}).Distinct("member_id").
		Where("expires_at <= ? AND remaining > 0", t).Limit(limit).Pluck("member_id", &members).Error
	if err != nil {
		return nil, fmt.Errorf("find expired lots: %w", err)
	}
	return members, nil
}
