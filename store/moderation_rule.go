package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"
)

// RuleState says whether a moderation rule works.
type RuleState string

// The states.
const (
	RuleOff RuleState = "off"
	RuleDry RuleState = "dry" // on trial: its hits are noted, and nothing else is done
	RuleOn  RuleState = "on"
)

// A ModerationRule says which messages are not welcome and what becomes of
// them. What it says is the feature's business; see Spec.
type ModerationRule struct {
	ID        int64
	Name      string    `gorm:"size:80"`
	State     RuleState `gorm:"size:16"`
	Spec      string    // trigger, conditions and ladder, JSON
	CreatedBy int64     // operator; 0: the program
	CreatedAt time.Time
	UpdatedAt time.Time
}

// ModerationRules returns all rules, the first made first.
func (tx *Tx) ModerationRules(ctx context.Context) ([]ModerationRule, error) {
	var rules []ModerationRule
	if err := tx.db.WithContext(ctx).Order("id").Find(&rules).Error; err != nil {
		return nil, fmt.Errorf("list moderation rules: %w", err)
	}
	return rules, nil
}

// ModerationRule returns one rule, or ErrNotFound.
func (tx *Tx) ModerationRule(ctx context.Context, id int64) (ModerationRule, error) {
	var r ModerationRule
	err := one(tx.db.WithContext(ctx).Take(&r, id), "look up moderation rule")
	return r, err
}

// AddModerationRule stores r and returns it with its number.
func (tx *Tx) AddModerationRule(ctx context.Context, r ModerationRule) (ModerationRule, error) {
	if err := tx.moderationChanged(ctx); err != nil {
		return r, err
	}
	r.ID, r.CreatedAt, r.UpdatedAt = 0, r.CreatedAt.UTC(), r.UpdatedAt.UTC()
	if err := tx.db.WithContext(ctx).Create(&r).Error; err != nil {
		return r, fmt.Errorf("add moderation rule: %w", err)
	}
	return r, nil
}

// SetModerationRule changes everything of a rule but who made it and when.
func (tx *Tx) SetModerationRule(ctx context.Context, r ModerationRule) error {
	if err := tx.moderationChanged(ctx); err != nil {
		return err
	}
	err := tx.db.WithContext(ctx).Model(&ModerationRule{}).Where("id = ?", r.ID).UpdateColumns(map[string]any{
		"name": r.Name, "state": r.State, "spec": r.Spec, "updated_at": r.UpdatedAt.UTC(),
	}).Error
	if err != nil {
		return fmt.Errorf("set moderation rule: %w", err)
	}
	return nil
}

// DeleteModerationRule deletes a rule. Its hits and strikes stay.
func (tx *Tx) DeleteModerationRule(ctx context.Context, id int64) error {
	if err := tx.moderationChanged(ctx); err != nil {
		return err
	}
	if err := tx.db.WithContext(ctx).Delete(&ModerationRule{}, id).Error; err != nil {
		return fmt.Errorf("delete moderation rule: %w", err)
	}
	return nil
}

// The settings that name the state of moderation: the first changes with every
// change, the second with changes of the words.
const (
	moderationVersion = "moderation.version"
	wordsVersion      = "moderation.words_version"
)

// ModerationVersion names the state of the sensitive words and the rules: it
// is another one after every change. Empty: they were never changed.
func (tx *Tx) ModerationVersion(ctx context.Context) (version string, err error) {
	err = tx.Setting(ctx, moderationVersion, &version)
	return version, err
}

// WordsVersion names the state of the sensitive words alone.
func (tx *Tx) WordsVersion(ctx context.Context) (version string, err error) {
	err = tx.Setting(ctx, wordsVersion, &version)
	return version, err
}

// moderationChanged gives words and rules another version. It is random and
// not counted up: a version that was rolled back must never come again with
// other words. On MySQL it also makes changes wait for each other.
func (tx *Tx) moderationChanged(ctx context.Context) error {
	return tx.SetSetting(ctx, moderationVersion, rand.Text())
}

// wordsChanged is moderationChanged for a change of the words.
func (tx *Tx) wordsChanged(ctx context.Context) error {
	if err := tx.moderationChanged(ctx); err != nil {
		return err
	}
	return tx.SetSetting(ctx, wordsVersion, rand.Text())
}

// A WordImport is a list of words that an operator has handed in and not
// saved yet.
type WordImport struct {
	ID        int64
	Source    string    // what it was read from: a file's name, a preset
	Body      string    // the words, JSON
	CreatedBy int64     // operator
	CreatedAt time.Time `gorm:"index"`
}

// AddWordImport stores w and returns its number.
func (tx *Tx) AddWordImport(ctx context.Context, w WordImport) (id int64, err error) {
	w.ID, w.CreatedAt = 0, w.CreatedAt.UTC()
	if err := tx.db.WithContext(ctx).Create(&w).Error; err != nil {
		return 0, fmt.Errorf("add import of words: %w", err)
	}
	return w.ID, nil
}

// WordImport returns one import, or ErrNotFound.
func (tx *Tx) WordImport(ctx context.Context, id int64) (WordImport, error) {
	var w WordImport
	err := one(tx.db.WithContext(ctx).Take(&w, id), "look up import of words")
	return w, err
}

// DeleteWordImport deletes an import.
func (tx *Tx) DeleteWordImport(ctx context.Context, id int64) error {
	if err := tx.db.WithContext(ctx).Delete(&WordImport{}, id).Error; err != nil {
		return fmt.Errorf("delete import of words: %w", err)
	}
	return nil
}
