// Package scheduler runs jobs when they are due.
//
// Each job has a schedule, a row that operators can change, and each of its due
// times is a firing, a row that some replica claims, runs under a lease and
// marks as done. However many replicas there are, a firing runs once, unless
// something goes wrong: after an error it is tried again, and after a crash
// its lease ends and another process runs it. So a job must be safe to repeat
// for the same due time: every post, award and row it makes has a unique key.
// Once is a property of the jobs' keys, not of the scheduler.
//
// A job has one firing at a time. Times at which nobody ran, because all
// replicas were down or the job was still busy, follow its [Policy]. Leases
// are compared with each process's own clock; keep clocks within some seconds.
package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"qunbot/store"
)

// Limits of the scheduler.
const (
	MaxAttempts = 5               // a firing that failed or crashed so often is given up
	lease       = time.Minute     // how long a firing is left alone after a crash
	poll        = 5 * time.Second // how soon another replica's or an operator's change is seen
	grace       = 5 * time.Minute // a firing no later than this is not missed
	maxMissed   = 1000            // more are not counted
)

// ErrNoJob is returned for a name that no job has.
var ErrNoJob = errors.New("no such job")

// ErrRunning is returned by RunNow while another process runs the firing.
var ErrRunning = errors.New("running already")

// errLeaseLost is the cause for which a job's context ends when another
// process may have taken its firing over.
var errLeaseLost = errors.New("lease lost")

// A Policy says what becomes of firings that were missed while nobody was
// running.
type Policy int

// The policies.
const (
	RunOnce Policy = iota // the latest one runs, late
	Skip                  // none runs; they are recorded as skipped
)

// A Job is something to do when it is due.
type Job struct {
	Name     string   // feature.verb, such as "checkin.remind"; at most 80 bytes, unique
	Title    string   // for the console, in Chinese
	Schedule Schedule // until operators choose another
	Missed   Policy

	// Run does the job for one due time, which is in UTC. It may be called
	// again for the same due time and must then change nothing more. ctx ends
	// when the program stops; Run is then called again after the next start.
	Run func(ctx context.Context, due time.Time) error
}

// Config is what a Scheduler needs.
type Config struct {
	Store *store.Store
	Jobs  []Job
	Now   func() time.Time
	Log   *slog.Logger
	Owner string // names this process in the list of firings, at most 80 bytes; empty: host name and process id

	// Ran, if not nil, hears how each attempt at a firing went: how long after
	// its due time it began, and how long it took.
	Ran func(job string, late, took time.Duration, err error)
}

// A Scheduler runs jobs. Its methods may be called by many goroutines.
type Scheduler struct {
	store  *store.Store
	jobs   []Job
	byName map[string]Job
	now    func() time.Time
	log    *slog.Logger
	owner  string
	ran    func(job string, late, took time.Duration, err error)
	poll   time.Duration // the constant, but for tests
	wake   chan struct{} // a job has ended, so that its next firing may start
}

// New returns a scheduler of c.Jobs. It returns an error that names every job
// with a bad or doubled name or a bad schedule.
func New(c Config) (*Scheduler, error) {
	s := &Scheduler{store: c.Store, byName: map[string]Job{}, now: c.Now, log: c.Log, owner: c.Owner, ran: c.Ran,
		poll: poll, wake: make(chan struct{}, 1)}
	if s.owner == "" {
		host, _ := os.Hostname() // without one, the process id has to do
		s.owner = fmt.Sprintf("%.60s/%d", host, os.Getpid())
	}
	var errs []error
	for _, j := range c.Jobs {
		if j.Name == "" || len(j.Name) > 80 || j.Run == nil {
			errs = append(errs, fmt.Errorf("job %q: it needs a name of at most 80 bytes and a Run", j.Name))
		}
		if _, doubled := s.byName[j.Name]; doubled {
			errs = append(errs, fmt.Errorf("job %q is declared twice", j.Name))
		}
		var err error
		if j.Schedule, err = Parse(string(j.Schedule)); err != nil {
			errs = append(errs, fmt.Errorf("job %q: %w", j.Name, err))
		}
		s.jobs = append(s.jobs, j)
		s.byName[j.Name] = j
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

// Run runs jobs when they are due until ctx is done. It then ends the jobs'
// contexts, waits for them and returns nil.
func (s *Scheduler) Run(ctx context.Context) error {
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		_, _, err := s.refresh(tx.Context(), tx)
		return err
	})
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("start scheduler: %w", err)
	}
	var running sync.WaitGroup
	defer running.Wait()
	start := func(job Job, f store.Firing) {
		running.Go(func() {
			s.attempt(ctx, job, f)
			select {
			case s.wake <- struct{}{}:
			default:
			}
		})
	}
	for ctx.Err() == nil {
		next, err := s.startDue(ctx, start)
		if err != nil && ctx.Err() == nil {
			s.log.Error("look for due jobs", "err", err)
		}
		timer := time.NewTimer(max(0, min(s.poll, next.Sub(s.now()))))
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// startDue claims what is due, hands it to start, and returns when to look
// again.
func (s *Scheduler) startDue(ctx context.Context, start func(Job, store.Firing)) (next time.Time, err error) {
	now := s.now()
	next = now.Add(s.poll)
	var schedules []store.JobSchedule
	var expired []store.Firing
	err = s.store.View(ctx, func(tx *store.Tx) (err error) {
		if schedules, err = tx.JobSchedules(tx.Context()); err != nil {
			return err
		}
		expired, err = tx.ExpiredFirings(tx.Context(), now, 100)
		return err
	})
	if err != nil {
		return next, err
	}
	var errs []error // of one job do not hold up the others
	for _, row := range schedules {
		job, known := s.byName[row.Job]
		if !known || row.Paused {
			continue
		}
		for _, f := range expired {
			if f.Job != row.Job {
				continue
			}
			f, claimed, err := s.claim(ctx, f, now)
			if err != nil {
				errs = append(errs, err)
			} else if claimed {
				start(job, f)
			}
		}
		if row.NextDue == nil {
			continue
		}
		if row.NextDue.After(now) {
			next = earlier(next, *row.NextDue)
			continue
		}
		p, err := s.fire(ctx, job, row, now)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if p == nil {
			continue
		}
		if p.run != nil {
			start(job, *p.run)
		}
		if p.next != nil {
			next = earlier(next, *p.next)
		}
	}
	return next, errors.Join(errs...)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
