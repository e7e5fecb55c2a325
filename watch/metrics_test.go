package watch_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"qunbot/bot"
	"qunbot/scheduler"
	"qunbot/store"
	"qunbot/store/storetest"
	"qunbot/watch"
)

// scrape returns the lines of GET /metrics.
func scrape(t *testing.T, m *watch.Metrics) []string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("GET /metrics = %d\n%s", w.Code, w.Body)
	}
	return strings.Split(w.Body.String(), "\n")
}

func expectLines(t *testing.T, lines []string, want ...string) {
	t.Helper()
	there := map[string]bool{}
	for _, l := range lines {
		there[l] = true
	}
	for _, l := range want {
		if !there[l] {
			t.Errorf("GET /metrics lacks %q", l)
		}
	}
}

func TestMetricsCount(t *testing.T) {
	m := watch.NewMetrics(watch.Build{Version: "v1.2.3", Revision: "abc", Go: "go1"}, func() time.Time { return noon })
	m.Expect("app", []string{"answered", "busy"})
	m.Answered("app", "answered", 30*time.Millisecond)
	m.Answered("app", "silent", 150*time.Millisecond)
	m.Answered("app", "refused", time.Millisecond)
	o := m.Observer()
	o.Batch([]bot.Answer{{Outcome: store.Answered, Rule: "command 签到"}, {Outcome: store.Stopped, Rule: "moderation 拦截"}, {Outcome: store.Answered, Replayed: true}}, 4*time.Millisecond)
	o.Sent("webhook", "sent", 90*time.Millisecond)
	o.Sent("webhook", "limited", 20*time.Millisecond)
	m.Renewed("app", nil)
	m.Renewed("contact", errors.New("no"))
	m.Ran("news.post", 3*time.Second, time.Second, nil)
	m.Ran("news.post", 3*time.Second, time.Second, errors.New("no"))
	m.Transaction(store.Transaction{Write: true, Took: time.Millisecond, Tries: 3})
	expectLines(t, scrape(t, m),
		`qunbot_build_info{goversion="go1",revision="abc",version="v1.2.3"} 1`,
		`qunbot_callbacks_total{endpoint="app",result="answered"} 1`,
		`qunbot_callbacks_total{endpoint="app",result="busy"} 0`,
		`qunbot_callbacks_total{endpoint="app",result="refused"} 1`,
		`qunbot_answer_seconds_bucket{endpoint="app",le="0.05"} 1`,
		`qunbot_answer_seconds_bucket{endpoint="app",le="0.2"} 2`,
		`qunbot_answer_seconds_count{endpoint="app"} 2`,
		`qunbot_engine_batch_messages_sum 3`,
		`qunbot_messages_total{outcome="answered"} 1`,
		`qunbot_messages_total{outcome="stopped"} 1`,
		`qunbot_messages_total{outcome="replayed"} 1`,
		`qunbot_moderation_hits_total{level="block"} 1`,
		`qunbot_outbox_sends_total{destination="webhook",result="limited"} 1`,
		`qunbot_outbox_send_seconds_count{destination="webhook"} 2`,
		`qunbot_token_refreshes_total{app="contact",result="error"} 1`,
		`qunbot_job_runs_total{result="error",task="news.post"} 1`,
		`qunbot_job_lateness_seconds_sum{task="news.post"} 6`,
		`qunbot_database_retries_total{kind="write"} 2`,
	)
	f := m.Lately()
	if f.Answers != 2 || f.Mean != 90*time.Millisecond || f.P50 != 30*time.Millisecond || f.P99 != 160*time.Millisecond {
		t.Errorf("Lately = %+v, want two answers, 30 and 150 ms", f)
	}
}

