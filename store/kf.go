package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm/clause"
)

// A KFAccount is how far the messages of a service account (客服账号) were read.
type KFAccount struct {
	Account    string    `gorm:"primaryKey;size:64"`
	NextCursor string    // where reading goes on; empty: at the oldest message that the platform has
	CreatedAt  time.Time // when the account was first read
	PulledAt   time.Time // when it was read last; AtOnce: never
	LeaseUntil time.Time // until then Owner is reading, and nobody else
	Owner      string    // at most 120 bytes

	ContactURL     string     // under which customers reach it; empty: not known yet
	ContactProblem string     // why it is not known, for operators
	ContactAgainAt *time.Time // when it is asked for again; nil: it never was
}

// TableName implements gorm's Tabler.
func (KFAccount) TableName() string { return "kf_accounts" }

// LeaseKFAccount reserves the reading of an account for owner, who may hold it
// already, unless it was read after idle. It reports false if another owner is
// reading, or it was read since.
func (tx *Tx) LeaseKFAccount(ctx context.Context, account, owner string, now, until, idle time.Time) (KFAccount, bool, error) {
	fresh := KFAccount{Account: account, CreatedAt: moment(now), PulledAt: AtOnce, LeaseUntil: AtOnce}
	if _, err := tx.insert(ctx, &fresh); err != nil {
		return KFAccount{}, false, fmt.Errorf("add service account: %w", err)
	}
	var a KFAccount
	if err := one(tx.forUpdate(tx.db.WithContext(ctx)).Where("account = ?", account).Take(&a), "look up service account"); err != nil {
		return KFAccount{}, false, err
	}
	if a.PulledAt.After(idle) || a.Owner != owner && a.LeaseUntil.After(moment(now)) {
		return a, false, nil
	}
	a.Owner, a.LeaseUntil = owner, moment(until)
	err := tx.db.WithContext(ctx).Model(&KFAccount{}).Where("account = ?", account).
		UpdateColumns(map[string]any{"owner": a.Owner, "lease_until": a.LeaseUntil}).Error
	if err != nil {
		return a, false, fmt.Errorf("lease service account: %w", err)
	}
	return a, true, nil
}

// AdvanceKFCursor notes that owner has read an account from one cursor to
// another, and extends the lease. It reports false and changes nothing if
// somebody else reads it now, or has moved the cursor.
func (tx *Tx) AdvanceKFCursor(ctx context.Context, account, owner, from, to string, now, until time.Time) (bool, error) {
	var a KFAccount
	if err := one(tx.forUpdate(tx.db.WithContext(ctx)).Where("account = ?", account).Take(&a), "look up service account"); err != nil {
		return false, err
	}
	if a.Owner != owner || a.NextCursor != from {
		return false, nil
	}
	err := tx.db.WithContext(ctx).Model(&KFAccount{}).Where("account = ?", account).
		UpdateColumns(map[string]any{"next_cursor": to, "pulled_at": moment(now), "lease_until": moment(until)}).Error
	if err != nil {
		return false, fmt.Errorf("advance cursor: %w", err)
	}
	return true, nil
}

// FreeKFAccount ends owner's lease before its time.
func (tx *Tx) FreeKFAccount(ctx context.Context, account, owner string) error {
	err := tx.db.WithContext(ctx).Model(&KFAccount{}).Where("account = ? AND owner = ?", account, owner).
		UpdateColumn("lease_until", AtOnce).Error
	if err != nil {
		return fmt.Errorf("free service account: %w", err)
	}
	return nil
}

// A KFState says who serves a customer.
type KFState int

// The states, numbered as the platform numbers them.
const (
	KFNew     KFState = 0 // the customer wrote, nobody answered yet
	KFBot     KFState = 1
	KFWaiting KFState = 2 // for one of the staff
	KFHuman   KFState = 3
	KFEnded   KFState = 4
)

// Attended reports whether staff serve the customer, or are about to, so that
// the bot is silent.
func (s KFState) Attended() bool { return s == KFWaiting || s == KFHuman }

// A KFSession is the talk with one customer at one service account.
type KFSession struct {
	Account   string `gorm:"primaryKey;size:64"`
	Customer  string `gorm:"primaryKey;size:128"`
	State     KFState
	StateAt   time.Time  // since when, by the platform's clock; AtOnce: not known
	Servicer  string     // who of the staff serves, if known
	HeardAt   time.Time  // when the customer wrote last, by the platform's clock; AtOnce: never
	Sent      int        // messages sent, or booked to be sent, since then
	AskedAt   *time.Time // when the customer asked for a human who is still to be found; nil: not
	AskedKey  string     // of the message that asked
	CheckedAt time.Time  // when State was asked of the platform; AtOnce: never
	ProfileAt time.Time  // when the customer's names were; AtOnce: never
}

// TableName implements gorm's Tabler.
func (KFSession) TableName() string { return "kf_sessions" }

