package bot

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"qunbot/store"
)

// Limits above the lanes. The platform allows 20,000 calls a minute from one
// address and 10,000 of one corp to one API; a tenth is left for what does not
// go through the outbox.
//
// Source: https://developer.work.weixin.qq.com/document/path/90312
var (
	sourceWindow = window{18_000, time.Minute}
	apiWindow    = window{9_000, time.Minute}
)

// creditTime is how long sends that were reserved may be begun. They are booked
// for when that ends.
const creditTime = 2 * time.Second

// A quota keeps the limits that all lanes of all processes share. It reserves
// sends in chunks, so that processes seldom meet on the rows.
type quota struct {
	store   *store.Store
	source  string
	credits map[string]credit
}

type credit struct {
	sends int
	until time.Time
}

func newQuota(db *store.Store, source string) *quota {
	return &quota{store: db, source: "source " + source, credits: map[string]credit{}}
}

// names returns the limits that a send to a lane counts for.
func (q *quota) names(lane string) []string {
	api := laneKinds[kindOf(lane)].api
	if api == "" {
		return nil // it goes over a connection that is open
	}
	return []string{q.source, "api " + api}
}

// left returns how many sends were reserved under a name and not made.
func (q *quota) left(name string, now time.Time) int {
	if c := q.credits[name]; now.Before(c.until) {
		return c.sends
	}
	return 0
}

// allowed returns those of the first n of the lanes, in their order, to which
// one send each is allowed now. If sends are missing, it reserves some for all
// the lanes, as far as the limits allow.
func (q *quota) allowed(ctx context.Context, lanes []string, n int, now time.Time) ([]string, error) {
	need, soon := map[string]int{}, map[string]int{}
	for i, lane := range lanes {
		for _, name := range q.names(lane) {
			soon[name]++
			if i < n {
				need[name]++
			}
		}
	}
	maps.DeleteFunc(soon, func(name string, _ int) bool { return q.left(name, now) >= need[name] })
	if len(soon) > 0 {
		if err := q.reserve(ctx, soon, now); err != nil {
			return nil, err
		}
	}
	var allowed []string
	planned := map[string]int{}
	for _, lane := range lanes[:n] {
		names := q.names(lane)
		full := slices.ContainsFunc(names, func(name string) bool { return planned[name] >= q.left(name, now) })
		if full {
			continue
		}
		for _, name := range names {
			planned[name]++
		}
		allowed = append(allowed, lane)
	}
	return allowed, nil
}

// spend takes a send to lane off what was reserved.
func (q *quota) spend(lane string) {
	for _, name := range q.names(lane) {
		c := q.credits[name]
		c.sends--
		q.credits[name] = c
	}
}

// reserve reserves up to need more sends under each name. What another process
// reserves at the same moment it does not get: the next call may.
func (q *quota) reserve(ctx context.Context, need map[string]int, now time.Time) error {
	var granted map[string]int
	until := now.Add(creditTime)
	err := q.store.Update(ctx, func(tx *store.Tx) error {
		granted = map[string]int{}
		for _, name := range slices.Sorted(maps.Keys(need)) { // in order, so that processes do not deadlock
			w := apiWindow
			if name == q.source {
				w = sourceWindow
			}
			row, err := tx.SendQuota(tx.Context(), name)
			if err != nil {
				return err
			}
			log, err := parseSendLog(row.Booked)
			if err != nil {
				return err
			}
			n := min(need[name], log.room(w, now))
			if n == 0 {
				continue
			}
			row.Booked = log.book([]window{w}, n, now, until).merged().String()
			taken, err := tx.SetSendQuota(tx.Context(), row)
			if err != nil {
				return err
			}
			if taken {
				granted[name] = n
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reserve sends: %w", err)
	}
	for name, n := range granted {
		c := credit{n, until}
		if left := q.left(name, now); left > 0 { // all of them end when the first do
			c = credit{n + left, q.credits[name].until}
		}
		q.credits[name] = c
	}
	return nil
}

// merged returns l with its bookings merged second by second into the latest of
// each, which keeps it short.
func (l sendLog) merged() sendLog {
	var short sendLog
	for _, b := range l {
		if n := len(short); n > 0 && short[n-1].at/1000 == b.at/1000 {
			short[n-1] = booking{b.at, short[n-1].sends + b.sends}
			continue
		}
		short = append(short, b)
	}
	return short
}
