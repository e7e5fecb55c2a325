package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"qunbot/store"
	"qunbot/store/storetest"
)

// posted adds queued posts, whose keys are their lanes and a number, and returns
// their ids.
func posted(t *testing.T, db *store.Store, lane string, n int) (ids []int64) {
	t.Helper()
	update(t, db, func(tx *store.Tx) error {
		ids = nil
		for i := range n {
			key := fmt.Sprint(lane, " ", i)
			added, err := tx.AddPost(tx.Context(), store.Post{Key: key, Lane: lane, DueAt: store.AtOnce, Text: "喂🎁", Delivery: store.AtMostOnce, Item: "test"})
			if err != nil || !added {
				return fmt.Errorf("AddPost(%s) = %v, %w", key, added, err)
			}
			p, err := tx.PostByKey(tx.Context(), key)
			if err != nil {
				return err
			}
			ids = append(ids, p.ID)
		}
		return nil
	})
	return ids
}

func TestAddPost(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		id := posted(t, db, "webhook/1", 1)[0]
		update(t, db, func(tx *store.Tx) error {
			expires := noon.Add(time.Hour)
			again := store.Post{Key: "webhook/1 0", Lane: "webhook/2", DueAt: noon, ExpiresAt: &expires, Text: "other", Delivery: store.AtLeastOnce}
			if added, err := tx.AddPost(tx.Context(), again); added || err != nil {
				t.Errorf("AddPost under a key that is taken = %v, %v", added, err)
			}
			again.Key = "WEBHOOK/1 0"
			if added, err := tx.AddPost(tx.Context(), again); !added || err != nil {
				t.Errorf("AddPost under a key that differs by case = %v, %v", added, err)
			}
			p, err := tx.Post(tx.Context(), id)
			if p.Text != "喂🎁" || p.State != store.PostQueued || !p.DueAt.Equal(store.AtOnce) || p.ExpiresAt != nil || p.EndedAt != nil {
				t.Errorf("Post = %+v, want it as it was first added", p)
			}
			if _, err := tx.Post(tx.Context(), 999); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("Post of an unknown id = %v, want ErrNotFound", err)
			}
			return err
		})
	})
}

func TestLanes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		for _, lane := range []string{"a/1", "a/2", "A/1"} {
			posted(t, db, lane, 2)
		}
		update(t, db, func(tx *store.Tx) error {
			ctx := tx.Context()
			due, err := tx.DueLanes(ctx, noon, 10)
			if err != nil || len(due) != 3 || !due[0].Fresh {
				t.Errorf("DueLanes = %v, %v, want three fresh ones", due, err)
			}
			for range 2 {
				if err := tx.AddLanes(ctx, []string{"a/1", "a/2", "A/1"}, noon); err != nil {
					return err
				}
			}
			won, err := tx.ClaimLanes(ctx, []string{"a/1", "A/1", "a/9"}, "x", noon, noon.Add(time.Minute))
			if err != nil || len(won) != 2 || won[0].Fence != 1 {
				t.Errorf("ClaimLanes = %+v, %v, want a/1 and A/1", won, err)
			}
			lost, err := tx.ClaimLanes(ctx, []string{"a/1", "a/2"}, "y", noon.Add(time.Second), noon.Add(time.Minute))
			if err != nil || len(lost) != 1 || lost[0].Lane != "a/2" {
				t.Errorf("ClaimLanes of another = %+v, %v, want a/2", lost, err)
			}
			next, err := tx.NextPosts(ctx, []string{"a/1", "a/2", "a/9"}, noon)
			if err != nil || len(next) != 2 || next[0].ID > next[1].ID {
				return fmt.Errorf("NextPosts = %+v, %w", next, err)
			}
			if err := tx.StartPosts(ctx, []int64{next[0].ID}); err != nil {
				return err
			}
			sending, err := tx.SendingPosts(ctx, []string{"a/1", "a/2"})
			if err != nil || len(sending) != 1 || sending[0].Fence != 1 || sending[0].Attempts != 1 {
				t.Errorf("SendingPosts = %+v, %v", sending, err)
			}
			old := won[0]
			old.Fence--
			if held, err := tx.SetLane(ctx, old); held || err != nil {
				t.Errorf("SetLane with an old fence = %v, %v", held, err)
			}
			for _, l := range won {
				l.LeaseUntil, l.WaitUntil, l.Booked = noon, noon.Add(time.Hour), "1"
				if held, err := tx.SetLane(ctx, l); !held || err != nil {
					t.Errorf("SetLane = %v, %v", held, err)
				}
			}
			late := sending[0]
			late.Fence = 9
			if done, err := tx.SettlePost(ctx, late); done || err != nil {
				t.Errorf("SettlePost under another fence = %v, %v", done, err)
			}
			late = sending[0]
			late.State = store.PostSent
			if done, err := tx.SettlePost(ctx, late); !done || err != nil {
				t.Errorf("SettlePost = %v, %v", done, err)
			}
			if done, err := tx.SettlePost(ctx, late); done || err != nil {
				t.Errorf("SettlePost again = %v, %v", done, err)
			}
			for _, tt := range []struct {
				after time.Duration
				want  int
			}{{59 * time.Minute, 1}, {time.Hour, 3}} {
				if due, err = tx.DueLanes(ctx, noon.Add(tt.after), 10); len(due) != tt.want || err != nil {
					t.Errorf("DueLanes after %v = %v, %v, want %d", tt.after, due, err, tt.want)
				}
			}
			return tx.ReleaseLanes(ctx, []string{"a/2"}, "y", noon)
		})
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			return tx.StartPosts(tx.Context(), []int64{1}) // sent already
		})
		if err == nil {
			t.Error("StartPosts of a post that is over = nil, want an error")
		}
	})
}

