package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"qunbot/store"
)

// A Status is what the console shows of a job.
type Status struct {
	Name, Title string
	Schedule    Schedule     // in force
	Default     Schedule     // the program's own
	Paused      bool         // by an operator
	Next        time.Time    // UTC; zero: never, or paused
	Late        bool         // due for over a minute: nobody runs jobs, or this one still works on the last firing
	Last        store.Firing // the newest; its Job is empty if there is none
}

// Result says in Chinese what became of the last firing.
func (s Status) Result() string {
	f := s.Last
	var text string
	switch {
	case f.Job == "":
		return "还没有运行过"
	case f.State == store.FiringDone:
		text = fmt.Sprintf("完成，用时 %s", f.Took.Round(time.Millisecond))
	case f.State == store.FiringSkipped:
		return fmt.Sprintf("错过 %d 次，已跳过", f.Missed)
	case f.State == store.FiringFailed:
		text = fmt.Sprintf("失败（第 %d 次）：%s", f.Attempts, f.Error)
	case f.Owner == "":
		text = fmt.Sprintf("第 %d 次失败，稍后重试：%s", f.Attempts, f.Error)
	default:
		text = "运行中"
	}
	if f.Missed > 0 {
		text += fmt.Sprintf("（之前错过 %d 次）", f.Missed)
	}
	return text
}

// List returns all jobs in the order in which they were declared.
func (s *Scheduler) List(ctx context.Context, tx *store.Tx) ([]Status, error) {
	rows, err := tx.JobSchedules(ctx)
	if err != nil {
		return nil, err
	}
	last, err := tx.LastFirings(ctx)
	if err != nil {
		return nil, err
	}
	cal, err := ReadCalendar(ctx, tx)
	if err != nil {
		return nil, err
	}
	byJob := map[string]store.JobSchedule{}
	for _, r := range rows {
		byJob[r.Job] = r
	}
	now := s.now()
	list := make([]Status, 0, len(s.jobs))
	for _, j := range s.jobs {
		st := Status{Name: j.Name, Title: j.Title, Schedule: j.Schedule, Default: j.Schedule, Last: last[j.Name]}
		row, stored := byJob[j.Name]
		switch {
		case !stored:
			st.Next = j.Schedule.Next(now, cal).UTC()
		case row.Paused:
			st.Schedule, st.Paused = Schedule(row.Expression), true
		default:
			st.Schedule = Schedule(row.Expression)
			if row.NextDue != nil {
				st.Next = *row.NextDue
				st.Late = now.Sub(st.Next) > time.Minute
			}
		}
		list = append(list, st)
	}
	return list, nil
}

// Pause keeps a job from becoming due; what runs goes on. It returns ErrNoJob
// for an unknown name.
func (s *Scheduler) Pause(ctx context.Context, tx *store.Tx, name string) error {
	return s.change(ctx, tx, name, func(row *store.JobSchedule) { row.Paused = true })
}

// Resume ends a pause. What was due meanwhile is left out. It returns ErrNoJob
// for an unknown name.
func (s *Scheduler) Resume(ctx context.Context, tx *store.Tx, name string) error {
	return s.change(ctx, tx, name, func(row *store.JobSchedule) { row.Paused = false })
}

// SetSchedule changes when a job is due, from now on; the empty schedule is
// the program's own. It returns ErrNoJob for an unknown name, and the error of
// [Parse] for a bad schedule.
func (s *Scheduler) SetSchedule(ctx context.Context, tx *store.Tx, name string, sched Schedule) error {
	custom := sched != ""
	if !custom {
		sched = s.byName[name].Schedule
	} else if parsed, err := Parse(string(sched)); err != nil {
		return err
	} else {
		sched = parsed
	}
	return s.change(ctx, tx, name, func(row *store.JobSchedule) { row.Expression, row.Custom = string(sched), custom })
}

// Hurry makes a job due now, besides its own times. A paused job stays paused.
// It returns ErrNoJob for an unknown name.
func (s *Scheduler) Hurry(ctx context.Context, tx *store.Tx, name string) error {
	if _, known := s.byName[name]; !known {
		return fmt.Errorf("job %q: %w", name, ErrNoJob)
	}
	rows, _, err := s.refresh(ctx, tx)
	if err != nil {
		return err
	}
	row, now := rows[name], s.now()
	row.NextDue = &now
	return tx.SetJobSchedule(ctx, row)
}

// SetHolidays replaces what is known about a year. It returns an error in
// Chinese if a day is none of that year, is given twice, or has a name of more
// than 40 characters.
func (s *Scheduler) SetHolidays(ctx context.Context, tx *store.Tx, year int, days []store.Holiday) error {
	seen := map[store.Day]bool{}
	for _, h := range days {
		if !h.Day.Valid() || h.Day.Start(time.UTC).Year() != year {
			return fmt.Errorf("“%s”不是 %d 年的日子，要写成 %d-10-01 这样", h.Day, year, year)
		}
		if seen[h.Day] {
			return fmt.Errorf("%s 写了两次", h.Day)
		}
		if utf8.RuneCountInString(h.Name) > 40 {
			return fmt.Errorf("%s 的名称太长，最多 40 个字", h.Day)
		}
		seen[h.Day] = true
	}
	if err := tx.SetHolidays(ctx, year, days); err != nil {
		return err
	}
	_, _, err := s.refresh(ctx, tx)
	return err
}

