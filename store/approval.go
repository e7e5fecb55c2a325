package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// ApprovalState says what became of a text that was to be approved.
type ApprovalState string

// The states. All but Waiting are final, but that an expired one may be asked
// for again.
const (
	Waiting  ApprovalState = "waiting"
	Approved ApprovalState = "approved"
	Refused  ApprovalState = "refused"
	Expired  ApprovalState = "expired" // its time passed, or it was changed or taken back
)

// An Approval is a text that goes out only when somebody who did not write it
// has approved it. It is for this very text: another one needs another.
type Approval struct {
	ID        int64
	Key       string        `gorm:"size:160;uniqueIndex"`                       // kind, object and what was written
	Kind      string        `gorm:"size:24;index:approvals_object,priority:1"`  // such as "announce"
	Object    string        `gorm:"size:160;index:approvals_object,priority:2"` // what the text belongs to, such as "item 12"
	Title     string        `gorm:"size:200"`                                   // what it is, for operators
	Text      string        // as members will read it
	Hits      string        `gorm:"size:1000"` // the words it holds, for operators
	Data      string        // what its feature needs to go on; may be empty
	Link      string        `gorm:"size:200"` // the console's page it comes from
	AuthorID  int64         // operator; 0: no person wrote it
	AskedAt   time.Time     //
	ExpiresAt *time.Time    // when the text is no use any more; nil: never
	State     ApprovalState `gorm:"size:16;index"`
	DecidedBy int64         // operator; 0: nobody, or the clock
	DecidedAt *time.Time
	Reason    string `gorm:"size:300"` // why it was refused, or why it expired; approved: a note, or empty
}

// AddApproval stores a, which waits, and returns it with its number. Under a
// key that exists it returns the stored one and added == false.
func (tx *Tx) AddApproval(ctx context.Context, a Approval) (stored Approval, added bool, err error) {
	a.ID, a.State, a.DecidedBy, a.DecidedAt, a.Reason = 0, Waiting, 0, nil, ""
	a.AskedAt, a.ExpiresAt = moment(a.AskedAt), momentOrNil(a.ExpiresAt)
	n, err := tx.insert(ctx, &a)
	if err != nil {
		return a, false, fmt.Errorf("add approval: %w", err)
	}
	if n == 1 {
		return a, true, nil
	}
	stored, err = tx.ApprovalByKey(ctx, a.Key)
	return stored, false, err
}

// AskAgain makes an expired approval wait anew, with what a says now. It
// reports false if it has not expired.
func (tx *Tx) AskAgain(ctx context.Context, a Approval) (bool, error) {
	a.State, a.DecidedBy, a.DecidedAt, a.Reason = Waiting, 0, nil, ""
	a.AskedAt, a.ExpiresAt = moment(a.AskedAt), momentOrNil(a.ExpiresAt)
	res := tx.db.WithContext(ctx).Model(&Approval{}).Where("id = ? AND state = ?", a.ID, Expired).
		Select("title", "text", "hits", "data", "link", "author_id", "asked_at", "expires_at", "state", "decided_by", "decided_at", "reason").
		UpdateColumns(&a)
	if res.Error != nil {
		return false, fmt.Errorf("ask for approval again: %w", res.Error)
	}
	return res.RowsAffected == 1, nil
}

// Approval returns one approval, or ErrNotFound.
func (tx *Tx) Approval(ctx context.Context, id int64) (Approval, error) {
	var a Approval
	err := one(tx.db.WithContext(ctx).Take(&a, id), "look up approval")
	return a, err
}

// ApprovalByKey returns the approval with a key, or ErrNotFound.
func (tx *Tx) ApprovalByKey(ctx context.Context, key string) (Approval, error) {
	var a Approval
	err := one(tx.db.WithContext(ctx).Where(map[string]any{"key": key}).Take(&a), "look up approval")
	return a, err
}

