package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"qunbot/store"
	"qunbot/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var noon = time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC) // 12:00 in Asia/Shanghai

func update(t *testing.T, db *store.Store, fn func(tx *store.Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func TestUpdateRollsBackOnError(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		boom := errors.New("boom")
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			if _, err := tx.MallNamed(tx.Context(), "南湖店"); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatalf("Update = %v, want %v", err, boom)
		}
		update(t, db, func(tx *store.Tx) error {
			malls, err := tx.Malls(tx.Context())
			if len(malls) != 0 {
				t.Errorf("Malls = %v, want none", malls)
			}
			return err
		})
	})
}

func TestTransactionsDoNotNest(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		update(t, db, func(tx *store.Tx) error {
			for name, open := range map[string]func() error{
				"Update": func() error { return db.Update(tx.Context(), func(*store.Tx) error { return nil }) },
				"View":   func() error { return db.View(tx.Context(), func(*store.Tx) error { return nil }) },
			} {
				if err := open(); !errors.Is(err, store.ErrNested) {
					t.Errorf("%s inside Update = %v, want %v", name, err, store.ErrNested)
				}
			}
			return nil
		})
	})
}

func TestViewCannotWrite(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		err := db.View(t.Context(), func(tx *store.Tx) error {
			_, err := tx.MallNamed(tx.Context(), "南湖店")
			return err
		})
		if err == nil {
			t.Error("a write inside View = nil, want an error")
		}
	})
}

// Keys must be the same or different on both databases alike: MySQL's default
// collation would take the pairs here for equal.
func TestKeysCompareByByte(t *testing.T) {
	values := []string{"CAIQabc", "CAIQABC", "é", "e", "e\u0301", "🎁", "🎉", "ss", "ß", "店", "店 ", " 店", "ａ", "a"}
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		update(t, db, func(tx *store.Tx) error {
			var answers []store.Answer
			var keys []string
			for _, v := range values {
				key := store.Key("aibot/helper", v)
				keys = append(keys, key)
				answers = append(answers, store.Answer{Key: key, Body: v, CreatedAt: noon})
			}
			if err := tx.AddAnswers(tx.Context(), answers, nil, []store.Decision{{Key: "d", At: noon, SentAt: noon}}); err != nil {
				return err
			}
			got, err := tx.Answers(tx.Context(), keys)
			for i, v := range values {
				if got[keys[i]].Body != v {
					t.Errorf("Answers[%q].Body = %q, want %q", keys[i], got[keys[i]].Body, v)
				}
			}
			return err
		})
	})
}

func TestKey(t *testing.T) {
	tests := []struct {
		name  string
		parts []any
		want  string
	}{
		{"joins", []any{"checkin", int64(42), store.Day("2025-03-01")}, "checkin:42:2025-03-01"},
		{"escapes the colon", []any{"a:b", "c"}, "a%3Ab:c"},
		{"escapes the escape", []any{"a%3Ab"}, "a%253Ab"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := store.Key(tt.parts...); got != tt.want {
				t.Errorf("Key(%v) = %q, want %q", tt.parts, got, tt.want)
			}
		})
	}
	long := store.Key(strings.Repeat("长", 100))
	if len(long) > 160 || long == store.Key(strings.Repeat("长", 101)) {
		t.Errorf("Key of 300 bytes = %q, want a hash of its own within 160 bytes", long)
	}
}

func TestDay(t *testing.T) {
	if got := store.Day("2024-02-28").Add(1); got != "2024-02-29" {
		t.Errorf("day after 2024-02-28 = %s, want the leap day", got)
	}
	tests := []struct {
		day    store.Day
		months int
		want   store.Day
	}{
		{"2026-11-22", 12, "2027-11-22"},
		{"2024-02-29", 12, "2025-02-28"},
		{"2025-01-31", 1, "2025-02-28"},
		{"2025-12-15", 1, "2026-01-15"},
	}
	for _, tt := range tests {
		if got := tt.day.AddMonths(tt.months); got != tt.want {
			t.Errorf("%s.AddMonths(%d) = %s, want %s", tt.day, tt.months, got, tt.want)
		}
	}
	if got := store.Day("2025-03-01").Since("2024-02-28"); got != 367 {
		t.Errorf("2025-03-01 since 2024-02-28 = %d days, want 367", got)
	}
	lastSecond := time.Date(2025, 3, 1, 15, 59, 59, 0, time.UTC)
	if got := store.DayOf(lastSecond, storetest.Zone()); got != "2025-03-01" {
		t.Errorf("DayOf(23:59:59 local) = %s, want 2025-03-01", got)
	}
	if got := store.DayOf(lastSecond.Add(time.Second), storetest.Zone()); got != "2025-03-02" {
		t.Errorf("DayOf(midnight local) = %s, want 2025-03-02", got)
	}
}

