package store_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"qunbot/store"
	"qunbot/store/storetest"
)

func TestModerationRules(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		seen := map[string]bool{}
		changed := func(what string, wantWords bool) {
			t.Helper()
			update(t, db, func(tx *store.Tx) error {
				all, err := tx.ModerationVersion(tx.Context())
				if err != nil {
					return err
				}
				words, err := tx.WordsVersion(tx.Context())
				if all == "" || seen["all "+all] || (words != "" && !seen["words "+words]) != wantWords {
					t.Errorf("%s: versions %q and %q; of words a new one: want %t", what, all, words, wantWords)
				}
				seen["all "+all], seen["words "+words] = true, true
				return err
			})
		}
		var r store.ModerationRule
		update(t, db, func(tx *store.Tx) (err error) {
			r, err = tx.AddModerationRule(tx.Context(), store.ModerationRule{Name: "刷屏", State: store.RuleDry, Spec: `{"kind":"flood"}`, CreatedBy: 3, CreatedAt: noon, UpdatedAt: noon})
			return err
		})
		changed("a rule is added", false)
		update(t, db, func(tx *store.Tx) error {
			return tx.AddWords(tx.Context(), []store.SensitiveWord{word(0, "刷单", store.LevelWarn)})
		})
		changed("a word is added", true)
		update(t, db, func(tx *store.Tx) error {
			edited := r
			edited.Name, edited.State, edited.CreatedBy, edited.UpdatedAt = "刷屏了", store.RuleOn, 9, noon.Add(time.Hour)
			return tx.SetModerationRule(tx.Context(), edited)
		})
		changed("a rule is changed", false)
		update(t, db, func(tx *store.Tx) error {
			got, err := tx.ModerationRule(tx.Context(), r.ID)
			if got.Name != "刷屏了" || got.State != store.RuleOn || got.CreatedBy != 3 || !got.UpdatedAt.Equal(noon.Add(time.Hour)) || got.Spec != r.Spec {
				t.Errorf("the changed rule = %+v", got)
			}
			if err != nil {
				return err
			}
			return tx.DeleteModerationRule(tx.Context(), r.ID)
		})
		changed("a rule is deleted", false)
		update(t, db, func(tx *store.Tx) error {
			if _, err := tx.ModerationRule(tx.Context(), r.ID); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("the deleted rule: %v, want %v", err, store.ErrNotFound)
			}
			return nil
		})
	})
}

// defaultRules returns the rules of a database in short.
func defaultRules(t *testing.T, db *store.Store) (list []string) {
	t.Helper()
	update(t, db, func(tx *store.Tx) error {
		rules, err := tx.ModerationRules(tx.Context())
		for _, r := range rules {
			var s struct {
				Kind, Level string
				Counts      bool
				Steps       []struct {
					From, Suspend int
					Points        int64
					Do            string
					Owner         bool
				}
			}
			if err := json.Unmarshal([]byte(r.Spec), &s); err != nil {
				return err
			}
			list = append(list, fmt.Sprint(r.Name, r.State, s))
		}
		return err
	})
	return list
}

