package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"
)

// A PostState says what became of a post.
type PostState string

// The states of posts.
const (
	PostQueued    PostState = "queued"    // waits for its time and its turn
	PostSending   PostState = "sending"   // is being sent, under its lane's lease
	PostSent      PostState = "sent"      // the platform took it, which proves no delivery
	PostFailed    PostState = "failed"    // given up; Reason says why
	PostExpired   PostState = "expired"   // its time passed before its turn came
	PostCancelled PostState = "cancelled" // by an operator or a feature
	PostUnknown   PostState = "unknown"   // sent or not, nobody knows; a person has to look
)

// Delivery says what happens when nobody knows whether a post was sent.
type Delivery string

// The deliveries.
const (
	AtLeastOnce Delivery = "at least once" // it is sent again and may arrive twice
	AtMostOnce  Delivery = "at most once"  // it becomes PostUnknown
)

// The forms of posts that are more than text.
const (
	FormMarkdown = "markdown"
	FormArticles = "articles"
	FormPicture  = "picture"
	FormCard     = "card"
)

// AtOnce is the due time of a post that may leave at once. It is no time of a
// clock, for posts keep their order though the clocks of two processes differ.
var AtOnce = time.Unix(0, 0).UTC()

// A Post is something the program says on its own.
type Post struct {
	ID           int64
	Key          string // what was pushed under it once is not pushed again
	Lane         string // the destination, at most 255 bytes
	State        PostState
	DueAt        time.Time  // AtOnce, or when it may leave
	WaitingSince *time.Time // since when it could have left; nil: no outbox has seen it
	ExpiresAt    *time.Time // when it is no use any more; nil: never
	Text         string     // with marks instead of members' names
	Form         string     // how else it is shown where that is possible, such as FormCard; empty: as Text only
	Rich         string     // what is shown then, as the outbox writes it; lists of posts leave it out
	Delivery     Delivery
	Item         string // what it belongs to, for reports; may be empty
	Reason       string // of the state, or of the last failure while it is queued
	Attempts     int    // sends begun
	Failures     int    // sends that failed and were, or are to be, repeated
	Doubts       int    // sends of which nobody knows whether they arrived
	Fence        int64  // the lane's when it was sent last
	Receipt      string // the platform's id; empty where it gives none
	EndedAt      *time.Time
}

// A Lane is what is known about a destination. Its posts leave one by one, so
// whoever sends holds the lane's lease.
type Lane struct {
	Lane       string `gorm:"primaryKey;size:255"`
	LeaseUntil time.Time
	Owner      string     // who holds the lease, or held it last; at most 120 bytes
	Fence      int64      // counts the leases
	WaitUntil  time.Time  // nothing leaves before
	Waits      int        // refusals over a limit, one after the other
	Booked     string     // when the latest posts left, as the outbox writes it
	DeadAt     *time.Time // since when the destination is known to be gone; nil: it is not
	DeadReason string
}

// AddPost stores a queued post and reports whether it is new: false means that
// there is one with its key, which stays as it is. It locks no other row.
func (tx *Tx) AddPost(ctx context.Context, p Post) (bool, error) {
	p.State, p.DueAt, p.ExpiresAt = PostQueued, moment(p.DueAt), momentOrNil(p.ExpiresAt)
	if p.WaitingSince = nil; !p.DueAt.Equal(AtOnce) {
		p.WaitingSince = &p.DueAt
	}
	added, err := tx.insert(ctx, &p)
	if err != nil {
		return false, fmt.Errorf("add post: %w", err)
	}
	tx.posted = tx.posted || added == 1
	return added == 1, nil
}

// A DueLane is a lane with work.
type DueLane struct {
	Lane  string
	Fresh bool // it has no row yet
}

// DueLanes returns lanes that hold due posts, or posts left behind in mid-send,
// and are neither waiting nor leased; the one served longest ago first, at most
// limit.
func (tx *Tx) DueLanes(ctx context.Context, now time.Time, limit int) ([]DueLane, error) {
	var list []DueLane
	err := tx.db.WithContext(ctx).Raw(`SELECT due.lane, lanes.lane IS NULL AS fresh
		FROM (SELECT DISTINCT lane FROM posts WHERE state IN ? AND due_at <= ?) AS due
		LEFT JOIN lanes ON lanes.lane = due.lane
		WHERE lanes.lane IS NULL OR (lanes.lease_until <= ? AND lanes.wait_until <= ?)
		ORDER BY lanes.lease_until LIMIT ?`,
		[]PostState{PostQueued, PostSending}, moment(now), moment(now), moment(now), limit).Scan(&list).Error
	if err != nil {
		return nil, fmt.Errorf("list due lanes: %w", err)
	}
	return list, nil
}

