package scheduler

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"qunbot/store"
)

// A firingPlan is what to do about a schedule whose time has come.
type firingPlan struct {
	last    time.Time     // the newest due time that it settles
	next    *time.Time    // the schedule's next due time; nil for never
	run     *store.Firing // to run; nil for none
	skipped *store.Firing // to record; nil for none
}

// plan decides what to do about the due times from row.NextDue to now.
func plan(job Job, row store.JobSchedule, cal Calendar, now time.Time) *firingPlan {
	expr := Schedule(row.Expression)
	due := *row.NextDue
	missed := 0 // due times before the last
	for missed < maxMissed {
		t := expr.Next(due, cal)
		if t.IsZero() || t.After(now) {
			break
		}
		due = t
		missed++
	}
	if missed == maxMissed {
		due = expr.latest(now, cal)
	}
	p := &firingPlan{last: due, next: orNil(expr.Next(now, cal))}
	firing := store.Firing{Job: job.Name, Due: due, LeaseUntil: now, StartedAt: now}
	switch {
	case job.Missed == Skip && now.Sub(due) > grace:
		firing.State, firing.Missed = store.FiringSkipped, min(missed+1, maxMissed)
		p.skipped = &firing
		return p
	case job.Missed == Skip && missed > 0:
		skipped := firing
		skipped.State, skipped.Missed = store.FiringSkipped, missed
		skipped.Due = expr.latest(due.Add(-time.Second), cal)
		p.skipped = &skipped
	default:
		firing.Missed = missed
	}
	firing.State, firing.Attempts = store.FiringOpen, 1
	p.run = &firing
	return p
}

func orNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// fire moves a schedule whose time has come on and claims the firing to run,
// which is nil for none. It returns a nil plan if another replica did so, or if
// one of the job's firings is still open.
func (s *Scheduler) fire(ctx context.Context, job Job, row store.JobSchedule, now time.Time) (*firingPlan, error) {
	var p *firingPlan
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		p = nil
		cal, err := ReadCalendar(tx.Context(), tx)
		if err != nil {
			return err
		}
		planned := plan(job, row, cal, now)
		moved, err := tx.AdvanceJob(tx.Context(), row, planned.last, planned.next)
		if err != nil || !moved {
			return err
		}
		if planned.skipped != nil {
			if _, err := tx.AddFiring(tx.Context(), *planned.skipped); err != nil {
				return err
			}
		}
		if planned.run != nil {
			planned.run.Owner, planned.run.LeaseUntil = s.owner, now.Add(lease)
			added, err := tx.AddFiring(tx.Context(), *planned.run)
			if err != nil {
				return err
			}
			if !added {
				planned.run = nil // RunNow was quicker
			}
		}
		p = planned
		return nil
	})
	if err != nil || p == nil {
		return nil, err
	}
	for _, f := range []*store.Firing{p.skipped, p.run} {
		if f != nil && f.Missed > 0 {
			s.log.Warn("firings missed", "job", row.Job, "due", f.Due, "count", f.Missed, "state", f.State)
		}
	}
	return p, nil
}

// claim takes over a firing that waits for its next attempt or whose process
// died, or gives it up. It reports whether f is to be run.
func (s *Scheduler) claim(ctx context.Context, f store.Firing, now time.Time) (store.Firing, bool, error) {
	var claimed, givenUp bool
	err := s.store.Update(ctx, func(tx *store.Tx) (err error) {
		if f.Attempts < MaxAttempts {
			claimed, err = tx.ClaimFiring(tx.Context(), f, s.owner, now, now.Add(lease))
			return err
		}
		failed := f
		failed.State = store.FiringFailed
		failed.Error = fmt.Sprintf("given up after %d attempts, in the last of which the program ended", f.Attempts)
		givenUp, err = tx.FinishFiring(tx.Context(), failed, f.Attempts)
		return err
	})
	if err == nil && givenUp {
		s.log.Error("job given up", "job", f.Job, "due", f.Due, "attempt", f.Attempts)
	}
	f.Attempts++
	f.Owner, f.LeaseUntil, f.StartedAt = s.owner, now.Add(lease), now
	return f, claimed, err
}

