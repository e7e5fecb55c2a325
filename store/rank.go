package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// A Rank is a member's place in a list, the first having the largest Value.
type Rank struct {
	MemberID int64
	Value    int64
}

// A Circle is whom a ranking compares: a group's members, a mall's, or, with
// zero fields, everybody.
type Circle struct {
	GroupID, MallID int64
}

// within narrows a query to the members of a circle.
func (tx *Tx) within(q *gorm.DB, c Circle) *gorm.DB {
	members := tx.db.Model(&GroupMember{}).Select("member_id")
	switch {
	case c.GroupID != 0:
		return q.Where("member_id IN (?)", members.Where("group_id = ?", c.GroupID))
	case c.MallID != 0:
		groups := tx.db.Model(&Group{}).Select("id").Where("mall_id = ?", c.MallID)
		return q.Where("member_id IN (?)", members.Where("group_id IN (?)", groups))
	}
	return q
}

// RankBalances returns the members with the most points.
func (tx *Tx) RankBalances(ctx context.Context, c Circle, limit int) ([]Rank, error) {
	var list []Rank
	q := tx.within(tx.books(ctx).Model(&Account{}), c).Select("member_id, balance AS value").Where("balance > 0")
	if err := q.Order("value DESC, member_id").Limit(limit).Scan(&list).Error; err != nil {
		return nil, fmt.Errorf("rank balances: %w", err)
	}
	return list, nil
}

// RankStreaks returns the members with the longest streaks that hold on today:
// with a check-in today or yesterday.
func (tx *Tx) RankStreaks(ctx context.Context, c Circle, today Day, limit int) ([]Rank, error) {
	var list []Rank
	q := tx.within(tx.db.WithContext(ctx).Model(&CheckIn{}), c).Select("member_id, MAX(streak) AS value").
		Where("day IN ?", []Day{today, today.Add(-1)}).Group("member_id")
	if err := q.Order("value DESC, member_id").Limit(limit).Scan(&list).Error; err != nil {
		return nil, fmt.Errorf("rank streaks: %w", err)
	}
	return list, nil
}

// RankEarned returns the members who earned the most points since a time.
func (tx *Tx) RankEarned(ctx context.Context, c Circle, since time.Time, limit int) ([]Rank, error) {
	var list []Rank
	q := tx.within(tx.db.WithContext(ctx).Model(&Entry{}), c).Select("member_id, SUM(points) AS value").
		Where("at >= ? AND points > 0", since).Group("member_id")
	if err := q.Order("value DESC, member_id").Limit(limit).Scan(&list).Error; err != nil {
		return nil, fmt.Errorf("rank earnings: %w", err)
	}
	return list, nil
}