// UnseenPosts returns the ids of queued posts without WaitingSince, and
// OverduePosts of those that have expired; each at most limit.
func (tx *Tx) UnseenPosts(ctx context.Context, limit int) ([]int64, error) {
	var ids []int64
	err := tx.db.WithContext(ctx).Model(&Post{}).Where("state = ? AND waiting_since IS NULL", PostQueued).Limit(limit).Pluck("id", &ids).Error
	if err != nil {
		return nil, fmt.Errorf("list unseen posts: %w", err)
	}
	return ids, nil
}

// OverduePosts: see UnseenPosts.
func (tx *Tx) OverduePosts(ctx context.Context, now time.Time, limit int) ([]int64, error) {
	var ids []int64
	err := tx.db.WithContext(ctx).Model(&Post{}).Where("state = ? AND expires_at <= ?", PostQueued, moment(now)).Limit(limit).Pluck("id", &ids).Error
	if err != nil {
		return nil, fmt.Errorf("list overdue posts: %w", err)
	}
	return ids, nil
}

// SeePosts makes now the WaitingSince of those of these posts that have none.
func (tx *Tx) SeePosts(ctx context.Context, ids []int64, now time.Time) error {
	err := tx.db.WithContext(ctx).Model(&Post{}).Where("id IN ? AND waiting_since IS NULL", ids).
		UpdateColumn("waiting_since", moment(now)).Error
	if err != nil {
		return fmt.Errorf("see posts: %w", err)
	}
	return nil
}

// ExpirePosts ends those of these posts that are still queued.
func (tx *Tx) ExpirePosts(ctx context.Context, ids []int64, now time.Time) error {
	err := tx.db.WithContext(ctx).Model(&Post{}).Where("id IN ? AND state = ? AND expires_at <= ?", ids, PostQueued, moment(now)).
		Updates(map[string]any{"state": PostExpired, "ended_at": moment(now)}).Error
	if err != nil {
		return fmt.Errorf("expire posts: %w", err)
	}
	return nil
}

// AddLanes makes the rows of lanes that have none.
func (tx *Tx) AddLanes(ctx context.Context, lanes []string, now time.Time) error {
	rows := make([]Lane, len(lanes))
	for i, l := range lanes {
		rows[i] = Lane{Lane: l, LeaseUntil: moment(now), WaitUntil: moment(now)}
	}
	if _, err := tx.insert(ctx, &rows); err != nil {
		return fmt.Errorf("add lanes: %w", err)
	}
	return nil
}

// ClaimLanes leases those of the lanes to owner that nobody holds and that are
// not waiting, and returns them. owner must hold none of them already.
func (tx *Tx) ClaimLanes(ctx context.Context, lanes []string, owner string, now, until time.Time) ([]Lane, error) {
	res := tx.db.WithContext(ctx).Model(&Lane{}).
		Where("lane IN ? AND lease_until <= ? AND wait_until <= ?", lanes, moment(now), moment(now)).
		Updates(map[string]any{"owner": owner, "fence": gorm.Expr("fence + 1"), "lease_until": moment(until)})
	if res.Error != nil {
		return nil, fmt.Errorf("claim lanes: %w", res.Error)
	}
	if res.RowsAffected == 0 {
		return nil, nil
	}
	var won []Lane
	err := tx.db.WithContext(ctx).Where("lane IN ? AND owner = ? AND lease_until = ?", lanes, owner, moment(until)).Find(&won).Error
	if err != nil {
		return nil, fmt.Errorf("read claimed lanes: %w", err)
	}
	return won, nil
}

// SetLane stores l over its row if that has the same owner and fence, and
// reports whether it had.
func (tx *Tx) SetLane(ctx context.Context, l Lane) (bool, error) {
	res := tx.db.WithContext(ctx).Model(&Lane{}).Where("lane = ? AND owner = ? AND fence = ?", l.Lane, l.Owner, l.Fence).
		Updates(map[string]any{"lease_until": moment(l.LeaseUntil), "wait_until": moment(l.WaitUntil), "waits": l.Waits,
			"booked": l.Booked, "dead_at": momentOrNil(l.DeadAt), "dead_reason": l.DeadReason})
	if res.Error != nil {
		return false, fmt.Errorf("set lane: %w", res.Error)
	}
	return res.RowsAffected == 1, nil // a row that keeps its values cannot be told; a lease that ends is a change
}

// ReleaseLanes ends the leases of lanes that owner holds, and changes nothing
// else.
func (tx *Tx) ReleaseLanes(ctx context.Context, lanes []string, owner string, now time.Time) error {
	err := tx.db.WithContext(ctx).Model(&Lane{}).Where("lane IN ? AND owner = ? AND lease_until > ?", lanes, owner, moment(now)).
		UpdateColumn("lease_until", moment(now)).Error
	if err != nil {
		return fmt.Errorf("release lanes: %w", err)
	}
	return nil
}

