package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// AppealState says what became of an appeal.
type AppealState string

// The states.
const (
	AppealOpen     AppealState = "open"
	AppealUpheld   AppealState = "upheld"   // the member was right: the strike does not count
	AppealDeclined AppealState = "declined" // the strike stays
)

// An Appeal is what a member says against a strike. A strike has one open
// appeal at a time.
type Appeal struct {
	ID        int64
	StrikeID  int64       `gorm:"index"`
	Pending   *int64      `gorm:"uniqueIndex"` // StrikeID while it is open, else nil
	MemberID  int64       `gorm:"index:appeals_member,priority:1"`
	Text      string      // personal data; empty after its retention
	State     AppealState `gorm:"size:16;index"`
	At        time.Time   `gorm:"index:appeals_member,priority:2"`
	DecidedBy int64       // operator
	DecidedAt *time.Time
	Reason    string `gorm:"size:300"` // for the member
}

// AddAppeal stores a, which is open, and returns it with its number. It
// returns ErrExists if its strike has an open appeal.
func (tx *Tx) AddAppeal(ctx context.Context, a Appeal) (Appeal, error) {
	a.ID, a.State, a.Pending, a.At = 0, AppealOpen, &a.StrikeID, moment(a.At)
	n, err := tx.insert(ctx, &a)
	if err == nil && n == 0 {
		err = ErrExists
	}
	if err != nil {
		return a, fmt.Errorf("add appeal: %w", err)
	}
	return a, nil
}

// DecideAppeal ends an open appeal. It reports false if it was not open any
// more.
func (tx *Tx) DecideAppeal(ctx context.Context, id int64, to AppealState, operator int64, reason string, at time.Time) (bool, error) {
	res := tx.db.WithContext(ctx).Model(&Appeal{}).Where("id = ? AND state = ?", id, AppealOpen).
		UpdateColumns(map[string]any{"state": to, "pending": nil, "decided_by": operator, "decided_at": moment(at), "reason": reason})
	if res.Error != nil {
		return false, fmt.Errorf("decide appeal: %w", res.Error)
	}
	return res.RowsAffected == 1, nil
}

// Appeal returns one appeal, or ErrNotFound.
func (tx *Tx) Appeal(ctx context.Context, id int64) (Appeal, error) {
	var a Appeal
	err := one(tx.db.WithContext(ctx).Take(&a, id), "look up appeal")
	return a, err
}

// An AppealFilter narrows Appeals. Zero fields do not narrow.
type AppealFilter struct {
	MemberID int64
	StrikeID int64
	Open     bool      // only open ones
	Decided  bool      // only the others
	Since    time.Time // made at this time or later
	Before   int64     // only appeals with a smaller number
	Limit    int
}

func (tx *Tx) appeals(ctx context.Context, f AppealFilter) *gorm.DB {
	where := map[string]any{}
	if f.MemberID != 0 {
		where["member_id"] = f.MemberID
	}
	if f.StrikeID != 0 {
		where["strike_id"] = f.StrikeID
	}
	q := tx.db.WithContext(ctx).Model(&Appeal{}).Where(where)
	if f.Open {
		q = q.Where("state = ?", AppealOpen)
	}
	if f.Decided {
		q = q.Where("state <> ?", AppealOpen)
	}
	if !f.Since.IsZero() {
		q = q.Where("at >= ?", moment(f.Since))
	}
	return q
}

// Appeals returns appeals, the newest first.
func (tx *Tx) Appeals(ctx context.Context, f AppealFilter) ([]Appeal, error) {
	q := tx.appeals(ctx, f)
	if f.Before > 0 {
		q = q.Where("id < ?", f.Before)
	}
	var list []Appeal
	if err := q.Order("id DESC").Limit(f.Limit).Find(&list).Error; err != nil {
		return nil, fmt.Errorf("list appeals: %w", err)
	}
	return list, nil
}

// CountAppeals returns how many appeals there are; Before and Limit do not
// count.
func (tx *Tx) CountAppeals(ctx context.Context, f AppealFilter) (n int64, err error) {
	if err := tx.appeals(ctx, f).Count(&n).Error; err != nil {
		return 0, fmt.Errorf("count appeals: %w", err)
	}
	return n, nil
}

// AppealsOfStrikes returns the newest appeal of each strike that has one.
func (tx *Tx) AppealsOfStrikes(ctx context.Context, strikes []int64) (map[int64]Appeal, error) {
	var list []Appeal
	if err := tx.db.WithContext(ctx).Where("strike_id IN ?", strikes).Order("id").Find(&list).Error; err != nil {
		return nil, fmt.Errorf("list appeals of strikes: %w", err)
	}
	newest := map[int64]Appeal{}
	for _, a := range list {
		newest[a.StrikeID] = a
	}
	return newest, nil
}

// BlankAppeals empties the texts of appeals decided before a time, and returns
// how many there were.
func (tx *Tx) BlankAppeals(ctx context.Context, before time.Time) (int64, error) {
	res := tx.db.WithContext(ctx).Model(&Appeal{}).Where("decided_at < ? AND text <> ''", moment(before)).UpdateColumn("text", "")
	if res.Error != nil {
		return 0, fmt.Errorf("blank appeals: %w", res.Error)
	}
	return res.RowsAffected, nil
}

// EraseAppeals deletes a member's appeals.
func (tx *Tx) EraseAppeals(ctx context.Context, member int64) error {
	if err := tx.db.WithContext(ctx).Where("member_id = ?", member).Delete(&Appeal{}).Error; err != nil {
		return fmt.Errorf("erase appeals: %w", err)
	}
	return nil
}
