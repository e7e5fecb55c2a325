package store_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"qunbot/store"
	"qunbot/store/storetest"
)

func TestApprovals(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		end := noon.Add(time.Hour)
		ask := store.Approval{Key: "news:item 1:a", Kind: "news", Object: "item 1", Title: "资讯", Text: "招聘刷单员 🎁", Hits: "刷单",
			Data: "{}", AuthorID: 7, AskedAt: noon, ExpiresAt: &end, State: store.Approved, DecidedBy: 9}
		other := store.Approval{Key: "news:item 1:A", Kind: "news", Object: "item 1", Text: "另一段", AskedAt: noon}
		update(t, db, func(tx *store.Tx) error {
			ctx := tx.Context()
			a, added, err := tx.AddApproval(ctx, ask)
			if err != nil || !added || a.State != store.Waiting || a.DecidedBy != 0 {
				t.Errorf("AddApproval = %+v, %t, %v, want it to wait", a, added, err)
			}
			again, added, err := tx.AddApproval(ctx, ask)
			if err != nil || added || again.ID != a.ID || again.Text != ask.Text || !again.ExpiresAt.Equal(end) {
				t.Errorf("AddApproval again = %+v, %t, %v, want the stored one", again, added, err)
			}
			if b, added, err := tx.AddApproval(ctx, other); err != nil || !added || b.ID == a.ID {
				t.Errorf("AddApproval under a key in other case = %+v, %t, %v, want another", b, added, err)
			}
			for _, step := range []struct {
				what string
				to   store.ApprovalState
				at   time.Time
				want bool
			}{
				{"too late", store.Approved, end, false},
				{"in time", store.Approved, end.Add(-time.Second), true},
				{"twice", store.Refused, noon, false},
			} {
				if got, err := tx.DecideApproval(ctx, a.ID, step.to, 9, "好", step.at); err != nil || got != step.want {
					t.Errorf("%s: DecideApproval = %t, %v, want %t", step.what, got, err, step.want)
				}
			}
			if again, err := tx.AskAgain(ctx, a); err != nil || again {
				t.Errorf("AskAgain of an approved one = %t, %v, want false", again, err)
			}
			if err := tx.EndApproval(ctx, a.ID, "没有了"); err != nil {
				return err
			}
			a.Hits, a.AuthorID = "别的", 8
			if again, err := tx.AskAgain(ctx, a); err != nil || !again {
				t.Errorf("AskAgain = %t, %v", again, err)
			}
			if n, err := tx.ExpireApprovalsOf(ctx, "news", "item 1", a.Key, "改过了", noon); err != nil || n != 1 {
				t.Errorf("ExpireApprovalsOf = %d, %v, want the other one", n, err)
			}
			late, err := tx.OverdueApprovals(ctx, end.Add(-time.Second), 10)
			if err != nil || len(late) != 0 {
				t.Errorf("OverdueApprovals too early = %v, %v", late, err)
			}
			late, err = tx.OverdueApprovals(ctx, end, 10)
			if err != nil || len(late) != 1 || late[0].ID != a.ID || late[0].Hits != "别的" || late[0].DecidedBy != 0 || late[0].Reason != "" {
				t.Errorf("OverdueApprovals = %+v, %v, want the one that waits, asked anew", late, err)
			}
			if ended, err := tx.DecideApproval(ctx, a.ID, store.Expired, 0, "过期", end.Add(time.Hour)); err != nil || !ended {
				t.Errorf("DecideApproval(Expired) = %t, %v", ended, err)
			}
			for f, want := range map[store.ApprovalFilter]int64{{}: 2, {Waiting: true}: 0, {Decided: true}: 2} {
				n, err := tx.CountApprovals(ctx, f)
				if f.Limit = 10; err != nil || n != want {
					t.Errorf("CountApprovals(%+v) = %d, %v, want %d", f, n, err, want)
				}
				if list, err := tx.Approvals(ctx, f); err != nil || int64(len(list)) != want {
					t.Errorf("Approvals(%+v) = %v, %v, want %d", f, list, err, want)
				}
			}
			if list, err := tx.Approvals(ctx, store.ApprovalFilter{Before: 2, Limit: 10}); err != nil || len(list) != 1 {
				t.Errorf("Approvals before the second = %v, %v", list, err)
			}
			if _, err := tx.Approval(ctx, 99); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("Approval(99) = %v", err)
			}
			return nil
		})
	})
}

