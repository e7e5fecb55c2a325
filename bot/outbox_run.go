package bot

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"

	"qunbot/store"
)

// Run sends posts until ctx is done. It then waits for the sends at hand, at
// most 10 s, stores how they went and returns nil.
func (o *Outbox) Run(ctx context.Context) error {
	o.Store.OnPosts(o.Wake)
	d := o.newDispatch()
	work := context.WithoutCancel(ctx) // what was begun is finished
	for {
		timer := time.NewTimer(d.step(work))
		select {
		case <-ctx.Done():
			timer.Stop()
			d.finish(work)
			return nil
		case <-o.wake:
			d.look = earliest(d.look, d.looked.Add(minLook))
		case s := <-d.done:
			d.ended(s)
		case <-timer.C:
		}
		timer.Stop()
	}
}

// minLook is the least time between two looks at the database.
const minLook = 20 * time.Millisecond

// A dispatch is one run of an outbox. One goroutine does all its bookkeeping, in
// few transactions, and others only send.
type dispatch struct {
	*Outbox
	due      []string             // lanes that may have something to send, in turn
	busy     map[string]bool      // lanes in due, or leased by this process
	waiting  map[string]time.Time // lanes that will be due
	sends    int                  // at hand
	done     chan *sending        // buffered for all of them
	settling []*sending           // ended, but not stored yet
	looked   time.Time
	look     time.Time // when to look at the database again
	blocked  time.Time // until when the limits above the lanes allow nothing
}

func (o *Outbox) newDispatch() *dispatch {
	return &dispatch{Outbox: o, busy: map[string]bool{}, waiting: map[string]time.Time{}, done: make(chan *sending, maxSending)}
}

// step does what there is to do and returns how long there is nothing more, but
// for a send that ends. Trouble with the database is logged and tried again.
func (d *dispatch) step(ctx context.Context) time.Duration {
	for len(d.done) > 0 {
		d.ended(<-d.done)
	}
	err := d.settle(ctx)
	if err == nil {
		err = d.lookAround(ctx)
	}
	if err == nil {
		err = d.sendNext(ctx)
	}
	if err != nil {
		d.Log.Error("outbox", "err", err)
		return d.poll
	}
	return min(d.poll, max(0, d.next().Sub(d.Now())))
}

// next returns when there is something to do, if no send ends before.
func (d *dispatch) next() time.Time {
	next := d.look
	for _, t := range d.waiting {
		next = earliest(next, t)
	}
	if len(d.due) == 0 || d.sends >= maxSending {
		return next
	}
	now := d.Now()
	t := d.times.next(min(lateSends/2, len(d.due)), now)
	if d.blocked.After(t) {
		t = d.blocked
	}
	return earliest(next, t)
}

// ended notes that a send has.
func (d *dispatch) ended(s *sending) {
	d.sends--
	d.settling = append(d.settling, s)
}

// lookAround finds the lanes that are due, and expires posts, if it is time.
func (d *dispatch) lookAround(ctx context.Context) error {
	now := d.Now()
	for lane, t := range d.waiting {
		if !t.After(now) {
			delete(d.waiting, lane)
			d.add(lane)
		}
	}
	if now.Before(d.look) {
		return nil
	}
	var lanes []store.DueLane
	var unseen, overdue []int64
	err := d.Store.View(ctx, func(tx *store.Tx) (err error) {
		if lanes, err = tx.DueLanes(tx.Context(), now, maxLook); err != nil {
			return err
		}
		if unseen, err = tx.UnseenPosts(tx.Context(), maxLook); err != nil {
			return err
		}
		overdue, err = tx.OverduePosts(tx.Context(), now, maxLook)
		return err
	})
	if err != nil {
		return err
	}
	var fresh []string
	for _, l := range lanes {
		if l.Fresh {
			fresh = append(fresh, l.Lane)
		}
	}
	if err := d.note(ctx, fresh, unseen, overdue, now); err != nil {
		return err
	}
	for _, l := range lanes {
		d.add(l.Lane)
	}
	d.looked = now
	d.Outbox.looked.Store(now.UnixNano())
	d.look = now.Add(d.poll*3/4 + rand.N(d.poll/2)) // so that processes do not look at the same time
	if len(unseen) == maxLook || len(overdue) == maxLook {
		d.look = now.Add(minLook)
	}
	return nil
}

// note stores what a look has found.
func (d *dispatch) note(ctx context.Context, fresh []string, unseen, overdue []int64, now time.Time) error {
	if len(fresh)+len(unseen)+len(overdue) == 0 {
		return nil
	}
	return d.Store.Update(ctx, func(tx *store.Tx) error {
		if len(fresh) > 0 {
			if err := tx.AddLanes(tx.Context(), fresh, now); err != nil {
				return err
			}
		}
		if len(unseen) > 0 {
			if err := tx.SeePosts(tx.Context(), unseen, now); err != nil {
				return err
			}
		}
		if len(overdue) > 0 {
			return tx.ExpirePosts(tx.Context(), overdue, now)
		}
		return nil
	})
}

// add puts a lane at the end of those that are due, unless it is there or busy.
func (d *dispatch) add(lane string) {
	if !d.busy[lane] {
		d.busy[lane] = true
		delete(d.waiting, lane)
		d.due = append(d.due, lane)
	}
}

