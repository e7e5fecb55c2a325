package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm/clause"
)

// A Replica is one process of the service, as its last heartbeat told. Its
// figures are of the last five minutes.
type Replica struct {
	Name      string `gorm:"primaryKey;size:80"` // one run of one process
	Host      string `gorm:"size:60"`
	Version   string `gorm:"size:60"`
	StartedAt time.Time
	BeatAt    time.Time
	Stopped   bool          // it ended as it should, and that was its last beat
	Offset    time.Duration // how far its clock is ahead of the database's; 0 with SQLite

	Answers    int64         // callbacks answered with 200
	MeanAnswer time.Duration // of those; 0 without any
	P50, P99   time.Duration // of those, to the next step of the histogram
	LastMinute int64         // of those, in the last minute
	TurnedAway int64         // callbacks answered with 503
	Waiting    int           // messages in the queue
	DBErrors   int64         // transactions that the storage failed
}

// PutReplica stores r over what its process told before.
func (tx *Tx) PutReplica(ctx context.Context, r Replica) error {
	r.StartedAt, r.BeatAt = moment(r.StartedAt), moment(r.BeatAt)
	if err := tx.db.WithContext(ctx).Clauses(clause.OnConflict{UpdateAll: true}).Create(&r).Error; err != nil {
		return fmt.Errorf("note heartbeat: %w", err)
	}
	return nil
}

// Replicas returns the processes that are known, in the order of their start.
func (tx *Tx) Replicas(ctx context.Context) ([]Replica, error) {
	var list []Replica
	if err := tx.db.WithContext(ctx).Order("started_at, name").Find(&list).Error; err != nil {
		return nil, fmt.Errorf("list replicas: %w", err)
	}
	return list, nil
}

// PruneReplicas forgets the processes that beat last before that time.
func (tx *Tx) PruneReplicas(ctx context.Context, before time.Time) error {
	if err := tx.db.WithContext(ctx).Where("beat_at < ?", moment(before)).Delete(&Replica{}).Error; err != nil {
		return fmt.Errorf("prune replicas: %w", err)
	}
	return nil
}

// An Outage is a time in which no process of the service was alive.
type Outage struct {
	ID      int64
	BeganAt time.Time `gorm:"uniqueIndex"` // the last beat before
	EndedAt time.Time `gorm:"index"`       // the first beat after
}

// Took returns how long it was.
func (o Outage) Took() time.Duration { return o.EndedAt.Sub(o.BeganAt) }

// AddOutage stores o and reports whether it is new: two processes that start
// at the same time see the same one.
func (tx *Tx) AddOutage(ctx context.Context, o Outage) (bool, error) {
	o.BeganAt, o.EndedAt = moment(o.BeganAt), moment(o.EndedAt)
	added, err := tx.insert(ctx, &o)
	if err != nil {
		return false, fmt.Errorf("add outage: %w", err)
	}
	return added == 1, nil
}

// Outages returns the outages that ended after that time, the newest first.
func (tx *Tx) Outages(ctx context.Context, after time.Time) ([]Outage, error) {
	var list []Outage
	if err := tx.db.WithContext(ctx).Where("ended_at > ?", moment(after)).Order("ended_at DESC").Find(&list).Error; err != nil {
		return nil, fmt.Errorf("list outages: %w", err)
	}
	return list, nil
}

// An Alert is a trouble that staff should know of, from its beginning to its
// end.
type Alert struct {
	ID      int64
	Name    string  `gorm:"size:80"`             // which trouble
	Title   string  `gorm:"size:80"`             // as operators read it
	Open    *string `gorm:"size:80;uniqueIndex"` // its name until it ends, so that it is open once
	Detail  string  `gorm:"size:500"`            // as it was seen last
	BeganAt time.Time
	SeenAt  time.Time  // last
	ToldAt  time.Time  // when staff were told of it last
	EndedAt *time.Time `gorm:"index"` // nil: it is there
	AckedAt *time.Time // since when staff need no reminder; nil: they do
	AckedBy int64      // the operator
}

// AddAlert stores an open alert and reports whether it is new: false means that
// it is open already.
func (tx *Tx) AddAlert(ctx context.Context, a Alert) (id int64, added bool, err error) {
	a.Open, a.BeganAt, a.SeenAt, a.ToldAt = &a.Name, moment(a.BeganAt), moment(a.SeenAt), moment(a.ToldAt)
	n, err := tx.insert(ctx, &a)
	if err != nil {
		return 0, false, fmt.Errorf("add alert: %w", err)
	}
	return a.ID, n == 1, nil
}

// SetAlert stores a's Detail, SeenAt, ToldAt and EndedAt.
func (tx *Tx) SetAlert(ctx context.Context, a Alert) error {
	values := map[string]any{"detail": a.Detail, "seen_at": moment(a.SeenAt), "told_at": moment(a.ToldAt), "ended_at": momentOrNil(a.EndedAt)}
	if a.EndedAt != nil {
		values["open"] = nil
	}
	if err := tx.db.WithContext(ctx).Model(&Alert{}).Where("id = ?", a.ID).Updates(values).Error; err != nil {
		return fmt.Errorf("set alert: %w", err)
	}
	return nil
}