// A database of before there were rules keeps what its operators had set.
func TestDefaultModerationRules(t *testing.T) {
	storetest.EachOptions(t, func(t *testing.T, o store.Options) {
		db, err := store.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{
			"敏感词：提醒on{words remind false [{1 0 0 remind false}]}",
			"敏感词：警告on{words warn true [{1 0 0 warn false} {2 0 10 warn false} {3 7 0 warn false}]}",
			"敏感词：拦截on{words block true [{1 0 0 warn true} {2 0 10 warn true} {3 7 0 warn true}]}",
		}
		if got := defaultRules(t, db); !slices.Equal(got, want) {
			t.Errorf("rules of a new database:\n%q, want\n%q", got, want)
		}
		update(t, db, func(tx *store.Tx) error {
			return tx.SetSetting(tx.Context(), "moderation.rules", map[string]int{"window": 9, "deduct_at": 1, "deduct": 4, "suspend_at": 0, "suspend": 7})
		})
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		raw, err := sql.Open(o.Driver, o.DSN)
		if err != nil {
			t.Fatal(err)
		}
		for _, statement := range []string{"DROP TABLE moderation_rules", "DROP INDEX messages_said ON messages", "DELETE FROM migrations WHERE id LIKE '2026-11-25 %'"} {
			if o.Driver == "sqlite" && statement[:10] == "DROP INDEX" {
				statement = "DROP INDEX messages_said"
			}
			if _, err := raw.Exec(statement); err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
		}
		if err := raw.Close(); err != nil {
			t.Fatal(err)
		}
		if db, err = store.Open(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		want[1] = "敏感词：警告on{words warn true [{1 0 4 warn false}]}"
		want[2] = "敏感词：拦截on{words block true [{1 0 4 warn true}]}"
		if got := defaultRules(t, db); !slices.Equal(got, want) {
			t.Errorf("rules of an older database:\n%q, want\n%q", got, want)
		}
	})
}

func TestSaid(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		message := func(key string, member, group int64, after time.Duration) store.Message {
			return store.Message{Key: key, MemberID: member, GroupID: group, Text: key, SentAt: noon.Add(after)}
		}
		update(t, db, func(tx *store.Tx) error {
			said := []store.Message{message("a", 1, 7, 0), message("b", 1, 7, time.Second), message("c", 1, 7, time.Minute), message("d", 2, 7, time.Second),
				message("e", 1, 0, time.Second), message("f", 1, 7, 2*time.Minute)}
			var answers []store.Answer
			var why []store.Decision
			for _, m := range said {
				answers = append(answers, store.Answer{Key: m.Key, CreatedAt: noon})
				why = append(why, store.Decision{Key: m.Key, SentAt: m.SentAt, At: noon})
			}
			return tx.AddAnswers(tx.Context(), answers, said, why)
		})
		update(t, db, func(tx *store.Tx) error {
			tx.Hear(message("g", 1, 7, 30*time.Second))
			tx.Hear(message("h", 1, 7, 3*time.Minute))
			tx.Hear(message("i", 2, 7, 30*time.Second))
			said, err := tx.Said(tx.Context(), 1, 7, noon, noon.Add(time.Minute), 9)
			if err != nil {
				return err
			}
			got := ""
			for _, m := range said {
				got += m.Text
				if m.Text == "b" && !m.SentAt.Equal(noon.Add(time.Second)) {
					t.Errorf("b was said at %v", m.SentAt)
				}
			}
			if got != "cbg" {
				t.Errorf("Said = %q, want c, b and, of this transaction, g", got)
			}
			if said, err = tx.Said(tx.Context(), 1, 7, noon, noon.Add(time.Minute), 1); len(said) != 2 || said[0].Text != "c" {
				t.Errorf("Said with a limit of 1 = %+v, want the latest stored one, and g", said)
			}
			return err
		})
		update(t, db, func(tx *store.Tx) error { // nothing of another transaction
			said, err := tx.Said(tx.Context(), 2, 7, noon, noon.Add(time.Hour), 9)
			if len(said) != 1 {
				t.Errorf("Said = %+v, want d alone", said)
			}
			return err
		})
	})
}

func TestPruneModeration(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		update(t, db, func(tx *store.Tx) error {
			for i, key := range []string{"old", "young"} {
				at := noon.AddDate(0, 0, i)
				s, _, err := tx.AddStrike(tx.Context(), store.Strike{Key: key, MemberID: 1, Number: 1, At: at})
				if err != nil {
					return err
				}
				if err := tx.AddSuspension(tx.Context(), store.Suspension{StrikeID: s.ID, MemberID: 1, StartsAt: at, EndsAt: at.Add(time.Hour)}); err != nil {
					return err
				}
				if err := tx.AddHits(tx.Context(), []store.ModerationHit{{Key: key, RuleID: 1, At: at}}); err != nil {
					return err
				}
				if _, err := tx.AddWordImport(tx.Context(), store.WordImport{Source: key, Body: "[]", CreatedAt: at}); err != nil {
					return err
				}
			}
			cut := noon.Add(2 * time.Hour)
			n, err := tx.Prune(tx.Context(), store.Cutoffs{Strikes: cut, Imports: cut}, 100)
			if err != nil {
				return err
			}
			hits, err := tx.HitRows(tx.Context(), store.HitFilter{Limit: 9})
			if err != nil {
				return err
			}
			strikes, err := tx.StrikeRows(tx.Context(), store.StrikeFilter{Limit: 9})
			if n != 4 || len(hits) != 1 || hits[0].Key != "young" || len(strikes) != 1 || strikes[0].EndsAt == nil {
				t.Errorf("%d rows went; left are %+v and %+v, want the young ones", n, hits, strikes)
			}
			if _, err := tx.WordImport(tx.Context(), 1); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("the old import: %v, want %v", err, store.ErrNotFound)
			}
			return err
		})
	})
}
