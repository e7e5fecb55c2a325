package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// A JobSchedule says when a job runs next. The scheduler keeps one per job.
type JobSchedule struct {
	Job        string     `gorm:"primaryKey;size:80"` // feature.verb
	Expression string     `gorm:"size:200"`           // as scheduler.Parse reads it
	Custom     bool       // operators chose the expression; otherwise it follows the program's default
	Paused     bool       // nothing is due until it is resumed
	NextDue    *time.Time // nil: never
	LastDue    *time.Time // of the newest firing; nil: none yet
}

// A FiringState says what became of a firing.
type FiringState string

// The states of firings.
const (
	FiringOpen    FiringState = "open"    // runs under its lease, or will be tried again when that ends
	FiringDone    FiringState = "done"    // ran without an error
	FiringFailed  FiringState = "failed"  // given up; Error says why
	FiringSkipped FiringState = "skipped" // was missed and is not made up for
)

// A Firing is one due time of one job.
type Firing struct {
	Job        string      `gorm:"primaryKey;size:80"`
	Due        time.Time   `gorm:"primaryKey"` // UTC, whole seconds
	State      FiringState `gorm:"size:16;index:firings_open,priority:1"`
	Missed     int         // due times that nobody ran: before this one, or, if it is skipped, up to it; at most 1,000
	Attempts   int         // how often it was started
	Owner      string      `gorm:"size:80"` // the process that started it last; empty while it waits for its next attempt
	LeaseUntil time.Time   `gorm:"index:firings_open,priority:2"`
	StartedAt  time.Time   `gorm:"index"` // the last attempt's
	Took       time.Duration
	Error      string `gorm:"size:500"` // of the last attempt that failed
}

// A Holiday is a day that is off, or worked, against the rule of the week.
type Holiday struct {
	Day  Day    `gorm:"primaryKey;size:10"`
	Work bool   // a make-up workday (调休); otherwise a day off
	Name string `gorm:"size:40"` // the holiday that it is part of, such as 春节
}

// moment returns t as the tables keep it: UTC, milliseconds.
func moment(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func momentOrNil(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	m := moment(*t)
	return &m
}

// JobSchedules returns all schedules by job.
func (tx *Tx) JobSchedules(ctx context.Context) ([]JobSchedule, error) {
	var rows []JobSchedule
	if err := tx.db.WithContext(ctx).Order("job").Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("list job schedules: %w", err)
	}
	return rows, nil
}

// LockedJobSchedules is JobSchedules, and holds them against other
// transactions until this one ends.
func (tx *Tx) LockedJobSchedules(ctx context.Context) ([]JobSchedule, error) {
	var rows []JobSchedule
	if err := tx.forUpdate(tx.db.WithContext(ctx)).Order("job").Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("lock job schedules: %w", err)
	}
	return rows, nil
}

// AddJobSchedules stores the schedules of jobs that have none.
func (tx *Tx) AddJobSchedules(ctx context.Context, rows []JobSchedule) error {
	if len(rows) == 0 {
		return nil
	}
	for i := range rows {
		rows[i].NextDue, rows[i].LastDue = momentOrNil(rows[i].NextDue), momentOrNil(rows[i].LastDue)
	}
	if _, err := tx.insert(ctx, &rows); err != nil {
		return fmt.Errorf("add job schedules: %w", err)
	}
	return nil
}

// SetJobSchedule stores j over the job's schedule, which must be locked; but
// LastDue stays.
func (tx *Tx) SetJobSchedule(ctx context.Context, j JobSchedule) error {
	err := tx.db.WithContext(ctx).Model(&JobSchedule{}).Where("job = ?", j.Job).Updates(map[string]any{
		"expression": j.Expression, "custom": j.Custom, "paused": j.Paused, "next_due": momentOrNil(j.NextDue),
	}).Error
	if err != nil {
		return fmt.Errorf("set schedule of job %s: %w", j.Job, err)
	}
	return nil
}

