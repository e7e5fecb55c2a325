// Package watch knows how the service is: figures for Prometheus, whether this
// process is ready, heartbeats and the outages between them, and which
// troubles staff should know of. It only looks and counts; the console page and
// the messages to staff are those of handlers/status.
package watch

import (
	"context"
	"errors"
	"time"

	"qunbot/scheduler"
	"qunbot/store"
)

// A State is how the service is: all replicas together, as the database knows.
type State struct {
	At       time.Time       // by the clock that posts and jobs go by
	Beat     time.Time       // the same moment by the clock of heartbeats
	Replicas []store.Replica // known in the last day
	Outages  []store.Outage  // of the last 31 days, the newest first
	Since    time.Time       // since when outages are noted; zero: no heartbeat yet
	Outbox   store.OutboxDepth
	Jobs     []scheduler.Status
	Backup   *time.Time // when the newest backup began; zero: there is none; nil: nobody makes any
}

// Sources are what a State is read from besides the store.
type Sources struct {
	Jobs   func() *scheduler.Scheduler                                          // may return nil: no jobs are looked at
	Backup func(ctx context.Context, tx *store.Tx) (began time.Time, err error) // nil: nobody makes backups
	Now    func() time.Time                                                     // that posts and jobs go by
	Clock  func() time.Time                                                     // of heartbeats: that of the machine
}

// Look reads how the service is, by indexes only.
func (s Sources) Look(ctx context.Context, tx *store.Tx) (State, error) {
	st := State{At: s.Now(), Beat: s.Clock()}
	var err error
	if st.Replicas, err = tx.Replicas(ctx); err != nil {
		return st, err
	}
	if st.Outages, err = tx.Outages(ctx, st.Beat.AddDate(0, 0, -31)); err != nil {
		return st, err
	}
	if err := tx.Setting(ctx, sinceSetting, &st.Since); err != nil {
		return st, err
	}
	if st.Outbox, err = tx.OutboxDepth(ctx, st.At); err != nil {
		return st, err
	}
	if jobs := s.Jobs(); jobs != nil {
		if st.Jobs, err = jobs.List(ctx, tx); err != nil {
			return st, err
		}
	}
	if s.Backup == nil {
		return st, nil
	}
	began, err := s.Backup(ctx, tx)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return st, err
	}
	st.Backup = &began
	return st, nil
}

// Job returns what is known about a job; its Name is empty if there is none.
func (st State) Job(name string) scheduler.Status {
	for _, j := range st.Jobs {
		if j.Name == name {
			return j
		}
	}
	return scheduler.Status{}
}

// Failed reports whether a job's last attempt failed, whether or not it is to be
// tried again. Failing is for jobs that may fail once: it reports whether the
// job was given up, or has failed three times for the same due time.
func Failed(j scheduler.Status) bool {
	return j.Last.State == store.FiringFailed || j.Last.State == store.FiringOpen && j.Last.Error != "" && j.Last.Owner == ""
}

// Failing: see Failed.
func Failing(j scheduler.Status) bool {
	return Failed(j) && (j.Last.State == store.FiringFailed || j.Last.Attempts >= 3)
}

// Overdue returns for how long a job has been due without beginning; 0: it is
// not.
func (st State) Overdue(j scheduler.Status) time.Duration {
	if j.Paused || j.Next.IsZero() {
		return 0
	}
	return max(0, st.At.Sub(j.Next))
}