// What is older than five minutes counts no more, and an hour fills the chart.
func TestMetricsForget(t *testing.T) {
	now := noon
	m := watch.NewMetrics(watch.Build{}, func() time.Time { return now })
	for range 90 {
		m.Answered("app", "answered", 2*time.Second)
		now = now.Add(time.Minute)
	}
	if f := m.Lately(); f.Answers != 4 {
		t.Errorf("%d answers in five minutes, at one a minute and none in this one, want 4", f.Answers)
	}
	if n := m.LastMinute(); n != 0 {
		t.Errorf("%d answers in the last minute, want 0", n)
	}
	m.Answered("app", "busy", 0)
	m.Answered("app", "answered", 10*time.Second)
	if f := m.Lately(); f.TurnedAway != 1 || f.P99 != 10*time.Second {
		t.Errorf("Lately = %+v, want one turned away and a p99 beyond the last step", f)
	}
	minutes := m.Minutes(30)
	for i, n := range minutes {
		if n != 1 {
			t.Fatalf("Minutes[%d] = %d, want 1 in each: %v", i, n, minutes)
		}
	}
	now = now.Add(24 * time.Hour)
	if f := m.Lately(); f.Answers != 0 {
		t.Errorf("Lately = %+v a day later, want nothing", f)
	}
}

// Gauges are read from the database at most every five seconds, however often
// somebody scrapes; without a database the rest is still answered.
func TestMetricsOfTheDatabase(t *testing.T) {
	db := storetest.Open(t)
	now := noon
	clock := func() time.Time { return now }
	m := watch.NewMetrics(watch.Build{}, clock)
	jobs, err := scheduler.New(scheduler.Config{Store: db, Now: clock, Log: slog.New(slog.DiscardHandler), Jobs: []scheduler.Job{{
		Name: "ledger.verify", Title: "核对", Schedule: scheduler.Daily(3, 30), Run: func(context.Context, time.Time) error { return errors.New("1 account is wrong") },
	}}})
	if err != nil {
		t.Fatal(err)
	}
	p := watch.NewPulse(watch.PulseConfig{Store: db, Metrics: m, Progress: idle, Clock: clock, Log: slog.New(slog.DiscardHandler), Host: "a", Process: "1"})
	m.Watch(watch.Live{Store: db, Progress: func() bot.Progress { return bot.Progress{Waiting: 9} }, Pulse: p, Log: slog.New(slog.DiscardHandler),
		Sources: watch.Sources{Jobs: func() *scheduler.Scheduler { return jobs }, Now: clock, Clock: clock,
			Backup: func(context.Context, *store.Tx) (time.Time, error) { return noon.Add(-time.Hour), nil }}})
	beatOnce(t, p)
	push(t, db, "waits", "webhook/1", noon.Add(-time.Minute))
	if err := jobs.RunNow(t.Context(), "ledger.verify"); err == nil {
		t.Fatal("the job that fails did not")
	}
	lines := scrape(t, m)
	expectLines(t, lines,
		`qunbot_database_up 1`, `qunbot_engine_queue_messages 9`, `qunbot_outbox_posts{state="queued"} 1`, `qunbot_outbox_oldest_due_seconds 60`,
		`qunbot_job_failing{task="ledger.verify"} 1`, `qunbot_ledger_mismatch 1`, `qunbot_backup_age_seconds 3600`, `qunbot_downtime_seconds 0`,
		`qunbot_replicas{state="live"} 0`, // it beat once and stopped
		`qunbot_database_connections{pool="write",state="in use"} 0`,
	)
	push(t, db, "waits too", "webhook/1", noon)
	now = now.Add(4 * time.Second)
	expectLines(t, scrape(t, m), `qunbot_outbox_posts{state="queued"} 1`)
	now = now.Add(2 * time.Second)
	expectLines(t, scrape(t, m), `qunbot_outbox_posts{state="queued"} 2`)
	db.Close()
	now = now.Add(time.Minute)
	expectLines(t, scrape(t, m), `qunbot_database_up 0`, `qunbot_engine_queue_messages 9`)
}

// What a message costs in figures, for all of its way.
func BenchmarkMessage(b *testing.B) {
	m := watch.NewMetrics(watch.Build{}, time.Now)
	o := m.Observer()
	answers := []bot.Answer{{Outcome: store.Answered, Rule: "command 签到"}}
	b.ReportAllocs()
	for b.Loop() {
		m.Answered("aibot/helper", "answered", 30*time.Millisecond)
		o.Batch(answers, 4*time.Millisecond)
		m.Transaction(store.Transaction{Write: true, Took: 4 * time.Millisecond, Tries: 1})
	}
}
