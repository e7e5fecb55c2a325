package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"qunbot/store"
	"qunbot/store/storetest"
)

func TestHits(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		hit := func(key string, rule, member int64, action string, after time.Duration) store.ModerationHit {
			return store.ModerationHit{Key: key, RuleID: rule, MemberID: member, GroupID: 7, Word: "刷单", Level: store.LevelWarn, Start: 3, End: 9, Action: action, At: noon.Add(after)}
		}
		update(t, db, func(tx *store.Tx) error {
			err := tx.AddHits(tx.Context(), []store.ModerationHit{
				hit("a", 1, 1, "warn", 0), hit("a", 2, 1, store.DryHit, 0), hit("b", 1, 2, "warn", time.Hour), hit("A", 1, 2, "warn", time.Hour),
			})
			if err != nil {
				return err
			}
			again := hit("a", 1, 1, "suspend", 0)
			if err := tx.AddHits(tx.Context(), []store.ModerationHit{again, hit("c", 1, 3, "warn", 2*time.Hour)}); err != nil {
				return err
			}
			return tx.AddAnswers(tx.Context(), []store.Answer{{Key: "a", CreatedAt: noon}},
				[]store.Message{{Key: "a", MemberID: 1, Text: "来刷单吗", SentAt: noon}}, []store.Decision{{Key: "a", SentAt: noon, At: noon}})
		})
		yes, no, none := true, false, store.NotReviewed
		rows := func(f store.HitFilter) (list []store.HitRow) {
			update(t, db, func(tx *store.Tx) error {
				n, err := tx.CountHits(tx.Context(), f)
				if err != nil {
					return err
				}
				f.Limit = 9
				list, err = tx.HitRows(tx.Context(), f)
				if f.Before == 0 && int(n) != len(list) {
					t.Errorf("CountHits(%+v) = %d, want %d", f, n, len(list))
				}
				return err
			})
			return list
		}
		keys := func(f store.HitFilter) (list []string) {
			for _, h := range rows(f) {
				list = append(list, fmt.Sprintf("%s%d", h.Key, h.RuleID))
			}
			return list
		}
		first := rows(store.HitFilter{RuleID: 1, MemberID: 1})[0]
		if first.Text != "来刷单吗" || first.Action != "warn" || first.Text[first.Start:first.End] != "刷单" || !first.At.Equal(noon) || first.ReviewedAt != nil {
			t.Errorf("the first hit = %+v, want it as it was added first, with its text", first)
		}
		review := func(from, to store.HitReview, want bool) {
			t.Helper()
			update(t, db, func(tx *store.Tx) error {
				got, err := tx.SetHitReview(tx.Context(), first.ID, from, to, 5, noon.Add(3*time.Hour))
				if got != want {
					t.Errorf("SetHitReview(%q, %q) = %t, want %t", from, to, got, want)
				}
				return err
			})
		}
		review(store.NotReviewed, store.HitWrong, true)
		review(store.NotReviewed, store.HitRight, false)
		if h := rows(store.HitFilter{ID: first.ID})[0]; h.Review != store.HitWrong || h.ReviewedBy != 5 || h.ReviewedAt == nil || !h.ReviewedAt.Equal(noon.Add(3*time.Hour)) {
			t.Errorf("after its review: %+v", h)
		}
		for _, tt := range []struct {
			filter store.HitFilter
			want   []string
		}{
			{store.HitFilter{}, []string{"c1", "A1", "b1", "a2", "a1"}},
			{store.HitFilter{Key: "a"}, []string{"a2", "a1"}},
			{store.HitFilter{RuleID: 1, Review: &none}, []string{"c1", "A1", "b1"}},
			{store.HitFilter{Dry: &yes}, []string{"a2"}},
			{store.HitFilter{Dry: &no, MemberID: 2}, []string{"A1", "b1"}},
			{store.HitFilter{Since: noon.Add(2 * time.Hour)}, []string{"c1"}},
			{store.HitFilter{GroupID: 8}, nil},
			{store.HitFilter{Before: first.ID + 1}, []string{"a1"}},
		} {
			if got := keys(tt.filter); !slices.Equal(got, tt.want) {
				t.Errorf("HitRows(%+v) = %q, want %q", tt.filter, got, tt.want)
			}
		}
		update(t, db, func(tx *store.Tx) error {
			got, err := tx.HitCounts(tx.Context(), noon)
			want := []store.HitCount{{1, store.NotReviewed, false, 3}, {1, store.HitWrong, false, 1}, {2, store.NotReviewed, true, 1}}
			if !slices.Equal(got, want) {
				t.Errorf("HitCounts = %v, want %v", got, want)
			}
			return err
		})
		review(store.HitWrong, store.NotReviewed, true)
		if h := rows(store.HitFilter{ID: first.ID})[0]; h.Review != "" || h.ReviewedBy != 0 || h.ReviewedAt != nil {
			t.Errorf("after its review was taken back: %+v", h)
		}
		update(t, db, func(tx *store.Tx) error { return tx.EraseHits(tx.Context(), 1) })
		if got, want := keys(store.HitFilter{}), []string{"c1", "A1", "b1"}; !slices.Equal(got, want) {
			t.Errorf("after erasing: %q, want %q", got, want)
		}
	})
}
