package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"
)

// KeywordKind says how a keyword is compared with what was said.
type KeywordKind string

// The kinds of keyword rules.
const (
	KeywordExact    KeywordKind = "exact"    // the whole message
	KeywordContains KeywordKind = "contains" // a part of it
	KeywordRegexp   KeywordKind = "regexp"   // an RE2 expression
)

// A KeywordRule answers messages with replies in rotation. No two rules of a
// group have the same kind and folded pattern.
type KeywordRule struct {
	ID              int64
	GroupID         int64       `gorm:"uniqueIndex:keyword_rules_word,priority:2"` // 0: every group, and 1:1 chats
	Kind            KeywordKind `gorm:"size:16;uniqueIndex:keyword_rules_word,priority:3"`
	Folded          string      `gorm:"size:200;uniqueIndex:keyword_rules_word,priority:1"` // Pattern as it is compared
	Pattern         string      `gorm:"size:200"`                                           // as it was written
	Priority        int         // the higher, the earlier it is asked
	Replies         []string    `gorm:"serializer:json"`
	CooldownSeconds int         // how long it keeps silent in a group where it answered
	FromMinute      int         // of the day, from which it answers
	ToMinute        int         // of the day, until which it does; before FromMinute: over midnight; the same: all day
	Enabled         bool
	Hits            int64      // messages it answered; Hits modulo len(Replies) is its next reply
	LastHitAt       *time.Time // nil: never
	CreatedAt       time.Time
}

// keywordCooldown says when a rule answered in a group.
type keywordCooldown struct {
	RuleID     int64 `gorm:"primaryKey;autoIncrement:false"`
	GroupID    int64 `gorm:"primaryKey;autoIncrement:false"`
	AnsweredAt time.Time
}

// keywordVersion is the setting that changes with the rules.
const keywordVersion = "keyword.version"

// KeywordVersion names the state of the rules: it is another one after every
// change but those of hits. Empty: they were never changed.
func (tx *Tx) KeywordVersion(ctx context.Context) (version string, err error) {
	err = tx.Setting(ctx, keywordVersion, &version)
	return version, err
}

// keywordsChanged gives the rules another version. It is random and not
// counted up: a version that was rolled back must never come again with other
// rules. On MySQL it also makes changes wait for each other.
func (tx *Tx) keywordsChanged(ctx context.Context) error {
	return tx.SetSetting(ctx, keywordVersion, rand.Text())
}

// AddKeywordRule stores r and returns it with its number, or ErrExists if its
// group has such a rule.
func (tx *Tx) AddKeywordRule(ctx context.Context, r KeywordRule) (KeywordRule, error) {
	if err := tx.keywordsChanged(ctx); err != nil {
		return r, err
	}
	r.ID, r.Hits, r.LastHitAt = 0, 0, nil
	added, err := tx.insert(ctx, &r)
	if err != nil {
		return r, fmt.Errorf("add keyword rule: %w", err)
	}
	if added == 0 {
		return r, fmt.Errorf("add keyword rule: %w", ErrExists)
	}
	return r, nil
}

// SetKeywordRule changes everything of a rule but its hits and when it was
// made. It returns ErrExists if its group has another such rule.
func (tx *Tx) SetKeywordRule(ctx context.Context, r KeywordRule) error {
	if err := tx.keywordsChanged(ctx); err != nil {
		return err
	}
	err := tx.db.WithContext(ctx).Model(&KeywordRule{}).Where("id = ?", r.ID).
		Select("group_id", "kind", "folded", "pattern", "priority", "replies", "cooldown_seconds", "from_minute", "to_minute", "enabled").
		UpdateColumns(&r).Error
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		err = ErrExists
	}
	if err != nil {
		return fmt.Errorf("set keyword rule: %w", err)
	}
	return nil
}

// SetKeywordsEnabled turns rules on or off.
func (tx *Tx) SetKeywordsEnabled(ctx context.Context, ids []int64, enabled bool) error {
	if err := tx.keywordsChanged(ctx); err != nil {
		return err
	}
	err := tx.db.WithContext(ctx).Model(&KeywordRule{}).Where("id IN ?", ids).UpdateColumn("enabled", enabled).Error
	if err != nil {
		return fmt.Errorf("turn keyword rules on or off: %w", err)
	}
	return nil
}

// DeleteKeywordRules deletes rules and their cool-downs, and returns how many
// there were.
func (tx *Tx) DeleteKeywordRules(ctx context.Context, ids []int64) (int64, error) {
	if err := tx.keywordsChanged(ctx); err != nil {
		return 0, err
	}
	if err := tx.db.WithContext(ctx).Where("rule_id IN ?", ids).Delete(&keywordCooldown{}).Error; err != nil {
		return 0, fmt.Errorf("delete cool-downs: %w", err)
	}
	res := tx.db.WithContext(ctx).Where("id IN ?", ids).Delete(&KeywordRule{})
	if res.Error != nil {
		return 0, fmt.Errorf("delete keyword rules: %w", res.Error)
	}
	return res.RowsAffected, nil
}

// KeywordRule returns one rule, or ErrNotFound.
func (tx *Tx) KeywordRule(ctx context.Context, id int64) (KeywordRule, error) {
	var r KeywordRule
	err := one(tx.db.WithContext(ctx).Take(&r, id), "look up keyword rule")
	return r, err
}