// attempt runs a firing that was claimed, stores how it went, and logs what
// went wrong.
func (s *Scheduler) attempt(ctx context.Context, job Job, f store.Firing) {
	err := s.run(ctx, job, f)
	attempt := f.Attempts
	f.Took, f.Error, f.Owner = s.now().Sub(f.StartedAt), "", ""
	if s.ran != nil && ctx.Err() == nil {
		s.ran(job.Name, f.StartedAt.Sub(f.Due), f.Took, err)
	}
	switch {
	case err == nil:
		f.State, f.Owner = store.FiringDone, s.owner
	case ctx.Err() != nil: // the program stops; this was no attempt
		f.Attempts--
		f.LeaseUntil = s.now()
		err = nil
	case attempt >= MaxAttempts:
		f.State, f.Owner, f.Error = store.FiringFailed, s.owner, reason(err)
	default:
		f.LeaseUntil, f.Error = s.now().Add(retryAfter(attempt)), reason(err)
	}
	if err = errors.Join(err, s.finish(ctx, f, attempt)); err != nil {
		log := s.log
		if p, ok := errors.AsType[panicked](err); ok {
			log = log.With("stack", string(p.stack))
		}
		log.Error("job failed", "job", job.Name, "due", f.Due, "attempt", attempt, "err", err)
	}
}

// retryAfter returns how long a firing waits after its attempt of that number
// failed: 1, 2, 4, then 8 minutes.
func retryAfter(attempt int) time.Duration { return time.Minute << (attempt - 1) }

// finish stores how an attempt at f went, also while the program stops.
func (s *Scheduler) finish(ctx context.Context, f store.Firing, attempt int) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lease)
	defer cancel()
	return s.store.Update(ctx, func(tx *store.Tx) error {
		held, err := tx.FinishFiring(tx.Context(), f, attempt)
		if err == nil && !held {
			return errLeaseLost
		}
		return err
	})
}

// run calls the job and keeps its lease until it returns. A panic is an error.
func (s *Scheduler) run(ctx context.Context, job Job, f store.Firing) (err error) {
	holding, release := context.WithCancel(context.WithoutCancel(ctx)) // also while the program stops
	ctx, cancel := context.WithCancelCause(ctx)
	released := make(chan struct{})
	go func() {
		defer close(released)
		s.hold(holding, f, cancel)
	}()
	defer func() {
		if p := recover(); p != nil {
			err = panicked{p, debug.Stack()}
		}
		release()
		<-released
		cancel(nil)
	}()
	return job.Run(ctx, f.Due.UTC())
}

// hold extends the lease on f until ctx is done, and calls lost if it cannot.
func (s *Scheduler) hold(ctx context.Context, f store.Firing, lost context.CancelCauseFunc) {
	ticker := time.NewTicker(lease / 3)
	defer ticker.Stop()
	for until := f.LeaseUntil; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := s.now()
		var held bool
		err := s.store.Update(ctx, func(tx *store.Tx) (err error) {
			held, err = tx.ExtendFiring(tx.Context(), f, now.Add(lease))
			return err
		})
		switch {
		case err == nil && held:
			until = now.Add(lease)
		case ctx.Err() != nil:
			return
		case err == nil || s.now().After(until):
			lost(errLeaseLost)
			return
		}
	}
}

// panicked is the error of a job that did.
type panicked struct {
	value any
	stack []byte
}

func (p panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// reason returns err as the list of firings keeps it: at most 500 characters.
func reason(err error) string {
	text := strings.ToValidUTF8(err.Error(), "?")
	if utf8.RuneCountInString(text) > 500 {
		text = string([]rune(text)[:499]) + "…"
	}
	return text
}
