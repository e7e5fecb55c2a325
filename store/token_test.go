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

func lease(t *testing.T, db *store.Store, version int64, now time.Time) bool {
	t.Helper()
	var won bool
	update(t, db, func(tx *store.Tx) (err error) {
		won, err = tx.LeaseToken(tx.Context(), "ww1:app", version, now, now.Add(20*time.Second))
		return err
	})
	return won
}

func setToken(t *testing.T, db *store.Store, version int64, sealed string) bool {
	t.Helper()
	var stored bool
	update(t, db, func(tx *store.Tx) (err error) {
		stored, err = tx.SetToken(tx.Context(), store.Token{
			Name: "ww1:app", Sealed: sealed, FetchedAt: noon, ExpiresAt: noon.Add(2 * time.Hour), Version: version,
		})
		return err
	})
	return stored
}

func TestTokenLease(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		err := db.View(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Token(tx.Context(), "ww1:app")
			return err
		})
		if !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("Token of an empty database = %v, want %v", err, store.ErrNotFound)
		}
		now := noon.Add(123456789 * time.Nanosecond)
		steps := []struct {
			name string
			do   func() bool
			want bool
		}{
			{"first lease", func() bool { return lease(t, db, 0, now) }, true},
			{"while it is held", func() bool { return lease(t, db, 0, now.Add(19*time.Second)) }, false},
			{"after it ran out", func() bool { return lease(t, db, 0, now.Add(20*time.Second)) }, true},
			{"first token", func() bool { return setToken(t, db, 1, "one") }, true},
			{"first token again", func() bool { return setToken(t, db, 1, "late") }, false},
			{"lease of a version that is gone", func() bool { return lease(t, db, 0, now.Add(time.Hour)) }, false},
			{"lease of the next", func() bool { return lease(t, db, 1, now.Add(time.Hour)) }, true},
		}
		for _, s := range steps {
			if got := s.do(); got != s.want {
				t.Fatalf("%s = %v, want %v", s.name, got, s.want)
			}
		}
		update(t, db, func(tx *store.Tx) error { return tx.FreeToken(tx.Context(), "ww1:app", 1, now.Add(time.Hour)) })
		if !lease(t, db, 1, now.Add(time.Hour)) {
			t.Error("lease after FreeToken = false, want true")
		}
		update(t, db, func(tx *store.Tx) error {
			got, err := tx.Token(tx.Context(), "ww1:app")
			if got.Sealed != "one" || got.Version != 1 || !got.ExpiresAt.Equal(noon.Add(2*time.Hour)) {
				t.Errorf("Token = %+v, want version 1 with \"one\" until %v", got, noon.Add(2*time.Hour))
			}
			return err
		})
	})
}

func TestTokenLeaseHasOneWinner(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		var won atomic.Int64
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				var mine bool
				err := db.Update(t.Context(), func(tx *store.Tx) (err error) {
					mine, err = tx.LeaseToken(tx.Context(), "ww1:app", 0, noon, noon.Add(20*time.Second))
					return err
				})
				if err != nil {
					t.Error(err)
				}
				if mine {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d of 16 got the lease, want 1", won.Load())
		}
	})
}