// EnabledKeywordRules returns the rules that are turned on, by number.
func (tx *Tx) EnabledKeywordRules(ctx context.Context) ([]KeywordRule, error) {
	var rules []KeywordRule
	if err := tx.db.WithContext(ctx).Where("enabled").Order("id").Find(&rules).Error; err != nil {
		return nil, fmt.Errorf("list keyword rules: %w", err)
	}
	return rules, nil
}

// KeywordRulesOf returns the rules of any kind whose folded pattern is one of
// these, by number, at most limit. groups narrows them to those of some groups.
func (tx *Tx) KeywordRulesOf(ctx context.Context, folded []string, limit int, groups ...int64) ([]KeywordRule, error) {
	q := tx.db.WithContext(ctx).Where("folded IN ?", folded)
	if len(groups) > 0 {
		q = q.Where("group_id IN ?", groups)
	}
	var rules []KeywordRule
	if err := q.Order("id").Limit(limit).Find(&rules).Error; err != nil {
		return nil, fmt.Errorf("look up keyword rules: %w", err)
	}
	return rules, nil
}

// A KeywordFilter narrows KeywordRules. Zero fields do not narrow.
type KeywordFilter struct {
	Search  string // a part of the pattern or of the replies
	Kind    KeywordKind
	GroupID *int64 // 0: the rules of every group
	Enabled *bool
	Before  int64 // only rules with a smaller number
	Limit   int
}

func (tx *Tx) keywordRules(ctx context.Context, f KeywordFilter) *gorm.DB {
	q := tx.db.WithContext(ctx).Model(&KeywordRule{})
	if f.Search != "" {
		part := "%" + likeEscaper.Replace(strings.ToLower(f.Search)) + "%"
		q = q.Where("LOWER(folded) LIKE ? ESCAPE '!' OR LOWER(pattern) LIKE ? ESCAPE '!' OR LOWER(replies) LIKE ? ESCAPE '!'", part, part, part)
	}
	if f.Kind != "" {
		q = q.Where("kind = ?", f.Kind)
	}
	if f.GroupID != nil {
		q = q.Where("group_id = ?", *f.GroupID)
	}
	if f.Enabled != nil {
		q = q.Where("enabled = ?", *f.Enabled)
	}
	return q
}

// KeywordRules returns rules, the newest first.
func (tx *Tx) KeywordRules(ctx context.Context, f KeywordFilter) ([]KeywordRule, error) {
	q := tx.keywordRules(ctx, f)
	if f.Before > 0 {
		q = q.Where("id < ?", f.Before)
	}
	var rules []KeywordRule
	if err := q.Order("id DESC").Limit(f.Limit).Find(&rules).Error; err != nil {
		return nil, fmt.Errorf("list keyword rules: %w", err)
	}
	return rules, nil
}

// CountKeywordRules returns how many rules there are; Before and Limit do not
// count.
func (tx *Tx) CountKeywordRules(ctx context.Context, f KeywordFilter) (n int64, err error) {
	if err := tx.keywordRules(ctx, f).Count(&n).Error; err != nil {
		return 0, fmt.Errorf("count keyword rules: %w", err)
	}
	return n, nil
}

// HitKeyword counts a message that a rule answers and returns how many it
// answered before. It returns ErrNotFound if the rule is gone.
func (tx *Tx) HitKeyword(ctx context.Context, id int64, at time.Time) (before int64, err error) {
	res := tx.db.WithContext(ctx).Model(&KeywordRule{}).Where("id = ?", id).
		UpdateColumns(map[string]any{"hits": gorm.Expr("hits + 1"), "last_hit_at": at})
	if res.Error != nil {
		return 0, fmt.Errorf("count keyword hit: %w", res.Error)
	}
	var r KeywordRule
	if err := one(tx.db.WithContext(ctx).Select("hits").Take(&r, id), "count keyword hit"); err != nil {
		return 0, err
	}
	return r.Hits - 1, nil
}

// ClaimKeyword notes that a rule answers in a group at the given time, and
// reports true, unless it did less than cooldown before, or later: then it
// reports when that was.
func (tx *Tx) ClaimKeyword(ctx context.Context, rule, group int64, at time.Time, cooldown time.Duration) (bool, time.Time, error) {
	fail := func(err error) (bool, time.Time, error) {
		return false, time.Time{}, fmt.Errorf("claim cool-down: %w", err)
	}
	added, err := tx.insert(ctx, &keywordCooldown{RuleID: rule, GroupID: group, AnsweredAt: at})
	if err != nil {
		return fail(err)
	}
	if added == 1 {
		return true, at, nil
	}
	res := tx.db.WithContext(ctx).Model(&keywordCooldown{}).
		Where("rule_id = ? AND group_id = ? AND answered_at <= ?", rule, group, at.Add(-cooldown)).
		UpdateColumn("answered_at", at)
	if res.Error != nil {
		return fail(res.Error)
	}
	if res.RowsAffected == 1 {
		return true, at, nil
	}
	last, err := tx.KeywordAnsweredAt(ctx, rule, group)
	return false, last, err
}

// KeywordAnsweredAt returns when a rule that has a cool-down last answered in a
// group, or ErrNotFound.
func (tx *Tx) KeywordAnsweredAt(ctx context.Context, rule, group int64) (time.Time, error) {
	var last keywordCooldown
	res := tx.db.WithContext(ctx).Where("rule_id = ? AND group_id = ?", rule, group).Take(&last)
	return last.AnsweredAt, one(res, "look up cool-down")
}