// RunNow runs a job in this process for its latest due time up to now, also if
// it ran for that before, and returns its error. It returns ErrNoJob for an
// unknown name, and ErrRunning if another process is at it.
func (s *Scheduler) RunNow(ctx context.Context, name string) error {
	job, known := s.byName[name]
	if !known {
		return fmt.Errorf("job %q: %w", name, ErrNoJob)
	}
	f, err := s.claimNow(ctx, job)
	if err != nil {
		return fmt.Errorf("job %q: %w", name, err)
	}
	err = s.run(ctx, job, f)
	f.Took, f.State, f.Error = s.now().Sub(f.StartedAt), store.FiringDone, ""
	if err != nil { // whoever asked sees it and decides, so there is no other attempt
		f.State, f.Error = store.FiringFailed, reason(err)
		err = fmt.Errorf("job %q: %w", name, err)
	}
	return errors.Join(err, s.finish(ctx, f, f.Attempts))
}

// claimNow claims the firing that RunNow runs.
func (s *Scheduler) claimNow(ctx context.Context, job Job) (store.Firing, error) {
	now := s.now()
	var f store.Firing
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		ctx := tx.Context()
		rows, cal, err := s.refresh(ctx, tx)
		if err != nil {
			return err
		}
		due := Schedule(rows[job.Name].Expression).latest(now, cal)
		if due.IsZero() {
			return errors.New("was never due")
		}
		f = store.Firing{Job: job.Name, Due: due, State: store.FiringOpen, Attempts: 1,
			Owner: s.owner, LeaseUntil: now.Add(lease), StartedAt: now}
		added, err := tx.AddFiring(ctx, f)
		if err != nil {
			return err
		}
		if !added {
			old, err := tx.Firing(ctx, job.Name, due)
			if err != nil {
				return err
			}
			claimed, err := tx.ClaimFiring(ctx, old, s.owner, now, f.LeaseUntil)
			if err != nil {
				return err
			}
			if !claimed {
				return ErrRunning
			}
			f.Attempts, f.Missed = old.Attempts+1, old.Missed
		}
		return tx.SetLastDue(ctx, job.Name, due)
	})
	return f, err
}

// change edits a job's row and computes its next due time anew.
func (s *Scheduler) change(ctx context.Context, tx *store.Tx, name string, edit func(*store.JobSchedule)) error {
	if _, known := s.byName[name]; !known {
		return fmt.Errorf("job %q: %w", name, ErrNoJob)
	}
	rows, cal, err := s.refresh(ctx, tx)
	if err != nil {
		return err
	}
	row := rows[name]
	edit(&row)
	row.NextDue = orNil(Schedule(row.Expression).Next(s.now(), cal))
	return tx.SetJobSchedule(ctx, row)
}

// refresh makes the rows that are missing, gives jobs their new default, and
// computes every due time anew that is still to come: what it depends on, the
// program, the zone and the holidays, may have changed. It returns the rows,
// locked, by job.
func (s *Scheduler) refresh(ctx context.Context, tx *store.Tx) (map[string]store.JobSchedule, Calendar, error) {
	cal, err := ReadCalendar(ctx, tx)
	if err != nil {
		return nil, cal, err
	}
	now := s.now()
	var defaults []store.JobSchedule
	for _, j := range s.jobs {
		defaults = append(defaults, store.JobSchedule{Job: j.Name, Expression: string(j.Schedule),
			NextDue: orNil(j.Schedule.Next(now, cal))})
	}
	if err := tx.AddJobSchedules(ctx, defaults); err != nil {
		return nil, cal, err
	}
	list, err := tx.LockedJobSchedules(ctx)
	if err != nil {
		return nil, cal, err
	}
	rows := map[string]store.JobSchedule{}
	for _, old := range list {
		job, known := s.byName[old.Job]
		if !known {
			continue
		}
		row := old
		if !row.Custom {
			row.Expression = string(job.Schedule)
		}
		if row.NextDue == nil || row.NextDue.After(now) { // others are for Run to settle
			row.NextDue = orNil(Schedule(row.Expression).Next(now, cal))
		}
		if row.Expression != old.Expression || !same(row.NextDue, old.NextDue) {
			if err := tx.SetJobSchedule(ctx, row); err != nil {
				return nil, cal, err
			}
		}
		rows[row.Job] = row
	}
	return rows, cal, nil
}

func same(a, b *time.Time) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Equal(*b)
}
