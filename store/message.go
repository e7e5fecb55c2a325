package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// An Answer is what the program said to a message, kept for a few days so that
// a message delivered again gets the same answer and runs nothing.
type Answer struct {
	Key       string    `gorm:"primaryKey;size:160"` // endpoint and message id
	StreamID  string    `gorm:"size:40;index"`       // by which the platform asks for the answer again
	Body      string    // the reply before it is encrypted, JSON; ids instead of names
	CreatedAt time.Time `gorm:"index"`
}

// A Message is what a member said. It is personal data and is deleted after
// the retention of messages.
type Message struct {
	ID       int64
	Key      string `gorm:"size:160;uniqueIndex"` // as in Answer and Decision
	GroupID  int64  `gorm:"index"`                // 0 in a 1:1 chat
	MemberID int64  `gorm:"index:messages_said,priority:1"`
	Text     string
	SentAt   time.Time `gorm:"index;index:messages_said,priority:2"`
}

// Outcome says what became of a message.
type Outcome string

// The outcomes.
const (
	Answered Outcome = "answered" // a rule answered it
	Ignored  Outcome = "ignored"  // heard, and nothing to say
	Stopped  Outcome = "stopped"  // a screen kept it from the commands
	Failed   Outcome = "failed"   // the program failed; the member got an apology
)

// A Decision says why the program did what it did with a message.
type Decision struct {
	ID       int64
	Key      string    `gorm:"size:160;uniqueIndex"` // as in Answer and Message
	Endpoint string    `gorm:"size:48"`              // which door it came through, such as "aibot/helper"
	GroupID  int64     `gorm:"index"`                // 0 in a 1:1 chat
	MemberID int64     `gorm:"index"`
	Outcome  Outcome   `gorm:"size:16;index"`
	Rule     string    `gorm:"size:80"` // such as "checkin 签到"
	Detail   string    `gorm:"size:500"`
	SentAt   time.Time // when the member said it
	At       time.Time `gorm:"index"` // when it was decided
}

// Answers returns the stored answers with these keys.
func (tx *Tx) Answers(ctx context.Context, keys []string) (map[string]Answer, error) {
	var rows []Answer
	if err := tx.db.WithContext(ctx).Where(map[string]any{"key": keys}).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("look up answers: %w", err)
	}
	answers := make(map[string]Answer, len(rows))
	for _, a := range rows {
		answers[a.Key] = a
	}
	return answers, nil
}

// AnswerByStream returns the answer that a stream shows, or ErrNotFound.
func (tx *Tx) AnswerByStream(ctx context.Context, streamID string) (Answer, error) {
	var a Answer
	err := one(tx.db.WithContext(ctx).Where("stream_id = ?", streamID).Take(&a), "look up stream")
	return a, err
}

// AddAnswers stores answers, what was said, and why. It returns ErrExists if a
// message has an answer already: its effects must not commit a second time.
func (tx *Tx) AddAnswers(ctx context.Context, answers []Answer, said []Message, why []Decision) error {
	db := tx.db.WithContext(ctx)
	added, err := tx.insert(ctx, &answers)
	if err != nil {
		return fmt.Errorf("store answers: %w", err)
	}
	if added < int64(len(answers)) {
		return fmt.Errorf("store answers: %w", ErrExists)
	}
	if len(said) > 0 {
		if err := db.Create(&said).Error; err != nil {
			return fmt.Errorf("store messages: %w", err)
		}
	}
	if err := db.Create(&why).Error; err != nil {
		return fmt.Errorf("store decisions: %w", err)
	}
	return nil
}

// Hear notes a message that this transaction will store at its end, so that
// Said knows of it.
func (tx *Tx) Hear(m Message) { tx.heard = append(tx.heard, m) }

