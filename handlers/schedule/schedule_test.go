package schedule_test

import (
	"context"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"qunbot/handlers"
	"qunbot/handlers/schedule"
	"qunbot/scheduler"
	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/web/console"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var noon = time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC) // 12:00 in Asia/Shanghai

func TestOperatorsChangeJobs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		now := func() time.Time { return noon }
		log := slog.New(slog.DiscardHandler)
		jobs, err := scheduler.New(scheduler.Config{Store: db, Now: now, Log: log, Jobs: []scheduler.Job{{
			Name: "news.post", Title: "发每日资讯", Schedule: scheduler.Daily(9, 0),
			Run: func(context.Context, time.Time) error { return nil },
		}}})
		if err != nil {
			t.Fatal(err)
		}
		page := schedule.New(handlers.Deps{Store: db, Now: now, Zone: db.Zone(), Log: log}, func() *scheduler.Scheduler { return jobs }).Console[0]
		post := func(do, job, text string) error {
			return db.Update(t.Context(), func(tx *store.Tx) error {
				_, err := page.Post(tx.Context(), tx, console.Visit{Now: noon, Form: url.Values{"do": {do}, "job": {job}, "schedule": {text}}})
				return err
			})
		}
		status := func() (s scheduler.Status) {
			err := db.View(t.Context(), func(tx *store.Tx) error {
				list, err := jobs.List(tx.Context(), tx)
				s = list[0]
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		steps := []struct {
			do, job, schedule string
			refused           string // part of what is said; empty: done
			want              func(s scheduler.Status) bool
		}{
			{"pause", "news.post", "", "", func(s scheduler.Status) bool { return s.Paused }},
			{"resume", "news.post", "", "", func(s scheduler.Status) bool { return !s.Paused }},
			{"change", "news.post", "每天 10:30", "", func(s scheduler.Status) bool { return s.Schedule == "每天 10:30" }},
			{"change", "news.post", "每天 25:00", "25", func(s scheduler.Status) bool { return s.Schedule == "每天 10:30" }},
			{"change", "news.post", "", "", func(s scheduler.Status) bool { return s.Schedule == s.Default }},
			{"run", "news.post", "", "", func(s scheduler.Status) bool { return s.Next.Equal(noon) }},
			{"run", "news.boil", "", "没有这个任务", func(s scheduler.Status) bool { return true }},
			{"boil", "news.post", "", "没有这个操作", func(s scheduler.Status) bool { return true }},
		}
		for _, step := range steps {
			err := post(step.do, step.job, step.schedule)
			switch {
			case step.refused == "" && err != nil, step.refused != "" && (err == nil || !strings.Contains(err.Error(), step.refused)):
				t.Errorf("%s %s %q = %v, want %q", step.do, step.job, step.schedule, err, step.refused)
			case !step.want(status()):
				t.Errorf("after %s %s %q: %+v", step.do, step.job, step.schedule, status())
			}
		}
	})
}
