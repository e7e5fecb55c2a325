package store_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"qunbot/store"
	"qunbot/store/storetest"
)

func word(group int64, text string, level store.WordLevel) store.SensitiveWord {
	return store.SensitiveWord{GroupID: group, Text: text, Folded: text, Level: level, Allow: level == "", CreatedAt: noon}
}

func TestSensitiveWords(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		var versions []string
		version := func(tx *store.Tx) {
			v, err := tx.WordsVersion(tx.Context())
			if err != nil {
				t.Fatal(err)
			}
			versions = append(versions, v)
		}
		texts := func(words []store.SensitiveWord) (list []string) {
			for _, w := range words {
				list = append(list, fmt.Sprintf("%s %d %s", w.Text, w.GroupID, w.Level))
			}
			return list
		}
		words := []store.SensitiveWord{word(0, "刷单", store.LevelWarn), word(7, "刷单", store.LevelBlock), word(0, "刷单", ""), word(0, "😀", store.LevelRemind), word(0, "😂", store.LevelRemind)}
		words[1].Category, words[1].Exact, words[1].Embedded = "引流", true, true
		update(t, db, func(tx *store.Tx) error {
			version(tx)
			return tx.AddWords(tx.Context(), words)
		})
		if words[0].ID == 0 || words[4].ID <= words[0].ID {
			t.Errorf("numbers = %d … %d, want them filled in", words[0].ID, words[4].ID)
		}
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			return tx.AddWords(tx.Context(), []store.SensitiveWord{word(0, "新", store.LevelWarn), word(7, "刷单", store.LevelWarn)})
		})
		if !errors.Is(err, store.ErrExists) {
			t.Errorf("AddWords of a known word = %v, want %v", err, store.ErrExists)
		}
		moved := words[1]
		moved.GroupID = 0
		err = db.Update(t.Context(), func(tx *store.Tx) error { return tx.SetWord(tx.Context(), moved) })
		if !errors.Is(err, store.ErrExists) {
			t.Errorf("SetWord to a known word = %v, want %v", err, store.ErrExists)
		}
		update(t, db, func(tx *store.Tx) error {
			version(tx)
			n, err := tx.SetWordsLevel(tx.Context(), []int64{words[0].ID, words[2].ID, 999}, store.LevelBlock)
			if n != 1 || err != nil {
				t.Errorf("SetWordsLevel = %d, %v, want 1: a phrase has none", n, err)
			}
			if n, err = tx.SetWordsLevel(tx.Context(), []int64{words[0].ID}, store.LevelBlock); n != 1 || err != nil {
				t.Errorf("SetWordsLevel to the same = %d, %v, want 1", n, err)
			}
			version(tx)
			return nil
		})
		update(t, db, func(tx *store.Tx) error {
			version(tx)
			all, err := tx.AllWords(tx.Context())
			if want := []string{"刷单 0 block", "刷单 7 block", "刷单 0 ", "😀 0 remind", "😂 0 remind"}; !slices.Equal(texts(all), want) || err != nil {
				t.Errorf("AllWords = %q, %v, want %q", texts(all), err, want)
			}
			got, err := tx.Word(tx.Context(), words[1].ID)
			if err != nil || !got.Exact || !got.Embedded || got.Category != "引流" || !got.CreatedAt.Equal(noon) {
				t.Errorf("Word = %+v, %v, want all of %+v", got, err, words[1])
			}
			same, err := tx.WordsOf(tx.Context(), []string{"刷单", "😂"}, 0)
			if want := []string{"刷单 0 block", "刷单 0 ", "😂 0 remind"}; !slices.Equal(texts(same), want) || err != nil {
				t.Errorf("WordsOf = %q, %v, want %q", texts(same), err, want)
			}
			no, group := false, int64(0)
			list, err := tx.Words(tx.Context(), store.WordFilter{Search: "刷", Allow: &no, GroupID: &group, Limit: 9})
			if want := []string{"刷单 0 block"}; !slices.Equal(texts(list), want) || err != nil {
				t.Errorf("Words = %q, %v, want %q", texts(list), err, want)
			}
			if n, err := tx.CountWords(tx.Context(), store.WordFilter{Level: store.LevelBlock, Category: "引流"}); n != 1 || err != nil {
				t.Errorf("CountWords = %d, %v, want 1", n, err)
			}
			if got, err := tx.WordCategories(tx.Context()); !slices.Equal(got, []string{"引流"}) || err != nil {
				t.Errorf("WordCategories = %q, %v", got, err)
			}
			if n, err := tx.DeleteWords(tx.Context(), []int64{words[3].ID, 999}); n != 1 || err != nil {
				t.Errorf("DeleteWords = %d, %v, want 1", n, err)
			}
			version(tx)
			return nil
		})
		if versions[0] != "" || versions[1] == "" || versions[2] == versions[1] || versions[3] != versions[2] || versions[4] == versions[3] {
			t.Errorf("versions = %q, want none, then a new one after every change", versions)
		}
	})
}

