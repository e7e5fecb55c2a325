package moderation

import (
	"errors"
	"time"
)

// Rules say what strikes lead to. Operators change them in the console.
type Rules struct {
	Window    int   `json:"window"`     // days in which strikes add up
	DeductAt  int   `json:"deduct_at"`  // from this strike on, points are deducted; 0: never
	Deduct    int64 `json:"deduct"`     // points, or what there is if that is less
	SuspendAt int   `json:"suspend_at"` // from this strike on, the member is suspended instead; 0: never
	Suspend   int   `json:"suspend"`    // days
}

var defaultRules = Rules{Window: 30, DeductAt: 2, Deduct: 10, SuspendAt: 3, Suspend: 7}

const day = 24 * time.Hour

// A penalty is what a strike leads to besides the warning.
type penalty struct {
	deduct  int64         // points
	suspend time.Duration // from draws and points
}

// penaltyOf returns what a member's n-th strike within the window leads to.
func (r Rules) penaltyOf(n int) penalty {
	switch {
	case r.SuspendAt > 0 && n >= r.SuspendAt:
		return penalty{suspend: time.Duration(r.Suspend) * day}
	case r.DeductAt > 0 && n >= r.DeductAt:
		return penalty{deduct: r.Deduct}
	}
	return penalty{}
}

// windowOf returns the time after which strikes add up with one of the given
// time.
func (r Rules) windowOf(at time.Time) (after time.Time) {
	return at.Add(-time.Duration(r.Window) * day)
}

// taken returns the points that a deduction takes from a balance: never more
// than there is.
func taken(deduct, balance int64) int64 { return max(0, min(deduct, balance)) }

// check says what is wrong with rules, or nil.
func (r Rules) check() error {
	switch {
	case r.Window < 1 || r.Window > 365:
		return errors.New("统计的天数要在 1 到 365 之间。")
	case r.DeductAt < 0 || r.DeductAt > 100 || r.SuspendAt < 0 || r.SuspendAt > 100:
		return errors.New("第几次要在 1 到 100 之间，0 是从不。")
	case r.DeductAt > 0 && (r.Deduct < 1 || r.Deduct > 100_000):
		return errors.New("扣的积分要在 1 到 100000 之间。")
	case r.SuspendAt > 0 && (r.Suspend < 1 || r.Suspend > 365):
		return errors.New("停用的天数要在 1 到 365 之间。")
	case r.SuspendAt > 0 && r.DeductAt >= r.SuspendAt:
		return errors.New("扣分要比停用早，否则永远轮不到它；不要扣分就写 0。")
	}
	return nil
}
