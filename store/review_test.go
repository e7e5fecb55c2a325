package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"qunbot/store"
	"qunbot/store/storetest"
)

func TestWordReviews(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		update(t, db, func(tx *store.Tx) error {
			ctx := tx.Context()
			for i, want := range []bool{true, true, false} {
				r := store.WordReview{Month: []string{"2026-11", "2026-12", "2026-11"}[i], DueOn: "2026-11-07", CreatedAt: noon}
				if added, err := tx.AddWordReview(ctx, r); err != nil || added != want {
					t.Errorf("AddWordReview(%s) = %t, %v, want %t", r.Month, added, err, want)
				}
			}
			done := store.WordReview{Month: "2026-11", DoneBy: 7, DoneAt: &noon, Note: "好", Words: 9, Added: 1, Unused: 2, Weak: 3, Broad: 4}
			for _, want := range []bool{true, false} {
				if got, err := tx.FinishWordReview(ctx, done); err != nil || got != want {
					t.Errorf("FinishWordReview = %t, %v, want %t", got, err, want)
				}
				done.DoneBy = 8
			}
			list, err := tx.WordReviews(ctx, 10)
			if err != nil || len(list) != 2 || list[0].Month != "2026-12" || list[0].DoneAt != nil {
				t.Errorf("WordReviews = %+v, %v", list, err)
			}
			r, err := tx.WordReview(ctx, "2026-11")
			if err != nil || r.DoneBy != 7 || !r.DoneAt.Equal(noon) || r.DueOn != "2026-11-07" || r.Broad != 4 {
				t.Errorf("WordReview = %+v, %v", r, err)
			}
			if _, err := tx.WordReview(ctx, "2027-01"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("WordReview(2027-01) = %v", err)
			}
			return nil
		})
	})
}

func TestWordsToReview(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		old, since := noon.AddDate(0, -6, 0), noon.AddDate(0, -3, 0)
		update(t, db, func(tx *store.Tx) error {
			ctx := tx.Context()
			err := tx.AddWords(ctx, []store.SensitiveWord{
				{Text: "met", Folded: "met", CreatedAt: old}, {Text: "MET", Folded: "other", CreatedAt: old}, {Text: "long ago", Folded: "longago", CreatedAt: old},
				{Text: "new", Folded: "new", CreatedAt: noon}, {Text: "allowed", Folded: "allowed", Allow: true, CreatedAt: noon},
			})
			if err != nil {
				return err
			}
			hit := func(n int, word string, at time.Time, review store.HitReview, action string) store.ModerationHit {
				return store.ModerationHit{Key: fmt.Sprint(n), RuleID: 1, Word: word, At: at, Review: review, Action: action}
			}
			err = tx.AddHits(ctx, []store.ModerationHit{
				hit(1, "met", noon, store.HitRight, "warn"), hit(2, "met", noon, store.HitRight, "warn"), hit(3, "met", noon, "", "warn"),
				hit(4, "met", noon, store.HitWrong, store.DryHit), hit(5, "long ago", old, "", "warn"), hit(6, "", noon, "", "warn"),
			})
			if err != nil {
				return err
			}
			texts := func(words []store.SensitiveWord) (list []string) {
				for _, w := range words {
					list = append(list, w.Text)
				}
				return list
			}
			words, n, err := tx.WordsSince(ctx, since, 10)
			if err != nil || n != 1 || strings.Join(texts(words), "|") != "new" {
				t.Errorf("WordsSince = %q, %d, %v", texts(words), n, err)
			}
			words, n, err = tx.UnusedWords(ctx, since, 1)
			if err != nil || n != 2 || strings.Join(texts(words), "|") != "long ago" {
				t.Errorf("UnusedWords = %q, %d, %v, want one of two", texts(words), n, err)
			}
			counts, err := tx.WordHits(ctx, since)
			if got, want := fmt.Sprint(counts), "[{met  1} {met right 2}]"; err != nil || got != want {
				t.Errorf("WordHits = %s, %v, want %s", got, err, want)
			}
			yes, err := tx.HitRows(ctx, store.HitFilter{Reviewed: true, Limit: 10})
			if err != nil || len(yes) != 3 {
				t.Errorf("HitRows that were looked at = %+v, %v, want three", yes, err)
			}
			return nil
		})
	})
}

func TestMessagesAround(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		update(t, db, func(tx *store.Tx) error {
			ctx := tx.Context()
			var said []store.Message
			var answers []store.Answer
			var why []store.Decision
			for i := range 8 { // two at a time, in group 1 but for the last
				key := fmt.Sprint(i)
				group := int64(1)
				if i == 7 {
					group = 2
				}
				said = append(said, store.Message{Key: key, GroupID: group, MemberID: int64(i), Text: key, SentAt: noon.Add(time.Duration(i/2) * time.Second)})
				answers, why = append(answers, store.Answer{Key: key, CreatedAt: noon}), append(why, store.Decision{Key: key, SentAt: noon, At: noon})
			}
			if err := tx.AddAnswers(ctx, answers, said, why); err != nil {
				return err
			}
			for key, want := range map[string]string{"0": "0 1 2", "3": "1 2 3 4 5", "6": "4 5 6", "7": "7"} {
				m, err := tx.MessageByKey(ctx, key)
				if err != nil {
					return err
				}
				list, err := tx.MessagesAround(ctx, m, 2)
				var got []string
				for _, m := range list {
					got = append(got, m.Text)
				}
				if err != nil || strings.Join(got, " ") != want {
					t.Errorf("around %s: %q, %v, want %s", key, got, err, want)
				}
			}
			if _, err := tx.MessageByKey(ctx, "x"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("MessageByKey(x) = %v", err)
			}
			return nil
		})
	})
}

// Where a member can be reached.
func TestReach(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		update(t, db, func(tx *store.Tx) error {
			ctx := tx.Context()
			members, err := tx.MembersOf(ctx, []store.Identity{{Kind: store.ExternalUserID, Value: "wm1"}, {Kind: store.UserID, Value: "boss"}}, noon)
			if err != nil {
				return err
			}
			ids, err := tx.MemberIdentities(ctx, members[0].ID)
			if err != nil || len(ids) != 1 || ids[0].Value != "wm1" {
				t.Errorf("MemberIdentities = %+v, %v", ids, err)
			}
			if _, err := tx.NewestKFSession(ctx, "wm1"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("NewestKFSession = %v, want ErrNotFound", err)
			}
			for i, account := range []string{"wk1", "wk2", "wk3"} {
				s, err := tx.LockKFSession(ctx, account, "wm1")
				if err != nil {
					return err
				}
				s.HeardAt = noon.Add([]time.Duration{0, time.Hour, time.Minute}[i])
				if err := tx.SetKFSession(ctx, s); err != nil {
					return err
				}
			}
			s, err := tx.NewestKFSession(ctx, "wm1")
			if err != nil || s.Account != "wk2" {
				t.Errorf("NewestKFSession = %+v, %v, want the one of the last message", s, err)
			}
			return nil
		})
	})
}
