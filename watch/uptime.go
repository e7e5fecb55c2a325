package watch

import (
	"time"

	"qunbot/store"
)

// How heartbeats are read.
const (
	beatEvery = 10 * time.Second
	missed    = 30 * time.Second // without a beat, a process is taken for dead
	forget    = 24 * time.Hour   // a dead process is talked of so long
	keep      = 400              // days that outages and alerts are kept

	sinceSetting = "uptime.since" // the first heartbeat ever
)

// Goal is the share of time in which the service is to be alive, and Budget
// what that leaves for outages in 30 days: 43 min 12 s.
const (
	Goal   = 0.999
	Budget = 30 * 24 * time.Hour / 1000
)

// Alive reports whether a process was alive at now, as far as its beats tell.
func Alive(r store.Replica, now time.Time) bool {
	return !r.Stopped && now.Sub(r.BeatAt) <= missed
}

// Lost returns the processes that ended without a word and in whose place no
// other has started on the same machine.
func Lost(all []store.Replica, now time.Time) []store.Replica {
	var lost []store.Replica
	for _, r := range all {
		if r.Stopped || Alive(r, now) || now.Sub(r.BeatAt) > forget {
			continue
		}
		replaced := false
		for _, other := range all {
			replaced = replaced || other.Host == r.Host && other.StartedAt.After(r.BeatAt)
		}
		if !replaced {
			lost = append(lost, r)
		}
	}
	return lost
}

// outageBefore returns the time before a beat at now in which nobody was alive,
// where all are the last beats of all processes before it. A process that died
// without a word less than half a minute ago counts as alive, so an outage that
// short goes unseen.
func outageBefore(all []store.Replica, now time.Time) (o store.Outage, found bool) {
	for _, r := range all {
		if Alive(r, now) {
			return o, false
		}
		if r.BeatAt.After(o.BeganAt) {
			o.BeganAt = r.BeatAt
		}
	}
	o.EndedAt = now
	return o, len(all) > 0 && o.Took() >= time.Second
}

// Down returns how much of the time from from to until the outages are.
func Down(outages []store.Outage, from, until time.Time) time.Duration {
	var sum time.Duration
	for _, o := range outages {
		began, ended := o.BeganAt, o.EndedAt
		if began.Before(from) {
			began = from
		}
		if ended.After(until) {
			ended = until
		}
		sum += max(0, ended.Sub(began))
	}
	return sum
}

// Up returns the share of the time from from to until, but not before since,
// that is no outage; known is false if that is no time.
func Up(outages []store.Outage, since, from, until time.Time) (share float64, known bool) {
	if since.After(from) {
		from = since
	}
	if since.IsZero() || !until.After(from) {
		return 0, false
	}
	return 1 - float64(Down(outages, from, until))/float64(until.Sub(from)), true
}