// LockKFSession returns the talk with a customer, which is new if there was
// none, and holds it against other transactions until this one ends.
func (tx *Tx) LockKFSession(ctx context.Context, account, customer string) (KFSession, error) {
	var s KFSession
	find := func() error {
		db := tx.forUpdate(tx.db.WithContext(ctx))
		return one(db.Where("account = ? AND customer = ?", account, customer).Take(&s), "look up talk")
	}
	err := find()
	if !errors.Is(err, ErrNotFound) {
		return s, err
	}
	fresh := KFSession{Account: account, Customer: customer, StateAt: AtOnce, HeardAt: AtOnce, CheckedAt: AtOnce, ProfileAt: AtOnce}
	if _, err := tx.insert(ctx, &fresh); err != nil {
		return s, fmt.Errorf("add talk: %w", err)
	}
	return s, find()
}

// SetKFSession stores a talk that LockKFSession returned.
func (tx *Tx) SetKFSession(ctx context.Context, s KFSession) error {
	s.StateAt, s.HeardAt, s.AskedAt = moment(s.StateAt), moment(s.HeardAt), momentOrNil(s.AskedAt)
	s.CheckedAt, s.ProfileAt = moment(s.CheckedAt), moment(s.ProfileAt)
	err := tx.db.WithContext(ctx).Clauses(clause.OnConflict{UpdateAll: true}).Create(&s).Error
	if err != nil {
		return fmt.Errorf("set talk: %w", err)
	}
	return nil
}

// KFSessions returns the talks of an account with these customers; those that
// never were are left out.
func (tx *Tx) KFSessions(ctx context.Context, account string, customers []string) ([]KFSession, error) {
	var list []KFSession
	err := tx.db.WithContext(ctx).Where("account = ? AND customer IN ?", account, customers).Order("customer").Find(&list).Error
	if err != nil {
		return nil, fmt.Errorf("list talks: %w", err)
	}
	return list, nil
}

// NewestKFSession returns the talk in which a customer wrote last, at whichever
// account, or ErrNotFound.
func (tx *Tx) NewestKFSession(ctx context.Context, customer string) (KFSession, error) {
	var s KFSession
	err := one(tx.db.WithContext(ctx).Where("customer = ?", customer).Order("heard_at DESC").Take(&s), "look up talk")
	return s, err
}

// AskingKFSessions returns the talks whose customers asked for a human who is
// still to be found, the longest waiting first.
func (tx *Tx) AskingKFSessions(ctx context.Context, account string, limit int) ([]KFSession, error) {
	var list []KFSession
	err := tx.db.WithContext(ctx).Where("account = ? AND asked_at IS NOT NULL", account).Order("asked_at").Limit(limit).Find(&list).Error
	if err != nil {
		return nil, fmt.Errorf("list talks that ask for a human: %w", err)
	}
	return list, nil
}

// KFServicers returns how many customers of an account each of the staff
// serves, counting states from since on.
func (tx *Tx) KFServicers(ctx context.Context, account string, since time.Time) (map[string]int, error) {
	var rows []struct {
		Servicer string
		Talks    int
	}
	err := tx.db.WithContext(ctx).Model(&KFSession{}).Select("servicer, COUNT(*) AS talks").
		Where("account = ? AND state = ? AND state_at >= ?", account, KFHuman, moment(since)).Group("servicer").Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("count talks of staff: %w", err)
	}
	talks := make(map[string]int, len(rows))
	for _, r := range rows {
		talks[r.Servicer] = r.Talks
	}
	return talks, nil
}

// A KFSend is one message to a customer, known to the platform by its ID.
type KFSend struct {
	ID       string `gorm:"primaryKey;size:32"`
	Account  string
	Customer string
	BookedAt time.Time
	State    KFSendState
}

// TableName implements gorm's Tabler.
func (KFSend) TableName() string { return "kf_sends" }

// A KFSendState says what is known of a message to a customer.
type KFSendState string

// The states of messages to customers.
const (
	KFSending KFSendState = "sending" // it may have arrived or not
	KFSent    KFSendState = "sent"    // the platform took it
	KFFailed  KFSendState = "failed"  // the platform said later that it did not arrive
)

// KFSends returns the messages with these ids.
func (tx *Tx) KFSends(ctx context.Context, ids []string) (map[string]KFSend, error) {
	var rows []KFSend
	if err := tx.db.WithContext(ctx).Where("id IN ?", ids).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("look up messages to customers: %w", err)
	}
	sends := make(map[string]KFSend, len(rows))
	for _, r := range rows {
		sends[r.ID] = r
	}
	return sends, nil
}

// AddKFSends books messages.
func (tx *Tx) AddKFSends(ctx context.Context, sends []KFSend) error {
	for i := range sends {
		sends[i].BookedAt = moment(sends[i].BookedAt)
	}
	if err := tx.db.WithContext(ctx).Create(&sends).Error; err != nil {
		return fmt.Errorf("book messages to a customer: %w", err)
	}
	return nil
}

// SetKFSend notes what is known of a message, if it is booked. One that failed
// stays failed, though the news of its being sent may come later.
func (tx *Tx) SetKFSend(ctx context.Context, id string, state KFSendState) error {
	err := tx.db.WithContext(ctx).Model(&KFSend{}).Where("id = ? AND state <> ?", id, KFFailed).UpdateColumn("state", state).Error
	if err != nil {
		return fmt.Errorf("set message to a customer: %w", err)
	}
	return nil
}

