package scheduler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"qunbot/store"
	"qunbot/store/storetest"
)

const layout = "2006-01-02 15:04:05"

// A world is a database and a clock in a bubble of simulated time.
type world struct {
	*testing.T
	db    *store.Store
	shift time.Duration // from the bubble's clock, which begins in 2000
	mu    sync.Mutex
	log   bytes.Buffer
	ran   []string // "job due", or "job due @ when" if it ran at another second than it was due
}

// simulate runs test at a time in Asia/Shanghai.
func simulate(t *testing.T, start string, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, db: storetest.Open(t)}
		w.shift = time.Until(w.time(start))
		test(w)
	})
}

func (w *world) time(local string) time.Time {
	t, err := time.ParseInLocation(layout, local, storetest.Zone())
	if err != nil {
		w.Fatal(err)
	}
	return t
}

func (w *world) now() time.Time { return time.Now().Add(w.shift) }

// sleepUntil lets everything happen that happens up to a second after local.
func (w *world) sleepUntil(local string) {
	time.Sleep(w.time(local).Add(time.Second).Sub(w.now()))
	synctest.Wait()
}

// Write implements io.Writer for the log.
func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

func (w *world) logged(text string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Count(w.log.String(), text)
}

// note is a job's Run that writes down when it ran.
func (w *world) note(name string) func(context.Context, time.Time) error {
	return func(_ context.Context, due time.Time) error {
		line := name + " " + due.In(storetest.Zone()).Format(layout)
		if at := w.now().In(storetest.Zone()).Format(layout); !strings.HasSuffix(line, at) {
			line += " @ " + at
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.ran = append(w.ran, line)
		return nil
	}
}

func (w *world) job(name string, s Schedule) Job {
	return Job{Name: name, Title: name, Schedule: s, Run: w.note(name)}
}

// want compares what ran since the last call.
func (w *world) want(lines ...string) {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.ran, lines) {
		w.Errorf("ran\n got %s\nwant %s", strings.Join(w.ran, "\n     "), strings.Join(lines, "\n     "))
	}
	w.ran = nil
}

// scheduler returns one that looks at the database every minute: simulating
// days is quicker so.
func (w *world) scheduler(owner string, jobs ...Job) *Scheduler {
	w.Helper()
	s, err := New(Config{Store: w.db, Jobs: jobs, Now: w.now, Log: slog.New(slog.NewTextHandler(w, nil)), Owner: owner})
	if err != nil {
		w.Fatal(err)
	}
	s.poll = time.Minute
	return s
}

// start runs s until stop is called.
func (w *world) start(s *Scheduler) (stop func()) {
	ctx, cancel := context.WithCancel(w.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	synctest.Wait()
	return func() {
		cancel()
		if err := <-done; err != nil {
			w.Errorf("Run = %v, want nil", err)
		}
	}
}

func (w *world) update(fn func(ctx context.Context, tx *store.Tx) error) {
	w.Helper()
	if err := w.db.Update(w.Context(), func(tx *store.Tx) error { return fn(tx.Context(), tx) }); err != nil {
		w.Fatal(err)
	}
}

func (w *world) status(s *Scheduler, name string) (found Status) {
	w.Helper()
	w.update(func(ctx context.Context, tx *store.Tx) error {
		list, err := s.List(ctx, tx)
		for _, st := range list {
			if st.Name == name {
				found = st
			}
		}
		return err
	})
	return found
}

func (w *world) firings(name string) (list []store.Firing) {
	w.Helper()
	w.update(func(ctx context.Context, tx *store.Tx) (err error) {
		list, err = tx.FiringsOf(ctx, name, time.Time{}, 1000)
		return err
	})
	return list
}

func TestAYear(t *testing.T) {
	simulate(t, "2023-12-31 23:00:00", func(w *world) {
		s := w.scheduler("a", w.job("day", Daily(0, 0)), w.job("month", Monthly(31, 9, 0)), w.job("lunar", Lunar(12, 30, 18, 0)))
		s.poll = 48 * time.Hour // for speed; it wakes when something is due
		stop := w.start(s)
		w.sleepUntil("2024-12-31 23:00:00")
		stop()
		var want []string
		for day := store.Day("2024-01-01"); day <= "2024-12-31"; day = day.Add(1) {
			want = append(want, fmt.Sprintf("day %s 00:00:00", day))
			if day.Add(1)[5:7] != day[5:7] {
				want = append(want, fmt.Sprintf("month %s 09:00:00", day))
			}
			if day == "2024-02-09" {
				want = append(want, "lunar 2024-02-09 18:00:00")
			}
		}
		if len(want) != 366+12+1 {
			w.Fatalf("the test wants %d firings", len(want))
		}
		w.want(want...)
		for _, f := range slices.Concat(w.firings("day"), w.firings("month")) {
			if f.State != store.FiringDone || f.Attempts != 1 || f.Missed != 0 {
				w.Errorf("firing %+v, want it done at once", f)
			}
		}
	})
}

func TestNewNamesEveryBadJob(t *testing.T) {
	run := func(context.Context, time.Time) error { return nil }
	if s, err := New(Config{}); err != nil || s.owner == "" || len(s.owner) > 80 {
		t.Errorf("New without jobs and owner: %v, want it to name itself", err)
	}
	_, err := New(Config{Jobs: []Job{
		{Name: "a.b", Schedule: Daily(1, 0), Run: run},
		{Name: "a.b", Schedule: Daily(2, 0), Run: run},
		{Name: "c.d", Schedule: Daily(25, 0), Run: run},
		{Name: "", Schedule: Daily(1, 0), Run: run},
		{Name: "e.f", Schedule: Daily(1, 0)},
	}})
	for _, want := range []string{`job "a.b" is declared twice`, `job "c.d": “每天 25:00”`, `job "":`, `job "e.f":`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v, want it to say %q", err, want)
		}
	}
}

