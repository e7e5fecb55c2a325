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

func TestKFSources(t *testing.T) {
	for source, want := range map[string]string{
		store.KFGroupSource(17): "17 ", store.KFPosterSource("Door-1"): "0 Door-1", "g=x": "0 ", "x": "0 ", "": "0 ", "p=": "0 ",
	} {
		if group, poster := store.KFSourceOf(source); fmt.Sprint(group, " ", poster) != want {
			t.Errorf("KFSourceOf(%q) = %d, %q; want %q", source, group, poster, want)
		}
	}
}

func TestKFContact(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		account := func() (a store.KFAccount) {
			t.Helper()
			update(t, db, func(tx *store.Tx) error {
				known, err := tx.KFAccountsOf(tx.Context(), []string{"wk1", "wkOTHER"})
				if len(known) > 1 {
					t.Errorf("accounts = %v, want one", known)
				}
				a = known["wk1"]
				return err
			})
			return a
		}
		set := func(address, problem string, at time.Time) {
			t.Helper()
			update(t, db, func(tx *store.Tx) error { return tx.SetKFContact(tx.Context(), "wk1", address, problem, at) })
		}
		set("https://early.example.com/", "", noon) // never read: nothing to set
		leaseKF(t, db, "a", noon, noon)
		if a := account(); a.ContactURL != "" || a.ContactProblem != "" || a.ContactAgainAt != nil {
			t.Errorf("new account = %+v, want no address", a)
		}
		set("", "没有权限", noon)
		if a := account(); a.ContactURL != "" || a.ContactProblem != "没有权限" || a.ContactAgainAt == nil || !a.ContactAgainAt.Equal(noon) {
			t.Errorf("after a failure = %+v", a)
		}
		set("https://one.example.com/", "", noon.Add(time.Hour))
		set("https://two.example.com/", "", noon.Add(2*time.Hour)) // another replica
		if a := account(); a.ContactURL != "https://one.example.com/" || a.ContactProblem != "" || !a.ContactAgainAt.Equal(noon.Add(time.Hour)) {
			t.Errorf("after two successes = %+v, want the first", a)
		}
	})
}

func TestKFPosters(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		update(t, db, func(tx *store.Tx) error {
			ctx := tx.Context()
			for i, code := range []string{"door", "Door", "lift"} {
				if added, err := tx.AddKFPoster(ctx, store.KFPoster{Code: code, Label: "海报 " + code, CreatedAt: noon.Add(-time.Duration(i) * time.Second)}); err != nil || !added {
					t.Errorf("AddKFPoster(%s) = %t, %v", code, added, err)
				}
			}
			if added, err := tx.AddKFPoster(ctx, store.KFPoster{Code: "door", Label: "别的", CreatedAt: noon}); err != nil || added {
				t.Errorf("AddKFPoster of a code that is taken = %t, %v", added, err)
			}
			if p, err := tx.KFPoster(ctx, "door"); err != nil || p.Label != "海报 door" {
				t.Errorf("KFPoster = %+v, %v", p, err)
			}
			if err := tx.DeleteKFPoster(ctx, "door"); err != nil {
				return err
			}
			if err := tx.DeleteKFPoster(ctx, "door"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("DeleteKFPoster of none = %v", err)
			}
			if _, err := tx.KFPoster(ctx, "door"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("KFPoster of none = %v", err)
			}
			var codes []string
			list, err := tx.KFPosters(ctx)
			for _, p := range list {
				codes = append(codes, p.Code)
			}
			if want := []string{"lift", "Door"}; !slices.Equal(codes, want) {
				t.Errorf("posters = %v, want %v, the oldest first", codes, want)
			}
			return err
		})
	})
}

func TestKFSettings(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		want := func(hours string, menu ...string) {
			t.Helper()
			update(t, db, func(tx *store.Tx) error {
				s, err := tx.KFSettings(tx.Context())
				if s.Hours != hours || !slices.Equal(s.Menu, menu) {
					t.Errorf("settings = %+v, want %s %v", s, hours, menu)
				}
				return err
			})
		}
		set := func(s store.KFSettings) {
			t.Helper()
			update(t, db, func(tx *store.Tx) error { return tx.SetKFSettings(tx.Context(), s) })
		}
		want("", "签到", "积分", "抽奖")
		set(store.KFSettings{Hours: "每天 10:00–22:00", Menu: []string{"停车"}})
		want("每天 10:00–22:00", "停车")
		set(store.KFSettings{})
		want("")
	})
}