func TestOperatorsAndPosts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		id := posted(t, db, "a/1", 1)[0]
		later := noon.Add(time.Hour)
		type action struct {
			name string
			do   func(tx *store.Tx) (bool, error)
		}
		cancel := action{"cancel", func(tx *store.Tx) (bool, error) { return tx.CancelPost(tx.Context(), id, "不用了", noon) }}
		retry := action{"retry", func(tx *store.Tx) (bool, error) { return tx.RetryPost(tx.Context(), id, later) }}
		sent := action{"resolve sent", func(tx *store.Tx) (bool, error) { return tx.ResolveSent(tx.Context(), id, "看到了", noon) }}
		again := action{"resolve again", func(tx *store.Tx) (bool, error) { return tx.ResolveAgain(tx.Context(), id, later) }}
		send := action{"send without an answer", func(tx *store.Tx) (bool, error) {
			if err := tx.StartPosts(tx.Context(), []int64{id}); err != nil {
				return false, err
			}
			return tx.SettlePost(tx.Context(), store.Post{ID: id, Fence: 1, State: store.PostUnknown, EndedAt: &noon, Doubts: 1})
		}}
		start := action{"claim", func(tx *store.Tx) (bool, error) {
			if err := tx.AddLanes(tx.Context(), []string{"a/1"}, noon); err != nil {
				return false, err
			}
			won, err := tx.ClaimLanes(tx.Context(), []string{"a/1"}, "x", noon, noon.Add(time.Second))
			return len(won) == 1, err
		}}
		for _, tt := range []struct {
			action
			done bool
			want store.PostState
		}{
			{start, true, store.PostQueued},
			{retry, false, store.PostQueued}, {sent, false, store.PostQueued}, {again, false, store.PostQueued},
			{cancel, true, store.PostCancelled}, {cancel, false, store.PostCancelled},
			{retry, true, store.PostQueued}, {send, true, store.PostUnknown},
			{cancel, false, store.PostUnknown}, {retry, false, store.PostUnknown},
			{again, true, store.PostQueued}, {send, true, store.PostUnknown},
			{sent, true, store.PostSent}, {again, false, store.PostSent}, {retry, false, store.PostSent},
		} {
			update(t, db, func(tx *store.Tx) error {
				done, err := tt.do(tx)
				if err != nil || done != tt.done {
					return fmt.Errorf("%s = %v, %w; want %v", tt.name, done, err, tt.done)
				}
				p, err := tx.Post(tx.Context(), id)
				if p.State != tt.want || (p.EndedAt == nil) != (p.State == store.PostQueued) {
					t.Errorf("after %s it is %s, ended at %v; want %s", tt.name, p.State, p.EndedAt, tt.want)
				}
				return err
			})
		}
		update(t, db, func(tx *store.Tx) error {
			p, err := tx.Post(tx.Context(), id)
			if p.Reason != "看到了" || p.Attempts != 2 || p.Doubts != 1 || !p.WaitingSince.Equal(later) {
				t.Errorf("Post = %+v", p)
			}
			return err
		})
	})
}

