package bot

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"qunbot/store"
)

// Together at most 300 sends in any second, evenly: 18,000 a minute. Between a
// departure and the arrival lies a transaction, which takes longer at one time
// than at another; several processes get more room for that.
const (
	aloneRate  = 290
	sharedRate = 250
	// lateSends is how many departures late a send may leave; a departure that
	// nobody has used by then is lost. So a process that was held up does not
	// catch up in a rush.
	lateSends = 10
	// maxDepartures is how many are reserved at a time: the others' turn comes
	// after a tenth of a second.
	maxDepartures = 32
	// farAhead is how far in the future departures may be free at the earliest;
	// beyond, a clock was wrong.
	farAhead = 10 * time.Second
)

// A timetable is the departures that this process has reserved. All processes
// that share a database and an address share one timetable, a row that says
// from when on departures are free. Those of one process alone need no row.
type timetable struct {
	store *store.Store
	name  string        // of the row; empty: there are no other processes
	gap   time.Duration // between two departures
	free  time.Time     // where there is no row
	ours  []time.Time   // reserved and not used, in order
}

func newTimetable(db *store.Store, source string) *timetable {
	if !db.Shared() {
		return &timetable{gap: time.Second / aloneRate}
	}
	return &timetable{store: db, name: "departures " + source, gap: time.Second / sharedRate}
}

// departures returns how many of n sends may leave now. It reserves more
// departures when all are used.
func (t *timetable) departures(ctx context.Context, n int, now time.Time) (int, error) {
	for len(t.ours) > 0 && now.Sub(t.ours[0]) > lateSends*t.gap {
		t.ours = t.ours[1:]
	}
	if len(t.ours) == 0 && n > 0 {
		if err := t.reserve(ctx, min(n, maxDepartures), now); err != nil {
			return 0, err
		}
	}
	due := 0
	for due < min(n, len(t.ours)) && !t.ours[due].After(now) {
		due++
	}
	return due, nil
}

// leave uses up the next n departures.
func (t *timetable) leave(n int) { t.ours = t.ours[n:] }

// next returns when n departures are due, or as many as are reserved; now if
// none is.
func (t *timetable) next(n int, now time.Time) time.Time {
	if len(t.ours) == 0 {
		return now
	}
	return t.ours[min(n, len(t.ours))-1]
}

// reserve reserves n more departures, or none if another process reserves some
// at the same moment: the next call may.
func (t *timetable) reserve(ctx context.Context, n int, now time.Time) error {
	from := t.from(t.free, now)
	if t.name == "" {
		t.free = from.Add(time.Duration(n) * t.gap)
		t.add(from, n)
		return nil
	}
	var taken bool
	err := t.store.Update(ctx, func(tx *store.Tx) error {
		row, err := tx.SendQuota(tx.Context(), t.name)
		if err != nil {
			return err
		}
		var free time.Time
		if row.Booked != "" {
			us, err := strconv.ParseInt(row.Booked, 10, 64)
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			free = time.UnixMicro(us)
		}
		from = t.from(free, now)
		row.Booked = strconv.FormatInt(from.Add(time.Duration(n)*t.gap).UnixMicro(), 10)
		taken, err = tx.SetSendQuota(tx.Context(), row)
		return err
	})
	if err != nil {
		return fmt.Errorf("reserve departures: %w", err)
	}
	if taken {
		t.add(from, n)
	}
	return nil
}

// from returns the next departure, if none is free before a time. After a pause
// some leave together.
func (t *timetable) from(free, now time.Time) time.Time {
	first := now.Add(-lateSends / 2 * t.gap)
	if free.After(first) && free.Before(now.Add(farAhead)) {
		return free
	}
	return first
}

func (t *timetable) add(from time.Time, n int) {
	for i := range n {
		t.ours = append(t.ours, from.Add(time.Duration(i)*t.gap))
	}
}
