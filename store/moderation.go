package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
)

// WordLevel says how serious a sensitive word is.
type WordLevel string

// The levels, from the mildest to the most serious.
const (
	LevelRemind WordLevel = "remind" // 提醒: the message goes on, and its sender is reminded
	LevelWarn   WordLevel = "warn"   // 警告: the message is stopped and counts as a strike
	LevelBlock  WordLevel = "block"  // 拦截: the same, and staff are asked to remove the message
)

// A SensitiveWord is a word that messages are scanned for, or a phrase in
// which such words do no harm. A group has each of them once.
type SensitiveWord struct {
	ID        int64
	GroupID   int64     `gorm:"uniqueIndex:sensitive_words_word,priority:2"`          // 0: every group, and 1:1 chats
	Folded    string    `gorm:"size:200;uniqueIndex:sensitive_words_word,priority:1"` // Text as it is compared
	Text      string    `gorm:"size:200"`                                             // as it was written
	Allow     bool      `gorm:"uniqueIndex:sensitive_words_word,priority:3"`          // a phrase that excuses the words inside it
	Category  string    `gorm:"size:40;index"`                                        // any name; empty if it has none
	Level     WordLevel `gorm:"size:16"`                                              // empty where Allow
	Exact     bool      // found only as it is written
	Embedded  bool      // found also inside ordinary words
	CreatedBy int64     // operator
	CreatedAt time.Time
}

// A Strike is a message that broke the rules. A message counts once, however
// often it is delivered.
type Strike struct {
	ID       int64
	Key      string     `gorm:"size:160;uniqueIndex"` // as in Message and Decision
	MemberID int64      `gorm:"index:strikes_member,priority:1"`
	GroupID  int64      // 0 in a 1:1 chat
	Word     string     `gorm:"size:200"` // the most serious word in it, as it is listed
	Category string     `gorm:"size:40"`
	Level    WordLevel  `gorm:"size:16"`
	How      string     `gorm:"size:80"` // how the word was disguised
	Number   int        // it was the member's n-th within the window
	Points   int64      // that it cost
	At       time.Time  `gorm:"index:strikes_member,priority:2;index"` // when it was said
	UndoneAt *time.Time // nil: it counts
	UndoneBy int64      // operator
}

// A Suspension keeps a member from earning points and from draws for a while.
type Suspension struct {
	StrikeID int64      `gorm:"primaryKey;autoIncrement:false"` // that it follows from
	MemberID int64      `gorm:"index:suspensions_member,priority:1"`
	StartsAt time.Time  //
	EndsAt   time.Time  `gorm:"index:suspensions_member,priority:2"`
	LiftedAt *time.Time // nil: it runs to its end
	LiftedBy int64      // operator
}

// wordsAtOnce is how many words one statement names: databases limit how many
// values a statement has.
const wordsAtOnce = 500

// AddWords stores words and fills in their numbers. It returns ErrExists if a
// group has one of them already; then some may be stored, and the transaction
// must be rolled back.
func (tx *Tx) AddWords(ctx context.Context, words []SensitiveWord) error {
	if err := tx.wordsChanged(ctx); err != nil {
		return err
	}
	for part := range slices.Chunk(words, wordsAtOnce) {
		added, err := tx.insert(ctx, &part)
		if err != nil {
			return fmt.Errorf("add sensitive words: %w", err)
		}
		if added != int64(len(part)) {
			return fmt.Errorf("add sensitive words: %w", ErrExists)
		}
	}
	return nil
}

// SetWord changes everything of a word but who made it and when. It returns
// ErrExists if its group has another such word.
func (tx *Tx) SetWord(ctx context.Context, w SensitiveWord) error {
	if err := tx.wordsChanged(ctx); err != nil {
		return err
	}
	err := tx.db.WithContext(ctx).Model(&SensitiveWord{}).Where("id = ?", w.ID).
		Select("group_id", "folded", "text", "allow", "category", "level", "exact", "embedded").UpdateColumns(&w).Error
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		err = ErrExists
	}
	if err != nil {
		return fmt.Errorf("set sensitive word: %w", err)
	}
	return nil
}

