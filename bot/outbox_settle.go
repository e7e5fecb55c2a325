package bot

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"qunbot/store"
)

// settle stores how sends went that have ended. What the database does not take
// now is kept for the next time; should the lease end before, another process
// finds the post in mid-send.
func (d *dispatch) settle(ctx context.Context) error {
	for len(d.settling) > 0 {
		n := min(len(d.settling), maxBooked)
		if i := slices.IndexFunc(d.settling[:n], func(s *sending) bool { return s.dead }); i >= 0 {
			n = max(1, i) // it gets a transaction of its own
		}
		batch := d.settling[:n]
		if err := d.settleBatch(ctx, batch); err != nil {
			return err
		}
		d.settling = d.settling[n:]
		now := d.Now()
		for _, s := range batch {
			delete(d.busy, s.post.Lane)
			if s.lane.WaitUntil.After(now) {
				d.waiting[s.post.Lane] = s.lane.WaitUntil
			} else {
				d.add(s.post.Lane)
			}
		}
	}
	return nil
}

// settleBatch settles one send to a dead destination, or some others.
func (d *dispatch) settleBatch(ctx context.Context, batch []*sending) error {
	onDead := d.OnDead
	try := func(sends ...*sending) error {
		return d.Store.Update(ctx, func(tx *store.Tx) error {
			for _, s := range sends {
				if err := d.settleOne(tx, s, onDead); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := try(batch...)
	if err == nil || store.Transient(err) {
		return err
	}
	// It is one of them, or OnDead: the others must not wait for it.
	if batch[0].dead {
		d.Log.Error("tell that a destination is dead", "lane", LaneName(batch[0].post.Lane), "err", err)
		onDead = nil
	}
	for _, s := range batch {
		if err := try(s); store.Transient(err) {
			return err
		} else if err != nil {
			d.Log.Error("post not settled", "post", s.post.ID, "lane", LaneName(s.post.Lane), "state", s.post.State, "err", err)
		}
	}
	return nil
}

func (d *dispatch) settleOne(tx *store.Tx, s *sending, onDead func(context.Context, *store.Tx, string, string) error) (err error) {
	log := d.Log.With("post", s.post.ID, "lane", LaneName(s.post.Lane), "state", s.post.State)
	settled, err := tx.SettlePost(tx.Context(), s.post)
	if err != nil {
		return err
	}
	switch {
	case !settled:
		log.Warn("the outcome of a post came too late", "err", s.err)
	case s.err != nil:
		log.Warn("post not sent", "attempt", s.post.Attempts, "err", s.err)
	}
	held, err := tx.SetLane(tx.Context(), s.lane)
	if err != nil || !held || !s.dead {
		return err
	}
	if err := tx.FailLane(tx.Context(), s.lane.Lane, s.lane.DeadReason, s.ended); err != nil {
		return err
	}
	if onDead == nil {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return onDead(tx.Context(), tx, s.lane.Lane, s.lane.DeadReason)
}

// finish waits for the sends at hand and stores how they went.
func (d *dispatch) finish(ctx context.Context) {
	for d.sends > 0 {
		d.ended(<-d.done)
	}
	var err error
	for range 5 {
		if err = d.settle(ctx); err == nil {
			return
		}
		<-time.After(200 * time.Millisecond)
	}
	d.Log.Error("posts not settled at the end", "posts", len(d.settling), "err", err)
}