// AdvanceJob moves from, a job's schedule as it was read, on to its next due
// time (nil: never) and notes last as the newest firing's. It reports false
// and changes nothing if the schedule has changed since, the job is paused, or
// one of its firings is open.
func (tx *Tx) AdvanceJob(ctx context.Context, from JobSchedule, last time.Time, next *time.Time) (bool, error) {
	res := tx.db.WithContext(ctx).Model(&JobSchedule{}).
		Where("job = ? AND expression = ? AND next_due = ? AND paused = ?", from.Job, from.Expression, momentOrNil(from.NextDue), false).
		Where("NOT EXISTS (SELECT 1 FROM firings WHERE firings.job = job_schedules.job AND firings.state = ?)", FiringOpen).
		Updates(map[string]any{"next_due": momentOrNil(next), "last_due": moment(last)})
	if res.Error != nil {
		return false, fmt.Errorf("advance job %s: %w", from.Job, res.Error)
	}
	return res.RowsAffected == 1, nil
}

// SetLastDue notes that a job has a firing at due, unless it has a newer one.
func (tx *Tx) SetLastDue(ctx context.Context, job string, due time.Time) error {
	err := tx.db.WithContext(ctx).Model(&JobSchedule{}).
		Where("job = ? AND (last_due IS NULL OR last_due < ?)", job, moment(due)).
		UpdateColumn("last_due", moment(due)).Error
	if err != nil {
		return fmt.Errorf("set last due time of job %s: %w", job, err)
	}
	return nil
}

// AddFiring stores f and reports whether it is new: false means that there is
// one of that job and due time already.
func (tx *Tx) AddFiring(ctx context.Context, f Firing) (bool, error) {
	f.Due, f.LeaseUntil, f.StartedAt = moment(f.Due), moment(f.LeaseUntil), moment(f.StartedAt)
	added, err := tx.insert(ctx, &f)
	if err != nil {
		return false, fmt.Errorf("add firing of %s: %w", f.Job, err)
	}
	return added == 1, nil
}

// Firing returns one firing, or ErrNotFound.
func (tx *Tx) Firing(ctx context.Context, job string, due time.Time) (Firing, error) {
	var f Firing
	res := tx.db.WithContext(ctx).Where("job = ? AND due = ?", job, moment(due)).Take(&f)
	return f, one(res, "look up firing")
}

// ExpiredFirings returns open firings whose lease has ended, at most limit.
func (tx *Tx) ExpiredFirings(ctx context.Context, now time.Time, limit int) ([]Firing, error) {
	var list []Firing
	err := tx.db.WithContext(ctx).Where("state = ? AND lease_until <= ?", FiringOpen, moment(now)).
		Order("lease_until").Limit(limit).Find(&list).Error
	if err != nil {
		return nil, fmt.Errorf("list expired firings: %w", err)
	}
	return list, nil
}

// LastFirings returns each job's newest firing, by job.
func (tx *Tx) LastFirings(ctx context.Context) (map[string]Firing, error) {
	var list []Firing
	err := tx.db.WithContext(ctx).
		Joins("JOIN job_schedules ON job_schedules.job = firings.job AND job_schedules.last_due = firings.due").
		Find(&list).Error
	if err != nil {
		return nil, fmt.Errorf("list last firings: %w", err)
	}
	last := make(map[string]Firing, len(list))
	for _, f := range list {
		last[f.Job] = f
	}
	return last, nil
}

// FiringsOf returns a job's firings, the newest first, at most limit, that
// were due before that time (zero: from the newest).
func (tx *Tx) FiringsOf(ctx context.Context, job string, before time.Time, limit int) ([]Firing, error) {
	q := tx.db.WithContext(ctx).Where("job = ?", job)
	if !before.IsZero() {
		q = q.Where("due < ?", moment(before))
	}
	var list []Firing
	if err := q.Order("due DESC").Limit(limit).Find(&list).Error; err != nil {
		return nil, fmt.Errorf("list firings: %w", err)
	}
	return list, nil
}