func TestManySensitiveWords(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		var words []store.SensitiveWord
		var folded []string
		for i := range 1200 {
			folded = append(folded, fmt.Sprintf("词%d", i))
			words = append(words, word(0, folded[i], store.LevelWarn))
		}
		update(t, db, func(tx *store.Tx) error {
			if err := tx.AddWords(tx.Context(), words); err != nil {
				return err
			}
			same, err := tx.WordsOf(tx.Context(), folded)
			if len(same) != len(words) || words[1199].ID == 0 {
				t.Errorf("%d words, the last of them %+v, want %d", len(same), words[1199], len(words))
			}
			return err
		})
	})
}

func TestStrikes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		ids := map[string]int64{}
		update(t, db, func(tx *store.Tx) error {
			for i, key := range []string{"a", "b", "c"} {
				s, added, err := tx.AddStrike(tx.Context(), store.Strike{Key: key, MemberID: 1, Word: "刷单", Level: store.LevelWarn, Number: i + 1, At: noon.Add(time.Duration(i) * time.Hour)})
				if !added || s.ID == 0 || err != nil {
					t.Errorf("AddStrike(%s) = %+v, %t, %v, want it added", key, s, added, err)
				}
				ids[key] = s.ID
			}
			again, added, err := tx.AddStrike(tx.Context(), store.Strike{Key: "b", MemberID: 1, Number: 9, At: noon})
			if added || again.Number != 2 || again.ID != ids["b"] || err != nil {
				t.Errorf("AddStrike again = %+v, %t, %v, want the first one", again, added, err)
			}
			return tx.AddAnswers(tx.Context(), []store.Answer{{Key: "a", CreatedAt: noon}},
				[]store.Message{{Key: "a", MemberID: 1, Text: "来刷单", SentAt: noon}}, []store.Decision{{Key: "a", SentAt: noon, At: noon}})
		})
		count := func(after, until time.Duration, want int) {
			t.Helper()
			update(t, db, func(tx *store.Tx) error {
				n, err := tx.CountStrikes(tx.Context(), 1, noon.Add(after), noon.Add(until))
				if n != want {
					t.Errorf("CountStrikes(%v, %v] = %d, want %d", after, until, n, want)
				}
				return err
			})
		}
		count(-time.Hour, 9*time.Hour, 3)
		count(0, time.Hour, 1)
		update(t, db, func(tx *store.Tx) error {
			for _, want := range []bool{true, false} {
				if got, err := tx.UndoStrike(tx.Context(), ids["b"], 5, noon); got != want || err != nil {
					t.Errorf("UndoStrike = %t, %v, want %t", got, err, want)
				}
			}
			return tx.AddSuspension(tx.Context(), store.Suspension{StrikeID: ids["c"], MemberID: 1, StartsAt: noon, EndsAt: noon.Add(time.Hour)})
		})
		count(-time.Hour, 9*time.Hour, 2)
		update(t, db, func(tx *store.Tx) error {
			for _, tt := range []struct {
				filter store.StrikeFilter
				want   string
			}{
				{store.StrikeFilter{}, "c b a "},
				{store.StrikeFilter{NotUndone: true, MemberID: 1}, "c a "},
				{store.StrikeFilter{Since: noon.Add(time.Hour)}, "c b "},
				{store.StrikeFilter{RunningAt: noon.Add(time.Minute)}, "c "},
				{store.StrikeFilter{RunningAt: noon.Add(time.Hour)}, ""},
				{store.StrikeFilter{ID: ids["a"]}, "a "},
				{store.StrikeFilter{MemberID: 2}, ""},
			} {
				n, err := tx.CountStrikeRows(tx.Context(), tt.filter)
				if err != nil {
					return err
				}
				tt.filter.Limit = 9
				list, err := tx.StrikeRows(tx.Context(), tt.filter)
				if err != nil {
					return err
				}
				got := ""
				for _, s := range list {
					got += s.Key + " "
					if (s.Text == "来刷单") != (s.Key == "a") || (s.EndsAt != nil) != (s.Key == "c") || (s.UndoneBy == 5) != (s.Key == "b") {
						t.Errorf("strike %s = %+v", s.Key, s)
					}
				}
				if got != tt.want || int(n) != len(list) {
					t.Errorf("StrikeRows(%+v) = %q, counted %d, want %q", tt.filter, got, n, tt.want)
				}
			}
			if err := tx.EraseStrikes(tx.Context(), 1); err != nil {
				return err
			}
			n, err := tx.CountStrikeRows(tx.Context(), store.StrikeFilter{})
			if n != 0 {
				t.Errorf("%d strikes after erasing", n)
			}
			return err
		})
	})
}