func TestListPosts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		ids := append(posted(t, db, "a/1", 3), posted(t, db, "a/2", 2)...)
		update(t, db, func(tx *store.Tx) error {
			ctx := tx.Context()
			if _, err := tx.OldestDuePost(ctx, noon); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("OldestDuePost of unseen ones = %v, want ErrNotFound", err)
			}
			unseen, err := tx.UnseenPosts(ctx, 4)
			if len(unseen) != 4 || err != nil {
				t.Errorf("UnseenPosts = %v, %v, want 4", unseen, err)
			}
			if err := tx.SeePosts(ctx, ids[1:], noon); err != nil {
				return err
			}
			if p, err := tx.OldestDuePost(ctx, noon); p.ID != ids[1] || err != nil {
				t.Errorf("OldestDuePost = %v, %v, want %d", p.ID, err, ids[1])
			}
			if _, err := tx.CancelPost(ctx, ids[1], "x", noon); err != nil {
				return err
			}
			if err := tx.FailLane(ctx, "a/2", "gone", noon); err != nil {
				return err
			}
			for _, tt := range []struct {
				f    store.PostFilter
				want []int64
			}{
				{store.PostFilter{}, []int64{ids[4], ids[3], ids[2]}},
				{store.PostFilter{Before: ids[2]}, []int64{ids[1], ids[0]}},
				{store.PostFilter{After: ids[0], Oldest: true}, []int64{ids[1], ids[2], ids[3]}},
				{store.PostFilter{Lane: "a/1", State: store.PostQueued}, []int64{ids[2], ids[0]}},
				{store.PostFilter{Item: "other"}, nil},
			} {
				tt.f.Limit = 3
				list, err := tx.Posts(ctx, tt.f)
				var got []int64
				for _, p := range list {
					got = append(got, p.ID)
				}
				if fmt.Sprint(got) != fmt.Sprint(tt.want) || err != nil {
					t.Errorf("Posts(%+v) = %v, %v, want %v", tt.f, got, err, tt.want)
				}
			}
			counts, err := tx.PostCounts(ctx)
			if want := "map[cancelled:1 failed:2 queued:2]"; fmt.Sprint(counts) != want || err != nil {
				t.Errorf("PostCounts = %v, %v, want %s", counts, err, want)
			}
			return err
		})
	})
}

func TestPrunePosts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		ids := append(posted(t, db, "a/1", 3), posted(t, db, "a/2", 1)...)
		update(t, db, func(tx *store.Tx) error {
			ctx := tx.Context()
			if err := tx.AddLanes(ctx, []string{"a/1", "a/2", "a/3"}, noon); err != nil {
				return err
			}
			for i, at := range []time.Duration{0, 2 * time.Hour} {
				if _, err := tx.CancelPost(ctx, ids[i], "", noon.Add(at)); err != nil {
					return err
				}
			}
			if _, err := tx.CancelPost(ctx, ids[3], "", noon); err != nil {
				return err
			}
			n, err := tx.PrunePosts(ctx, noon.Add(time.Hour), 1)
			if err != nil {
				return err
			}
			m, err := tx.PrunePosts(ctx, noon.Add(time.Hour), 10)
			if n != 1 || m != 1 || err != nil {
				t.Errorf("PrunePosts = %d, then %d, %v; want 1 and 1", n, m, err)
			}
			if n, err = tx.PruneLanes(ctx, noon.Add(time.Hour), 10); n != 2 || err != nil {
				t.Errorf("PruneLanes = %d, %v; want a/2 and a/3", n, err)
			}
			if _, err := tx.Lane(ctx, "a/1"); err != nil {
				t.Errorf("Lane a/1, which has posts: %v", err)
			}
			return nil
		})
	})
}
