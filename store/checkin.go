package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// A CheckIn is one member's check-in on one local calendar day.
type CheckIn struct {
	MemberID int64 `gorm:"primaryKey;autoIncrement:false"`
	Day      Day   `gorm:"primaryKey;size:10;index"` // YYYY-MM-DD in the configured zone
	Streak   int   // consecutive days, this one included; at least 1
	GroupID  int64 // where it was said; 0 in a 1:1 chat
	RepairOn Day   `gorm:"size:10"` // the day on which it was bought back by 补签; empty for a real one
	At       time.Time
}

// AddCheckIn stores c and reports whether it is new: false means that the
// member has checked in that day already.
func (tx *Tx) AddCheckIn(ctx context.Context, c CheckIn) (bool, error) {
	res, err := tx.exec(ctx, "INSERT INTO check_ins (member_id, day, streak, group_id, repair_on, at) VALUES (?, ?, ?, ?, ?, ?)"+
		tx.unlessThere("member_id"), c.MemberID, c.Day, c.Streak, c.GroupID, c.RepairOn, c.At)
	if err != nil {
		return false, fmt.Errorf("add check-in: %w", err)
	}
	added, err := res.RowsAffected()
	return added == 1, err
}

// CheckInsFrom returns a member's check-ins on day and later, in order.
func (tx *Tx) CheckInsFrom(ctx context.Context, member int64, day Day) ([]CheckIn, error) {
	var list []CheckIn
	err := tx.query(ctx, func(rows *sql.Rows) error {
		var c CheckIn
		err := rows.Scan(&c.MemberID, &c.Day, &c.Streak, &c.GroupID, &c.RepairOn, &c.At)
		list = append(list, c)
		return err
	}, "SELECT member_id, day, streak, group_id, repair_on, at FROM check_ins WHERE member_id = ? AND day >= ? ORDER BY day", member, day)
	if err != nil {
		return nil, fmt.Errorf("list check-ins: %w", err)
	}
	return list, nil
}

// LastCheckIn returns a member's newest check-in, or ErrNotFound.
func (tx *Tx) LastCheckIn(ctx context.Context, member int64) (CheckIn, error) {
	var c CheckIn
	res := tx.db.WithContext(ctx).Where("member_id = ?", member).Order("day DESC").Limit(1).Take(&c)
	return c, one(res, "last check-in")
}

// LastRepair returns a member's newest check-in that 补签 bought, or ErrNotFound.
func (tx *Tx) LastRepair(ctx context.Context, member int64) (CheckIn, error) {
	var c CheckIn
	res := tx.db.WithContext(ctx).Where("member_id = ? AND repair_on <> ''", member).Order("day DESC").Limit(1).Take(&c)
	return c, one(res, "last repair")
}

// SetStreak changes the streak of one check-in.
func (tx *Tx) SetStreak(ctx context.Context, member int64, day Day, streak int) error {
	err := tx.db.WithContext(ctx).Model(&CheckIn{}).Where("member_id = ? AND day = ?", member, day).
		UpdateColumn("streak", streak).Error
	if err != nil {
		return fmt.Errorf("set streak: %w", err)
	}
	return nil
}

// CheckInsOn returns the check-ins of a day, the newest first, at most limit,
// of members with a number below before (0: all).
func (tx *Tx) CheckInsOn(ctx context.Context, day Day, before int64, limit int) ([]CheckIn, error) {
	q := tx.db.WithContext(ctx).Where("day = ?", day)
	if before > 0 {
		q = q.Where("member_id < ?", before)
	}
	var list []CheckIn
	if err := q.Order("member_id DESC").Limit(limit).Find(&list).Error; err != nil {
		return nil, fmt.Errorf("list check-ins: %w", err)
	}
	return list, nil
}

// A DayCount is how often something happened on a day.
type DayCount struct {
	Day   Day
	Count int64
}

// CheckInCounts returns how many members checked in on each day from first to
// last, days without any left out.
func (tx *Tx) CheckInCounts(ctx context.Context, first, last Day) ([]DayCount, error) {
	var counts []DayCount
	err := tx.db.WithContext(ctx).Model(&CheckIn{}).Select("day, COUNT(*) AS count").
		Where("day BETWEEN ? AND ?", first, last).Group("day").Order("day").Scan(&counts).Error
	if err != nil {
		return nil, fmt.Errorf("count check-ins: %w", err)
	}
	return counts, nil
}

// GroupsWithCheckIn returns the groups in which somebody has checked in for a
// day.
func (tx *Tx) GroupsWithCheckIn(ctx context.Context, day Day) (map[int64]bool, error) {
	var ids []int64
	err := tx.db.WithContext(ctx).Model(&CheckIn{}).Where("day = ?", day).Distinct("group_id").Pluck("group_id", &ids).Error
	if err != nil {
		return nil, fmt.Errorf("list groups with check-ins: %w", err)
	}
	groups := make(map[int64]bool, len(ids))
	for _, id := range ids {
		groups[id] = true
	}
	return groups, nil
}