func TestSuspendedUntil(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		day := 24 * time.Hour
		update(t, db, func(tx *store.Tx) error {
			for _, s := range []store.Suspension{
				{StrikeID: 1, MemberID: 1, StartsAt: noon, EndsAt: noon.Add(7 * day)},
				{StrikeID: 2, MemberID: 1, StartsAt: noon.Add(day), EndsAt: noon.Add(8 * day)},
				{StrikeID: 2, MemberID: 1, StartsAt: noon, EndsAt: noon.Add(99 * day)}, // the strike has one
				{StrikeID: 3, MemberID: 2, StartsAt: noon, EndsAt: noon.Add(day)},
			} {
				if err := tx.AddSuspension(tx.Context(), s); err != nil {
					return err
				}
			}
			for _, want := range []bool{true, false} {
				if got, err := tx.LiftSuspension(tx.Context(), 2, 5, noon.Add(3*day)); got != want || err != nil {
					t.Errorf("LiftSuspension = %t, %v, want %t", got, err, want)
				}
			}
			if got, err := tx.LiftSuspension(tx.Context(), 3, 5, noon.Add(day)); got || err != nil {
				t.Errorf("LiftSuspension of one that is over = %t, %v", got, err)
			}
			for _, tt := range []struct {
				name   string
				member int64
				at     time.Duration
				want   time.Duration // 0: not suspended
			}{
				{"before", 1, -time.Second, 0},
				{"at once", 1, 0, 7 * day},
				{"the longer one", 1, 2 * day, 8 * day},
				{"that one was lifted", 1, 3 * day, 7 * day},
				{"last second", 1, 7*day - time.Second, 7 * day},
				{"over", 1, 7 * day, 0},
				{"somebody else", 2, time.Hour, day},
				{"nobody", 3, time.Hour, 0},
			} {
				got, err := tx.SuspendedUntil(tx.Context(), tt.member, noon.Add(tt.at).In(db.Zone()))
				want := noon.Add(tt.want)
				if tt.want == 0 {
					want = time.Time{}
				}
				if !got.Equal(want) || err != nil {
					t.Errorf("%s: SuspendedUntil = %v, %v, want %v", tt.name, got, err, want)
				}
			}
			return nil
		})
	})
}
