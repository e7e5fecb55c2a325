package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"qunbot/store"
	"qunbot/store/storetest"
)

const today = store.Day("2026-11-21") // the day of noon

// member makes a member called name, without a name if it is empty.
func member(t *testing.T, tx *store.Tx, userID, name string) int64 {
	t.Helper()
	m, err := tx.MembersOf(tx.Context(), []store.Identity{{Kind: store.UserID, Value: userID}}, noon)
	if err != nil {
		t.Fatal(err)
	}
	if name != "" {
		if err := tx.SetName(tx.Context(), m[0].ID, name); err != nil {
			t.Fatal(err)
		}
	}
	return m[0].ID
}

func TestGroupRows(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		update(t, db, func(tx *store.Tx) error {
			mall, err := tx.MallNamed(tx.Context(), "南湖店")
			if err != nil {
				return err
			}
			for n := range 3 {
				if _, err := tx.AddGroup(tx.Context(), store.Group{ChatID: fmt.Sprint("c", n), Kind: store.InternalGroup, Name: fmt.Sprint("群", n), CreatedAt: noon}); err != nil {
					return err
				}
			}
			groups, err := tx.GroupsByChat(tx.Context(), []string{"c0", "c1", "c2"})
			if err != nil {
				return err
			}
			id := func(n int) int64 { return groups[fmt.Sprint("c", n)].ID }
			if err := tx.SetGroup(tx.Context(), id(1), "新名字", mall.ID); err != nil {
				return err
			}
			err = tx.AddGroupMembers(tx.Context(), []store.GroupMember{
				{GroupID: id(1), MemberID: 1, JoinedAt: noon}, {GroupID: id(1), MemberID: 2, JoinedAt: noon}, {GroupID: id(2), MemberID: 1, JoinedAt: noon},
			})
			if err != nil {
				return err
			}

			rows, err := tx.GroupRows(tx.Context(), id(0), 10)
			if err != nil {
				return err
			}
			if len(rows) != 2 || rows[0].Name != "新名字" || rows[0].Mall != "南湖店" || rows[0].Members != 2 || rows[1].Mall != "" || rows[1].Members != 1 {
				t.Errorf("GroupRows behind the first = %+v, want 新名字 of 南湖店 with 2 members, then 群2 with 1", rows)
			}
			if first, err := tx.GroupRows(tx.Context(), 0, 1); err != nil || len(first) != 1 || first[0].ID != id(0) {
				t.Errorf("GroupRows(0, 1) = %+v, %v, want the first group", first, err)
			}
			names, err := tx.GroupNames(tx.Context(), []int64{id(1), 999})
			if len(names) != 1 || names[id(1)] != "新名字" {
				t.Errorf("GroupNames = %v, want one", names)
			}
			if err != nil {
				return err
			}
			of, err := tx.GroupsOf(tx.Context(), 1, 10)
			if len(of) != 2 || of[0].ID != id(2) {
				t.Errorf("GroupsOf(1) = %+v, want two, the newest first", of)
			}
			return err
		})
	})
}