// NextPosts returns the next post of each of the lanes, in no order: of those
// that are queued, due and not expired, the one with the lowest id. At most 400
// lanes.
func (tx *Tx) NextPosts(ctx context.Context, lanes []string, now time.Time) ([]Post, error) {
	var parts []string
	var args []any
	for i, l := range lanes {
		// A LIMIT for each lane, because one may have thousands of posts; and a
		// plus, for SQLite would go through the due posts of all lanes by their
		// index, and not through this lane's.
		parts = append(parts, fmt.Sprintf(`SELECT * FROM (SELECT * FROM posts WHERE lane = ? AND state = ? AND +due_at <= ?
			AND (expires_at IS NULL OR expires_at > ?) ORDER BY id LIMIT 1) AS p%d`, i))
		args = append(args, l, PostQueued, moment(now), moment(now))
	}
	var posts []Post
	if err := tx.db.WithContext(ctx).Raw(strings.Join(parts, " UNION ALL "), args...).Scan(&posts).Error; err != nil {
		return nil, fmt.Errorf("list next posts: %w", err)
	}
	return posts, nil
}

// SendingPosts returns the posts of these lanes that are being sent.
func (tx *Tx) SendingPosts(ctx context.Context, lanes []string) ([]Post, error) {
	var posts []Post
	err := tx.db.WithContext(ctx).Where("lane IN ? AND state = ?", lanes, PostSending).Order("id").Find(&posts).Error
	if err != nil {
		return nil, fmt.Errorf("list posts in mid-send: %w", err)
	}
	return posts, nil
}

// errPostsChanged rolls back the transaction that meant to send them.
var errPostsChanged = errors.New("somebody changed the posts meanwhile")

// StartPosts marks queued posts as being sent under their lanes' fences. It
// returns an error if one of them is queued no longer.
func (tx *Tx) StartPosts(ctx context.Context, ids []int64) error {
	res := tx.db.WithContext(ctx).Model(&Post{}).Where("id IN ? AND state = ?", ids, PostQueued).Updates(map[string]any{
		"state": PostSending, "attempts": gorm.Expr("attempts + 1"),
		"fence": gorm.Expr("(SELECT lanes.fence FROM lanes WHERE lanes.lane = posts.lane)"),
	})
	if res.Error == nil && res.RowsAffected != int64(len(ids)) {
		res.Error = errPostsChanged
	}
	if res.Error != nil {
		return fmt.Errorf("start posts: %w", res.Error)
	}
	return nil
}

// SettlePost stores how the send of p under p.Fence went: p's State, Reason,
// Failures, Doubts, Receipt and EndedAt. It reports false and changes nothing if
// that is settled. A post that became PostUnknown because the answer came late
// can still be settled.
func (tx *Tx) SettlePost(ctx context.Context, p Post) (bool, error) {
	res := tx.db.WithContext(ctx).Model(&Post{}).
		Where("id = ? AND fence = ? AND state IN ?", p.ID, p.Fence, []PostState{PostSending, PostUnknown}).
		Updates(map[string]any{"state": p.State, "reason": p.Reason, "failures": p.Failures, "doubts": p.Doubts,
			"receipt": p.Receipt, "ended_at": momentOrNil(p.EndedAt)})
	if res.Error != nil {
		return false, fmt.Errorf("settle post %d: %w", p.ID, res.Error)
	}
	return res.RowsAffected == 1, nil
}

// FailLane ends the queued posts of a lane as failed.
func (tx *Tx) FailLane(ctx context.Context, lane, reason string, now time.Time) error {
	err := tx.db.WithContext(ctx).Model(&Post{}).Where("lane = ? AND state = ?", lane, PostQueued).
		Updates(map[string]any{"state": PostFailed, "reason": reason, "ended_at": moment(now)}).Error
	if err != nil {
		return fmt.Errorf("fail the posts of a lane: %w", err)
	}
	return nil
}

// A SendQuota is the log of what left under a limit that many lanes share.
type SendQuota struct {
	Name    string `gorm:"primaryKey;size:120"`
	Booked  string // as the outbox writes it
	Version int64
}

// SendQuota returns a quota, and makes an empty one if there is none.
func (tx *Tx) SendQuota(ctx context.Context, name string) (SendQuota, error) {
	var q SendQuota
	err := one(tx.db.WithContext(ctx).Where("name = ?", name).Take(&q), "look up send quota")
	if !errors.Is(err, ErrNotFound) {
		return q, err
	}
	q = SendQuota{Name: name}
	if _, err := tx.insert(ctx, &q); err != nil {
		return q, fmt.Errorf("add send quota: %w", err)
	}
	return q, nil
}

// SetSendQuota stores q over the version it was read as. It reports false and
// changes nothing if the quota has changed since.
func (tx *Tx) SetSendQuota(ctx context.Context, q SendQuota) (bool, error) {
	res := tx.db.WithContext(ctx).Model(&SendQuota{}).Where("name = ? AND version = ?", q.Name, q.Version).
		Updates(map[string]any{"booked": q.Booked, "version": q.Version + 1})
	if res.Error != nil {
		return false, fmt.Errorf("set send quota: %w", res.Error)
	}
	return res.RowsAffected == 1, nil
}

// Shared reports whether other processes may write to the database.
func (s *Store) Shared() bool { return s.mysql }
