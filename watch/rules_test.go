package watch_test

import (
	"strings"
	"testing"
	"time"

	"qunbot/scheduler"
	"qunbot/store"
	"qunbot/watch"
)

func TestTroubles(t *testing.T) {
	live := func(r store.Replica) []store.Replica {
		r.Name, r.Host, r.BeatAt = "a/1 X", "a", noon.Add(-5*time.Second)
		return []store.Replica{r}
	}
	job := func(s scheduler.Status) []scheduler.Status {
		if s.Name == "" {
			s.Name = "news.post"
		}
		s.Title = "发每日资讯"
		return []scheduler.Status{s}
	}
	posts := func(d store.OutboxDepth) store.OutboxDepth {
		if d.Posts == nil {
			d.Posts = map[store.PostState]int64{}
		}
		return d
	}
	ago := func(d time.Duration) *time.Time { at := noon.Add(-d); return &at }
	failed := store.Firing{Job: "x", State: store.FiringFailed, Attempts: 5, Error: "no way"}
	again := store.Firing{Job: "x", State: store.FiringOpen, Attempts: 1, Error: "no way"} // waits for its next attempt
	thrice := again
	thrice.Attempts = 3
	running := store.Firing{Job: "x", State: store.FiringOpen, Attempts: 2, Error: "no way", Owner: "me"}

	tests := []struct {
		name  string
		state watch.State
		want  string // name of the trouble; empty: none
		says  string
	}{
		{"nothing is known", watch.State{}, "", ""},
		{"a quick and busy service", watch.State{Replicas: live(store.Replica{Answers: 90_000, MeanAnswer: 40 * time.Millisecond, TurnedAway: 3, DBErrors: 1})}, "", ""},
		{"slow answers", watch.State{Replicas: live(store.Replica{Answers: 500, MeanAnswer: 230 * time.Millisecond})}, "answers.slow", "230 毫秒"},
		{"one slow answer", watch.State{Replicas: live(store.Replica{Answers: 1, MeanAnswer: 2 * time.Second})}, "", ""},
		{"turned away", watch.State{Replicas: live(store.Replica{TurnedAway: 400})}, "answers.busy", "400 条"},
		{"errors of the database", watch.State{Replicas: live(store.Replica{DBErrors: 5})}, "database", "5 次"},
		{"figures of one that is gone", watch.State{Replicas: []store.Replica{{Name: "b", Stopped: true, BeatAt: noon, DBErrors: 99}}}, "", ""},
		{"a process without a word", watch.State{Replicas: []store.Replica{{Name: "b/7 Y", Host: "b", BeatAt: noon.Add(-2 * time.Minute)}}}, "replica b/7 Y", "2 分前"},
		{"posts wait", watch.State{Outbox: store.OutboxDepth{OldestDue: *ago(16 * time.Minute), Posts: map[store.PostState]int64{store.PostQueued: 230}}}, "outbox.age", "16 分，共 230 条"},
		{"posts wait a little", watch.State{Outbox: store.OutboxDepth{OldestDue: *ago(14 * time.Minute)}}, "", ""},
		{"a post in doubt", watch.State{Outbox: store.OutboxDepth{Posts: map[store.PostState]int64{store.PostUnknown: 1}}}, "outbox.unknown", "1 条"},
		{"a late job", watch.State{Jobs: job(scheduler.Status{Next: *ago(6 * time.Minute)})}, "job.late news.post", "发每日资讯"},
		{"a paused job", watch.State{Jobs: job(scheduler.Status{Next: *ago(6 * time.Minute), Paused: true})}, "", ""},
		{"a job that failed", watch.State{Jobs: job(scheduler.Status{Last: failed})}, "job.failed news.post", "no way"},
		{"a job that failed once and will be tried again", watch.State{Jobs: job(scheduler.Status{Last: again})}, "", ""},
		{"a job that fails and fails", watch.State{Jobs: job(scheduler.Status{Last: thrice})}, "job.failed news.post", "第 3 次"},
		{"the ledger, which is right or wrong", watch.State{Jobs: job(scheduler.Status{Name: "ledger.verify", Last: again})}, "ledger", "no way"},
		{"a job that is being tried again", watch.State{Jobs: job(scheduler.Status{Last: running})}, "", ""},
		{"the ledger", watch.State{Jobs: job(scheduler.Status{Name: "ledger.verify", Last: failed})}, "ledger", "no way"},
		{"an old backup", watch.State{Backup: ago(40 * time.Hour)}, "backup", "1 天 16 小时"},
		{"a fresh backup", watch.State{Backup: ago(30 * time.Hour)}, "", ""},
		{"no backup on the first day", watch.State{Backup: &time.Time{}, Since: noon.Add(-time.Hour)}, "", ""},
		{"no backup ever", watch.State{Backup: &time.Time{}, Since: noon.Add(-48 * time.Hour)}, "backup", "还没有一份"},
		{"just back", watch.State{Outages: []store.Outage{{BeganAt: noon.Add(-12 * time.Minute), EndedAt: noon.Add(-2 * time.Minute)}}}, "outage 2026-11-21T03:48:00Z", "10 分"},
		{"back for long", watch.State{Outages: []store.Outage{{BeganAt: noon.Add(-2 * time.Hour), EndedAt: noon.Add(-time.Hour - 50*time.Minute)}}}, "", ""},
		{"a restart", watch.State{Outages: []store.Outage{{BeganAt: noon.Add(-20 * time.Second), EndedAt: noon}}}, "", ""},
		{"over the budget", watch.State{Outages: []store.Outage{{BeganAt: noon.AddDate(0, 0, -20), EndedAt: noon.AddDate(0, 0, -20).Add(44 * time.Minute)}}}, "uptime", "44 分"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.state.At, tt.state.Beat, tt.state.Outbox = noon, noon, posts(tt.state.Outbox)
			list := tt.state.Troubles()
			switch {
			case tt.want == "" && len(list) == 0:
			case len(list) != 1 || list[0].Name != tt.want || !strings.Contains(list[0].Detail, tt.says) || list[0].Title == "":
				t.Errorf("Troubles = %+v, want %q with %q", list, tt.want, tt.says)
			}
		})
	}
}

// A name fits into its column, whatever the machine is called.
func TestTroublesHaveShortNames(t *testing.T) {
	name := strings.Repeat("节点", 30) + "/1234567 ABCDEFGH"
	list := watch.State{At: noon, Beat: noon, Replicas: []store.Replica{{Name: name, Host: "b", BeatAt: noon.Add(-2 * time.Minute)}}}.Troubles()
	if len(list) != 1 || len([]rune(list[0].Name)) != 80 || !strings.HasSuffix(list[0].Name, "ABCDEFGH") {
		t.Errorf("Troubles = %+v, want one of a name of 80 characters", list)
	}
}

func TestSpan(t *testing.T) {
	tests := []struct {
		d    time.Duration
		want string
	}{
		{0, "0 秒"}, {400 * time.Millisecond, "0 秒"}, {-time.Second, "0 秒"}, {59 * time.Second, "59 秒"}, {time.Minute, "1 分"},
		{61 * time.Second, "1 分 1 秒"}, {2 * time.Hour, "2 小时"}, {26 * time.Hour, "1 天 2 小时"}, {24*time.Hour + time.Minute, "1 天"},
	}
	for _, tt := range tests {
		if got := watch.Span(tt.d); got != tt.want {
			t.Errorf("Span(%v) = %q, want %q", tt.d, got, tt.want)
		}
	}
}