func TestMemberRows(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		update(t, db, func(tx *store.Tx) error {
			li := member(t, tx, "lisi", "李四")
			wang := member(t, tx, "wang", "Wang_100%")
			nobody := member(t, tx, "nobody", "")
			if _, _, err := tx.AddEntry(tx.Context(), store.Entry{Key: "k", MemberID: li, Rule: "test", Points: 15, At: noon}); err != nil {
				return err
			}
			for _, c := range []store.CheckIn{
				{MemberID: li, Day: today.Add(-1), Streak: 6, At: noon}, {MemberID: li, Day: today, Streak: 7, At: noon},
				{MemberID: wang, Day: today.Add(-1), Streak: 3, At: noon}, {MemberID: nobody, Day: today.Add(-2), Streak: 9, At: noon},
			} {
				if _, err := tx.AddCheckIn(tx.Context(), c); err != nil {
					return err
				}
			}
			tests := []struct {
				name   string
				filter store.MemberFilter
				want   []int64
			}{
				{"all, the newest first", store.MemberFilter{Limit: 10}, []int64{nobody, wang, li}},
				{"one page", store.MemberFilter{Limit: 1}, []int64{nobody}},
				{"the next", store.MemberFilter{Limit: 1, Before: nobody}, []int64{wang}},
				{"by number", store.MemberFilter{Limit: 10, Search: fmt.Sprint(nobody)}, []int64{nobody}},
				{"by a part of the name", store.MemberFilter{Limit: 10, Search: "四"}, []int64{li}},
				{"capitals do not matter", store.MemberFilter{Limit: 10, Search: "wANG"}, []int64{wang}},
				{"wildcards are text", store.MemberFilter{Limit: 10, Search: "_1"}, []int64{wang}},
				{"a percent sign too", store.MemberFilter{Limit: 10, Search: "%"}, []int64{wang}},
				{"nobody", store.MemberFilter{Limit: 10, Search: "赵"}, nil},
				{"behind the cursor", store.MemberFilter{Limit: 10, Search: fmt.Sprint(nobody), Before: nobody}, nil},
			}
			for _, tt := range tests {
				rows, err := tx.MemberRows(tx.Context(), tt.filter, today)
				if err != nil {
					return fmt.Errorf("%s: %w", tt.name, err)
				}
				var got []int64
				for _, r := range rows {
					got = append(got, r.ID)
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("%s: members %v, want %v", tt.name, got, tt.want)
				}
			}
			for id, want := range map[int64]store.MemberRow{
				li: {Name: "李四", Balance: 15, Streak: 7}, wang: {Name: "Wang_100%", Streak: 3}, nobody: {},
			} {
				got, err := tx.MemberRow(tx.Context(), id, today)
				if err != nil {
					return err
				}
				if got.Name != want.Name || got.Balance != want.Balance || got.Streak != want.Streak {
					t.Errorf("MemberRow(%d) = %+v, want %+v", id, got, want)
				}
			}
			return nil
		})
	})
}

func TestOutcomeCountsAndSizes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		update(t, db, func(tx *store.Tx) error {
			var why []store.Decision
			var answers []store.Answer
			for n, o := range []store.Outcome{store.Answered, store.Answered, store.Failed, store.Ignored} {
				key := fmt.Sprint("k", n)
				at := noon.Add(time.Duration(n) * time.Hour)
				answers = append(answers, store.Answer{Key: key, CreatedAt: at})
				why = append(why, store.Decision{Key: key, Outcome: o, SentAt: at, At: at})
			}
			if err := tx.AddAnswers(tx.Context(), answers, nil, why); err != nil {
				return err
			}
			got, err := tx.OutcomeCounts(tx.Context(), noon, noon.Add(3*time.Hour))
			if err != nil {
				return err
			}
			if len(got) != 2 || got[store.Answered] != 2 || got[store.Failed] != 1 {
				t.Errorf("OutcomeCounts of three hours = %v, want 2 answered, 1 failed; the end is not part of it", got)
			}
			member(t, tx, "lisi", "")
			sizes, err := tx.Sizes(tx.Context())
			if sizes != (store.Sizes{Members: 1}) {
				t.Errorf("Sizes = %+v, want one member and no group", sizes)
			}
			return err
		})
	})
}

func TestRequestIsClaimedThenAnswered(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		update(t, db, func(tx *store.Tx) error {
			if err := tx.AddRequest(tx.Context(), store.Request{Key: "k", Fingerprint: "f", CreatedAt: noon}); err != nil {
				return err
			}
			if err := tx.AnswerRequest(tx.Context(), store.Request{Key: "k", Status: 201, ContentType: "application/json", Body: []byte("{}")}); err != nil {
				return err
			}
			got, err := tx.Request(tx.Context(), "k")
			if got.Status != 201 || got.Fingerprint != "f" || string(got.Body) != "{}" || !got.CreatedAt.Equal(noon) {
				t.Errorf("Request = %+v, want what was claimed and then answered", got)
			}
			return err
		})
	})
}
