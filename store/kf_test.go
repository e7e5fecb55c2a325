package store_test

import (
	"errors"
	"testing"
	"time"

	"qunbot/store"
	"qunbot/store/storetest"
)

func leaseKF(t *testing.T, db *store.Store, owner string, now, idle time.Time) (a store.KFAccount, won bool) {
	t.Helper()
	update(t, db, func(tx *store.Tx) (err error) {
		a, won, err = tx.LeaseKFAccount(tx.Context(), "wk1", owner, now, now.Add(20*time.Second), idle)
		return err
	})
	return a, won
}

func advanceKF(t *testing.T, db *store.Store, owner, from, to string, now time.Time) (moved bool) {
	t.Helper()
	update(t, db, func(tx *store.Tx) (err error) {
		moved, err = tx.AdvanceKFCursor(tx.Context(), "wk1", owner, from, to, now, now.Add(20*time.Second))
		return err
	})
	return moved
}

func TestKFAccountIsReadByOne(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		always := noon.Add(24 * time.Hour)
		a, won := leaseKF(t, db, "a", noon, always)
		if !won || a.NextCursor != "" || !a.CreatedAt.Equal(noon) || !a.PulledAt.Equal(store.AtOnce) {
			t.Fatalf("first lease = %+v, %v", a, won)
		}
		if _, won := leaseKF(t, db, "b", noon.Add(19*time.Second), always); won {
			t.Error("b leased what a holds")
		}
		if !advanceKF(t, db, "a", "", "c1", noon) || advanceKF(t, db, "a", "", "c2", noon) || advanceKF(t, db, "b", "c1", "c2", noon) {
			t.Error("the cursor moves for its holder, from where it stands, and not otherwise")
		}
		if a, won := leaseKF(t, db, "b", noon.Add(20*time.Second), always); !won || a.NextCursor != "c1" {
			t.Errorf("lease after the end of a's = %+v, %v; want the cursor c1", a, won)
		}
		if advanceKF(t, db, "a", "c1", "c2", noon.Add(21*time.Second)) {
			t.Error("a moved the cursor after b took over")
		}
		update(t, db, func(tx *store.Tx) error { return tx.FreeKFAccount(tx.Context(), "wk1", "b") })
		if _, won := leaseKF(t, db, "a", noon.Add(22*time.Second), noon.Add(-time.Second)); won {
			t.Error("leased though it was read since")
		}
		if _, won := leaseKF(t, db, "a", noon.Add(22*time.Second), noon); !won {
			t.Error("not leased though it was idle and free")
		}
	})
}

func TestKFSession(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		update(t, db, func(tx *store.Tx) error {
			ctx := tx.Context()
			s, err := tx.LockKFSession(ctx, "wk1", "wmA")
			if err != nil {
				return err
			}
			if s.State != store.KFNew || !s.HeardAt.Equal(store.AtOnce) || s.AskedAt != nil {
				t.Errorf("new talk = %+v", s)
			}
			at := noon.Add(time.Minute)
			s.State, s.StateAt, s.Servicer, s.HeardAt, s.Sent, s.AskedAt, s.AskedKey = store.KFHuman, noon, "zhangsan", noon, 2, &at, "kf:1"
			if err := tx.SetKFSession(ctx, s); err != nil {
				return err
			}
			if other, err := tx.LockKFSession(ctx, "wk1", "wma"); err != nil || other.State != store.KFNew {
				t.Errorf("talk with wma = %+v, %v; want another than wmA's", other, err)
			}
			return nil
		})
		update(t, db, func(tx *store.Tx) error {
			ctx := tx.Context()
			list, err := tx.AskingKFSessions(ctx, "wk1", 10)
			if err != nil {
				return err
			}
			if len(list) != 1 || list[0].Customer != "wmA" || list[0].Sent != 2 || !list[0].AskedAt.Equal(noon.Add(time.Minute)) || list[0].Servicer != "zhangsan" {
				t.Errorf("asking = %+v", list)
			}
			talks, err := tx.KFServicers(ctx, "wk1", noon)
			if err != nil || len(talks) != 1 || talks["zhangsan"] != 1 {
				t.Errorf("servicers = %v, %v", talks, err)
			}
			if talks, err = tx.KFServicers(ctx, "wk1", noon.Add(time.Second)); err != nil || len(talks) != 0 {
				t.Errorf("servicers of newer talks = %v, %v", talks, err)
			}
			all, err := tx.KFSessions(ctx, "wk1", []string{"wmA", "wma", "wmX"})
			if len(all) != 2 {
				t.Errorf("talks = %+v, want two", all)
			}
			return err
		})
	})
}

