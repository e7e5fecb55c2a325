package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// A WordReview is the monthly look at the list of sensitive words: a task with
// a record. The counts are those of when it was done.
type WordReview struct {
	Month     string `gorm:"primaryKey;size:7"` // YYYY-MM
	DueOn     Day    `gorm:"size:10"`           // done after this day, it was late
	CreatedAt time.Time
	DoneBy    int64      // operator
	DoneAt    *time.Time // nil: it is to be done
	Note      string     `gorm:"size:500"`
	Words     int64      // on the list
	Added     int64      // since the review before
	Unused    int64      // that were not met
	Weak      int64      // that were wrong too often
	Broad     int64      // that may be found in ordinary sentences
}

// AddWordReview stores r unless its month has one, and reports whether it is
// new.
func (tx *Tx) AddWordReview(ctx context.Context, r WordReview) (bool, error) {
	r.CreatedAt = moment(r.CreatedAt)
	n, err := tx.insert(ctx, &r)
	if err != nil {
		return false, fmt.Errorf("add word review: %w", err)
	}
	return n == 1, nil
}

// WordReview returns a month's review, or ErrNotFound.
func (tx *Tx) WordReview(ctx context.Context, month string) (WordReview, error) {
	var r WordReview
	err := one(tx.db.WithContext(ctx).Where("month = ?", month).Take(&r), "look up word review")
	return r, err
}

// WordReviews returns reviews, the newest month first.
func (tx *Tx) WordReviews(ctx context.Context, limit int) ([]WordReview, error) {
	var list []WordReview
	if err := tx.db.WithContext(ctx).Order("month DESC").Limit(limit).Find(&list).Error; err != nil {
		return nil, fmt.Errorf("list word reviews: %w", err)
	}
	return list, nil
}

// FinishWordReview ticks a month's review off, with the counts and the note of
// r. It reports false if that was done already.
func (tx *Tx) FinishWordReview(ctx context.Context, r WordReview) (bool, error) {
	r.DoneAt = momentOrNil(r.DoneAt)
	res := tx.db.WithContext(ctx).Model(&WordReview{}).Where("month = ? AND done_at IS NULL", r.Month).
		Select("done_by", "done_at", "note", "words", "added", "unused", "weak", "broad").UpdateColumns(&r)
	if res.Error != nil {
		return false, fmt.Errorf("finish word review: %w", res.Error)
	}
	return res.RowsAffected == 1, nil
}

// A WordHits is how many hits of a word have a review, of live rules.
type WordHits struct {
	Word   string
	Review HitReview
	N      int64
}

// WordHits counts the hits of live rules since a time by word and review.
func (tx *Tx) WordHits(ctx context.Context, since time.Time) ([]WordHits, error) {
	var list []WordHits
	err := tx.db.WithContext(ctx).Model(&ModerationHit{}).Select("word, review, COUNT(*) AS n").
		Where("at >= ? AND word <> ''", since.UTC()).Not(map[string]any{"action": DryHit}).
		Group("word, review").Order("word, review").Scan(&list).Error
	if err != nil {
		return nil, fmt.Errorf("count hits by word: %w", err)
	}
	return list, nil
}

// WordsSince returns the words, but for allowed phrases, that were added at a
// time or later, the newest first, and how many there are.
func (tx *Tx) WordsSince(ctx context.Context, since time.Time, limit int) (list []SensitiveWord, n int64, err error) {
	return tx.someWords(ctx, limit, "created_at >= ?", since.UTC())
}

// UnusedWords returns the words, but for allowed phrases, that are older than
// a time and were not met since then, the newest first, and how many there are.
func (tx *Tx) UnusedWords(ctx context.Context, since time.Time, limit int) (list []SensitiveWord, n int64, err error) {
	met := tx.db.WithContext(ctx).Model(&ModerationHit{}).Distinct("word").Where("at >= ?", since.UTC())
	return tx.someWords(ctx, limit, "created_at < ? AND text NOT IN (?)", since.UTC(), met)
}

func (tx *Tx) someWords(ctx context.Context, limit int, where string, args ...any) (list []SensitiveWord, n int64, err error) {
	words := tx.db.WithContext(ctx).Model(&SensitiveWord{}).Where(map[string]any{"allow": false}).Where(where, args...)
	if err := words.Session(&gorm.Session{}).Count(&n).Error; err != nil {
		return nil, 0, fmt.Errorf("count words to review: %w", err)
	}
	if err := words.Session(&gorm.Session{}).Order("id DESC").Limit(limit).Find(&list).Error; err != nil {
		return nil, 0, fmt.Errorf("list words to review: %w", err)
	}
	return list, n, nil
}

// MessagesAround returns the messages of a group (0: of a member's 1:1 chat)
// around one, as far as they are kept: at most n before it, the message
// itself, and n after it, the oldest first.
func (tx *Tx) MessagesAround(ctx context.Context, m Message, n int) ([]Message, error) {
	where := map[string]any{"group_id": m.GroupID}
	if m.GroupID == 0 {
		where["member_id"] = m.MemberID
	}
	var before, after []Message
	db := tx.db.WithContext(ctx)
	err := db.Where(where).Where("sent_at < ? OR (sent_at = ? AND id <= ?)", m.SentAt, m.SentAt, m.ID).
		Order("sent_at DESC, id DESC").Limit(n + 1).Find(&before).Error
	if err != nil {
		return nil, fmt.Errorf("list messages around one: %w", err)
	}
	err = db.Where(where).Where("sent_at > ? OR (sent_at = ? AND id > ?)", m.SentAt, m.SentAt, m.ID).
		Order("sent_at, id").Limit(n).Find(&after).Error
	if err != nil {
		return nil, fmt.Errorf("list messages around one: %w", err)
	}
	list := make([]Message, 0, len(before)+len(after))
	for i := len(before) - 1; i >= 0; i-- {
		list = append(list, before[i])
	}
	return append(list, after...), nil
}

// MessageByKey returns one message, or ErrNotFound where it is not kept.
func (tx *Tx) MessageByKey(ctx context.Context, key string) (Message, error) {
	var m Message
	err := one(tx.db.WithContext(ctx).Where(map[string]any{"key": key}).Take(&m), "look up message")
	return m, err
}
