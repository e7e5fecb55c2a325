package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"
)

// A Role says what an operator may do. Each role may do what the ones below it may.
type Role string

// The roles, from the least to the most powerful.
const (
	Clerk   Role = "clerk"    // 店员: hands out prizes
	Analyst Role = "analyst"  // 分析: reads everything
	Staff   Role = "operator" // 运营: answers, moderates, draws, plans content
	Manager Role = "manager"  // 经理: also changes rules and approves
	Owner   Role = "owner"    // 负责人: also manages operators and secrets
)

var roles = []Role{Clerk, Analyst, Staff, Manager, Owner}

// Covers reports whether r may do what needs the role other. An unknown role
// covers nothing; everybody covers the empty role.
func (r Role) Covers(other Role) bool {
	return other == "" || slices.Index(roles, r) >= max(0, slices.Index(roles, other))
}

// An Operator works with the console and says bot commands.
type Operator struct {
	ID        int64
	UserID    string `gorm:"size:64;uniqueIndex"` // the member of the corp who it is
	Name      string `gorm:"size:64"`
	Role      Role   `gorm:"size:16"`
	CreatedAt time.Time
}

// PutOperator stores an operator, new or with a changed name or role, and
// returns it.
func (tx *Tx) PutOperator(ctx context.Context, o Operator) (Operator, error) {
	if !slices.Contains(roles, o.Role) {
		return o, fmt.Errorf("put operator: role %q is unknown, use one of %v", o.Role, roles)
	}
	if _, err := tx.insert(ctx, &o); err != nil {
		return o, fmt.Errorf("put operator: %w", err)
	}
	err := tx.db.WithContext(ctx).Model(&Operator{}).Where("user_id = ?", o.UserID).
		Updates(map[string]any{"name": o.Name, "role": o.Role}).Error
	if err != nil {
		return o, fmt.Errorf("put operator: %w", err)
	}
	stored := Operator{}
	err = one(tx.db.WithContext(ctx).Where("user_id = ?", o.UserID).Take(&stored), "look up operator")
	return stored, err
}

// Operator returns one operator, or ErrNotFound.
func (tx *Tx) Operator(ctx context.Context, id int64) (Operator, error) {
	var o Operator
	err := one(tx.db.WithContext(ctx).Take(&o, id), "look up operator")
	return o, err
}

// Operators returns all operators by name.
func (tx *Tx) Operators(ctx context.Context) ([]Operator, error) {
	var list []Operator
	if err := tx.db.WithContext(ctx).Order("name, id").Find(&list).Error; err != nil {
		return nil, fmt.Errorf("list operators: %w", err)
	}
	return list, nil
}

// OperatorsByUserID returns the operators among these members of the corp.
func (tx *Tx) OperatorsByUserID(ctx context.Context, ids []string) (map[string]Operator, error) {
	var rows []Operator
	if err := tx.db.WithContext(ctx).Where("user_id IN ?", ids).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("look up operators: %w", err)
	}
	found := make(map[string]Operator, len(rows))
	for _, o := range rows {
		found[o.UserID] = o
	}
	return found, nil
}

// A LoginLink lets one operator in once.
type LoginLink struct {
	Hash       string `gorm:"primaryKey;size:64"` // SHA-256 of the token, so that the table lets nobody in
	OperatorID int64
	ExpiresAt  time.Time
	UsedAt     *time.Time
}

// AddLoginLink makes a link that lets operator in until it expires, and
// returns its token: 26 random characters.
func (tx *Tx) AddLoginLink(ctx context.Context, operator int64, expires time.Time) (token string, err error) {
	token = rand.Text()
	link := LoginLink{Hash: hashToken(token), OperatorID: operator, ExpiresAt: expires}
	if err := tx.db.WithContext(ctx).Create(&link).Error; err != nil {
		return "", fmt.Errorf("add login link: %w", err)
	}
	return token, nil
}

