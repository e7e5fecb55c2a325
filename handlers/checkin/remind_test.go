package checkin_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"qunbot/handlers"
	"qunbot/handlers/checkin"
	"qunbot/store"
	"qunbot/store/storetest"
)

// In the evening, groups in which nobody has checked in today are told, once a
// day; a place that two groups share is told if both were quiet.
func TestRemind(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) // 20:00 in Asia/Shanghai
		d := handlers.Deps{Store: db, Now: func() time.Time { return now }, Zone: db.Zone(), Log: slog.New(slog.DiscardHandler)}
		job := checkin.New(d).Jobs[0]
		update := func(fn func(ctx context.Context, tx *store.Tx) error) {
			t.Helper()
			if err := db.Update(t.Context(), func(tx *store.Tx) error { return fn(tx.Context(), tx) }); err != nil {
				t.Fatal(err)
			}
		}
		checkIn := func(group int64, day store.Day) {
			update(func(ctx context.Context, tx *store.Tx) error {
				m, err := tx.MembersOf(ctx, []store.Identity{{Kind: store.UserID, Value: fmt.Sprint("m", group)}}, now)
				if err != nil {
					return err
				}
				_, err = tx.AddCheckIn(ctx, store.CheckIn{MemberID: m[0].ID, Day: day, Streak: 1, GroupID: group, At: now})
				return err
			})
		}
		reminded := func() (lanes []string) {
			t.Helper()
			if err := job.Run(t.Context(), now); err != nil {
				t.Fatal(err)
			}
			err := db.View(t.Context(), func(tx *store.Tx) error {
				posts, err := tx.Posts(tx.Context(), store.PostFilter{Limit: 100, Oldest: true})
				for _, p := range posts {
					lanes = append(lanes, p.Lane)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return lanes
		}
		// Groups 1, 2, 3 have webhooks of their own, 4 and 5 share one, 6 has none.
		for i, hook := range []string{"a", "b", "c", "d", "d", ""} {
			update(func(ctx context.Context, tx *store.Tx) error {
				chat := fmt.Sprint("wrk", i)
				if _, err := tx.AddGroup(ctx, store.Group{ChatID: chat, Kind: store.InternalGroup, CreatedAt: now}); err != nil || hook == "" {
					return err
				}
				g, err := tx.GroupsByChat(ctx, []string{chat})
				if err != nil {
					return err
				}
				return tx.SetWebhook(ctx, g[chat].ID, hook, now)
			})
		}
		checkIn(2, "2026-11-21")
		checkIn(3, "2026-11-20") // yesterday
		checkIn(5, "2026-11-21")
		want := []string{"webhook/1", "webhook/3"}
		if got := reminded(); !slices.Equal(got, want) {
			t.Errorf("reminded %v, want %v", got, want)
		}
		if got := reminded(); !slices.Equal(got, want) {
			t.Errorf("once more: %v, want %v", got, want)
		}
		now = now.AddDate(0, 0, 1)
		want = append(want, "webhook/1", "webhook/2", "webhook/3", "webhook/4")
		if got := reminded(); !slices.Equal(got, want) {
			t.Errorf("the next day: %v, want %v", got, want)
		}
	})
}
