package points

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"qunbot/ledger"
	"qunbot/scheduler"
	"qunbot/store"
)

// expireJob books expired points, so that balances are true in the morning.
func (f *feature) expireJob() scheduler.Job {
	return scheduler.Job{Name: "points.expire", Title: "积分过期", Schedule: scheduler.Daily(0, 10), Missed: scheduler.RunOnce, Run: f.expire}
}

// expire books the lots that expired until due, 100 members a transaction.
func (f *feature) expire(ctx context.Context, due time.Time) error {
	for {
		var members []int64
		err := f.Store.Update(ctx, func(tx *store.Tx) (err error) {
			if members, err = tx.MembersWithExpiredLots(tx.Context(), due, 100); err != nil {
				return err
			}
			if len(members) == 0 {
				return nil
			}
			if err := tx.LockAccounts(tx.Context(), members); err != nil {
				return err
			}
			for _, m := range members {
				if _, err := ledger.Settle(tx.Context(), tx, m, due); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || len(members) == 0 {
			return err
		}
	}
}

// verifyJob proves the balances each night.
func (f *feature) verifyJob() scheduler.Job {
	return scheduler.Job{Name: "ledger.verify", Title: "核对积分账", Schedule: scheduler.Daily(3, 30), Missed: scheduler.RunOnce, Run: f.verify}
}

// verify tells the staff what is wrong with the books, and returns it as an
// error: an operator has to look.
func (f *feature) verify(ctx context.Context, _ time.Time) error {
	members, problems, err := ledger.Verify(ctx, f.Store)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		first := problems[:min(3, len(problems))]
		err := f.Store.Update(ctx, func(tx *store.Tx) error {
			return f.notify(tx.Context(), tx, store.Key("ledger", store.DayOf(f.Now(), f.Zone)),
				fmt.Sprintf("积分账有 %d 处对不上，请管理员运行 qunbot ledger verify 看全部。前几处：\n%s", len(problems), strings.Join(first, "\n")))
		})
		return errors.Join(fmt.Errorf("%d problems in %d accounts: %q", len(problems), members, first), err)
	}
	f.Log.Info("ledger verified", "accounts", members)
	return nil
}