// SetWordsLevel changes the level of words; phrases that are allowed have none
// and stay as they are. It returns how many words there were.
func (tx *Tx) SetWordsLevel(ctx context.Context, ids []int64, level WordLevel) (int64, error) {
	if err := tx.wordsChanged(ctx); err != nil {
		return 0, err
	}
	var n int64
	words := tx.db.WithContext(ctx).Model(&SensitiveWord{}).Where("id IN ?", ids).Where(map[string]any{"allow": false})
	if err := words.Session(&gorm.Session{}).Count(&n).Error; err != nil {
		return 0, fmt.Errorf("set the level of sensitive words: %w", err)
	}
	if err := words.Session(&gorm.Session{}).UpdateColumn("level", level).Error; err != nil {
		return 0, fmt.Errorf("set the level of sensitive words: %w", err)
	}
	return n, nil
}

// DeleteWords deletes words and returns how many there were.
func (tx *Tx) DeleteWords(ctx context.Context, ids []int64) (int64, error) {
	if err := tx.wordsChanged(ctx); err != nil {
		return 0, err
	}
	res := tx.db.WithContext(ctx).Where("id IN ?", ids).Delete(&SensitiveWord{})
	if res.Error != nil {
		return 0, fmt.Errorf("delete sensitive words: %w", res.Error)
	}
	return res.RowsAffected, nil
}

// Word returns one word, or ErrNotFound.
func (tx *Tx) Word(ctx context.Context, id int64) (SensitiveWord, error) {
	var w SensitiveWord
	err := one(tx.db.WithContext(ctx).Take(&w, id), "look up sensitive word")
	return w, err
}

