package store

import (
	"context"
	"fmt"
	"time"
)

// A PostFilter narrows Posts. Zero fields do not narrow.
type PostFilter struct {
	State  PostState
	Lane   string
	Item   string
	Before int64 // only posts with a smaller id, the newest first
	After  int64 // only posts with a larger id
	Oldest bool  // the oldest first instead of the newest
	Limit  int
}

// Posts returns posts, the newest first unless f says otherwise.
func (tx *Tx) Posts(ctx context.Context, f PostFilter) ([]Post, error) {
	where := map[string]any{}
	if f.State != "" {
		where["state"] = f.State
	}
	if f.Lane != "" {
		where["lane"] = f.Lane
	}
	if f.Item != "" {
		where["item"] = f.Item
	}
	q := tx.db.WithContext(ctx).Omit("rich").Where(where) // it may be a picture
	if f.Before > 0 {
		q = q.Where("id < ?", f.Before)
	}
	if f.After > 0 {
		q = q.Where("id > ?", f.After)
	}
	order := "id DESC"
	if f.Oldest {
		order = "id"
	}
	var posts []Post
	if err := q.Order(order).Limit(f.Limit).Find(&posts).Error; err != nil {
		return nil, fmt.Errorf("list posts: %w", err)
	}
	return posts, nil
}

// Post returns one post, or ErrNotFound.
func (tx *Tx) Post(ctx context.Context, id int64) (Post, error) {
	var p Post
	err := one(tx.db.WithContext(ctx).Take(&p, id), "look up post")
	return p, err
}

// PostByKey returns the post with a key, or ErrNotFound.
func (tx *Tx) PostByKey(ctx context.Context, key string) (Post, error) {
	var p Post
	err := one(tx.db.WithContext(ctx).Where(map[string]any{"key": key}).Take(&p), "look up post")
	return p, err
}

// PostCounts returns how many posts there are in each state; states without
// posts are left out.
func (tx *Tx) PostCounts(ctx context.Context) (map[PostState]int64, error) {
	var rows []struct {
		State PostState
		Posts int64
	}
	err := tx.db.WithContext(ctx).Model(&Post{}).Select("state, COUNT(*) AS posts").Group("state").Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("count posts: %w", err)
	}
	counts := make(map[PostState]int64, len(rows))
	for _, r := range rows {
		counts[r.State] = r.Posts
	}
	return counts, nil
}

// OldestDuePost returns the queued post with the earliest WaitingSince, or
// ErrNotFound if none is waiting at now.
func (tx *Tx) OldestDuePost(ctx context.Context, now time.Time) (Post, error) {
	var p Post
	res := tx.db.WithContext(ctx).Where("state = ? AND waiting_since <= ?", PostQueued, moment(now)).Order("waiting_since").Limit(1).Take(&p)
	return p, one(res, "look up oldest post")
}

// retriable are the states from which an operator may have a post sent.
var retriable = []PostState{PostFailed, PostExpired, PostCancelled}

// RetryPost queues a post that failed, expired or was cancelled again, without
// its expiry, and takes its lane for alive. It reports false and changes nothing
// if the post is in another state.
func (tx *Tx) RetryPost(ctx context.Context, id int64, now time.Time) (bool, error) {
	lane := tx.db.Model(&Post{}).Select("lane").Where("id = ? AND state IN ?", id, retriable)
	err := tx.db.WithContext(ctx).Model(&Lane{}).Where("lane = (?) AND dead_at IS NOT NULL", lane).
		Updates(map[string]any{"dead_at": nil, "dead_reason": ""}).Error
	if err != nil {
		return false, fmt.Errorf("retry post %d: %w", id, err)
	}
	return tx.requeue(ctx, id, retriable, now)
}

// CancelPost ends a queued post. It reports false and changes nothing if the
// post is in another state: what is being sent cannot be called back.
func (tx *Tx) CancelPost(ctx context.Context, id int64, reason string, now time.Time) (bool, error) {
	return tx.endPost(ctx, id, PostQueued, PostCancelled, reason, now)
}

// ResolveSent says that a PostUnknown did arrive, ResolveAgain that it did not
// and is to be sent again. They report false and change nothing if the post is
// in another state.
func (tx *Tx) ResolveSent(ctx context.Context, id int64, reason string, now time.Time) (bool, error) {
	return tx.endPost(ctx, id, PostUnknown, PostSent, reason, now)
}

// ResolveAgain: see ResolveSent.
func (tx *Tx) ResolveAgain(ctx context.Context, id int64, now time.Time) (bool, error) {
	return tx.requeue(ctx, id, []PostState{PostUnknown}, now)
}

