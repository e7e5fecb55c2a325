package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"
)

// HitReview is what an operator thinks of a hit.
type HitReview string

// The reviews.
const (
	NotReviewed HitReview = ""
	HitRight    HitReview = "right"   // the rule was right
	HitWrong    HitReview = "wrong"   // it was not
	HitAllowed  HitReview = "allowed" // it was not, and the phrase is allowed from now on
	HitRaised   HitReview = "raised"  // it should have been taken more seriously
)

// DryHit is the action of a hit by a rule on trial: nothing was done.
const DryHit = "dry"

// A ModerationHit is a message that met a rule of moderation. A message meets
// a rule once, however often it is delivered. What was said stays in Message.
type ModerationHit struct {
	ID         int64
	Key        string    `gorm:"size:160;uniqueIndex:moderation_hits_key,priority:1"` // as in Message and Decision
	RuleID     int64     `gorm:"uniqueIndex:moderation_hits_key,priority:2;index"`
	MemberID   int64     `gorm:"index"`
	GroupID    int64     // 0 in a 1:1 chat
	Word       string    `gorm:"size:200"` // as it is listed; empty: the rule looks for no word
	Category   string    `gorm:"size:40"`
	Level      WordLevel `gorm:"size:16"`
	How        string    `gorm:"size:80"`           // how the word was disguised, or what else met the rule
	Start      int       `gorm:"column:start_byte"` // of what met the rule in the text, in bytes
	End        int       `gorm:"column:end_byte"`   // the byte after it; Start where the whole text did
	Action     string    `gorm:"size:40"`           // what was done, names joined by "+" such as "warn+deduct"; DryHit: nothing
	StrikeID   int64     // 0: it is no strike
	At         time.Time `gorm:"index"` // when it was said
	Review     HitReview `gorm:"size:16;index"`
	ReviewedBy int64     // operator
	ReviewedAt *time.Time
}

// AddHits stores hits; of a message that met a rule already, the first stays.
func (tx *Tx) AddHits(ctx context.Context, hits []ModerationHit) error {
	for part := range slices.Chunk(slices.Clone(hits), 500) {
		for i := range part {
			part[i].At = part[i].At.UTC()
		}
		if _, err := tx.insert(ctx, &part); err != nil {
			return fmt.Errorf("add hits of moderation rules: %w", err)
		}
	}
	return nil
}

// A HitFilter narrows HitRows. Zero fields do not narrow.
type HitFilter struct {
	ID       int64
	Key      string
	RuleID   int64
	MemberID int64
	GroupID  int64
	StrikeID int64
	Review   *HitReview
	Reviewed bool      // only those that somebody has looked at
	Dry      *bool     // only hits by rules on trial, or only the others
	Since    time.Time // said at this time or later
	Before   int64     // only hits with a smaller number
	Limit    int
}

// A HitRow is a hit with what was said.
type HitRow struct {
	ModerationHit
	Text string // empty after the retention of messages
}

func (tx *Tx) hits(ctx context.Context, f HitFilter) *gorm.DB {
	where := map[string]any{}
	for column, id := range map[string]int64{"id": f.ID, "rule_id": f.RuleID, "member_id": f.MemberID, "group_id": f.GroupID, "strike_id": f.StrikeID} {
		if id != 0 {
			where["moderation_hits."+column] = id
		}
	}
	if f.Key != "" {
		where["moderation_hits.key"] = f.Key
	}
	if f.Review != nil {
		where["moderation_hits.review"] = *f.Review
	}
	q := tx.db.WithContext(ctx).Model(&ModerationHit{}).Where(where)
	if f.Reviewed {
		q = q.Where("moderation_hits.review <> ''")
	}
	if f.Dry != nil {
		compare := "<>"
		if *f.Dry {
			compare = "="
		}
		q = q.Where("moderation_hits.action "+compare+" ?", DryHit)
	}
	if !f.Since.IsZero() {
		q = q.Where("moderation_hits.at >= ?", f.Since.UTC())
	}
	return q
}

// HitRows returns hits, the newest first.
func (tx *Tx) HitRows(ctx context.Context, f HitFilter) ([]HitRow, error) {
	q := tx.hits(ctx, f).Joins("LEFT JOIN messages ON messages." + tx.quoted("key") + " = moderation_hits." + tx.quoted("key")).
		Select("moderation_hits.*, COALESCE(messages.text, '') AS text")
	if f.Before > 0 {
		q = q.Where("moderation_hits.id < ?", f.Before)
	}
	var list []HitRow
	if err := q.Order("moderation_hits.id DESC").Limit(f.Limit).Scan(&list).Error; err != nil {
		return nil, fmt.Errorf("list hits of moderation rules: %w", err)
	}
	return list, nil
}

// CountHits returns how many hits there are; Before and Limit do not count.
func (tx *Tx) CountHits(ctx context.Context, f HitFilter) (n int64, err error) {
	if err := tx.hits(ctx, f).Count(&n).Error; err != nil {
		return 0, fmt.Errorf("count hits of moderation rules: %w", err)
	}
	return n, nil
}

// SetHitReview stores what an operator thinks of a hit, in place of what was
// thought before. It reports false if somebody else has changed that since:
// from is not its review any more.
func (tx *Tx) SetHitReview(ctx context.Context, id int64, from, to HitReview, operator int64, at time.Time) (bool, error) {
	change := map[string]any{"review": to, "reviewed_by": operator, "reviewed_at": at.UTC()}
	if to == NotReviewed {
		change["reviewed_by"], change["reviewed_at"] = 0, nil
	}
	res := tx.db.WithContext(ctx).Model(&ModerationHit{}).Where(map[string]any{"id": id, "review": from}).UpdateColumns(change)
	if res.Error != nil {
		return false, fmt.Errorf("review a hit: %w", res.Error)
	}
	return res.RowsAffected == 1, nil
}

// A HitCount is how many hits of a rule have a review.
type HitCount struct {
	RuleID int64
	Review HitReview
	Dry    bool // while the rule was on trial
	N      int64
}

// HitCounts counts the hits since a time by rule and review.
func (tx *Tx) HitCounts(ctx context.Context, since time.Time) ([]HitCount, error) {
	var list []HitCount
	err := tx.db.WithContext(ctx).Model(&ModerationHit{}).
		Select("rule_id, review, "+tx.quoted("action")+" = ? AS dry, COUNT(*) AS n", DryHit).
		Where("at >= ?", since.UTC()).Group("rule_id, review, dry").Order("rule_id, review, dry").Scan(&list).Error
	if err != nil {
		return nil, fmt.Errorf("count hits by review: %w", err)
	}
	return list, nil
}

// EraseHits deletes a member's hits.
func (tx *Tx) EraseHits(ctx context.Context, member int64) error {
	if err := tx.db.WithContext(ctx).Where("member_id = ?", member).Delete(&ModerationHit{}).Error; err != nil {
		return fmt.Errorf("erase hits: %w", err)
	}
	return nil
}