// OpenAlerts returns the alerts that have not ended, in the order in which they
// began.
func (tx *Tx) OpenAlerts(ctx context.Context) ([]Alert, error) {
	var list []Alert
	if err := tx.db.WithContext(ctx).Where("ended_at IS NULL").Order("id").Find(&list).Error; err != nil {
		return nil, fmt.Errorf("list open alerts: %w", err)
	}
	return list, nil
}

// EndedAlerts returns alerts that have ended, the latest first, at most limit.
func (tx *Tx) EndedAlerts(ctx context.Context, limit int) ([]Alert, error) {
	var list []Alert
	err := tx.db.WithContext(ctx).Where("ended_at IS NOT NULL").Order("ended_at DESC").Limit(limit).Find(&list).Error
	if err != nil {
		return nil, fmt.Errorf("list ended alerts: %w", err)
	}
	return list, nil
}

// AckAlert notes that an operator looks after an open alert. It reports false
// if it is not open, or somebody does already.
func (tx *Tx) AckAlert(ctx context.Context, id, operator int64, now time.Time) (bool, error) {
	res := tx.db.WithContext(ctx).Model(&Alert{}).Where("id = ? AND ended_at IS NULL AND acked_at IS NULL", id).
		Updates(map[string]any{"acked_at": moment(now), "acked_by": operator})
	if res.Error != nil {
		return false, fmt.Errorf("acknowledge alert: %w", res.Error)
	}
	return res.RowsAffected == 1, nil
}

// PruneWatch forgets outages and alerts that ended before that time.
func (tx *Tx) PruneWatch(ctx context.Context, before time.Time) error {
	for _, table := range []any{&Outage{}, &Alert{}} {
		if err := tx.db.WithContext(ctx).Where("ended_at < ?", moment(before)).Delete(table).Error; err != nil {
			return fmt.Errorf("prune outages and alerts: %w", err)
		}
	}
	return nil
}

// An OutboxDepth is how much the outbox has before it. Posts that have ended
// are not counted: there are too many.
type OutboxDepth struct {
	Posts         map[PostState]int64 // of PostQueued, PostSending and PostUnknown
	OldestDue     time.Time           // since when the longest waiting post could have left; zero: none is due
	OldestUnknown time.Time           // since when nobody knows the end of the first such post; zero: of none
	Dead          int64               // destinations that are gone
}

// OutboxDepth looks at the posts that are not at an end, by their indexes.
func (tx *Tx) OutboxDepth(ctx context.Context, now time.Time) (OutboxDepth, error) {
	d := OutboxDepth{Posts: map[PostState]int64{PostQueued: 0, PostSending: 0, PostUnknown: 0}}
	var counts []struct {
		State PostState
		Posts int64
	}
	err := tx.db.WithContext(ctx).Model(&Post{}).Select("state, COUNT(*) AS posts").
		Where("state IN ?", []PostState{PostQueued, PostSending, PostUnknown}).Group("state").Scan(&counts).Error
	if err != nil {
		return d, fmt.Errorf("count posts: %w", err)
	}
	for _, c := range counts {
		d.Posts[c.State] = c.Posts
	}
	oldest, err := tx.OldestDuePost(ctx, now)
	if err == nil {
		d.OldestDue = *oldest.WaitingSince
	} else if !errors.Is(err, ErrNotFound) {
		return d, err
	}
	var unknown []Post
	err = tx.db.WithContext(ctx).Select("id", "ended_at").Where("state = ?", PostUnknown).Order("id").Limit(1).Find(&unknown).Error
	if err != nil {
		return d, fmt.Errorf("look up unknown posts: %w", err)
	}
	if len(unknown) > 0 && unknown[0].EndedAt != nil {
		d.OldestUnknown = *unknown[0].EndedAt
	}
	err = tx.db.WithContext(ctx).Model(&Lane{}).Where("dead_at IS NOT NULL").Count(&d.Dead).Error
	if err != nil {
		return d, fmt.Errorf("count dead lanes: %w", err)
	}
	return d, nil
}

// StuckPosts returns how many posts could have left before that time in lanes
// that nobody has held since, and that wait for no limit: work that no outbox
// takes. At most limit.
func (tx *Tx) StuckPosts(ctx context.Context, before time.Time, limit int) (int, error) {
	var ids []int64
	err := tx.db.WithContext(ctx).Raw(`SELECT posts.id FROM posts LEFT JOIN lanes ON lanes.lane = posts.lane
		WHERE posts.state = ? AND posts.waiting_since <= ? AND (posts.expires_at IS NULL OR posts.expires_at > ?)
		AND (lanes.lane IS NULL OR (lanes.lease_until <= ? AND lanes.wait_until <= ?)) LIMIT ?`,
		PostQueued, moment(before), moment(before), moment(before), moment(before), limit).Scan(&ids).Error
	if err != nil {
		return 0, fmt.Errorf("look for stuck posts: %w", err)
	}
	return len(ids), nil
}

// DeadLane reports whether a destination is known to be gone.
func (tx *Tx) DeadLane(ctx context.Context, lane string) (bool, error) {
	l, err := tx.Lane(ctx, lane)
	if errors.Is(err, ErrNotFound) {
		return false, nil // nothing was ever sent there
	}
	return l.DeadAt != nil, err
}
