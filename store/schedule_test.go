package store_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"qunbot/store"
	"qunbot/store/storetest"
)

func TestJobSchedules(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		due := noon.Add(123456789 * time.Nanosecond) // more than the tables keep
		row := store.JobSchedule{Job: "news.post", Expression: "每天 12:00", NextDue: &due}
		update(t, db, func(tx *store.Tx) error {
			if err := tx.AddJobSchedules(tx.Context(), nil); err != nil {
				return err
			}
			return tx.AddJobSchedules(tx.Context(), []store.JobSchedule{row, {Job: "draw.close", Expression: "never"}})
		})
		update(t, db, func(tx *store.Tx) error {
			other := row
			other.Expression = "每天 13:00"
			if err := tx.AddJobSchedules(tx.Context(), []store.JobSchedule{other}); err != nil {
				return err
			}
			list, err := tx.LockedJobSchedules(tx.Context())
			if len(list) != 2 || list[0].NextDue != nil || list[0].LastDue != nil ||
				list[1].Expression != "每天 12:00" || !list[1].NextDue.Equal(noon.Add(123*time.Millisecond)) {
				t.Errorf("JobSchedules = %+v, want both as they were added first", list)
			}
			return err
		})
		tomorrow := noon.AddDate(0, 0, 1)
		advance := func(want bool, why string, change func(*store.JobSchedule)) {
			t.Helper()
			from := row
			change(&from)
			update(t, db, func(tx *store.Tx) error {
				moved, err := tx.AdvanceJob(tx.Context(), from, noon, &tomorrow)
				if moved != want {
					t.Errorf("AdvanceJob %s = %t, want %t", why, moved, want)
				}
				return err
			})
		}
		advance(false, "from another due time", func(j *store.JobSchedule) { j.NextDue = &noon })
		advance(false, "from another expression", func(j *store.JobSchedule) { j.Expression = "每天 13:00" })
		update(t, db, func(tx *store.Tx) error {
			paused := row
			paused.Paused = true
			return tx.SetJobSchedule(tx.Context(), paused)
		})
		advance(false, "of a paused job", func(*store.JobSchedule) {})
		update(t, db, func(tx *store.Tx) error { return tx.SetJobSchedule(tx.Context(), row) })
		open := store.Firing{Job: row.Job, Due: noon.AddDate(0, 0, -1), State: store.FiringOpen, Attempts: 1, LeaseUntil: noon, StartedAt: noon}
		update(t, db, func(tx *store.Tx) error { _, err := tx.AddFiring(tx.Context(), open); return err })
		advance(false, "with an open firing", func(*store.JobSchedule) {})
		update(t, db, func(tx *store.Tx) error {
			open.State = store.FiringDone
			_, err := tx.FinishFiring(tx.Context(), open, 1)
			return err
		})
		advance(true, "", func(*store.JobSchedule) {})
		advance(false, "a second time", func(*store.JobSchedule) {})
		update(t, db, func(tx *store.Tx) error {
			for _, due := range []time.Time{noon.Add(time.Hour), noon} { // an older one does not count
				if err := tx.SetLastDue(tx.Context(), row.Job, due); err != nil {
					return err
				}
			}
			list, err := tx.JobSchedules(tx.Context())
			if !list[1].NextDue.Equal(tomorrow) || !list[1].LastDue.Equal(noon.Add(time.Hour)) {
				t.Errorf("after advancing: %+v", list[1])
			}
			return err
		})
	})
}

// Of many that claim one firing, one gets it, and an older attempt cannot
// touch it any more.
func TestFiringHasOneHolder(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		f := store.Firing{Job: "news.post", Due: noon, State: store.FiringOpen, Attempts: 1, Owner: "dead", LeaseUntil: noon, StartedAt: noon}
		race := func(what string, try func(tx *store.Tx, n int) (bool, error)) {
			t.Helper()
			var won atomic.Int32
			var wg sync.WaitGroup
			for n := range 8 {
				wg.Go(func() {
					var ok bool
					err := db.Update(t.Context(), func(tx *store.Tx) (err error) { ok, err = try(tx, n); return err })
					if err != nil {
						t.Errorf("%s: %v", what, err)
					}
					if ok {
						won.Add(1)
					}
				})
			}
			wg.Wait()
			if won.Load() != 1 {
				t.Errorf("%s: %d of 8 won, want 1", what, won.Load())
			}
		}
		race("add", func(tx *store.Tx, _ int) (bool, error) { return tx.AddFiring(tx.Context(), f) })
		check := func(what string, want bool, try func(tx *store.Tx) (bool, error)) {
			t.Helper()
			update(t, db, func(tx *store.Tx) error {
				ok, err := try(tx)
				if ok != want {
					t.Errorf("%s = %t, want %t", what, ok, want)
				}
				return err
			})
		}
		check("claim before the lease ends", false, func(tx *store.Tx) (bool, error) {
			return tx.ClaimFiring(tx.Context(), f, "early", noon.Add(-time.Second), noon.Add(time.Minute))
		})
		race("claim", func(tx *store.Tx, n int) (bool, error) {
			return tx.ClaimFiring(tx.Context(), f, fmt.Sprint("p", n), noon, noon.Add(time.Minute))
		})
		check("extend by the dead", false, func(tx *store.Tx) (bool, error) {
			return tx.ExtendFiring(tx.Context(), f, noon.Add(time.Hour))
		})
		check("finish by the dead", false, func(tx *store.Tx) (bool, error) {
			done := f
			done.State = store.FiringDone
			return tx.FinishFiring(tx.Context(), done, 1)
		})
		held := f
		held.Attempts = 2
		check("extend by the holder", true, func(tx *store.Tx) (bool, error) {
			return tx.ExtendFiring(tx.Context(), held, noon.Add(2*time.Minute))
		})
		update(t, db, func(tx *store.Tx) error {
			for at, want := range map[time.Time]int{noon.Add(119 * time.Second): 0, noon.Add(2 * time.Minute): 1} {
				list, err := tx.ExpiredFirings(tx.Context(), at, 10)
				if err != nil {
					return err
				}
				if len(list) != want {
					t.Errorf("ExpiredFirings(%s) = %v, want %d", at, list, want)
				}
			}
			return nil
		})
		held.State, held.Took, held.Owner = store.FiringDone, 1500*time.Millisecond, "p"
		check("finish by the holder", true, func(tx *store.Tx) (bool, error) { return tx.FinishFiring(tx.Context(), held, 2) })
		check("finish again", false, func(tx *store.Tx) (bool, error) { return tx.FinishFiring(tx.Context(), held, 2) })
		check("claim what is done, as it was", false, func(tx *store.Tx) (bool, error) {
			return tx.ClaimFiring(tx.Context(), f, "late", noon.Add(time.Hour), noon.Add(2*time.Hour))
		})
		update(t, db, func(tx *store.Tx) error {
			got, err := tx.Firing(tx.Context(), "news.post", noon)
			if got.State != store.FiringDone || got.Took != 1500*time.Millisecond || got.Attempts != 2 || !got.Due.Equal(noon) {
				t.Errorf("Firing = %+v, want it done", got)
			}
			return err
		})
		check("claim what is done, on purpose", true, func(tx *store.Tx) (bool, error) {
			return tx.ClaimFiring(tx.Context(), held, "cli", noon, noon.Add(time.Minute))
		})
	})
}

