package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// AnswerRequest stores what a request was answered whose key was claimed with
// AddRequest in the same transaction.
func (tx *Tx) AnswerRequest(ctx context.Context, r Request) error {
	err := tx.db.WithContext(ctx).Model(&Request{}).Where(map[string]any{"key": r.Key}).
		UpdateColumns(map[string]any{"status": r.Status, "content_type": r.ContentType, "body": r.Body}).Error
	if err != nil {
		return fmt.Errorf("answer request: %w", err)
	}
	return nil
}

// A GroupRow is a group as lists show it.
type GroupRow struct {
	Group
	Mall    string // the mall's name, empty if the group has none
	Members int64  // how many were seen in it
}

// GroupRows returns groups in the order of their ids, behind the id after
// (0: from the first), at most limit.
func (tx *Tx) GroupRows(ctx context.Context, after int64, limit int) ([]GroupRow, error) {
	var groups []Group
	err := tx.db.WithContext(ctx).Where("id > ?", after).Order("id").Limit(limit).Find(&groups).Error
	if err != nil {
		return nil, fmt.Errorf("list groups: %w", err)
	}
	return tx.groupRows(ctx, groups)
}

// groupRows adds malls and numbers of members to groups.
func (tx *Tx) groupRows(ctx context.Context, groups []Group) ([]GroupRow, error) {
	malls, err := tx.Malls(ctx)
	if err != nil {
		return nil, err
	}
	names := make(map[int64]string, len(malls))
	for _, m := range malls {
		names[m.ID] = m.Name
	}
	ids := make([]int64, len(groups))
	for i, g := range groups {
		ids[i] = g.ID
	}
	var counts []struct{ GroupID, Members int64 }
	err = tx.db.WithContext(ctx).Model(&GroupMember{}).Select("group_id, COUNT(*) AS members").
		Where("group_id IN ?", ids).Group("group_id").Scan(&counts).Error
	if err != nil {
		return nil, fmt.Errorf("count group members: %w", err)
	}
	members := make(map[int64]int64, len(counts))
	for _, c := range counts {
		members[c.GroupID] = c.Members
	}
	rows := make([]GroupRow, len(groups))
	for i, g := range groups {
		rows[i] = GroupRow{Group: g, Mall: names[g.MallID], Members: members[g.ID]}
	}
	return rows, nil
}

// GroupNames returns the names of groups; unknown ones are left out.
func (tx *Tx) GroupNames(ctx context.Context, groups []int64) (map[int64]string, error) {
	var rows []Group
	if err := tx.db.WithContext(ctx).Select("id, name").Where("id IN ?", groups).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("look up group names: %w", err)
	}
	names := make(map[int64]string, len(rows))
	for _, g := range rows {
		names[g.ID] = g.Name
	}
	return names, nil
}

// SetGroup changes a group's name and mall.
func (tx *Tx) SetGroup(ctx context.Context, id int64, name string, mall int64) error {
	err := tx.db.WithContext(ctx).Model(&Group{}).Where("id = ?", id).
		UpdateColumns(map[string]any{"name": name, "mall_id": mall}).Error
	if err != nil {
		return fmt.Errorf("set group: %w", err)
	}
	return nil
}

// GroupsOf returns the groups in which a member was seen, the newest first, at
// most limit.
func (tx *Tx) GroupsOf(ctx context.Context, member int64, limit int) ([]Group, error) {
	seen := tx.db.WithContext(ctx).Model(&GroupMember{}).Select("group_id").Where("member_id = ?", member)
	var groups []Group
	if err := tx.db.WithContext(ctx).Where("id IN (?)", seen).Order("id DESC").Limit(limit).Find(&groups).Error; err != nil {
		return nil, fmt.Errorf("list a member's groups: %w", err)
	}
	return groups, nil
}

// Balances returns the points of members, without locking them; who has no
// account is left out.
func (tx *Tx) Balances(ctx context.Context, members []int64) (map[int64]int64, error) {
	var rows []Account
	if err := tx.books(ctx).Where("member_id IN ?", members).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("look up balances: %w", err)
	}
	balances := make(map[int64]int64, len(rows))
	for _, a := range rows {
		balances[a.MemberID] = a.Balance
	}
	return balances, nil
}