func TestKFCountsAndErasing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		const month = 30 * 24 * time.Hour
		members := make([]int64, 3)
		update(t, db, func(tx *store.Tx) error {
			ctx := tx.Context()
			for i, id := range []string{"wmA", "wmB", "wma"} {
				m, err := tx.MembersOf(ctx, []store.Identity{{Kind: store.ExternalUserID, Value: id}}, noon)
				if err != nil {
					return err
				}
				members[i] = m[0].ID
				if _, err := tx.LockKFSession(ctx, "wk1", id); err != nil {
					return err
				}
				if err := tx.AddKFSends(ctx, []store.KFSend{{ID: "send " + id, Account: "wk1", Customer: id, BookedAt: noon, State: store.KFSent}}); err != nil {
					return err
				}
			}
			for _, touch := range []struct {
				member int64
				source string
				at     time.Time
			}{
				{members[0], "g=17", noon.Add(-2 * month)}, {members[0], "p=door", noon},
				{members[1], "g=17", noon.Add(-time.Hour)},
				{members[2], "p=door", noon.Add(-2 * month)},
			} {
				if err := tx.NoteKFTouch(ctx, touch.member, touch.source, touch.at); err != nil {
					return err
				}
			}
			return nil
		})
		leaseKF(t, db, "a", noon, noon)
		counts := map[string]store.KFCount{
			"g=17":   {First: 2, FirstRecent: 1, Last: 1, LastRecent: 1},
			"p=door": {First: 1, FirstRecent: 0, Last: 2, LastRecent: 1},
		}
		check := func(what string) {
			t.Helper()
			update(t, db, func(tx *store.Tx) error {
				got, err := tx.KFCounts(tx.Context(), noon.Add(-month))
				if len(got) != 2 || got["g=17"] != counts["g=17"] || got["p=door"] != counts["p=door"] {
					t.Errorf("counts %s = %+v, want %+v", what, got, counts)
				}
				return err
			})
		}
		check("before")
		update(t, db, func(tx *store.Tx) error {
			ctx := tx.Context()
			talks, err := tx.KFSessionsOf(ctx, members[0])
			if err != nil {
				return err
			}
			sends, err := tx.KFSendsTo(ctx, members[0])
			if len(talks) != 1 || talks[0].Customer != "wmA" || len(sends) != 1 || sends[0].ID != "send wmA" {
				t.Errorf("talks %+v and messages %+v, want those of wmA", talks, sends)
			}
			return err
		})
		for range 2 { // again: nothing is left, and nothing breaks
			update(t, db, func(tx *store.Tx) error { return tx.EraseKF(tx.Context(), members[0]) })
		}
		check("after erasing")
		update(t, db, func(tx *store.Tx) error {
			ctx := tx.Context()
			if _, err := tx.KFTouchOf(ctx, members[0]); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("touch of the erased = %v", err)
			}
			if talks, err := tx.KFSessionsOf(ctx, members[0]); err != nil || len(talks) != 0 {
				t.Errorf("talks of the erased = %+v, %v", talks, err)
			}
			sends, err := tx.KFSends(ctx, []string{"send wmA", "send wmB", "send wma"})
			if err != nil || len(sends) != 2 {
				t.Errorf("messages = %+v, %v; want the others'", sends, err)
			}
			for _, other := range members[1:] {
				if talks, err := tx.KFSessionsOf(ctx, other); err != nil || len(talks) != 1 {
					t.Errorf("talks of another = %+v, %v", talks, err)
				}
			}
			return nil
		})
	})
}

func TestFailSentPost(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		const lane = "kf/wk1/wmA"
		var id int64
		update(t, db, func(tx *store.Tx) error {
			ctx := tx.Context()
			for _, p := range []store.Post{{Key: "a", Lane: lane, Delivery: store.AtLeastOnce, DueAt: store.AtOnce}, {Key: "b", Lane: lane, Delivery: store.AtLeastOnce, DueAt: store.AtOnce}} {
				if _, err := tx.AddPost(ctx, p); err != nil {
					return err
				}
			}
			if err := tx.AddLanes(ctx, []string{lane}, noon); err != nil {
				return err
			}
			a, err := tx.PostByKey(ctx, "a")
			if err != nil {
				return err
			}
			id = a.ID
			return tx.StartPosts(ctx, []int64{id})
		})
		fail := func(lane, receipt string) (failed bool) {
			t.Helper()
			update(t, db, func(tx *store.Tx) (err error) {
				failed, err = tx.FailSentPost(tx.Context(), lane, receipt, "顾客拒收", noon)
				return err
			})
			return failed
		}
		if fail(lane, "M1") {
			t.Error("failed a post in mid-send")
		}
		update(t, db, func(tx *store.Tx) error {
			p, err := tx.Post(tx.Context(), id)
			if err != nil {
				return err
			}
			p.State, p.Receipt = store.PostSent, "M1 M2"
			_, err = tx.SettlePost(tx.Context(), p)
			return err
		})
		if fail("kf/wk1/wmB", "M1") || fail(lane, "m1") || fail(lane, "M3") {
			t.Error("failed a post by another's lane or receipt")
		}
		if !fail(lane, "M2") || fail(lane, "M2") {
			t.Error("FailSentPost fails a sent post, once")
		}
		update(t, db, func(tx *store.Tx) error {
			p, err := tx.Post(tx.Context(), id)
			if p.State != store.PostFailed || p.Reason != "顾客拒收" || p.EndedAt == nil || !p.EndedAt.Equal(noon) {
				t.Errorf("post = %+v, want it failed with a reason", p)
			}
			other, err2 := tx.PostByKey(tx.Context(), "b")
			if other.State != store.PostQueued {
				t.Errorf("the other post = %+v", other)
			}
			return errors.Join(err, err2)
		})
	})
}