// FailSentPost makes a post failed of which the platform said later that it did
// not arrive: the one of a lane that is sent and whose Receipt holds receipt. It
// reports false and changes nothing if there is none.
func (tx *Tx) FailSentPost(ctx context.Context, lane, receipt, reason string, now time.Time) (bool, error) {
	res := tx.db.WithContext(ctx).Model(&Post{}).Where("lane = ? AND state = ? AND INSTR(receipt, ?) > 0", lane, PostSent, receipt).
		Updates(map[string]any{"state": PostFailed, "reason": Cut(reason, 500), "ended_at": moment(now)})
	if res.Error != nil {
		return false, fmt.Errorf("fail a post that was sent: %w", res.Error)
	}
	return res.RowsAffected > 0, nil
}

func (tx *Tx) endPost(ctx context.Context, id int64, from, to PostState, reason string, now time.Time) (bool, error) {
	res := tx.db.WithContext(ctx).Model(&Post{}).Where("id = ? AND state = ?", id, from).
		Updates(map[string]any{"state": to, "reason": reason, "ended_at": moment(now)})
	if res.Error != nil {
		return false, fmt.Errorf("make post %d %s: %w", id, to, res.Error)
	}
	return res.RowsAffected == 1, nil
}

func (tx *Tx) requeue(ctx context.Context, id int64, from []PostState, now time.Time) (bool, error) {
	res := tx.db.WithContext(ctx).Model(&Post{}).Where("id = ? AND state IN ?", id, from).
		Updates(map[string]any{"state": PostQueued, "reason": "", "failures": 0, "doubts": 0,
			"due_at": AtOnce, "waiting_since": moment(now), "expires_at": nil, "ended_at": nil})
	if res.Error != nil {
		return false, fmt.Errorf("queue post %d again: %w", id, res.Error)
	}
	tx.posted = tx.posted || res.RowsAffected == 1
	return res.RowsAffected == 1, nil
}

// DeadLanes returns the destinations that are known to be gone, the latest
// first, at most limit.
func (tx *Tx) DeadLanes(ctx context.Context, limit int) ([]Lane, error) {
	var lanes []Lane
	err := tx.db.WithContext(ctx).Where("dead_at IS NOT NULL").Order("dead_at DESC, lane").Limit(limit).Find(&lanes).Error
	if err != nil {
		return nil, fmt.Errorf("list dead lanes: %w", err)
	}
	return lanes, nil
}

// Lane returns what is known about a destination, or ErrNotFound if nothing
// was ever sent there.
func (tx *Tx) Lane(ctx context.Context, lane string) (Lane, error) {
	var l Lane
	err := one(tx.db.WithContext(ctx).Where("lane = ?", lane).Take(&l), "look up lane")
	return l, err
}

// ReviveLane takes a dead destination for alive, and reports whether it was
// dead. Its posts that failed meanwhile wait for RetryPost.
func (tx *Tx) ReviveLane(ctx context.Context, lane string) (bool, error) {
	res := tx.db.WithContext(ctx).Model(&Lane{}).Where("lane = ? AND dead_at IS NOT NULL", lane).
		Updates(map[string]any{"dead_at": nil, "dead_reason": ""})
	if res.Error != nil {
		return false, fmt.Errorf("revive lane: %w", res.Error)
	}
	return res.RowsAffected == 1, nil
}

// PrunePosts deletes posts that ended before that time, at most limit, and
// returns how many. A PostUnknown stays until somebody resolves it. A key that
// was deleted can be pushed anew.
func (tx *Tx) PrunePosts(ctx context.Context, before time.Time, limit int) (int64, error) {
	var ids []int64
	err := tx.db.WithContext(ctx).Model(&Post{}).Where("ended_at < ? AND state <> ?", moment(before), PostUnknown).
		Limit(limit).Pluck("id", &ids).Error
	if err != nil {
		return 0, fmt.Errorf("prune posts: %w", err)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	// The condition again: an operator may have had one of them sent meanwhile.
	res := tx.db.WithContext(ctx).Where("id IN ? AND ended_at < ?", ids, moment(before)).Delete(&Post{})
	if res.Error != nil {
		return 0, fmt.Errorf("prune posts: %w", res.Error)
	}
	return res.RowsAffected, nil
}

// PruneLanes deletes what is known about living destinations without posts that
// nobody has sent to since that time, at least a day ago; at most limit. It
// returns how many.
func (tx *Tx) PruneLanes(ctx context.Context, before time.Time, limit int) (int64, error) {
	const idle = "lease_until < ? AND wait_until < ? AND dead_at IS NULL AND NOT EXISTS (SELECT 1 FROM posts WHERE posts.lane = lanes.lane)"
	var names []string
	err := tx.db.WithContext(ctx).Model(&Lane{}).Where(idle, moment(before), moment(before)).Limit(limit).Pluck("lane", &names).Error
	if err != nil {
		return 0, fmt.Errorf("prune lanes: %w", err)
	}
	if len(names) == 0 {
		return 0, nil
	}
	res := tx.db.WithContext(ctx).Where("lane IN ?", names).Where(idle, moment(before), moment(before)).Delete(&Lane{})
	if res.Error != nil {
		return 0, fmt.Errorf("prune lanes: %w", res.Error)
	}
	return res.RowsAffected, nil
}
