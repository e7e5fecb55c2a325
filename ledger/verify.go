package ledger

import (
	"context"
	"fmt"

	"qunbot/store"
)

// Verify proves that for every member the entries, the lots and the balance
// have the same sum, and that every lot holds what was earned less what was
// used. It returns a line for each member or lot where that is not so.
func Verify(ctx context.Context, db *store.Store) (members int64, problems []string, err error) {
	err = db.View(ctx, func(tx *store.Tx) error {
		members, problems = 0, nil
		if members, err = tx.CountAccounts(tx.Context()); err != nil {
			return err
		}
		sums, err := tx.UnbalancedAccounts(tx.Context())
		if err != nil {
			return err
		}
		for _, s := range sums {
			problems = append(problems, fmt.Sprintf("member %d: entries %d, lots %d, balance %d", s.MemberID, s.Entries, s.Lots, s.Balance))
		}
		lots, err := tx.UnbalancedLots(tx.Context())
		if err != nil {
			return err
		}
		for _, l := range lots {
			problems = append(problems, fmt.Sprintf("lot %d of member %d: earned %d, used %d, remaining %d", l.ID, l.MemberID, l.Earned, l.Used, l.Remaining))
		}
		return nil
	})
	return members, problems, err
}