// Many transactions that make the same members and move the same accounts end
// with one member an identity and no points lost.
func TestConcurrentUpdates(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		const workers, rounds = 8, 12
		ids := []store.Identity{{Kind: store.UserID, Value: "lisi"}, {Kind: store.UserID, Value: "wangwu"}}
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for r := range rounds {
					err := db.Update(t.Context(), func(tx *store.Tx) error {
						members, err := tx.MembersOf(tx.Context(), ids, noon)
						if err != nil {
							return err
						}
						if err := tx.LockAccounts(tx.Context(), []int64{members[1].ID, members[0].ID}); err != nil {
							return err
						}
						for _, m := range members {
							key := store.Key("test", m.ID, w, r)
							if _, _, err := tx.AddEntry(tx.Context(), store.Entry{Key: key, MemberID: m.ID, Rule: "test", Points: 1, At: noon}); err != nil {
								return err
							}
						}
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		update(t, db, func(tx *store.Tx) error {
			members, err := tx.MembersOf(tx.Context(), ids, noon)
			if err != nil {
				return err
			}
			for _, m := range members {
				balance, err := tx.LockedBalance(tx.Context(), m.ID)
				if err != nil {
					return err
				}
				if balance != workers*rounds {
					t.Errorf("balance of member %d = %d, want %d", m.ID, balance, workers*rounds)
				}
			}
			return nil
		})
	})
}

func TestEntryKeyBooksOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		update(t, db, func(tx *store.Tx) error {
			for n := range 3 {
				_, added, err := tx.AddEntry(tx.Context(), store.Entry{Key: "k", MemberID: 7, Rule: "test", Points: 5, At: noon})
				if err != nil {
					return err
				}
				if added != (n == 0) {
					t.Errorf("AddEntry the %d. time: added = %t", n+1, added)
				}
			}
			balance, err := tx.LockedBalance(tx.Context(), 7)
			if balance != 5 {
				t.Errorf("balance = %d, want 5", balance)
			}
			return err
		})
	})
}

func TestAnswerOfTwoReplicasIsStoredOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		add := func(tx *store.Tx) error {
			return tx.AddAnswers(tx.Context(), []store.Answer{{Key: "k", CreatedAt: noon}}, nil,
				[]store.Decision{{Key: "k", At: noon, SentAt: noon}})
		}
		update(t, db, add)
		if err := db.Update(t.Context(), add); !errors.Is(err, store.ErrExists) {
			t.Errorf("second AddAnswers = %v, want %v", err, store.ErrExists)
		}
	})
}

func TestReopenKeepsDataAndZone(t *testing.T) {
	storetest.EachOptions(t, func(t *testing.T, o store.Options) {
		db, err := store.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		update(t, db, func(tx *store.Tx) error {
			_, err := tx.AddCheckIn(tx.Context(), store.CheckIn{MemberID: 1, Day: "2026-11-21", Streak: 1, At: noon})
			return err
		})
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}

		moved := o
		moved.Zone = time.UTC
		if db, err := store.Open(t.Context(), moved); err == nil {
			db.Close()
			t.Error("Open in another zone = nil, want an error: there are check-ins")
		} else if !strings.Contains(err.Error(), "Asia/Shanghai") {
			t.Errorf("Open in another zone = %v, want it to name the old zone", err)
		}

		db, err = store.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		update(t, db, func(tx *store.Tx) error {
			last, err := tx.LastCheckIn(tx.Context(), 1)
			if last.Day != "2026-11-21" || !last.At.Equal(noon) {
				t.Errorf("LastCheckIn = %+v, want 2026-11-21 at %s", last, noon)
			}
			return err
		})
	})
}

func TestSettingKeepsDefaults(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		type rules struct{ First, Next int }
		update(t, db, func(tx *store.Tx) error {
			got := rules{5, 10}
			if err := tx.Setting(tx.Context(), "rules", &got); err != nil {
				return err
			}
			if got != (rules{5, 10}) {
				t.Errorf("setting that was never set = %+v, want the defaults", got)
			}
			if err := tx.SetSetting(tx.Context(), "rules", map[string]int{"Next": 20}); err != nil {
				return err
			}
			if err := tx.Setting(tx.Context(), "rules", &got); err != nil {
				return err
			}
			if got != (rules{5, 20}) {
				t.Errorf("setting = %+v, want Next changed and First kept", got)
			}
			return nil
		})
	})
}

func TestLoginLinkLetsInOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		update(t, db, func(tx *store.Tx) error {
			o, err := tx.PutOperator(tx.Context(), store.Operator{UserID: "zhangsan", Name: "张三", Role: store.Owner, CreatedAt: noon})
			if err != nil {
				return err
			}
			token, err := tx.AddLoginLink(tx.Context(), o.ID, noon.Add(time.Hour))
			if err != nil {
				return err
			}
			late, err := tx.AddLoginLink(tx.Context(), o.ID, noon)
			if err != nil {
				return err
			}
			if got, err := tx.UseLoginLink(tx.Context(), token, noon); err != nil || got.UserID != "zhangsan" {
				t.Errorf("first use = %+v, %v, want zhangsan", got, err)
			}
			for name, token := range map[string]string{"used": token, "expired": late, "unknown": "x"} {
				if _, err := tx.UseLoginLink(tx.Context(), token, noon); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("%s link = %v, want %v", name, err, store.ErrNotFound)
				}
			}
			return nil
		})
	})
}

