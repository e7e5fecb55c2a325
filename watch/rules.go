package watch

import (
	"fmt"
	"strings"
	"time"

	"qunbot/store"
)

// When staff should know. docs/alerts.yml has the same bounds for Prometheus.
const (
	SlowAnswer   = 200 * time.Millisecond // mean of five minutes
	LongWait     = 15 * time.Minute       // of a post that could leave
	LateJob      = 5 * time.Minute        // due and not begun
	OldBackup    = 36 * time.Hour
	manyErrors   = 5                // transactions that the storage failed in five minutes
	manyAway     = 20               // callbacks turned away in five minutes
	fewAnswers   = 20               // in five minutes: too few for a mean
	longOutage   = time.Minute      // one that staff hear of
	outageRecent = 15 * time.Minute // for so long after its end

	LedgerJob = "ledger.verify"
)

// A Trouble is something that staff should know of now.
type Trouble struct {
	Name   string // lasting while its details change; at most 80 characters
	Title  string
	Detail string // with the figures and what to do, at most 500 characters
	Page   string // of the console, where to look; empty: the page of troubles itself
}

// Troubles returns what is wrong, the gravest first.
func (st State) Troubles() []Trouble {
	var list []Trouble
	add := func(name, title, page, detail string, args ...any) {
		text := []rune(fmt.Sprintf(detail, args...))
		if r := []rune(name); len(r) > 80 {
			name = string(r[:40]) + string(r[len(r)-40:])
		}
		list = append(list, Trouble{Name: name, Title: title, Detail: string(text[:min(len(text), 500)]), Page: page})
	}
	st.outageTroubles(add)
	st.loadTroubles(add)
	if Failed(st.Job(LedgerJob)) {
		add("ledger", "积分账对不上", "/schedule", "最近一次核对没有通过：%s。请先停止手工加减分，用 qunbot ledger verify 看是哪些会员。", st.Job(LedgerJob).Last.Error)
	}
	if n := st.Outbox.Posts[store.PostUnknown]; n > 0 {
		add("outbox.unknown", "有消息不知道是否送达", "/outbox?state=unknown", "%d 条消息发送时断了，可能到了也可能没到，为防重复不会自动再发。请到群里看一眼，再在发件箱点“已送达”或“再发一次”。", n)
	}
	if wait := st.At.Sub(st.Outbox.OldestDue); !st.Outbox.OldestDue.IsZero() && wait > LongWait {
		add("outbox.age", "消息积压", "/outbox?state=queued", "最早的一条等了 %s，共 %d 条在排队。请在发件箱看原因：Webhook 失效、频率限制，或网络不通。", Span(wait), st.Outbox.Posts[store.PostQueued])
	}
	for _, j := range st.Jobs {
		if late := st.Overdue(j); late > LateJob {
			add("job.late "+j.Name, "定时任务晚了", "/schedule", "“%s”该在 %s前开始，到现在还没有。请看定时任务页和日志。", j.Title, Span(late))
		}
		if Failing(j) && j.Name != LedgerJob {
			add("job.failed "+j.Name, "定时任务失败", "/schedule", "“%s”第 %d 次失败：%s", j.Title, j.Last.Attempts, j.Last.Error)
		}
	}
	if st.Backup != nil && st.backupAge() > OldBackup {
		if st.Backup.IsZero() {
			add("backup", "还没有备份", "/backups", "服务运行了 %s，还没有一份好的备份。请看备份任务为什么没有做。", Span(st.backupAge()))
		} else {
			add("backup", "备份太旧", "/backups", "最近一份好的备份是 %s前的。请看备份任务为什么没有做，磁盘还有没有空间。", Span(st.backupAge()))
		}
	}
	return list
}

type adder = func(name, title, page, detail string, args ...any)

func (st State) outageTroubles(add adder) {
	if len(st.Outages) > 0 {
		last := st.Outages[0]
		if last.Took() >= longOutage && st.Beat.Sub(last.EndedAt) < outageRecent {
			add("outage "+last.BeganAt.UTC().Format(time.RFC3339), "刚才服务中断过", "", "中断了 %s，期间收不到消息。企业微信会重发其中一部分。", Span(last.Took()))
		}
	}
	if down := Down(st.Outages, st.Beat.AddDate(0, 0, -30), st.Beat); down > Budget {
		add("uptime", "在线率低于 99.9%", "", "最近 30 天中断了 %s，超过允许的 43 分钟。", Span(down))
	}
	for _, r := range Lost(st.Replicas, st.Beat) {
		add("replica "+r.Name, "一个进程没有了消息", "", "%s 从 %s前起没有心跳，也没有正常退出。请到那台机器上看日志，重新启动它。", r.Name, Span(st.Beat.Sub(r.BeatAt)))
	}
}

func (st State) loadTroubles(add adder) {
	var answers, away, errors int64
	var sum time.Duration
	for _, r := range st.Replicas {
		if !Alive(r, st.Beat) {
			continue
		}
		answers += r.Answers
		sum += r.MeanAnswer * time.Duration(r.Answers)
		away += r.TurnedAway
		errors += r.DBErrors
	}
	if answers >= fewAnswers {
		if mean := sum / time.Duration(answers); mean > SlowAnswer {
			add("answers.slow", "回答慢", "", "最近 5 分钟平均 %d 毫秒，目标是 200 毫秒以内。请看磁盘和数据库是否忙。", mean.Milliseconds())
		}
	}
	if away >= manyAway {
		add("answers.busy", "忙不过来", "", "最近 5 分钟有 %d 条消息没有接，请企业微信稍后再送。请看磁盘和数据库是否忙，或再加一台。", away)
	}
	if errors >= manyErrors {
		add("database", "数据库出错", "", "最近 5 分钟有 %d 次读写失败。请看日志里的原因：磁盘满、连不上，或数据库在重启。", errors)
	}
}

// backupAge returns how old the newest backup is, or, if there is none, how
// long the service has been without.
func (st State) backupAge() time.Duration {
	switch {
	case st.Backup == nil:
		return 0
	case !st.Backup.IsZero():
		return st.At.Sub(*st.Backup)
	case st.Since.IsZero():
		return 0
	}
	return st.Beat.Sub(st.Since)
}

// Span says a length of time in Chinese, in its two largest units.
func Span(d time.Duration) string {
	units := []struct {
		of   time.Duration
		word string
	}{{24 * time.Hour, " 天"}, {time.Hour, " 小时"}, {time.Minute, " 分"}, {time.Second, " 秒"}}
	d = max(0, d.Round(time.Second))
	var parts []string
	for _, u := range units {
		if n := d / u.of; n > 0 || len(parts) > 0 {
			parts = append(parts, fmt.Sprintf("%d%s", n, u.word))
			d -= n * u.of
		}
		if len(parts) == 2 {
			break
		}
	}
	if len(parts) == 0 {
		return "0 秒"
	}
	if len(parts) == 2 && strings.HasPrefix(parts[1], "0 ") {
		parts = parts[:1]
	}
	return strings.Join(parts, " ")
}
