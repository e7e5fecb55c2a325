package store_test

import (
	"errors"
	"testing"
	"time"

	"qunbot/store"
	"qunbot/store/storetest"
)

func TestMonthlyTexts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		want := store.MonthlyText{MallID: 3, Text: "{{.Month}} 🎁", DayOfMonth: 31, Hour: 9, Enabled: true, Since: noon, OperatorID: 1, UpdatedAt: noon}
		post := store.MonthlyPost{MallID: 3, Month: "2026-11", Problem: "没有能发的群", UpdatedAt: noon}
		for range 2 {
			update(t, db, func(tx *store.Tx) error {
				ctx := tx.Context()
				if err := tx.SetMonthlyText(ctx, want); err != nil {
					return err
				}
				got, err := tx.MonthlyText(ctx, 3)
				if err != nil || got.Text != want.Text || got.DayOfMonth != 31 || got.Enabled != want.Enabled || !got.Since.Equal(noon) || !got.UpdatedAt.Equal(want.UpdatedAt) {
					t.Errorf("MonthlyText = %+v, %v, want %+v", got, err, want)
				}
				if err := tx.SetMonthlyPost(ctx, post); err != nil {
					return err
				}
				p, err := tx.MonthlyPost(ctx, 3, "2026-11")
				if err != nil || p.Problem != post.Problem || p.Groups != post.Groups {
					t.Errorf("MonthlyPost = %+v, %v, want %+v", p, err, post)
				}
				return nil
			})
			want.Enabled, want.UpdatedAt = false, noon.Add(time.Hour)
			post.Problem, post.Groups = "", 2
		}
		update(t, db, func(tx *store.Tx) error {
			if _, err := tx.MonthlyText(tx.Context(), 4); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("MonthlyText of another mall = %v, want %v", err, store.ErrNotFound)
			}
			if list, err := tx.MonthlyTexts(tx.Context()); len(list) != 1 || err != nil {
				t.Errorf("MonthlyTexts = %v, %v, want one", list, err)
			}
			if list, err := tx.MonthlyPosts(tx.Context(), 3, 5); len(list) != 1 || err != nil {
				t.Errorf("MonthlyPosts = %v, %v, want one", list, err)
			}
			return nil
		})
	})
}

func TestMallFacts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		update(t, db, func(tx *store.Tx) error {
			ctx := tx.Context()
			for chat, mall := range map[string]int64{"wrk1": 1, "wrk2": 1, "wrk3": 2} {
				if _, err := tx.AddGroup(ctx, store.Group{ChatID: chat, Kind: store.InternalGroup, MallID: mall, CreatedAt: noon}); err != nil {
					return err
				}
			}
			groups, err := tx.GroupsByChat(ctx, []string{"wrk1", "wrk2", "wrk3"})
			if err != nil {
				return err
			}
			one, two, other := groups["wrk1"].ID, groups["wrk2"].ID, groups["wrk3"].ID
			err = tx.AddGroupMembers(ctx, []store.GroupMember{{GroupID: one, MemberID: 1}, {GroupID: two, MemberID: 1}, {GroupID: two, MemberID: 2}, {GroupID: other, MemberID: 3}})
			if err != nil {
				return err
			}
			for _, c := range []store.CheckIn{{MemberID: 1, Day: "2026-11-01", Streak: 1, GroupID: one, At: noon}, {MemberID: 2, Day: "2026-11-30", Streak: 1, GroupID: two, At: noon},
				{MemberID: 2, Day: "2026-12-01", Streak: 1, GroupID: two, At: noon}, {MemberID: 3, Day: "2026-11-02", Streak: 1, GroupID: other, At: noon}} {
				if _, err := tx.AddCheckIn(ctx, c); err != nil {
					return err
				}
			}
			if n, err := tx.MallMembers(ctx, 1); n != 2 || err != nil {
				t.Errorf("MallMembers = %d, %v, want 2", n, err)
			}
			if n, err := tx.MallCheckIns(ctx, 1, "2026-11-01", "2026-11-30"); n != 2 || err != nil {
				t.Errorf("MallCheckIns = %d, %v, want 2", n, err)
			}
			if n, err := tx.MallEarned(ctx, 1, noon, noon.Add(time.Hour)); n != 0 || err != nil {
				t.Errorf("MallEarned without entries = %d, %v, want 0", n, err)
			}
			return nil
		})
	})
}
