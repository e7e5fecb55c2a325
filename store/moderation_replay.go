package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// MessagesFrom returns the number of the first of the messages said at a time
// or later, of which at most newest are left, and how many there are. 0: there
// are none.
func (tx *Tx) MessagesFrom(ctx context.Context, since time.Time, newest int) (first, n int64, err error) {
	row := tx.db.Statement.ConnPool.QueryRowContext(ctx, "SELECT COALESCE(MIN(id), 0), COUNT(*) FROM messages WHERE sent_at >= ?", since.UTC())
	if err := row.Scan(&first, &n); err != nil {
		return 0, 0, fmt.Errorf("look up messages: %w", err)
	}
	if n <= int64(newest) {
		return first, n, nil
	}
	row = tx.db.Statement.ConnPool.QueryRowContext(ctx, "SELECT id FROM messages ORDER BY id DESC LIMIT 1 OFFSET ?", newest-1)
	if err := row.Scan(&first); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, 0, fmt.Errorf("look up messages: %w", err)
	}
	return first, n, nil
}

// MessagesFollowing returns messages from a number on that were said at a time
// or later, in their order. There may be many, so that they are read without
// reflection.
func (tx *Tx) MessagesFollowing(ctx context.Context, first int64, since time.Time, limit int) (list []Message, err error) {
	list = make([]Message, 0, limit)
	err = tx.query(ctx, func(rows *sql.Rows) error {
		var m Message
		err := rows.Scan(&m.ID, &m.Key, &m.GroupID, &m.MemberID, &m.Text, &m.SentAt)
		list = append(list, m)
		return err
	}, "SELECT id, "+tx.quoted("key")+", group_id, member_id, text, sent_at FROM messages WHERE id >= ? AND sent_at >= ? ORDER BY id LIMIT ?", first, since.UTC(), limit)
	if err != nil {
		return nil, fmt.Errorf("list messages: %w", err)
	}
	return list, nil
}

// StruckMembers returns the members with a strike that counts after a time.
func (tx *Tx) StruckMembers(ctx context.Context, after time.Time) (map[int64]bool, error) {
	var ids []int64
	err := tx.db.WithContext(ctx).Model(&Strike{}).Distinct("member_id").Where("at > ? AND undone_at IS NULL", after.UTC()).Pluck("member_id", &ids).Error
	if err != nil {
		return nil, fmt.Errorf("list members with strikes: %w", err)
	}
	struck := make(map[int64]bool, len(ids))
	for _, id := range ids {
		struck[id] = true
	}
	return struck, nil
}

// MembersKnown returns since when members are known; those who were erased are
// left out.
func (tx *Tx) MembersKnown(ctx context.Context, ids []int64) (map[int64]time.Time, error) {
	var rows []Member
	if err := tx.db.WithContext(ctx).Where("id IN ?", ids).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("look up members: %w", err)
	}
	known := make(map[int64]time.Time, len(rows))
	for _, m := range rows {
		known[m.ID] = m.CreatedAt
	}
	return known, nil
}