// AllWords returns all words and allowed phrases, by number, as far as scans
// need them: who made them and when is left out. There may be many, and
// messages wait, so that they are read without reflection.
func (tx *Tx) AllWords(ctx context.Context) (words []SensitiveWord, err error) {
	rows, err := tx.db.WithContext(ctx).Model(&SensitiveWord{}).
		Select("id", "group_id", "folded", "text", "allow", "category", "level", "exact", "embedded").Order("id").Rows()
	if err != nil {
		return nil, fmt.Errorf("list sensitive words: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var w SensitiveWord
		if err := rows.Scan(&w.ID, &w.GroupID, &w.Folded, &w.Text, &w.Allow, &w.Category, &w.Level, &w.Exact, &w.Embedded); err != nil {
			return nil, fmt.Errorf("list sensitive words: %w", err)
		}
		words = append(words, w)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list sensitive words: %w", err)
	}
	return words, nil
}

// WordsOf returns the words and allowed phrases that compare as one of these,
// by number. groups narrows them to those of some groups.
func (tx *Tx) WordsOf(ctx context.Context, folded []string, groups ...int64) ([]SensitiveWord, error) {
	var words []SensitiveWord
	for part := range slices.Chunk(folded, wordsAtOnce) {
		q := tx.db.WithContext(ctx).Where("folded IN ?", part)
		if len(groups) > 0 {
			q = q.Where("group_id IN ?", groups)
		}
		var some []SensitiveWord
		if err := q.Order("id").Find(&some).Error; err != nil {
			return nil, fmt.Errorf("look up sensitive words: %w", err)
		}
		words = append(words, some...)
	}
	return words, nil
}

// WordCategories returns the categories in use, by name.
func (tx *Tx) WordCategories(ctx context.Context) ([]string, error) {
	var list []string
	err := tx.db.WithContext(ctx).Model(&SensitiveWord{}).Distinct("category").Where("category <> ''").Order("category").Pluck("category", &list).Error
	if err != nil {
		return nil, fmt.Errorf("list categories of words: %w", err)
	}
	return list, nil
}

// A WordFilter narrows Words. Zero fields do not narrow.
type WordFilter struct {
	Search   string // a part of the text
	Level    WordLevel
	Category string
	GroupID  *int64 // 0: the words of every group
	Allow    *bool
	Before   int64 // only words with a smaller number
	Limit    int
}

func (tx *Tx) words(ctx context.Context, f WordFilter) *gorm.DB {
	where := map[string]any{}
	if f.Level != "" {
		where["level"] = f.Level
	}
	if f.Category != "" {
		where["category"] = f.Category
	}
	if f.GroupID != nil {
		where["group_id"] = *f.GroupID
	}
	if f.Allow != nil {
		where["allow"] = *f.Allow
	}
	q := tx.db.WithContext(ctx).Model(&SensitiveWord{}).Where(where)
	if f.Search != "" {
		part := "%" + likeEscaper.Replace(strings.ToLower(f.Search)) + "%"
		q = q.Where("folded LIKE ? ESCAPE '!' OR LOWER(text) LIKE ? ESCAPE '!'", part, part)
	}
	return q
}

// Words returns words and allowed phrases, the newest first.
func (tx *Tx) Words(ctx context.Context, f WordFilter) ([]SensitiveWord, error) {
	q := tx.words(ctx, f)
	if f.Before > 0 {
		q = q.Where("id < ?", f.Before)
	}
	var list []SensitiveWord
	if err := q.Order("id DESC").Limit(f.Limit).Find(&list).Error; err != nil {
		return nil, fmt.Errorf("list sensitive words: %w", err)
	}
	return list, nil
}

// CountWords returns how many words and allowed phrases there are; Before and
// Limit do not count.
func (tx *Tx) CountWords(ctx context.Context, f WordFilter) (n int64, err error) {
	if err := tx.words(ctx, f).Count(&n).Error; err != nil {
		return 0, fmt.Errorf("count sensitive words: %w", err)
	}
	return n, nil
}

// AddStrike stores s and returns it with its number. If its message counts
// already, it returns that strike and added == false.
func (tx *Tx) AddStrike(ctx context.Context, s Strike) (stored Strike, added bool, err error) {
	s.ID, s.At = 0, s.At.UTC()
	n, err := tx.insert(ctx, &s)
	if err != nil {
		return s, false, fmt.Errorf("add strike: %w", err)
	}
	if n == 1 {
		return s, true, nil
	}
	stored, err = tx.StrikeByKey(ctx, s.Key)
	return stored, false, err
}

// StrikeByKey returns the strike of a message, or ErrNotFound.
func (tx *Tx) StrikeByKey(ctx context.Context, key string) (Strike, error) {
	var s Strike
	err := one(tx.db.WithContext(ctx).Where(map[string]any{"key": key}).Take(&s), "look up strike")
	return s, err
}

// CountStrikes returns how many of a member's strikes that count were said
// after a time and not after another.
func (tx *Tx) CountStrikes(ctx context.Context, member int64, after, until time.Time) (int, error) {
	var n int64
	err := tx.db.WithContext(ctx).Model(&Strike{}).
		Where("member_id = ? AND at > ? AND at <= ? AND undone_at IS NULL", member, after.UTC(), until.UTC()).Count(&n).Error
	if err != nil {
		return 0, fmt.Errorf("count strikes: %w", err)
	}
	return int(n), nil
}

// UndoStrike makes a strike not count. It reports false if it did not count
// any more.
func (tx *Tx) UndoStrike(ctx context.Context, id, operator int64, at time.Time) (bool, error) {
	res := tx.db.WithContext(ctx).Model(&Strike{}).Where("id = ? AND undone_at IS NULL", id).
		UpdateColumns(map[string]any{"undone_at": at.UTC(), "undone_by": operator})
	if res.Error != nil {
		return false, fmt.Errorf("undo strike: %w", res.Error)
	}
	return res.RowsAffected == 1, nil
}

// AddSuspension stores s unless its strike has one.
func (tx *Tx) AddSuspension(ctx context.Context, s Suspension) error {
	s.StartsAt, s.EndsAt = s.StartsAt.UTC(), s.EndsAt.UTC()
	tx.suspended = nil
	if _, err := tx.insert(ctx, &s); err != nil {
		return fmt.Errorf("add suspension: %w", err)
	}
	return nil
}

// SuspendedUntil returns until when a member may neither earn points nor enter
// draws, as of the given time. Zero: the member is not suspended.
func (tx *Tx) SuspendedUntil(ctx context.Context, member int64, at time.Time) (until time.Time, err error) {
	// Few are suspended and everybody who checks in is asked about, so a
	// transaction reads the list once.
	if tx.suspended == nil {
		var rows []Suspension
		err := tx.db.WithContext(ctx).Where("ends_at > ?", at.UTC().Add(-48*time.Hour)).Find(&rows).Error
		if err != nil {
			return until, fmt.Errorf("list suspensions: %w", err)
		}
		tx.suspended = map[int64][]Suspension{}
		for _, s := range rows {
			tx.suspended[s.MemberID] = append(tx.suspended[s.MemberID], s)
		}
	}
	for _, s := range tx.suspended[member] {
		lifted := s.LiftedAt != nil && !s.LiftedAt.After(at)
		if !lifted && !s.StartsAt.After(at) && s.EndsAt.After(at) && s.EndsAt.After(until) {
			until = s.EndsAt
		}
	}
	return until, nil
}

// LiftSuspension ends the suspension that a strike led to. It reports false if
// there was none that still ran.
func (tx *Tx) LiftSuspension(ctx context.Context, strike, operator int64, at time.Time) (bool, error) {
	at = at.UTC()
	tx.suspended = nil
	res := tx.db.WithContext(ctx).Model(&Suspension{}).
		Where("strike_id = ? AND ends_at > ? AND lifted_at IS NULL", strike, at).
		UpdateColumns(map[string]any{"lifted_at": at, "lifted_by": operator})
	if res.Error != nil {
		return false, fmt.Errorf("lift suspension: %w", res.Error)
	}
	return res.RowsAffected == 1, nil
}

// A StrikeRow is a strike with what pages show of it.
type StrikeRow struct {
	Strike
	Text     string     // what was said; empty after the retention of messages
	EndsAt   *time.Time // of the suspension that it led to; nil: to none
	LiftedAt *time.Time
	LiftedBy int64
}

// A StrikeFilter narrows StrikeRows. Zero fields do not narrow.
type StrikeFilter struct {
	ID        int64
	MemberID  int64
	Since     time.Time // said at this time or later
	RunningAt time.Time // only those whose suspension runs at this time
	NotUndone bool      // only those that count
	Before    int64     // only strikes with a smaller number
	Limit     int
}

func (tx *Tx) strikes(ctx context.Context, f StrikeFilter) *gorm.DB {
	where := map[string]any{}
	if f.ID != 0 {
		where["strikes.id"] = f.ID
	}
	if f.MemberID != 0 {
		where["strikes.member_id"] = f.MemberID
	}
	q := tx.db.WithContext(ctx).Model(&Strike{}).Joins("LEFT JOIN suspensions ON suspensions.strike_id = strikes.id").Where(where)
	if !f.Since.IsZero() {
		q = q.Where("strikes.at >= ?", f.Since.UTC())
	}
	if !f.RunningAt.IsZero() {
		q = q.Where("suspensions.ends_at > ? AND suspensions.lifted_at IS NULL", f.RunningAt.UTC())
	}
	if f.NotUndone {
		q = q.Where("strikes.undone_at IS NULL")
	}
	return q
}

// StrikeRows returns strikes, the newest first.
func (tx *Tx) StrikeRows(ctx context.Context, f StrikeFilter) ([]StrikeRow, error) {
	q := tx.strikes(ctx, f).Joins("LEFT JOIN messages ON messages." + tx.quoted("key") + " = strikes." + tx.quoted("key")).
		Select("strikes.*, COALESCE(messages.text, '') AS text, suspensions.ends_at, suspensions.lifted_at, COALESCE(suspensions.lifted_by, 0) AS lifted_by")
	if f.Before > 0 {
		q = q.Where("strikes.id < ?", f.Before)
	}
	var list []StrikeRow
	if err := q.Order("strikes.id DESC").Limit(f.Limit).Scan(&list).Error; err != nil {
		return nil, fmt.Errorf("list strikes: %w", err)
	}
	return list, nil
}

// CountStrikeRows returns how many strikes there are; Before and Limit do not
// count.
func (tx *Tx) CountStrikeRows(ctx context.Context, f StrikeFilter) (n int64, err error) {
	if err := tx.strikes(ctx, f).Count(&n).Error; err != nil {
		return 0, fmt.Errorf("count strikes: %w", err)
	}
	return n, nil
}

// EraseStrikes deletes a member's strikes with what they led to.
func (tx *Tx) EraseStrikes(ctx context.Context, member int64) error {
	for _, model := range []any{&Removal{}, &Suspension{}, &Strike{}} {
		if err := tx.db.WithContext(ctx).Where("member_id = ?", member).Delete(model).Error; err != nil {
			return fmt.Errorf("erase strikes: %w", err)
		}
	}
	return nil
}