func TestFiringsArePagedAndPruned(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		update(t, db, func(tx *store.Tx) error {
			jobs := []store.JobSchedule{{Job: "a"}, {Job: "b"}, {Job: "c"}}
			if err := tx.AddJobSchedules(tx.Context(), jobs); err != nil {
				return err
			}
			for _, job := range []string{"a", "b"} {
				for n := range 5 {
					due := noon.Add(time.Duration(n) * time.Hour)
					f := store.Firing{Job: job, Due: due, State: store.FiringDone, LeaseUntil: due, StartedAt: due}
					if job == "b" && n == 0 {
						f.State = store.FiringOpen
					}
					if _, err := tx.AddFiring(tx.Context(), f); err != nil {
						return err
					}
					if err := tx.SetLastDue(tx.Context(), job, due); err != nil {
						return err
					}
				}
			}
			return nil
		})
		hours := func(list []store.Firing) (h []int) {
			for _, f := range list {
				h = append(h, int(f.Due.Sub(noon).Hours()))
			}
			return h
		}
		update(t, db, func(tx *store.Tx) error {
			first, err := tx.FiringsOf(tx.Context(), "a", time.Time{}, 2)
			if err != nil {
				return err
			}
			second, err := tx.FiringsOf(tx.Context(), "a", first[1].Due, 2)
			if got := fmt.Sprint(hours(first), hours(second)); got != "[4 3] [2 1]" {
				t.Errorf("two pages of firings = %s, want [4 3] [2 1]", got)
			}
			return err
		})
		update(t, db, func(tx *store.Tx) error {
			n, err := tx.PruneFirings(tx.Context(), noon.Add(3*time.Hour), 4)
			if err != nil {
				return err
			}
			m, err := tx.PruneFirings(tx.Context(), noon.Add(24*time.Hour), 100)
			if n != 4 || m != 3 {
				t.Errorf("pruned %d, then %d, want 4 and 3", n, m)
			}
			return err
		})
		update(t, db, func(tx *store.Tx) error {
			a, err := tx.FiringsOf(tx.Context(), "a", time.Time{}, 10)
			if err != nil {
				return err
			}
			b, err := tx.FiringsOf(tx.Context(), "b", time.Time{}, 10)
			if got := fmt.Sprint(hours(a), hours(b)); got != "[4] [4 0]" {
				t.Errorf("left of a and b: %s, want the newest and the open one: [4] [4 0]", got)
			}
			if err != nil {
				return err
			}
			last, err := tx.LastFirings(tx.Context())
			if len(last) != 2 || !last["a"].Due.Equal(noon.Add(4*time.Hour)) || last["b"].State != store.FiringDone {
				t.Errorf("LastFirings = %v", last)
			}
			return err
		})
	})
}

func TestHolidays(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		update(t, db, func(tx *store.Tx) error {
			list, err := tx.Holidays(tx.Context())
			if len(list) != 72 || list[0] != (store.Holiday{Day: "2025-01-01", Name: "元旦"}) || list[1] != (store.Holiday{Day: "2025-01-26", Work: true, Name: "春节"}) {
				t.Errorf("%d holidays in a new database, from %+v; want 72 from 元旦 2025", len(list), list[:2])
			}
			if err != nil {
				return err
			}
			if err := tx.SetHolidays(tx.Context(), 2025, nil); err != nil {
				return err
			}
			for range 2 {
				if err := tx.SetHolidays(tx.Context(), 2026, []store.Holiday{{Day: "2026-01-01"}, {Day: "2026-12-31"}}); err != nil {
					return err
				}
			}
			if list, err = tx.Holidays(tx.Context()); len(list) != 2 {
				t.Errorf("holidays = %v, want two", list)
			}
			return err
		})
	})
}