func TestRoleCovers(t *testing.T) {
	if !store.Owner.Covers(store.Clerk) || store.Clerk.Covers(store.Owner) || !store.Staff.Covers(store.Staff) {
		t.Error("roles do not build on each other")
	}
	if store.Role("").Covers(store.Clerk) || store.Role("boss").Covers(store.Clerk) {
		t.Error("an unknown role covers something")
	}
	if !store.Role("").Covers("") {
		t.Error("what needs no role is refused")
	}
}

func TestDecisionsAreFilteredAndPaged(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		update(t, db, func(tx *store.Tx) error {
			var answers []store.Answer
			var said []store.Message
			var why []store.Decision
			for n := range 5 {
				key := fmt.Sprint("k", n)
				answers = append(answers, store.Answer{Key: key, CreatedAt: noon})
				said = append(said, store.Message{Key: key, GroupID: int64(n % 2), MemberID: 1, Text: "第" + key, SentAt: noon})
				why = append(why, store.Decision{Key: key, GroupID: int64(n % 2), MemberID: 1, Outcome: store.Answered, At: noon, SentAt: noon})
			}
			return tx.AddAnswers(tx.Context(), answers, said, why)
		})
		update(t, db, func(tx *store.Tx) error {
			var got []string
			var before int64
			for {
				page, err := tx.Decisions(tx.Context(), store.DecisionFilter{GroupID: 1, Before: before, Limit: 1})
				if err != nil {
					return err
				}
				if len(page) == 0 {
					break
				}
				got = append(got, page[0].Text)
				before = page[0].ID
			}
			if want := []string{"第k3", "第k1"}; !slices.Equal(got, want) {
				t.Errorf("decisions of group 1, page by page = %q, want %q", got, want)
			}
			_, err := tx.Prune(tx.Context(), store.Cutoffs{Messages: noon.Add(time.Hour)}, 100)
			return err
		})
		update(t, db, func(tx *store.Tx) error {
			all, err := tx.Decisions(tx.Context(), store.DecisionFilter{Limit: 10})
			if len(all) != 5 || all[0].Text != "" {
				t.Errorf("after pruning messages: %d decisions, text %q; want 5 without texts", len(all), all[0].Text)
			}
			return err
		})
	})
}

func TestRankings(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		update(t, db, func(tx *store.Tx) error {
			ctx := tx.Context()
			for n, mall := range []string{"南湖店", "北湖店"} {
				m, err := tx.MallNamed(ctx, mall)
				if err != nil {
					return err
				}
				if _, err := tx.AddGroup(ctx, store.Group{ChatID: mall, MallID: m.ID, CreatedAt: noon}); err != nil {
					return err
				}
				for k := range 3 {
					member := int64(10*(n+1) + k)
					if err := tx.AddGroupMembers(ctx, []store.GroupMember{{GroupID: int64(n + 1), MemberID: member, JoinedAt: noon}}); err != nil {
						return err
					}
					for days := range k + 1 {
						e := store.Entry{Key: store.Key(member, days), MemberID: member, Points: 10, At: noon.AddDate(0, 0, -days)}
						if _, _, err := tx.AddEntry(ctx, e); err != nil {
							return err
						}
					}
					for streak := 1; streak <= k+1; streak++ { // ends yesterday
						day := store.Day("2026-11-20").Add(streak - k - 1)
						if _, err := tx.AddCheckIn(ctx, store.CheckIn{MemberID: member, Day: day, Streak: streak, At: noon}); err != nil {
							return err
						}
					}
				}
			}
			return nil
		})
		update(t, db, func(tx *store.Tx) error {
			ctx := tx.Context()
			second := store.Circle{GroupID: 2}
			balances, err := tx.RankBalances(ctx, second, 2)
			if err != nil {
				return err
			}
			if want := []store.Rank{{MemberID: 22, Value: 30}, {MemberID: 21, Value: 20}}; !slices.Equal(balances, want) {
				t.Errorf("RankBalances(group 2) = %v, want %v", balances, want)
			}
			earned, err := tx.RankEarned(ctx, store.Circle{MallID: 1}, noon.AddDate(0, 0, -1), 10)
			if err != nil {
				return err
			}
			if want := []store.Rank{{MemberID: 11, Value: 20}, {MemberID: 12, Value: 20}, {MemberID: 10, Value: 10}}; !slices.Equal(earned, want) {
				t.Errorf("RankEarned(mall 1, since yesterday) = %v, want %v", earned, want)
			}
			streaks, err := tx.RankStreaks(ctx, store.Circle{}, "2026-11-21", 1)
			if err != nil {
				return err
			}
			if want := []store.Rank{{MemberID: 12, Value: 3}}; !slices.Equal(streaks, want) {
				t.Errorf("RankStreaks(everybody) = %v, want %v", streaks, want)
			}
			gone, err := tx.RankStreaks(ctx, store.Circle{}, "2026-11-23", 1)
			if len(gone) != 0 {
				t.Errorf("RankStreaks two days on = %v, want none", gone)
			}
			return err
		})
	})
}