func TestAppeals(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		update(t, db, func(tx *store.Tx) error {
			ctx := tx.Context()
			a, err := tx.AddAppeal(ctx, store.Appeal{StrikeID: 5, MemberID: 3, Text: "冤枉 🎁", At: noon})
			if err != nil || a.ID == 0 || a.State != store.AppealOpen {
				t.Errorf("AddAppeal = %+v, %v", a, err)
			}
			if _, err := tx.AddAppeal(ctx, store.Appeal{StrikeID: 5, MemberID: 3, Text: "真的", At: noon}); !errors.Is(err, store.ErrExists) {
				t.Errorf("a second open appeal = %v, want ErrExists", err)
			}
			if done, err := tx.DecideAppeal(ctx, a.ID, store.AppealDeclined, 9, "不行", noon.Add(time.Hour)); err != nil || !done {
				t.Errorf("DecideAppeal = %t, %v", done, err)
			}
			if done, err := tx.DecideAppeal(ctx, a.ID, store.AppealUpheld, 9, "", noon); err != nil || done {
				t.Errorf("DecideAppeal twice = %t, %v, want false", done, err)
			}
			b, err := tx.AddAppeal(ctx, store.Appeal{StrikeID: 5, MemberID: 3, Text: "真的", At: noon.Add(time.Hour)})
			if err != nil || b.ID == a.ID {
				t.Errorf("AddAppeal after a decision = %+v, %v", b, err)
			}
			newest, err := tx.AppealsOfStrikes(ctx, []int64{5, 6})
			if err != nil || len(newest) != 1 || newest[5].ID != b.ID {
				t.Errorf("AppealsOfStrikes = %+v, %v, want the newest", newest, err)
			}
			for _, tt := range []struct {
				f    store.AppealFilter
				want int64
			}{
				{store.AppealFilter{}, 2}, {store.AppealFilter{Open: true}, 1}, {store.AppealFilter{Decided: true}, 1},
				{store.AppealFilter{MemberID: 4}, 0}, {store.AppealFilter{StrikeID: 5, Since: noon.Add(time.Minute)}, 1},
			} {
				n, err := tx.CountAppeals(ctx, tt.f)
				if tt.f.Limit = 10; err != nil || n != tt.want {
					t.Errorf("CountAppeals(%+v) = %d, %v, want %d", tt.f, n, err, tt.want)
				}
				if list, err := tx.Appeals(ctx, tt.f); err != nil || int64(len(list)) != tt.want {
					t.Errorf("Appeals(%+v) = %v, %v, want %d", tt.f, list, err, tt.want)
				}
			}
			if n, err := tx.BlankAppeals(ctx, noon.Add(2*time.Hour)); err != nil || n != 1 {
				t.Errorf("BlankAppeals = %d, %v, want the decided one", n, err)
			}
			if kept, err := tx.Appeal(ctx, a.ID); err != nil || kept.Text != "" || kept.Reason != "不行" {
				t.Errorf("after BlankAppeals: %+v, %v", kept, err)
			}
			if err := tx.EraseAppeals(ctx, 3); err != nil {
				return err
			}
			_, err = tx.Appeal(ctx, a.ID)
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("after EraseAppeals: %v", err)
			}
			return nil
		})
	})
}

// Of those who decide at once one does, on both databases.
func TestOneDecides(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		update(t, db, func(tx *store.Tx) error {
			if _, _, err := tx.AddApproval(tx.Context(), store.Approval{Key: "k", Kind: "news", Object: "o", AskedAt: noon}); err != nil {
				return err
			}
			_, err := tx.AddAppeal(tx.Context(), store.Appeal{StrikeID: 5, MemberID: 3, At: noon})
			return err
		})
		var approved, appealed atomic.Int32
		var all sync.WaitGroup
		for i := range int64(8) {
			all.Go(func() {
				var one, two bool
				err := db.Update(t.Context(), func(tx *store.Tx) (err error) {
					if one, err = tx.DecideApproval(tx.Context(), 1, store.Approved, i+1, "", noon); err != nil {
						return err
					}
					two, err = tx.DecideAppeal(tx.Context(), 1, store.AppealUpheld, i+1, "", noon)
					return err
				})
				if err != nil {
					t.Error(err)
				}
				if one {
					approved.Add(1)
				}
				if two {
					appealed.Add(1)
				}
			})
		}
		all.Wait()
		if approved.Load() != 1 || appealed.Load() != 1 {
			t.Errorf("%d approved and %d decided the appeal, want one each", approved.Load(), appealed.Load())
		}
	})
}