// DeleteKFSends takes bookings back.
func (tx *Tx) DeleteKFSends(ctx context.Context, ids []string) error {
	if err := tx.db.WithContext(ctx).Where("id IN ?", ids).Delete(&KFSend{}).Error; err != nil {
		return fmt.Errorf("take back messages to a customer: %w", err)
	}
	return nil
}

// CountKFSends returns how many messages to a customer were booked at since or
// later.
func (tx *Tx) CountKFSends(ctx context.Context, account, customer string, since time.Time) (int, error) {
	var n int64
	err := tx.db.WithContext(ctx).Model(&KFSend{}).
		Where("account = ? AND customer = ? AND booked_at >= ?", account, customer, moment(since)).Count(&n).Error
	if err != nil {
		return 0, fmt.Errorf("count messages to a customer: %w", err)
	}
	return int(n), nil
}

// PruneKFSends deletes messages booked before a time, at most limit.
func (tx *Tx) PruneKFSends(ctx context.Context, before time.Time, limit int) error {
	var ids []string
	err := tx.db.WithContext(ctx).Model(&KFSend{}).Where("booked_at < ?", moment(before)).Limit(limit).Pluck("id", &ids).Error
	if err != nil {
		return fmt.Errorf("find old messages to customers: %w", err)
	}
	if len(ids) == 0 {
		return nil
	}
	return tx.DeleteKFSends(ctx, ids)
}

// A KFTouch says through which links a member came to the service accounts,
// the first time and the last time. Sources are those of [KFGroupSource] and
// [KFPosterSource].
type KFTouch struct {
	MemberID    int64 `gorm:"primaryKey;autoIncrement:false"` // negative: of somebody who was erased
	FirstSource string
	FirstAt     time.Time
	LastSource  string
	LastAt      time.Time
}

// TableName implements gorm's Tabler.
func (KFTouch) TableName() string { return "kf_touches" }

// NoteKFTouch notes that a member came through a link at a time. Notes may come
// in any order and more than once.
func (tx *Tx) NoteKFTouch(ctx context.Context, member int64, source string, at time.Time) error {
	at = moment(at)
	t := KFTouch{MemberID: member, FirstSource: source, FirstAt: at, LastSource: source, LastAt: at}
	added, err := tx.insert(ctx, &t)
	if err != nil {
		return fmt.Errorf("note where a member came from: %w", err)
	}
	if added == 1 {
		return nil
	}
	if err := one(tx.forUpdate(tx.db.WithContext(ctx)).Where("member_id = ?", member).Take(&t), "look up where a member came from"); err != nil {
		return err
	}
	if at.Before(t.FirstAt) {
		t.FirstSource, t.FirstAt = source, at
	}
	if at.After(t.LastAt) {
		t.LastSource, t.LastAt = source, at
	}
	if err := tx.db.WithContext(ctx).Clauses(clause.OnConflict{UpdateAll: true}).Create(&t).Error; err != nil {
		return fmt.Errorf("note where a member came from: %w", err)
	}
	return nil
}

// KFTouchOf returns where a member came from, or ErrNotFound.
func (tx *Tx) KFTouchOf(ctx context.Context, member int64) (KFTouch, error) {
	var t KFTouch
	err := one(tx.db.WithContext(ctx).Where("member_id = ?", member).Take(&t), "look up where a member came from")
	return t, err
}

// JoinIdentities makes two ids name one member, who is made if neither is
// known, and returns the member behind a. It reports false and changes nothing
// if they name two members already: what both have earned cannot be merged.
func (tx *Tx) JoinIdentities(ctx context.Context, a, b Identity, now time.Time) (Member, bool, error) {
	known, err := tx.identified(ctx, []Identity{a, b})
	if err != nil {
		return Member{}, false, err
	}
	if known[a.key()] == 0 && known[b.key()] == 0 {
		if known[a.key()], err = tx.addMember(ctx, a, now); err != nil {
			return Member{}, false, err
		}
	}
	for _, pair := range [][2]Identity{{a, b}, {b, a}} {
		have, lack := known[pair[0].key()], known[pair[1].key()]
		if have == 0 || lack != 0 {
			continue
		}
		id := pair[1]
		id.MemberID = have
		if _, err := tx.insert(ctx, &id); err != nil {
			return Member{}, false, fmt.Errorf("add identity: %w", err)
		}
		// Another replica may have given the id to somebody meanwhile.
		if known, err = tx.identified(ctx, []Identity{a, b}); err != nil {
			return Member{}, false, err
		}
	}
	return Member{ID: known[a.key()]}, known[a.key()] == known[b.key()], nil
}

// BlankMessage forgets what was said in a message, if it is kept: who said it
// took it back.
func (tx *Tx) BlankMessage(ctx context.Context, key string) error {
	err := tx.db.WithContext(ctx).Model(&Message{}).Where(map[string]any{"key": key}).UpdateColumn("text", "").Error
	if err != nil {
		return fmt.Errorf("forget message: %w", err)
	}
	return nil
}
