package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"qunbot/store"
	"qunbot/store/storetest"
)

// What the service notes about itself, and how it looks at its outbox.
func TestWatch(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		at := time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC)
		do := func(f func(ctx context.Context, tx *store.Tx) error) {
			t.Helper()
			if err := db.Update(t.Context(), func(tx *store.Tx) error { return f(tx.Context(), tx) }); err != nil {
				t.Fatal(err)
			}
		}
		do(func(ctx context.Context, tx *store.Tx) error {
			missing, err := tx.MissingMigrations(ctx)
			if missing != 0 {
				t.Errorf("MissingMigrations = %d, want 0", missing)
			}
			return err
		})
		do(func(ctx context.Context, tx *store.Tx) error {
			clock, err := tx.Clock(ctx)
			if !db.Shared() && errors.Is(err, store.ErrNotFound) {
				return nil
			}
			if off := time.Since(clock).Abs(); off > time.Minute {
				t.Errorf("Clock = %v, %v from this machine's", clock, off)
			}
			return err
		})

		// A process beats again and again, and is one row.
		do(func(ctx context.Context, tx *store.Tx) error {
			r := store.Replica{Name: "a/1 X", Host: "a", StartedAt: at, BeatAt: at}
			if err := tx.PutReplica(ctx, r); err != nil {
				return err
			}
			r.BeatAt, r.Answers, r.MeanAnswer, r.Stopped = at.Add(time.Minute), 7, 3*time.Millisecond, true
			if err := tx.PutReplica(ctx, r); err != nil {
				return err
			}
			list, err := tx.Replicas(ctx)
			if len(list) != 1 || !list[0].BeatAt.Equal(r.BeatAt) || list[0].Answers != 7 || list[0].MeanAnswer != r.MeanAnswer || !list[0].Stopped {
				t.Errorf("Replicas = %+v, want %+v", list, r)
			}
			return err
		})

		// The same outage is stored once.
		do(func(ctx context.Context, tx *store.Tx) error {
			o := store.Outage{BeganAt: at, EndedAt: at.Add(time.Minute)}
			for i, want := range []bool{true, false} {
				o.EndedAt = o.EndedAt.Add(time.Duration(i) * time.Second)
				added, err := tx.AddOutage(ctx, o)
				if err != nil || added != want {
					t.Errorf("AddOutage #%d = %v, %v, want %v", i, added, err, want)
				}
			}
			list, err := tx.Outages(ctx, at)
			if len(list) != 1 || list[0].Took() != time.Minute {
				t.Errorf("Outages = %+v, want one of a minute", list)
			}
			return err
		})

		// An alert is open once, and can begin again when it has ended.
		var id int64
		do(func(ctx context.Context, tx *store.Tx) (err error) {
			a := store.Alert{Name: "ledger", Title: "积分账", BeganAt: at, SeenAt: at, ToldAt: at}
			var added bool
			if id, added, err = tx.AddAlert(ctx, a); err != nil || !added {
				t.Errorf("AddAlert = %v, %v, want it added", added, err)
			}
			if _, added, err := tx.AddAlert(ctx, a); err != nil || added {
				t.Errorf("AddAlert of an open one = %v, %v, want it left", added, err)
			}
			for i, want := range []bool{true, false} {
				if done, err := tx.AckAlert(ctx, id, 5, at); err != nil || done != want {
					t.Errorf("AckAlert #%d = %v, %v, want %v", i, done, err, want)
				}
			}
			ended := at.Add(time.Hour)
			a.ID, a.EndedAt = id, &ended
			if err := tx.SetAlert(ctx, a); err != nil {
				return err
			}
			a.ID, a.EndedAt = 0, nil
			if _, added, err := tx.AddAlert(ctx, a); err != nil || !added {
				t.Errorf("AddAlert of one that had ended = %v, %v, want it added", added, err)
			}
			return nil
		})
		do(func(ctx context.Context, tx *store.Tx) error {
			open, err := tx.OpenAlerts(ctx)
			if err != nil {
				return err
			}
			ended, err := tx.EndedAlerts(ctx, 10)
			if len(open) != 1 || open[0].ID == id || len(ended) != 1 || ended[0].ID != id || ended[0].AckedBy != 5 {
				t.Errorf("open %+v, ended %+v", open, ended)
			}
			if err := tx.PruneWatch(ctx, at.AddDate(1, 0, 0)); err != nil {
				return err
			}
			open, _ = tx.OpenAlerts(ctx)
			ended, _ = tx.EndedAlerts(ctx, 10)
			outages, _ := tx.Outages(ctx, at)
			if len(open) != 1 || len(ended)+len(outages) != 0 {
				t.Errorf("after PruneWatch: open %+v, ended %+v, outages %+v; want the open alert alone", open, ended, outages)
			}
			return err
		})

		// Posts: one waits in a lane nobody takes, one in a lane that is served,
		// one is not due, one is unknown, and many were sent.
		do(func(ctx context.Context, tx *store.Tx) error {
			for _, p := range []store.Post{
				{Key: "stuck", Lane: "webhook/1", DueAt: at.Add(-time.Hour), Delivery: store.AtMostOnce},
				{Key: "served", Lane: "webhook/2", DueAt: at.Add(-2 * time.Hour), Delivery: store.AtMostOnce},
				{Key: "later", Lane: "webhook/3", DueAt: at.Add(time.Hour), Delivery: store.AtMostOnce},
				{Key: "doubt", Lane: "webhook/4", DueAt: at.Add(-time.Hour), Delivery: store.AtMostOnce},
				{Key: "sent", Lane: "webhook/4", DueAt: at.Add(-time.Hour), Delivery: store.AtMostOnce},
			} {
				if _, err := tx.AddPost(ctx, p); err != nil {
					return err
				}
			}
			if err := tx.AddLanes(ctx, []string{"webhook/1", "webhook/2", "webhook/4"}, at.Add(-time.Hour)); err != nil {
				return err
			}
			if _, err := tx.ClaimLanes(ctx, []string{"webhook/2"}, "me", at.Add(-time.Minute), at.Add(time.Minute)); err != nil {
				return err
			}
			for key, state := range map[string]store.PostState{"doubt": store.PostUnknown, "sent": store.PostSent} {
				p, err := tx.PostByKey(ctx, key)
				if err != nil {
					return err
				}
				if err := tx.StartPosts(ctx, []int64{p.ID}); err != nil {
					return err
				}
				ended := at.Add(-30 * time.Minute)
				p.State, p.EndedAt = state, &ended
				if _, err := tx.SettlePost(ctx, p); err != nil {
					return err
				}
			}
			return nil
		})
		do(func(ctx context.Context, tx *store.Tx) error {
			d, err := tx.OutboxDepth(ctx, at)
			if d.Posts[store.PostQueued] != 3 || d.Posts[store.PostUnknown] != 1 || len(d.Posts) != 3 ||
				!d.OldestDue.Equal(at.Add(-2*time.Hour)) || !d.OldestUnknown.Equal(at.Add(-30*time.Minute)) {
				t.Errorf("OutboxDepth = %+v", d)
			}
			if err != nil {
				return err
			}
			stuck, err := tx.StuckPosts(ctx, at.Add(-2*time.Minute), 10)
			if stuck != 1 {
				t.Errorf("StuckPosts = %d, want 1", stuck)
			}
			return err
		})
	})
}

// Transactions are heard of with their tries and errors.
func TestObserve(t *testing.T) {
	db := storetest.Open(t)
	var heard []store.Transaction
	clock := time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC)
	db.Observe(func() time.Time { clock = clock.Add(time.Second); return clock }, func(tr store.Transaction) { heard = append(heard, tr) })
	no := errors.New("no")
	db.Update(t.Context(), func(tx *store.Tx) error { return nil })
	db.View(t.Context(), func(tx *store.Tx) error { return no })
	if len(heard) != 2 || !heard[0].Write || heard[0].Err != nil || heard[0].Tries != 1 || heard[0].Took != time.Second ||
		heard[1].Write || !errors.Is(heard[1].Err, no) {
		t.Errorf("heard %+v", heard)
	}
}