// Streaks returns how many days in a row members have checked in by today: a
// streak that yesterday ended still counts. Who has none is left out.
func (tx *Tx) Streaks(ctx context.Context, members []int64, today Day) (map[int64]int, error) {
	var rows []CheckIn
	err := tx.db.WithContext(ctx).Select("member_id, day, streak").
		Where("member_id IN ? AND day BETWEEN ? AND ?", members, today.Add(-1), today).Order("day").Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("look up streaks: %w", err)
	}
	streaks := make(map[int64]int, len(rows))
	for _, c := range rows {
		streaks[c.MemberID] = c.Streak // today's comes after yesterday's
	}
	return streaks, nil
}

// A MemberRow is a member as lists show them.
type MemberRow struct {
	Member
	Name    string // empty if unknown
	Balance int64  // points
	Streak  int    // days in a row by the day that was asked for
}

// A MemberFilter narrows MemberRows. Zero fields do not narrow.
type MemberFilter struct {
	Search string // a member number, or a part of a name
	Before int64  // only members with a smaller number
	Limit  int
}

// MemberRows returns members with what lists show of them, the newest first.
func (tx *Tx) MemberRows(ctx context.Context, f MemberFilter, today Day) ([]MemberRow, error) {
	q := tx.db.WithContext(ctx)
	if f.Before > 0 {
		q = q.Where("members.id < ?", f.Before)
	}
	if f.Search != "" {
		number, _ := strconv.ParseInt(f.Search, 10, 64) // no number matches no member
		q = q.Joins("LEFT JOIN people ON people.member_id = members.id").
			Where("members.id = ? OR LOWER(people.name) LIKE LOWER(?) ESCAPE '!'", number, "%"+likeEscaper.Replace(f.Search)+"%")
	}
	var members []Member
	if err := q.Order("members.id DESC").Limit(f.Limit).Find(&members).Error; err != nil {
		return nil, fmt.Errorf("list members: %w", err)
	}
	return tx.memberRows(ctx, members, today)
}

var likeEscaper = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

// MemberRow returns one member as lists show them, or ErrNotFound.
func (tx *Tx) MemberRow(ctx context.Context, id int64, today Day) (MemberRow, error) {
	m, err := tx.Member(ctx, id)
	if err != nil {
		return MemberRow{}, err
	}
	rows, err := tx.memberRows(ctx, []Member{m}, today)
	if err != nil {
		return MemberRow{}, err
	}
	return rows[0], nil
}

// memberRows adds names, points and streaks to members.
func (tx *Tx) memberRows(ctx context.Context, members []Member, today Day) ([]MemberRow, error) {
	ids := make([]int64, len(members))
	for i, m := range members {
		ids[i] = m.ID
	}
	names, err := tx.Names(ctx, ids)
	if err != nil {
		return nil, err
	}
	balances, err := tx.Balances(ctx, ids)
	if err != nil {
		return nil, err
	}
	streaks, err := tx.Streaks(ctx, ids, today)
	if err != nil {
		return nil, err
	}
	rows := make([]MemberRow, len(members))
	for i, m := range members {
		rows[i] = MemberRow{Member: m, Name: names[m.ID], Balance: balances[m.ID], Streak: streaks[m.ID]}
	}
	return rows, nil
}

// OutcomeCounts returns what became of the messages that were decided from
// first until, and without, end.
func (tx *Tx) OutcomeCounts(ctx context.Context, first, end time.Time) (map[Outcome]int64, error) {
	var rows []struct {
		Outcome Outcome
		Count   int64
	}
	err := tx.db.WithContext(ctx).Model(&Decision{}).Select("outcome, COUNT(*) AS count").
		Where(tx.quoted("at")+" >= ? AND "+tx.quoted("at")+" < ?", first, end).Group("outcome").Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("count decisions: %w", err)
	}
	counts := make(map[Outcome]int64, len(rows))
	for _, r := range rows {
		counts[r.Outcome] = r.Count
	}
	return counts, nil
}

// Sizes says how much there is of everything.
type Sizes struct{ Members, Groups int64 }

// Sizes counts members and groups.
func (tx *Tx) Sizes(ctx context.Context) (s Sizes, err error) {
	if err := tx.db.WithContext(ctx).Model(&Member{}).Count(&s.Members).Error; err != nil {
		return s, fmt.Errorf("count members: %w", err)
	}
	if err := tx.db.WithContext(ctx).Model(&Group{}).Count(&s.Groups).Error; err != nil {
		return s, fmt.Errorf("count groups: %w", err)
	}
	return s, nil
}