// ClaimFiring starts another attempt at f, which is as it was read, for owner
// and until. It reports false and changes nothing if f has changed since or
// somebody's lease on it has not ended.
func (tx *Tx) ClaimFiring(ctx context.Context, f Firing, owner string, now, until time.Time) (bool, error) {
	res := tx.db.WithContext(ctx).Model(&Firing{}).
		Where("job = ? AND due = ? AND state = ? AND attempts = ?", f.Job, moment(f.Due), f.State, f.Attempts).
		Where("state <> ? OR lease_until <= ?", FiringOpen, moment(now)).
		Updates(map[string]any{"state": FiringOpen, "attempts": f.Attempts + 1, "owner": owner,
			"lease_until": moment(until), "started_at": moment(now)})
	return claimed(res, "claim firing", f)
}

// ExtendFiring extends the lease on f, which its attempt holds. It reports
// false if that attempt holds it no longer.
func (tx *Tx) ExtendFiring(ctx context.Context, f Firing, until time.Time) (bool, error) {
	res := tx.heldFiring(ctx, f).UpdateColumn("lease_until", moment(until))
	return claimed(res, "extend firing", f)
}

// FinishFiring stores how the attempt at f that had the number attempt went:
// f's State, Attempts, Owner, LeaseUntil, Took and Error. It reports false and
// changes nothing if that attempt does not hold f any longer.
func (tx *Tx) FinishFiring(ctx context.Context, f Firing, attempt int) (bool, error) {
	held := f
	held.Attempts = attempt
	res := tx.heldFiring(ctx, held).Updates(map[string]any{"state": f.State, "attempts": f.Attempts, "owner": f.Owner,
		"lease_until": moment(f.LeaseUntil), "took": f.Took, "error": f.Error})
	return claimed(res, "finish firing", f)
}

func (tx *Tx) heldFiring(ctx context.Context, f Firing) *gorm.DB {
	return tx.db.WithContext(ctx).Model(&Firing{}).
		Where("job = ? AND due = ? AND state = ? AND attempts = ?", f.Job, moment(f.Due), FiringOpen, f.Attempts)
}

func claimed(res *gorm.DB, what string, f Firing) (bool, error) {
	if res.Error != nil {
		return false, fmt.Errorf("%s of %s: %w", what, f.Job, res.Error)
	}
	return res.RowsAffected == 1, nil
}

// PruneFirings deletes firings that are over and were started before that
// time, but each job's newest, at most limit, and returns how many.
func (tx *Tx) PruneFirings(ctx context.Context, before time.Time, limit int) (int64, error) {
	var old []Firing
	err := tx.db.WithContext(ctx).Select("job", "due").Where("state <> ? AND started_at < ?", FiringOpen, moment(before)).
		Where("NOT EXISTS (SELECT 1 FROM job_schedules WHERE job_schedules.job = firings.job AND job_schedules.last_due = firings.due)").
		Limit(limit).Find(&old).Error
	if err != nil {
		return 0, fmt.Errorf("prune firings: %w", err)
	}
	if len(old) == 0 {
		return 0, nil
	}
	res := tx.db.WithContext(ctx).Delete(&old)
	if res.Error != nil {
		return 0, fmt.Errorf("prune firings: %w", res.Error)
	}
	return res.RowsAffected, nil
}

// Holidays returns all days that are known to differ from the rule of the
// week, in order.
func (tx *Tx) Holidays(ctx context.Context) ([]Holiday, error) {
	var list []Holiday
	if err := tx.db.WithContext(ctx).Order("day").Find(&list).Error; err != nil {
		return nil, fmt.Errorf("list holidays: %w", err)
	}
	return list, nil
}

// SetHolidays replaces what is known about a year by list, whose days are of
// that year.
func (tx *Tx) SetHolidays(ctx context.Context, year int, list []Holiday) error {
	first := Day(fmt.Sprintf("%04d-01-01", year))
	next := Day(fmt.Sprintf("%04d-01-01", year+1))
	if err := tx.db.WithContext(ctx).Where("day >= ? AND day < ?", first, next).Delete(&Holiday{}).Error; err != nil {
		return fmt.Errorf("set holidays of %d: %w", year, err)
	}
	if len(list) == 0 {
		return nil
	}
	if err := tx.db.WithContext(ctx).Create(&list).Error; err != nil {
		return fmt.Errorf("set holidays of %d: %w", year, err)
	}
	return nil
}
