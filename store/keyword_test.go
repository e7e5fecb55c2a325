package store_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"qunbot/store"
	"qunbot/store/storetest"
)

func keywordRule(group int64, pattern string, replies ...string) store.KeywordRule {
	return store.KeywordRule{GroupID: group, Kind: store.KeywordContains, Pattern: pattern, Folded: pattern,
		Replies: replies, Enabled: true, CreatedAt: noon}
}

func TestKeywordRules(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		var first, other store.KeywordRule
		var versions []string
		version := func(tx *store.Tx) {
			v, err := tx.KeywordVersion(tx.Context())
			if err != nil {
				t.Fatal(err)
			}
			versions = append(versions, v)
		}
		update(t, db, func(tx *store.Tx) (err error) {
			version(tx)
			if first, err = tx.AddKeywordRule(tx.Context(), keywordRule(0, "停车", "前两小时免费", "B2 还有位")); err != nil {
				return err
			}
			version(tx)
			other, err = tx.AddKeywordRule(tx.Context(), keywordRule(7, "停车", "😀"))
			return err
		})
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.AddKeywordRule(tx.Context(), keywordRule(7, "停车", "again"))
			return err
		})
		if !errors.Is(err, store.ErrExists) {
			t.Errorf("AddKeywordRule of the same word = %v, want %v", err, store.ErrExists)
		}
		moved := other
		moved.GroupID = 0
		err = db.Update(t.Context(), func(tx *store.Tx) error { return tx.SetKeywordRule(tx.Context(), moved) })
		if !errors.Is(err, store.ErrExists) {
			t.Errorf("SetKeywordRule to the same word = %v, want %v", err, store.ErrExists)
		}
		update(t, db, func(tx *store.Tx) error {
			version(tx)
			for want := range int64(3) {
				before, err := tx.HitKeyword(tx.Context(), first.ID, noon)
				if err != nil || before != want {
					t.Errorf("HitKeyword = %d, %v, want %d", before, err, want)
				}
			}
			if _, err := tx.HitKeyword(tx.Context(), 999, noon); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("HitKeyword of no rule = %v, want %v", err, store.ErrNotFound)
			}
			version(tx)
			changed := first
			changed.Replies, changed.FromMinute, changed.Enabled = []string{"改了"}, 60, false
			return tx.SetKeywordRule(tx.Context(), changed)
		})
		update(t, db, func(tx *store.Tx) error {
			version(tx)
			got, err := tx.KeywordRule(tx.Context(), first.ID)
			if err != nil {
				return err
			}
			if got.Hits != 3 || got.LastHitAt == nil || !got.LastHitAt.Equal(noon) || got.Enabled || got.FromMinute != 60 ||
				!reflect.DeepEqual(got.Replies, []string{"改了"}) {
				t.Errorf("KeywordRule = %+v, want 3 hits, the last at noon, and the change", got)
			}
			on := true
			list, err := tx.KeywordRules(tx.Context(), store.KeywordFilter{Search: "停", Enabled: &on, Limit: 9})
			if err != nil || len(list) != 1 || list[0].ID != other.ID || list[0].Replies[0] != "😀" {
				t.Errorf("KeywordRules(停, on) = %+v, %v, want the other one", list, err)
			}
			if n, err := tx.CountKeywordRules(tx.Context(), store.KeywordFilter{}); n != 2 || err != nil {
				t.Errorf("CountKeywordRules = %d, %v, want 2", n, err)
			}
			if n, err := tx.DeleteKeywordRules(tx.Context(), []int64{first.ID, 999}); n != 1 || err != nil {
				t.Errorf("DeleteKeywordRules = %d, %v, want 1", n, err)
			}
			return nil
		})
		if versions[0] != "" || versions[1] == versions[2] || versions[2] != versions[3] || versions[3] == versions[4] {
			t.Errorf("versions = %q, want none, then a new one after every change but of hits", versions)
		}
	})
}

func TestClaimKeyword(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		for _, tt := range []struct {
			name  string
			group int64
			at    time.Duration
			want  bool
			last  time.Duration
		}{
			{"first", 1, 0, true, 0},
			{"too soon", 1, 59 * time.Second, false, 0},
			{"another group", 2, 59 * time.Second, true, 59 * time.Second},
			{"late, from before", 1, -time.Second, false, 0},
			{"the cool-down is over", 1, time.Minute, true, time.Minute},
			{"and begins anew", 1, 61 * time.Second, false, time.Minute},
		} {
			update(t, db, func(tx *store.Tx) error {
				got, last, err := tx.ClaimKeyword(tx.Context(), 5, tt.group, noon.Add(tt.at), time.Minute)
				if got != tt.want || !last.Equal(noon.Add(tt.last)) {
					t.Errorf("%s: ClaimKeyword = %t, %v, want %t, %v", tt.name, got, last, tt.want, noon.Add(tt.last))
				}
				return err
			})
		}
	})
}