// Two replicas share the firings of one database, each of which runs once.
func TestTwoReplicasFireOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		start := time.Date(2026, 11, 22, 0, 0, 30, 0, time.UTC)
		var mu sync.Mutex
		now := start
		count := map[string]int{}
		by := map[string]int{}
		ctx, cancel := context.WithCancel(t.Context())
		var replicas sync.WaitGroup
		defer replicas.Wait()
		defer cancel()
		for _, owner := range []string{"a", "b"} {
			job := func(name string) Job {
				return Job{Name: name, Schedule: Every(time.Minute), Run: func(_ context.Context, due time.Time) error {
					mu.Lock()
					defer mu.Unlock()
					count[name+due.Format(" 15:04:05")]++
					by[owner]++
					return nil
				}}
			}
			s, err := New(Config{Store: db, Jobs: []Job{job("x"), job("y"), job("z")}, Owner: owner, Log: slog.New(slog.DiscardHandler),
				Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }})
			if err != nil {
				t.Fatal(err)
			}
			s.poll = 5 * time.Millisecond
			replicas.Go(func() {
				if err := s.Run(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		done := func() (n int) {
			err := db.View(t.Context(), func(tx *store.Tx) error {
				n = 0
				for _, name := range []string{"x", "y", "z"} {
					list, err := tx.FiringsOf(tx.Context(), name, time.Time{}, 100)
					if err != nil {
						return err
					}
					for _, f := range list {
						if f.State == store.FiringDone && f.Attempts == 1 {
							n++
						}
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		await := func(what string, ok func() bool) {
			t.Helper()
			for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%s: not within 30 s", what)
				}
			}
		}
		await("schedules", func() (all bool) {
			err := db.View(t.Context(), func(tx *store.Tx) error {
				rows, err := tx.JobSchedules(tx.Context())
				all = len(rows) == 3
				return err
			})
			return all && err == nil
		})
		const minutes = 10
		for n := range minutes {
			mu.Lock()
			now = start.Add(time.Duration(n+1) * time.Minute)
			mu.Unlock()
			await(fmt.Sprintf("firings of minute %d", n+1), func() bool { return done() == 3*(n+1) })
		}
		mu.Lock()
		defer mu.Unlock()
		if len(count) != 3*minutes {
			t.Errorf("%d firings ran, want %d", len(count), 3*minutes)
		}
		for due, n := range count {
			if n != 1 {
				t.Errorf("%s ran %d times, want once", due, n)
			}
		}
		t.Logf("replicas ran %v", by)
	})
}

// A firing whose process died runs again when its lease has ended.
func TestCrashRunsAgain(t *testing.T) {
	simulate(t, "2026-11-22 19:59:50", func(w *world) {
		job := w.job("checkin.remind", Daily(20, 0))
		dead := w.scheduler("dead", job)
		w.update(func(ctx context.Context, tx *store.Tx) error { _, _, err := dead.refresh(ctx, tx); return err })
		w.sleepUntil("2026-11-22 20:00:00")
		if _, err := dead.startDue(w.Context(), func(Job, store.Firing) {}); err != nil { // and there it dies
			w.Fatal(err)
		}
		s := w.scheduler("alive", job)
		stop := w.start(s)
		w.sleepUntil("2026-11-22 20:00:55")
		w.want()
		if got := w.status(s, "checkin.remind").Result(); got != "运行中" {
			w.Errorf("Result while the lease is the dead process's = %s", got)
		}
		w.sleepUntil("2026-11-22 20:01:10")
		stop()
		w.want("checkin.remind 2026-11-22 20:00:00 @ 2026-11-22 20:01:01")
		if f := w.firings("checkin.remind")[0]; f.State != store.FiringDone || f.Attempts != 2 || f.Owner != "alive" {
			w.Errorf("firing %+v, want it done at the second attempt", f)
		}
	})
}

// A firing that brings the program down each time does not do so for ever.
func TestCrashesAreCounted(t *testing.T) {
	simulate(t, "2026-11-22 19:59:59", func(w *world) {
		s := w.scheduler("a", w.job("boom", Daily(20, 0)))
		w.update(func(ctx context.Context, tx *store.Tx) error { _, _, err := s.refresh(ctx, tx); return err })
		attempts := 0
		for range 10 {
			time.Sleep(2 * time.Minute)
			if _, err := s.startDue(w.Context(), func(Job, store.Firing) { attempts++ }); err != nil {
				w.Fatal(err)
			}
		}
		if f := w.firings("boom")[0]; attempts != MaxAttempts || f.State != store.FiringFailed || f.Attempts != MaxAttempts || f.Error == "" {
			w.Errorf("%d attempts, firing %+v; want %d, then failed", attempts, f, MaxAttempts)
		}
		if n := w.logged("job given up"); n != 1 {
			w.Errorf("logged %d times that it was given up, want once", n)
		}
	})
}

func TestFailuresAreTriedAgain(t *testing.T) {
	simulate(t, "2026-11-22 08:59:00", func(w *world) {
		failing := func(name string, times int, fail func()) Job {
			job := w.job(name, Daily(9, 0))
			run := job.Run
			job.Run = func(ctx context.Context, due time.Time) error {
				run(ctx, due)
				if times--; times >= 0 {
					fail()
					return errors.New("feed does not answer")
				}
				return nil
			}
			return job
		}
		s := w.scheduler("a",
			failing("twice", 2, func() {}),
			w.job("well", Daily(9, 1)))
		defer w.start(s)()
		w.sleepUntil("2026-11-22 09:00:05")
		if got := w.status(s, "twice").Result(); got != "第 1 次失败，稍后重试：feed does not answer" {
			w.Errorf("Result after the first attempt = %s", got)
		}
		w.sleepUntil("2026-11-22 09:10:00")
		w.want("twice 2026-11-22 09:00:00",
			"twice 2026-11-22 09:00:00 @ 2026-11-22 09:01:00",
			"well 2026-11-22 09:01:00",
			"twice 2026-11-22 09:00:00 @ 2026-11-22 09:03:00")
		if got := w.status(s, "twice").Result(); got != "完成，用时 0s" {
			w.Errorf("Result after the third attempt = %s", got)
		}
		if n := w.logged(`msg="job failed" job=twice due=2026-11-22T01:00:00.000Z`); n != 2 {
			w.Errorf("two failures are logged %d times:\n%s", n, &w.log)
		}
	})
	simulate(t, "2026-11-22 08:59:00", func(w *world) {
		job := Job{Name: "panics", Schedule: Daily(9, 0), Run: func(context.Context, time.Time) error { panic("nil feed") }}
		s := w.scheduler("a", job, w.job("well", Daily(9, 1)))
		s.poll = time.Hour
		defer w.start(s)()
		w.sleepUntil("2026-11-23 08:00:00")
		w.want("well 2026-11-22 09:01:00")
		if got := w.status(s, "panics").Result(); got != "失败（第 5 次）：panic: nil feed" {
			w.Errorf("Result = %s", got)
		}
		if n := w.logged(`err="panic: nil feed"`); n != MaxAttempts {
			w.Errorf("%d panics are logged %d times:\n%s", MaxAttempts, n, &w.log)
		}
		if n := w.logged("scheduler_test.go"); n != MaxAttempts {
			w.Errorf("%d stacks are logged, want %d", n, MaxAttempts)
		}
		w.sleepUntil("2026-11-23 09:00:00")
		if got := w.status(s, "panics").Last; got.Attempts != 1 || !got.Due.Equal(w.time("2026-11-23 09:00:00")) {
			w.Errorf("the day after, the last firing is %+v, want a new one", got)
		}
	})
}

// A long job keeps its firing, and its next one waits for it.
func TestLongJobKeepsItsLease(t *testing.T) {
	simulate(t, "2026-11-22 08:59:00", func(w *world) {
		slow := w.job("slow", Every(4*time.Minute))
		note := slow.Run
		slow.Run = func(ctx context.Context, due time.Time) error {
			note(ctx, due)
			time.Sleep(9 * time.Minute)
			return ctx.Err()
		}
		a, b := w.scheduler("a", slow), w.scheduler("b", slow)
		defer w.start(a)()
		defer w.start(b)()
		w.sleepUntil("2026-11-22 09:08:30")
		st := w.status(a, "slow")
		if !st.Late || st.Result() != "运行中" {
			w.Errorf("status while it is busy: late %t, %s; want it late and running", st.Late, st.Result())
		}
		w.sleepUntil("2026-11-22 09:10:00")
		w.want("slow 2026-11-22 09:00:00", "slow 2026-11-22 09:08:00 @ 2026-11-22 09:09:00")
		list := w.firings("slow")
		if len(list) != 2 || list[1].Attempts != 1 || list[1].State != store.FiringDone || list[1].Took != 9*time.Minute || list[0].Missed != 1 {
			w.Errorf("firings %+v, want one that was done in 9 minutes and one that missed 1", list)
		}
	})
}

// A job whose lease somebody else has taken is told to stop.
func TestLostLeaseEndsTheJob(t *testing.T) {
	simulate(t, "2026-11-22 08:59:00", func(w *world) {
		var cause error
		job := Job{Name: "slow", Schedule: Daily(9, 0), Run: func(ctx context.Context, due time.Time) error {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return ctx.Err()
		}}
		stop := w.start(w.scheduler("a", job))
		w.sleepUntil("2026-11-22 09:00:00")
		f := w.firings("slow")[0]
		w.update(func(ctx context.Context, tx *store.Tx) error {
			claimed, err := tx.ClaimFiring(ctx, f, "b", f.LeaseUntil, f.LeaseUntil.Add(time.Hour))
			if !claimed {
				w.Error("cannot claim a firing whose lease has ended")
			}
			return err
		})
		w.sleepUntil("2026-11-22 09:00:30")
		stop()
		if !errors.Is(cause, errLeaseLost) {
			w.Errorf("the job ended by %v, want %v", cause, errLeaseLost)
		}
		if f := w.firings("slow")[0]; f.Owner != "b" || f.State != store.FiringOpen || f.Attempts != 2 {
			w.Errorf("firing %+v, want it still to be b's", f)
		}
		if n := w.logged("lease lost"); n != 1 {
			w.Errorf("logged %d times, want once:\n%s", n, &w.log)
		}
	})
}

// What a stop interrupts runs again after the next start, and is no failure.
func TestStopWaitsAndHandsBack(t *testing.T) {
	simulate(t, "2026-11-22 08:59:00", func(w *world) {
		job := w.job("long", Daily(9, 0))
		interrupted := job
		interrupted.Run = func(ctx context.Context, due time.Time) error {
			<-ctx.Done()
			time.Sleep(3 * time.Minute) // it takes longer to notice than its lease lasts
			return ctx.Err()
		}
		stop := w.start(w.scheduler("a", interrupted))
		w.sleepUntil("2026-11-22 09:00:20")
		defer w.start(w.scheduler("b", job))()
		stop()
		w.want()
		if got := w.now(); !got.Equal(w.time("2026-11-22 09:03:21")) {
			w.Errorf("Run returned at %s, want it to wait for the job", got)
		}
		if w.log.Len() > 0 {
			w.Errorf("a stop is logged as a failure: %s", &w.log)
		}
		w.sleepUntil("2026-11-22 09:10:00")
		w.want("long 2026-11-22 09:00:00 @ 2026-11-22 09:04:21")
		if f := w.firings("long")[0]; f.Attempts != 1 || f.State != store.FiringDone {
			w.Errorf("firing %+v, want it done at its first attempt", f)
		}
	})
}

func TestMissedFirings(t *testing.T) {
	simulate(t, "2026-11-20 12:00:00", func(w *world) {
		once, skip, often, seconds := w.job("once", Daily(9, 0)), w.job("skip", Daily(9, 0)), w.job("often", Every(time.Hour)), w.job("seconds", Every(time.Second))
		skip.Missed, often.Missed = Skip, Skip
		w.start(w.scheduler("a", once, skip, often))()
		w.update(func(ctx context.Context, tx *store.Tx) error {
			rows, _, err := w.scheduler("a", seconds).refresh(ctx, tx)
			if len(rows) != 1 {
				w.Errorf("refresh gives rows of other jobs: %v", rows)
			}
			return err
		})
		w.sleepUntil("2026-11-24 12:02:00") // all replicas are down
		s := w.scheduler("a", once, skip, often, seconds)
		if st := w.status(s, "once"); !st.Late || !st.Next.Equal(w.time("2026-11-21 09:00:00")) {
			w.Errorf("status before the start = %+v, want it late since 11-21", st)
		}
		s.poll = time.Hour
		stop := w.start(s)
		stop()
		slices.Sort(w.ran)
		w.want("often 2026-11-24 12:00:00 @ 2026-11-24 12:02:01",
			"once 2026-11-24 09:00:00 @ 2026-11-24 12:02:01",
			"seconds 2026-11-24 12:02:01")
		for name, want := range map[string][]string{
			"once":    {"完成，用时 0s（之前错过 3 次）"},
			"skip":    {"错过 4 次，已跳过"},
			"often":   {"完成，用时 0s", "错过 95 次，已跳过"},
			"seconds": {"完成，用时 0s（之前错过 1000 次）"},
		} {
			var got []string
			for _, f := range w.firings(name) {
				got = append(got, Status{Last: f}.Result())
			}
			if !slices.Equal(got, want) {
				w.Errorf("%s: firings %q, want %q", name, got, want)
			}
		}
		if n := w.logged("firings missed"); n != 4 {
			w.Errorf("four jobs that missed firings are logged %d times:\n%s", n, &w.log)
		}
		if st := w.status(s, "once"); st.Late || !st.Next.Equal(w.time("2026-11-25 09:00:00")) {
			w.Errorf("status afterwards = %+v, want the next on 11-25", st)
		}
	})
}

func TestPauseAndChange(t *testing.T) {
	simulate(t, "2026-11-20 12:00:00", func(w *world) {
		scheduler := func(def Schedule) *Scheduler {
			s := w.scheduler("a", w.job("j", def))
			s.poll = time.Hour
			return s
		}
		s := scheduler(Daily(9, 0))
		stop := w.start(s)
		w.update(func(ctx context.Context, tx *store.Tx) error { return s.Pause(ctx, tx, "j") })
		if st := w.status(s, "j"); !st.Paused || !st.Next.IsZero() || st.Late {
			w.Errorf("paused job's status = %+v", st)
		}
		w.sleepUntil("2026-11-22 12:00:00")
		w.want()
		w.update(func(ctx context.Context, tx *store.Tx) error { return s.Resume(ctx, tx, "j") })
		w.sleepUntil("2026-11-23 09:00:00")
		w.want("j 2026-11-23 09:00:00")

		w.update(func(ctx context.Context, tx *store.Tx) error { return s.SetSchedule(ctx, tx, "j", "每天10：30") })
		w.sleepUntil("2026-11-24 12:00:00")
		w.want("j 2026-11-23 10:30:00", "j 2026-11-24 10:30:00")
		if st := w.status(s, "j"); st.Schedule != Daily(10, 30) || st.Default != Daily(9, 0) {
			w.Errorf("schedule = %s, default %s", st.Schedule, st.Default)
		}
		stop()

		// A new version's default does not change what an operator chose.
		s = scheduler(Daily(8, 0))
		stop = w.start(s)
		w.sleepUntil("2026-11-25 12:00:00")
		w.want("j 2026-11-25 10:30:00")
		w.update(func(ctx context.Context, tx *store.Tx) error { return s.SetSchedule(ctx, tx, "j", "") })
		w.sleepUntil("2026-11-26 12:00:00")
		w.want("j 2026-11-26 08:00:00")
		stop()
		s = scheduler(Daily(7, 0))
		defer w.start(s)()
		w.sleepUntil("2026-11-27 12:00:00")
		w.want("j 2026-11-27 07:00:00")

		for what, err := range map[string]error{
			"Pause":       w.db.Update(w.Context(), func(tx *store.Tx) error { return s.Pause(tx.Context(), tx, "no") }),
			"Resume":      w.db.Update(w.Context(), func(tx *store.Tx) error { return s.Resume(tx.Context(), tx, "no") }),
			"SetSchedule": w.db.Update(w.Context(), func(tx *store.Tx) error { return s.SetSchedule(tx.Context(), tx, "no", "") }),
			"RunNow":      s.RunNow(w.Context(), "no"),
		} {
			if !errors.Is(err, ErrNoJob) {
				w.Errorf("%s of an unknown job = %v, want %v", what, err, ErrNoJob)
			}
		}
		err := w.db.Update(w.Context(), func(tx *store.Tx) error { return s.SetSchedule(tx.Context(), tx, "j", "每天") })
		if err == nil || !strings.Contains(err.Error(), "看不懂") {
			w.Errorf("SetSchedule to nonsense = %v, want it to say so in Chinese", err)
		}
	})
}

func TestSetHolidaysMovesWhatIsToCome(t *testing.T) {
	simulate(t, "2027-09-30 12:00:00", func(w *world) {
		s := w.scheduler("a", w.job("work", Workdays(9, 0)))
		s.poll = time.Hour
		defer w.start(s)()
		if st := w.status(s, "work"); !st.Next.Equal(w.time("2027-10-01 09:00:00")) {
			w.Errorf("next without holidays = %s, want Friday 10-01", st.Next)
		}
		days := []store.Holiday{{Day: "2027-10-01", Name: "国庆节"}, {Day: "2027-10-02", Work: true, Name: "国庆节"}}
		w.update(func(ctx context.Context, tx *store.Tx) error { return s.SetHolidays(ctx, tx, 2027, days) })
		w.sleepUntil("2027-10-03 00:00:00")
		w.want("work 2027-10-02 09:00:00")
		for _, bad := range [][]store.Holiday{{{Day: "2026-10-01"}}, {{Day: "10-01"}}, {{Day: "2027-10-01"}, {Day: "2027-10-01"}}} {
			if err := w.db.Update(w.Context(), func(tx *store.Tx) error { return s.SetHolidays(tx.Context(), tx, 2027, bad) }); err == nil {
				w.Errorf("SetHolidays(2027, %v) = nil, want an error", bad)
			}
		}
	})
}

func TestRunNow(t *testing.T) {
	simulate(t, "2026-11-22 12:00:00", func(w *world) {
		fail := errors.New("no feed")
		job := w.job("news.post", Daily(9, 0))
		failing := Job{Name: "fails", Schedule: Daily(9, 0), Run: func(context.Context, time.Time) error { return fail }}
		s := w.scheduler("cli", job, failing)
		s.poll = time.Hour
		for range 2 {
			if err := s.RunNow(w.Context(), "news.post"); err != nil {
				w.Fatal(err)
			}
		}
		w.want("news.post 2026-11-22 09:00:00 @ 2026-11-22 12:00:00", "news.post 2026-11-22 09:00:00 @ 2026-11-22 12:00:00")
		if err := s.RunNow(w.Context(), "fails"); !errors.Is(err, fail) {
			w.Errorf("RunNow of a failing job = %v, want %v", err, fail)
		}
		if got := w.status(s, "fails").Result(); got != "失败（第 1 次）：no feed" {
			w.Errorf("Result = %s", got)
		}
		stop := w.start(s)
		w.sleepUntil("2026-11-22 20:00:00")
		w.want() // neither is due before tomorrow

		// What RunNow did while the service was down, the service does not repeat.
		stop()
		w.sleepUntil("2026-11-23 10:00:00")
		if err := s.RunNow(w.Context(), "news.post"); err != nil {
			w.Fatal(err)
		}
		w.want("news.post 2026-11-23 09:00:00 @ 2026-11-23 10:00:01")
		defer w.start(s)()
		w.sleepUntil("2026-11-23 11:00:00")
		w.want()
		if st := w.status(s, "news.post"); st.Late || !st.Next.Equal(w.time("2026-11-24 09:00:00")) {
			w.Errorf("status = %+v, want the next tomorrow", st)
		}
	})
	simulate(t, "2026-11-22 09:00:00", func(w *world) {
		slow := Job{Name: "slow", Schedule: Daily(9, 0), Run: func(context.Context, time.Time) error { time.Sleep(time.Hour); return nil }}
		a, b := w.scheduler("a", slow), w.scheduler("b", slow)
		go a.RunNow(w.Context(), "slow")
		time.Sleep(10 * time.Minute)
		if err := b.RunNow(w.Context(), "slow"); !errors.Is(err, ErrRunning) {
			w.Errorf("RunNow of a running job = %v, want %v", err, ErrRunning)
		}
		time.Sleep(time.Hour)
	})
}

// What the console and the command line do, on both databases.
func TestManage(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		now := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC) // Sunday, 12:00 in Asia/Shanghai
		var ran []time.Time
		s, err := New(Config{Store: db, Owner: "cli", Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }, Jobs: []Job{
			{Name: "news.post", Title: "发布资讯", Schedule: Workdays(9, 0), Run: func(_ context.Context, due time.Time) error {
				ran = append(ran, due)
				return nil
			}},
			{Name: "draw.close", Title: "截止抽奖", Schedule: Every(time.Minute), Run: func(context.Context, time.Time) error { return nil }},
		}})
		if err != nil {
			t.Fatal(err)
		}
		show := func() (lines []string) {
			t.Helper()
			err := db.View(t.Context(), func(tx *store.Tx) error {
				list, err := s.List(tx.Context(), tx)
				for _, st := range list {
					lines = append(lines, fmt.Sprint(st.Title, " ", st.Schedule, " ", st.Next.Format(layout), " ", st.Paused, " ", st.Result()))
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return lines
		}
		want := func(lines ...string) {
			t.Helper()
			if got := show(); !slices.Equal(got, lines) {
				t.Errorf("List\n got %q\nwant %q", got, lines)
			}
		}
		change := func(fn func(ctx context.Context, tx *store.Tx) error) {
			t.Helper()
			if err := db.Update(t.Context(), func(tx *store.Tx) error { return fn(tx.Context(), tx) }); err != nil {
				t.Fatal(err)
			}
		}
		const draw = "截止抽奖 每 1 分钟 2026-11-22 04:01:00 false 还没有运行过"
		want("发布资讯 工作日 09:00 2026-11-23 01:00:00 false 还没有运行过", draw)
		for range 2 {
			if err := s.RunNow(t.Context(), "news.post"); err != nil {
				t.Fatal(err)
			}
		}
		friday := time.Date(2026, 11, 20, 1, 0, 0, 0, time.UTC)
		if len(ran) != 2 || !ran[0].Equal(friday) || !ran[1].Equal(friday) {
			t.Errorf("RunNow twice on Sunday: due %v, want Friday's both times", ran)
		}
		want("发布资讯 工作日 09:00 2026-11-23 01:00:00 false 完成，用时 0s", draw)
		change(func(ctx context.Context, tx *store.Tx) error {
			return s.SetSchedule(ctx, tx, "news.post", Daily(10, 0))
		})
		want("发布资讯 每天 10:00 2026-11-23 02:00:00 false 完成，用时 0s", draw)
		change(func(ctx context.Context, tx *store.Tx) error { return s.Pause(ctx, tx, "news.post") })
		want("发布资讯 每天 10:00 0001-01-01 00:00:00 true 完成，用时 0s", draw)
		change(func(ctx context.Context, tx *store.Tx) error { return s.SetSchedule(ctx, tx, "news.post", "") })
		change(func(ctx context.Context, tx *store.Tx) error { return s.Resume(ctx, tx, "news.post") })
		change(func(ctx context.Context, tx *store.Tx) error {
			return s.SetHolidays(ctx, tx, 2026, []store.Holiday{{Day: "2026-11-23", Name: "店庆"}})
		})
		want("发布资讯 工作日 09:00 2026-11-24 01:00:00 false 完成，用时 0s", draw)
	})
}

// A row of a job that this version does not know does no harm.
func TestUnknownJobIsLeftAlone(t *testing.T) {
	simulate(t, "2026-11-22 08:00:00", func(w *world) {
		w.start(w.scheduler("old", w.job("gone", Daily(9, 0))))()
		s := w.scheduler("new", w.job("here", Daily(9, 0)))
		s.poll = time.Hour
		defer w.start(s)()
		w.sleepUntil("2026-11-22 12:00:00")
		w.want("here 2026-11-22 09:00:00")
	})
}