// DecideApproval ends the wait of an approval. It reports false if it did not
// wait any more, or its time had passed and to is not Expired. by is 0 where
// nobody decided.
func (tx *Tx) DecideApproval(ctx context.Context, id int64, to ApprovalState, by int64, reason string, at time.Time) (bool, error) {
	q := tx.db.WithContext(ctx).Model(&Approval{}).Where("id = ? AND state = ?", id, Waiting)
	if to != Expired {
		q = q.Where("expires_at IS NULL OR expires_at > ?", moment(at))
	}
	res := q.UpdateColumns(map[string]any{"state": to, "decided_by": by, "decided_at": moment(at), "reason": reason})
	if res.Error != nil {
		return false, fmt.Errorf("decide approval: %w", res.Error)
	}
	return res.RowsAffected == 1, nil
}

// EndApproval makes an approval that was just decided one that expired: what
// it was for is not there any more.
func (tx *Tx) EndApproval(ctx context.Context, id int64, reason string) error {
	err := tx.db.WithContext(ctx).Model(&Approval{}).Where("id = ?", id).
		UpdateColumns(map[string]any{"state": Expired, "reason": reason}).Error
	if err != nil {
		return fmt.Errorf("end approval: %w", err)
	}
	return nil
}

// ExpireApprovalsOf ends the waits of an object for all texts but that of
// keep, which may be empty. It returns how many waited.
func (tx *Tx) ExpireApprovalsOf(ctx context.Context, kind, object, keep, reason string, at time.Time) (int64, error) {
	res := tx.db.WithContext(ctx).Model(&Approval{}).
		Where(map[string]any{"kind": kind, "object": object, "state": Waiting}).Not(map[string]any{"key": keep}).
		UpdateColumns(map[string]any{"state": Expired, "decided_at": moment(at), "reason": reason})
	if res.Error != nil {
		return 0, fmt.Errorf("expire approvals: %w", res.Error)
	}
	return res.RowsAffected, nil
}

// OverdueApprovals returns approvals that wait although their time has passed,
// the oldest first.
func (tx *Tx) OverdueApprovals(ctx context.Context, now time.Time, limit int) ([]Approval, error) {
	var list []Approval
	err := tx.db.WithContext(ctx).Where("state = ? AND expires_at <= ?", Waiting, moment(now)).Order("id").Limit(limit).Find(&list).Error
	if err != nil {
		return nil, fmt.Errorf("list overdue approvals: %w", err)
	}
	return list, nil
}

// An ApprovalFilter narrows Approvals. Zero fields do not narrow.
type ApprovalFilter struct {
	Waiting bool  // only those that wait
	Decided bool  // only the others
	Before  int64 // only approvals with a smaller number
	Limit   int
}

func (tx *Tx) approvals(ctx context.Context, f ApprovalFilter) *gorm.DB {
	q := tx.db.WithContext(ctx).Model(&Approval{})
	if f.Waiting {
		q = q.Where("state = ?", Waiting)
	}
	if f.Decided {
		q = q.Where("state <> ?", Waiting)
	}
	return q
}

// Approvals returns approvals, the newest first.
func (tx *Tx) Approvals(ctx context.Context, f ApprovalFilter) ([]Approval, error) {
	q := tx.approvals(ctx, f)
	if f.Before > 0 {
		q = q.Where("id < ?", f.Before)
	}
	var list []Approval
	if err := q.Order("id DESC").Limit(f.Limit).Find(&list).Error; err != nil {
		return nil, fmt.Errorf("list approvals: %w", err)
	}
	return list, nil
}

// CountApprovals returns how many approvals there are; Before and Limit do not
// count.
func (tx *Tx) CountApprovals(ctx context.Context, f ApprovalFilter) (n int64, err error) {
	if err := tx.approvals(ctx, f).Count(&n).Error; err != nil {
		return 0, fmt.Errorf("count approvals: %w", err)
	}
	return n, nil
}
