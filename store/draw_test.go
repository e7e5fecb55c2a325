package store_test

import (
	"errors"
	"testing"
	"time"

	"qunbot/store"
	"qunbot/store/storetest"
)

func TestDraws(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		now := time.Date(2025, 3, 1, 4, 0, 0, 0, time.UTC)
		deadline := now.Add(8 * time.Hour)
		var d store.Draw
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			ctx := tx.Context()
			for mall, want := range map[int64]int64{1: 1, 2: 1} { // numbers are the mall's own
				if n, err := tx.NextDrawNumber(ctx, mall); n != want || err != nil {
					t.Errorf("NextDrawNumber(%d) = %d, %v, want %d", mall, n, err, want)
				}
			}
			if n, err := tx.NextDrawNumber(ctx, 1); n != 2 || err != nil {
				t.Errorf("NextDrawNumber(1) again = %d, %v, want 2", n, err)
			}
			d = store.Draw{PublicID: "k3J9xQ2mPa", MallID: 1, Number: 1, Name: "大奖", State: store.DrawOpen, Rules: "{}", Deadline: &deadline, Cost: 5, CreatedAt: now}
			return tx.AddDraw(ctx, &d)
		})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(t.Context(), func(tx *store.Tx) error {
			ctx := tx.Context()
			if _, err := tx.DrawByPublicID(ctx, "K3J9XQ2MPA"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("another case of the id: %v, want ErrNotFound", err)
			}
			for n, member := range []int64{11, 12, 13} {
				err := tx.AddDrawEntry(ctx, store.DrawEntry{DrawID: d.ID, Number: n + 1, MemberID: &member, Code: "abcdef01", At: now}, "chain")
				if err != nil {
					return err
				}
			}
			if due, err := tx.DueDraws(ctx, deadline.Add(-time.Millisecond), 10); len(due) != 0 || err != nil {
				t.Errorf("before the deadline %d are due, %v", len(due), err)
			}
			due, err := tx.DueDraws(ctx, deadline, 10)
			if len(due) != 1 || due[0].Entries != 3 || due[0].Chain != "chain" {
				t.Errorf("at the deadline due = %+v", due)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		// Each of these is refused and leaves no row; MySQL, too, rolls back.
		for what, e := range map[string]store.DrawEntry{
			"a number that was given": {DrawID: d.ID, Number: 3, MemberID: new(int64(14))},
			"a member who entered":    {DrawID: d.ID, Number: 4, MemberID: new(int64(12))},
			"a gap":                   {DrawID: d.ID, Number: 5, MemberID: new(int64(14))},
		} {
			err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.AddDrawEntry(tx.Context(), e, "other") })
			if !errors.Is(err, store.ErrExists) {
				t.Errorf("%s: %v, want ErrExists", what, err)
			}
		}
		err = db.Update(t.Context(), func(tx *store.Tx) error {
			ctx := tx.Context()
			steps := []struct {
				name string
				do   func() (bool, error)
				want bool
			}{
				{"value of an open draw", func() (bool, error) { return tx.SetDrawValue(ctx, d.ID, "1", now) }, false},
				{"draw an open draw", func() (bool, error) { return tx.MarkDrawn(ctx, d.ID, now) }, false},
				{"close", func() (bool, error) { return tx.CloseDraw(ctx, d.ID, now) }, true},
				{"close again", func() (bool, error) { return tx.CloseDraw(ctx, d.ID, now) }, false},
				{"value", func() (bool, error) { return tx.SetDrawValue(ctx, d.ID, "517", now) }, true},
				{"value again", func() (bool, error) { return tx.SetDrawValue(ctx, d.ID, "518", now) }, false},
				{"draw", func() (bool, error) { return tx.MarkDrawn(ctx, d.ID, now) }, true},
				{"draw again", func() (bool, error) { return tx.MarkDrawn(ctx, d.ID, now) }, false},
				{"cancel what is drawn", func() (bool, error) { return tx.CancelDraw(ctx, d.ID, "x", now) }, false},
			}
			for _, s := range steps {
				if got, err := s.do(); got != s.want || err != nil {
					t.Errorf("%s = %v, %v, want %v", s.name, got, err, s.want)
				}
			}
			err := tx.AddDrawEntry(ctx, store.DrawEntry{DrawID: d.ID, Number: 4, MemberID: new(int64(15))}, "other")
			if !errors.Is(err, store.ErrExists) {
				t.Errorf("entering a drawn draw: %v, want ErrExists", err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestDrawWins(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		now := time.Date(2025, 3, 1, 4, 0, 0, 0, time.UTC)
		until := now.Add(time.Hour)
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			ctx := tx.Context()
			d := store.Draw{PublicID: "k3J9xQ2mPa", MallID: 1, Number: 1, State: store.DrawDrawn, CreatedAt: now}
			if err := tx.AddDraw(ctx, &d); err != nil {
				return err
			}
			err := tx.AddDrawWins(ctx, []store.DrawWin{
				{DrawID: d.ID, Place: 1, Entry: 7, MemberID: new(int64(11)), Prize: 1, State: store.WinOpen, ClaimUntil: &until, WonAt: &now, Code: "AAAAAAAAAA"},
				{DrawID: d.ID, Place: 2, Entry: 3, MemberID: new(int64(12)), State: store.WinWaiting, Code: "BBBBBBBBBB"},
			})
			if err != nil {
				return err
			}
			if _, err := tx.DrawWinByCode(ctx, "BBBBBBBBBB"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("an alternate's code: %v, want ErrNotFound", err)
			}
			w, err := tx.DrawWinByCode(ctx, "AAAAAAAAAA")
			if err != nil {
				return err
			}
			if done, _ := tx.ClaimDrawWin(ctx, w.ID, 1, until); done {
				t.Error("claimed when its time was over")
			}
			if done, _ := tx.LapseDrawWin(ctx, w.ID, until.Add(-time.Second)); done {
				t.Error("lapsed before its time")
			}
			if won, err := tx.LastDrawWin(ctx, 11, 1); !won.Equal(now) || err != nil {
				t.Errorf("LastDrawWin = %v, %v", won, err)
			}
			if _, err := tx.LastDrawWin(ctx, 11, 2); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("LastDrawWin in another mall: %v, want ErrNotFound", err)
			}
			if done, err := tx.LapseDrawWin(ctx, w.ID, until); !done || err != nil {
				t.Errorf("LapseDrawWin = %v, %v", done, err)
			}
			if done, _ := tx.ClaimDrawWin(ctx, w.ID, 1, now); done {
				t.Error("claimed after it lapsed")
			}
			if _, err := tx.LastDrawWin(ctx, 11, 1); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("LastDrawWin of a lapsed prize: %v, want ErrNotFound", err)
			}
			next, err := tx.PromoteDrawWin(ctx, d.ID, 1, until, until.Add(time.Hour))
			if err != nil || next.Entry != 3 || next.Prize != 1 {
				t.Errorf("PromoteDrawWin = %+v, %v", next, err)
			}
			if _, err := tx.PromoteDrawWin(ctx, d.ID, 1, until, until); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("PromoteDrawWin without alternates: %v, want ErrNotFound", err)
			}
			if done, err := tx.ClaimDrawWin(ctx, next.ID, 5, until); !done || err != nil {
				t.Errorf("ClaimDrawWin = %v, %v", done, err)
			}
			if done, _ := tx.ClaimDrawWin(ctx, next.ID, 5, until); done {
				t.Error("claimed twice")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