// sendNext begins the next send of as many due lanes as the limits allow.
func (d *dispatch) sendNext(ctx context.Context) error {
	now := d.Now()
	n := min(len(d.due), maxSending-d.sends, maxBooked)
	if n <= 0 || now.Before(d.blocked) {
		return nil
	}
	n, err := d.times.departures(ctx, n, now)
	if err != nil || n == 0 {
		d.blocked = now.Add(time.Millisecond) // nothing was reserved, or the first departure is yet to come
		return err
	}
	lanes, err := d.quota.allowed(ctx, d.due[:min(len(d.due), maxReserved)], n, now)
	if err != nil {
		return err
	}
	if len(lanes) < n {
		// Those that are not allowed go to the end: others may count for
		// another limit.
		rest := slices.DeleteFunc(slices.Clone(d.due[:n]), func(l string) bool { return slices.Contains(lanes, l) })
		d.due = slices.Concat(lanes, d.due[n:], rest)
	}
	if len(lanes) == 0 {
		d.blocked = now.Add(time.Second)
		return nil
	}
	booked, waiting, err := d.book(ctx, lanes, now)
	if err != nil {
		return err
	}
	d.due = d.due[len(lanes):]
	for _, lane := range lanes {
		delete(d.busy, lane)
	}
	for lane, until := range waiting {
		d.waiting[lane] = until
	}
	d.times.leave(len(booked))
	for _, s := range booked {
		d.busy[s.post.Lane] = true
		d.quota.spend(s.post.Lane)
		d.sends++
		go func() {
			d.send(ctx, s)
			d.done <- s
		}()
	}
	return nil
}

// book leases the lanes, as far as nobody else has, and books the next post of
// each that its windows let go. waiting are lanes whose windows do not.
func (d *dispatch) book(ctx context.Context, lanes []string, now time.Time) (booked []*sending, waiting map[string]time.Time, err error) {
	err = d.Store.Update(ctx, func(tx *store.Tx) error {
		booked, waiting = nil, map[string]time.Time{}
		won, err := tx.ClaimLanes(tx.Context(), lanes, d.owner, now, now.Add(leaseTime))
		if err != nil || len(won) == 0 {
			return err
		}
		next, err := d.nextPosts(tx, won, now)
		if err != nil {
			return err
		}
		var idle []string
		var ids []int64
		for _, lane := range won {
			post, found := next[lane.Lane]
			if !found {
				idle = append(idle, lane.Lane)
				continue
			}
			s, until, err := d.bookOne(tx, lane, post, now)
			if err != nil {
				return err
			}
			if s == nil {
				waiting[lane.Lane] = until
				continue
			}
			booked, ids = append(booked, s), append(ids, post.ID)
		}
		if len(idle) > 0 {
			if err := tx.ReleaseLanes(tx.Context(), idle, d.owner, now); err != nil {
				return err
			}
		}
		if len(ids) == 0 {
			return nil
		}
		return tx.StartPosts(tx.Context(), ids)
	})
	return booked, waiting, err
}

// nextPosts returns the next post of each lane that has one. It deals with what
// was left behind in mid-send, and ends the posts of dead lanes.
func (d *dispatch) nextPosts(tx *store.Tx, won []store.Lane, now time.Time) (map[string]store.Post, error) {
	names := make([]string, len(won))
	for i, l := range won {
		names[i] = l.Lane
	}
	left, err := tx.SendingPosts(tx.Context(), names)
	if err != nil {
		return nil, err
	}
	for _, p := range left {
		p = recovered(p, now)
		if _, err := tx.SettlePost(tx.Context(), p); err != nil {
			return nil, err
		}
		d.Log.Warn("post left behind in mid-send", "post", p.ID, "lane", LaneName(p.Lane), "state", p.State)
	}
	for _, l := range won {
		if l.DeadAt != nil {
			if err := tx.FailLane(tx.Context(), l.Lane, l.DeadReason, now); err != nil {
				return nil, err
			}
		}
	}
	posts, err := tx.NextPosts(tx.Context(), names, now)
	if err != nil {
		return nil, err
	}
	next := make(map[string]store.Post, len(posts))
	for _, p := range posts {
		next[p.Lane] = p
	}
	return next, nil
}

// bookOne books a send in a lane. s is nil if the lane has to wait until a time;
// it is released then.
func (d *dispatch) bookOne(tx *store.Tx, lane store.Lane, post store.Post, now time.Time) (s *sending, until time.Time, err error) {
	log, err := parseSendLog(lane.Booked)
	if err != nil {
		return nil, until, err
	}
	windows := laneKinds[kindOf(lane.Lane)].windows
	if free := log.freeAt(windows, now); free.After(now) {
		until, lane.WaitUntil, lane.LeaseUntil = free, free, now
	} else {
		log = log.book(windows, 1, now, now.Add(sendTimeout))
		lane.Booked = log.String()
		post.Attempts++
		post.Fence = lane.Fence
		s = &sending{post: post, lane: lane, log: log}
	}
	_, err = tx.SetLane(tx.Context(), lane)
	return s, until, err
}

// send sends s's post and notes how it went.
func (d *dispatch) send(ctx context.Context, s *sending) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	began := d.Now()
	s.receipt, s.err = d.trySend(ctx, s)
	s.ended = d.Now()
	s.judge()
	d.Observer.sent(s, s.ended.Sub(began))
}

func (d *dispatch) trySend(ctx context.Context, s *sending) (receipt string, err error) {
	// Another process may take the lane when the lease has ended.
	if d.Now().Add(sendTimeout).After(s.lane.LeaseUntil) {
		return "", passing{errors.New("the send began too late")}
	}
	text, err := FillNames(ctx, d.Store, s.post.Text)
	if err != nil {
		return "", passing{err}
	}
	rich, err := decodeRich(s.post.Rich)
	if err != nil {
		d.Log.Error("post is sent as plain text", "post", s.post.ID, "err", err)
	}
	defer func() {
		if p := recover(); p != nil {
			d.Log.Error("sender panicked", "post", s.post.ID, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return d.Sender.Send(ctx, s.post.Lane, Reply{Text: text, Rich: rich}, s.post.Key)
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