// UseLoginLink returns the operator that a token lets in and uses it up. It
// returns ErrNotFound if the token is unknown, used or expired.
func (tx *Tx) UseLoginLink(ctx context.Context, token string, now time.Time) (Operator, error) {
	res := tx.db.WithContext(ctx).Model(&LoginLink{}).
		Where("hash = ? AND used_at IS NULL AND expires_at > ?", hashToken(token), now).UpdateColumn("used_at", now)
	if res.Error != nil {
		return Operator{}, fmt.Errorf("use login link: %w", res.Error)
	}
	if res.RowsAffected == 0 {
		return Operator{}, fmt.Errorf("use login link: %w", ErrNotFound)
	}
	var link LoginLink
	if err := one(tx.db.WithContext(ctx).Where("hash = ?", hashToken(token)).Take(&link), "use login link"); err != nil {
		return Operator{}, err
	}
	return tx.Operator(ctx, link.OperatorID)
}

func hashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// A Session is one browser's signed-in state.
type Session struct {
	Hash      string `gorm:"primaryKey;size:64"` // SHA-256 of the cookie's token
	Data      []byte
	ExpiresAt time.Time `gorm:"index"`
}

// Session returns the data of an unexpired session, or ErrNotFound.
func (tx *Tx) Session(ctx context.Context, token string, now time.Time) ([]byte, error) {
	var s Session
	res := tx.db.WithContext(ctx).Where("hash = ? AND expires_at > ?", hashToken(token), now).Take(&s)
	return s.Data, one(res, "look up session")
}

// PutSession stores a session, new or changed.
func (tx *Tx) PutSession(ctx context.Context, token string, data []byte, expires time.Time) error {
	s := Session{Hash: hashToken(token), Data: data, ExpiresAt: expires}
	if err := tx.db.WithContext(ctx).Save(&s).Error; err != nil {
		return fmt.Errorf("put session: %w", err)
	}
	return nil
}

// DeleteSession ends a session.
func (tx *Tx) DeleteSession(ctx context.Context, token string) error {
	err := tx.db.WithContext(ctx).Where("hash = ?", hashToken(token)).Delete(&Session{}).Error
	if err != nil {
		return fmt.Errorf("delete session: %w", err)
	}
	return nil
}

// An Audit notes what an operator changed.
type Audit struct {
	ID         int64
	OperatorID int64     `gorm:"index"`
	Action     string    `gorm:"size:80"` // such as "POST /console/checkins" or "/加分"
	Object     string    `gorm:"size:80"` // what was changed, such as "member 12"
	Detail     string    // what it was changed to, JSON or words; ids instead of names
	At         time.Time `gorm:"index"`
}

// AddAudit stores a.
func (tx *Tx) AddAudit(ctx context.Context, a Audit) error {
	if err := tx.db.WithContext(ctx).Create(&a).Error; err != nil {
		return fmt.Errorf("add audit: %w", err)
	}
	return nil
}

// Audits returns what operators changed, the newest first, older than before
// (0: from the newest), at most limit.
func (tx *Tx) Audits(ctx context.Context, before int64, limit int) ([]Audit, error) {
	q := tx.db.WithContext(ctx)
	if before > 0 {
		q = q.Where("id < ?", before)
	}
	var list []Audit
	if err := q.Order("id DESC").Limit(limit).Find(&list).Error; err != nil {
		return nil, fmt.Errorf("list audits: %w", err)
	}
	return list, nil
}

// A Request is a write that came from outside with a key of its sender's, and
// what it was answered, so that sending it again changes nothing.
type Request struct {
	Key         string `gorm:"primaryKey;size:160"`
	Fingerprint string `gorm:"size:64"` // SHA-256 of what was asked, to notice a key used for something else
	Status      int
	ContentType string `gorm:"size:80"`
	Body        []byte
	CreatedAt   time.Time `gorm:"index"`
}

// Request returns the request with this key, or ErrNotFound.
func (tx *Tx) Request(ctx context.Context, key string) (Request, error) {
	var r Request
	err := one(tx.db.WithContext(ctx).Where(map[string]any{"key": key}).Take(&r), "look up request")
	return r, err
}

// AddRequest stores r. It returns ErrExists if the key was used meanwhile.
func (tx *Tx) AddRequest(ctx context.Context, r Request) error {
	added, err := tx.insert(ctx, &r)
	if err != nil {
		return fmt.Errorf("add request: %w", err)
	}
	if added == 0 {
		return fmt.Errorf("add request: %w", ErrExists)
	}
	return nil
}

// AddOperator stores an operator unless there is one with the same UserID.
func (tx *Tx) AddOperator(ctx context.Context, o Operator) error {
	if _, err := tx.insert(ctx, &o); err != nil {
		return fmt.Errorf("add operator: %w", err)
	}
	return nil
}