func TestKFSends(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		update(t, db, func(tx *store.Tx) error {
			ctx := tx.Context()
			err := tx.AddKFSends(ctx, []store.KFSend{
				{ID: "a", Account: "wk1", Customer: "wmA", BookedAt: noon, State: store.KFSending},
				{ID: "b", Account: "wk1", Customer: "wmA", BookedAt: noon.Add(time.Second), State: store.KFSending},
				{ID: "c", Account: "wk1", Customer: "wmB", BookedAt: noon.Add(time.Second), State: store.KFSending},
			})
			if err != nil {
				return err
			}
			if n, err := tx.CountKFSends(ctx, "wk1", "wmA", noon.Add(time.Second)); err != nil || n != 1 {
				t.Errorf("sends since = %d, %v; want 1", n, err)
			}
			if err := tx.SetKFSend(ctx, "b", store.KFSent); err != nil {
				return err
			}
			if err := tx.PruneKFSends(ctx, noon.Add(time.Second), 10); err != nil {
				return err
			}
			sends, err := tx.KFSends(ctx, []string{"a", "b", "A"})
			if len(sends) != 1 || sends["b"].State != store.KFSent {
				t.Errorf("sends = %+v, want b alone, sent", sends)
			}
			return err
		})
	})
}

// First and last are by time, whatever the order of the notes.
func TestKFTouch(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		update(t, db, func(tx *store.Tx) error {
			ctx := tx.Context()
			if _, err := tx.KFTouchOf(ctx, 7); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("touch of nobody = %v, want %v", err, store.ErrNotFound)
			}
			for _, n := range []struct {
				source string
				hour   int
			}{{"g=2", 2}, {"g=3", 3}, {"g=1", 1}, {"g=2", 2}, {"g=3", 3}} {
				if err := tx.NoteKFTouch(ctx, 7, n.source, noon.Add(time.Duration(n.hour)*time.Hour)); err != nil {
					return err
				}
			}
			got, err := tx.KFTouchOf(ctx, 7)
			if got.FirstSource != "g=1" || got.LastSource != "g=3" || !got.FirstAt.Equal(noon.Add(time.Hour)) || !got.LastAt.Equal(noon.Add(3*time.Hour)) {
				t.Errorf("touch = %+v, want first g=1, last g=3", got)
			}
			return err
		})
	})
}

func TestJoinIdentities(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		external := func(v string) store.Identity {
			return store.Identity{Kind: store.ExternalUserID, Value: v}
		}
		union := func(v string) store.Identity { return store.Identity{Kind: store.UnionID, Value: v} }
		join := func(a, b store.Identity) (id int64, joined bool) {
			t.Helper()
			update(t, db, func(tx *store.Tx) error {
				m, ok, err := tx.JoinIdentities(tx.Context(), a, b, noon)
				id, joined = m.ID, ok
				return err
			})
			return id, joined
		}
		first, ok := join(external("wmA"), union("uA"))
		if !ok || first == 0 {
			t.Fatalf("new ids = %d, %v; want a member", first, ok)
		}
		if id, ok := join(external("wmA"), union("uA")); !ok || id != first {
			t.Errorf("again = %d, %v; want %d", id, ok, first)
		}
		if id, ok := join(external("wmA2"), union("uA")); !ok || id != first {
			t.Errorf("another id of the same person = %d, %v; want %d", id, ok, first)
		}
		if id, ok := join(external("wmA"), union("uA2")); !ok || id != first {
			t.Errorf("another unionid = %d, %v; want %d", id, ok, first)
		}
		second, _ := join(external("wmB"), union("uB"))
		if id, ok := join(external("wmB"), union("uA")); ok || id != second || second == first {
			t.Errorf("ids of two members = %d, %v; want %d, not joined", id, ok, second)
		}
	})
}