// Said returns what a member said in a group (0: in 1:1 chats) after a time
// and until another, in no order, of the messages stored and those that Hear
// noted; at most limit of the stored ones, the latest.
func (tx *Tx) Said(ctx context.Context, member, group int64, after, until time.Time, limit int) (said []Message, err error) {
	err = tx.query(ctx, func(rows *sql.Rows) error {
		m := Message{GroupID: group, MemberID: member}
		err := rows.Scan(&m.Text, &m.SentAt)
		said = append(said, m)
		return err
	}, "SELECT text, sent_at FROM messages WHERE member_id = ? AND sent_at > ? AND sent_at <= ? AND group_id = ? ORDER BY sent_at DESC LIMIT ?",
		member, after.UTC(), until.UTC(), group, limit)
	if err != nil {
		return nil, fmt.Errorf("look up what a member said: %w", err)
	}
	for _, m := range tx.heard {
		if m.MemberID == member && m.GroupID == group && m.SentAt.After(after) && !m.SentAt.After(until) {
			said = append(said, m)
		}
	}
	return said, nil
}

// Cutoffs say what Prune deletes: rows from before these times.
type Cutoffs struct {
	Answers, Messages, Decisions time.Time
	Sessions                     time.Time // sessions and login links that ended before it
	Requests                     time.Time
	Strikes                      time.Time // strikes with their suspensions, and hits of moderation rules
	Imports                      time.Time // words handed in and never saved
}

// Prune deletes what is older than the cutoffs, at most limit rows of each
// kind, and returns how many went.
func (tx *Tx) Prune(ctx context.Context, c Cutoffs, limit int) (total int64, err error) {
	for _, old := range []struct {
		model        any
		primary, age string
		before       time.Time
	}{
		{&Answer{}, "key", "created_at", c.Answers},
		{&Message{}, "id", "sent_at", c.Messages},
		{&Decision{}, "id", "at", c.Decisions},
		{&Session{}, "hash", "expires_at", c.Sessions},
		{&LoginLink{}, "hash", "expires_at", c.Sessions},
		{&Request{}, "key", "created_at", c.Requests},
		{&ModerationHit{}, "id", "at", c.Strikes},
		{&Suspension{}, "strike_id", "ends_at", c.Strikes},
		{&Removal{}, "strike_id", "created_at", c.Strikes},
		{&Strike{}, "id", "at", c.Strikes},
		{&WordImport{}, "id", "created_at", c.Imports},
	} {
		db := tx.db.WithContext(ctx)
		var keys []any
		if err := db.Model(old.model).Where(old.age+" < ?", old.before).Limit(limit).Pluck(old.primary, &keys).Error; err != nil {
			return total, fmt.Errorf("find old rows: %w", err)
		}
		if len(keys) == 0 {
			continue
		}
		res := db.Where(map[string]any{old.primary: keys}).Delete(old.model)
		if res.Error != nil {
			return total, fmt.Errorf("delete old rows: %w", res.Error)
		}
		total += res.RowsAffected
	}
	return total, nil
}

// A DecisionFilter narrows Decisions. Zero fields do not narrow.
type DecisionFilter struct {
	Before   int64 // only decisions with a smaller id
	GroupID  int64
	MemberID int64
	Outcome  Outcome
	Limit    int
}

// An ExplainedMessage is a decision with what was said, as far as it is kept.
type ExplainedMessage struct {
	Decision
	Text string
}

// Decisions returns decisions with their messages, the newest first.
func (tx *Tx) Decisions(ctx context.Context, f DecisionFilter) ([]ExplainedMessage, error) {
	where := map[string]any{}
	if f.GroupID != 0 {
		where["decisions.group_id"] = f.GroupID
	}
	if f.MemberID != 0 {
		where["decisions.member_id"] = f.MemberID
	}
	if f.Outcome != "" {
		where["decisions.outcome"] = f.Outcome
	}
	q := tx.db.WithContext(ctx).Model(&Decision{}).Select("decisions.*, COALESCE(messages.text, '') AS text").
		Joins("LEFT JOIN messages ON messages." + tx.quoted("key") + " = decisions." + tx.quoted("key")).Where(where)
	if f.Before > 0 {
		q = q.Where("decisions.id < ?", f.Before)
	}
	var list []ExplainedMessage
	if err := q.Order("decisions.id DESC").Limit(f.Limit).Scan(&list).Error; err != nil {
		return nil, fmt.Errorf("list decisions: %w", err)
	}
	return list, nil
}

// quoted returns a column's name as the database wants a reserved word.
func (tx *Tx) quoted(column string) string { return tx.db.Statement.Quote(column) }
